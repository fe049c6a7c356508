/* SPDX-License-Identifier: BSD-2-Clause */
/* Debian's archive through the machine's own apt-get, on a root of its own. */
#include "store/apt.h"

#include "base/fmt.h"
#include "host/child.h"
#include "host/file.h"
#include "host/scope.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define KEYRING  "/usr/share/keyrings/debian-archive-keyring.gpg"
#define SOURCE   "deb [arch=riscv64 signed-by=" KEYRING "]"
#define ARGS_MAX 512

/* The words of one apt-get, up to NULL. */
struct words {
    const char *word[ARGS_MAX];
    u32 count;
};

static void say(struct words *w, const char *word)
{
    if (w->count + 1 < ARGS_MAX)
        w->word[w->count++] = word;
    w->word[w->count] = NULL;
}

static int apt_get(const struct apt *apt, const struct words *w, struct child *child,
                   struct err *err)
{
    char *env[] = {(char *)(uintptr_t)apt->config, (char *)(uintptr_t) "LC_ALL=C", NULL};

    if (w->count + 1 == ARGS_MAX)
        return err_set(err, E2BIG, "more than %d packages are asked for", ARGS_MAX - 32);
    child->argv = (char *const *)(uintptr_t)w->word;
    child->env = env;
    child->package = "apt-get install apt";
    return child_run(child, err);
}

/* "RELEASE URI", a line an index of main: the first of the release itself, and of its security. */
static bool take_mirror(void *ctx, char *line)
{
    struct apt *apt = ctx;
    char *uri = strchr(line, ' ');
    char *to;

    if (!uri || !strncmp(uri + 1, "cdrom:", 6) || strlen(uri + 1) >= APT_URI_MAX)
        return true;
    *uri++ = '\0';
    if (strpbrk(uri, " \"'\\\n"))
        return true;
    to = strstr(line, "-security") ? apt->security : strchr(line, '-') ? NULL : apt->mirror;
    if (to && !*to)
        fmt_print(to, APT_URI_MAX, "%s", uri);
    return true;
}

static int find_mirror(struct apt *apt, struct err *err)
{
    char *argv[] = {(char *)(uintptr_t) "apt-get",
                    (char *)(uintptr_t) "indextargets",
                    (char *)(uintptr_t) "--format",
                    (char *)(uintptr_t) "$(RELEASE) $(REPO_URI)",
                    (char *)(uintptr_t) "Created-By: Packages",
                    (char *)(uintptr_t) "Component: main",
                    NULL};
    struct child child = {
        .argv = argv, .line = take_mirror, .ctx = apt, .package = "apt-get install apt"};
    int r = child_run(&child, err);

    if (r == -ENOENT)
        return err_set(err, ENOENT,
                       "apt-get is missing: Debian's packages come by the machine's own apt; on "
                       "another system install apt and dpkg, and name a mirror in /etc/apt");
    if (r)
        return r;
    if (!*apt->mirror)
        return err_set(err, ENOENT,
                       "apt's sources name no Debian archive with the component main; add one to "
                       "/etc/apt/sources.list");
    return 0;
}

/*
 * A machine whose mirror is behind the times is told not to mind, and its images are of the same.
 * Each line is a variable, SETTING='false'.
 */
static bool take_setting(void *ctx, char *line)
{
    struct apt *apt = ctx;
    char *equals = strchr(line, '=');
    size_t len = strlen(apt->options);

    if (!equals || strcmp(equals, "='false'"))
        return true;
    fmt_print(apt->options + len, sizeof(apt->options) - len, "Check-%s: no\n",
              line[0] == 'v' ? "Valid-Until" : "Date");
    return true;
}

static int find_settings(struct apt *apt, struct err *err)
{
    char *argv[] = {(char *)(uintptr_t) "apt-config",
                    (char *)(uintptr_t) "shell",
                    (char *)(uintptr_t) "valid",
                    (char *)(uintptr_t) "Acquire::Check-Valid-Until/b",
                    (char *)(uintptr_t) "date",
                    (char *)(uintptr_t) "Acquire::Check-Date/b",
                    NULL};
    struct child child = {
        .argv = argv, .line = take_setting, .ctx = apt, .package = "apt-get install apt"};

    return child_run(&child, err);
}

static int write_text(const char *dir, const char *name, const char *text, struct err *err)
{
    char path[PLACE_MAX];
    int r = place_join(path, dir, name, err);

    return r ? r : file_write("packages", path, text, strlen(text), err);
}

/* What differs from the machine's own configuration. */
static int configure(const struct apt *apt, struct err *err)
{
    char text[8 * PLACE_MAX];
    const char *root = apt->root;
    size_t len = fmt_print(text, sizeof(text),
                           "Dir::State \"%s/state\";\n"
                           "Dir::State::status \"%s/status\";\n"
                           "Dir::Cache \"%s/cache\";\n"
                           "Dir::Cache::pkgcache \"pkgcache.bin\";\n"
                           "Dir::Cache::srcpkgcache \"srcpkgcache.bin\";\n"
                           "Dir::Etc::sourcelist \"%s/sources.list\";\n"
                           "Dir::Etc::sourceparts \"/dev/null\";\n"
                           "Dir::Etc::preferencesparts \"/dev/null\";\n"
                           "APT::Architecture \"riscv64\";\n"
                           "APT::Architectures { \"riscv64\"; };\n"
                           "APT::Install-Recommends \"false\";\n"
                           "APT::Sandbox::User \"root\";\n"
                           "APT::Update::Post-Invoke-Success \"\";\n"
                           "pkgCacheGen::ForceEssential \",\";\n"
                           "Acquire::Languages \"none\";\n"
                           "Acquire::AllowInsecureRepositories \"false\";\n"
                           "Acquire::Retries \"3\";\n",
                           root, root, root, root);

    if (len >= sizeof(text) || strpbrk(root, "\"\\"))
        return err_set(err, EINVAL, "apt cannot work in '%.300s'; set XDG_CACHE_HOME", root);
    return write_text(root, "apt.conf", text, err);
}

/* sid is never released, so that nothing comes beside it. */
static bool has_updates(const struct apt *apt)
{
    return strcmp(apt->suite, "sid") != 0;
}

/* The release itself and what came since. */
static int write_sources(const struct apt *apt, struct err *err)
{
    char text[4 * APT_URI_MAX];
    size_t len = fmt_print(text, sizeof(text), SOURCE " %s %s main\n", apt->mirror, apt->suite);

    if (has_updates(apt))
        len += fmt_print(text + len, sizeof(text) - len, SOURCE " %s %s-updates main\n",
                         apt->mirror, apt->suite);
    if (*apt->security)
        fmt_print(text + len, sizeof(text) - len, SOURCE " %s %s-security main\n", apt->security,
                  apt->suite);
    return write_text(apt->root, "sources.list", text, err);
}

int apt_open(struct apt *apt, const char *suite, struct err *err)
{
    static const char *const folders[] = {"state/lists/partial", "cache/archives/partial", "none"};
    char path[PLACE_MAX];
    int r;

    memset(apt, 0, sizeof(*apt));
    fmt_print(apt->suite, sizeof(apt->suite), "%s", suite);
    if (access(KEYRING, R_OK) < 0)
        return err_set(err, ENOENT,
                       "the keys of Debian's archive are missing; 'apt-get install "
                       "debian-archive-keyring' brings " KEYRING);
    r = place_path(apt->root, PLACE_PACKAGES, suite, err);
    for (u32 i = 0; i < ARRAY_SIZE(folders) && !r; i++)
        r = place_join(path, apt->root, folders[i], err) ? -ENAMETOOLONG : place_make(path, err);
    if (!r && fmt_print(apt->config, sizeof(apt->config), "APT_CONFIG=%s/apt.conf", apt->root) >=
                  sizeof(apt->config))
        r = err_set(err, ENAMETOOLONG, "the path '%.200s...' is too long", apt->root);
    if (!r)
        r = find_mirror(apt, err);
    if (!r)
        r = find_settings(apt, err);
    if (!has_updates(apt))
        *apt->security = '\0';
    fmt_print(apt->suites, sizeof(apt->suites), "%s", suite);
    if (has_updates(apt))
        fmt_print(apt->suites, sizeof(apt->suites), "%s %s-updates", suite, suite);
    if (!r)
        r = configure(apt, err);
    if (!r)
        r = write_sources(apt, err);
    return r ? r : write_text(apt->root, "status", "", err);
}

struct percent {
    const struct progress *progress;
    const char *stage;
    u64 total;
};

/* "dlstatus:NUMBER:PERCENT:TEXT" */
static bool take_percent(void *ctx, char *line)
{
    const struct percent *p = ctx;
    const char *at = strncmp(line, "dlstatus:", 9) ? NULL : strchr(line + 9, ':');
    double percent = at ? strtod(at + 1, NULL) : -1;

    if (percent < 0 || percent > 100)
        return true;
    return progress_tell(p->progress, p->stage, (u64)(percent / 100 * (double)p->total), p->total,
                         "");
}

static int update(const struct apt *apt, const struct progress *progress, struct err *err)
{
    struct percent p = {progress, "index", 100};
    struct child child = {.line = take_percent, .ctx = &p, .status = true};
    struct words w = {.count = 0};

    say(&w, "apt-get");
    say(&w, "-qq");
    say(&w, "-oAPT::Status-Fd=3");
    say(&w, "-oAPT::Update::Error-Mode=any");
    say(&w, "update");
    return apt_get(apt, &w, &child, err);
}

struct resolving {
    struct apt_list *list;
    u32 room;
    bool failed;
};

static bool grow(struct resolving *r)
{
    u32 room = r->room ? 2 * r->room : 256;
    struct apt_package *bigger;

    if (r->list->count < r->room)
        return true;
    bigger = room > APT_PACKAGES_MAX ? NULL : realloc(r->list->package, room * sizeof(*bigger));
    if (!bigger)
        return false;
    r->list->package = bigger;
    r->room = room;
    return true;
}

/* "base-files_13.8%3a1_riscv64.deb": '%3a' is a colon. */
static bool take_name(struct apt_package *p)
{
    const char *version = strchr(p->file, '_');
    const char *end = version ? strchr(version + 1, '_') : NULL;
    size_t n = 0;

    if (!end || strchr(p->file, '/') || p->file[0] == '.' ||
        (size_t)(version - p->file) >= sizeof(p->name))
        return false;
    memcpy(p->name, p->file, (size_t)(version - p->file));
    p->name[version - p->file] = '\0';
    while (++version < end && n + 1 < sizeof(p->version)) {
        bool colon = !strncmp(version, "%3a", 3);

        p->version[n++] = colon ? ':' : *version;
        version += colon ? 2 : 0;
    }
    p->version[n] = '\0';
    return version == end;
}

/* "'URI' FILE SIZE HASH" */
static bool take_package(void *ctx, char *line)
{
    struct resolving *r = ctx;
    struct apt_package *p;
    char *file = line[0] == '\'' ? strstr(line, "' ") : NULL;
    char *size = file ? strchr(file + 2, ' ') : NULL;

    if (!size)
        return true;
    *size++ = '\0';
    r->failed = r->failed || !grow(r);
    if (r->failed)
        return false;
    p = &r->list->package[r->list->count];
    if (fmt_print(p->file, sizeof(p->file), "%s", file + 2) >= sizeof(p->file) || !take_name(p)) {
        r->failed = true;
        return false;
    }
    p->size = strtoull(size, NULL, 10);
    r->list->size += p->size;
    r->list->count++;
    return true;
}

int apt_resolve(const struct apt *apt, const char *const *names, u32 count, struct apt_list *list,
                struct err *err)
{
    struct resolving resolving = {.list = list};
    struct child child = {.line = take_package, .ctx = &resolving};
    struct words w = {.count = 0};
    char none[PLACE_MAX + 32];
    int r;

    *list = (struct apt_list){0};
    /* What is in apt's cache already is not told of, so that looks elsewhere. */
    fmt_print(none, sizeof(none), "-oDir::Cache::archives=%s/none", apt->root);
    say(&w, "apt-get");
    say(&w, "-qq");
    say(&w, "-y");
    say(&w, none);
    say(&w, "--print-uris");
    say(&w, "install");
    say(&w, "--");
    for (u32 i = 0; i < count; i++)
        say(&w, names[i]);
    r = apt_get(apt, &w, &child, err);
    if (resolving.failed)
        r = err_set(err, EPROTO, "apt-get tells of packages as cosm does not know it");
    if (r)
        apt_list_free(list);
    return r;
}

void apt_list_free(struct apt_list *list)
{
    free(list->package);
    *list = (struct apt_list){0};
}

const struct apt_package *apt_list_find(const struct apt_list *list, const char *name)
{
    for (u32 i = 0; i < list->count; i++) {
        if (!strcmp(list->package[i].name, name))
            return &list->package[i];
    }
    return NULL;
}

/* True if packages of the release can be told: lists that could not be replaced stay as they were.
 */
static bool has_lists(const struct apt *apt)
{
    static const char *const some[] = {"base-files"};
    struct apt_list list;
    struct err ignored;
    bool found = !apt_resolve(apt, some, 1, &list, &ignored);

    apt_list_free(&list);
    return found;
}

/* What apt-get says of a list that is not the one that the release is signed for. */
static bool is_mismatch(const char *text)
{
    return strstr(text, "unexpected size") || strstr(text, "Hash Sum mismatch");
}

int apt_update(const struct apt *apt, const struct progress *progress, struct err *err)
{
    struct err why, text;
    int r;

    if (!progress_tell(progress, "index", 0, 100, apt->suite))
        return err_set(err, ECANCELED, "given up");
    r = update(apt, progress, &why);
    if (!r)
        return 0;
    if (r != -ECHILD || !has_lists(apt)) {
        if (r != -ECHILD || !is_mismatch(why.msg))
            return err_set(err, -r, "%s", why.msg);
        return err_set(err, EAGAIN,
                       "the mirror's lists of %s are not those that its release is signed for, as "
                       "while a mirror is brought up to date; try again later, or take another "
                       "suite, as in 'debian:%s'",
                       apt->suite, strcmp(apt->suite, "forky") ? "forky" : "sid");
    }
    err_set(
        &text, 0,
        "not all of the mirror's lists can be used now; instead of them older ones are, or none "
        "(%.320s)",
        why.msg);
    progress_warn(progress, text.msg);
    return 0;
}

int apt_download(const struct apt *apt, const char *const *names, u32 count,
                 const struct progress *progress, struct err *err)
{
    struct percent p = {progress, "download", 0};
    struct child child = {.line = take_percent, .ctx = &p, .status = true};
    struct words w = {.count = 0};
    struct apt_list list;
    int r = apt_resolve(apt, names, count, &list, err);

    if (r)
        return r;
    p.total = list.size;
    apt_list_free(&list);
    progress_tell(progress, "download", 0, p.total, "");
    say(&w, "apt-get");
    say(&w, "-qq");
    say(&w, "-y");
    say(&w, "-oAPT::Status-Fd=3");
    say(&w, "--download-only");
    say(&w, "install");
    say(&w, "--");
    for (u32 i = 0; i < count; i++)
        say(&w, names[i]);
    return apt_get(apt, &w, &child, err);
}

int apt_file(const struct apt *apt, const struct apt_package *package, char path[PLACE_MAX],
             struct err *err)
{
    if (fmt_print(path, PLACE_MAX, "%s/cache/archives/%s", apt->root, package->file) >= PLACE_MAX)
        return err_set(err, ENAMETOOLONG, "the path of %s is too long", package->file);
    return 0;
}
