/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * virtio-console: two with the same join are connected to each other; one without has the service's
 * own console. If several have that, each of its lines begins with the partition's name; what is
 * typed goes to the first.
 */
#include "service.h"

#include "base/mem.h"
#include "device/virtio/console.h"
#include "guest.h"

#define RING   4096
#define LINE   120
#define TYPING 64

struct port {
    struct virtio_console console;
    struct chardev chardev;
    const char *label, *join;
    struct port *peer;
    u32 put, got; /* bytes so far, into ring and out of it */
    u8 ring[RING];
    u32 line_bytes;
    char line[LINE];
};

static struct port ports[SERVICE_DEVICES];
static u32 port_count, own_count;
static struct port *typed; /* to whom */

/* To the driver as far as it has buffers. */
static void flush(struct port *p)
{
    while (p->got != p->put) {
        u32 at = p->got % RING, left = p->put - p->got;
        size_t n = at + left > RING ? RING - at : left;

        n = virtio_console_receive(&p->console, p->ring + at, n);
        if (!n)
            return;
        p->got += (u32)n;
    }
}

static void give(struct port *p, const u8 *bytes, size_t len)
{
    for (size_t i = 0; i < len && p->put - p->got < RING; i++)
        p->ring[p->put++ % RING] = bytes[i];
    flush(p);
}

static void line_end(struct port *p)
{
    print("%s: ", p->label);
    for (u32 i = 0; i < p->line_bytes; i++)
        print("%c", p->line[i]);
    print("\n");
    p->line_bytes = 0;
}

static void show(struct port *p, const u8 *bytes, size_t len)
{
    if (own_count == 1) {
        sbi_write((const char *)bytes, len);
        return;
    }
    for (size_t i = 0; i < len; i++) {
        if (bytes[i] == '\n' || p->line_bytes == LINE)
            line_end(p);
        if (bytes[i] != '\n' && bytes[i] != '\r')
            p->line[p->line_bytes++] = (char)bytes[i];
    }
}

static void port_write(void *ctx, const u8 *bytes, size_t len)
{
    struct port *p = ctx;

    if (p->peer)
        give(p->peer, bytes, len);
    else if (!p->join)
        show(p, bytes, len);
}

static void port_room(void *ctx)
{
    flush(ctx);
}

bool console_poll(void)
{
    u8 bytes[TYPING];
    struct cosm_sbi_result r;

    if (!typed)
        return false;
    r = cosm_sbi(SBI_DBCN, 1, sizeof(bytes), (u64)(uintptr_t)bytes, 0);
    if (!r.error && r.value <= sizeof(bytes))
        give(typed, bytes, r.value);
    return true;
}

static void connect(struct port *p)
{
    for (u32 i = 0; i < port_count && p->join; i++) {
        struct port *other = &ports[i];

        if (other->peer || !joined(other->join, p->join))
            continue;
        other->peer = p;
        p->peer = other;
        return;
    }
}

struct virtio_dev *console_make(const struct node *node)
{
    struct port *p = &ports[port_count];
    struct virtio_console_config config = {.chardev = &p->chardev};

    if (port_count == SERVICE_DEVICES)
        return NULL;
    p->chardev = (struct chardev){port_write, port_room, p};
    p->label = node->label;
    p->join = node->join;
    connect(p);
    port_count++;
    if (!p->join) {
        own_count++;
        typed = typed ? typed : p;
    }
    virtio_console_init(&p->console, &config);
    return virtio_console_dev(&p->console);
}
