/* SPDX-License-Identifier: BSD-2-Clause */
/* Virtio input device (VIRTIO 1.2, 5.8): queue 0 takes events to the guest, queue 1 its answers. */
#include "device/virtio/input.h"

#include "base/bits.h"
#include "base/mem.h"

enum { EVENTS = 0, STATUS = 1 };

/* Types of events (Linux, input-event-codes.h). */
enum { EV_SYN = 0, EV_KEY = 1 };

/* Configuration space (5.8.5): what is asked for, and the answer's size and bytes. */
enum { CONFIG_SELECT = 0, CONFIG_SUBSEL = 1, CONFIG_SIZE = 2, CONFIG_ANSWER = 8 };
enum { SELECT_NAME = 1, SELECT_IDS = 3, SELECT_EVENTS = 0x11 };

/* ID_DEVIDS: bus, vendor, product, version. */
enum { BUS_VIRTUAL = 6 };

static struct virtio_input *input_of(struct virtio_dev *dev)
{
    return CONTAINER_OF(dev, struct virtio_input, dev);
}

static u32 name_length(const char *name)
{
    u32 n = 0;

    while (name[n] && n < VIRTIO_INPUT_CONFIG_SIZE - CONFIG_ANSWER - 1)
        n++;
    return n;
}

/* Fills in what select and subsel ask for; what there is not has size 0. */
static void answer(struct virtio_input *input)
{
    u8 *to = input->config + CONFIG_ANSWER;
    const u8 select = input->config[CONFIG_SELECT], subsel = input->config[CONFIG_SUBSEL];
    u32 size = 0;

    memset(to, 0, VIRTIO_INPUT_CONFIG_SIZE - CONFIG_ANSWER);
    if (select == SELECT_NAME && !subsel) {
        size = name_length(input->name);
        memcpy(to, input->name, size);
    } else if (select == SELECT_IDS && !subsel) {
        size = 8;
        le16_store(to, BUS_VIRTUAL);
    } else if (select == SELECT_EVENTS && subsel == EV_KEY) {
        size = sizeof(input->keys);
        memcpy(to, input->keys, size);
    }
    input->config[CONFIG_SIZE] = (u8)size;
}

static bool config_write_locked(struct virtio_dev *dev, u64 at, u32 size, u64 value)
{
    struct virtio_input *input = input_of(dev);

    if (at + size > CONFIG_SUBSEL + 1)
        return false;
    for (u32 i = 0; i < size; i++)
        input->config[at + i] = (u8)(value >> 8 * i);
    answer(input);
    return false;
}

/* Answers (of lights, say) are taken and mean nothing. */
static bool notify(struct virtio_dev *dev, u32 queue)
{
    struct virtio_input *input = input_of(dev);
    u32 budget = VIRTIO_BUDGET;

    if (queue != STATUS)
        return false;
    lock_acquire(&dev->lock);
    while (budget && virtio_pop_locked(dev, STATUS, &input->chain)) {
        virtio_push_locked(dev, STATUS, input->chain.token, 0);
        budget--;
    }
    virtio_signal_locked(dev, STATUS);
    lock_release(&dev->lock);
    return !budget;
}

static bool send_locked(struct virtio_input *input, u16 type, u16 code, u32 value)
{
    struct virtio_dev *dev = &input->dev;
    u8 event[8];
    size_t n;

    if (!virtio_pop_locked(dev, EVENTS, &input->chain))
        return false;
    le16_store(event, type);
    le16_store(event + 2, code);
    le32_store(event + 4, value);
    n = virtq_chain_write(&dev->queue[EVENTS], &input->chain, 0, event, sizeof(event));
    virtio_push_locked(dev, EVENTS, input->chain.token, (u32)n);
    return n == sizeof(event);
}

bool virtio_input_press(struct virtio_input *input, u8 key)
{
    struct virtio_dev *dev = &input->dev;
    bool sent = true;

    lock_acquire(&dev->lock);
    for (u32 down = 2; sent && down-- > 0;)
        sent = send_locked(input, EV_KEY, key, down) && send_locked(input, EV_SYN, 0, 0);
    virtio_signal_locked(dev, EVENTS);
    lock_release(&dev->lock);
    return sent;
}

static const struct virtio_class virtio_input_class = {
    .name = "virtio-input",
    .id = VIRTIO_ID_INPUT,
    .queue_count = 2,
    .queue_size = {64, 64},
    .notify = notify,
    .config_write_locked = config_write_locked,
};

void virtio_input_init(struct virtio_input *input, const struct virtio_input_config *config)
{
    memset(input, 0, sizeof(*input));
    input->name = config->name;
    for (u32 i = 0; i < config->key_count; i++)
        input->keys[config->key[i] / 8] |= (u8)(1u << config->key[i] % 8);
    virtio_init(&input->dev, &virtio_input_class, 0, input->config, sizeof(input->config));
}
