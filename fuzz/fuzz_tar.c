/* SPDX-License-Identifier: BSD-2-Clause */
/* Fuzzes the reader of tar archives: in whatever pieces it comes, an archive reads the same. */
#include "store/tar.h"

#include "tests/fake.h"

int LLVMFuzzerTestOneInput(const u8 *data, size_t size);

/* What was told, as a sum; content counts as many bytes as its member has. */
struct sum {
    u64 value, left;
    bool open;
};

static void add(struct sum *s, const void *bytes, size_t len)
{
    for (size_t i = 0; i < len; i++)
        s->value = s->value * 31 + ((const u8 *)bytes)[i];
}

static bool on_member(void *ctx, const struct tar_member *m)
{
    struct sum *s = ctx;

    ASSERT(!s->open);
    ASSERT(strlen(m->name) < TAR_NAME_MAX && strlen(m->link) < TAR_NAME_MAX && m->mode < 010000);
    add(s, m->name, strlen(m->name));
    add(s, m->link, strlen(m->link));
    s->open = m->kind == '0';
    s->left = m->size;
    return s->open;
}

static void on_content(void *ctx, const struct tar_member *m, const u8 *bytes, size_t len,
                       bool last)
{
    struct sum *s = ctx;

    ASSERT(s->open && len <= s->left);
    add(s, bytes, len);
    s->left -= len;
    ASSERT(last == !s->left);
    s->open = !last;
}

static int read_in(const u8 *data, size_t size, size_t piece, u64 *value)
{
    struct sum sum = {0};
    struct tar tar;
    struct err err;
    int r = 0;

    tar_init(&tar, &(struct tar){.member = on_member, .content = on_content, .ctx = &sum});
    for (size_t at = 0; at < size && !r; at += piece)
        r = tar_feed(&tar, data + at, size - at < piece ? size - at : piece, &err);
    *value = sum.value;
    return r;
}

int LLVMFuzzerTestOneInput(const u8 *data, size_t size)
{
    static const size_t pieces[] = {1, 500, 512};
    u64 whole, other;
    int r = read_in(data, size, size + 1, &whole);

    for (u32 i = 0; i < ARRAY_SIZE(pieces); i++) {
        ASSERT(read_in(data, size, pieces[i], &other) == r);
        ASSERT(other == whole);
    }
    return 0;
}
