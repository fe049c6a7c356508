/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * VMs made from images. Each has a folder PLACE_VMS/NAME of its own, which stays until
 * guest_remove:
 *
 *     disk.qcow2    its disk, which lies on the image's
 *     vm.json       the image, the command line that made it, its addresses
 *     instance      a number that no other VM has, by which the guest sees whose disk it has
 *     keys          who may log in: the user's public keys, as authorized_keys
 *     user          the name of the user in the guest
 *     hostkey(.pub) the guest's own ssh key, so that who logs in knows whom he talks to
 *     known_hosts   that key for ssh, whatever way leads to the guest
 *
 * The guest gets instance, keys, user and hostkey as systemd's credentials cosm.instance, ... (the
 * board's fw_cfg items opt/io.systemd.credentials/...), and takes them in firstboot.sh.
 */
#ifndef COSM_STORE_GUEST_H
#define COSM_STORE_GUEST_H

#include "store/image.h"
#include "store/progress.h"

#define GUEST_ARGS_MAX 128

struct guest {
    char name[IMAGE_NAME_MAX];
    char folder[PLACE_MAX];
    char image[PLACE_MAX]; /* the folder of its image */
    u8 mac[6];
    char cwd[PLACE_MAX];            /* where its command line was given */
    char *argv[GUEST_ARGS_MAX + 1]; /* that of 'cosm run', up to NULL; malloc'ed */
};

struct guest_config {
    const char *name; /* NULL: the first free of vm1, vm2, ... */
    const char *user; /* in the guest; NULL: the host's, if its name will do, else "debian" */
    u64 size;         /* bytes of the disk; 0: the image's; less is refused */
    char *const *argv;
};

/* -EEXIST: there is a VM of this name, and the sentence tells how to start it. */
MUST_CHECK int guest_create(struct guest *guest, const struct image *image,
                            const struct guest_config *config, struct err *err);
/* -ENOENT: no VM of this name was made from an image. */
MUST_CHECK int guest_open(struct guest *guest, const char *name, struct err *err);
void guest_close(struct guest *guest);

/*
 * A VM with a copy of this one's disk, its command line and an identity of its own. -EEXIST as
 * above; -EINTR: progress wanted it to stop. It fails while from runs, whose disk changes.
 */
MUST_CHECK int guest_clone(const struct guest *from, const char *name,
                           const struct progress *progress, struct err *err);

/* Disk and all. What is not there is removed. */
MUST_CHECK int guest_remove(const char *name, struct err *err);
/* -EEXIST: the name is taken. What is not there is not renamed. */
MUST_CHECK int guest_rename(const char *name, const char *to, struct err *err);
bool guest_exists(const char *name);

/* True if the disk of a VM lies on this making of an image: user is its name. */
bool guest_uses(const char *image_folder, char user[IMAGE_NAME_MAX]);

/* The path of one of its files. */
MUST_CHECK int guest_file(const struct guest *guest, const char *file, char path[PLACE_MAX],
                          struct err *err);

#endif
