/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The place of the configuration, in a file of its own: what the compiler of configurations patches
 * must not be folded into code. As it stands here it boots nothing.
 */
#include "metal/config.h"

extern const struct metal_config metal_config;
const struct metal_config metal_config __attribute__((section(".config"))) = {
    .magic = METAL_MAGIC,
    .version = METAL_VERSION,
    .bytes = sizeof(struct metal_config),
};
