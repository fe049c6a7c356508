/* SPDX-License-Identifier: BSD-2-Clause */
/* The console. */
#include "metal/console.h"

#include "base/bits.h"
#include "base/fmt.h"
#include "base/mem.h"
#include "metal/hart.h"
#include "metal/paging.h"
#include "port/lock.h"

/* National Semiconductor 16550: registers, and bits of LSR. */
#define UART_DATA 0
#define UART_LSR  5
#define LSR_READY BIT(0)
#define LSR_EMPTY BIT(5)

#define LINE_MAX 120
#define ESCAPE   1   /* Ctrl-A */
#define KEYS     32  /* typed and not yet read */
#define ROOM     512 /* bytes of a writer that wait to be sent; a power of two */
#define FIFO     256 /* bytes that an 8250's driver may write once it was told to be ready */
#define SELF     METAL_PARTITIONS_MAX /* the hypervisor as a writer */
#define WRITERS  (METAL_PARTITIONS_MAX + 1)
#define NOBODY   WRITERS

/* What a partition wrote and nobody has sent. */
struct writer {
    char text[ROOM];
    _Atomic u32 in, out; /* counts of bytes since the beginning; changed under the lock */
    u32 lines;           /* whole ones among them */
    bool cut;            /* its next line goes on with its last one */
};

static struct {
    struct lock lock;
    struct writer writer[WRITERS];
    bool begun;   /* the line on the screen is not ended: */
    u32 current;  /* whose it is */
    u32 column;   /* bytes of it */
    u32 keyboard; /* partition */
    bool escaped;
    bool ends; /* nobody will end a line that is begun: it is sent as it is */
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

static NOINLINE void put(char c)
{
    if (!metal_config.board.uart_hpa)
        return;
    while (!(*uart(UART_LSR) & LSR_EMPTY))
        ;
    *uart(UART_DATA) = (u8)c;
}

static u32 waiting(const struct writer *w)
{
    return atomic_load_explicit(&w->in, memory_order_relaxed) -
           atomic_load_explicit(&w->out, memory_order_relaxed);
}

static void begin_line(u32 writer)
{
    const char *name = writer == SELF ? "metal" : metal_config.partition[writer].name;

    put('[');
    while (*name)
        put(*name++);
    put(']');
    put(console.writer[writer].cut ? '+' : ' ');
    console.writer[writer].cut = false;
    console.begun = true;
    console.current = writer;
    console.column = 0;
}

static void end_line(bool cut)
{
    put('\r');
    put('\n');
    console.begun = false;
    console.writer[console.current].cut = cut;
}

/* Has writer i something to show: a line, more than fits in one, or anything, with the keyboard? */
static bool is_ready(u32 i)
{
    const struct writer *w = &console.writer[i];

    return w->lines || waiting(w) > LINE_MAX ||
           ((i == console.keyboard || console.ends) && waiting(w));
}

/* The next one after the last that is ready. */
static u32 ready_writer(void)
{
    for (u32 i = 1; i <= WRITERS; i++) {
        if (is_ready((console.current + i) % WRITERS))
            return (console.current + i) % WRITERS;
    }
    return NOBODY;
}

static void send_next(struct writer *w)
{
    u32 out = atomic_load_explicit(&w->out, memory_order_relaxed);
    char c = w->text[out % ROOM];

    if (c != '\n' && console.column == LINE_MAX) {
        end_line(true);
        return;
    }
    atomic_store_explicit(&w->out, out + 1, memory_order_relaxed);
    if (c == '\n') {
        w->lines--;
        end_line(false);
    } else if (c != '\r') {
        put(c);
        console.column++;
    } else if (console.current == console.keyboard) {
        put(c); /* as a terminal's program wants it; in others' lines it is noise */
    }
}

/* Sends a byte, or begins or ends a line. False: nothing is to be sent. */
static bool step(void)
{
    u32 next;

    if (console.begun && waiting(&console.writer[console.current])) {
        send_next(&console.writer[console.current]);
        return true;
    }
    next = ready_writer();
    if (next == NOBODY)
        return false;
    if (console.begun)
        end_line(true);
    else
        begin_line(next);
    return true;
}

/* A step or none, as the serial port has room for; false: nothing is to be sent. */
static bool send_some(void)
{
    bool more = true;

    lock_acquire(&console.lock);
    if (!metal_config.board.uart_hpa || *uart(UART_LSR) & LSR_EMPTY)
        more = step();
    lock_release(&console.lock);
    return more;
}

void console_drain(const struct partition *p)
{
    if (p && !waiting(&console.writer[p->index]))
        return;
    while (!hart_is_pressed() && send_some())
        ;
}

void console_flush(void)
{
    lock_acquire(&console.lock); /* to the end: others write no more meanwhile */
    console.ends = true;
    while (step())
        ;
    console.ends = false;
    lock_release(&console.lock);
}

bool console_has_room(const struct partition *p)
{
    return waiting(&console.writer[p->index]) <= ROOM - FIFO;
}

static size_t append(struct writer *w, const u8 *bytes, size_t len)
{
    u32 in = atomic_load_explicit(&w->in, memory_order_relaxed);
    size_t room = ROOM - waiting(w), n = len < room ? len : room;

    for (size_t i = 0; i < n; i++) {
        w->text[in++ % ROOM] = (char)bytes[i];
        w->lines += bytes[i] == '\n';
    }
    atomic_store_explicit(&w->in, in, memory_order_relaxed);
    return n;
}

size_t console_write(struct partition *p, const u8 *bytes, size_t len)
{
    size_t n;

    lock_acquire(&console.lock);
    n = append(&console.writer[p->index], bytes, len);
    lock_release(&console.lock);
    console_drain(p);
    return n;
}

static void take_key(u8 key)
{
    bool digit = key >= '0' && key < '0' + metal_config.partition_count;

    if (!console.escaped && key == ESCAPE) {
        console.escaped = true;
        return;
    }
    if (console.escaped && digit) {
        if (console.begun && !waiting(&console.writer[console.current]))
            end_line(true);
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
    struct writer *self = &console.writer[SELF];
    char text[LINE_MAX + 1];
    va_list ap;
    size_t len;

    if (!is_due(limit))
        return;
    va_start(ap, fmt);
    len = fmt_vprint(text, LINE_MAX, fmt, ap);
    va_end(ap);
    len = len < LINE_MAX ? len : LINE_MAX - 1;
    text[len++] = '\n';
    lock_acquire(&console.lock);
    if (ROOM - waiting(self) >= len) /* else nobody has time to send it: lost */
        append(self, (const u8 *)text, len);
    lock_release(&console.lock);
    console_drain(NULL);
}

size_t console_log_read(u32 *at, char *text, size_t len)
{
    const struct writer *self = &console.writer[SELF];
    size_t n = 0;
    u32 in;

    lock_acquire(&console.lock);
    in = atomic_load_explicit(&self->in, memory_order_relaxed);
    if (in - *at > ROOM) /* overwritten since, or never written */
        *at = in < ROOM ? 0 : in - ROOM;
    for (u32 from = *at; n < len && from != in; from++)
        text[n++] = self->text[from % ROOM];
    lock_release(&console.lock);
    return n;
}
