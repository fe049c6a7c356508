/* SPDX-License-Identifier: BSD-2-Clause */
/* ssh keys, through the host's ssh-keygen. */
#include "store/keys.h"

#include "base/fmt.h"
#include "host/child.h"
#include "host/file.h"
#include "host/scope.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#define KEY_MAX (64 * KIB)

int keys_make(const char *path, const char *comment, struct err *err)
{
    char *argv[] = {(char *)(uintptr_t) "ssh-keygen",
                    (char *)(uintptr_t) "-q",
                    (char *)(uintptr_t) "-t",
                    (char *)(uintptr_t) "ed25519",
                    (char *)(uintptr_t) "-N",
                    (char *)(uintptr_t) "",
                    (char *)(uintptr_t) "-C",
                    (char *)(uintptr_t)comment,
                    (char *)(uintptr_t) "-f",
                    (char *)(uintptr_t)path,
                    NULL};
    const struct child child = {.argv = argv, .package = "apt-get install openssh-client"};

    return child_run(&child, err);
}

/* Made beside and renamed: who sees the private key finds the public one, too. */
int keys_own(char path[PLACE_MAX], struct err *err)
{
    char public[PLACE_MAX + 8], fresh[PLACE_MAX + 8], fresh_public[PLACE_MAX + 16];
    char folder[PLACE_MAX];
    int r = place_path(folder, PLACE_SSH, "", err);
    AUTO_FD int lock = -1;

    if (!r)
        r = place_join(path, folder, "id_ed25519", err);
    if (r)
        return r;
    lock = place_lock(PLACE_SSH, "keys", NULL, NULL, err);
    if (lock < 0)
        return lock;
    if (access(path, R_OK) == 0)
        return 0;
    fmt_print(public, sizeof(public), "%s.pub", path);
    fmt_print(fresh, sizeof(fresh), "%s.new", path);
    fmt_print(fresh_public, sizeof(fresh_public), "%s.pub", fresh);
    unlink(fresh);
    r = keys_make(fresh, "cosm", err);
    if (!r && (rename(fresh_public, public) < 0 || rename(fresh, path) < 0))
        r = err_set(err, errno, "cannot write '%.400s': %s", path, strerror(errno));
    return r;
}

static int add_file(FILE *out, const char *path, struct err *err)
{
    AUTO_FREE u8 *bytes = NULL;
    u64 size;
    int r = file_read("ssh key", path, KEY_MAX, &bytes, &size, err);

    if (r)
        return r;
    (void)!fwrite(bytes, 1, size, out);
    if (bytes[size - 1] != '\n')
        fputc('\n', out);
    return 0;
}

/* Public keys in ~/.ssh; what cannot be read there is no reason to fail. */
static void add_users(FILE *out)
{
    const char *home = getenv("HOME");
    char folder[PLACE_MAX], path[PLACE_MAX];
    const struct dirent *entry;
    struct err ignored;
    DIR *dir = home && !place_join(folder, home, ".ssh", NULL) ? opendir(folder) : NULL;

    while (dir && (entry = readdir(dir))) {
        size_t len = strlen(entry->d_name);

        if (len > 4 && !strcmp(entry->d_name + len - 4, ".pub") &&
            !place_join(path, folder, entry->d_name, NULL) && add_file(out, path, &ignored))
            continue;
    }
    if (dir)
        closedir(dir);
}

int keys_authorized(char **text, struct err *err)
{
    char path[PLACE_MAX], public[PLACE_MAX + 8];
    size_t len = 0;
    int r = keys_own(path, err);
    FILE *out = r ? NULL : open_memstream(text, &len);

    if (r)
        return r;
    if (!out)
        return err_set(err, ENOMEM, "no memory for ssh keys");
    fmt_print(public, sizeof(public), "%s.pub", path);
    r = add_file(out, public, err);
    add_users(out);
    if (fclose(out) && !r)
        r = err_set(err, ENOMEM, "no memory for ssh keys");
    if (r)
        free(*text);
    return r;
}
