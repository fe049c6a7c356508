/* SPDX-License-Identifier: BSD-2-Clause */
/* The console: partitions' bytes become labelled lines, keys go where they should. */
#include "metal/console.h"

#include "metal/hart.h"

#include "metal/paging.h"
#include "tests/metal/fake/fake.h"
#include "tests/random.h"
#include "tests/test.h"

#include <pthread.h>

#define UART    0x10000000
#define NOTHING 0xff /* in the data register: no byte of any text here */

/* An 8250 that is always ready, or never: a byte that was written is taken at the next access. */
static struct {
    bool busy;
    u8 reg[8];
    char out[1 << 17];
    size_t len;
    const char *keys;
    bool presented;
} uart;

volatile void *paging_io(u64 hpa)
{
    CHECK_EQ(hpa, UART);
    if (uart.keys) { /* reading: status first, then, if it said so, data */
        uart.reg[5] = 0x20 | (*uart.keys != 0);
        if (uart.presented)
            uart.reg[0] = (u8)*uart.keys++;
        uart.presented = !uart.presented && *uart.keys;
        return uart.reg;
    }
    uart.reg[5] = uart.busy ? 0 : 0x20;
    if (uart.reg[0] != NOTHING && uart.len < sizeof(uart.out) - 1)
        uart.out[uart.len++] = (char)uart.reg[0];
    uart.reg[0] = NOTHING;
    return uart.reg;
}

static bool pressed;
static u32 looks; /* until it is */

bool hart_is_pressed(void)
{
    if (looks && !--looks)
        pressed = true;
    return pressed;
}

static const char *output(void)
{
    (void)paging_io(UART);
    uart.out[uart.len] = 0;
    uart.len = 0;
    return uart.out;
}

static const char *keys_of(u32 partition)
{
    static char text[64];
    size_t n = console_read(&metal.partition[partition], (u8 *)text, sizeof(text) - 1);

    text[n] = 0;
    return text;
}

/* Whoever has it reads the order: all are asked. */
static void give_keyboard(u32 partition)
{
    const char order[] = {1, (char)('0' + partition), 0};

    uart.keys = order;
    uart.presented = false;
    for (u32 i = 0; i < 2 * 4; i++) /* one key at a time */
        (void)keys_of(i % 4);
    uart.keys = NULL;
    uart.reg[0] = NOTHING;
}

static void make(void)
{
    static const char *const names[] = {"one", "two", "three", "silent"};
    struct metal_config *config = fake_config();

    memset(config, 0, sizeof(*config));
    memset(&uart, 0, sizeof(uart));
    uart.reg[0] = NOTHING;
    config->board.uart_hpa = UART;
    config->partition_count = 4;
    for (u32 i = 0; i < 4; i++) {
        snprintf(config->partition[i].name, METAL_NAME_MAX, "%s", names[i]);
        metal.partition[i].config = &config->partition[i];
        metal.partition[i].index = i;
    }
    give_keyboard(3);
    for (u32 i = 0; i < 4; i++) /* what an earlier test left */
        console_write(&metal.partition[i], (const u8 *)"\n", 1);
    (void)output();
}

static void say(u32 partition, const char *text)
{
    console_write(&metal.partition[partition], (const u8 *)text, strlen(text));
}

TEST(lines_are_whole_and_labelled)
{
    make();
    say(0, "hel");
    say(1, "good ");
    CHECK_STR(output(), "");
    say(0, "lo\r\n");
    CHECK_STR(output(), "[one] hello\r\n");
    say(1, "morning\nnext");
    CHECK_STR(output(), "[two] good morning\r\n");
    say(2, "\n");
    CHECK_STR(output(), "[three] \r\n");
    say(1, "\n");
    CHECK_STR(output(), "[two] next\r\n");
}

TEST(the_hypervisors_log_can_be_read)
{
    char text[600];
    u32 at = 0, first;

    make();
    console_log(NULL, "first line");
    at = UINT32_MAX / 2; /* nothing was ever there */
    CHECK(console_log_read(&at, text, sizeof(text)) >= 11);
    at += (u32)console_log_read(&at, text, sizeof(text));
    CHECK_EQ(console_log_read(&at, text, sizeof(text)), 0);
    first = at;
    console_log(NULL, "second line");
    console_flush(); /* it was sent, and is still there */
    CHECK_EQ(console_log_read(&at, text, 7), 7);
    CHECK_EQ(at, first);
    CHECK(!memcmp(text, "second ", 7));
    at += 7;
    CHECK_EQ(console_log_read(&at, text, sizeof(text)), 5);
    CHECK(!memcmp(text, "line\n", 5));
    for (u32 i = 0; i < 100; i++) {
        console_log(NULL, "line %u of many", i);
        console_flush();
    }
    CHECK_EQ(console_log_read(&at, text, sizeof(text)), 512);
    CHECK(at - first > 512);
    CHECK(!memcmp(text + 512 - 16, "line 99 of many\n", 16));
    (void)output();
}

TEST(long_lines_are_broken)
{
    char text[301], want[400];

    make();
    memset(text, 'x', 300);
    text[300] = 0;
    say(0, text);
    say(0, "\n");
    snprintf(want, sizeof(want), "[one] %.120s\r\n[one]+%.120s\r\n[one]+%.60s\r\n", text, text,
             text);
    CHECK_STR(output(), want);
}

TEST(the_hypervisors_lines)
{
    struct log_limit limit = {0};
    u32 lines = 0;

    make();
    console_log(NULL, "%s is %u", "answer", 42);
    CHECK_STR(output(), "[metal] answer is 42\r\n");
    for (u32 i = 0; i < 1000; i++) {
        console_log(&limit, "again");
        lines += *output() != 0;
    }
    CHECK_EQ(lines, 8 + 6); /* then 16, 32 ... 512 */
}

/* In whatever pieces bytes come, each partition's bytes come out in order, in lines of its own. */
TEST(random_pieces)
{
    u64 seed = 1;
    char got[3][4096], want[3][4096];

    for (u32 round = 0; round < 50; round++) {
        u32 n[3] = {0}, m[3] = {0};
        make();
        for (u32 i = 0; i < 400; i++) {
            u32 p = test_random(&seed) % 3, len = test_random(&seed) % 8;
            while (len--) {
                char c = test_random(&seed) % 20 ? (char)('a' + test_random(&seed) % 26) : '\n';
                console_write(&metal.partition[p], (const u8 *)&c, 1);
                if (c != '\n')
                    want[p][n[p]++] = c;
            }
        }
        for (u32 p = 0; p < 3; p++)
            say(p, "\n");
        for (const char *line = output(); *line; line = strchr(line, '\n') + 1) {
            u32 p = line[1] == 'o' ? 0 : line[2] == 'w' ? 1 : 2;
            for (const char *at = strchr(line, ']') + 2; *at != '\r'; at++)
                got[p][m[p]++] = *at;
        }
        for (u32 p = 0; p < 3; p++)
            CHECK(n[p] == m[p] && !memcmp(got[p], want[p], n[p]));
    }
}

TEST(what_comes_between_cuts_a_line)
{
    make();
    give_keyboard(0);
    say(0, "pro");
    say(1, "morning\n");
    say(0, "mpt");
    CHECK_STR(output(), "[one] pro\r\n[two] morning\r\n[one]+mpt");
    say(0, "\nnext");
    CHECK_STR(output(), "\r\n[one] next");
    give_keyboard(1);
    (void)output();
    say(1, "typed");
    say(0, " line\n");
    say(0, "again\n");
    CHECK_STR(output(), "[two] typed\r\n[one]+ line\r\n[one] again\r\n");
    say(1, "\n");
    CHECK_STR(output(), "[two]+\r\n");
}

/* A partition that never reads loses no more than its keys. */
TEST(the_keyboard_leaves_a_partition_that_never_reads)
{
    char keys[] = "kkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkk\0011z";

    make();
    give_keyboard(0);
    uart.keys = keys;
    for (u32 i = 0; i < 42; i++)
        CHECK_STR(keys_of(1), "");
    CHECK_STR(keys_of(1), "z");
}

TEST(who_has_the_keyboard_is_shown_at_once)
{
    make();
    give_keyboard(0);
    uart.reg[0] = NOTHING;
    say(0, "name: ");
    CHECK_STR(output(), "[one] name: ");
    say(1, "by li");
    CHECK_STR(output(), "");
    say(1, "ne\n"); /* the begun line ends, and is taken up again */
    CHECK_STR(output(), "\r\n[two] by line\r\n");
    say(0, "x\n");
    CHECK_STR(output(), "[one]+x\r\n");
    console_log(NULL, "done");
    CHECK_STR(output(), "[metal] done\r\n");
}

TEST(what_would_delay_a_window_waits)
{
    u8 line[600];

    make();
    memset(line, '\n', sizeof(line));
    pressed = true;
    say(1, "one\n");
    CHECK_STR(output(), "");
    console_drain(&metal.partition[2]); /* another one's time */
    CHECK_STR(output(), "");
    pressed = false;
    console_drain(&metal.partition[2]);
    CHECK_STR(output(), "");
    console_drain(&metal.partition[1]);
    CHECK_STR(output(), "[two] one\r\n");
    pressed = true; /* the ring fills: bytes are taken as long as there is room */
    CHECK(console_has_room(&metal.partition[1]));
    CHECK(console_write(&metal.partition[1], line, sizeof(line)) < sizeof(line));
    CHECK(!console_has_room(&metal.partition[1]));
    CHECK_EQ(console_write(&metal.partition[1], line, 1), 0);
    console_flush();
    CHECK(console_has_room(&metal.partition[1]));
    pressed = false;
}

/* A line that is shown as it comes is cut only when nothing more of it comes. */
TEST(a_line_in_pieces_stays_whole)
{
    make();
    give_keyboard(0);
    fake_config()->board.timebase = 1000000;
    pressed = true;
    say(1, "other\n");
    pressed = false;
    fake_time_advance(1000000);
    say(0, "in ");
    looks = 100;
    console_drain(NULL);
    CHECK(pressed);
    pressed = false;
    fake_time_advance(19999);
    say(0, "pieces\n");
    console_drain(NULL);
    say(0, "prompt: ");
    CHECK_STR(output(), "[one] in pieces\r\n[two] other\r\n[one] prompt: ");
    fake_time_advance(20000);
    say(1, "another\n");
    CHECK_STR(output(), "\r\n[two] another\r\n");
}

/* What others have written is sent in turns with a partition's own, and no longer in its time. */
TEST(others_lines_wait_for_their_own_time)
{
    const char *got;

    make();
    pressed = true;
    for (u32 i = 0; i < 100; i++)
        say(1, "one\n");
    pressed = false;
    say(0, "mine\nand mine\n");
    got = output();
    CHECK(strstr(got, "[one] mine\r\n"));
    CHECK(strstr(got, "[one] and mine\r\n"));
    CHECK(strlen(got) < 100);
    console_drain(NULL);
    CHECK(strlen(output()) >= 97 * strlen("[two] one\r\n"));
}

/* Neither does a slow port keep a hart once it is pressed, wherever in a line that is. */
TEST(nobody_waits_for_the_port)
{
    const char *const want = "[one] some line\r\n";
    char got[64] = "";

    for (u32 sent = 0; sent < strlen(want); sent++) {
        make();
        uart.busy = sent == 0;
        looks = 1000;
        if (sent)
            looks = 2 + sent;
        say(0, "some line\n");
        CHECK(pressed);
        pressed = uart.busy = false;
        snprintf(got, sizeof(got), "%.30s", output());
        CHECK(strlen(got) <= sent);
        console_drain(NULL);
        snprintf(got + strlen(got), sizeof(got) - strlen(got), "%.30s", output());
        CHECK_STR(got, want);
    }
    looks = 0;
}

#define THREADS 3
#define LINES   2000

static void *writes_lines(void *arg)
{
    char line[32];
    u32 who = (u32)(uintptr_t)arg;

    for (u32 i = 0; i < LINES; i++) {
        size_t len = (size_t)snprintf(line, sizeof(line), "line %u\n", i), done = 0;
        while (done < len)
            done += console_write(&metal.partition[who], (const u8 *)line + done, len - done);
    }
    return NULL;
}

/* Harts write at once: each partition's lines come whole, in order, each once. */
TEST(several_harts_write)
{
    u32 next[THREADS] = {0};
    pthread_t thread[THREADS];

    make();
    for (uintptr_t i = 0; i < THREADS; i++)
        CHECK(!pthread_create(&thread[i], NULL, writes_lines, (void *)i));
    for (u32 i = 0; i < THREADS; i++)
        pthread_join(thread[i], NULL);
    console_drain(NULL);
    for (const char *line = output(); *line; line = strchr(line, '\n') + 1) {
        u32 who = line[1] == 'o' ? 0 : line[2] == 'w' ? 1 : 2;
        char want[32];
        snprintf(want, sizeof(want), "%s] line %u\r\n",
                 who == 0   ? "[one"
                 : who == 1 ? "[two"
                            : "[three",
                 next[who]++);
        CHECK(!strncmp(line, want, strlen(want)));
    }
    for (u32 i = 0; i < THREADS; i++)
        CHECK_EQ(next[i], LINES);
}

/* Lines without an end, too, of all who have begun one. */
TEST(at_the_end_all_is_sent)
{
    make();
    pressed = true;
    say(0, "half a");
    say(1, "whole\nhalf");
    say(3, "with the keyboard");
    CHECK_STR(output(), "");
    console_flush();
    CHECK_STR(output(),
              "[one] half a\r\n[two] whole\r\n[silent] with the keyboard\r\n[two] half\r\n");
    pressed = false;
    say(0, " line\n");
    CHECK_STR(output(), "[one]+ line\r\n");
}

/* A read ends at Ctrl-A: what follows may be for somebody else. */
TEST(keys_go_to_the_partition_that_has_the_keyboard)
{
    make();
    give_keyboard(0);
    uart.keys = "ab";
    CHECK_STR(keys_of(1), "");
    CHECK_STR(keys_of(0), "ab");
    uart.keys = "c\001"
                "1";
    CHECK_STR(keys_of(0), "c");
    CHECK_STR(keys_of(0), "");
    uart.keys = "de";
    CHECK_STR(keys_of(0), "");
    CHECK_STR(keys_of(1), "de");
    uart.keys = "\001\001f";
    CHECK_STR(keys_of(1), "");
    CHECK_STR(keys_of(1), "\001f"); /* twice: itself */
    uart.keys = "\001"
                "9"; /* no partition: a key as any other */
    CHECK_STR(keys_of(1), "");
    CHECK_STR(keys_of(1), "9");
    uart.keys = "\001"
                "0";
    CHECK_STR(keys_of(1), "");
    CHECK_STR(keys_of(1), "");
    uart.keys = "g";
    CHECK_STR(keys_of(1), "");
    CHECK_STR(keys_of(0), "g");
}

TEST_MAIN()
