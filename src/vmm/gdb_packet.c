/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Framing of the gdb remote protocol (GDB manual, appendix "Overview" of the remote protocol):
 * $data#xx, xx the sum of the bytes of data modulo 256; '}' escapes the byte after it, which is
 * sent exclusive-or 0x20.
 */
#include "vmm/gdb_packet.h"

#include "base/mem.h"

enum { STATE_IDLE, STATE_BODY, STATE_ESCAPED, STATE_SUM_HIGH, STATE_SUM_LOW };

#define ESCAPE    '}'
#define INTERRUPT 0x03

static int hex_value(u8 digit)
{
    if (digit >= '0' && digit <= '9')
        return digit - '0';
    if (digit >= 'a' && digit <= 'f')
        return digit - 'a' + 10;
    if (digit >= 'A' && digit <= 'F')
        return digit - 'A' + 10;
    return -1;
}

static void packet_begin(struct gdb_parser *p)
{
    p->state = STATE_BODY;
    p->malformed = false;
    p->sum = 0;
    p->len = 0;
}

static enum gdb_event idle_push(struct gdb_parser *p, u8 byte)
{
    switch (byte) {
    case '$':
        packet_begin(p);
        return GDB_EVENT_NONE;
    case '-':
        return GDB_EVENT_NAK;
    case INTERRUPT:
        return GDB_EVENT_INTERRUPT;
    default:
        return GDB_EVENT_NONE; /* '+', or noise between packets */
    }
}

static void body_push(struct gdb_parser *p, u8 byte)
{
    bool escaped = p->state == STATE_ESCAPED;

    if (byte == '$') { /* never part of a packet: the one before was cut off */
        packet_begin(p);
        return;
    }
    if (byte == '#') {
        p->malformed |= escaped;
        p->state = STATE_SUM_HIGH;
        return;
    }
    p->sum = (u8)(p->sum + byte);
    if (byte == ESCAPE && !escaped) {
        p->state = STATE_ESCAPED;
        return;
    }
    p->state = STATE_BODY;
    /* One byte beyond the limit is remembered as "too long"; what follows is only summed up. */
    if (p->len < GDB_PACKET_MAX)
        p->data[p->len] = escaped ? byte ^ 0x20 : byte;
    if (p->len <= GDB_PACKET_MAX)
        p->len++;
}

static enum gdb_event packet_end(struct gdb_parser *p, u8 low)
{
    int high_value = hex_value(p->given), low_value = hex_value(low);

    p->state = STATE_IDLE;
    if (p->malformed || high_value < 0 || low_value < 0 || (high_value << 4 | low_value) != p->sum)
        return GDB_EVENT_BAD;
    if (p->len > GDB_PACKET_MAX)
        return GDB_EVENT_TOO_LONG;
    p->data[p->len] = 0;
    return GDB_EVENT_PACKET;
}

enum gdb_event gdb_parser_push(struct gdb_parser *p, u8 byte)
{
    switch (p->state) {
    case STATE_IDLE:
        return idle_push(p, byte);
    case STATE_BODY:
    case STATE_ESCAPED:
        body_push(p, byte);
        return GDB_EVENT_NONE;
    case STATE_SUM_HIGH:
        p->given = byte;
        p->state = STATE_SUM_LOW;
        return GDB_EVENT_NONE;
    default:
        return packet_end(p, byte);
    }
}

bool gdb_text_skip(struct gdb_text *text, const char *prefix)
{
    size_t n = strlen(prefix);

    if (text->len < n || memcmp(text->at, prefix, n) != 0)
        return false;
    text->at += n;
    text->len -= n;
    return true;
}

bool gdb_text_hex(struct gdb_text *text, u64 *value)
{
    unsigned digits = 0;

    *value = 0;
    while (text->len && hex_value(*text->at) >= 0) {
        if (++digits > 16)
            return false;
        *value = *value << 4 | (u64)hex_value(*text->at);
        text->at++;
        text->len--;
    }
    return digits > 0;
}

bool gdb_text_bytes(struct gdb_text *text, u8 *to, size_t n)
{
    if (text->len / 2 < n)
        return false;
    for (size_t i = 0; i < n; i++) {
        int high = hex_value(text->at[2 * i]), low = hex_value(text->at[2 * i + 1]);
        if (high < 0 || low < 0)
            return false;
        to[i] = (u8)(high << 4 | low);
    }
    text->at += 2 * n;
    text->len -= 2 * n;
    return true;
}

bool gdb_text_word(struct gdb_text *text, u64 *value)
{
    u8 bytes[8];

    if (!gdb_text_bytes(text, bytes, sizeof(bytes)))
        return false;
    *value = 0;
    for (unsigned i = 8; i-- > 0;)
        *value = *value << 8 | bytes[i];
    return true;
}

static void reply_byte(struct gdb_reply *r, u8 byte)
{
    if (r->len < sizeof(r->data))
        r->data[r->len++] = byte;
    else
        r->overflow = true;
}

static u8 hex_digit(unsigned value)
{
    return (u8) "0123456789abcdef"[value & 15];
}

void gdb_reply_clear(struct gdb_reply *r)
{
    r->len = 0;
    r->overflow = false;
}

void gdb_reply_text(struct gdb_reply *r, const char *text)
{
    while (*text)
        reply_byte(r, (u8)*text++);
}

void gdb_reply_number(struct gdb_reply *r, u64 value)
{
    int shift = 60;

    while (shift && !(value >> shift))
        shift -= 4;
    for (; shift >= 0; shift -= 4)
        reply_byte(r, hex_digit((unsigned)(value >> shift)));
}

void gdb_reply_bytes(struct gdb_reply *r, const u8 *bytes, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        reply_byte(r, hex_digit(bytes[i] >> 4));
        reply_byte(r, hex_digit(bytes[i]));
    }
}

void gdb_reply_word(struct gdb_reply *r, u64 value)
{
    for (unsigned i = 0; i < 8; i++) {
        u8 byte = (u8)(value >> 8 * i);
        gdb_reply_bytes(r, &byte, 1);
    }
}

void gdb_reply_binary(struct gdb_reply *r, const u8 *bytes, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        u8 b = bytes[i];
        if (b == '#' || b == '$' || b == ESCAPE || b == '*') {
            reply_byte(r, ESCAPE);
            b ^= 0x20;
        }
        reply_byte(r, b);
    }
}

size_t gdb_reply_frame(const struct gdb_reply *r, u8 *to)
{
    u8 sum = 0;

    for (size_t i = 0; i < r->len; i++)
        sum = (u8)(sum + r->data[i]);
    to[0] = '$';
    memcpy(to + 1, r->data, r->len);
    to[r->len + 1] = '#';
    to[r->len + 2] = hex_digit(sum >> 4);
    to[r->len + 3] = hex_digit(sum);
    return r->len + 4;
}
