/* SPDX-License-Identifier: BSD-2-Clause */
/* Memory for generated code: one memfd, a writable mapping and an executable one. */
#include "jit/code_buffer.h"

#include <sys/mman.h>
#include <unistd.h>

bool code_buffer_create(struct code_buffer *buffer, u32 size)
{
    int fd = memfd_create("cosm-jit", MFD_CLOEXEC);
    void *write = MAP_FAILED, *run = MAP_FAILED;

    if (fd >= 0 && !ftruncate(fd, size)) {
        write = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_NORESERVE, fd, 0);
        run = mmap(NULL, size, PROT_READ | PROT_EXEC, MAP_SHARED | MAP_NORESERVE, fd, 0);
    }
    if (fd >= 0)
        close(fd);
    if (write != MAP_FAILED && run != MAP_FAILED) {
        *buffer = (struct code_buffer){.write = write, .run = run, .size = size};
        return true;
    }
    if (write != MAP_FAILED)
        munmap(write, size);
    if (run != MAP_FAILED)
        munmap(run, size);
    return false;
}

void code_buffer_destroy(struct code_buffer *buffer)
{
    if (!buffer->write)
        return;
    munmap(buffer->write, buffer->size);
    munmap((void *)(uintptr_t)buffer->run, buffer->size);
    *buffer = (struct code_buffer){0};
}
