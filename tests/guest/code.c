/* SPDX-License-Identifier: BSD-2-Clause */
/* More code than any cache holds, code that changes under other harts, addresses that move. */
#include "attack.h"

#define PAGES  2048 /* of code: 8 MiB, many times over */
#define ROUNDS (1 + TIMES(20) / 10)

static u8 code[PAGES][PAGE] PAGE_ALIGNED;

/* a0 + n, by as many instructions as fit. */
static void make(u32 *at, u32 n, u32 count)
{
    for (u32 i = 0; i < count - 1; i++)
        at[i] = i < n ? insn_addi(10, 10, 1) : insn_addi(10, 10, 0);
    at[count - 1] = 0x00008067; /* ret */
}

static u64 call(const void *at, u64 a0)
{
    return ((u64(*)(u64))at)(a0);
}

static void more_than_the_cache(void)
{
    for (u32 round = 0; round < ROUNDS; round++) {
        for (u32 p = 0; p < PAGES; p++)
            make((u32 *)code[p], (p + round) % 500, PAGE / 4);
        fence_i();
        for (u32 p = 0; p < PAGES; p++) {
            check_note = p;
            CHECK_EQ(call(code[p], 5), 5 + (p + round) % 500);
        }
    }
}

/* Each instruction is a place that is jumped to: as many translations as can be. */
static void every_place(void)
{
    for (u32 p = 0; p < 8; p++) {
        make((u32 *)code[p], 1000, PAGE / 4);
        fence_i();
        for (u32 i = 0; i < PAGE / 4; i++) {
            u64 more = i < 1000 ? 1000 - i : 0;
            CHECK_EQ(call(code[p] + 4 * i, 0), more);
        }
    }
}

static volatile u32 stop;

static void rewrite(u64 arg)
{
    volatile u32 *at = (volatile u32 *)code[0];

    for (u32 i = 0; !stop; i++) {
        at[i % 64] = insn_addi(10, 10, (s64)(1 + i % 3));
        if (i % 16 == arg)
            fence_i();
    }
}

/* What it returns is anybody's guess; that it returns is not. */
static void other_harts(void)
{
    if (hart_count < 2) {
        skip("needs two harts");
        return;
    }
    make((u32 *)code[0], 64, 128);
    fence_i();
    stop = 0;
    for (u32 h = 1; h < hart_count; h++)
        hart_start(h, rewrite, h);
    for (u32 i = 0; i < TIMES(20000); i++) {
        u64 sum = call(code[0], 0);
        CHECK(sum >= 64 && sum <= 3 * 64);
        if (i % 8 == 0)
            fence_i();
    }
    stop = 1;
    for (u32 h = 1; h < hart_count; h++)
        hart_join(h);
}

#define WINDOW 0x40000000ul /* where nothing else is mapped */

/* One address that means another page each time, and pages by many addresses. */
static void addresses_that_move(void)
{
    static struct ctx c;

    vm_init(3);
    for (u32 i = 0; i < TIMES(3000); i++) {
        u64 page = i % PAGES, va = WINDOW + (i % 512) * PAGE;

        make((u32 *)code[page], i % 100, 101);
        ((u32 *)code[page])[100] = INSN_ECALL;
        vm_map(va, (u64)code[page], PTE_RWX | (i & 1 ? PTE_U : 0));
        csr_write(satp, vm_satp(i & 7));
        sfence();
        fence_i();
        c.pc = va;
        c.x[10] = 0;
        run(&c, i & 1 ? PRIV_U : PRIV_S, 0);
        check_note = i;
        CHECK_EQ(c.x[10], i % 100);
    }
    csr_write(satp, 0);
    sfence();
}

/* A loop that stores at a1, a1 + a2, ... a3 times. */
static void make_stores(u32 *at)
{
    at[0] = insn_store(SD, 11, 11);
    at[1] = 0x00c585b3; /* add a1, a1, a2 */
    at[2] = insn_addi(13, 13, -1);
    at[3] = 0xfe069ae3; /* bnez a3, -12 */
    at[4] = INSN_ECALL;
    fence_i();
}

/* Many address spaces with scattered pages, each used until it may get mappings of the host. */
static void many_spaces(void)
{
    static struct ctx c;
    u64 seed = 11;

    vm_init(3);
    for (u32 i = 0; i < 512; i++)
        vm_map(WINDOW + i * PAGE, (u64)code[i], PTE_RWX | PTE_U);
    make_stores((u32 *)code[0]);
    for (u32 space = 0; space < 48; space++) {
        csr_write(satp, vm_satp(space));
        sfence();
        c.pc = WINDOW;
        c.x[11] = WINDOW + PAGE;
        c.x[12] = 8;
        c.x[13] = 510 * PAGE / 8;
        run(&c, PRIV_U, 0);
        CHECK_EQ(c.cause, 8);
        for (u32 k = 0; k < 32; k++) { /* pages go and come elsewhere */
            u64 n = 1 + random_next(&seed) % 511;
            *vm_pte(WINDOW + n * PAGE, 0) =
                PTE_OF((u64)code[random_next(&seed) % PAGES], PTE_RW | PTE_U);
        }
    }
    csr_write(satp, 0);
    sfence();
}

#define PAGES_USED 64

/* Each page becomes another one, a device or nothing, with any rights, and nobody is told. */
static void remap(u64 arg)
{
    static const u64 at[] = {PLIC_BASE, 0x20000000, HOLE, RAM_END, 0x1000, ~0ul << 12};
    u64 seed = arg + 5;

    while (!stop) {
        u64 r = random_next(&seed), n = 1 + r % (PAGES_USED - 1);
        u64 pa = r & 0x300 ? (u64)code[1 + (r >> 16) % (PAGES - 1)] : at[(r >> 16) % COUNT(at)];

        *vm_pte(WINDOW + n * PAGE, 0) = PTE_OF(pa, r >> 40 & (PTE_RWX | PTE_U)) | (r >> 50 & 7);
    }
}

static void tables_rewritten(void)
{
    static struct ctx c;
    static const u64 causes = BIT(5) | BIT(7) | BIT(8) | BIT(13) | BIT(15);

    if (hart_count < 2) {
        skip("needs two harts");
        return;
    }
    vm_init(3);
    for (u32 i = 0; i < PAGES_USED; i++)
        vm_map(WINDOW + i * PAGE, (u64)code[i], PTE_RWX | PTE_U);
    make_stores((u32 *)code[0]);
    csr_write(satp, vm_satp(1));
    sfence();
    stop = 0;
    hart_start(1, remap, 1);
    for (u32 i = 0; i < TIMES(20000); i++) {
        c.pc = WINDOW;
        c.x[11] = WINDOW + PAGE + i % (PAGES_USED - 1) * PAGE;
        c.x[12] = 512;
        c.x[13] = (PAGES_USED - 1 - i % (PAGES_USED - 1)) * 8;
        run(&c, PRIV_U, 0);
        CHECK(causes >> c.cause & 1);
        if (i % 16 == 0)
            sfence();
    }
    stop = 1;
    hart_join(1);
    vm_map(WINDOW + PAGE, (u64)code[1], PTE_RWX | PTE_U);
    sfence();
    make_stores((u32 *)code[0]);
    c.pc = WINDOW;
    c.x[11] = WINDOW + PAGE;
    c.x[13] = 1;
    run(&c, PRIV_U, 0);
    CHECK_EQ(c.cause, 8);
    CHECK_EQ(*(volatile u64 *)code[1], WINDOW + PAGE);
    csr_write(satp, 0);
    sfence();
}

void tests(void)
{
    test("more code than a cache holds", more_than_the_cache);
    test("code entered at every place", every_place);
    test("code that other harts rewrite", other_harts);
    test("addresses that move", addresses_that_move);
    test("many address spaces", many_spaces);
    test("page tables that another hart rewrites", tables_rewritten);
}
