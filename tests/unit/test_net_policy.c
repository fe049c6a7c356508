/* SPDX-License-Identifier: BSD-2-Clause */
/* What user networking lets a guest send: values of options, rules, refusals, checksums. */
#include "net/policy.h"

#include "base/endian.h"
#include "tests/test.h"

#include <arpa/inet.h>

static struct net_settings settings;
static struct policy policy;
static u8 frame[256];
static struct packet packet;

static void setup(void)
{
    memset(&settings, 0, sizeof(settings));
    policy_init(&policy, &settings);
}

static void rule(bool allow, const char *text)
{
    struct err err;

    CHECK_EQ(net_settings_rule(&settings, allow, text, &err), 0);
}

/* A frame to text's address; its length. */
static size_t make(const char *to, u8 protocol, u16 from_port, u16 to_port, u8 tcp_flags)
{
    bool v6 = strchr(to, ':') != NULL;
    u32 at = PACKET_ETHERNET + (v6 ? 40 : 20), len = protocol == PACKET_TCP ? 20 : 12;
    u8 *ip = frame + PACKET_ETHERNET;

    memset(frame, 0, sizeof(frame));
    memset(frame, 0x52, 6);
    memset(frame + 6, 0x02, 6);
    be16_store(frame + 12, v6 ? 0x86dd : 0x0800);
    ip[0] = v6 ? 0x60 : 0x45;
    if (v6) {
        be16_store(ip + 4, (u16)len);
        ip[6] = protocol;
        CHECK_EQ(inet_pton(AF_INET6, "fec0::15", ip + 8), 1);
        CHECK_EQ(inet_pton(AF_INET6, to, ip + 24), 1);
    } else {
        be16_store(ip + 2, (u16)(20 + len));
        ip[9] = protocol;
        CHECK_EQ(inet_pton(AF_INET, "10.0.2.15", ip + 12), 1);
        CHECK_EQ(inet_pton(AF_INET, to, ip + 16), 1);
    }
    be16_store(frame + at, from_port);
    be16_store(frame + at + 2, to_port);
    if (protocol == PACKET_TCP)
        frame[at + 13] = tcp_flags;
    return at + len;
}

static enum verdict judge(const char *to, u8 protocol, u16 to_port)
{
    return policy_judge(&policy, &packet, frame, make(to, protocol, 4000, to_port, 2));
}

TEST(values)
{
    static const char *const bad_forwards[] = {
        "",        "80",    "80:",         ":80",      "0:80",    "80:0",   "80:65536",
        "a:80:80", "80:8x", "1.2.3:80:80", "80:80/ip", "::1:80:", "80:80:", "[::1:80:80"};
    static const char *const bad_rules[] = {"",          "10.0.0.0/33", "x",       "10.0.0.1:0",
                                            "10.0.0.1:", "[::1",        "::1/129", "1.2.3.4:9-8",
                                            "all:",      "1.2.3.4:1-",  "/8",      "[]:80"};
    struct err err;

    setup();
    CHECK_EQ(net_settings_forward(&settings, "8080:80", &err), 0);
    CHECK_EQ(net_settings_forward(&settings, "0.0.0.0:53:5353/udp", &err), 0);
    CHECK_EQ(net_settings_forward(&settings, "[::1]:1:2/tcp", &err), 0);
    CHECK_EQ(settings.forward[0].host.bytes[0], 127);
    CHECK_EQ(settings.forward[1].host.bytes[0], 0);
    CHECK(settings.forward[1].udp);
    CHECK_EQ(settings.forward[1].guest_port, 5353);
    CHECK_EQ(settings.forward[2].host.family, 6);
    for (u32 i = 0; i < ARRAY_SIZE(bad_forwards); i++)
        CHECK(net_settings_forward(&settings, bad_forwards[i], &err) < 0);
    for (u32 i = 0; i < ARRAY_SIZE(bad_rules); i++)
        CHECK(net_settings_rule(&settings, false, bad_rules[i], &err) < 0);
    CHECK_EQ(settings.forward_count, 3);
    CHECK_EQ(settings.rule_count, 0);
    CHECK_EQ(net_settings_mtu(&settings, "1500", &err), 0);
    CHECK(net_settings_mtu(&settings, "1279", &err) < 0);
    CHECK_EQ(net_settings_delay(&settings, "20ms", &err), 0);
    CHECK_EQ(settings.impairment.delay_us, 20000);
    CHECK_EQ(net_settings_loss(&settings, "0.5%", &err), 0);
    CHECK_EQ(settings.impairment.loss_ppm, 5000);
    CHECK_EQ(net_settings_rate(&settings, "8M", &err), 0);
    CHECK_EQ(settings.impairment.rate_bytes, 1000000);
    CHECK(net_settings_rate(&settings, "8X", &err) < 0);
    CHECK(net_settings_loss(&settings, "101", &err) < 0);
    CHECK(net_settings_delay(&settings, "-1", &err) < 0);
}

TEST(rules)
{
    setup();
    CHECK_EQ(judge("192.0.2.1", PACKET_TCP, 80), VERDICT_PASS);
    rule(true, "192.0.2.128/25:443");
    rule(false, "192.0.2.0/24");
    rule(false, "[2001:db8::/32]:80-90");
    rule(false, "2001:db8:1::/48");
    CHECK_EQ(judge("192.0.2.1", PACKET_TCP, 443), VERDICT_REFUSE);
    CHECK_EQ(judge("192.0.2.129", PACKET_TCP, 443), VERDICT_PASS);
    CHECK_EQ(judge("192.0.2.129", PACKET_UDP, 444), VERDICT_REFUSE);
    CHECK_EQ(judge("192.0.3.1", PACKET_UDP, 444), VERDICT_PASS);
    CHECK_EQ(judge("2001:db8::1", PACKET_TCP, 85), VERDICT_REFUSE);
    CHECK_EQ(judge("2001:db8::1", PACKET_TCP, 91), VERDICT_PASS);
    CHECK_EQ(judge("2001:db8:1::1", PACKET_UDP, 1), VERDICT_REFUSE);
    CHECK_EQ(judge("2001:db9::1", PACKET_TCP, 85), VERDICT_PASS);
    /* What goes on in a connection that exists was judged when it began. */
    CHECK_EQ(policy_judge(&policy, &packet, frame, make("192.0.2.1", PACKET_TCP, 1, 80, 16)),
             VERDICT_PASS);
    CHECK_EQ(policy.refused, 4);
}

TEST(hosts_own_names)
{
    static const char *const never[] = {
        "127.0.0.1", "0.0.0.0", "255.255.255.255",  "240.0.0.1",   "224.0.0.1", "10.0.2.255",
        "::1",       "::",      "::ffff:192.0.2.1", "::192.0.2.1", "ff02::fb"};

    setup();
    for (u32 i = 0; i < ARRAY_SIZE(never); i++)
        CHECK_EQ(judge(never[i], PACKET_UDP, 5353), VERDICT_DROP);
    CHECK_EQ(judge("255.255.255.255", PACKET_UDP, 67), VERDICT_PASS);
    CHECK_EQ(judge("ff02::1:2", PACKET_UDP, 547), VERDICT_PASS);
    rule(false, "127.0.0.0/8:22");
    rule(false, "[::1]:22");
    CHECK_EQ(judge("10.0.2.2", PACKET_TCP, 22), VERDICT_REFUSE);
    CHECK_EQ(judge("10.0.2.77", PACKET_TCP, 22), VERDICT_REFUSE);
    CHECK_EQ(judge("10.0.2.3", PACKET_TCP, 22), VERDICT_PASS);
    CHECK_EQ(judge("fec0::2", PACKET_TCP, 22), VERDICT_REFUSE);
    CHECK_EQ(judge("fe80::2", PACKET_TCP, 22), VERDICT_REFUSE);
    CHECK_EQ(judge("fec0::2", PACKET_TCP, 23), VERDICT_PASS);
    rule(false, "all");
    CHECK_EQ(judge("255.255.255.255", PACKET_UDP, 67), VERDICT_PASS);
}

TEST(fragments_are_judged_without_ports)
{
    u8 answer[PACKET_ANSWER_MAX];
    size_t len;

    setup();
    rule(true, "192.0.2.1:80");
    rule(false, "192.0.2.0/24:22");
    len = make("192.0.2.1", PACKET_TCP, 4000, 80, 16);
    be16_store(frame + PACKET_ETHERNET + 6, 0x2000);
    CHECK_EQ(policy_judge(&policy, &packet, frame, len), VERDICT_REFUSE);
    CHECK_EQ(packet_refuse(&packet, answer), 0);
}

TEST(answers_of_forwarded_ports_pass)
{
    struct err err;
    size_t len;

    setup();
    rule(false, "all");
    CHECK_EQ(net_settings_forward(&settings, "5300:53/udp", &err), 0);
    len = make("10.0.2.15", PACKET_UDP, 9999, 53, 0);
    CHECK_EQ(inet_pton(AF_INET, "192.0.2.9", frame + PACKET_ETHERNET + 12), 1);
    policy_note(&policy, frame, len);
    CHECK_EQ(policy_judge(&policy, &packet, frame, make("192.0.2.9", PACKET_UDP, 53, 9999, 0)),
             VERDICT_PASS);
    CHECK_EQ(policy_judge(&policy, &packet, frame, make("192.0.2.9", PACKET_UDP, 53, 9998, 0)),
             VERDICT_REFUSE);
    CHECK_EQ(policy_judge(&policy, &packet, frame, make("192.0.2.8", PACKET_UDP, 53, 9999, 0)),
             VERDICT_REFUSE);
}

/* The sum over pseudo header and payload of an answer is right if it comes to all ones. */
static u16 check_sum(const u8 *answer, size_t len)
{
    const u8 *ip = answer + PACKET_ETHERNET;
    bool v6 = ip[0] >> 4 == 6;
    u32 head = v6 ? 40 : 20;
    u32 sum = packet_sum(0, ip + (v6 ? 8 : 12), v6 ? 32 : 8);

    if (!v6 && ip[9] == PACKET_ICMP)
        sum = 0;
    else
        sum += (v6 ? ip[6] : ip[9]) + (u32)(len - PACKET_ETHERNET - head);
    return packet_sum(sum, ip + head, len - PACKET_ETHERNET - head);
}

TEST(refusals)
{
    static const char *const to[] = {"192.0.2.1", "2001:db8::1"};
    u8 answer[PACKET_ANSWER_MAX];

    setup();
    rule(false, "all");
    for (u32 i = 0; i < 2; i++) {
        u32 at = PACKET_ETHERNET + (i ? 40 : 20);
        size_t len;

        CHECK_EQ(judge(to[i], PACKET_TCP, 80), VERDICT_REFUSE);
        len = packet_refuse(&packet, answer);
        CHECK_EQ(len, at + 20);
        CHECK_EQ(answer[at + 13], 0x14);
        CHECK_EQ(be16_load(answer + at), 80);
        CHECK_EQ(be16_load(answer + at + 2), 4000);
        CHECK_EQ(be32_load(answer + at + 8), 1);
        CHECK_EQ(check_sum(answer, len), 0xffff);
        CHECK_EQ(judge(to[i], PACKET_UDP, 53), VERDICT_REFUSE);
        len = packet_refuse(&packet, answer);
        CHECK_EQ(answer[at], i ? 1 : 3);
        CHECK_EQ(check_sum(answer, len), 0xffff);
        CHECK_EQ(policy_judge(&policy, &packet, answer, len), VERDICT_REFUSE);
        CHECK_EQ(packet_refuse(&packet, frame), 0); /* no error about an error */
    }
}

TEST(checksums)
{
    struct net_offload offload = {.flags = NET_NEEDS_CSUM, .csum_start = 4, .csum_offset = 2};
    u8 bytes[9] = {9, 9, 9, 9, 0x12, 0x34, 0, 0, 0x56};

    CHECK(packet_checksum(bytes, 9, &offload));
    CHECK_EQ(be16_load(bytes + 6), (u16) ~(0x1234 + 0x5600));
    offload.csum_start = 6;
    CHECK(!packet_checksum(bytes, 9, &offload));
    offload.csum_start = 65535;
    CHECK(!packet_checksum(bytes, 9, &offload));
}

TEST(broken_lengths)
{
    size_t len;

    setup();
    len = make("192.0.2.1", PACKET_UDP, 1, 2, 0);
    for (size_t cut = 0; cut < len; cut++)
        CHECK_EQ(policy_judge(&policy, &packet, frame, cut), VERDICT_DROP);
    frame[PACKET_ETHERNET] = 0x44;
    CHECK_EQ(policy_judge(&policy, &packet, frame, len), VERDICT_DROP);
    frame[PACKET_ETHERNET] = 0x4f;
    CHECK_EQ(policy_judge(&policy, &packet, frame, len), VERDICT_DROP);
    make("192.0.2.1", 47, 1, 2, 0);
    CHECK_EQ(policy_judge(&policy, &packet, frame, len), VERDICT_PASS);
    be16_store(frame + 12, 0x88f8);
    CHECK_EQ(policy_judge(&policy, &packet, frame, len), VERDICT_DROP);
}

TEST_MAIN()
