/* SPDX-License-Identifier: BSD-2-Clause */
/* Virtio file system device: hostile requests, replies of any length that come late, in any order.
 */
#include "device/virtio/fs.h"
#include "fuzz/virtio_script.h"

enum { HEADER = 40 };

static struct virtio_fs fs;
static struct fs_device device;
static u8 *slot[FS_SLOTS]; /* each alone on the heap, as long as FS_ROOM */
static u32 room[FS_SLOTS];
static bool busy[FS_SLOTS], late;

static void attach(void *ctx, const struct fs_device *d)
{
    device = *d;
}

static u8 *slot_at(void *ctx, u32 index)
{
    ASSERT(index < FS_SLOTS);
    return slot[index];
}

static void answer(u32 index, u32 len)
{
    busy[index] = false;
    memset(slot[index], (int)index + 1, len < 64 ? len : 64);
    device.done(device.ctx, index, len);
}

static void submit(void *ctx, u32 index, u32 len, u32 space)
{
    ASSERT(index < FS_SLOTS && !busy[index]);
    ASSERT(len >= HEADER && len <= FS_ROOM && space <= FS_ROOM);
    busy[index] = true;
    room[index] = space;
    if (!late)
        answer(index, slot[index][0] % (space + 1));
}

static void act(u8 arg)
{
    u32 index = arg & 15;

    if (arg & 0x80)
        late = arg & 1;
    else if (busy[index])
        answer(index, arg & 0x40 ? room[index] : arg & 0x20 ? 16 % (room[index] + 1) : 0);
}

int LLVMFuzzerTestOneInput(const u8 *data, size_t size);
int LLVMFuzzerTestOneInput(const u8 *data, size_t size)
{
    static const struct fs back = {attach, slot_at, submit, NULL};
    struct virtio_fs_config config = {.fs = &back, .tag = "folder"};

    for (u32 i = 0; i < FS_SLOTS && !slot[i]; i++) {
        slot[i] = calloc(1, FS_ROOM);
        ASSERT(slot[i]);
    }
    memset(busy, 0, sizeof(busy));
    late = size && data[0] & 0x40;
    virtio_fs_init(&fs, &config);
    script_run(virtio_fs_dev(&fs), act, data, size);
    return 0;
}
