/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What files a sandbox leaves: a root of its own in which nothing lies but the grants, and Landlock
 * rules for the same grants. Either would do; together one may fail.
 *
 * The root is a small read-only file system in memory. A grant is a clone of its mount, attached
 * where its path leads; so a path means the same as before, and '..' ends at the grant. A folder
 * that was open is opened again through its clone, under the same number: by way of the old one all
 * of its file system could be reached.
 */
#include "host/sandbox.h"

#include "base/checked.h"
#include "base/fmt.h"
#include "host/scope.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/capability.h>
#include <linux/landlock.h>
#include <linux/prctl.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#define GRANTS_MAX  32
#define ROOT_AT     "/tmp" /* covered for a moment, and only for this process */
#define CLONE_FLAGS (OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_RECURSIVE)

struct tree {
    const struct sandbox_grant *grant;
    int fd; /* a mount that is attached nowhere, -1: none */
    bool is_folder;
    char path[PATH_MAX]; /* absolute, as named */
};

struct trees {
    struct tree tree[GRANTS_MAX];
    u32 count;
    char cwd[PATH_MAX];
};

static int write_text(const char *path, const char *text)
{
    AUTO_FD int fd = open(path, O_WRONLY | O_CLOEXEC);
    size_t len = strlen(text);

    return fd >= 0 && write(fd, text, len) == (ssize_t)len ? 0 : -errno;
}

/* The user stays who he is, and nobody else exists. */
static int map_user(uid_t uid, gid_t gid)
{
    char text[64];
    int r = write_text("/proc/self/setgroups", "deny");

    fmt_print(text, sizeof(text), "%u %u 1", uid, uid);
    if (!r)
        r = write_text("/proc/self/uid_map", text);
    fmt_print(text, sizeof(text), "%u %u 1", gid, gid);
    return r ? r : write_text("/proc/self/gid_map", text);
}

/* ---- grants as mounts ---- */

static int tree_restrict(int fd, bool write)
{
    struct mount_attr attr = {.attr_set = MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC |
                                          (write ? 0 : MOUNT_ATTR_RDONLY)};

    return mount_setattr(fd, "", AT_EMPTY_PATH | AT_RECURSIVE, &attr, sizeof(attr)) ? -errno : 0;
}

/* A folder that was opened before lies in mounts that are not ours any more, and those cannot be
 * cloned: so it is looked for by its name, and must be the same. A descriptor or -errno. */
static int clone_of_open(int open_fd)
{
    char name[32], path[PATH_MAX];
    struct stat was, is;
    ssize_t len;
    int fd;

    fmt_print(name, sizeof(name), "/proc/self/fd/%d", open_fd);
    len = readlink(name, path, sizeof(path) - 1);
    if (len < 0)
        return -errno;
    path[len] = '\0';
    fd = open_tree(AT_FDCWD, path, CLONE_FLAGS);
    if (fd < 0)
        return -errno;
    if (!fstat(open_fd, &was) && !fstat(fd, &is) && was.st_dev == is.st_dev &&
        was.st_ino == is.st_ino)
        return fd;
    close(fd);
    return -ESTALE;
}

/* A path that cannot be granted (a pipe, what is gone) cannot be opened later: its user will say
 * so. A folder that is open must, since as it is it leads everywhere. */
static int tree_clone(struct trees *all, const struct sandbox_grant *grant)
{
    struct tree *t = &all->tree[all->count];
    struct stat st;
    int r;

    t->grant = grant;
    t->fd = grant->path ? open_tree(AT_FDCWD, grant->path, CLONE_FLAGS) : clone_of_open(*grant->fd);
    if (t->fd < 0)
        return grant->path ? 0 : t->fd;
    r = fstat(t->fd, &st) ? -errno : tree_restrict(t->fd, grant->write);
    if (r) {
        close(t->fd);
        return grant->path ? 0 : r;
    }
    t->is_folder = S_ISDIR(st.st_mode);
    if (!grant->path)
        fmt_print(t->path, sizeof(t->path), "/.cosm/%u", all->count);
    else
        fmt_print(t->path, sizeof(t->path), "%s%s%s", *grant->path == '/' ? "" : all->cwd,
                  *grant->path == '/' ? "" : "/", grant->path);
    all->count++;
    return 0;
}

/* Makes the folders of an absolute path below root but for the last part. Returns the folder that
 * is to hold it, and where its name begins. */
static int make_way(int root, char *path, const char **last)
{
    int at = fcntl(root, F_DUPFD_CLOEXEC, 0);

    while (*path == '/')
        path++;
    for (char *slash; at >= 0 && (slash = strchr(path, '/')); path = slash + 1) {
        int next;

        *slash = '\0';
        if (!*path || !strcmp(path, "."))
            continue;
        (void)mkdirat(at, path, 0755);
        next = openat(at, path, O_PATH | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
        close(at);
        at = next;
    }
    *last = path;
    return at;
}

static int tree_attach(struct tree *t, int root)
{
    const char *last;
    AUTO_FD int folder = make_way(root, t->path, &last);
    int made = -1, r;

    if (folder < 0)
        return -errno;
    if (t->is_folder)
        (void)mkdirat(folder, last, 0755);
    else
        made = openat(folder, last, O_WRONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (made >= 0)
        close(made);
    r = move_mount(t->fd, "", folder, last, MOVE_MOUNT_F_EMPTY_PATH) ? -errno : 0;
    if (!r && t->grant->fd) {
        int only_named = fcntl(*t->grant->fd, F_GETFL) & O_PATH;
        AUTO_FD int inside = openat(folder, last, only_named | O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (inside < 0 || dup3(inside, *t->grant->fd, O_CLOEXEC) < 0)
            r = -errno;
    }
    return r;
}

static void link_make(const struct sandbox_grant *grant, int root)
{
    char path[PATH_MAX];
    const char *last;
    AUTO_FD int folder = -1;

    fmt_print(path, sizeof(path), "%s", grant->link);
    folder = make_way(root, path, &last);
    if (folder >= 0)
        (void)symlinkat(grant->target, folder, last);
}

static int fill_root(struct trees *all, const struct sandbox_plan *plan, int root)
{
    char cwd[PATH_MAX];
    const char *last;
    int r = 0, folder;

    fmt_print(cwd, sizeof(cwd), "%s/.", all->cwd);
    folder = make_way(root, cwd, &last); /* relative paths begin there */
    if (folder >= 0)
        close(folder);
    for (u32 i = 0; i < all->count && !r; i++)
        r = tree_attach(&all->tree[i], root);
    for (u32 i = 0; i < plan->grants && !r; i++)
        if (plan->grant[i].link)
            link_make(&plan->grant[i], root);
    return r;
}

static int enter_root(const struct trees *all, int root)
{
    struct mount_attr attr = {.attr_set = MOUNT_ATTR_RDONLY};

    if (fchdir(root) || syscall(SYS_pivot_root, ".", ".") || umount2(".", MNT_DETACH) ||
        mount_setattr(root, "", AT_EMPTY_PATH, &attr, sizeof(attr)) || chdir("/"))
        return -errno;
    (void)!chdir(all->cwd);
    return 0;
}

static int make_root(struct trees *all, const struct sandbox_plan *plan)
{
    AUTO_FD int root = -1;
    int r = 0;

    for (u32 i = 0; i < plan->grants && !r; i++)
        r = tree_clone(all, &plan->grant[i]);
    if (r)
        return r;
    if (mount("cosm", ROOT_AT, "tmpfs", MS_NOSUID | MS_NODEV | MS_NOEXEC,
              "mode=0755,size=64k,nr_inodes=1024"))
        return -errno;
    root = open(ROOT_AT, O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (root < 0)
        return -errno;
    r = fill_root(all, plan, root);
    return r ? r : enter_root(all, root);
}

static int change_root(const struct sandbox_plan *plan)
{
    AUTO_FREE struct trees *all = calloc(1, sizeof(*all));
    int r;

    if (!all || plan->grants > GRANTS_MAX)
        return -ENOMEM;
    if (!getcwd(all->cwd, sizeof(all->cwd)))
        fmt_print(all->cwd, sizeof(all->cwd), "/");
    if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL))
        return -errno;
    r = make_root(all, plan);
    for (u32 i = 0; i < all->count; i++)
        close(all->tree[i].fd);
    return r;
}

/* ---- namespaces ---- */

/* Of the capabilities that a new namespace of users brings, or that root has, none stays but the
 * one for ports below 1024 where the network does. */
static int drop_capabilities(bool host_network)
{
    struct __user_cap_header_struct header = {_LINUX_CAPABILITY_VERSION_3, 0};
    struct __user_cap_data_struct data[2] = {{0}};

    if (syscall(SYS_capget, &header, data))
        return -errno;
    for (u32 i = 0; i < 2; i++) {
        u32 keep = host_network && i == 0 ? 1u << CAP_NET_BIND_SERVICE : 0;

        data[i].effective &= keep;
        data[i].permitted &= keep;
        data[i].inheritable = 0;
    }
    return syscall(SYS_capset, &header, data) ? -errno : 0;
}

/*
 * Who keeps the host's network keeps its own namespace of users, too, if it can: only there root
 * may bind ports below 1024.
 */
int sandbox_namespaces(const struct sandbox_plan *plan)
{
    const int own =
        CLONE_NEWNS | CLONE_NEWIPC | CLONE_NEWUTS | (plan->host_network ? 0 : CLONE_NEWNET);
    uid_t uid = geteuid();
    gid_t gid = getegid();
    int r = 0;

    if (!plan->host_network || unshare(own)) {
        if (unshare(CLONE_NEWUSER | own))
            return -errno;
        r = map_user(uid, gid);
    }
    if (!r)
        r = change_root(plan);
    if (drop_capabilities(plan->host_network) && !r)
        r = -errno;
    return r;
}

/* ---- Landlock ---- */

/* Rights and fields by version of the interface, as linux/landlock.h of the build may be older. */
struct landlock_attr {
    u64 handled_access_fs;
    u64 handled_access_net; /* from 4 on */
    u64 scoped;             /* from 6 on */
};

#define RIGHTS_1     ((UINT64_C(1) << 13) - 1)
#define RIGHT_REFER  (UINT64_C(1) << 13) /* from 2 on */
#define RIGHT_CUT    (UINT64_C(1) << 14) /* from 3 on */
#define RIGHT_IOCTL  (UINT64_C(1) << 15) /* from 5 on */
#define NET_BIND     (UINT64_C(1) << 0)
#define NET_CONNECT  (UINT64_C(1) << 1)
#define SCOPE_SOCKET (UINT64_C(1) << 0) /* abstract Unix sockets */

static size_t attr_make(struct landlock_attr *attr, int version, bool host_network)
{
    *attr = (struct landlock_attr){.handled_access_fs = RIGHTS_1};
    if (version >= 2)
        attr->handled_access_fs |= RIGHT_REFER;
    if (version >= 3)
        attr->handled_access_fs |= RIGHT_CUT;
    if (version >= 5)
        attr->handled_access_fs |= RIGHT_IOCTL;
    if (version < 4)
        return offsetof(struct landlock_attr, handled_access_net);
    if (!host_network)
        attr->handled_access_net = NET_BIND | NET_CONNECT;
    if (version < 6)
        return offsetof(struct landlock_attr, scoped);
    attr->scoped = SCOPE_SOCKET;
    return sizeof(*attr);
}

static u64 grant_rights(const struct sandbox_grant *grant, bool is_folder)
{
    const bool write = grant->write;
    u64 rights = LANDLOCK_ACCESS_FS_READ_FILE;

    if (write)
        rights |= LANDLOCK_ACCESS_FS_WRITE_FILE | RIGHT_CUT;
    if (is_folder)
        rights |= LANDLOCK_ACCESS_FS_READ_DIR;
    if (is_folder && write)
        rights |= LANDLOCK_ACCESS_FS_MAKE_REG | LANDLOCK_ACCESS_FS_REMOVE_FILE;
    if (is_folder && write && grant->tree)
        rights |= LANDLOCK_ACCESS_FS_MAKE_DIR | LANDLOCK_ACCESS_FS_MAKE_SYM |
                  LANDLOCK_ACCESS_FS_REMOVE_DIR | RIGHT_REFER;
    return rights;
}

static void rule_add(int ruleset, u64 handled, const struct sandbox_grant *grant)
{
    AUTO_FD int fd =
        grant->path ? open(grant->path, O_PATH | O_CLOEXEC) : fcntl(*grant->fd, F_DUPFD_CLOEXEC, 0);
    struct landlock_path_beneath_attr rule = {.parent_fd = fd};
    struct stat st;

    if (fd < 0 || fstat(fd, &st))
        return;
    rule.allowed_access = grant_rights(grant, S_ISDIR(st.st_mode)) & handled;
    (void)syscall(SYS_landlock_add_rule, ruleset, LANDLOCK_RULE_PATH_BENEATH, &rule, 0);
}

int sandbox_landlock(const struct sandbox_plan *plan)
{
    int version =
        (int)syscall(SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_CREATE_RULESET_VERSION);
    struct landlock_attr attr;
    AUTO_FD int ruleset = -1;
    size_t size;

    if (version < 1)
        return version < 0 ? -errno : -ENOSYS;
    for (u32 i = 0; i < plan->grants; i++) {
        if (plan->grant[i].tree && version < 2) /* nothing could move from folder to folder */
            return -ENOSYS;
    }
    size = attr_make(&attr, version, plan->host_network);
    ruleset = (int)syscall(SYS_landlock_create_ruleset, &attr, size, 0);
    if (ruleset < 0)
        return -errno;
    for (u32 i = 0; i < plan->grants; i++)
        rule_add(ruleset, attr.handled_access_fs, &plan->grant[i]);
    return syscall(SYS_landlock_restrict_self, ruleset, 0) ? -errno : 0;
}
