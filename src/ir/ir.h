/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Intermediate representation: what a translated piece of guest code means, free of any guest's or
 * host's instruction set.
 *
 * A block is a list of operations in order; a value is the number of the operation that makes it.
 * Guest state that lives across operations is in slots (GET, PUT), which a back end may keep in
 * host registers. Control may leave in the middle (BRANCH, and whatever faults), and then all
 * PUTs before it count and none after it: a back end keeps slots exact at those points.
 *
 * A region is several blocks in one list, each begun by a LABEL; BRANCH and JUMP whose target is
 * that of a LABEL lead there, others leave.
 */
#ifndef COSM_IR_IR_H
#define COSM_IR_IR_H

#include "base/types.h"

enum ir_opcode {
#define IR(id, name, operands, result) IR_##id,
#include "spec/ir.def"
#undef IR
    IR_OPCODES
};

/* How a LOAD, STORE or GUARD checks its address: a property of the operation, not of the back end.
 */
enum ir_access {
    IR_ACCESS_TLB, /* through the software TLB */
    /*
     * A GUARD has seen to it: it neither raises nor leaves. The address is a slot, or the page that
     * runs, plus a constant; the guard is the last one for that slot and one of the last IR_GUARDS,
     * and neither a LABEL, CALL or ATOMIC nor a PUT of the slot stands in between.
     */
    IR_ACCESS_SURE,
    IR_ACCESS_VIEW, /* as TLB, by the hart's view of memory (jit/backend.h); a GUARD, too */
};

/* FTOS32, FTOS64. CURRENT: as all other operations; AWAY: to nearest, ties away from zero. */
enum ir_round { IR_ROUND_CURRENT, IR_ROUND_ZERO, IR_ROUND_DOWN, IR_ROUND_UP, IR_ROUND_AWAY };

/*
 * What ATOMIC does. LINK loads, and notes in layout.link the place and its value; CONDITIONAL
 * stores if the place is that one and still holds this value, forgets it, and gives 0, or else 1.
 */
enum ir_atomic {
    IR_ATOMIC_SWAP,
    IR_ATOMIC_ADD,
    IR_ATOMIC_AND,
    IR_ATOMIC_OR,
    IR_ATOMIC_XOR,
    IR_ATOMIC_MIN,
    IR_ATOMIC_MAX,
    IR_ATOMIC_MINU,
    IR_ATOMIC_MAXU,
    IR_ATOMIC_LINK, /* b is not used */
    IR_ATOMIC_CONDITIONAL,
    IR_ATOMICS
};

/* GUARDs that may be in use at a time and in a block, and bytes of one. */
#define IR_GUARDS     8
#define IR_GUARDS_ALL 1024
#define IR_GUARD_MAX  128

typedef u16 ir_value;

/* A GET of this slot gives the guest-virtual address of the page that runs. */
#define IR_SLOT_PAGE UINT32_MAX

/* The slot of an ATOMIC that gives its result to none. */
#define IR_NO_SLOT UINT16_MAX

#define IR_OPS_MAX 8192

struct ir_op {
    u8 opcode;
    u8 size;      /* LOAD, STORE, GUARD, ATOMIC, floating point: bytes; FGUARD: a level */
    bool extends; /* LOAD: sign-extend */
    u8 access;    /* enum ir_access */
    ir_value arg[3];
    u16 guest;  /* which guest instruction it belongs to: index into the block's */
    u16 slot;   /* ATOMIC: for its result, or IR_NO_SLOT; GUARD: guest instructions */
    u8 kind;    /* ATOMIC: enum ir_atomic; GUARD: 1 if for stores, too */
    bool brief; /* PUT, GET: see ir/flow.h */
    s64 imm;
};

struct ir_block {
    struct ir_op op[IR_OPS_MAX];
    u16 count;
    u16 guest; /* given to operations that are added */
};

static inline void ir_init(struct ir_block *block)
{
    block->count = 0;
    block->guest = 0;
}

/* Adding operations; pure ones fold constants and identities. The block must have room. */
ir_value ir_const(struct ir_block *block, u64 value);
ir_value ir_get(struct ir_block *block, u32 slot);
void ir_put(struct ir_block *block, u32 slot, ir_value value);
ir_value ir_unary(struct ir_block *block, enum ir_opcode opcode, ir_value a);
ir_value ir_binary(struct ir_block *block, enum ir_opcode opcode, ir_value a, ir_value b);
ir_value ir_select(struct ir_block *block, ir_value condition, ir_value a, ir_value b);
ir_value ir_load(struct ir_block *block, ir_value address, u32 size, bool extends);
void ir_store(struct ir_block *block, ir_value address, ir_value value, u32 size);
/* Floating point, of size 4 or 8; operands that it does not take are 0. */
ir_value ir_fp(struct ir_block *block, enum ir_opcode opcode, u32 size, ir_value a, ir_value b,
               ir_value c);
ir_value ir_fp_round(struct ir_block *block, enum ir_opcode opcode, u32 size, ir_value a,
                     enum ir_round round);
void ir_fp_guard(struct ir_block *block, u32 level, s64 leave);
/* Of 4 or 8 bytes; call is the imm of the CALL that does the same. */
void ir_atomic(struct ir_block *block, enum ir_atomic kind, u32 size, u32 slot, ir_value address,
               ir_value value, s64 call);
void ir_zero(struct ir_block *block, u32 size, ir_value address, s64 call);
/* CALL, CALL_APART, FENCE, JUMP, LEAVE, GO, LABEL (no operand), BRANCH, JUMPR, LEAVE_IF (a). */
void ir_control(struct ir_block *block, enum ir_opcode opcode, ir_value a, s64 imm);

/* JUMPR's imm, or 0: the engine would like to know where it leads. */
#define IR_JUMPR_NOTED 1

/* Is the value known to be below 2^bits, or to be what its low bits give by sign extension? */
bool ir_is_below(const struct ir_block *block, ir_value value, u32 bits);
bool ir_is_signed(const struct ir_block *block, ir_value value, u32 bits);

bool ir_is_const(const struct ir_block *block, ir_value value, u64 *constant);

/* Is the value what a GET gives, or that and a constant? */
bool ir_is_near_slot(const struct ir_block *block, ir_value value, u32 *slot, s64 *offset);

/* What a pure operation gives for constants. False: not pure. */
bool ir_evaluate(enum ir_opcode opcode, u64 a, u64 b, u64 c, u64 *result);

static inline bool ir_is_fp(u8 opcode)
{
    return opcode >= IR_FADD && opcode <= IR_FTOU64;
}

/* Is its result floating-point bits, rather than an integer? */
static inline bool ir_makes_fp(u8 opcode)
{
    return opcode >= IR_FADD && opcode <= IR_FFROMU;
}

/* May it raise an exception? Then it is no pure operation. */
static inline bool ir_may_raise(u8 opcode)
{
    return ir_is_fp(opcode) && !(opcode >= IR_FSIGN && opcode <= IR_FSIGNX) && opcode != IR_FBOX;
}

extern const struct ir_info {
    const char *name;
    u8 operands;
    bool result;
} ir_info[IR_OPCODES];

static inline u32 ir_operands(enum ir_opcode opcode)
{
    return ir_info[opcode].operands;
}

static inline bool ir_has_result(enum ir_opcode opcode)
{
    return ir_info[opcode].result;
}

/* NULL: well formed; else what is wrong. */
const char *ir_verify(const struct ir_block *block);

/* Text form, a line an operation. Returns the length of the whole text, as snprintf does. */
size_t ir_print(const struct ir_block *block, char *buf, size_t size);

#endif
