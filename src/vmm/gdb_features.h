/* SPDX-License-Identifier: BSD-2-Clause */
/* The target description that tells gdb which registers there are. */
#ifndef COSM_VMM_GDB_FEATURES_H
#define COSM_VMM_GDB_FEATURES_H

#include "vmm/gdb_target.h"

/* XML text of *len bytes for target.xml, malloc'ed, the caller's; NULL: no memory. */
MUST_CHECK char *gdb_features_create(const struct gdb_target *target, size_t *len);

#endif
