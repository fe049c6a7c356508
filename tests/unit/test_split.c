/* SPDX-License-Identifier: BSD-2-Clause */
/* The split console: what guests write is shown, and nothing of it reaches the terminal as it is.
 */
#include "apps/cosm/demux.h"
#include "apps/cosm/split.h"

#include "tests/random.h"
#include "tests/test.h"

#define ROWS    20
#define COLUMNS 60

static struct metal_config config;

static void make_config(u32 partitions)
{
    static const char *const names[] = {"linux", "ticker", "worker"};

    memset(&config, 0, sizeof(config));
    config.partition_count = (u16)partitions;
    for (u32 i = 0; i < partitions; i++)
        snprintf(config.partition[i].name, METAL_NAME_MAX, "%s", names[i]);
}

/* A window of 4 rows and 20 columns after some text; the row's own text. */
static const char *shown(const char *text, u32 row)
{
    static char out[PANE_ROW_BYTES + 1];
    struct pane *pane = malloc(sizeof(*pane));

    pane_init(pane, 20);
    pane_resize(pane, 4, 20);
    pane_write(pane, (const u8 *)text, strlen(text));
    out[pane_row(pane, row, true, out)] = 0;
    free(pane);
    return out;
}

TEST(text_and_lines)
{
    CHECK_STR(shown("one\r\ntwo", 0), "one");
    CHECK_STR(shown("one\r\ntwo", 1), "two");
    CHECK_STR(shown("one\r\ntwo", 2), "");
    CHECK_STR(shown("1\n2\n3\n4\n5\n6", 0), "3");
    CHECK_STR(shown("1\n2\n3\n4\n5\n6", 3), "6");
    CHECK_STR(shown("a line of more than twenty characters", 1), "twenty characters");
    CHECK_STR(shown("\xc3\xa4\xe2\x94\x80\xd0\x96", 0), "\xc3\xa4\xe2\x94\x80\xd0\x96");
    /* Wide, combining, of the C1 controls, too long, a surrogate, cut. */
    CHECK_STR(shown("\xe4\xb8\xad\xcc\x81\xc2\x9b\xc0\xaf\xed\xa0\x80\xe2\x94!", 0), "??"
                                                                                     "???"
                                                                                     "?!");
}

TEST(control_characters)
{
    CHECK_STR(shown("wrong\rright", 0), "right");
    CHECK_STR(shown("10 %\r100 %", 0), "100 %");
    CHECK_STR(shown("ab\b\bcd", 0), "cd");
    CHECK_STR(shown("\b\b\bx", 0), "x");
    CHECK_STR(shown("a\tb", 0), "a       b");
    CHECK_STR(shown("a\a\001\016\177b", 0), "ab");
}

TEST(sequences_of_shells)
{
    CHECK_STR(shown("\033[31mred\033[0m", 0), "\033[0;31mred\033[0m");
    CHECK_STR(shown("\033[1;92mgood\033[m!", 0), "\033[0;1;32mgood\033[0m!");
    CHECK_STR(shown("\033[38;5;9mx", 0), "x");
    CHECK_STR(shown("prompt # abc\033[3D\033[J", 0), "prompt # ");
    CHECK_STR(shown("prompt # abc\033[2D\033[P", 0), "prompt # ac");
    CHECK_STR(shown("prompt # ac\033[D\033[@b", 0), "prompt # abc");
    CHECK_STR(shown("1\n2\n3\n4\n5\033[2;3Hx", 1), "3 x");
    CHECK_STR(shown("1\n2\n3\n4\033[H\033[2Jnew", 0), "new");
    CHECK_STR(shown("1\n2\n3\n4\033[H\033[2Jnew", 3), "");
    CHECK_STR(shown("\033[99999999999999;999H\033[999A\033[999999B\033[9999Cx", 3),
              "                   x");
}

TEST(other_sequences_are_dropped)
{
    CHECK_STR(shown("a\033]0;title\ab", 0), "ab");
    CHECK_STR(shown("a\033]52;c;aGVsbG8=\033\\b", 0), "ab");
    CHECK_STR(shown("a\033P+q544e\033\\b", 0), "ab");
    CHECK_STR(shown("a\033[?1049hb\033[?25l", 0), "ab");
    CHECK_STR(shown("a\033cb\033(0c\0337", 0), "abc");
    CHECK_STR(shown("a\033]never ended\nb", 1), "b");
    CHECK_STR(shown("a\033[12\033[1mb", 0), "a\033[0;1mb\033[0m");
}

/* Draws; checks that there is nothing but what split.c and pane.c write, with bounds. */
static void check_drawing(struct split *split, u32 rows, u32 columns, bool utf8)
{
    size_t len;
    const char *text = split_draw(split, &len), *end = text + len;
    u32 row = 0, column = 0;

    while (text < end) {
        u8 c = (u8)*text;
        u32 number[4] = {0}, n = 0;
        bool private;

        if (c != 0x1b) {
            CHECK(c >= 0x20 && c != 0x7f && (c < 0x80 || utf8));
            if (c >= 0x80) { /* none of the C1 controls */
                CHECK(c >= 0xc2 && text + 1 < end && (c > 0xc2 || (u8)text[1] >= 0xa0));
                text += c >= 0xe0;
                text++;
            }
            text++;
            column++;
            CHECK(column <= columns + 1);
            continue;
        }
        CHECK(text[1] == '[');
        private = text[2] == '?';
        for (text += private ? 3 : 2; (*text >= '0' && *text <= '9') || *text == ';'; text++) {
            if (*text == ';')
                CHECK(++n < 4);
            else
                number[n] = number[n] * 10 + (u32)(*text - '0');
        }
        if (private) {
            CHECK(number[0] == 25 && (*text == 'h' || *text == 'l'));
        } else if (*text == 'H') {
            CHECK(number[0] >= 1 && number[0] <= rows && number[1] >= 1 && number[1] <= columns);
            row = number[0];
            column = number[1];
        } else if (*text == 'J') {
            CHECK_EQ(number[0], 2);
        } else {
            CHECK(*text == 'm' || (*text == 'K' && column == 1 && row));
        }
        text++;
    }
}

/* Bytes as a hostile guest would choose them. */
static size_t rude(u64 *seed, u8 bytes[64])
{
    static const char *const words[] = {"\033[",       "\033]0;",
                                        "\033P",       "\033\\",
                                        "\a",          "\r",
                                        "\n",          "\b",
                                        "\033c",       "\033[2J",
                                        "\033[6n",     "\033[5i",
                                        "\033#8",      "\033[999;999H",
                                        "\033[?1000h", "\xc2\x9b",
                                        "\xc2\x9d",    "\xe2\x94",
                                        "[linux] ",    "[metal] ",
                                        "[worker]+",   "\033[38;2;1;2;3m"};
    size_t len = test_random(seed) % 33;

    if (test_random(seed) % 2) {
        const char *word = words[test_random(seed) % ARRAY_SIZE(words)];

        memcpy(bytes, word, strlen(word));
        return strlen(word);
    }
    for (size_t i = 0; i < len; i++)
        bytes[i] = (u8)test_random(seed);
    return len;
}

TEST(random_bytes_never_reach_the_terminal)
{
    u64 seed = 1;

    for (u32 round = 0; round < 300; round++) {
        bool utf8 = round & 1;
        u32 rows = 1 + test_random(&seed) % 40, columns = 1 + test_random(&seed) % 300;
        struct split *split;
        u8 bytes[64];
        char answer[32];

        make_config(1 + round % 3);
        split = split_create(&config, utf8);
        split_resize(split, rows, columns);
        for (u32 i = 0; i < 200; i++) {
            split_hear(split, bytes, rude(&seed, bytes));
            if (test_random(&seed) % 16 == 0)
                split_tell(split, bytes, rude(&seed, bytes));
            if (test_random(&seed) % 32 == 0)
                split_give_keyboard(split, test_random(&seed) % 4);
            if (test_random(&seed) % 32 == 0)
                split_help(split, test_random(&seed) % 2);
            CHECK(split_answer(split, answer, sizeof(answer)) < sizeof(answer));
            if (test_random(&seed) % 64 == 0) {
                rows = 1 + test_random(&seed) % 40;
                columns = 1 + test_random(&seed) % 300;
                split_resize(split, rows, columns);
            }
            if (test_random(&seed) % 4 == 0)
                check_drawing(split, rows, columns, utf8);
        }
        split_destroy(split);
    }
}

static bool drawn(struct split *split, const char *what)
{
    size_t len;
    const char *text = split_draw(split, &len);

    return memmem(text, len, what, strlen(what)) != NULL;
}

static void say(struct split *split, const char *text)
{
    split_hear(split, (const u8 *)text, strlen(text));
}

TEST(lines_go_to_their_panes)
{
    struct split *split;

    make_config(3);
    split = split_create(&config, false);
    split_resize(split, ROWS, COLUMNS);
    CHECK(drawn(split, " 0 linux - keyboard "));
    CHECK(!split_is_changed(split));
    say(split, "OpenSBI v1.1\r\n[metal] hello\r\n[ticker] 1 tick\r\n[worker] wor");
    say(split, "k\r\n[linux] log");
    say(split, "\r\n[ticker] 2 ticks\r\n[linux]+in: ");
    CHECK(split_is_changed(split));
    CHECK(drawn(split, "\033[0;7m[metal]\033[0m hello"));
    split_resize(split, ROWS, COLUMNS);
    CHECK(drawn(split, "login: "));
    split_resize(split, ROWS, COLUMNS);
    CHECK(drawn(split, "1 tick\033["));
    split_resize(split, ROWS, COLUMNS);
    CHECK(drawn(split, "work\033["));
    split_give_keyboard(split, 2);
    CHECK(drawn(split, " 2 worker - keyboard "));
    split_resize(split, 4, COLUMNS); /* too few rows for three */
    CHECK(drawn(split, "too few rows"));
    CHECK(!drawn(split, "login: "));
    split_destroy(split);
}

/* Only of the pane that has the keyboard: an answer is typed. */
TEST(the_cursor_is_told_to_whom_it_belongs)
{
    struct split *split;
    char answer[32];

    make_config(2);
    split = split_create(&config, false);
    split_resize(split, ROWS, COLUMNS);
    say(split, "[ticker] \033[6n\r\n");
    CHECK_EQ(split_answer(split, answer, sizeof(answer)), 0);
    say(split, "[linux] abc\033[6n");
    CHECK_EQ(split_answer(split, answer, sizeof(answer)), 6);
    CHECK_STR(answer, "\033[1;4R");
    CHECK_EQ(split_answer(split, answer, sizeof(answer)), 0);
    split_destroy(split);
}

/* Each pane has two rows, and what one can fill of the rest. */
TEST(rows_go_to_who_has_something_to_say)
{
    struct split *split;

    make_config(2);
    split = split_create(&config, false);
    split_resize(split, ROWS, COLUMNS);
    CHECK(drawn(split, "\033[17;1H\033[0;7m 1 ticker"));
    for (u32 i = 0; i < 30; i++)
        say(split, "[ticker] x\r\n");
    CHECK(drawn(split, "\033[4;1H\033[0;7m 1 ticker"));
    for (u32 i = 0; i < 30; i++)
        say(split, "[linux] x\r\n");
    CHECK(drawn(split, "\033[15;1H\033[0;7m 1 ticker"));
    split_destroy(split);
}

TEST_MAIN()
