/* SPDX-License-Identifier: BSD-2-Clause */
/* Virtqueues against hostile rings: every chain that breaks the rules ends in NEEDS_RESET. */
#include "device/virtio/rng.h"
#include "tests/virtio_driver.h"

#define RING_INDIRECT (VIRTIO_F_INDIRECT_DESC)

static u32 filled;
static struct virtio_rng rng;

static void fill(void *ctx, void *buf, size_t len)
{
    memset(buf, 0x5a, len);
    filled += (u32)len;
}

/* A device with one running queue of size entries. */
static struct driver *setup(u64 features, u16 size)
{
    struct virtio_rng_config config = {.entropy = {fill, NULL}};
    struct driver *d;

    filled = 0;
    virtio_rng_init(&rng, &config);
    d = driver_create(virtio_rng_dev(&rng));
    d->gmem.count = 2; /* a ROM at 0x1000; all else is not memory */
    d->gmem.region[1] = (struct gmem_region){0x1000, 4096, calloc(1, 4096), true};
    driver_start(d, features, size);
    return d;
}

/* The kick that must break the device, and the way back from there. */
static void check_broken(struct driver *d, const char *why)
{
    u16 id;
    u32 len;

    driver_kick(d, 0);
    CHECK(driver_needs_reset(d));
    CHECK(driver_interrupted(d, VIRTIO_ISR_CONFIG));
    CHECK_EQ(filled, 0);
    if (!strstr(d->log_lines.last, why)) {
        printf("# logged \"%s\", want \"%s\"\n", d->log_lines.last, why);
        CHECK(!"the log names the reason");
    }
    driver_kick(d, 0);
    CHECK_EQ(d->log_lines.lines, 1);
    d->next = DRIVER_RAM;
    driver_start(d, 0, 4);
    driver_offer(d, 0, &(struct driver_seg){driver_alloc(d, 8), 8, true}, 1);
    driver_kick(d, 0);
    CHECK(driver_used(d, 0, &id, &len));
    CHECK_EQ(filled, 8);
    free(d->gmem.region[1].host);
    driver_destroy(d);
}

static gpa_t desc_at(struct driver *d, u32 index)
{
    return d->queue[0].desc + 16 * (u64)index;
}

/* Offers one descriptor in either ring. */
static void offer_one(struct driver *d, gpa_t gpa, u32 len, u16 flags)
{
    bool packed = driver_is_packed(d);

    driver_desc(d, desc_at(d, 0), gpa, len, (u16)(flags | (packed ? D_AVAIL : 0)), 0);
    if (!packed)
        driver_publish(d, &d->queue[0], 0);
}

static const u64 both[] = {0, VIRTIO_F_RING_PACKED};

TEST(bad_addresses_and_lengths)
{
    static const struct {
        gpa_t gpa;
        u32 len;
        u16 flags;
        const char *why;
    } bad[] = {
        {DRIVER_RAM, 0, D_WRITE, "length 0"},
        {0x10001000, 64, D_WRITE, "not memory"},
        {0, 1, 0, "not memory"},
        {0x1000, 16, D_WRITE, "not memory"},
        {DRIVER_RAM - 1, 2, D_WRITE, "not memory"},
        {DRIVER_RAM + DRIVER_RAM_SIZE - 1, 2, D_WRITE, "not memory"},
        {DRIVER_RAM + DRIVER_RAM_SIZE, 1, D_WRITE, "not memory"},
        {DRIVER_RAM, UINT32_MAX, D_WRITE, "not memory"},
        {UINT64_MAX, 1, D_WRITE, "not memory"},
        {UINT64_MAX - 15, 32, D_WRITE, "not memory"},
    };

    for (u32 i = 0; i < 2 * ARRAY_SIZE(bad); i++) {
        struct driver *d = setup(both[i & 1], 8);

        offer_one(d, bad[i / 2].gpa, bad[i / 2].len, bad[i / 2].flags);
        check_broken(d, bad[i / 2].why);
    }
}

TEST(rom_may_be_read)
{
    struct driver *d = setup(0, 8);
    u16 id;
    u32 len;

    offer_one(d, 0x1000, 16, 0);
    driver_kick(d, 0);
    CHECK(driver_used(d, 0, &id, &len));
    free(d->gmem.region[1].host);
    driver_destroy(d);
}

TEST(split_loops)
{
    struct driver *d = setup(0, 8);

    driver_desc(d, desc_at(d, 0), DRIVER_RAM, 8, D_WRITE | D_NEXT, 1);
    driver_desc(d, desc_at(d, 1), DRIVER_RAM, 8, D_WRITE | D_NEXT, 0);
    driver_publish(d, &d->queue[0], 0);
    check_broken(d, "loops");
    d = setup(0, 8);
    driver_desc(d, desc_at(d, 3), DRIVER_RAM, 8, D_WRITE | D_NEXT, 3);
    driver_publish(d, &d->queue[0], 3);
    check_broken(d, "loops");
}

TEST(packed_chain_without_end)
{
    struct driver *d = setup(VIRTIO_F_RING_PACKED, 8);

    for (u32 i = 0; i < 8; i++)
        driver_desc(d, desc_at(d, i), DRIVER_RAM, 8, D_WRITE | D_NEXT | D_AVAIL, 0);
    check_broken(d, "loops");
}

TEST(split_indices_out_of_range)
{
    struct driver *d = setup(0, 8);

    driver_publish(d, &d->queue[0], 8);
    check_broken(d, "index is out of range");
    d = setup(0, 8);
    driver_publish(d, &d->queue[0], 0xffff);
    check_broken(d, "index is out of range");
    d = setup(0, 8);
    driver_desc(d, desc_at(d, 0), DRIVER_RAM, 8, D_WRITE | D_NEXT, 8);
    driver_publish(d, &d->queue[0], 0);
    check_broken(d, "index is out of range");
}

TEST(split_available_index_jumps)
{
    static const u16 to[] = {9, 0x8000, 0xffff};

    for (u32 i = 0; i < ARRAY_SIZE(to); i++) {
        struct driver *d = setup(0, 8);

        le16_store(driver_at(d, d->queue[0].driver + 2), to[i]);
        check_broken(d, "available index jumps");
    }
}

TEST(readable_after_writable)
{
    struct driver_seg seg[3] = {
        {DRIVER_RAM, 8, false}, {DRIVER_RAM, 8, true}, {DRIVER_RAM, 8, false}};

    for (u32 mode = 0; mode < DRIVER_MODES; mode++) {
        struct driver *d = setup(driver_mode(mode), 8);

        driver_offer(d, 0, seg, 3);
        check_broken(d, "readable descriptor follows");
    }
}

TEST(giant_total_length)
{
    /* More than 4 GiB in segments that all name the same memory. */
    static struct driver_seg seg[4096];

    for (u32 i = 0; i < ARRAY_SIZE(seg); i++)
        seg[i] = (struct driver_seg){DRIVER_RAM, DRIVER_RAM_SIZE, true};
    for (u32 i = 0; i < 2; i++) {
        struct driver *d = setup(RING_INDIRECT | both[i], 8);

        driver_offer(d, 0, seg, VIRTQ_SEG_MAX + 1);
        check_broken(d, "too long");
        d = setup(RING_INDIRECT | both[i], 8);
        driver_offer(d, 0, seg, ARRAY_SIZE(seg));
        check_broken(d, "too long");
    }
}

TEST(four_gib_in_a_chain)
{
    /* A region as large as that is only claimed: nothing may be touched. */
    for (u32 i = 0; i < 2; i++) {
        struct driver *d = setup(RING_INDIRECT | both[i], 8);
        struct driver_seg seg[2] = {{UINT64_C(1) << 40, UINT32_MAX - 4095, true},
                                    {UINT64_C(1) << 40, 4096, true}};

        d->gmem.count = 3;
        d->gmem.region[2] = (struct gmem_region){UINT64_C(1) << 40, UINT64_C(1) << 33, NULL, false};
        driver_offer(d, 0, seg, 2);
        check_broken(d, "4 GiB");
    }
}

TEST(indirect_tables)
{
    static const struct {
        u32 len;
        u16 flags; /* of the ring's descriptor */
        u16 inner; /* of the table's */
        u16 next;  /* of the table's, split */
        const char *why;
    } bad[] = {
        {0, D_INDIRECT, D_WRITE, 0, "whole number"},
        {8, D_INDIRECT, D_WRITE, 0, "whole number"},
        {17, D_INDIRECT, D_WRITE, 0, "whole number"},
        {UINT32_MAX & ~15u, D_INDIRECT, D_WRITE, 0, "not in memory"},
        {32, D_INDIRECT | D_NEXT, D_WRITE, 0, "has a successor"},
        {32, D_INDIRECT, D_INDIRECT, 0, "nested"},
        {32, D_INDIRECT, D_INDIRECT | D_NEXT | D_WRITE, 1, "nested"},
    };

    for (u32 i = 0; i < 2 * ARRAY_SIZE(bad); i++) {
        struct driver *d = setup(RING_INDIRECT | both[i & 1], 8);
        gpa_t table = driver_alloc(d, 64);

        driver_desc(d, table, DRIVER_RAM, 8, bad[i / 2].inner, bad[i / 2].next);
        driver_desc(d, table + 16, DRIVER_RAM, 8, bad[i / 2].inner, bad[i / 2].next);
        offer_one(d, table, bad[i / 2].len, bad[i / 2].flags);
        check_broken(d, bad[i / 2].why);
    }
}

TEST(split_indirect_links)
{
    static const u16 next[] = {0, 1, 2, 0xffff};

    for (u32 i = 0; i < ARRAY_SIZE(next); i++) {
        struct driver *d = setup(RING_INDIRECT, 8);
        gpa_t table = driver_alloc(d, 64);

        driver_desc(d, table, DRIVER_RAM, 8, D_WRITE | D_NEXT, 1);
        driver_desc(d, table + 16, DRIVER_RAM, 8, D_WRITE | D_NEXT, next[i]);
        offer_one(d, table, 32, D_INDIRECT);
        check_broken(d, next[i] < 2 ? "loops" : "out of range");
    }
}

TEST(indirect_table_outside_memory)
{
    static const gpa_t at[] = {0x10001000, DRIVER_RAM - 16, DRIVER_RAM + DRIVER_RAM_SIZE - 16,
                               UINT64_MAX - 15};

    for (u32 i = 0; i < 2 * ARRAY_SIZE(at); i++) {
        struct driver *d = setup(RING_INDIRECT | both[i & 1], 8);

        offer_one(d, at[i / 2], 32, D_INDIRECT);
        check_broken(d, "table is not in memory");
    }
}

TEST(indirect_must_be_negotiated)
{
    for (u32 i = 0; i < 2; i++) {
        struct driver *d = setup(both[i], 8);

        offer_one(d, driver_alloc(d, 64), 32, D_INDIRECT);
        check_broken(d, "not negotiated");
    }
}

TEST(direct_descriptors_before_a_table)
{
    for (u32 i = 0; i < 2; i++) {
        struct driver *d = setup(RING_INDIRECT | both[i], 8);
        gpa_t table = driver_alloc(d, 64), buf = driver_alloc(d, 64);
        u16 avail = i ? D_AVAIL : 0;

        driver_desc(d, table, buf + 8, 4, D_WRITE, 0);
        driver_desc(d, desc_at(d, 0), buf, 8, (u16)(D_NEXT | D_WRITE | avail), 1);
        driver_desc(d, desc_at(d, 1), table, 16, (u16)(D_INDIRECT | avail), 0);
        if (!i)
            driver_publish(d, &d->queue[0], 0);
        driver_kick(d, 0);
        CHECK(!driver_needs_reset(d));
        CHECK_EQ(filled, 12);
        free(d->gmem.region[1].host);
        driver_destroy(d);
    }
}

TEST(unusable_queues_are_refused)
{
    static const struct {
        u32 size;
        u64 offset[3];
    } bad[] = {
        {0, {0, 0, 0}},
        {3, {0, 0, 0}},
        {65536, {0, 0, 0}},
        {1u << 31, {0}},
        {128, {0, 0, 0}},
        {8, {8, 0, 0}},
        {8, {0, 1, 0}},
        {8, {0, 0, 2}},
        {8, {UINT64_C(1) << 40, 0, 0}},
        {8, {0, UINT64_C(1) << 40, 0}},
        {8, {0, 0, UINT64_C(1) << 40}},
        {8, {DRIVER_RAM_SIZE - 16, 0, 0}},
    };

    for (u32 i = 0; i < ARRAY_SIZE(bad); i++) {
        struct driver *d = setup(0, 8);

        CHECK(driver_negotiate(d, VIRTIO_F_VERSION_1));
        driver_put(d, R_QUEUE_SIZE, bad[i].size);
        driver_put_area(d, R_QUEUE_DESC, DRIVER_RAM + bad[i].offset[0]);
        driver_put_area(d, R_QUEUE_DRIVER, DRIVER_RAM + bad[i].offset[1]);
        driver_put_area(d, R_QUEUE_DEVICE, DRIVER_RAM + bad[i].offset[2]);
        driver_put(d, R_QUEUE_READY, 1);
        CHECK_EQ(driver_get(d, R_QUEUE_READY), 0);
        CHECK(driver_needs_reset(d));
        free(d->gmem.region[1].host);
        driver_destroy(d);
    }
}

/* How many of count single-buffer chains interrupt when the driver says how it wants it. */
static u32 interrupts(struct driver *d, u32 count, void (*want)(struct driver *, u32))
{
    gpa_t buf = driver_alloc(d, 16);
    u32 seen = 0;
    u16 id;
    u32 len;

    for (u32 i = 0; i < count; i++) {
        want(d, i);
        driver_offer(d, 0, &(struct driver_seg){buf, 8, true}, 1);
        driver_kick(d, 0);
        CHECK(driver_used(d, 0, &id, &len));
        seen += driver_interrupted(d, VIRTIO_ISR_QUEUE);
    }
    return seen;
}

static void want_none(struct driver *d, u32 i)
{
    if (driver_is_packed(d))
        le32_store(driver_at(d, d->queue[0].driver), 1u << 16);
    else
        le16_store(driver_at(d, d->queue[0].driver), 1);
}

/* One interrupt for every fifth buffer, by event index. */
static void want_fifth(struct driver *d, u32 i)
{
    struct driver_queue *q = &d->queue[0];
    u32 target = i / 5 * 5 + 4;

    if (driver_is_packed(d)) {
        u32 wrap = !(target / q->size & 1);

        le32_store(driver_at(d, q->driver), 2u << 16 | wrap << 15 | target % q->size);
    } else {
        le16_store(driver_at(d, q->driver + 4 + 2 * (u64)q->size), (u16)target);
    }
}

TEST(interrupts_can_be_turned_off)
{
    for (u32 i = 0; i < 2; i++) {
        struct driver *d = setup(both[i], 8);

        CHECK_EQ(interrupts(d, 20, want_none), 0);
        free(d->gmem.region[1].host);
        driver_destroy(d);
    }
}

TEST(event_index_asks_for_one_buffer)
{
    for (u32 i = 0; i < 4; i++) {
        struct driver *d = setup(VIRTIO_F_EVENT_IDX | driver_mode(i), 7 + (i & 1 ? 0 : 1));

        CHECK_EQ(interrupts(d, 1000, want_fifth), 200);
        free(d->gmem.region[1].host);
        driver_destroy(d);
    }
}

TEST(event_index_over_65536_buffers)
{
    struct driver *d = setup(VIRTIO_F_EVENT_IDX, 8);

    CHECK_EQ(interrupts(d, 70000, want_fifth), 14000);
    free(d->gmem.region[1].host);
    driver_destroy(d);
}

TEST(split_device_asks_for_the_next_kick)
{
    struct driver *d = setup(VIRTIO_F_EVENT_IDX, 8);
    struct driver_queue *q = &d->queue[0];
    gpa_t buf = driver_alloc(d, 16);

    for (u32 i = 0; i < 20; i++) {
        driver_offer(d, 0, &(struct driver_seg){buf, 8, true}, 1);
        driver_kick(d, 0);
        CHECK_EQ(le16_load(driver_at(d, q->device + 4 + 8 * (u64)q->size)), i + 1);
    }
    free(d->gmem.region[1].host);
    driver_destroy(d);
}

/* Random bytes as rings and tables: nothing may crash, hang or leave memory. */
TEST(random_rings)
{
    u64 state = 42;

    for (u32 round = 0; round < 4000; round++) {
        u64 r = test_random(&state);
        struct driver *d = setup(driver_mode(r & 7), (u16)(1u << (r >> 8 & 3)));
        struct driver_queue *q = &d->queue[0];

        for (u32 i = 0; i < q->size * 16u; i++)
            if (test_random(&state) & 3)
                driver_at(d, q->desc)[i] = (u8)test_random(&state);
        for (u32 i = 0; i < q->size; i++) {
            u8 *raw = driver_at(d, desc_at(d, i));

            if (test_random(&state) & 7)
                le64_store(raw, DRIVER_RAM + test_random(&state) % 512 * 16);
            if (test_random(&state) & 7)
                le32_store(raw + 8, (u32)(test_random(&state) % 64));
        }
        le16_store(driver_at(d, q->driver + 2), (u16)(test_random(&state) % 10));
        driver_kick(d, 0);
        driver_kick(d, 0);
        free(d->gmem.region[1].host);
        driver_destroy(d);
    }
}

TEST_MAIN()
