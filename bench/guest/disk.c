/* SPDX-License-Identifier: BSD-2-Clause */
/* How fast a disk is from within a guest, past its page cache: disk DEVICE SECONDS. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define LARGE (1 << 20)
#define SMALL 4096

static char buffer[LARGE] __attribute__((aligned(4096)));

static double now(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

/* Requests of len bytes one after the other for so long; how many. */
static long run(int fd, long long size, int writing, int random, long len, double seconds)
{
    unsigned long long state = 88172645463325252ull, at = 0;
    double end = now() + seconds;
    long count = 0;

    for (; now() < end; count++) {
        ssize_t n;

        if (random) {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            at = state;
        }
        at %= (unsigned long long)(size / len);
        n = writing ? pwrite(fd, buffer, (size_t)len, (off_t)at * len)
                    : pread(fd, buffer, (size_t)len, (off_t)at * len);
        if (n != len) {
            perror("disk");
            exit(1);
        }
        at++;
    }
    return count;
}

int main(int argc, char **argv)
{
    static const struct {
        const char *name;
        int writing, random;
        long len;
    } rows[] = {{"sequential read", 0, 0, LARGE},
                {"sequential write", 1, 0, LARGE},
                {"random read", 0, 1, SMALL},
                {"random write", 1, 1, SMALL}};
    int fd = argc > 2 ? open(argv[1], O_RDWR | O_DIRECT) : -1;
    long long size = fd < 0 ? -1 : lseek(fd, 0, SEEK_END);

    if (size < LARGE) {
        perror("disk");
        return 1;
    }
    memset(buffer, 0x5a, sizeof(buffer));
    for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        double start = now();
        long n = run(fd, size, rows[i].writing, rows[i].random, rows[i].len, atof(argv[2]));
        double took = now() - start;

        if (rows[i].len == LARGE)
            printf("disk: %s %.1f MB/s\n", rows[i].name, (double)n * LARGE / took / 1e6);
        else
            printf("disk: %s %.0f /s\n", rows[i].name, (double)n / took);
        fsync(fd);
    }
    return 0;
}
