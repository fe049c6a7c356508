/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Smepmp: the table of "RWX encoding under MML" entry by entry, in all modes, with RLB set so that
 * rules can be changed; then what holds where no rule matches, and that MML and MMWP stay.
 *
 * Under MML the program's text is a locked rule, its data is matched by none: M-mode may read and
 * write it.
 */
#include "priv.h"

#define R     1u
#define W     2u
#define X     4u
#define TOR   0x08u
#define NAPOT 0x18u
#define L     0x80u

#define MML  1u
#define MMWP 2u
#define RLB  4u

static struct ctx c;
static u64 area[512] PAGE_ALIGNED;

/* Data accesses as another mode's by MPRV: a3 is what mstatus gets meanwhile. */
extern char probe_load[], probe_store[];
__asm__(".pushsection .text\n"
        ".balign 4\n"
        "probe_load: csrs mstatus, a3\n"
        "ld a2, 0(a0)\n"
        "csrc mstatus, a3\n"
        "ecall\n"
        "probe_store: csrs mstatus, a3\n"
        "sd a2, 8(a0)\n"
        "csrc mstatus, a3\n"
        "ecall\n"
        ".popsection");

/* The specification's table, row by row: L R W X, then M-mode, S and U. */
static const struct {
    u8 l, r, w, x, machine, others;
} rows[] = {
    {0, 0, 0, 0, 0, 0}, {0, 0, 0, 1, 0, X},     {0, 0, 1, 0, R | W, R}, {0, 0, 1, 1, R | W, R | W},
    {0, 1, 0, 0, 0, R}, {0, 1, 0, 1, 0, R | X}, {0, 1, 1, 0, 0, R | W}, {0, 1, 1, 1, 0, R | W | X},
    {1, 0, 0, 0, 0, 0}, {1, 0, 0, 1, X, 0},     {1, 0, 1, 0, X, X},     {1, 0, 1, 1, R | X, X},
    {1, 1, 0, 0, R, 0}, {1, 1, 0, 1, R | X, 0}, {1, 1, 1, 0, R | W, 0}, {1, 1, 1, 1, R, R},
};

static u32 probe(u64 priv)
{
    u32 may = 0;

    memset(&c, 0, sizeof(c));
    for (u32 kind = 0; kind < 2; kind++) {
        c.x[10] = (u64)area;
        c.x[13] = MSTATUS_MPRV | priv << 11;
        c.pc = (u64)(kind ? probe_store : probe_load);
        status_reset();
        run(&c, PRIV_M, 0);
        if (c.cause == 11)
            may |= kind ? W : R;
        else
            CHECK_EQ(c.cause, kind ? 7 : 5);
    }
    status_reset();
    c.pc = (u64)area;
    run(&c, priv, 0);
    if (c.cause >= 8)
        may |= X;
    else
        CHECK_EQ(c.cause, 1);
    return may;
}

static void test_table(void)
{
    for (u32 i = 0; i < COUNT(rows); i++) {
        u32 cfg = NAPOT | (rows[i].l ? L : 0) | (rows[i].r ? R : 0) | (rows[i].w ? W : 0) |
                  (rows[i].x ? X : 0);
        u64 others = csr_read(pmpcfg0) & ~0xfful;

        check_note = i;
        csr_write(pmpcfg0, others | cfg);
        CHECK_EQ(csr_read(pmpcfg0), others | cfg);
        CHECK_EQ(probe(PRIV_M), rows[i].machine);
        CHECK_EQ(probe(PRIV_S), rows[i].others);
        CHECK_EQ(probe(PRIV_U), rows[i].others);
    }
    csr_write(pmpcfg0, csr_read(pmpcfg0) & ~0xfful);
}

static void test_unmatched(void)
{
    CHECK_EQ(probe(PRIV_M), R | W);
    CHECK_EQ(probe(PRIV_S), 0);
    CHECK_EQ(probe(PRIV_U), 0);
}

static void test_sticky(void)
{
    csr_write(0x747, RLB);
    CHECK_EQ(csr_read(0x747) & (MML | MMWP | RLB), MML | RLB);
    csr_write(0x747, 0); /* RLB goes, and with a locked rule does not come back */
    CHECK_EQ(csr_read(0x747) & (MML | MMWP | RLB), MML);
    csr_write(0x747, RLB);
    CHECK_EQ(csr_read(0x747) & (MML | MMWP | RLB), MML);
}

/* Without RLB no rule that lets M-mode execute can be added; others can. */
static void test_no_new_code(void)
{
    u64 others = csr_read(pmpcfg0) & ~0xfful;

    if (on_qemu()) {
        skip("QEMU 7.2 goes by X alone");
        return;
    }
    for (u32 i = 0; i < COUNT(rows); i++) {
        u32 cfg = NAPOT | (rows[i].l ? L : 0) | (rows[i].r ? R : 0) | (rows[i].w ? W : 0) |
                  (rows[i].x ? X : 0);

        if (rows[i].l && !(rows[i].machine & X))
            continue; /* would lock the entry for good */
        check_note = i;
        csr_write(pmpcfg0, others | cfg);
        CHECK_EQ(csr_read(pmpcfg0), rows[i].machine & X ? others : others | cfg);
        csr_write(pmpcfg0, others);
    }
}

void tests(void)
{
    area[0] = (u64)INSN_ECALL << 32 | INSN_ECALL;
    fence_i();
    csr_write(0x747, RLB);
    csr_write(pmpcfg2, 0);
    csr_write(pmpaddr0, ((u64)area | (PAGE / 2 - 1)) >> 2);
    csr_write(pmpaddr1, 0x80000000 >> 2);
    csr_write(pmpaddr2, (u64)data_start >> 2);
    csr_write(pmpcfg0, (u64)(L | TOR | R | X) << 16);
    csr_write(0x747, RLB | MML);
    test("the table under MML", test_table);
    test("where no rule matches", test_unmatched);
    test("MML stays, RLB goes", test_sticky);
    test("no new code for M-mode", test_no_new_code);
}
