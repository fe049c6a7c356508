/* SPDX-License-Identifier: BSD-2-Clause */
/* Fuzzes the decoder and the disassembler: records in range, printable text (libFuzzer). */
#include "rv/disasm.h"

#include "base/endian.h"
#include "tests/fake.h"

int LLVMFuzzerTestOneInput(const u8 *data, size_t size);

/* The first eight bytes choose the extensions, each further four are an instruction. */
int LLVMFuzzerTestOneInput(const u8 *data, size_t size)
{
    struct isa isa;

    isa_default(&isa);
    if (size < 8)
        return 0;
    isa.ext[0] = le64_load(data);
    isa.ext[1] = isa.ext[0] >> 32;
    for (size_t at = 8; at + 4 <= size; at += 4) {
        u32 raw = le32_load(data + at);
        u64 insn = decode(&isa, raw);
        char text[DISASM_MAX];
        size_t len = disasm(&isa, raw, at, text, sizeof(text));
        ASSERT(insn_op(insn) >= OP_ILLEGAL && insn_op(insn) < OP_COUNT);
        ASSERT(insn_op(insn) == OP_ILLEGAL ||
               (insn_rd(insn) <= REG_SINK && insn_rs1(insn) < 32 && insn_rs2(insn) < 32));
        ASSERT(len > 0 && len < sizeof(text) && text[len] == '\0');
        for (size_t i = 0; i < len; i++)
            ASSERT(text[i] >= ' ' && text[i] <= '~');
    }
    return 0;
}
