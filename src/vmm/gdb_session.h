/* SPDX-License-Identifier: BSD-2-Clause */
/* One debugger's conversation with the target: bytes in, bytes out, no sockets. */
#ifndef COSM_VMM_GDB_SESSION_H
#define COSM_VMM_GDB_SESSION_H

#include "vmm/gdb_target.h"

struct gdb_session;

/* target outlives the session. NULL: no memory. */
MUST_CHECK struct gdb_session *gdb_session_create(const struct gdb_target *target);
void gdb_session_destroy(struct gdb_session *session);

/* A debugger came: stops the target. It is listened to once the target stands. */
void gdb_session_open(struct gdb_session *session);
/* The debugger went, with or without good-bye: no points remain, a standing target goes on. */
void gdb_session_close(struct gdb_session *session);
bool gdb_session_is_open(const struct gdb_session *session);

/*
 * Takes bytes of the debugger; returns how many. Fewer than len: the rest has to wait until the
 * target stands or output was sent. Does not block.
 */
size_t gdb_session_receive(struct gdb_session *session, const u8 *bytes, size_t len);

/* What waits to be sent, and that the first len bytes of it were. */
const u8 *gdb_session_output(const struct gdb_session *session, size_t *len);
void gdb_session_sent(struct gdb_session *session, size_t len);

/* After detach, kill or the VM's end: close the connection once all output is sent. */
bool gdb_session_is_over(const struct gdb_session *session);

/* The harts stand; hart is the one to look at, address a watchpoint's access. */
void gdb_session_stopped(struct gdb_session *session, u32 hart, enum gdb_reason reason,
                         gva_t address);

/*
 * How often the target was resumed. A report of a stop belongs to the count at its time and means
 * nothing after the next resume. Any thread.
 */
u32 gdb_session_epoch(const struct gdb_session *session);

/* The VM ends with this exit status. */
void gdb_session_exited(struct gdb_session *session, u8 status);

#endif
