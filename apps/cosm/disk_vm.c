/* SPDX-License-Identifier: BSD-2-Clause */
/* Images that a running VM uses: what is to be done to them is asked of the VM. */
#include "apps/cosm/disk_vm.h"

#include "base/fmt.h"
#include "host/scope.h"

#include <stdlib.h>
#include <string.h>

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
        const char *device = json_string(json_get(json, n, "device"));
        s64 size = 0;

        if (!file || !device || strcmp(file, path) ||
            !json_integer(json_get(json, json_get(json, in, "image"), "virtual-size"), &size))
            continue;
        fmt_print(vm->device, sizeof(vm->device), "%s", device);
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
