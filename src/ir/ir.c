/* SPDX-License-Identifier: BSD-2-Clause */
/* Building, folding, checking and printing the intermediate representation. */
#include "ir/ir.h"

#include "base/assert.h"
#include "base/bits.h"
#include "base/fmt.h"

const struct ir_info ir_info[IR_OPCODES] = {
#define IR(id, name, operands, result) [IR_##id] = {name, operands, result},
#include "spec/ir.def"
#undef IR
};

static ir_value add(struct ir_block *block, struct ir_op op)
{
    ASSERT(block->count < IR_OPS_MAX);
    op.guest = block->guest;
    block->op[block->count] = op;
    return block->count++;
}

ir_value ir_const(struct ir_block *block, u64 value)
{
    return add(block, (struct ir_op){.opcode = IR_CONST, .imm = (s64)value});
}

ir_value ir_get(struct ir_block *block, u32 slot)
{
    return add(block, (struct ir_op){.opcode = IR_GET, .imm = slot});
}

void ir_put(struct ir_block *block, u32 slot, ir_value value)
{
    add(block, (struct ir_op){.opcode = IR_PUT, .imm = slot, .arg = {value}});
}

bool ir_is_const(const struct ir_block *block, ir_value value, u64 *constant)
{
    *constant = (u64)block->op[value].imm;
    return block->op[value].opcode == IR_CONST;
}

bool ir_is_near_slot(const struct ir_block *block, ir_value value, u32 *slot, s64 *offset)
{
    const struct ir_op *op = &block->op[value];
    u64 constant = 0;

    if (op->opcode == IR_ADD) {
        if (!ir_is_const(block, op->arg[1], &constant))
            return false;
        op = &block->op[op->arg[0]];
    }
    if (op->opcode != IR_GET)
        return false;
    *slot = (u32)op->imm;
    *offset = (s64)constant;
    return true;
}

static u64 rotate(u64 v, u64 n)
{
    n &= 63;
    return n ? v << n | v >> (64 - n) : v;
}

static u64 rotate32(u64 v, u64 n)
{
    n &= 31;
    return n ? (u32)(v << n) | (u32)v >> (32 - n) : (u32)v;
}

static bool evaluate_compare(enum ir_opcode opcode, u64 a, u64 b, u64 *r)
{
    switch (opcode) {
    case IR_EQ:
        *r = a == b;
        return true;
    case IR_NE:
        *r = a != b;
        return true;
    case IR_LTS:
        *r = (s64)a < (s64)b;
        return true;
    case IR_LTU:
        *r = a < b;
        return true;
    case IR_GES:
        *r = (s64)a >= (s64)b;
        return true;
    case IR_GEU:
        *r = a >= b;
        return true;
    default:
        return false;
    }
}

static bool evaluate_unary(enum ir_opcode opcode, u64 a, u64 *r)
{
    switch (opcode) {
    case IR_NOT:
        *r = ~a;
        return true;
    case IR_SX8:
        *r = sext(a, 8);
        return true;
    case IR_SX16:
        *r = sext(a, 16);
        return true;
    case IR_SX32:
        *r = sext(a, 32);
        return true;
    case IR_ZX8:
        *r = (u8)a;
        return true;
    case IR_ZX16:
        *r = (u16)a;
        return true;
    case IR_ZX32:
        *r = (u32)a;
        return true;
    case IR_CLZ:
        *r = a ? (u64)__builtin_clzll(a) : 64;
        return true;
    case IR_CTZ:
        *r = a ? (u64)__builtin_ctzll(a) : 64;
        return true;
    case IR_CPOP:
        *r = (u64)__builtin_popcountll(a);
        return true;
    case IR_BSWAP:
        *r = __builtin_bswap64(a);
        return true;
    default:
        return false;
    }
}

static u128 product_without_carries(u64 a, u64 b)
{
    u128 sum = 0;

    for (u32 i = 0; i < 64; i++) {
        if (b >> i & 1)
            sum ^= (u128)a << i;
    }
    return sum;
}

static u64 quotient(u64 a, u64 b)
{
    return b ? a / b : UINT64_MAX;
}

static u64 rest(u64 a, u64 b)
{
    return b ? a % b : a;
}

/* C's division is undefined for what overflows, as the host's: -1 apart. */
static u64 quotient_signed(u64 a, u64 b)
{
    if (b == UINT64_MAX)
        return 0 - a;
    return b ? (u64)((s64)a / (s64)b) : UINT64_MAX;
}

static u64 rest_signed(u64 a, u64 b)
{
    if (b == UINT64_MAX)
        return 0;
    return b ? (u64)((s64)a % (s64)b) : a;
}

static bool evaluate_division(enum ir_opcode opcode, u64 a, u64 b, u64 *r)
{
    switch (opcode) {
    case IR_DIVS:
        *r = quotient_signed(a, b);
        return true;
    case IR_DIVU:
        *r = quotient(a, b);
        return true;
    case IR_REMS:
        *r = rest_signed(a, b);
        return true;
    case IR_REMU:
        *r = rest(a, b);
        return true;
    case IR_DIVS32:
        *r = (u32)quotient_signed(sext(a, 32), sext(b, 32));
        return true;
    case IR_DIVU32:
        *r = (u32)quotient((u32)a, (u32)b);
        return true;
    case IR_REMS32:
        *r = (u32)rest_signed(sext(a, 32), sext(b, 32));
        return true;
    case IR_REMU32:
        *r = (u32)rest((u32)a, (u32)b);
        return true;
    default:
        return false;
    }
}

static bool evaluate_product(enum ir_opcode opcode, u64 a, u64 b, u64 *r)
{
    switch (opcode) {
    case IR_MUL:
        *r = a * b;
        return true;
    case IR_MULHU:
        *r = (u64)(((u128)a * b) >> 64);
        return true;
    case IR_CLMUL:
        *r = (u64)product_without_carries(a, b);
        return true;
    case IR_CLMULH:
        *r = (u64)(product_without_carries(a, b) >> 64);
        return true;
    case IR_MULHS:
        *r = (u64)(((s128)(s64)a * (s64)b) >> 64);
        return true;
    default:
        return false;
    }
}

bool ir_evaluate(enum ir_opcode opcode, u64 a, u64 b, u64 c, u64 *r)
{
    switch (opcode) {
    case IR_ADD:
        *r = a + b;
        return true;
    case IR_SUB:
        *r = a - b;
        return true;
    case IR_AND:
        *r = a & b;
        return true;
    case IR_OR:
        *r = a | b;
        return true;
    case IR_XOR:
        *r = a ^ b;
        return true;
    case IR_SHL:
        *r = a << (b & 63);
        return true;
    case IR_SHR:
        *r = a >> (b & 63);
        return true;
    case IR_SAR:
        *r = (u64)((s64)a >> (b & 63));
        return true;
    case IR_ROL:
        *r = rotate(a, b);
        return true;
    case IR_ROR:
        *r = rotate(a, 0 - b);
        return true;
    case IR_ROL32:
        *r = rotate32(a, b);
        return true;
    case IR_ROR32:
        *r = rotate32(a, 0 - b);
        return true;
    case IR_SELECT:
        *r = a ? b : c;
        return true;
    case IR_ADDSHL:
        *r = a + (b << (c & 63));
        return true;
    default:
        return evaluate_compare(opcode, a, b, r) || evaluate_unary(opcode, a, r) ||
               evaluate_product(opcode, a, b, r) || evaluate_division(opcode, a, b, r);
    }
}

ir_value ir_select(struct ir_block *block, ir_value condition, ir_value a, ir_value b)
{
    u64 c;

    if (ir_is_const(block, condition, &c))
        return c ? a : b;
    return add(block, (struct ir_op){.opcode = IR_SELECT, .arg = {condition, a, b}});
}

ir_value ir_load(struct ir_block *block, ir_value address, u32 size, bool extends)
{
    return add(block, (struct ir_op){.opcode = IR_LOAD,
                                     .size = (u8)size,
                                     .extends = extends,
                                     .access = IR_ACCESS_TLB,
                                     .arg = {address}});
}

void ir_store(struct ir_block *block, ir_value address, ir_value value, u32 size)
{
    add(block, (struct ir_op){.opcode = IR_STORE,
                              .size = (u8)size,
                              .access = IR_ACCESS_TLB,
                              .arg = {address, value}});
}

ir_value ir_fp(struct ir_block *block, enum ir_opcode opcode, u32 size, ir_value a, ir_value b,
               ir_value c)
{
    return add(block, (struct ir_op){.opcode = (u8)opcode, .size = (u8)size, .arg = {a, b, c}});
}

ir_value ir_fp_round(struct ir_block *block, enum ir_opcode opcode, u32 size, ir_value a,
                     enum ir_round round)
{
    return add(block, (struct ir_op){
                          .opcode = (u8)opcode, .size = (u8)size, .arg = {a}, .imm = (s64)round});
}

void ir_fp_guard(struct ir_block *block, u32 level, s64 leave)
{
    add(block, (struct ir_op){.opcode = IR_FGUARD, .size = (u8)level, .imm = leave});
}

void ir_atomic(struct ir_block *block, enum ir_atomic kind, u32 size, u32 slot, ir_value address,
               ir_value value, s64 call)
{
    add(block, (struct ir_op){.opcode = IR_ATOMIC,
                              .size = (u8)size,
                              .access = IR_ACCESS_TLB,
                              .arg = {address, value},
                              .slot = (u16)slot,
                              .kind = (u8)kind,
                              .imm = call});
}

void ir_zero(struct ir_block *block, u32 size, ir_value address, s64 call)
{
    add(block, (struct ir_op){.opcode = IR_ZERO, .size = (u8)size, .arg = {address}, .imm = call});
}

void ir_control(struct ir_block *block, enum ir_opcode opcode, ir_value a, s64 imm)
{
    add(block, (struct ir_op){.opcode = (u8)opcode, .arg = {a}, .imm = imm});
}

static bool ends_block(u8 opcode)
{
    return opcode == IR_JUMP || opcode == IR_JUMPR || opcode == IR_LEAVE || opcode == IR_GO;
}

static bool rounds(u8 opcode)
{
    return opcode == IR_FTOS32 || opcode == IR_FTOS64;
}

static const char *verify_op(const struct ir_block *block, u32 at)
{
    const struct ir_op *op = &block->op[at];

    if (op->opcode >= IR_OPCODES)
        return "unknown operation";
    for (u32 i = 0; i < ir_info[op->opcode].operands; i++) {
        if (op->arg[i] >= at)
            return "an operand is not defined before its use";
        if (!ir_info[block->op[op->arg[i]].opcode].result)
            return "an operand is an operation without a result";
    }
    if ((op->opcode == IR_LOAD || op->opcode == IR_STORE) && (!is_pow2(op->size) || op->size > 8))
        return "an access is not of 1, 2, 4 or 8 bytes";
    if (op->opcode == IR_GUARD && (!op->size || op->size > IR_GUARD_MAX || op->kind > 1 ||
                                   !op->slot || op->imm != (s32)op->imm ||
                                   block->op[op->arg[0]].opcode != IR_GET || op->arg[0] + 1u != at))
        return "a guard is not of 1 to 128 bytes from a slot on";
    if (op->opcode == IR_GUARD && at > 1 && op[-2].guest == op->guest &&
        op[-2].opcode != IR_LABEL && op[-2].opcode != IR_FGUARD && op[-2].opcode != IR_GUARD)
        return "a guard does not begin its guest instruction";
    if (op->opcode == IR_ZERO && (op->size % 16 || !op->size))
        return "a block to become zero is not of 16 bytes or some";
    if (op->opcode == IR_ATOMIC && op->size != 4 && op->size != 8)
        return "an atomic operation is not of 4 or 8 bytes";
    if (op->opcode == IR_ATOMIC && op->kind >= IR_ATOMICS)
        return "an unknown atomic operation";
    if (ir_is_fp(op->opcode) && op->size != 4 && op->size != 8)
        return "a floating-point operation is not of 4 or 8 bytes";
    if (rounds(op->opcode) && (op->imm < IR_ROUND_CURRENT || op->imm > IR_ROUND_AWAY))
        return "an unknown rounding mode";
    if (op->opcode == IR_ADDSHL &&
        (block->op[op->arg[2]].opcode != IR_CONST || (u64)block->op[op->arg[2]].imm - 1 > 2))
        return "a scale is not a constant from 1 to 3";
    return NULL;
}

/* The GUARDs in force, the last one first; NULL: none. */
struct guards {
    const struct ir_op *guard[IR_GUARDS];
    u32 count; /* of all so far */
};

static u32 guarded_slot(const struct ir_block *block, const struct ir_op *guard)
{
    return (u32)block->op[guard->arg[0]].imm;
}

static void drop_guard(const struct ir_block *block, struct guards *g, u32 slot)
{
    for (u32 i = 0; i < IR_GUARDS; i++) {
        if (g->guard[i] && guarded_slot(block, g->guard[i]) == slot)
            g->guard[i] = NULL;
    }
}

static void add_guard(const struct ir_block *block, struct guards *g, const struct ir_op *guard)
{
    drop_guard(block, g, guarded_slot(block, guard));
    for (u32 i = IR_GUARDS - 1; i > 0; i--)
        g->guard[i] = g->guard[i - 1];
    g->guard[0] = guard;
    g->count++;
}

static bool is_guarded(const struct ir_block *block, const struct guards *g, const struct ir_op *op)
{
    const struct ir_op *guard = NULL;
    s64 offset;
    u32 slot;

    if (!ir_is_near_slot(block, op->arg[0], &slot, &offset))
        return false;
    for (u32 i = 0; i < IR_GUARDS && !guard; i++) {
        if (g->guard[i] && guarded_slot(block, g->guard[i]) == slot)
            guard = g->guard[i];
    }
    return guard && (op->opcode == IR_LOAD || guard->kind) && offset >= guard->imm &&
           offset <= guard->imm + guard->size - op->size;
}

/* What an operation means to the guards; false: it is sure of itself without one. */
static bool follow_guards(const struct ir_block *block, struct guards *g, const struct ir_op *op)
{
    switch (op->opcode) {
    case IR_GUARD:
        add_guard(block, g, op);
        return true;
    case IR_LOAD:
    case IR_STORE:
        return op->access != IR_ACCESS_SURE || is_guarded(block, g, op);
    case IR_PUT:
        drop_guard(block, g, (u32)op->imm);
        return true;
    case IR_LABEL:
    case IR_CALL:
    case IR_ATOMIC:
    case IR_ZERO:
        *g = (struct guards){.count = g->count};
        return true;
    default:
        return true;
    }
}

const char *ir_verify(const struct ir_block *block)
{
    struct guards guards = {0};

    if (!block->count || !ends_block(block->op[block->count - 1].opcode))
        return "the block does not end in JUMP, JUMPR, LEAVE or GO";
    for (u32 i = 0; i < block->count; i++) {
        const char *wrong = verify_op(block, i);
        if (wrong)
            return wrong;
        if (!follow_guards(block, &guards, &block->op[i]))
            return "a sure access lies in no guard";
        if (i + 1u < block->count && ends_block(block->op[i].opcode) &&
            block->op[i + 1].opcode != IR_LABEL)
            return "operations follow the block's end";
    }
    return guards.count > IR_GUARDS_ALL ? "there are too many guards" : NULL;
}

static bool prints_imm(u8 opcode)
{
    switch (opcode) {
    case IR_CONST:
    case IR_GET:
    case IR_PUT:
    case IR_GUARD:
    case IR_ATOMIC:
    case IR_ZERO:
    case IR_CALL:
    case IR_CALL_APART:
    case IR_BRANCH:
    case IR_LEAVE_IF:
    case IR_SKIP:
    case IR_JUMP:
    case IR_LEAVE:
    case IR_GO:
    case IR_FGUARD:
    case IR_FTOS32:
    case IR_FTOS64:
        return true;
    default:
        return false;
    }
}

static const char *const atomic_name[IR_ATOMICS] = {
    [IR_ATOMIC_SWAP] = "swap",
    [IR_ATOMIC_ADD] = "add",
    [IR_ATOMIC_AND] = "and",
    [IR_ATOMIC_OR] = "or",
    [IR_ATOMIC_XOR] = "xor",
    [IR_ATOMIC_MIN] = "min",
    [IR_ATOMIC_MAX] = "max",
    [IR_ATOMIC_MINU] = "minu",
    [IR_ATOMIC_MAXU] = "maxu",
    [IR_ATOMIC_LINK] = "link",
    [IR_ATOMIC_CONDITIONAL] = "conditional",
};

static size_t print_op(const struct ir_op *op, u32 at, char *buf, size_t size)
{
    size_t len = 0;

#define PUT_TEXT(...) \
    (len += fmt_print(len < size ? buf + len : NULL, len < size ? size - len : 0, __VA_ARGS__))
    if (ir_info[op->opcode].result)
        PUT_TEXT("v%u = ", at);
    PUT_TEXT("%s", ir_info[op->opcode].name);
    if (op->opcode == IR_LOAD || op->opcode == IR_STORE)
        PUT_TEXT(".%s%u", op->extends ? "s" : "u", op->size * 8u);
    if ((op->opcode == IR_LOAD || op->opcode == IR_STORE) && op->access == IR_ACCESS_SURE)
        PUT_TEXT(".sure");
    if (op->access == IR_ACCESS_VIEW)
        PUT_TEXT(".view");
    if (op->opcode == IR_GUARD)
        PUT_TEXT(".%s.%u", op->kind ? "write" : "read", op->size);
    if (ir_is_fp(op->opcode) || op->opcode == IR_FGUARD)
        PUT_TEXT(".%u", op->opcode == IR_FGUARD ? op->size : op->size * 8u);
    if (op->opcode == IR_ATOMIC)
        PUT_TEXT(".%s.%u", atomic_name[op->kind], op->size * 8u);
    if (op->opcode == IR_ATOMIC && op->slot != IR_NO_SLOT)
        PUT_TEXT(" to %u:", op->slot);
    for (u32 i = 0; i < ir_info[op->opcode].operands; i++)
        PUT_TEXT("%s v%u", i ? "," : "", op->arg[i]);
    if (prints_imm(op->opcode))
        PUT_TEXT(" #%ld", (long)op->imm);
    PUT_TEXT("\n");
#undef PUT_TEXT
    return len;
}

size_t ir_print(const struct ir_block *block, char *buf, size_t size)
{
    size_t len = 0;

    for (u32 i = 0; i < block->count; i++)
        len +=
            print_op(&block->op[i], i, len < size ? buf + len : NULL, len < size ? size - len : 0);
    return len;
}
