/* SPDX-License-Identifier: BSD-2-Clause */
/* A device tree that the user brought: checked, then /chosen set for this boot, the rest kept. */
#include "machine/fdt_patch.h"

#include "base/mem.h"

#include <errno.h>
#include <libfdt.h>

/* Offsets in the header (Devicetree Specification 0.4, 5.2). */
enum { FDT_AT_SIZE = 4, FDT_AT_VERSION = 20 };

#define FDT_PATCH_ROOM 1024 /* for /chosen, its property headers and their names */

size_t fdt_patch_bound(const struct image_source *dtb, const struct fdt_patch *patch)
{
    size_t size = dtb->size < FDT_PATCH_MAX ? dtb->size : FDT_PATCH_MAX;

    /* fdt_open_into may align its blocks anew, hence a little more. */
    return size + FDT_PATCH_ROOM + patch->seed_size +
           (patch->bootargs ? strlen(patch->bootargs) : 0);
}

static int bad_tree(const struct image_source *dtb, const char *why, struct err *err)
{
    return err_set(err, EINVAL,
                   "device tree '%s' is damaged (%s): make it anew with dtc or cosm --dump-dtb",
                   dtb->name, why);
}

static int check(const struct image_source *dtb, struct err *err)
{
    int rc;

    if (dtb->size > FDT_PATCH_MAX)
        return err_set(err, EFBIG, "device tree '%s' is larger than 1 MiB: is it one?", dtb->name);
    if (dtb->size < sizeof(struct fdt_header) || be32_load(dtb->bytes) != FDT_MAGIC)
        return err_set(err, EINVAL,
                       "'%s' is not a flattened device tree: compile it with dtc -O dtb",
                       dtb->name);
    if (be32_load(dtb->bytes + FDT_AT_SIZE) > dtb->size)
        return bad_tree(dtb, "cut short", err);
    /* Older layouts have other names and sizes, with which libfdt 1.6 trips over a broken tree. */
    if (be32_load(dtb->bytes + FDT_AT_VERSION) != FDT_LAST_SUPPORTED_VERSION)
        return err_set(err, ENOTSUP,
                       "device tree '%s' has version %u, not 17: compile it anew with dtc",
                       dtb->name, be32_load(dtb->bytes + FDT_AT_VERSION));
    rc = fdt_check_full(dtb->bytes, dtb->size);
    return rc ? bad_tree(dtb, fdt_strerror(rc), err) : 0;
}

/* Deletes a property that may be absent. */
static int drop(void *fdt, int node, const char *name)
{
    int rc = fdt_delprop(fdt, node, name);

    return rc == -FDT_ERR_NOTFOUND ? 0 : rc;
}

static int set_chosen(void *fdt, const struct fdt_patch *patch)
{
    int node = fdt_path_offset(fdt, "/chosen"), rc = 0;

    if (node == -FDT_ERR_NOTFOUND)
        node = fdt_add_subnode(fdt, 0, "chosen");
    if (node < 0)
        return node;
    if (patch->bootargs)
        rc = fdt_setprop_string(fdt, node, "bootargs", patch->bootargs);
    if (!rc && patch->seed)
        rc = fdt_setprop(fdt, node, "rng-seed", patch->seed, (int)patch->seed_size);
    if (!rc)
        rc = drop(fdt, node, "linux,initrd-start");
    if (!rc)
        rc = drop(fdt, node, "linux,initrd-end");
    if (!rc && patch->initrd_size)
        rc = fdt_setprop_u64(fdt, node, "linux,initrd-start", patch->initrd);
    if (!rc && patch->initrd_size)
        rc = fdt_setprop_u64(fdt, node, "linux,initrd-end", patch->initrd + patch->initrd_size);
    return rc;
}

int fdt_patch_apply(const struct image_source *dtb, const struct fdt_patch *patch, void *out,
                    size_t out_size, size_t *used, struct err *err)
{
    int rc = check(dtb, err);

    if (rc)
        return rc;
    rc = fdt_open_into(dtb->bytes, out, out_size > INT32_MAX ? INT32_MAX : (int)out_size);
    if (!rc)
        rc = set_chosen(out, patch);
    if (!rc)
        rc = fdt_pack(out);
    if (rc)
        return bad_tree(dtb, fdt_strerror(rc), err);
    *used = fdt_totalsize(out);
    return 0;
}
