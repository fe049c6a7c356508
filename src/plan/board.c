/* SPDX-License-Identifier: BSD-2-Clause */
/* A board as its device tree describes it. */
#include "plan/board.h"

#include "base/checked.h"
#include "base/endian.h"
#include "base/fmt.h"
#include "plan/board_pci.h"
#include "plan/dt.h"

#include <errno.h>
#include <libfdt.h>
#include <string.h>

#define IRQ_S_SOFT 1
#define IRQ_S_EXT  9

/* What cannot reach memory by itself. All else may, as a virtio or an Ethernet device does: a list
 * of those that can would be too short one day. */
static const char *const harmless[] = {
    "ns16550a",         "ns16550",      "ns8250",
    "snps,dw-apb-uart", "sifive,uart0", "google,goldfish-rtc",
    "sifive,test0",     "cfi-flash",    "sifive,gpio0",
    "snps,dw-apb-gpio", "sifive,pwm0",  "gpio-leds",
    "snps,dw-wdt",
};

/* Not for partitions: the hypervisor has or emulates them. */
static const char *const kept[] = {
    "riscv,plic0",         "sifive,plic-1.0.0", "thead,c900-plic", "riscv,aplic",
    "riscv,imsics",        "riscv,clint0",      "sifive,clint0",   "riscv,aclint-mswi",
    "riscv,aclint-mtimer", "riscv,aclint-sswi", "riscv,iommu",
};

static bool is_any(const void *fdt, int node, const char *const *names, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (fdt_node_check_compatible(fdt, node, names[i]) == 0)
            return true;
    }
    return false;
}

static int read_ram(struct plan_board *b, struct err *err)
{
    struct plan_range r;
    int node;

    DT_EACH(b->fdt, node)
    {
        if (!dt_is_okay(b->fdt, node) || !dt_has_string(b->fdt, node, "device_type", "memory"))
            continue;
        for (u32 i = 0; dt_reg(b->fdt, node, i, &r.base, &r.size); i++) {
            if (r.size > b->ram.size)
                b->ram = r;
        }
    }
    if (!b->ram.size || b->ram.base + b->ram.size < b->ram.base)
        return err_set(err, EINVAL, "its device tree tells of no memory");
    return 0;
}

static int read_reserved(struct plan_board *b, struct err *err)
{
    int parent = fdt_path_offset(b->fdt, "/reserved-memory"), node;
    struct plan_range r;

    if (parent < 0)
        return 0;
    fdt_for_each_subnode(node, b->fdt, parent)
    {
        for (u32 i = 0; dt_reg(b->fdt, node, i, &r.base, &r.size); i++) {
            if (b->reserved_count == BOARD_RESERVED)
                return err_set(err, EINVAL,
                               "its device tree reserves more than %u pieces of memory",
                               BOARD_RESERVED);
            b->reserved[b->reserved_count++] = r;
        }
    }
    return 0;
}

/* The phandle of a hart's local interrupt controller; 0: none. */
static u32 local_intc(const void *fdt, int cpu)
{
    int node;

    fdt_for_each_subnode(node, fdt, cpu)
    {
        if (fdt_node_check_compatible(fdt, node, "riscv,cpu-intc") == 0)
            return fdt_get_phandle(fdt, node);
    }
    return 0;
}

static void copy_text(const void *fdt, int node, const char *name, char *to, size_t size)
{
    const char *text = dt_text(fdt, node, name);

    if (text && !*to)
        fmt_print(to, size, "%s", text);
}

/* The newer way to tell an instruction set, a list of extensions, as the older, which is one
 * string: letters first, then words. */
static void read_extensions(struct plan_board *b, int cpu)
{
    const char *base = dt_text(b->fdt, cpu, "riscv,isa-base");
    int count = fdt_stringlist_count(b->fdt, cpu, "riscv,isa-extensions");
    size_t len;

    if (*b->isa || !base || count < 0)
        return;
    len = fmt_print(b->isa, sizeof(b->isa), "%.4s", base);
    for (int pass = 0; pass < 2; pass++) {
        for (int i = 0; i < count; i++) {
            const char *word = fdt_stringlist_get(b->fdt, cpu, "riscv,isa-extensions", i, NULL);

            if (word && *word && !word[1] == !pass && len < sizeof(b->isa))
                len += fmt_print(b->isa + len, sizeof(b->isa) - len, pass ? "_%s" : "%s", word);
        }
    }
}

/* 0: not told. It may have one cell or two. */
static u64 read_timebase(const void *fdt, int node, u64 otherwise)
{
    u32 high = dt_cell(fdt, node, "timebase-frequency", 0, 0);
    u32 low = dt_cell(fdt, node, "timebase-frequency", 1, 0);

    return high ? high : low ? low : otherwise;
}

static int read_hart(struct plan_board *b, int cpu, struct err *err)
{
    const void *fdt = b->fdt;
    u32 id = dt_cell(fdt, cpu, "reg", 0, UINT32_MAX), intc = local_intc(fdt, cpu);

    if (id == UINT32_MAX || !intc)
        return err_set(err, EINVAL, "its device tree has a hart without number or controller: %s",
                       fdt_get_name(fdt, cpu, NULL));
    if (b->hart_count == METAL_HARTS_MAX)
        return err_set(err, EINVAL, "it has more harts than the %u that are served",
                       METAL_HARTS_MAX);
    b->hart[b->hart_count++] = (struct plan_board_hart){
        .id = id, .intc = intc, .plic_context = UINT32_MAX, .imsic_index = UINT32_MAX};
    copy_text(fdt, cpu, "riscv,isa", b->isa, sizeof(b->isa));
    read_extensions(b, cpu);
    copy_text(fdt, cpu, "mmu-type", b->mmu, sizeof(b->mmu));
    b->cbom = dt_cell(fdt, cpu, "riscv,cbom-block-size", 0, b->cbom);
    b->cboz = dt_cell(fdt, cpu, "riscv,cboz-block-size", 0, b->cboz);
    b->timebase = read_timebase(fdt, cpu, b->timebase);
    return 0;
}

static int read_harts(struct plan_board *b, struct err *err)
{
    int parent = fdt_path_offset(b->fdt, "/cpus"), node, r = 0;

    if (parent < 0)
        return err_set(err, EINVAL, "its device tree has no /cpus");
    b->timebase = read_timebase(b->fdt, parent, 0);
    fdt_for_each_subnode(node, b->fdt, parent)
    {
        if (!r && dt_has_string(b->fdt, node, "device_type", "cpu") && dt_is_okay(b->fdt, node))
            r = read_hart(b, node, err);
    }
    if (r)
        return r;
    if (!b->hart_count || !b->timebase)
        return err_set(err, EINVAL, "its device tree lacks %s",
                       b->timebase ? "harts" : "the timebase's frequency");
    if (strncmp(b->isa, "rv64", 4) || !memchr(b->isa + 4, 'h', strcspn(b->isa + 4, "_")))
        return err_set(err, EINVAL,
                       "its harts have no hypervisor extension: '%.64s' is no rv64 with h", b->isa);
    return 0;
}

/* The place of a hart's interrupt among those that node raises; UINT32_MAX: it does not. */
static u32 place_of(const void *fdt, int node, u32 intc, u32 irq)
{
    u32 parent;

    for (u32 i = 0; (parent = dt_cell(fdt, node, "interrupts-extended", 2 * i, 0)); i++) {
        if (parent == intc && dt_cell(fdt, node, "interrupts-extended", 2 * i + 1, 0) == irq)
            return i;
    }
    return UINT32_MAX;
}

/* Where the harts' S-mode interrupts stand among those that the controller raises. */
static void find_contexts(struct plan_board *b, int node, bool imsic)
{
    for (u32 h = 0; h < b->hart_count; h++) {
        u32 place = place_of(b->fdt, node, b->hart[h].intc, IRQ_S_EXT);

        *(imsic ? &b->hart[h].imsic_index : &b->hart[h].plic_context) = place;
    }
}

/* S-mode's software interrupts by a store (ACLINT 1.0, chapter 4), if they reach all harts. */
static void read_sswi(struct plan_board *b)
{
    bool all = true;
    int node;

    DT_EACH(b->fdt, node)
    {
        if (b->sswi.size || fdt_node_check_compatible(b->fdt, node, "riscv,aclint-sswi") ||
            !dt_is_okay(b->fdt, node) || !dt_reg(b->fdt, node, 0, &b->sswi.base, &b->sswi.size))
            continue;
        for (u32 h = 0; h < b->hart_count; h++) {
            b->hart[h].sswi_index = place_of(b->fdt, node, b->hart[h].intc, IRQ_S_SOFT);
            all = all && b->hart[h].sswi_index < 1024; /* of the page that is mapped */
        }
    }
    if (!all)
        b->sswi.size = 0;
}

static int check_contexts(const struct plan_board *b, struct err *err)
{
    for (u32 h = 0; h < b->hart_count; h++) {
        if ((b->intc == METAL_INTC_AIA ? b->hart[h].imsic_index : b->hart[h].plic_context) ==
            UINT32_MAX)
            return err_set(err, EINVAL, "its interrupt controller does not reach hart %u in S-mode",
                           b->hart[h].id);
    }
    return 0;
}

static int log2_up(u64 n)
{
    int bits = 0;

    while (UINT64_C(1) << bits < n)
        bits++;
    return bits;
}

static void read_imsic(struct plan_board *b, int node)
{
    const void *fdt = b->fdt;

    b->imsic_guest_bits = dt_cell(fdt, node, "riscv,guest-index-bits", 0, 0);
    b->imsic_hart_bits =
        dt_cell(fdt, node, "riscv,hart-index-bits", 0, (u32)log2_up(b->hart_count));
    b->imsic_group_shift = dt_cell(fdt, node, "riscv,group-index-bits", 0, 0)
                               ? dt_cell(fdt, node, "riscv,group-index-shift", 0, 24)
                               : 0;
    b->imsic_ids = dt_cell(fdt, node, "riscv,num-ids", 0, 63);
    find_contexts(b, node, true);
}

/* The S-level APLIC is the one that sends to the S-level IMSIC. */
static bool read_aia(struct plan_board *b)
{
    const void *fdt = b->fdt;
    u32 imsic = 0;
    int node;

    DT_EACH(fdt, node)
    {
        if (fdt_node_check_compatible(fdt, node, "riscv,imsics") == 0 && dt_is_okay(fdt, node) &&
            dt_cell(fdt, node, "interrupts-extended", 1, 0) == IRQ_S_EXT &&
            dt_reg(fdt, node, 0, &b->imsic.base, &b->imsic.size)) {
            imsic = fdt_get_phandle(fdt, node);
            read_imsic(b, node);
        }
    }
    DT_EACH(fdt, node)
    {
        if (!imsic || fdt_node_check_compatible(fdt, node, "riscv,aplic") ||
            !dt_is_okay(fdt, node) || dt_cell(fdt, node, "msi-parent", 0, 0) != imsic ||
            !dt_reg(fdt, node, 0, &b->aplic.base, &b->aplic.size))
            continue;
        b->intc = METAL_INTC_AIA;
        b->intc_phandle = fdt_get_phandle(fdt, node);
        b->intc_cells = dt_cell(fdt, node, "#interrupt-cells", 0, 2);
        b->sources = dt_cell(fdt, node, "riscv,num-sources", 0, 0);
        return true;
    }
    return false;
}

static bool read_plic(struct plan_board *b)
{
    static const char *const names[] = {"riscv,plic0", "sifive,plic-1.0.0", "thead,c900-plic"};
    const void *fdt = b->fdt;
    int node;

    DT_EACH(fdt, node)
    {
        if (!is_any(fdt, node, names, ARRAY_SIZE(names)) || !dt_is_okay(fdt, node) ||
            !dt_reg(fdt, node, 0, &b->plic.base, &b->plic.size))
            continue;
        b->intc = METAL_INTC_PLIC;
        b->intc_phandle = fdt_get_phandle(fdt, node);
        b->intc_cells = dt_cell(fdt, node, "#interrupt-cells", 0, 1);
        b->sources = dt_cell(fdt, node, "riscv,ndev", 0, 0);
        find_contexts(b, node, false);
        read_sswi(b);
        return true;
    }
    return false;
}

/* The console that firmware used, if it is an 8250 of one sort or another. */
static void read_console(struct plan_board *b)
{
    static const char *const names[] = {"ns16550a", "ns16550", "ns8250", "snps,dw-apb-uart"};
    int chosen = fdt_path_offset(b->fdt, "/chosen"), node;
    const char *text = chosen < 0 ? NULL : dt_text(b->fdt, chosen, "stdout-path");
    u64 size;

    if (!text)
        return;
    node = fdt_path_offset_namelen(b->fdt, text, (int)strcspn(text, ":"));
    if (node < 0 || !is_any(b->fdt, node, names, ARRAY_SIZE(names)) ||
        !dt_reg(b->fdt, node, 0, &b->uart, &size))
        return;
    b->uart_shift = dt_cell(b->fdt, node, "reg-shift", 0, 0);
    fmt_print(b->console, sizeof(b->console), "%s", fdt_get_name(b->fdt, node, NULL));
}

int plan_board_read(struct plan_board *b, void *fdt, size_t size, struct err *err)
{
    int r;

    b->fdt = fdt;
    if (size < sizeof(struct fdt_header) || fdt_check_full(fdt, size))
        return err_set(err, EINVAL, "it is no whole device tree (dtc -O dtb makes one)");
    r = read_ram(b, err);
    if (!r)
        r = read_reserved(b, err);
    if (!r)
        r = read_harts(b, err);
    if (r)
        return r;
    if (!read_aia(b) && !read_plic(b))
        return err_set(err, EINVAL,
                       "its device tree has neither a PLIC nor an APLIC with an IMSIC for S-mode");
    if (b->intc_cells < 1 || b->intc_cells > 2)
        return err_set(err, EINVAL, "its interrupts have %u cells; 1 or 2 are served",
                       b->intc_cells);
    read_console(b);
    board_iommu_read(b);
    return check_contexts(b, err);
}

u32 plan_board_vlen(const struct plan_board *b)
{
    const size_t letters = strcspn(b->isa, "_");
    const char *word = b->isa;
    u32 vlen = 128; /* V's least */

    if (!memchr(b->isa + 4, 'v', letters - 4))
        return 0;
    while ((word = strstr(word, "_zvl"))) {
        u32 bits = 0;

        for (word += 4; *word >= '0' && *word <= '9' && bits < 65536 * 10; word++)
            bits = bits * 10 + (u32)(*word - '0');
        vlen = *word == 'b' && bits > vlen ? bits : vlen;
    }
    return vlen;
}

/* The controller of a node's interrupts: of its own or of one above. */
static u32 interrupt_parent(const void *fdt, int node)
{
    u32 parent = 0;

    while (node >= 0 && !parent) {
        parent = dt_cell(fdt, node, "interrupt-parent", 0, 0);
        node = fdt_parent_offset(fdt, node);
    }
    return parent;
}

static int read_irqs(const struct plan_board *b, struct plan_device *d, struct err *err)
{
    const bool extended = fdt_getprop(b->fdt, d->node, "interrupts-extended", NULL);
    const char *property = extended ? "interrupts-extended" : "interrupts";
    const u32 step = b->intc_cells + extended;
    u32 parent = interrupt_parent(b->fdt, d->node), source;
    int len = 0;

    if (!fdt_getprop(b->fdt, d->node, property, &len))
        return 0;
    for (u32 i = 0; i < (u32)len / 4; i += step) {
        if (extended)
            parent = dt_cell(b->fdt, d->node, property, i, 0);
        source = dt_cell(b->fdt, d->node, property, i + extended, 0);
        if (parent != b->intc_phandle || !source || source > b->sources || (u32)len / 4 - i < step)
            return err_set(err, EINVAL,
                           "'%s' has an interrupt that does not come from the board's controller",
                           d->name);
        if (d->irq_count == BOARD_IRQS)
            return err_set(err, EINVAL, "'%s' has more than %u interrupts", d->name, BOARD_IRQS);
        d->irq[d->irq_count++] = (struct plan_irq){
            source,
            b->intc_cells > 1 ? dt_cell(b->fdt, d->node, property, i + extended + 1, 0) : 0};
    }
    return 0;
}

/* Is it one that a partition could get: with registers, and not the hypervisor's? */
static bool is_device(const struct plan_board *b, int node)
{
    u64 base, size;

    return dt_is_okay(b->fdt, node) && fdt_getprop(b->fdt, node, "compatible", NULL) &&
           dt_reg(b->fdt, node, 0, &base, &size) && size &&
           !is_any(b->fdt, node, kept, ARRAY_SIZE(kept)) &&
           !range_overlaps(base, size, b->ram.base, b->ram.size) &&
           strlen(fdt_get_name(b->fdt, node, NULL)) < BOARD_NAME_MAX;
}

const char *plan_board_kept(const struct plan_board *b, u64 base, u64 size)
{
    struct plan_range r;
    int node;

    DT_EACH(b->fdt, node)
    {
        const char *name = fdt_get_name(b->fdt, node, NULL);

        if (!is_any(b->fdt, node, kept, ARRAY_SIZE(kept)) &&
            !(b->uart && !strcmp(name, b->console)))
            continue;
        for (u32 i = 0; dt_reg(b->fdt, node, i, &r.base, &r.size); i++) {
            if (range_overlaps(r.base, r.size, base, size))
                return name;
        }
    }
    return NULL;
}

static int read_device(const struct plan_board *b, int node, struct plan_device *d, struct err *err)
{
    int r;

    *d = (struct plan_device){.node = node};
    fmt_print(d->name, sizeof(d->name), "%s", fdt_get_name(b->fdt, node, NULL));
    d->harmless = is_any(b->fdt, node, harmless, ARRAY_SIZE(harmless));
    while (d->range_count < BOARD_RANGES &&
           dt_reg(b->fdt, node, d->range_count, &d->range[d->range_count].base,
                  &d->range[d->range_count].size))
        d->range_count++;
    r = fdt_getprop(b->fdt, node, "interrupt-map", NULL) ? board_pci_read(b, d, err)
                                                         : read_irqs(b, d, err);
    board_behind_iommu(b, d);
    return r;
}

bool plan_board_next(const struct plan_board *b, struct plan_device *d)
{
    struct err ignored;
    int node = d->node;

    while ((node = fdt_next_node(b->fdt, node, NULL)) >= 0) {
        if (is_device(b, node) && !read_device(b, node, d, &ignored))
            return true;
    }
    return false;
}

int plan_board_device(const struct plan_board *b, const char *name, struct plan_device *d,
                      struct err *err)
{
    int found = -1, node;

    if (strchr(name, '@') && name[0] != '/') {
        DT_EACH(b->fdt, node)
        {
            if (found < 0 && !strcmp(fdt_get_name(b->fdt, node, NULL), name))
                found = node;
        }
    } else if (*name) {
        found = fdt_path_offset(b->fdt, name); /* an alias, too */
    }
    if (found < 0)
        return err_set(
            err, EINVAL,
            "the board has no device '%.64s'; its device tree names them as in serial@10000000",
            name);
    if (!is_device(b, found))
        return err_set(err, EINVAL,
                       "'%.64s' cannot be given to a partition: it is the hypervisor's, or has no "
                       "registers",
                       name);
    return read_device(b, found, d, err);
}
