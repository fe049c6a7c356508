/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A process that does for a confined one what that cannot do any more: it removes the sockets of
 * its VM at the end, as those of others lie in the same folder; connects to sockets beside them
 * whose names end in a number; and makes the connections that were registered. It does nothing
 * else, whoever asks.
 */
#ifndef COSM_HOST_ATTENDANT_H
#define COSM_HOST_ATTENDANT_H

#include "base/err.h"
#include "port/lock.h"

#include <sys/types.h>

#define ATTENDANT_SOCKETS_MAX 8
#define ATTENDANT_NAME_MAX    128
#define ATTENDANT_MAKERS_MAX  32

struct attendant {
    struct {
        int dir;
        bool dial;
        char name[ATTENDANT_NAME_MAX];
    } socket[ATTENDANT_SOCKETS_MAX];
    u32 count;
    struct {
        int (*make)(void *ctx, u32 *value, struct err *err);
        void *ctx;
        int needs;
    } maker[ATTENDANT_MAKERS_MAX];
    u32 makers;
    pid_t pid; /* 0: not started */
    int fd;
    struct lock lock; /* one asks at a time */
};

/* dir/name is one of the sockets; dial: dir/name_NUMBER may be connected to. Before it starts; dir
 * stays open until then. */
MUST_CHECK int attendant_add(struct attendant *a, int dir, const char *name, bool dial,
                             struct err *err);

/*
 * make(ctx, value) is to be called in the attendant, with its copy of ctx as it is when that starts
 * and with the descriptor needs open (-1: none): it returns a descriptor or -errno, and a number.
 * Returns what attendant_make takes, or -errno.
 */
MUST_CHECK int attendant_add_maker(struct attendant *a,
                                   int (*make)(void *ctx, u32 *value, struct err *err), void *ctx,
                                   int needs, struct err *err);

/* Starts it if there are any; while this process has one thread. */
MUST_CHECK int attendant_start(struct attendant *a, struct err *err);

/* Has it been started, so that it is to be asked? */
bool attendant_serves(const struct attendant *a);

/* A connection to NAME_number of any name, that does not block, or -errno. */
int attendant_dial(struct attendant *a, u32 number);

/* What that maker returns. Any thread. */
MUST_CHECK int attendant_make(struct attendant *a, u32 maker, u32 *value, struct err *err);

/* The end of the VM while it has its name; if its process dies instead, the sockets stay. They are
 * removed when this returns. One that was not started is left alone. */
void attendant_stop(struct attendant *a);

#endif
