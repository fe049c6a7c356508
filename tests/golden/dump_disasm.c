/* SPDX-License-Identifier: BSD-2-Clause */
/* Prints random encodings of every instruction: name, bits, text. For disasm_compare.py. */
#include "rv/disasm.h"
#include "tests/fake.h"
#include "tests/insn.h"

#include <stdio.h>

#define PC 0x1000 /* each stands there; the script knows */

int main(int argc, char **argv)
{
    u64 state = argc > 1 ? strtoull(argv[1], NULL, 0) : 1;
    u32 count = argc > 2 ? (u32)strtoul(argv[2], NULL, 0) : 20;
    char text[DISASM_MAX];
    struct isa isa;

    isa_default(&isa);
    isa.ext[ISA_H / 64] |= UINT64_C(1) << ISA_H % 64;
    for (u32 i = 0; i < ARRAY_SIZE(insn_lines); i++) {
        for (u32 k = 0; k < count; k++) {
            struct insn_operands o = insn_random_operands(&insn_lines[i], &state);
            u32 raw = insn_encode(&insn_lines[i], &o);
            (void)disasm(&isa, raw, PC, text, sizeof(text));
            printf("%s %u %x %s\n", insn_lines[i].name, insn_lines[i].compressed ? 2u : 4u, raw,
                   text);
        }
    }
    return 0;
}
