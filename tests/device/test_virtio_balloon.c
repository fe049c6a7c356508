/* SPDX-License-Identifier: BSD-2-Clause */
/* Virtio memory balloon: what is given back, and what a hostile driver cannot give. */
#include "device/virtio/balloon.h"
#include "tests/virtio_driver.h"

enum { INFLATE, DEFLATE, STATS, REPORT_NEAR, REPORT };

#define F_STATS  BIT(1)
#define F_POISON BIT(4)
#define F_REPORT BIT(5)
#define PAGE     BALLOON_PAGE
#define FIRST    ((DRIVER_RAM + MIB) / PAGE) /* the rings are below */
#define ROM      UINT64_C(0x1000)

struct piece {
    gpa_t gpa;
    u64 len;
};

static struct virtio_balloon balloon;
static struct piece pieces[64];
static u32 piece_count, change_count;
static u8 rom[PAGE];

/* Zeros, as the host's discarding leaves them. */
static bool discard(void *ctx, gpa_t gpa, u64 len)
{
    struct driver *d = ctx;

    CHECK(range_within(gpa, len, DRIVER_RAM, DRIVER_RAM_SIZE));
    CHECK(gpa % PAGE == 0 && len % PAGE == 0 && len);
    ASSERT(piece_count < ARRAY_SIZE(pieces));
    pieces[piece_count++] = (struct piece){gpa, len};
    memset(driver_at(d, gpa), 0, len);
    return true;
}

static void changed(void *ctx)
{
    (*(u32 *)ctx)++;
}

static struct driver *setup(u64 features)
{
    struct driver *d;

    virtio_balloon_init(&balloon, &(struct balloon_port){changed, &change_count});
    d = driver_create(virtio_balloon_dev(&balloon));
    d->gmem.discard = discard;
    d->gmem.region[d->gmem.count++] =
        (struct gmem_region){.base = ROM, .size = sizeof(rom), .host = rom, .readonly = true};
    piece_count = change_count = 0;
    driver_start(d, features, 8);
    return d;
}

/* Names pages on a queue; the device must give the chain back. */
static void name_pages(struct driver *d, u32 queue, const u32 *page, u32 count, u32 bytes)
{
    gpa_t buf = driver_alloc(d, bytes > 4 * count ? bytes : 4 * (u64)count);
    struct driver_seg seg = {buf, bytes, false};
    u16 id;
    u32 len;

    for (u32 i = 0; i < count; i++)
        le32_store(driver_at(d, buf) + 4 * (size_t)i, page[i]);
    driver_offer(d, queue, &seg, 1);
    driver_kick(d, queue);
    CHECK(driver_used(d, queue, &id, &len));
    CHECK_EQ(len, 0);
}

static void inflate(struct driver *d, const u32 *page, u32 count)
{
    name_pages(d, INFLATE, page, count, 4 * count);
}

static void check_pieces(const struct piece *want, u32 count)
{
    CHECK_EQ(piece_count, count);
    for (u32 i = 0; i < count && i < piece_count; i++) {
        CHECK_EQ(pieces[i].gpa, want[i].gpa);
        CHECK_EQ(pieces[i].len, want[i].len);
    }
}

TEST(pages_in_a_row_go_back_as_one_in_either_direction)
{
    struct driver *d = setup(0);
    const u32 page[] = {FIRST, FIRST + 1, FIRST + 2, FIRST + 9, FIRST + 8, FIRST + 20, FIRST + 20};
    const struct piece want[] = {{FIRST * PAGE, 3 * PAGE},
                                 {(FIRST + 8) * PAGE, 2 * PAGE},
                                 {(FIRST + 20) * PAGE, PAGE},
                                 {(FIRST + 20) * PAGE, PAGE}};
    struct balloon_state state;

    memset(driver_at(d, FIRST * PAGE), 0xff, 21 * PAGE);
    d->written = 0;
    inflate(d, page, ARRAY_SIZE(page));
    check_pieces(want, ARRAY_SIZE(want));
    CHECK_EQ(*driver_at(d, FIRST * PAGE), 0);
    CHECK_EQ(*driver_at(d, (FIRST + 3) * PAGE), 0xff);
    CHECK(d->written >= 7 * PAGE); /* so that code that was there is dropped */
    virtio_balloon_read(&balloon, &state);
    CHECK(state.driven);
    CHECK_EQ(state.returned, 7 * PAGE);
    name_pages(d, DEFLATE, page, ARRAY_SIZE(page), sizeof(page));
    CHECK_EQ(piece_count, 4);
    CHECK(!driver_needs_reset(d));
    driver_destroy(d);
}

TEST(what_is_not_memory_to_be_written_is_left_alone)
{
    struct driver *d = setup(0);
    const u32 end = (u32)((DRIVER_RAM + DRIVER_RAM_SIZE) / PAGE);
    const u32 page[] = {0, ROM / PAGE, end, UINT32_MAX, (u32)(DRIVER_RAM / PAGE) - 1, end - 1};
    const struct piece want[] = {{(end - 1) * PAGE, PAGE}};

    inflate(d, page, ARRAY_SIZE(page));
    check_pieces(want, 1);
    CHECK(d->log_lines.lines > 0);
    CHECK(!driver_needs_reset(d));
    driver_destroy(d);
}

TEST(odd_lengths_count_whole_numbers)
{
    struct driver *d = setup(0);
    const u32 page[] = {FIRST, FIRST + 1};
    const struct piece want[] = {{FIRST * PAGE, PAGE}};

    name_pages(d, INFLATE, page, 2, 3);
    CHECK_EQ(piece_count, 0);
    name_pages(d, INFLATE, page, 2, 7);
    check_pieces(want, 1);
    driver_destroy(d);
}

/* Many segments over the same bytes: more numbers than RAM has room for. */
TEST(a_chain_of_very_many_pages_is_cut)
{
    struct driver *d = setup(0);
    struct driver_seg seg[8];
    u16 id;
    u32 len;

    for (u32 i = 0; i < ARRAY_SIZE(seg); i++)
        seg[i] = (struct driver_seg){DRIVER_RAM + MIB, MIB, false};
    driver_offer(d, INFLATE, seg, ARRAY_SIZE(seg)); /* of zeros: page 0 is no memory */
    driver_kick(d, INFLATE);
    CHECK(driver_used(d, INFLATE, &id, &len));
    CHECK_EQ(piece_count, 0);
    CHECK(d->log_lines.lines < 32);
    driver_destroy(d);
}

static void report(struct driver *d, u32 queue, gpa_t gpa, u32 bytes, bool write)
{
    struct driver_seg seg = {gpa, bytes, write};
    u16 id;
    u32 len;

    driver_offer(d, queue, &seg, 1);
    driver_kick(d, queue);
    CHECK(driver_used(d, queue, &id, &len));
}

TEST(free_pages_go_back_on_each_queue_that_drivers_take)
{
    static const u32 queues[] = {REPORT_NEAR, REPORT};
    const struct piece want[] = {{FIRST * PAGE, 4 * PAGE}, {(FIRST + 1) * PAGE, PAGE}};

    for (u32 i = 0; i < ARRAY_SIZE(queues); i++) {
        struct driver *d = setup(F_STATS | F_REPORT);

        report(d, queues[i], FIRST * PAGE, 4 * PAGE, true);
        report(d, queues[i], FIRST * PAGE + 1, 2 * PAGE, true); /* one whole page lies in it */
        report(d, queues[i], FIRST * PAGE + 1, PAGE, true);
        report(d, queues[i], FIRST * PAGE, PAGE, false);
        check_pieces(want, ARRAY_SIZE(want));
        driver_destroy(d);
    }
}

TEST(without_statistics_their_queue_is_one_of_free_pages)
{
    struct driver *d = setup(F_REPORT);

    report(d, STATS, FIRST * PAGE, PAGE, true);
    CHECK_EQ(piece_count, 1);
    driver_destroy(d);
}

TEST(free_pages_that_hold_a_value_keep_it)
{
    struct driver *d = setup(F_REPORT | F_POISON);

    driver_put(d, R_CONFIG + 12, 0xaaaaaaaa);
    report(d, REPORT, FIRST * PAGE, PAGE, true);
    CHECK_EQ(piece_count, 0);
    driver_put(d, R_CONFIG + 12, 0);
    report(d, REPORT, FIRST * PAGE, PAGE, true);
    CHECK_EQ(piece_count, 1);
    driver_destroy(d);
}

static void tell_stats(struct driver *d, u16 tag, u64 value)
{
    gpa_t buf = driver_alloc(d, 32);
    struct driver_seg seg = {buf, 25, false}; /* two and a half */

    le16_store(driver_at(d, buf), tag);
    le64_store(driver_at(d, buf) + 2, value);
    le16_store(driver_at(d, buf) + 10, 9999);
    driver_offer(d, STATS, &seg, 1);
    driver_kick(d, STATS);
}

TEST(statistics_are_kept_and_asked_for_anew)
{
    struct driver *d = setup(F_STATS);
    struct balloon_state state;
    u16 id;
    u32 len;

    CHECK(!virtio_balloon_ask(&balloon));
    tell_stats(d, BALLOON_FREE, 1234567890123);
    CHECK(!driver_used(d, STATS, &id, &len));
    virtio_balloon_read(&balloon, &state);
    CHECK_EQ(state.told, 1);
    CHECK_EQ(state.known, 1u << BALLOON_FREE);
    CHECK_EQ(state.stat[BALLOON_FREE], 1234567890123);
    CHECK(virtio_balloon_ask(&balloon));
    CHECK(driver_used(d, STATS, &id, &len));
    CHECK(!virtio_balloon_ask(&balloon));
    tell_stats(d, BALLOON_TOTAL, 5);
    tell_stats(d, BALLOON_TOTAL, 6); /* nobody asked: the one before goes back */
    CHECK(driver_used(d, STATS, &id, &len));
    virtio_balloon_read(&balloon, &state);
    CHECK_EQ(state.known, 1u << BALLOON_TOTAL);
    CHECK_EQ(state.stat[BALLOON_TOTAL], 6);
    driver_put(d, R_STATUS, 0);
    CHECK(!virtio_balloon_ask(&balloon));
    virtio_balloon_read(&balloon, &state);
    CHECK(!state.driven && !state.known);
    driver_destroy(d);
}

TEST(the_target_is_told_and_the_guest_answers)
{
    struct driver *d = setup(0);
    u32 before = driver_get(d, R_GENERATION);
    struct balloon_state state;

    virtio_balloon_set_target(&balloon, 5 * PAGE + 1);
    CHECK_EQ(driver_get(d, R_CONFIG), 5);
    CHECK(driver_get(d, R_GENERATION) != before);
    CHECK(driver_get(d, R_ISR) & VIRTIO_ISR_CONFIG);
    driver_put(d, R_CONFIG, 77); /* the host's to say */
    driver_put(d, R_CONFIG + 4, 3);
    CHECK_EQ(change_count, 1);
    virtio_balloon_read(&balloon, &state);
    CHECK_EQ(state.target, 5 * PAGE);
    CHECK_EQ(state.actual, 3 * PAGE);
    fake_write(&d->mmio.device, R_CONFIG + 14, 4, 1); /* across the end */
    virtio_balloon_set_target(&balloon, UINT64_MAX);
    CHECK_EQ(driver_get(d, R_CONFIG), UINT32_MAX);
    driver_put(d, R_STATUS, 0);
    virtio_balloon_read(&balloon, &state);
    CHECK_EQ(state.actual, 0);
    driver_destroy(d);
}

TEST_MAIN()
