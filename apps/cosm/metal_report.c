/* SPDX-License-Identifier: BSD-2-Clause */
/* What a configuration of cosm-metal makes of a board, for people. */
#include "apps/cosm/metal_report.h"

#include "base/fmt.h"
#include "plan/check.h"
#include "plan/place.h"

#include <stdio.h>
#include <string.h>

/* "256 MiB" */
static const char *size_text(u64 size, char text[32])
{
    static const char *const units[] = {"KiB", "MiB", "GiB"};
    u64 unit = KIB;
    u32 i = 0;

    while (i < 2 && size % (unit * 1024) == 0) {
        unit *= 1024;
        i++;
    }
    fmt_print(text, 32, "%llu %s", (unsigned long long)(size / unit), units[i]);
    return text;
}

/* Ticks as "2.5 ms". */
static const char *time_text(const struct plan *p, u64 ticks, char text[32])
{
    static const char *const units[] = {"ns", "us", "ms", "s"};
    u128 ns = (u128)ticks * 1000000000 / p->board.timebase;
    u64 whole = (u64)ns, part = 0;
    u32 i = 0;

    while (i < 3 && whole >= 1000) {
        part = whole % 1000;
        whole /= 1000;
        i++;
    }
    if (part)
        fmt_print(text, 32, "%llu.%03llu", (unsigned long long)whole, (unsigned long long)part);
    else
        fmt_print(text, 32, "%llu", (unsigned long long)whole);
    for (size_t len = strlen(text); part && text[len - 1] == '0'; len--)
        text[len - 1] = '\0';
    fmt_print(text + strlen(text), 8, " %s", units[i]);
    return text;
}

const char *metal_mode_name(u32 mode)
{
    static const char *const names[] = {"unused", "exclusive", "cyclic", "priority"};

    return names[mode];
}

const char *metal_region_name(enum plan_kind kind)
{
    static const char *const names[] = {
        [PLAN_MEMORY] = "memory",    [PLAN_DEVICE] = "device",   [PLAN_CHANNEL] = "channel",
        [PLAN_WINDOW] = "window",    [PLAN_INTC] = "controller", [PLAN_UART] = "console",
        [PLAN_IMSIC] = "controller", [PLAN_VIRTIO] = "virtio"};

    return names[kind];
}

static void add_piece(struct piece *list, u32 *count, u64 base, u64 size, const char *what)
{
    u32 i = (*count)++;

    for (; i && list[i - 1].base > base; i--)
        list[i] = list[i - 1];
    list[i].base = base;
    list[i].size = size;
    fmt_print(list[i].what, sizeof(list[i].what), "%s", what);
}

/* A channel is one piece, however many have it. */
static void add_channel(const struct plan *p, const struct plan_channel *c, struct piece *list,
                        u32 *count)
{
    char what[96];
    size_t len = fmt_print(what, sizeof(what), "channel %s: %s to", c->name,
                           p->partition[c->end[0].partition].name);

    for (u32 e = 1; e < c->end_count && len < sizeof(what); e++)
        len += fmt_print(what + len, sizeof(what) - len, " %s",
                         p->partition[c->end[e].partition].name);
    add_piece(list, count, c->hpa, c->size, what);
}

u32 metal_pieces(const struct plan *p, struct piece list[PIECES_MAX])
{
    static const char *const taken[] = {"firmware", "hypervisor and images"};
    u32 count = 0;
    char what[96];

    for (u32 i = 0; i < place_taken_count(p); i++) {
        struct plan_range r = place_taken(p, i);

        if (r.size)
            add_piece(list, &count, r.base, r.size, i < 2 ? taken[i] : "reserved");
    }
    for (u32 i = 0; i < p->region_count; i++) {
        const struct plan_region *r = &p->region[i];

        if (r->kind != PLAN_MEMORY)
            continue;
        fmt_print(what, sizeof(what), "%s at 0x%llx", p->partition[r->partition].name,
                  (unsigned long long)r->gpa);
        add_piece(list, &count, r->hpa, r->size, what);
    }
    for (u32 i = 0; i < p->channel_count; i++)
        add_channel(p, &p->channel[i], list, &count);
    return count;
}

static void print_piece(u64 base, u64 size, const char *what)
{
    char text[32];

    printf("  0x%09llx  0x%09llx  %10s  %s\n", (unsigned long long)base,
           (unsigned long long)(base + size - 1), size_text(size, text), what);
}

static void print_memory(const struct plan *p)
{
    struct piece list[PIECES_MAX];
    u32 count = metal_pieces(p, list);
    u64 at = p->board.ram.base, end = at + p->board.ram.size;

    printf("\nmemory of the board\n");
    for (u32 i = 0; i < count; i++) {
        if (list[i].base > at)
            print_piece(at, list[i].base - at, "free");
        print_piece(list[i].base, list[i].size, list[i].what);
        at = list[i].base + list[i].size;
    }
    if (at < end)
        print_piece(at, end - at, "free");
}

static void print_vcpu(const struct plan *p, u32 index)
{
    printf("%s.%u", p->partition[p->vcpu[index].partition].name, p->vcpu[index].number);
}

static void print_hart(const struct plan *p, u32 hart)
{
    char budget[32], period[32];
    u32 share =
        p->hart[hart].mode == METAL_HART_PRIORITY ? plan_utilisation(p, hart, UINT32_MAX) : 0;

    printf("  %u  %-9s", p->board.hart[hart].id, metal_mode_name(p->hart[hart].mode));
    for (u32 i = 0; i < p->vcpu_count; i++) {
        const struct plan_vcpu *v = &p->vcpu[i];

        if (v->hart != hart)
            continue;
        printf("  ");
        print_vcpu(p, i);
        if (p->hart[hart].mode != METAL_HART_PRIORITY)
            continue;
        printf(" (%u", v->priority);
        if (v->budget)
            printf(": %s of %s", time_text(p, v->budget, budget), time_text(p, v->period, period));
        printf(")");
    }
    if (p->hart[hart].mode == METAL_HART_PRIORITY)
        printf("  %u.%02u %% of it by budgets", share / 100, share % 100);
    printf("\n");
}

static void print_plan(const struct plan *p, u32 index)
{
    const struct plan_schedule *s = &p->schedule[index];
    char frame[32], start[32], length[32];

    printf("\nplan %s: frame %s%s\n", s->name, time_text(p, s->frame, frame),
           index ? "" : ", in force at boot");
    for (u32 h = 0; h < p->board.hart_count; h++) {
        u32 share = plan_utilisation(p, h, index);

        if (p->hart[h].mode != METAL_HART_CYCLIC)
            continue;
        printf("  hart %u: %u.%02u %%\n", p->board.hart[h].id, share / 100, share % 100);
        for (u32 w = 0; w < s->window_count[h]; w++) {
            printf("    %10s + %-10s  ", time_text(p, s->window[h][w].start, start),
                   time_text(p, s->window[h][w].length, length));
            print_vcpu(p, s->window[h][w].vcpu);
            printf("\n");
        }
    }
}

/* Interrupts of a partition: their numbers there, and the board's where it is another. */
static void print_sources(const struct plan_partition *part)
{
    for (u32 s = 1; s < METAL_SOURCES_MAX; s++) {
        const struct plan_source *source = &part->source[s];

        if (!source->node)
            continue;
        printf("  interrupt %u: %s", s, source->name);
        if (source->board_source && source->board_source != s)
            printf(" (the board's %u)", source->board_source);
        printf("\n");
    }
}

static void print_partition(const struct plan *p, u32 index)
{
    const struct plan_partition *part = &p->partition[index];
    char text[32];

    printf("\npartition %s: entry 0x%llx, device tree at 0x%llx%s%s%s%s\n", part->name,
           (unsigned long long)part->entry, (unsigned long long)part->arg,
           part->start ? "" : ", does not start at boot",
           part->rights & METAL_MAY_CONTROL ? ", may control" : "",
           part->rights & METAL_MAY_MONITOR ? ", may monitor" : "",
           part->vector ? ", vectors" : "");
    for (u32 i = 0; i < p->region_count; i++) {
        const struct plan_region *r = &p->region[i];

        if (r->partition != index)
            continue;
        printf("  0x%09llx  %10s  %s%s%s", (unsigned long long)r->gpa, size_text(r->size, text),
               metal_region_name(r->kind), *r->name ? " " : "", r->name);
        printf(r->kind == PLAN_CHANNEL && !(r->flags & METAL_REGION_WRITE) ? ", read only\n"
                                                                           : "\n");
    }
    for (u32 i = 0; i < p->image_count; i++) {
        const struct plan_image *image = &p->image[i];

        if (image->partition == index)
            printf("  0x%09llx  %10llu  bytes of %s\n", (unsigned long long)image->gpa,
                   (unsigned long long)image->size, image->name);
    }
    print_sources(part);
}

void metal_report(const struct plan *p)
{
    const struct plan_board *b = &p->board;
    char text[32];

    printf("board %s: %u harts, %s, %s, clock of %llu Hz, %s\n", b->name, b->hart_count,
           size_text(b->ram.size, text), b->intc == METAL_INTC_AIA ? "AIA" : "PLIC",
           (unsigned long long)b->timebase,
           b->uart ? b->console : "no console of the hypervisor's own");
    print_memory(p);
    printf("\nharts\n");
    for (u32 h = 0; h < b->hart_count; h++)
        print_hart(p, h);
    for (u32 i = 0; i < p->schedule_count; i++)
        print_plan(p, i);
    for (u32 i = 0; i < p->partition_count; i++)
        print_partition(p, i);
    printf("\ntables: %u pages of %u\n", p->table_pages, METAL_TABLES_MAX);
}
