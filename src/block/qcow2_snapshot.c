/* SPDX-License-Identifier: BSD-2-Clause */
/* Snapshots within a qcow2 image. */
#include "block/qcow2_impl.h"

#include "base/checked.h"
#include "base/endian.h"
#include "base/fmt.h"
#include "host/scope.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define ENTRY      40 /* bytes of an entry before what varies */
#define EXTRA      24 /* bytes of extra data that we write */
#define EXTRA_MAX  1024
#define NAME_LIMIT 255
#define TABLE_MAX  (64 * MIB)

void qcow2_snapshots_fini(struct qcow2_snapshots *s)
{
    for (u32 i = 0; i < s->count; i++)
        free(s->list[i].raw);
    free(s->list);
    *s = (struct qcow2_snapshots){0};
}

static void name_load(char *to, size_t room, const u8 *from, u32 len)
{
    u32 n = len < room ? len : (u32)room - 1;

    for (u32 i = 0; i < n; i++)
        to[i] = from[i] < ' ' || from[i] == 0x7f ? '?' : (char)from[i];
    to[n] = '\0';
}

/* Reads one entry. 0, -EINVAL: it cannot be right, or another -errno. */
static int snapshot_load(struct qcow2 *q, u64 at, struct qcow2_snapshot *s)
{
    u8 head[ENTRY];
    u32 extra, id, name;
    int ret = node_read_bytes(q->file, at, head, sizeof(head));

    if (ret)
        return ret;
    id = be16_load(head + 12);
    name = be16_load(head + 14);
    extra = be32_load(head + 36);
    s->l1_at = be64_load(head);
    s->l1_size = be32_load(head + 8);
    s->seconds = be32_load(head + 16);
    s->nanoseconds = be32_load(head + 20);
    s->clock = be64_load(head + 24);
    s->vm_state_size = be32_load(head + 32);
    s->size = q->h.size;
    if (extra > EXTRA_MAX || s->l1_size > QCOW2_L1_MAX / 8 || qcow2_in_cluster(q, s->l1_at))
        return -EINVAL;
    s->raw_len = ENTRY + extra + id + name;
    s->raw = malloc(s->raw_len);
    ret = s->raw ? node_read_bytes(q->file, at, s->raw, s->raw_len) : -ENOMEM;
    if (ret)
        return ret;
    if (extra >= 8)
        s->vm_state_size = be64_load(s->raw + ENTRY);
    if (extra >= 16)
        s->size = be64_load(s->raw + ENTRY + 8);
    name_load(s->id, sizeof(s->id), s->raw + ENTRY + extra, id);
    name_load(s->name, sizeof(s->name), s->raw + ENTRY + extra + id, name);
    return s->size > QCOW2_FILE_MAX || s->size % BLK_SECTOR ? -EINVAL : 0;
}

int qcow2_snapshots_load(struct qcow2 *q, struct qcow2_snapshots *s, struct err *err)
{
    int ret = 0;

    *s = (struct qcow2_snapshots){0};
    if (!q->h.snapshots)
        return 0;
    s->list = calloc(q->h.snapshots, sizeof(*s->list));
    if (!s->list)
        return err_set(err, ENOMEM, "'%s': out of memory", q->node.name);
    while (!ret && s->count < q->h.snapshots) {
        u64 at;

        if (s->len > TABLE_MAX || !checked_add(q->h.snapshots_at, s->len, &at))
            ret = -EINVAL;
        else
            ret = snapshot_load(q, at, &s->list[s->count]);
        s->len += align_up(s->list[s->count].raw_len, 8);
        s->count++; /* so that its memory is freed */
    }
    if (ret)
        qcow2_snapshots_fini(s);
    if (ret == -EINVAL)
        return err_set(err, EINVAL, "'%s' is damaged: its snapshot table has an impossible entry",
                       q->node.name);
    return ret ? err_set(err, -ret, "'%s' cannot be read: %s", q->node.name, strerror(-ret)) : 0;
}

int qcow2_snapshot_list(struct node *node, struct qcow2_snapshot_info **list, u32 *count,
                        struct err *err)
{
    struct qcow2 *q = qcow2_of(node);
    struct qcow2_snapshots s;
    int ret = qcow2_snapshots_load(q, &s, err);

    if (ret)
        return ret;
    *count = s.count;
    *list = calloc(s.count ? s.count : 1, sizeof(**list));
    for (u32 i = 0; *list && i < s.count; i++) {
        struct qcow2_snapshot_info *info = &(*list)[i];

        memcpy(info->id, s.list[i].id, sizeof(info->id));
        memcpy(info->name, s.list[i].name, sizeof(info->name));
        info->size = s.list[i].size;
        info->vm_state_size = s.list[i].vm_state_size;
        info->clock = s.list[i].clock;
        info->seconds = s.list[i].seconds;
        info->nanoseconds = s.list[i].nanoseconds;
    }
    qcow2_snapshots_fini(&s);
    return *list ? 0 : err_set(err, ENOMEM, "'%s': out of memory", node->name);
}

/* By id, else by name. */
static int snapshot_find(const struct qcow2 *q, const struct qcow2_snapshots *s, const char *name,
                         u32 *index, struct err *err)
{
    for (u32 i = 0; i < s->count; i++) {
        *index = i;
        if (!strcmp(s->list[i].name, name))
            return 0;
    }
    for (u32 i = 0; i < s->count; i++) {
        *index = i;
        if (!strcmp(s->list[i].id, name))
            return 0;
    }
    return err_set(err, ENOENT,
                   "'%s' has no snapshot '%s'; list them with: cosm disk snapshot list '%s'",
                   q->node.name, name, q->node.name);
}

/* The entry of a new snapshot, which takes over the present L1 table. */
static int snapshot_make(struct qcow2 *q, struct qcow2_snapshot *s, u32 id, const char *name,
                         u64 now_ns)
{
    u32 id_len, name_len = (u32)strlen(name);
    u8 *raw;

    *s = (struct qcow2_snapshot){.l1_at = q->h.l1_at, .l1_size = q->h.l1_size};
    id_len = (u32)fmt_print(s->id, sizeof(s->id), "%u", id);
    s->raw_len = ENTRY + EXTRA + id_len + name_len;
    s->raw = raw = calloc(1, s->raw_len);
    if (!raw)
        return -ENOMEM;
    be64_store(raw, q->h.l1_at);
    be32_store(raw + 8, q->h.l1_size);
    be16_store(raw + 12, (u16)id_len);
    be16_store(raw + 14, (u16)name_len);
    be32_store(raw + 16, (u32)(now_ns / 1000000000));
    be32_store(raw + 20, (u32)(now_ns % 1000000000));
    be32_store(raw + 36, EXTRA);
    be64_store(raw + ENTRY + 8, q->h.size);
    be64_store(raw + ENTRY + 16, UINT64_MAX); /* instructions were not counted */
    memcpy(raw + ENTRY + EXTRA, s->id, id_len);
    memcpy(raw + ENTRY + EXTRA + id_len, name, name_len);
    return 0;
}

static int snapshot_add(struct qcow2 *q, struct qcow2_snapshots *s, const char *name, u64 now_ns,
                        struct err *err)
{
    struct qcow2_snapshot *list;
    u32 id = 1;
    int ret;

    if (!*name || strlen(name) > NAME_LIMIT)
        return err_set(err, EINVAL, "a snapshot's name has 1 to %d bytes", NAME_LIMIT);
    for (u32 i = 0; i < s->count; i++) {
        u32 n = (u32)strtoul(s->list[i].id, NULL, 10);

        if (!strcmp(s->list[i].name, name))
            return err_set(err, EEXIST, "'%s' has a snapshot '%s' already", q->node.name, name);
        id = n >= id && n < UINT32_MAX ? n + 1 : id;
    }
    if (s->count == QCOW2_SNAPSHOTS_MAX)
        return err_set(err, EINVAL, "'%s' has as many snapshots as it can", q->node.name);
    list = realloc(s->list, (s->count + 1) * sizeof(*list));
    if (list)
        s->list = list;
    ret = list ? snapshot_make(q, &list[s->count], id, name, now_ns) : -ENOMEM;
    if (ret)
        return err_set(err, -ret, "'%s': out of memory", q->node.name);
    s->len += align_up(list[s->count++].raw_len, 8);
    return 0;
}

/* All that is to be done is in the file, and what is there is sound. */
static int snapshot_prepare(struct qcow2 *q, struct qcow2_snapshots *s, struct err *err)
{
    struct qcow2_check result;
    int ret;

    *s = (struct qcow2_snapshots){0};
    if (q->node.readonly)
        return err_set(err, EROFS, "'%s' is open read-only", q->node.name);
    ret = qcow2_check(&q->node, QCOW2_REPAIR_NONE, &result, err);
    if (ret)
        return ret;
    if (result.corruptions)
        return err_set(err, EIO, "'%s' is damaged: %s; repair it with: cosm disk check -r all '%s'",
                       q->node.name, result.first, q->node.name);
    return qcow2_snapshots_load(q, s, err);
}

static int snapshot_change(struct qcow2 *q, const struct qcow2_state *state, struct err *err)
{
    int ret;

    pthread_rwlock_wrlock(&q->io);
    pthread_mutex_lock(&q->lock);
    ret = qcow2_rebuild(q, state, err);
    pthread_mutex_unlock(&q->lock);
    pthread_rwlock_unlock(&q->io);
    return ret;
}

int qcow2_snapshot_create(struct node *node, const char *name, u64 now_ns, struct err *err)
{
    struct qcow2 *q = qcow2_of(node);
    struct qcow2_snapshots s;
    int ret = snapshot_prepare(q, &s, err);

    if (!ret)
        ret = snapshot_add(q, &s, name, now_ns, err);
    if (!ret) {
        const struct qcow2_state state = {q->h.size, q->l1.entry, q->h.l1_size, &s};

        ret = snapshot_change(q, &state, err);
    }
    qcow2_snapshots_fini(&s);
    return ret;
}

int qcow2_snapshot_delete(struct node *node, const char *name, struct err *err)
{
    struct qcow2 *q = qcow2_of(node);
    struct qcow2_snapshots s;
    u32 i = 0;
    int ret = snapshot_prepare(q, &s, err);

    if (!ret)
        ret = snapshot_find(q, &s, name, &i, err);
    if (!ret) {
        const struct qcow2_state state = {q->h.size, q->l1.entry, q->h.l1_size, &s};

        s.len -= align_up(s.list[i].raw_len, 8);
        free(s.list[i].raw);
        memmove(&s.list[i], &s.list[i + 1], (--s.count - i) * sizeof(*s.list));
        ret = snapshot_change(q, &state, err);
    }
    qcow2_snapshots_fini(&s);
    return ret;
}

int qcow2_snapshot_apply(struct node *node, const char *name, struct err *err)
{
    struct qcow2 *q = qcow2_of(node);
    struct qcow2_snapshots s;
    struct qcow2_table l1 = {0};
    u32 i = 0;
    int ret = snapshot_prepare(q, &s, err);

    if (!ret)
        ret = snapshot_find(q, &s, name, &i, err);
    if (!ret && qcow2_table_load(q, &l1, s.list[i].l1_at, s.list[i].l1_size))
        ret = err_set(err, EIO, "'%s': the snapshot's table cannot be read", node->name);
    if (!ret) {
        const struct qcow2_state state = {s.list[i].size, l1.entry, l1.count, &s};

        ret = snapshot_change(q, &state, err);
    }
    free(l1.entry);
    qcow2_snapshots_fini(&s);
    return ret;
}

int qcow2_forget(struct node *node, struct err *err)
{
    struct qcow2 *q = qcow2_of(node);
    AUTO_FREE u64 *l1 = calloc(q->h.l1_size, sizeof(*l1));
    struct qcow2_snapshots s;
    int ret = snapshot_prepare(q, &s, err);

    if (!ret && !l1)
        ret = err_set(err, ENOMEM, "'%s': out of memory", node->name);
    if (!ret) {
        const struct qcow2_state state = {q->h.size, l1, q->h.l1_size, &s};

        ret = snapshot_change(q, &state, err);
    }
    qcow2_snapshots_fini(&s);
    return ret;
}
