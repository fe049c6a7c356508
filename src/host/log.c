/* SPDX-License-Identifier: BSD-2-Clause */
/* Where log lines go: standard error or a file, filtered by level and subsystem. */
#include "host/log.h"

#include "base/fmt.h"
#include "host/clock.h"
#include "host/scope.h"
#include "host/tty.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <string.h>

#define FILTERS_MAX   16
#define SUBSYSTEM_MAX 24
#define LOG_PATH_MAX  4096

struct log_filter {
    char subsystem[SUBSYSTEM_MAX];
    enum log_level level;
};

struct log_spec {
    enum log_level level; /* of subsystems without a filter */
    struct log_filter filter[FILTERS_MAX];
    u32 count;
    char path[LOG_PATH_MAX]; /* "": standard error */
};

struct log_sink {
    struct log log;
    struct log_spec spec;
    int fd;
    u64 start_ns;
    void (*line)(void *ctx, const char *text, size_t len);
    void *ctx;
    pthread_mutex_t mutex; /* held while a line is written: lines stay whole */
};

static const char *const level_names[] = {"error", "warn", "info", "debug"};

static bool log_level_parse(const char *text, size_t len, enum log_level *level)
{
    for (u32 i = 0; i < ARRAY_SIZE(level_names); i++) {
        if (strlen(level_names[i]) == len && !memcmp(text, level_names[i], len)) {
            *level = (enum log_level)i;
            return true;
        }
    }
    return false;
}

static int log_spec_file(struct log_spec *spec, const char *path, size_t len, struct err *err)
{
    if (!len || len >= sizeof(spec->path))
        return err_set(err, EINVAL, "'file=' needs a path");
    memcpy(spec->path, path, len);
    spec->path[len] = '\0';
    return 0;
}

static int log_spec_item(struct log_spec *spec, const char *item, size_t len, struct err *err)
{
    const char *equals = memchr(item, '=', len);
    size_t name_len = equals ? (size_t)(equals - item) : 0;
    struct log_filter *filter = &spec->filter[spec->count];
    enum log_level level;

    if (name_len == 4 && !memcmp(item, "file", 4))
        return log_spec_file(spec, item + 5, len - 5, err);
    if (!log_level_parse(equals ? equals + 1 : item, equals ? len - name_len - 1 : len, &level))
        return err_set(err, EINVAL,
                       "'%.*s' has no level; give error, warn, info or debug, SUBSYSTEM=LEVEL or "
                       "file=PATH",
                       (int)(len < 64 ? len : 64), item);
    if (!equals) {
        spec->level = level;
        return 0;
    }
    if (!name_len || name_len >= SUBSYSTEM_MAX || spec->count == FILTERS_MAX)
        return err_set(err, EINVAL, "'%.*s' is no subsystem, or there are more than %d of them",
                       (int)(name_len < 64 ? name_len : 64), item, FILTERS_MAX);
    memcpy(filter->subsystem, item, name_len);
    filter->subsystem[name_len] = '\0';
    filter->level = level;
    spec->count++;
    return 0;
}

static int log_spec_parse(struct log_spec *spec, const char *text, struct err *err)
{
    memset(spec, 0, sizeof(*spec));
    spec->level = LOG_WARN;
    while (text && *text) {
        size_t len = strcspn(text, ",");
        int rc = log_spec_item(spec, text, len, err);

        if (rc)
            return rc;
        text += len + (text[len] == ',');
    }
    return 0;
}

int log_spec_check(const char *text, struct err *err)
{
    struct log_spec spec;

    return log_spec_parse(&spec, text, err);
}

/* A guest may have chosen parts of the text: nothing in it may drive the terminal. */
static size_t log_copy_clean(char *to, size_t room, const char *text)
{
    size_t n;

    for (n = 0; text[n] && n < room; n++)
        to[n] = (unsigned char)text[n] < ' ' || text[n] == 0x7F ? '?' : text[n];
    return n;
}

static void log_sink_emit(struct log_sink *sink, char *line, size_t len)
{
    bool is_stderr = sink->fd == STDERR_FILENO;

    pthread_mutex_lock(&sink->mutex);
    if (is_stderr && sink->line) {
        sink->line(sink->ctx, line, len);
    } else {
        if (is_stderr && tty_is_raw())
            line[len++] = '\r';
        line[len++] = '\n';
        if (write(sink->fd, line, len) < 0)
            len = 0; /* a log that cannot be written has nowhere to say so */
    }
    pthread_mutex_unlock(&sink->mutex);
}

static void log_sink_write(void *ctx, enum log_level level, const char *subsystem, const char *text)
{
    struct log_sink *sink = ctx;
    enum log_level limit = sink->spec.level;
    char line[640];
    size_t len;

    for (u32 i = 0; i < sink->spec.count; i++) {
        if (!strcmp(sink->spec.filter[i].subsystem, subsystem))
            limit = sink->spec.filter[i].level;
    }
    if (level > limit)
        return;
    if (sink->fd == STDERR_FILENO) {
        len = fmt_print(line, sizeof(line), "cosm: %s: %.24s: ", level_names[level], subsystem);
    } else {
        u64 us = (host_monotonic_ns() - sink->start_ns) / 1000;
        len = fmt_print(line, sizeof(line),
                        "%5llu.%06llu %-5s %.24s: ", (unsigned long long)(us / 1000000),
                        (unsigned long long)(us % 1000000), level_names[level], subsystem);
    }
    len += log_copy_clean(line + len, sizeof(line) - len - 2, text);
    log_sink_emit(sink, line, len);
}

static enum log_level log_spec_max(const struct log_spec *spec)
{
    enum log_level max = spec->level;

    for (u32 i = 0; i < spec->count; i++) {
        if (spec->filter[i].level > max)
            max = spec->filter[i].level;
    }
    return max;
}

int log_sink_create(struct log_sink **out, const char *spec, struct err *err)
{
    AUTO_FREE struct log_sink *sink = calloc(1, sizeof(*sink));
    int rc;

    if (!sink)
        return err_set(err, ENOMEM, "no memory for the log");
    rc = log_spec_parse(&sink->spec, spec, err);
    if (rc)
        return rc;
    sink->fd = STDERR_FILENO;
    if (*sink->spec.path) {
        sink->fd = open(sink->spec.path, O_WRONLY | O_CREAT | O_APPEND | O_TRUNC | O_CLOEXEC, 0666);
        if (sink->fd < 0) {
            int code = errno;
            return err_set(err, code, "--log: cannot write '%s': %s", sink->spec.path,
                           strerror(code));
        }
    }
    sink->log = (struct log){log_sink_write, sink, log_spec_max(&sink->spec)};
    sink->start_ns = host_monotonic_ns();
    pthread_mutex_init(&sink->mutex, NULL);
    *out = steal(sink);
    return 0;
}

void log_sink_destroy(struct log_sink *sink)
{
    if (!sink)
        return;
    if (sink->fd != STDERR_FILENO)
        close(sink->fd);
    pthread_mutex_destroy(&sink->mutex);
    free(sink);
}

const struct log *log_sink_log(struct log_sink *sink)
{
    return &sink->log;
}

void log_sink_redirect(struct log_sink *sink, void (*line)(void *ctx, const char *text, size_t len),
                       void *ctx)
{
    sink->line = line;
    sink->ctx = ctx;
}
