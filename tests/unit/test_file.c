/* SPDX-License-Identifier: BSD-2-Clause */
/* Whole files, guest memory and the log's file: what goes in comes out, and errors are sentences.
 */
#include "base/log.h"
#include "host/file.h"
#include "host/log.h"
#include "host/memory.h"
#include "tests/test.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static struct err err;
static char dir[] = "/tmp/test-file-XXXXXX";
static char path_buf[128];

static const char *path(const char *name)
{
    snprintf(path_buf, sizeof(path_buf), "%s/%s", dir, name);
    return path_buf;
}

static bool refused(const char *name, u64 max, int code, const char *part)
{
    u8 *data = NULL;
    u64 size;
    int rc = file_read("--kernel", name, max, &data, &size, &err);

    if (rc == -code && strstr(err.msg, part) && strstr(err.msg, "--kernel: ") && !data)
        return true;
    printf("# %s: %d '%s'\n", name, rc, err.msg);
    free(data);
    return false;
}

TEST(written_is_read)
{
    static u8 bytes[100000];
    u8 *data;
    u64 size;

    CHECK(mkdtemp(dir) != NULL);
    for (size_t i = 0; i < sizeof(bytes); i++)
        bytes[i] = (u8)(i * 7);
    CHECK_EQ(file_write("--dump-dtb", path("a"), bytes, sizeof(bytes), &err), 0);
    CHECK_EQ(file_read("--kernel", path("a"), sizeof(bytes), &data, &size, &err), 0);
    CHECK_EQ(size, sizeof(bytes));
    CHECK(!memcmp(data, bytes, size));
    free(data);
    CHECK(refused(path("a"), sizeof(bytes) - 1, EFBIG, "larger than"));
}

TEST(sentences)
{
    CHECK(refused(path("none"), MIB, ENOENT, "does not exist"));
    CHECK(refused(path("a/b"), MIB, ENOTDIR, "does not exist"));
    CHECK(refused(dir, MIB, EISDIR, "is a directory"));
    close(open(path("empty"), O_CREAT | O_WRONLY, 0600));
    CHECK(refused(path("empty"), MIB, ENODATA, "is empty"));
    CHECK(refused("/dev/null", MIB, ENODATA, "is empty"));
    CHECK(refused("/dev/zero", MIB, EFBIG, "larger than the 1 MiB"));
    CHECK(refused("/dev/zero", 10, EFBIG, "larger than the 10 bytes"));
    if (geteuid()) {
        CHECK_EQ(chmod(path("empty"), 0), 0);
        CHECK(refused(path("empty"), MIB, EACCES, "permissions"));
    }
}

TEST(pipes_are_read_to_their_end)
{
    static u8 bytes[40000];
    char name[32];
    int fd[2];
    u8 *data;
    u64 size;

    CHECK_EQ(pipe(fd), 0);
    CHECK_EQ(write(fd[1], bytes, sizeof(bytes)), sizeof(bytes));
    close(fd[1]);
    snprintf(name, sizeof(name), "/proc/self/fd/%d", fd[0]);
    CHECK_EQ(file_read("--initrd", name, MIB, &data, &size, &err), 0);
    CHECK_EQ(size, sizeof(bytes));
    free(data);
    close(fd[0]);
}

TEST(writing_is_all_or_nothing)
{
    struct rlimit limit = {100, 100};
    struct stat st;
    u8 *data;
    u64 size;
    int status;
    pid_t child;

    CHECK_EQ(file_write("--dump-dtb", path("keep"), "old", 3, &err), 0);
    CHECK_EQ(chmod(path("keep"), 0640), 0);
    CHECK_EQ(file_write("--dump-dtb", path("keep"), "new!", 4, &err), 0);
    CHECK_EQ(stat(path("keep"), &st), 0);
    CHECK_EQ(st.st_mode & 07777, 0640);
    child = fork();
    if (child == 0) {
        static u8 large[1000];

        signal(SIGXFSZ, SIG_IGN);
        setrlimit(RLIMIT_FSIZE, &limit);
        _exit(file_write("--dump-dtb", path("keep"), large, sizeof(large), &err) == -EFBIG ? 0 : 1);
    }
    CHECK_EQ(waitpid(child, &status, 0), child);
    CHECK_EQ(status, 0);
    CHECK_EQ(file_read("x", path("keep"), 100, &data, &size, &err), 0);
    CHECK(size == 4 && !memcmp(data, "new!", 4));
    free(data);
    CHECK_EQ(file_write("--dump-dtb", path("no/where"), "x", 1, &err), -ENOENT);
    CHECK(strstr(err.msg, "directory"));
    CHECK_EQ(file_write("--dump-dtb", dir, "x", 1, &err), -EISDIR);
    CHECK_EQ(file_write("--dump-dtb", "/dev/null", "x", 1, &err), 0);
    CHECK_EQ(stat("/dev/null", &st), 0);
    CHECK(S_ISCHR(st.st_mode));
}

TEST(guest_memory)
{
    struct host_memory m;
    int status;
    pid_t child;

    CHECK_EQ(host_memory_create(&m, "test-ram", 64 * GIB, &err), 0); /* pages come when touched */
    CHECK_EQ((uintptr_t)m.base % (2 * MIB), 0);
    CHECK_EQ(m.base[0] | m.base[m.size - 1], 0);
    m.base[m.size - 1] = 1;
    for (int side = 0; side < 2; side++) {
        child = fork();
        if (child == 0) {
            signal(SIGSEGV, SIG_DFL);
            setrlimit(RLIMIT_CORE, &(struct rlimit){0, 0});
            *(volatile u8 *)(side ? m.base + m.size : m.base - 1) = 1;
            _exit(0);
        }
        CHECK_EQ(waitpid(child, &status, 0), child);
        CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGSEGV);
    }
    host_memory_destroy(&m);
    host_memory_destroy(&m);
    CHECK(host_memory_create(&m, "test-ram", UINT64_C(1) << 60, &err) < 0);
    CHECK(strstr(err.msg, "MiB of host memory"));
    host_memory_destroy(&m);
}

TEST(log_goes_to_its_file)
{
    struct log_limit limit = {0};
    struct log_sink *sink;
    char spec[200];
    const struct log *log;
    u8 *data;
    u64 size;

    snprintf(spec, sizeof(spec), "info,plic=debug,virtio=error,file=%s", path("log"));
    CHECK_EQ(log_sink_create(&sink, spec, &err), 0);
    log = log_sink_log(sink);
    log_print(log, LOG_DEBUG, "uart", "too much");
    log_print(log, LOG_DEBUG, "plic", "claim %d", 7);
    log_print(log, LOG_WARN, "virtio", "hushed");
    log_print(log, LOG_INFO, "uart", "escape \x1b[2J and \n");
    for (int i = 0; i < 100; i++)
        log_guest(log, &limit, "guest", "again");
    log_sink_destroy(sink);
    CHECK_EQ(file_read("x", path("log"), MIB, &data, &size, &err), 0);
    data[size - 1] = '\0'; /* the last newline */
    CHECK(!strstr((char *)data, "too much"));
    CHECK(!strstr((char *)data, "hushed"));
    CHECK(strstr((char *)data, "debug plic: claim 7\n"));
    CHECK(strstr((char *)data, "info  uart: escape ?[2J and ?\n"));
    CHECK(!memchr(data, 0x1b, size));
    free(data);
    CHECK(log_sink_create(&sink, "file=/nowhere/x", &err) < 0);
    CHECK(strstr(err.msg, "/nowhere/x"));
}

TEST(clean_up)
{
    static const char *const names[] = {"a", "empty", "keep", "log"};

    for (size_t i = 0; i < ARRAY_SIZE(names); i++)
        CHECK_EQ(unlink(path(names[i])), 0);
    CHECK_EQ(rmdir(dir), 0); /* no temporary file stayed */
}

static u64 blocks(const struct host_memory *m)
{
    struct stat st;

    CHECK_EQ(fstat(m->fd, &st), 0);
    return (u64)st.st_blocks * 512;
}

TEST(guest_memory_goes_back_to_the_host)
{
    struct host_memory m;
    u8 *other;

    CHECK_EQ(host_memory_create(&m, "test-ram", 8 * MIB, &err), 0);
    other = mmap(NULL, m.size, PROT_READ, MAP_SHARED, m.fd, 0); /* another process, or a view */
    CHECK(other != MAP_FAILED);
    host_memory_reach(&m, 0, m.size);
    memset(m.base, 0xff, m.size);
    CHECK_EQ(blocks(&m), m.size);
    CHECK(host_memory_discard(&m, 2 * MIB, 4 * MIB));
    CHECK_EQ(blocks(&m), m.size - 4 * MIB);
    CHECK_EQ(other[2 * MIB - 1], 0xff);
    CHECK_EQ(other[2 * MIB] | other[6 * MIB - 1] | m.base[4 * MIB], 0);
    CHECK_EQ(other[6 * MIB], 0xff);
    CHECK(host_memory_discard(&m, 6 * MIB + 1, 3 * 4096)); /* two whole pages lie in it */
    CHECK_EQ(other[6 * MIB + 4095], 0xff);
    CHECK_EQ(other[6 * MIB + 4096] | other[6 * MIB + 3 * 4096 - 1], 0);
    CHECK_EQ(other[6 * MIB + 3 * 4096], 0xff);
    CHECK(!host_memory_discard(&m, 1, 4096));
    host_memory_reach(&m, 6 * MIB, 2 * MIB); /* what is given up in part is not asked for again */
    CHECK_EQ(other[6 * MIB + 4096], 0);
    m.base[6 * MIB + 4096] = 1;
    CHECK_EQ(other[6 * MIB + 4096], 1);
    munmap(other, m.size);
    host_memory_destroy(&m);
}

TEST_MAIN()
