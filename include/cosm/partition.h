/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What a partition of cosm-metal includes: hypercalls, and ports over shared memory in the manner
 * of ARINC 653 (part 1, sections 3.6.1.1 sampling ports, 3.6.1.2 queuing ports). It needs no
 * library, allocates nothing, and is used from S-mode programs of any kind.
 *
 * Ports trust nobody. Each side keeps what it decides by in a struct of its own, takes each word of
 * the shared memory once, and checks it: a peer that writes there what it likes can send nonsense
 * as messages, or make a port say COSM_PORT_BROKEN, and no more. What a message means is for its
 * reader to check, in the copy that it was given.
 */
#ifndef COSM_PARTITION_H
#define COSM_PARTITION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* ---- Hypercalls: SBI calls (SBI 2.0, section 3) of an extension in the firmware's own space ----
 */

#define COSM_SBI_EXT 0x0a434f53 /* "\nCOS" */

enum cosm_call {
    COSM_CALL_DOORBELL = 0,
    COSM_CALL_WATCHDOG_KICK = 1,
    COSM_CALL_INFO = 2,
    COSM_CALL_RAISE = 3,
    COSM_CALL_CONTROL = 4,
    COSM_CALL_PLAN = 5,
    COSM_CALL_TRACE_READ = 6,
    COSM_CALL_LOG_READ = 7,
    COSM_CALL_WINDOW_END = 8,
    COSM_CALL_VDEV_NEXT = 9,
    COSM_CALL_VDEV_REPLY = 10,
    COSM_CALL_STATUS = 11,
};

enum cosm_control {
    COSM_CONTROL_STOP,
    COSM_CONTROL_START,
    COSM_CONTROL_COLD, /* restart; memory outside of images is zeroed */
    COSM_CONTROL_WARM, /* restart; memory outside of images is kept */
};

enum cosm_state { COSM_STOPPED, COSM_STOPPING, COSM_LOADING, COSM_RUNNING };

enum cosm_trace_kind {
    COSM_TRACE_SLOT = 1, /* what: vCPU, or 0xffff when idle; detail: when its slot was to begin */
    COSM_TRACE_HEALTH,   /* what: partition << 16 | event << 8 | action; detail: address */
    COSM_TRACE_LOADED,   /* what: partition; detail: ticks since it was halted */
    COSM_TRACE_PLAN,     /* what: plan */
};

/*
 * Devices that this partition serves to others (virtio-mmio: VIRTIO 1.2, section 4.2), by their
 * number in the configuration, which the device tree tells as cosm,vdev.
 *
 * A driver's load or store becomes a request; its vCPU waits for the reply. Writes to QueueNotify
 * are not waited for: they gather, a bit a queue. The service's interrupt says that there is
 * something; it is raised once, so take all there is. What is there when a service begins, or
 * begins again, was rung for before: look at each device then.
 *
 * If the service's partition stops, drivers read 0 from their devices and their writes are lost. If
 * it restarts, what it had taken and not answered is there to be taken again.
 */
enum cosm_vdev_kind {
    COSM_VDEV_NONE,
    COSM_VDEV_READ,
    COSM_VDEV_WRITE,
    COSM_VDEV_NOTIFY, /* value: queues, a bit each */
    COSM_VDEV_RESET,  /* the driver's partition stopped or restarted: until this was taken,
                         cosm_vdev_reply is denied. What it had said before is void */
};

struct cosm_vdev_request {
    enum cosm_vdev_kind kind;
    unsigned vcpu;   /* of the driver's partition; for the reply */
    unsigned offset; /* in the device's registers, a multiple of width */
    unsigned width;  /* bytes: 1, 2, 4 */
    uint32_t value;  /* that was written */
};

#define COSM_VDEV_NOBODY UINT64_MAX /* vcpu: no request is answered, only the interrupt changes */

enum cosm_vdev_level { COSM_VDEV_LOW, COSM_VDEV_HIGH, COSM_VDEV_KEEP };

struct cosm_trace_record {
    uint64_t time; /* ticks */
    uint32_t kind; /* enum cosm_trace_kind */
    uint32_t what;
    uint64_t detail;
    uint64_t number; /* of the hart's records, from 1 */
};

#ifdef __riscv

struct cosm_sbi_result {
    long error; /* 0, or a negative error of the SBI (section 3, table 1) */
    uint64_t value;
};

static inline struct cosm_sbi_result cosm_sbi4(long extension, long function, uint64_t arg0,
                                               uint64_t arg1, uint64_t arg2, uint64_t arg3)
{
    register uint64_t a0 __asm__("a0") = arg0;
    register uint64_t a1 __asm__("a1") = arg1;
    register uint64_t a2 __asm__("a2") = arg2;
    register uint64_t a3 __asm__("a3") = arg3;
    register long a6 __asm__("a6") = function;
    register long a7 __asm__("a7") = extension;

    __asm__ volatile("ecall" : "+r"(a0), "+r"(a1) : "r"(a2), "r"(a3), "r"(a6), "r"(a7) : "memory");
    return (struct cosm_sbi_result){.error = (long)a0, .value = a1};
}

static inline struct cosm_sbi_result cosm_sbi(long extension, long function, uint64_t arg0,
                                              uint64_t arg1, uint64_t arg2)
{
    return cosm_sbi4(extension, function, arg0, arg1, arg2, 0);
}

/* Rings a doorbell of this partition, counted from 0 in the order of the configuration: raises the
 * interrupt at the other end. What was stored before is there when the interrupt comes. */
static inline long cosm_doorbell(unsigned number)
{
    __asm__ volatile("fence rw, rw" ::: "memory");
    return cosm_sbi(COSM_SBI_EXT, COSM_CALL_DOORBELL, number, 0, 0).error;
}

/* Starts the partition's watchdog, and puts it off by its configured time. */
static inline long cosm_watchdog_kick(void)
{
    return cosm_sbi(COSM_SBI_EXT, COSM_CALL_WATCHDOG_KICK, 0, 0, 0).error;
}

/* The value is the partition's index << 16 | its number of harts. */
static inline struct cosm_sbi_result cosm_info(void)
{
    return cosm_sbi(COSM_SBI_EXT, COSM_CALL_INFO, 0, 0, 0);
}

/* Reports an error of the application: the health policy's rule for "raised" decides. Comes back if
 * that is to ignore or to log. */
static inline long cosm_raise(uint64_t code)
{
    return cosm_sbi(COSM_SBI_EXT, COSM_CALL_RAISE, code, 0, 0).error;
}

/* Stops, starts or restarts a partition, by its index. Needs the right to control. */
static inline long cosm_control(unsigned partition, enum cosm_control what)
{
    return cosm_sbi(COSM_SBI_EXT, COSM_CALL_CONTROL, partition, (uint64_t)what, 0).error;
}

/* Switches to another plan when the frame ends. Needs the right to control. */
static inline long cosm_plan(unsigned number)
{
    return cosm_sbi(COSM_SBI_EXT, COSM_CALL_PLAN, number, 0, 0).error;
}

/* Copies up to 32 records of a hart's trace, those after the one with number since, to memory of
 * this partition: struct cosm_trace_record at a guest-physical address. The value is how many.
 * Needs the right to monitor. */
static inline struct cosm_sbi_result cosm_trace_read(unsigned hart, uint64_t gpa, uint64_t count,
                                                     uint64_t since)
{
    return cosm_sbi4(COSM_SBI_EXT, COSM_CALL_TRACE_READ, hart, gpa, count, since);
}

/* Copies up to 128 bytes of the hypervisor's log, from its byte number since on (of all that were
 * ever written, modulo 2^32), to memory of this partition. The value is the number of the byte
 * behind them | how many << 32; more than that ahead of since: the log keeps 512 bytes, and what
 * was before them is lost. Needs the right to monitor. */
static inline struct cosm_sbi_result cosm_log_read(uint64_t gpa, uint64_t bytes, uint32_t since)
{
    return cosm_sbi(COSM_SBI_EXT, COSM_CALL_LOG_READ, gpa, bytes, since);
}

/* On a hart with a cyclic plan: gives the rest of this window away, returns in the next. */
static inline long cosm_window_end(void)
{
    return cosm_sbi(COSM_SBI_EXT, COSM_CALL_WINDOW_END, 0, 0, 0).error;
}

/* Takes the next request of a device that this partition serves. Returns the SBI's error: the
 * device is not this partition's to serve. */
static inline long cosm_vdev_next(unsigned vdev, struct cosm_vdev_request *request)
{
    struct cosm_sbi_result r = cosm_sbi(COSM_SBI_EXT, COSM_CALL_VDEV_NEXT, vdev, 0, 0);

    request->value = (uint32_t)r.value;
    request->offset = r.value >> 32 & 0xffff;
    request->vcpu = r.value >> 48 & 0xff;
    request->width = r.value >> 56 & 15;
    request->kind = r.error ? COSM_VDEV_NONE : (enum cosm_vdev_kind)(r.value >> 60);
    return r.error;
}

/* Answers the request of a driver's vCPU (a value also to a write: it is not looked at), and sets
 * the level of the device's interrupt. What was stored before, the driver sees. Denied, and nothing
 * done: that vCPU waits for no answer of this device, or the device has to be reset. */
static inline long cosm_vdev_reply(unsigned vdev, uint64_t vcpu, uint32_t value,
                                   enum cosm_vdev_level level)
{
    __asm__ volatile("fence rw, rw" ::: "memory");
    return cosm_sbi4(COSM_SBI_EXT, COSM_CALL_VDEV_REPLY, vdev, vcpu, value, (uint64_t)level).error;
}

/* How a partition fares: the value is restarts so far << 8 | enum cosm_state. */
static inline struct cosm_sbi_result cosm_status(unsigned partition)
{
    return cosm_sbi(COSM_SBI_EXT, COSM_CALL_STATUS, partition, 0, 0);
}

#endif

/* ---- Ports ---- */

enum cosm_port_result {
    COSM_PORT_OK,
    COSM_PORT_EMPTY,    /* no message, or none yet */
    COSM_PORT_FULL,     /* the receiver has to take one first */
    COSM_PORT_TOO_LONG, /* the message, for the port or for the buffer given */
    COSM_PORT_BUSY,     /* sampling: new messages came faster than one could be read */
    COSM_PORT_BROKEN,   /* the peer wrote what no peer may */
};

/*
 * The bytes of messages are copied by words and each word once, so that sender and receiver never
 * race in the sense of C11, and no value can change between its check and its use. Messages take
 * whole words in shared memory, which is aligned to 8 bytes.
 */
static inline size_t cosm_port_words(size_t bytes)
{
    return bytes / 8 + (bytes % 8 != 0);
}

static inline void cosm_port_copy_in(uint64_t *shared, const void *from, size_t bytes)
{
    const uint8_t *source = (const uint8_t *)from;

    for (size_t word = 0; word < cosm_port_words(bytes); word++) {
        uint64_t value = 0;

        for (size_t i = 0; i < 8 && word * 8 + i < bytes; i++)
            value |= (uint64_t)source[word * 8 + i] << (8 * i);
        __atomic_store_n(&shared[word], value, __ATOMIC_RELAXED);
    }
}

static inline void cosm_port_copy_out(void *to, const uint64_t *shared, size_t bytes)
{
    uint8_t *target = (uint8_t *)to;

    for (size_t word = 0; word < cosm_port_words(bytes); word++) {
        uint64_t value = __atomic_load_n(&shared[word], __ATOMIC_RELAXED);

        for (size_t i = 0; i < 8 && word * 8 + i < bytes; i++)
            target[word * 8 + i] = (uint8_t)(value >> (8 * i));
    }
}

/*
 * Sampling port: the last message counts. One writer, any number of readers; neither waits for the
 * other.
 *
 * Theory of operation: two slots, and the number of messages so far. Message n (from 1) is written
 * to slot n % 2 while readers take n - 1 from the other, and is there once the count says n. A
 * writer that is stopped half-way, by the end of its window or for good, leaves the message before
 * it readable. A reader whose message is still the last one after its copy has copied it whole, as
 * only message n + 2 overwrites it, which begins after the count said n + 1.
 *
 * Shared memory, zeroed at boot: the count, 4 bytes, padded to 8; then two slots of length, time,
 * message.
 */
struct cosm_sampling {
    uint64_t *shared;
    size_t size; /* the longest message, bytes */
};

#define COSM_SAMPLING_SLOT_WORDS(size) (2 + cosm_port_words(size))
/* Bytes of shared memory that a port takes whose messages have up to size bytes. */
#define COSM_SAMPLING_BYTES(size) (8 * (1 + 2 * COSM_SAMPLING_SLOT_WORDS(size)))
#define COSM_SAMPLING_TRIES       4

/* False if the memory is too small or not aligned to 8 bytes; it must outlive the port. */
static inline bool cosm_sampling_open(struct cosm_sampling *port, void *shared, size_t shared_bytes,
                                      size_t message_size)
{
    if ((uintptr_t)shared % 8 != 0 || message_size > shared_bytes ||
        shared_bytes < COSM_SAMPLING_BYTES(message_size))
        return false;
    port->shared = (uint64_t *)shared;
    port->size = message_size;
    return true;
}

static inline uint64_t *cosm_sampling_slot(const struct cosm_sampling *port, uint64_t message)
{
    return port->shared + 1 + (message & 1) * COSM_SAMPLING_SLOT_WORDS(port->size);
}

/* Writes a message as of a time (of a clock that writer and readers share, in its own unit). */
static inline enum cosm_port_result
cosm_sampling_write(struct cosm_sampling *port, const void *message, size_t bytes, uint64_t time)
{
    uint64_t next, *slot;

    if (bytes > port->size)
        return COSM_PORT_TOO_LONG;
    next = __atomic_load_n(port->shared, __ATOMIC_RELAXED) + 1;
    slot = cosm_sampling_slot(port, next);
    /* Whoever sees a word of this message sees the count before it, too (cosm_sampling_read). */
    __atomic_thread_fence(__ATOMIC_RELEASE);
    __atomic_store_n(&slot[0], (uint64_t)bytes, __ATOMIC_RELAXED);
    __atomic_store_n(&slot[1], time, __ATOMIC_RELAXED);
    cosm_port_copy_in(slot + 2, message, bytes);
    __atomic_store_n(port->shared, next, __ATOMIC_RELEASE);
    return COSM_PORT_OK;
}

/* Copies the last message to a buffer. Only COSM_PORT_OK sets length and time, though the buffer
 * may be written by others. */
static inline enum cosm_port_result cosm_sampling_read(const struct cosm_sampling *port,
                                                       void *buffer, size_t buffer_bytes,
                                                       size_t *length, uint64_t *time)
{
    for (int tries = 0; tries < COSM_SAMPLING_TRIES; tries++) {
        uint64_t last = __atomic_load_n(port->shared, __ATOMIC_ACQUIRE);
        const uint64_t *slot = cosm_sampling_slot(port, last);
        uint64_t bytes, written;

        if (last == 0)
            return COSM_PORT_EMPTY;
        bytes = __atomic_load_n(&slot[0], __ATOMIC_RELAXED);
        written = __atomic_load_n(&slot[1], __ATOMIC_RELAXED);
        if (bytes <= port->size && bytes <= buffer_bytes)
            cosm_port_copy_out(buffer, slot + 2, bytes);
        __atomic_thread_fence(__ATOMIC_ACQUIRE);
        if (__atomic_load_n(port->shared, __ATOMIC_RELAXED) != last)
            continue;
        if (bytes > port->size)
            return COSM_PORT_BROKEN;
        if (bytes > buffer_bytes)
            return COSM_PORT_TOO_LONG;
        *length = bytes;
        *time = written;
        return COSM_PORT_OK;
    }
    return COSM_PORT_BUSY;
}

/* Whether a message of that time is fresh enough. One from the future is not: no honest writer on a
 * shared clock sends it. */
static inline bool cosm_sampling_is_valid(uint64_t time, uint64_t now, uint64_t most_age)
{
    return time <= now && now - time <= most_age;
}

/*
 * Queuing port: messages in order, none lost. One sender, one receiver.
 *
 * Theory of operation: counts of messages sent and taken, each written by one side; both wrap at
 * 2^32. Message n lies in slot n % depth, so depth is a power of two. Each side keeps its own count
 * in private and takes the peer's once a call: more than depth between them is a peer's fault.
 *
 * A side that restarts alone opens the port again and goes on with the count in shared memory.
 *
 * Shared memory, zeroed at boot: sent, taken, 8 bytes each; then slots of length, message.
 */
struct cosm_queuing {
    uint64_t *shared;
    size_t size; /* the longest message, bytes */
    uint32_t depth;
    uint32_t own; /* sender: messages sent; receiver: taken */
};

#define COSM_QUEUING_SLOT_WORDS(size) (1 + cosm_port_words(size))
/* Bytes of shared memory for a queue of depth messages of up to size bytes. */
#define COSM_QUEUING_BYTES(size, depth) (8 * (2 + (size_t)(depth)*COSM_QUEUING_SLOT_WORDS(size)))

static inline bool cosm_queuing_open(struct cosm_queuing *port, void *shared, size_t shared_bytes,
                                     size_t message_size, uint32_t depth, int own_word)
{
    size_t slot_words;

    if ((uintptr_t)shared % 8 != 0 || depth == 0 || (depth & (depth - 1)) != 0 ||
        shared_bytes < 16 || message_size > shared_bytes)
        return false;
    slot_words = COSM_QUEUING_SLOT_WORDS(message_size);
    if (slot_words > (shared_bytes / 8 - 2) / depth)
        return false;
    port->shared = (uint64_t *)shared;
    port->size = message_size;
    port->depth = depth;
    port->own = (uint32_t)__atomic_load_n(&port->shared[own_word], __ATOMIC_RELAXED);
    return true;
}

/* False if the memory is too small or not aligned to 8 bytes, or depth no power of two. Sender and
 * receiver give the same sizes, from their configuration and not from shared memory. */
static inline bool cosm_queuing_open_sender(struct cosm_queuing *port, void *shared,
                                            size_t shared_bytes, size_t message_size,
                                            uint32_t depth)
{
    return cosm_queuing_open(port, shared, shared_bytes, message_size, depth, 0);
}

static inline bool cosm_queuing_open_receiver(struct cosm_queuing *port, void *shared,
                                              size_t shared_bytes, size_t message_size,
                                              uint32_t depth)
{
    return cosm_queuing_open(port, shared, shared_bytes, message_size, depth, 1);
}

static inline uint64_t *cosm_queuing_slot(const struct cosm_queuing *port)
{
    size_t slot = port->own & (port->depth - 1);

    return port->shared + 2 + slot * COSM_QUEUING_SLOT_WORDS(port->size);
}

/* Sends a message: COSM_PORT_FULL if the receiver has not taken enough yet. */
static inline enum cosm_port_result cosm_queuing_send(struct cosm_queuing *port,
                                                      const void *message, size_t bytes)
{
    uint32_t waiting;
    uint64_t *slot = cosm_queuing_slot(port);

    if (bytes > port->size)
        return COSM_PORT_TOO_LONG;
    /* Acquire: the receiver's copy out of the slot is over. */
    waiting = port->own - (uint32_t)__atomic_load_n(&port->shared[1], __ATOMIC_ACQUIRE);
    if (waiting > port->depth)
        return COSM_PORT_BROKEN;
    if (waiting == port->depth)
        return COSM_PORT_FULL;
    __atomic_store_n(&slot[0], (uint64_t)bytes, __ATOMIC_RELAXED);
    cosm_port_copy_in(slot + 1, message, bytes);
    port->own++;
    __atomic_store_n(&port->shared[0], (uint64_t)port->own, __ATOMIC_RELEASE);
    return COSM_PORT_OK;
}

/* Takes the oldest message. One that is longer than the buffer stays (COSM_PORT_TOO_LONG); one
 * whose length no sender may write is dropped (COSM_PORT_BROKEN). */
static inline enum cosm_port_result cosm_queuing_receive(struct cosm_queuing *port, void *buffer,
                                                         size_t buffer_bytes, size_t *length)
{
    uint32_t waiting;
    uint64_t bytes;
    const uint64_t *slot = cosm_queuing_slot(port);

    waiting = (uint32_t)__atomic_load_n(&port->shared[0], __ATOMIC_ACQUIRE) - port->own;
    if (waiting > port->depth)
        return COSM_PORT_BROKEN;
    if (waiting == 0)
        return COSM_PORT_EMPTY;
    bytes = __atomic_load_n(&slot[0], __ATOMIC_RELAXED);
    if (bytes <= port->size && bytes > buffer_bytes)
        return COSM_PORT_TOO_LONG;
    if (bytes <= port->size) {
        cosm_port_copy_out(buffer, slot + 1, bytes);
        *length = bytes;
    }
    port->own++;
    __atomic_store_n(&port->shared[1], (uint64_t)port->own, __ATOMIC_RELEASE);
    return bytes <= port->size ? COSM_PORT_OK : COSM_PORT_BROKEN;
}

#endif
