/* SPDX-License-Identifier: BSD-2-Clause */
/* Words that people mistype: which known one is near enough to have been meant. */
#include "base/words.h"

#include "base/mem.h"

/* Edit distance with swaps of neighbours, for words of at most DISTANCE_MAX characters. */
#define DISTANCE_MAX 24

static u32 min3(u32 a, u32 b, u32 c)
{
    u32 ab = a < b ? a : b;

    return ab < c ? ab : c;
}

static u32 word_distance(const char *a, size_t alen, const char *b, size_t blen)
{
    u32 row[3][DISTANCE_MAX + 1];

    if (alen > DISTANCE_MAX || blen > DISTANCE_MAX)
        return UINT32_MAX;
    for (u32 j = 0; j <= blen; j++)
        row[0][j] = j;
    for (u32 i = 1; i <= alen; i++) {
        u32 *above2 = row[(i + 1) % 3], *above = row[(i - 1) % 3], *here = row[i % 3];

        here[0] = i;
        for (u32 j = 1; j <= blen; j++) {
            here[j] = min3(above[j] + 1, here[j - 1] + 1, above[j - 1] + (a[i - 1] != b[j - 1]));
            if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
                here[j] = min3(here[j], above2[j - 2] + 1, UINT32_MAX);
        }
    }
    return row[alen % 3][blen];
}

/* About a third of the letters may be wrong; a beginning counts as one. */
bool word_is_near(const char *word, size_t len, const char *name, u32 *best)
{
    size_t name_len = strlen(name);
    u32 distance = word_distance(word, len, name, name_len);

    if (len >= 2 && len < name_len && !memcmp(word, name, len))
        distance = 1;
    if (distance > (len > name_len ? len : name_len) / 3 + 1 || distance >= len ||
        distance >= *best)
        return false;
    *best = distance;
    return true;
}
