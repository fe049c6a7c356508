/* SPDX-License-Identifier: BSD-2-Clause */
/* The back end against an IR interpreter: operations in all placements, accesses, exits, blocks. */
#include "jit/backend.h"

#include "base/bits.h"
#include "base/endian.h"
#include "tests/assert.h"
#include "tests/random.h"
#include "tests/test.h"

#include <stddef.h>

#define SLOTS     24
#define PAGE      UINT64_C(4096)
#define VA        UINT64_C(0x7f0000000000)     /* of the first page of memory */
#define NO_PAGE   UINT64_C(0x5a5a5a5a5a5a5000) /* no random address */
#define PAGES     8
#define CODE_PAGE UINT64_C(0xffffffff80005000)
#define JUMPS     64

struct tlb {
    struct {
        u64 page, addend;
    } read[16], write[16];
};

struct jump {
    u64 pc, code;
};

struct state {
    u64 slot[SLOTS];
    u64 pc, count, page;
    u32 attn, patch, source;
    u32 fp_level, fp_live, fp_round, fp_flags;
    struct tlb *tlb;
    struct jump *jumps;
    u8 memory[PAGES * 4096];
    u64 link, link_value, link_size;
    u64 slow, fault_at; /* engine calls; what the last one was told */
    u64 turn, left;
};

/* The even half of the slots is wanted in registers, more than there are. */
static const u8 pinned[] = {0, 2, 4, 6, 8, 10, 12, 14, 16, 18};

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
    .link = offsetof(struct state, link),
    .link_value = offsetof(struct state, link_value),
    .link_size = offsetof(struct state, link_size),
    .jumps = offsetof(struct state, jumps),
    .jumps_bits = 6,
    .pinned = pinned,
    .pinned_count = sizeof(pinned),
    .fp_level = offsetof(struct state, fp_level),
    .fp_live = offsetof(struct state, fp_live),
    .fp_round = offsetof(struct state, fp_round),
    .fp_flags = offsetof(struct state, fp_flags),
    .fp_flag = {[JIT_FP_INVALID] = 16,
                [JIT_FP_DIVIDE] = 8,
                [JIT_FP_OVERFLOW] = 4,
                [JIT_FP_UNDERFLOW] = 2,
                [JIT_FP_INEXACT] = 1},
};

static struct tlb tlb;
static struct jump jumps[JUMPS];
static struct state native, model;
static struct jit_backend *backend;
static struct jit_compiler *compiler;

#define BUFFER (1u << 20)

static void start_over(void)
{
    jit_compiler_aim(compiler, jit_backend_code_start(backend), BUFFER);
}
static struct ir_block block;
static s32 where[64];
static u64 seed = 1;

static u64 rnd(u64 below)
{
    u64 z = test_random(&seed);

    return below ? z % below : z;
}

static u64 random_value(void)
{
    static const u64 special[] = {0,
                                  1,
                                  2,
                                  63,
                                  64,
                                  65,
                                  127,
                                  128,
                                  255,
                                  0x7fffffff,
                                  0x80000000,
                                  0xffffffff,
                                  INT64_MAX,
                                  UINT64_C(1) << 63,
                                  UINT64_MAX,
                                  UINT64_C(0xffffffff80000000),
                                  UINT64_C(0xffffffff7fffffff)};

    switch (rnd(4)) {
    case 0:
        return special[rnd(ARRAY_SIZE(special))];
    case 1:
        return (u64)(s64)(s16)rnd(0);
    case 2:
        return VA + rnd(PAGES * PAGE);
    default:
        return rnd(0);
    }
}

/* ---- the engine's functions: pages 0..5 are memory, 0 and 1 readable at once, 1 and 2 writable,
 * 6 and 7 fault ---- */

static bool is_memory(u64 address, u32 size)
{
    return address >= VA && address - VA <= 6 * PAGE - size;
}

static void note(struct state *s, u32 at)
{
    s->slow++;
    s->fault_at = at;
}

static u64 bytes_load(const struct state *s, u64 address, u32 size, bool extends)
{
    u64 v = 0;

    for (u32 i = 0; i < size; i++)
        v |= (u64)s->memory[address - VA + i] << (8 * i);
    return extends ? sext(v, size * 8) : v;
}

static struct jit_result engine_load(void *state, u64 address, u32 how, u32 at)
{
    struct state *s = state;
    struct jit_result r = {0, 0};

    note(s, at);
    if (!is_memory(address, how & 0xff)) {
        s->count += at >> 16;
        return r;
    }
    return (struct jit_result){bytes_load(s, address, how & 0xff, how >> 8), 1};
}

static void bytes_store(struct state *s, u64 address, u32 size, u64 value)
{
    for (u32 i = 0; i < size; i++)
        s->memory[address - VA + i] = (u8)(value >> (8 * i));
}

static u64 engine_store(void *state, u64 address, u64 value, u32 how, u32 at)
{
    struct state *s = state;

    note(s, at);
    if (!is_memory(address, how & 0xff)) {
        s->count += at >> 16;
        return 0;
    }
    bytes_store(s, address, how & 0xff, value);
    return 1;
}

/* Stirs all slots by what they hold; fails if the lowest bit of imm says so. */
static u64 engine_call(void *state, u64 imm, u32 at)
{
    struct state *s = state;

    note(s, at);
    if (imm & 1) {
        s->count += at >> 16;
        return 0;
    }
    for (u32 i = 0; i < SLOTS; i++)
        s->slot[i] = (s->slot[i] ^ imm) * 5 + s->slot[(i + 1) % SLOTS];
    return 1;
}

/* What ATOMIC does with what was there, a word or a doubleword, sign-extended. */
static u64 atomic_new(u8 kind, u32 size, u64 old, u64 b)
{
    u64 u = size == 4 ? (u32)old : old, v = size == 4 ? (u32)b : b;
    s64 s = (s64)old, t = size == 4 ? (s32)b : (s64)b;

    switch (kind) {
    case IR_ATOMIC_SWAP:
        return b;
    case IR_ATOMIC_ADD:
        return old + b;
    case IR_ATOMIC_AND:
        return old & b;
    case IR_ATOMIC_OR:
        return old | b;
    case IR_ATOMIC_XOR:
        return old ^ b;
    case IR_ATOMIC_MIN:
        return s < t ? old : b;
    case IR_ATOMIC_MAX:
        return s > t ? old : b;
    case IR_ATOMIC_MINU:
        return u < v ? old : b;
    default:
        CHECK_EQ(kind, IR_ATOMIC_MAXU);
        return u > v ? old : b;
    }
}

/* What is noted of a place are its host address and the like: in the model, too. */
static u64 atomic_place(u64 address)
{
    return (u64)(uintptr_t)&native.memory[address - VA];
}

static u64 model_atomic(struct state *s, const struct ir_op *op, u64 a, u64 b)
{
    u64 old = bytes_load(s, a, op->size, true), mask = UINT64_MAX >> (64 - op->size * 8);
    bool fits;

    switch (op->kind) {
    case IR_ATOMIC_LINK:
        s->link = atomic_place(a);
        s->link_value = old & mask;
        s->link_size = op->size;
        return old;
    case IR_ATOMIC_CONDITIONAL:
        fits = s->link == atomic_place(a) && s->link_size == op->size &&
               !((s->link_value ^ old) & mask);
        s->link = 0;
        if (fits)
            bytes_store(s, a, op->size, b);
        return !fits;
    default:
        bytes_store(s, a, op->size, atomic_new(op->kind, op->size, old, b));
        return old;
    }
}

static const struct jit_engine engine = {engine_load, engine_store, engine_call};

/* ---- the model ---- */

static bool tlb_hits(u64 address, u32 size, bool write)
{
    u32 i = address / PAGE % 16;
    u64 page = write ? tlb.write[i].page : tlb.read[i].page;

    return address >= page && address - page <= PAGE - size;
}

/* Runs one operation; true: leaves, for reason *why. */
static bool model_op(struct state *s, const struct ir_op *op, u64 *value, u64 *result, u32 *why)
{
    u64 a = value[op->arg[0]], b = value[op->arg[1]], c = value[op->arg[2]];
    u32 at = (u32)where[op->guest] | (u32)op->guest << 16,
        how = op->size | (op->extends ? 0x100u : 0);
    struct jit_result r;

    *why = JIT_EXIT_FAULT;
    switch (op->opcode) {
    case IR_CONST:
        *result = (u64)op->imm;
        return false;
    case IR_GET:
        *result = (u32)op->imm == IR_SLOT_PAGE ? s->page : s->slot[op->imm];
        return false;
    case IR_PUT:
        s->slot[op->imm] = a;
        return false;
    case IR_LOAD:
        if (tlb_hits(a, op->size, false)) {
            *result = bytes_load(s, a, op->size, op->extends);
            return false;
        }
        r = engine_load(s, a, how, at);
        *result = r.value;
        return !r.ok;
    case IR_STORE:
        if (!tlb_hits(a, op->size, true))
            return !engine_store(s, a, b, how, at);
        bytes_store(s, a, op->size, b);
        return false;
    case IR_ATOMIC:
        if (a % op->size || !tlb_hits(a, op->size, op->kind != IR_ATOMIC_LINK))
            return !engine_call(s, (u64)op->imm, at);
        a = model_atomic(s, op, a, b);
        if (op->slot != IR_NO_SLOT)
            s->slot[op->slot] = a;
        return false;
    case IR_CALL:
        return !engine_call(s, (u64)op->imm, at);
    case IR_FENCE:
        return false;
    case IR_BRANCH:
        if (!a)
            return false;
        /* fallthrough */
    case IR_JUMP:
        s->pc = s->page + (u64)op->imm;
        break;
    case IR_JUMPR:
        s->pc = a & ~UINT64_C(1);
        break;
    case IR_LEAVE:
        break;
    default:
        CHECK(ir_evaluate((enum ir_opcode)op->opcode, a, b, c, result));
        return false;
    }
    s->count += op->guest + 1u;
    *why = op->opcode == IR_LEAVE ? (u32)op->imm : JIT_EXIT_LOOKUP;
    if ((op->opcode == IR_BRANCH || op->opcode == IR_JUMP) && op->imm >= 0 &&
        op->imm < JIT_CHAIN_END && !(s->attn && op->imm <= where[op->guest]))
        *why = JIT_EXIT_CHAIN;
    return true;
}

static u32 model_run(struct state *s)
{
    static u64 value[IR_OPS_MAX];
    u32 why = 0;

    for (u32 i = 0; i < block.count; i++) {
        if (model_op(s, &block.op[i], value, &value[i], &why))
            break;
    }
    return why;
}

static void reset(void)
{
    if (!backend) {
        backend = jit_backend_create(&layout, &engine, BUFFER);
        ASSERT(backend);
        compiler = jit_compiler_create(backend);
        ASSERT(compiler);
        start_over();
        tlb.read[0].page = tlb.write[0].page = PAGE; /* what is zero belongs to another index */
        for (u32 i = 0; i < JUMPS; i++)
            jumps[i].pc = i ? 1 : 3;
    }
    memset(&native, 0, sizeof(native));
    for (u32 i = 0; i < SLOTS; i++)
        native.slot[i] = random_value();
    native.count = 1000;
    native.page = CODE_PAGE;
    native.tlb = &tlb;
    native.jumps = jumps;
    for (u32 i = 0; i < sizeof(native.memory); i += 8) {
        u64 v = rnd(0);
        memcpy(&native.memory[i], &v, 8);
    }
    for (u32 i = 0; i < 3; i++) {
        u32 at = (VA / PAGE + i) % 16;
        tlb.read[at].addend = tlb.write[at].addend = (u64)(uintptr_t)native.memory - VA;
        tlb.read[at].page = i < 2 ? VA + i * PAGE : NO_PAGE;
        tlb.write[at].page = i > 0 ? VA + i * PAGE : NO_PAGE;
    }
    model = native;
    ir_init(&block);
}

/* Runs the block both ways. */
static u32 run_both(void)
{
    u32 code, why, want;
    bool same;

    if (ir_verify(&block))
        printf("# %s\n", ir_verify(&block));
    CHECK(!ir_verify(&block));
    code = jit_backend_compile(compiler, &block, where, 77);
    if (!code) {
        start_over();
        code = jit_backend_compile(compiler, &block, where, 77);
    }
    why = jit_backend_run(backend, &native, code);
    want = model_run(&model);
    CHECK_EQ(why, want);
    if (why == JIT_EXIT_CHAIN) {
        CHECK_EQ(native.source, 77);
        CHECK(native.patch > code && native.patch < jit_compiler_at(compiler));
    }
    model.turn = native.turn;
    model.patch = native.patch;
    model.source = native.source;
    model.slow = native.slow; /* neighbours share a look at the TLB: some ask more, some less */
    if (why != JIT_EXIT_FAULT)
        model.fault_at = native.fault_at;
    same = !memcmp(&native, &model, sizeof(native));
    CHECK(same && why == want);
    if (!same || why != want) {
        static char text[65536];
        ir_print(&block, text, sizeof(text));
        printf("%s", text);
        for (u32 i = 0; i < SLOTS; i++) {
            if (native.slot[i] != model.slot[i])
                printf("# slot %u: %" PRIx64 ", want %" PRIx64 "\n", i, native.slot[i],
                       model.slot[i]);
        }
        printf("# pc %" PRIx64 " %" PRIx64 " count %" PRIu64 " %" PRIu64 "\n", native.pc, model.pc,
               native.count, model.count);
    }
    return why;
}

/* ---- operations ---- */

enum { IN_REG = 4, IN_REG_TOO = 6, IN_LATE_REG = 14, IN_MEMORY = 5, IN_MEMORY_TOO = 7, IN_CONST };

static const u8 places[] = {IN_REG, IN_LATE_REG, IN_MEMORY, IN_CONST};

static ir_value leaf(u32 place)
{
    return place == IN_CONST ? ir_const(&block, random_value()) : ir_get(&block, place);
}

static bool is_pure(enum ir_opcode opcode)
{
    return opcode >= IR_ADD && opcode <= IR_BSWAP;
}

/* v goes to slot `to`, and to another one if it is to be used twice. */
static void finish(ir_value v, u32 to, bool twice)
{
    ir_put(&block, to, v);
    if (twice)
        ir_put(&block, 20, v);
    ir_control(&block, IR_LEAVE, 0, JIT_EXIT_ENGINE);
}

static void try_operation(enum ir_opcode opcode, u32 pa, u32 pb, u32 to, bool twice)
{
    ir_value a, b, v;

    reset();
    a = leaf(pa);
    if (opcode == IR_SELECT) {
        b = leaf(pb);
        v = ir_select(&block, leaf(IN_MEMORY_TOO), a, b);
    } else if (opcode == IR_ADDSHL) {
        b = leaf(pb);
        b = ir_binary(&block, IR_SHL, b, ir_const(&block, 1 + rnd(3)));
        v = ir_binary(&block, IR_ADD, a, b);
    } else if (ir_operands(opcode) == 2) {
        b = leaf(pb);
        v = ir_binary(&block, opcode, a, b);
    } else {
        v = ir_unary(&block, opcode, a);
    }
    finish(v, to, twice);
    run_both();
}

TEST(operations_everywhere)
{
    static const u8 targets[] = {IN_REG, IN_REG_TOO, IN_LATE_REG, IN_MEMORY, IN_MEMORY_TOO};

    for (u32 o = 0; o < IR_OPCODES && !test_failures; o++) {
        for (u32 n = 0; is_pure((enum ir_opcode)o) && n < 4 * 4 * 5 * 2 * 12; n++) {
            u32 k = n / 12;
            try_operation((enum ir_opcode)o, places[k % 4], places[k / 4 % 4], targets[k / 16 % 5],
                          k / 80);
        }
    }
}

TEST(select_conditions)
{
    for (u32 n = 0; n < 4 * 4 * 4 * 3 * 20; n++) {
        u32 k = n / 20;
        ir_value c, a, b;
        reset();
        native.slot[places[k % 4] % SLOTS] &= rnd(2) - 1;
        model = native;
        c = rnd(2) ? leaf(places[k % 4])
                   : ir_binary(&block, IR_LTS, leaf(places[k % 4]), leaf(IN_REG_TOO));
        a = leaf(places[k / 4 % 4]);
        b = leaf(places[k / 16 % 4]);
        finish(ir_select(&block, c, a, b), k / 64 ? k / 64 == 1 ? IN_REG : IN_MEMORY : IN_LATE_REG,
               rnd(2));
        run_both();
    }
}

/* A slot that is read, overwritten by an operation's result, and only then used. */
TEST(old_values_survive)
{
    for (u32 o = IR_ADD; o <= IR_SELECT && !test_failures; o++) {
        for (u32 n = 0; n < 40; n++) {
            ir_value a, b, v;
            reset();
            a = ir_get(&block, n & 1 ? IN_REG : IN_MEMORY);
            b = leaf(places[n / 2 % 4]);
            v = o == IR_SELECT ? ir_select(&block, b, a, b)
                               : ir_binary(&block, (enum ir_opcode)o, a, b);
            ir_put(&block, n & 1 ? IN_REG : IN_MEMORY, v);
            finish(a, IN_REG_TOO, n & 2);
            run_both();
        }
    }
}

/* ---- memory ---- */

static u64 random_address(u32 size)
{
    u64 a = VA + rnd(PAGES * PAGE);

    if (rnd(3))
        a &= ~(u64)(size - 1);
    return rnd(12) ? a : rnd(0);
}

TEST(accesses)
{
    u32 faults = 0, hits = 0;

    for (u32 n = 0; n < 20000 && !test_failures; n++) {
        u32 size = 1u << rnd(4), place = places[rnd(3)], data = places[rnd(4)];
        ir_value address;
        reset();
        native.slot[place] = random_address(size);
        model = native;
        address = rnd(4) ? ir_get(&block, place) : ir_const(&block, native.slot[place]);
        if (!rnd(3))
            address = ir_binary(&block, IR_ADD, address, ir_const(&block, rnd(64) - 32));
        if (n & 1) {
            ir_value v = ir_load(&block, address, size, rnd(2));
            if (rnd(8)) /* else nobody wants it */
                ir_put(&block, rnd(2) ? place : (u32)rnd(SLOTS), v);
        } else {
            ir_store(&block, address, leaf(data), size);
        }
        ir_control(&block, IR_LEAVE, 0, JIT_EXIT_ENGINE);
        faults += run_both() == JIT_EXIT_FAULT;
        hits += !native.slow;
    }
    CHECK(faults > 1000 && hits > 1000);
}

/* ---- blocks ---- */

static ir_value random_leaf(void)
{
    if (!rnd(6))
        return ir_const(&block, random_value());
    if (!rnd(20))
        return ir_get(&block, IR_SLOT_PAGE);
    return ir_get(&block, (u32)rnd(SLOTS));
}

/* Several in a row, each on the last one's result, as when instructions are joined. */
static ir_value random_chain(ir_value v)
{
    for (u32 n = (u32)rnd(4); n--;) {
        enum ir_opcode o = rnd(2) ? (enum ir_opcode)(IR_ADD + rnd(8)) : IR_SHR;
        v = rnd(3) ? ir_binary(&block, o, v, rnd(2) ? ir_const(&block, rnd(64)) : random_leaf())
                   : ir_unary(&block, (enum ir_opcode)(IR_NOT + rnd(11)), v);
    }
    return v;
}

static ir_value random_pure(void)
{
    enum ir_opcode o = (enum ir_opcode)(IR_ADD + rnd(IR_BSWAP - IR_ADD + 1));
    ir_value a = random_leaf(), b;

    if (o == IR_SELECT) {
        ir_value c = ir_binary(&block, (enum ir_opcode)(IR_EQ + rnd(6)), a, random_leaf());
        a = random_leaf();
        return ir_select(&block, c, a, random_leaf());
    }
    if (ir_operands(o) == 1)
        return ir_unary(&block, rnd(2) ? IR_ZX32 : IR_SX32, ir_unary(&block, o, a));
    b = random_leaf();
    if (o == IR_ADDSHL)
        return ir_binary(&block, IR_ADD, a,
                         ir_binary(&block, IR_SHL, b, ir_const(&block, 1 + rnd(3))));
    a = ir_binary(&block, o, a, b);
    return rnd(2) ? ir_unary(&block, (enum ir_opcode)(IR_NOT + rnd(11)), a)
                  : ir_binary(&block, (enum ir_opcode)(IR_ADD + rnd(8)), a, random_leaf());
}

static s64 random_target(void)
{
    return rnd(3) ? 2 * (s64)rnd(2048) : 2 * (s64)rnd(100000) - 100000;
}

/* Kinds that belong together often meet the same place. */
static void random_atomic(void)
{
    u32 from = rnd(2) ? 1 : (u32)rnd(SLOTS), size = rnd(2) ? 4 : 8;
    u32 to = rnd(4) ? (u32)rnd(SLOTS) : IR_NO_SLOT;
    enum ir_atomic kind =
        rnd(2) ? (enum ir_atomic)rnd(IR_ATOMICS) : (enum ir_atomic)(IR_ATOMIC_LINK + rnd(2));
    ir_value address = ir_get(&block, from), value;

    if (rnd(2))
        address = ir_binary(&block, IR_AND, address, ir_const(&block, 0 - (u64)size));
    value = rnd(4) ? random_leaf() : ir_binary(&block, IR_XOR, random_leaf(), address);
    ir_atomic(&block, kind, size, to, address, value, (s64)(rnd(8) ? rnd(0) & ~UINT64_C(1) : 1));
}

/* Several on few places that are at hand for all of them, with a pair of LINK and CONDITIONAL. */
TEST(atomics)
{
    u32 hits = 0, stored = 0;

    for (u32 n = 0; n < 20000 && !test_failures; n++) {
        u32 guests = 2 + (u32)rnd(6), size = rnd(2) ? 4 : 8;
        ir_value place;
        reset();
        native.slot[1] = VA + PAGE + 8 * rnd(PAGE / 8);
        model = native;
        for (u32 i = 0; i < guests; i++) {
            block.guest = (u16)i;
            where[i] = (s32)(4 * i);
            place = ir_get(&block, 1);
            if (i + 2 == guests)
                ir_atomic(&block, IR_ATOMIC_LINK, size, 3, place, place, 0);
            else if (i + 1 == guests)
                ir_atomic(&block, IR_ATOMIC_CONDITIONAL, size, 2, place, random_leaf(), 0);
            else
                random_atomic();
        }
        ir_control(&block, IR_LEAVE, 0, JIT_EXIT_ENGINE);
        if (run_both() == JIT_EXIT_FAULT)
            continue;
        hits += !native.slow;
        stored += !native.slow && !native.slot[2];
    }
    CHECK(hits > 500 && stored > 200);
}

static void random_guest(void)
{
    u32 size = 1u << rnd(4), slot = (u32)rnd(SLOTS);

    switch (rnd(14)) {
    case 12:
    case 13:
        random_atomic();
        break;
    case 0:
        ir_control(
            &block, IR_BRANCH,
            ir_binary(&block, (enum ir_opcode)(IR_EQ + rnd(6)), random_leaf(), random_leaf()),
            random_target());
        break;
    case 1:
        ir_put(&block, slot, ir_const(&block, random_address(size)));
        break;
    case 2:
    case 3:
        ir_put(&block, slot, ir_load(&block, ir_get(&block, (u32)rnd(SLOTS)), size, rnd(2)));
        break;
    case 4:
        ir_store(&block, ir_get(&block, (u32)rnd(SLOTS)), random_leaf(), size);
        break;
    case 5:
        if (rnd(3))
            ir_control(&block, IR_FENCE, 0, 0);
        else
            ir_control(&block, IR_CALL, 0, (s64)(rnd(8) ? rnd(0) & ~UINT64_C(1) : 1));
        break;
    default:
        ir_put(&block, slot, rnd(2) ? random_pure() : random_chain(random_leaf()));
    }
}

static void random_block(u32 guests)
{
    u32 offset = 2 * (u32)rnd(1000);

    for (u32 i = 0; i < guests; i++) {
        block.guest = (u16)i;
        where[i] = (s32)offset;
        offset += 2 + 2 * (u32)rnd(2);
        random_guest();
    }
    switch (rnd(3)) {
    case 0:
        ir_control(&block, IR_JUMP, 0, random_target());
        break;
    case 1:
        ir_control(&block, IR_JUMPR, random_leaf(), 0);
        break;
    default:
        ir_control(&block, IR_LEAVE, 0, JIT_EXIT_ENGINE + (s64)rnd(9));
    }
}

TEST(random_blocks)
{
    u32 exits[32] = {0};

    for (u32 n = 0; n < 30000 && !test_failures; n++) {
        reset();
        for (u32 i = 0; i < SLOTS; i++)
            native.slot[i] = rnd(2) ? random_address(8) : native.slot[i];
        native.attn = !rnd(3);
        model = native;
        random_block(1 + (u32)rnd(64));
        exits[run_both() & 31]++;
    }
    CHECK(exits[JIT_EXIT_LOOKUP] > 100 && exits[JIT_EXIT_CHAIN] > 100);
    CHECK(exits[JIT_EXIT_FAULT] > 100 && exits[JIT_EXIT_ENGINE + 8] > 20);
}

/* ---- jumps ---- */

static u32 compile_jump(s64 target)
{
    ir_init(&block);
    ir_put(&block, 3, ir_binary(&block, IR_ADD, ir_get(&block, 3), ir_const(&block, 1)));
    ir_control(&block, IR_JUMP, 0, target);
    return jit_backend_compile(compiler, &block, where, 5);
}

TEST(chained_and_found_jumps)
{
    u32 a, b;

    reset();
    start_over();
    where[0] = 64;
    native.slot[3] = 0;
    a = compile_jump(128);
    b = compile_jump(4096 + 256);
    CHECK_EQ(jit_backend_run(backend, &native, a), JIT_EXIT_CHAIN);
    CHECK_EQ(native.pc, CODE_PAGE + 128);
    jit_backend_chain(backend, native.patch, b);
    CHECK_EQ(jit_backend_run(backend, &native, a), JIT_EXIT_LOOKUP);
    CHECK_EQ(native.slot[3], 3);
    CHECK_EQ(native.count, 1003);
    CHECK_EQ(native.pc, CODE_PAGE + 4096 + 256);
    /* The table leads from b to a third block, on the next page. */
    a = compile_jump(64);
    jumps[(native.pc >> 1) % JUMPS] = (struct jump){native.pc, jit_backend_address(backend, a)};
    native.attn = 1;
    CHECK_EQ(jit_backend_run(backend, &native, b), JIT_EXIT_LOOKUP);
    CHECK_EQ(native.slot[3], 4);
    native.attn = 0;
    CHECK_EQ(jit_backend_run(backend, &native, b), JIT_EXIT_CHAIN);
    CHECK_EQ(native.slot[3], 6);
    CHECK_EQ(native.page, CODE_PAGE + 4096);
    CHECK_EQ(native.pc, CODE_PAGE + 4096 + 64);
    /* A loop of one block onto itself ends when it is asked to. */
    jit_backend_chain(backend, native.patch, a);
    native.attn = 1;
    CHECK_EQ(jit_backend_run(backend, &native, a), JIT_EXIT_LOOKUP);
    CHECK_EQ(native.slot[3], 7);
    for (u32 i = 0; i < JUMPS; i++)
        jumps[i].pc = i ? 1 : 3;
}

TEST(full_buffer)
{
    const u32 end = jit_backend_code_start(backend) + 16384;
    struct jit_compiler *small = jit_compiler_create(backend);
    u32 n = 0;

    reset();
    ASSERT(small);
    CHECK(!jit_backend_compile(small, &block, where, 0)); /* not aimed yet */
    jit_compiler_aim(small, jit_backend_code_start(backend), end);
    random_block(40);
    while (jit_backend_compile(small, &block, where, 0))
        n++;
    CHECK(n < 16384);
    CHECK(jit_compiler_at(small) <= end);
    jit_compiler_aim(small, end, end + 16384);
    CHECK(!n || jit_backend_compile(small, &block, where, 0) >= end);
    CHECK(jit_compiler_at(small) <= end + 16384);
    jit_compiler_destroy(small);
    start_over();
}

TEST(no_page_is_writable_and_executable)
{
    FILE *maps = fopen("/proc/self/maps", "r");
    char line[512];
    u32 seen = 0;

    CHECK(maps);
    while (maps && fgets(line, sizeof(line), maps)) {
        const char *rights = strchr(line, ' ');
        CHECK(rights && !(rights[2] == 'w' && rights[3] == 'x'));
        seen += strstr(line, "/dev/zero") != NULL; /* how shared memory without a file is called */
    }
    CHECK_EQ(seen, 2);
    if (maps)
        fclose(maps);
}

int main(void)
{
    int failed;

    if (!jit_backend_is_supported()) {
        printf("1..0 # SKIP no back end for this host\n");
        return 0;
    }
    failed = test_main();
    jit_compiler_destroy(compiler);
    jit_backend_destroy(backend);
    return failed;
}
