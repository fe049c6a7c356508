/* SPDX-License-Identifier: BSD-2-Clause */
/* 'cosm ps': the VMs that have a name. */
#include "apps/cosm/manage.h"

#include "api/boot_stage.h"
#include "api/client.h"
#include "base/fmt.h"
#include "host/scope.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#define LINE 256

struct row {
    const char *name;
    const char
        *state; /* starting, running, paused, no-space, io-error, mute (no answer), ended, died */
    char sandbox[16]; /* full, partial, none; "": it does not tell */
    struct record_info info;
    char line[LINE];
    char where[LINE]; /* the same, after the boot's stage if it is not through */
    struct boot_stage stage;
    char trouble[LINE]; /* why it stands still by itself; "": it does not */
};

/* Why a VM stands still by itself. */
static const char *trouble_read(struct row *row, const struct json *json,
                                const struct json_node *trouble)
{
    const char *file = json_string(json_get(json, trouble, "file"));
    const char *reason = json_string(json_get(json, trouble, "reason"));
    const struct json_node *full = json_get(json, trouble, "nospace");

    fmt_print(row->trouble, sizeof(row->trouble), "%.200s: %.40s", file ? file : "a disk",
              reason ? reason : "unknown");
    return full && full->kind == JSON_TRUE ? "no-space" : "io-error";
}

static void ask_sandbox(struct client *client, const char *name, char *text, size_t size)
{
    struct err err;
    const struct json_node *answer = client_call(client, name, "query-sandbox", &err);
    const struct json_node *state = answer ? json_get(&client->json, answer, "state") : NULL;

    if (json_string(state))
        fmt_print(text, size, "%s", json_string(state));
}

/* What a process with the name says of itself. */
static const char *ask_state(const struct record *r, struct row *row)
{
    struct client client;
    struct err err;
    const struct json_node *answer, *trouble, *status;
    const char *state = "mute";
    int code = client_open(&client, r, &err);

    if (code)
        return !record_is_alive(r) ? "ended" : code == -ENOTCONN ? "starting" : "mute";
    answer = client_call(&client, r->name, "query-status", &err);
    status = answer ? json_get(&client.json, answer, "status") : NULL;
    trouble = answer ? json_get(&client.json, answer, "trouble") : NULL;
    if (json_string(status))
        state = !strcmp(json_string(status), "paused") ? "paused" : "running";
    if (trouble)
        state = trouble_read(row, &client.json, trouble);
    ask_sandbox(&client, r->name, row->sandbox, sizeof(row->sandbox));
    client_close(&client);
    return state;
}

static bool row_read(struct row *row, const char *name)
{
    static const char *const states[] = {"running", "ended", "died"};
    struct record r;
    struct err err;

    if (record_open(&r, name, &err))
        return false; /* removed meanwhile */
    row->name = name;
    *row->trouble = '\0';
    *row->sandbox = '\0';
    record_read(&r, &row->info);
    row->state = states[row->info.state];
    if (row->info.state == RECORD_RUNNING)
        row->state = ask_state(&r, row);
    record_last_line(&r, row->line, sizeof(row->line));
    fmt_print(row->where, sizeof(row->where), "%s", row->line);
    if (row->info.state == RECORD_RUNNING) {
        boot_stage_read(&r, &row->stage);
        boot_stage_text(&r, row->where, sizeof(row->where));
    }
    record_close(&r);
    return true;
}

static void size_text(u64 bytes, char *text, size_t size)
{
    if (bytes % GIB == 0)
        fmt_print(text, size, "%luG", (unsigned long)(bytes / GIB));
    else
        fmt_print(text, size, "%luM", (unsigned long)(bytes / MIB));
}

static void age_text(s64 from, char *text, size_t size)
{
    s64 s = time(NULL) - from;

    if (s < 120)
        fmt_print(text, size, "%ds", (int)(s < 0 ? 0 : s));
    else if (s < 120 * 60)
        fmt_print(text, size, "%dm", (int)(s / 60));
    else if (s < 48 * 3600)
        fmt_print(text, size, "%dh", (int)(s / 3600));
    else
        fmt_print(text, size, "%dd", (int)(s / 86400));
}

static void print_text(const struct row *row)
{
    char state[32], memory[16], age[16];

    fmt_print(state, sizeof(state), row->info.state == RECORD_ENDED ? "%s (%d)" : "%s", row->state,
              row->info.status);
    size_text(row->info.memory, memory, sizeof(memory));
    age_text(row->info.created, age, sizeof(age));
    printf("%-16s %-12s %5u %7s %5s  %.60s\n", row->name, state, row->info.harts, memory, age,
           *row->trouble ? row->trouble : row->where);
}

static void put_integer(struct json_out *out, const char *key, s64 value)
{
    json_key(out, key);
    json_put_integer(out, value);
}

static void put_string(struct json_out *out, const char *key, const char *value)
{
    json_key(out, key);
    json_put_string(out, value);
}

/* Bytes of this machine's memory that a process has; 0: unknown. */
static u64 resident(s64 pid)
{
    char path[64];
    unsigned long size = 0, pages = 0;
    FILE *file;

    fmt_print(path, sizeof(path), "/proc/%lld/statm", (long long)pid);
    file = fopen(path, "re");
    if (file && fscanf(file, "%lu %lu", &size, &pages) != 2)
        pages = 0;
    if (file)
        fclose(file);
    return pages * (u64)sysconf(_SC_PAGESIZE);
}

static void print_json(const struct row *row, bool first)
{
    const struct record_info *info = &row->info;
    char text[8 * LINE];
    struct json_out out;

    json_out_init(&out, text, sizeof(text));
    json_open(&out, '{');
    put_string(&out, "name", row->name);
    put_string(&out, "state", row->state);
    if (info->state == RECORD_RUNNING)
        put_integer(&out, "pid", info->pid);
    if (info->state == RECORD_RUNNING && *row->stage.name) {
        put_string(&out, "stage", row->stage.name);
        put_integer(&out, "silent", row->stage.silent_s);
    }
    put_integer(&out, "harts", info->harts);
    put_integer(&out, "memory", (s64)info->memory);
    if (info->state == RECORD_RUNNING)
        put_integer(&out, "resident", (s64)resident(info->pid));
    put_integer(&out, "created", info->created);
    if (*row->sandbox)
        put_string(&out, "sandbox", row->sandbox);
    if (info->state == RECORD_ENDED) {
        put_integer(&out, "ended", info->ended);
        put_integer(&out, "status", info->status);
        put_string(&out, "reason", info->reason);
    }
    if (*row->trouble)
        put_string(&out, "trouble", row->trouble);
    put_string(&out, "last_line", row->line);
    json_close(&out, '}');
    printf("%s%s", first ? "[\n  " : ",\n  ", text);
}

int ps_print(const struct options *o, struct err *err)
{
    char(*names)[RECORD_NAME_MAX];
    size_t count;
    bool first = true;
    int r = record_list(&names, &count, err);

    if (r)
        return r;
    if (!o->json && !o->quiet)
        printf("%-16s %-12s %5s %7s %5s  %s\n", "NAME", "STATE", "HARTS", "MEMORY", "AGE",
               "LAST CONSOLE LINE");
    for (size_t i = 0; i < count; i++) {
        struct row row;

        if (!row_read(&row, names[i]) || (row.info.state == RECORD_ENDED && !o->all))
            continue;
        if (o->quiet)
            printf("%s\n", names[i]);
        else if (o->json)
            print_json(&row, first);
        else
            print_text(&row);
        first = false;
    }
    if (o->json && !o->quiet)
        printf(first ? "[]\n" : "\n]\n");
    free(names);
    return 0;
}
