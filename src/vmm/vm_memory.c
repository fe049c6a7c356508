/* SPDX-License-Identifier: BSD-2-Clause */
/* A running VM's memory from outside: its balloon, and what its process takes. */
#include "vmm/vm_memory.h"

#include "vmm/vm_state.h"

#include <errno.h>
#include <stdio.h>
#include <unistd.h>

#define SECOND UINT64_C(1000000000)

/* At most one a second, as the guest says when. */
static void tell(void *ctx, u32 arg)
{
    struct vm *vm = ctx;

    (void)arg;
    vm->balloon_told_ns = loop_now(vm->loop);
    vm_tell(vm, VM_EVENT_BALLOON);
}

/* On a hart's thread. */
static void changed(void *ctx)
{
    struct vm *vm = ctx;

    timer_arm(&vm->balloon_timer, vm->balloon_told_ns + SECOND);
}

int vm_memory_plug(struct vm *vm, struct machine_config *mc, struct err *err)
{
    int slot;

    if (!vm->config->balloon)
        return 0;
    slot = vm_take_slot(vm, mc, VM_SLOT_ANY, "--balloon (leave it out with --balloon off)", err);
    if (slot < 0)
        return slot;
    vm->balloon_timer = loop_timer(vm->loop, tell, vm, 0);
    vm->balloon_port = (struct balloon_port){changed, vm};
    mc->virtio[slot].kind = MACHINE_VIRTIO_BALLOON;
    mc->virtio[slot].balloon = &vm->balloon_port;
    return 0;
}

u64 vm_resident(const struct vm *vm)
{
    char text[128] = "";
    unsigned long size = 0, resident = 0;

    if (pread(vm->statm, text, sizeof(text) - 1, 0) <= 0 ||
        sscanf(text, "%lu %lu", &size, &resident) != 2)
        return 0;
    return (u64)resident * (u64)sysconf(_SC_PAGESIZE);
}

void vm_memory_get(struct vm *vm, struct vm_memory *memory)
{
    *memory = (struct vm_memory){.size = vm->ram.size, .resident = vm_resident(vm)};
    memory->has_balloon = machine_balloon_read(vm->machine, &memory->balloon);
}

void vm_memory_ask(struct vm *vm)
{
    (void)machine_balloon_ask(vm->machine); /* if not, what it told last is what is known */
}

int vm_memory_set(struct vm *vm, u64 bytes, struct err *err)
{
    u64 without = bytes < vm->ram.size ? vm->ram.size - bytes : 0;

    if (!machine_balloon_set(vm->machine, without))
        return err_set(
            err, ENODEV,
            "No balloon device has been activated; the VM was started with --balloon off");
    return 0;
}
