/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Guest memory: the RAM and ROM of a guest-physical address space, reached with bounds checked.
 *
 * Bytes are copied once, then validated by the caller; no pointer into guest memory outlives a
 * check. The guest's harts run meanwhile and may change any byte at any time.
 */
#ifndef COSM_PORT_GMEM_H
#define COSM_PORT_GMEM_H

#include "base/checked.h"
#include "base/endian.h"

#include <stdatomic.h>

#define GMEM_REGIONS_MAX 8

struct gmem_region {
    gpa_t base; /* multiple of 4096 */
    u64 size;   /* bytes, multiple of 4096; base + size does not wrap */
    u8 *host;   /* owned by whoever built the map; outlives it */
    bool readonly;
};

struct gmem {
    struct gmem_region region[GMEM_REGIONS_MAX]; /* disjoint; fixed once harts run */
    u32 count;
    /* Told after a device wrote [gpa, gpa + len) so that decoded code is dropped; may be NULL. */
    void (*written)(void *ctx, gpa_t gpa, u64 len);
    /* Told before much of [gpa, gpa + len) is written, or a hart may reach it directly, so that the
     * host can have it in large pieces; any thread; may be NULL. */
    void (*reached)(void *ctx, gpa_t gpa, u64 len);
    /* The host is to take [gpa, gpa + len) back: it is zeros from now on. False: it stays as it is.
     * Any thread; may be NULL. */
    bool (*discard)(void *ctx, gpa_t gpa, u64 len);
    void *ctx;
};

static inline void gmem_reach(const struct gmem *gmem, gpa_t gpa, u64 len)
{
    if (gmem->reached)
        gmem->reached(gmem->ctx, gpa, len);
}

/* The region that holds all of [gpa, gpa + len), or NULL. */
static inline const struct gmem_region *gmem_find(const struct gmem *gmem, gpa_t gpa, u64 len)
{
    for (u32 i = 0; i < gmem->count; i++) {
        const struct gmem_region *r = &gmem->region[i];
        if (range_within(gpa, len, r->base, r->size))
            return r;
    }
    return NULL;
}

/* Can [gpa, gpa + len) be read (and, if write, written) as memory? */
static inline bool gmem_is_valid(const struct gmem *gmem, gpa_t gpa, u64 len, bool write)
{
    const struct gmem_region *r = gmem_find(gmem, gpa, len);

    return r && !(write && r->readonly);
}

/*
 * Copies between guest memory and buf. False, nothing copied: not all of the range is memory. The
 * guest may write there meanwhile; what was read is the copy, which the compiler does not read anew
 * from the guest's memory after it has been checked.
 */
static inline MUST_CHECK bool gmem_read(const struct gmem *gmem, gpa_t gpa, void *buf, u64 len)
{
    const struct gmem_region *r = gmem_find(gmem, gpa, len);

    if (!r)
        return false;
    __builtin_memcpy(buf, r->host + (gpa - r->base), len);
    __asm__ volatile("" ::: "memory");
    return true;
}

static inline MUST_CHECK bool gmem_write(const struct gmem *gmem, gpa_t gpa, const void *buf,
                                         u64 len)
{
    const struct gmem_region *r = gmem_find(gmem, gpa, len);

    if (!r || r->readonly)
        return false;
    __builtin_memcpy(r->host + (gpa - r->base), buf, len);
    if (gmem->written)
        gmem->written(gmem->ctx, gpa, len);
    return true;
}

/*
 * The guest has no use for what [gpa, gpa + len) holds, whole pages of 4096: to its harts they
 * become zeros, as if a device had written them. False: they stay, or it is not all memory to be
 * written.
 */
static inline bool gmem_discard(const struct gmem *gmem, gpa_t gpa, u64 len)
{
    if (!gmem->discard || !gmem_is_valid(gmem, gpa, len, true) ||
        !gmem->discard(gmem->ctx, gpa, len))
        return false;
    if (gmem->written)
        gmem->written(gmem->ctx, gpa, len);
    return true;
}

/*
 * Single-copy atomic accesses for what guest and device share (ring indices, flags): naturally
 * aligned, acquire on load, release on store. False: misaligned or not memory.
 */
static inline MUST_CHECK bool gmem_load16_acquire(const struct gmem *gmem, gpa_t gpa, u16 *v)
{
    const struct gmem_region *r = gmem_find(gmem, gpa, 2);

    if (!r || gpa % 2)
        return false;
    *v = __atomic_load_n((const u16 *)(const void *)(r->host + (gpa - r->base)), __ATOMIC_ACQUIRE);
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
    *v = __builtin_bswap16(*v);
#endif
    return true;
}

static inline MUST_CHECK bool gmem_store16_release(const struct gmem *gmem, gpa_t gpa, u16 v)
{
    const struct gmem_region *r = gmem_find(gmem, gpa, 2);

    if (!r || r->readonly || gpa % 2)
        return false;
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
    v = __builtin_bswap16(v);
#endif
    __atomic_store_n((u16 *)(void *)(r->host + (gpa - r->base)), v, __ATOMIC_RELEASE);
    if (gmem->written)
        gmem->written(gmem->ctx, gpa, 2);
    return true;
}

#endif
