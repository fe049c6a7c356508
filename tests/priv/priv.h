/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Guest programs that test a hart from M-mode: code under test runs through run() and ends in a
 * trap, results are TAP lines on the UART, the test finisher ends the machine.
 */
#ifndef COSM_TESTS_PRIV_H
#define COSM_TESTS_PRIV_H

#include <stdbool.h>
#include <stdint.h>

typedef uint8_t u8;
typedef uint16_t u16;
typedef uint32_t u32;
typedef uint64_t u64;
typedef int64_t s64;

#define BIT(n)       (UINT64_C(1) << (n))
#define COUNT(a)     (sizeof(a) / sizeof((a)[0]))
#define PAGE         4096ul
#define PAGE_ALIGNED __attribute__((aligned(4096)))

enum { PRIV_U = 0, PRIV_S = 1, PRIV_M = 3 };

#define UART_BASE     0x10000000ul
#define FINISHER_BASE 0x100000ul
#define CLINT_BASE    0x2000000ul
#define SSWI_BASE     0x2f00000ul
#define PLIC_BASE     0xc000000ul
#define HOLE          0x300000000ul /* nothing is there: above RAM, below the 64-bit PCIe window */

#define MSTATUS_SIE  BIT(1)
#define MSTATUS_MIE  BIT(3)
#define MSTATUS_SPIE BIT(5)
#define MSTATUS_MPIE BIT(7)
#define MSTATUS_SPP  BIT(8)
#define MSTATUS_MPP  (3ul << 11)
#define MSTATUS_FS   (3ul << 13)
#define MSTATUS_MPRV BIT(17)
#define MSTATUS_SUM  BIT(18)
#define MSTATUS_MXR  BIT(19)
#define MSTATUS_TVM  BIT(20)
#define MSTATUS_TW   BIT(21)
#define MSTATUS_TSR  BIT(22)

#define INTERRUPT BIT(63)

/* What code under test starts and ends with; start.S knows the offsets. */
struct ctx {
    u64 x[32];
    u64 pc;
    u64 cause, tval, epc, status; /* of the trap that ended it; status: mstatus in the handler */
    u64 vector;                   /* which entry of mtvec's table the trap went through */
    u64 saved[16];
};

/* Runs from c->pc in priv until a trap reaches M-mode; irq: with mstatus.MIE set. */
void run(struct ctx *c, u64 priv, u64 irq);

extern char m_vectors[], s_vectors[], data_start[], program_end[];

#define csr_read(name)                                            \
    ({                                                            \
        u64 v_;                                                   \
        __asm__ volatile("csrr %0, " #name : "=r"(v_)::"memory"); \
        v_;                                                       \
    })
#define csr_write(name, v) __asm__ volatile("csrw " #name ", %0" ::"rK"((u64)(v)) : "memory")
#define csr_set(name, v)   __asm__ volatile("csrs " #name ", %0" ::"rK"((u64)(v)) : "memory")
#define csr_clear(name, v) __asm__ volatile("csrc " #name ", %0" ::"rK"((u64)(v)) : "memory")
#define fence_i()          __asm__ volatile("fence.i" ::: "memory")
#define fence()            __asm__ volatile("fence rw, rw" ::: "memory")
#define sfence()           __asm__ volatile("sfence.vma" ::: "memory")
#define pause()            __asm__ volatile(".word 0x0100000f" ::: "memory")

/* mstatus with everything off but FS. */
void status_reset(void);

/* One instruction (16 or 32 bits) in priv, then ECALL. c->x are its registers before and after. */
void run_insn(struct ctx *c, u64 priv, u32 insn);
/* The same for several 32-bit instructions. */
void run_insns(struct ctx *c, u64 priv, const u32 *insns, u32 count);
/* Where they are put: a page of its own. */
extern u32 insn_page[1024];
/* Did it reach the ECALL? */
bool completed(const struct ctx *c);

/* Encodings. */
static inline u32 insn_i(u32 op, u32 f3, u32 rd, u32 rs1, u32 imm)
{
    return imm << 20 | rs1 << 15 | f3 << 12 | rd << 7 | op;
}
static inline u32 insn_r(u32 op, u32 f3, u32 f7, u32 rd, u32 rs1, u32 rs2)
{
    return f7 << 25 | rs2 << 20 | rs1 << 15 | f3 << 12 | rd << 7 | op;
}
static inline u32 insn_load(u32 f3, u32 rd, u32 rs1)
{
    return insn_i(0x03, f3, rd, rs1, 0);
}
static inline u32 insn_store(u32 f3, u32 rs2, u32 rs1)
{
    return rs2 << 20 | rs1 << 15 | f3 << 12 | 0x23;
}
static inline u32 insn_csr(u32 f3, u32 rd, u32 csr, u32 rs1)
{
    return insn_i(0x73, f3, rd, rs1, csr);
}
static inline u32 insn_amo(u32 f5, u32 f3, u32 rd, u32 rs1, u32 rs2)
{
    return insn_r(0x2f, f3, f5 << 2, rd, rs1, rs2);
}
static inline u32 insn_addi(u32 rd, u32 rs1, s64 imm)
{
    return insn_i(0x13, 0, rd, rs1, (u32)imm & 0xfff);
}

enum { LB = 0, LH = 1, LW = 2, LD = 3, LBU = 4, SB = 0, SH = 1, SW = 2, SD = 3 };
enum { CSRRW = 1, CSRRS = 2, CSRRC = 3, CSRRWI = 5, CSRRSI = 6, CSRRCI = 7 };
enum { AMOADD = 0, AMOSWAP = 1, LR = 2, SC = 3, AMOCAS = 5 };
#define INSN_ECALL  0x00000073u
#define INSN_EBREAK 0x00100073u
#define INSN_MRET   0x30200073u
#define INSN_SRET   0x10200073u
#define INSN_WFI    0x10500073u
#define INSN_SFENCE 0x12000073u
#define INSN_NOP    0x00000013u
#define INSN_FENCEI 0x0000100fu

/* Memory and devices. */
void *memset(void *to, int byte, unsigned long len);
void *memcpy(void *to, const void *from, unsigned long len);
static inline void write32(u64 at, u32 v)
{
    *(volatile u32 *)at = v;
}
static inline u32 read32(u64 at)
{
    return *(volatile u32 *)at;
}
static inline void write64(u64 at, u64 v)
{
    *(volatile u64 *)at = v;
}
static inline u64 read64(u64 at)
{
    return *(volatile u64 *)at;
}
static inline u64 mtime(void)
{
    return read64(CLINT_BASE + 0xbff8);
}

/* Page tables: Sv39, Sv48 or Sv57 by levels 3, 4, 5. */
#define PTE_V             0x01ul
#define PTE_R             0x02ul
#define PTE_W             0x04ul
#define PTE_X             0x08ul
#define PTE_U             0x10ul
#define PTE_G             0x20ul
#define PTE_A             0x40ul
#define PTE_D             0x80ul
#define PTE_AD            (PTE_A | PTE_D)
#define PTE_RW            (PTE_V | PTE_R | PTE_W | PTE_AD)
#define PTE_RWX           (PTE_RW | PTE_X)
#define PTE_N             BIT(63)
#define PTE_PBMT(n)       ((u64)(n) << 61)
#define PTE_OF(pa, flags) (((u64)(pa) >> 12) << 10 | (flags))

/* Empties the tables and maps the program's gigabyte and the device's first to S-mode itself. */
void vm_init(u32 levels);
/* The PTE of va at a level (0: 4 KiB), tables above it made as needed. */
volatile u64 *vm_pte(u64 va, u32 level);
void vm_map(u64 va, u64 pa, u64 flags);
u64 vm_satp(u64 asid);
extern u32 vm_levels;

/* Other harts. */
extern u32 hart_count; /* that came up */
void hart_start(u32 hart, void (*fn)(u64 arg), u64 arg);
void hart_join(u32 hart);

/* Results. */
bool on_qemu(void);    /* the cross-check of the tests themselves */
bool has_guests(void); /* the hypervisor extension */
void print(const char *format, ...) __attribute__((format(printf, 1, 2)));
void test(const char *name, void (*fn)(void));
void skip(const char *reason); /* within a test */
void check_failed(const char *file, int line, const char *what, u64 got, u64 want);
extern u64 check_note; /* printed with a failure: what a loop is at */

#define CHECK(cond)                                        \
    do {                                                   \
        if (!(cond))                                       \
            check_failed(__FILE__, __LINE__, #cond, 0, 1); \
    } while (0)
#define CHECK_EQ(got, want)                                      \
    do {                                                         \
        u64 got_ = (u64)(got), want_ = (u64)(want);              \
        if (got_ != want_)                                       \
            check_failed(__FILE__, __LINE__, #got, got_, want_); \
    } while (0)
/* The trap that ended a run. */
#define CHECK_TRAP(c, cause_, epc_, tval_) \
    do {                                   \
        CHECK_EQ((c)->cause, cause_);      \
        CHECK_EQ((c)->epc, epc_);          \
        CHECK_EQ((c)->tval, tval_);        \
    } while (0)

/* A small PRNG; seed not 0. */
static inline u64 random_next(u64 *seed)
{
    *seed ^= *seed << 13;
    *seed ^= *seed >> 7;
    *seed ^= *seed << 17;
    return *seed * UINT64_C(0x2545f4914f6cdd1d);
}

void finish(u32 code) __attribute__((noreturn));

/* Each program defines this. */
void tests(void);

#endif
