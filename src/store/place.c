/* SPDX-License-Identifier: BSD-2-Clause */
/* Where the store keeps things, by the XDG Base Directory specification. */
#define _XOPEN_SOURCE 700
#include "store/place.h"

#include "base/fmt.h"
#include "host/scope.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <pwd.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>

static const struct {
    const char *variable, *fallback, *name;
} places[] = {
    [PLACE_IMAGES] = {"XDG_DATA_HOME", ".local/share", "images"},
    [PLACE_VMS] = {"XDG_DATA_HOME", ".local/share", "vms"},
    [PLACE_SSH] = {"XDG_DATA_HOME", ".local/share", "ssh"},
    [PLACE_PACKAGES] = {"XDG_CACHE_HOME", ".cache", "packages"},
};

static const char *absolute(const char *variable)
{
    const char *value = getenv(variable);

    return value && value[0] == '/' ? value : NULL;
}

int place_make(const char *path, struct err *err)
{
    char part[PLACE_MAX];
    size_t len = fmt_print(part, sizeof(part), "%s", path);

    for (size_t i = 1; i <= len && len < sizeof(part); i++) {
        if (part[i] != '/' && part[i] != '\0')
            continue;
        part[i] = '\0';
        if (mkdir(part, 0700) < 0 && errno != EEXIST) {
            int code = errno;
            return err_set(err, code, "cannot make the folder '%.400s': %s", part, strerror(code));
        }
        part[i] = path[i];
    }
    return 0;
}

int place_join(char path[PLACE_MAX], const char *dir, const char *name, struct err *err)
{
    if (fmt_print(path, PLACE_MAX, "%s/%s", dir, name) >= PLACE_MAX)
        return err_set(err, ENAMETOOLONG, "the path '%.200s.../%.100s' is too long", dir, name);
    return 0;
}

int place_path(char path[PLACE_MAX], enum place place, const char *below, struct err *err)
{
    const char *base = absolute(places[place].variable), *home = absolute("HOME");
    const struct passwd *user;
    char dir[PLACE_MAX], folder[PLACE_MAX];
    int r;

    if (!base && !home) {
        user = getpwuid(geteuid());
        home = user && user->pw_dir[0] == '/' ? user->pw_dir : NULL;
    }
    if (!base && !home)
        return err_set(err, ENOENT, "no home directory; set HOME or %s", places[place].variable);
    if (base)
        r = place_join(dir, base, "cosm", err);
    else
        r = place_join(folder, home, places[place].fallback, err) ||
                    place_join(dir, folder, "cosm", err)
                ? -ENAMETOOLONG
                : 0;
    if (!r)
        r = place_join(path, dir, places[place].name, err);
    if (!r && *below) {
        memcpy(dir, path, PLACE_MAX);
        r = place_join(path, dir, below, err);
    }
    return r ? r : place_make(path, err);
}

int place_lock(enum place place, const char *name, void (*waiting)(void *ctx), void *ctx,
               struct err *err)
{
    char dir[PLACE_MAX], file[256];
    AUTO_FD int fd = -1, folder = -1;
    int r = place_path(dir, place, "", err);

    if (r)
        return r;
    fmt_print(file, sizeof(file), ".%s.lock", name);
    folder = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    fd = openat(folder, file, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0) {
        int code = errno;
        return err_set(err, code, "cannot write in '%.400s': %s", dir, strerror(code));
    }
    if (flock(fd, LOCK_EX | LOCK_NB) == 0)
        return steal_fd(&fd);
    if (waiting)
        waiting(ctx);
    while (flock(fd, LOCK_EX) < 0) {
        if (errno != EINTR) {
            int code = errno;
            return err_set(err, code, "cannot lock '%.300s/%s': %s", dir, file, strerror(code));
        }
    }
    return steal_fd(&fd);
}

static int remove_one(const char *path, const struct stat *st, int kind, struct FTW *at)
{
    (void)st;
    (void)kind;
    (void)at;
    return remove(path);
}

int place_remove(const char *path, struct err *err)
{
    if (nftw(path, remove_one, 16, FTW_DEPTH | FTW_PHYS) < 0 && errno != ENOENT) {
        int code = errno;
        return err_set(err, code, "cannot remove '%.400s': %s", path, strerror(code));
    }
    return 0;
}
