/* SPDX-License-Identifier: BSD-2-Clause */
/* Names of a guest's addresses: the symbol table of an ELF file, or a kernel's System.map. */
#ifndef COSM_MACHINE_SYMBOLS_H
#define COSM_MACHINE_SYMBOLS_H

#include "machine/image.h"

struct symbols;

/* A symbol that covers an address. The name lives as long as the table. */
struct symbol {
    const char *name;
    u64 start;
    u64 size; /* as the file says, else up to the next symbol; never 0 */
};

/*
 * Code symbols of source, whose bytes are untrusted and may go afterwards. 0 or -errno and a
 * sentence that begins with what; a file without any is no error: *count is 0.
 */
MUST_CHECK int symbols_create(struct symbols **symbols, const char *what,
                              const struct image_source *source, size_t *count, struct err *err);
/* NULL is allowed. */
void symbols_destroy(struct symbols *symbols);

/* The symbol that starts at address or last before it, if it covers it. symbols may be NULL. */
bool symbols_find(const struct symbols *symbols, u64 address, struct symbol *found);

#endif
