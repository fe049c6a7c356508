/* SPDX-License-Identifier: BSD-2-Clause */
/* cosm metal run: a board under cosm-metal on this terminal. */
#include "apps/cosm/metal_run.h"

#include "apps/cosm/metal_board.h"
#include "apps/cosm/split.h"
#include "host/file.h"
#include "host/scope.h"
#include "host/tty.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <time.h>

#define CTRL_A     1
#define CTRL_C     3
#define DRAW_MS    30
#define SIZE_MS    500 /* how often the terminal's size is looked at if no signal tells of it */
#define WAITING    4096
#define COMPLAINTS 400

/* What holds a board and a terminal together. */
struct session {
    struct metal_board_run board;
    struct split *split;     /* NULL: lines */
    int complaints;          /* QEMU's, to be read; -1: they are on our standard error */
    u8 waiting[WAITING + 8]; /* typed, not yet taken by QEMU */
    size_t begin, end;
    bool keys;    /* standard input is a terminal */
    bool escaped; /* Ctrl-A was typed */
    bool leave;   /* Ctrl-A x */
    bool off;     /* the board has ended; what it said is still shown */
    u64 drawn_ms;
    u32 rows, columns;
    char complaint[COMPLAINTS];
};

static u64 now_ms(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (u64)t.tv_sec * 1000 + (u64)t.tv_nsec / 1000000;
}

static void type(struct session *s, u8 byte)
{
    if (s->end < sizeof(s->waiting))
        s->waiting[s->end++] = byte;
}

/* A key behind Ctrl-A. */
static void command(struct session *s, u8 key)
{
    bool digit = key >= '0' && key < '0' + s->board.config.partition_count;

    if (key == 'x' || key == 'X') {
        s->leave = true;
    } else if (s->split && (key == 'h' || key == 'H' || key == '?')) {
        split_help(s->split, true);
    } else {
        type(s, CTRL_A);
        type(s, key);
        if (s->split && digit)
            split_give_keyboard(s->split, (u32)(key - '0'));
    }
}

static void take_key(struct session *s, u8 key)
{
    if (s->split)
        split_help(s->split, false);
    if (s->escaped) {
        s->escaped = false;
        command(s, key);
    } else if (key == CTRL_A && s->keys) {
        s->escaped = true;
    } else if (s->off) {
        s->leave = key == 'q' || key == CTRL_C;
    } else {
        type(s, key);
    }
}

/* False: there is no more input. */
static bool take_keys(struct session *s)
{
    u8 bytes[WAITING / 2];
    ssize_t n = read(STDIN_FILENO, bytes, sizeof(bytes));

    for (ssize_t i = 0; i < n; i++)
        take_key(s, bytes[i]);
    return n > 0 || (n < 0 && (errno == EINTR || errno == EAGAIN));
}

static void pass_on(struct session *s)
{
    ssize_t n = send(s->board.serial, s->waiting + s->begin, s->end - s->begin,
                     MSG_DONTWAIT | MSG_NOSIGNAL);

    if (n > 0)
        s->begin += (size_t)n;
    if (s->begin == s->end || (n < 0 && errno != EAGAIN && errno != EINTR))
        s->begin = s->end = 0; /* a board that is gone: its end is seen elsewhere */
}

/* False: the board has ended. */
static int hear(struct session *s, bool *ended, struct err *err)
{
    u8 bytes[16 * KIB];
    char answer[32];
    ssize_t n = read(s->board.serial, bytes, sizeof(bytes));
    int r;

    *ended = n == 0 || (n < 0 && errno != EINTR && errno != EAGAIN);
    if (n <= 0)
        return 0;
    if (!s->split) {
        r = file_write_all(STDOUT_FILENO, bytes, (u64)n);
        return r ? err_set(err, -r, "cannot write to standard output: %s", strerror(-r)) : 0;
    }
    split_hear(s->split, bytes, (size_t)n);
    n = (ssize_t)split_answer(s->split, answer, sizeof(answer));
    for (ssize_t i = 0; i < n; i++)
        type(s, (u8)answer[i]);
    return 0;
}

/* QEMU's complaints: shown, and the last ones kept for the end. */
static void hear_complaints(struct session *s)
{
    u8 bytes[sizeof(s->complaint)];
    ssize_t n = read(s->complaints, bytes, sizeof(bytes) - 1);

    if (n <= 0) {
        scope_close(&s->complaints);
        s->complaints = -1;
        return;
    }
    split_tell(s->split, bytes, (size_t)n);
    for (ssize_t i = 0; i < n; i++)
        s->complaint[i] = (char)(bytes[i] < ' ' || bytes[i] > '~' ? ' ' : bytes[i]);
    while (n && s->complaint[n - 1] == ' ')
        n--;
    s->complaint[n] = '\0';
}

static void look_at_size(struct session *s)
{
    struct winsize size = {0};

    if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) < 0 ||
        (size.ws_row == s->rows && size.ws_col == s->columns && s->rows))
        return;
    s->rows = size.ws_row ? size.ws_row : 24;
    s->columns = size.ws_col ? size.ws_col : 80;
    split_resize(s->split, s->rows, s->columns);
}

static int draw(struct session *s, struct err *err)
{
    const char *text;
    size_t len;
    int r;

    s->drawn_ms = now_ms();
    text = split_draw(s->split, &len);
    r = text && tty_is_raw() ? file_write_all(STDOUT_FILENO, text, len) : 0;
    return r ? err_set(err, -r, "cannot draw: %s", strerror(-r)) : 0;
}

/* How long the next wait may be. */
static int wait_ms(const struct session *s)
{
    u64 since = now_ms() - s->drawn_ms;

    if (!s->split)
        return -1;
    if (!split_is_changed(s->split))
        return SIZE_MS;
    return since < DRAW_MS ? (int)(DRAW_MS - since) : 0;
}

static int redraw(struct session *s, struct err *err)
{
    look_at_size(s);
    return split_is_changed(s->split) && wait_ms(s) == 0 ? draw(s, err) : 0;
}

/* Until the board ends or the user leaves; if it is off, until the user does. */
static int serve(struct session *s, struct err *err)
{
    bool ended = false, input = true;
    int r = 0;

    while (!ended && !s->leave && !r && (input || !s->off)) {
        struct pollfd fd[3] = {
            {.fd = s->board.serial, .events = POLLIN | (s->end ? POLLOUT : 0)},
            {.fd = input && s->end < WAITING / 2 ? STDIN_FILENO : -1, .events = POLLIN},
            {.fd = s->complaints, .events = POLLIN},
        };
        int n = poll(fd, ARRAY_SIZE(fd), wait_ms(s));

        if (n < 0) { /* a signal: the window's size, or we were stopped and are back */
            s->rows = 0;
            n = 0;
        }
        if (n && fd[1].revents)
            input = take_keys(s);
        if (n && fd[0].revents & (POLLIN | POLLHUP | POLLERR))
            r = hear(s, &ended, err);
        if (n && fd[2].revents)
            hear_complaints(s);
        if (s->end)
            pass_on(s);
        if (s->split && !r)
            r = redraw(s, err);
    }
    return r;
}

/* The board has switched itself off: its last words stay until they are read. */
static int linger(struct session *s, struct err *err)
{
    static const char text[] = "the board is off; q leaves";

    s->off = true;
    s->end = s->begin = 0;
    split_tell(s->split, (const u8 *)text, sizeof(text) - 1);
    return serve(s, err);
}

static void on_size(int signal)
{
    (void)signal; /* it ends poll() */
}

static bool has_utf8(void)
{
    const char *names[] = {"LC_ALL", "LC_CTYPE", "LANG"};

    for (u32 i = 0; i < ARRAY_SIZE(names); i++) {
        const char *value = getenv(names[i]);

        if (value && *value)
            return strcasestr(value, "utf-8") || strcasestr(value, "utf8");
    }
    return false;
}

static int begin_terminal(struct session *s, struct err *err)
{
    struct sigaction action = {.sa_handler = on_size};

    if (!s->split)
        return s->keys ? tty_make_raw(STDIN_FILENO, err) : 0;
    look_at_size(s);
    sigaction(SIGWINCH, &action, NULL);
    return tty_make_screen(STDIN_FILENO, SPLIT_ENTER, SPLIT_LEAVE, err);
}

static int choose(const struct options *o, bool *split, struct err *err)
{
    bool screen = isatty(STDIN_FILENO) && isatty(STDOUT_FILENO);

    if (o->metal.split && o->metal.lines)
        return err_set(err, EINVAL, "--split and --lines exclude each other; give one of them");
    if (o->metal.split && !screen)
        return err_set(err, EIO, "--split needs a terminal; --lines does not");
    *split = screen && !o->metal.lines;
    return 0;
}

int metal_run(const struct options *o, struct err *err)
{
    AUTO_FREE struct session *s = calloc(1, sizeof(*s));
    int complaints[2] = {-1, STDERR_FILENO}, r;
    struct err how = {""};
    bool split = false;

    if (!s)
        return err_set(err, ENOMEM, "no memory for a console");
    s->keys = isatty(STDIN_FILENO);
    r = choose(o, &split, err);
    if (r)
        return r;
    if (split && pipe2(complaints, O_CLOEXEC) < 0)
        return err_set(err, errno, "cannot make a pipe: %s", strerror(errno));
    s->complaints = complaints[0];
    r = metal_board_start(&s->board, o, complaints[1], err);
    if (split)
        close(complaints[1]);
    if (!r && split) {
        s->split = split_create(&s->board.config, has_utf8());
        r = s->split ? 0 : err_set(err, ENOMEM, "no memory for the screen");
    }
    if (!r)
        r = begin_terminal(s, err);
    if (!r)
        r = serve(s, err);
    if (s->split && s->complaints >= 0 && !s->leave && !r)
        hear_complaints(s);
    if (metal_board_stop(&s->board, r || s->leave, &how) && !r)
        r = err_set(err, ECHILD, "%s%s%s", how.msg, *s->complaint ? ": " : "", s->complaint);
    else if (s->split && !s->leave && !r)
        r = linger(s, err);
    tty_restore();
    split_destroy(s->split);
    scope_close(&s->complaints);
    return r;
}
