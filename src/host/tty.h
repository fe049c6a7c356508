/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The raw terminal of a guest's console. Its first settings come back however the process ends:
 * tty_restore, exit, abort, fatal signals, and for the time that a stop signal lasts.
 *
 * A process has one controlling terminal: this module holds the only state outside of struct vm,
 * because signal handlers find nothing else.
 */
#ifndef COSM_HOST_TTY_H
#define COSM_HOST_TTY_H

#include "base/err.h"

/*
 * Makes the terminal fd raw (bytes as typed, no echo, no signals from keys, output untouched) and
 * installs the handlers. In a background job the terminal becomes raw once in the foreground.
 * Handlers for SIGSEGV and the like that come later hand on what is not theirs to the former ones.
 */
MUST_CHECK int tty_make_raw(int fd, struct err *err);

/*
 * The same for a program that draws: enter is written whenever the terminal becomes raw, leave when
 * it is given back, by signal handlers too. Both outlive the terminal's use.
 */
MUST_CHECK int tty_make_screen(int fd, const char *enter, const char *leave, struct err *err);

/* Back to the first settings; nothing if the terminal is not raw. Safe in signal handlers. */
void tty_restore(void);

/* Is a terminal in raw mode now? Then a line ends in \r\n. */
bool tty_is_raw(void);

#endif
