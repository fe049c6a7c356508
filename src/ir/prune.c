/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What nobody sees, found backwards: slots at each place, and values, by halves.
 *
 * Where control leaves, or may, all of all slots is seen. Jumps to labels that stand further on in
 * the list are no ways out (a back end polls at jumps back only), so what is seen there is known
 * when they are met.
 */
#include "ir/flow.h"

#include "base/assert.h"

#define LABELS_MAX 1024

enum { LOW = 1, HIGH = 2, ALL = LOW | HIGH }; /* halves of a value */

/* The slots of which these halves are seen. */
struct seen {
    u32 low, high;
};

struct prune {
    struct ir_flow *flow;
    struct ir_block *block;
    struct seen now;
    struct {
        s64 target;
        struct seen seen;
    } label[LABELS_MAX]; /* those met, last ones first */
    u32 label_count;
    u32 brief;                 /* bit s: slot s is written before anything but plain operations */
    u32 read;                  /* those that are read before that */
    u16 writer[IR_FLOW_SLOTS]; /* the guest instruction that writes it */
    struct ir_op *last[IR_FLOW_SLOTS]; /* GET before that */
    u32 guest, ops;                    /* operations of the guest instruction at hand */
};

static const struct seen everything = {UINT32_MAX, UINT32_MAX};

static void use(struct prune *p, ir_value v, u32 halves)
{
    p->flow->need[v] |= (u8)halves;
}

static void use_all(struct prune *p, const struct ir_op *op)
{
    for (u32 i = 0; i < ir_operands((enum ir_opcode)op->opcode); i++)
        use(p, op->arg[i], ALL);
}

static struct seen seen_at(const struct prune *p, s64 target)
{
    u32 first = 0, last = p->label_count;

    while (first < last) {
        u32 middle = (first + last) / 2;
        if (p->label[middle].target > target)
            first = middle + 1;
        else
            last = middle;
    }
    if (first < p->label_count && p->label[first].target == target)
        return p->label[first].seen;
    return everything;
}

static void add_label(struct prune *p, s64 target)
{
    bool in_order = !p->label_count || p->label[p->label_count - 1].target > target;

    if (in_order && p->label_count < LABELS_MAX) {
        p->label[p->label_count].target = target;
        p->label[p->label_count++].seen = p->now;
    }
}

/* Which half of its operands an operation of 64 bits looks at to get the low half right. */
static u32 halves_for_low(const struct ir_op *op, u32 operand)
{
    switch (op->opcode) {
    case IR_ADD:
    case IR_SUB:
    case IR_AND:
    case IR_OR:
    case IR_XOR:
    case IR_MUL:
    case IR_NOT:
    case IR_SHL:
    case IR_ADDSHL:
        return LOW;
    case IR_SELECT:
        return operand ? LOW : ALL;
    default:
        return ALL;
    }
}

/* Which half it looks at in any case, as the low one is all that counts. */
static u32 halves(const struct prune *p, const struct ir_op *op, u32 operand, u32 need)
{
    u64 constant = 0;

    switch (op->opcode) {
    case IR_SX8:
    case IR_SX16:
    case IR_SX32:
    case IR_ZX8:
    case IR_ZX16:
    case IR_ZX32:
    case IR_ROL32:
    case IR_ROR32:
    case IR_DIVS32:
    case IR_DIVU32:
    case IR_REMS32:
    case IR_REMU32:
        return LOW;
    case IR_SHL:
        if (!operand && ir_is_const(p->block, op->arg[1], &constant) && (constant & 63) >= 32)
            return LOW;
        break;
    case IR_AND:
        if (ir_is_const(p->block, op->arg[1 - operand], &constant) && constant <= UINT32_MAX)
            return LOW;
        break;
    default:
        break;
    }
    return need == LOW ? halves_for_low(op, operand) : ALL;
}

static void make_dead(struct ir_op *op)
{
    op->opcode = IR_CONST;
    op->imm = 0;
}

static void prune_put(struct prune *p, struct ir_op *op)
{
    u32 bit, need;

    if (op->imm >= IR_FLOW_SLOTS) {
        use(p, op->arg[0], ALL);
        return;
    }
    bit = 1u << op->imm;
    need = (p->now.low & bit ? LOW : 0) | (p->now.high & bit ? HIGH : 0);
    p->now.low &= ~bit;
    p->now.high &= ~bit;
    if (!need) {
        make_dead(op);
        return;
    }
    use(p, op->arg[0], need);
    op->brief = p->brief & bit;
    p->brief |= bit;
    p->read &= ~bit;
    p->writer[op->imm] = op->guest;
}

/* Does it need no register in particular, and two at most? */
static bool is_plain(const struct prune *p, const struct ir_op *op)
{
    u64 constant;

    switch (op->opcode) {
    case IR_SHL:
    case IR_SHR:
    case IR_SAR:
        return !ir_is_const(p->block, op->arg[0], &constant);
    case IR_ROL:
    case IR_ROR:
    case IR_ROL32:
    case IR_ROR32:
        return ir_is_const(p->block, op->arg[1], &constant);
    case IR_ADD:
    case IR_SUB:
    case IR_AND:
    case IR_OR:
    case IR_XOR:
    case IR_MUL:
    case IR_ADDSHL:
    case IR_NOT:
        return true;
    default:
        return op->opcode >= IR_SX8 && op->opcode <= IR_ZX32;
    }
}

static void follow_brief(struct prune *p, const struct ir_op *op)
{
    if (op->opcode == IR_CONST || op->opcode == IR_GET || op->opcode == IR_PUT)
        return;
    if (op->guest != p->guest)
        p->ops = 0;
    p->guest = op->guest;
    if (++p->ops > IR_BRIEF_OPS || !is_plain(p, op))
        p->brief = 0;
}

/* Of the reads before a PUT the last one, unless it goes into that PUT's value, or there is another
 * one in its instruction, which may be used later. */
static void mark_last(struct prune *p, struct ir_op *get)
{
    u32 bit = 1u << get->imm;

    if (!(p->read & bit)) {
        get->brief = (p->brief & bit) && p->writer[get->imm] != get->guest;
        p->last[get->imm] = get;
    } else if (p->last[get->imm]->guest == get->guest) {
        p->last[get->imm]->brief = false;
    }
    p->read |= bit;
}

/* An operation that does nothing but compute. */
static void prune_pure(struct prune *p, u32 at)
{
    struct ir_op *op = &p->block->op[at];
    u32 need = p->flow->need[at];

    if (!need) {
        make_dead(op);
        return;
    }
    if (op->opcode == IR_GET && op->imm < IR_FLOW_SLOTS) {
        p->now.low |= 1u << op->imm;
        p->now.high |= need & HIGH ? 1u << op->imm : 0;
        mark_last(p, op);
    }
    for (u32 i = 0; i < ir_operands((enum ir_opcode)op->opcode); i++)
        use(p, op->arg[i], halves(p, op, i, need));
}

static bool is_pure(const struct ir_op *op)
{
    return op->opcode <= IR_GET || (op->opcode >= IR_ADD && op->opcode <= IR_BSWAP) ||
           (op->opcode == IR_LOAD && op->access == IR_ACCESS_SURE);
}

/* Does it but compute, though not for its result alone, store what is sure, or order accesses? */
static bool goes_on(const struct ir_op *op)
{
    u8 opcode = op->opcode;

    return ir_is_fp(opcode) || opcode == IR_FXGET || opcode == IR_FXSET || opcode == IR_FENCE ||
           opcode == IR_SKIP || (opcode == IR_STORE && op->access == IR_ACCESS_SURE);
}

static void prune_op(struct prune *p, u32 at)
{
    struct ir_op *op = &p->block->op[at];

    follow_brief(p, op);
    if (op->opcode == IR_PUT) {
        prune_put(p, op);
    } else if (is_pure(op)) {
        prune_pure(p, at);
    } else {
        use_all(p, op);
        if (op->opcode == IR_JUMP) {
            p->now = seen_at(p, op->imm);
        } else if (op->opcode == IR_BRANCH) {
            struct seen there = seen_at(p, op->imm);
            p->now.low |= there.low;
            p->now.high |= there.high;
        } else if (op->opcode == IR_LABEL) {
            add_label(p, op->imm);
        } else if (!goes_on(op)) {
            p->now = everything;
        }
    }
}

/* Extensions of what is needed in the low half only are what they extend. */
static void drop_extensions(struct ir_flow *flow)
{
    struct ir_block *block = &flow->out;

    for (u32 at = 0; at < block->count; at++) {
        struct ir_op *op = &block->op[at];

        flow->map[at] = (ir_value)at;
        for (u32 i = 0; i < ir_operands((enum ir_opcode)op->opcode); i++)
            op->arg[i] = flow->map[op->arg[i]];
        if ((op->opcode == IR_SX32 || op->opcode == IR_ZX32) && flow->need[at] == LOW) {
            flow->map[at] = op->arg[0];
            make_dead(op);
        }
    }
}

void ir_prune(struct ir_flow *flow)
{
    struct prune p = {.flow = flow, .block = &flow->out, .now = everything};

    for (u32 at = 0; at < p.block->count; at++)
        flow->need[at] = 0;
    for (u32 at = p.block->count; at-- > 0;)
        prune_op(&p, at);
    drop_extensions(flow);
}
