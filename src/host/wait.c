/* SPDX-License-Identifier: BSD-2-Clause */
/* Waiting for a lock (port/lock.h) by futex. */
#include "port/lock.h"

#include <linux/futex.h>
#include <sys/syscall.h>
#include <unistd.h>

void port_wait(_Atomic u32 *word, u32 value)
{
    /* EAGAIN (the value changed) and EINTR are early returns, which the port allows. */
    syscall(SYS_futex, word, FUTEX_WAIT_PRIVATE, value, NULL, NULL, 0);
}

void port_wake(_Atomic u32 *word)
{
    syscall(SYS_futex, word, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0);
}
