/* SPDX-License-Identifier: BSD-2-Clause */
/* What the control socket of a VM can do. */
#ifndef COSM_API_COMMANDS_H
#define COSM_API_COMMANDS_H

#include "api/json.h"
#include "vmm/vm_control.h"

/* One request. */
struct command_call {
    struct vm *vm;
    const char *name; /* of the VM */
    const struct json *json;
    const struct json_node *arguments; /* NULL: none */
    struct json_out *out;              /* the value to return: nothing written is {} */
    int fd; /* a descriptor that came along, or -1; who takes it sets it to -1 */
};

/* What a command takes; the value's kind is checked before the command runs. */
struct command_argument {
    const char *name; /* NULL: no further one */
    enum json_kind kind;
    bool optional;
};

#define COMMAND_ARGUMENTS_MAX 6

struct command {
    const char *name;
    const char *summary;
    int (*run)(struct command_call *call, struct err *err);
    struct command_argument argument[COMMAND_ARGUMENTS_MAX];
};

/* NULL: there is none. */
const struct command *command_find(const char *name);

/* Are these what the command takes? arguments may be NULL. */
MUST_CHECK int command_check(const struct command *command, const struct json *json,
                             const struct json_node *arguments, struct err *err);

/* An argument of the call, NULL: not given. */
const char *command_string(const struct command_call *call, const char *name);
bool command_integer(const struct command_call *call, const char *name, s64 *value);

/* commands_block.c */
int command_query_block(struct command_call *call, struct err *err);
int command_block_resize(struct command_call *call, struct err *err);
int command_snapshot_sync(struct command_call *call, struct err *err);
int command_block_commit(struct command_call *call, struct err *err);
int command_query_jobs(struct command_call *call, struct err *err);
int command_job_cancel(struct command_call *call, struct err *err);

/* commands_net.c */
int command_query_net(struct command_call *call, struct err *err);
int command_set_link(struct command_call *call, struct err *err);
int command_hostfwd_add(struct command_call *call, struct err *err);
int command_hostfwd_remove(struct command_call *call, struct err *err);

/* commands_memory.c */
int command_balloon(struct command_call *call, struct err *err);
int command_query_balloon(struct command_call *call, struct err *err);

/* BALLOON_CHANGE's data. */
void command_put_balloon(struct json_out *out, struct vm *vm);

/* QMP's "version" object. */
void command_put_version(struct json_out *out);

/* BLOCK_IO_ERROR's data. */
void command_put_trouble(struct json_out *out, const struct vm_trouble *trouble);

/* BLOCK_JOB_COMPLETED's data, and an element of query-block-jobs. */
void command_put_job(struct json_out *out, const struct vm_job *job);

/* The event's name in the protocol. */
const char *command_event_name(enum vm_event event);

#endif
