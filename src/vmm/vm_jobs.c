/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A running VM's images: a new one on top of a disk's, and one that is written into the one below.
 *
 * The structure of a disk changes on the loop, while harts stand and no request is under way. A
 * commit copies on a thread of its own; its end comes back to the loop.
 */
#include "vmm/vm_state.h"

#include "base/fmt.h"
#include "block/commit.h"
#include "block/drive.h"
#include "block/file.h"
#include "block/qcow2.h"
#include "block/serve.h"
#include "host/thread.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct vm_disk_job {
    struct vm *vm;
    u32 disk;
    struct node *node, *image;
    struct thread thread;
    _Atomic bool cancel;
    int status; /* the thread's, once it has ended */
    struct vm_job ended;
    struct err err;
};

struct node *vm_disk_image(struct vm *vm, u32 i)
{
    return vm->job[i] ? vm->job[i]->image : filter_below(serve_node(vm->blk[i]));
}

/* Puts another node in the place of the disk's image. Nobody uses the disk. */
static void replace_image(struct vm *vm, u32 i, struct node *image)
{
    serve_set_node(vm->blk[i], filter_replace_below(serve_node(vm->blk[i]), image));
}

/* Makes an empty image over another and opens it. */
static int make_overlay(struct vm *vm, struct node *image, const char *base, const char *path,
                        int fd, struct node **overlay, struct err *err)
{
    const struct file_options fo = {
        .create = true, .growable = true, .name_holder = vm->config->name_holder};
    const struct qcow2_create create = {
        .size = image->size, .backing = base, .backing_format = qcow2_is(image) ? "qcow2" : "raw"};
    struct node *file;
    int r = fd >= 0 ? file_adopt(&file, fd, path, &fo, err) : file_open(&file, path, &fo, err);

    if (r)
        return r;
    r = qcow2_create(file, &create, err);
    if (!r)
        r = qcow2_open(overlay, file, false, vm->log, err);
    if (r)
        node_close(file);
    return r;
}

/* What is below is only read from now on. */
static int freeze(struct node *image, struct err *err)
{
    int r = qcow2_is(image) ? qcow2_set_readonly(image, true, err) : node_flush(image);

    if (r && !qcow2_is(image))
        return err_set(err, -r, "'%s' cannot be written: %s", image->name, strerror(-r));
    if (!r)
        image->readonly = true;
    return r;
}

static int snapshot(struct vm *vm, u32 i, const char *path, int fd, struct err *err)
{
    struct node *image = vm_disk_image(vm, i), *overlay = NULL;
    const char *base = vm->blk_path[i] ? vm->blk_path[i] : image->name;
    int r = make_overlay(vm, image, base, path, fd, &overlay, err);

    if (r)
        return r;
    r = freeze(image, err);
    if (r) {
        node_close(overlay);
        return r;
    }
    qcow2_set_backing(overlay, image);
    replace_image(vm, i, overlay);
    free(vm->blk_below[i]);
    vm->blk_below[i] = vm->blk_path[i];
    vm->blk_path[i] = *path == '/' ? strdup(path) : realpath(path, NULL);
    return 0;
}

static int refuse_snapshot(struct vm *vm, u32 i, struct err *err)
{
    struct node *image = vm_disk_image(vm, i);

    if (vm->job[i])
        return err_set(err, EBUSY, "'%s' is being committed; wait until that has ended",
                       image->name);
    if (image->readonly)
        return err_set(err, EROFS, "'%s' is read-only: nothing is to be kept", image->name);
    return 0;
}

int vm_disk_snapshot(struct vm *vm, const char *id, const char *path, int fd, struct err *err)
{
    u32 i = 0;
    int r = vm_disk_find(vm, id, &i, err);

    if (!r)
        r = refuse_snapshot(vm, i, err);
    if (r) {
        if (fd >= 0)
            close(fd);
        return r;
    }
    vm_disk_hold(vm, i);
    r = snapshot(vm, i, path, fd, err);
    vm_disk_release(vm, i);
    return r;
}

/* Commit */

static int set_below_readonly(struct vm *vm, struct node *below, bool readonly, int fd,
                              struct err *err)
{
    struct node *file = drive_file(below);
    int r = 0;

    if (readonly && qcow2_is(below))
        r = qcow2_set_readonly(below, true, err);
    if (readonly) {
        below->readonly = file->readonly = true;
        file_share(file);
        return r;
    }
    r = file_reopen(file, fd, false, vm->config->name_holder, err);
    if (!r && qcow2_is(below))
        r = qcow2_set_readonly(below, false, err);
    return r;
}

/* With the disk held: back to what it was. */
static void job_detach(struct vm_disk_job *job, int (*end)(struct node *, struct err *))
{
    struct vm *vm = job->vm;
    int r = 0;

    replace_image(vm, job->disk, job->image);
    if (end)
        r = end(job->node, &job->err);
    else
        commit_cancel(job->node);
    if (r)
        job->ended.error = job->err.msg;
    r = set_below_readonly(vm, qcow2_backing(job->image), true, -1, r ? NULL : &job->err);
    if (r && !job->ended.error)
        job->ended.error = job->err.msg;
    vm->job[job->disk] = NULL;
}

static void job_ended(void *ctx)
{
    struct vm_disk_job *job = ctx;
    struct vm *vm = job->vm;
    u32 i = job->disk;

    if (vm->over)
        return; /* vm_jobs_end */
    thread_join(&job->thread);
    vm_disk_hold(vm, i);
    job->ended = (struct vm_job){
        .id = vm->config->drive[i].id, .done = commit_done(job->node), .total = job->image->size};
    if (job->status < 0 && !job->cancel) {
        err_set(&job->err, -job->status, "'%s' cannot be committed: %s", job->image->name,
                strerror(-job->status));
        job->ended.error = job->err.msg;
    } else if (job->cancel) {
        job->ended.error = "it was given up";
    }
    job_detach(job, job->ended.error ? NULL : commit_finish);
    vm_disk_release(vm, i);
    if (job->ended.error)
        log_print(vm->log, LOG_WARN, "disk", "commit: %s", job->ended.error);
    fmt_print(vm->job_error[i].msg, sizeof(vm->job_error[i].msg), "%s",
              job->ended.error ? job->ended.error : "");
    vm->job_ended = &job->ended;
    vm_tell(vm, VM_EVENT_JOB);
    vm->job_ended = NULL;
    free(job);
}

static void job_run(void *ctx)
{
    struct vm_disk_job *job = ctx;

    sandbox_thread(&job->vm->sandbox, SANDBOX_DISK);
    do
        job->status = commit_step(job->node);
    while (!job->status && !atomic_load_explicit(&job->cancel, memory_order_relaxed));
    loop_post(job->vm->loop, job_ended, job);
}

static int refuse_commit(struct vm *vm, u32 i, struct err *err)
{
    struct node *image = vm_disk_image(vm, i);
    struct node *below = qcow2_is(image) ? qcow2_backing(image) : NULL;

    if (vm->job[i])
        return err_set(err, EBUSY, "'%s' is being committed already", image->name);
    if (!below)
        return err_set(err, EINVAL, "'%s' lies on nothing, so there is nothing to commit to",
                       image->name);
    if (image->readonly)
        return err_set(err, EROFS, "'%s' is read-only", image->name);
    return 0;
}

/* With the disk held. */
static int job_begin(struct vm *vm, u32 i, int fd, struct err *err)
{
    struct vm_disk_job *job = calloc(1, sizeof(*job));
    struct node *image = vm_disk_image(vm, i), *below = qcow2_backing(image);
    int r;

    if (!job) {
        if (fd >= 0)
            close(fd);
        return err_set(err, ENOMEM, "no memory to commit '%s'", image->name);
    }
    *job = (struct vm_disk_job){.vm = vm, .disk = i, .image = image};
    r = set_below_readonly(vm, below, false, fd, err);
    if (!r && below->size < image->size)
        r = node_resize(below, image->size, err);
    if (!r)
        r = commit_open(&job->node, image, err);
    if (!r) {
        replace_image(vm, i, job->node);
        vm->job[i] = job;
        r = thread_start(&job->thread, "commit", job_run, job, err);
    }
    if (!r)
        return 0;
    if (vm->job[i])
        job_detach(job, NULL);
    else if (!below->readonly)
        (void)!set_below_readonly(vm, below, true, -1, NULL);
    free(job);
    return r;
}

int vm_disk_commit(struct vm *vm, const char *id, int fd, struct err *err)
{
    u32 i = 0;
    int r = vm_disk_find(vm, id, &i, err);

    if (!r)
        r = refuse_commit(vm, i, err);
    if (r) {
        if (fd >= 0)
            close(fd);
        return r;
    }
    *vm->job_error[i].msg = '\0';
    vm_disk_hold(vm, i);
    r = job_begin(vm, i, fd, err);
    vm_disk_release(vm, i);
    return r;
}

int vm_disk_commit_cancel(struct vm *vm, const char *id, struct err *err)
{
    u32 i = 0;
    int r = vm_disk_find(vm, id, &i, err);

    if (r)
        return r;
    if (!vm->job[i])
        return err_set(err, ENOENT, "nothing is being done to the disk '%.64s'", id);
    atomic_store_explicit(&vm->job[i]->cancel, true, memory_order_relaxed);
    return 0;
}

bool vm_job_get(struct vm *vm, u32 i, struct vm_job *out)
{
    struct vm_disk_job *job = i < VM_DRIVES_MAX ? vm->job[i] : NULL;

    if (!job)
        return false;
    *out = (struct vm_job){
        .id = vm->config->drive[i].id, .done = commit_done(job->node), .total = job->image->size};
    return true;
}

const struct vm_job *vm_job_ended(const struct vm *vm)
{
    return vm->job_ended;
}

void vm_jobs_end(struct vm *vm)
{
    for (u32 i = 0; i < VM_DRIVES_MAX; i++) {
        struct vm_disk_job *job = vm->job[i];

        if (!job)
            continue;
        atomic_store_explicit(&job->cancel, true, memory_order_relaxed);
        thread_join(&job->thread);
        serve_quiesce(vm->blk[i]);
        job_detach(job, NULL);
        serve_continue(vm->blk[i]);
        free(job);
    }
}
