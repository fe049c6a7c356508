/* SPDX-License-Identifier: BSD-2-Clause */
/* The proxies of the machine's apt for that of a guest. */
#include "apps/cosm/proxy.h"

#include "base/endian.h"
#include "base/fmt.h"
#include "host/child.h"
#include "net/policy.h"

#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>

#define HOST_MAX 128

/* SCHEME://HOST[:PORT][/...] in its parts. */
struct place {
    char scheme[16], host[HOST_MAX]; /* an IPv6 address without its brackets */
    int port;                        /* NET_PORT_UNKNOWN: the scheme's own */
    const char *rest;                /* from the port's colon on */
};

static bool split(struct place *p, const char *uri)
{
    const char *host = strstr(uri, "://"), *end;
    bool bracket;

    /* What else a URI may have is none of a proxy's, or a password's sign. */
    if (!host || strspn(uri, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
                             "0123456789-._:/[]") != strlen(uri))
        return false;
    bracket = host[3] == '[';
    end = host + 3 + bracket;
    end += strcspn(end, bracket ? "]" : ":/");
    if ((size_t)(end - host) >= HOST_MAX || (size_t)(host - uri) >= sizeof(p->scheme) ||
        (bracket && *end != ']'))
        return false;
    fmt_print(p->scheme, sizeof(p->scheme), "%.*s", (int)(host - uri), uri);
    host += 3 + bracket;
    fmt_print(p->host, HOST_MAX, "%.*s", (int)(end - host), host);
    p->rest = end + bracket;
    p->port = p->rest[0] == ':' ? atoi(p->rest + 1) : NET_PORT_UNKNOWN;
    return p->host[0] != '\0';
}

static bool parse_address(struct net_address *a, const char *host)
{
    *a = (struct net_address){0};
    if (inet_pton(AF_INET, host, a->bytes) == 1)
        a->family = 4;
    else if (inet_pton(AF_INET6, host, a->bytes) == 1)
        a->family = 6;
    return a->family != 0;
}

static bool is_loopback(const struct net_address *a)
{
    static const u8 one[16] = {[15] = 1};

    return a->family == 4 ? a->bytes[0] == 127 : a->family == 6 && !memcmp(a->bytes, one, 16);
}

/* The host, as a guest of the network calls it. */
static struct net_address gateway(const struct net_settings *settings, u8 family)
{
    struct net_subnet subnet = net_settings_subnet(settings);
    struct net_address a = {.family = family};

    if (family == 4) {
        be32_store(a.bytes, subnet.base4 | POLICY_HOST);
    } else {
        memcpy(a.bytes, subnet.prefix6, sizeof(subnet.prefix6));
        a.bytes[15] = POLICY_HOST;
    }
    return a;
}

/* By a user network: the host's loopback has another name there, and rules fit either. */
static bool by_user(char to[PROXY_MAX], const struct place *p, const struct net_address *address,
                    const char *uri, const struct net_settings *settings)
{
    struct net_address names[2] = {*address, *address};
    char text[INET6_ADDRSTRLEN];
    bool local = is_loopback(address);

    if (local)
        names[0] = gateway(settings, address->family);
    if (address->family && !net_settings_allow(settings, names, local ? 2 : 1, p->port))
        return false;
    if (!local)
        return fmt_print(to, PROXY_MAX, "%s", uri) < PROXY_MAX;
    if (!inet_ntop(address->family == 4 ? AF_INET : AF_INET6, names[0].bytes, text, sizeof(text)))
        return false;
    return fmt_print(to, PROXY_MAX, address->family == 4 ? "%s://%s%s" : "%s://[%s]%s", p->scheme,
                     text, p->rest) < PROXY_MAX;
}

bool proxy_for_guest(char to[PROXY_MAX], const char *uri, const struct vm_config *c)
{
    struct net_address address;
    struct place place;

    if (!split(&place, uri))
        return false;
    /* A name is the guest's to resolve, but for this one, which means another machine there. */
    if (!parse_address(&address, strcmp(place.host, "localhost") ? place.host : "127.0.0.1"))
        address.family = 0;
    if (is_loopback(&address) && address.family == 4 && be32_load(address.bytes) != 0x7f000001)
        return false; /* user networks lead to 127.0.0.1 alone */
    for (u32 i = 0; i < c->net_count; i++) {
        const struct vm_net *net = &c->net[i];

        if (net->kind == VM_NET_USER
                ? by_user(to, &place, &address, uri, &net->user)
                : !is_loopback(&address) && fmt_print(to, PROXY_MAX, "%s", uri) < PROXY_MAX)
            return true;
    }
    return false;
}

struct adding {
    struct vm_config *config;
    struct err *err;
    int status;
};

/* "http='URI'", as a shell would take it. */
static bool take_proxy(void *ctx, char *line)
{
    struct adding *a = ctx;
    char *uri = strstr(line, "='"), *end = strrchr(line, '\'');
    char to[PROXY_MAX], value[PROXY_MAX + 80];

    if (a->status || !uri || end < uri + 2)
        return true;
    *uri = *end = '\0';
    if (!proxy_for_guest(to, uri + 2, a->config))
        return true;
    fmt_print(value, sizeof(value), "opt/io.systemd.credentials/cosm.%s-proxy,string=%s", line, to);
    a->status = vm_config_parse_fw_cfg(a->config, value, a->err);
    return true;
}

int proxy_add(struct vm_config *config, struct err *err)
{
    char *argv[] = {(char *)(uintptr_t) "apt-config",
                    (char *)(uintptr_t) "shell",
                    (char *)(uintptr_t) "http",
                    (char *)(uintptr_t) "Acquire::http::Proxy",
                    (char *)(uintptr_t) "https",
                    (char *)(uintptr_t) "Acquire::https::Proxy",
                    NULL};
    struct adding adding = {config, err, 0};
    const struct child child = {.argv = argv, .line = take_proxy, .ctx = &adding};
    struct err ignored;

    /* A machine without apt, or with a broken one, runs guests nevertheless. */
    (void)!child_run(&child, &ignored);
    return adding.status;
}
