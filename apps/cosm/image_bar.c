/* SPDX-License-Identifier: BSD-2-Clause */
/* How far the making of an image is, on standard error. */
#include "apps/cosm/image.h"

#include "base/fmt.h"
#include "host/clock.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define BAR      30                  /* characters */
#define OFTEN_NS UINT64_C(100000000) /* between two pictures of a stage */

/* What a stage is to people, and what is counted in it. */
static const struct {
    const char *stage, *text;
    bool bytes;
} stages[] = {
    {"index", "Fetch the list of packages", false}, {"download", "Fetch packages", true},
    {"decompress", "Decompress packages", false},   {"start", "Start the installer", false},
    {"essential", "Install the essential", false},  {"unpack", "Unpack packages", false},
    {"configure", "Configure packages", false},     {"commands", "Run commands", false},
    {"kernel", "Prepare to boot", false},           {"seal", "Seal the image", false},
};

static const char *stage_text(const char *stage, bool *bytes)
{
    *bytes = false;
    for (u32 i = 0; i < ARRAY_SIZE(stages); i++) {
        if (strcmp(stages[i].stage, stage))
            continue;
        *bytes = stages[i].bytes;
        return stages[i].text;
    }
    return stage;
}

static void draw(const struct image_bar *b, u64 done, u64 total, const char *what)
{
    static const char full[BAR + 1] = "##############################";
    int filled = b->percent < 0 ? 0 : b->percent * BAR / 100;
    char count[64] = "";
    bool bytes;
    const char *text = stage_text(b->stage, &bytes);

    if (bytes)
        fmt_print(count, sizeof(count), "%llu of %llu MB", (unsigned long long)(done / 1000000),
                  (unsigned long long)((total + 999999) / 1000000));
    else if (total && total != 100)
        fmt_print(count, sizeof(count), "%llu of %llu", (unsigned long long)done,
                  (unsigned long long)total);
    if (b->terminal)
        fprintf(stderr, "\r%-26s [%-*.*s] %s%s%.40s\033[K", text, BAR, filled, full, count,
                *what ? " " : "", what);
    else
        fprintf(stderr, "%s%s%s ...\n", text, *count ? ": " : "",
                *count ? strchr(count, 'f') + 2 : "");
    fflush(stderr);
}

static bool tell(void *ctx, const char *stage, u64 done, u64 total, const char *what)
{
    struct image_bar *b = ctx;
    u64 now = host_monotonic_ns();
    bool fresh = strcmp(b->stage, stage) != 0;

    b->percent = total ? (int)((double)done / (double)total * 100) : -1;
    if (b->quiet || (!fresh && (!b->terminal || now - b->drawn_ns < OFTEN_NS)))
        return true;
    if (fresh && b->terminal && *b->stage) {
        char last[32];

        memcpy(last, b->stage, sizeof(last));
        b->percent = 100;
        draw(b, 0, 0, "");
        fputc('\n', stderr);
        b->percent = total ? (int)((double)done / (double)total * 100) : -1;
    }
    fmt_print(b->stage, sizeof(b->stage), "%s", stage);
    b->drawn_ns = now;
    draw(b, done, total, what);
    return true;
}

static void warn(void *ctx, const char *text)
{
    struct image_bar *b = ctx;

    image_bar_end(b);
    fprintf(stderr, "cosm: %s\n", text);
    b->stage[0] = '\0';
}

struct progress image_bar_begin(struct image_bar *b, bool quiet)
{
    *b = (struct image_bar){.quiet = quiet,
                            .terminal = isatty(STDERR_FILENO),
                            .percent = -1,
                            .start_ns = host_monotonic_ns()};
    return (struct progress){tell, warn, b};
}

void image_bar_end(struct image_bar *b)
{
    if (!b->quiet && b->terminal && *b->stage)
        fputc('\n', stderr);
}
