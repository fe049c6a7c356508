/* SPDX-License-Identifier: BSD-2-Clause */
/* Which records there are, and the last line of a VM's console. */
#include "api/record.h"

#include "base/fmt.h"
#include "host/scope.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#define TAIL 4096

static int by_name(const void *a, const void *b)
{
    return strverscmp(a, b);
}

/* Grows the list by doubling. */
static bool append(char (**names)[RECORD_NAME_MAX], size_t *count, const char *name)
{
    char(*more)[RECORD_NAME_MAX] = *names;

    if ((*count & (*count - 1)) == 0)
        more = realloc(*names, (*count ? *count * 2 : 1) * sizeof(**names));
    if (!more)
        return false;
    *names = more;
    fmt_print(more[(*count)++], RECORD_NAME_MAX, "%s", name);
    return true;
}

int record_list(char (**names)[RECORD_NAME_MAX], size_t *count, struct err *err)
{
    int store = dirs_open_state(err);
    struct dirent *entry;
    struct err why;
    bool fits = true;
    DIR *dir;

    *names = NULL;
    *count = 0;
    if (store < 0)
        return store;
    dir = fdopendir(store);
    if (!dir) {
        close(store);
        return err_set(err, ENOMEM, "cannot list VMs: %s", strerror(errno));
    }
    while (fits && (entry = readdir(dir))) {
        if (!record_check_name(entry->d_name, &why))
            fits = append(names, count, entry->d_name);
    }
    closedir(dir);
    if (!fits) {
        free(*names);
        *names = NULL;
        return err_set(err, ENOMEM, "no memory to list VMs");
    }
    if (*count)
        qsort(*names, *count, sizeof(**names), by_name);
    return 0;
}

/*
 * Length of an escape sequence at p (ECMA-48, 5.4 to 5.6): CSI to its final byte; a control string
 * (DCS, OSC and the like) to ST or, as terminals take it, BEL; else to the first byte that is no
 * intermediate one.
 */
static size_t escape_len(const char *p, size_t len)
{
    bool is_string = len > 1 && p[1] && strchr("P]X^_", p[1]);
    bool is_csi = len > 1 && p[1] == '[';
    size_t n = is_string || is_csi ? 2 : 1;

    if (is_string) {
        while (n < len && p[n] != '\a' && (p[n] != 0x1b || n + 1 == len || p[n + 1] != '\\'))
            n++;
        return n < len && p[n] == 0x1b ? n + 2 : n < len ? n + 1 : n;
    }
    while (n < len && (is_csi ? p[n] < 0x40 || p[n] > 0x7e : p[n] >= 0x20 && p[n] < 0x30))
        n++;
    return n < len ? n + 1 : n;
}

/* Only printable ASCII: what a guest prints must not reach a terminal through a table. */
static size_t clean(const char *text, size_t len, char *line, size_t size)
{
    size_t n = 0;

    for (size_t i = 0; i < len && n + 1 < size; i++) {
        if (text[i] == 0x1b)
            i += escape_len(text + i, len - i) - 1;
        else if (text[i] >= ' ' && text[i] < 0x7f)
            line[n++] = text[i];
        else if (text[i] == '\t')
            line[n++] = ' ';
    }
    while (n && line[n - 1] == ' ')
        n--;
    line[n] = '\0';
    return n;
}

static size_t read_tail(const struct record *r, const char *name, char *text)
{
    AUTO_FD int fd = openat(r->dir, name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
    struct stat st;
    ssize_t n;

    if (fd < 0 || fstat(fd, &st) < 0)
        return 0;
    n = pread(fd, text, TAIL, st.st_size > TAIL ? st.st_size - TAIL : 0);
    return n > 0 ? (size_t)n : 0;
}

void record_last_line(const struct record *r, char *line, size_t size)
{
    static const char *const names[] = {"console.log", "console.log.1"};
    char text[TAIL];

    line[0] = '\0';
    for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
        size_t end = read_tail(r, names[i], text);

        while (end) {
            size_t start = end;

            while (start && text[start - 1] != '\n')
                start--;
            if (clean(text + start, end - start, line, size))
                return;
            end = start ? start - 1 : 0;
        }
    }
}

bool record_name_of(long pid, char *name, size_t size)
{
    char(*names)[RECORD_NAME_MAX];
    struct record_info info;
    struct record r;
    struct err err;
    size_t count;
    bool found = false;

    if (record_list(&names, &count, &err))
        return false;
    for (size_t i = 0; i < count && !found; i++) {
        if (record_open(&r, names[i], &err))
            continue;
        record_read(&r, &info);
        found = info.state == RECORD_RUNNING && info.pid == pid;
        record_close(&r);
        if (found)
            fmt_print(name, size, "%s", names[i]);
    }
    free(names);
    return found;
}
