/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Page-table walks and the bookkeeping of the software TLB.
 *
 * A walk follows 10.3.2 "Virtual Address Translation Process". Every PTE is loaded once, as one
 * 64-bit value, and judged from that copy; A and D are set by compare-and-swap against it, so a
 * PTE that another hart changed meanwhile is walked anew.
 *
 * The TLB holds 4 KiB pages only. SFENCE.VMA of one address must drop all of a superpage, so the
 * hull of the superpages that were entered is kept for each half of the address space, and a
 * fence that hits it drops everything.
 */
#include "rv/mmu.h"

#include "rv/code_cache.h"
#include "rv/csr.h"
#include "rv/pmp.h"

#define PTE_V        BIT(0)
#define PTE_R        BIT(1)
#define PTE_W        BIT(2)
#define PTE_X        BIT(3)
#define PTE_U        BIT(4)
#define PTE_G        BIT(5)
#define PTE_A        BIT(6)
#define PTE_D        BIT(7)
#define PTE_RESERVED GENMASK(60, 54)
#define PTE_PBMT     GENMASK(62, 61)
#define PTE_N        BIT(63)

#define PA_BITS    56
#define NAPOT_BITS 16 /* the one size of Svnapot: 64 KiB */
/* Lost races against other harts' PTE updates before a spurious fault. */
#define WALK_RETRIES 100000

enum walk_result { WALK_DONE, WALK_PAGE_FAULT, WALK_ACCESS_FAULT, WALK_AGAIN };

/* A leaf PTE and where it was found. */
struct leaf {
    u64 pte;
    gpa_t pte_gpa;
    u32 shift; /* log2 of the page's size */
};

static bool raise_page(struct hart *hart, gva_t va, enum access acc)
{
    static const u8 cause[] = {[ACCESS_READ] = CAUSE_LOAD_PAGE,
                               [ACCESS_WRITE] = CAUSE_STORE_PAGE,
                               [ACCESS_EXEC] = CAUSE_INSN_PAGE};

    return hart_raise(hart, (enum cause)cause[acc], va);
}

static bool raise_access(struct hart *hart, gva_t va, enum access acc)
{
    static const u8 cause[] = {[ACCESS_READ] = CAUSE_LOAD_ACCESS,
                               [ACCESS_WRITE] = CAUSE_STORE_ACCESS,
                               [ACCESS_EXEC] = CAUSE_INSN_ACCESS};

    return hart_raise(hart, (enum cause)cause[acc], va);
}

static u64 satp_mode(const struct hart *hart)
{
    return hart->csr.satp >> 60;
}

/* The host word of a PTE in RAM or ROM (write: RAM only), or NULL. pte_gpa is a multiple of 8. */
static _Atomic u64 *pte_host(const struct hart *hart, gpa_t pte_gpa, bool write)
{
    const struct gmem_region *r = gmem_find(hart->env->gmem, pte_gpa, 8);

    if (!r || (write && r->readonly))
        return NULL;
    return (_Atomic u64 *)(void *)(r->host + (pte_gpa - r->base));
}

/* May this value stand in a page table at all? Bits that would need an absent extension may not. */
static bool pte_is_legal(const struct hart *hart, u64 pte)
{
    if (!(pte & PTE_V) || (pte & (PTE_R | PTE_W)) == PTE_W || (pte & PTE_RESERVED))
        return false;
    if (!(pte & (PTE_R | PTE_X)))
        return !(pte & (PTE_U | PTE_A | PTE_D | PTE_PBMT | PTE_N));
    if ((pte & PTE_PBMT) && (!(hart->csr.menvcfg & ENVCFG_PBMTE) || (pte & PTE_PBMT) == PTE_PBMT))
        return false;
    return !(pte & PTE_N) || isa_has(&hart->isa, ISA_SVNAPOT);
}

/* Are the address bits of a leaf at this level aligned to its size? Finds the size of a NAPOT. */
static bool leaf_is_aligned(struct leaf *leaf)
{
    u64 ppn = bits_get(leaf->pte, 10, 44);

    if (leaf->pte & PTE_N) {
        if (leaf->shift != PAGE_SHIFT || (ppn & 0xf) != 8)
            return false;
        leaf->shift = NAPOT_BITS;
        leaf->pte &= ~BIT(13); /* the size's marker is no address bit */
        return true;
    }
    return !(ppn & (BIT(leaf->shift - PAGE_SHIFT) - 1));
}

/* Descends to the leaf PTE of va. pmp false: a debugger asks. */
static enum walk_result walk(const struct hart *hart, gva_t va, bool pmp, struct leaf *leaf)
{
    u32 level = (u32)satp_mode(hart) - 6; /* 8, 9, 10: start at level 2, 3, 4 */
    gpa_t table = bits_get(hart->csr.satp, 0, 44) << PAGE_SHIFT;
    bool whole;

    level++;
    if (sext(va, PAGE_SHIFT + 9 * level) != va)
        return WALK_PAGE_FAULT;
    while (level--) {
        _Atomic u64 *host;

        leaf->shift = PAGE_SHIFT + 9 * level;
        leaf->pte_gpa = table + 8 * bits_get(va, leaf->shift, 9);
        if (pmp && !pmp_check(hart, leaf->pte_gpa, 8, ACCESS_READ, PRIV_S, &whole))
            return WALK_ACCESS_FAULT;
        host = pte_host(hart, leaf->pte_gpa, false);
        if (!host)
            return WALK_ACCESS_FAULT;
        leaf->pte = le64_load(&(u64){atomic_load_explicit(host, memory_order_acquire)});
        if (!pte_is_legal(hart, leaf->pte))
            return WALK_PAGE_FAULT;
        if (leaf->pte & (PTE_R | PTE_X))
            return leaf_is_aligned(leaf) ? WALK_DONE : WALK_PAGE_FAULT;
        table = bits_get(leaf->pte, 10, 44) << PAGE_SHIFT;
    }
    return WALK_PAGE_FAULT;
}

static gpa_t leaf_gpa(const struct leaf *leaf, gva_t va)
{
    gpa_t base = bits_get(leaf->pte, 10, 44) << PAGE_SHIFT;

    return bits_merge(base, BIT(leaf->shift) - 1, va);
}

/* What priv may do through a PTE, A and D aside: a mask of PMP_R, PMP_W, PMP_X. */
static u32 leaf_permissions(const struct hart *hart, u64 pte, enum priv priv)
{
    u64 mstatus = hart->csr.mstatus;
    u32 may = 0;

    if (priv == PRIV_U && !(pte & PTE_U))
        return 0;
    if (pte & PTE_X)
        may |= PMP_X;
    if ((pte & PTE_R) || ((pte & PTE_X) && (mstatus & MSTATUS_MXR)))
        may |= PMP_R;
    if (pte & PTE_W)
        may |= PMP_W;
    if (priv == PRIV_S && (pte & PTE_U))
        may &= mstatus & MSTATUS_SUM ? PMP_R | PMP_W : 0;
    return may;
}

/* Sets A (and D for a write) in memory as Svadu does. */
static enum walk_result set_accessed(struct hart *hart, struct leaf *leaf, u64 bits)
{
    struct gmem *gmem = hart->env->gmem;
    u64 old, new;
    _Atomic u64 *host;
    bool whole;

    if (!(hart->csr.menvcfg & ENVCFG_ADUE))
        return WALK_PAGE_FAULT;
    if (!pmp_check(hart, leaf->pte_gpa, 8, ACCESS_WRITE, PRIV_S, &whole))
        return WALK_ACCESS_FAULT;
    host = pte_host(hart, leaf->pte_gpa, true);
    if (!host)
        return WALK_ACCESS_FAULT;
    old = leaf->pte | (leaf->pte & PTE_N ? BIT(13) : 0);
    le64_store(&new, old | bits);
    old = le64_load(&old);
    if (!atomic_compare_exchange_strong(host, &old, new))
        return WALK_AGAIN;
    leaf->pte |= bits;
    if (gmem->written)
        gmem->written(gmem->ctx, leaf->pte_gpa, 8);
    return WALK_DONE;
}

/* Remembers that the TLB may hold parts of the superpage around va. */
static void note_superpage(struct hart *hart, gva_t va, u32 shift, bool global)
{
    struct gva_range *hull = &hart->tlb_large[global][va >> 63];
    gva_t first = align_down(va, BIT(shift)), last = va | (BIT(shift) - 1);

    if (hull->first > hull->last) {
        *hull = (struct gva_range){first, last};
        return;
    }
    if (first < hull->first)
        hull->first = first;
    if (last > hull->last)
        hull->last = last;
}

/* One attempt at a translation under satp; fills gpa and what page and PTE permit. */
static enum walk_result translate(struct hart *hart, gva_t va, enum access acc, enum priv priv,
                                  struct mmu_page *page, u32 *may)
{
    static const u8 need[] = {[ACCESS_READ] = PMP_R, [ACCESS_WRITE] = PMP_W, [ACCESS_EXEC] = PMP_X};
    struct leaf leaf;
    enum walk_result result = walk(hart, va, true, &leaf);
    u64 bits = PTE_A | (acc == ACCESS_WRITE ? PTE_D : 0);

    if (result != WALK_DONE)
        return result;
    *may = leaf_permissions(hart, leaf.pte, priv);
    if (!(*may & need[acc]))
        return WALK_PAGE_FAULT;
    if ((leaf.pte & bits) != bits) {
        result = set_accessed(hart, &leaf, bits);
        if (result != WALK_DONE)
            return result;
    }
    if (!(leaf.pte & PTE_D))
        *may &= ~(u32)PMP_W; /* the first write must walk again and set D */
    if (leaf.shift != PAGE_SHIFT)
        note_superpage(hart, va, leaf.shift, leaf.pte & PTE_G);
    page->gpa = leaf_gpa(&leaf, va);
    page->global = leaf.pte & PTE_G;
    return WALK_DONE;
}

bool mmu_translate(struct hart *hart, gva_t va, u64 size, enum access acc, enum priv priv,
                   struct mmu_page *page)
{
    static const u8 need[] = {[ACCESS_READ] = PMP_R, [ACCESS_WRITE] = PMP_W, [ACCESS_EXEC] = PMP_X};
    u32 may = PMP_RWX;

    page->gpa = va;
    page->global = true;
    if (priv != PRIV_M && satp_mode(hart)) {
        enum walk_result result = WALK_AGAIN;

        for (u32 i = 0; i < WALK_RETRIES && result == WALK_AGAIN; i++)
            result = translate(hart, va, acc, priv, page, &may);
        if (result == WALK_ACCESS_FAULT)
            return raise_access(hart, va, acc);
        if (result != WALK_DONE)
            return raise_page(hart, va, acc);
    }
    if (page->gpa >> PA_BITS)
        return raise_access(hart, va, acc);
    may &= pmp_permissions(hart, page->gpa, size, priv, &page->whole);
    if (!(may & need[acc]))
        return raise_access(hart, va, acc);
    page->readable = may & PMP_R;
    page->writable = may & PMP_W;
    page->executable = may & PMP_X;
    return true;
}

bool mmu_foresees(struct hart *hart, gva_t va, enum priv priv, struct mmu_page *page)
{
    u32 may = PMP_R | PMP_W | PMP_X;
    struct leaf leaf;

    page->gpa = va;
    page->global = true;
    if (priv != PRIV_M && satp_mode(hart)) {
        if (walk(hart, va, true, &leaf) != WALK_DONE || !(leaf.pte & PTE_A))
            return false;
        may = leaf_permissions(hart, leaf.pte, priv);
        if (!(leaf.pte & PTE_D))
            may &= ~(u32)PMP_W;
        if (leaf.shift != PAGE_SHIFT)
            note_superpage(hart, va, leaf.shift, leaf.pte & PTE_G);
        page->gpa = leaf_gpa(&leaf, va);
        page->global = leaf.pte & PTE_G;
    }
    if (page->gpa >> PA_BITS)
        return false;
    may &= pmp_permissions(hart, page->gpa, 2, priv, &page->whole);
    page->readable = may & PMP_R;
    page->writable = may & PMP_W;
    page->executable = may & PMP_X;
    return page->whole;
}

bool mmu_peek(struct hart *hart, gva_t va, gpa_t *gpa)
{
    struct leaf leaf;

    *gpa = va;
    if (hart->priv == PRIV_M || !satp_mode(hart))
        return !(va >> PA_BITS);
    if (walk(hart, va, false, &leaf) != WALK_DONE)
        return false;
    *gpa = leaf_gpa(&leaf, va);
    return true;
}

enum priv mmu_data_priv(const struct hart *hart)
{
    u64 mstatus = hart->csr.mstatus;

    if (UNLIKELY(mstatus & MSTATUS_MPRV))
        return (enum priv)bits_get(mstatus, 11, 2);
    return hart->priv;
}

void mmu_update_mode(struct hart *hart)
{
    enum tlb_mode mode = TLB_M;

    switch (mmu_data_priv(hart)) {
    case PRIV_U:
        mode = TLB_U;
        break;
    case PRIV_S:
        mode = hart->csr.mstatus & MSTATUS_SUM ? TLB_S_SUM : TLB_S;
        break;
    case PRIV_M:
        break;
    }
    if (UNLIKELY(hart->tlb.adopted) && hart->data_mode != mode)
        tlb_return_sites(&hart->tlb);
    hart->data_tlb = &hart->tlb.table[mode];
    hart->data_mode = mode;
    hart->jit.view = mode == TLB_U ? hart->tlb.view.end : 0;
}

static void flush_tables(struct hart *hart, bool global)
{
    static const struct gva_range none = {1, 0};

    for (u32 mode = 0; mode < TLB_M; mode++)
        tlb_flush(&hart->tlb, (enum tlb_mode)mode, global);
    hart->tlb_large[0][0] = hart->tlb_large[0][1] = none;
    if (global)
        hart->tlb_large[1][0] = hart->tlb_large[1][1] = none;
    hart->stats.tlb_flushes++;
}

static void flush_views(struct hart *hart, s64 asid)
{
    if (hart->tlb.view.flushed)
        hart->tlb.view.flushed(hart->tlb.view.ctx, asid);
}

void mmu_flush_data(struct hart *hart)
{
    flush_tables(hart, true);
    flush_views(hart, -1);
}

void mmu_flush_space(struct hart *hart, u64 asid)
{
    flush_tables(hart, false);
    flush_views(hart, (s64)(asid & 0xffff));
    if (hart->code)
        code_cache_flush_map_space(hart);
}

void mmu_flush_supervisor(struct hart *hart)
{
    flush_tables(hart, true);
    flush_views(hart, -1);
    if (hart->code)
        code_cache_flush_map(hart);
}

void mmu_switch_space(struct hart *hart, bool all)
{
    if (all) {
        mmu_flush_supervisor(hart);
    } else {
        flush_tables(hart, false);
        if (hart->code)
            code_cache_flush_map_space(hart);
    }
    if (hart->tlb.view.space_changed)
        hart->tlb.view.space_changed(hart->tlb.view.ctx);
}

void mmu_flush(struct hart *hart)
{
    mmu_flush_supervisor(hart);
    tlb_flush(&hart->tlb, TLB_M, true);
}

static bool is_in_superpage(const struct hart *hart, gva_t va)
{
    for (u32 global = 0; global < 2; global++) {
        const struct gva_range *hull = &hart->tlb_large[global][va >> 63];
        if (va >= hull->first && va <= hull->last)
            return true;
    }
    return false;
}

void mmu_flush_page(struct hart *hart, gva_t va)
{
    if (is_in_superpage(hart, va)) {
        mmu_flush(hart);
        return;
    }
    tlb_drop(&hart->tlb, va);
    if (hart->code)
        code_cache_flush_map_page(hart, va);
}
