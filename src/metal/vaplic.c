/* SPDX-License-Identifier: BSD-2-Clause */
/* An emulated APLIC. Sections are those of the AIA 1.0, chapter 4. */
#include "metal/vaplic.h"

#include "base/bits.h"
#include "base/mem.h"

/* Registers: pages of sourcecfg, with domaincfg as number 0, and target, with genmsi; between them
 * groups of 256 bytes, each with a bit a source and, but for in_clrip, a register by number. */
#define SOURCECFG   0x0000
#define SETIP       0x1c00
#define CLRIP       0x1d00
#define SETIE       0x1e00
#define CLRIE       0x1f00
#define SETIPNUM_LE 0x2000 /* setipnum_be is not there: byte order is little-endian alone */
#define TARGET      0x3000
#define GROUP_BY    0xdc

#define DOMAINCFG    0x80000004 /* what is constant in it: by messages, little-endian */
#define DOMAINCFG_IE 0x100
#define SOURCECFG_D  0x400
#define TARGET_BITS  0xfffc07ff /* hart index, EIID */
#define TARGET_HART  18
#define TARGET_EIID  0x7ff

enum { INACTIVE, DETACHED, EDGE1 = 4, EDGE0, LEVEL1, LEVEL0 };

static bool is_wired(const struct vaplic *p, u32 i)
{
    return p->wired & BIT(i);
}

static bool is_level(const struct vaplic *p, u32 i)
{
    return p->mode[i] >= LEVEL1;
}

/* The rectified input (4.5.2): odd modes are inverted. */
static bool input(const struct vaplic *p, u32 i)
{
    if (p->mode[i] < EDGE1)
        return false;
    if (is_wired(p, i))
        return p->port->wired_get(p->ctx, i, VAPLIC_INPUT);
    return (p->wire >> i ^ p->mode[i]) & 1;
}

static bool is_pending(const struct vaplic *p, u32 i)
{
    if (is_wired(p, i))
        return p->mode[i] && p->port->wired_get(p->ctx, i, VAPLIC_PENDING);
    return p->pending & BIT(i);
}

static void set_pending(struct vaplic *p, u32 i, bool pending)
{
    if (pending && is_level(p, i) && !input(p, i)) /* 4.7 */
        return;
    if (is_wired(p, i))
        p->port->wired_set(p->ctx, i, VAPLIC_PENDING, pending);
    else
        p->pending = bits_merge(p->pending, BIT(i), pending ? BIT(i) : 0);
}

static void tell_enable(const struct vaplic *p, u32 i)
{
    if (is_wired(p, i))
        p->port->wired_set(p->ctx, i, VAPLIC_ENABLE, p->on && p->enable & BIT(i));
}

static void set_enable(struct vaplic *p, u32 i, bool enable)
{
    p->enable = bits_merge(p->enable, BIT(i), enable ? BIT(i) : 0);
    tell_enable(p, i);
}

static bool has_hart(const struct vaplic *p, u32 target)
{
    return target >> TARGET_HART < p->vcpus;
}

static void set_target(struct vaplic *p, u32 i, u32 target)
{
    p->target[i] = target & TARGET_BITS;
    if (is_wired(p, i))
        p->port->wired_set(p->ctx, i, VAPLIC_TARGET, has_hart(p, target) ? p->target[i] : 0);
}

/* An inactive source has no pending, enable and target; what becomes active begins without. */
static void set_mode(struct vaplic *p, u32 i, u32 value)
{
    u32 mode = value & SOURCECFG_D ? INACTIVE : value & 7;

    if (mode > DETACHED && mode < EDGE1)
        mode = INACTIVE;
    if (!mode) {
        set_enable(p, i, false);
        set_pending(p, i, false);
        p->target[i] = 0;
    }
    p->mode[i] = (u8)mode;
    if (is_wired(p, i))
        p->port->wired_set(p->ctx, i, VAPLIC_MODE, mode);
    if (mode)
        set_target(p, i, p->target[i]);
    if (is_level(p, i))
        set_pending(p, i, input(p, i));
}

static void send(const struct vaplic *p, u32 target)
{
    if (has_hart(p, target))
        p->port->send(p->ctx, target >> TARGET_HART, target & TARGET_EIID);
}

static void forward(struct vaplic *p)
{
    u64 ready = p->on ? p->pending & p->enable : 0;

    p->pending &= ~ready;
    for (; ready; ready &= ready - 1)
        send(p, p->target[__builtin_ctzll(ready)]);
}

void vaplic_reset(struct vaplic *p, const struct vaplic_port *port, void *ctx, u32 vcpus,
                  u32 sources, u64 wired)
{
    memset(p, 0, sizeof(*p));
    p->port = port;
    p->ctx = ctx;
    p->vcpus = vcpus;
    p->sources = sources;
    p->wired = wired;
    for (u32 i = 1; i <= sources; i++)
        set_mode(p, i, INACTIVE);
}

static bool is_source(const struct vaplic *p, u64 i)
{
    return i && i <= p->sources;
}

void vaplic_level(struct vaplic *p, u32 source, bool level)
{
    bool was;

    if (!is_source(p, source) || is_wired(p, source))
        return;
    was = input(p, source);
    p->wire = bits_merge(p->wire, BIT(source), level ? BIT(source) : 0);
    if (!was && input(p, source))
        set_pending(p, source, true);
    else if (is_level(p, source) && !input(p, source))
        set_pending(p, source, false);
    forward(p);
}

static bool is_enabled(const struct vaplic *p, u32 i)
{
    return p->enable & BIT(i);
}

/* A register with a bit a source. */
static NOINLINE u32 group_read(const struct vaplic *p, u64 offset)
{
    static bool (*const groups[])(const struct vaplic *p, u32 i) = {is_pending, input, is_enabled};
    u64 group = (offset - SETIP) >> 8, word = offset % 0x100 / 4;
    u32 bits = 0;

    for (u32 n = 0; n < 32 && word < 2 && group < ARRAY_SIZE(groups); n++) {
        u32 i = (u32)word * 32 + n;
        if (is_source(p, i) && groups[group](p, i))
            bits |= 1u << n;
    }
    return bits;
}

u64 vaplic_read(const struct vaplic *p, u64 offset)
{
    if (offset - 4 < 4 * (METAL_SOURCES_MAX - 1)) /* 0 where there is no source */
        return p->mode[offset / 4];
    if (offset - TARGET - 4 < 4 * (METAL_SOURCES_MAX - 1))
        return p->target[(offset - TARGET) / 4];
    if (offset == TARGET)
        return p->genmsi;
    if (offset == SOURCECFG)
        return p->on ? DOMAINCFG | DOMAINCFG_IE : DOMAINCFG;
    return group_read(p, offset);
}

/* The active ones of the sources that a write at an offset into a group of registers names. */
static void group_write(struct vaplic *p, u64 group, u64 at, u32 value)
{
    u64 bits = 0;

    if (at < 8)
        bits = (u64)value << 8 * at;
    else if (at == GROUP_BY && value < METAL_SOURCES_MAX)
        bits = BIT(value);
    for (; bits; bits &= bits - 1) {
        u32 i = (u32)__builtin_ctzll(bits);
        if (!p->mode[i])
            continue;
        if (group < SETIE)
            set_pending(p, i, group == SETIP);
        else
            set_enable(p, i, group == SETIE);
    }
}

static void reg_write(struct vaplic *p, u64 offset, u32 value)
{
    u64 i = offset % 0x1000 / 4, group = offset & ~UINT64_C(0xff);

    if (offset == SOURCECFG) {
        p->on = value & DOMAINCFG_IE;
        for (u32 n = 1; n <= p->sources; n++)
            tell_enable(p, n);
    } else if (offset == TARGET) {
        p->genmsi = value & TARGET_BITS;
        send(p, p->genmsi);
    } else if (offset == SETIPNUM_LE) {
        group_write(p, SETIP, GROUP_BY, value);
    } else if (group >= SETIP && group <= CLRIE) {
        group_write(p, group, offset % 0x100, value);
    } else if (!is_source(p, i)) {
        return;
    } else if (offset < SOURCECFG + 0x1000) {
        set_mode(p, (u32)i, value);
    } else if (offset > TARGET && p->mode[i]) {
        set_target(p, (u32)i, value);
    }
}

bool vaplic_access(struct vaplic *p, u64 offset, u32 width, bool write, u64 *value)
{
    if (width != 4 || offset % 4 || offset >= VAPLIC_SIZE)
        return false;
    if (write) {
        reg_write(p, offset, (u32)*value);
        forward(p);
    } else {
        *value = vaplic_read(p, offset);
    }
    return true;
}
