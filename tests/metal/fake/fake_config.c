/* SPDX-License-Identifier: BSD-2-Clause */
/* The configuration of the fake board, in a file that does not see that the hypervisor's is
 * constant. */
#include "tests/metal/fake/fake.h"

struct metal_config metal_config;

struct metal_config *fake_config(void)
{
    return &metal_config;
}
