/* SPDX-License-Identifier: BSD-2-Clause */
/* cosm port: ports forwarded to a VM that runs; cosm net link: its cables. */
#include "apps/cosm/net.h"

#include "api/client.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

/* Calls a command of the VM with that name and shows what it returned. */
static int call(const char *vm, const char *command, const char *arguments,
                void (*show)(const struct json *json, const struct json_node *value),
                struct err *err)
{
    static struct client client; /* large for a stack */
    const struct json_node *value = NULL;
    struct record r;
    int code = record_open(&r, vm, err);

    if (code)
        return code;
    code = client_open(&client, &r, err);
    if (!code) {
        value = client_call_with(&client, vm, command, arguments, err);
        if (value && show)
            show(&client.json, value);
        client_close(&client);
        code = value ? 0 : -EIO;
    }
    record_close(&r);
    return code == -EINVAL ? -EIO : code;
}

static const char *text(const struct json *json, const struct json_node *object, const char *key)
{
    const char *value = json_string(json_get(json, object, key));

    return value ? value : "?";
}

static void show_net(const struct json *json, const struct json_node *net)
{
    const struct json_node *n;
    s64 port;

    for (n = json_first(json, json_get(json, net, "forwards")); n; n = json_next(json, n)) {
        if (!json_integer(json_get(json, n, "guest-port"), &port))
            port = 0;
        printf("%s/%s -> %lld\n", text(json, n, "host"), text(json, n, "protocol"),
               (long long)port);
    }
    for (n = json_first(json, json_get(json, net, "rules")); n; n = json_next(json, n))
        printf("%s\n", json_string(n) ? json_string(n) : "?");
}

static void show_text(const struct json *json, const struct json_node *nets)
{
    for (const struct json_node *n = json_first(json, nets); n; n = json_next(json, n))
        show_net(json, n);
}

static void show_json(const struct json *json, const struct json_node *nets)
{
    static char buffer[64 * KIB];
    struct json_out out;

    json_out_init(&out, buffer, sizeof(buffer));
    json_put_node(&out, json, nets);
    printf("%s\n", buffer);
}

/* Each is tried, whatever becomes of the others. */
static int change(const struct options *o, const char *command, struct err *err)
{
    char buffer[512];
    int status = 0;

    if (o->operands < 3)
        return err_set(err, EINVAL, "usage: cosm port %s NAME %s", o->operand[0],
                       *o->operand[0] == 'a' ? "[ADDRESS:]PORT:GUEST-PORT[/udp]..."
                                             : "[ADDRESS:]PORT[/udp]...");
    for (u32 i = 2; i < o->operands; i++) {
        struct json_out out;
        int r;

        json_out_init(&out, buffer, sizeof(buffer));
        json_open(&out, '{');
        json_key(&out, "forward");
        json_put_string(&out, o->operand[i]);
        json_close(&out, '}');
        r = out.cut ? err_set(err, EIO, "'%.64s' is too long", o->operand[i])
                    : call(o->operand[1], command, buffer, NULL, err);
        if (r && i + 1 < o->operands)
            fprintf(stderr, "cosm: %s\n", err->msg);
        status = r ? r : status;
    }
    return status;
}

int port_main(const struct options *o, struct err *err)
{
    const char *verb = o->operands ? o->operand[0] : "";

    if (o->operands > 1 && !strcmp(verb, "add"))
        return change(o, "hostfwd_add", err);
    if (o->operands > 1 && !strcmp(verb, "rm"))
        return change(o, "hostfwd_remove", err);
    if (o->operands == 1)
        return call(verb, "query-net", "{}", o->json ? show_json : show_text, err);
    return err_set(err, EINVAL,
                   "what is to be done? cosm port NAME, cosm port add NAME FORWARD, cosm port rm "
                   "NAME PORT");
}

int port_link(const struct options *o, struct err *err)
{
    const char *name = o->operands == 4 ? o->operand[2] : "net0";
    const char *how = o->operand[o->operands - 1];
    char buffer[256];
    struct json_out out;

    if (strcmp(how, "up") != 0 && strcmp(how, "down") != 0)
        return err_set(err, EINVAL, "'%.64s' is neither up nor down", how);
    json_out_init(&out, buffer, sizeof(buffer));
    json_open(&out, '{');
    json_key(&out, "name");
    json_put_bytes(&out, name, strnlen(name, 32));
    json_key(&out, "up");
    json_put_bool(&out, !strcmp(how, "up"));
    json_close(&out, '}');
    return call(o->operand[1], "set_link", buffer, NULL, err);
}
