/* SPDX-License-Identifier: BSD-2-Clause */
/* Fuzzes the APLIC that partitions of cosm-metal see: any accesses and wires; what it tells the
 * board is in bounds, and no level that is low is pending (libFuzzer). */
#include "metal/vaplic.h"

#include "base/bits.h"
#include "base/endian.h"
#include "tests/assert.h"

#define SETIP     0x1c00
#define CLRIP     0x1d00
#define TARGET    0x3000
#define LEVEL_1   6
#define BY_NUMBER 0xdc
#define RECORD    10 /* bytes */

int LLVMFuzzerTestOneInput(const u8 *data, size_t size);

struct world {
    struct vaplic aplic;
    u64 wired, active, pending, input;
};

static void send(void *ctx, u32 vcpu, u32 eiid)
{
    const struct world *w = ctx;

    ASSERT(vcpu < w->aplic.vcpus && eiid < 2048);
}

static void wired_set(void *ctx, u32 source, enum vaplic_wired what, u32 value)
{
    struct world *w = ctx;

    ASSERT(source < METAL_SOURCES_MAX && w->wired & BIT(source));
    switch (what) {
    case VAPLIC_MODE:
        ASSERT(value < 8 && value != 2 && value != 3);
        w->active = bits_merge(w->active, BIT(source), value ? BIT(source) : 0);
        break;
    case VAPLIC_TARGET:
        ASSERT(value >> 18 < w->aplic.vcpus && !(value & 0x3f800));
        break;
    case VAPLIC_ENABLE:
        ASSERT(value <= 1 && (!value || w->active & BIT(source)));
        break;
    default:
        ASSERT(what == VAPLIC_PENDING && value <= 1);
        w->pending = bits_merge(w->pending, BIT(source), value ? BIT(source) : 0);
        break;
    }
}

static bool wired_get(void *ctx, u32 source, enum vaplic_wired what)
{
    const struct world *w = ctx;

    ASSERT(source < METAL_SOURCES_MAX && w->wired & BIT(source));
    return (what == VAPLIC_INPUT ? w->input : w->pending) & BIT(source);
}

static void check(const struct world *w)
{
    for (u32 i = 1; i < METAL_SOURCES_MAX; i++) {
        u32 bit = 1u << i % 32, word = i / 32 * 4;
        bool pending = vaplic_read(&w->aplic, SETIP + word) & bit;

        ASSERT(i <= w->aplic.sources || !vaplic_read(&w->aplic, 4 * i));
        ASSERT(vaplic_read(&w->aplic, 4 * i) ||
               (!pending && !vaplic_read(&w->aplic, TARGET + 4 * i)));
        if (vaplic_read(&w->aplic, 4 * i) >= LEVEL_1 && !(w->wired & BIT(i)))
            ASSERT(!pending || vaplic_read(&w->aplic, CLRIP + word) & bit);
    }
}

static void write(struct world *w, u64 offset, u64 value)
{
    ASSERT(vaplic_access(&w->aplic, offset, 4, true, &value));
}

/* One of a few sources in the first byte, what is done with it in its upper bits. */
static void step(struct world *w, const u8 *r)
{
    u32 source = r[0] % 8 * 9;
    u64 value = le32_load(r + 6);

    switch (r[0] >> 6) {
    case 0:
        if (source)
            vaplic_level(&w->aplic, source, r[1] & 1);
        else
            w->input = le64_load(r + 2);
        break;
    case 1:
        write(w, 4 * source, r[1]);
        break;
    case 2:
        write(w, SETIP + r[1] % 4 * 0x100 + BY_NUMBER, source);
        break;
    default:
        (void)vaplic_access(&w->aplic, le32_load(r + 2) % (2 * VAPLIC_SIZE), 1u << r[1] % 4,
                            r[0] & 1, &value);
        break;
    }
}

/* The first ten bytes choose the sources, the number of vCPUs and what is wired. */
int LLVMFuzzerTestOneInput(const u8 *data, size_t size)
{
    static const struct vaplic_port port = {send, wired_set, wired_get};
    static struct world w;

    if (size < RECORD)
        return 0;
    w = (struct world){.wired = le64_load(data) & ~UINT64_C(1)};
    vaplic_reset(&w.aplic, &port, &w, 1 + data[8] % METAL_VCPUS_MAX, data[9] % METAL_SOURCES_MAX,
                 w.wired);
    for (size_t at = RECORD; at + RECORD <= size; at += RECORD) {
        step(&w, data + at);
        check(&w);
    }
    return 0;
}
