/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Memory for generated code: one piece, a writable mapping and an executable one. It has no file,
 * so that perf takes it for what a translator makes and looks into its map of such.
 */
#include "jit/code_buffer.h"

#include "base/bits.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <sys/mman.h>

#define HUGE_PAGE (2u << 20)

#ifndef MADV_COLLAPSE
#define MADV_COLLAPSE 25 /* of Linux 6.1 */
#endif

/* An address with nothing for size bytes from it on, such that huge pages are possible; NULL: none.
 */
static void *find_room(u32 size)
{
    u8 *room = mmap(NULL, (size_t)size + HUGE_PAGE, PROT_NONE,
                    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    u8 *start;

    if (room == MAP_FAILED)
        return NULL;
    start = (u8 *)(uintptr_t)align_up((uintptr_t)room, HUGE_PAGE);
    if (start > room)
        munmap(room, (size_t)(start - room));
    munmap(start + size, HUGE_PAGE - (size_t)(start - room));
    return start;
}

/* Maps the buffer's memory once more, where there is room already. */
static bool map_again(struct code_buffer *buffer, void *room)
{
    void *run;

    /* Size 0: the old mapping stays. */
    run = mremap(buffer->write, 0, buffer->size, MREMAP_MAYMOVE | MREMAP_FIXED, room);
    if (run == MAP_FAILED)
        return false;
    buffer->run = run;
    return !mprotect(run, buffer->size, PROT_READ | PROT_EXEC);
}

bool code_buffer_create(struct code_buffer *buffer, u32 size)
{
    const int flags = MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED;
    void *write = find_room(size), *room;

    if (!write)
        return false;
    *buffer = (struct code_buffer){.write = write, .size = size};
    room =
        mmap(write, size, PROT_READ | PROT_WRITE, flags, -1, 0) == write ? find_room(size) : NULL;
    buffer->huge = calloc(size / HUGE_PAGE / 64 + 1, sizeof(u64));
    if (room && buffer->huge && map_again(buffer, room))
        return true;
    if (room && !buffer->run)
        munmap(room, size);
    code_buffer_destroy(buffer);
    return false;
}

void code_buffer_reach(struct code_buffer *buffer, u32 from, u32 end)
{
    for (u32 n = from / HUGE_PAGE; n <= end / HUGE_PAGE && n < buffer->size / HUGE_PAGE; n++) {
        _Atomic u64 *word = &buffer->huge[n / 64];
        volatile u8 *first = buffer->write + n * HUGE_PAGE;
        if (atomic_load_explicit(word, memory_order_relaxed) & BIT(n % 64))
            continue;
        if (atomic_fetch_or_explicit(word, BIT(n % 64), memory_order_relaxed) & BIT(n % 64))
            continue;
        (void)*first; /* what has no page is not made a huge one */
        (void)madvise((void *)(uintptr_t)first, HUGE_PAGE, MADV_COLLAPSE);
    }
}

void code_buffer_rest(struct code_buffer *buffer)
{
    /* Shared memory stays; only the mapping's entries go, and come back as they are touched. */
    (void)madvise(buffer->write, buffer->size, MADV_DONTNEED);
}

void code_buffer_destroy(struct code_buffer *buffer)
{
    if (!buffer->write)
        return;
    munmap(buffer->write, buffer->size);
    if (buffer->run)
        munmap((void *)(uintptr_t)buffer->run, buffer->size);
    free((void *)buffer->huge);
    *buffer = (struct code_buffer){0};
}
