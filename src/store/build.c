/* SPDX-License-Identifier: BSD-2-Clause */
/* Makes images: packages from the archive, installed and configured inside a VM. */
#include "store/build.h"

#include "api/json.h"
#include "base/fmt.h"
#include "block/file.h"
#include "block/qcow2.h"
#include "host/child.h"
#include "host/file.h"
#include "host/scope.h"
#include "store/iso.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#define WORK     ".new" /* where an image is made, in its folder */
#define JSON_MAX (1 * MIB)

/* What every image has: it boots, grows, and takes packages. */
static const char *const base_packages[] = {
    "?priority(required)",
    "apt",
    "systemd-sysv",
    "udev",
    "kmod",
    "e2fsprogs",
    "fdisk",
    "linux-image-riscv64",
    "u-boot-menu",
    "initramfs-tools",
    "lz4",
    "iproute2",
    "netbase",
    "openssh-server",
    "sudo",
};

/* What makes it comfortable. */
static const char *const server_packages[] = {
    "systemd-resolved",
    "libnss-myhostname",
    "libpam-systemd",
    "dbus",
    "ca-certificates",
    "curl",
    "less",
    "vim-tiny",
    "procps",
    "iputils-ping",
    "openssh-client", /* the server comes without it since forky */
    "zstd",
};

static const char *const essential[] = {"?essential"};

const char *const build_suites[] = {"trixie", "forky", "sid"};
const u32 build_suite_count = ARRAY_SIZE(build_suites);

/* KIND[:SUITE] becomes a recipe without packages of its own. */
static bool begin_recipe(struct recipe *recipe, const char *kind, const char *name)
{
    size_t len = strlen(kind);
    const char *suite = build_suites[0];

    if (strncmp(name, kind, len) || (name[len] && name[len] != ':'))
        return false;
    if (name[len])
        suite = name + len + 1;
    for (u32 i = 0; i < build_suite_count; i++) {
        if (strcmp(build_suites[i], suite))
            continue;
        *recipe = (struct recipe){.size = BUILD_SIZE};
        fmt_print(recipe->suite, sizeof(recipe->suite), "%s", suite);
        return true;
    }
    return false;
}

bool build_from(struct recipe *recipe, const char *name)
{
    return build_recipe(recipe, name) || begin_recipe(recipe, "minimal", name);
}

bool build_recipe(struct recipe *recipe, const char *name)
{
    struct err ignored;

    if (!begin_recipe(recipe, "debian", name) || image_check_name(name, recipe->name, &ignored))
        return false;
    recipe->packages = server_packages;
    recipe->package_count = ARRAY_SIZE(server_packages);
    return true;
}

struct build {
    const struct recipe *recipe;
    const struct progress *progress;
    struct apt apt;
    struct parts parts;
    char folder[PLACE_MAX], work[PLACE_MAX];
};

static int resolve(struct build *b, const char *const *names, u32 count, struct err *err)
{
    struct apt *apt = &b->apt;
    int r = apt_resolve(apt, essential, ARRAY_SIZE(essential), &b->parts.first, err);

    if (!r)
        r = apt_resolve(apt, names, count, &b->parts.all, err);
    if (!r)
        r = apt_resolve(apt, installer_tools, installer_tool_count, &b->parts.tools, err);
    if (!r && b->parts.all.count + b->recipe->copy_count > ISO_FILES_MAX - 8)
        r = err_set(err, E2BIG, "%u packages and files are more than an image can have",
                    b->parts.all.count + b->recipe->copy_count);
    return r;
}

static int fetch(struct build *b, struct err *err)
{
    const struct recipe *recipe = b->recipe;
    u32 base = ARRAY_SIZE(base_packages), count = base + recipe->package_count;
    AUTO_FREE const char **names = malloc(count * sizeof(*names));
    int r;

    if (!names)
        return err_set(err, ENOMEM, "no memory for a list of packages");
    memcpy(names, base_packages, sizeof(base_packages));
    if (recipe->package_count)
        memcpy(names + base, recipe->packages, recipe->package_count * sizeof(*names));
    r = apt_open(&b->apt, recipe->suite, err);
    if (!r)
        r = apt_update(&b->apt, b->progress, err);
    if (!r)
        r = resolve(b, names, count, err);
    if (!r)
        r = apt_download(&b->apt, names, count, b->progress, err);
    if (!r)
        r = apt_download(&b->apt, installer_tools, installer_tool_count, b->progress, err);
    return r;
}

static int make_disk(const struct build *b, struct err *err)
{
    const struct file_options options = {.create = true, .growable = true};
    const struct qcow2_create create = {.size = b->recipe->size};
    char path[PLACE_MAX];
    struct node *file;
    int r = place_join(path, b->work, INSTALLER_DISK, err);

    if (!r)
        r = file_open(&file, path, &options, err);
    if (r)
        return r;
    r = qcow2_create(file, &create, err);
    node_close(file);
    return r;
}

/* By coreutils, as nothing else here needs such sums. */
static int digest(const char *path, char text[80], struct err *err)
{
    char *argv[] = {(char *)(uintptr_t) "sha256sum", (char *)(uintptr_t) "--binary",
                    (char *)(uintptr_t)path, NULL};
    const struct child child = {.argv = argv, .package = "apt-get install coreutils"};
    char line[PLACE_MAX + 80];
    const char *sum = line;
    int r = child_output(&child, line, sizeof(line), err);

    sum += line[0] == '\\'; /* the path has special characters */
    if (!r && strspn(sum, "0123456789abcdef") != 64)
        r = err_set(err, EPROTO, "sha256sum printed no sum");
    fmt_print(text, 80, "sha256:%.64s", sum);
    return r;
}

static void put_packages(struct json_out *out, const struct apt_list *list)
{
    json_key(out, "packages");
    json_open(out, '[');
    for (u32 i = 0; i < list->count; i++) {
        json_open(out, '{');
        json_key(out, "name");
        json_put_string(out, list->package[i].name);
        json_key(out, "version");
        json_put_string(out, list->package[i].version);
        json_close(out, '}');
    }
    json_close(out, ']');
}

static void put_string(struct json_out *out, const char *key, const char *value)
{
    json_key(out, key);
    json_put_string(out, value);
}

static int write_record(const struct build *b, const char *id, struct err *err)
{
    AUTO_FREE char *text = malloc(JSON_MAX);
    char path[PLACE_MAX], sum[80];
    struct json_out out;
    int r = place_join(path, b->work, INSTALLER_DISK, err);

    if (!text)
        return err_set(err, ENOMEM, "no memory for what the image is made of");
    if (!r)
        r = digest(path, sum, err);
    if (r)
        return r;
    json_out_init(&out, text, JSON_MAX);
    json_open(&out, '{');
    put_string(&out, "name", b->recipe->name);
    put_string(&out, "id", id);
    put_string(&out, "suite", b->recipe->suite);
    put_string(&out, "architecture", "riscv64");
    put_string(&out, "mirror", b->apt.mirror);
    put_string(&out, "digest", sum);
    json_key(&out, "created");
    json_put_integer(&out, time(NULL));
    json_key(&out, "virtual-size");
    json_put_integer(&out, (s64)b->recipe->size);
    put_packages(&out, &b->parts.all);
    json_close(&out, '}');
    if (out.cut)
        return err_set(err, E2BIG, "the image has too many packages");
    r = place_join(path, b->work, "image.json", err);
    return r ? r : file_write("image", path, text, out.len, err);
}

/* Only the finished image stays, and nobody writes to it any more. */
static int seal(struct build *b, struct err *err)
{
    static const char *const tools[] = {INSTALLER_KERNEL, INSTALLER_INITRD, INSTALLER_PACKAGES};
    char path[PLACE_MAX], id[IMAGE_ID_MAX];
    time_t now = time(NULL);
    struct tm tm;
    int r = 0;

    gmtime_r(&now, &tm);
    if (!strftime(id, sizeof(id), "%Y%m%d-%H%M%S", &tm))
        return err_set(err, EIO, "the host's clock tells no time");
    for (u32 i = 0; i < ARRAY_SIZE(tools) && !r; i++) {
        r = place_join(path, b->work, tools[i], err);
        if (!r && unlink(path) < 0)
            r = err_set(err, errno, "cannot remove '%.300s': %s", path, strerror(errno));
    }
    if (!r)
        r = write_record(b, id, err);
    if (!r)
        r = place_join(path, b->work, INSTALLER_DISK, err);
    if (!r && chmod(path, 0400) < 0)
        r = err_set(err, errno, "cannot protect '%.300s': %s", path, strerror(errno));
    if (!r)
        r = place_join(path, b->folder, id, err);
    if (!r && rename(b->work, path) < 0)
        r = err_set(err, errno, "cannot name '%.300s': %s", path, strerror(errno));
    return r;
}

static int make(struct build *b, struct err *err)
{
    int r = fetch(b, err);

    if (!r)
        r = installer_make(&b->apt, &b->parts, b->work, b->progress, err);
    if (!r)
        r = installer_packages(&b->apt, &b->parts, b->recipe, b->work, b->progress, err);
    if (!r)
        r = make_disk(b, err);
    if (!r)
        r = installer_run(b->work, b->progress, err);
    if (!r)
        r = progress_tell(b->progress, "seal", 1, 1, "") ? seal(b, err) : -ECANCELED;
    apt_list_free(&b->parts.first);
    apt_list_free(&b->parts.all);
    apt_list_free(&b->parts.tools);
    return r;
}

static void waiting(void *ctx)
{
    const struct progress *progress = ctx;

    progress_tell(progress, "wait", 0, 0, "another process makes images");
}

int build_image(const struct recipe *recipe, bool only_missing, const struct progress *progress,
                struct err *err)
{
    AUTO_FREE struct build *b = calloc(1, sizeof(*b));
    AUTO_FD int lock = -1;
    struct image image;
    struct err ignored;
    int r = image_check_name(recipe->name, NULL, err);

    if (r)
        return r;
    if (!b)
        return err_set(err, ENOMEM, "no memory to make an image");
    /* apt's cache is one for all images, and so is the lock. */
    lock = place_lock(PLACE_PACKAGES, "packages", waiting, (void *)(uintptr_t)progress, err);
    if (lock < 0)
        return lock;
    if (only_missing && !image_find(&image, recipe->name, &ignored))
        return 0;
    b->recipe = recipe;
    b->progress = progress;
    r = place_path(b->folder, PLACE_IMAGES, recipe->name, err);
    if (!r)
        r = place_join(b->work, b->folder, WORK, err);
    if (!r)
        r = place_remove(b->work, err);
    if (!r)
        r = place_make(b->work, err);
    if (r)
        return r;
    r = make(b, err);
    if (place_remove(b->work, &ignored))
        return r; /* the next one tries again */
    if (r)
        rmdir(b->folder); /* unless it has older ones */
    else
        image_collect(recipe->name);
    return r;
}
