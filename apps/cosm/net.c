/* SPDX-License-Identifier: BSD-2-Clause */
/* cosm net: makes, lists, examines and removes networks between VMs. */
#include "apps/cosm/net.h"

#include "api/json.h"
#include "base/fmt.h"
#include "host/scope.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define JSON_MAX (256 * KIB)

/* A network with those who are in it. */
struct network {
    struct lab_place place;
    struct lab_port_info port[LAB_PORTS_MAX];
    u32 count;
    bool runs;
};

static int look(struct network *n, const char *name, struct err *err)
{
    int r = network_open(&n->place, name, err);

    n->count = 0;
    if (r)
        return r;
    r = lab_ask_ports(&n->place, n->port, &n->count, err);
    n->runs = !r;
    return r == -ENOTCONN ? 0 : r;
}

static const char *subnet_text(const struct lab_settings *s, bool v6, char text[64])
{
    char address[INET6_ADDRSTRLEN] = "?";
    struct in_addr base = {htonl(s->subnet.base4)};
    u8 prefix[16] = {0};

    memcpy(prefix, s->subnet.prefix6, 8);
    if (v6)
        inet_ntop(AF_INET6, prefix, address, sizeof(address));
    else
        inet_ntop(AF_INET, &base, address, sizeof(address));
    fmt_print(text, 64, "%s/%u", address, v6 ? 64 : s->subnet.bits4);
    return text;
}

static const char *address_text(const struct net_address *a, char text[INET6_ADDRSTRLEN])
{
    inet_ntop(a->family == 6 ? AF_INET6 : AF_INET, a->bytes, text, INET6_ADDRSTRLEN);
    return text;
}

static const char *mac_text(const u8 mac[6], char text[18])
{
    fmt_print(text, 18, "%02x:%02x:%02x:%02x:%02x:%02x", mac[0], mac[1], mac[2], mac[3], mac[4],
              mac[5]);
    return text;
}

static void put(struct json_out *out, const char *key, const char *value)
{
    json_key(out, key);
    json_put_string(out, value);
}

static void put_number(struct json_out *out, const char *key, u64 value)
{
    json_key(out, key);
    json_put_integer(out, (s64)value);
}

static void put_bool(struct json_out *out, const char *key, bool value)
{
    json_key(out, key);
    json_put_bool(out, value);
}

static void put_port(struct json_out *out, const struct lab_port_info *p)
{
    char text[64];

    json_open(out, '{');
    put(out, "vm", p->config.vm);
    put_number(out, "pid", (u64)p->pid);
    put(out, "mac", mac_text(p->config.mac, text));
    json_key(out, "addresses");
    json_open(out, '[');
    for (u32 i = 0; i < p->address_count; i++)
        json_put_string(out, address_text(&p->address[i], text));
    json_close(out, ']');
    put_number(out, "vlan", p->config.vlan);
    put_bool(out, "trunk", p->config.trunk);
    put_bool(out, "trusted", p->config.trusted);
    put_number(out, "delay_us", p->config.impairment.delay_us);
    put_number(out, "loss_ppm", p->config.impairment.loss_ppm);
    put_number(out, "rate_bits", p->config.impairment.rate_bytes * 8);
    put_number(out, "in_frames", p->count.in_frames);
    put_number(out, "in_bytes", p->count.in_bytes);
    put_number(out, "out_frames", p->count.out_frames);
    put_number(out, "out_bytes", p->count.out_bytes);
    put_number(out, "refused", p->count.refused);
    put_number(out, "dropped", p->count.dropped);
    json_close(out, '}');
}

static void put_tunnel(struct json_out *out, const struct lab_tunnel *t)
{
    char text[INET6_ADDRSTRLEN];

    json_key(out, "vxlan");
    json_open(out, '{');
    put(out, "remote", address_text(&t->remote, text));
    put_number(out, "vni", t->vni);
    put_number(out, "port", t->port);
    json_close(out, '}');
}

static void put_network(struct json_out *out, const struct network *n)
{
    const struct lab_settings *s = &n->place.settings;
    char text[128];

    json_open(out, '{');
    put(out, "name", s->name);
    put_bool(out, "running", n->runs);
    put(out, "subnet", subnet_text(s, false, text));
    put(out, "subnet6", subnet_text(s, true, text));
    put_number(out, "mtu", s->mtu);
    put_bool(out, "nat", s->nat);
    put(out, "sandbox", sandbox_mode_name(s->sandbox));
    json_key(out, "rules");
    json_open(out, '[');
    for (u32 i = 0; i < s->uplink.rule_count; i++) {
        net_rule_text(&s->uplink.rule[i], text, sizeof(text));
        json_put_string(out, text);
    }
    json_close(out, ']');
    if (s->tunnel.remote.family)
        put_tunnel(out, &s->tunnel);
    json_key(out, "ports");
    json_open(out, '[');
    for (u32 i = 0; i < n->count; i++)
        put_port(out, &n->port[i]);
    json_close(out, ']');
    json_close(out, '}');
}

static int print_json(const struct network *n, const char *before, struct err *err)
{
    AUTO_FREE char *text = malloc(JSON_MAX);
    struct json_out out;

    if (!text)
        return err_set(err, ENOMEM, "no memory to tell about a network");
    json_out_init(&out, text, JSON_MAX);
    put_network(&out, n);
    printf("%s%s", before, text);
    return 0;
}

static void print_line(const struct network *n)
{
    const struct lab_settings *s = &n->place.settings;
    char v4[64], v6[64];

    printf("%-16s %-8s %5u  %-18s %-26s %s%s\n", s->name, n->runs ? "running" : "-", n->count,
           subnet_text(s, false, v4), subnet_text(s, true, v6), s->nat ? "nat " : "",
           s->tunnel.remote.family ? "vxlan" : "");
}

static int do_ls(const struct options *o, struct err *err)
{
    AUTO_FREE struct network *n = calloc(1, sizeof(*n));
    char(*names)[LAB_NAME_MAX];
    size_t count;
    bool first = true;
    int r = n ? network_list(&names, &count, err) : err_set(err, ENOMEM, "no memory");

    if (r)
        return r;
    if (!o->json && !o->quiet)
        printf("%-16s %-8s %5s  %-18s %-26s %s\n", "NAME", "STATE", "PORTS", "SUBNET", "", "");
    for (size_t i = 0; i < count && !r; i++) {
        if (o->quiet) {
            printf("%s\n", names[i]);
            continue;
        }
        if (look(n, names[i], err)) { /* one that cannot be read hides no other */
            fprintf(stderr, "cosm: %s\n", err->msg);
            continue;
        }
        if (o->json)
            r = print_json(n, first ? "[\n  " : ",\n  ", err);
        else
            print_line(n);
        first = false;
    }
    if (o->json && !o->quiet)
        printf(first ? "[]\n" : "\n]\n");
    free(names);
    return r;
}

static void print_port(const struct lab_port_info *p)
{
    char text[INET6_ADDRSTRLEN];

    printf("%-16s %s  vlan %u%s%s  in %llu, out %llu, refused %llu, dropped %llu frames\n",
           *p->config.vm ? p->config.vm : "-", mac_text(p->config.mac, text), p->config.vlan,
           p->config.trunk ? ", trunk" : "", p->config.trusted ? ", trusted" : "",
           (unsigned long long)p->count.in_frames, (unsigned long long)p->count.out_frames,
           (unsigned long long)p->count.refused, (unsigned long long)p->count.dropped);
    for (u32 i = 0; i < p->address_count; i++)
        printf("%-16s %s\n", "", address_text(&p->address[i], text));
}

static int do_info(const struct options *o, struct err *err)
{
    AUTO_FREE struct network *n = calloc(1, sizeof(*n));
    const struct lab_settings *s;
    char text[128];
    int r = n ? look(n, o->operand[1], err) : err_set(err, ENOMEM, "no memory");

    if (r)
        return r;
    if (o->json) {
        r = print_json(n, "", err);
        printf("\n");
        return r;
    }
    s = &n->place.settings;
    printf("name     %s\nstate    %s\nsubnet   %s", s->name,
           n->runs ? "running" : "no VM runs in it", subnet_text(s, false, text));
    printf(" %s\nmtu      %u\nnat      %s\n", subnet_text(s, true, text), s->mtu,
           s->nat ? "yes" : "no");
    for (u32 i = 0; i < s->uplink.rule_count; i++) {
        net_rule_text(&s->uplink.rule[i], text, sizeof(text));
        printf("rule     %s\n", text);
    }
    if (s->tunnel.remote.family)
        printf("vxlan    remote %s, vni %u, port %u\n", address_text(&s->tunnel.remote, text),
               s->tunnel.vni, s->tunnel.port);
    for (u32 i = 0; i < n->count; i++)
        print_port(&n->port[i]);
    return 0;
}

static int do_create(const struct options *o, struct err *err)
{
    int r = network_create(o->operand[1], &o->net, err);

    if (!r)
        printf("%s\n", o->operand[1]);
    return r;
}

static int do_rm(const struct options *o, struct err *err)
{
    int status = 0;

    for (u32 i = 1; i < o->operands; i++) {
        int r = network_remove(o->operand[i], o->force, err);

        if (!r)
            printf("%s\n", o->operand[i]);
        else if (i + 1 < o->operands)
            fprintf(stderr, "cosm: %s\n", err->msg);
        status = r && r != -EINVAL ? r : r ? -ENOENT : status;
    }
    return status;
}

static int do_capture(const struct options *o, struct err *err)
{
    const char *path = o->operand[2];
    struct lab_place place;
    AUTO_FD int fd = -1;
    int r = network_open(&place, o->operand[1], err);

    if (r)
        return r;
    if (strcmp(path, "off") != 0) {
        fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
        if (fd < 0)
            return err_set(err, errno == EINVAL ? EIO : errno, "cannot write '%.256s': %s", path,
                           strerror(errno));
    }
    r = lab_ask_capture(&place, fd, err);
    return r == -EINVAL ? -EIO : r;
}

static int do_impair(const struct options *o, struct err *err)
{
    static const struct {
        const char *key;
        int (*parse)(struct net_settings *settings, const char *text, struct err *err);
    } keys[] = {
        {"delay=", net_settings_delay}, {"loss=", net_settings_loss}, {"rate=", net_settings_rate}};
    struct net_settings trial = {0};
    struct lab_place place;
    char item[64];
    int r = network_open(&place, o->operand[1], err);

    for (const char *at = o->operand[3]; !r && *at && strcmp(at, "none");) {
        size_t len = strcspn(at, ","), i = 0;

        fmt_print(item, sizeof(item), "%.*s", (int)len, at);
        while (i < ARRAY_SIZE(keys) && strncmp(item, keys[i].key, strlen(keys[i].key)))
            i++;
        if (i == ARRAY_SIZE(keys))
            return err_set(err, EINVAL,
                           "'%s' does nothing to a cable; give delay=20ms, loss=0.5%%, rate=10M, "
                           "with commas between, or none",
                           item);
        r = keys[i].parse(&trial, item + strlen(keys[i].key), err);
        at += len + (at[len] == ',');
    }
    return r ? r : lab_ask_impair(&place, o->operand[2], &trial.impairment, err);
}

static const struct {
    const char *name;
    int (*run)(const struct options *o, struct err *err);
    u32 least, most; /* operands behind the verb */
    const char *usage;
} verbs[] = {
    {"create", do_create, 1, 1, "NAME [--subnet SUBNET] [--nat] [--vxlan remote=ADDRESS,vni=N]"},
    {"ls", do_ls, 0, 0, "[--json|-q]"},
    {"info", do_info, 1, 1, "NAME [--json]"},
    {"rm", do_rm, 1, UINT32_MAX, "NAME... [--force]"},
    {"capture", do_capture, 2, 2, "NAME FILE|off"},
    {"impair", do_impair, 3, 3, "NAME VM delay=D,loss=L,rate=R|none"},
    {"link", port_link, 2, 3, "VM [netN] up|down"},
};

int net_main(const struct options *o, struct err *err)
{
    const char *name = o->operands ? o->operand[0] : NULL;

    if (!name)
        return err_set(
            err, EINVAL,
            "what is to be done? cosm net create, ls, info, rm, ...: see 'cosm help net'");
    for (size_t i = 0; i < ARRAY_SIZE(verbs); i++) {
        if (strcmp(verbs[i].name, name))
            continue;
        if (o->operands - 1 >= verbs[i].least && o->operands - 1 <= verbs[i].most)
            return verbs[i].run(o, err);
        return err_set(err, EINVAL, "usage: cosm net %s %s", name, verbs[i].usage);
    }
    return err_set(err, EINVAL, "'%.64s' is nothing that cosm net does; see 'cosm help net'", name);
}
