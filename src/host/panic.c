/* SPDX-License-Identifier: BSD-2-Clause */
/* The end of a process that found a programmer's error in itself. */
#include "base/assert.h"
#include "base/fmt.h"
#include "host/tty.h"

#include <stdlib.h>
#include <unistd.h>

NORETURN void assert_failed(const char *expr, const char *file, int line)
{
    char text[512];
    size_t len = fmt_print(text, sizeof(text),
                           "cosm: internal error: '%s' does not hold at %s:%d; please report it\n",
                           expr, file, line);

    tty_restore();
    if (len >= sizeof(text))
        len = sizeof(text) - 1;
    if (write(STDERR_FILENO, text, len) < 0)
        _exit(134); /* nobody listens; still the status of an abort */
    abort();
}
