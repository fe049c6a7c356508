/* SPDX-License-Identifier: BSD-2-Clause */
/* Virtio console: hostile buffers while the host sends, resizes and hears that there is room. */
#include "device/virtio/console.h"
#include "fuzz/virtio_script.h"

static struct virtio_console console;
static bool waiting; /* the guest had no buffers for all that the host sent */

/* Copies it, so that a sanitizer looks at all of it. */
static void take(void *ctx, const u8 *bytes, size_t len)
{
    static u8 shown[VIRTIO_CONSOLE_BURST];

    ASSERT(len && len <= sizeof(shown));
    memcpy(shown, bytes, len);
}

static void room(void *ctx)
{
    ASSERT(waiting);
    waiting = false;
}

static void act(u8 arg)
{
    static const u8 bytes[1500] = "typed";
    u32 len = arg & 1 ? sizeof(bytes) : arg & 7;
    size_t took;

    if (arg & 0x80) {
        virtio_console_resize(&console, arg & 63, (u16)(arg * 300u));
        return;
    }
    took = virtio_console_receive(&console, bytes, len);
    ASSERT(took <= len);
    waiting = waiting || took < len;
}

int LLVMFuzzerTestOneInput(const u8 *data, size_t size);
int LLVMFuzzerTestOneInput(const u8 *data, size_t size)
{
    static const struct chardev back = {take, room, NULL};
    struct virtio_console_config config = {.chardev = &back, .cols = size && data[0] & 0x80};

    waiting = false;
    virtio_console_init(&console, &config);
    script_run(virtio_console_dev(&console), act, data, size);
    return 0;
}
