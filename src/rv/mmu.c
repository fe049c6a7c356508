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
 *
 * Guests' entries combine both stages. A fence of HS for guests, or a change of what governs them,
 * drops them all; fences of a guest drop as those of a host do, by the VS-stage's superpages.
 */
#include "rv/mmu.h"

#include "rv/code_cache.h"
#include "rv/csr.h"
#include "rv/csr_hyper.h"
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
#define ROOT_BITS  2  /* of an address, more than 9, that the root of a G-stage's tables takes */
#define NAPOT_BITS 16 /* the one size of Svnapot: 64 KiB */
/* Lost races against other harts' PTE updates before a spurious fault. */
#define WALK_RETRIES 100000

/* WALK_GUEST_FAULT: in the G-stage; hart->trap has tval2 and tinst. */
enum walk_result { WALK_DONE, WALK_PAGE_FAULT, WALK_ACCESS_FAULT, WALK_GUEST_FAULT, WALK_AGAIN };

/* What a walk is for: an access; what one would find, nothing changed; the same without PMP. */
enum walk_how { WALK_ACCESS, WALK_FORESEE, WALK_PEEK };

/* One table of translation. */
struct stage {
    u64 atp;    /* satp, vsatp or hgatp */
    u64 envcfg; /* PBMTE and ADUE for it */
    bool guest; /* it maps guest-physical addresses: G-stage, 16 KiB of root, all pages U */
    bool under; /* it lies in guest-physical memory: VS-stage */
};

/* A leaf PTE and where it was found. */
struct leaf {
    u64 pte;
    gpa_t pte_gpa;
    gpa_t pte_guest; /* of the VS-stage: the same as the guest sees it */
    u32 shift;       /* log2 of the page's size */
};

static const u8 permission_needed[] = {[ACCESS_READ] = PMP_R,
                                       [ACCESS_WRITE] = PMP_W,
                                       [ACCESS_EXEC] = PMP_X,
                                       [ACCESS_READ_CODE] = PMP_R | PMP_X};

static bool may_access(u32 may, enum access acc)
{
    return (may & permission_needed[acc]) == permission_needed[acc];
}

static bool raise_page(struct hart *hart, gva_t va, enum access acc)
{
    static const u8 cause[] = {[ACCESS_READ] = CAUSE_LOAD_PAGE,
                               [ACCESS_WRITE] = CAUSE_STORE_PAGE,
                               [ACCESS_EXEC] = CAUSE_INSN_PAGE,
                               [ACCESS_READ_CODE] = CAUSE_LOAD_PAGE};

    return hart_raise(hart, (enum cause)cause[acc], va);
}

static bool raise_access(struct hart *hart, gva_t va, enum access acc)
{
    static const u8 cause[] = {[ACCESS_READ] = CAUSE_LOAD_ACCESS,
                               [ACCESS_WRITE] = CAUSE_STORE_ACCESS,
                               [ACCESS_EXEC] = CAUSE_INSN_ACCESS,
                               [ACCESS_READ_CODE] = CAUSE_LOAD_ACCESS};

    return hart_raise(hart, (enum cause)cause[acc], va);
}

static bool raise_guest_page(struct hart *hart, gva_t va, enum access acc)
{
    static const u8 cause[] = {[ACCESS_READ] = CAUSE_LOAD_GUEST_PAGE,
                               [ACCESS_WRITE] = CAUSE_STORE_GUEST_PAGE,
                               [ACCESS_EXEC] = CAUSE_INSN_GUEST_PAGE,
                               [ACCESS_READ_CODE] = CAUSE_LOAD_GUEST_PAGE};

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
static bool pte_is_legal(const struct hart *hart, u64 envcfg, u64 pte)
{
    if (!(pte & PTE_V) || (pte & (PTE_R | PTE_W)) == PTE_W || (pte & PTE_RESERVED))
        return false;
    if (!(pte & (PTE_R | PTE_X)))
        return !(pte & (PTE_U | PTE_A | PTE_D | PTE_PBMT | PTE_N));
    if ((pte & PTE_PBMT) && (!(envcfg & ENVCFG_PBMTE) || (pte & PTE_PBMT) == PTE_PBMT))
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

static enum walk_result guest_stage(struct hart *hart, gpa_t guest, enum access acc,
                                    enum walk_how how, struct leaf *leaf, u32 *may);

static gpa_t leaf_gpa(const struct leaf *leaf, gva_t va)
{
    gpa_t base = bits_get(leaf->pte, 10, 44) << PAGE_SHIFT;

    return bits_merge(base, BIT(leaf->shift) - 1, va);
}

/* Where a PTE of the VS-stage lies; for writing, too? */
static enum walk_result find_guest_pte(struct hart *hart, bool write, enum walk_how how,
                                       struct leaf *leaf)
{
    struct leaf found;
    enum walk_result result;
    u32 may;

    result =
        guest_stage(hart, leaf->pte_guest, write ? ACCESS_WRITE : ACCESS_READ, how, &found, &may);
    if (result == WALK_GUEST_FAULT)
        hart->trap.tinst = write ? TINST_PTE_WRITE : TINST_PTE_READ;
    if (result == WALK_DONE)
        leaf->pte_gpa = leaf_gpa(&found, leaf->pte_guest);
    return result;
}

/* Does the stage map va at all? levels: of its tables. */
static ALWAYS_INLINE bool is_canonical(const struct stage *stage, gva_t va, u32 levels)
{
    if (stage->guest)
        return !(va >> (PAGE_SHIFT + 9 * levels + ROOT_BITS));
    return sext(va, PAGE_SHIFT + 9 * levels) == va;
}

/* Loads the PTE of a level's table, to be judged from leaf->pte. */
static ALWAYS_INLINE enum walk_result load_pte(struct hart *hart, const struct stage *stage,
                                               enum walk_how how, struct leaf *leaf)
{
    _Atomic u64 *host;
    bool whole;

    if (stage->under) {
        enum walk_result result;

        leaf->pte_guest = leaf->pte_gpa;
        result = find_guest_pte(hart, false, how, leaf);
        if (result != WALK_DONE)
            return result;
    }
    if (how != WALK_PEEK && !pmp_check(hart, leaf->pte_gpa, 8, ACCESS_READ, PRIV_S, &whole))
        return WALK_ACCESS_FAULT;
    host = pte_host(hart, leaf->pte_gpa, false);
    if (!host)
        return WALK_ACCESS_FAULT;
    leaf->pte = le64_load(&(u64){atomic_load_explicit(host, memory_order_acquire)});
    return pte_is_legal(hart, stage->envcfg, leaf->pte) ? WALK_DONE : WALK_PAGE_FAULT;
}

/* Descends to the leaf PTE of va. Inlined for each kind of stage. */
static ALWAYS_INLINE enum walk_result walk_stage(struct hart *hart, const struct stage *stage,
                                                 gva_t va, enum walk_how how, struct leaf *leaf)
{
    u32 level = (u32)(stage->atp >> 60) - 5; /* 8, 9, 10: 3, 4, 5 levels */
    gpa_t table = bits_get(stage->atp, 0, 44) << PAGE_SHIFT;
    u32 bits = stage->guest ? 9 + ROOT_BITS : 9;

    if (!is_canonical(stage, va, level))
        return WALK_PAGE_FAULT;
    while (level--) {
        enum walk_result result;

        leaf->shift = PAGE_SHIFT + 9 * level;
        leaf->pte_gpa = table + 8 * bits_get(va, leaf->shift, bits);
        bits = 9;
        result = load_pte(hart, stage, how, leaf);
        if (result != WALK_DONE)
            return result;
        if (leaf->pte & (PTE_R | PTE_X))
            return leaf_is_aligned(leaf) ? WALK_DONE : WALK_PAGE_FAULT;
        table = bits_get(leaf->pte, 10, 44) << PAGE_SHIFT;
    }
    return WALK_PAGE_FAULT;
}

/* Under satp. */
static enum walk_result walk(struct hart *hart, gva_t va, enum walk_how how, struct leaf *leaf)
{
    const struct stage stage = {hart->csr.satp, hart->csr.menvcfg, false, false};

    return walk_stage(hart, &stage, va, how, leaf);
}

/* What priv (U, S) may do through a PTE with SUM and MXR as in mstatus, A and D aside: a mask of
 * PMP_R, PMP_W, PMP_X. */
static u32 leaf_permissions(u64 pte, u64 mstatus, enum priv priv)
{
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

/* Sets A (and D for a write) in memory as Svadu does, if the stage's envcfg has it. */
static enum walk_result set_accessed(struct hart *hart, u64 envcfg, struct leaf *leaf, u64 bits)
{
    struct gmem *gmem = hart->env->gmem;
    u64 old, new;
    _Atomic u64 *host;
    bool whole;

    if (!(envcfg & ENVCFG_ADUE))
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
static void note_superpage(struct hart *hart, bool virt, gva_t va, u32 shift, bool global)
{
    struct gva_range *hull = &hart->tlb_large[virt][global][va >> 63];
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
    struct leaf leaf;
    enum walk_result result = walk(hart, va, WALK_ACCESS, &leaf);
    u64 bits = PTE_A | (acc == ACCESS_WRITE ? PTE_D : 0);

    if (result != WALK_DONE)
        return result;
    *may = leaf_permissions(leaf.pte, hart->csr.mstatus, priv);
    if (!may_access(*may, acc))
        return WALK_PAGE_FAULT;
    if ((leaf.pte & bits) != bits) {
        result = set_accessed(hart, hart->csr.menvcfg, &leaf, bits);
        if (result != WALK_DONE)
            return result;
    }
    if (!(leaf.pte & PTE_D))
        *may &= ~(u32)PMP_W; /* the first write must walk again and set D */
    if (leaf.shift != PAGE_SHIFT)
        note_superpage(hart, false, va, leaf.shift, leaf.pte & PTE_G);
    page->gpa = leaf_gpa(&leaf, va);
    page->global = leaf.pte & PTE_G;
    return WALK_DONE;
}

/* ---- two stages ---- */

/*
 * G-stage: each page must be U's; MXR is HS's. Without translation leaf is the page itself. A fault
 * leaves the address for htval.
 */
static enum walk_result guest_stage(struct hart *hart, gpa_t guest, enum access acc,
                                    enum walk_how how, struct leaf *leaf, u32 *may)
{
    const struct stage stage = {hart->csr.h.hgatp, hart->csr.menvcfg, true, false};
    u64 bits = PTE_A | (acc == ACCESS_WRITE ? PTE_D : 0);
    enum walk_result result = WALK_DONE;

    *may = PMP_RWX;
    *leaf = (struct leaf){.pte = guest >> PAGE_SHIFT << 10, .shift = PAGE_SHIFT};
    if (!(stage.atp >> 60))
        return guest >> PA_BITS ? WALK_ACCESS_FAULT : WALK_DONE;
    result = walk_stage(hart, &stage, guest, how, leaf);
    if (result == WALK_DONE) {
        *may = leaf_permissions(leaf->pte, hyper_hs_status(hart), PRIV_U);
        if (acc == ACCESS_READ_CODE && (*may & PMP_X))
            *may |= PMP_R;
        if (!may_access(*may, acc))
            result = WALK_PAGE_FAULT;
    }
    if (result == WALK_DONE && how != WALK_PEEK && (leaf->pte & bits) != bits)
        result =
            how == WALK_ACCESS ? set_accessed(hart, stage.envcfg, leaf, bits) : WALK_PAGE_FAULT;
    if (!(leaf->pte & PTE_D))
        *may &= ~(u32)PMP_W;
    if (result != WALK_PAGE_FAULT)
        return result;
    hart->trap.tval2 = guest >> 2;
    hart->trap.tinst = 0;
    return WALK_GUEST_FAULT;
}

/* A of the VS-stage, and D: a write to guest-physical memory. */
static enum walk_result set_guest_accessed(struct hart *hart, struct leaf *leaf, u64 bits)
{
    enum walk_result result;

    u64 envcfg = hyper_envcfg(hart);

    if (!(envcfg & ENVCFG_ADUE))
        return WALK_PAGE_FAULT;
    result = find_guest_pte(hart, true, WALK_ACCESS, leaf);
    return result == WALK_DONE ? set_accessed(hart, envcfg, leaf, bits) : result;
}

/* VS-stage; without translation the page is va itself, as if global. */
static enum walk_result first_stage(struct hart *hart, gva_t va, enum access acc, enum priv priv,
                                    enum walk_how how, struct leaf *leaf, u32 *may)
{
    const struct stage stage = {hyper_vs_atp(hart), hyper_envcfg(hart), false, true};
    const u64 mxr = hyper_hs_status(hart) & MSTATUS_MXR;
    u64 bits = PTE_A | (acc == ACCESS_WRITE ? PTE_D : 0);
    enum walk_result result;

    *may = PMP_RWX;
    *leaf = (struct leaf){.pte = va >> PAGE_SHIFT << 10 | PTE_G, .shift = PAGE_SHIFT};
    if (!(stage.atp >> 60))
        return WALK_DONE;
    result = walk_stage(hart, &stage, va, how, leaf);
    if (result != WALK_DONE || how == WALK_PEEK)
        return result;
    *may = leaf_permissions(leaf->pte, hyper_vs_status(hart) | mxr, priv & ~PRIV_VIRT);
    if (acc == ACCESS_READ_CODE && (*may & PMP_X))
        *may |= PMP_R;
    if (how == WALK_ACCESS) {
        if (!may_access(*may, acc))
            return WALK_PAGE_FAULT;
        if ((leaf->pte & bits) != bits)
            result = set_guest_accessed(hart, leaf, bits);
    } else if (!(leaf->pte & PTE_A)) {
        return WALK_PAGE_FAULT;
    }
    if (!(leaf->pte & PTE_D))
        *may &= ~(u32)PMP_W;
    return result;
}

/* The same as translate for a guest. */
static enum walk_result translate_guest(struct hart *hart, gva_t va, enum access acc,
                                        enum priv priv, enum walk_how how, struct mmu_page *page,
                                        u32 *may)
{
    struct leaf leaf, second;
    enum walk_result result = first_stage(hart, va, acc, priv, how, &leaf, may);
    gpa_t guest;
    u32 more;

    if (result != WALK_DONE)
        return result;
    guest = hyper_vs_atp(hart) >> 60 ? leaf_gpa(&leaf, va) : va;
    result = guest_stage(hart, guest, acc, how, &second, &more);
    if (result != WALK_DONE)
        return result;
    *may &= more;
    if (leaf.shift != PAGE_SHIFT)
        note_superpage(hart, true, va, leaf.shift, leaf.pte & PTE_G);
    page->gpa = leaf_gpa(&second, guest);
    page->global = leaf.pte & PTE_G;
    return WALK_DONE;
}

bool mmu_translate(struct hart *hart, gva_t va, u64 size, enum access acc, enum priv priv,
                   struct mmu_page *page)
{
    u32 may = PMP_RWX;

    page->gpa = va;
    page->global = true;
    if (priv != PRIV_M && (satp_mode(hart) || (priv & PRIV_VIRT))) {
        enum walk_result result = WALK_AGAIN;

        for (u32 i = 0; i < WALK_RETRIES && result == WALK_AGAIN; i++)
            result = priv & PRIV_VIRT
                         ? translate_guest(hart, va, acc, priv, WALK_ACCESS, page, &may)
                         : translate(hart, va, acc, priv, page, &may);
        if (result == WALK_ACCESS_FAULT)
            return raise_access(hart, va, acc);
        if (result == WALK_GUEST_FAULT)
            return raise_guest_page(hart, va, acc);
        if (result != WALK_DONE)
            return raise_page(hart, va, acc);
    }
    if (page->gpa >> PA_BITS)
        return raise_access(hart, va, acc);
    may &= pmp_permissions(hart, page->gpa, size, priv, &page->whole);
    if (!may_access(may, acc))
        return raise_access(hart, va, acc);
    page->readable = may & PMP_R;
    page->writable = may & PMP_W;
    page->executable = may & PMP_X;
    return true;
}

/* May its page be read or, else, executed? What cannot be either is not worth an entry. */
static bool foresees_guest(struct hart *hart, gva_t va, enum priv priv, struct mmu_page *page,
                           u32 *may)
{
    return translate_guest(hart, va, ACCESS_READ, priv, WALK_FORESEE, page, may) == WALK_DONE ||
           translate_guest(hart, va, ACCESS_EXEC, priv, WALK_FORESEE, page, may) == WALK_DONE;
}

bool mmu_foresees(struct hart *hart, gva_t va, enum priv priv, struct mmu_page *page)
{
    u32 may = PMP_R | PMP_W | PMP_X;
    struct leaf leaf;

    page->gpa = va;
    page->global = true;
    if (priv & PRIV_VIRT) {
        const struct trap before = hart->trap;

        if (!foresees_guest(hart, va, priv, page, &may)) {
            hart->trap = before;
            return false;
        }
    } else if (priv != PRIV_M && satp_mode(hart)) {
        if (walk(hart, va, WALK_FORESEE, &leaf) != WALK_DONE || !(leaf.pte & PTE_A))
            return false;
        may = leaf_permissions(leaf.pte, hart->csr.mstatus, priv);
        if (!(leaf.pte & PTE_D))
            may &= ~(u32)PMP_W;
        if (leaf.shift != PAGE_SHIFT)
            note_superpage(hart, false, va, leaf.shift, leaf.pte & PTE_G);
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
    struct mmu_page page;
    u32 may;

    *gpa = va;
    if (hart->mode & PRIV_VIRT) {
        const struct trap before = hart->trap;
        bool found =
            translate_guest(hart, va, ACCESS_READ, hart->mode, WALK_PEEK, &page, &may) == WALK_DONE;

        hart->trap = before;
        *gpa = page.gpa;
        return found && !(*gpa >> PA_BITS);
    }
    if (hart->priv == PRIV_M || !satp_mode(hart))
        return !(va >> PA_BITS);
    if (walk(hart, va, WALK_PEEK, &leaf) != WALK_DONE)
        return false;
    *gpa = leaf_gpa(&leaf, va);
    return true;
}

enum priv mmu_data_priv(const struct hart *hart)
{
    u64 mstatus = hart->csr.mstatus;
    enum priv priv;

    if (UNLIKELY(hart->lent))
        return (enum priv)(hart->lent - 1);
    if (LIKELY(!(mstatus & MSTATUS_MPRV)))
        return hart->mode;
    priv = (enum priv)bits_get(mstatus, 11, 2);
    return priv != PRIV_M && (mstatus & MSTATUS_MPV) ? priv | PRIV_VIRT : priv;
}

static enum tlb_mode data_mode_of(const struct hart *hart, enum priv priv)
{
    switch (priv) {
    case PRIV_U:
        return TLB_U;
    case PRIV_S:
        return hyper_hs_status(hart) & MSTATUS_SUM ? TLB_S_SUM : TLB_S;
    case PRIV_VU:
        return TLB_VU;
    case PRIV_VS:
        return hyper_vs_status(hart) & MSTATUS_SUM ? TLB_VS_SUM : TLB_VS;
    default:
        return TLB_M;
    }
}

static bool is_guest_mode(u32 mode)
{
    return mode >= TLB_HOSTS;
}

void mmu_update_mode(struct hart *hart)
{
    enum tlb_mode mode = data_mode_of(hart, mmu_data_priv(hart));

    if (UNLIKELY(is_guest_mode(hart->data_mode) != is_guest_mode(mode)))
        tlb_change_world(&hart->tlb);
    if (UNLIKELY(hart->tlb.adopted) && hart->data_mode != mode)
        tlb_return_sites(&hart->tlb);
    hart->data_tlb = &hart->tlb.table[mode];
    hart->data_mode = mode;
    hart->site_mode = tlb_pool_of(mode);
    hart->jit.view = mode == TLB_U ? hart->tlb.view.end : 0;
}

void mmu_lend(struct hart *hart, enum priv priv)
{
    enum tlb_mode mode = data_mode_of(hart, priv);

    hart->lent = priv + 1u;
    hart->data_tlb = &hart->tlb.table[mode];
    hart->data_mode = mode;
}

void mmu_take_back(struct hart *hart)
{
    hart->lent = 0;
    hart->data_mode = data_mode_of(hart, mmu_data_priv(hart));
    hart->data_tlb = &hart->tlb.table[hart->data_mode];
}

/* Of the host's modes but M, or of guests'. */
static void flush_tables(struct hart *hart, bool virt, bool global)
{
    static const struct gva_range none = {1, 0};
    const u32 first = virt ? TLB_VU : TLB_U, end = virt ? hart->tlb.modes : TLB_M;

    for (u32 mode = first; mode < end; mode++)
        tlb_flush(&hart->tlb, (enum tlb_mode)mode, global);
    hart->tlb_large[virt][0][0] = hart->tlb_large[virt][0][1] = none;
    if (global)
        hart->tlb_large[virt][1][0] = hart->tlb_large[virt][1][1] = none;
    hart->stats.tlb_flushes++;
}

static bool is_guest(const struct hart *hart)
{
    return hart->mode & PRIV_VIRT;
}

static void flush_views(struct hart *hart, s64 asid)
{
    if (hart->tlb.view.flushed)
        hart->tlb.view.flushed(hart->tlb.view.ctx, asid);
}

void mmu_flush_data(struct hart *hart)
{
    if (is_guest(hart)) {
        flush_tables(hart, true, true);
        return;
    }
    flush_tables(hart, false, true);
    flush_views(hart, -1);
    if (isa_has(&hart->isa, ISA_H)) /* HS's MXR is theirs, too */
        flush_tables(hart, true, true);
}

void mmu_flush_space(struct hart *hart, u64 asid)
{
    flush_tables(hart, is_guest(hart), false);
    if (!is_guest(hart))
        flush_views(hart, (s64)(asid & 0xffff));
    if (hart->code)
        code_cache_flush_map_space(hart);
}

void mmu_flush_guest(struct hart *hart)
{
    flush_tables(hart, true, true);
    if (hart->code)
        code_cache_flush_map(hart);
}

void mmu_flush_supervisor(struct hart *hart)
{
    if (is_guest(hart)) {
        mmu_flush_guest(hart);
        return;
    }
    flush_tables(hart, false, true);
    flush_views(hart, -1);
    if (hart->code)
        code_cache_flush_map(hart);
}

void mmu_switch_space(struct hart *hart, bool all)
{
    if (all) {
        mmu_flush_supervisor(hart);
    } else {
        flush_tables(hart, is_guest(hart), false);
        if (hart->code)
            code_cache_flush_map_space(hart);
    }
    if (hart->tlb.view.space_changed && !is_guest(hart))
        hart->tlb.view.space_changed(hart->tlb.view.ctx);
}

void mmu_flush(struct hart *hart)
{
    flush_tables(hart, false, true);
    flush_views(hart, -1);
    if (isa_has(&hart->isa, ISA_H))
        flush_tables(hart, true, true);
    if (hart->code)
        code_cache_flush_map(hart);
    tlb_flush(&hart->tlb, TLB_M, true);
}

static bool is_in_superpage(const struct hart *hart, gva_t va)
{
    for (u32 global = 0; global < 2; global++) {
        const struct gva_range *hull = &hart->tlb_large[is_guest(hart)][global][va >> 63];
        if (va >= hull->first && va <= hull->last)
            return true;
    }
    return false;
}

void mmu_flush_page(struct hart *hart, gva_t va)
{
    if (is_in_superpage(hart, va)) {
        if (is_guest(hart))
            mmu_flush_guest(hart);
        else
            mmu_flush(hart);
        return;
    }
    tlb_drop(&hart->tlb, va);
    if (hart->code)
        code_cache_flush_map_page(hart, va);
}
