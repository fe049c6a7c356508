/* SPDX-License-Identifier: BSD-2-Clause */
/* cosm: the hosted hypervisor's command. */
#include "apps/cosm/disasm.h"
#include "apps/cosm/disk.h"
#include "apps/cosm/help.h"
#include "apps/cosm/image.h"
#include "apps/cosm/launch.h"
#include "apps/cosm/manage.h"
#include "apps/cosm/metal.h"
#include "apps/cosm/net.h"
#include "apps/cosm/run.h"
#include "apps/cosm/ssh.h"
#include "net/keeper.h"
#include "net/lab_wire.h"
#include "net/serve.h"
#include "net/wire.h"
#include "share/fs_serve.h"
#include "share/fs_wire.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

enum { EXIT_FAILED = 1, EXIT_USAGE = 2 };

static int fail(const struct err *err, int status)
{
    fprintf(stderr, "cosm: %s\n", err->msg);
    return status;
}

static void help(const struct options *options)
{
    /* 'cosm run --help' asks about run; 'cosm help' about what follows. */
    enum command_id topic = options->command;

    if (options->command == COMMAND_HELP && !options->help)
        topic = options->topic;
    if (options->format == FORMAT_BASH)
        completion_print();
    else if (options->format == FORMAT_MAN)
        manual_print(topic);
    else
        help_print(topic);
}

/* A full disk or a closed pipe must not look like success. */
static int flush(void)
{
    if (fflush(stdout) == 0 && !ferror(stdout))
        return 0;
    fprintf(stderr, "cosm: cannot write to standard output: %s\n", strerror(errno));
    return EXIT_FAILED;
}

static int disk(const struct options *options)
{
    struct err err = {""};
    int status = disk_main(options, &err), flushed;

    if (status < 0)
        return fail(&err, status == -2 ? EXIT_USAGE : EXIT_FAILED);
    flushed = flush();
    return flushed ? flushed : status;
}

static int image(const struct options *options)
{
    struct err err = {""};
    int status = image_main(options, &err), flushed;

    if (status < 0)
        return fail(&err, status == -EINVAL ? EXIT_USAGE : EXIT_FAILED);
    flushed = flush();
    return flushed ? flushed : status;
}

/* What a VM starts beside itself; nothing for people. */
static int (*find_helper(const char *command))(void)
{
    static const struct {
        const char *command;
        int (*run)(void);
    } helpers[] = {
        {WIRE_COMMAND, net_serve},
        {LAB_COMMAND, lab_serve},
        {KEEPER_COMMAND, keeper_serve},
        {FS_WIRE_COMMAND, fs_serve},
    };

    for (u32 i = 0; i < ARRAY_SIZE(helpers); i++) {
        if (!strcmp(command, helpers[i].command))
            return helpers[i].run;
    }
    return NULL;
}

int main(int argc, char **argv)
{
    int (*helper)(void) = argc == 2 ? find_helper(argv[1]) : NULL;
    static struct options options; /* large for a stack: paths lie within */
    struct err err = {""};
    int status;

    if (helper) {
        signal(SIGPIPE, SIG_IGN); /* one peer that hung up is not the end of all */
        return helper();
    }
    if (options_parse(&options, argc, argv, &err) < 0)
        return fail(&err, EXIT_USAGE);
    if (options.help || (options.command == COMMAND_HELP && !options.version)) {
        help(&options);
        return flush();
    }
    if (options.version || options.command == COMMAND_VERSION) {
        printf("cosm %s\n", COSM_VERSION);
        return flush();
    }
    if (options.command == COMMAND_DISASM) {
        if (disasm_print(&options, &err) < 0)
            return fail(&err, EXIT_FAILED);
        return flush();
    }
    if (options.command == COMMAND_DISK)
        return disk(&options);
    if (options.command == COMMAND_RUN && options.image) {
        status = launch_image(&options, argv, &err);
        return status < 0 ? fail(&err, status == -EINVAL ? EXIT_USAGE : EXIT_FAILED) : status;
    }
    if (options.command == COMMAND_RUN) {
        status = run_vm(&options, argv, NULL, &err);
        return status < 0 ? fail(&err, EXIT_FAILED) : status;
    }
    if (1u << options.command & CMD_GUEST)
        return ssh_main(&options);
    if (options.command == COMMAND_NET || options.command == COMMAND_PORT) {
        status =
            options.command == COMMAND_NET ? net_main(&options, &err) : port_main(&options, &err);
        return status ? fail(&err, status == -EINVAL ? EXIT_USAGE : EXIT_FAILED) : flush();
    }
    if (options.command == COMMAND_METAL) {
        status = metal_main(&options, &err);
        return status ? fail(&err, status == -EINVAL ? EXIT_USAGE : EXIT_FAILED) : flush();
    }
    if (options.command == COMMAND_CLONE)
        return launch_clone(&options);
    if (options.command == COMMAND_START)
        return launch_again(&options);
    if (options.command == COMMAND_IMAGE)
        return image(&options);
    status = manage(&options);
    return status ? status : flush();
}
