/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Random instructions in M-mode itself, where nothing holds them back: random CSRs, MPRV, mtvec,
 * PMP locks. A second chance is the trap vector; when that is lost, the machine spins or faults
 * for ever, and the time limit ends it.
 */
#include "../priv.h"

static struct ctx c;
static u32 code[1024] PAGE_ALIGNED;

void tests(void)
{
    u64 seed = 0xabcdef;

    for (u32 round = 0; round < 200000; round++) {
        for (u32 i = 0; i < 16; i++) {
            u64 r = random_next(&seed);
            u32 csr = r >> 40 & 0xfff;

            /* Up to the last thousands the registers that keep us alive are left out. */
            if (round < 150000 && (csr == 0x305 || csr == 0x340 || csr == 0x300 || csr == 0x3a0 ||
                                   csr == 0x3a2 || csr == 0x747 || (csr & 0xff0) == 0x3b0))
                csr = 0x301;
            code[i] =
                r & 1 ? insn_csr(r >> 8 & 7, r >> 16 & 31, csr, r >> 24 & 31) : (u32)(r >> 32) | 3;
            if ((code[i] & 0x7f) == 0x73 && (code[i] >> 12 & 7) == 0)
                code[i] = INSN_NOP; /* no MRET, no WFI for ever */
        }
        code[16] = INSN_ECALL;
        fence_i();
        for (u32 i = 0; i < 32; i++)
            c.x[i] = random_next(&seed) | (random_next(&seed) & 1 ? HOLE : 0);
        c.pc = (u64)&code[random_next(&seed) & 15];
        csr_write(mie, 0);
        write64(CLINT_BASE + 0x4000, mtime() + 3000);
        csr_set(mie, BIT(7));
        run(&c, PRIV_M, 1);
        status_reset();
        csr_write(pmpcfg2, 0x1ful << 56);
        csr_write(pmpaddr15, -1ul);
        if (!(round % 20000))
            print("# round %u\n", round);
    }
}
