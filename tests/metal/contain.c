/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A guest that tries to get out of its partition, or to take others with it: random calls, faults,
 * instructions, accesses and storms, from all harts that it has. A life ends after CONTAIN_ACTIONS
 * by an application error, or before by what it did itself; health policy starts the next one.
 *
 * All is drawn from a seed: CONTAIN_SEED and the number of the life (the partition's restarts).
 * CONTAIN_TAME leaves out what would end the program or the firmware, for a run without hypervisor.
 */
#include "guest.h"

#ifndef CONTAIN_SEED
#define CONTAIN_SEED 1
#endif
#ifndef CONTAIN_ACTIONS
#define CONTAIN_ACTIONS 64
#endif
#ifndef CONTAIN_SELF
#define CONTAIN_SELF 0 /* its index among the partitions */
#endif
#ifdef CONTAIN_TAME
static const bool is_tame = true;
#else
static const bool is_tame = false;
#endif

#define MEMORY UINT64_C(0x80000000)

#define SBI_SUSP 0x53555350
#define SBI_STA  0x535441
#define SBI_FWFT 0x46574654

/* A hart's own; two of them may be at work. */
struct source {
    u64 state;
    u32 code[16] __attribute__((aligned(64)));
};
static struct source sources[GUEST_HARTS];
static u32 actions[GUEST_HARTS];
static u64 tables[GUEST_HARTS][512] __attribute__((aligned(4096)));
static u64 user_stack[GUEST_HARTS][64];

/* splitmix64 */
static u64 draw(struct source *s)
{
    u64 z = s->state += UINT64_C(0x9e3779b97f4a7c15);

    z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
    return z ^ z >> 31;
}

static u64 below(struct source *s, u64 n)
{
    return draw(s) % n;
}

/* An address of any class: own, devices, near edges, wild. */
static u64 draw_address(struct source *s)
{
    static const u64 base[] = {
        0,          0x1000,      0x100000,          0x2000000,         0x3000000,
        0xc000000,  0xc200000,   0xd000000,         0x10000000,        0x10001000,
        0x20000000, 0x24000000,  0x28000000,        0x28001000,        0x30000000,
        0x40000000, MEMORY,      MEMORY + 0x100000, 0x80200000,        0x88000000,
        0xc0000000, 0x100000000, UINT64_C(1) << 38, UINT64_C(1) << 41,
    };
    u64 address = base[below(s, ARRAY_SIZE(base))];

    switch (below(s, 6)) {
    case 0:
        return draw(s) >> below(s, 60);
    case 1:
        return address - 1 - below(s, 16);
    case 2:
        return address + below(s, 1 << 22);
    case 3:
        return address + 4 * below(s, 1024);
    default:
        return address + below(s, 64);
    }
}

static u64 draw_argument(struct source *s)
{
    static const u64 edge[] = {0,
                               1,
                               2,
                               3,
                               7,
                               8,
                               63,
                               64,
                               4095,
                               4096,
                               INT32_MAX,
                               UINT32_MAX,
                               INT64_MAX,
                               UINT64_MAX,
                               UINT64_MAX - 4095,
                               UINT64_C(1) << 63};

    switch (below(s, 4)) {
    case 0:
        return draw(s) >> below(s, 60);
    case 1:
        return draw_address(s);
    default:
        return edge[below(s, ARRAY_SIZE(edge))];
    }
}

/* ---- Calls ---- */

static const long extensions[] = {
    SBI_BASE,   SBI_TIME,   SBI_IPI,    SBI_RFENCE, SBI_HSM,  SBI_SRST, SBI_DBCN,   COSM_SBI_EXT,
    0x504d55,   SBI_SUSP,   0x4e41434c, SBI_STA,    SBI_FWFT, 0x535345, 0x43505043, 0x44425452,
    0x08000000, 0x09000000, 0x0a000000, 0,          1,        2,        3,          4,
    5,          6,          7,          8,          9,
};

/* What may end this life. */
static bool is_final(long extension, long function)
{
    return extension == SBI_SRST || extension == 8 || extension == SBI_HSM ||
           extension == SBI_SUSP || (extension == COSM_SBI_EXT && function == COSM_CALL_RAISE);
}

/* Arguments that get past the first checks: structs at aligned addresses, small numbers. */
static void likely(struct source *s, long extension, u64 arg[6])
{
    if (extension == SBI_STA) {
        arg[0] = below(s, 8) ? arg[0] & ~UINT64_C(63) : MEMORY + 0x100000 + 64 * below(s, 64);
        arg[1] = 0;
        arg[2] = 0;
    } else if (extension == SBI_SUSP || extension == SBI_FWFT) {
        arg[0] = below(s, 6);
        arg[2] = extension == SBI_FWFT ? below(s, 4) : arg[2];
    }
}

static void call(struct source *s)
{
    long extension = extensions[below(s, ARRAY_SIZE(extensions))], function;
    u64 arg[6];

    if (below(s, 16) == 0)
        extension = (long)draw_argument(s);
    function = below(s, 4) ? (long)below(s, 16) : (long)draw_argument(s);
    for (u32 i = 0; i < ARRAY_SIZE(arg); i++)
        arg[i] = draw_argument(s);
    if (below(s, 2))
        likely(s, extension, arg);
    /* OpenSBI itself does not survive all of these. */
    if (is_tame && extension != SBI_BASE && extension != COSM_SBI_EXT)
        return;
    /* What ends a life is left to chance more rarely, as it would be short; and the console belongs
     * to all. */
    if (is_final(extension, function) && below(s, 16))
        return;
    if ((extension == SBI_DBCN || extension == 1) && below(s, 64))
        return;
    sbi_call(extension, function, arg);
}

/* ---- Accesses and faults ---- */

static void load8(u64 address)
{
    (void)*(volatile u8 *)(uintptr_t)address;
}

static void load16(u64 address)
{
    (void)*(volatile u16 *)(uintptr_t)address;
}

static void load32(u64 address)
{
    (void)*(volatile u32 *)(uintptr_t)address;
}

static void load64(u64 address)
{
    (void)*(volatile u64 *)(uintptr_t)address;
}

static void load_double(u64 address)
{
    __asm__ volatile("fld ft0, (%0)" ::"r"(address) : "ft0", "memory");
}

static void reserve(u64 address)
{
    u64 value;

    __asm__ volatile("lr.d %0, (%1)\n sc.d %0, %0, (%1)" : "=&r"(value) : "r"(address) : "memory");
}

static void jump(u64 address)
{
    ((void (*)(void))(uintptr_t)address)();
}

static void store8(u64 address)
{
    *(volatile u8 *)(uintptr_t)address = (u8)address;
}

static void store32(u64 address)
{
    *(volatile u32 *)(uintptr_t)address = UINT32_MAX;
}

static void store64(u64 address)
{
    *(volatile u64 *)(uintptr_t)address = UINT64_MAX;
}

static void amo(u64 address)
{
    __asm__ volatile("amoswap.w zero, zero, (%0)" ::"r"(address) : "memory");
}

static void breakpoint(u64 unused)
{
    (void)unused;
    __asm__ volatile("ebreak");
}

/* The last two not on devices in QEMU 7.2: with threads, LR and SC there are its end, too. */
static void (*const reads[])(u64) = {load8, load16, load32, load64, load_double, reserve, jump};
static void (*const writes[])(u64) = {store8, store32, store64, amo};

static bool is_own(u64 address)
{
    return address >= MEMORY - 8 && address < MEMORY + (UINT64_C(1) << 30);
}

static void access(struct source *s)
{
    u64 address = draw_address(s);

    if (below(s, 2))
        attempt(reads[below(s, ARRAY_SIZE(reads) - 2 * is_tame)], address);
    else if (!is_own(address) && !is_tame)
        attempt(writes[below(s, ARRAY_SIZE(writes))], address);
}

/* Many in a row, of the interrupt controllers above all. */
static void access_storm(struct source *s)
{
    u64 base = below(s, 2) ? 0x0c000000 : 0x0d000000;
    bool writing = below(s, 2) && !is_tame;

    for (u32 i = 0; i < 64; i++) {
        u64 address = base + 4 * below(s, 1 << below(s, 20));

        attempt(writing ? store32 : load32, address);
    }
}

/* Random words as instructions. Most are none; some do what they like with this program. */
static void random_instructions(struct source *s)
{
    u32 *code = s->code;
    u32 n = is_tame ? 1 : 1 + (u32)below(s, 8);

    for (u32 i = 0; i < n; i++) {
        /* Half of them of the opcode SYSTEM: CSRs, fences, HLV, returns, WFI. */
        code[i] = (u32)draw(s);
        code[i] = below(s, 2) ? (code[i] & ~0x7fu) | 0x73 : code[i] | 3;
        if (is_tame)
            code[i] = 0xf1402573; /* csrr a0, mhartid: illegal */
    }
    code[n] = 0x00008067; /* ret */
    __asm__ volatile("fence.i" ::: "memory");
    attempt((void (*)(u64))(uintptr_t)code, draw_argument(s));
}

/* What only H knows, as a guest may not: HFENCE, HLV, HSV, and returns to other modes. */
static void hypervisor_instructions(struct source *s)
{
    static const u32 insn[] = {
        0x22000073 /* hfence.vvma */, 0x62000073 /* hfence.gvma */,    0x60054573 /* hlv.b */,
        0x62054573 /* hsv.b */,       0x6c054573 /* hlv.d */,          0x64354573 /* hlvx.hu */,
        0x30200073 /* mret */,        0x7b200073 /* dret */,           0x16000073 /* sinval.vma */,
        0x26000073 /* hinval.vvma */, 0x18000073 /* sfence.w.inval */,
    };

    s->code[0] = insn[below(s, ARRAY_SIZE(insn))];
    s->code[1] = 0x00008067;
    __asm__ volatile("fence.i" ::: "memory");
    attempt((void (*)(u64))(uintptr_t)s->code, draw_address(s));
}

/* Tables of pages that point anywhere: an identity map of 1 GiB leaves keeps the program alive, the
 * rest is random, and so are the faults that follow. */
static void translate(struct source *s)
{
    u64 *table = tables[hart_self()->id];

    for (u32 i = 0; i < ARRAY_SIZE(tables[0]); i++)
        table[i] = draw(s) >> below(s, 48);
    table[MEMORY >> 30] = MEMORY >> 2 | 0xcf;
    table[0] = 0xcf;
    csr_write(satp, UINT64_C(8) << 60 | (u64)(uintptr_t)table >> 12);
    __asm__ volatile("sfence.vma" ::: "memory");
    for (u32 i = 0; i < 16; i++)
        attempt(reads[below(s, ARRAY_SIZE(reads) - 2)], draw(s) << 25 >> 25);
    csr_write(satp, 0);
    __asm__ volatile("sfence.vma" ::: "memory");
}

static void user_mode(struct source *s)
{
    u64 *stack = user_stack[hart_self()->id];

    s->code[0] = below(s, 2) ? 0x00000073 : (u32)draw(s); /* ecall */
    s->code[1] = 0x00000073;
    if (is_tame)
        s->code[0] = 0x00100073; /* ebreak */
    __asm__ volatile("fence.i" ::: "memory");
    attempt_user((u64)(uintptr_t)s->code, (u64)(uintptr_t)(stack + 64), draw_argument(s));
}

/* ---- Storms ---- */

static void call_storm(struct source *s)
{
    u32 kind = (u32)below(s, 6);

    for (u32 i = 0; i < 64; i++) {
        if (kind == 0)
            cosm_sbi(SBI_IPI, 0, UINT64_MAX, below(s, 2) ? UINT64_MAX : 0, 0);
        else if (kind == 1 && !is_tame)
            sbi_call(SBI_RFENCE, (long)below(s, 7),
                     (u64[6]){draw(s), 0, draw_argument(s), draw_argument(s), draw(s), 0});
        else if (kind == 2)
            cosm_doorbell((u32)below(s, 4));
        else if (kind == 3)
            cosm_sbi(SBI_TIME, 0, below(s, 2) ? 0 : draw(s), 0, 0);
        else if (kind == 4)
            cosm_sbi(COSM_SBI_EXT, (long)below(s, 16) + (COSM_CALL_RAISE + 1), draw_argument(s),
                     draw_argument(s), draw_argument(s));
        else
            cosm_window_end();
    }
    csr_clear(sip, 1u << IRQ_SOFTWARE);
}

static void fault_storm(struct source *s)
{
    void (*what)(u64) = below(s, 2) ? breakpoint : load8;

    for (u32 i = 0; i < 64; i++)
        attempt(what, is_tame ? 0 : 0x70000000 + 8 * i);
}

static void (*const deeds[])(struct source *) = {
    call,
    call,
    call,
    access,
    access,
    access_storm,
    translate,
    user_mode,
    call_storm,
    fault_storm,
    random_instructions,
    hypervisor_instructions,
};

static void on_interrupt(struct trap_frame *frame, u64 cause, u64 tval)
{
    (void)frame, (void)cause, (void)tval;
    csr_clear(sip, 1u << IRQ_SOFTWARE);
    timer_off();
}

static void on_exception(struct trap_frame *frame, u64 cause, u64 tval)
{
    (void)frame, (void)cause, (void)tval;
    cosm_raise(2); /* the program broke itself */
}

static void attack(u64 seed)
{
    u64 self = hart_self()->id;
    struct source *s = &sources[self];

    s->state = seed;
    csr_set(sie, 1u << IRQ_TIMER | 1u << IRQ_SOFTWARE);
    while (actions[self] < CONTAIN_ACTIONS) {
        actions[self]++;
        deeds[below(s, ARRAY_SIZE(deeds))](s);
    }
}

static u64 life(void)
{
    struct cosm_sbi_result status = cosm_status(CONTAIN_SELF);

    return status.error ? time_now() : status.value >> 8;
}

void guest_main(u64 hart, const void *tree)
{
    u64 seed = CONTAIN_SEED + (life() << 20);

    (void)tree;
    cosm_watchdog_kick();
    trap_on_interrupt(IRQ_TIMER, on_interrupt);
    trap_on_interrupt(IRQ_SOFTWARE, on_interrupt);
    for (u32 cause = 0; cause < 24; cause++)
        trap_on_exception(cause, on_exception);
    hart_start(hart ^ 1, attack, seed ^ (UINT64_C(1) << 63));
    attack(seed);
    if (is_tame)
        print("contain: %u actions\n", actions[hart]);
    else
        cosm_raise(1);
}
