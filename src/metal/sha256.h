/* SPDX-License-Identifier: BSD-2-Clause */
/* SHA-256 (FIPS 180-4, section 6.2), without allocation: for the compiler and for the hypervisor.
 */
#ifndef COSM_METAL_SHA256_H
#define COSM_METAL_SHA256_H

#include "base/types.h"

#define SHA256_SIZE 32 /* bytes of a digest */

struct sha256 {
    u32 state[8];
    u64 bytes;    /* so far; below 2^61 */
    u8 block[64]; /* its first bytes % 64 are not in state yet */
};

void sha256_init(struct sha256 *s);
void sha256_update(struct sha256 *s, const void *bytes, size_t size);
/* Ends it: s must be begun anew before it is used again. */
void sha256_final(struct sha256 *s, u8 digest[SHA256_SIZE]);

#endif
