/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Several harts run random programs that rewrite shared code: on the interpreter, and on a
 * translating engine several times, since threads meet differently each time. All must end alike.
 *
 * usage: engines_smp [--engine NAME] [--seed N] [--programs N] [--seconds N] [--harts N]
 *                    [--repeats N]
 */
#include "tests/diff/engines_smp.h"

#include "exec/exec.h"
#include "exec/jit.h"
#include "rv/code_cache.h"
#include "rv/code_map.h"
#include "rv/csr.h"
#include "rv/disasm.h"
#include "tests/ram.h"

#include <getopt.h>
#include <inttypes.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#define PROGRAM_SECONDS 40 /* it takes milliseconds, unless the machine is very busy */
#define SHRINK_REPEATS  8
#define SHRINK_SECONDS  60

struct smp_world {
    const char *name;
    struct exec *exec;
    struct hart_env env;
    struct gmem gmem;
    u32 harts;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    u32 stopped; /* harts at the end of their scripts */
};

static u64 world_time(void *ctx)
{
    return 42;
}

static void world_set_stimecmp(void *ctx, struct hart *hart, u64 time)
{
}

static bool world_write(void *ctx, gpa_t gpa, u32 size, u64 value)
{
    struct smp_world *w = ctx;

    if (gpa != MMIO_BASE)
        return false;
    for (u32 i = 0; i < w->harts; i++) {
        if (value >> i & 1)
            exec_set_soft_irq(w->exec, i, IRQ_SSI);
    }
    return true;
}

static bool world_ecall(void *ctx, struct hart *hart)
{
    struct smp_world *w = ctx;
    u64 all = BIT(w->harts) - 1;

    switch (hart->x[REG_DEPTH]) {
    case SMP_END:
        exec_hart_stop(w->exec, hart->id);
        return true;
    case SMP_FENCE_I:
        exec_fence(w->exec, hart, all, ATTN_FLUSH_CODE);
        return true;
    default:
        exec_fence(w->exec, hart, all, ATTN_FLUSH_TLB);
        return true;
    }
}

static void world_stopped_itself(void *ctx, struct hart *hart)
{
    struct smp_world *w = ctx;

    pthread_mutex_lock(&w->lock);
    w->stopped++;
    pthread_cond_signal(&w->changed);
    pthread_mutex_unlock(&w->lock);
}

static void world_stopped(void *ctx, struct hart *hart, enum hart_exit why)
{
}

static void world_written(void *ctx, gpa_t gpa, u64 len)
{
    code_map_written(((struct smp_world *)ctx)->env.code_map, gpa, len);
}

static bool set_engine(struct exec_config *c, const char *engine)
{
    c->translate = strcmp(engine, "interp");
    c->regions = !strcmp(engine, "jit");
    return !c->translate || c->regions || !strcmp(engine, "jit1");
}

static struct smp_world *world_new(const char *engine, u32 harts)
{
    struct smp_world *w = calloc(1, sizeof(*w));
    struct exec_config c = {.hart_count = harts,
                            .ram_base = RAM_BASE,
                            .ram_size = RAM_SIZE,
                            .stopped = world_stopped,
                            .stopped_itself = world_stopped_itself,
                            .ctx = w};
    u8 *ram = test_ram_create(RAM_SIZE);
    struct err err;

    ASSERT(w);
    w->name = engine;
    w->harts = harts;
    pthread_mutex_init(&w->lock, NULL);
    pthread_cond_init(&w->changed, NULL);
    isa_default(&c.isa);
    c.env = &w->env;
    w->gmem = (struct gmem){.region = {{RAM_BASE, RAM_SIZE, ram, false}}, .count = 1, .ctx = w};
    w->env = (struct hart_env){.gmem = &w->gmem,
                               .bus = {NULL, world_write, w},
                               .time = world_time,
                               .set_stimecmp = world_set_stimecmp,
                               .ecall = world_ecall,
                               .ctx = w};
    if (!set_engine(&c, engine) || exec_create(&w->exec, &c, &err))
        return NULL;
    w->gmem.written = world_written;
    return exec_start(w->exec, &err) ? NULL : w;
}

static void world_free(struct smp_world *w)
{
    exec_destroy(w->exec);
    test_ram_destroy(w->gmem.region[0].host, RAM_SIZE);
    pthread_cond_destroy(&w->changed);
    pthread_mutex_destroy(&w->lock);
    free(w);
}

static void poke(struct hart *hart, u32 number, u64 value)
{
    if (!csr_poke(hart, number, value))
        abort();
}

static void reset_hart(struct smp_world *w, const struct smp_program *p, u32 index)
{
    struct hart *hart = exec_hart(w->exec, index);
    u64 data = RAM_BASE + (SMP_PAGE_DATA + 4 * index + 1) * PAGE_SIZE, rng = p->seed + index;

    exec_hart_halt(w->exec, index);
    code_cache_flush(hart);
    hart_reset(hart, 0);
    hart_enter_supervisor(hart, p->script[index], 0);
    for (u32 i = 1; i < 32; i++) {
        hart->x[i] = i >= REG_BASE && i <= REG_LOOP + 1 ? 0 : test_random(&rng);
        hart->f[i] = engines_special_fp(&rng);
    }
    hart->x[REG_RA] = hart->x[REG_DEPTH] = 0;
    hart->x[REG_MID] = data;
    hart->x[REG_SP] = data + 1024;
    hart->x[REG_ODD] = data + PAGE_SIZE - 3;
    hart->x[REG_WALK] = data + PAGE_SIZE + 8 * (p->seed % 64);
    hart->x[REG_STACK] = RAM_BASE + SMP_PAGE_FLAGS * PAGE_SIZE;
    hart->x[REG_MMIO] = MMIO_BASE;
    poke(hart, CSR_stvec, RAM_BASE + SMP_PAGE_START * PAGE_SIZE);
    poke(hart, CSR_sscratch, RAM_BASE + SMP_PAGE_COMM * PAGE_SIZE + index * SMP_COMM);
    poke(hart, CSR_mie, BIT(IRQ_SSI));
    poke(hart, CSR_sstatus, MSTATUS_SIE | MSTATUS_FS);
    if (p->translated)
        poke(hart, CSR_satp, UINT64_C(8) << 60 | (RAM_BASE / PAGE_SIZE + SMP_PAGE_ROOT));
    atomic_store(&hart->irq_soft, 0);
    exec_hart_start(w->exec, index);
}

/* A thread that translates in the background may still look at what was there. */
static void load_image(struct smp_world *w, const u8 *image)
{
    for (u32 i = 0; i < RAM_SIZE; i += 8) {
        u64 v;
        memcpy(&v, image + i, 8);
        __atomic_store_n((u64 *)(void *)(w->gmem.region[0].host + i), v, __ATOMIC_RELAXED);
    }
}

/* The harts are paused before and after. */
static void world_go(struct smp_world *w, const struct smp_program *p, const u8 *image)
{
    struct timespec until;
    int r = 0;

    load_image(w, image);
    for (u32 i = 0; i < w->harts; i++)
        reset_hart(w, p, i);
    w->stopped = 0;
    exec_resume(w->exec);
    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += PROGRAM_SECONDS;
    pthread_mutex_lock(&w->lock);
    while (w->stopped < w->harts && !r)
        r = pthread_cond_timedwait(&w->changed, &w->lock, &until);
    pthread_mutex_unlock(&w->lock);
    exec_pause(w->exec);
    /* What the last interrupt saved is anyone's guess. */
    for (u32 i = 0; i < w->harts; i++)
        memset(w->gmem.region[0].host + SMP_PAGE_COMM * PAGE_SIZE + i * SMP_COMM, 0, 24);
}

static u32 differences;

static void compare(bool show, const char *name, u64 index, u64 a, u64 b)
{
    if (a == b)
        return;
    if (show && differences < 24)
        printf("#   %s %" PRIx64 ": %016" PRIx64 ", %016" PRIx64 "\n", name, index, a, b);
    differences++;
}

static bool differ(const struct smp_world *a, const struct smp_world *b, bool show)
{
    const u8 *x = a->gmem.region[0].host, *y = b->gmem.region[0].host;

    differences = 0;
    compare(show, "harts at the end", 0, a->stopped, b->stopped);
    for (u32 h = 0; h < a->harts; h++) {
        const struct hart *v = exec_hart(a->exec, h), *w = exec_hart(b->exec, h);
        compare(show, "hart: pc", h, v->pc, w->pc);
        for (u32 i = 0; i < 32; i++)
            compare(show, disasm_x_name(i), h, v->x[i], w->x[i]);
        for (u32 i = 0; i < 32; i++)
            compare(show, disasm_f_name(i), h, v->f[i], w->f[i]);
        compare(show, "hart: fflags", h, v->csr.fflags, w->csr.fflags);
    }
    for (u32 i = 0; i < RAM_SIZE; i += 8) {
        u64 v, w;
        memcpy(&v, x + i, 8);
        memcpy(&w, y + i, 8);
        compare(show, "memory", i, v, w);
    }
    return differences;
}

/* ---- programs ---- */

static struct smp_world *reference, *tested;
static u8 *image;
static char hangs[64];

static void say_hang(int signal)
{
    _exit(write(STDOUT_FILENO, hangs, strlen(hangs)) < 0 ? 2 : 1);
}

static bool fails(struct smp_program *p, u32 repeats)
{
    bool differs = false;

    if (!smp_build(p, image))
        return false;
    snprintf(hangs, sizeof(hangs), "# seed %" PRIu64 " does not end\nnot ok 1\n", p->seed);
    alarm(10 * PROGRAM_SECONDS);
    world_go(reference, p, image);
    for (u32 i = 0; i < repeats && !differs; i++) {
        world_go(tested, p, image);
        differs = differ(reference, tested, false);
    }
    alarm(0);
    return differs;
}

/* An action less is no program by the rules if it was a fence or a barrier. */
static bool may_go(enum smp_kind kind)
{
    return kind != SMP_NONE && kind != SMP_BARRIER && kind != SMP_LOCAL && kind != SMP_REMOTE &&
           kind != SMP_IPI && kind != SMP_REMAP;
}

static void shrink(struct smp_program *p)
{
    time_t end = time(NULL) + SHRINK_SECONDS;

    for (u32 i = p->count; i-- > 0 && time(NULL) < end;) {
        struct smp_action *a = &p->action[i];
        enum smp_kind was = a->kind;
        if (!may_go(was))
            continue;
        a->kind = SMP_NONE;
        if (!fails(p, SHRINK_REPEATS))
            a->kind = was;
    }
}

static void print(const struct smp_program *p)
{
    static const char *const names[] = {
        [SMP_NONE] = "nothing",     [SMP_RUN] = "runs",          [SMP_PATCH] = "patches",
        [SMP_REWRITE] = "rewrites", [SMP_POOL] = "stores near",  [SMP_REMAP] = "remaps",
        [SMP_IPI] = "interrupts",   [SMP_REMOTE] = "fences all", [SMP_LOCAL] = "fences",
        [SMP_BARRIER] = "barrier"};

    printf("# seed %" PRIu64 " made smaller:%s, the last round is %u\n", p->seed,
           p->translated ? " translation" : "", p->rounds);
    for (u32 i = 0; i < p->functions; i++) {
        const struct smp_function *f = &p->function[i];
        printf("#  function %u: region %u, at %x, %u slots, %u rounds, calls %d\n", i, f->region,
               f->offset, f->slots, f->rounds, f->callee == SMP_FUNCTIONS ? -1 : (int)f->callee);
    }
    for (u32 i = 0; i < p->count; i++) {
        const struct smp_action *a = &p->action[i];
        if (a->kind != SMP_NONE && a->kind != SMP_BARRIER)
            printf("#  round %u hart %u %s: function %u, value %u\n", a->round, a->hart,
                   names[a->kind], a->function, a->value);
    }
}

struct options {
    u64 seed, programs, seconds, harts, repeats;
    const char *engine;
};

static bool parse(int argc, char **argv, struct options *o)
{
    static const struct option known[] = {{"seed", 1, NULL, 's'},    {"programs", 1, NULL, 'p'},
                                          {"seconds", 1, NULL, 't'}, {"harts", 1, NULL, 'h'},
                                          {"repeats", 1, NULL, 'r'}, {"engine", 1, NULL, 'e'},
                                          {NULL, 0, NULL, 0}};
    int c;

    while ((c = getopt_long(argc, argv, "", known, NULL)) != -1) {
        u64 *number = c == 's'   ? &o->seed
                      : c == 'p' ? &o->programs
                      : c == 't' ? &o->seconds
                      : c == 'h' ? &o->harts
                      : c == 'r' ? &o->repeats
                                 : NULL;
        if (number)
            *number = strtoull(optarg, NULL, 0);
        else if (c == 'e')
            o->engine = optarg;
        else
            return false;
    }
    return optind == argc && o->harts && o->harts <= SMP_HARTS;
}

static u32 run_all(const struct options *o)
{
    static struct smp_program program;
    time_t end = time(NULL) + (time_t)o->seconds;
    u32 failures = 0;
    u64 done = 0;

    for (; done < o->programs && failures < 2; done++) {
        if (o->seconds && time(NULL) >= end)
            break;
        smp_gen(&program, o->seed + done, (u32)o->harts);
        if (!fails(&program, (u32)o->repeats))
            continue;
        failures++;
        (void)differ(reference, tested, true);
        shrink(&program);
        print(&program);
        if (fails(&program, SHRINK_REPEATS))
            (void)differ(reference, tested, true);
    }
    printf("# %" PRIu64 " programs\n", done);
    return failures;
}

int main(int argc, char **argv)
{
    struct options o = {.programs = UINT64_MAX, .harts = 2, .repeats = 2, .engine = "jit1"};
    struct isa isa;
    u32 failures;

    o.seed = (u64)time(NULL) * 1000000;
    if (!parse(argc, argv, &o)) {
        fprintf(stderr, "usage: engines_smp [--engine NAME] [--seed N] [--programs N] "
                        "[--seconds N] [--harts N] [--repeats N]\n");
        return 2;
    }
    setvbuf(stdout, NULL, _IOLBF, 0);
    printf("1..1\n# --seed %" PRIu64 " --harts %" PRIu64 "\n", o.seed, o.harts);
    if (!jit_is_supported()) {
        printf("ok 1 - harts agree # SKIP no translating engine on this host\n");
        return 0;
    }
    signal(SIGALRM, say_hang);
    image = malloc(RAM_SIZE);
    isa_default(&isa);
    engines_insn_init(&isa);
    reference = world_new("interp", (u32)o.harts);
    tested = world_new(o.engine, (u32)o.harts);
    if (!image || !reference || !tested) {
        printf("Bail out! no such engine, or no memory\n");
        return 1;
    }
    failures = run_all(&o);
    printf("%sok 1 - harts agree\n", failures ? "not " : "");
    world_free(tested);
    world_free(reference);
    free(image);
    return failures != 0;
}
