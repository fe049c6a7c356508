/* SPDX-License-Identifier: BSD-2-Clause */
/* vCPU state. */
#include "metal/vcpu.h"

#include "base/mem.h"
#include "metal/csr.h"
#include "metal/hart.h"
#include "metal/intc.h"
#include "metal/low.h"
#include "metal/partition.h"
#include "metal/vdev.h"

/* Each CSR of struct vcpu_csrs that is moved as it is. */
#define EACH_CSR(X) \
    X(sstatus)      \
    X(hstatus)      \
    X(vsstatus)     \
    X(vsie)         \
    X(vstvec)       \
    X(vsscratch)    \
    X(vsepc) X(vscause) X(vstval) X(vsatp) X(vstimecmp) X(hvip) X(scounteren) X(senvcfg) X(henvcfg)

/* A hart keeps vector registers until another vCPU that has some comes: nobody else may name them.
 */
static void vector_in(struct vcpu *v)
{
    csr_set(sstatus, STATUS_VS);
    if (v->hart->vector != v)
        vector_load(v->registers, v->vector);
    v->hart->vector = v;
    csr_clear(sstatus, STATUS_VS_INITIAL);
}

static void vector_out(struct vcpu *v)
{
    /* Either tells of a change: QEMU 7.2 tells of those to vcsr and vstart in vsstatus alone. */
    if (((v->csr.sstatus | v->csr.vsstatus) & STATUS_VS) == STATUS_VS)
        vector_save(v->registers, v->vector);
}

void vcpu_reset(struct vcpu *v, gpa_t pc, u64 arg)
{
    memset(v, 0, offsetof(struct vcpu, config)); /* all that a guest could find there */
    if (v->registers) {
        memset(v->registers, 0, METAL_VECTOR_BYTES);
        v->hart->vector = NULL;
    }
    v->x[10] = v->number;
    v->x[11] = arg;
    v->pc = pc;
    v->csr.sstatus = STATUS_SPP | STATUS_SPIE | STATUS_FS_DIRTY;
    v->csr.hstatus = HSTATUS_SPV | HSTATUS_SPVP | HSTATUS_VSXL |
                     (u64)v->config->guest_file << HSTATUS_VGEIN_SHIFT;
    if (v->hart->config->mode == METAL_HART_PRIORITY)
        v->csr.hstatus |= HSTATUS_VTW;
    v->csr.vsstatus = STATUS_UXL;
    v->csr.vstimecmp = UINT64_MAX;
    v->csr.henvcfg = HENVCFG_GUEST;
    v->suspended = false;
    v->steal_gpa = SBI_STEAL_NOWHERE;
}

void vcpu_in(struct vcpu *v)
{
#define LOAD(name) csr_write(name, v->csr.name);
    EACH_CSR(LOAD)
#undef LOAD
    csr_write(hgatp, v->partition->hgatp);
    fp_load(v->f, &v->fcsr);
    if (v->registers)
        vector_in(v);
    if (metal_config.board.intc == METAL_INTC_AIA)
        csr_write(vsiselect, v->csr.vsiselect); /* of the guest file that hstatus.VGEIN names */
    if (v->hart->config->vcpu_count > 1)
        hfence_vvma_all(); /* vCPUs of one partition share its VMID */
}

void vcpu_out(struct vcpu *v)
{
#define SAVE(name) v->csr.name = csr_read(name);
    EACH_CSR(SAVE)
#undef SAVE
    fp_save(v->f, &v->fcsr);
    if (v->registers)
        vector_out(v);
    if (metal_config.board.intc == METAL_INTC_AIA)
        v->csr.vsiselect = csr_read(vsiselect);
}

bool vcpu_is_woken(const struct vcpu *v, u64 now)
{
    u64 pending = v->csr.hvip;

    if (v->csr.vstimecmp <= now)
        pending |= BIT(IRQ_VSTI);
    if (v->config->guest_file && csr_read(hgeip) & BIT(v->config->guest_file))
        pending |= BIT(IRQ_VSEI);
    /* vsie has the bits of VS-level where S has its own: one lower. */
    return pending >> 1 & v->csr.vsie;
}

void vcpu_request(struct vcpu *v, u32 bits)
{
    struct vcpu *current;

    /* Before the hart's current is read: see hart_switch, which does the same two the other way. */
    atomic_fetch_or_explicit(&v->requests, bits, memory_order_seq_cst);
    current = atomic_load_explicit(&v->hart->current, memory_order_seq_cst);
    if (current == v || !current || v->hart->config->mode == METAL_HART_PRIORITY)
        hart_kick(v->hart);
}

/* Done before it is seen to be done: who asked waits for the bits to go. */
static void fence(struct vcpu *v, u32 bits)
{
    if (bits & REQUEST_FENCE_I)
        fence_i();
    if (bits & REQUEST_FENCE_VMA)
        hfence_vvma_all();
    atomic_fetch_and_explicit(&v->requests, ~bits, memory_order_acq_rel);
}

void vcpu_serve_fences(struct vcpu *v)
{
    u32 bits = atomic_load_explicit(&v->requests, memory_order_acquire) &
               (REQUEST_FENCE_I | REQUEST_FENCE_VMA);

    if (bits)
        fence(v, bits);
}

static void serve_lines(struct vcpu *v, u32 bits)
{
    if (bits & REQUEST_SSI)
        csr_set(hvip, BIT(IRQ_VSSI));
    if (bits & REQUEST_IRQ)
        intc_refresh(v);
}

bool vcpu_serve_running(struct vcpu *v)
{
    u32 simple = REQUEST_FENCE_I | REQUEST_FENCE_VMA | REQUEST_SSI | REQUEST_IRQ;
    u32 bits = atomic_load_explicit(&v->requests, memory_order_acquire);

    if (bits & ~simple || v->state != VCPU_READY)
        return false;
    fence(v, bits);
    serve_lines(v, bits);
    return true;
}

void vcpu_serve(struct vcpu *v)
{
    u32 bits = atomic_load_explicit(&v->requests, memory_order_acquire);
    u32 state;

    if (LIKELY(!bits))
        return;
    fence(v, bits);
    if (bits & REQUEST_HALT) {
        v->state = VCPU_STOPPED;
        atomic_store(&v->asked, 0);
        v->hart->resched = true;
        partition_vcpu_halted(v->partition);
    }
    /* What was asked for before the partition was to halt is no longer wanted. */
    state = atomic_load(&v->partition->state);
    if (bits & REQUEST_LOAD && state == PARTITION_LOADING)
        partition_load_begin(v->partition);
    if (bits & REQUEST_START && state == PARTITION_RUNNING)
        partition_vcpu_start(v);
    if (bits & REQUEST_VDEV)
        vdev_answered(v);
    serve_lines(v, bits);
    /* Other interrupts are found when it is asked whether it wants to run. */
    if (v->state == VCPU_WAITING && csr_read(hvip) >> 1 & csr_read(vsie))
        v->state = VCPU_READY;
}

void vcpu_inject(struct vcpu *v, u64 cause, u64 tval)
{
    u64 status = csr_read(vsstatus);
    u64 moved = status & ~(STATUS_SPP | STATUS_SPIE | STATUS_SIE);

    if (csr_read(sstatus) & STATUS_SPP)
        moved |= STATUS_SPP;
    if (status & STATUS_SIE)
        moved |= STATUS_SPIE;
    csr_write(vsstatus, moved);
    csr_write(vsepc, v->pc);
    csr_write(vscause, cause);
    csr_write(vstval, tval);
    csr_set(sstatus, STATUS_SPP); /* into VS-mode */
    v->pc = csr_read(vstvec) & ~UINT64_C(3);
}
