/* SPDX-License-Identifier: BSD-2-Clause */
/* 'cosm memory': how a VM uses its memory, and how much it is to make do with. */
#include "apps/cosm/manage.h"

#include "api/client.h"
#include "base/fmt.h"

#include <errno.h>
#include <stdio.h>
#include <time.h>

#define ASK_MAX      20 /* times, for what the guest tells; it takes some */
#define ASK_PAUSE_NS 50000000

static u64 number(const struct client *c, const struct json_node *object, const char *key)
{
    s64 value = 0;

    if (!object || !json_integer(json_get(&c->json, object, key), &value))
        return 0;
    return (u64)value;
}

static bool is_true(const struct client *c, const struct json_node *object, const char *key)
{
    const struct json_node *value = json_get(&c->json, object, key);

    return value && value->kind == JSON_TRUE;
}

/* Each call asks the guest anew: the answer that counts is the first that it told since. */
static const struct json_node *query(struct client *c, const char *name, struct err *err)
{
    const struct timespec pause = {0, ASK_PAUSE_NS};
    const struct json_node *value = client_call(c, name, "query-balloon", err);
    u64 told = value ? number(c, value, "told") : 0;

    for (u32 i = 0; i < ASK_MAX && value && is_true(c, value, "driver"); i++) {
        if (number(c, value, "told") != told)
            break;
        nanosleep(&pause, NULL);
        value = client_call(c, name, "query-balloon", err);
    }
    return value;
}

static void print_size(const char *what, u64 bytes, const char *note)
{
    printf("%-26s %8lu MiB%s\n", what, (unsigned long)(bytes / MIB), note);
}

static void print_text(const struct client *c, const struct json_node *value)
{
    static const struct {
        const char *key, *what;
    } stats[] = {
        {"stat-total-memory", "  to the guest's programs"},
        {"stat-free-memory", "  free"},
        {"stat-disk-caches", "  files' contents"},
        {"stat-available-memory", "  could be had at once"},
    };
    const struct json_node *told = json_get(&c->json, value, "stats");
    u64 actual = number(c, value, "actual"), target = number(c, value, "target");
    char note[64] = "";

    print_size("memory of the VM", number(c, value, "size"), "");
    if (actual != target)
        fmt_print(note, sizeof(note), ", to become %lu MiB", (unsigned long)(target / MIB));
    print_size("the guest has", actual, note);
    for (u32 i = 0; i < ARRAY_SIZE(stats); i++) {
        if (told && json_get(&c->json, told, stats[i].key))
            print_size(stats[i].what, number(c, told, stats[i].key), "");
    }
    print_size("on this machine", number(c, value, "resident"), "");
    print_size("given back so far", number(c, value, "returned"), "");
    if (!is_true(c, value, "driver"))
        printf("The guest runs no driver of the balloon; Linux' is called virtio_balloon.\n");
}

static void print_json(const struct client *c, const struct json_node *value)
{
    char text[4096];
    struct json_out out;

    json_out_init(&out, text, sizeof(text));
    json_put_node(&out, &c->json, value);
    printf("%s\n", text);
}

static int set(struct client *c, const char *name, u64 bytes, struct err *err)
{
    const struct json_node *value = client_call(c, name, "query-balloon", err);
    u64 size = value ? number(c, value, "size") : 0;
    char text[64];

    if (!value)
        return -EIO;
    if (bytes > size)
        return err_set(err, ERANGE, "'%s' has %lu MiB and cannot get more while it runs", name,
                       (unsigned long)(size / MIB));
    if (!is_true(c, value, "driver"))
        fprintf(stderr,
                "cosm: the guest of '%s' runs no driver of the balloon (yet), so it keeps all\n",
                name);
    fmt_print(text, sizeof(text), "{\"value\": %llu}", (unsigned long long)bytes);
    return client_call_with(c, name, "balloon", text, err) ? 0 : -EIO;
}

int memory_manage(const struct options *options, struct record *r, struct err *err)
{
    static struct client client; /* large for a stack */
    const struct json_node *value;
    int code = client_open(&client, r, err);

    if (code)
        return code;
    if (options->bytes) {
        code = set(&client, r->name, options->bytes, err);
    } else {
        value = query(&client, r->name, err);
        code = value ? 0 : -EIO;
        if (value && options->json)
            print_json(&client, value);
        else if (value)
            print_text(&client, value);
    }
    client_close(&client);
    return code;
}
