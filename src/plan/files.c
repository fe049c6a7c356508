/* SPDX-License-Identifier: BSD-2-Clause */
/* Files that a configuration names: seen from its folder. */
#include "plan/files.h"

#include "base/fmt.h"
#include "host/file.h"

#include <limits.h>
#include <string.h>

int files_read(struct plan *p, const struct toml_node *n, u64 max, u8 **bytes, u64 *size)
{
    const char *slash = strrchr(p->path, '/');
    int folder = slash && n->text[0] != '/' ? (int)(slash + 1 - p->path) : 0;
    char path[PATH_MAX];
    struct err err;

    if (fmt_print(path, sizeof(path), "%.*s%s", folder, p->path, n->text) >= sizeof(path))
        return plan_refuse(p, n, "the name of this file is too long");
    if (file_read(n->key ? n->key : "file", path, max, bytes, size, &err))
        return plan_refuse(p, n, "%s", err.msg);
    return 0;
}
