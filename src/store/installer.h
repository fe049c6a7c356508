/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the VM boots that makes an image: Debian's kernel and an initial file system of Debian's
 * busybox, e2fsprogs, a few drivers and a script of ours (installer.sh), and the disk with the
 * packages and install.sh.
 */
#ifndef COSM_STORE_INSTALLER_H
#define COSM_STORE_INSTALLER_H

#include "store/apt.h"
#include "store/image.h"

/* A file of the host that is put into an image, as root's, with its right to be executed. */
struct recipe_copy {
    const char *from, *to; /* to: an absolute path without spaces or control characters */
};

/* What an image is to be. */
struct recipe {
    char name[IMAGE_NAME_MAX];
    char suite[32];
    const char *const *packages; /* beside those that every Debian has */
    u32 package_count;
    u64 size;             /* bytes of the disk */
    const char *commands; /* a script to run at the end, in the new system; NULL: none */
    const struct recipe_copy *copies; /* made before the commands run */
    u32 copy_count;
};

/* Files, in a folder. */
#define INSTALLER_KERNEL   "Image"
#define INSTALLER_INITRD   "initramfs"
#define INSTALLER_PACKAGES "packages.iso"
#define INSTALLER_DISK     "base.qcow2"
#define INSTALLER_LOADER   "u-boot.bin"

struct parts {
    struct apt_list first; /* what dpkg itself needs, and Debian calls essential */
    struct apt_list all;
    struct apt_list tools; /* what the installer is made of beside those */
};

/* Names of the packages of which the installer takes files. */
extern const char *const installer_tools[];
extern const u32 installer_tool_count;

/* Kernel, initial file system and boot loader. */
MUST_CHECK int installer_make(const struct apt *apt, const struct parts *parts, const char *folder,
                              const struct progress *progress, struct err *err);
/* The disk with the packages. */
MUST_CHECK int installer_packages(const struct apt *apt, const struct parts *parts,
                                  const struct recipe *recipe, const char *folder,
                                  const struct progress *progress, struct err *err);
/* Runs the VM, until base.qcow2 in folder is whole. */
MUST_CHECK int installer_run(const char *folder, const struct progress *progress, struct err *err);

#endif
