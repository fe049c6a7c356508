/* SPDX-License-Identifier: BSD-2-Clause */
/* The command line: the tables made from options.def, and the parser over them. */
#include "apps/cosm/options.h"

#include "api/record.h"
#include "base/words.h"
#include "store/image.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define SECTION(id, title)
#define OPTION(commands, name, key, argument, fallback, section, completion, action, help)
#define EXAMPLE(command, line, what)
#define COMMAND(id, name, arguments, summary, description) {name, arguments, summary, description},
const struct command_info command_table[COMMAND_NONE] = {
#include "apps/cosm/options.def"
};
#undef COMMAND
#undef SECTION

#define COMMAND(id, name, arguments, summary, description)
#define SECTION(id, title) title,
const char *const section_table[SECTION_HIDDEN] = {
#include "apps/cosm/options.def"
};
#undef SECTION
#undef OPTION

#define SECTION(id, title)
#define STRING(field)                                             \
    {                                                             \
        ACT_STRING, offsetof(struct vm_config, field), NULL, NULL \
    }
#define FLAG(field)                                             \
    {                                                           \
        ACT_FLAG, offsetof(struct vm_config, field), NULL, NULL \
    }
#define TEXT(field)                                           \
    {                                                         \
        ACT_TEXT, offsetof(struct options, field), NULL, NULL \
    }
#define ON(field)                                           \
    {                                                       \
        ACT_ON, offsetof(struct options, field), NULL, NULL \
    }
#define PARSE(fn)              \
    {                          \
        ACT_PARSE, 0, fn, NULL \
    }
#define PRESET(fn, value)        \
    {                            \
        ACT_PRESET, 0, fn, value \
    }
#define ACTION(kind)        \
    {                       \
        kind, 0, NULL, NULL \
    }
#define OPTION(commands, name, key, argument, fallback, section, completion, action, help) \
    {commands, name, key, argument, fallback, section, completion, action, help},
const struct option_info option_table[] = {
#include "apps/cosm/options.def"
};
#undef OPTION
#undef EXAMPLE
const size_t option_count = ARRAY_SIZE(option_table);

#define OPTION(commands, name, key, argument, fallback, section, completion, action, help)
#define EXAMPLE(command, line, what) {COMMAND_##command, line, what},
const struct example_info example_table[] = {
#include "apps/cosm/options.def"
};
const size_t example_count = ARRAY_SIZE(example_table);

const char *completion_words(enum completion completion)
{
    switch (completion) {
    case COMPLETE_SIZE:
        return "128M 256M 512M 1G 2G 4G";
    case COMPLETE_HARTS:
        return "1 2 4 8";
    case COMPLETE_CPU:
        return "rv64";
    case COMPLETE_ENGINE:
        return "interp jit jit1";
    case COMPLETE_MACHINE:
        return "virt";
    case COMPLETE_NET:
        return "user tap vhost-user null loopback";
    case COMPLETE_CONSOLE:
        return "uart virtio";
    case COMPLETE_SANDBOX:
        return "auto strict off";
    case COMPLETE_SWITCH:
        return "on off";
    case COMPLETE_LOG:
        return "error warn info debug";
    case COMPLETE_STATS:
        return "text json";
    case COMPLETE_FORMAT:
        return "raw qcow2";
    case COMPLETE_REPAIR:
        return "leaks all";
    case COMPLETE_ON:
        return "qemu cosm";
    case COMPLETE_NONE:
    case COMPLETE_FILE:
        break;
    }
    return "";
}

bool option_is_optional_argument(const struct option_info *option)
{
    return option->argument && option->argument[0] == '[';
}

static const char *nearest_option(u32 command, const char *word, size_t len)
{
    const char *nearest = NULL;
    u32 best = UINT32_MAX;

    for (size_t i = 0; i < option_count; i++) {
        const struct option_info *o = &option_table[i];

        if (o->commands & command && o->section != SECTION_HIDDEN &&
            word_is_near(word, len, o->name, &best))
            nearest = o->name;
    }
    return nearest;
}

static const char *nearest_command(const char *word)
{
    const char *nearest = NULL;
    u32 best = UINT32_MAX;

    for (size_t i = 0; i < COMMAND_NONE; i++) {
        if (word_is_near(word, strlen(word), command_table[i].name, &best))
            nearest = command_table[i].name;
    }
    return nearest;
}

static enum command_id command_find(const char *name)
{
    u32 i;

    for (i = 0; i < COMMAND_NONE; i++) {
        if (!strcmp(command_table[i].name, name))
            break;
    }
    return (enum command_id)i;
}

static int command_unknown(const char *name, struct err *err)
{
    const char *nearest = nearest_command(name);

    if (nearest)
        return err_set(err, EINVAL, "unknown command '%.64s'; did you mean %s?", name, nearest);
    return err_set(err, EINVAL, "unknown command '%.64s'; 'cosm --help' lists what there is", name);
}

struct parser {
    struct options *options;
    u32 command; /* its bit */
    char **arg;  /* what is left, up to NULL */
};

static const struct option_info *option_find(u32 command, const char *name, size_t len)
{
    for (size_t i = 0; i < option_count; i++) {
        const struct option_info *o = &option_table[i];

        if (o->commands & command && strlen(o->name) == len && !memcmp(o->name, name, len))
            return o;
    }
    return NULL;
}

static const struct option_info *option_find_key(u32 command, char key)
{
    for (size_t i = 0; i < option_count; i++) {
        if (option_table[i].commands & command && key && option_table[i].key == key)
            return &option_table[i];
    }
    return NULL;
}

static int option_unknown(const struct parser *p, const char *arg, struct err *err)
{
    const char *name = arg + strspn(arg, "-");
    size_t len = strcspn(name, "=");
    int dashes = (int)(name - arg), shown = (int)(len < 64 ? len : 64);
    const char *nearest = nearest_option(p->command, name, len);
    const char *command =
        p->options->command == COMMAND_NONE ? NULL : command_table[p->options->command].name;

    if (!command && option_find(CMD_RUN, name, len))
        return err_set(err, EINVAL, "'%.*s%.*s' belongs to a command; say 'cosm run %.*s%.*s'",
                       dashes, arg, shown, name, dashes, arg, shown, name);
    if (nearest)
        return err_set(err, EINVAL, "unknown option '%.*s%.*s'; did you mean --%s?", dashes, arg,
                       shown, name, nearest);
    return err_set(err, EINVAL, "unknown option '%.*s%.*s'; 'cosm %s%s--help' lists what there is",
                   dashes, arg, shown, name, command ? command : "", command ? " " : "");
}

static int format_parse(struct options *options, const char *value, struct err *err)
{
    static const char *const names[] = {"text", "man", "bash"};

    for (u32 i = 0; i < ARRAY_SIZE(names); i++) {
        if (!strcmp(value, names[i])) {
            options->format = (enum help_format)i;
            return 0;
        }
    }
    return err_set(err, EINVAL, "'%.64s' is not a format; give text, man or bash", value);
}

static int base_parse(struct options *options, const char *value, struct err *err)
{
    char *end;

    errno = 0;
    options->base = strtoull(value, &end, 0);
    if (errno || *end || value[0] == '-')
        return err_set(err, EINVAL, "'%.64s' is not an address; give one like 0x80000000", value);
    return 0;
}

static int number_parse(const char *value, const char *what, u32 max, u32 *number, struct err *err)
{
    unsigned long long n;
    char *end;

    errno = 0;
    n = strtoull(value, &end, 10);
    if (errno || *end || value[0] < '0' || value[0] > '9' || n > max)
        return err_set(err, EINVAL, "'%.64s' is not a number of %s; give 0 to %u", value, what,
                       max);
    *number = (u32)n;
    return 0;
}

static int option_act(struct parser *p, const struct action *action, const char *value,
                      struct err *err)
{
    struct vm_config *config = &p->options->config;
    char *field = (char *)config + action->offset;

    switch (action->kind) {
    case ACT_NOTHING:
        return 0;
    case ACT_STRING:
        *(const char **)(void *)field = value;
        return 0;
    case ACT_TEXT:
        *(const char **)(void *)((char *)p->options + action->offset) = value;
        return 0;
    case ACT_ON:
        *(bool *)((char *)p->options + action->offset) = true;
        return 0;
    case ACT_FLAG:
        *(bool *)(void *)field = true;
        return 0;
    case ACT_PARSE:
        return action->parse(config, value, err);
    case ACT_PRESET:
        return action->parse(config, action->preset, err);
    case ACT_FORMAT:
        return format_parse(p->options, value, err);
    case ACT_BASE:
        return base_parse(p->options, value, err);
    case ACT_NAME:
        p->options->name = value;
        return record_check_name(value, err);
    case ACT_TIME:
        return number_parse(value, "seconds", 86400, &p->options->time_s, err);
    case ACT_WAIT:
        return number_parse(value, "seconds", 86400, &p->options->wait_s, err);
    case ACT_TAIL:
        return number_parse(value, "lines", UINT32_MAX - 1, &p->options->tail, err);
    case ACT_DENY:
    case ACT_ALLOW:
        return net_settings_rule(&p->options->net.rules, action->kind == ACT_ALLOW, value, err);
    }
    return 0;
}

/* value: what was attached to the option (--name=value, -mvalue), or NULL. */
static int option_take(struct parser *p, const struct option_info *o, const char *value,
                       struct err *err)
{
    struct err reason;
    int rc;

    if (!o->argument && value)
        return err_set(err, EINVAL, "--%s takes no value, but got '%.64s'", o->name, value);
    if (option_is_optional_argument(o) && !value)
        value = *p->arg && **p->arg != '-' ? *p->arg++ : "";
    else if (o->argument && !value)
        value = *p->arg ? *p->arg++ : NULL;
    if (o->argument &&
        (!value || (!*value && !option_is_optional_argument(o) && o->action.kind != ACT_TEXT &&
                    o->action.offset != offsetof(struct vm_config, append))))
        return err_set(err, EINVAL, "--%s needs a value: --%s %s", o->name, o->name, o->argument);
    rc = option_act(p, &o->action, value, &reason);
    if (rc)
        return err_set(err, -rc, "--%s: %s", o->name, reason.msg);
    return 0;
}

/* "-aq": several that take no value. */
static bool is_bundle(const struct parser *p, const char *arg)
{
    for (const char *key = arg + 1; *key; key++) {
        const struct option_info *o = option_find_key(p->command, *key);

        if (!o || o->argument)
            return false;
    }
    return true;
}

static int option_parse_bundle(struct parser *p, const char *arg, struct err *err)
{
    int rc = 0;

    for (const char *key = arg + 1; *key && !rc; key++)
        rc = option_take(p, option_find_key(p->command, *key), NULL, err);
    return rc;
}

/* "-m", "-m512M", "-aq", and QEMU's "-kernel". */
static int option_parse_short(struct parser *p, const char *arg, struct err *err)
{
    size_t len = strcspn(arg + 1, "=");
    const struct option_info *o = len > 1 ? option_find(p->command, arg + 1, len) : NULL;

    if (o)
        return option_take(p, o, arg[1 + len] ? arg + len + 2 : NULL, err);
    if (is_bundle(p, arg))
        return option_parse_bundle(p, arg, err);
    o = option_find_key(p->command, arg[1]);
    if (!o || (arg[2] && !o->argument))
        return option_unknown(p, arg, err);
    /* -kernal is a slip of the pen, not the kernel 'ernal'. */
    if (arg[2] && arg[2] >= 'a' && nearest_option(p->command, arg + 1, len))
        return option_unknown(p, arg, err);
    return option_take(p, o, arg[2] ? arg + 2 + (arg[2] == '=') : NULL, err);
}

static int option_parse(struct parser *p, const char *arg, struct err *err)
{
    const struct option_info *o;
    size_t len;

    if (arg[1] != '-')
        return option_parse_short(p, arg, err);
    len = strcspn(arg + 2, "=");
    o = option_find(p->command, arg + 2, len);
    if (!o)
        return option_unknown(p, arg, err);
    return option_take(p, o, arg[2 + len] ? arg + len + 3 : NULL, err);
}

/* How many names of VMs a command takes. */
static u32 vm_operands_max(enum command_id command)
{
    if (!(CMD_VM & 1u << command))
        return 0;
    if (command == COMMAND_LOGS || command == COMMAND_CONSOLE)
        return 1;
    return (CMD_PAIR | CMD_MEMORY) & 1u << command ? 2 : UINT32_MAX;
}

static int operand_parse(struct parser *p, const char *arg, struct err *err)
{
    struct options *options = p->options;
    struct err ignored;

    if (options->command == COMMAND_HELP && options->topic == COMMAND_NONE) {
        options->topic = command_find(arg);
        return options->topic == COMMAND_NONE ? command_unknown(arg, err) : 0;
    }
    if (options->command == COMMAND_RUN && !options->image && !options->config.kernel &&
        !options->config.bios && !image_check_name(arg, NULL, &ignored)) {
        options->image = arg;
        return 0;
    }
    if (options->command == COMMAND_DISK || options->command == COMMAND_NET ||
        options->command == COMMAND_PORT || options->command == COMMAND_IMAGE ||
        options->command == COMMAND_METAL || p->command & CMD_GUEST ||
        (options->command == COMMAND_DISASM && (options->hex || !options->operands)) ||
        options->operands < vm_operands_max(options->command)) {
        options->operand[options->operands++] = (char *)(uintptr_t)arg;
        return 0;
    }
    if (options->command == COMMAND_RUN)
        return err_set(err, EINVAL,
                       "'%.64s' stands alone; say what it is: --kernel, --bios or --drive %.64s",
                       arg, arg);
    return err_set(err, EINVAL, "'%.64s' is one argument too many", arg);
}

static int options_parse_rest(struct parser *p, struct err *err)
{
    bool only_operands = false;

    while (*p->arg) {
        const char *arg = *p->arg++;
        int rc;

        /* Behind the VM's name all is the program's in it, or ssh's. */
        if (p->command & CMD_TAIL && p->options->operands)
            only_operands |= p->options->operands > 1 || strcmp(arg, "--");
        if (!only_operands && !strcmp(arg, "--")) {
            only_operands = true;
            p->options->before_rest = p->options->operands;
            continue;
        }
        if (only_operands || arg[0] != '-' || !arg[1] || (arg[1] >= '0' && arg[1] <= '9'))
            rc = operand_parse(p, arg, err);
        else
            rc = option_parse(p, arg, err);
        if (rc)
            return rc;
    }
    return 0;
}

/* What the commands into a guest need. */
static int guest_check(struct options *options, struct err *err)
{
    const struct command_info *c = &command_table[options->command];
    u32 least = options->command == COMMAND_SSH ? 1 : 2;

    if (options->wait_s == UINT32_MAX)
        options->wait_s = options->command == COMMAND_CONNECT ? 0 : 120;
    if (options->operands < least)
        return err_set(err, EINVAL, "%s; say 'cosm %s %s'",
                       options->operands ? "something is missing" : "which VM?", c->name,
                       c->arguments);
    if (options->command == COMMAND_CONNECT && options->operands > 2)
        return err_set(err, EINVAL, "'%.64s' is one argument too many", options->operand[2]);
    return 0;
}

static int memory_check(struct options *options, struct err *err)
{
    const char *size = options->operands > 1 ? options->operand[1] : NULL;
    int rc = size ? vm_config_size(size, MIB, &options->bytes, err) : 0;

    if (!rc && size && !options->bytes)
        return err_set(err, EINVAL, "a guest cannot do with '%s' of memory; give a size as in 512M",
                       size);
    return rc;
}

int options_parse(struct options *options, int argc, char **argv, struct err *err)
{
    struct parser p = {options, CMD_NONE, argv + (argc > 0)};
    int rc;

    memset(options, 0, sizeof(*options));
    vm_config_init(&options->config);
    options->config.name_holder = record_name_of;
    options->command = options->topic = COMMAND_NONE;
    options->time_s = 20;
    options->wait_s = UINT32_MAX;
    options->tail = options->before_rest = UINT32_MAX;
    options->operand = argv; /* never ahead of what is read */
    if (*p.arg && **p.arg != '-') {
        options->command = command_find(*p.arg);
        if (options->command == COMMAND_NONE)
            return command_unknown(*p.arg, err);
        p.command = 1u << options->command;
        p.arg++;
    }
    rc = options_parse_rest(&p, err);
    if (!options->config.vsock.chosen && !options->config.icount)
        options->config.vsock.enabled = options->name || options->config.detached;
    if (rc || options->help || options->version)
        return rc;
    if (options->command == COMMAND_NONE)
        return err_set(err, EINVAL, "no command given; try 'cosm run' or 'cosm --help'");
    if (options->command == COMMAND_DISASM && !options->operands)
        return err_set(err, EINVAL,
                       options->hex ? "--hex needs words, as in: cosm disasm --hex 00a50533"
                                    : "nothing to disassemble; give a file");
    if (CMD_VM & p.command && options->operands < 1u + !!(CMD_PAIR & p.command))
        return err_set(err, EINVAL, "which VM? Say 'cosm %s %s'",
                       command_table[options->command].name,
                       CMD_PAIR & p.command ? "NAME NEW" : "NAME");
    if (CMD_MEMORY & p.command)
        return memory_check(options, err);
    if (CMD_GUEST & p.command)
        return guest_check(options, err);
    if (options->command != COMMAND_RUN || options->image) /* that is checked when it is known */
        return 0;
    if (options->remove || options->size || options->user)
        return err_set(err, EINVAL, "--%s needs an image, as in 'cosm run debian'",
                       options->remove ? "rm"
                       : options->size ? "size"
                                       : "user");
    return vm_config_check(&options->config, err);
}
