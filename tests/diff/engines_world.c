/* SPDX-License-Identifier: BSD-2-Clause */
/* An engine with a hart, memory, a device and nothing else: runs programs of engines.h. */
#include "tests/diff/engines.h"

#include "exec/jit.h"
#include "rv/code_cache.h"
#include "rv/code_map.h"
#include "rv/csr.h"
#include "rv/disasm.h"
#include "rv/interp.h"
#include "rv/pmp.h"
#include "rv/trap.h"
#include "tests/fake.h"
#include "tests/ram.h"

#include <inttypes.h>

#define TRAPS_TOO_MANY 20000

struct world {
    const struct engine_kind *kind;
    struct hart *hart, *harts[1];
    struct hart_env env;
    struct gmem gmem;
    struct code_map map;
    u8 *ram;
    bool limits, vague, ended;
    u64 deadline; /* of the supervisor's timer, in instructions */
    u32 traps;
    u64 sum; /* of all MMIO accesses and of the registers wherever the engine came back */
};

static bool attach_jit1(struct hart *hart, u32 code_size, u32 pages)
{
    const struct jit_config config = {
        .code_size = code_size, .segments = 4, .pages = pages, .limited = hart->env->limited};

    return jit_attach_alone(hart, &config);
}

/* What is met for the first time is interpreted. */
static bool attach_patient(struct hart *hart, u32 code_size, u32 pages)
{
    const struct jit_config config = {.code_size = code_size,
                                      .segments = 4,
                                      .pages = pages,
                                      .limited = hart->env->limited,
                                      .patient = true};

    return jit_attach_alone(hart, &config);
}

/* Blocks by the view, which is there for a part of the time. */
static bool attach_views(struct hart *hart, u32 code_size, u32 pages)
{
    const struct jit_config config = {.code_size = code_size,
                                      .segments = 4,
                                      .pages = pages,
                                      .limited = hart->env->limited,
                                      .view_after = 40,
                                      .view_blocks = true};

    return jit_attach_alone(hart, &config);
}

/* With regions as early and as many as possible, on this thread: a seed says what happens. */
static bool attach_jit(struct hart *hart, u32 code_size, u32 pages)
{
    const struct jit_config config = {.code_size = code_size,
                                      .segments = 4,
                                      .pages = pages,
                                      .limited = hart->env->limited,
                                      .regions = true,
                                      .heat = 1,
                                      .view_after = 1,
                                      .at_once = true};

    return jit_attach_alone(hart, &config);
}

static const struct engine_kind engine_kinds[] = {
    {"interp", NULL, interp_run},         {"jit1", attach_jit1, jit_run},
    {"patient", attach_patient, jit_run}, {"jit", attach_jit, jit_run},
    {"views", attach_views, jit_run},
};

const struct engine_kind *engine_find(const char *name)
{
    for (u32 i = 0; i < ARRAY_SIZE(engine_kinds); i++) {
        if (!strcmp(engine_kinds[i].name, name))
            return &engine_kinds[i];
    }
    return NULL;
}

/* Instructions, where all engines agree on them. */
static u64 world_time(void *ctx)
{
    const struct world *w = ctx;

    return w->vague ? 42 : w->hart->insns;
}

/* The timer's wire as of now. Whether the hart is to stop for it later is up to its limit. */
static void tick(struct world *w)
{
    struct hart *hart = w->hart;

    if (hart->insns < w->deadline) {
        atomic_fetch_and(&hart->irq_wires, ~BIT(IRQ_STI));
        if (hart->limit > w->deadline)
            hart->limit = w->deadline;
    } else {
        atomic_fetch_or(&hart->irq_wires, BIT(IRQ_STI));
    }
    hart_attention(hart, ATTN_IRQ); /* so that the engine sees the limit, too */
}

static void world_set_stimecmp(void *ctx, struct hart *hart, u64 time)
{
    struct world *w = ctx;

    if (!w->limits)
        return;
    w->deadline = time;
    tick(w);
}

static void world_entropy(void *ctx, void *buf, size_t len)
{
    memset(buf, 7, len);
}

static u64 mix(u64 sum, u64 a, u64 b, u64 c)
{
    u64 state = sum ^ a ^ b << 20 ^ c * 3;

    return test_random(&state);
}

static bool world_read(void *ctx, gpa_t gpa, u32 size, u64 *value)
{
    struct world *w = ctx;

    if (gpa < MMIO_BASE || gpa >= MMIO_BASE + MMIO_SIZE)
        return false;
    w->sum = mix(w->sum, gpa, size, 0);
    *value = w->sum;
    return true;
}

static bool world_write(void *ctx, gpa_t gpa, u32 size, u64 value)
{
    struct world *w = ctx;

    if (gpa < MMIO_BASE || gpa >= MMIO_BASE + MMIO_SIZE)
        return false;
    if (gpa == MMIO_BASE + MMIO_END) {
        w->ended = true;
        hart_attention(w->hart, ATTN_PAUSE);
    } else if (gpa == MMIO_BASE + MMIO_CLEAR) {
        atomic_fetch_and(&w->hart->irq_wires, ~WIRES);
    } else if (gpa == MMIO_BASE + MMIO_RAISE) {
        atomic_fetch_or(&w->hart->irq_wires, value & WIRES);
        hart_attention(w->hart, ATTN_IRQ);
    } else {
        w->sum = mix(w->sum, gpa, size, value);
    }
    return true;
}

static void world_trapped(void *ctx, struct hart *hart, u64 cause, u64 tval)
{
    struct world *w = ctx;

    if (++w->traps == TRAPS_TOO_MANY)
        hart_attention(hart, ATTN_PAUSE);
}

static void world_written(void *ctx, gpa_t gpa, u64 len)
{
    code_map_written(&((struct world *)ctx)->map, gpa, len);
}

struct world *world_create(const struct engine_kind *kind, const struct isa *isa, u32 code_size,
                           u32 pages, bool limits)
{
    struct world *w = calloc(1, sizeof(*w));

    ASSERT(w);
    w->kind = kind;
    w->limits = limits;
    w->hart = aligned_alloc(64, align_up(sizeof(*w->hart), 64));
    w->ram = test_ram_create(RAM_SIZE);
    w->map = (struct code_map){.base = RAM_BASE, .pages = RAM_PAGES};
    w->map.state = calloc(RAM_PAGES, sizeof(*w->map.state));
    ASSERT(w->hart && w->map.state);
    memset(w->hart, 0, sizeof(*w->hart));
    w->gmem = (struct gmem){.region = {{RAM_BASE, RAM_SIZE, w->ram, false}},
                            .count = 1,
                            .written = world_written,
                            .ctx = w};
    w->harts[0] = w->hart;
    w->env = (struct hart_env){.gmem = &w->gmem,
                               .bus = {world_read, world_write, w},
                               .entropy = {world_entropy, w},
                               .time = world_time,
                               .set_stimecmp = world_set_stimecmp,
                               .ctx = w,
                               .trapped = world_trapped,
                               .trapped_ctx = w,
                               .code_map = &w->map,
                               .harts = w->harts,
                               .hart_count = 1,
                               .limited = limits};
    w->hart->env = &w->env;
    w->hart->isa = *isa;
    w->hart->code = code_cache_create(1);
    ASSERT(w->hart->code);
    if (kind->attach && !kind->attach(w->hart, code_size, pages))
        abort();
    return w;
}

const struct hart *world_hart(const struct world *w)
{
    return w->hart;
}

u32 world_traps(const struct world *w)
{
    return w->traps;
}

static void poke(struct world *w, u32 number, u64 value)
{
    if (!csr_poke(w->hart, number, value))
        abort();
}

static void world_reset(struct world *w, const struct program *p, const u8 *image)
{
    struct hart *hart = w->hart;
    u64 rng = p->seed ^ 0x4e6;

    memcpy(w->ram, image, RAM_SIZE);
    w->sum = w->traps = w->ended = 0;
    w->vague = p->vague;
    w->deadline = UINT64_MAX;
    atomic_store(&hart->attn, 0);
    atomic_store(&hart->irq_wires, 0);
    atomic_store(&hart->irq_soft, 0);
    hart->insns = 0;
    hart->trap = (struct trap){0};
    hart->reserved_value = hart->reserved_size = 0;
    hart_reset(hart, RAM_BASE);
    code_cache_flush(hart);
    for (u32 i = 1; i < 32; i++) {
        u64 v = test_random(&rng);
        hart->x[i] = (i >= REG_BASE && i <= REG_LOOP + 1) || i == REG_DEPTH ? 0
                     : v & 1                                                ? v
                             : (u64)(s64)(s16)(v >> 8);
        hart->f[i] = v & 2 ? v : v | GENMASK(63, 32);
    }
    hart->x[REG_RA] = 0;
    poke(w, CSR_mtvec, RAM_BASE);
    poke(w, CSR_stvec, RAM_BASE + PAGE_S_HANDLER * PAGE_SIZE);
    poke(w, CSR_mscratch, RAM_BASE + PAGE_SAVE * PAGE_SIZE);
    poke(w, CSR_medeleg, p->delegates ? BIT(CAUSE_LOAD_PAGE) | BIT(CAUSE_STORE_PAGE) : 0);
    poke(w, CSR_mie, WIRES | BIT(IRQ_STI));
    poke(w, CSR_mcounteren, UINT32_MAX);
    poke(w, CSR_scounteren, UINT32_MAX);
    poke(w, CSR_menvcfg,
         ENVCFG_STCE | ENVCFG_CBIE | ENVCFG_CBCFE | ENVCFG_CBZE | (p->s_update ? ENVCFG_ADUE : 0));
    poke(w, CSR_senvcfg, ENVCFG_CBIE | ENVCFG_CBCFE | ENVCFG_CBZE);
    if (p->guests) {
        poke(w, CSR_vstvec, RAM_BASE + PAGE_S_HANDLER * PAGE_SIZE); /* as it is mapped for it */
        poke(w, CSR_hedeleg, p->seed & 1 ? UINT64_MAX : 0);
        poke(w, CSR_hcounteren, UINT32_MAX);
        poke(w, CSR_henvcfg, UINT64_MAX);
    }
    poke(w, CSR_pmpaddr0 + 15, UINT64_MAX);
    poke(w, CSR_pmpcfg0 + 2, (u64)(PMP_NAPOT << 3 | PMP_RWX) << 56);
    /* As if an ECALL had come: the handler enters the first fragment. */
    poke(w, CSR_mcause, CAUSE_ECALL_M);
    hart->x[17] = 0;
}

/*
 * The engine came back for a WFI or a hint, or because it was to: exactly there. But not for a hint
 * in a page that is not wholly accessible: there a translating engine may take it for a NOP.
 */
static void add_state(struct world *w, enum hart_exit why)
{
    const struct hart *hart = w->hart;

    if (why != HART_EXIT_LIMIT && hart->csr.pmpcfg[0])
        return;
    w->sum = mix(w->sum, hart->pc, (u64)why, hart->insns);
    for (u32 i = 1; i < 32; i++)
        w->sum = mix(w->sum, hart->x[i], hart->f[i], i);
}

/* How far to go until the next stop: at times step by step, in long loops rarely. */
static u64 draw_limit(const struct program *p, u64 draw)
{
    static const u32 most[] = {2000, 2000, 40, 6};

    return draw % (p->hot && draw >> 60 ? 50000 : most[draw >> 58 & 3]);
}

/* After so many instructions, or when the timer is due. */
static void stop_soon(struct world *w, u64 insns)
{
    struct hart *hart = w->hart;

    hart->limit = hart->insns + insns;
    if (w->deadline > hart->insns && w->deadline < hart->limit)
        hart->limit = w->deadline;
    else if (w->deadline <= hart->insns)
        tick(w);
}

void world_run(struct world *w, const struct program *p, const u8 *image)
{
    static const u8 wires[] = {IRQ_MSI, IRQ_MTI, IRQ_MEI, IRQ_SEI};
    struct hart *hart = w->hart;
    u64 rng = p->seed ^ 0x11417;

    world_reset(w, p, image);
    for (;;) {
        u64 draw = test_random(&rng);
        enum hart_exit why;
        if (w->limits)
            stop_soon(w, draw_limit(p, draw));
        why = w->kind->run(hart, false);
        if (why == HART_EXIT_ATTN)
            return;
        add_state(w, why);
        if (why == HART_EXIT_LIMIT && p->interrupts && (draw & 6)) {
            atomic_fetch_or(&hart->irq_wires, BIT(wires[draw >> 40 & 3]));
            hart_attention(hart, ATTN_IRQ);
        }
    }
}

bool world_is_ruined(const struct world *w, const u8 *image)
{
    static const u32 kept[][2] = {
        {PAGE_HANDLER * PAGE_SIZE, PAGE_SAVE * PAGE_SIZE},
        {PAGE_SAVE * PAGE_SIZE + SAVE_TABLE, PAGE_SAVE * PAGE_SIZE + SAVE_LOG},
        {PAGE_SPECIALS * PAGE_SIZE, PAGE_CODE * PAGE_SIZE},
    };
    bool ruined = false;

    for (u32 i = 0; i < ARRAY_SIZE(kept); i++)
        ruined |= memcmp(w->ram + kept[i][0], image + kept[i][0], kept[i][1] - kept[i][0]) != 0;
    return ruined;
}

/* ---- comparing ---- */

/* What is being compared, and how it went. */
struct comparison {
    bool show;
    const char *names[2];
    u32 differences;
};

static void compare(struct comparison *c, const char *name, u64 index, u64 a, u64 b)
{
    if (a == b)
        return;
    if (c->show && c->differences < 24)
        printf("#   %s %" PRIx64 ": %s %016" PRIx64 ", %s %016" PRIx64 "\n", name, index,
               c->names[0], a, c->names[1], b);
    c->differences++;
}

static void compare_words(struct comparison *c, const char *name, const void *a, const void *b,
                          size_t size)
{
    for (size_t i = 0; i + 8 <= size; i += 8) {
        u64 x, y;
        memcpy(&x, (const u8 *)a + i, 8);
        memcpy(&y, (const u8 *)b + i, 8);
        compare(c, name, i, x, y);
    }
}

static u64 reservation(const struct world *w)
{
    return w->hart->reserved ? (u64)((u8 *)w->hart->reserved - w->ram) : 1;
}

u32 world_compare(const struct world *a, const struct world *b, bool show)
{
    const struct hart *x = a->hart, *y = b->hart;
    struct comparison comparison = {show, {a->kind->name, b->kind->name}, 0}, *c = &comparison;

    compare(c, "ended", 0, a->ended, b->ended);
    compare(c, "traps", 0, a->traps, b->traps);
    compare(c, "pc", 0, x->pc, y->pc);
    compare(c, "insns", 0, x->insns, y->insns);
    compare(c, "mode", 0, x->mode, y->mode);
    compare(c, "sum of accesses and exits", 0, a->sum, b->sum);
    for (u32 i = 0; i < 32; i++)
        compare(c, disasm_x_name(i), i, x->x[i], y->x[i]);
    for (u32 i = 0; i < 32; i++)
        compare(c, disasm_f_name(i), i, x->f[i], y->f[i]);
    compare_words(c, "csr at", &x->csr, &y->csr, sizeof(x->csr));
    compare(c, "reserved", 0, reservation(a), reservation(b));
    if (memcmp(a->ram, b->ram, RAM_SIZE) != 0)
        compare_words(c, "memory", a->ram, b->ram, RAM_SIZE);
    return c->differences;
}
