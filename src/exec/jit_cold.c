/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Code that runs for the first time, without being translated. A third of the blocks of a kernel's
 * start run once only: to interpret one costs a tenth of its translation, and takes no room.
 */
#include "exec/jit_impl.h"

#include "base/endian.h"
#include "rv/run_insn.h"

#include <string.h>

#define COLD_BYTES  128  /* interpreted at a time, at most, */
#define GUARD_BYTES 1024 /* or where so many instructions are asked for */

bool jit_is_new(struct jit *jit, const struct jit_page *page, u32 key)
{
    const u32 name = page->name << 12 ^ key; /* another entry may have it: no harm */
    _Atomic u32 *met = &jit->met[name * 0x9e3779b1u >> 16];

    if (key >= LAST_HALF || atomic_load_explicit(met, memory_order_relaxed) == name)
        return false;
    atomic_store_explicit(met, name, memory_order_relaxed);
    return true;
}

/* Copies what is there, as a translation would be made of it; 0: the page was dropped. */
static u32 take(struct jit *jit, const struct jit_page *page, u32 offset, u8 *bytes, u32 most)
{
    u32 size = PAGE_SIZE - offset < most ? PAGE_SIZE - offset : most;

    pthread_mutex_lock(&jit->lock);
    if (page->dropped)
        size = 0;
    else
        jit_page_mark(jit, page, offset, size);
    for (u32 i = 0; i < size; i += 2) {
        const u16 *half = (const void *)(page->bytes + offset + i);
        le16_store(bytes + i, __atomic_load_n(half, __ATOMIC_RELAXED));
    }
    pthread_mutex_unlock(&jit->lock);
    return size;
}

/* The engine is left by these, as translated code does. */
static bool leaves(u64 insn)
{
    switch (insn_op(insn)) {
    case OP_wfi:
    case OP_pause:
    case OP_wrs_nto:
    case OP_wrs_sto:
        return true;
    default:
        return false;
    }
}

/* The instruction at bytes; 0: it is not there whole, or not for here. */
static u64 fetch(const struct isa *isa, const u8 *bytes, u32 left)
{
    u32 raw;
    u64 insn;

    if (left < 2)
        return 0;
    raw = le16_load(bytes);
    if (insn_is_long(raw)) {
        if (left < 4)
            return 0;
        raw |= (u32)le16_load(bytes + 2) << 16;
    }
    insn = decode(isa, raw);
    return leaves(insn) ? 0 : insn;
}

enum cold jit_run_cold(struct jit_hart *h, struct jit_page *page, u32 key, u32 insns)
{
    struct hart *hart = h->hart;
    u8 bytes[GUARD_BYTES];
    u32 most = insns == COLD_ALL ? COLD_BYTES : insns <= GUARD_BYTES / 4 ? 4 * insns : GUARD_BYTES;
    u32 size = take(h->jit, page, key, bytes, most), at = 0;
    u64 insn;

    for (; insns && (insn = fetch(&hart->isa, bytes + at, size - at)); insns--) {
        const gva_t pc = hart->pc;
        enum run_result result = run_insn(hart, insn);
        if (result == RUN_FAULT)
            return COLD_FAULT;
        hart->insns++;
        if (insn_op(insn) == OP_jalr && !insn_is_return(insn))
            jit_target_note(h, pc, hart->pc);
        if (result == RUN_LEFT)
            return COLD_RAN;
        hart->pc += insn_len(insn);
        at += insn_len(insn);
    }
    return at ? COLD_RAN : COLD_NOTHING;
}
