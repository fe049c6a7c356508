/* SPDX-License-Identifier: BSD-2-Clause */
/* PMP against a bytewise oracle, the Smepmp truth table, lock rules. */
#include "rv/pmp.h"

#include "tests/unit/fake_hart.h"

#include "tests/test.h"

#define RWX(text) rwx_of(text)

static u32 rwx_of(const char *text)
{
    u32 rwx = 0;

    for (; *text; text++)
        rwx |= (u32)(*text == 'r' ? PMP_R : *text == 'w' ? PMP_W : *text == 'x' ? PMP_X : 0);
    return rwx;
}

/* Does entry i match this one byte, by the definition of the address modes? */
static bool oracle_matches(const struct hart *hart, u32 i, gpa_t byte)
{
    u64 addr = hart->csr.pmpaddr[i], below = i ? hart->csr.pmpaddr[i - 1] : 0, word = byte >> 2;
    u32 ones = 0;

    switch (hart->csr.pmpcfg[i] >> 3 & 3) {
    case 1:
        return word >= below && word < addr;
    case 2:
        return word == addr;
    case 3:
        while (ones < 54 && (addr >> ones & 1))
            ones++;
        return ones >= 53 || word >> (ones + 1) == addr >> (ones + 1);
    default:
        return false;
    }
}

/* Smepmp's table, a row each of L R W X: what M-mode may, what S and U may. */
static const char *const mml_table[16][2] = {
    {"", ""}, {"", "x"}, {"rw", "r"}, {"rw", "rw"}, {"", "r"}, {"", "rx"}, {"", "rw"}, {"", "rwx"},
    {"", ""}, {"x", ""}, {"x", "x"},  {"rx", "x"},  {"r", ""}, {"rx", ""}, {"rw", ""}, {"r", "r"},
};

static u32 oracle_entry(const struct hart *hart, u8 cfg, enum priv priv)
{
    u32 row = (u32)(!!(cfg & 0x80) << 3 | !!(cfg & 1) << 2 | !!(cfg & 2) << 1 | !!(cfg & 4));

    if (hart->csr.mseccfg & MSECCFG_MML)
        return RWX(mml_table[row][priv != PRIV_M]);
    if (priv == PRIV_M && !(cfg & 0x80))
        return PMP_RWX;
    return cfg & 7u;
}

static u32 oracle(const struct hart *hart, gpa_t gpa, u64 size, enum priv priv)
{
    for (u32 i = 0; i < hart->isa.pmp_count; i++) {
        u64 matched = 0;

        for (u64 b = 0; b < size; b++)
            matched += oracle_matches(hart, i, gpa + b);
        if (matched)
            return matched == size ? oracle_entry(hart, hart->csr.pmpcfg[i], priv) : 0;
    }
    if (priv != PRIV_M)
        return hart->isa.pmp_count ? 0 : PMP_RWX;
    if (hart->csr.mseccfg & MSECCFG_MMWP)
        return 0;
    return hart->csr.mseccfg & MSECCFG_MML ? PMP_R | PMP_W : PMP_RWX;
}

/* Addresses around few pages, so that entries meet; now and then everything. */
static u64 random_pmpaddr(u64 *seed)
{
    u64 r = test_random(seed), addr = (FAKE_RAM_BASE + (r >> 8 & 0x7fff)) >> 2;

    if (r % 16 == 0)
        return UINT64_MAX;
    if (r % 4 == 1) {
        u32 ones = (u32)(r >> 32) % 16;
        addr = (addr & ~(BIT(ones + 1) - 1)) | (BIT(ones) - 1);
    }
    return addr;
}

static void randomise(struct fake_hart *fake, u64 *seed)
{
    u64 security = 0;

    hart_reset(&fake->hart, 0);
    if (test_random(seed) % 3 == 0)
        security = test_random(seed) & 7;
    fake_csr_set(fake, CSR_mseccfg, security);
    for (u32 i = 0; i < PMP_ENTRIES; i++) {
        u64 r = test_random(seed);

        fake_csr_set(fake, CSR_pmpaddr0 + i, random_pmpaddr(seed));
        pmp_write_cfg(&fake->hart, i, r % 3 ? (u8)(r >> 8) : 0);
    }
}

TEST(lower_end_of_a_range_moves)
{
    struct fake_hart *fake = fake_hart_create("rv64");
    bool whole;

    fake_csr_set(fake, CSR_pmpaddr0 + 1, 0x10000 >> 2);
    fake_csr_set(fake, CSR_pmpcfg0, 0x0900); /* entry 1: TOR, R */
    CHECK_EQ(pmp_permissions(&fake->hart, 0x3000, 8, PRIV_S, &whole), PMP_R);
    fake_csr_set(fake, CSR_pmpaddr0, 0x4000 >> 2);
    CHECK_EQ(pmp_permissions(&fake->hart, 0x3000, 8, PRIV_S, &whole), 0);
    CHECK_EQ(pmp_permissions(&fake->hart, 0x4000, 8, PRIV_S, &whole), PMP_R);
    fake_hart_destroy(fake);
}

static const enum priv privs[] = {PRIV_U, PRIV_S, PRIV_M};

static void check_one(struct fake_hart *fake, u64 *seed)
{
    u64 r = test_random(seed), size = BIT(r % 4);
    gpa_t page = FAKE_RAM_BASE + ((r >> 8) % 8 << 12), gpa = page + (r >> 16) % (4097 - size);
    enum priv priv = privs[(r >> 40) % 3];
    bool whole, ignored;
    u32 got = pmp_permissions(&fake->hart, gpa, size, priv, &whole);

    CHECK_EQ(got, oracle(&fake->hart, gpa, size, priv));
    for (u32 acc = ACCESS_READ; acc <= ACCESS_EXEC; acc++) {
        bool may = pmp_check(&fake->hart, gpa, size, (enum access)acc, priv, &ignored);
        CHECK_EQ(may, got >> acc & 1);
    }
    for (u32 b = 0; whole && b < PAGE_SIZE; b += 64)
        CHECK_EQ(oracle(&fake->hart, page + b + (r & 63), 1, priv), got);
}

TEST(random_entries_against_bytewise_definition)
{
    u64 seed = 42;
    struct fake_hart *fake = fake_hart_create("rv64");

    for (u32 i = 0; i < 3000; i++) {
        randomise(fake, &seed);
        for (u32 k = 0; k < 20; k++)
            check_one(fake, &seed);
    }
    fake_hart_destroy(fake);
}

TEST(smepmp_truth_table)
{
    struct fake_hart *fake = fake_hart_create("rv64");

    for (u32 row = 0; row < 16; row++) {
        u8 cfg = (u8)((row & 8 ? 0x80 : 0) | (row & 4 ? 1 : 0) | (row & 2 ? 2 : 0) |
                      (row & 1 ? 4 : 0) | 0x18);
        bool whole;

        hart_reset(&fake->hart, 0);
        fake_csr_set(fake, CSR_mseccfg, MSECCFG_MML | MSECCFG_RLB);
        fake_csr_set(fake, CSR_pmpaddr0, UINT64_MAX);
        fake_csr_set(fake, CSR_pmpcfg0, cfg);
        CHECK_EQ(fake_csr(fake, CSR_pmpcfg0), cfg);
        CHECK_EQ(pmp_permissions(&fake->hart, 64, 8, PRIV_M, &whole), RWX(mml_table[row][0]));
        CHECK(whole);
        CHECK_EQ(pmp_permissions(&fake->hart, 64, 8, PRIV_S, &whole), RWX(mml_table[row][1]));
        CHECK_EQ(pmp_permissions(&fake->hart, 64, 8, PRIV_U, &whole), RWX(mml_table[row][1]));
    }
    fake_hart_destroy(fake);
}

TEST(mml_refuses_new_machine_code)
{
    struct fake_hart *fake = fake_hart_create("rv64");

    for (u32 row = 0; row < 16; row++) {
        u8 cfg = (u8)((row & 8 ? 0x80 : 0) | (row & 4 ? 1 : 0) | (row & 2 ? 2 : 0) |
                      (row & 1 ? 4 : 0) | 0x18);
        bool refused = (row & 8) && strchr(mml_table[row][0], 'x');

        hart_reset(&fake->hart, 0);
        fake_csr_set(fake, CSR_mseccfg, MSECCFG_MML);
        fake_csr_set(fake, CSR_pmpcfg0, cfg);
        CHECK_EQ(fake_csr(fake, CSR_pmpcfg0), refused ? 0 : cfg);
    }
    fake_hart_destroy(fake);
}

TEST(locks)
{
    struct fake_hart *fake = fake_hart_create("rv64");

    fake_csr_set(fake, CSR_pmpaddr0 + 0, 0x1000);
    fake_csr_set(fake, CSR_pmpaddr0 + 1, 0x2000);
    fake_csr_set(fake, CSR_pmpaddr0 + 2, 0x3000);
    fake_csr_set(fake, CSR_pmpcfg0, 0x89 << 8); /* entry 1: locked, TOR, R */
    fake_csr_set(fake, CSR_pmpaddr0 + 0, 1);
    fake_csr_set(fake, CSR_pmpaddr0 + 1, 1);
    fake_csr_set(fake, CSR_pmpaddr0 + 2, 1);
    fake_csr_set(fake, CSR_pmpcfg0, 0x0f0f0f);
    CHECK_EQ(fake_csr(fake, CSR_pmpaddr0 + 0), 0x1000);
    CHECK_EQ(fake_csr(fake, CSR_pmpaddr0 + 1), 0x2000);
    CHECK_EQ(fake_csr(fake, CSR_pmpaddr0 + 2), 1);
    CHECK_EQ(fake_csr(fake, CSR_pmpcfg0), 0x0f890f);
    /* Other modes of a locked entry leave the address before it free. */
    fake_csr_set(fake, CSR_pmpcfg0, 0x9f0f890f);
    fake_csr_set(fake, CSR_pmpaddr0 + 2, 2);
    CHECK_EQ(fake_csr(fake, CSR_pmpaddr0 + 2), 2);
    /* RLB cannot be set any more once something is locked; without it, the lock stays. */
    fake_csr_set(fake, CSR_mseccfg, MSECCFG_RLB);
    CHECK_EQ(fake_csr(fake, CSR_mseccfg), 0);
    hart_reset(&fake->hart, 0);
    CHECK_EQ(fake_csr(fake, CSR_pmpcfg0), 0);
    /* Set before, it opens locks until it is cleared. */
    fake_csr_set(fake, CSR_mseccfg, MSECCFG_RLB);
    fake_csr_set(fake, CSR_pmpcfg0, 0x9f);
    fake_csr_set(fake, CSR_pmpcfg0, 0x9b);
    CHECK_EQ(fake_csr(fake, CSR_pmpcfg0), 0x99 | 2);
    fake_csr_set(fake, CSR_mseccfg, MSECCFG_RLB);
    CHECK_EQ(fake_csr(fake, CSR_mseccfg), MSECCFG_RLB);
    fake_csr_set(fake, CSR_mseccfg, 0);
    fake_csr_set(fake, CSR_mseccfg, MSECCFG_RLB | MSECCFG_MMWP);
    CHECK_EQ(fake_csr(fake, CSR_mseccfg), MSECCFG_MMWP);
    fake_csr_set(fake, CSR_mseccfg, MSECCFG_MML);
    CHECK_EQ(fake_csr(fake, CSR_mseccfg), MSECCFG_MMWP | MSECCFG_MML);
    fake_hart_destroy(fake);
}

TEST(reserved_values_do_not_stick)
{
    struct fake_hart *fake = fake_hart_create("rv64,pmp=3");

    fake_csr_set(fake, CSR_pmpcfg0, 0x7a7a7a7a); /* W without R, bits 5 and 6, a fourth entry */
    CHECK_EQ(fake_csr(fake, CSR_pmpcfg0), 0x181818);
    fake_csr_set(fake, CSR_pmpaddr0 + 2, UINT64_MAX);
    fake_csr_set(fake, CSR_pmpaddr0 + 3, UINT64_MAX);
    CHECK_EQ(fake_csr(fake, CSR_pmpaddr0 + 2), GENMASK(53, 0));
    CHECK_EQ(fake_csr(fake, CSR_pmpaddr0 + 3), 0);
    fake_hart_destroy(fake);
}

TEST(no_entries_means_no_protection)
{
    struct fake_hart *fake = fake_hart_create("rv64,pmp=0");
    bool whole;
    u64 v;

    CHECK_EQ(pmp_permissions(&fake->hart, 64, 8, PRIV_U, &whole), PMP_RWX);
    CHECK(!csr_peek(&fake->hart, CSR_pmpcfg0, &v));
    fake_hart_destroy(fake);
    fake = fake_hart_create("rv64,pmp=1");
    CHECK_EQ(pmp_permissions(&fake->hart, 64, 8, PRIV_S, &whole), 0);
    CHECK_EQ(pmp_permissions(&fake->hart, 64, 8, PRIV_M, &whole), PMP_RWX);
    fake_hart_destroy(fake);
}

TEST(changes_flush_the_tlb)
{
    struct fake_hart *fake = fake_hart_create("rv64");
    u64 flushes = fake->hart.stats.tlb_flushes;

    fake_csr_set(fake, CSR_pmpaddr0, 5);
    CHECK_EQ(fake->hart.stats.tlb_flushes, flushes + 1);
    fake_csr_set(fake, CSR_pmpaddr0, 5);
    CHECK_EQ(fake->hart.stats.tlb_flushes, flushes + 1);
    fake_csr_set(fake, CSR_pmpcfg0, 0x1f);
    CHECK_EQ(fake->hart.stats.tlb_flushes, flushes + 2);
    fake_hart_destroy(fake);
}

TEST_MAIN()
