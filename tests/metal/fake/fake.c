/* SPDX-License-Identifier: BSD-2-Clause */
/* The fake board: CSRs of threads, IPIs by flags, a clock, guest memory without translation. */
#include "tests/metal/fake/fake.h"

#include "metal/state.h"

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <string.h>

struct metal metal;

static _Atomic u64 clock_ticks;
static _Atomic u32 ipi[METAL_HARTS_MAX];
static u8 memory[FAKE_MEMORY_SIZE];

static _Thread_local struct fake_csrs csrs;
static _Thread_local u32 self;
static _Thread_local struct vcpu nobody;
static _Thread_local const _Atomic bool *end_on;

u64 fake_time(void)
{
    return atomic_load_explicit(&clock_ticks, memory_order_relaxed);
}

void fake_time_set(u64 ticks)
{
    atomic_store(&clock_ticks, ticks);
}

void fake_time_advance(u64 ticks)
{
    atomic_fetch_add(&clock_ticks, ticks);
}

void fake_hart_begin(u32 index)
{
    memset(&csrs, 0, sizeof(csrs));
    csrs.stimecmp = UINT64_MAX;
    csrs.sie = BIT(IRQ_SSI) | BIT(IRQ_STI) | BIT(IRQ_SEI);
    self = index;
    nobody.hart = &metal.hart[index];
}

void *thread_pointer(void)
{
    return &nobody;
}

struct fake_csrs *fake_csrs(void)
{
    csrs.time = fake_time();
    if (atomic_exchange(&ipi[self], 0))
        csrs.sip |= BIT(IRQ_SSI);
    csrs.sip &= ~BIT(IRQ_STI);
    if (csrs.time >= csrs.stimecmp)
        csrs.sip |= BIT(IRQ_STI);
    return &csrs;
}

bool fake_ipi_is_pending(u32 index)
{
    return atomic_load(&ipi[index]);
}

void fake_ipi_send(u32 index)
{
    atomic_store(&ipi[index], 1);
}

void fake_end_on(const _Atomic bool *end)
{
    end_on = end;
}

void wait_for_interrupt(void)
{
    if (end_on && atomic_load(end_on))
        pthread_exit(NULL);
    sched_yield();
}

void fence_i(void)
{
}

void fence_to_device(void)
{
    atomic_thread_fence(memory_order_seq_cst);
}

void fence_from_device(void)
{
    atomic_thread_fence(memory_order_seq_cst);
}

u8 *fake_memory(u64 gpa)
{
    return memory + (gpa - FAKE_MEMORY_GPA);
}
