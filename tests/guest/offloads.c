/* SPDX-License-Identifier: BSD-2-Clause */
/* virtio-net: headers that lie about their frame, frames of odd lengths, odd control requests. */
#include "attack.h"

#define F_CSUM BIT(0)
#define F_TSO4 BIT(11)
#define F_TSO6 BIT(12)
#define F_CTRL BIT(17)
#define FRAMES TIMES(4000)

struct header {
    u8 flags, type;
    u16 length, segment, start, offset, buffers;
} __attribute__((packed));

static u64 net;
static struct queue rx, tx, control;
static u8 frame[70000] PAGE_ALIGNED, room[PAGE] PAGE_ALIGNED;

static void begin(void)
{
    device_begin(net, F_CSUM | F_TSO4 | F_TSO6 | F_CTRL);
    device_queue(net, 0, &rx, RING);
    device_queue(net, 1, &tx, RING);
    device_queue(net, 2, &control, RING);
    device_go(net);
    for (u16 i = 0; i < RING; i++) {
        rx.desc[i] = (struct desc){(u64)room, sizeof(room), D_WRITE, 0};
        queue_put(&rx, i);
    }
    device_kick(net, 0);
}

static void send(u32 len)
{
    u16 before = *(volatile u16 *)&tx.used.index;

    tx.desc[0] = (struct desc){(u64)frame, len, 0, 0};
    queue_put(&tx, 0);
    device_kick(net, 1);
    device_wait(net, &tx, before);
    if (device_status(net) & ST_NEEDS_RESET)
        begin();
}

static void headers(void)
{
    static const u16 odd[] = {0, 1, 13, 14, 33, 34, 53, 54, 1460, 1514, 0x7fff, 0xfffe, 0xffff};
    struct header *h = (struct header *)frame;
    u64 seed = 3;

    begin();
    for (u32 i = 0; i < FRAMES; i++) {
        u64 r = random_next(&seed);

        for (u32 k = 0; k < 80; k++)
            frame[k] = (u8)(random_next(&seed) >> 32);
        h->flags = (u8)(r & 7);
        h->type = (u8)(r >> 8 & 0x87);
        h->length = odd[(r >> 16) % COUNT(odd)];
        h->segment = odd[(r >> 24) % COUNT(odd)];
        h->start = odd[(r >> 32) % COUNT(odd)];
        h->offset = odd[(r >> 40) % COUNT(odd)];
        frame[24] = 0x08 * (r >> 48 & 1); /* sometimes IPv4 */
        frame[25] = 0;
        frame[26] = (u8)(0x40 | (r >> 49 & 15));
        send((u32)sizeof(*h) + odd[(r >> 53) % COUNT(odd)]);
    }
    CHECK(!(device_status(net) & ST_NEEDS_RESET));
}

static void lengths(void)
{
    static const u32 odd[] = {0, 1, 11, 12, 13, 25, 26, 65535, 65536, 65562, 70000, 0xffffffff};

    begin();
    for (u32 i = 0; i < COUNT(odd); i++)
        send(odd[i]);
    begin();
    for (u16 i = 0; i < RING; i++) /* a frame in crumbs */
        tx.desc[i] = (struct desc){(u64)frame + i, 1, D_NEXT, (u16)(i + 1)};
    tx.desc[RING - 1].flags = 0;
    queue_put(&tx, 0);
    device_kick(net, 1);
    device_wait(net, &tx, 0);
}

static void requests(void)
{
    u64 seed = 5;

    for (u32 i = 0; i < TIMES(500); i++) {
        u64 r = random_next(&seed);

        begin();
        room[0] = (u8)(r & 7);
        room[1] = (u8)(r >> 8 & 7);
        *(u32 *)(room + 4) = (u32)(r >> 16);
        control.desc[0] = (struct desc){(u64)room, 2, D_NEXT, 1};
        control.desc[1] = (struct desc){(u64)room + 2, (u32)(r >> 48), D_NEXT, 2};
        control.desc[2] = (struct desc){(u64)room + 64, (u32)(r >> 20 & 1), D_WRITE, 0};
        queue_put(&control, 0);
        device_kick(net, 2);
    }
}

/* The wire sends back what it gets, so that both rings are busy at once. */
static void both_ways_with_resets(void)
{
    memset(frame, 0, sizeof(struct header));
    for (u32 i = 0; i < TIMES(200); i++) {
        begin();
        for (u32 k = 0; k < RING; k++) {
            tx.desc[k] = (struct desc){(u64)frame, 100 + 300 * k, 0, 0};
            queue_put(&tx, (u16)k);
        }
        device_kick(net, 1);
        write32(net + REG_STATUS, 0);
    }
    begin();
    send(112);
    CHECK(!(device_status(net) & ST_NEEDS_RESET));
}

void tests(void)
{
    net = device_find(KIND_NET);
    test("offload headers that lie", headers);
    test("frames of odd lengths", lengths);
    test("control requests of no sense", requests);
    test("frames both ways under resets", both_ways_with_resets);
}
