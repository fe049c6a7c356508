/* SPDX-License-Identifier: BSD-2-Clause */
/* Rows of bytes: random pieces of code do before and after what the IR says; examples. */
#include "ir/flow.h"
#include "ir/rows.h"

#include "base/bits.h"
#include "tests/assert.h"
#include "tests/random.h"
#include "tests/test.h"

#define SLOTS   32
#define MEMORY  512
#define RAM     128 /* what lies from here .. */
#define RAM_END 384 /* .. to here is memory, all else faults */
#define INSNS   96
#define BASES   5 /* slots 1 to here hold addresses, mostly */
#define BAD     UINT32_MAX

static struct ir_block block;
static struct ir_rows rows;
static struct ir_flow flow;
static u32 insns; /* of the block */

struct state {
    u64 slot[SLOTS];
    u8 memory[MEMORY];
};

/* All states in which an instruction began, and the last one. */
static struct state trace[INSNS + 1];

static u64 rnd(void)
{
    static u64 state = 1;

    return test_random(&state);
}

/* ---- running ---- */

static bool is_ram(u64 address, u32 size)
{
    return address >= RAM && address <= RAM_END - size;
}

static u64 load(const struct state *s, const struct ir_op *op, u64 address)
{
    u64 v = 0;

    for (u32 i = 0; i < op->size; i++)
        v |= (u64)s->memory[address + i] << 8 * i;
    return op->extends ? (u64)sext(v, op->size * 8) : v;
}

static void store(struct state *s, const struct ir_op *op, u64 address, u64 v)
{
    for (u32 i = 0; i < op->size; i++)
        s->memory[address + i] = (u8)(v >> 8 * i);
}

/* Runs to the end or to an instruction that leaves: this is its number. BAD: it was sure not to. */
static u32 run(const struct ir_block *b, struct state *s, bool notes)
{
    static u64 v[IR_OPS_MAX];
    u32 guest = 0;

    for (u32 at = 0; at < b->count; at++) {
        const struct ir_op *op = &b->op[at];
        u64 arg[3] = {0};
        for (; notes && guest <= op->guest; guest++)
            trace[guest] = *s;
        for (u32 i = 0; i < ir_operands((enum ir_opcode)op->opcode); i++)
            arg[i] = v[op->arg[i]];
        switch (op->opcode) {
        case IR_CONST:
            v[at] = (u64)op->imm;
            break;
        case IR_GET:
            v[at] = op->imm < SLOTS ? s->slot[op->imm] : 200;
            break;
        case IR_PUT:
            s->slot[op->imm] = arg[0];
            break;
        case IR_LOAD:
        case IR_STORE:
            if (!is_ram(arg[0], op->size))
                return op->access == IR_ACCESS_SURE ? BAD : op->guest;
            if (op->opcode == IR_LOAD)
                v[at] = load(s, op, arg[0]);
            else
                store(s, op, arg[0], arg[1]);
            break;
        case IR_GUARD:
            if (!is_ram(arg[0] + (u64)op->imm, op->size))
                return op->guest;
            break;
        case IR_JUMP:
            return op->guest;
        default:
            CHECK(ir_evaluate((enum ir_opcode)op->opcode, arg[0], arg[1], arg[2], &v[at]));
        }
    }
    return BAD;
}

/* ---- instructions ---- */

static bool begin(void)
{
    block.guest = (u16)insns;
    insns += insns < INSNS;
    return insns < INSNS;
}

static ir_value at_address(u32 base, s64 offset)
{
    ir_value a = ir_get(&block, base ? base : IR_SLOT_PAGE);

    return offset ? ir_binary(&block, IR_ADD, a, ir_const(&block, (u64)offset)) : a;
}

static void insn_load(u32 rd, u32 base, s64 offset, u32 size, bool extends)
{
    if (begin())
        ir_put(&block, rd, ir_load(&block, at_address(base, offset), size, extends));
}

static void insn_store(u32 rs, u32 base, s64 offset, u32 size)
{
    ir_value a;

    if (!begin())
        return;
    a = at_address(base, offset);
    ir_store(&block, a, rs ? ir_get(&block, rs) : ir_const(&block, 0), size);
}

static void insn_shift(enum ir_opcode opcode, u32 rd, u32 rs, u32 by, bool word)
{
    ir_value a;

    if (!begin())
        return;
    a = ir_get(&block, rs);
    if (word && opcode == IR_SHR)
        a = ir_unary(&block, IR_ZX32, a);
    a = ir_binary(&block, opcode, a, ir_const(&block, by));
    ir_put(&block, rd, word ? ir_unary(&block, IR_SX32, a) : a);
}

static void insn_binary(enum ir_opcode opcode, u32 rd, u32 a, u32 b)
{
    ir_value x, y;

    if (!begin())
        return;
    x = ir_get(&block, a);
    y = ir_get(&block, b);
    ir_put(&block, rd, ir_binary(&block, opcode, x, y));
}

static void insn_addi(u32 rd, u32 rs, s64 n)
{
    if (begin())
        ir_put(&block, rd, ir_binary(&block, IR_ADD, ir_get(&block, rs), ir_const(&block, (u64)n)));
}

static u32 any(void)
{
    return 1 + (u32)(rnd() % (SLOTS - 1));
}

static u32 base(void)
{
    return (u32)(rnd() % (BASES + 1));
}

static u32 data(void)
{
    return BASES + 1 + (u32)(rnd() % (SLOTS - BASES - 1));
}

/* Something between the instructions of a row, now and then. */
static void noise(u32 rarely)
{
    if (rnd() % rarely)
        return;
    switch (rnd() % 8) {
    case 0:
        insn_load(data(), base(), (s64)(rnd() % 32), 1u << rnd() % 4, rnd() & 1);
        break;
    case 1:
        insn_store(any(), base(), (s64)(rnd() % 32), 1u << rnd() % 4);
        break;
    case 2:
        insn_addi(1 + (u32)(rnd() % BASES), 1 + (u32)(rnd() % BASES), (s64)(rnd() % 17) - 8);
        break;
    case 3: {
        u32 b = 1 + (u32)(rnd() % BASES);
        insn_addi(b, b, (s64)(rnd() % 17) - 8);
        break;
    }
    case 4:
        insn_shift(rnd() & 1 ? IR_SHL : IR_SHR, data(), data(), 8 * (rnd() % 8), rnd() & 1);
        break;
    case 5:
        insn_load(any(), base(), (s64)(rnd() % 32), 1, rnd() & 1);
        break;
    default:
        insn_binary(rnd() & 1 ? IR_OR : IR_XOR, data(), any(), any());
    }
}

static void shuffle(u32 *order, u32 n, bool much)
{
    for (u32 i = 0; i < n; i++)
        order[i] = i;
    for (u32 i = 0; much && i < n; i++) {
        u32 j = (u32)(rnd() % n), swap = order[i];
        order[i] = order[j];
        order[j] = swap;
    }
}

static u32 row_length(void)
{
    static const u8 length[] = {4, 8, 8, 8, 9, 12, 7, 16, 3};

    return length[rnd() % ARRAY_SIZE(length)];
}

/* Loads, then stores, of the same bytes or of almost the same. */
static void add_copy(void)
{
    u32 n = row_length(), from = base(), to = base(), order[16], first = data();
    s64 a = (s64)(rnd() % 24), b = (s64)(rnd() % 24);
    bool reversed = !(rnd() & 3);

    if (first + n > SLOTS)
        first = SLOTS - n;
    shuffle(order, n, rnd() & 1);
    for (u32 i = 0; i < n; i++) {
        insn_load(first + order[i], from, a + order[i], 1, !(rnd() & 15));
        noise(40);
    }
    noise(8);
    if (!(rnd() & 3) && to) {
        insn_addi(to, to, 8);
        b -= 8;
    }
    shuffle(order, n, rnd() & 1);
    for (u32 i = 0; i < n; i++) {
        if (rnd() % 50)
            insn_store(first + order[i], to, b + (reversed ? n - 1 - order[i] : order[i]), 1);
        noise(50);
    }
    if (rnd() & 1)
        insn_load(data(), rnd() & 1 ? to : base(), b, n >= 8 ? 8 : 4, false);
}

/* A word put together. */
static void add_word(void)
{
    u32 n = rnd() & 1 ? 4 : 8, from = base(), order[8], r = data(), t = data(), last = r;
    s64 a = (s64)(rnd() % 24);
    bool reversed = rnd() & 1, word = n == 4 && rnd() & 1, in_place = rnd() & 1;

    shuffle(order, n, rnd() & 1);
    for (u32 i = 0; i < n; i++) {
        u32 k = order[i], rd = i ? (rnd() & 7 ? t : from && rnd() & 1 ? from : any()) : r;
        insn_load(rd, from, a + (reversed ? n - 1 - k : k), 1, k == n - 1 && !(rnd() & 3));
        if (k)
            insn_shift(IR_SHL, rd, rd, 8 * k, word);
        if (i) {
            u32 to = in_place ? last : data();
            insn_binary(rnd() & 7 ? IR_OR : IR_ADD, to, last, rd);
            last = to;
        }
        noise(30);
    }
    if (n == 4 && rnd() & 1)
        insn_shift(IR_SHL, last, last, 0, true);
}

/* A word taken apart, or the same byte. */
static void add_parts(void)
{
    u32 n = rnd() & 1 ? 4 : 8, to = base(), order[8], r = data(), t = data();
    s64 b = (s64)(rnd() % 24);
    bool reversed = rnd() & 1, constant = !(rnd() & 3);

    shuffle(order, n, rnd() & 1);
    for (u32 i = 0; i < n; i++) {
        u32 k = order[i], rs = k ? t : r;
        if (constant)
            rs = 0;
        else if (k)
            insn_shift(IR_SHR, t, r, 8 * k, k < 4 && rnd() & 1);
        insn_store(rs, to, b + (reversed ? n - 1 - k : k), 1);
        noise(40);
    }
}

static void build(void)
{
    ir_init(&block);
    insns = 0;
    for (u32 i = 0; i < 3; i++) {
        switch (rnd() % 4) {
        case 0:
        case 1:
            add_copy();
            break;
        case 2:
            add_word();
            break;
        default:
            add_parts();
        }
        noise(2);
    }
    block.guest = (u16)insns;
    ir_control(&block, IR_JUMP, 0, 0);
}

static void random_state(struct state *s)
{
    for (u32 i = 0; i < SLOTS; i++)
        s->slot[i] = i <= BASES && rnd() % 40 ? RAM + 16 + rnd() % (rnd() & 3 ? 64 : 220) : rnd();
    s->slot[0] = 0;
    for (u32 i = 0; i < MEMORY; i++)
        s->memory[i] = (u8)rnd();
}

static bool is_same(const struct state *a, const struct state *b)
{
    return !memcmp(a, b, sizeof(*a));
}

static void show(const struct ir_block *b)
{
    static char text[1 << 20];

    ir_print(b, text, sizeof(text));
    printf("%s\n", text);
}

/* False: what a block of the second kind does is not what the first one does. */
static bool agrees(const struct ir_block *after, const struct state *start, u32 *done)
{
    struct state s = *start, t = *start;
    u32 end = run(&block, &s, true), there = run(after, &t, false);

    if (there > end || !is_same(&t, there == end ? &s : &trace[there]))
        return false;
    *done += there == end;
    return true;
}

TEST(same_as_before)
{
    static struct state start;
    u32 changed = 0, done = 0, all = 0;

    for (u32 n = 0; n < 20000; n++) {
        const struct ir_block *after;
        build();
        CHECK(!ir_verify(&block));
        after = ir_rows(&rows, &block, NULL);
        changed += after != &block;
        CHECK(!ir_verify(after));
        ir_forward(&flow, after);
        ir_guard(&flow, NULL);
        CHECK(!ir_verify(&flow.out));
        ir_prune(&flow);
        CHECK(!ir_verify(&flow.out));
        for (u32 i = 0; i < 4; i++, all++) {
            random_state(&start);
            if (agrees(after, &start, &done) && agrees(&flow.out, &start, &done))
                continue;
            show(&block);
            show(after);
            CHECK(!"a run differs");
            return;
        }
    }
    printf("# %u of 20000 changed, %u of %u to the end\n", changed, done, all * 2);
    CHECK(changed > 10000);
}

/* ---- examples ---- */

/* Accesses of a size that are left. */
static u32 left(const struct ir_block *b, u8 opcode, u32 size)
{
    u32 n = 0;

    for (u32 i = 0; i < b->count; i++)
        n += b->op[i].opcode == opcode && b->op[i].size == size;
    return n;
}

static void start(void)
{
    ir_init(&block);
    insns = 0;
}

/* What becomes of it, once it is seen to be right. */
static const struct ir_block *finish(void)
{
    static struct state s;
    const struct ir_block *after;
    u32 done = 0;

    block.guest = (u16)insns;
    ir_control(&block, IR_JUMP, 0, 0);
    after = ir_rows(&rows, &block, NULL);
    CHECK(!ir_verify(&block));
    CHECK(!ir_verify(after));
    for (u32 i = 0; i < 200; i++) {
        random_state(&s);
        CHECK(agrees(after, &s, &done));
    }
    CHECK(done > 0);
    return after;
}

/* memcpy of 8 bytes, as in a loop, with the pointers moved on. */
TEST(copies)
{
    const struct ir_block *b;

    start();
    for (u32 i = 0; i < 8; i++)
        insn_load(10 + i, 1, i, 1, false);
    insn_addi(2, 2, 8);
    for (u32 i = 0; i < 8; i++)
        insn_store(10 + i, 2, (s64)i - 8, 1);
    insn_addi(1, 1, 8);
    b = finish();
    CHECK_EQ(left(b, IR_LOAD, 1) + left(b, IR_STORE, 1), 0);
    CHECK_EQ(left(b, IR_LOAD, 8), 1);
    CHECK_EQ(left(b, IR_STORE, 8), 1);
}

/* A byte is stored before the next is loaded: what is stored may be what is loaded next. */
TEST(copies_that_may_overlap_stay)
{
    start();
    for (u32 i = 0; i < 8; i++) {
        insn_load(10 + i, 1, i, 1, false);
        insn_store(10 + i, 2, i, 1);
    }
    CHECK(finish() == &block);
}

/* A word from bytes, whose last one goes to the register of the address. */
static const struct ir_block *build_word(bool reversed)
{
    start();
    for (u32 i = 0; i < 4; i++) {
        u32 rd = i == 3 ? 1 : 10 + i;
        insn_load(rd, 1, 4 + (reversed ? 3 - i : i), 1, false);
        if (i)
            insn_shift(IR_SHL, rd, rd, 8 * i, true);
        if (i)
            insn_binary(IR_OR, 10, 10, rd);
    }
    return finish();
}

TEST(words)
{
    for (u32 i = 0; i < 2; i++) {
        const struct ir_block *b = build_word(i);
        CHECK_EQ(left(b, IR_LOAD, 1), 0);
        CHECK_EQ(left(b, IR_LOAD, 4), 1);
    }
}

TEST(parts)
{
    const struct ir_block *b;

    start();
    for (u32 i = 0; i < 8; i++)
        insn_store(0, 1, i, 1);
    insn_store(10, 2, 3, 1);
    for (u32 i = 1; i < 4; i++) {
        insn_shift(IR_SHR, 11, 10, 8 * i, true);
        insn_store(11, 2, 3 - (s64)i, 1);
    }
    b = finish();
    CHECK_EQ(left(b, IR_STORE, 1), 0);
    CHECK_EQ(left(b, IR_STORE, 8), 1);
    CHECK_EQ(left(b, IR_STORE, 4), 1);
}

/* Words that share bytes: one load of more than is wanted. */
TEST(rows_grow)
{
    const struct ir_block *b;

    start();
    for (u32 i = 0; i < 6; i++)
        insn_load(10 + i, 1, (s64)i - 2, 1, false);
    for (u32 i = 0; i < 4; i++)
        insn_store(10 + i, 2, i, 1);
    insn_load(20, 2, 0, 4, true);
    for (u32 i = 0; i < 4; i++)
        insn_store(12 + i, 2, i, 1);
    b = finish();
    CHECK_EQ(left(b, IR_LOAD, 1) + left(b, IR_STORE, 1), 0);
    CHECK_EQ(left(b, IR_STORE, 4), 2);
    CHECK_EQ(left(b, IR_LOAD, 8), 1);
}

/* Bytes from here and there, and the word that is read where they went. */
TEST(words_of_slots)
{
    const struct ir_block *b;

    start();
    insn_binary(IR_XOR, 12, 10, 11);
    for (u32 i = 0; i < 4; i++)
        insn_store(i == 2 ? 20 : 10 + i, 2, i, 1);
    insn_load(13, 3, 0, 4, true);
    b = finish();
    CHECK_EQ(left(b, IR_STORE, 1), 0);
    CHECK_EQ(left(b, IR_STORE, 4), 1);
}

/* Guards of a block. */
static u32 guards(const struct ir_block *b)
{
    u32 n = 0;

    for (u32 i = 0; i < b->count; i++)
        n += b->op[i].opcode == IR_GUARD;
    return n;
}

/* Two words to the same place, each read back: one group, in which the first one's bytes that are
 * overwritten are not computed. */
TEST(followers)
{
    const struct ir_block *b;
    u32 bytes = 0;

    start();
    for (u32 n = 0; n < 2; n++) {
        for (u32 i = 0; i < 4; i++)
            insn_load(10 + i, n ? 4 : 1, i, 1, false);
        for (u32 i = 0; i < 4; i++)
            insn_store(10 + i, 2, i, 1);
        insn_load(20 + n, 3, 8, 4, true);
        insn_binary(IR_XOR, 22, 20, 21);
    }
    b = finish();
    CHECK_EQ(left(b, IR_LOAD, 1) + left(b, IR_STORE, 1), 0);
    CHECK_EQ(left(b, IR_LOAD, 4), 4);
    CHECK_EQ(left(b, IR_STORE, 4), 2);
    CHECK_EQ(guards(b), 4);
    for (u32 i = 0; i < b->count; i++) {
        CHECK((b->op[i].opcode != IR_LOAD && b->op[i].opcode != IR_STORE) ||
              b->op[i].access == IR_ACCESS_SURE);
        bytes += b->op[i].opcode == IR_ZX8;
    }
    CHECK_EQ(bytes, 4);
}

TEST_MAIN()
