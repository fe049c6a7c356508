/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the attacking programs share: a virtio driver that does as it is told, however wrong, and
 * the question that each asks in the end: does the device still serve who behaves?
 *
 * They begin as the tests of tests/priv do (priv.h): tests() calls test() for each case.
 */
#ifndef COSM_TESTS_ATTACK_H
#define COSM_TESTS_ATTACK_H

#include "../priv/priv.h"

/* A device of virtio-mmio; kinds as in the specification (5). */
enum {
    KIND_NET = 1,
    KIND_BLK = 2,
    KIND_BALLOON = 5,
    KIND_INPUT = 18,
    KIND_VSOCK = 19,
    KIND_FS = 26,
};
enum {
    REG_MAGIC = 0x00,
    REG_KIND = 0x08,
    REG_DRIVER_FEATURES = 0x20,
    REG_DRIVER_FEATURES_SEL = 0x24,
    REG_QUEUE_SEL = 0x30,
    REG_QUEUE_MAX = 0x34,
    REG_QUEUE_SIZE = 0x38,
    REG_QUEUE_READY = 0x44,
    REG_NOTIFY = 0x50,
    REG_ISR = 0x60,
    REG_ACK = 0x64,
    REG_STATUS = 0x70,
    REG_DESC = 0x80,
    REG_AVAIL = 0x90,
    REG_USED = 0xa0,
    REG_CONFIG = 0x100,
};
enum { ST_ACK = 1, ST_DRIVER = 2, ST_OK = 4, ST_FEATURES = 8, ST_NEEDS_RESET = 64 };
enum { D_NEXT = 1, D_WRITE = 2, D_INDIRECT = 4 };

#define F_INDIRECT BIT(28)
#define F_EVENT    BIT(29)
#define F_VERSION  BIT(32)
#define F_PACKED   BIT(34)

/* How often something is tried: less under sanitizers, which are ten times slower. */
#ifdef SHORT
#define TIMES(n) ((n) / 10)
#else
#define TIMES(n) (n)
#endif

#define RING     16u /* entries of our queues */
#define RAM_BASE 0x80000000ul
#define RAM_END  (RAM_BASE + (128ul << 20)) /* as run.py starts the machine */

struct desc {
    u64 at;
    u32 len;
    u16 flags, next;
};

struct queue {
    struct desc desc[RING] PAGE_ALIGNED;
    struct {
        u16 flags, index, head[RING], event;
    } avail PAGE_ALIGNED;
    struct {
        u16 flags, index;
        struct {
            u32 id, len;
        } done[RING];
        u16 event;
    } used PAGE_ALIGNED;
};

/* The first device of a kind, 0: none. */
u64 device_find(u32 kind);
/* From reset to FEATURES_OK. */
void device_begin(u64 device, u64 features);
/* Sets up a queue where q lies; empties q. */
void device_queue(u64 device, u32 index, struct queue *q, u32 size);
/* The same with areas anywhere. */
void device_areas(u64 device, u32 index, u32 size, u64 desc, u64 avail, u64 used);
void device_go(u64 device);
u32 device_status(u64 device);

void queue_put(struct queue *q, u16 head);
void device_kick(u64 device, u32 index);
/* Until used has moved on from before or the device asks for a reset; a bounded while. */
void device_wait(u64 device, const struct queue *q, u16 before);

/* Does it ask for a reset, soon? */
bool device_fails(u64 device);

/* A disk: begins anew and reads sector 0 as one should. */
bool disk_works(u64 device);
struct disk_request {
    u32 type, reserved;
    u64 sector;
};

#endif
