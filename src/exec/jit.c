/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The translating engine: finds or makes the host code of a block and runs it until it comes back.
 *
 * Theory of operation. Code belongs to a guest-physical page and knows virtual addresses only
 * relative to the page that runs (hart->jit.page), so page tables may change without losing it,
 * and all harts share it. Blocks of one page jump to each other directly, once chained; every other
 * jump goes through a table of the hart by virtual pc, one a privilege mode, which is emptied when
 * translation changes. A page whose bytes have changed is dropped whole at the next FENCE.I
 * (jit_cache.c), and when the code buffer is full pages make room (jit_code.c).
 *
 * An instruction that goes on in the next page makes a block of its own, which depends on the
 * mapping of two pages. It is reached by the table alone (nothing is chained to a page's last
 * halfword), and whoever fills the table looks at the second half as it is now.
 */
#include "exec/jit.h"

#include "base/assert.h"
#include "exec/jit_impl.h"
#include "rv/code_cache.h"
#include "rv/csr.h"
#include "rv/interp.h"
#include "rv/mmu.h"
#include "rv/softfp.h"
#include "rv/system.h"
#include "rv/trap.h"

/* Whoever looks first drops all for all: harts are made to forget while all of them rest. */
static void forget_all(struct jit_hart *h)
{
    struct jit *jit = h->jit;
    u32 flushes = 0;

    pthread_mutex_lock(&jit->lock);
    for (const struct jit_hart *i = jit->harts; i; i = i->next)
        flushes += i->hart->code_flushes;
    if (flushes != jit->flushes)
        jit_drop_all(jit);
    jit->flushes = flushes;
    pthread_mutex_unlock(&jit->lock);
}

static void notice_changes(struct jit_hart *h)
{
    const struct hart *hart = h->hart;

    if (h->map_changes == hart->map_changes && h->code_changes == hart->code_changes &&
        h->code_flushes == hart->code_flushes && h->space_changes == hart->space_changes &&
        h->page_changes == hart->page_changes)
        return;
    if (h->code_flushes != hart->code_flushes)
        forget_all(h);
    if (h->code_changes != hart->code_changes) {
        pthread_mutex_lock(&h->jit->lock);
        jit_drop_changed(h);
        pthread_mutex_unlock(&h->jit->lock);
    }
    jit_forget_links(h);
    jit_catch_up(h);
    h->code_flushes = hart->code_flushes;
    h->code_changes = hart->code_changes;
}

enum found { FOUND, FAULT, NOT_MEMORY };

/* Of hart->pc, or 2 beyond. */
static enum found find_page(struct jit_hart *h, gva_t pc, struct jit_page **found)
{
    struct hart *hart = h->hart;
    u32 at = (pc >> PAGE_SHIFT) % LINKS;
    const struct gmem_region *region;
    struct jit_page *page;
    struct mmu_page to;
    gpa_t gpa;

    *found = h->link[at].page;
    if (h->link[at].tag == code_link_tag(pc, hart->mode))
        return FOUND;
    if (!mmu_translate(hart, pc, 2, ACCESS_EXEC, hart->mode, &to))
        return FAULT;
    gpa = to.gpa & PAGE_MASK;
    region = gmem_find(hart->env->gmem, gpa, PAGE_SIZE);
    if (!region || !to.whole)
        return NOT_MEMORY;
    page = jit_page_find(h->jit, gpa);
    if (!page)
        page = jit_page_add(h, gpa, region->host + (gpa - region->base));
    if (!page)
        return NOT_MEMORY;
    jit_link(h, pc, page, to.global);
    *found = page;
    return FOUND;
}

/*
 * The page of hart->pc and the key of its entry there: the offset and, of an instruction that goes
 * on in the next page, what stands there. If that cannot be read the interpreter shall see to it.
 */
static enum found find_code(struct jit_hart *h, struct jit_page **page, u32 *key)
{
    const gva_t pc = h->hart->pc;
    enum found found = find_page(h, pc, page);
    struct jit_page *next;

    *key = (u32)(pc & ~PAGE_MASK);
    if (found != FOUND || *key != LAST_HALF || !insn_is_long(jit_page_half(h->jit, *page, *key)))
        return found;
    if (find_page(h, pc + 2, &next) != FOUND)
        return NOT_MEMORY;
    *key |= jit_page_half(h->jit, next, 0) << 16;
    return FOUND;
}

/* What the interpreter does best: one instruction across pages, from a device, and so on. Returns
 * HART_EXIT_STEP unless this instruction leaves the engine. */
static enum hart_exit interpret_one(struct hart *hart)
{
    hart->stepped = HART_EXIT_STEP;
    hart->stats.interpreted++;
    (void)interp_run(hart, true);
    return hart->stepped;
}

/* An engine function said no: an exception, or an instruction after which attention is wanted. */
static void act_on_refusal(struct hart *hart)
{
    if (hart->trap.cause != CAUSE_ATTEND) {
        jit_raise(hart);
        return;
    }
    hart->pc += hart->trap.tval; /* its length */
    hart->insns++;
}

/* False: nothing was done. */
static bool run_cold(struct jit_hart *h, struct jit_page *page, u32 key, u32 insns)
{
    enum cold cold = jit_run_cold(h, page, key, insns);

    if (cold == COLD_FAULT)
        act_on_refusal(h->hart);
    return cold != COLD_NOTHING;
}

/*
 * What accesses share cannot be had directly: some are to devices or in two pages, or raise, or the
 * TLB does not know yet. So many instructions are interpreted, as the code would end here again.
 */
static enum hart_exit run_unguarded(struct jit_hart *h, u32 insns)
{
    struct hart *hart = h->hart;
    const gva_t pc = hart->pc;
    struct jit_page *page;
    u32 key;

    if (hart->insns + JIT_LIMIT_SLACK >= hart->limit) /* the interpreter goes on from here */
        return HART_EXIT_STEP;
    hart->stats.unguarded++;
    if (find_code(h, &page, &key) == FOUND && run_cold(h, page, key, insns)) {
        if (!jit_view_lacks(h))
            jit_missed(h, page, key,
                       hart->pc - pc < 4 * (u64)insns ? (u32)(hart->pc - pc) : 4 * insns);
        return HART_EXIT_STEP;
    }
    return interpret_one(hart);
}

/* Finds the code at hart->pc, translating if need be; 0: something else was done instead, and *left
 * says whether to leave, as interpret_one. */
static u32 code_at_pc(struct jit_hart *h, struct jit_page **page, enum hart_exit *left)
{
    struct hart *hart = h->hart;
    bool dropped = false;
    u32 key, code;

    *left = HART_EXIT_STEP;
    switch (find_code(h, page, &key)) {
    case FAULT:
        jit_raise(hart);
        return 0;
    case NOT_MEMORY:
        *left = interpret_one(hart);
        return 0;
    case FOUND:
        break;
    }
    code = jit_entry_find(*page, key);
    if (!code && h->jit->patient && jit_is_new(h->jit, *page, key) &&
        run_cold(h, *page, key, COLD_ALL))
        return 0;
    if (!code)
        code = jit_translate(h, *page, key, &dropped);
    if (dropped)
        jit_unlink(h, hart->pc);
    else if (!code)
        *left = interpret_one(hart);
    return code;
}

/*
 * Ties the jump that the hart came by to the code that it led to. Meanwhile another page may be
 * mapped there, whose code the jump must not be tied to; and if the hart has caught up since, the
 * jump may be no more.
 */
static void chain(struct jit_hart *h, struct jit_page *page, u32 code, u64 seen)
{
    if (seen == h->seen && page->name == h->hart->jit.source) {
        pthread_mutex_lock(&h->jit->lock);
        if (!page->dropped)
            jit_backend_chain(h->jit->backend, h->hart->jit.patch, code);
        pthread_mutex_unlock(&h->jit->lock);
    } else {
        jit_jump(h, code);
    }
}

/* Acts on what others want; false: the engine is to be left. */
static bool attend(struct jit_hart *h)
{
    struct hart *hart = h->hart;

    if (atomic_load_explicit(&hart->attn, memory_order_relaxed) & ATTN_ENGINE) {
        atomic_fetch_and_explicit(&hart->attn, ~(u32)ATTN_ENGINE, memory_order_seq_cst);
        jit_view_attend(h);
        jit_catch_up(h);
        h->sampled = atomic_exchange_explicit(&h->asked, 0, memory_order_relaxed);
    }
    system_attend(hart);
    return !(atomic_load_explicit(&hart->attn, memory_order_relaxed) & ATTN_PAUSE);
}

/* Looks the code at hart->pc up and notes it for next time. 0: something else was done, and *left
 * says whether to leave, as interpret_one. seen: the epoch when the hart came out of code by why.
 */
static u32 find_way(struct jit_hart *h, u32 why, u64 seen, enum hart_exit *left)
{
    struct hart *hart = h->hart;
    struct jit_page *page;
    u32 code = code_at_pc(h, &page, left);

    if (!code)
        return 0;
    if (atomic_load_explicit(&page->spans, memory_order_relaxed) &&
        !jit_span_ready(h, page, code)) {
        *left = interpret_one(hart);
        return 0;
    }
    if (why == JIT_EXIT_CHAIN)
        chain(h, page, code, seen);
    else
        jit_jump(h, code);
    if (atomic_load_explicit(&h->jit->rests, memory_order_relaxed))
        jit_rouse(h);
    if (h->sampled && !h->strayed)
        jit_heat(h, page, (u32)(hart->pc & ~PAGE_MASK), code);
    return code;
}

/* Where the engine went in without looking. */
struct way {
    gva_t pc;
    u64 insns;
};

/* Code that a jump by the table would find; 0: there is none, or it was tried and did nothing, as a
 * region does whose pages are mapped otherwise. */
static u32 known_way(struct jit_hart *h, u32 why, struct way *last)
{
    const struct hart *hart = h->hart;

    if (why == JIT_EXIT_CHAIN || h->sampled ||
        (hart->pc == last->pc && hart->insns == last->insns) ||
        atomic_load_explicit(&h->jit->rests, memory_order_relaxed))
        return 0;
    *last = (struct way){hart->pc, hart->insns};
    return jit_known(h);
}

static enum hart_exit run(struct jit_hart *h)
{
    struct hart *hart = h->hart;
    struct way last = {.pc = 1};
    u32 why = JIT_EXIT_LOOKUP;
    enum hart_exit left;

    for (;;) {
        const u64 seen = h->seen;
        u32 code;
        if (hart->insns >= hart->limit)
            return HART_EXIT_LIMIT;
        if (hart->limit - hart->insns <= JIT_LIMIT_SLACK)
            return interp_run(hart, false);
        if (atomic_load_explicit(&hart->attn, memory_order_relaxed)) {
            why = JIT_EXIT_LOOKUP;
            if (!attend(h))
                return HART_EXIT_ATTN;
        }
        notice_changes(h);
        code = known_way(h, why, &last);
        if (!code)
            code = find_way(h, why, seen, &left);
        if (!code) {
            if (left != HART_EXIT_STEP)
                return left;
            why = JIT_EXIT_LOOKUP;
            continue;
        }
        hart->jit.page = hart->pc & PAGE_MASK;
        jit_follow(h);
        why = jit_backend_run(h->jit->backend, hart, code);
        h->strayed = (why & ((1u << JIT_EXIT_BITS) - 1)) == JIT_EXIT_GUARD;
        if (why == JIT_EXIT_JUMPED)
            jit_target_note(h, hart->jit.page + (u64)(s64)(s32)hart->jit.patch, hart->pc);
        else if (why == JIT_EXIT_FAULT)
            act_on_refusal(hart);
        else if (why == LIFT_LEAVE_WFI)
            return HART_EXIT_WFI;
        else if (why == LIFT_LEAVE_YIELD)
            return HART_EXIT_YIELD;
        left = HART_EXIT_STEP;
        if (why == LIFT_LEAVE_INTERPRET)
            left = interpret_one(hart);
        else if (h->strayed)
            left = run_unguarded(h, why >> JIT_EXIT_BITS);
        if (left != HART_EXIT_STEP)
            return left;
    }
}

enum hart_exit jit_run(struct hart *hart, bool step)
{
    struct jit_hart *h = hart->jit.engine;
    enum hart_exit why;

    if (step || hart->debug)
        return interp_run(hart, step);
    ASSERT(hart->limit == HART_NO_LIMIT || hart->env->limited);
    jit_view_enter(h);
    jit_enter(h);
    h->exits = 0;
    why = run(h);
    jit_leave(h);
    return why;
}
