/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Devices of a partition, the driver's, whose registers another one, the service, answers. What a
 * service does is its own affair here: include/cosm/partition.h is its side.
 */
#ifndef COSM_METAL_VDEV_H
#define COSM_METAL_VDEV_H

#include "metal/state.h"

/*
 * v, which runs, makes an access at gpa: false: there is no device, or it is not accessed so. True:
 * it is done, or v waits and its hart goes on with others.
 */
bool vdev_access(struct vcpu *v, u64 gpa, const struct access *access);
/* The hart of v, which is in: goes on behind the access, if it was answered. */
void vdev_answered(struct vcpu *v);
/* No vCPU of p runs any more; its state says whether it stays so. Any hart. */
void vdev_halted(struct partition *p);

/* The hypercalls of a service. */
struct sbi_ret vdev_next(const struct partition *service, u64 vdev);
/* arg: device, vCPU or VDEV_NOBODY, value, level of the interrupt or VDEV_KEEP. */
struct sbi_ret vdev_reply(const struct partition *service, const u64 *arg);

#define VDEV_NOBODY UINT64_MAX
#define VDEV_KEEP   2

#endif
