/* SPDX-License-Identifier: BSD-2-Clause */
/* Filters: limits hold and save up, faults come when they are told to. */
#include "block/filter.h"

#include "block/cor.h"
#include "block/qcow2.h"

#include "host/clock.h"
#include "tests/mem_node.h"
#include "tests/test.h"

static struct node *limited(struct throttle throttle)
{
    struct node *node = NULL;

    CHECK_EQ(throttle_open(&node, mem_create(NULL, 0, MIB), &throttle, NULL), 0);
    return node;
}

/* How long count reads of len bytes take, in ms. */
static u64 reads_ms(struct node *node, u32 count, u64 len)
{
    static u8 bytes[65536];
    u64 start = host_monotonic_ns();

    for (u32 i = 0; i < count; i++)
        CHECK_EQ(node_read_bytes(node, 0, bytes, len), 0);
    return (host_monotonic_ns() - start) / 1000000;
}

/* A slow machine takes longer; so the least is certain, the most is generous. */
TEST(limits)
{
    struct node *node = limited((struct throttle){.iops = 100});
    u64 saved = reads_ms(node, 100, 512), rest = reads_ms(node, 30, 512);

    CHECK(saved < 800);
    CHECK(saved + rest >= 280);
    node_close(node);
    node = limited((struct throttle){.bps = 1 << 20, .burst_s = 2});
    saved = reads_ms(node, 32, 65536);
    rest = reads_ms(node, 5, 65536);
    CHECK(saved < 1600);
    CHECK(saved + rest >= 230);
    CHECK_EQ(node_flush(node), 0);
    node_close(node);
}

static struct node *faulty(const char *text)
{
    struct fault fault;
    struct node *node = NULL;
    struct err err = {""};

    CHECK_EQ(fault_parse(text, &fault, &err), 0);
    CHECK_EQ(fault_open(&node, mem_create(NULL, 0, MIB), &fault, &err), 0);
    return node;
}

TEST(what_is_read_is_kept)
{
    const struct qcow2_create create = {
        .size = MIB, .cluster_size = 4096, .backing = "x", .backing_format = "raw"};
    struct node *file = mem_create(NULL, 0, 16 * MIB), *base = mem_create(NULL, 0, MIB);
    struct node *image = NULL, *disk = NULL;
    static u8 bytes[MIB], back[MIB];
    u64 len;

    for (u32 i = 0; i < MIB; i++)
        bytes[i] = (u8)(i / 4096 + 1);
    CHECK_EQ(node_write_bytes(base, 0, bytes, MIB), 0);
    base->growable = false;
    CHECK_EQ(qcow2_create(file, &create, NULL), 0);
    CHECK_EQ(qcow2_open(&image, file, false, NULL, NULL), 0);
    qcow2_set_backing(image, base);
    CHECK_EQ(cor_open(&disk, image, NULL), 0);
    CHECK(filter_below(disk) == image);
    CHECK_EQ(node_state(disk, 70000, 1000, &len), NODE_ABSENT);
    memset(bytes + 66000, 0xaa, 5000);
    CHECK_EQ(node_write_bytes(disk, 66000, bytes + 66000, 5000), 0);
    CHECK_EQ(node_read_bytes(disk, 70000, back, 5000), 0);
    CHECK(!memcmp(back, bytes + 70000, 5000));
    CHECK_EQ(node_state(disk, 65536, 65536, &len), NODE_DATA);
    CHECK_EQ(len, 65536);
    CHECK_EQ(node_state(disk, 131072, 1000, &len), NODE_ABSENT);
    /* What was kept does not come from below any more. */
    memset(back, 0, MIB);
    CHECK_EQ(node_write_bytes(base, 0, back, MIB), 0);
    CHECK_EQ(node_read_bytes(disk, 65536, back, 65536), 0);
    CHECK(!memcmp(back, bytes + 65536, 65536));
    /* A read goes well where nothing can be kept. */
    mem_of(file)->max = mem_of(file)->len;
    CHECK_EQ(node_read_bytes(disk, 524288, back, 65536), 0);
    CHECK_EQ(back[0], 0);
    mem_of(file)->max = 16 * MIB;
    node_close(disk);
}

TEST(faults)
{
    struct node *node = faulty("write:3:ENOSPC");
    u8 byte = 7;

    for (u32 i = 1; i < 10; i++)
        CHECK_EQ(node_write_bytes(node, 0, &byte, 1), i % 3 ? 0 : -ENOSPC);
    CHECK_EQ(node_read_bytes(node, 0, &byte, 1), 0);
    CHECK_EQ(node_flush(node), 0);
    CHECK(filter_below(node) != node);
    node_close(node);
    node = faulty("flush:2+:EIO");
    CHECK_EQ(node_flush(node), 0);
    CHECK_EQ(node_flush(node), -EIO);
    CHECK_EQ(node_flush(node), -EIO);
    node_close(node);
    node = faulty("any:1:ETIMEDOUT");
    CHECK_EQ(node_discard(node, 0, 1), -ETIMEDOUT);
    CHECK_EQ(node_read_bytes(node, 0, &byte, 1), -ETIMEDOUT);
    node_close(node);
}

TEST(nonsense)
{
    static const char *const wrong[] = {
        "",        "write",        "write:0:EIO",   "write:1",      "write:1:E",
        "x:1:EIO", "write:-1:EIO", "write:1++:EIO", "write:1:EIO:x"};
    struct fault fault;

    for (size_t i = 0; i < ARRAY_SIZE(wrong); i++)
        CHECK_EQ(fault_parse(wrong[i], &fault, NULL), -EINVAL);
}

TEST_MAIN()
