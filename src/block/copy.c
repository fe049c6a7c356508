/* SPDX-License-Identifier: BSD-2-Clause */
/* Copies and comparisons of whole disks. */
#include "block/copy.h"

#include "base/bits.h"
#include "block/filter.h"
#include "block/qcow2.h"
#include "host/scope.h"

#include <errno.h>
#include <string.h>

#define CHUNK (2 * MIB)
#define GRAIN 4096 /* zeroes of so many bytes, aligned, are not written */

static bool is_zero(const u8 *bytes, u64 len)
{
    return !len || (!bytes[0] && !memcmp(bytes, bytes + 1, len - 1));
}

int copy_state(struct node *node, u64 at, u64 max, u64 *len)
{
    int state = node_state(node, at, max, len);
    struct node *image = filter_below(node);
    struct node *below = qcow2_is(image) ? qcow2_backing(image) : NULL;

    if (state != NODE_ABSENT)
        return state;
    if (!below || at >= below->size)
        return NODE_ZERO;
    if (*len > below->size - at)
        *len = below->size - at;
    return copy_state(below, at, *len, len);
}

/* Writes a piece, leaving out or zeroing what is zeroes. */
static int copy_piece(struct node *to, u64 at, const u8 *bytes, u64 len,
                      const struct copy_options *o)
{
    u64 done = 0;

    if (o->compressed)
        return is_zero(bytes, len) && o->target_is_blank
                   ? 0
                   : qcow2_write_compressed(to, at, bytes, len);
    while (done < len) {
        u64 n = len - done < GRAIN ? len - done : GRAIN;
        bool zero = is_zero(bytes + done, n);
        int ret = 0;

        while (done + n < len) {
            u64 more = len - done - n < GRAIN ? len - done - n : GRAIN;

            if (is_zero(bytes + done + n, more) != zero)
                break;
            n += more;
        }
        if (!zero)
            ret = node_write_bytes(to, at + done, bytes + done, n);
        else if (!o->target_is_blank)
            ret = node_write_zeroes(to, at + done, n, true);
        if (ret)
            return ret;
        done += n;
    }
    return 0;
}

static int copy_zeroes(struct node *to, u64 at, u64 len, const struct copy_options *o)
{
    return o->target_is_blank ? 0 : node_write_zeroes(to, at, len, true);
}

int copy_disk(struct node *from, struct node *to, const struct copy_options *o)
{
    u64 chunk = o->compressed ? o->chunk : CHUNK, at = 0;
    AUTO_FREE u8 *bytes = malloc(chunk);

    if (!bytes)
        return -ENOMEM;
    while (at < from->size) {
        u64 len;
        int state = copy_state(from, at, from->size - at, &len), ret;

        if (state < 0)
            return state;
        /* Compressed clusters are written whole. */
        if (state != NODE_DATA && o->compressed)
            len = at + len == from->size ? len : align_down(len, chunk);
        if (state == NODE_DATA || !len) {
            len = from->size - at < chunk ? from->size - at : chunk;
            ret = node_read_bytes(from, at, bytes, len);
            if (!ret)
                ret = copy_piece(to, at, bytes, len, o);
        } else {
            ret = copy_zeroes(to, at, len, o);
        }
        if (ret)
            return ret;
        at += len;
        if (o->progress && !o->progress(o->ctx, at, from->size))
            return -EINTR;
    }
    return 0;
}

/* Bytes of a disk; behind its end are zeroes. */
static int read_padded(struct node *node, u64 at, u8 *bytes, u64 len)
{
    u64 there = at >= node->size ? 0 : node->size - at < len ? node->size - at : len;

    memset(bytes + there, 0, len - there);
    return node_read_bytes(node, at >= node->size ? 0 : at, bytes, there);
}

int copy_compare(struct node *a, struct node *b, u64 *at)
{
    u64 size = a->size > b->size ? a->size : b->size;
    AUTO_FREE u8 *x = malloc(CHUNK), *y = malloc(CHUNK);

    if (!x || !y)
        return -ENOMEM;
    for (*at = 0; *at < size;) {
        u64 len = size - *at < CHUNK ? size - *at : CHUNK;
        int ret = read_padded(a, *at, x, len);

        if (!ret)
            ret = read_padded(b, *at, y, len);
        if (ret)
            return ret;
        if (memcmp(x, y, len)) {
            for (u64 i = 0; x[i] == y[i]; i++)
                ++*at;
            return 0;
        }
        *at += len;
    }
    return 0;
}
