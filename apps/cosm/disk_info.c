/* SPDX-License-Identifier: BSD-2-Clause */
/* cosm disk info and check: what an image is, and whether it is sound. */
#include "apps/cosm/disk_impl.h"
#include "apps/cosm/disk_vm.h"
#include "block/file.h"
#include "host/scope.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

void disk_print_string(const char *text)
{
    putchar('"');
    for (; *text; text++) {
        if ((u8)*text < ' ' || *text == 0x7f)
            printf("\\u%04x", (u8)*text);
        else
            printf("%s%c", *text == '"' || *text == '\\' ? "\\" : "", *text);
    }
    putchar('"');
}

/* "10 GiB" */
static const char *human(u64 bytes, char *text, size_t room)
{
    static const char *const units[] = {"B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"};
    double n = (double)bytes;
    u32 i = 0;

    while (n >= 1000 && i + 1 < ARRAY_SIZE(units)) {
        n /= 1024;
        i++;
    }
    snprintf(text, room, "%.3g %s", n, units[i]);
    return text;
}

struct image_info {
    const char *path;
    u64 size, occupied;
    bool is_qcow2;
    struct qcow2_info q;
    struct qcow2_snapshot_info *list;
    u32 snapshots;
};

static void info_json(const struct image_info *i)
{
    const struct qcow2_info *q = &i->q;

    printf("{\n    \"virtual-size\": %llu,\n    \"filename\": ", (unsigned long long)i->size);
    disk_print_string(i->path);
    printf(",\n    \"format\": \"%s\",\n    \"actual-size\": %llu", i->is_qcow2 ? "qcow2" : "raw",
           (unsigned long long)i->occupied);
    if (!i->is_qcow2) {
        printf("\n}\n");
        return;
    }
    printf(",\n    \"cluster-size\": %u,\n    \"dirty-flag\": %s", q->cluster_size,
           q->dirty ? "true" : "false");
    if (*q->backing) {
        printf(",\n    \"backing-filename\": ");
        disk_print_string(q->backing);
    }
    if (*q->backing_format) {
        printf(",\n    \"backing-filename-format\": ");
        disk_print_string(q->backing_format);
    }
    printf(",\n    \"snapshots\": [");
    for (u32 n = 0; n < i->snapshots; n++) {
        const struct qcow2_snapshot_info *s = &i->list[n];

        printf("%s\n        {\"id\": ", n ? "," : "");
        disk_print_string(s->id);
        printf(", \"name\": ");
        disk_print_string(s->name);
        printf(
            ", \"vm-state-size\": %llu, \"disk-size\": %llu, \"date-sec\": %u, \"date-nsec\": %u}",
            (unsigned long long)s->vm_state_size, (unsigned long long)s->size, s->seconds,
            s->nanoseconds);
    }
    printf("%s],\n    \"format-specific\": {\"type\": \"qcow2\", \"data\": {\"compat\": \"%s\", "
           "\"compression-type\": \"%s\", \"lazy-refcounts\": %s, \"refcount-bits\": %u, "
           "\"corrupt\": %s, \"extended-l2\": %s}}\n}\n",
           i->snapshots ? "\n    " : "", q->version == 3 ? "1.1" : "0.10",
           q->compression == QCOW2_ZSTD ? "zstd" : "zlib", q->lazy_refcounts ? "true" : "false",
           q->refcount_bits, q->corrupt ? "true" : "false", q->extended_l2 ? "true" : "false");
}

static void list_text(const struct qcow2_snapshot_info *list, u32 count)
{
    char size[32], date[32];

    printf("%-10s%-24s%10s  %-20s\n", "ID", "NAME", "DISK SIZE", "DATE");
    for (u32 n = 0; n < count; n++) {
        time_t at = list[n].seconds;
        struct tm tm;

        strftime(date, sizeof(date), "%Y-%m-%d %H:%M:%S", localtime_r(&at, &tm));
        printf("%-9s %-23s %10s  %s\n", list[n].id, list[n].name,
               human(list[n].size, size, sizeof(size)), date);
    }
}

static void info_text(const struct image_info *i)
{
    const struct qcow2_info *q = &i->q;
    char text[32];

    printf("image: %s\nfile format: %s\nvirtual size: %s (%llu bytes)\n", i->path,
           i->is_qcow2 ? "qcow2" : "raw", human(i->size, text, sizeof(text)),
           (unsigned long long)i->size);
    printf("disk size: %s\n", human(i->occupied, text, sizeof(text)));
    if (!i->is_qcow2)
        return;
    printf("cluster size: %u\n", q->cluster_size);
    if (*q->backing)
        printf("backing file: %s\nbacking file format: %s\n", q->backing,
               *q->backing_format ? q->backing_format : "not told");
    printf("version: %u\ncompression type: %s\nrefcount bits: %u\nlazy refcounts: %s\n", q->version,
           q->compression == QCOW2_ZSTD ? "zstd" : "zlib", q->refcount_bits,
           q->lazy_refcounts ? "on" : "off");
    if (q->extended_l2 || q->dirty || q->corrupt)
        printf("state:%s%s%s\n", q->extended_l2 ? " subclusters" : "", q->dirty ? " dirty" : "",
               q->corrupt ? " damaged" : "");
    if (i->snapshots) {
        printf("snapshots:\n");
        list_text(i->list, i->snapshots);
    }
}

int disk_info(const struct disk *d, struct err *err)
{
    struct drive_options io = {.readonly = true, .alone = true, .check_only = true};
    struct image_info info = {.path = d->arg[0]};
    struct node *node;
    u64 length;
    int ret = disk_open(d, d->arg[0], d->o->disk.format, io, &node, err);

    if (ret)
        return ret;
    info.size = node->size;
    info.is_qcow2 = qcow2_is(node);
    if (info.is_qcow2) {
        qcow2_get_info(node, &info.q);
        ret = qcow2_snapshot_list(node, &info.list, &info.snapshots, err);
    }
    if (!ret && file_length(drive_file(node), &length, &info.occupied))
        ret = err_set(err, errno, "'%s' cannot be examined", d->arg[0]);
    if (!ret)
        (d->o->json ? info_json : info_text)(&info);
    free(info.list);
    node_close(node);
    return ret ? DISK_FAILED : 0;
}

static void check_json(const char *path, const struct qcow2_check *c)
{
    printf("{\n    \"filename\": ");
    disk_print_string(path);
    printf(",\n    \"format\": \"qcow2\",\n    \"check-errors\": 0,\n    \"leaks\": %llu,\n"
           "    \"corruptions\": %llu,\n    \"leaks-fixed\": %llu,\n    \"corruptions-fixed\": "
           "%llu,\n",
           (unsigned long long)(c->leaks - c->leaks_fixed),
           (unsigned long long)(c->corruptions - c->corruptions_fixed),
           (unsigned long long)c->leaks_fixed, (unsigned long long)c->corruptions_fixed);
    printf("    \"image-end-offset\": %llu,\n    \"total-clusters\": %llu,\n"
           "    \"allocated-clusters\": %llu,\n    \"compressed-clusters\": %llu,\n"
           "    \"fragmented-clusters\": %llu\n}\n",
           (unsigned long long)c->end, (unsigned long long)c->total,
           (unsigned long long)c->allocated, (unsigned long long)c->compressed,
           (unsigned long long)c->fragmented);
}

static void check_text(const struct qcow2_check *c)
{
    u64 leaks = c->leaks - c->leaks_fixed, wrong = c->corruptions - c->corruptions_fixed;

    if (c->leaks_fixed || c->corruptions_fixed)
        printf("Repaired: %llu errors, %llu leaked clusters.\n",
               (unsigned long long)c->corruptions_fixed, (unsigned long long)c->leaks_fixed);
    if (wrong)
        printf("%llu errors, data may be wrong; the first: %s.\n", (unsigned long long)wrong,
               c->first);
    if (leaks)
        printf("%llu leaked clusters: space that is lost until -r leaks, but no data.\n",
               (unsigned long long)leaks);
    if (!wrong && !leaks)
        printf("No errors were found.\n");
    printf("%llu of %llu clusters allocated, %llu compressed, %llu out of order; the image ends at "
           "%llu.\n",
           (unsigned long long)c->allocated, (unsigned long long)c->total,
           (unsigned long long)c->compressed, (unsigned long long)c->fragmented,
           (unsigned long long)c->end);
}

int disk_check(const struct disk *d, struct err *err)
{
    const char *how = d->o->disk.repair;
    enum qcow2_repair repair = !how                    ? QCOW2_REPAIR_NONE
                               : !strcmp(how, "leaks") ? QCOW2_REPAIR_LEAKS
                                                       : QCOW2_REPAIR_ALL;
    struct drive_options io = {.readonly = !how, .alone = true, .check_only = true};
    struct qcow2_check c;
    struct node *node;
    int ret;

    if (how && repair == QCOW2_REPAIR_ALL && strcmp(how, "all")) {
        err_set(err, EINVAL, "-r %.64s is not possible; give leaks or all", how);
        return DISK_USAGE;
    }
    ret = disk_open(d, d->arg[0], d->o->disk.format, io, &node, err);
    if (ret)
        return ret;
    if (!qcow2_is(node)) {
        err_set(err, ENOTSUP, "'%s' is a raw image, in which nothing can be checked", d->arg[0]);
        ret = DISK_FAILED;
    } else if (qcow2_check(node, repair, &c, err)) {
        ret = DISK_FAILED;
    }
    ret = disk_close(node, ret, err);
    if (ret)
        return ret;
    if (d->o->json)
        check_json(d->arg[0], &c);
    else if (!d->o->disk.quiet)
        check_text(&c);
    return c.corruptions > c.corruptions_fixed ? 2 : c.leaks > c.leaks_fixed ? 3 : 0;
}

static int snapshot_do(const struct disk *d, struct node *node, const char *what, struct err *err)
{
    const char *name = d->args > 2 ? d->arg[2] : NULL;
    struct qcow2_snapshot_info *list;
    struct timespec now;
    u32 count;

    if (!strcmp(what, "list")) {
        if (qcow2_snapshot_list(node, &list, &count, err))
            return DISK_FAILED;
        list_text(list, count);
        free(list);
        return 0;
    }
    clock_gettime(CLOCK_REALTIME, &now);
    if (!strcmp(what, "create"))
        return qcow2_snapshot_create(node, name, (u64)now.tv_sec * 1000000000 + (u64)now.tv_nsec,
                                     err)
                   ? DISK_FAILED
                   : 0;
    if (!strcmp(what, "apply"))
        return qcow2_snapshot_apply(node, name, err) ? DISK_FAILED : 0;
    return qcow2_snapshot_delete(node, name, err) ? DISK_FAILED : 0;
}

/* A new image on top of one that a VM uses. */
static int snapshot_external(const char *path, const char *new, struct err *err)
{
    struct disk_vm vm;
    int ret;

    if (!disk_vm_find(path, &vm)) {
        err_set(err, ENOENT,
                "no running VM with a name uses '%s'; where none does, make an image on top of it "
                "with: cosm disk create -b '%s' -F FORMAT '%s'",
                path, path, new);
        return DISK_FAILED;
    }
    ret = disk_vm_snapshot(&vm, new, err);
    disk_vm_leave(&vm);
    return ret ? DISK_FAILED : 0;
}

int disk_snapshot(const struct disk *d, struct err *err)
{
    static const char *const verbs[] = {"list", "create", "apply", "delete"};
    const char *what = d->arg[0];
    struct drive_options io = {.alone = true};
    struct node *node;
    u32 i = 0;
    int ret;

    while (i < ARRAY_SIZE(verbs) && strcmp(verbs[i], what))
        i++;
    if (!strcmp(what, "external") && d->args == 3)
        return snapshot_external(d->arg[1], d->arg[2], err);
    if (i == ARRAY_SIZE(verbs) || d->args != (i ? 3u : 2u)) {
        err_set(err, EINVAL,
                "usage: cosm disk snapshot create|apply|delete FILE NAME, list FILE, or external "
                "FILE NEW");
        return DISK_USAGE;
    }
    io.readonly = io.check_only = !i;
    ret = disk_open(d, d->arg[1], d->o->disk.format, io, &node, err);
    if (ret)
        return ret;
    if (qcow2_is(node)) {
        ret = snapshot_do(d, node, what, err);
    } else {
        err_set(err, ENOTSUP, "'%s' is a raw image, which has no snapshots", d->arg[1]);
        ret = DISK_FAILED;
    }
    return disk_close(node, ret, err);
}
