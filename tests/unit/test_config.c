/* SPDX-License-Identifier: BSD-2-Clause */
/* The values of the command line: what is taken, and the sentence for what is not. */
#include "tests/test.h"
#include "vmm/config.h"

#include <errno.h>

static struct vm_config config;
static struct err err;

/* Is value refused with one sentence that quotes part, the configuration untouched? */
static bool refused(vm_config_parse_fn parse, const char *value, const char *part)
{
    static struct vm_config before;
    int rc;

    memcpy(&before, &config, sizeof(config));
    err.msg[0] = '\0';
    rc = parse(&config, value, &err);
    if (rc >= 0 || !strstr(err.msg, part) || strchr(err.msg, '\n') ||
        memcmp(&before, &config, sizeof(config))) {
        printf("# '%s': %d, '%s'\n", value, rc, err.msg);
        return false;
    }
    return true;
}

TEST(instruction_counting)
{
    static const char *const wrong[] = {"shift=11", "shift=",   "shift=-1",    "auto", ",",
                                        "seed=",    "seed=0x1", "shift=1,foo", "on"};
    struct vm_config c;

    vm_config_init(&c);
    CHECK(!c.icount);
    for (u32 i = 0; i < ARRAY_SIZE(wrong); i++)
        CHECK_EQ(vm_config_parse_icount(&c, wrong[i], &err), -EINVAL);
    CHECK(!c.icount);
    CHECK_EQ(vm_config_parse_icount(&c, "", &err), 0);
    CHECK(c.icount);
    CHECK_EQ(c.icount_shift, 3);
    CHECK_EQ(c.icount_seed, 0);
    CHECK_EQ(vm_config_parse_icount(&c, "shift=0,seed=77", &err), 0);
    CHECK_EQ(c.icount_shift, 0);
    CHECK_EQ(c.icount_seed, 77);
}

TEST(items_of_fw_cfg)
{
    vm_config_init(&config);
    CHECK(refused(vm_config_parse_fw_cfg, "", "is not an item"));
    CHECK(refused(vm_config_parse_fw_cfg, "opt/a", "'opt/a' is not an item"));
    CHECK(refused(vm_config_parse_fw_cfg, "string=x", "is not an item"));
    CHECK(refused(vm_config_parse_fw_cfg, "opt/a,string=x,file=y", "is not an item"));
    CHECK(refused(vm_config_parse_fw_cfg, "opt/a,text=x", "'text='"));
    CHECK(refused(vm_config_parse_fw_cfg, "opt/a,file=", "path is empty"));
    CHECK(refused(vm_config_parse_fw_cfg, "etc/boot,string=x", "'etc/boot'"));
    CHECK(refused(vm_config_parse_fw_cfg, "opt/,string=x", "'opt/'"));
    CHECK(refused(vm_config_parse_fw_cfg,
                  "opt/a23456789012345678901234567890123456789012345678901234567,string=x",
                  "longer than 55"));
    CHECK_EQ(vm_config_parse_fw_cfg(&config, "name=opt/a,string=x=1,,2", &err), 0);
    CHECK_EQ(vm_config_parse_fw_cfg(&config, "opt/b,string=", &err), 0);
    CHECK_EQ(vm_config_parse_fw_cfg(&config, "opt/c,file=/f", &err), 0);
    CHECK(refused(vm_config_parse_fw_cfg, "opt/b,string=y", "given twice"));
    CHECK_EQ(config.fw_cfg_count, 3);
    CHECK(!strcmp(config.fw_cfg[0].name, "opt/a") && !strcmp(config.fw_cfg[0].value, "x=1,2"));
    CHECK(!config.fw_cfg[0].file && config.fw_cfg[2].file);
}

TEST(defaults)
{
    vm_config_init(&config);
    CHECK_EQ(config.ram_size, 128 * MIB);
    CHECK_EQ(config.hart_count, 1);
    CHECK(config.rng);
    CHECK(!config.gdb.enabled);
}

TEST(memory)
{
    static const struct {
        const char *text;
        u64 bytes;
    } good[] = {{"512M", 512 * MIB}, {"1G", GIB},        {"1", MIB},
                {"64", 64 * MIB},    {"2048k", 2 * MIB}, {"1GiB", GIB},
                {"3gb", 3 * GIB},    {"1T", 1024 * GIB}, {"1048576K", GIB}};
    static const char *const bad[] = {"",
                                      "M",
                                      "0",
                                      "-1",
                                      "1.5G",
                                      "12Q",
                                      "1 G",
                                      "2T",
                                      "1K",
                                      "1025K",
                                      "1Mx",
                                      "99999999999999999999",
                                      "20000000000000000G",
                                      "+1",
                                      "0x10"};

    vm_config_init(&config);
    for (size_t i = 0; i < ARRAY_SIZE(good); i++) {
        CHECK_EQ(vm_config_parse_memory(&config, good[i].text, &err), 0);
        CHECK_EQ(config.ram_size, good[i].bytes);
    }
    for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
        CHECK(refused(vm_config_parse_memory, bad[i], "'"));
}

TEST(smp)
{
    static const char *const bad[] = {"0", "33", "", "-1", "two", "1,2", "4294967297"};

    vm_config_init(&config);
    CHECK_EQ(vm_config_parse_smp(&config, "32", &err), 0);
    CHECK_EQ(config.hart_count, 32);
    CHECK_EQ(vm_config_parse_smp(&config, "cpus=2", &err), 0);
    CHECK_EQ(config.hart_count, 2);
    for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
        CHECK(refused(vm_config_parse_smp, bad[i], "1 to 32"));
}

TEST(words)
{
    vm_config_init(&config);
    CHECK_EQ(vm_config_parse_engine(&config, "interp", &err), 0);
    CHECK(refused(vm_config_parse_engine, "kvm", "interp"));
    CHECK_EQ(vm_config_parse_machine(&config, "virt", &err), 0);
    CHECK(!config.dump_dtb);
    CHECK(refused(vm_config_parse_machine, "sifive_u", "virt"));
    CHECK(refused(vm_config_parse_machine, "virt,aia=aplic", "dumpdtb=FILE"));
    CHECK(refused(vm_config_parse_machine, "virt,dumpdtb=", "dumpdtb=FILE"));
    CHECK_EQ(vm_config_parse_machine(&config, "virt,dumpdtb=a,b.dtb", &err), 0);
    CHECK_STR(config.dump_dtb, "a,b.dtb");
    config.dump_dtb = NULL;
    CHECK_EQ(vm_config_parse_console(&config, "virtio", &err), 0);
    CHECK_EQ(config.console, VM_CONSOLE_VIRTIO);
    CHECK(refused(vm_config_parse_console, "vga", "uart or virtio"));
    CHECK_EQ(vm_config_parse_stats(&config, "", &err), 0);
    CHECK_EQ(config.stats, VM_STATS_TEXT);
    CHECK_EQ(vm_config_parse_stats(&config, "json", &err), 0);
    CHECK_EQ(config.stats, VM_STATS_JSON);
    CHECK(refused(vm_config_parse_stats, "xml", "json"));
    CHECK_EQ(vm_config_parse_rng(&config, "off", &err), 0);
    CHECK(!config.rng);
    CHECK(refused(vm_config_parse_rng, "maybe", "on nor off"));
    CHECK(config.balloon);
    CHECK_EQ(vm_config_parse_balloon(&config, "off", &err), 0);
    CHECK(!config.balloon);
    CHECK(refused(vm_config_parse_balloon, "512M", "on nor off"));
    CHECK(config.power_button);
    CHECK_EQ(vm_config_parse_power_button(&config, "off", &err), 0);
    CHECK(!config.power_button);
    CHECK_EQ(vm_config_parse_log(&config, "debug,virtio=info,file=/x", &err), 0);
    CHECK(refused(vm_config_parse_log, "loud", "debug"));
    CHECK(refused(vm_config_parse_log, "virtio=loud", "virtio"));
    CHECK(refused(vm_config_parse_log, "file=", "path"));
}

TEST(gdb)
{
    static const struct {
        const char *text, *host;
        u16 port;
    } good[] = {{"", "127.0.0.1", 1234},         {":99", "127.0.0.1", 99},
                {"4321", "127.0.0.1", 4321},     {"tcp::1234", "127.0.0.1", 1234},
                {"localhost:5", "127.0.0.1", 5}, {"127.0.0.2:5", "127.0.0.2", 5},
                {"[::1]:5", "::1", 5},           {"0.0.0.0:5,remote=on", "0.0.0.0", 5}};
    static const char *const bad[] = {":0",      ":65536", ":", "x", "example.org:1",
                                      "1.2.3:4", ":1,x=y"};

    vm_config_init(&config);
    for (size_t i = 0; i < ARRAY_SIZE(good); i++) {
        CHECK_EQ(vm_config_parse_gdb(&config, good[i].text, &err), 0);
        CHECK_STR(config.gdb.host, good[i].host);
        CHECK_EQ(config.gdb.port, good[i].port);
        CHECK(config.gdb.enabled);
    }
    for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
        CHECK(refused(vm_config_parse_gdb, bad[i], "address"));
    CHECK(refused(vm_config_parse_gdb, "0.0.0.0:1234", "remote=on"));
    CHECK(refused(vm_config_parse_gdb, "[::]:1234", "remote=on"));
}

TEST(drives)
{
    char deep[VM_PATH_MAX + 100];

    vm_config_init(&config);
    CHECK_EQ(vm_config_parse_drive(&config, "disk.img", &err), 0);
    CHECK_EQ(vm_config_parse_drive(&config,
                                   "file=a,,b.img,format=raw,if=none,id=x,readonly=on,"
                                   "serial=S1,slot=7",
                                   &err),
             0);
    CHECK_STR(config.drive[0].path, "disk.img");
    CHECK_EQ(config.drive[0].slot, VM_SLOT_ANY);
    CHECK(!config.drive[0].readonly);
    CHECK_STR(config.drive[1].path, "a,b.img");
    CHECK(config.drive[1].readonly);
    CHECK_STR(config.drive[1].serial, "S1");
    CHECK_EQ(config.drive[1].slot, 7);
    CHECK(refused(vm_config_parse_drive, "", "image"));
    CHECK(refused(vm_config_parse_drive, "readonly=on", "image"));
    CHECK(refused(vm_config_parse_drive, "file=", "empty"));
    CHECK(refused(vm_config_parse_drive, "x,slot=24", "0 to 23"));
    CHECK(refused(vm_config_parse_drive, "x,format=vmdk", "qcow2"));
    CHECK(refused(vm_config_parse_drive, "x,fault=write:0:EIO", "no fault"));
    CHECK(refused(vm_config_parse_drive, "x,burst=0", "3600"));
    CHECK(refused(vm_config_parse_drive, "x,werror=maybe", "enospc"));
    CHECK(refused(vm_config_parse_drive, "x,rerror=enospc", "report, stop or ignore"));
    CHECK(refused(vm_config_parse_drive, "x,iops=many", "many"));
    CHECK(refused(vm_config_parse_drive, "x,serial=123456789012345678901", "20"));
    CHECK(refused(vm_config_parse_drive, "x,colour=red", "colour"));
    memset(deep, 'd', sizeof(deep) - 1);
    deep[sizeof(deep) - 1] = '\0';
    CHECK(refused(vm_config_parse_drive, deep, "too long"));
    deep[VM_PATH_MAX] = '\0';
    CHECK(refused(vm_config_parse_drive, deep, "longer than"));
    CHECK_EQ(vm_config_parse_drive(
                 &config, "x.qcow2,backing=on,iops=100,bps=1M,burst=2,fault=write:7+:ENOSPC", &err),
             0);
    CHECK(config.drive[2].backing && config.drive[2].throttle.iops == 100);
    CHECK(config.drive[2].throttle.bps == 1 << 20 && config.drive[2].throttle.burst_s == 2);
    CHECK(config.drive[2].fault.every == 7 && config.drive[2].fault.on);
    for (int i = 3; i < VM_DRIVES_MAX; i++)
        CHECK_EQ(vm_config_parse_drive(&config, "more", &err), 0);
    CHECK(refused(vm_config_parse_drive, "one", "too many"));
}

TEST(nets)
{
    vm_config_init(&config);
    CHECK_EQ(vm_config_parse_net(&config, "loopback,mac=52:54:00:aB:cd:ef,slot=3", &err), 0);
    CHECK_EQ(config.net[0].kind, VM_NET_LOOPBACK);
    CHECK_EQ(config.net[0].mac[3], 0xAB);
    CHECK_EQ(config.net[0].mac[5], 0xEF);
    CHECK_EQ(config.net[0].slot, 3);
    CHECK_EQ(vm_config_parse_net(&config, "bridge=br0,ifname=tap7", &err), 0);
    CHECK_EQ(config.net[1].kind, VM_NET_TAP);
    CHECK(refused(vm_config_parse_net, "tap,ifname=a-name-that-is-long", "longer than 15"));
    CHECK(refused(vm_config_parse_net, "tap,deny=all", "not known of a network of this kind"));
    CHECK(refused(vm_config_parse_net, "lab,vlan=4095", "is no VLAN"));
    CHECK(refused(vm_config_parse_net, "lab,trunk=10-5", "names no VLANs"));
    CHECK(refused(vm_config_parse_net, "Lab", "a letter first"));
    CHECK(refused(vm_config_parse_net, "null,pcap=x", "not known of a network of this kind"));
    CHECK(refused(vm_config_parse_net, "user,deny=10.0.0.0/33", "a rule can say"));
    CHECK(refused(vm_config_parse_net, "user,colour=red", "not known of a network"));
    CHECK(refused(vm_config_parse_publish, "80", "forwards no port"));
    CHECK(refused(vm_config_parse_net, "null,mac=52:54", "six bytes"));
    CHECK(refused(vm_config_parse_net, "null,mac=52:54:00:12:34:5g", "six bytes"));
    CHECK(refused(vm_config_parse_net, "null,mac=52:54:00:12:34:567", "six bytes"));
    CHECK(refused(vm_config_parse_net, "null,mac=53:54:00:12:34:56", "multicast"));
}

TEST(flash)
{
    vm_config_init(&config);
    CHECK_EQ(vm_config_parse_pflash(&config, "a.fd", &err), 0);
    CHECK_EQ(vm_config_parse_pflash(&config, "b.fd,readonly=on", &err), 0);
    CHECK_STR(config.pflash[0].path, "a.fd");
    CHECK_STR(config.pflash[1].path, "b.fd");
    CHECK(config.pflash[1].readonly);
    CHECK(refused(vm_config_parse_pflash, "c.fd", "too many"));
    CHECK(refused(vm_config_parse_pflash, "c.fd,unit=2", "unit=2"));
}

TEST(published_ports)
{
    vm_config_init(&config);
    CHECK_EQ(vm_config_parse_publish(&config, "8080:80", &err), 0);
    CHECK_EQ(vm_config_parse_publish(&config, "0.0.0.0:53:53/udp", &err), 0);
    CHECK_EQ(config.net_count, 1);
    CHECK_EQ(vm_config_parse_net(&config, "null", &err), 0);
    CHECK_EQ(config.net_count, 2);
    /* One interface for both, whichever comes first. */
    CHECK_EQ(vm_config_parse_net(&config, "mac=52:54:00:12:34:56,mtu=1500,pcap=a,,b", &err), 0);
    CHECK_EQ(config.net_count, 2);
    CHECK_EQ(config.net[0].user.forward_count, 2);
    CHECK_EQ(config.net[0].user.mtu, 1500);
    CHECK_STR(config.net[0].pcap, "a,b");
    CHECK_EQ(vm_config_parse_publish(&config, "22:22", &err), 0);
    CHECK_EQ(config.net[0].user.forward_count, 3);
    CHECK_EQ(vm_config_parse_net(&config, "user", &err), 0);
    CHECK_EQ(config.net_count, 3);
}

TEST(volumes)
{
    vm_config_init(&config);
    CHECK_EQ(vm_config_parse_volume(&config, "/home/me:/src:ro", &err), 0);
    CHECK_EQ(vm_config_parse_volume(&config, "rel,,ative,tag=t,uid=0", &err), 0);
    CHECK_EQ(vm_config_parse_volume(&config, "x:ro", &err), 0);
    CHECK_EQ(config.share_count, 3);
    CHECK_STR(config.share[0].folder, "/home/me");
    CHECK_STR(config.share[0].place, "/src");
    CHECK_STR(config.share[0].tag, "share0");
    CHECK(config.share[0].readonly && config.share[0].uid == 1000);
    CHECK_STR(config.share[1].folder, "rel,ative");
    CHECK_STR(config.share[1].place, "");
    CHECK(!config.share[1].readonly && config.share[1].uid == 0);
    CHECK(config.share[2].readonly && !*config.share[2].place);
    CHECK(refused(vm_config_parse_volume, "a:src", "absolute"));
    CHECK(refused(vm_config_parse_volume, "a:/src:rx", "neither ro nor rw"));
    CHECK(refused(vm_config_parse_volume, "", "FOLDER"));
    CHECK(refused(vm_config_parse_volume, "a,tag=t", "two folders"));
    CHECK(refused(vm_config_parse_volume, "a,uid=x", "uid=x"));
    CHECK(refused(vm_config_parse_volume, "a,colour=1", "colour"));
    CHECK(refused(vm_config_parse_volume, "a,tag=0123456789012345678901234567890123456", "longer"));
    CHECK_EQ(config.share_count, 3);
}

TEST(vsock)
{
    vm_config_init(&config);
    CHECK(!config.vsock.enabled && !config.vsock.chosen);
    CHECK_EQ(vm_config_parse_vsock(&config, "guest-cid=3,path=/run/a,,b", &err), 0);
    CHECK(config.vsock.enabled && config.vsock.chosen);
    CHECK_EQ(config.vsock.cid, 3);
    CHECK_STR(config.vsock.path, "/run/a,b");
    CHECK(refused(vm_config_parse_vsock, "guest-cid=2", "3 to 4294967294"));
    CHECK(refused(vm_config_parse_vsock, "guest-cid=4294967295", "3 to"));
    CHECK(refused(vm_config_parse_vsock, "path=", "empty"));
    CHECK(refused(vm_config_parse_vsock, "cid=3", "guest-cid="));
    CHECK(refused(vm_config_parse_vsock, "maybe", "neither on nor off"));
    CHECK_EQ(config.vsock.cid, 3);
    CHECK_EQ(vm_config_parse_vsock(&config, "off", &err), 0);
    CHECK(!config.vsock.enabled && config.vsock.chosen);
}

TEST(whole)
{
    vm_config_init(&config);
    CHECK(vm_config_check(&config, &err) < 0);
    CHECK(strstr(err.msg, "--kernel"));
    config.bios = "none";
    CHECK(vm_config_check(&config, &err) < 0);
    config.kernel = "Image";
    CHECK_EQ(vm_config_check(&config, &err), 0);
    CHECK_EQ(vm_config_parse_drive(&config, "x,slot=1", &err), 0);
    CHECK_EQ(vm_config_parse_net(&config, "null,slot=1", &err), 0);
    CHECK(vm_config_check(&config, &err) < 0);
    CHECK(strstr(err.msg, "slot=1"));
    config.net[0].slot = VM_SLOT_ANY;
    CHECK_EQ(vm_config_check(&config, &err), 0);
    while (config.drive_count < VM_DRIVES_MAX)
        CHECK_EQ(vm_config_parse_drive(&config, "y", &err), 0);
    CHECK_EQ(vm_config_check(&config, &err), 0);
    while (config.net_count < VM_NETS_MAX)
        CHECK_EQ(vm_config_parse_net(&config, "null", &err), 0);
    CHECK(vm_config_check(&config, &err) < 0);
    CHECK(strstr(err.msg, "27 devices are more than the 24 virtio slots"));
    config.rng = config.balloon = config.power_button = false;
    CHECK_EQ(vm_config_check(&config, &err), 0);
    config.kernel = NULL;
    config.bios = "fw.bin";
    config.initrd = "x.cpio";
    CHECK(vm_config_check(&config, &err) < 0);
    config.initrd = NULL;
    config.paused = true;
    CHECK(vm_config_check(&config, &err) < 0);
    CHECK(strstr(err.msg, "--gdb"));
    config.gdb.enabled = true;
    CHECK_EQ(vm_config_check(&config, &err), 0);
}

TEST_MAIN()
