/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The guest's console on standard input and output.
 *
 * Output goes into a ring that a thread of its own writes out, so a slow pipe never holds a hart
 * for long: when the ring is full a writer waits 100 ms once, then bytes drop until the reader
 * takes some again. Input is read by the event loop into a ring and handed to the guest's device as
 * it has room. On a terminal Ctrl-A is the escape key: x quits, b sends a break, h helps, Ctrl-A
 * twice sends one; it works even while the guest takes no input. The end of a piped input is not
 * the end of the VM.
 */
#ifndef COSM_HOST_CONSOLE_H
#define COSM_HOST_CONSOLE_H

#include "base/err.h"
#include "host/loop.h"
#include "host/sandbox.h"
#include "port/chardev.h"

struct console;

enum console_event { CONSOLE_QUIT, CONSOLE_BREAK };

/* Returns how many of len bytes the device took; called on the loop. */
typedef size_t (*console_receive_fn)(void *ctx, const u8 *bytes, size_t len);

struct console_config {
    int in, out;  /* 0 and 1; -1: none. They stay the caller's */
    bool patient; /* no output is lost: a writer waits for a slow reader, until console_hurry */
    /* On the loop; may be NULL. */
    void (*event)(void *ctx, enum console_event event);
    void *ctx;
};

/* Makes in raw if it is a terminal. loop outlives the console. Output waits for console_begin. */
MUST_CHECK int console_create(struct console **console, struct loop *loop,
                              const struct console_config *config, struct err *err);

/* Starts the thread that writes, in this sandbox (NULL: none), which outlives the console. Once. */
MUST_CHECK int console_begin(struct console *console, const struct sandbox *sandbox,
                             struct err *err);

/* On the loop's thread, or when the loop does not run. Writes out what is left (at most for 2 s),
 * restores the terminal. No one writes or takes any more. NULL is allowed. */
void console_destroy(struct console *console);

/* Writers wait no longer than 100 ms from now on, and those that wait do so no more. NULL is
 * allowed. */
void console_hurry(struct console *console);

/* What a device writes to and calls room on. Valid until destroy. */
struct chardev console_chardev(struct console *console);

/* As if typed on standard input, without an escape key; returns how many bytes there is room for.
 * Any thread. */
size_t console_feed(struct console *console, const u8 *bytes, size_t len);

/*
 * seen(ctx, bytes, len) gets the guest's output, too, from whichever thread writes it, which it
 * must not hold for long. Set while nobody writes; NULL: nobody wants it.
 */
void console_observe(struct console *console, void (*seen)(void *ctx, const u8 *bytes, size_t len),
                     void *ctx);

/* Who receives input; NULL: input waits in the ring, for console_take. */
void console_attach(struct console *console, console_receive_fn receive, void *ctx);

/* Takes waiting input from any thread (the SBI's console); returns the number of bytes. */
size_t console_take(struct console *console, u8 *bytes, size_t len);

/*
 * A line of Cosm's own in between the guest's output: on a line of its own, on the terminal or on
 * standard error. Any thread. Fits log_sink_redirect.
 */
void console_note(void *console, const char *text, size_t len);

/* Does the guest's output or input share a terminal with standard error? Then redirect the log. */
bool console_is_terminal(const struct console *console);

#endif
