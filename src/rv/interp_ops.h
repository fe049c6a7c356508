/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The words of spec/riscv.def as C, for rv/interp.c alone. In scope: hart, insn, ip, page, count;
 * the labels exception, illegal, jump, misaligned; LEN, the instruction's length in bytes.
 */
#ifndef COSM_RV_INTERP_OPS_H
#define COSM_RV_INTERP_OPS_H

#include "rv/bitops.h"
#include "rv/softfp.h"

/* Operands. */
#define RD(v)    (hart->x[insn_rd(insn)] = (v))
#define RS1      (hart->x[insn_rs1(insn)])
#define RS2      (hart->x[insn_rs2(insn)])
#define IMM      ((u64)insn_imm(insn))
#define UPPER    (IMM << 12)
#define CONST(n) ((u64)(n))
#define PC       (page_va + (u64)(ip - page->slot) * 2)
#define LINK     (PC + LEN)

/* Pure operations on 64 bits. */
#define ADD(a, b)          ((a) + (b))
#define SUB(a, b)          ((a) - (b))
#define AND(a, b)          ((a) & (b))
#define OR(a, b)           ((a) | (b))
#define XOR(a, b)          ((a) ^ (b))
#define NOT(a)             (~(a))
#define SLL(a, n)          ((a) << ((n)&63))
#define SRL(a, n)          ((a) >> ((n)&63))
#define SRA(a, n)          ((u64)((s64)(a) >> ((n)&63)))
#define LTS(a, b)          ((u64)((s64)(a) < (s64)(b)))
#define GES(a, b)          ((u64)((s64)(a) >= (s64)(b)))
#define LTU(a, b)          ((u64)((a) < (b)))
#define GEU(a, b)          ((u64)((a) >= (b)))
#define EQ(a, b)           ((u64)((a) == (b)))
#define NE(a, b)           ((u64)((a) != (b)))
#define SX32(a)            ((u64)(s32)(a))
#define ZX32(a)            ((u64)(u32)(a))
#define SX16(a)            ((u64)(s16)(a))
#define ZX16(a)            ((u64)(u16)(a))
#define SX8(a)             ((u64)(s8)(a))
#define ZX8(a)             ((u64)(u8)(a))
#define MUL(a, b)          ((a) * (b))
#define MULHU(a, b)        ((u64)(((u128)(a) * (b)) >> 64))
#define MULH(a, b)         ((u64)(((s128)(s64)(a) * (s64)(b)) >> 64))
#define MULHSU(a, b)       ((u64)(((s128)(s64)(a) * (s128)(u128)(b)) >> 64))
#define DIV(a, b)          div_signed(a, b)
#define DIVU(a, b)         div_unsigned(a, b)
#define REM(a, b)          rem_signed(a, b)
#define REMU(a, b)         rem_unsigned(a, b)
#define SELECT(c, a, b)    ((c) ? (a) : (b))
#define CLZ(a)             ((u64)bitops_clz64(a))
#define CTZ(a)             ((u64)bitops_ctz64(a))
#define CPOP(a)            ((u64)bitops_cpop64(a))
#define ROL(a, n)          bitops_rol64(a, (unsigned)(n))
#define ROR(a, n)          bitops_ror64(a, (unsigned)(n))
#define ROL32(a, n)        bitops_rol32((u32)(a), (unsigned)(n))
#define ROR32(a, n)        bitops_ror32((u32)(a), (unsigned)(n))
#define REV8(a)            bitops_rev8(a)
#define ORC_B(a)           bitops_orc_b(a)
#define CLMUL(a, b)        bitops_clmul(a, b)
#define CLMULH(a, b)       bitops_clmulh(a, b)
#define CLMULR(a, b)       bitops_clmulr(a, b)
#define CALL1(fn, a)       bitops_##fn(a)
#define CALL2(fn, a, b)    bitops_##fn(a, b)
#define CALL3(fn, a, b, c) bitops_##fn(a, b, c)

/* Division as the M chapter defines it for zero divisors and overflow. */
static inline u64 div_unsigned(u64 a, u64 b)
{
    return b ? a / b : UINT64_MAX;
}

static inline u64 rem_unsigned(u64 a, u64 b)
{
    return b ? a % b : a;
}

static inline u64 div_signed(u64 a, u64 b)
{
    if (b + 1 <= 1) /* 0 or -1 */
        return b ? 0 - a : UINT64_MAX;
    return (u64)((s64)a / (s64)b);
}

static inline u64 rem_signed(u64 a, u64 b)
{
    if (b + 1 <= 1)
        return b ? 0 : a;
    return (u64)((s64)a % (s64)b);
}

/* Memory. A device may ask for the pc and the count: both are given before it is reached. */
#define LOAD(type, addr)                                                    \
    ({                                                                      \
        u64 value_;                                                         \
        gva_t va_ = (addr);                                                 \
        if (UNLIKELY(!mem_load_fast(hart, va_, sizeof(type), &value_))) {   \
            SYNC();                                                         \
            if (UNLIKELY(!mem_load_slow(hart, va_, sizeof(type), &value_))) \
                goto exception;                                             \
        }                                                                   \
        (u64)(type) value_;                                                 \
    })
#define STORE(type, addr, v)                                               \
    do {                                                                   \
        gva_t va_ = (addr);                                                \
        u64 data_ = (v);                                                   \
        if (UNLIKELY(!mem_store_fast(hart, va_, sizeof(type), data_))) {   \
            SYNC();                                                        \
            if (UNLIKELY(!mem_store_slow(hart, va_, sizeof(type), data_))) \
                goto exception;                                            \
        }                                                                  \
    } while (0)

/* Sequentially consistent whatever aq and rl say: stronger is allowed. */
#define ATOMIC_swap(type, p, v) __atomic_exchange_n(p, v, __ATOMIC_SEQ_CST)
#define ATOMIC_add(type, p, v)  __atomic_fetch_add(p, v, __ATOMIC_SEQ_CST)
#define ATOMIC_and(type, p, v)  __atomic_fetch_and(p, v, __ATOMIC_SEQ_CST)
#define ATOMIC_or(type, p, v)   __atomic_fetch_or(p, v, __ATOMIC_SEQ_CST)
#define ATOMIC_xor(type, p, v)  __atomic_fetch_xor(p, v, __ATOMIC_SEQ_CST)
#define ATOMIC_CHOOSE(type, p, v, op)                                                         \
    ({                                                                                        \
        type seen_ = __atomic_load_n(p, __ATOMIC_RELAXED);                                    \
        while (!__atomic_compare_exchange_n(p, &seen_, seen_ op(v) ? seen_ : (type)(v), true, \
                                            __ATOMIC_SEQ_CST, __ATOMIC_RELAXED))              \
            ;                                                                                 \
        seen_;                                                                                \
    })
#define ATOMIC_min(type, p, v)  ATOMIC_CHOOSE(s##type, (s##type *)p, (s##type)(v), <)
#define ATOMIC_max(type, p, v)  ATOMIC_CHOOSE(s##type, (s##type *)p, (s##type)(v), >)
#define ATOMIC_minu(type, p, v) ATOMIC_CHOOSE(u##type, (u##type *)p, (u##type)(v), <)
#define ATOMIC_maxu(type, p, v) ATOMIC_CHOOSE(u##type, (u##type *)p, (u##type)(v), >)

#define AMO_POINTER(bits, acc)                                   \
    bool code_;                                                  \
    void *at_ = mem_pointer(hart, RS1, (bits) / 8, acc, &code_); \
    if (UNLIKELY(!at_))                                          \
        goto exception;
#define AMO_DONE(bits)   \
    if (UNLIKELY(code_)) \
        mem_wrote(hart, at_, (bits) / 8);
#define AMO(bits, op)                                                \
    do {                                                             \
        AMO_POINTER(bits, ACCESS_WRITE)                              \
        u##bits *word_ = at_;                                        \
        s##bits old_ = (s##bits)AMO_##op(bits, word_, (u##bits)RS2); \
        AMO_DONE(bits)                                               \
        RD((u64)old_);                                               \
    } while (0)
#define AMO_swap(bits, p, v) ATOMIC_swap(u##bits, p, v)
#define AMO_add(bits, p, v)  ATOMIC_add(u##bits, p, v)
#define AMO_and(bits, p, v)  ATOMIC_and(u##bits, p, v)
#define AMO_or(bits, p, v)   ATOMIC_or(u##bits, p, v)
#define AMO_xor(bits, p, v)  ATOMIC_xor(u##bits, p, v)
#define AMO_min(bits, p, v)  ATOMIC_min(bits, p, v)
#define AMO_max(bits, p, v)  ATOMIC_max(bits, p, v)
#define AMO_minu(bits, p, v) ATOMIC_minu(bits, p, v)
#define AMO_maxu(bits, p, v) ATOMIC_maxu(bits, p, v)

/* rd is a source, too; x0 reads as 0 although its writes go to the sink. */
#define RD_VALUE(n)  ((n) % REG_SINK ? hart->x[n] : 0)
#define AMOCAS(bits) AMOCAS_##bits
#define AMOCAS_SMALL(bits)                                                           \
    do {                                                                             \
        AMO_POINTER(bits, ACCESS_WRITE)                                              \
        u##bits expected_ = (u##bits)RD_VALUE(insn_rd(insn));                        \
        __atomic_compare_exchange_n((u##bits *)at_, &expected_, (u##bits)RS2, false, \
                                    __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST);             \
        AMO_DONE(bits)                                                               \
        RD((u64)(s##bits)expected_);                                                 \
    } while (0)
#define AMOCAS_8  AMOCAS_SMALL(8)
#define AMOCAS_16 AMOCAS_SMALL(16)
#define AMOCAS_32 AMOCAS_SMALL(32)
#define AMOCAS_64 AMOCAS_SMALL(64)
/* Register pairs: odd numbers are reserved; a pair at x0 reads as 0 and is not written. */
#define PAIR_VALUE(n) ((n) % REG_SINK ? (u128)hart->x[(n) + 1] << 64 | hart->x[n] : 0)
#define AMOCAS_128                                                                               \
    do {                                                                                         \
        unsigned rd_ = insn_rd(insn), rs2_ = insn_rs2(insn);                                     \
        if ((rd_ | rs2_) & 1)                                                                    \
            goto illegal;                                                                        \
        AMO_POINTER(128, ACCESS_WRITE)                                                           \
        u128 old_ = __sync_val_compare_and_swap((u128 *)at_, PAIR_VALUE(rd_), PAIR_VALUE(rs2_)); \
        AMO_DONE(128)                                                                            \
        if (rd_ != REG_SINK) {                                                                   \
            hart->x[rd_] = (u64)old_;                                                            \
            hart->x[rd_ + 1] = (u64)(old_ >> 64);                                                \
        }                                                                                        \
    } while (0)
#define LR(bits)                                                                  \
    do {                                                                          \
        AMO_POINTER(bits, ACCESS_READ)                                            \
        (void)code_;                                                              \
        hart->reserved = at_;                                                     \
        hart->reserved_size = (bits) / 8;                                         \
        hart->reserved_value = __atomic_load_n((u##bits *)at_, __ATOMIC_SEQ_CST); \
        RD((u64)(s##bits)hart->reserved_value);                                   \
    } while (0)
/* Succeeds if the word still has the value that LR read: A-B-A is indistinguishable, as in peers.
 */
#define SC(bits)                                                                                \
    do {                                                                                        \
        AMO_POINTER(bits, ACCESS_WRITE)                                                         \
        u##bits expected_ = (u##bits)hart->reserved_value;                                      \
        bool ok_ = hart->reserved == at_ && hart->reserved_size == (bits) / 8 &&                \
                   __atomic_compare_exchange_n((u##bits *)at_, &expected_, (u##bits)RS2, false, \
                                               __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST);             \
        hart->reserved = NULL;                                                                  \
        AMO_DONE(bits)                                                                          \
        RD(!ok_);                                                                               \
    } while (0)
#define MEMORY_FENCE                                   \
    do {                                               \
        if (insn_orders_all((u64)IMM))                 \
            atomic_thread_fence(memory_order_seq_cst); \
        else                                           \
            atomic_thread_fence(memory_order_acq_rel); \
    } while (0)

/* Control flow. */
#define BRANCH(cond)                                                         \
    do {                                                                     \
        if (cond) {                                                          \
            u64 slot_ = (u64)(ip - page->slot) + (u64)(insn_imm(insn) >> 1); \
            if (UNLIKELY(slot_ >= near_slots)) {                             \
                target = PC + IMM;                                           \
                goto jump_checked;                                           \
            }                                                                \
            ip = page->slot + slot_;                                         \
            goto near_jump;                                                  \
        }                                                                    \
    } while (0)
#define JUMP_LINK_DIRECT                                                 \
    do {                                                                 \
        u64 slot_ = (u64)(ip - page->slot) + (u64)(insn_imm(insn) >> 1); \
        if (UNLIKELY(slot_ >= near_slots)) {                             \
            target = PC + IMM;                                           \
            if (UNLIKELY(target & pc_align))                             \
                goto misaligned;                                         \
            RD(LINK);                                                    \
            goto jump;                                                   \
        }                                                                \
        RD(LINK);                                                        \
        ip = page->slot + slot_;                                         \
        goto near_jump;                                                  \
    } while (0)
#define JUMP_LINK(to)                    \
    do {                                 \
        target = (to);                   \
        if (UNLIKELY(target & pc_align)) \
            goto misaligned;             \
        RD(LINK);                        \
        goto jump;                       \
    } while (0)

/* System. */
#define SYNC()                   \
    do {                         \
        hart->pc = PC;           \
        hart->insns = count - 1; \
    } while (0)
#define SYSTEM(fn)           \
    do {                     \
        SYNC();              \
        if (!fn(hart, insn)) \
            goto exception;  \
    } while (0)
/* A CSR write may have changed the translation of fetches or made an interrupt takeable. */
#define SYSTEM_CSR(fn)     \
    do {                   \
        SYSTEM(fn);        \
        target = PC + LEN; \
        goto jump;         \
    } while (0)
#define SYSTEM_JUMP(fn)    \
    do {                   \
        SYSTEM(fn);        \
        target = hart->pc; \
        goto jump;         \
    } while (0)
#define SYSTEM_WFI             \
    do {                       \
        SYSTEM(system_wfi);    \
        leave = HART_EXIT_WFI; \
        goto leave_after;      \
    } while (0)
#define SPIN_HINT                \
    do {                         \
        leave = HART_EXIT_YIELD; \
        goto leave_after;        \
    } while (0)
#define SYSTEM_SPIN(fn) \
    do {                \
        SYSTEM(fn);     \
        SPIN_HINT;      \
    } while (0)

/* Floating point. */
#define FP_ENTER                                     \
    if (UNLIKELY(!(hart->csr.mstatus & MSTATUS_FS))) \
        goto illegal;
#define FP_ROUNDING(field)              \
    unsigned rm_ = (unsigned)(field)&7; \
    if (rm_ == 7)                       \
        rm_ = hart->csr.frm;            \
    if (UNLIKELY(rm_ > 4))              \
        goto illegal;
#define FLAGS    (&hart->csr.fflags)
#define RM       ((enum fp_round)rm_)
#define FS1(w)   fp_unbox_##w(hart->f[insn_rs1(insn)])
#define FS2(w)   fp_unbox_##w(hart->f[insn_rs2(insn)])
#define FD(w, v) (hart->f[insn_rd(insn)] = fp_box_##w(v), csr_fs_dirty(hart))

static inline u64 fp_unbox_16(u64 f)
{
    return f >> 16 == UINT64_C(0xffffffffffff) ? f & 0xffff : F16_NAN;
}

static inline u64 fp_unbox_32(u64 f)
{
    return f >> 32 == 0xffffffff ? f & 0xffffffff : F32_NAN;
}

static inline u64 fp_unbox_64(u64 f)
{
    return f;
}

static inline u64 fp_box_16(u64 v)
{
    return v | ~UINT64_C(0xffff);
}

static inline u64 fp_box_32(u64 v)
{
    return v | ~UINT64_C(0xffffffff);
}

static inline u64 fp_box_64(u64 v)
{
    return v;
}

#define FP_LOAD(w, addr)         \
    do {                         \
        FP_ENTER                 \
        FD(w, LOAD(u##w, addr)); \
    } while (0)
#define FP_STORE(w, addr)                           \
    do {                                            \
        FP_ENTER                                    \
        STORE(u##w, addr, hart->f[insn_rs2(insn)]); \
    } while (0)
#define FP1_RM(w, fn)                                           \
    do {                                                        \
        FP_ENTER FP_ROUNDING(IMM) FD(w, fn(FS1(w), RM, FLAGS)); \
    } while (0)
#define FP2_RM(w, fn)                                                   \
    do {                                                                \
        FP_ENTER FP_ROUNDING(IMM) FD(w, fn(FS1(w), FS2(w), RM, FLAGS)); \
    } while (0)
#define FP2(w, fn)                                 \
    do {                                           \
        FP_ENTER FD(w, fn(FS1(w), FS2(w), FLAGS)); \
    } while (0)
#define FP_FMA(w, negate_product, negate_addend)                                 \
    do {                                                                         \
        FP_ENTER FP_ROUNDING(IMM >> 8) u64 c_ = fp_unbox_##w(hart->f[IMM & 31]); \
        FD(w, f##w##_fma(FS1(w) ^ ((negate_product) ? F##w##_SIGN : 0), FS2(w),  \
                         c_ ^ ((negate_addend) ? F##w##_SIGN : 0), RM, FLAGS));  \
    } while (0)
#define SIGN_COPY(a, b, sign)   (((a) & ~(sign)) | ((b) & (sign)))
#define SIGN_NEGATE(a, b, sign) (((a) & ~(sign)) | (~(b) & (sign)))
#define SIGN_XOR(a, b, sign)    ((a) ^ ((b) & (sign)))
#define FP_SIGN(w, how)                                   \
    do {                                                  \
        FP_ENTER FD(w, how(FS1(w), FS2(w), F##w##_SIGN)); \
    } while (0)
#define FP_COMPARE(w, fn)                       \
    do {                                        \
        FP_ENTER RD(fn(FS1(w), FS2(w), FLAGS)); \
        csr_fs_dirty(hart);                     \
    } while (0)
#define FP_CLASS(w, fn)          \
    do {                         \
        FP_ENTER RD(fn(FS1(w))); \
    } while (0)
#define FP_TO_INT(w, fn)                                     \
    do {                                                     \
        FP_ENTER FP_ROUNDING(IMM) RD(fn(FS1(w), RM, FLAGS)); \
        csr_fs_dirty(hart);                                  \
    } while (0)
#define FP_TO_INT_MOD                                \
    do {                                             \
        FP_ENTER RD(f64_to_s32_mod(FS1(64), FLAGS)); \
        csr_fs_dirty(hart);                          \
    } while (0)
#define FP_FROM_INT(w, fn, type)                                   \
    do {                                                           \
        FP_ENTER FP_ROUNDING(IMM) FD(w, fn((type)RS1, RM, FLAGS)); \
    } while (0)
#define FP_CONVERT(from, to, fn)                                    \
    do {                                                            \
        FP_ENTER FP_ROUNDING(IMM) FD(to, fn(FS1(from), RM, FLAGS)); \
    } while (0)
#define FP_MOVE_TO_INT(w)                                \
    do {                                                 \
        FP_ENTER RD((u64)(s##w)hart->f[insn_rs1(insn)]); \
    } while (0)
#define FP_MOVE_FROM_INT(w)        \
    do {                           \
        FP_ENTER FD(w, (u##w)RS1); \
    } while (0)
#define FP_CONSTANT(w, fn)                  \
    do {                                    \
        FP_ENTER FD(w, fn(insn_rs1(insn))); \
    } while (0)

#endif
