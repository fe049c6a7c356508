/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Partitions. To stop one, every vCPU is asked to halt, and the last that does so goes on: nothing
 * more, or the loading, which takes vCPU 0's own time:
 *
 *     STOPPED -> HALTING -> LOADING   partition_start
 *     RUNNING -> HALTING   partition_halt
 *     HALTING -> STOPPED or LOADING   the last vCPU, partition_vcpu_halted
 *     LOADING -> RUNNING   vCPU 0, when all is loaded; or HALTING again
 *
 * Memory is written by the partition's own map: a loader that errs cannot reach another's.
 */
#include "metal/partition.h"

#include "base/assert.h"
#include "base/checked.h"
#include "base/mem.h"
#include "metal/console.h"
#include "metal/csr.h"
#include "metal/gstage.h"
#include "metal/health.h"
#include "metal/intc.h"
#include "metal/iommu.h"
#include "metal/low.h"
#include "metal/paging.h"
#include "metal/platform.h"
#include "metal/sha256.h"
#include "metal/trace.h"
#include "metal/vcpu.h"
#include "metal/vdev.h"
#include "metal/vuart.h"

#define CHUNK 512 /* of a loading between two looks at the timer */

static u64 tables[METAL_TABLES_MAX][512] __attribute__((aligned(4096 * GSTAGE_ROOT_PAGES)));
static u8 sbi_memory[METAL_PARTITIONS_MAX * sizeof(struct sbi) +
                     METAL_VCPUS_MAX * sizeof(struct sbi_hart)] __attribute__((aligned(16)));

static const struct metal_region *region_at(const struct partition *p, u32 n)
{
    return &metal_config.region[p->config->region_first + n];
}

static const struct metal_image *image_at(const struct partition *p, u32 n)
{
    return &metal_config.image[p->config->image_first + n];
}

static void init_map(struct partition *p, struct gstage_pool *pool)
{
    u32 root = gstage_root(pool);

    ASSERT(root != METAL_NONE);
    for (u32 i = 0; i < p->config->region_count; i++)
        ASSERT(gstage_map(pool, root, region_at(p, i)));
    p->hgatp = HGATP_SV39X4 | (u64)p->config->vmid << HGATP_VMID_SHIFT |
               paging_hpa(pool->page[root]) >> 12;
}

static bool images_are_whole(struct partition *p)
{
    for (u32 i = 0; i < p->config->image_count; i++) {
        const struct metal_image *image = image_at(p, i);
        struct sha256 sha;
        u8 digest[32];

        sha256_init(&sha);
        sha256_update(&sha, paging_image(image->offset), image->size);
        sha256_final(&sha, digest);
        if (memcmp(digest, image->sha256, sizeof(digest)))
            return false;
    }
    return true;
}

static void init_vcpus(struct partition *p)
{
    for (u32 i = 0; i < p->config->vcpu_count; i++) {
        struct vcpu *v = partition_vcpu(p, i);

        v->config = &metal_config.vcpu[v - metal.vcpu];
        if (p->config->rights & METAL_MAY_VECTOR)
            v->registers = image_end + (v - metal.vcpu) * METAL_VECTOR_BYTES;
        v->partition = p;
        v->sbi = p->sbi;
        v->number = i;
        v->hart = &metal.hart[v->config->hart];
        v->state = VCPU_STOPPED;
        vcpu_reset(v, 0, 0);
    }
}

/* What partitions share begins as zeros: before any of them runs, by the maps of those who write.
 */
static void zero_shared(struct partition *p)
{
    csr_write(vsatp, 0);
    csr_write(hgatp, p->hgatp);
    csr_write(hstatus, HSTATUS_SPVP | HSTATUS_VSXL);
    hfence_gvma_all();
    hfence_vvma_all();
    for (u32 i = 0; i < p->config->region_count; i++) {
        const struct metal_region *r = region_at(p, i);
        if (r->flags & METAL_REGION_SHARED && r->flags & METAL_REGION_WRITE)
            ASSERT(guest_zero_words(r->gpa, r->size));
    }
}

/* Who stopped can be started by those that run: the last one stops for good. */
static void one_less(void)
{
    if (atomic_fetch_sub(&metal.alive, 1) == 1)
        health_all_stopped();
}

void partition_init_all(void)
{
    struct gstage_pool pool = {tables, paging_hpa(tables), 0, METAL_TABLES_MAX};
    u8 *sbi = sbi_memory;

    metal.alive = 1;
    for (u32 i = 0; i < metal_config.partition_count; i++) {
        struct partition *p = &metal.partition[i];

        p->index = i;
        p->config = &metal_config.partition[i];
        p->watchdog_at = UINT64_MAX;
        p->sbi = (struct sbi *)(void *)sbi;
        sbi += sbi_size(p->config->vcpu_count);
        init_map(p, &pool);
        init_vcpus(p);
        zero_shared(p);
        if (!images_are_whole(p)) {
            health_event(p, METAL_EVENT_IMAGE, 0);
            continue;
        }
        if (p->config->start)
            (void)partition_start(p, false); /* it is stopped */
    }
    one_less();
}

/* All its vCPUs have halted, and who calls this is alone to know. */
static void load(struct partition *p, bool cold)
{
    p->load.cold = cold;
    atomic_store(&p->state, PARTITION_LOADING);
    vcpu_request(partition_vcpu(p, 0), REQUEST_LOAD);
}

bool partition_start(struct partition *p, bool cold)
{
    u32 from = PARTITION_STOPPED;

    /* As if it were halting: nobody else stops or starts it before all is said. */
    if (!atomic_compare_exchange_strong(&p->state, &from, PARTITION_HALTING))
        return false;
    atomic_fetch_add(&metal.alive, 1);
    atomic_store(&p->halted_at, time_now());
    load(p, cold);
    return true;
}

bool partition_halt(struct partition *p, u32 then)
{
    u32 from = atomic_load(&p->state);

    do {
        if (from != PARTITION_RUNNING && from != PARTITION_LOADING)
            return false;
    } while (!atomic_compare_exchange_weak(&p->state, &from, PARTITION_HALTING));
    atomic_store(&p->halted_at, time_now());
    atomic_store(&p->watchdog_at, UINT64_MAX);
    atomic_store(&p->then, then);
    atomic_store(&p->halting, p->config->vcpu_count);
    for (u32 i = 0; i < p->config->vcpu_count; i++)
        vcpu_request(partition_vcpu(p, i), REQUEST_HALT);
    return true;
}

void partition_vcpu_halted(struct partition *p)
{
    u32 then;

    if (atomic_fetch_sub(&p->halting, 1) != 1)
        return;
    iommu_close(p);
    then = atomic_load(&p->then);
    if (then == METAL_ACTION_STOP) {
        atomic_store(&p->state, PARTITION_STOPPED);
        vdev_halted(p);
        one_less();
        return;
    }
    vdev_halted(p);
    atomic_fetch_add(&p->restarts, 1);
    load(p, then == METAL_ACTION_RESTART);
}

void partition_load_begin(struct partition *p)
{
    struct vcpu *v = partition_vcpu(p, 0);

    if (!iommu_quiesce(p)) {
        vcpu_request(v, REQUEST_LOAD);
        return;
    }
    p->load.region = p->load.cold ? 0 : p->config->region_count;
    p->load.image = 0;
    p->load.done = 0;
    v->state = VCPU_LOADING;
}

/* The guest's own map, from VS-mode, untranslated by its tables. */
static u64 memory_begin(void)
{
    u64 vsatp = csr_read(vsatp);

    csr_write(vsatp, 0);
    csr_set(hstatus, HSTATUS_SPVP);
    return vsatp;
}

static void load_region(struct partition *p)
{
    struct load *load = &p->load;
    const struct metal_region *r = region_at(p, load->region);
    bool zeroed =
        r->flags & METAL_REGION_WRITE && !(r->flags & (METAL_REGION_DEVICE | METAL_REGION_SHARED));

    if (zeroed && load->done < r->size) {
        ASSERT(guest_zero_words(r->gpa + load->done, CHUNK));
        load->done += CHUNK;
        return;
    }
    load->region++;
    load->done = 0;
}

static void load_image(struct partition *p)
{
    struct load *load = &p->load;
    const struct metal_image *image = image_at(p, load->image);
    u64 size = align_up(image->size, 8), left = size - load->done;
    u64 n = left < CHUNK ? left : CHUNK;

    ASSERT(guest_copy_words(image->gpa + load->done, paging_image(image->offset + load->done), n));
    load->done += n;
    if (load->done == size) {
        load->image++;
        load->done = 0;
    }
}

static void run_anew(struct partition *p)
{
    struct vcpu *v = partition_vcpu(p, 0);
    u32 from = PARTITION_LOADING;

    for (u32 i = 0; i < p->config->vcpu_count; i++)
        atomic_fetch_and(&partition_vcpu(p, i)->requests, REQUEST_HALT);
    intc_reset(p);
    vuart_reset(p);
    platform_init(p);
    iommu_open(p);
    fence_i();
    hfence_vvma_all();
    v->start_pc = p->config->entry;
    v->start_arg = p->config->arg;
    partition_vcpu_start(v);
    atomic_compare_exchange_strong(&p->state, &from, PARTITION_RUNNING);
    trace(TRACE_LOADED, p->index, time_now() - atomic_load(&p->halted_at));
}

void partition_load_some(struct partition *p)
{
    u64 vsatp;

    if (p->load.image == p->config->image_count && p->load.region == p->config->region_count) {
        run_anew(p);
        return;
    }
    vsatp = memory_begin();
    if (p->load.region < p->config->region_count)
        load_region(p);
    else
        load_image(p);
    csr_write(vsatp, vsatp);
}

void partition_vcpu_start(struct vcpu *v)
{
    vcpu_reset(v, v->start_pc, v->start_arg);
    vcpu_in(v);
    intc_start(v);
    v->state = VCPU_READY;
    sbi_hart_started(v->partition->sbi, v->number);
}

bool partition_owns(const struct partition *p, gpa_t gpa, u64 len, u32 flags)
{
    for (u32 i = 0; i < p->config->region_count; i++) {
        const struct metal_region *r = region_at(p, i);
        if (range_within(gpa, len, r->gpa, r->size))
            return (r->flags & flags) == flags && !(r->flags & METAL_REGION_DEVICE);
    }
    return false;
}

/* What a refused access would change of the trap that is being handled. */
struct trap_csrs {
    u64 sepc, sstatus, hstatus, vsatp;
};

static struct trap_csrs access_begin(void)
{
    struct trap_csrs saved = {csr_read(sepc), csr_read(sstatus), csr_read(hstatus), 0};

    saved.vsatp = memory_begin();
    return saved;
}

static void access_end(const struct trap_csrs *saved)
{
    csr_write(vsatp, saved->vsatp);
    csr_write(hstatus, saved->hstatus);
    csr_write(sstatus, saved->sstatus);
    csr_write(sepc, saved->sepc);
}

bool partition_read(struct partition *p, gpa_t gpa, void *buf, size_t len)
{
    struct trap_csrs saved;
    bool done;

    if (!partition_owns(p, gpa, len, METAL_REGION_READ))
        return false;
    saved = access_begin();
    done = guest_copy_in(buf, gpa, len);
    access_end(&saved);
    return done;
}

bool partition_write(struct partition *p, gpa_t gpa, const void *buf, size_t len)
{
    struct trap_csrs saved;
    bool done;

    if (!partition_owns(p, gpa, len, METAL_REGION_WRITE))
        return false;
    saved = access_begin();
    done = guest_copy_out(gpa, buf, len);
    access_end(&saved);
    return done;
}

/*
 * The words of the struct of SBI 2.0 section 16.1: sequence (odd while steal is written) and flags,
 * steal in nanoseconds, whether it has no hart. Regions never change: what was the partition's when
 * it was chosen still is.
 */
static void steal_tell(struct vcpu *v, bool away)
{
    u64 tick = metal_config.board.timebase, second = 1000000000;
    u64 word[3] = {++v->steal_sequence,
                   v->stolen / tick * second + v->stolen % tick * second / tick, away};
    struct trap_csrs saved = access_begin();

    (void)guest_copy_words(v->steal_gpa, word, 8);
    atomic_thread_fence(memory_order_release);
    (void)guest_copy_words(v->steal_gpa + 8, word + 1, 16);
    atomic_thread_fence(memory_order_release);
    word[0] = ++v->steal_sequence;
    (void)guest_copy_words(v->steal_gpa, word, 8);
    access_end(&saved);
}

void partition_account(struct vcpu *v, bool loses)
{
    bool away = loses && v->state == VCPU_READY && !v->yielded;
    u64 now = time_now();

    if (v->away_since)
        v->stolen += now - v->away_since;
    v->away_since = away ? now : 0;
    steal_tell(v, away);
}
