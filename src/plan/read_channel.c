/* SPDX-License-Identifier: BSD-2-Clause */
/* [[channel]] and [[virtio]] of a configuration: what partitions have to do with each other. */
#include "plan/read.h"

#include "base/checked.h"
#include "base/fmt.h"

#include <string.h>

#define CHANNELS_AT UINT64_C(0x70000000) /* where channels lie unless told */
#define VIRTIO_AT   UINT64_C(0x10001000) /* as on virt */
#define WINDOWS_AT  (4 * GIB)            /* of services, unless told */
#define VIRTIO_MAX  (64 * KIB)           /* what requests can tell of offsets */

/* The first place from base on where size bytes of the partition's addresses are free. */
static u64 find_gpa(const struct plan *p, u32 partition, u64 base, u64 size)
{
    bool moved = true;

    while (moved) {
        moved = false;
        for (u32 i = 0; i < p->region_count; i++) {
            const struct plan_region *r = &p->region[i];

            if (r->partition != partition || !range_overlaps(r->gpa, r->size, base, size))
                continue;
            base = r->gpa + r->size;
            moved = true;
        }
    }
    return base;
}

struct channel_table {
    const struct toml_node *from, *to, *at, *irq, *kind, *doorbell;
};

struct channel_read {
    struct plan_channel channel;
    struct channel_table table;
};

static int take_doorbell(struct plan *p, const struct toml_node *n, void *field)
{
    static const char *const names[] = {"both", NULL};
    struct plan_channel *c = field;
    u32 i;

    c->rings = n->kind == TOML_STRING || n->integer;
    c->rings_back = n->kind == TOML_STRING;
    return n->kind == TOML_STRING ? read_choice(p, n, names, "doorbell", &i) : 0;
}

static int take_channel_kind(struct plan *p, const struct toml_node *n, void *field)
{
    static const char *const names[] = {"memory", "sampling", "queuing", NULL};
    struct plan_channel *c = field;
    u32 i;
    int r = read_choice(p, n, names, "kind of channel", &i);

    if (!r)
        c->kind = (enum plan_channel_kind)i;
    return r;
}

#define AT(field) offsetof(struct channel_read, field)
static const struct plan_key channel_keys[] = {
    {"name", KIND(STRING), take_name, AT(channel.name), true},
    {"size", KIND(STRING) | KIND(INTEGER), take_size, AT(channel.size), true},
    {"from", KIND(STRING), take_node, AT(table.from), true},
    {"to", KIND(STRING) | KIND(ARRAY), take_node, AT(table.to), true},
    {"kind", KIND(STRING), take_channel_kind, AT(channel)},
    {"at", KIND(TABLE), take_node, AT(table.at)},
    {"doorbell", KIND(BOOLEAN) | KIND(STRING), take_doorbell, AT(channel)},
    {"irq", KIND(TABLE), take_node, AT(table.irq)},
};
#undef AT

static int add_end(struct plan *p, struct plan_channel *c, const struct toml_node *n)
{
    u32 partition;
    int r = read_partition_name(p, n, &partition);

    if (r)
        return r;
    for (u32 i = 0; i < c->end_count; i++) {
        if (c->end[i].partition == partition)
            return plan_refuse(p, n, "'%s' is at both ends of this channel", n->text);
    }
    c->end[c->end_count++] = (struct plan_end){.partition = partition, .doorbell = METAL_NONE};
    return 0;
}

static int read_ends(struct plan *p, struct channel_read *read)
{
    const struct toml_node *to = read->table.to;
    int r = add_end(p, &read->channel, read->table.from);

    if (!r && to->kind == TOML_STRING)
        return add_end(p, &read->channel, to);
    for (to = to->first; to && !r; to = to->next)
        r = add_end(p, &read->channel, to); /* each partition once: there is room */
    if (!r && read->channel.end_count < 2)
        r = plan_refuse(p, read->table.to, "a channel leads to a partition");
    return r;
}

/* A table of values by partition, as at and irq are: the value for one of them, or NULL. */
static int end_value(struct plan *p, const struct plan_channel *c, const struct toml_node *table,
                     const struct plan_end *end, const struct toml_node **value)
{
    *value = NULL;
    for (const struct toml_node *n = table ? table->first : NULL; n; n = n->next) {
        bool known = false;

        for (u32 i = 0; i < c->end_count; i++)
            known |= !strcmp(n->key, p->partition[c->end[i].partition].name);
        if (!known)
            return plan_refuse(p, n, "'%.40s' is no partition of this channel", n->key);
        if (n->kind != TOML_INTEGER)
            return plan_refuse(p, n, "'%.40s' of %s is a number, not %s", n->key, table->key,
                               toml_kind_name(n->kind));
        if (!strcmp(n->key, p->partition[end->partition].name))
            *value = n;
    }
    return 0;
}

/* Readers of a sampling channel cannot write to it; with the others, they answer. */
static u32 end_flags(const struct plan_channel *c, u32 end)
{
    return METAL_REGION_READ | METAL_REGION_SHARED |
           (end && c->kind == PLAN_CHANNEL_SAMPLING ? 0 : METAL_REGION_WRITE);
}

static int add_end_region(struct plan *p, struct channel_read *read, u32 index)
{
    struct plan_channel *c = &read->channel;
    struct plan_end *e = &c->end[index];
    struct plan_region region = {.kind = PLAN_CHANNEL,
                                 .partition = e->partition,
                                 .size = c->size,
                                 .flags = end_flags(c, index),
                                 .node = c->node};
    const struct toml_node *at;
    int r = end_value(p, c, read->table.at, e, &at);

    if (!r && at)
        r = take_address(p, at, &e->gpa);
    if (r)
        return r;
    if (!at)
        e->gpa = find_gpa(p, e->partition, CHANNELS_AT, c->size);
    region.gpa = e->gpa;
    fmt_print(region.name, sizeof(region.name), "%s", c->name);
    return plan_add_region(p, &region);
}

static int add_end_source(struct plan *p, struct channel_read *read, u32 index)
{
    struct plan_channel *c = &read->channel;
    struct plan_end *e = &c->end[index];
    const struct toml_node *irq;
    u32 wanted = 0;
    char name[48];
    int r = end_value(p, c, read->table.irq, e, &irq);

    if (!r && irq)
        r = take_number(p, irq, &wanted);
    if (r)
        return r;
    if (!(index ? c->rings : c->rings_back))
        return irq ? plan_refuse(p, irq, "nobody rings '%s': say doorbell = true, or \"both\"",
                                 irq->key)
                   : 0;
    fmt_print(name, sizeof(name), "channel '%s'", c->name);
    return plan_add_source(p, e->partition, irq ? irq : c->node, wanted, name, &e->source);
}

static int take_channel(struct plan *p, const struct toml_node *n)
{
    struct channel_read read = {.channel.node = n};
    struct plan_channel *c = &read.channel;
    int r = read_table(p, n, "a channel", channel_keys, ARRAY_SIZE(channel_keys), &read);

    if (!r)
        r = read_ends(p, &read);
    for (u32 i = 0; i < p->channel_count && !r; i++) {
        if (!strcmp(p->channel[i].name, c->name))
            r = plan_refuse(p, n, "there is a channel '%s' already, in line %u", c->name,
                            p->channel[i].node->line);
    }
    for (u32 i = 0; i < c->end_count && !r; i++) {
        r = add_end_region(p, &read, i);
        if (!r)
            r = add_end_source(p, &read, i);
    }
    p->channel[p->channel_count++] = read.channel;
    return r;
}

/* A partition's doorbells count from 0, in the order of the channels and of their ends. */
static int number_doorbells(struct plan *p)
{
    u32 total = 0;

    for (u32 part = 0; part < p->partition_count; part++) {
        u32 count = 0;

        for (u32 i = 0; i < p->channel_count; i++) {
            struct plan_channel *c = &p->channel[i];

            if (c->end[0].partition == part && c->rings) {
                c->end[0].doorbell = count;
                count += c->end_count - 1;
            }
            for (u32 e = 1; e < c->end_count && c->rings_back; e++) {
                if (c->end[e].partition == part)
                    c->end[e].doorbell = count++;
            }
            if (total + count > METAL_DOORBELLS_MAX)
                return plan_refuse(p, c->node, "all channels together have more than %u doorbells",
                                   METAL_DOORBELLS_MAX);
        }
        total += count;
    }
    return 0;
}

int read_channels(struct plan *p)
{
    int r = read_each(p, "channel", PLAN_CHANNELS, take_channel);

    return r ? r : number_doorbells(p);
}

/* --- [[virtio]] --- */

struct virtio_table {
    const struct toml_node *partition, *service, *at, *irq, *service_irq, *window, *device, *join,
        *disk, *readonly;
    u64 size;
};

struct disk_table {
    u64 at, size;
};

#define AT(field) offsetof(struct virtio_table, field)
static const struct plan_key virtio_keys[] = {
    {"partition", KIND(STRING), take_node, AT(partition), true},
    {"service", KIND(STRING), take_node, AT(service), true},
    {"at", KIND(INTEGER), take_node, AT(at)},
    {"size", KIND(STRING) | KIND(INTEGER), take_size, AT(size)},
    {"irq", KIND(INTEGER), take_node, AT(irq)},
    {"service-irq", KIND(INTEGER), take_node, AT(service_irq)},
    {"window", KIND(INTEGER), take_node, AT(window)},
    {"device", KIND(STRING), take_node, AT(device)},
    {"join", KIND(STRING), take_node, AT(join)},
    {"disk", KIND(TABLE), take_node, AT(disk)},
    {"readonly", KIND(BOOLEAN), take_node, AT(readonly)},
};
#undef AT

static const struct plan_key disk_keys[] = {
    {"at", KIND(INTEGER), take_address, offsetof(struct disk_table, at), true},
    {"size", KIND(STRING) | KIND(INTEGER), take_size, offsetof(struct disk_table, size), true},
};

static int add_virtio_source(struct plan *p, const struct toml_node *n, const struct toml_node *irq,
                             u32 partition, u32 *source)
{
    u32 wanted = 0;
    int r = irq ? take_number(p, irq, &wanted) : 0;

    return r ? r : plan_add_source(p, partition, irq ? irq : n, wanted, "a virtio device", source);
}

/* Rings lie in the driver's memory: the service reaches it only if the configuration says so. */
static int add_window(struct plan *p, struct plan_vdev *v)
{
    struct plan_region region = {.kind = PLAN_WINDOW,
                                 .partition = v->service,
                                 .gpa = v->window,
                                 .size = plan_memory(p, v->partition)->size,
                                 .flags =
                                     METAL_REGION_READ | METAL_REGION_WRITE | METAL_REGION_SHARED,
                                 .node = v->node};

    v->has_window = true;
    fmt_print(region.name, sizeof(region.name), "%s", p->partition[v->partition].name);
    return plan_add_region(p, &region);
}

/* The built-in service has a window, one for all devices of a driver. */
static int find_window(struct plan *p, struct plan_vdev *v)
{
    const struct plan_region *memory = plan_memory(p, v->partition);

    for (u32 i = 0; i < p->vdev_count; i++) {
        const struct plan_vdev *other = &p->vdev[i];

        if (other->has_window && other->partition == v->partition && other->service == v->service) {
            v->window = other->window;
            v->has_window = true;
            return 0;
        }
    }
    /* With the offset that the memory has in its pages of 2 MiB, so that these stay whole. */
    v->window = find_gpa(p, v->service, WINDOWS_AT, memory->size + 4 * MIB);
    v->window = align_up(v->window, 2 * MIB) + memory->gpa % (2 * MIB);
    return add_window(p, v);
}

static int take_disk(struct plan *p, const struct toml_node *n, struct plan_vdev *v)
{
    struct disk_table t = {0};
    int r = read_table(p, n, "a disk", disk_keys, ARRAY_SIZE(disk_keys), &t);

    v->disk = t.at;
    v->disk_size = t.size;
    return r;
}

/* What only some kinds of devices have. */
static int check_kind(struct plan *p, const struct toml_node *n, const struct virtio_table *t,
                      enum plan_virtio_kind kind)
{
    if (t->join && kind != PLAN_VIRTIO_NET && kind != PLAN_VIRTIO_CONSOLE)
        return plan_refuse(p, t->join,
                           "only a device = \"net\" or \"console\" is joined to others");
    if ((t->disk || t->readonly) && kind != PLAN_VIRTIO_BLK)
        return plan_refuse(p, t->disk ? t->disk : t->readonly, "only a device = \"blk\" is a disk");
    if (!t->disk && kind == PLAN_VIRTIO_BLK)
        return plan_refuse(p, n,
                           "a device = \"blk\" needs disk = { at, size } in the memory of "
                           "its service");
    if (!t->join && kind == PLAN_VIRTIO_NET)
        return plan_refuse(p, n, "a device = \"net\" needs join = NAME, which others join, too");
    return 0;
}

static int take_kind(struct plan *p, const struct toml_node *n, const struct virtio_table *t,
                     struct plan_vdev *v)
{
    static const char *const names[] = {"console", "net", "blk", NULL};
    u32 i = 0;
    int r = t->device ? read_choice(p, t->device, names, "virtio device", &i) : 0;

    if (r)
        return r;
    v->kind = t->device ? (enum plan_virtio_kind)(PLAN_VIRTIO_CONSOLE + i) : PLAN_VIRTIO_OTHER;
    v->join = t->join ? t->join->text : NULL;
    v->readonly = t->readonly && t->readonly->integer;
    r = check_kind(p, n, t, v->kind);
    return !r && t->disk ? take_disk(p, t->disk, v) : r;
}

static int take_virtio(struct plan *p, const struct toml_node *n)
{
    struct virtio_table t = {.size = PLAN_PAGE};
    struct plan_vdev *v = &p->vdev[p->vdev_count++];
    struct plan_region region = {.kind = PLAN_VIRTIO, .node = n};
    int r = read_table(p, n, "a virtio device", virtio_keys, ARRAY_SIZE(virtio_keys), &t);

    if (!r)
        r = read_partition_name(p, t.partition, &v->partition);
    if (!r)
        r = read_partition_name(p, t.service, &v->service);
    if (!r && v->partition == v->service)
        r = plan_refuse(p, n, "a partition cannot serve itself");
    if (!r)
        r = add_virtio_source(p, n, t.irq, v->partition, &v->source);
    if (!r)
        r = add_virtio_source(p, n, t.service_irq, v->service, &v->service_source);
    if (!r && t.at)
        r = take_address(p, t.at, &v->gpa);
    if (!r)
        r = take_kind(p, n, &t, v);
    if (!r && t.size > VIRTIO_MAX)
        r = plan_refuse(p, n, "registers of a virtio device take 64K at most");
    if (r)
        return r;
    v->node = n;
    v->size = t.size;
    v->notify_offset = 0x50; /* QueueNotify (virtio 1.2, section 4.2.2) */
    if (!t.at)
        v->gpa = find_gpa(p, v->partition, VIRTIO_AT, v->size);
    if (t.window)
        r = take_address(p, t.window, &v->window);
    if (!r && t.window)
        r = add_window(p, v);
    if (r)
        return r;
    region.partition = v->partition;
    region.gpa = v->gpa;
    region.size = v->size;
    fmt_print(region.name, sizeof(region.name), "virtio@%llx", (unsigned long long)v->gpa);
    return plan_add_region(p, &region);
}

/* How many devices of its kind and service are joined with v, itself included. */
static u32 count_joined(const struct plan *p, const struct plan_vdev *v)
{
    u32 count = 0;

    for (u32 i = 0; i < p->vdev_count; i++) {
        const struct plan_vdev *other = &p->vdev[i];

        count += other->kind == v->kind && other->service == v->service && other->join &&
                 !strcmp(other->join, v->join);
    }
    return count;
}

int read_virtio(struct plan *p)
{
    int r = read_each(p, "virtio", METAL_VDEVS_MAX, take_virtio);

    for (u32 i = 0; i < p->vdev_count && !r; i++) {
        struct plan_vdev *v = &p->vdev[i];
        u32 joined = v->join ? count_joined(p, v) : 2;

        if (v->kind != PLAN_VIRTIO_OTHER && !v->has_window)
            r = find_window(p, v);
        if (!r && joined < 2)
            r = plan_refuse(p, v->node,
                            "no other device of its kind is joined to '%s' by this service",
                            v->join);
        if (!r && joined > 2 && v->kind == PLAN_VIRTIO_CONSOLE)
            r = plan_refuse(p, v->node, "'%s' joins %u consoles, and a line has two ends", v->join,
                            joined);
    }
    return r;
}
