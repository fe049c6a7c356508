/* SPDX-License-Identifier: BSD-2-Clause */
/* cosm metal trace: where a trace comes from, and its records as text. */
#include "apps/cosm/metal_trace.h"

#include "api/json.h"
#include "apps/cosm/demux.h"
#include "apps/cosm/metal_board.h"
#include "base/fmt.h"
#include "host/scope.h"
#include "plan/plan.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#define LINE_BYTES    128
#define VIRT_TIMEBASE 10000000

/* Hexadecimal digits up to a space or the end; NULL: it is none, or larger than max. */
static const char *read_hex(const char *text, u64 max, u64 *value)
{
    const char *at = text;

    for (*value = 0; (*at >= '0' && *at <= '9') || (*at >= 'a' && *at <= 'f'); at++) {
        if (*value >> 60)
            return NULL;
        *value = *value << 4 | (u64)(*at <= '9' ? *at - '0' : *at - 'a' + 10);
    }
    if (at == text || *value > max || (*at && *at != ' '))
        return NULL;
    return *at ? at + 1 : at;
}

bool trace_line_read(const char *text, struct trace_line *line)
{
    static const u64 max[] = {METAL_HARTS_MAX - 1, UINT64_MAX, INT64_MAX,
                              UINT32_MAX,          UINT32_MAX, UINT64_MAX};
    u64 value[ARRAY_SIZE(max)];
    bool more = true;

    memset(line, 0, sizeof(*line));
    if (!strncmp(text, "time ", 5)) {
        text = read_hex(text + 5, INT64_MAX, &line->record.time);
        return text && !*text;
    }
    if (strncmp(text, "trace ", 6) != 0)
        return false;
    text += 6;
    for (u32 i = 0; i < ARRAY_SIZE(max); i++) {
        text = more ? read_hex(text, max[i], &value[i]) : NULL;
        if (!text)
            return false;
        more = text[-1] == ' ';
    }
    line->hart = (u32)value[0];
    line->record =
        (struct trace_record){value[2], (u32)value[3], (u32)value[4], value[5], value[1]};
    return !more && line->record.kind != TRACE_TIME;
}

/* ---- Sources ---- */

/* Lines of those who may monitor, put together. */
struct reader {
    struct trace_source *source;
    struct demux demux;
    char line[METAL_PARTITIONS_MAX + 2][LINE_BYTES];
    size_t len[METAL_PARTITIONS_MAX + 2];
    u64 number[METAL_HARTS_MAX]; /* the last one of each hart */
    bool live;
};

static void take_text(void *ctx, u32 who, bool begins, const u8 *bytes, size_t len)
{
    struct reader *r = ctx;

    if (begins)
        r->len[who] = 0;
    for (size_t i = 0; i < len; i++) {
        if (r->len[who] + 1 < LINE_BYTES && bytes[i] >= ' ' && bytes[i] <= '~')
            r->line[who][r->len[who]++] = (char)bytes[i];
    }
    r->line[who][r->len[who]] = '\0';
}

/* Without a configuration there are no names, and who prints such lines is believed. */
static const char *text_of(const struct reader *r, u32 who)
{
    const struct metal_config *c = &r->source->config;
    const char *text = r->line[who], *end;

    if (!r->source->configured) {
        end = *text == '[' ? strstr(text, "] ") : NULL;
        return end ? end + 2 : text;
    }
    return who < c->partition_count && c->partition[who].rights & METAL_MAY_MONITOR ? text : "";
}

static void take_line(void *ctx, u32 who)
{
    struct reader *r = ctx;
    struct trace_line line;

    if (who == DEMUX_METAL && r->live)
        fprintf(stderr, "[metal] %s\n", r->line[who]);
    if (!trace_line_read(text_of(r, who), &line))
        return;
    if (line.record.kind != TRACE_TIME) {
        u64 *number = &r->number[line.hart];

        /* A number that goes back: the board began anew. */
        if (line.record.number > *number + 1)
            line.lost = line.record.number - *number - 1;
        *number = line.record.number;
    }
    r->source->line(r->source->ctx, &line);
}

static int read_all(struct reader *r, int fd, const char *name, struct err *err)
{
    u8 bytes[16 * KIB];

    for (;;) {
        ssize_t n = read(fd, bytes, sizeof(bytes));

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return err_set(err, errno, "cannot read '%s': %s", name, strerror(errno));
        if (n == 0)
            return 0;
        demux_write(&r->demux, bytes, (size_t)n);
        if (fflush(stdout) || ferror(stdout))
            return err_set(err, EIO, "cannot write to standard output: %s", strerror(errno));
    }
}

static int run_file(struct reader *r, const char *path, struct err *err)
{
    bool is_input = !strcmp(path, "-");
    AUTO_FD int fd = is_input ? -1 : open(path, O_RDONLY | O_CLOEXEC);

    if (fd < 0 && !is_input)
        return err_set(err, errno, "--from: '%s' cannot be read: %s; check the path", path,
                       strerror(errno));
    return read_all(r, is_input ? STDIN_FILENO : fd, path, err);
}

static int run_board(struct reader *r, const struct options *o, struct err *err)
{
    struct metal_board_run board;
    struct err how;
    int status;

    status = metal_board_start(&board, o, STDERR_FILENO, err);
    if (!status) {
        r->source->config = board.config;
        r->live = true;
        status = read_all(r, board.serial, "the board's serial line", err);
    }
    if (metal_board_stop(&board, status != 0, &how) && !status)
        status = err_set(err, ECHILD, "%s", how.msg);
    return status;
}

int trace_source_run(struct trace_source *source, const struct options *o, struct err *err)
{
    AUTO_FREE struct reader *r = calloc(1, sizeof(*r));
    const char *path = o->operands > 1 && o->before_rest > 1 ? o->operand[1] : NULL;
    AUTO_FREE u8 *image = NULL;
    u64 size;
    int status = 0;

    if (!r)
        return err_set(err, ENOMEM, "no memory for a trace");
    r->source = source;
    source->configured = path;
    demux_init(&r->demux, path ? &source->config : NULL, r);
    r->demux.text = take_text;
    r->demux.ended = take_line;
    if (!o->metal.from)
        return path ? run_board(r, o, err)
                    : err_set(err, EINVAL, "give a configuration to run, or --from FILE");
    if (path)
        status = metal_config_load(o, path, &source->config, &image, &size, err);
    return status ? status : run_file(r, o->metal.from, err);
}

u64 trace_timebase(const struct trace_source *s)
{
    return s->configured ? s->config.board.timebase : VIRT_TIMEBASE;
}

const char *trace_partition_name(const struct trace_source *s, u32 partition,
                                 char name[TRACE_NAME_MAX])
{
    if (s->configured && partition < s->config.partition_count)
        return s->config.partition[partition].name;
    fmt_print(name, TRACE_NAME_MAX, "partition %u", partition);
    return name;
}

const char *trace_vcpu_name(const struct trace_source *s, u32 vcpu, char name[TRACE_NAME_MAX])
{
    const struct metal_config *c = &s->config;

    if (vcpu == METAL_NONE)
        return "idle";
    if (!s->configured || vcpu >= c->vcpu_count)
        fmt_print(name, TRACE_NAME_MAX, "vCPU %u", vcpu);
    else if (c->partition[c->vcpu[vcpu].partition].vcpu_count == 1)
        return c->partition[c->vcpu[vcpu].partition].name;
    else
        fmt_print(name, TRACE_NAME_MAX, "%s/%u", c->partition[c->vcpu[vcpu].partition].name,
                  c->vcpu[vcpu].number);
    return name;
}

const char *trace_duration(const struct trace_source *s, u64 ticks, char text[TRACE_NAME_MAX])
{
    double us = (double)ticks * 1e6 / (double)trace_timebase(s);

    if (us < 1000)
        snprintf(text, TRACE_NAME_MAX, "%.1f us", us);
    else if (us < 1e6)
        snprintf(text, TRACE_NAME_MAX, "%.2f ms", us / 1e3);
    else
        snprintf(text, TRACE_NAME_MAX, "%.2f s", us / 1e6);
    return text;
}

/* ---- cosm metal trace ---- */

static const char *health_name(const char *(*name)(u32), u32 number)
{
    const char *known = name(number);

    return known ? known : "?";
}

static void print_what(const struct trace_source *s, const struct trace_record *t)
{
    char name[TRACE_NAME_MAX], time[TRACE_NAME_MAX];
    u64 late = t->time > t->detail ? t->time - t->detail : 0;

    switch (t->kind) {
    case TRACE_SLOT:
        printf("%s", trace_vcpu_name(s, t->what, name));
        if (late && t->what != METAL_NONE)
            printf(", %s after its time", trace_duration(s, late, time));
        break;
    case TRACE_HEALTH:
        printf("%s: %s at 0x%llx: %s", trace_partition_name(s, t->what >> 16, name),
               health_name(plan_event_name, t->what >> 8 & 0xff), (unsigned long long)t->detail,
               health_name(plan_action_name, t->what & 0xff));
        break;
    case TRACE_LOADED:
        printf("%s: begins, %s after its halt or the board's start",
               trace_partition_name(s, t->what, name), trace_duration(s, t->detail, time));
        break;
    case TRACE_PLAN:
        if (s->configured && t->what < s->config.plan_count)
            printf("plan %s", s->config.plan[t->what].name);
        else
            printf("plan %u", t->what);
        break;
    default:
        printf("kind %u, what 0x%x, detail 0x%llx", t->kind, t->what,
               (unsigned long long)t->detail);
        break;
    }
}

static void print_text(void *ctx, const struct trace_line *line)
{
    const struct trace_source *s = ctx;
    const struct trace_record *t = &line->record;

    if (t->kind == TRACE_TIME)
        return;
    if (line->lost)
        printf("%14s  hart %u  %llu records were not read in time\n", "", line->hart,
               (unsigned long long)line->lost);
    printf("%14.7f  hart %u  ", (double)t->time / (double)trace_timebase(s), line->hart);
    print_what(s, t);
    putchar('\n');
}

static void put(struct json_out *out, const char *key, u64 value)
{
    json_key(out, key);
    json_put_integer(out, (s64)(value & INT64_MAX));
}

static void put_name(struct json_out *out, const char *key, const char *value)
{
    json_key(out, key);
    json_put_string(out, value);
}

static void put_slot(const struct trace_source *s, const struct trace_record *t,
                     struct json_out *out)
{
    char name[TRACE_NAME_MAX];

    put_name(out, "kind", "slot");
    if (t->what != METAL_NONE) {
        put(out, "vcpu", t->what);
        put_name(out, "owner", trace_vcpu_name(s, t->what, name));
    }
    put(out, "due", t->detail);
}

static void put_what(const struct trace_source *s, const struct trace_record *t,
                     struct json_out *out)
{
    char name[TRACE_NAME_MAX];

    switch (t->kind) {
    case TRACE_SLOT:
        put_slot(s, t, out);
        break;
    case TRACE_HEALTH:
        put_name(out, "kind", "health");
        put_name(out, "partition", trace_partition_name(s, t->what >> 16, name));
        put_name(out, "event", health_name(plan_event_name, t->what >> 8 & 0xff));
        put_name(out, "action", health_name(plan_action_name, t->what & 0xff));
        put(out, "address", t->detail);
        break;
    case TRACE_LOADED:
        put_name(out, "kind", "loaded");
        put_name(out, "partition", trace_partition_name(s, t->what, name));
        put(out, "halted_for", t->detail);
        break;
    case TRACE_PLAN:
        put_name(out, "kind", "plan");
        put(out, "plan", t->what);
        break;
    default:
        put(out, "kind", t->kind);
        put(out, "what", t->what);
        put(out, "detail", t->detail);
        break;
    }
}

static void print_json(void *ctx, const struct trace_line *line)
{
    const struct trace_source *s = ctx;
    char text[512];
    struct json_out out;

    if (line->record.kind == TRACE_TIME)
        return;
    json_out_init(&out, text, sizeof(text));
    json_open(&out, '{');
    put(&out, "time", line->record.time);
    put(&out, "hart", line->hart);
    put(&out, "number", line->record.number);
    if (line->lost)
        put(&out, "lost", line->lost);
    put_what(s, &line->record, &out);
    json_close(&out, '}');
    printf("%s\n", text);
}

int metal_trace(const struct options *o, struct err *err)
{
    AUTO_FREE struct trace_source *s = calloc(1, sizeof(*s));

    if (!s)
        return err_set(err, ENOMEM, "no memory for a trace");
    s->line = o->json ? print_json : print_text;
    s->ctx = s;
    return trace_source_run(s, o, err);
}
