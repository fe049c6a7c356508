/* SPDX-License-Identifier: BSD-2-Clause */
/* Filled in next. */
#include "tests/test.h"

TEST_MAIN()
