/* SPDX-License-Identifier: BSD-2-Clause */
/* Virtio block device over a raw image: answers come from another thread, resets race with them. */
#include "block/file.h"
#include "block/serve.h"
#include "device/virtio/blk.h"
#include "tests/virtio_driver.h"

#include <unistd.h>

#define SECTORS 512
#define BATCH   60

enum { T_IN = 0, T_OUT = 1 };

struct request {
    gpa_t header, data, status;
    u32 sector;
    u8 value;
    bool out;
};

static u8 expected[SECTORS]; /* the byte that fills each sector */
static struct virtio_blk virtio_blk;

static int raw_open(struct blk **blk, const char *name, bool readonly, struct err *err)
{
    const struct file_options options = {.readonly = readonly};
    struct node *node;
    int ret = file_open(&node, name, &options, err);

    if (!ret)
        ret = serve_open(blk, node, &(struct serve_options){0}, err);
    return ret ? ret : serve_begin(*blk, NULL, err);
}

static struct blk *image_open(void)
{
    char path[] = "/tmp/cosm-test-blk-raw-XXXXXX";
    int fd = mkstemp(path);
    struct blk *blk;
    struct err err;

    if (fd < 0 || ftruncate(fd, SECTORS * 512) || raw_open(&blk, path, false, &err)) {
        perror(path);
        exit(1);
    }
    close(fd);
    unlink(path);
    return blk;
}

static void request_offer(struct driver *d, struct request *r, u64 random)
{
    struct driver_seg seg[3];

    r->header = driver_alloc(d, 16);
    r->data = driver_alloc(d, 512);
    r->status = driver_alloc(d, 1);
    r->out = random & 1;
    r->value = (u8)(random >> 8);
    le32_store(driver_at(d, r->header), r->out ? T_OUT : T_IN);
    le64_store(driver_at(d, r->header) + 8, r->sector);
    memset(driver_at(d, r->data), r->value, 512);
    *driver_at(d, r->status) = 0xaa;
    seg[0] = (struct driver_seg){r->header, 16, false};
    seg[1] = (struct driver_seg){r->data, 512, !r->out};
    seg[2] = (struct driver_seg){r->status, 1, true};
    driver_offer(d, 0, seg, 3);
}

static void batch_wait(struct driver *d, const struct request *r, u32 count)
{
    u16 id;
    u32 len;

    for (u32 done = 0; done < count;) {
        if (driver_used(d, 0, &id, &len))
            done++;
        else
            sched_yield();
    }
    for (u32 i = 0; i < count; i++) {
        const u8 *data = driver_at(d, r[i].data);

        CHECK_EQ(*driver_at(d, r[i].status), 0);
        if (r[i].out)
            expected[r[i].sector] = r[i].value;
        CHECK_EQ(data[0], expected[r[i].sector]);
        CHECK_EQ(data[511], expected[r[i].sector]);
    }
}

/* After the reset no byte of the driver's memory may change any more. */
static void batch_reset(struct driver *d)
{
    static u8 before[DRIVER_RAM_SIZE];
    u64 used = d->next - DRIVER_RAM;

    driver_put(d, R_STATUS, 0);
    memcpy(before, driver_at(d, DRIVER_RAM), used);
    for (u32 i = 0; i < 20; i++)
        sched_yield();
    CHECK(!memcmp(before, driver_at(d, DRIVER_RAM), used));
}

TEST(batches_and_resets)
{
    struct blk *blk = image_open();
    struct virtio_blk_config config = {.blk = blk};
    struct request r[BATCH];
    struct driver *d;
    u64 state = 7;

    virtio_blk_init(&virtio_blk, &config);
    d = driver_create(virtio_blk_dev(&virtio_blk));
    for (u32 round = 0; round < 400; round++) {
        u64 random = test_random(&state);
        u32 count = (u32)(random >> 8) % BATCH + 1;
        bool reset = random & 1;

        d->next = DRIVER_RAM;
        driver_start(d, driver_mode(random >> 32 & 7) | BIT(9), 256);
        for (u32 i = 0; i < count; i++) {
            r[i].sector = i * 8 + (u32)(test_random(&state) % 8); /* no two alike */
            request_offer(d, &r[i], reset ? 0 : test_random(&state));
            if (i % 7 == 0)
                driver_kick(d, 0);
        }
        driver_kick(d, 0);
        if (reset)
            batch_reset(d);
        else
            batch_wait(d, r, count);
    }
    driver_destroy(d);
    serve_close(blk);
}

TEST_MAIN()
