/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * One client of an NBD server (doc/proto.md): fixed newstyle negotiation, then requests, one after
 * the other. A client that wants several at once opens several connections: a flush on one covers
 * what was answered on all (CAN_MULTI_CONN).
 *
 * Whatever a client says is checked before it is used; memory is bounded by NBD_LENGTH_MAX.
 */
#include "block/nbd_session.h"

#include "base/checked.h"
#include "base/endian.h"
#include "block/copy.h"
#include "block/nbd.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define OPTIONS_MAX 1000 /* a client that negotiates longer is none */
#define OPTION_MAX  (2 * (NBD_NAME_MAX + 16))
#define CHUNK       (1 * MIB) /* of a read's reply */
#define EXTENTS_MAX 1024      /* in one answer */
#define CONTEXT_ID  1

static const char allocation[] = "base:allocation";

struct session {
    const struct nbd_export *export;
    const struct nbd_stream *stream;
    bool no_zeroes, structured, context, done;
    u8 option[OPTION_MAX + 1];
    u8 *buffer; /* of buffer_len bytes */
    size_t buffer_len;
};

static int receive(struct session *s, void *bytes, size_t len)
{
    return s->stream->receive(s->stream->ctx, bytes, len);
}

static int transmit(struct session *s, const void *bytes, size_t len, bool more)
{
    return s->stream->send(s->stream->ctx, bytes, len, more);
}

/* Bytes that nobody wants. */
static int skip(struct session *s, u64 len)
{
    u8 bytes[4096];
    int ret = 0;

    while (len && !ret) {
        size_t n = len < sizeof(bytes) ? (size_t)len : sizeof(bytes);

        ret = receive(s, bytes, n);
        len -= n;
    }
    return ret;
}

/* Negotiation */

static int reply(struct session *s, u32 option, u32 type, const void *data, u32 len)
{
    u8 header[20];
    int ret;

    be64_store(header, NBD_REPLY_MAGIC);
    be32_store(header + 8, option);
    be32_store(header + 12, type);
    be32_store(header + 16, len);
    ret = transmit(s, header, sizeof(header), len);
    return ret || !len ? ret : transmit(s, data, len, false);
}

static int reply_error(struct session *s, u32 option, u32 type, const char *why)
{
    return reply(s, option, type, why, (u32)strlen(why));
}

static bool is_export(const struct session *s, const u8 *name, u32 len)
{
    return len == strlen(s->export->name) && !memcmp(name, s->export->name, len);
}

static u16 export_flags(const struct session *s)
{
    u16 flags = NBD_HAS_FLAGS | NBD_SEND_FLUSH | NBD_SEND_FUA | NBD_CAN_MULTI_CONN;

    if (s->export->readonly || s->export->node->readonly)
        flags |= NBD_READ_ONLY;
    else
        flags |= NBD_SEND_TRIM | NBD_SEND_WRITE_ZEROES;
    return s->structured ? flags | NBD_SEND_DF : flags;
}

static int option_export_name(struct session *s, u32 len)
{
    u8 answer[134] = {0};

    if (!is_export(s, s->option, len))
        return -EPROTO; /* this option has no error reply */
    be64_store(answer, s->export->node->size);
    be16_store(answer + 8, export_flags(s));
    s->done = true;
    return transmit(s, answer, s->no_zeroes ? 10 : sizeof(answer), false);
}

static int option_list(struct session *s, u32 len)
{
    u32 name = (u32)strlen(s->export->name);
    u8 data[4 + NBD_NAME_MAX];
    int ret;

    if (len)
        return reply_error(s, NBD_OPT_LIST, NBD_REP_ERR_INVALID, "LIST has no data");
    be32_store(data, name);
    memcpy(data + 4, s->export->name, name);
    ret = reply(s, NBD_OPT_LIST, NBD_REP_SERVER, data, 4 + name);
    return ret ? ret : reply(s, NBD_OPT_LIST, NBD_REP_ACK, NULL, 0);
}

/* INFO and GO: a name and which infos are wanted; we tell two, whatever is wanted. */
static int option_info(struct session *s, u32 option, u32 len)
{
    u8 export[12], sizes[14];
    u32 name;
    int ret;

    if (len < 6 || (name = be32_load(s->option)) > len - 6 ||
        len - 6 - name != 2u * be16_load(s->option + 4 + name))
        return reply_error(s, option, NBD_REP_ERR_INVALID, "the lengths do not fit");
    if (!is_export(s, s->option + 4, name))
        return reply_error(s, option, NBD_REP_ERR_UNKNOWN, "there is no export of this name");
    be16_store(export, NBD_INFO_EXPORT);
    be64_store(export + 2, s->export->node->size);
    be16_store(export + 10, export_flags(s));
    ret = reply(s, option, NBD_REP_INFO, export, sizeof(export));
    be16_store(sizes, NBD_INFO_BLOCK_SIZE);
    be32_store(sizes + 2, 1);
    be32_store(sizes + 6, 4096);
    be32_store(sizes + 10, NBD_LENGTH_MAX);
    if (!ret)
        ret = reply(s, option, NBD_REP_INFO, sizes, sizeof(sizes));
    if (!ret)
        ret = reply(s, option, NBD_REP_ACK, NULL, 0);
    s->done = !ret && option == NBD_OPT_GO;
    return ret;
}

static int tell_context(struct session *s, u32 option)
{
    u8 data[4 + sizeof(allocation) - 1];

    be32_store(data, option == NBD_OPT_SET_META_CONTEXT ? CONTEXT_ID : 0);
    memcpy(data + 4, allocation, sizeof(allocation) - 1);
    return reply(s, option, NBD_REP_META_CONTEXT, data, sizeof(data));
}

/* Does a query name our only context? Lists may ask for all that there is. */
static bool query_fits(const u8 *query, u32 len, bool list)
{
    return (len == sizeof(allocation) - 1 && !memcmp(query, allocation, len)) ||
           (list && len == 5 && !memcmp(query, "base:", 5));
}

/* Looks through the queries, whose lengths must fit. -1: they do not. */
static int queries_fit(const u8 *at, const u8 *end, bool list)
{
    u32 count = be32_load(at);
    bool fits = list && !count;

    for (at += 4; count; count--) {
        u32 len;

        if (end - at < 4 || (len = be32_load(at)) > (u64)(end - at - 4))
            return -1;
        fits = fits || query_fits(at + 4, len, list);
        at += 4 + len;
    }
    return at == end ? fits : -1;
}

static int option_context(struct session *s, u32 option, u32 len)
{
    bool list = option == NBD_OPT_LIST_META_CONTEXT;
    u32 name;
    int fits, ret = 0;

    if (!list)
        s->context = false;
    if (!s->structured)
        return reply_error(s, option, NBD_REP_ERR_INVALID, "structured replies come first");
    if (len < 8 || (name = be32_load(s->option)) > len - 8)
        return reply_error(s, option, NBD_REP_ERR_INVALID, "the lengths do not fit");
    fits = queries_fit(s->option + 4 + name, s->option + len, list);
    if (fits < 0)
        return reply_error(s, option, NBD_REP_ERR_INVALID, "the lengths do not fit");
    if (!is_export(s, s->option + 4, name))
        return reply_error(s, option, NBD_REP_ERR_UNKNOWN, "there is no export of this name");
    if (fits)
        ret = tell_context(s, option);
    if (fits && !list)
        s->context = true;
    return ret ? ret : reply(s, option, NBD_REP_ACK, NULL, 0);
}

static int option_take(struct session *s, u32 option, u32 len)
{
    switch (option) {
    case NBD_OPT_EXPORT_NAME:
        return option_export_name(s, len);
    case NBD_OPT_ABORT:
        (void)!reply(s, option, NBD_REP_ACK, NULL, 0); /* it may have left already */
        return -ESHUTDOWN;
    case NBD_OPT_LIST:
        return option_list(s, len);
    case NBD_OPT_INFO:
    case NBD_OPT_GO:
        return option_info(s, option, len);
    case NBD_OPT_STRUCTURED_REPLY:
        if (len)
            return reply_error(s, option, NBD_REP_ERR_INVALID, "STRUCTURED_REPLY has no data");
        s->structured = true;
        return reply(s, option, NBD_REP_ACK, NULL, 0);
    case NBD_OPT_LIST_META_CONTEXT:
    case NBD_OPT_SET_META_CONTEXT:
        return option_context(s, option, len);
    default:
        return reply_error(s, option, NBD_REP_ERR_UNSUP, "this option is not known here");
    }
}

static int negotiate(struct session *s)
{
    u8 hello[18], flags[4], header[16];
    int ret;

    be64_store(hello, NBD_MAGIC);
    be64_store(hello + 8, NBD_OPTION_MAGIC);
    be16_store(hello + 16, NBD_FIXED_NEWSTYLE | NBD_NO_ZEROES);
    ret = transmit(s, hello, sizeof(hello), false);
    if (!ret)
        ret = receive(s, flags, sizeof(flags));
    if (ret)
        return ret;
    if (be32_load(flags) & ~(u32)(NBD_FIXED_NEWSTYLE | NBD_NO_ZEROES))
        return -EPROTO;
    s->no_zeroes = be32_load(flags) & NBD_NO_ZEROES;
    for (u32 i = 0; i < OPTIONS_MAX && !ret && !s->done; i++) {
        u32 option, len;

        ret = receive(s, header, sizeof(header));
        if (ret)
            return ret;
        option = be32_load(header + 8);
        len = be32_load(header + 12);
        if (be64_load(header) != NBD_OPTION_MAGIC || len > NBD_LENGTH_MAX)
            return -EPROTO;
        ret = len > OPTION_MAX ? skip(s, len) : receive(s, s->option, len);
        if (!ret && len > OPTION_MAX)
            ret = reply_error(s, option, NBD_REP_ERR_TOO_BIG, "this option is too long");
        else if (!ret)
            ret = option_take(s, option, len);
    }
    return ret ? ret : s->done ? 0 : -EPROTO;
}

/* Requests */

struct request {
    u16 flags, type;
    u8 cookie[8];
    u64 at;
    u32 len;
};

static int chunk(struct session *s, const struct request *r, u16 flags, u16 type, u32 len)
{
    u8 header[NBD_STRUCTURED_SIZE];

    be32_store(header, NBD_STRUCTURED);
    be16_store(header + 4, flags);
    be16_store(header + 6, type);
    memcpy(header + 8, r->cookie, sizeof(r->cookie));
    be32_store(header + 16, len);
    return transmit(s, header, sizeof(header), len);
}

/* code: errno, 0 for success without data. */
static int answer(struct session *s, const struct request *r, int code)
{
    u8 header[NBD_SIMPLE_SIZE], error[6] = {0};
    int ret;

    if (s->structured && code) {
        be32_store(error, nbd_error(code));
        ret = chunk(s, r, NBD_REPLY_DONE, NBD_CHUNK_ERROR, sizeof(error));
        return ret ? ret : transmit(s, error, sizeof(error), false);
    }
    if (s->structured)
        return chunk(s, r, NBD_REPLY_DONE, NBD_CHUNK_NONE, 0);
    be32_store(header, NBD_SIMPLE);
    be32_store(header + 4, code ? nbd_error(code) : 0);
    memcpy(header + 8, r->cookie, sizeof(r->cookie));
    return transmit(s, header, sizeof(header), false);
}

static u8 *buffer_for(struct session *s, size_t len)
{
    if (len > s->buffer_len) {
        u8 *bytes = realloc(s->buffer, len);

        if (!bytes)
            return NULL;
        s->buffer = bytes;
        s->buffer_len = len;
    }
    return s->buffer;
}

/* Without structured replies a read is answered whole. */
static int read_simple(struct session *s, const struct request *r)
{
    u8 *bytes = buffer_for(s, r->len);
    int ret = bytes ? node_read_bytes(s->export->node, r->at, bytes, r->len) : -ENOMEM;

    if (ret)
        return answer(s, r, -ret);
    ret = answer(s, r, 0);
    return ret ? ret : transmit(s, bytes, r->len, false);
}

/* A piece of a structured read: data, or the word that there is none. */
static int read_piece(struct session *s, const struct request *r, u64 at, u32 len, bool hole,
                      bool last)
{
    u16 flags = last ? NBD_REPLY_DONE : 0;
    u8 *bytes = hole ? NULL : buffer_for(s, len);
    u8 head[12];
    int ret = hole ? 0 : bytes ? node_read_bytes(s->export->node, at, bytes, len) : -ENOMEM;

    if (ret) {
        ret = answer(s, r, -ret);
        return ret ? ret : 1; /* that was the end of it */
    }
    be64_store(head, at);
    be32_store(head + 8, len);
    ret = chunk(s, r, flags, hole ? NBD_CHUNK_HOLE : NBD_CHUNK_DATA, hole ? 12 : 8 + len);
    if (!ret)
        ret = transmit(s, head, hole ? 12 : 8, !hole);
    return ret || hole ? ret : transmit(s, bytes, len, false);
}

static int read_structured(struct session *s, const struct request *r)
{
    u64 end = r->at + r->len;
    int ret = 0;

    if (r->flags & NBD_DF) {
        ret = read_piece(s, r, r->at, r->len, false, true);
        return ret < 0 ? ret : 0;
    }
    for (u64 at = r->at, len; at < end && !ret; at += len) {
        int state = copy_state(s->export->node, at, end - at, &len);

        if (state < 0)
            return answer(s, r, -state);
        if (state == NODE_DATA && len > CHUNK)
            len = CHUNK;
        ret = read_piece(s, r, at, (u32)len, state != NODE_DATA, at + len == end);
    }
    return ret < 0 ? ret : 0;
}

static int do_read(struct session *s, const struct request *r)
{
    return s->structured && r->len ? read_structured(s, r) : read_simple(s, r);
}

static int fua(struct session *s, const struct request *r, int ret)
{
    return ret || !(r->flags & NBD_FUA) ? ret : node_flush(s->export->node);
}

static int do_block_status(struct session *s, const struct request *r)
{
    u8 *bytes = buffer_for(s, 4 + EXTENTS_MAX * 8);
    u32 n = 0, most = r->flags & NBD_REQ_ONE ? 1 : EXTENTS_MAX;
    int ret;

    if (!s->context || !r->len || !bytes)
        return answer(s, r, bytes ? EINVAL : ENOMEM);
    for (u64 at = r->at, end = r->at + r->len, len; at < end && n < most; at += len) {
        int state = copy_state(s->export->node, at, end - at, &len);
        u32 flags = state == NODE_DATA ? 0 : NBD_STATE_HOLE | NBD_STATE_ZERO;
        u8 *last = n ? bytes + 4 + (n - 1) * 8 : NULL;

        if (state < 0)
            return answer(s, r, -state);
        if (last && be32_load(last + 4) == flags) {
            be32_store(last, be32_load(last) + (u32)len);
            continue;
        }
        be32_store(bytes + 4 + n * 8, (u32)len);
        be32_store(bytes + 4 + n * 8 + 4, flags);
        n++;
    }
    be32_store(bytes, CONTEXT_ID);
    ret = chunk(s, r, NBD_REPLY_DONE, NBD_CHUNK_BLOCK_STATUS, 4 + n * 8);
    return ret ? ret : transmit(s, bytes, 4 + n * 8, false);
}

/* What is wrong with a request; 0: nothing. */
static int request_check(const struct session *s, const struct request *r)
{
    bool changes =
        r->type == NBD_CMD_WRITE || r->type == NBD_CMD_TRIM || r->type == NBD_CMD_WRITE_ZEROES;
    u16 known = NBD_FUA | (r->type == NBD_CMD_WRITE_ZEROES   ? NBD_NO_HOLE
                           : r->type == NBD_CMD_READ         ? NBD_DF
                           : r->type == NBD_CMD_BLOCK_STATUS ? NBD_REQ_ONE
                                                             : 0);

    if (changes && (s->export->readonly || s->export->node->readonly))
        return EPERM;
    if (r->flags & ~known)
        return EINVAL;
    if (r->type == NBD_CMD_FLUSH)
        return 0;
    if (!range_within(r->at, r->len, 0, s->export->node->size))
        return changes && r->type != NBD_CMD_TRIM ? ENOSPC : EINVAL;
    if (r->len > NBD_LENGTH_MAX && (r->type == NBD_CMD_READ || r->type == NBD_CMD_WRITE))
        return EOVERFLOW;
    return 0;
}

static int execute(struct session *s, const struct request *r)
{
    struct node *node = s->export->node;
    int ret;

    switch (r->type) {
    case NBD_CMD_READ:
        return do_read(s, r);
    case NBD_CMD_BLOCK_STATUS:
        return do_block_status(s, r);
    case NBD_CMD_WRITE:
        ret = fua(s, r, node_write_bytes(node, r->at, s->buffer, r->len));
        break;
    case NBD_CMD_FLUSH:
        ret = node_flush(node);
        break;
    case NBD_CMD_TRIM:
        ret = fua(s, r, node_discard(node, r->at, r->len));
        break;
    case NBD_CMD_WRITE_ZEROES:
        ret = fua(s, r, node_write_zeroes(node, r->at, r->len, !(r->flags & NBD_NO_HOLE)));
        break;
    default:
        ret = -EINVAL;
        break;
    }
    return answer(s, r, -ret);
}

/* Takes what a write brings. 0, ENOMEM (its bytes are gone), or what ends the session. */
static int take_payload(struct session *s, const struct request *r, int *wrong)
{
    if (r->type != NBD_CMD_WRITE)
        return 0;
    if (r->len > NBD_LENGTH_MAX)
        return -EPROTO; /* as the specification allows: to read so much would take too long */
    if (!*wrong && r->len && !buffer_for(s, r->len))
        *wrong = ENOMEM;
    return *wrong ? skip(s, r->len) : receive(s, s->buffer, r->len);
}

/* 1: the client leaves. */
static int serve_request(struct session *s)
{
    u8 raw[NBD_REQUEST_SIZE];
    struct request r;
    int wrong, ret = receive(s, raw, sizeof(raw));

    if (ret)
        return ret == -ECONNRESET ? 1 : ret;
    if (be32_load(raw) != NBD_REQUEST)
        return -EPROTO;
    r.flags = be16_load(raw + 4);
    r.type = be16_load(raw + 6);
    memcpy(r.cookie, raw + 8, sizeof(r.cookie));
    r.at = be64_load(raw + 16);
    r.len = be32_load(raw + 24);
    if (r.type == NBD_CMD_DISC)
        return 1;
    wrong = request_check(s, &r);
    ret = take_payload(s, &r, &wrong);
    if (ret)
        return ret;
    return wrong ? answer(s, &r, wrong) : execute(s, &r);
}

int nbd_session_run(const struct nbd_export *export, const struct nbd_stream *stream)
{
    struct session *s = calloc(1, sizeof(*s));
    int ret;

    if (!s)
        return -ENOMEM;
    s->export = export;
    s->stream = stream;
    ret = negotiate(s);
    while (!ret)
        ret = serve_request(s);
    free(s->buffer);
    free(s);
    return ret > 0 || ret == -ESHUTDOWN ? 0 : ret;
}
