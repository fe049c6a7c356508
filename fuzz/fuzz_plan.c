/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Fuzzes the compiler of configurations: what it takes keeps to all rules, and what it refuses it
 * refuses by a line of the file. What is behind a NUL is a device tree, and changes to one.
 */
#include "plan/board.h"
#include "plan/images.h"
#include "tests/fake.h"
#include "tests/plan_world.h"

int LLVMFuzzerTestOneInput(const u8 *data, size_t size);

/* plan_load alone reads a file, and is not called. */
int file_read(const char *what, const char *path, u64 max, u8 **bytes, u64 *size, struct err *err)
{
    return err_set(err, 2, "%s: there are no files here", what);
}

/* Nor is there a program of cosm's own. */
const u8 plan_service_elf[1];
const u64 plan_service_elf_size;

static void read_tree(const u8 *data, size_t size)
{
    static struct plan_board board;
    struct plan_device device = {.node = -1};
    u8 *tree = malloc(size ? size : 1); /* exact, for the sanitizer */
    struct err err;

    ASSERT(tree);
    memcpy(tree, data, size);
    board = (struct plan_board){0};
    if (!plan_board_read(&board, tree, size, &err)) {
        ASSERT(board.hart_count && board.hart_count <= METAL_HARTS_MAX && board.ram.size);
        while (plan_board_next(&board, &device))
            ASSERT(device.range_count && device.irq_count <= BOARD_IRQS);
    }
    free(tree);
}

/* The built-in board's tree with bytes changed: each three say where, and by what. */
static void read_changed_tree(const u8 *data, size_t size)
{
    const struct plan_virt virt = {
        .harts = 4, .memory = GIB, .aia = size % 2, .iommu = size % 4 > 1, .aia_guests = 3};
    struct err err;
    size_t room;
    void *tree;

    ASSERT(!plan_board_virt(&virt, &tree, &room, &err));
    for (; size >= 3; data += 3, size -= 3)
        ((u8 *)tree)[le16_load(data) % room] ^= data[2];
    read_tree(tree, room);
    free(tree);
}

int LLVMFuzzerTestOneInput(const u8 *data, size_t size)
{
    static struct plan plan;
    const u8 *nul = memchr(data, 0, size);
    size_t len = nul ? (size_t)(nul - data) : size;
    char *text = malloc(len ? len : 1);
    struct err err = {""};
    int r;

    ASSERT(text);
    memcpy(text, data, len);
    r = plan_compile(&plan, "f", text, len, 64 * KIB, &err);
    if (!r)
        world_check(&plan);
    else
        ASSERT(!strncmp(err.msg, "f:", 2));
    plan_free(&plan);
    free(text);
    if (nul) {
        read_tree(nul + 1, size - len - 1);
        read_changed_tree(nul + 1, size - len - 1);
    }
    return 0;
}
