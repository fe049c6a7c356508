/* SPDX-License-Identifier: BSD-2-Clause */
/* The gdb stub on a fake target: packets, broken input, sockets, and a real gdb where there is. */
#include "tests/test.h"

#include "host/clock.h"
#include "tests/fake_gdb.h"
#include "vmm/gdb.h"
#include "vmm/gdb_packet.h"
#include "vmm/gdb_session.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

/* The protocol alone. */

static struct fake_gdb fake;
static struct gdb_session *session;
static char answer[8 * GDB_PACKET_MAX]; /* all that the session sent since the last send */

static void session_report(void *ctx, u32 hart, enum gdb_reason reason, gva_t address)
{
    gdb_session_stopped(session, hart, reason, address);
}

static void output_take(void)
{
    size_t len, had = strlen(answer);
    const u8 *bytes = gdb_session_output(session, &len);

    CHECK(had + len < sizeof(answer));
    memcpy(answer + had, bytes, len);
    answer[had + len] = 0;
    gdb_session_sent(session, len);
}

static void send_raw(const void *bytes, size_t len)
{
    const u8 *at = bytes;

    answer[0] = 0;
    while (len) {
        size_t n = gdb_session_receive(session, at, len);
        output_take();
        if (!n)
            break;
        at += n;
        len -= n;
    }
}

static size_t frame(char *to, const char *text, size_t len)
{
    u8 sum = 0;

    for (size_t i = 0; i < len; i++)
        sum = (u8)(sum + (u8)text[i]);
    to[0] = '$';
    memcpy(to + 1, text, len);
    return len + 1 + (size_t)sprintf(to + 1 + len, "#%02x", sum);
}

/* Sends a packet; the payload of the answer, which has to be one packet ("" if none came). */
static const char *ask_bytes(const char *text, size_t len)
{
    static char to[2 * GDB_PACKET_MAX];
    char *end;

    send_raw(to, frame(to, text, len));
    CHECK(answer[0] == '+');
    if (!answer[1])
        return "";
    CHECK(answer[1] == '$');
    end = strrchr(answer, '#');
    CHECK(end && strlen(end) == 3);
    if (end)
        *end = 0;
    return answer + 2;
}

static const char *ask(const char *text)
{
    return ask_bytes(text, strlen(text));
}

/* Lets the target run, and returns what the session then says. */
static const char *run(u32 steps)
{
    answer[0] = 0;
    fake_gdb_run(&fake, steps);
    output_take();
    return answer;
}

static void begin(void)
{
    gdb_session_destroy(session);
    fake_gdb_init(&fake);
    fake.report = session_report;
    session = gdb_session_create(&fake.target);
    gdb_session_open(session);
    CHECK(fake.stop_asked);
    CHECK_EQ(gdb_session_receive(session, (const u8 *)"$?#3f", 5), 0); /* not yet */
    fake_gdb_run(&fake, 0);
}

TEST(framing)
{
    static struct gdb_parser p;
    static const char escaped[] = "$a}\x03}]b#";
    enum gdb_event event = GDB_EVENT_NONE;
    u8 sum = 0;
    char digits[3];

    for (const char *c = escaped + 1; *c != '#'; c++)
        sum = (u8)(sum + (u8)*c);
    sprintf(digits, "%02X", sum);
    CHECK_EQ(gdb_parser_push(&p, 3), GDB_EVENT_INTERRUPT);
    CHECK_EQ(gdb_parser_push(&p, '-'), GDB_EVENT_NAK);
    CHECK_EQ(gdb_parser_push(&p, '+'), GDB_EVENT_NONE);
    for (const char *c = escaped; *c; c++)
        CHECK_EQ(gdb_parser_push(&p, (u8)*c), GDB_EVENT_NONE);
    CHECK_EQ(gdb_parser_push(&p, (u8)digits[0]), GDB_EVENT_NONE);
    CHECK_EQ(gdb_parser_push(&p, (u8)digits[1]), GDB_EVENT_PACKET);
    CHECK_EQ(p.len, 4);
    CHECK(!memcmp(p.data, "a#}b", 5));
    for (const char *c = "$x$g#67"; *c; c++) /* the first one was cut off */
        event = gdb_parser_push(&p, (u8)*c);
    CHECK(event == GDB_EVENT_PACKET && p.len == 1);
    for (const char *c = "$g#68"; *c; c++)
        event = gdb_parser_push(&p, (u8)*c);
    CHECK_EQ(event, GDB_EVENT_BAD);
    for (const char *c = "$g#zz"; *c; c++)
        event = gdb_parser_push(&p, (u8)*c);
    CHECK_EQ(event, GDB_EVENT_BAD);
    for (const char *c = "$}#7d"; *c; c++)
        event = gdb_parser_push(&p, (u8)*c);
    CHECK_EQ(event, GDB_EVENT_BAD);
}

TEST(framing_limits)
{
    static struct gdb_parser p;
    static char text[GDB_PACKET_MAX + 8], packet[GDB_PACKET_MAX + 16];
    enum gdb_event event = GDB_EVENT_NONE;

    memset(text, 'a', sizeof(text));
    for (size_t len = GDB_PACKET_MAX - 1; len <= GDB_PACKET_MAX + 2; len++) {
        size_t n = frame(packet, text, len);
        for (size_t i = 0; i < n; i++)
            event = gdb_parser_push(&p, (u8)packet[i]);
        CHECK_EQ(event, len <= GDB_PACKET_MAX ? GDB_EVENT_PACKET : GDB_EVENT_TOO_LONG);
    }
}

TEST(acknowledgements)
{
    begin();
    send_raw("$?#00", 5);
    CHECK_STR(answer, "-");
    send_raw("+++garbage", 10);
    CHECK_STR(answer, "");
    CHECK_STR(ask("qC"), "QC1");
    send_raw("-", 1);
    CHECK_STR(answer, "$QC1#c5"); /* the last packet again */
    CHECK_STR(ask("QStartNoAckMode"), "OK");
    send_raw("$qC#b4", 6);
    CHECK_STR(answer, "$QC1#c5");
    send_raw("$qC#00", 6);
    CHECK_STR(answer, "");
    send_raw("-", 1);
    CHECK_STR(answer, "");
}

TEST(queries)
{
    begin();
    CHECK(strstr(ask("qSupported:multiprocess+;swbreak+;hwbreak+"), "PacketSize=4000;"));
    CHECK_STR(ask("qAttached"), "1");
    CHECK_STR(ask("vMustReplyEmpty"), "");
    CHECK_STR(ask("qOffsets"), "");
    CHECK_STR(ask(""), "");
    CHECK_STR(ask("qfThreadInfo"), "m1,2,3");
    CHECK_STR(ask("qsThreadInfo"), "l");
    CHECK_STR(ask("qThreadExtraInfo,2"), "68617274203120285"
                                         "32d6d6f64652c2077666929"); /* hart 1 (S-mode, wfi) */
    CHECK_STR(ask("qThreadExtraInfo,4"), "E16");
    CHECK_STR(ask("qThreadExtraInfo,0"), "E16");
    CHECK_STR(ask("T3"), "OK");
    CHECK_STR(ask("T4"), "E16");
    CHECK_STR(ask("T"), "E16");
    CHECK_STR(ask("Hg3"), "OK");
    CHECK_STR(ask("qC"), "QC3");
    CHECK_STR(ask("Hg0"), "OK");
    CHECK_STR(ask("qC"), "QC1");
    CHECK_STR(ask("Hg-1"), "OK");
    CHECK_STR(ask("Hc-1"), "OK");
    CHECK_STR(ask("Hg4"), "E16");
    CHECK_STR(ask("Hgffffffffffffffff"), "E16");
    CHECK_STR(ask("Hx1"), "E16");
    CHECK_STR(ask("H"), "E16");
    CHECK_STR(ask("vCont?"), "vCont;c;C;s;S");
    CHECK(strstr(ask("?"), "T05thread:1;") != NULL);
}

TEST(features)
{
    static char xml[65536];
    size_t len = 0;

    begin();
    for (;;) {
        char packet[64];
        const char *part;
        sprintf(packet, "qXfer:features:read:target.xml:%zx,%x", len, 0x3ff);
        part = ask(packet);
        strcpy(xml + len, part + 1);
        len += strlen(part + 1);
        if (part[0] != 'm') {
            CHECK_EQ(part[0], 'l');
            break;
        }
    }
    CHECK(strstr(xml, "org.gnu.gdb.riscv.cpu") && strstr(xml, "org.gnu.gdb.riscv.fpu"));
    CHECK(strstr(xml, "<reg name=\"mstatus\" bitsize=\"64\" regnum=\"833\""));
    CHECK(strstr(xml, "<reg name=\"priv\" bitsize=\"64\" regnum=\"4161\""));
    CHECK(len > 8 && !strcmp(xml + len - 10, "</target>\n"));
    CHECK_STR(ask("qXfer:features:read:other.xml:0,100"), "E16");
    CHECK_STR(ask("qXfer:features:read:target.xml:ffffffff,100"), "E16");
    CHECK_STR(ask("qXfer:features:read:target.xml:0"), "E16");
    CHECK_EQ(strlen(ask("qXfer:features:read:target.xml:0,ffffffffffffffff")) > 4000, 1);
}

TEST(registers)
{
    char g[33 * 16 + 2] = "G";

    begin();
    fake.reg[1][2] = 0x1122334455667788;
    CHECK_EQ(strlen(ask("g")), 33 * 16);
    CHECK_STR(ask("Hg2"), "OK");
    CHECK_STR(ask("p2"), "8877665544332211");
    CHECK_STR(ask("P2=0100000000000000"), "OK");
    CHECK_EQ(fake.reg[1][2], 1);
    CHECK_STR(ask("P0=0100000000000000"), "OK");
    CHECK_EQ(fake.reg[1][0], 0);
    CHECK_STR(ask("p1041"), "0100000000000000"); /* priv */
    CHECK_STR(ask("p1042"), "E16");
    CHECK_STR(ask("pfffffffffffffffff"), "E16");
    CHECK_STR(ask("p"), "E16");
    CHECK_STR(ask("pf55"), "0100000000000000");     /* mhartid */
    CHECK_STR(ask("p801"), "xxxxxxxxxxxxxxxx");     /* a CSR that is not there */
    CHECK_STR(ask("Pc41=0000000000000000"), "E16"); /* one that cannot be written */
    CHECK_STR(ask("P2=01"), "E16");
    CHECK_STR(ask("P2=01000000000000000"), "E16");
    CHECK_STR(ask("P2"), "E16");
    for (int i = 0; i < 33; i++)
        sprintf(g + 1 + 16 * i, "%02x00000000000000", i);
    CHECK_STR(ask(g), "OK");
    CHECK(fake.reg[1][0] == 0 && fake.reg[1][1] == 1 && fake.reg[1][GDB_REG_PC] == 32);
    g[100] = 'x';
    CHECK_STR(ask(g), "E16");
    g[99] = 0;
    CHECK_STR(ask(g), "E16");
    fake.target.has_fpu = false;
    CHECK_STR(ask("p21"), "E16");
}

TEST(memory)
{
    static const char binary[] = "X80000200,4:\x01}\x03\xff\x00";

    begin();
    CHECK_STR(ask("m80000000,4"), "13000000");
    CHECK_STR(ask("mffffffff00000000,4"), "13000000");
    CHECK_STR(ask("m80000000,0"), "");
    CHECK_STR(ask("m7ffffffe,4"), "E0e");
    CHECK_STR(ask("m8000fffe,4"), "0000"); /* the readable part */
    CHECK_EQ(strlen(ask("m8000f000,2000")), 2 * 0x1000);
    CHECK_STR(ask("mffffffffffffffff,2"), "E0e");
    CHECK_STR(ask("m80000000,4,"), "E16");
    CHECK_STR(ask("m80000000"), "E16");
    CHECK_STR(ask("m,4"), "E16");
    CHECK_EQ(strlen(ask("m80000000,ffffffffffffffff")), GDB_PACKET_MAX);
    CHECK_STR(ask("M80000100,3:aAbB01"), "OK");
    CHECK_STR(ask("m80000100,3"), "aabb01");
    CHECK_STR(ask("M80000100,3:aabb0"), "E16");
    CHECK_STR(ask("M80000100,3:aabb0101"), "E16");
    CHECK_STR(ask("M80000100,ffffffffffffffff:aa"), "E16");
    CHECK_STR(ask("M0,1:aa"), "E0e");
    CHECK_STR(ask_bytes(binary, sizeof(binary) - 1), "OK");
    CHECK_STR(ask("m80000200,4"), "0123ff00");
    CHECK_STR(ask("X80000200,0:"), "OK");
    CHECK_STR(ask("X80000200,2:a"), "E16");
    CHECK_STR(ask("X0,1:a"), "E0e");
}

TEST(physical_memory)
{
    begin();
    CHECK_STR(ask("qqemu.PhyMemMode"), "0");
    CHECK_STR(ask("Qqemu.PhyMemMode:1"), "OK");
    CHECK_STR(ask("qqemu.PhyMemMode"), "1");
    CHECK_STR(ask("mffffffff00000000,4"), "E0e");
    CHECK_STR(ask("m80000000,4"), "13000000");
    CHECK_STR(ask("Qqemu.PhyMemMode:2"), "E16");
    CHECK_STR(ask("Qqemu.PhyMemMode:0"), "OK");
    CHECK_STR(ask("mffffffff00000000,4"), "13000000");
}

TEST(points)
{
    begin();
    ask("qSupported:swbreak+;hwbreak+");
    CHECK_STR(ask("Z0,80000010,4"), "OK");
    CHECK_STR(ask("Z0,80000010,4"), "OK"); /* idempotent */
    CHECK_EQ(fake.point_count, 1);
    CHECK_STR(ask("c"), "");
    CHECK(strstr(run(100), "$T05thread:1;swbreak:;") != NULL);
    CHECK(strstr(answer, "20:1000008000000000;") != NULL);
    CHECK_STR(ask("z0,80000010,4"), "OK");
    CHECK_STR(ask("z0,80000010,4"), "OK");
    CHECK_EQ(fake.point_count, 0);
    CHECK_STR(ask("Z1,80000020,2"), "OK");
    CHECK_STR(ask("vCont;c"), "");
    CHECK(strstr(run(100), "hwbreak:;") != NULL);
    CHECK_STR(ask("z1,80000020,2"), "OK");
    CHECK_STR(ask("Z2,80008000,8"), "OK");
    CHECK_STR(ask("vCont;c:2;s:3"), "");
    CHECK(strstr(run(100), "$T05thread:2;watch:80008000;") != NULL);
    CHECK_STR(ask("z2,80008000,8"), "OK");
    CHECK_STR(ask("Z4,80008000,8"), "OK");
    CHECK_STR(ask("c"), "");
    CHECK(strstr(run(100), "awatch:80008000;") != NULL);
    CHECK_STR(ask("Z5,80000000,4"), "E16");
    CHECK_STR(ask("Z0,80000001,4"), "E16");
    CHECK_STR(ask("Z0,80000000,3"), "E16");
    CHECK_STR(ask("Z2,ffffffffffffffff,2"), "E16");
    CHECK_STR(ask("Z2,0,0"), "E16");
    CHECK_STR(ask("Z0"), "E16");
    for (int i = 0; i < FAKE_POINTS; i++) {
        char packet[32];
        sprintf(packet, "Z1,%x,4", 0x1000 + 4 * i);
        CHECK_STR(ask(packet), i < FAKE_POINTS - 1 ? "OK" : "E1c");
    }
    gdb_session_close(session);
    CHECK_EQ(fake.point_count, 0); /* nothing remains when the debugger goes */
    CHECK(fake.running);
}

TEST(resuming)
{
    begin();
    CHECK_STR(ask("vCont;s:2;c"), "");
    CHECK(fake.how[0] == GDB_CONTINUE && fake.how[1] == GDB_STEP && fake.how[2] == GDB_CONTINUE);
    CHECK(strstr(run(1), "$T05thread:2;") != NULL);
    CHECK_STR(ask("vCont;s:2"), "");
    CHECK(fake.how[0] == GDB_STAY && fake.how[1] == GDB_STEP && fake.how[2] == GDB_STAY);
    run(1);
    CHECK_STR(ask("vCont;C05:-1"), "");
    CHECK(fake.how[0] == GDB_CONTINUE && fake.how[2] == GDB_CONTINUE);
    CHECK_STR(run(5), "");
    CHECK_STR(ask("g"), "E10"); /* they run */
    CHECK_STR(ask("c"), "E10");
    send_raw("\x03\x03", 2);
    CHECK(strstr(run(0), "$T02thread:1;") != NULL);
    CHECK_STR(run(0), "");
    send_raw("\x03", 1); /* nothing runs: no second report */
    CHECK(!fake.stop_asked);
    CHECK_STR(ask("Hc3"), "OK");
    CHECK_STR(ask("s"), "");
    CHECK(fake.how[2] == GDB_STEP && fake.how[0] == GDB_CONTINUE);
    CHECK(strstr(run(1), "$T05thread:3;") != NULL);
    CHECK_STR(ask("s80000040"), "");
    CHECK(strstr(run(1), "20:4400008000000000;") != NULL);
    CHECK_STR(ask("S05"), "");
    run(1);
    CHECK_STR(ask("C05;80000000"), "");
    run(1);
    send_raw("\x03", 1);
    run(0);
    CHECK_STR(ask("vCont"), "E16");
    CHECK_STR(ask("vCont;"), "E16");
    CHECK_STR(ask("vCont;x"), "E16");
    CHECK_STR(ask("vCont;c:9"), "E16");
    CHECK_STR(ask("vCont;Cz"), "E16");
    CHECK_STR(ask("vCont;cc"), "E16");
    CHECK_STR(ask("sx"), "E16");
    CHECK_STR(ask("C"), "E16");
    CHECK(!fake.running);
}

TEST(leaving)
{
    begin();
    ask("Z0,80000010,4");
    CHECK_STR(ask("D"), "OK");
    CHECK(gdb_session_is_over(session) && fake.running && fake.point_count == 0);
    gdb_session_close(session);
    CHECK_EQ(fake.resumes, 1);
    /* Gone while the harts run: they are stopped to remove the points, then go on. */
    gdb_session_open(session);
    fake_gdb_run(&fake, 0);
    ask("Z0,80000010,4");
    ask("vCont;c:2");
    gdb_session_close(session);
    CHECK(fake.stop_asked && fake.point_count == 1);
    fake_gdb_run(&fake, 0);
    CHECK(fake.point_count == 0 && fake.running && fake.how[0] == GDB_CONTINUE);
    /* Gone before the harts stood, and the next one came meanwhile. */
    gdb_session_open(session);
    gdb_session_close(session);
    gdb_session_open(session);
    fake_gdb_run(&fake, 0);
    CHECK(!fake.running);
    CHECK_STR(ask("qC"), "QC1");
    /* Detached while the harts run. */
    ask("Z0,80000010,4");
    ask("vCont;c");
    CHECK_STR(ask("D"), "OK");
    gdb_session_close(session);
    fake_gdb_run(&fake, 0);
    CHECK(fake.point_count == 0 && fake.running);
    /* The VM ends. */
    gdb_session_open(session);
    fake_gdb_run(&fake, 0);
    ask("c");
    answer[0] = 0;
    gdb_session_exited(session, 3);
    output_take();
    CHECK_STR(answer, "$W03#ba");
    CHECK(gdb_session_is_over(session));
}

TEST(killing)
{
    begin();
    CHECK_STR(ask("k"), "");
    CHECK(fake.killed && gdb_session_is_over(session));
    gdb_session_close(session);
    CHECK(!fake.running);
    begin();
    CHECK_STR(ask("vKill;1"), "OK");
    CHECK(fake.killed);
}

static const char *monitor(const char *command)
{
    static char text[4096];
    char packet[1024] = "qRcmd,";
    const char *hex;
    size_t n = 0;

    for (const char *c = command; *c; c++)
        sprintf(packet + strlen(packet), "%02x", (u8)*c);
    for (hex = ask(packet); hex[0] && hex[1] && n < sizeof(text) - 1; hex += 2) {
        unsigned byte = 0;
        sscanf(hex, "%2x", &byte);
        text[n++] = (char)byte;
    }
    text[n] = 0;
    return text;
}

TEST(monitor)
{
    begin();
    CHECK(strstr(monitor("help"), "reset"));
    CHECK_STR(monitor("info"), "hart 0 (S-mode)\nhart 1 (S-mode, wfi)\nhart 2 (S-mode, wfi)\n"
                               "a fake machine\n");
    CHECK(strstr(monitor("phys on"), "guest-physical"));
    CHECK_STR(ask("qqemu.PhyMemMode"), "1");
    CHECK(strstr(monitor("phys off "), "virtual"));
    CHECK(strstr(monitor("reset"), "reset") && fake.resets == 1);
    CHECK(strstr(monitor("nonsense"), "help"));
    CHECK_STR(ask("qRcmd,6"), "E16");
    CHECK_STR(ask("qRcmd,zz"), "E16");
}

static u64 random_state = 0x9E3779B97F4A7C15;

static u64 random64(void)
{
    random_state ^= random_state << 13;
    random_state ^= random_state >> 7;
    random_state ^= random_state << 17;
    return random_state;
}

TEST(garbage)
{
    static const char alphabet[] = "gGpPmMXZzcsCSHTD?vqQ0123456789abcdef,;:=-+#$}*\x03";
    char packet[128], text[64];

    begin();
    for (u32 n = 0; n < 200000; n++) {
        size_t len = random64() % 40;
        for (size_t i = 0; i < len; i++)
            text[i] = alphabet[random64() % (sizeof(alphabet) - 1)];
        if (n % 4)
            send_raw(packet, frame(packet, text, len));
        else
            send_raw(text, len);
        if (n % 3 == 0)
            run(3);
        if (gdb_session_is_over(session)) {
            gdb_session_close(session);
            fake_gdb_run(&fake, 0);
            gdb_session_open(session);
            fake_gdb_run(&fake, 0);
        }
    }
    CHECK(gdb_session_is_open(session));
}

TEST(flow_control)
{
    static char flood[64 * 1024];
    size_t len, n;

    begin();
    for (size_t i = 0; i + 5 <= sizeof(flood); i += 5)
        memcpy(flood + i, "$g#67", 5);
    n = gdb_session_receive(session, (const u8 *)flood, sizeof(flood));
    gdb_session_output(session, &len);
    CHECK(n > 0 && n < sizeof(flood) / 5);
    CHECK_EQ(gdb_session_receive(session, (const u8 *)flood + n, sizeof(flood) - n), 0);
    gdb_session_sent(session, len);
    CHECK(gdb_session_receive(session, (const u8 *)flood + n, sizeof(flood) - n) > 0);
}

/* The server: a loop on its own thread, the fake target run by a timer on it. */

struct server {
    struct host_clock clock;
    struct loop *loop;
    struct gdb *gdb;
    struct timer_port timer;
    pthread_t thread;
};

static struct server server;

static void server_report(void *ctx, u32 hart, enum gdb_reason reason, gva_t address)
{
    gdb_stopped(server.gdb, hart, reason, address);
}

static void server_tick(void *ctx, u32 arg)
{
    fake_gdb_run(&fake, 50);
    timer_arm(&server.timer, host_clock_now(&server.clock) + 1000000);
}

static void *server_run(void *arg)
{
    loop_run(server.loop);
    return NULL;
}

static void server_start(void)
{
    struct err err;

    fake_gdb_init(&fake);
    fake.report = server_report;
    host_clock_init(&server.clock);
    CHECK_EQ(loop_create(&server.loop, &server.clock, &err), 0);
    CHECK_EQ(gdb_create(&server.gdb, server.loop, &fake.target, "127.0.0.1", 0, NULL, &err), 0);
    server.timer = loop_timer(server.loop, server_tick, NULL, 0);
    timer_arm(&server.timer, 0);
    for (u32 i = 0; i < FAKE_HARTS; i++)
        fake.how[i] = GDB_CONTINUE;
    fake.running = true;
    pthread_create(&server.thread, NULL, server_run, NULL);
}

static void server_stop(void)
{
    loop_stop(server.loop);
    pthread_join(server.thread, NULL);
    gdb_destroy(server.gdb);
    loop_destroy(server.loop);
}

static int client_connect(void)
{
    struct sockaddr_in to = {.sin_family = AF_INET,
                             .sin_port = htons(gdb_port(server.gdb)),
                             .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM, 0);

    CHECK_EQ(connect(fd, (struct sockaddr *)&to, sizeof(to)), 0);
    return fd;
}

/* Reads until what arrives, or the end, or 5 s without a byte. */
static bool client_expect(int fd, const char *what)
{
    struct pollfd p = {.fd = fd, .events = POLLIN};
    size_t len = 0;

    answer[0] = 0;
    while (len < sizeof(answer) - 1 && poll(&p, 1, 5000) > 0) {
        ssize_t n = recv(fd, answer + len, sizeof(answer) - 1 - len, 0);
        if (n <= 0)
            break;
        len += (size_t)n;
        answer[len] = 0;
        if (strstr(answer, what))
            return true;
    }
    printf("# no '%s' in '%s'\n", what, answer);
    return false;
}

static bool client_ask(int fd, const char *text, const char *what)
{
    char packet[256];
    size_t len = frame(packet, text, strlen(text));

    return send(fd, packet, len, MSG_NOSIGNAL) == (ssize_t)len && client_expect(fd, what);
}

TEST(server)
{
    int fd, second;
    char byte;

    server_start();
    fd = client_connect();
    CHECK(client_ask(fd, "?", "$T05thread:1;"));
    second = client_connect();
    CHECK(client_expect(second, "$E.another debugger is connected#98"));
    CHECK_EQ(recv(second, &byte, 1, 0), 0);
    close(second);
    CHECK(client_ask(fd, "vCont;c", "+"));
    CHECK_EQ(send(fd, "\x03", 1, MSG_NOSIGNAL), 1);
    CHECK(client_expect(fd, "$T02thread:1;"));
    CHECK(client_ask(fd, "D", "$OK#9a"));
    CHECK_EQ(recv(fd, &byte, 1, 0), 0);
    close(fd);
    for (u32 i = 0; i < 20; i++) { /* again and again, leaving at various moments */
        fd = client_connect();
        if (i % 3)
            CHECK(client_ask(fd, "qC", "$QC"));
        if (i % 3 == 2)
            CHECK(client_ask(fd, "vCont;c", "+"));
        close(fd);
        usleep(i % 2 ? 3000 : 30000); /* the server notices, or a new one is there before */
    }
    server_stop();
}

/* A second report of one stop that comes after the next resume would show running harts. */
TEST(server_late_report)
{
    struct err err;
    int fd;

    fake_gdb_init(&fake);
    fake.report = server_report;
    host_clock_init(&server.clock);
    CHECK_EQ(loop_create(&server.loop, &server.clock, &err), 0);
    CHECK_EQ(gdb_create(&server.gdb, server.loop, &fake.target, "127.0.0.1", 0, NULL, &err), 0);
    pthread_create(&server.thread, NULL, server_run, NULL);
    fd = client_connect();
    while (!fake.stop_asked)
        usleep(1000);
    gdb_stopped(server.gdb, 1, GDB_REASON_PAUSE, 0);
    gdb_stopped(server.gdb, 2, GDB_REASON_PAUSE, 0); /* the same stop, or one that is ignored */
    CHECK(client_ask(fd, "qC", "$QC2"));
    CHECK(client_ask(fd, "vCont;c", "+"));
    CHECK(client_ask(fd, "g", "$E10"));
    gdb_stopped(server.gdb, 2, GDB_REASON_SOFT_BREAK, 0);
    CHECK(client_expect(fd, "$T05thread:3;"));
    close(fd);
    server_stop();
}

TEST(server_ends_first)
{
    char byte;
    int fd;

    server_start();
    fd = client_connect();
    CHECK(client_ask(fd, "qC", "$QC1"));
    server_stop();
    CHECK_EQ(recv(fd, &byte, 1, 0), 0);
    close(fd);
}

TEST(server_errors)
{
    struct err err;
    struct gdb *gdb = NULL;

    server_start();
    CHECK(gdb_create(&gdb, server.loop, &fake.target, "localhost!", 0, NULL, &err) == -EINVAL);
    CHECK(strstr(err.msg, "localhost!"));
    CHECK(gdb_create(&gdb, server.loop, &fake.target, "127.0.0.1", gdb_port(server.gdb), NULL,
                     &err) == -EADDRINUSE);
    CHECK(strstr(err.msg, "port"));
    server_stop();
}

/* A real gdb, with commands in and its output out. */

static void gdb_exec(int out, const char *port)
{
    char remote[64];

    snprintf(remote, sizeof(remote), "target remote 127.0.0.1:%s", port);
    dup2(out, 1);
    dup2(out, 2);
    execlp("timeout", "timeout", "60", "gdb-multiarch", "-nx", "-batch", "-ex",
           "set architecture riscv:rv64", "-ex", remote, "-ex", "info threads", "-ex",
           "print/x $mhartid", "-ex", "print $priv", "-ex", "print $fa0", "-ex",
           "set var $a0 = 0x1234", "-ex", "print/x $a0", "-ex", "x/2i $pc", "-ex",
           "break *0x80000100", "-ex", "continue", "-ex", "delete", "-ex", "stepi", "-ex",
           "print/x $pc", "-ex", "watch *(long *)0x80008000", "-ex", "continue", "-ex", "delete",
           "-ex", "thread 2", "-ex", "print $mhartid", "-ex",
           "set var *(int *)0x80009000 = 0x7d232a24", "-ex", "x/wx 0x80009000", "-ex",
           "monitor info", "-ex", "maintenance packet Qqemu.PhyMemMode:1", "-ex",
           "info registers mstatus", "-ex", "detach", (char *)NULL);
    _exit(127);
}

/* Runs it and collects its output in text. Its exit status, 127: there is none. */
static int gdb_run(char *text, size_t size)
{
    char port[8];
    int pipe_fd[2], status = 0;
    size_t len = 0;
    ssize_t n;
    pid_t pid;

    snprintf(port, sizeof(port), "%u", gdb_port(server.gdb));
    CHECK_EQ(pipe(pipe_fd), 0);
    fflush(stdout);
    pid = fork();
    if (pid == 0)
        gdb_exec(pipe_fd[1], port);
    close(pipe_fd[1]);
    while (len < size - 1 && (n = read(pipe_fd[0], text + len, size - 1 - len)) > 0)
        len += (size_t)n;
    text[len] = 0;
    close(pipe_fd[0]);
    waitpid(pid, &status, 0);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

TEST(real_gdb)
{
    static const char *const expected[] = {
        "Thread 1 (hart 0 (S-mode))",
        "Thread 3 (hart 2 (S-mode, wfi))",
        "$1 = 0x0\n",
        "$2 = 1\n",
        "= 0x1234\n",
        "nop\n",
        "Breakpoint 1, 0x0000000080000100",
        "= 0x80000104\n",
        "atchpoint 2: *(long *)0x80008000",
        "Switching to thread 2",
        "= 1\n",
        "0x80009000:\t0x7d232a24",
        "a fake machine",
        "received: \"OK\"",
        "mstatus        0x0",
        "detached",
    };
    static char text[65536];
    const char *at = text;
    int status;

    if (system("command -v gdb-multiarch >/dev/null && command -v timeout >/dev/null") != 0) {
        printf("# skip: gdb-multiarch is not installed\n");
        return;
    }
    server_start();
    status = gdb_run(text, sizeof(text));
    CHECK_EQ(status, 0);
    for (size_t i = 0; i < ARRAY_SIZE(expected); i++) {
        const char *found = strstr(at, expected[i]);
        if (found)
            at = found;
        else
            printf("# gdb did not say '%s'\n", expected[i]);
        CHECK(found != NULL);
    }
    if (test_failures)
        for (char *line = strtok(text, "\n"); line; line = strtok(NULL, "\n"))
            printf("# gdb: %s\n", line);
    server_stop();
    CHECK(fake.point_count == 0);
}

int main(void)
{
    int status;

    alarm(110);
    status = test_main();
    gdb_session_destroy(session);
    return status;
}
