/* SPDX-License-Identifier: BSD-2-Clause */
/* Harts on their threads: sleep, suspend, stop and step while others pause, wake and fence. */
#include "exec/exec.h"

#include "tests/test.h"

#include "rv/code_map.h"
#include "rv/csr.h"
#include "rv/mem.h"
#include "rv/trap.h"

#include <pthread.h>
#include <sched.h>
#include <unistd.h>

#define RAM      UINT64_C(0x80000000)
#define RAM_SIZE (64 * KIB)

enum {
    ADDI_S0_1 = 0x00140413,
    ADDI_S0_2 = 0x00240413,
    ECALL = 0x00000073,
    WFI = 0x10500073,
    JUMP_BACK = 0xff9ff06f, /* by two instructions */
};

struct world {
    struct exec *exec;
    struct hart_env env;
    struct gmem gmem;
    _Atomic u32 calls, woken, stops; /* ecalls, suspends that ended, what the debugger was told */
    bool stops_hart;                 /* an ecall stops the hart; else it suspends it */
};

static bool counted, translated; /* what the next world is to be */

/* On a thread a hart, and by counts on one. */
#define TEST_BOTH(name)              \
    static void name##_either(void); \
    TEST(name)                       \
    {                                \
        name##_either();             \
    }                                \
    TEST(name##_counted)             \
    {                                \
        counted = true;              \
        name##_either();             \
        counted = false;             \
    }                                \
    static void name##_either(void)

static u64 world_time(void *ctx)
{
    return 0;
}

static bool world_ecall(void *ctx, struct hart *hart)
{
    struct world *w = ctx;

    w->calls++;
    if (w->stops_hart)
        exec_hart_stop(w->exec, hart->id);
    else
        exec_hart_suspend(w->exec, hart->id);
    return true;
}

static void world_woke(void *ctx, struct hart *hart)
{
    struct world *w = ctx;

    atomic_fetch_and(&hart->irq_soft, ~BIT(IRQ_SSI));
    w->woken++;
}

static void world_stopped(void *ctx, struct hart *hart, enum hart_exit why)
{
    ((struct world *)ctx)->stops++;
}

static void world_written(void *ctx, gpa_t gpa, u64 len)
{
    code_map_written(((struct world *)ctx)->env.code_map, gpa, len);
}

static void put(struct world *w, gpa_t at, const u32 *insns, u32 count)
{
    for (u32 i = 0; i < count; i++) {
        u8 bytes[4];
        le32_store(bytes, insns[i]);
        CHECK(gmem_write(&w->gmem, at + 4 * i, bytes, 4));
    }
}

/* Harts in S-mode at RAM, woken by SSI, which is not taken. The first may run, once resumed. */
static struct world *world_create(u32 harts, const u32 *insns, u32 count)
{
    struct world *w = calloc(1, sizeof(*w));
    struct exec_config c = {.env = &w->env,
                            .hart_count = harts,
                            .ram_base = RAM,
                            .ram_size = RAM_SIZE,
                            .stopped = world_stopped,
                            .woke = world_woke,
                            .icount = counted,
                            .icount_shift = 3,
                            .translate = translated,
                            .ctx = w};
    struct err err;

    isa_default(&c.isa);
    w->gmem.region[0] =
        (struct gmem_region){.base = RAM, .size = RAM_SIZE, .host = aligned_alloc(4096, RAM_SIZE)};
    memset(w->gmem.region[0].host, 0, RAM_SIZE);
    w->gmem.count = 1;
    w->env =
        (struct hart_env){.gmem = &w->gmem, .time = world_time, .ecall = world_ecall, .ctx = w};
    if (exec_create(&w->exec, &c, &err))
        abort();
    w->gmem.written = world_written;
    w->gmem.ctx = w;
    put(w, RAM, insns, count);
    for (u32 i = 0; i < harts; i++) {
        hart_reset(exec_hart(w->exec, i), 0);
        hart_enter_supervisor(exec_hart(w->exec, i), RAM, 0);
        CHECK(csr_poke(exec_hart(w->exec, i), CSR_mie, BIT(IRQ_SSI)));
    }
    if (exec_start(w->exec, &err))
        abort();
    exec_hart_start(w->exec, 0);
    return w;
}

static void world_destroy(struct world *w)
{
    exec_destroy(w->exec);
    free(w->gmem.region[0].host);
    free(w);
}

/* Waits until the counter passes value; the program's alarm ends a wait in vain. */
static void await(_Atomic u32 *counter, u32 value)
{
    while (atomic_load(counter) <= value)
        sched_yield();
}

TEST_BOTH(suspend_and_pause_meet)
{
    static const u32 insns[] = {ECALL, ADDI_S0_1, JUMP_BACK};
    struct world *w = world_create(1, insns, ARRAY_SIZE(insns));

    alarm(60);
    exec_resume(w->exec);
    for (u32 i = 0; i < 20000; i++) {
        exec_set_soft_irq(w->exec, 0, IRQ_SSI);
        if (i % 3)
            sched_yield();
        exec_pause(w->exec);
        exec_resume(w->exec);
    }
    alarm(0);
    CHECK(w->woken > 0);
    world_destroy(w);
}

TEST_BOTH(pause_does_not_end_suspend)
{
    static const u32 insns[] = {ECALL, ADDI_S0_1, JUMP_BACK};
    struct world *w = world_create(1, insns, ARRAY_SIZE(insns));

    alarm(60);
    exec_resume(w->exec);
    await(&w->calls, 0);
    for (u32 i = 0; i < 100; i++) {
        exec_pause(w->exec);
        exec_resume(w->exec);
    }
    CHECK_EQ(w->woken, 0);
    exec_set_soft_irq(w->exec, 0, IRQ_SSI);
    await(&w->calls, 1);
    CHECK_EQ(w->woken, 1);
    alarm(0);
    world_destroy(w);
}

/* An interrupt that is withdrawn again and again: the hart must not end up asleep in a handler. */
TEST_BOTH(vanishing_interrupts)
{
    static const u32 insns[] = {WFI, ADDI_S0_1, JUMP_BACK}, handler[] = {ECALL};
    struct world *w = world_create(1, insns, ARRAY_SIZE(insns));
    struct hart *hart = exec_hart(w->exec, 0);

    alarm(60);
    w->stops_hart = true;
    put(w, RAM + 0x100, handler, 1);
    CHECK(csr_poke(hart, CSR_stvec, RAM + 0x100));
    CHECK(csr_poke(hart, CSR_mie, BIT(IRQ_SEI)));
    CHECK(csr_poke(hart, CSR_sstatus, MSTATUS_SIE));
    exec_resume(w->exec);
    while (!w->calls) {
        exec_set_irq(w->exec, 0, IRQ_SEI, true);
        exec_set_irq(w->exec, 0, IRQ_SEI, false);
    }
    while (exec_hart_is_started(w->exec, 0))
        sched_yield();
    exec_pause(w->exec);
    CHECK_EQ(hart->csr.scause, BIT(63) | IRQ_SEI);
    CHECK_EQ(hart->pc, RAM + 0x104);
    alarm(0);
    world_destroy(w);
}

TEST_BOTH(step_serves_fences)
{
    static const u32 insns[] = {ADDI_S0_1, ADDI_S0_1}, new[] = {ADDI_S0_2};
    struct world *w = world_create(1, insns, ARRAY_SIZE(insns));
    struct hart *hart = exec_hart(w->exec, 0);

    alarm(60);
    for (u32 i = 0; i < 3; i++) {
        exec_release_hart(w->exec, 0, true);
        exec_resume(w->exec);
        await(&w->stops, i);
        exec_pause(w->exec);
        if (i == 1) { /* both are done and decoded: the second one again, but changed */
            CHECK_EQ(hart->x[8], 2);
            put(w, RAM + 4, new, 1);
            hart->pc = RAM + 4;
            hart_attention(hart, ATTN_FLUSH_CODE);
        }
    }
    CHECK_EQ(hart->x[8], 4);
    alarm(0);
    world_destroy(w);
}

/* A hart that steps over the call that stops it is stopped. */
TEST_BOTH(step_over_stop)
{
    static const u32 insns[] = {ECALL, ADDI_S0_1, JUMP_BACK};
    struct world *w = world_create(1, insns, ARRAY_SIZE(insns));

    alarm(60);
    w->stops_hart = true;
    exec_release_hart(w->exec, 0, true);
    exec_resume(w->exec);
    await(&w->stops, 0);
    CHECK(!exec_hart_is_started(w->exec, 0));
    alarm(0);
    world_destroy(w);
}

#define FIRINGS   50
#define PERIOD_NS 1237 /* no multiple of an instruction's 8 ns */

struct firing {
    struct world *world;
    struct timer_port port;
    u64 ns[FIRINGS], insns[FIRINGS], s0[FIRINGS];
    _Atomic u32 count;
};

static void fired(void *ctx, u32 arg)
{
    struct firing *f = ctx;
    const struct hart *hart = exec_hart(f->world->exec, arg);
    u32 n = f->count;

    if (n == FIRINGS)
        return;
    f->ns[n] = exec_virtual_ns(f->world->exec);
    f->insns[n] = hart->insns;
    f->s0[n] = hart->x[8];
    timer_arm(&f->port, PERIOD_NS * (u64)(n + 2));
    f->count = n + 1;
}

/* Timers fire between the same two instructions, whatever pauses from outside. */
TEST(timers_fire_at_counts)
{
    static const u32 insns[] = {ADDI_S0_1, ADDI_S0_1, JUMP_BACK};

    for (u32 run = 0; run < 4; run++) {
        struct firing f = {0};
        counted = true;
        translated = run & 1;
        f.world = world_create(1, insns, ARRAY_SIZE(insns));
        f.port = exec_virtual_timer(f.world->exec, fired, &f, 0);
        timer_arm(&f.port, PERIOD_NS);
        exec_resume(f.world->exec);
        alarm(60);
        while (f.count < FIRINGS) {
            if (run & 2) {
                exec_pause(f.world->exec);
                exec_resume(f.world->exec);
            }
            sched_yield();
        }
        exec_pause(f.world->exec);
        alarm(0);
        for (u32 i = 0; i < FIRINGS; i++) {
            u64 n = (PERIOD_NS * (u64)(i + 1) + 7) / 8;
            CHECK_EQ(f.ns[i], n * 8);
            CHECK_EQ(f.insns[i], n);
            CHECK_EQ(f.s0[i], n / 3 * 2 + (n % 3 == 2 ? 2 : n % 3));
        }
        world_destroy(f.world);
    }
    counted = translated = false;
}

/* Time stands still only if nothing is to come: else it jumps there. */
TEST(idle_time_is_jumped_over)
{
    static const u32 insns[] = {WFI, ADDI_S0_1, JUMP_BACK};
    struct firing f = {0};

    counted = true;
    f.world = world_create(2, insns, ARRAY_SIZE(insns));
    f.port = exec_virtual_timer(f.world->exec, fired, &f, 0);
    timer_arm(&f.port, UINT64_C(3600000000000));
    exec_resume(f.world->exec);
    alarm(60);
    await(&f.count, 0);
    exec_pause(f.world->exec);
    CHECK_EQ(f.insns[0], 1);
    CHECK_EQ(f.ns[0], UINT64_C(3600000000000));
    CHECK(exec_hart_waits(f.world->exec, 0));
    alarm(0);
    world_destroy(f.world);
    counted = false;
}

static const u8 *host_page(const struct world *w, gpa_t gpa)
{
    const struct gmem_region *r = gmem_find(w->env.gmem, gpa, PAGE_SIZE);

    return r->host + (gpa - r->base);
}

static bool may_write(const struct hart *hart, gva_t va)
{
    return tlb_serves(&hart->tlb.table[TLB_S].write[tlb_index(va)], va, 1);
}

/* One that attends at once, and one so late that nobody knows what has been protected. */
TEST(write_entries_go_however_late_a_hart_attends)
{
    static const u32 insns[] = {WFI};

    for (u32 times = 1; times <= CODE_MAP_RECENT + 1; times += CODE_MAP_RECENT) {
        struct world *w = world_create(2, insns, 1);
        struct hart *one = exec_hart(w->exec, 0), *other = exec_hart(w->exec, 1);
        for (gpa_t at = RAM; at < RAM + 3 * PAGE_SIZE; at += PAGE_SIZE) {
            const struct tlb_fill fill = {at, (u8 *)(uintptr_t)host_page(w, at), true, true, false};
            tlb_fill(&other->tlb, TLB_S, &fill);
        }
        for (u32 i = 0; i < times; i++) {
            const gpa_t at = RAM + (i % 2) * 2 * PAGE_SIZE;
            bool trusted;
            u64 word;
            code_map_written(w->env.code_map, at, 2);
            word = code_map_protect(w->env.code_map, one, at, &trusted);
            code_map_mark(w->env.code_map, at, 2, word);
        }
        mem_attend_protect(other);
        CHECK(!may_write(other, RAM));
        CHECK(may_write(other, RAM + PAGE_SIZE));
        CHECK_EQ(may_write(other, RAM + 2 * PAGE_SIZE), times == 1);
        world_destroy(w);
    }
}

TEST(code_is_trusted_once_all_have_acknowledged)
{
    static const u32 insns[] = {WFI};
    struct world *w = world_create(2, insns, 1);
    struct hart *one = exec_hart(w->exec, 0), *other = exec_hart(w->exec, 1);
    struct code_map *map = w->env.code_map;
    bool trusted;
    gpa_t gpa;
    u64 word;

    /* The other sleeps, as it was never started. */
    code_map_protect(map, one, RAM + 0x1000, &trusted);
    CHECK(trusted);
    atomic_store(&other->code_ack, 0);
    word = code_map_protect(map, one, RAM + 0x2000, &trusted);
    CHECK(!trusted);
    CHECK(atomic_load(&other->attn) & ATTN_PROTECT);
    mem_attend_protect(other);
    CHECK_EQ(code_map_protect(map, one, RAM + 0x2000, &trusted), word);
    CHECK(trusted);
    CHECK(!code_map_changed(map, RAM + 0x2000, word));
    code_map_written(map, RAM + 0x2ffe, 4);
    CHECK(!code_map_changed(map, RAM + 0x2000, word)); /* there is no code yet */
    CHECK(code_map_is_code(map, RAM + 0x2000));
    code_map_mark(map, RAM + 0x2ffe, 2, word);
    code_map_written(map, RAM + 0x2800, 8);
    CHECK(!code_map_changed(map, RAM + 0x2000, word));
    code_map_written(map, RAM + 0x2ffe, 4);
    CHECK(code_map_changed(map, RAM + 0x2000, word));
    CHECK(!code_map_is_code(map, RAM + 0x2000));
    CHECK(code_map_changed_at(map, code_map_writes(map), &gpa) && gpa == RAM + 0x2000);
    world_destroy(w);
}

TEST_MAIN()
