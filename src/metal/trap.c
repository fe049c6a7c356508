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

/* The instruction at the trap, as the guest fetches it. False: its map changed meanwhile. */
static bool fetch(const struct vcpu *v, u32 *insn)
{
    u64 sstatus = csr_read(sstatus), hstatus = csr_read(hstatus);
    s64 low = guest_fetch(v->pc), high = (low & 3) == 3 ? guest_fetch(v->pc + 2) : 0;

    if (UNLIKELY(low < 0 || high < 0)) { /* the trap that was is forgotten */
        csr_write(hstatus, hstatus);
        csr_write(sstatus, sstatus);
        return false;
    }
    *insn = (u32)(high << 16 | low);
    return true;
}

static bool access_decode(const struct vcpu *v, struct access *access)
{
    u32 insn = (u32)csr_read(htinst);

    if (insn)
        return decode_transformed(insn, access);
    return fetch(v, &insn) && decode_access(insn, access);
}

static u64 extended(u64 value, const struct access *access)
{
    return access->is_signed && access->width < 8 ? sext(value, 8 * access->width) : value;
}

/* Which of the partition's emulated devices is at gpa; NONE: none is. */
enum device { DEVICE_NONE, DEVICE_INTC, DEVICE_UART };

static enum device device_at(const struct metal_partition *config, u64 gpa)
{
    if (config->intc_gpa && gpa - config->intc_gpa < VPLIC_SIZE)
        return DEVICE_INTC;
    if (config->uart_gpa && gpa - config->uart_gpa < VUART_SIZE)
        return DEVICE_UART;
    return DEVICE_NONE;
}

static bool emulate(struct vcpu *v, enum device device, u64 gpa, const struct access *access)
{
    struct partition *p = v->partition;
    u64 value = access->write ? v->x[access->reg] : 0;
    bool done =
        device == DEVICE_INTC
            ? intc_access(v, gpa - p->config->intc_gpa, access->width, access->write, &value)
            : vuart_access(p, gpa - p->config->uart_gpa, access->width, access->write, &value);

    if (!done)
        return false;
    if (!access->write && access->reg)
        v->x[access->reg] = extended(value, access);
    v->pc += access->length;
    return true;
}

/* Beyond the partition's memory: its policy decides. */
static void violation(struct vcpu *v, u64 cause, u64 gpa)
{
    u64 tval = csr_read(stval);
    struct access access;
    u32 action = health_event(v->partition, METAL_EVENT_MEMORY, gpa);

    if (action > METAL_ACTION_GUEST)
        return;
    if (action == METAL_ACTION_GUEST || cause == CAUSE_FETCH_GUEST_PAGE ||
        !access_decode(v, &access)) {
        vcpu_inject(v, access_fault(cause), tval);
        return;
    }
    if (!access.write && access.reg)
        v->x[access.reg] = 0;
    v->pc += access.length;
}

static void guest_page_fault(struct vcpu *v, u64 cause)
{
    u64 gpa = csr_read(htval) << 2 | (csr_read(stval) & 3);
    enum device device = device_at(v->partition->config, gpa);
    struct access access;

    if (device != DEVICE_NONE && cause != CAUSE_FETCH_GUEST_PAGE && access_decode(v, &access) &&
        emulate(v, device, gpa, &access))
        return;
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

struct vcpu *trap_handle(struct vcpu *v)
{
    u64 cause = csr_read(scause);

    if (cause & CAUSE_INTERRUPT) {
        hart_interrupt(v->hart, (u32)(cause & 63));
    } else {
        switch (cause) {
        case CAUSE_LOAD_GUEST_PAGE:
        case CAUSE_STORE_GUEST_PAGE:
        case CAUSE_FETCH_GUEST_PAGE:
            guest_page_fault(v, cause);
            break;
        case CAUSE_VIRTUAL:
            virtual_instruction(v);
            break;
        default: /* what is not delegated and has no meaning for the hypervisor */
            vcpu_inject(v, cause, csr_read(stval));
            break;
        }
    }
    return v->hart->resched ? hart_next(v) : v;
}
