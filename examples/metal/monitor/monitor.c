/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Prints what the hypervisor traces, for `cosm metal trace` and `cosm metal top`: all harts' rings,
 * every few milliseconds. Its partition needs may = ["monitor"].
 *
 * Lines, numbers in hexadecimal: "trace HART NUMBER TIME KIND WHAT DETAIL", a record each; "time
 * TIME", ten times a second, so that readers see time pass when nothing happens. It ends when all
 * others have stopped.
 */
#include "guest.h"

#define PERIOD_US 2000
#define BEAT      50 /* periods */
#define RECORDS   32

static struct cosm_trace_record record[RECORDS];
static u64 seen[GUEST_HARTS];

/* False: there is no such hart. */
static bool read_some(unsigned hart, u64 *count)
{
    struct cosm_sbi_result r = cosm_trace_read(hart, (u64)(uintptr_t)record, RECORDS, seen[hart]);

    *count = r.error ? 0 : r.value;
    return !r.error;
}

static bool follow(unsigned hart)
{
    u64 count;

    do {
        if (!read_some(hart, &count))
            return false;
        for (u64 i = 0; i < count; i++) {
            struct cosm_trace_record *t = &record[i];

            print("trace %x %lx %lx %x %x %lx\n", hart, t->number, t->time, t->kind, t->what,
                  t->detail);
            seen[hart] = t->number;
        }
    } while (count == RECORDS);
    return true;
}

/* Does any partition but this one run, or begin to? */
static bool is_needed(void)
{
    u64 self = cosm_info().value >> 16;

    for (unsigned i = 0;; i++) {
        struct cosm_sbi_result r = cosm_status(i);

        if (r.error)
            return false;
        if (i != self && (r.value & 0xff) != COSM_STOPPED)
            return true;
    }
}

void guest_main(u64 hart, const void *tree)
{
    u64 at = time_now(), count;

    (void)hart, (void)tree;
    if (!read_some(0, &count)) {
        print("this partition may not monitor: its configuration needs may = [\"monitor\"]\n");
        return;
    }
    trap_on_interrupt(IRQ_TIMER, timer_done);
    csr_set(sie, 1u << IRQ_TIMER);
    interrupts_on();
    for (u32 period = 0;; period++) {
        for (unsigned i = 0; i < GUEST_HARTS && follow(i); i++)
            ;
        if (period % BEAT == 0) {
            print("time %lx\n", time_now());
            if (!is_needed())
                return;
        }
        at += time_from_us(PERIOD_US);
        if (at < time_now())
            at = time_now();
        timer_wait(at);
    }
}
