/* SPDX-License-Identifier: BSD-2-Clause */
/* 'cosm run IMAGE' and 'cosm start': VMs whose disks the store keeps. */
#include "apps/cosm/launch.h"

#include "api/record.h"
#include "apps/cosm/image.h"
#include "apps/cosm/proxy.h"
#include "apps/cosm/run.h"
#include "apps/cosm/tidy.h"
#include "base/fmt.h"
#include "host/scope.h"
#include "store/guest.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define MEMORY      (1 * GIB)
#define CREDENTIALS "opt/io.systemd.credentials/"

enum { EXIT_FAILED = 1 };

/* A value of an option that is a list: commas in the path are doubled. */
static int put_path(char *value, size_t size, const char *before, const char *path,
                    const char *after, struct err *err)
{
    size_t n = fmt_print(value, size, "%s", before);

    for (const char *at = path; *at && n + 2 < size; at++) {
        if (*at == ',')
            value[n++] = ',';
        value[n++] = *at;
    }
    if (n + fmt_print(value + n, size - n, "%s", after) >= size)
        return err_set(err, ENAMETOOLONG, "the path '%.300s' is too long", path);
    return 0;
}

/* Its own disk comes before those that the user gives. */
static int add_disk(struct vm_config *c, const struct guest *g, struct err *err)
{
    char path[PLACE_MAX], value[2 * PLACE_MAX];
    struct vm_drive disk;
    int r = guest_file(g, "disk.qcow2", path, err);

    if (!r)
        r = put_path(value, sizeof(value), "", path, ",format=qcow2,backing=on", err);
    if (!r)
        r = vm_config_parse_drive(c, value, err);
    if (r)
        return r;
    disk = c->drive[c->drive_count - 1];
    memmove(&c->drive[1], &c->drive[0], (c->drive_count - 1) * sizeof(disk));
    c->drive[0] = disk;
    return 0;
}

/* Each interface keeps its address from one start to the next. */
static int add_net(struct vm_config *c, const struct guest *g, struct err *err)
{
    int r = c->net_count ? 0 : vm_config_parse_net(c, "user", err);

    for (u32 i = 0; i < c->net_count && !r; i++) {
        struct vm_net *net = &c->net[i];

        if (net->has_mac)
            continue;
        memcpy(net->mac, g->mac, sizeof(net->mac));
        net->mac[5] = (u8)(net->mac[5] + i);
        net->has_mac = true;
    }
    return r;
}

static int add_credentials(struct vm_config *c, const struct guest *g, struct err *err)
{
    static const char *const names[] = {"instance", "user", "keys", "hostkey"};
    char path[PLACE_MAX], value[2 * PLACE_MAX], before[80];
    int r = 0;

    for (u32 i = 0; i < ARRAY_SIZE(names) && !r; i++) {
        fmt_print(before, sizeof(before), CREDENTIALS "cosm.%s,file=", names[i]);
        r = guest_file(g, names[i], path, err);
        if (!r)
            r = put_path(value, sizeof(value), before, path, "", err);
        if (!r)
            r = vm_config_parse_fw_cfg(c, value, err);
    }
    fmt_print(value, sizeof(value), CREDENTIALS "system.hostname,string=%s", g->name);
    return r ? r : vm_config_parse_fw_cfg(c, value, err);
}

/* What the VM is, from the options and what is kept of it. kernel: a buffer that outlives it. */
static int configure(struct options *o, const struct guest *g, char kernel[PLACE_MAX],
                     struct err *err)
{
    struct vm_config *c = &o->config;
    int r = place_join(kernel, g->image, "u-boot.bin", err);

    o->name = g->name;
    c->kernel = kernel;
    if (!c->boot_delay && !r)
        r = vm_config_parse_boot_delay(c, "0", err);
    if (!c->ram_given)
        c->ram_size = MEMORY;
    if (!c->harts_given)
        c->hart_count = sysconf(_SC_NPROCESSORS_ONLN) > 1 ? 2 : 1;
    if (!r)
        r = add_disk(c, g, err);
    if (!r)
        r = add_net(c, g, err);
    if (!r)
        r = add_credentials(c, g, err);
    if (!r)
        r = proxy_add(c, err);
    return r ? r : vm_config_check(c, err);
}

/* The image, made if it is a 'debian' and not there yet. */
static int get_image(struct image *image, const char *name, struct err *err)
{
    struct image_bar bar;
    struct progress progress;
    struct recipe recipe;
    int r = image_find(image, name, err);

    if (r != -ENOENT)
        return r;
    if (!build_recipe(&recipe, name))
        return err_set(err, EINVAL,
                       "there is no image '%.64s'; 'cosm image ls' lists what there is, and a file "
                       "needs --kernel, --bios or --drive",
                       name);
    fprintf(stderr,
            "The image '%s' is made now, from Debian's packages; later VMs start at once.\n",
            recipe.name);
    progress = image_bar_begin(&bar, false);
    r = build_image(&recipe, true, &progress, err);
    image_bar_end(&bar);
    return r ? r : image_find(image, name, err);
}

struct launch {
    const struct options *options;
    struct tidy tidy;
};

static void on_began(void *ctx)
{
    struct launch *l = ctx;

    tidy_began(&l->tidy);
}

static void on_ended(void *ctx)
{
    struct launch *l = ctx;
    const char *name = l->options->name;

    tidy_end(&l->tidy);
    if (!l->options->remove && !l->options->config.detached && isatty(STDERR_FILENO))
        fprintf(stderr, "'%s' is kept: 'cosm start %s' starts it again, 'cosm rm %s' removes it.\n",
                name, name, name);
}

/* unstarted: what remains of a VM that does not come to run goes. */
static int launch(struct options *o, char *const *argv, bool unstarted, struct err *err)
{
    struct launch l = {.options = o, .tidy = {.fd = -1}};
    const struct run_events events = {.began = on_began, .ended = on_ended, .ctx = &l};
    u32 when = (unstarted ? TIDY_UNSTARTED : 0) | (o->remove ? TIDY_ENDED : 0);
    int r = tidy_start(&l.tidy, o->name, when, err);
    pid_t self = getpid();

    if (!r)
        r = run_vm(o, argv, &events, err);
    /* Not if a detached VM runs now; and if it failed, its process has a parent that has its lock.
     */
    if (r && getpid() == self)
        tidy_end(&l.tidy);
    return r;
}

/* Not those that belong to other ways of starting. */
static int check(const struct options *o, struct err *err)
{
    const struct vm_config *c = &o->config;
    const char *wrong = c->kernel     ? "kernel"
                        : c->bios     ? "bios"
                        : c->initrd   ? "initrd"
                        : c->append   ? "append"
                        : c->dump_dtb ? "dump-dtb"
                                      : NULL;

    if (wrong)
        return err_set(err, EINVAL, "the image '%.64s' brings what it boots; leave out --%s",
                       o->image, wrong);
    return image_check_name(o->image, NULL, err);
}

int launch_image(struct options *o, char *const *argv, struct err *err)
{
    static char kernel[PLACE_MAX];
    AUTO_FREE struct guest *g = calloc(1, sizeof(*g));
    struct guest_config gc = {.name = o->name, .user = o->user, .argv = argv};
    struct image image;
    struct err ignored;
    int r = g ? check(o, err) : err_set(err, ENOMEM, "no memory for a VM");

    if (!r && o->size)
        r = vm_config_size(o->size, MIB, &gc.size, err);
    if (!r)
        r = get_image(&image, o->image, err);
    if (!r)
        r = guest_create(g, &image, &gc, err);
    if (r)
        return r;
    r = configure(o, g, kernel, err);
    if (r < 0 && guest_remove(g->name, &ignored))
        fprintf(stderr, "cosm: %s\n", ignored.msg);
    if (!r) {
        r = launch(o, argv, true, err);
        r = r == -EINVAL ? -EIO : r; /* no mistake of the command line */
    }
    guest_close(g);
    return r;
}

/* The command line that made it, in the folder where it was given. */
static int again(struct guest *g, const char *name, struct err *err)
{
    static struct options o;
    static char kernel[PLACE_MAX];
    char *argv[GUEST_ARGS_MAX + 1];
    struct record record;
    int argc = 0, r = guest_open(g, name, err);

    if (r)
        return r;
    for (; g->argv[argc]; argc++)
        argv[argc] = g->argv[argc];
    argv[argc] = NULL;
    r = options_parse(&o, argc, argv, err);
    if (r)
        return r;
    if (chdir(g->cwd) < 0)
        return err_set(err, errno, "the folder where '%s' was made is not there: %.300s: %s", name,
                       g->cwd, strerror(errno));
    o.config.detached = true;
    r = record_open(&record, name, err);
    if (!r)
        r = record_remove(&record, err);
    record_close(&record);
    if (r && r != -ENOENT)
        return r;
    r = configure(&o, g, kernel, err);
    return r ? r : launch(&o, g->argv, false, err);
}

/* Each in a process of its own: run_vm is for one VM. */
static int start_one(const char *name)
{
    AUTO_FREE struct guest *g = NULL;
    struct err err = {""};
    pid_t pid = fork();
    int status = 0, r;

    if (pid > 0) {
        while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
            ;
        return WIFEXITED(status) ? WEXITSTATUS(status) : EXIT_FAILED;
    }
    g = calloc(1, sizeof(*g));
    r = pid < 0 ? err_set(&err, errno, "cannot start a process: %s", strerror(errno))
        : g     ? again(g, name, &err)
                : err_set(&err, ENOMEM, "no memory for a VM");
    if (r < 0) {
        fprintf(stderr, "cosm: %s\n", err.msg);
        r = EXIT_FAILED;
    }
    if (pid == 0) {
        fflush(stdout);
        _exit(r);
    }
    return r;
}

int launch_again(const struct options *options)
{
    int status = 0;

    fflush(stdout);
    for (u32 i = 0; i < options->operands; i++) {
        int r = start_one(options->operand[i]);

        status = status ? status : r;
    }
    return status;
}

static int clone(const char *name, const char *to, struct err *err)
{
    AUTO_FREE struct guest *g = calloc(1, sizeof(*g));
    struct progress progress;
    struct image_bar bar;
    int r = g ? guest_open(g, name, err) : err_set(err, ENOMEM, "no memory for a VM");

    if (!r) {
        progress = image_bar_begin(&bar, !isatty(STDERR_FILENO));
        r = guest_clone(g, to, &progress, err);
        image_bar_end(&bar);
    }
    if (g)
        guest_close(g);
    return r;
}

int launch_clone(const struct options *options)
{
    struct err err = {""};

    if (!clone(options->operand[0], options->operand[1], &err)) {
        printf("%s\n", options->operand[1]);
        return 0;
    }
    fprintf(stderr, "cosm: %s\n", err.msg);
    return EXIT_FAILED;
}
