/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The interpreter: one label an instruction, made from spec/riscv.def; each ends by loading the
 * next record and jumping to its label.
 *
 * Theory of operation. ip points at the current record in page->slot, so that pc is a subtraction
 * and a jump within the page an addition. A jump elsewhere goes through the links of the code
 * cache. hart->attn is looked at on every taken jump; other state that may change what comes next
 * (mode, translation, code) changes only in SYSTEM_JUMP instructions, which look up afresh.
 * Stepping swaps the table of labels, after the first dispatch, for one that leads out. A limit
 * costs a comparison a jump; where it is nearer than a page is long, the table is swapped for one
 * that looks at the count before each instruction.
 */
#include "rv/interp.h"

#include "rv/code_cache.h"
#include "rv/csr.h"
#include "rv/debug.h"
#include "rv/interp_ops.h"
#include "rv/mem.h"
#include "rv/system.h"
#include "rv/trap.h"

#define SLACK CODE_SLOTS /* no more instructions between two jumps */

#define DISPATCH_FROM(table)      \
    do {                          \
        goto *(table)[(u16)insn]; \
    } while (0)
#define DISPATCH()            \
    do {                      \
        insn = *ip;           \
        count++;              \
        DISPATCH_FROM(table); \
    } while (0)

/* From this count on, jumps attend. */
static u64 soft_limit(const struct hart *hart)
{
    return hart->limit > SLACK ? hart->limit - SLACK : 0;
}

/* NOLINTNEXTLINE(readability-function-size): one label an instruction, as flat as a switch. */
enum hart_exit interp_run(struct hart *hart, bool step)
{
    /* Two labels an operation: index = operation << 1 | compressed. */
    static const void *const labels[OP_COUNT * 2] = {
        [OP_UNDECODED << 1] = &&undecoded, [OP_ILLEGAL << 1] = &&illegal,
        [OP_ILLEGAL << 1 | 1] = &&illegal, [OP_PAGE_END << 1] = &&page_end,
        [OP_CROSS << 1] = &&cross,         [OP_BREAKPOINT << 1] = &&breakpoint,
#define INSN(id, ...)  [OP_##id << 1] = &&do_##id,
#define INSNC(id, ...) [OP_##id << 1] = &&do_##id, [OP_##id << 1 | 1] = &&do_c_##id,
#define CINSN(...)
#include "spec/riscv.def"
#undef INSN
#undef INSNC
    };
    static const void *const stop[OP_COUNT * 2] = {[0 ... OP_COUNT * 2 - 1] = &&stepped};
    static const void *const counted[OP_COUNT * 2] = {[0 ... OP_COUNT * 2 - 1] = &&count_down};
    const void *const *table = labels;
    const u64 pc_align = isa_has(&hart->isa, ISA_C) ? 0 : 2;
    /* Without C, in-page jumps are checked for alignment as all others. */
    const u64 near_slots = pc_align ? 0 : CODE_SLOTS;
    bool first = step;
    struct code_page *page;
    gva_t page_va, target;
    enum hart_exit leave;
    u64 count = hart->insns, insn;
    u64 soft = soft_limit(hart);
    const u64 *ip;

    target = hart->pc;
    if (step) { /* without interrupts, which a debugger's user does not step into */
        system_serve(hart);
        goto enter;
    }

jump:
    if (UNLIKELY(atomic_load_explicit(&hart->attn, memory_order_relaxed) | (u32)step) ||
        UNLIKELY(count >= soft))
        goto attend;
enter : {
    const struct code_link *link = &hart->code->link[(target >> PAGE_SHIFT) % CODE_LINKS];
    if (LIKELY(link->tag == code_link_tag(target, hart->mode))) {
        page = link->page;
    } else {
        hart->pc = target;
        page = code_cache_enter(hart, target);
        if (UNLIKELY(!page))
            goto fetch_fault;
    }
    page_va = target & PAGE_MASK;
    ip = page->slot + ((target & ~PAGE_MASK) >> 1);
    if (UNLIKELY(first)) {
        first = false;
        insn = *ip;
        count++;
        table = stop;
        DISPATCH_FROM(labels);
    }
    DISPATCH();
}

near_jump:
    if (UNLIKELY(atomic_load_explicit(&hart->attn, memory_order_relaxed)) ||
        UNLIKELY(count >= soft)) {
        target = PC;
        goto attend;
    }
    DISPATCH();

jump_checked:
    if (LIKELY(!(target & pc_align)))
        goto jump;
misaligned:
    hart_raise(hart, CAUSE_INSN_MISALIGNED, target);
    goto exception;

attend:
    hart->pc = target;
    hart->insns = count;
    if (step)
        return HART_EXIT_STEP;
    if (count >= hart->limit)
        return HART_EXIT_LIMIT;
    system_attend(hart);
    if (atomic_load_explicit(&hart->attn, memory_order_relaxed) & ATTN_PAUSE)
        return HART_EXIT_ATTN;
    soft = soft_limit(hart);
    if (UNLIKELY(count >= soft)) {
        table = counted;
        soft = hart->limit;
    }
    target = hart->pc;
    goto enter;

undecoded:
    hart->pc = PC;
    insn = code_cache_fetch(hart, page, hart->pc);
    if (!insn)
        goto exception;
    if (UNLIKELY(hart->debug) && !step && debug_breaks_at(hart->debug, hart->pc))
        goto at_breakpoint;
    DISPATCH_FROM(labels);

cross:
    hart->pc = PC;
    insn = code_cache_fetch(hart, page, hart->pc);
    if (!insn)
        goto exception;
    DISPATCH_FROM(labels);

breakpoint:
    hart->pc = PC;
    if (!step && debug_breaks_at(hart->debug, hart->pc))
        goto at_breakpoint;
    insn = code_cache_fetch(hart, page, hart->pc);
    if (!insn)
        goto exception;
    DISPATCH_FROM(labels);

at_breakpoint:
    hart->insns = count - 1;
    return HART_EXIT_BREAK;

page_end:
    count--;
    target = PC;
    goto jump;

stepped:
    hart->pc = PC;
    hart->insns = count - 1;
    return HART_EXIT_STEP;

count_down:
    if (LIKELY(count <= hart->limit))
        DISPATCH_FROM(labels);
    hart->pc = PC;
    hart->insns = count - 1;
    return HART_EXIT_LIMIT;

leave_after:
    hart->pc = PC + insn_len(insn);
    hart->insns = count;
    hart->stepped = leave;
    return step ? HART_EXIT_STEP : leave;

fetch_fault:
    hart->insns = count;
    goto trap;

illegal:
    hart->pc = PC;
    system_illegal(hart);
exception:
    hart->pc = PC;
    hart->insns = --count;
    if (UNLIKELY(hart->trap.cause == CAUSE_DEBUG_WATCH))
        return HART_EXIT_WATCH;
    if (hart->trap.cause == CAUSE_ATTEND) {
        count++;
        target = PC + insn_len(insn);
        goto jump;
    }
trap:
    hart->stats.traps++;
    if (hart->limit != HART_NO_LIMIT) {
        hart->limit--;
        soft -= soft != 0;
    }
    trap_exception(hart);
    target = hart->pc;
    if (step)
        return HART_EXIT_STEP;
    goto jump;

#define LEN 4
#define INSN(id, name, ext, fmt, match, ...) \
    do_##id : __VA_ARGS__;                   \
    ip += LEN / 2;                           \
    DISPATCH();
#define INSNC(...) INSN(__VA_ARGS__)
#include "spec/riscv.def"
#undef LEN
#undef INSN
#undef INSNC
#define LEN 2
#define INSN(...)
#define INSNC(id, name, ext, fmt, match, ...) \
    do_c_##id : __VA_ARGS__;                  \
    ip += LEN / 2;                            \
    DISPATCH();
#include "spec/riscv.def"
}
