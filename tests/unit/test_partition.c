/* SPDX-License-Identifier: BSD-2-Clause */
/* Ports between partitions: what arrives, under threads, and what a hostile peer can make of it. */
#include "cosm/partition.h"

#include "tests/random.h"
#include "tests/test.h"

#include <pthread.h>
#include <sched.h>

#define SIZE  40 /* of the longest message */
#define DEPTH 8

/* Memory of exactly as many bytes as the port takes, so that a sanitizer sees one beyond. */
static void *shared_memory(size_t bytes)
{
    void *memory = aligned_alloc(8, bytes);

    CHECK(memory != NULL);
    memset(memory, 0, bytes);
    return memory;
}

TEST(sampling_ports_refuse_memory_that_does_not_do)
{
    struct cosm_sampling port;
    u64 memory[64] = {0};

    CHECK(cosm_sampling_open(&port, memory, COSM_SAMPLING_BYTES(SIZE), SIZE));
    CHECK(!cosm_sampling_open(&port, memory, COSM_SAMPLING_BYTES(SIZE) - 1, SIZE));
    CHECK(!cosm_sampling_open(&port, (u8 *)memory + 4, sizeof(memory) - 8, SIZE));
    CHECK(!cosm_sampling_open(&port, memory, sizeof(memory), SIZE_MAX));
    CHECK(!cosm_sampling_open(&port, memory, sizeof(memory), SIZE_MAX / 16));
}

TEST(queuing_ports_refuse_memory_that_does_not_do)
{
    struct cosm_queuing port;
    u64 memory[64] = {0};

    CHECK(cosm_queuing_open_sender(&port, memory, COSM_QUEUING_BYTES(SIZE, 8), SIZE, 8));
    CHECK(!cosm_queuing_open_sender(&port, memory, COSM_QUEUING_BYTES(SIZE, 8) - 1, SIZE, 8));
    CHECK(!cosm_queuing_open_sender(&port, memory, sizeof(memory), SIZE, 6));
    CHECK(!cosm_queuing_open_sender(&port, memory, sizeof(memory), SIZE, 0));
    CHECK(!cosm_queuing_open_receiver(&port, memory, sizeof(memory), SIZE, UINT32_C(1) << 31));
    CHECK(!cosm_queuing_open_receiver(&port, memory, sizeof(memory), SIZE_MAX, 1));
    CHECK(!cosm_queuing_open_receiver(&port, memory, 8, 0, 1));
    CHECK(!cosm_queuing_open_receiver(&port, (u8 *)memory + 1, sizeof(memory) - 8, SIZE, 1));
}

TEST(the_last_sample_counts)
{
    void *memory = shared_memory(COSM_SAMPLING_BYTES(SIZE));
    struct cosm_sampling port;
    u8 message[SIZE + 1], got[SIZE];
    size_t length = 99;
    u64 time = 0;

    CHECK(cosm_sampling_open(&port, memory, COSM_SAMPLING_BYTES(SIZE), SIZE));
    CHECK_EQ(cosm_sampling_read(&port, got, SIZE, &length, &time), COSM_PORT_EMPTY);
    for (u32 n = 0; n <= SIZE; n++) {
        memset(message, (int)n + 1, sizeof(message));
        CHECK_EQ(cosm_sampling_write(&port, message, n, 100 + n), COSM_PORT_OK);
        memset(got, 0xee, sizeof(got));
        CHECK_EQ(cosm_sampling_read(&port, got, SIZE, &length, &time), COSM_PORT_OK);
        CHECK_EQ(length, n);
        CHECK_EQ(time, 100 + n);
        CHECK(!memcmp(got, message, n) && (n == SIZE || got[n] == 0xee));
    }
    CHECK_EQ(cosm_sampling_write(&port, message, SIZE + 1, 0), COSM_PORT_TOO_LONG);
    CHECK_EQ(cosm_sampling_read(&port, got, SIZE - 1, &length, &time), COSM_PORT_TOO_LONG);
    CHECK_EQ(length, SIZE);
    free(memory);
}

TEST(a_sample_is_valid_for_its_time)
{
    CHECK(cosm_sampling_is_valid(100, 100, 0));
    CHECK(cosm_sampling_is_valid(100, 150, 50));
    CHECK(!cosm_sampling_is_valid(100, 151, 50));
    CHECK(!cosm_sampling_is_valid(101, 100, 50));
    CHECK(cosm_sampling_is_valid(0, UINT64_MAX, UINT64_MAX));
    CHECK(!cosm_sampling_is_valid(UINT64_MAX, 0, UINT64_MAX));
}

/* A writer that stops half-way in a message leaves the one before it. */
TEST(a_writer_that_stops_leaves_the_last_sample)
{
    u64 *memory = shared_memory(COSM_SAMPLING_BYTES(8));
    struct cosm_sampling port;
    u64 value = 1, got = 0, time = 0;
    size_t length = 0;

    CHECK(cosm_sampling_open(&port, memory, COSM_SAMPLING_BYTES(8), 8));
    CHECK_EQ(cosm_sampling_write(&port, &value, 8, 7), COSM_PORT_OK);
    cosm_sampling_slot(&port, 2)[0] = 3;
    cosm_sampling_slot(&port, 2)[2] = UINT64_MAX;
    CHECK_EQ(cosm_sampling_read(&port, &got, 8, &length, &time), COSM_PORT_OK);
    CHECK(got == 1 && length == 8 && time == 7);
    free(memory);
}

TEST(messages_queue_in_order)
{
    void *memory = shared_memory(COSM_QUEUING_BYTES(SIZE, DEPTH));
    struct cosm_queuing to, from;
    u8 message[SIZE + 1] = {0}, got[SIZE];
    size_t length = 0;

    CHECK(cosm_queuing_open_sender(&to, memory, COSM_QUEUING_BYTES(SIZE, DEPTH), SIZE, DEPTH));
    CHECK(cosm_queuing_open_receiver(&from, memory, COSM_QUEUING_BYTES(SIZE, DEPTH), SIZE, DEPTH));
    CHECK_EQ(cosm_queuing_receive(&from, got, SIZE, &length), COSM_PORT_EMPTY);
    CHECK_EQ(cosm_queuing_send(&to, message, SIZE + 1), COSM_PORT_TOO_LONG);
    for (int round = 0; round < 5; round++) {
        for (u8 n = 0; n < DEPTH; n++) {
            memset(message, n, sizeof(message));
            CHECK_EQ(cosm_queuing_send(&to, message, 33u + n), COSM_PORT_OK);
        }
        CHECK_EQ(cosm_queuing_send(&to, message, 1), COSM_PORT_FULL);
        CHECK_EQ(cosm_queuing_receive(&from, got, 32, &length), COSM_PORT_TOO_LONG);
        /* Either side may start anew meanwhile. */
        CHECK(cosm_queuing_open_sender(&to, memory, COSM_QUEUING_BYTES(SIZE, DEPTH), SIZE, DEPTH));
        for (u8 n = 0; n < DEPTH; n++) {
            CHECK_EQ(cosm_queuing_receive(&from, got, SIZE, &length), COSM_PORT_OK);
            CHECK(length == 33u + n && got[0] == n && got[32 + n] == n);
        }
    }
    free(memory);
}

TEST(counts_wrap)
{
    u64 *memory = shared_memory(COSM_QUEUING_BYTES(8, DEPTH));
    struct cosm_queuing to, from;
    size_t length = 0;

    memory[0] = memory[1] = UINT32_MAX - 3;
    CHECK(cosm_queuing_open_sender(&to, memory, COSM_QUEUING_BYTES(8, DEPTH), 8, DEPTH));
    CHECK(cosm_queuing_open_receiver(&from, memory, COSM_QUEUING_BYTES(8, DEPTH), 8, DEPTH));
    for (u64 n = 0; n < DEPTH; n++)
        CHECK_EQ(cosm_queuing_send(&to, &n, 8), COSM_PORT_OK);
    for (u64 n = 0, got; n < DEPTH; n++)
        CHECK(cosm_queuing_receive(&from, &got, 8, &length) == COSM_PORT_OK && got == n);
    CHECK_EQ(memory[0], DEPTH - 4);
    free(memory);
}

TEST(a_queue_tells_that_its_peer_broke_it)
{
    u64 *memory = shared_memory(COSM_QUEUING_BYTES(8, DEPTH));
    struct cosm_queuing to, from;
    u64 got = 0;
    size_t length = 77;

    CHECK(cosm_queuing_open_sender(&to, memory, COSM_QUEUING_BYTES(8, DEPTH), 8, DEPTH));
    CHECK(cosm_queuing_open_receiver(&from, memory, COSM_QUEUING_BYTES(8, DEPTH), 8, DEPTH));
    memory[1] = 1; /* taken, before it was sent */
    CHECK_EQ(cosm_queuing_send(&to, &got, 8), COSM_PORT_BROKEN);
    memory[1] = 0;
    memory[0] = DEPTH + 1;
    CHECK_EQ(cosm_queuing_receive(&from, &got, 8, &length), COSM_PORT_BROKEN);
    memory[0] = 2; /* two messages: one of a length that no sender may write, one good */
    memory[2] = 9;
    memory[4] = 8;
    memory[5] = 5;
    CHECK_EQ(cosm_queuing_receive(&from, &got, 8, &length), COSM_PORT_BROKEN);
    CHECK(length == 77 && got == 0);
    CHECK_EQ(cosm_queuing_receive(&from, &got, 8, &length), COSM_PORT_OK);
    CHECK(length == 8 && got == 5);
    free(memory);
}

/* ---- Threads ---- */

#define MESSAGES 100000

struct world {
    struct cosm_sampling sampling;
    void *queue;
    u32 done, torn, backwards, busy;
};

/* A message tells its number in each word, and by its length. */
static size_t fill(u64 *message, u64 n)
{
    for (int i = 0; i < SIZE / 8; i++)
        message[i] = n;
    return 8 * (1 + n % (SIZE / 8));
}

static bool is_whole(const u64 *message, size_t length)
{
    if (length != 8 * (1 + message[0] % (SIZE / 8)))
        return false;
    for (size_t i = 1; i < length / 8; i++)
        if (message[i] != message[0])
            return false;
    return true;
}

static void *sampling_writer(void *arg)
{
    struct world *w = arg;
    u64 message[SIZE / 8];

    for (u64 n = 1; n <= MESSAGES; n++) {
        size_t length = fill(message, n);

        if (cosm_sampling_write(&w->sampling, message, length, n) != COSM_PORT_OK)
            __atomic_fetch_add(&w->torn, 1, __ATOMIC_RELAXED);
        if (n % 64 == 0)
            sched_yield();
    }
    __atomic_store_n(&w->done, 1, __ATOMIC_RELEASE);
    return NULL;
}

static void *sampling_reader(void *arg)
{
    struct world *w = arg;
    u64 message[SIZE / 8], last = 0, time;
    size_t length = 0;
    bool done;

    do {
        enum cosm_port_result result;

        done = __atomic_load_n(&w->done, __ATOMIC_ACQUIRE);
        result = cosm_sampling_read(&w->sampling, message, SIZE, &length, &time);
        if (result == COSM_PORT_BUSY)
            __atomic_fetch_add(&w->busy, 1, __ATOMIC_RELAXED);
        if (result != COSM_PORT_OK)
            continue;
        if (!is_whole(message, length) || time != message[0])
            __atomic_fetch_add(&w->torn, 1, __ATOMIC_RELAXED);
        if (time < last)
            __atomic_fetch_add(&w->backwards, 1, __ATOMIC_RELAXED);
        last = time;
    } while (!done);
    if (last != MESSAGES)
        __atomic_fetch_add(&w->backwards, 1, __ATOMIC_RELAXED);
    return NULL;
}

TEST(samples_are_whole_under_threads)
{
    struct world w = {0};
    void *memory = shared_memory(COSM_SAMPLING_BYTES(SIZE));
    pthread_t writer, reader[2];

    CHECK(cosm_sampling_open(&w.sampling, memory, COSM_SAMPLING_BYTES(SIZE), SIZE));
    for (int i = 0; i < 2; i++)
        CHECK_EQ(pthread_create(&reader[i], NULL, sampling_reader, &w), 0);
    CHECK_EQ(pthread_create(&writer, NULL, sampling_writer, &w), 0);
    pthread_join(writer, NULL);
    for (int i = 0; i < 2; i++)
        pthread_join(reader[i], NULL);
    CHECK_EQ(w.torn, 0);
    CHECK_EQ(w.backwards, 0);
    printf("# the readers were overtaken %u times\n", w.busy);
    free(memory);
}

static void *queue_sender(void *arg)
{
    struct world *w = arg;
    struct cosm_queuing port;
    u64 message[SIZE / 8];

    if (!cosm_queuing_open_sender(&port, w->queue, COSM_QUEUING_BYTES(SIZE, DEPTH), SIZE, DEPTH))
        return NULL;
    for (u64 n = 0; n < MESSAGES;) {
        size_t length = fill(message, n);
        enum cosm_port_result result = cosm_queuing_send(&port, message, length);

        n += result == COSM_PORT_OK;
        if (result == COSM_PORT_FULL)
            sched_yield();
        else if (result != COSM_PORT_OK)
            break;
    }
    return NULL;
}

TEST(queues_lose_nothing_under_threads)
{
    struct world w = {.queue = shared_memory(COSM_QUEUING_BYTES(SIZE, DEPTH))};
    struct cosm_queuing port;
    pthread_t sender;
    u64 message[SIZE / 8];
    size_t length = 0;
    u64 n = 0;

    CHECK(cosm_queuing_open_receiver(&port, w.queue, COSM_QUEUING_BYTES(SIZE, DEPTH), SIZE, DEPTH));
    CHECK_EQ(pthread_create(&sender, NULL, queue_sender, &w), 0);
    while (n < MESSAGES) {
        enum cosm_port_result result = cosm_queuing_receive(&port, message, SIZE, &length);

        if (result == COSM_PORT_EMPTY) {
            sched_yield();
            continue;
        }
        if (result != COSM_PORT_OK || message[0] != n || !is_whole(message, length))
            break;
        n++;
    }
    CHECK_EQ(n, MESSAGES);
    pthread_join(sender, NULL);
    free(w.queue);
}

/* ---- A peer that writes what it likes where it likes ---- */

struct scribbler {
    u64 *memory;
    size_t words;
    u32 stop;
    u64 writes;
};

static void *scribble(void *arg)
{
    static const u64 nasty[] = {0,     1,         8,          SIZE,      SIZE + 1,
                                DEPTH, DEPTH + 1, UINT32_MAX, INT64_MAX, UINT64_MAX};
    struct scribbler *s = arg;
    u64 seed = 11;

    while (!__atomic_load_n(&s->stop, __ATOMIC_RELAXED)) {
        u64 random = test_random(&seed);
        u64 value =
            random & 1 ? nasty[(size_t)(random >> 8) % ARRAY_SIZE(nasty)] : test_random(&seed);
        /* Counts and lengths more often than messages. */
        size_t word = (random >> 16) % (random & 2 ? s->words : (size_t)4);

        __atomic_store_n(&s->memory[word], value, __ATOMIC_RELAXED);
        __atomic_fetch_add(&s->writes, 1, __ATOMIC_RELAXED);
    }
    return NULL;
}

#define PATIENCE (1000u * MESSAGES)

/* Calls a port many times beside the scribbler, and until it has come to what is awaited. */
static void beside_scribbler(void *memory, size_t bytes, void (*call)(void *ctx), void *ctx,
                             const u32 *awaited)
{
    struct scribbler s = {memory, bytes / 8, 0, 0};
    pthread_t thread;

    CHECK_EQ(pthread_create(&thread, NULL, scribble, &s), 0);
    for (u32 i = 0; i < PATIENCE; i++) {
        call(ctx);
        if (i >= MESSAGES && *awaited && __atomic_load_n(&s.writes, __ATOMIC_RELAXED) >= MESSAGES)
            break;
        if (i % 1024 == 0)
            sched_yield();
    }
    __atomic_store_n(&s.stop, 1, __ATOMIC_RELAXED);
    pthread_join(thread, NULL);
    free(memory);
}

struct victim {
    struct cosm_sampling sampling;
    struct cosm_queuing to, from;
    u8 *buffer; /* of SIZE bytes */
    u32 results[COSM_PORT_BROKEN + 1], too_long;
};

static void sampling_victim(void *ctx)
{
    struct victim *v = ctx;
    size_t length = 0;
    u64 time;

    v->results[cosm_sampling_read(&v->sampling, v->buffer, SIZE, &length, &time)]++;
    v->too_long += length > SIZE;
    v->results[cosm_sampling_write(&v->sampling, v->buffer, SIZE, 1)]++;
}

static void queuing_victim(void *ctx)
{
    struct victim *v = ctx;
    size_t length = 0;

    v->results[cosm_queuing_receive(&v->from, v->buffer, SIZE, &length)]++;
    v->too_long += length > SIZE;
    v->results[cosm_queuing_send(&v->to, v->buffer, SIZE)]++;
}

TEST(a_hostile_sampling_peer_gets_nowhere)
{
    void *memory = shared_memory(COSM_SAMPLING_BYTES(SIZE));
    struct victim v = {.buffer = malloc(SIZE)};

    memset(v.buffer, 1, SIZE);
    CHECK(cosm_sampling_open(&v.sampling, memory, COSM_SAMPLING_BYTES(SIZE), SIZE));
    beside_scribbler(memory, COSM_SAMPLING_BYTES(SIZE), sampling_victim, &v,
                     &v.results[COSM_PORT_OK]);
    CHECK_EQ(v.too_long, 0);
    CHECK(v.results[COSM_PORT_OK] > MESSAGES); /* a writer is not held up */
    free(v.buffer);
}

TEST(a_hostile_queuing_peer_gets_nowhere)
{
    void *memory = shared_memory(COSM_QUEUING_BYTES(SIZE, DEPTH));
    struct victim v = {.buffer = malloc(SIZE)};

    memset(v.buffer, 1, SIZE);
    CHECK(cosm_queuing_open_sender(&v.to, memory, COSM_QUEUING_BYTES(SIZE, DEPTH), SIZE, DEPTH));
    CHECK(
        cosm_queuing_open_receiver(&v.from, memory, COSM_QUEUING_BYTES(SIZE, DEPTH), SIZE, DEPTH));
    beside_scribbler(memory, COSM_QUEUING_BYTES(SIZE, DEPTH), queuing_victim, &v,
                     &v.results[COSM_PORT_BROKEN]);
    CHECK_EQ(v.too_long, 0);
    CHECK(v.results[COSM_PORT_BROKEN] > 0);
    free(v.buffer);
}

TEST_MAIN()
