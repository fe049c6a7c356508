/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What translated code calls, and what it is told of its hart.
 *
 * Traps and returns from them leave neither code nor its thunks' frame: they are calls, after which
 * code jumps by the table of the mode that the hart is in then.
 */
#include "exec/jit_impl.h"

#include "rv/csr.h"
#include "rv/mem.h"
#include "rv/run_insn.h"
#include "rv/softfp.h"
#include "rv/trap.h"

void jit_forget_links(struct jit_hart *h)
{
    const struct hart *hart = h->hart;

    if (h->map_changes != hart->map_changes ||
        hart->page_changes - h->page_changes > HART_CHANGED_PAGES) {
        jit_empty_tables(h);
        h->page_changes = hart->page_changes;
    }
    for (; h->page_changes != hart->page_changes; h->page_changes++)
        jit_forget_page(h, hart->changed_page[h->page_changes % HART_CHANGED_PAGES]);
    if (h->space_changes != hart->space_changes)
        jit_forget_space(h);
    h->map_changes = hart->map_changes;
    h->space_changes = hart->space_changes;
}

void jit_raise(struct hart *hart)
{
    hart->stats.traps++;
    if (hart->limit != HART_NO_LIMIT)
        hart->limit--;
    trap_exception(hart);
}

/* What blocks may take for granted until a CSR instruction is executed. */
static u32 fp_level(const struct hart *hart)
{
    u64 fs = hart->csr.mstatus & MSTATUS_FS;

    if (fs != MSTATUS_FS)
        return fs ? LIFT_FP_ON : LIFT_FP_OFF;
    if (hart->csr.frm > FP_RUP)
        return LIFT_FP_DIRTY;
    return hart->csr.frm == FP_RNE ? LIFT_FP_NEAREST : LIFT_FP_ROUNDS;
}

static u32 fp_round(const struct hart *hart)
{
    static const u8 round[] = {[FP_RNE] = JIT_FP_NEAREST,
                               [FP_RTZ] = JIT_FP_ZERO,
                               [FP_RDN] = JIT_FP_DOWN,
                               [FP_RUP] = JIT_FP_UP};

    return hart->csr.frm <= FP_RUP ? round[hart->csr.frm] : JIT_FP_NEAREST;
}

void jit_follow(struct jit_hart *h)
{
    struct hart *hart = h->hart;

    hart->jit.limit = hart->limit - JIT_LIMIT_SLACK;
    hart->jit.priv = hart->csr_level;
    hart->jit.fp_level = fp_level(hart);
    hart->jit.fp_round = fp_round(hart);
    hart->jit.fp_live = 0;
    hart->jit.jumps = jit_jumps(h);
}

/* What engine functions are told of the guest instruction, where devices and helpers look for it.
 */
static u64 arrive_at(struct hart *hart, u32 where)
{
    u64 before = hart->insns;

    hart->pc = hart->jit.page + hart->jit.away + (where & 0xffff & ~(u32)LIFT_SHORT);
    hart->jit.away = 0;
    hart->insns = before + (where >> 16);
    return before;
}

static struct jit_result engine_load(void *state, u64 address, u32 how, u32 where)
{
    struct hart *hart = state;
    unsigned size = how & 0xff;
    struct jit_result r = {0};
    u64 before = arrive_at(hart, where);

    if (!mem_load(hart, address, size, &r.value)) /* may hit: windows are wider than accesses */
        return r;
    hart->insns = before;
    if (how & JIT_HOW_VIEW)
        jit_view_missed(hart->jit.engine, address, false);
    /* A device may have answered with more bits than were asked for. */
    r.value =
        how & JIT_HOW_SIGNED ? sext(r.value, size * 8) : r.value & (UINT64_MAX >> (64 - size * 8));
    r.ok = 1;
    return r;
}

static u64 engine_store(void *state, u64 address, u64 value, u32 how, u32 where)
{
    struct hart *hart = state;
    u64 before = arrive_at(hart, where);

    if (!mem_store(hart, address, how & 0xff, value)) {
        if (hart->trap.cause == CAUSE_ATTEND)
            hart->trap.tval = where & LIFT_SHORT ? 2 : 4; /* as run_insn says */
        return 0;
    }
    hart->insns = before;
    if (how & JIT_HOW_VIEW)
        jit_view_missed(hart->jit.engine, address, true);
    return 1;
}

static bool is_csr(u64 insn)
{
    switch (insn_op(insn)) {
    case OP_csrrw:
    case OP_csrrs:
    case OP_csrrc:
    case OP_csrrwi:
    case OP_csrrsi:
    case OP_csrrci:
        return true;
    default:
        return false;
    }
}

/* Code that goes on after a CSR instruction asks again for what it needs. */
static void follow_fp(struct hart *hart)
{
    u32 level = fp_level(hart), round = fp_round(hart);

    if (level == hart->jit.fp_level && round == hart->jit.fp_round)
        return;
    hart->jit.fp_level = level;
    hart->jit.fp_round = round;
    hart->jit.fp_live = 0;
}

static u64 engine_call(void *state, u64 insn, u32 where)
{
    struct hart *hart = state;
    u64 before = arrive_at(hart, where);

    if (run_insn(hart, insn) == RUN_FAULT)
        return 0;
    if (is_csr(insn))
        follow_fp(hart);
    hart->insns = before;
    return 1;
}

/* A trap, a return from one, a change of address space or of what lies where. */
static u64 engine_go(void *state, u64 insn, u32 where)
{
    struct hart *hart = state;
    struct jit_hart *h = hart->jit.engine;

    (void)arrive_at(hart, where);
    if (run_insn(hart, insn) != RUN_FAULT)
        hart->insns++;
    else if (hart->trap.cause != CAUSE_ATTEND)
        jit_raise(hart);
    else
        return 0;
    if (h->code_changes != hart->code_changes || h->code_flushes != hart->code_flushes)
        hart_attention(hart, ATTN_ENGINE); /* not while code that is to be dropped runs */
    else
        jit_forget_links(h);
    jit_follow(h);
    return 1;
}

static void engine_adopt(void *state, u64 mode)
{
    struct hart *hart = state;

    tlb_adopt_sites(&hart->tlb, (enum tlb_mode)mode);
}

static void engine_widen(void *state)
{
    struct hart *hart = state;
    u32 mode = hart->jit.site >> JIT_SITE_MODE & 3, site = hart->jit.site & 0xffff;
    bool write = hart->jit.site & JIT_SITE_WRITE;

    tlb_widen_site(&hart->tlb.pool[mode].site[site],
                   write ? hart->data_tlb->write : hart->data_tlb->read);
}

static bool serves(const struct tlb_entry *entries, gva_t va)
{
    return tlb_serves(&entries[tlb_index(va)], va, 1);
}

static void fill_site(struct hart *hart, gva_t va, u32 pages, u64 addend, u32 how)
{
    struct tlb_pool *pool = &hart->tlb.pool[how >> JIT_SITE_MODE & 3];
    u32 n = how & 0xffff, width = 8u << 2 * (how >> JIT_OPEN_WIDTH & 3);
    struct tlb_site *site = &pool->site[n];

    site->start = va & PAGE_MASK;
    site->room = pages * PAGE_SIZE + 1 - width;
    site->addend = addend;
    site->fills++;
    pool->used[n / 64] |= BIT(n % 64);
}

static struct jit_result engine_open(void *state, u64 va, u32 how)
{
    struct hart *hart = state;
    const bool write = how & JIT_SITE_WRITE;
    const struct tlb_entry *entries = write ? hart->data_tlb->write : hart->data_tlb->read;
    const gva_t last = va + (how >> JIT_OPEN_SIZE & 0xff) - 1;
    const bool one = !((va ^ last) >> PAGE_SHIFT);
    const struct tlb_entry *e = &entries[tlb_index(va)];

    if (one && !serves(entries, va) && (how & (JIT_OPEN_LOAD | JIT_OPEN_STORE)))
        mem_fill(hart, va, how & JIT_OPEN_STORE ? ACCESS_WRITE : ACCESS_READ);
    if (how & JIT_OPEN_VIEW && !(how & JIT_OPEN_SITE))
        return (struct jit_result){0, serves(entries, va) && serves(entries, last) &&
                                          jit_view_map(hart->jit.engine, va, write) &&
                                          jit_view_map(hart->jit.engine, last, write)};
    if (!serves(entries, va) || !serves(entries, last) ||
        e->addend != entries[tlb_index(last)].addend)
        return (struct jit_result){0};
    if (how & JIT_OPEN_SITE)
        fill_site(hart, va, one ? 1 : 2, e->addend, how);
    return (struct jit_result){e->addend, 1};
}

const struct jit_engine jit_engine = {.load = engine_load,
                                      .store = engine_store,
                                      .call = engine_call,
                                      .go = engine_go,
                                      .adopt = engine_adopt,
                                      .widen = engine_widen,
                                      .open = engine_open};
