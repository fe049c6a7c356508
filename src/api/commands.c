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

static void put_flag(struct json_out *out, const char *name, bool value)
{
    json_key(out, name);
    json_put_bool(out, value);
}

static int run_sandbox(struct command_call *c, struct err *err)
{
    const struct sandbox *s = vm_sandbox(c->vm);

    (void)err;
    json_open(c->out, '{');
    json_key(c->out, "mode");
    json_put_string(c->out, sandbox_mode_name(s->mode));
    json_key(c->out, "state");
    json_put_string(c->out, sandbox_state(s));
    put_flag(c->out, "files", s->namespaces || s->landlock);
    put_flag(c->out, "namespaces", s->namespaces);
    put_flag(c->out, "landlock", s->landlock);
    put_flag(c->out, "network", s->network);
    put_flag(c->out, "system-calls", s->syscalls);
    json_key(c->out, "memory-max");
    json_put_integer(c->out, (s64)s->memory_max);
    json_key(c->out, "missing");
    json_put_string(c->out, s->missing);
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

static const struct command commands[] = {
    {"qmp_capabilities", "begin; the first command", run_capabilities},
    {"query-version", "the version of cosm", run_version},
    {"query-commands", "the names of all commands", run_commands},
    {"query-schema", "commands and events, each with what it is", run_schema},
    {"query-name", "the name of the VM", run_name},
    {"query-status", "whether it runs or stands still, and its process", run_status},
    {"query-stats", "counts since the start, as 'cosm run --stats' prints", run_stats},
    {"query-block", "the disks: id, image, size", command_query_block},
    {"block_resize",
     "make a disk larger; the guest hears of it",
     command_block_resize,
     {{"device", JSON_STRING}, {"size", JSON_NUMBER}}},
    {"query-net", "the network interfaces: what they are connected to, ports, rules",
     command_query_net},
    {"set_link",
     "pull a network interface's cable, or plug it",
     command_set_link,
     {{"name", JSON_STRING}, {"up", JSON_TRUE}}},
    {"hostfwd_add",
     "hand connections to a port of the host to the guest, as -p does",
     command_hostfwd_add,
     {{"forward", JSON_STRING}, {"name", JSON_STRING, true}}},
    {"hostfwd_remove",
     "hand them on no more: [ADDRESS:]PORT[/udp]",
     command_hostfwd_remove,
     {{"forward", JSON_STRING}, {"name", JSON_STRING, true}}},
    {"balloon",
     "have the guest make do with so many bytes of memory",
     command_balloon,
     {{"value", JSON_NUMBER}}},
    {"query-balloon",
     "the guest's memory in bytes: actual is what it has, target what it should, returned what "
     "went back to "
     "the host; stats is what it told last, and it is asked anew: told counts how often it did",
     command_query_balloon},
    {"query-sandbox", "what its process has given up: state is full, partial or none", run_sandbox},
    {"blockdev-snapshot-sync",
     "go on with a new qcow2 image on top of a disk's, which stays as it is; a descriptor of the "
     "new "
     "file may come along",
     command_snapshot_sync,
     {{"device", JSON_STRING}, {"snapshot-file", JSON_STRING}, {"format", JSON_STRING, true}}},
    {"block-commit",
     "write what a disk's image holds into the one below and empty it, while the guest runs; a "
     "descriptor of the image below may come along",
     command_block_commit,
     {{"device", JSON_STRING}}},
    {"query-block-jobs", "what is being done to disks", command_query_jobs},
    {"block-job-cancel",
     "give up what is being done to a disk",
     command_job_cancel,
     {{"device", JSON_STRING}}},
    {"stop", "stand still, the guest's clock included", run_stop},
    {"cont", "go on", run_cont},
    {"system_reset", "start anew, as the reset button does", run_reset},
    {"system_powerdown", "ask the guest to power off, by the power key; once more: Linux, by SysRq",
     run_powerdown},
    {"console-send-break", "a break on the serial console", run_break},
    {"quit", "end at once", run_quit},
};

static const struct {
    const char *name, *summary;
} events[] = {
    {"STOP", "it stands still"},
    {"RESUME", "it goes on"},
    {"RESET", "it started anew"},
    {"BLOCK_JOB_COMPLETED", "what was being done to a disk has ended; data: device, type, error"},
    {"BALLOON_CHANGE", "the guest gave up memory or took some back; data: actual, in bytes"},
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

static const char *kind_name(enum json_kind kind)
{
    return kind == JSON_STRING ? "string" : kind == JSON_NUMBER ? "integer" : "boolean";
}

static void put_arguments(struct json_out *out, const struct command_argument *a)
{
    json_open(out, '[');
    for (u32 i = 0; i < COMMAND_ARGUMENTS_MAX && a[i].name; i++) {
        json_open(out, '{');
        json_key(out, "name");
        json_put_string(out, a[i].name);
        json_key(out, "type");
        json_put_string(out, kind_name(a[i].kind));
        json_key(out, "optional");
        json_put_bool(out, a[i].optional);
        json_close(out, '}');
    }
    json_close(out, ']');
}

static void put_described(struct json_out *out, const char *name, const char *kind,
                          const char *summary, const struct command_argument *argument)
{
    json_open(out, '{');
    json_key(out, "name");
    json_put_string(out, name);
    json_key(out, "meta-type");
    json_put_string(out, kind);
    json_key(out, "summary");
    json_put_string(out, summary);
    if (argument) {
        json_key(out, "arguments");
        put_arguments(out, argument);
    }
    json_close(out, '}');
}

static int run_schema(struct command_call *c, struct err *err)
{
    (void)err;
    json_open(c->out, '[');
    for (size_t i = 0; i < ARRAY_SIZE(commands); i++)
        put_described(c->out, commands[i].name, "command", commands[i].summary,
                      commands[i].argument);
    for (size_t i = 0; i < ARRAY_SIZE(events); i++)
        put_described(c->out, events[i].name, "event", events[i].summary, NULL);
    json_close(c->out, ']');
    return 0;
}

static const struct command_argument *argument_find(const struct command *command, const char *name)
{
    for (u32 i = 0; i < COMMAND_ARGUMENTS_MAX && command->argument[i].name; i++)
        if (!strcmp(command->argument[i].name, name))
            return &command->argument[i];
    return NULL;
}

static bool is_of_kind(const struct json_node *value, enum json_kind kind)
{
    s64 number;

    if (kind == JSON_TRUE)
        return value->kind == JSON_TRUE || value->kind == JSON_FALSE;
    return value->kind == kind && (kind != JSON_NUMBER || json_integer(value, &number));
}

int command_check(const struct command *command, const struct json *json,
                  const struct json_node *arguments, struct err *err)
{
    const struct json_node *value = arguments ? json_first(json, arguments) : NULL;

    for (; value; value = json_next(json, value)) {
        const struct command_argument *a = argument_find(command, value->key);

        if (!a)
            return err_set(err, EINVAL, "Parameter '%.64s' is unexpected", value->key);
        if (!is_of_kind(value, a->kind))
            return err_set(err, EINVAL, "Invalid parameter type for '%.64s', expected: %s",
                           value->key, kind_name(a->kind));
    }
    for (u32 i = 0; i < COMMAND_ARGUMENTS_MAX && command->argument[i].name; i++)
        if (!command->argument[i].optional && !json_get(json, arguments, command->argument[i].name))
            return err_set(err, EINVAL, "Parameter '%.64s' is missing", command->argument[i].name);
    return 0;
}

const char *command_string(const struct command_call *c, const char *name)
{
    return json_string(json_get(c->json, c->arguments, name));
}

bool command_integer(const struct command_call *c, const char *name, s64 *value)
{
    return json_integer(json_get(c->json, c->arguments, name), value);
}

const struct command *command_find(const char *name)
{
    for (size_t i = 0; i < ARRAY_SIZE(commands); i++) {
        if (!strcmp(commands[i].name, name))
            return &commands[i];
    }
    return NULL;
}
