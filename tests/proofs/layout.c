/* SPDX-License-Identifier: BSD-2-Clause */
/* Where fields lie, for the proofs; and functions that headers have inline, to be proved
 * themselves. */
#include "base/checked.h"
#include "metal/config.h"
#include "metal/decode.h"
#include "metal/gstage.h"
#include "metal/state.h"

#define FIELD(type, field) const u64 type##__##field = offsetof(struct type, field);

FIELD(gstage_pool, page)
FIELD(gstage_pool, hpa)
FIELD(gstage_pool, used)
FIELD(metal_region, gpa)
FIELD(metal_region, hpa)
FIELD(metal_region, size)
FIELD(metal_region, flags)
FIELD(metal_plan, frame)
FIELD(metal_plan, window_count)
FIELD(metal_plan, window)
FIELD(metal_window, start)
FIELD(metal_window, length)
FIELD(metal_window, vcpu)
FIELD(metal_config, board)
FIELD(metal_config, hart)
FIELD(metal_config, partition)
FIELD(metal_config, region)
FIELD(metal_config, vdev)
FIELD(metal_config, plan)
FIELD(metal_config, partition_count)
FIELD(metal_config, region_count)
FIELD(metal_config, vdev_count)
FIELD(metal_config, plan_count)
FIELD(metal_board, ram_hpa)
FIELD(metal_board, ram_size)
FIELD(metal_board, self_hpa)
FIELD(metal_board, self_size)
FIELD(metal_board, uart_hpa)
FIELD(metal_board, iommu_hpa)
FIELD(metal_board, sswi_hpa)
FIELD(metal_board, intc)
FIELD(metal_board, plic_hpa)
FIELD(metal_board, plic_size)
FIELD(metal_board, aplic_hpa)
FIELD(metal_board, aplic_size)
FIELD(metal_board, imsic_hpa)
FIELD(metal_board, imsic_guest_bits)
FIELD(metal_board, imsic_hart_bits)
FIELD(metal_board, hart_count)
FIELD(metal_hart, mode)
FIELD(metal_hart, imsic_index)
FIELD(metal_hart, vcpu_first)
FIELD(metal_hart, vcpu_count)
FIELD(metal_partition, region_first)
FIELD(metal_partition, region_count)
FIELD(metal_region, partition)
FIELD(metal_vdev, partition)
FIELD(metal_vdev, service)
FIELD(partition, config)
FIELD(cycle, frame_start)
FIELD(cycle, end)
FIELD(cycle, plan)
FIELD(cycle, window)
FIELD(cycle, vcpu)
const u64 plan_bytes = sizeof(struct metal_plan);
const u64 window_bytes = sizeof(struct metal_window);
const u64 hart_bytes = sizeof(struct metal_hart);
const u64 partition_bytes = sizeof(struct metal_partition);
const u64 vdev_bytes = sizeof(struct metal_vdev);
const u64 region_bytes = sizeof(struct metal_region);
const u64 config_bytes = sizeof(struct metal_config);

bool proof_within(u64 start, u64 len, u64 base, u64 size)
{
    return range_within(start, len, base, size);
}

bool proof_overlaps(u64 a, u64 alen, u64 b, u64 blen)
{
    return range_overlaps(a, alen, b, blen);
}

bool proof_decode(u32 insn, struct access *access)
{
    return decode_access(insn, access);
}

u64 proof_word_load(u32 insn, bool transformed, struct access *access)
{
    return decode_word_load(insn, transformed, &access->length);
}

bool proof_transformed(u32 insn, struct access *access)
{
    return decode_transformed(insn, access);
}
