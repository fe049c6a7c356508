/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Reads tar archives as they come by: ustar (POSIX.1-2017, pax) with GNU's long names. Bytes are
 * given in pieces of any size; members are told of, and their content given, as they pass.
 */
#ifndef COSM_STORE_TAR_H
#define COSM_STORE_TAR_H

#include "base/err.h"

#define TAR_NAME_MAX 1024

struct tar_member {
    char name[TAR_NAME_MAX]; /* without "./" before and "/" behind it */
    char link[TAR_NAME_MAX]; /* a symbolic or hard link's target */
    char kind;               /* '0' file, '1' hard link, '2' symbolic link, '5' folder, others */
    u32 mode;
    u64 size; /* bytes that follow */
};

struct tar {
    /* A member begins: true if its content is wanted. */
    bool (*member)(void *ctx, const struct tar_member *member);
    /* Content of the member; in pieces, the last of which has last set. An empty file has one. */
    void (*content)(void *ctx, const struct tar_member *member, const u8 *bytes, size_t len,
                    bool last);
    void *ctx;

    struct tar_member now;
    bool has_name, has_link; /* they came in a record of their own */
    bool wanted, over;
    char record_kind; /* 'L', 'K', 'x' while such a record is read; 0 */
    u64 left;         /* of the content */
    u32 pad;          /* bytes up to the next block */
    size_t len;       /* of block or record that have come */
    u8 block[512];
    char record[4 * TAR_NAME_MAX];
};

void tar_init(struct tar *tar, const struct tar *callbacks);

/* -EINVAL and a sentence: no tar archive. */
MUST_CHECK int tar_feed(struct tar *tar, const u8 *bytes, size_t len, struct err *err);

/* True if the archive came to its end. */
bool tar_is_whole(const struct tar *tar);

#endif
