/* SPDX-License-Identifier: BSD-2-Clause */
/* Whole files: read with a bound, written so that a reader sees all or nothing. */
#include "host/file.h"

#include "base/fmt.h"
#include "host/scope.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#define CHUNK (64 * KIB)

static int file_open_error(const char *what, const char *path, struct err *err)
{
    int code = errno;

    if (code == ENOENT || code == ENOTDIR)
        return err_set(err, code, "%s: '%s' does not exist; check the path", what, path);
    if (code == EACCES)
        return err_set(err, code, "%s: '%s' may not be read; check its permissions", what, path);
    return err_set(err, code, "%s: cannot open '%s': %s", what, path, strerror(code));
}

static int file_too_large(const char *what, const char *path, u64 max, struct err *err)
{
    if (max % MIB)
        return err_set(err, EFBIG, "%s: '%s' is larger than the %llu bytes that fit here", what,
                       path, (unsigned long long)max);
    return err_set(err, EFBIG, "%s: '%s' is larger than the %llu MiB that fit here", what, path,
                   (unsigned long long)(max / MIB));
}

static int file_open(const char *what, const char *path, u64 max, u64 *expect, struct err *err)
{
    AUTO_FD int fd = open(path, O_RDONLY | O_CLOEXEC);
    struct stat st;

    if (fd < 0 || fstat(fd, &st) < 0)
        return file_open_error(what, path, err);
    if (S_ISDIR(st.st_mode))
        return err_set(err, EISDIR, "%s: '%s' is a directory; give a file", what, path);
    if (S_ISREG(st.st_mode) && (u64)st.st_size > max)
        return file_too_large(what, path, max, err);
    *expect = S_ISREG(st.st_mode) ? (u64)st.st_size : 0;
    return steal_fd(&fd);
}

/* Makes room for at least one more byte than used, at most max + 1: the one that is too many. */
static bool file_grow(u8 **data, u64 *room, u64 used, u64 max)
{
    u64 want = *room * 2;
    u8 *bigger;

    if (used < *room)
        return true;
    if (want > max + 1)
        want = max + 1;
    bigger = realloc(*data, want);
    if (!bigger)
        return false;
    *data = bigger;
    *room = want;
    return true;
}

int file_read(const char *what, const char *path, u64 max, u8 **data, u64 *size, struct err *err)
{
    AUTO_FREE u8 *bytes = NULL;
    u64 room = 0, used = 0;
    AUTO_FD int fd = file_open(what, path, max, &room, err);

    if (fd < 0)
        return fd;
    room = room ? room + 1 : CHUNK;
    bytes = malloc(room);
    if (!bytes)
        return err_set(err, ENOMEM, "%s: no memory to read '%s'", what, path);
    for (;;) {
        ssize_t n;

        if (used > max)
            return file_too_large(what, path, max, err);
        if (!file_grow(&bytes, &room, used, max))
            return err_set(err, ENOMEM, "%s: no memory to read '%s'", what, path);
        n = read(fd, bytes + used, room - used);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0) {
            int code = errno;
            return err_set(err, code, "%s: cannot read '%s': %s", what, path, strerror(code));
        }
        if (n == 0)
            break;
        used += (u64)n;
    }
    if (!used)
        return err_set(err, ENODATA, "%s: '%s' is empty", what, path);
    bytes[used] = '\0'; /* file_grow left room for one more read */
    *data = steal(bytes);
    *size = used;
    return 0;
}

int file_write_all(int fd, const void *bytes, u64 size)
{
    const u8 *data = bytes;

    while (size) {
        ssize_t n = write(fd, data, size);

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return -errno;
        data += n;
        size -= (u64)n;
    }
    return 0;
}

static int file_write_error(const char *what, const char *path, int code, struct err *err)
{
    if (code == ENOENT || code == ENOTDIR)
        return err_set(err, code, "%s: the directory of '%s' does not exist", what, path);
    return err_set(err, code, "%s: cannot write '%s': %s", what, path, strerror(code));
}

static int file_write_straight(const char *path, const void *data, u64 size)
{
    AUTO_FD int fd = open(path, O_WRONLY | O_CLOEXEC | O_NOCTTY);

    if (fd < 0)
        return -errno;
    return file_write_all(fd, data, size);
}

/* mkostemp makes files that only the owner reads; a new file gets what open would give. */
static mode_t file_new_mode(void)
{
    mode_t mask = umask(0);

    umask(mask);
    return 0666 & ~mask;
}

static int file_write_beside(const char *path, mode_t mode, const void *data, u64 size)
{
    char temp[PATH_MAX];
    AUTO_FD int fd = -1;
    int rc;

    if (fmt_print(temp, sizeof(temp), "%s.XXXXXX", path) >= sizeof(temp))
        return -ENAMETOOLONG;
    fd = mkostemp(temp, O_CLOEXEC);
    if (fd < 0)
        return -errno;
    rc = file_write_all(fd, data, size);
    if (!rc && (fchmod(fd, mode) < 0 || fsync(fd) < 0 || rename(temp, path) < 0))
        rc = -errno;
    if (rc)
        unlink(temp);
    return rc;
}

int file_write(const char *what, const char *path, const void *data, u64 size, struct err *err)
{
    bool exists;
    struct stat st;
    int rc;

    exists = stat(path, &st) == 0;
    if (exists && S_ISDIR(st.st_mode))
        return err_set(err, EISDIR, "%s: '%s' is a directory; give a file", what, path);
    if (exists && !S_ISREG(st.st_mode))
        rc = file_write_straight(path, data, size);
    else
        rc = file_write_beside(path, exists ? st.st_mode & 07777 : file_new_mode(), data, size);
    return rc ? file_write_error(what, path, -rc, err) : 0;
}
