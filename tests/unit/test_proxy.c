/* SPDX-License-Identifier: BSD-2-Clause */
/* The host's proxies as guests reach them, by the kinds of networks and their rules. */
#include "apps/cosm/proxy.h"
#include "tests/test.h"

static struct vm_config config;
static struct err err;

/* What a VM with this network, or none, is told of a proxy; "": nothing. */
static const char *told(const char *net, const char *uri)
{
    static char to[PROXY_MAX];

    vm_config_init(&config);
    if (*net)
        CHECK_EQ(vm_config_parse_net(&config, net, &err), 0);
    return proxy_for_guest(to, uri, &config) ? to : "";
}

TEST(others_stay_as_they_are)
{
    CHECK_STR(told("user", "http://192.0.2.1:3128/"), "http://192.0.2.1:3128/");
    CHECK_STR(told("user", "http://proxy.example:3128"), "http://proxy.example:3128");
    CHECK_STR(told("user", "https://[2001:db8::1]:3128/"), "https://[2001:db8::1]:3128/");
    CHECK_STR(told("lab", "http://proxy.example"), "http://proxy.example");
    CHECK_STR(told("", "http://192.0.2.1:3128/"), "");
}

TEST(loopback_is_the_gateway)
{
    CHECK_STR(told("user", "http://127.0.0.1:3142/"), "http://10.0.2.2:3142/");
    CHECK_STR(told("user", "http://localhost:3142"), "http://10.0.2.2:3142");
    CHECK_STR(told("user", "socks5h://[::1]:1080/"), "socks5h://[fec0::2]:1080/");
    CHECK_STR(told("user", "http://127.0.0.2:3142/"), "");
    CHECK_STR(told("lab", "http://127.0.0.1:3142/"), "");
    CHECK_STR(told("", "http://127.0.0.1:3142/"), "");
}

TEST(rules_are_kept)
{
    CHECK_STR(told("user,deny=127.0.0.0/8", "http://127.0.0.1:3142/"), "");
    CHECK_STR(told("user,deny=10.0.2.2", "http://localhost:3142/"), "");
    CHECK_STR(told("user,deny=127.0.0.1:80-90", "http://127.0.0.1:3142/"), "http://10.0.2.2:3142/");
    CHECK_STR(told("user,deny=127.0.0.1:80-90", "http://127.0.0.1:80/"), "");
    CHECK_STR(told("user,deny=192.0.2.0/24", "http://192.0.2.1:3128/"), "");
    CHECK_STR(told("user,deny=192.0.2.0/24", "http://192.0.3.1:3128/"), "http://192.0.3.1:3128/");
}

TEST(what_is_no_proxy_or_has_a_password_is_not_told)
{
    static const char *const wrong[] = {"",
                                        "DIRECT",
                                        "false",
                                        "http://",
                                        "http://:80/",
                                        "http://[::1:80/",
                                        "http://me:secret@192.0.2.1:3128/",
                                        "http://192.0.2.1/\"; x \""};

    for (u32 i = 0; i < ARRAY_SIZE(wrong); i++)
        CHECK_STR(told("user", wrong[i]), "");
}

TEST_MAIN()
