/* SPDX-License-Identifier: BSD-2-Clause */
/* Meanings of instructions that are more than arithmetic: CSRs, traps, fences, cache blocks. */
#include "rv/system.h"

#include "rv/code_cache.h"
#include "rv/code_map.h"
#include "rv/csr_hyper.h"
#include "rv/mem.h"
#include "rv/mmu.h"
#include "rv/trap.h"

#include <string.h>

bool system_illegal(struct hart *hart)
{
    return hart_raise(hart, CAUSE_ILLEGAL, code_cache_raw(hart, hart->pc));
}

/* Illegal or virtual instruction, as hart->trap says. */
static bool refuse(struct hart *hart)
{
    hart->trap.tval = code_cache_raw(hart, hart->pc);
    return false;
}

/* What HS-mode, or a guest with more privilege, could do. */
static bool refuse_guest(struct hart *hart)
{
    hart->trap.cause = CAUSE_VIRTUAL;
    return refuse(hart);
}

static bool next(struct hart *hart, u64 insn)
{
    hart->pc += insn_len(insn);
    return true;
}

static bool csr(struct hart *hart, u64 insn, bool reads, bool writes, u64 clear, u64 set)
{
    u64 old = 0;

    if (!csr_access(hart, (u32)insn_imm(insn) & 0xfff, reads, writes, clear, set, &old))
        return refuse(hart);
    hart->x[insn_rd(insn)] = old;
    return true;
}

static bool csr_write(struct hart *hart, u64 insn, u64 value)
{
    return csr(hart, insn, insn_rd(insn) != REG_SINK, true, ~UINT64_C(0), value);
}

bool system_csrrw(struct hart *hart, u64 insn)
{
    return csr_write(hart, insn, hart->x[insn_rs1(insn)]);
}

bool system_csrrs(struct hart *hart, u64 insn)
{
    return csr(hart, insn, true, insn_rs1(insn), 0, hart->x[insn_rs1(insn)]);
}

bool system_csrrc(struct hart *hart, u64 insn)
{
    return csr(hart, insn, true, insn_rs1(insn), hart->x[insn_rs1(insn)], 0);
}

bool system_csrrwi(struct hart *hart, u64 insn)
{
    return csr_write(hart, insn, insn_rs1(insn));
}

bool system_csrrsi(struct hart *hart, u64 insn)
{
    return csr(hart, insn, true, insn_rs1(insn), 0, insn_rs1(insn));
}

bool system_csrrci(struct hart *hart, u64 insn)
{
    return csr(hart, insn, true, insn_rs1(insn), insn_rs1(insn), 0);
}

bool system_ecall(struct hart *hart, u64 insn)
{
    struct hart_env *env = hart->env;

    if (hart->mode == PRIV_S && env->ecall && env->ecall(env->ctx, hart))
        return next(hart, insn);
    if (hart->mode == PRIV_VS)
        return hart_raise(hart, CAUSE_ECALL_VS, 0);
    return hart_raise(hart, (enum cause)(CAUSE_ECALL_U + (int)hart->priv), 0);
}

bool system_ebreak(struct hart *hart, u64 insn)
{
    return hart_raise(hart, CAUSE_BREAKPOINT, hart->pc);
}

bool system_mret(struct hart *hart, u64 insn)
{
    return trap_mret(hart) || refuse(hart);
}

bool system_sret(struct hart *hart, u64 insn)
{
    return trap_sret(hart) || refuse(hart);
}

static bool is_guest_refused_wait(const struct hart *hart)
{
    return hyper_is_guest(hart) && (hart->csr.h.hstatus & HSTATUS_VTW);
}

bool system_wfi(struct hart *hart, u64 insn)
{
    if (hart->priv != PRIV_M && (hart->csr.mstatus & MSTATUS_TW))
        return system_illegal(hart);
    if (hart->mode == PRIV_VU || is_guest_refused_wait(hart))
        return refuse_guest(hart);
    return hart->priv != PRIV_U || system_illegal(hart);
}

bool system_wrs_nto(struct hart *hart, u64 insn)
{
    if (hart->priv != PRIV_M && (hart->csr.mstatus & MSTATUS_TW))
        return system_illegal(hart);
    return !is_guest_refused_wait(hart) || refuse_guest(hart);
}

bool system_fence_i(struct hart *hart, u64 insn)
{
    code_cache_fence(hart);
    return next(hart, insn);
}

/* May it fence what satp or hgatp governs? */
static bool may_fence(struct hart *hart)
{
    return hart->priv == PRIV_M || (hart->mode == PRIV_S && !(hart->csr.mstatus & MSTATUS_TVM));
}

static bool may_guest_fence(struct hart *hart)
{
    return hart->priv == PRIV_S && !(hart->csr.h.hstatus & HSTATUS_VTVM);
}

bool system_sfence_vma(struct hart *hart, u64 insn)
{
    if (hyper_is_guest(hart) && !may_guest_fence(hart))
        return refuse_guest(hart);
    if (!hyper_is_guest(hart) && !may_fence(hart))
        return system_illegal(hart);
    if (insn_rs1(insn))
        mmu_flush_page(hart, hart->x[insn_rs1(insn)]);
    else if (insn_rs2(insn))
        mmu_flush_space(hart, hart->x[insn_rs2(insn)]);
    else
        mmu_flush(hart);
    return next(hart, insn);
}

bool system_sinval_vma(struct hart *hart, u64 insn)
{
    return system_sfence_vma(hart, insn);
}

/* Ordering is already given: sinval.vma acts at once. TVM does not apply to these two. */
bool system_sfence_w_inval(struct hart *hart, u64 insn)
{
    if (hart->priv != PRIV_U)
        return true;
    return hyper_is_guest(hart) ? refuse_guest(hart) : system_illegal(hart);
}

bool system_sfence_inval_ir(struct hart *hart, u64 insn)
{
    return system_sfence_w_inval(hart, insn);
}

/* For HS- and M-mode. All that guests have is dropped: which of it does not matter. */
static bool fence_guest(struct hart *hart, u64 insn, bool may)
{
    if (hyper_is_guest(hart))
        return refuse_guest(hart);
    if (!may)
        return system_illegal(hart);
    mmu_flush_guest(hart);
    return next(hart, insn);
}

bool system_hfence_vvma(struct hart *hart, u64 insn)
{
    return fence_guest(hart, insn, hart->priv != PRIV_U);
}

bool system_hfence_gvma(struct hart *hart, u64 insn)
{
    return fence_guest(hart, insn, may_fence(hart));
}

bool system_hinval_vvma(struct hart *hart, u64 insn)
{
    if (!isa_has(&hart->isa, ISA_SVINVAL))
        return system_illegal(hart);
    return system_hfence_vvma(hart, insn);
}

bool system_hinval_gvma(struct hart *hart, u64 insn)
{
    if (!isa_has(&hart->isa, ISA_SVINVAL))
        return system_illegal(hart);
    return system_hfence_gvma(hart, insn);
}

/* Loads and stores as a guest */

/* False: not by this mode; hart->trap set. */
static bool may_access_guest(struct hart *hart)
{
    if (hyper_is_guest(hart))
        return refuse_guest(hart);
    if (hart->priv == PRIV_U && !(hart->csr.h.hstatus & HSTATUS_HU))
        return system_illegal(hart);
    return true;
}

static enum priv guests_mode(const struct hart *hart)
{
    return hart->csr.h.hstatus & HSTATUS_SPVP ? PRIV_VS : PRIV_VU;
}

/* Ends an access; false: it raised. */
static bool end_guest_access(struct hart *hart, bool done)
{
    mmu_take_back(hart);
    hart->trap.guest = !done && hart->trap.cause < 64;
    return done;
}

/* code: by the right to execute. */
static const struct {
    u8 size;
    bool is_signed, code;
} guest_loads[] = {
    [OP_hlv_b - OP_hlv_b] = {1, true, false},   [OP_hlv_bu - OP_hlv_b] = {1, false, false},
    [OP_hlv_h - OP_hlv_b] = {2, true, false},   [OP_hlv_hu - OP_hlv_b] = {2, false, false},
    [OP_hlvx_hu - OP_hlv_b] = {2, false, true}, [OP_hlv_w - OP_hlv_b] = {4, true, false},
    [OP_hlv_wu - OP_hlv_b] = {4, false, false}, [OP_hlvx_wu - OP_hlv_b] = {4, false, true},
    [OP_hlv_d - OP_hlv_b] = {8, false, false},
};

bool system_hlv(struct hart *hart, u64 insn)
{
    const u32 which = insn_op(insn) - OP_hlv_b, size = guest_loads[which].size;
    const gva_t va = hart->x[insn_rs1(insn)];
    u64 v = 0;
    bool done;

    if (!may_access_guest(hart))
        return false;
    mmu_lend(hart, guests_mode(hart));
    done =
        guest_loads[which].code ? mem_load_code(hart, va, size, &v) : mem_load(hart, va, size, &v);
    if (!end_guest_access(hart, done))
        return false;
    if (size < 8)
        v = guest_loads[which].is_signed ? sext(v, size * 8) : bits_get(v, 0, size * 8);
    hart->x[insn_rd(insn)] = v;
    return true;
}

bool system_hsv(struct hart *hart, u64 insn)
{
    const u32 size = 1u << (insn_op(insn) - OP_hsv_b);

    if (!may_access_guest(hart))
        return false;
    mmu_lend(hart, guests_mode(hart));
    return end_guest_access(
        hart, mem_store(hart, hart->x[insn_rs1(insn)], size, hart->x[insn_rs2(insn)]));
}

/* Is this envcfg bit (or two-bit field) set at each level above the current mode? False: hart->trap
 * set. */
static bool envcfg_allows(struct hart *hart, u64 bits)
{
    if (hart->priv != PRIV_M && !(hart->csr.menvcfg & bits))
        return system_illegal(hart);
    if (hyper_is_guest(hart) && !(hart->csr.h.henvcfg & bits))
        return refuse_guest(hart);
    if (hart->priv != PRIV_U || (hart->csr.senvcfg & bits))
        return true;
    return hyper_is_guest(hart) ? refuse_guest(hart) : system_illegal(hart);
}

/*
 * Caches are not modelled: clean, flush and inval check permissions and do nothing (inval may
 * always be a flush). A block may be read or written by the access they need: either suffices.
 */
static bool cbo_manage(struct hart *hart, u64 insn, u64 enable)
{
    gva_t va = hart->x[insn_rs1(insn)];

    if (!envcfg_allows(hart, enable))
        return false;
    if (mem_probe(hart, align_down(va, CACHE_BLOCK), 8, ACCESS_READ))
        return true;
    if (mem_probe(hart, align_down(va, CACHE_BLOCK), 8, ACCESS_WRITE))
        return true;
    hart->trap.tval = va;
    return false;
}

bool system_cbo_inval(struct hart *hart, u64 insn)
{
    return cbo_manage(hart, insn, ENVCFG_CBIE);
}

bool system_cbo_clean(struct hart *hart, u64 insn)
{
    return cbo_manage(hart, insn, ENVCFG_CBCFE);
}

bool system_cbo_flush(struct hart *hart, u64 insn)
{
    return cbo_manage(hart, insn, ENVCFG_CBCFE);
}

bool system_cbo_zero(struct hart *hart, u64 insn)
{
    gva_t va = hart->x[insn_rs1(insn)], block = align_down(va, CACHE_BLOCK);
    bool attend = false;

    if (!envcfg_allows(hart, ENVCFG_CBZE))
        return false;
    if (mem_zero_fast(hart, block, CACHE_BLOCK))
        return true;
    for (gva_t at = block; at < block + CACHE_BLOCK; at += 8) {
        if (mem_store(hart, at, 8, 0))
            continue;
        attend = hart->trap.cause == CAUSE_ATTEND;
        if (attend)
            continue;
        if (hart->trap.cause < 64)
            hart->trap.tval = va;
        return false;
    }
    return !attend;
}

void system_serve(struct hart *hart)
{
    const u32 served = ATTN_FLUSH_TLB | ATTN_FLUSH_CODE | ATTN_PROTECT;
    u32 attn = atomic_load_explicit(&hart->attn, memory_order_relaxed);

    if (!(attn & served))
        return;
    /* Who sees its bit gone and attending 0 afterwards knows that the work is done. */
    atomic_store_explicit(&hart->attending, 1, memory_order_seq_cst);
    /* Pairs with hart_attention: what was asked before is seen after. */
    attn = atomic_fetch_and_explicit(&hart->attn, ~served, memory_order_seq_cst);
    if (attn & ATTN_FLUSH_TLB)
        mmu_flush(hart);
    if (attn & ATTN_PROTECT)
        mem_attend_protect(hart);
    if (attn & ATTN_FLUSH_CODE)
        code_cache_fence(hart);
    atomic_store_explicit(&hart->attending, 0, memory_order_seq_cst);
}

void system_attend(struct hart *hart)
{
    system_serve(hart);
    /* Only when asked: an engine may come here for reasons of its own, and must not thereby take
     * an interrupt earlier than another. A trap may ask once more, for a higher mode. */
    while (atomic_load_explicit(&hart->attn, memory_order_relaxed) & ATTN_IRQ) {
        int irq;
        /* Before looking: an interrupt that comes after it asks again. */
        atomic_fetch_and_explicit(&hart->attn, ~(u32)ATTN_IRQ, memory_order_seq_cst);
        irq = trap_pending(hart);
        if (irq >= 0) {
            hart->stats.interrupts++;
            trap_interrupt(hart, irq);
        }
    }
}
