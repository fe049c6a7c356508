/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Other programs: found by PATH, given words and never a shell's text. They end with the process
 * that started them. Those that are run to their end have an empty standard input.
 */
#ifndef COSM_HOST_CHILD_H
#define COSM_HOST_CHILD_H

#include "base/err.h"

#include <sys/types.h>

#define CHILD_LINE_MAX 1024

struct child {
    /* argv[0] is looked for in PATH; up to NULL. */
    char *const *argv;
    /* "NAME=VALUE" up to NULL, set beside what is inherited; NULL: nothing. */
    char *const *env;
    /* Where it starts; NULL: here. */
    const char *folder;
    /*
     * Each line that it prints, without its end and cut to CHILD_LINE_MAX - 1 bytes; a carriage
     * return ends one, too. false ends the program. NULL: lines are left out.
     */
    bool (*line)(void *ctx, char *line);
    /* Its output as it comes, instead of line. */
    bool (*bytes)(void *ctx, const u8 *bytes, size_t len);
    void *ctx;
    /* Where standard output goes instead of to line, at its offset; 0: to line. */
    int out;
    /* A descriptor that it gets as number 3, which line hears instead of standard output. */
    bool status;
    /* What to install if there is no such program, as in "apt-get install xz-utils". */
    const char *package;
};

/*
 * Runs it. 0: it succeeded. -errno and a sentence: -ENOENT it is not there; -ECHILD it failed, and
 * the sentence ends with the beginning and the end of its standard error; -ECANCELED: line returned
 * false.
 */
MUST_CHECK int child_run(const struct child *child, struct err *err);

/*
 * Starts it with io as its standard input and output and complaints as its standard error; of the
 * child only argv, env, folder and package count. *pid is the caller's to wait for. -ENOENT: it is
 * not there.
 */
MUST_CHECK int child_start(const struct child *child, int io, int complaints, pid_t *pid,
                           struct err *err);

/* What it prints, at most size - 1 bytes, with a NUL; more than that is a failure (-EFBIG). */
MUST_CHECK int child_output(const struct child *child, char *text, size_t size, struct err *err);

#endif
