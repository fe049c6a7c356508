/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Address translation Sv39, Sv48, Sv57 with Svade/Svadu, Svnapot, Svpbmt (Privileged Architecture,
 * chapter 10 "Supervisor-Level ISA"), and that of guests in two stages (chapter "H" Extension,
 * "Two-Stage Address Translation"). A priv below is a mode: with PRIV_VIRT a guest's. Physical
 * memory protection is in rv/pmp.h.
 */
#ifndef COSM_RV_MMU_H
#define COSM_RV_MMU_H

#include "rv/hart.h"

/* Where a virtual address leads. */
struct mmu_page {
    gpa_t gpa;       /* of the address asked for */
    bool readable;   /* without another walk, i.e. for a TLB entry of this mode: data reads, */
    bool writable;   /* writes (W and D set), */
    bool executable; /* fetches */
    bool whole;      /* PMP says the same of the whole 4 KiB page: may be cached */
    bool global;     /* in all address spaces */
};

/*
 * Translates va for access acc made with privilege priv (data: the effective one, see
 * mmu_data_priv). size bytes (1..8, within the page) are checked against PMP. Sets A and D by
 * atomic compare-and-swap where ADUE says so. False: hart->trap holds the page or access fault
 * with tval = va.
 */
MUST_CHECK bool mmu_translate(struct hart *hart, gva_t va, u64 size, enum access acc,
                              enum priv priv, struct mmu_page *page);

/* What an access to va in mode priv would find and could do as things are: no fault, no A or D
 * update. False: nothing, or not all of the page the same. */
MUST_CHECK bool mmu_foresees(struct hart *hart, gva_t va, enum priv priv, struct mmu_page *page);

/* For debuggers: no faults, no A/D updates, no PMP. False: not mapped. */
MUST_CHECK bool mmu_peek(struct hart *hart, gva_t va, gpa_t *gpa);

/* Mode of loads and stores: MPP and MPV under MPRV. */
enum priv mmu_data_priv(const struct hart *hart);

/* Points hart->data_tlb at the table of the current mode; after priv, MPRV, MPP or SUM changed. */
void mmu_update_mode(struct hart *hart);

/*
 * Drops the translations that satp governs: those of U, S and S with SUM, or while V is 1 those of
 * VU and VS. mmu_flush_data leaves
 * those of fetches alone, as MXR does not touch them; mmu_flush_space those of global pages.
 */
void mmu_flush_supervisor(struct hart *hart);
void mmu_flush_data(struct hart *hart);
void mmu_flush_space(struct hart *hart, u64 asid);
/* satp has changed; all: its mode, too. */
void mmu_switch_space(struct hart *hart, bool all);

/* While V is 0: drops guests' translations; vsatp, hgatp or what else governs them has changed. */
void mmu_flush_guest(struct hart *hart);

/* Between these, data is accessed with a guest's privilege (VU, VS) though V is 0, by no translated
 * code. */
void mmu_lend(struct hart *hart, enum priv priv);
void mmu_take_back(struct hart *hart);

/* Drops cached translations, of data and code: all, or those of the page that holds va (all modes).
 */
void mmu_flush(struct hart *hart);
void mmu_flush_page(struct hart *hart, gva_t va);

#endif
