/* SPDX-License-Identifier: BSD-2-Clause */
/* What the files of the x86-64 back end share: registers, thunks, the back end's state. */
#ifndef COSM_JIT_X86_64_BACKEND_H
#define COSM_JIT_X86_64_BACKEND_H

#include "jit/backend.h"
#include "jit/x86_64/asm.h"

#include <stdatomic.h>

/*
 * Register use in generated code:
 *   rbp  into the engine's state     r10  guest instructions done, less layout.turn
 *   rax rcx rdx r11  scratch         rsp  16-byte aligned; windows, see window.c
 *   the rest pinned slots, callee-saved ones first
 *   xmm0 .. xmm2  scratch          xmm3 .. xmm15  pinned slots while layout.fp_live is not 0
 * MXCSR is the default but for exception flags, which are the guest's while fp_live is not 0, and
 * then it rounds as layout.fp_round says.
 */
#define NEAR_STATE RBP
#define COUNT      R10

/*
 * layout.turn is the count at which somebody is to be looked after: COUNT is negative before. So a
 * loop counts and looks with one addition and a jump on its sign. While a region keeps a slot in
 * COUNT, layout.left holds what it would.
 */

#define PINNED_MAX      9
#define PINNED_SAVED    5 /* the first of them survive C calls */
#define PINNED_FP_MAX   13
#define PINNED_FP_FIRST XMM3
#define SLOTS_MAX       64

/* 16 bytes each, in the buffer. */
enum fp_constant {
    FP_NAN64, /* canonical ones */
    FP_NAN32, /* boxed */
    FP_SIGN64,
    FP_SIGN32,
    FP_OTHER64, /* all but the sign */
    FP_OTHER32,
    FP_BOX,
    FP_MINUS_ONE64,
    FP_MINUS_ONE32,
    FP_TWO_32_64, /* 2^32, of 64 bits */
    FP_TWO_32_32,
    FP_TWO_63_64,
    FP_TWO_63_32,
    FP_TWO_64_64,
    FP_TWO_64_32,
    FP_MXCSR,
    FP_CONSTANTS,
};

#define JIT_MODES_MAX 4
#define SITE_WIDTHS   3

#define WINDOWS 8                 /* in the frame */
#define FRAME   (8 + WINDOWS * 8) /* bytes, an odd number of words: pushes come before */

struct compile;

struct jit_backend {
    struct jit_layout layout;
    struct jit_engine engine;
    struct code_buffer buffer;
    u8 pinned[PINNED_MAX]; /* slot in pinned register n */
    u32 pinned_count;
    u8 pinned_fp[PINNED_FP_MAX];
    u32 pinned_fp_count;
    u8 slot_reg[SLOTS_MAX]; /* enum reg or NO_REG */
    u32 code_start;         /* offset where code may go: thunks lie before */
    /* Thunks, in the writing mapping: displacements are the same in both. */
    const u8 *enter;
    const u8 *leave;        /* eax: exit number */
    const u8 *leave_synced; /* the same, all registers stored */
    const u8 *leave_pc;     /* rax: guest pc, bit 0 ignored; JIT_EXIT_LOOKUP */
    const u8 *leave_jumped; /* the same, of the JUMPR at r11d; JIT_EXIT_JUMPED */
    const u8 *leave_page;   /* eax: offset in the page; JIT_EXIT_LOOKUP */
    const u8 *chain;        /* eax: offset in the page, r11d: patch, ecx: source */
    const u8 *jumpr;        /* rax: guest pc */
    const u8 *turn_page;    /* eax: offset in the page; COUNT is not negative: goes on, or leaves */
    const u8 *turn_pc;      /* the same, rax: guest pc */
    const u8 *turn_jumped;  /* the same, of the JUMPR at r11d; or the table has not the pc */
    /* Called when COUNT, or layout.left, is not negative: it is (SF is not OF) if there is time for
     * more. Changes RAX and RCX. */
    const u8 *turn, *turn_left;
    const u8 *load;       /* rax: address, ecx: how, r11d: where; result in rax */
    const u8 *store;      /* the same, rdx: value */
    const u8 *call;       /* rdx: imm, r11d: where */
    const u8 *call_apart; /* the same */
    const u8 *go;         /* the same; rax: where to go on. Blocks' registers, then */
    const u8 *go_bare;    /* the same, slots are in the state before */
    /* For regions: registers survive that slots are in, whichever; ZF: it failed. */
    const u8 *load_kept, *store_kept, *call_kept;
    /* The same after a look at the TLB, without ecx: by log2 of the size, and whether it extends.
     */
    const u8 *load_look[2][4][2], *store_look[2][4]; /* of blocks, of regions */
    const u8 *adopt;                                 /* eax: mode; all registers survive */
    const u8 *widen;                                 /* the same */
    const u8 *guard;         /* rax: address, edx: how; addend in rax. ZF: it cannot be had */
    const u8 *guard_site[2]; /* the same, by read and write; the addend goes to the site */
    const u8 *call_bare;     /* slots are in the state, before and after; leaves if it failed */
    const u8 *fp_open;       /* slots into XMM registers and fp_live set, if the engine allows */
    const u8 *fma_nan64;     /* rax * rcx + something is a NaN: is infinity times zero the cause? */
    const u8 *fma_nan32;
    const u8 *fp_constants;
    const u8 *fp_flag_table; /* a byte by the flags of MXCSR */
    _Atomic u32 *recovery;   /* by page of the buffer, see view.c */
};

struct jit_compiler {
    struct jit_backend *backend;
    u32 at, end;                 /* what is left of its piece of the buffer */
    struct compile *compile;     /* working memory of compile.c */
    const struct jit_jump *jump; /* of the next region */
    u32 jump_count;
    u32 recovery; /* of the last region with a view in the piece; 0: none */
    u32 sites[JIT_MODES_MAX][2 * SITE_WIDTHS]; /* window.c: the next to be given out */
};

extern const u8 pinned_regs[PINNED_MAX];

/* compile.c: size of struct compile, bytes. */
size_t compile_size(void);

/* thunks.c */
void thunks_emit(struct jit_backend *backend, struct code *c);
/* Goes on at the guest pc in rax: by the jump table, else by the engine, which is told from where
 * unless that is NOT_NOTED. */
#define NOT_NOTED INT32_MIN
void emit_indirect_jump(const struct jit_backend *backend, struct code *c, s32 from);

/* Around C functions, in a thunk: registers survive that slots are in, whichever. rax: the second
 * argument; ZF: ok was 0, and if synced those of floating point are in the state only. */
void emit_kept_before(const struct jit_backend *b, struct code *c);
void emit_kept_after(const struct jit_backend *b, struct code *c, enum reg ok, bool synced);
void emit_call_c(struct code *c, u64 function);

/* guard.c */
void guard_thunks_emit(struct jit_backend *b, struct code *c);

/* fp_thunks.c */
/* Around C functions, in a thunk: XMM registers and exceptions to the state if they are live; and
 * back, which changes RCX and R11. The flags of the CPU change. */
void emit_fp_out(const struct jit_backend *backend, struct code *c, enum reg scratch,
                 enum reg other);
void emit_fp_in(const struct jit_backend *backend, struct code *c);
/* The exceptions in MXCSR, as in layout.fp_flags. */
void emit_fp_flags(const struct jit_backend *backend, struct code *c, enum reg to,
                   enum reg scratch);
/* After emit_fp_flags to `flags`, which is lost: clears them unless all are present in a register.
 */
void emit_fp_clear_unless(struct code *c, enum reg present, enum reg flags);
void fp_thunks_emit(struct jit_backend *backend, struct code *c);

static inline const u8 *fp_constant(const struct jit_backend *backend, u32 which)
{
    return backend->fp_constants + 16 * which;
}

/* Instructions hold what is within 128 bytes of where the register points in one byte. */
#define STATE_BIAS (JIT_NEAR_FIRST + 128)

static inline struct rm state_rm(s32 offset)
{
    return rm_mem(NEAR_STATE, offset - STATE_BIAS);
}

/* Where the engine's state begins. */
static inline void emit_state(struct code *c, enum reg to)
{
    emit_lea(c, to, NEAR_STATE, NO_REG, -STATE_BIAS);
}

#endif
