/* SPDX-License-Identifier: BSD-2-Clause */
/* Physical memory protection: matching, granularity, locks, M-mode, Smepmp's table. */
#include "priv.h"

#define R     1u
#define W     2u
#define X     4u
#define OFF   0x00u
#define TOR   0x08u
#define NA4   0x10u
#define NAPOT 0x18u
#define L     0x80u

static struct ctx c;
static u64 area[2 * 512] PAGE_ALIGNED;

/* Two entries below the framework's open one. Locks stay: the tests that set them come last. */
static void entries(u32 cfg0, u64 addr0, u32 cfg1, u64 addr1)
{
    csr_write(pmpcfg0, 0);
    csr_write(pmpaddr0, addr0 >> 2);
    csr_write(pmpaddr1, addr1 >> 2);
    csr_write(pmpcfg0, cfg0 | cfg1 << 8);
}

static u64 napot(u64 base, u64 size)
{
    return base | (size / 2 - 1);
}

static bool may(u64 priv, u32 insn, u64 at, u64 cause)
{
    c.x[10] = at;
    c.x[11] = 0;
    run_insn(&c, priv, insn);
    if (completed(&c))
        return true;
    CHECK_TRAP(&c, cause, (u64)insn_page, at);
    return false;
}

static bool may_load(u64 priv, u64 at)
{
    return may(priv, insn_load(LD, 12, 10), at, 5);
}

static bool may_store(u64 priv, u64 at)
{
    return may(priv, insn_store(SD, 11, 10), at, 7);
}

static bool may_fetch(u64 priv, u64 at)
{
    *(u32 *)at = INSN_ECALL;
    *(u32 *)(at + 4) = INSN_ECALL;
    fence_i();
    memset(&c, 0, sizeof(c));
    c.pc = at;
    run(&c, priv, 0);
    if (c.cause >= 8)
        return true;
    CHECK_TRAP(&c, 1, at, at);
    return false;
}

/* Each permission, in each mode; M-mode is not bound by what is not locked. */
static void test_permissions(void)
{
    static const u32 kinds[] = {TOR, NAPOT};

    for (u32 k = 0; k < 2; k++) {
        for (u32 rwx = 0; rwx < 8; rwx++) {
            if ((rwx & (R | W)) == W)
                continue; /* reserved */
            for (u64 priv = PRIV_U; priv <= PRIV_M; priv += 1 + (priv == 1)) {
                bool m = priv == PRIV_M;

                check_note = k << 8 | rwx << 4 | priv;
                if (kinds[k] == TOR)
                    entries(OFF, (u64)area, TOR | rwx, (u64)area + PAGE);
                else
                    entries(NAPOT | rwx, napot((u64)area, PAGE), OFF, 0);
                memset(area, 0, 64);
                CHECK_EQ(may_load(priv, (u64)area + 8), m || (rwx & R));
                CHECK_EQ(may_store(priv, (u64)area + 8), m || (rwx & W));
                CHECK(may_load(priv, (u64)area + PAGE));
                CHECK(may_store(priv, (u64)area - 8));
                entries(OFF, 0, OFF, 0);
                *(u32 *)&area[2] = INSN_ECALL;
                fence_i();
                if (kinds[k] == TOR)
                    entries(OFF, (u64)area, TOR | rwx, (u64)area + PAGE);
                else
                    entries(NAPOT | rwx, napot((u64)area, PAGE), OFF, 0);
                CHECK_EQ(may_fetch(priv, (u64)area + 16), m || (rwx & X));
            }
        }
    }
    entries(OFF, 0, OFF, 0);
}

/* Regions of 4 and 8 bytes within a page, reached before and after neighbours were. */
static void test_small(void)
{
    u64 at = (u64)area + 0x100;

    if (on_qemu()) {
        skip("QEMU 7.2 keeps pages in its TLB for small regions");
        return;
    }
    for (u32 round = 0; round < 3; round++) {
        check_note = round;
        entries(NA4, at, OFF, 0);
        CHECK(may_load(PRIV_S, at + 8));
        CHECK(!may_load(PRIV_S, at));
        CHECK(may_load(PRIV_S, at - 8));
        CHECK(may(PRIV_S, insn_load(LW, 12, 10), at + 4, 5));
        CHECK(!may(PRIV_S, insn_load(LW, 12, 10), at, 5));
        CHECK(!may(PRIV_S, insn_load(LB, 12, 10), at + 3, 5));
        CHECK(may(PRIV_S, insn_load(LB, 12, 10), at - 1, 5));
        CHECK(!may(PRIV_S, insn_load(LW, 12, 10), at - 2, 5)); /* misaligned into it */
        CHECK(!may(PRIV_S, insn_load(LD, 12, 10), at - 4, 5));
        /* A partial match fails whatever it permits, in M-mode as well. */
        entries(NA4 | R | W | X, at, OFF, 0);
        CHECK(!may_load(PRIV_M, at));
        CHECK(!may_store(PRIV_S, at));
        CHECK(may(PRIV_S, insn_store(SW, 11, 10), at, 7));
        /* 16 bytes at once, the second half of which is not there */
        entries(NAPOT, napot(at + 24, 8), OFF, 0);
        CHECK(!may(PRIV_S, insn_amo(AMOCAS, 4, 14, 10, 12), at + 16, 7));
        CHECK(may(PRIV_S, insn_amo(AMOADD, 3, 14, 10, 12), at + 16, 7));
        /* Code, too: of two instructions only the second is there. */
        entries(OFF, 0, OFF, 0);
        *(u32 *)at = INSN_NOP;
        *(u32 *)(at + 4) = INSN_NOP;
        *(u32 *)(at + 8) = INSN_ECALL;
        fence_i();
        entries(NA4, at + 4, OFF, 0);
        memset(&c, 0, sizeof(c));
        c.pc = at;
        run(&c, PRIV_S, 0);
        CHECK_TRAP(&c, 1, at + 4, at + 4);
        /* half of an instruction */
        *(u16 *)(at + 2) = 0x0513; /* li a0, ... over the edge */
        *(u16 *)at = 0x0001;
        fence_i();
        c.pc = at;
        run(&c, PRIV_S, 0);
        CHECK_EQ(c.cause, 1);
        CHECK_EQ(c.epc, at + 2);
        CHECK_EQ(c.tval, at + 4);
    }
    entries(OFF, 0, OFF, 0);
}

/* The entry of the lowest number decides. */
static void test_order(void)
{
    entries(NAPOT | R, napot((u64)area, 64), NAPOT, napot((u64)area, PAGE));
    CHECK(may_load(PRIV_S, (u64)area));
    CHECK(!may_store(PRIV_S, (u64)area));
    CHECK(!may_load(PRIV_S, (u64)area + 64));
    entries(NAPOT, napot((u64)area, PAGE), NAPOT | R | W | X, napot((u64)area, 64));
    CHECK(!may_load(PRIV_S, (u64)area));
    /* TOR with its ends the wrong way round matches nothing. */
    entries(OFF, (u64)area + PAGE, TOR, (u64)area);
    CHECK(may_load(PRIV_S, (u64)area));
    CHECK(may_load(PRIV_S, (u64)area + 8));
    /* TOR of entry 0 starts at 0. */
    entries(TOR | R, 0x80000000, OFF, 0);
    CHECK(may_load(PRIV_S, CLINT_BASE + 0xbff8));
    CHECK(!may_store(PRIV_S, CLINT_BASE + 0x4000));
    entries(OFF, 0, OFF, 0);
}

/* Under translation: the physical address counts, and the page-table walk's own accesses. */
static void test_translated(void)
{
    const u64 va = 0x1000000000ul;
    u64 table;

    vm_init(3);
    vm_map(va, (u64)area, PTE_RWX);
    vm_map(va + PAGE, (u64)area + PAGE, PTE_RWX);
    csr_write(satp, vm_satp(0));
    sfence();
    table = (u64)vm_pte(va, 0) & ~0xffful;
    entries(NAPOT | R, napot((u64)area, PAGE), OFF, 0);
    sfence();
    CHECK(may_load(PRIV_S, va));
    CHECK(!may_store(PRIV_S, va));
    CHECK(may_store(PRIV_S, va + PAGE));
    /* Tables that may not be read: access faults of the original kind */
    entries(NAPOT, napot(table, PAGE), OFF, 0);
    sfence();
    CHECK(!may_load(PRIV_S, va));
    CHECK(!may_store(PRIV_S, va));
    c.pc = va;
    run(&c, PRIV_S, 0);
    CHECK_TRAP(&c, 1, va, va);
    /* Readable, not writable: D cannot be set by hardware. */
    csr_set(menvcfg, BIT(61));
    vm_map(va, (u64)area, PTE_V | PTE_R | PTE_W | PTE_A);
    entries(NAPOT | R, napot(table, PAGE), OFF, 0);
    sfence();
    CHECK(may_load(PRIV_S, va));
    if (!on_qemu()) { /* 7.2 writes all the same */
        CHECK(!may_store(PRIV_S, va));
        CHECK_EQ(*vm_pte(va, 0) & PTE_D, 0);
    }
    entries(NAPOT | R | W, napot(table, PAGE), OFF, 0);
    sfence();
    CHECK(may_store(PRIV_S, va));
    csr_write(menvcfg, 0);
    csr_write(satp, 0);
    entries(OFF, 0, OFF, 0);
}

/* MPRV: M-mode's data accesses are judged as those of MPP. */
static void test_mprv(void)
{
    static const u32 insns[] = {0x30052073, 0x0005b603, 0x30053073};

    entries(NAPOT, napot((u64)area, PAGE), OFF, 0);
    for (u64 priv = PRIV_U; priv <= PRIV_M; priv += 1 + (priv == 1)) {
        check_note = priv;
        status_reset();
        c.x[10] = MSTATUS_MPRV | priv << 11;
        c.x[11] = (u64)area;
        run_insns(&c, PRIV_M, insns, COUNT(insns));
        CHECK_EQ(c.cause, priv == PRIV_M ? 11 : 5);
    }
    status_reset();
    entries(OFF, 0, OFF, 0);
}

static void test_warl(void)
{
    csr_write(pmpaddr0, -1ul);
    CHECK_EQ(csr_read(pmpaddr0), on_qemu() ? -1ul : BIT(54) - 1);
    csr_write(pmpaddr0, 0);
    csr_write(pmpcfg0, 0x60); /* reserved bits */
    CHECK_EQ(csr_read(pmpcfg0), on_qemu() ? 0x60 : 0);
    csr_write(pmpcfg0, 0);
    run_insn(&c, PRIV_M, 0x3a102573); /* pmpcfg1: not in RV64 */
    CHECK_EQ(c.cause, 2);
    run_insn(&c, PRIV_S, 0x3a002573);
    CHECK_EQ(c.cause, 2);
}

/* No entry matches: S and U fail. */
static void test_none(void)
{
    entries(OFF, 0, OFF, 0);
    csr_write(pmpcfg2, 0);
    if (on_qemu()) {
        skip("QEMU 7.2 makes MRET illegal then");
        csr_write(pmpcfg2, 0x1ful << 56);
        return;
    }
    CHECK(may_load(PRIV_M, (u64)area));
    c.pc = (u64)insn_page;
    run(&c, PRIV_U, 0);
    CHECK_TRAP(&c, 1, (u64)insn_page, (u64)insn_page);
    csr_write(pmpcfg2, 0x1ful << 56);
}

/* Locked entries bind M-mode and do not change; entry 5, TOR, locks the address of 4. */
static void test_lock(void)
{
    csr_write(pmpaddr4, (u64)area >> 2);
    csr_write(pmpaddr5, ((u64)area + 64) >> 2);
    csr_write(pmpcfg0, (u64)(L | TOR | R) << 40);
    CHECK(may_load(PRIV_M, (u64)area));
    CHECK(!may_store(PRIV_M, (u64)area));
    CHECK(!may_store(PRIV_S, (u64)area));
    CHECK(may_store(PRIV_M, (u64)area + 64));
    csr_write(pmpaddr4, 0);
    csr_write(pmpaddr5, 0);
    csr_write(pmpcfg0, 0);
    CHECK_EQ(csr_read(pmpaddr4), (u64)area >> 2);
    CHECK_EQ(csr_read(pmpaddr5), ((u64)area + 64) >> 2);
    CHECK_EQ(csr_read(pmpcfg0), (u64)(L | TOR | R) << 40);
    CHECK(!may_store(PRIV_M, (u64)area));
    CHECK(!may(PRIV_M, insn_amo(AMOADD, 3, 12, 10, 11), (u64)area, 7));
}

void tests(void)
{
    test("R W X, TOR and NAPOT, modes", test_permissions);
    test("regions smaller than a page", test_small);
    test("order of entries, odd ranges", test_order);
    test("under translation", test_translated);
    test("MPRV", test_mprv);
    test("WARL fields", test_warl);
    test("no entry matches", test_none);
    test("locks", test_lock);
}
