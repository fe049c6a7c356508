/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Raw disk images.
 *
 * One worker thread takes requests in the order of their submission, so a flush covers all that was
 * submitted before it. Guest memory is read and written straight from the request's iov.
 */
#include "block/raw.h"

#include "base/assert.h"
#include "base/checked.h"
#include "host/scope.h"
#include "host/thread.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/uio.h>

struct raw {
    struct blk blk;
    int fd;
    struct thread worker;
    pthread_mutex_t lock; /* of what follows */
    pthread_cond_t more;
    struct blk_req *first, **last;
    bool closing;
    bool inline_work; /* submitters do it */
};

static const u8 zeroes[4096];

/* Makes io of at most len bytes of the request's iov, from byte at on. Returns how many pieces. */
static int iov_from(const struct blk_req *req, u64 at, struct iovec *io)
{
    int count = 0;

    for (u32 i = 0; i < req->iov_count; i++) {
        const struct blk_iov *iov = &req->iov[i];

        if (at >= iov->len) {
            at -= iov->len;
            continue;
        }
        io[count++] = (struct iovec){(u8 *)iov->base + at, iov->len - at};
        at = 0;
    }
    return count;
}

static int raw_transfer(const struct raw *raw, const struct blk_req *req)
{
    struct iovec io[BLK_IOV_MAX];

    for (u64 done = 0; done < req->len;) {
        int count = iov_from(req, done, io);
        off_t at = (off_t)(req->offset + done);
        ssize_t n =
            req->op == BLK_READ ? preadv(raw->fd, io, count, at) : pwritev(raw->fd, io, count, at);

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return -errno;
        if (n == 0) /* somebody has cut the file */
            return -EIO;
        done += (u64)n;
    }
    return 0;
}

static int raw_allocate(const struct raw *raw, const struct blk_req *req, int mode)
{
    while (fallocate(raw->fd, mode | FALLOC_FL_KEEP_SIZE, (off_t)req->offset, (off_t)req->len))
        if (errno != EINTR)
            return -errno;
    return 0;
}

static int write_zero_bytes(const struct raw *raw, const struct blk_req *req)
{
    struct iovec io[BLK_IOV_MAX];

    for (u64 done = 0; done < req->len;) {
        u64 left = req->len - done;
        int count = 0;
        ssize_t n;

        for (; count < BLK_IOV_MAX && left; count++) {
            io[count].iov_base = (void *)(uintptr_t)zeroes;
            io[count].iov_len = left < sizeof(zeroes) ? left : sizeof(zeroes);
            left -= io[count].iov_len;
        }
        n = pwritev(raw->fd, io, count, (off_t)(req->offset + done));
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return n < 0 ? -errno : -EIO;
        done += (u64)n;
    }
    return 0;
}

static int raw_write_zeroes(const struct raw *raw, const struct blk_req *req)
{
    int err = raw_allocate(raw, req, FALLOC_FL_ZERO_RANGE);

    if (err == -EOPNOTSUPP)
        err = raw_allocate(raw, req, FALLOC_FL_PUNCH_HOLE);
    return err == -EOPNOTSUPP ? write_zero_bytes(raw, req) : err;
}

static int raw_discard(const struct raw *raw, const struct blk_req *req)
{
    int err = raw_allocate(raw, req, FALLOC_FL_PUNCH_HOLE);

    return err == -EOPNOTSUPP ? 0 : err; /* no more than a hint */
}

static int raw_flush(const struct raw *raw)
{
    while (fdatasync(raw->fd))
        if (errno != EINTR)
            return -errno;
    return 0;
}

static int raw_execute(const struct raw *raw, const struct blk_req *req)
{
    if (req->op != BLK_READ && raw->blk.readonly)
        return req->op == BLK_FLUSH ? 0 : -EROFS;
    switch (req->op) {
    case BLK_READ:
    case BLK_WRITE:
        return raw_transfer(raw, req);
    case BLK_FLUSH:
        return raw_flush(raw);
    case BLK_DISCARD:
        return req->len ? raw_discard(raw, req) : 0;
    case BLK_WRITE_ZEROES:
        return req->len ? raw_write_zeroes(raw, req) : 0;
    }
    return -EOPNOTSUPP;
}

/* The next request, or NULL when the disk closes and all is done. */
static struct blk_req *raw_next(struct raw *raw)
{
    struct blk_req *req;

    pthread_mutex_lock(&raw->lock);
    while (!raw->first && !raw->closing)
        pthread_cond_wait(&raw->more, &raw->lock);
    req = raw->first;
    if (req) {
        raw->first = req->next;
        if (!raw->first)
            raw->last = &raw->first;
    }
    pthread_mutex_unlock(&raw->lock);
    return req;
}

static void raw_work(void *ctx)
{
    struct raw *raw = ctx;
    struct blk_req *req;

    while ((req = raw_next(raw)))
        req->done(req, raw_execute(raw, req));
}

static void raw_submit(void *ctx, struct blk_req *req)
{
    struct raw *raw = ctx;

    ASSERT(range_within(req->offset, req->len, 0, raw->blk.size));
    if (raw->inline_work) {
        req->done(req, raw_execute(raw, req));
        return;
    }
    req->next = NULL;
    pthread_mutex_lock(&raw->lock);
    *raw->last = req;
    raw->last = &req->next;
    pthread_cond_signal(&raw->more);
    pthread_mutex_unlock(&raw->lock);
}

static int raw_open_file(const char *path, bool readonly, struct err *err)
{
    /* O_NONBLOCK: a named pipe must not hang us, it is refused later. */
    int fd = open(path, (readonly ? O_RDONLY : O_RDWR) | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    int code = errno;

    if (fd >= 0)
        return fd;
    if (code == ENOENT)
        return err_set(err, code,
                       "disk image '%s' does not exist; check the path or create it, for instance "
                       "with: truncate -s 1G '%s'",
                       path, path);
    if (!readonly && code == EISDIR)
        return err_set(err, code, "disk image '%s' is a directory; give a file", path);
    if (!readonly && (code == EACCES || code == EROFS || code == EPERM))
        return err_set(err, code,
                       "disk image '%s' cannot be written (%s); change its permissions or attach "
                       "it read-only",
                       path, strerror(code));
    return err_set(err, code, "disk image '%s' cannot be opened: %s", path, strerror(code));
}

static int raw_size(int fd, const char *path, u64 *size, struct err *err)
{
    struct stat st;

    if (fstat(fd, &st))
        return err_set(err, errno, "disk image '%s' cannot be examined: %s", path, strerror(errno));
    if (S_ISBLK(st.st_mode)) {
        if (ioctl(fd, BLKGETSIZE64, size))
            return err_set(err, errno, "the size of block device '%s' is unknown: %s", path,
                           strerror(errno));
    } else if (S_ISREG(st.st_mode)) {
        *size = (u64)st.st_size;
    } else {
        return err_set(err, EINVAL, "disk image '%s' is %s; give a file or a block device", path,
                       S_ISDIR(st.st_mode) ? "a directory" : "neither file nor block device");
    }
    if (!*size)
        return err_set(err, EINVAL,
                       "disk image '%s' is empty; give it a size, for instance with: "
                       "truncate -s 1G '%s'",
                       path, path);
    if (*size % BLK_SECTOR)
        return err_set(err, EINVAL,
                       "disk image '%s' has %llu bytes, which is not a multiple of %d; extend it "
                       "with: truncate -s %%%d '%s'",
                       path, (unsigned long long)*size, BLK_SECTOR, BLK_SECTOR, path);
    return 0;
}

/* An open file description lock: it goes with fd, and other programs' record locks see it. */
static int raw_lock(int fd, const char *path, bool readonly, struct err *err)
{
    struct flock lock = {.l_type = (short)(readonly ? F_RDLCK : F_WRLCK), .l_whence = SEEK_SET};

    if (!fcntl(fd, F_OFD_SETLK, &lock) || (errno != EAGAIN && errno != EACCES))
        return 0; /* a file system without locks is none of our business */
    return err_set(err, EBUSY,
                   "disk image '%s' is in use by another program; end that program, or let both "
                   "use it read-only",
                   path);
}

int raw_open(struct blk **blk, const char *path, bool readonly, struct err *err)
{
    AUTO_FD int fd = raw_open_file(path, readonly, err);
    AUTO_FREE struct raw *raw = NULL;
    u64 size;
    int ret;

    if (fd < 0)
        return fd;
    ret = raw_size(fd, path, &size, err);
    if (!ret)
        ret = raw_lock(fd, path, readonly, err);
    if (ret)
        return ret;
    raw = calloc(1, sizeof(*raw));
    if (!raw)
        return err_set(err, ENOMEM, "disk image '%s': out of memory", path);
    raw->blk = (struct blk){raw_submit, raw, size, readonly, !readonly};
    raw->last = &raw->first;
    raw->fd = fd;
    pthread_mutex_init(&raw->lock, NULL);
    pthread_cond_init(&raw->more, NULL);
    ret = thread_start(&raw->worker, "disk", raw_work, raw, err);
    if (ret)
        return ret;
    steal_fd(&fd);
    *blk = &steal(raw)->blk;
    return 0;
}

void raw_work_inline(struct blk *blk)
{
    CONTAINER_OF(blk, struct raw, blk)->inline_work = true;
}

void raw_close(struct blk *blk)
{
    struct raw *raw;

    if (!blk)
        return;
    raw = CONTAINER_OF(blk, struct raw, blk);
    pthread_mutex_lock(&raw->lock);
    raw->closing = true;
    pthread_cond_signal(&raw->more);
    pthread_mutex_unlock(&raw->lock);
    thread_join(&raw->worker);
    if (!raw->blk.readonly)
        (void)raw_flush(raw); /* nobody is left to hear of a failure; guests flush themselves */
    close(raw->fd);
    pthread_cond_destroy(&raw->more);
    pthread_mutex_destroy(&raw->lock);
    free(raw);
}
