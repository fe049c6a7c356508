/* SPDX-License-Identifier: BSD-2-Clause */
/* The gdb remote stub: a TCP server on the event loop for one debugger at a time. */
#ifndef COSM_VMM_GDB_H
#define COSM_VMM_GDB_H

#include "base/err.h"
#include "base/log.h"
#include "host/loop.h"
#include "vmm/gdb_target.h"

struct gdb;

/*
 * Listens on the numeric address host ("127.0.0.1", "::1") and port (0: any free one). All that is
 * passed outlives the stub; log may be NULL. On the loop's thread, as are the calls below unless
 * they say otherwise.
 */
MUST_CHECK int gdb_create(struct gdb **gdb, struct loop *loop, const struct gdb_target *target,
                          const char *host, u16 port, const struct log *log, struct err *err);

/* Nobody calls gdb_stopped any more; the loop still exists. The debugger's connection closes. */
void gdb_destroy(struct gdb *gdb);

u16 gdb_port(const struct gdb *gdb);

/*
 * All harts stand; hart is the one that gave the reason, address the access that a watchpoint saw.
 * Once per struct gdb_target's stop or resume. Any thread; handled later, on the loop.
 */
void gdb_stopped(struct gdb *gdb, u32 hart, enum gdb_reason reason, gva_t address);

/* The VM ends with this exit status: tells the debugger, if one listens. */
void gdb_exited(struct gdb *gdb, u8 status);

#endif
