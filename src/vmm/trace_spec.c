/* SPDX-License-Identifier: BSD-2-Clause */
/* What --trace asks for. */
#include "vmm/trace_spec.h"

#include "base/checked.h"

#include <errno.h>
#include <string.h>

static bool is_item(const char *text, size_t len, const char *name)
{
    return len == strlen(name) && !memcmp(text, name, len);
}

/* "name=DIGITS" */
static bool number_item(const char *text, size_t len, const char *name, u64 *value)
{
    size_t at = strlen(name);
    u64 v = 0;

    if (len <= at + 1 || memcmp(text, name, at) || text[at] != '=')
        return false;
    while (++at < len) {
        if (text[at] < '0' || text[at] > '9' || !checked_mul(v, 10, &v) ||
            !checked_add(v, (u64)(text[at] - '0'), &v))
            return false;
    }
    *value = v;
    return true;
}

static int path_item(struct trace_spec *spec, const char *path, struct err *err)
{
    size_t len = strlen(path);

    if (!len || len >= sizeof(spec->path))
        return err_set(err, EINVAL, "file= needs a path of at most %d bytes", TRACE_PATH_MAX - 1);
    memcpy(spec->path, path, len + 1);
    return 0;
}

static int item(struct trace_spec *spec, const char *text, size_t len, struct err *err)
{
    u64 hart;

    if (is_item(text, len, "insn")) {
        spec->insn = true;
    } else if (is_item(text, len, "trap")) {
        spec->trap = true;
    } else if (is_item(text, len, "jit")) {
        spec->jit = true;
    } else if (number_item(text, len, "hart", &hart) && hart < UINT32_MAX) {
        spec->one_hart = true;
        spec->hart = (u32)hart;
    } else if (!number_item(text, len, "start", &spec->start) &&
               !number_item(text, len, "count", &spec->count)) {
        return err_set(err, EINVAL,
                       "'%.*s' is not to be traced; give insn, trap, jit, hart=N, start=N, count=N "
                       "or file=PATH",
                       (int)(len > 100 ? 100 : len), text);
    }
    return 0;
}

int trace_spec_parse(struct trace_spec *spec, const char *text, struct err *err)
{
    struct trace_spec parsed = {.count = UINT64_MAX};
    const char *at = text;
    int r = 0;

    while (!r && strncmp(at, "file=", 5)) {
        size_t len = strcspn(at, ",");
        r = item(&parsed, at, len, err);
        if (!at[len])
            break;
        at += len + 1;
    }
    if (!r && !strncmp(at, "file=", 5))
        r = path_item(&parsed, at + 5, err);
    if (!r && !parsed.insn && !parsed.trap && !parsed.jit)
        r = err_set(err, EINVAL, "'%s' traces nothing; give insn, trap or jit", text);
    if (!r)
        *spec = parsed;
    return r;
}
