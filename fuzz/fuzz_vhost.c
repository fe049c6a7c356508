/* SPDX-License-Identifier: BSD-2-Clause */
/* A vhost-user back end that does as it likes: its answers on the wire, and its end of a ring. */
#include "net/vhost_ring.h"
#include "net/vhost_wire.h"
#include "tests/assert.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

u64 host_monotonic_ns(void)
{
    return (u64)clock() * 1000;
}

/* All that a front end asks, while there are answers. */
static void ask(const u8 *data, size_t size, bool acks)
{
    struct vhost_wire wire;
    struct err err = {""};
    u64 value;
    u32 number;
    int fd[2];

    ASSERT(!socketpair(AF_UNIX, SOCK_STREAM, 0, fd));
    ASSERT(write(fd[1], data, size) == (ssize_t)size);
    shutdown(fd[1], SHUT_WR);
    ASSERT(!vhost_wire_init(&wire, fd[0], &err));
    wire.acks = acks;
    while (!vhost_get(&wire, VHOST_GET_FEATURES, &value, &err) &&
           !vhost_set(&wire, VHOST_SET_FEATURES, value, &err) &&
           !vhost_get_ring(&wire, VHOST_GET_VRING_BASE, 3, &number, &err) &&
           !vhost_set_ring_addresses(&wire, 1, value, value, value, &err))
        ;
    ASSERT(*err.msg);
    close(fd[0]);
    close(fd[1]);
}

static const u8 *reach(u64 gpa, u64 len)
{
    static u8 ram[4096];

    ASSERT(gpa < sizeof(ram) && len <= sizeof(ram) - gpa);
    return ram + gpa;
}

static void told(void *ctx, gpa_t gpa, u64 len)
{
    (void)ctx;
    (void)reach(gpa, len);
}

/* Each byte is a step: buffers put, taken, the ring's memory scribbled over. */
static void serve(const u8 *data, size_t size)
{
    static u8 memory[VHOST_RING_BYTES] __attribute__((aligned(4096)));
    static struct vhost_ring ring;
    const struct gmem gmem = {.written = told};
    const struct virtq_seg seg[] = {{0, 100}, {100, 1000}, {4000, 96}, {1, 1}};
    struct virtq_returned r;
    const char *why;
    u64 out = 0;

    vhost_ring_init(&ring, memory);
    for (size_t i = 0; i < size; i++) {
        u8 step = data[i];

        if (step < 80) {
            out += vhost_ring_put(&ring,
                                  &(struct virtq_buffers){seg, 1 + step % 4u, step / 4 % 3u, i});
        } else if (step < 160 && vhost_ring_take(&ring, &gmem, &r, &why)) {
            ASSERT(out-- && r.written <= 1196 && r.cookie < size);
        } else if (step >= 160 && i + 4 <= size) {
            u32 at = le16_load(data + i + 1) % VHOST_RING_BYTES;

            if (step & 1) /* what matters most */
                at = VHOST_RING_USED + at % 16;
            memory[at] = data[i + 3];
            i += 3;
        } else if (step == 159) {
            vhost_ring_rewind(&ring);
        }
    }
    while (vhost_ring_revoke(&ring, &r))
        ASSERT(out--);
    ASSERT(!out && ring.free_count == VHOST_RING_ENTRIES);
}

int LLVMFuzzerTestOneInput(const u8 *data, size_t size);
int LLVMFuzzerTestOneInput(const u8 *data, size_t size)
{
    if (!size)
        return 0;
    if (data[0] & 1)
        ask(data + 1, size - 1, data[0] & 2);
    else
        serve(data + 1, size - 1);
    return 0;
}
