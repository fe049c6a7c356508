/* SPDX-License-Identifier: BSD-2-Clause */
/* What a shell cannot try of a shared folder: mappings, locks, files without names, attributes. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <sys/xattr.h>
#include <unistd.h>

#define TRY(what)                                       \
    do {                                                \
        if (!(what)) {                                  \
            printf("%s: %s\n", #what, strerror(errno)); \
            exit(1);                                    \
        }                                               \
    } while (0)

static void map_file(void)
{
    int fd = open("mapped", O_RDWR | O_CREAT | O_TRUNC, 0644);
    char *at, text[16] = "";

    TRY(fd >= 0 && !ftruncate(fd, 8192));
    at = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    TRY(at != MAP_FAILED);
    memcpy(at, "through mmap", 12);
    at[8191] = 'x';
    TRY(!msync(at, 8192, MS_SYNC) && !fsync(fd));
    TRY(pread(fd, text, 12, 0) == 12 && !memcmp(text, "through mmap", 12));
    TRY(!munmap(at, 8192) && !close(fd));
}

/* A lock keeps another process of the guest out. */
static void lock_file(void)
{
    int fd = open("lock", O_RDWR | O_CREAT, 0644), other, status;

    TRY(fd >= 0 && !flock(fd, LOCK_EX));
    if (!fork()) {
        other = open("lock", O_RDWR);
        _exit(other < 0 || !flock(other, LOCK_EX | LOCK_NB) || errno != EWOULDBLOCK);
    }
    TRY(wait(&status) > 0 && WIFEXITED(status) && !WEXITSTATUS(status));
    close(fd);
}

/* A file that is gone but open goes on. */
static void unlink_open(void)
{
    int fd = open("gone", O_RDWR | O_CREAT | O_EXCL, 0600);
    struct stat st;
    char text[4];

    TRY(fd >= 0 && !unlink("gone"));
    TRY(write(fd, "here", 4) == 4 && pread(fd, text, 4, 0) == 4 && !memcmp(text, "here", 4));
    TRY(!fstat(fd, &st) && st.st_size == 4 && access("gone", F_OK) && errno == ENOENT);
    close(fd);
}

static void refusals(void)
{
    char value[8];

    TRY(open(".", O_TMPFILE | O_RDWR, 0600) < 0 && errno == EOPNOTSUPP);
    TRY(setxattr("mapped", "user.x", "y", 1, 0) < 0 && errno == EOPNOTSUPP);
    TRY(getxattr("mapped", "user.x", value, sizeof(value)) < 0 && errno == EOPNOTSUPP);
    TRY(open("mapped", O_RDWR | O_CREAT | O_EXCL, 0600) < 0 && errno == EEXIST);
    TRY(rename("mapped", "nofolder/x") < 0 && errno == ENOENT);
    TRY(rmdir("mapped") < 0 && errno == ENOTDIR);
}

/* More entries than one reply holds, each once. */
static void many(void)
{
    char name[32];
    int count = 0;
    FILE *list;

    TRY(!mkdir("many", 0755));
    for (int i = 0; i < 3000; i++) {
        snprintf(name, sizeof(name), "many/entry-number-%d", i);
        TRY(!close(open(name, O_CREAT | O_WRONLY, 0644)));
    }
    list = popen("ls many | sort -u | wc -l", "r");
    TRY(list && fscanf(list, "%d", &count) == 1 && count == 3000);
    pclose(list);
    TRY(!system("rm -rf many") && access("many", F_OK));
}

int main(int argc, char **argv)
{
    TRY(argc == 2 && !chdir(argv[1]));
    map_file();
    lock_file();
    unlink_open();
    refusals();
    many();
    puts("good");
    return 0;
}
