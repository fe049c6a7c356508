/* SPDX-License-Identifier: BSD-2-Clause */
/* Named host threads that leave signals to the main thread. */
#ifndef COSM_HOST_THREAD_H
#define COSM_HOST_THREAD_H

#include "base/err.h"

#include <pthread.h>

/* Stays where it is from start to join. */
struct thread {
    pthread_t id;
    void (*run)(void *ctx);
    void *ctx;
    char name[16];
};

/* name: at most 15 characters ("hart0"), longer ones are cut. */
MUST_CHECK int thread_start(struct thread *thread, const char *name, void (*run)(void *ctx),
                            void *ctx, struct err *err);

/* Waits for the end of a started thread; once. */
void thread_join(struct thread *thread);

#endif
