/* SPDX-License-Identifier: BSD-2-Clause */
/* What a configuration of cosm-metal makes of a board, for programs. */
#include "apps/cosm/metal_report.h"

#include "api/json.h"
#include "host/scope.h"
#include "plan/manifest.h"

#include <errno.h>
#include <stdio.h>

#define JSON_MAX (256 * KIB)

static void put(struct json_out *out, const char *key, const char *value)
{
    json_key(out, key);
    json_put_string(out, value);
}

static void put_number(struct json_out *out, const char *key, u64 value)
{
    json_key(out, key);
    json_put_integer(out, (s64)value);
}

static void put_flag(struct json_out *out, const char *key, bool value)
{
    json_key(out, key);
    json_put_bool(out, value);
}

static void open_list(struct json_out *out, const char *key)
{
    json_key(out, key);
    json_open(out, '[');
}

static void put_board(struct json_out *out, const struct plan *p)
{
    const struct plan_board *b = &p->board;

    json_key(out, "board");
    json_open(out, '{');
    put(out, "name", b->name);
    put_number(out, "harts", b->hart_count);
    put_number(out, "memory_base", b->ram.base);
    put_number(out, "memory_bytes", b->ram.size);
    put(out, "isa", b->isa);
    put_number(out, "timebase_hz", b->timebase);
    put(out, "interrupts", b->intc == METAL_INTC_AIA ? "aia" : "plic");
    put_number(out, "sources", b->sources);
    if (b->intc == METAL_INTC_AIA) {
        put_number(out, "aplic", b->aplic.base);
        put_number(out, "imsic", b->imsic.base);
        put_number(out, "imsic_guest_bits", b->imsic_guest_bits);
        put_number(out, "imsic_hart_bits", b->imsic_hart_bits);
        put_number(out, "imsic_ids", b->imsic_ids);
    } else {
        put_number(out, "plic", b->plic.base);
        put_number(out, "plic_bytes", b->plic.size);
    }
    put_number(out, "iommu", b->iommu.base);
    put_number(out, "console", b->uart);
    json_close(out, '}');
}

static void put_memory(struct json_out *out, const struct plan *p)
{
    struct piece list[PIECES_MAX];
    u32 count = metal_pieces(p, list);

    open_list(out, "memory");
    for (u32 i = 0; i < count; i++) {
        json_open(out, '{');
        put_number(out, "base", list[i].base);
        put_number(out, "bytes", list[i].size);
        put(out, "what", list[i].what);
        json_close(out, '}');
    }
    json_close(out, ']');
}

static void put_vcpu(struct json_out *out, const struct plan *p, const struct plan_vcpu *v)
{
    put(out, "partition", p->partition[v->partition].name);
    put_number(out, "vcpu", v->number);
}

static void put_harts(struct json_out *out, const struct plan *p)
{
    open_list(out, "harts");
    for (u32 h = 0; h < p->board.hart_count; h++) {
        json_open(out, '{');
        put_number(out, "number", p->board.hart[h].id);
        put(out, "mode", metal_mode_name(p->hart[h].mode));
        open_list(out, "vcpus");
        for (u32 i = 0; i < p->vcpu_count; i++) {
            if (p->vcpu[i].hart != h)
                continue;
            json_open(out, '{');
            put_vcpu(out, p, &p->vcpu[i]);
            put_number(out, "priority", p->vcpu[i].priority);
            put_number(out, "budget_ticks", p->vcpu[i].budget);
            put_number(out, "period_ticks", p->vcpu[i].period);
            json_close(out, '}');
        }
        json_close(out, ']');
        json_close(out, '}');
    }
    json_close(out, ']');
}

static void put_windows(struct json_out *out, const struct plan *p, const struct plan_schedule *s)
{
    open_list(out, "windows");
    for (u32 h = 0; h < p->board.hart_count; h++) {
        for (u32 w = 0; w < s->window_count[h]; w++) {
            json_open(out, '{');
            put_number(out, "hart", p->board.hart[h].id);
            put_vcpu(out, p, &p->vcpu[s->window[h][w].vcpu]);
            put_number(out, "start_ticks", s->window[h][w].start);
            put_number(out, "length_ticks", s->window[h][w].length);
            json_close(out, '}');
        }
    }
    json_close(out, ']');
}

static void put_plans(struct json_out *out, const struct plan *p)
{
    open_list(out, "plans");
    for (u32 i = 0; i < p->schedule_count; i++) {
        json_open(out, '{');
        put(out, "name", p->schedule[i].name);
        put_number(out, "frame_ticks", p->schedule[i].frame);
        put_windows(out, p, &p->schedule[i]);
        json_close(out, '}');
    }
    json_close(out, ']');
}

static void put_regions(struct json_out *out, const struct plan *p, u32 partition)
{

    open_list(out, "regions");
    for (u32 i = 0; i < p->region_count; i++) {
        const struct plan_region *r = &p->region[i];

        if (r->partition != partition)
            continue;
        json_open(out, '{');
        put(out, "kind", metal_region_name(r->kind));
        if (*r->name)
            put(out, "name", r->name);
        put_number(out, "at", r->gpa);
        put_number(out, "bytes", r->size);
        if (r->placed)
            put_number(out, "board", r->hpa);
        put_flag(out, "writable", r->flags & METAL_REGION_WRITE);
        json_close(out, '}');
    }
    json_close(out, ']');
}

static void put_images(struct json_out *out, const struct plan *p, u32 partition)
{
    char digest[65];

    open_list(out, "images");
    for (u32 i = 0; i < p->image_count; i++) {
        const struct plan_image *image = &p->image[i];

        if (image->partition != partition)
            continue;
        plan_hex(image->sha256, sizeof(image->sha256), digest);
        json_open(out, '{');
        put(out, "name", image->name);
        put_number(out, "at", image->gpa);
        put_number(out, "bytes", image->size);
        put(out, "sha256", digest);
        json_close(out, '}');
    }
    json_close(out, ']');
}

static void put_sources(struct json_out *out, const struct plan_partition *part)
{
    open_list(out, "interrupts");
    for (u32 s = 1; s < METAL_SOURCES_MAX; s++) {
        if (!part->source[s].node)
            continue;
        json_open(out, '{');
        put_number(out, "number", s);
        put(out, "of", part->source[s].name);
        put_number(out, "board", part->source[s].board_source);
        json_close(out, '}');
    }
    json_close(out, ']');
}

static void put_partitions(struct json_out *out, const struct plan *p)
{
    open_list(out, "partitions");
    for (u32 i = 0; i < p->partition_count; i++) {
        const struct plan_partition *part = &p->partition[i];

        json_open(out, '{');
        put(out, "name", part->name);
        put_number(out, "entry", part->entry);
        put_number(out, "device_tree", part->arg);
        put_flag(out, "start", part->start);
        put_flag(out, "may_control", part->rights & METAL_MAY_CONTROL);
        put_flag(out, "may_monitor", part->rights & METAL_MAY_MONITOR);
        put_flag(out, "vector", part->vector);
        put_regions(out, p, i);
        put_images(out, p, i);
        put_sources(out, part);
        json_close(out, '}');
    }
    json_close(out, ']');
}

int metal_report_json(const struct plan *p, struct err *err)
{
    AUTO_FREE char *text = malloc(JSON_MAX);
    struct json_out out;

    if (!text)
        return err_set(err, ENOMEM, "no memory to tell about a configuration");
    json_out_init(&out, text, JSON_MAX);
    json_open(&out, '{');
    put_board(&out, p);
    put_memory(&out, p);
    put_harts(&out, p);
    put_plans(&out, p);
    put_partitions(&out, p);
    put_number(&out, "table_pages", p->table_pages);
    json_close(&out, '}');
    if (out.cut)
        return err_set(err, EFBIG, "there is more to tell than %llu KiB",
                       (unsigned long long)(JSON_MAX / KIB));
    printf("%s\n", text);
    return 0;
}
