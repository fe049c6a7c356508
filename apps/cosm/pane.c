/* SPDX-License-Identifier: BSD-2-Clause */
/* A pane of the split console. */
#include "apps/cosm/pane.h"

#include "base/fmt.h"

#include <string.h>

enum { GROUND, ESCAPE, ESCAPE_MORE, CONTROL, STRING };

#define ESC        0x1b
#define NUMBER_MAX 9999

static u32 least(u32 a, u32 b)
{
    return a < b ? a : b;
}

static struct pane_cell *line_at(struct pane *p, u64 line)
{
    return p->cell[line % PANE_LINES];
}

static u64 top(const struct pane *p)
{
    return p->last + 1 > p->rows ? p->last + 1 - p->rows : 0;
}

void pane_init(struct pane *p, u32 columns)
{
    memset(p, 0, sizeof(*p));
    pane_resize(p, 1, columns);
}

void pane_resize(struct pane *p, u32 rows, u32 columns)
{
    p->rows = rows ? least(rows, PANE_LINES) : 1;
    p->columns = columns ? least(columns, PANE_COLUMNS) : 1;
    p->column = least(p->column, p->columns);
    p->changed = true;
}

/* The cursor goes to a line, new ones begin empty. */
static void go_to_line(struct pane *p, u64 line)
{
    while (p->last < line)
        memset(line_at(p, ++p->last), 0, sizeof(p->cell[0]));
    p->line = line;
}

static void go_to(struct pane *p, u64 row, u64 column)
{
    go_to_line(p, top(p) + (row < p->rows ? row : p->rows - 1));
    p->column = column < p->columns ? (u32)column : p->columns - 1;
}

static void erase(struct pane *p, u64 line, u32 from, u32 to)
{
    if (from < to)
        memset(line_at(p, line) + from, 0, (to - from) * sizeof(struct pane_cell));
}

static void put(struct pane *p, u32 code)
{
    if (p->column >= p->columns) {
        go_to_line(p, p->line + 1);
        p->column = 0;
    }
    line_at(p, p->line)[p->column++] = (struct pane_cell){code, p->style};
}

/* Characters that every terminal shows in one column, and none that combines with its neighbour. */
static bool is_plain(u32 code)
{
    static const struct {
        u32 first, last;
    } ranges[] = {
        {0x20, 0x7e},     {0xa1, 0xac},     {0xae, 0x24f},    {0x370, 0x482},   {0x48a, 0x52f},
        {0x2010, 0x2027}, {0x2030, 0x205e}, {0x20a0, 0x20bf}, {0x2190, 0x21ff}, {0x2500, 0x25fc},
    };

    for (u32 i = 0; i < ARRAY_SIZE(ranges); i++) {
        if (code >= ranges[i].first && code <= ranges[i].last)
            return true;
    }
    return false;
}

/* UTF-8 (RFC 3629); what is none is a question mark. */
static void take_byte(struct pane *p, u8 byte)
{
    if (p->more && byte >> 6 == 2) {
        p->code = p->code << 6 | (byte & 0x3f);
        if (--p->more == 0)
            put(p, p->code >= p->least && is_plain(p->code) ? p->code : '?');
        return;
    }
    if (p->more)
        put(p, '?');
    p->more = byte >= 0xf0 ? 3 : byte >= 0xe0 ? 2 : byte >= 0xc0 ? 1 : 0;
    p->code = p->more ? byte & (0x3fu >> p->more) : byte;
    p->least = p->more == 1 ? 0x80 : p->more == 2 ? 0x800 : 0x10000;
    if (!p->more)
        put(p, is_plain(byte) && byte < 0x80 ? byte : '?');
}

static void control(struct pane *p, u8 byte)
{
    if (p->more)
        put(p, '?');
    p->more = 0;
    switch (byte) {
    case '\n':
    case '\v':
    case '\f':
        go_to_line(p, p->line + 1);
        p->column = 0;
        break;
    case '\r':
        p->column = 0;
        break;
    case '\b':
        p->column -= p->column > 0;
        break;
    case '\t':
        p->column = least((p->column | 7) + 1, p->columns - 1);
        break;
    case ESC:
        p->state = ESCAPE;
        break;
    default:
        break;
    }
}

static u32 number(const struct pane *p, u32 index, u32 otherwise)
{
    return index < PANE_NUMBERS && p->number[index] ? p->number[index] : otherwise;
}

static void set_style(struct pane *p)
{
    for (u32 i = 0; i <= least(p->numbers, PANE_NUMBERS - 1); i++) {
        u32 n = p->number[i];

        if (n == 0)
            p->style = 0;
        else if (n == 1)
            p->style |= PANE_BOLD;
        else if (n == 7)
            p->style |= PANE_REVERSE;
        else if (n == 22)
            p->style &= ~PANE_BOLD;
        else if (n == 27)
            p->style &= ~PANE_REVERSE;
        else if ((n >= 30 && n <= 37) || (n >= 90 && n <= 97))
            p->style = (p->style & ~PANE_COLOUR) | (n % 10 + 1);
        else if (n == 39)
            p->style &= ~PANE_COLOUR;
        else if (n == 38 || n == 48)
            break; /* numbers of another palette follow */
    }
}

static void erase_line(struct pane *p, u32 how)
{
    u32 column = least(p->column, p->columns - 1);

    erase(p, p->line, how ? 0 : column, how == 1 ? column + 1 : PANE_COLUMNS);
}

static void erase_window(struct pane *p, u32 how)
{
    erase_line(p, how);
    for (u64 line = top(p); line <= p->last; line++) {
        if (how >= 2 || (how == 1) == (line < p->line))
            if (line != p->line)
                erase(p, line, 0, PANE_COLUMNS);
    }
}

/* Deletes characters at the cursor, or makes room for some there. */
static void shift(struct pane *p, u32 count, bool insert)
{
    struct pane_cell *line = line_at(p, p->line);
    u32 at = least(p->column, p->columns - 1), kept;

    count = least(count, p->columns - at);
    kept = p->columns - at - count;
    memmove(line + at + (insert ? count : 0), line + at + (insert ? 0 : count),
            kept * sizeof(*line));
    erase(p, p->line, insert ? at : at + kept, insert ? at + count : p->columns);
}

static void act(struct pane *p, u8 final)
{
    u64 row = p->line > top(p) ? p->line - top(p) : 0;
    u32 n = number(p, 0, 1), column = least(p->column, p->columns - 1);

    switch (final) {
    case 'm':
        set_style(p);
        break;
    case 'K':
        erase_line(p, p->number[0]);
        break;
    case 'J':
        erase_window(p, p->number[0]);
        break;
    case 'H':
    case 'f':
        go_to(p, n - 1, number(p, 1, 1) - 1);
        break;
    case 'A':
        go_to(p, row > n ? row - n : 0, column);
        break;
    case 'B':
        go_to(p, row + n, column);
        break;
    case 'C':
        go_to(p, row, (u64)column + n);
        break;
    case 'D':
        go_to(p, row, column - least(n, column));
        break;
    case 'G':
        go_to(p, row, n - 1);
        break;
    case 'd':
        go_to(p, n - 1, column);
        break;
    case 'P':
        shift(p, n, false);
        break;
    case '@':
        shift(p, n, true);
        break;
    case 'n':
        p->asked = p->asked || p->number[0] == 6;
        break;
    default:
        break;
    }
}

/* Of ESC [: numbers, then a letter that says what they are for (ECMA-48, section 5.4). */
static void in_control(struct pane *p, u8 byte)
{
    if (byte >= '0' && byte <= '9') {
        if (p->numbers < PANE_NUMBERS)
            p->number[p->numbers] = least(p->number[p->numbers] * 10 + byte - '0', NUMBER_MAX);
    } else if (byte == ';') {
        p->numbers += p->numbers < PANE_NUMBERS;
    } else if (byte >= 0x20 && byte < 0x40) {
        p->ignored = true; /* of another standard */
    } else if (byte >= 0x40 && byte < 0x7f) {
        p->state = GROUND;
        if (!p->ignored)
            act(p, byte);
    } else {
        p->state = GROUND;
    }
}

static void in_escape(struct pane *p, u8 byte)
{
    p->state = GROUND;
    if (byte == '[') {
        p->state = CONTROL;
        memset(p->number, 0, sizeof(p->number));
        p->numbers = 0;
        p->ignored = false;
    } else if (byte == ']' || byte == 'P' || byte == 'X' || byte == '^' || byte == '_') {
        p->state = STRING;
    } else if (byte >= 0x20 && byte < 0x30) {
        p->state = ESCAPE_MORE;
    }
}

static void take(struct pane *p, u8 byte)
{
    /* A string ends at BEL, too, and, as its end may be lost, with its line. */
    if (p->state == STRING && byte >= 0x20)
        return;
    if (p->state == STRING && byte == '\a') {
        p->state = GROUND;
        return;
    }
    if (byte < 0x20 || byte == 0x7f) {
        if (byte == '\n' || byte == 0x18 || byte == 0x1a || byte == ESC || p->state == STRING)
            p->state = GROUND;
        control(p, byte);
        return;
    }
    switch (p->state) {
    case ESCAPE:
        in_escape(p, byte);
        break;
    case ESCAPE_MORE:
        if (byte < 0x20 || byte >= 0x30)
            p->state = GROUND;
        break;
    case CONTROL:
        in_control(p, byte);
        break;
    default:
        take_byte(p, byte);
        break;
    }
}

void pane_write(struct pane *p, const u8 *bytes, size_t len)
{
    for (size_t i = 0; i < len; i++)
        take(p, bytes[i]);
    p->changed = p->changed || len;
}

u32 pane_cursor_row(const struct pane *p)
{
    return p->line >= top(p) ? (u32)(p->line - top(p)) : p->rows;
}

u32 pane_cursor_column(const struct pane *p)
{
    return least(p->column, p->columns - 1);
}

static size_t put_utf8(char *out, u32 code)
{
    if (code < 0x80) {
        out[0] = (char)code;
        return 1;
    }
    if (code < 0x800) {
        out[0] = (char)(0xc0 | code >> 6);
        out[1] = (char)(0x80 | (code & 0x3f));
        return 2;
    }
    out[0] = (char)(0xe0 | code >> 12);
    out[1] = (char)(0x80 | (code >> 6 & 0x3f));
    out[2] = (char)(0x80 | (code & 0x3f));
    return 3;
}

static size_t put_style(char *out, size_t room, u32 style)
{
    size_t n = fmt_print(out, room, "\033[0%s%s", style & PANE_BOLD ? ";1" : "",
                         style & PANE_REVERSE ? ";7" : "");

    if (style & PANE_COLOUR)
        n += fmt_print(out + n, room - n, ";3%u", (style & PANE_COLOUR) - 1);
    out[n++] = 'm';
    return n;
}

size_t pane_row(const struct pane *p, u32 row, bool utf8, char out[PANE_ROW_BYTES])
{
    const struct pane_cell *line = p->cell[(top(p) + row) % PANE_LINES];
    u32 used = p->columns, style = 0;
    size_t n = 0;

    if (top(p) + row > p->last)
        return 0;
    while (used && !line[used - 1].code)
        used--;
    for (u32 i = 0; i < used; i++) {
        u32 code = line[i].code ? line[i].code : ' ';
        u32 its = line[i].code ? line[i].style : 0;

        if (its != style)
            n += put_style(out + n, PANE_ROW_BYTES - n, its);
        style = its;
        n += put_utf8(out + n, code < 0x80 || utf8 ? code : '?');
    }
    if (style)
        n += put_style(out + n, PANE_ROW_BYTES - n, 0);
    return n;
}
