/* SPDX-License-Identifier: BSD-2-Clause */
/* The negotiation of an NBD client with its server: fixed newstyle, one option after the other. */
#include "block/nbd_handshake.h"

#include "base/endian.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>

#define REPLY_MAX   65536 /* bytes of a reply's data */
#define REPLIES_MAX 1000  /* to one option */
#define WAIT_S      10    /* for each step */
#define BLOCK_MAX   512   /* a server that wants larger requests is refused */

struct handshake {
    int fd;
    const char *export;
    struct nbd_agreed *agreed;
    u32 block_min;
    bool no_zeroes;
    u8 data[REPLY_MAX];
};

static int send_option(struct handshake *h, u32 option, const void *data, u32 len)
{
    u8 header[16];
    int ret;

    be64_store(header, NBD_OPTION_MAGIC);
    be32_store(header + 8, option);
    be32_store(header + 12, len);
    ret = nbd_send(h->fd, header, sizeof(header), len);
    return ret || !len ? ret : nbd_send(h->fd, data, len, false);
}

/* A reply to an option; its data is in h->data. */
static int get_reply(struct handshake *h, u32 option, u32 *type, u32 *len)
{
    u8 header[20];
    int ret = nbd_receive(h->fd, header, sizeof(header));

    if (ret)
        return ret;
    *type = be32_load(header + 12);
    *len = be32_load(header + 16);
    if (be64_load(header) != NBD_REPLY_MAGIC || be32_load(header + 8) != option || *len > REPLY_MAX)
        return -EPROTO;
    return nbd_receive(h->fd, h->data, *len);
}

static int take_info(struct handshake *h, u32 len)
{
    u16 info = len < 2 ? UINT16_MAX : be16_load(h->data);

    if (info == NBD_INFO_EXPORT && len == 12) {
        h->agreed->size = be64_load(h->data + 2);
        h->agreed->flags = be16_load(h->data + 10);
    } else if (info == NBD_INFO_BLOCK_SIZE && len == 14) {
        u32 most = be32_load(h->data + 10);

        h->block_min = be32_load(h->data + 2);
        if (most >= BLOCK_MAX && most < NBD_LENGTH_MAX)
            h->agreed->request_max = most / BLOCK_MAX * BLOCK_MAX;
    } else if (info == NBD_INFO_EXPORT || info == NBD_INFO_BLOCK_SIZE || len < 2) {
        return -EPROTO;
    }
    return 0;
}

static int take_context(struct handshake *h, u32 len)
{
    if (len < 4)
        return -EPROTO;
    h->agreed->context = true;
    h->agreed->context_id = be32_load(h->data);
    return 0;
}

/* Sends an option and takes what comes up to its end. 1: the server does not want it. */
static int ask(struct handshake *h, u32 option, const void *data, u32 len)
{
    int ret = send_option(h, option, data, len);

    for (u32 i = 0; !ret && i < REPLIES_MAX; i++) {
        u32 type;

        ret = get_reply(h, option, &type, &len);
        if (ret)
            return ret;
        if (type == NBD_REP_ACK)
            return 0;
        if (type == NBD_REP_ERR_UNKNOWN)
            return -ENOENT;
        if (type & NBD_REP_ERROR)
            return 1;
        if (type == NBD_REP_INFO)
            ret = take_info(h, len);
        else if (type == NBD_REP_META_CONTEXT)
            ret = take_context(h, len);
    }
    return ret ? ret : -EPROTO;
}

/* The old way in, without a reply for what fails. */
static int enter_plainly(struct handshake *h)
{
    u8 answer[134];
    int ret = send_option(h, NBD_OPT_EXPORT_NAME, h->export, (u32)strlen(h->export));

    if (!ret)
        ret = nbd_receive(h->fd, answer, h->no_zeroes ? 10 : sizeof(answer));
    if (ret)
        return ret == -ECONNRESET ? -ENOENT : ret;
    h->agreed->size = be64_load(answer);
    h->agreed->flags = be16_load(answer + 8);
    return 0;
}

static int enter(struct handshake *h)
{
    static const char context[] = "base:allocation";
    u32 name = (u32)strlen(h->export);
    u8 data[NBD_NAME_MAX + 64];
    int ret = ask(h, NBD_OPT_STRUCTURED_REPLY, NULL, 0);

    if (ret < 0)
        return ret;
    h->agreed->structured = !ret;
    be32_store(data, name);
    memcpy(data + 4, h->export, name);
    if (h->agreed->structured) {
        be32_store(data + 4 + name, 1);
        be32_store(data + 8 + name, sizeof(context) - 1);
        memcpy(data + 12 + name, context, sizeof(context) - 1);
        ret = ask(h, NBD_OPT_SET_META_CONTEXT, data, 12 + name + (u32)sizeof(context) - 1);
        if (ret < 0)
            return ret;
    }
    be16_store(data + 4 + name, 1);
    be16_store(data + 6 + name, NBD_INFO_BLOCK_SIZE);
    ret = ask(h, NBD_OPT_GO, data, 8 + name);
    return ret > 0 ? enter_plainly(h) : ret;
}

static int negotiate(struct handshake *h)
{
    u8 hello[18], flags[4];
    int ret = nbd_receive(h->fd, hello, sizeof(hello));
    u16 offered = ret ? 0 : be16_load(hello + 16);

    if (ret)
        return ret;
    if (be64_load(hello) != NBD_MAGIC || be64_load(hello + 8) != NBD_OPTION_MAGIC ||
        !(offered & NBD_FIXED_NEWSTYLE))
        return -EPROTO;
    h->no_zeroes = offered & NBD_NO_ZEROES;
    be32_store(flags, offered & (NBD_FIXED_NEWSTYLE | NBD_NO_ZEROES));
    ret = nbd_send(h->fd, flags, sizeof(flags), false);
    if (!ret)
        ret = enter(h);
    if (ret)
        return ret;
    return h->block_min > BLOCK_MAX || h->agreed->size > INT64_MAX ? -ENOTSUP : 0;
}

static void limit_waits(int fd, int seconds)
{
    struct timeval wait = {.tv_sec = seconds};

    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &wait, sizeof(wait));
    setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &wait, sizeof(wait));
}

int nbd_handshake(int fd, const char *export, const char *uri, struct nbd_agreed *agreed,
                  struct err *err)
{
    struct handshake h = {.fd = fd, .export = export, .agreed = agreed};
    int ret;

    memset(agreed, 0, sizeof(*agreed)); /* padding too, as it is compared as bytes */
    agreed->request_max = NBD_LENGTH_MAX;
    limit_waits(fd, WAIT_S);
    ret = negotiate(&h);
    limit_waits(fd, 0);
    if (!ret)
        return 0;
    if (ret == -ENOENT)
        return err_set(err, ENOENT, "'%.200s': the server has no export of this name", uri);
    if (ret == -EPROTO)
        return err_set(err, EPROTO,
                       "'%.200s': what answers there is no NBD server, or a too old one", uri);
    if (ret == -ENOTSUP)
        return err_set(err, ENOTSUP, "'%.200s': the server wants requests of more than %d bytes",
                       uri, BLOCK_MAX);
    return err_set(err, -ret, "'%.200s': the server does not answer as it should: %s", uri,
                   strerror(ret == -EAGAIN ? ETIMEDOUT : -ret));
}
