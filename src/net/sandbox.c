/* SPDX-License-Identifier: BSD-2-Clause */
/* What the network process may still do once it has begun: sockets, and reading who serves names.
 */
#include "net/sandbox.h"

#include "base/fmt.h"

#include <libgen.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#define RESOLVER   "/etc/resolv.conf"
#define MEMORY_MAX GIB
#define SPACE_MAX  (UINT64_C(2) * GIB)

int net_sandbox_enter(enum net_sandbox kind, enum sandbox_mode mode, char *warning, size_t room,
                      struct err *err)
{
    char file[PATH_MAX], folder[PATH_MAX];
    struct sandbox_grant grant = {0};
    struct sandbox_plan plan = {
        .mode = mode,
        .who = "the network process",
        .kinds = kind == NET_SANDBOX_USER ? SANDBOX_NET : SANDBOX_SWITCH,
        .grant = &grant,
        .host_network = true,
        .memory_max = MEMORY_MAX,
        .address_max = SPACE_MAX,
    };
    struct sandbox sandbox;
    int r;

    if (kind == NET_SANDBOX_USER && realpath(RESOLVER, file)) {
        /* Its folder, as the file may be replaced at any time. */
        fmt_print(folder, sizeof(folder), "%s", file);
        grant.path = dirname(folder);
        grant.link = strcmp(file, RESOLVER) ? RESOLVER : NULL;
        grant.target = file;
        plan.grants = 1;
    }
    r = sandbox_enter(&sandbox, &plan, err);
    fmt_print(warning, room, "%s", r ? "" : sandbox.missing);
    return r;
}
