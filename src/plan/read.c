/* SPDX-License-Identifier: BSD-2-Clause */
/* Reading the tables of a configuration: keys and their kinds, then values with their units. */
#include "plan/read.h"

#include "base/checked.h"
#include "base/fmt.h"
#include "base/words.h"

#include <errno.h>
#include <stdarg.h>
#include <string.h>

int plan_refuse(struct plan *p, const struct toml_node *at, const char *fmt, ...)
{
    char text[400];
    va_list ap;

    va_start(ap, fmt);
    fmt_vprint(text, sizeof(text), fmt, ap);
    va_end(ap);
    return err_set(p->err, EINVAL, "%s:%u: %s", p->path, at ? at->line : 1, text);
}

static const struct plan_key *key_find(const struct plan_key *keys, size_t count, const char *name)
{
    for (size_t i = 0; i < count; i++) {
        if (!strcmp(keys[i].name, name))
            return &keys[i];
    }
    return NULL;
}

static int key_unknown(struct plan *p, const struct toml_node *n, const char *what,
                       const struct plan_key *keys, size_t count)
{
    const char *nearest = NULL;
    u32 best = UINT32_MAX;

    for (size_t i = 0; i < count; i++) {
        if (word_is_near(n->key, strlen(n->key), keys[i].name, &best))
            nearest = keys[i].name;
    }
    if (nearest)
        return plan_refuse(p, n, "'%.40s' is no key of %s; did you mean %s?", n->key, what,
                           nearest);
    return plan_refuse(p, n, "'%.40s' is no key of %s", n->key, what);
}

/* "a string or a number" */
static void kinds_text(u32 kinds, char *text, size_t size)
{
    size_t len = 0;

    for (u32 kind = TOML_STRING; kind <= TOML_TABLE; kind++) {
        if (kinds & 1u << kind)
            len += fmt_print(text + len, size - len, "%s%s", len ? " or " : "",
                             toml_kind_name((enum toml_kind)kind));
    }
}

int read_table(struct plan *p, const struct toml_node *table, const char *what,
               const struct plan_key *keys, size_t count, void *object)
{
    char kinds[80];

    for (const struct toml_node *n = table->first; n; n = n->next) {
        const struct plan_key *key = key_find(keys, count, n->key);
        int r;

        if (!key)
            return key_unknown(p, n, what, keys, count);
        kinds_text(key->kinds, kinds, sizeof(kinds));
        if (!(key->kinds & 1u << n->kind))
            return plan_refuse(p, n, "'%s' of %s is %s, not %s", n->key, what, kinds,
                               toml_kind_name(n->kind));
        r = key->take(p, n, (char *)object + key->offset);
        if (r)
            return r;
    }
    for (size_t i = 0; i < count; i++) {
        if (keys[i].needed && !toml_get(table, keys[i].name))
            return plan_refuse(p, table, "'%s' of %s is missing", keys[i].name, what);
    }
    return 0;
}

int read_each(struct plan *p, const char *key, u32 max,
              int (*take)(struct plan *plan, const struct toml_node *table))
{
    const struct toml_node *array = toml_get(p->toml.root, key);
    u32 count = 0;
    int r = 0;

    if (array && array->kind != TOML_ARRAY)
        return plan_refuse(p, array, "there may be several of '%s': write [[%s]]", key, key);
    for (const struct toml_node *n = array ? array->first : NULL; n && !r; n = n->next) {
        if (n->kind != TOML_TABLE)
            return plan_refuse(p, n, "'%s' is %s, not a table: write [[%s]]", key,
                               toml_kind_name(n->kind), key);
        if (++count > max)
            return plan_refuse(p, n, "there are more than %u of [[%s]]", max, key);
        r = take(p, n);
    }
    return r;
}

int take_name(struct plan *p, const struct toml_node *n, void *field)
{
    const char *c = n->text;

    while ((*c >= 'a' && *c <= 'z') || (*c >= '0' && *c <= '9') || *c == '-' || *c == '_')
        c++;
    if (*c || !*n->text || c - n->text >= METAL_NAME_MAX)
        return plan_refuse(p, n, "'%.40s' is no name: 1 to %u of a-z, 0-9, - and _", n->text,
                           METAL_NAME_MAX - 1);
    memcpy(field, n->text, strlen(n->text) + 1);
    return 0;
}

int take_text(struct plan *p, const struct toml_node *n, void *field)
{
    *(const char **)field = n->text;
    return 0;
}

int take_node(struct plan *p, const struct toml_node *n, void *field)
{
    *(const struct toml_node **)field = n;
    return 0;
}

int take_flag(struct plan *p, const struct toml_node *n, void *field)
{
    *(bool *)field = n->integer;
    return 0;
}

int take_number(struct plan *p, const struct toml_node *n, void *field)
{
    if (n->integer < 0 || n->integer > INT32_MAX)
        return plan_refuse(p, n, "'%s' is out of range: 0 to %d", n->key, INT32_MAX);
    *(u32 *)field = (u32)n->integer;
    return 0;
}

int take_address(struct plan *p, const struct toml_node *n, void *field)
{
    if (n->integer < 0)
        return plan_refuse(p, n, "an address is no negative number");
    if (n->integer % 4096)
        return plan_refuse(p, n, "0x%llx is not the beginning of a page (4096 bytes)",
                           (unsigned long long)n->integer);
    *(u64 *)field = (u64)n->integer;
    return 0;
}

/* The digits of "10ms"; the unit is what follows. False: no digits, or too many. */
static bool read_digits(const char *text, u64 *value, const char **unit)
{
    *value = 0;
    for (*unit = text; **unit >= '0' && **unit <= '9'; ++*unit) {
        if (!checked_mul(*value, 10, value) || !checked_add(*value, (u64)(**unit - '0'), value))
            return false;
    }
    return *unit != text;
}

static int read_unit(struct plan *p, const struct toml_node *n, const char *const *units,
                     const u64 *factors, const char *example, u64 *value)
{
    const char *unit;
    u32 i = 0;

    if (!read_digits(n->text, value, &unit))
        return plan_refuse(p, n, "'%.40s' is no number with a unit; write it as %s", n->text,
                           example);
    while (units[i] && strcmp(unit, units[i]))
        i++;
    if (!units[i] || !checked_mul(*value, factors[i], value))
        return plan_refuse(p, n, "'%.40s' has no unit that fits; write it as %s", n->text, example);
    return 0;
}

int take_size(struct plan *p, const struct toml_node *n, void *field)
{
    static const char *const units[] = {"", "K", "M", "G", NULL};
    static const u64 factors[] = {1, KIB, MIB, GIB};
    u64 *size = field;

    if (n->kind == TOML_INTEGER && n->integer < 0)
        return plan_refuse(p, n, "a size is no negative number");
    *size = (u64)n->integer;
    if (n->kind == TOML_STRING) {
        int r = read_unit(p, n, units, factors, "\"64K\", \"256M\" or \"1G\"", size);

        if (r)
            return r;
    }
    if (!*size || *size % PLAN_PAGE)
        return plan_refuse(p, n, "a size of %llu bytes is no whole number of pages (4096 bytes)",
                           (unsigned long long)*size);
    return 0;
}

int take_time(struct plan *p, const struct toml_node *n, void *field)
{
    static const char *const units[] = {"ns", "us", "ms", "s", NULL};
    static const u64 factors[] = {1, 1000, 1000000, 1000000000};
    u64 ns, *ticks = field;
    int r = read_unit(p, n, units, factors, "\"500us\", \"10ms\" or \"1s\"", &ns);
    u128 scaled;

    if (r)
        return r;
    scaled = (u128)ns * p->board.timebase;
    if (scaled % 1000000000)
        return plan_refuse(p, n,
                           "'%.40s' is no whole number of ticks of the board's clock, which "
                           "has %llu a second",
                           n->text, (unsigned long long)p->board.timebase);
    if (scaled / 1000000000 > UINT64_MAX / 4)
        return plan_refuse(p, n, "'%.40s' is too long a time", n->text);
    *ticks = (u64)(scaled / 1000000000);
    return 0;
}

int read_choice(struct plan *p, const struct toml_node *n, const char *const *names,
                const char *what, u32 *index)
{
    const char *nearest = NULL;
    char all[160] = "";
    size_t len = 0;
    u32 best = UINT32_MAX;

    if (n->kind != TOML_STRING)
        return plan_refuse(p, n, "%s is a string, not %s", what, toml_kind_name(n->kind));
    for (u32 i = 0; names[i]; i++) {
        if (!strcmp(n->text, names[i])) {
            *index = i;
            return 0;
        }
        if (word_is_near(n->text, strlen(n->text), names[i], &best))
            nearest = names[i];
        len += fmt_print(all + len, sizeof(all) - len, "%s%s", i ? ", " : "", names[i]);
    }
    if (nearest)
        return plan_refuse(p, n, "'%.40s' is no %s; did you mean %s?", n->text, what, nearest);
    return plan_refuse(p, n, "'%.40s' is no %s: it is one of %s", n->text, what, all);
}

int read_partition_name(struct plan *p, const struct toml_node *n, u32 *index)
{
    const char *names[METAL_PARTITIONS_MAX + 1] = {NULL};

    for (u32 i = 0; i < p->partition_count; i++)
        names[i] = p->partition[i].name;
    return read_choice(p, n, names, "partition", index);
}

int read_hart_number(struct plan *p, const struct toml_node *n, u32 *index)
{
    if (n->kind != TOML_INTEGER)
        return plan_refuse(p, n, "a hart is a number, not %s", toml_kind_name(n->kind));
    for (u32 i = 0; i < p->board.hart_count; i++) {
        if (p->board.hart[i].id == n->integer) {
            *index = i;
            return 0;
        }
    }
    return plan_refuse(p, n, "the board has no hart %lld; it has %u, from %u on",
                       (long long)n->integer, p->board.hart_count, p->board.hart[0].id);
}

int read_plan_name(struct plan *p, const struct toml_node *n, const char *name, u32 *index)
{
    const char *nearest = NULL;
    u32 best = UINT32_MAX;

    for (u32 i = 0; i < p->schedule_count; i++) {
        if (!strcmp(p->schedule[i].name, name)) {
            *index = i;
            return 0;
        }
        if (word_is_near(name, strlen(name), p->schedule[i].name, &best))
            nearest = p->schedule[i].name;
    }
    if (nearest)
        return plan_refuse(p, n, "there is no plan '%.40s'; did you mean %s?", name, nearest);
    return plan_refuse(p, n, "there is no plan '%.40s'; a [[plan]] makes one", name);
}

int plan_add_region(struct plan *p, const struct plan_region *region)
{
    u64 end;

    if (p->region_count == PLAN_REGIONS)
        return plan_refuse(p, region->node, "there are more than %u regions of memory and devices",
                           PLAN_REGIONS);
    if (!checked_add(region->gpa, region->size, &end) || end > BIT(41))
        return plan_refuse(p, region->node,
                           "it ends at 0x%llx, beyond the 2 TiB that a partition can "
                           "reach",
                           (unsigned long long)end);
    p->region[p->region_count++] = *region;
    return 0;
}

const struct plan_region *plan_memory(const struct plan *p, u32 partition)
{
    const struct plan_region *r = p->region;

    while (r->kind != PLAN_MEMORY || r->partition != partition ||
           r->node != p->partition[partition].memory)
        r++; /* a partition has one */
    return r;
}

int plan_add_source(struct plan *p, u32 partition, const struct toml_node *node, u32 wanted,
                    const char *name, u32 *source)
{
    struct plan_source *s = p->partition[partition].source;
    u32 n = wanted ? wanted : 1;

    while (!wanted && n < METAL_SOURCES_MAX && s[n].node)
        n++;
    if (n >= METAL_SOURCES_MAX)
        return plan_refuse(p, node, "interrupt %u of '%s' is out of range: 1 to %u", n,
                           p->partition[partition].name, METAL_SOURCES_MAX - 1);
    if (s[n].node)
        return plan_refuse(p, node, "interrupt %u of '%s' is wanted by %s and, in line %u, by %s",
                           n, p->partition[partition].name, name, s[n].node->line, s[n].name);
    s[n].node = node;
    fmt_print(s[n].name, sizeof(s[n].name), "%s", name);
    *source = n;
    return 0;
}
