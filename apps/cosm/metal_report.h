/* SPDX-License-Identifier: BSD-2-Clause */
/* What a configuration of cosm-metal makes of a board, for people and for programs. */
#ifndef COSM_APPS_METAL_REPORT_H
#define COSM_APPS_METAL_REPORT_H

#include "plan/plan.h"

#define PIECES_MAX (METAL_REGIONS_MAX + BOARD_RESERVED + 2)

/* A piece of the board's memory and whose it is. */
struct piece {
    u64 base, size;
    char what[96];
};

/* All pieces that somebody has, by address; returns how many. */
u32 metal_pieces(const struct plan *plan, struct piece piece[PIECES_MAX]);

/* The name of an enum metal_hart_mode. */
const char *metal_mode_name(u32 mode);

const char *metal_region_name(enum plan_kind kind);

/* Each writes to standard output. */
void metal_report(const struct plan *plan);
MUST_CHECK int metal_report_json(const struct plan *plan, struct err *err);

#endif
