/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The device tree of a partition: the machine that it finds itself in.
 *
 * Context n of an emulated PLIC is hart n in S-mode. The interrupts of devices have the numbers
 * that the partition sees.
 */
#include "plan/guest_dtb.h"

#include "base/endian.h"
#include "base/fmt.h"
#include "machine/tree.h"
#include "plan/board_pci.h"
#include "plan/dt.h"

#include <errno.h>
#include <libfdt.h>
#include <stdlib.h>
#include <string.h>

enum {
    HART_INTC = 1, /* phandles: of hart n's controller HART_INTC + n */
    INTC = 100,    /* PLIC or APLIC */
    IMSIC,
    IRQ_EDGE = 1, /* IRQ_TYPE_... of Linux's bindings */
    IRQ_LEVEL = 4,
    IRQ_S_EXT = 9,
};

#define SLACK 2048 /* boot loaders write into the tree where it lies */

struct guest {
    struct tree tree;
    const struct plan *plan;
    const struct plan_partition *part;
    u32 partition;
    bool aia;
};

/* Whole words that stay, of those that begin like a privileged extension. */
static bool is_kept(const char *word, size_t len, bool aia)
{
    static const char *const kept[] = {"sstc", "svinval", "svnapot", "svpbmt"};

    for (u32 i = 0; i < ARRAY_SIZE(kept); i++) {
        if (strlen(kept[i]) == len && !memcmp(kept[i], word, len))
            return true;
    }
    return aia && len == 5 && !memcmp(word, "ssaia", 5);
}

/* What is M-mode's or the hypervisor's; and vectors. */
static bool is_dropped(const char *word, size_t len, bool aia, bool vector)
{
    if (is_kept(word, len, aia))
        return false;
    return word[0] == 's' || (!vector && len >= 2 && !memcmp(word, "zv", 2));
}

void guest_isa(const char *board, bool aia, bool vector, char *isa, size_t size)
{
    size_t letters = strcspn(board, "_"), len = 0;

    for (size_t i = 0; i < letters && len + 1 < size; i++) {
        if (i < 4 || (board[i] != 'h' && (vector || board[i] != 'v'))) /* behind "rv64" */
            isa[len++] = board[i];
    }
    isa[len] = '\0';
    for (const char *word = board + letters; *word; word += strcspn(word, "_")) {
        size_t n = strcspn(++word, "_");

        if (n && !is_dropped(word, n, aia, vector))
            len += fmt_print(isa + len, len < size ? size - len : 0, "_%.*s", (int)n, word);
    }
}

static void put_interrupt(struct guest *g, u32 source, u32 type)
{
    const u32 cells[2] = {source, type};

    tree_cell(&g->tree, "interrupt-parent", INTC);
    tree_cells(&g->tree, "interrupts", cells, g->aia ? 2 : 1);
}

static void put_cpus(struct guest *g)
{
    const struct plan_board *b = &g->plan->board;
    struct tree *t = &g->tree;
    char isa[512];

    guest_isa(b->isa, g->aia, g->part->vector, isa, sizeof(isa));
    tree_begin(t, "cpus");
    tree_cell(t, "#address-cells", 1);
    tree_cell(t, "#size-cells", 0);
    tree_cell(t, "timebase-frequency", (u32)b->timebase);
    for (u32 n = 0; n < g->part->vcpu_count; n++) {
        tree_begin_at(t, "cpu", n);
        tree_string(t, "device_type", "cpu");
        tree_cell(t, "reg", n);
        tree_string(t, "status", "okay");
        tree_string(t, "compatible", "riscv");
        tree_string(t, "riscv,isa", isa);
        if (*b->mmu)
            tree_string(t, "mmu-type", b->mmu);
        if (b->cbom)
            tree_cell(t, "riscv,cbom-block-size", b->cbom);
        if (b->cboz)
            tree_cell(t, "riscv,cboz-block-size", b->cboz);
        tree_begin(t, "interrupt-controller");
        tree_cell(t, "#interrupt-cells", 1);
        tree_cell(t, "#address-cells", 0);
        tree_flag(t, "interrupt-controller");
        tree_string(t, "compatible", "riscv,cpu-intc");
        tree_cell(t, "phandle", HART_INTC + n);
        tree_end(t);
        tree_end(t);
    }
    tree_end(t);
}

/* The first 8250 among the devices is where a kernel speaks early. */
static const char *console_of(const struct guest *g)
{
    for (u32 i = 0; i < g->part->device_count; i++) {
        const struct plan_device *d = &g->part->device[i];

        if (!strncmp(d->name, "serial@", 7) || !strncmp(d->name, "uart@", 5))
            return d->name;
    }
    return g->part->console ? "serial@10000000" : NULL;
}

static void put_chosen(struct guest *g)
{
    const struct plan_partition *part = g->part;
    const char *console = console_of(g);
    char path[64];

    tree_begin(&g->tree, "chosen");
    if (part->append)
        tree_string(&g->tree, "bootargs", part->append);
    if (part->initrd_size) {
        tree_u64(&g->tree, "linux,initrd-start", part->initrd_gpa);
        tree_u64(&g->tree, "linux,initrd-end", part->initrd_gpa + part->initrd_size);
    }
    if (console) {
        fmt_print(path, sizeof(path), "/soc/%s", console);
        tree_string(&g->tree, "stdout-path", path);
    }
    tree_end(&g->tree);
}

static void put_memory(struct guest *g)
{
    for (u32 i = 0; i < g->plan->region_count; i++) {
        const struct plan_region *r = &g->plan->region[i];

        if (r->partition != g->partition || r->kind != PLAN_MEMORY)
            continue;
        tree_begin_at(&g->tree, "memory", r->gpa);
        tree_string(&g->tree, "device_type", "memory");
        tree_reg(&g->tree, r->gpa, r->size);
        tree_end(&g->tree);
    }
}

static u32 source_count(const struct guest *g)
{
    u32 n = METAL_SOURCES_MAX - 1;

    while (n > 1 && !g->part->source[n].node)
        n--;
    return n;
}

static void put_plic(struct guest *g)
{
    u32 cells[2 * METAL_VCPUS_MAX], n = 0;
    struct tree *t = &g->tree;

    for (u32 i = 0; i < g->part->vcpu_count; i++) {
        cells[n++] = HART_INTC + i;
        cells[n++] = IRQ_S_EXT;
    }
    tree_begin_at(t, "plic", GUEST_PLIC);
    tree_strings(t, "compatible", "sifive,plic-1.0.0\nriscv,plic0");
    tree_reg(t, GUEST_PLIC, GUEST_PLIC_SIZE);
    tree_cells(t, "interrupts-extended", cells, n);
    tree_cell(t, "riscv,ndev", source_count(g));
    tree_flag(t, "interrupt-controller");
    tree_cell(t, "#interrupt-cells", 1);
    tree_cell(t, "#address-cells", 0);
    tree_cell(t, "phandle", INTC);
    tree_end(t);
}

static void put_aia(struct guest *g)
{
    u32 cells[2 * METAL_VCPUS_MAX], n = 0;
    struct tree *t = &g->tree;

    for (u32 i = 0; i < g->part->vcpu_count; i++) {
        cells[n++] = HART_INTC + i;
        cells[n++] = IRQ_S_EXT;
    }
    tree_begin_at(t, "imsics", GUEST_IMSIC);
    tree_string(t, "compatible", "riscv,imsics");
    tree_reg(t, GUEST_IMSIC, g->part->vcpu_count * PLAN_PAGE);
    tree_cells(t, "interrupts-extended", cells, n);
    tree_cell(t, "riscv,num-ids", g->plan->board.imsic_ids);
    tree_flag(t, "interrupt-controller");
    tree_cell(t, "#interrupt-cells", 0);
    tree_cell(t, "#address-cells", 0);
    tree_flag(t, "msi-controller");
    tree_cell(t, "#msi-cells", 0);
    tree_cell(t, "phandle", IMSIC);
    tree_end(t);
    tree_begin_at(t, "aplic", GUEST_APLIC);
    tree_string(t, "compatible", "riscv,aplic");
    tree_reg(t, GUEST_APLIC, GUEST_APLIC_SIZE);
    tree_cell(t, "msi-parent", IMSIC);
    tree_cell(t, "riscv,num-sources", source_count(g));
    tree_flag(t, "interrupt-controller");
    tree_cell(t, "#interrupt-cells", 2);
    tree_cell(t, "#address-cells", 0);
    tree_cell(t, "phandle", INTC);
    tree_end(t);
}

/* Written anew, or leading to nodes that the partition does not have. */
static bool is_own_property(const char *name)
{
    static const char *const names[] = {"reg",
                                        "interrupts",
                                        "interrupts-extended",
                                        "phandle",
                                        "interrupt-parent",
                                        "linux,phandle",
                                        "clocks",
                                        "clock-names",
                                        "resets",
                                        "reset-names",
                                        "power-domains",
                                        "dmas",
                                        "dma-names",
                                        "iommus",
                                        "iommu-map",
                                        "iommu-map-mask",
                                        "msi-parent",
                                        "msi-map",
                                        "msi-map-mask",
                                        "ranges",
                                        "#address-cells",
                                        "#size-cells",
                                        "assigned-clocks",
                                        "assigned-clock-rates",
                                        "interrupt-map",
                                        "interrupt-map-mask"};
    size_t len = strlen(name);

    for (u32 i = 0; i < ARRAY_SIZE(names); i++) {
        if (!strcmp(names[i], name))
            return true;
    }
    return !strncmp(name, "pinctrl", 7) || (len > 7 && !strcmp(name + len - 7, "-supply"));
}

/* A clock that never changes needs no node: drivers of UARTs take its frequency as well. */
static void put_clock(struct guest *g, int node)
{
    const void *fdt = g->plan->board.fdt;
    u32 phandle = dt_cell(fdt, node, "clocks", 0, 0);
    int clock = phandle ? fdt_node_offset_by_phandle(fdt, phandle) : -1;
    u32 hz = clock < 0 ? 0 : dt_cell(fdt, clock, "clock-frequency", 0, 0);

    if (hz && !fdt_getprop(fdt, node, "clock-frequency", NULL))
        tree_cell(&g->tree, "clock-frequency", hz);
}

#define LINE_CELLS (PCI_CHILD_CELLS + 3) /* the controller, a source, its type */
#define LINES_MAX  64

/* A PCI host's windows, interrupts, and with AIA where its devices' messages go, which the IOMMU
 * translates like all that they write. */
static void put_pci(struct guest *g, const struct plan_device *d)
{
    u32 cells[LINES_MAX * LINE_CELLS], n = 0;
    const void *fdt = g->plan->board.fdt;
    struct board_line line;
    const void *value;
    int len;

    for (u32 i = 0; i < LINES_MAX && board_pci_line(&g->plan->board, d->node, i, &line); i++) {
        memcpy(cells + n, line.child, sizeof(line.child));
        n += PCI_CHILD_CELLS;
        cells[n++] = INTC;
        cells[n++] = plan_source_of(g->part, line.irq.source);
        if (g->aia)
            cells[n++] = line.irq.type ? line.irq.type : IRQ_LEVEL;
    }
    tree_cells(&g->tree, "interrupt-map", cells, n);
    value = fdt_getprop(fdt, d->node, "interrupt-map-mask", &len);
    if (value)
        tree_bytes(&g->tree, "interrupt-map-mask", value, (size_t)len);
    value = fdt_getprop(fdt, d->node, "ranges", &len);
    if (value)
        tree_bytes(&g->tree, "ranges", value, (size_t)len);
    tree_cell(&g->tree, "#address-cells", 3);
    tree_cell(&g->tree, "#size-cells", 2);
    if (g->aia && d->iommu_count)
        tree_cell(&g->tree, "msi-parent", IMSIC);
}

static void put_device(struct guest *g, const struct plan_device *d)
{
    const void *fdt = g->plan->board.fdt, *value;
    u32 cells[4 * BOARD_RANGES], n = 0;
    const char *name;
    int property, len;

    tree_begin(&g->tree, d->name);
    fdt_for_each_property_offset(property, fdt, d->node)
    {
        value = fdt_getprop_by_offset(fdt, property, &name, &len);
        if (value && !is_own_property(name))
            tree_bytes(&g->tree, name, value, (size_t)len);
    }
    put_clock(g, d->node);
    for (u32 i = 0; i < (d->is_pci ? 1 : d->range_count); i++) {
        cells[n++] = (u32)(d->range[i].base >> 32);
        cells[n++] = (u32)d->range[i].base;
        cells[n++] = (u32)(d->range[i].size >> 32);
        cells[n++] = (u32)d->range[i].size;
    }
    tree_cells(&g->tree, "reg", cells, n);
    if (d->is_pci)
        put_pci(g, d);
    n = 0;
    for (u32 i = 0; i < d->irq_count && !d->is_pci; i++) {
        cells[n++] = d->irq[i].source;
        if (g->aia)
            cells[n++] = d->irq[i].type ? d->irq[i].type : IRQ_LEVEL;
    }
    if (n) {
        tree_cell(&g->tree, "interrupt-parent", INTC);
        tree_cells(&g->tree, "interrupts", cells, n);
    }
    tree_end(&g->tree);
}

static void put_channel(struct guest *g, const struct plan_channel *c, u32 end)
{
    static const char *const kinds[] = {"memory", "sampling", "queuing"};
    const struct plan_end *e = &c->end[end];
    struct tree *t = &g->tree;

    tree_begin_at(t, "channel", e->gpa);
    tree_string(t, "compatible", "cosm,channel");
    tree_string(t, "label", c->name);
    tree_string(t, "cosm,kind", kinds[c->kind]);
    tree_string(t, "cosm,role", end ? "reader" : "writer");
    tree_reg(t, e->gpa, c->size);
    if (e->doorbell != METAL_NONE) { /* of the writer: one for each reader, from this number on */
        tree_cell(t, "cosm,doorbell", e->doorbell);
        tree_cell(t, "cosm,doorbells", end ? 1 : c->end_count - 1);
    }
    if (e->source)
        put_interrupt(g, e->source, IRQ_EDGE);
    tree_end(t);
}

static void put_virtio(struct guest *g, const struct plan_vdev *v)
{
    struct tree *t = &g->tree;

    tree_begin_at(t, "virtio_mmio", v->gpa);
    tree_string(t, "compatible", "virtio,mmio");
    tree_reg(t, v->gpa, v->size);
    put_interrupt(g, v->source, IRQ_LEVEL);
    tree_end(t);
}

/* What the built-in service is to make of a device. */
static void put_kind(struct guest *g, u32 index)
{
    static const char *const names[] = {NULL, "console", "net", "blk"};
    const struct plan_vdev *v = &g->plan->vdev[index];
    const u8 mac[6] = {2, 'C', 'O', 'S', 'M', (u8)index}; /* locally administered */
    const u32 disk[4] = {(u32)(v->disk >> 32), (u32)v->disk, (u32)(v->disk_size >> 32),
                         (u32)v->disk_size};

    if (v->kind != PLAN_VIRTIO_OTHER)
        tree_string(&g->tree, "cosm,device", names[v->kind]);
    if (v->join)
        tree_string(&g->tree, "cosm,join", v->join);
    if (v->kind == PLAN_VIRTIO_NET)
        tree_bytes(&g->tree, "local-mac-address", mac, sizeof(mac));
    if (v->kind == PLAN_VIRTIO_BLK)
        tree_cells(&g->tree, "cosm,disk", disk, ARRAY_SIZE(disk));
    if (v->readonly)
        tree_flag(&g->tree, "read-only");
}

/* What a service answers for: the device's number, and where it sees the driver's memory. */
static void put_service(struct guest *g, u32 index)
{
    const struct plan_vdev *v = &g->plan->vdev[index];
    const struct plan_region *memory = plan_memory(g->plan, v->partition);
    struct tree *t = &g->tree;

    tree_begin_at(t, "virtio-service", index);
    tree_string(t, "compatible", "cosm,virtio-service");
    tree_cell(t, "cosm,vdev", index);
    tree_string(t, "label", g->plan->partition[v->partition].name);
    if (v->has_window) {
        tree_u64(t, "cosm,driver-memory", memory->gpa);
        tree_reg(t, v->window, memory->size);
    }
    put_interrupt(g, v->service_source, IRQ_EDGE);
    put_kind(g, index);
    tree_end(t);
}

/* Polled: it has no interrupt. Its FIFO says how much a driver sends between two looks at it. */
static void put_uart(struct guest *g)
{
    struct tree *t = &g->tree;

    tree_begin_at(t, "serial", GUEST_UART);
    tree_string(t, "compatible", "ns16550a");
    tree_reg(t, GUEST_UART, 0x100);
    tree_cell(t, "clock-frequency", 64000000);
    tree_cell(t, "current-speed", 4000000);
    tree_cell(t, "fifo-size", 256);
    tree_end(t);
}

static void put_soc(struct guest *g)
{
    const struct plan *p = g->plan;
    struct tree *t = &g->tree;

    tree_begin(t, "soc");
    tree_cell(t, "#address-cells", 2);
    tree_cell(t, "#size-cells", 2);
    tree_string(t, "compatible", "simple-bus");
    tree_flag(t, "ranges");
    if (g->aia)
        put_aia(g);
    else
        put_plic(g);
    if (g->part->console)
        put_uart(g);
    for (u32 i = 0; i < g->part->device_count; i++)
        put_device(g, &g->part->device[i]);
    for (u32 i = 0; i < p->vdev_count; i++) {
        if (p->vdev[i].partition == g->partition)
            put_virtio(g, &p->vdev[i]);
        if (p->vdev[i].service == g->partition)
            put_service(g, i);
    }
    for (u32 i = 0; i < p->channel_count; i++) {
        for (u32 e = 0; e < p->channel[i].end_count; e++) {
            if (p->channel[i].end[e].partition == g->partition)
                put_channel(g, &p->channel[i], e);
        }
    }
    tree_end(t);
}

/* Devices of the board have properties of any length. */
static size_t bound(const struct guest *g)
{
    size_t bytes = 32 * KIB + g->part->vcpu_count * 1024;

    return bytes + (g->part->append ? strlen(g->part->append) : 0) +
           (g->part->device_count ? fdt_totalsize(g->plan->board.fdt) : 0);
}

int guest_dtb_make(struct plan *p, u32 partition, u8 **fdt, u64 *size)
{
    struct guest g = {.plan = p,
                      .part = &p->partition[partition],
                      .partition = partition,
                      .aia = p->board.intc == METAL_INTC_AIA};
    const size_t room = bound(&g);
    struct tree *t = &g.tree;
    char model[64];

    t->fdt = calloc(1, room);
    if (!t->fdt)
        return plan_refuse(p, g.part->node, "no memory for a device tree");
    fmt_print(model, sizeof(model), "cosm-metal,%s", g.part->name);
    tree_do(t, fdt_create(t->fdt, (int)(room - SLACK)));
    tree_do(t, fdt_finish_reservemap(t->fdt));
    tree_begin(t, "");
    tree_cell(t, "#address-cells", 2);
    tree_cell(t, "#size-cells", 2);
    tree_string(t, "compatible", "cosm,partition");
    tree_string(t, "model", model);
    put_chosen(&g);
    put_cpus(&g);
    put_memory(&g);
    put_soc(&g);
    tree_end(t);
    tree_do(t, fdt_finish(t->fdt));
    if (!t->error)
        tree_do(t, fdt_open_into(t->fdt, t->fdt, (int)fdt_totalsize(t->fdt) + SLACK));
    if (t->error) {
        free(t->fdt);
        return plan_refuse(p, g.part->node, "the device tree of '%s' cannot be made: %s",
                           g.part->name, fdt_strerror(t->error));
    }
    *fdt = t->fdt;
    *size = fdt_totalsize(t->fdt);
    return 0;
}

static int set_chosen(void *fdt, const struct plan_partition *part)
{
    int node = fdt_path_offset(fdt, "/chosen"), r = 0;

    if (node < 0)
        node = fdt_add_subnode(fdt, 0, "chosen");
    if (node < 0)
        return node;
    if (part->append)
        r = fdt_setprop_string(fdt, node, "bootargs", part->append);
    if (!r && part->initrd_size)
        r = fdt_setprop_u64(fdt, node, "linux,initrd-start", part->initrd_gpa);
    if (!r && part->initrd_size)
        r = fdt_setprop_u64(fdt, node, "linux,initrd-end", part->initrd_gpa + part->initrd_size);
    return r;
}

int guest_dtb_patch(struct plan *p, u32 partition, const u8 *given, u64 given_size, u8 **fdt,
                    u64 *size)
{
    const struct plan_partition *part = &p->partition[partition];
    const u64 room = given_size + SLACK + (part->append ? strlen(part->append) : 0);
    int r;

    if (given_size < sizeof(struct fdt_header) || fdt_check_full(given, given_size))
        return plan_refuse(p, part->dtb, "'%s' is no whole device tree (dtc -O dtb makes one)",
                           part->dtb->text);
    *fdt = calloc(1, room);
    if (!*fdt)
        return plan_refuse(p, part->dtb, "no memory for a device tree");
    r = fdt_open_into(given, *fdt, (int)room);
    if (!r && (part->append || part->initrd_size))
        r = set_chosen(*fdt, part);
    if (r) {
        free(*fdt);
        return plan_refuse(p, part->dtb, "'%s' takes no command line: %s", part->dtb->text,
                           fdt_strerror(r));
    }
    *size = room;
    return 0;
}
