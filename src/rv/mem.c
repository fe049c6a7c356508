/* SPDX-License-Identifier: BSD-2-Clause */
/* The slow path of guest memory accesses, and TLB fills. */
#include "rv/mem.h"

#include "rv/code_map.h"
#include "rv/debug.h"
#include "rv/mmu.h"

static u8 *ram_pointer(struct hart *hart, gpa_t gpa, u64 size, bool write)
{
    const struct gmem_region *r = gmem_find(hart->env->gmem, gpa, size);

    return r && !(write && r->readonly) ? r->host + (gpa - r->base) : NULL;
}

static bool page_is_watched(struct hart *hart, gva_t va)
{
    const struct debug_points *debug = hart->debug;

    return debug && (debug_watch(debug, va & PAGE_MASK, PAGE_SIZE, ACCESS_READ) ||
                     debug_watch(debug, va & PAGE_MASK, PAGE_SIZE, ACCESS_WRITE));
}

/* How the current mode may reach va's page directly, as far as `to` and the page allow. */
static bool entry_of(struct hart *hart, gva_t va, const struct mmu_page *to, struct tlb_fill *fill)
{
    gpa_t gpa = to->gpa & PAGE_MASK;
    const struct gmem_region *r = gmem_find(hart->env->gmem, gpa, PAGE_SIZE);

    if (!r || !to->whole || page_is_watched(hart, va))
        return false;
    gmem_reach(hart->env->gmem, gpa, PAGE_SIZE);
    *fill = (struct tlb_fill){
        .page = va & PAGE_MASK,
        .host = r->host + (gpa - r->base),
        .readable = to->readable,
        .writable = to->writable && !r->readonly && !code_map_is_code(hart->env->code_map, gpa),
        .global = to->global,
    };
    return true;
}

static void fill(struct hart *hart, gva_t va, const struct mmu_page *to)
{
    struct tlb_fill fill;

    if (!entry_of(hart, va, to, &fill))
        return;
    tlb_fill(&hart->tlb, (enum tlb_mode)hart->data_mode, &fill);
    hart->stats.tlb_fills++;
}

static bool is_watched(struct hart *hart, gva_t va, u64 size, enum access acc)
{
    const struct watchpoint *w = debug_watch(hart->debug, va, size, acc);

    if (!w)
        return false;
    hart->debug_address = va > w->start ? va : w->start;
    hart->debug_access = acc;
    hart->trap.cause = CAUSE_DEBUG_WATCH;
    hart->trap.tval = va;
    return true;
}

static bool translate_data(struct hart *hart, gva_t va, u64 size, enum access acc,
                           struct mmu_page *to)
{
    return mmu_translate(hart, va, size, acc, mmu_data_priv(hart), to);
}

static bool device_load(struct hart *hart, gva_t va, gpa_t gpa, unsigned size, u64 *value)
{
    const struct bus *bus = &hart->env->bus;

    hart->stats.mmio++;
    if (gpa % size || !bus->read || !bus->read(bus->ctx, gpa, size, value))
        return hart_raise(hart, CAUSE_LOAD_ACCESS, va);
    /* Where counts matter, an interrupt that a load brought about waits for the limit: engines
     * would take it at different places. */
    if (UNLIKELY(hart->env->limited))
        atomic_fetch_and_explicit(&hart->attn, ~(u32)ATTN_IRQ, memory_order_seq_cst);
    return true;
}

static bool device_store(struct hart *hart, gva_t va, gpa_t gpa, unsigned size, u64 value)
{
    const struct bus *bus = &hart->env->bus;

    hart->stats.mmio++;
    if (gpa % size || !bus->write || !bus->write(bus->ctx, gpa, size, value))
        return hart_raise(hart, CAUSE_STORE_ACCESS, va);
    if (UNLIKELY(atomic_load_explicit(&hart->attn, memory_order_relaxed)))
        return hart_raise(hart, (enum cause)CAUSE_ATTEND, 0);
    return true;
}

/* Misaligned but within memory: bytes may tear, which the specification allows. */
static u64 load_bytes(const u8 *p, unsigned size)
{
    u64 v = 0;

    for (unsigned i = 0; i < size; i++)
        v |= host_load(p + i, 1) << (8 * i);
    return v;
}

static void store_bytes(u8 *p, unsigned size, u64 value)
{
    for (unsigned i = 0; i < size; i++)
        host_store(p + i, 1, value >> (8 * i));
}

static u8 *host_of(const struct tlb_entry *e, gva_t va)
{
    return (u8 *)(uintptr_t)(va + e->addend);
}

/* A misaligned access, within a page or across two, if the TLB has all there is to know. */
static bool load_misaligned(struct hart *hart, gva_t va, unsigned size, u64 *value)
{
    unsigned room = (unsigned)(PAGE_SIZE - (va & ~PAGE_MASK)), first = room < size ? room : size;
    const struct tlb_entry *a = &hart->data_tlb->read[tlb_index(va)];
    const struct tlb_entry *b = &hart->data_tlb->read[tlb_index(va + size - 1)];

    if (!tlb_serves(a, va, first) || !tlb_serves(b, va + size - 1, 1))
        return false;
    *value = load_bytes(host_of(a, va), first);
    if (first < size)
        *value |= load_bytes(host_of(b, va + first), size - first) << (8 * first);
    return true;
}

static bool store_misaligned(struct hart *hart, gva_t va, unsigned size, u64 value)
{
    unsigned room = (unsigned)(PAGE_SIZE - (va & ~PAGE_MASK)), first = room < size ? room : size;
    const struct tlb_entry *a = &hart->data_tlb->write[tlb_index(va)];
    const struct tlb_entry *b = &hart->data_tlb->write[tlb_index(va + size - 1)];

    if (!tlb_serves(a, va, first) || !tlb_serves(b, va + size - 1, 1))
        return false;
    store_bytes(host_of(a, va), first, value);
    if (first < size)
        store_bytes(host_of(b, va + first), size - first, value >> (8 * first));
    return true;
}

static bool load_in_page(struct hart *hart, gva_t va, unsigned size, u64 *value)
{
    struct mmu_page to;
    const u8 *p;

    if (!translate_data(hart, va, size, ACCESS_READ, &to))
        return false;
    p = ram_pointer(hart, to.gpa, size, false);
    if (!p)
        return device_load(hart, va, to.gpa, size, value);
    fill(hart, va, &to);
    *value = va % size ? load_bytes(p, size) : host_load(p, size);
    return true;
}

/*
 * Can the part at va of an access across two pages be made? Only if memory is there: a device takes
 * no misaligned access, and must not see bytes of one.
 */
static bool part_is_open(struct hart *hart, gva_t va, unsigned size, enum access acc)
{
    bool write = acc == ACCESS_WRITE;
    struct mmu_page to;

    if (!translate_data(hart, va, size, acc, &to))
        return false;
    return ram_pointer(hart, to.gpa, size, write) ||
           hart_raise(hart, write ? CAUSE_STORE_ACCESS : CAUSE_LOAD_ACCESS, va);
}

/* Both pages must take an access before anything of it is done. */
static bool parts_are_open(struct hart *hart, gva_t va, unsigned first, unsigned size,
                           enum access acc)
{
    return part_is_open(hart, va, first, acc) && part_is_open(hart, va + first, size - first, acc);
}

bool mem_load_slow(struct hart *hart, gva_t va, unsigned size, u64 *value)
{
    unsigned first = (unsigned)(PAGE_SIZE - (va & ~PAGE_MASK));
    u64 v = 0, byte;

    hart->stats.slow_accesses++;
    if (va % size && load_misaligned(hart, va, size, value))
        return true;
    if (is_watched(hart, va, size, ACCESS_READ))
        return false;
    if (size <= first)
        return load_in_page(hart, va, size, value);
    if (!parts_are_open(hart, va, first, size, ACCESS_READ))
        return false;
    for (unsigned i = 0; i < size; i++) {
        if (!load_in_page(hart, va + i, 1, &byte))
            return false;
        v |= byte << (8 * i);
    }
    *value = v;
    return true;
}

bool mem_load_code(struct hart *hart, gva_t va, unsigned size, u64 *value)
{
    u64 v = 0;

    hart->stats.slow_accesses++;
    if (is_watched(hart, va, size, ACCESS_READ))
        return false;
    for (unsigned i = 0; i < size; i += 2) {
        struct mmu_page to;
        const u8 *p;

        if (!translate_data(hart, va + i, 1, ACCESS_READ_CODE, &to))
            return false;
        p = ram_pointer(hart, to.gpa, 2, false);
        if (va % 2 || !p) /* not where code can be */
            return hart_raise(hart, CAUSE_LOAD_ACCESS, va + i);
        v |= host_load(p, 2) << (8 * i);
    }
    *value = v;
    return true;
}

static bool store_in_page(struct hart *hart, gva_t va, unsigned size, u64 value)
{
    struct mmu_page to;
    u8 *p;

    if (!translate_data(hart, va, size, ACCESS_WRITE, &to))
        return false;
    p = ram_pointer(hart, to.gpa, size, true);
    if (!p)
        return device_store(hart, va, to.gpa, size, value);
    if (va % size)
        store_bytes(p, size, value);
    else
        host_store(p, size, value);
    code_map_written(hart->env->code_map, to.gpa, size);
    fill(hart, va, &to);
    return true;
}

bool mem_store_slow(struct hart *hart, gva_t va, unsigned size, u64 value)
{
    unsigned first = (unsigned)(PAGE_SIZE - (va & ~PAGE_MASK));

    hart->stats.slow_accesses++;
    if (va % size && store_misaligned(hart, va, size, value))
        return true;
    if (is_watched(hart, va, size, ACCESS_WRITE))
        return false;
    if (size <= first)
        return store_in_page(hart, va, size, value);
    if (!parts_are_open(hart, va, first, size, ACCESS_WRITE))
        return false;
    for (unsigned i = 0; i < size; i++) {
        if (!store_in_page(hart, va + i, 1, value >> (8 * i) & 0xff))
            return false;
    }
    return true;
}

void *mem_pointer(struct hart *hart, gva_t va, unsigned size, enum access acc, bool *code)
{
    u32 index = tlb_index(va);
    bool write = acc == ACCESS_WRITE;
    const struct tlb_entry *e =
        write ? &hart->data_tlb->write[index] : &hart->data_tlb->read[index];
    struct mmu_page to;
    void *p;

    *code = false;
    if (LIKELY((va & (PAGE_MASK | (size - 1))) == e->tag))
        return (void *)(uintptr_t)(va + e->addend);
    hart->stats.slow_accesses++;
    if (va % size) {
        hart_raise(hart, write ? CAUSE_STORE_MISALIGNED : CAUSE_LOAD_MISALIGNED, va);
        return NULL;
    }
    if (is_watched(hart, va, size, acc) || (write && is_watched(hart, va, size, ACCESS_READ)))
        return NULL;
    if (!translate_data(hart, va, size, acc, &to))
        return NULL;
    p = ram_pointer(hart, to.gpa, size, write);
    if (!p) {
        hart_raise(hart, write ? CAUSE_STORE_ACCESS : CAUSE_LOAD_ACCESS, va);
        return NULL;
    }
    fill(hart, va, &to);
    *code = write && code_map_is_code(hart->env->code_map, to.gpa);
    return p;
}

static bool host_to_gpa(const struct gmem *gmem, const void *pointer, gpa_t *gpa)
{
    u64 at = (u64)(uintptr_t)pointer;

    for (u32 i = 0; i < gmem->count; i++) {
        const struct gmem_region *r = &gmem->region[i];
        if (range_within(at, 1, (u64)(uintptr_t)r->host, r->size)) {
            *gpa = r->base + (at - (u64)(uintptr_t)r->host);
            return true;
        }
    }
    return false;
}

void mem_wrote(struct hart *hart, const void *pointer, unsigned size)
{
    gpa_t gpa;

    if (host_to_gpa(hart->env->gmem, pointer, &gpa))
        code_map_written(hart->env->code_map, gpa, size);
}

bool mem_probe(struct hart *hart, gva_t va, unsigned size, enum access acc)
{
    u32 index = tlb_index(va);
    struct mmu_page to;

    if (tlb_serves(acc == ACCESS_WRITE ? &hart->data_tlb->write[index]
                                       : &hart->data_tlb->read[index],
                   va, size))
        return true;
    return translate_data(hart, va, size, acc, &to);
}

void mem_fill(struct hart *hart, gva_t va, enum access acc)
{
    struct mmu_page to;

    if (translate_data(hart, va, 1, acc, &to))
        fill(hart, va, &to);
}

bool mem_foresee(struct hart *hart, gva_t va, struct tlb_fill *fill)
{
    struct mmu_page to;

    return mmu_foresees(hart, va, mmu_data_priv(hart), &to) && entry_of(hart, va, &to, fill);
}

bool mem_zero_fast(struct hart *hart, gva_t va, unsigned size)
{
    const struct tlb_entry *e = &hart->data_tlb->write[tlb_index(va)];

    if (!tlb_serves(e, va, size))
        return false;
    for (unsigned i = 0; i < size; i += 8)
        host_store(host_of(e, va + i), 8, 0);
    return true;
}

void mem_protect(struct hart *hart, gpa_t gpa)
{
    const u8 *host = ram_pointer(hart, gpa & PAGE_MASK, PAGE_SIZE, false);

    if (host)
        tlb_drop_writes(&hart->tlb, host);
}

static bool is_code(void *ctx, const u8 *host)
{
    const struct hart *hart = ctx;
    gpa_t gpa;

    return !host_to_gpa(hart->env->gmem, host, &gpa) || code_map_is_code(hart->env->code_map, gpa);
}

void mem_attend_protect(struct hart *hart)
{
    struct code_map *map = hart->env->code_map;
    u64 epoch = atomic_load_explicit(&map->epoch, memory_order_seq_cst);
    bool known = true;
    gpa_t gpa;

    /* Before the flush, see code_map.h: a protection that comes after it finds this epoch old. */
    atomic_store_explicit(&hart->code_ack, epoch, memory_order_seq_cst);
    while (known && hart->code_attended != epoch) {
        known = epoch - hart->code_attended <= CODE_MAP_RECENT &&
                code_map_protected_at(map, hart->code_attended + 1, &gpa);
        if (known) {
            mem_protect(hart, gpa);
            hart->code_attended++;
        }
    }
    if (!known)
        tlb_drop_writes_if(&hart->tlb, is_code, hart);
    hart->code_attended = epoch;
}
