/* SPDX-License-Identifier: BSD-2-Clause */
/* Entry of all harts, and of all traps. */
#define STACK_SHIFT 14
#define HARTS       8

#define HART_KERNEL_SP  0 /* struct hart */
#define HART_USER_SP    8
#define HART_ATTEMPT_SP 16

#define FRAME_EPC    256 /* struct trap_frame */
#define FRAME_STATUS 264
#define FRAME_FP     272
#define FRAME_BYTES  448

    .section .text.start, "ax"
    .globl _start
_start: /* a0: hart, a1: device tree. Memory is as it was left: .bss may hold anything. */
    csrw sie, zero
    csrw satp, zero
    la t0, bss_start
    la t1, bss_end
1:  bgeu t0, t1, 2f
    sd zero, (t0)
    addi t0, t0, 8
    j 1b
2:  mv s0, a0
    mv s1, a1
    call hart_setup
    mv a0, s0
    mv a1, s1
    call guest_begin
    li a0, 0
    call guest_end

    .globl hart_entry
hart_entry: /* Another hart, started by the SBI. a0: hart, a1: struct hart */
    csrw sie, zero
    csrw satp, zero
    call hart_setup
    call hart_run
1:  wfi
    j 1b

hart_setup: /* (hart): sets sp, tp, traps; keeps a0 */
    li t0, HARTS - 1
    bgtu a0, t0, 1f
    la sp, stacks
    addi t0, a0, 1
    slli t0, t0, STACK_SHIFT
    add sp, sp, t0
    la tp, harts
    la t0, hart_bytes
    ld t0, (t0)
    mul t0, t0, a0
    add tp, tp, t0
    csrw sscratch, zero
    la t0, trap_entry
    csrw stvec, t0
    li t0, 1 << 13 /* FS: initial */
    csrs sstatus, t0
    ret
1:  wfi /* more harts than this program has stacks for */
    j 1b

    /* sscratch is 0 in S-mode, and points to struct hart in U-mode. */
    .text
    .balign 4
trap_entry:
    csrrw tp, sscratch, tp
    bnez tp, 1f
    csrr tp, sscratch
    sd sp, HART_USER_SP(tp)
    addi sp, sp, -FRAME_BYTES
    j 2f
1:  sd sp, HART_USER_SP(tp)
    ld sp, HART_KERNEL_SP(tp)
    addi sp, sp, -FRAME_BYTES
2:
    .irp n, 1, 3, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30, 31
    sd x\n, 8 * \n(sp)
    .endr
    ld t0, HART_USER_SP(tp)
    sd t0, 8 * 2(sp)
    csrrw t0, sscratch, zero
    sd t0, 8 * 4(sp)
    csrr t0, sepc
    sd t0, FRAME_EPC(sp)
    csrr s0, sstatus
    sd s0, FRAME_STATUS(sp)
    bgez s0, 3f /* SD: FP registers hold something that only they hold */
    .irp n, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11
    fsd ft\n, FRAME_FP + 8 * \n(sp)
    .endr
    .irp n, 0, 1, 2, 3, 4, 5, 6, 7
    fsd fa\n, FRAME_FP + 8 * (12 + \n)(sp)
    .endr
    csrr t0, fcsr
    sd t0, FRAME_FP + 8 * 20(sp)
3:  mv a0, sp
    csrr a1, scause
    csrr a2, stval
    call trap_dispatch
    bgez s0, 4f
    .irp n, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11
    fld ft\n, FRAME_FP + 8 * \n(sp)
    .endr
    .irp n, 0, 1, 2, 3, 4, 5, 6, 7
    fld fa\n, FRAME_FP + 8 * (12 + \n)(sp)
    .endr
    ld t0, FRAME_FP + 8 * 20(sp)
    csrw fcsr, t0
4:  ld t0, FRAME_STATUS(sp)
    csrw sstatus, t0
    ld t1, FRAME_EPC(sp)
    csrw sepc, t1
    andi t0, t0, 1 << 8 /* SPP */
    bnez t0, 5f
    csrw sscratch, tp
5:  .irp n, 1, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30, 31
    ld x\n, 8 * \n(sp)
    .endr
    ld sp, 8 * 2(sp)
    sret

    /* Attempts: what a call has to keep lies on the stack, and trap_dispatch comes back to
     * attempt_ended with that stack. */
    .macro attempt_save
    addi sp, sp, -128
    .set i, 0
    .irp reg, ra, gp, tp, s0, s1, s2, s3, s4, s5, s6, s7, s8, s9, s10, s11
    sd \reg, 8 * i(sp)
    .set i, i + 1
    .endr
    sd sp, HART_ATTEMPT_SP(tp)
    .endm

    .globl attempt_call, attempt_user_call, attempt_ended
attempt_call: /* (function, argument) */
    attempt_save
    mv t0, a0
    mv a0, a1
    jalr t0
    j attempt_ended

attempt_user_call: /* (pc, sp, argument) */
    attempt_save
    sd sp, HART_KERNEL_SP(tp)
    csrw sepc, a0
    li t0, 1 << 8 | 1 << 5 /* SPP: user; SPIE: as S-mode has it off */
    csrc sstatus, t0
    csrw sscratch, tp
    mv a0, a2
    mv sp, a1
    sret

attempt_ended:
    .set i, 0
    .irp reg, ra, gp, tp, s0, s1, s2, s3, s4, s5, s6, s7, s8, s9, s10, s11
    ld \reg, 8 * i(sp)
    .set i, i + 1
    .endr
    addi sp, sp, 128
    sd zero, HART_ATTEMPT_SP(tp)
    ret

    .section .bss.stacks, "aw", @nobits
    .balign 16
    .globl stacks
stacks:
    .skip HARTS << STACK_SHIFT
