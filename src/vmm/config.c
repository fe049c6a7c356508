/* SPDX-License-Identifier: BSD-2-Clause */
/* What a VM is to be: the choices of a command line, parsed and checked one by one. */
#include "vmm/config.h"

#include "base/checked.h"
#include "base/fmt.h"
#include "block/nbd.h"
#include "block/nbd_client.h"
#include "host/log.h"
#include "vmm/config_text.h"
#include "vmm/trace_spec.h"

#include <arpa/inet.h>
#include <errno.h>
#include <string.h>
#include <strings.h>

void vm_config_init(struct vm_config *config)
{
    memset(config, 0, sizeof(*config));
    config->ram_size = VM_RAM_DEFAULT;
    config->hart_count = 1;
    config->rng = true;
    config->balloon = true;
    config->power_button = true;
    config->sandbox = sandbox_mode_default();
    config->memory_max = VM_OWN_DEFAULT;
}

/* The unit that a size ends in: "", K, KB, KiB, ... */
static bool config_unit(const char *text, u64 plain, u64 *unit)
{
    static const char letters[] = "kmgt";
    const char *at;

    *unit = plain;
    if (!*text)
        return true;
    at = strchr(letters, *text | 0x20);
    if (!at)
        return false;
    *unit = UINT64_C(1) << 10 * (at - letters + 1);
    return !text[1] || !strcasecmp(text + 1, "b") || !strcasecmp(text + 1, "ib");
}

int vm_config_size(const char *value, u64 unit, u64 *bytes, struct err *err)
{
    size_t digits = strspn(value, "0123456789");
    u64 number, factor, product;

    if (!config_number(value, digits, &number) || !config_unit(value + digits, unit, &factor) ||
        !checked_mul(number, factor, &product))
        return err_set(err, EINVAL, "'%s' is not a size; give a number with K, M or G, as in 512M",
                       value);
    *bytes = product;
    return 0;
}

int vm_config_parse_memory(struct vm_config *config, const char *value, struct err *err)
{
    u64 bytes;
    int rc = vm_config_size(value, MIB, &bytes, err);

    if (rc)
        return rc;
    if (bytes < VM_RAM_MIN || bytes > VM_RAM_MAX)
        return err_set(err, EINVAL, "'%s' is too %s for RAM; give 1M to 1T", value,
                       bytes < VM_RAM_MIN ? "small" : "large");
    if (bytes % 4096)
        return err_set(err, EINVAL, "'%s' is not a whole number of pages; give a multiple of 4K",
                       value);
    config->ram_size = bytes;
    config->ram_given = true;
    return 0;
}

int vm_config_parse_smp(struct vm_config *config, const char *value, struct err *err)
{
    const char *digits = strncmp(value, "cpus=", 5) ? value : value + 5;
    u64 count;

    if (!config_number(digits, strlen(digits), &count) || !count || count > VM_HARTS_MAX)
        return err_set(err, EINVAL, "'%s' is not a number of harts; give 1 to %d", value,
                       VM_HARTS_MAX);
    config->hart_count = (u32)count;
    config->harts_given = true;
    return 0;
}

int vm_config_parse_boot_delay(struct vm_config *config, const char *value, struct err *err)
{
    u64 seconds;

    if (!config_number(value, strlen(value), &seconds) || seconds > 3600)
        return err_set(err, EINVAL, "'%s' is no number of seconds; give 0 to 3600", value);
    config->boot_delay = (u32)seconds + 1;
    return 0;
}

int vm_config_parse_machine(struct vm_config *config, const char *value, struct err *err)
{
    static const char dump[] = "virt,dumpdtb=";
    const size_t len = sizeof(dump) - 1;

    if (!strcmp(value, "virt")) {
        config->machine = value;
        return 0;
    }
    if (!strncmp(value, "virt,", 5) && (strncmp(value, dump, len) || !value[len]))
        return err_set(err, EINVAL, "'%s': of the board virt only dumpdtb=FILE can be asked",
                       value);
    if (strncmp(value, dump, len))
        return err_set(err, EINVAL, "'%s' is not a board; give virt", value);
    config->machine = value;
    config->dump_dtb = value + len;
    return 0;
}

int vm_config_parse_engine(struct vm_config *config, const char *value, struct err *err)
{
    if (!strcmp(value, "interp"))
        config->engine = VM_ENGINE_INTERP;
    else if (!strcmp(value, "jit1"))
        config->engine = VM_ENGINE_JIT1;
    else if (!strcmp(value, "jit"))
        config->engine = VM_ENGINE_JIT;
    else
        return err_set(err, EINVAL, "'%s' is not a CPU engine; give interp, jit or jit1", value);
    return 0;
}

int vm_config_parse_console(struct vm_config *config, const char *value, struct err *err)
{
    if (!strcmp(value, "uart"))
        config->console = VM_CONSOLE_UART;
    else if (!strcmp(value, "virtio"))
        config->console = VM_CONSOLE_VIRTIO;
    else
        return err_set(err, EINVAL, "'%s' is not a console; give uart or virtio", value);
    return 0;
}

int vm_config_parse_sandbox(struct vm_config *config, const char *value, struct err *err)
{
    if (sandbox_mode_parse(value, &config->sandbox))
        return 0;
    return err_set(err, EINVAL, "'%s' is not a kind of sandbox; give strict, auto or off", value);
}

int vm_config_parse_memory_max(struct vm_config *config, const char *value, struct err *err)
{
    u64 bytes = 0;
    int r = strcmp(value, "none") ? vm_config_size(value, MIB, &bytes, err) : 0;

    if (r)
        return r;
    if (bytes < VM_OWN_MIN && strcmp(value, "none"))
        return err_set(err, EINVAL,
                       "'%s' is too little for cosm itself; give 256M or more, or none", value);
    config->memory_max = bytes;
    return 0;
}

int vm_config_parse_stats(struct vm_config *config, const char *value, struct err *err)
{
    if (!*value || !strcmp(value, "text"))
        config->stats = VM_STATS_TEXT;
    else if (!strcmp(value, "json"))
        config->stats = VM_STATS_JSON;
    else
        return err_set(err, EINVAL, "'%s' is not a form of statistics; give text or json", value);
    return 0;
}

int vm_config_parse_icount(struct vm_config *config, const char *value, struct err *err)
{
    u64 shift = VM_ICOUNT_SHIFT, seed = 0;

    for (const char *at = value; *at;) {
        size_t len = strcspn(at, ",");
        bool good = len > 6 && !memcmp(at, "shift=", 6)  ? config_number(at + 6, len - 6, &shift)
                    : len > 5 && !memcmp(at, "seed=", 5) ? config_number(at + 5, len - 5, &seed)
                                                         : false;
        if (!good || shift > VM_ICOUNT_SHIFT_MAX)
            return err_set(err, EINVAL,
                           "'%.*s' does not tell how to count; give shift=N, 0 to %d, or seed=N",
                           (int)len, at, VM_ICOUNT_SHIFT_MAX);
        at += len + (at[len] == ',');
    }
    config->icount = true;
    config->icount_shift = (u32)shift;
    config->icount_seed = seed;
    return 0;
}

int vm_config_parse_log(struct vm_config *config, const char *value, struct err *err)
{
    int rc = log_spec_check(value, err);

    if (!rc)
        config->log = value;
    return rc;
}

int vm_config_parse_trace(struct vm_config *config, const char *value, struct err *err)
{
    struct trace_spec spec;
    int rc = trace_spec_parse(&spec, value, err);

    if (!rc)
        config->trace = value;
    return rc;
}

int vm_config_parse_rng(struct vm_config *config, const char *value, struct err *err)
{
    return config_switch(value, &config->rng, err);
}

int vm_config_parse_balloon(struct vm_config *config, const char *value, struct err *err)
{
    return config_switch(value, &config->balloon, err);
}

int vm_config_parse_power_button(struct vm_config *config, const char *value, struct err *err)
{
    return config_switch(value, &config->power_button, err);
}

static int config_slot(const char *value, int *slot, struct err *err)
{
    u64 n;

    if (!config_number(value, strlen(value), &n) || n >= VM_SLOTS)
        return err_set(err, EINVAL, "'slot=%s' is not a slot; give 0 to %d", value, VM_SLOTS - 1);
    *slot = (int)n;
    return 0;
}

static int config_queues(const char *value, u32 *queues, struct err *err)
{
    u64 n;

    if (!config_number(value, strlen(value), &n) || !n || n > VM_QUEUES_MAX)
        return err_set(err, EINVAL, "'queues=%s' is no number of queues; give 1 to %d", value,
                       VM_QUEUES_MAX);
    *queues = (u32)n;
    return 0;
}

static int drive_policy(const char *key, const char *value, enum serve_policy *policy,
                        struct err *err)
{
    static const char *const names[] = {[SERVE_REPORT] = "report",
                                        [SERVE_ENOSPC] = "enospc",
                                        [SERVE_HALT] = "stop",
                                        [SERVE_IGNORE] = "ignore"};

    for (u32 i = 0; i < ARRAY_SIZE(names); i++) {
        if (strcmp(value, names[i]) || (i == SERVE_ENOSPC && *key == 'r'))
            continue;
        *policy = (enum serve_policy)i;
        return 0;
    }
    return err_set(err, EINVAL, "'%s=%s' is not known; give report, %sstop or ignore", key, value,
                   *key == 'w' ? "enospc, " : "");
}

/* What filters do to a drive's requests. -ENOENT: key is about something else. */
static int drive_filter(struct vm_drive *drive, const char *key, const char *value, struct err *err)
{
    u32 *to = !strcmp(key, "burst") ? &drive->throttle.burst_s : &drive->reconnect_s;
    u64 seconds;

    if (!strcmp(key, "iops") || !strcmp(key, "throttling.iops-total"))
        return vm_config_size(value, 1, &drive->throttle.iops, err);
    if (!strcmp(key, "bps") || !strcmp(key, "throttling.bps-total"))
        return vm_config_size(value, 1, &drive->throttle.bps, err);
    if (!strcmp(key, "fault"))
        return fault_parse(value, &drive->fault, err);
    if (strcmp(key, "burst") && strcmp(key, "reconnect"))
        return -ENOENT;
    if (!config_number(value, strlen(value), &seconds) || (!seconds && *key == 'b') ||
        seconds > 3600)
        return err_set(err, EINVAL, "'%s=%s' is no number of seconds; give %d to 3600", key, value,
                       *key == 'b');
    *to = (u32)seconds;
    return 0;
}

static int drive_item(struct vm_drive *drive, const char *key, const char *value, struct err *err)
{
    int rc;

    if (!value || !strcmp(key, "file") || !strcmp(key, "path"))
        return config_copy(drive->path, sizeof(drive->path), value ? value : key, "drive's path",
                           err);
    if (!strcmp(key, "readonly"))
        return config_switch(value, &drive->readonly, err);
    if (!strcmp(key, "serial"))
        return config_copy(drive->serial, sizeof(drive->serial), value, "serial", err);
    if (!strcmp(key, "slot"))
        return config_slot(value, &drive->slot, err);
    if (!strcmp(key, "backing"))
        return config_switch(value, &drive->backing, err);
    if (!strcmp(key, "copy-on-read"))
        return config_switch(value, &drive->keep_reads, err);
    if (!strcmp(key, "format"))
        return drive_format_parse(value, &drive->format)
                   ? 0
                   : err_set(err, EINVAL, "'format=%s' is not known here; give raw or qcow2",
                             value);
    if (!strcmp(key, "if") && strcmp(value, "virtio") && strcmp(value, "none"))
        return err_set(err, EINVAL, "'if=%s' is not known here; drives are virtio", value);
    if (!strcmp(key, "if"))
        return 0;
    if (!strcmp(key, "id"))
        return config_copy(drive->id, sizeof(drive->id), value, "id", err);
    if (!strcmp(key, "queues"))
        return config_queues(value, &drive->queues, err);
    if (!strcmp(key, "werror"))
        return drive_policy(key, value, &drive->werror, err);
    if (!strcmp(key, "rerror"))
        return drive_policy(key, value, &drive->rerror, err);
    rc = drive_filter(drive, key, value, err);
    if (rc != -ENOENT)
        return rc;
    return err_set(
        err, EINVAL,
        "'%s=' is not known of a drive; give PATH, readonly=, format=, backing=, serial=, id=, "
        "queues=, werror=, rerror=, iops=, bps=, burst=, fault= or slot=",
        key);
}

int vm_config_parse_drive(struct vm_config *config, const char *value, struct err *err)
{
    struct config_list list = {.rest = value};
    struct vm_drive drive = {.slot = VM_SLOT_ANY,
                             .reconnect_s = NBD_RECONNECT_S,
                             .rerror = SERVE_REPORT,
                             .werror = SERVE_ENOSPC};
    int rc;

    if (config->drive_count == VM_DRIVES_MAX)
        return err_set(err, EINVAL, "'%s' is one drive too many; there may be %d", value,
                       VM_DRIVES_MAX);
    while ((rc = config_list_next(&list, err)) > 0) {
        if (list.value && nbd_is_uri(list.item)) { /* its '=' is its own */
            list.value[-1] = '=';
            list.value = NULL;
        }
        rc = drive_item(&drive, list.item, list.value, err);
        if (rc)
            return rc;
    }
    if (rc)
        return rc;
    if (!*drive.path)
        return err_set(err, EINVAL, "'%s' names no image; give PATH[,readonly=on]", value);
    if (!*drive.id)
        fmt_print(drive.id, sizeof(drive.id), "disk%u", config->drive_count);
    for (u32 i = 0; i < config->drive_count; i++)
        if (!strcmp(config->drive[i].id, drive.id))
            return err_set(err, EINVAL, "two drives have the id '%s'", drive.id);
    config->drive[config->drive_count++] = drive;
    return 0;
}

static int config_mac(const char *value, u8 mac[6], struct err *err)
{
    for (int i = 0; i < 6; i++) {
        unsigned v = 0;

        for (int digit = 0; digit < 2; digit++) {
            const char *at = strchr("0123456789abcdef", value[3 * i + digit] | 0x20);

            if (!value[3 * i + digit] || !at || !*at)
                return err_set(err, EINVAL, "'mac=%s' is not six bytes as in 52:54:00:12:34:56",
                               value);
            v = v << 4 | (unsigned)(at - "0123456789abcdef");
        }
        mac[i] = (u8)v;
        if (value[3 * i + 2] != (i < 5 ? ':' : '\0'))
            return err_set(err, EINVAL, "'mac=%s' is not six bytes as in 52:54:00:12:34:56", value);
    }
    if (mac[0] & 1)
        return err_set(err, EINVAL, "'mac=%s' is a multicast address; make its first byte even",
                       value);
    return 0;
}

const char *vm_net_kind_name(enum vm_net_kind kind)
{
    static const char *const names[] = {
        [VM_NET_USER] = "user", [VM_NET_NULL] = "null",        [VM_NET_LOOPBACK] = "loopback",
        [VM_NET_TAP] = "tap",   [VM_NET_VHOST] = "vhost-user", [VM_NET_LAB] = "network"};

    return names[kind];
}

/* Those that are asked for by their names. */
static int net_kind(const char *word, enum vm_net_kind *kind)
{
    for (enum vm_net_kind k = VM_NET_USER; k < VM_NET_LAB; k++) {
        if (!strcmp(word, vm_net_kind_name(k))) {
            *kind = k;
            return 0;
        }
    }
    return -EINVAL;
}

struct net_key {
    const char *key;
    int (*parse)(struct vm_net *net, const char *value, struct err *err);
    u32 kinds; /* for which it means something */
};

#define USER  (1u << VM_NET_USER)
#define LAB   (1u << VM_NET_LAB)
#define TAP   (1u << VM_NET_TAP)
#define VHOST (1u << VM_NET_VHOST)

#define USER_KEY(name)                                                            \
    static int net_##name(struct vm_net *net, const char *value, struct err *err) \
    {                                                                             \
        return net_settings_##name(&net->user, value, err);                       \
    }
USER_KEY(forward)
USER_KEY(mtu)
USER_KEY(delay)
USER_KEY(loss)
USER_KEY(rate)

static int net_deny(struct vm_net *net, const char *value, struct err *err)
{
    return net_settings_rule(&net->user, false, value, err);
}

static int net_allow(struct vm_net *net, const char *value, struct err *err)
{
    return net_settings_rule(&net->user, true, value, err);
}

static int net_pcap(struct vm_net *net, const char *value, struct err *err)
{
    return config_copy(net->pcap, sizeof(net->pcap), value, "capture's path", err);
}

static int net_vlan(struct vm_net *net, const char *value, struct err *err)
{
    return lab_parse_vlan(&net->port, value, err);
}

static int net_trunk(struct vm_net *net, const char *value, struct err *err)
{
    return lab_parse_trunk(&net->port, value, err);
}

static int net_trust(struct vm_net *net, const char *value, struct err *err)
{
    return config_switch(value, &net->port.trusted, err);
}

static int net_ifname(struct vm_net *net, const char *value, struct err *err)
{
    return config_copy(net->tap.ifname, sizeof(net->tap.ifname), value, "interface's name", err);
}

static int net_bridge(struct vm_net *net, const char *value, struct err *err)
{
    return config_copy(net->tap.bridge, sizeof(net->tap.bridge), value, "bridge's name", err);
}

static int net_script(struct vm_net *net, const char *value, struct err *err)
{
    return config_copy(net->tap.script, sizeof(net->tap.script), value, "script's path", err);
}

static int net_path(struct vm_net *net, const char *value, struct err *err)
{
    int rc = vhost_check_path(value, err);

    return rc ? rc : config_copy(net->socket, sizeof(net->socket), value, "socket's path", err);
}

static int net_queues(struct vm_net *net, const char *value, struct err *err)
{
    u64 n;

    if (!config_number(value, strlen(value), &n) || !n || n > VM_NET_PAIRS_MAX)
        return err_set(err, EINVAL, "'queues=%s' is no number of queue pairs; give 1 to %d", value,
                       VM_NET_PAIRS_MAX);
    net->pairs = (u32)n;
    return 0;
}

static int net_slot(struct vm_net *net, const char *value, struct err *err)
{
    return config_slot(value, &net->slot, err);
}

static int net_mac(struct vm_net *net, const char *value, struct err *err)
{
    net->has_mac = true;
    return config_mac(value, net->mac, err);
}

static const struct net_key net_keys[] = {
    {"slot", net_slot, UINT32_MAX}, {"mac", net_mac, UINT32_MAX},
    {"deny", net_deny, USER},       {"allow", net_allow, USER},
    {"forward", net_forward, USER}, {"mtu", net_mtu, USER},
    {"pcap", net_pcap, USER | LAB}, {"delay", net_delay, USER | LAB},
    {"loss", net_loss, USER | LAB}, {"rate", net_rate, USER | LAB},
    {"vlan", net_vlan, LAB},        {"trunk", net_trunk, LAB},
    {"trust", net_trust, LAB},      {"queues", net_queues, UINT32_MAX},
    {"ifname", net_ifname, TAP},    {"bridge", net_bridge, TAP},
    {"script", net_script, TAP},    {"path", net_path, VHOST},
};

static int net_keys_unknown(const struct vm_net *net, const char *key, struct err *err)
{
    char list[256] = "";
    size_t len = 0;

    for (u32 i = 0; i < ARRAY_SIZE(net_keys); i++) {
        if (net_keys[i].kinds >> net->kind & 1)
            len += fmt_print(list + len, sizeof(list) - len, "%s%s=", len ? ", " : "",
                             net_keys[i].key);
    }
    return err_set(err, EINVAL, "'%.40s=' is not known of a network of this kind; give %s", key,
                   list);
}

static int net_item(struct vm_net *net, const char *key, const char *value, bool first,
                    struct err *err)
{
    if (!value && first && !net_kind(key, &net->kind))
        return 0;
    if (!value && first) {
        int rc = lab_check_name(key, err);

        net->kind = VM_NET_LAB;
        memcpy(net->lab.settings.name, key, rc ? 0 : strlen(key) + 1);
        return rc;
    }
    if (!value)
        return err_set(err, EINVAL, "'%.40s' has no value; give KEY=VALUE", key);
    if (first && !strcmp(key, "bridge")) /* which means a tap */
        net->kind = VM_NET_TAP;
    for (u32 i = 0; i < ARRAY_SIZE(net_keys); i++) {
        if (!strcmp(key, net_keys[i].key) && net_keys[i].kinds >> net->kind & 1)
            return net_keys[i].parse(net, value, err);
    }
    return net_keys_unknown(net, key, err);
}

/* The interface that -p made up becomes the first of its kind that is asked for. */
static int net_add(struct vm_config *config, const struct vm_net *net, const char *value,
                   struct err *err)
{
    for (u32 i = 0; i < config->net_count && net->kind == VM_NET_USER; i++) {
        struct vm_net *old = &config->net[i];
        struct vm_net merged = *net;

        if (!old->implied)
            continue;
        if (merged.user.forward_count + old->user.forward_count > NET_FORWARDS_MAX)
            return err_set(err, EINVAL, "'%s': more than %d ports", value, NET_FORWARDS_MAX);
        memcpy(merged.user.forward + merged.user.forward_count, old->user.forward,
               old->user.forward_count * sizeof(old->user.forward[0]));
        merged.user.forward_count += old->user.forward_count;
        *old = merged;
        return 0;
    }
    if (config->net_count == VM_NETS_MAX)
        return err_set(err, EINVAL, "'%s' is one network too many; there may be %d", value,
                       VM_NETS_MAX);
    config->net[config->net_count++] = *net;
    return 0;
}

int vm_config_parse_net(struct vm_config *config, const char *value, struct err *err)
{
    struct config_list list = {.rest = value};
    struct vm_net net = {.kind = VM_NET_USER, .slot = VM_SLOT_ANY, .port.vlan = LAB_VLAN};
    bool first = true;
    int rc;

    while ((rc = config_list_next(&list, err)) > 0) {
        rc = net_item(&net, list.item, list.value, first, err);
        if (rc)
            return rc;
        first = false;
    }
    if (!rc && net.kind == VM_NET_VHOST && !*net.socket)
        return err_set(err, EINVAL, "'%s' names no socket; give path=SOCKET", value);
    net.port.impairment = net.user.impairment;
    return rc ? rc : net_add(config, &net, value, err);
}

int vm_config_parse_publish(struct vm_config *config, const char *value, struct err *err)
{
    static const struct vm_net implied = {
        .kind = VM_NET_USER, .slot = VM_SLOT_ANY, .implied = true};
    struct net_settings trial = {0};
    u32 i = 0;
    int rc = net_settings_forward(&trial, value, err);

    while (!rc && i < config->net_count && config->net[i].kind != VM_NET_USER)
        i++;
    if (!rc && i == config->net_count)
        rc = net_add(config, &implied, value, err);
    return rc ? rc : net_settings_forward(&config->net[i].user, value, err);
}

int vm_config_parse_pflash(struct vm_config *config, const char *value, struct err *err)
{
    struct config_list list = {.rest = value};
    struct vm_pflash flash = {0};
    u64 unit = *config->pflash[0].path ? 1 : 0;
    int rc;

    while ((rc = config_list_next(&list, err)) > 0) {
        const char *key = list.item;

        if (!list.value || !strcmp(key, "file"))
            rc = config_copy(flash.path, sizeof(flash.path), list.value ? list.value : key,
                             "flash image's path", err);
        else if (!strcmp(key, "readonly"))
            rc = config_switch(list.value, &flash.readonly, err);
        else if (!strcmp(key, "unit") && config_number(list.value, strlen(list.value), &unit) &&
                 unit < ARRAY_SIZE(config->pflash))
            rc = 0;
        else if (!strcmp(key, "format") && !strcmp(list.value, "raw"))
            rc = 0;
        else
            rc = err_set(err, EINVAL,
                         "'%s=%s' is not known of a flash image; give PATH, readonly=, unit=0 or 1",
                         key, list.value);
        if (rc)
            return rc;
    }
    if (rc)
        return rc;
    if (!*flash.path)
        return err_set(err, EINVAL, "'%s' names no image; give PATH[,readonly=on]", value);
    if (*config->pflash[unit].path)
        return err_set(err, EINVAL, "'%s' is one flash image too many; there are two units", value);
    config->pflash[unit] = flash;
    return 0;
}

static int fw_cfg_item(struct vm_fw_cfg *item, const char *key, const char *value, struct err *err)
{
    if (!value || !strcmp(key, "name"))
        return config_copy(item->name, sizeof(item->name), value ? value : key, "item's name", err);
    item->file = !strcmp(key, "file");
    if (item->file)
        return config_copy(item->value, sizeof(item->value), value, "item's path", err);
    if (strcmp(key, "string"))
        return err_set(err, EINVAL,
                       "'%s=' is not known of an item; give NAME,string= or file=", key);
    if (strlen(value) >= sizeof(item->value))
        return err_set(err, EINVAL, "the text of '%s' is too long; give it as file=", item->name);
    memcpy(item->value, value, strlen(value) + 1);
    return 0;
}

int vm_config_parse_fw_cfg(struct vm_config *config, const char *value, struct err *err)
{
    struct config_list list = {.rest = value};
    struct vm_fw_cfg item = {0};
    u32 items = 0;
    int rc;

    while ((rc = config_list_next(&list, err)) > 0) {
        rc = fw_cfg_item(&item, list.item, list.value, err);
        if (rc)
            return rc;
        items++;
    }
    if (rc)
        return rc;
    if (items != 2 || !*item.name)
        return err_set(err, EINVAL, "'%s' is not an item; give NAME,string=TEXT or NAME,file=PATH",
                       value);
    if (strncmp(item.name, "opt/", 4) || !item.name[4])
        return err_set(err, EINVAL, "'%s' is not yours to give; begin the name with opt/",
                       item.name);
    for (u32 i = 0; i < config->fw_cfg_count; i++) {
        if (!strcmp(config->fw_cfg[i].name, item.name))
            return err_set(err, EINVAL, "'%s' is given twice", item.name);
    }
    if (config->fw_cfg_count == VM_FW_CFGS_MAX)
        return err_set(err, EINVAL, "'%s' is one item too many; there may be %d", item.name,
                       VM_FW_CFGS_MAX);
    config->fw_cfg[config->fw_cfg_count++] = item;
    return 0;
}

/* Splits "host:port", "[host]:port", ":port" or "port". */
static bool gdb_split(const char *text, char host[64], u64 *port)
{
    const char *colon = strrchr(text, ':');
    const char *digits = colon ? colon + 1 : text;
    size_t len = colon ? (size_t)(colon - text) : 0;

    if (len >= 2 && text[0] == '[' && text[len - 1] == ']') {
        text++;
        len -= 2;
    }
    if (len >= 64 || !config_number(digits, strlen(digits), port) || !*port || *port > UINT16_MAX)
        return false;
    memcpy(host, text, len);
    host[len] = '\0';
    return true;
}

/* A numeric address; is it the machine itself? */
static bool gdb_address(const char *host, bool *is_loopback)
{
    struct in6_addr v6;
    struct in_addr v4;

    if (inet_pton(AF_INET, host, &v4) == 1) {
        *is_loopback = ntohl(v4.s_addr) >> 24 == 127;
        return true;
    }
    *is_loopback = !strcmp(host, "::1");
    return inet_pton(AF_INET6, host, &v6) == 1;
}

int vm_config_parse_gdb(struct vm_config *config, const char *value, struct err *err)
{
    struct config_list list = {.rest = strncmp(value, "tcp:", 4) ? value : value + 4};
    struct vm_gdb gdb = {.enabled = true, .host = "127.0.0.1", .port = VM_GDB_PORT};
    bool remote = false, is_loopback;
    char host[64] = "";
    u64 port = VM_GDB_PORT;
    int rc;

    while ((rc = config_list_next(&list, err)) > 0) {
        rc = 0;
        if (list.value && !strcmp(list.item, "remote"))
            rc = config_switch(list.value, &remote, err);
        else if (list.value || !gdb_split(list.item, host, &port))
            rc = err_set(err, EINVAL, "'%s' is not an address; give :PORT or HOST:PORT", value);
        if (rc)
            return rc;
    }
    if (rc)
        return rc;
    if (*host && strcmp(host, "localhost"))
        memcpy(gdb.host, host, sizeof(host));
    gdb.port = (u16)port;
    if (!gdb_address(gdb.host, &is_loopback))
        return err_set(err, EINVAL, "'%s' is not a numeric address; give one as in 127.0.0.1:%u",
                       gdb.host, gdb.port);
    if (!is_loopback && !remote)
        return err_set(err, EINVAL,
                       "'%s' lets other machines into the guest; add ',remote=on' if you mean it",
                       gdb.host);
    config->gdb = gdb;
    return 0;
}

/* Marks a slot as taken; VM_SLOT_ANY just counts. */
static int config_take_slot(int slot, u32 *taken, u32 *count, struct err *err)
{
    (*count)++;
    if (slot == VM_SLOT_ANY)
        return 0;
    if (*taken & 1u << slot)
        return err_set(err, EINVAL, "slot=%d is given twice; give each device its own slot", slot);
    *taken |= 1u << slot;
    return 0;
}

int vm_config_check(const struct vm_config *config, struct err *err)
{
    u32 taken = 0, count = config->rng + config->balloon + config->power_button +
                           (config->console == VM_CONSOLE_VIRTIO) + config->vsock.enabled +
                           config->share_count;
    bool has_bios = config->bios && strcmp(config->bios, "none");
    int rc = sandbox_mode_check(err);

    for (u32 i = 0; i < config->drive_count && !rc; i++)
        rc = config_take_slot(config->drive[i].slot, &taken, &count, err);
    for (u32 i = 0; i < config->net_count && !rc; i++)
        rc = config_take_slot(config->net[i].slot, &taken, &count, err);
    if (rc)
        return rc;
    if (count > VM_SLOTS)
        return err_set(
            err, EINVAL,
            "%u devices are more than the %d virtio slots; leave some out (the random "
            "number device, the balloon and the power button take one each: --rng off, --balloon "
            "off, --power-button off)",
            count, VM_SLOTS);
    if (!config->kernel && !has_bios && !*config->pflash[0].path && !config->dump_dtb)
        return err_set(err, EINVAL, "nothing to run; give --kernel IMAGE or --bios FIRMWARE");
    if (config->initrd && !config->kernel)
        return err_set(err, EINVAL, "--initrd needs a --kernel that uses it");
    if (config->paused && !config->gdb.enabled)
        return err_set(err, EINVAL, "--paused needs --gdb, from which the guest is started");
    if (config->perf_map && config->engine == VM_ENGINE_INTERP)
        return err_set(err, EINVAL, "--perf-map needs an engine that translates: --cpu-engine=jit");
    return 0;
}
