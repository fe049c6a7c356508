/* SPDX-License-Identifier: BSD-2-Clause */
/* What a network between VMs is to be: the values of options, parsed and checked. */
#include "net/lab.h"

#include "base/endian.h"
#include "base/fmt.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define TUNNEL_HEADERS 50 /* bytes of a VXLAN packet before its frame's payload, by way of IPv4 */

int lab_check_name(const char *name, struct err *err)
{
    static const char letters[] = "abcdefghijklmnopqrstuvwxyz", more[] = "0123456789-";
    static const char *const taken[] = {"user", "null", "loopback", "tap", "bridge", "vhost-user"};
    size_t len = strspn(name, letters);

    while (len && name[len] && strchr(more, name[len]))
        len += 1 + strspn(name + len + 1, letters);
    if (!len || name[len] || len >= LAB_NAME_MAX)
        return err_set(err, EINVAL,
                       "'%.64s' cannot name a network; give lower-case letters, digits and '-', a "
                       "letter first, at most %d",
                       name, LAB_NAME_MAX - 1);
    for (size_t i = 0; i < ARRAY_SIZE(taken); i++) {
        if (!strcmp(name, taken[i]))
            return err_set(err, EINVAL, "'%s' is a kind of network of its own; give another name",
                           name);
    }
    return 0;
}

/* Digits alone, then end or one of stop; *text moves behind. */
static bool number(const char **text, u32 least, u32 most, u32 *value)
{
    u64 v = 0;
    const char *t = *text;

    for (; *t >= '0' && *t <= '9' && t - *text < 10; t++)
        v = v * 10 + (u64)(*t - '0');
    if (t == *text || v < least || v > most)
        return false;
    *text = t;
    *value = (u32)v;
    return true;
}

static bool subnet_part(struct net_subnet *s, const char *text, size_t len)
{
    char copy[INET6_ADDRSTRLEN + 4];
    struct in_addr v4;
    u8 v6[16];
    char *slash;
    const char *bits;
    u32 n;

    if (len >= sizeof(copy))
        return false;
    memcpy(copy, text, len);
    copy[len] = '\0';
    slash = strchr(copy, '/');
    if (!slash)
        return false;
    *slash = '\0';
    bits = slash + 1;
    if (!number(&bits, 8, 64, &n) || *bits)
        return false;
    if (inet_pton(AF_INET, copy, &v4) == 1 && n >= 8 && n <= 28) {
        s->base4 = ntohl(v4.s_addr);
        s->bits4 = (u8)n;
        return s->base4 && !(s->base4 << n);
    }
    if (inet_pton(AF_INET6, copy, v6) != 1 || n != 64 || be64_load(v6 + 8))
        return false;
    memcpy(s->prefix6, v6, 8);
    return v6[0] >= 0x20 && v6[0] < 0xfe;
}

int lab_parse_subnet(struct lab_settings *settings, const char *text, struct err *err)
{
    struct net_subnet s = settings->subnet;

    for (const char *at = text; *at;) {
        size_t len = strcspn(at, ",");

        if (!subnet_part(&s, at, len))
            return err_set(err, EINVAL,
                           "'%.100s' is no subnet; give ADDRESS/BITS with 8 to 28 bits, or an IPv6 "
                           "prefix with /64, or both: 10.7.0.0/24,fd00:7::/64",
                           text);
        at += len + (at[len] == ',');
    }
    settings->subnet = s;
    return 0;
}

int lab_parse_trunk(struct lab_port *port, const char *text, struct err *err)
{
    struct lab_port p = *port;
    const char *at = text;
    u32 first, last;
    bool good = *text;

    p.trunk = true;
    if (!strcmp(text, "all")) {
        memset(p.trunk_vlans, 0xff, sizeof(p.trunk_vlans));
        at = "";
    }
    while (*at && good) {
        good = number(&at, 1, LAB_VLAN_MAX, &first);
        last = first;
        if (good && *at == '-') {
            at++;
            good = number(&at, first, LAB_VLAN_MAX, &last);
        }
        for (u32 i = first; good && i <= last; i++)
            p.trunk_vlans[i / 64] |= UINT64_C(1) << i % 64;
        good = good && (!*at || *at++ == '+');
    }
    if (!good)
        return err_set(err, EINVAL,
                       "'trunk=%.64s' names no VLANs; give all, or numbers of 1 to %d as 10+20-30",
                       text, LAB_VLAN_MAX);
    *port = p;
    return 0;
}

int lab_parse_vlan(struct lab_port *port, const char *text, struct err *err)
{
    const char *at = text;
    u32 vlan;

    if (!number(&at, 1, LAB_VLAN_MAX, &vlan) || *at)
        return err_set(err, EINVAL, "'vlan=%.64s' is no VLAN; give 1 to %d", text, LAB_VLAN_MAX);
    port->vlan = (u16)vlan;
    return 0;
}

static bool address(const char *text, struct net_address *a)
{
    *a = (struct net_address){.family = 4};
    if (inet_pton(AF_INET, text, a->bytes) == 1)
        return true;
    a->family = 6;
    return inet_pton(AF_INET6, text, a->bytes) == 1;
}

static bool tunnel_item(struct lab_tunnel *t, const char *key, const char *value, bool *has_vni)
{
    u32 n = 0;

    if (!strcmp(key, "remote"))
        return address(value, &t->remote);
    if (!strcmp(key, "local"))
        return address(value, &t->local);
    if (!strcmp(key, "port") && number(&value, 1, UINT16_MAX, &n) && !*value) {
        t->port = (u16)n;
        return true;
    }
    if (strcmp(key, "vni") != 0 || !number(&value, 0, (1u << 24) - 1, &t->vni) || *value)
        return false;
    *has_vni = true;
    return true;
}

int lab_parse_tunnel(struct lab_settings *settings, const char *text, struct err *err)
{
    struct lab_tunnel t = {.port = LAB_VXLAN};
    char item[80];
    bool has_vni = false, good = true;

    for (const char *at = text; *at && good;) {
        size_t len = strcspn(at, ",");
        char *value;

        good = len < sizeof(item);
        if (good) {
            memcpy(item, at, len);
            item[len] = '\0';
            value = strchr(item, '=');
            good = value;
        }
        if (good) {
            *value++ = '\0';
            good = tunnel_item(&t, item, value, &has_vni);
        }
        at += len + (at[len] == ',');
    }
    if (!good || !t.remote.family || !has_vni ||
        (t.local.family && t.local.family != t.remote.family))
        return err_set(err, EINVAL,
                       "'%.100s' is no tunnel; give remote=ADDRESS,vni=N (0 to 16777215) and, if "
                       "need be, local=ADDRESS and port=N",
                       text);
    settings->tunnel = t;
    return 0;
}

int lab_parse_dhcp(struct lab_settings *settings, const char *text, struct err *err)
{
    const char *at = text;
    u32 first, last;

    if (!strcmp(text, "off")) {
        settings->dhcp_first = UINT32_MAX;
        settings->dhcp_last = 0;
        return 0;
    }
    if (!number(&at, 4, 1u << 24, &first) || *at++ != '-' || !number(&at, first, 1u << 24, &last) ||
        *at)
        return err_set(err, EINVAL,
                       "'%.64s' gives no addresses away; give off, or the first and last host of "
                       "the subnet as 16-99, from 4 on",
                       text);
    settings->dhcp_first = first;
    settings->dhcp_last = last;
    return 0;
}

void lab_settings_complete(struct lab_settings *s)
{
    u64 hash = UINT64_C(0xcbf29ce484222325); /* FNV-1a: a name has its subnet on every host */
    u32 most;

    for (const char *c = s->name; *c; c++)
        hash = (hash ^ (u8)*c) * UINT64_C(0x100000001b3);
    if (!s->subnet.base4) {
        s->subnet.base4 = 0x0a400000u + ((u32)(hash >> 20) & 0x3fff) * 256; /* 10.64.0.0/10 */
        s->subnet.bits4 = 24;
    }
    if (!s->subnet.prefix6[0]) {
        be64_store(s->subnet.prefix6, hash);
        s->subnet.prefix6[0] = 0xfd;
    }
    if (!s->mtu)
        s->mtu = s->tunnel.remote.family ? LAB_MTU - TUNNEL_HEADERS : LAB_MTU;
    most = (UINT32_MAX >> s->subnet.bits4) - 1;
    if (!s->dhcp_first) {
        s->dhcp_first = 4;
        s->dhcp_last = most;
    }
    if (s->dhcp_last > most)
        s->dhcp_last = most;
    if (s->dhcp_first > s->dhcp_last)
        s->dhcp_first = s->dhcp_last = 0;
}
