/* SPDX-License-Identifier: BSD-2-Clause */
/* Freestanding text formatting: the subset of printf that Cosm's messages need. */
#ifndef COSM_BASE_FMT_H
#define COSM_BASE_FMT_H

#include "base/types.h"

#include <stdarg.h>

/*
 * Formats into buf[size], always NUL-terminated when size > 0, and returns the length that the
 * whole text has without the NUL (so a result >= size says that it was cut), as snprintf does.
 * Knows %% %c %s %d %i %u %x %X %p with flags '-' '0' '#', width and precision (also '*'), and
 * the lengths hh h l ll z j. Anything else is printed as it stands.
 */
size_t fmt_print(char *buf, size_t size, const char *fmt, ...) PRINTF_LIKE(3, 4);
size_t fmt_vprint(char *buf, size_t size, const char *fmt, va_list ap) PRINTF_LIKE(3, 0);

#endif
