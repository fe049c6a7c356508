/* SPDX-License-Identifier: BSD-2-Clause */
/* Items of interrupts, translation, modes and CSRs. */
#include "tests/diff/engines_items.h"

#include "rv/csr_hyper.h"

/* An edit: a PTE of the last level, its value, and what to fence: see handler_pte. */
struct edit {
    u32 offset; /* within the tables of the last level */
    u64 pte;    /* up to its highest bit: without PTE_N, code would lie in a page of data */
    u64 va;     /* 0: all */
    u32 asid;   /* 0: any */
};

static struct edit random_edit(struct text *t, bool data_only)
{
    u32 table = (u32)rnd(t, LAST_PAGES);
    bool user = table, code = !data_only && !rnd(t, 3);
    u32 page = code ? PAGE_CODE + (u32)rnd(t, 2 * CODE_PAGES) : PAGE_DATA + (u32)rnd(t, DATA_PAGES);
    struct edit e = {.offset = (u32)(table * PAGE_SIZE + 8 * page)};

    e.pte = engines_random_pte(t->program, &t->rng, page, user);
    if (rnd(t, 2))
        e.va = (user ? VIEW_U : RAM_BASE) + page * PAGE_SIZE;
    if (user && rnd(t, 2))
        e.asid = table;
    return e;
}

static void emit_pte(struct text *t)
{
    struct edit e = random_edit(t, false);

    emit_li(t, 10, (s32)e.offset);
    emit_const(t, 11, e.pte);
    emit_const(t, 12, e.va);
    emit_li(t, 13, (s32)e.asid);
    emit_insn(t, OP_addi, 17, 0, 0, 1);
    emit_insn(t, OP_ecall, 0, 0, 0, 0);
}

/* Without a trap: the tables lie in the supervisor's superpage. Of data only, so that it is no
 * question where between store and fence the next instruction comes from. */
static void emit_pte_local(struct text *t, enum priv priv)
{
    struct edit e = random_edit(t, true);
    u64 tables = (priv == PRIV_M ? RAM_BASE : VIEW_S_2M) + PAGE_LAST * PAGE_SIZE;
    u32 a = free_reg(t), b = other_free_reg(t, a);

    emit_const(t, a, tables + e.offset);
    emit_const(t, b, e.pte);
    emit_insn(t, OP_sd, 0, a, b, 0);
    emit_const(t, a, e.va);
    emit_li(t, b, (s32)e.asid);
    if (!rnd(t, 4)) {
        emit_insn(t, OP_sfence_w_inval, 0, 0, 0, 0);
        emit_insn(t, OP_sinval_vma, 0, e.va ? a : 0, e.asid ? b : 0, 0);
        emit_insn(t, OP_sfence_inval_ir, 0, 0, 0, 0);
        return;
    }
    emit_insn(t, OP_sfence_vma, 0, e.va ? a : 0, e.asid ? b : 0, 0);
}

/* To the other space, another depth of tables, or none: the supervisor's code stays where it is. */
static void emit_satp(struct text *t)
{
    u32 mode = 8 + (u32)rnd(t, 3), space = (u32)rnd(t, SPACES), reg = free_reg(t);
    u32 root = mode == 8 ? PAGE_ROOT : mode == 9 ? PAGE_ROOT_48 : PAGE_ROOT_57;
    u64 satp = (u64)mode << 60 | (u64)(space + 1) << 44 | (RAM_BASE / PAGE_SIZE + root + space);

    emit_const(t, reg, rnd(t, 16) ? satp : 0);
    emit_insn(t, OP_csrrw, rnd(t, 2) ? 0 : reg, reg, 0, CSR_satp);
}

/* Machine mode only: a range of data or code that U and S reach only so. */
static void emit_pmp(struct text *t)
{
    static const u8 data[] = {0, 1, 3, 7}, code[] = {1, 5, 7, 5};
    bool on_code = !rnd(t, 3);
    u32 page = on_code ? PAGE_CODE + (u32)rnd(t, 4) : PAGE_DATA + (u32)rnd(t, DATA_PAGES);
    u32 reg = free_reg(t), at = (u32)rnd(t, 2) * 64 * (u32)rnd(t, 64);
    u32 cfg = 0x18u | (on_code ? code : data)[rnd(t, 4)];

    emit_li(t, reg, (s32)((RAM_BASE + page * PAGE_SIZE + at) >> 2 | (rnd(t, 2) ? 7 : 511)));
    emit_insn(t, OP_csrrw, 0, reg, 0, CSR_pmpaddr0);
    emit_insn(t, OP_addi, reg, 0, 0, rnd(t, 3) ? cfg : 0);
    emit_insn(t, OP_csrrw, 0, reg, 0, CSR_pmpcfg0);
    emit_insn(t, OP_sfence_vma, 0, 0, 0, 0);
}

/* Of the H extension; what would let interrupts through, or lead their handler astray, aside. Also
 * such as a guest has in their stead. */
static void emit_guest_csr(struct text *t)
{
    static const u16 reads[] = {CSR_hstatus,  CSR_hedeleg, CSR_hideleg,    CSR_hie,
                                CSR_hip,      CSR_hvip,    CSR_htval,      CSR_htinst,
                                CSR_hgatp,    CSR_henvcfg, CSR_hgeie,      CSR_hgeip,
                                CSR_mtval2,   CSR_mtinst,  CSR_vsstatus,   CSR_vsie,
                                CSR_vsip,     CSR_vstvec,  CSR_vsscratch,  CSR_vsepc,
                                CSR_vscause,  CSR_vstval,  CSR_vsatp,      CSR_vstimecmp,
                                CSR_satp,     CSR_stvec,   CSR_htimedelta, CSR_hcounteren,
                                CSR_hstateen0},
                     writes[] = {CSR_hstatus,    CSR_hedeleg,    CSR_hideleg,   CSR_hvip,
                                 CSR_hip,        CSR_htval,      CSR_htinst,    CSR_hgatp,
                                 CSR_henvcfg,    CSR_hgeie,      CSR_mtval2,    CSR_mtinst,
                                 CSR_vsstatus,   CSR_vsip,       CSR_vsscratch, CSR_vsepc,
                                 CSR_vscause,    CSR_vstval,     CSR_vsatp,     CSR_vstimecmp,
                                 CSR_htimedelta, CSR_hcounteren, CSR_hstateen0, CSR_senvcfg},
                     ops[] = {OP_csrrw, OP_csrrs, OP_csrrc, OP_csrrwi, OP_csrrsi, OP_csrrci};
    u32 reg = free_reg(t), which;
    u64 hgatp = UINT64_C(8) << 60 | (RAM_BASE / PAGE_SIZE + PAGE_G_ROOT);

    switch (rnd(t, 4)) {
    case 0:
        emit_insn(t, OP_csrrs, reg, 0, 0, reads[rnd(t, ARRAY_SIZE(reads))]);
        break;
    case 1:
        which = (u32)rnd(t, ARRAY_SIZE(writes));
        emit_const(t, reg, engines_special_int(&t->rng));
        emit_insn(t, (enum op)ops[rnd(t, 6)], rnd(t, 2) ? 0 : reg, reg, 0, writes[which]);
        break;
    case 2: /* as it was, or another, so that more comes of it than faults */
        emit_const(t, reg, rnd(t, 4) ? hgatp : 0);
        emit_insn(t, OP_csrrw, 0, reg, 0, CSR_hgatp);
        break;
    default:
        emit_const(t, reg, test_random(&t->rng) & (HSTATUS_SPVP | HSTATUS_HU | HSTATUS_SPV));
        emit_insn(t, OP_csrrw, 0, reg, 0, CSR_hstatus);
    }
}

static void emit_csr(struct text *t, const struct program *p)
{
    static const u16 reads[] = {CSR_fcsr,    CSR_frm,      CSR_sstatus, CSR_scause, CSR_stval,
                                CSR_mhartid, CSR_misa,     CSR_sepc,    CSR_time,   CSR_mie,
                                CSR_instret, CSR_minstret, CSR_cycle,   CSR_mepc,   CSR_mstatus};
    static const u16 writes[] = {CSR_fflags,     CSR_frm,    CSR_fcsr,         CSR_sscratch,
                                 CSR_scounteren, CSR_scause, CSR_stval,        CSR_mcounteren,
                                 CSR_minstret,   CSR_mcycle, CSR_mcountinhibit};
    static const u16 ops[] = {OP_csrrw, OP_csrrs, OP_csrrc, OP_csrrwi, OP_csrrsi, OP_csrrci};
    u32 reg = free_reg(t);
    u64 bits;

    if (p->guests && !rnd(t, 3)) {
        emit_guest_csr(t);
        return;
    }
    switch (rnd(t, 4)) {
    case 0:
    case 1: /* what interrupts move comes last */
        emit_insn(t, OP_csrrs, reg, 0, 0, reads[rnd(t, ARRAY_SIZE(reads) - (p->vague ? 5 : 0))]);
        break;
    case 2:
        emit_insn(t, (enum op)ops[rnd(t, 6)], rnd(t, 2) ? 0 : reg, (u32)rnd(t, 32), 0,
                  writes[rnd(t, ARRAY_SIZE(writes) - (p->vague ? 3 : 0))]);
        break;
    default: /* rd 0: other bits are not to be seen */
        bits = test_random(&t->rng) & (MSTATUS_SUM | MSTATUS_MXR | MSTATUS_MPRV);
        bits |= rnd(t, 4) ? 0 : MSTATUS_FS;
        bits |= rnd(t, 4) ? 0 : BIT(11); /* MPP: S beside U */
        bits |= p->guests && !rnd(t, 4) ? MSTATUS_MPV : 0;
        emit_const(t, reg, bits);
        emit_insn(t, rnd(t, 2) ? OP_csrrs : OP_csrrc, 0, reg, 0,
                  rnd(t, 2) ? CSR_mstatus : CSR_sstatus);
    }
}

/* Rounding modes and flags, as code that uses them does: mostly legal. */
static void emit_fcsr(struct text *t)
{
    u32 reg = free_reg(t), mode = rnd(t, 32) ? (u32)rnd(t, 5) : (u32)rnd(t, 8);

    switch (rnd(t, 6)) {
    case 0:
    case 1:
        emit_insn(t, OP_csrrwi, rnd(t, 2) ? 0 : reg, mode, 0, CSR_frm);
        break;
    case 2:
        emit_insn(t, OP_csrrs, reg, 0, 0, rnd(t, 2) ? CSR_fflags : CSR_fcsr);
        break;
    case 3:
        emit_insn(t, OP_csrrci, reg, (u32)rnd(t, 32), 0, CSR_fflags);
        break;
    case 4:
        emit_insn(t, OP_csrrwi, reg, (u32)rnd(t, 32), 0, CSR_fflags);
        break;
    default:
        emit_insn(t, OP_addi, reg, 0, 0, (s64)(mode << 5 | rnd(t, 32)));
        emit_insn(t, OP_csrrw, rnd(t, 2) ? 0 : reg, reg, 0, CSR_fcsr);
    }
}

/* FS off, initial or clean. */
static void emit_fs(struct text *t)
{
    u32 reg = free_reg(t), csr = rnd(t, 2) ? CSR_sstatus : CSR_mstatus, state = (u32)rnd(t, 3);

    emit_li(t, reg, (s32)MSTATUS_FS);
    emit_insn(t, OP_csrrc, 0, reg, 0, csr);
    emit_li(t, reg, (s32)(state << 13));
    emit_insn(t, OP_csrrs, 0, reg, 0, csr);
}

/* The supervisor's timer, soon. */
static void emit_timer(struct text *t)
{
    u32 reg = free_reg(t);

    emit_insn(t, OP_csrrs, reg, 0, 0, CSR_time);
    emit_insn(t, OP_addi, reg, reg, 0, (s64)rnd(t, rnd(t, 2) ? 40 : 2000) - 4);
    emit_insn(t, OP_csrrw, 0, reg, 0, CSR_stimecmp);
}

/* Both engines look for interrupts at jumps backward at the latest. */
static void emit_irq(struct text *t, const struct program *p)
{
    if (!p->vague && rnd(t, 2)) {
        emit_timer(t);
        return;
    }
    emit_li(t, REG_S, (s32)(test_random(&t->rng) & WIRES));
    emit_insn(t, OP_sw, 0, REG_MMIO, REG_S, MMIO_RAISE);
    emit_insn(t, OP_addi, REG_S, 0, 0, 2);
    emit_insn(t, OP_addi, REG_S, REG_S, 0, -1);
    emit_insn(t, OP_blt, 0, 0, REG_S, -4);
}

static void emit_fence(struct text *t)
{
    switch (rnd(t, 4)) {
    case 0:
        emit_insn(t, OP_fence_i, 0, 0, 0, 0);
        break;
    case 1:
        emit_insn(t, OP_sfence_vma, 0, 0, 0, 0);
        break;
    case 2:
        emit_insn(t, OP_sfence_vma, 0, rnd(t, 2) ? REG_MID : REG_WALK, 0, 0);
        break;
    default:
        emit_insn(t, OP_fence, 0, 0, 0, (s64)rnd(t, 256));
    }
}

bool engines_emit_system(struct text *t, const struct program *p, u32 at)
{
    const struct item *item = &p->item[at];

    switch (item->kind) {
    case ITEM_IRQ:
        emit_irq(t, p);
        return true;
    case ITEM_PTE:
        emit_pte(t);
        return true;
    case ITEM_PTE_LOCAL:
        emit_pte_local(t, (enum priv)item->value);
        return true;
    case ITEM_SATP:
        emit_satp(t);
        return true;
    case ITEM_CSR:
        emit_csr(t, p);
        return true;
    case ITEM_PMP:
        emit_pmp(t);
        return true;
    case ITEM_FCSR:
        emit_fcsr(t);
        return true;
    case ITEM_FS:
        emit_fs(t);
        return true;
    case ITEM_FENCE:
        emit_fence(t);
        return true;
    case ITEM_WFI:
        emit_insn(t, OP_wfi, 0, 0, 0, 0);
        return true;
    default:
        return false;
    }
}
