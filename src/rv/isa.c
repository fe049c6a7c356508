/* SPDX-License-Identifier: BSD-2-Clause */
/* Extensions of a hart: --cpu text, what depends on what, device-tree strings, misa. */
#include "rv/isa.h"

#include "base/mem.h"

#include <errno.h>

#define NAME_MAX_LEN 31
#define PMP_MAX      16 /* struct hart's table; 0 or more of it can be switched on */

static const struct {
    const char *name;
    bool on, listed;
} isa_table[ISA_COUNT] = {
#define ISA(id, name, on, listed) [ISA_##id] = {name, on, listed},
#include "rv/isa.def"
#undef ISA
};

/* ext needs base: switching ext on switches base on, switching base off switches ext off. */
static const struct {
    u8 ext, base;
} isa_needs[] = {
    {ISA_A, ISA_ZAAMO},
    {ISA_A, ISA_ZALRSC},
    {ISA_F, ISA_ZICSR},
    {ISA_D, ISA_F},
    {ISA_C, ISA_ZCA},
    {ISA_ZIHPM, ISA_ZICSR},
    {ISA_ZICNTR, ISA_ZICSR},
    {ISA_ZICCAMOA, ISA_ZAAMO},
    {ISA_ZICCRSE, ISA_ZALRSC},
    {ISA_ZA64RS, ISA_ZALRSC},
    {ISA_ZABHA, ISA_ZAAMO},
    {ISA_ZACAS, ISA_ZAAMO},
    {ISA_ZAWRS, ISA_ZALRSC},
    {ISA_ZFA, ISA_F},
    {ISA_ZFH, ISA_ZFHMIN},
    {ISA_ZFHMIN, ISA_F},
    {ISA_ZCB, ISA_ZCA},
    {ISA_ZCD, ISA_ZCA},
    {ISA_ZCD, ISA_D},
    {ISA_ZCMOP, ISA_ZCA},
    {ISA_SMSTATEEN, ISA_SSSTATEEN},
    {ISA_SSCOFPMF, ISA_ZIHPM},
    {ISA_SSCOUNTERENW, ISA_ZIHPM},
};

/* A name for several: switched on or off together. The letters are also extensions themselves. */
static const struct {
    const char *name;
    u8 count;
    u8 ext[6];
} isa_groups[] = {
    {"a", 2, {ISA_ZAAMO, ISA_ZALRSC}},
    {"c", 2, {ISA_ZCA, ISA_ZCD}},
    {"b", 3, {ISA_ZBA, ISA_ZBB, ISA_ZBS}},
    {"zkn", 6, {ISA_ZBKB, ISA_ZBKC, ISA_ZBKX, ISA_ZKNE, ISA_ZKND, ISA_ZKNH}},
    {"zks", 5, {ISA_ZBKB, ISA_ZBKC, ISA_ZBKX, ISA_ZKSED, ISA_ZKSH}},
};

static const struct {
    const char *name;
    u8 mode;
} isa_modes[] = {{"bare", 0}, {"sv39", 8}, {"sv48", 9}, {"sv57", 10}};

static bool has(const struct isa *isa, u32 ext)
{
    return isa_has(isa, (enum isa_ext)ext);
}

/* False: it was so already. */
static bool set(struct isa *isa, u32 ext, bool on)
{
    bool was = has(isa, ext);

    isa->ext[ext / 64] = bits_merge(isa->ext[ext / 64], BIT(ext % 64), on ? UINT64_MAX : 0);
    return was != on;
}

void isa_default(struct isa *isa)
{
    memset(isa->ext, 0, sizeof(isa->ext));
    for (u32 i = 0; i < ISA_COUNT; i++)
        set(isa, i, isa_table[i].on);
    isa->satp_mode_max = 8;
    isa->pmp_count = PMP_MAX;
}

static void switch_on(struct isa *isa, u32 ext)
{
    bool more;

    set(isa, ext, true);
    do {
        more = false;
        for (u32 i = 0; i < ARRAY_SIZE(isa_needs); i++)
            more |= has(isa, isa_needs[i].ext) && set(isa, isa_needs[i].base, true);
    } while (more);
}

static void switch_off(struct isa *isa, u32 ext)
{
    bool more;

    set(isa, ext, false);
    do {
        more = false;
        for (u32 i = 0; i < ARRAY_SIZE(isa_needs); i++)
            more |= !has(isa, isa_needs[i].base) && set(isa, isa_needs[i].ext, false);
    } while (more);
}

/* C with D is Zca and Zcd together, so C goes where D stands without Zcd. */
static void settle_compressed(struct isa *isa)
{
    if (isa_has(isa, ISA_D) && !isa_has(isa, ISA_ZCD))
        set(isa, ISA_C, false);
}

static bool switch_name(struct isa *isa, const char *name, bool on)
{
    bool known = false, had_c = isa_has(isa, ISA_C);

    for (u32 i = 0; i < ARRAY_SIZE(isa_groups); i++) {
        for (u32 k = 0; !strcmp(isa_groups[i].name, name) && k < isa_groups[i].count; k++) {
            u32 ext = isa_groups[i].ext[k];

            known = true;
            if (!on)
                switch_off(isa, ext);
            else if (ext != ISA_ZCD || isa_has(isa, ISA_D))
                switch_on(isa, ext);
        }
    }
    for (u32 i = 0; i < ISA_COUNT; i++) {
        if (strcmp(isa_table[i].name, name))
            continue;
        known = true;
        if (on)
            switch_on(isa, i);
        else
            switch_off(isa, i);
        if (on && i == ISA_D && had_c)
            switch_on(isa, ISA_ZCD);
    }
    settle_compressed(isa);
    return known;
}

/* Levenshtein's distance of names of at most NAME_MAX_LEN. */
static u32 name_distance(const char *a, const char *b)
{
    u32 row[NAME_MAX_LEN + 1];
    size_t len = strlen(b);

    for (u32 j = 0; j <= len; j++)
        row[j] = j;
    for (u32 i = 1; *a; i++, a++) {
        u32 diagonal = row[0];

        row[0] = i;
        for (u32 j = 1; j <= len; j++) {
            u32 best = diagonal + (*a != b[j - 1]);

            diagonal = row[j];
            if (row[j] + 1 < best)
                best = row[j] + 1;
            if (row[j - 1] + 1 < best)
                best = row[j - 1] + 1;
            row[j] = best;
        }
    }
    return row[len];
}

static void take_nearer(const char *name, const char *candidate, const char **best, u32 *distance)
{
    u32 d = name_distance(name, candidate);

    if (d < *distance) {
        *distance = d;
        *best = candidate;
    }
}

static const char *nearest_name(const char *name)
{
    const char *best = "i";
    u32 distance = UINT32_MAX;

    for (u32 i = 0; i < ISA_COUNT; i++)
        take_nearer(name, isa_table[i].name, &best, &distance);
    for (u32 i = 0; i < ARRAY_SIZE(isa_groups); i++)
        take_nearer(name, isa_groups[i].name, &best, &distance);
    for (u32 i = 0; i < ARRAY_SIZE(isa_modes); i++)
        take_nearer(name, isa_modes[i].name, &best, &distance);
    return best;
}

static int parse_pmp(struct isa *isa, const char *number, struct err *err)
{
    u32 n = 0, digits = 0;

    for (; number[digits] >= '0' && number[digits] <= '9' && digits < 3; digits++)
        n = n * 10 + (u32)(number[digits] - '0');
    if (!digits || number[digits] || n > PMP_MAX)
        return err_set(err, EINVAL, "--cpu: pmp=%s: give a number of entries from 0 to %d", number,
                       PMP_MAX);
    isa->pmp_count = (u8)n;
    return 0;
}

static int parse_switch(struct isa *isa, const char *name, bool on, struct err *err)
{
    if (!on && (!strcmp(name, "i") || !strcmp(name, "zicsr")))
        return err_set(err, EINVAL, "--cpu: %s cannot be switched off: every hart has it", name);
    if (!switch_name(isa, name, on))
        return err_set(err, EINVAL, "--cpu: unknown extension %s; did you mean %s?", name,
                       nearest_name(name));
    return 0;
}

/* One word between commas. */
static int parse_word(struct isa *isa, char *word, struct err *err)
{
    size_t equals = 0;

    if (word[0] == '+' || word[0] == '-')
        return parse_switch(isa, word + 1, word[0] == '+', err);
    while (word[equals] && word[equals] != '=')
        equals++;
    if (word[equals]) {
        word[equals++] = '\0';
        if (!strcmp(word, "pmp"))
            return parse_pmp(isa, word + equals, err);
        if (!strcmp(word + equals, "on") || !strcmp(word + equals, "true"))
            return parse_switch(isa, word, true, err);
        if (!strcmp(word + equals, "off") || !strcmp(word + equals, "false"))
            return parse_switch(isa, word, false, err);
        return err_set(err, EINVAL, "--cpu: %s=%s: give on or off", word, word + equals);
    }
    for (u32 i = 0; i < ARRAY_SIZE(isa_modes); i++) {
        if (!strcmp(isa_modes[i].name, word)) {
            isa->satp_mode_max = isa_modes[i].mode;
            return 0;
        }
    }
    return err_set(err, EINVAL, "--cpu: %s: write +%s or -%s to switch an extension", word,
                   nearest_name(word), nearest_name(word));
}

/* Copies the text up to the next comma; advances past it. False: longer than any name. */
static bool next_word(const char **text, char word[NAME_MAX_LEN + 1])
{
    size_t len = 0;

    while (**text && **text != ',') {
        if (len == NAME_MAX_LEN)
            return false;
        word[len++] = *(*text)++;
    }
    word[len] = '\0';
    if (**text)
        (*text)++;
    return true;
}

int isa_parse(struct isa *isa, const char *text, struct err *err)
{
    char word[NAME_MAX_LEN + 1];
    struct isa made;
    bool first = true;

    isa_default(&made);
    do {
        int r;

        if (!next_word(&text, word))
            return err_set(err, EINVAL, "--cpu: %s...: no name is that long", word);
        if (!first) {
            r = parse_word(&made, word, err);
            if (r)
                return r;
        } else if (!strcmp(word, "max")) {
            made.satp_mode_max = 10;
        } else if (strcmp(word, "rv64")) {
            return err_set(err, EINVAL, "--cpu: unknown model %s: give rv64 or max", word);
        }
        first = false;
    } while (*text);
    *isa = made;
    return 0;
}

struct text {
    char *buf;
    size_t size, len;
    bool cut;
};

static void text_add(struct text *t, const char *s)
{
    size_t n = strlen(s);

    if (t->cut || n >= t->size - t->len) {
        t->cut = true;
        return;
    }
    memcpy(t->buf + t->len, s, n + 1);
    t->len += n;
}

static bool is_listed(const struct isa *isa, u32 ext)
{
    return isa_table[ext].listed && has(isa, ext);
}

bool isa_string(const struct isa *isa, char *buf, size_t size)
{
    struct text t = {buf, size, 0, size == 0};

    text_add(&t, "rv64");
    for (u32 i = 0; i < ISA_COUNT; i++) {
        if (!is_listed(isa, i))
            continue;
        if (strlen(isa_table[i].name) > 1)
            text_add(&t, "_");
        text_add(&t, isa_table[i].name);
    }
    return !t.cut;
}

bool isa_list(const struct isa *isa, char *buf, size_t size)
{
    struct text t = {buf, size, 0, size == 0};

    for (u32 i = 0; i < ISA_COUNT; i++) {
        if (!is_listed(isa, i))
            continue;
        if (t.len)
            text_add(&t, "\n");
        text_add(&t, isa_table[i].name);
    }
    return !t.cut;
}

const char *isa_mmu_type(const struct isa *isa)
{
    switch (isa->satp_mode_max) {
    case 8:
        return "riscv,sv39";
    case 9:
        return "riscv,sv48";
    case 10:
        return "riscv,sv57";
    default:
        return "riscv,none";
    }
}

u64 isa_misa(const struct isa *isa)
{
    u64 misa = UINT64_C(2) << 62 | BIT('s' - 'a') | BIT('u' - 'a');

    for (u32 i = 0; i < ISA_COUNT; i++) {
        const char *name = isa_table[i].name;

        if (has(isa, i) && !name[1])
            misa |= BIT((u32)(name[0] - 'a'));
    }
    return misa;
}
