/* SPDX-License-Identifier: BSD-2-Clause */
/* Who handles which trap. */
#include "guest.h"

static trap_fn *exceptions[24], *interrupts[16];

void trap_dispatch(struct trap_frame *frame, u64 cause, u64 tval);
void attempt_ended(void);
void attempt_call(void (*function)(u64), u64 argument);
void attempt_user_call(u64 pc, u64 sp, u64 argument);

void trap_on_exception(unsigned cause, trap_fn *handler)
{
    exceptions[cause] = handler;
}

void trap_on_interrupt(unsigned number, trap_fn *handler)
{
    interrupts[number] = handler;
}

void interrupts_on(void)
{
    csr_set(sstatus, SSTATUS_SIE);
}

u64 interrupts_off(void)
{
    u64 status = csr_read(sstatus);

    csr_clear(sstatus, SSTATUS_SIE);
    return status;
}

void interrupts_restore(u64 status)
{
    csr_set(sstatus, status & SSTATUS_SIE);
}

/* Called by start.S. */
void trap_dispatch(struct trap_frame *frame, u64 cause, u64 tval)
{
    bool is_interrupt = cause >> 63;
    u64 number = cause << 1 >> 1;
    trap_fn *handler = NULL;
    struct hart *self = hart_self();

    if (!is_interrupt && self->attempt_sp) {
        self->attempt = (struct attempt){.cause = cause, .tval = tval, .epc = frame->epc};
        frame->epc = (u64)(uintptr_t)attempt_ended;
        frame->x[2] = self->attempt_sp;
        frame->x[4] = (u64)(uintptr_t)self;
        frame->status |= SSTATUS_SPP;
        return;
    }
    if (is_interrupt && number < ARRAY_SIZE(interrupts))
        handler = interrupts[number];
    else if (!is_interrupt && number < ARRAY_SIZE(exceptions))
        handler = exceptions[number];
    if (handler) {
        handler(frame, cause, tval);
        return;
    }
    print("hart %lu: unexpected trap: scause %lx, sepc %lx, stval %lx\n", self->id, cause,
          frame->epc, tval);
    guest_end(true);
}

struct attempt attempt(void (*function)(u64), u64 argument)
{
    struct hart *self = hart_self();

    self->attempt.cause = ATTEMPT_FINE;
    attempt_call(function, argument);
    return self->attempt;
}

struct attempt attempt_user(u64 pc, u64 sp, u64 argument)
{
    struct hart *self = hart_self();
    u64 status = interrupts_off();

    self->attempt.cause = ATTEMPT_FINE;
    attempt_user_call(pc, sp, argument);
    interrupts_restore(status);
    return self->attempt;
}
