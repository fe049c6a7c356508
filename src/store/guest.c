/* SPDX-License-Identifier: BSD-2-Clause */
/* VMs made from images: their folders. */
#include "store/guest.h"

#include "api/json.h"
#include "api/record.h"
#include "base/fmt.h"
#include "block/copy.h"
#include "block/file.h"
#include "block/qcow2.h"
#include "host/entropy.h"
#include "host/file.h"
#include "host/scope.h"
#include "store/keys.h"

#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <pwd.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#define JSON_MAX  (256 * KIB)
#define NODES_MAX 1024

int guest_file(const struct guest *guest, const char *file, char path[PLACE_MAX], struct err *err)
{
    return place_join(path, guest->folder, file, err);
}

static int folder_of(char path[PLACE_MAX], const char *name, struct err *err)
{
    char vms[PLACE_MAX];
    int r = record_check_name(name, err);

    if (!r)
        r = place_path(vms, PLACE_VMS, "", err);
    return r ? r : place_join(path, vms, name, err);
}

bool guest_exists(const char *name)
{
    char path[PLACE_MAX];
    struct err ignored;
    struct stat st;

    return !folder_of(path, name, &ignored) && stat(path, &st) == 0;
}

static int put_file(const struct guest *g, const char *name, const char *text, struct err *err)
{
    char path[PLACE_MAX];
    int r = guest_file(g, name, path, err);

    return r ? r : file_write("VM", path, text, strlen(text), err);
}

/* The disk's size and, as a file of the host, what it lies on. */
static int make_disk(const struct guest *g, const struct image *image, u64 size, struct err *err)
{
    const struct file_options options = {.create = true, .growable = true};
    struct qcow2_create create = {.size = size, .backing_format = "qcow2"};
    struct image_info info;
    char path[PLACE_MAX], base[PLACE_MAX];
    struct node *file;
    int r = image_read(image, &info, err);

    if (!r && !size)
        create.size = info.virtual_size;
    if (!r && create.size < info.virtual_size)
        return err_set(err, EINVAL,
                       "a disk of %llu MiB is smaller than that of the image '%s'; give at least "
                       "%llu MiB",
                       (unsigned long long)(size / MIB), image->name,
                       (unsigned long long)(info.virtual_size / MIB));
    create.backing = base;
    if (!r)
        r = image_file(image, "base.qcow2", base, err);
    if (!r)
        r = guest_file(g, "disk.qcow2", path, err);
    if (!r)
        r = file_open(&file, path, &options, err);
    if (r)
        return r;
    r = qcow2_create(file, &create, err);
    node_close(file);
    return r;
}

/* As useradd takes them. */
static bool is_user_name(const char *name)
{
    size_t len = strlen(name);

    return len > 0 && len <= 31 && strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789_-") == len &&
           name[0] >= '_' && strcmp(name, "root") != 0;
}

static const char *user_name(const struct guest_config *config)
{
    const struct passwd *user = getpwuid(geteuid());

    if (config->user)
        return config->user;
    return user && is_user_name(user->pw_name) ? user->pw_name : "debian";
}

static int make_identity(struct guest *g, const struct guest_config *config, struct err *err)
{
    AUTO_FREE char *keys = NULL;
    char hex[33], key[PLACE_MAX];
    struct entropy entropy = host_entropy();
    u8 number[16];
    int r = keys_authorized(&keys, err);

    if (r)
        return r;
    entropy_fill(&entropy, number, sizeof(number));
    for (u32 i = 0; i < sizeof(number); i++)
        fmt_print(hex + 2 * i, 3, "%02x", number[i]);
    /* Locally administered, with the beginning that QEMU's have. */
    memcpy(g->mac, (u8[]){0x52, 0x54, 0x00, number[0], number[1], number[2]}, sizeof(g->mac));
    r = put_file(g, "instance", hex, err);
    if (!r)
        r = put_file(g, "keys", keys, err);
    if (!r)
        r = put_file(g, "user", user_name(config), err);
    if (!r)
        r = guest_file(g, "hostkey", key, err);
    return r ? r : keys_make(key, g->name, err);
}

/* What ssh checks the guest's key against, by whatever name or port it gets there. */
static int make_known_hosts(const struct guest *g, struct err *err)
{
    AUTO_FREE u8 *key = NULL;
    char path[PLACE_MAX], line[2048];
    u64 size;
    int r = guest_file(g, "hostkey.pub", path, err);

    if (!r)
        r = file_read("VM", path, 1024, &key, &size, err);
    if (r)
        return r;
    fmt_print(line, sizeof(line), "* %s", (const char *)key);
    return put_file(g, "known_hosts", line, err);
}

static int write_record(const struct guest *g, char *const *argv, struct err *err)
{
    AUTO_FREE char *text = malloc(JSON_MAX);
    struct json_out out;
    char mac[18];

    if (!text)
        return err_set(err, ENOMEM, "no memory for what the VM '%s' is", g->name);
    fmt_print(mac, sizeof(mac), "%02x:%02x:%02x:%02x:%02x:%02x", g->mac[0], g->mac[1], g->mac[2],
              g->mac[3], g->mac[4], g->mac[5]);
    json_out_init(&out, text, JSON_MAX);
    json_open(&out, '{');
    json_key(&out, "image");
    json_put_string(&out, g->image);
    json_key(&out, "mac");
    json_put_string(&out, mac);
    json_key(&out, "cwd");
    json_put_string(&out, g->cwd);
    json_key(&out, "argv");
    json_open(&out, '[');
    for (u32 i = 0; argv[i]; i++)
        json_put_string(&out, argv[i]);
    json_close(&out, ']');
    json_close(&out, '}');
    if (out.cut)
        return err_set(err, E2BIG, "the command line is too long");
    return put_file(g, "vm.json", text, err);
}

static int copy_args(struct guest *g, char *const *argv, struct err *err)
{
    u32 count = 0;

    for (; argv[count]; count++) {
        g->argv[count] = count < GUEST_ARGS_MAX ? strdup(argv[count]) : NULL;
        if (!g->argv[count])
            return err_set(err, E2BIG, "the command line has more than %d words", GUEST_ARGS_MAX);
    }
    return 0;
}

static int name_taken(const char *name, struct err *err)
{
    return err_set(err, EEXIST,
                   "there is a VM '%s' already; 'cosm start %s' starts it, 'cosm rm %s' removes it",
                   name, name, name);
}

static bool has_record(const char *name)
{
    struct record record;
    struct err ignored;
    int r = record_open(&record, name, &ignored);

    record_close(&record);
    return !r;
}

/* Its folder: nobody else has a VM of this name from now on. */
static int take_name(struct guest *g, const char *name, struct err *err)
{
    int r;

    for (u32 i = 1; i < 10000; i++) {
        if (name)
            fmt_print(g->name, sizeof(g->name), "%s", name);
        else
            fmt_print(g->name, sizeof(g->name), "vm%u", i);
        r = folder_of(g->folder, g->name, err);
        if (r)
            return r;
        if (!has_record(g->name) && mkdir(g->folder, 0700) == 0)
            return 0;
        if (name)
            return errno == EEXIST || has_record(name)
                       ? name_taken(name, err)
                       : err_set(err, errno, "cannot make the folder '%.400s': %s", g->folder,
                                 strerror(errno));
    }
    return err_set(err, EEXIST, "there are too many VMs; 'cosm rm' removes some");
}

/* What is kept of it but its disk. The record comes last: without it there is no such VM. */
static int make_files(struct guest *g, const struct guest_config *config, struct err *err)
{
    int r = copy_args(g, config->argv, err);

    if (!r)
        r = make_identity(g, config, err);
    if (!r)
        r = make_known_hosts(g, err);
    return r ? r : write_record(g, config->argv, err);
}

/* Leaves nothing of what could not be made. */
static int made(const struct guest *g, int r)
{
    struct err ignored;

    if (r)
        (void)!guest_remove(g->name, &ignored);
    return r;
}

int guest_create(struct guest *g, const struct image *image, const struct guest_config *config,
                 struct err *err)
{
    AUTO_FD int lock = -1;
    int r;

    memset(g, 0, sizeof(*g));
    fmt_print(g->image, sizeof(g->image), "%s", image->folder);
    if (!getcwd(g->cwd, sizeof(g->cwd)))
        return err_set(err, errno, "this folder has no name: %s", strerror(errno));
    /* The image must not go before this VM's record tells that it is needed. */
    lock = place_lock(PLACE_IMAGES, image->name, NULL, NULL, err);
    r = lock < 0 ? lock : take_name(g, config->name, err);
    if (r)
        return r;
    r = make_disk(g, image, config->size, err);
    return made(g, r ? r : make_files(g, config, err));
}

static bool parse_mac(const char *text, u8 mac[6])
{
    unsigned v[6];

    if (!text ||
        sscanf(text, "%2x:%2x:%2x:%2x:%2x:%2x", &v[0], &v[1], &v[2], &v[3], &v[4], &v[5]) != 6)
        return false;
    for (u32 i = 0; i < 6; i++)
        mac[i] = (u8)v[i];
    return true;
}

static int read_record(struct guest *g, struct json *json, char **text, struct err *err)
{
    char path[PLACE_MAX];
    u64 size;
    int r = guest_file(g, "vm.json", path, err);

    if (!r)
        r = file_read("VM", path, JSON_MAX, (u8 **)text, &size, err);
    return r ? r : json_parse(json, *text, size, err);
}

int guest_open(struct guest *g, const char *name, struct err *err)
{
    struct json_node node[NODES_MAX];
    struct json json = {.node = node, .node_max = NODES_MAX};
    AUTO_FREE char *text = NULL;
    const char *image, *cwd;
    char *argv[GUEST_ARGS_MAX + 1];
    u32 count = 0;
    int r;

    memset(g, 0, sizeof(*g));
    fmt_print(g->name, sizeof(g->name), "%s", name);
    r = folder_of(g->folder, name, err);
    if (r)
        return r;
    if (!guest_exists(name))
        return err_set(err, ENOENT, "no VM '%s' was made from an image; 'cosm ps -a' lists VMs",
                       name);
    r = read_record(g, &json, &text, err);
    if (r)
        return r;
    image = json_string(json_get(&json, node, "image"));
    cwd = json_string(json_get(&json, node, "cwd"));
    for (const struct json_node *a = json_first(&json, json_get(&json, node, "argv"));
         a && count < GUEST_ARGS_MAX; a = json_next(&json, a))
        argv[count++] = (char *)(uintptr_t)(json_string(a) ? json_string(a) : "");
    argv[count] = NULL;
    if (!image || !cwd || !parse_mac(json_string(json_get(&json, node, "mac")), g->mac))
        return err_set(err, EINVAL, "what is kept of '%s' is damaged; 'cosm rm %s' removes it",
                       name, name);
    fmt_print(g->image, sizeof(g->image), "%s", image);
    fmt_print(g->cwd, sizeof(g->cwd), "%s", cwd);
    return copy_args(g, argv, err);
}

void guest_close(struct guest *g)
{
    for (u32 i = 0; i < GUEST_ARGS_MAX; i++) {
        free(g->argv[i]);
        g->argv[i] = NULL;
    }
}

static bool tell_copy(void *ctx, u64 done, u64 total)
{
    return progress_tell(ctx, "copy", done, total, "");
}

/* The file as it is: the image that it lies on stays the same. */
static int copy_disk_file(const struct guest *from, const struct guest *to,
                          const struct progress *progress, struct err *err)
{
    const struct copy_options how = {
        .target_is_blank = true, .progress = tell_copy, .ctx = (void *)(uintptr_t)progress};
    const struct file_options reads = {.readonly = true, .name_holder = record_name_of};
    const struct file_options writes = {.create = true, .growable = true};
    char from_path[PLACE_MAX], to_path[PLACE_MAX];
    struct node *in, *out;
    int r = guest_file(from, "disk.qcow2", from_path, err);

    if (!r)
        r = guest_file(to, "disk.qcow2", to_path, err);
    if (!r)
        r = file_open(&in, from_path, &reads, err);
    if (r)
        return r;
    r = file_open(&out, to_path, &writes, err);
    if (!r) {
        r = copy_disk(in, out, &how);
        if (!r)
            r = node_resize(out, in->size, err);
        if (!r)
            r = node_flush(out);
        if (r == -EINTR)
            err_set(err, EINTR, "interrupted; nothing is left of '%s'", to->name);
        else if (r)
            err_set(err, -r, "cannot copy '%.300s' to '%.300s': %s", from_path, to_path,
                    strerror(-r));
        node_close(out);
    }
    node_close(in);
    return r;
}

int guest_clone(const struct guest *from, const char *name, const struct progress *progress,
                struct err *err)
{
    AUTO_FREE struct guest *g = calloc(1, sizeof(*g));
    struct guest_config config = {.name = name, .argv = from->argv};
    AUTO_FREE char *user = NULL;
    char path[PLACE_MAX];
    u64 size;
    int r = g ? guest_file(from, "user", path, err) : err_set(err, ENOMEM, "no memory for a VM");

    if (!r)
        r = file_read("VM", path, NAME_MAX, (u8 **)&user, &size, err);
    if (!r)
        r = take_name(g, name, err);
    if (r)
        return r;
    config.user = user;
    fmt_print(g->image, sizeof(g->image), "%s", from->image);
    fmt_print(g->cwd, sizeof(g->cwd), "%s", from->cwd);
    r = copy_disk_file(from, g, progress, err);
    r = made(g, r ? r : make_files(g, &config, err));
    guest_close(g);
    return r;
}

int guest_remove(const char *name, struct err *err)
{
    char path[PLACE_MAX];
    int r = folder_of(path, name, err);

    return r ? r : place_remove(path, err);
}

int guest_rename(const char *name, const char *to, struct err *err)
{
    char from_path[PLACE_MAX], to_path[PLACE_MAX];
    int r = folder_of(from_path, name, err);

    if (!r)
        r = folder_of(to_path, to, err);
    if (r || !guest_exists(name))
        return r;
    if (guest_exists(to))
        return name_taken(to, err);
    if (rename(from_path, to_path) < 0)
        return err_set(err, errno, "cannot rename '%.400s': %s", from_path, strerror(errno));
    return 0;
}

bool guest_uses(const char *image_folder, char user[IMAGE_NAME_MAX])
{
    char vms[PLACE_MAX];
    struct err ignored;
    DIR *dir = place_path(vms, PLACE_VMS, "", &ignored) ? NULL : opendir(vms);
    const struct dirent *entry;
    bool found = false;

    while (dir && !found && (entry = readdir(dir))) {
        AUTO_FREE struct guest *g = calloc(1, sizeof(*g));

        if (!g || entry->d_name[0] == '.')
            continue;
        if (!guest_open(g, entry->d_name, &ignored) && !strcmp(g->image, image_folder)) {
            found = true;
            fmt_print(user, IMAGE_NAME_MAX, "%s", g->name);
        }
        guest_close(g);
    }
    if (dir)
        closedir(dir);
    return found;
}
