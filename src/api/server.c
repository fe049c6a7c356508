/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The control socket of a VM: requests in, answers and events out.
 *
 * A request ends where its brackets close, or, when it is no object, at the end of the line. While
 * a client has not read its last answers no more of its requests are looked at, so what waits for
 * it stays below OUT_MAX; an event that finds no room is the end of a client that does not read.
 */
#include "api/server.h"

#include "api/commands.h"
#include "host/listener.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define CLIENTS_MAX 16
#define REPLY_MAX   (16 * KIB)
#define OUT_MAX     (4 * REPLY_MAX)
#define VALUES_MAX  256
#define EVENT_MAX   (8 * KIB)

struct server_client {
    struct server *server;
    int fd; /* -1: free */
    struct loop_fd *handler;
    int passed; /* a descriptor that came with the request, or -1 */
    bool negotiated, ending;
    char *in, *out; /* SERVER_REQUEST_MAX, OUT_MAX */
    size_t in_len, out_len;
};

struct server {
    struct vm *vm;
    const char *name;
    struct listener *listener;
    struct server_client client[CLIENTS_MAX];
    struct server_client *serving; /* not to be closed under its request */
    char reply[REPLY_MAX];
};

static void client_close(struct server_client *c)
{
    loop_fd_remove(c->handler);
    c->handler = NULL;
    if (c->passed >= 0)
        close(c->passed);
    close(c->fd);
    c->fd = -1;
    free(c->in);
    free(c->out);
    c->in = c->out = NULL;
}

static bool has_room(const struct server_client *c)
{
    return OUT_MAX - c->out_len >= REPLY_MAX;
}

/* Sends what it takes. False: it is gone. */
static bool client_flush(struct server_client *c)
{
    ssize_t n = c->out_len ? send(c->fd, c->out, c->out_len, MSG_DONTWAIT | MSG_NOSIGNAL) : 0;

    if (n > 0) {
        c->out_len -= (size_t)n;
        memmove(c->out, c->out + n, c->out_len);
    }
    if ((n < 0 && errno != EAGAIN && errno != EINTR) || (c->ending && !c->out_len)) {
        client_close(c);
        return false;
    }
    loop_fd_watch(c->handler,
                  (has_room(c) && !c->ending ? LOOP_READ : 0u) | (c->out_len ? LOOP_WRITE : 0u));
    return true;
}

/* A line of its own. False: no room. */
static bool client_put(struct server_client *c, const struct json_out *out)
{
    if (out->cut || OUT_MAX - c->out_len < out->len + 2)
        return false;
    memcpy(c->out + c->out_len, out->text, out->len);
    memcpy(c->out + c->out_len + out->len, "\r\n", 2);
    c->out_len += out->len + 2;
    return true;
}

/* Requests */

static void put_error(struct json_out *out, const char *class, const char *text)
{
    json_key(out, "error");
    json_open(out, '{');
    json_key(out, "class");
    json_put_string(out, class);
    json_key(out, "desc");
    json_put_string(out, text);
    json_close(out, '}');
}

/* The id comes back as it was. */
static void answer(struct server_client *c, struct json_out *out, const struct json *json)
{
    const struct json_node *id = json ? json_get(json, &json->node[0], "id") : NULL;

    if (id) {
        json_key(out, "id");
        json_put_node(out, json, id);
    }
    json_close(out, '}');
    if (!client_put(c, out))
        c->ending = true; /* an id as long as the request: no sane client */
}

static void refuse(struct server_client *c, const struct json *json, const char *class,
                   const char *text)
{
    struct json_out out;

    json_out_init(&out, c->server->reply, REPLY_MAX);
    json_open(&out, '{');
    put_error(&out, class, text);
    answer(c, &out, json);
}

static void execute(struct server_client *c, const struct json *json,
                    const struct json_node *arguments, const struct command *command)
{
    struct json_out out;
    struct command_call call = {
        .vm = c->server->vm,
        .name = c->server->name,
        .json = json,
        .arguments = arguments,
        .out = &out,
        .fd = c->passed,
    };
    struct err err;
    size_t before;
    bool failed;

    json_out_init(&out, c->server->reply, REPLY_MAX);
    json_open(&out, '{');
    json_key(&out, "return");
    before = out.len;
    c->passed = -1;
    failed = command_check(command, json, arguments, &err) || command->run(&call, &err);
    if (call.fd >= 0)
        close(call.fd);
    if (failed) {
        refuse(c, json, "GenericError", err.msg);
        return;
    }
    if (out.len == before) {
        json_open(&out, '{');
        json_close(&out, '}');
    }
    answer(c, &out, json);
}

static void negotiate(struct server_client *c, const struct json *json)
{
    struct json_out out;

    c->negotiated = true;
    json_out_init(&out, c->server->reply, REPLY_MAX);
    json_open(&out, '{');
    json_key(&out, "return");
    json_open(&out, '{');
    json_close(&out, '}');
    answer(c, &out, json);
}

static int check_request(const struct json *json, struct err *err)
{
    const struct json_node *root = &json->node[0], *arguments;

    if (root->kind != JSON_OBJECT)
        return err_set(err, EINVAL, "QMP input must be a JSON object");
    for (const struct json_node *n = json_first(json, root); n; n = json_next(json, n)) {
        if (strcmp(n->key, "execute") && strcmp(n->key, "arguments") && strcmp(n->key, "id"))
            return err_set(err, EINVAL, "QMP input member '%.64s' is unexpected", n->key);
    }
    if (!json_string(json_get(json, root, "execute")))
        return err_set(err, EINVAL, "QMP input lacks member 'execute', a string");
    arguments = json_get(json, root, "arguments");
    if (arguments && arguments->kind != JSON_OBJECT)
        return err_set(err, EINVAL, "QMP input member 'arguments' must be an object");
    return 0;
}

static void request(struct server_client *c, char *text, size_t len)
{
    struct json_node node[VALUES_MAX];
    struct json json = {.node = node, .node_max = VALUES_MAX};
    const struct command *command;
    const char *name;
    struct err err;

    if (json_parse(&json, text, len, &err)) {
        refuse(c, NULL, "GenericError", err.msg);
        return;
    }
    if (check_request(&json, &err)) {
        refuse(c, json.node[0].kind == JSON_OBJECT ? &json : NULL, "GenericError", err.msg);
        return;
    }
    name = json_string(json_get(&json, &json.node[0], "execute"));
    command = command_find(name);
    if (!c->negotiated && !strcmp(name, "qmp_capabilities")) {
        negotiate(c, &json);
    } else if (!c->negotiated) {
        refuse(c, &json, "CommandNotFound",
               "Expecting capabilities negotiation with 'qmp_capabilities'");
    } else if (!command) {
        err_set(&err, ENOENT, "The command %.64s has not been found", name);
        refuse(c, &json, "CommandNotFound", err.msg);
    } else {
        execute(c, &json, json_get(&json, &json.node[0], "arguments"), command);
    }
}

/* Length of the first request in text; 0: it is not whole yet. */
static size_t request_len(const char *text, size_t len)
{
    bool quoted = false;
    u32 depth = 0;

    for (size_t i = 0; i < len; i++) {
        if (quoted && text[i] == '\\') {
            i++;
        } else if (quoted) {
            quoted = text[i] != '"';
        } else if (text[i] == '{' || text[i] == '[') {
            depth++;
        } else if (text[i] == '"') {
            quoted = depth > 0;
        } else if ((text[i] == '}' || text[i] == ']') && depth) {
            if (!--depth)
                return i + 1;
        } else if (text[i] == '\n' && !depth) {
            return i + 1;
        }
    }
    return 0;
}

static size_t space_len(const char *text, size_t len)
{
    size_t n = 0;

    while (n < len && strchr(" \t\r\n", text[n]) && text[n])
        n++;
    return n;
}

/* Serves what has come. */
static void client_serve(struct server_client *c)
{
    size_t at = 0, len;

    while (has_room(c) && !c->ending) {
        at += space_len(c->in + at, c->in_len - at);
        len = request_len(c->in + at, c->in_len - at);
        if (!len)
            break;
        request(c, c->in + at, len);
        at += len;
    }
    c->in_len -= at;
    memmove(c->in, c->in + at, c->in_len);
    if (c->in_len == SERVER_REQUEST_MAX && !c->ending && has_room(c) &&
        !request_len(c->in, c->in_len)) {
        refuse(c, NULL, "GenericError", "the request is longer than 16 KiB");
        c->ending = true;
    }
}

/* As recv; a descriptor may come along, which replaces one that nobody took. */
static ssize_t receive(struct server_client *c, void *bytes, size_t len)
{
    union {
        struct cmsghdr align;
        char bytes[CMSG_SPACE(sizeof(int))];
    } control;
    struct iovec iov = {bytes, len};
    struct msghdr message = {.msg_iov = &iov,
                             .msg_iovlen = 1,
                             .msg_control = control.bytes,
                             .msg_controllen = sizeof(control.bytes)};
    ssize_t n = recvmsg(c->fd, &message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
    struct cmsghdr *head = n < 0 ? NULL : CMSG_FIRSTHDR(&message);

    if (!head || head->cmsg_level != SOL_SOCKET || head->cmsg_type != SCM_RIGHTS ||
        head->cmsg_len != CMSG_LEN(sizeof(int)))
        return n;
    if (c->passed >= 0)
        close(c->passed);
    memcpy(&c->passed, CMSG_DATA(head), sizeof(int));
    return n;
}

static void on_client(void *ctx, u32 ready)
{
    struct server_client *c = ctx;
    ssize_t n = 0;

    if (ready & (LOOP_READ | LOOP_HANGUP) && c->in_len < SERVER_REQUEST_MAX) {
        n = receive(c, c->in + c->in_len, SERVER_REQUEST_MAX - c->in_len);
        if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR)) {
            client_close(c);
            return;
        }
        c->in_len += n > 0 ? (size_t)n : 0;
    }
    c->server->serving = c;
    client_serve(c);
    c->server->serving = NULL;
    client_flush(c);
}

/* Clients and events */

static void greet(struct server_client *c)
{
    struct json_out out;

    json_out_init(&out, c->server->reply, REPLY_MAX);
    json_open(&out, '{');
    json_key(&out, "QMP");
    json_open(&out, '{');
    json_key(&out, "version");
    command_put_version(&out);
    json_key(&out, "capabilities");
    json_open(&out, '[');
    json_close(&out, ']');
    json_close(&out, '}');
    json_close(&out, '}');
    if (client_put(c, &out))
        client_flush(c);
}

static void on_accepted(void *ctx, int fd)
{
    struct server *s = ctx;
    struct server_client *c = s->client;
    struct err err;

    while (c < s->client + CLIENTS_MAX && c->fd >= 0)
        c++;
    if (c == s->client + CLIENTS_MAX) {
        close(fd);
        return;
    }
    *c = (struct server_client){.server = s, .fd = fd, .passed = -1};
    c->in = malloc(SERVER_REQUEST_MAX);
    c->out = malloc(OUT_MAX);
    if (!c->in || !c->out ||
        loop_fd_add(vm_loop(s->vm), fd, LOOP_READ, on_client, c, &c->handler, &err))
        client_close(c);
    else
        greet(c);
}

static void put_time(struct json_out *out)
{
    struct timespec now;

    clock_gettime(CLOCK_REALTIME, &now);
    json_key(out, "timestamp");
    json_open(out, '{');
    json_key(out, "seconds");
    json_put_integer(out, now.tv_sec);
    json_key(out, "microseconds");
    json_put_integer(out, now.tv_nsec / 1000);
    json_close(out, '}');
}

static void broadcast(struct server *s, struct json_out *out)
{
    put_time(out);
    json_close(out, '}');
    for (u32 i = 0; i < CLIENTS_MAX; i++) {
        struct server_client *c = &s->client[i];

        if (c->fd < 0 || !c->negotiated)
            continue;
        if (!client_put(c, out)) { /* it does not read */
            c->out_len = 0;
            c->ending = true;
        }
        if (c != s->serving)
            client_flush(c);
    }
}

/* Not in s->reply, where an answer may be under way. */
static void on_event(void *ctx, enum vm_event event)
{
    struct server *s = ctx;
    char text[EVENT_MAX];
    struct vm_trouble trouble;
    struct json_out out;

    json_out_init(&out, text, sizeof(text));
    json_open(&out, '{');
    json_key(&out, "event");
    json_put_string(&out, command_event_name(event));
    if (event == VM_EVENT_IO_ERROR && vm_disk_trouble(s->vm, &trouble)) {
        json_key(&out, "data");
        command_put_trouble(&out, &trouble);
    }
    if (event == VM_EVENT_JOB && vm_job_ended(s->vm)) {
        json_key(&out, "data");
        command_put_job(&out, vm_job_ended(s->vm));
    }
    if (event == VM_EVENT_BALLOON) {
        json_key(&out, "data");
        command_put_balloon(&out, s->vm);
    }
    broadcast(s, &out);
}

int server_create(struct server **out, struct vm *vm, const char *name, int runtime,
                  const char *socket, struct err *err)
{
    struct server *s = calloc(1, sizeof(*s));
    int r;

    if (!s)
        return err_set(err, ENOMEM, "no memory for the control socket");
    s->vm = vm;
    s->name = name;
    for (u32 i = 0; i < CLIENTS_MAX; i++)
        s->client[i].fd = -1;
    r = listener_create(&s->listener, vm_loop(vm), runtime, socket, on_accepted, s, err);
    if (r) {
        free(s);
        return r;
    }
    vm_watch(vm, on_event, s);
    *out = s;
    return 0;
}

static void tell_shutdown(struct server *s)
{
    const char *reason = vm_end_reason(s->vm);
    char text[512];
    struct json_out out;

    json_out_init(&out, text, sizeof(text));
    json_open(&out, '{');
    json_key(&out, "event");
    json_put_string(&out, "SHUTDOWN");
    json_key(&out, "data");
    json_open(&out, '{');
    json_key(&out, "guest");
    json_put_bool(&out, !strncmp(reason, "guest-", 6));
    json_key(&out, "reason");
    json_put_string(&out, reason);
    json_close(&out, '}');
    broadcast(s, &out);
}

void server_destroy(struct server *s)
{
    if (!s)
        return;
    vm_watch(s->vm, NULL, NULL);
    tell_shutdown(s);
    listener_destroy(s->listener);
    for (u32 i = 0; i < CLIENTS_MAX; i++) {
        if (s->client[i].fd >= 0)
            client_close(&s->client[i]);
    }
    free(s);
}
