/* SPDX-License-Identifier: BSD-2-Clause */
/* What an image of cosm-metal is made of, for people who must account for it. */
#ifndef COSM_PLAN_MANIFEST_H
#define COSM_PLAN_MANIFEST_H

#include "plan/link.h"

/*
 * A software bill of materials in the form of SPDX 2.3 (JSON), without dates, so that the same
 * sources give the same bytes: the image, the configuration, the hypervisor (version is cosm's),
 * each image of a partition, with SHA-256. *text is the caller's, NUL-terminated.
 */
MUST_CHECK int plan_manifest(const struct plan *plan, const struct plan_core *core, const u8 *image,
                             u64 image_size, const char *version, char **text, struct err *err);

/* size bytes as hexadecimal digits and a NUL. */
void plan_hex(const u8 *bytes, size_t size, char *text);

#endif
