/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Loops whose accesses have sites in mode S and are by views in mode U, translated beside
 * interpreted: between their runs page tables change and are fenced, pages get code, modes and SUM
 * alternate. What a site or a view kept would show.
 *
 * Most loops are random, and a base may be what leads to the test's own memory beyond GS's base:
 * what code reaches there without a look would show, too.
 */
#define FAKE_OWN_WAIT
#include "exec/jit.h"
#include "rv/code_cache.h"
#include "rv/code_map.h"
#include "rv/csr.h"
#include "rv/interp.h"
#include "rv/mem.h"
#include "rv/mmu.h"
#include "rv/trap.h"
#include "tests/fake.h"
#include "tests/ram.h"
#include "tests/test.h"

#include <asm/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#define RAM_BASE  UINT64_C(0x80000000)
#define RAM_PAGES 32
#define DATA      8 /* first page of data */
#define HOSTS     12
#define PAGES     8 /* virtual ones, at VA */
#define VA        UINT64_C(0x40000)
#define CODE_U    UINT64_C(0x10000)
#define CODE_S    UINT64_C(0x20000)
#define RUNS      60000
#define LOOPS     32
#define LOOP_MAX  32 /* instructions */

enum { CODE, TRAPS, ROOT, MIDDLE, LAST, CODE_OF_S };
enum { T0 = 5, T1 = 6, A0 = 10, A1, A2, A3, A4, A5, A6 };
enum { V = 1, R = 2, W = 4, X = 8, U = 16, AD = 0xc0 };

struct machine {
    struct hart hart; /* first: it is large and aligned */
    struct gmem gmem;
    struct code_map map;
    struct hart_env env;
    struct hart *harts[1];
    u8 *ram;
    u64 word[HOSTS]; /* of data pages, as they were made code */
};

static struct machine *machine[2]; /* translated, interpreted */
static u64 seed = 1;
static u64 own[64]; /* not the guest's */

void port_wait(_Atomic u32 *word, u32 value)
{
    abort();
}

static u64 rnd(u64 below)
{
    return (test_random(&seed) >> 20) % below;
}

static u64 no_time(void *ctx)
{
    return 0;
}

static void no_stimecmp(void *ctx, struct hart *hart, u64 time)
{
}

static void put(struct machine *m, u32 page, u32 index, u64 value)
{
    le64_store(m->ram + page * PAGE_SIZE + 8 * (u64)index, value);
}

static u64 pte(u32 page, u64 flags)
{
    return (RAM_BASE / PAGE_SIZE + page) << 10 | flags | V;
}

static const u32 loop[] = {
    0x03 | T0 << 7 | 3 << 12 | A0 << 15,                                  /* ld t0, 0(a0) */
    0x33 | A2 << 7 | A2 << 15 | T0 << 20,                                 /* add a2, a2, t0 */
    0x23 | 8 << 7 | 3 << 12 | A1 << 15 | A2 << 20,                        /* sd a2, 8(a1) */
    0x03 | T1 << 7 | 3 << 12 | A1 << 15 | 16u << 20,                      /* ld t1, 16(a1) */
    0x33 | A2 << 7 | 4 << 12 | A2 << 15 | T1 << 20,                       /* xor a2, a2, t1 */
    0x33 | A0 << 7 | A0 << 15 | A4 << 20,                                 /* add a0, a0, a4 */
    0x13 | A3 << 7 | A3 << 15 | 0xfffu << 20,                             /* addi a3, a3, -1 */
    0x63 | 1 << 12 | A3 << 15 | 1 << 7 | 2 << 8 | 0x3fu << 25 | 1u << 31, /* bnez a3, -28 */
    0x00000073,                                                           /* ecall */
    0x0000006f,                                                           /* j . */
};

static u32 random_base(void)
{
    static const u8 bases[] = {A0, A1, A5, A6};

    return bases[rnd(ARRAY_SIZE(bases))];
}

/* An access, or something that happens to bases. */
static u32 random_insn(void)
{
    const u32 base = random_base(), offset = (u32)rnd(8) * 8;

    switch (rnd(16)) {
    case 0:
        return 0x33 | base << 7 | base << 15 | A4 << 20; /* add base, base, a4 */
    case 1:
    case 2:
        return 0x13 | base << 7 | random_base() << 15 | offset << 20; /* addi base, other, offset */
    case 3:
        return 0x33 | base << 7 | 6 << 12 | random_base() << 15; /* or base, other, x0 */
    case 4:
        return 0x63 | T0 << 15 | A2 << 20 | 4 << 8 | (u32)rnd(2) << 12; /* beq, bne t0, a2, 8 */
    case 5:
        return 0x03 | base << 7 | 3 << 12 | base << 15 | offset << 20; /* ld base, offset(base) */
    case 6:
    case 7:
    case 8:
        return 0x23 | (offset & 0x1f) << 7 | 3 << 12 | base << 15 | A2 << 20 |
               offset >> 5 << 25; /* sd a2, offset(base) */
    case 9:
        return 0x33 | A2 << 7 | A2 << 15 | T0 << 20; /* add a2, a2, t0 */
    default:
        return 0x03 | (rnd(2) ? T0 : A2) << 7 | 3 << 12 | base << 15 | offset << 20;
    }
}

static u32 to_start(u32 at)
{
    const u32 offset = 0u - 4 * at;

    return 0x63 | 1 << 12 | A3 << 15 | (offset >> 11 & 1) << 7 | (offset >> 1 & 15) << 8 |
           (offset >> 5 & 63) << 25 | (offset >> 12 & 1) << 31;
}

/* Loop 0 is the one above. */
static void build_loops(u32 *text)
{
    memcpy(text, loop, sizeof(loop));
    for (u32 n = 1; n < LOOPS; n++) {
        u32 *at = text + n * LOOP_MAX, size = 4 + (u32)rnd(LOOP_MAX - 10);
        for (u32 i = 0; i < size; i++)
            at[i] = random_insn();
        at[size] = 0x13; /* nop: a branch may lead over it */
        at[size + 1] = loop[6];
        at[size + 2] = to_start(size + 2);
        at[size + 3] = 0x00000073;
        at[size + 4] = 0x0000006f;
    }
}

static void build_memory(struct machine *m, const u32 *text)
{
    for (u32 i = 0; i < LOOPS * LOOP_MAX; i++) {
        le32_store(m->ram + CODE * PAGE_SIZE + 4 * i, text[i]);
        le32_store(m->ram + CODE_OF_S * PAGE_SIZE + 4 * i, text[i]);
    }
    le32_store(m->ram + TRAPS * PAGE_SIZE, 0x10500073); /* wfi */
    put(m, ROOT, 0, pte(MIDDLE, 0));
    put(m, MIDDLE, 0, pte(LAST, 0));
    put(m, LAST, CODE_U / PAGE_SIZE, pte(CODE, R | X | U | AD));
    put(m, LAST, CODE_S / PAGE_SIZE, pte(CODE_OF_S, R | X | AD));
    for (u32 i = 0; i < HOSTS * 512; i++)
        put(m, DATA, i, i * UINT64_C(0x9e3779b97f4a7c15));
}

static struct machine *create(bool translated, const u32 *text)
{
    static const struct jit_config config = {.regions = true,
                                             .keep_guards = true,
                                             .at_once = true,
                                             .view_after = 1,
                                             .code_size = 4 * MIB};
    struct machine *m = aligned_alloc(64, align_up(sizeof(*m), 64));
    struct hart *hart = &m->hart;

    ASSERT(m);
    memset(m, 0, sizeof(*m));
    m->ram = test_ram_create(RAM_PAGES * PAGE_SIZE);
    m->map = (struct code_map){.base = RAM_BASE, .pages = RAM_PAGES};
    m->map.state = calloc(RAM_PAGES, sizeof(*m->map.state));
    ASSERT(m->map.state);
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
    build_memory(m, text);
    ASSERT(csr_poke(hart, CSR_pmpaddr0, UINT64_MAX >> 10) && csr_poke(hart, CSR_pmpcfg0, 0x1f) &&
           csr_poke(hart, CSR_mtvec, RAM_BASE + TRAPS * PAGE_SIZE) &&
           csr_poke(hart, CSR_satp, UINT64_C(8) << 60 | (RAM_BASE / PAGE_SIZE + ROOT)));
    return m;
}

static void destroy(struct machine *m)
{
    jit_detach(&m->hart);
    code_cache_destroy(m->hart.code);
    free(m->map.state);
    test_ram_destroy(m->ram, RAM_PAGES * PAGE_SIZE);
    free(m);
}

/* ---- between runs ---- */

static void change_mapping(void)
{
    static const u8 rights[] = {R | W | AD, R | W | AD, R | W | AD, R | W | AD,
                                R | W | AD, R | W | AD, R | W | AD, R | W | AD,
                                R | W | AD, R | AD,     R | AD,     0};
    u32 page = (u32)rnd(PAGES), how = (u32)rnd(3);
    u64 value = pte(DATA + (u32)(rnd(3) ? page : rnd(HOSTS)), rights[rnd(ARRAY_SIZE(rights))]) |
                (rnd(4) ? U : 0);

    for (u32 i = 0; i < 2; i++) {
        put(machine[i], LAST, VA / PAGE_SIZE + page, value);
        if (!how)
            mmu_flush_supervisor(&machine[i]->hart);
        else if (how == 1)
            mmu_flush_space(&machine[i]->hart, 0);
        else
            mmu_flush_page(&machine[i]->hart, VA + page * PAGE_SIZE);
    }
}

/* The upper half of a page is said to hold code. */
static void make_code(void)
{
    u32 host = (u32)rnd(HOSTS);
    gpa_t gpa = RAM_BASE + (DATA + host) * PAGE_SIZE;
    bool trusted;

    for (u32 i = 0; i < 2; i++) {
        struct machine *m = machine[i];
        m->word[host] = code_map_protect(&m->map, &m->hart, gpa, &trusted);
        mem_protect(&m->hart, gpa);
        code_map_mark(&m->map, gpa + 0x800, 0x800, m->word[host]);
    }
}

static void run(void)
{
    const u64 a0 = VA + rnd((PAGES - 2) * PAGE_SIZE),
              a1 = VA + rnd(PAGES) * PAGE_SIZE + rnd(PAGE_SIZE);
    const u64 count = 1 + rnd(40), stride = rnd(2) ? 8 : rnd(2) ? 0 : rnd(0x180);
    const bool user = rnd(2), sum = rnd(4);
    const u64 text = rnd(2) ? 0 : 4 * LOOP_MAX * rnd(LOOPS);
    u64 gs = 0, a5 = VA + rnd(PAGES * PAGE_SIZE - 64);

    ASSERT(!syscall(SYS_arch_prctl, ARCH_GET_GS, &gs));
    if (gs && !rnd(4))
        a5 = (u64)(uintptr_t)own - gs;
    for (u32 i = 0; i < 2; i++) {
        struct hart *hart = &machine[i]->hart;
        ASSERT(csr_poke(hart, CSR_mstatus, sum ? MSTATUS_SUM : 0));
        trap_set_mode(hart, user ? PRIV_U : PRIV_S);
        hart->pc = (user ? CODE_U : CODE_S) + text;
        hart->x[A0] = a0;
        hart->x[A1] = a1 & ~UINT64_C(7);
        hart->x[A3] = count;
        hart->x[A4] = stride;
        hart->x[A5] = a5;
        hart->x[A6] = a0 & ~UINT64_C(7);
        CHECK_EQ(i ? interp_run(hart, false) : jit_run(hart, false), HART_EXIT_WFI);
    }
}

static bool agree(void)
{
    const struct machine *a = machine[0], *b = machine[1];
    bool same = !memcmp(a->hart.x, b->hart.x, 32 * 8) && a->hart.insns == b->hart.insns &&
                a->hart.csr.mepc == b->hart.csr.mepc && a->hart.csr.mtval == b->hart.csr.mtval &&
                a->hart.csr.mcause == b->hart.csr.mcause &&
                !memcmp(a->ram, b->ram, RAM_PAGES * PAGE_SIZE);

    for (u32 i = 0; i < ARRAY_SIZE(own); i++)
        same &= own[i] == UINT64_C(0x1234567812345678);
    for (u32 i = 0; i < HOSTS; i++) {
        gpa_t gpa = RAM_BASE + (DATA + i) * PAGE_SIZE;
        same &= code_map_changed(&machine[0]->map, gpa, a->word[i]) ==
                code_map_changed(&machine[1]->map, gpa, b->word[i]);
    }
    return same;
}

static u64 site_fills(const struct tlb *tlb)
{
    u64 fills = 0;

    for (u32 i = 0; i < TLB_HOSTS * TLB_SITES; i++)
        fills += tlb->pool[i / TLB_SITES].site[i % TLB_SITES].fills;
    return fills;
}

TEST(loops_notice_what_changes_between_them)
{
    const typeof(machine[0]->hart.stats) *stats;
    static u32 text[LOOPS * LOOP_MAX];
    u32 faults = 0, filled = 0;

    if (!jit_is_supported())
        return;
    for (u32 i = 0; i < ARRAY_SIZE(own); i++)
        own[i] = UINT64_C(0x1234567812345678);
    build_loops(text);
    for (u32 i = 0; i < 2; i++)
        machine[i] = create(!i, text);
    stats = &machine[0]->hart.stats;
    for (u32 i = 0; i < PAGES * 4; i++)
        change_mapping();
    for (u32 i = 0; i < RUNS; i++) {
        if (!rnd(6))
            change_mapping();
        if (!rnd(8))
            make_code();
        run();
        filled += site_fills(&machine[0]->hart.tlb) != 0;
        faults += machine[0]->hart.csr.mcause == CAUSE_LOAD_PAGE ||
                  machine[0]->hart.csr.mcause == CAUSE_STORE_PAGE;
        if (!agree()) {
            printf("# run %u: mcause %lx and %lx\n", i, machine[0]->hart.csr.mcause,
                   machine[1]->hart.csr.mcause);
            CHECK(false);
            break;
        }
    }
    CHECK(faults > RUNS / 50 && faults < RUNS - RUNS / 20);
    CHECK(filled > RUNS / 20);
    CHECK(stats->views && stats->view_pages > RUNS / 20 && stats->view_faults > RUNS / 20);
    printf(
        "# %u runs, %u after which sites are filled, %u faults, %lu TLB fills, %lu groups apart\n",
        RUNS, filled, faults, stats->tlb_fills, stats->unguarded);
    printf("# %lu views, %lu pages mapped, %lu faults of the host\n", stats->views,
           stats->view_pages, stats->view_faults);
    for (u32 i = 0; i < 2; i++)
        destroy(machine[i]);
}

int main(void)
{
    return test_main();
}
