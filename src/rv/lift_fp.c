/* SPDX-License-Identifier: BSD-2-Clause */
/* The lifter: floating point, and the CSR instructions on its flags. */
#include "rv/lift_fp.h"

static ir_value binary(struct lift *l, enum ir_opcode opcode, ir_value a, u64 b)
{
    return ir_binary(&l->ir, opcode, a, ir_const(&l->ir, b));
}

/* Left to run_insn, which writes a value of that width to f[rd] or, 0, to x[rd]. */
void lift_fp_call(struct lift *l, u64 insn, u32 width)
{
    l->whole = true;
    l->apart = width != 0;
    if (width)
        l->fp_boxed &= ~(1u << insn_rd(insn));
    if (width && width < 64)
        l->fp_boxed |= 1u << insn_rd(insn);
}

/* Where the host rounds as frm says, that is asked for at once, so that one guard does. */
void lift_fp_guard(struct lift *l, enum lift_fp level)
{
    if (level == LIFT_FP_DIRTY && l->rounds)
        level = LIFT_FP_ROUNDS;
    if (l->fp_level >= level)
        return;
    ir_fp_guard(&l->ir, level, LIFT_LEAVE_INTERPRET);
    l->fp_level = level;
}

/* An operand; guards come before all operands. */
static ir_value lift_fs(struct lift *l, u32 r, u32 width)
{
    if (width == 32 && !(l->fp_boxed >> r & 1)) {
        ir_value bits = ir_get(&l->ir, FREG_SLOT(r));
        ir_value high = binary(l, IR_SAR, bits, 32);
        ir_control(&l->ir, IR_LEAVE_IF, binary(l, IR_NE, high, UINT64_MAX), LIFT_LEAVE_INTERPRET);
        l->fp_boxed |= 1u << r;
    }
    return ir_get(&l->ir, FREG_SLOT(r));
}

/* Operands have been read, and checked, before: the check may leave. */
void lift_fd(struct lift *l, u64 insn, u32 width, ir_value v)
{
    ir_put(&l->ir, FREG_SLOT(insn_rd(insn)), v);
    l->fp_boxed &= ~(1u << insn_rd(insn));
    if (width < 64)
        l->fp_boxed |= 1u << insn_rd(insn);
}

/* Two operands; one value if they are one register. */
struct lift_pair {
    ir_value a, b;
};

static struct lift_pair lift_fs_pair(struct lift *l, u64 insn, u32 width)
{
    struct lift_pair p;

    p.a = lift_fs(l, insn_rs1(insn), width);
    p.b = insn_rs2(insn) == insn_rs1(insn) ? p.a : lift_fs(l, insn_rs2(insn), width);
    return p;
}

#define RM_DYNAMIC 7

/* Do operations round as an rm field asks for? Then the guard is there. */
static bool lift_rounds(struct lift *l, u64 rm)
{
    if ((rm & 7) == FP_RNE)
        lift_fp_guard(l, LIFT_FP_NEAREST);
    else if ((rm & 7) == RM_DYNAMIC && l->rounds)
        lift_fp_guard(l, LIFT_FP_ROUNDS);
    else
        return false;
    return true;
}

/* Of an operation that is always exact: is the rm field none that is reserved? */
static bool lift_rounds_exactly(struct lift *l, u64 rm)
{
    if ((rm & 7) > FP_RMM)
        return lift_rounds(l, rm);
    lift_fp_guard(l, LIFT_FP_DIRTY);
    return true;
}

void lift_fp1(struct lift *l, u64 insn, u32 width, u32 opcode)
{
    if (opcode == IR_OPCODES || !lift_rounds(l, (u64)insn_imm(insn))) {
        lift_fp_call(l, insn, width);
        return;
    }
    lift_fd(
        l, insn, width,
        ir_fp(&l->ir, (enum ir_opcode)opcode, width / 8, lift_fs(l, insn_rs1(insn), width), 0, 0));
}

static void lift_operation(struct lift *l, u64 insn, u32 width, u32 opcode)
{
    struct lift_pair p = lift_fs_pair(l, insn, width);

    lift_fd(l, insn, width, ir_fp(&l->ir, (enum ir_opcode)opcode, width / 8, p.a, p.b, 0));
}

void lift_fp2(struct lift *l, u64 insn, u32 width, u32 opcode)
{
    if (opcode == IR_OPCODES || !lift_rounds(l, (u64)insn_imm(insn)))
        lift_fp_call(l, insn, width);
    else
        lift_operation(l, insn, width, opcode);
}

void lift_fp2_exact(struct lift *l, u64 insn, u32 width, u32 opcode)
{
    if (opcode == IR_OPCODES) {
        lift_fp_call(l, insn, width);
        return;
    }
    lift_fp_guard(l, LIFT_FP_DIRTY);
    lift_operation(l, insn, width, opcode);
}

void lift_fma(struct lift *l, u64 insn, u32 width, u32 opcode)
{
    u64 imm = (u64)insn_imm(insn);
    struct lift_pair p;
    ir_value c;

    if (width == 16 || !lift_rounds(l, imm >> 8)) {
        lift_fp_call(l, insn, width);
        return;
    }
    p = lift_fs_pair(l, insn, width);
    c = lift_fs(l, imm & 31, width);
    lift_fd(l, insn, width, ir_fp(&l->ir, (enum ir_opcode)opcode, width / 8, p.a, p.b, c));
}

void lift_fsign(struct lift *l, u64 insn, u32 width, enum ir_opcode opcode)
{
    lift_fp2_exact(l, insn, width, width == 16 ? IR_OPCODES : opcode);
}

void lift_fcompare(struct lift *l, u64 insn, u32 width, u32 opcode)
{
    struct lift_pair p;

    if (opcode == IR_OPCODES) {
        lift_fp_call(l, insn, 0);
        return;
    }
    lift_fp_guard(l, LIFT_FP_DIRTY);
    p = lift_fs_pair(l, insn, width);
    lift_rd(l, insn, ir_fp(&l->ir, (enum ir_opcode)opcode, width / 8, p.a, p.b, 0));
}

/* Counts how many of the classes' limits a magnitude has reached, from 0 for zero to 5 for a quiet
 * NaN. With a negative sign, numbers come in the opposite order, before the positive ones. */
void lift_fclass(struct lift *l, u64 insn, u32 width)
{
    u32 fraction = width == 64 ? 53 : 56; /* where the exponent begins, without a sign */
    u64 infinity = ~UINT64_C(0) << fraction;
    const u64 limit[] = {UINT64_C(1) << fraction, infinity, infinity + 1,
                         infinity | UINT64_C(1) << (fraction - 1)};
    ir_value magnitude, sign, n;

    if (width == 16) {
        lift_fp_call(l, insn, 0);
        return;
    }
    lift_fp_guard(l, LIFT_FP_ON);
    magnitude = binary(l, IR_SHL, lift_fs(l, insn_rs1(insn), width), 65 - width);
    n = binary(l, IR_NE, magnitude, 0);
    for (u32 i = 0; i < ARRAY_SIZE(limit); i++) {
        ir_value reached = binary(l, IR_GEU, magnitude, limit[i]);
        n = ir_binary(&l->ir, IR_ADD, n, reached);
    }
    sign = binary(l, IR_SHL, ir_get(&l->ir, FREG_SLOT(insn_rs1(insn))), 64 - width);
    sign = binary(l, IR_SAR, sign, 63);
    sign =
        ir_binary(&l->ir, IR_AND, sign, binary(l, IR_SAR, binary(l, IR_ADD, n, ~UINT64_C(3)), 63));
    n = binary(l, IR_ADD, ir_binary(&l->ir, IR_XOR, n, sign), 4);
    lift_rd(l, insn, ir_binary(&l->ir, IR_SHL, ir_const(&l->ir, 1), n));
}

void lift_to_int(struct lift *l, u64 insn, u32 width, u32 opcode)
{
    static const enum ir_round rounds[] = {[FP_RTZ] = IR_ROUND_ZERO,
                                           [FP_RDN] = IR_ROUND_DOWN,
                                           [FP_RUP] = IR_ROUND_UP,
                                           [FP_RMM] = IR_ROUND_AWAY};
    u32 rm = insn_imm(insn) & 7;
    bool is_signed = opcode == IR_FTOS32 || opcode == IR_FTOS64;
    bool says_how = rm != FP_RNE && rm <= FP_RMM;
    enum ir_round round = says_how ? rounds[rm] : IR_ROUND_CURRENT;

    if (opcode == IR_OPCODES || (!is_signed && rm != FP_RTZ) ||
        (!says_how && !lift_rounds(l, rm))) {
        lift_fp_call(l, insn, 0);
        return;
    }
    lift_fp_guard(l, LIFT_FP_DIRTY);
    lift_rd(l, insn,
            ir_fp_round(&l->ir, (enum ir_opcode)opcode, width / 8,
                        lift_fs(l, insn_rs1(insn), width), round));
}

/* Before the operand, as all guards; false: it is run_insn's, which reads an x register. */
bool lift_may_convert_int(struct lift *l, u64 insn, u32 width, u32 opcode)
{
    u64 rm = (u64)insn_imm(insn) & 7;

    if (opcode != IR_OPCODES && (rm == FP_RNE ? lift_rounds(l, rm) : lift_rounds_exactly(l, rm)))
        return true;
    lift_fp_call(l, insn, width);
    l->apart = false;
    return false;
}

/*
 * floor() and its kin say how to round what is an integer by then. Where that would matter, the
 * interpreter does the instruction.
 */
static void lift_expect_exact(struct lift *l, u32 width, u32 opcode, ir_value v)
{
    u32 digits = width == 64 ? 53 : 24;
    u64 limit = UINT64_C(1) << digits;

    if (opcode == IR_FFROMU)
        v = binary(l, IR_SHR, v, digits);
    else
        v = binary(l, IR_SHR, binary(l, IR_ADD, v, limit), digits + 1);
    ir_control(&l->ir, IR_LEAVE_IF, binary(l, IR_NE, v, 0), LIFT_LEAVE_INTERPRET);
}

void lift_from_int(struct lift *l, u64 insn, u32 width, u32 opcode, ir_value v)
{
    u64 rm = (u64)insn_imm(insn) & 7;
    bool word = ir_is_below(&l->ir, v, 32) || (opcode != IR_FFROMU && ir_is_signed(&l->ir, v, 32));
    bool exact = width == 64 && word;

    if (rm != FP_RNE && rm <= FP_RMM && !exact)
        lift_expect_exact(l, width, opcode, v);
    lift_fd(l, insn, width, ir_fp(&l->ir, (enum ir_opcode)opcode, width / 8, v, 0, 0));
}

void lift_convert(struct lift *l, u64 insn, u32 from, u32 to, u32 opcode)
{
    u64 rm = (u64)insn_imm(insn);

    if (opcode == IR_OPCODES ||
        !(opcode == IR_FWIDEN ? lift_rounds_exactly(l, rm) : lift_rounds(l, rm))) {
        lift_fp_call(l, insn, to);
        return;
    }
    lift_fd(l, insn, to,
            ir_fp(&l->ir, (enum ir_opcode)opcode, 8, lift_fs(l, insn_rs1(insn), from), 0, 0));
}

/* Bits from memory or an integer register. */
void lift_fbits(struct lift *l, u64 insn, u32 width, ir_value v)
{
    if (width == 32)
        v = ir_fp(&l->ir, IR_FBOX, 4, v, 0, 0);
    else if (width == 16)
        v = binary(l, IR_OR, v, ~UINT64_C(0) << 16);
    lift_fd(l, insn, width, v);
}

/* A CSR instruction on fflags: isless() and its kin save and restore them. */
enum lift_end lift_fflags(struct lift *l, u64 insn)
{
    enum op op = insn_op(insn);
    bool by_number = op == OP_csrrwi || op == OP_csrrsi || op == OP_csrrci;
    bool swaps = op == OP_csrrw || op == OP_csrrwi;
    ir_value old = 0, v;

    lift_fp_guard(l, swaps || insn_rs1(insn) ? LIFT_FP_DIRTY : LIFT_FP_ON);
    if (!swaps || insn_rd(insn) != REG_SINK)
        old = ir_fp(&l->ir, IR_FXGET, 0, 0, 0, 0);
    if (swaps || insn_rs1(insn)) {
        v = by_number ? ir_const(&l->ir, insn_rs1(insn)) : lift_rs(l, insn_rs1(insn));
        if (op == OP_csrrs || op == OP_csrrsi)
            v = ir_binary(&l->ir, IR_OR, old, v);
        else if (!swaps)
            v = ir_binary(&l->ir, IR_AND, old, ir_unary(&l->ir, IR_NOT, v));
        ir_control(&l->ir, IR_FXSET, binary(l, IR_AND, v, 31), 0);
    }
    if (!swaps || insn_rd(insn) != REG_SINK)
        lift_rd(l, insn, old);
    return LIFT_GOES_ON;
}
