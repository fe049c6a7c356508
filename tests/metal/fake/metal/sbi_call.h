/* SPDX-License-Identifier: BSD-2-Clause */
/* In place of src/metal/sbi_call.h: the firmware is the test's. */
#ifndef COSM_TESTS_METAL_FAKE_SBI_CALL_H
#define COSM_TESTS_METAL_FAKE_SBI_CALL_H

#include "base/types.h"

s64 sbi_call(u64 ext, u64 func, u64 a, u64 b, u64 c);

#endif
