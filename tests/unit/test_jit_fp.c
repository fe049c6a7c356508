/* SPDX-License-Identifier: BSD-2-Clause */
/* Floating point of the back end against rv/softfp.h: results, exceptions, registers, exits. */
#include "jit/backend.h"

#include "base/bits.h"
#include "rv/softfp.h"
#include "tests/assert.h"
#include "tests/random.h"
#include "tests/test.h"

#include <stddef.h>

/* Slots: integers; binary64 and boxed binary32 values, the first half of each in registers. */
enum { INTS = 0, INTS_END = 6, F64S = 8, F64S_END = 16, F32S = 16, F32S_END = 24, SLOTS = 24 };

#define BOX     UINT64_C(0xffffffff00000000)
#define LEVEL   3
#define REFUSED (JIT_EXIT_ENGINE + 5)
#define INSNS   24
#define VA      UINT64_C(0x10000)

struct tlb_entry {
    u64 page, addend;
};

struct tlb {
    struct tlb_entry read[16], write[16];
};

struct state {
    u64 slot[SLOTS];
    u64 pc, count, page;
    u32 attn, patch, source;
    u32 fp_level, fp_live, fp_round, fp_flags;
    struct tlb *tlb;
    void *jumps;
    u64 memory[8];
    u64 turn, left;
};

static const u8 pinned[] = {0, 2, 3};
static const u8 pinned_fp[] = {8, 9, 10, 11, 16, 17, 18, 19};

static const struct jit_layout layout = {
    .slot = offsetof(struct state, slot),
    .pc = offsetof(struct state, pc),
    .count = offsetof(struct state, count),
    .turn = offsetof(struct state, turn),
    .left = offsetof(struct state, left),
    .page = offsetof(struct state, page),
    .attn = offsetof(struct state, attn),
    .patch = offsetof(struct state, patch),
    .source = offsetof(struct state, source),
    .tlb = offsetof(struct state, tlb),
    .tlb_bits = 4,
    .tlb_read = offsetof(struct tlb, read),
    .tlb_write = offsetof(struct tlb, write),
    .jumps = offsetof(struct state, jumps),
    .jumps_bits = 0,
    .int_slots = INTS_END,
    .pinned = pinned,
    .pinned_count = sizeof(pinned),
    .pinned_fp = pinned_fp,
    .pinned_fp_count = sizeof(pinned_fp),
    .fp_level = offsetof(struct state, fp_level),
    .fp_live = offsetof(struct state, fp_live),
    .fp_round = offsetof(struct state, fp_round),
    .fp_flags = offsetof(struct state, fp_flags),
    .fp_flag = {[JIT_FP_INVALID] = FP_NV,
                [JIT_FP_DIVIDE] = FP_DZ,
                [JIT_FP_OVERFLOW] = FP_OF,
                [JIT_FP_UNDERFLOW] = FP_UF,
                [JIT_FP_INEXACT] = FP_NX},
};

static struct jit_backend *backend;
static struct jit_compiler *compiler;
static struct ir_block block;
static s32 where[INSNS];
static struct state native, model;
static struct tlb tlb;
static u64 seed = 1;

static u64 rnd(u64 below)
{
    u64 z = test_random(&seed);

    return below ? z % below : z;
}

/* ---- numbers ---- */

static u64 special(u32 frac, u32 exp_bits)
{
    u64 exps = (UINT64_C(1) << exp_bits) - 1, inf = exps << frac, bias = exps / 2;
    u64 quiet = UINT64_C(1) << (frac - 1);

    switch (rnd(12)) {
    case 0:
        return 0;
    case 1:
        return inf;
    case 2:
        return inf | quiet;
    case 3: /* NaNs with payloads, signaling ones too */
        return inf | (rnd(0) & (quiet - 1)) | 1;
    case 4:
        return inf | quiet | (rnd(0) & (quiet - 1));
    case 5:
        return rnd(3); /* subnormal ends */
    case 6:
        return (UINT64_C(1) << frac) + 1 - rnd(3);
    case 7:
        return inf - 1 - rnd(2);
    case 8:
        return bias << frac; /* 1 */
    case 9:                  /* around the ranges of integers */
        return ((bias + 30 + rnd(4)) << frac) + 2 - rnd(5);
    case 10:
        return ((bias + 62 + rnd(4)) << frac) + 2 - rnd(5);
    default:
        return (bias - 1) << frac; /* 0.5 */
    }
}

static u64 random_float(u32 frac, u32 exp_bits)
{
    u64 exps = (UINT64_C(1) << exp_bits) - 1, bias = exps / 2, fraction, exp;

    if (!rnd(3))
        return special(frac, exp_bits) | rnd(2) << (frac + exp_bits);
    fraction = rnd(0) & ((UINT64_C(1) << frac) - 1);
    if (!rnd(3))
        fraction &= ~((UINT64_C(1) << rnd(frac + 1)) - 1); /* few bits: exact results */
    switch (rnd(4)) {
    case 0:
        exp = rnd(exps + 1);
        break;
    case 1:
        exp = bias / 2 + rnd(2 * frac) - frac; /* products on the edge of the subnormals */
        break;
    default:
        exp = bias - 3 + rnd(70);
    }
    return fraction | (exp & exps) << frac | rnd(2) << (frac + exp_bits);
}

static u64 random_f64(void)
{
    return random_float(52, 11);
}

static u64 random_f32(void)
{
    return random_float(23, 8) | BOX;
}

static u64 random_int(void)
{
    u64 v = rnd(0) >> rnd(64);

    return rnd(2) ? v : 0 - v;
}

/* ---- the model ---- */

typedef u64 (*binary_fn)(u64 a, u64 b, enum fp_round rm, u32 *flags);
typedef u64 (*pair_fn)(u64 a, u64 b, u32 *flags);
typedef u64 (*unary_fn)(u64 a, enum fp_round rm, u32 *flags);

static u64 sign_of(u8 opcode, u64 a, u64 b, u64 sign)
{
    if (opcode == IR_FSIGNX)
        return a ^ (b & sign);
    return (a & ~sign) | ((opcode == IR_FSIGN ? b : ~b) & sign);
}

#define MODEL(F, SIGN)                                                                           \
    static u64 model_##F(const struct ir_op *op, u64 a, u64 b, u64 c, enum fp_round round,       \
                         u32 *flags)                                                             \
    {                                                                                            \
        static const binary_fn binary[IR_OPCODES] = {                                            \
            [IR_FADD] = F##_add, [IR_FSUB] = F##_sub, [IR_FMUL] = F##_mul, [IR_FDIV] = F##_div}; \
        static const pair_fn pair[IR_OPCODES] = {                                                \
            [IR_FMIN] = F##_min, [IR_FMAX] = F##_max, [IR_FEQ] = F##_eq,  [IR_FLT] = F##_lt,     \
            [IR_FLE] = F##_le,   [IR_FLTQ] = F##_ltq, [IR_FLEQ] = F##_leq};                      \
        static const unary_fn unary[IR_OPCODES] = {[IR_FSQRT] = F##_sqrt,                        \
                                                   [IR_FTOS32] = F##_to_s32,                     \
                                                   [IR_FTOS64] = F##_to_s64,                     \
                                                   [IR_FTOU32] = F##_to_u32,                     \
                                                   [IR_FTOU64] = F##_to_u64};                    \
        const enum fp_round rounds[] = {round, FP_RTZ, FP_RDN, FP_RUP, FP_RMM};                  \
        bool to_unsigned = op->opcode == IR_FTOU32 || op->opcode == IR_FTOU64;                   \
        bool minus_c = op->opcode == IR_FMS || op->opcode == IR_FNMS;                            \
        bool minus_ab = op->opcode == IR_FNMA || op->opcode == IR_FNMS;                          \
                                                                                                 \
        if (binary[op->opcode])                                                                  \
            return binary[op->opcode](a, b, round, flags);                                       \
        if (pair[op->opcode])                                                                    \
            return pair[op->opcode](a, b, flags);                                                \
        if (unary[op->opcode])                                                                   \
            return unary[op->opcode](a, to_unsigned ? FP_RTZ : rounds[op->imm], flags);          \
        if (op->opcode >= IR_FSIGN && op->opcode <= IR_FSIGNX)                                   \
            return sign_of(op->opcode, a, b, SIGN);                                              \
        if (op->opcode == IR_FFROMS)                                                             \
            return F##_from_s64((s64)a, round, flags);                                           \
        if (op->opcode == IR_FFROMU)                                                             \
            return F##_from_u64(a, round, flags);                                                \
        return F##_fma(minus_ab ? a ^ SIGN : a, b, minus_c ? c ^ SIGN : c, round, flags);        \
    }
MODEL(f32, F32_SIGN)
MODEL(f64, F64_SIGN)

static u64 model_fp(struct state *s, const struct ir_op *op, u64 a, u64 b, u64 c)
{
    static const enum fp_round rounds[] = {[JIT_FP_NEAREST] = FP_RNE,
                                           [JIT_FP_DOWN] = FP_RDN,
                                           [JIT_FP_UP] = FP_RUP,
                                           [JIT_FP_ZERO] = FP_RTZ};
    enum fp_round round = rounds[s->fp_round];

    if (op->opcode == IR_FWIDEN)
        return f32_to_f64(a & UINT32_MAX, round, &s->fp_flags);
    if (op->opcode == IR_FNARROW)
        return f64_to_f32(a, round, &s->fp_flags) | BOX;
    if (op->opcode == IR_FBOX)
        return a | BOX;
    if (op->size == 8)
        return model_f64(op, a, b, c, round, &s->fp_flags);
    if (ir_makes_fp(op->opcode))
        return model_f32(op, a & (op->opcode < IR_FFROMS ? UINT32_MAX : UINT64_MAX), b & UINT32_MAX,
                         c & UINT32_MAX, round, &s->fp_flags) |
               BOX;
    return model_f32(op, a & UINT32_MAX, b & UINT32_MAX, 0, round, &s->fp_flags);
}

/* ---- the engine: uses the host's floating point for itself ---- */

static bool host_rounds_to_nearest(void)
{
    volatile double tiny = 0x1p-1000;

    return 1 + tiny == 1 && 1 - tiny == 1 && -1 - tiny == -1;
}

static void disturb(void)
{
    volatile double zero = 0, tiny = 0x1p-1000, result;

    CHECK(host_rounds_to_nearest());
    result = 1 / zero;
    result = zero / zero;
    result = tiny * tiny;
    result = 1 / (tiny * 0x1p1000 * 3);
    (void)result;
    __asm__ volatile("pcmpeqd %%xmm3, %%xmm3\n pcmpeqd %%xmm4, %%xmm4\n pcmpeqd %%xmm5, %%xmm5\n"
                     "pcmpeqd %%xmm6, %%xmm6\n pcmpeqd %%xmm7, %%xmm7\n pcmpeqd %%xmm8, %%xmm8\n"
                     "pcmpeqd %%xmm9, %%xmm9\n pcmpeqd %%xmm10, %%xmm10" ::
                         : "xmm3", "xmm4", "xmm5", "xmm6", "xmm7", "xmm8", "xmm9", "xmm10");
}

static bool is_memory(u64 address)
{
    return address >= VA && address < VA + sizeof(native.memory);
}

static struct jit_result engine_load(void *state, u64 address, u32 how, u32 at)
{
    struct state *s = state;
    struct jit_result r = {0, is_memory(address)};

    disturb();
    if (r.ok)
        memcpy(&r.value, (u8 *)s->memory + (address - VA), how & 0xff);
    return r;
}

static u64 engine_store(void *state, u64 address, u64 value, u32 how, u32 at)
{
    struct state *s = state;

    disturb();
    if (is_memory(address))
        memcpy((u8 *)s->memory + (address - VA), &value, how & 0xff);
    return is_memory(address);
}

/* Changes floating-point slots and exceptions; what they were is looked at. */
static u64 engine_call(void *state, u64 imm, u32 at)
{
    struct state *s = state;

    disturb();
    for (u32 i = F64S; i < F64S_END; i++)
        s->slot[i] ^= (u64)(s->fp_flags & FP_OF) << i;
    s->slot[F32S + imm % 8] ^= imm & UINT32_MAX;
    s->fp_flags |= imm & 31;
    return !(imm & BIT(40));
}

static const struct jit_engine engine = {engine_load, engine_store, engine_call};

static bool model_memory(struct state *s, const struct ir_op *op, u64 a, u64 b, u64 *result)
{
    struct jit_result r;

    if (op->opcode == IR_STORE)
        return engine_store(s, a, b, op->size, 0);
    r = engine_load(s, a, op->size, 0);
    *result = r.value;
    return r.ok;
}

/* Runs one operation; false: leaves by a fault. */
static bool model_op(struct state *s, const struct ir_op *op, const u64 *value, u64 *result)
{
    u64 a = value[op->arg[0]], b = value[op->arg[1]], c = value[op->arg[2]];

    switch (op->opcode) {
    case IR_CONST:
        *result = (u64)op->imm;
        return true;
    case IR_GET:
        *result = s->slot[op->imm];
        return true;
    case IR_PUT:
        s->slot[op->imm] = a;
        return true;
    case IR_FXGET:
        *result = s->fp_flags;
        return true;
    case IR_FXSET:
        s->fp_flags = (u32)a;
        return true;
    case IR_LOAD:
    case IR_STORE:
        return model_memory(s, op, a, b, result);
    case IR_CALL:
    case IR_CALL_APART:
        return engine_call(s, (u64)op->imm, 0);
    case IR_FGUARD:
    case IR_LEAVE:
        return true;
    default:
        if (ir_is_fp(op->opcode))
            *result = model_fp(s, op, a, b, c);
        else
            CHECK(ir_evaluate((enum ir_opcode)op->opcode, a, b, c, result));
        return true;
    }
}

static u32 model_run(struct state *s)
{
    static u64 value[IR_OPS_MAX];

    for (u32 i = 0; i < block.count; i++) {
        if (!model_op(s, &block.op[i], value, &value[i]))
            return JIT_EXIT_FAULT;
    }
    s->count += INSNS;
    return JIT_EXIT_ENGINE;
}

/* ---- blocks ---- */

static void reset(void)
{
    if (!backend) {
        backend = jit_backend_create(&layout, &engine, 1 << 20);
        ASSERT(backend);
        compiler = jit_compiler_create(backend);
        ASSERT(compiler);
        for (u32 i = 0; i < INSNS; i++)
            where[i] = (s32)(4 * i);
    }
    memset(&tlb, 0, sizeof(tlb));
    memset(&native, 0, sizeof(native));
    for (u32 i = 0; i < INTS_END; i++)
        native.slot[i] = random_int();
    for (u32 i = F64S; i < F64S_END; i++)
        native.slot[i] = random_f64();
    for (u32 i = F32S; i < F32S_END; i++)
        native.slot[i] = random_f32();
    for (u32 i = 0; i < 8; i++)
        native.memory[i] = rnd(2) ? random_f64() : rnd(0);
    native.tlb = &tlb;
    native.fp_level = LEVEL;
    native.fp_flags = rnd(2) ? 0 : (u32)rnd(32);
    native.fp_round = rnd(2) ? JIT_FP_NEAREST : (u32)rnd(4);
    /* Any address of the page hits, or none does. */
    tlb.read[VA >> 12 & 15] = tlb.write[VA >> 12 & 15] =
        (struct tlb_entry){rnd(2) ? VA : ~VA, (u64)(uintptr_t)native.memory - VA};
    for (u32 i = 0; i < 16; i++) {
        if (i != (VA >> 12 & 15))
            tlb.read[i].page = tlb.write[i].page = ~VA;
    }
    model = native;
    ir_init(&block);
}

static u32 run_native(void)
{
    u32 code;

    jit_compiler_aim(compiler, jit_backend_code_start(backend), 1 << 20);
    CHECK(!ir_verify(&block));
    code = jit_backend_compile(compiler, &block, where, 1);
    CHECK(code);
    return jit_backend_run(backend, &native, code);
}

static void run_both(void)
{
    u32 why = run_native(), want = model_run(&model);
    static char text[65536];
    bool same;

    native.fp_live = model.fp_live;
    native.turn = model.turn;
    if (want == JIT_EXIT_FAULT)
        model.count = native.count; /* the engine's affair */
    same = why == want && !memcmp(&native, &model, sizeof(native)) && host_rounds_to_nearest();
    CHECK(same);
    if (same)
        return;
    ir_print(&block, text, sizeof(text));
    printf("%s# %u, want %u; exceptions %x, want %x\n", text, why, want, native.fp_flags,
           model.fp_flags);
    for (u32 i = 0; i < SLOTS; i++) {
        if (native.slot[i] != model.slot[i])
            printf("# slot %u: %" PRIx64 ", want %" PRIx64 "\n", i, native.slot[i], model.slot[i]);
    }
}

static u32 any_slot(u32 size)
{
    return size == 8 ? F64S + (u32)rnd(F64S_END - F64S) : F32S + (u32)rnd(F32S_END - F32S);
}

static ir_value operand(u32 size)
{
    if (!rnd(12))
        return ir_const(&block, size == 8 ? random_f64() : random_f32());
    return ir_get(&block, any_slot(size));
}

static void put_int(ir_value v)
{
    ir_put(&block, (u32)rnd(INTS_END), v);
}

static void random_fp(u8 opcode, u32 size)
{
    enum ir_opcode o = (enum ir_opcode)opcode;
    u32 operands = ir_operands(o), from = size, to = size;
    ir_value a, b = 0, c = 0, v;

    if (o == IR_FWIDEN || o == IR_FNARROW) {
        from = o == IR_FWIDEN ? 4 : 8;
        to = 12 - from;
    }
    if (o == IR_FBOX)
        to = 4;
    if (o == IR_FFROMS || o == IR_FFROMU)
        a = rnd(8) ? ir_get(&block, (u32)rnd(INTS_END)) : ir_const(&block, random_int());
    else
        a = operand(from);
    if (operands > 1)
        b = rnd(5) ? operand(from) : a;
    if (operands > 2)
        c = rnd(5) ? operand(from) : rnd(2) ? a : b;
    if (o == IR_FTOS32 || o == IR_FTOS64)
        v = ir_fp_round(&block, o, size, a, (enum ir_round)rnd(5));
    else
        v = ir_fp(&block, o, size, a, b, c);
    if (ir_makes_fp(o))
        ir_put(&block, any_slot(to), v);
    else if (rnd(8)) /* else only exceptions are wanted */
        put_int(v);
}

static void random_move(void)
{
    u32 size = rnd(2) ? 8 : 4;
    ir_value address = ir_const(&block, rnd(40) ? VA + 8 * rnd(8) : 16 * VA), v;

    switch (rnd(5)) {
    case 0:
        v = ir_load(&block, address, size, false);
        ir_put(&block, any_slot(size), size == 8 ? v : ir_fp(&block, IR_FBOX, 4, v, 0, 0));
        break;
    case 1:
        ir_store(&block, address, operand(size), 1u << rnd(4));
        break;
    case 2:
        put_int(ir_unary(&block, rnd(2) ? IR_SX32 : IR_NOT, ir_get(&block, any_slot(size))));
        break;
    case 3:
        ir_put(&block, any_slot(8), ir_get(&block, (u32)rnd(INTS_END)));
        break;
    default:
        ir_put(&block, any_slot(8), operand(8));
    }
}

static void random_insn(void)
{
    switch (rnd(16)) {
    case 0:
        ir_control(&block, rnd(2) ? IR_CALL_APART : IR_CALL, 0,
                   (s64)(rnd(UINT32_MAX) | (rnd(20) ? 0 : BIT(40))));
        break;
    case 1:
        put_int(ir_fp(&block, IR_FXGET, 0, 0, 0, 0));
        break;
    case 2:
        ir_control(
            &block, IR_FXSET,
            ir_binary(&block, IR_AND, ir_get(&block, (u32)rnd(INTS_END)), ir_const(&block, 31)), 0);
        break;
    case 3:
    case 4:
    case 5:
        random_move();
        break;
    default:
        random_fp((u8)(IR_FADD + rnd(IR_FTOU64 - IR_FADD + 1)), rnd(2) ? 8 : 4);
    }
}

static void finish(void)
{
    block.guest = INSNS - 1;
    ir_control(&block, IR_LEAVE, 0, JIT_EXIT_ENGINE);
}

TEST(each_operation)
{
    for (u32 o = IR_FADD; o <= IR_FTOU64 && !test_failures; o++) {
        for (u32 n = 0; n < 12000 && !test_failures; n++) {
            reset();
            native.fp_flags = model.fp_flags = 0;
            ir_fp_guard(&block, LEVEL, REFUSED);
            random_fp((u8)o, n & 1 ? 8 : 4);
            finish();
            run_both();
        }
    }
}

TEST(random_blocks)
{
    for (u32 n = 0; n < 40000 && !test_failures; n++) {
        reset();
        for (u32 i = 0; i < INSNS; i++) {
            block.guest = (u16)i;
            if (!i || !rnd(8))
                ir_fp_guard(&block, 1 + (u32)rnd(LEVEL), REFUSED);
            random_insn();
        }
        finish();
        run_both();
    }
}

TEST(guards)
{
    for (u32 level = 0; level <= LEVEL; level++) {
        for (u32 wanted = 1; wanted <= LEVEL; wanted++) {
            u32 why;
            reset();
            native.fp_level = level;
            native.slot[F64S] = UINT64_C(0x3ff0000000000000);
            block.guest = 2;
            ir_fp_guard(&block, wanted, REFUSED);
            ir_put(&block, F64S,
                   ir_fp(&block, IR_FADD, 8, ir_get(&block, F64S), ir_get(&block, F64S), 0));
            finish();
            why = run_native();
            CHECK_EQ(why, level >= wanted ? JIT_EXIT_ENGINE : REFUSED);
            CHECK_EQ(native.count, level >= wanted ? INSNS : 2);
            CHECK_EQ(native.slot[F64S],
                     level >= wanted ? UINT64_C(0x4000000000000000) : UINT64_C(0x3ff0000000000000));
            if (level < wanted)
                CHECK_EQ(native.pc, 8);
        }
    }
}

TEST_MAIN()
