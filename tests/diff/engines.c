/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Runs random programs on the interpreter and on translating engines and compares all state; a
 * program that differs is made small and printed.
 *
 * usage: engines [--engine NAME]... [--seed N] [--programs N] [--seconds N] [--cpu TEXT]
 *                [--code BYTES] [--pages N] [--kind hot|cool] [--limits]
 */
#include "tests/diff/engines.h"

#include "base/err.h"
#include "exec/jit.h"

#include <getopt.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#define PROGRAM_SECONDS  30    /* of this process's time; most take milliseconds */
#define INSNS_PER_SECOND 10000 /* beyond these, if each is translated anew for want of room */
#define ENGINES_MAX      4

struct options {
    u64 seed, programs, seconds, code, pages;
    const char *cpu, *kind;
    const struct engine_kind *engine[ENGINES_MAX];
    u32 engines;
    bool limits; /* all stop at the same random counts, where an interrupt may come */
};

static struct world *reference, *tested[ENGINES_MAX];
static u32 tested_count;
static struct isa isa;
static u8 *image;
static char hangs[64]; /* what to say if a program does not end */

static void say_hang(int signal)
{
    _exit(write(STDOUT_FILENO, hangs, strlen(hangs)) < 0 ? 2 : 1);
}

/* By time of its own: the machine may be busy. 0: no more. */
static void watch(time_t seconds)
{
    const struct itimerval timer = {.it_value = {.tv_sec = seconds}};

    (void)setitimer(ITIMER_PROF, &timer, NULL);
}

/* A program that overwrites its handlers says nothing: when new code is seen is open. */
static bool fails(struct program *p)
{
    bool differ = false;

    if (!engines_build(p, image))
        return false;
    snprintf(hangs, sizeof(hangs), "# seed %" PRIu64 " does not end\nnot ok 1\n", p->seed);
    watch(PROGRAM_SECONDS);
    world_run(reference, p, image);
    if (world_is_ruined(reference, image))
        return false;
    for (u32 i = 0; i < tested_count; i++) {
        watch(PROGRAM_SECONDS + (time_t)(world_hart(reference)->insns / INSNS_PER_SECOND));
        world_run(tested[i], p, image);
        differ |= world_compare(reference, tested[i], false);
    }
    watch(0);
    return differ;
}

static u64 *number_of(struct options *o, int c)
{
    switch (c) {
    case 's':
        return &o->seed;
    case 'p':
        return &o->programs;
    case 't':
        return &o->seconds;
    case 'c':
        return &o->code;
    case 'g':
        return &o->pages;
    default:
        return NULL;
    }
}

static bool parse(int argc, char **argv, struct options *o)
{
    static const struct option known[] = {{"seed", 1, NULL, 's'},    {"programs", 1, NULL, 'p'},
                                          {"seconds", 1, NULL, 't'}, {"cpu", 1, NULL, 'u'},
                                          {"code", 1, NULL, 'c'},    {"pages", 1, NULL, 'g'},
                                          {"engine", 1, NULL, 'e'},  {"kind", 1, NULL, 'k'},
                                          {"limits", 0, NULL, 'l'},  {NULL, 0, NULL, 0}};
    int c;

    while ((c = getopt_long(argc, argv, "", known, NULL)) != -1) {
        u64 *number = number_of(o, c);
        if (number)
            *number = strtoull(optarg, NULL, 0);
        else if (c == 'u')
            o->cpu = optarg;
        else if (c == 'k')
            o->kind = optarg;
        else if (c == 'l')
            o->limits = true;
        else if (c != 'e' || o->engines == ENGINES_MAX)
            return false;
        else if (!(o->engine[o->engines++] = engine_find(optarg)))
            return false;
    }
    if (!o->engines)
        o->engine[o->engines++] = engine_find("jit1");
    return optind == argc;
}

static void show_differences(void)
{
    for (u32 i = 0; i < tested_count; i++)
        (void)world_compare(reference, tested[i], true);
}

/* Before and after: what went before may matter, and the small program agree when run again. */
static void report(struct program *program)
{
    show_differences();
    engines_shrink(program, fails);
    engines_print(program, image, &isa);
    show_differences();
}

static bool is_wanted(const struct program *p, const char *kind)
{
    return !kind || p->hot == !strcmp(kind, "hot");
}

static u32 run_all(const struct options *o)
{
    static struct program program;
    time_t end = time(NULL) + (time_t)o->seconds;
    u64 done = 0, insns = 0, traps = 0;
    struct jit_stats jit = {0};
    const struct hart *hart;
    u32 failures = 0;

    for (; done < o->programs && failures < 3; done++) {
        if (o->seconds && time(NULL) >= end)
            break;
        if (!engines_gen(&program, o->seed + done, o->limits) || !is_wanted(&program, o->kind))
            continue;
        if (fails(&program)) {
            failures++;
            report(&program);
        } else if (world_is_ruined(reference, image)) {
            failures++;
            printf("# seed %" PRIu64
                   " overwrites its handlers or their data: a fault of its making\n",
                   program.seed);
        }
        insns += world_hart(reference)->insns;
        traps += world_traps(reference);
    }
    hart = world_hart(tested[0]);
    if (hart->jit.engine)
        jit_stats_of(hart, &jit);
    printf("# %" PRIu64 " programs, %" PRIu64 " instructions, %" PRIu64 " traps; %" PRIu64
           " blocks, %" PRIu64 " interpreted; %" PRIu64 " regions, %" PRIu64
           " in several pages, %" PRIu64 " of them given up\n",
           done, insns, traps, hart->stats.blocks, hart->stats.interpreted,
           jit.tier[JIT_TIER_REGION].count, jit.wide, jit.wide_ended);
    printf("# %" PRIu64 " views of %" PRIu64 " pages, %" PRIu64 " faults of the host\n",
           hart->stats.views, hart->stats.view_pages, hart->stats.view_faults);
    return failures;
}

int main(int argc, char **argv)
{
    struct options o = {.programs = UINT64_MAX, .code = 1 << 20, .pages = 4096};
    struct err err;
    u32 failures;

    o.seed = (u64)time(NULL) * 1000000;
    if (!parse(argc, argv, &o)) {
        fprintf(stderr, "usage: engines [--engine NAME]... [--seed N] [--programs N] [--seconds N] "
                        "[--cpu TEXT] [--code BYTES] [--pages N] [--kind hot|cool] "
                        "[--limits]\n");
        return 2;
    }
    setvbuf(stdout, NULL, _IOLBF, 0);
    isa_default(&isa);
    isa.satp_mode_max = 10; /* Sv57, and what is below */
    if (o.cpu && isa_parse(&isa, o.cpu, &err)) {
        fprintf(stderr, "engines: %s\n", err.msg);
        return 2;
    }
    printf("1..1\n# --seed %" PRIu64 "\n", o.seed);
    if (!jit_is_supported()) {
        printf("ok 1 - engines agree # SKIP no translating engine on this host\n");
        return 0;
    }
    signal(SIGPROF, say_hang);
    image = malloc(RAM_SIZE);
    ASSERT(image);
    engines_insn_init(&isa);
    reference = world_create(engine_find("interp"), &isa, 0, 0, o.limits);
    for (; tested_count < o.engines; tested_count++)
        tested[tested_count] =
            world_create(o.engine[tested_count], &isa, (u32)o.code, (u32)o.pages, o.limits);
    failures = run_all(&o);
    printf("%sok 1 - engines agree\n", failures ? "not " : "");
    return failures != 0;
}
