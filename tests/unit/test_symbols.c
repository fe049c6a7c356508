/* SPDX-License-Identifier: BSD-2-Clause */
/* Symbol tables: lookups, System.map's lines, files that lie. */
#include "machine/symbols.h"

#include "tests/test.h"

#include "base/endian.h"

static struct symbols *read_text(const char *text, size_t want)
{
    struct image_source source = {"map", (const u8 *)text, strlen(text)};
    struct symbols *symbols = NULL;
    struct err err;
    size_t count;

    CHECK_EQ(symbols_create(&symbols, "--symbols", &source, &count, &err), 0);
    CHECK_EQ(count, want);
    return symbols;
}

static const char *name_at(const struct symbols *symbols, u64 address)
{
    struct symbol found;

    return symbols_find(symbols, address, &found) ? found.name : "-";
}

TEST(system_map)
{
    struct symbols *s = read_text("ffffffff80000000 T _start\n"
                                  "ffffffff80000040 t inner\t[module]\n"
                                  "0000000000000000 A absolute\n"
                                  "ffffffff80000020 D data\n"
                                  "nonsense\n\nffffffff80000030\nffffffff80000030 T\n"
                                  "ffffffff80000030 T \n"
                                  "ffffffff80000050 t $x\n"
                                  "ffffffff80000060 W last",
                                  3);

    CHECK_STR(name_at(s, UINT64_C(0xffffffff7fffffff)), "-");
    CHECK_STR(name_at(s, UINT64_C(0xffffffff80000000)), "_start");
    CHECK_STR(name_at(s, UINT64_C(0xffffffff8000003f)), "_start");
    CHECK_STR(name_at(s, UINT64_C(0xffffffff80000040)), "inner");
    CHECK_STR(name_at(s, UINT64_C(0xffffffff80000060)), "last");
    CHECK_STR(name_at(s, UINT64_C(0xffffffff80000060) + MIB), "-");
    CHECK_STR(name_at(s, UINT64_MAX), "-");
    CHECK_STR(name_at(NULL, 0), "-");
    symbols_destroy(s);
    symbols_destroy(read_text("x", 0));
}

/* An ELF file of two symbols: its header, three sections' headers, the symbols, their names. */
#define FILE_SIZE (64 + 3 * 64 + 2 * 24 + 16)

static void make_elf(u8 *f)
{
    u8 *table = f + 64 + 64, *strings = table + 64, *symbol = f + 64 + 3 * 64;

    memset(f, 0, FILE_SIZE);
    memcpy(f, "\177ELF\2\1\1", 7);
    le16_store(f + 18, 243);
    le64_store(f + 40, 64);
    le16_store(f + 58, 64);
    le16_store(f + 60, 3);
    le32_store(table + 4, 2);
    le64_store(table + 24, 64 + 3 * 64);
    le64_store(table + 32, 48);
    le32_store(table + 40, 2);
    le32_store(strings + 4, 3);
    le64_store(strings + 24, 64 + 3 * 64 + 48);
    le64_store(strings + 32, 16);
    for (u32 i = 0; i < 2; i++) {
        le32_store(symbol + 24 * i, 1 + 6 * i);
        symbol[24 * i + 4] = 0x12; /* global, a function */
        le16_store(symbol + 24 * i + 6, 1);
        le64_store(symbol + 24 * i + 8, 0x1000 * i);
        le64_store(symbol + 24 * i + 16, 0x10);
    }
    memcpy(f + 64 + 3 * 64 + 48, "\0first\0second\0\0\0", 16);
}

TEST(elf)
{
    u8 file[FILE_SIZE];
    struct image_source source = {"elf", file, sizeof(file)};
    struct symbols *s = NULL;
    struct err err;
    size_t count;

    make_elf(file);
    CHECK_EQ(symbols_create(&s, "--symbols", &source, &count, &err), 0);
    CHECK_EQ(count, 2);
    CHECK_STR(name_at(s, 0xf), "first");
    CHECK_STR(name_at(s, 0x10), "-");
    CHECK_STR(name_at(s, 0x1008), "second");
    symbols_destroy(s);
}

/* Each byte lies once, and each length; sanitizers see what is read beyond. */
TEST(lies)
{
    static const u8 lies[] = {0, 1, 0x7f, 0x80, 0xff};
    struct err err;
    size_t count;

    for (u32 at = 0; at < FILE_SIZE * 6; at++) {
        size_t size = at < FILE_SIZE ? at + 1 : FILE_SIZE;
        u8 whole[FILE_SIZE], *file = malloc(size);
        struct image_source source = {"elf", file, size};
        struct symbols *s = NULL;
        make_elf(whole);
        if (at >= FILE_SIZE)
            whole[at % FILE_SIZE] = lies[at / FILE_SIZE - 1];
        memcpy(file, whole, size);
        CHECK_EQ(symbols_create(&s, "--symbols", &source, &count, &err), 0);
        (void)name_at(s, 0x1000);
        symbols_destroy(s);
        free(file);
    }
}

TEST_MAIN()
