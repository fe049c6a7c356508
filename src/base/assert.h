/* SPDX-License-Identifier: BSD-2-Clause */
/* ASSERT: a programmer's error, checked in every build. Never for guest or file input. */
#ifndef COSM_BASE_ASSERT_H
#define COSM_BASE_ASSERT_H

#include "base/types.h"

/* Provided by whoever links the layer: host/panic.c on a PC, metal's health monitor on a board. */
NORETURN void assert_failed(const char *expr, const char *file, int line);

#define ASSERT(expr) (LIKELY(expr) ? (void)0 : assert_failed(#expr, __FILE__, __LINE__))

#endif
