/* SPDX-License-Identifier: BSD-2-Clause */
/* A recipe from a file that describes an image: lines of a word and its value. */
#include "apps/cosm/image.h"

#include "base/fmt.h"
#include "host/file.h"
#include "host/scope.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#define FILE_MAX     (1 * MIB)
#define PACKAGES_MAX 400
#define COPIES_MAX   1000

struct reader {
    struct image_file *file;
    const char *path;
    u32 line, packages;
    FILE *commands;
    char *base; /* what "from" names; NULL: not told yet */
    struct err *err;
};

static int wrong(const struct reader *r, const char *what, const char *value)
{
    return err_set(r->err, EINVAL, "%.200s, line %u: '%.80s' %s", r->path, r->line, value, what);
}

static int take_name(struct reader *r, char *value)
{
    struct err ignored;

    if (image_check_name(value, r->file->recipe.name, &ignored))
        return wrong(r,
                     "is no name of an image; give letters, digits, '.', '_' and '-', and perhaps "
                     "':' and a tag",
                     value);
    return 0;
}

static int take_from(struct reader *r, char *value)
{
    struct recipe ignored;

    if (!build_from(&ignored, value))
        return wrong(r,
                     "is nothing to begin with; give debian or minimal, and perhaps a suite, as in "
                     "debian:sid",
                     value);
    r->base = value;
    return 0;
}

static int add_package(struct reader *r, const char *name)
{
    size_t len = strlen(name);

    if (strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789+.-") != len || name[0] == '-' ||
        name[0] == '+' || name[0] == '.' || name[len - 1] == '-' || name[len - 1] == '+')
        return wrong(r, "is no name of a package", name);
    if (r->packages == PACKAGES_MAX)
        return wrong(r, "is one package too many", name);
    r->file->packages[r->packages++] = name;
    return 0;
}

static int take_packages(struct reader *r, char *value)
{
    char *rest = NULL;
    int code = 0;

    for (char *name = strtok_r(value, " \t,", &rest); name && !code;
         name = strtok_r(NULL, " \t,", &rest))
        code = add_package(r, name);
    return code;
}

static int take_size(struct reader *r, char *value)
{
    struct err why;
    u64 size;

    if (vm_config_size(value, MIB, &size, &why) || size < 2 * GIB || size > 2048 * GIB)
        return wrong(r, "is no size of a disk; give 2G to 2T", value);
    r->file->recipe.size = size;
    return 0;
}

/* "FILE /PATH", the file seen from the folder of this one. */
static int take_copy(struct reader *r, char *value)
{
    struct image_file *f = r->file;
    u32 n = f->recipe.copy_count;
    char *to = value + strcspn(value, " \t"), path[PLACE_MAX];
    const char *slash = strrchr(r->path, '/');

    if (*to)
        *to++ = '\0';
    to += strspn(to, " \t");
    if (*to != '/' || strpbrk(to, " \t"))
        return wrong(r, "is not copied anywhere; say: copy FILE /PATH", value);
    if (n == COPIES_MAX)
        return wrong(r, "is one file too many", value);
    if (*value == '/' || !slash)
        fmt_print(path, sizeof(path), "%s", value);
    else
        fmt_print(path, sizeof(path), "%.*s/%s", (int)(slash - r->path), r->path, value);
    f->from[n] = strdup(path);
    if (!f->from[n])
        return err_set(r->err, ENOMEM, "no memory to read '%.300s'", r->path);
    if (access(path, R_OK) < 0)
        return wrong(r, "cannot be read; check the path", path);
    f->copies[n] = (struct recipe_copy){f->from[n], to};
    f->recipe.copy_count++;
    return 0;
}

static int take_run(struct reader *r, char *value)
{
    return fprintf(r->commands, "%s\n", value) < 0 ? -ENOMEM : 0;
}

static int take_line(struct reader *r, char *line)
{
    static const struct {
        const char *word;
        int (*take)(struct reader *r, char *value);
    } words[] = {
        {"name", take_name}, {"from", take_from}, {"packages", take_packages},
        {"size", take_size}, {"copy", take_copy}, {"run", take_run},
    };
    char *value;
    size_t len;

    line += strspn(line, " \t");
    if (!*line || *line == '#')
        return 0;
    len = strcspn(line, " \t");
    value = line + len + strspn(line + len, " \t");
    line[len] = '\0';
    for (len = strlen(value); len && strchr(" \t\r", value[len - 1]);)
        value[--len] = '\0';
    for (u32 i = 0; i < ARRAY_SIZE(words); i++) {
        if (!strcmp(words[i].word, line))
            return *value ? words[i].take(r, value) : wrong(r, "needs a value", line);
    }
    return wrong(r, "is not known; give name, from, packages, size, copy or run", line);
}

static int take_lines(struct reader *r)
{
    char *rest = r->file->text;
    int code = 0;

    while (rest && !code) {
        char *line = strsep(&rest, "\n");

        r->line++;
        code = take_line(r, line);
    }
    return code;
}

/* What the file begins with goes below what it says. */
static int finish(struct reader *r)
{
    struct recipe base, *recipe = &r->file->recipe;

    if (!recipe->name[0])
        return err_set(r->err, EINVAL, "%.300s has no line 'name NAME'", r->path);
    if (!build_from(&base, r->base ? r->base : "debian"))
        return -EINVAL;
    for (u32 i = 0; i < base.package_count; i++)
        r->file->packages[r->packages++] = base.packages[i];
    fmt_print(recipe->suite, sizeof(recipe->suite), "%s", base.suite);
    recipe->size = recipe->size ? recipe->size : base.size;
    recipe->packages = r->file->packages;
    recipe->package_count = r->packages;
    recipe->copies = r->file->copies;
    recipe->commands = *r->file->commands ? r->file->commands : NULL;
    return 0;
}

static int read_text(struct image_file *f, const char *path, struct err *err)
{
    u64 size;
    int r = file_read("image build", path, FILE_MAX, (u8 **)&f->text, &size, err);

    if (r)
        return r;
    if (strlen(f->text) != size)
        return err_set(err, EINVAL, "'%.300s' is no text", path);
    return 0;
}

int image_file_read(struct image_file *f, const char *path, struct err *err)
{
    struct reader r = {.file = f, .path = path, .err = err};
    size_t len;
    int code;

    *f = (struct image_file){0};
    code = read_text(f, path, err);
    if (!code) {
        f->packages = calloc(PACKAGES_MAX + 64, sizeof(*f->packages));
        f->copies = calloc(COPIES_MAX, sizeof(*f->copies));
        f->from = calloc(COPIES_MAX, sizeof(*f->from));
        r.commands = open_memstream(&f->commands, &len);
        if (!f->packages || !f->copies || !f->from || !r.commands)
            code = err_set(err, ENOMEM, "no memory to read '%.300s'", path);
    }
    if (!code)
        code = take_lines(&r);
    if (r.commands && fclose(r.commands) && !code)
        code = err_set(err, ENOMEM, "no memory to read '%.300s'", path);
    if (!code)
        code = finish(&r);
    if (code)
        image_file_free(f);
    return code;
}

void image_file_free(struct image_file *f)
{
    for (u32 i = 0; f->from && i < COPIES_MAX; i++)
        free(f->from[i]);
    free(f->from);
    free(f->copies);
    free(f->packages);
    free(f->commands);
    free(f->text);
    *f = (struct image_file){0};
}
