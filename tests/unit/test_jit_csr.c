/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * CSR instructions, CBO.ZERO, traps and returns from them, translated beside interpreted: short
 * random programs, each in a page of its own that all privilege modes run, from random states. And
 * what is done but wants attention is done once.
 */
#define FAKE_OWN_WAIT
#include "exec/jit.h"
#include "rv/code_cache.h"
#include "rv/code_map.h"
#include "rv/csr.h"
#include "rv/interp.h"
#include "rv/mmu.h"
#include "rv/run_insn.h"
#include "rv/trap.h"
#include "tests/fake.h"
#include "tests/test.h"

#define RAM_BASE  UINT64_C(0x80000000)
#define RAM_PAGES 128
#define TRAPS     0                   /* the handlers' page */
#define FIRST     1                   /* the first program's */
#define TABLES    (RAM_PAGES / 2 - 8) /* of the G-stage: 16 KiB of leaves; no program up to DATA */
/* The upper half is not for U and S. */
#define MACHINE_ONLY (RAM_BASE + RAM_PAGES / 2 * PAGE_SIZE)
#define INSNS        48
/* The last page of each half: what becomes zero. */
#define DATA     (RAM_BASE + (RAM_PAGES / 2 - 1) * PAGE_SIZE)
#define RUNS     8 /* of each program */
#define MACHINES 40

enum { X0, X5 = 5, X10 = 10 };

struct machine {
    struct hart hart; /* first: it is large and aligned */
    struct gmem gmem;
    struct code_map map;
    struct hart_env env;
    struct hart *harts[1];
    u8 *ram;
};

static u64 seed = 1;
static bool guests; /* with the H extension */

void port_wait(_Atomic u32 *word, u32 value)
{
    abort();
}

static u64 rnd(u64 below)
{
    return (test_random(&seed) >> 20) % below;
}

static u64 bits(void)
{
    return test_random(&seed);
}

static u64 no_time(void *ctx)
{
    return 1000;
}

static void set_stimecmp(void *ctx, struct hart *hart, u64 time)
{
    if (time <= 1000)
        atomic_fetch_or(&hart->irq_wires, BIT(IRQ_STI));
    else
        atomic_fetch_and(&hart->irq_wires, ~BIT(IRQ_STI));
}

static struct machine *create(const struct jit_config *config)
{
    struct machine *m = aligned_alloc(64, align_up(sizeof(*m), 64));
    struct hart *hart = &m->hart;
    struct err err;

    ASSERT(m);
    memset(m, 0, sizeof(*m));
    m->ram = aligned_alloc(PAGE_SIZE, RAM_PAGES * PAGE_SIZE);
    m->map = (struct code_map){.base = RAM_BASE, .pages = RAM_PAGES};
    m->map.state = calloc(RAM_PAGES, sizeof(*m->map.state));
    ASSERT(m->ram && m->map.state);
    memset(m->ram, 0, RAM_PAGES * PAGE_SIZE);
    m->gmem =
        (struct gmem){.region = {{RAM_BASE, RAM_PAGES * PAGE_SIZE, m->ram, false}}, .count = 1};
    m->harts[0] = hart;
    m->env = (struct hart_env){.gmem = &m->gmem,
                               .time = no_time,
                               .set_stimecmp = set_stimecmp,
                               .code_map = &m->map,
                               .harts = m->harts,
                               .hart_count = 1,
                               .limited = true};
    hart->env = &m->env;
    ASSERT(!isa_parse(&hart->isa, guests ? "rv64,h=true" : "rv64", &err));
    hart->code = code_cache_create(1);
    ASSERT(hart->code && (!config || jit_attach_alone(hart, config)));
    hart_reset(hart, RAM_BASE);
    for (u32 i = 0; i < 64; i++) /* vectors, too: wfi */
        le32_store(m->ram + TRAPS * PAGE_SIZE + 4 * i, 0x10500073);
    le64_store(m->ram + TABLES * PAGE_SIZE + 8 * (RAM_BASE >> 30), RAM_BASE >> 2 | 0xdf);
    ASSERT(csr_poke(hart, CSR_pmpaddr0, MACHINE_ONLY >> 2 | (RAM_PAGES / 2 * PAGE_SIZE / 8 - 1)) &&
           csr_poke(hart, CSR_pmpaddr1, UINT64_MAX >> 10) && csr_poke(hart, CSR_pmpcfg0, 0x1f18) &&
           csr_poke(hart, CSR_mtvec, RAM_BASE) && csr_poke(hart, CSR_stvec, RAM_BASE | 1) &&
           csr_poke(hart, CSR_menvcfg, ENVCFG_STCE) && csr_poke(hart, CSR_mcounteren, UINT64_MAX));
    return m;
}

static void destroy(struct machine *m)
{
    jit_detach(&m->hart);
    code_cache_destroy(m->hart.code);
    free(m->map.state);
    free(m->ram);
    free(m);
}

/* ---- what is done but wants attention ---- */

#define CSR_OP(f3, rd, csr, rs1) ((u32)(csr) << 20 | (rs1) << 15 | (f3) << 12 | (rd) << 7 | 0x73)
#define RW                       1u
#define RS                       2u

TEST(an_instruction_before_attention_tells_its_length)
{
    struct machine *m = create(NULL);
    struct hart *hart = &m->hart;

    hart->x[X5] = 7;
    hart_attention(hart, ATTN_ENGINE);
    CHECK_EQ(run_insn(hart, decode(&hart->isa, CSR_OP(RW, X10, CSR_mscratch, X5))), RUN_FAULT);
    CHECK_EQ(hart->trap.cause, CAUSE_ATTEND);
    CHECK_EQ(hart->trap.tval, 4);
    CHECK_EQ(hart->pc, RAM_BASE);
    CHECK_EQ(hart->csr.mscratch, 7);
    destroy(m);
}

/* A hart makes an interrupt pending for itself: it comes after that instruction, which is counted
 * and done once, though it was met for the first time. */
TEST(what_makes_an_interrupt_pending_is_done_once)
{
    static const struct jit_config configs[] = {
        {.patient = true, .limited = true, .code_size = 4 * MIB},
        {.limited = true, .code_size = 4 * MIB},
        {.regions = true, .at_once = true, .limited = true, .code_size = 4 * MIB},
    };
    const u64 program = RAM_BASE + FIRST * PAGE_SIZE;

    for (u32 i = 0; jit_is_supported() && i < ARRAY_SIZE(configs); i++) {
        struct machine *m = create(&configs[i]);
        struct hart *hart = &m->hart;

        le32_store(m->ram + FIRST * PAGE_SIZE, CSR_OP(RW, X5, CSR_mscratch, X5));
        le32_store(m->ram + FIRST * PAGE_SIZE + 4, CSR_OP(RS, X0, CSR_mip, X10));
        ASSERT(csr_poke(hart, CSR_mie, BIT(IRQ_SSI)) && csr_poke(hart, CSR_mstatus, MSTATUS_MIE));
        hart->pc = program;
        hart->x[X5] = 5;
        hart->x[X10] = BIT(IRQ_SSI);
        CHECK_EQ(jit_run(hart, false), HART_EXIT_WFI);
        CHECK_EQ(hart->csr.mcause, BIT(63) | IRQ_SSI);
        CHECK_EQ(hart->csr.mepc, program + 8);
        CHECK_EQ(hart->csr.mscratch, 5);
        CHECK_EQ(hart->insns, 3);
        destroy(m);
    }
}

/* ---- random programs ---- */

static u32 random_csr(void)
{
    static const u16 number[] = {
        CSR_sstatus, CSR_sstatus, CSR_sstatus, CSR_sstatus,  CSR_sscratch, CSR_sscratch, CSR_sepc,
        CSR_scause,  CSR_stval,   CSR_sie,     CSR_sip,      CSR_stimecmp, CSR_mstatus,  CSR_mie,
        CSR_mip,     CSR_mepc,    CSR_mcause,  CSR_mscratch, CSR_mtval,    CSR_frm,      CSR_fcsr,
        CSR_fflags,  CSR_instret, CSR_time,    CSR_satp,     CSR_senvcfg};
    static const u8 f3[] = {1, 2, 3, 5, 6, 7};
    u32 source = rnd(2) ? (u32)rnd(32) : rnd(2) ? 2 : (u32)rnd(4);

    return CSR_OP(f3[rnd(6)], rnd(2) ? 0u : (u32)rnd(8), (u32)number[rnd(ARRAY_SIZE(number))],
                  source);
}

/* Of the H extension and what a guest has instead of it. */
static u32 random_guest_csr(void)
{
    static const u16 number[] = {
        CSR_hstatus, CSR_hstatus,    CSR_hedeleg,   CSR_hideleg,    CSR_hie,   CSR_hip,
        CSR_hvip,    CSR_htval,      CSR_htinst,    CSR_henvcfg,    CSR_hgatp, CSR_mtval2,
        CSR_mtinst,  CSR_hcounteren, CSR_vsstatus,  CSR_vsie,       CSR_vsip,  CSR_vsepc,
        CSR_vstval,  CSR_vscause,    CSR_vsscratch, CSR_htimedelta, CSR_vsatp, CSR_hgeie,
        CSR_hgeip,   CSR_time,       CSR_mideleg,   CSR_vstvec};
    static const u8 f3[] = {1, 2, 3, 5, 6, 7};

    return CSR_OP(f3[rnd(6)], (u32)rnd(8), (u32)number[rnd(ARRAY_SIZE(number))], (u32)rnd(32));
}

/* HLV, HLVX of any address; HSV to the data; fences. */
static u32 random_guest_insn(void)
{
    static const u32 load[] = {0x60004073, 0x60104073, 0x64004073, 0x64104073, 0x64304073,
                               0x68004073, 0x68104073, 0x68304073, 0x6c004073},
                     store[] = {0x62004073, 0x66004073, 0x6a004073, 0x6e004073},
                     fence[] = {0x22000073, 0x62000073, 0x26000073, 0x66000073};

    switch (rnd(5)) {
    case 0:
        return load[rnd(ARRAY_SIZE(load))] | (u32)rnd(32) << 15 | (u32)rnd(8) << 7;
    case 1:
        return store[rnd(ARRAY_SIZE(store))] | (u32)(8 + rnd(2)) << 15 | (u32)rnd(32) << 20;
    case 2:
        return fence[rnd(ARRAY_SIZE(fence))];
    default:
        return random_guest_csr();
    }
}

/* One instruction. The first registers hold addresses and masks mostly. */
static u32 random_insn(u32 left)
{
    static const u32 changes[] = {0x10200073 /* sret */, 0x30200073 /* mret */,
                                  0x00000073 /* ecall */, 0x12000073 /* sfence.vma */,
                                  0x00100073 /* ebreak */};
    static const u32 mask[] = {6, 2, 4, 0x40, 0xc0, 0x46}; /* FS, some of it, SUM, MXR, both */
    u32 rd = (u32)rnd(8);

    if (guests && !rnd(3))
        return random_guest_insn();
    switch (rnd(11)) {
    case 0:
        return mask[rnd(ARRAY_SIZE(mask))] << 12 | rd << 7 | 0x37; /* lui */
    case 1:
        return (u32)rnd(32) << 20 | rd << 7 | 0x13; /* addi rd, x0 */
    case 2:
        return rnd(2) ? 0x02107053 | rd << 7 /* fadd.d f, f0, f1 */ : 0xe2000053 | rd << 7;
    case 3:
        return changes[rnd(ARRAY_SIZE(changes))];
    case 4: /* bne x0, x1 forward, over a few */
        return left > 6 ? 0x00101063 | (u32)(2 + rnd(4)) << 9 : 0x13;
    case 5:
        return 0x0040200f | (u32)(8 + rnd(2)) << 15; /* cbo.zero */
    default:
        return random_csr();
    }
}

/* Where a return may lead: into the program, mostly. */
static u64 random_pc(u64 program)
{
    return rnd(16) ? program + 4 * rnd(INSNS) : bits() & 0xfff;
}

/* Delegation, permissions and what a return from a guest's trap finds. Nested: by a G-stage that
 * maps RAM alone. */
static void randomize_guest(struct hart *hart, u64 program)
{
    const u64 nested = UINT64_C(8) << 60 | (RAM_BASE + TABLES * PAGE_SIZE) >> PAGE_SHIFT;

    ASSERT(csr_poke(hart, CSR_hstatus, bits() & (rnd(2) ? UINT64_MAX : 0x380)) &&
           csr_poke(hart, CSR_hedeleg, rnd(2) ? UINT64_MAX : bits()) &&
           csr_poke(hart, CSR_hideleg, rnd(2) ? UINT64_MAX : bits()) &&
           csr_poke(hart, CSR_hvip, rnd(2) ? bits() : 0) &&
           csr_poke(hart, CSR_hcounteren, rnd(2) ? UINT64_MAX : bits()) &&
           csr_poke(hart, CSR_henvcfg, rnd(2) ? UINT64_MAX : bits()) &&
           csr_poke(hart, CSR_vsstatus, bits()) && csr_poke(hart, CSR_vsepc, random_pc(program)) &&
           csr_poke(hart, CSR_vstvec, RAM_BASE | 1) && csr_poke(hart, CSR_vsatp, 0) &&
           csr_poke(hart, CSR_hgatp, rnd(2) ? nested : 0));
}

static void randomize(struct hart *hart, u64 program)
{
    static const enum priv priv[] = {PRIV_U, PRIV_S, PRIV_S, PRIV_M, PRIV_VS, PRIV_VS, PRIV_VU};
    u64 status = bits() & (rnd(4) ? ~(MSTATUS_TVM | MSTATUS_TW | MSTATUS_TSR) : UINT64_MAX);

    if (guests) {
        trap_set_mode(hart, PRIV_M);
        randomize_guest(hart, program);
    }
    trap_set_mode(hart, priv[rnd(guests ? ARRAY_SIZE(priv) : 4)]);
    for (u32 i = 1; i < 32; i++)
        hart->x[i] = rnd(3) ? random_pc(program) : bits() & (rnd(2) ? UINT64_MAX : 0x66222);
    hart->x[8] = DATA + rnd(PAGE_SIZE);
    hart->x[9] = DATA + PAGE_SIZE * (RAM_PAGES / 2) + rnd(PAGE_SIZE);
    for (u32 i = 0; i < 32; i++)
        hart->f[i] = bits();
    atomic_store(&hart->irq_soft, rnd(2) ? bits() & (BIT(IRQ_SSI) | BIT(IRQ_SEI)) : 0);
    ASSERT(csr_poke(hart, CSR_mie, rnd(2) ? bits() : 0) &&
           csr_poke(hart, CSR_mideleg, rnd(3) ? UINT64_MAX : bits()) &&
           csr_poke(hart, CSR_medeleg, rnd(3) ? UINT64_MAX : bits()) &&
           csr_poke(hart, CSR_mstatus, status & ~(rnd(4) ? MSTATUS_MPRV : 0)) &&
           csr_poke(hart, CSR_sepc, random_pc(program)) &&
           csr_poke(hart, CSR_mepc, random_pc(program)) && csr_poke(hart, CSR_frm, rnd(6)) &&
           csr_poke(hart, CSR_menvcfg, ENVCFG_STCE | (rnd(4) ? ENVCFG_CBZE : 0)) &&
           csr_poke(hart, CSR_senvcfg, rnd(4) ? ENVCFG_CBZE : 0) && csr_poke(hart, CSR_satp, 0) &&
           csr_poke(hart, CSR_stimecmp, rnd(4) ? UINT64_MAX : 0));
    mmu_update_mode(hart);
    hart->pc = program;
    atomic_store(&hart->attn, 0);
    csr_poll_irq(hart);
    hart->limit = hart->insns + 2000 + rnd(2000); /* translated code does not run up to it */
}

/* Structures with gaps, too: all of them were zero. */
static bool same_bytes(const void *a, const void *b, size_t size)
{
    return !memcmp(a, b, size);
}

static bool agree(const struct hart *a, const struct hart *b)
{
    return !memcmp(a->x, b->x, 32 * 8) && !memcmp(a->f, b->f, sizeof(a->f)) && a->pc == b->pc &&
           a->insns == b->insns && a->limit == b->limit && a->mode == b->mode &&
           a->data_mode == b->data_mode && same_bytes(&a->csr, &b->csr, sizeof(a->csr)) &&
           a->irq_soft == b->irq_soft && a->irq_wires == b->irq_wires;
}

static void show(const struct hart *a, const struct hart *b)
{
    printf("# pc %lx %lx insns %lu %lu priv %d %d mstatus %lx %lx sepc %lx %lx scause %lx %lx\n",
           a->pc, b->pc, a->insns, b->insns, a->priv, b->priv, a->csr.mstatus, b->csr.mstatus,
           a->csr.sepc, b->csr.sepc, a->csr.scause, b->csr.scause);
    for (u32 i = 0; i < sizeof(a->csr) / 8; i++) {
        u64 va, vb;
        memcpy(&va, (const u8 *)&a->csr + 8 * i, 8);
        memcpy(&vb, (const u8 *)&b->csr + 8 * i, 8);
        if (va != vb)
            printf("# word %u of the CSRs: %lx %lx\n", i, va, vb);
    }
    for (u32 i = 0; i < 32; i++) {
        if (a->f[i] != b->f[i])
            printf("# f%u %lx %lx\n", i, a->f[i], b->f[i]);
    }
    for (u32 i = 1; i < 32; i++) {
        if (a->x[i] != b->x[i])
            printf("# x%u %lx %lx\n", i, a->x[i], b->x[i]);
    }
}

/* Both from the same state, the interpreter first. */
static bool run_both(struct machine *const m[2], u64 program)
{
    const u64 state = seed;
    enum hart_exit why[2];

    for (u32 i = 0; i < 2; i++) {
        seed = state;
        randomize(&m[i]->hart, program);
        memset(m[i]->ram + (DATA - RAM_BASE), 0x55, PAGE_SIZE);
        memset(m[i]->ram + (RAM_PAGES - 1) * PAGE_SIZE, 0x55, PAGE_SIZE);
        why[i] = i ? jit_run(&m[i]->hart, false) : interp_run(&m[i]->hart, false);
    }
    if (why[0] == why[1] && agree(&m[0]->hart, &m[1]->hart) &&
        !memcmp(m[0]->ram, m[1]->ram, RAM_PAGES * PAGE_SIZE))
        return true;
    printf("# exits %d %d\n", why[0], why[1]);
    show(&m[0]->hart, &m[1]->hart);
    for (u32 i = 0; i < RAM_PAGES * PAGE_SIZE; i++) {
        if (m[0]->ram[i] != m[1]->ram[i]) {
            printf("# memory from %x on\n", i);
            break;
        }
    }
    return false;
}

static bool holds_program(u32 page)
{
    return page >= FIRST && page < RAM_PAGES - 1 && (page < TABLES || page >= RAM_PAGES / 2);
}

/* The same in both: all before any runs, as returns may lead anywhere. */
static void write_programs(struct machine *const m[2])
{
    for (u32 i = 0; i < RAM_PAGES * INSNS; i++) {
        u32 at = i % INSNS, insn = at + 1 < INSNS ? random_insn(INSNS - at) : 0x10500073;
        for (u32 k = 0; k < 2 && holds_program(i / INSNS); k++)
            le32_store(m[k]->ram + i / INSNS * PAGE_SIZE + 4 * at, insn);
    }
}

static bool run_programs(const struct jit_config *config)
{
    struct machine *const m[2] = {create(NULL), create(config)};
    bool same = true;

    write_programs(m);
    for (u32 i = 0; same && i < RAM_PAGES * RUNS; i++) {
        if (holds_program(i / RUNS))
            same = run_both(m, RAM_BASE + i / RUNS * PAGE_SIZE);
        if (!same)
            printf("# program in page %u\n", i / RUNS);
    }
    destroy(m[0]);
    destroy(m[1]);
    return same;
}

static void check_programs(void)
{
    const struct jit_config config[] = {
        {.regions = true, .at_once = true, .limited = true, .code_size = 4 * MIB},
        {.limited = true, .code_size = 4 * MIB},
        {.patient = true, .limited = true, .code_size = 4 * MIB},
    };

    for (u32 i = 0; jit_is_supported() && i < MACHINES; i++) {
        if (run_programs(&config[i % ARRAY_SIZE(config)]))
            continue;
        printf("# machine %u\n", i);
        CHECK(false);
        break;
    }
}

TEST(programs_of_csr_instructions_agree)
{
    check_programs();
}

TEST(programs_that_enter_guests_agree)
{
    guests = true;
    check_programs();
    guests = false;
}

TEST_MAIN()
