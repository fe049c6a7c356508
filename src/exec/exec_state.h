/* SPDX-License-Identifier: BSD-2-Clause */
/* What the files of exec share: the harts' threads, and what decides whether a hart runs. */
#ifndef COSM_EXEC_EXEC_STATE_H
#define COSM_EXEC_EXEC_STATE_H

#include "exec/exec.h"
#include "rv/code_map.h"

#include <pthread.h>

enum rest { REST_NONE, REST_STOP, REST_SUSPEND };

/*
 * What a hart's thread does next is decided under exec->lock by these flags; ATTN_PAUSE makes the
 * engine come back to look at them.
 */
struct vcpu {
    struct exec *exec;
    struct hart *hart;
    pthread_t thread;
    bool has_thread;
    bool started;   /* HSM: not stopped */
    enum rest rest; /* what the hart asked for; its own, or anyone's while it is parked */
    bool held;      /* by the debugger, or because the VM ends */
    bool step;
    bool parked; /* waits under lock */
    bool waits;  /* its last exit was WFI, and no interrupt came; under lock */
};

struct icount;

struct exec {
    struct exec_config config;
    struct code_map code_map;
    struct jit *jit; /* NULL: harts interpret */
    struct hart **harts;
    struct vcpu *vcpus;
    u32 count;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    u32 pauses;
    bool quit;
    struct icount *icount; /* NULL: each hart has a thread */
};

/* Asleep: others need not wait for this hart, and its stale write entries do no harm. */
void vcpu_fall_asleep(struct vcpu *v);
void vcpu_wake_up(struct vcpu *v);

/* First on each thread. */
void vcpu_began(struct exec *exec);

/* Runs the engine, or the trace in its place. */
enum hart_exit vcpu_run(struct vcpu *v, bool step);

/* What follows an exit: the debugger is told; the hart has asked to stop, or woke from suspend. */
void vcpu_stop_for_debugger(struct vcpu *v, enum hart_exit why);
void vcpu_stop(struct vcpu *v);
void vcpu_resume(struct vcpu *v);

/* exec_icount.c: all harts in turn on one thread. */
MUST_CHECK int icount_create(struct exec *exec, u32 shift, struct err *err);
void icount_destroy(struct exec *exec);
void *icount_main(void *exec);
/* A wire of a hart has changed, on any thread: the thread may have to wake. */
void icount_wake(struct exec *exec);

#endif
