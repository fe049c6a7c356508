/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Windows: accesses near each other share one look at the TLB.
 *
 * Code saves registers on the stack, walks structures and unrolls loops: accesses in a row add
 * different offsets to a slot that does not change between them. The first of such a group asks for
 * the page of them all and leaves the page's addend in the frame, or 0 where they do not lie in one
 * page of the TLB; then each goes its own way to the engine. What ends a group: a label, a call (it
 * may change the TLB), a new value of the slot. Nobody else drops an entry between two polls
 * without asking first (rv/code_map.h).
 */
#include "jit/x86_64/compile.h"

#include <string.h>

#define SPAN_MAX 128 /* bytes: the wider, the sooner it crosses a page */

/* Groups that may still grow, by the place in the frame that is theirs. */
struct open {
    struct window *window[WINDOWS];
    u32 last; /* opened */
};

/* Is v a slot's value, or the page that runs, and a constant? */
static bool is_near_slot(const struct compile *x, ir_value v, u32 *slot, s32 *offset)
{
    const struct ir_op *op = &x->block->op[v];
    u64 constant = 0;

    if (op->opcode == IR_ADD) {
        if (!ir_is_const(x->block, op->arg[1], &constant) || x->value[v].uses != 1)
            return false;
        op = &x->block->op[op->arg[0]];
    }
    if (op->opcode != IR_GET || !fits_s32(constant) ||
        (op->imm >= SLOTS_MAX && op->imm != IR_SLOT_PAGE))
        return false;
    *slot = (u32)op->imm;
    *offset = (s32)constant;
    return true;
}

static struct window *find_open(const struct open *open, u32 slot, bool write)
{
    for (u32 i = 0; i < WINDOWS; i++) {
        struct window *w = open->window[i];
        if (w && w->slot == slot && w->write == write)
            return w;
    }
    return NULL;
}

static struct window *begin(struct compile *x, struct open *open, u32 slot, bool write)
{
    struct window *w = &x->window[x->window_count];

    if (x->window_count == WINDOWS_MAX)
        return NULL;
    x->window_count++;
    open->last = (open->last + 1) % WINDOWS;
    *w = (struct window){.slot = slot, .write = write, .place = (u8)open->last};
    open->window[open->last] = w;
    return w;
}

static void close_slot(struct open *open, u32 slot)
{
    for (u32 i = 0; i < WINDOWS; i++) {
        if (open->window[i] && open->window[i]->slot == slot)
            open->window[i] = NULL;
    }
}

/* Takes [first, end) into the window unless it gets too wide. */
static bool widen(struct window *w, s32 first, s32 end)
{
    if (w->count && w->first < first)
        first = w->first;
    if (w->count && w->end > end)
        end = w->end;
    if ((s64)end - first > SPAN_MAX)
        return false;
    w->first = first;
    w->end = end;
    w->count++;
    return true;
}

/* What may be written may be read: a load looks for a window of stores first. */
static void add_access(struct compile *x, struct open *open, u32 at)
{
    const struct ir_op *op = &x->block->op[at];
    bool write = op->opcode == IR_STORE;
    struct window *w;
    s32 offset;
    u32 slot;

    if (!is_near_slot(x, op->arg[0], &slot, &offset) || offset > INT32_MAX - 8)
        return;
    w = find_open(open, slot, true);
    if (!w && !write)
        w = find_open(open, slot, false);
    if (w && !widen(w, offset, offset + op->size)) {
        open->window[w->place] = NULL;
        w = NULL;
    }
    if (!w) {
        w = begin(x, open, slot, write);
        if (!w)
            return;
        (void)widen(w, offset, offset + op->size);
    }
    x->window_of[at] = (u16)(w - x->window);
}

void windows_find(struct compile *x)
{
    struct open open = {.last = 0};

    x->window_count = 0;
    for (u32 at = 0; at < x->block->count; at++) {
        const struct ir_op *op = &x->block->op[at];

        x->window_of[at] = WINDOWS_MAX;
        if (op->opcode == IR_LOAD || op->opcode == IR_STORE)
            add_access(x, &open, at);
        else if (op->opcode == IR_PUT && op->imm < SLOTS_MAX)
            close_slot(&open, (u32)op->imm);
        else if (op->opcode == IR_LABEL || op->opcode == IR_CALL ||
                 op->opcode == IR_ATOMIC) /* it may be a call */
            memset(open.window, 0, sizeof(open.window));
    }
}

struct window *window_of(struct compile *x, u32 at)
{
    u32 n = x->window_of[at];

    return n < WINDOWS_MAX && x->window[n].count > 1 ? &x->window[n] : NULL;
}

bool window_takes_address(struct compile *x, u32 at)
{
    const struct ir_op *op = &x->block->op[at];

    if (op->opcode != IR_ADD || x->value[at].uses != 1)
        return false;
    for (u32 i = at + 1; i < x->block->count && x->block->op[i].guest == op->guest; i++) {
        const struct ir_op *user = &x->block->op[i];
        if ((user->opcode == IR_LOAD || user->opcode == IR_STORE) && user->arg[0] == at)
            return window_of(x, i) != NULL;
    }
    return false;
}

/* The first access: looks for the page of all. At most four scratch registers are at hand. */
static void open_window(struct compile *x, struct window *w, struct place *place, struct stub *stub)
{
    const struct probe p = {.size = (u32)(w->end - w->first), .write = w->write};
    struct rm base = slot_rm(x, w->slot);

    place->loaded = base.memory || w->first;
    place->base = place->loaded ? reg_take(x, SCRATCH) : (enum reg)base.reg;
    place->disp -= w->first;
    if (base.memory)
        emit_mov(&x->c, place->base, base);
    if (w->first)
        emit_lea(&x->c, place->base, base.memory ? place->base : (enum reg)base.reg, NO_REG,
                 w->first);
    place->index = probe_emit(x, place->base, &p);
    place->spare = reg_take(x, SCRATCH);
    stub->from = x->c.at;
    stub->window = w->place + 1u;
    probe_addend(x, place->index, &p);
    emit_store(&x->c, window_rm(w->place), place->index);
    w->opened = true;
}

static void use_window(struct compile *x, const struct window *w, struct place *place,
                       struct stub *stub)
{
    struct rm base = slot_rm(x, w->slot);

    place->loaded = base.memory;
    place->base = base.memory ? reg_take(x, SCRATCH) : (enum reg)base.reg;
    if (base.memory)
        emit_mov(&x->c, place->base, base);
    place->index = reg_take(x, SCRATCH);
    place->spare = reg_take(x, SCRATCH);
    emit_mov(&x->c, place->index, window_rm(w->place));
    emit_test(&x->c, place->index, place->index);
    emit_jcc(&x->c, CC_E, NULL);
    stub->from = x->c.at;
}

struct place window_place(struct compile *x, u32 at, struct window *w, struct stub *stub)
{
    struct place place = {0};
    u32 slot;

    (void)is_near_slot(x, x->block->op[at].arg[0], &slot, &place.disp);
    if (w->opened)
        use_window(x, w, &place, stub);
    else
        open_window(x, w, &place, stub);
    stub->address = (u8)place.base;
    stub->disp = place.disp;
    stub->alone = x->in; /* blocks are many: theirs go to the engine, which looks there, too */
    stub->index = (u8)place.index;
    stub->spare = (u8)place.spare;
    reg_give(x, place.spare);
    return place;
}
