/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Passes over a region that look beyond one guest instruction, through slots.
 *
 * What leaves in the middle must find all slots exact: nothing here changes what a slot holds where
 * a way out lies, only what happens to it in between.
 */
#ifndef COSM_IR_FLOW_H
#define COSM_IR_FLOW_H

#include "ir/ir.h"

#define IR_FLOW_SLOTS 32 /* slots from here on are left alone */

#define IR_GROUPS_MAX IR_GUARDS_ALL

/* Accesses that one GUARD may serve. */
struct ir_group {
    u32 slot;
    s64 first, end; /* what they span, from the slot's value */
    u16 start;      /* operation that the guard comes before */
    u16 last;       /* guest instruction of the last access */
    u16 count;
    bool write;
    bool branched; /* code may have left since the first access */
};

/* Working memory of the passes. */
struct ir_flow {
    struct ir_block out, before;
    ir_value map[IR_OPS_MAX];
    u16 version[IR_OPS_MAX];  /* of the slot that a GET in `out` read */
    u8 need[IR_OPS_MAX];      /* parts of a value that are used */
    u16 group_of[IR_OPS_MAX]; /* index, IR_GROUPS_MAX: none */
    struct ir_group group[IR_GROUPS_MAX];
    u32 group_count;
};

/*
 * Makes a new block in flow->out that does the same: shifts whose results meet in another
 * instruction become a rotate or an extension there.
 */
void ir_forward(struct ir_flow *flow, const struct ir_block *block);

/* Has no branches in flow->out over what is done sooner than a branch is foreseen wrongly. */
void ir_choose(struct ir_flow *flow);

/* Makes accesses of flow->out sure by GUARDs, where two or more can share one; but for those of
 * guest instructions that apart, if it is not NULL, has a bit of. */
void ir_guard(struct ir_flow *flow, const u64 *apart);

/* Guards, and accesses without one, are by the hart's view, but those of `apart`, as for ir_guard.
 */
void ir_view(struct ir_block *block, const u64 *apart);

/*
 * Takes what nobody sees out of flow->out, and what only feeds it: PUTs of slots that are written
 * again before they are read and before a way out, and extensions whose upper half is like that.
 *
 * Marks PUTs as brief whose slot need not hold the value, as it is read and written again with
 * nothing in between but operations that any register serves, IR_BRIEF_OPS of a guest instruction
 * at most; and their last GETs.
 */
#define IR_BRIEF_OPS 4
void ir_prune(struct ir_flow *flow);

#endif
