/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The control socket of a VM: JSON objects in the form of QEMU's machine protocol (QMP).
 *
 * The server greets with {"QMP": ...}; qmp_capabilities comes first; then {"execute": NAME,
 * "arguments": {...}, "id": ANY} is answered by {"return": ...} or {"error": {"class", "desc"}}
 * with the same id, and {"event": NAME, "data", "timestamp"} comes in between. query-schema tells
 * what there is. All is served on the VM's loop: a client's request and what waits for it to read
 * have a bounded size, and who does not read is asked nothing more and in the end disconnected.
 */
#ifndef COSM_API_SERVER_H
#define COSM_API_SERVER_H

#include "vmm/vm_control.h"

#define SERVER_REQUEST_MAX (16 * KIB)

struct server;

/* Socket runtime/socket; what name the VM has for others. Both and the VM outlive the server. */
MUST_CHECK int server_create(struct server **server, struct vm *vm, const char *name, int runtime,
                             const char *socket, struct err *err);

/* Tells clients of the end (SHUTDOWN) as far as they take it at once. When the loop does not run.
 */
void server_destroy(struct server *server);

#endif
