/* SPDX-License-Identifier: BSD-2-Clause */
/* The mem and str functions that freestanding layers may call: libc's, or base/string.c's. */
#ifndef COSM_BASE_MEM_H
#define COSM_BASE_MEM_H

#include <stddef.h>

void *memcpy(void *restrict to, const void *restrict from, size_t n);
void *memmove(void *to, const void *from, size_t n);
void *memset(void *to, int byte, size_t n);
int memcmp(const void *a, const void *b, size_t n);
size_t strlen(const char *s);
int strcmp(const char *a, const char *b);

#endif
