/* SPDX-License-Identifier: BSD-2-Clause */
/* The translating engine: a hart's code as host code, block by block. */
#ifndef COSM_EXEC_JIT_H
#define COSM_EXEC_JIT_H

#include "rv/hart.h"

/* Can this host run translated code? */
bool jit_is_supported(void);

/* Gives hart a translator; false: no memory. */
MUST_CHECK bool jit_attach(struct hart *hart);
/* The same with bytes of code and translated pages of one's own choice, for tests of exhaustion. */
MUST_CHECK bool jit_attach_limited(struct hart *hart, u32 code_size, u32 pages);
void jit_detach(struct hart *hart);

/* As interp_run; steps and debugging are the interpreter's, which shares all state. */
enum hart_exit jit_run(struct hart *hart, bool step);

#endif
