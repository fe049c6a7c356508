/* SPDX-License-Identifier: BSD-2-Clause */
/* Page-table walks against an oracle written from the specification's steps, and TLB upkeep. */
#include "rv/mmu.h"

#include "tests/unit/fake_hart.h"

#include "rv/pmp.h"
#include "tests/test.h"

#include <pthread.h>

#define V UINT64_C(0x01)
#define R UINT64_C(0x02)
#define W UINT64_C(0x04)
#define X UINT64_C(0x08)
#define U UINT64_C(0x10)
#define G UINT64_C(0x20)
#define A UINT64_C(0x40)
#define D UINT64_C(0x80)
#define N BIT(63)

/* Tables of each level at fixed pages of RAM; entries are put where a walk of va passes. */
#define TABLE(level) (FAKE_RAM_BASE + 0x10000 + 0x1000 * (u64)(level))
#define ROOT(level)  TABLE(level)

static const enum cause page_fault[] = {CAUSE_LOAD_PAGE, CAUSE_STORE_PAGE, CAUSE_INSN_PAGE};
static const enum cause access_fault[] = {CAUSE_LOAD_ACCESS, CAUSE_STORE_ACCESS, CAUSE_INSN_ACCESS};

struct outcome {
    bool ok;
    u64 cause;
    gpa_t gpa;
    gpa_t pte_gpa; /* of the leaf, when ok */
    u64 pte;       /* its value afterwards */
};

static u64 pte_to(gpa_t gpa, u64 flags)
{
    return gpa >> 12 << 10 | flags;
}

/* A hart in S-mode with everything open. */
static struct fake_hart *make(const char *cpu)
{
    struct fake_hart *fake = fake_hart_create(cpu);

    hart_enter_supervisor(&fake->hart, FAKE_RAM_BASE, 0);
    return fake;
}

static u32 levels_of(u64 mode)
{
    return (u32)mode - 5;
}

static gpa_t slot(gva_t va, u32 level)
{
    return TABLE(level) + 8 * (va >> (12 + 9 * level) & 511);
}

/* Builds the path of va down to level; the leaf there is pte. */
static void map(struct fake_hart *fake, u64 mode, gva_t va, u32 level, u64 pte)
{
    u32 top = levels_of(mode) - 1;

    fake_csr_set(fake, CSR_satp, mode << 60 | ROOT(top) >> 12);
    for (u32 i = top; i > level; i--)
        fake_hart_store(fake, slot(va, i), pte_to(TABLE(i - 1), V));
    fake_hart_store(fake, slot(va, level), pte);
}

static struct outcome fault(enum cause cause)
{
    return (struct outcome){.cause = cause};
}

static bool oracle_leaf_allows(const struct fake_hart *fake, u64 pte, enum access acc,
                               enum priv priv)
{
    bool sum = fake->hart.csr.mstatus & MSTATUS_SUM, mxr = fake->hart.csr.mstatus & MSTATUS_MXR;

    if (priv == PRIV_U && !(pte & U))
        return false;
    if (priv == PRIV_S && (pte & U) && (acc == ACCESS_EXEC || !sum))
        return false;
    if (acc == ACCESS_EXEC)
        return pte & X;
    if (acc == ACCESS_WRITE)
        return pte & W;
    return (pte & R) || (mxr && (pte & X));
}

/* Steps of 10.3.2 in their order; PMP is open. */
static struct outcome oracle(struct fake_hart *fake, gva_t va, enum access acc, enum priv priv)
{
    u64 satp = fake->hart.csr.satp, a = (satp & GENMASK(43, 0)) * 4096, pte = 0, at = 0, size;
    int i = (int)levels_of(satp >> 60) - 1, top = 12 + 9 * (i + 1) - 1;
    u64 menvcfg = fake->hart.csr.menvcfg, upper = (u64)((s64)va >> top), pbmt, ppn;

    if (upper != 0 && upper != UINT64_MAX)
        return fault(page_fault[acc]);
    for (;; i--) {
        if (i < 0)
            return fault(page_fault[acc]);
        at = a + 8 * (va >> (12 + 9 * i) & 511);
        if (!gmem_find(&fake->gmem, at, 8))
            return fault(access_fault[acc]);
        pte = fake_hart_load(fake, at);
        pbmt = pte >> 61 & 3;
        if (!(pte & V) || (!(pte & R) && (pte & W)) || (pte >> 54 & 0x7f))
            return fault(page_fault[acc]);
        if (pbmt == 3 || (pbmt && !(menvcfg & ENVCFG_PBMTE)))
            return fault(page_fault[acc]);
        if ((pte & N) && !isa_has(&fake->hart.isa, ISA_SVNAPOT))
            return fault(page_fault[acc]);
        if ((pte & R) || (pte & X))
            break;
        if ((pte & (D | A | U | N)) || pbmt)
            return fault(page_fault[acc]);
        a = (pte >> 10 & GENMASK(43, 0)) << 12;
    }
    if (!oracle_leaf_allows(fake, pte, acc, priv))
        return fault(page_fault[acc]);
    ppn = pte >> 10 & GENMASK(43, 0);
    size = UINT64_C(4096) << (9 * i);
    if (pte & N) {
        if (i != 0 || (ppn & 15) != 8)
            return fault(page_fault[acc]);
        ppn &= ~UINT64_C(15);
        size = 65536;
    }
    if ((ppn << 12) % size)
        return fault(page_fault[acc]);
    if (!(pte & A) || (acc == ACCESS_WRITE && !(pte & D))) {
        if (!(menvcfg & ENVCFG_ADUE))
            return fault(page_fault[acc]);
        pte |= A | (acc == ACCESS_WRITE ? D : 0);
        if (at < FAKE_RAM_BASE)
            return fault(access_fault[acc]);
    }
    return (struct outcome){true, 0, (ppn << 12) + va % size, at, pte};
}

/* Translates and compares with the oracle, the PTE in memory included. True: translated. */
static bool check(struct fake_hart *fake, gva_t va, enum access acc, enum priv priv)
{
    struct outcome want = oracle(fake, va, acc, priv);
    struct mmu_page page;
    bool ok = mmu_translate(&fake->hart, va, 1, acc, priv, &page);

    CHECK_EQ(ok, want.ok);
    if (!ok) {
        CHECK_EQ(fake->hart.trap.cause, want.cause);
        CHECK_EQ(fake->hart.trap.tval, va);
        return false;
    }
    CHECK_EQ(page.gpa, want.gpa);
    CHECK_EQ(fake_hart_load(fake, want.pte_gpa), want.pte);
    CHECK_EQ(page.whole, true);
    CHECK_EQ(page.readable, oracle_leaf_allows(fake, want.pte, ACCESS_READ, priv));
    CHECK_EQ(page.writable,
             (want.pte & D) && oracle_leaf_allows(fake, want.pte, ACCESS_WRITE, priv));
    CHECK_EQ(page.executable, oracle_leaf_allows(fake, want.pte, ACCESS_EXEC, priv));
    return true;
}

TEST(bare_and_machine_mode_pass_through)
{
    struct fake_hart *fake = make("max");
    struct mmu_page page;
    gpa_t gpa;

    CHECK(mmu_translate(&fake->hart, 0x123456789, 4, ACCESS_WRITE, PRIV_U, &page));
    CHECK_EQ(page.gpa, 0x123456789);
    CHECK(page.readable && page.writable && page.executable && page.whole);
    CHECK(!mmu_translate(&fake->hart, BIT(56), 4, ACCESS_EXEC, PRIV_S, &page));
    CHECK_EQ(fake->hart.trap.cause, CAUSE_INSN_ACCESS);
    map(fake, 8, 0x5000, 0, 0);
    CHECK(mmu_translate(&fake->hart, 0x5008, 8, ACCESS_WRITE, PRIV_M, &page));
    CHECK_EQ(page.gpa, 0x5008);
    CHECK(!mmu_peek(&fake->hart, 0x5008, &gpa));
    trap_set_mode(&fake->hart, PRIV_M);
    CHECK(mmu_peek(&fake->hart, 0x5008, &gpa));
    CHECK_EQ(gpa, 0x5008);
    fake_hart_destroy(fake);
}

TEST(every_mode_and_level)
{
    struct fake_hart *fake = make("max");
    u32 done = 0;

    for (u64 mode = 8; mode <= 10; mode++) {
        u32 bits = 12 + 9 * levels_of(mode);
        gva_t vas[] = {UINT64_C(0x2aaaaaaaa5c8),
                       sext(UINT64_C(0x155555555555123) | BIT(bits - 1), bits), BIT(bits - 1) - 8,
                       0 - BIT(bits - 1)};

        vas[0] &= BIT(bits - 1) - 1;
        for (u32 level = 0; level < levels_of(mode); level++) {
            for (u32 v = 0; v < ARRAY_SIZE(vas); v++) {
                u64 size = UINT64_C(4096) << (9 * level);
                gpa_t gpa;

                map(fake, mode, vas[v], level, pte_to(size * 5 & GENMASK(55, 0), V | R | A));
                done += check(fake, vas[v], ACCESS_READ, PRIV_S);
                CHECK(mmu_peek(&fake->hart, vas[v], &gpa));
                CHECK_EQ(gpa, (size * 5 & GENMASK(55, 0)) + vas[v] % size);
                /* misaligned by one page */
                map(fake, mode, vas[v], level, pte_to(size * 4 + 4096, V | R | A));
                CHECK_EQ(check(fake, vas[v], ACCESS_READ, PRIV_S), level == 0);
                /* a pointer at the last level */
                map(fake, mode, vas[v], level, pte_to(0, level ? 0 : V));
                CHECK(!check(fake, vas[v], ACCESS_WRITE, PRIV_S));
            }
        }
        CHECK(!check(fake, BIT(bits - 1), ACCESS_READ, PRIV_S));
        CHECK(!check(fake, 0 - BIT(bits - 1) - 1, ACCESS_EXEC, PRIV_S));
        CHECK(!check(fake, BIT(63), ACCESS_WRITE, PRIV_S));
    }
    CHECK_EQ(done, (3 + 4 + 5) * 4);
    fake_hart_destroy(fake);
}

static void set_status(struct fake_hart *fake, bool sum, bool mxr)
{
    fake_csr_set(fake, CSR_sstatus, (sum ? MSTATUS_SUM : 0) | (mxr ? MSTATUS_MXR : 0));
}

TEST(every_permission_combination)
{
    struct fake_hart *fake = make("max");
    gva_t va = 0x40302010;
    u32 allowed = 0;

    for (u32 c = 0; c < 256 * 2 * 2 * 2 * 2 * 3; c++) {
        enum access acc = (enum access)(c % 3);
        u64 flags = c / 3 & 0xff;
        u32 modes = c / 3 >> 8;

        map(fake, 8, va, 0, pte_to(FAKE_RAM_BASE, flags));
        set_status(fake, modes & 1, modes & 2);
        fake_csr_set(fake, CSR_menvcfg, modes & 4 ? ENVCFG_ADUE : 0);
        allowed += check(fake, va, acc, modes & 8 ? PRIV_S : PRIV_U);
    }
    CHECK(allowed > 500);
    fake_hart_destroy(fake);
}

static u64 random_pte(u64 *seed, u32 level)
{
    u64 r = test_random(seed), flags = V | (r & 0xfe), pte;

    if (r >> 8 & 1)
        flags |= R | A;
    if (r >> 9 & 1)
        flags |= D | W;
    pte =
        pte_to((r >> 20 & 0xffff) << (12 + 9 * (r >> 10 & 3 ? level : 0)) & GENMASK(55, 0), flags);
    if ((r >> 12 & 7) == 0)
        pte |= (r >> 40 & 3) << 61;
    if ((r >> 15 & 3) == 0)
        pte |= N;
    if ((r >> 15 & 7) == 4)
        pte = (pte & ~GENMASK(13, 10)) | N | BIT(13);
    if ((r >> 48 & 31) == 0)
        pte |= BIT(54 + (r >> 53) % 7);
    return pte;
}

static u32 random_walks(const char *cpu, u64 seed)
{
    struct fake_hart *fake = make(cpu);
    u32 done = 0;

    for (u32 i = 0; i < 20000; i++) {
        u64 r = test_random(&seed), mode = 8 + r % 3;
        u32 level = (u32)(r >> 8) % levels_of(mode), bits = 12 + 9 * levels_of(mode);
        gva_t va = test_random(&seed);

        if (r >> 16 & 15)
            va = sext(va, bits);
        map(fake, mode, va, level, random_pte(&seed, level));
        if (!(r >> 20 & 15)) { /* a broken pointer on the way */
            u32 at = (u32)(r >> 24) % levels_of(mode);
            fake_hart_store(fake, slot(va, at), random_pte(&seed, 0) & ~(R | X | W));
        }
        set_status(fake, r >> 32 & 1, r >> 33 & 1);
        fake_csr_set(fake, CSR_menvcfg,
                     (r >> 34 & 1 ? ENVCFG_ADUE : 0) | (r >> 35 & 1 ? ENVCFG_PBMTE : 0));
        done += check(fake, va, (enum access)((r >> 36) % 3), r >> 40 & 1 ? PRIV_S : PRIV_U);
    }
    fake_hart_destroy(fake);
    return done;
}

TEST(random_entries_against_oracle)
{
    CHECK(random_walks("max", 7) > 2000);
    CHECK(random_walks("max,-svnapot,-svpbmt,-svadu", 8) > 1000);
}

TEST(tables_in_rom_and_nowhere)
{
    struct fake_hart *fake = make("max");
    struct mmu_page page;

    fake_csr_set(fake, CSR_satp, UINT64_C(8) << 60 | FAKE_ROM_BASE >> 12);
    fake_hart_store(fake, FAKE_ROM_BASE, pte_to(0, V | R | W | A));
    CHECK(check(fake, 0x10, ACCESS_READ, PRIV_S));
    CHECK(!check(fake, 0x10, ACCESS_WRITE, PRIV_S));
    CHECK_EQ(fake->hart.trap.cause, CAUSE_STORE_PAGE);
    fake_csr_set(fake, CSR_menvcfg, ENVCFG_ADUE);
    CHECK(!check(fake, 0x10, ACCESS_WRITE, PRIV_S));
    CHECK_EQ(fake->hart.trap.cause, CAUSE_STORE_ACCESS);
    for (u32 acc = 0; acc < 3; acc++) {
        fake_csr_set(fake, CSR_satp, UINT64_C(8) << 60 | 0x40000000 >> 12);
        CHECK(!mmu_translate(&fake->hart, 0x10, 1, (enum access)acc, PRIV_S, &page));
        CHECK_EQ(fake->hart.trap.cause, access_fault[acc]);
    }
    fake_hart_destroy(fake);
}

TEST(accessed_update_tells_and_happens_once)
{
    struct fake_hart *fake = make("max");

    fake_csr_set(fake, CSR_menvcfg, ENVCFG_ADUE);
    map(fake, 9, 0x7000, 0, pte_to(FAKE_RAM_BASE, V | R | W));
    CHECK(check(fake, 0x7000, ACCESS_READ, PRIV_S));
    CHECK_EQ(fake->written, 1);
    CHECK(check(fake, 0x7000, ACCESS_READ, PRIV_S));
    CHECK_EQ(fake->written, 1);
    CHECK(check(fake, 0x7000, ACCESS_WRITE, PRIV_S));
    CHECK_EQ(fake->written, 2);
    CHECK(check(fake, 0x7000, ACCESS_WRITE, PRIV_S));
    CHECK_EQ(fake->written, 2);
    fake_hart_destroy(fake);
}

/* Guards one page with PMP entry 0 and leaves the rest open. */
static void guard_page(struct fake_hart *fake, gpa_t gpa, u8 rwx)
{
    fake_csr_set(fake, CSR_pmpaddr0 + 1, UINT64_MAX);
    fake_csr_set(fake, CSR_pmpaddr0, gpa >> 2 | 0x1ff);
    fake_csr_set(fake, CSR_pmpcfg0, 0x1f00 | 0x18 | rwx);
}

TEST(pmp_guards_tables_and_pages)
{
    struct fake_hart *fake = make("max");
    struct mmu_page page;

    map(fake, 8, 0x7000, 0, pte_to(FAKE_RAM_BASE, V | R | W | X | A | D));
    for (u32 acc = 0; acc < 3; acc++) {
        for (u32 level = 0; level < 3; level++) {
            guard_page(fake, TABLE(level), PMP_W | PMP_X);
            CHECK(!mmu_translate(&fake->hart, 0x7000, 1, (enum access)acc, PRIV_S, &page));
            CHECK_EQ(fake->hart.trap.cause, access_fault[acc]);
        }
        for (u32 rwx = 0; rwx < 8; rwx++) {
            bool want = rwx >> acc & 1;

            if ((rwx & 3) == 2)
                continue; /* reserved */
            guard_page(fake, FAKE_RAM_BASE, (u8)rwx);
            CHECK_EQ(mmu_translate(&fake->hart, 0x7000, 1, (enum access)acc, PRIV_S, &page), want);
            CHECK(want || fake->hart.trap.cause == access_fault[acc]);
            CHECK(!want || (page.readable == (rwx & 1) && page.writable == (rwx >> 1 & 1) &&
                            page.executable == (rwx >> 2 & 1) && page.whole));
        }
    }
    /* Setting A needs to write the table. */
    fake_csr_set(fake, CSR_menvcfg, ENVCFG_ADUE);
    map(fake, 8, 0x7000, 0, pte_to(FAKE_RAM_BASE, V | R));
    guard_page(fake, TABLE(0), PMP_R);
    CHECK(!mmu_translate(&fake->hart, 0x7000, 1, ACCESS_READ, PRIV_S, &page));
    CHECK_EQ(fake->hart.trap.cause, CAUSE_LOAD_ACCESS);
    CHECK_EQ(fake_hart_load(fake, slot(0x7000, 0)), pte_to(FAKE_RAM_BASE, V | R));
    /* Half a page guarded: the answer is for this access alone. */
    fake_csr_set(fake, CSR_pmpaddr0, (FAKE_RAM_BASE + 0x800) >> 2 | 0xff);
    CHECK(mmu_translate(&fake->hart, 0x7000, 8, ACCESS_READ, PRIV_S, &page));
    CHECK(!page.whole);
    fake_hart_destroy(fake);
}

static void fill(struct fake_hart *fake, gva_t va)
{
    for (u32 mode = 0; mode < TLB_HOSTS; mode++) {
        const struct tlb_fill fill = {.page = va & PAGE_MASK, .readable = true, .writable = true};
        tlb_fill(&fake->hart.tlb, (enum tlb_mode)mode, &fill);
    }
}

/* A bit for each table that still holds va. */
static u32 held(struct fake_hart *fake, gva_t va)
{
    u32 tables = 0;

    for (u32 mode = 0; mode < TLB_HOSTS; mode++)
        tables |= (u32)tlb_serves(&fake->hart.tlb.table[mode].read[tlb_index(va)], va, 8) << mode;
    return tables;
}

TEST(flushes)
{
    struct fake_hart *fake = make("max");
    u32 all = (1u << TLB_HOSTS) - 1, machine = 1u << TLB_M;
    u64 satp = UINT64_C(8) << 60 | ROOT(2) >> 12;

    fill(fake, 0x5000);
    fill(fake, 0x6000);
    mmu_flush_page(&fake->hart, 0x5abc);
    CHECK_EQ(held(fake, 0x5000), 0);
    CHECK_EQ(held(fake, 0x6000), all);
    fake_csr_set(fake, CSR_satp, satp);
    CHECK_EQ(held(fake, 0x6000), machine);
    fill(fake, 0x6000);
    fake_csr_set(fake, CSR_satp, satp);              /* the same: nothing to do */
    fake_csr_set(fake, CSR_satp, UINT64_C(5) << 60); /* no such mode: no effect */
    CHECK_EQ(fake_csr(fake, CSR_satp), satp);
    CHECK_EQ(held(fake, 0x6000), all);
    fake_csr_set(fake, CSR_sstatus, MSTATUS_MXR);
    CHECK_EQ(held(fake, 0x6000), machine);
    fill(fake, 0x6000);
    fake_csr_set(fake, CSR_menvcfg, ENVCFG_ADUE);
    CHECK_EQ(held(fake, 0x6000), 0);
    fake_hart_destroy(fake);
}

TEST(a_fence_inside_a_superpage_drops_all_of_it)
{
    struct fake_hart *fake = make("max");
    struct mmu_page page;

    map(fake, 8, 0x40000000, 1, pte_to(0x200000, V | R | A));
    CHECK(mmu_translate(&fake->hart, 0x40005000, 1, ACCESS_READ, PRIV_S, &page));
    fill(fake, 0x40005000);
    mmu_flush_page(&fake->hart, 0x80000000); /* elsewhere */
    CHECK(held(fake, 0x40005000));
    mmu_flush_page(&fake->hart, 0x401ff000);
    CHECK(!held(fake, 0x40005000));
    fill(fake, 0x40005000);
    mmu_flush_page(&fake->hart, 0x401ff000); /* the hull was forgotten with the entries */
    CHECK(held(fake, 0x40005000));
    fake_hart_destroy(fake);
}

TEST(data_table_follows_the_mode)
{
    struct fake_hart *fake = make("max");
    struct hart *hart = &fake->hart;

    for (u32 c = 0; c < 2 * 2 * 3 * 3; c++) {
        static const enum priv privs[] = {PRIV_U, PRIV_S, PRIV_M};
        bool mprv = c & 1, sum = c & 2;
        enum priv mpp = privs[c / 4 % 3], priv = privs[c / 12], data = mprv ? mpp : priv;
        enum tlb_mode want = data == PRIV_M   ? TLB_M
                             : data == PRIV_U ? TLB_U
                             : sum            ? TLB_S_SUM
                                              : TLB_S;

        trap_set_mode(hart, priv);
        fake_csr_set(fake, CSR_mstatus,
                     (mprv ? MSTATUS_MPRV : 0) | (sum ? MSTATUS_SUM : 0) | (u64)mpp << 11);
        CHECK_EQ(mmu_data_priv(hart), data);
        CHECK(hart->data_tlb == &hart->tlb.table[want]);
        trap_set_mode(hart, PRIV_M);
        trap_set_mode(hart, priv);
        CHECK(hart->data_tlb == &hart->tlb.table[want]);
    }
    fake_hart_destroy(fake);
}

struct rival {
    _Atomic u64 *pte;
    _Atomic bool stop;
    u32 lost;
};

/* Another hart that keeps a software bit of the PTE for itself. */
static void *rival_run(void *arg)
{
    struct rival *rival = arg;

    while (!atomic_load(&rival->stop)) {
        atomic_fetch_or(rival->pte, BIT(8));
        rival->lost += !(atomic_load(rival->pte) & BIT(8));
        atomic_fetch_and(rival->pte, ~BIT(8));
        rival->lost += (atomic_load(rival->pte) & BIT(8)) != 0;
    }
    return NULL;
}

TEST(accessed_update_loses_no_other_change)
{
    struct fake_hart *fake = make("max");
    struct rival rival = {0};
    pthread_t thread;
    u32 missed = 0;

    fake_csr_set(fake, CSR_menvcfg, ENVCFG_ADUE);
    map(fake, 8, 0x7000, 0, pte_to(FAKE_RAM_BASE, V | R | W));
    rival.pte =
        (_Atomic u64 *)(void *)(fake->gmem.region[1].host + (slot(0x7000, 0) - FAKE_RAM_BASE));
    if (pthread_create(&thread, NULL, rival_run, &rival))
        abort();
    for (u32 i = 0; i < 50000; i++) {
        struct mmu_page page;

        atomic_fetch_and(rival.pte, ~(A | D));
        if (!mmu_translate(&fake->hart, 0x7000, 1, ACCESS_WRITE, PRIV_S, &page) ||
            (atomic_load(rival.pte) & (A | D)) != (A | D))
            missed++;
    }
    atomic_store(&rival.stop, true);
    pthread_join(thread, NULL);
    CHECK_EQ(missed, 0);
    CHECK_EQ(rival.lost, 0);
    fake_hart_destroy(fake);
}

TEST_MAIN()
