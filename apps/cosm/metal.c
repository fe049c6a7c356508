/* SPDX-License-Identifier: BSD-2-Clause */
/* cosm metal: configurations of the bare-metal hypervisor, and the images made of them. */
#include "apps/cosm/metal.h"

#include "apps/cosm/metal_report.h"
#include "apps/cosm/metal_run.h"
#include "apps/cosm/metal_trace.h"
#include "base/fmt.h"
#include "host/file.h"
#include "host/scope.h"
#include "plan/link.h"
#include "plan/manifest.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

#define CORE_FILE_MAX (64 * MIB)
#define CORE_ASSUMED  (2 * MIB) /* for a check without one: it is smaller */

/* A wrong configuration is a failure, not a wrong command line. */
static int failed(int r)
{
    return r == -EINVAL ? -EIO : r;
}

int metal_core_read(const struct options *o, struct plan_core *core, struct err *err)
{
    struct image_source elf = {"the built-in core", plan_core_elf, plan_core_elf_size};
    AUTO_FREE u8 *bytes = NULL;
    struct err reason;
    u64 size;
    int r;

    if (o->metal.core) {
        r = file_read("--core", o->metal.core, CORE_FILE_MAX, &bytes, &size, err);
        if (r)
            return r;
        elf = (struct image_source){o->metal.core, bytes, size};
    } else if (!plan_core_elf_size) {
        return err_set(err, ENOENT,
                       "this cosm was built without a compiler for riscv64 and has no "
                       "hypervisor in it; give one: --core cosm-metal.elf");
    }
    r = plan_core_read(core, &elf, &reason);
    return r ? err_set(err, EIO, "--core: '%s' cannot be used: %s", elf.name, reason.msg) : 0;
}

static int write_manifest(const char *output, const struct plan *plan, const struct plan_core *core,
                          const u8 *bytes, u64 size, struct err *err)
{
    AUTO_FREE char *text = NULL;
    char path[PATH_MAX];
    int r = plan_manifest(plan, core, bytes, size, COSM_VERSION, &text, err);

    if (r)
        return r;
    if (fmt_print(path, sizeof(path), "%s.json", output) >= sizeof(path))
        return err_set(err, ENAMETOOLONG, "--output: the name of the manifest is too long");
    return file_write("--output", path, text, strlen(text), err);
}

static int write_image(const struct options *o, const struct plan *plan,
                       const struct plan_core *core, struct err *err)
{
    const char *output = o->metal.output ? o->metal.output : "cosm-metal.bin";
    AUTO_FREE u8 *bytes = NULL;
    u64 size;
    int r = plan_link(plan, core, &bytes, &size, err);

    if (!r)
        r = file_write("--output", output, bytes, size, err);
    if (!r)
        r = write_manifest(output, plan, core, bytes, size, err);
    if (!r)
        printf("%s: %llu KiB, to be loaded at 0x%llx\n", output, (unsigned long long)(size / KIB),
               (unsigned long long)plan->self_hpa);
    return r;
}

static int do_build(const struct options *o, struct plan *plan, struct err *err)
{
    struct plan_core core;
    int r = metal_core_read(o, &core, err);

    if (r)
        return r;
    r = plan_load(plan, o->operand[1], core.flat.size, err);
    if (!r)
        r = write_image(o, plan, &core, err);
    free(core.flat.bytes);
    return failed(r);
}

static int do_check(const struct options *o, struct plan *plan, struct err *err)
{
    struct plan_core core = {.flat.size = CORE_ASSUMED};
    int r = o->metal.core || plan_core_elf_size ? metal_core_read(o, &core, err) : 0;

    if (!r)
        r = plan_load(plan, o->operand[1], core.flat.size, err);
    free(core.flat.bytes);
    if (!r && o->json)
        return failed(metal_report_json(plan, err));
    if (!r)
        metal_report(plan);
    return failed(r);
}

static int do_run(const struct options *o, struct plan *plan, struct err *err)
{
    (void)plan;
    return metal_run(o, err);
}

static int do_trace(const struct options *o, struct plan *plan, struct err *err)
{
    (void)plan;
    return metal_trace(o, err);
}

static int do_top(const struct options *o, struct plan *plan, struct err *err)
{
    (void)plan;
    return metal_top(o, err);
}

static const struct {
    const char *name;
    int (*run)(const struct options *o, struct plan *plan, struct err *err);
    const char *usage;
    bool runs;  /* QEMU, which gets what is behind -- */
    bool reads; /* what a run left, with --from, without an operand */
} verbs[] = {
    {"build", do_build, "CONFIG [-o FILE] [--core FILE]", false, false},
    {"check", do_check, "CONFIG [--json]", false, false},
    {"run", do_run, "CONFIG|IMAGE [--split|--lines] [-- QEMU-OPTION...]", true, false},
    {"trace", do_trace, "CONFIG|IMAGE [--from FILE] [--json] [-- QEMU-OPTION...]", true, true},
    {"top", do_top, "CONFIG|IMAGE [--from FILE] [-- QEMU-OPTION...]", true, true},
};

static bool has_operands(const struct options *o, size_t verb)
{
    u32 own = o->operands < o->before_rest ? o->operands : o->before_rest;

    if (own != o->operands && !verbs[verb].runs)
        return false;
    return own == 2 || (own == 1 && o->metal.from && verbs[verb].reads);
}

int metal_main(const struct options *o, struct err *err)
{
    const char *name = o->operands ? o->operand[0] : NULL;
    AUTO_FREE struct plan *plan = calloc(1, sizeof(*plan));
    int r;

    if (!name)
        return err_set(
            err, EINVAL,
            "what is to be done? cosm metal build, check, run, trace, top: see 'cosm help metal'");
    if (!plan)
        return err_set(err, ENOMEM, "no memory for a configuration");
    for (size_t i = 0; i < ARRAY_SIZE(verbs); i++) {
        if (strcmp(verbs[i].name, name))
            continue;
        if (!has_operands(o, i))
            return err_set(err, EINVAL, "usage: cosm metal %s %s", name, verbs[i].usage);
        r = verbs[i].run(o, plan, err);
        plan_free(plan);
        return r;
    }
    return err_set(err, EINVAL, "'%.64s' is nothing that cosm metal does; see 'cosm help metal'",
                   name);
}
