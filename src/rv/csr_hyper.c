/* SPDX-License-Identifier: BSD-2-Clause */
/* The hypervisor extension's registers; how they are kept is in the header. */
#include "rv/csr_hyper.h"

#include "rv/code_cache.h"
#include "rv/csr_counters.h"
#include "rv/decode.h"
#include "rv/encoding.h"
#include "rv/mmu.h"
#include "rv/trap.h"

#define HSTATUS_WRITABLE                                                                  \
    (HSTATUS_GVA | HSTATUS_SPV | HSTATUS_SPVP | HSTATUS_HU | HSTATUS_VTVM | HSTATUS_VTW | \
     HSTATUS_VTSR)

/* All but the ECALLs of HS, VS and M (9, 10, 11) and guest-page faults. */
#define HEDELEG_WRITABLE UINT64_C(0xb1ff)

/* Of henvcfg, what is 0 where menvcfg's is. */
#define ENVCFG_UNDER (ENVCFG_STCE | ENVCFG_PBMTE | ENVCFG_ADUE)

#define HGATP_PPN  GENMASK(43, 2)
#define HGATP_VMID GENMASK(57, 44)

/* Where a register that is kept as a whole lies. */
static u64 *place(struct hart *hart, u32 number)
{
    struct csrs *c = &hart->csr;
    struct hyper_csrs *h = &c->h;
    bool guest = hyper_is_guest(hart);

    switch (number) {
    case CSR_hstatus:
        return &h->hstatus;
    case CSR_hedeleg:
        return &h->hedeleg;
    case CSR_hideleg:
        return &h->hideleg;
    case CSR_htimedelta:
        return &h->htimedelta;
    case CSR_htval:
        return &h->htval;
    case CSR_htinst:
        return &h->htinst;
    case CSR_hgatp:
        return &h->hgatp;
    case CSR_mtval2:
        return &h->mtval2;
    case CSR_mtinst:
        return &h->mtinst;
    case CSR_vstimecmp:
        return &h->vstimecmp;
    case CSR_vstvec:
        return guest ? &c->stvec : &h->other.tvec;
    case CSR_vsscratch:
        return guest ? &c->sscratch : &h->other.scratch;
    case CSR_vsepc:
        return guest ? &c->sepc : &h->other.epc;
    case CSR_vscause:
        return guest ? &c->scause : &h->other.cause;
    case CSR_vstval:
        return guest ? &c->stval : &h->other.tval;
    default:
        return guest ? &c->satp : &h->other.atp; /* vsatp */
    }
}

/* hcounteren, henvcfg and hgeie, hgeip, which are 0, too. */
u64 hyper_read(struct hart *hart, u32 number)
{
    switch (number) {
    case CSR_hcounteren:
        return hart->csr.h.hcounteren;
    case CSR_henvcfg:
        return hyper_envcfg(hart);
    case CSR_hgeie:
    case CSR_hgeip:
        return 0;
    default:
        return *place(hart, number);
    }
}

u64 hyper_envcfg(const struct hart *hart)
{
    return hart->csr.h.henvcfg & (hart->csr.menvcfg | ~ENVCFG_UNDER);
}

void hyper_write_status(struct hart *hart, u32 number, u64 value, u64 touched)
{
    hart->csr.h.hstatus = bits_merge(hart->csr.h.hstatus, HSTATUS_WRITABLE, value);
}

void hyper_write_deleg(struct hart *hart, u32 number, u64 value, u64 touched)
{
    if (number == CSR_hedeleg)
        hart->csr.h.hedeleg = value & HEDELEG_WRITABLE;
    else
        hart->csr.h.hideleg = value & MIP_VS;
    csr_poll_irq(hart);
}

u64 hyper_read_irq(struct hart *hart, u32 number)
{
    switch (number) {
    case CSR_hie:
        return hart->csr.mie & MIP_VS;
    case CSR_hip:
        return csr_mip(hart) & MIP_VS;
    case CSR_hvip:
        return atomic_load_explicit(&hart->irq_soft, memory_order_relaxed) & MIP_VS;
    case CSR_vsie:
        return hyper_to_guest(hart, hart->csr.mie);
    default: /* vsip */
        return hyper_to_guest(hart, csr_mip(hart));
    }
}

void hyper_write_irq(struct hart *hart, u32 number, u64 value, u64 touched)
{
    const u64 delegated = hart->csr.h.hideleg;

    switch (number) {
    case CSR_hie:
        csr_write_mie(hart, bits_merge(hart->csr.mie, MIP_VS, value));
        break;
    case CSR_hip:
        csr_write_soft(hart, value, touched & BIT(IRQ_VSSI));
        break;
    case CSR_hvip:
        csr_write_soft(hart, value, touched & MIP_VS);
        break;
    case CSR_vsie:
        csr_write_mie(hart, bits_merge(hart->csr.mie, delegated, value << 1));
        break;
    default: /* vsip */
        csr_write_soft(hart, value << 1, touched << 1 & BIT(IRQ_VSSI) & delegated);
        break;
    }
}

void hyper_write_counteren(struct hart *hart, u32 number, u64 value, u64 touched)
{
    hart->csr.h.hcounteren = (u32)value & counter_mask(hart);
}

void hyper_update_timer(struct hart *hart)
{
    bool on = hart->csr.menvcfg & hart->csr.h.henvcfg & ENVCFG_STCE;

    if (hart->env->set_vstimecmp)
        hart->env->set_vstimecmp(hart->env->ctx, hart, on ? hart->csr.h.vstimecmp : UINT64_MAX,
                                 hart->csr.h.htimedelta);
}

void hyper_write_time(struct hart *hart, u32 number, u64 value, u64 touched)
{
    *place(hart, number) = value; /* htimedelta, vstimecmp */
    hyper_update_timer(hart);
    csr_poll_irq(hart);
}

void hyper_update_zero(struct hart *hart)
{
    hart->csr.h.zero = hyper_is_guest(hart) ? hart->csr.h.henvcfg : UINT64_MAX;
}

void hyper_write_envcfg(struct hart *hart, u32 number, u64 value, u64 touched)
{
    u64 changed;

    value = csr_envcfg_legal(hart, value, ENVCFG_UNDER);
    changed = value ^ hart->csr.h.henvcfg;
    hart->csr.h.henvcfg = value;
    hyper_update_zero(hart);
    if (changed & (ENVCFG_ADUE | ENVCFG_PBMTE))
        mmu_flush_guest(hart);
    if (changed & ENVCFG_STCE)
        hyper_update_timer(hart);
    csr_poll_irq(hart);
}

u64 hyper_read_stateen(struct hart *hart, u32 number)
{
    u32 n = number - CSR_hstateen0;
    u64 above = isa_has(&hart->isa, ISA_SMSTATEEN) ? hart->csr.mstateen[n] : UINT64_MAX;

    return hart->csr.h.hstateen[n] & above;
}

void hyper_write_stateen(struct hart *hart, u32 number, u64 value, u64 touched)
{
    u64 mask = number == CSR_hstateen0 ? STATEEN_SE | STATEEN_ENVCFG : STATEEN_SE;

    hart->csr.h.hstateen[number - CSR_hstateen0] = value & mask;
}

void hyper_write_trap(struct hart *hart, u32 number, u64 value, u64 touched)
{
    *place(hart, number) = value; /* htval, htinst, mtval2, mtinst */
}

/* WARL, other than satp: what is legal of a value sticks though its mode is not. */
void hyper_write_gatp(struct hart *hart, u32 number, u64 value, u64 touched)
{
    u64 mode = value >> 60, old = hart->csr.h.hgatp;

    if (mode && (mode < 8 || mode > hart->isa.satp_mode_max))
        mode = old >> 60;
    value = mode << 60 | (value & (HGATP_VMID | HGATP_PPN));
    if (value == old)
        return;
    hart->csr.h.hgatp = value;
    mmu_flush_guest(hart);
}

/* ---- registers of VS-mode, by their own numbers ---- */

static u64 *guest_status(struct hart *hart)
{
    return hyper_is_guest(hart) ? &hart->csr.mstatus : &hart->csr.h.other.status;
}

u64 hyper_read_guest(struct hart *hart, u32 number)
{
    u64 v;

    if (number != CSR_vsstatus)
        return *place(hart, number);
    v = (*guest_status(hart) & SSTATUS_READABLE) | hart->csr.h.hidden_fs;
    return v | ((v & MSTATUS_FS) == MSTATUS_FS ? MSTATUS_SD : 0);
}

static void write_guest_status(struct hart *hart, u64 value)
{
    u64 mask = isa_has(&hart->isa, ISA_F) ? SSTATUS_WRITABLE : SSTATUS_WRITABLE & ~MSTATUS_FS;
    u64 *status = guest_status(hart), old = *status;

    if (hyper_is_guest(hart)) /* a debugger; sstatus knows of what is hidden */
        mask &= ~MSTATUS_FS;
    *status = bits_merge(old, mask, value);
    if ((old ^ *status) & MSTATUS_MXR)
        mmu_flush_guest(hart);
    if ((old ^ *status) & MSTATUS_SUM)
        mmu_update_mode(hart);
}

static void write_guest_atp(struct hart *hart, u64 value)
{
    u64 *atp = place(hart, CSR_vsatp), mode = value >> 60;

    if ((mode && (mode < 8 || mode > hart->isa.satp_mode_max)) || value == *atp)
        return;
    *atp = value;
    mmu_flush_guest(hart);
}

void hyper_write_guest(struct hart *hart, u32 number, u64 value, u64 touched)
{
    switch (number) {
    case CSR_vsstatus:
        write_guest_status(hart, value);
        break;
    case CSR_vsatp:
        write_guest_atp(hart, value);
        break;
    case CSR_vstvec:
        *place(hart, number) = value & ~UINT64_C(2);
        break;
    case CSR_vsepc:
        *place(hart, number) = value & (isa_has(&hart->isa, ISA_ZCA) ? ~UINT64_C(1) : ~UINT64_C(3));
        break;
    case CSR_vscause:
        *place(hart, number) = value & CAUSE_WRITABLE;
        break;
    default: /* vsscratch, vstval */
        *place(hart, number) = value;
        break;
    }
}

/* ---- V ---- */

bool hyper_hides_fs(const struct hart *hart)
{
    return hyper_is_guest(hart) && !(hart->csr.h.other.status & MSTATUS_FS) &&
           isa_has(&hart->isa, ISA_F);
}

static void exchange(u64 *a, u64 *b)
{
    u64 v = *a;

    *a = *b;
    *b = v;
}

/* The guest's status as it is to be kept; HS's is other. */
static u64 status_of_guest(struct hart *hart)
{
    struct hyper_csrs *h = &hart->csr.h;
    u64 status = hart->csr.mstatus & CSR_BANK_STATUS;

    if (hyper_hides_fs(hart))
        status = bits_merge(status, MSTATUS_FS, h->hidden_fs);
    else if ((status & MSTATUS_FS) == MSTATUS_FS)
        h->other.status |= MSTATUS_FS;
    h->hidden_fs = 0;
    return status;
}

void hyper_swap(struct hart *hart)
{
    struct csrs *c = &hart->csr;
    struct csr_bank *o = &c->h.other;
    u64 status = hyper_is_guest(hart) ? status_of_guest(hart) : c->mstatus & CSR_BANK_STATUS;

    c->mstatus = bits_merge(c->mstatus, CSR_BANK_STATUS, o->status);
    o->status = status;
    exchange(&c->stvec, &o->tvec);
    exchange(&c->sscratch, &o->scratch);
    exchange(&c->sepc, &o->epc);
    exchange(&c->scause, &o->cause);
    exchange(&c->stval, &o->tval);
    exchange(&c->satp, &o->atp);
    hart->mode ^= PRIV_VIRT;
    if (hyper_hides_fs(hart)) {
        c->h.hidden_fs = c->mstatus & MSTATUS_FS;
        c->mstatus &= ~MSTATUS_FS;
    }
    hyper_update_zero(hart);
}

/* ---- transformed instructions ---- */

#define TINST_RD     GENMASK(11, 7)
#define TINST_RS1    GENMASK(19, 15)
#define TINST_RS2    GENMASK(24, 20)
#define TINST_OPCODE GENMASK(6, 0)
#define TINST_FUNCT3 GENMASK(14, 12)

enum { LOAD = 0x03, LOAD_FP = 0x07, CACHE = 0x0f, STORE = 0x23, STORE_FP = 0x27, AMO = 0x2f };

/* An instruction of four bytes as the record has it, which compressed ones become. */
static u32 long_form(u64 insn)
{
    static const u32 match[OP_COUNT] = {
#define INSN(id, name, ext, fmt, match, ...) [OP_##id] = (u32)(match),
#define INSNC(...)                           INSN(__VA_ARGS__)
#define CINSN(...)
#include "spec/riscv.def"
#undef INSN
#undef INSNC
#undef CINSN
    };
    u32 raw = match[insn_op(insn)], opcode = raw & TINST_OPCODE;

    if (opcode == LOAD || opcode == LOAD_FP)
        return raw | insn_rd(insn) << 7;
    return opcode == STORE || opcode == STORE_FP ? raw | insn_rs2(insn) << 20 : 0;
}

u64 hyper_transformed(struct hart *hart, u64 tval)
{
    u32 raw = code_cache_raw(hart, hart->pc), mask = 0;
    u64 insn = decode(&hart->isa, raw), offset;

    if (insn_op(insn) == OP_ILLEGAL)
        return 0;
    if (!insn_is_long(raw))
        raw = long_form(insn);
    switch (raw & TINST_OPCODE) {
    case LOAD:
    case LOAD_FP:
        mask = TINST_OPCODE | TINST_FUNCT3 | TINST_RD;
        break;
    case STORE:
    case STORE_FP:
        mask = TINST_OPCODE | TINST_FUNCT3 | TINST_RS2;
        break;
    case CACHE:
    case AMO:
    case 0x73: /* HLV, HSV */
        mask = ~(u32)TINST_RS1;
        break;
    default:
        break;
    }
    if (!(raw & mask))
        return 0;
    offset = tval - hart->x[insn_rs1(insn)] - (mask == ~(u32)TINST_RS1 ? 0 : (u64)insn_imm(insn));
    raw = (raw & mask) | (offset < 8 ? (u32)offset << 15 : 0);
    return insn_len(insn) == 2 ? raw & ~2u : raw;
}

void hyper_reset(struct hart *hart)
{
    struct hyper_csrs *h = &hart->csr.h;

    h->zero = UINT64_MAX;
    if (!isa_has(&hart->isa, ISA_H))
        return;
    h->hstatus = UINT64_C(2) << 32; /* VSXL: 64 bits */
    h->other.status = UINT64_C(2) << 32;
    h->vstimecmp = UINT64_MAX;
    hart->csr.mideleg = MIP_VS; /* read-only */
    hyper_update_timer(hart);
}
