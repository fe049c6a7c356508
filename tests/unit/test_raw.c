/* SPDX-License-Identifier: BSD-2-Clause */
/* Raw images: transfers, order, discard, sizes, locks and the sentences for what is wrong. */
#include "block/file.h"
#include "block/serve.h"
#include "tests/test.h"

#include <errno.h>
#include <fcntl.h>
#include <semaphore.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#define SIZE (1 * MIB)

static int raw_open(struct blk **blk, const char *name, bool readonly, struct err *err)
{
    const struct file_options options = {.readonly = readonly};
    struct node *node;
    int ret = file_open(&node, name, &options, err);

    if (!ret)
        ret = serve_open(blk, node, &(struct serve_options){0}, err);
    return ret ? ret : serve_begin(*blk, NULL, err);
}

struct waiter {
    sem_t done;
    int status;
};

static char path[64];
static u8 pattern[SIZE];

/* Stand-ins for libc's: a file system that knows no fallocate, and transfers cut short. */
static bool no_fallocate, short_io;
static unsigned calls;

int fallocate(int fd, int mode, off_t offset, off_t len)
{
    if (!no_fallocate)
        return (int)syscall(SYS_fallocate, fd, mode, offset, len);
    errno = EOPNOTSUPP;
    return -1;
}

static int interrupted(void)
{
    errno = EINTR;
    return calls++ % 3 == 0;
}

ssize_t preadv(int fd, const struct iovec *io, int count, off_t at)
{
    if (short_io && interrupted())
        return -1;
    if (!short_io)
        return syscall(SYS_preadv, fd, io, count, at, 0L);
    return pread(fd, io->iov_base, io->iov_len < 100 ? io->iov_len : 100, at);
}

ssize_t pwritev(int fd, const struct iovec *io, int count, off_t at)
{
    if (short_io && interrupted())
        return -1;
    if (!short_io)
        return syscall(SYS_pwritev, fd, io, count, at, 0L);
    return pwrite(fd, io->iov_base, io->iov_len < 100 ? io->iov_len : 100, at);
}

static void image_create(u64 size)
{
    int fd;

    snprintf(path, sizeof(path), "/tmp/cosm-test-raw-XXXXXX");
    fd = mkstemp(path);
    if (fd < 0 || ftruncate(fd, (off_t)size)) {
        perror(path);
        exit(1);
    }
    close(fd);
}

static void request_done(struct blk_req *req, int status)
{
    struct waiter *w = req->ctx;

    w->status = status;
    sem_post(&w->done);
}

/* Submits and waits. The data is cut into odd pieces. */
static int run(struct blk *blk, enum blk_op op, u64 offset, u64 len, u8 *data)
{
    static struct blk_req req;
    struct waiter w;
    u64 at = 0;

    sem_init(&w.done, 0, 0);
    req = (struct blk_req){.op = op, .offset = offset, .len = len, .done = request_done, .ctx = &w};
    while (data && at < len) {
        u64 n = req.iov_count < 100 ? 7 + req.iov_count : len - at;

        if (n > len - at)
            n = len - at;
        req.iov[req.iov_count++] = (struct blk_iov){data + at, n};
        at += n;
    }
    blk->submit(blk->ctx, &req);
    sem_wait(&w.done);
    sem_destroy(&w.done);
    return w.status;
}

TEST(written_read_back_and_in_the_file)
{
    static u8 back[SIZE];
    struct blk *blk;
    struct err err;
    int fd;

    for (u32 i = 0; i < SIZE; i++)
        pattern[i] = (u8)(i * 31 + (i >> 9));
    image_create(SIZE);
    if (raw_open(&blk, path, false, &err))
        printf("# %s\n", err.msg);
    CHECK_EQ(blk->size, SIZE);
    CHECK(!blk->readonly && blk->can_discard);
    CHECK_EQ(run(blk, BLK_WRITE, 0, SIZE, pattern), 0);
    CHECK_EQ(run(blk, BLK_READ, 512, SIZE - 512, back), 0);
    CHECK(!memcmp(back, pattern + 512, SIZE - 512));
    CHECK_EQ(run(blk, BLK_FLUSH, 0, 0, NULL), 0);
    CHECK_EQ(run(blk, BLK_WRITE_ZEROES, 1024, 8192, NULL), 0);
    CHECK_EQ(run(blk, BLK_DISCARD, 65536, 65536, NULL), 0);
    CHECK_EQ(run(blk, BLK_DISCARD, 0, 0, NULL), 0);
    serve_close(blk);
    fd = open(path, O_RDONLY);
    CHECK_EQ(read(fd, back, SIZE), SIZE);
    close(fd);
    memset(pattern + 1024, 0, 8192);
    CHECK(!memcmp(back, pattern, 65536));
    CHECK(!memcmp(back + 131072, pattern + 131072, SIZE - 131072));
    for (u32 i = 0; i < 8192; i++)
        if (back[1024 + i])
            CHECK(!"zeroes are zero");
    unlink(path);
}

TEST(short_transfers_and_no_fallocate)
{
    static u8 data[65536], back[65536];
    struct blk *blk;

    memset(data, 0x6b, sizeof(data));
    image_create(sizeof(data));
    CHECK_EQ(raw_open(&blk, path, false, NULL), 0);
    short_io = no_fallocate = true;
    CHECK_EQ(run(blk, BLK_WRITE, 0, sizeof(data), data), 0);
    CHECK_EQ(run(blk, BLK_WRITE_ZEROES, 512, 8192 + 512, NULL), 0);
    CHECK_EQ(run(blk, BLK_DISCARD, 32768, 4096, NULL), 0); /* a hint: nothing happens */
    CHECK_EQ(run(blk, BLK_READ, 0, sizeof(back), back), 0);
    short_io = no_fallocate = false;
    memset(data + 512, 0, 8192 + 512);
    CHECK(!memcmp(data, back, sizeof(data)));
    CHECK(calls > 100);
    serve_close(blk);
    unlink(path);
}

TEST(read_only_is_kept)
{
    struct blk *blk;
    u8 sector[512] = {1};

    image_create(4096);
    CHECK(!chmod(path, 0444));
    CHECK_EQ(raw_open(&blk, path, true, NULL), 0);
    CHECK(blk->readonly && !blk->can_discard);
    CHECK_EQ(run(blk, BLK_WRITE, 0, 512, sector), -EROFS);
    CHECK_EQ(run(blk, BLK_WRITE_ZEROES, 0, 512, NULL), -EROFS);
    CHECK_EQ(run(blk, BLK_FLUSH, 0, 0, NULL), 0);
    CHECK_EQ(run(blk, BLK_READ, 0, 512, sector), 0);
    CHECK_EQ(sector[0], 0);
    serve_close(blk);
    unlink(path);
}

TEST(a_file_cut_short_is_an_io_error)
{
    static u8 data[8192];
    struct blk *blk;

    image_create(8192);
    CHECK_EQ(raw_open(&blk, path, false, NULL), 0);
    CHECK(!truncate(path, 1024));
    CHECK_EQ(run(blk, BLK_READ, 0, 8192, data), -EIO);
    serve_close(blk);
    unlink(path);
}

TEST(close_finishes_what_was_submitted)
{
    static struct blk_req req[64];
    static u8 data[64][4096];
    static struct waiter w[64];
    struct blk *blk;

    image_create(sizeof(data));
    CHECK_EQ(raw_open(&blk, path, false, NULL), 0);
    for (u32 i = 0; i < 64; i++) {
        req[i] = (struct blk_req){.op = BLK_WRITE, .offset = i * 4096, .len = 4096};
        req[i].iov[0] = (struct blk_iov){data[i], 4096};
        req[i].iov_count = 1;
        req[i].done = request_done;
        req[i].ctx = &w[i];
        sem_init(&w[i].done, 0, 0);
        blk->submit(blk->ctx, &req[i]);
    }
    serve_close(blk);
    for (u32 i = 0; i < 64; i++)
        CHECK(!sem_trywait(&w[i].done) && !w[i].status);
    serve_close(NULL);
    unlink(path);
}

/* A node whose writes fail for as long as there is a code. */
struct weak_node {
    struct node node;
    _Atomic int code;
    _Atomic u32 writes;
};

static int weak_write(struct node *node, u64 at, const struct vec *v)
{
    struct weak_node *w = CONTAINER_OF(node, struct weak_node, node);

    w->writes++;
    return -w->code;
}

static int weak_flush(struct node *node)
{
    return 0;
}

static void weak_close(struct node *node)
{
}

static sem_t changed;

static void weak_changed(void *ctx)
{
    sem_post(&changed);
}

static void weak_open(struct weak_node *w, struct blk **blk, enum serve_policy werror, int code)
{
    static const struct node_ops ops = {
        .name = "weak", .write = weak_write, .flush = weak_flush, .close = weak_close};
    const struct serve_options options = {.werror = werror, .changed = weak_changed};

    *w = (struct weak_node){.node = {.ops = &ops, .size = MIB, .name = path}, .code = code};
    sem_init(&changed, 0, 0);
    CHECK_EQ(serve_open(blk, &w->node, &options, NULL), 0);
    CHECK_EQ(serve_begin(*blk, NULL, NULL), 0);
}

static void weak_submit(struct blk *blk, struct blk_req *req, struct waiter *w)
{
    static u8 data[512];

    *req = (struct blk_req){.op = BLK_WRITE, .len = 512, .iov_count = 1, .done = request_done};
    req->iov[0] = (struct blk_iov){data, 512};
    req->ctx = w;
    sem_init(&w->done, 0, 0);
    blk->submit(blk->ctx, req);
}

TEST(what_lacks_space_waits_and_goes_on_by_itself)
{
    static struct blk_req req[8];
    static struct waiter w[8];
    struct weak_node weak;
    struct serve_halt halt;
    struct blk *blk;

    weak_open(&weak, &blk, SERVE_ENOSPC, EDQUOT);
    for (u32 i = 0; i < 8; i++)
        weak_submit(blk, &req[i], &w[i]);
    sem_wait(&changed);
    CHECK(serve_halted(blk, &halt));
    CHECK(halt.no_space && halt.code == EDQUOT && halt.op == BLK_WRITE);
    weak.code = 0;
    for (u32 i = 0; i < 8; i++) {
        sem_wait(&w[i].done);
        CHECK_EQ(w[i].status, 0);
    }
    sem_wait(&changed);
    CHECK(!serve_halted(blk, NULL));
    weak.code = EIO; /* no lack of space */
    weak_submit(blk, &req[0], &w[0]);
    sem_wait(&w[0].done);
    CHECK_EQ(w[0].status, -EIO);
    serve_close(blk);
}

TEST(what_waits_is_tried_again_or_given_up)
{
    static struct blk_req req;
    static struct waiter w;
    struct weak_node weak;
    struct blk *blk;

    weak_open(&weak, &blk, SERVE_HALT, EIO);
    weak_submit(blk, &req, &w);
    sem_wait(&changed);
    CHECK_EQ(weak.writes, 1);
    serve_retry(blk);
    while (weak.writes < 2)
        usleep(1000);
    CHECK(serve_halted(blk, NULL));
    blk->give_up(blk->ctx, true);
    sem_wait(&w.done);
    CHECK_EQ(w.status, -EIO);
    sem_wait(&changed);
    blk->give_up(blk->ctx, false);
    weak_submit(blk, &req, &w);
    sem_wait(&changed);
    CHECK(serve_halted(blk, NULL));
    serve_close(blk); /* nobody tells it to go on any more */
    CHECK(!sem_trywait(&w.done));
    CHECK_EQ(w.status, -EIO);
}

TEST(an_image_in_use_is_refused)
{
    struct blk *blk, *second, *third;
    struct err err = {""};

    image_create(4096);
    CHECK_EQ(raw_open(&blk, path, false, NULL), 0);
    CHECK_EQ(raw_open(&second, path, false, &err), -EBUSY);
    CHECK(strstr(err.msg, path) && strstr(err.msg, "in use"));
    CHECK_EQ(raw_open(&second, path, true, &err), -EBUSY);
    serve_close(blk);
    CHECK_EQ(raw_open(&second, path, true, &err), 0);
    CHECK_EQ(raw_open(&third, path, true, &err), 0);
    CHECK_EQ(raw_open(&blk, path, false, &err), -EBUSY);
    serve_close(second);
    serve_close(third);
    CHECK_EQ(raw_open(&blk, path, false, &err), 0);
    serve_close(blk);
    unlink(path);
}

static void check_refused(const char *name, int code, const char *sentence)
{
    struct err err = {""};
    struct blk *blk;

    CHECK_EQ(raw_open(&blk, name, false, &err), -code);
    if (!strstr(err.msg, sentence) || !strstr(err.msg, name)) {
        printf("# said \"%s\", want \"%s\"\n", err.msg, sentence);
        CHECK(!"the sentence is clear");
    }
}

TEST(unusable_images)
{
    check_refused("/nowhere/at/all.img", ENOENT, "does not exist");
    check_refused("/tmp", EISDIR, "is a directory");
    check_refused("/dev/null", EINVAL, "neither file nor block device");
    image_create(0);
    check_refused(path, EINVAL, "is empty");
    unlink(path);
    image_create(1000);
    check_refused(path, EINVAL, "has 1000 bytes, which is not a multiple of 512");
    unlink(path);
    CHECK(!mkfifo(path, 0600));
    check_refused(path, EINVAL, "neither file nor block device");
    unlink(path);
}

TEST_MAIN()
