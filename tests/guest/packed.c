/* SPDX-License-Identifier: BSD-2-Clause */
/* Packed rings (2.8): chains without end, ids and flags of no sense, rings that change meanwhile.
 */
#include "attack.h"

enum { P_AVAIL = 1 << 7, P_USED = 1 << 15 };

struct packed_desc {
    u64 at;
    u32 len;
    u16 id, flags;
};

static u64 disk;
static struct packed_desc ring[RING] PAGE_ALIGNED, table[RING] PAGE_ALIGNED;
static struct {
    u16 offset, flags;
} driver PAGE_ALIGNED, device PAGE_ALIGNED;
static struct disk_request request;
static u8 sector[512], status;

static void begin(u64 features)
{
    memset(ring, 0, sizeof(ring));
    memset(&driver, 0, sizeof(driver));
    device_begin(disk, F_PACKED | features);
    device_areas(disk, 0, RING, (u64)ring, (u64)&driver, (u64)&device);
    device_go(disk);
    request = (struct disk_request){0};
    status = 0xff;
}

static void put(u32 i, const void *at, u32 len, u16 flags)
{
    ring[i] = (struct packed_desc){(u64)at, len, (u16)i, flags | P_AVAIL};
}

static void put_read(void)
{
    put(2, &status, 1, D_WRITE);
    put(1, sector, sizeof(sector), D_NEXT | D_WRITE);
    put(0, &request, sizeof(request), D_NEXT);
}

static void kick(void)
{
    fence();
    device_kick(disk, 0);
}

static void refused(void)
{
    kick();
    CHECK(device_fails(disk));
    CHECK(disk_works(disk));
}

static void survived(void)
{
    kick();
    for (u32 i = 0; i < 100; i++)
        pause();
    CHECK(disk_works(disk));
}

static void good(void)
{
    begin(0);
    put_read();
    kick();
    for (u64 end = mtime() + 50000000; *(volatile u8 *)&status == 0xff && mtime() < end;)
        pause();
    CHECK_EQ(*(volatile u8 *)&status, 0);
}

static void chains(void)
{
    begin(0); /* all around */
    for (u32 i = 0; i < RING; i++)
        put(i, sector, 16, D_NEXT);
    refused();
    begin(0); /* into what is not available */
    put(0, &request, sizeof(request), D_NEXT);
    survived();
    begin(0); /* every flag, as if it had been used, too */
    put(0, &request, sizeof(request), 0xffff);
    survived();
}

static void ids(void)
{
    static const u16 id[] = {RING, 0x7fff, 0x8000, 0xffff};

    for (u32 i = 0; i < COUNT(id); i++) {
        check_note = id[i];
        begin(0);
        put_read();
        ring[0].id = ring[1].id = ring[2].id = id[i];
        survived();
    }
    for (u32 i = 0; i < 4; i++) { /* one id for all that is in flight */
        begin(0);
        put_read();
        for (u32 k = 3; k < RING; k++)
            put(k, &request, sizeof(request), k % 3 == 2 ? D_WRITE : D_NEXT);
        for (u32 k = 0; k < RING; k++)
            ring[k].id = 7;
        survived();
    }
}

static void tables(void)
{
    static const u32 odd[] = {0, 1, 17, 16 * RING + 8, 0xfffffff0, 0xffffffff};

    for (u32 i = 0; i < COUNT(odd); i++) {
        check_note = i;
        begin(F_INDIRECT);
        put(0, table, odd[i], D_INDIRECT);
        survived();
    }
    begin(F_INDIRECT);
    put(0, table, sizeof(table), D_INDIRECT);
    for (u32 i = 0; i < RING; i++)
        table[i] = (struct packed_desc){(u64)table, sizeof(table), 0, D_INDIRECT};
    refused();
    begin(F_INDIRECT);
    put(0, (void *)(RAM_END - 16), 64, D_INDIRECT);
    refused();
}

static void places(void)
{
    static const u64 at[] = {UART_BASE,   0x10001000,   0x20000000, HOLE,     RAM_END,
                             RAM_END - 8, RAM_BASE - 8, ~0ul - 7,   1ul << 63};

    for (u32 i = 0; i < 3 * COUNT(at); i++) {
        u64 area[3] = {(u64)ring, (u64)&driver, (u64)&device};

        check_note = i;
        area[i % 3] = at[i / 3];
        device_begin(disk, F_PACKED);
        device_areas(disk, 0, RING, area[0], area[1], area[2]);
        device_go(disk);
        put_read();
        survived();
    }
}

static volatile u32 stop;

static void scribble(u64 arg)
{
    u64 seed = arg + 3;

    while (!stop) {
        u64 r = random_next(&seed);
        volatile struct packed_desc *d = &ring[r % RING];

        if (r & 0x100)
            d->flags = (u16)(r >> 16);
        if (r & 0x200)
            d->len = (u32)(r >> 32);
        if (r & 0x400)
            d->at = r >> 4;
        if (r & 0x800)
            *(volatile u16 *)&driver.flags = (u16)(r >> 24);
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
        begin(i & 1 ? F_INDIRECT : F_EVENT);
        for (u32 k = 0; k < 4; k++) {
            put_read();
            kick();
        }
    }
    stop = 1;
    hart_join(1);
    CHECK(disk_works(disk));
}

void tests(void)
{
    disk = device_find(KIND_BLK);
    test("packed: a request as it should be", good);
    test("packed: chains without end and into nothing", chains);
    test("packed: ids of no descriptor, or one for all", ids);
    test("packed: indirect tables, odd and nested", tables);
    test("packed: rings over devices and the end of memory", places);
    test("packed: another hart rewrites the ring meanwhile", rewritten_meanwhile);
}
