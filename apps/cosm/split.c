/* SPDX-License-Identifier: BSD-2-Clause */
/* The split console. */
#include "apps/cosm/split.h"

#include "base/fmt.h"

#include <stdlib.h>
#include <string.h>

#define PANES             (METAL_PARTITIONS_MAX + 1) /* the last one is the hypervisor's line */
#define STATUS            METAL_PARTITIONS_MAX
#define ROWS_LEAST        2 /* of a pane, its head not counted */
#define SHARE_OF_KEYBOARD 3 /* of the rows that are contested, against 1 of the others */
#define OUT_LEAST         (16 * KIB)

struct split {
    const struct metal_config *config;
    struct pane *pane[PANES];
    bool spoke[PANES];
    u32 first[PANES]; /* row of the terminal where it begins, its head's; 0: not shown */
    u32 count;        /* partitions */
    u32 rows, columns, keyboard;
    bool utf8, help, fresh; /* fresh: all is to be drawn */
    struct demux demux;
    char *out;
    size_t len, room;
};

static void hear(void *ctx, u32 who, bool begins, const u8 *bytes, size_t len)
{
    struct split *s = ctx;
    u32 i = who < s->count ? who : STATUS;

    /* A line's end is shown with the next one, so that none stays empty below. */
    if (begins && s->spoke[i])
        pane_write(s->pane[i], (const u8 *)"\n", 1);
    s->spoke[i] = true;
    pane_write(s->pane[i], bytes, len);
}

struct split *split_create(const struct metal_config *config, bool utf8)
{
    struct split *s = calloc(1, sizeof(*s));
    bool whole = s != NULL;

    if (!s)
        return NULL;
    s->config = config;
    s->count = config->partition_count;
    s->utf8 = utf8;
    demux_init(&s->demux, config, s);
    s->demux.text = hear;
    for (u32 i = 0; i < PANES; i++) {
        if (i >= s->count && i != STATUS)
            continue;
        s->pane[i] = malloc(sizeof(*s->pane[i]));
        whole = whole && s->pane[i];
        if (s->pane[i])
            pane_init(s->pane[i], 80);
    }
    if (whole)
        return s;
    split_destroy(s);
    return NULL;
}

void split_destroy(struct split *s)
{
    if (!s)
        return;
    for (u32 i = 0; i < PANES; i++)
        free(s->pane[i]);
    free(s->out);
    free(s);
}

/* Rows that a pane can fill. */
static u32 wanted(const struct split *s, u32 i)
{
    const struct pane *p = s->pane[i];
    u64 lines = p->last + 1 > PANE_LINES ? PANE_LINES : p->last + 1;

    return lines < ROWS_LEAST || s->count == 1 ? ROWS_LEAST : (u32)lines;
}

/* Shares rows out one by one: each goes to whom it is due most among those that want one, what
 * nobody wants to the keyboard's pane. */
static void share(const struct split *s, u32 rows, u32 row[PANES])
{
    for (u32 i = 0; i < s->count; i++) {
        row[i] = ROWS_LEAST;
        rows -= ROWS_LEAST;
    }
    while (rows--) {
        u32 best = s->keyboard, due = UINT32_MAX;

        for (u32 i = 0; i < s->count; i++) {
            u32 has = row[i] * (i == s->keyboard ? 1 : SHARE_OF_KEYBOARD);

            if (row[i] < wanted(s, i) && has < due) {
                best = i;
                due = has;
            }
        }
        row[best]++;
    }
}

/* Gives each pane its rows. True: the terminal is too small for all but the keyboard's. */
static bool lay_out(struct split *s)
{
    u32 row[PANES] = {0}, at = 1, rows = s->rows > 1 ? s->rows - 1 : 1;
    bool small = rows < s->count * (ROWS_LEAST + 1);

    if (small)
        row[s->keyboard] = rows - 1; /* none, if there is not even one for it */
    else
        share(s, rows - s->count, row);
    for (u32 i = 0; i < s->count; i++) {
        u32 first = row[i] ? at : 0;

        if (first != s->first[i] || (row[i] && row[i] != s->pane[i]->rows)) {
            if (row[i])
                pane_resize(s->pane[i], row[i], s->columns);
            s->first[i] = first;
            s->fresh = true;
        }
        at += row[i] ? row[i] + 1 : 0;
    }
    return small;
}

void split_resize(struct split *s, u32 rows, u32 columns)
{
    s->rows = rows ? rows : 24;
    s->columns = columns ? columns : 80;
    for (u32 i = 0; i < PANES; i++) {
        if (s->pane[i])
            pane_resize(s->pane[i], s->pane[i]->rows, s->columns);
    }
    /* What follows the label. */
    pane_resize(s->pane[STATUS], 1, s->columns > 20 ? s->columns - 8 : s->columns);
    s->fresh = true;
}

void split_hear(struct split *s, const u8 *bytes, size_t len)
{
    demux_write(&s->demux, bytes, len);
}

void split_tell(struct split *s, const u8 *bytes, size_t len)
{
    hear(s, DEMUX_OTHER, true, bytes, len);
}

void split_give_keyboard(struct split *s, u32 partition)
{
    if (partition < s->count)
        s->keyboard = partition;
    s->fresh = true;
}

void split_help(struct split *s, bool shown)
{
    if (s->help != shown)
        s->pane[STATUS]->changed = true;
    s->help = shown;
}

size_t split_answer(struct split *s, char *out, size_t size)
{
    struct pane *p = s->pane[s->keyboard];
    bool asked = p->asked;

    /* An answer is typed: of others it would go to the wrong one. */
    for (u32 i = 0; i < s->count; i++)
        s->pane[i]->asked = false;
    if (!asked)
        return 0;
    return fmt_print(out, size, "\033[%u;%uR", pane_cursor_row(p) + 1, pane_cursor_column(p) + 1);
}

bool split_is_changed(const struct split *s)
{
    bool changed = s->fresh;

    for (u32 i = 0; i < PANES; i++)
        changed = changed || (s->pane[i] && s->pane[i]->changed);
    return changed;
}

static bool make_room(struct split *s)
{
    char *more;

    if (s->room - s->len >= OUT_LEAST)
        return true;
    more = realloc(s->out, s->room * 2 + OUT_LEAST);
    if (!more)
        return false;
    s->out = more;
    s->room = s->room * 2 + OUT_LEAST;
    return true;
}

static void say(struct split *s, const char *fmt, ...) PRINTF_LIKE(2, 3);
static void say(struct split *s, const char *fmt, ...)
{
    va_list ap;
    size_t n;

    if (!make_room(s))
        return;
    va_start(ap, fmt);
    n = fmt_vprint(s->out + s->len, s->room - s->len, fmt, ap);
    va_end(ap);
    s->len += n < s->room - s->len ? n : 0;
}

static void say_row(struct split *s, const struct pane *p, u32 row)
{
    if (make_room(s))
        s->len += pane_row(p, row, s->utf8, s->out + s->len);
}

static void draw_head(struct split *s, u32 i, bool alone)
{
    const char *name = s->config->partition[i].name, *line = s->utf8 ? "\xe2\x94\x80" : "-";
    bool typed = i == s->keyboard;
    char text[80];
    u32 n = (u32)fmt_print(text, sizeof(text), " %u %s%s%s ", i, name, typed ? " - keyboard" : "",
                           alone && s->count > 1 ? " - too few rows to show the others" : "");

    say(s, "\033[%u;1H%s", s->first[i], typed ? "\033[0;1;7m" : "\033[0;7m");
    say(s, "%.*s\033[0m", (int)s->columns, text);
    while (n++ < s->columns)
        say(s, "%s", line);
}

static void draw_status(struct split *s)
{
    const struct pane *p = s->pane[STATUS];

    say(s, "\033[%u;1H\033[K", s->rows);
    if (s->help) {
        char text[200];

        fmt_print(text, sizeof(text),
                  "Ctrl-A x leaves, 0..%u moves the keyboard, Ctrl-A sends Ctrl-A; any key: back",
                  s->count - 1);
        say(s, "\033[0;1m%.*s\033[0m", (int)s->columns - 1, text);
        return;
    }
    if (s->columns > 20)
        say(s, "\033[0;7m[metal]\033[0m ");
    say_row(s, p, 0);
}

static void draw_cursor(struct split *s)
{
    const struct pane *p = s->pane[s->keyboard];
    u32 row = pane_cursor_row(p);

    if (s->first[s->keyboard] && row < p->rows)
        say(s, "\033[%u;%uH\033[?25h", s->first[s->keyboard] + 1 + row, pane_cursor_column(p) + 1);
}

const char *split_draw(struct split *s, size_t *len)
{
    bool alone = lay_out(s);

    s->len = 0;
    say(s, "\033[?25l%s", s->fresh ? "\033[0m\033[2J" : "");
    for (u32 i = 0; i < s->count; i++) {
        if (s->first[i] && s->fresh)
            draw_head(s, i, alone);
        for (u32 row = 0; s->first[i] && row < s->pane[i]->rows; row++) {
            if (!s->fresh && !s->pane[i]->changed)
                break;
            say(s, "\033[%u;1H\033[K", s->first[i] + 1 + row);
            say_row(s, s->pane[i], row);
        }
        s->pane[i]->changed = false;
    }
    if (s->fresh || s->pane[STATUS]->changed)
        draw_status(s);
    s->pane[STATUS]->changed = s->fresh = false;
    draw_cursor(s);
    *len = s->len;
    return s->out;
}
