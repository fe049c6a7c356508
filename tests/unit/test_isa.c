/* SPDX-License-Identifier: BSD-2-Clause */
/* Extension lists: parsing, dependencies, device-tree forms, misa. */
#include "rv/isa.h"

#include "tests/fake.h"
#include "tests/test.h"

#include <errno.h>

static struct isa parsed(const char *text)
{
    struct isa isa = {0};
    struct err err;
    int r = isa_parse(&isa, text, &err);

    CHECK_EQ(r, 0);
    if (r)
        printf("# %s: %s\n", text, err.msg);
    return isa;
}

static void check_refused(const char *text, const char *part)
{
    struct isa isa = {.ext = {1234}};
    struct err err = {0};

    CHECK_EQ(isa_parse(&isa, text, &err), -EINVAL);
    CHECK_EQ(isa.ext[0], 1234);
    CHECK(strstr(err.msg, part));
    if (!strstr(err.msg, part))
        printf("# %s: %s\n", text, err.msg);
}

TEST(default_has_everything_that_is_on)
{
    struct isa isa, named = parsed("rv64"), max = parsed("max");

    isa_default(&isa);
    CHECK(!memcmp(isa.ext, named.ext, sizeof(isa.ext)));
    CHECK(!memcmp(isa.ext, max.ext, sizeof(isa.ext)));
    CHECK(isa_has(&isa, ISA_D) && isa_has(&isa, ISA_ZBA) && isa_has(&isa, ISA_SSTC));
    CHECK(!isa_has(&isa, ISA_ZKT));
    CHECK_EQ(isa.pmp_count, 16);
    CHECK_STR(isa_mmu_type(&isa), "riscv,sv39");
    CHECK_STR(isa_mmu_type(&max), "riscv,sv57");
}

TEST(switches)
{
    struct isa isa = parsed("rv64,-zba,zbb=off,sv39,pmp=0");

    CHECK(!isa_has(&isa, ISA_ZBA) && !isa_has(&isa, ISA_ZBB) && isa_has(&isa, ISA_ZBS));
    CHECK_EQ(isa.satp_mode_max, 8);
    CHECK_EQ(isa.pmp_count, 0);
    isa = parsed("rv64,-zba,+zba,zbb=off,zbb=on,sv48,pmp=7");
    CHECK(isa_has(&isa, ISA_ZBA) && isa_has(&isa, ISA_ZBB));
    CHECK_STR(isa_mmu_type(&isa), "riscv,sv48");
    CHECK_EQ(isa.pmp_count, 7);
    isa = parsed("rv64,bare");
    CHECK_STR(isa_mmu_type(&isa), "riscv,none");
    isa = parsed("rv64,sv39");
    CHECK_STR(isa_mmu_type(&isa), "riscv,sv39");
}

TEST(dependencies)
{
    struct isa isa = parsed("rv64,-f");

    CHECK(!isa_has(&isa, ISA_D) && !isa_has(&isa, ISA_ZFH) && !isa_has(&isa, ISA_ZFHMIN));
    CHECK(!isa_has(&isa, ISA_ZFA) && !isa_has(&isa, ISA_ZCD));
    CHECK(isa_has(&isa, ISA_C) && isa_has(&isa, ISA_ZCB));
    isa = parsed("rv64,-f,+d");
    CHECK(isa_has(&isa, ISA_F) && isa_has(&isa, ISA_D) && isa_has(&isa, ISA_ZCD));
    CHECK(isa_has(&isa, ISA_C) && !isa_has(&isa, ISA_ZFH));
    isa = parsed("rv64,-a");
    CHECK(!isa_has(&isa, ISA_ZAAMO) && !isa_has(&isa, ISA_ZALRSC) && !isa_has(&isa, ISA_ZACAS));
    CHECK(!isa_has(&isa, ISA_ZABHA) && !isa_has(&isa, ISA_ZAWRS));
    isa = parsed("rv64,-a,+zacas");
    CHECK(isa_has(&isa, ISA_ZAAMO) && !isa_has(&isa, ISA_A) && !isa_has(&isa, ISA_ZALRSC));
    isa = parsed("rv64,-zaamo");
    CHECK(!isa_has(&isa, ISA_A) && isa_has(&isa, ISA_ZALRSC));
    isa = parsed("rv64,-c");
    CHECK(!isa_has(&isa, ISA_ZCA) && !isa_has(&isa, ISA_ZCB) && !isa_has(&isa, ISA_ZCMOP));
    CHECK(isa_has(&isa, ISA_D));
    isa = parsed("rv64,-zcd");
    CHECK(!isa_has(&isa, ISA_C) && isa_has(&isa, ISA_ZCA));
    isa = parsed("rv64,-b,-zkn");
    CHECK(!isa_has(&isa, ISA_ZBA) && !isa_has(&isa, ISA_ZKND) && isa_has(&isa, ISA_ZKSH));
    isa = parsed("rv64,-ssstateen");
    CHECK(!isa_has(&isa, ISA_SMSTATEEN));
}

TEST(refusals_name_the_way_out)
{
    check_refused("rv32", "rv64");
    check_refused("", "rv64");
    check_refused("rv64,+zbaa", "zba");
    check_refused("rv64,+svnapo", "svnapot");
    check_refused("rv64,sv40", "sv4");
    check_refused("rv64,zba=maybe", "on or off");
    check_refused("rv64,pmp=17", "0 to 16");
    check_refused("rv64,pmp=", "0 to 16");
    check_refused("rv64,pmp=1x", "0 to 16");
    check_refused("rv64,-i", "cannot");
    check_refused("rv64,zicsr=off", "cannot");
    check_refused("rv64,+", "unknown");
    check_refused("rv64,+zzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzz", "long");
    check_refused("rv64,,+zba", "--cpu");
}

TEST(device_tree_forms)
{
    struct isa isa = {{BIT(ISA_I) | BIT(ISA_M) | BIT(ISA_ZICSR) | BIT(ISA_SSTC)}, 8, 16};
    char buf[1024], small[20];

    CHECK(isa_string(&isa, buf, sizeof(buf)));
    CHECK_STR(buf, "rv64im_zicsr_sstc");
    CHECK(isa_list(&isa, buf, sizeof(buf)));
    CHECK_STR(buf, "i\nm\nzicsr\nsstc");
    CHECK(isa_string(&isa, small, 18));
    CHECK(!isa_string(&isa, small, 17));
    CHECK(!isa_string(&isa, small, 0));
    CHECK(!isa_list(&isa, small, 14));
    CHECK(isa_list(&isa, small, 15));
    isa_default(&isa);
    CHECK(isa_string(&isa, buf, sizeof(buf)));
    CHECK(!strncmp(buf, "rv64imafdc_zic64b_", 18));
    CHECK(!strstr(buf, "zkt"));
    CHECK_EQ(isa_misa(&isa), UINT64_C(0x800000000014112d));
}

TEST_MAIN()
