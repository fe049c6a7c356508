/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The console: the board's serial port, shared by the partitions line by line. Each line begins
 * with its partition's name in brackets; the hypervisor's own with [metal]. What is typed goes to
 * the partition that has the keyboard, whose output is shown as it comes; that of others when a
 * line is whole. The rest of a line that was cut, for its length or because another one came
 * between, begins with a plus sign in place of the space behind its name. Ctrl-A and a digit give
 * the keyboard to partition number 0..7.
 */
#ifndef COSM_METAL_CONSOLE_H
#define COSM_METAL_CONSOLE_H

#include "base/log.h"
#include "metal/state.h"

void console_init(void);
/* Output of p. */
void console_write(struct partition *p, const u8 *bytes, size_t len);
/* What was typed for p: bytes taken, 0: none waiting. */
size_t console_read(struct partition *p, u8 *bytes, size_t len);
/* A line of the hypervisor's. With a limit: those that a guest can provoke grow rare. */
void console_log(struct log_limit *limit, const char *fmt, ...) PRINTF_LIKE(2, 3);

#endif
