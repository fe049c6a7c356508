/* SPDX-License-Identifier: BSD-2-Clause */
/* What a VM boots: images into RAM, the device tree beside them, harts at their first pc. */
#include "vmm/vm_state.h"

#include "host/file.h"
#include "host/scope.h"
#include "machine/fdt_patch.h"
#include "machine/image_elf.h"
#include "rv/code_cache.h"
#include "rv/mmu.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FILE_MAX_LEAST  (1 * GIB) /* a kernel with what a debugger wants may be larger than RAM */
#define FILE_MAX_MOST   (4 * GIB)
#define FW_CFG_ITEM_MAX (16 * MIB)
#define FLASH_ENTRY     UINT64_C(0x20000000)

static bool has_firmware(const struct vm_config *config)
{
    return config->bios && __builtin_strcmp(config->bios, "none");
}

static int read_image(const struct vm_config *config, const char *what, const char *path,
                      struct image_source *source, struct err *err)
{
    u64 max = config->ram_size, size;
    u8 *bytes;
    int r;

    if (max < FILE_MAX_LEAST)
        max = FILE_MAX_LEAST;
    if (max > FILE_MAX_MOST)
        max = FILE_MAX_MOST;
    r = file_read(what, path, max, &bytes, &size, err);
    if (!r)
        *source = (struct image_source){path, bytes, size};
    return r;
}

static bool begins_like_elf(const char *path)
{
    u8 magic[4] = {0};
    FILE *f = fopen(path, "re");
    bool read = f && fread(magic, 1, 4, f) == 4;

    if (f)
        (void)fclose(f);
    return read && image_is_elf(&(struct image_source){path, magic, 4});
}

int vm_load_symbols(struct vm *vm, struct symbols **symbols, struct err *err)
{
    const struct vm_config *c = vm->config;
    struct image_source source;
    const char *what = c->symbols ? "--symbols" : "--kernel";
    const char *path = c->symbols ? c->symbols : c->kernel;
    size_t count;
    int r;

    if (!path || (!c->symbols && !begins_like_elf(path)))
        return 0;
    r = read_image(c, what, path, &source, err);
    if (r)
        return r;
    r = symbols_create(symbols, what, &source, &count, err);
    free((void *)source.bytes);
    if (r || count || !c->symbols)
        return r;
    symbols_destroy(*symbols);
    *symbols = NULL;
    return err_set(err, EINVAL,
                   "--symbols: '%s' has no code symbols; give an ELF file that is not stripped, or "
                   "a System.map",
                   path);
}

static void free_files(struct boot_files *files)
{
    free((void *)files->firmware.bytes);
    free((void *)files->kernel.bytes);
    free((void *)files->initrd.bytes);
}

int vm_load_images(struct vm *vm, struct err *err)
{
    const struct vm_config *c = vm->config;
    struct boot_files files = {0};
    int r = 0;

    if (!has_firmware(c) && !c->kernel && vm->flash[0])
        return 0;
    if (has_firmware(c))
        r = read_image(c, "--bios", c->bios, &files.firmware, err);
    if (!r && c->kernel)
        r = read_image(c, "--kernel", c->kernel, &files.kernel, err);
    if (!r && c->initrd)
        r = read_image(c, "--initrd", c->initrd, &files.initrd, err);
    if (!r)
        r = boot_plan_load(&vm->plan, &files, &vm->gmem, MACHINE_RAM_BASE, err);
    free_files(&files);
    return r;
}

int vm_load_fw_cfg(struct vm *vm, struct err *err)
{
    for (u32 i = 0; i < vm->config->fw_cfg_count; i++) {
        const struct vm_fw_cfg *item = &vm->config->fw_cfg[i];
        u64 size = strlen(item->value);
        u8 *bytes = NULL;
        int r = 0;

        if (item->file)
            r = file_read("--fw-cfg", item->value, FW_CFG_ITEM_MAX, &bytes, &size, err);
        if (r)
            return r;
        vm->fw_cfg[i] = (struct machine_fw_cfg){
            .name = item->name, .data = bytes ? bytes : (const u8 *)item->value, .len = (u32)size};
    }
    vm->fw_cfg_count = vm->config->fw_cfg_count;
    return vm_share_tell(vm, err);
}

void vm_free_fw_cfg(struct vm *vm)
{
    for (u32 i = 0; i < vm->config->fw_cfg_count; i++) {
        if (vm->config->fw_cfg[i].file)
            free((void *)vm->fw_cfg[i].data);
    }
}

static int patch_user_dtb(struct vm *vm, struct err *err)
{
    struct image_source source = {0};
    u8 seed[32];
    struct fdt_patch patch = {
        .bootargs = vm->config->append,
        .initrd = vm->plan.initrd,
        .initrd_size = vm->plan.initrd_size,
        .seed = seed,
        .seed_size = sizeof(seed),
    };
    struct entropy entropy = vm_entropy(vm);
    size_t bound;
    int r = read_image(vm->config, "--dtb", vm->config->dtb, &source, err);

    if (r)
        return r;
    entropy_fill(&entropy, seed, sizeof(seed));
    bound = fdt_patch_bound(&source, &patch);
    free(vm->user_dtb);
    vm->user_dtb = malloc(bound);
    if (!vm->user_dtb)
        r = err_set(err, ENOMEM, "--dtb: no host memory for '%s'", vm->config->dtb);
    else
        r = fdt_patch_apply(&source, &patch, vm->user_dtb, bound, &vm->user_dtb_size, err);
    free((void *)source.bytes);
    return r;
}

const void *vm_boot_dtb(struct vm *vm, size_t *size)
{
    if (!vm->user_dtb)
        return machine_dtb(vm->machine, size);
    *size = vm->user_dtb_size;
    return vm->user_dtb;
}

static void start_with_firmware(struct vm *vm, gpa_t entry)
{
    gpa_t rom = machine_boot_rom(vm->machine, entry, vm->plan.dtb, vm->plan.kernel_entry);

    for (u32 i = 0; i < vm->config->hart_count; i++) {
        hart_reset(exec_hart(vm->exec, i), rom);
        exec_hart_start(vm->exec, i);
    }
}

static int start_supervisor(struct vm *vm, struct err *err)
{
    int r = vm_platform_sbi(vm, err);

    if (r)
        return r;
    for (u32 i = 0; i < vm->config->hart_count; i++)
        hart_reset(exec_hart(vm->exec, i), 0);
    hart_enter_supervisor(exec_hart(vm->exec, 0), vm->plan.kernel_entry, vm->plan.dtb);
    exec_hart_start(vm->exec, 0);
    return 0;
}

int vm_boot(struct vm *vm, struct err *err)
{
    bool from_flash = !vm->plan.firmware_entry && !vm->plan.kernel_entry;
    const void *dtb;
    size_t size;
    int r = 0;

    if (from_flash)
        vm->plan = (struct boot_plan){.ram = MACHINE_RAM_BASE, .ram_size = vm->ram.size};
    if (vm->config->dtb)
        r = patch_user_dtb(vm, err);
    if (r)
        return r;
    dtb = vm_boot_dtb(vm, &size);
    r = boot_plan_dtb(&vm->plan, vm->config->dtb ? vm->config->dtb : "virt", dtb, size, &vm->gmem,
                      err);
    if (r)
        return r;
    for (u32 i = 0; i < vm->config->hart_count; i++) {
        exec_hart_halt(vm->exec, i);
        code_cache_flush(exec_hart(vm->exec, i));
        mmu_flush(exec_hart(vm->exec, i));
    }
    if (from_flash)
        start_with_firmware(vm, FLASH_ENTRY);
    else if (vm->plan.firmware_entry)
        start_with_firmware(vm, vm->plan.firmware_entry);
    else
        r = start_supervisor(vm, err);
    return r;
}
