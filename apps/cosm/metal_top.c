/* SPDX-License-Identifier: BSD-2-Clause */
/* cosm metal top: what the harts of a board did in each second of its time. */
#include "apps/cosm/metal_trace.h"
#include "host/scope.h"
#include "plan/plan.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>

#define LATE_US 10                    /* a window that begins later than this began late */
#define OWNERS  (METAL_VCPUS_MAX + 1) /* the last one is nobody */
#define NOBODY  METAL_VCPUS_MAX
#define UNKNOWN OWNERS
#define TEXT    (8 * KIB) /* of a table */

struct hart_top {
    bool seen;
    u32 owner; /* since when: */
    u64 since;
    u64 had[OWNERS], ahead[OWNERS]; /* ticks of this second, of the next one */
    u64 windows, late, worst;
};

struct partition_top {
    u64 loads, events;
    u32 event, action; /* the last one's */
};

struct top {
    struct trace_source source;
    u64 begin, end; /* ticks: of the second under way; end 0: nothing came yet */
    u64 latest;     /* time of the last record */
    bool screen;
    bool midway; /* the trace does not begin with the board */
    struct hart_top hart[METAL_HARTS_MAX];
    struct partition_top partition[METAL_PARTITIONS_MAX];
    char text[TEXT]; /* the table that is being made */
    size_t len;
};

__attribute__((format(printf, 2, 3))) static void say(struct top *t, const char *fmt, ...)
{
    va_list ap;
    int n;

    va_start(ap, fmt);
    n = vsnprintf(t->text + t->len, sizeof(t->text) - t->len, fmt, ap);
    va_end(ap);
    if (n > 0 && (size_t)n < sizeof(t->text) - t->len)
        t->len += (size_t)n;
}

/* In the place of the last one, cut to the terminal's width; elsewhere below it. */
static void show(struct top *t)
{
    struct winsize size = {0};

    if (!t->screen || ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) < 0 || !size.ws_col)
        size.ws_col = UINT16_MAX;
    if (t->screen)
        printf("\033[H\033[2J");
    for (const char *line = t->text, *end = t->text + t->len; line < end;) {
        const char *next = memchr(line, '\n', (size_t)(end - line));
        int length = (int)((next ? next : end) - line);

        printf("%.*s\n", length < size.ws_col ? length : size.ws_col, line);
        line += length + 1;
    }
    if (!t->screen)
        putchar('\n');
    fflush(stdout);
    t->len = 0;
}

static void settle(const struct top *t, struct hart_top *h, u64 until)
{
    u64 middle = until < t->end ? until : t->end;

    middle = middle > h->since ? middle : h->since;
    if (until <= h->since)
        return;
    if (h->owner < OWNERS) {
        h->had[h->owner] += middle - h->since;
        h->ahead[h->owner] += until - middle;
    }
    h->since = until;
}

static const char *mode_of(const struct top *t, u32 hart)
{
    static const char *const names[] = {"unused", "exclusive", "cyclic", "priority"};
    u32 mode = t->source.configured ? t->source.config.hart[hart].mode : METAL_HART_UNUSED;

    return t->source.configured && mode < ARRAY_SIZE(names) ? names[mode] : "";
}

/* An exclusive hart has one owner, and no records of it. */
static u32 owner_of(const struct top *t, u32 hart)
{
    const struct metal_hart *h = &t->source.config.hart[hart];

    if (t->source.configured && h->mode == METAL_HART_EXCLUSIVE && h->vcpu_first < METAL_VCPUS_MAX)
        return h->vcpu_first;
    return t->hart[hart].owner;
}

static void print_shares(struct top *t, u32 hart)
{
    const struct hart_top *h = &t->hart[hart];
    u64 span = t->end - t->begin;
    char name[TRACE_NAME_MAX];
    bool first = true;

    if (t->source.configured && t->source.config.hart[hart].mode == METAL_HART_EXCLUSIVE) {
        say(t, "all");
        return;
    }
    for (u32 i = 0; i < OWNERS; i++) {
        if (!h->had[i])
            continue;
        say(t, "%s%s %.1f %%", first ? "" : ", ",
            trace_vcpu_name(&t->source, i == NOBODY ? METAL_NONE : i, name),
            100.0 * (double)h->had[i] / (double)span);
        first = false;
    }
}

static void print_hart(struct top *t, u32 hart)
{
    const struct hart_top *h = &t->hart[hart];
    u32 owner = owner_of(t, hart);
    char name[TRACE_NAME_MAX], worst[TRACE_NAME_MAX];

    say(t, "%4u  %-9s  %-12s  %7llu  %6llu  %9s  ", hart, mode_of(t, hart),
        owner == UNKNOWN  ? ""
        : owner == NOBODY ? "idle"
                          : trace_vcpu_name(&t->source, owner, name),
        (unsigned long long)h->windows, (unsigned long long)h->late,
        h->worst ? trace_duration(&t->source, h->worst, worst) : "-");
    print_shares(t, hart);
    say(t, "\n");
}

static u64 restarts(const struct top *t, const struct partition_top *p)
{
    return p->loads - (p->loads && !t->midway);
}

static void print_partition(struct top *t, u32 partition)
{
    const struct partition_top *p = &t->partition[partition];
    const char *event = plan_event_name(p->event), *action = plan_action_name(p->action);
    char name[TRACE_NAME_MAX];

    say(t, "%-16s  %8llu  %6llu", trace_partition_name(&t->source, partition, name),
        (unsigned long long)restarts(t, p), (unsigned long long)p->events);
    if (p->events)
        say(t, "  %s: %s", event ? event : "?", action ? action : "?");
    say(t, "\n");
}

static void print_table(struct top *t)
{
    const struct metal_config *c = &t->source.config;
    bool known = t->source.configured;

    say(t, "second %llu\n", (unsigned long long)(t->begin / trace_timebase(&t->source)));
    say(t, "hart  mode       now           windows    late      worst  time\n");
    for (u32 i = 0; i < METAL_HARTS_MAX; i++) {
        if (known ? i < c->board.hart_count && c->hart[i].mode != METAL_HART_UNUSED
                  : t->hart[i].seen)
            print_hart(t, i);
    }
    say(t, "partition         restarts  events  the last one\n");
    for (u32 i = 0; i < METAL_PARTITIONS_MAX; i++) {
        if (known ? i < c->partition_count : t->partition[i].loads || t->partition[i].events)
            print_partition(t, i);
    }
    show(t);
}

static void end_second(struct top *t, u64 length)
{
    for (u32 i = 0; i < METAL_HARTS_MAX; i++)
        settle(t, &t->hart[i], t->end);
    print_table(t);
    for (u32 i = 0; i < METAL_HARTS_MAX; i++) {
        struct hart_top *h = &t->hart[i];

        memcpy(h->had, h->ahead, sizeof(h->had));
        memset(h->ahead, 0, sizeof(h->ahead));
        h->windows = h->late = h->worst = 0;
    }
    t->begin = t->end;
    t->end += length;
}

/* Each hart's records are in order, those of several need not be: a second ends when any hart is
 * past it by as much as rings are read apart. */
static void pass(struct top *t, u64 time)
{
    u64 length = trace_timebase(&t->source), slack = length / 50;

    if (!t->end || time + length < t->begin || time / length > t->end / length + 60) {
        t->begin = time / length * length; /* the first one, or the board began anew */
        t->end = t->begin + length;
        t->latest = 0;
        for (u32 i = 0; i < METAL_HARTS_MAX; i++)
            t->hart[i] = (struct hart_top){.owner = UNKNOWN};
    }
    while (time >= t->end + slack)
        end_second(t, length);
    if (time > t->latest)
        t->latest = time;
}

static void take_slot(struct top *t, u32 hart, const struct trace_record *r)
{
    struct hart_top *h = &t->hart[hart];
    u64 late = r->time > r->detail ? r->time - r->detail : 0;

    settle(t, h, r->time);
    h->owner = r->what < METAL_VCPUS_MAX ? r->what : NOBODY;
    h->since = r->time;
    if (r->what == METAL_NONE || !late) /* no window's start */
        return;
    h->windows++;
    h->late += late * 1000000 > LATE_US * trace_timebase(&t->source);
    if (late > h->worst)
        h->worst = late;
}

static void take(void *ctx, const struct trace_line *line)
{
    const struct trace_record *r = &line->record;
    struct top *t = ctx;
    u32 who = r->kind == TRACE_HEALTH ? r->what >> 16 : r->what;

    pass(t, r->time);
    t->midway |= line->lost && !t->hart[line->hart].seen;
    t->hart[line->hart].seen = t->hart[line->hart].seen || r->kind != TRACE_TIME;
    if (line->lost) /* who had the time meanwhile is not known */
        t->hart[line->hart].owner = UNKNOWN;
    if (r->kind == TRACE_SLOT) {
        take_slot(t, line->hart, r);
    } else if (r->kind == TRACE_HEALTH && who < METAL_PARTITIONS_MAX) {
        t->partition[who].events++;
        t->partition[who].event = r->what >> 8 & 0xff;
        t->partition[who].action = r->what & 0xff;
    } else if (r->kind == TRACE_LOADED && who < METAL_PARTITIONS_MAX) {
        t->partition[who].loads++;
    }
}

int metal_top(const struct options *o, struct err *err)
{
    AUTO_FREE struct top *t = calloc(1, sizeof(*t));
    int r;

    if (!t)
        return err_set(err, ENOMEM, "no memory for a table");
    t->source.line = take;
    t->source.ctx = t;
    t->screen = isatty(STDOUT_FILENO);
    setvbuf(stdout, NULL, _IOFBF, BUFSIZ); /* a table at once: it does not flicker */
    r = trace_source_run(&t->source, o, err);
    if (!r && t->latest > t->begin) { /* what is there of the last second */
        t->end = t->latest;
        end_second(t, 0);
    }
    return r;
}
