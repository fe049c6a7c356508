/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Accesses to devices that a partition serves.
 *
 * Theory of operation: each vCPU has one word for its access, 0 if it makes none:
 *
 *     0 -> ASKED        by its own hart, which then leaves it (VCPU_ASKING)
 *     ASKED -> TAKEN    the service, vdev_next
 *     TAKEN -> ANSWERED the service, vdev_reply; with the value
 *     TAKEN -> ASKED    the service restarts: its next life is asked anew
 *     ASKED, TAKEN -> ANSWERED  with 0: the service has stopped
 *     any -> 0          its own hart: it goes on behind the access, or its partition halts
 *
 * All of a request is in the word, so that each step is one atomic exchange and none needs a lock.
 * An access to a service that stops meanwhile: who asks looks at the service's state afterwards,
 * and who stops looks at the words afterwards, so one of them sees the other.
 */
#include "metal/vdev.h"

#include "metal/intc.h"
#include "metal/vcpu.h"

/* The word, and what vdev_next gives: value, 32 bits; offset, 16; device (given: vCPU), 8; width,
 * 4; kind, 4. Words have kinds of accesses alone, and these bits of it are left. */
#define OFFSET_SHIFT 32
#define VDEV_SHIFT   48
#define WIDTH_SHIFT  56
#define KIND_SHIFT   60
#define TAKEN        BIT(63)
#define ANSWERED     BIT(62)

enum { KIND_NONE, KIND_READ, KIND_WRITE, KIND_NOTIFY, KIND_RESET };

static struct {
    _Atomic u32 notified; /* queues, a bit each */
    _Atomic u32 reset;    /* the driver's partition has halted, which the service does not know */
} vdevs[METAL_VDEVS_MAX];

static const struct metal_vdev *config_of(u64 n)
{
    return &metal_config.vdev[n];
}

static NOINLINE struct vcpu *driver_vcpu(u64 n, u64 number)
{
    return partition_vcpu(&metal.partition[config_of(n)->partition], (u32)number);
}

static u32 drivers(u64 n)
{
    return metal_config.partition[config_of(n)->partition].vcpu_count;
}

/* Is it an access to device n that is not answered? */
static bool is_open(u64 word, u64 n)
{
    return word && !(word & ANSWERED) && (u8)(word >> VDEV_SHIFT) == n;
}

/* False: the word is no longer what it was. */
static bool advance(struct vcpu *v, u64 word, u64 next)
{
    return atomic_compare_exchange_strong(&v->asked, &word, next);
}

static NOINLINE void answer(struct vcpu *v, u64 word, u32 value)
{
    if (advance(v, word, ANSWERED | value))
        vcpu_request(v, REQUEST_VDEV);
}

static NOINLINE void ring(u64 n)
{
    intc_raise(&metal.partition[config_of(n)->service], config_of(n)->service_source);
}

static void notify(u64 n, u32 queue)
{
    /* What was there already, the service has been rung for. */
    if (queue < 32 && !atomic_fetch_or(&vdevs[n].notified, 1u << queue))
        ring(n);
}

static void ask(struct vcpu *v, u64 n, u64 word)
{
    v->state = VCPU_ASKING;
    v->hart->resched = true;
    atomic_store(&v->asked, word);
    if (atomic_load(&metal.partition[config_of(n)->service].state) == PARTITION_STOPPED)
        answer(v, word, 0); /* else whoever stopped it did */
    else
        ring(n);
}

static u64 low_bytes(u64 value, u32 bytes)
{
    return value << (64 - 8 * bytes) >> (64 - 8 * bytes);
}

/* False: no such width or alignment. */
static bool begin(struct vcpu *v, u64 n, u64 offset, const struct access *a)
{
    u64 word = (u64)KIND_READ << KIND_SHIFT;

    if (a->width > 4 || offset & (a->width - 1))
        return false;
    if (a->write)
        word = (u64)KIND_WRITE << KIND_SHIFT | low_bytes(vcpu_access_value(v, a), a->width);
    if (a->write && a->width == 4 && offset == config_of(n)->notify_offset) {
        notify(n, (u32)word);
        v->pc += a->length;
        return true;
    }
    v->access = *a;
    ask(v, n, word | (u64)a->width << WIDTH_SHIFT | n << VDEV_SHIFT | offset << OFFSET_SHIFT);
    return true;
}

bool vdev_access(struct vcpu *v, u64 gpa, const struct access *a)
{
    for (u32 n = 0; n < metal_config.vdev_count; n++) {
        const struct metal_vdev *d = config_of(n);

        if (d->partition == v->partition->index && gpa - d->gpa < d->size)
            return begin(v, n, gpa - d->gpa, a);
    }
    return false;
}

void vdev_answered(struct vcpu *v)
{
    u64 word = atomic_load(&v->asked);

    if (!(word & ANSWERED))
        return; /* of a life before */
    atomic_store(&v->asked, 0);
    v->state = VCPU_READY;
    vcpu_access_done(v, &v->access, low_bytes(word, v->access.width));
}

/* Its service takes nothing more, for now or for good. Its line falls, as its next life's does not
 * know of it. */
static void service_halted(u64 n, bool stopped)
{
    intc_level(&metal.partition[config_of(n)->partition], config_of(n)->virtual_source, false);
    for (u32 i = 0; i < drivers(n); i++) {
        struct vcpu *v = driver_vcpu(n, i);
        u64 word = atomic_load(&v->asked);

        if (!is_open(word, n))
            continue;
        if (stopped)
            answer(v, word, 0);
        else
            (void)advance(v, word, word & ~TAKEN);
    }
}

void vdev_halted(struct partition *p)
{
    for (u32 n = 0; n < metal_config.vdev_count; n++) {
        if (config_of(n)->service == p->index)
            service_halted(n, atomic_load(&p->state) == PARTITION_STOPPED);
        if (config_of(n)->partition == p->index) {
            atomic_store(&vdevs[n].notified, 0);
            atomic_store(&vdevs[n].reset, 1);
            ring(n);
        }
    }
}

static bool serves(const struct partition *service, u64 n)
{
    return n < metal_config.vdev_count && config_of(n)->service == service->index;
}

static struct sbi_ret told(u64 kind, u64 value)
{
    return sbi_done(kind << KIND_SHIFT | value);
}

struct sbi_ret vdev_next(const struct partition *service, u64 n)
{
    u32 queues;

    if (!serves(service, n))
        return sbi_fail(SBI_ERR_INVALID_PARAM);
    if (atomic_exchange(&vdevs[n].reset, 0))
        return told(KIND_RESET, 0);
    for (u32 i = 0; i < drivers(n); i++) {
        struct vcpu *v = driver_vcpu(n, i);
        u64 word = atomic_load(&v->asked);

        if (is_open(word, n) && !(word & TAKEN) && advance(v, word, word | TAKEN))
            return sbi_done(word ^ (n ^ i) << VDEV_SHIFT);
    }
    queues = atomic_exchange(&vdevs[n].notified, 0);
    return told(queues ? KIND_NOTIFY : KIND_NONE, queues);
}

/* What vCPU number of the driver's waits for; 0: it does not wait for an answer of device n. */
static u64 taken(u64 n, u64 number)
{
    u64 word = number < drivers(n) ? atomic_load(&driver_vcpu(n, number)->asked) : 0;

    return is_open(word, n) && word & TAKEN ? word : 0;
}

struct sbi_ret vdev_reply(const struct partition *service, const u64 *arg)
{
    u64 n = arg[0], number = arg[1], word = 0;

    if (!serves(service, n))
        return sbi_fail(SBI_ERR_INVALID_PARAM);
    if (number != VDEV_NOBODY)
        word = taken(n, number);
    if ((!word && number != VDEV_NOBODY) || atomic_load(&vdevs[n].reset))
        return sbi_fail(SBI_ERR_DENIED);
    /* Before the driver goes on, which may have lowered it by this access. */
    if (arg[3] != VDEV_KEEP)
        intc_level(&metal.partition[config_of(n)->partition], config_of(n)->virtual_source, arg[3]);
    if (word)
        answer(driver_vcpu(n, number), word, (u32)arg[2]);
    return sbi_done(0);
}
