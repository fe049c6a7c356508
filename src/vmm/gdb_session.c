/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The gdb remote protocol in all-stop mode (GDB manual, appendix "GDB Remote Serial Protocol").
 *
 * Theory of operation. A session is CLOSED until a debugger comes; then it asks the target to stop
 * and is ATTACHING, taking no input, until the target stands. STOPPED: every packet is answered at
 * once. RUNNING, after a resume: the next packet out is the stop reply; only Ctrl-C, detach and
 * kill are listened to, since registers of running harts mean nothing. OVER: good-bye is said.
 *
 * What packets do is in gdb_command.c.
 */
#include "vmm/gdb_session.h"

#include "base/assert.h"
#include "base/mem.h"
#include "vmm/gdb_features.h"
#include "vmm/gdb_state.h"

#include <stdlib.h>

/* Output. */

static void output_add(struct gdb_session *s, const u8 *bytes, size_t len)
{
    ASSERT(len <= sizeof(s->output) - s->output_len);
    memcpy(s->output + s->output_len, bytes, len);
    s->output_len += len;
}

static void output_ack(struct gdb_session *s, char ack)
{
    if (!s->no_ack)
        output_add(s, (const u8 *)&ack, 1);
}

static void reply_send(struct gdb_session *s)
{
    if (s->reply.overflow) {
        gdb_reply_clear(&s->reply);
        gdb_reply_text(&s->reply, GDB_E_SPACE);
    }
    s->output_len += gdb_reply_frame(&s->reply, s->output + s->output_len);
    s->has_reply = true;
}

void gdb_session_reply_error(struct gdb_session *s, const char *error)
{
    gdb_reply_clear(&s->reply);
    gdb_reply_text(&s->reply, error);
}

void gdb_session_reply_thread(struct gdb_session *s, u32 hart)
{
    gdb_reply_number(&s->reply, hart + 1);
}

void gdb_session_reply_reg(struct gdb_session *s, u32 hart, u32 reg)
{
    const struct gdb_target *t = s->target;
    u64 value;

    if (t->reg_read(t->ctx, hart, reg, &value))
        gdb_reply_word(&s->reply, value);
    else
        gdb_reply_text(&s->reply, "xxxxxxxxxxxxxxxx"); /* gdb shows <unavailable> */
}

/* Stops. */

static void reply_stop_reason(struct gdb_session *s)
{
    static const char *const watch[] = {
        [GDB_REASON_WRITE_WATCH] = "watch:",
        [GDB_REASON_READ_WATCH] = "rwatch:",
        [GDB_REASON_ACCESS_WATCH] = "awatch:",
    };

    switch (s->stop_reason) {
    case GDB_REASON_SOFT_BREAK:
        if (s->swbreak)
            gdb_reply_text(&s->reply, "swbreak:;");
        break;
    case GDB_REASON_HARD_BREAK:
        if (s->hwbreak)
            gdb_reply_text(&s->reply, "hwbreak:;");
        break;
    case GDB_REASON_WRITE_WATCH:
    case GDB_REASON_READ_WATCH:
    case GDB_REASON_ACCESS_WATCH:
        gdb_reply_text(&s->reply, watch[s->stop_reason]);
        gdb_reply_number(&s->reply, s->stop_address);
        gdb_reply_text(&s->reply, ";");
        break;
    default:
        break;
    }
}

/* sp, fp and pc come along, which saves gdb a round trip for every step. */
void gdb_session_reply_stop(struct gdb_session *s)
{
    static const u8 expedited[] = {2, 8, GDB_REG_PC};

    gdb_reply_clear(&s->reply);
    gdb_reply_text(&s->reply, s->stop_reason == GDB_REASON_PAUSE ? "T02" : "T05");
    gdb_reply_text(&s->reply, "thread:");
    gdb_session_reply_thread(s, s->stop_hart);
    gdb_reply_text(&s->reply, ";");
    reply_stop_reason(s);
    for (size_t i = 0; i < ARRAY_SIZE(expedited); i++) {
        gdb_reply_bytes(&s->reply, &expedited[i], 1);
        gdb_reply_text(&s->reply, ":");
        gdb_session_reply_reg(s, s->stop_hart, expedited[i]);
        gdb_reply_text(&s->reply, ";");
    }
}

void gdb_session_resume(struct gdb_session *s, const enum gdb_resume *how)
{
    /* Before the harts run, so that whatever they report has the new count. */
    atomic_fetch_add_explicit(&s->epoch, 1, memory_order_seq_cst);
    s->target->resume(s->target->ctx, how);
}

u32 gdb_session_epoch(const struct gdb_session *s)
{
    return atomic_load_explicit(&s->epoch, memory_order_seq_cst);
}

static void resume_all(struct gdb_session *s)
{
    enum gdb_resume how[GDB_HARTS_MAX];

    for (u32 i = 0; i < s->target->hart_count; i++)
        how[i] = GDB_CONTINUE;
    gdb_session_resume(s, how);
}

static void points_clear(struct gdb_session *s)
{
    const struct gdb_target *t = s->target;

    for (u32 i = 0; i < s->point_count; i++)
        t->point_remove(t->ctx, s->point[i].kind, s->point[i].address, s->point[i].len);
    s->point_count = 0;
}

/*
 * The debugger leaves: no points remain and all harts go on. Points change only while the harts
 * stand, so running ones are stopped first and gdb_session_stopped does the rest.
 */
void gdb_session_release(struct gdb_session *s)
{
    if (s->state == SESSION_RUNNING) {
        s->target->stop(s->target->ctx);
    } else if (s->state == SESSION_STOPPED) {
        points_clear(s);
        resume_all(s);
    }
}

static void packet_run(struct gdb_session *s)
{
    struct gdb_text text = {.at = s->parser.data, .len = s->parser.len};
    const struct gdb_command *command = gdb_command_find(&text);

    gdb_reply_clear(&s->reply);
    if (!command) {
        reply_send(s); /* an empty answer: not known here */
        return;
    }
    if (s->state == SESSION_RUNNING && !(command->flags & GDB_COMMAND_ANYTIME)) {
        gdb_session_reply_error(s, GDB_E_BUSY);
        reply_send(s);
        return;
    }
    command->run(s, text);
    if (s->state != SESSION_RUNNING && !(s->state == SESSION_OVER && !s->reply.len))
        reply_send(s);
    if (s->next_no_ack)
        s->no_ack = true;
}

static void event_handle(struct gdb_session *s, enum gdb_event event)
{
    switch (event) {
    case GDB_EVENT_PACKET:
        output_ack(s, '+');
        packet_run(s);
        break;
    case GDB_EVENT_BAD:
        output_ack(s, '-');
        break;
    case GDB_EVENT_TOO_LONG:
        output_ack(s, '+');
        gdb_session_reply_error(s, GDB_E_SPACE);
        reply_send(s);
        break;
    case GDB_EVENT_NAK:
        if (s->has_reply && !s->no_ack)
            reply_send(s);
        break;
    case GDB_EVENT_INTERRUPT:
        if (s->state == SESSION_RUNNING)
            s->target->stop(s->target->ctx);
        break;
    case GDB_EVENT_NONE:
        break;
    }
}

/* Is there room for the answer to one more event, and a stop reply besides? */
static bool output_has_room(const struct gdb_session *s)
{
    return sizeof(s->output) - s->output_len >= GDB_FRAME_MAX + GDB_ASYNC_MAX;
}

size_t gdb_session_receive(struct gdb_session *s, const u8 *bytes, size_t len)
{
    size_t n = 0;

    while (n < len && (s->state == SESSION_STOPPED || s->state == SESSION_RUNNING) &&
           output_has_room(s))
        event_handle(s, gdb_parser_push(&s->parser, bytes[n++]));
    /* After good-bye nothing more is read, so that the peer's last words cannot hold us up. */
    return s->state == SESSION_OVER ? len : n;
}

const u8 *gdb_session_output(const struct gdb_session *s, size_t *len)
{
    *len = s->output_len;
    return s->output;
}

void gdb_session_sent(struct gdb_session *s, size_t len)
{
    ASSERT(len <= s->output_len);
    s->output_len -= len;
    memmove(s->output, s->output + len, s->output_len);
}

bool gdb_session_is_over(const struct gdb_session *s)
{
    return s->state == SESSION_OVER;
}

bool gdb_session_is_open(const struct gdb_session *s)
{
    return s->state != SESSION_CLOSED;
}

static void async_send(struct gdb_session *s)
{
    /* The room was kept free by output_has_room; one report per resume cannot use it up twice. */
    if (s->reply.len + 4 <= sizeof(s->output) - s->output_len)
        reply_send(s);
}

void gdb_session_stopped(struct gdb_session *s, u32 hart, enum gdb_reason reason, gva_t address)
{
    enum session_state was = s->state;

    ASSERT(hart < s->target->hart_count);
    if (was == SESSION_STOPPED || s->ended)
        return; /* it was reported already, or no longer matters */
    if (was != SESSION_RUNNING)
        points_clear(s); /* of a debugger that left while harts ran */
    if (was == SESSION_CLOSED || was == SESSION_OVER) {
        resume_all(s);
        return;
    }
    s->state = SESSION_STOPPED;
    s->hart = s->stop_hart = hart;
    s->hart_run = GDB_ANY_HART;
    s->stop_reason =
        was == SESSION_ATTACHING && reason == GDB_REASON_PAUSE ? GDB_REASON_STEP : reason;
    s->stop_address = address;
    if (was == SESSION_ATTACHING)
        return; /* gdb will ask */
    gdb_session_reply_stop(s);
    async_send(s);
}

void gdb_session_exited(struct gdb_session *s, u8 status)
{
    s->ended = true;
    if (s->state == SESSION_CLOSED || s->state == SESSION_OVER)
        return;
    if (s->state == SESSION_RUNNING) {
        gdb_reply_clear(&s->reply);
        gdb_reply_text(&s->reply, "W");
        gdb_reply_bytes(&s->reply, &status, 1);
        async_send(s);
    }
    s->state = SESSION_OVER;
}

struct gdb_session *gdb_session_create(const struct gdb_target *target)
{
    struct gdb_session *s = calloc(1, sizeof(*s));

    ASSERT(target->hart_count > 0 && target->hart_count <= GDB_HARTS_MAX);
    if (!s)
        return NULL;
    s->target = target;
    s->features = gdb_features_create(target, &s->features_len);
    if (!s->features) {
        free(s);
        return NULL;
    }
    return s;
}

void gdb_session_destroy(struct gdb_session *s)
{
    if (!s)
        return;
    free(s->features);
    free(s);
}

void gdb_session_open(struct gdb_session *s)
{
    ASSERT(s->state == SESSION_CLOSED);
    s->state = SESSION_ATTACHING;
    s->no_ack = s->next_no_ack = s->swbreak = s->hwbreak = false;
    s->physical = s->has_reply = false;
    memset(&s->parser, 0, sizeof(s->parser));
    gdb_reply_clear(&s->reply);
    s->output_len = 0;
    s->target->stop(s->target->ctx);
}

void gdb_session_close(struct gdb_session *s)
{
    gdb_session_release(s);
    s->state = SESSION_CLOSED;
}
