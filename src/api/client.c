/* SPDX-License-Identifier: BSD-2-Clause */
/* The other end of a VM's control socket: one request at a time, with a time for the answer. */
#include "api/client.h"

#include "base/fmt.h"
#include "host/listener.h"
#include "host/scope.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>

#define ANSWER_S 5

/* The next line of text; it stays valid until the next call. */
static int read_line(struct client *c, size_t *used, char **line, size_t *len)
{
    if (*used) {
        c->len -= *used;
        memmove(c->text, c->text + *used, c->len);
    }
    for (;;) {
        char *end = memchr(c->text, '\n', c->len);
        ssize_t n;

        if (end) {
            *line = c->text;
            *len = (size_t)(end - c->text);
            *used = *len + 1;
            return 0;
        }
        if (c->len == sizeof(c->text))
            return -EMSGSIZE;
        n = recv(c->fd, c->text + c->len, sizeof(c->text) - c->len, 0);
        if (n == 0)
            return -ECONNRESET;
        if (n < 0 && errno != EINTR)
            return errno == EAGAIN ? -ETIMEDOUT : -errno;
        c->len += n > 0 ? (size_t)n : 0;
    }
}

static int failed(const char *name, int code, struct err *err)
{
    if (code == ETIMEDOUT)
        return err_set(err, code, "'%s' does not answer within %d s; 'cosm kill %s' ends it", name,
                       ANSWER_S, name);
    if (code == ECONNRESET || code == EPIPE)
        return err_set(err, code, "'%s' ended meanwhile", name);
    return err_set(err, code, "cannot talk to '%s': %s", name, strerror(code));
}

/* The next object that has member key. */
static int read_object(struct client *c, const char *name, const char *key, const char *other,
                       size_t *used, struct err *err)
{
    for (;;) {
        char *line = NULL;
        size_t len = 0;
        int r = read_line(c, used, &line, &len);

        if (r)
            return failed(name, -r, err);
        c->json = (struct json){.node = c->node, .node_max = CLIENT_VALUES_MAX};
        if (json_parse(&c->json, line, len, err))
            return -EINVAL;
        if (json_get(&c->json, c->node, key) || json_get(&c->json, c->node, other))
            return 0;
    }
}

void client_pass(struct client *c, int fd)
{
    c->passing = fd;
}

static ssize_t client_send(struct client *c, char *text, size_t len)
{
    union {
        struct cmsghdr align;
        char bytes[CMSG_SPACE(sizeof(int))];
    } control = {0};
    struct iovec iov = {text, len};
    struct msghdr message = {.msg_iov = &iov, .msg_iovlen = 1};

    if (c->passing >= 0) {
        control.align = (struct cmsghdr){
            .cmsg_len = CMSG_LEN(sizeof(int)), .cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS};
        message.msg_control = control.bytes;
        message.msg_controllen = sizeof(control.bytes);
        memcpy(CMSG_DATA(CMSG_FIRSTHDR(&message)), &c->passing, sizeof(int));
        c->passing = -1;
    }
    return sendmsg(c->fd, &message, MSG_NOSIGNAL);
}

const struct json_node *client_call(struct client *c, const char *name, const char *command,
                                    struct err *err)
{
    return client_call_with(c, name, command, "{}", err);
}

const struct json_node *client_call_with(struct client *c, const char *name, const char *command,
                                         const char *arguments, struct err *err)
{
    char text[CLIENT_REQUEST_MAX];
    size_t len = fmt_print(text, sizeof(text), "{\"execute\": \"%s\", \"arguments\": %s}\n",
                           command, arguments);
    size_t used = 0;
    const struct json_node *error;
    const char *desc;

    if (len >= sizeof(text)) {
        failed(name, E2BIG, err);
        return NULL;
    }
    c->len = 0; /* only events may lie there */
    if (client_send(c, text, len) != (ssize_t)len) {
        failed(name, errno, err);
        return NULL;
    }
    if (read_object(c, name, "return", "error", &used, err))
        return NULL;
    error = json_get(&c->json, c->node, "error");
    if (!error)
        return json_get(&c->json, c->node, "return");
    desc = json_string(json_get(&c->json, error, "desc"));
    err_set(err, EINVAL, "'%s' refuses %s: %s", name, command, desc ? desc : "it gives no reason");
    return NULL;
}

int client_open(struct client *c, const struct record *r, struct err *err)
{
    struct timeval wait = {.tv_sec = ANSWER_S};
    size_t used = 0;
    int code;

    c->len = 0;
    c->passing = -1;
    c->fd = record_connect(r, ".sock", err);
    if (c->fd < 0)
        return -ENOTCONN;
    setsockopt(c->fd, SOL_SOCKET, SO_RCVTIMEO, &wait, sizeof(wait));
    setsockopt(c->fd, SOL_SOCKET, SO_SNDTIMEO, &wait, sizeof(wait));
    code = read_object(c, r->name, "QMP", "QMP", &used, err);
    if (!code && !client_call(c, r->name, "qmp_capabilities", err))
        code = -EPROTO;
    if (code)
        client_close(c);
    return code;
}

void client_close(struct client *c)
{
    if (c->fd >= 0)
        close(c->fd);
    c->fd = -1;
}
