/* SPDX-License-Identifier: BSD-2-Clause */
/* Which instructions belong to a region, and their lifting in the order of addresses. */
#include "rv/region.h"

#include "base/assert.h"

#include <string.h>

struct walk {
    struct region_map *map;
    const struct isa *isa;
    const struct region_away *away; /* NULL: nothing is followed there */
};

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

static s32 page_of(s32 offset)
{
    return offset & ~(s32)(PAGE_SIZE - 1);
}

/* The page at an offset that is a multiple of pages; NULL: it does not belong to the region. */
static struct region_page *find_page(struct region_map *m, s32 at)
{
    for (u32 i = 0; i < m->page_count; i++) {
        if (m->page[i].at == at)
            return &m->page[i];
    }
    return NULL;
}

static struct region_page *add_page(struct region_map *m, s32 at, const u8 *bytes)
{
    struct region_page *p = &m->page[m->page_count++];

    memset(p, 0, sizeof(*p));
    p->at = at;
    p->bytes = bytes;
    return p;
}

/* The page of a place that is reached from another; NULL: it is not to be followed. */
static struct region_page *enter(struct region_map *m, const struct region_away *away, s32 from,
                                 s64 to)
{
    struct region_page *p;
    const u8 *bytes;
    s32 at;

    if (to < -REGION_REACH || to > REGION_REACH)
        return NULL;
    at = page_of((s32)to);
    p = find_page(m, at);
    if (at == page_of(from) || !away || !away->bytes)
        return p;
    if (!p && m->page_count == REGION_PAGES)
        return NULL;
    bytes = away->bytes(away->ctx, (s32)to);
    return p || !bytes ? p : add_page(m, at, bytes);
}

enum how {
    HOW_NOW,   /* a leader, followed now */
    HOW_LATER, /* the same, when nothing else is left */
    HOW_ENTRY, /* code that ran elsewhere in between comes back here */
    HOW_LOOP,  /* the head of a loop: tier 1 is in it now, perhaps */
};

/* A place that is jumped to from another. */
static void add_leader(struct walk *w, s32 from, s64 to, enum how how)
{
    struct region_map *m = w->map;
    bool later = how == HOW_LATER;
    struct region_page *p;
    u32 offset;

    if ((later ? m->later_count : m->todo_count) == REGION_INSNS_MAX)
        return;
    p = enter(m, w->away, from, to);
    if (!p)
        return;
    offset = (u32)(to - p->at);
    if (how == HOW_ENTRY || (how == HOW_LOOP && !p->at))
        set(p->entries, offset);
    if (is_set(p->leaders, offset))
        return;
    set(p->leaders, offset);
    if (later)
        m->later[m->later_count++] = (s32)to;
    else
        m->todo[m->todo_count++] = (s32)to;
}

/* A jump with a link or without. */
static void follow_jump(struct walk *w, u64 insn, s32 offset, s64 target)
{
    enum how how = target <= offset ? HOW_LOOP : HOW_NOW;

    if (insn_rd(insn) != REG_SINK)
        add_leader(w, offset, (s64)offset + insn_len(insn), HOW_ENTRY);
    if (how == HOW_NOW && insn_rd(insn) != REG_SINK)
        how = HOW_LATER;
    add_leader(w, offset, target, how);
}

/*
 * Where an indirect jump has led. Cases of a switch are entries, as each may be met by a sample,
 * and one region holds them all.
 */
static void follow_targets(struct walk *w, u64 insn, s32 offset)
{
    struct region_map *m = w->map;
    bool calls = insn_rd(insn) != REG_SINK;
    const s32 *to;
    u32 n;

    if (insn_is_return(insn) || !w->away || !w->away->targets)
        return;
    n = w->away->targets(w->away->ctx, offset, &to);
    for (u32 i = 0; i < n && m->jump_count < REGION_JUMPS_MAX; i++) {
        s64 target = (s64)page_of(offset) + to[i];
        if (target < -REGION_REACH || target > REGION_REACH)
            continue;
        m->jump[m->jump_count++] = (struct region_jump){offset, (s32)target};
        add_leader(w, offset, target, calls || page_of((s32)target) ? HOW_LATER : HOW_ENTRY);
    }
}

/* A jump to where a register says, which is known right after an AUIPC. */
static void follow_register(struct walk *w, u64 insn, s32 offset, u64 before)
{
    s64 target = (s64)offset - 4 + insn_imm(before) * 4096 + insn_imm(insn);

    if (insn_op(before) == OP_auipc && insn_rd(before) == insn_rs1(insn) &&
        insn_rd(before) != REG_SINK) {
        follow_jump(w, insn, offset, target & ~INT64_C(1));
        return;
    }
    if (insn_rd(insn) != REG_SINK)
        add_leader(w, offset, (s64)offset + insn_len(insn), HOW_ENTRY);
    follow_targets(w, insn, offset);
}

/* Notes where a jump or branch leads. False: what follows it is not reached by going on. before:
 * the instruction that it comes from by going on, if any. */
static bool follow(struct walk *w, u64 insn, s32 offset, u64 before)
{
    s64 target = (s64)offset + insn_imm(insn);
    enum how how = target <= offset ? HOW_LOOP : HOW_NOW;

    switch (insn_op(insn)) {
    case OP_beq:
    case OP_bne:
    case OP_blt:
    case OP_bge:
    case OP_bltu:
    case OP_bgeu:
        add_leader(w, offset, target, how);
        return true;
    case OP_jal:
        follow_jump(w, insn, offset, target);
        return false;
    case OP_jalr:
        follow_register(w, insn, offset, before);
        return false;
    default:
        return true;
    }
}

static bool has_room(const struct region_map *m, s32 at)
{
    return m->insns < REGION_INSNS_MAX && (!at || m->away < REGION_AWAY_MAX);
}

static void walk(struct walk *w, s32 place)
{
    struct region_map *m = w->map;
    struct region_page *p = find_page(m, page_of(place));
    u32 offset = (u32)(place - p->at);
    u64 insn, before = 0;

    while (offset < PAGE_SIZE && has_room(m, p->at) && !is_set(p->starts, offset) &&
           fetch(w->isa, p->bytes, offset, &insn)) {
        set(p->starts, offset);
        m->insns++;
        m->away += p->at != 0;
        if (!follow(w, insn, p->at + (s32)offset, before))
            return;
        before = insn;
        offset += insn_len(insn);
    }
    if (offset == PAGE_SIZE)
        add_leader(w, p->at, p->at + (s32)offset, HOW_NOW);
}

void region_discover(struct region_map *map, const struct isa *isa, const u8 *bytes, s32 offset,
                     const struct region_away *away)
{
    map->page_count = map->insns = map->away = map->todo_count = map->later_count = 0;
    map->jump_count = map->seed_count = 0;
    (void)add_page(map, 0, bytes);
    region_extend(map, isa, offset, away);
}

void region_extend(struct region_map *map, const struct isa *isa, s32 offset,
                   const struct region_away *away)
{
    struct walk w = {map, isa, away};
    u32 done = map->todo_count, late = map->later_count;

    ASSERT(map->seed_count < REGION_SEEDS_MAX);
    map->seed[map->seed_count++] = (u16)offset;
    add_leader(&w, offset, offset, HOW_ENTRY);
    for (;;) {
        if (done < map->todo_count)
            walk(&w, map->todo[done++]);
        else if (late < map->later_count)
            walk(&w, map->later[late++]);
        else
            return;
    }
}

/* ---- lifting ---- */

/* In the order of addresses, as the lifter wants them. */
static void sort_pages(struct region_map *m)
{
    for (u32 i = 1; i < m->page_count; i++) {
        for (u32 k = i; k && m->page[k - 1].at > m->page[k].at; k--) {
            struct region_page other = m->page[k];
            m->page[k] = m->page[k - 1];
            m->page[k - 1] = other;
        }
    }
}

static void sort_jumps(struct region_map *m)
{
    for (u32 i = 1; i < m->jump_count; i++) {
        for (u32 k = i; k && m->jump[k - 1].from > m->jump[k].from; k--) {
            struct region_jump other = m->jump[k];
            m->jump[k] = m->jump[k - 1];
            m->jump[k - 1] = other;
        }
    }
}

/* The first instruction at *offset or beyond it; NULL: there is none. Looks from page *n on. */
static struct region_page *next_start(struct region_map *m, u32 *n, s32 *offset)
{
    for (; *n < m->page_count; ++*n) {
        struct region_page *p = &m->page[*n];
        u32 i = *offset > p->at ? (u32)(*offset - p->at) : 0;
        while (i < PAGE_SIZE && !is_set(p->starts, i))
            i += 2;
        if (i < PAGE_SIZE) {
            *offset = p->at + (s32)i;
            return p;
        }
    }
    return NULL;
}

static bool is_seed(const struct region_map *m, s32 offset)
{
    u32 n = 0;

    while (n < m->seed_count && m->seed[n] != offset)
        n++;
    return n < m->seed_count;
}

/* There is room for all seeds. */
static void add_label(struct region *r, const struct region_map *m, const struct region_page *p,
                      s32 offset)
{
    bool seed = is_seed(m, offset);

    lift_label(&r->lift, offset);
    r->seeds += seed;
    if (is_set(p->entries, (u32)(offset - p->at)) &&
        (seed || r->entry_count - r->seeds < REGION_ENTRIES_MAX - m->seed_count))
        r->entry[r->entry_count++] = offset;
}

/* One comes back after a system instruction. In the first page, other ends are entries, too:
 * they are cheap there. */
static void note_end(const struct lift *l, struct region_page *p, s32 offset)
{
    u8 last = l->ir.count ? l->ir.op[l->ir.count - 1].opcode : IR_LABEL;

    if (!p->at || last == IR_LEAVE || last == IR_GO)
        set(p->entries, (u32)(offset - p->at));
}

static bool lift_all(struct region *r, const struct isa *isa, struct region_map *m)
{
    struct lift *l = &r->lift;
    enum lift_end end = LIFT_ENDS;
    s32 offset = m->page[0].at, next;
    u32 n = 0;

    for (struct region_page *p = next_start(m, &n, &offset); p;) {
        u64 insn;

        if (lift_is_full(l) || !fetch(isa, p->bytes, (u32)(offset - p->at), &insn))
            return false;
        if (end == LIFT_ENDS)
            note_end(l, p, offset);
        if (end == LIFT_ENDS || is_set(p->leaders, (u32)(offset - p->at)))
            add_label(r, m, p, offset);
        end = lift_insn(l, insn, offset);
        if (end == LIFT_REFUSES)
            return false;
        next = offset + (s32)insn_len(insn);
        offset += 2;
        p = next_start(m, &n, &offset);
        if (p && offset < next) /* instructions overlap: not worth the trouble */
            return false;
        if (end != LIFT_ENDS && (!p || offset != next)) {
            lift_finish(l, next);
            end = LIFT_ENDS;
        }
    }
    return true;
}

bool region_lift(struct region *r, const struct isa *isa, struct region_map *map)
{
    r->entry_count = r->seeds = 0;
    sort_pages(map);
    sort_jumps(map);
    lift_begin(&r->lift, isa);
    r->lift.max = REGION_INSNS_MAX;
    return lift_all(r, isa, map) && r->lift.count;
}
