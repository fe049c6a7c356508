/* SPDX-License-Identifier: BSD-2-Clause */
/* What the SBI of a partition does to it. Hart numbers are the partition's. */
#include "metal/platform.h"

#include "metal/console.h"
#include "metal/csr.h"
#include "metal/hart.h"
#include "metal/health.h"
#include "metal/low.h"
#include "metal/partition.h"
#include "metal/vcpu.h"

#define PAGES_MAX 16 /* a fence of more addresses is one of all */

static bool memory_is_valid(void *ctx, gpa_t gpa, u64 len)
{
    return partition_owns(ctx, gpa, len, METAL_REGION_READ | METAL_REGION_WRITE);
}

static bool memory_read(void *ctx, gpa_t gpa, void *buf, size_t len)
{
    return partition_read(ctx, gpa, buf, len);
}

static bool memory_write(void *ctx, gpa_t gpa, const void *buf, size_t len)
{
    return partition_write(ctx, gpa, buf, len);
}

static void set_timer(void *ctx, u32 number, u64 time)
{
    csr_write(vstimecmp, time);
}

static void send_ipi(void *ctx, u32 number)
{
    struct vcpu *v = partition_vcpu(ctx, number);

    if (v == atomic_load_explicit(&hart_self()->current, memory_order_relaxed))
        csr_set(hvip, BIT(IRQ_VSSI));
    else
        vcpu_request(v, REQUEST_SSI);
}

static void fence_here(const struct sbi_fence_range *range)
{
    bool has_asid = range->kind == SBI_FENCE_VMA_ASID;

    if (range->kind == SBI_FENCE_I) {
        fence_i();
    } else if (range->size > PAGES_MAX * 4096) {
        hfence_vvma_all();
    } else {
        for (u64 at = range->start & ~UINT64_C(4095); at < range->start + range->size; at += 4096)
            hfence_vvma_page(at, has_asid ? (s64)range->asid : -1);
    }
}

/* Not while v runs elsewhere without having fenced. This hart answers what others want meanwhile.
 */
static void await(struct vcpu *self, struct vcpu *v, u32 bit)
{
    while (atomic_load_explicit(&v->requests, memory_order_acquire) & bit &&
           atomic_load_explicit(&v->hart->current, memory_order_seq_cst) == v)
        vcpu_serve_fences(self);
}

static void remote_fence(void *ctx, u32 number, u64 mask, const struct sbi_fence_range *range)
{
    struct vcpu *self = partition_vcpu(ctx, number);
    u32 others = (u32)(mask & ~BIT(number)); /* METAL_VCPUS_MAX are fewer */
    u32 bit = range->kind == SBI_FENCE_I ? REQUEST_FENCE_I : REQUEST_FENCE_VMA;

    for (u32 i = 0; others >> i; i++) {
        if (others >> i & 1)
            vcpu_request(partition_vcpu(ctx, i), bit);
    }
    if (mask & BIT(number))
        fence_here(range);
    for (u32 i = 0; others >> i; i++) {
        if (others >> i & 1)
            await(self, partition_vcpu(ctx, i), bit);
    }
}

static void hart_start(void *ctx, u32 number, gpa_t pc, u64 opaque)
{
    struct vcpu *v = partition_vcpu(ctx, number);

    v->start_pc = pc;
    v->start_arg = opaque;
    vcpu_request(v, REQUEST_START);
}

static void hart_stop(void *ctx, u32 number)
{
    struct partition *p = ctx;
    struct vcpu *v = partition_vcpu(p, number);

    v->state = VCPU_STOPPED;
    v->hart->resched = true;
    sbi_hart_stopped(p->sbi, number);
}

static void hart_suspend(void *ctx, u32 number)
{
    struct vcpu *v = partition_vcpu(ctx, number);

    v->state = VCPU_WAITING;
    v->suspended = true;
    v->hart->resched = true;
}

/* It is in. What woke it is still pending, and enabled in vsie. */
static COLD void hart_resume(void *ctx, u32 number, gpa_t pc, u64 opaque)
{
    struct vcpu *v = partition_vcpu(ctx, number);

    v->pc = pc;
    v->x[10] = number;
    v->x[11] = opaque;
    csr_write(vsatp, 0);
    csr_clear(vsstatus, STATUS_SIE);
}

static COLD void steal_time(void *ctx, u32 number, gpa_t gpa)
{
    struct vcpu *v = partition_vcpu(ctx, number);

    v->steal_gpa = gpa;
    v->steal_sequence = 0;
    v->stolen = 0;
    v->away_since = 0;
}

/* henvcfg keeps the bit if the board has Svadu and its firmware lets HS-mode switch it. */
static COLD bool ad_updating(void *ctx, u32 number, const bool *set, bool *on)
{
    u64 before = csr_read(henvcfg);

    csr_set(henvcfg, HENVCFG_ADUE);
    if (!(csr_read(henvcfg) & HENVCFG_ADUE))
        return false;
    *on = set ? *set : before & HENVCFG_ADUE;
    if (!*on)
        csr_clear(henvcfg, HENVCFG_ADUE);
    hfence_vvma_all();
    return true;
}

static void system_reset(void *ctx, enum sbi_reset_type type, bool failed)
{
    u32 event = type == SBI_RESET_SHUTDOWN ? METAL_EVENT_SHUTDOWN : METAL_EVENT_REBOOT;

    health_event(ctx, event, failed);
}

static bool is_pressed(void *ctx)
{
    return hart_is_pressed();
}

static size_t write_console(void *ctx, const u8 *bytes, size_t len)
{
    return console_write(ctx, bytes, len);
}

static size_t read_console(void *ctx, u8 *bytes, size_t len)
{
    return console_read(ctx, bytes, len);
}

static const struct sbi_platform platform = {
    .memory_is_valid = memory_is_valid,
    .memory_read = memory_read,
    .memory_write = memory_write,
    .set_timer = set_timer,
    .send_ipi = send_ipi,
    .remote_fence = remote_fence,
    .hart_start = hart_start,
    .hart_stop = hart_stop,
    .hart_suspend = hart_suspend,
    .hart_resume = hart_resume,
    .steal_time = steal_time,
    .ad_updating = ad_updating,
    .system_reset = system_reset,
    .console_write = write_console,
    .is_pressed = is_pressed,
    .console_read = read_console,
};

void platform_init(struct partition *p)
{
    sbi_init(p->sbi, &platform, p, NULL, p->config->vcpu_count, 0);
}
