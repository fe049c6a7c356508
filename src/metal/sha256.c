/* SPDX-License-Identifier: BSD-2-Clause */
/* SHA-256 (FIPS 180-4, section 6.2), without allocation: for the compiler and for the hypervisor.
 */
#include "metal/sha256.h"

#include "base/endian.h"
#include "base/mem.h"

#define BLOCK 64

static const u32 round_constant[64] = {
    0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4, 0xab1c5ed5,
    0xd807aa98, 0x12835b01, 0x243185be, 0x550c7dc3, 0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174,
    0xe49b69c1, 0xefbe4786, 0x0fc19dc6, 0x240ca1cc, 0x2de92c6f, 0x4a7484aa, 0x5cb0a9dc, 0x76f988da,
    0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7, 0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967,
    0x27b70a85, 0x2e1b2138, 0x4d2c6dfc, 0x53380d13, 0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85,
    0xa2bfe8a1, 0xa81a664b, 0xc24b8b70, 0xc76c51a3, 0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070,
    0x19a4c116, 0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a, 0x5b9cca4f, 0x682e6ff3,
    0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208, 0x90befffa, 0xa4506ceb, 0xbef9a3f7, 0xc67178f2,
};

static inline u32 rotate(u32 v, unsigned by)
{
    return v >> by | v << (32 - by);
}

/* The message schedule needs only its last 16 words, which go round in w. */
static inline u32 schedule(u32 w[16], u32 t)
{
    u32 w15 = w[(t + 1) & 15], w2 = w[(t + 14) & 15];
    u32 s0 = rotate(w15, 7) ^ rotate(w15, 18) ^ w15 >> 3;
    u32 s1 = rotate(w2, 17) ^ rotate(w2, 19) ^ w2 >> 10;

    return w[t & 15] += s0 + w[(t + 9) & 15] + s1;
}

static void compress(u32 state[8], const u8 block[BLOCK])
{
    u32 w[16], v[8];

    for (u32 i = 0; i < 16; i++)
        w[i] = be32_load(block + 4 * i);
    memcpy(v, state, sizeof(v));
    for (u32 t = 0; t < 64; t++) {
        u32 a = v[0], e = v[4];
        u32 choice = (e & v[5]) ^ (~e & v[6]), majority = (a & v[1]) ^ (a & v[2]) ^ (v[1] & v[2]);
        u32 t1 = v[7] + (rotate(e, 6) ^ rotate(e, 11) ^ rotate(e, 25)) + choice +
                 round_constant[t] + (t < 16 ? w[t] : schedule(w, t));
        u32 t2 = (rotate(a, 2) ^ rotate(a, 13) ^ rotate(a, 22)) + majority;

        for (u32 i = 7; i > 0; i--)
            v[i] = v[i - 1];
        v[4] += t1;
        v[0] = t1 + t2;
    }
    for (u32 i = 0; i < 8; i++)
        state[i] += v[i];
}

void sha256_init(struct sha256 *s)
{
    static const u32 first[8] = {0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a,
                                 0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19};

    memcpy(s->state, first, sizeof(first));
    s->bytes = 0;
}

void sha256_update(struct sha256 *s, const void *bytes, size_t size)
{
    const u8 *p = bytes;

    while (size) {
        size_t used = s->bytes % BLOCK, n = BLOCK - used < size ? BLOCK - used : size;

        if (n == BLOCK) {
            compress(s->state, p);
        } else {
            memcpy(s->block + used, p, n);
            if (used + n == BLOCK)
                compress(s->state, s->block);
        }
        s->bytes += n;
        p += n;
        size -= n;
    }
}

void sha256_final(struct sha256 *s, u8 digest[SHA256_SIZE])
{
    static const u8 padding[BLOCK] = {0x80};
    const u64 bits = s->bytes * 8;
    size_t used = s->bytes % BLOCK;
    u8 length[8];

    be64_store(length, bits);
    sha256_update(s, padding, used < 56 ? 56 - used : 120 - used);
    sha256_update(s, length, sizeof(length));
    for (u32 i = 0; i < 8; i++)
        be32_store(digest + 4 * i, s->state[i]);
}
