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
    d->in_text = false;
    d->len = 0;
}

void demux_write(struct demux *d, const u8 *bytes, size_t len)
{
    while (len) {
        if (*bytes == '\n') {
            end(d);
        } else if (d->in_text) {
            const u8 *stop = memchr(bytes, '\n', len);
            size_t n = stop ? (size_t)(stop - bytes) : len;

            d->text(d->ctx, d->who, false, bytes, n);
            bytes += n;
            len -= n;
            continue;
        } else if (d->len || *bytes != '\r') {
            d->label[d->len++] = (char)*bytes;
            judge(d);
        }
        bytes++;
        len--;
    }
}
