/* SPDX-License-Identifier: BSD-2-Clause */
/* Traps: delegation, vectors, interrupt priority, returns, reset and handover. */
#include "rv/trap.h"

#include "tests/unit/fake_hart.h"

#include "tests/test.h"

#define PC    UINT64_C(0x80001234)
#define STVEC UINT64_C(0x80004000)
#define MTVEC UINT64_C(0x80008000)

static const enum priv privs[] = {PRIV_U, PRIV_S, PRIV_M};

static struct fake_hart *make(enum priv priv, u64 mstatus)
{
    struct fake_hart *fake = fake_hart_create("rv64");

    fake_csr_set(fake, CSR_mstatus, mstatus);
    fake_csr_set(fake, CSR_stvec, STVEC);
    fake_csr_set(fake, CSR_mtvec, MTVEC);
    trap_set_mode(&fake->hart, priv);
    fake->hart.pc = PC;
    return fake;
}

static void check_entry(struct fake_hart *fake, enum priv from, bool to_s, u64 cause, u64 tval,
                        u64 mstatus, u64 offset)
{
    u64 now = fake_csr(fake, CSR_mstatus);

    CHECK_EQ(fake->hart.priv, to_s ? PRIV_S : PRIV_M);
    CHECK_EQ(fake->hart.pc, (to_s ? STVEC : MTVEC) + offset);
    CHECK_EQ(fake_csr(fake, to_s ? CSR_scause : CSR_mcause), cause);
    CHECK_EQ(fake_csr(fake, to_s ? CSR_sepc : CSR_mepc), PC);
    CHECK_EQ(fake_csr(fake, to_s ? CSR_stval : CSR_mtval), tval);
    CHECK_EQ(fake_csr(fake, to_s ? CSR_mepc : CSR_sepc), 0);
    if (to_s) {
        CHECK_EQ(now & MSTATUS_SIE, 0);
        CHECK_EQ(!(now & MSTATUS_SPIE), !(mstatus & MSTATUS_SIE));
        CHECK_EQ(!!(now & MSTATUS_SPP), from == PRIV_S);
        CHECK_EQ(now & MSTATUS_MIE, mstatus & MSTATUS_MIE);
    } else {
        CHECK_EQ(now & MSTATUS_MIE, 0);
        CHECK_EQ(!(now & MSTATUS_MPIE), !(mstatus & MSTATUS_MIE));
        CHECK_EQ(bits_get(now, 11, 2), from);
        CHECK_EQ(now & MSTATUS_SIE, mstatus & MSTATUS_SIE);
    }
}

TEST(exception_delegation_matrix)
{
    for (u32 c = 0; c < 16 * 3 * 2 * 4; c++) {
        u64 cause = c % 16,
            mstatus = (c / 96 & 1 ? MSTATUS_SIE : 0) | (c / 96 & 2 ? MSTATUS_MIE : 0);
        enum priv from = privs[c / 16 % 3];
        bool delegable = cause != 10 && cause != 11 && cause != 14, delegated = c / 48 & 1;
        struct fake_hart *fake = make(from, mstatus);

        fake_csr_set(fake, CSR_medeleg, delegated ? UINT64_MAX : ~BIT(cause));
        CHECK_EQ(fake_csr(fake, CSR_medeleg) >> cause & 1, delegated && delegable);
        (void)hart_raise(&fake->hart, (enum cause)cause, 0x77);
        trap_exception(&fake->hart);
        check_entry(fake, from, delegated && delegable && from != PRIV_M, cause, 0x77, mstatus, 0);
        fake_hart_destroy(fake);
    }
}

static const u32 order[] = {IRQ_MEI, IRQ_MSI, IRQ_MTI, IRQ_SEI, IRQ_SSI, IRQ_STI, IRQ_LCOFI};

/* The interrupt due by 3.1.9, put another way: try all candidates, M's before S's. */
static int oracle_pending(u64 mip, u64 mie, u64 mideleg, enum priv priv, bool m_on, bool s_on)
{
    bool m_open = priv < PRIV_M || m_on, s_open = priv < PRIV_S || (priv == PRIV_S && s_on);

    for (u32 i = 0; i < ARRAY_SIZE(order); i++) {
        u64 bit = BIT(order[i]);
        if ((mip & mie & bit) && !(mideleg & bit) && m_open)
            return (int)order[i];
    }
    for (u32 i = 0; i < ARRAY_SIZE(order); i++) {
        u64 bit = BIT(order[i]);
        if ((mip & mie & bit) && (mideleg & bit) && s_open)
            return (int)order[i];
    }
    return -1;
}

TEST(interrupt_priority_and_delegation)
{
    struct fake_hart *fake = make(PRIV_M, 0);
    u64 seed = 3, taken = 0;

    for (u32 i = 0; i < 50000; i++) {
        u64 r = test_random(&seed), mip, mie, mideleg;
        u64 mstatus = (r & 1 ? MSTATUS_SIE : 0) | (r & 2 ? MSTATUS_MIE : 0);
        enum priv priv = privs[(r >> 2) % 3];
        int irq;

        fake_csr_set(fake, CSR_mideleg, r >> 8);
        fake_csr_set(fake, CSR_mie, r >> 24);
        atomic_store(&fake->hart.irq_wires, r >> 40 & 0x2aaa & (r >> 41 | 0x2000));
        fake_csr_set(fake, CSR_mstatus, mstatus);
        trap_set_mode(&fake->hart, priv);
        mip = fake_csr(fake, CSR_mip);
        mie = fake_csr(fake, CSR_mie);
        mideleg = fake_csr(fake, CSR_mideleg);
        irq = trap_pending(&fake->hart);
        CHECK_EQ(irq, oracle_pending(mip, mie, mideleg, priv, r & 2, r & 1));
        CHECK_EQ(trap_wakes(&fake->hart), (mip & mie) != 0);
        taken += irq >= 0;
    }
    CHECK(taken > 5000);
    fake_hart_destroy(fake);
}

TEST(interrupt_entry_direct_and_vectored)
{
    for (u32 c = 0; c < ARRAY_SIZE(order) * 2 * 2 * 3; c++) {
        u32 irq = order[c % 7], vectored = c / 7 & 1, delegated = c / 14 & 1;
        enum priv from = privs[c / 28 % 3];
        struct fake_hart *fake = make(from, MSTATUS_SIE | MSTATUS_MIE);
        bool delegable = irq == IRQ_SSI || irq == IRQ_STI || irq == IRQ_SEI || irq == IRQ_LCOFI;

        fake_csr_set(fake, CSR_stvec, STVEC | vectored);
        fake_csr_set(fake, CSR_mtvec, MTVEC | vectored);
        fake_csr_set(fake, CSR_mideleg, delegated ? UINT64_MAX : 0);
        trap_interrupt(&fake->hart, (int)irq);
        check_entry(fake, from, delegated && delegable && from != PRIV_M, BIT(63) | irq, 0,
                    MSTATUS_SIE | MSTATUS_MIE, vectored ? 4 * irq : 0);
        fake_hart_destroy(fake);
    }
}

TEST(exceptions_are_never_vectored)
{
    struct fake_hart *fake = make(PRIV_S, 0);

    fake_csr_set(fake, CSR_mtvec, MTVEC | 1);
    (void)hart_raise(&fake->hart, CAUSE_ECALL_S, 0);
    trap_exception(&fake->hart);
    CHECK_EQ(fake->hart.pc, MTVEC);
    fake_hart_destroy(fake);
}

TEST(mret_in_every_state)
{
    for (u32 c = 0; c < 3 * 3 * 2 * 2; c++) {
        enum priv from = privs[c % 3], mpp = privs[c / 3 % 3];
        u64 mpie = c / 9 & 1 ? MSTATUS_MPIE : 0, mprv = c / 18 & 1 ? MSTATUS_MPRV : 0, now;
        struct fake_hart *fake = make(from, (u64)mpp << 11 | mpie | mprv | MSTATUS_SPP);

        fake_csr_set(fake, CSR_mepc, 0x8888);
        if (from != PRIV_M) {
            CHECK(!trap_mret(&fake->hart));
            CHECK_EQ(fake->hart.trap.cause, CAUSE_ILLEGAL);
            CHECK_EQ(fake->hart.pc, PC);
        } else {
            CHECK(trap_mret(&fake->hart));
            now = fake_csr(fake, CSR_mstatus);
            CHECK_EQ(fake->hart.priv, mpp);
            CHECK_EQ(fake->hart.pc, 0x8888);
            CHECK_EQ(!(now & MSTATUS_MIE), !mpie);
            CHECK_EQ(now & MSTATUS_MPIE, MSTATUS_MPIE);
            CHECK_EQ(now & MSTATUS_MPP, 0);
            CHECK_EQ(now & MSTATUS_SPP, MSTATUS_SPP);
            CHECK_EQ(now & MSTATUS_MPRV, mpp == PRIV_M ? mprv : 0);
        }
        fake_hart_destroy(fake);
    }
}

TEST(sret_in_every_state)
{
    for (u32 c = 0; c < 3 * 2 * 2 * 2 * 2; c++) {
        enum priv from = privs[c % 3];
        u64 spp = c / 3 & 1 ? MSTATUS_SPP : 0, spie = c / 6 & 1 ? MSTATUS_SPIE : 0;
        u64 tsr = c / 12 & 1 ? MSTATUS_TSR : 0, mprv = c / 24 & 1 ? MSTATUS_MPRV : 0, now;
        struct fake_hart *fake = make(from, spp | spie | tsr | mprv | MSTATUS_MIE);

        fake_csr_set(fake, CSR_sepc, 0x8888);
        if (from == PRIV_U || (from == PRIV_S && tsr)) {
            CHECK(!trap_sret(&fake->hart));
            CHECK_EQ(fake->hart.trap.cause, CAUSE_ILLEGAL);
            CHECK_EQ(fake->hart.trap.tval, 0);
        } else {
            CHECK(trap_sret(&fake->hart));
            now = fake_csr(fake, CSR_mstatus);
            CHECK_EQ(fake->hart.priv, spp ? PRIV_S : PRIV_U);
            CHECK_EQ(fake->hart.pc, 0x8888);
            CHECK_EQ(!(now & MSTATUS_SIE), !spie);
            CHECK_EQ(now & MSTATUS_SPIE, MSTATUS_SPIE);
            CHECK_EQ(now & (MSTATUS_SPP | MSTATUS_MPRV), 0);
            CHECK_EQ(now & MSTATUS_MIE, MSTATUS_MIE);
        }
        fake_hart_destroy(fake);
    }
}

/* Whatever makes an interrupt takeable asks the engine to look. */
static bool asks(struct fake_hart *fake)
{
    return atomic_exchange(&fake->hart.attn, 0) & ATTN_IRQ;
}

TEST(attention_when_an_interrupt_becomes_takeable)
{
    struct fake_hart *fake = fake_hart_create("rv64");

    hart_enter_supervisor(&fake->hart, PC, 0);
    (void)asks(fake);
    CHECK(fake_csr_write(fake, CSR_sip, BIT(IRQ_SSI)));
    CHECK(!asks(fake));
    CHECK(fake_csr_write(fake, CSR_sie, BIT(IRQ_SSI)));
    CHECK(!asks(fake));
    CHECK(fake_csr_write(fake, CSR_sstatus, MSTATUS_SIE));
    CHECK(asks(fake));
    CHECK(fake_csr_write(fake, CSR_sstatus, MSTATUS_SPIE));
    CHECK(!asks(fake));
    CHECK(trap_sret(&fake->hart)); /* to U-mode */
    CHECK(asks(fake));
    fake_hart_destroy(fake);
}

TEST(reset)
{
    struct fake_hart *fake = fake_hart_create("rv64");
    u64 seed = 1;

    for (u32 i = 0; i < 32; i++)
        fake->hart.x[i] = fake->hart.f[i] = i;
    for (u32 number = 0; number < 4096; number++) {
        if (!csr_poke(&fake->hart, number, test_random(&seed)))
            continue;
    }
    trap_set_mode(&fake->hart, PRIV_U);
    hart_reset(&fake->hart, 0x1000);
    CHECK_EQ(fake->hart.priv, PRIV_M);
    CHECK_EQ(fake->hart.pc, 0x1000);
    CHECK_EQ(fake->hart.x[31] | fake->hart.f[31], 0);
    CHECK_EQ(fake_csr(fake, CSR_mstatus), UINT64_C(0xa00000000));
    CHECK_EQ(fake_csr(fake, CSR_satp) | fake_csr(fake, CSR_mie) | fake_csr(fake, CSR_mcause), 0);
    CHECK_EQ(fake_csr(fake, CSR_pmpcfg0) | fake_csr(fake, CSR_pmpcfg2), 0);
    CHECK_EQ(fake_csr(fake, CSR_mip), 0);
    CHECK_EQ(fake_csr(fake, CSR_mcycle) | fake_csr(fake, CSR_minstret), 0);
    CHECK(fake->hart.data_tlb == &fake->hart.tlb.table[TLB_M]);
    CHECK_EQ(fake->stimecmp, UINT64_MAX);
    fake_hart_destroy(fake);
}

TEST(handover_to_supervisor)
{
    struct fake_hart *fake = fake_hart_create("rv64");
    struct mmu_page page;
    u64 v;

    fake->hart.id = 3;
    hart_enter_supervisor(&fake->hart, 0x80200000, 0x87000000);
    CHECK_EQ(fake->hart.priv, PRIV_S);
    CHECK_EQ(fake->hart.pc, 0x80200000);
    CHECK_EQ(fake->hart.x[10], 3);
    CHECK_EQ(fake->hart.x[11], 0x87000000);
    CHECK_EQ(fake_csr(fake, CSR_medeleg), 0xb1ff);
    CHECK_EQ(fake_csr(fake, CSR_mideleg), 0x2222);
    CHECK_EQ(fake_csr(fake, CSR_sie) | fake_csr(fake, CSR_satp), 0);
    CHECK_EQ(fake_csr(fake, CSR_menvcfg),
             ENVCFG_STCE | ENVCFG_PBMTE | ENVCFG_CBIE | ENVCFG_CBCFE | ENVCFG_CBZE);
    CHECK(mmu_translate(&fake->hart, 0x80200000, 8, ACCESS_EXEC, PRIV_S, &page) && page.whole);
    CHECK(mmu_translate(&fake->hart, GENMASK(55, 3), 8, ACCESS_WRITE, PRIV_U, &page));
    for (u32 i = 0; i < 32; i++)
        CHECK(fake_csr_read(fake, CSR_cycle + i, &v));
    CHECK(fake_csr_read(fake, CSR_fcsr, &v) && fake_csr_read(fake, CSR_stimecmp, &v));
    CHECK(fake_csr_read(fake, CSR_senvcfg, &v) && fake_csr_read(fake, CSR_sstateen3, &v));
    fake_hart_destroy(fake);
    fake = fake_hart_create("rv64,pmp=0,-f,-sstc,-smstateen,-zihpm");
    hart_enter_supervisor(&fake->hart, 0x80200000, 0);
    CHECK(mmu_translate(&fake->hart, 0x80200000, 8, ACCESS_EXEC, PRIV_S, &page));
    CHECK(!fake_csr_read(fake, CSR_fcsr, &v) && !fake_csr_read(fake, CSR_stimecmp, &v));
    fake_hart_destroy(fake);
}

TEST_MAIN()
