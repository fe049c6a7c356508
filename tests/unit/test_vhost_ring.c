/* SPDX-License-Identifier: BSD-2-Clause */
/* Rings that another process serves: what it may do to them, and what of it is believed. */
#include "net/vhost_ring.h"

#include "tests/random.h"
#include "tests/test.h"

#define BASE UINT64_C(0x80000000)

static u8 memory[VHOST_RING_BYTES] __attribute__((aligned(4096)));
static struct vhost_ring ring;
static gpa_t told_at;
static u64 told_bytes;

static void told(void *ctx, gpa_t gpa, u64 len)
{
    told_at = gpa;
    told_bytes += len;
}

static const struct gmem gmem = {.written = told};

/* The other side: gives a head back. */
static void use(u32 head, u32 written)
{
    u8 *used = memory + VHOST_RING_USED;
    u16 index = le16_load(used + 2);

    le32_store(used + 4 + 8 * (index % VHOST_RING_ENTRIES), head);
    le32_store(used + 8 + 8 * (index % VHOST_RING_ENTRIES), written);
    le16_store(used + 2, (u16)(index + 1));
}

static u16 offered(u32 n)
{
    return le16_load(memory + VHOST_RING_AVAIL + 4 + 2 * (n % VHOST_RING_ENTRIES));
}

static u16 available(void)
{
    return le16_load(memory + VHOST_RING_AVAIL + 2);
}

/* One segment to read and two of 100 bytes to write. */
static bool put(u64 cookie)
{
    const struct virtq_seg seg[] = {{BASE, 12}, {BASE + 4096, 100}, {BASE + 8192, 100}};

    return vhost_ring_put(&ring, &(struct virtq_buffers){seg, 3, 1, cookie});
}

TEST(a_chain_goes_and_comes_back_and_what_was_written_is_told)
{
    struct virtq_returned r;
    const char *why;
    u16 head;

    vhost_ring_init(&ring, memory);
    CHECK(!vhost_ring_take(&ring, &gmem, &r, &why) && !why);
    CHECK(put(7));
    CHECK_EQ(available(), 1);
    head = offered(0);
    CHECK_EQ(le64_load(memory + 16 * head), BASE);
    CHECK_EQ(le16_load(memory + 16 * head + 12), 1);
    use(head, 130);
    told_bytes = 0;
    CHECK(vhost_ring_take(&ring, &gmem, &r, &why));
    CHECK_EQ(r.cookie, 7);
    CHECK_EQ(r.written, 130);
    CHECK_EQ(told_bytes, 130);
    CHECK_EQ(told_at, BASE + 8192);
    CHECK(!vhost_ring_take(&ring, &gmem, &r, &why) && !why);
}

TEST(full_is_full_and_there_is_room_again)
{
    struct virtq_returned r;
    const char *why;
    u64 state = 1;
    u32 count = 0;

    vhost_ring_init(&ring, memory);
    while (put(count))
        count++;
    CHECK_EQ(count, VHOST_RING_ENTRIES / 3);
    for (u32 i = 0; i < 5000; i++) { /* in no order */
        u32 which = available() - 1 - (i % 2 ? 0 : (u32)(test_random(&state) % 3));
        use(offered(which), 0);
        if (!vhost_ring_take(&ring, &gmem, &r, &why)) {
            CHECK(why); /* it was back already */
            vhost_ring_init(&ring, memory);
            while (put(i))
                ;
            continue;
        }
        CHECK(put(r.cookie));
    }
}

TEST(what_the_other_side_must_not_do_is_told)
{
    struct virtq_returned r;
    const char *why;

    vhost_ring_init(&ring, memory);
    CHECK(put(1));
    le16_store(memory + VHOST_RING_USED + 2, 5000);
    CHECK(!vhost_ring_take(&ring, &gmem, &r, &why) && strstr(why, "jumps"));
    le16_store(memory + VHOST_RING_USED + 2, 0);
    use(VHOST_RING_ENTRIES, 0);
    CHECK(!vhost_ring_take(&ring, &gmem, &r, &why) && strstr(why, "does not have"));
    vhost_ring_rewind(&ring);
    use(offered(0) + 1u, 0); /* in the midst of a chain */
    CHECK(!vhost_ring_take(&ring, &gmem, &r, &why) && strstr(why, "does not have"));
    vhost_ring_rewind(&ring);
    use(offered(0), 201);
    CHECK(!vhost_ring_take(&ring, &gmem, &r, &why) && strstr(why, "more than"));
}

TEST(a_new_process_finds_what_is_out)
{
    struct virtq_returned r;
    const char *why;
    u64 seen = 0;

    vhost_ring_init(&ring, memory);
    for (u64 i = 0; i < 8; i++)
        CHECK(put(i));
    use(offered(3), 1);
    use(offered(5), 1);
    CHECK(vhost_ring_take(&ring, &gmem, &r, &why) && r.cookie == 3);
    CHECK(vhost_ring_take(&ring, &gmem, &r, &why) && r.cookie == 5);
    memset(memory, 0xa5, sizeof(memory)); /* whatever the old one left */
    vhost_ring_rewind(&ring);
    CHECK_EQ(available(), 6);
    for (u32 i = 0; i < 6; i++) {
        use(offered(i), 0);
        CHECK(vhost_ring_take(&ring, &gmem, &r, &why));
        seen |= BIT(r.cookie);
    }
    CHECK_EQ(seen, 0xff & ~BIT(3) & ~BIT(5));
    CHECK(put(9));
    CHECK(vhost_ring_revoke(&ring, &r) && r.cookie == 9 && !r.written);
    CHECK(!vhost_ring_revoke(&ring, &r));
    CHECK_EQ(ring.free_count, VHOST_RING_ENTRIES);
}

TEST(whether_to_kick_is_the_other_sides_choice)
{
    vhost_ring_init(&ring, memory);
    CHECK(vhost_ring_wants_kick(&ring));
    le16_store(memory + VHOST_RING_USED, 1);
    CHECK(!vhost_ring_wants_kick(&ring));
}

TEST_MAIN()
