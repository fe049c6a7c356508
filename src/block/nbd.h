/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Network block devices: the numbers of the protocol, and where an export is (NBD project,
 * doc/proto.md and doc/uri.md; fixed newstyle negotiation, structured replies, no TLS). All numbers
 * are big-endian on the wire.
 */
#ifndef COSM_BLOCK_NBD_H
#define COSM_BLOCK_NBD_H

#include "base/bits.h"
#include "base/err.h"

#define NBD_PORT     10809
#define NBD_NAME_MAX 4096 /* bytes of an export's name */

#define NBD_MAGIC        UINT64_C(0x4e42444d41474943) /* "NBDMAGIC" */
#define NBD_OPTION_MAGIC UINT64_C(0x49484156454f5054) /* "IHAVEOPT" */
#define NBD_REPLY_MAGIC  UINT64_C(0x0003e889045565a9) /* to an option */
#define NBD_REQUEST      UINT32_C(0x25609513)
#define NBD_SIMPLE       UINT32_C(0x67446698)
#define NBD_STRUCTURED   UINT32_C(0x668e33ef)

/* Of the handshake, on both sides. */
enum { NBD_FIXED_NEWSTYLE = 1, NBD_NO_ZEROES = 2 };

enum nbd_option {
    NBD_OPT_EXPORT_NAME = 1,
    NBD_OPT_ABORT = 2,
    NBD_OPT_LIST = 3,
    NBD_OPT_INFO = 6,
    NBD_OPT_GO = 7,
    NBD_OPT_STRUCTURED_REPLY = 8,
    NBD_OPT_LIST_META_CONTEXT = 9,
    NBD_OPT_SET_META_CONTEXT = 10,
};

#define NBD_REP_ACK          UINT32_C(1)
#define NBD_REP_SERVER       UINT32_C(2)
#define NBD_REP_INFO         UINT32_C(3)
#define NBD_REP_META_CONTEXT UINT32_C(4)
#define NBD_REP_ERROR        BIT(31)
#define NBD_REP_ERR_UNSUP    (UINT32_C(1) << 31 | 1)
#define NBD_REP_ERR_INVALID  (UINT32_C(1) << 31 | 3)
#define NBD_REP_ERR_UNKNOWN  (UINT32_C(1) << 31 | 6)
#define NBD_REP_ERR_TOO_BIG  (UINT32_C(1) << 31 | 9)

enum nbd_info { NBD_INFO_EXPORT = 0, NBD_INFO_BLOCK_SIZE = 3 };

/* Of an export. */
enum {
    NBD_HAS_FLAGS = 1,
    NBD_READ_ONLY = 2,
    NBD_SEND_FLUSH = 4,
    NBD_SEND_FUA = 8,
    NBD_SEND_TRIM = 32,
    NBD_SEND_WRITE_ZEROES = 64,
    NBD_SEND_DF = 128,
    NBD_CAN_MULTI_CONN = 256,
};

enum nbd_command {
    NBD_CMD_READ = 0,
    NBD_CMD_WRITE = 1,
    NBD_CMD_DISC = 2,
    NBD_CMD_FLUSH = 3,
    NBD_CMD_TRIM = 4,
    NBD_CMD_WRITE_ZEROES = 6,
    NBD_CMD_BLOCK_STATUS = 7,
};

enum { NBD_FUA = 1, NBD_NO_HOLE = 2, NBD_DF = 4, NBD_REQ_ONE = 8 }; /* of a request */

enum { NBD_REPLY_DONE = 1 };
enum nbd_chunk {
    NBD_CHUNK_NONE = 0,
    NBD_CHUNK_DATA = 1,
    NBD_CHUNK_HOLE = 2,
    NBD_CHUNK_BLOCK_STATUS = 5,
    NBD_CHUNK_ERROR = 1 << 15 | 1,
};

enum { NBD_STATE_HOLE = 1, NBD_STATE_ZERO = 2 }; /* of base:allocation */

#define NBD_REQUEST_SIZE    28 /* bytes */
#define NBD_SIMPLE_SIZE     16
#define NBD_STRUCTURED_SIZE 20
#define NBD_LENGTH_MAX      (32 * MIB) /* of one read or write */

/* Where an export is: nbd://HOST[:PORT][/EXPORT] or nbd+unix:///[EXPORT]?socket=PATH. */
struct nbd_uri {
    char host[256], port[8]; /* host "": a local socket */
    char socket[108];
    char export[NBD_NAME_MAX + 1];
};

bool nbd_is_uri(const char *text);
MUST_CHECK int nbd_uri_parse(const char *text, struct nbd_uri *uri, struct err *err);

/* errno and the protocol's numbers, which are Linux' where it has them. */
u32 nbd_error(int code);
int nbd_errno(u32 error);

/* Connects to where uri says; a descriptor. */
MUST_CHECK int nbd_connect(const struct nbd_uri *uri, const char *text, struct err *err);
/* Listens there; export is of no interest. */
MUST_CHECK int nbd_listen(const struct nbd_uri *uri, struct err *err);

/* Whole pieces over a socket. 0 or -errno; -ECONNRESET: the other end has left. */
MUST_CHECK int nbd_send(int fd, const void *bytes, size_t len, bool more);
MUST_CHECK int nbd_receive(int fd, void *bytes, size_t len);

#endif
