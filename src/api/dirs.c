/* SPDX-License-Identifier: BSD-2-Clause */
/* The user's folders of the XDG Base Directory specification, made and checked; small files there.
 */
#include "api/dirs.h"

#include "base/fmt.h"
#include "host/file.h"
#include "host/scope.h"

#include <errno.h>
#include <fcntl.h>
#include <pwd.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

/* The value of a variable that must be an absolute path to count; else NULL. */
static const char *absolute(const char *variable)
{
    const char *value = getenv(variable);

    return value && value[0] == '/' ? value : NULL;
}

/* mkdir -p, for nobody else. */
static int make_all(const char *path)
{
    char part[DIRS_PATH_MAX];
    size_t len = fmt_print(part, sizeof(part), "%s", path);

    if (len >= sizeof(part))
        return -ENAMETOOLONG;
    for (size_t i = 1; i <= len; i++) {
        if (part[i] != '/' && part[i] != '\0')
            continue;
        part[i] = '\0';
        if (mkdir(part, 0700) < 0 && errno != EEXIST)
            return -errno;
        part[i] = path[i];
    }
    return 0;
}

static int open_dir(const char *path, mode_t forbidden, struct err *err)
{
    AUTO_FD int fd = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    struct stat st;

    if (fd < 0 || fstat(fd, &st) < 0) {
        int code = errno;
        return err_set(err, code, "cannot open the folder '%s': %s", path, strerror(code));
    }
    if (st.st_uid != geteuid())
        return err_set(err, EPERM,
                       "the folder '%s' belongs to user %u; set XDG_RUNTIME_DIR and "
                       "XDG_STATE_HOME to folders of yours",
                       path, st.st_uid);
    if (st.st_mode & forbidden)
        return err_set(err, EPERM, "the folder '%s' is open to others; 'chmod 700 %s' closes it",
                       path, path);
    return steal_fd(&fd);
}

int dirs_open_checked(const char *path, struct err *err)
{
    return open_dir(path, 077, err);
}

int dirs_open_kept(const char *kind, struct err *err)
{
    const char *home = absolute("XDG_STATE_HOME");
    const char *tail = home ? "cosm" : ".local/state/cosm";
    struct passwd *user;
    char path[DIRS_PATH_MAX];
    int r;

    if (!home)
        home = absolute("HOME");
    if (!home) {
        user = getpwuid(geteuid());
        home = user && user->pw_dir[0] == '/' ? user->pw_dir : NULL;
    }
    if (!home)
        return err_set(err, ENOENT, "no home directory; set HOME or XDG_STATE_HOME");
    r = fmt_print(path, sizeof(path), "%s/%s/%s", home, tail, kind) < sizeof(path) ? make_all(path)
                                                                                   : -ENAMETOOLONG;
    if (r)
        return err_set(err, -r, "cannot make the folder '%.256s/%s/%s': %s; set XDG_STATE_HOME",
                       home, tail, kind, strerror(-r));
    return open_dir(path, 022, err);
}

int dirs_open_state(struct err *err)
{
    return dirs_open_kept("vm", err);
}

int dirs_open_runtime(char path[DIRS_PATH_MAX], struct err *err)
{
    const char *base = absolute("XDG_RUNTIME_DIR");
    struct stat st;
    size_t len;

    if (base && (stat(base, &st) < 0 || !S_ISDIR(st.st_mode) || st.st_uid != geteuid()))
        base = NULL; /* as after su: another user's */
    if (base)
        len = fmt_print(path, DIRS_PATH_MAX, "%s/cosm", base);
    else
        len = fmt_print(path, DIRS_PATH_MAX, "/tmp/cosm-%u", geteuid());
    if (len >= DIRS_PATH_MAX)
        return err_set(err, ENAMETOOLONG, "XDG_RUNTIME_DIR is too long");
    if (mkdir(path, 0700) < 0 && errno != EEXIST) {
        int code = errno;
        return err_set(err, code, "cannot make the folder '%s': %s", path, strerror(code));
    }
    return open_dir(path, 077, err);
}

int dirs_write(int dir, const char *name, const char *text, size_t len)
{
    char temp[64];
    AUTO_FD int fd = -1;
    int r;

    fmt_print(temp, sizeof(temp), ".%s.%d", name, getpid());
    fd = openat(dir, temp, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (fd < 0)
        return -errno;
    r = file_write_all(fd, text, len);
    if (!r && renameat(dir, temp, dir, name) < 0)
        r = -errno;
    if (r)
        unlinkat(dir, temp, 0);
    return r;
}

int dirs_read(int dir, const char *name, char *text, size_t size)
{
    AUTO_FD int fd = openat(dir, name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK);
    size_t len = 0;

    if (fd < 0)
        return -errno;
    while (len < size) {
        ssize_t n = read(fd, text + len, size - len);

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return -errno;
        if (n == 0) {
            text[len] = '\0';
            return (int)len;
        }
        len += (size_t)n;
    }
    return -EFBIG;
}
