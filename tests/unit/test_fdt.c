/* SPDX-License-Identifier: BSD-2-Clause */
/* Device trees: the board's own, and a user's with /chosen set; damaged ones are refused. */
#include "machine/fdt_patch.h"
#include "machine/virt_fdt.h"

#include "tests/fake.h"
#include "tests/test.h"

#include <libfdt.h>

static const u8 seed[VIRT_RNG_SEED_SIZE] = {1, 2, 3};
static struct err err;

static const struct machine_config two_harts = {
    .ram_size = 128 * MIB,
    .hart_count = 2,
    .isa = "rv64imafdc_zicsr",
    .isa_extensions = "i\nm\nzicsr",
    .mmu_type = "riscv,sv57",
    .cbom_block = 64,
    .bootargs = "console=ttyS0",
    .initrd = 0x84200000,
    .initrd_size = 0x1234,
};

/* The board's tree; the caller frees it. */
static void *build(const struct machine_config *config, size_t *used)
{
    size_t size = virt_fdt_bound(config);
    void *fdt = malloc(size);

    CHECK_EQ(virt_fdt_build(fdt, size, used, config, seed, &err), 0);
    return fdt;
}

static const void *prop(const void *fdt, const char *path, const char *name, int *len)
{
    return fdt_getprop(fdt, fdt_path_offset(fdt, path), name, len);
}

static u64 prop_u64(const void *fdt, const char *path, const char *name)
{
    int len;
    const void *p = prop(fdt, path, name, &len);

    return p && len == 8 ? be64_load(p) : UINT64_MAX;
}

static const char *prop_text(const void *fdt, const char *path, const char *name)
{
    int len;
    const char *p = prop(fdt, path, name, &len);

    return p ? p : "(absent)";
}

TEST(virt_tree)
{
    size_t used;
    void *fdt = build(&two_harts, &used);
    int len;

    CHECK_EQ(fdt_check_full(fdt, used), 0);
    CHECK_STR(prop_text(fdt, "/chosen", "bootargs"), "console=ttyS0");
    CHECK_STR(prop_text(fdt, "/chosen", "stdout-path"), "/soc/serial@10000000");
    CHECK_EQ(prop_u64(fdt, "/chosen", "linux,initrd-start"), 0x84200000);
    CHECK_EQ(prop_u64(fdt, "/chosen", "linux,initrd-end"), 0x84201234);
    CHECK(!memcmp(prop(fdt, "/chosen", "rng-seed", &len), seed, sizeof(seed)));
    CHECK_STR(prop_text(fdt, "/cpus/cpu@1", "riscv,isa"), "rv64imafdc_zicsr");
    CHECK_STR(prop_text(fdt, "/cpus/cpu@1", "riscv,isa-base"), "rv64i");
    CHECK(prop(fdt, "/cpus/cpu@1", "riscv,isa-extensions", &len));
    CHECK_EQ(len, 10);
    CHECK(!memcmp(prop(fdt, "/cpus/cpu@1", "riscv,isa-extensions", &len), "i\0m\0zicsr", 10));
    CHECK_EQ(be32_load(prop(fdt, "/cpus/cpu@0", "riscv,cbom-block-size", &len)), 64);
    CHECK(!prop(fdt, "/cpus/cpu@0", "riscv,cboz-block-size", &len));
    CHECK(fdt_path_offset(fdt, "/cpus/cpu@2") < 0);
    free(fdt);
}

TEST(virt_tree_without_options)
{
    struct machine_config config = two_harts;
    size_t used;
    void *fdt;
    int len;

    config.bootargs = "";
    config.initrd_size = 0;
    fdt = build(&config, &used);
    CHECK(!prop(fdt, "/chosen", "bootargs", &len));
    CHECK(!prop(fdt, "/chosen", "linux,initrd-start", &len));
    free(fdt);
}

TEST(virt_tree_with_most_harts)
{
    struct machine_config config = two_harts;
    char args[5000];
    size_t used;
    void *fdt;

    memset(args, 'x', sizeof(args));
    args[sizeof(args) - 1] = '\0';
    config.bootargs = args;
    config.hart_count = MACHINE_HARTS_MAX;
    fdt = build(&config, &used);
    CHECK_EQ(fdt_check_full(fdt, used), 0);
    CHECK(fdt_path_offset(fdt, "/cpus/cpu@1f") > 0);
    free(fdt);
}

TEST(virt_tree_too_large)
{
    u8 small[512];
    size_t used;

    CHECK(virt_fdt_build(small, sizeof(small), &used, &two_harts, seed, &err) < 0);
    CHECK(strstr(err.msg, "does not fit"));
}

/* Patches a heap copy of size bytes; *out is the caller's to free. */
static int apply(const void *bytes, size_t size, const struct fdt_patch *patch, void **out,
                 size_t *used)
{
    struct image_source dtb = {"user.dtb", NULL, size};
    u8 *copy = malloc(size ? size : 1);
    size_t room;
    int rc;

    memcpy(copy, bytes, size);
    dtb.bytes = copy;
    room = fdt_patch_bound(&dtb, patch);
    *out = malloc(room);
    err.msg[0] = '\0';
    rc = fdt_patch_apply(&dtb, patch, *out, room, used, &err);
    CHECK((rc < 0) == (err.msg[0] != '\0'));
    free(copy);
    return rc;
}

TEST(patch)
{
    const struct fdt_patch patch = {"quiet", 0x85000000, 0x1000, (const u8 *)"12345678", 8};
    size_t used, patched_size;
    void *fdt = build(&two_harts, &used), *out;
    int len;

    CHECK_EQ(apply(fdt, used, &patch, &out, &patched_size), 0);
    CHECK_EQ(fdt_check_full(out, patched_size), 0);
    CHECK_STR(prop_text(out, "/chosen", "bootargs"), "quiet");
    CHECK_EQ(prop_u64(out, "/chosen", "linux,initrd-start"), 0x85000000);
    CHECK_EQ(prop_u64(out, "/chosen", "linux,initrd-end"), 0x85001000);
    CHECK(!memcmp(prop(out, "/chosen", "rng-seed", &len), "12345678", 8));
    CHECK_EQ(len, 8);
    CHECK_STR(prop_text(out, "/soc/plic@c000000", "compatible"), "sifive,plic-1.0.0");
    free(out);
    free(fdt);
}

TEST(patch_keeps_what_is_not_given)
{
    const struct fdt_patch none = {0};
    size_t used, patched_size;
    void *fdt = build(&two_harts, &used), *out;
    int len;

    CHECK_EQ(apply(fdt, used, &none, &out, &patched_size), 0);
    CHECK_STR(prop_text(out, "/chosen", "bootargs"), "console=ttyS0");
    CHECK(!memcmp(prop(out, "/chosen", "rng-seed", &len), seed, sizeof(seed)));
    CHECK(!prop(out, "/chosen", "linux,initrd-start", &len)); /* its RAM disk is not there */
    free(out);
    free(fdt);
}

TEST(patch_makes_chosen)
{
    const struct fdt_patch patch = {"quiet", 0x85000000, 0x1000, seed, sizeof(seed)};
    u8 bare[256];
    size_t used;
    void *out;

    CHECK_EQ(fdt_create_empty_tree(bare, sizeof(bare)), 0);
    CHECK_EQ(fdt_pack(bare), 0);
    CHECK_EQ(apply(bare, fdt_totalsize(bare), &patch, &out, &used), 0);
    CHECK_STR(prop_text(out, "/chosen", "bootargs"), "quiet");
    free(out);
}

static void check_refused(const void *bytes, size_t size, const char *text)
{
    const struct fdt_patch patch = {.bootargs = "x"};
    size_t used;
    void *out;

    CHECK(apply(bytes, size, &patch, &out, &used) < 0);
    CHECK(strstr(err.msg, text));
    free(out);
}

TEST(damaged_trees)
{
    size_t used;
    u8 *fdt = build(&two_harts, &used), *big = calloc(1, FDT_PATCH_MAX + 1);

    check_refused("not a tree", 10, "not a flattened device tree");
    check_refused("", 0, "not a flattened device tree");
    check_refused(big, FDT_PATCH_MAX + 1, "larger than 1 MiB");
    for (size_t cut = 0; cut < 64; cut++)
        check_refused(fdt, cut, "user.dtb");
    for (size_t cut = 64; cut < used; cut += 61)
        check_refused(fdt, cut, "cut short");
    be32_store(fdt + 20, 2);
    check_refused(fdt, used, "has version 2, not 17");
    free(big);
    free(fdt);
}

/* Each word of the header and of the structure set to hostile values: refused or still sound. */
TEST(hostile_words)
{
    static const u32 values[] = {0, 1, 9, 0x7fffffff, 0x80000000, 0xfffffff0, UINT32_MAX};
    const struct fdt_patch patch = {"quiet", 0x85000000, 0x1000, seed, sizeof(seed)};
    size_t used, patched_size;
    u8 *fdt = build(&two_harts, &used);

    for (size_t at = 4; at < used && at < 1200; at += 4) {
        u32 old = be32_load(fdt + at);
        for (u32 i = 0; i < ARRAY_SIZE(values); i++) {
            void *out;
            be32_store(fdt + at, values[i]);
            if (!apply(fdt, used, &patch, &out, &patched_size))
                CHECK_EQ(fdt_check_full(out, patched_size), 0);
            free(out);
        }
        be32_store(fdt + at, old);
    }
    free(fdt);
}

TEST_MAIN()
