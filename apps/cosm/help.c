/* SPDX-License-Identifier: BSD-2-Clause */
/* The help texts, made from the option table. */
#include "apps/cosm/help.h"

#include <stdio.h>
#include <string.h>

#define WIDTH       80
#define OPTION_TEXT 8 /* column where an option's text starts */

/* Words of text in lines of at most WIDTH columns, each line indented. */
static void help_wrap(const char *text, int indent)
{
    int column = 0;

    while (*text) {
        int len = (int)strcspn(text, " ");

        if (column && column + 1 + len > WIDTH) {
            putchar('\n');
            column = 0;
        }
        column += column ? printf(" %.*s", len, text) : printf("%*s%.*s", indent, "", len, text);
        text += len + (text[len] == ' ');
    }
    putchar('\n');
}

static void help_option(const struct option_info *o)
{
    char text[1024];

    if (o->key)
        printf("  -%c, ", o->key);
    else
        printf("      ");
    printf("--%s", o->name);
    if (option_is_optional_argument(o))
        printf("[=%.*s", (int)strlen(o->argument) - 1, o->argument + 1);
    else if (o->argument)
        printf(" %s", o->argument);
    putchar('\n');
    if (o->fallback)
        snprintf(text, sizeof(text), "%s (%s: %s)", o->help,
                 option_is_optional_argument(o) ? "without a value" : "default", o->fallback);
    else
        snprintf(text, sizeof(text), "%s", o->help);
    help_wrap(text, OPTION_TEXT);
}

static void help_section(const char *title)
{
    printf("\n%s:\n", title);
}

void help_each_option(u32 command, void (*section)(const char *title),
                      void (*option)(const struct option_info *o))
{
    for (u32 n = 0; n < SECTION_HIDDEN; n++) {
        bool has_title = false;

        for (size_t i = 0; i < option_count; i++) {
            const struct option_info *o = &option_table[i];

            if (!(o->commands & command) || o->section != n)
                continue;
            if (!has_title)
                section(section_table[n]);
            has_title = true;
            option(o);
        }
    }
}

static void help_example(const struct example_info *example)
{
    printf("  %s\n", example->line);
    help_wrap(example->what, OPTION_TEXT);
}

void help_each_example(enum command_id command, void (*section)(const char *title),
                       void (*example)(const struct example_info *example))
{
    bool has_title = false;

    for (size_t i = 0; i < example_count; i++) {
        if (example_table[i].command != command)
            continue;
        if (!has_title)
            section("Examples");
        has_title = true;
        example(&example_table[i]);
    }
}

static void help_run_notes(void)
{
    printf("\nOn the console:\n"
           "  Ctrl-A x   quit          Ctrl-A c   send Ctrl-A to the guest\n"
           "  Ctrl-A b   send a break  Ctrl-A h   list these keys\n"
           "\nExit status: what the guest gives to the test finisher, 0 when it powers off;\n"
           "1 when cosm fails, 2 when the command line is wrong, 128 + N after signal N.\n"
           "QEMU's spellings (-kernel, -append, -m, -smp, -nographic, ...) are understood.\n");
}

static void help_overview(void)
{
    printf("cosm %s: complete small worlds. Boots whole RISC-V computers, anywhere.\n\n"
           "Usage: cosm COMMAND [OPTION]...\n\nCommands:\n",
           COSM_VERSION);
    for (u32 i = 0; i < COMMAND_NONE; i++)
        printf("  %-9s%s\n", command_table[i].name, command_table[i].summary);
    help_each_option(CMD_NONE, help_section, help_option);
    printf("\nA first run:\n  cosm run --kernel Image --initrd initramfs.cpio -m 512M\n"
           "\n'cosm help run' tells about every option of run, with more examples.\n");
}

void help_print(enum command_id topic)
{
    const struct command_info *command;

    if (topic == COMMAND_NONE) {
        help_overview();
        return;
    }
    command = &command_table[topic];
    printf("cosm %s: %s\n\nUsage: cosm %s%s%s\n\n", command->name, command->summary, command->name,
           *command->arguments ? " " : "", command->arguments);
    help_wrap(command->description, 0);
    help_each_example(topic, help_section, help_example);
    help_each_option(1u << topic, help_section, help_option);
    if (topic == COMMAND_RUN)
        help_run_notes();
}
