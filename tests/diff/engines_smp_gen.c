/* SPDX-License-Identifier: BSD-2-Clause */
/* Makes the programs of engines_smp.h: who does what in which round, and the image of RAM. */
#include "tests/diff/engines_smp.h"

#include "base/endian.h"
#include "rv/csr.h"

#define POOL 8 /* bytes of data a hart, after each function */

/* ---- who does what ---- */

/* A change that a hart has not fenced for: when and whose; round 0: none. */
struct change {
    u32 round, by;
};

struct plan {
    struct smp_program *p;
    u64 rng;
    struct change code[SMP_HARTS][SMP_FUNCTIONS][2]; /* by copy of the region */
    struct change map[SMP_HARTS][SMP_REGIONS];
    bool copy[SMP_REGIONS]; /* which one is mapped */
    /* Who made the others fence in this round, and for what. */
    enum smp_kind remote[SMP_HARTS];
    bool remote_map[SMP_HARTS];
    /* In this round: who changes a function or moves a region; SMP_HARTS: nobody. */
    u32 round, changer[SMP_FUNCTIONS], mover[SMP_REGIONS];
};

static u64 rnd(struct plan *plan, u64 below)
{
    return engines_rnd(&plan->rng, below);
}

static struct smp_action *act(struct plan *plan, u32 hart, enum smp_kind kind)
{
    struct smp_program *p = plan->p;
    struct smp_action *a = &p->action[p->count < SMP_ACTIONS - 1 ? p->count++ : p->count];

    *a = (struct smp_action){
        .kind = kind, .hart = hart, .round = plan->round, .seed = test_random(&plan->rng)};
    return a;
}

/* Hart has fenced: what it can have seen by now is behind it. by: who else made it fence. */
static void code_is_fenced(struct plan *plan, u32 hart, u32 by)
{
    for (u32 f = 0; f < SMP_FUNCTIONS; f++) {
        for (u32 copy = 0; copy < 2; copy++) {
            struct change *c = &plan->code[hart][f][copy];
            if (c->round < plan->round || c->by == by)
                c->round = 0;
        }
    }
}

static void map_is_fenced(struct plan *plan, u32 hart, u32 by)
{
    for (u32 r = 0; r < SMP_REGIONS; r++) {
        struct change *c = &plan->map[hart][r];
        if (c->round < plan->round || c->by == by)
            c->round = 0;
    }
}

/* Before a hart touches a function's pages. */
static void need_map(struct plan *plan, u32 hart, u32 f)
{
    if (!plan->map[hart][plan->p->function[f].region].round)
        return;
    act(plan, hart, SMP_LOCAL)->value = SMP_FENCE_VMA;
    map_is_fenced(plan, hart, hart);
}

static void need_code(struct plan *plan, u32 hart, u32 f)
{
    if (!plan->code[hart][f][plan->copy[plan->p->function[f].region]].round)
        return;
    act(plan, hart, SMP_LOCAL)->value = SMP_FENCE_I;
    code_is_fenced(plan, hart, hart);
}

static bool is_still(const struct plan *plan, u32 f)
{
    return plan->changer[f] == SMP_HARTS && plan->mover[plan->p->function[f].region] == SMP_HARTS;
}

static void plan_run(struct plan *plan, u32 hart, u32 f)
{
    u32 callee = plan->p->function[f].callee;
    bool calls = callee != SMP_FUNCTIONS;

    if (!is_still(plan, f) || (calls && !is_still(plan, callee)))
        return;
    need_map(plan, hart, f);
    need_code(plan, hart, f);
    if (calls) {
        need_map(plan, hart, callee);
        need_code(plan, hart, callee);
    }
    act(plan, hart, SMP_RUN)->function = f;
    plan->p->action[plan->p->count - 1].value = 1 + (u32)rnd(plan, rnd(plan, 4) ? 10 : 300);
}

static void plan_change(struct plan *plan, u32 hart, u32 f)
{
    const struct smp_function *fn = &plan->p->function[f];
    struct smp_action *a;

    need_map(plan, hart, f);
    a = act(plan, hart, rnd(plan, 3) ? SMP_PATCH : SMP_REWRITE);
    a->function = f;
    a->copy = plan->copy[fn->region];
    a->value = (u32)rnd(plan, a->kind == SMP_PATCH ? fn->slots : SMP_VARIANTS);
    for (u32 h = 0; h < plan->p->harts; h++)
        plan->code[h][f][a->copy] = (struct change){plan->round, hart};
}

static void plan_move(struct plan *plan, u32 hart, u32 region)
{
    struct smp_action *a = act(plan, hart, SMP_REMAP);

    plan->copy[region] = !plan->copy[region];
    a->value = region;
    a->copy = plan->copy[region];
    for (u32 h = 0; h < plan->p->harts; h++)
        plan->map[h][region] = (struct change){plan->round, hart};
    plan->map[hart][region].round = 0; /* it fences at once */
}

/* Makes the others fence, too, for what hart changed and for all before this round. */
static void plan_remote(struct plan *plan, u32 hart)
{
    bool map = !rnd(plan, 3);

    plan->remote[hart] = !map && rnd(plan, 2) ? SMP_IPI : SMP_REMOTE;
    plan->remote_map[hart] = map;
    act(plan, hart, plan->remote[hart])->value = map ? SMP_FENCE_VMA : SMP_FENCE_I;
}

/* Others can rely on it from the next round on. */
static void settle_remote(struct plan *plan, u32 by)
{
    for (u32 h = 0; h < plan->p->harts && plan->remote[by] != SMP_NONE; h++) {
        if (plan->remote_map[by])
            map_is_fenced(plan, h, by);
        else if (plan->remote[by] == SMP_REMOTE || h != by)
            code_is_fenced(plan, h, by);
    }
    plan->remote[by] = SMP_NONE;
}

static void plan_hart(struct plan *plan, u32 hart)
{
    struct smp_program *p = plan->p;
    u32 actions = 1 + (u32)rnd(plan, 4);

    for (u32 f = 0; f < p->functions; f++) {
        if (plan->changer[f] == hart)
            plan_change(plan, hart, f);
        while (actions && !rnd(plan, p->functions)) {
            plan_run(plan, hart, (u32)rnd(plan, p->functions));
            actions--;
        }
    }
    for (u32 r = 0; r < SMP_REGIONS; r++) {
        if (plan->mover[r] == hart)
            plan_move(plan, hart, r);
    }
    while (actions--) {
        u32 f = (u32)rnd(plan, p->functions);
        if (rnd(plan, 4)) {
            plan_run(plan, hart, f);
        } else if (plan->mover[p->function[f].region] == SMP_HARTS) {
            need_map(plan, hart, f);
            act(plan, hart, SMP_POOL)->function = f;
        }
    }
    if (!rnd(plan, 3))
        plan_remote(plan, hart);
}

static void plan_round(struct plan *plan)
{
    struct smp_program *p = plan->p;

    plan->round++;
    for (u32 r = 0; r < SMP_REGIONS; r++)
        plan->mover[r] = p->translated && !rnd(plan, 8) ? (u32)rnd(plan, p->harts) : SMP_HARTS;
    for (u32 f = 0; f < p->functions; f++) {
        bool changes = !rnd(plan, 3) && plan->mover[p->function[f].region] == SMP_HARTS;
        plan->changer[f] = changes ? (u32)rnd(plan, p->harts) : SMP_HARTS;
    }
    for (u32 h = 0; h < p->harts; h++)
        plan_hart(plan, h);
    for (u32 h = 0; h < p->harts; h++) {
        settle_remote(plan, h);
        act(plan, h, SMP_BARRIER);
    }
}

/* ---- functions ---- */

static u32 size_of(const struct smp_program *p, const struct smp_function *f)
{
    return 4 * (1 + f->slots + 2 + (f->callee != SMP_FUNCTIONS ? 3 : 0) + 1) + 8 + POOL * p->harts;
}

static void plan_functions(struct plan *plan)
{
    struct smp_program *p = plan->p;
    u32 at[SMP_REGIONS];

    for (u32 r = 0; r < SMP_REGIONS; r++)
        at[r] = rnd(plan, 2) ? 0 : (u32)PAGE_SIZE - 4 * (u32)rnd(plan, 200);
    for (u32 i = 0; i < p->functions; i++) {
        struct smp_function *f = &p->function[i];
        f->region = (u32)rnd(plan, SMP_REGIONS);
        f->slots = 2 + (u32)rnd(plan, SMP_SLOTS - 2);
        f->rounds = 1 + (u32)rnd(plan, rnd(plan, 3) ? 4 : 60);
        /* Those called call nobody. */
        f->callee = i && !rnd(plan, 3) ? (u32)rnd(plan, i) : SMP_FUNCTIONS;
        if (f->callee != SMP_FUNCTIONS && p->function[f->callee].callee != SMP_FUNCTIONS)
            f->callee = SMP_FUNCTIONS;
        f->offset = at[f->region];
        at[f->region] += size_of(p, f) + (u32)rnd(plan, 20) * 2;
    }
}

void smp_gen(struct smp_program *p, u64 seed, u32 harts)
{
    static const u8 classes[CLASSES] = {
        [CLASS_INT] = 30, [CLASS_MEM] = 15, [CLASS_FP] = 8, [CLASS_FP_MEM] = 4, [CLASS_ATOMIC] = 4};
    struct plan plan = {.p = p, .rng = seed};

    memset(p, 0, sizeof(*p));
    p->seed = seed;
    p->harts = harts;
    p->translated = rnd(&plan, 2);
    p->rounds = 5 + (u32)rnd(&plan, 25);
    p->functions = 3 + (u32)rnd(&plan, SMP_FUNCTIONS - 3);
    p->plain.calm = true;
    for (u32 i = 0; i < CLASSES; i++)
        p->plain.class_weight[i] = (u8)(rnd(&plan, 4) || i == CLASS_INT ? classes[i] : 0);
    plan_functions(&plan);
    for (u32 i = 0; i < p->rounds; i++)
        plan_round(&plan);
}

/* ---- code ---- */

#define E(op, ...) emit_insn(t, OP_##op, __VA_ARGS__)

enum {
    REG_TEMP = REG_DEPTH,
    REG_SUM = REG_BASE,
    REG_ROUND = REG_AT,
    REG_FLAGS = REG_STACK,
    REG_VALUE = REG_S,
    REG_CALLER = REG_LOOP_FN,
};

static u64 page_address(u32 page)
{
    return RAM_BASE + page * PAGE_SIZE;
}

static u32 shared_page(u32 region, bool copy)
{
    return SMP_PAGE_SHARED + 4 * region + (copy ? 2 : 0);
}

static u64 address_of(const struct smp_program *p, u32 f)
{
    return page_address(shared_page(p->function[f].region, false)) + p->function[f].offset;
}

/* A reservation might not outlive an interrupt, which comes whenever it likes. */
static u32 random_insn(const struct smp_program *p, u64 *rng)
{
    struct text t = {.rng = *rng, .program = &p->plain};
    u32 raw;

    do
        raw = engines_patch_insn(&t);
    while ((raw & 0x7f) == 0x2f && (raw >> 28 & 15) == 1); /* LR, SC */
    *rng = t.rng;
    return raw;
}

static void build_function(const struct smp_program *p, u8 *image, u32 index, bool copy)
{
    const struct smp_function *f = &p->function[index];
    u8 *pages = image + shared_page(f->region, copy) * PAGE_SIZE;
    u64 rng = p->seed + index;
    struct text text = {.bytes = pages, .at = f->offset, .size = 2 * (u32)PAGE_SIZE}, *t = &text;

    E(addi, REG_LOOP + 1, 0, 0, f->rounds);
    for (u32 i = 0; i < f->slots; i++)
        emit_raw(t, random_insn(p, &rng), false);
    E(addi, REG_LOOP + 1, REG_LOOP + 1, 0, -1);
    E(blt, 0, 0, REG_LOOP + 1, -4 * (s64)(f->slots + 1));
    if (f->callee != SMP_FUNCTIONS) {
        E(addi, REG_CALLER, REG_RA, 0, 0);
        E(jal, REG_RA, 0, 0,
          (s64)(address_of(p, f->callee) - address_of(p, index) - 4 * (f->slots + 4)));
        E(addi, REG_RA, REG_CALLER, 0, 0);
    }
    E(jalr, 0, REG_RA, 0, 0);
}

static void build_variants(const struct smp_program *p, u8 *image)
{
    u64 rng = p->seed ^ 0x7a61;

    for (u32 i = 0; i < SMP_VARIANTS * SMP_SLOTS; i++)
        le32_store(image + SMP_PAGE_VARIANT * PAGE_SIZE + 4 * i, random_insn(p, &rng));
}

/* A hart's script while it is written. */
struct script {
    const struct smp_program *p;
    struct text text;
    u64 base; /* address of the text */
    u32 hart;
    u32 requests; /* interrupts sent to others */
};

static u64 here(const struct script *s)
{
    return s->base + s->text.at;
}

static void emit_call(struct script *s, u64 to, bool direct)
{
    struct text *t = &s->text;

    if (direct) {
        E(jal, REG_RA, 0, 0, (s64)(to - here(s)));
        return;
    }
    emit_const(t, REG_TEMP, to);
    E(jalr, REG_RA, REG_TEMP, 0, 0);
}

static void emit_run(struct script *s, const struct smp_action *a)
{
    struct text *t = &s->text;
    s64 back;

    emit_li(t, REG_LOOP, (s32)a->value);
    back = t->at;
    emit_call(s, address_of(s->p, a->function), a->seed & 1);
    E(rori, REG_SUM, REG_SUM, 0, 13);
    E(add, REG_SUM, REG_SUM, 10, 0);
    E(xor, REG_SUM, REG_SUM, 15, 0);
    E(addi, REG_LOOP, REG_LOOP, 0, -1);
    E(blt, 0, 0, REG_LOOP, back - t->at);
}

/* Where a hart stores to change a function: as it runs, or by another name of the same bytes. */
static u64 store_address(const struct smp_program *p, const struct smp_action *a)
{
    const struct smp_function *f = &p->function[a->function];
    u64 alias = SMP_ALIAS + shared_page(f->region, a->copy) * PAGE_SIZE + f->offset;

    return 4 + (p->translated && a->seed & 1 ? alias : address_of(p, a->function));
}

static void emit_patch(struct script *s, const struct smp_action *a)
{
    struct text *t = &s->text;
    u64 rng = a->seed;
    u32 raw = random_insn(s->p, &rng);

    emit_const(t, REG_TEMP, store_address(s->p, a) + 4 * a->value);
    emit_li(t, REG_VALUE, (s32)raw);
    switch (a->seed >> 8 & 3) {
    case 0:
        E(sh, 0, REG_TEMP, REG_VALUE, 0);
        E(srli, REG_VALUE, REG_VALUE, 0, 16);
        E(sh, 0, REG_TEMP, REG_VALUE, 2);
        break;
    case 1: /* where it is not aligned, it faults, and nothing changes */
        E(amoswap_w, 0, REG_TEMP, REG_VALUE, 0);
        break;
    default:
        E(sw, 0, REG_TEMP, REG_VALUE, 0);
    }
}

/* All slots anew, in pieces of one to four bytes. */
static void emit_rewrite(struct script *s, const struct smp_action *a)
{
    static const u16 loads[] = {OP_lbu, OP_lhu, OP_lwu}, stores[] = {OP_sb, OP_sh, OP_sw};
    struct text *t = &s->text;
    u32 size = (u32)(a->seed >> 8) % 3;
    u32 bytes = 4 * s->p->function[a->function].slots;
    s64 back;

    emit_const(t, REG_TEMP, store_address(s->p, a));
    emit_const(t, REG_VALUE, page_address(SMP_PAGE_VARIANT) + 4 * SMP_SLOTS * a->value);
    emit_li(t, REG_LOOP, (s32)(bytes >> size));
    back = t->at;
    E(addi, REG_LOOP, REG_LOOP, 0, -1);
    emit_insn(t, (enum op)loads[size], REG_CALLER, REG_VALUE, 0, 0);
    emit_insn(t, (enum op)stores[size], 0, REG_TEMP, REG_CALLER, 0);
    E(addi, REG_VALUE, REG_VALUE, 0, 1 << size);
    E(addi, REG_TEMP, REG_TEMP, 0, 1 << size);
    E(blt, 0, 0, REG_LOOP, back - t->at);
}

/* A word of the hart's own, between functions. */
static void emit_pool(struct script *s, const struct smp_action *a)
{
    const struct smp_function *f = &s->p->function[a->function];
    u64 end = address_of(s->p, a->function) + size_of(s->p, f) - POOL * (s->p->harts - s->hart);
    struct text *t = &s->text;

    emit_const(t, REG_TEMP, end);
    E(ld, REG_VALUE, REG_TEMP, 0, 0);
    E(add, REG_SUM, REG_SUM, REG_VALUE, 0);
    E(sd, 0, REG_TEMP, REG_SUM, 0);
}

static u64 pte_of(u32 page, u32 flags)
{
    return engines_pte_of(page, flags | PTE_V | PTE_AD);
}

static void emit_remap(struct script *s, const struct smp_action *a)
{
    struct text *t = &s->text;
    u32 first = shared_page(a->value, false);

    for (u32 i = 0; i < 2; i++) {
        u64 pte = pte_of(shared_page(a->value, a->copy) + i, PTE_R | PTE_W | PTE_X);
        emit_const(t, REG_TEMP, page_address(SMP_PAGE_LAST) + 8 * (first + i));
        emit_const(t, REG_VALUE, pte);
        E(sd, 0, REG_TEMP, REG_VALUE, 0);
    }
    emit_const(t, REG_TEMP, page_address(first));
    E(sfence_vma, 0, REG_TEMP, 0, 0);
    emit_const(t, REG_TEMP, page_address(first + 1));
    E(sfence_vma, 0, REG_TEMP, 0, 0);
}

static u64 comm_of(u32 hart)
{
    return page_address(SMP_PAGE_COMM) + hart * SMP_COMM;
}

/* Words of comm: what others asked the hart for, and what it has done. */
#define COMM_TRAPS 24
#define COMM_ASKED 64
#define COMM_DONE  128

_Static_assert(SMP_COMM *SMP_HARTS <= 4096, "they fit a page");

static void emit_ipi(struct script *s)
{
    struct text *t = &s->text;
    u32 harts = s->p->harts, others = (BIT(harts) - 1) & ~BIT(s->hart);

    s->requests++;
    E(addi, REG_LOOP, 0, 0, s->requests);
    for (u32 h = 0; h < harts; h++) {
        if (h == s->hart)
            continue;
        emit_const(t, REG_TEMP, comm_of(h));
        E(sw, 0, REG_TEMP, REG_LOOP, COMM_ASKED + 8 * s->hart);
    }
    E(fence, 0, 0, 0, 0xff);
    E(addi, REG_VALUE, 0, 0, others);
    E(sw, 0, REG_MMIO, REG_VALUE, 0);
    for (u32 h = 0; h < harts; h++) {
        if (h == s->hart)
            continue;
        emit_const(t, REG_TEMP, comm_of(h));
        emit_raw(t, 0x0100000f, false); /* pause */
        E(lw, REG_VALUE, REG_TEMP, 0, COMM_DONE + 8 * s->hart);
        E(bne, 0, REG_VALUE, REG_LOOP, -8);
    }
}

static void emit_ecall(struct text *t, u32 what)
{
    E(addi, REG_TEMP, 0, 0, what);
    E(ecall, 0, 0, 0, 0);
}

static void emit_action(struct script *s, const struct smp_action *a)
{
    struct text *t = &s->text;

    switch (a->kind) {
    case SMP_NONE:
        break;
    case SMP_RUN:
        emit_run(s, a);
        break;
    case SMP_PATCH:
        emit_patch(s, a);
        break;
    case SMP_REWRITE:
        emit_rewrite(s, a);
        break;
    case SMP_POOL:
        emit_pool(s, a);
        break;
    case SMP_REMAP:
        emit_remap(s, a);
        break;
    case SMP_IPI:
        emit_ipi(s);
        break;
    case SMP_REMOTE:
        E(fence, 0, 0, 0, 0xff);
        emit_ecall(t, a->value);
        break;
    case SMP_LOCAL:
        if (a->value == SMP_FENCE_I)
            E(fence_i, 0, 0, 0, 0);
        else
            E(sfence_vma, 0, 0, 0, 0);
        break;
    case SMP_BARRIER:
        emit_const(t, REG_TEMP, page_address(SMP_PAGE_LOG) + 8 * (a->round * SMP_HARTS + s->hart));
        E(sd, 0, REG_TEMP, REG_SUM, 0);
        emit_call(s, page_address(SMP_PAGE_START) + 1024, false);
        break;
    }
}

static bool build_script(struct smp_program *p, u8 *image, u32 hart)
{
    u32 page = SMP_PAGE_SCRIPT + hart * SMP_SCRIPT_PAGES;
    struct script script = {
        .p = p,
        .text = {.bytes = image + page * PAGE_SIZE, .size = SMP_SCRIPT_PAGES * (u32)PAGE_SIZE},
        .base = page_address(page),
        .hart = hart};

    p->script[hart] = script.base;
    for (u32 i = 0; i < p->count; i++) {
        if (p->action[i].hart == hart)
            emit_action(&script, &p->action[i]);
    }
    emit_ecall(&script.text, SMP_END);
    return script.text.at + 64 < script.text.size;
}

/* Traps: an exception passes over its instruction, an interrupt fences and answers. x31: comm. */
static void build_handler(const struct smp_program *p, u8 *image)
{
    struct text text = {.bytes = image + SMP_PAGE_START * PAGE_SIZE, .size = 1024}, *t = &text;
    struct label irq = {0}, out = {0};

    E(csrrw, 31, 31, 0, CSR_sscratch);
    E(sd, 0, 31, 30, 0);
    E(sd, 0, 31, 29, 8);
    E(sd, 0, 31, 28, 16);
    E(csrrs, 30, 0, 0, CSR_scause);
    emit_branch_to(t, &irq, OP_blt, 30, 0);
    E(csrrs, 29, 0, 0, CSR_sepc);
    E(addi, 29, 29, 0, 4);
    E(csrrw, 0, 29, 0, CSR_sepc);
    E(ld, 28, 31, 0, COMM_TRAPS);
    E(addi, 28, 28, 0, 1);
    E(sd, 0, 31, 28, COMM_TRAPS);
    emit_branch_to(t, &out, OP_beq, 0, 0);
    emit_place(t, &irq);
    E(csrrci, 0, 2, 0, CSR_sip);
    E(fence, 0, 0, 0, 0xff);
    /* Two at a time: what was asked for before the fence is done after it. */
    for (u32 h = 0; h < p->harts; h += 2) {
        E(lw, 28, 31, 0, COMM_ASKED + 8 * h);
        E(lw, 29, 31, 0, COMM_ASKED + 8 * h + 8);
        E(fence, 0, 0, 0, 0xff);
        E(fence_i, 0, 0, 0, 0);
        E(sw, 0, 31, 28, COMM_DONE + 8 * h);
        E(sw, 0, 31, 29, COMM_DONE + 8 * h + 8);
    }
    emit_place(t, &out);
    E(ld, 30, 31, 0, 0);
    E(ld, 29, 31, 0, 8);
    E(ld, 28, 31, 0, 16);
    E(csrrw, 31, 31, 0, CSR_sscratch);
    E(sret, 0, 0, 0, 0);
    ASSERT(t->at + 4 < t->size);
}

/* Flags: how many have come to the barrier, and which round is open. */
static void build_barrier(const struct smp_program *p, u8 *image)
{
    struct text text = {.bytes = image + SMP_PAGE_START * PAGE_SIZE + 1024, .size = 1024},
                *t = &text;
    struct label wait = {0}, done = {0};

    E(addi, REG_ROUND, REG_ROUND, 0, 1);
    E(fence, 0, 0, 0, 0x33);
    E(addi, REG_TEMP, 0, 0, 1);
    E(amoadd_w, REG_TEMP, REG_FLAGS, REG_TEMP, 0);
    E(addi, REG_VALUE, 0, 0, p->harts - 1);
    emit_branch_to(t, &wait, OP_bne, REG_TEMP, REG_VALUE);
    E(sw, 0, REG_FLAGS, 0, 0);
    E(fence, 0, 0, 0, 0x33);
    E(sw, 0, REG_FLAGS, REG_ROUND, 64);
    emit_branch_to(t, &done, OP_beq, 0, 0);
    emit_place(t, &wait);
    emit_raw(t, 0x0100000f, false); /* pause */
    E(lw, REG_TEMP, REG_FLAGS, 0, 64);
    E(bne, 0, REG_TEMP, REG_ROUND, -8);
    emit_place(t, &done);
    E(fence, 0, 0, 0, 0x33);
    E(addi, REG_TEMP, 0, 0, 0);
    E(addi, REG_VALUE, 0, 0, 0);
    E(jalr, 0, REG_RA, 0, 0);
}

static void put(u8 *image, u32 page, u32 index, u64 value)
{
    le64_store(image + page * PAGE_SIZE + 8 * index, value);
}

/* RAM where it is, in small pages, and by a superpage; the device. */
static void build_tables(u8 *image)
{
    const u32 all = PTE_R | PTE_W | PTE_X;

    for (u32 i = 0; i < 3; i++)
        put(image, SMP_PAGE_ROOT, i, engines_pte_of(SMP_PAGE_MIDDLE + i, PTE_V));
    put(image, SMP_PAGE_MIDDLE, MMIO_BASE >> 21, MMIO_BASE >> 2 | PTE_V | PTE_AD | PTE_R | PTE_W);
    put(image, SMP_PAGE_MIDDLE + 1, 0, pte_of(0, all));
    put(image, SMP_PAGE_MIDDLE + 2, 0, engines_pte_of(SMP_PAGE_LAST, PTE_V));
    for (u32 i = 0; i < RAM_PAGES; i++)
        put(image, SMP_PAGE_LAST, i, pte_of(i, all));
}

bool smp_build(struct smp_program *p, u8 *image)
{
    u64 rng = p->seed ^ 0xda7a;

    memset(image, 0, RAM_SIZE);
    build_handler(p, image);
    build_barrier(p, image);
    build_tables(image);
    build_variants(p, image);
    for (u32 i = 0; i < p->functions; i++) {
        build_function(p, image, i, false);
        build_function(p, image, i, true);
    }
    for (u32 i = 0; i < 4 * PAGE_SIZE * p->harts / 8; i++)
        put(image, SMP_PAGE_DATA, i, engines_special_fp(&rng));
    for (u32 h = 0; h < p->harts; h++) {
        if (!build_script(p, image, h))
            return false;
    }
    return true;
}
