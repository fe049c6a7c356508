/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Looks for what other partitions left behind: in all registers at its start, in memory after it,
 * and while it runs in windows of a plan or beside interrupts, in registers that it filled itself.
 *
 * Each partition that runs it has a number, SCRUB_SELF, and fills registers and memory with marks
 * that carry it, so that each is the other's neighbour. It raises itself, to be restarted cold,
 * after SCRUB_ROUNDS, as the configuration's health policy says.
 *
 * SCRUB_VECTOR: it may use vectors, and does the same with them; otherwise they have to be illegal.
 */
#include "guest.h"

#ifndef SCRUB_SELF
#define SCRUB_SELF 1
#endif
#ifndef SCRUB_ROUNDS
#define SCRUB_ROUNDS 200
#endif
#ifndef SCRUB_MEMORY
#define SCRUB_MEMORY (UINT64_C(1) << 20) /* of the partition, bytes */
#endif

#ifdef SCRUB_VECTOR
static const bool has_vector = true;
#else
static const bool has_vector = false;
#endif

#define VLENB_MAX 256

#define SSTATUS_VS (UINT64_C(3) << 9)

#define MARK_KIND (UINT64_C(0xdecaf) << 44)
#define MARK_SELF (MARK_KIND | (u64)SCRUB_SELF << 32)

enum { X = 32, F = 32, CSRS = 10 };

struct state {
    u64 x[X], f[F], csr[CSRS], fcsr;
};

/* At the very first instruction; in .data, as .bss is cleared later. */
struct state scrub_start __attribute__((section(".data"))) = {.x = {1}};
static struct state before, after;

/* Registers, each vlenb bytes; vstart, vl, vtype, vcsr. */
struct vectors {
    u64 v[32 * VLENB_MAX / 8], csr[4];
};

struct vectors scrub_vectors __attribute__((section(".data"))) = {.csr = {1}};
static struct vectors vectors_before, vectors_after;

_Static_assert(offsetof(struct vectors, csr) == 8192, "scrub_vectors_store");

void scrub_vectors_store(struct vectors *to);
void scrub_vectors_load(const struct vectors *from);

void scrub_entry(void);
void scrub_spin(struct state *fill, struct state *seen, u64 rounds);

#define EACH_X "1,2,3,4,5,6,7,8,9,11,12,13,14,15,16,17,18,19,20,21,22,23,24,25,26,27,28,29,30,31"
#define EACH_F \
    "0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20,21,22,23,24,25,26,27,28,29,30,31"
/* sscratch, sepc, scause, stval, stvec, satp, sie, scounteren, senvcfg, stimecmp */
#define EACH_CSR "0x140,0x141,0x142,0x143,0x105,0x180,0x104,0x106,0x10a,0x14d"

/* In front of _start: keeps what registers hold, a0 alone is lost: it is 0, this hart's number. */
__asm__(
    ".section .text.first, \"ax\"\n"
    ".globl scrub_entry\n"
    "scrub_entry:\n"
    "    la a0, scrub_start\n"
    "    .irp n, " EACH_X "\n"
    "    sd x\\n, 8 * \\n(a0)\n"
    "    .endr\n"
    "    .set i, 0\n"
    "    .irp n, " EACH_CSR "\n"
    "    csrr t0, \\n\n"
    "    sd t0, 512 + 8 * i(a0)\n"
    "    .set i, i + 1\n"
    "    .endr\n"
    "    li t0, 1 << 13\n"
    "    csrs sstatus, t0\n"
    "    .irp n, " EACH_F "\n"
    "    fsd f\\n, 256 + 8 * \\n(a0)\n"
    "    .endr\n"
    "    csrr t0, fcsr\n"
    "    sd t0, 592(a0)\n"
#ifdef SCRUB_VECTOR
    "    li t0, 1 << 9\n"
    "    csrs sstatus, t0\n"
    "    la a0, scrub_vectors\n"
    "    jal scrub_vectors_store\n"
#endif
    "    li a0, 0\n"
    "    j _start\n"
    ".text\n"
    ".option push\n"
    ".option arch, +v\n"
    "scrub_vectors_store:\n"
    "    li t0, 8192\n"
    "    add t0, t0, a0\n"
    "    .set i, 0\n"
    "    .irp n, vstart, vl, vtype, vcsr\n"
    "    csrr t1, \\n\n"
    "    sd t1, 8 * i(t0)\n"
    "    .set i, i + 1\n"
    "    .endr\n"
    "    csrw vstart, zero\n"
    "    csrr t0, vlenb\n"
    "    slli t0, t0, 3\n"
    "    .irp n, 0, 8, 16, 24\n"
    "    vs8r.v v\\n, (a0)\n"
    "    add a0, a0, t0\n"
    "    .endr\n"
    "    ret\n"
    "scrub_vectors_load:\n"
    "    li t0, 8192\n"
    "    add t1, t0, a0\n"
    "    csrr t0, vlenb\n"
    "    slli t0, t0, 3\n"
    "    .irp n, 0, 8, 16, 24\n"
    "    vl8re8.v v\\n, (a0)\n"
    "    add a0, a0, t0\n"
    "    .endr\n"
    "    ld t0, 8(t1)\n"
    "    ld t2, 16(t1)\n"
    "    vsetvl zero, t0, t2\n"
    "    ld t0, 24(t1)\n"
    "    csrw vcsr, t0\n"
    "    ld t0, 0(t1)\n"
    "    csrw vstart, t0\n"
    "    ret\n"
    ".option pop\n"
    /* (fill, seen, rounds): fills registers, spins, stores what they hold then. Only x10, the
     * counter, and x11 are its own; x2 and x4 are put back. */
    "scrub_spin:\n"
    "    addi sp, sp, -128\n"
    "    .set i, 0\n"
    "    .irp r, ra, gp, tp, s0, s1, s2, s3, s4, s5, s6, s7, s8, s9, s10, s11\n"
    "    sd \\r, 8 * i(sp)\n"
    "    .set i, i + 1\n"
    "    .endr\n"
    "    csrw sscratch, sp\n"
    "    la t0, scrub_after\n"
    "    sd a1, (t0)\n"
    "    mv x11, a0\n"
    "    mv x10, a2\n"
    "    .irp n, " EACH_F "\n"
    "    fld f\\n, 256 + 8 * \\n(x11)\n"
    "    .endr\n"
    "    .irp n, 1,2,3,4,5,6,7,8,9,12,13,14,15,16,17,18,19,20,21,22,23,24,25,26,27,28,29,30,31\n"
    "    ld x\\n, 8 * \\n(x11)\n"
    "    .endr\n"
    "1:  addi x10, x10, -1\n"
    "    bnez x10, 1b\n"
    "    la x11, scrub_after\n"
    "    ld x11, (x11)\n"
    "    .irp n, " EACH_X "\n"
    "    sd x\\n, 8 * \\n(x11)\n"
    "    .endr\n"
    "    .irp n, " EACH_F "\n"
    "    fsd f\\n, 256 + 8 * \\n(x11)\n"
    "    .endr\n"
    "    csrrw sp, sscratch, zero\n"
    "    .set i, 0\n"
    "    .irp r, ra, gp, tp, s0, s1, s2, s3, s4, s5, s6, s7, s8, s9, s10, s11\n"
    "    ld \\r, 8 * i(sp)\n"
    "    .set i, i + 1\n"
    "    .endr\n"
    "    addi sp, sp, 128\n"
    "    ret\n"
    ".bss\n"
    ".balign 8\n"
    "scrub_after: .skip 8\n"
    ".text\n");

static u32 foreign, changed;

/* A mark of any partition: at the start none may be there, not even an own one. */
static void look(const char *where, u64 index, u64 value)
{
    if (value >> 44 != MARK_KIND >> 44)
        return;
    if (foreign++ < 8)
        print("scrub: %s %lu holds %lx\n", where, index, value);
}

static void look_at_start(void)
{
    const u64 *memory = (const u64 *)(uintptr_t)(UINT64_C(0x80000000));
    extern u8 guest_end_of_image[];

    for (u32 n = 0; n < X; n++)
        look("at start, x", n, scrub_start.x[n]);
    for (u32 n = 0; n < F; n++)
        look("at start, f", n, scrub_start.f[n]);
    for (u32 n = 0; n < CSRS; n++)
        look("at start, CSR", n, scrub_start.csr[n]);
    look("at start, CSR", 3, scrub_start.fcsr);
    for (u32 n = 0; has_vector && n < ARRAY_SIZE(scrub_vectors.v); n++)
        look("at start, word of v", n, scrub_vectors.v[n]);
    for (u32 n = 0; has_vector && n < 4; n++)
        if (scrub_vectors.csr[n] && foreign++ < 8)
            print("scrub: at start, CSR %u of vectors is %lx\n", n, scrub_vectors.csr[n]);
    /* Up to the device tree, which lies at the end. */
    for (u64 word = ((u64)(uintptr_t)guest_end_of_image - 0x80000000) / 8;
         word < (scrub_start.x[11] - 0x80000000) / 8; word++)
        if (memory[word] != 0 && foreign++ < 8)
            print("scrub: at start, memory %lx holds %lx\n", 0x80000000 + 8 * word, memory[word]);
}

static u64 vector_bytes(void)
{
    u64 bytes;

    __asm__ volatile("csrr %0, 0xc22" : "=r"(bytes)); /* vlenb */
    return bytes;
}

/* Words of 64 bits in pairs of registers, and how many of them count, differ by round and
 * partition; every fourth round changes CSRs alone, every fourth nothing. */
static void vectors_fill(u32 round)
{
    const u64 words = 32 * vector_bytes() / 8;

    if (round % 4 == 3)
        return;
    for (u32 n = 0; n < words && round % 4 < 2; n++)
        vectors_before.v[n] = MARK_SELF | (u64)round << 16 | n;
    vectors_before.csr[0] = round % 4 == 0;
    vectors_before.csr[1] = 1 + (round + SCRUB_SELF) % 4;
    vectors_before.csr[2] = 0x19; /* e64, m2 */
    vectors_before.csr[3] = (round + SCRUB_SELF) % 8;
    if (round % 4 == 2)
        __asm__ volatile("csrw 0x008, %0\n csrw 0x00f, %1" ::"r"(vectors_before.csr[0]),
                         "r"(vectors_before.csr[3])); /* vstart, vcsr */
    else
        scrub_vectors_load(&vectors_before);
    if (round % 4 == 2)
        vectors_before.csr[1] = 1 + (round - 1 + SCRUB_SELF) % 4;
}

static void vectors_compare(void)
{
    const u64 words = 32 * vector_bytes() / 8;

    scrub_vectors_store(&vectors_after);
    for (u32 n = 0; n < words; n++)
        if (vectors_after.v[n] != vectors_before.v[n] && changed++ < 8)
            print("scrub: word %u of vectors is %lx, was %lx\n", n, vectors_after.v[n],
                  vectors_before.v[n]);
    for (u32 n = 0; n < 4; n++)
        if (vectors_after.csr[n] != vectors_before.csr[n] && changed++ < 8)
            print("scrub: CSR %u of vectors is %lx, was %lx\n", n, vectors_after.csr[n],
                  vectors_before.csr[n]);
    __asm__ volatile("csrw 0x008, %0" ::"r"(vectors_before.csr[0]));
}

static void one_round(u32 round)
{
    for (u32 n = 0; n < X; n++)
        before.x[n] = MARK_SELF | (u64)round << 8 | n;
    for (u32 n = 0; n < F; n++)
        before.f[n] = MARK_SELF | (u64)round << 8 | 1u << 7 | n;
    if (has_vector)
        vectors_fill(round);
    scrub_spin(&before, &after, 20000);
    if (has_vector)
        vectors_compare();
    for (u32 n = 1; n < X; n++)
        if (n != 10 && n != 11 && after.x[n] != before.x[n] && changed++ < 8)
            print("scrub: x%u is %lx, was %lx\n", n, after.x[n], before.x[n]);
    for (u32 n = 0; n < F; n++)
        if (after.f[n] != before.f[n] && changed++ < 8)
            print("scrub: f%u is %lx, was %lx\n", n, after.f[n], before.f[n]);
}

/* For the next start to find, if nobody removes it. */
static void fill_memory(void)
{
    extern u8 guest_end_of_image[];
    u64 *memory = (u64 *)(uintptr_t)guest_end_of_image;
    u64 *end = (u64 *)(uintptr_t)(UINT64_C(0x80000000) + SCRUB_MEMORY);

    while (memory < end)
        *memory++ = MARK_SELF | 0xffff;
}

static void set_vectors(u64 unused)
{
    (void)unused;
    __asm__ volatile(".word 0x0c007057"); /* vsetvli zero, zero, e8, m1: keeps vl */
}

static void read_vstart(u64 unused)
{
    (void)unused;
    __asm__ volatile("csrr zero, 0x008");
}

static void read_cycle(u64 unused)
{
    (void)unused;
    (void)csr_read(cycle);
}

static void read_instret(u64 unused)
{
    (void)unused;
    (void)csr_read(instret);
}

/* They count for who shares the hart, too. */
static void try_counters(void)
{
    if (attempt(read_cycle, 0).cause != 2 || attempt(read_instret, 0).cause != 2)
        print("scrub: counters of the hart are there\n");
}

/* Whatever it says in its sstatus. */
static void try_vectors(void)
{
    csr_set(sstatus, SSTATUS_VS);
    if (!has_vector && (attempt(set_vectors, 0).cause != 2 || attempt(read_vstart, 0).cause != 2))
        print("scrub: vectors are there\n");
}

void guest_main(u64 hart, const void *tree)
{
    (void)hart, (void)tree;
    try_vectors();
    try_counters();
    if (cosm_info().error == 0)
        look_at_start();
    csr_set(sstatus, SSTATUS_FS);
    for (u32 round = 0; round < SCRUB_ROUNDS; round++)
        one_round(round);
    print("scrub %u: %u rounds, %u changed, %u left by others\n", SCRUB_SELF, SCRUB_ROUNDS, changed,
          foreign);
    if (cosm_info().error == 0) {
        fill_memory();
        one_round(SCRUB_ROUNDS);
        cosm_raise(SCRUB_SELF);
    }
}
