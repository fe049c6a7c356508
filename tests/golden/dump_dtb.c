/* SPDX-License-Identifier: BSD-2-Clause */
/* Writes the virt board's device tree for the comparison with QEMU's: dump_dtb HARTS FILE. */
#include "machine/virt_fdt.h"

#include "tests/fake.h"

int main(int argc, char **argv)
{
    static const u8 seed[VIRT_RNG_SEED_SIZE];
    struct machine_config config = {
        .ram_size = 128 * MIB,
        .isa = "rv64imafdc_zicbom_zicbop_zicboz_zicsr_zifencei",
        .isa_extensions = "i\nm\na\nf\nd\nc\nzicbom\nzicbop\nzicboz\nzicsr\nzifencei",
        .mmu_type = "riscv,sv57",
        .cbom_block = 64,
        .cboz_block = 64,
        .cbop_block = 64,
    };
    static u8 fdt[64 * KIB];
    struct err err;
    size_t used;
    FILE *file;

    if (argc != 3)
        return 2;
    config.hart_count = (u32)atoi(argv[1]);
    if (virt_fdt_build(fdt, sizeof(fdt), &used, &config, seed, &err)) {
        fprintf(stderr, "%s\n", err.msg);
        return 1;
    }
    file = fopen(argv[2], "wb");
    if (!file || fwrite(fdt, 1, used, file) != used || fclose(file)) {
        perror(argv[2]);
        return 1;
    }
    return 0;
}
