/* SPDX-License-Identifier: BSD-2-Clause */
/* The trace. */
#include "metal/trace.h"

#include "metal/vcpu.h"

#define RECORDS 128 /* a hart; a power of two */

struct ring {
    struct trace_record record[RECORDS];
    _Atomic u64 written;
};

static struct ring rings[METAL_HARTS_MAX];

void trace(u32 kind, u32 what, u64 detail)
{
    struct ring *r = &rings[hart_self()->index];
    u64 number = atomic_load_explicit(&r->written, memory_order_relaxed) + 1;
    struct trace_record *t = &r->record[number % RECORDS];

    *(volatile u64 *)&t->number = 0;
    atomic_thread_fence(memory_order_release);
    t->time = time_now();
    t->kind = kind;
    t->what = what;
    t->detail = detail;
    atomic_thread_fence(memory_order_release);
    *(volatile u64 *)&t->number = number;
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
        const struct trace_record *t = &r->record[++since % RECORDS];
        record[n] = *t;
        atomic_thread_fence(memory_order_acquire);
        if (record[n].number == since && *(const volatile u64 *)&t->number == since)
            n++; /* else it was overwritten meanwhile */
    }
    return n;
}
