/* SPDX-License-Identifier: BSD-2-Clause */
/* Exceptions from every mode, their tval and epc; vectors, delegation, xRET, nesting. */
#include "priv.h"

static struct ctx c;
static u8 scratch[2 * 4096] PAGE_ALIGNED;

static const u64 modes[] = {PRIV_U, PRIV_S, PRIV_M};

static u64 ecall_cause(u64 priv)
{
    return 8 + priv;
}

/* How each exception is provoked, with no paging. x10 is an operand. */
static const struct {
    const char *name;
    u32 insn;
    u64 x10, cause, tval;
    bool tval_is_epc, epc_is_x10;
} causes[] = {
    {"breakpoint", INSN_EBREAK, 0, 3, 0, true, false},
    {"load access", 0x00053583, HOLE, 5, HOLE, false, false},
    {"store access", 0x00b53023, HOLE + 8, 7, HOLE + 8, false, false},
    {"jump into nothing", 0x00050067, HOLE + 16, 1, HOLE + 16, false, true},
    {"all ones", 0xffffffff, 0, 2, 0xffffffff, false, false},
    {"all zeroes", 0x00000000, 0, 2, 0, false, false},
    {"reserved compressed", 0x00018002, 0, 2, 0x8002, false, false},
    {"csr that is not there", 0x8c001573, 0, 2, 0x8c001573, false, false},
    {"write of a read-only csr", 0xc0051073, 0, 2, 0xc0051073, false, false},
    {"lr misaligned", 0x1005b5af, 0, 4, 0, false, false},
    {"amo misaligned", 0x00a5b52f, 0, 6, 0, false, false},
};

#define AMO_MISALIGNED (COUNT(causes) - 1)

static void prepare(u32 i)
{
    memset(&c, 0, sizeof(c));
    c.x[10] = causes[i].x10;
    c.x[11] = (u64)scratch + 1; /* of the misaligned ones */
}

static void check_cause(u32 i, u64 cause, u64 epc, u64 tval)
{
    u64 want = causes[i].tval;

    if (causes[i].cause == 4 || causes[i].cause == 6)
        want = (u64)scratch + 1;
    if (i == AMO_MISALIGNED && on_qemu())
        cause = 6; /* QEMU 7.2 takes the load part's cause */
    CHECK_EQ(cause, causes[i].cause);
    CHECK_EQ(epc, causes[i].epc_is_x10 ? causes[i].x10 : (u64)insn_page);
    CHECK_EQ(tval, causes[i].tval_is_epc ? epc : want);
}

static void test_machine(void)
{
    for (u32 m = 0; m < COUNT(modes); m++) {
        for (u32 i = 0; i < COUNT(causes); i++) {
            check_note = m << 8 | i;
            status_reset();
            prepare(i);
            run_insn(&c, modes[m], causes[i].insn);
            if (causes[i].cause == 3 && on_qemu())
                c.tval = c.epc; /* QEMU 7.2 writes 0, as the specification permits */
            check_cause(i, c.cause, c.epc, c.tval);
            CHECK_EQ(c.status & MSTATUS_MPP, modes[m] << 11);
        }
        prepare(0);
        run_insn(&c, modes[m], INSN_NOP);
        CHECK_TRAP(&c, ecall_cause(modes[m]), (u64)insn_page + 4, 0);
    }
}

static void test_delegated(void)
{
    csr_write(stvec, s_vectors);
    csr_write(medeleg, 0xb1ff); /* all but ECALL from S, which ends the run */
    CHECK_EQ(csr_read(medeleg), 0xb1ff);
    for (u64 priv = PRIV_U; priv <= PRIV_S; priv++) {
        for (u32 i = 0; i < COUNT(causes); i++) {
            check_note = priv << 8 | i;
            status_reset();
            csr_set(mstatus, MSTATUS_SIE);
            csr_write(sepc, 0);
            csr_write(scause, 0);
            csr_write(stval, 0);
            prepare(i);
            run_insn(&c, priv, causes[i].insn);
            CHECK_TRAP(&c, 9, (u64)s_vectors, 0);
            if (causes[i].cause == 3 && on_qemu())
                csr_write(stval, csr_read(sepc));
            check_cause(i, csr_read(scause), csr_read(sepc), csr_read(stval));
            CHECK_EQ(c.status & MSTATUS_SPP, priv << 8);
            CHECK_EQ(c.status & MSTATUS_SPIE, MSTATUS_SPIE);
            CHECK_EQ(c.status & MSTATUS_SIE, 0);
            CHECK_EQ(c.status & MSTATUS_MPP, 1ul << 11);
        }
    }
    /* What is delegated still goes to M-mode from M-mode. */
    for (u32 i = 0; i < COUNT(causes); i++) {
        status_reset();
        prepare(i);
        run_insn(&c, PRIV_M, causes[i].insn);
        check_cause(i, i == AMO_MISALIGNED && on_qemu() ? 6 : c.cause, c.epc,
                    causes[i].cause == 3 && on_qemu() ? c.epc : c.tval);
        CHECK_EQ(c.status & MSTATUS_MPP, 3ul << 11);
    }
    csr_write(medeleg, 0);
}

/* One bit of medeleg moves one cause. */
static void test_matrix(void)
{
    csr_write(stvec, s_vectors);
    for (u32 bit = 0; bit < 16; bit++) {
        csr_write(medeleg, 1ul << bit);
        if (csr_read(medeleg) != 1ul << bit)
            continue; /* WARL: not delegable */
        for (u32 i = 0; i < COUNT(causes); i++) {
            bool moved = causes[i].cause == bit;

            if (i == AMO_MISALIGNED && on_qemu())
                continue;
            check_note = bit << 8 | i;
            status_reset();
            prepare(i);
            csr_write(scause, 31);
            run_insn(&c, PRIV_U, causes[i].insn);
            CHECK_EQ(c.cause, moved ? bit == 9 ? 8 : 9 : causes[i].cause);
            CHECK_EQ(csr_read(scause), moved ? causes[i].cause : 31);
        }
    }
    csr_write(medeleg, BIT(11) | BIT(10) | BIT(14));
    if (!on_qemu()) /* 7.2 lets ECALL from M-mode be delegated, in vain */
        CHECK_EQ(csr_read(medeleg) & (BIT(11) | BIT(10) | BIT(14)), has_guests() ? BIT(10) : 0);
    csr_write(medeleg, 0);
}

/* Exceptions use the base address in vectored mode, too. */
static void test_vectored_exceptions(void)
{
    csr_write(mtvec, (u64)m_vectors | 1);
    CHECK_EQ(csr_read(mtvec), (u64)m_vectors | 1);
    prepare(0);
    run_insn(&c, PRIV_U, INSN_EBREAK);
    CHECK_EQ(c.vector, 0);
    csr_write(mtvec, (u64)m_vectors);
    csr_write(stvec, (u64)s_vectors | 1);
    csr_write(medeleg, BIT(3));
    run_insn(&c, PRIV_U, INSN_EBREAK);
    CHECK_TRAP(&c, 9, (u64)s_vectors, 0);
    csr_write(medeleg, 0);
}

/* A trap in the handler of S-mode: goes to S-mode again, SPP says from where. */
static void test_nested(void)
{
    static u32 handler[4] __attribute__((aligned(64)));

    handler[0] = INSN_EBREAK;
    csr_write(stvec, handler);
    csr_write(medeleg, BIT(2)); /* EBREAK comes to M-mode */
    status_reset();
    csr_set(mstatus, MSTATUS_SIE);
    prepare(4);
    run_insn(&c, PRIV_U, causes[4].insn);
    CHECK_EQ(c.cause, 3);
    CHECK_EQ(c.epc, (u64)handler);
    CHECK_EQ(c.status & (MSTATUS_SPP | MSTATUS_SPIE | MSTATUS_SIE), MSTATUS_SPIE);
    handler[0] = 0;      /* illegal as well: again and again; the second time from S-mode */
    handler[0] = 0x9002; /* c.ebreak */
    run_insn(&c, PRIV_S, causes[4].insn);
    CHECK_EQ(c.cause, 3);
    CHECK_EQ(c.epc, (u64)handler);
    CHECK_EQ(c.status & MSTATUS_SPP, MSTATUS_SPP);
    csr_write(medeleg, 0);
}

static void test_mret(void)
{
    static u32 target[2];

    target[0] = INSN_ECALL;
    for (u32 m = 0; m < COUNT(modes); m++) {
        /* mstatus as x10 sets it: MPP = mode, MPIE both ways, MPRV on */
        for (u32 pie = 0; pie < 2; pie++) {
            const u32 insns[] = {
                0x34159073, /* csrw mepc, x11 */
                0x30063073, /* csrc mstatus, x12 */
                0x30052073, /* csrs mstatus, x10 */
                INSN_MRET,
            };
            memset(&c, 0, sizeof(c));
            status_reset();
            c.x[10] = modes[m] << 11 | (pie ? MSTATUS_MPIE : 0) | MSTATUS_MPRV;
            c.x[11] = (u64)target;
            c.x[12] = MSTATUS_MPP | MSTATUS_MPIE;
            check_note = m << 8 | pie;
            run_insns(&c, PRIV_M, insns, COUNT(insns));
            CHECK_TRAP(&c, ecall_cause(modes[m]), (u64)target, 0);
            CHECK_EQ(c.status & MSTATUS_MPIE, pie ? MSTATUS_MPIE : 0);
            if (!on_qemu()) /* 7.2 leaves MPRV set */
                CHECK_EQ(c.status & MSTATUS_MPRV, modes[m] == PRIV_M ? MSTATUS_MPRV : 0);
        }
    }
    run_insn(&c, PRIV_S, INSN_MRET);
    CHECK_TRAP(&c, 2, (u64)insn_page, INSN_MRET);
    run_insn(&c, PRIV_U, INSN_MRET);
    CHECK_TRAP(&c, 2, (u64)insn_page, INSN_MRET);
}

static void test_sret(void)
{
    static u32 target[2];

    target[0] = INSN_ECALL;
    for (u64 priv = PRIV_S; priv <= PRIV_M; priv += 2) {
        for (u32 spp = 0; spp < 2; spp++) {
            status_reset();
            csr_set(mstatus, (spp ? MSTATUS_SPP : 0) | MSTATUS_SPIE);
            csr_write(sepc, target);
            check_note = priv << 8 | spp;
            run_insn(&c, priv, INSN_SRET);
            CHECK_TRAP(&c, ecall_cause(spp), (u64)target, 0);
            CHECK_EQ(c.status & (MSTATUS_SPP | MSTATUS_SPIE | MSTATUS_SIE),
                     MSTATUS_SPIE | MSTATUS_SIE);
        }
    }
    status_reset();
    run_insn(&c, PRIV_U, INSN_SRET);
    CHECK_TRAP(&c, 2, (u64)insn_page, INSN_SRET);
    csr_set(mstatus, MSTATUS_TSR);
    run_insn(&c, PRIV_S, INSN_SRET);
    CHECK_TRAP(&c, 2, (u64)insn_page, INSN_SRET);
    status_reset();
}

/* Instructions at halfword addresses; epc's low bit reads 0. */
static void test_alignment(void)
{
    csr_write(mepc, 0xffff);
    csr_write(sepc, 0x1235);
    if (!on_qemu()) { /* 7.2 keeps the low bit */
        CHECK_EQ(csr_read(mepc), 0xfffe);
        CHECK_EQ(csr_read(sepc), 0x1234);
    }
    memset(&c, 0, sizeof(c));
    insn_page[0] = 0x0001 | 0x0073u << 16; /* c.nop; ecall at +2 */
    insn_page[1] = 0x0000;
    fence_i();
    c.pc = (u64)insn_page;
    run(&c, PRIV_U, 0);
    CHECK_TRAP(&c, 8, (u64)insn_page + 2, 0);
    /* jalr clears bit 0 */
    c.x[10] = (u64)insn_page + 0x81;
    insn_page[0x20] = INSN_EBREAK;
    run_insn(&c, PRIV_U, 0x000500e7);
    CHECK_EQ(c.cause, 3);
    CHECK_EQ(c.epc, (u64)insn_page + 0x80);
    CHECK_EQ(c.x[1], (u64)insn_page + 4);
}

/* A trapping instruction changes no register but those of the trap. */
static void test_no_side_effects(void)
{
    static const u32 insns[] = {
        0x00053503, /* ld a0, 0(a0) */
        0x00b5352f, /* amoadd.d a0, a1, (a0) */
        0x1005352f, /* lr.d a0, (a0) */
        0x000500e7, /* jalr ra, a0: the jump completes, the fetch faults */
        0x8c051573, /* csrrw a0, 0x8c0, a0 */
    };

    for (u32 i = 0; i < COUNT(insns); i++) {
        for (u32 r = 0; r < 32; r++)
            c.x[r] = 0x1111111111111111 * (r & 15) + r;
        c.x[10] = HOLE;
        check_note = i;
        run_insn(&c, PRIV_S, insns[i]);
        for (u32 r = 1; r < 32; r++) {
            u64 want = 0x1111111111111111 * (r & 15) + r;
            if (r == 10)
                want = HOLE;
            if (r == 1 && i == 3)
                want = (u64)insn_page + 4;
            CHECK_EQ(c.x[r], want);
        }
    }
}

void tests(void)
{
    test("every cause from every mode to M-mode", test_machine);
    test("every cause, delegated to S-mode", test_delegated);
    test("medeleg, bit by bit", test_matrix);
    test("exceptions in vectored mode", test_vectored_exceptions);
    test("a trap within S-mode's handler", test_nested);
    test("mret", test_mret);
    test("sret", test_sret);
    test("alignment of code", test_alignment);
    test("no side effects of what traps", test_no_side_effects);
}
