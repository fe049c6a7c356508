/* SPDX-License-Identifier: BSD-2-Clause */
/* What the control socket of a VM can do with its disks. */
#include "api/commands.h"

#include <errno.h>

static void put_disk(struct json_out *out, const struct vm_disk *disk)
{
    json_open(out, '{');
    json_key(out, "device");
    json_put_string(out, disk->id);
    json_key(out, "inserted");
    json_open(out, '{');
    json_key(out, "file");
    json_put_string(out, disk->path);
    json_key(out, "drv");
    json_put_string(out, disk->format);
    json_key(out, "ro");
    json_put_bool(out, disk->readonly);
    json_key(out, "image");
    json_open(out, '{');
    json_key(out, "virtual-size");
    json_put_integer(out, (s64)disk->size);
    json_close(out, '}');
    json_close(out, '}');
    json_close(out, '}');
}

int command_query_block(struct command_call *c, struct err *err)
{
    struct vm_disk disk;

    (void)err;
    json_open(c->out, '[');
    for (u32 i = 0; vm_disk_get(c->vm, i, &disk); i++)
        put_disk(c->out, &disk);
    json_close(c->out, ']');
    return 0;
}

int command_block_resize(struct command_call *c, struct err *err)
{
    s64 size = 0;

    if (!command_integer(c, "size", &size) || size <= 0)
        return err_set(err, EINVAL, "Parameter 'size' must be a number of bytes above 0");
    return vm_disk_resize(c->vm, command_string(c, "device"), (u64)size, err);
}
