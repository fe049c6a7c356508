/* SPDX-License-Identifier: BSD-2-Clause */
/* A record of frames in the pcap format, version 2.4, with nanoseconds. */
#include "net/capture.h"

#include "base/endian.h"

#include <errno.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { FILE_HEADER = 24, FRAME_HEADER = 16, LINK_ETHERNET = 1, LONGEST = 262144 };

void capture_init(struct capture *capture, int fd, bool goes_on)
{
    u8 *h = capture->bytes;

    capture->fd = fd;
    capture->len = fd >= 0 && !goes_on ? FILE_HEADER : 0;
    memset(h, 0, FILE_HEADER);
    le32_store(h, 0xa1b23c4d);
    le16_store(h + 4, 2);
    le16_store(h + 6, 4);
    le32_store(h + 16, LONGEST);
    le32_store(h + 20, LINK_ETHERNET);
}

void capture_flush(struct capture *capture)
{
    size_t done = 0;

    while (capture->fd >= 0 && done < capture->len) {
        ssize_t n = write(capture->fd, capture->bytes + done, capture->len - done);

        if (n > 0)
            done += (size_t)n;
        else if (errno != EINTR)
            capture->fd = -1; /* a full disk ends the record, not the network */
    }
    capture->len = 0;
}

void capture_frame(struct capture *capture, const u8 *bytes, size_t len)
{
    struct timespec now;
    u8 *h;

    if (capture->fd < 0 || len > sizeof(capture->bytes) - FRAME_HEADER)
        return;
    if (len > sizeof(capture->bytes) - FRAME_HEADER - capture->len)
        capture_flush(capture);
    clock_gettime(CLOCK_REALTIME, &now);
    h = capture->bytes + capture->len;
    le32_store(h, (u32)now.tv_sec);
    le32_store(h + 4, (u32)now.tv_nsec);
    le32_store(h + 8, (u32)len);
    le32_store(h + 12, (u32)len);
    memcpy(h + FRAME_HEADER, bytes, len);
    capture->len += FRAME_HEADER + len;
}
