/* SPDX-License-Identifier: BSD-2-Clause */
/* The compiler of configurations: its reader of TOML, its digests, what it places, by many seeds.
 */
#include "base/fmt.h"
#include "metal/sha256.h"
#include "plan/guest_dtb.h"
#include "plan/manifest.h"
#include "tests/plan_world.h"
#include "tests/random.h"
#include "tests/test.h"

static struct err err;

/* A tree as one line, tables in { }, arrays in [ ], each value with its line behind '@'. */
static size_t dump(const struct toml_node *n, char *out, size_t room)
{
    size_t len = n->key ? fmt_print(out, room, "%s=", n->key) : 0;

    if (n->kind == TOML_STRING)
        len += fmt_print(out + len, room - len, "'%s'@%u ", n->text, n->line);
    else if (n->kind == TOML_INTEGER || n->kind == TOML_BOOLEAN)
        len += fmt_print(out + len, room - len, "%lld@%u ", (long long)n->integer, n->line);
    else {
        len += fmt_print(out + len, room - len, n->kind == TOML_ARRAY ? "[" : "{");
        for (const struct toml_node *c = n->first; c; c = c->next)
            len += dump(c, out + len, room - len);
        len += fmt_print(out + len, room - len, n->kind == TOML_ARRAY ? "]" : "}");
    }
    return len;
}

static void reads(const char *text, const char *want)
{
    struct toml toml;
    char out[1024];

    if (toml_parse(&toml, "t", text, strlen(text), &err)) {
        printf("# %s\n", err.msg);
        CHECK(false);
        return;
    }
    dump(toml.root, out, sizeof(out));
    CHECK_STR(out, want);
    toml_free(&toml);
}

TEST(toml_values)
{
    reads("", "{}");
    reads("# nothing\n\r\n  \t# more", "{}");
    reads("a = 1\nb=\"x\" # c\n'q r' = true", "{a=1@1 b='x'@2 q r=1@3 }");
    reads("a = 0x1_F\nb = 0o17\nc = 0b101\nd = -5\ne = +1_000",
          "{a=31@1 b=15@2 c=5@3 d=-5@4 e=1000@5 }");
    reads("a = \"t\\tq\\\"\\\\ \\u00e9\\U0001F600\"", "{a='t\tq\"\\ \xc3\xa9\xf0\x9f\x98\x80'@1 }");
    reads("a = 'C:\\x'\nb = \"\"", "{a='C:\\x'@1 b=''@2 }");
    reads("a = 9223372036854775807", "{a=9223372036854775807@1 }");
}

TEST(toml_tables)
{
    reads("a = [\n 1, # one\n 2,\n]\nb = [[], [3]]", "{a=[1@2 2@3 ]b=[[][3@5 ]]}");
    reads("a = { b = 1, c.d = 'x' }\n", "{a={b=1@1 c={d='x'@1 }}}");
    reads("x.y = 1\nx.z = 2", "{x={y=1@1 z=2@2 }}");
    reads("[a]\nb = 1\n[a.c]\nd = 2\n[e]", "{a={b=1@2 c={d=2@4 }}e={}}");
    reads("[[p]]\nn = 1\n[p.h]\nm = 2\n[[p]]\nn = 3\n[p.h]\nm = 4",
          "{p=[{n=1@2 h={m=2@4 }}{n=3@6 h={m=4@8 }}]}");
}

static void refuses(const char *text, size_t size, const char *words)
{
    struct toml toml;

    err.msg[0] = '\0';
    CHECK_EQ(toml_parse(&toml, "t", text, size, &err), -22);
    if (!strstr(err.msg, words)) {
        printf("# '%s' says: %s\n", text, err.msg);
        CHECK(false);
    }
}

TEST(toml_refusals)
{
    static const char *const wrong[][2] = {
        {"a = 1\n[a]", "t:2: 'a' is given twice, first in line 1"},
        {"[a]\n[a]", "t:2: 'a' is given twice"},
        {"a = {b = 1}\n[a.c]", "t:2: this has its value already"},
        {"a = [1]\n[[a]]", "t:2: 'a' is given twice"},
        {"[[a]]\n[a]", "t:2: 'a' is given twice"},
        {"a.b = 1\n[a]", "t:2: 'a' is given twice"},
        {"a = {b = 1,\n c = 2}", "t:1: a key is expected"},
        {"a = 1 b = 2", "t:1: the line goes on"},
        {"a = 01", "no whole number"},
        {"a = 1__0", "no whole number"},
        {"a = 1_", "no whole number"},
        {"a = 0b2", "no whole number"},
        {"a = 1979-05-27", "no whole number"},
        {"a = 9223372036854775808", "too large"},
        {"a = \"\\u0000\"", "no character"},
        {"a = \"\\ud800\"", "no character"},
        {"a = \"x\ny\"", "does not end"},
        {"= 1", "a key is expected"},
        {"a", "'=' is missing"},
        {"[a", "']' is missing"},
        {"[[a]", "']]' is missing"},
        {"a = tru", "a value is expected"},
    };

    for (u32 i = 0; i < ARRAY_SIZE(wrong); i++)
        refuses(wrong[i][0], strlen(wrong[i][0]), wrong[i][1]);
    refuses("a = \"\0\"", 7, "control character");
}

TEST(sha256_vectors)
{
    /* FIPS 180-2, appendix B. */
    static const struct {
        const char *text, *digest;
    } vectors[] = {
        {"abc", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"},
        {"abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq",
         "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1"},
        {"", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"},
    };
    struct sha256 s;
    char text[65];
    u8 digest[SHA256_SIZE];

    for (u32 i = 0; i < ARRAY_SIZE(vectors); i++) {
        sha256_init(&s);
        sha256_update(&s, vectors[i].text, strlen(vectors[i].text));
        sha256_final(&s, digest);
        plan_hex(digest, sizeof(digest), text);
        CHECK_STR(text, vectors[i].digest);
    }
    sha256_init(&s);
    for (u32 i = 0; i < 1000000; i++)
        sha256_update(&s, "a", 1);
    sha256_final(&s, digest);
    plan_hex(digest, sizeof(digest), text);
    CHECK_STR(text, "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
}

TEST(guests_instruction_set)
{
    char isa[128];

    guest_isa("rv64imafdch_zicsr_zba_smaia_ssaia_sstc", false, false, isa, sizeof(isa));
    CHECK_STR(isa, "rv64imafdc_zicsr_zba_sstc");
    guest_isa("rv64imafdch_zicsr_zba_smaia_ssaia_sstc", true, false, isa, sizeof(isa));
    CHECK_STR(isa, "rv64imafdc_zicsr_zba_ssaia_sstc");
    guest_isa("rv64imafdcvh_zve64d_zvl128b_zicbom_svpbmt_shvstvala", true, false, isa, sizeof(isa));
    CHECK_STR(isa, "rv64imafdc_zicbom_svpbmt");
    guest_isa("rv64imafdcvh_zve64d_zvl128b_zicbom_svpbmt_shvstvala", true, true, isa, sizeof(isa));
    CHECK_STR(isa, "rv64imafdcv_zve64d_zvl128b_zicbom_svpbmt");
    guest_isa("rv64ih", true, false, isa, 6);
    CHECK_STR(isa, "rv64i");
}

/* --- Random configurations --- */

static struct plan plan;

static u64 random_below(u64 *seed, u64 below)
{
    return test_random(seed) % below;
}

struct text {
    char bytes[16384];
    size_t len;
};

__attribute__((format(printf, 2, 3))) static void add(struct text *t, const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    t->len += fmt_vprint(t->bytes + t->len, sizeof(t->bytes) - t->len, fmt, ap);
    va_end(ap);
    ASSERT(t->len < sizeof(t->bytes));
}

/* Pages of addresses that are near to each other, at the beginnings and ends of large pages. */
static u64 some_address(u64 *seed)
{
    static const u64 bases[] = {0x80000000, 0x80200000, 0x90000000,
                                0xbfe00000, 0xc0000000, 0x100000000};

    return bases[random_below(seed, ARRAY_SIZE(bases))] +
           (random_below(seed, 4) ? 0 : 4096 * random_below(seed, 600));
}

static u64 some_size(u64 *seed)
{
    static const u64 sizes[] = {64 * KIB, 2 * MIB, 4 * MIB, 6 * MIB, 64 * MIB, GIB};

    return sizes[random_below(seed, ARRAY_SIZE(sizes))] +
           (random_below(seed, 4) ? 0 : 4096 * random_below(seed, 100));
}

static void add_partition(struct text *t, u64 *seed, u32 number, u32 harts)
{
    u32 vcpus = 1 + (u32)random_below(seed, 2), memories = 1 + (u32)random_below(seed, 2);

    add(t, "[[partition]]\nname = \"p%u\"\nimage = \"i%u\"\nharts = [", number,
        (u32)random_below(seed, 40000));
    for (u32 i = 0; i < vcpus; i++)
        add(t, "%s%u", i ? ", " : "",
            random_below(seed, 8) ? number % harts : (u32)random_below(seed, harts));
    add(t, "]\nmemory = [");
    for (u32 i = 0; i < memories; i++) {
        add(t, "{ at = 0x%llx, size = %llu", (unsigned long long)some_address(seed),
            (unsigned long long)some_size(seed));
        if (!random_below(seed, 6))
            add(t, ", from = 0x%llx", (unsigned long long)some_address(seed));
        add(t, " }, ");
    }
    add(t, "]\n");
    if (!random_below(seed, 8))
        add(t, "devices = [\"pci@30000000\"]\n");
    else if (!random_below(seed, 3))
        add(t, "dma = \"trusted\"\ndevices = [\"virtio_mmio@1000%llu000\"]\n",
            (unsigned long long)(1 + random_below(seed, 8)));
}

static void add_plan(struct text *t, u64 *seed, u32 partitions, u32 harts)
{
    for (u32 h = 0; h < harts; h++)
        add(t, "[[hart]]\nnumber = %u\nmode = \"cyclic\"\n", h);
    add(t, "[[plan]]\nname = \"only\"\nframe = \"10ms\"\nwindows = [\n");
    for (u32 i = 0; i < partitions; i++) {
        for (u32 v = 0; v < 2; v++)
            add(t,
                "{ hart = %u, vcpu = %u, partition = \"p%u\", start = \"%lluus\", length = "
                "\"%lluus\" },\n",
                i % harts, v, i,
                (unsigned long long)(1000 * (2 * i + v) + (random_below(seed, 9) ? 0 : 500)),
                (unsigned long long)(500 + 500 * random_below(seed, 2)));
    }
    add(t, "]\n");
}

static void add_channel(struct text *t, u64 *seed, u32 number, u32 partitions)
{
    u32 from = (u32)random_below(seed, partitions);

    add(t,
        "[[channel]]\nname = \"c%u\"\nsize = %llu\nfrom = \"p%u\"\nto = \"p%u\"\ndoorbell = "
        "\"both\"\n",
        number, (unsigned long long)(4096 * (1 + random_below(seed, 600))), from,
        (from + 1) % partitions);
}

/* From a seed: often one that is to be refused. */
static void make_text(struct text *t, u64 seed)
{
    u32 harts = 1 + (u32)random_below(&seed, 4), partitions = 1 + (u32)random_below(&seed, 5);
    u32 channels = partitions > 1 ? (u32)random_below(&seed, 3) : 0;
    const bool aia = random_below(&seed, 2);

    t->len = 0;
    add(t, "[board]\nharts = %u\nmemory = \"%s\"\naia = %s\niommu = true\n%s", harts,
        random_below(&seed, 2) ? "4G" : "1G", aia ? "true" : "false",
        aia ? "aia-guests = 7\n" : "");
    for (u32 i = 0; i < partitions; i++)
        add_partition(t, &seed, i, harts);
    if (random_below(&seed, 4))
        add_plan(t, &seed, partitions, harts);
    for (u32 i = 0; i < channels; i++)
        add_channel(t, &seed, i, partitions);
    if (partitions > 1 && !random_below(&seed, 3))
        add(t, "[[virtio]]\npartition = \"p0\"\nservice = \"p1\"\nwindow = 0x%llx\n",
            (unsigned long long)(some_address(&seed) + 64 * GIB * random_below(&seed, 2)));
}

TEST(what_is_taken_keeps_to_all_rules)
{
    static struct text text;
    u32 taken = 0;

    for (u64 seed = 1; seed <= 10000; seed++) {
        int r;

        make_text(&text, seed);
        r = plan_compile(&plan, "random.toml", text.bytes, text.len,
                         (700 + 1000 * (seed % 3)) * KIB, &err);
        if (!r) {
            world_check(&plan);
            taken++;
        } else {
            CHECK_EQ(r, -22);
            CHECK(!strncmp(err.msg, "random.toml:", 12));
        }
        plan_free(&plan);
    }
    printf("# %u of 10000 configurations were taken\n", taken);
    CHECK(taken > 100 && taken < 9900);
}

TEST_MAIN()
