/* SPDX-License-Identifier: BSD-2-Clause */
/* Networks that the user has made: made, read, listed, removed. */
#include "api/network.h"

#include "api/dirs.h"
#include "api/json.h"
#include "base/fmt.h"
#include "host/scope.h"

#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#define FILE_MAX  (16 * KIB)
#define NODES_MAX 256

static void file_name(char file[LAB_NAME_MAX + 8], const char *name)
{
    fmt_print(file, LAB_NAME_MAX + 8, "%s.json", name);
}

static int parse_mtu(struct lab_settings *s, const char *text, struct err *err)
{
    struct net_settings trial = {0};
    int r = net_settings_mtu(&trial, text, err);

    if (!r)
        s->mtu = trial.mtu;
    return r;
}

static int parse_sandbox(struct lab_settings *s, const char *text, struct err *err)
{
    s->sandbox = sandbox_mode_default();
    if (text && !sandbox_mode_parse(text, &s->sandbox))
        return err_set(err, EINVAL, "'%s' is not a kind of sandbox; give strict, auto or off",
                       text);
    s->uplink.sandbox = s->sandbox;
    return 0;
}

/* In the order of the file's keys. */
static int settings_make(struct lab_settings *s, const char *name, const struct network_options *o,
                         struct err *err)
{
    int r = lab_check_name(name, err);

    *s = (struct lab_settings){.nat = o->nat, .uplink = o->rules};
    if (!r)
        fmt_print(s->name, sizeof(s->name), "%s", name);
    if (!r && o->subnet)
        r = lab_parse_subnet(s, o->subnet, err);
    if (!r && o->dhcp)
        r = lab_parse_dhcp(s, o->dhcp, err);
    if (!r && o->tunnel)
        r = lab_parse_tunnel(s, o->tunnel, err);
    if (!r && o->mtu)
        r = parse_mtu(s, o->mtu, err);
    if (!r)
        r = parse_sandbox(s, o->sandbox, err);
    if (!r && o->rules.rule_count && !o->nat)
        r = err_set(err, EINVAL, "--deny and --allow need --nat: there is no way out to rule");
    if (!r)
        lab_settings_complete(s);
    return r;
}

static void put(struct json_out *out, const char *key, const char *value)
{
    if (!value)
        return;
    json_key(out, key);
    json_put_string(out, value);
}

static int write_file(int dir, const char *name, const struct network_options *o,
                      const struct lab_settings *s, struct err *err)
{
    char text[FILE_MAX], file[LAB_NAME_MAX + 8], line[128], subnet[128], v4[INET_ADDRSTRLEN],
        v6[INET6_ADDRSTRLEN];
    u8 prefix[16] = {0};
    struct in_addr base = {htonl(s->subnet.base4)};
    struct json_out out;
    int r;

    memcpy(prefix, s->subnet.prefix6, 8);
    fmt_print(subnet, sizeof(subnet), "%s/%u,%s/64", inet_ntop(AF_INET, &base, v4, sizeof(v4)),
              s->subnet.bits4, inet_ntop(AF_INET6, prefix, v6, sizeof(v6)));
    json_out_init(&out, text, sizeof(text));
    json_open(&out, '{');
    put(&out, "subnet", subnet);
    put(&out, "dhcp", o->dhcp);
    put(&out, "vxlan", o->tunnel);
    put(&out, "mtu", o->mtu);
    put(&out, "sandbox", o->sandbox);
    json_key(&out, "nat");
    json_put_bool(&out, o->nat);
    json_key(&out, "rules");
    json_open(&out, '[');
    for (u32 i = 0; i < o->rules.rule_count; i++) {
        net_rule_text(&o->rules.rule[i], line, sizeof(line));
        json_put_string(&out, line);
    }
    json_close(&out, ']');
    json_close(&out, '}');
    file_name(file, name);
    if (!faccessat(dir, file, F_OK, 0))
        return err_set(err, EEXIST, "there is a network '%s' already; 'cosm net rm %s' removes it",
                       name, name);
    r = dirs_write(dir, file, text, out.len);
    return r ? err_set(err, -r, "cannot keep the network '%s': %s", name, strerror(-r)) : 0;
}

int network_create(const char *name, const struct network_options *o, struct err *err)
{
    struct lab_settings settings;
    int r = settings_make(&settings, name, o, err);
    AUTO_FD int dir = r ? -1 : dirs_open_kept("net", err);

    if (r || dir < 0)
        return r ? r : dir;
    return write_file(dir, name, o, &settings, err);
}

static int read_rules(struct network_options *o, const struct json *json, struct err *err)
{
    const struct json_node *rules = json_get(json, &json->node[0], "rules");

    for (const struct json_node *n = json_first(json, rules); n; n = json_next(json, n)) {
        const char *text = json_string(n);
        bool allow = text && !strncmp(text, "allow ", 6);
        int r;

        if (!text || (!allow && strncmp(text, "deny ", 5) != 0))
            return err_set(err, EINVAL, "a rule is none");
        r = net_settings_rule(&o->rules, allow, strchr(text, ' ') + 1, err);
        if (r)
            return r;
    }
    return 0;
}

static int read_file(struct lab_settings *s, const char *name, char *text, size_t len,
                     struct err *err)
{
    struct json_node node[NODES_MAX];
    struct json json = {.node = node, .node_max = NODES_MAX};
    struct network_options o = {0};
    const struct json_node *nat;
    int r = json_parse(&json, text, len, err);

    if (r)
        return r;
    o.subnet = json_string(json_get(&json, &node[0], "subnet"));
    o.dhcp = json_string(json_get(&json, &node[0], "dhcp"));
    o.tunnel = json_string(json_get(&json, &node[0], "vxlan"));
    o.mtu = json_string(json_get(&json, &node[0], "mtu"));
    o.sandbox = json_string(json_get(&json, &node[0], "sandbox"));
    nat = json_get(&json, &node[0], "nat");
    o.nat = nat && nat->kind == JSON_TRUE;
    r = read_rules(&o, &json, err);
    return r ? r : settings_make(s, name, &o, err);
}

int network_open(struct lab_place *place, const char *name, struct err *err)
{
    char text[FILE_MAX + 1], file[LAB_NAME_MAX + 8];
    AUTO_FD int dir = -1, runtime = -1;
    struct err why;
    int r = lab_check_name(name, err);

    if (r)
        return r;
    dir = dirs_open_kept("net", err);
    if (dir < 0)
        return dir;
    file_name(file, name);
    r = dirs_read(dir, file, text, FILE_MAX);
    if (r == -ENOENT)
        return err_set(err, ENOENT,
                       "there is no network '%s'; 'cosm net create %s' makes it, and 'cosm net ls' "
                       "lists those there are",
                       name, name);
    if (r >= 0)
        r = read_file(&place->settings, name, text, (size_t)r, &why);
    else
        err_set(&why, -r, "%s", strerror(-r));
    if (r)
        return err_set(err, EIO,
                       "what is kept of the network '%s' cannot be read: %.300s; 'cosm "
                       "net rm %s' removes it",
                       name, why.msg, name);
    runtime = dirs_open_runtime(place->runtime, err);
    return runtime < 0 ? runtime : 0;
}

/* Whether it may go: nobody is in it, or nobody any more. */
static int network_end(const char *name, bool force, struct err *err)
{
    struct lab_port_info info[LAB_PORTS_MAX];
    struct lab_place place;
    struct err why;
    u32 count;
    int r = network_open(&place, name, err);

    if (r == -EIO) /* it cannot be read, but removed */
        return 0;
    if (r)
        return r;
    r = lab_ask_ports(&place, info, &count, &why);
    if (!r && count && !force)
        return err_set(err, EBUSY,
                       "VMs are in the network '%s' ('%s' is one); stop them, or say --force, and "
                       "they are cut off",
                       name, *info[0].config.vm ? info[0].config.vm : "one without a name");
    return r ? 0 : lab_ask_end(&place, err);
}

int network_remove(const char *name, bool force, struct err *err)
{
    char path[DIRS_PATH_MAX], file[LAB_NAME_MAX + 8];
    AUTO_FD int dir = -1, runtime = -1;
    int r = network_end(name, force, err);

    if (r)
        return r;
    dir = dirs_open_kept("net", err);
    runtime = dirs_open_runtime(path, err);
    if (dir < 0 || runtime < 0)
        return dir < 0 ? dir : runtime;
    file_name(file, name);
    if (unlinkat(dir, file, 0))
        return err_set(err, errno, "cannot remove '%s': %s", name, strerror(errno));
    /* The lock last: who finds none does not start a switch again. */
    fmt_print(file, sizeof(file), "net-%s.lock", name);
    (void)unlinkat(runtime, file, 0);
    fmt_print(path, sizeof(path), "net-%s.sock", name);
    (void)unlinkat(runtime, path, 0);
    return 0;
}

static int by_name(const void *a, const void *b)
{
    return strverscmp(a, b);
}

int network_list(char (**names)[LAB_NAME_MAX], size_t *count, struct err *err)
{
    int fd = dirs_open_kept("net", err);
    struct dirent *entry;
    DIR *dir = fd < 0 ? NULL : fdopendir(fd);

    *names = NULL;
    *count = 0;
    if (fd < 0)
        return fd;
    if (!dir) {
        close(fd);
        return err_set(err, ENOMEM, "cannot list networks: %s", strerror(errno));
    }
    while ((entry = readdir(dir))) {
        size_t len = strlen(entry->d_name);
        void *more;

        if (len < 6 || len - 5 >= LAB_NAME_MAX || strcmp(entry->d_name + len - 5, ".json") ||
            *entry->d_name == '.')
            continue;
        more = reallocarray(*names, *count + 1, sizeof(**names));
        if (!more)
            break;
        *names = more;
        fmt_print((*names)[(*count)++], LAB_NAME_MAX, "%.*s", (int)len - 5, entry->d_name);
    }
    closedir(dir);
    if (*count)
        qsort(*names, *count, sizeof(**names), by_name);
    return 0;
}

int network_resolve(struct vm_config *config, struct err *err)
{
    for (u32 i = 0; i < config->net_count; i++) {
        char name[LAB_NAME_MAX];
        int r;

        if (config->net[i].kind != VM_NET_LAB)
            continue;
        memcpy(name, config->net[i].lab.settings.name, sizeof(name));
        r = network_open(&config->net[i].lab, name, err);
        if (r)
            return r;
    }
    return 0;
}
