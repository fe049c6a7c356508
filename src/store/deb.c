/* SPDX-License-Identifier: BSD-2-Clause */
/* Debian's packages (deb(5)), through the host's dpkg-deb. */
#include "store/deb.h"

#include "base/fmt.h"
#include "host/child.h"
#include "host/file.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#define AR_HEADER 60 /* bytes */

static int dpkg_deb(struct child *child, const char *what, const char *path, struct err *err)
{
    char *argv[] = {(char *)(uintptr_t) "dpkg-deb", (char *)(uintptr_t)what,
                    (char *)(uintptr_t)path, NULL};

    child->argv = argv;
    child->package = "apt-get install dpkg";
    return child_run(child, err);
}

static int broken(int code, struct err *err)
{
    return err_set(err, code, "cannot write a package: %s", strerror(code));
}

/* ar's header of a member (deb(5)); its fields have no NUL. */
static int put_header(int fd, off_t at, const char *name, u64 size, struct err *err)
{
    char header[AR_HEADER + 1];

    if (fmt_print(header, sizeof(header), "%-16s%-12d%-6d%-6d%-8s%-10llu`\n", name, 0, 0, 0,
                  "100644", (unsigned long long)size) != AR_HEADER)
        return broken(EFBIG, err);
    return pwrite(fd, header, AR_HEADER, at) == AR_HEADER ? 0 : broken(errno, err);
}

/* A part as dpkg-deb writes it; members begin at even offsets. */
static int put_part(int fd, const char *name, const char *what, const char *path, struct err *err)
{
    struct child child = {.out = fd};
    off_t at = lseek(fd, 0, SEEK_CUR), end;
    int r;

    if (at < 0 || lseek(fd, at + AR_HEADER, SEEK_SET) < 0)
        return broken(errno, err);
    r = dpkg_deb(&child, what, path, err);
    if (r)
        return r;
    end = lseek(fd, 0, SEEK_CUR);
    r = put_header(fd, at, name, (u64)(end - at - AR_HEADER), err);
    if (!r && (end - at) % 2)
        r = file_write_all(fd, "\n", 1) ? broken(EIO, err) : 0;
    return r;
}

int deb_write_plain(const char *path, int fd, struct err *err)
{
    static const char magic[] = "!<arch>\n", version[] = "2.0\n";
    off_t at = lseek(fd, 0, SEEK_CUR);
    int r;

    if (at < 0 || file_write_all(fd, magic, 8) || lseek(fd, AR_HEADER, SEEK_CUR) < 0 ||
        file_write_all(fd, version, 4))
        return broken(errno, err);
    r = put_header(fd, at + 8, "debian-binary", 4, err);
    if (!r)
        r = put_part(fd, "control.tar", "--ctrl-tarfile", path, err);
    return r ? r : put_part(fd, "data.tar", "--fsys-tarfile", path, err);
}

struct reading {
    struct tar tar;
    struct err *err;
    int code;
};

static bool feed(void *ctx, const u8 *bytes, size_t len)
{
    struct reading *r = ctx;

    r->code = tar_feed(&r->tar, bytes, len, r->err);
    return !r->code;
}

int deb_read(const char *path, const struct tar *callbacks, struct err *err)
{
    struct reading reading = {.err = err};
    struct child child = {.bytes = feed, .ctx = &reading};
    int r;

    tar_init(&reading.tar, callbacks);
    r = dpkg_deb(&child, "--fsys-tarfile", path, err);
    if (reading.code)
        return err_set(err, EINVAL, "the package '%.300s' cannot be read", path);
    if (!r && !tar_is_whole(&reading.tar))
        r = err_set(err, EINVAL, "the package '%.300s' is cut off", path);
    return r;
}
