/* SPDX-License-Identifier: BSD-2-Clause */
/* What the values of options are made of: numbers, switches, lists of KEY=VALUE. */
#ifndef COSM_VMM_CONFIG_TEXT_H
#define COSM_VMM_CONFIG_TEXT_H

#include "vmm/config.h"

/* Digits alone, as strtoul would not have it: no sign, no space, no rest. */
MUST_CHECK bool config_number(const char *text, size_t len, u64 *value);

/* on|off */
MUST_CHECK int config_switch(const char *text, bool *on, struct err *err);

/* A list of items between commas, each KEY=VALUE or a word; ",," stands for a comma in a value. */
struct config_list {
    const char *rest;
    char item[VM_PATH_MAX + 16];
    char *value; /* behind the '=' of item, or NULL */
};

/* Takes the next item. 0: there is none, 1: here it is, negative: it is too long. */
MUST_CHECK int config_list_next(struct config_list *list, struct err *err);

/* Copies from with its NUL; what: "path", for the sentence. */
MUST_CHECK int config_copy(char *to, size_t room, const char *from, const char *what,
                           struct err *err);

#endif
