/* SPDX-License-Identifier: BSD-2-Clause */
/* How fast TCP is from within a guest: tcp send|receive ADDRESS PORT MIB. */
#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

static char buffer[128 * 1024];

static double now(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

/* Sends bytes and waits until the other end has them; what was sent. */
static long long give(int fd, long long bytes)
{
    long long done = 0;
    ssize_t n = 1;

    while (done < bytes && (n = write(fd, buffer, sizeof(buffer))) > 0)
        done += n;
    shutdown(fd, SHUT_WR);
    return read(fd, buffer, 1) ? -1 : done;
}

static long long take(int fd)
{
    long long done = 0;
    ssize_t n;

    while ((n = read(fd, buffer, sizeof(buffer))) > 0)
        done += n;
    return done;
}

int main(int argc, char **argv)
{
    struct sockaddr_in in = {.sin_family = AF_INET};
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    double start;
    long long bytes;

    if (argc != 5)
        return 2;
    in.sin_port = htons((unsigned short)atoi(argv[3]));
    if (inet_pton(AF_INET, argv[2], &in.sin_addr) != 1 ||
        connect(fd, (struct sockaddr *)&in, sizeof(in))) {
        perror("tcp: connect");
        return 1;
    }
    start = now();
    bytes = strcmp(argv[1], "send") ? take(fd) : give(fd, atoll(argv[4]) << 20);
    printf("tcp: %s %lld bytes in %.3f s\n", argv[1], bytes, now() - start);
    return bytes != atoll(argv[4]) << 20;
}
