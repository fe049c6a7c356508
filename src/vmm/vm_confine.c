/* SPDX-License-Identifier: BSD-2-Clause */
/* A VM's process gives up what it does not need for running; its threads, what theirs do not. */
#include "vmm/vm_state.h"

#include "base/assert.h"

#include <pthread.h>
#include <string.h>

#define GRANTS_MAX 16

static void on_signal(void *ctx, int number)
{
    struct vm *vm = ctx;

    vm->status = 128 + number;
    vm->end_reason = "host-signal";
    loop_stop(vm->loop);
}

/* What a reboot reads again. */
static u32 image_grants(const struct vm_config *c, struct sandbox_grant *grant)
{
    const char *const path[] = {c->kernel, c->initrd, c->bios, c->dtb};
    u32 count = 0;

    for (u32 i = 0; i < ARRAY_SIZE(path); i++) {
        if (path[i] && strcmp(path[i], "none"))
            grant[count++] = (struct sandbox_grant){.path = path[i]};
    }
    return count;
}

int vm_attend(struct vm *vm, int dir, const char *name, struct err *err)
{
    return attendant_add(&vm->attendant, dir, name, false, err);
}

/* Processes that do what this one will not be able to. */
static int start_helpers(struct vm *vm, struct err *err)
{
    int r = vm->vsock ? vsock_host_attend(vm->vsock, &vm->attendant, err) : 0;

    for (u32 i = 0; i < VM_NETS_MAX && !r; i++) {
        if (vm->lab[i])
            r = lab_attend(vm->lab[i], &vm->attendant, err);
        if (vm->vhost[i] && !r)
            r = vhost_attend(vm->vhost[i], &vm->attendant, err);
    }
    if (!r)
        r = vm_disks_attend(vm, err);
    if (!r)
        r = attendant_start(&vm->attendant, err);
    for (u32 i = 0; i < VM_NETS_MAX && !r; i++) {
        if (vm->net_process[i])
            r = net_process_keep(vm->net_process[i], err);
    }
    return r;
}

int vm_confine(struct vm *vm, const struct sandbox_grant *grant, u32 grants, struct err *err)
{
    struct sandbox_grant all[GRANTS_MAX];
    struct sandbox_plan plan = {
        .mode = vm->config->sandbox,
        .who = "the VM's process",
        .kinds = SANDBOX_VM,
        .grant = all,
        .memory_max = vm->config->memory_max,
    };
    int r = signals_create(&vm->signals, vm->loop, on_signal, vm, err);

    if (!r)
        r = vm_debug_create(vm, err);
    if (!r)
        r = vm_clock_watch(vm, err);
    if (!r && plan.mode != SANDBOX_OFF)
        r = start_helpers(vm, err);
    if (r)
        return r;
    plan.grants = image_grants(vm->config, all);
    ASSERT(plan.grants + grants <= GRANTS_MAX);
    memcpy(all + plan.grants, grant, grants * sizeof(*grant));
    plan.grants += grants;
    r = sandbox_enter(&vm->sandbox, &plan, err);
    if (!r && *vm->sandbox.missing)
        log_print(vm->log, LOG_WARN, "sandbox", "%s; --sandbox=off silences this",
                  vm->sandbox.missing);
    return r;
}

void vm_thread_began(void *ctx, bool translates)
{
    const struct vm *vm = ctx;
    u32 kinds = translates ? SANDBOX_TRANSLATOR : SANDBOX_HART;

    pthread_setname_np(pthread_self(), translates ? "translator" : "hart");
    if (vm->config->icount) /* it does the disks' work, too */
        kinds |= SANDBOX_DISK;
    sandbox_thread(&vm->sandbox, kinds);
}
