/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Requests of a hostile guest to a shared folder: bytes become a row of FUSE requests, which are
 * served in a folder made anew. Nothing outside of it changes, and no reply is longer than there is
 * room for it.
 */
#include "share/fs_fuse.h"

#include "base/assert.h"

#include <fcntl.h>
#include <ftw.h>
#include <linux/fuse.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

void assert_failed(const char *expr, const char *file, int line)
{
    fprintf(stderr, "%s:%d: ASSERT(%s)\n", file, line, expr);
    abort();
}

enum { ROOM = 4096, REQUESTS = 64, FILE_MAX = 16 << 20 };

static struct fs_server server;
static char base[] = "/tmp/fuzz-fuse-XXXXXX", secret[64];
static int root = -1;

static void put_secret(void)
{
    int fd = open(secret, O_CREAT | O_WRONLY | O_TRUNC, 0600);

    ASSERT(fd >= 0 && write(fd, "secret", 6) == 6);
    close(fd);
}

static void check_secret(void)
{
    char text[8] = "";
    int fd = open(secret, O_RDONLY);
    struct stat st;

    ASSERT(fd >= 0 && read(fd, text, 7) == 6 && !strcmp(text, "secret"));
    ASSERT(!fstat(fd, &st) && (st.st_mode & 07777) == 0600 && st.st_nlink == 1);
    close(fd);
}

static int remove_one(const char *path, const struct stat *st, int kind, struct FTW *at)
{
    return remove(path);
}

static void put_file(const char *name)
{
    int fd = open(name, O_CREAT | O_WRONLY, 0644);

    ASSERT(fd >= 0 && write(fd, "text\n", 5) == 5);
    close(fd);
}

static void remove_all(void)
{
    (void)nftw(base, remove_one, 8, FTW_DEPTH | FTW_PHYS);
}

/* The folder, gone at the end; what guests may fill of a host is for the host's quotas to say. */
static void make_folder(void)
{
    const struct rlimit file = {FILE_MAX, FILE_MAX};

    ASSERT(!setrlimit(RLIMIT_FSIZE, &file) && signal(SIGXFSZ, SIG_IGN) != SIG_ERR);
    ASSERT(mkdtemp(base) && !chdir(base) && !atexit(remove_all));
    snprintf(secret, sizeof(secret), "%s/secret", base);
    put_secret();
}

static void prepare(void)
{
    if (root < 0) {
        make_folder();
    } else {
        close(root);
        ASSERT(!nftw("r", remove_one, 8, FTW_DEPTH | FTW_PHYS));
    }
    ASSERT(!mkdir("r", 0755) && !mkdir("r/d", 0755) && !mkfifo("r/p", 0644));
    ASSERT(!symlink("../secret", "r/l"));
    put_file("r/f");
    root = open("r", O_PATH | O_DIRECTORY);
    ASSERT(root >= 0);
}

static void start(void)
{
    u8 message[ROOM] = {0};
    struct fuse_in_header in = {.len = 56, .opcode = FUSE_INIT, .unique = 1};
    const u32 init[4] = {FUSE_KERNEL_VERSION, 31, 1 << 17, UINT32_MAX};

    memcpy(message, &in, sizeof(in));
    memcpy(message + sizeof(in), init, sizeof(init));
    ASSERT(fs_fuse_serve(&server, message, 56, ROOM) > 16);
}

int LLVMFuzzerTestOneInput(const u8 *data, size_t size);
int LLVMFuzzerTestOneInput(const u8 *data, size_t size)
{
    prepare();
    ASSERT(!fs_tree_init(&server.tree, root, 64));
    server.readonly = size && data[0] & 0x80;
    server.user = geteuid();
    start();
    /* Each request: opcode, node, length of what follows, room. */
    for (u32 i = 0; i < REQUESTS && size > 4; i++) {
        struct fuse_in_header in = {.opcode = data[0] & 63, .unique = i, .nodeid = data[1] % 16};
        u32 len = data[2] < size - 4 ? data[2] : (u32)size - 4;
        u32 room = data[3] & 1 ? ROOM : data[3] * 16u, got;
        u8 *message = calloc(1, ROOM);

        ASSERT(message);
        in.len = (u32)sizeof(in) + len;
        memcpy(message, &in, sizeof(in));
        memcpy(message + sizeof(in), data + 4, len);
        got = fs_fuse_serve(&server, message, in.len, room);
        ASSERT(got <= room && (!got || got >= 16));
        free(message);
        data += 4 + len;
        size -= 4 + len;
    }
    server.tree.root = -1; /* stays ours */
    fs_tree_fini(&server.tree);
    memset(&server, 0, sizeof(server));
    check_secret();
    return 0;
}
