/* SPDX-License-Identifier: BSD-2-Clause */
/* The H extension: banks of registers, who may access what, traps, interrupts, two stages. */
#include "rv/csr_hyper.h"

#include "tests/unit/fake_hart.h"

#include "tests/test.h"

#define VSTVEC UINT64_C(0x4000)
#define STVEC  UINT64_C(0x80004000)
#define ROOT   UINT64_C(0x80008000) /* of the G-stage: 16 KiB */
#define LEAF   UINT64_C(0xdf)       /* D A U X W R V */
#define GIB_1  UINT64_C(0x40000000)

/* With all that M-mode can delegate delegated. */
static struct fake_hart *make(enum priv mode)
{
    struct fake_hart *fake = fake_hart_create("rv64,h=true");

    fake_csr_set(fake, CSR_medeleg, ~BIT(CAUSE_ECALL_S));
    fake_csr_set(fake, CSR_mideleg, UINT64_MAX);
    fake_csr_set(fake, CSR_mcounteren, 7);
    fake_csr_set(fake, CSR_stvec, STVEC);
    fake_csr_set(fake, CSR_vstvec, VSTVEC);
    fake_csr_set(fake, CSR_sscratch, 1);
    fake_csr_set(fake, CSR_vsscratch, 2);
    trap_set_mode(&fake->hart, mode);
    fake->hart.pc = 0x1234;
    return fake;
}

static void raise(struct fake_hart *fake, enum cause cause)
{
    CHECK(!hart_raise(&fake->hart, cause, 0));
    trap_exception(&fake->hart);
}

static u64 refusal(struct fake_hart *fake, enum priv mode, u32 csr)
{
    u64 v;

    trap_set_mode(&fake->hart, mode);
    return fake_csr_read(fake, csr, &v) ? 0 : fake->hart.trap.cause;
}

TEST(registers_change_places_with_v)
{
    struct fake_hart *fake = make(PRIV_VS);

    CHECK_EQ(fake_csr(fake, CSR_sscratch), 2);
    raise(fake, CAUSE_ECALL_VS);
    CHECK_EQ(fake->hart.mode, PRIV_S);
    CHECK_EQ(fake->hart.pc, STVEC);
    CHECK_EQ(fake_csr(fake, CSR_sscratch), 1);
    CHECK_EQ(fake_csr(fake, CSR_vsscratch), 2);
    CHECK_EQ(fake_csr(fake, CSR_scause), CAUSE_ECALL_VS);
    CHECK_EQ(fake_csr(fake, CSR_sepc), 0x1234);
    CHECK(fake_csr(fake, CSR_hstatus) & HSTATUS_SPV);
    CHECK(fake_csr(fake, CSR_hstatus) & HSTATUS_SPVP);
    CHECK(trap_sret(&fake->hart));
    CHECK_EQ(fake->hart.mode, PRIV_VS);
    CHECK_EQ(fake->hart.pc, 0x1234);
    CHECK_EQ(fake_csr(fake, CSR_sscratch), 2);
    fake_hart_destroy(fake);
}

TEST(guests_are_refused_by_two_exceptions)
{
    struct fake_hart *fake = make(PRIV_VS);

    CHECK_EQ(refusal(fake, PRIV_VS, CSR_hstatus), CAUSE_VIRTUAL);
    CHECK_EQ(refusal(fake, PRIV_VS, CSR_vsstatus), CAUSE_VIRTUAL);
    CHECK_EQ(refusal(fake, PRIV_VU, CSR_sscratch), CAUSE_VIRTUAL);
    CHECK_EQ(refusal(fake, PRIV_VS, CSR_mscratch), CAUSE_ILLEGAL);
    CHECK_EQ(refusal(fake, PRIV_U, CSR_hstatus), CAUSE_ILLEGAL);
    CHECK_EQ(refusal(fake, PRIV_VS, CSR_cycle), CAUSE_VIRTUAL);
    CHECK_EQ(refusal(fake, PRIV_VS, CSR_satp), 0);
    trap_set_mode(&fake->hart, PRIV_M);
    fake_csr_set(fake, CSR_mcounteren, 0);
    fake_csr_set(fake, CSR_hstatus, HSTATUS_VTVM | HSTATUS_VTSR);
    CHECK_EQ(refusal(fake, PRIV_VS, CSR_cycle), CAUSE_ILLEGAL);
    CHECK_EQ(refusal(fake, PRIV_VS, CSR_satp), CAUSE_VIRTUAL);
    CHECK(!trap_sret(&fake->hart));
    CHECK_EQ(fake->hart.trap.cause, CAUSE_VIRTUAL);
    fake_hart_destroy(fake);
}

TEST(hedeleg_and_hideleg_leave_traps_to_the_guest)
{
    struct fake_hart *fake = make(PRIV_M);

    fake_csr_set(fake, CSR_hedeleg, UINT64_MAX);
    CHECK_EQ(fake_csr(fake, CSR_hedeleg), 0xb1ff);
    fake_csr_set(fake, CSR_hideleg, UINT64_MAX);
    fake_csr_set(fake, CSR_hie, UINT64_MAX);
    trap_set_mode(&fake->hart, PRIV_VU);
    raise(fake, CAUSE_ECALL_U);
    CHECK_EQ(fake->hart.mode, PRIV_VS);
    CHECK_EQ(fake->hart.pc, VSTVEC);
    trap_set_mode(&fake->hart, PRIV_S);
    fake_csr_set(fake, CSR_hvip, BIT(IRQ_VSSI));
    CHECK_EQ(trap_pending(&fake->hart), -1);
    trap_set_mode(&fake->hart, PRIV_VU);
    CHECK_EQ(trap_pending(&fake->hart), IRQ_VSSI);
    trap_interrupt(&fake->hart, IRQ_VSSI);
    CHECK_EQ(fake->hart.mode, PRIV_VS);
    CHECK_EQ(fake_csr(fake, CSR_scause), BIT(63) | IRQ_SSI);
    fake_hart_destroy(fake);
}

TEST(the_second_stage_faults_with_the_guests_address)
{
    struct fake_hart *fake = make(PRIV_M);
    struct hart *hart = &fake->hart;
    struct mmu_page to;

    fake_csr_set(fake, CSR_pmpaddr0, UINT64_MAX);
    fake_csr_set(fake, CSR_pmpcfg0, 0x1f); /* all, for all */
    fake_hart_store(fake, ROOT, FAKE_RAM_BASE >> 2 | LEAF);
    fake_csr_set(fake, CSR_hgatp, UINT64_C(8) << 60 | ROOT >> 12);
    CHECK(mmu_translate(hart, 0x5678, 4, ACCESS_READ, PRIV_VS, &to));
    CHECK_EQ(to.gpa, FAKE_RAM_BASE + 0x5678);
    CHECK(!mmu_translate(hart, GIB_1 + 0x10, 4, ACCESS_WRITE, PRIV_VS, &to));
    CHECK_EQ(hart->trap.cause, CAUSE_STORE_GUEST_PAGE);
    CHECK_EQ(hart->trap.tval, GIB_1 + 0x10);
    CHECK_EQ(hart->trap.tval2, (GIB_1 + 0x10) >> 2);
    /* A table of the VS-stage out of reach: the fault tells of it, not of what was accessed. */
    fake_csr_set(fake, CSR_vsatp, UINT64_C(8) << 60 | GIB_1 >> 12);
    CHECK(!mmu_translate(hart, 0x5678, 4, ACCESS_READ, PRIV_VS, &to));
    CHECK_EQ(hart->trap.cause, CAUSE_LOAD_GUEST_PAGE);
    CHECK_EQ(hart->trap.tval2, GIB_1 >> 2);
    CHECK_EQ(hart->trap.tinst, TINST_PTE_READ);
    fake_hart_destroy(fake);
}

TEST_MAIN()
