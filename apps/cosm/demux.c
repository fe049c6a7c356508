/* SPDX-License-Identifier: BSD-2-Clause */
/* The serial line of a board under cosm-metal. */
#include "apps/cosm/demux.h"

#include <string.h>

void demux_init(struct demux *d, const struct metal_config *config, void *ctx)
{
    memset(d, 0, sizeof(*d));
    d->config = config;
    d->ctx = ctx;
}

static bool is_name(const char *label, size_t len, const char *name)
{
    return strlen(name) == len && !memcmp(label, name, len);
}

static u32 find(const struct demux *d, const char *label, size_t len)
{
    if (is_name(label, len, "metal"))
        return DEMUX_METAL;
    for (u32 i = 0; d->config && i < d->config->partition_count; i++) {
        if (is_name(label, len, d->config->partition[i].name))
            return i;
    }
    return DEMUX_OTHER;
}

static void begin(struct demux *d, u32 who, bool begins, size_t label)
{
    size_t rest = d->len - label;

    d->who = who;
    d->in_text = true;
    if (rest || begins)
        d->text(d->ctx, who, begins, (const u8 *)d->label + label, rest);
    d->len = 0;
}

/* What there is of a label: is it whole, is it none? */
static void judge(struct demux *d)
{
    char last = d->label[d->len - 1];
    u32 who;

    if (d->label[0] == '[' && d->len >= 3 && (last == ' ' || last == '+') &&
        d->label[d->len - 2] == ']') {
        who = find(d, d->label + 1, d->len - 3);
        begin(d, who, last == ' ', who == DEMUX_OTHER ? 0 : d->len);
    } else if (d->label[0] != '[' || d->len == sizeof(d->label)) {
        begin(d, DEMUX_OTHER, true, 0);
    }
}

static void end(struct demux *d)
{
    if (!d->in_text && d->len)
        begin(d, DEMUX_OTHER, true, 0);
    if (d->in_text && d->ended)
        d->ended(d->ctx, d->who);
    d->in_text = d->held = false;
    d->len = 0;
}

/* Part of a line; returns how much of it was taken. */
static size_t take_text(struct demux *d, const u8 *bytes, size_t len)
{
    size_t n = 0;

    if (d->held)
        d->text(d->ctx, d->who, false, (const u8 *)"\r", 1);
    d->held = *bytes == '\r';
    if (d->held)
        return 1;
    while (n < len && bytes[n] != '\n' && bytes[n] != '\r')
        n++;
    d->text(d->ctx, d->who, false, bytes, n);
    return n;
}

void demux_write(struct demux *d, const u8 *bytes, size_t len)
{
    while (len) {
        size_t n = 1;

        if (*bytes == '\n') {
            end(d);
        } else if (d->in_text) {
            n = take_text(d, bytes, len);
        } else if (d->len || *bytes != '\r') {
            d->label[d->len++] = (char)*bytes;
            judge(d);
        }
        bytes += n;
        len -= n;
    }
}
