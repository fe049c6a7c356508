/* SPDX-License-Identifier: BSD-2-Clause */
/* The command line: the tables made from options.def, and the parser over them. */
#ifndef COSM_APPS_OPTIONS_H
#define COSM_APPS_OPTIONS_H

#include "api/network.h"
#include "base/err.h"
#include "vmm/config.h"

enum command_id {
#define COMMAND(id, name, arguments, summary, description) COMMAND_##id,
#define SECTION(id, title)
#define OPTION(commands, name, key, argument, fallback, section, completion, action, help)
#define EXAMPLE(command, line, what)
#include "apps/cosm/options.def"
#undef COMMAND
#undef SECTION
    COMMAND_NONE,
};

enum section_id {
#define COMMAND(id, name, arguments, summary, description)
#define SECTION(id, title) SECTION_##id,
#include "apps/cosm/options.def"
#undef COMMAND
#undef SECTION
#undef OPTION
#undef EXAMPLE
    SECTION_HIDDEN,
};

/* Commands that an option belongs to, ORed; CMD_NONE: it stands without a command. */
enum {
    CMD_RUN = 1 << COMMAND_RUN,
    CMD_HELP = 1 << COMMAND_HELP,
    CMD_VERSION = 1 << COMMAND_VERSION,
    CMD_DISASM = 1 << COMMAND_DISASM,
    CMD_DISK = 1 << COMMAND_DISK,
    CMD_NET = 1 << COMMAND_NET,
    CMD_PORT = 1 << COMMAND_PORT,
    CMD_METAL = 1 << COMMAND_METAL,
    CMD_IMAGE = 1 << COMMAND_IMAGE,
    CMD_START = 1 << COMMAND_START,
    CMD_PS = 1 << COMMAND_PS,
    CMD_MEMORY = 1 << COMMAND_MEMORY,
    CMD_STOP = 1 << COMMAND_STOP,
    CMD_RM = 1 << COMMAND_RM,
    CMD_LOGS = 1 << COMMAND_LOGS,
    CMD_PAIR = 1 << COMMAND_RENAME | 1 << COMMAND_CLONE, /* they take a VM and a new name */
    CMD_VM = CMD_START | CMD_STOP | CMD_RM | CMD_LOGS | 1 << COMMAND_KILL | 1 << COMMAND_CONSOLE |
             1 << COMMAND_WAIT | 1 << COMMAND_PAUSE | 1 << COMMAND_RESUME | 1 << COMMAND_MEMORY |
             CMD_PAIR, /* their operands are VMs */
    CMD_CP = 1 << COMMAND_CP,
    CMD_CONNECT = 1 << COMMAND_CONNECT,
    CMD_LOGIN = 1 << COMMAND_EXEC | 1 << COMMAND_SSH | CMD_CP,
    CMD_GUEST = CMD_LOGIN | CMD_CONNECT,
    CMD_TAIL =
        1 << COMMAND_EXEC | 1 << COMMAND_SSH, /* behind the name nothing is an option of ours */
    CMD_NONE = 1 << COMMAND_NONE,
    CMD_ALL = (CMD_NONE << 1) - 1,
};

enum completion {
    COMPLETE_NONE,
    COMPLETE_FILE,
    COMPLETE_SIZE,
    COMPLETE_HARTS,
    COMPLETE_CPU,
    COMPLETE_ENGINE,
    COMPLETE_MACHINE,
    COMPLETE_NET,
    COMPLETE_CONSOLE,
    COMPLETE_SANDBOX,
    COMPLETE_SWITCH,
    COMPLETE_LOG,
    COMPLETE_STATS,
    COMPLETE_FORMAT,
    COMPLETE_REPAIR,
    COMPLETE_ON,
};

enum action_kind {
    ACT_NOTHING,
    ACT_STRING, /* the value itself, at offset in struct vm_config */
    ACT_FLAG,   /* true, at offset */
    ACT_PARSE,  /* parse(value) */
    ACT_PRESET, /* parse(preset) */
    ACT_TEXT,   /* the value itself, at offset in struct options */
    ACT_ON,     /* true, at offset in struct options */
    ACT_FORMAT,
    ACT_BASE,
    ACT_NAME,
    ACT_TIME,
    ACT_WAIT,
    ACT_TAIL,
    ACT_DENY,
    ACT_ALLOW,
};

struct action {
    enum action_kind kind;
    size_t offset;
    vm_config_parse_fn parse;
    const char *preset;
};

struct command_info {
    const char *name;
    const char *arguments;
    const char *summary;
    const char *description;
};

struct option_info {
    u32 commands;
    const char *name;
    char key;
    const char *argument; /* NULL: none; "[...]": may be left out */
    const char *fallback; /* shown as the default; NULL: none */
    enum section_id section;
    enum completion completion;
    struct action action;
    const char *help;
};

struct example_info {
    enum command_id command;
    const char *line;
    const char *what;
};

extern const struct command_info command_table[COMMAND_NONE];
extern const char *const section_table[SECTION_HIDDEN];
extern const struct option_info option_table[];
extern const size_t option_count;
extern const struct example_info example_table[];
extern const size_t example_count;

/* Of disk; NULL: not given. */
struct disk_options {
    const char *format, *output_format, *options, *repair;
    const char *backing_file, *backing_format;
    const char *socket, *listen, *export;
    bool backing, compress, progress, quiet, shrink, unsafe, readonly;
};

/* Of metal; NULL: not given. */
struct metal_options {
    const char *output, *core, *on, *firmware, *from;
    bool icount, split, lines;
};

enum help_format { FORMAT_TEXT, FORMAT_MAN, FORMAT_BASH };

/* What a command line asks for. */
struct options {
    enum command_id command;
    enum command_id topic; /* of help */
    bool help;             /* --help with any command */
    bool version;
    enum help_format format;
    struct vm_config config;
    /* Of disasm. */
    u64 base;
    bool hex, json;
    struct disk_options disk;
    struct network_options net;
    struct metal_options metal;
    char **operand; /* files, words or names of VMs, in argv's array */
    u32 operands;
    u32 before_rest; /* operands that come before "--" */
    /* Of the commands about VMs, and of run. */
    const char *name; /* NULL: none given */
    /* Of run with an image. */
    const char *image; /* NULL: none */
    const char *size;
    bool remove;
    bool all, quiet, force, follow;
    u64 bytes; /* that a VM is to make do with; 0: not given */
    u32 time_s;
    u32 wait_s;       /* until the guest listens */
    const char *user; /* in the guest; NULL: none given */
    bool pass_fd;
    u32 tail; /* lines; UINT32_MAX: all */
};

/* 0, or -EINVAL and the sentence: a usage error. Values stay in argv, whose array is written to. */
MUST_CHECK int options_parse(struct options *options, int argc, char **argv, struct err *err);

/* The words that a value of this kind may begin with, between spaces; "": none to tell. */
const char *completion_words(enum completion completion);

bool option_is_optional_argument(const struct option_info *option);

#endif
