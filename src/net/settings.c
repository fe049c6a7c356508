/* SPDX-License-Identifier: BSD-2-Clause */
/* What a user's network is to be: port forwards and the rules for what the guest may reach. */
#include "net/settings.h"

#include "base/fmt.h"

#include <arpa/inet.h>
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* A decimal number that ends where text does, at most most. */
static bool number_parse(const char *text, size_t len, u32 most, u32 *value)
{
    u64 v = 0;

    if (!len || len > 10)
        return false;
    for (size_t i = 0; i < len; i++) {
        if (text[i] < '0' || text[i] > '9')
            return false;
        v = v * 10 + (u64)(text[i] - '0');
    }
    *value = (u32)v;
    return v <= most;
}

/* Both addresses and, by itself, "[v6]". */
static bool address_parse(const char *text, size_t len, struct net_address *address)
{
    char copy[INET6_ADDRSTRLEN];

    if (len >= 2 && text[0] == '[' && text[len - 1] == ']') {
        text++;
        len -= 2;
    }
    if (!len || len >= sizeof(copy))
        return false;
    memcpy(copy, text, len);
    copy[len] = '\0';
    *address = (struct net_address){0};
    if (inet_pton(AF_INET, copy, address->bytes) == 1)
        address->family = 4;
    else if (inet_pton(AF_INET6, copy, address->bytes) == 1)
        address->family = 6;
    return address->family != 0;
}

/* The last colon outside brackets, or NULL. */
static const char *last_colon(const char *text, size_t len)
{
    for (size_t i = len; i > 0 && text[i - 1] != ']'; i--) {
        if (text[i - 1] == ':')
            return text + i - 1;
    }
    return NULL;
}

int net_settings_forward(struct net_settings *settings, const char *text, struct err *err)
{
    static const struct net_address loopback = {4, {127, 0, 0, 1}};
    struct net_forward forward = {.host = loopback};
    size_t len = strcspn(text, "/");
    const char *colon = last_colon(text, len), *before;
    u32 host = 0, guest = 0;
    bool good;

    if (settings->forward_count == NET_FORWARDS_MAX)
        return err_set(err, EINVAL, "'%.64s' is one port too many; there may be %d", text,
                       NET_FORWARDS_MAX);
    forward.udp = !strcmp(text + len, "/udp");
    good = colon && (forward.udp || !text[len] || !strcmp(text + len, "/tcp")) &&
           number_parse(colon + 1, (size_t)(text + len - colon - 1), UINT16_MAX, &guest);
    if (good) {
        before = last_colon(text, (size_t)(colon - text));
        if (before)
            good = address_parse(text, (size_t)(before - text), &forward.host);
        before = before ? before + 1 : text;
        good = good && number_parse(before, (size_t)(colon - before), UINT16_MAX, &host);
    }
    if (!good || !host || !guest)
        return err_set(err, EINVAL,
                       "'%.64s' forwards no port; give [ADDRESS:]PORT:GUEST-PORT[/udp], as in "
                       "8080:80 or [::1]:5300:53/udp",
                       text);
    forward.host_port = (u16)host;
    forward.guest_port = (u16)guest;
    settings->forward[settings->forward_count++] = forward;
    return 0;
}

int net_settings_unforward(struct net_settings *settings, const char *text, struct err *err)
{
    size_t len = strcspn(text, "/");
    char whole[128];

    if (!net_settings_forward(settings, text, err))
        return 0;
    if (fmt_print(whole, sizeof(whole), "%.*s:1%s", (int)len, text, text + len) < sizeof(whole) &&
        !net_settings_forward(settings, whole, err))
        return 0;
    return err_set(err, EINVAL, "'%.64s' is no port; give [ADDRESS:]PORT[/udp], as in 8080", text);
}

bool net_settings_drop_forward(struct net_settings *settings, const struct net_forward *forward)
{
    for (u32 i = 0; i < settings->forward_count; i++) {
        struct net_forward *f = &settings->forward[i];

        if (f->udp == forward->udp && f->host_port == forward->host_port &&
            !memcmp(&f->host, &forward->host, sizeof(f->host))) {
            *f = settings->forward[--settings->forward_count];
            return true;
        }
    }
    return false;
}

const char *net_place_text(const struct net_address *address, u16 port, char text[NET_PLACE_MAX])
{
    char host[INET6_ADDRSTRLEN] = "?";

    inet_ntop(address->family == 6 ? AF_INET6 : AF_INET, address->bytes, host, sizeof(host));
    fmt_print(text, NET_PLACE_MAX, address->family == 6 ? "[%s]:%u" : "%s:%u", host, port);
    return text;
}

void net_rule_text(const struct net_rule *rule, char *text, size_t size)
{
    char host[INET6_ADDRSTRLEN] = "all", what[80], ports[16] = "";

    if (rule->base.family)
        inet_ntop(rule->base.family == 6 ? AF_INET6 : AF_INET, rule->base.bytes, host,
                  sizeof(host));
    if (rule->base.family)
        fmt_print(what, sizeof(what), rule->base.family == 6 ? "[%s/%u]" : "%s/%u", host,
                  rule->bits);
    else
        fmt_print(what, sizeof(what), "all");
    if (rule->port_first == rule->port_last)
        fmt_print(ports, sizeof(ports), ":%u", rule->port_first);
    else if (rule->port_first || rule->port_last != UINT16_MAX)
        fmt_print(ports, sizeof(ports), ":%u-%u", rule->port_first, rule->port_last);
    fmt_print(text, size, "%s %s%s", rule->allow ? "allow" : "deny", what, ports);
}

struct net_subnet net_settings_subnet(const struct net_settings *settings)
{
    static const struct net_subnet usual = {0x0a000200, 24, {0xfe, 0xc0}};

    return settings->subnet.base4 ? settings->subnet : usual;
}

/* ":PORT", ":FIRST-LAST" or "". */
static bool rule_ports(const char *text, size_t len, struct net_rule *rule)
{
    const char *dash;
    u32 first, last;

    rule->port_first = 0;
    rule->port_last = UINT16_MAX;
    if (!len)
        return true;
    text++;
    len--;
    dash = memchr(text, '-', len);
    if (!number_parse(text, dash ? (size_t)(dash - text) : len, UINT16_MAX, &first))
        return false;
    last = first;
    if (dash && !number_parse(dash + 1, (size_t)(text + len - dash - 1), UINT16_MAX, &last))
        return false;
    rule->port_first = (u16)first;
    rule->port_last = (u16)last;
    return first && first <= last;
}

static bool rule_parse(const char *text, struct net_rule *rule)
{
    size_t len = strlen(text), address_len;
    const char *colon = last_colon(text, len), *slash;
    bool brackets = text[0] == '[';
    u32 bits;

    /* Several colons without brackets: an IPv6 address and no port. */
    if (!brackets && colon && memchr(text, ':', (size_t)(colon - text)))
        colon = NULL;
    address_len = colon ? (size_t)(colon - text) : len;
    if (!rule_ports(text + address_len, len - address_len, rule))
        return false;
    if (address_len == 3 && !memcmp(text, "all", 3))
        return true;
    if (brackets) { /* [2001:db8::/32] and [2001:db8::]/32 */
        const char *end = memchr(text, ']', address_len);

        if (!end)
            return false;
        if (end == text + address_len - 1) {
            text++;
            address_len -= 2;
        }
    }
    slash = memchr(text, '/', address_len);
    if (!address_parse(text, slash ? (size_t)(slash - text) : address_len, &rule->base))
        return false;
    bits = rule->base.family == 4 ? 32 : 128;
    if (slash && !number_parse(slash + 1, (size_t)(text + address_len - slash - 1), bits, &bits))
        return false;
    rule->bits = (u8)bits;
    return true;
}

int net_settings_rule(struct net_settings *settings, bool allow, const char *text, struct err *err)
{
    struct net_rule rule = {.allow = allow};

    if (settings->rule_count == NET_RULES_MAX)
        return err_set(err, EINVAL, "'%.64s' is one rule too many; there may be %d", text,
                       NET_RULES_MAX);
    if (!rule_parse(text, &rule))
        return err_set(err, EINVAL,
                       "'%.64s' is not what a rule can say; give ADDRESS[/BITS][:PORT[-PORT]] or "
                       "all, as in 10.0.0.0/8, [2001:db8::/32]:443",
                       text);
    settings->rule[settings->rule_count++] = rule;
    return 0;
}

int net_settings_mtu(struct net_settings *settings, const char *text, struct err *err)
{
    u32 mtu;

    if (!number_parse(text, strlen(text), NET_MTU_MAX, &mtu) || mtu < NET_MTU_MIN)
        return err_set(err, EINVAL, "'mtu=%.64s' is no length of packets; give %d to %d", text,
                       NET_MTU_MIN, NET_MTU_MAX);
    settings->mtu = (u16)mtu;
    return 0;
}

/* A decimal fraction and what follows it. */
static bool fraction_parse(const char *text, double *value, const char **rest)
{
    char *end;

    if (*text < '0' || *text > '9')
        return false;
    *value = strtod(text, &end);
    *rest = end;
    return isfinite(*value) && *value < 1e15;
}

int net_settings_delay(struct net_settings *settings, const char *text, struct err *err)
{
    const char *unit;
    double v;
    bool good = fraction_parse(text, &v, &unit);

    if (good && (!*unit || !strcmp(unit, "ms")))
        v *= 1000;
    else if (good && !strcmp(unit, "s"))
        v *= 1000000;
    else if (good && strcmp(unit, "us") != 0)
        good = false;
    if (!good || v > 10e6)
        return err_set(err, EINVAL, "'delay=%.64s' is no delay; give one as 20ms, at most 10s",
                       text);
    settings->impairment.delay_us = (u32)v;
    return 0;
}

int net_settings_loss(struct net_settings *settings, const char *text, struct err *err)
{
    const char *unit;
    double v;

    if (!fraction_parse(text, &v, &unit) || (*unit && strcmp(unit, "%") != 0) || v > 100)
        return err_set(err, EINVAL, "'loss=%.64s' is no share of frames; give one as 0.5%%", text);
    settings->impairment.loss_ppm = (u32)(v * 10000);
    return 0;
}

int net_settings_rate(struct net_settings *settings, const char *text, struct err *err)
{
    static const char units[] = "kmg";
    const char *unit, *at;
    double v;
    bool good = fraction_parse(text, &v, &unit);

    if (good && *unit) {
        at = strchr(units, *unit | 0x20);
        good = at && *at && !unit[1];
        for (; good && at >= units; at--)
            v *= 1000;
    }
    if (!good || v < 8000 || v > 1e12)
        return err_set(err, EINVAL,
                       "'rate=%.64s' is no rate; give bits a second as 10M, at least 8k", text);
    settings->impairment.rate_bytes = (u64)(v / 8);
    return 0;
}

static bool address_within(const struct net_address *address, const struct net_rule *rule)
{
    u32 whole = rule->bits / 8, rest = rule->bits % 8;

    if (!rule->base.family)
        return true;
    if (address->family != rule->base.family || memcmp(address->bytes, rule->base.bytes, whole))
        return false;
    return !rest || !((address->bytes[whole] ^ rule->base.bytes[whole]) >> (8 - rest));
}

bool net_settings_allow(const struct net_settings *settings, const struct net_address *to,
                        u32 names, int port)
{
    for (u32 i = 0; i < settings->rule_count; i++) {
        const struct net_rule *rule = &settings->rule[i];
        bool any = !rule->port_first && rule->port_last == UINT16_MAX;

        if (!address_within(to, rule) && !(names > 1 && address_within(to + 1, rule)))
            continue;
        if (any || (port == NET_PORT_UNKNOWN && !rule->allow) ||
            (port >= rule->port_first && port <= rule->port_last))
            return rule->allow;
    }
    return true;
}
