/* SPDX-License-Identifier: BSD-2-Clause */
/* Virtio block device: hostile requests, late and disordered answers, resets in flight. */
#define FAKE_OWN_WAIT
#include "device/virtio/blk.h"
#include "fuzz/virtio_script.h"

#define DISK_SIZE (16 * KIB)

static u8 disk[DISK_SIZE];
static struct blk_req *held[VIRTIO_BLK_SLOTS];
static u32 held_count;
static bool late;
static struct virtio_blk blk;

static void disk_do(struct blk_req *req)
{
    u64 at = req->offset, total = 0;

    ASSERT(range_within(req->offset, req->len, 0, DISK_SIZE) && req->iov_count <= BLK_IOV_MAX);
    for (u32 i = 0; i < req->iov_count; i++) {
        total += req->iov[i].len;
        ASSERT(total <= req->len);
        if (req->op == BLK_READ)
            memmove(req->iov[i].base, disk + at, req->iov[i].len);
        else
            memmove(disk + at, req->iov[i].base, req->iov[i].len);
        at += req->iov[i].len;
    }
    ASSERT(!req->iov_count || total == req->len);
    req->done(req, req->len % 7 == 3 ? -5 : 0);
}

static void disk_submit(void *ctx, struct blk_req *req)
{
    if (!late) {
        disk_do(req);
        return;
    }
    ASSERT(held_count < VIRTIO_BLK_SLOTS);
    held[held_count++] = req;
}

static void disk_release(u32 i)
{
    struct blk_req *req = held[i];

    held[i] = held[--held_count];
    disk_do(req);
}

void port_wait(_Atomic u32 *word, u32 value)
{
    ASSERT(held_count);
    disk_release(0);
}

static void act(u8 arg)
{
    if (arg & 0x80)
        late = arg & 1;
    else if (held_count)
        disk_release(arg % held_count);
}

int LLVMFuzzerTestOneInput(const u8 *data, size_t size);
int LLVMFuzzerTestOneInput(const u8 *data, size_t size)
{
    struct blk back = {.submit = disk_submit,
                       .size = DISK_SIZE,
                       .readonly = size && data[0] & 0x10,
                       .can_discard = true};
    struct virtio_blk_config config = {.blk = &back, .serial = "disk"};

    late = size && data[0] & 0x20;
    virtio_blk_init(&blk, &config);
    script_run(virtio_blk_dev(&blk), act, data, size);
    ASSERT(!held_count);
    return 0;
}
