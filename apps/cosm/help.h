/* SPDX-License-Identifier: BSD-2-Clause */
/* What the option table says to people and to a shell. Each writes to standard output. */
#ifndef COSM_APPS_HELP_H
#define COSM_APPS_HELP_H

#include "apps/cosm/options.h"

/* Help of a command, or of cosm itself (COMMAND_NONE). */
void help_print(enum command_id topic);

/* The same as a manual page, section 1, in the man macros. */
void manual_print(enum command_id topic);

/* Completion for bash. */
void completion_print(void);

#endif
