/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Memory for generated code: one piece, a writable mapping and an executable one. It has no file,
 * so that perf takes it for what a translator makes and looks into its map of such.
 */
#include "jit/code_buffer.h"

#include <sys/mman.h>

bool code_buffer_create(struct code_buffer *buffer, u32 size)
{
    void *write =
        mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    void *run;

    if (write == MAP_FAILED)
        return false;
    run = mremap(write, 0, size, MREMAP_MAYMOVE); /* size 0: maps the same memory once more */
    if (run != MAP_FAILED && !mprotect(run, size, PROT_READ | PROT_EXEC)) {
        *buffer = (struct code_buffer){.write = write, .run = run, .size = size};
        return true;
    }
    if (run != MAP_FAILED)
        munmap(run, size);
    munmap(write, size);
    return false;
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
    munmap((void *)(uintptr_t)buffer->run, buffer->size);
    *buffer = (struct code_buffer){0};
}
