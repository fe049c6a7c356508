/* SPDX-License-Identifier: BSD-2-Clause */
/* From the bytes of a page to host code: blocks of the first tier. */
#include "exec/jit_impl.h"

#include "base/assert.h"
#include "base/bits.h"
#include "ir/flow.h"
#include "rv/code_map.h"
#include "rv/softfp.h"

#include <time.h>

#define MARK_STEP 64 /* bytes that are marked at once, so that it costs little */

static u32 half(const struct jit_page *page, u32 offset)
{
    return __atomic_load_n((const u16 *)(const void *)(page->bytes + offset), __ATOMIC_RELAXED);
}

void jit_page_mark(const struct jit *jit, const struct jit_page *page, u32 offset, u32 len)
{
    code_map_mark(jit->harts->hart->env->code_map, page->gpa + offset, len, page->word);
}

u32 jit_page_half(struct jit *jit, const struct jit_page *page, u32 offset)
{
    u32 v;

    pthread_mutex_lock(&jit->lock);
    jit_page_mark(jit, page, offset, 2);
    v = half(page, offset);
    pthread_mutex_unlock(&jit->lock);
    return v;
}

/*
 * Lifts from offset on, to a jump, the page's end or as far as there is room; returns where it
 * ends, 0: there is nothing to be had. An instruction that goes on in the next page stands alone.
 */
static u32 lift_block(struct jit *jit, const struct hart *hart, const struct jit_page *page,
                      u32 key)
{
    const struct isa *isa = &hart->isa;
    const u32 tail = key >> 16;
    u32 offset = key & 0xffff, marked = offset;
    enum lift_end end = LIFT_GOES_ON;
    struct lift *lift = jit->lift;

    lift_begin(lift, isa);
    lift->rounds = hart->csr.frm <= FP_RUP;
    while (end == LIFT_GOES_ON && offset < PAGE_SIZE && !lift_is_full(lift)) {
        u64 insn;
        u32 raw;
        for (; marked < PAGE_SIZE && marked < offset + 4; marked += MARK_STEP)
            jit_page_mark(jit, page, marked, MARK_STEP);
        raw = half(page, offset);
        if (insn_is_long(raw)) {
            if (offset == LAST_HALF && lift->count)
                break;
            raw |= (offset == LAST_HALF ? tail : half(page, offset + 2)) << 16;
        }
        insn = decode(isa, raw);
        end = lift_insn(lift, insn, offset);
        if (end == LIFT_REFUSES)
            break;
        offset += insn_len(insn);
    }
    if (!lift->count)
        return 0;
    if (end != LIFT_ENDS)
        lift_finish(lift, offset);
    return offset;
}

/* The mode's memory has a view: the block's accesses are by it, but those that fault all the time.
 */
static void access_by_view(const struct jit *jit, const struct jit_page *page)
{
    struct lift *lift = jit->lift;
    u64 apart = 0;

    ASSERT(lift->count <= 64);
    for (u32 i = 0; i < lift->count; i++) {
        if (jit_is_apart(jit, page->gpa + (u32)(lift->where[i] & ~LIFT_SHORT)))
            apart |= BIT(i);
    }
    ir_view(&lift->ir, &apart);
}

u64 jit_now_ns(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (u64)now.tv_sec * 1000000000 + (u64)now.tv_nsec;
}

void jit_translated(struct jit *jit, const struct jit_translation *t, u64 ns)
{
    const struct jit_observer *observer = jit->harts ? jit->harts->hart->env->jit_observer : NULL;
    u32 tier = t->tier - 1;

    jit->stats.tier[tier].count++;
    jit->stats.tier[tier].insns += t->guest_insns;
    jit->stats.tier[tier].host_bytes += t->host_bytes;
    jit->stats.tier[tier].ns += ns;
    if (observer)
        observer->translated(observer->ctx, t);
}

static void note_block(struct jit_hart *h, const struct jit_page *page, u32 size, u32 code,
                       u64 began)
{
    struct jit *jit = h->jit;
    const struct jit_translation t = {
        .tier = 1,
        .gpa = page->gpa + (h->hart->pc & ~PAGE_MASK),
        .pc = h->hart->pc,
        .priv = h->hart->priv,
        .guest_bytes = size,
        .guest_insns = jit->lift->count,
        .host = jit_backend_address(jit->backend, code),
        .host_bytes = jit_compiler_at(jit->tier[JIT_TIER_BLOCK].compiler) - code,
    };

    h->hart->stats.blocks++;
    jit_translated(jit, &t, jit_now_ns() - began);
}

static u32 compile(struct jit *jit, const struct jit_page *page)
{
    return jit_backend_compile(jit->tier[JIT_TIER_BLOCK].compiler, &jit->lift->ir, jit->lift->where,
                               page->name);
}

/* The code at an entry of a page that was not dropped; 0: there is none, or no room now. */
static u32 translate(struct jit_hart *h, struct jit_page *page, u32 key)
{
    struct jit *jit = h->jit;
    u32 code = jit_entry_find(page, key), end, before; /* another hart may have been faster */
    u64 began = jit_now_ns();

    if (code)
        return code;
    jit_collect(jit);
    end = lift_block(jit, h->hart, page, key);
    if (!end)
        return 0;
    if (jit_view_wanted(h, jit->view_blocks))
        access_by_view(jit, page);
    code = compile(jit, page);
    if (!code && jit_next_segment(jit, JIT_TIER_BLOCK) && !page->dropped)
        code = compile(jit, page);
    if (!code)
        return 0;
    page->segments |= 1u << jit->tier[JIT_TIER_BLOCK].segment;
    before = page->dropped ? 0 : jit_entry_forgotten(page, key);
    if (before)
        jit_backend_redirect(jit->backend, before, code);
    if (!jit_entry_set(jit, page, key, code))
        return 0;
    note_block(h, page, end - (key & 0xffff), code, began);
    jit_look_ahead(jit, JIT_TIER_BLOCK);
    if (jit->at_once && jit->work && !page->dropped && key < LAST_HALF) {
        jit_region_now(h, page, key);
        code = page->dropped ? code : jit_entry_find(page, key);
    }
    return code;
}

/* The same, whatever became of the page. *dropped: it is to be looked for anew. */
u32 jit_translate(struct jit_hart *h, struct jit_page *page, u32 key, bool *dropped)
{
    u32 code;

    pthread_mutex_lock(&h->jit->lock);
    *dropped = page->dropped;
    code = *dropped ? 0 : translate(h, page, key);
    pthread_mutex_unlock(&h->jit->lock);
    return code;
}
