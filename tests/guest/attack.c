/* SPDX-License-Identifier: BSD-2-Clause */
/* What the attacking programs share: see attack.h. */
#include "attack.h"

#define SLOTS    8
#define SLOT(i)  (0x10001000ul + 0x1000ul * (i))
#define PATIENCE 50000000u /* of mtime, 10 MHz: five seconds of a guest whose host is busy */

u64 device_find(u32 kind)
{
    for (u32 i = 0; i < SLOTS; i++) {
        if (read32(SLOT(i) + REG_MAGIC) == 0x74726976 && read32(SLOT(i) + REG_KIND) == kind)
            return SLOT(i);
    }
    return 0;
}

void device_begin(u64 device, u64 features)
{
    write32(device + REG_STATUS, 0);
    write32(device + REG_STATUS, ST_ACK | ST_DRIVER);
    for (u32 word = 0; word < 2; word++) {
        write32(device + REG_DRIVER_FEATURES_SEL, word);
        write32(device + REG_DRIVER_FEATURES, (u32)((features | F_VERSION) >> 32 * word));
    }
    write32(device + REG_STATUS, ST_ACK | ST_DRIVER | ST_FEATURES);
}

static void put_area(u64 reg, u64 at)
{
    write32(reg, (u32)at);
    write32(reg + 4, (u32)(at >> 32));
}

void device_areas(u64 device, u32 index, u32 size, u64 desc, u64 avail, u64 used)
{
    write32(device + REG_QUEUE_SEL, index);
    write32(device + REG_QUEUE_SIZE, size);
    put_area(device + REG_DESC, desc);
    put_area(device + REG_AVAIL, avail);
    put_area(device + REG_USED, used);
    write32(device + REG_QUEUE_READY, 1);
}

void device_queue(u64 device, u32 index, struct queue *q, u32 size)
{
    memset(q, 0, sizeof(*q));
    device_areas(device, index, size, (u64)q->desc, (u64)&q->avail, (u64)&q->used);
}

u32 device_status(u64 device)
{
    return read32(device + REG_STATUS);
}

void device_go(u64 device)
{
    write32(device + REG_STATUS, ST_ACK | ST_DRIVER | ST_FEATURES | ST_OK);
}

void queue_put(struct queue *q, u16 head)
{
    q->avail.head[q->avail.index % RING] = head;
    fence();
    *(volatile u16 *)&q->avail.index += 1;
    fence();
}

void device_kick(u64 device, u32 index)
{
    write32(device + REG_NOTIFY, index);
}

void device_wait(u64 device, const struct queue *q, u16 before)
{
    u64 end = mtime() + PATIENCE;

    while (*(const volatile u16 *)&q->used.index == before && mtime() < end &&
           !(device_status(device) & ST_NEEDS_RESET))
        pause();
}

bool device_fails(u64 device)
{
    u64 end = mtime() + PATIENCE;

    while (!(device_status(device) & ST_NEEDS_RESET) && mtime() < end)
        pause();
    return device_status(device) & ST_NEEDS_RESET;
}

bool disk_works(u64 device)
{
    static struct queue q;
    static struct disk_request request;
    static u8 sector[512], status;

    device_begin(device, 0);
    device_queue(device, 0, &q, RING);
    device_go(device);
    request = (struct disk_request){0};
    status = 0xff;
    q.desc[0] = (struct desc){(u64)&request, sizeof(request), D_NEXT, 1};
    q.desc[1] = (struct desc){(u64)sector, sizeof(sector), D_NEXT | D_WRITE, 2};
    q.desc[2] = (struct desc){(u64)&status, 1, D_WRITE, 0};
    queue_put(&q, 0);
    device_kick(device, 0);
    device_wait(device, &q, 0);
    fence();
    return *(volatile u16 *)&q.used.index == 1 && *(volatile u8 *)&status == 0;
}
