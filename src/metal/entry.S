/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Entry from firmware, traps, and accesses to guest memory.
 *
 * While a guest runs, sscratch holds its struct vcpu, whose x[0] holds the hart's stack; in HS-mode
 * sscratch is 0 and tp holds the vcpu. Ecalls, interrupts and accesses to emulated registers take
 * the short way: what C may change is saved, the rest stays in the registers. All other traps save
 * all, as do these if another vCPU may run next or a register that C keeps was loaded.
 */
#include "metal/asm.h"

#define X(n)      (VCPU_X + 8 * (n))
#define ECALL_VS  10
#define LOAD_GUEST_PAGE 21

    .option arch, +h

/*
 * Firmware: a0 hart id; HSM later: a0 hart id, a1 hart index. Translation is off,
 * so addresses are the board's until satp is set; then the fetch that faults goes on at stvec.
 */
    .section .text.start, "ax"
    .globl _start
_start:
    csrw sie, zero
    csrw sscratch, zero
    lla t0, boot_stack_end
    mv sp, t0
    mv s0, a0
    lla a0, _start
    call paging_init        /* a0: physical address of the image; returns satp */
    li s3, 0
    j to_virtual
    .globl _start_other
_start_other:
    csrw sie, zero
    csrw sscratch, zero
    mv s0, a0
    mv s2, a1
    li s3, 1
    lla t0, paging_satp
    ld a0, 0(t0)
to_virtual:
    lla t0, virtual_address /* a word that the linker filled with the virtual address of 1: */
    ld t0, 0(t0)
    csrw stvec, t0
    sfence.vma
    csrw satp, a0
    nop
    .balign 4
1:  lla t0, trap_entry
    csrw stvec, t0
    bnez s3, 2f
    lla sp, boot_stack_end
    mv a0, s0
    call boot_first
    mv s2, a0
2:  lla t0, stacks
    addi t1, s2, 1
    li t2, STACK_STRIDE
    mul t1, t1, t2
    add sp, t0, t1
    mv a0, s2
    call boot_hart
    j hart_run              /* a0: the first vCPU */

    .balign 8
virtual_address:
    .dword 1b

/* What C may change; gp and s0 to s11, which it keeps. tp: the vCPU. */
.macro each_scratch op
    \op ra, X(1)(tp)
    \op sp, X(2)(tp)
    \op t0, X(5)(tp)
    \op t1, X(6)(tp)
    \op t2, X(7)(tp)
    .irp n, 0,1,2,3,4,5,6,7
    \op a\n, X(10 + \n)(tp)
    .endr
    .irp n, 3,4,5,6
    \op t\n, X(25 + \n)(tp)
    .endr
.endm
.macro each_kept op
    \op gp, X(3)(tp)
    \op s0, X(8)(tp)
    \op s1, X(9)(tp)
    .irp n, 2,3,4,5,6,7,8,9,10,11
    \op s\n, X(16 + \n)(tp)
    .endr
.endm
.macro save_rest
    each_kept sd
    csrr t0, sepc
    sd t0, VCPU_PC(tp)
.endm

    .text
    .balign 4
    .globl trap_entry
trap_entry:
    csrrw tp, sscratch, tp
    beqz tp, trap_of_self
    each_scratch sd
    ld sp, X(0)(tp)
    csrrw t0, sscratch, zero
    sd t0, X(4)(tp)
    csrr t0, scause
    mv a0, tp
    li t1, ECALL_VS
    bne t0, t1, trap_other
    call trap_ecall
    bnez a0, trap_reschedule
trap_return:
    csrw sscratch, tp
    each_scratch ld
    ld tp, X(4)(tp)
    sret

trap_reschedule:
    save_rest
    mv a0, tp
    call hart_next
    j hart_run

trap_other:
    bgez t0, 3f
    call trap_interrupt
    beqz a0, trap_return
    j trap_reschedule
3:  andi t0, t0, ~2
    li t1, LOAD_GUEST_PAGE  /* or STORE_GUEST_PAGE, two more */
    bne t0, t1, 2f
    call trap_access
    beqz a0, trap_return
    bltz a0, 1f
    save_rest
    slli a0, a0, 3
    add a0, a0, tp
    sd a1, VCPU_X(a0)
    mv a0, tp
    call trap_settle
    j hart_run
1:  mv a0, tp
2:  save_rest
    call trap_handle

/* a0: the vCPU to run, whose CSRs are in. The hart's stack is empty. */
    .globl hart_run
hart_run:
    mv tp, a0
    sd sp, X(0)(tp)
    ld t0, VCPU_PC(tp)
    csrw sepc, t0
    each_kept ld
    j trap_return

/*
 * A trap out of HS-mode: an access to guest memory that the guest's map refused, which ends in its
 * failure; anything else is a fault of the hypervisor.
 */
trap_of_self:
    csrr t0, sepc
    lla t1, guest_access_start
    bltu t0, t1, 1f
    lla t1, guest_access_end
    bgeu t0, t1, 1f
    lla t1, guest_fetch
    bgeu t0, t1, 2f
    lla t1, guest_access_failed
    j 3f
2:  lla t1, guest_fetch_failed
3:  csrw sepc, t1
    csrrw tp, sscratch, zero
    sret
1:  csrr a0, scause
    csrr a1, sepc
    csrr a2, stval
    call panic_trap

/*
 * u64 guest_..(gva or gpa, ...): accesses as the guest that vsatp, hgatp and hstatus.SPVP name.
 * They change t0 and t1 alone beside arguments, which is what trap_of_self needs.
 */
    .balign 4
guest_access_start:
/* bool guest_copy_in(void *to, u64 from, size_t len) */
    .globl guest_copy_in
guest_copy_in:
    beqz a2, 2f
1:  hlv.bu a3, (a1)
    sb a3, 0(a0)
    addi a0, a0, 1
    addi a1, a1, 1
    addi a2, a2, -1
    bnez a2, 1b
2:  li a0, 1
    ret
/* bool guest_copy_out(u64 to, const void *from, size_t len) */
    .globl guest_copy_out
guest_copy_out:
    beqz a2, 2f
1:  lbu a3, 0(a1)
    hsv.b a3, (a0)
    addi a0, a0, 1
    addi a1, a1, 1
    addi a2, a2, -1
    bnez a2, 1b
2:  li a0, 1
    ret
/* bool guest_copy_words(u64 to, const void *from, size_t len): all multiples of 8 */
    .globl guest_copy_words
guest_copy_words:
    beqz a2, 2f
    add a2, a2, a0
1:  ld a3, 0(a1)
    hsv.d a3, (a0)
    addi a1, a1, 8
    addi a0, a0, 8
    bltu a0, a2, 1b
2:  li a0, 1
    ret
/* bool guest_zero_words(u64 to, size_t len): multiples of 8 */
    .globl guest_zero_words
guest_zero_words:
    beqz a1, 2f
    add a1, a1, a0
1:  hsv.d zero, (a0)
    addi a0, a0, 8
    bltu a0, a1, 1b
2:  li a0, 1
    ret
/* bool hstateen0_write(u64 value): refused in the same way */
    .globl hstateen0_write
hstateen0_write:
    csrw hstateen0, a0
    li a0, 1
    ret
/* s64 guest_fetch(u64 from), s64 guest_fetch_word(u64 from): as an instruction is fetched; negative
 * where it failed */
    .globl guest_fetch
guest_fetch:
    hlvx.hu a0, (a0)
    ret
    .globl guest_fetch_word
guest_fetch_word:
    hlvx.wu a0, (a0)
    ret
guest_access_end:
guest_access_failed:
    li a0, 0
    ret
guest_fetch_failed:
    li a0, -1
    ret

    .globl hfence_vvma_all
hfence_vvma_all:
    hfence.vvma
    ret
    .globl hfence_gvma_all
hfence_gvma_all:
    hfence.gvma
    ret
/* void hfence_vvma_page(gva, asid or -1) */
    .globl hfence_vvma_page
hfence_vvma_page:
    bltz a1, 1f
    hfence.vvma a0, a1
    ret
1:  hfence.vvma a0
    ret

/* void fp_save(u64 f[32], u64 *fcsr), void fp_load(const u64 f[32], const u64 *fcsr) */
    .option arch, +d
.macro each_f op
    .irp n, 0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20,21,22,23,24,25,26,27,28,29,30,31
    \op f\n, 8*\n(a0)
    .endr
.endm
    .globl fp_save
fp_save:
    each_f fsd
    frcsr t0
    sd t0, 0(a1)
    ret
    .globl fp_load
fp_load:
    each_f fld
    ld t0, 0(a1)
    fscsr t0
    ret

/*
 * void vector_save(u8 *registers, u64 csr[4]), void vector_load(const u8 *registers, const u64 csr[4]): 32 * vlenb bytes;
 * vstart, vl, vtype, vcsr. Moves of whole registers heed vstart, and leave 0
 * there; the hart may keep what was saved.
 */
    .option arch, +v
    .globl vector_save
vector_save:
    csrr t0, vstart
    csrr t1, vl
    csrr t2, vtype
    csrr t3, vcsr
    sd t0, 0(a1)
    sd t1, 8(a1)
    sd t2, 16(a1)
    sd t3, 24(a1)
    csrw vstart, zero
    csrr t1, vlenb
    slli t1, t1, 3
    .irp n, 0,8,16,24
    vs8r.v v\n, (a0)
    add a0, a0, t1
    .endr
    csrw vstart, t0
    ret
    .globl vector_load
vector_load:
    csrw vstart, zero
    csrr t0, vlenb
    slli t0, t0, 3
    .irp n, 0,8,16,24
    vl8re8.v v\n, (a0)
    add a0, a0, t0
    .endr
    ld t0, 0(a1)
    ld t1, 8(a1)
    ld t2, 16(a1)
    ld t3, 24(a1)
    vsetvl zero, t1, t2
    csrw vstart, t0
    csrw vcsr, t3
    ret

    .bss
    .balign 16
boot_stack:
    .skip 8192
boot_stack_end:
