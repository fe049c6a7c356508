/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Walks what a partition can name: addresses of every class, by loads, stores, atomics and fetches,
 * and all CSR numbers, read and written by generated code. What is not the partition's has to trap,
 * as the architecture says; what is works as memory does; nothing may hang.
 *
 * PROBE_MEMORY: bytes of its memory at 0x80000000. PROBE_FINE: what else is its own, as a list of
 * {first, last + 1}. PROBE_QUIET: foreign accesses read 0 instead of trapping (policy "ignore").
 */
#include "guest.h"

#ifndef PROBE_MEMORY
#define PROBE_MEMORY (UINT64_C(1) << 20)
#endif
#ifndef PROBE_FINE
#define PROBE_FINE             \
    {                          \
        0x0c000000, 0x10000000 \
    }
#endif

#define MEMORY UINT64_C(0x80000000)
#define MARK   UINT64_C(0x70726f62655f5f5f)

struct range {
    u64 first, end;
};

static const struct range fine[] = {{MEMORY, MEMORY + PROBE_MEMORY}, PROBE_FINE};
static bool is_partition; /* else a whole board, which is no test of addresses */
static u32 wrong, addresses, csrs;

static void say_wrong(const char *what, u64 where, struct attempt a)
{
    if (wrong++ < 32)
        print("probe: %s %lx: scause %ld, stval %lx\n", what, where, (long)a.cause, a.tval);
}

static bool is_fine(u64 address)
{
    for (u32 i = 0; i < ARRAY_SIZE(fine); i++)
        if (address >= fine[i].first && address < fine[i].end)
            return true;
    return false;
}

/* ---- Addresses ---- */

static u64 loaded;

static void load8(u64 address)
{
    loaded = *(volatile u8 *)(uintptr_t)address;
}

static void load64(u64 address)
{
    loaded = *(volatile u64 *)(uintptr_t)address;
}

static void store32(u64 address)
{
    *(volatile u32 *)(uintptr_t)address = (u32)MARK;
}

static void store64(u64 address)
{
    *(volatile u64 *)(uintptr_t)address = MARK;
}

static void amo(u64 address)
{
    __asm__ volatile("amoor.d %0, zero, (%1)" : "=r"(loaded) : "r"(address) : "memory");
}

static void float_load(u64 address)
{
    __asm__ volatile("fld ft0, (%1)\n fmv.x.d %0, ft0" : "=r"(loaded) : "r"(address) : "ft0");
}

static void fetch(u64 address)
{
    ((void (*)(void))(uintptr_t)address)();
}

struct way {
    const char *name;
    void (*function)(u64);
    u64 cause; /* of an access fault */
    bool reads;
};

static const struct way ways[] = {
    {"load of a byte", load8, 5, true},
    {"load", load64, 5, true},
    {"store of a word", store32, 7, false},
    {"store", store64, 7, false},
    {"atomic", amo, 7, true},
    {"load of a double", float_load, 5, true},
    {"fetch", fetch, 1, false},
};

static void probe_foreign(u64 address)
{
    for (u32 i = 0; i < ARRAY_SIZE(ways); i++) {
        const struct way *way = &ways[i];
        struct attempt a;

        loaded = 0;
        a = attempt(way->function, address);
#ifdef PROBE_QUIET
        if (a.cause == ATTEMPT_FINE && loaded != 0)
            say_wrong(way->name, address, a);
#else
        /* An atomic's fault may be that of its load. */
        if ((a.cause != way->cause && !(way->function == amo && a.cause == 5)) || a.tval != address)
            say_wrong(way->name, address, a);
#endif
    }
    addresses++;
}

static void probe(u64 address)
{
    address &= ~UINT64_C(7);
    if (!is_fine(address) && !is_fine(address + 7))
        probe_foreign(address);
}

/* All that is near a power of two, or near an edge of a region; each 2 MiB of the first 16 GiB. */
static void probe_addresses(void)
{
    static const u64 near[] = {0, 8, 4096, 1 << 21};

    for (u32 bit = 3; bit < 64; bit++)
        for (u32 i = 0; i < ARRAY_SIZE(near); i++) {
            probe((UINT64_C(1) << bit) + near[i]);
            probe((UINT64_C(1) << bit) - 8 - near[i]);
            probe((UINT64_C(1) << bit) + MEMORY + near[i]);
        }
    for (u32 i = 0; i < ARRAY_SIZE(fine); i++)
        for (u32 j = 0; j < ARRAY_SIZE(near); j++) {
            probe(fine[i].first - 8 - near[j]);
            probe(fine[i].end + near[j]);
        }
    for (u64 address = 0; address < UINT64_C(16) << 30; address += 1 << 21)
        probe(address);
}

/* Its own memory is whole and its own: what was written before is there after. */
static u64 *own(u64 n)
{
    extern u8 guest_end_of_image[];

    return (u64 *)((uintptr_t)guest_end_of_image + n * 4096);
}

static u64 own_pages(void)
{
    return (MEMORY + PROBE_MEMORY - (u64)(uintptr_t)own(0)) / 4096;
}

static void fill_own(void)
{
    for (u64 n = 0; n < own_pages(); n++)
        *own(n) = n ^ ~MARK;
}

static void check_own(void)
{
    for (u64 n = 0; n < own_pages(); n++)
        if (*own(n) != (n ^ ~MARK) && wrong++ < 32)
            print("probe: own memory changed at %lx\n", (u64)(uintptr_t)own(n));
}

/* ---- CSRs ---- */

static u32 code[8] __attribute__((aligned(64)));
static u64 csr_value;

enum { CSRRW = 1, CSRRS, CSRRC, CSRRWI = 5, CSRRSI, CSRRCI };

/* One instruction on a CSR with a0 as source and target, or zero as source. */
static u32 csr_insn(u32 csr, u32 how, u32 source)
{
    return csr << 20 | source << 15 | how << 12 | 10u << 7 | 0x73;
}

static void run_code(u64 value)
{
    csr_value = ((u64(*)(u64))(uintptr_t)code)(value);
}

static struct attempt on_csr(u32 csr, u32 how, u32 source, u64 value)
{
    code[0] = csr_insn(csr, how, source);
    code[1] = 0x00008067; /* ret */
    __asm__ volatile("fence.i" ::: "memory");
    return attempt(run_code, value);
}

/* Whose change would end this program rather than show anything: traps, translation, status. */
static bool is_vital(u32 csr)
{
    return csr == 0x100 || csr == 0x104 || csr == 0x105 || csr == 0x140 || csr == 0x180;
}

/* Machine level, debug, hypervisor level and VS are not this partition's (privileged spec, 2.1). */
static bool is_foreign_csr(u32 csr)
{
    u32 level = csr >> 8 & 3;

    return level == 3 || (level == 2 && is_partition);
}

static void write_csr(u32 csr, u64 old)
{
    static const u64 values[] = {0, UINT64_MAX, MARK, 1, UINT64_C(1) << 63};
    struct attempt a;

    for (u32 i = 0; i < ARRAY_SIZE(values); i++) {
        a = on_csr(csr, CSRRW, 10, values[i]);
        if (csr >> 10 == 3 && a.cause == ATTEMPT_FINE)
            say_wrong("a read-only CSR takes a write", csr, a);
    }
    on_csr(csr, CSRRS, 10, UINT64_MAX);
    on_csr(csr, CSRRC, 10, UINT64_MAX);
    for (u32 how = CSRRWI; how <= CSRRCI; how++)
        on_csr(csr, how, 31, 0);
    on_csr(csr, CSRRW, 10, old);
}

static void probe_csr(u32 csr)
{
    struct attempt a = on_csr(csr, CSRRS, 0, 0);
    u64 old = csr_value;

    csrs += a.cause == ATTEMPT_FINE;
    if (is_foreign_csr(csr) && a.cause == ATTEMPT_FINE)
        say_wrong("a foreign CSR can be read", csr, a);
    if (a.cause != ATTEMPT_FINE && a.cause != 2)
        say_wrong("read of CSR", csr, a);
    if (is_vital(csr)) {
        a = on_csr(csr, CSRRW, 10, old);
        if (a.cause != ATTEMPT_FINE)
            say_wrong("write of CSR", csr, a);
    } else {
        write_csr(csr, old);
    }
}

static void probe_csrs(void)
{
    for (u32 csr = 0; csr < 4096; csr++)
        probe_csr(csr);
    timer_off();
    csr_clear(sip, 1u << IRQ_SOFTWARE);
}

void guest_main(u64 hart, const void *tree)
{
    (void)hart, (void)tree;
    csr_set(sstatus, SSTATUS_FS);
    is_partition = cosm_info().error == 0;
    fill_own();
    if (is_partition)
        probe_addresses();
    print("probe: %u foreign addresses\n", addresses);
    check_own();
    probe_csrs();
    print("probe: of 4096 CSRs %u can be read\n", csrs);
    check_own();
    print("probe: %s, %u wrong\n", wrong ? "BAD" : "good", wrong);
}
