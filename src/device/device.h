/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Device core: a device is one file with a table of registers, a state struct and its facts for
 * the device tree; this core dispatches accesses, checks widths, applies masks and resets.
 *
 * A device never allocates, reads a clock or draws randomness after creation but through ports.
 */
#ifndef COSM_DEVICE_DEVICE_H
#define COSM_DEVICE_DEVICE_H

#include "base/log.h"
#include "base/types.h"
#include "port/irq.h"
#include "port/lock.h"

struct device;

/* Access widths that a register or window takes, in bytes, ORed. */
enum { W1 = 1, W2 = 2, W4 = 4, W8 = 8 };

/*
 * One register, or an array of count registers stride bytes apart.
 *
 * An access narrower than width reads or replaces its part of the register: what is not written
 * keeps its value (of the field; without one, as read tells it) and w1c bits there stay. An access
 * wider than width reaches this register alone, zero-extended.
 */
struct reg {
    const char *name;
    u32 offset; /* of element 0, bytes from the device's base */
    u8 width;   /* bytes: 1, 2, 4 or 8 */
    u8 widths;  /* widths accepted; 0: just width */
    u32 count;  /* 0 and 1: a single register */
    u32 stride; /* bytes between elements; 0: width */
    u32 field;  /* offset of element 0 in the state struct (of width bytes each), or REG_NO_FIELD */
    u64 reset;  /* value after device_reset */
    u64 rw;     /* bits that a write sets */
    u64 w1c;    /* bits that a written 1 clears */
    u64 (*read)(struct device *dev, u32 index);              /* NULL: the field */
    void (*wrote)(struct device *dev, u32 index, u64 value); /* after masks; whole value written */
};

#define REG_NO_FIELD UINT32_MAX

struct device_class {
    const char *name;
    u64 mmio_size; /* bytes */
    const struct reg *regs;
    u32 reg_count;
    void (*reset)(struct device *dev); /* after the table's values; may be NULL */
    /* For what no register covers (flash array, ECAM, config space); NULL or false: a fault. */
    bool (*read)(struct device *dev, u64 offset, u32 size, u64 *value);
    bool (*write)(struct device *dev, u64 offset, u32 size, u64 value);
    /*
     * Runs once, without the lock, soon after a callback had set dev->deferred: the place for calls
     * out into what may call this device again (chardev, blk, net, exit). Any thread, perhaps
     * several at once. May be NULL.
     */
    void (*deferred)(struct device *dev);
    bool unlocked;          /* read, write and register callbacks do without the lock */
    const char *compatible; /* device tree: strings separated by '\n'; NULL: no node */
    /* Frees what init made; may be NULL. */
    void (*fini)(struct device *dev);
};

/* First member of every device's state struct. */
struct device {
    const struct device_class *cls;
    const char *id; /* "uart0"; static */
    gpa_t base;     /* where it sits */
    const struct log *log;
    struct log_limit limit;
    struct lock lock; /* held during register callbacks; see src/device/locks.md for the order */
    bool deferred;    /* call cls->deferred after the lock is released; under the lock */
};

/* Fills dev alone; the device's own init zeroes its state before and resets it after. */
void device_init(struct device *dev, const struct device_class *cls, const char *id, gpa_t base,
                 const struct log *log);
void device_fini(struct device *dev);

/* Power-on state. Takes the lock. */
void device_reset(struct device *dev);

/*
 * An access from a hart, offset within mmio_size and a multiple of size. Takes the lock. False: no
 * such register or width, an access fault for the hart; logged with limit.
 */
MUST_CHECK bool device_read(struct device *dev, u64 offset, u32 size, u64 *value);
MUST_CHECK bool device_write(struct device *dev, u64 offset, u32 size, u64 value);

/* For a class whose uncovered words read 0 and ignore writes: answers 4-byte accesses only. */
bool device_read_zero(struct device *dev, u64 offset, u32 size, u64 *value);
bool device_write_ignored(struct device *dev, u64 offset, u32 size, u64 value);

/* For host-side entry points: the lock, and on release whatever the device deferred. */
void device_lock(struct device *dev);
void device_unlock(struct device *dev);

#endif
