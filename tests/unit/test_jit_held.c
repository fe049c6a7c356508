/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Loops that are entered at one place after another: one region has all of them in the end, and
 * does what the interpreter does.
 */
#define FAKE_OWN_WAIT
#include "exec/jit.h"
#include "rv/code_cache.h"
#include "rv/code_map.h"
#include "rv/csr.h"
#include "rv/interp.h"
#include "tests/fake.h"
#include "tests/test.h"

#define RAM_BASE  UINT64_C(0x80000000)
#define RAM_PAGES 4
#define INNER     24 /* instructions */
#define ROUNDS    5

enum { OUTER_COUNT = 5, INNER_COUNT = 6, FIRST = 8 }; /* registers */

struct machine {
    struct hart hart; /* first: it is large and aligned */
    struct gmem gmem;
    struct code_map map;
    struct hart_env env;
    struct hart *harts[1];
    u8 *ram;
};

void port_wait(_Atomic u32 *word, u32 value)
{
    abort();
}

static u64 no_time(void *ctx)
{
    return 0;
}

static void no_stimecmp(void *ctx, struct hart *hart, u64 time)
{
}

static u32 addi(u32 rd, u32 rs1, s32 imm)
{
    return 0x13 | rd << 7 | rs1 << 15 | (u32)imm << 20;
}

static u32 branch(u32 funct3, u32 rs1, u32 rs2, s32 to)
{
    const u32 t = (u32)to;

    return 0x63 | funct3 << 12 | rs1 << 15 | rs2 << 20 | (t >> 1 & 15) << 8 | (t >> 5 & 63) << 25 |
           (t >> 11 & 1) << 7 | (t >> 12 & 1) << 31;
}

/* Two loops, one in the other; of every four instructions in the inner one, one may be left out. */
static u32 build(u8 *ram)
{
    u32 n = 0;

    le32_store(ram + 4 * n++, addi(INNER_COUNT, 0, ROUNDS));
    for (u32 i = 0; i < INNER; i++) {
        const u32 reg = FIRST + i % 16;
        le32_store(ram + 4 * n++, i % 4 ? addi(reg, reg, (s32)(i + 1)) : branch(4, reg, 30, 8));
    }
    le32_store(ram + 4 * n++, addi(INNER_COUNT, INNER_COUNT, -1));
    le32_store(ram + 4 * n, branch(1, INNER_COUNT, 0, 4 - 4 * (s32)n));
    n++;
    le32_store(ram + 4 * n++, addi(OUTER_COUNT, OUTER_COUNT, -1));
    le32_store(ram + 4 * n, branch(1, OUTER_COUNT, 0, -4 * (s32)n));
    n++;
    le32_store(ram + 4 * n, 0x10500073);     /* wfi */
    le32_store(ram + 4 * n + 4, 0x0000006f); /* j . */
    return n;
}

static struct machine *create(bool translated)
{
    static const struct jit_config config = {
        .regions = true, .at_once = true, .code_size = 4 * MIB};
    struct machine *m = aligned_alloc(64, align_up(sizeof(*m), 64));
    struct hart *hart = &m->hart;

    ASSERT(m);
    memset(m, 0, sizeof(*m));
    m->ram = aligned_alloc(PAGE_SIZE, RAM_PAGES * PAGE_SIZE);
    m->map = (struct code_map){.base = RAM_BASE, .pages = RAM_PAGES};
    m->map.state = calloc(RAM_PAGES, sizeof(*m->map.state));
    ASSERT(m->ram && m->map.state);
    memset(m->ram, 0, RAM_PAGES * PAGE_SIZE);
    m->gmem =
        (struct gmem){.region = {{RAM_BASE, RAM_PAGES * PAGE_SIZE, m->ram, false}}, .count = 1};
    m->harts[0] = hart;
    m->env = (struct hart_env){.gmem = &m->gmem,
                               .time = no_time,
                               .set_stimecmp = no_stimecmp,
                               .code_map = &m->map,
                               .harts = m->harts,
                               .hart_count = 1};
    hart->env = &m->env;
    isa_default(&hart->isa);
    hart->code = code_cache_create(1);
    ASSERT(hart->code && (!translated || jit_attach_alone(hart, &config)));
    hart_reset(hart, RAM_BASE);
    return m;
}

static void destroy(struct machine *m)
{
    jit_detach(&m->hart);
    code_cache_destroy(m->hart.code);
    free(m->map.state);
    free(m->ram);
    free(m);
}

/* Runs from an instruction on to the end. */
static void run(struct machine *m, u32 from)
{
    m->hart.pc = RAM_BASE + 4 * from;
    for (u32 i = 1; i < 32; i++)
        m->hart.x[i] = i * 3;
    m->hart.x[30] = 150; /* some of the branches are taken, from some round on not any more */
    m->hart.x[OUTER_COUNT] = ROUNDS;
    m->hart.x[INNER_COUNT] = ROUNDS;
    if (m->hart.jit.engine)
        CHECK_EQ(jit_run(&m->hart, false), HART_EXIT_WFI);
    else
        CHECK_EQ(interp_run(&m->hart, false), HART_EXIT_WFI);
}

/* In each order: the inner loop first, or the outer one. */
static void run_all(u32 step)
{
    struct machine *m[2] = {create(true), create(false)};
    u32 end = build(m[0]->ram);
    struct jit_stats stats;

    (void)build(m[1]->ram);
    for (u32 n = 0; n < end; n++) {
        u32 from = (n * step + end / 2) % end;
        for (u32 i = 0; i < 2; i++)
            run(m[i], from);
        for (u32 i = 0; i < 32; i++)
            CHECK_EQ(m[0]->hart.x[i], m[1]->hart.x[i]);
        CHECK_EQ(m[0]->hart.pc, m[1]->hart.pc);
        CHECK_EQ(m[0]->hart.insns, m[1]->hart.insns);
    }
    jit_stats_of(&m[0]->hart, &stats);
    CHECK(stats.tier[JIT_TIER_REGION].count > 4);
    printf("# %" PRIu64 " regions, %" PRIu64 " replaced\n", stats.tier[JIT_TIER_REGION].count,
           stats.replaced);
    CHECK_EQ(stats.replaced, stats.tier[JIT_TIER_REGION].count - 1);
    CHECK_EQ(stats.refusals, 0);
    destroy(m[0]);
    destroy(m[1]);
}

TEST(one_region_in_the_end)
{
    if (!jit_is_supported())
        return;
    run_all(1);
    run_all(7);
    run_all(13);
}

TEST_MAIN()
