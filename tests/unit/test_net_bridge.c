/* SPDX-License-Identifier: BSD-2-Clause */
/* What a switch lets pass, and where to: VLANs and tags, addresses that are another's. */
#include "net/bridge.h"

#include "base/endian.h"
#include "tests/test.h"

static struct bridge bridge;
static struct lab_settings settings;
static u32 got[BRIDGE_PORTS];
static u8 last[64];
static struct bridge_frame seen;

static void deliver(void *ctx, u32 port, const struct bridge_frame *f)
{
    got[port]++;
    seen = *f;
    memcpy(last, f->bytes, f->len < sizeof(last) ? f->len : sizeof(last));
}

static void note(void *ctx, const struct bridge_frame *f)
{
}

static u32 join(u8 number, u16 vlan, const char *trunk)
{
    struct lab_port port = {.mac = {6, 0, 0, 0, 0, number}, .vlan = vlan};
    struct err err;
    int at;

    if (trunk)
        CHECK_EQ(lab_parse_trunk(&port, trunk, &err), 0);
    at = bridge_join(&bridge, &port);
    CHECK(at >= BRIDGE_VM);
    return (u32)at;
}

static void rig(void)
{
    settings = (struct lab_settings){.name = "lab"};
    lab_settings_complete(&settings);
    bridge_init(&bridge, &settings);
    bridge.deliver = deliver;
    bridge.note = note;
}

/* Who has the network's host 9, says a VM that claims to be number with address .host. */
static void arp(u32 port, u8 number, u32 host, u16 tag)
{
    u8 room[BRIDGE_TAG + 64] = {0}, *frame = room + BRIDGE_TAG, *p = frame + 12;
    struct bridge_frame f = {.bytes = frame, .offload = {NET_NEEDS_CSUM, 0, 0, 0, 18, 0}};

    memset(got, 0, sizeof(got));
    memset(frame, 0xff, 6);
    frame[6] = 6;
    frame[11] = number;
    if (tag) {
        be16_store(p, 0x8100);
        be16_store(p + 2, tag);
        p += 4;
    }
    memcpy(p, (const u8[]){8, 6, 0, 1, 8, 0, 6, 4, 0, 1, 6, 0, 0, 0, 0, number}, 16);
    be32_store(p + 16, settings.subnet.base4 + host);
    be32_store(p + 26, settings.subnet.base4 + 9);
    f.len = (size_t)(p - frame) + 30;
    bridge_input(&bridge, port, &f, 1000);
}

TEST(vlans_and_tags)
{
    u32 a, b, c, d;

    rig();
    a = join(1, 10, NULL);
    b = join(2, 10, NULL);
    c = join(3, 20, NULL);
    d = join(4, LAB_VLAN, "10+30-40");
    arp(a, 1, 20, 0);
    CHECK(got[b] == 1 && got[d] == 1 && !got[a] && !got[c]);
    CHECK_EQ(be16_load(last + 12), 0x8100); /* d is the last, and has it with a tag */
    CHECK_EQ(be16_load(last + 14), 10);
    CHECK_EQ(be16_load(last + 16), 0x0806);
    CHECK_EQ(seen.offload.csum_start, 22);
    arp(d, 4, 21, 10);
    CHECK(got[a] == 1 && got[b] == 1 && !got[c]);
    CHECK_EQ(be16_load(last + 12), 0x0806);
    CHECK_EQ(seen.offload.csum_start, 14);
    arp(d, 4, 21, 20); /* not its VLAN */
    CHECK(!got[a] && !got[b] && !got[c]);
    arp(a, 1, 20, 10); /* no trunk */
    CHECK(!got[b] && !got[d]);
    CHECK_EQ(bridge.port[a].count.refused, 1);
}

TEST(addresses_belong_to_the_first)
{
    struct net_address web;
    u32 a, b;

    rig();
    a = join(1, LAB_VLAN, NULL);
    b = join(2, LAB_VLAN, NULL);
    web = bridge_address4(&bridge, 20);
    arp(a, 1, 20, 0);
    CHECK_EQ(got[b], 1);
    CHECK_EQ(bridge_owner(&bridge, &web), a);
    arp(b, 2, 20, 0);
    CHECK(!got[a]);
    arp(b, 1, 21, 0); /* another's MAC */
    CHECK(!got[a]);
    arp(b, 2, 300, 0); /* beyond the subnet */
    CHECK(!got[a]);
    bridge_leave(&bridge, a);
    arp(b, 2, 20, 0);
    CHECK_EQ(bridge_owner(&bridge, &web), b);
}

TEST(values)
{
    struct lab_settings s = {.name = "x"};
    struct err err;

    CHECK_EQ(lab_parse_subnet(&s, "10.7.0.0/24,fd00:7::/64", &err), 0);
    CHECK_EQ(s.subnet.base4, 0x0a070000);
    CHECK(lab_parse_subnet(&s, "10.7.0.1/24", &err) < 0);
    CHECK(lab_parse_subnet(&s, "10.7.0.0/30", &err) < 0);
    CHECK(lab_parse_subnet(&s, "fe80::/64", &err) < 0);
    CHECK_EQ(lab_parse_tunnel(&s, "remote=192.0.2.7,vni=42", &err), 0);
    CHECK(lab_parse_tunnel(&s, "remote=192.0.2.7", &err) < 0);
    CHECK(lab_parse_tunnel(&s, "remote=192.0.2.7,vni=16777216", &err) < 0);
    CHECK(lab_parse_dhcp(&s, "3-9", &err) < 0);
    CHECK_EQ(lab_parse_dhcp(&s, "16-400", &err), 0);
    lab_settings_complete(&s);
    CHECK_EQ(s.dhcp_last, 254);
    CHECK_EQ(s.mtu, 1450);
    CHECK(lab_check_name("tap", &err) < 0);
    CHECK(lab_check_name("9lab", &err) < 0);
    CHECK_EQ(lab_check_name("lab-2", &err), 0);
}

TEST_MAIN()
