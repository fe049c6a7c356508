/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Harts' views: which pages of mode U translated code reaches without a look, and who sees to it.
 *
 * Theory of operation. What mode U's tables allow may be mapped into a view (exec/view.h), at GS's
 * base. So an access is right, or the host faults; then the handler, on the hart's own thread, maps
 * the page, and the access is tried again. What the page tables do not allow as they are goes the
 * slow way, which may raise, or change them, and enters the page into the TLB.
 *
 * Each hart has a few views, one an address space (satp). What fences and others take from the TLB
 * is taken from all of them at once, by whoever tells the TLB: always the hart's own thread. A mere
 * change of address space leaves them alone. Mapping and faulting take microseconds, more than most
 * processes would ever save, so an address space gets a view only when it has made many accesses
 * without one: the code's own checks send them to a look at the TLB then.
 *
 * What faults all the time though there is a view, as stores to a page with code do, gets code
 * without views (jit_apart.c).
 */
#include "exec/jit_impl.h"
#include "exec/view.h"
#include "rv/mem.h"

#include <asm/prctl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <ucontext.h>
#include <unistd.h>

#define VIEWS         4
#define NO_SPACE      UINT64_MAX
#define SPACES_BITS   8
#define SV39          8
#define FAULT_WRITE   2 /* in the error code of a page fault */
#define AROUND        128 /* pages at most, each way, that are mapped with the one that was asked for */
#define GUARDS        512   /* that fail are worth a view */
#define REFUSALS      256   /* so many of them, */
#define RARE          10000 /* instructions apart, are no matter */
#define FREED_ENOUGH  1000  /* mappings of the host, to go on with */
#define OVERFLOWS     4
#define OVERFLOW_RARE 1000000000 /* instructions apart */
#define CONTESTED     64         /* pages that are remembered */
#define CONTESTS      8          /* so often a page was taken for code, */
#define CONTEST_RARE  1000000    /* instructions apart at most: */
#define CONTEST_LONG  100000000  /* it is not mapped to be written for so many */

/* A page of the host that was written by a view and taken for code in turn. */
struct contested {
    u64 host;
    u64 since; /* hart->insns when it was last */
    u32 count;
};

struct space {
    u64 satp;
    s32 credit; /* accesses without a view before it gets one; of the hart's: jit.view_credit */
};

struct views {
    struct jit_hart *h;
    struct view *open;                     /* of the hart's address space; NULL: it has none */
    struct space *space;                   /* the hart's */
    struct space spaces[1 << SPACES_BITS]; /* by a hash of satp */
    struct view *view[VIEWS];
    u32 turn;      /* the next to be given to another address space */
    bool homeless; /* the host gives no room */
    u32 refusals;
    u64 refused_since; /* hart->insns when refusals was 0 */
    u32 overflows;     /* times that the open view was full, with not too many */
    u64 overflowed;    /* instructions in between: hart->insns at the last */
    gva_t refused;     /* an instruction whose accesses go the slow way all the time; 0: none */
    struct contested contested[CONTESTED];
};

/* Whose view GS leads to on this thread. */
static _Thread_local struct jit_hart *viewer;
static struct sigaction segv_before;
static pthread_once_t segv_once = PTHREAD_ONCE_INIT;

/* ---- what may be mapped ---- */

static struct contested *contested(struct views *vs, u64 host)
{
    return &vs->contested[host >> PAGE_SHIFT & (CONTESTED - 1)];
}

static void note_contest(struct views *vs, u64 host)
{
    struct contested *c = contested(vs, host);
    const u64 insns = vs->h->hart->insns;

    if (c->host != host || insns - c->since > CONTEST_RARE)
        *c = (struct contested){.host = host};
    c->since = insns;
    c->count++;
}

static bool is_contested(struct views *vs, u64 host)
{
    const struct contested *c = contested(vs, host);

    return c->host == host && c->count >= CONTESTS && !vs->h->jit->keep_guards &&
           vs->h->hart->insns - c->since < CONTEST_LONG;
}

/* The page as a view may have it: as the TLB does, or would. Count 0: not at all. */
static struct view_run known(struct views *vs, gva_t page)
{
    struct hart *hart = vs->h->hart;
    const struct tlb_entry *r = &hart->data_tlb->read[tlb_index(page)];
    const struct tlb_entry *w = &hart->data_tlb->write[tlb_index(page)];
    const bool readable = r->tag == page, writable = w->tag == page;
    struct view_run run = {page, page + r->addend, readable, false};
    struct tlb_fill fill = {.host = (u8 *)(uintptr_t)(page + w->addend), .writable = true};
    u64 host;

    if (!(readable && writable) && (!mem_foresee(hart, page, &fill) || !fill.readable))
        return run;
    host = (u64)(uintptr_t)fill.host;
    if (readable && host != run.host) /* no fence has said so yet */
        return run;
    return (struct view_run){page, host, 1, fill.writable && !is_contested(vs, host)};
}

static bool goes_on(struct views *vs, const struct view_run *run, s64 pages)
{
    const u64 distance = (u64)pages * PAGE_SIZE;
    struct view_run next;

    if (run->first + distance >= VIEW_END || view_find(vs->open, run->first + distance))
        return false;
    next = known(vs, run->first + distance);
    return next.count && next.writable == run->writable && next.host == run->host + distance;
}

/* With neighbours: the more the longer the view has been in use. */
static bool map_run(struct views *vs, struct view_run run)
{
    struct view *v = vs->open;
    const u32 around = v->maps / 2 < AROUND ? v->maps / 2 : AROUND;

    while (run.count < 1 + around && goes_on(vs, &run, run.count))
        run.count++;
    while (run.count < 1 + 2 * around && goes_on(vs, &run, -1)) {
        run.first -= PAGE_SIZE;
        run.host -= PAGE_SIZE;
        run.count++;
    }
    vs->h->hart->stats.view_pages += run.count;
    if (view_map(v, &run))
        return true;
    if (v->full)
        hart_attention(vs->h->hart, ATTN_ENGINE);
    return false;
}

/* A page joins the hart's view. False: nothing has changed. */
static bool map_page(struct views *vs, gva_t page)
{
    const struct view_run run = known(vs, page);
    struct view_page *p = view_find(vs->open, page);

    if (!run.count)
        return false;
    if (p)
        return p->host == run.host && run.writable && !p->writable &&
               view_grant_writes(vs->open, p);
    return map_run(vs, run);
}

/* ---- what the TLB says ---- */

/* Lets code reach the open view, or none. */
static void follow(struct views *vs)
{
    struct hart *hart = vs->h->hart;

    hart->tlb.view.end = vs->open ? VIEW_END : 0;
    hart->jit.view = hart->data_mode == TLB_U ? hart->tlb.view.end : 0;
    if (!vs->open)
        return;
    hart->jit.view_writable = vs->open->marks - vs->open->read;
    if (viewer == vs->h)
        syscall(SYS_arch_prctl, ARCH_SET_GS, vs->open->read);
}

static u64 asid_of(u64 satp)
{
    return satp >> 44 & 0xffff;
}

/* The view goes to nobody. */
static void take_back(struct views *vs, struct view *v)
{
    view_empty(v);
    v->space = NO_SPACE;
    if (v != vs->open)
        return;
    vs->open = NULL;
    vs->h->hart->jit.view_credit = (s32)vs->h->jit->view_after;
    follow(vs);
}

static void tlb_flushed(void *ctx, s64 asid)
{
    struct views *vs = ctx;

    for (u32 i = 0; i < VIEWS; i++) {
        struct view *v = vs->view[i];
        if (v && v->maps && (asid < 0 || asid_of(v->space) == (u64)asid))
            take_back(vs, v);
    }
    if (vs->open && vs->open->space != vs->h->hart->csr.satp) /* after a reset */
        take_back(vs, vs->open);
}

static void tlb_dropped(void *ctx, gva_t page)
{
    struct views *vs = ctx;

    for (u32 i = 0; i < VIEWS; i++) {
        struct view *v = vs->view[i];
        struct view_page *p = v ? view_find(v, page) : NULL;
        if (p)
            view_drop(v, p);
    }
}

static void tlb_dropped_writes(void *ctx, const u8 *host)
{
    const u64 page = (u64)(uintptr_t)host;
    struct views *vs = ctx;

    for (u32 i = 0; i < VIEWS; i++) {
        if (vs->view[i] && view_deny_writes(vs->view[i], page))
            note_contest(vs, page);
    }
}

static struct space *find_space(struct views *vs, u64 satp)
{
    struct space *s = &vs->spaces[satp * UINT64_C(0x9e3779b97f4a7c15) >> (64 - SPACES_BITS)];

    if (s->satp != satp)
        *s = (struct space){satp, (s32)vs->h->jit->view_after};
    return s;
}

static void space_changed(void *ctx)
{
    struct views *vs = ctx;
    struct hart *hart = vs->h->hart;

    vs->space->credit = vs->open ? (s32)vs->h->jit->view_after : hart->jit.view_credit;
    vs->space = find_space(vs, hart->csr.satp);
    hart->jit.view_credit = vs->space->credit;
    vs->open = NULL;
    for (u32 i = 0; i < VIEWS; i++) {
        if (vs->view[i] && vs->view[i]->space == hart->csr.satp)
            vs->open = vs->view[i];
    }
    follow(vs);
}

/* ---- faults ---- */

/* The host faulted at this address: is it mapped now? */
static bool mend(struct jit_hart *h, const u8 *address, bool write)
{
    const struct view *v = h->views->open;
    u64 va;

    h->hart->stats.view_faults++;
    if (!v || !h->hart->jit.view)
        return false;
    va = (u64)(address - v->read);
    if (va >= VIEW_END)
        va = (u64)(address - v->marks);
    if (va >= VIEW_END)
        return false;
    return map_page(h->views, va & PAGE_MASK) &&
           (!write || view_find(h->views->open, va)->writable);
}

static void on_fault(int signal, siginfo_t *info, void *context)
{
    greg_t *regs = ((ucontext_t *)context)->uc_mcontext.gregs, *pc = &regs[REG_RIP];
    struct jit_hart *h = viewer;
    u64 stub = h ? jit_backend_recovery(h->jit->backend, (u64)*pc) : 0;

    if (stub) {
        if (!mend(h, info->si_addr, regs[REG_ERR] & FAULT_WRITE))
            *pc = (greg_t)stub;
    } else if (segv_before.sa_flags & SA_SIGINFO) {
        segv_before.sa_sigaction(signal, info, context);
    } else {
        sigaction(signal, &segv_before, NULL); /* it comes again */
    }
}

static void install(void)
{
    const struct sigaction action = {.sa_sigaction = on_fault, .sa_flags = SA_SIGINFO | SA_NODEFER};

    sigaction(SIGSEGV, &action, &segv_before);
}

/* ---- for the engine ---- */

/* None for harts with guests: satp is now HS's, now a guest's. */
void jit_views_create(struct jit_hart *h)
{
    struct views *vs = isa_has(&h->hart->isa, ISA_H) ? NULL : calloc(1, sizeof(*vs));

    if (!vs)
        return;
    vs->h = h;
    h->views = vs;
    vs->space = find_space(vs, h->hart->csr.satp);
    h->hart->jit.view_credit = vs->space->credit;
    h->hart->tlb.view =
        (struct tlb_view){0, vs, tlb_flushed, tlb_dropped, tlb_dropped_writes, space_changed};
    pthread_once(&segv_once, install);
}

void jit_views_destroy(struct jit_hart *h)
{
    if (!h->views)
        return;
    h->hart->tlb.view = (struct tlb_view){0};
    h->hart->jit.view = 0;
    if (viewer == h)
        viewer = NULL;
    for (u32 i = 0; i < VIEWS; i++)
        view_destroy(h->views->view[i]);
    free(h->views);
    h->views = NULL;
}

static bool serves(const struct jit_hart *h)
{
    const struct hart *hart = h->hart;

    return h->views && !atomic_load_explicit(&h->jit->no_views, memory_order_relaxed) &&
           hart->priv == PRIV_U && hart->data_mode == TLB_U && hart->csr.satp >> 60 == SV39;
}

bool jit_view_wanted(const struct jit_hart *h, bool sites)
{
    return serves(h) && (sites || h->views->open);
}

bool jit_view_lacks(const struct jit_hart *h)
{
    return serves(h) && !h->views->open;
}

void jit_view_enter(struct jit_hart *h)
{
    if (!h->views || viewer == h)
        return;
    viewer = h;
    follow(h->views);
}

/* What is used is more than views can have, again and again, or there is no room: better none. */
static void give_up(struct jit_hart *h)
{
    atomic_store_explicit(&h->jit->no_views, true, memory_order_relaxed);
    pthread_mutex_lock(&h->jit->lock);
    jit_drop_all(h->jit);
    pthread_mutex_unlock(&h->jit->lock);
    jit_catch_up(h);
}

/* The open view is full: at first the others of the hart give what they have. */
static void make_room(struct views *vs)
{
    const u64 insns = vs->h->hart->insns;
    u32 freed = 0;

    for (u32 i = 0; i < VIEWS; i++) {
        if (!vs->view[i] || vs->view[i] == vs->open)
            continue;
        freed += vs->view[i]->cost;
        view_empty(vs->view[i]);
    }
    vs->open->full = false;
    if (freed > FREED_ENOUGH)
        return;
    view_empty(vs->open);
    vs->overflows = insns - vs->overflowed > OVERFLOW_RARE ? 1 : vs->overflows + 1;
    vs->overflowed = insns;
    if (vs->overflows == OVERFLOWS)
        give_up(vs->h);
}

void jit_view_attend(struct jit_hart *h)
{
    struct views *vs = h->views;

    if (!vs)
        return;
    if (vs->open && vs->open->full)
        make_room(vs);
    if (vs->homeless)
        give_up(h);
    vs->homeless = false;
    if (vs->refused)
        jit_refused(h, vs->refused);
    vs->refused = 0;
}

/* The hart's address space gets the view that is in turn. */
static void open_view(struct views *vs)
{
    struct view **v = &vs->view[vs->turn++ % VIEWS];

    if (!*v)
        *v = view_create();
    if (!*v) {
        vs->homeless = true;
        hart_attention(vs->h->hart, ATTN_ENGINE);
        return;
    }
    view_empty(*v);
    (*v)->space = vs->h->hart->csr.satp;
    vs->open = *v;
    vs->h->hart->stats.views++;
    follow(vs);
}

/* May it have a view, and has one? */
static bool has_view(struct views *vs, gva_t va)
{
    const struct hart *hart = vs->h->hart;

    if (hart->data_mode != TLB_U || va >= VIEW_END || hart->csr.satp >> 60 != SV39)
        return false;
    if (!vs->open && hart->jit.view_credit < 0)
        open_view(vs);
    return vs->open;
}

bool jit_view_map(struct jit_hart *h, gva_t va, bool write)
{
    struct views *vs = h->views;
    const struct view_page *p;

    if (!vs)
        return false;
    if (!vs->open && h->hart->jit.view_credit >= 0) /* below that it is spent, and must not wrap */
        h->hart->jit.view_credit -= 1 + (s32)h->jit->view_after / GUARDS;
    if (!has_view(vs, va))
        return false;
    (void)map_page(vs, va & PAGE_MASK);
    p = view_find(vs->open, va);
    return p && (p->writable || !write);
}

/* A place that goes the slow way all the time shall have code that does so at once. */
static void refuse(struct views *vs, u32 times)
{
    struct hart *hart = vs->h->hart;

    vs->refusals += times;
    if (vs->refusals < REFUSALS || vs->h->jit->keep_guards)
        return;
    if (hart->insns - vs->refused_since < (u64)REFUSALS * RARE) {
        vs->refused = hart->pc;
        hart_attention(hart, ATTN_ENGINE);
    }
    vs->refusals = 0;
    vs->refused_since = hart->insns;
}

void jit_view_missed(struct jit_hart *h, gva_t va, bool write)
{
    struct views *vs = h->views;
    struct view_run run;
    bool spent = h->hart->jit.view_credit < 0; /* so many other accesses went this way, too */

    if (!vs)
        return;
    if (has_view(vs, va)) {
        run = known(vs, va & PAGE_MASK);
        if (!run.count || (write && !run.writable))
            refuse(vs, spent ? REFUSALS : 1);
    }
    if (spent)
        h->hart->jit.view_credit = vs->open ? REFUSALS : (s32)h->jit->view_after;
}
