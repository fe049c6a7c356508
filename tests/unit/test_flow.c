/* SPDX-License-Identifier: BSD-2-Clause */
/* Passes through slots: random regions do before and after what the IR says; examples. */
#include "ir/flow.h"

#include "base/bits.h"
#include "tests/assert.h"
#include "tests/random.h"
#include "tests/test.h"

#define SLOTS 6
#define TRACE 4096

static struct ir_block block;
static struct ir_flow flow;

/* What others see of a run: all slots and the operands wherever control might leave. */
struct run {
    u64 slot[SLOTS];
    u64 trace[TRACE];
    u32 count;
    u64 skipped; /* guest instructions */
    bool trusts; /* sure accesses are no ways out, but guards are */
};

static u64 rnd(void)
{
    static u64 state = 1;

    return test_random(&state);
}

static void note(struct run *r, u64 v)
{
    if (r->count < TRACE)
        r->trace[r->count++] = v;
}

static void note_exit(struct run *r, const struct ir_op *op, const u64 *arg)
{
    note(r, op->opcode);
    note(r, op->guest - r->skipped);
    note(r, arg[0]);
    note(r, op->opcode == IR_STORE && op->size < 8 ? arg[1] & GENMASK(op->size * 8 - 1, 0) : 0);
    for (u32 i = 0; i < SLOTS; i++)
        note(r, r->slot[i]);
}

static void note_store(struct run *r, const struct ir_op *op, const u64 *arg)
{
    note(r, arg[0]);
    note(r, op->size < 8 ? arg[1] & GENMASK(op->size * 8 - 1, 0) : arg[1]);
}

/* What an access shows: a sure one only what it stores. */
static void note_access(struct run *r, const struct ir_op *op, const u64 *arg)
{
    if (!r->trusts || op->access != IR_ACCESS_SURE)
        note_exit(r, op, arg);
    else if (op->opcode == IR_STORE)
        note_store(r, op, arg);
}

static u32 find_label(const struct ir_block *b, s64 target)
{
    for (u32 i = 0; i < b->count; i++) {
        if (b->op[i].opcode == IR_LABEL && b->op[i].imm == target)
            return i;
    }
    return b->count;
}

static void run(const struct ir_block *b, struct run *r)
{
    static u64 v[IR_OPS_MAX];

    for (u32 at = 0, steps = 0; at < b->count && steps < 2000; at++, steps++) {
        const struct ir_op *op = &b->op[at];
        u64 arg[3] = {0};
        for (u32 i = 0; i < ir_operands((enum ir_opcode)op->opcode); i++)
            arg[i] = v[op->arg[i]];
        switch (op->opcode) {
        case IR_CONST:
            v[at] = (u64)op->imm;
            break;
        case IR_GET:
            v[at] = r->slot[op->imm];
            break;
        case IR_PUT:
            r->slot[op->imm] = arg[0];
            break;
        case IR_LOAD:
            note_access(r, op, arg);
            v[at] = sext(arg[0] * UINT64_C(0x9e3779b97f4a7c15) >> 32, 32);
            break;
        case IR_BRANCH:
            if (op->imm < 100 * op->guest || find_label(b, op->imm) == b->count)
                note_exit(r, op, arg);
            if (arg[0]) {
                at = find_label(b, op->imm);
                r->skipped += at < b->count ? b->op[at].guest - op->guest - 1u : 0;
            }
            break;
        case IR_SKIP:
            r->skipped += arg[0] ? (u64)op->imm : 0;
            break;
        case IR_STORE:
            note_access(r, op, arg);
            break;
        case IR_GUARD:
            if (r->trusts)
                note_exit(r, op, arg);
            break;
        case IR_JUMP:
            note_exit(r, op, arg);
            break;
        case IR_LABEL:
            break;
        default:
            CHECK(ir_evaluate((enum ir_opcode)op->opcode, arg[0], arg[1], arg[2], &v[at]));
        }
    }
}

static ir_value random_operand(void)
{
    return rnd() & 3 ? ir_get(&block, rnd() % SLOTS) : ir_const(&block, rnd() % 65);
}

/* A guest instruction that only computes: shifts and words are what the passes look at. */
static void add_plain(void)
{
    static const u8 likely[] = {IR_ADD, IR_SUB, IR_AND, IR_OR, IR_XOR, IR_SHL, IR_SHR, IR_SAR};
    enum ir_opcode opcode = (enum ir_opcode)likely[rnd() % ARRAY_SIZE(likely)];
    u32 kind = rnd() % 4;
    ir_value a = random_operand(), b;

    if (kind == 0) {
        opcode = (enum ir_opcode)(IR_ADD + rnd() % (IR_BSWAP - IR_ADD + 1));
        opcode = opcode == IR_ADDSHL || opcode == IR_SELECT ? IR_ZX16 : opcode;
    }
    if (opcode == IR_SHR && rnd() & 1)
        a = ir_unary(&block, IR_ZX32, a);
    b = random_operand();
    a = ir_operands(opcode) == 1 ? ir_unary(&block, opcode, a) : ir_binary(&block, opcode, a, b);
    if (kind == 1)
        a = ir_unary(&block, IR_SX32, a);
    ir_put(&block, rnd() % SLOTS, a);
}

/* A branch over a few guest instructions that only compute. */
static void add_choice(u32 *guest)
{
    const u32 first = *guest, n = 1 + rnd() % 3;
    ir_value a, b;

    block.guest = (u16)first;
    a = random_operand();
    b = random_operand();
    a = ir_binary(&block, (enum ir_opcode)(IR_EQ + rnd() % 6), a, b);
    ir_control(&block, IR_BRANCH, a, 100 * (first + n + 1));
    for (u32 i = 0; i < n; i++) {
        block.guest = (u16)(first + 1 + i);
        if (rnd() & 3)
            add_plain();
        else
            ir_put(&block, rnd() % SLOTS, random_operand());
    }
    *guest += n + 1;
    block.guest = (u16)*guest;
    ir_control(&block, IR_LABEL, 0, 100 * *guest);
    add_plain();
}

/* Two shifts of a slot and what joins them. */
static void add_rotate(void)
{
    static const u8 joins[] = {IR_OR, IR_XOR, IR_ADD};
    u32 slot = rnd() % SLOTS, a = rnd() % SLOTS, b = rnd() % SLOTS;
    bool low = rnd() & 1;
    u32 bits = low ? 32 : 64, n = (u32)(rnd() % bits), m = rnd() & 7 ? bits - n : 5;
    ir_value x = ir_get(&block, slot), y = ir_const(&block, n);

    x = ir_binary(&block, IR_SHL, x, y);
    ir_put(&block, a, low ? ir_unary(&block, IR_SX32, x) : x);
    if (!(rnd() & 7))
        add_plain();
    x = ir_get(&block, slot);
    if (low)
        x = ir_unary(&block, IR_ZX32, x);
    y = ir_const(&block, m);
    ir_put(&block, b, ir_binary(&block, rnd() & 7 ? IR_SHR : IR_SAR, x, y));
    x = ir_get(&block, a);
    y = ir_get(&block, b);
    ir_put(&block, rnd() % SLOTS, ir_binary(&block, (enum ir_opcode)joins[rnd() % 3], x, y));
}

static void add_access(void)
{
    ir_value a = random_operand(), b;

    if (rnd() & 1) {
        ir_put(&block, rnd() % SLOTS, ir_load(&block, a, 4, true));
    } else {
        b = random_operand();
        ir_store(&block, a, b, 1u << rnd() % 4);
    }
}

static void add_random(u32 guest)
{
    u32 kind = rnd() % 16;
    ir_value a, b;

    block.guest = (u16)guest;
    if (kind == 0) {
        ir_control(&block, IR_LABEL, 0, 100 * guest);
    } else if (kind == 1) {
        a = random_operand();
        b = random_operand();
        a = ir_binary(&block, IR_LTU, a, b);
        ir_control(&block, IR_BRANCH, a, (s64)(100 * (rnd() % 60)));
    } else if (kind == 2) {
        add_access();
    } else if (kind < 8) {
        add_rotate();
    } else {
        add_plain();
    }
}

TEST(same_as_before)
{
    static struct run before, after;

    for (u32 n = 0; n < 20000; n++) {
        ir_init(&block);
        for (u32 i = 0; i < 50; i++)
            add_random(i);
        ir_control(&block, IR_JUMP, 0, 1);
        CHECK(!ir_verify(&block));
        ir_forward(&flow, &block);
        CHECK(!ir_verify(&flow.out));
        ir_prune(&flow);
        CHECK(!ir_verify(&flow.out));
        memset(&before, 0, sizeof(before));
        for (u32 i = 0; i < SLOTS; i++)
            before.slot[i] = rnd() >> (rnd() & 63);
        after = before;
        run(&block, &before);
        run(&flow.out, &after);
        /* The number of steps may differ: what both have seen is the same. */
        if (before.count > after.count)
            before.count = after.count;
        if (memcmp(before.trace, after.trace, before.count * sizeof(u64))) {
            CHECK(!"a run differs");
            return;
        }
    }
}

/* Accesses near a slot, a few instructions of which may do something else. */
static void add_near(u32 guest)
{
    ir_value a;
    u32 size = 1u << rnd() % 4;

    block.guest = (u16)guest;
    if (rnd() % 3 == 0) {
        add_random(guest);
        return;
    }
    a = ir_get(&block, rnd() % 3);
    if (rnd() & 3)
        a = ir_binary(&block, IR_ADD, a, ir_const(&block, rnd() % 160));
    if (rnd() & 1)
        ir_put(&block, 3 + rnd() % (SLOTS - 3), ir_load(&block, a, size, size < 8 && rnd() & 1));
    else
        ir_store(&block, a, ir_get(&block, rnd() % SLOTS), size);
}

static void copy_block(struct ir_block *to, const struct ir_block *from)
{
    memcpy(to->op, from->op, from->count * sizeof(from->op[0]));
    to->count = from->count;
}

static bool runs_alike(const struct ir_block *a, const struct ir_block *b, bool trusts)
{
    static struct run first, second;

    memset(&first, 0, sizeof(first));
    for (u32 i = 0; i < SLOTS; i++)
        first.slot[i] = rnd() >> (rnd() & 63);
    first.trusts = trusts;
    second = first;
    run(a, &first);
    run(b, &second);
    if (first.count > second.count)
        first.count = second.count;
    return !memcmp(first.trace, second.trace, first.count * sizeof(u64));
}

/* The count, too, is what it was at each way out. */
TEST(chooses)
{
    u32 gone = 0;

    for (u32 n = 0; n < 20000; n++) {
        ir_init(&block);
        for (u32 i = 0; i < 50; i++) {
            if (rnd() & 1)
                add_random(i);
            else
                add_choice(&i);
        }
        block.guest = 200;
        ir_control(&block, IR_JUMP, 0, 1);
        CHECK(!ir_verify(&block));
        ir_forward(&flow, &block);
        ir_choose(&flow);
        CHECK(!ir_verify(&flow.out));
        for (u32 i = 0; i < flow.out.count; i++)
            gone += flow.out.op[i].opcode == IR_SKIP;
        ir_prune(&flow);
        CHECK(!ir_verify(&flow.out));
        if (!runs_alike(&block, &flow.out, false)) {
            CHECK(!"a run differs");
            return;
        }
    }
    CHECK(gone > 50000);
}

/* Guards alone change nothing; then what is pruned shows where a guard may leave, or nowhere. */
TEST(guards_see_to_accesses)
{
    static struct ir_block guarded;
    u32 guards = 0, sure = 0;

    for (u32 n = 0; n < 10000; n++) {
        const u64 apart = n & 1 ? rnd() & rnd() : 0;
        ir_init(&block);
        for (u32 i = 0; i < 50; i++)
            add_near(i);
        ir_control(&block, IR_JUMP, 0, 1);
        ir_forward(&flow, &block);
        ir_guard(&flow, &apart);
        CHECK(!ir_verify(&flow.out));
        copy_block(&guarded, &flow.out);
        for (u32 i = 0; i < guarded.count; i++) {
            const struct ir_op *op = &guarded.op[i];
            guards += op->opcode == IR_GUARD;
            if (op->opcode == IR_LOAD || op->opcode == IR_STORE) {
                sure += op->access == IR_ACCESS_SURE;
                CHECK(op->access != IR_ACCESS_SURE || !(apart >> op->guest & 1));
            }
        }
        ir_prune(&flow);
        CHECK(!ir_verify(&flow.out));
        if (!runs_alike(&block, &guarded, false) || !runs_alike(&guarded, &flow.out, true)) {
            CHECK(!"a run differs");
            return;
        }
    }
    CHECK(guards > 20000 && sure > 2 * guards);
}

static u32 count_of(u8 opcode)
{
    u32 n = 0;

    for (u32 i = 0; i < flow.out.count; i++)
        n += flow.out.op[i].opcode == opcode;
    return n;
}

/* sllw 1 = 3 << 7; srlw 2 = 3 >> 25; or 4 = 1 | 2; the shifts are overwritten, or not. */
static void build_rotate(bool overwrites)
{
    ir_value a, b;

    ir_init(&block);
    a = ir_get(&block, 3);
    b = ir_const(&block, 7);
    ir_put(&block, 1, ir_unary(&block, IR_SX32, ir_binary(&block, IR_SHL, a, b)));
    a = ir_unary(&block, IR_ZX32, ir_get(&block, 3));
    b = ir_const(&block, 25);
    ir_put(&block, 2, ir_binary(&block, IR_SHR, a, b));
    a = ir_get(&block, 1);
    b = ir_get(&block, 2);
    ir_put(&block, 4, ir_binary(&block, IR_OR, a, b));
    if (overwrites) {
        ir_put(&block, 1, ir_const(&block, 1));
        ir_put(&block, 2, ir_const(&block, 2));
    }
    ir_control(&block, IR_JUMP, 0, 0);
    ir_forward(&flow, &block);
    ir_prune(&flow);
}

TEST(rotates)
{
    build_rotate(true);
    CHECK_EQ(count_of(IR_ROR32), 1);
    CHECK_EQ(count_of(IR_SHL) + count_of(IR_SHR) + count_of(IR_OR), 0);
    CHECK_EQ(count_of(IR_PUT), 3);
    build_rotate(false);
    CHECK_EQ(count_of(IR_ROR32), 1);
    CHECK_EQ(count_of(IR_SHL) + count_of(IR_SHR), 2);
}

/* Words that are summed up: the last result alone is extended. */
TEST(drops_extensions)
{
    ir_value a, b;

    ir_init(&block);
    for (u32 i = 0; i < 4; i++) {
        a = ir_get(&block, 1);
        b = ir_get(&block, 2);
        ir_put(&block, 1, ir_unary(&block, IR_SX32, ir_binary(&block, IR_ADD, a, b)));
    }
    ir_control(&block, IR_JUMP, 0, 0);
    ir_forward(&flow, &block);
    ir_prune(&flow);
    CHECK_EQ(count_of(IR_SX32), 1);
    CHECK_EQ(count_of(IR_ADD), 4);
}

/* A way out in between sees the slot: nothing goes. */
TEST(ways_out_see_slots)
{
    ir_value a;

    ir_init(&block);
    ir_put(&block, 1, ir_const(&block, 1));
    a = ir_get(&block, 2);
    ir_put(&block, 3, ir_load(&block, a, 8, false));
    ir_put(&block, 1, ir_const(&block, 2));
    ir_put(&block, 1, ir_const(&block, 3));
    ir_control(&block, IR_JUMP, 0, 0);
    ir_forward(&flow, &block);
    ir_prune(&flow);
    CHECK_EQ(count_of(IR_PUT), 3);
}

/* A load that nobody needs goes if it is sure, and so does a PUT before it. */
TEST(sure_accesses_are_no_ways_out)
{
    ir_init(&block);
    for (u32 i = 0; i < 4; i++) {
        ir_value a;
        block.guest = (u16)i;
        a = ir_get(&block, 2);
        a = ir_binary(&block, IR_ADD, a, ir_const(&block, 8 * (u64)i));
        ir_put(&block, 1, ir_load(&block, a, 8, false));
    }
    ir_control(&block, IR_JUMP, 0, 0);
    ir_forward(&flow, &block);
    ir_guard(&flow, NULL);
    ir_prune(&flow);
    CHECK_EQ(count_of(IR_GUARD), 1);
    CHECK_EQ(count_of(IR_LOAD), 1);
    CHECK_EQ(count_of(IR_PUT), 1);
}

static u32 last_reads(void)
{
    u32 n = 0;

    for (u32 i = 0; i < flow.out.count; i++)
        n += flow.out.op[i].opcode == IR_GET && flow.out.op[i].brief;
    return n;
}

/* Of two reads in an instruction, the one that stands last may be used first. */
static void build_brief(bool twice)
{
    ir_value a, b;

    ir_init(&block);
    a = ir_get(&block, 1);
    ir_put(&block, 2, ir_binary(&block, IR_OR, a, ir_get(&block, 3)));
    block.guest = 1;
    a = ir_get(&block, 2);
    b = twice ? ir_get(&block, 2) : ir_get(&block, 3);
    b = ir_binary(&block, IR_AND, b, ir_const(&block, 31));
    ir_put(&block, 4, ir_binary(&block, IR_SHL, a, b));
    block.guest = 2;
    ir_put(&block, 2, ir_get(&block, 1));
    ir_control(&block, IR_JUMP, 0, 0);
    ir_forward(&flow, &block);
    ir_prune(&flow);
}

TEST(last_reads)
{
    build_brief(false);
    CHECK_EQ(last_reads(), 1);
    build_brief(true);
    CHECK_EQ(last_reads(), 0);
}

TEST_MAIN()
