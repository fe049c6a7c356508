/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Partitions on four harts that are threads: their vCPUs start, stop, suspend, fence and restart
 * each other, themselves and the other partition, at random and all at once. A vCPU never runs
 * while its partition is stopped or loaded, a partition begins with the memory that it should have,
 * and in the end everything stops and starts as it is asked. What a vCPU leaves in vector registers
 * it finds there again, and 0 when it is started.
 */
#include "metal/partition.h"

#include "metal/hart.h"
#include "metal/low.h"
#include "metal/platform.h"
#include "metal/sha256.h"
#include "metal/vcpu.h"
#include "metal/vdev.h"
#include "tests/assert.h"
#include "tests/metal/fake/fake.h"
#include "tests/random.h"
#include "tests/test.h"

#include <pthread.h>
#include <sched.h>
#include <time.h>

#define HARTS      4
#define PARTITIONS 2
#define RAM        0x3000 /* bytes of a partition */
#define IMAGE      96     /* bytes of its image, at the second page */
#define RESTARTS   300    /* of both partitions together, before it is enough */
#define PATIENCE_S 120

enum { EID_HSM = 0x48534D, EID_SPI = 0x735049, EID_RFENCE = 0x52464E43, EID_SRST = 0x53525354 };
enum { EID_PARTITION = 0x0A434F53, CALL_WATCHDOG = 1, CALL_RAISE = 3, CALL_CONTROL, CALL_PLAN };
enum { CALL_LOG_READ = 7, CALL_WINDOW_END, CALL_VDEV_NEXT, CALL_VDEV_REPLY };

#define VDEV UINT64_C(0x10001000) /* of A, served by B */

static _Atomic bool quiet, end; /* guests do nothing; threads end */
static _Atomic u32 astray, wrong_memory, wrong_vector, begun, secondaries, asked, taken;
static u8 vector_of[METAL_VCPUS_MAX]; /* what each one left */

static u64 ram_of(u32 partition)
{
    return FAKE_MEMORY_GPA + 0x4000 * partition;
}

/* hart 0: A0; 1: A1; 2, cyclic: A2 and B0; 3, by priority: B1 and A3. */
static const struct metal_vcpu vcpus[] = {
    {.partition = 0, .number = 0, .hart = 0},
    {.partition = 0, .number = 1, .hart = 1},
    {.partition = 0, .number = 2, .hart = 2},
    {.partition = 1, .number = 0, .hart = 2},
    {.partition = 1, .number = 1, .hart = 3, .priority = 2, .budget = 60, .period = 100},
    {.partition = 0, .number = 3, .hart = 3, .priority = 1},
};
static const u16 vcpu_of[] = {0, 1, 2, 5, 3, 4};

static void configure_harts(struct metal_config *c)
{
    static const u16 first[] = {0, 1, 2, 4}, count[] = {1, 1, 2, 2};

    for (u32 i = 0; i < HARTS; i++) {
        c->hart[i] = (struct metal_hart){
            .hart_id = i,
            .mode = i < 2    ? METAL_HART_EXCLUSIVE
                    : i == 2 ? METAL_HART_CYCLIC
                             : METAL_HART_PRIORITY,
            .vcpu_first = first[i],
            .vcpu_count = count[i],
        };
    }
    for (u32 i = 0; i < 2; i++) {
        c->plan[i].frame = i ? 70 : 100;
        c->plan[i].window_count[2] = 2;
        c->plan[i].window[2][0] = (struct metal_window){.start = 0, .length = 30, .vcpu = 2};
        c->plan[i].window[2][1] = (struct metal_window){.start = 35, .length = 30, .vcpu = 3};
    }
    c->plan_count = 2;
    memcpy(c->vcpu, vcpus, sizeof(vcpus));
    memcpy(c->vcpu_of, vcpu_of, sizeof(vcpu_of));
    c->vcpu_count = ARRAY_SIZE(vcpus);
    c->board.hart_count = HARTS;
    c->board.timebase = 1000;
    c->board.all_stopped = METAL_ALL_STOPPED_STAY; /* the test starts them again itself */
    c->board.dma_partition = METAL_NONE;
}

static void configure_image(struct metal_config *c, u32 i)
{
    struct metal_image *image = &c->image[i];
    struct sha256 sha;
    u8 *bytes = fake_image() + 256 * i;

    *image = (struct metal_image){
        .offset = 256 * i, .size = IMAGE, .gpa = ram_of(i) + 0x1000, .partition = i};
    for (u32 k = 0; k < IMAGE; k++)
        bytes[k] = (u8)(k + 7 * i + 1);
    sha256_init(&sha);
    sha256_update(&sha, bytes, IMAGE);
    sha256_final(&sha, image->sha256);
}

static void configure_partition(struct metal_config *c, u32 i)
{
    struct metal_partition *p = &c->partition[i];

    *p = (struct metal_partition){
        .vcpu_first = i ? 4 : 0,
        .vcpu_count = i ? 2 : 4,
        .region_first = (u16)i,
        .region_count = 1,
        .image_first = (u16)i,
        .image_count = 1,
        .rights = METAL_MAY_CONTROL | METAL_MAY_MONITOR | METAL_MAY_VECTOR,
        .vmid = i + 1,
        .start = 1,
        .entry = ram_of(i) + 0x1000,
        .watchdog = 1000,
    };
    c->region[i] = (struct metal_region){
        .gpa = ram_of(i), .hpa = 0x90000000 + 0x10000 * i, .size = RAM, .flags = 7, .partition = i};
    for (u32 event = 0; event < METAL_EVENTS; event++)
        p->rule[event].action = METAL_ACTION_LOG;
    p->rule[METAL_EVENT_RAISED].action = METAL_ACTION_RESTART;
    p->rule[METAL_EVENT_WATCHDOG].action = METAL_ACTION_RESTART;
    p->rule[METAL_EVENT_REBOOT].action = METAL_ACTION_WARM;
    p->rule[METAL_EVENT_SHUTDOWN].action = METAL_ACTION_STOP;
    configure_image(c, i);
}

/* Once, as at boot. */
static void make(void)
{
    struct metal_config *c = fake_config();
    static bool made;

    if (made)
        return;
    made = true;
    memset(c, 0, sizeof(*c));
    memset(&metal, 0, sizeof(metal));
    fake_time_set(1000);
    configure_harts(c);
    c->vdev_count = 1;
    c->vdev[0] = (struct metal_vdev){.gpa = VDEV,
                                     .size = 4096,
                                     .partition = 0,
                                     .service = 1,
                                     .virtual_source = 1,
                                     .service_source = 1,
                                     .notify_offset = 0x50};
    c->partition_count = c->region_count = c->image_count = PARTITIONS;
    for (u32 i = 0; i < PARTITIONS; i++)
        configure_partition(c, i);
    for (u32 i = 0; i < HARTS; i++) {
        metal.hart[i].config = &c->hart[i];
        metal.hart[i].index = i;
    }
    fake_hart_begin(0);
    partition_init_all();
    fake_hart_begin(HARTS); /* the test itself is none of them */
    metal.origin = 1100;
}

/* Zero, the image, and after a warm start whatever the guest left: it leaves 0x55. */
static bool memory_is_fresh(const struct partition *p)
{
    const u8 *ram = fake_memory(ram_of(p->index)), *image = fake_image() + 256 * p->index;

    if (memcmp(ram + 0x1000, image, IMAGE))
        return false;
    for (u32 i = 0; i < RAM; i++) {
        bool in_image = i >= 0x1000 && i < 0x1000 + IMAGE;
        if (!in_image && ram[i] && (p->load.cold || ram[i] != 0x55))
            return false;
    }
    return true;
}

/* vCPU v has its hart. */
static void guest_begins(struct vcpu *v)
{
    const struct partition *p = v->partition;
    u32 state = atomic_load(&p->state);

    if (state != PARTITION_RUNNING && state != PARTITION_HALTING)
        atomic_fetch_add(&astray, 1);
    if (v->pc == p->config->entry)
        vector_of[v - metal.vcpu] = 0;
    if (*fake_vector() != vector_of[v - metal.vcpu])
        atomic_fetch_add(&wrong_vector, 1);
    if (v->pc != p->config->entry)
        return;
    v->pc += 4;
    if (v->number) {
        atomic_fetch_add(&secondaries, 1);
        return;
    }
    atomic_fetch_add(&begun, 1);
    if (!memory_is_fresh(p))
        atomic_fetch_add(&wrong_memory, 1);
    memset(fake_memory(ram_of(p->index)), 0x55, RAM);
}

/* An ecall; true: another vCPU may be next. */
static bool call(struct vcpu *v, u64 ext, u64 func, u64 a0, u64 a1, u64 a2)
{
    v->x[10] = a0;
    v->x[11] = a1;
    v->x[12] = a2;
    v->x[13] = 4096;
    v->x[16] = func;
    v->x[17] = ext;
    return trap_ecall(v);
}

/* A asks, and waits; B takes, and answers or forgets. */
static bool serve(struct vcpu *v, u64 r)
{
    const struct access access = {.width = 4, .reg = 10, .length = 4, .write = r >> 32 & 1};

    if (v->partition->index == 0) {
        CHECK(vdev_access(v, VDEV + (r >> 40 & 0xffc), &access));
        atomic_fetch_add(&asked, 1);
        return v->hart->resched;
    }
    (void)call(v, EID_PARTITION, CALL_VDEV_NEXT, 0, 0, 0);
    if (v->x[11] >> 60)
        atomic_fetch_add(&taken, 1);
    if (r >> 32 & 3)
        (void)call(v, EID_PARTITION, CALL_VDEV_REPLY, 0,
                   r >> 34 & 1 ? v->x[11] >> 48 & 15 : r >> 48, 1);
    return v->hart->resched;
}

/* To where each life has its image anew; beyond the partition's memory is refused. */
static bool read_log(struct vcpu *v)
{
    u64 ram = ram_of(v->partition->index);
    bool resched = call(v, EID_PARTITION, CALL_LOG_READ, ram + 0x1000, 64, UINT32_MAX / 2);

    CHECK_EQ(v->x[10], 0);
    CHECK(v->x[11] >> 32 <= 64);
    resched |= call(v, EID_PARTITION, CALL_LOG_READ, ram + RAM, 64, UINT32_MAX / 2);
    CHECK(v->x[10] || !(v->x[11] >> 32)); /* nothing was logged yet */
    return resched;
}

static bool guest_acts(struct vcpu *v, u64 r)
{
    struct partition *p = v->partition;
    u32 other = (u32)(r >> 16) % p->config->vcpu_count;

    switch (r % 64) {
    case 0 ... 15:
        return call(v, EID_HSM, 0, other, p->config->entry, 0);
    case 16 ... 17:
        return v->number && call(v, EID_HSM, 1, 0, 0, 0);
    case 18: /* until an IPI or the timer */
        csr_write(vsie, BIT(IRQ_SSI) | BIT(IRQ_STI));
        csr_write(vstimecmp, time_now() + 20);
        return call(v, EID_HSM, 3, 0, 0, 0);
    case 19 ... 24:
        return call(v, EID_SPI, 0, r >> 32 & 15, 0, 0);
    case 25 ... 27:
        return call(v, EID_RFENCE, r >> 16 & 1, r >> 32 & 3, 0, 0);
    case 28:
        return call(v, EID_PARTITION, CALL_RAISE, 0, 0, 0);
    case 29:
        return call(v, EID_PARTITION, CALL_CONTROL, r >> 32 & 1, r >> 33 & 3, 0);
    case 30:
        return call(v, EID_PARTITION, CALL_PLAN, r >> 32 & 1, 0, 0);
    case 31:
        return call(v, EID_SRST, 0, r >> 32 & 1, 0, 0);
    case 32:
        return call(v, EID_PARTITION, CALL_WINDOW_END, 0, 0, 0);
    case 35 ... 38:
        return serve(v, r);
    case 63:
        return read_log(v);
    case 33 ... 34:
        return call(v, EID_PARTITION, CALL_WATCHDOG, 0, 0, 0);
    case 39 ... 44:
        csr_set(sstatus, STATUS_VS);
        *fake_vector() = vector_of[v - metal.vcpu] = (u8)(r >> 32);
        return v->hart->resched;
    default:
        return v->hart->resched;
    }
}

/* What came for the hart while the guest ran. */
static struct vcpu *interrupted(struct vcpu *v)
{
    struct hart *h = v->hart;
    u64 pending = csr_read(sip) & csr_read(sie);

    for (u32 irq = IRQ_SSI; irq <= IRQ_SEI; irq += 4) {
        if (pending & BIT(irq))
            hart_interrupt(h, irq);
    }
    return h->resched ? hart_next(v) : v;
}

static void *hart_thread(void *arg)
{
    struct hart *h = arg;
    struct vcpu *v;
    u64 seed = h->index + 1;

    fake_hart_begin(h->index);
    fake_end_on(&end);
    hart_plan_begin(h);
    v = hart_next_on(h, NULL);
    while (!atomic_load(&end)) {
        guest_begins(v);
        if (!atomic_load(&quiet) && guest_acts(v, test_random(&seed)))
            v = hart_next(v);
        v = interrupted(v);
        if (test_random(&seed) % 8 == 0)
            sched_yield();
    }
    return NULL;
}

static u64 seconds(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (u64)now.tv_sec;
}

/* Time passes until the partition has that state; false: it never comes to it. */
static bool comes_to(u32 partition, u32 state)
{
    u64 deadline = seconds() + PATIENCE_S;

    while (atomic_load(&metal.partition[partition].state) != state && seconds() < deadline) {
        fake_time_advance(1);
        sched_yield();
    }
    return atomic_load(&metal.partition[partition].state) == state;
}

/* All is stopped, whatever it was doing. */
static void stop_all(void)
{
    for (u32 i = 0; i < PARTITIONS; i++) {
        u64 deadline = seconds() + PATIENCE_S;
        while (atomic_load(&metal.partition[i].state) != PARTITION_STOPPED &&
               seconds() < deadline) {
            (void)partition_halt(&metal.partition[i], METAL_ACTION_STOP);
            fake_time_advance(1);
            sched_yield();
        }
        CHECK_EQ(atomic_load(&metal.partition[i].state), PARTITION_STOPPED);
    }
}

static u32 restarts(void)
{
    return atomic_load(&metal.partition[0].restarts) + atomic_load(&metal.partition[1].restarts);
}

static void go_wild(void)
{
    u64 deadline = seconds() + PATIENCE_S;

    while (restarts() < RESTARTS && seconds() < deadline) {
        fake_time_advance(1);
        /* Who stopped for good begins again. */
        for (u32 i = 0; i < PARTITIONS; i++)
            (void)partition_start(&metal.partition[i], restarts() % 2);
        sched_yield();
    }
    CHECK(restarts() >= RESTARTS);
}

enum { EID_FWFT = 0x46574654, FWFT_SET = 0, FWFT_GET, AD_UPDATING = 4, LANDING_PAD = 1 };

static s64 fwft(struct vcpu *v, u64 function, u64 feature, u64 value, u64 flags)
{
    (void)call(v, EID_FWFT, function, feature, value, flags);
    return v->x[10] ? (s64)v->x[10] : (s64)v->x[11];
}

/* Each vCPU has its own choice of hardware updates of A and D; off at first, and after a start. */
TEST(updates_of_a_and_d)
{
    struct vcpu *a, *b;

    make();
    a = partition_vcpu(&metal.partition[0], 2);
    b = partition_vcpu(&metal.partition[1], 0);
    platform_init(a->partition);
    platform_init(b->partition);
    fake_hart_begin(2);
    vcpu_in(a);
    CHECK_EQ(fwft(a, FWFT_GET, AD_UPDATING, 0, 0), 0);
    CHECK_EQ(csr_read(henvcfg), HENVCFG_GUEST);
    CHECK_EQ(fwft(a, FWFT_SET, AD_UPDATING, 1, 0), 0);
    CHECK_EQ(csr_read(henvcfg), HENVCFG_GUEST | HENVCFG_ADUE);
    CHECK_EQ(fwft(a, FWFT_GET, AD_UPDATING, 0, 0), 1);
    CHECK_EQ(fwft(a, FWFT_GET, LANDING_PAD, 0, 0), SBI_ERR_NOT_SUPPORTED);
    vcpu_out(a);
    vcpu_in(b);
    CHECK_EQ(csr_read(henvcfg), HENVCFG_GUEST);
    CHECK_EQ(fwft(b, FWFT_GET, AD_UPDATING, 0, 0), 0);
    vcpu_out(b);
    vcpu_in(a);
    CHECK_EQ(csr_read(henvcfg), HENVCFG_GUEST | HENVCFG_ADUE);
    CHECK_EQ(fwft(a, FWFT_SET, AD_UPDATING, 0, 1), 0);
    CHECK_EQ(csr_read(henvcfg), HENVCFG_GUEST);
    CHECK_EQ(fwft(a, FWFT_SET, AD_UPDATING, 1, 0), SBI_ERR_DENIED_LOCKED);
    csr_set(henvcfg, HENVCFG_ADUE);
    vcpu_reset(a, 0, 0);
    CHECK_EQ(a->csr.henvcfg, HENVCFG_GUEST);
    fake_hart_begin(HARTS);
}

TEST(all_at_once)
{
    pthread_t thread[HARTS];

    make();
    for (u32 i = 0; i < HARTS; i++)
        CHECK(!pthread_create(&thread[i], NULL, hart_thread, &metal.hart[i]));
    go_wild();
    atomic_store(&quiet, true);
    stop_all();
    for (u32 i = 0; i < PARTITIONS; i++) {
        CHECK(partition_start(&metal.partition[i], true));
        CHECK(!partition_start(&metal.partition[i], true));
        CHECK(comes_to(i, PARTITION_RUNNING));
    }
    CHECK_EQ(atomic_load(&metal.alive), PARTITIONS);
    stop_all();
    CHECK_EQ(atomic_load(&metal.alive), 0);
    CHECK(!partition_halt(&metal.partition[0], METAL_ACTION_STOP));
    atomic_store(&end, true);
    for (u32 i = 0; i < HARTS; i++)
        pthread_join(thread[i], NULL);
    for (u32 i = 0; i < ARRAY_SIZE(vcpus); i++)
        CHECK_EQ(metal.vcpu[i].state, VCPU_STOPPED);
    CHECK_EQ(atomic_load(&astray), 0);
    CHECK_EQ(atomic_load(&wrong_memory), 0);
    CHECK_EQ(atomic_load(&wrong_vector), 0);
    CHECK(atomic_load(&begun) > RESTARTS / 4);
    CHECK(atomic_load(&secondaries) > 20);
    CHECK(atomic_load(&asked) > RESTARTS / 4);
    CHECK(atomic_load(&taken) > RESTARTS / 4);
    printf("# %u restarts, %u begun, %u secondaries, %u asked, %u taken\n", restarts(), begun,
           secondaries, asked, taken);
}

TEST_MAIN()
