/* SPDX-License-Identifier: BSD-2-Clause */
/* The reader and writer of JSON: what RFC 8259 allows, refuses, and our bounds. */
#include "api/json.h"
#include "tests/test.h"

enum { NODES = 32 };

static struct json_node node[NODES];
static struct json json;
static struct err err;
static char text[4096];

static int parse_bytes(const char *bytes, size_t len)
{
    json = (struct json){.node = node, .node_max = NODES};
    memcpy(text, bytes, len);
    err.msg[0] = '\0';
    return json_parse(&json, text, len, &err);
}

static int parse(const char *s)
{
    return parse_bytes(s, strlen(s));
}

/* What is read is written again as this. */
static bool becomes(const char *from, const char *to)
{
    char room[4096];
    struct json_out out;

    if (parse(from)) {
        printf("# %s: %s\n", from, err.msg);
        return false;
    }
    json_out_init(&out, room, sizeof(room));
    json_put_node(&out, &json, &node[0]);
    if (!out.cut && !strcmp(room, to))
        return true;
    printf("# %s becomes %s\n", from, room);
    return false;
}

TEST(values)
{
    CHECK(becomes(" null ", "null"));
    CHECK(becomes("[true,false , null]", "[true, false, null]"));
    CHECK(becomes("{\"a\":{\"b\":[]},\"c\":{}}", "{\"a\": {\"b\": []}, \"c\": {}}"));
    CHECK(becomes("[0,-0,12,-1.5e+3,1E9,0.25]", "[0, -0, 12, -1.5e+3, 1E9, 0.25]"));
    CHECK(becomes("\"a\\\"\\\\\\/\\b\\f\\n\\r\\tz\"",
                  "\"a\\\"\\\\/\\u0008\\u000c\\u000a\\u000d\\u0009z\""));
    CHECK(becomes("\"\\u00e9\\u20AC\\ud83d\\ude00\"", "\"\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80\""));
}

TEST(refusals)
{
    static const char *const wrong[] = {
        "",
        " ",
        "nul",
        "nulll",
        "tru",
        "+1",
        "01",
        "1.",
        ".5",
        "1e",
        "-",
        "NaN",
        "[1,]",
        "[,1]",
        "[1 2]",
        "[1",
        "]",
        "{\"a\"}",
        "{\"a\":}",
        "{a:1}",
        "{\"a\":1,}",
        "{\"a\" 1}",
        "{1:2}",
        "'a'",
        "\"",
        "\"\\x\"",
        "\"\\u12\"",
        "\"\\ud800\"",
        "\"\\udc00\"",
        "\"\\ud800\\u0041\"",
        "\"\\u0000\"",
        "\"\n\"",
        "\"\xff\"",
        "\"\xc0\x80\"",
        "\"\xed\xa0\x80\"",
        "\"\xf4\x90\x80\x80\"",
        "\"\xe2\x82\"",
        "1 2",
        "{} x",
        "\"a\" \"b\"",
        "[1]]",
        "// a\n1",
    };

    for (size_t i = 0; i < ARRAY_SIZE(wrong); i++) {
        if (parse(wrong[i]) != 0)
            continue;
        printf("# taken: %s\n", wrong[i]);
        CHECK(false);
    }
    CHECK(parse_bytes("1\0", 2) < 0);
    CHECK(parse_bytes("\"a\0b\"", 5) < 0);
}

TEST(bounds)
{
    char deep[64];

    for (u32 depth = 1; depth < 30; depth++) {
        memset(deep, '[', depth);
        memset(deep + depth, ']', depth);
        CHECK_EQ(parse_bytes(deep, (size_t)depth * 2) == 0, depth <= JSON_DEPTH_MAX);
    }
    for (u32 n = 1; n < 31; n++) { /* the array is a value, too */
        memset(text, 0, sizeof(text));
        deep[0] = '[';
        for (u32 i = 0; i < n; i++) {
            deep[1 + 2 * i] = '1';
            deep[2 + 2 * i] = i + 1 < n ? ',' : ']';
        }
        CHECK_EQ(parse_bytes(deep, 1 + (size_t)n * 2), 0);
    }
    CHECK(parse("[1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1]") < 0);
    CHECK(strstr(err.msg, "too many"));
}

TEST(integers)
{
    static const struct {
        const char *text;
        bool is;
        s64 value;
    } cases[] = {
        {"0", true, 0},
        {"-7", true, -7},
        {"9223372036854775807", true, INT64_MAX},
        {"-9223372036854775808", true, INT64_MIN},
        {"9223372036854775808", false, 0},
        {"1.0", false, 0},
        {"1e3", false, 0},
        {"\"1\"", false, 0},
    };

    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        s64 value = 0;

        CHECK_EQ(parse(cases[i].text), 0);
        CHECK_EQ(json_integer(&node[0], &value), cases[i].is);
        CHECK_EQ(value, cases[i].value);
    }
    CHECK(!json_integer(NULL, NULL));
}

TEST(members)
{
    const struct json_node *list;

    CHECK_EQ(parse("{\"a\": \"x\", \"l\": [1, \"y\"], \"a\": 2}"), 0);
    CHECK_STR(json_string(json_get(&json, &node[0], "a")), "x");
    CHECK(!json_get(&json, &node[0], "b"));
    CHECK(!json_string(json_get(&json, &node[0], "l")));
    list = json_get(&json, &node[0], "l");
    CHECK_STR(json_string(json_next(&json, json_first(&json, list))), "y");
    CHECK(!json_get(&json, list, "a"));
    CHECK(!json_get(&json, NULL, "a"));
}

TEST(writing)
{
    char room[64];
    struct json_out out;

    json_out_init(&out, room, sizeof(room));
    json_open(&out, '{');
    json_key(&out, "k");
    json_open(&out, '[');
    json_put_integer(&out, INT64_MIN);
    json_put_bool(&out, true);
    json_put_bytes(&out, "\xff\x1b\xc3", 3);
    json_close(&out, ']');
    json_close(&out, '}');
    CHECK_STR(room, "{\"k\": [-9223372036854775808, true, \"\\ufffd\\u001b\\ufffd\"]}");
    CHECK(!out.cut);
    json_out_init(&out, room, 8);
    json_put_string(&out, "much too long");
    CHECK(out.cut);
    CHECK(strlen(room) < 8);
}

TEST_MAIN()
