/* SPDX-License-Identifier: BSD-2-Clause */
/* Code that all blocks share: the way in and out, calls into the engine, indirect jumps. */
#include "jit/x86_64/backend.h"

const u8 pinned_regs[PINNED_MAX] = {RBX, R12, R13, R14, R15, RSI, RDI, R8, R9};

static const u8 callee_saved[] = {RBX, RBP, R12, R13, R14, R15};

/* Pinned registers first..last to (or from) their slots. */
static void sync(const struct jit_backend *b, struct code *c, u32 first, bool out)
{
    for (u32 i = first; i < b->pinned_count; i++) {
        struct rm slot = state_rm(b->layout.slot + 8 * (s32)b->pinned[i]);
        if (out)
            emit_store(c, slot, pinned_regs[i]);
        else
            emit_mov(c, pinned_regs[i], slot);
    }
}

/* The count to the state; COUNT may be lost. */
static void emit_count_out(const struct jit_backend *b, struct code *c)
{
    emit_alu(c, ALU_ADD, COUNT, state_rm(b->layout.turn));
    emit_store(c, state_rm(b->layout.count), COUNT);
}

/* From there; whom C code wants looked after, also at another limit, has his turn at once. */
static void emit_count_in(const struct jit_backend *b, struct code *c)
{
    u8 *nobody;

    emit_mov(c, COUNT, state_rm(b->layout.count));
    emit_alu_imm(c, false, ALU_CMP, state_rm(b->layout.attn), 0);
    nobody = emit_jcc_short(c, CC_E);
    emit_store(c, state_rm(b->layout.turn), COUNT);
    (void)short_end(c, nobody);
    emit_alu(c, ALU_SUB, COUNT, state_rm(b->layout.turn));
}

/* The same for a region, which has stored layout.left. */
static void emit_left_out(const struct jit_backend *b, struct code *c, enum reg by)
{
    emit_mov(c, by, state_rm(b->layout.left));
    emit_alu(c, ALU_ADD, by, state_rm(b->layout.turn));
    emit_store(c, state_rm(b->layout.count), by);
}

/* The turn of a count, at the limit at the latest; `to` may not be RAX. */
static void emit_next_turn(const struct jit_backend *b, struct code *c, enum reg to, enum reg count)
{
    const s32 limit = b->layout.limit;

    emit_lea(c, to, count, NO_REG, JIT_TURN);
    if (limit) {
        emit_alu(c, ALU_CMP, to, state_rm(limit));
        emit_cmov(c, CC_A, to, state_rm(limit));
    }
}

/* The first one of an entry, at once if somebody waits. Changes RCX. */
static void emit_turn_begin(const struct jit_backend *b, struct code *c)
{
    emit_mov(c, COUNT, state_rm(b->layout.count));
    emit_next_turn(b, c, RCX, COUNT);
    emit_alu_imm(c, false, ALU_CMP, state_rm(b->layout.attn), 0);
    emit_cmov(c, CC_NE, RCX, rm_reg(COUNT));
    emit_store(c, state_rm(b->layout.turn), RCX);
    emit_alu(c, ALU_SUB, COUNT, rm_reg(RCX));
}

static void emit_enter(struct jit_backend *b, struct code *c)
{
    b->enter = c->at; /* u32 enter(void *state, const void *code) */
    for (u32 i = 0; i < sizeof(callee_saved); i++)
        emit_push(c, callee_saved[i]);
    emit_alu_imm(c, true, ALU_SUB, rm_reg(RSP), FRAME);
    emit_lea(c, NEAR_STATE, RDI, NO_REG, STATE_BIAS);
    emit_mov(c, RAX, rm_reg(RSI));
    emit_op(c, false, 0xc7, 0, state_rm(b->layout.fp_live));
    emit32(c, 0);
    sync(b, c, 0, false);
    emit_turn_begin(b, c);
    emit_jmp_rm(c, rm_reg(RAX));
}

static void emit_leave(struct jit_backend *b, struct code *c)
{
    const u8 *synced;

    b->leave_page = c->at;
    emit_alu(c, ALU_ADD, RAX, state_rm(b->layout.page));
    b->leave_pc = c->at;
    emit_alu_imm(c, true, ALU_AND, rm_reg(RAX), -2);
    emit_store(c, state_rm(b->layout.pc), RAX);
    emit_mov_imm(c, RAX, JIT_EXIT_LOOKUP);
    b->leave = c->at;
    sync(b, c, 0, true);
    emit_count_out(b, c);
    emit_fp_out(b, c, COUNT, RSI);
    synced = c->at;
    emit_alu_imm(c, true, ALU_ADD, rm_reg(RSP), FRAME);
    for (u32 i = sizeof(callee_saved); i-- > 0;)
        emit_pop(c, callee_saved[i]);
    emit_ret(c);

    b->chain = c->at;
    emit_op(c, false, 0x89, R11, state_rm(b->layout.patch));
    emit_op(c, false, 0x89, RCX, state_rm(b->layout.source));
    emit_alu(c, ALU_ADD, RAX, state_rm(b->layout.page));
    emit_store(c, state_rm(b->layout.pc), RAX);
    emit_mov_imm(c, RAX, JIT_EXIT_CHAIN);
    emit_jmp(c, b->leave);

    b->leave_jumped = c->at;
    emit_op(c, false, 0x89, R11, state_rm(b->layout.patch));
    emit_alu_imm(c, true, ALU_AND, rm_reg(RAX), -2);
    emit_store(c, state_rm(b->layout.pc), RAX);
    emit_mov_imm(c, RAX, JIT_EXIT_JUMPED);
    emit_jmp(c, b->leave);
    b->leave_synced = synced;
}

/* After an engine function said no: the state is exact already, but for callee-saved registers. */
static void emit_fault(const struct jit_backend *b, struct code *c, bool all_synced)
{
    if (!all_synced) {
        for (u32 i = 0; i < PINNED_SAVED && i < b->pinned_count; i++)
            emit_store(c, state_rm(b->layout.slot + 8 * (s32)b->pinned[i]), pinned_regs[i]);
    }
    emit_alu_imm(c, true, ALU_ADD, rm_reg(RSP), 16); /* the thunk's own and its return address */
    emit_mov_imm(c, RAX, JIT_EXIT_FAULT);
    emit_jmp(c, b->leave_synced);
}

/* Slots in registers that C may change go to the state, and the count. */
static void emit_before_access(const struct jit_backend *b, struct code *c)
{
    emit_alu_imm(c, true, ALU_SUB, rm_reg(RSP), 8);
    sync(b, c, PINNED_SAVED, true);
    emit_count_out(b, c);
    emit_fp_out(b, c, COUNT, RSI);
    emit_state(c, RDI);
    emit_mov(c, RSI, rm_reg(RAX));
}

static void emit_after_access(const struct jit_backend *b, struct code *c, enum reg ok)
{
    u8 *fault;

    emit_test(c, ok, ok);
    emit_jcc(c, CC_E, NULL);
    fault = c->at;
    sync(b, c, PINNED_SAVED, false);
    emit_fp_in(b, c);
    emit_count_in(b, c);
    emit_alu_imm(c, true, ALU_ADD, rm_reg(RSP), 8);
    emit_ret(c);
    patch_rel(fault, c->at);
    emit_fault(b, c, false);
}

void emit_call_c(struct code *c, u64 function)
{
    emit_mov_imm(c, RAX, function);
    emit_call_rm(c, rm_reg(RAX));
}

static void emit_accesses(struct jit_backend *b, struct code *c)
{
    b->load = c->at;
    emit_before_access(b, c);
    emit_mov32(c, RDX, rm_reg(RCX));
    emit_mov32(c, RCX, rm_reg(R11));
    emit_call_c(c, (u64)(uintptr_t)b->engine.load);
    emit_after_access(b, c, RDX);

    b->store = c->at;
    emit_before_access(b, c);
    emit_mov32(c, R8, rm_reg(R11));
    emit_call_c(c, (u64)(uintptr_t)b->engine.store);
    emit_after_access(b, c, RAX);
}

/* rdx: imm, r11d: where. The jump for a refusal ends where this returns, and is to be filled in. */
static u8 *emit_call_to_engine(const struct jit_backend *b, struct code *c, u64 function)
{
    emit_fp_out(b, c, COUNT, RSI);
    emit_state(c, RDI);
    emit_mov(c, RSI, rm_reg(RDX));
    emit_mov32(c, RDX, rm_reg(R11));
    emit_call_c(c, function);
    emit_test(c, RAX, RAX);
    emit_jcc(c, CC_E, NULL);
    return c->at;
}

static void emit_engine_call(struct jit_backend *b, struct code *c)
{
    u8 *fault;

    b->call = c->at;
    emit_alu_imm(c, true, ALU_SUB, rm_reg(RSP), 8);
    sync(b, c, 0, true);
    emit_count_out(b, c);
    fault = emit_call_to_engine(b, c, (u64)(uintptr_t)b->engine.call);
    sync(b, c, 0, false);
    emit_fp_in(b, c);
    emit_count_in(b, c);
    emit_alu_imm(c, true, ALU_ADD, rm_reg(RSP), 8);
    emit_ret(c);
    patch_rel(fault, c->at);
    emit_fault(b, c, true);
}

/* The engine has said what layout.fp_live is to be. */
static void emit_go(const struct jit_backend *b, struct code *c, bool bare)
{
    u8 *fault;

    emit_alu_imm(c, true, ALU_SUB, rm_reg(RSP), 8);
    if (!bare) {
        sync(b, c, 0, true);
        emit_count_out(b, c);
    } else {
        emit_left_out(b, c, COUNT);
    }
    fault = emit_call_to_engine(b, c, (u64)(uintptr_t)b->engine.go);
    sync(b, c, 0, false);
    emit_turn_begin(b, c);
    emit_mov(c, RAX, state_rm(b->layout.pc));
    emit_alu_imm(c, true, ALU_ADD, rm_reg(RSP), 8);
    emit_ret(c);
    patch_rel(fault, c->at);
    emit_fault(b, c, true);
}

/* For what touches no slot in an integer register: those in callee-saved ones stay there. */
static void emit_engine_call_apart(struct jit_backend *b, struct code *c)
{
    b->call_apart = c->at;
    emit_before_access(b, c);
    emit_mov(c, RSI, rm_reg(RDX));
    emit_mov32(c, RDX, rm_reg(R11));
    emit_call_c(c, (u64)(uintptr_t)b->engine.call);
    emit_after_access(b, c, RAX);
}

static const u8 kept[] = {RSI, RDI, R8, R9, R10}; /* C may change them */

_Static_assert(sizeof(kept) % 2 == 1, "with the return address, the stack stays aligned");

void emit_kept_before(const struct jit_backend *b, struct code *c)
{
    for (u32 i = 0; i < sizeof(kept); i++)
        emit_push(c, kept[i]);
    emit_fp_out(b, c, COUNT, RSI);
    emit_state(c, RDI);
    emit_mov(c, RSI, rm_reg(RAX));
}

void emit_kept_after(const struct jit_backend *b, struct code *c, enum reg ok, bool synced)
{
    u8 *fault = NULL;

    if (synced) {
        emit_test(c, ok, ok);
        emit_jcc(c, CC_E, NULL);
        fault = c->at;
    }
    emit_fp_in(b, c);
    if (synced)
        patch_rel(fault, c->at);
    for (u32 i = sizeof(kept); i-- > 0;)
        emit_pop(c, kept[i]);
    emit_test(c, ok, ok);
    emit_ret(c);
}

static void emit_kept(struct jit_backend *b, struct code *c)
{
    b->load_kept = c->at;
    emit_kept_before(b, c);
    emit_left_out(b, c, COUNT);
    emit_mov32(c, RDX, rm_reg(RCX));
    emit_mov32(c, RCX, rm_reg(R11));
    emit_call_c(c, (u64)(uintptr_t)b->engine.load);
    emit_kept_after(b, c, RDX, true);

    b->store_kept = c->at;
    emit_kept_before(b, c);
    emit_left_out(b, c, COUNT);
    emit_mov32(c, R8, rm_reg(R11));
    emit_call_c(c, (u64)(uintptr_t)b->engine.store);
    emit_kept_after(b, c, RAX, true);

    b->call_kept = c->at;
    emit_kept_before(b, c);
    emit_left_out(b, c, COUNT);
    emit_mov(c, RSI, rm_reg(RDX));
    emit_mov32(c, RDX, rm_reg(R11));
    emit_call_c(c, (u64)(uintptr_t)b->engine.call);
    emit_kept_after(b, c, RAX, true);
}

/*
 * rax: what a view does not serve. If the TLB does and there is credit left, it is made the host's
 * address, else the engine is called, RCX being how. Changes RCX.
 */
static void emit_look(const struct jit_backend *b, struct code *c, u32 how, bool store,
                      const u8 *engine)
{
    const struct jit_layout *l = &b->layout;
    const s32 size = how & 0xff;
    const struct rm tag = rm_mem(RCX, store ? l->tlb_write : l->tlb_read);
    u8 *hit, *lent;

    emit_rorx(c, RCX, RAX, JIT_PAGE_BITS - 4);
    emit_alu_imm(c, false, ALU_AND, rm_reg(RCX), (s32)(((1u << l->tlb_bits) - 1) << 4));
    emit_alu(c, ALU_ADD, RCX, state_rm(l->tlb));
    emit_alu(c, ALU_XOR, RAX, tag); /* the offset in the page, if it is this one */
    emit_alu_imm(c, true, ALU_CMP, rm_reg(RAX), (1 << JIT_PAGE_BITS) - size);
    hit = emit_jcc_short(c, CC_BE);
    emit_alu(c, ALU_XOR, RAX, tag);
    emit_mov_imm(c, RCX, how);
    emit_jmp(c, engine);
    (void)short_end(c, hit);
    emit_alu(c, ALU_XOR, RAX, tag);
    emit_alu_imm(c, false, ALU_SUB, state_rm(l->view_credit), 1);
    lent = emit_jcc_short(c, CC_NS);
    emit_mov_imm(c, RCX, how);
    emit_jmp(c, engine);
    (void)short_end(c, lent);
    emit_alu(c, ALU_ADD, RAX, rm_mem(RCX, tag.disp + 8));
    emit_store_imm(c, state_rm(l->away), 0); /* as the engine does */
}

/* It has not failed: ZF is clear. */
static void emit_look_end(struct code *c)
{
    emit_test(c, RSP, RSP);
    emit_ret(c);
}

static void emit_looks(struct jit_backend *b, struct code *c, bool region)
{
    const u8 *load = region ? b->load_kept : b->load, *store = region ? b->store_kept : b->store;

    for (u32 n = 0; n < 8; n++) {
        const u32 size = 1u << n / 2, extends = n % 2;
        b->load_look[region][n / 2][extends] = c->at;
        emit_look(b, c, size | (extends ? JIT_HOW_SIGNED : 0) | JIT_HOW_VIEW, false, load);
        emit_load_indexed(c, RAX, RAX, NO_REG, 0, size, extends);
        emit_look_end(c);
    }
    for (u32 n = 0; n < 4; n++) {
        b->store_look[region][n] = c->at;
        emit_look(b, c, 1u << n | JIT_HOW_VIEW, true, store);
        emit_store_indexed(c, RDX, RAX, NO_REG, 0, 1u << n);
        emit_look_end(c);
    }
}

static const u8 scratch[] = {RAX, RCX, RDX, R11};

/* What concerns sites happens in the middle of an access: nothing at all changes. */
static void emit_for_sites(const struct jit_backend *b, struct code *c, u64 function)
{
    for (u32 i = 0; i < sizeof(scratch); i++)
        emit_push(c, scratch[i]);
    emit_kept_before(b, c);
    emit_call_c(c, function);
    emit_fp_in(b, c);
    for (u32 i = sizeof(kept); i-- > 0;)
        emit_pop(c, kept[i]);
    for (u32 i = sizeof(scratch); i-- > 0;)
        emit_pop(c, scratch[i]);
    emit_ret(c);
}

static void emit_sites(struct jit_backend *b, struct code *c)
{
    b->adopt = c->at;
    emit_for_sites(b, c, (u64)(uintptr_t)b->engine.adopt);
    b->widen = c->at;
    emit_for_sites(b, c, (u64)(uintptr_t)b->engine.widen);
}

static void emit_call_bare(struct jit_backend *b, struct code *c)
{
    u8 *fault;

    b->call_bare = c->at;
    emit_alu_imm(c, true, ALU_SUB, rm_reg(RSP), 8);
    emit_left_out(b, c, COUNT);
    fault = emit_call_to_engine(b, c, (u64)(uintptr_t)b->engine.call);
    emit_fp_in(b, c);
    emit_count_in(b, c);
    emit_store(c, state_rm(b->layout.left), COUNT);
    emit_alu_imm(c, true, ALU_ADD, rm_reg(RSP), 8);
    emit_ret(c);
    patch_rel(fault, c->at);
    emit_fault(b, c, true);
}

/* miss: where to go if it is not there; NULL: the jump to it, which ends where this returns, is to
 * be filled in. */
static u8 *emit_jump_by_table(const struct jit_backend *b, struct code *c, const u8 *miss)
{
    const struct jit_layout *l = &b->layout;
    u8 *missed;

    /* Entries are 16 bytes and guest pcs are even: the index is 8 times the pc, modulo. An odd one
     * is not found. */
    emit_mov32(c, RCX, rm_reg(RAX));
    emit_alu_imm(c, false, ALU_AND, rm_reg(RCX), (s32)((1u << (l->jumps_bits + 1)) - 2));
    emit_mov(c, RDX, state_rm(l->jumps));
    emit_op_scaled(c, true, 0x3b, RAX, RDX, RCX, 3, 0); /* cmp */
    emit_jcc(c, CC_NE, miss);
    missed = c->at;
    emit_alu_imm(c, true, ALU_AND, rm_reg(RAX), -(1 << JIT_PAGE_BITS));
    emit_store(c, state_rm(l->page), RAX);
    emit_op_scaled(c, false, 0xff, 4, RDX, RCX, 3, 8); /* jmp */
    return missed;
}

void emit_indirect_jump(const struct jit_backend *b, struct code *c, s32 from)
{
    const bool noted = from != NOT_NOTED;
    u8 *turn, *missed;

    emit_test(c, COUNT, COUNT);
    emit_jcc(c, CC_GE, noted ? NULL : b->turn_pc);
    turn = c->at;
    missed = emit_jump_by_table(b, c, noted ? NULL : b->leave_pc);
    if (!noted)
        return;
    patch_rel(turn, c->at);
    patch_rel(missed, c->at);
    emit_mov_imm(c, R11, (u32)from);
    emit_jmp(c, b->turn_jumped);
}

/* COUNT is in a register or, as a region lent it, in the state. */
static const u8 *emit_turn(const struct jit_backend *b, struct code *c, struct rm count)
{
    const u8 *start = c->at;
    u8 *wanted;

    emit_alu_imm(c, false, ALU_CMP, state_rm(b->layout.attn), 0);
    wanted = emit_jcc_short(c, CC_NE);
    emit_mov(c, RAX, count);
    emit_alu(c, ALU_ADD, RAX, state_rm(b->layout.turn));
    emit_next_turn(b, c, RCX, RAX);
    emit_store(c, state_rm(b->layout.turn), RCX);
    emit_alu(c, ALU_SUB, RAX, rm_reg(RCX));
    emit_store(c, count, RAX);
    (void)short_end(c, wanted);
    emit_alu_imm(c, true, ALU_CMP, count, 0);
    emit_ret(c);
    return start;
}

/* At a turn; RAX is the guest pc. */
static void emit_turn_jump(const struct jit_backend *b, struct code *c, const u8 *leave)
{
    emit_mov(c, RDX, rm_reg(RAX));
    emit_call(c, b->turn);
    emit_mov(c, RAX, rm_reg(RDX));
    emit_jcc(c, CC_GE, leave);
    (void)emit_jump_by_table(b, c, leave);
}

static void emit_turns(struct jit_backend *b, struct code *c)
{
    b->turn_left = emit_turn(b, c, state_rm(b->layout.left));
    b->turn = emit_turn(b, c, rm_reg(COUNT));
    b->turn_page = c->at;
    emit_alu(c, ALU_ADD, RAX, state_rm(b->layout.page));
    b->turn_pc = c->at;
    emit_turn_jump(b, c, b->leave_pc);
    b->turn_jumped = c->at;
    emit_turn_jump(b, c, b->leave_jumped);
}

void thunks_emit(struct jit_backend *b, struct code *c)
{
    fp_thunks_emit(b, c);
    emit_enter(b, c);
    emit_leave(b, c);
    emit_accesses(b, c);
    emit_engine_call(b, c);
    emit_engine_call_apart(b, c);
    emit_kept(b, c);
    emit_looks(b, c, false);
    emit_looks(b, c, true);
    emit_sites(b, c);
    emit_call_bare(b, c);
    guard_thunks_emit(b, c);
    b->go = c->at;
    emit_go(b, c, false);
    b->go_bare = c->at;
    emit_go(b, c, true);
    emit_turns(b, c);
    b->jumpr = c->at;
    emit_indirect_jump(b, c, NOT_NOTED);
}
