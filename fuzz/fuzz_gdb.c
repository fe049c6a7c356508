/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Fuzzes the gdb stub's protocol with a fake target (libFuzzer). Input is lines: '<' sends the rest
 * as it stands, '!' lets the target run, '~' reconnects, anything else is framed as a packet, so
 * that the fuzzer need not find out checksums.
 */
#include "base/assert.h"
#include "tests/fake_gdb.h"
#include "vmm/gdb_packet.h"
#include "vmm/gdb_session.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const u8 *data, size_t size);

static struct gdb_session *session;
static struct fake_gdb fake;

NORETURN void assert_failed(const char *expr, const char *file, int line)
{
    fprintf(stderr, "%s:%d: %s\n", file, line, expr);
    abort();
}

static void report(void *ctx, u32 hart, enum gdb_reason reason, gva_t address)
{
    gdb_session_stopped(session, hart, reason, address);
}

static void reconnect(void)
{
    if (gdb_session_is_open(session))
        gdb_session_close(session);
    fake_gdb_run(&fake, 1);
    gdb_session_open(session);
    fake_gdb_run(&fake, 1);
}

static void receive(const u8 *bytes, size_t len)
{
    while (len) {
        size_t pending, n = gdb_session_receive(session, bytes, len);

        ASSERT(n <= len);
        gdb_session_output(session, &pending);
        gdb_session_sent(session, pending);
        if (!n)
            break;
        bytes += n;
        len -= n;
    }
}

static void line_run(const u8 *line, size_t len)
{
    u8 sum = 0;
    char tail[4];

    if (len && line[0] == '<') {
        receive(line + 1, len - 1);
    } else if (len && line[0] == '!') {
        fake_gdb_run(&fake, 10);
    } else if (len && line[0] == '~') {
        reconnect();
    } else {
        for (size_t i = 0; i < len; i++)
            sum = (u8)(sum + line[i]);
        snprintf(tail, sizeof(tail), "#%02x", sum);
        receive((const u8 *)"$", 1);
        receive(line, len);
        receive((const u8 *)tail, 3);
    }
    if (gdb_session_is_over(session))
        reconnect();
}

int LLVMFuzzerTestOneInput(const u8 *data, size_t size)
{
    fake_gdb_init(&fake);
    fake.report = report;
    session = gdb_session_create(&fake.target);
    ASSERT(session);
    reconnect();
    while (size) {
        const u8 *end = memchr(data, '\n', size);
        size_t len = end ? (size_t)(end - data) : size;

        line_run(data, len);
        if (end)
            len++;
        data += len;
        size -= len;
    }
    ASSERT(fake.point_count <= FAKE_POINTS);
    gdb_session_destroy(session);
    return 0;
}
