/* SPDX-License-Identifier: BSD-2-Clause */
/* Image loaders: every kind is loaded right, and every lie is refused with a sentence. */
#include "machine/image.h"

#include "tests/fake.h"
#include "tests/test.h"

#include <zlib.h>
#if __has_include(<zstd.h>)
#include <zstd.h>
#endif

#define RAM        UINT64_C(0x80000000)
#define RAM_SIZE   (6 * MIB)
#define KERNEL     (RAM + 2 * MIB)
#define FILE_SIZE  0x3000
#define IMAGE_SIZE 0x8000

static struct gmem gmem;
static struct image_info info;
static struct err err;

/* A heap copy of exactly size bytes, so that a sanitizer sees each byte read too far. */
static int load_at(const u8 *bytes, size_t size, gpa_t base)
{
    struct image_source source = {.name = "file", .size = size};
    const struct image_place place = {base, IMAGE_KERNEL};
    u8 *copy = malloc(size ? size : 1);
    int rc;

    memcpy(copy, bytes, size);
    source.bytes = copy;
    memset(&info, 0, sizeof(info));
    err.msg[0] = '\0';
    fake_gmem_init(&gmem, RAM, RAM_SIZE);
    memset(fake_gmem_at(&gmem, KERNEL), 0xaa, 64 * KIB);
    rc = image_load(&source, &gmem, &place, &info, &err);
    free(copy);
    CHECK((rc < 0) == (err.msg[0] != '\0'));
    return rc;
}

static int load(const u8 *bytes, size_t size)
{
    return load_at(bytes, size, KERNEL);
}

static bool says(const char *text)
{
    if (strstr(err.msg, text))
        return true;
    printf("# said: %s\n", err.msg);
    return false;
}

/* Did the last load refuse with a sentence that holds text? Frees the RAM. */
static bool refused(int rc, const char *text)
{
    fake_gmem_fini(&gmem);
    return rc < 0 && says(text);
}

static void make_linux(u8 *f)
{
    memset(f, 0x5a, FILE_SIZE);
    memset(f, 0, 64);
    le64_store(f + 8, 2 * MIB);
    le64_store(f + 16, IMAGE_SIZE);
    le32_store(f + 32, 2);
    memcpy(f + 48, "RISCV\0\0\0", 8);
    memcpy(f + 56, "RSC\x05", 4);
}

static void check_linux_loaded(int rc)
{
    CHECK_EQ(rc, 0);
    CHECK_EQ(info.kind, IMAGE_LINUX);
    CHECK_EQ(info.entry, KERNEL);
    CHECK_EQ(info.start, KERNEL);
    CHECK_EQ(info.end, KERNEL + IMAGE_SIZE);
    CHECK_EQ(fake_gmem_at(&gmem, KERNEL)[FILE_SIZE - 1], 0x5a);
    CHECK_EQ(fake_gmem_at(&gmem, KERNEL)[FILE_SIZE], 0xaa);
    fake_gmem_fini(&gmem);
}

TEST(linux_image)
{
    u8 f[FILE_SIZE];

    make_linux(f);
    check_linux_loaded(load(f, sizeof(f)));
    le64_store(f + 8, 0); /* an offset below our place: taken where we are */
    check_linux_loaded(load(f, sizeof(f)));
    le64_store(f + 8, 4 * MIB);
    CHECK_EQ(load(f, sizeof(f)), 0);
    CHECK_EQ(info.entry, RAM + 4 * MIB);
    fake_gmem_fini(&gmem);
    make_linux(f);
    le64_store(f + 16, 0); /* old kernels do not say */
    CHECK_EQ(load(f, sizeof(f)), 0);
    CHECK_EQ(info.end, KERNEL + FILE_SIZE);
    fake_gmem_fini(&gmem);
}

TEST(linux_image_lies)
{
    u8 f[FILE_SIZE];

    make_linux(f);
    le64_store(f + 16, UINT64_MAX);
    CHECK(refused(load(f, sizeof(f)), "damaged header"));
    le64_store(f + 16, RAM_SIZE - 2 * MIB + 1);
    CHECK(refused(load(f, sizeof(f)), "give the guest more memory with -m 64M"));
    make_linux(f);
    le64_store(f + 8, UINT64_MAX - 4096);
    CHECK(refused(load(f, sizeof(f)), "damaged header"));
    le64_store(f + 8, 0x300000);
    CHECK(refused(load(f, sizeof(f)), "multiple of 2 MiB"));
    le64_store(f + 8, 2 * GIB);
    CHECK(refused(load(f, sizeof(f)), "-m 4096M"));
    make_linux(f);
    le64_store(f + 24, 1);
    CHECK(refused(load(f, sizeof(f)), "big-endian"));
}

TEST(place_beyond_ram)
{
    u8 f[FILE_SIZE];

    make_linux(f);
    CHECK(refused(load_at(f, sizeof(f), RAM + RAM_SIZE), "give the guest more memory"));
    CHECK(refused(load_at(f, sizeof(f), RAM + 64 * RAM_SIZE), "-m 512M"));
}

TEST(raw_and_empty)
{
    u8 f[100] = {0x13, 1, 2, 3};

    CHECK_EQ(load(f, sizeof(f)), 0);
    CHECK_EQ(info.kind, IMAGE_RAW);
    CHECK_EQ(info.entry, KERNEL);
    CHECK_EQ(info.end, KERNEL + sizeof(f));
    fake_gmem_fini(&gmem);
    CHECK(refused(load(f, 0), "empty"));
}

TEST(foreign)
{
    static u8 f[1024];

    memcpy(f + 56, "ARM\x64", 4);
    CHECK(refused(load(f, sizeof(f)), "arm64"));
    memset(f, 0, sizeof(f));
    memcpy(f + 0x202, "HdrS", 4);
    CHECK(refused(load(f, sizeof(f)), "x86"));
    memset(f, 0, sizeof(f));
    memcpy(f, "070701", 6);
    CHECK(refused(load(f, sizeof(f)), "--initrd"));
    memcpy(f, "MZ\0\0", 4);
    CHECK(refused(load(f, sizeof(f)), "EFI program"));
    memcpy(f, "\xfd\x37zXZ\0", 6);
    CHECK(refused(load(f, sizeof(f)), "xz -d"));
}

static size_t gzip(const u8 *in, size_t size, u8 *out, size_t room)
{
    z_stream z = {.next_in = (u8 *)(uintptr_t)in, .avail_in = (uInt)size};

    ASSERT(deflateInit2(&z, 6, Z_DEFLATED, 31, 8, Z_DEFAULT_STRATEGY) == Z_OK);
    z.next_out = out;
    z.avail_out = (uInt)room;
    ASSERT(deflate(&z, Z_FINISH) == Z_STREAM_END);
    deflateEnd(&z);
    return room - z.avail_out;
}

TEST(gzip_image)
{
    u8 f[FILE_SIZE], packed[FILE_SIZE];
    size_t size;

    make_linux(f);
    size = gzip(f, sizeof(f), packed, sizeof(packed));
    check_linux_loaded(load(packed, size));
    for (size_t cut = 3; cut < size; cut += cut < 40 ? 1 : 3)
        CHECK(refused(load(packed, cut), "damaged or cut short"));
    packed[size - 6] ^= 1; /* its checksum */
    CHECK(refused(load(packed, size), "damaged or cut short"));
}

TEST(gzip_bomb)
{
    size_t size = 4 * RAM_SIZE;
    u8 *zeroes = calloc(1, size), *packed = malloc(MIB);

    size = gzip(zeroes, size, packed, MIB);
    CHECK(refused(load(packed, size), "give the guest more memory"));
    free(zeroes);
    free(packed);
}

TEST(gzip_is_unpacked_once)
{
    u8 f[FILE_SIZE], once[FILE_SIZE], twice[FILE_SIZE];
    size_t size;

    make_linux(f);
    size = gzip(f, sizeof(f), once, sizeof(once));
    size = gzip(once, size, twice, sizeof(twice));
    CHECK_EQ(load(twice, size), 0);
    CHECK_EQ(info.kind, IMAGE_RAW);
    fake_gmem_fini(&gmem);
}

/* Wraps a packed kernel as EFI zboot does; returns the whole size. */
static size_t make_zboot(u8 *f, const u8 *packed, size_t size, const char *method)
{
    memset(f, 0, 4096);
    memcpy(f, "MZ\0\0zimg", 8);
    le32_store(f + 8, 4096);
    le32_store(f + 12, (u32)size);
    memcpy(f + 24, method, strlen(method));
    memcpy(f + 4096, packed, size);
    memset(f + 4096 + size, 0x77, 16); /* its size, padding */
    return 4096 + size + 16;
}

TEST(zboot_gzip)
{
    u8 f[FILE_SIZE], packed[FILE_SIZE], whole[2 * FILE_SIZE];
    size_t size;

    make_linux(f);
    size = gzip(f, sizeof(f), packed, sizeof(packed));
    size = make_zboot(whole, packed, size, "gzip");
    check_linux_loaded(load(whole, size));
    for (size_t cut = 8; cut < size - 17; cut += cut < 80 ? 1 : 53)
        CHECK(refused(load(whole, cut), "damaged or cut short"));
    le32_store(whole + 8, UINT32_MAX);
    CHECK(refused(load(whole, size), "beyond the end"));
    make_zboot(whole, (const u8 *)"\xfd\x37zXZ\0", 6, "xzkern");
    CHECK(refused(load(whole, 4200), "packed with 'xzkern'"));
}

#if __has_include(<zstd.h>)
TEST(zboot_zstd)
{
    u8 f[FILE_SIZE], packed[FILE_SIZE], whole[2 * FILE_SIZE];
    size_t size;

    make_linux(f);
    size = ZSTD_compress(packed, sizeof(packed), f, sizeof(f), 19);
    CHECK(!ZSTD_isError(size));
    check_linux_loaded(load(packed, size));
    for (size_t cut = 4; cut < size; cut += cut < 40 ? 1 : 3)
        CHECK(refused(load(packed, cut), "damaged or cut short"));
    size = make_zboot(whole, packed, size, "zstd22");
    check_linux_loaded(load(whole, size));
}
#endif

/* An ELF file of two segments: text at KERNEL, data with zeroed memory behind it. */
enum {
    PH0 = 64,
    PH1 = 64 + 56,
    P_TYPE = 0,
    P_OFFSET = 8,
    P_VADDR = 16,
    P_PADDR = 24,
    P_FILESZ = 32,
    P_MEMSZ = 40,
    E_TYPE = 16,
    E_MACHINE = 18,
    E_ENTRY = 24,
    E_PHOFF = 32,
    E_PHENTSIZE = 54,
    E_PHNUM = 56
};

static void make_segment(u8 *ph, u64 offset, u64 vaddr, u64 paddr, u64 filesz, u64 memsz)
{
    le32_store(ph + P_TYPE, 1);
    le64_store(ph + P_OFFSET, offset);
    le64_store(ph + P_VADDR, vaddr);
    le64_store(ph + P_PADDR, paddr);
    le64_store(ph + P_FILESZ, filesz);
    le64_store(ph + P_MEMSZ, memsz);
}

static void make_elf(u8 *f, gpa_t at)
{
    memset(f, 0x5a, FILE_SIZE);
    memset(f, 0, 64);
    memcpy(f,
           "\x7f"
           "ELF\x02\x01\x01",
           7);
    le16_store(f + E_TYPE, 2);
    le16_store(f + E_MACHINE, 243);
    le64_store(f + E_ENTRY, at + 0x10);
    le64_store(f + E_PHOFF, PH0);
    le16_store(f + E_PHENTSIZE, 56);
    le16_store(f + E_PHNUM, 2);
    make_segment(f + PH0, 0, at, at, 0x1000, 0x1000);
    make_segment(f + PH1, 0x1000, at + 0x1000, at + 0x1000, 0x1000, 0x4000);
}

TEST(elf)
{
    u8 f[FILE_SIZE];

    make_elf(f, KERNEL);
    CHECK_EQ(load(f, sizeof(f)), 0);
    CHECK_EQ(info.kind, IMAGE_ELF);
    CHECK_EQ(info.entry, KERNEL + 0x10);
    CHECK_EQ(info.start, KERNEL);
    CHECK_EQ(info.end, KERNEL + 0x5000);
    CHECK_EQ(fake_gmem_at(&gmem, KERNEL)[0], 0x7f);
    CHECK_EQ(fake_gmem_at(&gmem, KERNEL)[0x1fff], 0x5a);
    CHECK_EQ(fake_gmem_at(&gmem, KERNEL)[0x2000], 0);
    CHECK_EQ(fake_gmem_at(&gmem, KERNEL)[0x4fff], 0);
    CHECK_EQ(fake_gmem_at(&gmem, KERNEL)[0x5000], 0xaa);
    fake_gmem_fini(&gmem);
}

TEST(elf_virtual_entry)
{
    u8 f[FILE_SIZE];

    make_elf(f, KERNEL);
    le64_store(f + PH0 + P_VADDR, UINT64_C(0xffffffff80000000));
    le64_store(f + E_ENTRY, UINT64_C(0xffffffff80000020));
    CHECK_EQ(load(f, sizeof(f)), 0);
    CHECK_EQ(info.entry, KERNEL + 0x20);
    fake_gmem_fini(&gmem);
}

TEST(elf_position_independent)
{
    u8 f[FILE_SIZE];

    make_elf(f, 0);
    le16_store(f + E_TYPE, 3);
    CHECK_EQ(load(f, sizeof(f)), 0);
    CHECK_EQ(info.start, KERNEL);
    CHECK_EQ(info.entry, KERNEL + 0x10);
    fake_gmem_fini(&gmem);
    make_elf(f, 0xfffffffffff00000);
    le16_store(f + E_TYPE, 3);
    CHECK_EQ(load(f, sizeof(f)), 0);
    CHECK_EQ(info.entry, KERNEL + 0x10);
    fake_gmem_fini(&gmem);
}

static struct elf_lie {
    u32 offset, width;
    u64 value;
    const char *text;
} elf_lies[] = {
    {4, 1, 1, "64-bit"},
    {5, 1, 2, "little-endian"},
    {E_MACHINE, 2, 62, "another processor (ELF machine 62)"},
    {E_TYPE, 2, 1, "type 1"},
    {E_ENTRY, 8, KERNEL + 1, "odd"},
    {E_ENTRY, 8, KERNEL + 0x5000, "outside its segments"},
    {E_ENTRY, 8, 0, "outside its segments"},
    {E_PHOFF, 8, UINT64_MAX - 55, "program headers lie beyond"},
    {E_PHOFF, 8, FILE_SIZE - 111, "program headers lie beyond"},
    {E_PHENTSIZE, 2, 32, "wrong size"},
    {E_PHNUM, 2, 0, "no program headers"},
    {E_PHNUM, 2, 0xffff, "more than 256"},
    {E_PHNUM, 2, 256, "program headers lie beyond"},
    {PH0 + P_OFFSET, 8, UINT64_MAX, "beyond the end"},
    {PH0 + P_OFFSET, 8, FILE_SIZE - 0xfff, "beyond the end"},
    {PH0 + P_FILESZ, 8, 0x1001, "larger in the file"},
    {PH0 + P_MEMSZ, 8, 0x1001, "overlap"},
    {PH0 + P_PADDR, 8, KERNEL + 0x1000, "overlap"},
    {PH0 + P_PADDR, 8, UINT64_MAX - 0xffe, "wraps"},
    {PH1 + P_MEMSZ, 8, UINT64_MAX, "wraps"},
    {PH1 + P_MEMSZ, 8, RAM_SIZE, "-m 64M"},
    {PH1 + P_MEMSZ, 8, UINT64_C(1) << 62, "outside RAM"},
    {PH0 + P_PADDR, 8, 0x1000, "outside RAM"},
    {PH0 + P_TYPE, 4, 6, ""},
};

TEST(elf_lies)
{
    for (u32 i = 0; i < ARRAY_SIZE(elf_lies); i++) {
        const struct elf_lie *lie = &elf_lies[i];
        u8 f[FILE_SIZE + 8];

        make_elf(f, KERNEL);
        for (u32 b = 0; b < lie->width; b++)
            f[lie->offset + b] = (u8)(lie->value >> (8 * b));
        if (lie->text[0])
            CHECK(refused(load(f, FILE_SIZE), lie->text));
        else
            CHECK(refused(load(f, FILE_SIZE), "outside its segments"));
    }
}

TEST(elf_without_load)
{
    u8 f[FILE_SIZE];

    make_elf(f, KERNEL);
    le32_store(f + PH0, 6);
    le32_store(f + PH1, 6);
    CHECK(refused(load(f, sizeof(f)), "no segment to load"));
}

TEST(elf_cut_at_every_byte)
{
    u8 f[FILE_SIZE];

    make_elf(f, KERNEL);
    for (size_t cut = 4; cut < 0x2000; cut += cut < 256 ? 1 : 97)
        CHECK(refused(load(f, cut), "file"));
}

TEST(linux_cut_at_every_byte)
{
    u8 f[FILE_SIZE];

    make_linux(f);
    for (size_t cut = 0; cut <= 64; cut++) {
        int rc = load(f, cut);
        CHECK(cut ? rc == 0 : rc < 0); /* too short for its header: raw bytes */
        CHECK_EQ(info.kind, cut < 64 ? IMAGE_RAW : IMAGE_LINUX);
        fake_gmem_fini(&gmem);
    }
}

/* Each bit of an ELF header flipped: loaded or refused, never a crash. */
TEST(elf_bit_flips)
{
    u8 f[FILE_SIZE];

    for (u32 bit = 0; bit < 8 * (PH1 + 56); bit++) {
        int rc;

        make_elf(f, KERNEL);
        f[bit / 8] ^= (u8)(1 << bit % 8);
        rc = load(f, sizeof(f));
        if (!rc)
            CHECK(info.start >= RAM && info.end <= RAM + RAM_SIZE && info.start <= info.end);
        fake_gmem_fini(&gmem);
    }
}

TEST_MAIN()
