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
};

struct command {
    const char *name;
    const char *summary;
    int (*run)(struct command_call *call, struct err *err);
};

/* NULL: there is none. */
const struct command *command_find(const char *name);

/* QMP's "version" object. */
void command_put_version(struct json_out *out);

/* BLOCK_IO_ERROR's data. */
void command_put_trouble(struct json_out *out, const struct vm_trouble *trouble);

/* The event's name in the protocol. */
const char *command_event_name(enum vm_event event);

#endif
