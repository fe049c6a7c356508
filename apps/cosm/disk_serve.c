/* SPDX-License-Identifier: BSD-2-Clause */
/* cosm disk serve: an image for clients of the NBD protocol. */
#include "apps/cosm/disk_impl.h"
#include "base/fmt.h"
#include "block/nbd.h"
#include "block/nbd_server.h"
#include "host/scope.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/signalfd.h>

/* Where to listen, and how clients say that. */
static int place(const struct disk_options *o, struct nbd_uri *uri, char *text, size_t size,
                 struct err *err)
{
    char listen[300];

    if (o->socket && o->listen)
        return err_set(err, EINVAL, "--socket and --listen: give one of them");
    if (!o->socket) {
        fmt_print(listen, sizeof(listen), "nbd://%s", o->listen ? o->listen : "127.0.0.1");
        if (strpbrk(listen + 6, "/?%") || nbd_uri_parse(listen, uri, err))
            return err_set(err, EINVAL,
                           "'--listen %.200s' is no address; give HOST[:PORT], as in "
                           "127.0.0.1:10809",
                           o->listen);
        fmt_print(text, size, "nbd://%s%s%s:%s/%s", strchr(uri->host, ':') ? "[" : "", uri->host,
                  strchr(uri->host, ':') ? "]" : "", uri->port, o->export ? o->export : "");
        return 0;
    }
    *uri = (struct nbd_uri){0};
    if (!*o->socket || strlen(o->socket) >= sizeof(uri->socket))
        return err_set(err, EINVAL, "'--socket %.120s' is %s", o->socket,
                       *o->socket ? "a longer path than sockets have" : "empty");
    memcpy(uri->socket, o->socket, strlen(o->socket) + 1);
    fmt_print(text, size, "nbd+unix:///%s?socket=%s", o->export ? o->export : "", o->socket);
    return 0;
}

/* Readable once somebody wants us to end. */
static int stop_open(void)
{
    sigset_t set;

    sigemptyset(&set);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGHUP);
    sigprocmask(SIG_BLOCK, &set, NULL);
    return signalfd(-1, &set, SFD_CLOEXEC);
}

static int serve(const struct disk *d, struct node *node, const struct nbd_uri *uri,
                 const char *text, struct err *err)
{
    const struct disk_options *o = &d->o->disk;
    const struct nbd_export export = {
        .node = node, .name = o->export ? o->export : "", .readonly = o->readonly};
    AUTO_FD int stop = stop_open();
    AUTO_FD int listener = nbd_listen(uri, err);
    int ret;

    if (listener < 0)
        return DISK_FAILED;
    if (stop < 0) {
        err_set(err, errno, "cannot wait for signals: %s", strerror(errno));
        return DISK_FAILED;
    }
    printf("%s\n", text);
    fflush(stdout);
    ret = nbd_server_run(&export, listener, stop, &d->log, err);
    if (!*uri->host)
        unlink(uri->socket);
    return ret ? DISK_FAILED : 0;
}

int disk_serve(const struct disk *d, struct err *err)
{
    const struct disk_options *o = &d->o->disk;
    struct drive_options io = {.readonly = o->readonly};
    char text[NBD_NAME_MAX + 512];
    struct nbd_uri uri;
    struct node *node;
    int ret;

    if (o->export && strlen(o->export) > NBD_NAME_MAX) {
        err_set(err, EINVAL, "the export's name is longer than %d bytes", NBD_NAME_MAX);
        return DISK_USAGE;
    }
    if (place(o, &uri, text, sizeof(text), err))
        return DISK_USAGE;
    ret = disk_open(d, d->arg[0], o->format, io, &node, err);
    if (!ret)
        ret = disk_close(node, serve(d, node, &uri, text, err), err);
    return ret;
}
