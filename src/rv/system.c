/* SPDX-License-Identifier: BSD-2-Clause */
/* Meanings of instructions that are more than arithmetic: CSRs, traps, fences, cache blocks. */
#include "rv/system.h"

#include "rv/code_cache.h"
#include "rv/code_map.h"
#include "rv/csr.h"
#include "rv/mem.h"
#include "rv/mmu.h"
#include "rv/trap.h"

#include <string.h>

bool system_illegal(struct hart *hart)
{
    return hart_raise(hart, CAUSE_ILLEGAL, code_cache_raw(hart, hart->pc));
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
        return system_illegal(hart);
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

    if (hart->priv == PRIV_S && env->ecall && env->ecall(env->ctx, hart))
        return next(hart, insn);
    return hart_raise(hart, (enum cause)(CAUSE_ECALL_U + (int)hart->priv), 0);
}

bool system_ebreak(struct hart *hart, u64 insn)
{
    return hart_raise(hart, CAUSE_BREAKPOINT, hart->pc);
}

bool system_mret(struct hart *hart, u64 insn)
{
    return trap_mret(hart) || system_illegal(hart);
}

bool system_sret(struct hart *hart, u64 insn)
{
    return trap_sret(hart) || system_illegal(hart);
}

bool system_wfi(struct hart *hart, u64 insn)
{
    if (hart->priv == PRIV_U || (hart->priv == PRIV_S && (hart->csr.mstatus & MSTATUS_TW)))
        return system_illegal(hart);
    return true;
}

bool system_wrs_nto(struct hart *hart, u64 insn)
{
    if (hart->priv != PRIV_M && (hart->csr.mstatus & MSTATUS_TW))
        return system_illegal(hart);
    return true;
}

bool system_fence_i(struct hart *hart, u64 insn)
{
    code_cache_fence(hart);
    return next(hart, insn);
}

static bool may_fence(struct hart *hart)
{
    return hart->priv == PRIV_M || (hart->priv == PRIV_S && !(hart->csr.mstatus & MSTATUS_TVM));
}

bool system_sfence_vma(struct hart *hart, u64 insn)
{
    if (!may_fence(hart))
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
    return hart->priv != PRIV_U || system_illegal(hart);
}

bool system_sfence_inval_ir(struct hart *hart, u64 insn)
{
    return hart->priv != PRIV_U || system_illegal(hart);
}

/* Is this envcfg bit (or two-bit field) set at each level above the current privilege? */
static bool envcfg_allows(struct hart *hart, u64 bits)
{
    if (hart->priv != PRIV_M && !(hart->csr.menvcfg & bits))
        return false;
    return hart->priv != PRIV_U || (hart->csr.senvcfg & bits);
}

/*
 * Caches are not modelled: clean, flush and inval check permissions and do nothing (inval may
 * always be a flush). A block may be read or written by the access they need: either suffices.
 */
static bool cbo_manage(struct hart *hart, u64 insn, u64 enable)
{
    gva_t va = hart->x[insn_rs1(insn)];

    if (!envcfg_allows(hart, enable))
        return system_illegal(hart);
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
        return system_illegal(hart);
    if (mem_zero_fast(hart, block, CACHE_BLOCK))
        return true;
    for (gva_t at = block; at < block + CACHE_BLOCK; at += 8) {
        if (mem_store(hart, at, 8, 0))
            continue;
        attend = hart->trap.cause == CAUSE_ATTEND;
        if (attend)
            continue;
        if (hart->trap.cause < 16)
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
