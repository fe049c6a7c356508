/* SPDX-License-Identifier: BSD-2-Clause */
/* Processes that a VM starts beside itself: this program again. */
#include "host/helper.h"

#include "base/assert.h"
#include "host/scope.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <string.h>
#include <sys/socket.h>

#define SOCKET_ROOM (4 * MIB)
#define FDS_MAX     8
#define HIGH        64 /* above all numbers that a process begins with */

static int spawn(const char *command, const int *fd, u32 count, pid_t *pid)
{
    char program[] = "cosm", word[32];
    char *const argv[] = {program, word, NULL};
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attr;
    sigset_t none, all;
    int r;

    memccpy(word, command, '\0', sizeof(word));
    word[sizeof(word) - 1] = '\0';
    sigemptyset(&none);
    sigfillset(&all);
    posix_spawn_file_actions_init(&actions);
    posix_spawnattr_init(&attr);
    posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0);
    posix_spawn_file_actions_addopen(&actions, 1, "/dev/null", O_WRONLY, 0);
    /* What a library prints there a guest could make it print without end. */
    posix_spawn_file_actions_addopen(&actions, 2, "/dev/null", O_WRONLY, 0);
    for (u32 i = 0; i < count; i++) {
        if (fd[i] >= 0)
            posix_spawn_file_actions_adddup2(&actions, fd[i], HELPER_FD + (int)i);
        else
            posix_spawn_file_actions_addclose(&actions, HELPER_FD + (int)i);
    }
    posix_spawnattr_setsigmask(&attr, &none);
    posix_spawnattr_setsigdefault(&attr, &all);
    /* A session of its own: the terminal's signals are for the VM, which ends it in order. */
    posix_spawnattr_setflags(
        &attr, (short)(POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETSID));
    r = posix_spawn(pid, "/proc/self/exe", &actions, &attr, argv, environ);
    posix_spawn_file_actions_destroy(&actions);
    posix_spawnattr_destroy(&attr);
    return r;
}

int helper_start(const char *command, const int *fd, u32 count, pid_t *pid, struct err *err)
{
    int high[FDS_MAX] = {0}, r = 0;

    ASSERT(count <= FDS_MAX);
    for (u32 i = 0; i < count; i++) {
        high[i] = fd[i] < 0 ? -1 : fcntl(fd[i], F_DUPFD_CLOEXEC, HIGH);
        if (fd[i] >= 0 && high[i] < 0)
            r = errno;
    }
    if (!r)
        r = spawn(command, high, count, pid);
    for (u32 i = 0; i < count; i++)
        scope_close(&high[i]);
    if (!r)
        return 0;
    *pid = -1;
    return err_set(err, r, "cannot start the process '%s': %s", command, strerror(r));
}

int helper_pair(int *ours, int *theirs, struct err *err)
{
    int room = SOCKET_ROOM, fd[2];

    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fd))
        return err_set(err, errno, "no socket for a process beside this one: %s", strerror(errno));
    for (u32 i = 0; i < 2; i++)
        (void)setsockopt(fd[i], SOL_SOCKET, SO_SNDBUF, &room, sizeof(room));
    *ours = fd[0];
    *theirs = fd[1];
    return 0;
}
