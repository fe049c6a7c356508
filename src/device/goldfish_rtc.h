/* SPDX-License-Identifier: BSD-2-Clause */
/* Goldfish real-time clock: nanoseconds since 1970, an alarm, an interrupt. */
#ifndef COSM_DEVICE_GOLDFISH_RTC_H
#define COSM_DEVICE_GOLDFISH_RTC_H

#include "device/device.h"
#include "port/clock.h"

#define GOLDFISH_RTC_SIZE 0x1000 /* bytes of MMIO */

struct goldfish_rtc {
    struct device dev;
    struct clock clock;
    struct timer_port timer;
    struct irq_line irq;
    u64 offset;    /* guest time minus wall time, ns, modulo 2^64 */
    u64 alarm;     /* guest time, ns */
    u32 time_high; /* latched by a read of TIME_LOW */
    u32 alarm_low, alarm_high;
    u32 irq_enabled, irq_pending;
    bool alarm_armed;
};

struct goldfish_rtc_config {
    const char *id;
    gpa_t base;
    const struct log *log;
    struct clock clock;
    struct timer_port timer; /* fires goldfish_rtc_fired(rtc, anything) */
    struct irq_line irq;
};

void goldfish_rtc_init(struct goldfish_rtc *rtc, const struct goldfish_rtc_config *config);

/* The timer fired; compares again. The first argument is a struct goldfish_rtc. */
void goldfish_rtc_fired(void *rtc, u32 unused);

#endif
