/* SPDX-License-Identifier: BSD-2-Clause */
/* What the control socket of a VM can do with its network interfaces. */
#include "api/commands.h"

#include "base/fmt.h"
#include "vmm/vm_net.h"

#include <errno.h>
#include <string.h>

static void put(struct json_out *out, const char *key, const char *value)
{
    json_key(out, key);
    json_put_string(out, value);
}

static void put_settings(struct json_out *out, const struct net_settings *user)
{
    char text[128];

    json_key(out, "forwards");
    json_open(out, '[');
    for (u32 i = 0; i < user->forward_count; i++) {
        const struct net_forward *f = &user->forward[i];

        json_open(out, '{');
        put(out, "protocol", f->udp ? "udp" : "tcp");
        put(out, "host", net_place_text(&f->host, f->host_port, text));
        json_key(out, "guest-port");
        json_put_integer(out, f->guest_port);
        json_close(out, '}');
    }
    json_close(out, ']');
    json_key(out, "rules");
    json_open(out, '[');
    for (u32 i = 0; i < user->rule_count; i++) {
        net_rule_text(&user->rule[i], text, sizeof(text));
        json_put_string(out, text);
    }
    json_close(out, ']');
}

static void put_net(struct json_out *out, u32 index, const struct vm_net_info *info)
{
    char text[32];

    json_open(out, '{');
    fmt_print(text, sizeof(text), "net%u", index);
    put(out, "name", text);
    put(out, "kind", vm_net_kind_name(info->config->kind));
    if (info->config->kind == VM_NET_LAB)
        put(out, "network", info->config->lab.settings.name);
    if (info->config->kind == VM_NET_VHOST)
        put(out, "path", info->config->socket);
    if (info->ifname)
        put(out, "ifname", info->ifname);
    fmt_print(text, sizeof(text), "%02x:%02x:%02x:%02x:%02x:%02x", info->mac[0], info->mac[1],
              info->mac[2], info->mac[3], info->mac[4], info->mac[5]);
    put(out, "mac", text);
    json_key(out, "mtu");
    json_put_integer(out, info->mtu);
    json_key(out, "up");
    json_put_bool(out, info->up);
    json_key(out, "dropped");
    json_put_integer(out, (s64)info->dropped);
    if (info->user)
        put_settings(out, info->user);
    json_close(out, '}');
}

int command_query_net(struct command_call *c, struct err *err)
{
    struct vm_net_info info;

    (void)err;
    json_open(c->out, '[');
    for (u32 i = 0; vm_net_get(c->vm, i, &info); i++)
        put_net(c->out, i, &info);
    json_close(c->out, ']');
    return 0;
}

/* "net0"; nothing: -1. */
static int index_of(const struct command_call *c, int *index, struct err *err)
{
    const char *name = command_string(c, "name");

    *index = -1;
    if (!name)
        return 0;
    if (strncmp(name, "net", 3) || name[3] < '0' || name[3] > '9' || name[4])
        return err_set(err, ENODEV, "Device '%.64s' not found; net0 is the first", name);
    *index = name[3] - '0';
    return 0;
}

int command_set_link(struct command_call *c, struct err *err)
{
    const struct json_node *up = json_get(c->json, c->arguments, "up");
    int index, r = index_of(c, &index, err);

    return r ? r : vm_net_set_link(c->vm, (u32)index, up->kind == JSON_TRUE, err);
}

static int forward(struct command_call *c, bool add, struct err *err)
{
    int index, r = index_of(c, &index, err);

    return r ? r : vm_net_forward(c->vm, index, command_string(c, "forward"), add, err);
}

int command_hostfwd_add(struct command_call *c, struct err *err)
{
    return forward(c, true, err);
}

int command_hostfwd_remove(struct command_call *c, struct err *err)
{
    return forward(c, false, err);
}
