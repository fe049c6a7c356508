/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Code that changes: by the hart itself, by another hart with and without interrupts, on pages
 * that are data at the same time, through aliases, by AMO and by misaligned stores.
 */
#include "priv.h"

#define ROUNDS   4000
#define FN_PAGES 4

static u32 code[FN_PAGES][1024] PAGE_ALIGNED;
static struct ctx c;

typedef u64 (*code_fn)(void);

/* lui a0, v >> 12 + addi: a function that returns v (below 2^31). */
static void write_function(volatile u32 *at, u32 v)
{
    u32 low = v & 0xfff, high = (v + 0x800) & 0xfffff000;

    at[0] = high | 10 << 7 | 0x37;
    at[1] = low << 20 | 10 << 15 | 10 << 7 | 0x1b; /* addiw */
    at[2] = 0x00008067;
}

static u64 call(volatile u32 *at)
{
    return ((code_fn)(u64)at)();
}

static void test_own_code(void)
{
    for (u32 i = 0; i < ROUNDS; i++) {
        u32 *at = &code[i % FN_PAGES][i * 7 % 1000];

        check_note = i;
        write_function(at, i * 12345 & 0x7fffffff);
        fence_i();
        CHECK_EQ(call(at), i * 12345 & 0x7fffffff);
    }
}

/* One function, one word of it rewritten by each kind of store. */
static void test_kinds_of_stores(void)
{
    volatile u32 *at = &code[0][2046 / 4];

    for (u32 i = 0; i < 600; i++) {
        u32 insn = insn_addi(10, 0, i & 0x7ff);

        check_note = i;
        at[1] = 0x00008067;
        switch (i % 6) {
        case 0:
            at[0] = insn;
            break;
        case 1:
            __asm__ volatile("amoswap.w zero, %1, (%0)" ::"r"(at), "r"(insn) : "memory");
            break;
        case 2:
            for (u32 k = 0; k < 4; k++)
                ((volatile u8 *)at)[k] = (u8)(insn >> 8 * k);
            break;
        case 3: /* misaligned, on two words */
            __asm__ volatile("sh %1, 0(%0); sw %2, 2(%0)" ::"r"(at), "r"(insn),
                             "r"(insn >> 16 | 0x80670000u)
                             : "memory");
            at[1] = 0x00008067;
            break;
        case 4: {
            u64 fail;
            do
                __asm__ volatile("lr.w %0, (%1); sc.w %0, %2, (%1)"
                                 : "=&r"(fail)
                                 : "r"(at), "r"(insn)
                                 : "memory");
            while (fail);
            break;
        }
        default:
            *(volatile u64 *)at = (u64)0x00008067 << 32 | insn;
        }
        fence_i();
        CHECK_EQ(call(at), i & 0x7ff);
    }
}

/* Written through another virtual address, by S-mode's physical twin. */
static void test_alias(void)
{
    const u64 va = 0x1000000000ul;
    static const u32 jump[] = {0x000500e7}; /* jalr a0 */

    vm_init(3);
    vm_map(va, (u64)code[1], PTE_RWX);
    csr_write(satp, vm_satp(1));
    sfence();
    for (u32 i = 1; i < 300; i++) {
        check_note = i;
        code[1][0] = insn_addi(12, 0, i);
        code[1][1] = 0x00008067;
        fence_i();
        c.x[10] = va;
        run_insns(&c, PRIV_S, jump, 1);
        CHECK_EQ(c.cause, 9);
        CHECK_EQ(c.x[12], i);
    }
    csr_write(satp, 0);
}

/* A store to the very next instruction, then FENCE.I within the sequence. */
static void test_next_instruction(void)
{
    static const u32 insns[] = {
        0x00b52023,              /* sw a1, 0(a0): replaces the addi below */
        INSN_FENCEI, 0x00100613, /* li a2, 1 */
    };

    for (u32 i = 2; i < 200; i++) {
        check_note = i;
        c.x[10] = (u64)&insn_page[2];
        c.x[11] = insn_addi(12, 0, i);
        run_insns(&c, PRIV_M, insns, COUNT(insns));
        CHECK_EQ(c.x[12], i);
    }
}

/* cbo.zero over code: all of it is illegal then. */
static void test_cbo_zero(void)
{
    if (on_qemu()) {
        skip("QEMU 7.2 has no Zicboz");
        return;
    }
    for (u32 i = 0; i < 50; i++) {
        write_function(&code[2][16], i);
        fence_i();
        CHECK_EQ(call(&code[2][16]), i);
        __asm__ volatile(".insn i 0x0f, 2, x0, %0, 4" ::"r"(&code[2][16]) : "memory");
        fence_i();
        c.pc = (u64)&code[2][16];
        run(&c, PRIV_M, 0);
        CHECK_TRAP(&c, 2, (u64)&code[2][16], 0);
    }
}

/* Across harts. The writer stores code and a sequence number; readers fence and run. */
static struct {
    volatile u64 round __attribute__((aligned(64)));
    volatile u64 done[8] __attribute__((aligned(64)));
    volatile u64 wrong, stop, ipis[8];
} shared;

static u64 rounds;

/*
 * Waits a little without a hint, so that between two near harts nothing but the stores themselves
 * happens; then gives way, for the other may have no host processor.
 */
static void relax(u32 *spins)
{
    if (++*spins > 300)
        pause();
}

static void reader(u64 id)
{
    for (u64 r = 1; r <= rounds; r++) {
        u32 spins = 0;
        u32 *at = &code[r % FN_PAGES][(r * 64 + id * 8) % 1000];

        while (shared.round < r)
            relax(&spins);
        fence();
        fence_i();
        if (call(at) != (r * 8 + id))
            shared.wrong++;
        fence();
        shared.done[id] = r;
    }
}

/* Flag and FENCE.I on the reader's side; every hart has a function of its own on the same page. */
static void test_flag_protocol(void)
{
    memset(&shared, 0, sizeof(shared));
    for (u32 h = 1; h < hart_count; h++)
        hart_start(h, reader, h);
    for (u64 r = 1; r <= rounds; r++) {
        u32 spins = 0;
        for (u32 h = 1; h < hart_count; h++)
            write_function(&code[r % FN_PAGES][(r * 64 + h * 8) % 1000], (u32)(r * 8 + h));
        fence();
        shared.round = r;
        for (u32 h = 1; h < hart_count; h++) {
            while (shared.done[h] < r)
                relax(&spins);
        }
    }
    for (u32 h = 1; h < hart_count; h++)
        hart_join(h);
    CHECK_EQ(shared.wrong, 0);
}

/* The same, but no branch lies between the store to the code and the one to the flag. */
static void straight_writer(u64 id)
{
    volatile u32 *at = &code[0][0];

    (void)id;
    at[1] = 0x00008067;
    for (u64 r = 1; r <= rounds; r++) {
        u32 spins = 0;
        u32 insn = insn_addi(10, 0, r & 0x7ff);

        __asm__ volatile("sw %2, 0(%1); fence rw, rw; sd %3, 0(%0)" ::"r"(&shared.round), "r"(at),
                         "r"(insn), "r"(r)
                         : "memory");
        while (shared.done[0] < r)
            relax(&spins);
    }
}

static void test_straight_writer(void)
{
    memset(&shared, 0, sizeof(shared));
    hart_start(1, straight_writer, 1);
    for (u64 r = 1; r <= rounds; r++) {
        u32 spins = 0;
        check_note = r;
        while (shared.round < r)
            relax(&spins);
        fence();
        fence_i();
        CHECK_EQ(call(&code[0][0]), r & 0x7ff);
        fence();
        shared.done[0] = r;
    }
    hart_join(1);
}

/* Readers sleep in WFI; the writer's IPI wakes them, and their FENCE.I does the rest. */
static void sleeper(u64 id)
{
    csr_set(mie, 8);
    for (u64 r = 1; r <= rounds / 4; r++) {
        u32 spins = 0;
        while (!(csr_read(mip) & 8))
            __asm__ volatile("wfi");
        write32(CLINT_BASE + 4 * id, 0);
        while (csr_read(mip) & 8)
            relax(&spins);
        fence();
        fence_i();
        if (call(&code[id % FN_PAGES][32]) != (r * 8 + id))
            shared.wrong++;
        fence();
        shared.done[id] = r;
    }
    csr_clear(mie, 8);
}

static void test_ipi_protocol(void)
{
    memset(&shared, 0, sizeof(shared));
    for (u32 h = 1; h < hart_count; h++)
        hart_start(h, sleeper, h);
    for (u64 r = 1; r <= rounds / 4; r++) {
        u32 spins = 0;
        for (u32 h = 1; h < hart_count; h++) {
            write_function(&code[h % FN_PAGES][32], (u32)(r * 8 + h));
            fence();
            write32(CLINT_BASE + 4 * h, 1);
        }
        for (u32 h = 1; h < hart_count; h++) {
            while (shared.done[h] < r)
                relax(&spins);
        }
    }
    for (u32 h = 1; h < hart_count; h++)
        hart_join(h);
    CHECK_EQ(shared.wrong, 0);
}

/* Each hart rewrites a function for the next one, round and round, all on one page. */
static void ring_step(u64 id)
{
    u64 next = (id + 1) % hart_count;

    for (u64 r = 0; r < rounds / 2; r++) {
        u32 spins = 0;
        u64 turn = r * hart_count + id;

        while (shared.round != turn)
            relax(&spins);
        fence();
        fence_i();
        if (turn && call(&code[3][id * 16]) != (turn & 0x7fffffff))
            shared.wrong++;
        write_function(&code[3][next * 16], (u32)(turn + 1) & 0x7fffffff);
        fence();
        shared.round = turn + 1;
    }
}

static void test_ring(void)
{
    memset(&shared, 0, sizeof(shared));
    for (u32 h = 1; h < hart_count; h++)
        hart_start(h, ring_step, h);
    ring_step(0);
    for (u32 h = 1; h < hart_count; h++)
        hart_join(h);
    CHECK_EQ(shared.wrong, 0);
}

/* Others write data on the page that this hart runs code from, all the time. */
static void scribbler(u64 id)
{
    volatile u64 *at = (volatile u64 *)&code[0][512 + id * 32];
    u64 n = 0;

    while (!shared.stop) {
        n++;
        at[0] = n;
        at[1] = ~n;
        if (at[0] != n || at[1] != ~n)
            shared.wrong++;
        __asm__ volatile("amoadd.d zero, %1, (%0)" ::"r"(&at[2]), "r"(1ul) : "memory");
        shared.ipis[id] = n;
    }
    if (at[2] != n)
        shared.wrong++;
}

static void test_data_beside_code(void)
{
    memset(&shared, 0, sizeof(shared));
    memset(code[0], 0, PAGE);
    for (u32 h = 1; h < hart_count; h++)
        hart_start(h, scribbler, h);
    for (u32 h = 1; h < hart_count; h++) {
        while (!shared.ipis[h])
            pause();
    }
    for (u32 i = 0; i < rounds; i++) {
        check_note = i;
        write_function(&code[0][i * 3 % 400], i);
        fence_i();
        for (u32 k = 0; k < 10; k++)
            CHECK_EQ(call(&code[0][i * 3 % 400]), i);
    }
    /* And without FENCE.I, code that does not change runs on unharmed. */
    for (u32 i = 0; i < 10 * rounds; i++)
        CHECK_EQ(call(&code[0][(rounds - 1) * 3 % 400]), rounds - 1);
    shared.stop = 1;
    for (u32 h = 1; h < hart_count; h++)
        hart_join(h);
    CHECK_EQ(shared.wrong, 0);
}

void tests(void)
{
    test("own code", test_own_code);
    test("every kind of store", test_kinds_of_stores);
    test("an alias", test_alias);
    test("the next instruction", test_next_instruction);
    test("cbo.zero", test_cbo_zero);
    if (hart_count < 2)
        return;
    /* With more harts than a host has processors each round costs time slices. */
    rounds = ROUNDS / (hart_count > 2 ? 8 : 1);
    test("another hart: flag, then fence.i", test_flag_protocol);
    test("another hart: no branch between code and flag", test_straight_writer);
    test("another hart: IPI, then fence.i", test_ipi_protocol);
    test("harts in a ring on one page", test_ring);
    test("data beside code, written by others", test_data_beside_code);
}
