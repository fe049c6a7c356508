/* SPDX-License-Identifier: BSD-2-Clause */
/* Runs a program on a hart of ours: U-mode, bare translation, traps to a WFI of M-mode. */
#include "tests/diff/diff.h"

#include "exec/jit.h"
#include "rv/code_cache.h"
#include "rv/code_map.h"
#include "rv/csr.h"
#include "rv/interp.h"
#include "rv/mmu.h"
#include "rv/pmp.h"
#include "rv/trap.h"
#include "tests/fake.h"

#include <inttypes.h>
#include <setjmp.h>
#include <signal.h>

#define TRAP_BASE UINT64_C(0x1000)
#define WFI       0x10500073

static struct {
    _Alignas(64) struct hart hart;
    struct hart *harts[1];
    struct hart_env env;
    struct gmem gmem;
    struct code_map code_map;
    u8 *code, *data, *trap;
} ours;

static u64 no_time(void *ctx)
{
    return 0;
}

static void no_stimecmp(void *ctx, struct hart *hart, u64 time)
{
}

static u8 *add_region(u64 base, u64 size)
{
    struct gmem_region *r = &ours.gmem.region[ours.gmem.count++];

    *r = (struct gmem_region){.base = base, .size = size, .host = aligned_alloc(PAGE_SIZE, size)};
    ASSERT(r->host);
    memset(r->host, 0, size);
    return r->host;
}

bool diff_ours_init(const struct isa *isa, bool translate)
{
    ours.code = add_region(CODE_BASE, CODE_SIZE);
    ours.data = add_region(DATA_BASE, DATA_SIZE);
    ours.trap = add_region(TRAP_BASE, PAGE_SIZE);
    le32_store(ours.trap, WFI);
    ours.code_map.base = CODE_BASE;
    ours.code_map.pages = CODE_SIZE / PAGE_SIZE;
    ours.code_map.state = calloc(ours.code_map.pages, sizeof(*ours.code_map.state));
    ours.harts[0] = &ours.hart;
    ours.env.gmem = &ours.gmem;
    ours.env.time = no_time;
    ours.env.set_stimecmp = no_stimecmp;
    ours.env.code_map = &ours.code_map;
    ours.env.harts = ours.harts;
    ours.env.hart_count = 1;
    ours.hart.env = &ours.env;
    ours.hart.isa = *isa;
    ours.hart.code = code_cache_create(1);
    ASSERT(ours.code_map.state && ours.hart.code);
    if (translate && !jit_is_supported())
        return false;
    if (translate && !jit_attach_alone(&ours.hart, NULL))
        abort();
    return true;
}

static void poke(u32 number, u64 value)
{
    if (!csr_poke(&ours.hart, number, value))
        abort();
}

static void enter(u64 pc)
{
    struct hart *hart = &ours.hart;

    hart_reset(hart, CODE_BASE);
    code_map_written(&ours.code_map, CODE_BASE, CODE_SIZE);
    code_cache_fence(hart);
    code_cache_flush(hart);
    poke(CSR_pmpaddr0, UINT64_MAX);
    poke(CSR_pmpcfg0, PMP_NAPOT << 3 | PMP_RWX);
    poke(CSR_menvcfg, ENVCFG_CBIE | ENVCFG_CBCFE | ENVCFG_CBZE);
    poke(CSR_senvcfg, ENVCFG_CBIE | ENVCFG_CBCFE | ENVCFG_CBZE);
    if (!csr_poke(hart, CSR_mstateen0, ~UINT64_C(0)))
        abort();
    poke(CSR_mstatus, MSTATUS_FS);
    poke(CSR_mtvec, TRAP_BASE);
    trap_set_mode(hart, PRIV_U);
    hart->pc = pc;
}

/* A failed assertion or worse in the engine ends the run, not the test. */
static sigjmp_buf on_crash;

static void crashed(int number)
{
    siglongjmp(on_crash, number);
}

static void catch_crashes(bool on)
{
    static const int numbers[] = {SIGABRT, SIGSEGV, SIGBUS, SIGILL, SIGFPE};
    struct sigaction action = {.sa_flags = SA_NODEFER | SA_ONSTACK};

    action.sa_handler = on ? crashed : SIG_DFL;
    for (u32 i = 0; i < ARRAY_SIZE(numbers); i++)
        sigaction(numbers[i], &action, NULL);
}

static enum hart_exit run_engine(struct hart *hart)
{
    enum hart_exit why;

    do
        why = hart->jit.engine ? jit_run(hart, false) : interp_run(hart, false);
    while (why == HART_EXIT_YIELD);
    return why;
}

void diff_ours_run(const struct program *p, struct outcome *outcome)
{
    const u64 size = p->count * sizeof(struct record);
    struct hart *hart = &ours.hart;
    enum hart_exit why;
    int number;

    memcpy(ours.code, p->code, p->code_size);
    memcpy(ours.data, p->record, size);
    hart->insns = 0;
    enter(CODE_BASE);
    catch_crashes(true);
    number = sigsetjmp(on_crash, 1);
    if (number) {
        outcome->died = true;
        snprintf(outcome->how, sizeof(outcome->how), "the engine: %s", strsignal(number));
        if (hart->jit.engine &&
            !jit_attach_alone(hart, NULL)) /* a fresh one: the other is no good now */
            abort();
        catch_crashes(false);
        return;
    }
    why = run_engine(hart);
    catch_crashes(false);
    outcome->insns = hart->insns;
    outcome->died = why != HART_EXIT_WFI || hart->csr.mcause != CAUSE_ECALL_U;
    if (outcome->died)
        snprintf(outcome->how, sizeof(outcome->how),
                 "trap %" PRIu64 " at 0x%" PRIx64 ", tval 0x%" PRIx64, hart->csr.mcause,
                 hart->csr.mepc, hart->csr.mtval);
    memcpy(outcome->record, ours.data, size);
}
