/* SPDX-License-Identifier: BSD-2-Clause */
/* The trace. */
#include "metal/trace.h"

#include "metal/vcpu.h"

#define RECORDS 128 /* a hart; a power of two */

/* A struct trace_record as its hart writes it while others may read it. */
struct slot {
    _Atomic u64 time, detail, number;
    _Atomic u32 kind, what;
};

struct ring {
    struct slot slot[RECORDS];
    _Atomic u64 written;
};

static struct ring rings[METAL_HARTS_MAX];

#define PUT(field, value) atomic_store_explicit(&(field), value, memory_order_relaxed)
#define GET(field)        atomic_load_explicit(&(field), memory_order_relaxed)

void trace(u32 kind, u32 what, u64 detail)
{
    struct ring *r = &rings[hart_self()->index];
    u64 number = GET(r->written) + 1;
    struct slot *s = &r->slot[number % RECORDS];

    PUT(s->number, 0);
    atomic_thread_fence(memory_order_release); /* pairs with that of trace_read */
    PUT(s->time, time_now());
    PUT(s->kind, kind);
    PUT(s->what, what);
    PUT(s->detail, detail);
    atomic_store_explicit(&s->number, number, memory_order_release);
    atomic_store_explicit(&r->written, number, memory_order_release);
}

u32 trace_read(u32 hart, u64 since, struct trace_record *record, u32 count)
{
    struct ring *r = &rings[hart];
    u64 written = atomic_load_explicit(&r->written, memory_order_acquire);
    u32 n = 0;

    if (written > RECORDS && since < written - RECORDS)
        since = written - RECORDS;
    while (n < count && since < written) {
        struct slot *s = &r->slot[++since % RECORDS];
        record[n] =
            (struct trace_record){GET(s->time), GET(s->kind), GET(s->what), GET(s->detail), since};
        atomic_thread_fence(memory_order_acquire);
        if (GET(s->number) == since)
            n++; /* else it was overwritten meanwhile */
    }
    return n;
}
