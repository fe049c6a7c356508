/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Power cuts while an image is committed into the one below and written: after each write to either
 * file, and with some of those lost that no flush had followed, the image on top checks without
 * errors and has, with the one below, what was flushed.
 *
 *     cuts_commit [--seed N] [--cuts N]
 */
#include "block/commit.h"
#include "block/qcow2.h"
#include "tests/mem_node.h"
#include "tests/random.h"

#include <inttypes.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

#define SECTOR  512
#define SECTORS 4096 /* of the disk */
#define SIZE    (SECTORS * SECTOR)
#define MAX     (64 * MIB)

enum { TOP, BELOW, FILES };

/* When a flush was done: how many records each file had, and what the sectors held. */
struct mark {
    size_t from[FILES];
    u32 flushed[SECTORS];
};

struct run {
    u64 random;
    struct node *file[FILES];
    struct node *disk, *image;
    u32 now[SECTORS];
    struct mark mark[300];
    u32 marks, version;
};

static u64 cuts_done, seed_now;
static int failures;

static void wrong(const char *what, u64 at)
{
    if (failures++ < 10)
        printf("# seed %" PRIu64 ", %s (%" PRIu64 ")\n", seed_now, what, at);
}

static u64 pick(struct run *r, u64 below)
{
    return test_random(&r->random) % below;
}

static void mark_add(struct run *r)
{
    struct mark *m = &r->mark[r->marks++];

    ASSERT(r->marks < ARRAY_SIZE(r->mark));
    for (u32 f = 0; f < FILES; f++)
        m->from[f] = mem_of(r->file[f])->count;
    memcpy(m->flushed, r->now, sizeof(r->now));
}

static void step_write(struct run *r)
{
    static u8 bytes[SIZE];
    u64 sector = pick(r, SECTORS), count = 1 + pick(r, 300);

    count = count > SECTORS - sector ? SECTORS - sector : count;
    r->version++;
    for (u64 i = 0; i < count; i++) {
        u64 stamp[2] = {sector + i, r->version};

        memset(bytes + i * SECTOR, (int)r->version, SECTOR);
        memcpy(bytes + i * SECTOR, stamp, sizeof(stamp));
        r->now[sector + i] = r->version;
    }
    if (node_write_bytes(r->disk, sector * SECTOR, bytes, count * SECTOR))
        wrong("a write fails", sector);
}

static void steps(struct run *r, u32 count)
{
    while (count--) {
        if (pick(r, 4)) {
            step_write(r);
            continue;
        }
        if (node_flush(r->disk))
            wrong("a flush fails", count);
        mark_add(r);
    }
}

/* A commit with writes between its pieces, which is given up now and then. */
static void commit(struct run *r)
{
    struct err err = {""};
    int done = 0;

    if (commit_open(&r->disk, r->image, &err))
        wrong("commit does not begin", 0);
    while (!done) {
        done = commit_step(r->disk);
        steps(r, (u32)pick(r, 5));
    }
    if (done < 0)
        wrong("commit fails", 0);
    if (pick(r, 5)) {
        if (commit_finish(r->disk, &err))
            wrong(err.msg, 0);
    } else {
        commit_cancel(r->disk);
    }
    r->disk = r->image;
}

/* A file as it was after so many records; of those since its last flush some may be lost. */
static struct node *file_at(struct run *r, u32 f, const struct mem_node *before, size_t cut,
                            bool lossy)
{
    const struct mem_node *m = mem_of(r->file[f]);
    struct node *node = mem_create(before->bytes, before->len, MAX);
    size_t flushed = cut;

    while (lossy && flushed && m->log[flushed - 1].len)
        flushed--;
    for (size_t i = 0; i < cut; i++) {
        const struct mem_write *w = &m->log[i];

        if (!w->len || (i >= flushed && lossy && !pick(r, 4)))
            continue;
        ASSERT(mem_reserve(mem_of(node), w->at + w->len));
        if (w->bytes)
            memcpy(mem_of(node)->bytes + w->at, w->bytes, w->len);
        else
            memset(mem_of(node)->bytes + w->at, 0, w->len);
    }
    node->size = mem_of(node)->len;
    return node;
}

static void check_content(struct run *r, struct node *disk, const struct mark *m, u64 when)
{
    static u8 bytes[SIZE];

    if (node_read_bytes(disk, 0, bytes, sizeof(bytes)))
        wrong("it cannot be read", when);
    for (u64 i = 0; i < SECTORS; i++) {
        u64 stamp[2];

        memcpy(stamp, bytes + i * SECTOR, sizeof(stamp));
        if (stamp[1] ? stamp[0] == i && stamp[1] >= m->flushed[i] : !m->flushed[i])
            continue;
        wrong("a sector is older than what was flushed", when);
        return;
    }
}

/* Both files as a cut left them: count[f] records of each. */
static void check_cut(struct run *r, struct mem_node *const before[FILES],
                      const size_t count[FILES], const struct mark *m, bool lossy)
{
    struct node *top = file_at(r, TOP, before[TOP], count[TOP], lossy), *disk;
    struct node *below = file_at(r, BELOW, before[BELOW], count[BELOW], lossy);
    u64 when = count[TOP] + count[BELOW];
    struct qcow2_check result;
    struct err err = {""};

    cuts_done++;
    below->size = SIZE;
    if (qcow2_open(&disk, top, true, NULL, &err)) {
        wrong(err.msg, when);
        node_close(top);
        node_close(below);
        return;
    }
    if (qcow2_check(disk, QCOW2_REPAIR_NONE, &result, &err) || result.corruptions)
        wrong(result.first, when);
    qcow2_set_backing(disk, below);
    check_content(r, disk, m, when);
    node_close(disk);
}

/* In the order in which the records were made, each so manieth. */
static void cut_all(struct run *r, struct mem_node *const before[FILES])
{
    const struct mem_node *m[FILES] = {mem_of(r->file[TOP]), mem_of(r->file[BELOW])};
    size_t count[FILES] = {0}, stride = 1 + (m[TOP]->count + m[BELOW]->count) / 60;
    u32 mark = 0;

    while (count[TOP] < m[TOP]->count || count[BELOW] < m[BELOW]->count) {
        bool top = count[BELOW] == m[BELOW]->count ||
                   (count[TOP] < m[TOP]->count &&
                    m[TOP]->log[count[TOP]].when < m[BELOW]->log[count[BELOW]].when);

        count[top ? TOP : BELOW]++;
        while (mark + 1 < r->marks && r->mark[mark + 1].from[TOP] <= count[TOP] &&
               r->mark[mark + 1].from[BELOW] <= count[BELOW])
            mark++;
        if ((count[TOP] + count[BELOW]) % stride)
            continue;
        check_cut(r, before, count, &r->mark[mark], false);
        check_cut(r, before, count, &r->mark[mark], true);
    }
}

static struct node *copy_of(struct node *file)
{
    return mem_create(mem_of(file)->bytes, mem_of(file)->len, MAX);
}

static void one_run(u64 seed)
{
    static const u32 sizes[] = {512, 4096, 65536};
    static struct run r;
    struct qcow2_create c = {.size = SIZE, .backing = "below", .backing_format = "raw"};
    struct node *copy[FILES];
    struct mem_node *before[FILES];
    struct err err = {""};
    u64 clock = 0;

    memset(&r, 0, sizeof(r));
    r.random = seed_now = seed;
    c.cluster_size = sizes[pick(&r, 3)];
    r.file[TOP] = mem_create(NULL, 0, MAX);
    r.file[BELOW] = mem_create(NULL, 0, MAX);
    r.file[BELOW]->growable = false;
    r.file[BELOW]->size = SIZE;
    if (qcow2_create(r.file[TOP], &c, &err) ||
        qcow2_open(&r.image, r.file[TOP], false, NULL, &err)) {
        wrong(err.msg, 0);
        return;
    }
    qcow2_set_backing(r.image, r.file[BELOW]);
    r.disk = r.image;
    for (u32 f = 0; f < FILES; f++) {
        copy[f] = copy_of(r.file[f]);
        before[f] = mem_of(copy[f]);
        mem_of(r.file[f])->recording = true;
        mem_of(r.file[f])->clock = &clock;
    }
    mark_add(&r);
    for (u32 i = 0; i < 3; i++) {
        steps(&r, 15);
        commit(&r);
    }
    cut_all(&r, before);
    for (u32 f = 0; f < FILES; f++)
        node_close(copy[f]);
    node_close(r.image);
}

int main(int argc, char **argv)
{
    u64 seed = (u64)time(NULL) * 1000003 + (u64)getpid(), want = 2000;

    for (int i = 1; i + 1 < argc; i += 2) {
        if (!strcmp(argv[i], "--seed"))
            seed = strtoull(argv[i + 1], NULL, 0);
        else if (!strcmp(argv[i], "--cuts"))
            want = strtoull(argv[i + 1], NULL, 0);
    }
    printf("1..1\n# seed %" PRIu64 "\n", seed);
    while (cuts_done < want && failures < 10)
        one_run(seed++);
    printf("# %" PRIu64 " cuts\n%sok 1 - no cut during a commit loses what was flushed\n",
           cuts_done, failures ? "not " : "");
    return failures != 0;
}
