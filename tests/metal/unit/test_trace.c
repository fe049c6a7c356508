/* SPDX-License-Identifier: BSD-2-Clause */
/* The trace: what was written is read in order; a reader beside a writer never has half a record.
 */
#include "metal/trace.h"

#include "tests/metal/fake/fake.h"
#include "tests/test.h"

#include <pthread.h>
#include <sched.h>

#define RECORDS 60000

/* Fields of a record that follow from one another. */
static void write_one(u64 n)
{
    u64 detail = n * UINT64_C(0x9e3779b97f4a7c15);

    trace(TRACE_SLOT, (u32)(detail >> 32), detail);
}

static bool is_whole(const struct trace_record *r, u64 first)
{
    u64 detail = (r->number - first) * UINT64_C(0x9e3779b97f4a7c15);

    return r->kind == TRACE_SLOT && r->detail == detail && r->what == (u32)(detail >> 32);
}

/* The hart's last number so far. */
static u64 last(u32 hart)
{
    struct trace_record record;
    u64 since = 0;

    while (trace_read(hart, since, &record, 1))
        since = record.number;
    return since;
}

TEST(records_come_in_order_and_the_newest_stay)
{
    struct trace_record record[256];
    u64 first = last(1);
    u32 n;

    fake_hart_begin(1);
    metal.hart[1].index = 1;
    for (u64 i = 1; i <= 100; i++) {
        fake_time_set(1000 + i);
        write_one(i);
    }
    CHECK_EQ(trace_read(1, first, record, 256), 100);
    for (u32 i = 0; i < 100; i++) {
        CHECK(is_whole(&record[i], first));
        CHECK_EQ(record[i].number, first + i + 1);
        CHECK_EQ(record[i].time, 1001 + i);
    }
    CHECK_EQ(trace_read(1, first + 90, record, 4), 4);
    CHECK_EQ(record[0].number, first + 91);
    CHECK_EQ(trace_read(1, first + 100, record, 4), 0);
    CHECK_EQ(trace_read(1, first + 5000, record, 4), 0);
    CHECK_EQ(trace_read(1, UINT64_MAX, record, 4), 0);
    CHECK_EQ(trace_read(2, 0, record, 4), 0);
    for (u64 i = 101; i <= 1000; i++)
        write_one(i);
    n = trace_read(1, first, record, 256);
    CHECK(n >= 64 && n < 256);
    CHECK_EQ(record[n - 1].number, first + 1000);
    CHECK_EQ(record[0].number, first + 1001 - n);
}

static _Atomic bool done;
static u64 before;

static void *writer(void *arg)
{
    fake_hart_begin(1);
    for (u64 i = 1; i <= RECORDS; i++) {
        write_one(i);
        if (i % 64 == 0)
            sched_yield();
    }
    atomic_store(&done, true);
    return NULL;
}

TEST(a_reader_beside_a_writer)
{
    struct trace_record record[40];
    u64 since = before = last(1), seen = 0, torn = 0, backwards = 0;
    pthread_t thread;
    bool stop;

    CHECK(!pthread_create(&thread, NULL, writer, NULL));
    do {
        u32 n;
        stop = atomic_load(&done);
        n = trace_read(1, since, record, 40);
        for (u32 i = 0; i < n; i++) {
            torn += !is_whole(&record[i], before);
            backwards += record[i].number <= since;
            since = record[i].number;
        }
        seen += n;
    } while (!stop || since < before + RECORDS);
    pthread_join(thread, NULL);
    CHECK_EQ(torn, 0);
    CHECK_EQ(backwards, 0);
    CHECK(seen > 100);
}

TEST_MAIN()
