/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Fake ports for device tests and fuzzers: a clock that stands still, recorders of interrupts,
 * timers and characters, guest memory on the heap. Include it in one file of a program.
 */
#ifndef COSM_TESTS_FAKE_H
#define COSM_TESTS_FAKE_H

#include "base/log.h"
#include "device/device.h"
#include "port/chardev.h"
#include "port/clock.h"
#include "port/gmem.h"
#include "port/irq.h"
#include "port/lock.h"
#include "tests/assert.h"
#include "tests/random.h"

#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#ifndef FAKE_OWN_WAIT /* a program that lets time pass while a device waits */
void port_wait(_Atomic u32 *word, u32 value)
{
    if (atomic_load(word) == value)
        sched_yield();
}
#endif

void port_wake(_Atomic u32 *word)
{
}

/* A clock at now and wall nanoseconds; the test moves them. */
struct fake_clock {
    u64 now, wall;
};

static inline u64 fake_clock_now(void *ctx)
{
    return ((struct fake_clock *)ctx)->now;
}

static inline u64 fake_clock_wall(void *ctx)
{
    return ((struct fake_clock *)ctx)->wall;
}

static inline struct clock fake_clock_port(struct fake_clock *fake)
{
    return (struct clock){fake_clock_now, fake_clock_wall, fake};
}

/* Timers that never fire by themselves: the deadlines last armed. */
#define FAKE_TIMERS 64
struct fake_timers {
    u64 deadline[FAKE_TIMERS];
    u32 armed[FAKE_TIMERS]; /* how often */
};

static inline void fake_timer_arm(void *ctx, u32 timer, u64 deadline_ns)
{
    struct fake_timers *fake = ctx;

    fake->deadline[timer] = deadline_ns;
    fake->armed[timer]++;
}

static inline struct timer_port fake_timer_port(struct fake_timers *fake, u32 timer)
{
    fake->deadline[timer] = CLOCK_NEVER;
    return (struct timer_port){fake_timer_arm, fake, timer};
}

/* Interrupt wires: the level now and how often it rose. */
#define FAKE_LINES 256
struct fake_irq {
    bool level[FAKE_LINES];
    u32 rises[FAKE_LINES];
    u32 calls[FAKE_LINES];
};

static inline void fake_irq_set(void *ctx, u32 line, bool level)
{
    struct fake_irq *fake = ctx;

    fake->rises[line] += level && !fake->level[line];
    fake->calls[line]++;
    fake->level[line] = level;
}

static inline struct irq_line fake_irq_line(struct fake_irq *fake, u32 line)
{
    return (struct irq_line){fake_irq_set, fake, line};
}

/* What a device wrote, and how often it announced room. */
struct fake_chardev {
    u8 bytes[4096];
    size_t len; /* all that came, may exceed bytes */
    u32 rooms;
};

static inline void fake_chardev_write(void *ctx, const u8 *bytes, size_t len)
{
    struct fake_chardev *fake = ctx;

    for (size_t i = 0; i < len; i++, fake->len++) {
        if (fake->len < sizeof(fake->bytes))
            fake->bytes[fake->len] = bytes[i];
    }
}

static inline void fake_chardev_room(void *ctx)
{
    ((struct fake_chardev *)ctx)->rooms++;
}

static inline struct chardev fake_chardev_port(struct fake_chardev *fake)
{
    return (struct chardev){fake_chardev_write, fake_chardev_room, fake};
}

/* Guest memory: one region of RAM on the heap (so that ASan sees its edges). */
static inline void fake_gmem_init(struct gmem *gmem, gpa_t base, u64 size)
{
    memset(gmem, 0, sizeof(*gmem));
    gmem->count = 1;
    gmem->region[0] = (struct gmem_region){base, size, calloc(1, size), false};
    ASSERT(gmem->region[0].host);
}

static inline void fake_gmem_fini(struct gmem *gmem)
{
    free(gmem->region[0].host);
    gmem->count = 0;
}

static inline u8 *fake_gmem_at(const struct gmem *gmem, gpa_t gpa)
{
    return gmem->region[0].host + (gpa - gmem->region[0].base);
}

/* A log that counts lines and keeps the last. */
struct fake_log {
    u32 lines;
    char last[256];
};

static inline void fake_log_write(void *ctx, enum log_level level, const char *subsystem,
                                  const char *text)
{
    struct fake_log *fake = ctx;

    fake->lines++;
    snprintf(fake->last, sizeof(fake->last), "%s: %s", subsystem, text);
}

static inline struct log fake_log_port(struct fake_log *fake)
{
    return (struct log){fake_log_write, fake, LOG_DEBUG};
}

/* An access that must be answered; 0 and a complaint on stderr otherwise. */
static inline u64 fake_read(struct device *dev, u64 offset, u32 size)
{
    u64 value = 0;

    if (!device_read(dev, offset, size, &value))
        fprintf(stderr, "# %s: no read of %u at 0x%llx\n", dev->id, size,
                (unsigned long long)offset);
    return value;
}

static inline void fake_write(struct device *dev, u64 offset, u32 size, u64 value)
{
    if (!device_write(dev, offset, size, value))
        fprintf(stderr, "# %s: no write of %u at 0x%llx\n", dev->id, size,
                (unsigned long long)offset);
}

/*
 * Hostile use: every aligned offset below limit at every width, rounds times, reads and writes of
 * random and extreme values. Bytes above limit are tried at random.
 */
static inline void fake_hammer(struct device *dev, u64 limit, u32 rounds, u64 seed)
{
    static const u64 extreme[] = {0, ~UINT64_C(0), 1, 0x80, 0x8000, UINT64_C(1) << 63, 0x55, 0xaa};
    u64 size = dev->cls->mmio_size, value = 0;

    for (u64 i = 0; i < rounds * (limit + limit / 4); i++) {
        u64 r = test_random(&seed);
        u64 offset = i % 5 == 4 ? test_random(&seed) % size : test_random(&seed) % limit;
        u32 width = 1u << (r & 3);

        offset -= offset % width;
        if (offset + width > size)
            continue;
        value = r & 4 ? test_random(&seed) : extreme[(r >> 8) % 8];
        if (r & 8)
            (void)!device_write(dev, offset, width, value);
        else
            (void)!device_read(dev, offset, width, &value);
    }
    for (u64 offset = 0; offset < limit && offset < size; offset++) {
        for (u32 width = 1; width <= 8; width *= 2) {
            if (offset % width || offset + width > size)
                continue;
            (void)!device_read(dev, offset, width, &value);
            (void)!device_write(dev, offset, width, test_random(&seed));
            (void)!device_read(dev, offset, width, &value);
        }
    }
}

#endif
