/* SPDX-License-Identifier: BSD-2-Clause */
/* Reads tar archives as they come by. */
#include "store/tar.h"

#include "base/fmt.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { NAME = 0, NAME_LEN = 100, MODE = 100, SIZE = 124, CHECKSUM = 148, KIND = 156, LINK = 157 };
enum { MAGIC = 257, PREFIX = 345, PREFIX_LEN = 155, BLOCK = 512 };

void tar_init(struct tar *tar, const struct tar *callbacks)
{
    memset(tar, 0, sizeof(*tar));
    tar->member = callbacks->member;
    tar->content = callbacks->content;
    tar->ctx = callbacks->ctx;
}

static bool octal(const u8 *field, size_t len, u64 *value)
{
    size_t i = 0;

    *value = 0;
    while (i < len && field[i] == ' ')
        i++;
    for (; i < len && field[i] >= '0' && field[i] <= '7'; i++)
        *value = *value << 3 | (u64)(field[i] - '0');
    return i == len || field[i] == '\0' || field[i] == ' ';
}

static bool checksum_is_right(const u8 *block)
{
    u64 sum = 0, want;

    for (u32 i = 0; i < BLOCK; i++)
        sum += i >= CHECKSUM && i < CHECKSUM + 8 ? ' ' : block[i];
    return octal(block + CHECKSUM, 8, &want) && sum == want;
}

/* Names begin with "./", folders end in "/"; what is left may be "". */
static void tidy(char *name)
{
    size_t skip = 0, len;

    while (name[skip] == '/' || (name[skip] == '.' && (name[skip + 1] == '/' || !name[skip + 1])))
        skip++;
    len = strlen(name + skip);
    memmove(name, name + skip, len + 1);
    while (len && name[len - 1] == '/')
        name[--len] = '\0';
}

static void take_names(struct tar *t)
{
    const char *block = (const char *)t->block;
    bool prefix = !memcmp(block + MAGIC, "ustar", 6) && block[PREFIX];

    if (!t->has_name)
        fmt_print(t->now.name, TAR_NAME_MAX, "%.*s%s%.*s", prefix ? PREFIX_LEN : 0, block + PREFIX,
                  prefix ? "/" : "", NAME_LEN, block + NAME);
    if (!t->has_link)
        fmt_print(t->now.link, TAR_NAME_MAX, "%.*s", NAME_LEN, block + LINK);
    t->has_name = t->has_link = false;
    tidy(t->now.name);
}

static bool is_zero(const u8 *block)
{
    for (u32 i = 0; i < BLOCK; i++) {
        if (block[i])
            return false;
    }
    return true;
}

/* A header has come. */
static int take_header(struct tar *t, struct err *err)
{
    u64 mode, size;
    char kind = (char)t->block[KIND];

    t->len = 0;
    t->over = is_zero(t->block);
    if (t->over)
        return 0;
    if (!checksum_is_right(t->block) || !octal(t->block + SIZE, 12, &size) ||
        !octal(t->block + MODE, 8, &mode))
        return err_set(err, EINVAL, "it is no tar archive");
    t->left = size;
    t->pad = (u32)(-size % BLOCK);
    if (kind == 'L' || kind == 'K' || kind == 'x' || kind == 'g') {
        if (size >= sizeof(t->record))
            return err_set(err, EINVAL, "a record of its tar archive is too long");
        t->record_kind = kind;
        return 0;
    }
    t->now.kind = kind ? kind : '0';
    t->now.mode = (u32)mode & 07777;
    t->now.size = size;
    take_names(t);
    t->wanted = t->member(t->ctx, &t->now);
    if (t->wanted && !size)
        t->content(t->ctx, &t->now, NULL, 0, true);
    return 0;
}

/* "LENGTH KEY=VALUE\n" each. */
static void take_pax(struct tar *t)
{
    char *at = t->record, *end = t->record + t->len;

    while (at < end) {
        char *rest, *value;
        unsigned long len = strtoul(at, &rest, 10);

        if (*rest != ' ' || len < (size_t)(rest - at) + 3 || len > (size_t)(end - at))
            return;
        at[len - 1] = '\0';
        value = strchr(rest, '=');
        if (value && !strncmp(rest, " path=", 6)) {
            fmt_print(t->now.name, TAR_NAME_MAX, "%s", value + 1);
            t->has_name = true;
        } else if (value && !strncmp(rest, " linkpath=", 10)) {
            fmt_print(t->now.link, TAR_NAME_MAX, "%s", value + 1);
            t->has_link = true;
        }
        at += len;
    }
}

static void take_record(struct tar *t)
{
    t->record[t->len] = '\0';
    if (t->record_kind == 'L') {
        fmt_print(t->now.name, TAR_NAME_MAX, "%s", t->record);
        t->has_name = true;
    } else if (t->record_kind == 'K') {
        fmt_print(t->now.link, TAR_NAME_MAX, "%s", t->record);
        t->has_link = true;
    } else if (t->record_kind == 'x') {
        take_pax(t);
    }
    t->record_kind = 0;
    t->len = 0;
}

static size_t take_content(struct tar *t, const u8 *bytes, size_t len)
{
    size_t n = len < t->left ? len : (size_t)t->left;

    t->left -= n;
    if (t->record_kind) {
        memcpy(t->record + t->len, bytes, n);
        t->len += n;
        if (!t->left)
            take_record(t);
    } else if (t->wanted) {
        t->content(t->ctx, &t->now, bytes, n, !t->left);
    }
    return n;
}

int tar_feed(struct tar *t, const u8 *bytes, size_t len, struct err *err)
{
    while (len && !t->over) {
        size_t n;

        if (t->left) {
            n = take_content(t, bytes, len);
        } else if (t->pad) {
            n = len < t->pad ? len : t->pad;
            t->pad -= (u32)n;
        } else {
            n = BLOCK - t->len < len ? BLOCK - t->len : len;
            memcpy(t->block + t->len, bytes, n);
            t->len += n;
            if (t->len == BLOCK) {
                int r = take_header(t, err);
                if (r)
                    return r;
                if (t->record_kind && !t->left)
                    take_record(t);
            }
        }
        bytes += n;
        len -= n;
    }
    return 0;
}

bool tar_is_whole(const struct tar *t)
{
    return t->over;
}
