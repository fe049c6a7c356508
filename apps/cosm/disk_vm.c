/* SPDX-License-Identifier: BSD-2-Clause */
/* Images that a running VM uses: what is to be done to them is asked of the VM. */
#include "apps/cosm/disk_vm.h"

#include "base/fmt.h"
#include "host/scope.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define POLL_MS 200

/* Does one of the VM's disks have this image? */
static bool uses(struct disk_vm *vm, const char *path)
{
    struct err err;
    const struct json_node *list = client_call(&vm->client, vm->name, "query-block", &err);
    const struct json *json = &vm->client.json;

    for (const struct json_node *n = list ? json_first(json, list) : NULL; n;
         n = json_next(json, n)) {
        const struct json_node *in = json_get(json, n, "inserted");
        const char *file = json_string(json_get(json, in, "file"));
        const char *below = json_string(json_get(json, in, "backing_file"));
        const char *device = json_string(json_get(json, n, "device"));
        s64 size = 0;

        if (!file || !device || strcmp(file, path) ||
            !json_integer(json_get(json, json_get(json, in, "image"), "virtual-size"), &size))
            continue;
        fmt_print(vm->device, sizeof(vm->device), "%s", device);
        fmt_print(vm->below, sizeof(vm->below), "%s", below ? below : "");
        vm->size = (u64)size;
        return true;
    }
    return false;
}

static bool try_vm(const char *name, const char *path, struct disk_vm *vm)
{
    struct record r;
    struct err err;
    int code;

    if (record_open(&r, name, &err))
        return false;
    fmt_print(vm->name, sizeof(vm->name), "%s", name);
    code = client_open(&vm->client, &r, &err);
    record_close(&r);
    if (code)
        return false;
    if (uses(vm, path))
        return true;
    client_close(&vm->client);
    return false;
}

bool disk_vm_find(const char *path, struct disk_vm *vm)
{
    AUTO_FREE char *real = realpath(path, NULL);
    char(*names)[RECORD_NAME_MAX];
    struct err err;
    size_t count;
    bool found = false;

    if (!real || record_list(&names, &count, &err))
        return false;
    for (size_t i = 0; i < count && !found; i++)
        found = try_vm(names[i], real, vm);
    free(names);
    return found;
}

void disk_vm_leave(struct disk_vm *vm)
{
    client_close(&vm->client);
}

/* The folder's real path, and the name. malloc'ed; NULL: there is no such folder. */
static char *path_of_new(const char *path)
{
    const char *slash = strrchr(path, '/'), *name = slash ? slash + 1 : path;
    AUTO_FREE char *folder = slash ? strndup(path, (size_t)(slash - path) + 1) : strdup(".");
    AUTO_FREE char *real = folder ? realpath(folder, NULL) : NULL;
    size_t room = real ? strlen(real) + strlen(name) + 2 : 0;
    char *whole = real && *name ? malloc(room) : NULL;

    if (whole)
        fmt_print(whole, room, "%s/%s", real, name);
    return whole;
}

/* The VM may have shut itself out of the file system: it gets what it needs from here. */
int disk_vm_snapshot(struct disk_vm *vm, const char *path, struct err *err)
{
    AUTO_FREE char *whole = path_of_new(path);
    AUTO_FD int fd = whole ? open(whole, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0666) : -1;
    char arguments[CLIENT_REQUEST_MAX / 2];
    struct json_out out;

    if (fd < 0)
        return err_set(err, errno, "'%s' cannot be made: %s", path, strerror(errno));
    json_out_init(&out, arguments, sizeof(arguments));
    json_open(&out, '{');
    json_key(&out, "device");
    json_put_string(&out, vm->device);
    json_key(&out, "snapshot-file");
    json_put_string(&out, whole);
    json_close(&out, '}');
    client_pass(&vm->client, fd);
    if (!out.cut &&
        client_call_with(&vm->client, vm->name, "blockdev-snapshot-sync", arguments, err))
        return 0;
    unlink(whole);
    return -EINVAL;
}

/* How far the commit is; false: it has ended, or nobody answers (then err says so). */
static bool commit_goes_on(struct disk_vm *vm, s64 *done, s64 *total, struct err *err)
{
    const struct json_node *list = client_call(&vm->client, vm->name, "query-block-jobs", err);
    const struct json *json = &vm->client.json;

    for (const struct json_node *n = list ? json_first(json, list) : NULL; n;
         n = json_next(json, n)) {
        const char *device = json_string(json_get(json, n, "device"));

        if (device && !strcmp(device, vm->device))
            return json_integer(json_get(json, n, "offset"), done) &&
                   json_integer(json_get(json, n, "len"), total);
    }
    return false;
}

static int commit_result(struct disk_vm *vm, struct err *err)
{
    const struct json_node *list = client_call(&vm->client, vm->name, "query-block", err);
    const struct json *json = &vm->client.json;

    for (const struct json_node *n = list ? json_first(json, list) : NULL; n;
         n = json_next(json, n)) {
        const char *device = json_string(json_get(json, n, "device"));
        const char *error = json_string(json_get(json, n, "last-error"));

        if (device && !strcmp(device, vm->device))
            return error ? err_set(err, EIO, "%s", error) : 0;
    }
    return -EIO;
}

int disk_vm_commit(struct disk_vm *vm, bool (*progress)(void *ctx, u64 done, u64 total), void *ctx,
                   struct err *err)
{
    const struct timespec wait = {.tv_nsec = POLL_MS * 1000000};
    AUTO_FD int fd = *vm->below ? open(vm->below, O_RDWR | O_CLOEXEC) : -1;
    char arguments[128];
    s64 done = 0, total = 0;

    if (fd < 0 && *vm->below)
        return err_set(err, errno, "'%s' cannot be written: %s", vm->below, strerror(errno));
    fmt_print(arguments, sizeof(arguments), "{\"device\": \"%s\"}", vm->device);
    if (fd >= 0)
        client_pass(&vm->client, fd);
    if (!client_call_with(&vm->client, vm->name, "block-commit", arguments, err))
        return -EINVAL;
    while (commit_goes_on(vm, &done, &total, err)) {
        progress(ctx, (u64)done, (u64)total);
        nanosleep(&wait, NULL);
    }
    return commit_result(vm, err);
}
