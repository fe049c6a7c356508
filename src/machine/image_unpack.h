/* SPDX-License-Identifier: BSD-2-Clause */
/* Packed images: gzip, zstd and EFI zboot, unpacked with a bound on the output. */
#ifndef COSM_MACHINE_IMAGE_UNPACK_H
#define COSM_MACHINE_IMAGE_UNPACK_H

#include "machine/image.h"

bool image_is_packed(const struct image_source *source);

/*
 * Unpacks into a new buffer of at most limit bytes (> 0), which the caller frees with free().
 * -E2BIG: the content is larger than limit.
 */
MUST_CHECK int image_unpack(const struct image_source *source, u64 limit, u8 **bytes, size_t *size,
                            struct err *err);

#endif
