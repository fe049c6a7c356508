/* SPDX-License-Identifier: BSD-2-Clause */
/* rv/bitops: bit by bit references, and the standards' ciphers and digests built out of it. */
#include "rv/bitops.h"

#include "base/endian.h"

#include "tests/test.h"

static u64 random_state = UINT64_C(0x9e3779b97f4a7c15);

/* xorshift64*: the same numbers on every run. */
static u64 random_next(void)
{
    random_state ^= random_state >> 12;
    random_state ^= random_state << 25;
    random_state ^= random_state >> 27;
    return random_state * UINT64_C(0x2545f4914f6cdd1d);
}

TEST(counts)
{
    CHECK_EQ(bitops_clz64(0), 64);
    CHECK_EQ(bitops_ctz64(0), 64);
    CHECK_EQ(bitops_clz32(0), 32);
    CHECK_EQ(bitops_ctz32(0), 32);
    CHECK_EQ(bitops_clz64(1), 63);
    CHECK_EQ(bitops_ctz64(UINT64_C(1) << 63), 63);
    CHECK_EQ(bitops_clz32(0x00010000), 15);
    CHECK_EQ(bitops_ctz32(0x00010000), 16);
    CHECK_EQ(bitops_cpop64(~UINT64_C(0)), 64);
    CHECK_EQ(bitops_cpop32(0xf0f0f0f1), 17);
}

TEST(rotations)
{
    CHECK_EQ(bitops_ror32(0x80000001, 0), 0x80000001);
    CHECK_EQ(bitops_ror32(0x80000001, 33), 0xc0000000);
    CHECK_EQ(bitops_rol32(0x80000001, 4), 0x00000018);
    CHECK_EQ(bitops_ror64(1, 1), UINT64_C(1) << 63);
    CHECK_EQ(bitops_rol64(UINT64_C(3) << 62, 65), UINT64_C(0x8000000000000001));
}

TEST(byte_permutations)
{
    CHECK_EQ(bitops_rev8(UINT64_C(0x0102030405060708)), UINT64_C(0x0807060504030201));
    CHECK_EQ(bitops_brev8(UINT64_C(0x0102804010ff0088)), UINT64_C(0x8040010208ff0011));
    CHECK_EQ(bitops_orc_b(UINT64_C(0x0001008000ff1000)), UINT64_C(0x00ff00ff00ffff00));
    CHECK_EQ(bitops_orc_b(0), 0);
    CHECK_EQ(bitops_orc_b(UINT64_C(0x8080808080808080)), ~UINT64_C(0));
    CHECK_EQ(bitops_xperm8(UINT64_C(0x8877665544332211), UINT64_C(0x0001020304ff0807)),
             UINT64_C(0x1122334455000088));
    CHECK_EQ(bitops_xperm4(UINT64_C(0xfedcba9876543210), UINT64_C(0x0f1e2d3c4b5a6978)),
             UINT64_C(0x0f1e2d3c4b5a6978));
    CHECK_EQ(bitops_xperm4(UINT64_C(0x0123456789abcdef), UINT64_C(0x00000000000000f0)),
             UINT64_C(0xffffffffffffff0f));
}

/* The specification's definition: bit i of the product sums a[j] & b[i - j]. */
static unsigned product_bit(u64 a, u64 b, unsigned i)
{
    unsigned sum = 0;

    for (unsigned j = 0; j < 64; j++)
        if (i >= j && i - j < 64)
            sum ^= (unsigned)(a >> j & 1) & (unsigned)(b >> (i - j) & 1);
    return sum;
}

TEST(carryless_multiply)
{
    for (unsigned n = 0; n < 200; n++) {
        u64 a = random_next(), b = n ? random_next() : ~UINT64_C(0), low = 0, high = 0, middle = 0;

        for (unsigned i = 0; i < 64; i++) {
            low |= (u64)product_bit(a, b, i) << i;
            high |= (u64)product_bit(a, b, i + 64) << i;
            middle |= (u64)product_bit(a, b, i + 63) << i;
        }
        CHECK_EQ(bitops_clmul(a, b), low);
        CHECK_EQ(bitops_clmulh(a, b), high);
        CHECK_EQ(bitops_clmulr(a, b), middle);
    }
}

struct aes_key {
    unsigned rounds;
    u64 words[30]; /* two to a round key */
};

static void aes128_expand(struct aes_key *k, const u8 *key)
{
    k->rounds = 10;
    k->words[0] = le64_load(key);
    k->words[1] = le64_load(key + 8);
    for (unsigned r = 0; r < 10; r++) {
        u64 *w = k->words + 2 * r;

        w[2] = bitops_aes64ks2(bitops_aes64ks1i(w[1], r), w[0]);
        w[3] = bitops_aes64ks2(w[2], w[1]);
    }
}

static void aes256_expand(struct aes_key *k, const u8 *key)
{
    k->rounds = 14;
    for (unsigned i = 0; i < 4; i++)
        k->words[i] = le64_load(key + 8 * i);
    for (unsigned r = 0; r < 7; r++) {
        u64 *w = k->words + 4 * r;

        w[4] = bitops_aes64ks2(bitops_aes64ks1i(w[3], r), w[0]);
        w[5] = bitops_aes64ks2(w[4], w[1]);
        if (r == 6)
            break;
        w[6] = bitops_aes64ks2(bitops_aes64ks1i(w[5], 10), w[2]);
        w[7] = bitops_aes64ks2(w[6], w[3]);
    }
}

static void aes_encrypt(const struct aes_key *k, const u8 *in, u8 *out)
{
    const u64 *w = k->words;
    u64 a = le64_load(in), b = le64_load(in + 8), c;

    for (unsigned r = 0; r < k->rounds; r++, w += 2) {
        a ^= w[0];
        b ^= w[1];
        c = r < k->rounds - 1 ? bitops_aes64esm(a, b) : bitops_aes64es(a, b);
        b = r < k->rounds - 1 ? bitops_aes64esm(b, a) : bitops_aes64es(b, a);
        a = c;
    }
    le64_store(out, a ^ w[0]);
    le64_store(out + 8, b ^ w[1]);
}

/* The equivalent inverse cipher, FIPS 197, 5.3.5: the middle round keys are unmixed too. */
static void aes_decrypt(const struct aes_key *k, const u8 *in, u8 *out)
{
    const u64 *w = k->words + (size_t)2 * k->rounds;
    u64 a = le64_load(in) ^ w[0], b = le64_load(in + 8) ^ w[1], c;

    for (unsigned r = k->rounds; r > 1; r--) {
        w -= 2;
        c = bitops_aes64dsm(a, b) ^ bitops_aes64im(w[0]);
        b = bitops_aes64dsm(b, a) ^ bitops_aes64im(w[1]);
        a = c;
    }
    le64_store(out, bitops_aes64ds(a, b) ^ k->words[0]);
    le64_store(out + 8, bitops_aes64ds(b, a) ^ k->words[1]);
}

/* FIPS 197, appendix C: one plaintext, keys that count up from 0. */
TEST(aes_of_fips_197)
{
    static const u8 want128[16] = {0x69, 0xc4, 0xe0, 0xd8, 0x6a, 0x7b, 0x04, 0x30,
                                   0xd8, 0xcd, 0xb7, 0x80, 0x70, 0xb4, 0xc5, 0x5a};
    static const u8 want256[16] = {0x8e, 0xa2, 0xb7, 0xca, 0x51, 0x67, 0x45, 0xbf,
                                   0xea, 0xfc, 0x49, 0x90, 0x4b, 0x49, 0x60, 0x89};
    u8 key[32], plain[16], got[16], back[16];
    struct aes_key k;

    for (unsigned i = 0; i < 32; i++)
        key[i] = (u8)i;
    for (unsigned i = 0; i < 16; i++)
        plain[i] = (u8)(0x11 * i);
    aes128_expand(&k, key);
    aes_encrypt(&k, plain, got);
    aes_decrypt(&k, got, back);
    CHECK(!memcmp(got, want128, 16));
    CHECK(!memcmp(back, plain, 16));
    aes256_expand(&k, key);
    aes_encrypt(&k, plain, got);
    aes_decrypt(&k, got, back);
    CHECK(!memcmp(got, want256, 16));
    CHECK(!memcmp(back, plain, 16));
}

/* FIPS 180-4, 4.2.3 and 5.3.5: fractions of cube and square roots of primes. The upper halves are
 * SHA-256's constants (4.2.2, 5.3.3). */
static const u64 sha_k[80] = {
    0x428a2f98d728ae22, 0x7137449123ef65cd, 0xb5c0fbcfec4d3b2f, 0xe9b5dba58189dbbc,
    0x3956c25bf348b538, 0x59f111f1b605d019, 0x923f82a4af194f9b, 0xab1c5ed5da6d8118,
    0xd807aa98a3030242, 0x12835b0145706fbe, 0x243185be4ee4b28c, 0x550c7dc3d5ffb4e2,
    0x72be5d74f27b896f, 0x80deb1fe3b1696b1, 0x9bdc06a725c71235, 0xc19bf174cf692694,
    0xe49b69c19ef14ad2, 0xefbe4786384f25e3, 0x0fc19dc68b8cd5b5, 0x240ca1cc77ac9c65,
    0x2de92c6f592b0275, 0x4a7484aa6ea6e483, 0x5cb0a9dcbd41fbd4, 0x76f988da831153b5,
    0x983e5152ee66dfab, 0xa831c66d2db43210, 0xb00327c898fb213f, 0xbf597fc7beef0ee4,
    0xc6e00bf33da88fc2, 0xd5a79147930aa725, 0x06ca6351e003826f, 0x142929670a0e6e70,
    0x27b70a8546d22ffc, 0x2e1b21385c26c926, 0x4d2c6dfc5ac42aed, 0x53380d139d95b3df,
    0x650a73548baf63de, 0x766a0abb3c77b2a8, 0x81c2c92e47edaee6, 0x92722c851482353b,
    0xa2bfe8a14cf10364, 0xa81a664bbc423001, 0xc24b8b70d0f89791, 0xc76c51a30654be30,
    0xd192e819d6ef5218, 0xd69906245565a910, 0xf40e35855771202a, 0x106aa07032bbd1b8,
    0x19a4c116b8d2d0c8, 0x1e376c085141ab53, 0x2748774cdf8eeb99, 0x34b0bcb5e19b48a8,
    0x391c0cb3c5c95a63, 0x4ed8aa4ae3418acb, 0x5b9cca4f7763e373, 0x682e6ff3d6b2b8a3,
    0x748f82ee5defb2fc, 0x78a5636f43172f60, 0x84c87814a1f0ab72, 0x8cc702081a6439ec,
    0x90befffa23631e28, 0xa4506cebde82bde9, 0xbef9a3f7b2c67915, 0xc67178f2e372532b,
    0xca273eceea26619c, 0xd186b8c721c0c207, 0xeada7dd6cde0eb1e, 0xf57d4f7fee6ed178,
    0x06f067aa72176fba, 0x0a637dc5a2c898a6, 0x113f9804bef90dae, 0x1b710b35131c471b,
    0x28db77f523047d84, 0x32caab7b40c72493, 0x3c9ebe0a15c9bebc, 0x431d67c49c100d4c,
    0x4cc5d4becb3e42b6, 0x597f299cfc657e2a, 0x5fcb6fab3ad6faec, 0x6c44198c4a475817,
};

static const u64 sha_h[8] = {
    0x6a09e667f3bcc908, 0xbb67ae8584caa73b, 0x3c6ef372fe94f82b, 0xa54ff53a5f1d36f1,
    0x510e527fade682d1, 0x9b05688c2b3e6c1f, 0x1f83d9abfb41bd6b, 0x5be0cd19137e2179,
};

/* One block of SHA-512 (bits 64, 80 rounds) or SHA-256 (bits 32, 64 rounds): 6.4.2 and 6.2.2. */
#define SHA_BLOCK(bits, rounds)                                                                 \
    static void sha_block_##bits(u##bits h[8], const u##bits m[16])                             \
    {                                                                                           \
        u##bits w[rounds], s[8];                                                                \
                                                                                                \
        memcpy(s, h, sizeof(s));                                                                \
        for (unsigned i = 0; i < rounds; i++) {                                                 \
            u##bits t1, t2;                                                                     \
                                                                                                \
            w[i] = i < 16 ? m[i]                                                                \
                          : (u##bits)(SIG1(bits, w[i - 2]) + w[i - 7] + SIG0(bits, w[i - 15]) + \
                                      w[i - 16]);                                               \
            t1 = (u##bits)(s[7] + SUM1(bits, s[4]) + ((s[4] & s[5]) ^ (~s[4] & s[6])) +         \
                           (sha_k[i] >> (64 - bits)) + w[i]);                                   \
            t2 = (u##bits)(SUM0(bits, s[0]) + ((s[0] & s[1]) ^ (s[0] & s[2]) ^ (s[1] & s[2]))); \
            memmove(s + 1, s, 7 * sizeof(s[0]));                                                \
            s[4] += t1;                                                                         \
            s[0] = t1 + t2;                                                                     \
        }                                                                                       \
        for (unsigned i = 0; i < 8; i++)                                                        \
            h[i] += s[i];                                                                       \
    }

#define SIG0(bits, v) (bits == 64 ? bitops_sha512sig0(v) : bitops_sha256sig0(v))
#define SIG1(bits, v) (bits == 64 ? bitops_sha512sig1(v) : bitops_sha256sig1(v))
#define SUM0(bits, v) (bits == 64 ? bitops_sha512sum0(v) : bitops_sha256sum0(v))
#define SUM1(bits, v) (bits == 64 ? bitops_sha512sum1(v) : bitops_sha256sum1(v))

SHA_BLOCK(32, 64)
SHA_BLOCK(64, 80)

/* The digests of "abc", from NIST's examples for FIPS 180-4. */
TEST(sha256_of_abc)
{
    static const u32 want[8] = {0xba7816bf, 0x8f01cfea, 0x414140de, 0x5dae2223,
                                0xb00361a3, 0x96177a9c, 0xb410ff61, 0xf20015ad};
    u32 h[8], m[16] = {0x61626380, [15] = 24};

    for (unsigned i = 0; i < 8; i++)
        h[i] = (u32)(sha_h[i] >> 32);
    sha_block_32(h, m);
    CHECK(!memcmp(h, want, sizeof(h)));
}

TEST(sha512_of_abc)
{
    static const u64 want[8] = {0xddaf35a193617aba, 0xcc417349ae204131, 0x12e6fa4e89a97ea2,
                                0x0a9eeee64b55d39a, 0x2192992a274fc1a8, 0x36ba3c23a3feebbd,
                                0x454d4423643ce80e, 0x2a9ac94fa54ca49f};
    u64 h[8], m[16] = {0x6162638000000000, [15] = 24};

    memcpy(h, sha_h, sizeof(h));
    sha_block_64(h, m);
    CHECK(!memcmp(h, want, sizeof(h)));
}

TEST(results_of_32_bits_are_sign_extended)
{
    CHECK_EQ(bitops_sha256sig0(UINT64_C(0x1234567800000040)), UINT64_C(0xffffffff80100008));
    CHECK_EQ(bitops_sm3p0(0x80000000), UINT64_C(0xffffffff80010100));
    CHECK_EQ(bitops_sm3p1(0x00010000), UINT64_C(0xffffffff80010080));
    CHECK_EQ(bitops_sm4ks(0, 0, 0) >> 32, 0xffffffff);
}

/* GB/T 32905-2016, 5.3, for the one block of "abc". */
TEST(sm3_of_abc)
{
    static const u32 want[8] = {0x66c7f0f4, 0x62eeedd9, 0xd1f2d46b, 0xdc10e4e2,
                                0x4167c487, 0x5cf2f7a2, 0x297da02b, 0x8f4ba8e0};
    u32 v[8] = {0x7380166f, 0x4914b2b9, 0x172442d7, 0xda8a0600,
                0xa96f30bc, 0x163138aa, 0xe38dee4d, 0xb0fb0e4e};
    u32 w[68] = {0x61626380, [15] = 24}, s[8];

    for (unsigned i = 16; i < 68; i++)
        w[i] = (u32)bitops_sm3p1(w[i - 16] ^ w[i - 9] ^ bitops_rol32(w[i - 3], 15)) ^
               bitops_rol32(w[i - 13], 7) ^ w[i - 6];
    memcpy(s, v, sizeof(s));
    for (unsigned i = 0; i < 64; i++) {
        u32 t = bitops_rol32(i < 16 ? 0x79cc4519 : 0x7a879d8a, i), a = bitops_rol32(s[0], 12);
        u32 ss1 = bitops_rol32(a + s[4] + t, 7), ss2 = ss1 ^ a;
        u32 ff = i < 16 ? s[0] ^ s[1] ^ s[2] : (s[0] & s[1]) | (s[0] & s[2]) | (s[1] & s[2]);
        u32 gg = i < 16 ? s[4] ^ s[5] ^ s[6] : (s[4] & s[5]) | (~s[4] & s[6]);
        u32 tt1 = ff + s[3] + ss2 + (w[i] ^ w[i + 4]), tt2 = gg + s[7] + ss1 + w[i];
        u32 next[8] = {tt1,
                       s[0],
                       bitops_rol32(s[1], 9),
                       s[2],
                       (u32)bitops_sm3p0(tt2),
                       s[4],
                       bitops_rol32(s[5], 19),
                       s[6]};

        memcpy(s, next, sizeof(s));
    }
    for (unsigned i = 0; i < 8; i++)
        CHECK_EQ(v[i] ^ s[i], want[i]);
}

static u32 sm4_bytes(u64 (*step)(u64 a, u64 b, unsigned byte_select), u32 a, u32 b)
{
    u64 v = a;

    for (unsigned i = 0; i < 4; i++)
        v = step(v, b, i);
    return (u32)v;
}

/* GB/T 32907-2016, A.1: the key enciphers itself. Words are loaded little-endian, as code does. */
TEST(sm4_of_the_standard)
{
    static const u8 text[16] = {0x01, 0x23, 0x45, 0x67, 0x89, 0xab, 0xcd, 0xef,
                                0xfe, 0xdc, 0xba, 0x98, 0x76, 0x54, 0x32, 0x10};
    static const u32 want[4] = {0x681edf34, 0xd206965e, 0x86b3e94f, 0x536e4246};
    static const u32 fk[4] = {0xa3b1bac6, 0x56aa3350, 0x677d9197, 0xb27022dc};
    u32 k[4], x[4];

    for (unsigned i = 0; i < 4; i++) {
        x[i] = le32_load(text + 4 * i);
        k[i] = x[i] ^ __builtin_bswap32(fk[i]);
    }
    for (unsigned i = 0; i < 32; i++) {
        u32 ck = 0, *k0 = &k[i % 4], *x0 = &x[i % 4];

        for (unsigned j = 0; j < 4; j++)
            ck |= (u32)(u8)((4 * i + j) * 7) << 8 * j;
        *k0 = sm4_bytes(bitops_sm4ks, *k0, k[(i + 1) % 4] ^ k[(i + 2) % 4] ^ k[(i + 3) % 4] ^ ck);
        *x0 = sm4_bytes(bitops_sm4ed, *x0, x[(i + 1) % 4] ^ x[(i + 2) % 4] ^ x[(i + 3) % 4] ^ *k0);
    }
    for (unsigned i = 0; i < 4; i++)
        CHECK_EQ(__builtin_bswap32(x[3 - i]), want[i]);
}

TEST_MAIN()
