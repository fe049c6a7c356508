/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Entry of all harts, and the switch between a test in C and the code under test.
 *
 * run() saves the caller, loads all registers from a struct ctx and leaves by MRET; whatever trap
 * comes to M-mode next stores them back, records the trap and returns from run(). mscratch holds
 * the ctx meanwhile, 0 otherwise: then a trap is a failure of the test program itself.
 */
#define STACK_SHIFT 14

#define CTX_PC     256
#define CTX_CAUSE  264
#define CTX_TVAL   272
#define CTX_EPC    280
#define CTX_STATUS 288
#define CTX_VECTOR 296
#define CTX_SAVED  304

    .section .text.start, "ax"
    .globl _start
_start:
    csrr t0, mhartid
    la sp, stacks
    addi t1, t0, 1
    slli t1, t1, STACK_SHIFT
    add sp, sp, t1
    mv tp, t0
    la t1, m_trap
    csrw mtvec, t1
    csrw mscratch, zero
    csrw mie, zero
    li t1, 6 << 12 /* FS: dirty at once, so that it does not change under comparisons */
    csrs mstatus, t1
    li t1, -1
    csrw pmpaddr15, t1
    li t1, 0x1f << 56
    csrw pmpcfg2, t1
    bnez t0, 1f
    call priv_boot
1:  mv a0, tp
    call priv_idle
    j 1b

    .text
    .globl run
    .balign 4
run: /* (struct ctx *a0, priv a1, interrupts enabled a2) */
    .set i, 0
    .irp reg, ra, sp, gp, tp, s0, s1, s2, s3, s4, s5, s6, s7, s8, s9, s10, s11
    sd \reg, CTX_SAVED + 8 * i(a0)
    .set i, i + 1
    .endr
    csrw mscratch, a0
    li t0, 0x1880 /* MPP, MPIE */
    csrc mstatus, t0
    slli t1, a1, 11
    beqz a2, 1f
    ori t1, t1, 0x80
1:  csrs mstatus, t1
    ld t0, CTX_PC(a0)
    csrw mepc, t0
    .irp n, 1, 2, 3, 4, 5, 6, 7, 8, 9, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30, 31, 10
    ld x\n, 8 * \n(a0)
    .endr
    mret

    /* The table for vectored mode; entry 0 serves direct mode as well. */
    .balign 256
    .globl m_vectors, m_trap
m_vectors:
m_trap:
    .irp n, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15
    .option push
    .option norvc
    j vector_\n
    .option pop
    .endr
    .irp n, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15
vector_\n:
    csrrw a0, mscratch, a0
    beqz a0, stray
    sd x5, 8 * 5(a0)
    li x5, \n
    sd x5, CTX_VECTOR(a0)
    j trapped
    .endr

trapped:
    .irp n, 1, 2, 3, 4, 6, 7, 8, 9, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30, 31
    sd x\n, 8 * \n(a0)
    .endr
    csrrw t0, mscratch, zero
    sd t0, 8 * 10(a0)
    csrr t0, mcause
    sd t0, CTX_CAUSE(a0)
    csrr t0, mtval
    sd t0, CTX_TVAL(a0)
    csrr t0, mepc
    sd t0, CTX_EPC(a0)
    csrr t0, mstatus
    sd t0, CTX_STATUS(a0)
    li t0, 1 << 17 /* MPRV */
    csrc mstatus, t0
    .set i, 0
    .irp reg, ra, sp, gp, tp, s0, s1, s2, s3, s4, s5, s6, s7, s8, s9, s10, s11
    ld \reg, CTX_SAVED + 8 * i(a0)
    .set i, i + 1
    .endr
    ret

stray:
    csrr a0, mcause
    csrr a1, mepc
    csrr a2, mtval
    call priv_stray
1:  j 1b

    /* Where delegated traps go: each vector tells M-mode by an ECALL, sepc and so on untouched. */
    .balign 256
    .globl s_vectors
s_vectors:
    .rept 64
    .option push
    .option norvc
    ecall
    .option pop
    .endr

    .bss
    .balign 16
stacks:
    .skip 8 << STACK_SHIFT
