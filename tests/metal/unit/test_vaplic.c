/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The APLIC that partitions of cosm-metal see: its registers one by one, and random operations
 * against a model that follows chapter 4 of the AIA 1.0 source by source. Some sources are a
 * board's, which is another small model; nobody who reads registers and messages may notice.
 */
#include "metal/vaplic.h"
#include "tests/random.h"
#include "tests/test.h"

#define VCPUS 3
#define EIIDS 2048

enum { INACTIVE, DETACHED, EDGE1 = 4, EDGE0, LEVEL1, LEVEL0 };

/* A source as the specification has it; for the board, and for the model. */
struct source {
    u32 mode, target;
    bool wire, pending, enable;
};

static struct vaplic aplic;
static struct source board[METAL_SOURCES_MAX], model[METAL_SOURCES_MAX];
static bool model_on;
static u32 sources;
static u64 wired;
static u32 sent[VCPUS][EIIDS], expected[VCPUS][EIIDS]; /* messages; identity 0 is taken by nobody */
static u64 state;

static bool is_high(const struct source *s)
{
    switch (s->mode) {
    case EDGE1:
    case LEVEL1:
        return s->wire;
    case EDGE0:
    case LEVEL0:
        return !s->wire;
    default:
        return false;
    }
}

static bool is_level(const struct source *s)
{
    return s->mode == LEVEL1 || s->mode == LEVEL0;
}

static void forward(struct source *s, bool on, u32 counts[VCPUS][EIIDS])
{
    if (!s->pending || !s->enable || !on)
        return;
    s->pending = false;
    if (s->target >> 18 < VCPUS && s->target & 0x7ff)
        counts[s->target >> 18][s->target & 0x7ff]++;
}

static void wire(struct source *s, bool level)
{
    bool was = is_high(s);

    s->wire = level;
    if (!was && is_high(s))
        s->pending = true;
    if (is_level(s) && !is_high(s))
        s->pending = false;
}

static void pend(struct source *s)
{
    if (s->mode && (!is_level(s) || is_high(s)))
        s->pending = true;
}

/* ---- The board ---- */

static void send(void *ctx, u32 vcpu, u32 eiid)
{
    CHECK(ctx == &aplic);
    CHECK(vcpu < VCPUS && eiid < EIIDS);
    if (vcpu < VCPUS && eiid < EIIDS && eiid)
        sent[vcpu][eiid]++;
}

static void wired_set(void *ctx, u32 i, enum vaplic_wired what, u32 value)
{
    struct source *s = &board[i];

    CHECK(ctx == &aplic && wired >> i & 1);
    switch (what) {
    case VAPLIC_MODE:
        s->mode = value;
        if (!value)
            *s = (struct source){.wire = s->wire};
        break;
    case VAPLIC_TARGET:
        CHECK(value >> 18 < VCPUS && !(value & 0x3f800));
        s->target = s->mode ? value : 0;
        break;
    case VAPLIC_ENABLE:
        s->enable = s->mode && value;
        break;
    case VAPLIC_PENDING:
        if (value)
            pend(s);
        else
            s->pending = false;
        break;
    case VAPLIC_INPUT:
        CHECK(!"an input is set from outside");
    }
    forward(s, true, sent);
}

static bool wired_get(void *ctx, u32 i, enum vaplic_wired what)
{
    CHECK(ctx == &aplic && wired >> i & 1 && (what == VAPLIC_PENDING || what == VAPLIC_INPUT));
    return what == VAPLIC_PENDING ? board[i].pending : is_high(&board[i]);
}

static const struct vaplic_port port = {send, wired_set, wired_get};

static void begin(u32 count, u64 mask)
{
    sources = count;
    wired = mask;
    memset(board, 0, sizeof(board));
    memset(model, 0, sizeof(model));
    memset(sent, 0, sizeof(sent));
    memset(expected, 0, sizeof(expected));
    model_on = false;
    vaplic_reset(&aplic, &port, &aplic, VCPUS, sources, wired);
}

static void wr(u64 offset, u32 value)
{
    u64 v = value;

    CHECK(vaplic_access(&aplic, offset, 4, true, &v));
}

static u32 rd(u64 offset)
{
    u64 v = UINT64_MAX;

    CHECK(vaplic_access(&aplic, offset, 4, false, &v));
    CHECK_EQ(v >> 32, 0);
    return (u32)v;
}

/* ---- The model ---- */

static bool model_is(u64 i)
{
    return i && i <= sources;
}

static void model_group(u32 group, u32 i)
{
    struct source *s = &model[i];

    if (!model_is(i) || !s->mode)
        return;
    if (group == 0)
        pend(s);
    else if (group == 1)
        s->pending = false;
    else
        s->enable = group == 2;
}

static void model_mode(struct source *s, u32 value)
{
    static const u8 modes[8] = {0, DETACHED, 0, 0, EDGE1, EDGE0, LEVEL1, LEVEL0};

    s->mode = value & 0x400 ? 0 : modes[value & 7];
    if (!s->mode)
        *s = (struct source){.wire = s->wire};
    if (is_level(s))
        s->pending = is_high(s);
}

static void model_write(u32 offset, u32 value)
{
    u32 i = offset % 0x1000 / 4;

    if (offset == 0) {
        model_on = value >> 8 & 1;
    } else if (offset < 0x1000 && model_is(i)) {
        model_mode(&model[i], value);
    } else if (offset >= 0x1c00 && offset < 0x2000) {
        u32 group = (offset - 0x1c00) / 0x100, at = offset % 0x100;
        for (u32 bit = 0; bit < 32 && at < 0x80; bit++) {
            if (value >> bit & 1 && at / 4 * 32 + bit < METAL_SOURCES_MAX)
                model_group(group, at / 4 * 32 + bit);
        }
        if (at == 0xdc && value < METAL_SOURCES_MAX)
            model_group(group, value);
    } else if (offset == 0x2000 && value < METAL_SOURCES_MAX) {
        model_group(0, value);
    } else if (offset == 0x3000 && value >> 18 < VCPUS && value & 0x7ff) {
        expected[value >> 18][value & 0x7ff]++;
    } else if (offset > 0x3000 && model_is(i) && model[i].mode) {
        model[i].target = value & 0xfffc07ff;
    }
    for (u32 n = 1; n <= sources; n++)
        forward(&model[n], model_on, expected);
}

static void compare(void)
{
    u64 pending = 0, input = 0, enable = 0;

    CHECK_EQ(rd(0), 0x80000004 | (u32)model_on << 8);
    for (u32 i = 1; i < 1024; i++) {
        CHECK_EQ(rd(4 * i), model_is(i) ? model[i].mode : 0);
        CHECK_EQ(rd(0x3000 + 4 * i), model_is(i) ? model[i].target : 0);
    }
    for (u32 i = 1; i <= sources; i++) {
        pending |= (u64)model[i].pending << i;
        input |= (u64)is_high(&model[i]) << i;
        enable |= (u64)model[i].enable << i;
    }
    for (u32 word = 0; word < 32; word++) {
        CHECK_EQ(rd(0x1c00 + 4 * word), word < 2 ? (u32)(pending >> 32 * word) : 0);
        CHECK_EQ(rd(0x1d00 + 4 * word), word < 2 ? (u32)(input >> 32 * word) : 0);
        CHECK_EQ(rd(0x1e00 + 4 * word), word < 2 ? (u32)(enable >> 32 * word) : 0);
        CHECK_EQ(rd(0x1f00 + 4 * word), 0);
    }
    CHECK(!memcmp(sent, expected, sizeof(sent)));
}

static u32 below(u32 n)
{
    return (u32)(test_random(&state) % n);
}

static u32 random_offset(void)
{
    static const u32 fixed[] = {0x0, 0x2000, 0x2004, 0x3000};
    static const u32 at[] = {0x0, 0x4, 0x8, 0x7c, 0xdc, 0xdc, 0xdc, 0xe0};

    switch (below(4)) {
    case 0:
        return 4 * below(sources + 3);
    case 1:
        return 0x3000 + 4 * below(sources + 3);
    case 2:
        return 0x1c00 + 0x100 * below(4) + at[below(ARRAY_SIZE(at))];
    default:
        return below(4) ? fixed[below(ARRAY_SIZE(fixed))] : 4 * below(VAPLIC_SIZE / 4);
    }
}

static u32 random_value(u32 offset)
{
    u32 any = (u32)test_random(&state);

    if (below(8) == 0)
        return any;
    if (offset == 0)
        return any & 0x100;
    if (offset < 0x1000)
        return below(8);
    if (offset < 0x3000)
        return offset % 0x100 < 0x80 ? any & (u32)test_random(&state) : below(sources + 3);
    return below(VCPUS + 1) << 18 | below(64);
}

static void random_run(u32 count, u64 mask, u32 steps)
{
    begin(count, mask);
    for (u32 n = 0; n < steps && !test_failures; n++) {
        if (below(3) == 0) {
            u32 i = 1 + below(sources);
            bool level = below(2);
            wire(&model[i], level);
            forward(&model[i], model_on, expected);
            if (mask >> i & 1) {
                wire(&board[i], level);
                forward(&board[i], true, sent);
            } else {
                vaplic_level(&aplic, i, level);
            }
        } else {
            u32 offset = random_offset(), value = random_value(offset);
            wr(offset, value);
            model_write(offset, value);
        }
        compare();
        if (test_failures)
            printf("# step %u of %u sources, 0x%" PRIx64 " wired\n", n, count, mask);
    }
}

TEST(random_operations_are_the_models)
{
    static const u32 counts[] = {1, 31, 32, 63};

    state = 7;
    for (u32 run = 0; run < 24; run++) {
        u32 count = counts[run % 4];
        u64 all = (UINT64_C(2) << count) - 2;
        u64 mask = run < 4 ? 0 : run < 8 ? all : test_random(&state) & all;

        random_run(count, mask, 1500);
    }
}

TEST(other_accesses_are_refused)
{
    u64 value = 0;

    begin(63, 0);
    for (u32 width = 1; width <= 8; width *= 2) {
        CHECK_EQ(vaplic_access(&aplic, 0, width, false, &value), width == 4);
        CHECK_EQ(vaplic_access(&aplic, 4, width, true, &value), width == 4);
    }
    CHECK(!vaplic_access(&aplic, 2, 4, false, &value));
    CHECK(!vaplic_access(&aplic, VAPLIC_SIZE, 4, false, &value));
    CHECK(!vaplic_access(&aplic, UINT64_MAX - 3, 4, true, &value));
}

/* 4.8.2: a level that stays sends once more when its handler says so by number, and only then. */
TEST(a_level_is_sent_again_on_demand)
{
    for (u32 is_wired = 0; is_wired < 2; is_wired++) {
        begin(10, is_wired ? 1u << 9 : 0);
        wr(0, 0x100);
        wr(4 * 9, LEVEL1);
        wr(0x3000 + 4 * 9, 1u << 18 | 40);
        wr(0x1edc, 9);
        CHECK_EQ(sent[1][40], 0);
        if (is_wired) {
            wire(&board[9], true);
            forward(&board[9], true, sent);
        } else {
            vaplic_level(&aplic, 9, true);
        }
        CHECK_EQ(sent[1][40], 1);
        CHECK_EQ(rd(0x1d00), 1u << 9);
        CHECK_EQ(rd(0x1c00), 0);
        wr(0x2000, 9);
        CHECK_EQ(sent[1][40], 2);
        if (is_wired)
            wire(&board[9], false);
        else
            vaplic_level(&aplic, 9, false);
        wr(0x2000, 9);
        CHECK_EQ(sent[1][40], 2);
    }
}

/* A doorbell that rang before its source was enabled is not lost. */
TEST(an_edge_waits_for_its_enable)
{
    begin(5, 0);
    wr(4 * 5, EDGE1);
    wr(0x3000 + 4 * 5, 7);
    vaplic_level(&aplic, 5, true);
    vaplic_level(&aplic, 5, false);
    CHECK_EQ(rd(0x1c00), 1u << 5);
    wr(0x1e00, 1u << 5);
    CHECK_EQ(sent[0][7], 0);
    wr(0, 0x100);
    CHECK_EQ(sent[0][7], 1);
    CHECK_EQ(rd(0x1c00), 0);
}

/* What the board has of a partition's source after a reset: nothing. */
TEST(a_reset_silences_the_board)
{
    begin(8, 1u << 3);
    wr(0, 0x100);
    wr(4 * 3, EDGE1);
    wr(0x3000 + 4 * 3, 3);
    wr(0x1edc, 3);
    CHECK(board[3].enable && board[3].mode == EDGE1 && board[3].target == 3);
    vaplic_reset(&aplic, &port, &aplic, VCPUS, 8, wired);
    CHECK(!board[3].enable && !board[3].mode && !board[3].target);
    CHECK_EQ(rd(0x1e00), 0);
    CHECK_EQ(rd(0), 0x80000004);
}

TEST_MAIN()
