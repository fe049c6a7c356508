/* SPDX-License-Identifier: BSD-2-Clause */
/* The console and the raw terminal, on pseudo terminals, pipes and files. */
#include "host/console.h"
#include "host/signals.h"
#include "host/thread.h"
#include "host/tty.h"
#include "tests/test.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

#define MS UINT64_C(1000000)

struct rig {
    struct host_clock clock;
    struct loop *loop;
    struct console *console;
    struct err err;
    struct timer_port limit;
    int master, slave; /* the terminal: the user's side and the console's */
    u8 got[1 << 17];   /* what the device received */
    size_t got_len, room, want;
    u32 quits, breaks;
    bool timed_out;
};

static struct rig r;

static size_t receive(void *ctx, const u8 *bytes, size_t len)
{
    (void)ctx;
    if (len > r.room)
        len = r.room;
    if (len > sizeof(r.got) - r.got_len)
        len = sizeof(r.got) - r.got_len;
    memcpy(r.got + r.got_len, bytes, len);
    r.got_len += len;
    r.room -= len;
    if (r.want && r.got_len >= r.want)
        loop_stop(r.loop);
    return len;
}

static void on_event(void *ctx, enum console_event event)
{
    (void)ctx;
    r.quits += event == CONSOLE_QUIT;
    r.breaks += event == CONSOLE_BREAK;
    loop_stop(r.loop);
}

static void on_limit(void *ctx, u32 arg)
{
    (void)ctx;
    (void)arg;
    r.timed_out = true;
    loop_stop(r.loop);
}

/* Runs the loop until something stops it, at most ms. False: nothing did. */
static bool run(u64 ms)
{
    r.timed_out = false;
    timer_arm(&r.limit, host_clock_now(&r.clock) + ms * MS);
    loop_run(r.loop);
    timer_arm(&r.limit, CLOCK_NEVER);
    return !r.timed_out;
}

static void rig_open(int in, int out)
{
    struct console_config config = {.in = in, .out = out, .event = on_event};

    host_clock_init(&r.clock);
    CHECK_EQ(loop_create(&r.loop, &r.clock, &r.err), 0);
    r.limit = loop_timer(r.loop, on_limit, NULL, 0);
    r.room = sizeof(r.got);
    CHECK_EQ(console_create(&r.console, r.loop, &config, &r.err), 0);
    CHECK_EQ(console_begin(r.console, NULL, &r.err), 0);
    console_attach(r.console, receive, NULL);
}

static void rig_close(void)
{
    console_destroy(r.console);
    loop_destroy(r.loop);
    memset(&r, 0, sizeof(r));
}

static void terminal_open(int *master, int *slave)
{
    *master = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC);
    CHECK(*master >= 0 && grantpt(*master) == 0 && unlockpt(*master) == 0);
    *slave = open(ptsname(*master), O_RDWR | O_NOCTTY | O_CLOEXEC);
    CHECK(*slave >= 0);
}

static bool terminal_is_raw(int slave)
{
    struct termios t;

    return tcgetattr(slave, &t) == 0 && !(t.c_lflag & (ICANON | ECHO | ISIG));
}

/* Reads what comes within a second until it ends in text. */
static bool reads(int fd, const char *text)
{
    struct pollfd p = {.fd = fd, .events = POLLIN};
    char buf[8192];
    size_t len = 0, want = strlen(text);

    while (len < sizeof(buf) && poll(&p, 1, 1000) > 0) {
        ssize_t n = read(fd, buf + len, sizeof(buf) - len);
        if (n <= 0)
            break;
        len += (size_t)n;
        if (len >= want && !memcmp(buf + len - want, text, want))
            return true;
    }
    printf("# got \"%.*s\"\n", (int)len, buf);
    return false;
}

TEST(keys_reach_the_guest_as_typed)
{
    int master, slave;

    terminal_open(&master, &slave);
    rig_open(slave, slave);
    CHECK(terminal_is_raw(slave));
    CHECK(tty_is_raw());
    r.want = 5;
    CHECK_EQ(write(master, "a\x03\r\x1a\x11", 5), 5);
    CHECK(run(2000));
    CHECK(!memcmp(r.got, "a\x03\r\x1a\x11", 5));
    console_chardev(r.console).write(r.console, (const u8 *)"x\ny", 3);
    CHECK(reads(master, "x\ny"));
    rig_close();
    CHECK(reads(master, "\r\n")); /* the guest's line was not at its end */
    CHECK(!terminal_is_raw(slave));
    CHECK(!tty_is_raw());
    close(master);
    close(slave);
}

TEST(escape_key)
{
    int master, slave;

    terminal_open(&master, &slave);
    rig_open(slave, slave);
    r.room = 0; /* a guest that takes nothing */
    for (int i = 0; i < 3; i++)
        CHECK_EQ(write(master, "0123456789abcdef", 16), 16);
    CHECK_EQ(write(master,
                   "\x01"
                   "b",
                   2),
             2);
    CHECK(run(2000));
    CHECK_EQ(r.breaks, 1);
    CHECK_EQ(write(master, "\x01h", 2), 2);
    CHECK_EQ(write(master, "\x01x", 2), 2);
    CHECK(run(2000));
    CHECK_EQ(r.quits, 1);
    CHECK(reads(master, "this help\r\n"));
    r.room = sizeof(r.got);
    r.want = 50;
    CHECK_EQ(write(master,
                   "\x01"
                   "c\x01\x01",
                   4),
             4);
    CHECK(run(2000));
    CHECK(!memcmp(r.got + 48, "\x01\x01", 2));
    rig_close();
    close(master);
    close(slave);
}

TEST(end_of_a_pipe_is_silent)
{
    int fd[2], out = open("/dev/null", O_WRONLY | O_CLOEXEC);
    struct timespec before, after;

    CHECK_EQ(pipe2(fd, O_CLOEXEC), 0);
    rig_open(fd[0], out);
    CHECK_EQ(write(fd[1], "\x01x1", 3), 3); /* no escape key in a pipe */
    close(fd[1]);
    r.want = 3;
    CHECK(run(2000));
    CHECK_EQ(r.quits, 0);
    CHECK(!memcmp(r.got, "\x01x1", 3));
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &before);
    CHECK(!run(100)); /* nothing ends it */
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &after);
    CHECK((after.tv_sec - before.tv_sec) * 1000 + (after.tv_nsec - before.tv_nsec) / 1000000 < 30);
    rig_close();
    close(fd[0]);
    close(out);
}

static void writer_main(void *ctx)
{
    static u8 bytes[100000];

    for (size_t i = 0; i < sizeof(bytes); i++)
        bytes[i] = (u8)(i * 31 >> 3);
    CHECK_EQ(write(*(int *)ctx, bytes, sizeof(bytes)), sizeof(bytes));
    close(*(int *)ctx);
}

/* A device that takes 100 bytes at a time and then says room: nothing lost, all in order. */
TEST(slow_device_gets_all_of_a_pipe)
{
    struct chardev port;
    struct thread writer;
    bool same = true;
    int fd[2];

    CHECK_EQ(pipe2(fd, O_CLOEXEC), 0);
    rig_open(fd[0], -1);
    port = console_chardev(r.console);
    CHECK_EQ(thread_start(&writer, "writer", writer_main, &fd[1], &r.err), 0);
    for (int i = 0; i < 1000 && same; i++) {
        r.room = 100;
        r.want = r.got_len + 100;
        chardev_room(&port);
        same = run(2000);
    }
    CHECK(same);
    thread_join(&writer);
    CHECK_EQ(r.got_len, 100000);
    for (size_t i = 0; i < r.got_len; i++)
        same = same && r.got[i] == (u8)(i * 31 >> 3);
    CHECK(same);
    rig_close();
    close(fd[0]);
}

TEST(regular_file_is_input_too)
{
    char name[] = "/tmp/test-console-XXXXXX";
    static u8 bytes[20000];
    int fd = mkostemp(name, O_CLOEXEC);

    memset(bytes, 'f', sizeof(bytes));
    CHECK_EQ(write(fd, bytes, sizeof(bytes)), sizeof(bytes));
    CHECK_EQ(lseek(fd, 0, SEEK_SET), 0);
    rig_open(fd, -1);
    r.want = sizeof(bytes);
    CHECK(run(2000));
    CHECK_EQ(r.got_len, sizeof(bytes));
    CHECK(!run(50));
    rig_close();
    close(fd);
    unlink(name);
}

TEST(null_and_closed_descriptors)
{
    int null = open("/dev/null", O_RDWR | O_CLOEXEC);

    rig_open(null, null);
    console_chardev(r.console).write(r.console, (const u8 *)"x", 1);
    CHECK(!run(20));
    rig_close();
    rig_open(-1, -1);
    console_chardev(r.console).write(r.console, (const u8 *)"x", 1);
    CHECK(!run(20));
    rig_close();
    close(null);
}

TEST(take_reads_what_nobody_received)
{
    int fd[2];
    u8 byte;

    CHECK_EQ(pipe2(fd, O_CLOEXEC), 0);
    rig_open(fd[0], -1);
    console_attach(r.console, NULL, NULL);
    CHECK_EQ(console_take(r.console, &byte, 1), 0);
    CHECK_EQ(write(fd[1], "hi", 2), 2);
    CHECK(!run(20));
    CHECK_EQ(console_take(r.console, &byte, 1), 1);
    CHECK_EQ(byte, 'h');
    CHECK_EQ(console_take(r.console, &byte, 1), 1);
    CHECK_EQ(console_take(r.console, &byte, 1), 0);
    rig_close();
    close(fd[0]);
    close(fd[1]);
}

/* Nobody reads: a hart waits once, then bytes drop; who reads again gets the newest ones. */
TEST(stuck_reader_holds_nobody)
{
    static u8 block[4096];
    struct chardev port;
    int fd[2], saved = dup(2), quiet = open("/dev/null", O_WRONLY | O_CLOEXEC);
    u64 start;
    int flags;

    dup2(quiet, 2); /* the word about lost bytes is expected */
    CHECK_EQ(pipe2(fd, O_CLOEXEC), 0);
    flags = fcntl(fd[1], F_GETFL);
    rig_open(-1, fd[1]);
    port = console_chardev(r.console);
    start = host_monotonic_ns();
    for (int i = 0; i < 500; i++)
        chardev_write(&port, block, sizeof(block));
    CHECK(host_monotonic_ns() - start < 1500 * MS);
    CHECK_EQ(fcntl(fd[1], F_GETFL), flags); /* the shared description was left alone */
    close(fd[0]);                           /* and then the reader goes away: no SIGPIPE */
    chardev_write(&port, block, sizeof(block));
    start = host_monotonic_ns();
    rig_close();
    CHECK(host_monotonic_ns() - start < 3000 * MS);
    close(fd[1]);
    dup2(saved, 2);
    close(saved);
    close(quiet);
}

TEST(all_output_is_written_at_the_end)
{
    static u8 block[60000], back[70000];
    size_t len = 0;
    ssize_t n;
    int fd[2];

    for (size_t i = 0; i < sizeof(block); i++)
        block[i] = (u8)(i % 251);
    CHECK_EQ(pipe2(fd, O_CLOEXEC), 0);
    rig_open(-1, fd[1]);
    console_chardev(r.console).write(r.console, block, sizeof(block));
    rig_close();
    close(fd[1]);
    while ((n = read(fd[0], back + len, sizeof(back) - len)) > 0)
        len += (size_t)n;
    CHECK_EQ(len, sizeof(block));
    CHECK(!memcmp(block, back, sizeof(block)));
    close(fd[0]);
}

/* A child makes the terminal raw and ends by a signal (or exit, 0): the terminal must be as before.
 */
static void check_restored(int master, int slave, int signal_number)
{
    int status;
    pid_t child = fork();

    if (child == 0) {
        struct err err;

        setsid();
        setrlimit(RLIMIT_CORE, &(struct rlimit){0, 0});
        if (tty_make_raw(slave, &err) < 0 || !terminal_is_raw(slave))
            _exit(99);
        if (signal_number == 0)
            exit(0);
        raise(signal_number);
        _exit(98);
    }
    CHECK_EQ(waitpid(child, &status, 0), child);
    if (signal_number) /* 1: a sanitizer's handler came first and tells its own story */
        CHECK(WIFSIGNALED(status) ? WTERMSIG(status) == signal_number : WEXITSTATUS(status) == 1);
    else
        CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    CHECK(!terminal_is_raw(slave));
    (void)master;
}

TEST(terminal_is_restored_on_every_way_out)
{
    static const int signals[] = {0, SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGABRT, SIGSEGV, SIGBUS};
    int master, slave;

    terminal_open(&master, &slave);
    for (size_t i = 0; i < ARRAY_SIZE(signals); i++)
        check_restored(master, slave, signals[i]);
    close(master);
    close(slave);
}

/* Waits up to two seconds for the terminal to be (or no longer be) raw. */
static bool becomes_raw(int slave, bool raw)
{
    for (int i = 0; i < 200 && terminal_is_raw(slave) != raw; i++)
        usleep(10000);
    return terminal_is_raw(slave) == raw;
}

TEST(stopped_process_gives_the_terminal_back)
{
    int master, slave, status;
    pid_t child;

    terminal_open(&master, &slave);
    child = fork();
    if (child == 0) {
        struct err err;

        setpgid(0, 0); /* not orphaned, so that SIGTSTP stops it */
        if (tty_make_raw(slave, &err) < 0)
            _exit(99);
        for (;;)
            pause();
    }
    CHECK(becomes_raw(slave, true));
    kill(child, SIGTSTP);
    CHECK_EQ(waitpid(child, &status, WUNTRACED), child);
    CHECK(WIFSTOPPED(status));
    CHECK(!terminal_is_raw(slave));
    kill(child, SIGCONT);
    CHECK(becomes_raw(slave, true));
    kill(child, SIGTERM);
    CHECK_EQ(waitpid(child, &status, 0), child);
    CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGTERM);
    CHECK(!terminal_is_raw(slave));
    close(master);
    close(slave);
}

static void on_signal(void *ctx, int number)
{
    *(int *)ctx = number;
    loop_stop(r.loop);
}

TEST(first_signal_is_an_event_second_one_ends)
{
    struct signals *signals;
    int number = 0, status;
    pid_t child;

    rig_open(-1, -1);
    CHECK_EQ(signals_create(&signals, r.loop, on_signal, &number, &r.err), 0);
    kill(getpid(), SIGTERM);
    CHECK(run(2000));
    CHECK_EQ(number, SIGTERM);
    fflush(stdout);
    child = fork();
    if (child == 0) {
        kill(getpid(), SIGINT);
        run(2000);
        _exit(99);
    }
    CHECK_EQ(waitpid(child, &status, 0), child);
    CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGINT);
    signals_destroy(signals);
    rig_close();
}

TEST_MAIN()
