/* SPDX-License-Identifier: BSD-2-Clause */
/* From firmware to the first guests: the boot hart prepares all, then every hart begins its plan.
 */
#include "metal/low.h"

#include "base/assert.h"
#include "metal/console.h"
#include "metal/csr.h"
#include "metal/hart.h"
#include "metal/intc.h"
#include "metal/iommu.h"
#include "metal/paging.h"
#include "metal/partition.h"
#include "metal/sbi_call.h"
#include "metal/vcpu.h"

#define EID_HSM    0x48534D
#define HART_START 0

struct metal metal;
u64 __stack_chk_guard = 0x5aa5c33c0ff0a55a; /* until boot_first has one of its own */

/* What tp holds on a hart that has no vCPU in. */
static struct vcpu nobody[METAL_HARTS_MAX];

NORETURN void assert_failed(const char *expr, const char *file, int line)
{
    console_log(NULL, "panic: %s:%d: %s", file, line, expr);
    console_flush();
    for (;;)
        wait_for_interrupt();
}

NORETURN void panic_trap(u64 cause, u64 pc, u64 tval)
{
    console_log(NULL, "panic: trap %llu at 0x%llx, 0x%llx", (unsigned long long)cause,
                (unsigned long long)pc, (unsigned long long)tval);
    console_flush();
    for (;;)
        wait_for_interrupt();
}

NORETURN void __stack_chk_fail(void);
NORETURN void __stack_chk_fail(void)
{
    assert_failed("the stack is whole", "stack", 0);
}

static u32 index_of(u64 hart_id)
{
    for (u32 i = 0; i < metal_config.board.hart_count; i++) {
        if (metal_config.hart[i].hart_id == hart_id)
            return i;
    }
    return METAL_NONE;
}

static void self_is(u32 index)
{
    nobody[index].hart = &metal.hart[index];
    __asm__ volatile("mv tp, %0" ::"r"(&nobody[index]));
}

static void init_harts(void)
{
    for (u32 i = 0; i < metal_config.board.hart_count; i++) {
        metal.hart[i].config = &metal_config.hart[i];
        metal.hart[i].index = i;
    }
    metal.plan_next = metal_config.plan_first;
}

/* For ten microseconds: who waits so leaves the machine to who is waited for, if it is simulated.
 */
static void doze(void)
{
    csr_write(stimecmp, time_now() + metal_config.board.timebase / 100000);
    wait_for_interrupt();
    csr_write(stimecmp, UINT64_MAX);
}

static void start_others(u32 self)
{
    u32 count = metal_config.board.hart_count;

    for (u32 i = 0; i < count; i++) {
        if (i != self && metal_config.hart[i].mode != METAL_HART_UNUSED)
            sbi_call(EID_HSM, HART_START, metal_config.hart[i].hart_id,
                     paging_hpa((void *)_start_other), i);
    }
    for (u32 i = 0; i < count; i++) {
        while (i != self && metal_config.hart[i].mode != METAL_HART_UNUSED &&
               !atomic_load_explicit(&metal.hart[i].up, memory_order_acquire))
            doze();
    }
}

/* All harts begin their plans at one time, a millisecond from when the last one is ready. */
static void set_origin(void)
{
    metal.origin = time_now() + metal_config.board.timebase / 1000;
}

__attribute__((optimize("no-stack-protector"))) u32 boot_first(u64 hart_id)
{
    u32 index = index_of(hart_id);

    __stack_chk_guard ^= time_now() * UINT64_C(0x9e3779b97f4a7c15);
    ASSERT(index != METAL_NONE);
    init_harts();
    self_is(index);
    if (metal_config.board.uart_hpa)
        console_init();
    intc_init();
    iommu_init();
    partition_init_all();
    return index;
}

static void init_csrs(const struct hart *h)
{
    csr_write(hedeleg, HEDELEG_GUEST);
    csr_write(hideleg, IRQ_VS);
    csr_write(hvip, 0);
    csr_write(hie, 0);
    csr_write(htimedelta, 0);
    /* Where others run, too, cycle and instret would tell what they do. */
    csr_write(hcounteren, h->config->mode == METAL_HART_EXCLUSIVE
                              ? COUNTER_CY | COUNTER_TM | COUNTER_IR
                              : COUNTER_TM);
    csr_write(henvcfg, HENVCFG_GUEST);
    (void)hstateen0_write(HSTATEEN0_GUEST); /* false: guests need no leave */
    csr_write(sstatus, STATUS_FS_INITIAL);
    if (metal_config.board.vector_size) {
        csr_set(sstatus, STATUS_VS);
        ASSERT(csr_read(vlenb) <= METAL_VECTOR_BYTES / 32);
    }
    csr_write(stimecmp, UINT64_MAX);
    hfence_gvma_all();
    hfence_vvma_all();
}

struct vcpu *boot_hart(u32 index)
{
    static _Atomic u32 first = 1;
    struct hart *h = &metal.hart[index];

    self_is(index);
    init_csrs(h);
    intc_init_hart(h);
    csr_write(sie, BIT(IRQ_SSI) | BIT(IRQ_STI) | BIT(IRQ_SEI));
    atomic_store_explicit(&h->up, 1, memory_order_release);
    if (atomic_exchange(&first, 0)) {
        start_others(index);
        set_origin();
        atomic_store_explicit(&metal.go, 1, memory_order_release);
    }
    while (!atomic_load_explicit(&metal.go, memory_order_acquire))
        doze();
    hart_plan_begin(h);
    return hart_next_on(h, NULL);
}
