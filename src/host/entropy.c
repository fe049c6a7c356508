/* SPDX-License-Identifier: BSD-2-Clause */
/* Random bytes from the host's kernel. */
#include "host/entropy.h"

#include "base/assert.h"

#include <errno.h>
#include <sys/random.h>

static void host_entropy_fill(void *ctx, void *buf, size_t len)
{
    u8 *to = buf;

    while (len) {
        ssize_t n = getrandom(to, len, 0);

        /* On a Linux host the call fails for no other reason once it exists. */
        ASSERT(n > 0 || errno == EINTR);
        if (n > 0) {
            to += n;
            len -= (size_t)n;
        }
    }
}

struct entropy host_entropy(void)
{
    return (struct entropy){host_entropy_fill, NULL};
}
