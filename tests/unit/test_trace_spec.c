/* SPDX-License-Identifier: BSD-2-Clause */
/* What --trace takes and refuses. */
#include "vmm/trace_spec.h"

#include "tests/test.h"

static struct trace_spec spec;
static struct err err;

TEST(all_items)
{
    CHECK_EQ(trace_spec_parse(&spec, "insn,trap,hart=2,start=10,count=20,file=a,b", &err), 0);
    CHECK(spec.insn && spec.trap && spec.one_hart);
    CHECK_EQ(spec.hart, 2);
    CHECK_EQ(spec.start, 10);
    CHECK_EQ(spec.count, 20);
    CHECK_STR(spec.path, "a,b");
}

TEST(translations)
{
    CHECK_EQ(trace_spec_parse(&spec, "jit,file=x", &err), 0);
    CHECK(spec.jit && !spec.insn && !spec.trap);
    CHECK_STR(spec.path, "x");
}

TEST(defaults)
{
    CHECK_EQ(trace_spec_parse(&spec, "trap", &err), 0);
    CHECK(!spec.insn && spec.trap && !spec.one_hart);
    CHECK_EQ(spec.start, 0);
    CHECK_EQ(spec.count, UINT64_MAX);
    CHECK_STR(spec.path, "");
}

TEST(refused)
{
    static const char *const wrong[] = {"",
                                        "hart=1",
                                        "insn,",
                                        "insn,foo",
                                        "insn,hart=",
                                        "insn,hart=-1",
                                        "insn,hart",
                                        "insn,,",
                                        "insn,file=",
                                        "file=x",
                                        "insn,count",
                                        "insn,start=0x10",
                                        "Insn",
                                        "insn=on",
                                        "insn,hart=1a",
                                        ",insn",
                                        "insn,count=18446744073709551616"};

    for (u32 i = 0; i < ARRAY_SIZE(wrong); i++) {
        err.msg[0] = '\0';
        spec.hart = 77;
        if (!trace_spec_parse(&spec, wrong[i], &err))
            printf("# taken: '%s'\n", wrong[i]);
        CHECK(err.msg[0]);
        CHECK_EQ(spec.hart, 77);
    }
}

TEST(long_texts)
{
    char text[TRACE_PATH_MAX + 100];

    memset(text, 'x', sizeof(text) - 1);
    text[sizeof(text) - 1] = '\0';
    CHECK(trace_spec_parse(&spec, text, &err));
    memcpy(text, "insn,file=", 10);
    CHECK(trace_spec_parse(&spec, text, &err));
    text[10 + TRACE_PATH_MAX - 1] = '\0';
    CHECK_EQ(trace_spec_parse(&spec, text, &err), 0);
}

TEST_MAIN()
