/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Devices that a partition serves, step by step: what the service is told, what the driver's vCPU
 * gets and when, and what becomes of both when one of them halts. Partition 0 has two vCPUs and is
 * driver of devices 0 and 1, partition 1 serves them; partition 2 serves device 2 of 1.
 */
#include "metal/vdev.h"

#include "metal/intc.h"
#include "metal/vcpu.h"
#include "tests/metal/fake/fake.h"
#include "tests/test.h"

#define GPA    UINT64_C(0x10001000)
#define NOTIFY 0x50

enum { NONE, READ, WRITE, NOTIFIED, RESET };

static struct metal_config *config;
static struct {
    u32 rings, rung_partition, rung_source;
    u32 levels, level_partition, level_source, level;
    u32 requests;
    const struct vcpu *requested;
} did;

void intc_raise(struct partition *p, u32 source)
{
    did.rings++;
    did.rung_partition = p->index;
    did.rung_source = source;
}

void intc_level(struct partition *p, u32 source, bool level)
{
    did.levels++;
    did.level_partition = p->index;
    did.level_source = source;
    did.level = level;
}

void vcpu_request(struct vcpu *v, u32 bits)
{
    CHECK_EQ(bits, REQUEST_VDEV);
    did.requests++;
    did.requested = v;
}

static struct partition *partition(u32 i)
{
    return &metal.partition[i];
}

static void make(void)
{
    static const u16 vcpu_of[] = {0, 1, 2, 3};

    config = fake_config();
    memset(config, 0, sizeof(*config));
    memset(&metal, 0, sizeof(metal));
    config->partition_count = 3;
    config->vcpu_count = 4;
    memcpy(config->vcpu_of, vcpu_of, sizeof(vcpu_of));
    for (u32 i = 0; i < 3; i++) {
        config->partition[i].vcpu_first = (u16)(i ? i + 1 : 0);
        config->partition[i].vcpu_count = i ? 1 : 2;
        partition(i)->config = &config->partition[i];
        partition(i)->index = i;
        atomic_store(&partition(i)->state, PARTITION_RUNNING);
    }
    for (u32 i = 0; i < 4; i++) {
        metal.vcpu[i].partition = partition(i < 2 ? 0 : i - 1);
        metal.vcpu[i].number = i & 1 && i < 2;
        metal.vcpu[i].hart = &metal.hart[i];
        metal.vcpu[i].state = VCPU_READY;
        metal.vcpu[i].pc = 0x1000;
    }
    config->vdev_count = 3;
    for (u32 i = 0; i < 3; i++) {
        config->vdev[i] = (struct metal_vdev){.gpa = GPA + 0x1000 * (i % 2),
                                              .size = 0x1000,
                                              .partition = i / 2,
                                              .service = (u16)(1 + i / 2),
                                              .virtual_source = (u16)(5 + i),
                                              .service_source = (u16)(8 + i),
                                              .notify_offset = NOTIFY};
    }
    for (u32 i = 0; i < 3; i++) /* what a test before left */
        vdev_halted(partition(i));
    for (u32 i = 0; i < 3; i++)
        CHECK_EQ(vdev_next(partition(config->vdev[i].service), i).value >> 60, RESET);
    memset(&did, 0, sizeof(did));
}

static bool load(struct vcpu *v, u64 gpa, u32 width, bool is_signed, u32 reg)
{
    const struct access a = {.width = width, .reg = reg, .length = 4, .is_signed = is_signed};

    return vdev_access(v, gpa, &a);
}

static bool store(struct vcpu *v, u64 gpa, u32 width, u64 value)
{
    const struct access a = {.width = width, .reg = 11, .length = 2, .write = true};

    v->x[11] = value;
    return vdev_access(v, gpa, &a);
}

struct request {
    u64 kind, vcpu, offset, width, value;
};

static struct request next(u32 service, u64 vdev)
{
    struct sbi_ret r = vdev_next(partition(service), vdev);

    CHECK_EQ(r.error, 0);
    return (struct request){r.value >> 60, r.value >> 48 & 0xff, r.value >> 32 & 0xffff,
                            r.value >> 56 & 15, (u32)r.value};
}

static s64 reply(u32 service, u64 vdev, u64 vcpu, u64 value, u64 level)
{
    const u64 arg[] = {vdev, vcpu, value, level};

    return vdev_reply(partition(service), arg).error;
}

TEST(a_load_is_asked_and_answered)
{
    struct vcpu *v = &metal.vcpu[1];
    struct request r;

    make();
    CHECK(load(v, GPA + 0x1000 + 0x70, 4, true, 10));
    CHECK_EQ(v->state, VCPU_ASKING);
    CHECK(v->hart->resched);
    CHECK_EQ(v->pc, 0x1000);
    CHECK_EQ(did.rings, 1);
    CHECK_EQ(did.rung_partition, 1);
    CHECK_EQ(did.rung_source, 9);
    CHECK_EQ(next(1, 0).kind, NONE); /* it is another device's */
    r = next(1, 1);
    CHECK_EQ(r.kind, READ);
    CHECK_EQ(r.vcpu, 1);
    CHECK_EQ(r.offset, 0x70);
    CHECK_EQ(r.width, 4);
    CHECK_EQ(next(1, 1).kind, NONE); /* taken once */
    vdev_answered(v);                /* nothing yet */
    CHECK_EQ(v->state, VCPU_ASKING);
    CHECK_EQ(reply(1, 1, 1, 0x80000001, VDEV_KEEP), 0);
    CHECK_EQ(did.levels, 0);
    CHECK_EQ(did.requests, 1);
    CHECK(did.requested == v);
    vdev_answered(v);
    CHECK_EQ(v->state, VCPU_READY);
    CHECK_EQ(v->x[10], 0xffffffff80000001);
    CHECK_EQ(v->pc, 0x1004);
    vdev_answered(v); /* once */
    CHECK_EQ(v->pc, 0x1004);
}

TEST(widths_and_signs)
{
    struct vcpu *v = &metal.vcpu[0];
    static const struct {
        u32 width;
        bool is_signed;
        u64 want;
    } cases[] = {{1, false, 0xf5},
                 {1, true, -11},
                 {2, false, 0xf4f5},
                 {2, true, -2827},
                 {4, false, 0xf2f3f4f5}};

    make();
    for (u32 i = 0; i < ARRAY_SIZE(cases); i++) {
        CHECK(load(v, GPA + 0x100, cases[i].width, cases[i].is_signed, 7));
        CHECK_EQ(next(1, 0).width, cases[i].width);
        CHECK_EQ(reply(1, 0, 0, 0xf2f3f4f5, VDEV_KEEP), 0);
        vdev_answered(v);
        CHECK_EQ(v->x[7], cases[i].want);
    }
    CHECK(load(v, GPA, 4, true, 0)); /* into x0 */
    (void)next(1, 0);
    CHECK_EQ(reply(1, 0, 0, 5, VDEV_KEEP), 0);
    vdev_answered(v);
    CHECK_EQ(v->x[0], 0);
    CHECK(store(v, GPA + 0xffc, 2, 0x12345678));
    CHECK_EQ(next(1, 0).value, 0x5678);
}

TEST(a_line_falls_with_its_service)
{
    for (u32 state = PARTITION_STOPPED; state <= PARTITION_HALTING; state++) {
        make();
        CHECK_EQ(reply(1, 1, VDEV_NOBODY, 0, 1), 0);
        CHECK_EQ(did.level, 1);
        atomic_store(&partition(1)->state, state);
        vdev_halted(partition(1));
        CHECK_EQ(did.levels, 3); /* of both devices */
        CHECK_EQ(did.level_partition, 0);
        CHECK_EQ(did.level_source, 6);
        CHECK_EQ(did.level, 0);
    }
}

TEST(a_store_of_x0_writes_zero)
{
    const struct access a = {.width = 4, .reg = 0, .length = 4, .write = true};
    struct request r;

    make();
    metal.vcpu[0].x[0] = 0xffffffc000045670; /* the hart's stack */
    CHECK(vdev_access(&metal.vcpu[0], GPA + 0x70, &a));
    r = next(1, 0);
    CHECK_EQ(r.kind, WRITE);
    CHECK_EQ(r.value, 0);
}

TEST(what_is_no_access_to_a_device)
{
    struct vcpu *v = &metal.vcpu[0];

    make();
    CHECK(!load(v, GPA, 8, true, 10));
    CHECK(!load(v, GPA + 2, 4, true, 10));
    CHECK(!load(v, GPA + 1, 2, true, 10));
    CHECK(!load(v, GPA - 4, 4, true, 10));
    CHECK(!load(v, GPA + 0x2000, 4, true, 10));
    CHECK(!load(&metal.vcpu[3], GPA, 4, true, 10));          /* partition 2 has none */
    CHECK(!load(&metal.vcpu[2], GPA + 0x1000, 4, true, 10)); /* partition 1 has not that one */
    CHECK(load(&metal.vcpu[2], GPA, 4, true, 10));
    CHECK_EQ(v->state, VCPU_READY);
    CHECK_EQ(v->pc, 0x1000);
    CHECK_EQ(did.rings, 1);
}

TEST(notifies_gather)
{
    struct vcpu *v = &metal.vcpu[0];
    struct request r;

    make();
    CHECK(store(v, GPA + NOTIFY, 4, 1));
    CHECK_EQ(v->state, VCPU_READY);
    CHECK_EQ(v->pc, 0x1002);
    CHECK(store(v, GPA + NOTIFY, 4, 31));
    CHECK(store(v, GPA + NOTIFY, 4, 32)); /* no queue */
    CHECK(store(v, GPA + NOTIFY, 4, UINT64_C(0xffffffff00000000)));
    CHECK_EQ(did.rings, 1); /* once until it is taken */
    CHECK(load(&metal.vcpu[1], GPA, 4, true, 10));
    CHECK_EQ(next(1, 0).kind, READ); /* somebody waits for this one */
    r = next(1, 0);
    CHECK_EQ(r.kind, NOTIFIED);
    CHECK_EQ(r.value, 0x80000003);
    CHECK_EQ(next(1, 0).kind, NONE);
    CHECK(store(v, GPA + NOTIFY, 4, 2));
    CHECK_EQ(did.rings, 3);
    CHECK(store(v, GPA + NOTIFY, 2, 7)); /* no notification by its width */
    CHECK_EQ(next(1, 0).kind, WRITE);
}

TEST(the_interrupt_is_the_services)
{
    make();
    CHECK_EQ(reply(1, 1, VDEV_NOBODY, 0, 1), 0);
    CHECK_EQ(did.levels, 1);
    CHECK_EQ(did.level_partition, 0);
    CHECK_EQ(did.level_source, 6);
    CHECK_EQ(did.level, 1);
    CHECK(load(&metal.vcpu[0], GPA + 0x1000, 4, true, 10));
    (void)next(1, 1);
    CHECK_EQ(reply(1, 1, 0, 0, 0), 0);
    CHECK_EQ(did.levels, 2);
    CHECK_EQ(did.level, 0);
}

TEST(replies_that_nobody_asked_for)
{
    struct vcpu *v = &metal.vcpu[0];

    make();
    CHECK(load(v, GPA, 4, true, 10));
    CHECK_EQ(reply(1, 0, 0, 1, 1), SBI_ERR_DENIED); /* not taken */
    (void)next(1, 0);
    CHECK_EQ(reply(1, 0, 1, 1, 1), SBI_ERR_DENIED); /* another vCPU */
    CHECK_EQ(reply(1, 0, 2, 1, 1), SBI_ERR_DENIED); /* no such */
    CHECK_EQ(reply(1, 0, UINT32_MAX, 1, 1), SBI_ERR_DENIED);
    CHECK_EQ(reply(1, 1, 0, 1, 1), SBI_ERR_DENIED); /* another device */
    CHECK_EQ(reply(2, 0, 0, 1, 1), SBI_ERR_INVALID_PARAM);
    CHECK_EQ(reply(0, 0, 0, 1, 1), SBI_ERR_INVALID_PARAM); /* the driver itself */
    CHECK_EQ(reply(1, 2, 0, 1, 1), SBI_ERR_INVALID_PARAM);
    CHECK_EQ(reply(1, 3, 0, 1, 1), SBI_ERR_INVALID_PARAM);
    CHECK_EQ(reply(1, UINT64_MAX, 0, 1, 1), SBI_ERR_INVALID_PARAM);
    CHECK_EQ(vdev_next(partition(1), 2).error, SBI_ERR_INVALID_PARAM);
    CHECK_EQ(vdev_next(partition(1), UINT64_MAX).error, SBI_ERR_INVALID_PARAM);
    CHECK_EQ(did.levels, 0);
    CHECK_EQ(did.requests, 0);
    CHECK_EQ(reply(1, 0, 0, 1, VDEV_KEEP), 0);
    CHECK_EQ(reply(1, 0, 0, 2, 1), SBI_ERR_DENIED); /* twice */
    vdev_answered(v);
    CHECK_EQ(v->x[10], 1);
    CHECK_EQ(reply(1, 0, 0, 2, 1), SBI_ERR_DENIED);
    CHECK_EQ(did.levels, 0);
}

TEST(a_service_that_does_not_run)
{
    struct vcpu *v = &metal.vcpu[0];

    make();
    v->x[10] = 7;
    atomic_store(&partition(1)->state, PARTITION_STOPPED);
    CHECK(load(v, GPA, 4, true, 10));
    vdev_answered(v);
    CHECK_EQ(v->state, VCPU_READY);
    CHECK_EQ(v->x[10], 0);
    atomic_store(&partition(1)->state, PARTITION_LOADING); /* it begins soon */
    CHECK(load(v, GPA, 4, true, 10));
    vdev_answered(v);
    CHECK_EQ(v->state, VCPU_ASKING);
    CHECK_EQ(next(1, 0).kind, READ);
}

TEST(a_service_that_stops)
{
    make();
    CHECK(load(&metal.vcpu[0], GPA, 4, true, 10));
    CHECK(store(&metal.vcpu[1], GPA + 0x1000, 4, 3));
    CHECK(load(&metal.vcpu[2], GPA, 4, true, 10)); /* of the service itself: another one's */
    (void)next(1, 0);
    atomic_store(&partition(1)->state, PARTITION_STOPPED);
    vdev_halted(partition(1));
    for (u32 i = 0; i < 2; i++) {
        vdev_answered(&metal.vcpu[i]);
        CHECK_EQ(metal.vcpu[i].state, VCPU_READY);
        CHECK_EQ(metal.vcpu[i].pc, i ? 0x1002 : 0x1004);
    }
    CHECK_EQ(metal.vcpu[0].x[10], 0);
    vdev_answered(&metal.vcpu[2]);
    CHECK_EQ(metal.vcpu[2].state, VCPU_ASKING);
}

TEST(a_service_that_restarts_is_asked_again)
{
    struct vcpu *v = &metal.vcpu[0];

    make();
    CHECK(load(v, GPA + 4, 4, true, 10));
    CHECK(load(&metal.vcpu[1], GPA + 8, 4, true, 10));
    CHECK_EQ(next(1, 0).offset, 4);
    atomic_store(&partition(1)->state, PARTITION_HALTING);
    vdev_halted(partition(1));
    CHECK_EQ(did.requests, 0);
    CHECK_EQ(reply(1, 0, 0, 1, 1), SBI_ERR_DENIED);
    CHECK_EQ(next(1, 0).offset, 4);
    CHECK_EQ(next(1, 0).offset, 8);
    CHECK_EQ(reply(1, 0, 0, 9, 0), 0);
    vdev_answered(v);
    CHECK_EQ(v->x[10], 9);
}

TEST(a_driver_that_halts)
{
    struct vcpu *v = &metal.vcpu[0];

    make();
    CHECK(load(v, GPA, 4, true, 10));
    CHECK(store(&metal.vcpu[1], GPA + NOTIFY, 4, 1));
    (void)next(1, 0);
    atomic_store(&v->asked, 0); /* as vcpu_serve does */
    vdev_halted(partition(0));
    CHECK_EQ(did.rings, 4); /* both devices */
    CHECK_EQ(reply(1, 0, 0, 1, 1), SBI_ERR_DENIED);
    CHECK_EQ(reply(1, 1, VDEV_NOBODY, 1, 1), SBI_ERR_DENIED);
    CHECK_EQ(did.levels, 0);
    CHECK_EQ(next(1, 0).kind, RESET);
    CHECK_EQ(next(1, 0).kind, NONE); /* what was notified is void */
    CHECK_EQ(reply(1, 0, 0, 1, 1), SBI_ERR_DENIED);
    CHECK_EQ(reply(1, 0, VDEV_NOBODY, 1, 0), 0);
    CHECK_EQ(reply(1, 1, VDEV_NOBODY, 1, 0), SBI_ERR_DENIED);
    CHECK_EQ(next(1, 1).kind, RESET);
    vdev_answered(v); /* a request of before that is seen late */
    CHECK_EQ(v->state, VCPU_ASKING);
    CHECK_EQ(v->pc, 0x1000);
}

TEST_MAIN()
