/* SPDX-License-Identifier: BSD-2-Clause */
/* Makes a program of engines.h that fails smaller, and prints it. */
#include "tests/diff/engines.h"

#include "base/endian.h"
#include "rv/disasm.h"

#include <inttypes.h>
#include <stdio.h>

#define SHRINK_RUNS 3000

struct shrink {
    struct program *p;
    engines_fails_fn fails;
    u32 runs;
};

static bool still_fails(struct shrink *s)
{
    return s->runs++ < SHRINK_RUNS && s->fails(s->p);
}

/* Fewer rounds, fewer instructions. */
static bool reduce_value(struct shrink *s, struct item *item)
{
    u32 was = item->value;
    bool bits = item->kind == ITEM_PLAIN || item->kind == ITEM_FP, smaller = false;

    for (u32 bit = 0; bits && bit < 8; bit++) {
        u32 before = item->value;
        item->value &= ~(1u << bit);
        if (item->value == before)
            continue;
        if (still_fails(s))
            smaller = true;
        else
            item->value = before;
    }
    for (u32 less = 1; item->kind == ITEM_LOOP_BEGIN && less < was; less = less * 2 + 1) {
        item->value = less;
        if (still_fails(s))
            return true;
        item->value = was;
    }
    return smaller;
}

static bool is_fixed(enum item_kind kind)
{
    return kind == ITEM_NONE || kind == ITEM_END || kind == ITEM_RETURN || kind == ITEM_ENTER ||
           kind == ITEM_LEAVE || kind == ITEM_TAIL || kind == ITEM_RECURSE;
}

/* Rows of items, long ones first. */
static bool remove_row(struct shrink *s, u32 first, u32 count)
{
    struct item was[64];
    bool any = false;

    for (u32 i = 0; i < count; i++) {
        was[i] = s->p->item[first + i];
        if (is_fixed(was[i].kind))
            continue;
        s->p->item[first + i].kind = ITEM_NONE;
        any = true;
    }
    if (!any)
        return false;
    if (still_fails(s))
        return true;
    memcpy(&s->p->item[first], was, count * sizeof(was[0]));
    return false;
}

void engines_shrink(struct program *p, engines_fails_fn fails)
{
    struct shrink shrink = {p, fails, 0}, *s = &shrink;
    bool again = true;

    for (u32 row = 64; row > 1; row /= 2) {
        for (u32 i = 0; i + row <= p->count; i += row)
            (void)remove_row(s, i, row);
    }
    while (again && s->runs < SHRINK_RUNS) {
        again = false;
        for (u32 i = p->count; i-- > 0;) {
            again |= remove_row(s, i, 1);
            again |= reduce_value(s, &p->item[i]);
        }
    }
    (void)fails(p);
}

static void print_item(const struct program *p, u32 item, const u8 *image, const struct isa *isa)
{
    const u8 *code = image + PAGE_CODE * PAGE_SIZE;
    u32 at = p->offset[item], end = p->offset[item + 1];

    if (p->item[item].kind == ITEM_CROSS && end - at > 64)
        printf("#   %05x  (on to %05x)\n", at, end);
    if (p->item[item].kind == ITEM_PTE || p->item[item].kind == ITEM_LATE)
        printf("#          %s\n", p->item[item].kind == ITEM_PTE ? "PTE" : "late");
    for (u32 n = 0; n < 64 && at < end && p->item[item].kind != ITEM_CROSS; n++) {
        u32 raw = le16_load(code + at);
        char text[DISASM_MAX];
        if (insn_is_long(raw))
            raw |= (u32)le16_load(code + at + 2) << 16;
        (void)disasm(isa, raw, at, text, sizeof(text));
        printf("#   %05x  %08x  %s\n", at, raw, text);
        at += insn_is_long(raw) ? 4 : 2;
    }
}

void engines_print(const struct program *p, const u8 *image, const struct isa *isa)
{
    u32 next = 0;

    printf("# seed %" PRIu64 " made smaller:%s%s%s%s%s\n", p->seed,
           p->translated ? " translation" : "", p->interrupts ? " interrupts" : "",
           p->delegates ? " delegation" : "", p->s_update ? " A and D" : "",
           p->repairs ? " repairs" : "");
    for (u32 i = 0; i < p->count; i++) {
        if (next < p->fragments && p->fragment[next].item == i) {
            const struct fragment *f = &p->fragment[next++];
            printf("#  fragment in mode %s%d%s at %" PRIx64 "%s, data at %" PRIx64
                   ", space %u, Sv%u\n",
                   f->guest ? "V" : "", (int)f->priv, f->nested ? " nested" : "", f->view,
                   f->copy ? " (copy)" : "", f->data_view, f->space,
                   f->mode ? 39 + 9 * (f->mode - 8) : 0);
        }
        print_item(p, i, image, isa);
    }
}
