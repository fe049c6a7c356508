/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Windows: accesses near each other share one look at the TLB.
 *
 * Code saves registers on the stack, walks structures and unrolls loops: accesses in a row add
 * different offsets to a slot that does not change between them. The first of such a group asks for
 * the page of them all and leaves the page's addend in the frame, or 0 where they do not lie in one
 * page of the TLB; then each goes its own way to the engine. What ends a group: a label, a call (it
 * may change the TLB), a new value of the slot. Nobody else drops an entry between two polls
 * without asking first (rv/code_map.h). That is for blocks: in regions groups have GUARDs
 * (guard.c), and windows are these and what accesses alone in loops need.
 */
#include "jit/x86_64/compile.h"

#include <string.h>

#define SPAN_MAX 128 /* bytes: the wider, the sooner it crosses a page */

/*
 * In loops of regions each guard has a site (layout.sites), and each access without one, too: a
 * range of addresses that the group was in last, and its addend, at a constant displacement from
 * the state, so that nothing has to be loaded before the address of the access is known but what
 * does not depend on it. What finds itself out of the range looks at the TLB behind the code and
 * fills the site. All sites of a region differ, so the addend is there for the rest of its group.
 *
 * Regions share sites in the end. Whatever a site was filled for must be right for whoever else has
 * it: those for reads and for writes differ, and those for groups of different widths.
 */
#define PARTS    (2 * SITE_WIDTHS)
#define PART_MAX 100 /* sites of a region in each part of the pool, of which it has more */

static const u8 site_widths[SITE_WIDTHS] = {8, 32, SPAN_MAX};

/* Groups that may still grow, by the place in the frame that is theirs. */
struct open {
    struct window *window[WINDOWS];
    u32 last; /* opened */
};

/* Is v a slot's value, or the page that runs, and a constant, and computed for this alone? */
static bool is_near_slot(const struct compile *x, ir_value v, u32 *slot, s32 *offset)
{
    s64 constant;

    if (!ir_is_near_slot(x->block, v, slot, &constant) || !fits_s32((u64)constant) ||
        (*slot >= SLOTS_MAX && *slot != IR_SLOT_PAGE))
        return false;
    *offset = (s32)constant;
    return x->block->op[v].opcode == IR_GET || x->value[v].uses == 1;
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
    *w = (struct window){.slot = slot, .write = write, .place = (u8)open->last, .site = NO_SITE};
    w->in_loop = x->in_loop;
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

static void add_guard(struct compile *x, struct open *open, u32 at)
{
    const struct ir_op *op = &x->block->op[at];
    u32 slot = (u32)x->block->op[op->arg[0]].imm;
    struct window *w;

    close_slot(open, slot);
    w = begin(x, open, slot, op->kind);
    ASSERT(w);
    w->guard = true;
    w->view = op->access == IR_ACCESS_VIEW;
    w->count = 1;
    w->first = (s32)op->imm;
    w->end = (s32)op->imm + op->size;
    x->window_of[at] = (u16)(w - x->window);
}

/* A sure access is in the last guard of its slot; nothing else keeps it within the guest's memory.
 */
static void use_guard(struct compile *x, const struct open *open, u32 at)
{
    const struct ir_op *op = &x->block->op[at];
    const struct window *w = NULL;
    s64 offset;
    u32 slot;
    bool near = ir_is_near_slot(x->block, op->arg[0], &slot, &offset);

    for (u32 i = 0; i < WINDOWS; i++) {
        if (open->window[i] && open->window[i]->guard && open->window[i]->slot == slot)
            w = open->window[i];
    }
    ASSERT(near && w && offset >= w->first && offset + op->size <= w->end);
    ASSERT(op->opcode == IR_LOAD || w->write);
    x->window_of[at] = (u16)(w - x->window);
}

/* An access in a loop has a site of its own. */
static void add_alone(struct compile *x, u32 at, u32 slot, s32 offset)
{
    const struct ir_op *op = &x->block->op[at];
    struct window *w = &x->window[x->window_count];

    const bool view = op->access == IR_ACCESS_VIEW;

    if ((!x->in_loop && !view) || x->window_count >= WINDOWS_MAX - IR_GUARDS_ALL)
        return;
    x->window_count++;
    *w = (struct window){.slot = slot,
                         .first = offset,
                         .end = offset + op->size,
                         .count = 1,
                         .write = op->opcode == IR_STORE,
                         .site = NO_SITE,
                         .in_loop = x->in_loop,
                         .view = view};
    x->window_of[at] = (u16)(w - x->window);
}

/*
 * What may be written may be read: a load looks for a window of stores first, and a store that is
 * certain to follow makes a window of loads one of stores.
 */
static void add_access(struct compile *x, struct open *open, u32 at)
{
    const struct ir_op *op = &x->block->op[at];
    bool write = op->opcode == IR_STORE;
    struct window *w;
    s32 offset;
    u32 slot;

    if (op->access == IR_ACCESS_SURE) {
        use_guard(x, open, at);
        return;
    }
    if (!is_near_slot(x, op->arg[0], &slot, &offset) || offset > INT32_MAX - 8)
        return;
    if (x->in || op->access == IR_ACCESS_VIEW) { /* in regions what can share a look has a GUARD */
        add_alone(x, at, slot, offset);
        return;
    }
    w = find_open(open, slot, true);
    if (!w)
        w = find_open(open, slot, false);
    if (w && write && !w->write && w->branched)
        w = NULL;
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
    w->write |= write;
    x->window_of[at] = (u16)(w - x->window);
}

static void note_branch(const struct open *open)
{
    for (u32 i = 0; i < WINDOWS; i++) {
        if (open->window[i])
            open->window[i]->branched = true;
    }
}

static void find(struct compile *x)
{
    struct open open = {.last = 0};

    x->window_count = 0;
    for (u32 at = 0; at < x->block->count; at++) {
        const struct ir_op *op = &x->block->op[at];

        x->window_of[at] = WINDOWS_MAX;
        if (op->opcode == IR_LOAD || op->opcode == IR_STORE)
            add_access(x, &open, at);
        else if (op->opcode == IR_GUARD)
            add_guard(x, &open, at);
        else if (op->opcode == IR_BRANCH || op->opcode == IR_LEAVE_IF)
            note_branch(&open);
        else if (op->opcode == IR_PUT && op->imm < SLOTS_MAX)
            close_slot(&open, (u32)op->imm);
        else if (op->opcode == IR_LABEL || op->opcode == IR_CALL || op->opcode == IR_ATOMIC ||
                 op->opcode == IR_ZERO) /* they may be calls */
            memset(open.window, 0, sizeof(open.window));
        if (op->opcode == IR_LABEL && x->in)
            x->in_loop = x->in->label[region_label(x, op->imm)].depth;
    }
}

void windows_find(struct compile *x)
{
    x->in_loop = false;
    x->has_sites = false;
    find(x);
}

u32 window_width(const struct window *w)
{
    u32 n = 0;

    while (site_widths[n] < w->end - w->first)
        n++;
    return n;
}

/* Kernels change what they may access for a few accesses only: that would empty the pool often. */
static bool may_change_mode(const struct compile *x)
{
    bool calls = false;

    for (u32 i = 0; i < x->block->count; i++)
        calls |= x->block->op[i].opcode == IR_CALL;
    return calls && !(x->b->layout.modes_kept >> x->mode & 1);
}

/* The sites of a mode's pool are given out in turn. */
void windows_find_in_region(struct compile *x, struct jit_compiler *compiler, u32 mode)
{
    const u32 size = x->b->layout.sites_count / PARTS;
    u32 given[PARTS] = {0};

    windows_find(x);
    if (mode == JIT_NO_SITES)
        return;
    ASSERT(mode < JIT_MODES_MAX);
    x->mode = mode;
    if (size <= PART_MAX || may_change_mode(x))
        return;
    for (u32 i = 0; i < x->window_count; i++) {
        struct window *w = &x->window[i];
        u32 part = window_width(w) * 2 + w->write, *next = &compiler->sites[mode][part];
        if (!w->in_loop || w->view || given[part]++ >= PART_MAX)
            continue;
        w->site = (u16)(part * size + *next);
        *next = (*next + 1) % size;
        x->has_sites = true;
    }
}

struct window *window_of(struct compile *x, u32 at)
{
    u32 n = x->window_of[at];

    if (n == WINDOWS_MAX || (x->window[n].count == 1 && !x->window[n].guard && !x->window[n].view &&
                             x->window[n].site == NO_SITE))
        return NULL;
    return &x->window[n];
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

struct rm site_rm(const struct compile *x, const struct window *w, u32 field)
{
    const struct jit_layout *l = &x->b->layout;

    return state_rm(l->sites + (s32)(l->sites_next * x->mode + 32u * w->site + 8 * field));
}

struct rm window_addend(const struct compile *x, const struct window *w)
{
    return w->site == NO_SITE ? rm_mem(RSP, (s32)w->place * 8) : site_rm(x, w, SITE_ADDEND);
}

void window_first(struct code *c, const struct window *w, enum reg to, enum reg base)
{
    if (w->first)
        emit_lea(c, to, base, NO_REG, w->first);
    else
        emit_mov(c, to, rm_reg(base));
}

/* The first access: is it in the site's range? */
static void look_at_site(struct compile *x, struct window *w, struct place *place,
                         struct stub *stub)
{
    struct rm base = slot_rm(x, w->slot);
    struct code *c = &x->c;

    place->loaded = base.memory;
    place->base = base.memory ? reg_take(x, SCRATCH) : (enum reg)base.reg;
    if (base.memory)
        emit_mov(c, place->base, base);
    place->index = reg_take(x, SCRATCH);
    place->spare = reg_take(x, SCRATCH);
    window_first(c, w, place->index, place->base);
    emit_alu(c, ALU_SUB, place->index, site_rm(x, w, SITE_START));
    emit_alu(c, ALU_CMP, place->index, site_rm(x, w, SITE_ROOM));
    emit_jcc(c, CC_AE, NULL);
    stub->from = c->at;
    stub->site = w;
    emit_mov(c, place->index, site_rm(x, w, SITE_ADDEND));
    stub->resume = c->at;
    w->opened = true;
}

static void fill_site(struct compile *x, const struct stub *s, u32 table)
{
    const struct jit_layout *l = &x->b->layout;
    const struct window *w = s->site;
    enum reg e = s->index, t = s->spare;
    struct code *c = &x->c;
    const struct rm fills = site_rm(x, w, SITE_FILLS);
    struct rm used = state_rm(l->sites_used + (s32)(l->sites_next * x->mode + w->site / 32 * 4u));

    window_first(c, w, t, s->address);
    emit_alu_imm(c, true, ALU_AND, rm_reg(t), -(1 << JIT_PAGE_BITS));
    emit_mov(c, e, rm_mem(e, (s32)table + 8));
    emit_store(c, site_rm(x, w, SITE_START), t);
    emit_store_imm(c, site_rm(x, w, SITE_ROOM),
                   (1 << JIT_PAGE_BITS) + 1 - site_widths[window_width(w)]);
    emit_store(c, site_rm(x, w, SITE_ADDEND), e);
    emit_alu_imm(c, false, ALU_OR, used, (s32)(1u << w->site % 32));
    emit_mov32(c, t, fills);
    emit_alu_imm(c, false, ALU_ADD, fills, 1);
    emit_alu32(c, ALU_CMP, t, rm_mem(NEAR_STATE, fills.disp + 4));
    emit_jcc(c, CC_BE, s->resume);
    emit_store_imm(c, state_rm(l->site),
                   (s32)(w->site | x->mode << 16 | (w->write ? JIT_SITE_WRITE : 0)));
    emit_call(c, x->b->widen);
    emit_jmp(c, s->resume);
}

void stub_site(struct compile *x, const struct stub *s)
{
    const struct jit_layout *l = &x->b->layout;
    const struct window *w = s->site;
    const u32 table = w->write ? (u32)l->tlb_write : (u32)l->tlb_read;
    enum reg e = s->index, t = s->spare;
    struct code *c = &x->c;
    u8 *miss;

    window_first(c, w, t, s->address);
    emit_rorx(c, e, t, JIT_PAGE_BITS - 4);
    emit_alu_imm(c, false, ALU_AND, rm_reg(e), (s32)(((1u << l->tlb_bits) - 1) << 4));
    emit_alu(c, ALU_ADD, e, state_rm(l->tlb));
    emit_alu(c, ALU_XOR, t, rm_mem(e, (s32)table));
    emit_alu_imm(c, true, ALU_CMP, rm_reg(t), (1 << JIT_PAGE_BITS) - (w->end - w->first));
    emit_jcc(c, CC_A, NULL);
    miss = c->at;
    fill_site(x, s, table);
    patch_rel(miss, c->at);
}

void window_compare_mode(struct compile *x)
{
    emit_alu_imm(&x->c, false, ALU_CMP, state_rm(x->b->layout.mode), (s32)x->mode);
}

void window_adopt_mode(struct compile *x)
{
    emit_mov_imm(&x->c, RAX, x->mode);
    emit_call(&x->c, x->b->adopt);
}

void window_check_mode(struct compile *x)
{
    u8 *skip;

    if (!x->has_sites)
        return;
    window_compare_mode(x);
    skip = emit_jcc_short(&x->c, CC_E);
    window_adopt_mode(x);
    (void)short_end(&x->c, skip);
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
    emit_store(&x->c, window_addend(x, w), place->index);
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
    emit_mov(&x->c, place->index, window_addend(x, w));
    emit_test(&x->c, place->index, place->index);
    emit_jcc(&x->c, CC_E, NULL);
    stub->from = x->c.at;
}

struct place window_place(struct compile *x, u32 at, struct window *w, struct stub *stub)
{
    struct place place = {0};
    u32 slot;

    (void)is_near_slot(x, x->block->op[at].arg[0], &slot, &place.disp);
    if (w->view) {
        struct rm base = slot_rm(x, w->slot);
        enum reg reg = base.memory ? reg_take(x, SCRATCH) : (enum reg)base.reg;
        if (base.memory)
            emit_mov(&x->c, reg, base);
        return view_place(x, at, reg, base.memory, place.disp, stub);
    }
    if (w->opened)
        use_window(x, w, &place, stub);
    else if (w->site != NO_SITE)
        look_at_site(x, w, &place, stub);
    else
        open_window(x, w, &place, stub);
    stub->address = (u8)place.base;
    stub->disp = place.disp;
    stub->index = (u8)place.index;
    stub->spare = (u8)place.spare;
    reg_give(x, place.spare);
    return place;
}
