/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Power cuts: random operations on a qcow2 image whose file records what is written to it; then the
 * image as it was after each write, and with some of the writes lost that no flush had followed.
 * Each must check without errors (leaks are allowed), and have what was flushed.
 *
 *     cuts [--seed N] [--cuts N] [--qemu EVERY]
 */
#include "block/qcow2.h"
#include "tests/mem_node.h"
#include "tests/random.h"

#include <inttypes.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

#define SECTOR  512
#define SECTORS 4096 /* of the disk */
#define MAX     (64 * MIB)
#define STEPS   60

/* What the disk holds: the operation that last changed each sector, and whether it wiped it. */
struct model {
    u32 now[SECTORS];
    bool wiped[SECTORS];
};

/* The model when a flush was done, valid from a count of records on. */
struct mark {
    size_t from;
    u32 flushed[SECTORS];
    bool wiped[SECTORS]; /* then, or since */
};

struct run {
    u64 random;
    struct node *disk, *file;
    struct model model;
    struct mark *mark;
    size_t marks;
    u32 version; /* operations */
};

static u64 cuts_done, qemu_every, qemu_done, seed_now;
static int failures;

static u64 pick(struct run *r, u64 below)
{
    return test_random(&r->random) % below;
}

static void fill(u8 *bytes, u64 sector, u64 count, u32 version)
{
    for (u64 i = 0; i < count; i++) {
        u64 stamp[2] = {sector + i, version};

        memset(bytes + i * SECTOR, (int)version, SECTOR);
        memcpy(bytes + i * SECTOR, stamp, sizeof(stamp));
    }
}

static void mark_add(struct run *r)
{
    struct mark *m;

    r->mark = realloc(r->mark, (r->marks + 1) * sizeof(*r->mark));
    ASSERT(r->mark);
    m = &r->mark[r->marks++];
    m->from = mem_of(r->file)->count;
    memcpy(m->flushed, r->model.now, sizeof(m->flushed));
    memcpy(m->wiped, r->model.wiped, sizeof(m->wiped));
}

/* From now until the next mark a sector may also be zeroes. */
static void wiped(struct run *r, u64 sector, u64 count)
{
    r->version++;
    for (u64 i = sector; i < sector + count; i++) {
        r->model.now[i] = r->version;
        r->model.wiped[i] = true;
        r->mark[r->marks - 1].wiped[i] = true;
    }
}

static int step_write(struct run *r, u64 sector, u64 count)
{
    static u8 bytes[SECTORS * SECTOR];

    fill(bytes, sector, count, ++r->version);
    for (u64 i = 0; i < count; i++) {
        r->model.now[sector + i] = r->version;
        r->model.wiped[sector + i] = false;
    }
    return node_write_bytes(r->disk, sector * SECTOR, bytes, count * SECTOR);
}

/* Discards may or may not have an effect, so the sectors are zeroed before. */
static int step_discard(struct run *r, u64 sector, u64 count)
{
    int ret = node_write_zeroes(r->disk, sector * SECTOR, count * SECTOR, false);

    return ret ? ret : node_discard(r->disk, sector * SECTOR, count * SECTOR);
}

/* Larger, which takes another L1 table at times, and smaller again. */
static int step_resize(struct run *r)
{
    struct err err = {""};
    int ret = node_resize(r->disk, (SECTORS + pick(r, 10000)) * SECTOR, &err);

    if (ret)
        printf("# resize: %s\n", err.msg);
    return ret;
}

static int step(struct run *r)
{
    u64 sector = pick(r, SECTORS), count = 1 + pick(r, pick(r, 4) ? 40 : 600), what = pick(r, 20);
    int ret;

    if (count > SECTORS - sector)
        count = SECTORS - sector;
    if (what < 12)
        return step_write(r, sector, count);
    if (what < 17) {
        wiped(r, sector, count);
        if (what == 12)
            return step_discard(r, sector, count);
        return node_write_zeroes(r->disk, sector * SECTOR, count * SECTOR, what & 1);
    }
    if (what == 17)
        return step_resize(r);
    ret = node_flush(r->disk);
    if (!ret)
        mark_add(r);
    return ret;
}

/* Snapshots come and go; the disk stays as it is. */
static int snapshot_step(struct run *r)
{
    static const char *const names[] = {"a", "b", "c"};
    const char *name = names[pick(r, 3)];
    struct err err = {""};
    int ret = qcow2_snapshot_create(r->disk, name, 1, &err);

    if (ret == -EEXIST)
        ret = qcow2_snapshot_delete(r->disk, name, &err);
    if (ret == -ERANGE)
        return 0;
    if (ret)
        printf("# snapshot: %s\n", err.msg);
    mark_add(r); /* what was written before is on the disk */
    return ret;
}

static void wrong(const char *what, size_t cut, const char *why)
{
    if (failures++ < 10)
        printf("# seed %" PRIu64 ", cut after %zu records: %s: %s\n", seed_now, cut, what, why);
}

static const struct mark *mark_at(const struct run *r, size_t cut)
{
    size_t i = r->marks - 1;

    while (i && r->mark[i].from > cut)
        i--;
    return &r->mark[i];
}

static void check_content(const struct run *r, struct node *disk, size_t cut)
{
    static u8 bytes[SECTORS * SECTOR];
    const struct mark *m = mark_at(r, cut);

    if (node_read_bytes(disk, 0, bytes, sizeof(bytes))) {
        wrong("content", cut, "cannot be read");
        return;
    }
    for (u64 i = 0; i < SECTORS; i++) {
        u64 stamp[2];
        char why[100];

        memcpy(stamp, bytes + i * SECTOR, sizeof(stamp));
        if (!stamp[1] ? m->wiped[i] : stamp[0] == i && stamp[1] >= m->flushed[i])
            continue;
        snprintf(why, sizeof(why), "is %" PRIu64 " of sector %" PRIu64 ", flushed was %u", stamp[1],
                 stamp[0], m->flushed[i]);
        snprintf((char *)stamp, sizeof(stamp), "sector %" PRIu64, i);
        wrong((char *)stamp, cut, why);
        return;
    }
}

static void check_qemu(const struct mem_node *m, size_t cut)
{
    char path[] = "/tmp/cosm-cuts-XXXXXX", command[128];
    int fd = mkstemp(path), status;

    ASSERT(fd >= 0 && write(fd, m->bytes, m->len) == (ssize_t)m->len);
    close(fd);
    snprintf(command, sizeof(command), "qemu-img check -q -f qcow2 %s >/dev/null 2>&1", path);
    status = system(command);
    if (status != 0 && status != 3 << 8)
        wrong("qemu-img", cut, "finds errors");
    unlink(path);
    qemu_done++;
}

/* The image as a cut left it. */
static void check_cut(const struct run *r, struct node *file, size_t cut)
{
    struct qcow2_check result;
    struct err err = {""};
    struct node *disk;

    cuts_done++;
    if (qemu_every && cuts_done % qemu_every == 0)
        check_qemu(mem_of(file), cut);
    if (qcow2_open(&disk, file, true, NULL, &err)) {
        wrong("open", cut, err.msg);
        node_close(file);
        return;
    }
    if (qcow2_check(disk, QCOW2_REPAIR_NONE, &result, &err))
        wrong("check", cut, err.msg);
    else if (result.corruptions)
        wrong("check", cut, result.first);
    check_content(r, disk, cut);
    node_close(disk);
}

static void replay(struct mem_node *to, const struct mem_write *w, u64 len)
{
    if (!w->len)
        return;
    ASSERT(mem_reserve(to, w->at + len));
    if (w->bytes)
        memcpy(to->bytes + w->at, w->bytes, len);
    else
        memset(to->bytes + w->at, 0, len);
}

/* A copy of the file at the last flush, and of what followed each write, whole, in part or not. */
static struct node *lossy(struct run *r, const struct mem_node *flushed, size_t from, size_t cut)
{
    const struct mem_node *m = mem_of(r->file);
    struct node *node = mem_create(flushed->bytes, flushed->len, MAX);

    for (size_t i = from; i < cut; i++) {
        const struct mem_write *w = &m->log[i];
        u64 kept = pick(r, 4), len = w->len;

        if (!kept)
            continue;
        if (kept == 1 && len > SECTOR)
            len = SECTOR * (1 + pick(r, len / SECTOR));
        replay(mem_of(node), w, len);
    }
    node->size = mem_of(node)->len;
    return node;
}

/* Every prefix of the record, or each so manieth. */
static void cut_all(struct run *r, const struct mem_node *before, size_t stride)
{
    struct mem_node *m = mem_of(r->file);
    struct node *now = mem_create(before->bytes, before->len, MAX);
    struct node *flushed = mem_create(before->bytes, before->len, MAX);
    size_t from = 0;

    for (size_t i = 0; i < m->count; i++) {
        replay(mem_of(now), &m->log[i], m->log[i].len);
        if (!m->log[i].len) {
            node_close(flushed);
            flushed = mem_create(mem_of(now)->bytes, mem_of(now)->len, MAX);
            from = i + 1;
        }
        if (i % stride)
            continue;
        check_cut(r, mem_create(mem_of(now)->bytes, mem_of(now)->len, MAX), i + 1);
        if (from < i + 1)
            check_cut(r, lossy(r, mem_of(flushed), from, i + 1), i + 1);
    }
    node_close(now);
    node_close(flushed);
}

static void one_run(u64 seed)
{
    static const u32 sizes[] = {512, 1024, 4096, 65536};
    struct run r = {.random = seed};
    struct qcow2_create c = {.size = SECTORS * SECTOR};
    struct err err = {""};
    struct node *before;
    bool with_snapshots = pick(&r, 3) == 0;
    int ret;

    seed_now = seed;
    c.cluster_size = sizes[pick(&r, 4)];
    c.refcount_bits = 1u << pick(&r, 7);
    r.file = mem_create(NULL, 0, MAX);
    if (qcow2_create(r.file, &c, &err) || qcow2_open(&r.disk, r.file, false, NULL, &err)) {
        wrong("create", 0, err.msg);
        return;
    }
    before = mem_create(mem_of(r.file)->bytes, mem_of(r.file)->len, MAX);
    mem_of(r.file)->recording = true;
    memset(r.model.wiped, true, sizeof(r.model.wiped));
    mark_add(&r);
    for (int i = 0; i < STEPS; i++) {
        ret = with_snapshots && !pick(&r, 8) ? snapshot_step(&r) : step(&r);
        if (ret)
            wrong("step", (size_t)i, strerror(-ret));
    }
    if (node_flush(r.disk))
        wrong("flush", 0, "fails");
    cut_all(&r, mem_of(before), 1 + mem_of(r.file)->count / 400);
    node_close(before);
    node_close(r.disk);
    free(r.mark);
}

int main(int argc, char **argv)
{
    u64 seed = (u64)time(NULL) * 1000003 + (u64)getpid(), want = 10000;

    for (int i = 1; i + 1 < argc; i += 2) {
        u64 n = strtoull(argv[i + 1], NULL, 0);

        if (!strcmp(argv[i], "--seed"))
            seed = n;
        else if (!strcmp(argv[i], "--cuts"))
            want = n;
        else if (!strcmp(argv[i], "--qemu"))
            qemu_every = n;
    }
    if (qemu_every && system("qemu-img --version >/dev/null 2>&1"))
        qemu_every = 0;
    printf("1..1\n# seed %" PRIu64 "\n", seed);
    while (cuts_done < want && failures < 10)
        one_run(seed++);
    printf("# %" PRIu64 " cuts, %" PRIu64 " of them checked by qemu-img too\n", cuts_done,
           qemu_done);
    printf("%sok 1 - no cut damages an image\n", failures ? "not " : "");
    return failures != 0;
}
