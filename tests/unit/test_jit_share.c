/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Several harts run from one cache of translations that is far too small, call functions all over
 * memory and each rewrite one of their own: what is dropped, moved and made again must not show.
 */
#define FAKE_OWN_WAIT
#include "exec/jit.h"
#include "rv/code_cache.h"
#include "rv/code_map.h"
#include "rv/mem.h"
#include "rv/trap.h"
#include "tests/fake.h"
#include "tests/test.h"

#include <pthread.h>

#define HARTS      4
#define RAM_BASE   UINT64_C(0x80000000)
#define RAM_PAGES  128
#define OWN_PAGE   8 /* the first hart's */
#define FIRST_PAGE 32
#define PAGES      64 /* with functions */
#define FUNCTIONS  512
#define ROUNDS     20000

struct machine {
    u8 *ram;
    struct gmem gmem;
    struct code_map map;
    struct hart_env env;
    struct hart *hart[HARTS];
    struct jit *jit;
};

void port_wait(_Atomic u32 *word, u32 value)
{
    abort();
}

/* ---- the program ---- */

enum { RA = 1, T0 = 5, T1 = 6, S0 = 8, S1 = 9, A0 = 10, S2 = 18, S3 = 19, T2 = 7, S4 = 20 };

struct writer {
    u8 *at;
};

static void put(struct writer *w, u32 insn)
{
    le32_store(w->at, insn);
    w->at += 4;
}

static void imm(struct writer *w, u32 opcode, u32 funct3, u32 rd, u32 rs1, s32 value)
{
    put(w, opcode | rd << 7 | funct3 << 12 | rs1 << 15 | (u32)value << 20);
}

static void reg(struct writer *w, u32 funct3, u32 rd, u32 rs1, u32 rs2)
{
    put(w, 0x33 | rd << 7 | funct3 << 12 | rs1 << 15 | rs2 << 20);
}

static void bnez(struct writer *w, u32 rs, s32 back)
{
    u32 v = (u32)-back;

    put(w, 0x63 | 1 << 12 | rs << 15 | (v >> 11 & 1) << 7 | (v >> 1 & 15) << 8 |
               (v >> 5 & 63) << 25 | (v >> 12 & 1) << 31);
}

/* A loop that adds `add` to a0 four times. */
static void put_function(u8 *at, u32 add)
{
    struct writer w = {at};

    imm(&w, 0x13, 0, T1, 0, 4);
    imm(&w, 0x13, 0, A0, A0, (s32)add);
    imm(&w, 0x13, 0, T1, T1, -1);
    bnez(&w, T1, 8);
    imm(&w, 0x67, 0, 0, RA, 0);
}

static u32 amount(u32 function)
{
    return function % 97 + 1;
}

static u64 next(u64 x)
{
    x ^= x << 13;
    x ^= x >> 7;
    return x ^ x << 17;
}

/* s0: table of functions, s1: rounds, s2: random state, s3: own function, a0: the sum. */
static void put_main(u8 *at)
{
    struct writer w = {at};

    imm(&w, 0x13, 1, T0, S2, 13);
    reg(&w, 4, S2, S2, T0);
    imm(&w, 0x13, 5, T0, S2, 7);
    reg(&w, 4, S2, S2, T0);
    imm(&w, 0x13, 1, T0, S2, 17);
    reg(&w, 4, S2, S2, T0);
    imm(&w, 0x13, 7, T0, S2, FUNCTIONS - 1);
    imm(&w, 0x13, 1, T0, T0, 3);
    reg(&w, 0, T0, T0, S0);
    imm(&w, 0x03, 3, T0, T0, 0);
    imm(&w, 0x67, 0, RA, T0, 0);
    /* Every sixteenth round: rewrites its own function, ADDI a0, a0, s1, and calls it. */
    imm(&w, 0x13, 7, T0, S1, 15);
    bnez(&w, T0, -28);
    imm(&w, 0x13, 7, T0, S1, 0x7ff);
    imm(&w, 0x13, 1, T0, T0, 20);
    reg(&w, 6, T0, T0, S4);
    put(&w, 0x23 | 2 << 12 | S3 << 15 | T0 << 20); /* SW t0, 0(s3) */
    put(&w, 0x0000100f);                           /* FENCE.I */
    imm(&w, 0x67, 0, RA, S3, 0);
    imm(&w, 0x13, 0, S1, S1, -1);
    bnez(&w, S1, 20 * 4);
    put(&w, 0x10500073); /* WFI */
}

static u64 expected(u64 state)
{
    u64 sum = 0;

    for (u32 left = ROUNDS; left; left--) {
        state = next(state);
        sum += 4 * amount(state % FUNCTIONS);
        if (!(left & 15))
            sum += left & 0x7ff;
    }
    return sum;
}

/* ---- the machine ---- */

static u64 no_time(void *ctx)
{
    return 0;
}

static void no_stimecmp(void *ctx, struct hart *hart, u64 time)
{
}

/* The program raises none. */
static void no_trap(void *ctx, struct hart *hart, u64 cause, u64 tval)
{
    printf("# hart %u, trap %lu at %lx, tval %lx, ra %lx, t0 %lx, s1 %lx\n", hart->id, cause,
           hart->pc, tval, hart->x[RA], hart->x[T0], hart->x[S1]);
    abort();
}

static void start_hart(struct machine *m, u32 i)
{
    struct hart *hart = aligned_alloc(64, align_up(sizeof(*hart), 64));

    ASSERT(hart);
    memset(hart, 0, sizeof(*hart));
    m->hart[i] = hart;
    hart->id = i;
    hart->env = &m->env;
    isa_default(&hart->isa);
    hart->code_ack = UINT64_MAX;
    hart->code = code_cache_create(HARTS);
    ASSERT(hart->code && jit_attach(m->jit, hart));
    hart_reset(hart, RAM_BASE);
    hart->x[S0] = RAM_BASE + PAGE_SIZE;
    hart->x[S1] = ROUNDS;
    hart->x[S2] = i + 1;
    hart->x[S3] = RAM_BASE + (OWN_PAGE + i) * PAGE_SIZE;
    hart->x[S4] = 0x13 | A0 << 7 | A0 << 15; /* ADDI a0, a0, 0 */
}

static void create(struct machine *m, const struct jit_config *config)
{
    *m = (struct machine){.ram = aligned_alloc(PAGE_SIZE, RAM_PAGES * PAGE_SIZE)};
    m->map = (struct code_map){.base = RAM_BASE, .pages = RAM_PAGES};
    m->map.state = calloc(RAM_PAGES, sizeof(*m->map.state));
    m->jit = jit_create(config);
    ASSERT(m->ram && m->map.state && m->jit);
    memset(m->ram, 0, RAM_PAGES * PAGE_SIZE);
    put_main(m->ram);
    for (u32 i = 0; i < FUNCTIONS; i++) {
        u64 at = (FIRST_PAGE + i % PAGES) * PAGE_SIZE + i / PAGES * 512;
        le64_store(m->ram + PAGE_SIZE + 8 * i, RAM_BASE + at);
        put_function(m->ram + at, amount(i));
    }
    m->gmem =
        (struct gmem){.region = {{RAM_BASE, RAM_PAGES * PAGE_SIZE, m->ram, false}}, .count = 1};
    m->env = (struct hart_env){.gmem = &m->gmem,
                               .time = no_time,
                               .set_stimecmp = no_stimecmp,
                               .trapped = no_trap,
                               .code_map = &m->map,
                               .harts = m->hart,
                               .hart_count = HARTS};
    for (u32 i = 0; i < HARTS; i++) {
        start_hart(m, i);
        le32_store(m->ram + (OWN_PAGE + i) * PAGE_SIZE + 4, 0x00008067); /* RET */
    }
}

static void destroy(struct machine *m)
{
    for (u32 i = 0; i < HARTS; i++) {
        jit_detach(m->hart[i]);
        code_cache_destroy(m->hart[i]->code);
        free(m->hart[i]);
    }
    jit_destroy(m->jit);
    free(m->map.state);
    free(m->ram);
}

static void *run(void *arg)
{
    struct hart *hart = arg;

    mem_attend_protect(hart);
    while (jit_run(hart, false) == HART_EXIT_YIELD)
        ;
    atomic_store(&hart->code_ack, UINT64_MAX);
    return NULL;
}

static void start_and_join(struct machine *m)
{
    pthread_t thread[HARTS];

    CHECK_EQ(jit_start(m->jit, NULL, NULL), 0);
    for (u32 i = 0; i < HARTS; i++)
        CHECK(!pthread_create(&thread[i], NULL, run, m->hart[i]));
    for (u32 i = 0; i < HARTS; i++)
        pthread_join(thread[i], NULL);
}

static struct jit_stats run_all(const struct jit_config *config)
{
    struct machine m;
    struct jit_stats stats;

    create(&m, config);
    start_and_join(&m);
    for (u32 i = 0; i < HARTS; i++)
        CHECK_EQ(m.hart[i]->x[A0], expected(i + 1));
    jit_stats_read(m.jit, &stats);
    printf("# %lu blocks, %lu regions, %lu pages dropped, %lu segments reused, %lu samples\n",
           stats.tier[0].count, stats.tier[1].count, stats.drops, stats.evictions, stats.samples);
    destroy(&m);
    return stats;
}

TEST(room_for_all)
{
    struct jit_stats s = run_all(&(struct jit_config){0});

    CHECK(s.tier[JIT_TIER_BLOCK].count >= FUNCTIONS);
    CHECK_EQ(s.evictions, 0);
}

TEST(little_code)
{
    CHECK(run_all(&(struct jit_config){.code_size = 128 << 10, .segments = 4}).evictions > 10);
}

TEST(few_pages)
{
    CHECK(run_all(&(struct jit_config){.pages = 20}).drops > 1000);
}

/* One run may be over before a busy host lets the sampling thread look once. */
TEST(regions_of_samples)
{
    u64 samples = 0;

    for (u32 run = 0; run < 100 && !samples; run++)
        samples = run_all(&(struct jit_config){.regions = true, .heat = 1}).samples;
    CHECK(samples);
}

TEST(regions_at_once)
{
    struct jit_config c = {.code_size = 1 << 20, .segments = 8, .regions = true, .at_once = true};
    struct jit_stats s = run_all(&c);

    CHECK(s.tier[JIT_TIER_REGION].count >= FUNCTIONS);
    CHECK(s.evictions > 2);
}

TEST(little_code_and_regions)
{
    struct jit_config c = {.code_size = 1 << 20, .segments = 16, .regions = true, .heat = 1};

    (void)run_all(&c);
}

/* What is compiled in the background looks at harts, which may go any time. */
TEST(end_amid_regions)
{
    for (u32 round = 0; round < 60; round++) {
        struct machine m;

        create(&m, &(struct jit_config){.regions = true, .heat = 1});
        for (u32 i = 0; i < HARTS; i++)
            m.hart[i]->x[S1] = 200 + 50 * round;
        start_and_join(&m);
        destroy(&m);
    }
}

int main(void)
{
    if (!jit_is_supported()) {
        printf("1..0 # SKIP no back end for this host\n");
        return 0;
    }
    return test_main();
}
