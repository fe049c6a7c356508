/* SPDX-License-Identifier: BSD-2-Clause */
/* The console. */
#include "metal/console.h"

#include "base/bits.h"
#include "base/fmt.h"
#include "base/mem.h"
#include "metal/hart.h"
#include "metal/paging.h"
#include "metal/spinlock.h"
#include "metal/vcpu.h"

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
#define HOLD     50 /* of a second: so long a line that comes in pieces is not cut */
#define TRIES    64 /* in a row; then it is left to who is at it, whom its own timer may call away */
#define MARK_MAX (METAL_NAME_MAX + 3)

/* What a partition wrote and nobody has sent. All three are counts of bytes since the beginning. */
struct writer {
    char text[ROOM];
    struct spinlock lock; /* over: */
    _Atomic u32 in;
    _Atomic u32 whole; /* up to here all lines have an end */
    _Atomic u32 out;   /* who sends changes it */
};

static struct {
    struct writer writer[WRITERS];
    _Atomic u32 keyboard; /* partition */
    _Atomic bool ends;    /* no more is taken, and lines without an end are sent as they are */
    _Atomic u32 unsent;   /* bytes of all, their marks with them */

    struct spinlock sending; /* over what follows. Only tried: who has it sends for all */
    bool begun;              /* the line on the screen is not ended: */
    u32 current;             /* whose it is */
    u32 column;              /* bytes of it */
    u64 begun_at;
    bool cut[WRITERS];     /* a writer's next line goes on with its last one */
    char mark[MARK_MAX];   /* what is sent first: the beginning of a line, or its end */
    _Atomic u32 mark_left; /* bytes of it, at its end */

    struct spinlock typing; /* over what follows */
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

static bool is_idle(void)
{
    return !metal_config.board.uart_hpa || *uart(UART_LSR) & LSR_EMPTY;
}

static void put(char c)
{
    if (metal_config.board.uart_hpa)
        *uart(UART_DATA) = (u8)c;
}

static u32 waiting(const struct writer *w)
{
    return atomic_load_explicit(&w->in, memory_order_acquire) -
           atomic_load_explicit(&w->out, memory_order_acquire);
}

/* Are there whole lines among what waits? */
static bool has_line(const struct writer *w)
{
    u32 out = atomic_load_explicit(&w->out, memory_order_relaxed);
    u32 len = atomic_load_explicit(&w->whole, memory_order_acquire) - out;

    return len - 1 < waiting(w); /* more: the last one's end is 4 GiB ago */
}

static void mark(const char *text, size_t len)
{
    atomic_fetch_add_explicit(&console.unsent, (u32)len, memory_order_relaxed);
    memcpy(console.mark + MARK_MAX - len, text, len);
    console.mark_left = (u32)len;
}

static void begin_line(u32 writer)
{
    const char *name = writer == SELF ? "metal" : metal_config.partition[writer].name;
    char text[MARK_MAX];
    u32 len = 0;

    text[len++] = '[';
    while (*name)
        text[len++] = *name++;
    text[len++] = ']';
    text[len++] = console.cut[writer] ? '+' : ' ';
    mark(text, len);
    console.cut[writer] = false;
    console.begun = true;
    console.begun_at = time_now();
    console.current = writer;
    console.column = 0;
}

static void end_line(bool cut)
{
    mark("\r\n", 2);
    console.begun = false;
    console.cut[console.current] = cut;
}

/* Has writer i something to show: a line, more than fits in one, or anything, with the keyboard? */
static bool is_ready(u32 i)
{
    const struct writer *w = &console.writer[i];
    u32 n = waiting(w);

    return n && (n > LINE_MAX || i == console.keyboard || console.ends || has_line(w));
}

/* The next one after a writer that is ready. */
static u32 ready_after(u32 writer)
{
    for (u32 i = 1; i <= WRITERS; i++) {
        if (is_ready((writer + i) % WRITERS))
            return (writer + i) % WRITERS;
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
    if (c == '\n') {
        end_line(false);
    } else if (c != '\r') {
        put(c);
        console.column++;
    } else if (console.current == console.keyboard) {
        put(c); /* as a terminal's program wants it; in others' lines it is noise */
    }
    atomic_store_explicit(&w->out, out + 1, memory_order_release);
    console.unsent--;
}

/* Is more of the begun line to be expected? Only the keyboard's comes in pieces. */
static bool is_held(void)
{
    return console.begun && console.current == console.keyboard && !console.ends &&
           time_now() - console.begun_at < metal_config.board.timebase / HOLD;
}

/* Sends a byte at most, or begins or ends a line. False: nothing is to be sent. */
static bool step(void)
{
    u32 next;

    if (console.mark_left) {
        put(console.mark[MARK_MAX - console.mark_left]);
        console.mark_left--;
        console.unsent--;
        return true;
    }
    if (console.begun && waiting(&console.writer[console.current])) {
        send_next(&console.writer[console.current]);
        return true;
    }
    next = ready_after(console.current);
    if (next != NOBODY && is_held())
        return false;
    if (console.begun && (next != NOBODY || console.current != console.keyboard))
        end_line(true);
    else if (next != NOBODY)
        begin_line(next);
    return console.mark_left;
}

/* A step, if the serial port has room. False: somebody else is at it, and goes on. */
static bool send_some(void)
{
    if (!spin_try(&console.sending))
        return false;
    if (is_idle())
        step();
    spin_release(&console.sending);
    return true;
}

/* Is anything of p to be sent? NULL: of anybody. */
static bool has_work(const struct partition *p)
{
    if (!console.unsent)
        return false;
    return console.mark_left || (p ? is_ready(p->index) : ready_after(0) != NOBODY);
}

void console_drain(const struct partition *p)
{
    if (p && !waiting(&console.writer[p->index]))
        return;
    for (u32 tries = 0; tries < TRIES && has_work(p) && !hart_is_pressed();)
        tries = send_some() ? 0 : tries + 1;
}

void console_flush(void)
{
    console.ends = true;
    spin_acquire(&console.sending);
    while (!is_idle() || step())
        ;
    spin_release(&console.sending);
    console.ends = false;
}

bool console_has_room(const struct partition *p)
{
    return waiting(&console.writer[p->index]) <= ROOM - FIFO;
}

/* Under w's lock. */
static size_t append(struct writer *w, const u8 *bytes, size_t len)
{
    u32 in = atomic_load_explicit(&w->in, memory_order_relaxed), end = in;
    size_t room = console.ends ? 0 : ROOM - waiting(w), n = len < room ? len : room;
    bool whole = false;

    for (size_t i = 0; i < n; i++) {
        w->text[in++ % ROOM] = (char)bytes[i];
        if (bytes[i] == '\n') {
            whole = true;
            end = in;
        }
    }
    atomic_fetch_add_explicit(&console.unsent, (u32)n, memory_order_relaxed);
    atomic_store_explicit(&w->in, in, memory_order_release);
    if (whole)
        atomic_store_explicit(&w->whole, end, memory_order_release);
    return n;
}

size_t console_write(struct partition *p, const u8 *bytes, size_t len)
{
    struct writer *w = &console.writer[p->index];
    size_t n;

    spin_acquire(&w->lock);
    n = append(w, bytes, len);
    spin_release(&w->lock);
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
    u32 before;
    bool mine, escaped = false;
    size_t n = 0;

    spin_acquire(&console.typing);
    before = console.keyboard;
    mine = before == p->index;
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
    spin_release(&console.typing);
    if (console.keyboard != before) {
        send_some(); /* the line that it left ends */
        console_drain(NULL);
    }
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
    spin_acquire(&self->lock);
    if (ROOM - waiting(self) >= len) /* else nobody has time to send it: lost */
        append(self, (const u8 *)text, len);
    spin_release(&self->lock);
    console_drain(NULL);
}

size_t console_log_read(u32 *at, char *text, size_t len)
{
    struct writer *self = &console.writer[SELF];
    size_t n = 0;
    u32 in;

    spin_acquire(&self->lock);
    in = atomic_load_explicit(&self->in, memory_order_relaxed);
    if (in - *at > ROOM) /* overwritten since, or never written */
        *at = in < ROOM ? 0 : in - ROOM;
    for (u32 from = *at; n < len && from != in; from++)
        text[n++] = self->text[from % ROOM];
    spin_release(&self->lock);
    return n;
}
