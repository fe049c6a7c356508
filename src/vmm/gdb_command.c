/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The packets that gdb sends (GDB manual, appendix "GDB Remote Serial Protocol", section
 * "Packets"). Thread ids are hart numbers plus one, because 0 means "any" to gdb.
 */
#include "vmm/gdb_state.h"

#include "base/checked.h"
#include "base/fmt.h"
#include "base/mem.h"

#define MONITOR_MAX 256 /* bytes of a monitor command */
#define PAGE        4096

static void reply_ok_or(struct gdb_session *s, bool ok, const char *error)
{
    gdb_reply_text(&s->reply, ok ? "OK" : error);
}

/* Thread ids: hart + 1; 0 is any, -1 all. */

enum thread_kind { THREAD_ONE, THREAD_ANY, THREAD_ALL };

static bool thread_parse(const struct gdb_session *s, struct gdb_text *text, enum thread_kind *kind,
                         u32 *hart)
{
    u64 id;

    *kind = THREAD_ALL;
    if (gdb_text_skip(text, "-1"))
        return true;
    if (!gdb_text_hex(text, &id) || id > s->target->hart_count)
        return false;
    *kind = id ? THREAD_ONE : THREAD_ANY;
    if (id)
        *hart = (u32)id - 1;
    return true;
}

static void run_select(struct gdb_session *s, struct gdb_text text)
{
    bool registers = gdb_text_skip(&text, "g");
    enum thread_kind kind;
    u32 hart = s->stop_hart;

    if (!registers && !gdb_text_skip(&text, "c")) {
        gdb_session_reply_error(s, GDB_E_INVALID);
        return;
    }
    if (!thread_parse(s, &text, &kind, &hart) || text.len) {
        gdb_session_reply_error(s, GDB_E_INVALID);
        return;
    }
    if (registers)
        s->hart = hart;
    else
        s->hart_run = kind == THREAD_ONE ? hart : GDB_ANY_HART;
    gdb_reply_text(&s->reply, "OK");
}

static void run_thread_alive(struct gdb_session *s, struct gdb_text text)
{
    enum thread_kind kind;
    u32 hart;

    reply_ok_or(s, thread_parse(s, &text, &kind, &hart) && kind == THREAD_ONE, GDB_E_INVALID);
}

static void run_current_thread(struct gdb_session *s, struct gdb_text text)
{
    gdb_reply_text(&s->reply, "QC");
    gdb_session_reply_thread(s, s->hart);
}

static void run_first_threads(struct gdb_session *s, struct gdb_text text)
{
    for (u32 i = 0; i < s->target->hart_count; i++) {
        gdb_reply_text(&s->reply, i ? "," : "m");
        gdb_session_reply_thread(s, i);
    }
}

static void run_more_threads(struct gdb_session *s, struct gdb_text text)
{
    gdb_reply_text(&s->reply, "l");
}

static void hart_describe(struct gdb_session *s, u32 hart, char *to, size_t size)
{
    char what[128] = "";

    s->target->describe(s->target->ctx, hart, what, sizeof(what));
    fmt_print(to, size, "hart %u (%s)", hart, what);
}

static void run_thread_info(struct gdb_session *s, struct gdb_text text)
{
    enum thread_kind kind;
    char line[192];
    u32 hart;

    if (!thread_parse(s, &text, &kind, &hart) || kind != THREAD_ONE) {
        gdb_session_reply_error(s, GDB_E_INVALID);
        return;
    }
    hart_describe(s, hart, line, sizeof(line));
    gdb_reply_bytes(&s->reply, (const u8 *)line, strlen(line));
}

/* Registers. */

static void run_regs_read(struct gdb_session *s, struct gdb_text text)
{
    for (u32 i = GDB_REG_X0; i <= GDB_REG_PC; i++)
        gdb_session_reply_reg(s, s->hart, i);
}

static void run_regs_write(struct gdb_session *s, struct gdb_text text)
{
    const struct gdb_target *t = s->target;
    u64 value[GDB_REG_PC + 1];

    for (u32 i = 0; i <= GDB_REG_PC; i++) {
        if (!gdb_text_word(&text, &value[i])) {
            gdb_session_reply_error(s, GDB_E_INVALID);
            return;
        }
    }
    for (u32 i = 1; i <= GDB_REG_PC; i++) { /* x0 cannot be written */
        if (!t->reg_write(t->ctx, s->hart, i, value[i])) {
            gdb_session_reply_error(s, GDB_E_INVALID);
            return;
        }
    }
    gdb_reply_text(&s->reply, "OK");
}

static bool reg_exists(const struct gdb_session *s, u64 reg)
{
    if (reg >= GDB_REG_F0 && reg < GDB_REG_CSR0)
        return s->target->has_fpu;
    return reg <= GDB_REG_PRIV;
}

static void run_reg_read(struct gdb_session *s, struct gdb_text text)
{
    u64 reg;

    if (gdb_text_hex(&text, &reg) && !text.len && reg_exists(s, reg))
        gdb_session_reply_reg(s, s->hart, (u32)reg);
    else
        gdb_session_reply_error(s, GDB_E_INVALID);
}

static void run_reg_write(struct gdb_session *s, struct gdb_text text)
{
    const struct gdb_target *t = s->target;
    u64 reg, value;
    bool ok = gdb_text_hex(&text, &reg) && gdb_text_skip(&text, "=") &&
              gdb_text_word(&text, &value) && !text.len && reg_exists(s, reg);

    if (ok && reg != GDB_REG_X0)
        ok = t->reg_write(t->ctx, s->hart, (u32)reg, value);
    reply_ok_or(s, ok, GDB_E_INVALID);
}

/* Memory. */

static bool range_parse(struct gdb_text *text, u64 *address, u64 *len)
{
    return gdb_text_hex(text, address) && gdb_text_skip(text, ",") && gdb_text_hex(text, len);
}

/* Bytes from address to the end of its page, at most len. */
static size_t page_part(u64 address, u64 len)
{
    u64 room = PAGE - address % PAGE;

    return (size_t)(len < room ? len : room);
}

/* What can be read before the first fault is the answer; the end of the address space wraps. */
static void run_mem_read(struct gdb_session *s, struct gdb_text text)
{
    const struct gdb_target *t = s->target;
    u8 buf[PAGE];
    u64 address, len, done = 0;

    if (!range_parse(&text, &address, &len) || text.len) {
        gdb_session_reply_error(s, GDB_E_INVALID);
        return;
    }
    if (len > GDB_PACKET_MAX / 2)
        len = GDB_PACKET_MAX / 2;
    while (done < len) {
        size_t n = page_part(address + done, len - done);
        if (!t->mem_read(t->ctx, s->hart, s->physical, address + done, buf, n))
            break;
        gdb_reply_bytes(&s->reply, buf, n);
        done += n;
    }
    if (len && !done)
        gdb_session_reply_error(s, GDB_E_FAULT);
}

static bool mem_write(struct gdb_session *s, u64 address, const u8 *bytes, u64 len)
{
    const struct gdb_target *t = s->target;

    for (u64 done = 0; done < len;) {
        size_t n = page_part(address + done, len - done);
        if (!t->mem_write(t->ctx, s->hart, s->physical, address + done, bytes + done, n))
            return false;
        done += n;
    }
    return true;
}

static void run_mem_write_hex(struct gdb_session *s, struct gdb_text text)
{
    u8 bytes[GDB_PACKET_MAX / 2];
    u64 address, len;

    if (!range_parse(&text, &address, &len) || !gdb_text_skip(&text, ":") || len > sizeof(bytes) ||
        text.len != 2 * len || !gdb_text_bytes(&text, bytes, (size_t)len)) {
        gdb_session_reply_error(s, GDB_E_INVALID);
        return;
    }
    reply_ok_or(s, mem_write(s, address, bytes, len), GDB_E_FAULT);
}

static void run_mem_write_binary(struct gdb_session *s, struct gdb_text text)
{
    u64 address, len;

    if (!range_parse(&text, &address, &len) || !gdb_text_skip(&text, ":") || text.len != len) {
        gdb_session_reply_error(s, GDB_E_INVALID);
        return;
    }
    reply_ok_or(s, mem_write(s, address, text.at, len), GDB_E_FAULT);
}

static void run_phys_query(struct gdb_session *s, struct gdb_text text)
{
    gdb_reply_text(&s->reply, s->physical ? "1" : "0");
}

static void run_phys_set(struct gdb_session *s, struct gdb_text text)
{
    u64 on;

    if (!gdb_text_hex(&text, &on) || text.len || on > 1) {
        gdb_session_reply_error(s, GDB_E_INVALID);
        return;
    }
    s->physical = on;
    gdb_reply_text(&s->reply, "OK");
}

/* Breakpoints and watchpoints. */

static bool point_parse(struct gdb_text *text, struct gdb_session_point *p)
{
    u64 kind;

    if (!gdb_text_hex(text, &kind) || kind > GDB_POINT_ACCESS_WATCH || !gdb_text_skip(text, ",") ||
        !range_parse(text, &p->address, &p->len) || text->len)
        return false;
    p->kind = (enum gdb_point)kind;
    if (p->kind <= GDB_POINT_HARD_BREAK)
        return p->address % 2 == 0 && (p->len == 2 || p->len == 4);
    return p->len > 0 && p->len <= PAGE && p->address + (p->len - 1) >= p->address;
}

/* The index of p among those inserted, or point_count. */
static u32 point_find(const struct gdb_session *s, const struct gdb_session_point *p)
{
    u32 i = 0;

    while (i < s->point_count && (s->point[i].kind != p->kind || s->point[i].len != p->len ||
                                  s->point[i].address != p->address))
        i++;
    return i;
}

static void run_point_insert(struct gdb_session *s, struct gdb_text text)
{
    const struct gdb_target *t = s->target;
    struct gdb_session_point p;

    if (!point_parse(&text, &p)) {
        gdb_session_reply_error(s, GDB_E_INVALID);
        return;
    }
    if (point_find(s, &p) == s->point_count) {
        if (s->point_count == GDB_POINTS_MAX ||
            !t->point_insert(t->ctx, p.kind, p.address, p.len)) {
            gdb_session_reply_error(s, GDB_E_SPACE);
            return;
        }
        s->point[s->point_count++] = p;
    }
    gdb_reply_text(&s->reply, "OK");
}

static void run_point_remove(struct gdb_session *s, struct gdb_text text)
{
    const struct gdb_target *t = s->target;
    struct gdb_session_point p;
    u32 i;

    if (!point_parse(&text, &p)) {
        gdb_session_reply_error(s, GDB_E_INVALID);
        return;
    }
    i = point_find(s, &p);
    if (i < s->point_count) {
        t->point_remove(t->ctx, p.kind, p.address, p.len);
        s->point[i] = s->point[--s->point_count];
    }
    gdb_reply_text(&s->reply, "OK"); /* removing is idempotent */
}

/* Resuming. No answer now: the stop reply is the answer. */

static void resume(struct gdb_session *s, const enum gdb_resume *how)
{
    s->state = SESSION_RUNNING;
    gdb_session_resume(s, how);
}

/* s, c with an optional address to go on at; S, C with a signal, which a bare machine lacks. */
static void resume_one(struct gdb_session *s, struct gdb_text text, enum gdb_resume wanted,
                       bool has_signal)
{
    const struct gdb_target *t = s->target;
    enum gdb_resume how[GDB_HARTS_MAX];
    u32 hart = s->hart_run == GDB_ANY_HART ? s->hart : s->hart_run;
    u64 value;

    if (has_signal && (!gdb_text_hex(&text, &value) || (text.len && !gdb_text_skip(&text, ";")))) {
        gdb_session_reply_error(s, GDB_E_INVALID);
        return;
    }
    if (text.len && (!gdb_text_hex(&text, &value) || text.len ||
                     !t->reg_write(t->ctx, hart, GDB_REG_PC, value))) {
        gdb_session_reply_error(s, GDB_E_INVALID);
        return;
    }
    for (u32 i = 0; i < t->hart_count; i++)
        how[i] = GDB_CONTINUE;
    how[hart] = wanted;
    resume(s, how);
}

static void run_continue(struct gdb_session *s, struct gdb_text text)
{
    resume_one(s, text, GDB_CONTINUE, false);
}

static void run_continue_signal(struct gdb_session *s, struct gdb_text text)
{
    resume_one(s, text, GDB_CONTINUE, true);
}

static void run_step(struct gdb_session *s, struct gdb_text text)
{
    resume_one(s, text, GDB_STEP, false);
}

static void run_step_signal(struct gdb_session *s, struct gdb_text text)
{
    resume_one(s, text, GDB_STEP, true);
}

static void run_vcont_query(struct gdb_session *s, struct gdb_text text)
{
    gdb_reply_text(&s->reply, "vCont;c;C;s;S");
}

static bool vcont_action(struct gdb_text *text, enum gdb_resume *action)
{
    u8 signal;

    if (gdb_text_skip(text, "c"))
        *action = GDB_CONTINUE;
    else if (gdb_text_skip(text, "s"))
        *action = GDB_STEP;
    else if (gdb_text_skip(text, "C"))
        *action = GDB_CONTINUE;
    else if (gdb_text_skip(text, "S"))
        *action = GDB_STEP;
    else
        return false;
    if (!text->len || text->at[0] == ':' || text->at[0] == ';')
        return true;
    return gdb_text_bytes(text, &signal, 1);
}

/* vCont;action[:thread];...: for each hart the first action that fits counts. */
static bool vcont_parse(struct gdb_session *s, struct gdb_text text, enum gdb_resume *how)
{
    u32 count = s->target->hart_count;
    bool decided[GDB_HARTS_MAX] = {false}, any = false;

    for (u32 i = 0; i < count; i++)
        how[i] = GDB_STAY;
    while (text.len) {
        enum gdb_resume action;
        enum thread_kind kind = THREAD_ALL;
        u32 hart = s->hart;

        if (!gdb_text_skip(&text, ";") || !vcont_action(&text, &action))
            return false;
        if (gdb_text_skip(&text, ":") && !thread_parse(s, &text, &kind, &hart))
            return false;
        for (u32 i = 0; i < count; i++) {
            if (decided[i] || (kind != THREAD_ALL && i != hart))
                continue;
            how[i] = action;
            decided[i] = true;
            any = true;
        }
    }
    return any;
}

static void run_vcont(struct gdb_session *s, struct gdb_text text)
{
    enum gdb_resume how[GDB_HARTS_MAX];

    if (vcont_parse(s, text, how))
        resume(s, how);
    else
        gdb_session_reply_error(s, GDB_E_INVALID);
}

static void run_stop_query(struct gdb_session *s, struct gdb_text text)
{
    gdb_session_reply_stop(s);
}

/* Good-byes. */

static void run_detach(struct gdb_session *s, struct gdb_text text)
{
    gdb_reply_text(&s->reply, "OK");
    gdb_session_release(s);
    s->state = SESSION_OVER;
}

static void run_kill(struct gdb_session *s, struct gdb_text text)
{
    s->state = SESSION_OVER;
    s->ended = true;
    s->target->kill(s->target->ctx);
}

static void run_vkill(struct gdb_session *s, struct gdb_text text)
{
    gdb_reply_text(&s->reply, "OK");
    run_kill(s, text);
}

/* Queries. */

static void run_supported(struct gdb_session *s, struct gdb_text text)
{
    bool features = gdb_text_skip(&text, ":");

    while (features && text.len) {
        if (gdb_text_skip(&text, "swbreak+"))
            s->swbreak = true;
        else if (gdb_text_skip(&text, "hwbreak+"))
            s->hwbreak = true;
        while (text.len && !gdb_text_skip(&text, ";")) {
            text.at++;
            text.len--;
        }
    }
    gdb_reply_text(&s->reply, "PacketSize=");
    gdb_reply_number(&s->reply, GDB_PACKET_MAX);
    gdb_reply_text(&s->reply, ";QStartNoAckMode+;qXfer:features:read+;swbreak+;hwbreak+;"
                              "vContSupported+");
}

static void run_no_ack(struct gdb_session *s, struct gdb_text text)
{
    s->next_no_ack = true;
    gdb_reply_text(&s->reply, "OK");
}

static void run_features(struct gdb_session *s, struct gdb_text text)
{
    u64 offset, len, left;

    if (!gdb_text_skip(&text, "target.xml:") || !range_parse(&text, &offset, &len) || text.len ||
        offset > s->features_len) {
        gdb_session_reply_error(s, GDB_E_INVALID);
        return;
    }
    left = s->features_len - offset;
    if (len > GDB_PACKET_MAX / 2 - 1) /* each byte may need an escape */
        len = GDB_PACKET_MAX / 2 - 1;
    if (len > left)
        len = left;
    gdb_reply_text(&s->reply, len < left ? "m" : "l");
    gdb_reply_binary(&s->reply, (const u8 *)s->features + offset, (size_t)len);
}

static void run_attached(struct gdb_session *s, struct gdb_text text)
{
    gdb_reply_text(&s->reply, "1"); /* so gdb detaches rather than kills when it quits */
}

static void monitor_print(struct gdb_session *s, const char *text)
{
    gdb_reply_bytes(&s->reply, (const u8 *)text, strlen(text));
}

static void monitor_info(struct gdb_session *s)
{
    char line[192], text[2048] = "";

    for (u32 i = 0; i < s->target->hart_count; i++) {
        hart_describe(s, i, line, sizeof(line));
        monitor_print(s, line);
        monitor_print(s, "\n");
    }
    if (s->target->info)
        s->target->info(s->target->ctx, text, sizeof(text));
    monitor_print(s, text);
}

static void monitor_phys(struct gdb_session *s, const char *value)
{
    if (!strcmp(value, " on"))
        s->physical = true;
    else if (!strcmp(value, " off"))
        s->physical = false;
    monitor_print(s, s->physical ? "memory addresses are guest-physical\n"
                                 : "memory addresses are virtual, of the selected hart\n");
}

static void monitor_help(struct gdb_session *s)
{
    monitor_print(s, "help         this list\n"
                     "info         the harts and the machine\n"
                     "phys on|off  memory by guest-physical or by virtual address\n");
    if (s->target->reset)
        monitor_print(s, "reset        the machine as after power-on; the harts remain stopped\n");
}

static void monitor_reset(struct gdb_session *s)
{
    s->target->reset(s->target->ctx);
    monitor_print(s, "the machine is reset; 'maintenance flush register-cache' shows it\n");
}

static void monitor_run(struct gdb_session *s, const char *command)
{
    if (!strcmp(command, "help"))
        monitor_help(s);
    else if (!strcmp(command, "info"))
        monitor_info(s);
    else if (!strcmp(command, "phys") || !strcmp(command, "phys on") ||
             !strcmp(command, "phys off"))
        monitor_phys(s, command + 4);
    else if (!strcmp(command, "reset") && s->target->reset)
        monitor_reset(s);
    else
        monitor_print(s, "unknown command; 'monitor help' lists those that there are\n");
}

static void run_monitor(struct gdb_session *s, struct gdb_text text)
{
    u8 command[MONITOR_MAX + 1];
    size_t n = text.len / 2;

    if (text.len % 2 || n > MONITOR_MAX || !gdb_text_bytes(&text, command, n)) {
        gdb_session_reply_error(s, GDB_E_INVALID);
        return;
    }
    while (n && command[n - 1] == ' ')
        n--;
    command[n] = 0;
    monitor_run(s, (const char *)command);
}

/* Dispatch. */

/* The first line that fits counts. */
static const struct gdb_command commands[] = {
    {"?", GDB_COMMAND_EXACT, run_stop_query},
    {"g", GDB_COMMAND_EXACT, run_regs_read},
    {"G", 0, run_regs_write},
    {"p", 0, run_reg_read},
    {"P", 0, run_reg_write},
    {"m", 0, run_mem_read},
    {"M", 0, run_mem_write_hex},
    {"X", 0, run_mem_write_binary},
    {"Z", 0, run_point_insert},
    {"z", 0, run_point_remove},
    {"c", 0, run_continue},
    {"C", 0, run_continue_signal},
    {"s", 0, run_step},
    {"S", 0, run_step_signal},
    {"vCont?", GDB_COMMAND_EXACT, run_vcont_query},
    {"vCont", 0, run_vcont},
    {"vKill;", GDB_COMMAND_ANYTIME, run_vkill},
    {"H", 0, run_select},
    {"T", 0, run_thread_alive},
    {"D", GDB_COMMAND_ANYTIME, run_detach},
    {"k", GDB_COMMAND_EXACT | GDB_COMMAND_ANYTIME, run_kill},
    {"qSupported", 0, run_supported},
    {"QStartNoAckMode", GDB_COMMAND_EXACT, run_no_ack},
    {"qXfer:features:read:", 0, run_features},
    {"qAttached", 0, run_attached},
    {"qC", GDB_COMMAND_EXACT, run_current_thread},
    {"qfThreadInfo", GDB_COMMAND_EXACT, run_first_threads},
    {"qsThreadInfo", GDB_COMMAND_EXACT, run_more_threads},
    {"qThreadExtraInfo,", 0, run_thread_info},
    {"qRcmd,", 0, run_monitor},
    {"qqemu.PhyMemMode", GDB_COMMAND_EXACT, run_phys_query},
    {"Qqemu.PhyMemMode:", 0, run_phys_set},
};

const struct gdb_command *gdb_command_find(struct gdb_text *text)
{
    for (size_t i = 0; i < ARRAY_SIZE(commands); i++) {
        struct gdb_text rest = *text;
        if (!gdb_text_skip(&rest, commands[i].prefix))
            continue;
        if (commands[i].flags & GDB_COMMAND_EXACT && rest.len)
            continue;
        *text = rest;
        return &commands[i];
    }
    return NULL;
}
