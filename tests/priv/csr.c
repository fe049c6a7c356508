/* SPDX-License-Identifier: BSD-2-Clause */
/* CSRs: who may, what sticks; counters exactly; cache blocks, entropy and their permissions. */
#include "priv.h"

static struct ctx c;
static u64 area[2 * 512] PAGE_ALIGNED;

/* csrrs x12, csr, x0 in priv: is it there? */
static bool readable(u64 priv, u32 csr)
{
    c.x[12] = 0;
    run_insn(&c, priv, insn_csr(CSRRS, 12, csr, 0));
    if (!completed(&c))
        CHECK_TRAP(&c, 2, (u64)insn_page, insn_csr(CSRRS, 12, csr, 0));
    return completed(&c);
}

/* All 4096 numbers: a lower mode never gets at a higher one's; read-only ones take no write. */
static void test_privileges(void)
{
    u32 seen[4] = {0, 0, 0, 0};

    csr_write(mcounteren, -1);
    csr_write(scounteren, -1);
    for (u32 csr = 0; csr < 4096; csr++) {
        bool machine, supervisor, user;

        check_note = csr;
        machine = readable(PRIV_M, csr);
        supervisor = readable(PRIV_S, csr);
        user = readable(PRIV_U, csr);
        seen[csr >> 8 & 3] += machine;
        CHECK(machine || !supervisor || csr == 0x14d); /* what S can do, M can */
        CHECK(supervisor || !user);
        if ((csr >> 8 & 3) == 3)
            CHECK(!supervisor);
        if ((csr >> 8 & 3) >= 1)
            CHECK(!user);
        if ((csr >> 8 & 3) == 2)
            CHECK(!machine || on_qemu() || has_guests());
        if (csr >> 10 == 3 && machine) {
            c.x[11] = 0;
            run_insn(&c, PRIV_M, insn_csr(CSRRW, 0, csr, 11));
            CHECK_EQ(c.cause, 2);
            run_insn(&c, PRIV_M, insn_csr(CSRRS, 12, csr, 11)); /* a write all the same */
            CHECK_EQ(c.cause, 2);
            run_insn(&c, PRIV_M, insn_csr(CSRRCI, 12, csr, 0));
            CHECK(completed(&c));
        }
    }
    CHECK(seen[0] > 30 && seen[1] >= 10 && seen[3] > 50);
}

/* Bits of mstatus as seen through sstatus. */
static void test_status(void)
{
    status_reset();
    CHECK_EQ(csr_read(mstatus) >> 32 & 15, 0xa); /* SXL, UXL: 64 */
    csr_write(mstatus, -1ul & ~MSTATUS_MIE & ~MSTATUS_MPRV);
    CHECK_EQ(csr_read(sstatus) & ~BIT(63), (csr_read(mstatus) & 0xc6122) | 2ul << 32);
    CHECK(csr_read(mstatus) & BIT(63)); /* SD, as FS is dirty */
    csr_clear(mstatus, MSTATUS_FS);
    CHECK_EQ(csr_read(mstatus) & BIT(63), 0);
    CHECK_EQ(csr_read(sstatus) & BIT(63), 0);
    status_reset();
    /* MPP takes no reserved mode. */
    csr_set(mstatus, MSTATUS_MPP);
    c.x[10] = 2ul << 11;
    csr_clear(mstatus, 1ul << 11);
    if (!on_qemu()) /* 7.2 lets it be 2 */
        CHECK((csr_read(mstatus) >> 11 & 3) != 2);
    status_reset();
    csr_write(sstatus, MSTATUS_MPP | MSTATUS_MPIE | MSTATUS_TVM | MSTATUS_FS);
    CHECK_EQ(csr_read(mstatus) & (MSTATUS_MPP | MSTATUS_MPIE | MSTATUS_TVM), 0);
    status_reset();
}

/* FS off: every floating-point instruction and CSR is illegal, in M-mode as well. */
static void test_fs(void)
{
    static const u32 insns[] = {0x00102573, 0x00205073, 0xf2000053, 0x00053007, 0x00053027, 0x2000};

    for (u32 i = 0; i < COUNT(insns); i++) {
        for (u64 priv = 0; priv < 4; priv += 1 + (priv == 1)) {
            check_note = i << 4 | priv;
            status_reset();
            csr_clear(mstatus, MSTATUS_FS);
            c.x[10] = (u64)area;
            run_insn(&c, priv, insns[i]);
            CHECK_EQ(c.cause, 2);
            CHECK_EQ(c.tval, (insns[i] & 3) == 3 ? insns[i] : c.tval);
            csr_set(mstatus, 1ul << 13);
            if (insns[i] == 0x2000) /* c.fld has another base register */
                continue;
            run_insn(&c, priv, insns[i]);
            CHECK(completed(&c));
        }
    }
    /* Initial becomes dirty by a write, not by a store. */
    csr_clear(mstatus, MSTATUS_FS);
    csr_set(mstatus, 1ul << 13);
    c.x[10] = (u64)area;
    run_insn(&c, PRIV_U, 0x00053027);
    CHECK_EQ(c.status & MSTATUS_FS, 1ul << 13);
    run_insn(&c, PRIV_U, 0xf2000053);
    CHECK_EQ(c.status & MSTATUS_FS, 3ul << 13);
    status_reset();
}

/* cycle, time, instret, hpmcounters by mcounteren and scounteren, bit by bit. */
static void test_counter_access(void)
{
    for (u32 i = 0; i < 32; i++) {
        if (on_qemu() && i > 2)
            break;
        for (u32 how = 0; how < 4; how++) {
            check_note = i << 4 | how;
            csr_write(mcounteren, how & 1 ? BIT(i) : ~BIT(i));
            csr_write(scounteren, how & 2 ? BIT(i) : ~BIT(i));
            CHECK(readable(PRIV_M, 0xc00 + i));
            CHECK_EQ(readable(PRIV_S, 0xc00 + i), how & 1);
            CHECK_EQ(readable(PRIV_U, 0xc00 + i), how == 3);
        }
    }
    csr_write(mcounteren, -1);
    csr_write(scounteren, -1);
}

/* instret over known sequences: what retires counts, what traps does not. */
static void test_instret(void)
{
    u64 before, after;

    if (on_qemu()) {
        skip("QEMU counts exactly with -icount only");
        return;
    }
    csr_write(mcountinhibit, 0);
    __asm__ volatile("csrr %0, minstret\n csrr %1, minstret" : "=r"(before), "=r"(after));
    CHECK_EQ(after - before, 1);
    __asm__ volatile("csrr %0, minstret\n nop\n li t0, 5\n 1: addi t0, t0, -1\n bnez t0, 1b\n"
                     "lui t0, 1\n csrr %1, minstret"
                     : "=r"(before), "=r"(after)::"t0");
    CHECK_EQ(after - before, 1 + 1 + 1 + 10 + 1);
    /* A write takes effect after itself. */
    __asm__ volatile("csrw minstret, %2\n csrr %0, minstret\n nop\n csrr %1, minstret"
                     : "=&r"(before), "=&r"(after)
                     : "r"(1000ul));
    CHECK_EQ(before, 1000);
    CHECK_EQ(after, 1002);
    __asm__ volatile("csrw mcycle, %1\n csrr %0, mcycle" : "=&r"(before) : "r"(-5ul));
    CHECK_EQ(before, -5ul);
    /* Stopped */
    csr_write(mcountinhibit, 4);
    before = csr_read(minstret);
    CHECK_EQ(csr_read(minstret), before);
    csr_write(mcountinhibit, 0);
    CHECK_EQ(csr_read(mcountinhibit), 0);
    csr_write(mcountinhibit, 2); /* time cannot be stopped */
    CHECK_EQ(csr_read(mcountinhibit), 0);
}

/* Across traps: run() to ECALL has a fixed cost; n instructions more make n more. */
static void test_instret_traps(void)
{
    u64 base = 0;
    u32 insns[64];

    if (on_qemu()) {
        skip("QEMU counts exactly with -icount only");
        return;
    }
    for (u32 n = 0; n < 60; n++) {
        u64 before, after;

        check_note = n;
        for (u32 i = 0; i < n; i++)
            insns[i] = i & 1 ? 0x00100793 : 0x00000013;
        run_insns(&c, PRIV_U, insns, n); /* in place now */
        c.pc = (u64)insn_page;
        before = csr_read(minstret);
        run(&c, PRIV_U, 0);
        after = csr_read(minstret);
        if (!n)
            base = after - before;
        CHECK_EQ(after - before, base + n);
        /* the last one traps: not counted */
        if (n) {
            insn_page[n - 1] = 0;
            fence_i();
            c.pc = (u64)insn_page;
            before = csr_read(minstret);
            run(&c, PRIV_U, 0);
            after = csr_read(minstret);
            CHECK_EQ(c.cause, 2);
            CHECK_EQ(after - before, base + n - 1);
        }
    }
}

/* Sscofpmf: events by mode, overflow once, LCOFI. */
static void test_overflow(void)
{
    if (on_qemu()) {
        skip("QEMU 7.2 lacks it by default");
        return;
    }
    csr_write(mcountinhibit, -1);
    csr_write(mhpmevent3, 2); /* instructions */
    csr_write(mhpmcounter3, -10ul);
    csr_write(mip, 0);
    csr_write(mcountinhibit, 0);
    for (u32 i = 0; i < 20; i++)
        __asm__ volatile("nop");
    CHECK(csr_read(mhpmcounter3) < 1000);
    CHECK(csr_read(mhpmevent3) & BIT(63));
    CHECK(csr_read(mip) & BIT(13));
    CHECK_EQ(csr_read(0xda0), 8);
    csr_write(mcounteren, 0);
    run_insn(&c, PRIV_S, 0xda002673);
    CHECK_EQ(c.x[12], 0);
    csr_write(mcounteren, -1);
    run_insn(&c, PRIV_S, 0xda002673);
    CHECK_EQ(c.x[12], 8);
    csr_write(mip, 0);
    CHECK_EQ(csr_read(mip), 0);
    /* Not in M-mode: MINH */
    csr_write(mhpmevent3, 2 | BIT(62));
    csr_write(mhpmcounter3, 0);
    for (u32 i = 0; i < 20; i++)
        __asm__ volatile("nop");
    CHECK_EQ(csr_read(mhpmcounter3), 0);
    run_insn(&c, PRIV_U, INSN_NOP);
    /* The NOP, and perhaps the MRET that left M-mode; ECALL does not retire. */
    CHECK(csr_read(mhpmcounter3) - 1 <= 1);
    csr_write(mhpmevent3, 0);
}

/* Zicbom, Zicboz by menvcfg and senvcfg. */
static void test_cache_blocks(void)
{
    static const struct {
        u32 op;
        u64 enable;
    } ops[] = {{0, 3ul << 4}, {1, BIT(6)}, {2, BIT(6)}, {4, BIT(7)}};

    if (on_qemu()) {
        skip("QEMU 7.2 has none");
        return;
    }
    for (u32 i = 0; i < COUNT(ops); i++) {
        u32 insn = insn_i(0x0f, 2, 0, 10, ops[i].op);

        for (u32 how = 0; how < 4; how++) {
            check_note = i << 4 | how;
            csr_write(menvcfg, how & 1 ? ops[i].enable : ~ops[i].enable & 0xf1);
            csr_write(senvcfg, how & 2 ? ops[i].enable : ~ops[i].enable & 0xf1);
            c.x[10] = (u64)area + 0x95;
            memset(area, 0x77, 0x200);
            run_insn(&c, PRIV_M, insn);
            CHECK(completed(&c));
            run_insn(&c, PRIV_S, insn);
            CHECK_EQ(c.cause, how & 1 ? 9 : 2);
            run_insn(&c, PRIV_U, insn);
            CHECK_EQ(c.cause, how == 3 ? 8 : 2);
            for (u32 k = 0; k < 0x200 / 8; k++) {
                bool zero = ops[i].op == 4 && k >= 16 && k < 24;
                CHECK_EQ(area[k], zero ? 0 : 0x7777777777777777);
            }
        }
    }
    /* Faults name the operand, as stores. */
    csr_write(menvcfg, 0xf0);
    for (u32 i = 0; i < COUNT(ops); i++) {
        check_note = 0x100 | i;
        c.x[10] = HOLE + 0x35;
        vm_init(3);
        csr_write(satp, vm_satp(0));
        run_insn(&c, PRIV_S, insn_i(0x0f, 2, 0, 10, ops[i].op));
        CHECK_TRAP(&c, 15, (u64)insn_page, HOLE + 0x35);
        vm_map(HOLE, HOLE, PTE_RW);
        sfence();
        run_insn(&c, PRIV_S, insn_i(0x0f, 2, 0, 10, ops[i].op));
        if (ops[i].op == 4) /* the others do nothing, not even to holes */
            CHECK_TRAP(&c, 7, (u64)insn_page, HOLE + 0x35);
        csr_write(satp, 0);
    }
    csr_write(menvcfg, 0);
    csr_write(senvcfg, 0);
}

/* Zkr: reads without a write are illegal; SSEED and USEED open it. */
static void test_seed(void)
{
    u32 values = 0;

    if (on_qemu()) {
        skip("QEMU 7.2 has Zkr off");
        return;
    }
    for (u32 i = 0; i < 64; i++) {
        run_insn(&c, PRIV_M, 0x01501673); /* csrrw a2, seed, zero */
        CHECK(completed(&c));
        CHECK_EQ(c.x[12] >> 30, 2);
        CHECK_EQ(c.x[12] >> 16 & 0x3fff, 0);
        values |= (u32)c.x[12] & 0xffff;
    }
    CHECK_EQ(values, 0xffff);
    run_insn(&c, PRIV_M, 0x01502673); /* csrrs a2, seed, zero */
    CHECK_EQ(c.cause, 2);
    for (u32 how = 0; how < 4; how++) {
        check_note = how;
        csr_write(0x747, (u64)how << 8); /* USEED, SSEED */
        run_insn(&c, PRIV_S, 0x01501673);
        CHECK_EQ(c.cause, how & 2 ? 9 : 2);
        run_insn(&c, PRIV_U, 0x01501673);
        CHECK_EQ(c.cause, how & 1 ? 8 : 2);
    }
}

/* mstateen: senvcfg and sstateen0 withheld from S-mode. */
static void test_stateen(void)
{
    if (on_qemu()) {
        skip("QEMU 7.2 has no Smstateen here");
        return;
    }
    csr_write(0x30c, 0);
    CHECK(!readable(PRIV_S, 0x10a));
    CHECK(!readable(PRIV_S, 0x10c));
    CHECK(readable(PRIV_M, 0x10a));
    csr_write(0x30c, BIT(62));
    CHECK(readable(PRIV_S, 0x10a));
    CHECK(!readable(PRIV_S, 0x10c));
    csr_write(0x30c, BIT(63));
    CHECK(!readable(PRIV_S, 0x10a));
    CHECK(readable(PRIV_S, 0x10c));
    csr_write(0x30c, 0);
}

/* stimecmp: STCE and TM both */
static void test_stimecmp_access(void)
{
    if (on_qemu()) {
        skip("QEMU 7.2 knows no STCE here");
        return;
    }
    for (u32 how = 0; how < 4; how++) {
        check_note = how;
        csr_write(menvcfg, how & 1 ? BIT(63) : 0);
        csr_write(mcounteren, how & 2 ? 2 : ~2u);
        CHECK_EQ(readable(PRIV_S, 0x14d), how == 3);
        CHECK(readable(PRIV_M, 0x14d));
        CHECK(!readable(PRIV_U, 0x14d));
    }
    csr_write(menvcfg, 0);
}

/* time is mtime */
static void test_time(void)
{
    for (u32 i = 0; i < 1000; i++) {
        u64 a = mtime(), b = csr_read(time), d = mtime();
        CHECK(a <= b && b <= d);
    }
    CHECK(mtime() > 0);
}

void tests(void)
{
    test("privileges of all 4096 numbers", test_privileges);
    test("mstatus and sstatus", test_status);
    test("FS", test_fs);
    test("mcounteren and scounteren", test_counter_access);
    test("instret", test_instret);
    test("instret across traps", test_instret_traps);
    test("counter overflow", test_overflow);
    test("cache-block operations", test_cache_blocks);
    test("seed", test_seed);
    test("mstateen0", test_stateen);
    test("access to stimecmp", test_stimecmp_access);
    test("time is mtime", test_time);
}
