/* SPDX-License-Identifier: BSD-2-Clause */
/* Wired interrupts by a PLIC, or by an APLIC that sends them as messages to each hart's IMSIC. */
#include "guest.h"

#define SOURCES 64

#define PLIC_ADDRESS      UINT64_C(0x0c000000)
#define PLIC_PRIORITY(n)  (4 * (n))
#define PLIC_ENABLE(c, n) (0x2000 + 0x80 * (c) + (n) / 32 * 4)
#define PLIC_THRESHOLD(c) (0x200000 + 0x1000 * (c))
#define PLIC_CLAIM(c)     (0x200004 + 0x1000 * (c))

#define APLIC_DOMAINCFG    0x0000
#define APLIC_SOURCECFG(n) (0x0004 + 4 * ((n)-1))
#define APLIC_SETIENUM     0x1edc
#define APLIC_TARGET(n)    (0x3004 + 4 * ((n)-1))
#define APLIC_IE_MSI       0x104 /* domaincfg: IE, DM */
#define APLIC_EDGE         4     /* sourcecfg: rising edge */
#define APLIC_LEVEL        6     /* high level */

#define IMSIC_EIDELIVERY  0x70 /* by siselect */
#define IMSIC_EITHRESHOLD 0x72
#define IMSIC_EIE0        0xc0

static u64 controller;
static bool is_aia;
static u32 plic_context[GUEST_HARTS];
static irq_fn *handlers[SOURCES];

static volatile u32 *reg(u64 offset)
{
    return (volatile u32 *)(uintptr_t)(controller + offset);
}

/* interrupts-extended has a pair of cells for each context, of which the second is 9 for S-mode;
 * the n-th of these is hart n's. */
static void find_plic_contexts(const void *tree)
{
    u32 bytes = 0, hart = 0;

    for (u32 n = 0; n < GUEST_HARTS; n++)
        plic_context[n] = 2 * n + 1;
    if (!fdt_property(tree, "riscv,plic0", "interrupts-extended", &bytes))
        return;
    for (u32 context = 0; context < bytes / 8 && hart < GUEST_HARTS; context++)
        if (fdt_cell(tree, "riscv,plic0", "interrupts-extended", 2 * context + 1, 0) ==
            IRQ_EXTERNAL)
            plic_context[hart++] = context;
}

static void plic_interrupt(struct trap_frame *frame, u64 cause, u64 tval)
{
    volatile u32 *claim = reg(PLIC_CLAIM(plic_context[hart_self()->id]));
    u32 source;

    (void)frame, (void)cause, (void)tval;
    while ((source = *claim)) {
        if (source < SOURCES && handlers[source])
            handlers[source](source);
        *claim = source;
    }
}

static void imsic_interrupt(struct trap_frame *frame, u64 cause, u64 tval)
{
    u64 top;

    (void)frame, (void)cause, (void)tval;
    /* Any write claims what a read would give. */
    while ((top = csr_read(CSR_STOPEI) >> 16)) {
        csr_write(CSR_STOPEI, 0);
        if (top < SOURCES && handlers[top])
            handlers[top]((unsigned)top);
    }
}

void irq_init(const void *tree)
{
    u32 bytes;

    is_aia = fdt_property(tree, "riscv,aplic", "reg", &bytes);
    controller = is_aia ? fdt_address(tree, "riscv,aplic", 0)
                        : fdt_address(tree, "riscv,plic0", PLIC_ADDRESS);
    if (is_aia)
        *reg(APLIC_DOMAINCFG) = APLIC_IE_MSI;
    else
        find_plic_contexts(tree);
    trap_on_interrupt(IRQ_EXTERNAL, is_aia ? imsic_interrupt : plic_interrupt);
}

u64 irq_controller(void)
{
    return controller;
}

static void imsic_write(u64 select, u64 value)
{
    csr_write(CSR_SISELECT, select);
    csr_write(CSR_SIREG, value);
}

static void aia_enable(unsigned source, bool edge)
{
    imsic_write(IMSIC_EIDELIVERY, 1);
    imsic_write(IMSIC_EITHRESHOLD, 0);
    csr_write(CSR_SISELECT, IMSIC_EIE0);
    csr_set(CSR_SIREG, UINT64_C(1) << source);
    *reg(APLIC_SOURCECFG(source)) = edge ? APLIC_EDGE : APLIC_LEVEL;
    /* The identity of the message is the number of the source. */
    *reg(APLIC_TARGET(source)) = (u32)(hart_self()->id << 18) | source;
    *reg(APLIC_SETIENUM) = source;
}

static void plic_enable(unsigned source)
{
    u32 context = plic_context[hart_self()->id];

    *reg(PLIC_PRIORITY(source)) = 1;
    *reg(PLIC_THRESHOLD(context)) = 0;
    *reg(PLIC_ENABLE(context, source)) |= 1u << source % 32;
}

void irq_enable(unsigned source, irq_fn *handler, bool edge)
{
    u64 status = interrupts_off();

    handlers[source] = handler;
    if (is_aia)
        aia_enable(source, edge);
    else
        plic_enable(source);
    csr_set(sie, 1u << IRQ_EXTERNAL);
    interrupts_restore(status);
}
