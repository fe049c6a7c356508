/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Runs random programs on the interpreter and on the translating engine and compares all state;
 * a program that differs is made small and printed.
 *
 * usage: engines [--seed N] [--programs N] [--seconds N] [--cpu TEXT] [--code BYTES] [--pages N]
 *                [--limits]
 */
#include "tests/diff/engines.h"

#include "exec/jit.h"
#include "rv/code_cache.h"
#include "rv/code_map.h"
#include "rv/csr.h"
#include "rv/disasm.h"
#include "rv/interp.h"
#include "rv/mmu.h"
#include "rv/pmp.h"
#include "rv/trap.h"
#include "tests/fake.h"

#include <getopt.h>
#include <inttypes.h>
#include <signal.h>
#include <time.h>
#include <unistd.h>

#define PROGRAM_SECONDS 60 /* it takes milliseconds */
#define TRAPS_TOO_MANY  20000
#define SHRINK_RUNS     2000

static struct isa isa;

/* With limits, both engines stop at the same random counts, where an interrupt may come. */
static bool limits;

/* One engine with all that surrounds it. */
struct world {
    struct hart *hart, *harts[1];
    struct hart_env env;
    struct gmem gmem;
    struct code_map map;
    u8 *ram;
    bool jit, ended;
    u32 traps;
    u64 sum; /* of all MMIO accesses */
};

static u64 world_time(void *ctx)
{
    return 42;
}

static void world_set_stimecmp(void *ctx, struct hart *hart, u64 time)
{
}

static void world_entropy(void *ctx, void *buf, size_t len)
{
    memset(buf, 7, len);
}

static u64 mix(u64 sum, u64 a, u64 b, u64 c)
{
    u64 state = sum ^ a ^ b << 20 ^ c * 3;

    return insn_random(&state);
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
        atomic_fetch_and(&w->hart->irq_wires, ~BIT(IRQ_MSI));
    } else if (gpa == MMIO_BASE + MMIO_RAISE) {
        atomic_fetch_or(&w->hart->irq_wires, BIT(IRQ_MSI));
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

static void world_init(struct world *w, bool jit, u32 code_size, u32 pages)
{
    w->jit = jit;
    w->hart = calloc(1, sizeof(*w->hart));
    w->ram = aligned_alloc(PAGE_SIZE, RAM_SIZE);
    w->map = (struct code_map){.base = RAM_BASE, .pages = RAM_PAGES};
    w->map.state = calloc(RAM_PAGES, sizeof(*w->map.state));
    ASSERT(w->hart && w->ram && w->map.state);
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
    w->hart->isa = isa;
    w->hart->code = code_cache_create(1);
    ASSERT(w->hart->code);
    if (jit &&
        !jit_attach_alone(w->hart, &(struct jit_config){code_size, 4, pages, w->env.limited}))
        abort();
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
    atomic_store(&hart->attn, 0);
    atomic_store(&hart->irq_wires, 0);
    atomic_store(&hart->irq_soft, 0);
    hart->insns = 0;
    hart->trap = (struct trap){0};
    hart->reserved_value = hart->reserved_size = 0;
    hart_reset(hart, RAM_BASE);
    code_cache_flush(hart);
    for (u32 i = 1; i < 32; i++) {
        u64 v = insn_random(&rng);
        hart->x[i] = i >= REG_MMIO && i <= REG_LOOP + 1 ? 0 : v & 1 ? v : (u64)(s64)(s16)(v >> 8);
        hart->f[i] = v & 2 ? v : v | GENMASK(63, 32);
    }
    hart->x[REG_RA] = 0;
    poke(w, CSR_mtvec, RAM_BASE);
    poke(w, CSR_stvec, RAM_BASE + PAGE_S_HANDLER * PAGE_SIZE);
    poke(w, CSR_mscratch, RAM_BASE + PAGE_SAVE * PAGE_SIZE);
    poke(w, CSR_medeleg, p->delegates ? BIT(CAUSE_LOAD_PAGE) | BIT(CAUSE_STORE_PAGE) : 0);
    poke(w, CSR_mie, BIT(IRQ_MSI));
    poke(w, CSR_mcounteren, UINT32_MAX);
    poke(w, CSR_scounteren, UINT32_MAX);
    poke(w, CSR_menvcfg,
         ENVCFG_CBIE | ENVCFG_CBCFE | ENVCFG_CBZE | (p->s_update ? ENVCFG_ADUE : 0));
    poke(w, CSR_senvcfg, ENVCFG_CBIE | ENVCFG_CBCFE | ENVCFG_CBZE);
    poke(w, CSR_pmpaddr0 + 15, UINT64_MAX);
    poke(w, CSR_pmpcfg0 + 2, (u64)(PMP_NAPOT << 3 | PMP_RWX) << 56);
    /* As if an ECALL had come: the handler enters the first fragment. */
    poke(w, CSR_mcause, CAUSE_ECALL_M);
    hart->x[17] = 0;
}

static void world_run(struct world *w, const struct program *p, const u8 *image)
{
    struct hart *hart = w->hart;
    u64 rng = p->seed ^ 0x11417;
    enum hart_exit why = HART_EXIT_LIMIT;

    world_reset(w, p, image);
    while (why != HART_EXIT_ATTN) {
        u64 draw = insn_random(&rng);
        if (limits)
            hart->limit = hart->insns + (draw >> 8) % (draw & 1 ? 2000 : 40);
        why = (w->jit ? jit_run : interp_run)(hart, false);
        if (why == HART_EXIT_LIMIT && p->interrupts && (draw & 6)) {
            atomic_fetch_or(&hart->irq_wires, BIT(IRQ_MSI));
            hart_attention(hart, ATTN_IRQ);
        }
    }
}

/* ---- comparing ---- */

static bool show;
static u32 differences;

static void compare(const char *name, u64 index, u64 interp, u64 jit)
{
    if (interp == jit)
        return;
    if (show && differences < 24)
        printf("#   %s %" PRIx64 ": interpreter %016" PRIx64 ", translated %016" PRIx64 "\n", name,
               index, interp, jit);
    differences++;
}

static void compare_words(const char *name, const void *a, const void *b, size_t size)
{
    for (size_t i = 0; i + 8 <= size; i += 8) {
        u64 x, y;
        memcpy(&x, (const u8 *)a + i, 8);
        memcpy(&y, (const u8 *)b + i, 8);
        compare(name, i, x, y);
    }
}

static bool differ(const struct world *a, const struct world *b)
{
    const struct hart *x = a->hart, *y = b->hart;

    differences = 0;
    compare("ended", 0, a->ended, b->ended);
    compare("traps", 0, a->traps, b->traps);
    compare("pc", 0, x->pc, y->pc);
    compare("insns", 0, x->insns, y->insns);
    compare("priv", 0, x->priv, y->priv);
    compare("mmio", 0, a->sum, b->sum);
    for (u32 i = 0; i < 32; i++)
        compare(disasm_x_name(i), i, x->x[i], y->x[i]);
    for (u32 i = 0; i < 32; i++)
        compare(disasm_f_name(i), i, x->f[i], y->f[i]);
    compare_words("csr at", &x->csr, &y->csr, sizeof(x->csr));
    compare("reserved", 0, x->reserved ? (u64)((u8 *)x->reserved - a->ram) : 1,
            y->reserved ? (u64)((u8 *)y->reserved - b->ram) : 1);
    if (memcmp(a->ram, b->ram, RAM_SIZE) != 0)
        compare_words("memory", a->ram, b->ram, RAM_SIZE);
    return differences;
}

static struct world interp, jit;
static u8 *image;
static char hangs[64]; /* what to say if a program does not end */

static void say_hang(int signal)
{
    _exit(write(STDOUT_FILENO, hangs, strlen(hangs)) < 0 ? 2 : 1);
}

static bool fails(struct program *p)
{
    if (!engines_build(p, image))
        return false;
    snprintf(hangs, sizeof(hangs), "# seed %" PRIu64 " does not end\nnot ok 1\n", p->seed);
    alarm(PROGRAM_SECONDS);
    world_run(&interp, p, image);
    world_run(&jit, p, image);
    alarm(0);
    return differ(&interp, &jit);
}

/* ---- what failed ---- */

static void shrink(struct program *p)
{
    bool again = true;
    u32 runs = 0;

    while (again && runs < SHRINK_RUNS) {
        again = false;
        for (u32 i = p->count; i-- > 0 && runs < SHRINK_RUNS;) {
            struct item was = p->item[i];
            if (was.kind == ITEM_NONE || was.kind == ITEM_END || was.kind == ITEM_RETURN)
                continue;
            p->item[i].kind = ITEM_NONE;
            runs++;
            if (fails(p))
                again = true;
            else
                p->item[i] = was;
        }
    }
}

static void print_item(const struct program *p, u32 item)
{
    const u8 *code = image + PAGE_CODE * PAGE_SIZE;
    u32 at = p->offset[item], end = p->offset[item + 1];

    if (p->item[item].kind == ITEM_CROSS)
        printf("#   %05x  (on to %05x)\n", at, end);
    for (u32 n = 0; n < 64 && at < end && p->item[item].kind != ITEM_CROSS; n++) {
        u32 raw = le16_load(code + at);
        char text[DISASM_MAX];
        if (insn_is_long(raw))
            raw |= (u32)le16_load(code + at + 2) << 16;
        (void)disasm(&isa, raw, at, text, sizeof(text));
        printf("#   %05x  %08x  %s\n", at, raw, text);
        at += insn_is_long(raw) ? 4 : 2;
    }
}

static void print_program(struct program *p)
{
    u32 next = 0;

    (void)fails(p);
    printf("# seed %" PRIu64 " made smaller:%s%s%s%s\n", p->seed, p->translated ? " Sv39" : "",
           p->interrupts ? " interrupts" : "", p->delegates ? " delegation" : "",
           p->s_update ? " A and D" : "");
    for (u32 i = 0; i < p->count; i++) {
        if (next < p->fragments && p->fragment[next].item == i) {
            const struct fragment *f = &p->fragment[next++];
            printf("#  fragment in mode %d at %" PRIx64 "%s, data at %" PRIx64 "\n", (int)f->priv,
                   f->view, f->copy ? " (copy)" : "", f->data_view);
        }
        print_item(p, i);
    }
    show = true;
    (void)differ(&interp, &jit);
    show = false;
}

struct options {
    u64 seed, programs, seconds, code, pages;
    const char *cpu;
};

static bool parse(int argc, char **argv, struct options *o)
{
    static const struct option known[] = {{"seed", 1, NULL, 's'},    {"programs", 1, NULL, 'p'},
                                          {"seconds", 1, NULL, 't'}, {"cpu", 1, NULL, 'u'},
                                          {"code", 1, NULL, 'c'},    {"pages", 1, NULL, 'g'},
                                          {"limits", 0, NULL, 'l'},  {NULL, 0, NULL, 0}};
    int c;

    while ((c = getopt_long(argc, argv, "", known, NULL)) != -1) {
        u64 *number = c == 's'   ? &o->seed
                      : c == 'p' ? &o->programs
                      : c == 't' ? &o->seconds
                      : c == 'c' ? &o->code
                      : c == 'g' ? &o->pages
                                 : NULL;
        if (number)
            *number = strtoull(optarg, NULL, 0);
        else if (c == 'u')
            o->cpu = optarg;
        else if (c == 'l')
            limits = true;
        else
            return false;
    }
    return optind == argc;
}

static u32 run_all(const struct options *o)
{
    static struct program program;
    time_t end = time(NULL) + (time_t)o->seconds;
    u64 done = 0, insns = 0, traps = 0;
    u32 failures = 0;

    for (; done < o->programs && failures < 3; done++) {
        if (o->seconds && time(NULL) >= end)
            break;
        if (!engines_gen(&program, o->seed + done))
            continue;
        if (fails(&program)) {
            failures++;
            shrink(&program);
            print_program(&program);
        }
        insns += interp.hart->insns;
        traps += interp.traps;
    }
    printf("# %" PRIu64 " programs, %" PRIu64 " instructions, %" PRIu64 " traps; %" PRIu64
           " blocks, %" PRIu64 " interpreted\n",
           done, insns, traps, jit.hart->stats.blocks, jit.hart->stats.interpreted);
    return failures;
}

int main(int argc, char **argv)
{
    struct options o = {.programs = UINT64_MAX, .code = 1 << 20, .pages = 4096};
    struct err err;
    u32 failures;

    o.seed = (u64)time(NULL) * 1000000;
    if (!parse(argc, argv, &o)) {
        fprintf(stderr, "usage: engines [--seed N] [--programs N] [--seconds N] [--cpu TEXT] "
                        "[--code BYTES] [--pages N] [--limits]\n");
        return 2;
    }
    setvbuf(stdout, NULL, _IOLBF, 0);
    isa_default(&isa);
    if (o.cpu && isa_parse(&isa, o.cpu, &err)) {
        fprintf(stderr, "engines: %s\n", err.msg);
        return 2;
    }
    printf("1..1\n# --seed %" PRIu64 "\n", o.seed);
    if (!jit_is_supported()) {
        printf("ok 1 - engines agree # SKIP no translating engine on this host\n");
        return 0;
    }
    signal(SIGALRM, say_hang);
    image = malloc(RAM_SIZE);
    ASSERT(image);
    engines_gen_init(&isa);
    world_init(&interp, false, 0, 0);
    world_init(&jit, true, (u32)o.code, (u32)o.pages);
    failures = run_all(&o);
    printf("%sok 1 - engines agree\n", failures ? "not " : "");
    return failures != 0;
}
