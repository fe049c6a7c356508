/* SPDX-License-Identifier: BSD-2-Clause */
/* Random bytes from the host's kernel. */
#ifndef COSM_HOST_ENTROPY_H
#define COSM_HOST_ENTROPY_H

#include "port/entropy.h"

struct entropy host_entropy(void);

#endif
