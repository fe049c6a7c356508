/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Stretches: straight code in which accesses by the view rely on comparisons of earlier ones.
 *
 * Who was below the view's end is so a little later, too, a few bytes on: what lies before and
 * behind the view takes that. And the view stays open until the engine is called for more than an
 * access. But who was not must not come to an access that does not compare. So there is a copy of
 * each stretch behind the region's code, in which all accesses by the view are the engine's: a
 * comparison that fails and an access that faults lead into it, right where that one access is
 * made, and it comes back at the stretch's end. Both are compiled in the same way from the same
 * state, so each value lies where it does in the other.
 */
#include "jit/x86_64/compile.h"

#define PAGE_BASE  32 /* IR_SLOT_PAGE as a base; the others are integer slots below it */
#define BASES      (PAGE_BASE + 1)
#define DRIFT_MAX  (1 << 20)        /* bytes, from what was compared to an access: of VIEW_SLACK */
#define OPS_MAX    (IR_OPS_MAX / 2) /* in all copies */
#define NOT_OPENED UINT32_MAX

struct finder {
    struct compile *x;
    u64 known;         /* a bit a base: it was compared */
    u32 opened[BASES]; /* where the instruction begins that did */
    s64 drift[BASES];  /* since, or more */
    u32 put[BASES];    /* one beyond the last operation that wrote it */
    u32 first, end;    /* of the stretch so far; end 0: there is none */
    u32 ops;
};

static u32 begin_of_insn(const struct compile *x, u32 at)
{
    while (at && x->block->op[at - 1].guest == x->block->op[at].guest &&
           x->block->op[at - 1].opcode != IR_LABEL)
        at--;
    return at;
}

static u32 end_of_insn(const struct compile *x, u32 at)
{
    const u16 guest = x->block->op[at].guest;

    while (at < x->block->count && x->block->op[at].guest == guest &&
           x->block->op[at].opcode != IR_LABEL)
        at++;
    return at;
}

/* Is v a base's present value and a little? */
static bool is_near(const struct finder *f, ir_value v, u32 *base, s64 *offset)
{
    const struct ir_op *op = f->x->block->op;
    u32 get = op[v].opcode == IR_ADD ? op[v].arg[0] : v;

    if (!ir_is_near_slot(f->x->block, v, base, offset) || *offset > DRIFT_MAX ||
        *offset < -DRIFT_MAX)
        return false;
    *base = *base == IR_SLOT_PAGE ? PAGE_BASE : *base;
    return *base <= PAGE_BASE && (*base < PAGE_BASE || op[get].imm == IR_SLOT_PAGE) &&
           get >= f->put[*base];
}

/* The stretch ends before here. */
static void finish(struct finder *f)
{
    struct compile *x = f->x;

    f->known = 0;
    if (!f->end)
        return;
    if (x->stretch_count < STRETCHES_MAX && f->ops + f->end - f->first <= OPS_MAX) {
        f->ops += f->end - f->first;
        x->stretch[x->stretch_count++] = (struct stretch){.first = f->first, .end = f->end};
    } else {
        for (u32 at = f->first; at < f->end; at++)
            x->relies[at] = false;
    }
    f->end = 0;
}

static void add_access(struct finder *f, u32 at)
{
    struct compile *x = f->x;
    s64 offset;
    u32 base;

    if (!is_near(f, x->block->op[at].arg[0], &base, &offset))
        return;
    if (!(f->known >> base & 1)) {
        f->known |= UINT64_C(1) << base;
        f->opened[base] = begin_of_insn(x, at);
        f->drift[base] = 0;
        return;
    }
    x->relies[at] = true;
    if (f->opened[base] == NOT_OPENED)
        return;
    if (!f->end || f->opened[base] < f->first)
        f->first = f->opened[base];
    f->end = end_of_insn(x, at);
}

/* Whoever goes on behind a guard has a view, and is in it, or near. */
static void add_guard(struct finder *f, const struct ir_op *guard)
{
    s64 offset;
    u32 base;

    finish(f);
    if (guard->access != IR_ACCESS_VIEW || !is_near(f, guard->arg[0], &base, &offset))
        return;
    f->known = UINT64_C(1) << base;
    f->opened[base] = NOT_OPENED;
    f->drift[base] = IR_GUARD_MAX;
}

static void add_put(struct finder *f, u32 at)
{
    const struct ir_op *op = &f->x->block->op[at];
    u32 to = (u32)op->imm, base;
    s64 offset;

    if (to >= PAGE_BASE)
        return;
    if (is_near(f, op->arg[0], &base, &offset) && f->known >> base & 1) {
        f->drift[to] = f->drift[base] + (offset < 0 ? -offset : offset);
        f->opened[to] = f->opened[base];
        f->known |= UINT64_C(1) << to;
        if (f->drift[to] > DRIFT_MAX)
            f->known &= ~(UINT64_C(1) << to);
    } else {
        f->known &= ~(UINT64_C(1) << to);
    }
    f->put[to] = at + 1;
}

static void add_op(struct finder *f, u32 at)
{
    const struct ir_op *op = &f->x->block->op[at];

    switch (op->opcode) {
    case IR_LOAD:
    case IR_STORE:
        if (op->access == IR_ACCESS_VIEW)
            add_access(f, at);
        else if (op->access == IR_ACCESS_TLB) /* a window is looked for once */
            finish(f);
        break;
    case IR_PUT:
        add_put(f, at);
        break;
    case IR_GUARD:
        add_guard(f, op);
        break;
    case IR_FENCE:
    case IR_FGUARD:
    case IR_BRANCH:
    case IR_LEAVE_IF:
    case IR_SKIP:
        break;
    default:
        if (!ir_has_result(op->opcode) && op->opcode != IR_FXSET)
            finish(f);
    }
}

void stretches_find(struct compile *x)
{
    struct finder f = {.x = x};

    for (u32 at = 0; at < x->block->count; at++) {
        x->relies[at] = false;
        add_op(&f, at);
    }
    finish(&f);
}

void stretch_begin(struct compile *x, struct stretch *s)
{
    s->base = x->base;
    if (x->in->lodger == NO_SLOT)
        x->in_stretch = s;
    for (u32 at = s->first; at < s->end && !x->in_stretch; at++)
        x->relies[at] = false;
}

void stretch_end(struct compile *x, struct stretch *s)
{
    s->back = x->in_stretch ? x->c.at : NULL;
    s->lodger = x->in->lodger;
    s->lodging = s->lodger == NO_SLOT ? (u8)NO_REG : x->slot_reg[s->lodger];
    x->in_stretch = NULL;
}

/* The copy's access: whoever cannot make it by the view comes here. */
void stretch_access(struct compile *x, struct stub *stub)
{
    struct stub s = *stub;

    if (s.from)
        patch_rel(s.from, x->c.at);
    stub->code = (u32)(x->c.at - x->b->buffer.write);
    x->away = s.away;
    s.back = NULL;
    stub_access(x, &s);
}

static void compile_copy(struct compile *x, const struct stretch *s)
{
    x->base = s->base;
    values_begin(x, s->first, s->end);
    for (u32 at = s->first; at < s->end; at++)
        compile_op(x, at);
    ASSERT(x->in->lodger == s->lodger);
    if (s->lodger != NO_SLOT) {
        ASSERT(x->slot_reg[s->lodger] == s->lodging);
        region_unlodge(x, s->lodger);
    }
    emit_jmp(&x->c, s->back);
}

void stretches_copy(struct compile *x)
{
    x->copies = true;
    for (u32 i = 0; i < x->stretch_count; i++) {
        if (x->stretch[i].back)
            compile_copy(x, &x->stretch[i]);
    }
    x->copies = false;
}
