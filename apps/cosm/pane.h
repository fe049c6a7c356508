/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A pane: what one source of output shows in some rows of a terminal. It takes any bytes, acts on
 * the few control sequences that shells and kernels use (ECMA-48: cursor, erasing, colours), drops
 * all others, and keeps characters; what is drawn of it is made from these alone, so nothing that
 * the source says reaches the terminal as it is.
 *
 * It keeps its last lines. The window are the last rows of them; lines are not wrapped anew when it
 * changes.
 */
#ifndef COSM_APPS_PANE_H
#define COSM_APPS_PANE_H

#include "base/types.h"

#define PANE_LINES   128 /* kept; a power of two */
#define PANE_COLUMNS 256
#define PANE_NUMBERS 8 /* of a control sequence */

struct pane_cell {
    u32 code;  /* a printable character of Unicode, one column wide; 0: none */
    u32 style; /* PANE_... */
};

#define PANE_COLOUR  0x0fu /* 0: the terminal's; 1 + one of the eight of ECMA-48 */
#define PANE_BOLD    0x10u
#define PANE_REVERSE 0x20u

struct pane {
    struct pane_cell cell[PANE_LINES][PANE_COLUMNS];
    u32 rows, columns; /* of the window, at least 1 */
    u64 line, last;    /* the cursor's, the latest one; from 0 */
    u32 column;        /* of the cursor; columns: the next character begins a line */
    u32 style;
    bool changed; /* for who draws */
    bool asked;   /* where the cursor is, by ESC [ 6 n; for who answers */
    /* Of a sequence or a character under way. */
    u32 state, number[PANE_NUMBERS], numbers, more;
    u32 code, least;
    bool ignored;
};

/* An empty one of one row. */
void pane_init(struct pane *pane, u32 columns);
void pane_resize(struct pane *pane, u32 rows, u32 columns);
void pane_write(struct pane *pane, const u8 *bytes, size_t len);

/* The cursor in the window, from 0; a row of rows or more: not in it. */
u32 pane_cursor_row(const struct pane *pane);
u32 pane_cursor_column(const struct pane *pane);

/* Bytes that pane_row writes at most. */
#define PANE_ROW_BYTES (PANE_COLUMNS * 20 + 16)

/*
 * A row of the window as text: printable characters and ESC [ ... m alone, at most columns of them.
 * utf8: the terminal takes UTF-8; else other than ASCII is a question mark. Returns its length; no
 * NUL.
 */
size_t pane_row(const struct pane *pane, u32 row, bool utf8, char out[PANE_ROW_BYTES]);

#endif
