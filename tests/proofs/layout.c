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
FIELD(metal_config, region)
FIELD(metal_partition, region_first)
FIELD(partition, config)
FIELD(cycle, frame_start)
FIELD(cycle, end)
FIELD(cycle, plan)
FIELD(cycle, window)
FIELD(cycle, vcpu)
const u64 plan_bytes = sizeof(struct metal_plan);
const u64 window_bytes = sizeof(struct metal_window);
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
