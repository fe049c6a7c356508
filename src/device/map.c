/* SPDX-License-Identifier: BSD-2-Clause */
/* Device map: a sorted array of disjoint devices, searched by halves. */
#include "device/map.h"

#include "base/checked.h"

/* Index of the first device whose base lies above gpa. */
static u32 upper_bound(const struct device_map *map, gpa_t gpa)
{
    u32 low = 0, high = map->count;

    while (low < high) {
        u32 middle = (low + high) / 2;

        if (map->device[middle]->base <= gpa)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

bool device_map_add(struct device_map *map, struct device *dev)
{
    u64 size = dev->cls->mmio_size, end;
    u32 at = upper_bound(map, dev->base);

    if (map->count == DEVICE_MAP_MAX || !size || !checked_add(dev->base, size, &end))
        return false;
    if (at > 0 && map->device[at - 1]->base + map->device[at - 1]->cls->mmio_size > dev->base)
        return false;
    if (at < map->count && map->device[at]->base < end)
        return false;
    for (u32 i = map->count; i > at; i--)
        map->device[i] = map->device[i - 1];
    map->device[at] = dev;
    map->count++;
    return true;
}

struct device *device_map_find(const struct device_map *map, gpa_t gpa)
{
    u32 above = upper_bound(map, gpa);
    struct device *dev = above ? map->device[above - 1] : NULL;

    return dev && gpa - dev->base < dev->cls->mmio_size ? dev : NULL;
}

static bool map_read(void *ctx, gpa_t gpa, u32 size, u64 *value)
{
    struct device *dev = device_map_find(ctx, gpa);

    return dev && device_read(dev, gpa - dev->base, size, value);
}

static bool map_write(void *ctx, gpa_t gpa, u32 size, u64 value)
{
    struct device *dev = device_map_find(ctx, gpa);

    return dev && device_write(dev, gpa - dev->base, size, value);
}

struct bus device_map_bus(struct device_map *map)
{
    return (struct bus){map_read, map_write, map};
}

void device_map_reset(struct device_map *map)
{
    for (u32 i = 0; i < map->count; i++)
        device_reset(map->device[i]);
}
