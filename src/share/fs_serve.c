/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The process of a shared folder. Here alone requests of the guest are looked into. Before the
 * first it gives up (host/sandbox.h) all files but those of the folder and its own descriptors'
 * names, and all system calls but those that it needs.
 */
#include "share/fs_serve.h"

#include "base/fmt.h"
#include "share/fs_fuse.h"
#include "share/fs_wire.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#define NODES_MAX   262144
#define FILES_SPARE 64 /* descriptors beside those of nodes and handles */
#define FILES_MAX   (NODES_MAX + FS_HANDLES_MAX + FILES_SPARE)
#define MEMORY_MAX  (64 * MIB)

/* As many descriptors as there may be: each file that the guest remembers takes one. */
static u32 nodes_max(void)
{
    struct rlimit r;
    u64 most = 1024;

    if (!getrlimit(RLIMIT_NOFILE, &r)) {
        if (r.rlim_max > FILES_MAX)
            r.rlim_max = FILES_MAX;
        r.rlim_cur = r.rlim_max;
        (void)setrlimit(RLIMIT_NOFILE, &r);
        most = r.rlim_cur;
    }
    return most > 2 * (FS_HANDLES_MAX + FILES_SPARE) ? (u32)most - FS_HANDLES_MAX - FILES_SPARE
                                                     : (u32)most / 2;
}

static int confine(struct fs_server *s, const struct fs_wire_start *start, char *warning,
                   size_t room, struct err *err)
{
    const struct sandbox_grant grant[] = {
        {.fd = &s->tree.root, .write = !start->readonly, .tree = true},
        {.fd = &s->tree.proc},
    };
    const struct sandbox_plan plan = {
        .mode = start->sandbox,
        .who = "the process of a shared folder",
        .kinds = SANDBOX_SHARE,
        .grant = grant,
        .grants = ARRAY_SIZE(grant),
        .memory_max = MEMORY_MAX,
        .files_max = FILES_MAX,
    };
    struct sandbox sandbox;
    int r = sandbox_enter(&sandbox, &plan, err);

    fmt_print(warning, room, "%s", r ? "" : sandbox.missing);
    return r;
}

static int begin(struct fs_server *s, const struct fs_wire_start *start, char *warning, size_t room,
                 struct err *err)
{
    int r = fs_tree_init(&s->tree, FS_WIRE_ROOT, nodes_max());

    if (r)
        return err_set(err, -r, "the process of a shared folder cannot begin: %s", strerror(-r));
    s->readonly = start->readonly;
    s->user = geteuid();
    s->uid = start->uid;
    s->gid = start->gid;
    umask(0);
    return confine(s, start, warning, room, err);
}

static bool greet(struct fs_server *s)
{
    struct fs_wire_answer answer = {0};
    struct fs_wire_start start;
    struct err err = {""};

    if (recv(FS_WIRE_SOCKET, &start, sizeof(start), 0) != sizeof(start))
        return false;
    answer.code = begin(s, &start, answer.text, sizeof(answer.text), &err);
    if (answer.code)
        snprintf(answer.text, sizeof(answer.text), "%.*s", (int)sizeof(answer.text) - 1, err.msg);
    return send(FS_WIRE_SOCKET, &answer, sizeof(answer), MSG_NOSIGNAL) == sizeof(answer) &&
           !answer.code;
}

int fs_serve(void)
{
    struct fs_server *s = calloc(1, sizeof(*s));
    u8 *slots = mmap(NULL, (size_t)FS_SLOTS * FS_ROOM, PROT_READ | PROT_WRITE, MAP_SHARED,
                     FS_WIRE_MEMORY, 0);
    struct fs_wire m;
    ssize_t n;

    prctl(PR_SET_NAME, "cosm-share");
    (void)syscall(SYS_close_range, FS_WIRE_ROOT + 1, ~0u, 0);
    if (!s || slots == MAP_FAILED || !greet(s))
        return 1;
    for (;;) {
        n = recv(FS_WIRE_SOCKET, &m, sizeof(m), 0);
        if (n < 0 && errno == EINTR)
            continue;
        if (n != sizeof(m) || m.slot >= FS_SLOTS || m.len > FS_ROOM || m.room > FS_ROOM)
            break;
        m.len = fs_fuse_serve(s, slots + (size_t)m.slot * FS_ROOM, m.len, m.room);
        if (send(FS_WIRE_SOCKET, &m, sizeof(m), MSG_NOSIGNAL) < 0)
            break;
    }
    fs_tree_fini(&s->tree);
    free(s);
    return 0;
}
