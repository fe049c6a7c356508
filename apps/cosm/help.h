/* SPDX-License-Identifier: BSD-2-Clause */
/* What the option table says to people and to a shell. Each writes to standard output. */
#ifndef COSM_APPS_HELP_H
#define COSM_APPS_HELP_H

#include "apps/cosm/options.h"

/* Help of a command, or of cosm itself (COMMAND_NONE). */
void help_print(enum command_id topic);

/* For a command's options (or those of cosm itself: CMD_NONE), one section after the other, and for
 * its examples: a title first where there are any. */
void help_each_option(u32 command, void (*section)(const char *title),
                      void (*option)(const struct option_info *o));
void help_each_example(enum command_id command, void (*section)(const char *title),
                       void (*example)(const struct example_info *example));

/* What help_print tells as a manual page, section 1, in the man macros. */
void manual_print(enum command_id topic);

/* Completion for bash. */
void completion_print(void);

#endif
