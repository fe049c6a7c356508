/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A FUSE server for a guest that is not trusted, over a shared folder.
 *
 * All files belong to the user whose process this is, so owners are not kept: the user's files are
 * shown as those of one user of the guest. Mode bits are kept but for set-user-ID and set-group-ID,
 * by which others of the host could become the user. There are no devices, pipes or extended
 * attributes; locks are the guest's own.
 *
 * Requests are copied from their slot piece by piece before a reply is written over them. Structs
 * are Linux' own (linux/fuse.h), which guest and host, both little-endian, lay out alike.
 */
#include "share/fs_fuse.h"

#include "base/bits.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/falloc.h>
#include <linux/fuse.h>
#include <stdio.h>
#include <string.h>
#include <sys/statfs.h>
#include <sys/syscall.h>
#include <unistd.h>

#define READ_MAX   (1u * MIB)
#define VALID_S    1 /* how long the guest may believe what it was told of a file */
#define NOBODY     65534
#define MODE_KEPT  01777 /* and set-group-ID of folders */
#define LIST_BYTES (32 * KIB)

struct call {
    struct fs_server *s;
    struct fuse_in_header in;
    const u8 *arg; /* behind the header */
    u32 len;
    u8 *out; /* behind the reply's header */
    u32 room;
    u32 used;
};

/* Copies what the request begins with. The table of operations has checked that it is there. */
#define TAKE(c, variable) memcpy(&(variable), (c)->arg, sizeof(variable))

static int put(struct call *c, const void *bytes, size_t len)
{
    if (len > c->room)
        return -EIO;
    memcpy(c->out, bytes, len);
    c->used = (u32)len;
    return 0;
}

/* The name at byte at, ended by a NUL; NULL: it is none. *next: behind it. */
static const char *name_at(const struct call *c, u32 at, u32 *next)
{
    const char *name = (const char *)c->arg + at;
    const char *end = at < c->len ? memchr(name, '\0', c->len - at) : NULL;

    if (!end || !fs_name_is_good(name, (size_t)(end - name)))
        return NULL;
    *next = at + (u32)(end - name) + 1;
    return name;
}

static void fill_attr(const struct fs_server *s, const struct stat *st, struct fuse_attr *a)
{
    bool own = st->st_uid == s->user;

    *a = (struct fuse_attr){.ino = st->st_ino,
                            .size = (u64)st->st_size,
                            .blocks = (u64)st->st_blocks,
                            .atime = (u64)st->st_atim.tv_sec,
                            .mtime = (u64)st->st_mtim.tv_sec,
                            .ctime = (u64)st->st_ctim.tv_sec,
                            .atimensec = (u32)st->st_atim.tv_nsec,
                            .mtimensec = (u32)st->st_mtim.tv_nsec,
                            .ctimensec = (u32)st->st_ctim.tv_nsec,
                            .mode = st->st_mode,
                            .nlink = (u32)st->st_nlink,
                            .uid = own ? s->uid : NOBODY,
                            .gid = own ? s->gid : NOBODY,
                            .blksize = (u32)st->st_blksize};
}

static void fill_entry(const struct fs_server *s, u64 id, const struct stat *st,
                       struct fuse_entry_out *e)
{
    *e = (struct fuse_entry_out){.nodeid = id, .entry_valid = VALID_S, .attr_valid = VALID_S};
    fill_attr(s, st, &e->attr);
}

/* Looks name up and replies with the entry; extra bytes follow it. */
static int reply_entry(struct call *c, const struct fs_node *folder, const char *name,
                       const void *extra, size_t len)
{
    struct fuse_entry_out e;
    struct stat st;
    u64 id;
    int r;

    if (c->room < sizeof(e) + len)
        return -EIO;
    r = fs_lookup(&c->s->tree, folder, name, &id, &st);
    if (r)
        return r;
    fill_entry(c->s, id, &st, &e);
    memcpy(c->out, &e, sizeof(e));
    if (len)
        memcpy(c->out + sizeof(e), extra, len);
    c->used = (u32)(sizeof(e) + len);
    return 0;
}

static int reply_attr(struct call *c, int fd)
{
    struct fuse_attr_out a = {.attr_valid = VALID_S};
    struct stat st;

    if (fstat(fd, &st) < 0)
        return -errno;
    fill_attr(c->s, &st, &a.attr);
    return put(c, &a, sizeof(a));
}

/* The folder that the request is about and the name behind at bytes of it. */
static int folder_and_name(struct call *c, u32 at, struct fs_node **folder, const char **name)
{
    u32 next;

    *folder = fs_folder_get(&c->s->tree, c->in.nodeid);
    *name = name_at(c, at, &next);
    if (!*folder)
        return -ENOTDIR;
    return *name ? 0 : -EINVAL;
}

static int do_init(struct call *c)
{
    struct fuse_init_in in = {0};
    struct fuse_init_out out = {.major = FUSE_KERNEL_VERSION,
                                .minor = FUSE_KERNEL_MINOR_VERSION,
                                .max_readahead = READ_MAX,
                                .max_background = FS_SLOTS,
                                .congestion_threshold = FS_SLOTS,
                                .max_write = READ_MAX,
                                .time_gran = 1,
                                .max_pages = READ_MAX / 4096};
    const u32 wanted = FUSE_ASYNC_READ | FUSE_ATOMIC_O_TRUNC | FUSE_BIG_WRITES |
                       FUSE_AUTO_INVAL_DATA | FUSE_DO_READDIRPLUS | FUSE_READDIRPLUS_AUTO |
                       FUSE_PARALLEL_DIROPS | FUSE_MAX_PAGES | FUSE_CACHE_SYMLINKS;

    memcpy(&in, c->arg, c->len < sizeof(in) ? c->len : sizeof(in));
    if (in.major != FUSE_KERNEL_VERSION || in.minor < 31)
        return -EPROTO;
    out.flags = in.flags & wanted;
    if (in.max_readahead < out.max_readahead)
        out.max_readahead = in.max_readahead;
    fs_tree_clear(&c->s->tree);
    c->s->begun = true;
    return put(c, &out, sizeof(out));
}

static int do_lookup(struct call *c)
{
    struct fs_node *folder;
    const char *name;
    int r = folder_and_name(c, 0, &folder, &name);

    return r ? r : reply_entry(c, folder, name, NULL, 0);
}

static int do_forget(struct call *c)
{
    struct fuse_forget_in in;

    TAKE(c, in);
    fs_forget(&c->s->tree, c->in.nodeid, in.nlookup);
    return 0;
}

static int do_batch_forget(struct call *c)
{
    struct fuse_batch_forget_in in;

    TAKE(c, in);
    for (u32 i = 0; i < in.count && sizeof(in) + (i + 1) * sizeof(struct fuse_forget_one) <= c->len;
         i++) {
        struct fuse_forget_one one;

        memcpy(&one, c->arg + sizeof(in) + i * sizeof(one), sizeof(one));
        fs_forget(&c->s->tree, one.nodeid, one.nlookup);
    }
    return 0;
}

static int do_getattr(struct call *c)
{
    struct fs_node *node = fs_node_get(&c->s->tree, c->in.nodeid);

    return node ? reply_attr(c, node->fd) : -ESTALE;
}

static int set_size(struct call *c, const struct fs_node *node, const struct fuse_setattr_in *in)
{
    struct fs_handle *h = in->valid & FATTR_FH ? fs_handle_get(&c->s->tree, in->fh, false) : NULL;
    int fd, r;

    if (in->size > INT64_MAX)
        return -EFBIG;
    if (h && h->writes)
        return ftruncate(h->fd, (off_t)in->size) < 0 ? -errno : 0;
    fd = fs_node_open(&c->s->tree, node, O_WRONLY);
    if (fd < 0)
        return fd;
    r = ftruncate(fd, (off_t)in->size) < 0 ? -errno : 0;
    close(fd);
    return r;
}

static int set_times(struct call *c, const struct fs_node *node, const struct fuse_setattr_in *in)
{
    struct timespec t[2] = {{.tv_nsec = UTIME_OMIT}, {.tv_nsec = UTIME_OMIT}};
    char name[16];

    if (in->valid & FATTR_ATIME_NOW)
        t[0].tv_nsec = UTIME_NOW;
    else if (in->valid & FATTR_ATIME)
        t[0] = (struct timespec){(time_t)in->atime, in->atimensec % 1000000000};
    if (in->valid & FATTR_MTIME_NOW)
        t[1].tv_nsec = UTIME_NOW;
    else if (in->valid & FATTR_MTIME)
        t[1] = (struct timespec){(time_t)in->mtime, in->mtimensec % 1000000000};
    if (S_ISLNK(node->type))
        return utimensat(node->fd, "", t, AT_EMPTY_PATH) < 0 ? -errno : 0;
    fs_node_name(node, name);
    return utimensat(c->s->tree.proc, name, t, 0) < 0 ? -errno : 0;
}

static mode_t mode_kept(u32 mode, bool folder)
{
    return mode & (folder ? 03777u : MODE_KEPT);
}

static int do_setattr(struct call *c)
{
    struct fs_node *node = fs_node_get(&c->s->tree, c->in.nodeid);
    struct fuse_setattr_in in;
    char name[16];
    int r = 0;

    TAKE(c, in);
    if (!node)
        return -ESTALE;
    /* To give a file to its owner, or to root as an archive would, changes nothing. */
    if ((in.valid & FATTR_UID && in.uid && in.uid != c->s->uid) ||
        (in.valid & FATTR_GID && in.gid && in.gid != c->s->gid))
        return -EPERM;
    fs_node_name(node, name);
    if (in.valid & FATTR_MODE && !S_ISLNK(node->type) &&
        fchmodat(c->s->tree.proc, name, mode_kept(in.mode, S_ISDIR(node->type)), 0) < 0)
        r = -errno;
    if (!r && in.valid & FATTR_SIZE)
        r = set_size(c, node, &in);
    if (!r && in.valid & (FATTR_ATIME | FATTR_MTIME))
        r = set_times(c, node, &in);
    return r ? r : reply_attr(c, node->fd);
}

static int do_readlink(struct call *c)
{
    struct fs_node *node = fs_node_get(&c->s->tree, c->in.nodeid);
    char target[4096];
    ssize_t n;

    if (!node || !S_ISLNK(node->type))
        return -EINVAL;
    n = readlinkat(node->fd, "", target, sizeof(target));
    return n < 0 ? -errno : put(c, target, (size_t)n);
}

static int do_symlink(struct call *c)
{
    struct fs_node *folder;
    const char *name, *target;
    u32 next = 0;
    int r = folder_and_name(c, 0, &folder, &name);

    if (r)
        return r;
    name_at(c, 0, &next);
    target = (const char *)c->arg + next;
    if (next >= c->len || !memchr(target, '\0', c->len - next))
        return -EINVAL;
    if (symlinkat(target, folder->fd, name) < 0)
        return -errno;
    return reply_entry(c, folder, name, NULL, 0);
}

static int do_mknod(struct call *c)
{
    struct fuse_mknod_in in;
    struct fs_node *folder;
    const char *name;
    int r = folder_and_name(c, sizeof(in), &folder, &name);

    TAKE(c, in);
    if (r)
        return r;
    if (!S_ISREG(in.mode) && in.mode & S_IFMT)
        return -EPERM;
    if (mknodat(folder->fd, name, S_IFREG | mode_kept(in.mode, false), 0) < 0)
        return -errno;
    return reply_entry(c, folder, name, NULL, 0);
}

static int do_mkdir(struct call *c)
{
    struct fuse_mkdir_in in;
    struct fs_node *folder;
    const char *name;
    int r = folder_and_name(c, sizeof(in), &folder, &name);

    TAKE(c, in);
    if (r)
        return r;
    if (mkdirat(folder->fd, name, mode_kept(in.mode, true)) < 0)
        return -errno;
    return reply_entry(c, folder, name, NULL, 0);
}

static int remove_entry(struct call *c, int flags)
{
    struct fs_node *folder;
    const char *name;
    int r = folder_and_name(c, 0, &folder, &name);

    if (r)
        return r;
    return unlinkat(folder->fd, name, flags) < 0 ? -errno : 0;
}

static int do_unlink(struct call *c)
{
    return remove_entry(c, 0);
}

static int do_rmdir(struct call *c)
{
    return remove_entry(c, AT_REMOVEDIR);
}

static int rename_entry(struct call *c, u32 at, u64 to_id, u32 flags)
{
    struct fs_node *from = fs_folder_get(&c->s->tree, c->in.nodeid);
    struct fs_node *to = fs_folder_get(&c->s->tree, to_id);
    u32 next = 0;
    const char *old = name_at(c, at, &next);
    const char *new = old ? name_at(c, next, &next) : NULL;

    if (!from || !to)
        return -ENOTDIR;
    if (!new || flags & ~(u32)(RENAME_NOREPLACE | RENAME_EXCHANGE))
        return -EINVAL;
    return syscall(SYS_renameat2, from->fd, old, to->fd, new, flags) < 0 ? -errno : 0;
}

static int do_rename(struct call *c)
{
    struct fuse_rename_in in;

    TAKE(c, in);
    return rename_entry(c, sizeof(in), in.newdir, 0);
}

static int do_rename2(struct call *c)
{
    struct fuse_rename2_in in;

    TAKE(c, in);
    return rename_entry(c, sizeof(in), in.newdir, in.flags);
}

static int do_link(struct call *c)
{
    struct fuse_link_in in;
    struct fs_node *folder, *node;
    const char *name;
    char own[16];
    int r = folder_and_name(c, sizeof(in), &folder, &name);

    TAKE(c, in);
    node = fs_node_get(&c->s->tree, in.oldnodeid);
    if (r || !node)
        return r ? r : -ESTALE;
    if (!S_ISREG(node->type))
        return -EPERM;
    fs_node_name(node, own);
    if (linkat(c->s->tree.proc, own, folder->fd, name, AT_SYMLINK_FOLLOW) < 0)
        return -errno;
    return reply_entry(c, folder, name, NULL, 0);
}

/* Of the guest's flags those that mean something here; it has done the rest. */
static int open_flags(const struct fs_server *s, u32 flags, int *host)
{
    *host = (int)(flags & (O_ACCMODE | O_TRUNC));
    if ((*host & O_ACCMODE) == O_ACCMODE)
        return -EINVAL;
    return s->readonly && *host != O_RDONLY ? -EROFS : 0;
}

/* fd becomes a handle, which *out tells. */
static int keep(struct call *c, int fd, bool folder, bool writes, struct fuse_open_out *out)
{
    u64 handle = 0;

    if (!fs_handle_add(&c->s->tree, fd, folder, writes, &handle)) {
        close(fd);
        return -EMFILE;
    }
    *out = (struct fuse_open_out){.fh = handle};
    return 0;
}

static int open_node(struct call *c, bool folder)
{
    struct fs_node *node = fs_node_get(&c->s->tree, c->in.nodeid);
    struct fuse_open_in in;
    struct fuse_open_out out;
    int flags, fd, r;

    TAKE(c, in);
    if (!node)
        return -ESTALE;
    if (S_ISDIR(node->type) != folder)
        return folder ? -ENOTDIR : -EISDIR;
    r = folder ? 0 : open_flags(c->s, in.flags, &flags);
    if (r)
        return r;
    if (folder)
        flags = O_RDONLY | O_DIRECTORY;
    fd = fs_node_open(&c->s->tree, node, flags);
    if (fd < 0)
        return fd;
    r = keep(c, fd, folder, !folder && (flags & O_ACCMODE) != O_RDONLY, &out);
    return r ? r : put(c, &out, sizeof(out));
}

static int do_open(struct call *c)
{
    return open_node(c, false);
}

static int do_opendir(struct call *c)
{
    return open_node(c, true);
}

static int do_create(struct call *c)
{
    struct fuse_create_in in;
    struct fuse_open_out out;
    struct fs_node *folder;
    const char *name;
    int flags, fd, r = folder_and_name(c, sizeof(in), &folder, &name);

    TAKE(c, in);
    if (!r)
        r = open_flags(c->s, in.flags, &flags);
    if (r)
        return r;
    /* Made or there: in both cases it is then opened as what was looked up. */
    fd = openat(folder->fd, name,
                O_CREAT | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK | O_NOCTTY | O_EXCL | flags,
                mode_kept(in.mode, false));
    if (fd < 0 && (errno != EEXIST || in.flags & O_EXCL))
        return -errno;
    if (fd < 0) {
        struct stat st;
        u64 id;

        r = fs_lookup(&c->s->tree, folder, name, &id, &st);
        if (r)
            return r;
        fd = fs_node_open(&c->s->tree, fs_node_get(&c->s->tree, id), flags);
        fs_forget(&c->s->tree, id, 1);
        if (fd < 0)
            return fd;
    }
    r = keep(c, fd, false, (flags & O_ACCMODE) != O_RDONLY, &out);
    if (r)
        return r;
    r = reply_entry(c, folder, name, &out, sizeof(out));
    if (r)
        fs_handle_close(&c->s->tree.handle[out.fh]);
    return r;
}

static int do_read(struct call *c)
{
    struct fuse_read_in in;
    struct fs_handle *h;
    ssize_t n;

    TAKE(c, in);
    h = fs_handle_get(&c->s->tree, in.fh, false);
    if (!h)
        return -EBADF;
    if (in.offset > INT64_MAX)
        return -EINVAL;
    if (in.size > c->room)
        in.size = c->room;
    n = pread(h->fd, c->out, in.size, (off_t)in.offset);
    if (n < 0)
        return -errno;
    c->used = (u32)n;
    return 0;
}

static int do_write(struct call *c)
{
    struct fuse_write_in in;
    struct fuse_write_out out = {0};
    struct fs_handle *h;
    ssize_t n;

    TAKE(c, in);
    h = fs_handle_get(&c->s->tree, in.fh, false);
    if (!h || !h->writes)
        return -EBADF;
    if (in.offset > INT64_MAX || in.size > c->len - sizeof(in))
        return -EINVAL;
    n = pwrite(h->fd, c->arg + sizeof(in), in.size, (off_t)in.offset);
    if (n < 0)
        return -errno;
    out.size = (u32)n;
    return put(c, &out, sizeof(out));
}

static int release(struct call *c, bool folder)
{
    struct fuse_release_in in;
    struct fs_handle *h;

    TAKE(c, in);
    h = fs_handle_get(&c->s->tree, in.fh, folder);
    if (!h)
        return -EBADF;
    fs_handle_close(h);
    return 0;
}

static int do_release(struct call *c)
{
    return release(c, false);
}

static int do_releasedir(struct call *c)
{
    return release(c, true);
}

static int sync_handle(struct call *c, bool folder)
{
    struct fuse_fsync_in in;
    struct fs_handle *h;

    TAKE(c, in);
    h = fs_handle_get(&c->s->tree, in.fh, folder);
    if (!h)
        return -EBADF;
    return (in.fsync_flags & FUSE_FSYNC_FDATASYNC ? fdatasync(h->fd) : fsync(h->fd)) < 0 ? -errno
                                                                                         : 0;
}

static int do_fsync(struct call *c)
{
    return sync_handle(c, false);
}

static int do_fsyncdir(struct call *c)
{
    return sync_handle(c, true);
}

static int do_flush(struct call *c)
{
    return 0;
}

static int do_statfs(struct call *c)
{
    struct fuse_statfs_out out = {0};
    struct statfs st;

    if (fstatfs(c->s->tree.root, &st) < 0)
        return -errno;
    out.st = (struct fuse_kstatfs){.blocks = st.f_blocks,
                                   .bfree = st.f_bfree,
                                   .bavail = st.f_bavail,
                                   .files = st.f_files,
                                   .ffree = st.f_ffree,
                                   .bsize = (u32)st.f_bsize,
                                   .namelen = FS_NAME_MAX,
                                   .frsize = (u32)st.f_frsize};
    return put(c, &out, sizeof(out));
}

static int do_lseek(struct call *c)
{
    struct fuse_lseek_in in;
    struct fuse_lseek_out out;
    struct fs_handle *h;
    off_t at;

    TAKE(c, in);
    h = fs_handle_get(&c->s->tree, in.fh, false);
    if (!h)
        return -EBADF;
    if ((in.whence != SEEK_DATA && in.whence != SEEK_HOLE) || in.offset > INT64_MAX)
        return -EINVAL;
    at = lseek(h->fd, (off_t)in.offset, (int)in.whence);
    if (at < 0)
        return -errno;
    out.offset = (u64)at;
    return put(c, &out, sizeof(out));
}

static int do_fallocate(struct call *c)
{
    const u32 known = FALLOC_FL_KEEP_SIZE | FALLOC_FL_PUNCH_HOLE | FALLOC_FL_ZERO_RANGE;
    struct fuse_fallocate_in in;
    struct fs_handle *h;

    TAKE(c, in);
    h = fs_handle_get(&c->s->tree, in.fh, false);
    if (!h || !h->writes)
        return -EBADF;
    if (in.mode & ~known)
        return -EOPNOTSUPP;
    if (in.offset > INT64_MAX || in.length > INT64_MAX)
        return -EFBIG;
    return fallocate(h->fd, (int)in.mode, (off_t)in.offset, (off_t)in.length) < 0 ? -errno : 0;
}

/* One entry of a folder, with what is known of it if plus. False: it does not fit. */
static bool list_entry(struct call *c, const struct fs_node *folder, const struct dirent64 *d,
                       bool plus, u32 limit)
{
    size_t name_len = strlen(d->d_name);
    struct fuse_dirent entry = {
        .ino = d->d_ino, .off = (u64)d->d_off, .namelen = (u32)name_len, .type = d->d_type};
    size_t head = (plus ? sizeof(struct fuse_entry_out) : 0) + FUSE_NAME_OFFSET;
    size_t len = FUSE_DIRENT_ALIGN(head + name_len);
    u8 *at = c->out + c->used;
    struct fuse_entry_out known = {0};
    struct stat st;
    u64 id;

    if (len > limit - c->used)
        return false;
    /* What cannot be looked up is listed without an inode: the guest looks it up when it must. */
    if (plus && fs_name_is_good(d->d_name, name_len) &&
        !fs_lookup(&c->s->tree, folder, d->d_name, &id, &st))
        fill_entry(c->s, id, &st, &known);
    memset(at, 0, len);
    if (plus)
        memcpy(at, &known, sizeof(known));
    memcpy(at + head - FUSE_NAME_OFFSET, &entry, FUSE_NAME_OFFSET);
    memcpy(at + head, d->d_name, name_len);
    c->used += (u32)len;
    return true;
}

static int list(struct call *c, bool plus)
{
    struct fs_node *folder = fs_folder_get(&c->s->tree, c->in.nodeid);
    struct fuse_read_in in;
    _Alignas(struct dirent64) char bytes[LIST_BYTES];
    struct fs_handle *h;
    u32 limit;
    ssize_t n;

    TAKE(c, in);
    h = fs_handle_get(&c->s->tree, in.fh, true);
    if (!h || !folder)
        return -EBADF;
    limit = in.size < c->room ? in.size : c->room;
    if (h->position != in.offset && lseek(h->fd, (off_t)in.offset, SEEK_SET) < 0)
        return -errno;
    h->position = in.offset;
    n = syscall(SYS_getdents64, h->fd, bytes, limit < sizeof(bytes) ? limit : sizeof(bytes));
    if (n < 0)
        return errno == EINVAL && !limit ? 0 : -errno;
    for (ssize_t at = 0; at < n;) {
        const struct dirent64 *d = (const struct dirent64 *)(const void *)(bytes + at);

        if (!list_entry(c, folder, d, plus, limit)) {
            if (lseek(h->fd, (off_t)h->position, SEEK_SET) < 0)
                return -errno;
            break;
        }
        h->position = (u64)d->d_off;
        at += d->d_reclen;
    }
    return 0;
}

static int do_readdir(struct call *c)
{
    return list(c, false);
}

static int do_readdirplus(struct call *c)
{
    return list(c, true);
}

static int do_destroy(struct call *c)
{
    fs_tree_clear(&c->s->tree);
    c->s->begun = false;
    return 0;
}

enum { CHANGES = 1, SILENT = 2 };

/* What is not here is answered by ENOSYS, which the guest remembers and does not ask again. */
static const struct {
    int (*run)(struct call *c);
    u16 least; /* bytes of the request that there must be */
    u8 how;
} operations[] = {
    [FUSE_LOOKUP] = {do_lookup, 1, 0},
    [FUSE_FORGET] = {do_forget, sizeof(struct fuse_forget_in), SILENT},
    [FUSE_BATCH_FORGET] = {do_batch_forget, sizeof(struct fuse_batch_forget_in), SILENT},
    [FUSE_INTERRUPT] = {do_flush, 0, SILENT},
    [FUSE_GETATTR] = {do_getattr, 0, 0},
    [FUSE_SETATTR] = {do_setattr, sizeof(struct fuse_setattr_in), CHANGES},
    [FUSE_READLINK] = {do_readlink, 0, 0},
    [FUSE_SYMLINK] = {do_symlink, 2, CHANGES},
    [FUSE_MKNOD] = {do_mknod, sizeof(struct fuse_mknod_in), CHANGES},
    [FUSE_MKDIR] = {do_mkdir, sizeof(struct fuse_mkdir_in), CHANGES},
    [FUSE_UNLINK] = {do_unlink, 1, CHANGES},
    [FUSE_RMDIR] = {do_rmdir, 1, CHANGES},
    [FUSE_RENAME] = {do_rename, sizeof(struct fuse_rename_in), CHANGES},
    [FUSE_RENAME2] = {do_rename2, sizeof(struct fuse_rename2_in), CHANGES},
    [FUSE_LINK] = {do_link, sizeof(struct fuse_link_in), CHANGES},
    [FUSE_OPEN] = {do_open, sizeof(struct fuse_open_in), 0},
    [FUSE_READ] = {do_read, sizeof(struct fuse_read_in), 0},
    [FUSE_WRITE] = {do_write, sizeof(struct fuse_write_in), CHANGES},
    [FUSE_STATFS] = {do_statfs, 0, 0},
    [FUSE_RELEASE] = {do_release, sizeof(struct fuse_release_in), 0},
    [FUSE_FSYNC] = {do_fsync, sizeof(struct fuse_fsync_in), 0},
    [FUSE_FLUSH] = {do_flush, 0, 0},
    [FUSE_INIT] = {do_init, 16, 0},
    [FUSE_OPENDIR] = {do_opendir, sizeof(struct fuse_open_in), 0},
    [FUSE_READDIR] = {do_readdir, sizeof(struct fuse_read_in), 0},
    [FUSE_READDIRPLUS] = {do_readdirplus, sizeof(struct fuse_read_in), 0},
    [FUSE_RELEASEDIR] = {do_releasedir, sizeof(struct fuse_release_in), 0},
    [FUSE_FSYNCDIR] = {do_fsyncdir, sizeof(struct fuse_fsync_in), 0},
    [FUSE_CREATE] = {do_create, sizeof(struct fuse_create_in), CHANGES},
    [FUSE_DESTROY] = {do_destroy, 0, 0},
    [FUSE_FALLOCATE] = {do_fallocate, sizeof(struct fuse_fallocate_in), CHANGES},
    [FUSE_LSEEK] = {do_lseek, sizeof(struct fuse_lseek_in), 0},
};

static int run(struct call *c)
{
    u32 op = c->in.opcode;

    if (op >= ARRAY_SIZE(operations) || !operations[op].run)
        return -ENOSYS;
    if (!c->s->begun && op != FUSE_INIT)
        return -EIO;
    if (c->len < operations[op].least)
        return -EINVAL;
    if (c->s->readonly && operations[op].how & CHANGES)
        return -EROFS;
    return operations[op].run(c);
}

static bool is_silent(u32 op)
{
    return op < ARRAY_SIZE(operations) && operations[op].how & SILENT;
}

u32 fs_fuse_serve(struct fs_server *s, u8 *message, u32 len, u32 room)
{
    struct fuse_out_header out = {0};
    struct call c = {.s = s};
    int r;

    if (len < sizeof(c.in))
        return 0;
    memcpy(&c.in, message, sizeof(c.in));
    c.arg = message + sizeof(c.in);
    c.len = len - (u32)sizeof(c.in);
    c.out = message + sizeof(out);
    c.room = room > sizeof(out) ? room - (u32)sizeof(out) : 0;
    r = run(&c);
    if (is_silent(c.in.opcode) || room < sizeof(out))
        return 0;
    out.unique = c.in.unique;
    out.error = r;
    out.len = (u32)sizeof(out) + (r ? 0 : c.used);
    memcpy(message, &out, sizeof(out));
    return out.len;
}
