/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Archives that the store reads and writes: tar in pieces of any size, cpio, ISO 9660, packages;
 * the names of images, programs of the host, what a console's log shows of a VM.
 */
#include "api/record.h"
#include "base/endian.h"
#include "base/fmt.h"
#include "host/child.h"
#include "store/build.h"
#include "store/cpio.h"
#include "store/iso.h"
#include "store/tar.h"
#include "tests/test.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

static struct err err;

/* A ustar header with its checksum. */
static size_t put_header(u8 *at, const char *name, char kind, u32 size, const char *link)
{
    char *block = (char *)at;
    u32 sum = 0;

    memset(at, 0, 512);
    fmt_print(block, 100, "%s", name);
    snprintf(block + 100, 8, "%07o", 0755);
    snprintf(block + 124, 12, "%011o", size);
    block[156] = kind;
    fmt_print(block + 157, 100, "%s", link);
    memcpy(block + 257, "ustar\0", 6);
    memset(block + 148, ' ', 8);
    for (u32 i = 0; i < 512; i++)
        sum += at[i];
    snprintf(block + 148, 8, "%06o", sum);
    return 512;
}

static size_t put_content(u8 *at, const char *text)
{
    size_t len = strlen(text), room = (len + 511) / 512 * 512;

    memset(at, 0, room);
    memcpy(at, text, len);
    return room;
}

struct seen {
    char text[2048];
    size_t len;
};

static bool on_member(void *ctx, const struct tar_member *m)
{
    struct seen *s = ctx;

    s->len += fmt_print(s->text + s->len, sizeof(s->text) - s->len, "%c %s %s %llu:", m->kind,
                        m->name, m->link, (unsigned long long)m->size);
    return m->kind == '0';
}

static void on_content(void *ctx, const struct tar_member *m, const u8 *bytes, size_t len,
                       bool last)
{
    struct seen *s = ctx;

    s->len += fmt_print(s->text + s->len, sizeof(s->text) - s->len, "%.*s%s", (int)len,
                        (const char *)bytes, last ? ";" : "");
}

static size_t make_tar(u8 *tar)
{
    char lengthy[160];
    size_t n = 0;

    memset(lengthy, 'l', 150);
    lengthy[150] = '\0';
    n += put_header(tar + n, "./", '5', 0, "");
    n += put_header(tar + n, "./usr/bin/", '5', 0, "");
    n += put_header(tar + n, "./usr/bin/a", '0', 5, "");
    n += put_content(tar + n, "hello");
    n += put_header(tar + n, "./empty", '0', 0, "");
    n += put_header(tar + n, "./b", '2', 0, "usr/bin/a");
    n += put_header(tar + n, "././@LongLink", 'L', 151, "");
    n += put_content(tar + n, lengthy);
    n += put_header(tar + n, "cut", '0', 1, "");
    n += put_content(tar + n, "x");
    n += put_header(tar + n, "pax", 'x', 21, "");
    n += put_content(tar + n, "21 path=./long/\xc3\xa4/er\n");
    n += put_header(tar + n, "short", '0', 0, "");
    memset(tar + n, 0, 1024);
    return n + 1024;
}

TEST(tar_in_pieces)
{
    static u8 bytes[32 * KIB];
    static const size_t pieces[] = {1, 7, 511, 512, 513, 4096, sizeof(bytes)};
    size_t size = make_tar(bytes);

    for (u32 i = 0; i < ARRAY_SIZE(pieces); i++) {
        struct seen seen = {.len = 0};
        struct tar tar;

        tar_init(&tar, &(struct tar){.member = on_member, .content = on_content, .ctx = &seen});
        for (size_t at = 0; at < size; at += pieces[i]) {
            size_t n = size - at < pieces[i] ? size - at : pieces[i];
            CHECK_EQ(tar_feed(&tar, bytes + at, n, &err), 0);
        }
        CHECK(tar_is_whole(&tar));
        CHECK(strstr(seen.text, "5   0:5 usr/bin  0:0 usr/bin/a  5:hello;0 empty  0:;2 b usr/bin/a "
                                "0:0 llll"));
        CHECK(strstr(seen.text, "llll  1:x;0 long/\xc3\xa4/er  0:;"));
    }
}

TEST(tar_that_is_none)
{
    static u8 bytes[32 * KIB];
    size_t size = make_tar(bytes);
    struct seen seen = {.len = 0};
    const struct tar callbacks = {.member = on_member, .content = on_content, .ctx = &seen};
    struct tar tar;

    bytes[5] ^= 1;
    tar_init(&tar, &callbacks);
    CHECK_EQ(tar_feed(&tar, bytes, size, &err), -EINVAL);
    put_header(bytes, "x", 'L', 100000, "");
    tar_init(&tar, &callbacks);
    CHECK_EQ(tar_feed(&tar, bytes, 512, &err), -EINVAL);
    size = make_tar(bytes);
    tar_init(&tar, &callbacks);
    CHECK_EQ(tar_feed(&tar, bytes, size - 1024, &err), 0);
    CHECK(!tar_is_whole(&tar));
}

TEST(cpio_newc)
{
    char *text;
    size_t len;
    struct cpio cpio = {.file = open_memstream(&text, &len)};

    CHECK(cpio.file);
    cpio_folder(&cpio, "bin");
    cpio_file(&cpio, "bin/a", 0755, 5);
    cpio_write(&cpio, "hel", 3, false);
    cpio_write(&cpio, "lo", 2, true);
    cpio_symlink(&cpio, "bin/b", "a");
    CHECK_EQ(cpio_finish(&cpio), 0);
    (void)fclose(cpio.file);
    CHECK_EQ(len % 4, 0);
    CHECK(!memcmp(text, "07070100000001000041ED", 22));
    CHECK(!memcmp(text + 110, "bin", 4));
    /* The second begins on a multiple of four: 110 + 4 -> 116. */
    CHECK(!memcmp(text + 116, "07070100000002000081ED", 22));
    CHECK(!memcmp(text + 116 + 54, "00000005", 8));
    CHECK(!memcmp(text + 116 + 116, "hello\0\0", 8));
    free(text);
}

TEST(iso_volume)
{
    char path[] = "/tmp/test-store-XXXXXX";
    int fd = mkstemp(path);
    u8 block[2048];
    struct iso iso;
    u32 folder, at, files = 0;

    CHECK(fd >= 0);
    unlink(path);
    CHECK_EQ(iso_begin(&iso, fd, 300, &err), 0);
    for (u32 i = 300; i-- > 0;) { /* names are sorted in the folder */
        char name[16];

        fmt_print(name, sizeof(name), "P%04u.DEB", i);
        CHECK_EQ(iso_put(&iso, name, name, strlen(name), &err), 0);
    }
    CHECK_EQ(iso_finish(&iso, &err), 0);
    iso_free(&iso);
    CHECK_EQ(pread(fd, block, sizeof(block), 16 * 2048), 2048);
    CHECK(!memcmp(block, "\1CD001\1", 7));
    CHECK_EQ(le32_load(block + 80) * UINT64_C(2048), (u64)lseek(fd, 0, SEEK_END));
    CHECK_EQ(be32_load(block + 84), le32_load(block + 80));
    folder = le32_load(block + 156 + 2);
    at = 0;
    for (u32 size = le32_load(block + 156 + 10), b = 0; b < size / 2048; b++) {
        CHECK_EQ(pread(fd, block, sizeof(block), (off_t)(folder + b) * 2048), 2048);
        for (at = 0; at < 2048 && block[at]; at += block[at]) {
            char name[16], content[16] = "";

            CHECK(at + block[at] <= 2048);
            if (block[at + 32] == 1)
                continue; /* the folder itself and the one above */
            fmt_print(name, sizeof(name), "P%04u.DEB;1", files++);
            CHECK_EQ(block[at + 32], 11);
            CHECK(!memcmp(block + at + 33, name, 11));
            CHECK_EQ(le32_load(block + at + 10), 9);
            CHECK_EQ(pread(fd, content, 9, (off_t)le32_load(block + at + 2) * 2048), 9);
            CHECK(!memcmp(content, name, 9));
        }
    }
    CHECK_EQ(files, 300);
    close(fd);
}

static bool count_lines(void *ctx, char *line)
{
    u32 *count = ctx;

    return strcmp(line, "stop") != 0 && ++*count;
}

TEST(children)
{
    char *echo[] = {(char *)(uintptr_t) "sh", (char *)(uintptr_t) "-c",
                    (char *)(uintptr_t) "echo \"$X\"; printf 'a\\rb'; cat", NULL};
    char *fail[] = {(char *)(uintptr_t) "sh", (char *)(uintptr_t) "-c",
                    (char *)(uintptr_t) "echo why >&2; exit 3", NULL};
    char *none[] = {(char *)(uintptr_t) "cosm-no-such-program", NULL};
    char *endless[] = {(char *)(uintptr_t) "sh", (char *)(uintptr_t) "-c",
                       (char *)(uintptr_t) "echo stop; exec sleep 1000", NULL};
    char *status[] = {(char *)(uintptr_t) "sh", (char *)(uintptr_t) "-c",
                      (char *)(uintptr_t) "echo x; echo y >&3", NULL};
    char *env[] = {(char *)(uintptr_t) "X=1 2", NULL};
    char text[64];
    u32 lines = 0;

    CHECK_EQ(child_output(&(struct child){.argv = echo, .env = env}, text, sizeof(text), &err), 0);
    CHECK(!strcmp(text, "1 2\na\nb\n"));
    CHECK_EQ(child_output(&(struct child){.argv = echo}, text, 4, &err), -EFBIG);
    CHECK_EQ(child_run(&(struct child){.argv = fail}, &err), -ECHILD);
    CHECK(strstr(err.msg, "sh failed with status 3: why"));
    CHECK_EQ(child_run(&(struct child){.argv = none, .package = "install it"}, &err), -ENOENT);
    CHECK(strstr(err.msg, "cosm-no-such-program is missing; 'install it'"));
    CHECK_EQ(child_run(&(struct child){.argv = endless, .line = count_lines, .ctx = &lines}, &err),
             -ECANCELED);
    CHECK_EQ(lines, 0);
    CHECK_EQ(
        child_run(
            &(struct child){.argv = status, .line = count_lines, .ctx = &lines, .status = true},
            &err),
        0);
    CHECK_EQ(lines, 1);
}

TEST(names_of_images)
{
    static const char *const wrong[] = {"", ":a", "a:", "a:b:c", "a/b", "a:-b", ".a", "a:b/c"};
    char full[IMAGE_NAME_MAX], lengthy[IMAGE_NAME_MAX + 1];

    CHECK_EQ(image_check_name("web", full, &err), 0);
    CHECK_STR(full, "web");
    CHECK_EQ(image_check_name("debian:sid", full, &err), 0);
    CHECK_STR(full, "debian:sid");
    CHECK_EQ(image_check_name("debian:trixie", full, &err), 0);
    CHECK_STR(full, "debian");
    memset(lengthy, 'a', IMAGE_NAME_MAX);
    lengthy[IMAGE_NAME_MAX] = '\0';
    lengthy[30] = ':';
    CHECK_EQ(image_check_name(lengthy, full, &err), -EINVAL);
    CHECK_EQ(image_check_name(lengthy + 1, full, &err), 0);
    for (u32 i = 0; i < ARRAY_SIZE(wrong); i++)
        CHECK_EQ(image_check_name(wrong[i], full, &err), -EINVAL);
}

TEST(recipes_of_suites)
{
    static const char *const wrong[] = {"debian:", "debian:x", "debian:trixie:x", "debianx", "deb"};
    struct recipe recipe;

    CHECK(build_recipe(&recipe, "debian"));
    CHECK_STR(recipe.suite, "trixie");
    CHECK(build_recipe(&recipe, "debian:trixie"));
    CHECK_STR(recipe.name, "debian");
    CHECK(build_recipe(&recipe, "debian:sid"));
    CHECK_STR(recipe.name, "debian:sid");
    CHECK_STR(recipe.suite, "sid");
    CHECK(recipe.package_count > 0);
    CHECK(!build_recipe(&recipe, "minimal"));
    CHECK(build_from(&recipe, "minimal:forky"));
    CHECK_STR(recipe.suite, "forky");
    CHECK_STR(recipe.name, "");
    CHECK_EQ(recipe.package_count, 0);
    for (u32 i = 0; i < ARRAY_SIZE(wrong); i++)
        CHECK(!build_from(&recipe, wrong[i]));
}

/* What a table shows of a console on which a program asked the terminal what it is. */
TEST(last_line)
{
    static const char log[] = "before\n\x1b[0;32m  OK\x1b[m \x1b(Bready\x1bP+q6E61\x1b\\ "
                              "\x1b]0;title\a\x1b[!pset\x1b]3008;start\n";
    char folder[] = "/tmp/test-store.XXXXXX", path[64], line[80];
    struct record record = {.lock = -1};
    FILE *file;

    CHECK(mkdtemp(folder) != NULL);
    fmt_print(path, sizeof(path), "%s/console.log", folder);
    file = fopen(path, "w");
    CHECK(file && fputs(log, file) >= 0 && !fclose(file));
    record.dir = open(folder, O_RDONLY | O_DIRECTORY);
    record_last_line(&record, line, sizeof(line));
    CHECK_STR(line, "  OK ready set");
    close(record.dir);
    unlink(path);
    rmdir(folder);
}

TEST_MAIN()
