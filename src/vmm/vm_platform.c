/* SPDX-License-Identifier: BSD-2-Clause */
/* What harts and the built-in SBI reach of the VM: time, timers, interrupts, console, the end. */
#include "vmm/vm_state.h"

#include "base/checked.h"
#include "rv/csr.h"
#include "rv/csr_counters.h"
#include "rv/mem.h"
#include "rv/mmu.h"
#include "rv/trap.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define UART_RBR UINT64_C(0x10000000)
#define UART_LSR UINT64_C(0x10000005)

static u64 platform_time(void *ctx)
{
    struct vm *vm = ctx;

    return machine_time(vm->machine);
}

/* Sets a wire from its comparator and arms the timer if that lies ahead. Under t->lock. */
static void timer_update_locked(struct vm *vm, struct vm_timer *t, u32 index, enum irq irq)
{
    u64 now = machine_time(vm->machine), ahead = t->time - (now + t->delta), end;
    bool due = now + t->delta >= t->time;

    exec_set_irq(vm->exec, index, irq, due);
    if (due || !checked_add(now, ahead, &end))
        timer_arm(&t->port, CLOCK_NEVER);
    else
        timer_arm(&t->port, machine_time_ns(vm->machine, end));
}

static void timer_fired(void *ctx, u32 index)
{
    struct vm *vm = ctx;

    lock_acquire(&vm->timer[index].lock);
    timer_update_locked(vm, &vm->timer[index], index, IRQ_STI);
    lock_release(&vm->timer[index].lock);
}

static void guest_timer_fired(void *ctx, u32 index)
{
    struct vm *vm = ctx;

    lock_acquire(&vm->guest_timer[index].lock);
    timer_update_locked(vm, &vm->guest_timer[index], index, IRQ_VSTI);
    lock_release(&vm->guest_timer[index].lock);
}

static void set_stimecmp(void *ctx, struct hart *hart, u64 time)
{
    struct vm *vm = ctx;
    struct vm_timer *t = &vm->timer[hart->id];

    lock_acquire(&t->lock);
    t->time = time;
    timer_update_locked(vm, t, hart->id, IRQ_STI);
    lock_release(&t->lock);
}

static void set_vstimecmp(void *ctx, struct hart *hart, u64 time, u64 delta)
{
    struct vm *vm = ctx;
    struct vm_timer *t = &vm->guest_timer[hart->id];

    lock_acquire(&t->lock);
    t->time = time;
    t->delta = delta;
    timer_update_locked(vm, t, hart->id, IRQ_VSTI);
    lock_release(&t->lock);
}

void vm_platform_timers(struct vm *vm)
{
    for (u32 i = 0; i < vm->config->hart_count; i++) {
        vm->timer[i].time = UINT64_MAX;
        vm->timer[i].port = vm_timer(vm, timer_fired, vm, i);
        if (!isa_has(&vm->isa, ISA_H))
            continue;
        vm->guest_timer[i].time = UINT64_MAX;
        vm->guest_timer[i].port = vm_timer(vm, guest_timer_fired, vm, i);
    }
}

static bool is_ending(struct vm *vm)
{
    bool ending;

    lock_acquire(&vm->end_lock);
    ending = vm->end.asked;
    lock_release(&vm->end_lock);
    return ending;
}

/* Harts by a mask of the SBI's; false: it names some that there are not. */
static bool harts_of(const struct vm *vm, u64 mask, u64 base, u64 *harts)
{
    const u32 count = vm->config->hart_count;
    const u64 all = count < 64 ? BIT(count) - 1 : UINT64_MAX;

    *harts = base == UINT64_MAX ? all : base < 64 ? mask << base : 0;
    return base == UINT64_MAX || (base < count && *harts >> base == mask && !(*harts & ~all));
}

#define RFENCE           0x52464e43
#define RFENCE_HFENCE    3 /* hfence.gvma.vmid, */
#define RFENCE_HFENCE_TO 6 /* hfence.vvma */

/* SBI 2.0 chapter 8: fences of guests' translations on other harts, coarse as each of ours is. */
static bool fence_guests(struct vm *vm, struct hart *hart)
{
    u64 func = hart->x[16], harts;

    if (hart->x[17] != RFENCE || func < RFENCE_HFENCE || func > RFENCE_HFENCE_TO ||
        !isa_has(&vm->isa, ISA_H))
        return false;
    if (harts_of(vm, hart->x[10], hart->x[11], &harts)) {
        exec_fence(vm->exec, hart, harts, ATTN_FLUSH_TLB);
        hart->x[10] = 0;
    } else {
        hart->x[10] = (u64)SBI_ERR_INVALID_PARAM;
    }
    hart->x[11] = 0;
    return true;
}

static bool platform_ecall(void *ctx, struct hart *hart)
{
    struct vm *vm = ctx;
    struct sbi_call call = {.ext = hart->x[17], .func = hart->x[16]};
    struct sbi_ret ret;

    if (!vm->sbi)
        return false;
    if (fence_guests(vm, hart))
        return true;
    memcpy(call.arg, &hart->x[10], sizeof(call.arg));
    ret = sbi_ecall(vm->sbi, hart->id, &call);
    hart->x[10] = (u64)ret.error;
    if (!sbi_is_legacy(call.ext))
        hart->x[11] = ret.value;
    if (is_ending(vm)) { /* system reset does not return */
        exec_hold_hart(vm->exec, hart->id);
        hart_attention(hart, ATTN_PAUSE);
    }
    return true;
}

void vm_hart_stopped_itself(void *ctx, struct hart *hart)
{
    struct vm *vm = ctx;

    if (vm->sbi)
        sbi_hart_stopped(vm->sbi, hart->id);
}

void vm_hart_woke(void *ctx, struct hart *hart)
{
    struct vm *vm = ctx;

    if (vm->sbi)
        sbi_hart_resumed(vm->sbi, hart->id);
}

void vm_platform_env(struct vm *vm)
{
    vm->env = (struct hart_env){
        .gmem = &vm->gmem,
        .entropy = vm_entropy(vm),
        .time = platform_time,
        .set_stimecmp = set_stimecmp,
        .set_vstimecmp = isa_has(&vm->isa, ISA_H) ? set_vstimecmp : NULL,
        .ecall = platform_ecall,
        .ctx = vm,
    };
}

void vm_ask_end(struct vm *vm, enum machine_exit how, u32 code)
{
    bool first;

    lock_acquire(&vm->end_lock);
    first = !vm->end.asked;
    if (first)
        vm->end = (struct vm_end){true, how, code};
    lock_release(&vm->end_lock);
    if (first && vm->config->icount) /* else harts would do yet a little, each run another */
        exec_hold_all(vm->exec);
    if (first)
        loop_post(vm->loop, vm_end_posted, vm);
}

static void sbi_set_timer(void *ctx, u32 hart, u64 time)
{
    struct vm *vm = ctx;
    struct hart *h = exec_hart(vm->exec, hart);

    h->csr.stimecmp = time;
    set_stimecmp(vm, h, time);
}

static void sbi_send_ipi(void *ctx, u32 hart)
{
    struct vm *vm = ctx;

    exec_set_soft_irq(vm->exec, hart, IRQ_SSI);
}

static bool sbi_clear_ipi(void *ctx, u32 hart)
{
    struct vm *vm = ctx;
    struct hart *h = exec_hart(vm->exec, hart);

    return atomic_fetch_and_explicit(&h->irq_soft, ~BIT(IRQ_SSI), memory_order_seq_cst) &
           BIT(IRQ_SSI);
}

static void sbi_remote_fence(void *ctx, u32 caller, u64 mask, const struct sbi_fence_range *range)
{
    struct vm *vm = ctx;
    u32 attn = range->kind == SBI_FENCE_I ? ATTN_FLUSH_CODE : ATTN_FLUSH_TLB;

    exec_fence(vm->exec, exec_hart(vm->exec, caller), mask, attn);
}

static void sbi_hart_start(void *ctx, u32 hart, gpa_t pc, u64 opaque)
{
    struct vm *vm = ctx;

    hart_reset(exec_hart(vm->exec, hart), 0);
    hart_enter_supervisor(exec_hart(vm->exec, hart), pc, opaque);
    sbi_hart_started(vm->sbi, hart);
    exec_hart_start(vm->exec, hart);
}

static void sbi_hart_stop(void *ctx, u32 hart)
{
    struct vm *vm = ctx;

    exec_hart_stop(vm->exec, hart);
}

static void sbi_hart_suspend(void *ctx, u32 hart)
{
    struct vm *vm = ctx;

    exec_hart_suspend(vm->exec, hart);
}

static void sbi_hart_resume(void *ctx, u32 hart, gpa_t pc, u64 opaque)
{
    struct vm *vm = ctx;
    struct hart *h = exec_hart(vm->exec, hart);

    h->pc = pc;
    h->x[10] = hart;
    h->x[11] = opaque;
    h->csr.satp = 0;
    h->csr.mstatus &= ~MSTATUS_SIE;
    mmu_flush(h);
    trap_set_mode(h, PRIV_S);
}

static void sbi_system_reset(void *ctx, enum sbi_reset_type type, bool failed)
{
    struct vm *vm = ctx;

    if (type != SBI_RESET_SHUTDOWN)
        vm_ask_end(vm, MACHINE_REBOOT, 0);
    else
        vm_ask_end(vm, failed ? MACHINE_FAIL : MACHINE_POWEROFF, failed);
}

static size_t sbi_console_write(void *ctx, const u8 *bytes, size_t len)
{
    struct vm *vm = ctx;

    chardev_write(&vm->console_port, bytes, len);
    return len;
}

/* Input belongs to the UART; firmware reads it there, and so does this one. */
static size_t sbi_console_read(void *ctx, u8 *bytes, size_t len)
{
    struct vm *vm = ctx;
    struct bus *bus = &vm->env.bus;
    size_t n = 0;
    u64 v;

    for (; n < len; n++) {
        if (!bus->read(bus->ctx, UART_LSR, 1, &v) || !(v & 1))
            break;
        if (!bus->read(bus->ctx, UART_RBR, 1, &v))
            break;
        bytes[n] = (u8)v;
    }
    return n;
}

static bool sbi_read_virtual(void *ctx, u32 hart, gva_t gva, void *buf, size_t len)
{
    struct vm *vm = ctx;
    struct hart *h = exec_hart(vm->exec, hart);
    u64 byte;

    for (size_t i = 0; i < len; i++) {
        if (!mem_load(h, gva + i, 1, &byte))
            return false;
        ((u8 *)buf)[i] = (u8)byte;
    }
    return true;
}

#define MHPMEVENT(index) (CSR_mhpmevent3 - HPM_FIRST + (index))

static bool sbi_ad_updating(void *ctx, u32 hart, const bool *set, bool *on)
{
    struct vm *vm = ctx;
    struct hart *h = exec_hart(vm->exec, hart);
    u64 value = 0;

    if (!isa_has(&vm->isa, ISA_SVADU) || !csr_peek(h, CSR_menvcfg, &value))
        return false;
    if (set)
        value = bits_merge(value, ENVCFG_ADUE, *set ? ENVCFG_ADUE : 0);
    *on = value & ENVCFG_ADUE;
    return !set || csr_poke(h, CSR_menvcfg, value);
}

static u64 sbi_counter_read(void *ctx, u32 hart, u32 index)
{
    struct vm *vm = ctx;
    u64 value = 0;

    return csr_peek(exec_hart(vm->exec, hart), CSR_mcycle + index, &value) ? value : 0;
}

static void poke(struct vm *vm, u32 hart, u32 csr, u64 value)
{
    if (!csr_poke(exec_hart(vm->exec, hart), csr, value))
        log_print(vm->log, LOG_ERROR, "sbi", "no counter CSR 0x%x", csr);
}

static void sbi_counter_write(void *ctx, u32 hart, u32 index, u64 value)
{
    poke(ctx, hart, CSR_mcycle + index, value);
}

static void set_inhibit(struct vm *vm, u32 hart, u32 index, bool inhibit)
{
    u64 value = 0;

    if (csr_peek(exec_hart(vm->exec, hart), CSR_mcountinhibit, &value))
        poke(vm, hart, CSR_mcountinhibit, bits_merge(value, BIT(index), inhibit ? BIT(index) : 0));
}

/* SBI PMU general events 1 (cycles) and 2 (instructions). */
static bool sbi_counter_config(void *ctx, u32 hart, u32 index, u32 event, u64 data, u32 inhibit)
{
    struct vm *vm = ctx;
    u64 value;

    if ((event != 1 && event != 2) || !isa_has(&vm->isa, ISA_ZIHPM))
        return false;
    value = event == 1 ? COUNTER_CYCLES : COUNTER_INSTRET;
    if (inhibit & SBI_PMU_INH_U)
        value |= COUNTER_UINH;
    if (inhibit & SBI_PMU_INH_S)
        value |= COUNTER_SINH;
    if (inhibit & SBI_PMU_INH_M)
        value |= COUNTER_MINH;
    set_inhibit(vm, hart, index, true);
    poke(vm, hart, MHPMEVENT(index), value);
    return true;
}

static void sbi_counter_start(void *ctx, u32 hart, u32 index)
{
    struct vm *vm = ctx;
    u64 event = 0;

    if (index >= HPM_FIRST && csr_peek(exec_hart(vm->exec, hart), MHPMEVENT(index), &event))
        poke(vm, hart, MHPMEVENT(index), event & ~COUNTER_OF);
    set_inhibit(vm, hart, index, false);
}

static void sbi_counter_stop(void *ctx, u32 hart, u32 index)
{
    set_inhibit(ctx, hart, index, true);
}

static bool sbi_memory_is_valid(void *ctx, gpa_t gpa, u64 len)
{
    struct vm *vm = ctx;

    return gmem_is_valid(&vm->gmem, gpa, len, true);
}

static bool sbi_memory_read(void *ctx, gpa_t gpa, void *buf, size_t len)
{
    struct vm *vm = ctx;

    return gmem_read(&vm->gmem, gpa, buf, len);
}

static bool sbi_memory_write(void *ctx, gpa_t gpa, const void *buf, size_t len)
{
    struct vm *vm = ctx;

    return gmem_write(&vm->gmem, gpa, buf, len);
}

static const struct sbi_platform platform = {
    .memory_is_valid = sbi_memory_is_valid,
    .memory_read = sbi_memory_read,
    .memory_write = sbi_memory_write,
    .set_timer = sbi_set_timer,
    .send_ipi = sbi_send_ipi,
    .clear_ipi = sbi_clear_ipi,
    .remote_fence = sbi_remote_fence,
    .hart_start = sbi_hart_start,
    .hart_stop = sbi_hart_stop,
    .hart_suspend = sbi_hart_suspend,
    .hart_resume = sbi_hart_resume,
    .system_reset = sbi_system_reset,
    .console_write = sbi_console_write,
    .console_read = sbi_console_read,
    .read_virtual = sbi_read_virtual,
    .ad_updating = sbi_ad_updating,
    .counter_read = sbi_counter_read,
    .counter_write = sbi_counter_write,
    .counter_config = sbi_counter_config,
    .counter_start = sbi_counter_start,
    .counter_stop = sbi_counter_stop,
    .mimpid = HART_MIMPID,
    .counter_count = 32,
};

int vm_platform_sbi(struct vm *vm, struct err *err)
{
    if (!vm->sbi)
        vm->sbi = aligned_alloc(16, align_up(sbi_size(vm->config->hart_count), 16));
    if (!vm->sbi)
        return err_set(err, ENOMEM, "no host memory for the SBI");
    sbi_init(vm->sbi, &platform, vm, vm->log, vm->config->hart_count, 0);
    return 0;
}
