/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The console: the board's serial port, shared by the partitions line by line. Each line begins
 * with its partition's name in brackets; the hypervisor's own with [metal]. What is typed goes to
 * the partition that has the keyboard, whose output is shown as it comes; that of others when a
 * line is whole. The rest of a line that was cut, for its length or because another one came
 * between, 20 ms after its beginning or later, begins with a plus sign in place of the space behind
 * its name. Ctrl-A and a digit give the keyboard to partition number 0..7.
 *
 * What is written waits until there is time to send it, that of a writer or nobody's, so a full
 * line delays no window.
 */
#ifndef COSM_METAL_CONSOLE_H
#define COSM_METAL_CONSOLE_H

#include "base/log.h"
#include "metal/state.h"

void console_init(void);
/* Output of p; returns how many bytes were taken, fewer than len if the serial port falls behind.
 */
size_t console_write(struct partition *p, const u8 *bytes, size_t len);
/* Would a FIFO's worth of bytes be taken now? */
bool console_has_room(const struct partition *p);
/*
 * Sends what waits until an interrupt is pending for the calling hart, or leaves it to who is at
 * it already. In p's time: until nothing of p waits, by turns with others' lines; NULL, in
 * nobody's: all.
 */
void console_drain(const struct partition *p);
/* Sends all, lines without an end too, however long it takes: the board ends. */
void console_flush(void);
/* What was typed for p: bytes taken, 0: none waiting. */
size_t console_read(struct partition *p, u8 *bytes, size_t len);
/* A line of the hypervisor's. With a limit: those that a guest can provoke grow rare. */
void console_log(struct log_limit *limit, const char *fmt, ...) PRINTF_LIKE(2, 3);
/* Copies what the hypervisor wrote from byte *at of all on to text, as far as it still has it: *at
 * is then where that begins. Returns how many bytes. */
size_t console_log_read(u32 *at, char *text, size_t len);

#endif
