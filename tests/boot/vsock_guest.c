/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The guest's end of the tests of virtio sockets.
 *
 *     vsock_guest echo PORT         serves: sends back what comes, one process a connection
 *     vsock_guest sink PORT         serves: reads all, then says how many bytes and their sum
 *     vsock_guest source PORT N     serves: sends N bytes
 *     vsock_guest mute PORT         serves: accepts and reads nothing
 *     vsock_guest clock PORT        serves: what cosm-clock does in our images, see
 * src/store/clock.sh vsock_guest call CID PORT     standard input to the socket, the socket to
 * standard output
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <linux/vm_sockets.h> /* needs sys/socket.h */

static char buffer[1 << 18];

static struct sockaddr_vm address(const char *cid, const char *port)
{
    return (struct sockaddr_vm){.svm_family = AF_VSOCK,
                                .svm_cid = cid ? (unsigned)atoi(cid) : VMADDR_CID_ANY,
                                .svm_port = (unsigned)atoi(port)};
}

static void put(int fd, const char *bytes, size_t len)
{
    while (len) {
        ssize_t n = write(fd, bytes, len);

        if (n <= 0)
            exit(3);
        bytes += n;
        len -= (size_t)n;
    }
}

static void tell_time(int fd)
{
    char text[64];
    struct timespec now;

    clock_gettime(CLOCK_REALTIME, &now);
    put(fd, text,
        (size_t)snprintf(text, sizeof(text), "%ld.%09ld\n", (long)now.tv_sec, now.tv_nsec));
}

static void keep_time(int fd)
{
    char text[64];
    ssize_t n;

    tell_time(fd);
    while ((n = read(fd, text, sizeof(text) - 1)) > 0) {
        struct timespec now;

        text[n] = 0;
        if (sscanf(text, "%ld.%9ld", &now.tv_sec, &now.tv_nsec) != 2)
            exit(4);
        clock_settime(CLOCK_REALTIME, &now);
        tell_time(fd);
    }
}

static void serve(int fd, const char *what, const char *count)
{
    unsigned long total = 0, left = count ? strtoul(count, NULL, 10) : 0;
    unsigned sum = 0;
    ssize_t n;

    if (!strcmp(what, "mute"))
        pause();
    if (!strcmp(what, "clock"))
        keep_time(fd);
    for (; !strcmp(what, "source") && left; left -= (size_t)n) {
        n = left < sizeof(buffer) ? (ssize_t)left : (ssize_t)sizeof(buffer);
        put(fd, buffer, (size_t)n);
    }
    while ((n = read(fd, buffer, sizeof(buffer))) > 0) {
        if (!strcmp(what, "echo"))
            put(fd, buffer, (size_t)n);
        for (ssize_t i = 0; i < n; i++)
            sum = sum * 31 + (unsigned char)buffer[i];
        total += (size_t)n;
    }
    if (!strcmp(what, "sink"))
        put(fd, buffer, (size_t)snprintf(buffer, sizeof(buffer), "%lu %u\n", total, sum));
}

static int listen_on(const char *what, const char *port, const char *count)
{
    struct sockaddr_vm a = address(NULL, port);
    int fd = socket(AF_VSOCK, SOCK_STREAM, 0), one;

    signal(SIGCHLD, SIG_IGN);
    if (fd < 0 || bind(fd, (struct sockaddr *)&a, sizeof(a)) || listen(fd, 64))
        return 2;
    if (fork())
        return 0;
    while ((one = accept(fd, NULL, NULL)) >= 0) {
        if (!fork()) {
            close(fd);
            serve(one, what, count);
            return 0;
        }
        close(one);
    }
    return 2;
}

static int call(const char *cid, const char *port)
{
    struct sockaddr_vm a = address(cid, port);
    int fd = socket(AF_VSOCK, SOCK_STREAM, 0);
    ssize_t n;

    if (connect(fd, (struct sockaddr *)&a, sizeof(a))) {
        perror("connect");
        return 1;
    }
    while ((n = read(0, buffer, sizeof(buffer))) > 0)
        put(fd, buffer, (size_t)n);
    shutdown(fd, SHUT_WR);
    while ((n = read(fd, buffer, sizeof(buffer))) > 0)
        put(1, buffer, (size_t)n);
    return n < 0;
}

int main(int argc, char **argv)
{
    if (argc == 4 && !strcmp(argv[1], "call"))
        return call(argv[2], argv[3]);
    return argc >= 3 ? listen_on(argv[1], argv[2], argc > 3 ? argv[3] : NULL) : 2;
}
