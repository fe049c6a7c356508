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

/* The instruction at the trap, as the guest fetches it; negative: its map changed meanwhile. */
static inline s64 fetch(const struct vcpu *v)
{
    u64 sstatus = csr_read(sstatus), hstatus = csr_read(hstatus);
    s64 low = guest_fetch(v->pc), high = (low & 3) == 3 ? guest_fetch(v->pc + 2) : 0;

    if (LIKELY(low >= 0 && high >= 0))
        return high << 16 | low;
    csr_write(hstatus, hstatus); /* the trap that was is forgotten */
    csr_write(sstatus, sstatus);
    return -1;
}

static inline bool access_decode(const struct vcpu *v, struct access *access)
{
    s64 insn = (s64)csr_read(htinst);

    if (insn)
        return decode_transformed((u32)insn, access);
    insn = fetch(v);
    return insn >= 0 && decode_access((u32)insn, access);
}

/* A load or store of emulated registers. False: there are none, or they are not accessed so. */
static bool emulate(struct vcpu *v, u64 gpa)
{
    const struct metal_partition *config = v->partition->config;
    u64 intc = gpa - config->intc_gpa, uart = gpa - config->uart_gpa;
    bool is_intc = config->intc_gpa && intc < VPLIC_SIZE;
    struct access access;
    s64 value;

    if (!is_intc && !(config->uart_gpa && uart < VUART_SIZE))
        return false;
    if (!access_decode(v, &access))
        return false;
    if (access.write) {
        value = v->x[access.reg];
        if (!(is_intc ? intc_write(v, intc, access.width, (u64)value)
                      : vuart_write(v->partition, uart, access.width, (u64)value)))
            return false;
    } else {
        value = is_intc ? intc_read(v, intc, access.width)
                        : vuart_read(v->partition, uart, access.width);
        if (value < 0)
            return false;
    }
    vcpu_access_done(v, &access, (u64)value);
    return true;
}

/* Where it need not be quick. */
static NOINLINE bool access_look(const struct vcpu *v, struct access *access)
{
    return access_decode(v, access);
}

/* A load or store of registers that another partition answers; see emulate. */
static NOINLINE bool ask_service(struct vcpu *v, u64 gpa)
{
    struct access access;

    return access_look(v, &access) && vdev_access(v, gpa, &access);
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
        !access_look(v, &access)) {
        vcpu_inject(v, access_fault(cause), tval);
        return;
    }
    vcpu_access_done(v, &access, 0);
}

static void guest_page_fault(struct vcpu *v, u64 cause)
{
    u64 gpa = csr_read(htval) << 2 | (csr_read(stval) & 3);

    if (cause == CAUSE_FETCH_GUEST_PAGE || !(emulate(v, gpa) || ask_service(v, gpa)))
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

static NOINLINE void exception(struct vcpu *v, u64 cause)
{
    if (cause == CAUSE_VIRTUAL)
        virtual_instruction(v);
    else /* what is not delegated and has no meaning for the hypervisor */
        vcpu_inject(v, cause, csr_read(stval));
}

struct vcpu *trap_handle(struct vcpu *v)
{
    u64 cause = csr_read(scause);

    if (cause & CAUSE_INTERRUPT)
        hart_interrupt(v->hart, (u32)(cause & 63));
    else if (cause == CAUSE_LOAD_GUEST_PAGE || cause == CAUSE_STORE_GUEST_PAGE ||
             cause == CAUSE_FETCH_GUEST_PAGE)
        guest_page_fault(v, cause);
    else
        exception(v, cause);
    return v->hart->resched ? hart_next(v) : v;
}
