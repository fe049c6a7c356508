/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Physical memory protection (Privileged Architecture 3.7) and Smepmp: the check of an access and
 * the registers behind it. Granularity is 4 bytes.
 */
#ifndef COSM_RV_PMP_H
#define COSM_RV_PMP_H

#include "rv/hart.h"

#define PMP_R       BIT(0)
#define PMP_W       BIT(1)
#define PMP_X       BIT(2)
#define PMP_A       GENMASK(4, 3)
#define PMP_L       BIT(7)
#define PMP_RWX     (PMP_R | PMP_W | PMP_X)
#define PMP_OFF     0u
#define PMP_TOR     1u
#define PMP_NA4     2u
#define PMP_NAPOT   3u
#define PMP_A_OF(c) (((c) >> 3) & 3u)

/* The same as pmp_permissions, by looking at all entries. */
u32 pmp_permissions_by_entry(const struct hart *hart, gpa_t gpa, u64 size, enum priv priv,
                             bool *whole);

/*
 * What priv may do with [gpa, gpa + size), size 1..8 within a page: a mask of PMP_R, PMP_W, PMP_X.
 * *whole: the answer holds for every access within gpa's page.
 */
static inline u32 pmp_permissions(const struct hart *hart, gpa_t gpa, u64 size, enum priv priv,
                                  bool *whole)
{
    if (UNLIKELY(!hart->pmp_open))
        return pmp_permissions_by_entry(hart, gpa, size, priv, whole);
    *whole = true;
    return PMP_RWX;
}

/* May priv do this access? Otherwise as pmp_permissions. */
bool pmp_check(const struct hart *hart, gpa_t gpa, u64 size, enum access acc, enum priv priv,
               bool *whole);

/*
 * Writes with the lock rules applied. Unlocked entries only; a change drops the TLB. index is that
 * of the entry; pmpcfg is written an entry at a time.
 */
void pmp_write_cfg(struct hart *hart, u32 index, u8 cfg);
void pmp_write_addr(struct hart *hart, u32 index, u64 addr);
void pmp_write_mseccfg(struct hart *hart, u64 value);

/* Power-on state: all entries off and unlocked. */
void pmp_reset(struct hart *hart);

#endif
