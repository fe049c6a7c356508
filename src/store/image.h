/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Images: disks that VMs begin with. A name may have a tag, NAME:TAG, which tells an image from
 * others of its kind, as in "debian:sid"; "debian:trixie" is "debian". Each making of an image is a
 * folder of its own, PLACE_IMAGES/NAME[:TAG]/ID with
 *
 *     base.qcow2    the disk; never written again, as the disks of VMs lie on it
 *     u-boot.bin    what starts it, in S-mode
 *     image.json    what it is made of
 *
 * The newest ID is what the name means; older ones stay as long as a VM's disk lies on them.
 */
#ifndef COSM_STORE_IMAGE_H
#define COSM_STORE_IMAGE_H

#include "store/place.h"
#include "store/progress.h"

#define IMAGE_NAME_MAX 64
#define IMAGE_ID_MAX   32

struct image {
    char name[IMAGE_NAME_MAX], id[IMAGE_ID_MAX];
    char folder[PLACE_MAX];
};

struct image_info {
    char suite[32];
    char digest[80];  /* "sha256:..." of base.qcow2 */
    s64 created;      /* s since 1970 */
    u64 virtual_size; /* bytes of the disk */
    u64 size;         /* bytes that the files take */
    u32 packages;
};

/*
 * Letters, digits, '.', '_' and '-', the first a letter or digit, and perhaps ':' and a tag of the
 * same kind. full (NULL: not asked for): the one name of those that mean the same.
 */
MUST_CHECK int image_check_name(const char *name, char full[IMAGE_NAME_MAX], struct err *err);

/* What the name means; -ENOENT: there is none. */
MUST_CHECK int image_find(struct image *image, const char *name, struct err *err);
MUST_CHECK int image_read(const struct image *image, struct image_info *info, struct err *err);
MUST_CHECK int image_file(const struct image *image, const char *file, char path[PLACE_MAX],
                          struct err *err);
/* image.json as it is; malloc'ed. */
MUST_CHECK int image_json(const struct image *image, char **text, struct err *err);

/* Names in their order; *names is an array for free(). */
MUST_CHECK int image_list(char (**names)[IMAGE_NAME_MAX], u32 *count, struct err *err);

/* -EBUSY: disks of VMs lie on it. */
MUST_CHECK int image_remove(const char *name, struct err *err);
/* Older makings of images that nothing needs any more. */
void image_collect(const char *name);

#endif
