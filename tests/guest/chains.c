/* SPDX-License-Identifier: BSD-2-Clause */
/* Descriptor chains that loop, lead astray, nest, wrap or leave RAM. */
#include "attack.h"

static u64 disk;
static struct queue q;
static struct disk_request request;
static struct desc table[RING] PAGE_ALIGNED;
static u8 buffer[PAGE], status;

static void begin(u64 features)
{
    device_begin(disk, features);
    device_queue(disk, 0, &q, RING);
    device_go(disk);
    request = (struct disk_request){0};
}

/* The device refuses the chain in desc[0] and is well after a reset. */
static void refused(void)
{
    queue_put(&q, 0);
    device_kick(disk, 0);
    CHECK(device_fails(disk));
    CHECK(disk_works(disk));
}

/* The device may do with it what it likes but for harm. */
static void survived(void)
{
    queue_put(&q, 0);
    device_kick(disk, 0);
    device_wait(disk, &q, 0);
    CHECK(disk_works(disk));
}

static void loops(void)
{
    begin(0);
    q.desc[0] = (struct desc){(u64)&request, sizeof(request), D_NEXT, 0};
    refused();
    begin(0);
    for (u16 i = 0; i < RING; i++)
        q.desc[i] = (struct desc){(u64)buffer, 16, D_NEXT, (u16)((i + 1) % RING)};
    refused();
}

static void next_is_no_descriptor(void)
{
    begin(0);
    q.desc[0] = (struct desc){(u64)&request, sizeof(request), D_NEXT, RING};
    refused();
    begin(0);
    q.desc[0] = (struct desc){(u64)&request, sizeof(request), D_NEXT, 0xffff};
    refused();
}

static void head_is_no_descriptor(void)
{
    begin(0);
    queue_put(&q, 0xffff);
    device_kick(disk, 0);
    CHECK(device_fails(disk));
    CHECK(disk_works(disk));
}

static void indirect(u64 at, u32 len, u16 flags)
{
    begin(F_INDIRECT);
    q.desc[0] = (struct desc){at, len, (u16)(D_INDIRECT | flags), 1};
}

static void odd_tables(void)
{
    static const u32 odd[] = {0, 1, 15, 17, 16 * RING + 8, 0xffffffff, 0xfffffff0};

    for (u32 i = 0; i < COUNT(odd); i++) {
        check_note = i;
        indirect((u64)table, odd[i], 0);
        survived();
    }
    indirect((u64)table, sizeof(table), D_NEXT);
    survived();
    indirect(RAM_END - 16, 64, 0);
    refused();
    indirect(UART_BASE, 64, 0);
    refused();
    indirect(~0ul - 15, 64, 0);
    refused();
}

static void nested_tables(void)
{
    indirect((u64)table, sizeof(table), 0);
    for (u32 i = 0; i < RING; i++)
        table[i] = (struct desc){(u64)table, sizeof(table), D_INDIRECT, 0};
    refused();
    indirect((u64)q.desc, sizeof(q.desc), 0); /* the queue's own table */
    refused();
    indirect((u64)table, sizeof(table), 0);
    for (u16 i = 0; i < RING; i++)
        table[i] = (struct desc){(u64)buffer, 16, D_NEXT, i};
    refused();
}

/* Read a sector to there. */
static void read_to(u64 at, u32 len)
{
    begin(0);
    status = 0xff;
    q.desc[0] = (struct desc){(u64)&request, sizeof(request), D_NEXT, 1};
    q.desc[1] = (struct desc){at, len, D_NEXT | D_WRITE, 2};
    q.desc[2] = (struct desc){(u64)&status, 1, D_WRITE, 0};
    survived();
}

static void buffers_outside(void)
{
    static const struct {
        u64 at;
        u32 len;
    } to[] = {
        {RAM_END - 256, 512},   /* spans the end */
        {RAM_END, 512},         /* behind it */
        {RAM_BASE - 256, 512},  /* spans the beginning */
        {~0ul - 255, 512},      /* wraps */
        {0, 0xffffffff},        /* from nothing over everything */
        {RAM_BASE, 0xffffffff}, /* longer than RAM */
        {UART_BASE, 512},       /* devices */
        {0x10001000, 512},      /* the disk's own registers */
        {0x20000000, 512},      /* flash */
        {0x1000, 512},          /* the boot ROM */
        {HOLE, 512},            /* nothing */
        {1ul << 63, 512},
    };

    for (u32 i = 0; i < COUNT(to); i++) {
        check_note = i;
        read_to(to[i].at, to[i].len);
        CHECK(*(volatile u8 *)&status != 0); /* that was no success */
    }
}

static void buffers_overlap(void)
{
    begin(0);
    q.desc[0] = (struct desc){(u64)&request, sizeof(request), D_NEXT, 1};
    q.desc[1] = (struct desc){(u64)&q, 4096, D_NEXT | D_WRITE, 2}; /* the queue itself */
    q.desc[2] = (struct desc){(u64)&q.used, 512, D_NEXT | D_WRITE, 3};
    q.desc[3] = (struct desc){(u64)&q.desc, 1, D_WRITE, 0};
    survived();
    begin(0); /* an answer over the code that runs */
    q.desc[0] = (struct desc){(u64)&request, sizeof(request), D_NEXT, 1};
    q.desc[1] = (struct desc){(u64)insn_page, 512, D_NEXT | D_WRITE, 2};
    q.desc[2] = (struct desc){(u64)&status, 1, D_WRITE, 0};
    survived();
}

static void directions(void)
{
    begin(0); /* to be read what is to be written, and the other way round */
    q.desc[0] = (struct desc){(u64)&request, sizeof(request), D_NEXT | D_WRITE, 1};
    q.desc[1] = (struct desc){(u64)buffer, 512, D_NEXT, 2};
    q.desc[2] = (struct desc){(u64)&status, 1, 0, 0};
    survived();
    begin(0); /* nothing at all */
    survived();
    begin(0); /* every flag */
    q.desc[0] = (struct desc){(u64)&request, sizeof(request), 0xffff, 1};
    survived();
}

void tests(void)
{
    disk = device_find(KIND_BLK);
    test("chains loop", loops);
    test("a chain leaves the table", next_is_no_descriptor);
    test("a chain begins outside the table", head_is_no_descriptor);
    test("indirect tables of odd sizes and places", odd_tables);
    test("indirect tables in indirect tables", nested_tables);
    test("buffers that wrap, span RAM's end or lie on devices", buffers_outside);
    test("buffers over the queue and over code", buffers_overlap);
    test("buffers in the wrong direction", directions);
}
