/* SPDX-License-Identifier: BSD-2-Clause */
/* Writes a cpio archive in the form "newc". */
#include "store/cpio.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>

static void pad(struct cpio *c)
{
    static const char zero[4];
    long at = ftell(c->file);

    if (at > 0)
        (void)!fwrite(zero, 1, (size_t)(-at & 3), c->file);
}

static void header(struct cpio *c, const char *name, u32 mode, u64 size)
{
    size_t len = strlen(name) + 1;

    fprintf(c->file, "070701%08X%08X%08X%08X%08X%08X%08X%08X%08X%08X%08X%08zX%08X", ++c->inode,
            mode, 0u, 0u, S_ISDIR(mode) ? 2u : 1u, 0u, (u32)size, 0u, 0u, 0u, 0u, len, 0u);
    (void)!fwrite(name, 1, len, c->file);
    pad(c);
}

void cpio_write(struct cpio *c, const void *bytes, size_t len, bool last)
{
    if (len)
        (void)!fwrite(bytes, 1, len, c->file);
    if (last)
        pad(c);
}

void cpio_folder(struct cpio *c, const char *name)
{
    header(c, name, S_IFDIR | 0755, 0);
}

void cpio_symlink(struct cpio *c, const char *name, const char *target)
{
    header(c, name, S_IFLNK | 0777, strlen(target));
    cpio_write(c, target, strlen(target), true);
}

void cpio_file(struct cpio *c, const char *name, u32 mode, u64 size)
{
    header(c, name, S_IFREG | (mode & 07777), size);
}

int cpio_finish(struct cpio *c)
{
    c->inode = 0;
    header(c, "TRAILER!!!", 0, 0);
    if (fflush(c->file) || ferror(c->file))
        return errno ? -errno : -EIO;
    return 0;
}
