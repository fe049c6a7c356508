/* SPDX-License-Identifier: BSD-2-Clause */
/* Cables with delay, loss and a rate; the record of frames. */
#include "net/cable.h"
#include "net/capture.h"

#include "base/endian.h"
#include "tests/test.h"

#include <unistd.h>

static const struct net_offload plain;
static const u8 bytes[1000];

TEST(delays_keep_the_order)
{
    struct net_impairment impairment = {.delay_us = 5000};
    struct cable cable;
    u64 now = 1000;

    cable_init(&cable, &impairment, 1);
    CHECK(cable_matters(&cable));
    CHECK_EQ(cable_due(&cable), UINT64_MAX);
    for (u32 i = 1; i <= 100; i++)
        cable_put(&cable, now + i, &plain, bytes, i);
    CHECK_EQ(cable_due(&cable), now + 1 + 5000000);
    CHECK(!cable_arrived(&cable, now + 5000000));
    for (u32 i = 1; i <= 100; i++) {
        CHECK_EQ(cable_arrived(&cable, now + i + 5000000)->len, i);
        cable_drop(&cable);
    }
    CHECK(!cable_arrived(&cable, UINT64_MAX));
    cable_fini(&cable);
}

TEST(loses_the_share_asked_for)
{
    struct net_impairment impairment = {.loss_ppm = 250000};
    struct cable cable;

    cable_init(&cable, &impairment, 12345);
    for (u32 i = 0; i < 20000; i++) {
        cable_put(&cable, i, &plain, bytes, 60);
        if (cable_arrived(&cable, i))
            cable_drop(&cable);
    }
    CHECK(cable.lost > 4600 && cable.lost < 5400);
    impairment.loss_ppm = 1000000;
    cable_put(&cable, 0, &plain, bytes, 60);
    CHECK(!cable_arrived(&cable, UINT64_MAX));
    cable_fini(&cable);
}

TEST(holds_the_rate_and_loses_what_waits_too_long)
{
    struct net_impairment impairment = {.rate_bytes = 1000000};
    struct cable cable;
    u64 arrived = 0;

    cable_init(&cable, &impairment, 7);
    /* Twice what it carries, for a second. */
    for (u64 ms = 0; ms < 1000; ms++) {
        for (u32 i = 0; i < 2; i++)
            cable_put(&cable, ms * 1000000, &plain, bytes, 1000);
        while (cable_arrived(&cable, ms * 1000000)) {
            cable_drop(&cable);
            arrived++;
        }
    }
    CHECK(arrived >= 995 && arrived <= 1000);
    CHECK(cable.lost >= 790 && cable.lost <= 805);
    cable_fini(&cable);
}

TEST(queue_is_not_endless)
{
    struct net_impairment impairment = {.delay_us = 10000000};
    struct cable cable;

    cable_init(&cable, &impairment, 7);
    for (u32 i = 0; i < 40000; i++)
        cable_put(&cable, 0, &plain, bytes, 1000);
    CHECK(cable.queue.bytes <= 33 * MIB);
    CHECK(cable.lost > 0);
    cable_fini(&cable);
}

TEST(records_frames)
{
    static struct capture capture;
    static u8 file[1 << 20];
    FILE *f = tmpfile();
    size_t at = 24, n;

    CHECK(f != NULL);
    if (!f)
        return;
    capture_init(&capture, fileno(f), false);
    for (u32 i = 0; i < 500; i++)
        capture_frame(&capture, bytes, 60 + i);
    capture_flush(&capture);
    rewind(f);
    n = fread(file, 1, sizeof(file), f);
    CHECK_EQ(le32_load(file), 0xa1b23c4d);
    CHECK_EQ(le32_load(file + 20), 1);
    for (u32 i = 0; i < 500; i++) {
        CHECK_EQ(le32_load(file + at + 8), 60 + i);
        CHECK_EQ(le32_load(file + at + 12), 60 + i);
        at += 16 + 60 + i;
    }
    CHECK_EQ(at, n);
    fclose(f);
    capture_init(&capture, -1, false);
    capture_frame(&capture, bytes, 60);
    capture_flush(&capture);
}

TEST_MAIN()
