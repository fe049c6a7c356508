/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The translating engine: finds or makes the host code of a block and runs it until it comes back.
 *
 * Theory of operation. Code belongs to a guest-physical page and knows virtual addresses only
 * relative to the page that runs (hart->jit.page), so page tables may change without losing it.
 * Blocks of one page jump to each other directly, once chained; every other jump goes through a
 * table by virtual pc, one a privilege mode, which is emptied when translation changes. A page
 * whose bytes have changed is dropped whole at the next FENCE.I (rv/code_map.h), with all jumps
 * into it. The buffer is filled from the start and thrown away when it is full.
 *
 * An instruction that goes on in the next page makes a block of its own, which depends on the
 * mapping of two pages. It is reached by the table alone (nothing is chained to a page's last
 * halfword), and whoever fills the table looks at the second half as it is now.
 */
#include "exec/jit.h"

#include "base/assert.h"
#include "jit/backend.h"
#include "rv/code_cache.h"
#include "rv/code_map.h"
#include "rv/interp.h"
#include "rv/lift.h"
#include "rv/mem.h"
#include "rv/mmu.h"
#include "rv/run_insn.h"
#include "rv/system.h"
#include "rv/trap.h"

#include <stdlib.h>
#include <string.h>

#define CODE_SIZE  (64u << 20) /* bytes; pages of it are taken as they are filled */
#define PAGES_MAX  4096
#define HASH_SIZE  4096
#define LINKS      512
#define JUMPS_BITS 11

/* Translations of a guest-physical page. */
struct jit_page {
    gpa_t gpa;
    const u8 *bytes;
    u64 word; /* of the code map */
    u32 name; /* no other page ever has it */
    bool trusted;
    u16 tail;              /* second half of the instruction at the last halfword, if long */
    struct jit_page *next; /* in the hash chain */
    u32 entry[CODE_SLOTS]; /* code offset by halfword, 0: none */
};

struct jump {
    u64 pc; /* NO_PC: none */
    u64 code;
};

#define LAST_HALF (PAGE_SIZE - 2)
#define NO_PC     1 /* no pc is odd */
#define JUMPS     (1u << JUMPS_BITS)
#define FILLS_MAX 1024

/* What was filled since a table was last emptied, so that emptying it again costs no more. */
struct fills {
    u32 count; /* beyond FILLS_MAX: too many to list */
    u16 at[FILLS_MAX];
};

struct jit {
    struct jit_backend *backend;
    struct jit_compiler *compiler;
    u32 code_size;
    struct jit_page *hash[HASH_SIZE];
    u32 page_count, page_max;
    u32 last_name;
    u32 untrusted; /* pages that are not trusted */
    u64 writes;    /* of the code map, at the last fence */
    u32 flushes;
    u32 map_changes, code_changes, code_flushes; /* of the hart, as of the last look */
    struct {
        u64 tag; /* code_link_tag */
        struct jit_page *page;
    } link[LINKS];
    struct jump jumps[4 * JUMPS]; /* one table an enum priv */
    struct fills link_fills, jump_fills;
    struct lift lift;
};

/* x registers in host registers: stack, arguments, and the first saved ones. */
static const u8 pinned[] = {10, 15, 14, 11, 2, 13, 12, 8, 9};

static u64 engine_store(void *state, u64 address, u64 value, u32 how, u32 where);
static u64 engine_store(void *state, u64 address, u64 value, u32 how, u32 where);
static struct jit_result engine_load(void *state, u64 address, u32 how, u32 where);
static u64 engine_call(void *state, u64 insn, u32 where);

static const struct jit_layout layout = {
    .slot = offsetof(struct hart, x),
    .pc = offsetof(struct hart, pc),
    .count = offsetof(struct hart, insns),
    .page = offsetof(struct hart, jit.page),
    .attn = offsetof(struct hart, attn),
    .patch = offsetof(struct hart, jit.patch),
    .source = offsetof(struct hart, jit.source),
    .tlb = offsetof(struct hart, data_tlb),
    .tlb_bits = TLB_BITS,
    .tlb_read = offsetof(struct tlb_table, read),
    .tlb_write = offsetof(struct tlb_table, write),
    .jumps = offsetof(struct hart, jit.jumps),
    .jumps_bits = JUMPS_BITS,
    .pinned = pinned,
    .pinned_count = sizeof(pinned),
};

_Static_assert(sizeof(struct tlb_entry) == 16 && offsetof(struct tlb_entry, tag) == 0 &&
                   offsetof(struct tlb_entry, addend) == 8,
               "as jit_layout says");

static const struct jit_engine engine = {engine_load, engine_store, engine_call};

bool jit_is_supported(void)
{
    return jit_backend_is_supported();
}

static void note_fill(struct fills *fills, u32 at)
{
    if (fills->count < FILLS_MAX)
        fills->at[fills->count] = (u16)at;
    fills->count++;
}

static void empty_links(struct jit *jit)
{
    struct fills *f = &jit->link_fills;

    if (f->count > FILLS_MAX)
        memset(jit->link, 0, sizeof(jit->link));
    for (u32 i = 0; f->count <= FILLS_MAX && i < f->count; i++)
        jit->link[f->at[i]].tag = 0;
    f->count = 0;
    f = &jit->jump_fills;
    for (u32 i = 0; f->count > FILLS_MAX && i < 4 * JUMPS; i++)
        jit->jumps[i].pc = NO_PC;
    for (u32 i = 0; f->count <= FILLS_MAX && i < f->count; i++)
        jit->jumps[f->at[i]].pc = NO_PC;
    f->count = 0;
}

bool jit_attach_limited(struct hart *hart, u32 code_size, u32 pages)
{
    struct jit *jit = calloc(1, sizeof(*jit));
    struct jit_layout with_limit = layout;

    if (!jit)
        return false;
    with_limit.limit = offsetof(struct hart, jit.limit);
    jit->backend =
        jit_backend_create(hart->env->limited ? &with_limit : &layout, &engine, code_size);
    if (jit->backend)
        jit->compiler = jit_compiler_create(jit->backend);
    if (!jit->compiler) {
        jit_backend_destroy(jit->backend);
        free(jit);
        return false;
    }
    jit->code_size = code_size;
    jit_compiler_aim(jit->compiler, jit_backend_code_start(jit->backend), code_size);
    jit->page_max = pages;
    jit->link_fills.count = jit->jump_fills.count = FILLS_MAX + 1;
    empty_links(jit);
    hart->jit.engine = jit;
    return true;
}

bool jit_attach(struct hart *hart)
{
    return jit_attach_limited(hart, CODE_SIZE, PAGES_MAX);
}

static const struct jit_observer *observer(const struct hart *hart)
{
    return hart->env->jit_observer;
}

static void drop_all(struct hart *hart)
{
    struct jit *jit = hart->jit.engine;

    for (u32 i = 0; i < HASH_SIZE; i++) {
        while (jit->hash[i]) {
            struct jit_page *page = jit->hash[i];
            jit->hash[i] = page->next;
            free(page);
        }
    }
    if (observer(hart) && jit->page_count)
        observer(hart)->flushed(observer(hart)->ctx);
    jit->page_count = 0;
    jit->untrusted = 0;
    jit->flushes++;
    jit_compiler_aim(jit->compiler, jit_backend_code_start(jit->backend), jit->code_size);
    empty_links(jit);
}

void jit_detach(struct hart *hart)
{
    struct jit *jit = hart->jit.engine;

    if (!jit)
        return;
    drop_all(hart);
    jit_compiler_destroy(jit->compiler);
    jit_backend_destroy(jit->backend);
    free(jit);
    hart->jit.engine = NULL;
}

static struct jit_page **bucket(struct jit *jit, gpa_t gpa)
{
    return &jit->hash[(gpa >> PAGE_SHIFT) % HASH_SIZE];
}

static struct jit_page *page_add(struct hart *hart, gpa_t gpa, const u8 *bytes)
{
    struct jit *jit = hart->jit.engine;
    struct jit_page *page;

    if (jit->page_count == jit->page_max)
        drop_all(hart);
    page = calloc(1, sizeof(*page));
    if (!page)
        return NULL;
    page->gpa = gpa;
    page->bytes = bytes;
    page->name = ++jit->last_name;
    page->word = code_map_protect(hart->env->code_map, hart, gpa, &page->trusted);
    jit->untrusted += !page->trusted;
    mem_protect(hart, gpa);
    page->next = *bucket(jit, gpa);
    *bucket(jit, gpa) = page;
    jit->page_count++;
    hart->stats.code_pages++;
    return page;
}

/* FENCE.I: pages whose bytes may have changed go. */
static void drop_changed(struct hart *hart)
{
    struct jit *jit = hart->jit.engine;
    struct code_map *map = hart->env->code_map;
    u64 writes = code_map_writes(map);

    if (writes == jit->writes && !jit->untrusted)
        return;
    jit->writes = writes;
    for (u32 i = 0; i < HASH_SIZE; i++) {
        struct jit_page **at = &jit->hash[i];
        while (*at) {
            struct jit_page *page = *at;
            if (page->trusted && !code_map_changed(map, page->gpa, page->word)) {
                at = &page->next;
                continue;
            }
            *at = page->next;
            if (observer(hart))
                observer(hart)->dropped(observer(hart)->ctx, page->gpa);
            jit->untrusted -= !page->trusted;
            free(page);
            jit->page_count--;
            hart->stats.code_drops++;
        }
    }
    empty_links(jit);
}

static void notice_changes(struct hart *hart)
{
    struct jit *jit = hart->jit.engine;

    if (jit->code_flushes != hart->code_flushes)
        drop_all(hart);
    if (jit->code_changes != hart->code_changes)
        drop_changed(hart);
    if (jit->map_changes != hart->map_changes)
        empty_links(jit);
    jit->code_flushes = hart->code_flushes;
    jit->code_changes = hart->code_changes;
    jit->map_changes = hart->map_changes;
}

enum found { FOUND, FAULT, NOT_MEMORY };

static enum found find_page(struct hart *hart, gva_t pc, struct jit_page **found)
{
    struct jit *jit = hart->jit.engine;
    u32 at = (pc >> PAGE_SHIFT) % LINKS;
    const struct gmem_region *region;
    struct jit_page *page;
    struct mmu_page to;
    gpa_t gpa;

    *found = jit->link[at].page;
    if (jit->link[at].tag == code_link_tag(pc, hart->priv))
        return FOUND;
    if (!mmu_translate(hart, pc, 2, ACCESS_EXEC, hart->priv, &to))
        return FAULT;
    gpa = to.gpa & PAGE_MASK;
    region = gmem_find(hart->env->gmem, gpa, PAGE_SIZE);
    if (!region || !to.whole)
        return NOT_MEMORY;
    for (page = *bucket(jit, gpa); page && page->gpa != gpa; page = page->next)
        ;
    if (!page)
        page = page_add(hart, gpa, region->host + (gpa - region->base));
    if (!page)
        return NOT_MEMORY;
    jit->link[at].tag = code_link_tag(pc, hart->priv);
    jit->link[at].page = page;
    note_fill(&jit->link_fills, at);
    *found = page;
    return FOUND;
}

static u32 half(const struct jit_page *page, u32 offset)
{
    return __atomic_load_n((const u16 *)(const void *)(page->bytes + offset), __ATOMIC_RELAXED);
}

/*
 * Lifts from offset on, to a jump, the page's end or as far as there is room; returns where it
 * ends, 0: there is nothing to be had. An instruction that goes on in the next page stands alone.
 */
static u32 lift_block(struct hart *hart, const struct jit_page *page, u32 offset)
{
    struct lift *lift = &hart->jit.engine->lift;
    enum lift_end end = LIFT_GOES_ON;

    lift_begin(lift, &hart->isa);
    while (end == LIFT_GOES_ON && offset < PAGE_SIZE && !lift_is_full(lift)) {
        u32 raw = half(page, offset);
        u64 insn;
        if (insn_is_long(raw)) {
            if (offset == LAST_HALF && lift->count)
                break;
            raw |= (offset == LAST_HALF ? page->tail : half(page, offset + 2)) << 16;
        }
        insn = decode(&hart->isa, raw);
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

static void tell_translated(struct hart *hart, const struct jit_page *page, gva_t pc, u32 size,
                            u32 code)
{
    const struct jit *jit = hart->jit.engine;
    const struct jit_translation t = {
        .tier = 1,
        .gpa = page->gpa + (pc & ~PAGE_MASK),
        .pc = pc,
        .priv = hart->priv,
        .guest_bytes = size,
        .guest_insns = jit->lift.count,
        .host = jit_backend_address(jit->backend, code),
        .host_bytes = jit_compiler_at(jit->compiler) - code,
    };

    observer(hart)->translated(observer(hart)->ctx, &t);
}

/* The code at pc; 0: the interpreter must do one instruction. */
static u32 translate(struct hart *hart, struct jit_page *page, gva_t pc)
{
    struct jit *jit = hart->jit.engine;
    u32 offset = (u32)(pc & ~PAGE_MASK), code, end = lift_block(hart, page, offset);

    if (!end)
        return 0;
    code = jit_backend_compile(jit->compiler, &jit->lift.ir, jit->lift.where, page->name);
    if (!code) { /* full: all goes, page included; the next round finds it again */
        drop_all(hart);
        return 0;
    }
    page->entry[offset >> 1] = code;
    hart->stats.blocks++;
    if (observer(hart))
        tell_translated(hart, page, pc, end - offset, code);
    return code;
}

/* What engine functions are told of the guest instruction, where devices and helpers look for it.
 */
static u64 arrive_at(struct hart *hart, u32 where)
{
    u64 before = hart->insns;

    hart->pc = hart->jit.page + (where & 0xffff);
    hart->insns = before + (where >> 16);
    return before;
}

static struct jit_result engine_load(void *state, u64 address, u32 how, u32 where)
{
    struct hart *hart = state;
    unsigned size = how & 0xff;
    struct jit_result r = {0};
    u64 before = arrive_at(hart, where);

    if (!mem_load_slow(hart, address, size, &r.value))
        return r;
    hart->insns = before;
    /* A device may have answered with more bits than were asked for. */
    r.value = how >> 8 ? sext(r.value, size * 8) : r.value & (UINT64_MAX >> (64 - size * 8));
    r.ok = 1;
    return r;
}

static u64 engine_store(void *state, u64 address, u64 value, u32 how, u32 where)
{
    struct hart *hart = state;
    u64 before = arrive_at(hart, where);

    if (!mem_store_slow(hart, address, how & 0xff, value))
        return 0;
    hart->insns = before;
    return 1;
}

static u64 engine_call(void *state, u64 insn, u32 where)
{
    struct hart *hart = state;
    u64 before = arrive_at(hart, where);

    if (!run_insn(hart, insn))
        return 0;
    hart->insns = before;
    return 1;
}

static void remember_jump(struct hart *hart, u32 code)
{
    struct jit *jit = hart->jit.engine;
    u32 at = hart->priv * JUMPS + (u32)(hart->pc >> 1) % JUMPS;
    u64 address = jit_backend_address(jit->backend, code);

    if (jit->jumps[at].pc == hart->pc && jit->jumps[at].code == address)
        return;
    jit->jumps[at].pc = hart->pc;
    jit->jumps[at].code = address;
    note_fill(&jit->jump_fills, at);
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

static void raise_fault(struct hart *hart)
{
    hart->stats.traps++;
    if (hart->limit != HART_NO_LIMIT)
        hart->limit--;
    trap_exception(hart);
}

/* An engine function said no: an exception, or an instruction after which attention is wanted. */
static void act_on_refusal(struct hart *hart)
{
    if (hart->trap.cause != CAUSE_ATTEND) {
        raise_fault(hart);
        return;
    }
    hart->pc += insn_is_long(code_cache_raw(hart, hart->pc)) ? 4 : 2;
    hart->insns++;
}

/*
 * The page of hart->pc and, of an instruction that goes on in the next page, what stands there.
 * If that cannot be read, or to read it other pages had to go, the interpreter shall see to it.
 */
static enum found find_code(struct hart *hart, struct jit_page **page, u16 *tail)
{
    u32 flushes = hart->jit.engine->flushes;
    enum found found = find_page(hart, hart->pc, page);
    struct jit_page *next;

    *tail = 0;
    if (found != FOUND || (hart->pc & ~PAGE_MASK) != LAST_HALF ||
        !insn_is_long(half(*page, LAST_HALF)))
        return found;
    if (find_page(hart, hart->pc + 2, &next) != FOUND || flushes != hart->jit.engine->flushes)
        return NOT_MEMORY;
    *tail = (u16)half(next, 0);
    return FOUND;
}

static u32 known_code(struct jit_page *page, u32 offset, u16 tail)
{
    if (offset == LAST_HALF && page->tail != tail) {
        page->entry[offset >> 1] = 0;
        page->tail = tail;
    }
    return page->entry[offset >> 1];
}

/* Finds the code at hart->pc, translating if need be; 0: something else was done instead, and *left
 * says whether to leave, as interpret_one. */
static u32 code_at_pc(struct hart *hart, u32 *name, enum hart_exit *left)
{
    u32 offset = hart->pc & ~PAGE_MASK, code;
    struct jit_page *page;
    u16 tail;

    *left = HART_EXIT_STEP;
    switch (find_code(hart, &page, &tail)) {
    case FAULT:
        raise_fault(hart);
        return 0;
    case NOT_MEMORY:
        *left = interpret_one(hart);
        return 0;
    case FOUND:
        break;
    }
    *name = page->name;
    code = known_code(page, offset, tail);
    if (!code)
        code = translate(hart, page, hart->pc);
    if (!code)
        *left = interpret_one(hart);
    return code;
}

enum hart_exit jit_run(struct hart *hart, bool step)
{
    struct jit *jit = hart->jit.engine;
    u32 why = JIT_EXIT_LOOKUP, flushes = 0;
    enum hart_exit left;

    if (step || hart->debug)
        return interp_run(hart, step);
    ASSERT(hart->limit == HART_NO_LIMIT || hart->env->limited);
    for (;;) {
        u32 code, name;
        if (hart->insns >= hart->limit)
            return HART_EXIT_LIMIT;
        if (hart->limit - hart->insns <= JIT_LIMIT_SLACK)
            return interp_run(hart, false);
        if (atomic_load_explicit(&hart->attn, memory_order_relaxed)) {
            system_attend(hart);
            why = JIT_EXIT_LOOKUP;
            if (atomic_load_explicit(&hart->attn, memory_order_relaxed) & ATTN_PAUSE)
                return HART_EXIT_ATTN;
        }
        notice_changes(hart);
        code = code_at_pc(hart, &name, &left);
        if (!code) {
            if (left != HART_EXIT_STEP)
                return left;
            why = JIT_EXIT_LOOKUP;
            continue;
        }
        /* Meanwhile another page may be mapped there, whose code the jump must not be tied to. */
        if (why == JIT_EXIT_CHAIN && flushes == jit->flushes && name == hart->jit.source)
            jit_backend_chain(jit->backend, hart->jit.patch, code);
        else
            remember_jump(hart, code);
        flushes = jit->flushes;
        hart->jit.page = hart->pc & PAGE_MASK;
        hart->jit.limit = hart->limit - JIT_LIMIT_SLACK;
        hart->jit.jumps = &jit->jumps[hart->priv * JUMPS];
        why = jit_backend_run(jit->backend, hart, code);
        if (why == JIT_EXIT_FAULT)
            act_on_refusal(hart);
        else if (why == LIFT_LEAVE_WFI)
            return HART_EXIT_WFI;
        else if (why == LIFT_LEAVE_YIELD)
            return HART_EXIT_YIELD;
        else if (why == LIFT_LEAVE_INTERPRET && (left = interpret_one(hart)) != HART_EXIT_STEP)
            return left;
    }
}
