/* SPDX-License-Identifier: BSD-2-Clause */
/* cosm disasm: lists machine code on standard output. */
#ifndef COSM_APPS_DISASM_H
#define COSM_APPS_DISASM_H

#include "apps/cosm/options.h"

/* 0 or -errno and the sentence; the caller flushes. */
MUST_CHECK int disasm_print(const struct options *options, struct err *err);

#endif
