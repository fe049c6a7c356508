/* SPDX-License-Identifier: BSD-2-Clause */
/* What entry.S provides to C, and what it calls. */
#ifndef COSM_METAL_LOW_H
#define COSM_METAL_LOW_H

#include "metal/state.h"

/*
 * Copies by the guest's own translation: hgatp, vsatp and hstatus.SPVP of the hart as they are.
 * False: it refused; then sepc, scause, sstatus and hstatus are those of that trap.
 * guest_copy_words and guest_zero_words take multiples of 8 only.
 */
bool guest_copy_in(void *to, u64 from, size_t len);
bool guest_copy_out(u64 to, const void *from, size_t len);
bool guest_copy_words(u64 to, const void *from, size_t len);
bool guest_zero_words(u64 to, size_t len);
s64 guest_fetch(u64 from); /* 16 bits, as an instruction is fetched; < 0: refused */

bool hstateen0_write(u64 value); /* false: the hart has no such CSR for HS-mode */

void hfence_vvma_all(void);
void hfence_gvma_all(void);
void hfence_vvma_page(gva_t gva, s64 asid); /* asid < 0: all */

void fp_save(u64 f[32], u64 *fcsr);
void fp_load(const u64 f[32], const u64 *fcsr);
/* sstatus.VS is on. csr: vstart, vl, vtype, vcsr. What is saved stays in the hart, too. */
void vector_save(u8 *registers, u64 csr[4]);
void vector_load(const u8 *registers, const u64 csr[4]);

/* link.ld: the core's end, behind which vector registers are kept if the configuration has some. */
extern u8 image_end[];

/* Where another hart begins after HSM's hart_start, with its index in a1; a physical address is
 * needed. */
void _start_other(void);

/* Called by entry.S. */
u32 boot_first(u64 hart_id);                           /* the boot hart, once; returns its index */
struct vcpu *boot_hart(u32 index);                     /* every hart, once */
bool trap_ecall(struct vcpu *v);                       /* true: then hart_next */
struct vcpu *trap_handle(struct vcpu *v);              /* any other trap; returns who runs next */
NORETURN void panic_trap(u64 cause, u64 pc, u64 tval); /* the hypervisor's own fault */

#endif
