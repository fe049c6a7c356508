/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Guards: one look for a group of accesses, which then need none.
 *
 * A guard leaves the addend of its group in the frame; or, if the group has a site (window.c), sees
 * to it that the site holds it: nobody empties sites between two calls of the engine, and what is
 * emptied keeps its addend. Who misses looks at the TLB behind the code, where all sites share one
 * thunk, and then asks the engine, which may fill the TLB as the first access would.
 */
#include "jit/x86_64/compile.h"

_Static_assert(WINDOWS >= IR_GUARDS, "each guard in use has a place in the frame");

struct place window_place_sure(struct compile *x, u32 at)
{
    const struct window *w = window_of(x, at);
    struct rm base = slot_rm(x, w->slot);
    struct place place = {.loaded = base.memory};
    s64 offset;
    u32 slot;

    (void)ir_is_near_slot(x->block, x->block->op[at].arg[0], &slot, &offset);
    place.disp = (s32)offset;
    place.base = base.memory ? reg_take(x, SCRATCH) : (enum reg)base.reg;
    if (base.memory)
        emit_mov(&x->c, place.base, base);
    place.index = NO_REG;
    place.gs = w->view;
    if (w->view)
        return place;
    place.index = reg_take(x, SCRATCH);
    emit_mov(&x->c, place.index, window_addend(x, w));
    return place;
}

/* What the engine may do to the TLB if it must: what the next access does if it is the guard's own,
 * in the same instruction. */
static u32 first_access(const struct compile *x, u32 guard)
{
    const struct ir_op *op = x->block->op;

    for (u32 at = guard + 1; at < x->block->count && op[at].guest == op[guard].guest; at++) {
        if (op[at].opcode != IR_LOAD && op[at].opcode != IR_STORE)
            continue;
        if (x->window_of[at] != x->window_of[guard])
            return 0;
        return op[at].opcode == IR_STORE ? JIT_OPEN_STORE : JIT_OPEN_LOAD;
    }
    return 0;
}

static struct stub *guard_stub(struct compile *x, u32 at, const struct window *w)
{
    const struct ir_op *op = &x->block->op[at];
    struct stub *stub = stub_add(x, STUB_GUARD, op);

    stub->target = JIT_EXIT_GUARD | (s64)op->slot << JIT_EXIT_BITS;
    stub->disp = w->first;
    stub->how = (u32)op->size << JIT_OPEN_SIZE | first_access(x, at);
    stub->how |= w->write ? JIT_SITE_WRITE : 0;
    stub->how |= w->site == NO_SITE ? 0
                                    : w->site | x->mode << JIT_SITE_MODE |
                                          window_width(w) << JIT_OPEN_WIDTH | JIT_OPEN_SITE;
    stub->window = w->place;
    return stub;
}

/* Is it in the site's range? */
static void guard_by_site(struct compile *x, u32 at, const struct window *w, enum reg base)
{
    enum reg index = reg_take(x, SCRATCH);
    struct code *c = &x->c;
    struct stub *stub;

    window_first(c, w, index, base);
    emit_alu(c, ALU_SUB, index, site_rm(x, w, SITE_START));
    emit_alu(c, ALU_CMP, index, site_rm(x, w, SITE_ROOM));
    emit_jcc(c, CC_AE, NULL);
    stub = guard_stub(x, at, w);
    stub->resume = c->at;
    stub->address = (u8)base;
    reg_give(x, index);
}

/* Looks for the page of all. */
static void guard_by_probe(struct compile *x, u32 at, const struct window *w, enum reg base)
{
    const struct probe p = {.size = x->block->op[at].size, .write = w->write};
    enum reg address = base, index;
    struct stub *stub;

    if (w->first) {
        address = reg_take(x, SCRATCH);
        emit_lea(&x->c, address, base, NO_REG, w->first);
    }
    index = probe_emit(x, address, &p);
    stub = guard_stub(x, at, w);
    probe_addend(x, index, &p);
    emit_store(&x->c, window_addend(x, w), index);
    stub->resume = x->c.at;
    stub->address = (u8)base;
    reg_give(x, index);
    if (w->first)
        reg_give(x, address);
}

void compile_guard(struct compile *x, u32 at)
{
    const struct window *w = window_of(x, at);
    struct rm rm = slot_rm(x, w->slot);
    enum reg base = rm.memory ? reg_take(x, SCRATCH) : (enum reg)rm.reg;

    if (rm.memory)
        emit_mov(&x->c, base, rm);
    if (w->view) {
        view_check(x, base);
        view_guard(x, w, base, guard_stub(x, at, w));
    } else if (w->site != NO_SITE)
        guard_by_site(x, at, w, base);
    else {
        guard_by_probe(x, at, w, base);
    }
    if (rm.memory)
        reg_give(x, base);
    ASSERT((x->free & SCRATCH) == SCRATCH); /* the thunks take them all */
    op_release(x, at);
}

void stub_guard(struct compile *x, const struct stub *s)
{
    struct code *c = &x->c;
    u8 *miss;

    if (s->disp)
        emit_lea(c, RAX, s->address, NO_REG, s->disp);
    else
        emit_mov(c, RAX, rm_reg(s->address));
    emit_mov_imm(c, RDX, s->how);
    if (s->how & JIT_OPEN_SITE) {
        emit_call(c, x->b->guard_site[s->how & JIT_SITE_WRITE ? 1 : 0]);
        emit_jcc(c, CC_NE, s->resume);
        return;
    }
    emit_call(c, x->b->guard);
    emit_jcc(c, CC_E, NULL);
    miss = c->at;
    if (!(s->how & JIT_OPEN_VIEW))
        emit_store(c, window_rm(s->window), RAX);
    emit_jmp(c, s->resume);
    patch_rel(miss, c->at);
}

/* ---- thunks: rax: the first byte's address; edx: how, as the engine's open; ZF: not to be ---- */

/* A bit's distance is taken of memory as of a string of bits. */
static void emit_set_bit(struct code *c, struct rm bits, enum reg number)
{
    emit_op(c, false, 0x0fab, number, bits); /* BTS */
}

/* The site at rcx holds the page in rax with the addend in r11; edx: how. */
static void emit_fill(const struct jit_backend *b, struct code *c)
{
    const s32 sites = b->layout.sites;

    emit_store(c, rm_mem(RCX, sites + 8 * SITE_START), RAX);
    emit_store(c, rm_mem(RCX, sites + 8 * SITE_ADDEND), R11);
    emit_mov32(c, R11, rm_reg(RDX));
    emit_shift_imm(c, false, SHIFT_SHR, R11, JIT_OPEN_WIDTH);
    emit_alu_imm(c, false, ALU_AND, rm_reg(R11), 3);
    emit_alu(c, ALU_ADD, R11, rm_reg(R11));
    emit_mov_imm(c, RAX, 8);
    emit_shift_reg(c, SHIFT_SHL, RAX, rm_reg(RAX), R11);
    emit_op(c, true, 0xf7, 3, rm_reg(RAX)); /* NEG */
    emit_alu_imm(c, true, ALU_ADD, rm_reg(RAX), (1 << JIT_PAGE_BITS) + 1);
    emit_store(c, rm_mem(RCX, sites + 8 * SITE_ROOM), RAX);
    emit_mov32(c, RAX, rm_mem(RCX, sites + 8 * SITE_FILLS));
    emit_alu_imm(c, false, ALU_ADD, rm_mem(RCX, sites + 8 * SITE_FILLS), 1);
    emit_alu32(c, ALU_CMP, RAX, rm_mem(RCX, sites + 8 * SITE_FILLS + 4));
}

/* From edx: the pool to rcx, less layout.sites; the site's bit is set, and rcx moved on to it. */
static void emit_find_site(const struct jit_backend *b, struct code *c)
{
    emit_push(c, RDX);
    emit_mov32(c, RCX, rm_reg(RDX));
    emit_shift_imm(c, false, SHIFT_SHR, RCX, JIT_SITE_MODE);
    emit_alu_imm(c, false, ALU_AND, rm_reg(RCX), JIT_MODES_MAX - 1);
    emit_op(c, false, 0x69, RCX, rm_reg(RCX)); /* IMUL */
    emit32(c, b->layout.sites_next);
    emit_alu(c, ALU_ADD, RCX, rm_reg(NEAR_STATE));
    emit_alu_imm(c, true, ALU_ADD, rm_reg(RCX), -STATE_BIAS);
    emit_op(c, false, 0x0fb7, RDX, rm_reg(RDX)); /* MOVZX */
    emit_set_bit(c, rm_mem(RCX, b->layout.sites_used), RDX);
    emit_shift_imm(c, false, SHIFT_SHL, RDX, 5);
    emit_alu(c, ALU_ADD, RCX, rm_reg(RDX));
    emit_pop(c, RDX);
}

static void emit_open(const struct jit_backend *b, struct code *c)
{
    emit_kept_before(b, c);
    emit_call_c(c, (u64)(uintptr_t)b->engine.open);
    emit_kept_after(b, c, RDX, false); /* who is refused leaves with his registers */
}

/* Looks at the TLB for one page that holds all. */
static const u8 *emit_guard_site(const struct jit_backend *b, struct code *c, s32 table)
{
    const struct jit_layout *l = &b->layout;
    const u8 *start = c->at;
    u8 *miss, *done;

    emit_mov32(c, RCX, rm_reg(RDX));
    emit_shift_imm(c, false, SHIFT_SHR, RCX, JIT_OPEN_SIZE);
    emit_alu_imm(c, false, ALU_AND, rm_reg(RCX), 0xff);
    emit_op(c, true, 0xf7, 3, rm_reg(RCX)); /* NEG */
    emit_alu_imm(c, true, ALU_ADD, rm_reg(RCX), 1 << JIT_PAGE_BITS);
    emit_rorx(c, R11, RAX, JIT_PAGE_BITS - 4);
    emit_alu_imm(c, false, ALU_AND, rm_reg(R11), (s32)(((1u << l->tlb_bits) - 1) << 4));
    emit_alu(c, ALU_ADD, R11, state_rm(l->tlb));
    emit_push(c, RAX);
    emit_alu(c, ALU_XOR, RAX, rm_mem(R11, table));
    emit_alu(c, ALU_CMP, RAX, rm_reg(RCX));
    emit_pop(c, RAX);
    emit_jcc(c, CC_A, NULL);
    miss = c->at;
    emit_alu_imm(c, true, ALU_AND, rm_reg(RAX), -(1 << JIT_PAGE_BITS));
    emit_mov(c, R11, rm_mem(R11, table + 8));
    emit_find_site(b, c);
    emit_fill(b, c);
    emit_jcc(c, CC_BE, NULL);
    done = c->at;
    emit_store(c, state_rm(l->site), RDX);
    emit_alu_imm(c, true, ALU_SUB, rm_reg(RSP), 8);
    emit_call(c, b->widen);
    emit_alu_imm(c, true, ALU_ADD, rm_reg(RSP), 8);
    patch_rel(done, c->at);
    emit_test(c, RSP, RSP);
    emit_ret(c);
    patch_rel(miss, c->at);
    emit_open(b, c);
    return start;
}

void guard_thunks_emit(struct jit_backend *b, struct code *c)
{
    b->guard = c->at;
    emit_open(b, c);
    b->guard_site[0] = emit_guard_site(b, c, b->layout.tlb_read);
    b->guard_site[1] = emit_guard_site(b, c, b->layout.tlb_write);
}
