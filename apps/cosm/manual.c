/* SPDX-License-Identifier: BSD-2-Clause */
/* Manual pages in the man macros, made from the option table. */
#include "apps/cosm/help.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

/* Text as roff takes it literally. */
static void roff_text(const char *text)
{
    if (*text == '.' || *text == '\'')
        fputs("\\&", stdout);
    for (; *text; text++) {
        if (*text == '-')
            fputs("\\-", stdout);
        else if (*text == '\\')
            fputs("\\e", stdout);
        else if (*text == '\'')
            fputs("\\(aq", stdout);
        else
            putchar(*text);
    }
}

static void roff_line(const char *macro, const char *text)
{
    if (*macro)
        printf("%s ", macro);
    roff_text(text);
    putchar('\n');
}

static void roff_section(const char *title)
{
    printf(".SH \"");
    for (; *title; title++)
        putchar(toupper((unsigned char)*title));
    printf("\"\n");
}

static void manual_option(const struct option_info *o)
{
    printf(".TP\n");
    if (o->key)
        printf("\\fB\\-%c\\fR, ", o->key);
    printf("\\fB\\-\\-");
    roff_text(o->name);
    printf("\\fR");
    if (option_is_optional_argument(o)) {
        char inner[64];
        snprintf(inner, sizeof(inner), "%.*s", (int)strlen(o->argument) - 2, o->argument + 1);
        printf("[=\\fI");
        roff_text(inner);
        printf("\\fR]");
    } else if (o->argument) {
        printf(" \\fI");
        roff_text(o->argument);
        printf("\\fR");
    }
    putchar('\n');
    roff_line("", o->help);
    if (o->fallback) {
        printf(option_is_optional_argument(o) ? "Without a value: " : "Default: ");
        roff_text(o->fallback);
        printf(".\n");
    }
}

static void manual_section(const char *title)
{
    roff_line(".SS", title);
}

static void manual_example(const struct example_info *example)
{
    roff_line("", example->what);
    printf(".PP\n.nf\n.RS 4\n");
    roff_line("", example->line);
    printf(".RE\n.fi\n.PP\n");
}

static void manual_run_notes(void)
{
    static const char *const keys[][2] = {
        {"Ctrl-A x", "Quit cosm."},
        {"Ctrl-A b", "Send a break to the guest."},
        {"Ctrl-A c", "Send Ctrl-A itself; so does Ctrl-A Ctrl-A."},
        {"Ctrl-A h", "List these keys."},
    };

    roff_section("keys");
    roff_line("", "When standard input is a terminal, all keys go to the guest but these:");
    for (size_t i = 0; i < ARRAY_SIZE(keys); i++) {
        printf(".TP\n\\fB");
        roff_text(keys[i][0]);
        printf("\\fR\n");
        roff_line("", keys[i][1]);
    }
    roff_section("compatibility");
    roff_line("", "The board is register- and address-compatible with QEMU's virt. Names of "
                  "options that QEMU has too may be written with one dash: -kernel, -append, "
                  "-initrd, -bios, -smp, -m, -drive, -s, -S, -nographic.");
    roff_section("exit status");
    printf(".TP\n0 to 255\n");
    roff_line("", "What the guest gave to the test finisher; 0 when it powered off.");
    printf(".TP\n1\n");
    roff_line("", "cosm could not do what was asked; one line on standard error tells why.");
    printf(".TP\n2\n");
    roff_line("", "The command line is wrong.");
    printf(".TP\n128 + N\n");
    roff_line("", "Signal N ended the run.");
}

static void manual_command(enum command_id topic)
{
    const struct command_info *command = &command_table[topic];

    printf(".TH COSM\\-");
    for (const char *c = command->name; *c; c++)
        putchar(toupper((unsigned char)*c));
    printf(" 1 \"\" \"cosm %s\" \"Cosm Manual\"\n", COSM_VERSION);
    roff_section("name");
    printf("cosm\\-%s \\- %s\n", command->name, command->summary);
    roff_section("synopsis");
    printf("\\fBcosm %s\\fR ", command->name);
    roff_line("", command->arguments);
    roff_section("description");
    roff_line("", command->description);
    roff_section("options");
    help_each_option(1u << topic, manual_section, manual_option);
    if (topic == COMMAND_RUN)
        manual_run_notes();
    help_each_example(topic, roff_section, manual_example);
    roff_section("see also");
    printf("\\fBcosm\\fR(1)\n");
}

static void manual_overview(void)
{
    printf(".TH COSM 1 \"\" \"cosm %s\" \"Cosm Manual\"\n", COSM_VERSION);
    roff_section("name");
    printf("cosm \\- complete small worlds: RISC\\-V computers in software\n");
    roff_section("synopsis");
    printf("\\fBcosm\\fR \\fICOMMAND\\fR [\\fIOPTION\\fR]...\n");
    roff_section("description");
    roff_line("", command_table[COMMAND_RUN].description);
    roff_section("commands");
    for (u32 i = 0; i < COMMAND_NONE; i++) {
        printf(".TP\n\\fB%s\\fR %s\n", command_table[i].name, command_table[i].arguments);
        roff_line("", command_table[i].description);
    }
    roff_section("options");
    help_each_option(CMD_NONE, manual_section, manual_option);
    roff_section("see also");
    printf("\\fBcosm\\-run\\fR(1)\n");
}

void manual_print(enum command_id topic)
{
    if (topic == COMMAND_NONE)
        manual_overview();
    else
        manual_command(topic);
}
