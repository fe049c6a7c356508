/* SPDX-License-Identifier: BSD-2-Clause */
/* The decoder and the disassembler, against spec/riscv.def and a table of GNU as. */
#include "rv/decode.h"

#include "rv/csr.h"
#include "rv/disasm.h"
#include "tests/fake.h"
#include "tests/insn.h"
#include "tests/test.h"
#include "tests/unit/compressed_pairs.h"

/* Sets of extensions to try: nothing, everything, and 14 of every kind between. */
#define ISA_SETS 16

static struct isa isa_set(u32 n)
{
    u64 state = n;
    struct isa isa;

    isa_default(&isa);
    for (u32 i = 0; i < ARRAY_SIZE(isa.ext); i++) {
        if (n == 0)
            isa.ext[i] = 0;
        else
            isa.ext[i] = n == 1 ? UINT64_MAX : test_random(&state);
    }
    return isa;
}

static struct isa isa_all(void)
{
    return isa_set(1);
}

/* Every word that is both is the earlier line's, which is a special case of the later one. */
TEST(encodings_are_disjoint)
{
    for (u32 i = 0; i < ARRAY_SIZE(insn_lines); i++) {
        const struct insn_line *a = &insn_lines[i];
        CHECK_EQ(a->match & ~a->mask, 0);
        CHECK_EQ((a->match & 3) == 3, !a->compressed);
        for (u32 j = i + 1; j < ARRAY_SIZE(insn_lines); j++) {
            const struct insn_line *b = &insn_lines[j];
            bool refines = (a->mask & b->mask) == b->mask && a->mask != b->mask;
            if (!((a->match ^ b->match) & a->mask & b->mask) && !refines)
                printf("# %s and %s\n", a->name, b->name);
            CHECK(((a->match ^ b->match) & a->mask & b->mask) || refines);
        }
    }
}

/* The drawings of tests/insn.h fix what the masks fix. */
TEST(masks_are_the_formats_fixed_bits)
{
    for (u32 i = 0; i < ARRAY_SIZE(insn_lines); i++) {
        const struct insn_line *line = &insn_lines[i];
        const char *bits = insn_bits(line);
        size_t n = strlen(bits);
        u32 fixed = 0;
        for (size_t k = 0; k < n; k++) {
            if (bits[k] == '.')
                fixed |= 1u << (n - 1 - k);
        }
        CHECK_EQ(n, line->compressed ? 16 : 32);
        if (line->fmt == FMT_CNOP) /* its rd is fixed */
            CHECK_EQ(line->mask, 0xef83);
        else if (fixed != line->mask)
            printf("# %s\n", line->name);
        CHECK_EQ(fixed, line->mask);
    }
}

static bool has_float_rd(enum insn_fmt fmt)
{
    return fmt == FMT_FLOAD || fmt == FMT_FR4 || fmt == FMT_FR_RM || fmt == FMT_FR1_RM ||
           fmt == FMT_FR || fmt == FMT_X2F || fmt == FMT_X2F_RM || fmt == FMT_FLI ||
           fmt == FMT_CL8F || fmt == FMT_CLSP8F;
}

static u32 expected_rd(const struct insn_line *line, u32 rd)
{
    bool sink = line->fmt == FMT_CNOP || line->fmt == FMT_CMOP || line->fmt == FMT_CJ ||
                line->fmt == FMT_CJR || insn_bits_have(line, "DBXW");

    return !rd && sink && !has_float_rd(line->fmt) ? REG_SINK : rd;
}

static void check_round_trip(const struct isa *isa, const struct insn_line *line, u64 *state)
{
    struct insn_operands o = insn_random_operands(line, state);
    u32 raw = insn_encode(line, &o);
    u64 insn = decode(isa, raw);
    unsigned before = test_failures;

    CHECK_EQ(insn_op(insn), line->op);
    CHECK_EQ(insn_len(insn), line->compressed ? 2 : 4);
    CHECK_EQ(insn_rd(insn), expected_rd(line, o.rd));
    CHECK_EQ(insn_rs1(insn), o.rs1);
    CHECK_EQ(insn_rs2(insn), o.rs2);
    CHECK_EQ(insn_imm(insn), o.imm);
    if (test_failures != before)
        printf("# %s, 0x%x\n", line->name, raw);
}

TEST(every_instruction_round_trips)
{
    struct isa isa = isa_all();
    u64 state = 1;

    for (u32 i = 0; i < ARRAY_SIZE(insn_lines) && test_failures < 20; i++) {
        for (u32 k = 0; k < 200; k++)
            check_round_trip(&isa, &insn_lines[i], &state);
    }
}

TEST(extensions_switch_instructions_off)
{
    struct isa none = isa_set(0);
    u64 state = 2;

    for (u32 i = 0; i < ARRAY_SIZE(insn_lines); i++) {
        struct insn_operands o = insn_random_operands(&insn_lines[i], &state);
        CHECK_EQ(insn_op(decode(&none, insn_encode(&insn_lines[i], &o))), OP_ILLEGAL);
    }
}

TEST(compressed_are_what_gnu_as_says)
{
    struct isa isa = isa_all();

    for (u32 i = 0; i < ARRAY_SIZE(compressed_pairs); i++) {
        u64 got = decode(&isa, compressed_pairs[i].compressed);
        u64 want = decode(&isa, compressed_pairs[i].base) | 1;
        if (got != want)
            printf("# 0x%04x\n", compressed_pairs[i].compressed);
        CHECK_EQ(got, want);
    }
}

/* Whatever the bits: a record with registers in range, and text. */
static void check_sane(const struct isa *isa, u32 raw)
{
    char text[DISASM_MAX], small[8];
    u64 insn = decode(isa, raw);
    size_t len = disasm(isa, raw, 0x80000000, text, sizeof(text));
    bool sane = insn_op(insn) == OP_ILLEGAL ||
                (insn_op(insn) > OP_BREAKPOINT && insn_op(insn) < OP_COUNT &&
                 insn_rd(insn) <= REG_SINK && insn_rs1(insn) < 32 && insn_rs2(insn) < 32);

    sane = sane && insn_len(insn) == (insn_is_long(raw) ? 4 : 2) && len > 0 && len < sizeof(text) &&
           strlen(text) == len && text[0] != '?';
    for (size_t i = 0; i < len && sane; i++)
        sane = text[i] >= ' ' && text[i] <= '~';
    if (sane)
        sane = disasm(isa, raw, 0x80000000, small, sizeof(small)) == len &&
               !strncmp(small, text, sizeof(small) - 1);
    if (!sane)
        printf("# 0x%08x: %s\n", raw, text);
    CHECK(sane);
}

TEST(all_halfwords_decode_to_something)
{
    for (u32 set = 0; set < ISA_SETS; set++) {
        struct isa isa = isa_set(set);
        for (u32 raw = 0; raw < 0x10000 && test_failures < 20; raw++) {
            if (!insn_is_long(raw))
                check_sane(&isa, raw);
        }
    }
}

TEST(random_words_decode_to_something)
{
    u64 state = 3;

    for (u32 i = 0; i < 500000 && test_failures < 20; i++) {
        struct isa isa = isa_set(i % ISA_SETS);
        check_sane(&isa, (u32)test_random(&state) | 3);
    }
}

TEST(compressed_ignores_the_upper_half)
{
    struct isa isa = isa_all();

    CHECK_EQ(decode(&isa, 0xffff4501), decode(&isa, 0x4501));
}

TEST(reserved_are_illegal)
{
    static const u32 words[] = {
        0x0000,     0x4002,     0x6002,     0x8002,     0x2001,
        0x6101,     0x6001,     0x9c79,     0x31b51513, /* aes64ks1i with rnum 11 */
        0xffffffff, 0x0000001f, 0x00000000,
    };
    struct isa isa = isa_all();

    for (u32 i = 0; i < ARRAY_SIZE(words); i++)
        CHECK_EQ(insn_op(decode(&isa, words[i])), OP_ILLEGAL);
}

static void check_text(u32 raw, const char *want)
{
    struct isa isa = isa_all();
    char text[DISASM_MAX];

    (void)disasm(&isa, raw, 0x1000, text, sizeof(text));
    CHECK_STR(text, want);
}

/* Each kind of operand; tests/golden/disasm_compare.py does the bulk. */
TEST(text)
{
    check_text(0x00a58533, "add a0,a1,a0");
    check_text(0xff010113, "addi sp,sp,-16");
    check_text(0x12345537, "lui a0,0x12345");
    check_text(0xff9ff06f, "jal zero,0xff8");
    check_text(0x00853503, "ld a0,8(a0)");
    check_text(0x30051573, "csrrw a0,mstatus,a0");
    check_text(0x7c05d573, "csrrwi a0,0x7c0,11");
    check_text(0x1605a52f, "lr.w.aqrl a0,(a1)");
    check_text(0x0330000f, "fence rw,rw");
    check_text(0x0000000f, "fence unknown,unknown");
    check_text(0x00208053, "fadd.s ft0,ft1,ft2,rne");
    check_text(0x0020f053, "fadd.s ft0,ft1,ft2");
    check_text(0x1820f043, "fmadd.s ft0,ft1,ft2,ft3");
    check_text(0x18209043, "fmadd.s ft0,ft1,ft2,ft3,rtz");
    check_text(0xf01f0553, "fli.s fa0,inf");
    check_text(0x81c5c573, "mop.r.0 a0,a1");
    check_text(0x6081, "c.mop.1");
    check_text(0x4501, "c.li a0,0");
    check_text(0x8082, "c.jr ra");
    check_text(0xc119, "c.beqz a0,0x1006");
    check_text(0x0000, "c.unimp");
    check_text(0x8002, ".2byte 0x8002");
    check_text(0xffffffff, ".4byte 0xffffffff");
}

TEST(register_names)
{
    CHECK_STR(disasm_x_name(0), "zero");
    CHECK_STR(disasm_x_name(8), "s0");
    CHECK_STR(disasm_x_name(31), "t6");
    CHECK_STR(disasm_x_name(REG_SINK), "zero");
    CHECK_STR(disasm_f_name(10), "fa0");
    CHECK_STR(disasm_f_name(31), "ft11");
}

TEST_MAIN()
