/* SPDX-License-Identifier: BSD-2-Clause */
/* Where devices sit in the guest-physical address space; serves as the harts' bus. */
#ifndef COSM_DEVICE_MAP_H
#define COSM_DEVICE_MAP_H

#include "device/device.h"
#include "port/bus.h"

#define DEVICE_MAP_MAX 64

struct device_map {
    struct device *device[DEVICE_MAP_MAX]; /* sorted by base, disjoint; fixed once harts run */
    u32 count;
};

/* False: overlaps a device that is there, wraps, or the map is full. The device outlives the map.
 */
MUST_CHECK bool device_map_add(struct device_map *map, struct device *dev);

/* The device at gpa, or NULL. */
struct device *device_map_find(const struct device_map *map, gpa_t gpa);

/* The map as a port for harts. The map outlives the bus. */
struct bus device_map_bus(struct device_map *map);

/* Resets all devices, in the order of their addresses. No hart runs. */
void device_map_reset(struct device_map *map);

#endif
