/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Loops that nothing but attention or a limit ends: blocks that lead to themselves and regions,
 * with the count in its register and without. Counts are exact, attention is seen, limits are kept
 * to.
 */
#include "jit/backend.h"

#include "tests/assert.h"
#include "tests/test.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stddef.h>
#include <time.h>

#define SLOTS  20
#define JUMPS  64
#define BUFFER (1u << 20)
#define PAGE   UINT64_C(0xffffffff80005000)
#define LOOP   64 /* its offset */
#define START  1000

struct jump {
    u64 pc, code;
};

struct state {
    u64 slot[SLOTS];
    u64 pc, count, turn, left, page, limit;
    _Atomic u32 attn;
    u32 patch, source;
    u32 fp_level, fp_live, fp_round, fp_flags;
    struct jump *jumps;
};

static const u8 pinned[] = {0, 2, 4, 6, 8, 10, 12, 14, 16};

#define LAYOUT                                                                                     \
    .slot = offsetof(struct state, slot), .pc = offsetof(struct state, pc),                        \
    .count = offsetof(struct state, count), .turn = offsetof(struct state, turn),                  \
    .left = offsetof(struct state, left), .page = offsetof(struct state, page),                    \
    .attn = offsetof(struct state, attn), .patch = offsetof(struct state, patch),                  \
    .source = offsetof(struct state, source), .redirects = true, .tlb_bits = 4,                    \
    .jumps = offsetof(struct state, jumps), .jumps_bits = 6, .int_slots = SLOTS, .pinned = pinned, \
    .pinned_count = sizeof(pinned), .fp_level = offsetof(struct state, fp_level),                  \
    .fp_live = offsetof(struct state, fp_live), .fp_round = offsetof(struct state, fp_round),      \
    .fp_flags = offsetof(struct state, fp_flags)

static const struct jit_layout free_layout = {LAYOUT};
static const struct jit_layout limited_layout = {LAYOUT, .limit = offsetof(struct state, limit)};
static const struct jit_engine engine;

static struct jit_backend *backend;
static struct jit_compiler *compiler;
static struct jump jumps[JUMPS];
static struct state state;
static struct ir_block block;
static s32 where[64];

static void begin(const struct jit_layout *layout)
{
    backend = jit_backend_create(layout, &engine, BUFFER);
    ASSERT(backend);
    compiler = jit_compiler_create(backend);
    ASSERT(compiler);
    jit_compiler_aim(compiler, jit_backend_code_start(backend), BUFFER);
    for (u32 i = 0; i < ARRAY_SIZE(where); i++)
        where[i] = LOOP + 4 * (s32)i;
    for (u32 i = 0; i < JUMPS; i++)
        jumps[i].pc = i ? 1 : 3;
    state = (struct state){.count = START, .page = PAGE, .limit = UINT64_MAX, .jumps = jumps};
}

static void end(void)
{
    jit_compiler_destroy(compiler);
    jit_backend_destroy(backend);
}

/* Instruction i adds 1 to slot i; the last one jumps back, too, or branches. */
static void make_loop(u32 insns, bool label, bool branch)
{
    ir_init(&block);
    if (label)
        ir_control(&block, IR_LABEL, 0, LOOP);
    for (u32 i = 0; i < insns; i++) {
        block.guest = (u16)i;
        ir_put(&block, i, ir_binary(&block, IR_ADD, ir_get(&block, i), ir_const(&block, 1)));
    }
    if (branch) {
        ir_control(&block, IR_BRANCH,
                   ir_binary(&block, IR_NE, ir_get(&block, SLOTS - 1), ir_const(&block, 1)), LOOP);
        ir_control(&block, IR_LEAVE, 0, JIT_EXIT_ENGINE + 1);
    } else {
        ir_control(&block, IR_JUMP, 0, LOOP);
    }
    CHECK(!ir_verify(&block));
}

enum form { BLOCK, BLOCK_IN_TABLE, REGION, REGION_BRANCH, FORMS };

/* Runs the loop from its beginning until it leaves; insns are those of a round. */
static void run(enum form form, u32 insns)
{
    struct jit_entry entry = {.offset = LOOP};
    u64 pc = PAGE + LOOP;

    make_loop(insns, form >= REGION, form == REGION_BRANCH);
    if (form >= REGION)
        CHECK(jit_backend_compile_region(compiler, &block, where, 1, 0, JIT_NO_CHECK, &entry, 1));
    else
        entry.code = jit_backend_compile(compiler, &block, where, 1);
    CHECK(entry.code);
    if (form < REGION) {
        u32 why = jit_backend_run(backend, &state, entry.code);
        if (why == JIT_EXIT_CHAIN) /* not when it had to look at once */
            jit_backend_chain(backend, state.patch, entry.code);
    }
    if (form == BLOCK_IN_TABLE)
        jumps[(pc >> 1) % JUMPS] = (struct jump){pc, jit_backend_address(backend, entry.code)};
    if (form >= REGION || state.count < state.limit)
        CHECK_EQ(jit_backend_run(backend, &state, entry.code), JIT_EXIT_LOOKUP);
    CHECK_EQ(state.pc, pc);
}

static void check_rounds(u32 insns)
{
    u64 rounds = state.slot[0];

    for (u32 i = 0; i < insns; i++)
        CHECK_EQ(state.slot[i], rounds);
    CHECK_EQ(state.count, START + rounds * insns);
}

TEST(limits)
{
    for (u32 n = 0; n < 400 && !test_failures; n++) {
        enum form form = (enum form)(n % FORMS);
        u32 insns = 1 + n / FORMS % (SLOTS - 1);
        u64 limit = START + 1 + n * 7919 % (5 * JIT_TURN);
        begin(&limited_layout);
        state.limit = limit;
        run(form, insns);
        check_rounds(insns);
        if (form == BLOCK) /* one turn: nothing is found in the table */
            CHECK(state.count >= limit || state.count >= START + JIT_TURN);
        else
            CHECK(state.count >= limit);
        CHECK(state.count < limit + insns);
        end();
    }
}

static void *ask(void *pause)
{
    nanosleep(pause, NULL);
    atomic_store_explicit(&state.attn, 1, memory_order_relaxed);
    return NULL;
}

/* Asks after a while; the code may not have begun by then, if the host has other things to do. */
static void run_asked(const struct jit_layout *layout, enum form form, u32 insns, long wait_ns)
{
    struct timespec pause = {.tv_nsec = wait_ns};
    pthread_t thread;

    begin(layout);
    ASSERT(!pthread_create(&thread, NULL, ask, &pause));
    run(form, insns);
    pthread_join(thread, NULL);
    check_rounds(insns);
    end();
}

TEST(attention_of_another_thread)
{
    for (u32 n = 0; n < 120 && !test_failures; n++) {
        const struct jit_layout *layout = n & 1 ? &limited_layout : &free_layout;
        enum form form = (enum form)(1 + n % (FORMS - 1));
        u32 insns = 1 + n / FORMS % (SLOTS - 1);
        long wait_ns = 300000;

        do
            run_asked(layout, form, insns, wait_ns);
        while (state.count <= START + JIT_TURN && (wait_ns *= 4) < 999999999);
        CHECK(state.count > START + JIT_TURN);
    }
}

TEST(attention_before)
{
    for (u32 n = 0; n < 120 && !test_failures; n++) {
        enum form form = (enum form)(n % FORMS);
        u32 insns = 1 + n / FORMS % (SLOTS - 1);
        begin(&free_layout);
        state.attn = 1;
        run(form, insns);
        check_rounds(insns);
        CHECK_EQ(state.count, START + insns * (form >= REGION ? 1 : 2));
        end();
    }
}

int main(void)
{
    if (!jit_backend_is_supported()) {
        printf("1..0 # SKIP no back end for this host\n");
        return 0;
    }
    return test_main();
}
