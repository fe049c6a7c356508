/* SPDX-License-Identifier: BSD-2-Clause */
/* virtio-blk: a disk is some of the service's own memory, which an image of the configuration fills
 * whenever the service starts. */
#include "service.h"

#include "base/mem.h"
#include "device/virtio/blk.h"

struct disk {
    struct virtio_blk blk;
    struct blk back;
    u8 *bytes;
};

static struct disk disks[SERVICE_DEVICES];
static u32 disk_count;

static void move(struct disk *d, const struct blk_req *req)
{
    u8 *at = d->bytes + req->offset;

    for (u32 i = 0; i < req->iov_count; i++) {
        const struct blk_iov *iov = &req->iov[i];

        if (req->op == BLK_READ)
            memcpy(iov->base, at, iov->len);
        else
            memcpy(at, iov->base, iov->len);
        at += iov->len;
    }
}

/* The device has checked that all of it lies on the disk. */
static void disk_submit(void *ctx, struct blk_req *req)
{
    struct disk *d = ctx;

    if (req->op == BLK_READ || req->op == BLK_WRITE)
        move(d, req);
    else if (req->op == BLK_WRITE_ZEROES)
        memset(d->bytes + req->offset, 0, req->len);
    req->done(req, 0);
}

struct virtio_dev *disk_make(const struct node *node)
{
    struct disk *d = &disks[disk_count];
    struct virtio_blk_config config = {.blk = &d->back, .serial = node->label};
    u64 place[2]; /* address, bytes */

    if (disk_count == SERVICE_DEVICES || !node_u64s(node, "cosm,disk", place, 2))
        return NULL;
    d->bytes = (u8 *)(uintptr_t)place[0];
    d->back = (struct blk){.submit = disk_submit,
                           .ctx = d,
                           .size = place[1],
                           .readonly = node_bytes(node, "read-only", 0)};
    virtio_blk_init(&d->blk, &config);
    disk_count++;
    return virtio_blk_dev(&d->blk);
}
