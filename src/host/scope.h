/* SPDX-License-Identifier: BSD-2-Clause */
/* Scoped ownership: what a function holds is released when it returns, unless stolen. */
#ifndef COSM_HOST_SCOPE_H
#define COSM_HOST_SCOPE_H

#include <stdlib.h>
#include <unistd.h>

static inline void scope_free(void *slot)
{
    free(*(void **)slot);
}

static inline void scope_close(int *fd)
{
    if (*fd >= 0)
        close(*fd);
}

/* AUTO_FREE char *text = ...; freed at the end of the scope. */
#define AUTO_FREE __attribute__((cleanup(scope_free)))

/* AUTO_FD int fd = open(...); closed at the end of the scope unless negative. */
#define AUTO_FD __attribute__((cleanup(scope_close)))

/* The pointer's value; the variable becomes NULL: return steal(text); */
#define steal(pointer)                           \
    __extension__({                              \
        __typeof__(pointer) stolen_ = (pointer); \
        (pointer) = NULL;                        \
        stolen_;                                 \
    })

/* The descriptor; the variable becomes -1. */
static inline int steal_fd(int *fd)
{
    int stolen = *fd;

    *fd = -1;
    return stolen;
}

#endif
