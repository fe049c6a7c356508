/* SPDX-License-Identifier: BSD-2-Clause */
/* What is kept of a VM under its name: made, locked, read, removed. */
#include "api/record.h"

#include "api/json.h"
#include "base/fmt.h"
#include "host/listener.h"
#include "host/scope.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>

#define TEXT_MAX (128 * KIB)
#define WAIT_MS  20

int record_check_name(const char *name, struct err *err)
{
    size_t len = 0;

    while (isalnum((u8)name[len]) || (len && name[len] && strchr("._-", name[len])))
        len++;
    if (len == 0 || name[len] || len >= RECORD_NAME_MAX)
        return err_set(
            err, EINVAL,
            "'%.80s' is no name of a VM; give up to 63 letters, digits, '.', '_' and '-', "
            "a letter or digit first",
            name);
    return 0;
}

/* OFD locks belong to the open file, and so to whoever forked from its opener. */
static int lock_file(int fd, short type, int how)
{
    struct flock lock = {.l_type = type, .l_whence = SEEK_SET};
    int r;

    do
        r = fcntl(fd, how, &lock);
    while (r < 0 && errno == EINTR);
    return r < 0 ? -errno : lock.l_type;
}

bool record_is_alive(const struct record *r)
{
    return lock_file(r->lock, F_WRLCK, F_OFD_GETLK) != F_UNLCK;
}

bool record_wait(const struct record *r, int ms)
{
    for (; record_is_alive(r); ms -= ms > 0 ? (ms < WAIT_MS ? ms : WAIT_MS) : 0) {
        if (ms == 0)
            return false;
        poll(NULL, 0, WAIT_MS);
    }
    return true;
}

/* Makers, removers and renamers one at a time. */
static int open_store(int lock, struct err *err)
{
    int store = dirs_open_state(err);

    if (store < 0)
        return store;
    while (flock(store, lock) < 0 && errno == EINTR)
        ;
    return store;
}

void record_close(struct record *r)
{
    if (r->lock >= 0)
        close(r->lock);
    if (r->dir >= 0)
        close(r->dir);
    r->lock = r->dir = -1;
}

static int open_at(struct record *r, int store, const char *name, int flags)
{
    struct err err;

    r->dir = r->lock = -1;
    if (record_check_name(name, &err))
        return -ENOENT;
    fmt_print(r->name, sizeof(r->name), "%s", name);
    r->dir = openat(store, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (r->dir >= 0)
        r->lock = openat(r->dir, "lock", O_RDWR | O_NOFOLLOW | O_CLOEXEC | flags, 0600);
    if (r->lock < 0) {
        int code = errno;
        record_close(r);
        return -code;
    }
    return 0;
}

int record_open(struct record *r, const char *name, struct err *err)
{
    AUTO_FD int store = open_store(LOCK_SH, err);
    int code;

    r->dir = r->lock = -1;
    if (store < 0)
        return store;
    code = open_at(r, store, name, 0);
    if (code == -ENOENT)
        return err_set(err, ENOENT, "there is no VM '%.64s'; 'cosm ps -a' lists what there is",
                       name);
    if (code)
        return err_set(err, -code, "cannot open what is kept of '%.64s': %s", name,
                       strerror(-code));
    return 0;
}

static int write_config(const struct record *r, const struct record_config *c)
{
    AUTO_FREE char *text = malloc(TEXT_MAX);
    AUTO_FREE char *cwd = getcwd(NULL, 0);
    struct json_out out;

    if (!text)
        return -ENOMEM;
    json_out_init(&out, text, TEXT_MAX);
    json_open(&out, '{');
    json_key(&out, "created");
    json_put_integer(&out, c->created);
    json_key(&out, "memory");
    json_put_integer(&out, (s64)c->memory);
    json_key(&out, "harts");
    json_put_integer(&out, c->harts);
    json_key(&out, "runtime");
    json_put_string(&out, c->runtime);
    json_key(&out, "folder");
    json_put_string(&out, cwd ? cwd : "");
    json_key(&out, "arguments");
    json_open(&out, '[');
    for (u32 i = 0; c->argv[i] && i < RECORD_ARGS_MAX; i++)
        json_put_string(&out, c->argv[i]);
    json_close(&out, ']');
    json_close(&out, '}');
    if (out.cut)
        return -E2BIG;
    return dirs_write(r->dir, "config.json", text, out.len);
}

static int make_dir(int store, const char *name, char made[RECORD_NAME_MAX])
{
    for (u32 i = 1; i < 100000; i++) {
        if (name)
            fmt_print(made, RECORD_NAME_MAX, "%s", name);
        else
            fmt_print(made, RECORD_NAME_MAX, "vm%u", i);
        if (mkdirat(store, made, 0700) == 0)
            return 0;
        if (errno != EEXIST || name)
            break;
    }
    return -errno;
}

static void remove_files(int store, const struct record *r)
{
    static const char *const names[] = {"config.json", "status.json",   "lock",
                                        "console.log", "console.log.1", "cosm.log"};

    for (size_t i = 0; i < ARRAY_SIZE(names); i++)
        unlinkat(r->dir, names[i], 0);
    unlinkat(store, r->name, AT_REMOVEDIR);
}

static int name_taken(int store, const char *name, struct err *err)
{
    struct record other;
    bool alive = false;

    if (!open_at(&other, store, name, 0)) {
        alive = record_is_alive(&other);
        record_close(&other);
    }
    if (alive)
        return err_set(err, EEXIST, "a VM '%s' runs already; give another name or 'cosm stop %s'",
                       name, name);
    return err_set(err, EEXIST,
                   "there is a VM '%s' already, which has ended; 'cosm rm %s' removes it", name,
                   name);
}

int record_create(struct record *r, const char *name, const struct record_config *config,
                  struct err *err)
{
    AUTO_FD int store = -1;
    char made[RECORD_NAME_MAX];
    int code = name ? record_check_name(name, err) : 0;

    r->dir = r->lock = -1;
    if (code)
        return code;
    store = open_store(LOCK_EX, err);
    if (store < 0)
        return store;
    code = make_dir(store, name, made);
    if (code == -EEXIST)
        return name_taken(store, made, err);
    if (!code)
        code = open_at(r, store, made, O_CREAT);
    if (!code && lock_file(r->lock, F_WRLCK, F_OFD_SETLK) < 0)
        code = -errno;
    if (!code)
        code = write_config(r, config);
    if (!code)
        return 0;
    if (r->dir >= 0)
        remove_files(store, r);
    record_close(r);
    return err_set(err, -code, "cannot keep anything of the VM '%s': %s", made, strerror(-code));
}

int record_own(struct record *r, struct err *err)
{
    char text[16];
    size_t len = fmt_print(text, sizeof(text), "%d\n", getpid());

    if (ftruncate(r->lock, 0) < 0 || pwrite(r->lock, text, len, 0) != (ssize_t)len) {
        int code = errno;
        return err_set(err, code, "cannot write what is kept of '%s': %s", r->name, strerror(code));
    }
    return 0;
}

int record_finish(const struct record *r, int status, const char *reason, struct err *err)
{
    char text[256];
    struct json_out out;
    int code;

    json_out_init(&out, text, sizeof(text));
    json_open(&out, '{');
    json_key(&out, "status");
    json_put_integer(&out, status);
    json_key(&out, "reason");
    json_put_string(&out, reason);
    json_key(&out, "ended");
    json_put_integer(&out, time(NULL));
    json_close(&out, '}');
    code = dirs_write(r->dir, "status.json", text, out.len);
    if (code)
        return err_set(err, -code, "cannot write how '%s' ended: %s", r->name, strerror(-code));
    return 0;
}

static void copy(char *to, size_t size, const char *from)
{
    fmt_print(to, size, "%s", from ? from : "");
}

static s64 integer(const struct json *json, const char *key)
{
    s64 value = 0;

    (void)json_integer(json_get(json, &json->node[0], key), &value);
    return value;
}

static bool read_json(const struct record *r, const char *name, struct json *json, char *text)
{
    struct err err;
    int len = dirs_read(r->dir, name, text, TEXT_MAX);

    return len >= 0 && !json_parse(json, text, (size_t)len, &err);
}

void record_read(const struct record *r, struct record_info *info)
{
    struct json_node node[RECORD_ARGS_MAX + 16];
    struct json json = {.node = node, .node_max = ARRAY_SIZE(node)};
    AUTO_FREE char *text = malloc(TEXT_MAX);
    bool alive = record_is_alive(r); /* before its status: one that ends meanwhile has written it */
    char pid[16];

    *info = (struct record_info){.state = alive ? RECORD_RUNNING : RECORD_DIED};
    if (!text)
        return;
    if (dirs_read(r->dir, "lock", pid, sizeof(pid)) > 0)
        info->pid = atoi(pid);
    if (read_json(r, "config.json", &json, text)) {
        info->memory = (u64)integer(&json, "memory");
        info->harts = (u32)integer(&json, "harts");
        info->created = integer(&json, "created");
        copy(info->runtime, sizeof(info->runtime),
             json_string(json_get(&json, &json.node[0], "runtime")));
    }
    if (!alive && read_json(r, "status.json", &json, text)) {
        info->state = RECORD_ENDED;
        info->status = (int)integer(&json, "status");
        info->ended = integer(&json, "ended");
        copy(info->reason, sizeof(info->reason),
             json_string(json_get(&json, &json.node[0], "reason")));
    }
}

/* Sockets of a process that died lie about. */
static void remove_sockets(const struct record *r)
{
    struct record_info info;
    AUTO_FD int dir = -1;
    char name[RECORD_NAME_MAX + 16];
    struct err err;

    record_read(r, &info);
    dir = info.runtime[0] ? dirs_open_checked(info.runtime, &err) : -1;
    if (dir < 0)
        return;
    fmt_print(name, sizeof(name), "%s.sock", r->name);
    unlinkat(dir, name, 0);
    fmt_print(name, sizeof(name), "%s.console", r->name);
    unlinkat(dir, name, 0);
    fmt_print(name, sizeof(name), "%s.vsock", r->name);
    unlinkat(dir, name, 0);
}

int record_connect(const struct record *r, const char *suffix, struct err *err)
{
    char name[RECORD_NAME_MAX + 16];
    struct record_info info;
    AUTO_FD int dir = -1;
    int fd;

    record_read(r, &info);
    if (info.state != RECORD_RUNNING)
        return err_set(err, ENOTCONN,
                       "'%s' does not run; 'cosm logs %s' shows what its console showed", r->name,
                       r->name);
    dir = dirs_open_checked(info.runtime, err);
    if (dir < 0)
        return dir;
    fmt_print(name, sizeof(name), "%s%s", r->name, suffix);
    fd = listener_connect(dir, name, true);
    if (fd < 0)
        return err_set(err, -fd, "cannot connect to '%s' by its socket '%s/%s': %s", r->name,
                       info.runtime, name, strerror(-fd));
    return fd;
}

int record_remove(struct record *r, struct err *err)
{
    AUTO_FD int store = open_store(LOCK_EX, err);

    if (store < 0)
        return store;
    if (record_is_alive(r))
        return err_set(err, EBUSY, "'%s' runs; 'cosm stop %s' ends it first", r->name, r->name);
    remove_sockets(r);
    remove_files(store, r);
    return 0;
}

int record_rename(struct record *r, const char *name, struct err *err)
{
    AUTO_FD int store = open_store(LOCK_EX, err);
    int code = store < 0 ? store : record_check_name(name, err);

    if (code < 0)
        return code;
    if (record_is_alive(r))
        return err_set(err, EBUSY, "'%s' runs; 'cosm stop %s' ends it first", r->name, r->name);
    remove_sockets(r);
    if (faccessat(store, name, F_OK, AT_SYMLINK_NOFOLLOW) == 0)
        return name_taken(store, name, err);
    if (renameat(store, r->name, store, name) < 0) {
        code = errno;
        return err_set(err, code, "cannot rename '%s': %s", r->name, strerror(code));
    }
    fmt_print(r->name, sizeof(r->name), "%s", name);
    return 0;
}
