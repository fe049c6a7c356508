/* SPDX-License-Identifier: BSD-2-Clause */
/* Tells what the translator does: --trace jit, and a map of its code for perf (--perf-map). */
#include "vmm/vm_listen.h"

#include "base/fmt.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define NAME_MAX_BYTES 600

struct vm_listen {
    struct jit_observer observer;
    FILE *trace, *map;
    struct symbols *symbols;
};

static char priv_letter(enum priv priv)
{
    return priv == PRIV_M ? 'M' : priv == PRIV_S ? 'S' : 'U';
}

/* What a line of perf's shows: the guest's function, else mode and address. */
static void name_of(const struct vm_listen *l, const struct jit_translation *t, char *name,
                    size_t size)
{
    struct symbol symbol;

    if (symbols_find(l->symbols, t->pc, &symbol))
        (void)fmt_print(name, size, "%.500s", symbol.name);
    else
        (void)fmt_print(name, size, "%c:%llx", priv_letter(t->priv), (unsigned long long)t->pc);
}

/* One call a line: threads share the streams, which lock themselves. */
static void translated(void *ctx, const struct jit_translation *t)
{
    const struct vm_listen *l = ctx;
    char name[NAME_MAX_BYTES];

    name_of(l, t, name, sizeof(name));
    if (l->trace)
        fprintf(l->trace,
                "jit tier %u %c %016llx gpa %llx: %u instructions, %u bytes, to %llx, %u bytes: "
                "%s\n",
                t->tier, priv_letter(t->priv), (unsigned long long)t->pc,
                (unsigned long long)t->gpa, t->guest_insns, t->guest_bytes,
                (unsigned long long)t->host, t->host_bytes, name);
    if (l->map)
        fprintf(l->map, "%llx %x %s%s\n", (unsigned long long)t->host, t->host_bytes, name,
                t->tier > 1 ? " [2]" : "");
}

static void dropped(void *ctx, gpa_t page)
{
    const struct vm_listen *l = ctx;

    if (l->trace)
        fprintf(l->trace, "jit drop gpa %llx\n", (unsigned long long)page);
}

static void flushed(void *ctx)
{
    const struct vm_listen *l = ctx;

    if (l->trace)
        fprintf(l->trace, "jit flush\n");
}

/* Where perf looks for it. Nobody else's file is followed or overwritten there. */
static int open_map(struct vm_listen *l, struct err *err)
{
    char path[64];
    int fd;

    (void)fmt_print(path, sizeof(path), "/tmp/perf-%d.map", (int)getpid());
    (void)unlink(path); /* of a process that had our number */
    fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0644);
    l->map = fd < 0 ? NULL : fdopen(fd, "w");
    if (l->map)
        return 0;
    if (fd >= 0)
        close(fd);
    return err_set(err, errno, "--perf-map: '%s' cannot be written: %s", path, strerror(errno));
}

int vm_listen_create(struct vm_listen **out, FILE *trace, bool perf, struct symbols *symbols,
                     struct err *err)
{
    struct vm_listen *l = calloc(1, sizeof(*l));
    int r = 0;

    if (!l) {
        symbols_destroy(symbols);
        return err_set(err, ENOMEM, "no host memory to listen to the translator");
    }
    *l = (struct vm_listen){
        .observer = {translated, dropped, flushed, l}, .trace = trace, .symbols = symbols};
    if (perf)
        r = open_map(l, err);
    if (r) {
        vm_listen_destroy(l);
        return r;
    }
    *out = l;
    return 0;
}

void vm_listen_destroy(struct vm_listen *l)
{
    if (!l)
        return;
    if (l->map)
        (void)fclose(l->map);
    symbols_destroy(l->symbols);
    free(l);
}

const struct jit_observer *vm_listen_observer(const struct vm_listen *l)
{
    return &l->observer;
}
