/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The control socket: clients send anything in pieces, pass descriptors, do not read, leave. All
 * that they get is JSON, line by line, and no descriptor stays behind.
 */
#include "api/commands.h"
#include "api/server.h"
#include "fuzz/fake_loop.h"
#include "vmm/vm_memory.h"
#include "vmm/vm_net.h"

#include <dirent.h>

#define CLIENTS 3
#define ROOM    (128 * KIB)

/* A VM that does what it is told, with one disk and one interface. */
struct vm {
    bool stopped, up;
    void (*watch)(void *ctx, enum vm_event event);
    void *ctx;
    struct sandbox sandbox;
};

static struct vm vm;

struct loop *vm_loop(struct vm *v)
{
    return NULL;
}

const struct sandbox *vm_sandbox(const struct vm *v)
{
    return &v->sandbox;
}

void vm_watch(struct vm *v, void (*fn)(void *ctx, enum vm_event event), void *ctx)
{
    v->watch = fn;
    v->ctx = ctx;
}

static void happens(struct vm *v, enum vm_event event)
{
    if (v->watch)
        v->watch(v->ctx, event);
}

void vm_stop(struct vm *v)
{
    v->stopped = true;
    happens(v, VM_EVENT_STOP);
}

void vm_cont(struct vm *v)
{
    v->stopped = false;
    happens(v, VM_EVENT_RESUME);
}

bool vm_is_stopped(const struct vm *v)
{
    return v->stopped;
}

void vm_push_reset(struct vm *v)
{
    happens(v, VM_EVENT_RESET);
}

void vm_quit(struct vm *v, int status)
{
}

void vm_send_break(struct vm *v)
{
    happens(v, VM_EVENT_IO_ERROR);
}

int vm_ask_powerdown(struct vm *v, struct err *err)
{
    return v->stopped ? err_set(err, EBUSY, "it stands still") : 0;
}

bool vm_disk_trouble(struct vm *v, struct vm_trouble *trouble)
{
    *trouble = (struct vm_trouble){.id = "disk0", .path = "/tmp/\n\"", .reason = "\x01"};
    return v->stopped;
}

bool vm_disk_get(struct vm *v, u32 index, struct vm_disk *disk)
{
    *disk = (struct vm_disk){.id = "disk0", .path = "/tmp/x", .format = "raw", .size = 1 << 20};
    return index == 0;
}

int vm_disk_resize(struct vm *v, const char *id, u64 size, struct err *err)
{
    return strcmp(id, "disk0") ? err_set(err, ENOENT, "no disk '%s'", id) : 0;
}

int vm_disk_snapshot(struct vm *v, const char *id, const char *path, int fd, struct err *err)
{
    if (fd >= 0)
        close(fd);
    return strcmp(id, "disk0") ? err_set(err, ENOENT, "no disk '%s' for %s", id, path) : 0;
}

int vm_disk_commit(struct vm *v, const char *id, int fd, struct err *err)
{
    if (fd >= 0)
        close(fd);
    happens(v, VM_EVENT_JOB);
    return 0;
}

int vm_disk_commit_cancel(struct vm *v, const char *id, struct err *err)
{
    return err_set(err, ENOENT, "nothing is done to '%s'", id);
}

bool vm_job_get(struct vm *v, u32 index, struct vm_job *job)
{
    *job = (struct vm_job){.id = "disk0", .done = 1, .total = 2};
    return index == 0;
}

const struct vm_job *vm_job_ended(const struct vm *v)
{
    static const struct vm_job job = {.id = "disk0", .error = "failed"};

    return &job;
}

const char *vm_end_reason(const struct vm *v)
{
    return "guest-shutdown";
}

void vm_stats_each(struct vm *v, void (*fn)(void *ctx, const char *name, u64 value), void *ctx)
{
    fn(ctx, "instructions", UINT64_MAX);
}

bool vm_net_get(struct vm *v, u32 index, struct vm_net_info *info)
{
    static const struct vm_net net = {.kind = VM_NET_NULL};

    *info = (struct vm_net_info){.config = &net, .up = v->up};
    return index == 0;
}

int vm_net_set_link(struct vm *v, u32 index, bool up, struct err *err)
{
    v->up = up;
    return index ? err_set(err, ENODEV, "no interface %u", index) : 0;
}

int vm_net_forward(struct vm *v, int index, const char *text, bool add, struct err *err)
{
    return err_set(err, EINVAL, "'%s' is no port", text);
}

void vm_memory_get(struct vm *v, struct vm_memory *memory)
{
    *memory = (struct vm_memory){.size = 1, .has_balloon = v->up};
    memset(&memory->balloon, 0xff, sizeof(memory->balloon)); /* what guests may tell */
    memory->balloon.driven = true;
}

void vm_memory_ask(struct vm *v)
{
}

int vm_memory_set(struct vm *v, u64 bytes, struct err *err)
{
    happens(v, VM_EVENT_BALLOON);
    return 0;
}

const char *vm_net_kind_name(enum vm_net_kind kind)
{
    return "none";
}

const char *net_place_text(const struct net_address *address, u16 port, char text[NET_PLACE_MAX])
{
    return "";
}

void net_rule_text(const struct net_rule *rule, char *text, size_t size)
{
    *text = '\0';
}

const char *sandbox_mode_name(enum sandbox_mode mode)
{
    return "off";
}

const char *sandbox_state(const struct sandbox *sandbox)
{
    return "none";
}

/* ---- clients ---- */

static struct {
    int fd; /* -1: not there */
    char text[ROOM];
    size_t len;
} client[CLIENTS];

static void leave(u32 i)
{
    if (client[i].fd >= 0)
        close(client[i].fd);
    client[i].fd = -1;
}

/* Each whole line is JSON. */
static void hear(u32 i)
{
    static struct json_node node[2048];
    char *end;

    for (;;) {
        ssize_t n = recv(client[i].fd, client[i].text + client[i].len, ROOM - client[i].len, 0);

        if (n <= 0)
            break;
        client[i].len += (size_t)n;
        while ((end = memchr(client[i].text, '\n', client[i].len))) {
            size_t line = (size_t)(end - client[i].text) + 1;
            struct json json = {.node = node, .node_max = ARRAY_SIZE(node)};
            struct err err;

            ASSERT(!json_parse(&json, client[i].text, line, &err));
            client[i].len -= line;
            memmove(client[i].text, client[i].text + line, client[i].len);
        }
        ASSERT(client[i].len < ROOM);
    }
}

static void pass(u32 i, const u8 *bytes, size_t len)
{
    union {
        struct cmsghdr align;
        char bytes[CMSG_SPACE(sizeof(int))];
    } control = {0};
    struct iovec iov = {(void *)(uintptr_t)bytes, len};
    struct msghdr message = {.msg_iov = &iov,
                             .msg_iovlen = 1,
                             .msg_control = control.bytes,
                             .msg_controllen = sizeof(control.bytes)};
    struct cmsghdr *head = CMSG_FIRSTHDR(&message);
    int fd = open("/dev/null", O_RDWR | O_CLOEXEC);

    ASSERT(fd >= 0);
    head->cmsg_level = SOL_SOCKET;
    head->cmsg_type = SCM_RIGHTS;
    head->cmsg_len = CMSG_LEN(sizeof(int));
    memcpy(CMSG_DATA(head), &fd, sizeof(int));
    (void)!sendmsg(client[i].fd, &message, MSG_NOSIGNAL);
    close(fd);
}

/* Who (a byte), then n: a new client that is ready; c: a new one; p: what follows comes with a
 * descriptor; r: reads; l: leaves. Anything else is sent. */
static void step(const u8 *line, size_t len)
{
    static const char ready[] = "{\"execute\":\"qmp_capabilities\"}";
    u32 i = line[0] % CLIENTS;

    if (len < 2)
        return;
    if (client[i].fd < 0 || line[1] == 'n' || line[1] == 'c') {
        leave(i);
        client[i].fd = fake_loop_client();
        client[i].len = 0;
    }
    if (line[1] == 'n')
        (void)!send(client[i].fd, ready, sizeof(ready) - 1, MSG_NOSIGNAL);
    else if (line[1] == 'p')
        pass(i, line + 1, len - 1);
    else if (line[1] == 'r')
        hear(i);
    else if (line[1] == 'l')
        leave(i);
    else
        (void)!send(client[i].fd, line + 1, len - 1, MSG_NOSIGNAL);
}

static u32 descriptors(void)
{
    DIR *dir = opendir("/proc/self/fd");
    u32 count = 0;

    ASSERT(dir);
    while (readdir(dir))
        count++;
    closedir(dir);
    return count;
}

int LLVMFuzzerTestOneInput(const u8 *data, size_t size);
int LLVMFuzzerTestOneInput(const u8 *data, size_t size)
{
    const u32 before = descriptors();
    struct server *server;
    struct err err;

    memset(&vm, 0, sizeof(vm));
    for (u32 i = 0; i < CLIENTS; i++)
        client[i].fd = -1;
    ASSERT(!server_create(&server, &vm, "fuzz", -1, "control", &err));
    while (size) {
        const u8 *end = memchr(data, '!', size);
        size_t len = end ? (size_t)(end - data) : size;

        step(data, len);
        if (len)
            fake_loop_turn();
        data += len + (end != NULL);
        size -= len + (end != NULL);
    }
    for (u32 i = 0; i < CLIENTS; i++) {
        fake_loop_turn();
        if (client[i].fd >= 0)
            hear(i);
    }
    server_destroy(server);
    for (u32 i = 0; i < CLIENTS; i++)
        leave(i);
    fake_loop_check();
    ASSERT(descriptors() == before);
    return 0;
}
