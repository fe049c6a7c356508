/* SPDX-License-Identifier: BSD-2-Clause */
/* Physical memory protection: matching by precomputed ranges, lock rules, the Smepmp truth table.
 */
#include "rv/pmp.h"

#include "base/assert.h"
#include "rv/csr.h"
#include "rv/mmu.h"

/* Physical addresses have 56 bits, pmpaddr holds bits 55..2. */
#define PMPADDR_MASK     GENMASK(53, 0)
#define PMP_ADDRESS_LAST GENMASK(55, 0)

/* Recomputes what entry index matches. */
static void entry_update(struct hart *hart, u32 index)
{
    u64 addr = hart->csr.pmpaddr[index];
    struct pmp_range *range = &hart->pmp_range[index];
    bool active = true;

    switch (PMP_A_OF(hart->csr.pmpcfg[index])) {
    case PMP_TOR:
        range->first = index ? hart->csr.pmpaddr[index - 1] << 2 : 0;
        range->last = (addr << 2) - 1;
        active = range->first < addr << 2;
        break;
    case PMP_NA4:
        range->first = addr << 2;
        range->last = range->first + 3;
        break;
    case PMP_NAPOT:
        range->first = (addr & (addr + 1)) << 2;
        range->last = ((addr | (addr + 1)) << 2) + 3;
        break;
    default:
        active = false;
    }
    if (active)
        hart->pmp_active |= 1u << index;
    else
        hart->pmp_active &= ~(1u << index);
}

/* After any change: does the first entry in force, if any, let everybody do everything? */
static void update_open(struct hart *hart)
{
    const struct pmp_range *first;
    u32 i;

    hart->pmp_open = false;
    if (hart->csr.mseccfg & (MSECCFG_MML | MSECCFG_MMWP))
        return;
    if (!hart->pmp_active) {
        hart->pmp_open = !hart->isa.pmp_count;
        return;
    }
    i = (u32)__builtin_ctz(hart->pmp_active);
    first = &hart->pmp_range[i];
    hart->pmp_open = first->first == 0 && first->last >= PMP_ADDRESS_LAST &&
                     (hart->csr.pmpcfg[i] & PMP_RWX) == PMP_RWX;
}

/* Smepmp, table "RWX encoding under MML", by L R W X. */
static u32 mml_permissions(u8 cfg, bool machine)
{
    bool locked = cfg & PMP_L;
    u32 rwx = cfg & PMP_RWX;

    if ((rwx & (PMP_R | PMP_W)) == PMP_W) { /* shared regions */
        if (!locked)
            return machine || (rwx & PMP_X) ? PMP_R | PMP_W : PMP_R;
        return machine && (rwx & PMP_X) ? PMP_R | PMP_X : PMP_X;
    }
    if (locked && rwx == PMP_RWX)
        return PMP_R;
    return locked == machine ? rwx : 0;
}

static u32 entry_permissions(const struct hart *hart, u8 cfg, enum priv priv)
{
    if (hart->csr.mseccfg & MSECCFG_MML)
        return mml_permissions(cfg, priv == PRIV_M);
    if (priv == PRIV_M && !(cfg & PMP_L))
        return PMP_RWX;
    return cfg & PMP_RWX;
}

static u32 unmatched_permissions(const struct hart *hart, enum priv priv)
{
    if (priv != PRIV_M)
        return hart->isa.pmp_count ? 0 : PMP_RWX;
    if (hart->csr.mseccfg & MSECCFG_MMWP)
        return 0;
    return hart->csr.mseccfg & MSECCFG_MML ? PMP_R | PMP_W : PMP_RWX;
}

u32 pmp_permissions_by_entry(const struct hart *hart, gpa_t gpa, u64 size, enum priv priv,
                             bool *whole)
{
    gpa_t page = gpa & PAGE_MASK, page_last = gpa | ~PAGE_MASK, last = gpa + size - 1;

    *whole = true;
    for (u32 left = hart->pmp_active; left; left &= left - 1) {
        u32 i = (u32)__builtin_ctz(left);
        const struct pmp_range *range = &hart->pmp_range[i];

        if (range->first > page_last || range->last < page)
            continue;
        if (range->first > page || range->last < page_last)
            *whole = false;
        if (range->first > last || range->last < gpa)
            continue;
        if (range->first > gpa || range->last < last)
            return 0; /* matches some bytes of the access, not all */
        return entry_permissions(hart, hart->csr.pmpcfg[i], priv);
    }
    return unmatched_permissions(hart, priv);
}

bool pmp_check(const struct hart *hart, gpa_t gpa, u64 size, enum access acc, enum priv priv,
               bool *whole)
{
    static const u8 need[] = {[ACCESS_READ] = PMP_R, [ACCESS_WRITE] = PMP_W, [ACCESS_EXEC] = PMP_X};

    return pmp_permissions(hart, gpa, size, priv, whole) & need[acc];
}

static bool rule_is_locked(const struct hart *hart, u32 index)
{
    return (hart->csr.pmpcfg[index] & PMP_L) && !(hart->csr.mseccfg & MSECCFG_RLB);
}

/* With MML, may cfg be written, although it lets M-mode execute? Not without RLB. */
static bool adds_machine_code(const struct hart *hart, u8 cfg)
{
    u64 mseccfg = hart->csr.mseccfg;

    return (mseccfg & MSECCFG_MML) && !(mseccfg & MSECCFG_RLB) && (cfg & PMP_L) &&
           (mml_permissions(cfg, true) & PMP_X);
}

void pmp_write_cfg(struct hart *hart, u32 index, u8 cfg)
{
    ASSERT(index < PMP_ENTRIES);
    cfg &= PMP_RWX | PMP_A | PMP_L;
    if (!(hart->csr.mseccfg & MSECCFG_MML) && (cfg & (PMP_R | PMP_W)) == PMP_W)
        cfg &= (u8)~PMP_W; /* reserved combination */
    if (index >= hart->isa.pmp_count || cfg == hart->csr.pmpcfg[index] ||
        rule_is_locked(hart, index) || adds_machine_code(hart, cfg))
        return;
    hart->csr.pmpcfg[index] = cfg;
    entry_update(hart, index);
    update_open(hart);
    mmu_flush(hart);
}

void pmp_write_addr(struct hart *hart, u32 index, u64 addr)
{
    ASSERT(index < PMP_ENTRIES);
    addr &= PMPADDR_MASK;
    if (index >= hart->isa.pmp_count || addr == hart->csr.pmpaddr[index] ||
        rule_is_locked(hart, index))
        return;
    /* The address of a locked TOR entry's lower end is locked with it. */
    if (index + 1 < hart->isa.pmp_count && rule_is_locked(hart, index + 1) &&
        PMP_A_OF(hart->csr.pmpcfg[index + 1]) == PMP_TOR)
        return;
    hart->csr.pmpaddr[index] = addr;
    entry_update(hart, index);
    if (index + 1 < PMP_ENTRIES)
        entry_update(hart, index + 1);
    update_open(hart);
    mmu_flush(hart);
}

void pmp_write_mseccfg(struct hart *hart, u64 value)
{
    u64 old = hart->csr.mseccfg, mask = 0;
    bool locked = false;

    for (u32 i = 0; i < PMP_ENTRIES; i++)
        locked |= hart->csr.pmpcfg[i] & PMP_L;
    if (isa_has(&hart->isa, ISA_SMEPMP)) {
        mask = MSECCFG_MML | MSECCFG_MMWP | MSECCFG_RLB;
        value |= old & (MSECCFG_MML | MSECCFG_MMWP); /* sticky until reset */
        if (locked && !(old & MSECCFG_RLB))
            value &= ~MSECCFG_RLB;
    }
    if (isa_has(&hart->isa, ISA_ZKR))
        mask |= MSECCFG_USEED | MSECCFG_SSEED;
    hart->csr.mseccfg = value & mask;
    update_open(hart);
    if ((old ^ hart->csr.mseccfg) & (MSECCFG_MML | MSECCFG_MMWP))
        mmu_flush(hart);
}

void pmp_reset(struct hart *hart)
{
    hart->pmp_active = 0;
    for (u32 i = 0; i < PMP_ENTRIES; i++) {
        hart->csr.pmpcfg[i] = 0;
        hart->csr.pmpaddr[i] = 0;
    }
    update_open(hart);
}
