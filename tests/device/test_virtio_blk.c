/* SPDX-License-Identifier: BSD-2-Clause */
/* Virtio block device over a disk in memory that answers at once, late or out of order. */
#define FAKE_OWN_WAIT
#include "device/virtio/blk.h"
#include "tests/virtio_driver.h"

#define DISK_SIZE (256 * KIB)

enum { T_IN = 0, T_OUT = 1, T_FLUSH = 4, T_GET_ID = 8, T_DISCARD = 11, T_WRITE_ZEROES = 13 };
enum { S_OK = 0, S_IOERR = 1, S_UNSUPP = 2, S_NONE = 0xaa };

#define F_FLUSH BIT(9)

static struct disk {
    struct blk blk;
    u8 data[DISK_SIZE];
    bool late;
    int status;
    struct blk_req *held[64];
    u32 held_count;
    u32 ops[8];
    u32 waits;
} disk;

static void disk_do(struct blk_req *req)
{
    u64 at = req->offset;

    disk.ops[req->op]++;
    ASSERT(range_within(req->offset, req->len, 0, DISK_SIZE));
    for (u32 i = 0; i < req->iov_count && !disk.status; i++) {
        if (req->op == BLK_READ)
            memcpy(req->iov[i].base, disk.data + at, req->iov[i].len);
        else
            memcpy(disk.data + at, req->iov[i].base, req->iov[i].len);
        at += req->iov[i].len;
    }
    ASSERT(!req->iov_count || disk.status || at == req->offset + req->len);
    if (req->op == BLK_DISCARD || req->op == BLK_WRITE_ZEROES)
        memset(disk.data + req->offset, 0, req->len);
    req->done(req, disk.status);
}

static void disk_submit(void *ctx, struct blk_req *req)
{
    if (!disk.late) {
        disk_do(req);
        return;
    }
    ASSERT(disk.held_count < ARRAY_SIZE(disk.held));
    disk.held[disk.held_count++] = req;
}

/* Answers held request i. */
static void disk_release(u32 i)
{
    struct blk_req *req = disk.held[i];

    disk.held[i] = disk.held[--disk.held_count];
    disk_do(req);
}

/* The device waits for its requests: time passes, and one of them is done. */
void port_wait(_Atomic u32 *word, u32 value)
{
    disk.waits++;
    ASSERT(disk.held_count);
    disk_release(0);
}

static struct virtio_blk blk;

static struct driver *setup_queues(bool readonly, u32 queues)
{
    struct virtio_blk_config config = {
        .blk = &disk.blk, .serial = "0123456789abcdefghijXYZ", .queues = queues};

    memset(&disk, 0, sizeof(disk));
    disk.blk = (struct blk){
        .submit = disk_submit, .size = DISK_SIZE, .readonly = readonly, .can_discard = !readonly};
    for (u32 i = 0; i < DISK_SIZE; i++)
        disk.data[i] = (u8)(i / 512 + i);
    virtio_blk_init(&blk, &config);
    return driver_create(virtio_blk_dev(&blk));
}

static struct driver *setup(bool readonly)
{
    return setup_queues(readonly, 1);
}

/* A request in guest memory: header, data, status byte. */
struct request {
    gpa_t header, data, status;
    u32 len;
    u16 id;
};

static struct request queue_offer(struct driver *d, u32 queue, u32 type, u64 sector, u32 len,
                                  bool in)
{
    struct request r = {driver_alloc(d, 16), driver_alloc(d, len + 1), driver_alloc(d, 1), len, 0};
    struct driver_seg seg[4] = {{r.header, 16, false}};
    u32 n = 1;

    le32_store(driver_at(d, r.header), type);
    le64_store(driver_at(d, r.header) + 8, sector);
    *driver_at(d, r.status) = S_NONE;
    if (len > 100) /* in two pieces, not at a sector */
        seg[n++] = (struct driver_seg){r.data, 100, in};
    if (len)
        seg[n] =
            (struct driver_seg){r.data + (len > 100 ? 100 : 0), len > 100 ? len - 100 : len, in},
        n++;
    seg[n++] = (struct driver_seg){r.status, 1, true};
    r.id = driver_offer(d, queue, seg, n);
    return r;
}

static struct request request_offer(struct driver *d, u32 type, u64 sector, u32 len, bool in)
{
    return queue_offer(d, 0, type, sector, len, in);
}

/* Kicks and takes the answer. */
static u32 request_run(struct driver *d, const struct request *r, u32 *written)
{
    u16 id = 0xffff;

    *written = 0;
    driver_kick(d, 0);
    CHECK(driver_used(d, 0, &id, written));
    CHECK_EQ(id, r->id);
    return *driver_at(d, r->status);
}

static u32 run(struct driver *d, u32 type, u64 sector, u32 len, bool in)
{
    struct request r = request_offer(d, type, sector, len, in);
    u32 written;

    return request_run(d, &r, &written);
}

TEST(reads_and_writes_in_every_ring_mode)
{
    for (u32 mode = 0; mode < DRIVER_MODES; mode++) {
        struct driver *d = setup(false);
        struct request r;
        u32 written;

        driver_start(d, driver_mode(mode) | F_FLUSH, 16);
        for (u32 i = 0; i < 50; i++) {
            r = request_offer(d, T_IN, i, 1024, true);
            d->written = 0;
            CHECK_EQ(request_run(d, &r, &written), S_OK);
            CHECK_EQ(written, 1025);
            CHECK(d->written >= 1025);
            CHECK(!memcmp(driver_at(d, r.data), disk.data + i * 512, 1024));
            r = request_offer(d, T_OUT, 511 - i, 512, false);
            memset(driver_at(d, r.data), (int)i, 512);
            CHECK_EQ(request_run(d, &r, &written), S_OK);
            CHECK_EQ(written, 1);
            CHECK_EQ(disk.data[(511 - i) * 512 + 511], i);
        }
        CHECK_EQ(disk.ops[BLK_FLUSH], 0);
        CHECK_EQ(run(d, T_FLUSH, 0, 0, false), S_OK);
        CHECK_EQ(disk.ops[BLK_FLUSH], 1);
        driver_destroy(d);
    }
}

TEST(bounds)
{
    struct driver *d = setup(false);

    driver_start(d, F_FLUSH, 16);
    CHECK_EQ(run(d, T_IN, 511, 512, true), S_OK);
    CHECK_EQ(run(d, T_IN, 512, 0, true), S_OK);
    CHECK_EQ(run(d, T_IN, 512, 512, true), S_IOERR);
    CHECK_EQ(run(d, T_IN, 511, 1024, true), S_IOERR);
    CHECK_EQ(run(d, T_IN, 0, 511, true), S_IOERR);
    CHECK_EQ(run(d, T_IN, UINT64_MAX, 512, true), S_IOERR);
    CHECK_EQ(run(d, T_IN, UINT64_MAX / 512 + 1, 512, true), S_IOERR);
    CHECK_EQ(run(d, T_OUT, UINT64_C(1) << 55, 512, false), S_IOERR);
    CHECK_EQ(run(d, T_OUT, 512, 512, false), S_IOERR);
    CHECK_EQ(run(d, 99, 0, 512, true), S_UNSUPP);
    CHECK(!driver_needs_reset(d));
    driver_destroy(d);
}

TEST(back_end_errors)
{
    struct driver *d = setup(false);

    driver_start(d, F_FLUSH, 16);
    disk.status = -5;
    CHECK_EQ(run(d, T_IN, 0, 512, true), S_IOERR);
    CHECK_EQ(run(d, T_OUT, 0, 512, false), S_IOERR);
    CHECK_EQ(run(d, T_FLUSH, 0, 0, false), S_IOERR);
    driver_destroy(d);
}

TEST(read_only)
{
    struct driver *d = setup(true);

    CHECK(driver_offered(d) & BIT(5));
    CHECK(!(driver_offered(d) & (BIT(13) | BIT(14))));
    driver_start(d, F_FLUSH, 16);
    CHECK_EQ(run(d, T_OUT, 0, 512, false), S_IOERR);
    CHECK_EQ(run(d, T_WRITE_ZEROES, 0, 16, false), S_IOERR);
    CHECK_EQ(run(d, T_DISCARD, 0, 16, false), S_UNSUPP);
    CHECK_EQ(run(d, T_IN, 0, 512, true), S_OK);
    CHECK_EQ(disk.ops[BLK_WRITE] + disk.ops[BLK_WRITE_ZEROES], 0);
    driver_destroy(d);
}

TEST(write_through_without_flush)
{
    struct driver *d = setup(false);

    driver_start(d, 0, 16);
    CHECK_EQ(run(d, T_OUT, 0, 512, false), S_OK);
    CHECK_EQ(disk.ops[BLK_FLUSH], 1);
    CHECK_EQ(run(d, T_IN, 0, 512, true), S_OK);
    CHECK_EQ(disk.ops[BLK_FLUSH], 1);
    driver_destroy(d);
}

TEST(id_and_configuration)
{
    struct driver *d = setup(false);
    struct device *dev = &d->mmio.device;
    struct request r;
    u32 written;

    driver_start(d, F_FLUSH, 16);
    r = request_offer(d, T_GET_ID, 0, 20, true);
    CHECK_EQ(request_run(d, &r, &written), S_OK);
    CHECK_EQ(written, 21);
    CHECK(!memcmp(driver_at(d, r.data), "0123456789abcdefghij", 21));
    CHECK_EQ(run(d, T_GET_ID, 0, 5, true), S_OK);
    CHECK_EQ(run(d, T_GET_ID, 0, 0, true), S_OK);
    CHECK_EQ(run(d, T_GET_ID, 0, 4000, true), S_OK);
    CHECK_EQ(fake_read(dev, R_CONFIG, 8), DISK_SIZE / 512);
    CHECK_EQ(fake_read(dev, R_CONFIG + 12, 4), 254);
    CHECK_EQ(fake_read(dev, R_CONFIG + 20, 4), 512);
    CHECK_EQ(fake_read(dev, R_CONFIG + 34, 2), 1);
    fake_write(dev, R_CONFIG, 8, 1);
    CHECK_EQ(fake_read(dev, R_CONFIG, 8), DISK_SIZE / 512);
    driver_destroy(d);
}

static u32 run_ranges(struct driver *d, u32 type, const u64 (*range)[3], u32 count)
{
    struct request r = request_offer(d, type, 0, 16 * count, false);
    u32 written;

    for (u32 i = 0; i < count; i++) {
        u8 *raw = driver_at(d, r.data + 16 * (u64)i);

        le64_store(raw, range[i][0]);
        le32_store(raw + 8, (u32)range[i][1]);
        le32_store(raw + 12, (u32)range[i][2]);
    }
    return request_run(d, &r, &written);
}

TEST(discard_and_write_zeroes)
{
    static const u64 good[16][3] = {{1, 1, 0}, {3, 2, 0}, {511, 1, 0}, {9, 0, 0}};
    static const u64 bad[][3] = {{511, 2, 0}, {512, 1, 0}, {UINT64_MAX, 1, 0}, {0, UINT32_MAX, 0}};
    static const u64 unmap[][3] = {{0, 1, 1}};
    static const u64 odd[][3] = {{0, 1, 2}};
    struct driver *d = setup(false);

    driver_start(d, F_FLUSH | BIT(13) | BIT(14), 32);
    CHECK_EQ(run_ranges(d, T_WRITE_ZEROES, good, 4), S_OK);
    CHECK_EQ(disk.ops[BLK_WRITE_ZEROES], 3);
    CHECK(disk.data[511] && !disk.data[512] && !disk.data[1023] && disk.data[1030]);
    CHECK(!disk.data[3 * 512] && !disk.data[5 * 512 - 1] && disk.data[5 * 512]);
    CHECK_EQ(run_ranges(d, T_DISCARD, good, 16), S_OK);
    CHECK_EQ(disk.ops[BLK_DISCARD], 3);
    for (u32 i = 0; i < ARRAY_SIZE(bad); i++)
        CHECK_EQ(run_ranges(d, T_DISCARD, bad + i, 1), S_IOERR);
    CHECK_EQ(run_ranges(d, T_WRITE_ZEROES, bad, 1), S_IOERR);
    CHECK_EQ(run_ranges(d, T_WRITE_ZEROES, unmap, 1), S_OK);
    CHECK_EQ(run_ranges(d, T_DISCARD, unmap, 1), S_UNSUPP);
    CHECK_EQ(run_ranges(d, T_WRITE_ZEROES, odd, 1), S_UNSUPP);
    CHECK_EQ(run(d, T_DISCARD, 0, 16 * 17, false), S_IOERR);
    CHECK_EQ(run(d, T_DISCARD, 0, 15, false), S_IOERR);
    CHECK_EQ(run(d, T_DISCARD, 0, 0, false), S_IOERR);
    driver_destroy(d);
}

TEST(many_in_flight_out_of_order)
{
    for (u32 mode = 0; mode < DRIVER_MODES; mode++) {
        struct driver *d = setup(false);
        struct request r[40];
        u64 state = mode;
        u32 answered = 0;

        driver_start(d, driver_mode(mode) | F_FLUSH, 256);
        disk.late = true;
        for (u32 i = 0; i < 40; i++)
            r[i] = request_offer(d, T_IN, i, 512, true);
        driver_kick(d, 0);
        CHECK_EQ(disk.held_count, VIRTIO_BLK_SLOTS);
        while (disk.held_count) {
            u32 len;
            u16 id;

            disk_release((u32)(test_random(&state) % disk.held_count));
            answered += driver_used(d, 0, &id, &len);
        }
        CHECK_EQ(answered, 40);
        for (u32 i = 0; i < 40; i++) {
            CHECK_EQ(*driver_at(d, r[i].status), S_OK);
            CHECK(!memcmp(driver_at(d, r[i].data), disk.data + 512 * i, 512));
        }
        driver_destroy(d);
    }
}

TEST(reset_in_flight_drains_and_drops)
{
    for (u32 how = 0; how < 3; how++) {
        struct driver *d = setup(false);
        struct request r[40];
        u16 id;
        u32 len;

        driver_start(d, F_FLUSH, 256);
        disk.late = true;
        for (u32 i = 0; i < 40; i++)
            r[i] = request_offer(d, T_IN, i, 512, true);
        driver_kick(d, 0);
        driver_put(d, R_QUEUE_SEL, 0);
        if (how == 0)
            driver_put(d, R_STATUS, 0);
        else if (how == 1)
            driver_put(d, R_QUEUE_READY, 0);
        else
            device_reset(&d->mmio.device);
        CHECK_EQ(disk.held_count, 0);
        CHECK_EQ(disk.waits, VIRTIO_BLK_SLOTS);
        CHECK_EQ(disk.ops[BLK_READ], VIRTIO_BLK_SLOTS);
        for (u32 i = 0; i < 40; i++)
            CHECK_EQ(*driver_at(d, r[i].status), S_NONE);
        CHECK(!driver_used(d, 0, &id, &len));
        disk.late = false;
        driver_start(d, F_FLUSH, 16);
        CHECK_EQ(run(d, T_IN, 7, 512, true), S_OK);
        driver_destroy(d);
    }
}

TEST(destroyed_in_flight)
{
    struct driver *d = setup(false);

    driver_start(d, 0, 16);
    disk.late = true;
    request_offer(d, T_OUT, 0, 512, false);
    request_offer(d, T_WRITE_ZEROES, 0, 16, false);
    driver_kick(d, 0);
    device_fini(&d->mmio.device);
    CHECK_EQ(disk.held_count, 0);
    driver_destroy(d);
}

TEST(chain_without_header_or_status)
{
    static const u32 sizes[][2] = {{16, 0}, {15, 1}, {0, 1}};

    for (u32 i = 0; i < ARRAY_SIZE(sizes); i++) {
        struct driver *d = setup(false);
        gpa_t buf = driver_alloc(d, 64);
        struct driver_seg seg[2];
        u32 n = 0;

        driver_start(d, F_FLUSH, 16);
        if (sizes[i][0])
            seg[n++] = (struct driver_seg){buf, sizes[i][0], false};
        if (sizes[i][1])
            seg[n++] = (struct driver_seg){buf, sizes[i][1], true};
        driver_offer(d, 0, seg, n);
        driver_kick(d, 0);
        CHECK(driver_needs_reset(d));
        CHECK(driver_interrupted(d, VIRTIO_ISR_CONFIG));
        driver_start(d, F_FLUSH, 16);
        CHECK_EQ(run(d, T_IN, 0, 512, true), S_OK);
        driver_destroy(d);
    }
}

TEST(header_and_status_share_segments_with_data)
{
    struct driver *d = setup(false);
    gpa_t buf = driver_alloc(d, 2048);
    struct driver_seg seg[3] = {{buf, 7, false}, {buf + 7, 9, false}, {buf + 16, 513, true}};
    struct driver_seg out[2] = {{buf, 16 + 512, false}, {buf + 1024, 1, true}};
    u16 id;
    u32 len;

    driver_start(d, F_FLUSH, 16);
    le64_store(driver_at(d, buf) + 8, 3);
    driver_offer(d, 0, seg, 3);
    driver_kick(d, 0);
    CHECK(driver_used(d, 0, &id, &len));
    CHECK_EQ(len, 513);
    CHECK(!memcmp(driver_at(d, buf + 16), disk.data + 3 * 512, 512));
    CHECK_EQ(*driver_at(d, buf + 16 + 512), S_OK);
    le32_store(driver_at(d, buf), T_OUT);
    memset(driver_at(d, buf + 16), 0x77, 512);
    driver_offer(d, 0, out, 2);
    driver_kick(d, 0);
    CHECK_EQ(*driver_at(d, buf + 1024), S_OK);
    CHECK_EQ(disk.data[3 * 512], 0x77);
    CHECK_EQ(disk.data[4 * 512 - 1], 0x77);
    driver_destroy(d);
}

/* A chain of the most segments: header, 254 of data, status. */
TEST(as_many_segments_as_a_chain_has)
{
    struct driver *d = setup(false);
    static struct driver_seg seg[VIRTQ_SEG_MAX];
    gpa_t header = driver_alloc(d, 16), data = driver_alloc(d, 512), status = driver_alloc(d, 1);
    u16 id;
    u32 len;

    driver_start(d, F_FLUSH | VIRTIO_F_INDIRECT_DESC, 16);
    seg[0] = (struct driver_seg){header, 16, false};
    for (u32 i = 1; i < 255; i++)
        seg[i] = (struct driver_seg){data + (i & 127) * 4, i == 254 ? 12 : 4, true};
    seg[255] = (struct driver_seg){status, 1, true};
    driver_offer(d, 0, seg, 256);
    driver_kick(d, 0);
    CHECK(driver_used(d, 0, &id, &len));
    CHECK_EQ(*driver_at(d, status), S_OK);
    CHECK_EQ(len, 253 * 4 + 12 + 1);
    driver_destroy(d);
}

#define F_MQ BIT(12)

TEST(several_queues)
{
    struct driver *d = setup_queues(false, 3);
    struct request r[3];
    u32 written;
    u16 id;

    CHECK(driver_offered(d) & F_MQ);
    CHECK_EQ(driver_get(d, R_CONFIG + 32) >> 16, 3);
    driver_start(d, VIRTIO_F_VERSION_1 | F_FLUSH | F_MQ, 16);
    disk.late = true;
    for (u32 q = 0; q < 3; q++) {
        r[q] = queue_offer(d, q, T_IN, q * 8, 4096, true);
        driver_kick(d, q);
    }
    CHECK_EQ(disk.held_count, 3);
    while (disk.held_count)
        disk_release(disk.held_count - 1);
    for (u32 q = 0; q < 3; q++) {
        CHECK(driver_used(d, q, &id, &written));
        CHECK_EQ(id, r[q].id);
        CHECK_EQ(written, 4097);
        CHECK_EQ(*driver_at(d, r[q].status), S_OK);
        CHECK(!memcmp(driver_at(d, r[q].data), disk.data + q * 4096, 4096));
        CHECK(!driver_used(d, q, &id, &written));
    }
    /* A queue that is reset is drained, whichever queue the others' requests came from. */
    r[1] = queue_offer(d, 1, T_IN, 0, 512, true);
    r[2] = queue_offer(d, 2, T_IN, 0, 512, true);
    driver_kick(d, 1);
    driver_kick(d, 2);
    driver_put(d, R_QUEUE_SEL, 1);
    driver_put(d, R_QUEUE_READY, 0);
    CHECK_EQ(disk.held_count, 0);
    CHECK_EQ(*driver_at(d, r[1].status), S_NONE);
    CHECK_EQ(*driver_at(d, r[2].status), S_OK);
    driver_put(d, R_QUEUE_SEL, 3);
    CHECK_EQ(driver_get(d, R_QUEUE_SIZE_MAX), 0);
    driver_destroy(d);
}

TEST(one_queue_offers_no_choice)
{
    struct driver *d = setup(false);

    CHECK(!(driver_offered(d) & F_MQ));
    CHECK_EQ(driver_get(d, R_CONFIG + 32) >> 16, 1);
    driver_destroy(d);
}

TEST(a_larger_disk)
{
    struct driver *d = setup(false);
    u32 generation;

    disk.blk.size = DISK_SIZE / 2;
    virtio_blk_resized(&blk);
    driver_start(d, VIRTIO_F_VERSION_1 | F_FLUSH, 16);
    CHECK_EQ(run(d, T_IN, DISK_SIZE / 1024, 512, true), S_IOERR);
    generation = (u32)driver_get(d, R_GENERATION);
    driver_put(d, R_ACK, 3);
    disk.blk.size = DISK_SIZE;
    virtio_blk_resized(&blk);
    CHECK_EQ(driver_get(d, R_ISR), VIRTIO_ISR_CONFIG);
    CHECK(driver_get(d, R_GENERATION) != generation);
    CHECK_EQ(driver_get(d, R_CONFIG), DISK_SIZE / 512);
    CHECK_EQ(run(d, T_IN, DISK_SIZE / 1024, 512, true), S_OK);
    driver_destroy(d);
}

TEST_MAIN()
