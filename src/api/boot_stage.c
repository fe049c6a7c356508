/* SPDX-License-Identifier: BSD-2-Clause */
/* How far a guest is with its boot, guessed from what its console showed. */
#include "api/boot_stage.h"

#include "base/fmt.h"
#include "host/scope.h"

#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#define TAIL (256 * KIB) /* of the log that is looked at */

/* What a stage prints when it begins. */
static const struct {
    const char *text, *stage;
} signs[] = {
    {"OpenSBI v", "firmware"},
    {"U-Boot 20", "boot loader"},
    {"Starting kernel ...", "kernel"},
    {"Linux version ", "kernel"},
    {"Run /init as init process", "initial file system"},
    {"Loading, please wait...", "initial file system"},
    {"Run /sbin/init as init process", "init"},
    {"systemd[1]: systemd ", "init"},
    {"Welcome to ", "init"},
    {" login: ", "login"},
    {"Kernel panic - not syncing", "kernel panic"},
};

static size_t read_tail(const struct record *r, char *text, u32 *silent_s)
{
    AUTO_FD int fd = openat(r->dir, "console.log", O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
    time_t now = time(NULL);
    struct stat st;
    ssize_t n;

    *silent_s = 0;
    if (fd < 0 || fstat(fd, &st) < 0)
        return 0;
    if (now > st.st_mtime)
        *silent_s = (u32)(now - st.st_mtime);
    n = pread(fd, text, TAIL, st.st_size > (off_t)TAIL ? st.st_size - (off_t)TAIL : 0);
    return n > 0 ? (size_t)n : 0;
}

/* The last place of a text, or -1. */
static ssize_t find_last(const char *in, size_t len, const char *text)
{
    const char *at = NULL, *from = in;
    size_t n = strlen(text);

    while ((from = memmem(from, len - (size_t)(from - in), text, n)))
        at = from++;
    return at ? at - in : -1;
}

static bool is_prompt(const char *line)
{
    size_t len = strlen(line);

    return len && strchr("#$>", line[len - 1]);
}

void boot_stage_read(const struct record *r, struct boot_stage *stage)
{
    AUTO_FREE char *text = malloc(TAIL);
    ssize_t last = -1;
    char line[256];
    size_t len;

    *stage = (struct boot_stage){.name = ""};
    if (!text)
        return;
    len = read_tail(r, text, &stage->silent_s);
    for (u32 i = 0; i < ARRAY_SIZE(signs); i++) {
        ssize_t at = find_last(text, len, signs[i].text);

        if (at > last) {
            last = at;
            stage->name = signs[i].stage;
        }
    }
    record_last_line(r, line, sizeof(line));
    if (*stage->name && strcmp(stage->name, "boot loader") && is_prompt(line))
        stage->name = "login";
}

void boot_stage_text(const struct record *r, char *text, size_t size)
{
    struct boot_stage stage;
    char line[256];

    record_last_line(r, line, sizeof(line));
    boot_stage_read(r, &stage);
    if (!*stage.name || !strcmp(stage.name, "login"))
        fmt_print(text, size, "%s", line);
    else if (stage.silent_s >= BOOT_SILENT_S)
        fmt_print(text, size, "%s, silent for %u s: %s", stage.name, stage.silent_s, line);
    else
        fmt_print(text, size, "%s: %s", stage.name, line);
}
