/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What calls to the hypervisor cost: "cost: NAME least median most" of each, in the unit that the
 * first line tells. With QEMU's -icount shift=0, instret counts the instructions of all harts;
 * where a guest may not read it, time does, of which a tick is a hundred instructions.
 *
 * There, a hart that spins runs until the next timer is due before another one has its turn, while
 * WFI ends the turn. So harts wait for each other by WFI here. COSTS_FENCE measures remote
 * fences alone, for which the hypervisor spins: of these the least tells, if turns are short.
 */
#include "guest.h"

#ifndef COSTS_FENCE
#define COSTS_FENCE 0
#endif

#define SAMPLES 401
#define FAR     (UINT64_C(1) << 62)

static u64 sample[SAMPLES];
static bool by_time;
static u64 other;
static bool replies;

static u64 count(void)
{
    return by_time ? csr_read(time) * 100 : csr_read(instret);
}

static void read_instret(u64 unused)
{
    (void)unused;
    csr_read(instret);
}

static void nothing(void)
{
}

static void base(void)
{
    cosm_sbi(SBI_BASE, 0, 0, 0, 0);
}

static void set_timer(void)
{
    cosm_sbi(SBI_TIME, 0, FAR, 0, 0);
}

static void stimecmp(void)
{
    csr_write(CSR_STIMECMP, FAR);
}

static void info(void)
{
    cosm_info();
}

static void controller(void)
{
    (void)*(volatile u32 *)(uintptr_t)(irq_controller() + 4);
}

static void rfence_self(void)
{
    sbi_call(SBI_RFENCE, 1, (u64[6]){1, hart_self()->id, 0, 4096});
}

static void rfence_other(void)
{
    sbi_call(SBI_RFENCE, 1, (u64[6]){1, other, 0, 4096});
}

static void ipi_sent(void)
{
    sbi_ipi(other);
}

/* Of a device that another partition serves (answerer.c). */
static u64 vdev;

static void vdev_read(void)
{
    (void)*(volatile u32 *)(uintptr_t)(vdev + 0x100);
}

static void vdev_notify(void)
{
    *(volatile u32 *)(uintptr_t)(vdev + 0x50) = 0;
}

/* There and back: a trap and an IPI on either side. */
static void ipi_back(void)
{
    sbi_ipi(other);
    interrupts_off();
    while (!(csr_read(sip) & 1u << IRQ_SOFTWARE))
        __asm__ volatile("wfi");
    csr_clear(sip, 1u << IRQ_SOFTWARE);
}

static void on_software(struct trap_frame *frame, u64 cause, u64 tval)
{
    (void)frame, (void)cause, (void)tval;
    csr_clear(sip, 1u << IRQ_SOFTWARE);
    if (__atomic_load_n(&replies, __ATOMIC_ACQUIRE))
        sbi_ipi(other ^ 1);
}

/* The other hart. */
static void wait_for_ipis(u64 unused)
{
    (void)unused;
    csr_set(sie, 1u << IRQ_SOFTWARE);
    sbi_ipi(other ^ 1);
    interrupts_on();
    for (;;)
        __asm__ volatile("wfi");
}

static void sort(u64 *value, u32 n)
{
    for (u32 i = 1; i < n; i++) {
        u64 v = value[i];
        u32 at = i;

        for (; at > 0 && value[at - 1] > v; at--)
            value[at] = value[at - 1];
        value[at] = v;
    }
}

/* How often a call is made between two looks at the clock: a tick is coarse. */
static u32 repeats(void)
{
    return by_time ? 100 : 1;
}

/* Else samples could all begin at the same place of a turn. */
static void dither(u32 i)
{
    for (volatile u32 n = i * 61 % 499; n > 0; n--)
        ;
}

static u64 least_of(void (*call)(void))
{
    for (u32 i = 0; i < SAMPLES; i++) {
        u64 before;

        dither(i);
        before = count();

        for (u32 n = 0; n < repeats(); n++)
            call();
        sample[i] = (count() - before) / repeats();
    }
    sort(sample, SAMPLES);
    return sample[0];
}

static u64 measuring; /* what it costs by itself */

static void cost(const char *name, void (*call)(void))
{
    least_of(call);
    for (u32 i = 0; i < SAMPLES; i++)
        sample[i] -= sample[i] < measuring ? sample[i] : measuring;
    print("cost: %s %lu %lu %lu\n", name, sample[0], sample[SAMPLES / 2], sample[SAMPLES - 1]);
}

static void touch_controller(u64 unused)
{
    (void)unused;
    controller();
}

static void touch_stimecmp(u64 unused)
{
    (void)unused;
    stimecmp();
}

static void with_another_hart(u64 hart)
{
    other = hart ^ 1;
    trap_on_interrupt(IRQ_SOFTWARE, on_software);
    csr_set(sie, 1u << IRQ_SOFTWARE);
    if (hart_start(other, wait_for_ipis, 0)) {
        print("no other hart\n");
        return;
    }
    while (!(csr_read(sip) & 1u << IRQ_SOFTWARE))
        __asm__ volatile("wfi");
    csr_clear(sip, 1u << IRQ_SOFTWARE);
    if (COSTS_FENCE) {
        cost("rfence-other", rfence_other);
        return;
    }
    cost("ipi-sent", ipi_sent);
    __atomic_store_n(&replies, true, __ATOMIC_RELEASE);
    cost("ipi-back", ipi_back);
}

void guest_main(u64 hart, const void *tree)
{
    by_time = attempt(read_instret, 0).cause != ATTEMPT_FINE;
    print("costs in %s\n", by_time ? "hundredths of ticks" : "instructions");
    irq_init(tree);
    measuring = least_of(nothing);
    cost("base", base);
    cost("set_timer", set_timer);
    if (attempt(touch_stimecmp, 0).cause == ATTEMPT_FINE)
        cost("stimecmp", stimecmp);
    if (cosm_info().error == 0)
        cost("hypercall", info);
    if (attempt(touch_controller, 0).cause == ATTEMPT_FINE)
        cost("controller", controller);
    vdev = fdt_address(tree, "virtio,mmio", 0);
    if (vdev) {
        cost("vdev-read", vdev_read);
        cost("vdev-notify", vdev_notify);
        print("costs: done\n");
        return;
    }
    cost("rfence-self", rfence_self);
    with_another_hart(hart);
    print("costs: done\n");
}
