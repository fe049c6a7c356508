/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A kernel that reboots as fast as it can while its harts sleep, wake, suspend, fence each other
 * and change their code. Each life of it writes one dot.
 */
#define STIMECMP 0x14d
#define ROUNDS   100

#define SBI_CALL(ext, func) \
    li a7, ext;             \
    li a6, func;            \
    ecall

    .globl _start
_start:
    bnez a0, other
    lla t0, trap
    csrw stvec, t0
    li t0, 1 << 1 | 1 << 5 | 1 << 9
    csrw sie, t0
    li s0, 1 /* starts the others, as far as there are any */
1:  mv a0, s0
    lla a1, other
    li a2, 0
    SBI_CALL(0x48534d, 0)
    addi s0, s0, 1
    beqz a0, 1b
    li s1, ROUNDS
2:  csrci sstatus, 2 /* the timer must not be taken before wfi */
    rdtime t0
    addi t0, t0, 50
    csrw STIMECMP, t0
    wfi
    csrsi sstatus, 2
    li a0, 0
    li a1, -1
    li a2, 0
    li a3, 0
    SBI_CALL(0x52464e43, 1)
    fence.i
    li a0, 0
    li a1, -1
    SBI_CALL(0x735049, 0)
    addi s1, s1, -1
    bnez s1, 2b
    li a0, '.'
    SBI_CALL(1, 0)
    li a0, 1
    li a1, 0
    SBI_CALL(0x53525354, 0)
3:  j 3b

    .balign 4
trap:
    li t0, -1
    csrw STIMECMP, t0
    csrwi sip, 0
    sret

    .balign 4
other:
    lla t0, trap
    csrw stvec, t0
    csrwi sie, 2
    csrsi sstatus, 2
4:  li a0, 0
    li a1, -1
    SBI_CALL(0x52464e43, 0)
    lla t0, 5f
    lw t1, (t0)
    sw t1, (t0)
    fence.i
5:  addi s2, s2, 1
    li a0, 0
    SBI_CALL(0x48534d, 3)
    j 4b
