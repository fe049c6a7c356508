/* SPDX-License-Identifier: BSD-2-Clause */
/* Files that a configuration names: seen from its folder. */
#ifndef COSM_PLAN_FILES_H
#define COSM_PLAN_FILES_H

#include "plan/plan.h"

/* Reads what value, a string, names; *bytes is the caller's, as of file_read. */
MUST_CHECK int files_read(struct plan *plan, const struct toml_node *value, u64 max, u8 **bytes,
                          u64 *size);

#endif
