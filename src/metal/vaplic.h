/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The APLIC that a partition sees: a supervisor-level interrupt domain without children, sources
 * 1..63, which delivers by messages alone (AIA 1.0, chapter 4; section 4.8.2 of messages). It knows
 * nothing of the board: messages leave through a port, and so do the settings of those sources
 * whose wire, pending bit and messages are the board's own affair. The caller holds a lock over it.
 */
#ifndef COSM_METAL_VAPLIC_H
#define COSM_METAL_VAPLIC_H

#include "metal/config.h"

#define VAPLIC_SIZE 0x4000 /* bytes of guest-physical addresses; no IDC structures follow */

/* What there is to know of a source at the board. */
enum vaplic_wired {
    VAPLIC_MODE,    /* set: as sourcecfg's field SM */
    VAPLIC_TARGET,  /* set: as target, with a hart index below vcpus, else 0 */
    VAPLIC_ENABLE,  /* set: 0 or 1; domaincfg's IE is in it */
    VAPLIC_PENDING, /* set and get: 0 or 1 */
    VAPLIC_INPUT,   /* get: the rectified input */
};

struct vaplic_port {
    /* A message with identity eiid, not checked, to the file of a vCPU of the partition. */
    void (*send)(void *ctx, u32 vcpu, u32 eiid);
    void (*wired_set)(void *ctx, u32 source, enum vaplic_wired what, u32 value);
    bool (*wired_get)(void *ctx, u32 source, enum vaplic_wired what);
};

struct vaplic {
    const struct vaplic_port *port;
    void *ctx;
    u32 vcpus;
    u32 sources; /* the highest */
    u64 wired;   /* a bit a source, as below: those that the board answers for */
    u64 wire, pending, enable;
    u32 target[METAL_SOURCES_MAX];
    u8 mode[METAL_SOURCES_MAX];
    bool on; /* domaincfg's IE */
    u32 genmsi;
};

/* port and ctx stay the caller's. All sources are inactive, all wires low. */
void vaplic_reset(struct vaplic *p, const struct vaplic_port *port, void *ctx, u32 vcpus,
                  u32 sources, u64 wired);
/* The wire of a source that is not the board's, if there is such a source. */
void vaplic_level(struct vaplic *p, u32 source, bool level);
/* A register at offset; width in bytes. False: no such register or width. */
bool vaplic_access(struct vaplic *p, u64 offset, u32 width, bool write, u64 *value);

/* The register at offset, a multiple of 4 below VAPLIC_SIZE. */
u64 vaplic_read(const struct vaplic *p, u64 offset);

#endif
