/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The split console of a board under cosm-metal: a pane a partition, one line for the hypervisor.
 * It draws on a terminal of which nothing is expected but the sequences of ECMA-48.
 */
#ifndef COSM_APPS_SPLIT_H
#define COSM_APPS_SPLIT_H

#include "apps/cosm/demux.h"
#include "apps/cosm/pane.h"

/* What the terminal is told before the first drawing and after the last. */
#define SPLIT_ENTER "\033[?1049h\033[2J"
#define SPLIT_LEAVE "\033[?1049l\033[?25h\033[0m"

struct split;

/* config outlives it. NULL: no memory. */
struct split *split_create(const struct metal_config *config, bool utf8);
void split_destroy(struct split *split);

/* The terminal's size; all is drawn anew. */
void split_resize(struct split *split, u32 rows, u32 columns);
/* What the board's serial line said. */
void split_hear(struct split *split, const u8 *bytes, size_t len);
/* A line of QEMU's or ours, in the hypervisor's place. */
void split_tell(struct split *split, const u8 *bytes, size_t len);
/* The keyboard goes to a partition, as the hypervisor is told by the same keys. */
void split_give_keyboard(struct split *split, u32 partition);
/* Shows the keys in the last line, or no more. */
void split_help(struct split *split, bool shown);
/* What the board is to be answered, for guests that asked for their cursor; 0 bytes: nothing. */
size_t split_answer(struct split *split, char *out, size_t size);

bool split_is_changed(const struct split *split);
/* What is to be written to the terminal; the split's, until it is called again. */
const char *split_draw(struct split *split, size_t *len);

#endif
