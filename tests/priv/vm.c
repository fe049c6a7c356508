/* SPDX-License-Identifier: BSD-2-Clause */
/* Translation: walks of Sv39, Sv48 and Sv57, permissions, A and D, fences, accesses across pages.
 */
#include "priv.h"

static struct ctx c;
static u64 page_a[512] PAGE_ALIGNED, page_b[512] PAGE_ALIGNED, page_c[512] PAGE_ALIGNED;
static u64 big[16 * 512] __attribute__((aligned(65536)));

static const u64 va = 0x1000000000ul;

/* One access to address in priv with what satp says now; c.x[11] is the datum. */
static u64 access(u64 priv, u32 insn, u64 address)
{
    c.x[10] = address;
    run_insn(&c, priv, insn);
    return c.cause;
}

static u64 load(u64 priv, u64 address)
{
    return access(priv, insn_load(LD, 12, 10), address);
}

static u64 store(u64 priv, u64 address, u64 value)
{
    c.x[11] = value;
    return access(priv, insn_store(SD, 11, 10), address);
}

static u64 fetch(u64 priv, u64 address)
{
    memset(&c, 0, sizeof(c));
    c.pc = address;
    run(&c, priv, 0);
    return c.cause;
}

/* S- and U-mode run insn_page by its physical address: U needs a mapping of its own. */
static void setup(u32 levels)
{
    status_reset();
    csr_write(satp, 0);
    csr_write(menvcfg, 0);
    csr_write(medeleg, 0);
    vm_init(levels);
    /* a gigabyte with U set would keep S-mode from executing: one page only */
    vm_map(va + 0x100000, (u64)insn_page, PTE_RWX | PTE_U);
    csr_write(satp, vm_satp(0));
    sfence();
    memset(page_a, 0xaa, PAGE);
    memset(page_b, 0xbb, PAGE);
}

/* From U-mode by way of its mapping of insn_page. */
static u64 user(u32 insn, u64 address, u64 value)
{
    insn_page[0] = insn;
    insn_page[1] = INSN_ECALL;
    fence_i();
    c.x[10] = address;
    c.x[11] = value;
    c.pc = va + 0x100000;
    run(&c, PRIV_U, 0);
    return c.cause;
}

static void walk_levels(u32 levels)
{
    u64 top;

    setup(levels);
    vm_map(va, (u64)page_a, PTE_RW);
    CHECK_EQ(load(PRIV_S, va + 8), 9);
    CHECK_EQ(c.x[12], 0xaaaaaaaaaaaaaaaa);
    CHECK_EQ(store(PRIV_S, va + 16, 0x1234), 9);
    CHECK_EQ(page_a[2], 0x1234);
    /* Not canonical: a page fault for every kind */
    top = 1ul << (12 + 9 * levels - 1);
    CHECK_EQ(load(PRIV_S, va | top), 13);
    CHECK_EQ(c.tval, va | top);
    CHECK_EQ(store(PRIV_S, va | BIT(62), 0), 15);
    CHECK_EQ(fetch(PRIV_S, va | BIT(60)), 12);
    CHECK_EQ(c.tval, va | BIT(60));
    CHECK_EQ(c.epc, va | BIT(60));
    /* The upper half */
    vm_map(-PAGE, (u64)page_b, PTE_RW);
    CHECK_EQ(load(PRIV_S, -8ul), 9);
    CHECK_EQ(c.x[12], 0xbbbbbbbbbbbbbbbb);
    /* Nothing there */
    CHECK_EQ(load(PRIV_S, va + PAGE), 13);
    CHECK_EQ(c.tval, va + PAGE);
    CHECK_EQ(c.epc, (u64)insn_page);
    /* A leaf on level 0 that is a pointer */
    *vm_pte(va + PAGE, 0) = PTE_OF(page_a, PTE_V);
    sfence();
    CHECK_EQ(load(PRIV_S, va + PAGE), 13);
    /* Superpages of every size, and misaligned ones */
    for (u32 level = 1; level < levels; level++) {
        u64 base = 0x80000000ul & ~((1ul << (12 + 9 * level)) - 1);
        u64 at = level + 1 == levels ? 1ul << (12 + 9 * level) : va + (1ul << (12 + 9 * level)) * 2;

        check_note = levels << 8 | level;
        at &= ~((1ul << (12 + 9 * level)) - 1);
        if (base + (1ul << (12 + 9 * level)) <= (u64)page_a)
            base = (u64)page_a & ~((1ul << (12 + 9 * level)) - 1);
        if (level >= 3)
            base = 0;
        *vm_pte(at, level) = PTE_OF(base, PTE_RW);
        sfence();
        CHECK_EQ(load(PRIV_S, at + ((u64)page_b - base)), 9);
        CHECK_EQ(c.x[12], 0xbbbbbbbbbbbbbbbb);
        *vm_pte(at, level) = PTE_OF(base + PAGE, PTE_RW);
        sfence();
        CHECK_EQ(load(PRIV_S, at + ((u64)page_b - base)), 13);
        *vm_pte(at, level) = 0;
    }
}

static void test_walk39(void)
{
    walk_levels(3);
}

static void test_walk48(void)
{
    walk_levels(4);
}

static void test_walk57(void)
{
    walk_levels(5);
}

/* Every combination of V R W X U, judged by a model, for S, U, S with SUM, S with MXR. */
static void test_permissions(void)
{
    setup(3);
    page_c[0] = (u64)INSN_ECALL << 32 | INSN_ECALL;
    for (u32 bits = 0; bits < 32; bits++) {
        for (u32 kind = 0; kind < 4; kind++) {
            bool is_user = kind == 1, sum = kind == 2, mxr = kind == 3;
            bool v = bits & PTE_V, r = bits & PTE_R, w = bits & PTE_W, x = bits & PTE_X;
            bool u = bits & PTE_U, leaf = v && (r || x) && (r || !w);
            bool data = leaf && (is_user ? u : !u || sum), code = leaf && x && u == is_user;
            u64 ok = is_user ? 8 : 9;

            check_note = kind << 8 | bits;
            status_reset();
            csr_set(mstatus, (sum ? MSTATUS_SUM : 0) | (mxr ? MSTATUS_MXR : 0));
            vm_map(va, (u64)page_c, bits | PTE_AD);
            if (!leaf)
                vm_map(va, (u64)page_c, bits);
            sfence();
            if (is_user) {
                CHECK_EQ(user(insn_load(LD, 12, 10), va + 8, 0), data && r ? ok : 13);
                CHECK_EQ(user(insn_store(SD, 11, 10), va + 8, 1), data && w ? ok : 15);
            } else {
                CHECK_EQ(load(PRIV_S, va + 8), data && (r || (x && mxr)) ? ok : 13);
                CHECK_EQ(store(PRIV_S, va + 8, 1), data && w ? ok : 15);
            }
            CHECK_EQ(fetch(is_user ? PRIV_U : PRIV_S, va), code ? ok : 12);
        }
    }
    status_reset();
}

/* The same page, without a fence between: modes and SUM, MXR must not leak through a TLB. */
static void test_mode_switches(void)
{
    setup(3);
    vm_map(va, (u64)page_a, PTE_RW | PTE_U);
    vm_map(va + PAGE, (u64)page_b, PTE_RW);
    vm_map(va + 2 * PAGE, (u64)page_b, PTE_V | PTE_X | PTE_AD);
    sfence();
    for (u32 i = 0; i < 20; i++) {
        check_note = i;
        CHECK_EQ(user(insn_load(LD, 12, 10), va, 0), 8);
        CHECK_EQ(user(insn_load(LD, 12, 10), va + PAGE, 0), 13);
        CHECK_EQ(load(PRIV_S, va), 13);
        CHECK_EQ(load(PRIV_S, va + PAGE), 9);
        csr_set(mstatus, MSTATUS_SUM);
        CHECK_EQ(load(PRIV_S, va), 9);
        csr_clear(mstatus, MSTATUS_SUM);
        CHECK_EQ(load(PRIV_S, va), 13);
        CHECK_EQ(load(PRIV_S, va + 2 * PAGE), 13);
        csr_set(mstatus, MSTATUS_MXR);
        CHECK_EQ(load(PRIV_S, va + 2 * PAGE), 9);
        csr_clear(mstatus, MSTATUS_MXR);
        CHECK_EQ(load(PRIV_S, va + 2 * PAGE), 13);
        CHECK_EQ(load(PRIV_M, va), 5);
    }
}

/* M-mode's loads through MPRV, in one go: the mode lasts for the snippet only. */
static void test_mprv(void)
{
    static const u32 insns[] = {
        0x30052073,         /* csrs mstatus, a0 */
        0x0005b603,         /* ld a2, 0(a1) */
        0x00c5b023 | 0x400, /* sd a2, 8(a1) */
        0x30053073,         /* csrc mstatus, a0 */
    };

    setup(3);
    vm_map(va, (u64)page_a, PTE_RW | PTE_U);
    vm_map(va + PAGE, (u64)page_b, PTE_RW);
    sfence();
    for (u32 mode = 0; mode < 3; mode++) {
        for (u32 sum = 0; sum < 2; sum++) {
            for (u32 page = 0; page < 2; page++) {
                u64 priv = mode == 2 ? PRIV_M : mode;
                bool may = priv == PRIV_U ? page == 0 : priv == PRIV_S && (page == 1 || sum);

                check_note = mode << 8 | sum << 4 | page;
                status_reset();
                c.x[10] = MSTATUS_MPRV | (sum ? MSTATUS_SUM : 0) | priv << 11;
                c.x[11] = va + page * PAGE;
                c.x[12] = 0;
                csr_clear(mstatus, MSTATUS_MPP);
                run_insns(&c, PRIV_M, insns, COUNT(insns));
                CHECK_EQ(c.cause, may ? 11 : priv == PRIV_M ? 5 : 13);
                if (!may)
                    CHECK_TRAP(&c, c.cause, (u64)insn_page + 4, va + page * PAGE);
                else
                    CHECK_EQ(c.x[12], page ? 0xbbbbbbbbbbbbbbbb : 0xaaaaaaaaaaaaaaaa);
            }
        }
    }
    status_reset();
}

#define ADUE BIT(61)

static void test_svade(void)
{
    setup(3);
    if (on_qemu()) {
        skip("QEMU 7.2 has no Svade: it always sets A and D");
        return;
    }
    vm_map(va, (u64)page_a, PTE_V | PTE_R | PTE_W | PTE_X);
    sfence();
    CHECK_EQ(load(PRIV_S, va), 13);
    CHECK_EQ(store(PRIV_S, va, 1), 15);
    CHECK_EQ(fetch(PRIV_S, va), 12);
    CHECK_EQ(*vm_pte(va, 0) & PTE_AD, 0);
    vm_map(va, (u64)page_a, PTE_V | PTE_R | PTE_W | PTE_A);
    sfence();
    CHECK_EQ(load(PRIV_S, va), 9);
    CHECK_EQ(store(PRIV_S, va, 1), 15);
    CHECK_EQ(c.tval, va);
    CHECK_EQ(page_a[0], 0xaaaaaaaaaaaaaaaa);
    /* Software sets D; then it works. No fence is needed, but one is allowed. */
    *vm_pte(va, 0) |= PTE_D;
    sfence();
    CHECK_EQ(store(PRIV_S, va, 1), 9);
    CHECK_EQ(access(PRIV_S, insn_amo(AMOADD, 3, 12, 10, 11), va), 9);
    vm_map(va, (u64)page_a, PTE_V | PTE_R | PTE_W | PTE_A);
    sfence();
    CHECK_EQ(access(PRIV_S, insn_amo(AMOADD, 3, 12, 10, 11), va), 15);
    CHECK_EQ(access(PRIV_S, insn_amo(LR, 3, 12, 10, 0), va), 9);
    CHECK_EQ(access(PRIV_S, insn_amo(SC, 3, 12, 10, 11), va), 15);
}

static void test_svadu(void)
{
    u64 pte = PTE_OF(page_a, PTE_V | PTE_R | PTE_W | PTE_X);

    setup(3);
    csr_set(menvcfg, ADUE);
    if (!on_qemu())
        CHECK_EQ(csr_read(menvcfg) & ADUE, ADUE);
    *vm_pte(va, 0) = pte;
    sfence();
    CHECK_EQ(load(PRIV_S, va), 9);
    CHECK_EQ(*vm_pte(va, 0), pte | PTE_A);
    CHECK_EQ(store(PRIV_S, va, 1), 9);
    CHECK_EQ(*vm_pte(va, 0), pte | PTE_A | PTE_D);
    *vm_pte(va, 0) = pte;
    sfence();
    page_a[0] = INSN_ECALL;
    fence_i();
    CHECK_EQ(fetch(PRIV_S, va), 9);
    CHECK_EQ(*vm_pte(va, 0), pte | PTE_A);
    *vm_pte(va, 0) = pte;
    sfence();
    CHECK_EQ(access(PRIV_S, insn_amo(LR, 3, 12, 10, 0), va), 9);
    CHECK_EQ(*vm_pte(va, 0), pte | PTE_A);
    CHECK_EQ(access(PRIV_S, insn_amo(AMOADD, 3, 12, 10, 11), va), 9);
    CHECK_EQ(*vm_pte(va, 0), pte | PTE_A | PTE_D);
    /* A faulting access sets nothing. */
    *vm_pte(va, 0) = PTE_OF(page_a, PTE_V | PTE_R);
    sfence();
    CHECK_EQ(store(PRIV_S, va, 1), 15);
    CHECK_EQ(*vm_pte(va, 0), PTE_OF(page_a, PTE_V | PTE_R));
    /* D goes into the PTE of a superpage as well. */
    *vm_pte(va, 1) = PTE_OF((u64)page_a & ~0x1ffffful, PTE_V | PTE_R | PTE_W);
    sfence();
    CHECK_EQ(store(PRIV_S, va + ((u64)page_a & 0x1fffff), 7), 9);
    CHECK_EQ(page_a[0], 7);
    CHECK_EQ(*vm_pte(va, 1) & PTE_AD, PTE_AD);
    *vm_pte(va, 1) = 0;
    csr_write(menvcfg, 0);
}

static void test_reserved_bits(void)
{
    setup(3);
    if (on_qemu()) {
        skip("QEMU 7.2 ignores them with Svnapot or Svpbmt switched on");
        return;
    }
    for (u32 bit = 54; bit < 64; bit++) {
        check_note = bit;
        *vm_pte(va, 0) = PTE_OF(page_a, PTE_RW) | BIT(bit);
        sfence();
        CHECK_EQ(load(PRIV_S, va), 13);
    }
    /* In a pointer A, D, U and the upper bits are reserved. */
    vm_map(va, (u64)page_a, PTE_RW);
    for (u32 i = 0; i < 12; i++) {
        u64 bit = i < 10 ? 54 + i : i == 10 ? 6 : 4;

        check_note = 0x100 | bit;
        *vm_pte(va, 1) |= BIT(bit);
        sfence();
        CHECK_EQ(load(PRIV_S, va), 13);
        *vm_pte(va, 1) &= ~BIT(bit);
        sfence();
        CHECK_EQ(load(PRIV_S, va), 9);
    }
}

static void test_svpbmt(void)
{
    setup(3);
    csr_set(menvcfg, BIT(62));
    for (u32 type = 0; type < 4; type++) {
        check_note = type;
        *vm_pte(va, 0) = PTE_OF(page_a, PTE_RW) | PTE_PBMT(type);
        sfence();
        CHECK_EQ(load(PRIV_S, va), type == 3 && !on_qemu() ? 13 : 9);
    }
    csr_write(menvcfg, 0);
    *vm_pte(va, 0) = PTE_OF(page_a, PTE_RW) | PTE_PBMT(1);
    sfence();
    CHECK_EQ(load(PRIV_S, va), on_qemu() ? 9 : 13); /* 7.2 knows no menvcfg.PBMTE */
}

static void test_svnapot(void)
{
    setup(3);
    for (u32 i = 0; i < 16; i++)
        big[i * 512] = 0x100 + i;
    for (u32 i = 0; i < 16; i++)
        *vm_pte(va + i * PAGE, 0) = PTE_OF(big, PTE_RW) | 8ul << 10 | PTE_N;
    sfence();
    for (u32 i = 0; i < 16; i++) {
        check_note = i;
        CHECK_EQ(load(PRIV_S, va + i * PAGE), 9);
        CHECK_EQ(c.x[12], 0x100 + i);
    }
    /* A fence of any of the 16 pages is a fence of all. */
    for (u32 i = 0; i < 16; i++)
        *vm_pte(va + i * PAGE, 0) = 0;
    csr_write(satp, vm_satp(0));
    __asm__ volatile("sfence.vma %0, zero" ::"r"(va + 5 * PAGE) : "memory");
    for (u32 i = 0; i < 16; i++) {
        check_note = i;
        CHECK_EQ(load(PRIV_S, va + i * PAGE), on_qemu() ? c.cause : 13);
    }
    /* Other sizes are reserved, and N in a superpage. */
    for (u32 n = 0; n < 16; n++) {
        if (n == 8)
            continue;
        check_note = 0x100 | n;
        *vm_pte(va, 0) = PTE_OF(big, PTE_RW) | (u64)n << 10 | PTE_N;
        sfence();
        CHECK_EQ(load(PRIV_S, va), 13);
    }
}

static void fence_by(u32 how, u64 address, u64 asid)
{
    switch (how) {
    case 0:
        sfence();
        break;
    case 1:
        __asm__ volatile("sfence.vma %0, zero" ::"r"(address) : "memory");
        break;
    case 2:
        __asm__ volatile("sfence.vma zero, %0" ::"r"(asid) : "memory");
        break;
    default:
        __asm__ volatile("sfence.vma %0, %1" ::"r"(address), "r"(asid) : "memory");
    }
}

/* After the right fence no old translation may serve: loads, stores, fetches, of 4 KiB and 2 MiB.
 */
static void test_fences(void)
{
    page_a[0] = page_b[0] = INSN_ECALL;
    for (u32 how = 0; how < 4; how++) {
        for (u32 round = 0; round < 8; round++) {
            u64 at = va + 0x200000 * round + PAGE * (round * 37 % 512), asid = how >= 2 ? 5 : 0;

            check_note = how << 8 | round;
            setup(3);
            page_a[0] = page_b[0] = INSN_ECALL;
            fence_i();
            csr_write(satp, vm_satp(asid));
            vm_map(at, (u64)page_a, PTE_RWX);
            fence_by(how, at, asid);
            page_a[1] = 1;
            page_b[1] = 2;
            CHECK_EQ(load(PRIV_S, at + 8), 9);
            CHECK_EQ(c.x[12], 1);
            CHECK_EQ(store(PRIV_S, at + 16, 11), 9);
            CHECK_EQ(fetch(PRIV_S, at), 9);
            /* elsewhere */
            vm_map(at, (u64)page_b, PTE_RWX);
            fence_by(how, at, asid);
            CHECK_EQ(load(PRIV_S, at + 8), 9);
            CHECK_EQ(c.x[12], 2);
            page_a[2] = page_b[2] = 0;
            CHECK_EQ(store(PRIV_S, at + 16, 22), 9);
            CHECK_EQ(page_b[2], 22);
            CHECK_EQ(page_a[2], 0);
            /* less permission */
            vm_map(at, (u64)page_b, PTE_V | PTE_R | PTE_AD);
            fence_by(how, at, asid);
            CHECK_EQ(store(PRIV_S, at + 16, 33), 15);
            CHECK_EQ(fetch(PRIV_S, at), 12);
            CHECK_EQ(load(PRIV_S, at), 9);
            /* gone */
            vm_map(at, 0, 0);
            fence_by(how, at, asid);
            CHECK_EQ(load(PRIV_S, at), 13);
            /* a superpage in its place, then back */
            *vm_pte(at, 1) = PTE_OF((u64)page_a & ~0x1ffffful, PTE_RW);
            fence_by(how, at, asid);
            CHECK_EQ(load(PRIV_S, (at & ~0x1ffffful) + ((u64)page_a & 0x1fffff) + 8), 9);
            CHECK_EQ(c.x[12], 1);
            *vm_pte(at, 1) = 0;
            fence_by(how, at, asid);
            CHECK_EQ(load(PRIV_S, (at & ~0x1ffffful) + ((u64)page_a & 0x1fffff) + 8), 13);
        }
    }
    csr_write(satp, 0);
}

/* Global pages too go with a fence by address without ASID. */
static void test_global(void)
{
    setup(3);
    csr_write(satp, vm_satp(3));
    vm_map(va, (u64)page_a, PTE_RW | PTE_G);
    sfence();
    CHECK_EQ(load(PRIV_S, va), 9);
    vm_map(va, (u64)page_b, PTE_RW | PTE_G);
    fence_by(1, va, 0);
    CHECK_EQ(load(PRIV_S, va), 9);
    CHECK_EQ(c.x[12], 0xbbbbbbbbbbbbbbbb);
}

/* Two address spaces by ASID in turn, no fences: each sees its own. */
static void test_asids(void)
{
    static u64 roots[2][512] PAGE_ALIGNED, mid[2][512] PAGE_ALIGNED, low[2][512] PAGE_ALIGNED;
    static const u64 insns[2] = {0x00100613, 0x00200613}; /* li a2, 1 or 2 */

    setup(3);
    for (u32 i = 0; i < 2; i++) {
        u64 *data = i ? page_b : page_a;

        roots[i][2] = PTE_OF(0x80000000, PTE_RWX);
        roots[i][va >> 30 & 511] = PTE_OF(mid[i], PTE_V);
        mid[i][0] = PTE_OF(low[i], PTE_V);
        low[i][0] = PTE_OF(data, PTE_RWX);
        data[1] = (u64)INSN_ECALL << 32 | insns[i];
    }
    fence_i();
    sfence();
    for (u32 round = 0; round < 200; round++) {
        u32 i = round & 1;

        check_note = round;
        csr_write(satp, 8ul << 60 | (u64)(i + 1) << 44 | (u64)roots[i] >> 12);
        CHECK_EQ(load(PRIV_S, va), 9);
        CHECK_EQ(c.x[12], i ? 0xbbbbbbbbbbbbbbbb : 0xaaaaaaaaaaaaaaaa);
        CHECK_EQ(fetch(PRIV_S, va + 8), 9);
        CHECK_EQ(c.x[12], i + 1);
    }
    csr_write(satp, 0);
    CHECK_EQ(load(PRIV_S, (u64)&page_a[2]), 9);
    CHECK_EQ(load(PRIV_S, va), 5);
}

/* Accesses across two pages: both work, first faults, second faults. */
static void test_crossing(void)
{
    static const struct {
        u32 f3, size;
    } loads[] = {{1, 2}, {2, 4}, {3, 8}, {5, 2}, {6, 4}}, stores[] = {{1, 2}, {2, 4}, {3, 8}};
    u8 *a = (u8 *)page_a, *b = (u8 *)page_b;

    setup(3);
    for (u32 i = 0; i < COUNT(loads); i++) {
        for (u64 in = 1; in < loads[i].size; in++) {
            u64 at = va + PAGE - in, want = 0;

            check_note = i << 8 | in;
            for (u32 k = 0; k < 8; k++) {
                a[PAGE - 8 + k] = (u8)(0x81 + k);
                b[k] = (u8)(0x91 + k);
            }
            for (u32 k = 0; k < loads[i].size; k++)
                want |= (u64)(k < in ? a[PAGE - in + k] : b[k - in]) << 8 * k;
            if (loads[i].f3 < 4)
                want = (u64)((s64)(want << (64 - 8 * loads[i].size)) >> (64 - 8 * loads[i].size));
            vm_map(va, (u64)page_a, PTE_RW);
            vm_map(va + PAGE, (u64)page_b, PTE_RW);
            sfence();
            CHECK_EQ(access(PRIV_S, insn_load(loads[i].f3, 12, 10), at), 9);
            CHECK_EQ(c.x[12], want);
            vm_map(va + PAGE, 0, 0);
            sfence();
            c.x[12] = 77;
            CHECK_EQ(access(PRIV_S, insn_load(loads[i].f3, 12, 10), at), 13);
            CHECK_TRAP(&c, 13, (u64)insn_page, on_qemu() ? c.tval : va + PAGE);
            CHECK_EQ(c.x[12], 77);
            vm_map(va + PAGE, (u64)page_b, PTE_RW);
            vm_map(va, 0, 0);
            sfence();
            CHECK_EQ(access(PRIV_S, insn_load(loads[i].f3, 12, 10), at), 13);
            CHECK_TRAP(&c, 13, (u64)insn_page, on_qemu() ? c.tval : at);
        }
    }
    for (u32 i = 0; i < COUNT(stores); i++) {
        for (u64 in = 1; in < stores[i].size; in++) {
            u64 at = va + PAGE - in;

            for (u32 fault = 0; fault < 3; fault++) {
                check_note = 0x1000 | fault << 8 | i << 4 | in;
                memset(page_a, 0x11, PAGE);
                memset(page_b, 0x22, PAGE);
                vm_map(va, (u64)page_a, fault == 1 ? PTE_V | PTE_R | PTE_AD : PTE_RW);
                vm_map(va + PAGE, (u64)page_b, fault == 2 ? PTE_V | PTE_R | PTE_AD : PTE_RW);
                sfence();
                c.x[11] = 0x8877665544332211;
                access(PRIV_S, insn_store(stores[i].f3, 11, 10), at);
                CHECK_EQ(c.cause, fault ? 15 : 9);
                if (fault && !on_qemu())
                    CHECK_EQ(c.tval, fault == 1 ? at : va + PAGE);
                for (u32 k = 0; k < stores[i].size; k++) {
                    u8 got = k < in ? a[PAGE - in + k] : b[k - in];
                    u8 was = k < in ? 0x11 : 0x22;
                    CHECK_EQ(got, fault ? was : (u8)(0x8877665544332211 >> 8 * k));
                }
            }
        }
    }
}

/* An instruction on two pages, the second of which faults: epc at its start, tval in the page. */
static void test_fetch_crossing(void)
{
    u16 *a = (u16 *)page_a, *b = (u16 *)page_b;

    setup(3);
    for (u32 round = 0; round < 4; round++) {
        check_note = round;
        a[2047] = 0x0613; /* li a2, ... */
        b[0] = (u16)(0x0010 * (round + 1));
        b[1] = INSN_ECALL & 0xffff;
        b[2] = 0;
        fence_i();
        vm_map(va, (u64)page_a, PTE_RWX);
        vm_map(va + PAGE, (u64)page_b, PTE_RWX);
        sfence();
        CHECK_EQ(fetch(PRIV_S, va + PAGE - 2), 9);
        CHECK_EQ(c.x[12], round + 1);
        CHECK_EQ(c.epc, va + PAGE + 2);
        vm_map(va + PAGE, (u64)page_b, PTE_RW);
        fence_by(1, va + PAGE, 0);
        CHECK_EQ(fetch(PRIV_S, va + PAGE - 2), 12);
        CHECK_EQ(c.epc, va + PAGE - 2);
        CHECK_EQ(c.tval, va + PAGE);
        /* Another page behind: its bytes count at once. */
        ((u16 *)page_c)[0] = 0x7770;
        ((u16 *)page_c)[1] = INSN_ECALL & 0xffff;
        ((u16 *)page_c)[2] = 0;
        fence_i();
        vm_map(va + PAGE, (u64)page_c, PTE_RWX);
        fence_by(1, va + PAGE, 0);
        CHECK_EQ(fetch(PRIV_S, va + PAGE - 2), 9);
        CHECK_EQ(c.x[12], 0x777);
        /* A compressed one at the end of the page runs; the next faults. */
        a[2047] = 0x0001;
        fence_i();
        vm_map(va + PAGE, 0, 0);
        fence_by(1, va + PAGE, 0);
        CHECK_EQ(fetch(PRIV_S, va + PAGE - 2), 12);
        CHECK_EQ(c.epc, va + PAGE);
        CHECK_EQ(c.tval, va + PAGE);
    }
}

/* satp is WARL: unsupported modes leave all of it. */
static void test_satp(void)
{
    setup(3);
    csr_write(satp, 0);
    csr_write(satp, 8ul << 60 | 0x12345);
    CHECK_EQ(csr_read(satp), 8ul << 60 | 0x12345);
    for (u64 mode = 1; mode < 16; mode++) {
        if (mode >= 8 && mode <= 10)
            continue;
        csr_write(satp, mode << 60 | 0x77);
        CHECK_EQ(csr_read(satp), 8ul << 60 | 0x12345);
    }
    csr_write(satp, 0);
}

/* TVM traps S-mode's fences and satp; not M-mode's. */
static void test_tvm(void)
{
    setup(3);
    csr_write(satp, 0);
    csr_set(mstatus, MSTATUS_TVM);
    run_insn(&c, PRIV_S, INSN_SFENCE);
    CHECK_TRAP(&c, 2, (u64)insn_page, INSN_SFENCE);
    run_insn(&c, PRIV_S, 0x18002573);
    CHECK_TRAP(&c, 2, (u64)insn_page, 0x18002573);
    run_insn(&c, PRIV_M, INSN_SFENCE);
    CHECK(completed(&c));
    status_reset();
    run_insn(&c, PRIV_S, INSN_SFENCE);
    CHECK(completed(&c));
    run_insn(&c, PRIV_U, INSN_SFENCE);
    CHECK_TRAP(&c, 2, (u64)insn_page, INSN_SFENCE);
    /* Svinval: in U-mode illegal, TVM holds for SINVAL.VMA alone */
    csr_set(mstatus, MSTATUS_TVM);
    run_insn(&c, PRIV_S, 0x16000073);
    CHECK_EQ(c.cause, 2);
    run_insn(&c, PRIV_S, 0x18000073);
    CHECK(completed(&c) || on_qemu());
    run_insn(&c, PRIV_S, 0x18100073);
    CHECK(completed(&c) || on_qemu());
    run_insn(&c, PRIV_U, 0x18000073);
    CHECK_EQ(c.cause, on_qemu() ? 8 : 2);
    status_reset();
}

void tests(void)
{
    test("Sv39 walks", test_walk39);
    test("Sv48 walks", test_walk48);
    test("Sv57 walks", test_walk57);
    test("permissions by V R W X U, SUM, MXR", test_permissions);
    test("modes do not leak", test_mode_switches);
    test("MPRV", test_mprv);
    test("Svade", test_svade);
    test("Svadu", test_svadu);
    test("reserved bits of PTEs", test_reserved_bits);
    test("Svpbmt", test_svpbmt);
    test("Svnapot", test_svnapot);
    test("fences by address, ASID, both, neither", test_fences);
    test("global pages", test_global);
    test("address spaces by ASID", test_asids);
    test("loads and stores across pages", test_crossing);
    test("instructions across pages", test_fetch_crossing);
    test("satp takes only modes that are there", test_satp);
    test("TVM and Svinval", test_tvm);
}
