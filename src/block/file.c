/* SPDX-License-Identifier: BSD-2-Clause */
/* Files and block devices of the host as nodes, locked against other users. */
#include "block/file.h"

#include "base/checked.h"
#include "block/file_lock.h"
#include "host/scope.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>

struct file {
    struct node node;
    int fd;
    bool is_device;
    dev_t dev;
    ino_t ino;
    _Atomic int flush_failed; /* a failed flush stays failed: what it lost nobody writes again */
};

static const u8 zeroes[4096];

static struct file *file_of(struct node *node)
{
    return CONTAINER_OF(node, struct file, node);
}

/* Makes io of what of v is left from byte at on. Returns how many pieces. */
static int iov_from(const struct vec *v, u64 at, struct iovec *io)
{
    int count = 0;

    for (u32 i = 0; i < v->count; i++) {
        if (at >= v->io[i].iov_len) {
            at -= v->io[i].iov_len;
            continue;
        }
        io[count++] = (struct iovec){(u8 *)v->io[i].iov_base + at, v->io[i].iov_len - at};
        at = 0;
    }
    return count;
}

static void zero_rest(const struct vec *v, u64 at)
{
    struct iovec io[VEC_MAX];
    int count = iov_from(v, at, io);

    for (int i = 0; i < count; i++)
        memset(io[i].iov_base, 0, io[i].iov_len);
}

static int file_transfer(const struct file *file, u64 offset, const struct vec *v, bool write)
{
    struct iovec io[VEC_MAX];

    for (u64 done = 0; done < v->len;) {
        int count = iov_from(v, done, io);
        off_t at = (off_t)(offset + done);
        ssize_t n = write ? pwritev(file->fd, io, count, at) : preadv(file->fd, io, count, at);

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return -errno;
        if (n == 0 && !write && file->node.growable) {
            zero_rest(v, done);
            return 0;
        }
        if (n == 0) /* somebody has cut the file */
            return -EIO;
        done += (u64)n;
    }
    return 0;
}

static int file_read_op(struct node *node, u64 at, const struct vec *v)
{
    return file_transfer(file_of(node), at, v, false);
}

static int file_write_op(struct node *node, u64 at, const struct vec *v)
{
    return file_transfer(file_of(node), at, v, true);
}

/* What the host's page cache has. */
static int file_try_read(struct node *node, u64 at, const struct vec *v)
{
    const struct file *file = file_of(node);

    return preadv2(file->fd, v->io, (int)v->count, (off_t)at, RWF_NOWAIT) == (ssize_t)v->len
               ? 0
               : -EAGAIN;
}

/*
 * Into the page cache. That waits only where the host has too much that is not written yet, so it
 * is not asked not to: few file systems can tell.
 */
static int file_try_write(struct node *node, u64 at, const struct vec *v)
{
    const struct file *file = file_of(node);

    if (file->is_device)
        return -EAGAIN;
    return pwritev(file->fd, v->io, (int)v->count, (off_t)at) == (ssize_t)v->len ? 0 : -EAGAIN;
}

static int file_flush(struct node *node)
{
    struct file *file = file_of(node);
    /* Relaxed: a flush that another thread sees fail at this moment may be told either way. */
    int failed = atomic_load_explicit(&file->flush_failed, memory_order_relaxed);

    while (!failed && fdatasync(file->fd)) {
        if (errno == EINTR)
            continue;
        failed = EIO; /* whatever it was: what is lost does not come back with space */
        atomic_store_explicit(&file->flush_failed, failed, memory_order_relaxed);
    }
    return -failed;
}

static int file_allocate(const struct file *file, u64 at, u64 len, int mode)
{
    while (fallocate(file->fd, mode | FALLOC_FL_KEEP_SIZE, (off_t)at, (off_t)len))
        if (errno != EINTR)
            return -errno;
    return 0;
}

static int write_zero_bytes(struct file *file, u64 at, u64 len)
{
    while (len) {
        struct vec v;
        int ret;

        vec_init(&v);
        while (v.count < BLK_IOV_MAX && v.len < len)
            vec_add(&v, zeroes, len - v.len < sizeof(zeroes) ? len - v.len : sizeof(zeroes));
        ret = file_transfer(file, at, &v, true);
        if (ret)
            return ret;
        at += v.len;
        len -= v.len;
    }
    return 0;
}

static int file_write_zeroes(struct node *node, u64 at, u64 len, bool unmap)
{
    struct file *file = file_of(node);
    int ret = unmap ? -EOPNOTSUPP : file_allocate(file, at, len, FALLOC_FL_ZERO_RANGE);

    if (ret == -EOPNOTSUPP)
        ret = file_allocate(file, at, len, FALLOC_FL_PUNCH_HOLE);
    return ret == -EOPNOTSUPP ? write_zero_bytes(file, at, len) : ret;
}

static int file_discard(struct node *node, u64 at, u64 len)
{
    int ret = file_allocate(file_of(node), at, len, FALLOC_FL_PUNCH_HOLE);

    return ret == -EOPNOTSUPP ? 0 : ret; /* no more than a hint */
}

static int file_resize(struct node *node, u64 size, struct err *err)
{
    struct file *file = file_of(node);

    if (file->is_device)
        return err_set(err, EINVAL, "'%s' is a device, whose size is its own", node->name);
    if (size > INT64_MAX || ftruncate(file->fd, (off_t)size))
        return err_set(err, size > INT64_MAX ? EFBIG : errno, "'%s' cannot get %llu bytes: %s",
                       node->name, (unsigned long long)size,
                       size > INT64_MAX ? strerror(EFBIG) : strerror(errno));
    node->size = size;
    return 0;
}

static int file_state(struct node *node, u64 at, u64 max, u64 *len)
{
    const struct file *file = file_of(node);
    off_t data = lseek(file->fd, (off_t)at, SEEK_DATA), hole;

    *len = max;
    if (data < 0)
        return errno == ENXIO ? NODE_ZERO : NODE_DATA; /* no data behind; or nobody knows */
    if ((u64)data > at) {
        *len = (u64)data - at < max ? (u64)data - at : max;
        return NODE_ZERO;
    }
    hole = lseek(file->fd, (off_t)at, SEEK_HOLE);
    if (hole > (off_t)at && (u64)hole - at < max)
        *len = (u64)hole - at;
    return NODE_DATA;
}

static void file_close(struct node *node)
{
    struct file *file = file_of(node);

    if (!node->readonly)
        (void)file_flush(node); /* nobody is left to hear of a failure; guests flush themselves */
    close(file->fd);
    free(node->name);
    free(file);
}

static const struct node_ops file_ops = {
    .name = "file",
    .read = file_read_op,
    .write = file_write_op,
    .try_read = file_try_read,
    .try_write = file_try_write,
    .flush = file_flush,
    .discard = file_discard,
    .write_zeroes = file_write_zeroes,
    .resize = file_resize,
    .state = file_state,
    .close = file_close,
};

static int file_open_error(const char *path, const struct file_options *options, int code,
                           struct err *err)
{
    if (code == ENOENT && options->create)
        return err_set(err, code, "disk image '%s' cannot be made: its folder does not exist",
                       path);
    if (code == ENOENT)
        return err_set(err, code,
                       "disk image '%s' does not exist; check the path or create it, for instance "
                       "with: cosm disk create '%s' 1G",
                       path, path);
    if (!options->readonly && code == EISDIR)
        return err_set(err, code, "disk image '%s' is a directory; give a file", path);
    if (!options->readonly && (code == EACCES || code == EROFS || code == EPERM))
        return err_set(err, code,
                       "disk image '%s' cannot be written (%s); change its permissions or attach "
                       "it read-only",
                       path, strerror(code));
    return err_set(err, code, "disk image '%s' cannot be opened: %s", path, strerror(code));
}

static int file_open_fd(const char *path, const struct file_options *options, struct err *err)
{
    /* O_NONBLOCK: a named pipe must not hang us, it is refused later. */
    int flags = O_CLOEXEC | O_NONBLOCK | O_NOCTTY | (options->readonly ? O_RDONLY : O_RDWR) |
                (options->create ? O_CREAT : 0);
    int fd = open(path, flags, 0666);

    return fd >= 0 ? fd : file_open_error(path, options, errno, err);
}

static int file_examine(struct file *file, const char *path, struct err *err)
{
    struct stat st;

    if (fstat(file->fd, &st))
        return err_set(err, errno, "disk image '%s' cannot be examined: %s", path, strerror(errno));
    file->dev = st.st_dev;
    file->ino = st.st_ino;
    if (S_ISBLK(st.st_mode)) {
        file->is_device = true;
        if (ioctl(file->fd, BLKGETSIZE64, &file->node.size))
            return err_set(err, errno, "the size of block device '%s' is unknown: %s", path,
                           strerror(errno));
    } else if (S_ISREG(st.st_mode)) {
        file->node.size = (u64)st.st_size;
    } else {
        return err_set(err, EINVAL, "disk image '%s' is %s; give a file or a block device", path,
                       S_ISDIR(st.st_mode) ? "a directory" : "neither file nor block device");
    }
    return 0;
}

int file_open(struct node **node, const char *path, const struct file_options *options,
              struct err *err)
{
    int fd = file_open_fd(path, options, err);

    return fd < 0 ? fd : file_adopt(node, fd, path, options, err);
}

int file_adopt(struct node **node, int adopted, const char *path,
               const struct file_options *options, struct err *err)
{
    AUTO_FD int fd = adopted;
    AUTO_FREE struct file *file = NULL;
    AUTO_FREE char *name = NULL;
    int ret;

    file = calloc(1, sizeof(*file));
    name = strdup(path);
    if (!file || !name)
        return err_set(err, ENOMEM, "disk image '%s': out of memory", path);
    file->fd = fd;
    file->node.ops = &file_ops;
    file->node.readonly = options->readonly;
    file->node.growable = options->growable;
    ret = file_examine(file, path, err);
    if (!ret)
        ret = file_lock(fd, path, options, err);
    if (!ret && options->create && !file->is_device) {
        file->node.name = name;
        ret = file_resize(&file->node, 0, err);
    }
    if (ret)
        return ret;
    steal_fd(&fd);
    file->node.name = steal(name);
    *node = &steal(file)->node;
    return 0;
}

int file_reopen(struct node *node, int adopted, bool readonly, file_holder_fn name_holder,
                struct err *err)
{
    struct file *file = file_of(node);
    const struct file_options options = {.readonly = readonly, .name_holder = name_holder};
    const struct file_options before = {.readonly = true};
    AUTO_FD int fd = adopted;
    struct stat st;
    int ret;

    if (fd < 0)
        fd = open(node->name, (readonly ? O_RDONLY : O_RDWR) | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    if (fd < 0)
        return file_open_error(node->name, &options, errno, err);
    if (fstat(fd, &st) || st.st_dev != file->dev || st.st_ino != file->ino)
        return err_set(err, ESTALE, "'%s' is another file than before", node->name);
    /* The old descriptor's lock is in the way of the new one's. */
    close(file->fd);
    file->fd = steal_fd(&fd);
    ret = file_lock(file->fd, node->name, &options, err);
    if (ret)
        (void)!file_lock(file->fd, node->name, &before, NULL);
    node->readonly = ret ? true : readonly;
    return ret;
}

void file_share(struct node *node)
{
    const struct file_options options = {.readonly = true};
    struct flock all = {.l_type = F_UNLCK, .l_whence = SEEK_SET};

    node->readonly = true;
    (void)!fcntl(file_of(node)->fd, F_OFD_SETLK, &all);
    (void)!file_lock(file_of(node)->fd, node->name, &options, NULL);
}

bool file_is_path(const struct node *node, const char *path)
{
    const struct file *file = CONTAINER_OF(node, const struct file, node);
    struct stat st;

    return !stat(path, &st) && st.st_dev == file->dev && st.st_ino == file->ino;
}

int file_length(const struct node *node, u64 *length, u64 *occupied)
{
    const struct file *file = CONTAINER_OF(node, const struct file, node);
    struct stat st;

    if (node->ops != &file_ops) {
        *length = node->size;
        *occupied = node->size;
        return 0;
    }
    if (fstat(file->fd, &st))
        return -errno;
    *length = file->is_device ? node->size : (u64)st.st_size;
    *occupied = (u64)st.st_blocks * 512;
    return 0;
}
