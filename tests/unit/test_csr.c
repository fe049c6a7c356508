/* SPDX-License-Identifier: BSD-2-Clause */
/* CSRs: who may access what, WARL behaviour, views of one another, counters, entropy. */
#include "rv/csr.h"

#include "tests/unit/fake_hart.h"

#include "rv/csr_counters.h"
#include "tests/test.h"

static const enum priv privs[] = {PRIV_U, PRIV_S, PRIV_M};

static bool is_readonly(u32 number)
{
    return number >> 10 == 3;
}

/* Accesses that the hart's own privilege and nothing else decides about. */
static struct fake_hart *make_open(void)
{
    struct fake_hart *fake = fake_hart_create("rv64");

    hart_enter_supervisor(&fake->hart, FAKE_RAM_BASE, 0);
    fake_csr_set(fake, CSR_mseccfg, MSECCFG_SSEED | MSECCFG_USEED);
    return fake;
}

TEST(names_and_numbers)
{
    u32 known = 0;

    for (u32 number = 0; number < 5000; number++) {
        const char *name = csr_name(number);

        if (!name)
            continue;
        known++;
        CHECK_EQ(csr_number(name), number);
    }
    CHECK(known > 150);
    CHECK_STR(csr_name(0x180), "satp");
    CHECK_EQ(csr_number("mhpmcounter31"), 0xb1f);
    CHECK_EQ(csr_number("nonsense"), UINT32_MAX);
    CHECK(!csr_name(0x7a0)); /* tselect: absent, as software probes for it */
}

TEST(access_by_privilege)
{
    struct fake_hart *fake = make_open();
    u64 v;

    for (u32 number = 0; number < 4096; number++) {
        for (u32 p = 0; p < 3; p++) {
            bool exists = csr_peek(&fake->hart, number, &v);
            bool may = exists && (u32)privs[p] >= (number >> 8 & 3);

            trap_set_mode(&fake->hart, privs[p]);
            fake->hart.trap.cause = 99;
            CHECK_EQ(fake_csr_read(fake, number, &v), may && number != CSR_seed);
            CHECK_EQ(fake->hart.trap.cause, may && number != CSR_seed ? 99 : CAUSE_ILLEGAL);
            if (!may || is_readonly(number))
                CHECK(!fake_csr_write(fake, number, 0));
            if (may && is_readonly(number))
                CHECK(!csr_access(&fake->hart, number, true, true, 0, 0, &v));
        }
    }
    trap_set_mode(&fake->hart, PRIV_M);
    CHECK(!fake_csr_read(fake, 4096, &v));
    CHECK(!fake_csr_read(fake, UINT32_MAX, &v));
    fake_hart_destroy(fake);
}

/* Counters and LCOFI's bit move by themselves. */
static bool is_steady(u32 number)
{
    return number != CSR_seed && number != CSR_mcycle && number != CSR_minstret &&
           (number & ~31u) != CSR_mcycle;
}

TEST(warl_round_trip)
{
    struct fake_hart *fake = fake_hart_create("rv64,h=true");
    u64 seed = 11, first, second;

    for (u32 number = 0; number < 4096; number++) {
        if (!csr_name(number) || is_readonly(number) || !is_steady(number))
            continue;
        for (u32 i = 0; i < 64; i++) {
            u64 r = test_random(&seed);

            hart_reset(&fake->hart, FAKE_RAM_BASE);
            fake_csr_set(fake, CSR_mstatus, MSTATUS_FS | (r & 1 ? MSTATUS_MPP : 0));
            CHECK(fake_csr_write(fake, number, test_random(&seed)));
            CHECK(fake_csr_read(fake, number, &first));
            CHECK(fake_csr_write(fake, number, first));
            CHECK(fake_csr_read(fake, number, &second));
            CHECK_EQ(first, second);
        }
    }
    fake_hart_destroy(fake);
}

static u64 written_and_read(struct fake_hart *fake, u32 number, u64 value)
{
    u64 v = 0;

    CHECK(fake_csr_write(fake, number, value));
    CHECK(fake_csr_read(fake, number, &v));
    return v;
}

TEST(legal_values)
{
    struct fake_hart *fake = fake_hart_create("max");
    u64 ones = UINT64_MAX, bare = fake_csr(fake, CSR_mstatus);

    CHECK_EQ(bare, UINT64_C(0xa00000000));
    CHECK_EQ(written_and_read(fake, CSR_mstatus, ones), bare | BIT(63) | 0x7e79aa);
    CHECK_EQ(written_and_read(fake, CSR_mstatus, 0), bare);
    fake_csr_set(fake, CSR_mstatus, UINT64_C(1) << 11);
    CHECK_EQ(written_and_read(fake, CSR_mstatus, UINT64_C(2) << 11), bare | UINT64_C(1) << 11);
    CHECK_EQ(written_and_read(fake, CSR_mtvec, 0x80000003), 0x80000001);
    CHECK_EQ(written_and_read(fake, CSR_stvec, 0x80000002), 0x80000000);
    CHECK_EQ(written_and_read(fake, CSR_mepc, ones), ~UINT64_C(1));
    CHECK_EQ(written_and_read(fake, CSR_medeleg, ones), 0xb3ff);
    CHECK_EQ(written_and_read(fake, CSR_mideleg, ones), 0x2222);
    CHECK_EQ(written_and_read(fake, CSR_mie, ones), 0x2aaa);
    CHECK_EQ(written_and_read(fake, CSR_misa, 0), isa_misa(&fake->hart.isa));
    CHECK_EQ(written_and_read(fake, CSR_mcounteren, ones), 0xffffffff);
    CHECK_EQ(written_and_read(fake, CSR_mcountinhibit, ones), 0xfffffffd);
    CHECK_EQ(written_and_read(fake, CSR_menvcfg, ones), UINT64_C(0xe0000000000000f1));
    CHECK_EQ(written_and_read(fake, CSR_senvcfg, ones), 0xf1);
    CHECK_EQ(written_and_read(fake, CSR_senvcfg, 0x20), 0);
    CHECK_EQ(written_and_read(fake, CSR_mstateen0, ones), UINT64_C(3) << 62);
    CHECK_EQ(written_and_read(fake, CSR_mstateen2, ones), BIT(63));
    CHECK_EQ(written_and_read(fake, CSR_sstateen0, ones), 0);
    CHECK_EQ(written_and_read(fake, CSR_mhpmevent5, ones), BIT(63) | UINT64_C(7) << 60);
    CHECK_EQ(written_and_read(fake, CSR_satp, UINT64_C(10) << 60 | 5), UINT64_C(10) << 60 | 5);
    CHECK_EQ(written_and_read(fake, CSR_satp, UINT64_C(11) << 60 | 6), UINT64_C(10) << 60 | 5);
    fake_csr_set(fake, CSR_mstatus, MSTATUS_FS);
    CHECK_EQ(written_and_read(fake, CSR_fcsr, ones), 0xff);
    CHECK_EQ(fake_csr(fake, CSR_frm), 7);
    CHECK_EQ(fake_csr(fake, CSR_fflags), 31);
    fake_hart_destroy(fake);
    fake = fake_hart_create("rv64,-f,-c,sv39,-zicbom,-sstc,-sscofpmf,-zihpm");
    CHECK_EQ(written_and_read(fake, CSR_mstatus, ones) & (BIT(63) | MSTATUS_FS), 0);
    CHECK_EQ(written_and_read(fake, CSR_mepc, ones), ~UINT64_C(3));
    CHECK_EQ(written_and_read(fake, CSR_satp, UINT64_C(9) << 60), 0);
    CHECK_EQ(written_and_read(fake, CSR_menvcfg, ones), UINT64_C(0x6000000000000081));
    CHECK_EQ(written_and_read(fake, CSR_mideleg, ones), 0x222);
    CHECK_EQ(written_and_read(fake, CSR_mhpmevent5, ones), 0);
    CHECK_EQ(written_and_read(fake, CSR_mhpmcounter5, ones), 0);
    CHECK_EQ(written_and_read(fake, CSR_mcounteren, ones), 7);
    fake_hart_destroy(fake);
}

TEST(set_and_clear)
{
    struct fake_hart *fake = fake_hart_create("rv64");
    u64 old;

    fake_csr_set(fake, CSR_mscratch, 0xff00);
    CHECK(csr_access(&fake->hart, CSR_mscratch, true, true, 0, 0x0ff0, &old));
    CHECK_EQ(old, 0xff00);
    CHECK(csr_access(&fake->hart, CSR_mscratch, true, true, 0xf00f, 0, &old));
    CHECK_EQ(old, 0xfff0);
    CHECK_EQ(fake_csr(fake, CSR_mscratch), 0x0ff0);
    CHECK(csr_access(&fake->hart, CSR_mscratch, true, true, UINT64_MAX, 5, &old));
    CHECK_EQ(old, 0x0ff0);
    CHECK_EQ(fake_csr(fake, CSR_mscratch), 5);
    fake_hart_destroy(fake);
}

TEST(supervisor_views)
{
    struct fake_hart *fake = fake_hart_create("rv64");
    u64 v = 0;

    fake_csr_set(fake, CSR_mstatus, MSTATUS_MIE | MSTATUS_MPP | MSTATUS_TVM);
    fake_csr_set(fake, CSR_sstatus, UINT64_MAX);
    CHECK_EQ(fake_csr(fake, CSR_mstatus),
             MSTATUS_MIE | MSTATUS_MPP | MSTATUS_TVM | BIT(63) | UINT64_C(0xa000c6122));
    CHECK_EQ(fake_csr(fake, CSR_sstatus), BIT(63) | UINT64_C(0x2000c6122));
    fake_csr_set(fake, CSR_mideleg, BIT(IRQ_SSI) | BIT(IRQ_SEI));
    fake_csr_set(fake, CSR_mie, BIT(IRQ_STI) | BIT(IRQ_MTI));
    fake_csr_set(fake, CSR_sie, UINT64_MAX);
    CHECK_EQ(fake_csr(fake, CSR_mie), 0x2a0 | BIT(IRQ_SSI));
    CHECK_EQ(fake_csr(fake, CSR_sie), 0x202);
    fake_csr_set(fake, CSR_sie, 0);
    CHECK_EQ(fake_csr(fake, CSR_mie), 0xa0);
    fake_csr_set(fake, CSR_sip, UINT64_MAX);
    CHECK_EQ(fake_csr(fake, CSR_mip), BIT(IRQ_SSI)); /* SEIP is not S-mode's to write */
    fake_csr_set(fake, CSR_mideleg, 0);
    fake_csr_set(fake, CSR_sip, 0);
    CHECK_EQ(fake_csr(fake, CSR_mip), BIT(IRQ_SSI));
    CHECK(fake_csr_read(fake, CSR_sip, &v));
    CHECK_EQ(v, 0);
    fake_hart_destroy(fake);
}

TEST(pending_bits_of_wires_and_software)
{
    struct fake_hart *fake = fake_hart_create("rv64");
    u64 old;

    CHECK_EQ(written_and_read(fake, CSR_mip, UINT64_MAX), 0x2222);
    CHECK_EQ(written_and_read(fake, CSR_mip, 0), 0);
    /* Read-modify-write of another bit must not copy the wire into software's SEIP (3.1.9). */
    atomic_store(&fake->hart.irq_wires, BIT(IRQ_SEI) | BIT(IRQ_MTI) | BIT(IRQ_MSI));
    CHECK(csr_access(&fake->hart, CSR_mip, true, true, 0, BIT(IRQ_SSI), &old));
    CHECK_EQ(old, BIT(IRQ_SEI) | BIT(IRQ_MTI) | BIT(IRQ_MSI));
    CHECK(csr_access(&fake->hart, CSR_mip, true, true, BIT(IRQ_MTI) | BIT(IRQ_SEI), 0, &old));
    CHECK_EQ(fake_csr(fake, CSR_mip), BIT(IRQ_SEI) | BIT(IRQ_MTI) | BIT(IRQ_MSI) | BIT(IRQ_SSI));
    atomic_store(&fake->hart.irq_wires, 0);
    CHECK_EQ(fake_csr(fake, CSR_mip), BIT(IRQ_SSI));
    fake_hart_destroy(fake);
}

TEST(comparator)
{
    struct fake_hart *fake = make_open();
    u64 v;

    fake->now = 1000;
    CHECK(fake_csr_write(fake, CSR_stimecmp, 2000));
    CHECK_EQ(fake->stimecmp, 2000);
    CHECK_EQ(fake_csr(fake, CSR_mip), 0);
    CHECK(fake_csr_write(fake, CSR_stimecmp, 1000));
    CHECK_EQ(fake_csr(fake, CSR_mip), BIT(IRQ_STI));
    /* STIP is the comparator's: software cannot change it. */
    fake_csr_set(fake, CSR_mip, 0);
    CHECK_EQ(fake_csr(fake, CSR_mip), BIT(IRQ_STI));
    fake_csr_set(fake, CSR_menvcfg, 0);
    CHECK_EQ(fake->stimecmp, UINT64_MAX);
    CHECK_EQ(fake_csr(fake, CSR_mip), 0);
    CHECK(!fake_csr_read(fake, CSR_stimecmp, &v));
    fake_csr_set(fake, CSR_mip, BIT(IRQ_STI));
    CHECK_EQ(fake_csr(fake, CSR_mip), BIT(IRQ_STI));
    /* Software's bit lies dormant while the comparator owns STIP, and is not written. */
    fake->now = 10;
    fake_csr_set(fake, CSR_menvcfg, ENVCFG_STCE);
    CHECK_EQ(fake_csr(fake, CSR_mip), 0);
    fake_csr_set(fake, CSR_menvcfg, 0);
    CHECK_EQ(fake_csr(fake, CSR_mip), BIT(IRQ_STI));
    fake_csr_set(fake, CSR_mip, 0);
    fake_csr_set(fake, CSR_menvcfg, ENVCFG_STCE);
    fake_csr_set(fake, CSR_mip, BIT(IRQ_STI));
    fake_csr_set(fake, CSR_menvcfg, 0);
    CHECK_EQ(fake_csr(fake, CSR_mip), 0);
    fake_csr_set(fake, CSR_menvcfg, ENVCFG_STCE);
    CHECK_EQ(fake->stimecmp, 1000);
    CHECK(fake_csr_read(fake, CSR_stimecmp, &v));
    CHECK_EQ(v, 1000);
    fake_csr_set(fake, CSR_mcounteren, ~UINT64_C(2));
    CHECK(!fake_csr_read(fake, CSR_stimecmp, &v));
    CHECK(!fake_csr_write(fake, CSR_stimecmp, 1));
    trap_set_mode(&fake->hart, PRIV_M);
    CHECK(fake_csr_read(fake, CSR_stimecmp, &v));
    fake_hart_destroy(fake);
}

TEST(counter_enables)
{
    struct fake_hart *fake = make_open();
    u64 v;

    fake->now = 77;
    CHECK(fake_csr_read(fake, CSR_time, &v));
    CHECK_EQ(v, 77);
    for (u32 i = 0; i < 32; i++) {
        for (u32 c = 0; c < 4 * 3; c++) {
            enum priv priv = privs[c / 4];
            bool m = c & 1, s = c & 2;

            fake_csr_set(fake, CSR_mcounteren, m ? BIT(i) : ~BIT(i));
            fake_csr_set(fake, CSR_scounteren, s ? BIT(i) : ~BIT(i));
            trap_set_mode(&fake->hart, priv);
            CHECK_EQ(fake_csr_read(fake, CSR_cycle + i, &v),
                     priv == PRIV_M || (m && (priv == PRIV_S || s)));
        }
    }
    fake_hart_destroy(fake);
}

TEST(guards)
{
    struct fake_hart *fake = make_open();
    u64 v;

    fake_csr_set(fake, CSR_mstatus, MSTATUS_TVM);
    trap_set_mode(&fake->hart, PRIV_S);
    CHECK(!fake_csr_read(fake, CSR_satp, &v) && !fake_csr_write(fake, CSR_satp, 0));
    CHECK(!fake_csr_read(fake, CSR_fcsr, &v) && !fake_csr_write(fake, CSR_frm, 0));
    trap_set_mode(&fake->hart, PRIV_M);
    CHECK(fake_csr_read(fake, CSR_satp, &v));
    CHECK(!fake_csr_read(fake, CSR_fflags, &v)); /* FS off */
    fake_csr_set(fake, CSR_mstatus, UINT64_C(1) << 13);
    CHECK(fake_csr_read(fake, CSR_fflags, &v));
    CHECK_EQ(fake_csr(fake, CSR_mstatus) & MSTATUS_FS, UINT64_C(1) << 13);
    CHECK(fake_csr_write(fake, CSR_fflags, 0));
    CHECK_EQ(fake_csr(fake, CSR_mstatus) & MSTATUS_FS, MSTATUS_FS);
    trap_set_mode(&fake->hart, PRIV_S);
    fake_csr_set(fake, CSR_mstateen0, STATEEN_SE);
    CHECK(!fake_csr_read(fake, CSR_senvcfg, &v) && fake_csr_read(fake, CSR_sstateen0, &v));
    fake_csr_set(fake, CSR_mstateen0, STATEEN_ENVCFG);
    CHECK(fake_csr_read(fake, CSR_senvcfg, &v) && !fake_csr_read(fake, CSR_sstateen0, &v));
    fake_csr_set(fake, CSR_mstateen2, 0);
    CHECK(!fake_csr_read(fake, CSR_sstateen2, &v) && fake_csr_read(fake, CSR_sstateen3, &v));
    fake_hart_destroy(fake);
}

TEST(seed)
{
    struct fake_hart *fake = fake_hart_create("rv64");
    u64 a = 0, b = 0;

    CHECK_EQ(fake_csr(fake, CSR_mseccfg), MSECCFG_SSEED);
    for (u32 c = 0; c < 3 * 4; c++) {
        enum priv priv = privs[c / 4];
        bool s = c & 1, u = c & 2;
        bool may = priv == PRIV_M || (priv == PRIV_S ? s : u);

        fake_csr_set(fake, CSR_mseccfg, (s ? MSECCFG_SSEED : 0) | (u ? MSECCFG_USEED : 0));
        trap_set_mode(&fake->hart, priv);
        CHECK_EQ(csr_access(&fake->hart, CSR_seed, true, true, UINT64_MAX, 0, &a), may);
        CHECK(!csr_access(&fake->hart, CSR_seed, true, false, 0, 0, &b));
    }
    trap_set_mode(&fake->hart, PRIV_M);
    CHECK(csr_access(&fake->hart, CSR_seed, true, true, UINT64_MAX, 0, &b));
    CHECK_EQ(a >> 16, 0x8000); /* ES16 */
    CHECK_EQ(b >> 16, 0x8000);
    CHECK(a != b);
    fake_hart_destroy(fake);
    fake = fake_hart_create("rv64,-zkr,-smepmp");
    CHECK(!fake_csr_write(fake, CSR_seed, 0) && !fake_csr_write(fake, CSR_mseccfg, 0));
    fake_hart_destroy(fake);
}

TEST(cycle_and_instret)
{
    struct fake_hart *fake = fake_hart_create("rv64");

    fake->hart.insns += 100;
    CHECK_EQ(fake_csr(fake, CSR_mcycle), 100);
    CHECK_EQ(fake_csr(fake, CSR_instret), 100);
    /* The next instruction reads what was written. */
    CHECK_EQ(written_and_read(fake, CSR_minstret, 0), 0);
    CHECK_EQ(written_and_read(fake, CSR_mcycle, 5000), 5000);
    CHECK_EQ(fake_csr(fake, CSR_minstret), 3);
    fake_csr_set(fake, CSR_mcountinhibit, 4);
    fake->hart.insns += 1000;
    CHECK_EQ(fake_csr(fake, CSR_minstret), 3);
    CHECK_EQ(fake_csr(fake, CSR_mcycle), 6001);
    CHECK_EQ(written_and_read(fake, CSR_minstret, 9), 9);
    fake_csr_set(fake, CSR_mcountinhibit, 0);
    fake->hart.insns += 10;
    CHECK_EQ(fake_csr(fake, CSR_minstret), 19);
    fake_hart_destroy(fake);
}

TEST(events_and_inhibition)
{
    struct fake_hart *fake = fake_hart_create("rv64");

    fake_csr_set(fake, CSR_mhpmevent3, COUNTER_INSTRET);
    fake_csr_set(fake, CSR_mhpmevent4, COUNTER_CYCLES | COUNTER_SINH);
    fake_csr_set(fake, CSR_mhpmevent5, COUNTER_CYCLES | COUNTER_MINH | COUNTER_UINH);
    fake_csr_set(fake, CSR_mhpmevent6, 77); /* no such event */
    CHECK_EQ(fake_csr(fake, CSR_mhpmevent6), COUNTER_NONE);
    fake->hart.insns += 10;
    trap_set_mode(&fake->hart, PRIV_S);
    fake->hart.insns += 100;
    trap_set_mode(&fake->hart, PRIV_U);
    fake->hart.insns += 1000;
    CHECK_EQ(fake_csr(fake, CSR_hpmcounter3), 1110);
    CHECK_EQ(fake_csr(fake, CSR_hpmcounter4), 1010);
    CHECK_EQ(fake_csr(fake, CSR_hpmcounter5), 100);
    CHECK_EQ(fake_csr(fake, CSR_hpmcounter6), 0);
    fake_csr_set(fake, CSR_mcountinhibit, BIT(3));
    fake->hart.insns += 5;
    CHECK_EQ(fake_csr(fake, CSR_hpmcounter3), 1110);
    CHECK_EQ(fake_csr(fake, CSR_hpmcounter4), 1015);
    fake_hart_destroy(fake);
}

TEST(overflow_interrupts_once)
{
    struct fake_hart *fake = make_open();
    u64 v = 0;

    fake_csr_set(fake, CSR_mhpmevent3, COUNTER_INSTRET);
    fake_csr_set(fake, CSR_mhpmcounter3, 0 - UINT64_C(100));
    fake->hart.insns += 99;
    csr_counter_overflow_check(&fake->hart);
    CHECK_EQ(fake_csr(fake, CSR_mip), 0);
    fake->hart.insns += 1;
    csr_counter_overflow_check(&fake->hart);
    CHECK_EQ(fake_csr(fake, CSR_mip), BIT(IRQ_LCOFI));
    CHECK_EQ(fake_csr(fake, CSR_mhpmevent3), COUNTER_OF | COUNTER_INSTRET);
    CHECK(fake_csr_read(fake, CSR_scountovf, &v));
    CHECK_EQ(v, BIT(3));
    fake_csr_set(fake, CSR_mcounteren, 7);
    CHECK(fake_csr_read(fake, CSR_scountovf, &v));
    CHECK_EQ(v, 0);
    /* S-mode clears the interrupt; OF still set: no second one. */
    CHECK(fake_csr_write(fake, CSR_sip, 0));
    fake_csr_set(fake, CSR_mhpmcounter3, UINT64_MAX);
    fake->hart.insns += 1;
    csr_counter_overflow_check(&fake->hart);
    CHECK_EQ(fake_csr(fake, CSR_mip), 0);
    fake_csr_set(fake, CSR_mhpmevent3, COUNTER_INSTRET);
    fake_csr_set(fake, CSR_mhpmcounter3, UINT64_MAX);
    fake_csr_set(fake, CSR_sie, BIT(IRQ_LCOFI));
    fake_csr_set(fake, CSR_sstatus, MSTATUS_SIE);
    atomic_store(&fake->hart.attn, 0);
    fake->hart.insns += 1;
    csr_counter_overflow_check(&fake->hart);
    CHECK_EQ(atomic_load(&fake->hart.attn), ATTN_IRQ);
    CHECK_EQ(trap_pending(&fake->hart), IRQ_LCOFI);
    fake_hart_destroy(fake);
}

TEST(overflow_is_noticed_at_a_change_of_mode)
{
    struct fake_hart *fake = make_open();

    fake_csr_set(fake, CSR_mhpmevent31, COUNTER_CYCLES);
    fake_csr_set(fake, CSR_mhpmcounter31, 0 - UINT64_C(5));
    fake->hart.insns += 7;
    trap_set_mode(&fake->hart, PRIV_U);
    CHECK_EQ(atomic_load(&fake->hart.irq_soft), BIT(IRQ_LCOFI));
    CHECK_EQ(fake_csr(fake, CSR_mhpmcounter31), 2);
    fake_hart_destroy(fake);
}

TEST(identity)
{
    struct fake_hart *fake = fake_hart_create("rv64");

    fake->hart.id = 7;
    CHECK_EQ(fake_csr(fake, CSR_mhartid), 7);
    CHECK_EQ(fake_csr(fake, CSR_mvendorid) | fake_csr(fake, CSR_marchid), 0);
    CHECK_EQ(fake_csr(fake, CSR_mimpid), 0x000100);
    CHECK_EQ(fake_csr(fake, CSR_mconfigptr), 0);
    CHECK(!csr_poke(&fake->hart, CSR_mhartid, 1));
    fake_hart_destroy(fake);
}

TEST_MAIN()
