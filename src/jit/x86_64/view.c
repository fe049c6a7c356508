/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Views: regions of a mode whose guest-virtual memory the host maps, at GS's base, as the guest
 * does.
 *
 * An access is a comparison with the view's end, which keeps it within what was reserved for the
 * guest, and the access itself. What is not mapped, or not to be written, makes the host fault, and
 * who handles that goes on in the access's stub (jit_backend_recovery). Offsets are too small to
 * lead out of what lies before and behind the view. A guard reads the first and the last byte of
 * its group, those of stores where the view tells of each page whether it may be written.
 */
#include "jit/x86_64/compile.h"

/* Behind each region with accesses by view, in the buffer. */
struct recovery {
    u32 start;  /* of the region */
    u32 before; /* the last one before it in the compiler's piece; 0: none */
    u32 count;
    struct {
        u32 access, stub; /* offsets in the buffer; by ascending access */
    } at[];
};

void view_note(struct compile *x, const struct stub *stub)
{
    ASSERT(x->fault_count < VIEW_FAULTS_MAX);
    x->fault[x->fault_count].access = (u32)(x->c.at - x->b->buffer.write);
    x->fault[x->fault_count++].stub = (u32)(stub - x->stub);
}

void view_check(struct compile *x, enum reg base)
{
    emit_alu(&x->c, ALU_CMP, base, state_rm(x->b->layout.view));
    emit_jcc(&x->c, CC_AE, NULL);
}

struct place view_place(struct compile *x, u32 at, enum reg base, bool loaded, s32 disp,
                        struct stub *stub)
{
    if (x->copies) {
        ASSERT(stub->address == base && stub->disp == disp);
    } else if (x->relies[at]) {
        stub->from = NULL;
    } else {
        view_check(x, base);
        stub->from = x->c.at;
    }
    stub->address = (u8)base;
    stub->disp = disp;
    return (struct place){
        .base = base, .index = NO_REG, .disp = disp, .loaded = loaded, .gs = true};
}

/* Reads 1, 2, 4 or 8 bytes, and nothing else. */
static void probe(struct compile *x, const struct place *at, s32 disp, u32 size,
                  const struct stub *s)
{
    struct code *c = &x->c;

    view_note(x, s);
    emit_gs(c);
    if (size == 2)
        emit8(c, 0x66);
    emit_rex(c, size == 8, RAX, prefix_reg(at->index), at->base, false);
    emit8(c, size == 1 ? 0x38 : 0x39); /* CMP */
    emit_place(c, RAX, at->base, at->index, disp);
}

void view_guard(struct compile *x, const struct window *w, enum reg base, struct stub *stub)
{
    struct place at = {.base = base, .index = NO_REG};
    const u32 size = (u32)(w->end - w->first);

    stub->how |= JIT_OPEN_VIEW;
    if (w->write) {
        at.index = reg_take(x, SCRATCH);
        emit_mov(&x->c, at.index, state_rm(x->b->layout.view_writable));
    }
    if (size <= 8 && !(size & (size - 1))) {
        probe(x, &at, w->first, size, stub);
    } else {
        probe(x, &at, w->first, 1, stub);
        probe(x, &at, w->end - 1, 1, stub);
    }
    if (w->write)
        reg_give(x, at.index);
    stub->resume = x->c.at;
    stub->address = (u8)base;
}

/* Behind the region's code: where its faults lead. */
void view_end(struct compile *x, struct jit_compiler *compiler, u32 start)
{
    struct jit_backend *b = x->b;
    struct recovery *r;
    u32 at;

    if (!x->fault_count)
        return;
    at = ((u32)(x->c.at - b->buffer.write) + 7) & ~7u;
    r = (struct recovery *)(void *)(b->buffer.write + at);
    r->start = start;
    r->before = compiler->recovery;
    r->count = x->fault_count;
    for (u32 i = 0; i < r->count; i++) {
        r->at[i].access = x->fault[i].access;
        r->at[i].stub = x->stub[x->fault[i].stub].code;
    }
    compiler->recovery = at;
    for (u32 n = start >> JIT_PAGE_BITS; n <= at >> JIT_PAGE_BITS; n++)
        atomic_store_explicit(&b->recovery[n], at, memory_order_release);
    x->c.at = (u8 *)&r->at[r->count];
}

u64 jit_backend_recovery(const struct jit_backend *b, u64 address)
{
    u64 access = address - (u64)(uintptr_t)b->buffer.run;
    const struct recovery *r = NULL;
    u32 at, first = 0, last;

    if (access >= b->buffer.size)
        return 0;
    at = atomic_load_explicit(&b->recovery[access >> JIT_PAGE_BITS], memory_order_acquire);
    for (; at; at = r->before) {
        r = (const struct recovery *)(const void *)(b->buffer.run + at);
        if (r->start <= access)
            break;
    }
    for (last = at ? r->count : 0; first < last;) {
        u32 middle = (first + last) / 2;
        if (r->at[middle].access == access)
            return (u64)(uintptr_t)(b->buffer.run + r->at[middle].stub);
        if (r->at[middle].access < access)
            first = middle + 1;
        else
            last = middle;
    }
    return 0;
}
