/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A VM's disks: opened, and what becomes of the VM when the host cannot serve them.
 *
 * Requests that wait for the host (block/serve.h) hold the VM: harts and clock stand, so that the
 * guest sees neither an error nor a timeout. It goes on when none waits any more.
 */
#include "vmm/vm_state.h"

#include "block/nbd.h"
#include "block/nbd_client.h"
#include "block/qcow2.h"
#include "block/serve.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static u32 trouble_find(struct vm *vm, struct serve_halt *halt)
{
    u32 i = 0;

    while (i < VM_DRIVES_MAX && !(vm->blk[i] && serve_halted(vm->blk[i], halt)))
        i++;
    return i;
}

bool vm_disk_trouble(struct vm *vm, struct vm_trouble *t)
{
    struct serve_halt halt;
    u32 i = trouble_find(vm, &halt);

    if (i == VM_DRIVES_MAX)
        return false;
    *t = (struct vm_trouble){.id = vm->config->drive[i].id,
                             .path = serve_name(vm->blk[i]),
                             .reading = halt.op == BLK_READ,
                             .no_space = halt.no_space,
                             .reason = strerror(halt.code)};
    return true;
}

static void trouble_begins(struct vm *vm, const struct vm_trouble *t)
{
    vm->starved = true;
    vm_hold(vm);
    log_print(vm->log, LOG_ERROR, "disk",
              t->no_space
                  ? "'%s' cannot be %s (%s): the VM stands still and goes on by itself once "
                    "there is space"
                  : "'%s' cannot be %s (%s): the VM stands still; 'cosm resume' tries again",
              t->path, t->reading ? "read" : "written", t->reason);
    vm_tell(vm, VM_EVENT_IO_ERROR);
    vm_tell(vm, VM_EVENT_STOP);
}

static void trouble_ends(struct vm *vm)
{
    vm->starved = false;
    log_print(vm->log, LOG_ERROR, "disk", "the disks can be written again: the VM goes on");
    vm_unhold(vm);
    vm_tell(vm, VM_EVENT_RESUME);
}

static void disks_changed(void *ctx)
{
    struct vm *vm = ctx;
    struct vm_trouble t;
    bool trouble;

    /* Pairs with post_changed: what changes from here on is posted anew. */
    atomic_store_explicit(&vm->disks_posted, false, memory_order_seq_cst);
    if (vm->over)
        return;
    trouble = vm_disk_trouble(vm, &t);
    if (trouble && !vm->starved)
        trouble_begins(vm, &t);
    else if (!trouble && vm->starved)
        trouble_ends(vm);
}

/* Any thread. */
static void post_changed(void *ctx)
{
    struct vm *vm = ctx;

    if (!atomic_exchange_explicit(&vm->disks_posted, true, memory_order_seq_cst))
        loop_post(vm->loop, disks_changed, vm);
}

void vm_disks_retry(struct vm *vm)
{
    for (u32 i = 0; i < VM_DRIVES_MAX; i++)
        if (vm->blk[i])
            serve_retry(vm->blk[i]);
}

/* Now, as the folders may be out of reach later. */
static void note_paths(struct vm *vm, u32 i)
{
    const char *path = vm->config->drive[i].path;
    struct node *image = vm_disk_image(vm, i);
    struct node *below = qcow2_is(image) ? qcow2_backing(image) : NULL;

    vm->blk_path[i] = nbd_is_uri(path) ? NULL : realpath(path, NULL);
    vm->blk_below[i] = below ? realpath(below->name, NULL) : NULL;
}

int vm_disk_open(struct vm *vm, u32 i, struct err *err)
{
    const struct vm_drive *drive = &vm->config->drive[i];
    const struct drive_options options = {.format = drive->format,
                                          .readonly = drive->readonly,
                                          .backing = drive->backing,
                                          .keep_reads = drive->keep_reads,
                                          .reconnect_s = drive->reconnect_s,
                                          .throttle = drive->throttle,
                                          .fault = drive->fault,
                                          .log = vm->log,
                                          .name_holder = vm->config->name_holder};
    const struct serve_options serve = {.rerror = drive->rerror,
                                        .werror = drive->werror,
                                        .inline_work = vm->config->icount, /* at a set count */
                                        .changed = post_changed,
                                        .ctx = vm};
    struct node *node;
    int r = drive_open(&node, drive->path, &options, err);

    if (!r)
        r = serve_open(&vm->blk[i], node, &serve, err);
    if (!r)
        note_paths(vm, i);
    return r;
}

int vm_disks_attend(struct vm *vm, struct err *err)
{
    int r = 0;

    for (u32 i = 0; i < VM_DRIVES_MAX && !r; i++)
        if (vm->blk[i] && nbd_is(vm_disk_image(vm, i)))
            r = nbd_attend(vm_disk_image(vm, i), &vm->attendant, err);
    return r;
}

bool vm_disk_get(struct vm *vm, u32 i, struct vm_disk *disk)
{
    struct node *image;

    if (i >= VM_DRIVES_MAX || !vm->blk[i])
        return false;
    image = vm_disk_image(vm, i);
    *disk = (struct vm_disk){.id = vm->config->drive[i].id,
                             .path = vm->blk_path[i] ? vm->blk_path[i] : image->name,
                             .below = vm->blk_below[i],
                             .last_error = *vm->job_error[i].msg ? vm->job_error[i].msg : NULL,
                             .format = qcow2_is(image) ? "qcow2" : "raw",
                             .size = vm->blk[i]->size,
                             .readonly = image->readonly};
    return true;
}

int vm_disk_find(struct vm *vm, const char *id, u32 *index, struct err *err)
{
    for (u32 i = 0; i < VM_DRIVES_MAX; i++) {
        if (!vm->blk[i] || strcmp(vm->config->drive[i].id, id))
            continue;
        *index = i;
        return 0;
    }
    return err_set(err, ENOENT, "no disk of this VM has the id '%.64s'", id);
}

void vm_disk_hold(struct vm *vm, u32 i)
{
    vm_hold(vm);
    serve_quiesce(vm->blk[i]);
}

void vm_disk_release(struct vm *vm, u32 i)
{
    serve_continue(vm->blk[i]);
    vm_unhold(vm);
}

int vm_disk_resize(struct vm *vm, const char *id, u64 size, struct err *err)
{
    u32 i = 0;
    int r = vm_disk_find(vm, id, &i, err);

    if (r)
        return r;
    vm_disk_hold(vm, i);
    r = serve_resize(vm->blk[i], size, err);
    if (!r)
        machine_disk_resized(vm->machine, vm->blk_slot[i]);
    vm_disk_release(vm, i);
    return r;
}
