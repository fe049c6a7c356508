/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Control and status registers: a table made of spec/csr.def, the access rules common to all, and
 * the registers that need more than a mask.
 *
 * A setter gets the new value and the bits that the instruction touched (CSRRS and CSRRC: those
 * of its operand), which matters where a register mixes software's bits with those of wires.
 */
#include "rv/csr.h"

#include "base/mem.h"
#include "rv/csr_counters.h"
#include "rv/csr_hyper.h"
#include "rv/mmu.h"
#include "rv/pmp.h"
#include "rv/trap.h"

#define MASK_ALL   UINT64_MAX
#define MASK_CAUSE CAUSE_WRITABLE

#define MEDELEG_WRITABLE UINT64_C(0xb3ff) /* all but ECALL from M (11) and the reserved 14 */
/* With H: ECALL from VS (10), guest-page faults and virtual instructions (20 to 23). */
#define MEDELEG_HYPER UINT64_C(0xf00400)

#define MSTATUS_WRITABLE                                                                    \
    (MSTATUS_SIE | MSTATUS_MIE | MSTATUS_SPIE | MSTATUS_MPIE | MSTATUS_SPP | MSTATUS_MPRV | \
     MSTATUS_SUM | MSTATUS_MXR | MSTATUS_TVM | MSTATUS_TW | MSTATUS_TSR)

#define MIP_S (BIT(IRQ_SSI) | BIT(IRQ_STI) | BIT(IRQ_SEI))
#define MIP_M (BIT(IRQ_MSI) | BIT(IRQ_MTI) | BIT(IRQ_MEI))

/* Zkr: OPST field of seed. */
#define SEED_ES16 (UINT64_C(2) << 30)

/* What else than privilege decides about an access. */
enum guard {
    GUARD_NONE,
    GUARD_FS,       /* mstatus.FS off: illegal */
    GUARD_COUNTER,  /* mcounteren, scounteren by number */
    GUARD_ENVCFG,   /* mstateen0.ENVCFG */
    GUARD_STATEEN,  /* mstateenN.SE */
    GUARD_STIMECMP, /* menvcfg.STCE and mcounteren.TM */
    GUARD_TVM,      /* mstatus.TVM */
    GUARD_SEED,     /* mseccfg.SSEED, USEED; never without a write */
    GUARD_PMP,      /* exists if any PMP entry does */
    GUARD_MSECCFG,  /* exists with Smepmp or Zkr */
    GUARD_RETIRES,  /* counts instructions, the writing one excepted */
};

struct csr_desc {
    const char *name;
    u64 (*get)(struct hart *hart, u32 number); /* NULL: a member of struct csrs */
    void (*set)(struct hart *hart, u32 number, u64 value, u64 touched); /* NULL: read-only */
    u64 mask; /* of a member: bits that a write changes */
    u16 number;
    u16 offset; /* of a member */
    u8 ext;
    u8 guard;
};

static bool has(const struct hart *hart, enum isa_ext ext)
{
    return isa_has(&hart->isa, ext);
}

void csr_poll_irq(struct hart *hart)
{
    if (trap_pending(hart) >= 0)
        hart_attention(hart, ATTN_IRQ);
}

/* For registers that exist but whose every write leaves them as they are. */
static void set_nothing(struct hart *hart, u32 number, u64 value, u64 touched)
{
}

/* Floating point */

static u64 get_fflags(struct hart *hart, u32 number)
{
    return hart->csr.fflags;
}

static void set_fflags(struct hart *hart, u32 number, u64 value, u64 touched)
{
    hart->csr.fflags = (u32)value & 0x1f;
    csr_fs_dirty(hart);
}

static u64 get_frm(struct hart *hart, u32 number)
{
    return hart->csr.frm;
}

static void set_frm(struct hart *hart, u32 number, u64 value, u64 touched)
{
    hart->csr.frm = (u32)value & 7;
    csr_fs_dirty(hart);
}

static u64 get_fcsr(struct hart *hart, u32 number)
{
    return hart->csr.frm << 5 | hart->csr.fflags;
}

static void set_fcsr(struct hart *hart, u32 number, u64 value, u64 touched)
{
    set_fflags(hart, number, value, touched);
    set_frm(hart, number, value >> 5, touched);
}

/* Zkr */

static u64 get_seed(struct hart *hart, u32 number)
{
    u16 bits;

    entropy_fill(&hart->env->entropy, &bits, sizeof(bits));
    return SEED_ES16 | bits;
}

/* Status */

static u64 with_sd(u64 v)
{
    return v | ((v & MSTATUS_FS) == MSTATUS_FS ? MSTATUS_SD : 0);
}

static u64 get_mstatus(struct hart *hart, u32 number)
{
    return with_sd(hart->csr.mstatus);
}

static void set_mstatus(struct hart *hart, u32 number, u64 value, u64 touched)
{
    u64 mask = MSTATUS_WRITABLE, old = hart->csr.mstatus, changed;

    if (has(hart, ISA_F))
        mask |= MSTATUS_FS;
    if (has(hart, ISA_H))
        mask |= MSTATUS_GVA | MSTATUS_MPV;
    if (bits_get(value, 11, 2) != 2) /* no such privilege mode: MPP keeps its value */
        mask |= MSTATUS_MPP;
    hart->csr.mstatus = bits_merge(old, mask, value);
    changed = old ^ hart->csr.mstatus;
    if (changed & MSTATUS_MXR)
        mmu_flush_data(hart);
    if (changed & (MSTATUS_MPRV | MSTATUS_MPP | MSTATUS_MPV | MSTATUS_SUM))
        mmu_update_mode(hart);
    csr_poll_irq(hart);
}

static u64 get_sstatus(struct hart *hart, u32 number)
{
    return with_sd(hart->csr.mstatus | hart->csr.h.hidden_fs) & SSTATUS_READABLE;
}

static void set_sstatus(struct hart *hart, u32 number, u64 value, u64 touched)
{
    if (UNLIKELY(hyper_hides_fs(hart))) {
        hart->csr.h.hidden_fs = value & MSTATUS_FS;
        value &= ~MSTATUS_FS;
    }
    set_mstatus(hart, number, bits_merge(hart->csr.mstatus, SSTATUS_WRITABLE, value), touched);
}

static u64 get_misa(struct hart *hart, u32 number)
{
    return isa_misa(&hart->isa);
}

/* Trap vectors and return addresses */

/* Modes 0 (direct) and 1 (vectored); of the reserved ones bit 1 does not stick. */
static void set_mtvec(struct hart *hart, u32 number, u64 value, u64 touched)
{
    hart->csr.mtvec = value & ~UINT64_C(2);
}

static u64 get_mtvec(struct hart *hart, u32 number)
{
    return hart->csr.mtvec;
}

static void set_stvec(struct hart *hart, u32 number, u64 value, u64 touched)
{
    hart->csr.stvec = value & ~UINT64_C(2);
}

static u64 get_stvec(struct hart *hart, u32 number)
{
    return hart->csr.stvec;
}

static u64 insn_align_mask(struct hart *hart)
{
    return has(hart, ISA_ZCA) ? ~UINT64_C(1) : ~UINT64_C(3);
}

static u64 get_mepc(struct hart *hart, u32 number)
{
    return hart->csr.mepc;
}

static void set_mepc(struct hart *hart, u32 number, u64 value, u64 touched)
{
    hart->csr.mepc = value & insn_align_mask(hart);
}

static u64 get_sepc(struct hart *hart, u32 number)
{
    return hart->csr.sepc;
}

static void set_sepc(struct hart *hart, u32 number, u64 value, u64 touched)
{
    hart->csr.sepc = value & insn_align_mask(hart);
}

/* Interrupts */

static u64 lcofi(struct hart *hart)
{
    return has(hart, ISA_SSCOFPMF) ? BIT(IRQ_LCOFI) : 0;
}

u64 csr_mip(struct hart *hart)
{
    u64 soft = atomic_load_explicit(&hart->irq_soft, memory_order_acquire);

    /* With STCE, STIP is the comparator's output and software's bit lies dormant. */
    if (hart->csr.menvcfg & ENVCFG_STCE)
        soft &= ~BIT(IRQ_STI);
    return atomic_load_explicit(&hart->irq_wires, memory_order_acquire) | soft;
}

static u64 get_mip(struct hart *hart, u32 number)
{
    return csr_mip(hart);
}

/* Changes software's bits of mip; other threads may set some meanwhile and lose nothing. */
void csr_write_soft(struct hart *hart, u64 value, u64 touched)
{
    atomic_fetch_and(&hart->irq_soft, ~(touched & ~value));
    atomic_fetch_or(&hart->irq_soft, touched & value);
    csr_poll_irq(hart);
}

static void set_mip(struct hart *hart, u32 number, u64 value, u64 touched)
{
    u64 writable = MIP_S | lcofi(hart);

    if (hart->csr.menvcfg & ENVCFG_STCE)
        writable &= ~BIT(IRQ_STI);
    if (has(hart, ISA_H))
        writable |= BIT(IRQ_VSSI);
    csr_write_soft(hart, value, touched & writable);
}

/* Those that sip and sie show: HS-mode has VS-mode's in hip and hie. */
static u64 supervisor_irqs(const struct hart *hart)
{
    return hart->csr.mideleg & ~MIP_VS;
}

static u64 get_sip(struct hart *hart, u32 number)
{
    return csr_mip(hart) & supervisor_irqs(hart);
}

static void set_sip(struct hart *hart, u32 number, u64 value, u64 touched)
{
    u64 writable = (BIT(IRQ_SSI) | lcofi(hart)) & hart->csr.mideleg;

    csr_write_soft(hart, value, touched & writable);
}

static u64 get_mie(struct hart *hart, u32 number)
{
    return hart->csr.mie;
}

static u64 guest_irqs(const struct hart *hart)
{
    return has(hart, ISA_H) ? MIP_VS : 0;
}

void csr_write_mie(struct hart *hart, u64 value)
{
    hart->csr.mie = value & (MIP_M | MIP_S | lcofi(hart) | guest_irqs(hart));
    csr_poll_irq(hart);
}

static void set_mie(struct hart *hart, u32 number, u64 value, u64 touched)
{
    csr_write_mie(hart, value);
}

static u64 get_sie(struct hart *hart, u32 number)
{
    return hart->csr.mie & supervisor_irqs(hart);
}

static void set_sie(struct hart *hart, u32 number, u64 value, u64 touched)
{
    csr_write_mie(hart, bits_merge(hart->csr.mie, supervisor_irqs(hart), value));
}

static u64 get_mideleg(struct hart *hart, u32 number)
{
    return hart->csr.mideleg;
}

static void set_mideleg(struct hart *hart, u32 number, u64 value, u64 touched)
{
    hart->csr.mideleg = (value & (MIP_S | lcofi(hart))) | guest_irqs(hart);
    csr_poll_irq(hart);
}

static u64 get_medeleg(struct hart *hart, u32 number)
{
    return hart->csr.medeleg;
}

static void set_medeleg(struct hart *hart, u32 number, u64 value, u64 touched)
{
    hart->csr.medeleg = value & (MEDELEG_WRITABLE | (has(hart, ISA_H) ? MEDELEG_HYPER : 0));
}

/* Counters and time */

static u64 get_mcounteren(struct hart *hart, u32 number)
{
    return hart->csr.mcounteren;
}

static void set_mcounteren(struct hart *hart, u32 number, u64 value, u64 touched)
{
    hart->csr.mcounteren = (u32)value & counter_mask(hart);
}

static u64 get_scounteren(struct hart *hart, u32 number)
{
    return hart->csr.scounteren;
}

static void set_scounteren(struct hart *hart, u32 number, u64 value, u64 touched)
{
    hart->csr.scounteren = (u32)value & counter_mask(hart);
}

static u64 get_mcountinhibit(struct hart *hart, u32 number)
{
    return hart->csr.mcountinhibit;
}

static u64 get_time(struct hart *hart, u32 number)
{
    u64 delta = hyper_is_guest(hart) ? hart->csr.h.htimedelta : 0;

    return hart->env->time(hart->env->ctx) + delta;
}

static void set_comparator(struct hart *hart, u64 time)
{
    if (hart->env->set_stimecmp)
        hart->env->set_stimecmp(hart->env->ctx, hart, time);
}

static u64 get_stimecmp(struct hart *hart, u32 number)
{
    return hart->csr.stimecmp;
}

static void set_stimecmp(struct hart *hart, u32 number, u64 value, u64 touched)
{
    hart->csr.stimecmp = value;
    if (hart->csr.menvcfg & ENVCFG_STCE)
        set_comparator(hart, value);
    csr_poll_irq(hart);
}

/* Environment configuration and state enables */

static u64 envcfg_mask(const struct hart *hart)
{
    u64 mask = ENVCFG_FIOM;

    if (has(hart, ISA_ZICBOM))
        mask |= ENVCFG_CBIE | ENVCFG_CBCFE;
    if (has(hart, ISA_ZICBOZ))
        mask |= ENVCFG_CBZE;
    if (has(hart, ISA_SVADU))
        mask |= ENVCFG_ADUE;
    if (has(hart, ISA_SVPBMT))
        mask |= ENVCFG_PBMTE;
    if (has(hart, ISA_SSTC))
        mask |= ENVCFG_STCE;
    return mask;
}

u64 csr_envcfg_legal(const struct hart *hart, u64 value, u64 more)
{
    if ((value & ENVCFG_CBIE) == BIT(5)) /* reserved encoding 2 */
        value &= ~ENVCFG_CBIE;
    return value & envcfg_mask(hart) &
           (ENVCFG_FIOM | ENVCFG_CBIE | ENVCFG_CBCFE | ENVCFG_CBZE | more);
}

static u64 get_menvcfg(struct hart *hart, u32 number)
{
    return hart->csr.menvcfg;
}

static void set_menvcfg(struct hart *hart, u32 number, u64 value, u64 touched)
{
    u64 changed;

    value = csr_envcfg_legal(hart, value, ENVCFG_ADUE | ENVCFG_PBMTE | ENVCFG_STCE);
    changed = value ^ hart->csr.menvcfg;
    hart->csr.menvcfg = value;
    if (changed & (ENVCFG_ADUE | ENVCFG_PBMTE))
        mmu_flush(hart);
    if (changed & ENVCFG_STCE) {
        set_comparator(hart, value & ENVCFG_STCE ? hart->csr.stimecmp : UINT64_MAX);
        hyper_update_timer(hart);
    }
    csr_poll_irq(hart);
}

static u64 get_senvcfg(struct hart *hart, u32 number)
{
    return hart->csr.senvcfg;
}

static void set_senvcfg(struct hart *hart, u32 number, u64 value, u64 touched)
{
    hart->csr.senvcfg = csr_envcfg_legal(hart, value, 0);
}

static u64 get_mstateen(struct hart *hart, u32 number)
{
    return hart->csr.mstateen[number - CSR_mstateen0];
}

static void set_mstateen(struct hart *hart, u32 number, u64 value, u64 touched)
{
    u64 mask = number == CSR_mstateen0 ? STATEEN_SE | STATEEN_ENVCFG : STATEEN_SE;

    hart->csr.mstateen[number - CSR_mstateen0] = value & mask;
}

/* Every defined bit guards an extension that is absent. */
static u64 get_sstateen(struct hart *hart, u32 number)
{
    return hart->csr.sstateen[number - CSR_sstateen0];
}

/* Translation and protection */

static u64 get_satp(struct hart *hart, u32 number)
{
    return hart->csr.satp;
}

static void set_satp(struct hart *hart, u32 number, u64 value, u64 touched)
{
    u64 mode = value >> 60, old = hart->csr.satp;

    if ((mode && (mode < 8 || mode > hart->isa.satp_mode_max)) || value == old)
        return;
    hart->csr.satp = value;
    mmu_switch_space(hart, mode != old >> 60);
}

static u64 get_pmpcfg(struct hart *hart, u32 number)
{
    u32 first = (number - CSR_pmpcfg0) * 4;
    u64 v = 0;

    for (u32 i = 0; i < 8; i++)
        v |= (u64)hart->csr.pmpcfg[first + i] << (8 * i);
    return v;
}

static void set_pmpcfg(struct hart *hart, u32 number, u64 value, u64 touched)
{
    u32 first = (number - CSR_pmpcfg0) * 4;

    for (u32 i = 0; i < 8; i++)
        pmp_write_cfg(hart, first + i, (u8)(value >> (8 * i)));
}

static u64 get_pmpaddr(struct hart *hart, u32 number)
{
    return hart->csr.pmpaddr[number - CSR_pmpaddr0];
}

static void set_pmpaddr(struct hart *hart, u32 number, u64 value, u64 touched)
{
    pmp_write_addr(hart, number - CSR_pmpaddr0, value);
}

static u64 get_mseccfg(struct hart *hart, u32 number)
{
    return hart->csr.mseccfg;
}

static void set_mseccfg(struct hart *hart, u32 number, u64 value, u64 touched)
{
    pmp_write_mseccfg(hart, value);
}

/* Identity */

/* Not a commercial implementation. */
static u64 get_mvendorid(struct hart *hart, u32 number)
{
    return 0;
}

/* No architecture id has been allocated to Cosm; 0 says so. */
static u64 get_marchid(struct hart *hart, u32 number)
{
    return 0;
}

static u64 get_mimpid(struct hart *hart, u32 number)
{
    return HART_MIMPID;
}

static u64 get_mhartid(struct hart *hart, u32 number)
{
    return hart->id;
}

static u64 get_mconfigptr(struct hart *hart, u32 number)
{
    return 0;
}

/* The table */

enum csr_index {
#define CSR_FIELD(number, name, mask, ext, guard)    INDEX_##name,
#define CSR_FUNC(number, name, get, set, ext, guard) INDEX_##name,
#include "spec/csr.def"
#undef CSR_FIELD
#undef CSR_FUNC
    INDEX_COUNT
};

static const struct csr_desc csr_table[] = {
#define CSR_FIELD(number, name, mask, ext, guard) \
    {#name, NULL, NULL, MASK_##mask, number, offsetof(struct csrs, name), ISA_##ext, GUARD_##guard},
#define CSR_FUNC(number, name, get, set, ext, guard) \
    {#name, get, set, 0, number, 0, ISA_##ext, GUARD_##guard},
#include "spec/csr.def"
#undef CSR_FIELD
#undef CSR_FUNC
};

/* Index into csr_table plus one, by number; 0: no such register. */
static const u8 csr_by_number[4096] = {
#define CSR_FIELD(number, name, mask, ext, guard)    [number] = INDEX_##name + 1,
#define CSR_FUNC(number, name, get, set, ext, guard) [number] = INDEX_##name + 1,
#include "spec/csr.def"
#undef CSR_FIELD
#undef CSR_FUNC
};

_Static_assert(INDEX_COUNT < UINT8_MAX, "csr_by_number holds bytes");

/* Of the lowest mode that a register is open to, by its number; HS-mode has two. */
#define LEVEL_HYPER 2u

static u32 level_of(const struct csr_desc *desc)
{
    return desc->number >> 8 & 3;
}

static const struct csr_desc *find(const struct hart *hart, u32 number)
{
    const struct csr_desc *desc;

    if (number >= ARRAY_SIZE(csr_by_number) || !csr_by_number[number])
        return NULL;
    desc = &csr_table[csr_by_number[number] - 1];
    if (!has(hart, (enum isa_ext)desc->ext))
        return NULL;
    if (level_of(desc) == LEVEL_HYPER && !has(hart, ISA_H))
        return NULL;
    if (desc->guard == GUARD_PMP && !hart->isa.pmp_count)
        return NULL;
    if (desc->guard == GUARD_MSECCFG && !has(hart, ISA_SMEPMP) && !has(hart, ISA_ZKR))
        return NULL;
    return desc;
}

static bool counter_is_open(const struct hart *hart, u32 index)
{
    if (hart->priv == PRIV_M)
        return true;
    if (!(hart->csr.mcounteren >> index & 1))
        return false;
    return hart->priv == PRIV_S || (hart->csr.scounteren >> index & 1);
}

static bool seed_is_open(const struct hart *hart, bool writes)
{
    if (!writes)
        return false;
    if (hart->priv == PRIV_M)
        return true;
    return hart->csr.mseccfg & (hart->priv == PRIV_S ? MSECCFG_SSEED : MSECCFG_USEED);
}

/* Registers of S-mode that M-mode can withhold. */
static bool supervisor_may(const struct hart *hart, const struct csr_desc *desc)
{
    switch (desc->guard) {
    case GUARD_ENVCFG:
        return !has(hart, ISA_SMSTATEEN) || (hart->csr.mstateen[0] & STATEEN_ENVCFG);
    case GUARD_STATEEN:
        return !has(hart, ISA_SMSTATEEN) || (hart->csr.mstateen[desc->number & 3] & STATEEN_SE);
    case GUARD_STIMECMP:
        return (hart->csr.menvcfg & ENVCFG_STCE) && (hart->csr.mcounteren >> 1 & 1);
    case GUARD_TVM:
        return !(hart->csr.mstatus & MSTATUS_TVM);
    default:
        return true;
    }
}

enum verdict { ALLOWED, ILLEGAL, VIRTUAL };

/* What a guest finds though its privilege and M-mode allow it: HS-mode's say. */
static bool guest_may(const struct hart *hart, const struct csr_desc *desc)
{
    const struct hyper_csrs *h = &hart->csr.h;

    switch (desc->guard) {
    case GUARD_COUNTER:
        return (h->hcounteren >> (desc->number & 31) & 1) &&
               (hart->priv == PRIV_S || (hart->csr.scounteren >> (desc->number & 31) & 1));
    case GUARD_ENVCFG:
        return !has(hart, ISA_SSSTATEEN) || (h->hstateen[0] & STATEEN_ENVCFG);
    case GUARD_STATEEN:
        return h->hstateen[desc->number & 3] & STATEEN_SE;
    case GUARD_STIMECMP:
        return (h->henvcfg & ENVCFG_STCE) && (h->hcounteren >> 1 & 1);
    case GUARD_TVM:
        return !(h->hstatus & HSTATUS_VTVM);
    default:
        return true;
    }
}

/* Illegal is what HS-mode could not do either, whatever TVM says ("Virtual-Instruction"). */
static enum verdict judge_guest(const struct hart *hart, const struct csr_desc *desc, bool writes)
{
    u32 level = level_of(desc);

    if (level == PRIV_M || (writes && desc->number >> 10 == 3))
        return ILLEGAL;
    switch (desc->guard) {
    case GUARD_FS:
        return hart->csr.mstatus & MSTATUS_FS ? ALLOWED : ILLEGAL;
    case GUARD_SEED: /* Zkr, table of access to seed */
        return writes && (hart->csr.mseccfg & MSECCFG_SSEED) ? VIRTUAL : ILLEGAL;
    case GUARD_COUNTER:
        if (!(hart->csr.mcounteren >> (desc->number & 31) & 1))
            return ILLEGAL;
        break;
    case GUARD_TVM:
        break;
    default:
        if (!supervisor_may(hart, desc))
            return ILLEGAL;
    }
    if (level == LEVEL_HYPER || level > (u32)hart->priv)
        return VIRTUAL;
    return guest_may(hart, desc) ? ALLOWED : VIRTUAL;
}

static bool is_allowed(const struct hart *hart, const struct csr_desc *desc, bool writes)
{
    u32 level = level_of(desc);

    if ((u32)hart->priv < level && (level != LEVEL_HYPER || hart->priv != PRIV_S))
        return false;
    if (writes && desc->number >> 10 == 3)
        return false;
    if (desc->guard == GUARD_NONE)
        return true;
    if (desc->guard == GUARD_FS)
        return hart->csr.mstatus & MSTATUS_FS;
    if (desc->guard == GUARD_COUNTER)
        return counter_is_open(hart, desc->number & 31);
    if (desc->guard == GUARD_SEED)
        return seed_is_open(hart, writes);
    return hart->priv == PRIV_M || supervisor_may(hart, desc);
}

static enum verdict judge(const struct hart *hart, const struct csr_desc *desc, bool writes)
{
    if (!desc)
        return ILLEGAL;
    if (UNLIKELY(hyper_is_guest(hart)))
        return judge_guest(hart, desc, writes);
    return is_allowed(hart, desc, writes) ? ALLOWED : ILLEGAL;
}

/* What a guest reaches by a register of S-mode, if that is not where S-mode's lies. */
static const struct csr_desc *guests_own(const struct hart *hart, const struct csr_desc *desc)
{
    switch (desc->number) {
    case CSR_sie:
        return find(hart, CSR_vsie);
    case CSR_sip:
        return find(hart, CSR_vsip);
    case CSR_stimecmp:
        return find(hart, CSR_vstimecmp);
    default:
        return desc;
    }
}

static u64 *member(struct hart *hart, const struct csr_desc *desc)
{
    return (u64 *)(void *)((char *)&hart->csr + desc->offset);
}

static u64 read_csr(struct hart *hart, const struct csr_desc *desc)
{
    return desc->get ? desc->get(hart, desc->number) : *member(hart, desc);
}

static void write_csr(struct hart *hart, const struct csr_desc *desc, u64 value, u64 touched)
{
    if (desc->set)
        desc->set(hart, desc->number, value, touched);
    else if (desc->mask)
        *member(hart, desc) = bits_merge(*member(hart, desc), desc->mask, value);
}

bool csr_access(struct hart *hart, u32 number, bool reads, bool writes, u64 clear, u64 set,
                u64 *old)
{
    const struct csr_desc *desc = find(hart, number);
    enum verdict verdict = judge(hart, desc, writes);
    u64 value = 0;

    if (UNLIKELY(verdict != ALLOWED))
        return hart_raise(hart, verdict == ILLEGAL ? CAUSE_ILLEGAL : CAUSE_VIRTUAL, 0);
    if (UNLIKELY(hyper_is_guest(hart)))
        desc = guests_own(hart, desc);
    if (reads || clear != UINT64_MAX)
        value = read_csr(hart, desc);
    if (reads)
        *old = value;
    if (!writes)
        return true;
    value = (value & ~clear) | set;
    /* The writing instruction retires after this and must not be counted (3.1.10). */
    if (desc->guard == GUARD_RETIRES && (hart->csr.counting >> (number & 31) & 1))
        value--;
    write_csr(hart, desc, value, clear | set);
    return true;
}

bool csr_peek(struct hart *hart, u32 number, u64 *value)
{
    const struct csr_desc *desc = find(hart, number);

    if (!desc)
        return false;
    *value = desc->guard == GUARD_SEED ? 0 : read_csr(hart, desc);
    return true;
}

bool csr_poke(struct hart *hart, u32 number, u64 value)
{
    const struct csr_desc *desc = find(hart, number);

    if (!desc || (desc->number >> 10 == 3))
        return false;
    write_csr(hart, desc, value, UINT64_MAX);
    return true;
}

const char *csr_name(u32 number)
{
    if (number >= ARRAY_SIZE(csr_by_number) || !csr_by_number[number])
        return NULL;
    return csr_table[csr_by_number[number] - 1].name;
}

u32 csr_number(const char *name)
{
    for (u32 i = 0; i < INDEX_COUNT; i++) {
        if (!strcmp(csr_table[i].name, name))
            return csr_table[i].number;
    }
    return UINT32_MAX;
}

void csr_reset(struct hart *hart)
{
    memset(&hart->csr, 0, sizeof(hart->csr));
    hart->csr.mstatus = UINT64_C(2) << 32 | UINT64_C(2) << 34; /* UXL, SXL: 64 bits */
    hart->csr.stimecmp = UINT64_MAX;
    /*
     * Zkr wants defined reset values. S-mode may draw entropy, so that an operating system which
     * reads "zkr" in the device tree is served under firmware that knows nothing of mseccfg.
     */
    if (has(hart, ISA_ZKR))
        hart->csr.mseccfg = MSECCFG_SSEED;
    atomic_store(&hart->irq_soft, 0);
    set_comparator(hart, UINT64_MAX);
    hyper_reset(hart);
    pmp_reset(hart);
    counter_reset(hart);
}
