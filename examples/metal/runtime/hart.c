/* SPDX-License-Identifier: BSD-2-Clause */
/* Harts of this program: the first one, and those that it starts. */
#include "guest.h"

struct hart harts[GUEST_HARTS];
const u64 hart_bytes = sizeof(struct hart); /* for start.S */

_Static_assert(offsetof(struct hart, attempt_sp) == 16, "as start.S has it");
_Static_assert(offsetof(struct trap_frame, f) == 272 && sizeof(struct trap_frame) == 448,
               "as start.S has it");

void guest_begin(u64 hart, const void *tree);
void hart_entry(void);
void hart_run(u64 hart);

static bool is_tree(const u8 *tree)
{
    return tree && tree[0] == 0xd0 && tree[1] == 0x0d && tree[2] == 0xfe && tree[3] == 0xed;
}

/* Called by start.S, on the first hart. */
void guest_begin(u64 hart, const void *tree)
{
    harts[hart].id = hart;
    if (!is_tree(tree))
        tree = NULL;
    timer_init(tree);
    guest_main(hart, tree);
}

/* Called by start.S, on each other hart. */
void hart_run(u64 hart)
{
    struct hart *self = &harts[hart];

    self->id = hart;
    self->function(self->argument);
    cosm_sbi(SBI_HSM, 1, 0, 0, 0);
}

long hart_start(u64 hart, void (*function)(u64), u64 argument)
{
    if (hart >= GUEST_HARTS)
        return -3; /* SBI_ERR_INVALID_PARAM */
    harts[hart].function = function;
    harts[hart].argument = argument;
    __asm__ volatile("fence rw, rw" ::: "memory");
    return cosm_sbi(SBI_HSM, 0, hart, (u64)(uintptr_t)hart_entry, 0).error;
}
