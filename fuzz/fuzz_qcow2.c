/* SPDX-License-Identifier: BSD-2-Clause */
/* qcow2 images that nobody sane has made: opened, checked, read, written, repaired. */
#include "block/qcow2.h"
#include "tests/mem_node.h"

#include <stdio.h>

#define FILE_MAX (16 * MIB)
#define PIECE    5000

void assert_failed(const char *expr, const char *file, int line)
{
    fprintf(stderr, "%s:%d: ASSERT(%s)\n", file, line, expr);
    abort();
}

static void use(struct node *disk, u8 seed)
{
    static u8 bytes[PIECE];
    u64 span = disk->size > PIECE ? disk->size - PIECE : 1;

    for (u32 i = 0; i < 8; i++) {
        u64 at = (seed * 77777u + i * 1234567ull * seed) % span;
        u64 len = disk->size - at < PIECE ? disk->size - at : PIECE;

        memset(bytes, (int)i, sizeof(bytes));
        switch ((seed + i * 3) % 5) {
        case 0:
            (void)!node_read_bytes(disk, at, bytes, len);
            break;
        case 1:
            (void)!node_write_zeroes(disk, at, len, i & 1);
            break;
        case 2:
            (void)!node_discard(disk, at, len);
            break;
        case 3:
            (void)!node_flush(disk);
            break;
        default:
            (void)!node_write_bytes(disk, at, bytes, len);
        }
    }
}

static void once(const u8 *data, size_t size, bool readonly, bool check_only)
{
    struct node *file = mem_create(data, size, FILE_MAX), *disk;
    struct qcow2_snapshot_info *list;
    struct qcow2_check result;
    struct err err = {""};
    u32 count;

    file->readonly = readonly;
    if (qcow2_open(&disk, file, check_only, NULL, &err)) {
        ASSERT(*err.msg);
        node_close(file);
        return;
    }
    if (!qcow2_snapshot_list(disk, &list, &count, &err))
        free(list);
    if (check_only)
        (void)!qcow2_check(disk, readonly ? QCOW2_REPAIR_NONE : QCOW2_REPAIR_ALL, &result, &err);
    use(disk, size ? data[size - 1] : 0);
    if (!readonly && size & 1) {
        (void)!qcow2_snapshot_create(disk, "x", 1, &err);
        (void)!node_resize(disk, disk->size + 4096, &err);
    }
    node_close(disk);
}

int LLVMFuzzerTestOneInput(const u8 *data, size_t size);
int LLVMFuzzerTestOneInput(const u8 *data, size_t size)
{
    /* Large clusters only take longer. */
    if (size < 24 || data[23] > 14)
        return 0;
    once(data, size, true, true);
    once(data, size, false, false);
    once(data, size, false, true);
    return 0;
}
