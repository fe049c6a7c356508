/* SPDX-License-Identifier: BSD-2-Clause */
/* Network block devices: addresses, sockets, numbers of errors. */
#include "block/nbd.h"

#include "base/fmt.h"
#include "host/scope.h"

#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#define BACKLOG         16
#define CONNECT_S       10
#define USER_TIMEOUT_MS 30000 /* unanswered for so long, a peer is gone */

static const char tcp_scheme[] = "nbd://", unix_scheme[] = "nbd+unix://";

bool nbd_is_uri(const char *text)
{
    return !strncmp(text, tcp_scheme, sizeof(tcp_scheme) - 1) ||
           !strncmp(text, unix_scheme, sizeof(unix_scheme) - 1);
}

static int hex_digit(char c)
{
    const char *at = c ? strchr("0123456789abcdef", c >= 'A' && c <= 'F' ? c + 32 : c) : NULL;

    return at ? (int)(at - "0123456789abcdef") : -1;
}

/* Takes a part of a URI, with %XX for what it cannot say. */
static bool take(char *to, size_t room, const char *from, size_t len)
{
    size_t n = 0;

    for (size_t i = 0; i < len; i++) {
        char c = from[i];

        if (c == '%') {
            int high = i + 2 < len ? hex_digit(from[i + 1]) : -1;
            int low = high < 0 ? -1 : hex_digit(from[i + 2]);

            if (low < 0 || !(high << 4 | low))
                return false;
            c = (char)(high << 4 | low);
            i += 2;
        }
        if (n + 1 >= room)
            return false;
        to[n++] = c;
    }
    to[n] = '\0';
    return true;
}

static bool parse_host(const char *at, size_t len, struct nbd_uri *uri)
{
    const char *end = at + len, *colon;

    if (len && *at == '[') {
        const char *close = memchr(at, ']', len);

        if (!close || !take(uri->host, sizeof(uri->host), at + 1, (size_t)(close - at - 1)))
            return false;
        colon = close + 1;
        if (colon != end && *colon != ':')
            return false;
    } else {
        colon = memchr(at, ':', len);
        if (!colon)
            colon = end;
        if (!take(uri->host, sizeof(uri->host), at, (size_t)(colon - at)))
            return false;
    }
    if (colon == end)
        return fmt_print(uri->port, sizeof(uri->port), "%d", NBD_PORT) && *uri->host;
    len = (size_t)(end - colon - 1);
    return *uri->host && len && len < 6 && strspn(colon + 1, "0123456789") >= len &&
           take(uri->port, sizeof(uri->port), colon + 1, len);
}

static bool parse_query(const char *query, struct nbd_uri *uri)
{
    if (strncmp(query, "?socket=", 8) || strchr(query, '&'))
        return false;
    return take(uri->socket, sizeof(uri->socket), query + 8, strlen(query + 8)) && *uri->socket;
}

static bool parse(const char *text, struct nbd_uri *uri)
{
    bool local = text[3] == '+';
    const char *at = strstr(text, "://") + 3;
    size_t host = strcspn(at, "/?");
    const char *name = at + host + (at[host] == '/');
    size_t len = strcspn(name, "?");

    if (!take(uri->export, sizeof(uri->export), name, len))
        return false;
    if (local)
        return !host && parse_query(name + len, uri);
    return !name[len] && parse_host(at, host, uri);
}

int nbd_uri_parse(const char *text, struct nbd_uri *uri, struct err *err)
{
    memset(uri, 0, sizeof(*uri));
    if (nbd_is_uri(text) && parse(text, uri))
        return 0;
    return err_set(err, EINVAL,
                   "'%.200s' is no address of a network block device; give "
                   "nbd://HOST[:PORT]/EXPORT or nbd+unix:///EXPORT?socket=PATH",
                   text);
}

/* Linux' numbers are the protocol's; of others it knows nothing. */
u32 nbd_error(int code)
{
    switch (code) {
    case EPERM:
    case EROFS:
        return EPERM;
    case ENOMEM:
    case EINVAL:
    case EOVERFLOW:
    case ENOTSUP:
        return (u32)code;
    case ENOSPC:
    case EDQUOT:
        return ENOSPC;
    default:
        return EIO;
    }
}

int nbd_errno(u32 error)
{
    return error == EPERM || error == ENOMEM || error == EINVAL || error == ENOSPC ||
                   error == EOVERFLOW || error == ENOTSUP
               ? (int)error
               : EIO;
}

static int local_address(const struct nbd_uri *uri, struct sockaddr_un *sa)
{
    *sa = (struct sockaddr_un){.sun_family = AF_UNIX};
    fmt_print(sa->sun_path, sizeof(sa->sun_path), "%s", uri->socket);
    return socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
}

static void tune(int fd)
{
    int on = 1, ms = USER_TIMEOUT_MS;

    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof(on));
    setsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &ms, sizeof(ms));
}

/* Tries each address of a host; does a thing with its socket. */
static int each_address(const struct nbd_uri *uri, bool passive,
                        int (*use)(int fd, const struct sockaddr *sa, socklen_t len))
{
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = passive ? AI_PASSIVE : 0};
    struct addrinfo *list;
    int code = getaddrinfo(uri->host, uri->port, &hints, &list), fd = -1;

    if (code)
        return code == EAI_SYSTEM ? -errno : -EADDRNOTAVAIL;
    code = EADDRNOTAVAIL;
    for (struct addrinfo *a = list; a && fd < 0; a = a->ai_next) {
        fd = socket(a->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
        if (fd >= 0 && !use(fd, a->ai_addr, a->ai_addrlen))
            break;
        code = errno;
        if (fd >= 0)
            close(fd);
        fd = -1;
    }
    freeaddrinfo(list);
    return fd >= 0 ? fd : -code;
}

static int use_connect(int fd, const struct sockaddr *sa, socklen_t len)
{
    struct timeval wait = {.tv_sec = CONNECT_S};

    setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &wait, sizeof(wait)); /* of connect, too */
    return connect(fd, sa, len);
}

int nbd_connect(const struct nbd_uri *uri, const char *text, struct err *err)
{
    struct sockaddr_un sa;
    int fd;

    if (*uri->host) {
        fd = each_address(uri, false, use_connect);
        if (fd >= 0)
            tune(fd);
    } else {
        fd = local_address(uri, &sa);
        if (fd >= 0 && connect(fd, (struct sockaddr *)&sa, sizeof(sa))) {
            int code = errno;

            close(fd);
            fd = -code;
        }
    }
    if (fd >= 0)
        return fd;
    return err_set(err, -fd, "cannot connect to '%.200s': %s; does a server run there?", text,
                   strerror(-fd));
}

static int use_listen(int fd, const struct sockaddr *sa, socklen_t len)
{
    int on = 1;

    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
    return bind(fd, sa, len) || listen(fd, BACKLOG) ? -1 : 0;
}

static int listen_local(const struct nbd_uri *uri)
{
    struct sockaddr_un sa;
    AUTO_FD int fd = local_address(uri, &sa);
    struct stat st;

    if (fd < 0)
        return -errno;
    /* A socket that nobody listens at any more was left by somebody who was killed. */
    if (!lstat(uri->socket, &st) && S_ISSOCK(st.st_mode) &&
        connect(fd, (struct sockaddr *)&sa, sizeof(sa)) && errno == ECONNREFUSED)
        unlink(uri->socket);
    close(steal_fd(&fd));
    fd = local_address(uri, &sa);
    /* The socket's own mode is what bind gives its name: nobody else gets in. */
    if (fd < 0 || fchmod(fd, 0600) || bind(fd, (struct sockaddr *)&sa, sizeof(sa)) ||
        listen(fd, BACKLOG))
        return -errno;
    return steal_fd(&fd);
}

int nbd_listen(const struct nbd_uri *uri, struct err *err)
{
    int fd = *uri->host ? each_address(uri, true, use_listen) : listen_local(uri);

    if (fd >= 0)
        return fd;
    if (*uri->host)
        return err_set(err, -fd, "cannot listen at %s port %s: %s", uri->host, uri->port,
                       strerror(-fd));
    return err_set(err, -fd, "cannot listen at the socket '%s': %s", uri->socket, strerror(-fd));
}

int nbd_send(int fd, const void *bytes, size_t len, bool more)
{
    const char *at = bytes;

    while (len) {
        ssize_t n = send(fd, at, len, MSG_NOSIGNAL | (more ? MSG_MORE : 0));

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return -errno;
        at += n;
        len -= (size_t)n;
    }
    return 0;
}

int nbd_receive(int fd, void *bytes, size_t len)
{
    char *at = bytes;

    while (len) {
        ssize_t n = recv(fd, at, len, MSG_WAITALL);

        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return n ? -errno : -ECONNRESET;
        at += n;
        len -= (size_t)n;
    }
    return 0;
}
