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
#define ESCAPE   1 /* Ctrl-A */

static struct {
    struct lock lock;
    char line[METAL_PARTITIONS_MAX][LINE_MAX];
    u32 used[METAL_PARTITIONS_MAX];
    u32 keyboard; /* partition */
    bool escaped;
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

static void put_line(const char *name, const char *text, size_t len)
{
    put('[');
    while (*name)
        put(*name++);
    put(']');
    put(' ');
    while (len--)
        put(*text++);
    put('\r');
    put('\n');
}

static void flush(const struct partition *p)
{
    put_line(p->config->name, console.line[p->index], console.used[p->index]);
    console.used[p->index] = 0;
}

void console_write(struct partition *p, const u8 *bytes, size_t len)
{
    u32 *used = &console.used[p->index];

    lock_acquire(&console.lock);
    for (size_t i = 0; i < len; i++) {
        if (bytes[i] == '\n' || *used == LINE_MAX)
            flush(p);
        if (bytes[i] != '\n' && bytes[i] != '\r')
            console.line[p->index][(*used)++] = (char)bytes[i];
    }
    lock_release(&console.lock);
}

static bool typed(struct partition *p, u8 *byte)
{
    if (!metal_config.board.uart_hpa || !(*uart(UART_LSR) & LSR_READY))
        return false;
    *byte = *uart(UART_DATA);
    if (!console.escaped) {
        console.escaped = *byte == ESCAPE;
        return !console.escaped;
    }
    console.escaped = false;
    if (*byte >= '0' && *byte < '0' + metal_config.partition_count) {
        console.keyboard = *byte - '0';
        return false;
    }
    return true;
}

size_t console_read(struct partition *p, u8 *bytes, size_t len)
{
    size_t n = 0;

    lock_acquire(&console.lock);
    while (n < len && console.keyboard == p->index && typed(p, &bytes[n]))
        n++;
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
    put_line("metal", text, len < sizeof(text) ? len : sizeof(text) - 1);
    lock_release(&console.lock);
}
