/* SPDX-License-Identifier: BSD-2-Clause */
/* --trace: prints instructions and traps as harts execute them. */
#include "vmm/vm_trace.h"

#include "base/fmt.h"
#include "rv/code_cache.h"
#include "rv/disasm.h"
#include "vmm/trace_spec.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LINE_MAX_BYTES 512

/* A hart before its instruction. */
struct trace_hart {
    u64 x[32], f[32], pc;
    u64 printed; /* instructions */
    u32 raw;
    enum priv priv;
    bool armed; /* before said to print this one */
};

struct vm_trace {
    struct trace_spec spec;
    struct isa isa;
    struct exec_trace exec;
    FILE *out;
    struct trace_hart hart[];
};

static char priv_letter(enum priv priv)
{
    return priv == PRIV_M ? 'M' : priv == PRIV_S ? 'S' : 'U';
}

static bool is_traced(const struct vm_trace *trace, const struct hart *hart)
{
    return !trace->spec.one_hart || trace->spec.hart == hart->id;
}

static bool before(void *ctx, struct hart *hart)
{
    struct vm_trace *trace = ctx;
    struct trace_hart *h = &trace->hart[hart->id];

    h->armed = false;
    if (!is_traced(trace, hart) || h->printed >= trace->spec.count)
        return false;
    if (hart->insns < trace->spec.start)
        return true;
    h->armed = true;
    memcpy(h->x, hart->x, sizeof(h->x));
    memcpy(h->f, hart->f, sizeof(h->f));
    h->pc = hart->pc;
    h->priv = hart->priv;
    h->raw = code_cache_raw(hart, hart->pc);
    return true;
}

/* Registers that differ from before, usually one. */
static size_t append_changes(const struct trace_hart *h, const struct hart *hart, char *line,
                             size_t at)
{
    for (u32 i = 1; i < 32 && at < LINE_MAX_BYTES; i++) {
        if (h->x[i] != hart->x[i])
            at += fmt_print(line + at, LINE_MAX_BYTES - at, " %s=%llx", disasm_x_name(i),
                            (unsigned long long)hart->x[i]);
    }
    for (u32 i = 0; i < 32 && at < LINE_MAX_BYTES; i++) {
        if (h->f[i] != hart->f[i])
            at += fmt_print(line + at, LINE_MAX_BYTES - at, " %s=%llx", disasm_f_name(i),
                            (unsigned long long)hart->f[i]);
    }
    return at;
}

static void after(void *ctx, struct hart *hart)
{
    struct vm_trace *trace = ctx;
    struct trace_hart *h = &trace->hart[hart->id];
    char text[DISASM_MAX], line[LINE_MAX_BYTES];
    size_t at;

    if (!h->armed)
        return;
    (void)disasm(&trace->isa, h->raw, h->pc, text, sizeof(text));
    at = fmt_print(line, sizeof(line), "hart %u %c %016llx: %0*x%*s %-31s", hart->id,
                   priv_letter(h->priv), (unsigned long long)h->pc, insn_is_long(h->raw) ? 8 : 4,
                   h->raw, insn_is_long(h->raw) ? 0 : 4, "", text);
    at = append_changes(h, hart, line, at);
    while (at && at < sizeof(line) && line[at - 1] == ' ')
        line[--at] = '\0';
    h->printed++;
    /* One call a line: harts share the stream. */
    fprintf(trace->out, "%s\n", line);
}

static const char *cause_name(u64 cause)
{
    static const char *const exceptions[] = {
        [CAUSE_INSN_MISALIGNED] = "misaligned instruction",
        [CAUSE_INSN_ACCESS] = "instruction access fault",
        [CAUSE_ILLEGAL] = "illegal instruction",
        [CAUSE_BREAKPOINT] = "breakpoint",
        [CAUSE_LOAD_MISALIGNED] = "misaligned load",
        [CAUSE_LOAD_ACCESS] = "load access fault",
        [CAUSE_STORE_MISALIGNED] = "misaligned store",
        [CAUSE_STORE_ACCESS] = "store access fault",
        [CAUSE_ECALL_U] = "ecall from U",
        [CAUSE_ECALL_S] = "ecall from S",
        [CAUSE_ECALL_M] = "ecall from M",
        [CAUSE_INSN_PAGE] = "instruction page fault",
        [CAUSE_LOAD_PAGE] = "load page fault",
        [CAUSE_STORE_PAGE] = "store page fault",
        [CAUSE_ECALL_VS] = "ecall from VS",
        [CAUSE_INSN_GUEST_PAGE] = "instruction guest-page fault",
        [CAUSE_LOAD_GUEST_PAGE] = "load guest-page fault",
        [CAUSE_VIRTUAL] = "virtual instruction",
        [CAUSE_STORE_GUEST_PAGE] = "store guest-page fault",
    };
    static const char *const interrupts[] = {
        [IRQ_SSI] = "S software", [IRQ_MSI] = "M software",
        [IRQ_STI] = "S timer",    [IRQ_VSSI] = "VS software",
        [IRQ_VSTI] = "VS timer",  [IRQ_VSEI] = "VS external",
        [IRQ_MTI] = "M timer",    [IRQ_SEI] = "S external",
        [IRQ_MEI] = "M external", [IRQ_LCOFI] = "counter overflow",
    };
    const u64 number = cause & ~BIT(63);
    const char *name = NULL;

    if (cause >> 63)
        name = number < ARRAY_SIZE(interrupts) ? interrupts[number] : NULL;
    else if (number < ARRAY_SIZE(exceptions))
        name = exceptions[number];
    return name ? name : "?";
}

static void trapped(void *ctx, struct hart *hart, u64 cause, u64 tval)
{
    struct vm_trace *trace = ctx;

    if (!is_traced(trace, hart) || hart->insns < trace->spec.start)
        return;
    fprintf(trace->out, "hart %u %c %016llx: %s %llu (%s), tval 0x%llx\n", hart->id,
            priv_letter(hart->priv), (unsigned long long)hart->pc,
            cause >> 63 ? "interrupt" : "exception", (unsigned long long)(cause & ~BIT(63)),
            cause_name(cause), (unsigned long long)tval);
}

static int open_output(struct vm_trace *trace, struct err *err)
{
    const char *path = trace->spec.path;

    trace->out = path[0] ? fopen(path, "we") : stderr;
    if (!trace->out)
        return err_set(err, errno, "--trace: '%s' cannot be written: %s", path, strerror(errno));
    return 0;
}

int vm_trace_create(struct vm_trace **out, const char *text, struct hart_env *env,
                    struct exec_config *config, struct err *err)
{
    struct vm_trace *trace;
    int r;

    *out = NULL;
    if (!text)
        return 0;
    trace = calloc(1, sizeof(*trace) + config->hart_count * sizeof(trace->hart[0]));
    if (!trace)
        return err_set(err, ENOMEM, "no host memory for --trace");
    r = trace_spec_parse(&trace->spec, text, err);
    if (!r)
        r = open_output(trace, err);
    if (r) {
        free(trace);
        return r;
    }
    trace->isa = config->isa;
    trace->exec = (struct exec_trace){before, after, trace};
    if (trace->spec.insn)
        config->trace = &trace->exec;
    if (trace->spec.trap) {
        env->trapped = trapped;
        env->trapped_ctx = trace;
    }
    *out = trace;
    return 0;
}

FILE *vm_trace_jit(const struct vm_trace *trace)
{
    return trace && trace->spec.jit ? trace->out : NULL;
}

void vm_trace_destroy(struct vm_trace *trace)
{
    if (!trace)
        return;
    if (trace->out != stderr)
        (void)fclose(trace->out);
    free(trace);
}
