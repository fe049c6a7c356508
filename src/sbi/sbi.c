/* SPDX-License-Identifier: BSD-2-Clause */
/* SBI dispatch: finds the extension that an ecall names and lets it answer. */
#include "sbi/sbi.h"

#include "base/assert.h"
#include "base/bits.h"
#include "base/mem.h"
#include "sbi/state.h"

bool sbi_probe(const struct sbi *sbi, u64 id)
{
    switch (id) {
#define SBI_EXTENSION(name, eid) \
    case eid:                    \
        return true;
#define SBI_SELDOM SBI_EXTENSION
#define SBI_OPTIONAL(name, first, last) \
    case first ... last:                \
        return sbi_##name##_probe(sbi, id);
#include SBI_EXTENSIONS
#undef SBI_EXTENSION
#undef SBI_SELDOM
#undef SBI_OPTIONAL
    default:
        return false;
    }
}

static bool hart_is_stopped(const struct sbi *sbi, u32 hart)
{
    /* Pairs with the release in sbi_hart_stopped. */
    return atomic_load_explicit(&sbi->hart[hart].state, memory_order_acquire) == HSM_STOPPED;
}

bool sbi_hart_mask(const struct sbi *sbi, u64 mask, u64 base, u64 *harts)
{
    u64 all = GENMASK(sbi->hart_count - 1, 0);
    u64 named;

    if (base == UINT64_MAX)
        named = all;
    else if (!mask)
        named = 0;
    else if (base >= sbi->hart_count || mask & ~(all >> base))
        return false;
    else
        named = mask << base;
    *harts = 0;
    for (u32 i = 0; i < sbi->hart_count; i++) {
        if (named & BIT(i) && !hart_is_stopped(sbi, i))
            *harts |= BIT(i);
    }
    return true;
}

size_t sbi_size(u32 hart_count)
{
    return sizeof(struct sbi) + hart_count * sizeof(struct sbi_hart);
}

void sbi_init(struct sbi *sbi, const struct sbi_platform *platform, void *ctx,
              const struct log *log, u32 hart_count, u32 boot_hart)
{
    ASSERT(hart_count > 0 && hart_count <= SBI_HARTS_MAX && boot_hart < hart_count);
    ASSERT(platform->counter_count <= SBI_HW_COUNTERS_MAX);
    memset(sbi, 0, sbi_size(hart_count));
    sbi->platform = platform;
    sbi->ctx = ctx;
    sbi->log = log;
    sbi->hart_count = hart_count;
    for (u32 i = 0; i < hart_count; i++)
        atomic_init(&sbi->hart[i].state, i == boot_hart ? HSM_STARTED : HSM_STOPPED);
}

static struct sbi_ret unknown(struct sbi *sbi, u32 hart, const struct sbi_call *call)
{
    log_guest(sbi->log, &sbi->unknown_limit, "sbi",
              "hart %u calls extension 0x%llx function 0x%llx, which is not provided", hart,
              (unsigned long long)call->ext, (unsigned long long)call->func);
    return sbi_fail(SBI_ERR_NOT_SUPPORTED);
}

/* Apart from those that are called often, which so are found in fewer steps. */
static NOINLINE COLD struct sbi_ret serve_seldom(struct sbi *sbi, u32 hart,
                                                 const struct sbi_call *call)
{
    switch (call->ext) {
#define SBI_EXTENSION(name, eid)
#define SBI_SELDOM(name, eid) \
    case eid:                 \
        return sbi_##name##_serve(sbi, hart, call);
#define SBI_OPTIONAL(name, first, last)          \
    case first ... last:                         \
        if (!sbi_##name##_probe(sbi, call->ext)) \
            break;                               \
        return sbi_##name##_serve(sbi, hart, call);
#include SBI_EXTENSIONS
#undef SBI_EXTENSION
#undef SBI_SELDOM
#undef SBI_OPTIONAL
    default:
        break;
    }
    return unknown(sbi, hart, call);
}

/*
 * Apart from sbi_ecall, which so needs no stack: every hypercall goes through here. Those in front
 * of the list are found first.
 */
static NOINLINE struct sbi_ret serve(struct sbi *sbi, u32 hart, const struct sbi_call *call)
{
#define SBI_EXTENSION(name, eid) \
    if (call->ext == (eid))      \
        return sbi_##name##_serve(sbi, hart, call);
#define SBI_SELDOM(name, eid)
#define SBI_OPTIONAL(name, first, last)
#include SBI_EXTENSIONS
#undef SBI_EXTENSION
#undef SBI_SELDOM
#undef SBI_OPTIONAL
    return serve_seldom(sbi, hart, call);
}

static NOINLINE struct sbi_ret serve_first(struct sbi *sbi, u32 hart, const struct sbi_call *call)
{
    hsm_note_running(sbi, hart);
    return serve(sbi, hart, call);
}

struct sbi_ret sbi_ecall(struct sbi *sbi, u32 hart, const struct sbi_call *call)
{
    ASSERT(hart < sbi->hart_count);
    if (UNLIKELY(atomic_load_explicit(&sbi->hart[hart].state, memory_order_relaxed) != HSM_STARTED))
        return serve_first(sbi, hart, call);
    return serve(sbi, hart, call);
}
