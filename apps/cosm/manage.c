/* SPDX-License-Identifier: BSD-2-Clause */
/* The commands about VMs that have a name: stop, kill, rm, wait, pause, resume, memory,
 * rename. */
#include "apps/cosm/manage.h"

#include "api/client.h"
#include "store/guest.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>

#define QUIT_MS 5000

enum { EXIT_FAILED = 1 };

static int call(const struct record *r, const char *command, struct err *err)
{
    struct client client;
    int code = client_open(&client, r, err);

    if (code)
        return code;
    if (!client_call(&client, r->name, command, err))
        code = -EIO;
    client_close(&client);
    return code;
}

static void say(const struct record *r)
{
    printf("%s\n", r->name);
}

/* The process that holds the lock, and no other that got its number since. */
static int kill_process(const struct record *r, struct err *err)
{
    struct record_info info;
    int code = 0, fd;

    record_read(r, &info);
    if (info.state != RECORD_RUNNING)
        return 0;
    fd = info.pid > 0 ? (int)syscall(SYS_pidfd_open, info.pid, 0) : -1;
    if (fd < 0)
        return err_set(err, ESRCH, "'%s' has no process that could be ended (yet)", r->name);
    if (record_is_alive(r) && syscall(SYS_pidfd_send_signal, fd, SIGKILL, NULL, 0) < 0)
        code = errno;
    close(fd);
    if (code)
        return err_set(err, code, "cannot end '%s': %s", r->name, strerror(code));
    if (!record_wait(r, QUIT_MS))
        return err_set(err, ETIMEDOUT, "the process of '%s' does not end", r->name);
    record_read(r, &info);
    code = info.state == RECORD_DIED ? record_finish(r, 128 + SIGKILL, "killed", err) : 0;
    return code == -ENOENT ? 0 : code; /* one that leaves nothing has gone already */
}

static int do_kill(const struct options *options, struct record *r, struct err *err)
{
    int code = 0;

    (void)options;
    if (!record_is_alive(r))
        return err_set(err, ESRCH, "'%s' does not run", r->name);
    code = kill_process(r, err);
    if (!code)
        say(r);
    return code;
}

/* Whom the key did not move within the time, his kernel writes out its disks when asked once more.
 */
static int ask(const struct record *r, u32 time_s, struct err *err)
{
    struct client client;
    int code = client_open(&client, r, err);
    bool ends = false;

    if (code)
        return code;
    if (!client_call(&client, r->name, "cont", err) || /* who stands still could not hear */
        !client_call(&client, r->name, "system_powerdown", err))
        code = -EIO;
    if (!code)
        ends = record_wait(r, (int)time_s * 1000);
    if (!code && !ends && client_call(&client, r->name, "system_powerdown", err))
        ends = record_wait(r, QUIT_MS);
    client_close(&client);
    return code || ends ? code : -ETIMEDOUT;
}

static int do_stop(const struct options *options, struct record *r, struct err *err)
{
    int code = options->time_s && record_is_alive(r) ? ask(r, options->time_s, err) : 0;

    if (code == -ETIMEDOUT)
        fprintf(stderr, "cosm: '%s' did not power off within %u s and is ended\n", r->name,
                options->time_s);
    if (record_is_alive(r)) {
        (void)!call(r, "quit", err); /* if not, it is killed */
        if (!record_wait(r, QUIT_MS)) {
            code = kill_process(r, err);
            if (code)
                return code;
        }
    }
    say(r);
    return 0;
}

static int do_rm(const struct options *options, struct record *r, struct err *err)
{
    int code = options->force ? kill_process(r, err) : 0;

    if (!code)
        code = record_remove(r, err);
    if (!code)
        code = guest_remove(r->name, err);
    if (!code)
        say(r);
    return code;
}

static int do_wait(const struct options *options, struct record *r, struct err *err)
{
    struct record_info info;

    (void)options;
    record_wait(r, -1);
    record_read(r, &info);
    if (info.state == RECORD_DIED)
        return err_set(err, ECHILD, "'%s' died: its process was killed or crashed", r->name);
    printf("%d\n", info.status);
    return 0;
}

static int do_pause(const struct options *options, struct record *r, struct err *err)
{
    int code = call(r, options->command == COMMAND_PAUSE ? "stop" : "cont", err);

    if (!code)
        say(r);
    return code;
}

static int do_logs(const struct options *options, struct record *r, struct err *err)
{
    return logs_print(options, r, err);
}

static int do_console(const struct options *options, struct record *r, struct err *err)
{
    (void)options;
    return console_attach_to(r, err);
}

static int do_memory(const struct options *options, struct record *r, struct err *err)
{
    int code = memory_manage(options, r, err);

    if (!code && options->bytes)
        say(r);
    return code;
}

static int do_rename(const struct options *options, struct record *r, struct err *err)
{
    int code = guest_exists(r->name) && guest_exists(options->operand[1]) ? -EEXIST : 0;

    if (code)
        return err_set(err, EEXIST, "there is a VM '%.64s' already", options->operand[1]);
    code = record_rename(r, options->operand[1], err);
    return code ? code : guest_rename(options->operand[0], options->operand[1], err);
}

/* Each VM is tried, whatever becomes of the others. */
static int for_each(const struct options *options,
                    int (*fn)(const struct options *options, struct record *r, struct err *err),
                    u32 count)
{
    int status = 0;

    for (u32 i = 0; i < count; i++) {
        struct record r;
        struct err err = {""};
        int code = record_open(&r, options->operand[i], &err);

        if (!code)
            code = fn(options, &r, &err);
        else if (fn == do_rm && code == -ENOENT && guest_exists(options->operand[i]))
            code = guest_remove(options->operand[i], &err); /* a disk whose VM never ran */
        record_close(&r);
        if (code) {
            fprintf(stderr, "cosm: %s\n", err.msg);
            status = EXIT_FAILED;
        }
    }
    return status;
}

int manage(const struct options *options)
{
    struct err err = {""};

    switch (options->command) {
    case COMMAND_PS:
        if (!ps_print(options, &err))
            return 0;
        fprintf(stderr, "cosm: %s\n", err.msg);
        return EXIT_FAILED;
    case COMMAND_STOP:
        return for_each(options, do_stop, options->operands);
    case COMMAND_KILL:
        return for_each(options, do_kill, options->operands);
    case COMMAND_RM:
        return for_each(options, do_rm, options->operands);
    case COMMAND_WAIT:
        return for_each(options, do_wait, options->operands);
    case COMMAND_PAUSE:
    case COMMAND_RESUME:
        return for_each(options, do_pause, options->operands);
    case COMMAND_LOGS:
        return for_each(options, do_logs, 1);
    case COMMAND_CONSOLE:
        return for_each(options, do_console, 1);
    case COMMAND_MEMORY:
        return for_each(options, do_memory, 1);
    case COMMAND_RENAME:
        return for_each(options, do_rename, 1);
    default:
        return 0;
    }
}
