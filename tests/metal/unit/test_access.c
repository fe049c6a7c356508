/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The hypervisor's decoder of loads and stores against spec/riscv.def: every compressed encoding,
 * every transformed form, random long ones; TEST_ALL=1: every word there is.
 */
#include "metal/decode.h"

#define access rv_access /* that layer has a word of its own for it */
#include "rv/decode.h"
#undef access
#include "tests/random.h"
#include "tests/test.h"

#define RANDOMS 3000000

static struct isa rv64gc(void)
{
    struct isa isa;

    memset(&isa, 0, sizeof(isa));
    isa.ext[0] = BIT(ISA_I) | BIT(ISA_F) | BIT(ISA_D) | BIT(ISA_ZCA) | BIT(ISA_ZCD) | BIT(ISA_ZCB);
    return isa;
}

static const struct {
    enum op op;
    u32 width;
    bool write, is_signed;
} lines[] = {
    {OP_lb, 1, false, true},   {OP_lh, 2, false, true},   {OP_lw, 4, false, true},
    {OP_ld, 8, false, true},   {OP_lbu, 1, false, false}, {OP_lhu, 2, false, false},
    {OP_lwu, 4, false, false}, {OP_sb, 1, true, true},    {OP_sh, 2, true, true},
    {OP_sw, 4, true, true},    {OP_sd, 8, true, true},
};

/* What spec/riscv.def says of raw; false: no integer load or store. */
static bool expected(const struct isa *isa, u32 raw, struct access *want)
{
    u64 insn = decode(isa, raw);

    for (u32 i = 0; i < ARRAY_SIZE(lines); i++) {
        u32 reg = lines[i].write ? insn_rs2(insn) : insn_rd(insn);
        if (insn_op(insn) != lines[i].op)
            continue;
        *want = (struct access){lines[i].width, reg == REG_SINK ? 0 : reg, insn_len(insn),
                                lines[i].write, lines[i].is_signed};
        return true;
    }
    return false;
}

static bool same(const struct access *a, const struct access *b)
{
    return a->width == b->width && a->reg == b->reg && a->length == b->length &&
           a->write == b->write && (a->write || a->is_signed == b->is_signed);
}

/* The quick decoder takes what the other one says, or leaves it alone: C.LWSP, and loads into x0.
 */
static void compare_word_load(u32 raw, bool transformed, const struct access *access)
{
    u32 length;
    u64 reg = decode_word_load(raw, transformed, &length);
    bool is = access && !access->write && access->width == 4 && access->is_signed && access->reg;

    if (is && (raw & 3) == 2 && !transformed)
        is = false;
    if (is != (reg != 0) || (is && (reg != access->reg || length != access->length))) {
        printf("# 0x%08x: a load of a word into %llu\n", raw, (unsigned long long)reg);
        test_failures++;
    }
}

static void compare(const struct isa *isa, u32 raw)
{
    struct access got, want = {0};
    bool is = decode_access(raw, &got), should = expected(isa, raw, &want);

    compare_word_load(raw, false, is ? &got : NULL);
    if (is != should || (is && !same(&got, &want))) {
        printf("# 0x%08x: %d, want %d\n", raw, is, should);
        test_failures++;
    }
}

/* C.LWSP and C.LDSP without a register are reserved: they fault by themselves. */
static bool is_reserved(u32 raw)
{
    return (raw & 0xc003) == 0x4002 && !(raw & 0xf80);
}

TEST(every_compressed_encoding)
{
    struct isa isa = rv64gc();
    u32 accesses = 0;

    for (u32 raw = 0; raw < 0x10000; raw++) {
        struct access got;
        if ((raw & 3) == 3 || is_reserved(raw))
            continue;
        compare(&isa, raw);
        accesses += decode_access(raw, &got);
    }
    /* c.lw c.ld c.sw c.sd and those of sp; c.lbu c.sb; c.lhu c.lh c.sh */
    CHECK_EQ(accesses, 8 * 0x800 - 2 * 64 + 2 * 0x100 + 3 * 0x80);
}

TEST(random_long_encodings)
{
    struct isa isa = rv64gc();
    u64 seed = 1;

    for (u32 i = 0; i < RANDOMS; i++) {
        u32 raw = (u32)test_random(&seed) | 3;
        if (i % 2) /* mostly no access else */
            raw = (raw & ~0x7fu) | (i % 4 == 1 ? 0x03 : 0x23);
        compare(&isa, raw);
    }
}

/*
 * Privileged Architecture, "Transformed Standard Instruction": a long load or store keeps opcode,
 * funct3 and register, its immediate is 0 and rs1's place holds an offset of the address; bit 1 is
 * 0 if it was compressed.
 */
static u32 transformed(const struct access *a, u32 offset)
{
    u32 size = (a->width == 1   ? 0
                : a->width == 2 ? 1
                : a->width == 4 ? 2
                                : 3) |
               (a->is_signed ? 0 : 4);
    u32 insn = size << 12 | offset << 15;

    insn |= a->write ? 0x23 | a->reg << 20 : 0x03 | a->reg << 7;
    return a->length == 2 ? insn & ~2u : insn;
}

TEST(transformed_instructions)
{
    for (u32 i = 0; i < ARRAY_SIZE(lines); i++) {
        for (u32 reg = 0; reg < 32; reg++) {
            for (u32 other = 0; other < 64; other++) {
                struct access want = {lines[i].width, reg, other & 1 ? 2 : 4, lines[i].write,
                                      lines[i].is_signed};
                struct access got = {0};
                CHECK(decode_transformed(transformed(&want, other / 2), &got));
                CHECK(same(&got, &want));
                compare_word_load(transformed(&want, other / 2), true, &got);
            }
        }
    }
}

/* Walks of page tables put 0x2000, 0x3000 and their writes into htinst; custom values have bit 0
 * clear. */
TEST(pseudoinstructions_are_no_accesses)
{
    struct access a;

    for (u32 raw = 0; raw < 0x10000; raw += 2) {
        CHECK(!decode_transformed(raw, &a));
        compare_word_load(raw, true, NULL);
    }
}

/* What the trap handler relies on, whatever a guest has in memory or a board in htinst. */
static bool in_range(const struct access *a)
{
    return a->reg < 32 && (a->length == 2 || a->length == 4) && a->width && a->width <= 8 &&
           !(a->width & (a->width - 1));
}

TEST(registers_and_widths_are_in_range)
{
    bool all = getenv("TEST_ALL") != NULL;
    u64 bad = 0, step = all ? 1 : 977;

    for (u64 raw = 0; raw <= UINT32_MAX; raw += step) {
        struct access a;
        bad += decode_access((u32)raw, &a) && !in_range(&a);
        bad += decode_transformed((u32)raw, &a) && !in_range(&a);
    }
    CHECK_EQ(bad, 0);
}

/* Long instructions, all of them: only with TEST_ALL, as it takes a minute. */
TEST(every_long_encoding)
{
    struct isa isa = rv64gc();

    for (u64 raw = 3; getenv("TEST_ALL") && raw <= UINT32_MAX; raw += 4)
        compare(&isa, (u32)raw);
}

TEST_MAIN()
