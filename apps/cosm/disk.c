/* SPDX-License-Identifier: BSD-2-Clause */
/* cosm disk: makes, examines and changes disk images. */
#include "apps/cosm/disk.h"

#include "api/record.h"
#include "apps/cosm/disk_impl.h"
#include "apps/cosm/disk_vm.h"
#include "base/checked.h"
#include "base/fmt.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int disk_resize(const struct disk *d, struct err *err);

static const struct verb {
    const char *name;
    int (*run)(const struct disk *d, struct err *err);
    u32 least, most; /* operands */
    const char *usage;
} verbs[] = {
    {"create", disk_create, 1, 2, "[-f FORMAT] [-o OPTION,...] [-b FILE [-F FORMAT]] FILE [SIZE]"},
    {"info", disk_info, 1, 1, "[-f FORMAT] [--json] FILE"},
    {"check", disk_check, 1, 1, "[-r leaks|all] [--json] FILE"},
    {"convert", disk_convert, 2, 2, "[-f FORMAT] [-O FORMAT] [-c] [-o OPTION,...] FILE TARGET"},
    {"compare", disk_compare, 2, 2, "[-f FORMAT] [-F FORMAT] FILE FILE"},
    {"resize", disk_resize, 2, 2, "[-f FORMAT] [--shrink] FILE [+|-]SIZE"},
    {"snapshot", disk_snapshot, 2, 3, "create|list|apply|delete FILE [NAME], or external FILE NEW"},
    {"rebase", disk_rebase, 1, 1, "[-u] -b FILE [-F FORMAT] FILE"},
    {"commit", disk_commit, 1, 1, "FILE"},
    {"serve", disk_serve, 1, 1,
     "[-f FORMAT] [--socket PATH|--listen HOST[:PORT]] [--export NAME] [--readonly] FILE"},
};

int disk_format(const char *text, const char *path, enum drive_format *format, struct err *err)
{
    *format = drive_format_of(path);
    if (!text || drive_format_parse(text, format))
        return 0;
    err_set(err, EINVAL, "the format '%.64s' is not known; give raw or qcow2", text);
    return DISK_USAGE;
}

bool disk_size(const char *text, u64 *size)
{
    static const char units[] = "kMGT";
    const char *unit = NULL;
    char *end;
    u64 n;

    if (*text < '0' || *text > '9')
        return false;
    errno = 0;
    n = strtoull(text, &end, 10);
    if (errno)
        return false;
    if (*end) {
        unit = strchr(units, *end == 'K' ? 'k' : *end);
        if (!unit || end[1])
            return false;
    }
    for (; unit && unit >= units; unit--)
        if (!checked_mul(n, KIB, &n))
            return false;
    *size = n;
    return n <= INT64_MAX;
}

int disk_open(const struct disk *d, const char *path, const char *format,
              struct drive_options options, struct node **node, struct err *err)
{
    if (format && !drive_format_parse(format, &options.format)) {
        err_set(err, EINVAL, "the format '%.64s' is not known; give raw or qcow2", format);
        return DISK_USAGE;
    }
    options.backing = d->o->disk.backing;
    options.log = &d->log;
    options.name_holder = record_name_of;
    return drive_open(node, path, &options, err) ? DISK_FAILED : 0;
}

int disk_close(struct node *node, int status, struct err *err)
{
    int ret = node_flush(node);

    if (ret && status >= 0) {
        err_set(err, -ret, "'%s' cannot be written: %s", node->name, strerror(-ret));
        status = DISK_FAILED;
    }
    node_close(node);
    return status;
}

/* "10G", "+1G", "-512M". */
static int new_size(const char *text, u64 old, u64 *size, struct err *err)
{
    bool relative = *text == '+' || *text == '-';
    u64 n;

    if (disk_size(text + relative, &n) && !(*text == '-' && n > old)) {
        *size = !relative ? n : *text == '+' ? old + n : old - n;
        if (*size <= INT64_MAX)
            return 0;
    }
    return err_set(err, EINVAL, "'%.64s' is no size; give 10G, +1G or -512M", text);
}

static int resize_in_vm(struct disk_vm *vm, const char *text, struct err *err)
{
    char arguments[128];
    u64 size = 0;
    int ret = DISK_FAILED;

    if (new_size(text, vm->size, &size, err)) {
        ret = DISK_USAGE;
    } else {
        fmt_print(arguments, sizeof(arguments), "{\"device\": \"%s\", \"size\": %llu}", vm->device,
                  (unsigned long long)size);
        if (client_call_with(&vm->client, vm->name, "block_resize", arguments, err))
            ret = 0;
    }
    disk_vm_leave(vm);
    return ret;
}

static int disk_resize(const struct disk *d, struct err *err)
{
    const char *path = d->arg[0], *text = d->arg[1];
    struct disk_vm vm;
    struct node *node;
    u64 size = 0;
    int ret = disk_open(d, path, d->o->disk.format, (struct drive_options){0}, &node, err);

    if (ret == DISK_FAILED && disk_vm_find(path, &vm))
        return resize_in_vm(&vm, text, err);
    if (ret)
        return ret;
    ret = new_size(text, node->size, &size, err);
    if (ret) {
        ret = DISK_USAGE;
    } else if (size < node->size && !d->o->disk.shrink) {
        err_set(err, EINVAL,
                "'%s' has %llu bytes, of which the last would be lost; to do so, say --shrink",
                path, (unsigned long long)node->size);
        ret = DISK_FAILED;
    } else if (node_resize(node, size, err)) {
        ret = DISK_FAILED;
    }
    return disk_close(node, ret, err);
}

static void warn(void *ctx, enum log_level level, const char *subsystem, const char *text)
{
    fprintf(stderr, "cosm: %s\n", text);
}

int disk_main(const struct options *options, struct err *err)
{
    struct disk d = {.o = options, .log = {.write = warn, .level = LOG_WARN}};
    const char *name = options->operands ? options->operand[0] : NULL;

    if (!name) {
        err_set(err, EINVAL,
                "what is to be done? cosm disk create, info, check, ...: see 'cosm help disk'");
        return DISK_USAGE;
    }
    d.arg = options->operand + 1;
    d.args = options->operands - 1;
    for (size_t i = 0; i < ARRAY_SIZE(verbs); i++) {
        if (strcmp(verbs[i].name, name))
            continue;
        if (d.args >= verbs[i].least && d.args <= verbs[i].most)
            return verbs[i].run(&d, err);
        err_set(err, EINVAL, "usage: cosm disk %s %s", name, verbs[i].usage);
        return DISK_USAGE;
    }
    err_set(err, EINVAL, "'%.64s' is nothing that cosm disk does; see 'cosm help disk'", name);
    return DISK_USAGE;
}
