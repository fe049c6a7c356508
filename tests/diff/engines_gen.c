/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Makes random programs: their rows of items. Each program draws weights of its own for all kinds
 * of items and instructions, some of them 0, so that rare things also come in numbers.
 */
#include "tests/diff/engines.h"

#include "rv/csr.h"

#define FUNCTIONS  4
#define HOT_COST   120000 /* instructions of a hot loop, about */
#define HOT_ROUNDS 4000

struct function {
    u32 item, link;
    bool framed, recursive;
};

/* While a program is made. */
struct gen {
    struct program *p;
    u64 rng;
    const struct fragment *fragment; /* NULL: in a function */
    u32 number;                      /* of the function */
    struct function function[FUNCTIONS];
    bool hot;     /* in a loop of many rounds */
    bool fn_loop; /* in a loop of a function */
};

/* Weight among the others; what it costs; NEEDS. */
enum { TRANSLATION = 1, INTERRUPTS = 2, SUPERVISOR = 4, FRAGMENT = 8, RARE = 16, LATE = 32 };

static const struct {
    u8 weight, cost, needs;
} kinds[ITEM_KINDS] = {
    [ITEM_PLAIN] = {60, 3, 0},
    [ITEM_FP] = {12, 3, 0},
    [ITEM_ATOMIC] = {4, 6, 0},
    [ITEM_BRANCH] = {8, 2, 0},
    [ITEM_JUMP] = {3, 1, 0},
    [ITEM_INDIRECT] = {3, 3, 0},
    [ITEM_SWITCH] = {3, 7, 0},
    [ITEM_CALL] = {6, 30, 0},
    [ITEM_XSET] = {4, 3, 0},
    [ITEM_FSET] = {5, 5, 0},
    [ITEM_STIR] = {4, 2, 0},
    [ITEM_WALK] = {5, 4, 0},
    [ITEM_ROWS] = {6, 24, 0},
    [ITEM_PATCHED] = {4, 1, 0},
    [ITEM_PATCH] = {4, 40, RARE},
    [ITEM_POOL] = {3, 5, 0},
    [ITEM_WILD] = {3, 40, LATE},
    [ITEM_MMIO] = {3, 5, 0},
    [ITEM_IRQ] = {3, 60, INTERRUPTS | LATE},
    [ITEM_PTE] = {3, 60, TRANSLATION | LATE},
    [ITEM_PTE_LOCAL] = {3, 20, TRANSLATION | FRAGMENT | SUPERVISOR | RARE},
    [ITEM_SATP] = {1, 20, TRANSLATION | FRAGMENT | SUPERVISOR | LATE},
    [ITEM_CSR] = {4, 4, 0},
    [ITEM_PMP] = {1, 10, LATE},
    [ITEM_FCSR] = {4, 2, 0},
    [ITEM_FS] = {1, 4, LATE},
    [ITEM_FENCE] = {3, 10, RARE},
    [ITEM_WFI] = {1, 20, LATE},
    [ITEM_CROSS] = {2, 3, 0},
    [ITEM_BAIL] = {1, 2, LATE},
};

static u64 rnd(struct gen *g, u64 below)
{
    return engines_rnd(&g->rng, below);
}

static struct item *add(struct gen *g, enum item_kind kind)
{
    struct program *p = g->p;
    struct item *item = &p->item[p->count < ITEMS_MAX - 1 ? p->count++ : p->count];

    *item = (struct item){.kind = kind, .seed = test_random(&g->rng)};
    return item;
}

static void draw_weights(struct gen *g)
{
    static const u8 classes[CLASSES] = {
        [CLASS_INT] = 40,   [CLASS_MEM] = 22,  [CLASS_FP] = 8,     [CLASS_FP_MEM] = 4,
        [CLASS_ATOMIC] = 6, [CLASS_CACHE] = 1, [CLASS_CRYPTO] = 3, [CLASS_HINT] = 2,
    };
    struct program *p = g->p;

    for (u32 i = 0; i < ITEM_KINDS; i++) {
        u32 draw = (u32)rnd(g, 4);
        p->item_weight[i] = (u8)(kinds[i].weight * (draw == 0 ? 0 : draw == 3 ? 3 : 1));
        if ((kinds[i].needs & INTERRUPTS && !p->interrupts) ||
            (kinds[i].needs & TRANSLATION && !p->translated))
            p->item_weight[i] = 0;
    }
    if (!p->item_weight[ITEM_PLAIN])
        p->item_weight[ITEM_PLAIN] = kinds[ITEM_PLAIN].weight;
    for (u32 i = 0; i < CLASSES; i++) {
        u32 draw = (u32)rnd(g, 4);
        p->class_weight[i] = (u8)(classes[i] * (draw == 0 ? 0 : draw == 3 ? 4 : 1));
    }
    if (!p->class_weight[CLASS_INT])
        p->class_weight[CLASS_INT] = 8;
}

static enum item_kind random_kind(struct gen *g)
{
    const struct program *p = g->p;
    u32 sum = 0, at, kind = 0;
    u8 needs;

    for (u32 i = 0; i < ITEM_KINDS; i++)
        sum += p->item_weight[i];
    at = (u32)rnd(g, sum);
    while (at >= p->item_weight[kind])
        at -= p->item_weight[kind++];
    needs = kinds[kind].needs;
    if ((needs & FRAGMENT && !g->fragment) || (needs & SUPERVISOR && g->fragment->priv == PRIV_U) ||
        (kind == ITEM_SATP && g->fragment->priv != PRIV_S))
        return ITEM_PLAIN;
    return (enum item_kind)kind;
}

/* A call of a function further on; ITEM_CALL's to is its number until all are placed. */
static void add_call(struct gen *g)
{
    u32 first = g->fragment ? 0 : g->number + 1;
    struct item *item;

    if (first >= FUNCTIONS || g->fn_loop) { /* what is called might use the same counter */
        add(g, ITEM_PLAIN)->value = 1;
        return;
    }
    item = add(g, ITEM_CALL);
    item->to = first + (u32)rnd(g, FUNCTIONS - first);
    if (!g->function[item->to].recursive)
        return;
    /* One depth register: a function in between might wind it up for ever. */
    if (g->fragment)
        item->value = 1 + (u32)rnd(g, 12);
    else
        item->kind = ITEM_NONE;
}

/* What would end a hot loop early, or cost too much in each round, comes late in it. */
static void add_random(struct gen *g, u32 levels)
{
    enum item_kind kind = random_kind(g);
    u8 needs = kinds[kind].needs;
    struct item *item;

    if (kind == ITEM_BAIL || (g->hot && needs & LATE) || (g->hot && needs & RARE && rnd(g, 4)) ||
        (levels && needs & (RARE | LATE) && !rnd(g, 3))) {
        item = add(g, ITEM_LATE);
        item->to = g->p->count + 1;
        item->level = levels ? (u32)rnd(g, levels) : (u32)rnd(g, 2);
        item->value = levels ? 0 : 1 + (u32)rnd(g, g->p->hot ? 300 : 6);
    }
    if (kind == ITEM_CALL) {
        add_call(g);
        return;
    }
    item = add(g, kind);
    if (kind == ITEM_PLAIN || kind == ITEM_FP)
        item->value = (2u << rnd(g, 5)) - 1;
    else if (kind == ITEM_PTE_LOCAL)
        item->value = (u32)g->fragment->priv;
}

/* Instructions that a row takes, loops within counted as often as they run. */
static u32 cost_of(const struct program *p, u32 first, u32 end)
{
    u32 cost = 0, from[3] = {0};

    for (u32 i = first; i < end; i++) {
        const struct item *item = &p->item[i];
        if (item->kind < ITEM_KINDS)
            cost += kinds[item->kind].cost;
        if (item->kind == ITEM_LOOP_BEGIN)
            from[item->level] = cost;
        else if (item->kind == ITEM_LOOP_END)
            cost += (cost - from[item->level]) * p->item[item->to].value;
    }
    return cost + 1;
}

static void add_items(struct gen *g, u32 count, u32 level);

static void add_loop(struct gen *g, u32 level)
{
    struct program *p = g->p;
    u32 begin = p->count, rounds = 1 + (u32)rnd(g, 6), most;
    bool was_hot = g->hot, hot = p->hot && (g->hot ? !rnd(g, 2) : rnd(g, 4) && level != LOOP_FN);
    struct item *end;

    g->hot |= hot;
    add(g, ITEM_LOOP_BEGIN)->level = level;
    if (!rnd(g, 4))
        add(g, ITEM_PATCHED);
    if (hot)
        add(g, ITEM_STIR)->level = level;
    g->fn_loop = level == LOOP_FN;
    add_items(g, 2 + (u32)rnd(g, 8), level + 1);
    g->fn_loop = false;
    end = add(g, ITEM_LOOP_END);
    end->level = level;
    end->to = begin;
    most = HOT_COST / cost_of(p, begin, p->count);
    most = most > HOT_ROUNDS ? HOT_ROUNDS : most;
    if (hot && most > 10)
        rounds = most / 4 + (u32)rnd(g, most);
    if (was_hot && rounds > 40)
        rounds = 2 + rounds % 39;
    p->item[begin].value = rounds;
    for (u32 i = begin; i < p->count; i++) {
        struct item *item = &p->item[i];
        if (item->kind == ITEM_LATE && item->level == level && !item->value)
            item->value = 1 + (u32)rnd(g, rnd(g, 2) ? rounds : rounds / 8 + 1);
    }
    g->hot = was_hot;
}

static void add_items(struct gen *g, u32 count, u32 level)
{
    while (count--) {
        if ((level < 2 && !rnd(g, g->p->hot ? 5 : 12)) ||
            (level == LOOP_FN && !g->fragment && !rnd(g, 12)))
            add_loop(g, level);
        else
            add_random(g, level > LOOP_FN || !g->fragment ? 0 : level);
    }
}

/* Not into a loop of many rounds: there, the counter of another might multiply them. */
static u32 before_loops(const struct program *p, u32 from, u32 to)
{
    for (u32 i = from; p->hot && i < to; i++) {
        if (p->item[i].kind == ITEM_LOOP_BEGIN)
            return i;
    }
    return to;
}

/* Jumps lead a little forward, not beyond the end of their fragment or function. */
static void aim_jumps(struct gen *g, u32 first, u32 end)
{
    for (u32 i = first; i < end; i++) {
        struct item *item = &g->p->item[i];
        u32 to = i + 1 + (u32)rnd(g, 6);
        switch (item->kind) {
        case ITEM_BRANCH:
        case ITEM_JUMP:
        case ITEM_INDIRECT:
        case ITEM_PATCHED:
            item->to = before_loops(g->p, i + 1, to < end ? to : end);
            break;
        case ITEM_LATE:
            item->to = item->to < end ? item->to : end;
            break;
        default:
            break;
        }
    }
}

/* The first of a kind at or after an item, or from the beginning; count: there is none. */
static u32 find_kind(const struct program *p, enum item_kind kind, u32 at)
{
    for (u32 n = 0; n < p->count; n++, at++) {
        if (p->item[at % p->count].kind == kind)
            return at % p->count;
    }
    return p->count;
}

/* Calls go to their function, patches to a PATCHED, mostly one nearby. */
static void aim_calls(struct gen *g)
{
    struct program *p = g->p;

    for (u32 i = 0; i < p->count; i++) {
        struct item *item = &p->item[i];
        if (item->kind == ITEM_CALL || item->kind == ITEM_TAIL) {
            const struct function *f = &g->function[item->to];
            item->to = f->item;
            item->level = f->link;
        } else if (item->kind == ITEM_PATCH) {
            u32 from = rnd(g, 3) ? i + p->count - (u32)rnd(g, 12) : (u32)rnd(g, p->count);
            item->to = find_kind(p, ITEM_PATCHED, from % p->count);
            if (item->to == p->count)
                item->kind = ITEM_NONE;
        }
    }
}

static void draw_data(struct gen *g, struct fragment *f)
{
    static const u64 u_views[] = {VIEW_U, VIEW_U, VIEW_U, VIEW_U_2M, VIEW_U_1G},
                     s_views[] = {RAM_BASE, RAM_BASE, VIEW_S_2M, VIEW_S_1G, VIEW_S_HIGH};

    if (f->priv == PRIV_U || !rnd(g, 4)) {
        f->data_view = u_views[rnd(g, ARRAY_SIZE(u_views))];
        if (f->priv == PRIV_S)
            f->mstatus |= MSTATUS_SUM;
        else if (f->priv == PRIV_M)
            f->mstatus |= MSTATUS_MPRV; /* MRET leaves U behind in MPP */
        return;
    }
    if (f->priv == PRIV_S)
        f->data_view = s_views[rnd(g, ARRAY_SIZE(s_views))];
}

static void draw_fragment(struct gen *g, struct fragment *f)
{
    static const u64 u_views[] = {VIEW_U, VIEW_U, VIEW_U_2M, VIEW_U_1G},
                     s_views[] = {RAM_BASE, RAM_BASE, VIEW_S_2M, VIEW_S_1G, VIEW_S_HIGH};
    u64 mode = rnd(g, 3);

    f->priv = mode == 0 ? PRIV_M : mode == 1 ? PRIV_S : PRIV_U;
    f->copy = rnd(g, 2);
    f->view = f->data_view = RAM_BASE;
    f->mmio = MMIO_BASE;
    f->mstatus = (u64)f->priv << 11 | (rnd(g, 10) ? (1 + rnd(g, 3)) << 13 : 0) | MSTATUS_MPIE |
                 (test_random(&g->rng) & (MSTATUS_SUM | MSTATUS_MXR));
    f->budget = g->p->hot ? 30 + (u32)rnd(g, 200) : 10 + (u32)rnd(g, 80);
    f->nested = g->p->guests && rnd(g, 4);
    f->guest = g->p->guests && f->priv != PRIV_M && rnd(g, 3);
    if (f->guest)
        f->mstatus |= MSTATUS_MPV;
    if (!g->p->translated)
        return;
    f->space = rnd(g, 3) ? 0 : 1;
    f->mode = rnd(g, 2) ? 8 : 8 + (u32)rnd(g, 3);
    draw_data(g, f);
    if (f->priv == PRIV_M)
        return;
    f->view = f->priv == PRIV_U ? u_views[rnd(g, 4)] : s_views[rnd(g, 5)];
    f->mmio = f->priv == PRIV_U ? VIEW_U_MMIO : VIEW_S_MMIO;
}

static void draw_functions(struct gen *g)
{
    for (u32 i = 0; i < FUNCTIONS; i++) {
        struct function *f = &g->function[i];
        f->recursive = !rnd(g, 3);
        f->framed = f->recursive || rnd(g, 2);
        f->link = f->framed && !rnd(g, 3) ? REG_LINK : REG_RA;
    }
}

static void add_function(struct gen *g, u32 number)
{
    struct program *p = g->p;
    struct function *f = &g->function[number];
    u32 begin = p->count, first, recurse = 0;

    f->item = begin;
    g->number = f->framed ? number : FUNCTIONS;
    if (f->recursive) {
        recurse = p->count;
        add(g, ITEM_RECURSE);
    }
    if (f->framed)
        add(g, ITEM_ENTER)->level = f->link;
    first = p->count;
    add_items(g, 1 + (u32)rnd(g, 5), LOOP_FN);
    for (u32 n = f->recursive ? 1 + (u32)rnd(g, 2) : 0; n--;) {
        add(g, ITEM_CALL)->to = number;
        add_items(g, 1 + (u32)rnd(g, 2), LOOP_FN + 1);
    }
    aim_jumps(g, first, p->count);
    if (f->framed)
        add(g, ITEM_LEAVE)->level = f->link;
    if (f->recursive)
        p->item[recurse].to = p->count;
    if (f->link == REG_RA && number + 1 < FUNCTIONS && !rnd(g, 4) &&
        g->function[number + 1].link == REG_RA && !g->function[number + 1].recursive)
        add(g, ITEM_TAIL)->to = number + 1;
    else
        add(g, ITEM_RETURN)->level = f->link;
}

bool engines_gen(struct program *p, u64 seed, bool exact)
{
    struct gen gen = {.p = p, .rng = seed}, *g = &gen;

    memset(p, 0, sizeof(*p));
    p->seed = seed;
    p->translated = rnd(g, 4);
    p->interrupts = !rnd(g, exact ? 2 : 4);
    p->vague = p->interrupts && !exact;
    p->delegates = !rnd(g, 4);
    p->repairs = !rnd(g, 4);
    p->s_update = rnd(g, 2);
    p->hot = !rnd(g, 3);
    p->calm = rnd(g, p->hot ? 4 : 2);
    p->compressed = engines_compressed();
    p->guests = engines_guests();
    draw_weights(g);
    draw_functions(g);
    p->fragments = 1 + (u32)rnd(g, p->hot ? 4 : FRAGMENTS_MAX);
    for (u32 i = 0; i < p->fragments; i++) {
        u32 first = p->count;
        p->fragment[i].item = first;
        draw_fragment(g, &p->fragment[i]);
        g->fragment = &p->fragment[i];
        add_items(g, 4 + (u32)rnd(g, 16), 0);
        aim_jumps(g, first, p->count);
        add(g, ITEM_END);
    }
    p->functions = p->count;
    g->fragment = NULL;
    for (u32 i = 0; i < FUNCTIONS; i++)
        add_function(g, i);
    add(g, ITEM_END);
    if (p->count == ITEMS_MAX - 1)
        return false;
    aim_calls(g);
    return true;
}
