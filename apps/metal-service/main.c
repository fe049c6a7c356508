/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Devices as the device tree has them, and the loop that serves all in turn.
 *
 * Interrupts are off but in one place, behind WFI, so that none is missed between the last look and
 * the sleep; their handler has nothing to do. Of each device a few requests are served, then it is
 * the next one's turn: no driver keeps the others waiting.
 */
#include "service.h"

#include "base/assert.h"
#include "base/mem.h"
#include "device/virtio/mmio.h"
#include "guest.h"

#define TURN         16 /* requests of a device before it is the next one's turn */
#define QUEUE_NOTIFY 0x50
#define TYPING_US    10000

struct served {
    struct virtio_mmio mmio;
    struct gmem gmem;
    u32 vdev;
    bool level, told; /* of the interrupt: as it is, as the hypervisor knows it */
};

static struct served served[SERVICE_DEVICES];
static u32 served_count;

NORETURN void assert_failed(const char *expr, const char *file, int line)
{
    print("%s:%d: %s\n", file, line, expr);
    cosm_raise(1);
    guest_end(true);
}

/* There is one thread: a lock that is held will stay so. */
void port_wait(_Atomic u32 *word, u32 value)
{
    assert_failed("nobody waits for a lock", __FILE__, __LINE__);
}

void port_wake(_Atomic u32 *word)
{
}

/* --- The device tree --- */

const u8 *node_bytes(const struct node *node, const char *name, u32 bytes)
{
    u32 has = 0;
    const u8 *value = fdt_property_of(node->tree, SERVICE_NODE, node->number, name, &has);

    return value && has >= bytes ? value : NULL;
}

bool node_u64s(const struct node *node, const char *name, u64 *value, u32 count)
{
    const u8 *raw = node_bytes(node, name, 8 * count);

    for (u32 i = 0; raw && i < count; i++)
        value[i] = be64_load(raw + 8 * i);
    return raw;
}

bool joined(const char *a, const char *b)
{
    return a && b && !strcmp(a, b);
}

static const char *text_of(const struct node *node, const char *name)
{
    return (const char *)node_bytes(node, name, 1);
}

static u32 cell_of(const struct node *node, const char *name)
{
    const u8 *raw = node_bytes(node, name, 4);

    return raw ? be32_load(raw) : 0;
}

/* The window to the driver's memory: what the driver calls base lies there. */
static bool find_window(const struct node *node, struct gmem *gmem)
{
    u64 window[2], base;

    if (!node_u64s(node, "reg", window, 2) || !node_u64s(node, "cosm,driver-memory", &base, 1))
        return false;
    gmem->region[0] =
        (struct gmem_region){.base = base, .size = window[1], .host = (u8 *)(uintptr_t)window[0]};
    gmem->count = 1;
    return true;
}

static struct virtio_dev *make(const struct node *node, struct gmem *gmem)
{
    static const struct {
        const char *name;
        struct virtio_dev *(*make)(const struct node *node);
    } kinds[] = {{"console", console_make}, {"net", net_make}, {"blk", disk_make}};
    const char *kind = text_of(node, "cosm,device");

    for (u32 i = 0; kind && i < ARRAY_SIZE(kinds); i++) {
        if (!strcmp(kind, kinds[i].name))
            return find_window(node, gmem) ? kinds[i].make(node) : NULL;
    }
    return NULL;
}

/* --- Devices --- */

static void line_set(void *ctx, u32 line, bool level)
{
    served[line].level = level;
}

static void log_line(void *ctx, enum log_level level, const char *subsystem, const char *text)
{
    print("%s: %s\n", subsystem, text);
}

static void rung(unsigned source)
{
}

/* A node that says too little becomes a slot without a device: somebody has to answer for it. */
static void serve(const struct node *node)
{
    static const struct log log = {.write = log_line, .level = LOG_WARN};
    struct served *s = &served[served_count];
    struct virtio_mmio_config config = {
        .id = node->label, .log = &log, .irq = {line_set, NULL, served_count}, .gmem = &s->gmem};

    s->vdev = cell_of(node, "cosm,vdev");
    config.dev = make(node, &s->gmem);
    if (!config.dev)
        print("device %u of %s: it has no window, or its kind is not known\n", s->vdev,
              node->label);
    virtio_mmio_init(&s->mmio, &config);
    /* The service may have begun anew, under a driver that knows nothing of it. */
    if (config.dev)
        virtio_lost(config.dev);
    served_count++;
    irq_enable(cell_of(node, "interrupts"), rung, true);
}

static void serve_all(const void *tree)
{
    struct node node = {.tree = tree};

    for (; served_count < SERVICE_DEVICES && node_bytes(&node, "compatible", 1); node.number++) {
        node.label = text_of(&node, "label");
        node.join = text_of(&node, "cosm,join");
        if (node.label)
            serve(&node);
    }
    print("virtio service: %u devices\n", served_count);
}

/* --- Requests --- */

static enum cosm_vdev_level level_of(const struct served *s)
{
    if (s->level == s->told)
        return COSM_VDEV_KEEP;
    return s->level ? COSM_VDEV_HIGH : COSM_VDEV_LOW;
}

static void tell_level(struct served *s)
{
    if (s->level != s->told && !cosm_vdev_reply(s->vdev, COSM_VDEV_NOBODY, 0, level_of(s)))
        s->told = s->level;
}

/* What there is not, ignores it. */
static void write_register(struct served *s, u32 offset, u32 width, u32 value)
{
    bool known = device_write(&s->mmio.device, offset, width, value);

    (void)known;
}

/* What there is not, reads as 0. */
static u32 read_register(struct served *s, u32 offset, u32 width)
{
    u64 value;

    return device_read(&s->mmio.device, offset, width, &value) ? (u32)value : 0;
}

static void answer(struct served *s, const struct cosm_vdev_request *r)
{
    u32 value = 0;

    if (r->kind == COSM_VDEV_READ)
        value = read_register(s, r->offset, r->width);
    else
        write_register(s, r->offset, r->width, r->value);
    if (!cosm_vdev_reply(s->vdev, r->vcpu, value, level_of(s)))
        s->told = s->level;
}

static void notified(struct served *s, u32 queues)
{
    for (; queues; queues &= queues - 1)
        write_register(s, QUEUE_NOTIFY, 4, (u32)__builtin_ctz(queues));
}

/* False: there was no request. */
static bool serve_one(struct served *s)
{
    struct cosm_vdev_request r;

    (void)cosm_vdev_next(s->vdev, &r);
    switch (r.kind) {
    case COSM_VDEV_READ:
    case COSM_VDEV_WRITE:
        answer(s, &r);
        break;
    case COSM_VDEV_NOTIFY:
        notified(s, r.value);
        break;
    case COSM_VDEV_RESET:
        device_reset(&s->mmio.device);
        s->told = false; /* so is its controller */
        break;
    default:
        return false;
    }
    return true;
}

/* A turn of all devices; false: nobody has anything to do. */
static bool serve_turn(void)
{
    bool busy = false;

    for (u32 i = 0; i < served_count; i++) {
        u32 turn = 0;

        while (turn < TURN && serve_one(&served[i]))
            turn++;
        busy |= turn || virtio_mmio_go_on(&served[i].mmio);
    }
    for (u32 i = 0; i < served_count; i++)
        tell_level(&served[i]);
    return busy;
}

void guest_main(u64 hart, const void *tree)
{
    irq_init(tree);
    trap_on_interrupt(IRQ_TIMER, timer_done);
    csr_set(sie, 1u << IRQ_TIMER);
    interrupts_off();
    serve_all(tree);
    for (;;) {
        bool typing = console_poll();

        if (serve_turn())
            continue;
        if (typing)
            timer_set(time_now() + time_from_us(TYPING_US));
        __asm__ volatile("wfi");
        interrupts_on();
        interrupts_off();
    }
}
