/* SPDX-License-Identifier: BSD-2-Clause */
/* Interrupts: sources, priorities, delegation, vectors, WFI, and arrival at every instruction. */
#include "priv.h"

enum { SSI = 1, MSI = 3, STI = 5, MTI = 7, SEI = 9, MEI = 11 };

#define NEVER                (~0ul)
#define MTIMECMP             (CLINT_BASE + 0x4000)
#define UART_IRQ             10
#define PLIC_CLAIM(context)  (PLIC_BASE + 0x200004 + 0x1000 * (context))
#define PLIC_ENABLE(context) (PLIC_BASE + 0x2000 + 0x80 * (context))

static struct ctx c;

static void quiet(void)
{
    csr_write(mie, 0);
    csr_write(mideleg, 0);
    csr_write(menvcfg, 0);
    csr_write(mip, 0);
    write32(CLINT_BASE, 0);
    write64(MTIMECMP, NEVER);
    status_reset();
    csr_write(stvec, s_vectors);
    csr_write(mtvec, m_vectors);
}

static void wait_pending(u32 irq, bool level)
{
    u64 end = mtime() + 50000000;

    while ((csr_read(mip) >> irq & 1) != level && mtime() < end)
        ;
    CHECK_EQ(csr_read(mip) >> irq & 1, level);
}

/* The UART's transmitter-empty interrupt through the PLIC: contexts 0 is M, 1 is S of hart 0. */
static void uart_interrupt(u32 context, bool on)
{
    *(volatile u8 *)(UART_BASE + 1) = on ? 2 : 0;
    write32(PLIC_BASE + 4 * UART_IRQ, on);
    write32(PLIC_ENABLE(context), on ? BIT(UART_IRQ) : 0);
    write32(PLIC_BASE + 0x200000 + 0x1000 * context, 0);
}

static void raise_irq(u32 irq, bool on)
{
    switch (irq) {
    case MSI:
        write32(CLINT_BASE, on);
        break;
    case MTI:
        write64(MTIMECMP, on ? 0 : NEVER);
        break;
    case MEI:
        uart_interrupt(0, on);
        if (!on && read32(PLIC_CLAIM(0)))
            write32(PLIC_CLAIM(0), UART_IRQ);
        break;
    default:
        if (on)
            csr_set(mip, BIT(irq));
        else
            csr_clear(mip, BIT(irq));
    }
    wait_pending(irq, on);
}

static const u32 irqs[] = {SSI, MSI, STI, MTI, SEI, MEI}, order[] = {MEI, MSI, MTI, SEI, SSI, STI};

/* Each source alone: pends in mip; taken in U, S and in M only with MIE; vectored. */
static void test_sources(void)
{
    quiet();
    for (u32 i = 0; i < COUNT(irqs); i++) {
        for (u32 m = 0; m < 3; m++) {
            u64 priv = m == 2 ? PRIV_M : m;

            check_note = irqs[i] << 8 | m;
            csr_write(mtvec, (u64)m_vectors | 1);
            raise_irq(irqs[i], true);
            CHECK_EQ(csr_read(mip), BIT(irqs[i]));
            csr_write(mie, 0);
            run_insn(&c, priv, INSN_NOP);
            CHECK(completed(&c));
            csr_write(mie, BIT(irqs[i]));
            run_insn(&c, priv, INSN_NOP);
            if (priv == PRIV_M) { /* run_insn leaves MIE off */
                CHECK(completed(&c));
                c.pc = (u64)insn_page;
                run(&c, priv, 1);
            }
            CHECK_TRAP(&c, INTERRUPT | irqs[i], (u64)insn_page, 0);
            CHECK_EQ(c.vector, irqs[i]);
            CHECK_EQ(c.status & MSTATUS_MPP, priv << 11);
            CHECK_EQ(c.status & MSTATUS_MIE, 0);
            raise_irq(irqs[i], false);
            run_insn(&c, priv, INSN_NOP);
            CHECK(completed(&c));
            CHECK_EQ(csr_read(mip), 0);
        }
    }
    quiet();
}

/* Of all that pend the one of the highest priority is taken, for each pair and for all. */
static void test_priorities(void)
{
    quiet();
    if (on_qemu()) {
        skip("QEMU 7.2 goes by the lowest number");
        return;
    }
    for (u32 a = 0; a < COUNT(order); a++) {
        for (u32 b = a + 1; b < COUNT(order); b++) {
            check_note = order[a] << 8 | order[b];
            raise_irq(order[b], true);
            raise_irq(order[a], true);
            csr_write(mie, BIT(order[a]) | BIT(order[b]));
            run_insn(&c, PRIV_U, INSN_NOP);
            CHECK_EQ(c.cause, INTERRUPT | order[a]);
            csr_write(mie, BIT(order[b]));
            run_insn(&c, PRIV_U, INSN_NOP);
            CHECK_EQ(c.cause, INTERRUPT | order[b]);
            csr_write(mie, 0);
            raise_irq(order[a], false);
            raise_irq(order[b], false);
        }
    }
    for (u32 i = 0; i < COUNT(order); i++)
        raise_irq(order[i], true);
    csr_write(mie, 0xaaa);
    for (u32 i = 0; i < COUNT(order); i++) {
        check_note = order[i];
        run_insn(&c, PRIV_U, INSN_NOP);
        CHECK_EQ(c.cause, INTERRUPT | order[i]);
        raise_irq(order[i], false);
    }
    /* What stays with M-mode comes before what is delegated, whatever their rank. */
    csr_write(mideleg, BIT(SEI));
    raise_irq(SEI, true);
    raise_irq(SSI, true);
    csr_write(mie, BIT(SEI) | BIT(SSI));
    run_insn(&c, PRIV_U, INSN_NOP);
    CHECK_EQ(c.cause, INTERRUPT | SSI);
    quiet();
}

static void test_delegation(void)
{
    static const u32 s_irqs[] = {SSI, STI, SEI};

    quiet();
    csr_write(mideleg, -1ul);
    /* 7.2 has VS bits, always. */
    CHECK_EQ(csr_read(mideleg) & 0xfff, on_qemu() || has_guests() ? 0x666 : 0x222);
    csr_write(stvec, (u64)s_vectors | 1);
    for (u32 i = 0; i < COUNT(s_irqs); i++) {
        u32 irq = s_irqs[i];

        check_note = irq;
        csr_write(mideleg, BIT(irq));
        csr_write(mie, 0);
        csr_set(sie, BIT(irq));
        CHECK_EQ(csr_read(mie), BIT(irq));
        raise_irq(irq, true);
        CHECK_EQ(csr_read(sip), BIT(irq));
        run_insn(&c, PRIV_U, INSN_NOP);
        CHECK_TRAP(&c, 9, (u64)s_vectors + 4 * irq, 0);
        CHECK_EQ(csr_read(scause), INTERRUPT | irq);
        CHECK_EQ(csr_read(sepc), (u64)insn_page);
        CHECK_EQ(csr_read(stval), 0);
        status_reset();
        run_insn(&c, PRIV_S, INSN_NOP); /* SIE off */
        CHECK(completed(&c));
        csr_set(mstatus, MSTATUS_SIE);
        run_insn(&c, PRIV_S, INSN_NOP);
        CHECK_TRAP(&c, 9, (u64)s_vectors + 4 * irq, 0);
        CHECK_EQ(c.status & (MSTATUS_SPP | MSTATUS_SPIE | MSTATUS_SIE), MSTATUS_SPP | MSTATUS_SPIE);
        c.pc = (u64)insn_page; /* delegated: never taken in M-mode */
        status_reset();
        run(&c, PRIV_M, 1);
        CHECK_EQ(c.cause, 11);
        csr_write(mideleg, 0); /* not visible to S-mode then */
        CHECK_EQ(csr_read(sip), 0);
        CHECK_EQ(csr_read(sie), 0);
        raise_irq(irq, false);
    }
    quiet();
}

/* sip: S-mode may clear and set SSIP alone. */
static void test_sip(void)
{
    quiet();
    csr_write(mideleg, 0x222);
    c.x[10] = 0x222;
    run_insn(&c, PRIV_S, 0x14451073); /* csrw sip, a0 */
    CHECK_EQ(csr_read(mip), BIT(SSI));
    csr_set(mip, 0x222);
    CHECK_EQ(csr_read(mip), 0x222);
    c.x[10] = 0;
    run_insn(&c, PRIV_S, 0x14451073);
    CHECK_EQ(csr_read(mip), BIT(STI) | BIT(SEI));
    quiet();
    /* M-mode's bits belong to the wires. */
    csr_write(mip, -1ul);
    CHECK_EQ(csr_read(mip) & (BIT(MSI) | BIT(MTI) | BIT(MEI)), 0);
    quiet();
}

/* SEIP: the wire and software's bit are ORed; a read-modify-write keeps the wire out. */
static void test_seip(void)
{
    quiet();
    uart_interrupt(1, true);
    wait_pending(SEI, true);
    csr_set(mip, BIT(SSI)); /* must not copy the wire into the latch */
    uart_interrupt(1, false);
    if (read32(PLIC_CLAIM(1)))
        write32(PLIC_CLAIM(1), UART_IRQ);
    wait_pending(SEI, false);
    csr_set(mip, BIT(SEI));
    CHECK(csr_read(mip) & BIT(SEI));
    uart_interrupt(1, true);
    csr_clear(mip, BIT(SEI));
    wait_pending(SEI, true);
    uart_interrupt(1, false);
    if (read32(PLIC_CLAIM(1)))
        write32(PLIC_CLAIM(1), UART_IRQ);
    wait_pending(SEI, false);
    quiet();
}

static void test_sswi(void)
{
    quiet();
    for (u32 i = 0; i < 100; i++) {
        write32(SSWI_BASE, 1);
        wait_pending(SSI, true);
        CHECK_EQ(read32(SSWI_BASE), 0);
        csr_write(mideleg, BIT(SSI));
        csr_write(mie, BIT(SSI));
        run_insn(&c, PRIV_U, INSN_NOP);
        CHECK_EQ(csr_read(scause), INTERRUPT | SSI);
        csr_clear(sip, BIT(SSI));
        CHECK_EQ(csr_read(mip), 0);
        csr_write(mie, 0);
    }
    quiet();
}

static void test_stimecmp(void)
{
    u64 due;
    bool early;

    quiet();
    csr_set(menvcfg, BIT(63));
    if (!(csr_read(menvcfg) & BIT(63))) {
        CHECK(on_qemu());
        return;
    }
    csr_write(0x14d, NEVER);
    wait_pending(STI, false);
    due = mtime() + 20000;
    csr_write(0x14d, due);
    early = !(csr_read(mip) & BIT(STI));
    CHECK(early || mtime() >= due); /* the host may be slow */
    wait_pending(STI, true);
    csr_clear(mip, BIT(STI)); /* read-only now */
    CHECK(csr_read(mip) & BIT(STI));
    csr_write(mie, BIT(STI));
    csr_write(mideleg, BIT(STI));
    run_insn(&c, PRIV_U, INSN_NOP);
    CHECK_EQ(csr_read(scause), INTERRUPT | STI);
    csr_write(0x14d, NEVER);
    wait_pending(STI, false);
    csr_write(0x14d, 0);
    wait_pending(STI, true);
    quiet();
    if (!on_qemu()) /* without STCE the comparator is cut off */
        CHECK_EQ(csr_read(mip) & BIT(STI), 0);
    csr_set(menvcfg, BIT(63));
    csr_write(0x14d, NEVER);
    quiet();
}

/* An explicit CSR write that makes an interrupt takeable: the next instruction does not run. */
static void test_at_once(void)
{
    static const struct {
        u32 insn;
        u64 x10, mie, mip;
        u64 status;
    } ways[] = {
        {0x30452073, 2, 0, 2, MSTATUS_MIE},             /* csrs mie, a0 */
        {0x34452073, 2, 2, 0, MSTATUS_MIE},             /* csrs mip, a0 */
        {0x30052073, 8, 2, 2, 0},                       /* csrs mstatus, a0 */
        {0x30451073, 2, 0, 2, MSTATUS_MIE},             /* csrw mie, a0 */
        {0x34416073, 0, 2, 0, MSTATUS_MIE},             /* csrsi mip, 2 */
        {0x30353073, 2, 2, 2, MSTATUS_MIE | 1ul << 62}, /* csrc mideleg, a0 */
    };
    static u32 insns[] = {0, 0x00168693, 0x00168693, INSN_ECALL}; /* addi a3, a3, 1 */

    for (u32 i = 0; i < COUNT(ways); i++) {
        check_note = i;
        quiet();
        if (ways[i].status >> 62)
            csr_write(mideleg, 2);
        csr_write(mie, ways[i].mie);
        csr_write(mip, ways[i].mip);
        insns[0] = ways[i].insn;
        memcpy(insn_page, insns, sizeof(insns));
        fence_i();
        c.x[10] = ways[i].x10;
        c.x[13] = 0;
        c.pc = (u64)insn_page;
        run(&c, PRIV_M, ways[i].status & MSTATUS_MIE);
        CHECK_TRAP(&c, INTERRUPT | SSI, (u64)insn_page + 4, 0);
        CHECK_EQ(c.x[13], 0);
    }
    quiet();
}

static void test_xret(void)
{
    static u32 target[4];

    target[0] = 0x00168693;
    target[1] = INSN_ECALL;
    fence_i();
    /* SRET that sets SIE with a delegated interrupt pending */
    quiet();
    csr_write(mideleg, 2);
    csr_write(mie, 2);
    csr_write(mip, 2);
    csr_set(mstatus, MSTATUS_SPIE | MSTATUS_SPP);
    csr_write(sepc, target);
    c.x[13] = 0;
    run_insn(&c, PRIV_S, INSN_SRET);
    CHECK_EQ(csr_read(sepc), (u64)target);
    CHECK_EQ(csr_read(scause), INTERRUPT | SSI);
    CHECK_EQ(c.x[13], 0);
    quiet();
}

/*
 * A sequence of many kinds, with code and data across pages, to be interrupted anywhere. Its
 * result is a checksum in s0; a2 points at data, a3 counts rounds.
 */
extern char busy_start[], busy_end[];
__asm__(".pushsection .text.busy, \"ax\"\n"
        ".balign 4096\n"
        ".skip 4096 - 26\n"
        ".globl busy_start, busy_end\n"
        "busy_start:\n"
        "1: ld t0, 0(a2)\n"
        "   addi t0, t0, 3\n"
        "   sd t0, 0(a2)\n"
        "   xor s0, s0, t0\n"
        "   .option push\n"
        "   .option norvc\n"
        "   amoadd.d t1, t0, (a4)\n"
        "   add s0, s0, t1\n"
        "   addi t2, t1, 5\n" /* crosses the page's end */
        "   .option pop\n"
        "   c.mv t3, t2\n"
        "   beqz t3, 4f\n"
        "   andi t4, t3, 1\n"
        "   bnez t4, 2f\n"
        "   slli s0, s0, 1\n"
        "   j 3f\n"
        "2: srli t5, s0, 63\n"
        "   slli s0, s0, 1\n"
        "   or s0, s0, t5\n"
        "3: csrrw t6, sscratch, s0\n"
        "   xor s0, s0, t6\n"
        "   ld t0, 4(a5)\n" /* misaligned, across two pages */
        "   add t0, t0, s0\n"
        "   sd t0, 4(a5)\n"
        "5: lr.d t1, (a4)\n"
        "   addi t1, t1, 1\n"
        "   sc.d t2, t1, (a4)\n"
        "   bnez t2, 5b\n"
        "   jal t0, 6f\n"
        "   addi a3, a3, -1\n"
        "   bnez a3, 1b\n"
        "4: busy_end: ecall\n"
        "6: mul s0, s0, a6\n"
        "   jr t0\n"
        ".popsection\n");

static u64 data[3 * 512] PAGE_ALIGNED;

static void busy_setup(u64 rounds)
{
    memset(&c, 0, sizeof(c));
    memset(data, 0x5a, sizeof(data));
    csr_write(sscratch, 0x1234);
    c.x[12] = (u64)data;
    c.x[13] = rounds;
    c.x[14] = (u64)&data[8];
    c.x[15] = (u64)data + 2 * PAGE - 8;
    c.x[16] = 0x9e3779b97f4a7c15;
    c.pc = (u64)busy_start;
}

static u64 checksum(void)
{
    u64 sum = csr_read(sscratch);

    for (u32 i = 0; i < 32; i++)
        sum = sum * 31 + c.x[i];
    for (u32 i = 0; i < COUNT(data); i++)
        sum = sum * 31 + data[i];
    return sum;
}

/* Runs it to its end, through interrupts, each of which calls again(). Returns their number. */
static u32 busy_run(u64 priv, void (*again)(u32 n))
{
    u32 n = 0;

    for (;;) {
        run(&c, priv, 1);
        if (!(c.cause & INTERRUPT))
            break;
        CHECK(c.epc >= (u64)busy_start && c.epc < (u64)busy_end + 16);
        again(n++);
        c.pc = c.epc;
    }
    CHECK_EQ(c.cause, priv == PRIV_M ? 11 : 9);
    CHECK_EQ(c.epc, (u64)busy_end);
    return n;
}

static u64 distance;

/* On a slow machine (under a sanitizer) the next would be due before an instruction is done, for
 * ever: after many, they come less often. */
static void again_timer(u32 n)
{
    u32 slower = n / 128 < 20 ? n / 128 : 20;

    write64(MTIMECMP, mtime() + ((distance % 61 + (n & 3)) << slower));
}

static void no_more(u32 n)
{
    (void)n;
    write64(MTIMECMP, NEVER);
}

/* A timer at each of 119 distances into rounds of work. Returns the number of its interrupts. */
static u64 busy_sweep(u64 priv, u64 rounds)
{
    u64 want, total = 0;

    busy_setup(rounds);
    csr_write(mie, 0);
    (void)busy_run(priv, no_more);
    want = checksum();
    csr_write(mie, BIT(MTI));
    for (distance = 1; distance < 120; distance++) {
        check_note = distance;
        busy_setup(rounds);
        /* One, then many. */
        write64(MTIMECMP, mtime() + distance);
        total += busy_run(priv, distance & 1 ? no_more : again_timer);
        CHECK_EQ(checksum(), want);
        write64(MTIMECMP, NEVER);
    }
    return total;
}

static void busy_with_timer(u64 priv)
{
    u64 total = 0;

    quiet();
    /* Where the host is busy the work may be done before a timer gets through: then there is more.
     */
    for (u64 rounds = 400; total <= 20 && rounds <= 400 << 10; rounds *= 4)
        total += busy_sweep(priv, rounds);
    CHECK(total > 20);
    quiet();
}

static void test_timer_m(void)
{
    busy_with_timer(PRIV_M);
}

static void test_timer_s(void)
{
    busy_with_timer(PRIV_S);
}

/* A storm of IPIs by another hart. */
static volatile u64 storm_stop, storm_sent;

static void storm(u64 target)
{
    while (!storm_stop) {
        write32(CLINT_BASE + 4 * target, 1);
        storm_sent++;
        for (u32 i = 0; i < storm_sent % 61; i++)
            __asm__ volatile("");
    }
}

static void again_ipi(u32 n)
{
    (void)n;
    write32(CLINT_BASE, 0);
}

static void test_storm(void)
{
    /* Ten seconds: the other hart may have to wait for the host. */
    const u64 end = mtime() + 100000000;
    u64 want, total = 0;

    quiet();
    busy_setup(4000);
    (void)busy_run(PRIV_S, again_ipi);
    want = checksum();
    csr_write(mie, BIT(MSI));
    storm_stop = storm_sent = 0;
    hart_start(1, storm, 0);
    while (!storm_sent)
        pause();
    for (u32 i = 0; i < 60 || (total < 200 && mtime() < end); i++) {
        check_note = i;
        busy_setup(4000);
        total += busy_run(i & 1 ? PRIV_S : PRIV_M, again_ipi);
        CHECK_EQ(checksum(), want);
    }
    storm_stop = 1;
    hart_join(1);
    CHECK(total > 30);
    quiet();
}

/* Single step in the manner of a debugger's SSI: CSRSI MIP before each instruction of a block. */
static void test_every_boundary(void)
{
    static const u32 body[] = {
        0x00150513, /* addi a0, a0, 1 */
        0x00a5b023, /* sd a0, 0(a1) */
        0x0005b603, /* ld a2, 0(a1) */
        0x00c5b6af, /* amoadd.d a3, a2, (a1) */
        0x00000463, /* beqz zero, +8: skips one */
        0xfff00513, /* not executed */
        0x02c687b3, /* mul a5, a3, a2 */
        0x1005b82f, /* lr.d a6, (a1) */
        0x18f5b8af, /* sc.d a7, a5, (a1) */
        0x34051973, /* csrrw s2, mscratch..: replaced below */
    };
    u64 want[32];

    for (u32 at = 0; at <= COUNT(body); at++) {
        check_note = at;
        for (u32 pass = 0; pass < 2; pass++) {
            u32 n = 0;

            quiet();
            csr_write(mie, pass ? BIT(SSI) : 0);
            memset(&c, 0, sizeof(c));
            memset(data, 0, 64);
            for (u32 i = 0; i <= COUNT(body); i++) {
                /* the branch must jump over its shadow and not over our insert */
                if (i == at && i != 5)
                    insn_page[n++] = 0x34416073; /* csrsi mip, 2 */
                if (i < COUNT(body))
                    insn_page[n++] = i == 9 ? 0x14051973 : body[i]; /* csrrw s2, sscratch, a0 */
            }
            insn_page[n] = INSN_ECALL;
            fence_i();
            c.x[10] = 41;
            c.x[11] = (u64)data;
            csr_write(sscratch, 99);
            c.pc = (u64)insn_page;
            run(&c, PRIV_M, 1);
            if (pass && at != 5) {
                CHECK_TRAP(&c, INTERRUPT | SSI, (u64)&insn_page[at + 1], 0);
                csr_clear(mip, BIT(SSI));
                c.pc = c.epc;
                run(&c, PRIV_M, 1);
            }
            CHECK_TRAP(&c, 11, (u64)&insn_page[n], 0);
            for (u32 i = 0; i < 32 && !pass; i++)
                want[i] = c.x[i];
            for (u32 i = 0; i < 32; i++) {
                /* SC may fail after the trap, no more */
                if (i != 17)
                    CHECK_EQ(c.x[i], want[i]);
            }
            CHECK_EQ(csr_read(sscratch), 42);
        }
    }
    quiet();
}

/* WFI wakes on what is enabled in mie, taken or not. */
static void test_wfi(void)
{
    quiet();
    for (u32 i = 0; i < COUNT(irqs); i++) {
        check_note = irqs[i];
        csr_write(mie, BIT(irqs[i]));
        raise_irq(irqs[i], true);
        run_insn(&c, PRIV_M, INSN_WFI); /* MIE off: goes on */
        CHECK(completed(&c));
        c.pc = (u64)insn_page;
        run(&c, PRIV_M, 1);
        CHECK_EQ(c.cause, INTERRUPT | irqs[i]);
        raise_irq(irqs[i], false);
    }
    /* Asleep when it comes */
    csr_write(mie, BIT(MTI));
    for (u32 i = 0; i < 30; i++) {
        u64 start = mtime();

        check_note = 0x100 | i;
        write64(MTIMECMP, start + 2000 * i);
        run_insn(&c, PRIV_M, INSN_WFI);
        CHECK(completed(&c));
        CHECK(mtime() >= start + 2000 * i);
        insn_page[0] = INSN_WFI;
        fence_i();
        write64(MTIMECMP, mtime() + 2000);
        c.pc = (u64)insn_page;
        run(&c, PRIV_M, 1);
        CHECK_EQ(c.cause, INTERRUPT | MTI);
        /* either after the WFI, or before it when the host was slow */
        CHECK(c.epc == (u64)insn_page + 4 || c.epc == (u64)insn_page);
    }
    /* TW, and U-mode */
    quiet();
    csr_write(mie, BIT(MTI));
    write64(MTIMECMP, 0);
    run_insn(&c, PRIV_U, INSN_WFI);
    CHECK_EQ(c.cause, INTERRUPT | MTI);
    csr_write(mie, 0);
    run_insn(&c, PRIV_U, INSN_WFI);
    CHECK_TRAP(&c, 2, (u64)insn_page, INSN_WFI);
    csr_set(mstatus, MSTATUS_TW);
    run_insn(&c, PRIV_S, INSN_WFI);
    CHECK_TRAP(&c, 2, (u64)insn_page, INSN_WFI);
    quiet();
}

/* The other hart's IPI wakes a sleeper whose interrupts are off; thousands of times. */
static volatile u64 pings, pongs;

static void ponger(u64 hart)
{
    csr_write(mie, BIT(MSI));
    while (pongs < 2000) {
        while (!(csr_read(mip) & BIT(MSI)))
            __asm__ volatile("wfi");
        write32(CLINT_BASE + 4 * hart, 0);
        while (csr_read(mip) & BIT(MSI))
            ;
        pongs++;
        fence();
        write32(CLINT_BASE, 1);
    }
    csr_write(mie, 0);
}

static void test_ping_pong(void)
{
    quiet();
    pings = pongs = 0;
    csr_write(mie, BIT(MSI));
    hart_start(1, ponger, 1);
    while (pings < 2000) {
        pings++;
        write32(CLINT_BASE + 4, 1);
        while (!(csr_read(mip) & BIT(MSI)))
            __asm__ volatile("wfi");
        write32(CLINT_BASE, 0);
        while (csr_read(mip) & BIT(MSI))
            ;
        CHECK_EQ(pongs, pings);
    }
    hart_join(1);
    quiet();
}

void tests(void)
{
    test("sources, modes, vectors", test_sources);
    test("priorities", test_priorities);
    test("delegation", test_delegation);
    test("sip", test_sip);
    test("SEIP is wire or latch", test_seip);
    test("ACLINT SSWI", test_sswi);
    test("Sstc", test_stimecmp);
    test("at once after a CSR write", test_at_once);
    test("at once after SRET", test_xret);
    test("at every boundary, by mip", test_every_boundary);
    test("timer anywhere in a sequence, M-mode", test_timer_m);
    test("timer anywhere in a sequence, S-mode", test_timer_s);
    test("WFI", test_wfi);
    if (hart_count < 2)
        return;
    test("a storm of IPIs", test_storm);
    test("harts that wake each other", test_ping_pong);
}
