/* SPDX-License-Identifier: BSD-2-Clause */
/* A process that outlives a VM of an image and removes what the VM's own cannot. */
#include "apps/cosm/tidy.h"

#include "api/record.h"
#include "store/guest.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#define LET_GO_MS 10000 /* a process that was killed has its lock for a moment longer */

static int remove_vm(const char *name, struct err *err)
{
    struct record record;
    int r = record_open(&record, name, err);

    if (!r) {
        (void)record_wait(&record, LET_GO_MS);
        r = record_remove(&record, err);
    }
    record_close(&record);
    return r && r != -ENOENT ? r : guest_remove(name, err);
}

/* The user's files, and the standard error on which he may wait for an end, are not for it. */
static void keep_only(int fd)
{
    int null = open("/dev/null", O_RDWR | O_CLOEXEC);

    for (int i = 0; i <= 2 && null >= 0; i++)
        dup2(null, i);
    if (fd > 3)
        (void)close_range(3, (u32)fd - 1, 0);
    (void)close_range((u32)fd + 1, UINT32_MAX, 0);
    (void)!chdir("/");
}

static NORETURN void attend(int fd, const char *name, u32 when)
{
    struct err err = {""};
    bool began = false;
    char byte;
    ssize_t n;

    prctl(PR_SET_NAME, "cosm-tidy");
    setsid(); /* the terminal's signals are for the VM */
    keep_only(fd);
    while ((n = recv(fd, &byte, 1, 0)) > 0 || (n < 0 && errno == EINTR)) {
        began = true;
        if (!(when & TIDY_ENDED))
            _exit(0);
    }
    if ((when & (began ? TIDY_ENDED : TIDY_UNSTARTED)) && remove_vm(name, &err))
        (void)send(fd, err.msg, strlen(err.msg), MSG_NOSIGNAL);
    _exit(0);
}

int tidy_start(struct tidy *t, const char *name, u32 when, struct err *err)
{
    int fd[2], code;
    pid_t child;

    t->fd = -1;
    if (!when)
        return 0;
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fd))
        return err_set(err, errno, "no socket for a process: %s", strerror(errno));
    child = fork();
    code = errno;
    if (child == 0) { /* its own child is nobody's to wait for */
        child = fork();
        if (child == 0) {
            close(fd[0]);
            attend(fd[1], name, when);
        }
        _exit(child < 0 ? errno : 0);
    }
    close(fd[1]);
    if (child > 0) {
        int status = 0;

        while (waitpid(child, &status, 0) < 0 && errno == EINTR)
            ;
        code = WIFEXITED(status) ? WEXITSTATUS(status) : ECHILD;
        if (!code) {
            t->fd = fd[0];
            return 0;
        }
    }
    close(fd[0]);
    return err_set(err, code, "cannot start a process: %s", strerror(code));
}

void tidy_began(struct tidy *t)
{
    if (t->fd >= 0)
        (void)send(t->fd, "R", 1, MSG_NOSIGNAL);
}

void tidy_end(struct tidy *t)
{
    char text[sizeof(((struct err *)0)->msg)];
    size_t len = 0;
    ssize_t n;

    if (t->fd < 0)
        return;
    shutdown(t->fd, SHUT_WR);
    while (len < sizeof(text) &&
           ((n = recv(t->fd, text + len, sizeof(text) - len, 0)) > 0 || (n < 0 && errno == EINTR)))
        len += n > 0 ? (size_t)n : 0;
    if (len)
        fprintf(stderr, "cosm: %.*s\n", (int)len, text);
    close(t->fd);
    t->fd = -1;
}
