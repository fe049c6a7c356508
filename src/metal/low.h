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
/* 16 bits, or 32 at a multiple of 4, as an instruction is fetched; < 0: refused. */
s64 guest_fetch(u64 from);
s64 guest_fetch_word(u64 from);

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

/* What became of an access: */
struct emulated {
    s64 reg; /* 0: done; 1..32: save the rest, then x[reg] is value; < 0: not done */
    u64 value;
};

/* Called by entry.S. */
u32 boot_first(u64 hart_id);       /* the boot hart, once; returns its index */
struct vcpu *boot_hart(u32 index); /* every hart, once */
/* The rest of a guest's registers is where it was, none of it in v->x. True: then hart_next. */
bool trap_ecall(struct vcpu *v);
bool trap_interrupt(struct vcpu *v);
/* Likewise; a load or store of guest-physical addresses that are not mapped. */
struct emulated trap_access(struct vcpu *v);
/* All registers are in v->x. These return who runs next: after trap_access; any other trap. */
struct vcpu *trap_settle(struct vcpu *v);
struct vcpu *trap_handle(struct vcpu *v);
NORETURN void panic_trap(u64 cause, u64 pc, u64 tval); /* the hypervisor's own fault */

#endif
