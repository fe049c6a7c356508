/* SPDX-License-Identifier: BSD-2-Clause */
/* Access faults at every stage: page tables, holes, devices by width, code from devices, edges. */
#include "priv.h"

#define ROM     0x1000ul
#define RAM_END 0x88000000ul /* run.py gives 128 MiB */

static struct ctx c;
static u64 area[512] PAGE_ALIGNED;
static const u64 va = 0x1000000000ul;

static u64 load(u64 priv, u32 f3, u64 at)
{
    c.x[10] = at;
    run_insn(&c, priv, insn_load(f3, 12, 10));
    return c.cause;
}

static u64 store(u64 priv, u32 f3, u64 at)
{
    c.x[10] = at;
    run_insn(&c, priv, insn_store(f3, 11, 10));
    return c.cause;
}

static u64 fetch(u64 priv, u64 at)
{
    memset(&c, 0, sizeof(c));
    c.pc = at;
    run(&c, priv, 0);
    return c.cause;
}

static void check_all(u64 at)
{
    for (u32 f3 = LB; f3 <= LD; f3++) {
        CHECK_EQ(load(PRIV_S, f3, at), 5);
        CHECK_TRAP(&c, 5, (u64)insn_page, at);
        CHECK_EQ(store(PRIV_S, f3, at), 7);
        CHECK_TRAP(&c, 7, (u64)insn_page, at);
    }
    CHECK_EQ(fetch(PRIV_S, at), 1);
    CHECK_TRAP(&c, 1, at, at);
}

static void map_on(u32 levels)
{
    csr_write(satp, 0);
    vm_init(levels);
    csr_write(satp, vm_satp(0));
    sfence();
}

static void test_holes(void)
{
    static const u64 holes[] = {0, HOLE, RAM_END, RAM_END + 0x1000, 0x50000, 0xffffffffff000};

    for (u32 i = 0; i < COUNT(holes); i++) {
        check_note = holes[i];
        check_all(holes[i]);
    }
    map_on(3);
    for (u32 i = 0; i < COUNT(holes); i++) {
        check_note = BIT(63) | holes[i];
        vm_map(va, holes[i], PTE_RWX);
        sfence();
        check_all(va);
    }
    csr_write(satp, 0);
}

/* The PTE of each level in a hole or beyond RAM: an access fault of the access's own kind. */
static void test_tables(void)
{
    static const u64 places[] = {HOLE, RAM_END, 0xffffffffff000};

    if (on_qemu()) {
        skip("QEMU 7.2 reads a PTE of 0 there");
        return;
    }
    for (u32 levels = 3; levels <= 5; levels++) {
        for (u32 level = 1; level < levels; level++) {
            for (u32 i = 0; i < COUNT(places); i++) {
                u64 at = BIT(12 + 9 * levels - 2) | 0x123000; /* a root entry of its own */

                check_note = levels << 8 | level << 4 | i;
                map_on(levels);
                *vm_pte(at, level) = PTE_OF(places[i], PTE_V);
                sfence();
                check_all(at);
            }
        }
    }
    /* The root itself; M-mode is not affected. */
    csr_write(satp, 8ul << 60 | HOLE >> 12);
    sfence();
    CHECK_EQ(fetch(PRIV_S, (u64)insn_page), 1);
    CHECK_EQ(load(PRIV_M, LD, (u64)area), 11);
    csr_write(satp, 0);
}

/* Tables in the boot ROM can be read; A and D cannot be set there. */
static void test_rom_table(void)
{
    if (on_qemu()) {
        skip("what the boot ROM holds differs");
        return;
    }
    map_on(3);
    csr_set(menvcfg, BIT(61));
    *vm_pte(va, 1) = PTE_OF(CLINT_BASE, PTE_V); /* a device */
    sfence();
    check_all(va);
    csr_write(menvcfg, 0);
    csr_write(satp, 0);
}

static void test_rom(void)
{
    c.x[11] = 0;
    CHECK_EQ(load(PRIV_M, LW, ROM), 11);
    if (!on_qemu())
        CHECK_EQ(store(PRIV_M, SW, ROM), 7);
}

/* Registers of devices take their own widths, aligned. */
static void test_widths(void)
{
    static const struct {
        u64 at;
        u32 ok; /* bit f3 */
    } registers[] = {
        {CLINT_BASE, 4},           {CLINT_BASE + 0x4000, 12},
        {CLINT_BASE + 0xbff8, 12}, {PLIC_BASE + 4, 4},
        {PLIC_BASE + 0x200000, 4}, {UART_BASE + 5, 1},
        {0x10001000, 4},           {0x101000, 4},
    };

    if (on_qemu()) {
        skip("QEMU splits and widens some");
        return;
    }
    for (u32 i = 0; i < COUNT(registers); i++) {
        for (u32 f3 = LB; f3 <= LD; f3++) {
            u64 at = registers[i].at;
            bool ok = registers[i].ok >> f3 & 1;

            check_note = at << 4 | f3;
            if (at & ((1u << f3) - 1))
                ok = false;
            CHECK_EQ(load(PRIV_M, f3, at), ok ? 11 : 5);
            if (!ok)
                CHECK_TRAP(&c, 5, (u64)insn_page, at);
            if ((at + 1) & ((1u << f3) - 1)) /* misaligned: never */
                CHECK_EQ(load(PRIV_M, f3, at + 1), 5);
        }
    }
}

/* No code comes from devices. */
static void test_device_code(void)
{
    static const u64 places[] = {CLINT_BASE + 0x4000, PLIC_BASE, 0x101000, FINISHER_BASE + 0x10};

    for (u32 i = 0; i < COUNT(places); i++) {
        check_note = places[i];
        fetch(PRIV_M, places[i]);
        /* A fault, or whatever the register's value means; the machine goes on. */
        CHECK(c.cause == 1 || c.cause == 2 || on_qemu());
        CHECK_EQ(c.epc, places[i]);
    }
}

/* Accesses that begin in the last bytes of RAM and end beyond. */
static void test_edge(void)
{
    if (on_qemu()) {
        skip("QEMU 7.2 aborts when code runs off RAM");
        return;
    }
    *(volatile u64 *)(RAM_END - 8) = 0x1122334455667788;
    CHECK_EQ(load(PRIV_M, LD, RAM_END - 8), 11);
    for (u64 in = 1; in < 8; in++) {
        check_note = in;
        CHECK_EQ(load(PRIV_M, LD, RAM_END - in), 5);
        CHECK_EQ(c.tval, RAM_END);
        c.x[11] = 0;
        CHECK_EQ(store(PRIV_M, SD, RAM_END - in), 7);
        CHECK_EQ(c.tval, RAM_END);
        CHECK_EQ(*(volatile u64 *)(RAM_END - 8), 0x1122334455667788);
    }
    /* Instructions likewise */
    *(volatile u16 *)(RAM_END - 2) = 0x0513;
    fence_i();
    CHECK_EQ(fetch(PRIV_M, RAM_END - 2), 1);
    CHECK_EQ(c.epc, RAM_END - 2);
    CHECK_EQ(c.tval, RAM_END);
    *(volatile u16 *)(RAM_END - 2) = 0x0001;
    fence_i();
    CHECK_EQ(fetch(PRIV_M, RAM_END - 2), 1);
    CHECK_TRAP(&c, 1, RAM_END, RAM_END);
}

void tests(void)
{
    test("holes", test_holes);
    test("page tables in holes", test_tables);
    test("page tables in devices", test_rom_table);
    test("the boot ROM", test_rom);
    test("widths of registers", test_widths);
    test("code in devices", test_device_code);
    test("the end of RAM", test_edge);
}
