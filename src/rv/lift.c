/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The lifter: the words of spec/riscv.def as IR construction. What has no IR form (system, atomics
 * of bytes and halves) becomes a CALL of run_insn with the record.
 *
 * Constants are followed through registers within a block. Page-relative values (AUIPC, link
 * addresses) are not constants: one physical page may be mapped at several addresses.
 */
#include "rv/lift.h"

#include "base/assert.h"
#include "rv/lift_csr.h"
#include "rv/lift_fp.h"

/* The words nest, and with them the names of their temporaries, each in a scope of its own. */
#pragma GCC diagnostic ignored "-Wshadow"

/* Operands: the arguments of a call are not ordered in C, so each word orders its own. */
#define RD(v)    lift_rd(l, insn, (v))
#define RS1      lift_rs(l, insn_rs1(insn))
#define RS2      lift_rs(l, insn_rs2(insn))
#define IMM      ir_const(&l->ir, (u64)insn_imm(insn))
#define UPPER    ir_const(&l->ir, (u64)insn_imm(insn) << 12)
#define CONST(n) ir_const(&l->ir, (u64)(n))
#define PC       lift_pc(l, 0)
#define LINK     lift_pc(l, insn_len(insn))
#define UNARY(op, a)                   \
    ({                                 \
        ir_value a_ = (a);             \
        ir_unary(&l->ir, IR_##op, a_); \
    })
#define BINARY(op, a, b)                    \
    ({                                      \
        ir_value a_ = (a);                  \
        ir_value b_ = (b);                  \
        ir_binary(&l->ir, IR_##op, a_, b_); \
    })
#define WHOLE (l->whole = true, ir_const(&l->ir, 0))

#define ADD(a, b)    BINARY(ADD, a, b)
#define SUB(a, b)    BINARY(SUB, a, b)
#define AND(a, b)    BINARY(AND, a, b)
#define OR(a, b)     BINARY(OR, a, b)
#define XOR(a, b)    BINARY(XOR, a, b)
#define SLL(a, b)    BINARY(SHL, a, b)
#define SRL(a, b)    BINARY(SHR, a, b)
#define SRA(a, b)    BINARY(SAR, a, b)
#define ROL(a, b)    BINARY(ROL, a, b)
#define ROR(a, b)    BINARY(ROR, a, b)
#define ROL32(a, b)  BINARY(ROL32, a, b)
#define ROR32(a, b)  BINARY(ROR32, a, b)
#define LTS(a, b)    BINARY(LTS, a, b)
#define LTU(a, b)    BINARY(LTU, a, b)
#define GES(a, b)    BINARY(GES, a, b)
#define GEU(a, b)    BINARY(GEU, a, b)
#define EQ(a, b)     BINARY(EQ, a, b)
#define NE(a, b)     BINARY(NE, a, b)
#define MUL(a, b)    BINARY(MUL, a, b)
#define MULHU(a, b)  BINARY(MULHU, a, b)
#define MULH(a, b)   BINARY(MULHS, a, b)
#define NOT(a)       UNARY(NOT, a)
#define SX8(a)       UNARY(SX8, a)
#define SX16(a)      UNARY(SX16, a)
#define SX32(a)      lift_sx32(l, (a))
#define ZX8(a)       UNARY(ZX8, a)
#define ZX16(a)      UNARY(ZX16, a)
#define ZX32(a)      UNARY(ZX32, a)
#define CLZ(a)       UNARY(CLZ, a)
#define CTZ(a)       UNARY(CTZ, a)
#define CPOP(a)      UNARY(CPOP, a)
#define REV8(a)      UNARY(BSWAP, a)
#define ORC_B(a)     lift_orc_b(l, (a))
#define CLMUL(a, b)  BINARY(CLMUL, a, b)
#define CLMULH(a, b) BINARY(CLMULH, a, b)
/* The product of 127 bits but its lowest 63. */
#define CLMULR(a, b)                                    \
    ({                                                  \
        ir_value m_ = (a);                              \
        ir_value n_ = (b);                              \
        ir_value high_ = SLL(CLMULH(m_, n_), CONST(1)); \
        OR(high_, SRL(CLMUL(m_, n_), CONST(63)));       \
    })
#define SELECT(c, a, b)                \
    ({                                 \
        ir_value c_ = (c);             \
        ir_value x_ = (a);             \
        ir_value y_ = (b);             \
        ir_select(&l->ir, c_, x_, y_); \
    })
/* As if unsigned, less b if a is negative. */
#define MULHSU(a, b)                                     \
    ({                                                   \
        ir_value m_ = (a);                               \
        ir_value n_ = (b);                               \
        SUB(MULHU(m_, n_), AND(SRA(m_, CONST(63)), n_)); \
    })
#define DIVIDE(op, a, b)                                    \
    ({                                                      \
        ir_value a_ = (a);                                  \
        ir_value b_ = (b);                                  \
        lift_divide(l, insn, IR_##op, IR_##op##32, a_, b_); \
    })
#define DIV(a, b)          DIVIDE(DIVS, a, b)
#define DIVU(a, b)         DIVIDE(DIVU, a, b)
#define REM(a, b)          DIVIDE(REMS, a, b)
#define REMU(a, b)         DIVIDE(REMU, a, b)
#define CALL1(fn, a)       WHOLE
#define CALL2(fn, a, b)    WHOLE
#define CALL3(fn, a, b, c) WHOLE

#define LOAD(type, addr) lift_load(l, (addr), sizeof(type), (type)-1 < (type)1)
#define STORE(type, addr, v)                          \
    do {                                              \
        ir_value addr_ = lift_address(l, (addr));     \
        ir_value data_ = (v);                         \
        ir_store(&l->ir, addr_, data_, sizeof(type)); \
    } while (0)
#define AMO(bits, op) lift_atomic(l, insn, ATOMIC_##op, bits)
#define AMOCAS(bits)  (void)WHOLE
#define LR(bits)      lift_atomic(l, insn, IR_ATOMIC_LINK, bits)
#define SC(bits)      lift_atomic(l, insn, IR_ATOMIC_CONDITIONAL, bits)
#define ATOMIC_swap   IR_ATOMIC_SWAP
#define ATOMIC_add    IR_ATOMIC_ADD
#define ATOMIC_and    IR_ATOMIC_AND
#define ATOMIC_or     IR_ATOMIC_OR
#define ATOMIC_xor    IR_ATOMIC_XOR
#define ATOMIC_min    IR_ATOMIC_MIN
#define ATOMIC_max    IR_ATOMIC_MAX
#define ATOMIC_minu   IR_ATOMIC_MINU
#define ATOMIC_maxu   IR_ATOMIC_MAXU
#define MEMORY_FENCE  lift_fence(l, insn)

#define BRANCH(cond)     return lift_branch(l, insn, (cond))
#define JUMP_LINK_DIRECT return lift_jal(l, insn)
#define JUMP_LINK(to)    return lift_jalr(l, insn, (to))

#define SYSTEM(fn)      lift_system(l, insn)
#define SYSTEM_JUMP(fn) return lift_go(l, insn)
#define SYSTEM_CSR(fn)  return lift_csr(l, insn)
#define SYSTEM_WFI      return lift_leave(l, insn, LIFT_LEAVE_WFI)
#define SYSTEM_SPIN(fn) return lift_leave(l, insn, LIFT_LEAVE_YIELD)
#define SPIN_HINT       return lift_leave(l, insn, LIFT_LEAVE_YIELD)

/* Nothing is known of what ran before. */
static void forget(struct lift *l)
{
    l->fp_level = 0;
    l->fp_boxed = 0;
    l->known = l->extended = 1; /* x0 */
    l->relative = 0;
    l->last_rd = l->forward_rd = REG_SINK;
}

void lift_begin(struct lift *l, const struct isa *isa)
{
    ir_init(&l->ir);
    l->count = 0;
    l->max = LIFT_BLOCK_MAX;
    l->compressed = isa_has(isa, ISA_C);
    l->halves = isa_has(isa, ISA_ZCA);
    l->floats = isa_has(isa, ISA_F);
    l->guests = isa_has(isa, ISA_H);
    l->rounds = true;
    l->value[0] = 0;
    forget(l);
}

void lift_label(struct lift *l, s32 offset)
{
    l->ir.guest = (u16)l->count;
    ir_control(&l->ir, IR_LABEL, 0, offset);
    forget(l);
}

ir_value lift_rs(struct lift *l, unsigned r)
{
    if (l->known >> r & 1)
        return ir_const(&l->ir, l->value[r]);
    return r == l->forward_rd ? l->forward : ir_get(&l->ir, r);
}

/* A register's extension is known across instructions, beyond what the operations tell. */
static bool is_signed_word(const struct lift *l, ir_value v)
{
    const struct ir_op *op = &l->ir.op[v];

    return (op->opcode == IR_GET && op->imm < 32 && l->extended >> op->imm & 1) ||
           ir_is_signed(&l->ir, v, 32);
}

static ir_value lift_sx32(struct lift *l, ir_value v)
{
    return is_signed_word(l, v) ? v : ir_unary(&l->ir, IR_SX32, v);
}

/* Is v the address of the page that runs and a constant? Registers are as this instruction finds
 * them: what it takes over from the one before may have read them earlier. */
static bool is_relative(const struct lift *l, ir_value v, u64 *constant)
{
    const struct ir_op *op = &l->ir.op[v];
    u64 more;

    *constant = 0;
    while (op->opcode == IR_ADD && ir_is_const(&l->ir, op->arg[1], &more)) {
        *constant += more;
        v = op->arg[0];
        op = &l->ir.op[v];
    }
    if (op->opcode != IR_GET)
        return false;
    if (op->imm == IR_SLOT_PAGE)
        return true;
    if (v < l->first || op->imm >= 32 || !(l->relative >> op->imm & 1))
        return false;
    *constant += l->value[op->imm];
    return true;
}

/* The address of an access: what is relative to one thing in several ways is so in one. */
static ir_value lift_address(struct lift *l, ir_value address)
{
    ir_value page, offset;
    u64 constant;

    if (!is_relative(l, address, &constant))
        return address;
    page = ir_get(&l->ir, IR_SLOT_PAGE);
    offset = ir_const(&l->ir, constant);
    return ir_binary(&l->ir, IR_ADD, page, offset);
}

void lift_rd(struct lift *l, u64 insn, ir_value v)
{
    unsigned r = insn_rd(insn);
    bool relative, known;
    u64 constant, offset;
    u32 extends;

    if (l->whole || r == REG_SINK)
        return;
    extends = is_signed_word(l, v);
    known = ir_is_const(&l->ir, v, &constant);
    relative = is_relative(l, v, &offset);
    l->known = (l->known & ~(1u << r)) | (u32)known << r;
    l->relative = (l->relative & ~(1u << r)) | (u32)relative << r;
    l->value[r] = relative ? offset : constant;
    l->extended = (l->extended & ~(1u << r)) | extends << r;
    ir_put(&l->ir, r, v);
}

static s32 offset_of(const struct lift *l)
{
    return l->where[l->ir.guest] & ~LIFT_SHORT;
}

static ir_value lift_pc(struct lift *l, u32 ahead)
{
    ir_value page = ir_get(&l->ir, IR_SLOT_PAGE);
    ir_value offset = ir_const(&l->ir, (u64)(s64)(offset_of(l) + (s32)ahead));

    return ir_binary(&l->ir, IR_ADD, page, offset);
}

static ir_value lift_load(struct lift *l, ir_value address, u32 size, bool extends)
{
    return ir_load(&l->ir, lift_address(l, address), size, extends && size < 8);
}

static ir_value without_extension(const struct lift *l, ir_value v)
{
    u8 opcode = l->ir.op[v].opcode;

    return opcode == IR_SX32 || opcode == IR_ZX32 ? l->ir.op[v].arg[0] : v;
}

static ir_value lift_divide(struct lift *l, u64 insn, enum ir_opcode wide, enum ir_opcode narrow,
                            ir_value a, ir_value b)
{
    switch (insn_op(insn)) {
    case OP_divw:
    case OP_divuw:
    case OP_remw:
    case OP_remuw:
        return ir_binary(&l->ir, narrow, without_extension(l, a), without_extension(l, b));
    default:
        return ir_binary(&l->ir, wide, a, b);
    }
}

/* Ones in each byte that is not 0: a carry into its highest bit tells, if that is not set anyway.
 */
static ir_value lift_orc_b(struct lift *l, ir_value v)
{
    ir_value low = ir_const(&l->ir, UINT64_C(0x7f7f7f7f7f7f7f7f));
    ir_value zeros = ir_binary(&l->ir, IR_ADD, ir_binary(&l->ir, IR_AND, v, low), low);

    zeros = ir_binary(&l->ir, IR_OR, ir_binary(&l->ir, IR_OR, zeros, v), low);
    zeros = ir_binary(&l->ir, IR_SHR, ir_unary(&l->ir, IR_NOT, zeros), ir_const(&l->ir, 7));
    v = ir_binary(&l->ir, IR_SHL, zeros, ir_const(&l->ir, 8));
    return ir_unary(&l->ir, IR_NOT, ir_binary(&l->ir, IR_SUB, v, zeros));
}

static void lift_call(struct lift *l, u64 insn)
{
    ir_control(&l->ir, l->apart ? IR_CALL_APART : IR_CALL, 0, (s64)insn);
    if (l->apart)
        return;
    l->known = l->extended = 1;
    l->relative = 0;
}

/* Words and doublewords inline, others are rare. Of the registers only rd changes. */
static void lift_atomic(struct lift *l, u64 insn, enum ir_atomic kind, u32 bits)
{
    unsigned rd = insn_rd(insn);
    ir_value address, value;

    if (bits < 32) {
        l->whole = true;
        return;
    }
    address = RS1;
    value = kind == IR_ATOMIC_LINK ? CONST(0) : RS2;
    ir_atomic(&l->ir, kind, bits / 8, rd == REG_SINK ? IR_NO_SLOT : rd, address, value, (s64)insn);
    if (rd == REG_SINK)
        return;
    l->known &= ~(1u << rd);
    l->relative &= ~(1u << rd);
    l->extended &= ~(1u << rd);
    if (bits == 32 || kind == IR_ATOMIC_CONDITIONAL)
        l->extended |= 1u << rd;
}

static void lift_fence(struct lift *l, u64 insn)
{
    if (insn_orders_all((u64)insn_imm(insn)))
        ir_control(&l->ir, IR_FENCE, 0, 0);
}

static bool is_aligned(const struct lift *l, s64 target)
{
    return l->compressed || !(target & 2);
}

static enum lift_end lift_branch(struct lift *l, u64 insn, ir_value condition)
{
    s64 target = offset_of(l) + insn_imm(insn);
    u64 constant;

    if (!is_aligned(l, target))
        return LIFT_REFUSES;
    if (!ir_is_const(&l->ir, condition, &constant)) {
        ir_control(&l->ir, IR_BRANCH, condition, target);
        return LIFT_GOES_ON;
    }
    if (!constant)
        return LIFT_GOES_ON;
    ir_control(&l->ir, IR_JUMP, 0, target);
    return LIFT_ENDS;
}

static enum lift_end lift_jal(struct lift *l, u64 insn)
{
    s64 target = offset_of(l) + insn_imm(insn);

    if (!is_aligned(l, target))
        return LIFT_REFUSES;
    RD(LINK);
    ir_control(&l->ir, IR_JUMP, 0, target);
    return LIFT_ENDS;
}

#define FAR (1 << 30) /* bytes, no back end adds more to an address */

/* The second half of a far call, too: where it leads is known. */
static enum lift_end lift_jalr(struct lift *l, u64 insn, ir_value target)
{
    bool near;
    u64 offset;

    if (!l->compressed)
        return LIFT_REFUSES;
    if (l->ir.op[target].opcode == IR_AND) /* of bit 0, for which JUMPR sees */
        target = l->ir.op[target].arg[0];
    near = is_relative(l, target, &offset) && (s64)offset >= -FAR && (s64)offset < FAR;
    RD(LINK);
    if (near)
        ir_control(&l->ir, IR_JUMP, 0, (s64)(offset & ~UINT64_C(1)));
    else
        ir_control(&l->ir, IR_JUMPR, target, insn_is_return(insn) ? 0 : IR_JUMPR_NOTED);
    return LIFT_ENDS;
}

static enum lift_end lift_leave(struct lift *l, u64 insn, u32 how)
{
    lift_call(l, insn);
    ir_control(&l->ir, IR_LEAVE, 0, how);
    return LIFT_ENDS;
}

/* FENCE.I drops code, perhaps what runs. */
enum lift_end lift_go(struct lift *l, u64 insn)
{
    if (insn_op(insn) == OP_fence_i)
        return lift_leave(l, insn, LIFT_LEAVE_NEXT);
    ir_control(&l->ir, IR_GO, 0, (s64)insn);
    return LIFT_ENDS;
}

static void lift_system(struct lift *l, u64 insn)
{
    if (insn_op(insn) == OP_cbo_zero)
        lift_zero(l, insn);
    else
        l->whole = true;
}

#define INSN(id, name, ext, fmt, match, ...)                 \
    static enum lift_end insn_##id(struct lift *l, u64 insn) \
    {                                                        \
        (void)insn;                                          \
        __VA_ARGS__;                                         \
        return LIFT_GOES_ON;                                 \
    }
#define INSNC(...) INSN(__VA_ARGS__)
#define CINSN(...)
#include "spec/riscv.def"
#undef INSN
#undef INSNC

static enum lift_end lift_illegal(struct lift *l, u64 insn)
{
    return lift_leave(l, insn, LIFT_LEAVE_NEXT);
}

/* Instructions that do no more than compute rd from rs1 and perhaps rs2 or an immediate. */
static bool is_plain(u64 insn)
{
    switch (insn_op(insn)) {
    case OP_addi:
    case OP_addiw:
    case OP_add:
    case OP_addw:
    case OP_sub:
    case OP_subw:
    case OP_slli:
    case OP_slliw:
    case OP_srli:
    case OP_srliw:
    case OP_srai:
    case OP_sraiw:
    case OP_and:
    case OP_andi:
    case OP_or:
    case OP_ori:
    case OP_xor:
    case OP_xori:
    case OP_lui:
    case OP_auipc:
        return true;
    default:
        return false;
    }
}

/*
 * If insn computes anew the register that the instruction before it computed, that one's value
 * goes into the computation and not to the register: nothing can leave in between.
 */
static void forward_last(struct lift *l, u64 insn, bool plain)
{
    unsigned rd = insn_rd(insn);

    l->forward_rd = REG_SINK;
    if (!plain || rd == REG_SINK || l->last_rd != rd)
        return;
    l->ir.count--; /* its PUT */
    l->forward_rd = rd;
    l->forward = l->ir.op[l->ir.count].arg[0];
    for (u32 i = l->last_start; i < l->ir.count; i++)
        l->ir.op[i].guest = l->ir.guest;
}

static void note_last(struct lift *l, u64 insn, bool plain, u16 start)
{
    unsigned rd = insn_rd(insn);

    if (l->forward_rd == REG_SINK)
        l->last_start = start;
    l->last_rd = plain && rd != REG_SINK ? rd : REG_SINK;
}

enum lift_end lift_insn(struct lift *l, u64 insn, s32 offset)
{
    static enum lift_end (*const lift[OP_COUNT])(struct lift *, u64) = {
        [OP_ILLEGAL] = lift_illegal,
#define INSN(id, ...)  [OP_##id] = insn_##id,
#define INSNC(id, ...) [OP_##id] = insn_##id,
#include "spec/riscv.def"
#undef INSN
#undef INSNC
    };
    bool plain = is_plain(insn);
    u16 before = l->ir.count;
    enum lift_end end;

    l->whole = l->apart = false;
    l->where[l->count] = offset | (insn_len(insn) == 2 ? LIFT_SHORT : 0);
    l->ir.guest = (u16)l->count;
    forward_last(l, insn, plain);
    l->first = l->ir.count;
    end = lift[insn_op(insn)](l, insn);
    note_last(l, insn, plain, before);
    if (end == LIFT_REFUSES) {
        l->ir.count = before;
        return end;
    }
    if (l->whole)
        lift_call(l, insn);
    ASSERT(l->ir.count - before <= LIFT_OPS_MAX);
    l->count++;
    return end;
}

void lift_finish(struct lift *l, s32 offset)
{
    /* The jump belongs to the last instruction, so that it counts all of them. */
    l->ir.guest = (u16)(l->count - 1);
    ir_control(&l->ir, IR_JUMP, 0, offset);
}
