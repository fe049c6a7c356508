/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A hart with a little RAM, a clock that stands still and a comparator, for tests of src/rv. The
 * engine is not needed. Include it in one file of a program.
 */
#ifndef COSM_TESTS_FAKE_HART_H
#define COSM_TESTS_FAKE_HART_H

#include "rv/csr.h"
#include "rv/hart.h"
#include "rv/isa.h"
#include "rv/mmu.h"
#include "rv/trap.h"
#include "tests/fake.h"

#define FAKE_RAM_BASE UINT64_C(0x80000000)
#define FAKE_RAM_SIZE (1 * MIB)
#define FAKE_ROM_BASE UINT64_C(0x1000)
#define FAKE_ROM_SIZE UINT64_C(0x1000)

struct fake_hart {
    struct hart hart;
    struct hart_env env;
    struct gmem gmem;
    struct hart *harts[1];
    u64 now;      /* what the time CSR shows */
    u64 stimecmp; /* as last told */
    u32 stimecmp_calls;
    u32 written; /* calls of gmem.written */
    u64 random;
};

static inline u64 fake_hart_time(void *ctx)
{
    return ((struct fake_hart *)ctx)->now;
}

static inline void fake_hart_set_stimecmp(void *ctx, struct hart *hart, u64 time)
{
    struct fake_hart *fake = ctx;

    fake->stimecmp = time;
    fake->stimecmp_calls++;
    if (fake->now >= time)
        atomic_fetch_or(&hart->irq_wires, BIT(IRQ_STI));
    else
        atomic_fetch_and(&hart->irq_wires, ~BIT(IRQ_STI));
}

static inline void fake_hart_fill(void *ctx, void *buf, size_t len)
{
    struct fake_hart *fake = ctx;

    for (size_t i = 0; i < len; i++)
        ((u8 *)buf)[i] = (u8)test_random(&fake->random);
}

static inline void fake_hart_written(void *ctx, gpa_t gpa, u64 len)
{
    ((struct fake_hart *)ctx)->written++;
}

/* cpu: a --cpu text. The hart is reset, in M-mode, at FAKE_RAM_BASE. */
static inline struct fake_hart *fake_hart_create(const char *cpu)
{
    struct fake_hart *fake = calloc(1, sizeof(*fake));
    struct err err;

    if (!fake || isa_parse(&fake->hart.isa, cpu, &err))
        abort();
    fake->gmem.region[0] = (struct gmem_region){FAKE_ROM_BASE, FAKE_ROM_SIZE,
                                                aligned_alloc(4096, FAKE_ROM_SIZE), true};
    fake->gmem.region[1] = (struct gmem_region){FAKE_RAM_BASE, FAKE_RAM_SIZE,
                                                aligned_alloc(4096, FAKE_RAM_SIZE), false};
    fake->gmem.count = 2;
    fake->gmem.written = fake_hart_written;
    fake->gmem.ctx = fake;
    memset(fake->gmem.region[0].host, 0, FAKE_ROM_SIZE);
    memset(fake->gmem.region[1].host, 0, FAKE_RAM_SIZE);
    fake->random = 88172645463325252u;
    fake->harts[0] = &fake->hart;
    fake->env.gmem = &fake->gmem;
    fake->env.entropy = (struct entropy){fake_hart_fill, fake};
    fake->env.time = fake_hart_time;
    fake->env.set_stimecmp = fake_hart_set_stimecmp;
    fake->env.ctx = fake;
    fake->env.harts = fake->harts;
    fake->env.hart_count = 1;
    fake->hart.env = &fake->env;
    hart_reset(&fake->hart, FAKE_RAM_BASE);
    return fake;
}

static inline void fake_hart_destroy(struct fake_hart *fake)
{
    for (u32 i = 0; i < fake->gmem.count; i++)
        free(fake->gmem.region[i].host);
    free(fake);
}

/* A doubleword of memory, which must be there. */
static inline u64 fake_hart_load(struct fake_hart *fake, gpa_t gpa)
{
    u8 bytes[8];

    if (!gmem_read(&fake->gmem, gpa, bytes, 8))
        abort();
    return le64_load(bytes);
}

static inline void fake_hart_store(struct fake_hart *fake, gpa_t gpa, u64 value)
{
    const struct gmem_region *r = gmem_find(&fake->gmem, gpa, 8);

    if (!r)
        abort();
    le64_store(r->host + (gpa - r->base), value);
}

/* CSR instructions of the current mode, as if executed; false: illegal. */
static inline bool fake_csr_write(struct fake_hart *fake, u32 number, u64 value)
{
    bool done = csr_access(&fake->hart, number, false, true, ~UINT64_C(0), value, NULL);

    fake->hart.insns += done;
    return done;
}

static inline bool fake_csr_read(struct fake_hart *fake, u32 number, u64 *value)
{
    bool done = csr_access(&fake->hart, number, true, false, 0, 0, value);

    fake->hart.insns += done;
    return done;
}

/* For registers that must be there. */
static inline u64 fake_csr(struct fake_hart *fake, u32 number)
{
    u64 value;

    if (!csr_peek(&fake->hart, number, &value))
        abort();
    return value;
}

static inline void fake_csr_set(struct fake_hart *fake, u32 number, u64 value)
{
    if (!csr_poke(&fake->hart, number, value))
        abort();
}

#endif
