/* SPDX-License-Identifier: BSD-2-Clause */
/* Words that people mistype: which known one is near enough to have been meant. */
#ifndef COSM_BASE_WORDS_H
#define COSM_BASE_WORDS_H

#include "base/types.h"

/*
 * Is name nearer to word (len characters) than *best, and near enough to have been meant? Then
 * *best becomes its distance. Begin with UINT32_MAX and ask of each name: the last true is the
 * nearest.
 */
bool word_is_near(const char *word, size_t len, const char *name, u32 *best);

#endif
