/* SPDX-License-Identifier: BSD-2-Clause */
/* Building and folding, the verifier, the text form. */
#include "ir/ir.h"

#include "base/bits.h"
#include "tests/assert.h"
#include "tests/random.h"
#include "tests/test.h"

static struct ir_block block;

static u64 rnd(void)
{
    static u64 state = 1;

    return test_random(&state);
}

static u64 random_value(void)
{
    static const u64 special[] = {0, 1, UINT64_MAX, INT64_MAX, UINT64_C(1) << 63, 64, 32};

    return rnd() & 1 ? special[rnd() % ARRAY_SIZE(special)] : rnd() >> (rnd() & 63);
}

static bool is_pure(enum ir_opcode opcode)
{
    return opcode >= IR_ADD && opcode <= IR_BSWAP && opcode != IR_ADDSHL;
}

/* What v is when slots 0, 1, 2 hold these. */
static u64 value_of(ir_value v, const u64 *slots)
{
    const struct ir_op *op = &block.op[v];
    u64 arg[3] = {0}, r = 0;

    if (op->opcode == IR_CONST)
        return (u64)op->imm;
    if (op->opcode == IR_GET)
        return slots[op->imm];
    for (u32 i = 0; i < ir_operands((enum ir_opcode)op->opcode); i++)
        arg[i] = value_of(op->arg[i], slots);
    CHECK(ir_evaluate((enum ir_opcode)op->opcode, arg[0], arg[1], arg[2], &r));
    return r;
}

static ir_value build(enum ir_opcode opcode, const ir_value *arg)
{
    if (opcode == IR_SELECT)
        return ir_select(&block, arg[0], arg[1], arg[2]);
    if (ir_operands(opcode) == 2)
        return ir_binary(&block, opcode, arg[0], arg[1]);
    return ir_unary(&block, opcode, arg[0]);
}

TEST(folding_keeps_the_value)
{
    for (u32 n = 0; n < 20000; n++) {
        enum ir_opcode opcode = (enum ir_opcode)(rnd() % IR_OPCODES);
        u64 slots[3], want, unused;
        u32 known = 0, operands = ir_operands(opcode);
        ir_value arg[3], v;
        if (!is_pure(opcode))
            continue;
        ir_init(&block);
        for (u32 i = 0; i < 3; i++) {
            bool is_const = rnd() & 1;
            slots[i] = random_value();
            arg[i] = is_const ? ir_const(&block, slots[i]) : ir_get(&block, i);
            known += is_const && i < operands;
        }
        v = build(opcode, arg);
        CHECK(ir_evaluate(opcode, slots[0], slots[1], slots[2], &want));
        CHECK_EQ(value_of(v, slots), want);
        if (known == operands)
            CHECK(ir_is_const(&block, v, &unused));
    }
}

static u64 random_constant(void)
{
    static const u64 special[] = {1, 2, 3, 31, 32, 33, 40, 48, 56, 60, 0xff, 0xffff, 0xffffffff};

    return rnd() & 3 ? special[rnd() % ARRAY_SIZE(special)] : random_value();
}

/* Trees of operations that like to fold into each other. */
TEST(folding_of_trees_keeps_the_value)
{
    static const u8 likely[] = {IR_SHL,  IR_SHR,  IR_SAR, IR_AND,  IR_ADD,  IR_SX8,
                                IR_SX16, IR_SX32, IR_ZX8, IR_ZX16, IR_ZX32, IR_LTU};

    for (u32 n = 0; n < 20000; n++) {
        u64 slots[3] = {random_value(), random_value(), rnd()}, want[16];
        ir_value v[16];
        ir_init(&block);
        for (u32 i = 0; i < ARRAY_SIZE(v); i++) {
            enum ir_opcode opcode = rnd() & 7 ? (enum ir_opcode)likely[rnd() % ARRAY_SIZE(likely)]
                                              : (enum ir_opcode)(IR_ADD + rnd() % 20);
            u32 a = i ? (u32)(rnd() % i) : 0, b = i ? (u32)(rnd() % i) : 0;
            if (i < 3) {
                v[i] = ir_get(&block, i);
                want[i] = slots[i];
            } else if (i < 6) {
                want[i] = random_constant();
                v[i] = ir_const(&block, want[i]);
            } else {
                CHECK(ir_evaluate(opcode, want[a], want[b], 0, &want[i]));
                v[i] = ir_operands(opcode) == 1 ? ir_unary(&block, opcode, v[a])
                                                : ir_binary(&block, opcode, v[a], v[b]);
            }
            CHECK_EQ(value_of(v[i], slots), want[i]);
            for (u32 bits = 8; bits <= 32; bits *= 2) {
                CHECK(!ir_is_below(&block, v[i], bits) || !(want[i] >> bits));
                CHECK(!ir_is_signed(&block, v[i], bits) || sext(want[i], bits) == want[i]);
            }
        }
    }
}

TEST(evaluates_edges)
{
    static const struct {
        enum ir_opcode opcode;
        u64 a, b, want;
    } cases[] = {
        {IR_SHL, 1, 64, 1},
        {IR_SAR, UINT64_C(1) << 63, 63, UINT64_MAX},
        {IR_ROL, 0x8000000000000001, 1, 3},
        {IR_ROR, 1, 1, UINT64_C(1) << 63},
        {IR_ROL, 5, 64, 5},
        {IR_ROL32, 0xdeadbeef80000001, 1, 3},
        {IR_ROR32, 0xdeadbeef00000001, 33, 0x80000000},
        {IR_ROR32, 0xdeadbeef00000001, 32, 1},
        {IR_MULHS, UINT64_MAX, UINT64_MAX, 0},
        {IR_CLMUL, UINT64_MAX, 3, 1},
        {IR_CLMULH, UINT64_MAX, 3, 1},
        {IR_MULHU, UINT64_MAX, UINT64_MAX, UINT64_MAX - 1},
        {IR_DIVS, 7, 0, UINT64_MAX},
        {IR_DIVS, UINT64_C(1) << 63, UINT64_MAX, UINT64_C(1) << 63},
        {IR_DIVS, UINT64_MAX - 6, 2, UINT64_MAX - 2},
        {IR_REMS, UINT64_C(1) << 63, UINT64_MAX, 0},
        {IR_REMS, UINT64_MAX - 6, 2, UINT64_MAX},
        {IR_REMS, 7, 0, 7},
        {IR_DIVU, 7, 0, UINT64_MAX},
        {IR_REMU, UINT64_MAX, 0, UINT64_MAX},
        {IR_DIVS32, 0x80000000, 0x1ffffffff, 0x80000000},
        {IR_DIVS32, 7, UINT64_C(5) << 32, 0xffffffff},
        {IR_REMS32, 0xfffffff9, 2, 0xffffffff},
        {IR_REMS32, 0x80000000, 0xffffffff, 0},
        {IR_DIVU32, 0x1fffffff9, 2, 0x7ffffffc},
        {IR_REMU32, 0x1fffffff9, UINT64_C(5) << 32, 0xfffffff9},
        {IR_LTS, UINT64_MAX, 0, 1},
        {IR_LTU, UINT64_MAX, 0, 0},
        {IR_GES, 0, 0, 1},
        {IR_GEU, 0, 1, 0},
        {IR_SX8, 0x180, 0, UINT64_C(0xffffffffffffff80)},
        {IR_ZX16, 0x12345, 0, 0x2345},
        {IR_CLZ, 0, 0, 64},
        {IR_CTZ, 0, 0, 64},
        {IR_CPOP, UINT64_MAX, 0, 64},
        {IR_BSWAP, 0x0102030405060708, 0, 0x0807060504030201},
    };
    u64 r;

    for (u32 i = 0; i < ARRAY_SIZE(cases); i++) {
        CHECK(ir_evaluate(cases[i].opcode, cases[i].a, cases[i].b, 0, &r));
        CHECK_EQ(r, cases[i].want);
    }
    CHECK(!ir_evaluate(IR_LOAD, 0, 0, 0, &r));
    CHECK(!ir_evaluate(IR_CALL, 0, 0, 0, &r));
}

TEST(identities_add_nothing)
{
    ir_value a, zero, ones;
    u16 before;

    ir_init(&block);
    a = ir_get(&block, 3);
    zero = ir_const(&block, 0);
    ones = ir_const(&block, UINT64_MAX);
    before = block.count;
    CHECK_EQ(ir_binary(&block, IR_ADD, a, zero), a);
    CHECK_EQ(ir_binary(&block, IR_ADD, zero, a), a);
    CHECK_EQ(ir_binary(&block, IR_SUB, a, zero), a);
    CHECK_EQ(ir_binary(&block, IR_AND, ones, a), a);
    CHECK_EQ(ir_binary(&block, IR_SHL, a, zero), a);
    CHECK_EQ(ir_select(&block, ones, a, zero), a);
    CHECK_EQ(ir_select(&block, zero, ones, a), a);
    CHECK_EQ(block.count, before);
    CHECK(ir_binary(&block, IR_ROL32, a, zero) != a);
    CHECK(ir_binary(&block, IR_SUB, zero, a) != a);
}

static void good_block(void)
{
    ir_value a, b;

    ir_init(&block);
    ir_put(&block, 4, ir_load(&block, ir_get(&block, 3), 4, true));
    a = ir_get(&block, 3);
    b = ir_const(&block, 7);
    ir_store(&block, a, b, 8);
    a = ir_get(&block, 1);
    b = ir_get(&block, 2);
    ir_control(&block, IR_BRANCH, ir_binary(&block, IR_LTU, a, b), -8);
    ir_control(&block, IR_JUMP, 0, 16);
}

TEST(verifier_refuses)
{
    good_block();
    CHECK(!ir_verify(&block));
    block.count--;
    CHECK(ir_verify(&block));
    good_block();
    block.op[0].opcode = IR_JUMP;
    CHECK(ir_verify(&block));
    good_block();
    block.op[1].arg[0] = 1;
    CHECK(ir_verify(&block));
    good_block();
    block.op[1].arg[0] = 5;
    CHECK(ir_verify(&block));
    good_block();
    block.op[5].arg[0] = 2; /* a PUT */
    CHECK(ir_verify(&block));
    good_block();
    block.op[1].size = 3;
    CHECK(ir_verify(&block));
    good_block();
    block.op[5].size = 16;
    CHECK(ir_verify(&block));
    good_block();
    block.op[5].size = 0;
    CHECK(ir_verify(&block));
    good_block();
    block.op[4].opcode = IR_OPCODES;
    CHECK(ir_verify(&block));
    ir_init(&block);
    CHECK(ir_verify(&block));
}

/* A guard of 16 bytes from 8 on, and two loads there. */
static void guarded_block(void)
{
    ir_value a;

    ir_init(&block);
    a = ir_get(&block, 2);
    ir_control(&block, IR_GUARD, a, 8);
    block.op[1].size = 16;
    block.op[1].slot = 1;
    for (u32 i = 8; i <= 16; i += 8) {
        a = ir_get(&block, 2);
        a = ir_binary(&block, IR_ADD, a, ir_const(&block, i));
        block.op[ir_load(&block, a, 8, false)].access = IR_ACCESS_SURE;
        ir_put(&block, 1, block.count - 1);
    }
    ir_control(&block, IR_JUMP, 0, 0);
}

TEST(verifier_looks_for_guards)
{
    char text[512];

    guarded_block();
    CHECK(!ir_verify(&block));
    CHECK(ir_print(&block, text, sizeof(text)) < sizeof(text));
    CHECK(strstr(text, "guard.read.16 v0 #8\n") && strstr(text, "load.u64.sure v4\n"));
    block.op[1].size = 15;
    CHECK(ir_verify(&block));
    guarded_block();
    block.op[1].imm = 9;
    CHECK(ir_verify(&block));
    guarded_block();
    block.op[0].imm = 3;
    CHECK(ir_verify(&block));
    guarded_block();
    block.op[6].imm = 2; /* the PUT in between */
    CHECK(ir_verify(&block));
    guarded_block();
    block.op[6].opcode = IR_LABEL;
    CHECK(ir_verify(&block));
    guarded_block();
    block.op[5].opcode = IR_STORE;
    block.op[5].arg[1] = 3;
    block.op[6].arg[0] = 3;
    CHECK(ir_verify(&block));
    block.op[1].kind = 1;
    CHECK(!ir_verify(&block));
    block.op[1].slot = 0;
    CHECK(ir_verify(&block));
}

static void check_text(const char *want)
{
    char text[512];

    CHECK_EQ(ir_print(&block, text, sizeof(text)), strlen(want));
    CHECK_STR(text, want);
}

TEST(prints)
{
    static const char want[] = "v0 = get #3\n"
                               "v1 = load.s32 v0\n"
                               "put v1 #4\n"
                               "v3 = get #3\n"
                               "v4 = const #7\n"
                               "store.u64 v3, v4\n"
                               "v6 = get #1\n"
                               "v7 = get #2\n"
                               "v8 = ltu v6, v7\n"
                               "branch v8 #-8\n"
                               "jump #16\n";
    char small[20];

    good_block();
    check_text(want);
    memset(small, 'x', sizeof(small));
    CHECK_EQ(ir_print(&block, small, sizeof(small) - 1), sizeof(want) - 1);
    CHECK(small[19] == 'x' && memchr(small, 0, 19));
    CHECK_EQ(ir_print(&block, NULL, 0), sizeof(want) - 1);
}

TEST(atomics)
{
    static const char want[] = "v0 = get #1\n"
                               "v1 = get #2\n"
                               "atomic.minu.32 to 3: v0, v1 #17\n"
                               "atomic.conditional.64 v0, v1 #18\n"
                               "leave #16\n";
    ir_value a, b;

    ir_init(&block);
    a = ir_get(&block, 1);
    b = ir_get(&block, 2);
    ir_atomic(&block, IR_ATOMIC_MINU, 4, 3, a, b, 17);
    ir_atomic(&block, IR_ATOMIC_CONDITIONAL, 8, IR_NO_SLOT, a, b, 18);
    ir_control(&block, IR_LEAVE, 0, 16);
    CHECK(!ir_verify(&block));
    check_text(want);
    block.op[2].size = 2;
    CHECK(ir_verify(&block));
    block.op[2].size = 4;
    block.op[2].kind = IR_ATOMICS;
    CHECK(ir_verify(&block));
}

TEST(floating_point)
{
    static const char want[] = "fguard.3 #19\n"
                               "v1 = get #40\n"
                               "v2 = fadd.64 v1, v1\n"
                               "v3 = fma.32 v1, v2, v1\n"
                               "v4 = ftos32.64 v2 #1\n"
                               "v5 = fxget\n"
                               "fxset v5\n"
                               "leave #16\n";
    ir_value a, b;

    ir_init(&block);
    ir_fp_guard(&block, 3, 19);
    a = ir_get(&block, 40);
    b = ir_fp(&block, IR_FADD, 8, a, a, 0);
    (void)ir_fp(&block, IR_FMA, 4, a, b, a);
    (void)ir_fp_round(&block, IR_FTOS32, 8, b, IR_ROUND_ZERO);
    ir_control(&block, IR_FXSET, ir_fp(&block, IR_FXGET, 0, 0, 0, 0), 0);
    ir_control(&block, IR_LEAVE, 0, 16);
    CHECK(!ir_verify(&block));
    check_text(want);
    block.op[2].size = 2;
    CHECK(ir_verify(&block));
    block.op[2].size = 8;
    block.op[4].imm = IR_ROUND_AWAY + 1;
    CHECK(ir_verify(&block));
    block.op[4].imm = IR_ROUND_UP;
    CHECK(!ir_verify(&block));
    CHECK(!ir_makes_fp(IR_FEQ) && ir_makes_fp(IR_FFROMU) && ir_may_raise(IR_FTOU64));
    CHECK(!ir_may_raise(IR_FSIGN) && !ir_may_raise(IR_FBOX) && !ir_is_fp(IR_FXGET));
}

TEST_MAIN()
