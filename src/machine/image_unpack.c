/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Packed images: gzip, zstd and EFI zboot, unpacked with a bound on the output.
 *
 * EFI zboot (Linux, drivers/firmware/efi/libstub/zboot-header.S) is an EFI program whose DOS stub
 * says where the packed kernel lies: "zimg" at 4, its offset at 8, its size at 12, the method's
 * name at 24. The content of a packed file is not unpacked again, so nesting cannot go deep.
 */
#include "machine/image_unpack.h"

#include "base/mem.h"

#include <errno.h>
#include <stdlib.h>
#include <zlib.h>
#ifdef COSM_HAVE_ZSTD
#include <zstd.h>
#endif

#define ZBOOT_HEADER   64 /* bytes */
#define ZBOOT_METHOD   24 /* offset of the method's name */
#define UNPACK_INITIAL (4 * MIB)

/* The growing output. */
struct output {
    u8 *bytes;
    u64 used, size, limit;
};

enum packing { PACK_NONE, PACK_GZIP, PACK_ZSTD, PACK_ZBOOT };

static bool begins(const struct image_source *s, size_t offset, const char *magic, size_t len)
{
    return s->size >= offset + len && !memcmp(s->bytes + offset, magic, len);
}

static enum packing packing_of(const struct image_source *s)
{
    if (begins(s, 0, "\x1f\x8b\x08", 3))
        return PACK_GZIP;
    if (begins(s, 0, "\x28\xb5\x2f\xfd", 4))
        return PACK_ZSTD;
    if (begins(s, 0, "MZ", 2) && begins(s, 4, "zimg", 4))
        return PACK_ZBOOT;
    return PACK_NONE;
}

bool image_is_packed(const struct image_source *source)
{
    return packing_of(source) != PACK_NONE;
}

/* Makes room for at least one byte more. */
static int output_grow(struct output *out, const char *name, struct err *err)
{
    u64 size = out->size ? 2 * out->size : UNPACK_INITIAL;
    u8 *bytes;

    if (out->size == out->limit)
        return err_set(err, E2BIG,
                       "'%s' unpacks to more than the %llu MiB of RAM that it could use: give the "
                       "guest more memory with -m %uM",
                       name, (unsigned long long)(out->limit / MIB),
                       image_advice_mib(2 * out->limit));
    if (size > out->limit)
        size = out->limit;
    bytes = realloc(out->bytes, size);
    if (!bytes)
        return err_set(err, ENOMEM, "no memory to unpack '%s' (%llu bytes)", name,
                       (unsigned long long)size);
    out->bytes = bytes;
    out->size = size;
    return 0;
}

static int damaged(const struct image_source *s, const char *method, const char *why,
                   struct err *err)
{
    return err_set(err, EINVAL, "'%s' is damaged or cut short (%s: %s): get a whole copy", s->name,
                   method, why);
}

static int gunzip_steps(z_stream *z, const struct image_source *s, struct output *out,
                        struct err *err)
{
    for (;;) {
        u64 room = out->size - out->used;
        int rc;

        if (!room) {
            rc = output_grow(out, s->name, err);
            if (rc)
                return rc;
            continue;
        }
        z->next_out = out->bytes + out->used;
        z->avail_out = room > UINT32_MAX ? UINT32_MAX : (uInt)room;
        room = z->avail_out;
        rc = inflate(z, Z_NO_FLUSH);
        out->used += room - z->avail_out;
        if (rc == Z_STREAM_END)
            return 0;
        if (rc != Z_OK)
            return damaged(s, "gzip", z->msg ? z->msg : "data ends early", err);
        if (!z->avail_in && z->avail_out)
            return damaged(s, "gzip", "data ends early", err);
    }
}

static int gunzip(const struct image_source *s, struct output *out, struct err *err)
{
    z_stream z = {.next_in = (Bytef *)(uintptr_t)s->bytes};
    int rc;

    if (s->size > UINT32_MAX)
        return err_set(err, EFBIG, "'%s' is too large for a gzip image: unpack it first", s->name);
    z.avail_in = (uInt)s->size;
    if (inflateInit2(&z, 16 + MAX_WBITS) != Z_OK) /* 16: a gzip wrapper */
        return err_set(err, ENOMEM, "no memory to unpack '%s'", s->name);
    rc = gunzip_steps(&z, s, out, err);
    inflateEnd(&z);
    return rc;
}

#ifdef COSM_HAVE_ZSTD
static int unzstd_steps(ZSTD_DStream *z, const struct image_source *s, struct output *out,
                        struct err *err)
{
    ZSTD_inBuffer in = {.src = s->bytes, .size = s->size};

    for (;;) {
        ZSTD_outBuffer to = {.dst = out->bytes, .size = out->size, .pos = out->used};
        size_t left;

        if (out->used == out->size) {
            int rc = output_grow(out, s->name, err);
            if (rc)
                return rc;
            continue;
        }
        left = ZSTD_decompressStream(z, &to, &in);
        out->used = to.pos;
        if (ZSTD_isError(left))
            return damaged(s, "zstd", ZSTD_getErrorName(left), err);
        if (!left)
            return 0;
        if (in.pos == in.size && to.pos < to.size)
            return damaged(s, "zstd", "data ends early", err);
    }
}

static int unzstd(const struct image_source *s, struct output *out, struct err *err)
{
    ZSTD_DStream *z = ZSTD_createDStream();
    int rc;

    if (!z)
        return err_set(err, ENOMEM, "no memory to unpack '%s'", s->name);
    rc = unzstd_steps(z, s, out, err);
    ZSTD_freeDStream(z);
    return rc;
}
#else
static int unzstd(const struct image_source *s, struct output *out, struct err *err)
{
    return err_set(err, ENOTSUP,
                   "'%s' is packed with zstd, which this build of cosm lacks: install libzstd-dev "
                   "and build again, or unpack it first",
                   s->name);
}
#endif

/* Finds the packed kernel within an EFI zboot image. */
static int zboot_payload(const struct image_source *s, struct image_source *payload,
                         struct err *err)
{
    char method[9] = ""; /* the file's word for it */
    u64 offset, size;

    if (s->size < ZBOOT_HEADER)
        return damaged(s, "EFI zboot", "header ends early", err);
    offset = le32_load(s->bytes + 8);
    size = le32_load(s->bytes + 12);
    if (!range_within(offset, size, 0, s->size))
        return damaged(s, "EFI zboot", "the packed kernel lies beyond the end of the file", err);
    *payload = (struct image_source){s->name, s->bytes + offset, size};
    if (packing_of(payload) == PACK_GZIP || packing_of(payload) == PACK_ZSTD)
        return 0;
    for (u32 i = 0; i < sizeof(method) - 1; i++) {
        u8 c = s->bytes[ZBOOT_METHOD + i];
        if (c <= ' ' || c > '~')
            break;
        method[i] = (char)c;
    }
    return err_set(err, ENOTSUP,
                   "'%s' is an EFI zboot image packed with '%s', but only gzip and zstd are known: "
                   "use the kernel's Image instead",
                   s->name, method);
}

int image_unpack(const struct image_source *source, u64 limit, u8 **bytes, size_t *size,
                 struct err *err)
{
    struct image_source packed = *source;
    struct output out = {.limit = limit};
    int rc = 0;

    if (packing_of(source) == PACK_ZBOOT)
        rc = zboot_payload(source, &packed, err);
    if (!rc)
        rc = packing_of(&packed) == PACK_ZSTD ? unzstd(&packed, &out, err)
                                              : gunzip(&packed, &out, err);
    if (rc) {
        free(out.bytes);
        return rc;
    }
    *bytes = out.bytes;
    *size = out.used;
    return 0;
}
