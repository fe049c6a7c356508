/* SPDX-License-Identifier: BSD-2-Clause */
/* Writes to its console what must not reach a terminal, and what looks like the hypervisor's. */
#include "guest.h"

void guest_main(u64 hart, const void *tree)
{
    static const char *const lines[] = {
        "title \033]0;owned\a\n",
        "clip \033]52;c;b3duZWQ=\033\\\n",
        "reset \033c\n",
        "clear \033[2J\033[3J\n",
        "mouse \033[?1000h\n",
        "query \033[6n\033[c\n",
        "eight bit \233"
        "31m\n",
        "fake \r[metal] owned\n",
        "print \033[5i\n",
    };

    (void)hart, (void)tree;
    for (u32 i = 0; i < ARRAY_SIZE(lines); i++)
        print("%s", lines[i]);
    print("\033[32mwell\033[0m said\n");
}
