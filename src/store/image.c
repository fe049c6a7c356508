/* SPDX-License-Identifier: BSD-2-Clause */
/* Images: found, listed, removed. */
#include "store/image.h"

#include "api/json.h"
#include "api/record.h"
#include "base/fmt.h"
#include "host/file.h"
#include "host/scope.h"
#include "store/guest.h"

#include <dirent.h>
#include <errno.h>
#include <string.h>
#include <sys/stat.h>

#define JSON_MAX   (4 * MIB)
#define JSON_NODES (64 * KIB)

int image_check_name(const char *name, char full[IMAGE_NAME_MAX], struct err *err)
{
    char before[IMAGE_NAME_MAX];
    const char *colon = strchr(name, ':');
    size_t len = colon ? (size_t)(colon - name) : strlen(name);
    struct err ignored;

    fmt_print(before, sizeof(before), "%.*s", (int)len, name);
    if (strlen(name) >= IMAGE_NAME_MAX || record_check_name(before, &ignored) ||
        (colon && record_check_name(colon + 1, &ignored)))
        return err_set(err, EINVAL,
                       "'%.80s' is no name of an image; give up to 63 letters, digits, '.', '_' "
                       "and '-', a letter or digit first, and perhaps a tag, as in 'debian:sid'",
                       name);
    if (full)
        fmt_print(full, IMAGE_NAME_MAX, "%s", strcmp(name, "debian:trixie") ? name : "debian");
    return 0;
}

int image_file(const struct image *image, const char *file, char path[PLACE_MAX], struct err *err)
{
    return place_join(path, image->folder, file, err);
}

static bool is_whole(const char *folder, const char *id)
{
    char path[PLACE_MAX], file[PLACE_MAX];
    struct stat st;

    return id[0] != '.' && strlen(id) < IMAGE_ID_MAX && !place_join(path, folder, id, NULL) &&
           !place_join(file, path, "image.json", NULL) && stat(file, &st) == 0;
}

/* The path of an image's folder, which may not be there; no folder is made. */
static int folder_of(char path[PLACE_MAX], const char *name, struct err *err)
{
    char images[PLACE_MAX], full[IMAGE_NAME_MAX];
    int r = image_check_name(name, full, err);

    if (!r)
        r = place_path(images, PLACE_IMAGES, "", err);
    return r ? r : place_join(path, images, full, err);
}

int image_find(struct image *image, const char *name, struct err *err)
{
    char folder[PLACE_MAX];
    int r = folder_of(folder, name, err);
    const struct dirent *entry;
    DIR *dir;

    if (r)
        return r;
    *image = (struct image){0};
    r = image_check_name(name, image->name, err);
    if (r)
        return r;
    dir = opendir(folder);
    while (dir && (entry = readdir(dir))) {
        if (is_whole(folder, entry->d_name) && strcmp(entry->d_name, image->id) > 0)
            fmt_print(image->id, sizeof(image->id), "%s", entry->d_name);
    }
    if (dir)
        closedir(dir);
    if (!image->id[0])
        return err_set(err, ENOENT, "there is no image '%s'; 'cosm image ls' lists what there is",
                       name);
    return place_join(image->folder, folder, image->id, err);
}

int image_json(const struct image *image, char **text, struct err *err)
{
    char path[PLACE_MAX];
    u64 size;
    int r = image_file(image, "image.json", path, err);

    return r ? r : file_read("image", path, JSON_MAX, (u8 **)text, &size, err);
}

static void copy(char *to, size_t size, const struct json *json, const char *key)
{
    const char *text = json_string(json_get(json, &json->node[0], key));

    fmt_print(to, size, "%s", text ? text : "");
}

static u64 bytes_of(const struct image *image, const char *file)
{
    char path[PLACE_MAX];
    struct stat st;

    return image_file(image, file, path, NULL) || stat(path, &st) < 0 ? 0 : (u64)st.st_blocks * 512;
}

int image_read(const struct image *image, struct image_info *info, struct err *err)
{
    AUTO_FREE struct json_node *node = calloc(JSON_NODES, sizeof(*node));
    AUTO_FREE char *text = NULL;
    struct json json = {.node = node, .node_max = JSON_NODES};
    s64 virtual_size = 0;
    int r;

    *info = (struct image_info){0};
    if (!node)
        return err_set(err, ENOMEM, "no memory to read what the image '%s' is", image->name);
    r = image_json(image, &text, err);
    if (!r)
        r = json_parse(&json, text, strlen(text), err);
    if (r)
        return r;
    copy(info->suite, sizeof(info->suite), &json, "suite");
    copy(info->digest, sizeof(info->digest), &json, "digest");
    (void)json_integer(json_get(&json, node, "created"), &info->created);
    (void)json_integer(json_get(&json, node, "virtual-size"), &virtual_size);
    info->virtual_size = (u64)virtual_size;
    info->size = bytes_of(image, "base.qcow2") + bytes_of(image, "u-boot.bin");
    for (const struct json_node *p = json_first(&json, json_get(&json, node, "packages")); p;
         p = json_next(&json, p))
        info->packages++;
    return 0;
}

static int by_name(const void *a, const void *b)
{
    return strcmp(a, b);
}

int image_list(char (**names)[IMAGE_NAME_MAX], u32 *count, struct err *err)
{
    char images[PLACE_MAX];
    int r = place_path(images, PLACE_IMAGES, "", err);
    DIR *dir = r ? NULL : opendir(images);
    const struct dirent *entry;

    *names = NULL;
    *count = 0;
    while (dir && !r && (entry = readdir(dir))) {
        char(*more)[IMAGE_NAME_MAX];
        struct image image;
        struct err ignored;

        if (entry->d_name[0] == '.' || image_find(&image, entry->d_name, &ignored))
            continue;
        more = realloc(*names, (*count + 1) * sizeof(*more));
        if (!more) {
            r = err_set(err, ENOMEM, "no memory for a list of images");
            continue;
        }
        *names = more;
        memcpy(more[(*count)++], image.name, IMAGE_NAME_MAX);
    }
    if (dir)
        closedir(dir);
    if (r) {
        free(*names);
        *names = NULL;
    } else if (*count) {
        qsort(*names, *count, sizeof(**names), by_name);
    }
    return r;
}

/* Removes what nothing needs; all: the newest, too. How many are still needed, by whom. */
static u32 collect(const char *name, bool all, char user[IMAGE_NAME_MAX])
{
    char folder[PLACE_MAX], path[PLACE_MAX];
    struct image newest = {0};
    struct err ignored;
    const struct dirent *entry;
    u32 needed = 0;
    DIR *dir;

    if (folder_of(folder, name, &ignored) || (image_find(&newest, name, &ignored) && !all))
        return 0;
    dir = opendir(folder);
    while (dir && (entry = readdir(dir))) {
        if (entry->d_name[0] == '.' || (!all && !strcmp(entry->d_name, newest.id)) ||
            place_join(path, folder, entry->d_name, &ignored))
            continue;
        if (guest_uses(path, user))
            needed++;
        else if (place_remove(path, &ignored))
            needed += all;
    }
    if (dir)
        closedir(dir);
    return needed;
}

void image_collect(const char *name)
{
    char user[IMAGE_NAME_MAX];
    struct err ignored;
    AUTO_FD int lock = place_lock(PLACE_IMAGES, name, NULL, NULL, &ignored);

    if (lock >= 0)
        (void)collect(name, false, user);
}

int image_remove(const char *name, struct err *err)
{
    struct image image;
    char folder[PLACE_MAX], user[IMAGE_NAME_MAX] = "";
    AUTO_FD int lock = -1;
    int r = image_find(&image, name, err);

    if (!r) {
        lock = place_lock(PLACE_IMAGES, image.name, NULL, NULL, err);
        r = lock < 0 ? lock : folder_of(folder, name, err);
    }
    if (r)
        return r;
    if (guest_uses(image.folder, user) || collect(name, true, user))
        return err_set(err, EBUSY,
                       "the disk of the VM '%s' lies on the image '%s'; 'cosm rm %s' first", user,
                       name, user);
    return place_remove(folder, err);
}
