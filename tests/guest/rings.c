/* SPDX-License-Identifier: BSD-2-Clause */
/* Rings in odd places and of absurd sizes, that jump, and that change under the device. */
#include "attack.h"

static u64 disk;
static struct queue q;
static struct disk_request request;
static u8 buffer[512], status;

static void fill(void)
{
    q.desc[0] = (struct desc){(u64)&request, sizeof(request), D_NEXT, 1};
    q.desc[1] = (struct desc){(u64)buffer, sizeof(buffer), D_NEXT | D_WRITE, 2};
    q.desc[2] = (struct desc){(u64)&status, 1, D_WRITE, 0};
}

static void sizes(void)
{
    static const u32 size[] = {0, 3, 17, 1024, 32768, 32769, 65535, 65536, 0x80000000, 0xffffffff};

    for (u32 i = 0; i < COUNT(size); i++) {
        check_note = size[i];
        device_begin(disk, 0);
        device_queue(disk, 0, &q, size[i]);
        device_go(disk);
        fill();
        queue_put(&q, 0);
        device_kick(disk, 0);
        CHECK(disk_works(disk));
    }
}

static void places(void)
{
    static const u64 at[] = {
        UART_BASE, PLIC_BASE, CLINT_BASE, 0x10001000,  0x20000000,
        0x1000,    HOLE,      RAM_END,    RAM_END - 8, RAM_BASE - 8,
        ~0ul - 7,  ~0ul,      1ul << 63,  (u64)tests,  (u64)&q + 1,
    };

    for (u32 i = 0; i < 3 * COUNT(at); i++) {
        u64 area[3] = {(u64)q.desc, (u64)&q.avail, (u64)&q.used};

        /* A used ring over our code would be our own end. */
        if (i % 3 == 2 && at[i / 3] == (u64)tests)
            continue;
        check_note = at[i / 3];
        memset(&q, 0, sizeof(q));
        area[i % 3] = at[i / 3];
        device_begin(disk, 0);
        device_areas(disk, 0, RING, area[0], area[1], area[2]);
        device_go(disk);
        fill();
        queue_put(&q, 0);
        device_kick(disk, 0);
        device_wait(disk, &q, 0);
        CHECK(disk_works(disk));
    }
}

static void index_jumps(void)
{
    static const u16 jump[] = {RING + 1, 0x7fff, 0x8000, 0xffff};

    for (u32 i = 0; i < COUNT(jump); i++) {
        check_note = jump[i];
        device_begin(disk, 0);
        device_queue(disk, 0, &q, RING);
        device_go(disk);
        fill();
        q.avail.index = jump[i];
        device_kick(disk, 0);
        CHECK(device_fails(disk));
        CHECK(disk_works(disk));
    }
}

static void no_such_queue(void)
{
    static const u32 index[] = {1, 2, 63, 1024, 0xffff, 0x10000, 0xffffffff};

    for (u32 i = 0; i < COUNT(index); i++) {
        device_begin(disk, 0);
        device_queue(disk, index[i], &q, RING);
        device_go(disk);
        device_kick(disk, index[i]);
        write32(disk + REG_QUEUE_SEL, index[i]);
        (void)read32(disk + REG_QUEUE_MAX);
    }
    CHECK(disk_works(disk));
}

static void resets_during_requests(void)
{
    for (u32 i = 0; i < TIMES(300); i++) {
        device_begin(disk, 0);
        device_queue(disk, 0, &q, RING);
        device_go(disk);
        fill();
        for (u32 k = 0; k < RING; k++)
            queue_put(&q, 0);
        device_kick(disk, 0);
        for (u32 k = 0; k < i; k++)
            pause();
        write32(disk + REG_STATUS, 0);
    }
    CHECK(disk_works(disk));
}

static void states_out_of_order(void)
{
    u64 seed = 1;

    for (u32 i = 0; i < TIMES(3000); i++) {
        u64 r = random_next(&seed);

        if (r & 1)
            write32(disk + REG_STATUS, (u32)(r >> 8) & 0xff);
        if (r & 2)
            device_queue(disk, 0, &q, (u32)(r >> 16) & 31);
        if (r & 4)
            write32(disk + REG_QUEUE_READY, (u32)(r >> 24) & 1);
        if (r & 8)
            fill();
        if (r & 16)
            queue_put(&q, 0);
        if (r & 32)
            device_kick(disk, 0);
        if (r & 64)
            write32(disk + REG_ACK, (u32)(r >> 32));
    }
    CHECK(disk_works(disk));
}

static void wrong_sectors(void)
{
    static const u64 sector[] = {1 << 13, ~0ul, 1ul << 63, 1ul << 54, (1ul << 55) - 1, 8191};
    static const u32 type[] = {0, 1, 4, 8, 11, 13, 0x7fffffff, 0xffffffff};

    for (u32 i = 0; i < COUNT(sector) * COUNT(type); i++) {
        check_note = i;
        device_begin(disk, 0);
        device_queue(disk, 0, &q, RING);
        device_go(disk);
        fill();
        status = 0xff;
        request = (struct disk_request){type[i % COUNT(type)], 0, sector[i / COUNT(type)]};
        queue_put(&q, 0);
        device_kick(disk, 0);
        device_wait(disk, &q, 0);
        if (sector[i / COUNT(type)] != 8191 && type[i % COUNT(type)] == 0)
            CHECK(*(volatile u8 *)&status != 0);
    }
    request = (struct disk_request){0};
    CHECK(disk_works(disk));
}

static volatile u32 stop;

/* Another hart changes all that the device may look at. */
static void scribble(u64 arg)
{
    u64 seed = arg + 7;

    while (!stop) {
        u64 r = random_next(&seed);
        volatile struct desc *d = &q.desc[r % RING];

        switch (r >> 8 & 7) {
        case 0:
            d->at = r >> 4;
            break;
        case 1:
            d->len = (u32)(r >> 32);
            break;
        case 2:
            d->flags = (u16)(r >> 16);
            break;
        case 3:
            d->next = (u16)(r >> 16);
            break;
        case 4:
            *(volatile u16 *)&q.avail.index = (u16)(r >> 16);
            break;
        default:
            q.desc[1] = (struct desc){(u64)buffer, sizeof(buffer), D_NEXT | D_WRITE, 2};
        }
    }
}

static void rewritten_meanwhile(void)
{
    if (hart_count < 2) {
        skip("needs two harts");
        return;
    }
    stop = 0;
    hart_start(1, scribble, 1);
    for (u32 i = 0; i < TIMES(2000); i++) {
        device_begin(disk, i & 1 ? F_INDIRECT : 0);
        device_queue(disk, 0, &q, RING);
        device_go(disk);
        for (u32 k = 0; k < 4; k++) {
            fill();
            queue_put(&q, 0);
            device_kick(disk, 0);
        }
    }
    stop = 1;
    hart_join(1);
    CHECK(disk_works(disk));
}

void tests(void)
{
    disk = device_find(KIND_BLK);
    test("absurd queue sizes", sizes);
    test("rings over devices, code and the end of memory", places);
    test("the available index jumps", index_jumps);
    test("queues that are not there", no_such_queue);
    test("resets while requests are in flight", resets_during_requests);
    test("registers in any order", states_out_of_order);
    test("sectors behind the end, requests of no kind", wrong_sectors);
    test("another hart rewrites the rings meanwhile", rewritten_meanwhile);
}
