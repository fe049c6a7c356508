/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Performance counters. Nothing counts as instructions run: hart->insns does, and each counter
 * holds its value as of csr.counted_insns. Whoever looks at a counter, or changes whether one
 * counts, first brings all that count up to date; csr.counting says which those are.
 */
#include "rv/csr_counters.h"

#include "rv/csr_hyper.h"

#define COUNTER_CYCLE         0u
#define COUNTER_TIME          1u
#define COUNTER_INSTRET_INDEX 2u

#define EVENT_SELECTOR GENMASK(7, 0)
#define EVENT_INHIBIT  (COUNTER_MINH | COUNTER_SINH | COUNTER_UINH)
#define EVENT_GUEST    (COUNTER_VSINH | COUNTER_VUINH)

static u64 *counter_value(struct hart *hart, u32 index)
{
    if (index == COUNTER_CYCLE)
        return &hart->csr.mcycle;
    if (index == COUNTER_INSTRET_INDEX)
        return &hart->csr.minstret;
    return &hart->csr.hpmcounter[index - HPM_FIRST];
}

static void counter_overflowed(struct hart *hart, u32 index)
{
    u64 *event = &hart->csr.hpmevent[index - HPM_FIRST];

    if (!isa_has(&hart->isa, ISA_SSCOFPMF) || (*event & COUNTER_OF))
        return;
    *event |= COUNTER_OF;
    atomic_fetch_or_explicit(&hart->irq_soft, BIT(IRQ_LCOFI), memory_order_relaxed);
    csr_poll_irq(hart);
}

void csr_counter_overflow_check(struct hart *hart)
{
    u64 delta = hart->insns - hart->csr.counted_insns;

    hart->csr.counted_insns = hart->insns;
    for (u32 left = hart->csr.counting; left; left &= left - 1) {
        u32 index = (u32)__builtin_ctz(left);
        u64 *value = counter_value(hart, index);

        *value += delta;
        if (*value < delta && index >= HPM_FIRST)
            counter_overflowed(hart, index);
    }
}

/* Does an event count in a mode? */
static bool event_counts(u64 event, enum priv mode)
{
    static const u64 inhibit[PRIV_COUNT] = {
        [PRIV_U] = COUNTER_UINH,   [PRIV_S] = COUNTER_SINH,   [PRIV_M] = COUNTER_MINH,
        [PRIV_VU] = COUNTER_VUINH, [PRIV_VS] = COUNTER_VSINH,
    };

    return (event & EVENT_SELECTOR) != COUNTER_NONE && !(event & inhibit[mode]);
}

static void update_counting(struct hart *hart, enum priv mode)
{
    u32 counting = BIT(COUNTER_CYCLE) | BIT(COUNTER_INSTRET_INDEX);

    hart->csr.mode_inhibits = false;
    for (u32 i = 0; i < HPM_COUNT; i++) {
        hart->csr.mode_inhibits |= (hart->csr.hpmevent[i] & (EVENT_INHIBIT | EVENT_GUEST)) != 0;
        if (event_counts(hart->csr.hpmevent[i], mode))
            counting |= (u32)BIT(HPM_FIRST + i);
    }
    hart->csr.counting = counting & ~hart->csr.mcountinhibit;
}

u32 counter_mask(const struct hart *hart)
{
    return isa_has(&hart->isa, ISA_ZIHPM) ? UINT32_MAX : 7u;
}

u64 counter_read(struct hart *hart, u32 number)
{
    csr_counter_overflow_check(hart);
    return *counter_value(hart, number & 31);
}

void counter_write(struct hart *hart, u32 number, u64 value, u64 touched)
{
    u32 index = number & 31;

    csr_counter_overflow_check(hart);
    if (!(counter_mask(hart) >> index & 1))
        return;
    *counter_value(hart, index) = value;
}

u64 counter_read_event(struct hart *hart, u32 number)
{
    csr_counter_overflow_check(hart);
    return hart->csr.hpmevent[(number & 31) - HPM_FIRST];
}

void counter_write_event(struct hart *hart, u32 number, u64 value, u64 touched)
{
    u64 legal = isa_has(&hart->isa, ISA_SSCOFPMF) ? COUNTER_OF | EVENT_INHIBIT : 0;
    u64 selector = value & ~(COUNTER_OF | GENMASK(62, 58));

    if (legal && isa_has(&hart->isa, ISA_H))
        legal |= EVENT_GUEST;
    csr_counter_overflow_check(hart);
    if (!isa_has(&hart->isa, ISA_ZIHPM))
        return;
    if (selector > COUNTER_INSTRET)
        selector = COUNTER_NONE;
    hart->csr.hpmevent[(number & 31) - HPM_FIRST] = (value & legal) | selector;
    update_counting(hart, hart->mode);
}

void counter_write_inhibit(struct hart *hart, u32 number, u64 value, u64 touched)
{
    csr_counter_overflow_check(hart);
    hart->csr.mcountinhibit = (u32)value & counter_mask(hart) & ~(u32)BIT(COUNTER_TIME);
    update_counting(hart, hart->mode);
}

u64 counter_read_overflows(struct hart *hart, u32 number)
{
    u64 overflows = 0;

    csr_counter_overflow_check(hart);
    for (u32 i = 0; i < HPM_COUNT; i++) {
        if (hart->csr.hpmevent[i] & COUNTER_OF)
            overflows |= BIT(HPM_FIRST + i);
    }
    if (hart->priv == PRIV_M)
        return overflows;
    overflows &= hart->csr.mcounteren;
    return hyper_is_guest(hart) ? overflows & hart->csr.h.hcounteren : overflows;
}

void counter_mode_change(struct hart *hart, enum priv mode)
{
    /* Every trap passes here, so a sampling counter waits no longer than a timer tick. */
    if (hart->csr.counting >> HPM_FIRST || hart->csr.mode_inhibits)
        csr_counter_overflow_check(hart);
    if (hart->csr.mode_inhibits)
        update_counting(hart, mode);
}

void counter_reset(struct hart *hart)
{
    hart->csr.counted_insns = hart->insns;
    update_counting(hart, hart->mode);
}
