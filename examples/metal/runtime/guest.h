/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A small runtime for bare-metal programs in S-mode, one program a partition: start, console,
 * traps, timer, interrupt controllers, further harts. Copy it and change it.
 *
 * It runs in a partition of cosm-metal, and as well on a board or in QEMU under OpenSBI: all that
 * it asks for is the SBI. Addresses are physical ones, there are no page tables.
 *
 * Sources: RISC-V privileged specification 1.12 (supervisor level, Sstc), SBI 2.0, PLIC 1.0,
 * Advanced Interrupt Architecture 1.0.
 */
#ifndef GUEST_H
#define GUEST_H

#include "cosm/partition.h"

typedef uint8_t u8;
typedef uint16_t u16;
typedef uint32_t u32;
typedef uint64_t u64;

#define GUEST_HARTS   8
#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))

#define CSR_STR_(x) #x
#define CSR_STR(x)  CSR_STR_(x)
#define csr_read(csr)                                                        \
    ({                                                                       \
        u64 csr_v_;                                                          \
        __asm__ volatile("csrr %0, " CSR_STR(csr) : "=r"(csr_v_)::"memory"); \
        csr_v_;                                                              \
    })
#define csr_write(csr, v) __asm__ volatile("csrw " CSR_STR(csr) ", %0" ::"rK"((u64)(v)) : "memory")
#define csr_set(csr, v)   __asm__ volatile("csrs " CSR_STR(csr) ", %0" ::"rK"((u64)(v)) : "memory")
#define csr_clear(csr, v) __asm__ volatile("csrc " CSR_STR(csr) ", %0" ::"rK"((u64)(v)) : "memory")

/* Those that older assemblers do not know by name. */
#define CSR_STIMECMP 0x14d
#define CSR_SISELECT 0x150
#define CSR_SIREG    0x151
#define CSR_STOPEI   0x15c

#define SSTATUS_SIE  (UINT64_C(1) << 1)
#define SSTATUS_SPIE (UINT64_C(1) << 5)
#define SSTATUS_SPP  (UINT64_C(1) << 8)
#define SSTATUS_FS   (UINT64_C(3) << 13)

/* Interrupts, by their number in scause and their bit in sie. */
#define IRQ_SOFTWARE 1
#define IRQ_TIMER    5
#define IRQ_EXTERNAL 9

/* ---- A program's own part ---- */

/* Called on the first hart, with interrupts off. When it returns, the program ends well. The tree
 * is NULL if there is none. */
void guest_main(u64 hart, const void *tree);

/* ---- sbi.c ---- */

enum {
    SBI_LEGACY_PUTCHAR = 1,
    SBI_BASE = 0x10,
    SBI_TIME = 0x54494d45,
    SBI_IPI = 0x735049,
    SBI_RFENCE = 0x52464e43,
    SBI_HSM = 0x48534d,
    SBI_SRST = 0x53525354,
    SBI_DBCN = 0x4442434e,
};

/* All six arguments; cosm_sbi() of cosm/partition.h takes three. */
struct cosm_sbi_result sbi_call(long extension, long function, const u64 arg[6]);
bool sbi_has(long extension);
void sbi_write(const char *text, size_t bytes); /* to the console, in one piece if it can */
void sbi_ipi(u64 hart);
__attribute__((noreturn)) void guest_end(bool failed);
__attribute__((noreturn)) void guest_reboot(void);

/* ---- print.c ---- */

/* As printf, of %c %s %d %u %x %ld %lu %lx %%, with a width and a leading 0. What is printed
 * appears line by line. */
__attribute__((format(printf, 1, 2))) void print(const char *format, ...);

/* ---- trap.c, start.S ---- */

struct trap_frame { /* known to start.S */
    u64 x[32];      /* x[0] is not used */
    u64 epc, status;
    u64 f[20], fcsr; /* ft0-ft11, fa0-fa7, if the program uses them */
    u64 reserved;
};

typedef void trap_fn(struct trap_frame *frame, u64 cause, u64 tval);

/* What handles an exception (0..23) or an interrupt (0..15); without one, the program ends. */
void trap_on_exception(unsigned cause, trap_fn *handler);
void trap_on_interrupt(unsigned number, trap_fn *handler);
void interrupts_on(void);
/* Returns the status before, for interrupts_restore. */
u64 interrupts_off(void);
void interrupts_restore(u64 status);

#define ATTEMPT_FINE UINT64_MAX

struct attempt {
    u64 cause; /* of the exception that ended it, or ATTEMPT_FINE */
    u64 tval, epc;
};

/* Calls a function that may trap, anywhere and by any cause; comes back either way. */
struct attempt attempt(void (*function)(u64), u64 argument);
/* The same for code in U-mode, which can come back by a trap alone. */
struct attempt attempt_user(u64 pc, u64 sp, u64 argument);

/* ---- hart.c ---- */

struct hart { /* tp points to it; the first three are known to start.S */
    u64 kernel_sp, user_sp;
    u64 attempt_sp; /* not 0: an exception ends the attempt */
    struct attempt attempt;
    u64 id;
    void (*function)(u64);
    u64 argument;
    size_t line_bytes; /* of print() */
    char line[128];
};

static inline struct hart *hart_self(void)
{
    struct hart *self;

    __asm__("mv %0, tp" : "=r"(self));
    return self;
}

/* Starts another hart with a function; it stops when that returns. Returns the SBI's error. */
long hart_start(u64 hart, void (*function)(u64), u64 argument);

/* ---- timer.c ---- */

void timer_init(const void *tree);
u64 timer_frequency(void); /* ticks a second */
u64 time_from_us(u64 us);
void timer_set(u64 time); /* by Sstc, else by the SBI; its interrupt is IRQ_TIMER */
void timer_off(void);
/* Sleeps until then; other interrupts are served meanwhile. Wants timer_done as the timer's
 * handler, its bit in sie, and interrupts on. */
void timer_wait(u64 time);
void timer_done(struct trap_frame *frame, u64 cause, u64 tval);

static inline u64 time_now(void)
{
    return csr_read(time);
}

/* ---- intc.c: PLIC, or APLIC with IMSIC ---- */

typedef void irq_fn(unsigned source);

/* Finds the controller in the tree, else takes the usual addresses of a PLIC. */
void irq_init(const void *tree);
/* On the calling hart. Edge: as doorbells are; a PLIC knows by itself. */
void irq_enable(unsigned source, irq_fn *handler, bool edge);
u64 irq_controller(void); /* its address: PLIC or APLIC */

/* ---- fdt.c ---- */

/* The property of the first node that is compatible (any, if NULL) and not disabled, or NULL. */
const u8 *fdt_property(const void *tree, const char *compatible, const char *name, u32 *bytes);
/* The same of the compatible node with that number, from 0 on. Each has "compatible", at least. */
const u8 *fdt_property_of(const void *tree, const char *compatible, u32 number, const char *name,
                          u32 *bytes);
/* The cell of 4 bytes number index of a property, or a value if there is none. */
u64 fdt_cell(const void *tree, const char *compatible, const char *name, u32 index, u64 otherwise);
/* The first address of a node's reg, of 8 bytes. */
u64 fdt_address(const void *tree, const char *compatible, u64 otherwise);

#endif
