/* SPDX-License-Identifier: BSD-2-Clause */
/* Filters: limits hold and save up, faults come when they are told to. */
#include "block/filter.h"

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
