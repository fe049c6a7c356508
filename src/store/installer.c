/* SPDX-License-Identifier: BSD-2-Clause */
/* What the VM boots that makes an image, and its run. */
#include "store/installer.h"

#include "base/fmt.h"
#include "host/child.h"
#include "host/file.h"
#include "host/scope.h"
#include "store/cpio.h"
#include "store/deb.h"
#include "store/iso.h"
#include "store/scripts.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#define COPY_MAX (1 * GIB)

const char *const installer_tools[] = {"busybox-static", "u-boot-qemu", "e2fsprogs"};
const u32 installer_tool_count = ARRAY_SIZE(installer_tools);

/* What is taken of a package, by the beginning of the name; where it lies in the initial system. */
struct taken {
    const char *package, *from, *to;
};

static const struct taken system_files[] = {
    {"busybox-static", "usr/bin/busybox", "bin/busybox"},
    {"e2fsprogs", "usr/sbin/mke2fs", "sbin/mke2fs"},
    {"e2fsprogs", "usr/sbin/tune2fs", "sbin/tune2fs"},
    {"e2fsprogs", "etc/mke2fs.conf", "etc/mke2fs.conf"},
    {"libc6", "usr/lib/riscv64-linux-gnu/", "lib/"},
    {"libext2fs2t64", "usr/lib/riscv64-linux-gnu/", "lib/"},
    {"libcom-err2", "usr/lib/riscv64-linux-gnu/", "lib/"},
    {"libblkid1", "usr/lib/riscv64-linux-gnu/", "lib/"},
    {"libuuid1", "usr/lib/riscv64-linux-gnu/", "lib/"},
};

/* Drivers, below /lib/modules/VERSION/kernel/; modprobe finds out which of them it needs. */
static const char *const drivers[] = {
    "fs/ext4/",
    "fs/jbd2/",
    "fs/mbcache",
    "fs/isofs/",
    "drivers/cdrom/",
    "lib/crc",
    "lib/libcrc",
    "crypto/crc32c",
    "drivers/block/virtio_blk",
    "drivers/virtio/virtio_mmio",
};

struct initrd {
    struct cpio cpio;
    const char *package; /* the one that is read; NULL: the kernel */
    FILE *kernel;        /* where it goes */
    bool has_kernel;
};

static bool begins(const char *text, const char *with)
{
    return !strncmp(text, with, strlen(with));
}

static bool is_driver(const char *name)
{
    const char *at = begins(name, "usr/lib/modules/") ? strstr(name, "/kernel/") : NULL;

    if (!at)
        return begins(name, "usr/lib/modules/") && strstr(name, "/modules.");
    for (u32 i = 0; i < ARRAY_SIZE(drivers); i++) {
        if (begins(at + 8, drivers[i]))
            return true;
    }
    return false;
}

/* In /boot, or beside its drivers in later suites. */
static bool is_kernel(const char *name)
{
    const char *at = begins(name, "usr/lib/modules/") ? strchr(name + 16, '/') : NULL;

    return begins(name, "boot/vmlinu") || (at && begins(at, "/vmlinu"));
}

/* Folders on the way to a file; doing so again does no harm. */
static void make_folders(struct cpio *cpio, const char *name)
{
    char part[TAR_NAME_MAX];

    for (const char *slash = strchr(name, '/'); slash; slash = strchr(slash + 1, '/')) {
        fmt_print(part, sizeof(part), "%.*s", (int)(slash - name), name);
        cpio_folder(cpio, part);
    }
}

/* Where a member goes; false: nowhere. */
static bool place_member(const struct initrd *in, const struct tar_member *m, char *name)
{
    if (!in->package) {
        fmt_print(name, TAR_NAME_MAX, "%s", m->name + 4);
        return is_driver(m->name);
    }
    for (u32 i = 0; i < ARRAY_SIZE(system_files); i++) {
        const struct taken *t = &system_files[i];
        const char *rest = m->name + strlen(t->from);

        if (strcmp(t->package, in->package) || !begins(m->name, t->from) || strchr(rest, '/') ||
            (t->to[strlen(t->to) - 1] == '/' && !strstr(rest, ".so")))
            continue;
        fmt_print(name, TAR_NAME_MAX, "%s%s", t->to, rest);
        return true;
    }
    return false;
}

static bool on_member(void *ctx, const struct tar_member *m)
{
    struct initrd *in = ctx;
    char name[TAR_NAME_MAX];
    const char *target = strrchr(m->link, '/');

    if (!in->package && m->kind == '0' && is_kernel(m->name))
        return true;
    if ((m->kind != '0' && m->kind != '2') || !place_member(in, m, name))
        return false;
    make_folders(&in->cpio, name);
    if (m->kind == '2') { /* what it points to lies beside it here */
        cpio_symlink(&in->cpio, name, target ? target + 1 : m->link);
        return false;
    }
    cpio_file(&in->cpio, name, m->mode | 0444, m->size);
    return true;
}

static void on_content(void *ctx, const struct tar_member *m, const u8 *bytes, size_t len,
                       bool last)
{
    struct initrd *in = ctx;

    if (!in->package && is_kernel(m->name)) {
        if (fwrite(bytes, 1, len, in->kernel) == len)
            in->has_kernel = in->has_kernel || last;
        return;
    }
    cpio_write(&in->cpio, bytes, len, last);
}

/* The file of a package that is in one of the lists. */
static int package_path(const struct apt *apt, const struct parts *parts, const char *name,
                        char path[PLACE_MAX], struct err *err)
{
    const struct apt_package *p = apt_list_find(&parts->all, name);

    if (!p)
        p = apt_list_find(&parts->tools, name);
    if (!p)
        return err_set(err, ENOENT, "the archive's %s has no package %s", apt->suite, name);
    return apt_file(apt, p, path, err);
}

static int add_package(struct initrd *in, const struct apt *apt, const struct parts *parts,
                       const char *name, struct err *err)
{
    const struct tar callbacks = {.member = on_member, .content = on_content, .ctx = in};
    char path[PLACE_MAX];
    int r = package_path(apt, parts, name, path, err);

    return r ? r : deb_read(path, &callbacks, err);
}

/* Kernel and drivers: linux-image-6.12.1+deb13-riscv64, or several packages in later suites. */
static int add_kernel(struct initrd *in, const struct apt *apt, const struct parts *parts,
                      struct err *err)
{
    static const char *const beginnings[] = {"linux-image-", "linux-base-", "linux-binary-",
                                             "linux-modules-"};
    int r = 0;

    in->package = NULL;
    for (u32 i = 0; i < parts->all.count && !r; i++) {
        const char *name = parts->all.package[i].name;

        for (u32 k = 0; k < ARRAY_SIZE(beginnings) && !r; k++) {
            size_t len = strlen(beginnings[k]);

            if (begins(name, beginnings[k]) && name[len] >= '0' && name[len] <= '9')
                r = add_package(in, apt, parts, name, err);
        }
    }
    if (!r && !in->has_kernel)
        r = err_set(err, ENOENT, "the archive's %s has no kernel for riscv64", apt->suite);
    return r;
}

static int add_system(struct initrd *in, const struct apt *apt, const struct parts *parts,
                      struct err *err)
{
    static const char *const folders[] = {"dev", "iso", "mnt", "proc", "sys", "tmp", "root"};
    int r = 0;

    for (u32 i = 0; i < ARRAY_SIZE(folders); i++)
        cpio_folder(&in->cpio, folders[i]);
    for (u32 i = 0; i < ARRAY_SIZE(system_files) && !r; i++) {
        in->package = system_files[i].package;
        if (i == 0 || strcmp(in->package, system_files[i - 1].package))
            r = add_package(in, apt, parts, in->package, err);
    }
    cpio_symlink(&in->cpio, "bin/sh", "busybox");
    cpio_file(&in->cpio, "init", 0755, sizeof(installer_sh) - 1);
    cpio_write(&in->cpio, installer_sh, sizeof(installer_sh) - 1, true);
    return r;
}

struct loader {
    FILE *file;
    bool whole;
};

static bool is_loader(void *ctx, const struct tar_member *m)
{
    (void)ctx;
    return m->kind == '0' && strstr(m->name, "/qemu-riscv64_smode/u-boot.bin");
}

static void take_loader(void *ctx, const struct tar_member *m, const u8 *bytes, size_t len,
                        bool last)
{
    struct loader *l = ctx;

    (void)m;
    if (fwrite(bytes, 1, len, l->file) == len)
        l->whole = l->whole || last;
}

static FILE *create(const char *folder, const char *name, struct err *err)
{
    char path[PLACE_MAX];
    FILE *file = place_join(path, folder, name, err) ? NULL : fopen(path, "we");

    if (!file)
        err_set(err, errno, "cannot write '%.300s/%s': %s", folder, name, strerror(errno));
    return file;
}

static int close_written(FILE *file, const char *name, int r, struct err *err)
{
    if ((fclose(file) || errno == ENOSPC) && !r)
        r = err_set(err, errno ? errno : EIO, "cannot write the installer's %s: %s", name,
                    strerror(errno));
    return r;
}

static int make_loader(const struct apt *apt, const struct parts *parts, const char *folder,
                       struct err *err)
{
    struct loader loader = {0};
    const struct tar callbacks = {.member = is_loader, .content = take_loader, .ctx = &loader};
    char path[PLACE_MAX];
    int r = package_path(apt, parts, "u-boot-qemu", path, err);

    if (r)
        return r;
    loader.file = create(folder, INSTALLER_LOADER, err);
    if (!loader.file)
        return -EIO;
    r = deb_read(path, &callbacks, err);
    if (!r && !loader.whole)
        r = err_set(err, ENOENT, "the package u-boot-qemu holds no qemu-riscv64_smode/u-boot.bin");
    errno = 0;
    return close_written(loader.file, INSTALLER_LOADER, r, err);
}

int installer_make(const struct apt *apt, const struct parts *parts, const char *folder,
                   const struct progress *progress, struct err *err)
{
    struct initrd in = {0};
    int r = make_loader(apt, parts, folder, err);

    if (r)
        return r;
    progress_tell(progress, "decompress", 0, 0, "");
    in.kernel = create(folder, INSTALLER_KERNEL, err);
    in.cpio.file = in.kernel ? create(folder, INSTALLER_INITRD, err) : NULL;
    r = in.cpio.file ? add_system(&in, apt, parts, err) : -EIO;
    if (!r)
        r = add_kernel(&in, apt, parts, err);
    if (!r && cpio_finish(&in.cpio))
        r = err_set(err, EIO, "cannot write the installer: %s", strerror(errno));
    errno = 0;
    if (in.kernel)
        r = close_written(in.kernel, INSTALLER_KERNEL, r, err);
    if (in.cpio.file)
        r = close_written(in.cpio.file, INSTALLER_INITRD, r, err);
    return r;
}

/* "p0017 p0018 ...": the packages of the list that are, or are not, among the first. */
static void put_names(FILE *out, const char *variable, const struct parts *parts, bool first)
{
    u32 count = 0;

    fprintf(out, "%s='", variable);
    for (u32 i = 0; i < parts->all.count; i++) {
        if (!apt_list_find(&parts->first, parts->all.package[i].name) == first)
            continue;
        fprintf(out, "%sp%04u", count ? " " : "", i);
        count++;
    }
    fprintf(out, "'\n%s_count=%u\n", variable, count);
}

static int put_settings(struct iso *iso, const struct apt *apt, const struct parts *parts,
                        struct err *err)
{
    AUTO_FREE char *text = NULL;
    size_t len = 0;
    FILE *out = open_memstream(&text, &len);

    if (!out)
        return err_set(err, ENOMEM, "no memory for the installer's settings");
    put_names(out, "first", parts, true);
    put_names(out, "rest", parts, false);
    fprintf(out, "suite=%s\nsuites='%s'\noptions='%s'\nmirror='%s'\nsecurity='%s'\n", apt->suite,
            apt->suites, apt->options, apt->mirror, apt->security);
    if (fclose(out))
        return err_set(err, ENOMEM, "no memory for the installer's settings");
    return iso_put(iso, "SETTINGS", text, len, err);
}

/* F0000, ..., and "COPIES", a line "NAME MODE PATH" each. */
static int put_copies(struct iso *iso, const struct recipe *recipe, struct err *err)
{
    AUTO_FREE char *text = NULL;
    size_t len = 0;
    FILE *out = open_memstream(&text, &len);
    int r = out ? 0 : err_set(err, ENOMEM, "no memory for the image's files");

    for (u32 i = 0; i < recipe->copy_count && !r; i++) {
        const struct recipe_copy *copy = &recipe->copies[i];
        AUTO_FREE u8 *bytes = NULL;
        struct stat st = {0};
        char name[16];
        u64 size = 0;

        r = file_read("copy", copy->from, COPY_MAX, &bytes, &size, err);
        if (r && r != -ENODATA)
            break;
        (void)stat(copy->from, &st);
        fmt_print(name, sizeof(name), "F%04u", i);
        fprintf(out, "f%04u %s %s\n", i, st.st_mode & 0111 ? "755" : "644", copy->to);
        r = iso_put(iso, name, bytes, size, err);
    }
    if (out && fclose(out) && !r)
        r = err_set(err, ENOMEM, "no memory for the image's files");
    return r ? r : iso_put(iso, "COPIES", text, len, err);
}

static int put_packages(struct iso *iso, const struct apt *apt, const struct parts *parts,
                        const struct progress *progress, struct err *err)
{
    int r = 0;

    for (u32 i = 0; i < parts->all.count && !r; i++) {
        const struct apt_package *p = &parts->all.package[i];
        char path[PLACE_MAX], name[16];

        if (!progress_tell(progress, "decompress", i, parts->all.count, p->name))
            return err_set(err, ECANCELED, "given up");
        fmt_print(name, sizeof(name), "P%04u.DEB", i);
        r = apt_file(apt, p, path, err);
        if (!r)
            r = iso_file(iso, name, err);
        if (!r)
            r = deb_write_plain(path, iso->fd, err);
        if (!r)
            r = iso_end(iso, err);
    }
    return r;
}

int installer_packages(const struct apt *apt, const struct parts *parts,
                       const struct recipe *recipe, const char *folder,
                       const struct progress *progress, struct err *err)
{
    char path[PLACE_MAX];
    int r = place_join(path, folder, INSTALLER_PACKAGES, err);
    AUTO_FD int fd = r ? -1 : open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    struct iso iso;

    if (r)
        return r;
    if (fd < 0)
        return err_set(err, errno, "cannot write '%.300s': %s", path, strerror(errno));
    r = iso_begin(&iso, fd, parts->all.count + recipe->copy_count + 8, err);
    if (!r)
        r = iso_put(&iso, "INSTALL", install_sh, sizeof(install_sh) - 1, err);
    if (!r)
        r = iso_put(&iso, "FIRSTBOOT", firstboot_sh, sizeof(firstboot_sh) - 1, err);
    if (!r)
        r = iso_put(&iso, "CLOCK", clock_sh, sizeof(clock_sh) - 1, err);
    if (!r)
        r = put_settings(&iso, apt, parts, err);
    if (!r && recipe->commands)
        r = iso_put(&iso, "COMMANDS", recipe->commands, strlen(recipe->commands), err);
    if (!r)
        r = put_copies(&iso, recipe, err);
    if (!r)
        r = put_packages(&iso, apt, parts, progress, err);
    if (!r)
        r = iso_finish(&iso, err);
    iso_free(&iso);
    return r;
}

struct run {
    const struct progress *progress;
    char failure[200], last[200];
};

/* "@cosm stage NAME DONE TOTAL [WHAT]", "@cosm failed TEXT"; the rest is the guest's talk. */
static bool on_line(void *ctx, char *line)
{
    struct run *run = ctx;
    unsigned long long done, total;
    char stage[32], what[128] = "";

    if (begins(line, "@cosm failed "))
        fmt_print(run->failure, sizeof(run->failure), "%s", line + 13);
    else if (sscanf(line, "@cosm stage %31s %llu %llu %127s", stage, &done, &total, what) >= 3)
        return progress_tell(run->progress, stage, done, total, what);
    else
        fmt_print(run->last, sizeof(run->last), "%s", line);
    return true;
}

/* A drive's value: a comma in the path is doubled. */
static int drive_value(char *value, size_t size, const char *folder, const char *file,
                       const char *rest, struct err *err)
{
    size_t n = 0;

    for (const char *at = folder; *at && n + 2 < size; at++) {
        if (*at == ',')
            value[n++] = ',';
        value[n++] = *at;
    }
    if (n + fmt_print(value + n, size - n, "/%s%s", file, rest) >= size)
        return err_set(err, ENAMETOOLONG, "the path '%.300s' is too long", folder);
    return 0;
}

int installer_run(const char *folder, const struct progress *progress, struct err *err)
{
    struct run run = {.progress = progress};
    char kernel[PLACE_MAX], initrd[PLACE_MAX], disk[PLACE_MAX], packages[PLACE_MAX];
    const char *argv[] = {"/proc/self/exe", "run",  "--kernel", kernel,
                          "--initrd",       initrd, "--append", "console=ttyS0 quiet",
                          "--memory",       "1G",   "--smp",    "2",
                          "--drive",        disk,   "--drive",  packages,
                          "--no-reboot",    NULL};
    struct child child = {.argv = (char *const *)(uintptr_t)argv, .line = on_line, .ctx = &run};
    struct err why;
    int r = place_join(kernel, folder, INSTALLER_KERNEL, err);

    if (!r)
        r = place_join(initrd, folder, INSTALLER_INITRD, err);
    if (!r)
        r = drive_value(disk, sizeof(disk), folder, INSTALLER_DISK, ",format=qcow2", err);
    if (!r)
        r = drive_value(packages, sizeof(packages), folder, INSTALLER_PACKAGES,
                        ",format=raw,readonly=on", err);
    if (r)
        return r;
    r = child_run(&child, &why);
    if (r && run.failure[0])
        return err_set(err, -r, "the installer failed: %s; its last words: %s", run.failure,
                       run.last);
    return r ? err_set(err, -r, "the installer's VM failed: %s", why.msg) : 0;
}
