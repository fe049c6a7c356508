/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Traps of guests. Each ends in one of three ways: the guest goes on (with what it asked for, or
 * with an exception of its own), its partition stops, or its health policy decides.
 */
#include "metal/csr.h"
#include "metal/decode.h"
#include "metal/hart.h"
#include "metal/health.h"
#include "metal/intc.h"
#include "metal/low.h"
#include "metal/vcpu.h"
#include "metal/vdev.h"
#include "metal/vplic.h"
#include "metal/vuart.h"

enum { A0 = 10, A1 };

_Static_assert(offsetof(struct sbi_call, func) == 6 * sizeof(u64) &&
                   offsetof(struct sbi_call, ext) == 7 * sizeof(u64),
               "trap_ecall");

bool trap_ecall(struct vcpu *v)
{
    /* Registers a0 to a7 are laid out as the call is. */
    const struct sbi_call *call = (const struct sbi_call *)(const void *)&v->x[A0];
    struct sbi_ret ret;

    csr_write(sepc, csr_read(sepc) + 4);
    ret = sbi_ecall(v->sbi, v->number, call);
    v->x[A0] = (u64)ret.error;
    v->x[A1] = ret.value;
    return v->hart->resched;
}

/* What the guest gets for an access to guest-physical addresses that it does not have. */
static u64 access_fault(u64 cause)
{
    switch (cause) {
    case CAUSE_FETCH_GUEST_PAGE:
        return CAUSE_FETCH_ACCESS;
    case CAUSE_LOAD_GUEST_PAGE:
        return CAUSE_LOAD_ACCESS;
    default:
        return CAUSE_STORE_ACCESS;
    }
}

/* The instruction at pc, as the guest fetches it, with whatever follows a short one; negative: it
 * cannot any more, and the trap is as it was but for its cause. */
static inline s64 fetch(u64 pc)
{
    s64 low, high = 0;

    if (LIKELY(!(pc & 2))) {
        low = guest_fetch_word(pc);
    } else {
        low = guest_fetch(pc);
        if ((low & 3) == 3)
            high = guest_fetch(pc + 2);
    }
    if (LIKELY(low >= 0 && high >= 0))
        return high << 16 | low;
    csr_write(sepc, pc);
    csr_set(hstatus, HSTATUS_SPV);
    if (csr_read(hstatus) & HSTATUS_SPVP)
        csr_set(sstatus, STATUS_SPP);
    return -1;
}

enum look { LOOK_ACCESS, LOOK_OTHER, LOOK_GONE };

/* Is it a load or store that trapped at pc? GONE: the guest cannot fetch it any more. */
static NOINLINE enum look look_at(u64 pc, struct access *access)
{
    s64 insn = (s64)csr_read(htinst);

    if (insn)
        return decode_transformed((u32)insn, access) ? LOOK_ACCESS : LOOK_OTHER;
    insn = fetch(pc);
    if (UNLIKELY(insn < 0))
        return LOOK_GONE;
    return decode_access((u32)insn, access) ? LOOK_ACCESS : LOOK_OTHER;
}

/*
 * A load or store of emulated registers, what is stored from x. Negative: there are none, or they
 * are not accessed so; else what was loaded.
 */
static NOINLINE s64 emulate(struct vcpu *v, u64 gpa, const struct access *access)
{
    struct partition *p = v->partition;
    u64 intc = gpa - p->config->intc_gpa, uart = gpa - p->config->uart_gpa;
    bool known;

    if (LIKELY(p->config->intc_gpa && intc < VPLIC_SIZE)) {
        if (!access->write)
            return access->width == 4 ? intc_read(p, intc) : -1;
        known = intc_write(p, intc, access->width, vcpu_access_value(v, access));
    } else if (p->config->uart_gpa && uart < VUART_SIZE) {
        if (!access->write)
            return vuart_read(p, uart, access->width);
        known = vuart_write(p, uart, access->width, vcpu_access_value(v, access));
    } else {
        return -1;
    }
    return known ? 0 : -1;
}

static inline u64 fault_gpa(void)
{
    return csr_read(htval) << 2 | (csr_read(stval) & 3);
}

/* The guest's registers that C keeps, so they are not in x on the short way. */
#define KEPT   (BIT(3) | BIT(8) | BIT(9) | GENMASK(27, 18))
#define REG_PC 32

_Static_assert(VCPU_PC == VCPU_X + 8 * REG_PC, "entry.S");

/* The load into a register, which is not x0, that trapped is done. */
static inline struct emulated loaded(struct vcpu *v, u64 reg, u64 value, u32 length)
{
    csr_write(sepc, csr_read(sepc) + length);
    v->x[reg] = value;
    if (UNLIKELY(KEPT >> reg & 1 || v->hart->resched))
        return (struct emulated){(s64)reg, value};
    return (struct emulated){0, 0};
}

/* As trap_access, of all loads and stores. */
static NOINLINE struct emulated access_any(struct vcpu *v)
{
    struct access access;
    enum look look = look_at(csr_read(sepc), &access);
    u64 pc;
    s64 value;

    if (UNLIKELY(look == LOOK_GONE))
        return (struct emulated){0, 0}; /* goes on there, to find so itself */
    if (look == LOOK_OTHER || (access.write && KEPT >> access.reg & 1))
        return (struct emulated){-1, 0};
    value = emulate(v, fault_gpa(), &access);
    if (value < 0)
        return (struct emulated){-1, 0};
    if (!access.write && access.reg)
        return loaded(v, access.reg, access_extend(&access, (u64)value), access.length);
    pc = csr_read(sepc) + access.length;
    csr_write(sepc, pc);
    return v->hart->resched ? (struct emulated){REG_PC, pc} : (struct emulated){0, 0};
}

/* Words of the interrupt controller are loaded most often, and take the least. */
struct emulated trap_access(struct vcpu *v)
{
    s64 transformed = (s64)csr_read(htinst);
    s64 insn = transformed ? transformed : fetch(csr_read(sepc)); /* -1: no load */
    u32 length;
    u64 reg = decode_word_load((u32)insn, transformed, &length);
    struct partition *p = v->partition;
    u64 intc_gpa = p->config->intc_gpa;

    if (LIKELY(reg && intc_gpa)) {
        s64 value = intc_read(p, fault_gpa() - intc_gpa);
        if (LIKELY(value >= 0))
            return loaded(v, reg, sext((u64)value, 32), length);
    }
    return access_any(v);
}

struct vcpu *trap_settle(struct vcpu *v)
{
    return v->hart->resched ? hart_next(v) : v;
}

/* True: a load or store of registers that the hypervisor emulates, or another partition answers. */
static bool access_answer(struct vcpu *v, u64 gpa)
{
    struct access access;
    s64 value;

    if (look_at(v->pc, &access) != LOOK_ACCESS)
        return false;
    value = emulate(v, gpa, &access); /* what trap_access did not take */
    if (value < 0)
        return vdev_access(v, gpa, &access);
    vcpu_access_done(v, &access, (u64)value);
    return true;
}

/* Beyond the partition's memory: its policy decides. */
static NOINLINE void violation(struct vcpu *v, u64 cause, u64 gpa)
{
    u64 tval = csr_read(stval);
    struct access access;
    u32 action = health_event(v->partition, METAL_EVENT_MEMORY, gpa);

    if (action > METAL_ACTION_GUEST)
        return;
    if (action == METAL_ACTION_GUEST || cause == CAUSE_FETCH_GUEST_PAGE ||
        look_at(v->pc, &access) != LOOK_ACCESS) {
        vcpu_inject(v, access_fault(cause), tval);
        return;
    }
    vcpu_access_done(v, &access, 0);
}

static void guest_page_fault(struct vcpu *v, u64 cause)
{
    u64 gpa = fault_gpa();

    if (cause == CAUSE_FETCH_GUEST_PAGE || !access_answer(v, gpa))
        violation(v, cause, gpa);
}

/* WFI where time is shared by priority; all else is not for guests. */
static void virtual_instruction(struct vcpu *v)
{
    u64 insn = csr_read(stval);

    if (insn == 0x10500073) {
        v->pc += 4;
        v->state = VCPU_WAITING;
        v->hart->resched = true;
    } else if (health_event(v->partition, METAL_EVENT_INSTRUCTION, v->pc) <= METAL_ACTION_GUEST) {
        vcpu_inject(v, CAUSE_ILLEGAL, insn);
    }
}

bool trap_interrupt(struct vcpu *v)
{
    hart_interrupt(v->hart, (u32)(csr_read(scause) & 63));
    return v->hart->resched;
}

struct vcpu *trap_handle(struct vcpu *v)
{
    u64 cause = csr_read(scause);

    if (cause == CAUSE_LOAD_GUEST_PAGE || cause == CAUSE_STORE_GUEST_PAGE ||
        cause == CAUSE_FETCH_GUEST_PAGE)
        guest_page_fault(v, cause);
    else if (cause == CAUSE_VIRTUAL)
        virtual_instruction(v);
    else /* what is not delegated and has no meaning for the hypervisor */
        vcpu_inject(v, cause, csr_read(stval));
    return trap_settle(v);
}
