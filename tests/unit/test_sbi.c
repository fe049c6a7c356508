/* SPDX-License-Identifier: BSD-2-Clause */
/* The SBI on a fake platform: every function, its limits, random arguments, harts that race. */
#include "tests/test.h"

#include "base/assert.h"
#include "base/bits.h"
#include "port/gmem.h"
#include "sbi/sbi.h"

#include <pthread.h>
#include <sched.h>
#include <unistd.h>

enum {
    EXT_BASE = 0x10,
    EXT_TIME = 0x54494D45,
    EXT_IPI = 0x735049,
    EXT_RFENCE = 0x52464E43,
    EXT_HSM = 0x48534D,
    EXT_SRST = 0x53525354,
    EXT_PMU = 0x504D55,
    EXT_DBCN = 0x4442434E,
    EXT_FWFT = 0x46574654,
    EXT_SUSP = 0x53555350,
    EXT_STA = 0x535441,
};

#define HARTS          4
#define RAM            UINT64_C(0x80000000)
#define RAM_SIZE       0x10000
#define ROM            UINT64_C(0x1000)
#define HW             6 /* cycle, time, instret, hpm3..5 */
#define FW_EVENT(code) (0xf0000u | (code))
#define ALL            UINT64_MAX

NORETURN void assert_failed(const char *expr, const char *file, int line)
{
    printf("Bail out! assert %s %s:%d\n", expr, file, line);
    abort();
}

struct world {
    u8 ram[RAM_SIZE], rom[4096];
    struct gmem gmem;
    struct sbi *sbi;
    struct sbi_platform platform;
    /* What the platform was asked for; harts that race count atomically. */
    _Atomic u32 starts, stops, suspends, resumes, resets, fences;
    u64 timer[HARTS];
    _Atomic u32 ipis[HARTS];
    u64 fence_mask;
    struct sbi_fence_range fence;
    u64 start_pc, start_opaque;
    u32 start_hart;
    enum sbi_reset_type reset_type;
    bool reset_failed;
    char out[8192];
    size_t out_len;
    const char *in;
    u64 counter[HW];
    bool running[HW];
    u32 config_event[HW];
    bool ad_updating;
    u64 steal[HARTS];
};

static struct world w;

static void fake_set_timer(void *ctx, u32 hart, u64 time)
{
    w.timer[hart] = time;
}

static void fake_send_ipi(void *ctx, u32 hart)
{
    w.ipis[hart]++;
}

static bool fake_clear_ipi(void *ctx, u32 hart)
{
    return atomic_exchange(&w.ipis[hart], 0) != 0;
}

static void fake_fence(void *ctx, u32 hart, u64 mask, const struct sbi_fence_range *range)
{
    CHECK(hart < HARTS);
    w.fences++;
    w.fence_mask = mask;
    w.fence = *range;
}

static void fake_start(void *ctx, u32 hart, gpa_t pc, u64 opaque)
{
    w.starts++;
    w.start_hart = hart;
    w.start_pc = pc;
    w.start_opaque = opaque;
}

static void fake_stop(void *ctx, u32 hart)
{
    w.stops++;
}

static void fake_suspend(void *ctx, u32 hart)
{
    w.suspends++;
}

static void fake_resume(void *ctx, u32 hart, gpa_t pc, u64 opaque)
{
    w.resumes++;
    w.start_hart = hart;
    w.start_pc = pc;
    w.start_opaque = opaque;
}

static void fake_steal(void *ctx, u32 hart, gpa_t gpa)
{
    w.steal[hart] = gpa;
}

static void fake_reset(void *ctx, enum sbi_reset_type type, bool failed)
{
    w.resets++;
    w.reset_type = type;
    w.reset_failed = failed;
}

static size_t fake_write(void *ctx, const u8 *bytes, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        if (w.out_len < sizeof(w.out) - 1)
            w.out[w.out_len++] = (char)bytes[i];
    }
    w.out[w.out_len] = 0;
    return len;
}

static size_t fake_read(void *ctx, u8 *bytes, size_t len)
{
    size_t n = 0;

    while (n < len && w.in && *w.in)
        bytes[n++] = (u8)*w.in++;
    return n;
}

static bool fake_memory_is_valid(void *ctx, gpa_t gpa, u64 len)
{
    return gmem_is_valid(&w.gmem, gpa, len, true);
}

static bool fake_memory_read(void *ctx, gpa_t gpa, void *buf, size_t len)
{
    return gmem_read(&w.gmem, gpa, buf, len);
}

static bool fake_memory_write(void *ctx, gpa_t gpa, const void *buf, size_t len)
{
    return gmem_write(&w.gmem, gpa, buf, len);
}

/* Virtual memory: RAM seen 4 GiB higher. */
static bool fake_read_virtual(void *ctx, u32 hart, gva_t gva, void *buf, size_t len)
{
    return gmem_read(&w.gmem, gva - 4 * GIB, buf, len);
}

static u64 fake_counter_read(void *ctx, u32 hart, u32 index)
{
    return w.counter[index];
}

static void fake_counter_write(void *ctx, u32 hart, u32 index, u64 value)
{
    w.counter[index] = value;
}

static bool fake_counter_config(void *ctx, u32 hart, u32 index, u32 event, u64 data, u32 inhibit)
{
    CHECK(index >= 3 && index < HW);
    if (event != 1 && event != 2 && event != 0x20000)
        return false;
    w.config_event[index] = event;
    return true;
}

static void fake_counter_start(void *ctx, u32 hart, u32 index)
{
    w.running[index] = true;
}

static void fake_counter_stop(void *ctx, u32 hart, u32 index)
{
    w.running[index] = false;
}

static bool fake_ad_updating(void *ctx, u32 hart, const bool *set, bool *on)
{
    if (set)
        w.ad_updating = *set;
    *on = w.ad_updating;
    return true;
}

static void setup(void)
{
    free(w.sbi);
    memset(&w, 0, sizeof(w));
    w.gmem.region[0] = (struct gmem_region){.base = RAM, .size = RAM_SIZE, .host = w.ram};
    w.gmem.region[1] =
        (struct gmem_region){.base = ROM, .size = sizeof(w.rom), .host = w.rom, .readonly = true};
    w.gmem.count = 2;
    w.platform = (struct sbi_platform){
        .memory_is_valid = fake_memory_is_valid,
        .memory_read = fake_memory_read,
        .memory_write = fake_memory_write,
        .set_timer = fake_set_timer,
        .send_ipi = fake_send_ipi,
        .clear_ipi = fake_clear_ipi,
        .remote_fence = fake_fence,
        .hart_start = fake_start,
        .hart_stop = fake_stop,
        .hart_suspend = fake_suspend,
        .hart_resume = fake_resume,
        .steal_time = fake_steal,
        .system_reset = fake_reset,
        .console_write = fake_write,
        .console_read = fake_read,
        .read_virtual = fake_read_virtual,
        .counter_read = fake_counter_read,
        .counter_write = fake_counter_write,
        .counter_config = fake_counter_config,
        .counter_start = fake_counter_start,
        .counter_stop = fake_counter_stop,
        .ad_updating = fake_ad_updating,
        .mvendorid = 11,
        .marchid = 22,
        .mimpid = 33,
        .counter_count = HW,
    };
    w.sbi = aligned_alloc(16, (sbi_size(HARTS) + 15) & ~(size_t)15);
    memset(w.sbi, 0xa5, sbi_size(HARTS));
    sbi_init(w.sbi, &w.platform, &w, NULL, HARTS, 0);
}

struct answer {
    s64 error;
    u64 value;
    bool legacy;
};

static struct answer ecall(u32 hart, u64 ext, u64 func, u64 a0, u64 a1, u64 a2, u64 a3, u64 a4)
{
    struct sbi_call call = {.ext = ext, .func = func, .arg = {a0, a1, a2, a3, a4}};
    struct sbi_ret ret = sbi_ecall(w.sbi, hart, &call);

    return (struct answer){ret.error, ret.value, sbi_is_legacy(ext)};
}

#define CALL(ext, func, ...)                       CALL_(0, ext, func, __VA_ARGS__, 0, 0, 0, 0, 0)
#define CALL_ON(hart, ext, func, ...)              CALL_(hart, ext, func, __VA_ARGS__, 0, 0, 0, 0, 0)
#define CALL_(hart, ext, func, a, b, c, d, e, ...) ecall(hart, ext, func, a, b, c, d, e)
#define ERR(call)                                  ((s64)(call).error)

/* Brings hart from STOPPED to STARTED. */
static void start(u32 hart)
{
    CHECK_EQ(ERR(CALL(EXT_HSM, 0, hart, RAM)), SBI_SUCCESS);
    sbi_hart_started(w.sbi, hart);
}

static void start_all(void)
{
    for (u32 i = 1; i < HARTS; i++)
        start(i);
}

static u64 status(u32 hart)
{
    struct answer c = CALL(EXT_HSM, 2, hart);

    CHECK_EQ(ERR(c), SBI_SUCCESS);
    return c.value;
}

TEST(base)
{
    static const u64 present[] = {EXT_BASE, EXT_TIME, EXT_IPI,  EXT_RFENCE, EXT_HSM, EXT_SRST,
                                  EXT_PMU,  EXT_DBCN, EXT_FWFT, 0,          1,       2,
                                  3,        4,        5,        6,          7,       8};
    static const u64 absent[] = {9,         0xf, 0x11, 0x4e41434c /* NACL */, EXT_HSM | BIT(32),
                                 UINT64_MAX};

    setup();
    CHECK_EQ(CALL(EXT_BASE, 0, 0).value, 0x2000000);
    CHECK_EQ(CALL(EXT_BASE, 1, 0).value, 0x434F534D);
    CHECK(CALL(EXT_BASE, 2, 0).value != 0);
    CHECK_EQ(CALL(EXT_BASE, 4, 0).value, 11);
    CHECK_EQ(CALL(EXT_BASE, 5, 0).value, 22);
    CHECK_EQ(CALL(EXT_BASE, 6, 0).value, 33);
    CHECK_EQ(ERR(CALL(EXT_BASE, 7, 0)), SBI_ERR_NOT_SUPPORTED);
    for (size_t i = 0; i < ARRAY_SIZE(present); i++)
        CHECK_EQ(CALL(EXT_BASE, 3, present[i]).value, 1);
    for (size_t i = 0; i < ARRAY_SIZE(absent); i++) {
        CHECK_EQ(CALL(EXT_BASE, 3, absent[i]).value, 0);
        CHECK_EQ(ERR(CALL(absent[i], 0, 0)), SBI_ERR_NOT_SUPPORTED);
    }
}

TEST(optional_ops)
{
    setup();
    w.platform.clear_ipi = NULL;
    w.platform.read_virtual = NULL;
    w.platform.steal_time = NULL;
    for (u64 ext = 3; ext <= 7; ext++) {
        CHECK_EQ(CALL(EXT_BASE, 3, ext).value, 0);
        CHECK_EQ(ERR(CALL(ext, 0, 0)), SBI_ERR_NOT_SUPPORTED);
    }
    CHECK_EQ(CALL(EXT_BASE, 3, 8).value, 1);
    CHECK_EQ(CALL(EXT_BASE, 3, EXT_STA).value, 0);
    CHECK_EQ(ERR(CALL(EXT_STA, 0, RAM)), SBI_ERR_NOT_SUPPORTED);
}

TEST(time)
{
    struct answer c;

    setup();
    c = CALL(EXT_TIME, 0, 1234);
    CHECK_EQ(ERR(c), SBI_SUCCESS);
    CHECK(!c.legacy);
    CHECK_EQ(w.timer[0], 1234);
    CHECK_EQ(ERR(CALL(EXT_TIME, 1, 1)), SBI_ERR_NOT_SUPPORTED);
    CHECK_EQ(w.timer[0], 1234);
}

TEST(ipi_masks)
{
    setup();
    start_all();
    CHECK_EQ(ERR(CALL(EXT_IPI, 0, 5, 0)), SBI_SUCCESS);
    CHECK(w.ipis[0] == 1 && w.ipis[1] == 0 && w.ipis[2] == 1 && w.ipis[3] == 0);
    CHECK_EQ(ERR(CALL(EXT_IPI, 0, 3, 2)), SBI_SUCCESS);
    CHECK(w.ipis[2] == 2 && w.ipis[3] == 1);
    CHECK_EQ(ERR(CALL(EXT_IPI, 0, 0xdead, ALL)), SBI_SUCCESS); /* the mask does not matter */
    CHECK(w.ipis[0] == 2 && w.ipis[1] == 1 && w.ipis[2] == 3 && w.ipis[3] == 2);
    CHECK_EQ(ERR(CALL(EXT_IPI, 0, 0, 0)), SBI_SUCCESS); /* nobody */
    CHECK_EQ(ERR(CALL(EXT_IPI, 0, 16, 0)), SBI_ERR_INVALID_PARAM);
    CHECK_EQ(ERR(CALL(EXT_IPI, 0, 2, 3)), SBI_ERR_INVALID_PARAM);
    CHECK_EQ(ERR(CALL(EXT_IPI, 0, 1, 4)), SBI_ERR_INVALID_PARAM);
    CHECK_EQ(ERR(CALL(EXT_IPI, 0, 1, 64)), SBI_ERR_INVALID_PARAM);
    CHECK_EQ(ERR(CALL(EXT_IPI, 0, 1, ALL - 1)), SBI_ERR_INVALID_PARAM);
    CHECK(w.ipis[0] == 2 && w.ipis[1] == 1 && w.ipis[2] == 3 && w.ipis[3] == 2);
}

TEST(ipi_skips_stopped)
{
    setup();
    CHECK_EQ(ERR(CALL(EXT_IPI, 0, 15, 0)), SBI_SUCCESS);
    CHECK(w.ipis[0] == 1 && w.ipis[1] == 0);
}

TEST(rfence)
{
    setup();
    start_all();
    CHECK_EQ(ERR(CALL(EXT_RFENCE, 0, 6, 0)), SBI_SUCCESS);
    CHECK_EQ(w.fence_mask, 6);
    CHECK(w.fence.kind == SBI_FENCE_I && w.fence.size == ALL);
    CHECK_EQ(ERR(CALL(EXT_RFENCE, 1, 1, 1, 0x4000, 0x2000)), SBI_SUCCESS);
    CHECK(w.fence.kind == SBI_FENCE_VMA && w.fence.start == 0x4000 && w.fence.size == 0x2000);
    CHECK_EQ(w.fence_mask, 2);
    CHECK_EQ(ERR(CALL(EXT_RFENCE, 2, 0, ALL, 0, 0, 77)), SBI_SUCCESS);
    CHECK(w.fence.kind == SBI_FENCE_VMA_ASID && w.fence.asid == 77);
    CHECK(w.fence.start == 0 && w.fence.size == ALL);
    CHECK_EQ(w.fence_mask, 15);
    CHECK_EQ(ERR(CALL(EXT_RFENCE, 1, 1, 0, 0x4000, ALL)), SBI_SUCCESS);
    CHECK(w.fence.start == 0 && w.fence.size == ALL);
    CHECK_EQ(ERR(CALL(EXT_RFENCE, 1, 1, 0, ALL - 0xfff, 0x1000)), SBI_SUCCESS); /* to the top */
    CHECK(w.fence.start == 0 && w.fence.size == ALL);
    CHECK_EQ(w.fences, 5);
    CHECK_EQ(ERR(CALL(EXT_RFENCE, 1, 1, 0, 0x4000, 0)), SBI_SUCCESS); /* no address at all */
    CHECK_EQ(ERR(CALL(EXT_RFENCE, 1, 0, 0, 0, 0)), SBI_SUCCESS);      /* no hart */
    CHECK_EQ(w.fences, 5);
    CHECK_EQ(ERR(CALL(EXT_RFENCE, 0, 1, 9)), SBI_ERR_INVALID_PARAM);
    for (u64 f = 3; f < 10; f++)
        CHECK_EQ(ERR(CALL(EXT_RFENCE, f, 1, 0)), SBI_ERR_NOT_SUPPORTED);
}

TEST(hsm_start_stop)
{
    setup();
    CHECK_EQ(status(0), 0);
    CHECK_EQ(status(1), 1);
    CHECK_EQ(ERR(CALL(EXT_HSM, 2, HARTS)), SBI_ERR_INVALID_PARAM);
    CHECK_EQ(ERR(CALL(EXT_HSM, 0, HARTS, RAM)), SBI_ERR_INVALID_PARAM);
    CHECK_EQ(ERR(CALL(EXT_HSM, 0, BIT(32) | 1, RAM)), SBI_ERR_INVALID_PARAM);
    CHECK_EQ(ERR(CALL(EXT_HSM, 0, 1, ROM)), SBI_ERR_INVALID_ADDRESS);
    CHECK_EQ(ERR(CALL(EXT_HSM, 0, 1, RAM + 1)), SBI_ERR_INVALID_ADDRESS);
    CHECK_EQ(ERR(CALL(EXT_HSM, 0, 1, RAM + RAM_SIZE)), SBI_ERR_INVALID_ADDRESS);
    CHECK_EQ(ERR(CALL(EXT_HSM, 0, 1, ALL - 1)), SBI_ERR_INVALID_ADDRESS);
    CHECK_EQ(w.starts, 0);
    CHECK_EQ(ERR(CALL(EXT_HSM, 0, 1, RAM + RAM_SIZE - 2, 99)), SBI_SUCCESS);
    CHECK(w.starts == 1 && w.start_hart == 1 && w.start_opaque == 99);
    CHECK_EQ(w.start_pc, RAM + RAM_SIZE - 2);
    CHECK_EQ(status(1), 2);
    CHECK_EQ(ERR(CALL(EXT_HSM, 0, 1, RAM)), SBI_ERR_ALREADY_AVAILABLE);
    sbi_hart_started(w.sbi, 1);
    CHECK_EQ(status(1), 0);
    CHECK_EQ(ERR(CALL(EXT_HSM, 0, 1, RAM)), SBI_ERR_ALREADY_AVAILABLE);
    CHECK_EQ(ERR(CALL(EXT_HSM, 0, 0, RAM)), SBI_ERR_ALREADY_AVAILABLE);
    CHECK_EQ(ERR(CALL_ON(1, EXT_HSM, 1, 0)), SBI_SUCCESS);
    CHECK_EQ(status(1), 3);
    CHECK_EQ(ERR(CALL(EXT_HSM, 0, 1, RAM)), SBI_ERR_FAILED);
    sbi_hart_stopped(w.sbi, 1);
    CHECK_EQ(status(1), 1);
    CHECK_EQ(ERR(CALL(EXT_HSM, 0, 1, RAM)), SBI_SUCCESS);
    CHECK(w.starts == 2 && w.stops == 1);
    /* Notices that fit no transition change nothing. */
    sbi_hart_stopped(w.sbi, 1);
    sbi_hart_resumed(w.sbi, 1);
    CHECK_EQ(status(1), 2);
    /* The hart's first ecall shows that it runs. */
    CALL_ON(1, EXT_BASE, 0, 0);
    CHECK_EQ(status(1), 0);
    CHECK_EQ(ERR(CALL(EXT_HSM, 4, 0)), SBI_ERR_NOT_SUPPORTED);
}

TEST(hsm_suspend)
{
    setup();
    start(1);
    CHECK_EQ(ERR(CALL_ON(1, EXT_HSM, 3, 0)), SBI_SUCCESS);
    CHECK_EQ(w.suspends, 1);
    CHECK_EQ(status(1), 4);
    CHECK_EQ(ERR(CALL(EXT_HSM, 0, 1, RAM)), SBI_ERR_ALREADY_AVAILABLE);
    CALL(EXT_IPI, 0, 2, 0);
    CHECK_EQ(w.ipis[1], 1); /* a suspended hart can be woken */
    sbi_hart_resumed(w.sbi, 1);
    CHECK_EQ(status(1), 0);
    CHECK_EQ(w.resumes, 0);
    CHECK_EQ(ERR(CALL_ON(1, EXT_HSM, 3, 0x80000000, RAM + 0x100, 7)), SBI_SUCCESS);
    sbi_hart_resumed(w.sbi, 1);
    CHECK(w.resumes == 1 && w.start_hart == 1 && w.start_pc == RAM + 0x100 && w.start_opaque == 7);
    sbi_hart_resumed(w.sbi, 1);
    CHECK_EQ(w.resumes, 1);
    CHECK_EQ(ERR(CALL_ON(1, EXT_HSM, 3, 0x80000000, 0)), SBI_ERR_INVALID_ADDRESS);
    CHECK_EQ(ERR(CALL_ON(1, EXT_HSM, 3, 1)), SBI_ERR_INVALID_PARAM);
    CHECK_EQ(ERR(CALL_ON(1, EXT_HSM, 3, 0x0fffffff)), SBI_ERR_INVALID_PARAM);
    CHECK_EQ(ERR(CALL_ON(1, EXT_HSM, 3, 0x10000000)), SBI_ERR_NOT_SUPPORTED);
    CHECK_EQ(ERR(CALL_ON(1, EXT_HSM, 3, 0x80000001)), SBI_ERR_INVALID_PARAM);
    CHECK_EQ(ERR(CALL_ON(1, EXT_HSM, 3, 0x90000000)), SBI_ERR_NOT_SUPPORTED);
    CHECK_EQ(status(1), 0);
    CHECK_EQ(w.suspends, 2);
}

TEST(system_suspend)
{
    setup();
    CHECK_EQ(CALL(EXT_BASE, 3, EXT_SUSP).value, 1);
    start(1);
    CHECK_EQ(ERR(CALL(EXT_SUSP, 0, 0, RAM + 0x200, 9)), SBI_ERR_DENIED);
    CHECK_EQ(ERR(CALL_ON(1, EXT_HSM, 1, 0)), SBI_SUCCESS);
    /* On its way to be stopped it still runs. */
    CHECK_EQ(ERR(CALL(EXT_SUSP, 0, 0, RAM + 0x200, 9)), SBI_ERR_DENIED);
    sbi_hart_stopped(w.sbi, 1);
    CHECK_EQ(ERR(CALL(EXT_SUSP, 0, 1, RAM)), SBI_ERR_INVALID_PARAM);
    CHECK_EQ(ERR(CALL(EXT_SUSP, 0, 0x80000000, RAM)), SBI_ERR_INVALID_PARAM);
    CHECK_EQ(ERR(CALL(EXT_SUSP, 0, 0, RAM + 1)), SBI_ERR_INVALID_ADDRESS);
    CHECK_EQ(ERR(CALL(EXT_SUSP, 0, 0, ROM)), SBI_ERR_INVALID_ADDRESS);
    CHECK_EQ(ERR(CALL(EXT_SUSP, 0, 0, RAM + RAM_SIZE)), SBI_ERR_INVALID_ADDRESS);
    CHECK_EQ(ERR(CALL(EXT_SUSP, 1, 0, RAM)), SBI_ERR_NOT_SUPPORTED);
    CHECK_EQ(w.suspends, 0);
    /* The type has 32 bits. */
    CHECK_EQ(ERR(CALL(EXT_SUSP, 0, UINT64_C(1) << 32, RAM + 0x200, 9)), SBI_SUCCESS);
    CHECK(w.suspends == 1 && w.resumes == 0);
    sbi_hart_resumed(w.sbi, 0);
    CHECK(w.resumes == 1 && w.start_hart == 0 && w.start_pc == RAM + 0x200 && w.start_opaque == 9);
    CHECK_EQ(status(0), 0);
}

TEST(steal_time)
{
    setup();
    CHECK_EQ(CALL(EXT_BASE, 3, EXT_STA).value, 1);
    start(1);
    memset(w.ram, 0xff, 256);
    CHECK_EQ(ERR(CALL_ON(1, EXT_STA, 0, RAM + 64, 0, 0)), SBI_SUCCESS);
    CHECK_EQ(w.steal[1], RAM + 64);
    for (u32 i = 0; i < 256; i++)
        CHECK_EQ(w.ram[i], i >= 64 && i < 128 ? 0 : 0xff);
    CHECK_EQ(ERR(CALL_ON(1, EXT_STA, 0, RAM + 128, 0, 1)), SBI_ERR_INVALID_PARAM);
    CHECK_EQ(ERR(CALL_ON(1, EXT_STA, 0, ALL, ALL, 1)), SBI_ERR_INVALID_PARAM);
    CHECK_EQ(ERR(CALL_ON(1, EXT_STA, 0, RAM + 32, 0, 0)), SBI_ERR_INVALID_PARAM);
    CHECK_EQ(ERR(CALL_ON(1, EXT_STA, 0, ALL, 0, 0)), SBI_ERR_INVALID_PARAM);
    CHECK_EQ(ERR(CALL_ON(1, EXT_STA, 0, RAM, 1, 0)), SBI_ERR_INVALID_ADDRESS);
    CHECK_EQ(ERR(CALL_ON(1, EXT_STA, 0, RAM, ALL, 0)), SBI_ERR_INVALID_ADDRESS);
    CHECK_EQ(ERR(CALL_ON(1, EXT_STA, 0, ROM, 0, 0)), SBI_ERR_INVALID_ADDRESS);
    CHECK_EQ(ERR(CALL_ON(1, EXT_STA, 0, RAM + RAM_SIZE, 0, 0)), SBI_ERR_INVALID_ADDRESS);
    CHECK_EQ(ERR(CALL_ON(1, EXT_STA, 0, -UINT64_C(64), 0, 0)), SBI_ERR_INVALID_ADDRESS);
    CHECK_EQ(ERR(CALL_ON(1, EXT_STA, 1, RAM, 0, 0)), SBI_ERR_NOT_SUPPORTED);
    CHECK_EQ(w.steal[1], RAM + 64);
    CHECK_EQ(ERR(CALL_ON(1, EXT_STA, 0, ALL, ALL, 0)), SBI_SUCCESS);
    CHECK_EQ(w.steal[1], SBI_STEAL_NOWHERE);
    CHECK_EQ(w.steal[0], 0);
}

TEST(srst)
{
    setup();
    for (u64 type = 0; type < 3; type++) {
        CHECK_EQ(ERR(CALL(EXT_SRST, 0, type, type & 1)), SBI_SUCCESS);
        CHECK(w.reset_type == (enum sbi_reset_type)type && w.reset_failed == (type & 1));
    }
    CHECK_EQ(ERR(CALL(EXT_SRST, 0, 3, 0)), SBI_ERR_INVALID_PARAM);
    CHECK_EQ(ERR(CALL(EXT_SRST, 0, 0xf0000000, 0)), SBI_ERR_INVALID_PARAM);
    CHECK_EQ(ERR(CALL(EXT_SRST, 0, 0, 2)), SBI_ERR_INVALID_PARAM);
    CHECK_EQ(ERR(CALL(EXT_SRST, 1, 0, 0)), SBI_ERR_NOT_SUPPORTED);
    CHECK_EQ(w.resets, 3);
}

TEST(dbcn_write)
{
    struct answer c;

    setup();
    memcpy(w.ram + 0x100, "hello", 5);
    c = CALL(EXT_DBCN, 0, 5, RAM + 0x100);
    CHECK(ERR(c) == SBI_SUCCESS && c.value == 5);
    CHECK_STR(w.out, "hello");
    CHECK_EQ(ERR(CALL(EXT_DBCN, 2, 0x1200 | '!')), SBI_SUCCESS);
    CHECK_STR(w.out, "hello!");
    memset(w.ram, 'x', RAM_SIZE);
    w.out_len = 0;
    c = CALL(EXT_DBCN, 0, RAM_SIZE, RAM); /* more than one call moves */
    CHECK_EQ(ERR(c), SBI_SUCCESS);
    CHECK(c.value > 0 && c.value == w.out_len);
    w.out_len = 0;
    c = CALL(EXT_DBCN, 0, 300, RAM + RAM_SIZE - 300); /* more than a chunk, to the last byte */
    CHECK(ERR(c) == SBI_SUCCESS && c.value == 300 && w.out_len == 300);
    CHECK_EQ(ERR(CALL(EXT_DBCN, 0, 0, 0)), SBI_SUCCESS);
    CHECK_EQ(ERR(CALL(EXT_DBCN, 0, 301, RAM + RAM_SIZE - 300)), SBI_ERR_INVALID_PARAM);
    CHECK_EQ(ERR(CALL(EXT_DBCN, 0, ALL, RAM)), SBI_ERR_INVALID_PARAM);
    CHECK_EQ(ERR(CALL(EXT_DBCN, 0, 2, ALL)), SBI_ERR_INVALID_PARAM);
    CHECK_EQ(ERR(CALL(EXT_DBCN, 0, 1, ROM)), SBI_ERR_INVALID_PARAM);
    CHECK_EQ(ERR(CALL(EXT_DBCN, 0, 1, RAM, 1)), SBI_ERR_INVALID_PARAM);
    CHECK_EQ(w.out_len, 300);
    CHECK_EQ(ERR(CALL(EXT_DBCN, 3, 0)), SBI_ERR_NOT_SUPPORTED);
}

TEST(dbcn_read)
{
    struct answer c;

    setup();
    c = CALL(EXT_DBCN, 1, 16, RAM + 8);
    CHECK(ERR(c) == SBI_SUCCESS && c.value == 0);
    w.in = "typed";
    c = CALL(EXT_DBCN, 1, 3, RAM + 8);
    CHECK(ERR(c) == SBI_SUCCESS && c.value == 3);
    CHECK(!memcmp(w.ram + 8, "typ", 4));
    CHECK_EQ(ERR(CALL(EXT_DBCN, 1, 1, ROM)), SBI_ERR_INVALID_PARAM);
    CHECK_EQ(ERR(CALL(EXT_DBCN, 1, 8, RAM + RAM_SIZE - 7)), SBI_ERR_INVALID_PARAM);
    CHECK_STR(w.in, "ed"); /* a refused read takes nothing */
    CHECK_EQ(CALL(EXT_DBCN, 1, 4096, RAM).value, 2);
}

TEST(legacy)
{
    struct answer c;

    setup();
    start_all();
    c = CALL(0, 0, 55);
    CHECK(c.legacy && ERR(c) == 0 && w.timer[0] == 55);
    CALL(1, 0, 'A');
    CHECK_STR(w.out, "A");
    CHECK_EQ(ERR(CALL(2, 0, 0)), -1);
    w.in = "\xff";
    CHECK_EQ(ERR(CALL(2, 0, 0)), 255);
    le64_store(w.ram + 0x20, 6);
    CHECK_EQ(ERR(CALL(4, 0, RAM + 4 * GIB + 0x20)), 0);
    CHECK(w.ipis[0] == 0 && w.ipis[1] == 1 && w.ipis[2] == 1);
    CHECK_EQ(ERR(CALL_ON(1, 3, 0, 0)), 1);
    CHECK_EQ(ERR(CALL_ON(1, 3, 0, 0)), 0);
    CHECK_EQ(ERR(CALL(4, 0, RAM)), SBI_ERR_INVALID_ADDRESS);
    CHECK_EQ(ERR(CALL(5, 0, 0)), 0); /* no mask: all harts */
    CHECK(w.fence_mask == 15 && w.fence.kind == SBI_FENCE_I);
    CHECK_EQ(ERR(CALL(6, 0, RAM + 4 * GIB + 0x20, 0x1000, 0x3000)), 0);
    CHECK(w.fence_mask == 6 && w.fence.kind == SBI_FENCE_VMA && w.fence.size == 0x3000);
    CHECK_EQ(ERR(CALL(7, 0, RAM + 4 * GIB + 0x20, 0x1000, 0x3000, 9)), 0);
    CHECK(w.fence.kind == SBI_FENCE_VMA_ASID && w.fence.asid == 9 && w.fence.start == 0x1000);
    le64_store(w.ram + 0x20, 16);
    CHECK_EQ(ERR(CALL(4, 0, RAM + 4 * GIB + 0x20)), SBI_ERR_INVALID_PARAM);
    CALL(8, 0, 0);
    CHECK(w.resets == 1 && w.reset_type == SBI_RESET_SHUTDOWN);
}

TEST(pmu_info)
{
    u64 n, i;

    setup();
    n = CALL(EXT_PMU, 0, 0).value;
    CHECK(n > HW && n <= 64);
    CHECK_EQ(CALL(EXT_PMU, 1, 0).value, 0x3fc00);
    CHECK_EQ(CALL(EXT_PMU, 1, 2).value, 0x3fc02);
    CHECK_EQ(CALL(EXT_PMU, 1, HW - 1).value, 0x3fc00 + HW - 1);
    for (i = HW; i < n; i++)
        CHECK_EQ(CALL(EXT_PMU, 1, i).value >> 63, 1);
    CHECK_EQ(ERR(CALL(EXT_PMU, 1, 1)), SBI_ERR_INVALID_PARAM); /* time */
    CHECK_EQ(ERR(CALL(EXT_PMU, 1, n)), SBI_ERR_INVALID_PARAM);
    CHECK_EQ(ERR(CALL(EXT_PMU, 1, ALL)), SBI_ERR_INVALID_PARAM);
    CHECK_EQ(ERR(CALL(EXT_PMU, 7, RAM, 0, 0)), SBI_ERR_NOT_SUPPORTED);
    CHECK_EQ(ERR(CALL(EXT_PMU, 8, 0)), SBI_ERR_NOT_SUPPORTED);
}

TEST(pmu_hardware)
{
    struct answer c;

    setup();
    w.counter[3] = 5;
    c = CALL(EXT_PMU, 2, 0, 0x3d, 0x6, 1); /* cycles anywhere: a programmable counter */
    CHECK(ERR(c) == SBI_SUCCESS && c.value == 3);
    CHECK(w.running[3] && w.config_event[3] == 1 && w.counter[3] == 0);
    CHECK_EQ(CALL(EXT_PMU, 2, 0, 0x3d, 0, 1).value, 4); /* 3 is taken */
    c = CALL(EXT_PMU, 2, 0, 0x5, 0, 2);
    CHECK(ERR(c) == SBI_SUCCESS && c.value == 2); /* fixed ones alone */
    CHECK_EQ(ERR(CALL(EXT_PMU, 2, 0, 0x5, 0, 2)), SBI_ERR_NOT_SUPPORTED);
    CHECK_EQ(ERR(CALL(EXT_PMU, 2, 0, 0x3d, 0, 3)), SBI_ERR_NOT_SUPPORTED);
    CHECK_EQ(ERR(CALL(EXT_PMU, 2, 0, 0x3f, 0, 1)), SBI_ERR_INVALID_PARAM); /* time is among them */
    CHECK_EQ(ERR(CALL(EXT_PMU, 2, 0, 1, 0x100, 1)), SBI_ERR_INVALID_PARAM);
    CHECK_EQ(ERR(CALL(EXT_PMU, 2, 63, ALL, 0, 1)), SBI_ERR_INVALID_PARAM);
    CHECK_EQ(ERR(CALL(EXT_PMU, 2, ALL, 2, 0, 1)), SBI_ERR_INVALID_PARAM);
    CHECK_EQ(ERR(CALL(EXT_PMU, 2, 0, 1, 0, BIT(20) | 1)), SBI_ERR_INVALID_PARAM);
    CHECK_EQ(ERR(CALL(EXT_PMU, 3, 2, 1, 1, 1000)), SBI_SUCCESS);
    CHECK(w.running[2] && w.counter[2] == 1000);
    CHECK_EQ(ERR(CALL(EXT_PMU, 3, 2, 5, 0)), SBI_ERR_ALREADY_STARTED); /* 2 runs, 4 starts */
    CHECK(w.running[4]);
    CHECK_EQ(ERR(CALL(EXT_PMU, 3, 5, 1, 0)), SBI_ERR_INVALID_PARAM); /* not configured */
    CHECK_EQ(ERR(CALL(EXT_PMU, 3, 4, 1, 2)), SBI_ERR_NO_SHMEM);
    CHECK_EQ(ERR(CALL(EXT_PMU, 4, 4, 1, 2)), SBI_ERR_NO_SHMEM);
    CHECK_EQ(ERR(CALL(EXT_PMU, 3, 4, 1, 4)), SBI_ERR_INVALID_PARAM);
    CHECK_EQ(ERR(CALL(EXT_PMU, 4, 4, 1, 4)), SBI_ERR_INVALID_PARAM);
    CHECK_EQ(ERR(CALL(EXT_PMU, 4, 4, 1, 0)), SBI_SUCCESS);
    CHECK(!w.running[4]);
    CHECK_EQ(ERR(CALL(EXT_PMU, 4, 4, 1, 1)), SBI_ERR_ALREADY_STOPPED);
    CHECK_EQ(CALL(EXT_PMU, 2, 0, 0x3d, 0, 1).value, 4); /* was reset, so it is free again */
    CHECK_EQ(ERR(CALL(EXT_PMU, 5, 4)), SBI_ERR_INVALID_PARAM);
}

TEST(pmu_skip_match)
{
    struct answer c;

    setup();
    c = CALL(EXT_PMU, 2, 0, 1, 0x1, 1);
    CHECK(ERR(c) == SBI_SUCCESS && c.value == 0);
    c = CALL(EXT_PMU, 2, 0, 1, 0x7, 1); /* again, as it is configured */
    CHECK(ERR(c) == SBI_SUCCESS && c.value == 0 && w.running[0]);
    c = CALL(EXT_PMU, 2, 0, 1, 0x7, 1);
    CHECK(ERR(c) == SBI_SUCCESS && w.running[0]);
    CHECK_EQ(ERR(CALL(EXT_PMU, 2, 0, 0, 0x1, 1)), SBI_ERR_NOT_SUPPORTED);
    CHECK_EQ(ERR(CALL(EXT_PMU, 2, 2, 1, 0x1, 1)), SBI_ERR_NOT_SUPPORTED); /* instret: no cycles */
}

TEST(pmu_firmware)
{
    struct answer c;
    u64 fw;

    setup();
    start_all();
    c = CALL(EXT_PMU, 2, 0, 0x3ffffffffffc & GENMASK(21, 2), 0x6, FW_EVENT(5));
    CHECK_EQ(ERR(c), SBI_SUCCESS);
    fw = c.value;
    CHECK(fw >= HW);
    CHECK_EQ(CALL(EXT_PMU, 5, fw).value, 0);
    CALL(EXT_TIME, 0, 1);
    CALL(EXT_TIME, 0, 1);
    CALL_ON(1, EXT_TIME, 0, 1); /* another hart's */
    CHECK_EQ(CALL(EXT_PMU, 5, fw).value, 2);
    CHECK_EQ(CALL(EXT_PMU, 6, fw).value, 0);
    CHECK_EQ(ERR(CALL(EXT_PMU, 4, fw, 1, 0)), SBI_SUCCESS);
    CALL(EXT_TIME, 0, 1);
    CHECK_EQ(CALL(EXT_PMU, 5, fw).value, 2);
    CHECK_EQ(ERR(CALL(EXT_PMU, 3, fw, 1, 0)), SBI_SUCCESS);
    CALL(EXT_TIME, 0, 1);
    CHECK_EQ(CALL(EXT_PMU, 5, fw).value, 3);
    CALL(EXT_PMU, 4, fw, 1, 0);
    CHECK_EQ(ERR(CALL(EXT_PMU, 3, fw, 1, 1, 100)), SBI_SUCCESS);
    CALL(EXT_TIME, 0, 1);
    CHECK_EQ(CALL(EXT_PMU, 5, fw).value, 101);
    CHECK_EQ(CALL(EXT_PMU, 2, fw, 1, 0x3, FW_EVENT(5)).value, fw); /* clears it as it runs */
    CALL(EXT_TIME, 0, 1);
    CHECK_EQ(CALL(EXT_PMU, 5, fw).value, 1);
    /* Another hart receives. */
    c = CALL_ON(2, EXT_PMU, 2, HW, 1, 0x6, FW_EVENT(7));
    CHECK_EQ(c.value, HW);
    CALL(EXT_IPI, 0, 0xc, 0);
    CHECK_EQ(CALL_ON(2, EXT_PMU, 5, HW).value, 1);
    for (u64 code = 0; code < 30; code++)
        CHECK_EQ(ERR(CALL_ON(3, EXT_PMU, 2, HW, 1, 0, FW_EVENT(code))) == SBI_SUCCESS, code == 5);
    CHECK_EQ(ERR(CALL(EXT_PMU, 2, HW, 0xfffe, 0, FW_EVENT(4))), SBI_ERR_NOT_SUPPORTED);
    CHECK_EQ(ERR(CALL(EXT_PMU, 2, HW, 0xfffe, 0, FW_EVENT(14))), SBI_ERR_NOT_SUPPORTED);
    CHECK_EQ(ERR(CALL(EXT_PMU, 2, HW, 0xfffe, 0, FW_EVENT(0xffff))), SBI_ERR_NOT_SUPPORTED);
    CHECK_EQ(ERR(CALL(EXT_PMU, 5, HW + 15)), SBI_ERR_INVALID_PARAM);
    CHECK_EQ(ERR(CALL(EXT_PMU, 5, ALL)), SBI_ERR_INVALID_PARAM);
}

TEST(pmu_without_hardware)
{
    setup();
    w.platform.counter_count = 0;
    CHECK_EQ(CALL(EXT_PMU, 0, 0).value, 16);
    CHECK_EQ(CALL(EXT_PMU, 1, 1).value >> 63, 1);
    CHECK_EQ(ERR(CALL(EXT_PMU, 2, 0, 0xffff, 0, 1)), SBI_ERR_NOT_SUPPORTED);
    CHECK_EQ(ERR(CALL(EXT_PMU, 2, 0, 0xffff, 0, FW_EVENT(6))), SBI_SUCCESS);
}

static u64 random_state = 0x2545F4914F6CDD1D;

static u64 random64(void)
{
    random_state ^= random_state << 13;
    random_state ^= random_state >> 7;
    random_state ^= random_state << 17;
    return random_state;
}

/* A value that limits like: small, near a power of two, near RAM, near the top, or anything. */
static u64 random_argument(void)
{
    u64 r = random64();

    switch (r >> 60) {
    case 0 ... 5:
        return r % 70;
    case 6 ... 7:
        return BIT(r % 64) + (r >> 32) % 3 - 1;
    case 8 ... 10:
        return RAM + r % (RAM_SIZE + 16) - 8;
    case 11:
        return ALL - r % 4;
    case 12:
        return FW_EVENT(r % 32);
    case 13:
        return ROM + r % 4104;
    default:
        return r;
    }
}

TEST(random_calls)
{
    static const u64 ids[] = {EXT_BASE, EXT_TIME, EXT_IPI,  EXT_RFENCE, EXT_HSM, EXT_SRST,
                              EXT_PMU,  EXT_DBCN, EXT_FWFT, EXT_SUSP,   EXT_STA};

    setup();
    for (u32 n = 0; n < 400000; n++) {
        u32 hart = (u32)(random64() % HARTS);
        u64 pick = random64() % 24;
        struct sbi_call call = {.ext = pick < 11   ? ids[pick]
                                       : pick < 14 ? EXT_PMU
                                       : pick < 22 ? random64() % 20
                                                   : random_argument(),
                                .func = random64() % 8 ? random64() % 10 : random_argument()};
        struct sbi_ret ret;

        for (u32 i = 0; i < 6; i++)
            call.arg[i] = random_argument();
        ret = sbi_ecall(w.sbi, hart, &call);
        if (!sbi_is_legacy(call.ext))
            CHECK(ERR(ret) <= 0 && ERR(ret) >= SBI_ERR_DENIED_LOCKED);
        if (n % 3 == 0)
            sbi_hart_stopped(w.sbi, (u32)(random64() % HARTS));
        if (n % 5 == 0)
            sbi_hart_resumed(w.sbi, (u32)(random64() % HARTS));
        w.out_len = 0;
    }
}

/* Two harts fight over starting hart 2, whose own thread starts and stops as it is told. */
#define RACE_ROUNDS 3000

static _Atomic u32 race_start, race_won, race_done;

static void race_hart_start(void *ctx, u32 hart, gpa_t pc, u64 opaque)
{
    CHECK_EQ(atomic_exchange(&race_start, 1), 0); /* nobody starts a hart that is not stopped */
}

static void race_hart_stop(void *ctx, u32 hart)
{
}

static void *race_starter(void *arg)
{
    u32 hart = (u32)(uintptr_t)arg;

    while (!race_done) {
        struct answer c = CALL_ON(hart, EXT_HSM, 0, 2, RAM);
        if (ERR(c) == SBI_SUCCESS)
            race_won++;
        else
            CHECK(ERR(c) == SBI_ERR_ALREADY_AVAILABLE || ERR(c) == SBI_ERR_FAILED);
        if (ERR(c) == SBI_ERR_ALREADY_AVAILABLE)
            sched_yield(); /* the machine may have fewer cores than threads */
        CALL_ON(hart, EXT_IPI, 0, 4, 0);
        c = CALL_ON(hart, EXT_HSM, 2, 2);
        CHECK(c.value <= 3);
    }
    return NULL;
}

static void *race_victim(void *arg)
{
    for (u32 n = 0; n < RACE_ROUNDS; n++) {
        while (!race_start)
            sched_yield();
        race_start = 0;
        if (n & 1)
            sbi_hart_started(w.sbi, 2);
        CHECK_EQ(ERR(CALL_ON(2, EXT_HSM, 1, 0)), SBI_SUCCESS);
        sbi_hart_stopped(w.sbi, 2);
    }
    race_done = 1;
    return NULL;
}

TEST(hsm_race)
{
    pthread_t thread[3];

    setup();
    start(1);
    w.platform.hart_start = race_hart_start;
    w.platform.hart_stop = race_hart_stop;
    pthread_create(&thread[0], NULL, race_victim, NULL);
    pthread_create(&thread[1], NULL, race_starter, (void *)(uintptr_t)0);
    pthread_create(&thread[2], NULL, race_starter, (void *)(uintptr_t)1);
    for (u32 i = 0; i < 3; i++)
        pthread_join(thread[i], NULL);
    /* Each success was one start; the last stop may have been followed by one more. */
    CHECK(race_won == RACE_ROUNDS || race_won == RACE_ROUNDS + 1);
}

#define FWFT_SET(feature, value, flags) ERR(CALL(EXT_FWFT, 0, feature, value, flags))

TEST(firmware_features)
{
    setup();
    CHECK_EQ(FWFT_SET(1, 1, 0), SBI_ERR_NOT_SUPPORTED);
    CHECK_EQ(FWFT_SET(6, 1, 0), SBI_ERR_DENIED);
    CHECK_EQ(ERR(CALL(EXT_FWFT, 1, UINT32_MAX)), SBI_ERR_DENIED);
    CHECK_EQ(ERR(CALL(EXT_FWFT, 2, 0)), SBI_ERR_NOT_SUPPORTED);
    /* Misaligned accesses are delegated for good. */
    CHECK_EQ(CALL(EXT_FWFT, 1, 0).value, 1);
    CHECK_EQ(FWFT_SET(0, 1, 0), SBI_SUCCESS);
    CHECK_EQ(FWFT_SET(0, 0, 0), SBI_ERR_DENIED_LOCKED);
    CHECK_EQ(FWFT_SET(0, 2, 0), SBI_ERR_INVALID_PARAM);
    /* Updates of A and D, on and off until locked. */
    CHECK_EQ(CALL(EXT_FWFT, 1, 4).value, 0);
    CHECK_EQ(FWFT_SET(4, 1, 2), SBI_ERR_INVALID_PARAM);
    CHECK_EQ(FWFT_SET(4, 1, 0), SBI_SUCCESS);
    CHECK(w.ad_updating);
    CHECK_EQ(CALL(EXT_FWFT, 1, 4).value, 1);
    CHECK_EQ(FWFT_SET(4, 0, 1), SBI_SUCCESS);
    CHECK_EQ(FWFT_SET(4, 1, 0), SBI_ERR_DENIED_LOCKED);
    CHECK(!w.ad_updating);
    w.platform.ad_updating = NULL;
    CHECK_EQ(ERR(CALL(EXT_FWFT, 1, 4)), SBI_ERR_NOT_SUPPORTED);
    CHECK_EQ(FWFT_SET(4, 1, 0), SBI_ERR_NOT_SUPPORTED);
}

int main(void)
{
    alarm(100); /* a hang is a failure, too */
    return test_main();
}
