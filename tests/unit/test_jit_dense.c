/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Pages full of what takes a translator's tables and room: jumps, branches, returns, labels,
 * accesses, stubs. They are compiled, as blocks and as regions, in just as much room as the back
 * end asks for, and not run. Regions over several pages have the same page time and again.
 */
#include "jit/backend.h"

#include "base/assert.h"
#include "base/endian.h"
#include "rv/region.h"
#include "tests/insn.h"
#include "tests/test.h"

#include <time.h>

#define PAGES     60 /* of random recipes */
#define KINDS_MAX 6
#define BUFFER    (8u << 20)
#define LINES     ARRAY_SIZE(insn_lines)

static u64 seed, begun; /* begun: the seed of the page at hand */

void assert_failed(const char *expr, const char *file, int line)
{
    fprintf(stderr, "%s:%d: assertion failed: %s (seed %" PRIu64 ")\n", file, line, expr, begun);
    abort();
}

static u64 rnd(u64 below)
{
    return test_random(&seed) % below;
}

/* Offsets need all of 32 bits, as most of a hart's do. */
static const u8 pinned[] = {10, 15, 14, 2, 13, 11, 12, 8, 9};
static const u8 pinned_fp[] = {47, 46, 45, 44, 42, 43, 48, 49, 40, 41, 32, 33, 34};

#define LAYOUT                                                                                    \
    .slot = 0x1000, .pc = 0x2000, .count = 0x2008, .page = 0x2010, .attn = 0x2018,                \
    .patch = 0x201c, .source = 0x2020, .redirects = true, .tlb = 0x2030, .tlb_bits = 14,          \
    .tlb_read = 0x1000, .tlb_write = 0x41000, .link = 0x2040, .link_value = 0x2048,               \
    .link_size = 0x2050, .jumps = 0x2058, .jumps_bits = 16, .int_slots = 32, .pinned = pinned,    \
    .pinned_count = sizeof(pinned), .pinned_fp = pinned_fp, .pinned_fp_count = sizeof(pinned_fp), \
    .fp_level = 0x2060, .fp_live = 0x2064, .fp_round = 0x2068, .fp_flags = 0x206c,                \
    .sites = 0x200000, .sites_used = 0x210000, .sites_count = 1536, .sites_next = 0x20000,        \
    .mode = 0x2074, .modes_kept = 1, .site = 0x2078, .away = 0x2080, .turn = 0x2088,              \
    .left = 0x2090, .checks = 0x100000

static const struct jit_layout layouts[] = {{LAYOUT}, {LAYOUT, .limit = 0x2070}};
static const struct jit_engine engine;

static struct jit_backend *backend[ARRAY_SIZE(layouts)];
static struct jit_compiler *compiler[ARRAY_SIZE(layouts)];
static struct isa isa;
static u8 page[PAGE_SIZE];
static struct region region;
static struct region_map map;
static struct lift lift;
static struct jit_entry entry[JIT_ENTRIES_MAX];
static u32 pool; /* of the region */
static u32 regions, wide, insns_max, ops_max, labels_max;

/* ---- pages ---- */

static bool is_branch(const struct insn_line *line)
{
    return (line->op >= OP_beq && line->op <= OP_bgeu) || line->op == OP_jal;
}

static const struct insn_line *find(const char *name)
{
    const struct insn_line *line = insn_lines;

    while (strcmp(line->name, name))
        line++;
    return line;
}

/* Some instructions, in numbers that they share out. */
struct recipe {
    u32 count;
    const struct insn_line *line[KINDS_MAX];
    u32 weight[KINDS_MAX];
    u32 base;  /* register that most accesses start from; 0: any */
    bool skip; /* most branches leave out one instruction */
};

/* Where the page's instructions are. */
static u32 place[PAGE_SIZE / 2 + 1], places;

/* To an instruction of this page that is in reach, or to the next page. */
static s64 target(const struct recipe *r, const struct insn_line *line, u32 n)
{
    u64 reach = insn_imm_mask(line) >> 1;
    u32 to;

    if (!rnd(40))
        return (s64)(PAGE_SIZE - place[n]);
    if (r->skip && n + 2 < places && rnd(16))
        return (s64)(place[n + 2] - place[n]);
    do
        to = place[rnd(places)];
    while ((u64)(to > place[n] ? to - place[n] : place[n] - to) >= reach);
    return (s64)to - (s64)place[n];
}

static void put(const struct recipe *r, const struct insn_line *line, u32 n)
{
    struct insn_operands o = insn_random_operands(line, &seed);
    u32 raw;

    if (is_branch(line))
        o.imm = target(r, line, n);
    if (r->base && rnd(8))
        o.rs1 = insn_bits_have(line, "Y") ? 8 + r->base % 8 : r->base;
    if ((line->op == OP_jalr || line->op == OP_jal) && !line->compressed)
        o.rd = rnd(3) ? 0 : rnd(4) ? 1 : o.rd;
    if (line->op == OP_jalr && rnd(3))
        o.rs1 = 1;
    raw = insn_encode(line, &o);
    le16_store(page + place[n], (u16)raw);
    if (!line->compressed)
        le16_store(page + place[n] + 2, (u16)(raw >> 16));
}

static void fill(const struct recipe *r)
{
    static const struct insn_line *lines[PAGE_SIZE / 2 + 1];
    u32 sum = 0, at = 0;

    for (u32 i = 0; i < r->count; i++)
        sum += r->weight[i];
    memset(page, 0, sizeof(page));
    for (places = 0; at < PAGE_SIZE - 2; places++) {
        u32 kind = 0, pick;
        for (pick = (u32)rnd(sum); pick >= r->weight[kind]; kind++)
            pick -= r->weight[kind];
        lines[places] = r->line[kind];
        place[places] = at;
        at += lines[places]->compressed ? 2 : 4;
    }
    for (u32 n = 0; n < places; n++)
        put(r, lines[n], n);
}

static const struct insn_line *random_line(void)
{
    static const char *const jumps[] = {"beq",    "jal", "jalr", "blt",    "bgeu",
                                        "c.beqz", "c.j", "c.jr", "c.jalr", "c.bnez"};

    return rnd(3) ? &insn_lines[rnd(LINES)] : find(jumps[rnd(ARRAY_SIZE(jumps))]);
}

static void random_page(void)
{
    struct recipe r = {.count = 1 + (u32)rnd(KINDS_MAX), .skip = rnd(2)};

    r.base = rnd(2) ? (u32)rnd(32) : 0;
    for (u32 i = 0; i < r.count; i++) {
        r.line[i] = random_line();
        r.weight[i] = 1 + (u32)(rnd(2) ? rnd(4) : rnd(60));
    }
    fill(&r);
}

/* ---- compiling ---- */

static bool compile_block(u32 which, u32 size)
{
    u32 start = jit_backend_code_start(backend[which]);

    jit_compiler_aim(compiler[which], start, start + size);
    return jit_backend_compile(compiler[which], &lift.ir, lift.where, 1);
}

static bool compile_region(u32 which, u32 size)
{
    const struct lift *l = &region.lift;
    u32 start = jit_backend_code_start(backend[which]);
    static struct jit_jump jump[REGION_JUMPS_MAX];

    for (u32 i = 0; i < map.jump_count; i++)
        jump[i] = (struct jit_jump){map.jump[i].from, map.jump[i].to};
    jit_compiler_aim(compiler[which], start, start + size);
    jit_compiler_expect(compiler[which], jump, map.jump_count);
    return jit_backend_compile_region(compiler[which], &l->ir, l->where, 1, pool,
                                      map.page_count > 1 ? 4095 : JIT_NO_CHECK, entry,
                                      region.entry_count);
}

/* The least room that it takes; whether that was enough it says itself. */
static void compile(bool (*how)(u32 which, u32 size))
{
    for (u32 which = 0; which < ARRAY_SIZE(layouts); which++) {
        u32 low = 0, high = BUFFER - jit_backend_code_start(backend[which]);
        while (high - low > 1) {
            u32 middle = low + (high - low) / 2;
            if (how(which, middle))
                high = middle;
            else
                low = middle;
        }
        CHECK(how(which, high));
    }
}

static u32 raw_at(u32 offset)
{
    u32 raw = le16_load(page + offset);

    return insn_is_long(raw) && offset + 2 < PAGE_SIZE
               ? raw | (u32)le16_load(page + offset + 2) << 16
               : raw;
}

static void lift_block(u32 offset)
{
    enum lift_end end = LIFT_GOES_ON;

    lift_begin(&lift, &isa);
    lift.rounds = rnd(4);
    while (end == LIFT_GOES_ON && offset < PAGE_SIZE && !lift_is_full(&lift)) {
        u64 insn = decode(&isa, raw_at(offset));
        end = lift_insn(&lift, insn, (s32)offset);
        offset += end == LIFT_REFUSES ? 0 : insn_len(insn);
    }
    if (lift.count && end != LIFT_ENDS)
        lift_finish(&lift, (s32)offset);
}

static void note_most(void)
{
    u32 labels = 0;

    for (u32 i = 0; i < region.lift.ir.count; i++)
        labels += region.lift.ir.op[i].opcode == IR_LABEL;
    regions++;
    labels_max = labels > labels_max ? labels : labels_max;
    insns_max = region.lift.count > insns_max ? region.lift.count : insns_max;
    ops_max = region.lift.ir.count > ops_max ? region.lift.ir.count : ops_max;
}

static const u8 *same_page(void *ctx, s32 to)
{
    return page;
}

/* None, some or many, mostly where instructions begin, in this page or the one before. */
static u32 random_targets(void *ctx, s32 offset, const s32 **to)
{
    static s32 targets[REGION_TARGETS_MAX];
    u32 n = rnd(2) ? (u32)rnd(4) : (u32)rnd(REGION_TARGETS_MAX + 1);

    for (u32 i = 0; i < n; i++) {
        targets[i] = rnd(8) && places ? (s32)place[rnd(places)] : (s32)rnd(PAGE_SIZE / 2) * 2;
        targets[i] -= rnd(8) ? 0 : PAGE_SIZE;
    }
    *to = targets;
    return n;
}

static void compile_page(void)
{
    static const struct region_away ways[] = {
        {.bytes = same_page},
        {.targets = random_targets},
        {.bytes = same_page, .targets = random_targets},
    };
    u32 way = (u32)rnd(ARRAY_SIZE(ways) + 1);
    u32 offset = rnd(2) ? 0 : (u32)rnd(PAGE_SIZE / 4) * 4;

    lift_block(offset);
    if (lift.count) {
        CHECK(!ir_verify(&lift.ir));
        compile(compile_block);
    }
    region_discover(&map, &isa, page, (s32)offset, way < ARRAY_SIZE(ways) ? &ways[way] : NULL);
    for (u32 n = (u32)rnd(3) * 3; n; n--)
        region_extend(&map, &isa, places ? (s32)place[rnd(places)] : 0,
                      way < ARRAY_SIZE(ways) ? &ways[way] : NULL);
    if (!region_lift(&region, &isa, &map) || !region.entry_count)
        return;
    wide += map.page_count > 1;
    CHECK(!ir_verify(&region.lift.ir));
    for (u32 i = 0; i < region.entry_count; i++)
        entry[i].offset = region.entry[i];
    pool = 2 * (u32)rnd(2);
    note_most();
    compile(compile_region);
}

static bool begin(void)
{
    isa_default(&isa);
    for (u32 i = 0; i < ARRAY_SIZE(layouts) && jit_backend_is_supported(); i++) {
        if (backend[i])
            continue;
        backend[i] = jit_backend_create(&layouts[i], &engine, BUFFER);
        ASSERT(backend[i]);
        compiler[i] = jit_compiler_create(backend[i]);
        ASSERT(compiler[i]);
    }
    return backend[0];
}

/* Each instruction by itself, and with a branch, a jump, a call or a return in between: with one of
 * these, or with each if TEST_ALL is set. */
TEST(pages_of_each)
{
    static const char *const others[] = {NULL, "c.beqz", "beq", "jal", "jalr"};
    bool all = getenv("TEST_ALL");

    if (!begin())
        return;
    for (u32 i = 0; i < LINES && !test_failures; i++) {
        for (u32 k = all ? 0 : i % ARRAY_SIZE(others); k < ARRAY_SIZE(others);
             k += all ? 1 : ARRAY_SIZE(others)) {
            struct recipe r = {.count = 1, .line = {&insn_lines[i]}, .weight = {1}};
            begun = seed = i * 5 + k;
            if (k) {
                r.skip = rnd(4);
                r.weight[0] += (u32)rnd(8);
                r.line[r.count] = find(others[k]);
                r.weight[r.count++] = 1 + (u32)rnd(8);
            }
            fill(&r);
            compile_page();
        }
    }
}

static u32 append(u32 at, const char *name, u32 rd, u32 rs1, s64 imm)
{
    const struct insn_line *line = find(name);
    const struct insn_operands o = {.rd = rd, .rs1 = rs1, .imm = imm};
    u32 raw = insn_encode(line, &o);

    le16_store(page + at, (u16)raw);
    if (!line->compressed)
        le16_store(page + at + 2, (u16)(raw >> 16));
    return at + (line->compressed ? 2 : 4);
}

/* A few calls, then as many returns as there may be, each behind a branch, with or without
 * something in between: each return looks for all calls. */
TEST(pages_of_returns)
{
    if (!begin())
        return;
    for (u32 n = 0; n < 64 && !test_failures; n++) {
        u32 at = 0, more = n % 8 > 4 ? 20 + (u32)rnd(40) : 0;
        begun = seed = n;
        memset(page, 0, sizeof(page));
        for (u32 i = 0; i < 1 + n % 8; i++)
            at = append(at, "jal", 1, 0, (s64)(4 * rnd(200) + 40));
        for (u32 i = 0; at < PAGE_SIZE - 16; i++) {
            at = append(at, "c.beqz", 0, 8 + (u32)rnd(8), 4);
            at = append(at, "c.jr", 0, 1, 0);
            if (more && i % more == 0)
                at = append(at, "c.beqz", 0, 8, -(s64)rnd(100) * 2);
        }
        compile_page();
    }
}

TEST(random_pages)
{
    const char *first = getenv("TEST_SEED");

    if (!begin())
        return;
    for (u32 n = 0; n < PAGES && !test_failures; n++) {
        begun = seed = (first ? strtoull(first, NULL, 0) : 1u << 20) + n;
        random_page();
        compile_page();
    }
    printf(
        "# %u regions (%u of several pages) of up to %u instructions, %u operations, %u labels\n",
        regions, wide, insns_max, ops_max, labels_max);
    CHECK(wide);
    CHECK_EQ(insns_max, REGION_INSNS_MAX);
}

TEST_MAIN()
