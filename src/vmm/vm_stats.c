/* SPDX-License-Identifier: BSD-2-Clause */
/* What a run did, for --stats: counters summed over harts, as text or JSON on standard error. */
#include "vmm/vm_state.h"

#include "exec/jit.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>

struct stat_line {
    const char *name, *text;
    u64 value;
};

static u64 cpu_ns(void)
{
    struct rusage u;

    getrusage(RUSAGE_SELF, &u);
    return ((u64)u.ru_utime.tv_sec + (u64)u.ru_stime.tv_sec) * 1000000000 +
           ((u64)u.ru_utime.tv_usec + (u64)u.ru_stime.tv_usec) * 1000;
}

static u64 sum(struct vm *vm, size_t offset)
{
    u64 total = 0;

    for (u32 i = 0; i < vm->config->hart_count; i++)
        total += *(const u64 *)(const void *)((const char *)exec_hart(vm->exec, i) + offset);
    return total;
}

#define LINES            35
#define TRANSLATOR_LINES 16 /* the last ones */

#define SUM(field) sum(vm, offsetof(struct hart, field))

static void print_text(const struct stat_line *line, size_t count)
{
    for (size_t i = 0; i < count; i++)
        fprintf(stderr, "%-38s %lu\n", line[i].text, (unsigned long)line[i].value);
}

static void print_json(const struct stat_line *line, size_t count)
{
    fputc('{', stderr);
    for (size_t i = 0; i < count; i++)
        fprintf(stderr, "%s\"%s\": %lu", i ? ", " : "", line[i].name, (unsigned long)line[i].value);
    fputs("}\n", stderr);
}

/* Fills line, LINES of them at most; returns how many. The harts are paused. */
static size_t collect(struct vm *vm, u64 elapsed_ns, struct stat_line *lines)
{
    u64 insns = SUM(insns), cpu = cpu_ns();
    struct jit_stats jit = {0};
    const struct jit_tier_stats *block = &jit.tier[JIT_TIER_BLOCK];
    const struct jit_tier_stats *region = &jit.tier[JIT_TIER_REGION];
    bool translates = exec_jit_stats(vm->exec, &jit);
    const struct stat_line line[] = {
        {"elapsed_us", "elapsed, us", elapsed_ns / 1000},
        {"cpu_us", "host CPU time, us", cpu / 1000},
        {"resident_kib", "resident memory, KiB", vm_resident(vm) / KIB},
        {"instructions", "instructions", insns},
        {"virtual_ns", "virtual time, ns", vm->config->icount ? exec_virtual_ns(vm->exec) : 0},
        {"instructions_per_cpu_us", "million instructions per CPU second",
         insns / (cpu / 1000 ? cpu / 1000 : 1)},
        {"traps", "exceptions", SUM(stats.traps)},
        {"interrupts", "interrupts", SUM(stats.interrupts)},
        {"tlb_fills", "TLB fills", SUM(stats.tlb_fills)},
        {"tlb_flushes", "TLB flushes", SUM(stats.tlb_flushes)},
        {"slow_accesses", "memory accesses off the fast path", SUM(stats.slow_accesses)},
        {"mmio", "device accesses", SUM(stats.mmio)},
        {"code_pages", "code pages decoded", SUM(stats.code_pages)},
        {"code_drops", "code pages dropped at fences", SUM(stats.code_drops)},
        {"interpreted", "instructions left to the interpreter", SUM(stats.interpreted)},
        {"unguarded", "groups of accesses that could not be had directly", SUM(stats.unguarded)},
        {"views", "views given to address spaces", SUM(stats.views)},
        {"view_pages", "pages mapped into views", SUM(stats.view_pages)},
        {"view_faults", "host faults of accesses by views", SUM(stats.view_faults)},
        {"blocks", "blocks translated", block->count},
        {"block_insns", "instructions in them", block->insns},
        {"block_bytes", "host code of blocks, bytes", block->host_bytes},
        {"block_us", "time to translate blocks, us", block->ns / 1000},
        {"regions", "regions translated", region->count},
        {"region_insns", "instructions in regions", region->insns},
        {"region_bytes", "host code of regions, bytes", region->host_bytes},
        {"region_us", "time to translate regions, us", region->ns / 1000},
        {"region_wide", "regions in several pages", jit.wide},
        {"region_replaced", "regions that later ones replaced", jit.replaced},
        {"parted", "pages translated again without groups", jit.parted},
        {"region_refusals", "regions that could not be had", jit.refusals},
        {"samples", "samples of translated code", jit.samples},
        {"samples_cold", "samples that found a block", jit.samples_cold},
        {"page_drops", "translated pages dropped", jit.drops},
        {"evictions", "pieces of the code buffer reused", jit.evictions},
    };

    static_assert(ARRAY_SIZE(line) == LINES, "room for all");
    memcpy(lines, line, sizeof(line));
    return translates ? LINES : LINES - TRANSLATOR_LINES;
}

void vm_stats_print(struct vm *vm, u64 elapsed_ns)
{
    struct stat_line line[LINES];
    size_t count = collect(vm, elapsed_ns, line);

    if (vm->config->stats == VM_STATS_JSON)
        print_json(line, count);
    else
        print_text(line, count);
}

void vm_stats_each(struct vm *vm, void (*fn)(void *ctx, const char *name, u64 value), void *ctx)
{
    struct stat_line line[LINES];
    size_t count;

    exec_pause(vm->exec);
    count = collect(vm, host_monotonic_ns() - vm->start_ns, line);
    exec_resume(vm->exec);
    for (size_t i = 0; i < count; i++)
        fn(ctx, line[i].name, line[i].value);
}
