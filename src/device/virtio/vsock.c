/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Virtio socket device (VIRTIO 1.2, 5.10): queue 0 receives, queue 1 transmits, queue 2 is for
 * events, of which there are none.
 *
 * Theory of operation: a kick by the driver is passed on to the back end, whose thread comes back
 * with work: it takes the driver's packets one by one, changes the state of their stream and tells
 * the back end, without a lock. What is to be said to the guest is a bit in the stream (or an entry
 * of a short list, for packets of no stream) until there is a receive buffer for it; while that
 * list is full no packet is taken. Data are sent at once or not at all, so nothing is stored here.
 *
 * Each side counts what it sent and what the other has read; it sends only what fits the other's
 * buffer (5.10.6.3). A guest that sends more, or what makes no sense in a stream's state, gets a
 * reset.
 */
#include "device/virtio/vsock.h"

#include "base/mem.h"

enum { RX = 0, TX = 1 };

/* Offsets in a packet's header (5.10.6). */
enum {
    HEADER_SRC_CID = 0,
    HEADER_DST_CID = 8,
    HEADER_SRC_PORT = 16,
    HEADER_DST_PORT = 20,
    HEADER_LEN = 24,
    HEADER_TYPE = 28,
    HEADER_OP = 30,
    HEADER_FLAGS = 32,
    HEADER_BUF_ALLOC = 36,
    HEADER_FWD_CNT = 40,
};

enum { TYPE_STREAM = 1 };

enum {
    OP_REQUEST = 1,
    OP_RESPONSE = 2,
    OP_RST = 3,
    OP_SHUTDOWN = 4,
    OP_RW = 5,
    OP_CREDIT_UPDATE = 6,
    OP_CREDIT_REQUEST = 7,
};

#define F_STREAM BIT(0)

/* DYING: ended, which the back end is yet to be told; DEAD: it knows. Both have no ports any more.
 */
enum { FREE, CONNECTING, OPEN, DYING, DEAD };

#define HOST_PORT_FIRST (1u << 30) /* of streams that the host begins */

struct packet {
    u64 src_cid, dst_cid;
    u32 src_port, dst_port, len, flags, buf_alloc, fwd_cnt;
    u16 type, op;
};

static struct virtio_vsock *vsock_of(struct virtio_dev *dev)
{
    return CONTAINER_OF(dev, struct virtio_vsock, dev);
}

static bool is_live(const struct virtio_vsock_stream *s)
{
    return s->state == CONNECTING || s->state == OPEN;
}

static u32 index_of(const struct virtio_vsock *v, const struct virtio_vsock_stream *s)
{
    return (u32)(s - v->stream);
}

static struct virtio_vsock_stream *stream_find(struct virtio_vsock *v, u32 guest_port,
                                               u32 host_port)
{
    for (u32 i = 0; i < v->top; i++) {
        struct virtio_vsock_stream *s = &v->stream[i];

        if (is_live(s) && s->guest_port == guest_port && s->host_port == host_port)
            return s;
    }
    return NULL;
}

static struct virtio_vsock_stream *stream_new(struct virtio_vsock *v, u32 guest_port, u32 host_port)
{
    for (u32 i = 0; i < VSOCK_STREAMS_MAX; i++) {
        struct virtio_vsock_stream *s = &v->stream[i];

        if (s->state == FREE) {
            *s = (struct virtio_vsock_stream){
                .state = OPEN, .guest_port = guest_port, .host_port = host_port};
            if (i >= v->top)
                v->top = i + 1;
            return s;
        }
    }
    return NULL;
}

static void stream_free_locked(struct virtio_vsock *v, struct virtio_vsock_stream *s)
{
    s->state = FREE;
    while (v->top && v->stream[v->top - 1].state == FREE)
        v->top--;
}

/* The stream's room at the guest; 0 also if the guest's counts make no sense. */
static u32 stream_credit(const struct virtio_vsock_stream *s)
{
    u32 used = s->sent - s->guest_taken;

    return used < s->guest_alloc ? s->guest_alloc - used : 0;
}

/* A receive buffer that holds a header at least, in v->rx. */
static bool rx_pop_locked(struct virtio_vsock *v)
{
    if (!virtio_pop_locked(&v->dev, RX, &v->rx)) {
        v->starved = true;
        return false;
    }
    if (v->rx.writable_len >= VIRTIO_VSOCK_HEADER)
        return true;
    virtio_fail_locked(&v->dev, "a receive buffer is too short for a header");
    return false;
}

/* Gives v->rx back with a packet: the header and len bytes. */
static void rx_push_locked(struct virtio_vsock *v, const struct packet *p, const u8 *bytes)
{
    const struct virtq *q = &v->dev.queue[RX];
    u8 h[VIRTIO_VSOCK_HEADER];

    le64_store(h + HEADER_SRC_CID, p->src_cid);
    le64_store(h + HEADER_DST_CID, v->cid);
    le32_store(h + HEADER_SRC_PORT, p->src_port);
    le32_store(h + HEADER_DST_PORT, p->dst_port);
    le32_store(h + HEADER_LEN, p->len);
    le16_store(h + HEADER_TYPE, p->type);
    le16_store(h + HEADER_OP, p->op);
    le32_store(h + HEADER_FLAGS, p->flags);
    le32_store(h + HEADER_BUF_ALLOC, p->buf_alloc);
    le32_store(h + HEADER_FWD_CNT, p->fwd_cnt);
    (void)virtq_chain_write(q, &v->rx, 0, h, sizeof(h));
    if (p->len)
        (void)virtq_chain_write(q, &v->rx, sizeof(h), bytes, p->len);
    virtio_push_locked(&v->dev, RX, v->rx.token, VIRTIO_VSOCK_HEADER + p->len);
}

/* A packet of a stream, into v->rx. */
static void stream_put_locked(struct virtio_vsock *v, struct virtio_vsock_stream *s, u16 op,
                              u32 flags, const u8 *bytes, u32 len)
{
    const struct packet p = {.src_cid = VIRTIO_VSOCK_HOST_CID,
                             .src_port = s->host_port,
                             .dst_port = s->guest_port,
                             .len = len,
                             .type = TYPE_STREAM,
                             .op = op,
                             .flags = flags,
                             .buf_alloc = VSOCK_BUFFER,
                             .fwd_cnt = s->taken};

    rx_push_locked(v, &p, bytes);
    s->sent += len;
    s->told = s->taken;
    s->pending &= ~(u32)BIT(OP_CREDIT_UPDATE);
}

static void reset_add_locked(struct virtio_vsock *v, u64 cid, u32 guest_port, u32 host_port,
                             u16 type)
{
    if (v->reset_count < VIRTIO_VSOCK_RESETS_MAX) /* else the guest's own timeouts serve */
        v->reset[v->reset_count++] = (struct virtio_vsock_reset){cid, guest_port, host_port, type};
}

/* The stream is over for the guest; the back end is told by work. */
static void stream_end_locked(struct virtio_vsock *v, struct virtio_vsock_stream *s, bool reset)
{
    if (reset)
        reset_add_locked(v, VIRTIO_VSOCK_HOST_CID, s->guest_port, s->host_port, TYPE_STREAM);
    s->state = DYING;
    s->pending = 0;
}

static void resets_flush_locked(struct virtio_vsock *v)
{
    u32 done = 0;

    while (done < v->reset_count && rx_pop_locked(v)) {
        const struct virtio_vsock_reset *r = &v->reset[done++];
        const struct packet p = {.src_cid = r->cid,
                                 .src_port = r->host_port,
                                 .dst_port = r->guest_port,
                                 .type = r->type,
                                 .op = OP_RST};

        rx_push_locked(v, &p, NULL);
    }
    v->reset_count -= done;
    memmove(v->reset, v->reset + done, v->reset_count * sizeof(v->reset[0]));
}

/* What waits for the stream, in the order in which it must come. False: no buffer. */
static bool stream_flush_locked(struct virtio_vsock *v, struct virtio_vsock_stream *s)
{
    static const u16 order[] = {OP_REQUEST, OP_RESPONSE, OP_CREDIT_UPDATE, OP_SHUTDOWN};

    for (u32 i = 0; i < ARRAY_SIZE(order); i++) {
        if (!(s->pending & BIT(order[i])))
            continue;
        if (!rx_pop_locked(v))
            return false;
        s->pending &= ~(u32)BIT(order[i]);
        stream_put_locked(v, s, order[i], order[i] == OP_SHUTDOWN ? s->host_end : 0, NULL, 0);
    }
    return true;
}

static void flush_locked(struct virtio_vsock *v)
{
    bool room = true;

    resets_flush_locked(v);
    for (u32 i = 0; room && i < v->top; i++)
        room = !v->stream[i].pending || stream_flush_locked(v, &v->stream[i]);
}

/* Reads the header of v->tx. False: the chain is no packet. */
static bool packet_take_locked(struct virtio_vsock *v, struct packet *p)
{
    u8 h[VIRTIO_VSOCK_HEADER];

    if (virtq_chain_read(&v->dev.queue[TX], &v->tx, 0, h, sizeof(h)) != sizeof(h))
        return false;
    *p = (struct packet){.src_cid = le64_load(h + HEADER_SRC_CID),
                         .dst_cid = le64_load(h + HEADER_DST_CID),
                         .src_port = le32_load(h + HEADER_SRC_PORT),
                         .dst_port = le32_load(h + HEADER_DST_PORT),
                         .len = le32_load(h + HEADER_LEN),
                         .type = le16_load(h + HEADER_TYPE),
                         .op = le16_load(h + HEADER_OP),
                         .flags = le32_load(h + HEADER_FLAGS),
                         .buf_alloc = le32_load(h + HEADER_BUF_ALLOC),
                         .fwd_cnt = le32_load(h + HEADER_FWD_CNT)};
    return p->len <= v->tx.readable_len - VIRTIO_VSOCK_HEADER;
}

/* What the back end is to be told of a packet once no lock is held. */
enum news { NEWS_NONE, NEWS_INCOMING, NEWS_OPENED, NEWS_DATA, NEWS_ENDED };

/* A packet that no stream expects. */
static enum news stray_locked(struct virtio_vsock *v, const struct packet *p,
                              struct virtio_vsock_stream **stream)
{
    if (p->op == OP_RST)
        return NEWS_NONE;
    if (p->op == OP_REQUEST && p->type == TYPE_STREAM && p->dst_cid == VIRTIO_VSOCK_HOST_CID)
        *stream = stream_new(v, p->src_port, p->dst_port);
    if (*stream) {
        (*stream)->guest_alloc = p->buf_alloc;
        (*stream)->guest_taken = p->fwd_cnt;
        return NEWS_INCOMING;
    }
    reset_add_locked(v, p->dst_cid, p->src_port, p->dst_port, p->type);
    return NEWS_NONE;
}

static enum news data_locked(struct virtio_vsock *v, struct virtio_vsock_stream *s,
                             const struct packet *p)
{
    if (s->state != OPEN || (s->guest_end & VSOCK_NO_SEND) ||
        p->len > VSOCK_BUFFER - (s->received - s->taken)) {
        stream_end_locked(v, s, true);
        return NEWS_NONE;
    }
    s->received += p->len;
    return p->len ? NEWS_DATA : NEWS_NONE;
}

static enum news stream_packet_locked(struct virtio_vsock *v, struct virtio_vsock_stream *s,
                                      const struct packet *p)
{
    s->guest_alloc = p->buf_alloc;
    s->guest_taken = p->fwd_cnt;
    v->room_changed |= s->wants;
    switch (p->op) {
    case OP_RESPONSE:
        if (s->state != CONNECTING)
            break;
        s->state = OPEN;
        return NEWS_OPENED;
    case OP_RST:
        stream_end_locked(v, s, false);
        return NEWS_NONE;
    case OP_SHUTDOWN:
        if (s->state != OPEN)
            break;
        s->guest_end |= p->flags & VSOCK_CLOSED;
        return NEWS_ENDED;
    case OP_RW:
        return data_locked(v, s, p);
    case OP_CREDIT_UPDATE:
        return NEWS_NONE;
    case OP_CREDIT_REQUEST:
        s->pending |= BIT(OP_CREDIT_UPDATE);
        return NEWS_NONE;
    default:
        break;
    }
    stream_end_locked(v, s, true);
    return NEWS_NONE;
}

/* Hands the packet's bytes on, in pieces; the lock is released meanwhile. */
static void data_deliver_locked(struct virtio_vsock *v, struct virtio_vsock_stream *s, u32 len)
{
    for (u32 at = 0; at < len && s->state == OPEN;) {
        u32 n = len - at < sizeof(v->bytes) ? len - at : (u32)sizeof(v->bytes);

        if (virtq_chain_read(&v->dev.queue[TX], &v->tx, VIRTIO_VSOCK_HEADER + at, v->bytes, n) != n)
            return; /* cannot be: checked when popped */
        lock_release(&v->dev.lock);
        v->vsock->received(v->vsock->ctx, index_of(v, s), v->bytes, n);
        lock_acquire(&v->dev.lock);
        at += n;
    }
}

/* The lock is released while the back end is told. */
static void tell_locked(struct virtio_vsock *v, struct virtio_vsock_stream *s, enum news news,
                        u32 len)
{
    const struct vsock *back = v->vsock;
    u32 index, host_port, guest_end;
    bool good = true;

    if (news == NEWS_NONE)
        return;
    if (news == NEWS_DATA) {
        data_deliver_locked(v, s, len);
        return;
    }
    index = index_of(v, s);
    host_port = s->host_port;
    guest_end = s->guest_end;
    lock_release(&v->dev.lock);
    if (news == NEWS_INCOMING)
        good = back->incoming(back->ctx, index, host_port);
    else if (news == NEWS_OPENED)
        back->opened(back->ctx, index);
    else
        back->ended(back->ctx, index, guest_end);
    lock_acquire(&v->dev.lock);
    if (news != NEWS_INCOMING)
        return;
    if (good && s->state == OPEN) {
        s->pending |= BIT(OP_RESPONSE);
    } else if (!good) {
        if (s->state == OPEN)
            reset_add_locked(v, VIRTIO_VSOCK_HOST_CID, s->guest_port, s->host_port, TYPE_STREAM);
        stream_free_locked(v, s);
    }
}

static void packet_do_locked(struct virtio_vsock *v)
{
    struct virtio_vsock_stream *s = NULL;
    enum news news;
    struct packet p;

    if (!packet_take_locked(v, &p)) {
        log_guest(v->dev.log, &v->dev.limit, v->dev.cls->name, "a packet is shorter than it says");
        return;
    }
    if (p.src_cid != v->cid) /* nobody to answer to */
        return;
    if (p.type == TYPE_STREAM && p.dst_cid == VIRTIO_VSOCK_HOST_CID)
        s = stream_find(v, p.src_port, p.dst_port);
    news = s ? stream_packet_locked(v, s, &p) : stray_locked(v, &p, &s);
    tell_locked(v, s, news, p.len);
}

/* Streams that ended, or may send again: the back end is told. */
static void streams_tell_locked(struct virtio_vsock *v)
{
    bool room = v->room_changed;

    v->room_changed = false;
    for (u32 i = 0; i < v->top; i++) {
        struct virtio_vsock_stream *s = &v->stream[i];

        if (s->state == DYING) {
            s->state = DEAD;
            lock_release(&v->dev.lock);
            v->vsock->ended(v->vsock->ctx, i, VSOCK_CLOSED);
            lock_acquire(&v->dev.lock);
        } else if (room && s->wants && is_live(s)) {
            s->wants = false;
            lock_release(&v->dev.lock);
            v->vsock->ready(v->vsock->ctx, i);
            lock_acquire(&v->dev.lock);
        }
    }
}

static bool work(void *ctx)
{
    struct virtio_vsock *v = ctx;
    struct virtio_dev *dev = &v->dev;
    u32 budget = VIRTQ_SIZE_MAX;

    lock_acquire(&dev->lock);
    flush_locked(v);
    while (budget && v->reset_count < VIRTIO_VSOCK_RESETS_MAX / 2 &&
           virtio_pop_locked(dev, TX, &v->tx)) {
        struct virtq_token token = v->tx.token;

        packet_do_locked(v);
        virtio_push_locked(dev, TX, token, 0);
        flush_locked(v);
        budget--;
    }
    streams_tell_locked(v);
    flush_locked(v);
    virtio_signal_locked(dev, TX);
    virtio_signal_locked(dev, RX);
    lock_release(&dev->lock);
    return !budget;
}

static bool notify(struct virtio_dev *dev, u32 queue)
{
    struct virtio_vsock *v = vsock_of(dev);
    bool wanted = queue == TX;

    lock_acquire(&dev->lock);
    if (queue == RX && v->starved) {
        v->starved = false;
        v->room_changed = wanted = true;
    }
    lock_release(&dev->lock);
    if (wanted)
        v->vsock->kick(v->vsock->ctx);
    return false;
}

static void reset_locked(struct virtio_dev *dev)
{
    struct virtio_vsock *v = vsock_of(dev);

    v->reset_count = 0;
    v->starved = v->room_changed = false;
    for (u32 i = 0; i < v->top; i++) {
        if (is_live(&v->stream[i]))
            stream_end_locked(v, &v->stream[i], false);
    }
    v->vsock->kick(v->vsock->ctx);
}

static s32 device_connect(void *ctx, u32 guest_port, u32 *host_port)
{
    struct virtio_vsock *v = ctx;
    struct virtio_vsock_stream *s = NULL;

    lock_acquire(&v->dev.lock);
    if (virtio_is_running_locked(&v->dev)) {
        do {
            v->next_port = (v->next_port + 1) | HOST_PORT_FIRST;
        } while (v->next_port == UINT32_MAX || stream_find(v, guest_port, v->next_port));
        s = stream_new(v, guest_port, v->next_port);
    }
    if (s) {
        s->state = CONNECTING;
        *host_port = s->host_port;
        s->pending = BIT(OP_REQUEST);
        flush_locked(v);
        virtio_signal_locked(&v->dev, RX);
    }
    lock_release(&v->dev.lock);
    return s ? (s32)index_of(v, s) : -1;
}

static size_t device_send(void *ctx, u32 stream, const u8 *bytes, size_t len)
{
    struct virtio_vsock *v = ctx;
    struct virtio_vsock_stream *s = &v->stream[stream];
    size_t done = 0;

    lock_acquire(&v->dev.lock);
    if (s->state == OPEN && !(s->host_end & VSOCK_NO_SEND) && !stream_flush_locked(v, s))
        s->wants = true;
    while (s->state == OPEN && !(s->host_end & VSOCK_NO_SEND) && !s->wants && done < len) {
        u32 n = stream_credit(s), room;

        if (!n || !rx_pop_locked(v)) {
            s->wants = true;
            break;
        }
        room = v->rx.writable_len - VIRTIO_VSOCK_HEADER;
        if (n > room)
            n = room;
        if (n > len - done)
            n = (u32)(len - done);
        stream_put_locked(v, s, OP_RW, 0, bytes + done, n);
        done += n;
        if (!n) { /* a buffer for a header alone: the driver gets it back empty, and the next */
            s->wants = true;
            break;
        }
    }
    virtio_signal_locked(&v->dev, RX);
    lock_release(&v->dev.lock);
    return done;
}

static void device_taken(void *ctx, u32 stream, size_t len)
{
    struct virtio_vsock *v = ctx;
    struct virtio_vsock_stream *s = &v->stream[stream];

    lock_acquire(&v->dev.lock);
    if (is_live(s)) {
        s->taken += (u32)len;
        if (s->taken - s->told >= VSOCK_BUFFER / 2) {
            s->pending |= BIT(OP_CREDIT_UPDATE);
            (void)stream_flush_locked(v, s);
            virtio_signal_locked(&v->dev, RX);
        }
    }
    lock_release(&v->dev.lock);
}

static void device_shutdown(void *ctx, u32 stream, u32 no_more)
{
    struct virtio_vsock *v = ctx;
    struct virtio_vsock_stream *s = &v->stream[stream];

    lock_acquire(&v->dev.lock);
    if (s->state == OPEN) {
        s->host_end |= (u8)no_more;
        s->pending |= BIT(OP_SHUTDOWN);
        (void)stream_flush_locked(v, s);
        virtio_signal_locked(&v->dev, RX);
    }
    lock_release(&v->dev.lock);
}

static void device_close(void *ctx, u32 stream)
{
    struct virtio_vsock *v = ctx;
    struct virtio_vsock_stream *s = &v->stream[stream];

    lock_acquire(&v->dev.lock);
    if (is_live(s)) {
        stream_end_locked(v, s, true);
        resets_flush_locked(v);
        virtio_signal_locked(&v->dev, RX);
    }
    s->wants = false;
    stream_free_locked(v, s);
    lock_release(&v->dev.lock);
}

static const struct virtio_class virtio_vsock_class = {
    .name = "virtio-vsock",
    .id = VIRTIO_ID_VSOCK,
    .queue_count = 3,
    .queue_size = {128, 128, 16},
    .notify = notify,
    .reset_locked = reset_locked,
};

void virtio_vsock_init(struct virtio_vsock *v, const struct virtio_vsock_config *config)
{
    const struct vsock_device device = {
        work, device_connect, device_send, device_taken, device_shutdown, device_close, v};

    memset(v, 0, offsetof(struct virtio_vsock, bytes));
    v->vsock = config->vsock;
    v->cid = config->cid;
    v->next_port = HOST_PORT_FIRST;
    le64_store(v->config, config->cid);
    virtio_init(&v->dev, &virtio_vsock_class, F_STREAM, v->config, sizeof(v->config));
    v->vsock->attach(v->vsock->ctx, &device);
}
