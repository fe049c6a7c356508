/* SPDX-License-Identifier: BSD-2-Clause */
/* 'cosm logs': what a VM's console showed, and what comes. */
#include "apps/cosm/manage.h"

#include "api/hub.h"
#include "host/scope.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#define POLL_MS 50

/* Appends what is left of fd to text, which has room for size bytes in all. */
static size_t read_on(int fd, char *text, size_t len, size_t size)
{
    while (fd >= 0 && len < size) {
        ssize_t n = read(fd, text + len, size - len);

        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            break;
        len += (size_t)n;
    }
    return len;
}

static int open_log(const struct record *r, const char *name)
{
    return openat(r->dir, name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
}

/* Where the last lines begin. */
static size_t tail_start(const char *text, size_t len, u32 lines)
{
    size_t at = len;

    if (lines == UINT32_MAX || !lines)
        return lines ? 0 : len;
    if (at && text[at - 1] == '\n')
        at--;
    for (; at && lines; at--)
        lines -= text[at - 1] == '\n';
    return lines ? 0 : at + 1;
}

static bool is_current(const struct record *r, int fd)
{
    struct stat ours, now;

    return fstat(fd, &ours) == 0 &&
           fstatat(r->dir, "console.log", &now, AT_SYMLINK_NOFOLLOW) == 0 &&
           ours.st_ino == now.st_ino;
}

/* Until the VM has ended; a new log takes over when the old one is read. False: no reader. */
static bool follow(const struct record *r, int *fd)
{
    char text[16 * KIB];

    for (;;) {
        bool alive = record_is_alive(r), current = *fd >= 0 && is_current(r, *fd);
        size_t len = read_on(*fd, text, 0, sizeof(text));

        if (len && (fwrite(text, 1, len, stdout) != len || fflush(stdout)))
            return false;
        if (len)
            continue;
        if (!current) {
            if (*fd >= 0)
                close(*fd);
            *fd = open_log(r, "console.log");
        }
        if (!alive && current)
            return true;
        if (!alive && *fd < 0)
            return true;
        if (alive)
            poll(NULL, 0, POLL_MS);
    }
}

/* What cosm itself said goes where it goes without --detach. */
static void print_own(const struct record *r)
{
    char text[16 * KIB];
    AUTO_FD int fd = open_log(r, "cosm.log");
    size_t len;

    while ((len = read_on(fd, text, 0, sizeof(text))) > 0)
        fwrite(text, 1, len, stderr);
}

int logs_print(const struct options *o, const struct record *r, struct err *err)
{
    size_t size = 2 * HUB_LOG_MAX + MIB, len, start;
    AUTO_FREE char *text = malloc(size);
    AUTO_FD int old = open_log(r, "console.log.1");
    AUTO_FD int fd = open_log(r, "console.log");

    if (!text)
        return err_set(err, ENOMEM, "no memory for the log of '%s'", r->name);
    len = read_on(fd, text, read_on(old, text, 0, size), size);
    start = tail_start(text, len, o->tail);
    if (fwrite(text + start, 1, len - start, stdout) != len - start || fflush(stdout))
        return err_set(err, EIO, "cannot write to standard output: %s", strerror(errno));
    if (o->follow && !follow(r, &fd))
        return err_set(err, EIO, "cannot write to standard output: %s", strerror(errno));
    print_own(r);
    return 0;
}
