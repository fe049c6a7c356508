/* SPDX-License-Identifier: BSD-2-Clause */
/* Memory for a guest's RAM: shareable, taken from the host page by page as it is touched. */
#include "host/memory.h"

#include "base/assert.h"
#include "base/checked.h"
#include "host/scope.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#define HUGE_PAGE (2 * MIB)

#ifndef MADV_COLLAPSE
#define MADV_COLLAPSE 25 /* of Linux 6.1 */
#endif

static int memory_error(u64 size, struct err *err)
{
    int code = errno;

    return err_set(err, code,
                   "cannot reserve %llu MiB of host memory for the guest: %s; ask for "
                   "less with --memory or raise 'ulimit -v'",
                   (unsigned long long)(size / MIB), strerror(code));
}

int host_memory_create(struct host_memory *memory, const char *name, u64 size, struct err *err)
{
    AUTO_FD int fd = -1;
    u64 reserved_size;
    void *reserved;
    u8 *base;

    ASSERT(size && size % (u64)sysconf(_SC_PAGESIZE) == 0);
    *memory = (struct host_memory){.fd = -1};
    errno = ENOMEM;
    /* A huge page before for the guard and the alignment, another one after. */
    if (!checked_add(size, 3 * HUGE_PAGE, &reserved_size))
        return memory_error(size, err);
    fd = memfd_create(name, MFD_CLOEXEC);
    if (fd < 0 || ftruncate(fd, (off_t)size) < 0)
        return memory_error(size, err);
    reserved =
        mmap(NULL, reserved_size, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (reserved == MAP_FAILED)
        return memory_error(size, err);
    base = (u8 *)(uintptr_t)align_up((uintptr_t)reserved + 1, HUGE_PAGE);
    if (mmap(base, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED | MAP_NORESERVE, fd, 0) ==
        MAP_FAILED) {
        int rc = memory_error(size, err);
        munmap(reserved, reserved_size);
        return rc;
    }
    /* Wishes: a host that cannot fulfil them serves as well. A core dump has no use for RAM. */
    madvise(base, size, MADV_HUGEPAGE);
    madvise(base, size, MADV_DONTDUMP);
    *memory = (struct host_memory){base,          size,
                                   steal_fd(&fd), reserved,
                                   reserved_size, calloc(size / HUGE_PAGE / 64 + 1, sizeof(u64))};
    return 0;
}

/*
 * Hosts are seldom set up to give huge pages to files in memory by themselves, but do if asked, for
 * what has a page already. Other threads may use the memory meanwhile.
 */
static void make_huge(struct host_memory *memory, u64 piece)
{
    volatile u8 *first = memory->base + piece * HUGE_PAGE;

    (void)*first;
    (void)madvise((void *)(uintptr_t)first, HUGE_PAGE, MADV_COLLAPSE);
}

void host_memory_reach(struct host_memory *memory, u64 offset, u64 size)
{
    u64 end = (offset + size + HUGE_PAGE - 1) / HUGE_PAGE;

    if (!memory->huge)
        return;
    for (u64 n = offset / HUGE_PAGE; n < end && n < memory->size / HUGE_PAGE; n++) {
        _Atomic u64 *word = &memory->huge[n / 64];
        if (atomic_load_explicit(word, memory_order_relaxed) & BIT(n % 64))
            continue;
        if (!(atomic_fetch_or_explicit(word, BIT(n % 64), memory_order_relaxed) & BIT(n % 64)))
            make_huge(memory, n);
    }
}

/*
 * A piece that is discarded as a whole may be had as one again; of one that is discarded in part
 * all would come back.
 */
static void forget_huge(struct host_memory *memory, u64 start, u64 end)
{
    for (u64 n = start / HUGE_PAGE; memory->huge && n * HUGE_PAGE < end; n++) {
        _Atomic u64 *word = &memory->huge[n / 64];

        if (range_within(n * HUGE_PAGE, HUGE_PAGE, start, end - start))
            atomic_fetch_and_explicit(word, ~BIT(n % 64), memory_order_relaxed);
        else
            atomic_fetch_or_explicit(word, BIT(n % 64), memory_order_relaxed);
    }
}

bool host_memory_discard(struct host_memory *memory, u64 offset, u64 size)
{
    const u64 page = (u64)sysconf(_SC_PAGESIZE);
    u64 start = align_up(offset, page), end = align_down(offset + size, page);

    ASSERT(range_within(offset, size, 0, memory->size));
    if (start >= end)
        return false;
    /* A hole in the memfd: in no process that maps it is anything left there. */
    if (madvise(memory->base + start, end - start, MADV_REMOVE) < 0)
        return false;
    forget_huge(memory, start, end);
    return true;
}

void host_memory_destroy(struct host_memory *memory)
{
    if (!memory->reserved)
        return;
    munmap(memory->reserved, memory->reserved_size);
    close(memory->fd);
    free((void *)memory->huge);
    *memory = (struct host_memory){.fd = -1};
}
