/* SPDX-License-Identifier: BSD-2-Clause */
/* Framing of the gdb remote protocol: packets out of a byte stream, text and numbers in packets. */
#ifndef COSM_VMM_GDB_PACKET_H
#define COSM_VMM_GDB_PACKET_H

#include "base/types.h"

#define GDB_PACKET_MAX 16384 /* bytes between $ and #, both ways */

enum gdb_event {
    GDB_EVENT_NONE,      /* more bytes are needed */
    GDB_EVENT_PACKET,    /* parser.data[parser.len], NUL behind it, valid until the next byte */
    GDB_EVENT_BAD,       /* wrong checksum or malformed: ask for it again */
    GDB_EVENT_TOO_LONG,  /* right checksum, more than GDB_PACKET_MAX bytes */
    GDB_EVENT_NAK,       /* the peer wants the last packet again */
    GDB_EVENT_INTERRUPT, /* Ctrl-C */
};

struct gdb_parser {
    u32 state; /* private; all zero is the beginning */
    bool malformed;
    u8 sum;   /* of the bytes so far */
    u8 given; /* the first digit of the checksum that the packet claims */
    size_t len;
    u8 data[GDB_PACKET_MAX + 1]; /* escapes resolved */
};

/* Takes one byte of the stream. */
enum gdb_event gdb_parser_push(struct gdb_parser *parser, u8 byte);

/* Bytes not yet read of a packet. */
struct gdb_text {
    const u8 *at;
    size_t len;
};

/* Each consumes what it matched; false: no match, and how much was consumed does not matter. */
bool gdb_text_skip(struct gdb_text *text, const char *prefix);
bool gdb_text_hex(struct gdb_text *text, u64 *value);         /* 1..16 digits */
bool gdb_text_bytes(struct gdb_text *text, u8 *to, size_t n); /* 2 * n hex digits */
bool gdb_text_word(struct gdb_text *text, u64 *value);        /* 16 digits, little-endian */

/* A packet to be sent; appending beyond its room sets overflow and adds nothing. */
struct gdb_reply {
    size_t len;
    bool overflow;
    u8 data[GDB_PACKET_MAX];
};

void gdb_reply_clear(struct gdb_reply *reply);
void gdb_reply_text(struct gdb_reply *reply, const char *text);
void gdb_reply_number(struct gdb_reply *reply, u64 value); /* hex, no leading zeros */
void gdb_reply_bytes(struct gdb_reply *reply, const u8 *bytes, size_t len); /* hex pairs */
void gdb_reply_word(struct gdb_reply *reply, u64 value); /* 16 digits, little-endian */
void gdb_reply_binary(struct gdb_reply *reply, const u8 *bytes, size_t len); /* escaped */

/* Frames reply into to[GDB_FRAME_MAX]; returns the length. */
#define GDB_FRAME_MAX (GDB_PACKET_MAX + 4)
size_t gdb_reply_frame(const struct gdb_reply *reply, u8 *to);

#endif
