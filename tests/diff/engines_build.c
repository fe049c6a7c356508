/* SPDX-License-Identifier: BSD-2-Clause */
/* Turns a program of engines.h into an image of RAM: code, handlers, page tables, data. */
#include "tests/diff/engines.h"

#include "base/endian.h"
#include "rv/csr.h"

static u32 random_flags(const struct program *p, u64 *rng, bool code)
{
    u32 flags = PTE_V | PTE_R | PTE_W | PTE_AD | (code ? PTE_X : 0);

    if (p->calm && engines_rnd(rng, 4))
        return flags;
    switch (engines_rnd(rng, code ? 16 : 6)) {
    case 0:
        return flags & ~PTE_W;
    case 1:
        return flags & ~(engines_rnd(rng, 2) ? PTE_D : PTE_AD);
    case 2:
        return code ? PTE_V | PTE_X | PTE_AD : (u32)engines_rnd(rng, 256);
    case 3:
        return code && engines_rnd(rng, 4) ? flags : flags & ~PTE_V;
    default:
        return flags;
    }
}

/* The PTE of a data or code page in a view: data anywhere, now and then at a device, code as it is
 * or its copy. */
u64 engines_random_pte(const struct program *p, u64 *rng, u32 page, bool user)
{
    bool code = page >= PAGE_CODE;
    u32 flags = (random_flags(p, rng, code) & ~(PTE_U | PTE_G)) | (user ? PTE_U : PTE_G);
    u32 to = page;

    if (code && engines_rnd(rng, 2))
        to = PAGE_CODE + (page - PAGE_CODE + CODE_PAGES) % (2 * CODE_PAGES);
    else if (!code && !engines_rnd(rng, 3))
        to = PAGE_DATA + (u32)engines_rnd(rng, DATA_PAGES);
    if (!engines_rnd(rng, 8)) /* Svnapot: as it is, or an encoding that is none */
        return engines_pte_of((page & ~15u) | (engines_rnd(rng, 16) ? 8 : 4), flags) | PTE_N;
    if (!code && !engines_rnd(rng, p->calm ? 64 : 16))
        return (MMIO_BASE + MMIO_PLAIN) >> 2 | flags;
    return engines_pte_of(to, flags);
}

static bool build_code(struct program *p, u8 *image)
{
    struct text t = {
        .bytes = image + PAGE_CODE * PAGE_SIZE, .size = CODE_PAGES * PAGE_SIZE, .program = p};

    for (u32 pass = 0; pass < 3; pass++) {
        memset(t.bytes, 0, t.size);
        t.at = 0;
        for (u32 i = 0; i < p->count; i++) {
            p->offset[i] = t.at;
            engines_emit_item(&t, p, i);
        }
        p->offset[p->count] = t.at;
    }
    memcpy(t.bytes + t.size, t.bytes, t.size);
    return t.at + 64 < t.size;
}

static void put(u8 *image, u32 page, u32 index, u64 value)
{
    le64_store(image + page * PAGE_SIZE + 8 * index, value);
}

/* One of the last level: 0 the supervisor's, then each space's user pages. */
static void build_last(const struct program *p, u8 *image, u32 table, u64 *rng)
{
    bool user = table;
    u32 flags = PTE_V | PTE_R | PTE_AD | (user ? PTE_U : PTE_G);

    for (u32 i = PAGE_DATA; i < RAM_PAGES; i++) {
        if (i < PAGE_DATA + DATA_PAGES || (i >= PAGE_CODE && i < PAGE_CODE + 2 * CODE_PAGES))
            put(image, PAGE_LAST + table, i, engines_random_pte(p, rng, i, user));
    }
    put(image, PAGE_LAST + table, PAGE_STACK, engines_pte_of(PAGE_STACK, flags | PTE_W));
    put(image, PAGE_LAST + table, PAGE_SPECIALS, engines_pte_of(PAGE_SPECIALS, flags));
    if (!user)
        put(image, PAGE_LAST, PAGE_S_HANDLER, engines_pte_of(PAGE_S_HANDLER, flags | PTE_X));
}

/* The tables between the roots and the last: pages of 4 KiB, of 2 MiB, the device. */
static void build_middle(u8 *image, u32 table)
{
    const u32 u = table ? PTE_U : PTE_G, data = PTE_V | PTE_R | PTE_W | PTE_AD | u;

    put(image, PAGE_MIDDLE + table, 0, engines_pte_of(PAGE_LAST + table, PTE_V));
    put(image, PAGE_MIDDLE + table, 1, engines_pte_of(0, data | PTE_X));
    put(image, PAGE_MIDDLE + table, 2, MMIO_BASE >> 2 | data);
}

/* Guests' physical addresses: mostly as they are; data and code as in the other tables. */
static void build_guest_tables(const struct program *p, u8 *image, u64 *rng)
{
    const u32 all = PTE_V | PTE_R | PTE_W | PTE_X | PTE_AD | PTE_U;

    put(image, PAGE_G_ROOT, 0, all & ~PTE_X);
    put(image, PAGE_G_ROOT, RAM_BASE >> 30, engines_pte_of(PAGE_G_MIDDLE, PTE_V));
    put(image, PAGE_G_MIDDLE, 0, engines_pte_of(PAGE_G_LAST, PTE_V));
    for (u32 i = 0; i < RAM_PAGES; i++) {
        bool data = i >= PAGE_DATA && i < PAGE_DATA + DATA_PAGES, code = i >= PAGE_CODE;
        bool some = i < PAGE_G_ROOT && (data || code) && !engines_rnd(rng, data ? 3 : 10);
        put(image, PAGE_G_LAST, i,
            some ? engines_random_pte(p, rng, i, true) : engines_pte_of(i, all));
    }
}

static void build_tables(const struct program *p, u8 *image)
{
    const u32 all = PTE_V | PTE_R | PTE_W | PTE_X | PTE_AD;
    u64 rng = p->seed ^ 0x5eed;

    for (u32 table = 0; table < LAST_PAGES; table++) {
        build_last(p, image, table, &rng);
        build_middle(image, table);
    }
    if (p->guests)
        build_guest_tables(p, image, &rng);
    for (u32 space = 0; space < SPACES; space++) {
        u32 root = PAGE_ROOT + space, up = PAGE_ROOT_48 + space, top = PAGE_ROOT_57 + space;
        put(image, root, 1, engines_pte_of(PAGE_MIDDLE + 1 + space, PTE_V));
        put(image, root, 2, engines_pte_of(PAGE_MIDDLE, PTE_V));
        put(image, root, 3, engines_pte_of(0, all | PTE_U));
        put(image, root, 4, engines_pte_of(0, all | PTE_G));
        put(image, root, 511, engines_pte_of(0, all | PTE_G));
        put(image, up, 0, engines_pte_of(root, PTE_V));
        put(image, up, 511, engines_pte_of(root, PTE_V));
        put(image, top, 0, engines_pte_of(up, PTE_V));
        put(image, top, 511, engines_pte_of(up, PTE_V));
    }
}

static u64 satp_of(const struct program *p, const struct fragment *f)
{
    static const u8 roots[] = {PAGE_ROOT, PAGE_ROOT_48, PAGE_ROOT_57};

    if (!p->translated)
        return 0;
    return (u64)f->mode << 60 | (u64)(f->space + 1) << 44 |
           (RAM_BASE / PAGE_SIZE + roots[f->mode - 8] + f->space);
}

static u64 hgatp_of(const struct fragment *f)
{
    return f->nested ? UINT64_C(8) << 60 | UINT64_C(1) << 44 | (RAM_BASE / PAGE_SIZE + PAGE_G_ROOT)
                     : 0;
}

static void build_fragment(const struct program *p, u8 *image, u32 index, u64 *rng)
{
    const struct fragment *f = &p->fragment[index];
    u32 page = PAGE_CODE + (f->copy ? CODE_PAGES : 0);
    u64 data = f->data_view + (PAGE_DATA + 1 + engines_rnd(rng, DATA_PAGES - 2)) * PAGE_SIZE;
    u64 values[] = {f->view + page * PAGE_SIZE + p->offset[f->item],
                    f->mstatus,
                    satp_of(p, f),
                    f->budget,
                    data + 1024,
                    data,
                    data + engines_rnd(rng, 32) - 16,
                    f->mmio,
                    f->data_view + (PAGE_STACK + 1) * PAGE_SIZE - 16,
                    f->data_view + PAGE_DATA * PAGE_SIZE,
                    f->mstatus & (MSTATUS_SUM | MSTATUS_MXR | MSTATUS_FS),
                    hgatp_of(f)};

    _Static_assert(sizeof(values) <= SAVE_LINE && SAVE_LINE == 1 << 7, "as the handler reads it");
    for (u32 k = 0; k < ARRAY_SIZE(values); k++)
        put(image, PAGE_SAVE, (SAVE_TABLE + SAVE_LINE * index) / 8 + k, values[k]);
}

static void build_data(const struct program *p, u8 *image)
{
    u64 rng = p->seed ^ 0xda7a;

    put(image, PAGE_SAVE, SAVE_COUNT / 8, p->fragments);
    for (u32 i = 0; i < p->fragments; i++)
        build_fragment(p, image, i, &rng);
    for (u32 i = 0; i < DATA_PAGES * PAGE_SIZE / 8; i++) {
        u64 v = test_random(&rng);
        put(image, PAGE_DATA, i,
            v & 1          ? v
            : (v & 6) == 6 ? engines_special_fp(&rng)
            : v & 2        ? (u64)(s64)(s8)(v >> 8)
                           : v & UINT64_C(0xff0) << (v >> 58));
    }
    for (u32 i = 0; i < PAGE_SIZE / 8; i++)
        put(image, PAGE_SPECIALS, i, engines_special_fp(&rng));
}

bool engines_build(struct program *p, u8 *image)
{
    memset(image, 0, RAM_SIZE);
    if (!build_code(p, image))
        return false;
    engines_build_handlers(p, image);
    build_tables(p, image);
    build_data(p, image);
    return true;
}
