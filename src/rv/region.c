/* SPDX-License-Identifier: BSD-2-Clause */
/* Which instructions belong to a region, and their lifting in the order of addresses. */
#include "rv/region.h"

#include <string.h>

static bool is_set(const u64 *bits, u32 offset)
{
    return bits[offset / 128] >> (offset / 2 % 64) & 1;
}

static void set(u64 *bits, u32 offset)
{
    bits[offset / 128] |= BIT(offset / 2 % 64);
}

static u32 half(const u8 *bytes, u32 offset)
{
    return __atomic_load_n((const u16 *)(const void *)(bytes + offset), __ATOMIC_RELAXED);
}

/* The instruction at an offset; false: it goes on in the next page. */
static bool fetch(const struct isa *isa, const u8 *bytes, u32 offset, u64 *insn)
{
    u32 raw = half(bytes, offset);

    if (insn_is_long(raw)) {
        if (offset + 2 == PAGE_SIZE)
            return false;
        raw |= half(bytes, offset + 2) << 16;
    }
    *insn = decode(isa, raw);
    return true;
}

static bool in_page(s64 offset)
{
    return offset >= 0 && offset < (s64)PAGE_SIZE;
}

/* A place that is jumped to, to be followed now or when nothing else is left. */
static void add_leader(struct region *r, s64 offset, bool later)
{
    if (!in_page(offset) || is_set(r->leaders, (u32)offset))
        return;
    if (later ? r->later_count == REGION_INSNS_MAX : r->todo_count == REGION_INSNS_MAX)
        return;
    set(r->leaders, (u32)offset);
    if (later)
        r->later[r->later_count++] = (u16)offset;
    else
        r->todo[r->todo_count++] = (u16)offset;
}

/* Code that ran elsewhere in between comes back here. */
static void add_entry(struct region *r, s64 offset)
{
    add_leader(r, offset, false);
    if (in_page(offset))
        set(r->entries, (u32)offset);
}

/* Notes where a jump or branch leads. False: what follows it is not reached by going on. */
static bool follow(struct region *r, u64 insn, u32 offset)
{
    s64 target = (s64)offset + insn_imm(insn), next = (s64)offset + insn_len(insn);

    switch (insn_op(insn)) {
    case OP_beq:
    case OP_bne:
    case OP_blt:
    case OP_bge:
    case OP_bltu:
    case OP_bgeu:
        add_leader(r, target, false);
        if (target <= offset && in_page(target))
            set(r->entries, (u32)target); /* the head of a loop: tier 1 is in it now, perhaps */
        return true;
    case OP_jal:
        if (insn_rd(insn) != REG_SINK)
            add_entry(r, next);
        add_leader(r, target, insn_rd(insn) != REG_SINK);
        if (target <= offset && in_page(target))
            set(r->entries, (u32)target);
        return false;
    case OP_jalr:
        if (insn_rd(insn) != REG_SINK)
            add_entry(r, next);
        return false;
    default:
        return true;
    }
}

static void walk(struct region *r, const struct isa *isa, const u8 *bytes, u32 offset)
{
    u64 insn;

    while (offset < PAGE_SIZE && r->insns < REGION_INSNS_MAX && !is_set(r->starts, offset) &&
           fetch(isa, bytes, offset, &insn)) {
        set(r->starts, offset);
        r->insns++;
        if (!follow(r, insn, offset))
            return;
        offset += insn_len(insn);
    }
}

static void discover(struct region *r, const struct isa *isa, const u8 *bytes, u32 offset)
{
    memset(r->starts, 0, sizeof(r->starts));
    memset(r->leaders, 0, sizeof(r->leaders));
    memset(r->entries, 0, sizeof(r->entries));
    r->insns = r->todo_count = r->later_count = 0;
    add_entry(r, offset);
    for (u32 done = 0, late = 0;;) {
        if (done < r->todo_count)
            walk(r, isa, bytes, r->todo[done++]);
        else if (late < r->later_count)
            walk(r, isa, bytes, r->later[late++]);
        else
            return;
    }
}

static u32 next_start(const struct region *r, u32 offset)
{
    while (offset < PAGE_SIZE && !is_set(r->starts, offset))
        offset += 2;
    return offset;
}

static void add_label(struct region *r, u32 offset)
{
    lift_label(&r->lift, offset);
    if (is_set(r->entries, offset) && r->entry_count < REGION_ENTRIES_MAX)
        r->entry[r->entry_count++] = (u16)offset;
}

static bool lift_all(struct region *r, const struct isa *isa, const u8 *bytes)
{
    struct lift *l = &r->lift;
    enum lift_end end = LIFT_ENDS;

    for (u32 offset = next_start(r, 0); offset < PAGE_SIZE;) {
        u32 next;
        u64 insn;

        if (lift_is_full(l) || !fetch(isa, bytes, offset, &insn))
            return false;
        if (end == LIFT_ENDS) /* after a system instruction the engine comes back, too */
            set(r->entries, offset);
        if (end == LIFT_ENDS || is_set(r->leaders, offset))
            add_label(r, offset);
        end = lift_insn(l, insn, offset);
        if (end == LIFT_REFUSES)
            return false;
        next = offset + insn_len(insn);
        offset = next_start(r, offset + 2);
        if (offset < next) /* instructions overlap: not worth the trouble */
            return false;
        if (offset != next && end != LIFT_ENDS) {
            lift_finish(l, next);
            end = LIFT_ENDS;
        }
    }
    if (end != LIFT_ENDS)
        lift_finish(l, PAGE_SIZE);
    return true;
}

bool region_build(struct region *r, const struct isa *isa, const u8 *bytes, u32 offset)
{
    r->entry_count = 0;
    discover(r, isa, bytes, offset);
    lift_begin(&r->lift, isa);
    r->lift.max = REGION_INSNS_MAX;
    return lift_all(r, isa, bytes) && r->lift.count;
}
