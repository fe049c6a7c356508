/* SPDX-License-Identifier: BSD-2-Clause */
/* cosm disasm: lists machine code on standard output. */
#include "apps/cosm/disasm.h"

#include "base/endian.h"
#include "host/file.h"
#include "machine/elf_file.h"
#include "machine/symbols.h"
#include "rv/disasm.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FILE_SIZE_MAX (4 * GIB)

struct listing {
    const struct options *options;
    struct isa isa;
    struct symbols *symbols; /* NULL: none */
    bool any;                /* something was printed */
};

/* Symbols may come from a hostile file: nothing that a terminal or JSON reader acts on. */
static void print_name(const char *name)
{
    for (; *name; name++)
        putchar((u8)*name < ' ' || *name == '"' || *name == '\\' || (u8)*name >= 0x7f ? '?'
                                                                                      : *name);
}

static void print_json(struct listing *l, u64 at, u32 raw, u32 len, const char *text)
{
    struct symbol symbol;

    printf("%s{\"address\": \"0x%llx\", \"bits\": \"%0*x\", \"text\": \"%s\"",
           l->any ? ",\n" : "[\n", (unsigned long long)at, (int)len * 2, raw, text);
    if (symbols_find(l->symbols, at, &symbol)) {
        printf(", \"symbol\": \"");
        print_name(symbol.name);
        printf("\", \"offset\": %llu", (unsigned long long)(at - symbol.start));
    }
    putchar('}');
    l->any = true;
}

static void print_line(struct listing *l, u64 at, u32 raw, u32 len, const char *text)
{
    struct symbol symbol;

    if (symbols_find(l->symbols, at, &symbol) && symbol.start == at) {
        printf("%s%016llx <", l->any ? "\n" : "", (unsigned long long)at);
        print_name(symbol.name);
        puts(">:");
    }
    printf("%16llx: %0*x%*s  %s\n", (unsigned long long)at, (int)len * 2, raw, (int)(8 - len * 2),
           "", text);
    l->any = true;
}

static void print_piece(struct listing *l, u64 at, u32 raw, u32 len, const char *text)
{
    (l->options->json ? print_json : print_line)(l, at, raw, len, text);
}

static void list_bytes(struct listing *l, u64 address, const u8 *bytes, u64 size)
{
    char text[DISASM_MAX];
    u64 at = 0;

    while (size - at >= 2) {
        u32 raw = le16_load(bytes + at), len = insn_is_long(raw) ? 4 : 2;
        if (len == 4 && size - at < 4)
            break;
        if (len == 4)
            raw = le32_load(bytes + at);
        (void)disasm(&l->isa, raw, address + at, text, sizeof(text));
        print_piece(l, address + at, raw, len, text);
        at += len;
    }
    for (; at < size; at++) { /* too short for an instruction */
        snprintf(text, sizeof(text), ".byte 0x%02x", bytes[at]);
        print_piece(l, address + at, bytes[at], 1, text);
    }
}

static void list_elf(struct listing *l, const struct image_source *file)
{
    struct elf_part part;
    bool found = false;

    for (u32 i = 0; i < elf_section_count(file); i++) {
        if (!elf_section(file, i, &part) || !(part.flags & ELF_SHF_EXECINSTR) ||
            part.type == ELF_SHT_NOBITS)
            continue;
        list_bytes(l, part.address, file->bytes + part.offset, part.size);
        found = true;
    }
    for (u32 i = 0; !found && i < elf_segment_count(file); i++) {
        if (elf_segment(file, i, &part) && (part.flags & ELF_PF_X))
            list_bytes(l, part.address, file->bytes + part.offset, part.size);
    }
}

static int list_file(struct listing *l, const char *path, struct err *err)
{
    struct image_source file = {.name = path};
    size_t count;
    u8 *bytes;
    u64 size;
    int r = file_read("disasm", path, FILE_SIZE_MAX, &bytes, &size, err);

    if (r)
        return r;
    file.bytes = bytes;
    file.size = size;
    if (!elf_is_riscv64(&file)) {
        list_bytes(l, l->options->base, bytes, size);
    } else {
        r = symbols_create(&l->symbols, "disasm", &file, &count, err);
        if (!r)
            list_elf(l, &file);
    }
    free(bytes);
    return r;
}

/* Two digits a byte; instructions, of four or eight digits, as numbers: the last byte first. */
static int list_word(struct listing *l, const char *word, u64 *address, struct err *err)
{
    size_t digits = strlen(word), len;
    u8 byte[256];

    if (digits > 2 && word[0] == '0' && (word[1] | 32) == 'x') {
        word += 2;
        digits -= 2;
    }
    len = digits / 2;
    if (!digits || digits % 4 || len > sizeof(byte) ||
        strspn(word, "0123456789abcdefABCDEF") < digits)
        return err_set(
            err, EINVAL,
            "disasm: '%.64s' is no code; give four or eight hexadecimal digits, or bytes "
            "of up to 128 instructions",
            word);
    for (size_t i = 0; i < len; i++) {
        const char two[] = {word[2 * i], word[2 * i + 1], '\0'};
        byte[len <= 4 ? len - 1 - i : i] = (u8)strtoul(two, NULL, 16);
    }
    list_bytes(l, *address, byte, len);
    *address += len;
    return 0;
}

int disasm_print(const struct options *options, struct err *err)
{
    struct listing l = {.options = options};
    u64 address = options->base;
    int r = 0;

    isa_default(&l.isa);
    if (options->config.cpu)
        r = isa_parse(&l.isa, options->config.cpu, err);
    for (u32 i = 0; !r && i < options->operands; i++)
        r = options->hex ? list_word(&l, options->operand[i], &address, err)
                         : list_file(&l, options->operand[i], err);
    if (!r && options->json)
        puts(l.any ? "\n]" : "[]");
    symbols_destroy(l.symbols);
    return r;
}
