/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The files of a shared folder that the guest knows, and those that it has open.
 *
 * A node is a file, folder or link found by one step from a folder's node: openat2 beneath that
 * folder, no link followed, to a descriptor that only names it (O_PATH). So a node is in the shared
 * folder when it is found, whatever is renamed or replaced meanwhile. It is opened by its own
 * descriptor's name in /proc, which is no step at all.
 */
#ifndef COSM_SHARE_FS_TREE_H
#define COSM_SHARE_FS_TREE_H

#include "base/types.h"

#include <sys/stat.h>

#define FS_ROOT_ID     1
#define FS_HANDLES_MAX 4096
#define FS_NAME_MAX    255

struct fs_node {
    int fd; /* O_PATH; -1: free */
    u64 lookups;
    dev_t dev;
    ino_t ino;
    mode_t type; /* S_IFMT */
    u32 next;    /* of its hash chain, or of the free ones; 0: none */
};

struct fs_handle {
    int fd; /* -1: free */
    bool folder;
    bool writes;
    u64 position; /* folder: of the next entry */
};

struct fs_tree {
    struct fs_node *node; /* by id; [0] is unused */
    u32 node_max, node_top, node_free;
    u32 *hash;
    struct fs_handle handle[FS_HANDLES_MAX];
    int proc; /* /proc/self/fd */
    int root;
};

/* root stays the caller's. 0 or -errno. */
MUST_CHECK int fs_tree_init(struct fs_tree *tree, int root, u32 nodes_max);
void fs_tree_fini(struct fs_tree *tree);
/* The guest starts anew: nothing is known but the root. */
void fs_tree_clear(struct fs_tree *tree);

/* NULL: no such node, or no folder. */
struct fs_node *fs_node_get(struct fs_tree *tree, u64 id);
struct fs_node *fs_folder_get(struct fs_tree *tree, u64 id);
/* NULL: no such handle of that kind. */
struct fs_handle *fs_handle_get(struct fs_tree *tree, u64 handle, bool folder);

/* Is it one component, as a step needs it? */
bool fs_name_is_good(const char *name, size_t len);

/* One step: counts a lookup of the node and tells what it is. 0 or -errno. */
MUST_CHECK int fs_lookup(struct fs_tree *tree, const struct fs_node *folder, const char *name,
                         u64 *id, struct stat *st);
void fs_forget(struct fs_tree *tree, u64 id, u64 lookups);

/* Opens a file or folder that is known; others are refused (-EPERM). A descriptor or -errno. */
MUST_CHECK int fs_node_open(struct fs_tree *tree, const struct fs_node *node, int flags);
/* The node's name below tree->proc, for calls that take no O_PATH descriptor. */
void fs_node_name(const struct fs_node *node, char name[16]);
/* Keeps fd as a handle, which is then its owner. False: there are too many. */
MUST_CHECK bool fs_handle_add(struct fs_tree *tree, int fd, bool folder, bool writes, u64 *handle);
void fs_handle_close(struct fs_handle *handle);

#endif
