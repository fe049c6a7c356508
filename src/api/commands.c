/* SPDX-License-Identifier: BSD-2-Clause */
/* What the control socket of a VM can do. */
#include "api/commands.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

static int run_capabilities(struct command_call *c, struct err *err)
{
    (void)c;
    return err_set(err, EINVAL, "Capabilities negotiation is already complete, command ignored");
}

void command_put_version(struct json_out *out)
{
    int part[3] = {0};
    const char *at = COSM_VERSION;

    for (u32 i = 0; i < 3; i++) {
        while (*at >= '0' && *at <= '9')
            part[i] = part[i] * 10 + (*at++ - '0');
        at += *at == '.';
    }
    json_open(out, '{');
    json_key(out, "qemu"); /* the name that clients of the protocol look for */
    json_open(out, '{');
    json_key(out, "major");
    json_put_integer(out, part[0]);
    json_key(out, "minor");
    json_put_integer(out, part[1]);
    json_key(out, "micro");
    json_put_integer(out, part[2]);
    json_close(out, '}');
    json_key(out, "package");
    json_put_string(out, "cosm " COSM_VERSION);
    json_close(out, '}');
}

static int run_version(struct command_call *c, struct err *err)
{
    (void)err;
    command_put_version(c->out);
    return 0;
}

static int run_name(struct command_call *c, struct err *err)
{
    (void)err;
    json_open(c->out, '{');
    json_key(c->out, "name");
    json_put_string(c->out, c->name);
    json_close(c->out, '}');
    return 0;
}

void command_put_trouble(struct json_out *out, const struct vm_trouble *t)
{
    json_open(out, '{');
    json_key(out, "device");
    json_put_string(out, t->id);
    json_key(out, "file");
    json_put_string(out, t->path);
    json_key(out, "operation");
    json_put_string(out, t->reading ? "read" : "write");
    json_key(out, "action");
    json_put_string(out, "stop");
    json_key(out, "nospace");
    json_put_bool(out, t->no_space);
    json_key(out, "reason");
    json_put_string(out, t->reason);
    json_close(out, '}');
}

static int run_status(struct command_call *c, struct err *err)
{
    bool stopped = vm_is_stopped(c->vm);
    struct vm_trouble trouble;
    bool starved = vm_disk_trouble(c->vm, &trouble);

    (void)err;
    json_open(c->out, '{');
    json_key(c->out, "running");
    json_put_bool(c->out, !stopped && !starved);
    json_key(c->out, "status");
    json_put_string(c->out, starved ? "io-error" : stopped ? "paused" : "running");
    if (starved) {
        json_key(c->out, "trouble");
        command_put_trouble(c->out, &trouble);
    }
    json_key(c->out, "pid");
    json_put_integer(c->out, getpid());
    json_close(c->out, '}');
    return 0;
}

static void put_stat(void *ctx, const char *name, u64 value)
{
    json_key(ctx, name);
    json_put_integer(ctx, (s64)value);
}

static int run_stats(struct command_call *c, struct err *err)
{
    (void)err;
    json_open(c->out, '{');
    vm_stats_each(c->vm, put_stat, c->out);
    json_close(c->out, '}');
    return 0;
}

static int run_stop(struct command_call *c, struct err *err)
{
    (void)err;
    vm_stop(c->vm);
    return 0;
}

static int run_cont(struct command_call *c, struct err *err)
{
    (void)err;
    vm_cont(c->vm);
    return 0;
}

static int run_reset(struct command_call *c, struct err *err)
{
    (void)err;
    vm_push_reset(c->vm);
    return 0;
}

static int run_powerdown(struct command_call *c, struct err *err)
{
    return vm_ask_powerdown(c->vm, err);
}

static int run_break(struct command_call *c, struct err *err)
{
    (void)err;
    vm_send_break(c->vm);
    return 0;
}

static int run_quit(struct command_call *c, struct err *err)
{
    (void)err;
    vm_quit(c->vm, 0);
    return 0;
}

static int run_commands(struct command_call *c, struct err *err);
static int run_schema(struct command_call *c, struct err *err);

/* None takes arguments yet. */
static const struct command commands[] = {
    {"qmp_capabilities", "begin; the first command", run_capabilities},
    {"query-version", "the version of cosm", run_version},
    {"query-commands", "the names of all commands", run_commands},
    {"query-schema", "commands and events, each with what it is", run_schema},
    {"query-name", "the name of the VM", run_name},
    {"query-status", "whether it runs or stands still, and its process", run_status},
    {"query-stats", "counts since the start, as 'cosm run --stats' prints", run_stats},
    {"stop", "stand still, the guest's clock included", run_stop},
    {"cont", "go on", run_cont},
    {"system_reset", "start anew, as the reset button does", run_reset},
    {"system_powerdown", "ask Linux to write out its disks and power off, by SysRq", run_powerdown},
    {"console-send-break", "a break on the serial console", run_break},
    {"quit", "end at once", run_quit},
};

static const struct {
    const char *name, *summary;
} events[] = {
    {"STOP", "it stands still"},
    {"RESUME", "it goes on"},
    {"RESET", "it started anew"},
    {"BLOCK_IO_ERROR", "the host cannot serve a disk, so STOP follows; data: device, file, "
                       "operation, nospace (then it goes on by itself), reason"},
    {"SHUTDOWN", "it ended; data: guest (did the guest end it?), reason, status"},
};

const char *command_event_name(enum vm_event event)
{
    return events[event].name;
}

static int run_commands(struct command_call *c, struct err *err)
{
    (void)err;
    json_open(c->out, '[');
    for (size_t i = 0; i < ARRAY_SIZE(commands); i++) {
        json_open(c->out, '{');
        json_key(c->out, "name");
        json_put_string(c->out, commands[i].name);
        json_close(c->out, '}');
    }
    json_close(c->out, ']');
    return 0;
}

static void put_described(struct json_out *out, const char *name, const char *kind,
                          const char *summary)
{
    json_open(out, '{');
    json_key(out, "name");
    json_put_string(out, name);
    json_key(out, "meta-type");
    json_put_string(out, kind);
    json_key(out, "summary");
    json_put_string(out, summary);
    if (!strcmp(kind, "command")) {
        json_key(out, "arguments");
        json_open(out, '[');
        json_close(out, ']');
    }
    json_close(out, '}');
}

static int run_schema(struct command_call *c, struct err *err)
{
    (void)err;
    json_open(c->out, '[');
    for (size_t i = 0; i < ARRAY_SIZE(commands); i++)
        put_described(c->out, commands[i].name, "command", commands[i].summary);
    for (size_t i = 0; i < ARRAY_SIZE(events); i++)
        put_described(c->out, events[i].name, "event", events[i].summary);
    json_close(c->out, ']');
    return 0;
}

const struct command *command_find(const char *name)
{
    for (size_t i = 0; i < ARRAY_SIZE(commands); i++) {
        if (!strcmp(commands[i].name, name))
            return &commands[i];
    }
    return NULL;
}
