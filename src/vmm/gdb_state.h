/* SPDX-License-Identifier: BSD-2-Clause */
/* A debugging session's state, shared by gdb_session.c and gdb_command.c alone. */
#ifndef COSM_VMM_GDB_STATE_H
#define COSM_VMM_GDB_STATE_H

#include "vmm/gdb_packet.h"
#include "vmm/gdb_session.h"

#include <stdatomic.h>

#define GDB_POINTS_MAX 1024
#define GDB_ASYNC_MAX  512 /* a stop reply and some acknowledgements */
#define GDB_OUTPUT_MAX (2 * GDB_FRAME_MAX + GDB_ASYNC_MAX)
#define GDB_ANY_HART   UINT32_MAX

/* Error replies: numbers are Linux' errno values in hex. */
#define GDB_E_INVALID "E16"
#define GDB_E_FAULT   "E0e"
#define GDB_E_SPACE   "E1c"
#define GDB_E_BUSY    "E10"

enum session_state {
    SESSION_CLOSED,
    SESSION_ATTACHING,
    SESSION_STOPPED,
    SESSION_RUNNING,
    SESSION_OVER
};

struct gdb_session_point {
    enum gdb_point kind;
    gva_t address;
    u64 len;
};

struct gdb_session {
    const struct gdb_target *target;
    char *features;
    size_t features_len;
    enum session_state state;
    _Atomic u32 epoch;        /* resumes so far */
    bool no_ack, next_no_ack; /* the latter from the packet after this one on */
    bool swbreak, hwbreak;    /* the debugger understands these stop reasons */
    bool physical;            /* m and M use guest-physical addresses */
    bool has_reply;
    bool ended;    /* the VM is ending: leave it alone */
    u32 hart;      /* of register and memory packets */
    u32 hart_run;  /* of s and c, or GDB_ANY_HART */
    u32 stop_hart; /* of the last stop */
    enum gdb_reason stop_reason;
    gva_t stop_address;
    u32 point_count;
    struct gdb_session_point point[GDB_POINTS_MAX];
    struct gdb_parser parser;
    struct gdb_reply reply;
    size_t output_len;
    u8 output[GDB_OUTPUT_MAX];
};

/* A command: gets what follows its prefix, leaves its answer in s->reply. */
struct gdb_command {
    const char *prefix;
    u32 flags;
    void (*run)(struct gdb_session *s, struct gdb_text text);
};

#define GDB_COMMAND_EXACT   1u /* nothing may follow the prefix */
#define GDB_COMMAND_ANYTIME 2u /* also while harts run */

/* gdb_command.c: the command that text begins with, skipped in text; NULL: none. */
const struct gdb_command *gdb_command_find(struct gdb_text *text);

/* gdb_session.c: pieces of replies. */
void gdb_session_reply_error(struct gdb_session *s, const char *error); /* instead of any other */
void gdb_session_reply_thread(struct gdb_session *s, u32 hart);
void gdb_session_reply_reg(struct gdb_session *s, u32 hart, u32 reg);
void gdb_session_reply_stop(struct gdb_session *s);
/* gdb_session.c: lets harts go on; how as for struct gdb_target. */
void gdb_session_resume(struct gdb_session *s, const enum gdb_resume *how);
/* gdb_session.c: the debugger leaves: no points remain and all harts go on. */
void gdb_session_release(struct gdb_session *s);

#endif
