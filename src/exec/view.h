/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A view: guest-virtual memory where the host's own page tables do what the TLB does.
 *
 * Room for the lower half of Sv39's addresses, in which pages of the guest's memory are mapped once
 * more, to be read, or to be written, too. A second room tells of writing: what can be read there
 * may be written. Nothing but these pages is ever there, nor VIEW_SLACK bytes before and behind.
 */
#ifndef COSM_EXEC_VIEW_H
#define COSM_EXEC_VIEW_H

#include "base/types.h"

#define VIEW_END   (UINT64_C(1) << 38)
#define VIEW_SLACK (UINT64_C(1) << 32)
#define VIEW_PAGES 131072
#define VIEW_HASH  32768

struct view_page {
    u64 host;                       /* its address */
    u32 page;                       /* number of the guest's */
    u32 next_of_page, next_of_host; /* 0: none */
    bool writable;
};

struct view {
    u64 space;        /* the owner's: whose addresses these are */
    u8 *read, *marks; /* the rooms: of virtual address 0 */
    u32 cost;         /* mappings of the host that it takes, about */
    u32 maps;         /* made since it was empty */
    bool full;        /* something could not be mapped: it should be emptied */
    u32 used, free;   /* of page[1] on; the list of those free again, 0: none */
    u32 of_page[VIEW_HASH], of_host[VIEW_HASH]; /* 0: none */
    struct view_page page[VIEW_PAGES];
};

/* Pages in a row, that lie in a row on the host, too. */
struct view_run {
    gva_t first;
    u64 host; /* address of memory that is shared (MAP_SHARED) */
    u32 count;
    bool writable;
};

/* NULL: the host gives no room. */
struct view *view_create(void);
void view_destroy(struct view *view);

/* NULL: it is not there. */
struct view_page *view_find(struct view *view, gva_t va);
/* Pages that are not there yet. False: they cannot be had. */
bool view_map(struct view *view, const struct view_run *run);
/* Lets a page be written. False: it cannot be had. */
bool view_grant_writes(struct view *view, struct view_page *page);

/* These may take more away than is asked for, if the host is short of mappings. */
void view_drop(struct view *view, struct view_page *page);
/* Of all pages that lie there on the host; how many that was. */
u32 view_deny_writes(struct view *view, u64 host);
void view_empty(struct view *view);

#endif
