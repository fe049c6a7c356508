/* SPDX-License-Identifier: BSD-2-Clause */
/* What the control socket of a VM can do with its disks. */
#include "api/commands.h"

#include <errno.h>
#include <string.h>

static void put_disk(struct json_out *out, const struct vm_disk *disk)
{
    json_open(out, '{');
    json_key(out, "device");
    json_put_string(out, disk->id);
    if (disk->last_error) {
        json_key(out, "last-error");
        json_put_string(out, disk->last_error);
    }
    json_key(out, "inserted");
    json_open(out, '{');
    json_key(out, "file");
    json_put_string(out, disk->path);
    if (disk->below) {
        json_key(out, "backing_file");
        json_put_string(out, disk->below);
    }
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

int command_snapshot_sync(struct command_call *c, struct err *err)
{
    const char *path = command_string(c, "snapshot-file"), *format = command_string(c, "format");
    int fd = c->fd;

    if (format && strcmp(format, "qcow2"))
        return err_set(err, EINVAL, "Parameter 'format' must be qcow2");
    if (!*path)
        return err_set(err, EINVAL, "Parameter 'snapshot-file' is empty");
    c->fd = -1;
    return vm_disk_snapshot(c->vm, command_string(c, "device"), path, fd, err);
}

int command_block_commit(struct command_call *c, struct err *err)
{
    int fd = c->fd;

    c->fd = -1;
    return vm_disk_commit(c->vm, command_string(c, "device"), fd, err);
}

int command_job_cancel(struct command_call *c, struct err *err)
{
    return vm_disk_commit_cancel(c->vm, command_string(c, "device"), err);
}

void command_put_job(struct json_out *out, const struct vm_job *job)
{
    json_open(out, '{');
    json_key(out, "device");
    json_put_string(out, job->id);
    json_key(out, "type");
    json_put_string(out, "commit");
    json_key(out, "len");
    json_put_integer(out, (s64)job->total);
    json_key(out, "offset");
    json_put_integer(out, (s64)job->done);
    if (job->error) {
        json_key(out, "error");
        json_put_string(out, job->error);
    }
    json_close(out, '}');
}

int command_query_jobs(struct command_call *c, struct err *err)
{
    struct vm_disk disk;
    struct vm_job job;

    (void)err;
    json_open(c->out, '[');
    for (u32 i = 0; vm_disk_get(c->vm, i, &disk); i++)
        if (vm_job_get(c->vm, i, &job))
            command_put_job(c->out, &job);
    json_close(c->out, ']');
    return 0;
}
