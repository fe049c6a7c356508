/* SPDX-License-Identifier: BSD-2-Clause */
/* Each instruction as a function of its own, made from spec/riscv.def. */
#include "rv/run_insn.h"

#include "base/assert.h"
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

#define PC               (hart->pc)
#define SYNC()           ((void)0) /* the caller has done it */
#define NEXT_PC          (hart->pc += insn_len(insn))
#define NOT_HERE         ASSERT(!"a jump has no function")
#define BRANCH(c)        NOT_HERE
#define JUMP_LINK(to)    NOT_HERE
#define JUMP_LINK_DIRECT NOT_HERE
#define SYSTEM(fn)           \
    do {                     \
        if (!fn(hart, insn)) \
            goto exception;  \
    } while (0)
#define SYSTEM_JUMP(fn) SYSTEM(fn)
#define SYSTEM_CSR(fn)                  \
    do {                                \
        u64 fp_ = fp_state(hart);       \
        SYSTEM(fn);                     \
        if (!is_quiet(hart, insn, fp_)) \
            goto exception;             \
        NEXT_PC;                        \
    } while (0)
#define SYSTEM_SPIN(fn) \
    do {                \
        SYSTEM(fn);     \
        NEXT_PC;        \
    } while (0)
#define SYSTEM_WFI SYSTEM_SPIN(system_wfi)
#define SPIN_HINT  NEXT_PC

/* What translated code takes for granted of floating point. */
static u64 fp_state(const struct hart *hart)
{
    return (hart->csr.mstatus & MSTATUS_FS) | hart->csr.frm;
}

/* After a CSR instruction: may the code that called go on? */
static bool is_quiet(struct hart *hart, u64 insn, u64 fp_before)
{
    return (fp_state(hart) == fp_before &&
            !atomic_load_explicit(&hart->attn, memory_order_relaxed)) ||
           hart_raise(hart, (enum cause)CAUSE_ATTEND, 0);
}

#define INSN(id, name, ext, fmt, match, ...)          \
    static bool run_##id(struct hart *hart, u64 insn) \
    {                                                 \
        (void)hart;                                   \
        (void)insn;                                   \
        __VA_ARGS__;                                  \
        return true;                                  \
    illegal:                                          \
        __attribute__((unused));                      \
        return system_illegal(hart);                  \
    exception:                                        \
        __attribute__((unused));                      \
        return false;                                 \
    }
#define INSNC(...) INSN(__VA_ARGS__)
#define CINSN(...)
#include "spec/riscv.def"
#undef INSN
#undef INSNC

static bool run_illegal(struct hart *hart, u64 insn)
{
    return hart_raise(hart, CAUSE_ILLEGAL, insn_illegal_bits(insn));
}

bool run_insn(struct hart *hart, u64 insn)
{
    static bool (*const run[OP_COUNT])(struct hart *, u64) = {
        [OP_ILLEGAL] = run_illegal,
#define INSN(id, ...)  [OP_##id] = run_##id,
#define INSNC(id, ...) [OP_##id] = run_##id,
#include "spec/riscv.def"
#undef INSN
#undef INSNC
    };

    return run[insn_op(insn)](hart, insn);
}
