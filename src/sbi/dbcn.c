/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Debug console extension (SBI 2.0 chapter 12). A call moves at most CALL_MAX bytes and says how
 * many, as the specification lets it, so no call keeps its hart for long.
 */
#include "sbi/state.h"

enum { DBCN_WRITE, DBCN_READ, DBCN_WRITE_BYTE };

#define CALL_MAX 4096

/* Bytes between two looks at whether the hart is wanted; a program may have its own. */
#ifndef SBI_CHUNK
#define SBI_CHUNK 256
#endif

static bool is_pressed(const struct sbi *sbi)
{
    return sbi->platform->is_pressed && sbi->platform->is_pressed(sbi->ctx);
}

static struct sbi_ret console_write(struct sbi *sbi, gpa_t from, u64 len)
{
    u8 buf[SBI_CHUNK];
    u64 done = 0;
    size_t taken;

    if (len > CALL_MAX)
        len = CALL_MAX;
    while (done < len && !(done && is_pressed(sbi))) {
        size_t n = len - done < SBI_CHUNK ? len - done : SBI_CHUNK;
        if (!sbi->platform->memory_read(sbi->ctx, from + done, buf, n))
            return sbi_fail(SBI_ERR_FAILED);
        done += taken = sbi->platform->console_write(sbi->ctx, buf, n);
        if (taken < n)
            break;
    }
    return sbi_done(done);
}

static struct sbi_ret console_read(struct sbi *sbi, gpa_t to, u64 len)
{
    u8 buf[SBI_CHUNK];
    u64 done = 0;

    if (len > CALL_MAX)
        len = CALL_MAX;
    while (done < len && !(done && is_pressed(sbi))) {
        size_t room = len - done < SBI_CHUNK ? len - done : SBI_CHUNK;
        size_t n = sbi->platform->console_read(sbi->ctx, buf, room);
        if (n && !sbi->platform->memory_write(sbi->ctx, to + done, buf, n))
            return sbi_fail(SBI_ERR_FAILED);
        done += n;
        if (n < room)
            break;
    }
    return sbi_done(done);
}

struct sbi_ret sbi_dbcn_serve(struct sbi *sbi, u32 hart, const struct sbi_call *call)
{
    u64 len = call->arg[0], lo = call->arg[1], hi = call->arg[2];
    u8 byte = (u8)call->arg[0];

    switch (call->func) {
    case DBCN_WRITE:
    case DBCN_READ:
        /* Both want RAM throughout, also beyond what this call will move. */
        if (hi || (len && !sbi->platform->memory_is_valid(sbi->ctx, lo, len)))
            return sbi_fail(SBI_ERR_INVALID_PARAM);
        return call->func == DBCN_WRITE ? console_write(sbi, lo, len) : console_read(sbi, lo, len);
    case DBCN_WRITE_BYTE:
        return sbi->platform->console_write(sbi->ctx, &byte, 1) ? sbi_done(0)
                                                                : sbi_fail(SBI_ERR_FAILED);
    default:
        return sbi_fail(SBI_ERR_NOT_SUPPORTED);
    }
}
