/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Virtio device core (VIRTIO 1.2, 2): status machine, feature negotiation, queues, configuration
 * space, reset. Between it and the guest stands a transport (mmio.h), below it a device (blk.h...).
 *
 * Locking: every device has one lock, taken by the functions below unless they end in _locked. It
 * comes after the transport's own and before the interrupt controller's. Back ends (blk, net,
 * chardev) are never called with it held, as they may complete or deliver from within the call.
 */
#ifndef COSM_DEVICE_VIRTIO_VIRTIO_H
#define COSM_DEVICE_VIRTIO_VIRTIO_H

#include "base/log.h"
#include "device/virtio/queue.h"
#include "port/gmem.h"
#include "port/lock.h"

#define VIRTIO_QUEUES_MAX   20 /* of a device; transports have 31 bits for them */
#define VIRTIO_CAUSE_CONFIG UINT32_MAX
/* Chains handled in one notify: no guest gets there that does not refill its queue meanwhile. A
 * program with one thread for the devices of many guests sets it lower (virtio_mmio_go_on). */
#ifndef VIRTIO_BUDGET
#define VIRTIO_BUDGET 65536
#endif

/* Device status (2.1). */
enum {
    VIRTIO_ACKNOWLEDGE = 1,
    VIRTIO_DRIVER = 2,
    VIRTIO_DRIVER_OK = 4,
    VIRTIO_FEATURES_OK = 8,
    VIRTIO_NEEDS_RESET = 64,
    VIRTIO_FAILED = 128,
};

/* Interrupt status, the same bits in every transport. */
enum { VIRTIO_ISR_QUEUE = 1, VIRTIO_ISR_CONFIG = 2 };

/* Device ids (5). */
enum {
    VIRTIO_ID_NET = 1,
    VIRTIO_ID_BLK = 2,
    VIRTIO_ID_CONSOLE = 3,
    VIRTIO_ID_RNG = 4,
    VIRTIO_ID_BALLOON = 5,
    VIRTIO_ID_INPUT = 18,
    VIRTIO_ID_VSOCK = 19,
    VIRTIO_ID_FS = 26,
};

struct virtio_dev;

struct virtio_class {
    const char *name; /* log subsystem, "virtio-blk" */
    u32 id;
    u32 queue_count;                   /* at most: see virtio_limit_queues */
    u16 queue_size[VIRTIO_QUEUES_MAX]; /* entries offered */
    /*
     * The driver kicked the queue, or set DRIVER_OK (then once for each queue); or
     * VIRTIO_CAUSE_CONFIG, see config_write_locked. No lock held. True: stopped with work left, as
     * VIRTIO_BUDGET was used up; to be called again some time.
     */
    bool (*notify)(struct virtio_dev *dev, u32 queue);
    /* Queues are down already, their tokens void. Lock held. May be NULL. */
    void (*reset_locked)(struct virtio_dev *dev);
    /* Waits until no request of a void token touches guest memory. No lock held, may be NULL.
     */
    void (*drain)(struct virtio_dev *dev);
    /*
     * The configuration space was written at byte at. Lock held. True: notify is to be called with
     * VIRTIO_CAUSE_CONFIG once no lock is held. NULL: all of the space is read-only.
     */
    bool (*config_write_locked)(struct virtio_dev *dev, u64 at, u32 size, u64 value);
};

/* What a transport does for a device; called with the device's lock held. */
struct virtio_transport {
    void (*level)(void *ctx, bool level);  /* interrupt status is (not) 0 */
    void (*message)(void *ctx, u32 cause); /* queue index or VIRTIO_CAUSE_CONFIG; may be NULL */
    void *ctx;
};

/* A member of each device's state struct. Fields are the core's: devices use the functions. */
struct virtio_dev {
    const struct virtio_class *cls;
    struct virtio_transport transport;
    const struct gmem *gmem;
    const struct log *log;
    struct log_limit limit;
    struct lock lock;
    u64 offered, accepted; /* feature bits */
    u32 status, isr;
    u32 config_generation;
    u8 *config; /* configuration space, in the device's state struct */
    u32 config_size;
    u32 queue_count;
    struct virtq queue[VIRTIO_QUEUES_MAX];
};

/* For devices: features beside the ring's own; config is kept, may be NULL with size 0. */
void virtio_init(struct virtio_dev *dev, const struct virtio_class *cls, u64 features, u8 *config,
                 u32 config_size);

/* The device has so many queues, not its class' number. After init, before a transport comes. */
void virtio_limit_queues(struct virtio_dev *dev, u32 count);

/* True while the driver has the device running (DRIVER_OK, not NEEDS_RESET). */
bool virtio_is_running_locked(const struct virtio_dev *dev);

/* Has the driver accepted this feature bit (mask)? */
bool virtio_has_locked(const struct virtio_dev *dev, u64 feature);

/*
 * Takes the next chain of a queue. False: none, or the device is not running. A broken queue turns
 * into NEEDS_RESET and a limited log line here.
 */
MUST_CHECK bool virtio_pop_locked(struct virtio_dev *dev, u32 queue, struct virtq_chain *chain);

/* Gives a chain back; the interrupt follows with virtio_signal_locked. */
void virtio_push_locked(struct virtio_dev *dev, u32 queue, struct virtq_token token, u32 written);

/* Gives several back at once: the driver sees all or none. */
void virtio_push_all_locked(struct virtio_dev *dev, u32 queue, const struct virtq_used *used,
                            u32 count);

/* Interrupts the driver if it wants to know of what was pushed. */
void virtio_signal_locked(struct virtio_dev *dev, u32 queue);

/* All that the driver may have set up is lost, if there is one: it needs a reset. */
void virtio_lost(struct virtio_dev *dev);

/* The configuration space has changed: new generation and an interrupt. */
void virtio_config_changed_locked(struct virtio_dev *dev);

/* The device cannot go on: NEEDS_RESET. why is a phrase for the log, "the descriptor table loops".
 */
void virtio_fail_locked(struct virtio_dev *dev, const char *why);

/* For transports. attach comes once, before the guest runs. */
void virtio_attach(struct virtio_dev *dev, const struct virtio_transport *transport,
                   const struct gmem *gmem, const struct log *log);
/* Returns when the device is in power-on state and nothing of it is in flight. */
void virtio_reset(struct virtio_dev *dev);
void virtio_set_status(struct virtio_dev *dev, u32 status);
u32 virtio_status(struct virtio_dev *dev);
u64 virtio_offered(struct virtio_dev *dev);
void virtio_accept(struct virtio_dev *dev, u32 word, u32 features); /* word 0: bits 0..31, 1: .. */
u32 virtio_isr(struct virtio_dev *dev);
void virtio_ack(struct virtio_dev *dev, u32 isr);
u32 virtio_config_generation(struct virtio_dev *dev);
/* size is 1, 2, 4 or 8. Beyond the space: reads are all ones, writes do nothing. */
u64 virtio_config_read(struct virtio_dev *dev, u64 at, u32 size);
/* True: virtio_notify with VIRTIO_CAUSE_CONFIG is to follow once the transport holds no lock. */
MUST_CHECK bool virtio_config_write(struct virtio_dev *dev, u64 at, u32 size, u64 value);
/* The transport holds no lock. True: call it again some time, there is work left. */
MUST_CHECK bool virtio_notify(struct virtio_dev *dev, u32 queue);

/* Queue set-up: ignored for a queue that is absent or ready. */
enum virtio_area { VIRTIO_AREA_DESC, VIRTIO_AREA_DRIVER, VIRTIO_AREA_DEVICE };
u32 virtio_queue_size_max(struct virtio_dev *dev, u32 queue); /* 0: no such queue */
void virtio_queue_set_size(struct virtio_dev *dev, u32 queue, u32 size);
void virtio_queue_set_area(struct virtio_dev *dev, u32 queue, enum virtio_area area, u64 mask,
                           u64 bits);
u64 virtio_queue_area(struct virtio_dev *dev, u32 queue, enum virtio_area area);
/* When a queue goes down, returns when nothing of it is in flight. */
void virtio_queue_set_ready(struct virtio_dev *dev, u32 queue, bool ready);
bool virtio_queue_is_ready(struct virtio_dev *dev, u32 queue);

#endif
