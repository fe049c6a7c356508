/* SPDX-License-Identifier: BSD-2-Clause */
/* How far something is that takes long, for who shows it to the user. */
#ifndef COSM_STORE_PROGRESS_H
#define COSM_STORE_PROGRESS_H

#include "base/types.h"

struct progress {
    /*
     * The stage that goes on, as in "unpack"; done of total of it are (total 0: nobody knows); what
     * it is about just now ("": nothing to name). false: stop. Not called from other threads.
     */
    bool (*tell)(void *ctx, const char *stage, u64 done, u64 total, const char *what);
    /* Something that the user should know, a sentence. */
    void (*warn)(void *ctx, const char *text);
    void *ctx;
};

static inline void progress_warn(const struct progress *p, const char *text)
{
    if (p)
        p->warn(p->ctx, text);
}

static inline bool progress_tell(const struct progress *p, const char *stage, u64 done, u64 total,
                                 const char *what)
{
    return !p || p->tell(p->ctx, stage, done, total, what);
}

#endif
