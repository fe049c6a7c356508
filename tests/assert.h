/* SPDX-License-Identifier: BSD-2-Clause */
/* What a failed assertion does in programs without src/host. Include it in one file of a program.
 */
#ifndef COSM_TESTS_ASSERT_H
#define COSM_TESTS_ASSERT_H

#include "base/assert.h"

#include <stdio.h>
#include <stdlib.h>

void assert_failed(const char *expr, const char *file, int line)
{
    fprintf(stderr, "%s:%d: assertion failed: %s\n", file, line, expr);
    abort();
}

#endif
