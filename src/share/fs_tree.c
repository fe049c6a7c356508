/* SPDX-License-Identifier: BSD-2-Clause */
/* The files of a shared folder that the guest knows, and those that it has open. */
#include "share/fs_tree.h"

#include "base/fmt.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#define HASH_SIZE 16384 /* a power of 2 */

static u32 hash_of(dev_t dev, ino_t ino)
{
    u64 x = ((u64)ino ^ (u64)dev << 40) * UINT64_C(0x9e3779b97f4a7c15);

    return (u32)(x >> 40) % HASH_SIZE;
}

int fs_tree_init(struct fs_tree *t, int root, u32 nodes_max)
{
    struct stat st;

    memset(t, 0, sizeof(*t));
    for (u32 i = 0; i < FS_HANDLES_MAX; i++)
        t->handle[i].fd = -1;
    t->root = root;
    t->node_max = nodes_max;
    t->node_top = FS_ROOT_ID + 1;
    t->proc = open("/proc/self/fd", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    t->node = calloc(nodes_max, sizeof(*t->node));
    t->hash = calloc(HASH_SIZE, sizeof(*t->hash));
    if (t->proc < 0 || fstat(root, &st) < 0)
        return -errno;
    if (!t->node || !t->hash)
        return -ENOMEM;
    t->node[FS_ROOT_ID] = (struct fs_node){
        .fd = root, .lookups = 1, .dev = st.st_dev, .ino = st.st_ino, .type = S_IFDIR};
    return 0;
}

void fs_tree_clear(struct fs_tree *t)
{
    for (u32 i = 0; i < FS_HANDLES_MAX; i++)
        fs_handle_close(&t->handle[i]);
    for (u32 i = FS_ROOT_ID + 1; i < t->node_top; i++) {
        if (t->node[i].lookups)
            close(t->node[i].fd);
        t->node[i] = (struct fs_node){.fd = -1};
    }
    t->node_top = FS_ROOT_ID + 1;
    t->node_free = 0;
    memset(t->hash, 0, HASH_SIZE * sizeof(*t->hash));
}

void fs_tree_fini(struct fs_tree *t)
{
    if (t->node && t->hash)
        fs_tree_clear(t);
    if (t->proc >= 0)
        close(t->proc);
    free(t->node);
    free(t->hash);
}

struct fs_node *fs_node_get(struct fs_tree *t, u64 id)
{
    if (id < FS_ROOT_ID || id >= t->node_top || !t->node[id].lookups)
        return NULL;
    return &t->node[id];
}

struct fs_node *fs_folder_get(struct fs_tree *t, u64 id)
{
    struct fs_node *node = fs_node_get(t, id);

    return node && S_ISDIR(node->type) ? node : NULL;
}

struct fs_handle *fs_handle_get(struct fs_tree *t, u64 handle, bool folder)
{
    if (handle >= FS_HANDLES_MAX || t->handle[handle].fd < 0 || t->handle[handle].folder != folder)
        return NULL;
    return &t->handle[handle];
}

bool fs_name_is_good(const char *name, size_t len)
{
    return len && len <= FS_NAME_MAX && !memchr(name, '/', len) && !memchr(name, '\0', len) &&
           !(name[0] == '.' && (len == 1 || (len == 2 && name[1] == '.')));
}

static u64 node_find(struct fs_tree *t, const struct stat *st)
{
    u32 id = t->hash[hash_of(st->st_dev, st->st_ino)];

    while (id && (t->node[id].dev != st->st_dev || t->node[id].ino != st->st_ino ||
                  t->node[id].type != (st->st_mode & S_IFMT)))
        id = t->node[id].next;
    return id;
}

/* Takes fd. 0: there are too many. */
static u64 node_add(struct fs_tree *t, int fd, const struct stat *st)
{
    u32 *head = &t->hash[hash_of(st->st_dev, st->st_ino)], id = t->node_free;

    if (id)
        t->node_free = t->node[id].next;
    else if (t->node_top < t->node_max)
        id = t->node_top++;
    else
        return 0;
    t->node[id] = (struct fs_node){.fd = fd,
                                   .dev = st->st_dev,
                                   .ino = st->st_ino,
                                   .type = st->st_mode & S_IFMT,
                                   .next = *head};
    *head = id;
    return id;
}

int fs_lookup(struct fs_tree *t, const struct fs_node *folder, const char *name, u64 *id,
              struct stat *st)
{
    struct open_how how = {.flags = O_PATH | O_NOFOLLOW | O_CLOEXEC,
                           .resolve =
                               RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS | RESOLVE_NO_SYMLINKS};
    int fd = (int)syscall(SYS_openat2, folder->fd, name, &how, sizeof(how));
    int r;

    if (fd < 0)
        return -errno;
    if (fstat(fd, st) < 0) {
        r = -errno;
        close(fd);
        return r;
    }
    if (st->st_dev == t->node[FS_ROOT_ID].dev && st->st_ino == t->node[FS_ROOT_ID].ino) {
        close(fd);
        return -ELOOP; /* the root within itself, by a bind mount */
    }
    *id = node_find(t, st);
    if (*id) {
        close(fd);
    } else {
        *id = node_add(t, fd, st);
        if (!*id) {
            close(fd);
            return -ENFILE;
        }
    }
    t->node[*id].lookups++;
    return 0;
}

void fs_forget(struct fs_tree *t, u64 id, u64 lookups)
{
    struct fs_node *node = fs_node_get(t, id);
    u32 *link;

    if (!node || id == FS_ROOT_ID)
        return;
    node->lookups = lookups < node->lookups ? node->lookups - lookups : 0;
    if (node->lookups)
        return;
    link = &t->hash[hash_of(node->dev, node->ino)];
    while (*link != id)
        link = &t->node[*link].next;
    *link = node->next;
    close(node->fd);
    *node = (struct fs_node){.fd = -1, .next = t->node_free};
    t->node_free = (u32)id;
}

void fs_node_name(const struct fs_node *node, char name[16])
{
    fmt_print(name, 16, "%d", node->fd);
}

int fs_node_open(struct fs_tree *t, const struct fs_node *node, int flags)
{
    char name[16];
    int fd;

    if (!S_ISREG(node->type) && !S_ISDIR(node->type))
        return -EPERM; /* to open a device or a pipe does something */
    fs_node_name(node, name);
    fd = openat(t->proc, name, flags | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
    return fd < 0 ? -errno : fd;
}

bool fs_handle_add(struct fs_tree *t, int fd, bool folder, bool writes, u64 *handle)
{
    for (u32 i = 0; i < FS_HANDLES_MAX; i++) {
        if (t->handle[i].fd >= 0)
            continue;
        t->handle[i] = (struct fs_handle){.fd = fd, .folder = folder, .writes = writes};
        *handle = i;
        return true;
    }
    return false;
}

void fs_handle_close(struct fs_handle *handle)
{
    if (handle->fd >= 0)
        close(handle->fd);
    handle->fd = -1;
}
