/* SPDX-License-Identifier: BSD-2-Clause */
/* What the guest test programs share: output, checks, page tables, other harts. */
#include "priv.h"

#include <stdarg.h>

#define HARTS_MAX    8
#define TABLES_MAX   64
#define FAILURES_MAX 20 /* printed a test */

u32 insn_page[1024] PAGE_ALIGNED;
u32 vm_levels;
u32 hart_count = 1;
u64 check_note;

static u64 tables[TABLES_MAX][512] PAGE_ALIGNED;
static u32 tables_used;
static u32 test_number, tests_failed, failures;
static const char *skipped;
static volatile u32 ready[HARTS_MAX];
static struct {
    void (*volatile fn)(u64 arg);
    volatile u64 arg;
} job[HARTS_MAX];

void *memset(void *to, int byte, unsigned long len)
{
    volatile u8 *p = to;

    while (len--)
        *p++ = (u8)byte;
    return to;
}

void *memcpy(void *to, const void *from, unsigned long len)
{
    volatile u8 *p = to;
    const u8 *q = from;

    while (len--)
        *p++ = *q++;
    return to;
}

static void print_char(char c)
{
    while (!(*(volatile u8 *)(UART_BASE + 5) & 0x20))
        ;
    *(volatile u8 *)UART_BASE = (u8)c;
}

static void print_number(u64 v, u32 base)
{
    char digits[24];
    u32 n = 0;

    do
        digits[n++] = "0123456789abcdef"[v % base];
    while (v /= base);
    while (n)
        print_char(digits[--n]);
}

/* Knows %s, %lu, %lx, %u, %d, %x. */
void print(const char *format, ...)
{
    va_list args;

    va_start(args, format);
    for (; *format; format++) {
        bool wide = false;

        if (*format != '%') {
            print_char(*format);
            continue;
        }
        if (*++format == 'l') {
            wide = true;
            format++;
        }
        if (*format == 's') {
            for (const char *s = va_arg(args, const char *); *s; s++)
                print_char(*s);
        } else {
            u64 v = wide ? va_arg(args, u64) : va_arg(args, u32);
            print_number(v, *format == 'x' ? 16 : 10);
        }
    }
    va_end(args);
}

void finish(u32 code)
{
    write32(FINISHER_BASE, code ? code << 16 | 0x3333 : 0x5555);
    for (;;)
        pause();
}

void priv_stray(u64 cause, u64 epc, u64 tval);
void priv_stray(u64 cause, u64 epc, u64 tval)
{
    print("Bail out! the program trapped: cause %lx epc %lx tval %lx\n", cause, epc, tval);
    finish(99);
}

void check_failed(const char *file, int line, const char *what, u64 got, u64 want)
{
    if (failures++ < FAILURES_MAX)
        print("# %s:%d: %s: %lx, not %lx (at %lx)\n", file, line, what, got, want, check_note);
}

void skip(const char *reason)
{
    skipped = reason;
}

void status_reset(void)
{
    csr_clear(mstatus, ~MSTATUS_FS);
    csr_set(mstatus, MSTATUS_FS);
}

void test(const char *name, void (*fn)(void))
{
    failures = 0;
    skipped = 0;
    check_note = 0;
    fn();
    if (failures)
        tests_failed++;
    print("%s %u - %s%s%s\n", failures ? "not ok" : "ok", ++test_number, name,
          skipped ? " # SKIP " : "", skipped ? skipped : "");
}

bool on_qemu(void)
{
    return csr_read(marchid) != 0;
}

bool has_guests(void)
{
    return csr_read(misa) >> ('h' - 'a') & 1;
}

void run_insns(struct ctx *c, u64 priv, const u32 *insns, u32 count)
{
    for (u32 i = 0; i < count; i++)
        insn_page[i] = insns[i];
    insn_page[count] = INSN_ECALL;
    fence_i();
    c->pc = (u64)insn_page;
    run(c, priv, 0);
}

void run_insn(struct ctx *c, u64 priv, u32 insn)
{
    run_insns(c, priv, &insn, 1);
}

bool completed(const struct ctx *c)
{
    return c->cause >= 8 && c->cause <= 11 && *(u32 *)c->epc == INSN_ECALL;
}

/* Page tables */

void vm_init(u32 levels)
{
    vm_levels = levels;
    for (u32 i = 0; i < tables_used; i++)
        memset(tables[i], 0, PAGE);
    tables_used = 1;
    *vm_pte(0x80000000, 2) = PTE_OF(0x80000000, PTE_RWX);
    *vm_pte(0, 2) = PTE_OF(0, PTE_RW);
    sfence();
}

volatile u64 *vm_pte(u64 va, u32 level)
{
    u64 *table = tables[0];

    for (u32 at = vm_levels - 1;; at--) {
        u64 *pte = &table[va >> (12 + 9 * at) & 511];

        if (at == level)
            return pte;
        if (!(*pte & PTE_V)) {
            if (tables_used == TABLES_MAX) {
                print("Bail out! out of page tables\n");
                finish(98);
            }
            *pte = PTE_OF(tables[tables_used++], PTE_V);
        }
        table = (u64 *)(*pte >> 10 << 12);
    }
}

void vm_map(u64 va, u64 pa, u64 flags)
{
    *vm_pte(va, 0) = PTE_OF(pa, flags);
}

u64 vm_satp(u64 asid)
{
    return (u64)(vm_levels + 5) << 60 | asid << 44 | (u64)tables[0] >> 12;
}

/* Harts */

void priv_idle(u64 hart);
void priv_idle(u64 hart)
{
    if (hart >= HARTS_MAX)
        for (;;)
            __asm__ volatile("wfi");
    ready[hart] = 1;
    for (;;) {
        while (!job[hart].fn)
            pause();
        fence();
        job[hart].fn(job[hart].arg);
        fence();
        job[hart].fn = 0;
    }
}

void hart_start(u32 hart, void (*fn)(u64 arg), u64 arg)
{
    job[hart].arg = arg;
    fence();
    job[hart].fn = fn;
}

void hart_join(u32 hart)
{
    while (job[hart].fn)
        pause();
    fence();
}

/* Harts that are there come up within a tenth of a second or so; on a busy host, ten times that. */
static void count_harts(void)
{
    u64 end = mtime() + 3000000;
    u32 expected = 1;

    /* The boot ROM hands over a device tree: its size tells nothing, so MSIP words do. */
    while (expected < HARTS_MAX) {
        write32(CLINT_BASE + 4 * expected, 1);
        if (!read32(CLINT_BASE + 4 * expected))
            break;
        write32(CLINT_BASE + 4 * expected, 0);
        expected++;
    }
    while (hart_count < expected && mtime() < end)
        hart_count += ready[hart_count];
}

void priv_boot(void);
void priv_boot(void)
{
    count_harts();
    print("TAP version 13\n# %u harts\n", hart_count);
    tests();
    print("1..%u\n", test_number);
    finish(tests_failed ? 1 : 0);
}
