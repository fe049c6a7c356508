/* SPDX-License-Identifier: BSD-2-Clause */
/* Virtio console with one port (VIRTIO 1.2, 5.3): queue 0 to the guest, queue 1 from it. */
#include "device/virtio/console.h"

#include "base/mem.h"

enum { RX = 0, TX = 1 };

#define F_SIZE        BIT(0)
#define F_EMERG_WRITE BIT(2)

/* Offsets in the configuration space (5.3.4). */
enum { CONFIG_COLS = 0, CONFIG_ROWS = 2, CONFIG_PORTS = 4, CONFIG_EMERG_WR = 8 };

/* Of one chain, more than this is not looked at: its segments may all name the same memory. */
#define CHAIN_MAX ((u32)MIB)

static struct virtio_console *console_of(struct virtio_dev *dev)
{
    return CONTAINER_OF(dev, struct virtio_console, dev);
}

/* Sends console->chain. The lock is released around each burst. */
static void chain_send_locked(struct virtio_console *console)
{
    struct virtio_dev *dev = &console->dev;
    const struct virtq_chain *chain = &console->chain;
    u8 bytes[VIRTIO_CONSOLE_BURST];

    for (u32 at = 0; at < CHAIN_MAX && virtq_is_current(&dev->queue[TX], chain->token);) {
        size_t n = virtq_chain_read(&dev->queue[TX], chain, at, bytes, sizeof(bytes));

        if (!n)
            break;
        at += (u32)n;
        lock_release(&dev->lock);
        chardev_write(console->chardev, bytes, n);
        lock_acquire(&dev->lock);
    }
}

static void emergency_send_locked(struct virtio_console *console)
{
    u8 bytes[VIRTIO_CONSOLE_EMERGENCY];
    u32 n = console->emergency_count;

    if (!n)
        return;
    memcpy(bytes, console->emergency, n);
    console->emergency_count = 0;
    lock_release(&console->dev.lock);
    chardev_write(console->chardev, bytes, n);
    lock_acquire(&console->dev.lock);
}

static bool send(struct virtio_console *console)
{
    struct virtio_dev *dev = &console->dev;
    u32 budget = VIRTIO_BUDGET;

    lock_acquire(&dev->lock);
    console->send_again = true;
    if (console->sending) {
        lock_release(&dev->lock);
        return false;
    }
    console->sending = true;
    while (console->send_again && budget) {
        console->send_again = false;
        emergency_send_locked(console);
        while (budget && virtio_pop_locked(dev, TX, &console->chain)) {
            chain_send_locked(console);
            virtio_push_locked(dev, TX, console->chain.token, 0);
            virtio_signal_locked(dev, TX);
            budget--;
        }
    }
    console->sending = false;
    lock_release(&dev->lock);
    return !budget;
}

/* The driver gave buffers: whoever was refused may try again. */
static void room(struct virtio_console *console)
{
    bool refused;

    lock_acquire(&console->dev.lock);
    refused = console->refused;
    console->refused = false;
    lock_release(&console->dev.lock);
    if (refused)
        chardev_room(console->chardev);
}

static bool notify(struct virtio_dev *dev, u32 queue)
{
    if (queue != RX)
        return send(console_of(dev));
    room(console_of(dev));
    return false;
}

static bool config_write_locked(struct virtio_dev *dev, u64 at, u32 size, u64 value)
{
    struct virtio_console *console = console_of(dev);

    if (at != CONFIG_EMERG_WR)
        return false;
    if (console->emergency_count < VIRTIO_CONSOLE_EMERGENCY)
        console->emergency[console->emergency_count++] = (u8)value;
    return true;
}

size_t virtio_console_receive(struct virtio_console *console, const u8 *bytes, size_t len)
{
    struct virtio_dev *dev = &console->dev;
    struct virtq_chain *chain = &console->rx;
    size_t done = 0;

    lock_acquire(&dev->lock);
    for (u32 budget = VIRTQ_SIZE_MAX; budget && done < len; budget--) {
        size_t n;

        if (!virtio_pop_locked(dev, RX, chain))
            break;
        n = virtq_chain_write(&dev->queue[RX], chain, 0, bytes + done, len - done);
        virtio_push_locked(dev, RX, chain->token, (u32)n);
        done += n;
    }
    virtio_signal_locked(dev, RX);
    if (done < len)
        console->refused = true;
    lock_release(&dev->lock);
    return done;
}

void virtio_console_resize(struct virtio_console *console, u16 cols, u16 rows)
{
    struct virtio_dev *dev = &console->dev;

    lock_acquire(&dev->lock);
    if (dev->offered & F_SIZE) {
        le16_store(console->config + CONFIG_COLS, cols);
        le16_store(console->config + CONFIG_ROWS, rows);
        virtio_config_changed_locked(dev);
    }
    lock_release(&dev->lock);
}

static const struct virtio_class virtio_console_class = {
    .name = "virtio-console",
    .id = VIRTIO_ID_CONSOLE,
    .queue_count = 2,
    .queue_size = {64, 64},
    .notify = notify,
    .config_write_locked = config_write_locked,
};

void virtio_console_init(struct virtio_console *console, const struct virtio_console_config *config)
{
    bool sized = config->cols && config->rows;

    memset(console, 0, sizeof(*console));
    console->chardev = config->chardev;
    le16_store(console->config + CONFIG_COLS, config->cols);
    le16_store(console->config + CONFIG_ROWS, config->rows);
    le32_store(console->config + CONFIG_PORTS, 1);
    virtio_init(&console->dev, &virtio_console_class, F_EMERG_WRITE | (sized ? F_SIZE : 0),
                console->config, sizeof(console->config));
}
