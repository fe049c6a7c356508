/* SPDX-License-Identifier: BSD-2-Clause */
/* Each instruction as a function of its own, made from spec/riscv.def. */
#include "rv/run_insn.h"

#include "rv/csr.h"
#include "rv/interp_ops.h"
#include "rv/mem.h"
#include "rv/system.h"

/* What interp_ops.h says of control is the interpreter's: here it is a pc to be set. */
#undef PC
#undef SYNC
#undef SYSTEM
#undef SYSTEM_CSR
#undef SYSTEM_JUMP
#undef SYSTEM_WFI
#undef SYSTEM_SPIN
#undef SPIN_HINT
#undef BRANCH
#undef JUMP_LINK
#undef JUMP_LINK_DIRECT

#define PC      (hart->pc)
#define LEN     insn_len(insn)
#define SYNC()  ((void)0) /* the caller has done it */
#define NEXT_PC (hart->pc += LEN)
#define BRANCH(cond)                           \
    do {                                       \
        if (cond)                              \
            return jump(hart, hart->pc + IMM); \
    } while (0)
#define JUMP_LINK_DIRECT JUMP_LINK(hart->pc + IMM)
#define JUMP_LINK(to)                              \
    do {                                           \
        const u64 to_ = (to), link_ = LINK;        \
        enum run_result result_ = jump(hart, to_); \
        if (result_ == RUN_LEFT)                   \
            RD(link_);                             \
        return result_;                            \
    } while (0)
#define SYSTEM(fn)           \
    do {                     \
        if (!fn(hart, insn)) \
            goto exception;  \
    } while (0)
#define SYSTEM_JUMP(fn)  \
    do {                 \
        SYSTEM(fn);      \
        return RUN_LEFT; \
    } while (0)
#define SYSTEM_CSR(fn)       \
    do {                     \
        SYSTEM(fn);          \
        if (!is_quiet(hart)) \
            goto exception;  \
        NEXT_PC;             \
        return RUN_LEFT;     \
    } while (0)
#define SYSTEM_SPIN(fn)  \
    do {                 \
        SYSTEM(fn);      \
        NEXT_PC;         \
        return RUN_LEFT; \
    } while (0)
#define SYSTEM_WFI SYSTEM_SPIN(system_wfi)
#define SPIN_HINT        \
    do {                 \
        NEXT_PC;         \
        return RUN_LEFT; \
    } while (0)

static enum run_result jump(struct hart *hart, u64 to)
{
    if (!isa_has(&hart->isa, ISA_C) && to & 2) {
        hart_raise(hart, CAUSE_INSN_MISALIGNED, to);
        return RUN_FAULT;
    }
    hart->pc = to;
    return RUN_LEFT;
}

/* After a CSR instruction: may the code that called go on? */
static bool is_quiet(struct hart *hart)
{
    return !atomic_load_explicit(&hart->attn, memory_order_relaxed) ||
           hart_raise(hart, (enum cause)CAUSE_ATTEND, 0);
}

#define INSN(id, name, ext, fmt, match, ...)                     \
    static enum run_result run_##id(struct hart *hart, u64 insn) \
    {                                                            \
        (void)hart;                                              \
        (void)insn;                                              \
        __VA_ARGS__;                                             \
        return RUN_ON;                                           \
    illegal:                                                     \
        __attribute__((unused));                                 \
        system_illegal(hart);                                    \
    exception:                                                   \
        __attribute__((unused));                                 \
        return RUN_FAULT;                                        \
    }
#define INSNC(...) INSN(__VA_ARGS__)
#define CINSN(...)
#include "spec/riscv.def"
#undef INSN
#undef INSNC

static enum run_result run_illegal(struct hart *hart, u64 insn)
{
    hart_raise(hart, CAUSE_ILLEGAL, insn_illegal_bits(insn));
    return RUN_FAULT;
}

enum run_result run_insn(struct hart *hart, u64 insn)
{
    static enum run_result (*const run[OP_COUNT])(struct hart *, u64) = {
        [OP_ILLEGAL] = run_illegal,
#define INSN(id, ...)  [OP_##id] = run_##id,
#define INSNC(id, ...) [OP_##id] = run_##id,
#include "spec/riscv.def"
#undef INSN
#undef INSNC
    };

    enum run_result result = run[insn_op(insn)](hart, insn);

    if (result == RUN_FAULT && hart->trap.cause == CAUSE_ATTEND)
        hart->trap.tval = insn_len(insn);
    return result;
}
