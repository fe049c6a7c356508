/* SPDX-License-Identifier: BSD-2-Clause */
/* A VM that has a name: its record, its control socket and its console for others. */
#include "api/instance.h"

#include "api/hub.h"
#include "api/server.h"
#include "base/fmt.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

struct instance {
    struct record record;
    int runtime;
    struct server *server;
    struct hub *hub;
};

int instance_create(struct instance **out, const char *name, const struct vm_config *config,
                    char *const *argv, struct err *err)
{
    struct instance *in = calloc(1, sizeof(*in));
    struct record_config rc = {
        .memory = config->ram_size,
        .harts = config->hart_count,
        .argv = argv,
        .created = time(NULL),
    };
    int r;

    if (!in)
        return err_set(err, ENOMEM, "no memory for a VM with a name");
    in->record = (struct record){.dir = -1, .lock = -1};
    in->runtime = dirs_open_runtime(rc.runtime, err);
    r = in->runtime < 0 ? in->runtime : record_create(&in->record, name, &rc, err);
    if (r) {
        instance_destroy(in);
        return r;
    }
    *out = in;
    return 0;
}

const char *instance_name(const struct instance *in)
{
    return in->record.name;
}

int instance_dir(const struct instance *in)
{
    return in->record.dir;
}

static int serve_sockets(struct instance *in, struct vm *vm, struct err *err)
{
    char socket[RECORD_NAME_MAX + 16];
    int r;

    fmt_print(socket, sizeof(socket), "%s.console", in->record.name);
    r = hub_create(&in->hub, vm_loop(vm), vm_console(vm), in->record.dir, in->runtime, socket, err);
    if (!r)
        r = vm_attend(vm, in->runtime, socket, err);
    fmt_print(socket, sizeof(socket), "%s.vsock", in->record.name);
    if (!r)
        r = vm_vsock_listen(vm, in->runtime, socket, err);
    fmt_print(socket, sizeof(socket), "%s.sock", in->record.name);
    if (!r)
        r = server_create(&in->server, vm, in->record.name, in->runtime, socket, err);
    return r ? r : vm_attend(vm, in->runtime, socket, err);
}

int instance_serve(struct instance *in, struct vm *vm, struct sandbox_grant *grant, struct err *err)
{
    int r = record_own(&in->record, err);

    if (!r)
        r = serve_sockets(in, vm, err);
    *grant = (struct sandbox_grant){.fd = &in->record.dir, .write = true};
    return r;
}

int instance_begin(struct instance *in, struct vm *vm, struct err *err)
{
    if (vm_sandbox(vm)->on)
        in->runtime = -1; /* the sandbox has closed it: other VMs' sockets lie there, too */
    return hub_begin(in->hub, vm_sandbox(vm), err);
}

int instance_finish(struct instance *in, int status, const char *reason, struct err *err)
{
    int r = record_finish(&in->record, status, reason, err);

    instance_stop(in);
    return r;
}

void instance_stop(struct instance *in)
{
    server_destroy(in->server);
    hub_destroy(in->hub);
    in->server = NULL;
    in->hub = NULL;
}

/* The lock goes first, as what is locked is not removed. */
void instance_forget(struct instance *in)
{
    struct record record;
    struct err err;
    char name[RECORD_NAME_MAX];

    memcpy(name, in->record.name, sizeof(name));
    record_close(&in->record);
    if (!record_open(&record, name, &err)) {
        if (record_remove(&record, &err))
            errno = 0; /* somebody took it meanwhile */
        record_close(&record);
    }
    instance_destroy(in);
}

void instance_destroy(struct instance *in)
{
    if (!in)
        return;
    record_close(&in->record);
    if (in->runtime >= 0)
        close(in->runtime);
    free(in);
}
