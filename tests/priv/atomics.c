/* SPDX-License-Identifier: BSD-2-Clause */
/* LR/SC, AMO and CAS: results, failures, misalignment, counters that harts share. */
#include "priv.h"

#define ROUNDS 200000

static struct ctx c;
static u64 words[512] PAGE_ALIGNED;

static struct {
    volatile u64 lrsc_d __attribute__((aligned(64)));
    volatile u32 lrsc_w __attribute__((aligned(64)));
    volatile u64 amo_d __attribute__((aligned(64)));
    volatile u32 amo_w __attribute__((aligned(64)));
    volatile u32 cas_w __attribute__((aligned(64)));
    volatile u64 cas_d __attribute__((aligned(64)));
    volatile u64 cas_q[2] __attribute__((aligned(64)));
    volatile u16 amo_h[4] __attribute__((aligned(64)));
    volatile u64 wrong;
} shared;

static u64 rounds;

static bool has_cas(void)
{
    return !on_qemu();
}

/* LR at x10, SC at x11 of x12; result in x13, between them insn. */
static u64 pair(u32 lr_f3, u32 sc_f3, u64 lr_at, u64 sc_at, u32 between)
{
    const u32 insns[] = {insn_amo(LR, lr_f3, 14, 10, 0), between, insn_amo(SC, sc_f3, 13, 11, 12)};

    c.x[10] = lr_at;
    c.x[11] = sc_at;
    c.x[12] = 0x1111222233334444;
    c.x[13] = 99;
    run_insns(&c, PRIV_M, insns, 3);
    CHECK_EQ(c.cause, 11);
    return c.x[13];
}

static void test_lrsc(void)
{
    words[0] = 5;
    words[1] = 6;
    CHECK_EQ(pair(3, 3, (u64)words, (u64)words, INSN_NOP), 0);
    CHECK_EQ(words[0], 0x1111222233334444);
    CHECK_EQ(c.x[14], 5);
    words[0] = 0x80000000;
    CHECK_EQ(pair(2, 2, (u64)words, (u64)words, INSN_NOP), 0);
    CHECK_EQ(words[0], 0x33334444);
    CHECK_EQ(c.x[14], 0xffffffff80000000);
    /* Another address, outside any sensible reservation set */
    words[0] = 5;
    CHECK(pair(3, 3, (u64)words, (u64)&words[256], INSN_NOP) != 0);
    CHECK_EQ(words[256], 0);
    /* A successful SC uses the reservation up, so does one that fails. */
    c.x[10] = (u64)words;
    run_insn(&c, PRIV_M, insn_amo(LR, 3, 14, 10, 0));
    run_insn(&c, PRIV_M, insn_amo(SC, 3, 13, 10, 12));
    c.x[13] = 0;
    run_insn(&c, PRIV_M, insn_amo(SC, 3, 13, 10, 12));
    CHECK(c.x[13] != 0);
    words[300] = 1;
    CHECK(pair(3, 3, (u64)words, (u64)&words[256], INSN_NOP) != 0);
    c.x[10] = (u64)words;
    run_insn(&c, PRIV_M, insn_amo(SC, 3, 13, 10, 12));
    CHECK(c.x[13] != 0);
    CHECK_EQ(words[256], 0);
}

/* Every atomic of every width at every misaligned address traps with its address. */
static void test_misaligned(void)
{
    static const u32 amos[] = {0x00, 0x01, 0x04, 0x08, 0x0c, 0x10, 0x14, 0x18, 0x1c};

    for (u32 f3 = 2; f3 <= 3; f3++) {
        for (u64 off = 1; off < 1ul << f3; off++) {
            u64 at = (u64)words + off;

            check_note = f3 << 8 | off;
            c.x[10] = at;
            run_insn(&c, PRIV_S, insn_amo(LR, f3, 11, 10, 0));
            CHECK_TRAP(&c, 4, (u64)insn_page, at);
            run_insn(&c, PRIV_S, insn_amo(SC, f3, 11, 10, 12));
            if (!on_qemu()) /* 7.2: the SC fails before its address is looked at */
                CHECK_TRAP(&c, 6, (u64)insn_page, at);
            for (u32 i = 0; i < COUNT(amos); i++) {
                words[0] = words[1] = 7;
                run_insn(&c, PRIV_S, insn_amo(amos[i], f3, 11, 10, 12));
                CHECK_TRAP(&c, on_qemu() ? c.cause : 6, (u64)insn_page, at);
                CHECK_EQ(words[0], 7);
                CHECK_EQ(words[1], 7);
            }
            if (has_cas()) {
                run_insn(&c, PRIV_S, insn_amo(AMOCAS, f3, 14, 10, 12));
                CHECK_TRAP(&c, 6, (u64)insn_page, at);
            }
        }
    }
    if (!has_cas())
        return;
    c.x[10] = (u64)words + 8; /* amocas.q wants 16 */
    run_insn(&c, PRIV_S, insn_amo(AMOCAS, 4, 14, 10, 12));
    CHECK_TRAP(&c, 6, (u64)insn_page, (u64)words + 8);
    c.x[10] = (u64)words + 1;
    run_insn(&c, PRIV_S, insn_amo(AMOADD, 1, 14, 10, 12)); /* amoadd.h */
    CHECK_TRAP(&c, 6, (u64)insn_page, (u64)words + 1);
    run_insn(&c, PRIV_S, insn_amo(AMOADD, 0, 14, 10, 12)); /* amoadd.b */
    CHECK(completed(&c));
}

static void test_cas(void)
{
    if (!has_cas()) {
        skip("QEMU 7.2 has no Zacas");
        return;
    }
    memset(&c, 0, sizeof(c));
    c.x[10] = (u64)words;
    for (u32 f3 = 0; f3 < 4; f3++) {
        u64 mask = f3 == 3 ? -1ul : BIT(8 << f3) - 1;

        check_note = f3;
        words[0] = 0xf1f2f3f4f5f6f7f8;
        c.x[12] = 0x1122334455667788;
        c.x[14] = 0xf1f2f3f4f5f6f7f8;
        run_insn(&c, PRIV_U, insn_amo(AMOCAS, f3, 14, 10, 12));
        CHECK_EQ(words[0], (0xf1f2f3f4f5f6f7f8 & ~mask) | (0x1122334455667788 & mask));
        CHECK_EQ(c.x[14], 0xf1f2f3f4f5f6f7f8 | ~mask);
        c.x[14] = 0;
        run_insn(&c, PRIV_U, insn_amo(AMOCAS, f3, 14, 10, 12));
        CHECK_EQ(words[0] & mask, 0x1122334455667788 & mask);
        CHECK(c.x[14] != 0);
    }
    words[0] = 1;
    words[1] = 2;
    c.x[14] = 1;
    c.x[15] = 2;
    c.x[12] = 3;
    c.x[13] = 4;
    run_insn(&c, PRIV_U, insn_amo(AMOCAS, 4, 14, 10, 12));
    CHECK_EQ(words[0], 3);
    CHECK_EQ(words[1], 4);
    CHECK_EQ(c.x[14], 1);
    c.x[15] = 9;
    run_insn(&c, PRIV_U, insn_amo(AMOCAS, 4, 14, 10, 12));
    CHECK_EQ(words[0], 3);
    CHECK_EQ(c.x[14], 3);
    CHECK_EQ(c.x[15], 4);
    /* Odd registers are reserved. */
    run_insn(&c, PRIV_U, insn_amo(AMOCAS, 4, 15, 10, 12));
    CHECK_EQ(c.cause, 2);
    run_insn(&c, PRIV_U, insn_amo(AMOCAS, 4, 14, 10, 13));
    CHECK_EQ(c.cause, 2);
}

/* An atomic that fails for its page's permission faults as a store, LR as a load. */
static void test_faults(void)
{
    const u64 va = 0x1000000000ul;

    vm_init(3);
    vm_map(va, (u64)words, PTE_V | PTE_R | PTE_AD);
    csr_write(satp, vm_satp(0));
    sfence();
    c.x[10] = va;
    run_insn(&c, PRIV_S, insn_amo(LR, 3, 11, 10, 0));
    CHECK(completed(&c));
    run_insn(&c, PRIV_S, insn_amo(SC, 3, 11, 10, 12));
    if (!on_qemu())
        CHECK_TRAP(&c, 15, (u64)insn_page, va);
    run_insn(&c, PRIV_S, insn_amo(AMOADD, 3, 11, 10, 12));
    CHECK_TRAP(&c, 15, (u64)insn_page, va);
    vm_map(va, 0, 0);
    sfence();
    run_insn(&c, PRIV_S, insn_amo(LR, 3, 11, 10, 0));
    CHECK_TRAP(&c, 13, (u64)insn_page, va);
    run_insn(&c, PRIV_S, insn_amo(AMOADD, 2, 11, 10, 12));
    CHECK_TRAP(&c, on_qemu() ? c.cause : 15, (u64)insn_page, va);
    csr_write(satp, 0);
    c.x[10] = CLINT_BASE + 0x4000; /* devices have no atomics */
    run_insn(&c, PRIV_M, insn_amo(LR, 3, 11, 10, 0));
    if (!on_qemu())
        CHECK_TRAP(&c, 5, (u64)insn_page, CLINT_BASE + 0x4000);
    run_insn(&c, PRIV_M, insn_amo(AMOADD, 3, 11, 10, 12));
    if (!on_qemu())
        CHECK_TRAP(&c, 7, (u64)insn_page, CLINT_BASE + 0x4000);
    c.x[10] = HOLE;
    run_insn(&c, PRIV_M, insn_amo(AMOADD, 3, 11, 10, 12));
    CHECK_TRAP(&c, on_qemu() ? c.cause : 7, (u64)insn_page, HOLE);
}

/* A store of another hart between LR and SC makes the SC fail. */
static volatile u64 go, gone;

static void intruder(u64 n)
{
    for (u64 i = 1; i <= n; i++) {
        while (go < i)
            pause();
        fence();
        words[0] = i * 2 + 1000000;
        fence();
        gone = i;
    }
}

static void test_intruder(void)
{
    go = gone = 0;
    hart_start(1, intruder, 500);
    for (u64 i = 1; i <= 500; i++) {
        u64 value, failed;

        check_note = i;
        __asm__ volatile("lr.d %0, (%2)\n"
                         "sd %3, 0(%4)\n"
                         "1: .word 0x0100000f\n"
                         "ld %1, 0(%5)\n"
                         "bltu %1, %3, 1b\n"
                         "sc.d %1, zero, (%2)"
                         : "=&r"(value), "=&r"(failed)
                         : "r"(words), "r"(i), "r"(&go), "r"(&gone)
                         : "memory");
        CHECK(failed != 0);
        CHECK_EQ(words[0], i * 2 + 1000000);
    }
    hart_join(1);
}

static void count(u64 hart)
{
    volatile void *p;

    (void)hart;
    for (u64 i = 0; i < rounds; i++) {
        u64 t, u;

        p = &shared.lrsc_d;
        __asm__ volatile("1: lr.d %0, (%2); addi %0, %0, 1; sc.d %1, %0, (%2); bnez %1, 1b"
                         : "=&r"(t), "=&r"(u)
                         : "r"(p)
                         : "memory");
        p = &shared.lrsc_w;
        __asm__ volatile("1: lr.w.aq %0, (%2); addi %0, %0, 1; sc.w.rl %1, %0, (%2); bnez %1, 1b"
                         : "=&r"(t), "=&r"(u)
                         : "r"(p)
                         : "memory");
        __asm__ volatile("amoadd.d.aqrl zero, %1, (%0)" ::"r"(&shared.amo_d), "r"(1ul) : "memory");
        __asm__ volatile("amoadd.w zero, %1, (%0)" ::"r"(&shared.amo_w), "r"(1ul) : "memory");
    }
}

/* amocas rd = t0 (and t1), rs2 = a2 (and a3), at a0 */
static void count_cas(u64 hart)
{
    for (u64 i = 0; i < rounds; i++) {
        for (;;) {
            register u64 old __asm__("t0") = shared.cas_w;
            register u64 new __asm__("a2") = old + 1;
            register volatile void *p __asm__("a0") = &shared.cas_w;
            u64 seen = old;
            __asm__ volatile(".word %2" : "+r"(old) : "r"(new), "i"(0x28c522af), "r"(p) : "memory");
            if ((u32)old == (u32)seen)
                break;
        }
        for (;;) {
            register u64 old __asm__("t0") = shared.cas_d;
            register u64 new __asm__("a2") = old + 1;
            register volatile void *p __asm__("a0") = &shared.cas_d;
            u64 seen = old;
            __asm__ volatile(".word %2" : "+r"(old) : "r"(new), "i"(0x28c532af), "r"(p) : "memory");
            if (old == seen)
                break;
        }
        for (;;) { /* two words that always sum to 0 */
            register u64 low __asm__("t3") = shared.cas_q[0];
            register u64 high __asm__("t4") = shared.cas_q[1];
            register u64 new_low __asm__("a2") = low + 1 + hart;
            register u64 new_high __asm__("a3") = high - 1 - hart;
            register volatile void *p __asm__("a0") = shared.cas_q;
            u64 was_low = low, was_high = high;
            __asm__ volatile(".word %4"
                             : "+r"(low), "+r"(high)
                             : "r"(new_low), "r"(new_high), "i"(0x28c54e2f), "r"(p)
                             : "memory");
            if (low + high)
                shared.wrong++;
            if (low == was_low && high == was_high)
                break;
        }
        { /* amoadd.h */
            register u64 one __asm__("a2") = 1;
            register volatile void *p __asm__("a0") = &shared.amo_h[1];
            __asm__ volatile(".word 0x00c5102f" ::"r"(one), "r"(p) : "memory");
        }
    }
}

static void on_all(void (*fn)(u64))
{
    memset(&shared, 0, sizeof(shared));
    for (u32 h = 1; h < hart_count; h++)
        hart_start(h, fn, h);
    fn(0);
    for (u32 h = 1; h < hart_count; h++)
        hart_join(h);
}

static void test_counters(void)
{
    on_all(count);
    CHECK_EQ(shared.lrsc_d, rounds * hart_count);
    CHECK_EQ(shared.lrsc_w, rounds * hart_count);
    CHECK_EQ(shared.amo_d, rounds * hart_count);
    CHECK_EQ(shared.amo_w, rounds * hart_count);
}

static void test_cas_counters(void)
{
    u64 sum = 0;

    if (!has_cas()) {
        skip("QEMU 7.2 has no Zacas");
        return;
    }
    on_all(count_cas);
    for (u32 h = 0; h < hart_count; h++)
        sum += rounds * (h + 1);
    CHECK_EQ(shared.cas_w, rounds * hart_count);
    CHECK_EQ(shared.cas_d, rounds * hart_count);
    CHECK_EQ(shared.cas_q[0], sum);
    CHECK_EQ(shared.cas_q[0] + shared.cas_q[1], 0);
    CHECK_EQ(shared.wrong, 0);
    CHECK_EQ(shared.amo_h[1], (u16)(rounds * hart_count));
    CHECK_EQ(shared.amo_h[0] | shared.amo_h[2], 0);
}

/* Zawrs: neither waits for ever, wrs.nto ends when the other hart stores. */
static volatile u64 flag;

static void setter(u64 value)
{
    flag = value;
}

static void test_zawrs(void)
{
    if (on_qemu()) {
        skip("QEMU 7.2 has no Zawrs by name");
        return;
    }
    for (u64 i = 1; i < 50; i++) {
        check_note = i;
        if (hart_count > 1)
            hart_start(1, setter, i);
        else
            flag = i;
        for (;;) {
            u64 v;
            __asm__ volatile("lr.d %0, (%1)" : "=r"(v) : "r"(&flag) : "memory");
            if (v == i)
                break;
            if (i & 1)
                __asm__ volatile(".word 0x00d00073" ::: "memory"); /* wrs.nto */
            else
                __asm__ volatile(".word 0x01d00073" ::: "memory"); /* wrs.sto */
        }
        if (hart_count > 1)
            hart_join(1);
    }
    csr_set(mstatus, MSTATUS_TW);
    run_insn(&c, PRIV_S, 0x01d00073);
    CHECK(completed(&c));
    run_insn(&c, PRIV_U, 0x01d00073);
    CHECK(completed(&c));
    status_reset();
    run_insn(&c, PRIV_U, 0x01d00073);
    CHECK(completed(&c));
}

void tests(void)
{
    rounds = ROUNDS / hart_count;
    test("LR/SC of one hart", test_lrsc);
    test("misaligned atomics", test_misaligned);
    test("Zacas, Zabha", test_cas);
    test("faults of atomics", test_faults);
    test("Zawrs", test_zawrs);
    test("counters by LR/SC and AMO", test_counters);
    test("counters by CAS", test_cas_counters);
    if (hart_count < 2)
        return;
    test("SC fails after another hart's store", test_intruder);
}
