/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Random programs on our interpreter and on qemu-riscv64; what differs is made small and printed.
 *
 * usage: diff --qemu PATH [--seed N] [--chunks N] [--cpu TEXT] [--engine interp|jit1]
 */
#include "tests/diff/diff.h"

#include "rv/disasm.h"

#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#define FAILURES_MAX 5    /* chunks that are shrunk and shown */
#define SHRINK_RUNS  1500 /* of both sides, a chunk */

static struct isa isa;
static struct program program;
static struct outcome ours, qemu;

static bool differ(u32 count)
{
    bool same_end = ours.died == qemu.died;

    return !same_end ||
           (!ours.died && memcmp(ours.record, qemu.record, count * sizeof(*ours.record)));
}

static bool run_both(struct chunk *const *chunks, u32 count)
{
    diff_program_build(&program, chunks, count);
    diff_ours_run(&program, &ours);
    diff_qemu_run(&program, &qemu);
    return differ(count);
}

/* The first chunk that differs by itself; count if only all together do. */
static u32 find_culprit(struct chunk *const *chunks, u32 count)
{
    u32 low = 0, high = count;

    if (!ours.died && !qemu.died) {
        while (low < count && !memcmp(&ours.record[low], &qemu.record[low], sizeof(*ours.record)))
            low++;
        return low < count && run_both(chunks + low, 1) ? low : count;
    }
    while (high - low > 1) { /* one of them dies within [low, high) */
        u32 middle = low + (high - low) / 2;
        if (run_both(chunks + low, middle - low))
            high = middle;
        else
            low = middle;
    }
    return run_both(chunks + low, 1) ? low : count;
}

static void remove_item(struct chunk *chunk, u32 at)
{
    for (u32 i = 0; i < at; i++) {
        if (i + chunk->item[i].skip >= at && chunk->item[i].skip)
            chunk->item[i].skip--;
    }
    chunk->count--;
    memmove(&chunk->item[at], &chunk->item[at + 1], (chunk->count - at) * sizeof(chunk->item[0]));
}

/* Does a smaller chunk still fail in the same way? */
static bool fails_alike(struct chunk *chunk, bool ours_died, bool qemu_died)
{
    return run_both(&chunk, 1) && ours.died == ours_died && qemu.died == qemu_died;
}

/* Takes out what need not be there for the difference: rounds, then items from the last on. */
static void shrink(struct chunk *chunk)
{
    static struct chunk smaller;
    const bool a = ours.died, b = qemu.died;
    bool again = true;
    u32 runs = 0;

    smaller = *chunk;
    smaller.start.in.x[REG_COUNT] = 1;
    if (fails_alike(&smaller, a, b))
        *chunk = smaller;
    while (again) {
        again = false;
        for (u32 i = chunk->count; i-- > 0 && runs < SHRINK_RUNS; runs++) {
            smaller = *chunk;
            remove_item(&smaller, i);
            if (fails_alike(&smaller, a, b)) {
                *chunk = smaller;
                again = true;
            }
        }
    }
}

static void print_code(const struct chunk *chunk)
{
    u64 pc = program.chunk_pc[0];

    for (u32 i = 0; i < chunk->count; i++) {
        const struct item *item = &chunk->item[i];
        u64 at = pc;
        u32 raw[4];
        pc = diff_item_code(chunk, i, pc, raw);
        for (u32 k = 0; k < item->count; k++) {
            char text[DISASM_MAX];
            (void)disasm(&isa, raw[k], at, text, sizeof(text));
            printf("#   %+5" PRId64 "  %0*x  %s\n", at - program.chunk_pc[0],
                   item->insn[k].line->compressed ? 4 : 8, raw[k], text);
            at += item->insn[k].line->compressed ? 2 : 4;
        }
    }
}

static void print_value(const char *name, u64 start, u64 a, u64 b)
{
    if (a != b)
        printf("#   %-5s was %016" PRIx64 ": ours %016" PRIx64 ", qemu %016" PRIx64 "\n", name,
               start, a, b);
}

static void print_inputs(const struct chunk *chunk, const struct state *in)
{
    u32 x = 0, f = 0;

    for (u32 i = 0; i < chunk->count; i++) {
        for (u32 k = 0; k < chunk->item[i].count; k++) {
            const struct insn_operands *o = &chunk->item[i].insn[k].o;
            x |= 1u << o->rs1 | 1u << o->rs2 | 1u << o->rd;
            f |= 1u << o->rs1 | 1u << o->rs2 | 1u << (o->imm & 31);
        }
    }
    printf("#   rounds %" PRIu64 ", fcsr %02" PRIx64 "\n", in->x[REG_COUNT], in->fcsr);
    for (u32 i = 1; i < 32; i++) {
        if (x >> i & 1)
            printf("#   in %-4s %016" PRIx64 "\n", disasm_x_name(i), in->x[i]);
    }
    for (u32 i = 0; i < 32; i++) {
        if (f >> i & 1)
            printf("#   in %-4s %016" PRIx64 "\n", disasm_f_name(i), in->f[i]);
    }
}

static void print_difference(struct chunk *chunk)
{
    const struct record *a = ours.record, *b = qemu.record;
    const struct state *in = &program.record[0].in;

    (void)run_both(&chunk, 1);
    printf("# chunk seed %" PRIu64 ", made smaller:\n", chunk->seed);
    print_code(chunk);
    print_inputs(chunk, in);
    if (ours.died || qemu.died) {
        printf("#   ours: %s; qemu: %s\n", ours.died ? ours.how : "ran to its end",
               qemu.died ? qemu.how : "ran to its end");
        return;
    }
    for (u32 i = 0; i < 32; i++)
        print_value(disasm_x_name(i), in->x[i], a->out.x[i], b->out.x[i]);
    for (u32 i = 0; i < 32; i++)
        print_value(disasm_f_name(i), in->f[i], a->out.f[i], b->out.f[i]);
    print_value("fcsr", in->fcsr, a->out.fcsr, b->out.fcsr);
    for (u32 i = 0; i < SCRATCH_SIZE; i += 8) {
        char name[16];
        u64 va, vb, start;
        memcpy(&va, &a->scratch[i], 8);
        memcpy(&vb, &b->scratch[i], 8);
        memcpy(&start, &program.record[0].scratch[i], 8);
        snprintf(name, sizeof(name), "+%d", (int)i - SCRATCH_SIZE / 2);
        print_value(name, start, va, vb);
    }
}

/* Shows a chunk that differs and returns its index; count if none does alone. */
static u32 report(struct chunk *const *chunks, u32 count)
{
    u32 at;

    printf("# a difference: ours %s, qemu %s\n", ours.died ? ours.how : "ended",
           qemu.died ? qemu.how : "ended");
    at = find_culprit(chunks, count);
    if (at == count) {
        printf("# none of the %u chunks from seed %" PRIu64 " differs alone\n", count,
               chunks[0]->seed);
        return at;
    }
    shrink(chunks[at]);
    print_difference(chunks[at]);
    return at;
}

/* Runs chunks of one program; returns how many differ. */
static u32 run_chunks(struct chunk *const *chunks, u32 count, u32 *shown, u64 *insns)
{
    u32 failures = 0;
    bool first = true;

    while (count) {
        bool wrong = run_both(chunks, count);
        u32 at;
        *insns += first ? ours.insns : 0;
        first = false;
        if (!wrong)
            break;
        failures++;
        if (++*shown > FAILURES_MAX)
            break;
        at = report(chunks, count);
        if (at == count)
            break;
        chunks += at + 1; /* the others may hold another difference */
        count -= at + 1;
    }
    return failures;
}

struct options {
    const char *qemu, *cpu, *engine;
    u64 seed, chunks;
};

static bool parse(int argc, char **argv, struct options *o)
{
    static const struct option known[] = {
        {"qemu", required_argument, NULL, 'q'},   {"seed", required_argument, NULL, 's'},
        {"chunks", required_argument, NULL, 'c'}, {"cpu", required_argument, NULL, 'u'},
        {"engine", required_argument, NULL, 'e'}, {NULL, 0, NULL, 0}};
    int c;

    while ((c = getopt_long(argc, argv, "", known, NULL)) != -1) {
        if (c == 'q')
            o->qemu = optarg;
        else if (c == 's')
            o->seed = strtoull(optarg, NULL, 0);
        else if (c == 'c')
            o->chunks = strtoull(optarg, NULL, 0);
        else if (c == 'u')
            o->cpu = optarg;
        else if (c == 'e')
            o->engine = optarg;
        else
            return false;
    }
    return o->qemu && optind == argc;
}

static u32 run_all(const struct options *o)
{
    struct chunk *chunk = calloc(CHUNKS_MAX, sizeof(*chunk)), *chunks[CHUNKS_MAX];
    u32 failures = 0, shown = 0;
    u64 insns = 0;

    ASSERT(chunk);
    for (u64 done = 0; done < o->chunks && failures <= FAILURES_MAX;) {
        u32 count = (u32)(o->chunks - done < CHUNKS_MAX ? o->chunks - done : CHUNKS_MAX);
        for (u32 i = 0; i < count; i++) {
            chunks[i] = &chunk[i];
            diff_gen_chunk(chunks[i], o->seed + done + i);
        }
        failures += run_chunks(chunks, count, &shown, &insns);
        done += count;
    }
    free(chunk);
    printf("# %" PRIu64 " instructions executed on each side\n", insns);
    return failures;
}

int main(int argc, char **argv)
{
    struct options o = {.engine = "interp", .chunks = 10000};
    struct err err;
    u32 failures;

    o.seed = (u64)time(NULL) * 1000000;
    if (!parse(argc, argv, &o)) {
        fprintf(stderr, "usage: diff --qemu PATH [--seed N] [--chunks N] [--cpu TEXT] [--engine "
                        "interp|jit1]\n");
        return 2;
    }
    setvbuf(stdout, NULL, _IOLBF, 0);
    isa_default(&isa);
    if (o.cpu && isa_parse(&isa, o.cpu, &err)) {
        fprintf(stderr, "diff: %s\n", err.msg);
        return 2;
    }
    ours.record = malloc(CHUNKS_MAX * sizeof(struct record));
    qemu.record = malloc(CHUNKS_MAX * sizeof(struct record));
    ASSERT(ours.record && qemu.record);
    diff_program_init(&program);
    printf("1..1\n# --engine %s --seed %" PRIu64 " --chunks %" PRIu64 "\n", o.engine, o.seed,
           o.chunks);
    if (!diff_qemu_init(o.qemu)) {
        printf("ok 1 - random programs as on qemu # SKIP %s runs nothing\n", o.qemu);
        return 0;
    }
    diff_gen_init();
    if (!diff_ours_init(&isa, !strcmp(o.engine, "jit1"))) {
        printf("ok 1 - random programs as on qemu # SKIP this host has no translator\n");
        return 0;
    }
    failures = run_all(&o);
    printf("%sok 1 - random programs as on qemu\n", failures ? "not " : "");
    return failures != 0;
}
