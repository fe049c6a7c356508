/* SPDX-License-Identifier: BSD-2-Clause */
/* [board] of a configuration: which board, and where on it the hypervisor lies. */
#include "plan/read.h"

#include "base/fmt.h"
#include "host/file.h"
#include "plan/files.h"

#include <errno.h>
#include <string.h>

#define FDT_MAX    (16 * MIB)
#define SELF_ALIGN (2 * MIB)
#define SELF_OFFSET                                                               \
    (2 * MIB) /* firmware is below, as OpenSBI's FW_JUMP and QEMU's -bios have it \
               */

struct board_table {
    const char *machine, *dtb, *isa;
    const struct toml_node *machine_node, *dtb_node, *harts_node, *memory_node, *aia_node,
        *guests_node, *vector_node, *iommu_node, *at_node;
    u32 harts, guests;
    u64 memory, at;
    u32 all_stopped; /* enum metal_all_stopped */
    bool aia, vector, iommu;
};

static int take_harts(struct plan *p, const struct toml_node *n, void *field)
{
    struct board_table *t = field;

    t->harts_node = n;
    if (n->integer < 1 || n->integer > METAL_HARTS_MAX)
        return plan_refuse(p, n, "a board of %lld harts is not served: 1 to %u",
                           (long long)n->integer, METAL_HARTS_MAX);
    t->harts = (u32)n->integer;
    return 0;
}

static int take_memory(struct plan *p, const struct toml_node *n, void *field)
{
    struct board_table *t = field;

    t->memory_node = n;
    return take_size(p, n, &t->memory);
}

static int take_aia(struct plan *p, const struct toml_node *n, void *field)
{
    struct board_table *t = field;

    t->aia_node = n;
    t->aia = n->integer;
    return 0;
}

static int take_iommu(struct plan *p, const struct toml_node *n, void *field)
{
    struct board_table *t = field;

    t->iommu_node = n;
    t->iommu = n->integer;
    return 0;
}

static int take_guests(struct plan *p, const struct toml_node *n, void *field)
{
    struct board_table *t = field;

    t->guests_node = n;
    if (n->integer < 1 || n->integer > 7)
        return plan_refuse(p, n, "aia-guests is out of range: 1 to 7 guest files a hart");
    t->guests = (u32)n->integer;
    return 0;
}

static int take_vector(struct plan *p, const struct toml_node *n, void *field)
{
    struct board_table *t = field;

    t->vector_node = n;
    t->vector = n->integer;
    return 0;
}

static int take_at(struct plan *p, const struct toml_node *n, void *field)
{
    struct board_table *t = field;

    t->at_node = n;
    if (n->integer < 0 || n->integer % (s64)SELF_ALIGN)
        return plan_refuse(p, n, "the hypervisor begins at a multiple of 2 MiB");
    t->at = (u64)n->integer;
    return 0;
}

static int take_all_stopped(struct plan *p, const struct toml_node *n, void *field)
{
    static const char *const names[] = {"off", "reboot", "stay", NULL};
    struct board_table *t = field;

    return read_choice(p, n, names, "end of a board", &t->all_stopped);
}

#define AT(field) offsetof(struct board_table, field)
static const struct plan_key keys[] = {
    {"machine", KIND(STRING), take_node, AT(machine_node)},
    {"dtb", KIND(STRING), take_node, AT(dtb_node)},
    {"isa", KIND(STRING), take_text, AT(isa)},
    {"harts", KIND(INTEGER), take_harts, 0},
    {"memory", KIND(STRING) | KIND(INTEGER), take_memory, 0},
    {"aia", KIND(BOOLEAN), take_aia, 0},
    {"aia-guests", KIND(INTEGER), take_guests, 0},
    {"vector", KIND(BOOLEAN), take_vector, 0},
    {"iommu", KIND(BOOLEAN), take_iommu, 0},
    {"at", KIND(INTEGER), take_at, 0},
    {"when-all-stopped", KIND(STRING), take_all_stopped, 0},
};
#undef AT

/* Keys that say what a device tree says. */
static int check_dtb_alone(struct plan *p, const struct board_table *t)
{
    const struct toml_node *other = t->machine_node  ? t->machine_node
                                    : t->harts_node  ? t->harts_node
                                    : t->memory_node ? t->memory_node
                                    : t->aia_node    ? t->aia_node
                                    : t->guests_node ? t->guests_node
                                    : t->vector_node ? t->vector_node
                                                     : t->iommu_node;

    if (!other)
        return 0;
    return plan_refuse(p, other, "'%s' is told by the device tree of line %u; leave one out",
                       other->key, t->dtb_node->line);
}

static int make_virt(struct plan *p, const struct toml_node *board, const struct board_table *t,
                     void **fdt, size_t *size)
{
    const struct plan_virt virt = {
        t->harts, t->memory, t->aia, t->iommu, t->guests ? t->guests : 1, t->vector, t->isa};
    const struct toml_node *machine = t->machine_node;
    struct err err;

    if (machine && strcmp(machine->text, "virt"))
        return plan_refuse(
            p, machine,
            "'%.40s' is no machine known here: \"virt\", or dtb = FILE for a board of "
            "your own",
            machine->text);
    if (!t->harts || !t->memory)
        return plan_refuse(p, board, "'%s' of the board is missing", t->harts ? "memory" : "harts");
    if (t->memory > 256 * GIB)
        return plan_refuse(p, t->memory_node, "a virt board has at most 256G of memory");
    if (t->guests && !t->aia)
        return plan_refuse(p, t->guests_node, "aia-guests needs aia = true");
    fmt_print(p->board.name, sizeof(p->board.name), "virt");
    return plan_board_virt(&virt, fdt, size, &err) ? plan_refuse(p, board, "%s", err.msg) : 0;
}

static int read_dtb(struct plan *p, const struct board_table *t, void **fdt, size_t *size)
{
    const char *name = strrchr(t->dtb_node->text, '/');
    u8 *bytes = NULL;
    u64 length;
    int r = check_dtb_alone(p, t);

    if (!r)
        r = files_read(p, t->dtb_node, FDT_MAX, &bytes, &length);
    if (r)
        return r;
    fmt_print(p->board.name, sizeof(p->board.name), "%s", name ? name + 1 : t->dtb_node->text);
    *fdt = bytes;
    *size = length;
    return 0;
}

int read_board(struct plan *p)
{
    const struct toml_node *board = toml_get(p->toml.root, "board"), *at;
    struct board_table t = {0};
    struct err err;
    size_t size = 0;
    int r;

    if (!board || board->kind != TOML_TABLE)
        return plan_refuse(p, board, "a configuration begins with a table [board]");
    r = read_table(p, board, "the board", keys, ARRAY_SIZE(keys), &t);
    if (!r)
        r = t.dtb_node ? read_dtb(p, &t, &p->board.fdt, &size)
                       : make_virt(p, board, &t, &p->board.fdt, &size);
    if (r)
        return r;
    at = t.dtb_node ? t.dtb_node : board;
    if (t.isa) /* firmware's trees do not always tell of h */
        fmt_print(p->board.isa, sizeof(p->board.isa), "%s", t.isa);
    r = plan_board_read(&p->board, p->board.fdt, size, &err);
    if (r)
        return plan_refuse(p, at, "this board cannot be used: %s", err.msg);
    p->all_stopped = (enum metal_all_stopped)t.all_stopped;
    p->self_node = t.at_node ? t.at_node : board;
    p->self_hpa = t.at_node ? t.at : p->board.ram.base + SELF_OFFSET;
    if (p->self_hpa < p->board.ram.base || p->self_hpa - p->board.ram.base >= p->board.ram.size)
        return plan_refuse(p, p->self_node, "the hypervisor at 0x%llx is not in the board's memory",
                           (unsigned long long)p->self_hpa);
    return 0;
}
