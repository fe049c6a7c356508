/* SPDX-License-Identifier: BSD-2-Clause */
/* cosm image: makes, lists and removes images that VMs begin with. */
#ifndef COSM_APPS_IMAGE_H
#define COSM_APPS_IMAGE_H

#include "apps/cosm/options.h"
#include "store/build.h"

/* The exit status, or -errno with a sentence; -EINVAL: a usage error. */
MUST_CHECK int image_main(const struct options *options, struct err *err);

/* image_bar.c: how far it is, on standard error: a bar on a terminal, elsewhere a line a stage. */
struct image_bar {
    bool quiet, terminal;
    char stage[32];
    int percent;
    u64 start_ns, drawn_ns;
};
struct progress image_bar_begin(struct image_bar *bar, bool quiet);
void image_bar_end(struct image_bar *bar);

/* image_file.c: a recipe from a file that describes an image. */
struct image_file {
    struct recipe recipe;
    char *text;            /* in which the recipe's words lie; all below are malloc'ed */
    const char **packages; /* recipe.packages */
    struct recipe_copy *copies;
    char **from; /* the copies' paths on the host */
    char *commands;
};
MUST_CHECK int image_file_read(struct image_file *file, const char *path, struct err *err);
void image_file_free(struct image_file *file);

#endif
