/* SPDX-License-Identifier: BSD-2-Clause */
/* qcow2: what is written is read, what is wrong is refused, full disks and many threads do no harm.
 */
#include "block/qcow2.h"

#include "base/endian.h"
#include "host/thread.h"
#include "tests/mem_node.h"
#include "tests/random.h"
#include "tests/test.h"

#define SIZE (4 * MIB)
#define MAX  (64 * MIB)

static struct node *made(u32 cluster_size, u32 bits)
{
    struct qcow2_create c = {.size = SIZE, .cluster_size = cluster_size, .refcount_bits = bits};
    struct node *file = mem_create(NULL, 0, MAX);
    struct err err = {""};

    if (qcow2_create(file, &c, &err))
        printf("# %s\n", err.msg);
    return file;
}

static struct node *opened(struct node *file)
{
    struct node *disk = NULL;
    struct err err = {""};

    if (qcow2_open(&disk, file, false, NULL, &err)) {
        printf("# %s\n", err.msg);
        exit(1);
    }
    return disk;
}

/* Closes the disk but not its file. */
static struct node *reopened(struct node *disk)
{
    struct mem_node *m = mem_of(qcow2_file(disk));
    struct node *copy;

    CHECK_EQ(node_flush(disk), 0);
    copy = mem_create(m->bytes, m->len, MAX);
    node_close(disk);
    return opened(copy);
}

static void check_sound(struct node *disk, bool leaks)
{
    struct qcow2_check result;
    struct err err = {""};

    CHECK_EQ(qcow2_check(disk, QCOW2_REPAIR_NONE, &result, &err), 0);
    CHECK_STR(result.first, "");
    CHECK_EQ(result.corruptions, 0);
    if (!leaks)
        CHECK_EQ(result.leaks, 0);
}

static void random_writes(struct node *disk, u8 *model, u64 *random, u32 count)
{
    static u8 bytes[100000];

    for (u32 i = 0; i < count; i++) {
        u64 at = test_random(random) % SIZE, len = test_random(random) % sizeof(bytes);
        u8 value = (u8)test_random(random);

        if (len > SIZE - at)
            len = SIZE - at;
        if (test_random(random) % 4 == 0) {
            CHECK_EQ(node_write_zeroes(disk, at, len, value & 1), 0);
            memset(model + at, 0, len);
            continue;
        }
        memset(bytes, value, len);
        CHECK_EQ(node_write_bytes(disk, at, bytes, len), 0);
        memset(model + at, value, len);
        if (value < 20)
            CHECK_EQ(node_flush(disk), 0);
    }
}

static void check_reads(struct node *disk, const u8 *model)
{
    static u8 back[SIZE];

    CHECK_EQ(node_read_bytes(disk, 0, back, SIZE), 0);
    CHECK(!memcmp(back, model, SIZE));
}

TEST(what_is_written_is_read)
{
    static const u32 sizes[] = {512, 4096, 65536, 2 * MIB};
    u64 random = 1;

    for (u32 i = 0; i < ARRAY_SIZE(sizes) * 2; i++) {
        struct node *disk = opened(made(sizes[i / 2], i & 1 ? 1 : 16));
        u8 *model = calloc(1, SIZE);

        random_writes(disk, model, &random, 60);
        check_reads(disk, model);
        check_sound(disk, false);
        disk = reopened(disk);
        check_reads(disk, model);
        random_writes(disk, model, &random, 30);
        CHECK_EQ(node_discard(disk, 0, SIZE), 0);
        CHECK_EQ(node_flush(disk), 0);
        check_sound(disk, true);
        memset(model, 0, SIZE);
        check_reads(disk, model);
        free(model);
        node_close(disk);
    }
}

/* A disk that is full at any moment loses only what it could not take. */
TEST(full_at_any_moment)
{
    for (u64 n = 1; n < 60; n++) {
        struct node *disk = opened(made(512, 16)), *file = qcow2_file(disk);
        static u8 bytes[3000];
        u64 random = n;
        int failed = 0;

        mem_of(file)->fail_after = n;
        for (u32 i = 0; i < 40; i++) {
            failed |= node_write_bytes(disk, test_random(&random) % (SIZE - 3000), bytes, 3000);
            if (i % 5 == 0)
                failed |= node_flush(disk);
        }
        CHECK(failed || n > 50);
        mem_of(file)->max = MAX; /* there is room again */
        CHECK_EQ(node_write_bytes(disk, 0, bytes, sizeof(bytes)), 0);
        disk = reopened(disk);
        check_sound(disk, true);
        node_close(disk);
    }
}

struct writer {
    struct thread thread;
    struct node *disk;
    u32 number;
    int failed;
};

/* Each has every fourth sector. */
static void writer_run(void *ctx)
{
    struct writer *w = ctx;
    u64 random = w->number;
    u8 sector[512], back[512];

    for (u32 i = 0; i < 1500; i++) {
        u64 at = (test_random(&random) % (SIZE / 2048) * 4 + w->number) * 512;

        memset(sector, (int)(i + w->number), sizeof(sector));
        w->failed |= node_write_bytes(w->disk, at, sector, sizeof(sector));
        if (i % 50 == 0)
            w->failed |= node_flush(w->disk);
        if (i % 40 == 7)
            w->failed |= node_write_zeroes(w->disk, at, 512, false), memset(sector, 0, 512);
        w->failed |= node_read_bytes(w->disk, at, back, sizeof(back));
        w->failed |= memcmp(back, sector, sizeof(back)) ? -1 : 0;
    }
}

TEST(threads)
{
    struct node *disk = opened(made(4096, 16));
    struct writer w[4];

    CHECK(mem_reserve(mem_of(qcow2_file(disk)), MAX)); /* it does not move */
    for (u32 i = 0; i < 4; i++) {
        w[i] = (struct writer){.disk = disk, .number = i};
        CHECK_EQ(thread_start(&w[i].thread, "writer", writer_run, &w[i], NULL), 0);
    }
    for (u32 i = 0; i < 4; i++) {
        thread_join(&w[i].thread);
        CHECK_EQ(w[i].failed, 0);
    }
    CHECK_EQ(node_flush(disk), 0);
    check_sound(disk, true);
    node_close(disk);
}

TEST(snapshots)
{
    struct node *disk = opened(made(4096, 16));
    u8 *then = calloc(1, SIZE), *now = calloc(1, SIZE);
    struct qcow2_snapshot_info *list;
    struct err err = {""};
    u64 random = 5;
    u32 count;

    random_writes(disk, then, &random, 30);
    CHECK_EQ(qcow2_snapshot_create(disk, "then", 1500000000ull * 1000000000 + 7, &err), 0);
    CHECK_EQ(qcow2_snapshot_create(disk, "then", 0, &err), -EEXIST);
    memcpy(now, then, SIZE);
    random_writes(disk, now, &random, 30);
    check_reads(disk, now);
    CHECK_EQ(qcow2_snapshot_create(disk, "now", 0, &err), 0);
    disk = reopened(disk);
    CHECK_EQ(qcow2_snapshot_list(disk, &list, &count, &err), 0);
    CHECK_EQ(count, 2);
    CHECK_STR(list[0].name, "then");
    CHECK_STR(list[1].id, "2");
    CHECK_EQ(list[0].seconds, 1500000000);
    CHECK_EQ(list[0].nanoseconds, 7);
    free(list);
    CHECK_EQ(qcow2_snapshot_apply(disk, "1", &err), 0);
    check_reads(disk, then);
    check_sound(disk, false);
    CHECK_EQ(qcow2_snapshot_apply(disk, "now", &err), 0);
    check_reads(disk, now);
    CHECK_EQ(qcow2_snapshot_delete(disk, "then", &err), 0);
    CHECK_EQ(qcow2_snapshot_delete(disk, "then", &err), -ENOENT);
    CHECK_EQ(qcow2_snapshot_delete(disk, "now", &err), 0);
    check_reads(disk, now);
    check_sound(disk, false);
    free(then);
    free(now);
    node_close(disk);
}

static void check_refused(u32 at, u32 width, u64 value, const char *says)
{
    struct node *file = made(65536, 16), *disk;
    u8 *header = mem_of(file)->bytes;
    struct err err = {""};

    if (width == 4)
        be32_store(header + at, (u32)value);
    else
        be64_store(header + at, value);
    CHECK(qcow2_open(&disk, file, false, NULL, &err) < 0);
    if (!strstr(err.msg, says)) {
        printf("# said \"%s\", want \"%s\"\n", err.msg, says);
        CHECK(!"the sentence is clear");
    }
    node_close(file);
}

TEST(headers_that_are_wrong)
{
    check_refused(0, 4, 0x7f454c46, "no qcow2 image");
    check_refused(4, 4, 4, "version 4");
    check_refused(4, 4, 2, "only read");
    check_refused(20, 4, 8, "cluster_bits is 8");
    check_refused(20, 4, 22, "cluster_bits is 22");
    check_refused(24, 8, 1000, "size is 1000");
    check_refused(24, 8, 1ull << 63, "size");
    check_refused(24, 8, 1ull << 50, "L1 size");
    check_refused(32, 4, 1, "encrypted");
    check_refused(36, 4, 0, "L1 size is 0");
    check_refused(36, 4, UINT32_MAX, "L1 size");
    check_refused(40, 8, 1234, "L1 offset");
    check_refused(40, 8, ~0xffffull, "L1 offset");
    check_refused(48, 8, 512, "refcount table offset");
    check_refused(56, 4, 0, "refcount table clusters is 0");
    check_refused(56, 4, UINT32_MAX, "refcount table clusters");
    check_refused(60, 4, 70000, "snapshots is 70000");
    check_refused(72, 8, 4, "external data file (bit 2)");
    check_refused(72, 8, 16, "subclusters");
    check_refused(72, 8, 2, "marked as damaged");
    check_refused(72, 8, 8, "contradicts itself");
    check_refused(72, 8, 1ull << 40, "bit 40");
    check_refused(96, 4, 7, "refcount_order is 7");
    check_refused(100, 4, 20, "length is 20");
    check_refused(8, 8, 1 << 20, "backing file's name");
}

TEST(compressed)
{
    struct node *disk = opened(made(4096, 16));
    u8 *model = calloc(1, SIZE);
    u64 random = 9;

    for (u64 at = 0; at < SIZE; at += 4096) {
        for (u32 i = 0; i < 4096; i++)
            model[at + i] = (u8)(i < at / 1024 ? test_random(&random) : at >> 12);
        CHECK_EQ(qcow2_write_compressed(disk, at, model + at, 4096), 0);
    }
    CHECK_EQ(qcow2_write_compressed(disk, 512, model, 4096), -EINVAL);
    check_reads(disk, model);
    check_sound(disk, false);
    random_writes(disk, model, &random, 40);
    disk = reopened(disk);
    check_reads(disk, model);
    CHECK_EQ(node_flush(disk), 0);
    check_sound(disk, true);
    free(model);
    node_close(disk);
}

TEST_MAIN()
