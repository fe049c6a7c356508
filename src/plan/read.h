/* SPDX-License-Identifier: BSD-2-Clause */
/* Reading the tables of a configuration: keys and their kinds, then values with their units. */
#ifndef COSM_PLAN_READ_H
#define COSM_PLAN_READ_H

#include "plan/plan.h"

#define KIND(kind) (1u << TOML_##kind)

/* A key that a table may have: take gets its value and the place in the object for it. */
struct plan_key {
    const char *name;
    u32 kinds; /* KIND(...), ORed */
    int (*take)(struct plan *plan, const struct toml_node *value, void *field);
    size_t offset;
    bool needed;
};

/* Takes all keys of a table; what ("a partition") is what messages call it. Refuses what is no key
 * of it, naming the nearest, and what is of another kind. */
MUST_CHECK int read_table(struct plan *plan, const struct toml_node *table, const char *what,
                          const struct plan_key *keys, size_t count, void *object);

/* The tables [[key]] of the file, each handed to take in turn. */
MUST_CHECK int read_each(struct plan *plan, const char *key, u32 max,
                         int (*take)(struct plan *plan, const struct toml_node *table));

/* Values, for plan_key.take; field is what the name says. */
int take_name(struct plan *plan, const struct toml_node *value,
              void *field); /* char[METAL_NAME_MAX] */
int take_text(struct plan *plan, const struct toml_node *value, void *field); /* const char * */
int take_node(struct plan *plan, const struct toml_node *value,
              void *field); /* const struct toml_node * */
int take_flag(struct plan *plan, const struct toml_node *value, void *field);    /* bool */
int take_number(struct plan *plan, const struct toml_node *value, void *field);  /* u32 */
int take_address(struct plan *plan, const struct toml_node *value, void *field); /* u64 */
int take_size(struct plan *plan, const struct toml_node *value,
              void *field); /* u64: "64K" or bytes */
int take_time(struct plan *plan, const struct toml_node *value,
              void *field); /* u64: ticks of "10ms" */

/* Of a list of names with NULL at its end, the index of a value, which is a name. */
MUST_CHECK int read_choice(struct plan *plan, const struct toml_node *value,
                           const char *const *names, const char *what, u32 *index);
/* Indices of what the value names: a partition; a hart of the board by its number; a plan. */
MUST_CHECK int read_partition_name(struct plan *plan, const struct toml_node *value, u32 *index);
MUST_CHECK int read_hart_number(struct plan *plan, const struct toml_node *value, u32 *index);
MUST_CHECK int read_plan_name(struct plan *plan, const struct toml_node *value, const char *name,
                              u32 *index);

/* The parts of a file, in this order. */
MUST_CHECK int read_board(struct plan *plan);
MUST_CHECK int read_partitions(struct plan *plan);
MUST_CHECK int read_harts(struct plan *plan);
MUST_CHECK int read_schedules(struct plan *plan);
MUST_CHECK int read_health(struct plan *plan);
MUST_CHECK int read_channels(struct plan *plan);
MUST_CHECK int read_virtio(struct plan *plan);

/* Adds a region; refuses one too many. */
MUST_CHECK int plan_add_region(struct plan *plan, const struct plan_region *region);

/* A free virtual source for the partition: wanted, or any (0). name is what has it. */
MUST_CHECK int plan_add_source(struct plan *plan, u32 partition, const struct toml_node *node,
                               u32 wanted, const char *name, u32 *source);

#endif
