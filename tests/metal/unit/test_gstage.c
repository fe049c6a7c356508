/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * G-stage tables of random regions, walked by a reader of our own: their leaves are the regions, no
 * byte more or less, in pages as large as the addresses allow.
 */
#include "metal/gstage.h"

#include "tests/random.h"
#include "tests/test.h"

#define PAGES   64
#define REGIONS 12
#define ROUNDS  3000
#define SPACE   (UINT64_C(1) << 41) /* of Sv39x4 */
#define HPA     UINT64_C(0x87654000000)

/* Bits of a PTE as the Privileged Architecture numbers them. */
enum { V = 1, R = 2, W = 4, X = 8, U = 16, A = 64, D = 128 };

static u64 memory[PAGES + 4][512];
static struct gstage_pool pool;

static void pool_make(u32 count)
{
    memset(memory, 0, sizeof(memory));
    pool = (struct gstage_pool){memory, HPA, 0, count};
}

static u64 size_of(u32 level)
{
    return UINT64_C(4096) << 9 * level;
}

/* What a walk of all leaves found. */
struct walk {
    const struct metal_region *region;
    u32 count;
    u64 bytes;
    u32 leaves[3];
};

static const struct metal_region *region_of(const struct walk *walk, u64 gpa)
{
    for (u32 i = 0; i < walk->count; i++) {
        if (gpa - walk->region[i].gpa < walk->region[i].size)
            return &walk->region[i];
    }
    return NULL;
}

static u64 permissions(u32 flags)
{
    bool writes = flags & METAL_REGION_WRITE, device = flags & METAL_REGION_DEVICE;

    return (flags & METAL_REGION_READ || writes ? R : 0) | (writes ? W : 0) |
           (flags & METAL_REGION_EXEC && !device ? X : 0);
}

static bool fits(const struct metal_region *r, u64 gpa, u32 level)
{
    u64 size = size_of(level), done = gpa - r->gpa;

    return done <= r->size && size <= r->size - done && gpa % size == 0 &&
           (r->hpa + done) % size == 0;
}

static void leaf(struct walk *walk, u64 gpa, u64 entry, u32 level)
{
    const struct metal_region *r = region_of(walk, gpa);

    CHECK(r != NULL);
    if (!r)
        return;
    CHECK_EQ(entry >> 10 << 12, r->hpa + (gpa - r->gpa));
    CHECK_EQ(entry & 1023, V | U | A | D | permissions(r->flags));
    CHECK(fits(r, gpa, level));
    for (u32 larger = level + 1; larger < 3; larger++)
        CHECK(!fits(r, gpa & ~(size_of(larger) - 1), larger) ||
              gpa - (gpa & ~(size_of(larger) - 1)) > gpa - r->gpa);
    walk->bytes += size_of(level);
    walk->leaves[level]++;
}

static void table(struct walk *walk, u64 hpa, u64 gpa, u32 level)
{
    const u64 *entries = memory[(hpa - HPA) / 4096];
    u32 count = level == 2 ? 2048 : 512;

    CHECK(hpa >= HPA && hpa - HPA < pool.used * UINT64_C(4096));
    for (u32 i = 0; i < count; i++) {
        u64 entry = entries[i], at = gpa + i * size_of(level);
        if (!entry)
            continue;
        if (entry & (R | W | X)) {
            leaf(walk, at, entry, level);
            continue;
        }
        CHECK_EQ(entry & 1023, V);
        CHECK(level > 0);
        if (level)
            table(walk, entry >> 10 << 12, at, level - 1);
    }
}

/* Some address, often aligned to a superpage, often shortly before or behind one. */
static u64 random_address(u64 *seed, u64 limit)
{
    u64 at = test_random(seed) % limit & ~UINT64_C(4095), align = size_of(test_random(seed) % 3);

    if (test_random(seed) % 4)
        at &= ~(align - 1);
    return at + (test_random(seed) % 4 ? 0 : test_random(seed) % 8 * 4096);
}

static bool overlaps(const struct metal_region *r, const struct metal_region *other, u32 count)
{
    for (u32 i = 0; i < count; i++) {
        if (r->gpa < other[i].gpa + other[i].size && other[i].gpa < r->gpa + r->size)
            return true;
    }
    return false;
}

static struct metal_region random_region(u64 *seed)
{
    struct metal_region r = {0};
    u64 unit = size_of(test_random(seed) % 3);

    r.gpa = random_address(seed, SPACE / 2);
    r.hpa = test_random(seed) % 2
                ? random_address(seed, UINT64_C(1) << 55)
                : (r.gpa & (size_of(2) - 1)) + size_of(2) * (test_random(seed) % 99);
    r.size = unit * (1 + test_random(seed) % 3) + 4096 * (test_random(seed) % 4);
    if (r.size > 64 * UINT64_C(4096) && r.size < size_of(1))
        r.size = size_of(1);
    /* At 4 KiB for want of alignment a region of GiB would take the whole pool: that is tested
     * apart. */
    if (((r.gpa ^ r.hpa) & (size_of(1) - 1)) && r.size > 4 * size_of(1))
        r.size = 3 * size_of(1);
    r.flags = (u32)(test_random(seed) % 16) | METAL_REGION_READ;
    return r;
}

TEST(the_leaves_are_the_regions)
{
    u64 seed = 1;
    u32 leaves[3] = {0};

    for (u32 round = 0; round < ROUNDS && !test_failures; round++) {
        struct metal_region region[REGIONS];
        struct walk walk = {region, 0, 0, {0}};
        u64 bytes = 0;
        u32 root, count = 1 + test_random(&seed) % REGIONS;
        bool room = true;

        pool_make(PAGES);
        pool.used = test_random(&seed) % 5;
        root = gstage_root(&pool);
        CHECK(root % 4 == 0 && pool.used == root + 4);
        for (u32 i = 0; i < count && room; i++) {
            struct metal_region r = random_region(&seed);
            if (overlaps(&r, region, walk.count))
                continue;
            region[walk.count++] = r;
            room = gstage_map(&pool, root, &r);
            bytes += r.size;
        }
        table(&walk, HPA + root * UINT64_C(4096), 0, 2);
        CHECK(room ? walk.bytes == bytes : walk.bytes < bytes && pool.used == PAGES);
        for (u32 i = 0; i < 3; i++)
            leaves[i] += walk.leaves[i];
    }
    CHECK(leaves[0] && leaves[1] && leaves[2]);
}

TEST(what_is_mapped_is_not_mapped_again)
{
    u64 seed = 2;

    for (u32 round = 0; round < ROUNDS; round++) {
        struct metal_region one = random_region(&seed), two = one;
        u32 root;

        pool_make(PAGES);
        root = gstage_root(&pool);
        if (!gstage_map(&pool, root, &one))
            continue;
        two.gpa += (test_random(&seed) % (one.size / 4096)) * 4096;
        two.size = 4096 << (test_random(&seed) % 2 ? 0 : 9);
        CHECK(!gstage_map(&pool, root, &two));
    }
}

TEST(a_region_over_another_is_refused)
{
    struct metal_region page = {.gpa = 0x80201000, .hpa = 0x1000, .size = 4096, .flags = 1};
    struct metal_region over = {.gpa = 0x80200000, .hpa = 0, .size = 0x200000, .flags = 1};
    u32 root;

    pool_make(PAGES);
    root = gstage_root(&pool);
    CHECK(gstage_map(&pool, root, &page));
    CHECK(!gstage_map(&pool, root, &over));
}

TEST(partitions_do_not_share_tables)
{
    struct metal_region r = {.gpa = 0x80000000, .hpa = 0x90000000, .size = 0x3000, .flags = 7};
    struct metal_region other = r;
    struct walk walk = {&r, 1, 0, {0}}, walk_other = {&other, 1, 0, {0}};
    u32 root, root_other;

    pool_make(PAGES);
    root = gstage_root(&pool);
    CHECK(gstage_map(&pool, root, &r));
    root_other = gstage_root(&pool);
    other.hpa = 0xa0000000;
    CHECK(gstage_map(&pool, root_other, &other));
    table(&walk, HPA + root * UINT64_C(4096), 0, 2);
    table(&walk_other, HPA + root_other * UINT64_C(4096), 0, 2);
    CHECK_EQ(walk.bytes, 0x3000);
    CHECK_EQ(walk_other.bytes, 0x3000);
}

TEST(tables_run_out)
{
    struct metal_region r = {.gpa = 0x1000, .hpa = 0x1000, .size = 4096, .flags = 1};
    u32 root;

    for (u32 count = 4; count < 7; count++) {
        pool_make(count);
        root = gstage_root(&pool);
        CHECK_EQ(root, 0);
        CHECK_EQ(gstage_map(&pool, root, &r), count == 6);
        CHECK(pool.used <= count);
        CHECK(!memory[count][0]);
    }
    pool_make(3);
    CHECK_EQ(gstage_root(&pool), METAL_NONE);
    pool_make(10);
    CHECK_EQ(gstage_root(&pool), 0);
    CHECK_EQ(gstage_root(&pool), 4);
    CHECK_EQ(gstage_root(&pool), METAL_NONE);
}

TEST_MAIN()
