/* SPDX-License-Identifier: BSD-2-Clause */
/* A process gives up what it does not need: limits, privileges, namespaces, Landlock, seccomp. */
#include "host/sandbox.h"

#include "base/assert.h"
#include "base/fmt.h"

#include <dirent.h>
#include <errno.h>
#include <malloc.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#define FILES_MAX 4096 /* descriptors */
#define ARENAS    8    /* that threads allocate from */

#if defined(__has_feature)
#define IS_CLANG_FEATURE(x) __has_feature(x)
#else
#define IS_CLANG_FEATURE(x) 0
#endif

/* A sanitizer maps terabytes, reads /proc and starts other programs. */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__) || \
    IS_CLANG_FEATURE(address_sanitizer) || IS_CLANG_FEATURE(thread_sanitizer)
#define IS_SANITIZED true
#else
#define IS_SANITIZED false
#endif

static const char *const mode_names[] = {"auto", "strict", "off"};

const char *sandbox_mode_name(enum sandbox_mode mode)
{
    return mode_names[mode];
}

const char *sandbox_state(const struct sandbox *s)
{
    return !s->on ? "none" : *s->missing ? "partial" : "full";
}

bool sandbox_mode_parse(const char *text, enum sandbox_mode *mode)
{
    for (u32 i = 0; i < ARRAY_SIZE(mode_names); i++) {
        if (!strcmp(text, mode_names[i])) {
            *mode = (enum sandbox_mode)i;
            return true;
        }
    }
    return false;
}

enum sandbox_mode sandbox_mode_default(void)
{
    const char *wish = getenv("COSM_SANDBOX");
    enum sandbox_mode mode = IS_SANITIZED ? SANDBOX_OFF : SANDBOX_AUTO;

    if (wish)
        (void)sandbox_mode_parse(wish, &mode);
    return mode;
}

int sandbox_mode_check(struct err *err)
{
    const char *wish = getenv("COSM_SANDBOX");
    enum sandbox_mode mode;

    if (!wish || sandbox_mode_parse(wish, &mode))
        return 0;
    return err_set(err, EINVAL,
                   "COSM_SANDBOX in the environment: '%s' is not a kind of sandbox; give strict, "
                   "auto or off",
                   wish);
}

/* Lowers both limits; a limit that is lower already stays. */
static void limit(int what, u64 most)
{
    struct rlimit r;

    if (!most || getrlimit((__rlimit_resource_t)what, &r))
        return;
    if (r.rlim_max > most)
        r.rlim_max = most;
    r.rlim_cur = r.rlim_cur < r.rlim_max ? r.rlim_cur : r.rlim_max;
    (void)setrlimit((__rlimit_resource_t)what, &r);
}

static void limits(struct sandbox *s, const struct sandbox_plan *plan)
{
    const struct rlimit none = {0, 0};

    (void)setrlimit(RLIMIT_CORE, &none); /* a guest's memory is not left about */
    limit(RLIMIT_NOFILE, plan->files_max ? plan->files_max : FILES_MAX);
    limit(RLIMIT_DATA, plan->memory_max);
    limit(RLIMIT_AS, plan->address_max);
    s->memory_max = plan->memory_max;
}

static bool has_one_thread(void)
{
    DIR *tasks = opendir("/proc/self/task");
    u32 count = 0;

    while (tasks && readdir(tasks))
        count++;
    if (tasks)
        closedir(tasks);
    return count <= 3; /* "." and ".." */
}

static bool is_granted(const struct sandbox_plan *plan, int fd)
{
    for (u32 i = 0; i < plan->grants; i++) {
        if (plan->grant[i].fd && *plan->grant[i].fd == fd)
            return true;
    }
    return false;
}

/* A folder that is open leads to all of its file system: none stays that is not granted, wherever
 * it came from. */
static void close_folders(const struct sandbox_plan *plan)
{
    DIR *fds = opendir("/proc/self/fd");
    const struct dirent *entry;
    struct stat st;

    while (fds && (entry = readdir(fds))) {
        int fd = atoi(entry->d_name);

        if (*entry->d_name != '.' && fd != dirfd(fds) && !fstat(fd, &st) && S_ISDIR(st.st_mode) &&
            !is_granted(plan, fd))
            close(fd);
    }
    if (fds)
        closedir(fds);
}

static void add_missing(struct sandbox *s, const char *what, int code)
{
    size_t len = strlen(s->missing);

    fmt_print(s->missing + len, sizeof(s->missing) - len, "%s%s (%s)", len ? ", " : "", what,
              strerror(-code));
}

static void parts(struct sandbox *s, const struct sandbox_plan *plan)
{
    int spaces = sandbox_namespaces(plan), landlock, syscalls;

    s->namespaces = !spaces;
    s->network = !spaces && !plan->host_network;
    landlock = sandbox_landlock(plan);
    s->landlock = !landlock;
    if (spaces && landlock) {
        add_missing(s, "no namespaces", spaces);
        add_missing(s, "no Landlock", landlock);
        if (plan->mode == SANDBOX_STRICT)
            return; /* nothing will run, and what was begun is to be tidied up */
    }
    syscalls = sandbox_syscalls(plan->kinds);
    s->syscalls = !syscalls;
    if (syscalls)
        add_missing(s, "no seccomp", syscalls);
}

int sandbox_enter(struct sandbox *s, const struct sandbox_plan *plan, struct err *err)
{
    char missing[sizeof(s->missing)];

    *s = (struct sandbox){.mode = plan->mode};
    if (plan->mode == SANDBOX_OFF)
        return 0;
    if (IS_SANITIZED)
        return err_set(err, ENOTSUP, "a build with a sanitizer has no sandbox; take --sandbox=off");
    ASSERT(has_one_thread());
    limits(s, plan);
#ifdef M_ARENA_MAX
    /* Else the C library looks for the number of processors in /sys, whenever a thread asks. */
    mallopt(M_ARENA_MAX, ARENAS);
#endif
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0))
        return err_set(err, errno, "%s cannot give up privileges: %s", plan->who, strerror(errno));
    s->on = true;
    close_folders(plan);
    parts(s, plan);
    if (!*s->missing)
        return 0;
    if (plan->mode == SANDBOX_STRICT)
        return err_set(err, EPERM,
                       "--sandbox=strict: this host does not give all of it: %s; allow it, or take "
                       "--sandbox=auto",
                       s->missing);
    memcpy(missing, s->missing, sizeof(missing));
    fmt_print(s->missing, sizeof(s->missing),
              "a guest that broke out of its processor would find less in its way: %s", missing);
    return 0;
}

void sandbox_thread(const struct sandbox *s, u32 kinds)
{
    if (!s || !s->syscalls)
        return;
    /* It was possible before, and cannot be out of memory now. */
    if (sandbox_syscalls(kinds))
        abort();
}
