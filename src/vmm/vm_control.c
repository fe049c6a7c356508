/* SPDX-License-Identifier: BSD-2-Clause */
/* A running VM from outside: stopped and continued, reset, ended, watched. */
#include "vmm/vm_control.h"

#include "vmm/vm_state.h"

#include <errno.h>

#define MS UINT64_C(1000000)

/* Linux' SysRq keys and when to press them: sync, remount read-only (which syncs, too), off. */
static const struct {
    u8 key;
    u64 after_ns;
} powerdown_keys[] = {{'s', 400 * MS}, {'u', 800 * MS}, {'o', 0}};

struct loop *vm_loop(struct vm *vm)
{
    return vm->loop;
}

struct console *vm_console(struct vm *vm)
{
    return vm->console;
}

const struct sandbox *vm_sandbox(const struct vm *vm)
{
    return &vm->sandbox;
}

void vm_watch(struct vm *vm, void (*fn)(void *ctx, enum vm_event event), void *ctx)
{
    vm->watcher = fn;
    vm->watcher_ctx = ctx;
}

void vm_tell(struct vm *vm, enum vm_event event)
{
    if (vm->watcher)
        vm->watcher(vm->watcher_ctx, event);
}

void vm_hold(struct vm *vm)
{
    exec_pause(vm->exec);
    if (vm->holds++)
        return;
    host_clock_pause(&vm->clock);
    loop_clock_changed(vm->loop);
}

void vm_unhold(struct vm *vm)
{
    if (!--vm->holds) {
        host_clock_resume(&vm->clock);
        loop_clock_changed(vm->loop);
    }
    exec_resume(vm->exec);
    vm_clock_check(vm);
}

void vm_stop(struct vm *vm)
{
    if (vm->stopped)
        return;
    vm->stopped = true;
    vm_hold(vm);
    vm_tell(vm, VM_EVENT_STOP);
}

void vm_cont(struct vm *vm)
{
    vm_disks_retry(vm);
    if (!vm->stopped)
        return;
    vm->stopped = false;
    vm_unhold(vm);
    vm_tell(vm, VM_EVENT_RESUME);
}

bool vm_is_stopped(const struct vm *vm)
{
    return vm->stopped;
}

void vm_push_reset(struct vm *vm)
{
    vm_ask_end(vm, MACHINE_REBOOT, 0);
}

void vm_quit(struct vm *vm, int status)
{
    vm->status = status;
    vm->end_reason = "host-quit";
    loop_stop(vm->loop);
}

void vm_send_break(struct vm *vm)
{
    if (vm->config->console == VM_CONSOLE_UART)
        machine_console_break(vm->machine);
}

static void press_key(struct vm *vm, u8 key)
{
    const u8 keys[] = {0x0f, key}; /* Ctrl-O is the break of hvc consoles */
    bool uart = vm->config->console == VM_CONSOLE_UART;

    vm_send_break(vm);
    console_feed(vm->console, keys + uart, sizeof(keys) - uart);
}

/* The loop's timers stand while the VM does. */
static void powerdown_step(void *ctx, u32 arg)
{
    struct vm *vm = ctx;
    u32 step = vm->powerdown_step;

    (void)arg;
    if (step >= ARRAY_SIZE(powerdown_keys) || vm->over)
        return;
    press_key(vm, powerdown_keys[step].key);
    vm->powerdown_step++;
    if (vm->powerdown_step < ARRAY_SIZE(powerdown_keys))
        timer_arm(&vm->powerdown, host_clock_now(&vm->clock) + powerdown_keys[step].after_ns);
}

int vm_ask_powerdown(struct vm *vm, struct err *err)
{
    if (vm->holds)
        return err_set(err, EBUSY, "the VM stands still; continue it first");
    if (!vm->power_pressed && machine_press_power(vm->machine)) {
        vm->power_pressed = true;
        return 0;
    }
    if (!vm->powerdown.arm)
        vm->powerdown = loop_timer(vm->loop, powerdown_step, vm, 0);
    vm->powerdown_step = 0;
    powerdown_step(vm, 0);
    return 0;
}

const char *vm_end_reason(const struct vm *vm)
{
    return vm->end_reason ? vm->end_reason : "host-ui";
}
