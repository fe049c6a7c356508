/* SPDX-License-Identifier: BSD-2-Clause */
/* The console. */
#include "metal/console.h"

#include "base/bits.h"
#include "base/fmt.h"
#include "base/mem.h"
#include "metal/paging.h"
#include "port/lock.h"

/* National Semiconductor 16550: registers, and bits of LSR. */
#define UART_DATA 0
#define UART_LSR  5
#define LSR_READY BIT(0)
#define LSR_EMPTY BIT(5)

#define LINE_MAX 120
#define ESCAPE   1  /* Ctrl-A */
#define KEYS     32 /* typed and not yet read */

static struct {
    struct lock lock;
    char line[METAL_PARTITIONS_MAX][LINE_MAX];
    u32 used[METAL_PARTITIONS_MAX];
    u32 keyboard; /* partition */
    bool open;    /* the keyboard's partition has begun a line that is not ended */
    bool cut[METAL_PARTITIONS_MAX]; /* its next line goes on with its last one */
    bool escaped;
    u8 key[KEYS];
    u32 keys;
} console;

static volatile u8 *uart(u32 reg)
{
    const struct metal_board *b = &metal_config.board;

    return (volatile u8 *)paging_io(b->uart_hpa) + ((u64)reg << b->uart_shift);
}

void console_init(void)
{
    *uart(1) = 0; /* IER: polled */
}

static void put(char c)
{
    if (!metal_config.board.uart_hpa)
        return;
    while (!(*uart(UART_LSR) & LSR_EMPTY))
        ;
    *uart(UART_DATA) = (u8)c;
}

static void put_label(const char *name, bool goes_on)
{
    put('[');
    while (*name)
        put(*name++);
    put(']');
    put(goes_on ? '+' : ' ');
}

static void end_line(void)
{
    put('\r');
    put('\n');
    console.open = false;
}

/* The keyboard's partition may go on later. */
static void cut_line(void)
{
    if (!console.open)
        return;
    end_line();
    console.cut[console.keyboard] = true;
}

static void put_line(const char *name, bool goes_on, const char *text, size_t len)
{
    cut_line();
    put_label(name, goes_on);
    while (len--)
        put(*text++);
    end_line();
}

static void flush(const struct partition *p, bool cut)
{
    put_line(p->config->name, console.cut[p->index], console.line[p->index],
             console.used[p->index]);
    console.used[p->index] = 0;
    console.cut[p->index] = cut;
}

static void write_at_once(const struct partition *p, char c)
{
    if (!console.open)
        put_label(p->config->name, console.cut[p->index]);
    console.open = true;
    console.cut[p->index] = false;
    if (c == '\n')
        end_line();
    else
        put(c);
}

static void write_by_line(const struct partition *p, char c)
{
    u32 *used = &console.used[p->index];

    if (c == '\n' || *used == LINE_MAX)
        flush(p, c != '\n');
    if (c != '\n' && c != '\r')
        console.line[p->index][(*used)++] = c;
}

void console_write(struct partition *p, const u8 *bytes, size_t len)
{
    lock_acquire(&console.lock);
    for (size_t i = 0; i < len; i++) {
        if (console.keyboard == p->index && !console.used[p->index])
            write_at_once(p, (char)bytes[i]);
        else
            write_by_line(p, (char)bytes[i]);
    }
    lock_release(&console.lock);
}

static void take_key(u8 key)
{
    bool digit = key >= '0' && key < '0' + metal_config.partition_count;

    if (!console.escaped && key == ESCAPE) {
        console.escaped = true;
        return;
    }
    if (console.escaped && digit) {
        cut_line();
        console.keyboard = key - '0';
        console.keys = 0;
    } else if (console.keys < KEYS) { /* else nobody reads: lost */
        console.key[console.keys++] = key;
    }
    console.escaped = false;
}

static bool is_typed(void)
{
    return metal_config.board.uart_hpa && *uart(UART_LSR) & LSR_READY;
}

size_t console_read(struct partition *p, u8 *bytes, size_t len)
{
    bool mine, escaped = false;
    size_t n = 0;

    lock_acquire(&console.lock);
    mine = console.keyboard == p->index;
    if (!mine && is_typed()) /* or the keyboard would stay with a partition that never reads */
        take_key(*uart(UART_DATA));
    while (mine && !escaped && console.keys < len && console.keys < KEYS && is_typed()) {
        take_key(*uart(UART_DATA));
        escaped = console.escaped; /* what follows may be for somebody else */
    }
    if (console.keyboard == p->index) {
        n = len < console.keys ? len : console.keys;
        memcpy(bytes, console.key, n);
        console.keys -= (u32)n;
        memmove(console.key, console.key + n, console.keys);
    }
    lock_release(&console.lock);
    return n;
}

static bool is_due(struct log_limit *limit)
{
    u32 seen = limit ? __atomic_add_fetch(&limit->seen, 1, __ATOMIC_RELAXED) : 0;

    return seen <= 8 || is_pow2(seen);
}

void console_log(struct log_limit *limit, const char *fmt, ...)
{
    char text[LINE_MAX];
    va_list ap;
    size_t len;

    if (!is_due(limit))
        return;
    va_start(ap, fmt);
    len = fmt_vprint(text, sizeof(text), fmt, ap);
    va_end(ap);
    lock_acquire(&console.lock);
    put_line("metal", false, text, len < sizeof(text) ? len : sizeof(text) - 1);
    lock_release(&console.lock);
}
