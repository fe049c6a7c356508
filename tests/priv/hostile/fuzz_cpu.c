/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Random instructions in all modes under random CSRs, page tables and interrupts. Every trap is
 * skipped or leads to new random code. PTEs point anywhere: RAM, holes, devices, the boot ROM.
 * The program's own pages may be overwritten by what it runs, and then all is lost: the machine
 * must still not be.
 */
#include "../priv.h"

#define ROUNDS     6000
#define POOL_PAGES 64

static struct ctx contexts[8];
static u64 pool[8][POOL_PAGES][512] PAGE_ALIGNED;

static const u16 csrs[] = {
    0x001, 0x002, 0x003, 0x015, 0x100, 0x104, 0x105, 0x106, 0x10a, 0x10c, 0x140,
    0x141, 0x142, 0x143, 0x144, 0x14d, 0x180, 0x302, 0x303, 0x304, 0x306, 0x30a,
    0x30c, 0x320, 0x323, 0x324, 0x33f, 0x341, 0x342, 0x343, 0x344, 0x3b0, 0x3b1,
    0xb00, 0xb02, 0xb03, 0xb1f, 0xc00, 0xc01, 0xc02, 0xda0, 0xf14,
};

/* An address worth trying. */
static u64 some_address(u64 *seed, u32 hart)
{
    static const u64 bases[] = {
        0x1000,      FINISHER_BASE + 8, 0x101000,   CLINT_BASE, SSWI_BASE,
        0x3000000,   PLIC_BASE,         UART_BASE,  0x10001000, 0x10008000,
        0x10100000,  0x20000000,        0x30000000, 0x40000000, HOLE,
        0x400000000, 0x7ffffff000,      0x87fff000, 0x88000000, -PAGE,
        BIT(55),     BIT(38),           BIT(47),    ~BIT(38),   0x1000000000,
    };
    u64 r = random_next(seed);

    if (r & 1)
        return (u64)pool[hart] + (r >> 8) % sizeof(pool[0]);
    if (r & 2)
        return bases[(r >> 8) % COUNT(bases)] + (r >> 20 & 0xfff);
    return r & 4 ? r : 0x1000000000 + (r >> 8 & 0x3fffff);
}

static u32 some_insn(u64 *seed)
{
    u64 r = random_next(seed);
    u32 rd = r & 31, rs1 = r >> 5 & 31, rs2 = r >> 10 & 31, f3 = r >> 15 & 7, raw = (u32)(r >> 32);

    switch (r >> 20 & 15) {
    case 0:
        return raw;
    case 1:
        return raw | 3;
    case 2:
        return insn_load(f3, rd, rs1) | (raw & 0xff0) << 20;
    case 3:
        return insn_store(f3 & 3, rs2, rs1) | (raw & 0xf80);
    case 4:
        return insn_amo(raw & 31, f3, rd, rs1, rs2);
    case 5:
    case 6: {
        u32 csr = csrs[raw % COUNT(csrs)];
        return insn_csr(f3, rd, csr, rs1);
    }
    case 7:
        return insn_i(0x73, 0, 0, 0, raw % 3 == 0 ? 0x102 : raw % 3 == 1 ? 0x105 : 0x302);
    case 8:
        return insn_r(0x73, 0, 9 + 2 * (raw & 1), 0, rs1, rs2 & 1);
    case 9:
        return INSN_FENCEI;
    case 10:
        return insn_i(0x0f, 2, 0, rs1, raw & 7); /* cbo */
    case 11:
        return (raw & 0xfe000f80) | 0x63 | f3 << 12 | rs1 << 15 | rs2 << 20;
    case 12:
        return (raw & 0x001ff000) | 0x6f;
    case 13:
        return (raw & 0xfff00000) | 0x67 | rs1 << 15 | rd << 7;
    case 14:
        return (raw & 0xffff) | (raw >> 3 & 0xffff0000);
    default:
        return (raw & 0xfffff000) | (u32[]){0x13, 0x33, 0x1b, 0x3b, 0x53, 0x43, 0x07, 0x27}[f3] |
               rd << 7;
    }
}

/* Tables and code: pages of the pool are both. */
static u64 some_pte(u64 *seed, u32 hart)
{
    u64 r = random_next(seed), pte = PTE_OF(some_address(seed, hart), r & 0xff);

    if (r & 0x300)
        pte |= PTE_V | PTE_A | PTE_D;
    if ((r & 0xc00) == 0)
        pte |= r & 0xffc0000000000000;
    if ((r & 0x3000) == 0) /* a pointer to a table of ours */
        pte = PTE_OF(pool[hart][r >> 16 & (POOL_PAGES - 1)], PTE_V);
    return pte;
}

static void scramble(u64 *seed, u32 hart)
{
    u64 r = random_next(seed);
    u64 *page = pool[hart][r & (POOL_PAGES - 1)];
    u32 at = r >> 8 & 511;

    for (u32 i = 0; i < 32; i++, at = (at + 1) & 511) {
        if (r >> 20 & 1)
            page[at] = some_pte(seed, hart);
        else
            page[at] = some_insn(seed) | (u64)some_insn(seed) << 32;
    }
}

/* Registers of the machine that a test in M-mode can set without losing itself. */
static void scramble_machine(u64 *seed, u32 hart)
{
    u64 r = random_next(seed), mode = r & 15;

    csr_write(satp, 0);
    if (r & 16)
        csr_write(satp, (mode < 3 ? 8 + mode : mode) << 60 | (u64)pool[hart][r >> 8 & 63] >> 12);
    csr_write(medeleg, random_next(seed));
    csr_write(mideleg, random_next(seed));
    csr_write(mie, random_next(seed) & random_next(seed));
    csr_write(menvcfg, random_next(seed));
    csr_write(senvcfg, random_next(seed));
    csr_write(mcounteren, random_next(seed));
    csr_write(stvec, r & 32 ? random_next(seed) : (u64)s_vectors);
    csr_write(mstatus, (random_next(seed) & ~(MSTATUS_MPRV | MSTATUS_MIE)) | MSTATUS_FS);
    csr_write(mhpmevent3, random_next(seed));
    csr_write(mhpmcounter3, random_next(seed) | random_next(seed));
    csr_write(mcountinhibit, random_next(seed));
    csr_write(pmpaddr0, random_next(seed) & random_next(seed) & ~1ul);
    csr_write(pmpaddr1, some_address(seed, hart) >> 2 & ~1ul);
    /* No lock, and no region that cuts words in two: M-mode stays free. */
    if (r & 64)
        csr_write(pmpcfg0, (random_next(seed) & 0x0707) | (r & 128 ? 0x1818 : 0x0808));
    write64(CLINT_BASE + 0x4000 + 8 * hart, mtime() + (r >> 40 & 0xfff));
}

static void attack(u64 hart)
{
    u64 seed = 0x1234567 + hart * 77777;
    struct ctx *c = &contexts[hart];

    for (u32 i = 0; i < POOL_PAGES * 20; i++)
        scramble(&seed, (u32)hart);
    for (u32 round = 0; round < ROUNDS; round++) {
        u64 r;

        scramble(&seed, (u32)hart);
        scramble_machine(&seed, (u32)hart);
        for (u32 i = 0; i < 32; i++)
            c->x[i] = random_next(&seed) & 3 ? some_address(&seed, (u32)hart) : random_next(&seed);
        c->pc = (u64)pool[hart] + (random_next(&seed) % sizeof(pool[0]) & ~1ul);
        if (random_next(&seed) & 1)
            c->pc = some_address(&seed, (u32)hart) & ~1ul;
        for (u32 step = 0; step < 40; step++) {
            r = random_next(&seed);
            /* a limit to loops */
            write64(CLINT_BASE + 0x4000 + 8 * hart, mtime() + (r >> 32 & 0xff));
            csr_set(mie, BIT(7));
            csr_clear(mideleg, BIT(7));
            run(c, r & 1, 0); /* U or S: what runs in M-mode would end the game */
            write32(CLINT_BASE + 4 * hart, 0);
            c->pc = c->epc + (r & 2 ? 2 : 4);
            if (c->cause == 1 || c->cause == 12 || c->cause >> 63)
                c->pc = (u64)pool[hart] + (random_next(&seed) % sizeof(pool[0]) & ~1ul);
        }
        if (!(round & 1023))
            print("# hart %lu round %u\n", hart, round);
    }
}

void tests(void)
{
    for (u32 h = 1; h < hart_count; h++)
        hart_start(h, attack, h);
    attack(0);
    for (u32 h = 1; h < hart_count; h++)
        hart_join(h);
}
