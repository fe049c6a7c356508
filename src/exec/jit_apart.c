/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Groups of accesses that a guard (ir/guard.c) hardly ever finds together.
 *
 * Theory of operation. Who meets such a group leaves its region and interprets it, which takes as
 * long as a few hundred instructions: nothing where it happens now and then, but a stack may be so
 * deep in a loop that a frame always lies across two pages, or a structure may be a device. So each
 * hart counts failures by place. A place that fails often for the instructions done meanwhile is
 * noted, with what else fails in its page, in a set of instructions whose accesses stay alone, and
 * the page is dropped, so that its regions are made again. The set may know too many: they cost a
 * look at the TLB each.
 */
#include "exec/jit_impl.h"

#include "rv/mmu.h"

#define MISSES 256   /* of a place, */
#define RARE   10000 /* instructions apart, are no matter */

static u32 bit_of(gpa_t gpa)
{
    return (u32)((gpa >> 1) * UINT64_C(0x9e3779b97f4a7c15) >> 48) % APART;
}

bool jit_is_apart(const struct jit *jit, gpa_t insn)
{
    u32 bit = bit_of(insn);

    return atomic_load_explicit(&jit->apart[bit / 64], memory_order_relaxed) >> bit % 64 & 1;
}

static void set_apart(struct jit *jit, gpa_t from, u32 bytes)
{
    for (gpa_t at = from; at < from + bytes; at += 2) {
        u32 bit = bit_of(at);
        atomic_fetch_or_explicit(&jit->apart[bit / 64], BIT(bit % 64), memory_order_relaxed);
    }
}

/* All places of a page that fail about as often. */
static void part(struct jit_hart *h, gpa_t page)
{
    for (u32 i = 0; i < MISSED; i++) {
        struct missed *m = &h->missed[i];
        if ((m->gpa & PAGE_MASK) != page || m->count < MISSES / 4)
            continue;
        set_apart(h->jit, m->gpa, m->bytes);
        *m = (struct missed){0};
    }
}

/* What is noted now counts for the regions that are made next. */
static void drop_regions(struct jit_hart *h, struct jit_page *page)
{
    pthread_mutex_lock(&h->jit->lock);
    if (!page->dropped)
        jit_drop_page(h->jit, page);
    h->jit->stats.parted++;
    pthread_mutex_unlock(&h->jit->lock);
    jit_catch_up(h);
}

void jit_refused(struct jit_hart *h, gva_t pc)
{
    struct jit_page *page;
    gpa_t gpa;

    if (!mmu_peek(h->hart, pc, &gpa) || jit_is_apart(h->jit, gpa))
        return;
    page = jit_page_find(h->jit, gpa & PAGE_MASK);
    set_apart(h->jit, gpa, 2);
    if (page)
        drop_regions(h, page);
}

void jit_missed(struct jit_hart *h, struct jit_page *page, u32 offset, u32 bytes)
{
    const u64 insns = h->hart->insns;
    const gpa_t gpa = page->gpa + offset;
    struct missed *m = &h->missed[gpa / 2 % MISSED];

    if (m->gpa != gpa)
        *m = (struct missed){.gpa = gpa, .since = insns};
    m->bytes = bytes;
    if (++m->count < MISSES || h->jit->keep_guards)
        return;
    if (insns - m->since > (u64)MISSES * RARE || jit_is_apart(h->jit, gpa)) {
        *m = (struct missed){0};
        return;
    }
    part(h, page->gpa);
    drop_regions(h, page);
}
