/* SPDX-License-Identifier: BSD-2-Clause */
/* [[partition]] of a configuration: harts, memory, devices, images, rights and health. */
#include "plan/read.h"

#include "base/checked.h"
#include "base/fmt.h"

#include <string.h>

static u32 index_of(const struct plan *p, const struct plan_partition *part)
{
    return (u32)(part - p->partition);
}

static int take_harts(struct plan *p, const struct toml_node *n, void *object)
{
    struct plan_partition *part = object;

    for (const struct toml_node *h = n->first; h; h = h->next) {
        u32 hart;
        int r = read_hart_number(p, h, &hart);

        if (r)
            return r;
        if (p->vcpu_count == METAL_VCPUS_MAX)
            return plan_refuse(p, h, "all partitions together have more than %u vCPUs",
                               METAL_VCPUS_MAX);
        p->vcpu[p->vcpu_count++] = (struct plan_vcpu){
            .partition = index_of(p, part), .number = part->vcpu_count++, .hart = hart, .node = h};
    }
    return part->vcpu_count ? 0 : plan_refuse(p, n, "a partition needs a hart");
}

struct memory_table {
    u64 at, size, from, pages;
    const struct toml_node *from_node;
};

static int take_from(struct plan *p, const struct toml_node *n, void *field)
{
    struct memory_table *t = field;

    t->from_node = n;
    return take_address(p, n, &t->from);
}

static int take_pages(struct plan *p, const struct toml_node *n, void *field)
{
    static const char *const names[] = {"4K", "2M", "1G", NULL};
    static const u64 sizes[] = {PLAN_PAGE, 2 * MIB, GIB};
    u32 i;
    int r = read_choice(p, n, names, "size of pages", &i);

    if (!r)
        *(u64 *)field = sizes[i];
    return r;
}

#define AT(field) offsetof(struct memory_table, field)
static const struct plan_key memory_keys[] = {
    {"at", KIND(INTEGER), take_address, AT(at), true},
    {"size", KIND(STRING) | KIND(INTEGER), take_size, AT(size), true},
    {"from", KIND(INTEGER), take_from, 0},
    {"pages", KIND(STRING), take_pages, AT(pages)},
};
#undef AT

static int check_pages(struct plan *p, const struct toml_node *n, const struct memory_table *t)
{
    const u64 mask = t->pages ? t->pages - 1 : 0;
    const char *what = t->at & mask                       ? "at"
                       : t->size & mask                   ? "size"
                       : t->from_node && (t->from & mask) ? "from"
                                                          : NULL;

    if (!what)
        return 0;
    return plan_refuse(p, n, "'%s' is no multiple of the pages of %s that were asked for", what,
                       t->pages == GIB ? "1G" : "2M");
}

static int take_memory(struct plan *p, const struct toml_node *n, void *object)
{
    struct plan_partition *part = object;

    part->memory = n->first;
    for (const struct toml_node *m = n->first; m; m = m->next) {
        struct memory_table t = {0};
        int r = m->kind == TOML_TABLE
                    ? read_table(p, m, "a memory", memory_keys, ARRAY_SIZE(memory_keys), &t)
                    : plan_refuse(p, m, "a memory is { at = ADDRESS, size = SIZE }, not %s",
                                  toml_kind_name(m->kind));

        if (!r)
            r = check_pages(p, m, &t);
        if (!r)
            r = plan_add_region(p, &(struct plan_region){.kind = PLAN_MEMORY,
                                                         .partition = index_of(p, part),
                                                         .gpa = t.at,
                                                         .hpa = t.from,
                                                         .size = t.size,
                                                         .flags = METAL_REGION_READ |
                                                                  METAL_REGION_WRITE |
                                                                  METAL_REGION_EXEC,
                                                         .pages = t.pages,
                                                         .placed = t.from_node,
                                                         .node = m});
        if (r)
            return r;
    }
    return n->first ? 0 : plan_refuse(p, n, "a partition needs memory");
}

static int take_dma(struct plan *p, const struct toml_node *n, void *object)
{
    static const char *const names[] = {"trusted", NULL};
    struct plan_partition *part = object;
    u32 i;

    part->dma_trusted = true;
    return read_choice(p, n, names, "way to treat DMA", &i);
}

static int take_may(struct plan *p, const struct toml_node *n, void *field)
{
    static const char *const names[] = {"control", "monitor", NULL};
    u32 *rights = field, i;
    int r = 0;

    for (const struct toml_node *m = n->first; m && !r; m = m->next) {
        r = read_choice(p, m, names, "right", &i);
        if (!r)
            *rights |= i ? METAL_MAY_MONITOR : METAL_MAY_CONTROL;
    }
    return r;
}

static int take_entry(struct plan *p, const struct toml_node *n, void *object)
{
    struct plan_partition *part = object;

    if (n->integer < 0 || n->integer % 2)
        return plan_refuse(p, n, "no code can begin at an odd or negative address");
    part->entry = (u64)n->integer;
    part->entry_node = n;
    return 0;
}

static int take_watchdog(struct plan *p, const struct toml_node *n, void *field)
{
    int r = take_time(p, n, field);

    return r || *(u64 *)field ? r : plan_refuse(p, n, "a watchdog of no time bites at once");
}

static int take_vector(struct plan *p, const struct toml_node *n, void *field)
{
    const u32 vlen = plan_board_vlen(&p->board), most = METAL_VECTOR_BYTES / 32 * 8;

    if (!n->integer)
        return 0;
    if (!vlen)
        return plan_refuse(p, n, "the board's harts have no vectors: '%.64s' has no v%s",
                           p->board.isa,
                           strcmp(p->board.name, "virt") ? "" : " (vector = true of [board])");
    if (vlen > most)
        return plan_refuse(p, n,
                           "the board's vector registers of %u bits are larger than the %u "
                           "that are served",
                           vlen, most);
    *(const struct toml_node **)field = n;
    return 0;
}

#define AT(field) offsetof(struct plan_partition, field)
static const struct plan_key keys[] = {
    {"name", KIND(STRING), take_name, AT(name), true},
    {"harts", KIND(ARRAY), take_harts, 0, true},
    {"memory", KIND(ARRAY), take_memory, 0, true},
    {"image", KIND(STRING), take_node, AT(image)},
    {"program", KIND(STRING), take_node, AT(program)},
    {"kernel", KIND(STRING), take_node, AT(kernel)},
    {"initrd", KIND(STRING), take_node, AT(initrd)},
    {"append", KIND(STRING), take_text, AT(append)},
    {"dtb", KIND(STRING), take_node, AT(dtb)},
    {"images", KIND(ARRAY), take_node, AT(images)},
    {"entry", KIND(INTEGER), take_entry, 0},
    {"devices", KIND(ARRAY), take_node, AT(devices)},
    {"dma", KIND(STRING), take_dma, 0},
    {"watchdog", KIND(STRING), take_watchdog, AT(watchdog)},
    {"may", KIND(ARRAY), take_may, AT(rights)},
    {"start", KIND(BOOLEAN), take_flag, AT(start)},
    {"console", KIND(BOOLEAN), take_flag, AT(console)},
    {"vector", KIND(BOOLEAN), take_vector, AT(vector)},
    {"health", KIND(TABLE), take_node, AT(health)},
};
#undef AT

/* What of a range of pages no device of the partition has brought along yet: devices may share
 * pages.
 */
static void trim(const struct plan *p, u32 partition, u64 *base, u64 *end)
{
    for (u32 i = 0; i < p->region_count; i++) {
        const struct plan_region *r = &p->region[i];

        if (r->kind != PLAN_DEVICE || r->partition != partition ||
            !range_overlaps(r->gpa, r->size, *base, *end - *base))
            continue;
        if (r->gpa <= *base)
            *base = r->gpa + r->size < *end ? r->gpa + r->size : *end;
        else
            *end = r->gpa;
    }
}

/* A device's registers lie where the board has them; a page is the least that can be given. */
static int add_device_regions(struct plan *p, u32 partition, const struct plan_device *d,
                              const struct toml_node *n)
{
    int r = 0;

    for (u32 i = 0; i < d->range_count && !r; i++) {
        u64 base = align_down(d->range[i].base, PLAN_PAGE);
        u64 end = align_up(d->range[i].base + d->range[i].size, PLAN_PAGE);
        const char *keeper = plan_board_kept(&p->board, base, end - base);
        struct plan_region region = {.kind = PLAN_DEVICE,
                                     .partition = partition,
                                     .flags = METAL_REGION_READ | METAL_REGION_WRITE |
                                              METAL_REGION_DEVICE,
                                     .placed = true,
                                     .node = n};

        if (keeper)
            return plan_refuse(p, n, "'%s' is in one page with '%s', which the hypervisor keeps",
                               d->name, keeper);
        trim(p, partition, &base, &end);
        region.gpa = region.hpa = base;
        region.size = end - base;
        fmt_print(region.name, sizeof(region.name), "%s", d->name);
        if (region.size)
            r = plan_add_region(p, &region);
    }
    return r;
}

u32 plan_source_of(const struct plan_partition *part, u32 board_source)
{
    for (u32 s = 1; s < METAL_SOURCES_MAX; s++) {
        if (part->source[s].board_source == board_source)
            return s;
    }
    return 0;
}

/* The board's number, if the partition has it to give. Devices may share a line. */
static int add_device_irqs(struct plan *p, u32 partition, struct plan_device *d,
                           const struct toml_node *n)
{
    struct plan_partition *part = &p->partition[partition];

    for (u32 i = 0; i < d->irq_count; i++) {
        u32 wanted = d->irq[i].source, source = plan_source_of(part, wanted);
        bool same = wanted < METAL_SOURCES_MAX && !part->source[wanted].node;
        int r;

        if (wanted == p->board.iommu_source)
            return plan_refuse(p, n, "interrupt %u of '%s' is that of the board's IOMMU", wanted,
                               d->name);
        r = source ? 0 : plan_add_source(p, partition, n, same ? wanted : 0, d->name, &source);

        if (r)
            return r;
        part->source[source].board_source = wanted;
        d->irq[i].source = source;
    }
    return 0;
}

static int check_device(struct plan *p, u32 partition, const struct plan_device *d,
                        const struct toml_node *n)
{
    for (u32 i = 0; i <= partition; i++) {
        const struct plan_partition *other = &p->partition[i];

        for (u32 j = 0; j < other->device_count; j++) {
            if (other->device[j].node == d->node)
                return plan_refuse(p, n, "'%s' is given twice: '%s' has it by line %u", d->name,
                                   other->name, other->device_line[j]);
        }
    }
    if (!d->harmless && !d->iommu_count && !p->partition[partition].dma_trusted)
        return plan_refuse(p, n,
                           "'%s' may reach all memory by DMA, and the board has no IOMMU that "
                           "would hold it%s; say dma = \"trusted\" if its driver is",
                           d->name,
                           p->board.iommu.size ? ": it is not behind the one there is" : "");
    if (d->is_pci || d->iommu_count) {
        if (p->dma_node)
            return plan_refuse(p, n,
                               "'%s' is a second PCI host or device behind the IOMMU, after that "
                               "of line %u; the hypervisor serves one",
                               d->name, p->dma_node->line);
        p->dma_node = n;
        p->dma_partition = partition;
        p->dma = *d;
    }
    if (p->partition[partition].device_count == PLAN_DEVICES)
        return plan_refuse(p, n, "a partition has at most %u devices", PLAN_DEVICES);
    return 0;
}

static int read_devices(struct plan *p, u32 partition)
{
    struct plan_partition *part = &p->partition[partition];
    const struct toml_node *n = part->devices ? part->devices->first : NULL;
    int r = 0;

    for (; n && !r; n = n->next) {
        struct plan_device *d = &part->device[part->device_count < PLAN_DEVICES ? part->device_count
                                                                                : PLAN_DEVICES - 1];
        struct plan_device found;
        struct err err;

        if (n->kind != TOML_STRING)
            return plan_refuse(p, n, "a device is given by its name, not %s",
                               toml_kind_name(n->kind));
        if (plan_board_device(&p->board, n->text, &found, &err))
            return plan_refuse(p, n, "%s", err.msg);
        r = check_device(p, partition, &found, n);
        if (r)
            return r;
        *d = found;
        part->device_line[part->device_count++] = n->line;
        if (!strcmp(d->name, p->board.console))
            p->board.uart = 0; /* the hypervisor leaves it to the partition */
        r = add_device_regions(p, partition, d, n);
        if (!r)
            r = add_device_irqs(p, partition, d, n);
    }
    return r;
}

static int take_partition(struct plan *p, const struct toml_node *n)
{
    struct plan_partition *part = &p->partition[p->partition_count];
    int r;

    part->node = n;
    part->start = true;
    part->console = true;
    r = read_table(p, n, "a partition", keys, ARRAY_SIZE(keys), part);
    for (u32 i = 0; i < p->partition_count && !r; i++) {
        if (!strcmp(p->partition[i].name, part->name))
            r = plan_refuse(p, n, "there is a partition '%s' already, in line %u", part->name,
                            p->partition[i].node->line);
    }
    p->partition_count++;
    return r;
}

int read_partitions(struct plan *p)
{
    int r = read_each(p, "partition", METAL_PARTITIONS_MAX, take_partition);

    if (!r && !p->partition_count)
        return plan_refuse(p, NULL, "there is no [[partition]]");
    for (u32 i = 0; i < p->partition_count && !r; i++)
        r = read_devices(p, i);
    return r;
}
