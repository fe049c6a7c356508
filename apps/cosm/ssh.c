/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * 'cosm connect', 'exec', 'ssh' and 'cp': a VM's guest by its virtio sockets.
 *
 * The others are OpenSSH's own programs over 'cosm connect' as their proxy; systemd in the guest
 * (256 and later) has ssh listen on port 22 of these sockets by itself. The proxy hands its
 * connection over (ProxyUseFdpass), so that no process copies what goes to and fro.
 */
#include "apps/cosm/ssh.h"

#include "api/boot_stage.h"
#include "api/guest_port.h"
#include "base/fmt.h"
#include "host/file.h"
#include "host/scope.h"

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

enum { EXIT_FAILED = 1, EXIT_USAGE = 2, EXIT_SSH = 255 };
enum { SSH_PORT = 22, WORDS_MAX = 512, CHUNK = 64 * KIB };

/* The command line of ssh or scp. */
struct line {
    char *word[WORDS_MAX + 1];
    u32 count;
    char text[8 * KIB]; /* of words that were made here */
    size_t used;
    bool full;
};

static void add(struct line *l, const char *word)
{
    l->full |= l->count == WORDS_MAX;
    if (!l->full)
        l->word[l->count++] = (char *)(uintptr_t)word;
}

static void PRINTF_LIKE(2, 3) add_option(struct line *l, const char *fmt, ...)
{
    va_list args;
    int n;

    va_start(args, fmt);
    n = vsnprintf(l->text + l->used, sizeof(l->text) - l->used, fmt, args);
    va_end(args);
    if (n < 0 || (size_t)n >= sizeof(l->text) - l->used) {
        l->full = true;
        return;
    }
    add(l, "-o");
    add(l, l->text + l->used);
    l->used += (size_t)n + 1;
}

static const char *home(const char *variable, const char *fallback, char *path)
{
    const char *value = getenv(variable), *user = getenv("HOME");

    if (value && *value == '/')
        fmt_print(path, PATH_MAX, "%s", value);
    else
        fmt_print(path, PATH_MAX, "%s/%s", user && *user == '/' ? user : "", fallback);
    return path;
}

/* A file of what is kept for VMs made from images: vms/NAME/... or the user's key. */
static bool kept(char path[PATH_MAX], const char *name, const char *file)
{
    char base[PATH_MAX];

    home("XDG_DATA_HOME", ".local/share", base);
    if (name)
        fmt_print(path, PATH_MAX, "%s/cosm/vms/%s/%s", base, name, file);
    else
        fmt_print(path, PATH_MAX, "%s/cosm/ssh/%s", base, file);
    return access(path, R_OK) == 0;
}

/* Who logs in unless it is said: root for programs and files, else the VM's user. */
static void login_name(const struct options *o, const char *name, char user[64])
{
    char path[PATH_MAX];
    FILE *file = NULL;

    fmt_print(user, 64, "root");
    if (o->command == COMMAND_SSH && kept(path, name, "user"))
        file = fopen(path, "re");
    if (file && (!fgets(user, 64, file) || !*user))
        fmt_print(user, 64, "root");
    if (file)
        fclose(file);
    user[strcspn(user, "\n")] = '\0';
}

/* In single quotes for a shell; with percent signs doubled for ssh if asked for. */
static bool quote(char *to, size_t room, const char *from, bool percent)
{
    size_t n = 0;

    for (const char *p = from; n + 8 < room; p++) {
        if (p == from)
            to[n++] = '\'';
        if (!*p) {
            to[n++] = '\'';
            to[n] = '\0';
            return true;
        }
        if (*p == '\'')
            n += fmt_print(to + n, room - n, "'\\'");
        if (*p == '%' && percent)
            to[n++] = '%';
        to[n++] = *p;
    }
    return false;
}

static void add_identity(struct line *l, const struct record *r)
{
    char path[PATH_MAX], base[PATH_MAX];

    if (kept(path, NULL, "id_ed25519"))
        add_option(l, "IdentityFile=\"%s\"", path);
    if (kept(path, r->name, "known_hosts")) {
        add_option(l, "UserKnownHostsFile=\"%s\"", path);
        add_option(l, "StrictHostKeyChecking=yes");
        return;
    }
    /* A disk from elsewhere: the key that its guest shows first is remembered with the VM. */
    home("XDG_STATE_HOME", ".local/state", base);
    add_option(l, "UserKnownHostsFile=\"%s/cosm/vm/%s/known_hosts\"", base, r->name);
    add_option(l, "StrictHostKeyChecking=accept-new");
}

static void add_common(struct line *l, const struct options *o, const struct record *r)
{
    char self[PATH_MAX], quoted[2 * PATH_MAX], user[64];
    ssize_t n = readlink("/proc/self/exe", self, sizeof(self) - 1);

    self[n > 0 ? n : 0] = '\0';
    l->full |= n <= 0 || !quote(quoted, sizeof(quoted), self, true);
    add_option(l, "ProxyCommand=%s connect --pass-fd --wait %u %s %d", quoted, o->wait_s, r->name,
               SSH_PORT);
    add_option(l, "ProxyUseFdpass=yes");
    add_identity(l, r);
    login_name(o, r->name, user);
    add_option(l, "User=%s", o->user ? o->user : user);
    add_option(l, "HostKeyAlias=%s", r->name);
    add_option(l, "CheckHostIP=no");
    add_option(l, "UpdateHostKeys=no");
    add_option(l, "PreferredAuthentications=publickey,password");
    add_option(l, "LogLevel=FATAL"); /* the proxy has told why there is no connection */
}

/* All words as one, so that the shell in the guest sees them as they are. */
static void add_command(struct line *l, char *const *word, u32 count)
{
    char *text = l->text + l->used;
    size_t room = sizeof(l->text) - l->used, n = 0;

    for (u32 i = 0; i < count && !l->full; i++) {
        if (i)
            text[n++] = ' ';
        l->full |= n >= room || !quote(text + n, room - n, word[i], false);
        n += l->full ? 0 : strlen(text + n);
    }
    l->used += n + 1;
    add(l, text);
}

static int run(struct line *l, const char *program)
{
    l->word[l->count] = NULL;
    if (l->full) {
        fprintf(stderr, "cosm: the command line is too long for %s\n", program);
        return EXIT_USAGE;
    }
    execvp(program, l->word);
    fprintf(stderr, "cosm: cannot run %s: %s; 'apt-get install openssh-client' brings it\n",
            program, strerror(errno));
    return EXIT_SSH;
}

static int do_ssh(const struct options *o, const struct record *r)
{
    struct line l = {.count = 0};
    bool terminal = isatty(STDIN_FILENO) && isatty(STDOUT_FILENO);

    add(&l, "ssh");
    add_common(&l, o, r);
    if (o->command == COMMAND_EXEC) {
        add(&l, terminal ? "-t" : "-T");
        add_option(&l, "EscapeChar=none");
    }
    add(&l, r->name);
    if (o->command == COMMAND_EXEC) {
        add(&l, "--");
        add_command(&l, o->operand + 1, o->operands - 1);
    } else {
        for (u32 i = 1; i < o->operands; i++)
            add(&l, o->operand[i]);
    }
    return run(&l, "ssh");
}

/* Operands NAME:PATH are the guest's; scp knows them as those of a host of that name. */
static int do_cp(const struct options *o, const struct record *r)
{
    struct line l = {.count = 0};

    add(&l, "scp");
    add(&l, "-r");
    add(&l, "-p");
    if (!isatty(STDERR_FILENO) || o->quiet)
        add(&l, "-q");
    add_common(&l, o, r);
    add(&l, "--");
    for (u32 i = 0; i < o->operands; i++)
        add(&l, o->operand[i]);
    return run(&l, "scp");
}

static void tell_waiting(void *ctx, u32 seconds)
{
    const struct record *r = ctx;
    char line[160];

    if (seconds != 3 && seconds % 15)
        return;
    boot_stage_text(r, line, sizeof(line));
    fprintf(stderr, "cosm: waiting for '%s' to start%s%s\n", r->name, *line ? ": " : "", line);
}

/* Gives the connection to ssh, which reads it from the socket that is our standard output. */
static int pass_fd(int fd)
{
    char byte = 0;
    struct iovec part = {&byte, 1};
    union {
        char room[CMSG_SPACE(sizeof(int))];
        struct cmsghdr align;
    } control = {{0}};
    struct msghdr message = {.msg_iov = &part,
                             .msg_iovlen = 1,
                             .msg_control = control.room,
                             .msg_controllen = sizeof(control.room)};
    struct cmsghdr *c = CMSG_FIRSTHDR(&message);

    c->cmsg_level = SOL_SOCKET;
    c->cmsg_type = SCM_RIGHTS;
    c->cmsg_len = CMSG_LEN(sizeof(int));
    memcpy(CMSG_DATA(c), &fd, sizeof(fd));
    return sendmsg(STDOUT_FILENO, &message, MSG_NOSIGNAL) == 1 ? 0 : -errno;
}

/* A connection that is at its end: of one that never came ssh would say more than helps. */
static void pass_closed(void)
{
    int fd[2];

    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fd))
        return;
    close(fd[1]);
    (void)pass_fd(fd[0]);
    close(fd[0]);
}

/* Moves what there is. 1: the source is at its end. */
static int move(int from, int to)
{
    static u8 bytes[CHUNK];
    ssize_t n = read(from, bytes, sizeof(bytes));

    if (n < 0)
        return errno == EINTR || errno == EAGAIN ? 0 : -errno;
    return n == 0 ? 1 : file_write_all(to, bytes, (u64)n);
}

/* Until the guest has closed its end. */
static int converse(int fd)
{
    bool input = true;
    int r = 0;

    while (r == 0) {
        struct pollfd p[2] = {{.fd = input ? STDIN_FILENO : -1, .events = POLLIN},
                              {.fd = fd, .events = POLLIN}};

        if (poll(p, 2, -1) < 0)
            continue;
        if (p[0].revents && move(STDIN_FILENO, fd)) {
            input = false;
            shutdown(fd, SHUT_WR);
        }
        if (p[1].revents)
            r = move(fd, STDOUT_FILENO);
    }
    return r < 0 ? r : 0;
}

static int port_number(const char *text, u32 *port)
{
    char *end;
    unsigned long n = strtoul(text, &end, 10);

    *port = (u32)n;
    return *end || *text < '0' || *text > '9' || n >= UINT32_MAX ? -EINVAL : 0;
}

static int do_connect(const struct options *o, struct record *r)
{
    struct err err = {""};
    AUTO_FD int fd = -1;
    u32 port;
    int code;

    if (port_number(o->operand[1], &port)) {
        fprintf(stderr, "cosm: '%.64s' is not a port; give a number\n", o->operand[1]);
        return EXIT_USAGE;
    }
    fd = guest_port_connect(r, port, o->wait_s, tell_waiting, r, &err);
    if (fd < 0) {
        fprintf(stderr, "cosm: %s\n", err.msg);
        if (o->pass_fd)
            pass_closed();
        return EXIT_FAILED;
    }
    code = o->pass_fd ? pass_fd(fd) : converse(fd);
    if (code)
        fprintf(stderr, "cosm: the connection broke: %s\n", strerror(-code));
    return code ? EXIT_FAILED : 0;
}

/* The VM's name: the first operand, or what precedes the colon of one of cp's. */
static const char *name_of(const struct options *o, char name[RECORD_NAME_MAX])
{
    if (o->command != COMMAND_CP)
        return o->operand[0];
    for (u32 i = 0; i < o->operands; i++) {
        size_t len = strcspn(o->operand[i], ":/");

        if (o->operand[i][len] != ':' || !len || len >= RECORD_NAME_MAX)
            continue;
        fmt_print(name, RECORD_NAME_MAX, "%.*s", (int)len, o->operand[i]);
        return name;
    }
    return NULL;
}

int ssh_main(const struct options *o)
{
    char own[RECORD_NAME_MAX];
    const char *name = name_of(o, own);
    struct err err = {""};
    struct record r;
    int status;

    if (!name) {
        fprintf(stderr, "cosm: no file of a VM among these; write it as NAME:PATH\n");
        return EXIT_USAGE;
    }
    if (record_open(&r, name, &err)) {
        fprintf(stderr, "cosm: %s\n", err.msg);
        return EXIT_FAILED;
    }
    if (!record_is_alive(&r)) {
        fprintf(stderr, "cosm: '%s' does not run; 'cosm logs %s' shows what its console showed\n",
                r.name, r.name);
        status = EXIT_FAILED;
    } else if (o->command == COMMAND_CONNECT) {
        status = do_connect(o, &r);
    } else {
        status = o->command == COMMAND_CP ? do_cp(o, &r) : do_ssh(o, &r);
    }
    record_close(&r);
    return status;
}
