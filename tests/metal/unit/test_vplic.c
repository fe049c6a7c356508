/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The emulated PLIC: random operations against a model that is the PLIC specification read line by
 * line, and against the PLIC of src/device.
 */
#include "metal/vplic.h"

#include "device/plic.h"
#include "tests/fake.h"
#include "tests/test.h"

#define CONTEXTS 5
#define SOURCES  63
#define OPS      400000

struct source {
    bool pending, claimed, level;
    u32 priority;
};

static struct {
    struct source source[SOURCES + 1];
    bool enable[CONTEXTS][SOURCES + 1];
    u32 threshold[CONTEXTS];
    u32 sources;
} model;

static struct vplic plic;

static u32 reads(u64 offset)
{
    u64 value = 0;
    u32 completed;

    CHECK(vplic_access(&plic, offset, 4, false, &value, &completed));
    CHECK_EQ(completed, 0);
    return (u32)value;
}

/* The source that it completed. */
static u32 writes(u64 offset, u64 value)
{
    u32 completed;

    CHECK(vplic_access(&plic, offset, 4, true, &value, &completed));
    return completed;
}

static bool can_take(u32 context, u32 source)
{
    const struct source *s = &model.source[source];

    return s->pending && !s->claimed && model.enable[context][source] && s->priority;
}

/* PLIC 1.0.0, "Interrupt Claim Process": the highest priority, then the lowest id; whatever the
 * threshold. */
static u32 model_claim(u32 context)
{
    u32 best = 0;

    for (u32 i = 1; i <= model.sources; i++) {
        if (can_take(context, i) &&
            (!best || model.source[i].priority > model.source[best].priority))
            best = i;
    }
    if (best) {
        model.source[best].pending = false;
        model.source[best].claimed = true;
    }
    return best;
}

static u32 model_complete(u32 context, u32 source)
{
    struct source *s;

    if (!source || source > model.sources)
        return 0;
    s = &model.source[source];
    if (!s->claimed || !model.enable[context][source])
        return 0;
    s->claimed = false;
    s->pending |= s->level;
    return source;
}

static void model_level(u32 source, bool level)
{
    struct source *s = &model.source[source];

    s->level = level;
    if (level && !s->claimed)
        s->pending = true;
}

static u64 model_lines(void)
{
    u64 lines = 0;

    for (u32 c = 0; c < CONTEXTS; c++) {
        for (u32 i = 1; i <= model.sources; i++) {
            if (can_take(c, i) && model.source[i].priority > model.threshold[c])
                lines |= BIT(c);
        }
    }
    return lines;
}

static u32 model_word(const bool *bits, u32 word)
{
    u32 value = 0;

    for (u32 i = 0; i < 32; i++)
        value |= (u32)(32 * word + i <= SOURCES && bits[32 * word + i]) << i;
    return value;
}

static void check_registers(void)
{
    bool pending[SOURCES + 1] = {false};

    for (u32 i = 1; i <= SOURCES; i++) {
        pending[i] = model.source[i].pending;
        CHECK_EQ(reads(4 * i), i <= model.sources ? model.source[i].priority : 0);
    }
    for (u32 word = 0; word < 2; word++) {
        CHECK_EQ(reads(0x1000 + 4 * word), model_word(pending, word));
        for (u32 c = 0; c < CONTEXTS; c++)
            CHECK_EQ(reads(0x2000 + 0x80 * c + 4 * word), model_word(model.enable[c], word));
    }
    for (u32 c = 0; c < CONTEXTS; c++)
        CHECK_EQ(reads(0x200000 + 0x1000 * c), model.threshold[c]);
    CHECK_EQ(reads(0), 0);
    CHECK_EQ(reads(0x1008), 0);
    CHECK_EQ(reads(0x2008), 0);
}

static void enable(u32 context, u32 word, u32 bits)
{
    writes(0x2000 + 0x80 * context + 4 * word, bits);
    for (u32 i = 0; i < 32; i++) {
        if (32 * word + i >= 1 && 32 * word + i <= model.sources)
            model.enable[context][32 * word + i] = bits >> i & 1;
    }
}

static void operate(u64 *seed)
{
    u64 r = test_random(seed);
    u32 source = 1 + test_random(seed) % model.sources, context = test_random(seed) % CONTEXTS;

    switch (r % 10) {
    case 0:
        vplic_raise(&plic, source);
        model.source[source].pending = true;
        break;
    case 1:
    case 2:
        vplic_level(&plic, source, r & 64);
        model_level(source, r & 64);
        break;
    case 3:
        writes(4 * source, r >> 32);
        model.source[source].priority = r >> 32 & 7;
        break;
    case 4:
        enable(context, r >> 7 & 1, (u32)(r >> 32));
        break;
    case 5:
        writes(0x200000 + 0x1000 * context, r >> 32);
        model.threshold[context] = r >> 32 & 7;
        break;
    case 6:
    case 7:
        CHECK_EQ(reads(0x200004 + 0x1000 * context), model_claim(context));
        break;
    default:
        CHECK_EQ(writes(0x200004 + 0x1000 * context, source), model_complete(context, source));
        break;
    }
}

static void reset(u32 sources)
{
    memset(&model, 0, sizeof(model));
    model.sources = sources;
    vplic_reset(&plic, CONTEXTS, sources);
}

TEST(random_operations_as_the_model_says)
{
    static const u32 sources[] = {63, 31, 32, 7, 1};
    u64 seed = 1;

    for (u32 i = 0; i < ARRAY_SIZE(sources); i++) {
        reset(sources[i]);
        for (u32 op = 0; op < OPS / 5 && !test_failures; op++) {
            operate(&seed);
            CHECK_EQ(plic.line, model_lines());
            if (op % 1000 == 0)
                check_registers();
        }
    }
}

TEST(a_level_held_is_pending_again_after_completion)
{
    reset(SOURCES);
    writes(4 * 9, 1);
    enable(0, 0, BIT(9));
    vplic_level(&plic, 9, true);
    CHECK_EQ(reads(0x200004), 9);
    CHECK_EQ(plic.line, 0);
    CHECK_EQ(writes(0x200004, 9), 9);
    CHECK_EQ(plic.line, 1);
    CHECK_EQ(reads(0x200004), 9);
    vplic_level(&plic, 9, false);
    vplic_level(&plic, 9, true); /* the gateway is closed: not another interrupt */
    vplic_level(&plic, 9, false);
    CHECK_EQ(writes(0x200004, 9), 9);
    CHECK_EQ(plic.line, 0);
}

TEST(an_edge_while_claimed_is_not_lost)
{
    reset(SOURCES);
    writes(4 * 9, 1);
    enable(0, 0, BIT(9));
    vplic_raise(&plic, 9);
    CHECK_EQ(reads(0x200004), 9);
    vplic_raise(&plic, 9);
    CHECK_EQ(reads(0x200004), 0);
    CHECK_EQ(writes(0x200004, 9), 9);
    CHECK_EQ(reads(0x200004), 9);
}

TEST(a_claim_does_not_ask_the_threshold)
{
    reset(SOURCES);
    writes(4 * 9, 3);
    enable(0, 0, BIT(9));
    writes(0x200000, 7);
    vplic_raise(&plic, 9);
    CHECK_EQ(plic.line, 0);
    CHECK_EQ(reads(0x200004), 9);
}

/* Any offset, any width, any value: an answer or a refusal, and nothing outside the structure. */
TEST(hostile_accesses)
{
    u64 seed = 3;

    reset(17);
    for (u32 i = 0; i < OPS; i++) {
        u64 offset = test_random(&seed) >> test_random(&seed) % 64, value = test_random(&seed);
        u32 width = 1u << test_random(&seed) % 4, completed;
        bool write = test_random(&seed) & 1;
        bool done = vplic_access(&plic, offset, width, write, &value, &completed);
        CHECK_EQ(done, width == 4 && offset % 4 == 0 && offset < VPLIC_SIZE);
        vplic_raise(&plic, (u32)test_random(&seed) % 70);
        vplic_level(&plic, (u32)(test_random(&seed) >> test_random(&seed) % 64), write);
        CHECK(!(plic.pending & ~GENMASK(17, 1)) && !(plic.claimed & ~GENMASK(17, 1)));
        CHECK(!(plic.line & ~GENMASK(CONTEXTS - 1, 0)));
    }
}

static struct plic device;
static struct fake_irq irq;

static void device_make(void)
{
    struct irq_line output[CONTEXTS];
    struct plic_config config = {.id = "plic", .context_count = CONTEXTS, .output = output};

    memset(&irq, 0, sizeof(irq));
    for (u32 i = 0; i < CONTEXTS; i++)
        output[i] = fake_irq_line(&irq, i);
    plic_init(&device, &config);
}

/* The same register access of both. */
static void both(u64 offset, bool write, u32 value)
{
    if (write) {
        writes(offset, value);
        fake_write(&device.dev, offset, 4, value);
    } else {
        CHECK_EQ(reads(offset), fake_read(&device.dev, offset, 4));
    }
}

/*
 * Levels alone, as src/device's sources are; they fall only while claimed, as that PLIC forgets
 * what falls before.
 */
TEST(as_the_plic_of_a_whole_machine)
{
    u64 seed = 4;

    device_make();
    reset(SOURCES);
    for (u32 i = 0; i < OPS && !test_failures; i++) {
        u64 r = test_random(&seed);
        u32 source = 1 + test_random(&seed) % SOURCES, context = test_random(&seed) % CONTEXTS;
        struct irq_line wire = plic_input(&device, source);
        bool fall = plic.claimed >> source & 1 && r & 64;

        if (r % 4 == 0) {
            vplic_level(&plic, source, !fall);
            irq_set(&wire, !fall);
        } else if (r % 4 == 1) {
            both(0x200004 + 0x1000 * context, r & 64, source);
        } else if (r % 4 == 2) {
            both(r & 64 ? 4 * source : 0x200000 + 0x1000 * context, r & 128, (u32)(r >> 32));
        } else {
            both(0x2000 + 0x80 * context + (r & 64 ? 4 : 0), r & 128, (u32)(r >> 32));
            both(0x1000 + (r & 64 ? 4 : 0), false, 0);
        }
        for (u32 c = 0; c < CONTEXTS; c++)
            CHECK_EQ(plic.line >> c & 1, irq.level[c]);
    }
}

TEST_MAIN()
