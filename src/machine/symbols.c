/* SPDX-License-Identifier: BSD-2-Clause */
/* Names of a guest's addresses: the symbol table of an ELF file, or a kernel's System.map. */
#include "machine/symbols.h"

#include "base/endian.h"
#include "machine/elf_file.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define ELF_SYMBOL    24
#define STT_NOTYPE    0
#define STT_FUNC      2
#define SHN_UNDEF     0
#define UNSIZED_MAX   MIB /* no code goes on for longer behind a name without a size */
#define LINE_NAME_MAX 512

struct entry {
    u64 start, size;
    size_t name; /* in names */
};

struct symbols {
    struct entry *entry; /* by start */
    size_t count, room;
    char *names;
    size_t names_size, names_room;
};

/* Room for one more of size bytes each in *array. */
static bool grow(void **array, size_t *room, size_t needed, size_t size)
{
    size_t more = *room ? *room : 1024;
    void *larger;

    if (needed <= *room)
        return true;
    while (more < needed)
        more *= 2;
    larger = realloc(*array, more * size);
    if (!larger)
        return false;
    *array = larger;
    *room = more;
    return true;
}

/* What assemblers mark with: mapping symbols and local labels. */
static bool is_noise(const char *name, size_t len)
{
    return !len || name[0] == '$' || (len > 1 && name[0] == '.' && name[1] == 'L');
}

static bool add(struct symbols *s, u64 start, u64 size, const char *name, size_t len)
{
    if (is_noise(name, len))
        return true;
    if (!grow((void **)&s->entry, &s->room, s->count + 1, sizeof(s->entry[0])) ||
        !grow((void **)&s->names, &s->names_room, s->names_size + len + 1, 1))
        return false;
    s->entry[s->count++] = (struct entry){start, size, s->names_size};
    memcpy(s->names + s->names_size, name, len);
    s->names[s->names_size + len] = '\0';
    s->names_size += len + 1;
    return true;
}

static bool add_elf_symbol(struct symbols *s, const struct image_source *f, const u8 *sym,
                           const struct elf_part *names)
{
    u32 name = le32_load(sym), type = sym[4] & 15;
    const char *text = (const char *)f->bytes + names->offset + name;

    if ((type != STT_FUNC && type != STT_NOTYPE) || le16_load(sym + 6) == SHN_UNDEF ||
        name >= names->size)
        return true;
    return add(s, le64_load(sym + 8), le64_load(sym + 16), text, strnlen(text, names->size - name));
}

static bool read_elf(struct symbols *s, const struct image_source *f)
{
    struct elf_part table, names;

    for (u32 i = 0; i < elf_section_count(f); i++) {
        if (!elf_section(f, i, &table) || table.type != ELF_SHT_SYMTAB ||
            !elf_section(f, table.link, &names) || names.type == ELF_SHT_NOBITS)
            continue;
        for (u64 at = 0; at + ELF_SYMBOL <= table.size; at += ELF_SYMBOL) {
            if (!add_elf_symbol(s, f, f->bytes + table.offset + at, &names))
                return false;
        }
    }
    return true;
}

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

/* "ffffffff80001000 T _start", as nm and /proc/kallsyms have it; other lines, and data, are passed
 * over. */
static bool add_line(struct symbols *s, const char *line, size_t len)
{
    u64 address = 0;
    size_t at = 0;

    for (; at < len && at < 16 && hex_digit(line[at]) >= 0; at++)
        address = address << 4 | (u64)hex_digit(line[at]);
    if (!at || at + 4 > len || line[at] != ' ' || line[at + 2] != ' ' ||
        !strchr("tTwW", line[at + 1]))
        return true;
    line += at + 3;
    len -= at + 3;
    for (at = 0; at < len && at < LINE_NAME_MAX && (u8)line[at] > ' '; at++)
        ;
    return add(s, address, 0, line, at);
}

static bool read_map(struct symbols *s, const struct image_source *f)
{
    const char *at = (const char *)f->bytes, *end = at + f->size;

    while (at < end) {
        const char *newline = memchr(at, '\n', (size_t)(end - at));
        size_t len = (size_t)((newline ? newline : end) - at);
        if (!add_line(s, at, len))
            return false;
        at += len + 1;
    }
    return true;
}

static int by_start(const void *a, const void *b)
{
    const struct entry *x = a, *y = b;

    if (x->start != y->start)
        return x->start < y->start ? -1 : 1;
    if (x->size != y->size)
        return x->size > y->size ? -1 : 1;
    return x->name < y->name ? -1 : x->name > y->name;
}

int symbols_create(struct symbols **out, const char *what, const struct image_source *source,
                   size_t *count, struct err *err)
{
    struct symbols *s = calloc(1, sizeof(*s));

    if (!s || !(elf_is_riscv64(source) ? read_elf(s, source) : read_map(s, source))) {
        symbols_destroy(s);
        return err_set(err, ENOMEM, "%s: no host memory for the symbols of '%s'", what,
                       source->name);
    }
    if (s->count)
        qsort(s->entry, s->count, sizeof(s->entry[0]), by_start);
    *count = s->count;
    *out = s;
    return 0;
}

void symbols_destroy(struct symbols *s)
{
    if (!s)
        return;
    free(s->entry);
    free(s->names);
    free(s);
}

bool symbols_find(const struct symbols *s, u64 address, struct symbol *found)
{
    size_t low = 0, high = s ? s->count : 0;
    const struct entry *e;
    u64 size;

    while (low < high) { /* the last entry that starts at address or before */
        size_t middle = low + (high - low) / 2;
        if (s->entry[middle].start <= address)
            low = middle + 1;
        else
            high = middle;
    }
    if (!low)
        return false;
    e = &s->entry[low - 1];
    while (e > s->entry && e[-1].start == e->start) /* the first of those has the largest size */
        e--;
    size = e->size;
    if (!size)
        size = low < s->count && s->entry[low].start - e->start < UNSIZED_MAX
                   ? s->entry[low].start - e->start
                   : UNSIZED_MAX;
    if (address - e->start >= size)
        return false;
    *found = (struct symbol){s->names + e->name, e->start, size};
    return true;
}
