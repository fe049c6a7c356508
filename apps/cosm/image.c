/* SPDX-License-Identifier: BSD-2-Clause */
/* cosm image: makes, lists and removes images that VMs begin with. */
#include "apps/cosm/image.h"

#include "api/json.h"
#include "host/clock.h"
#include "host/scope.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

struct verb {
    const char *name;
    int (*run)(const struct options *o, char **arg, struct err *err);
    u32 least, most; /* operands */
};

static int make(const struct recipe *recipe, bool quiet, struct err *err)
{
    struct image_bar bar;
    struct progress progress = image_bar_begin(&bar, quiet);
    int r = build_image(recipe, false, &progress, err);

    image_bar_end(&bar);
    if (!r)
        printf("%s\n", recipe->name);
    if (!r && !quiet)
        fprintf(stderr, "The image '%s' was made in %u s.\n", recipe->name,
                (u32)((host_monotonic_ns() - bar.start_ns) / UINT64_C(1000000000)));
    return r;
}

static int image_pull(const struct options *o, char **arg, struct err *err)
{
    struct recipe recipe;

    if (!build_recipe(&recipe, arg[0]))
        return err_set(err, ENOENT,
                       "'%.64s' cannot be pulled; there are 'debian', 'debian:forky' and "
                       "'debian:sid', and 'cosm image build FILE' makes others",
                       arg[0]);
    return make(&recipe, o->quiet, err);
}

static int image_build(const struct options *o, char **arg, struct err *err)
{
    struct image_file file;
    int r = image_file_read(&file, arg[0], err);

    if (r)
        return r;
    r = make(&file.recipe, o->quiet, err);
    image_file_free(&file);
    return r;
}

static void print_json(const struct image *image, const struct image_info *info, bool first)
{
    char text[1024];
    struct json_out out;

    json_out_init(&out, text, sizeof(text));
    json_open(&out, '{');
    json_key(&out, "name");
    json_put_string(&out, image->name);
    json_key(&out, "id");
    json_put_string(&out, image->id);
    json_key(&out, "suite");
    json_put_string(&out, info->suite);
    json_key(&out, "created");
    json_put_integer(&out, info->created);
    json_key(&out, "packages");
    json_put_integer(&out, info->packages);
    json_key(&out, "size");
    json_put_integer(&out, (s64)info->size);
    json_key(&out, "virtual-size");
    json_put_integer(&out, (s64)info->virtual_size);
    json_close(&out, '}');
    printf("%s%s", first ? "" : ",\n ", text);
}

static void print_line(const struct image *image, const struct image_info *info)
{
    char when[32] = "";
    time_t created = info->created;
    struct tm tm;

    if (localtime_r(&created, &tm))
        strftime(when, sizeof(when), "%Y-%m-%d %H:%M", &tm);
    printf("%-20s %-10s %-16s %8u %6llu MB %6llu GB\n", image->name, info->suite, when,
           info->packages, (unsigned long long)(info->size / 1000000),
           (unsigned long long)(info->virtual_size / GIB));
}

static int image_ls(const struct options *o, char **arg, struct err *err)
{
    char(*names)[IMAGE_NAME_MAX];
    u32 count;
    int r = image_list(&names, &count, err);

    (void)arg;
    if (r)
        return r;
    if (o->json)
        printf("[");
    else if (!o->quiet)
        printf("%-20s %-10s %-16s %8s %9s %9s\n", "NAME", "SUITE", "MADE", "PACKAGES", "SIZE",
               "DISK");
    for (u32 i = 0; i < count && !r; i++) {
        struct image image;
        struct image_info info;

        r = image_find(&image, names[i], err);
        if (!r)
            r = image_read(&image, &info, err);
        if (!r && o->json)
            print_json(&image, &info, i == 0);
        else if (!r && o->quiet)
            printf("%s\n", image.name);
        else if (!r)
            print_line(&image, &info);
    }
    if (o->json)
        printf("]\n");
    free(names);
    return r;
}

static int image_info(const struct options *o, char **arg, struct err *err)
{
    AUTO_FREE char *text = NULL;
    struct image image;
    struct image_info info;
    char disk[PLACE_MAX];
    int r = image_find(&image, arg[0], err);

    if (!r)
        r = image_read(&image, &info, err);
    if (!r)
        r = image_json(&image, &text, err);
    if (!r)
        r = image_file(&image, "base.qcow2", disk, err);
    if (r)
        return r;
    if (o->json) {
        printf("%s\n", text);
        return 0;
    }
    printf("%-20s %-10s %-16s %8s %9s %9s\n", "NAME", "SUITE", "MADE", "PACKAGES", "SIZE", "DISK");
    print_line(&image, &info);
    printf("\nFile: %s\nDigest: %s\nPackages: 'cosm image info --json %s' lists them\n", disk,
           info.digest, image.name);
    return 0;
}

static int image_rm(const struct options *o, char **arg, struct err *err)
{
    int status = 0;

    for (u32 i = 1; i < o->operands; i++) {
        if (image_remove(arg[i - 1], err)) {
            fprintf(stderr, "cosm: %s\n", err->msg);
            status = 1;
        } else {
            printf("%s\n", arg[i - 1]);
        }
    }
    return status;
}

int image_main(const struct options *o, struct err *err)
{
    static const struct verb verbs[] = {
        {"pull", image_pull, 1, 1}, {"ls", image_ls, 0, 0},          {"list", image_ls, 0, 0},
        {"info", image_info, 1, 1}, {"rm", image_rm, 1, UINT32_MAX}, {"build", image_build, 1, 1},
    };
    const char *name = o->operands ? o->operand[0] : NULL;

    if (!name)
        return err_set(err, EINVAL, "which verb? Say 'cosm image pull', ls, info, build or rm");
    for (u32 i = 0; i < ARRAY_SIZE(verbs); i++) {
        if (strcmp(verbs[i].name, name))
            continue;
        if (o->operands - 1 < verbs[i].least)
            return err_set(err, EINVAL, "which image? Say 'cosm image %s %s'", name,
                           verbs[i].run == image_build ? "FILE" : "NAME");
        if (o->operands - 1 > verbs[i].most)
            return err_set(err, EINVAL, "'%.64s' is one argument too many",
                           o->operand[1 + verbs[i].most]);
        return verbs[i].run(o, o->operand + 1, err);
    }
    return err_set(err, EINVAL,
                   "'%.64s' is no verb of 'cosm image'; give pull, ls, info, build or rm", name);
}
