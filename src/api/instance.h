/* SPDX-License-Identifier: BSD-2-Clause */
/* A VM that has a name: its record, its control socket and its console for others. */
#ifndef COSM_API_INSTANCE_H
#define COSM_API_INSTANCE_H

#include "api/record.h"
#include "host/sandbox.h"
#include "vmm/vm.h"

struct instance;

/* Takes the name (NULL: a new one); before the process forks. argv: of cosm. */
MUST_CHECK int instance_create(struct instance **instance, const char *name,
                               const struct vm_config *config, char *const *argv, struct err *err);
const char *instance_name(const struct instance *instance);
/* Where cosm.log goes, of a process without a terminal. */
int instance_dir(const struct instance *instance);

/* In the process that is to run the VM, which was created and does not run yet: sockets and logs.
 * grant gets the folder that it goes on using. */
MUST_CHECK int instance_serve(struct instance *instance, struct vm *vm, struct sandbox_grant *grant,
                              struct err *err);
/* After vm_confine. */
MUST_CHECK int instance_begin(struct instance *instance, struct vm *vm, struct err *err);

/* After vm_run, before vm_destroy: status is what it returned. */
MUST_CHECK int instance_finish(struct instance *instance, int status, const char *reason,
                               struct err *err);

/* Nothing is served any more; before vm_destroy, after a failure. */
void instance_stop(struct instance *instance);

/* The name is free again: nothing ever ran. In the last process that has it. */
void instance_forget(struct instance *instance);

/* Lets go of the record, which stays. NULL is allowed. */
void instance_destroy(struct instance *instance);

#endif
