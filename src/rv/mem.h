/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Loads, stores and atomics of a hart by virtual address: the software TLB first, then the walk.
 *
 * One comparison decides: an entry's tag equals the page and alignment bits of the address only if
 * the page may be accessed in this mode and the access is aligned. All else takes the slow path:
 * misses, misaligned and page-crossing accesses, devices, pages with code, watched pages, faults.
 * Translated code, whose host makes misaligned accesses, compares as tlb_serves does.
 */
#ifndef COSM_RV_MEM_H
#define COSM_RV_MEM_H

#include "rv/hart.h"

/* size: 1, 2, 4 or 8. False: exception, hart->trap set, nothing stored; but CAUSE_ATTEND says that
 * a store is done. Devices see pc and insns of the instruction: both must be up to date. */
MUST_CHECK bool mem_load_slow(struct hart *hart, gva_t va, unsigned size, u64 *value);
MUST_CHECK bool mem_store_slow(struct hart *hart, gva_t va, unsigned size, u64 value);

/*
 * Host address of size naturally aligned bytes (up to 16) of RAM, for LR (ACCESS_READ) and SC, AMO
 * (ACCESS_WRITE); NULL: exception, hart->trap set. After writing through it with *code set the
 * caller must call mem_wrote.
 */
void *mem_pointer(struct hart *hart, gva_t va, unsigned size, enum access acc, bool *code);
void mem_wrote(struct hart *hart, const void *pointer, unsigned size);

/* HLVX: the same as mem_load of what may be executed, between mmu_lend and mmu_take_back. */
MUST_CHECK bool mem_load_code(struct hart *hart, gva_t va, unsigned size, u64 *value);

/* Checks that size bytes at va, within a page, may be accessed; for cache-block operations. */
MUST_CHECK bool mem_probe(struct hart *hart, gva_t va, unsigned size, enum access acc);

/* Fills the TLB as an access to the byte at va would; nothing is raised. */
void mem_fill(struct hart *hart, gva_t va, enum access acc);

/* What the TLB may hold of va's page as things are, without an access to it. False: nothing. */
MUST_CHECK bool mem_foresee(struct hart *hart, gva_t va, struct tlb_fill *fill);

/* Stores zeros to size bytes, a multiple of 8, at va, a multiple of 8, within a page. False: not
 * through the TLB, nothing stored. */
MUST_CHECK bool mem_zero_fast(struct hart *hart, gva_t va, unsigned size);

/* Drops own write entries of gpa's page, which is to hold code. */
void mem_protect(struct hart *hart, gpa_t gpa);

/* The same on behalf of others (ATTN_PROTECT): publishes that it is done. */
void mem_attend_protect(struct hart *hart);

/* Guest accesses race by nature: relaxed atomics give them single-copy atomicity. */
static inline u64 host_load(const void *p, unsigned size)
{
    switch (size) {
    case 1:
        return __atomic_load_n((const u8 *)p, __ATOMIC_RELAXED);
    case 2:
        return __atomic_load_n((const u16 *)p, __ATOMIC_RELAXED);
    case 4:
        return __atomic_load_n((const u32 *)p, __ATOMIC_RELAXED);
    default:
        return __atomic_load_n((const u64 *)p, __ATOMIC_RELAXED);
    }
}

static inline void host_store(void *p, unsigned size, u64 value)
{
    switch (size) {
    case 1:
        __atomic_store_n((u8 *)p, (u8)value, __ATOMIC_RELAXED);
        break;
    case 2:
        __atomic_store_n((u16 *)p, (u16)value, __ATOMIC_RELAXED);
        break;
    case 4:
        __atomic_store_n((u32 *)p, (u32)value, __ATOMIC_RELAXED);
        break;
    default:
        __atomic_store_n((u64 *)p, value, __ATOMIC_RELAXED);
    }
}

/* False: not through the TLB; mem_load_slow knows more. */
static inline bool mem_load_fast(struct hart *hart, gva_t va, unsigned size, u64 *value)
{
    const struct tlb_entry *e = &hart->data_tlb->read[tlb_index(va)];

    if (UNLIKELY((va & (PAGE_MASK | (size - 1))) != e->tag))
        return false;
    *value = host_load((const void *)(uintptr_t)(va + e->addend), size);
    return true;
}

static inline bool mem_store_fast(struct hart *hart, gva_t va, unsigned size, u64 value)
{
    const struct tlb_entry *e = &hart->data_tlb->write[tlb_index(va)];

    if (UNLIKELY((va & (PAGE_MASK | (size - 1))) != e->tag))
        return false;
    host_store((void *)(uintptr_t)(va + e->addend), size, value);
    return true;
}

static inline bool mem_load(struct hart *hart, gva_t va, unsigned size, u64 *value)
{
    return mem_load_fast(hart, va, size, value) || mem_load_slow(hart, va, size, value);
}

static inline bool mem_store(struct hart *hart, gva_t va, unsigned size, u64 value)
{
    return mem_store_fast(hart, va, size, value) || mem_store_slow(hart, va, size, value);
}

#endif
