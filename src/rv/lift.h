/* SPDX-License-Identifier: BSD-2-Clause */
/* The lifter: decoded instructions to an IR block. */
#ifndef COSM_RV_LIFT_H
#define COSM_RV_LIFT_H

#include "ir/ir.h"
#include "rv/decode.h"

#define LIFT_BLOCK_MAX  64  /* instructions of a block */
#define LIFT_REGION_MAX 768 /* of a region */
#define LIFT_OPS_MAX    64  /* operations that an instruction may take */

/* IR slots 0..31 are x0..x31. LEAVE numbers; hart->pc is the next instruction: */
enum lift_leave {
    LIFT_LEAVE_NEXT = 16,
    LIFT_LEAVE_WFI,
    LIFT_LEAVE_YIELD,
    LIFT_LEAVE_INTERPRET, /* hart->pc is for the interpreter to do */
};

/* What a block with floating point asks of csrs before it goes on, by FGUARD; one includes those
 * before it. They change only by CSR instructions, and these end a block. */
enum lift_fp {
    LIFT_FP_OFF, /* FS is off: such instructions are illegal, as the interpreter finds */
    LIFT_FP_ON,
    LIFT_FP_DIRTY,   /* FS is dirty already */
    LIFT_FP_ROUNDS,  /* frm is a mode that the host has: all but the reserved ones and RMM */
    LIFT_FP_NEAREST, /* it is to nearest, ties to even */
};

/* In an offset: the instruction is of two bytes. */
#define LIFT_SHORT 1

enum lift_end {
    LIFT_GOES_ON,
    LIFT_ENDS,    /* the block is complete */
    LIFT_REFUSES, /* nothing was added: the interpreter must do this instruction */
};

struct lift {
    struct ir_block ir;
    s32 where[LIFT_REGION_MAX]; /* of its instructions: bytes from the start of the page that runs
                                 * | LIFT_SHORT */
    u32 count, max;
    bool compressed; /* C is present: jumps need no alignment check */
    bool halves;     /* Zca is: pcs are multiples of 2, and not of 4 */
    bool floats;     /* F is */
    bool guests;     /* H is */
    bool whole;      /* the instruction at hand is left to run_insn, */
    bool apart;      /* which will touch no x register */
    bool rounds;  /* frm is taken to be a mode of the host; else dynamic rounding is run_insn's */
    u8 fp_level;  /* enum lift_fp that was seen in this block */
    u32 fp_boxed; /* bit r: f[r] is known to be boxed */
    u32 known;    /* bit r: x[r] is the constant value[r]; */
    u32 relative; /* the same, added to the address of the page that runs */
    u32 extended; /* bit r: x[r] is sign-extended from 32 bits */
    u64 value[32];
    u32 first; /* operation of the instruction at hand */
    /* The instruction before, if it does but compute a register: its first operation. */
    u32 last_rd; /* REG_SINK: it does more */
    u16 last_start;
    u32 forward_rd; /* the register whose value the instruction at hand takes from it, */
    ir_value forward;
};

/* A block; who sets lift->max afterwards may add more. */
void lift_begin(struct lift *lift, const struct isa *isa);

/* Adds insn at an offset of the page (or beyond it); in order, each where the one before ended
 * unless there is a label. */
enum lift_end lift_insn(struct lift *lift, u64 insn, s32 offset);

/* Code jumps to this offset, which the next instruction has. */
void lift_label(struct lift *lift, s32 offset);

/* Ends a block that goes on at an offset of the page (perhaps the page's end). */
void lift_finish(struct lift *lift, s32 offset);

/* No room for another instruction? */
static inline bool lift_is_full(const struct lift *lift)
{
    return lift->count == lift->max || lift->ir.count > IR_OPS_MAX - LIFT_OPS_MAX;
}

#endif
