/* SPDX-License-Identifier: BSD-2-Clause */
/* Writes an ISO 9660 image (ECMA-119) of one folder. */
#include "store/iso.h"

#include "base/assert.h"
#include "base/endian.h"
#include "base/fmt.h"
#include "host/file.h"
#include "host/scope.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

enum {
    BLOCK = 2048,
    VOLUME = 16, /* blocks: the volume's descriptor, the end of descriptors, path tables, folder */
    END = 17,
    TABLE_LITTLE = 18,
    TABLE_BIG = 19,
    FOLDER = 20,
    RECORD = 33,     /* bytes of a directory record before the name */
    RECORD_MAX = 48, /* with the longest name, even */
};

static u32 folder_blocks(const struct iso *iso)
{
    return 1 + (iso->max + 2) / (BLOCK / RECORD_MAX);
}

static int broken(int code, struct err *err)
{
    return err_set(err, code, "cannot write the installer's disk: %s", strerror(code));
}

int iso_begin(struct iso *iso, int fd, u32 max, struct err *err)
{
    ASSERT(max <= ISO_FILES_MAX);
    *iso = (struct iso){.fd = fd, .max = max};
    iso->file = calloc(max, sizeof(*iso->file));
    if (!iso->file)
        return broken(ENOMEM, err);
    if (lseek(fd, (off_t)(FOLDER + folder_blocks(iso)) * BLOCK, SEEK_SET) < 0)
        return broken(errno, err);
    return 0;
}

int iso_file(struct iso *iso, const char *name, struct err *err)
{
    off_t at = lseek(iso->fd, 0, SEEK_CUR);
    struct iso_file *f = &iso->file[iso->count];

    ASSERT(iso->count < iso->max && strlen(name) <= ISO_NAME_MAX);
    at = at < 0 ? at : lseek(iso->fd, (at + BLOCK - 1) / BLOCK * BLOCK, SEEK_SET);
    if (at < 0)
        return broken(errno, err);
    if (at / BLOCK > UINT32_MAX)
        return broken(EFBIG, err);
    fmt_print(f->name, sizeof(f->name), "%s", name);
    f->block = (u32)(at / BLOCK);
    return 0;
}

int iso_end(struct iso *iso, struct err *err)
{
    struct iso_file *f = &iso->file[iso->count];
    off_t at = lseek(iso->fd, 0, SEEK_CUR);

    if (at < 0)
        return broken(errno, err);
    f->size = (u64)at - (u64)f->block * BLOCK;
    if (f->size > UINT32_MAX)
        return broken(EFBIG, err);
    iso->count++;
    return 0;
}

int iso_put(struct iso *iso, const char *name, const void *bytes, size_t len, struct err *err)
{
    int r = iso_file(iso, name, err);

    if (r)
        return r;
    r = file_write_all(iso->fd, bytes, len);
    return r ? broken(-r, err) : iso_end(iso, err);
}

/* ECMA-119, 7.2.3 and 7.3.3: both byte orders. */
static void both16(u8 *at, u16 value)
{
    le16_store(at, value);
    be16_store(at + 2, value);
}

static void both32(u8 *at, u32 value)
{
    le32_store(at, value);
    be32_store(at + 4, value);
}

/* ECMA-119, 9.1; its length, or 0: it does not fit into what is left of the block. */
static u32 put_record(u8 *at, u32 left, const char *name, u32 name_len, u32 block, u32 size,
                      bool folder)
{
    u32 len = (RECORD + name_len + 1) & ~1u;

    if (len > left)
        return 0;
    at[0] = (u8)len;
    both32(at + 2, block);
    both32(at + 10, size);
    at[18] = 70; /* 1970-01-01, so that images repeat bit by bit */
    at[19] = at[20] = 1;
    at[25] = folder ? 2 : 0;
    both16(at + 28, 1);
    at[32] = (u8)name_len;
    memcpy(at + RECORD, name, name_len);
    return len;
}

static int by_name(const void *a, const void *b)
{
    return strcmp(((const struct iso_file *)a)->name, ((const struct iso_file *)b)->name);
}

static void put_folder(const struct iso *iso, u8 *folder)
{
    u32 size = folder_blocks(iso) * BLOCK, at = 0;

    at += put_record(folder + at, BLOCK - at, "\0", 1, FOLDER, size, true);
    at += put_record(folder + at, BLOCK - at, "\1", 1, FOLDER, size, true);
    for (u32 i = 0; i < iso->count; i++) {
        const struct iso_file *f = &iso->file[i];
        char name[ISO_NAME_MAX + 4];
        u32 len = (u32)fmt_print(name, sizeof(name), "%s;1", f->name), put;

        put = put_record(folder + at, BLOCK - at % BLOCK, name, len, f->block, (u32)f->size, false);
        if (!put) { /* records do not cross blocks */
            at = (at / BLOCK + 1) * BLOCK;
            put = put_record(folder + at, BLOCK, name, len, f->block, (u32)f->size, false);
        }
        at += put;
    }
}

static void put_volume(const struct iso *iso, u8 *blocks, u32 end)
{
    u8 *v = blocks, *terminator = blocks + BLOCK;

    memset(v, ' ', 883);
    memset(v + 72, 0, 118);
    memcpy(v, "\1CD001\1", 8); /* with the unused byte */
    memcpy(v + 40, "COSM", 4);
    both32(v + 80, end);
    both16(v + 120, 1);
    both16(v + 124, 1);
    both16(v + 128, BLOCK);
    both32(v + 132, 10); /* the path table: one folder */
    le32_store(v + 140, TABLE_LITTLE);
    be32_store(v + 148, TABLE_BIG);
    put_record(v + 156, 34, "\0", 1, FOLDER, folder_blocks(iso) * BLOCK, true);
    for (u32 i = 0; i < 4; i++) /* dates: not given */
        memset(v + 813 + 17 * i, '0', 16);
    v[881] = 1;
    memcpy(terminator, "\377CD001\1", 7);
    blocks[2 * BLOCK] = 1;
    le32_store(blocks + 2 * BLOCK + 2, FOLDER);
    le16_store(blocks + 2 * BLOCK + 6, 1);
    blocks[3 * BLOCK] = 1;
    be32_store(blocks + 3 * BLOCK + 2, FOLDER);
    be16_store(blocks + 3 * BLOCK + 6, 1);
}

int iso_finish(struct iso *iso, struct err *err)
{
    u32 blocks = FOLDER + folder_blocks(iso) - VOLUME;
    AUTO_FREE u8 *head = calloc(blocks, BLOCK);
    off_t end = lseek(iso->fd, 0, SEEK_END);
    ssize_t n;

    if (!head)
        return broken(ENOMEM, err);
    end = end < 0 ? end : (end + BLOCK - 1) / BLOCK * BLOCK;
    if (end < 0 || ftruncate(iso->fd, end) < 0)
        return broken(errno, err);
    qsort(iso->file, iso->count, sizeof(*iso->file), by_name);
    put_volume(iso, head, (u32)(end / BLOCK));
    put_folder(iso, head + (FOLDER - VOLUME) * BLOCK);
    n = pwrite(iso->fd, head, (size_t)blocks * BLOCK, (off_t)VOLUME * BLOCK);
    return n == (ssize_t)blocks * BLOCK ? 0 : broken(n < 0 ? errno : EIO, err);
}

void iso_free(struct iso *iso)
{
    free(iso->file);
    iso->file = NULL;
}
