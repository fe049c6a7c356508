/* SPDX-License-Identifier: BSD-2-Clause */
/* Completion for bash, made from the option table; needs nothing but bash itself. */
#include "apps/cosm/help.h"

#include "store/build.h"

#include <stdio.h>

static void completion_names(u32 command)
{
    for (size_t i = 0; i < option_count; i++) {
        if (option_table[i].commands & command && option_table[i].section != SECTION_HIDDEN)
            printf(" --%s", option_table[i].name);
    }
}

static void completion_value(const struct option_info *o)
{
    const char *words = completion_words(o->completion);

    if (!o->argument || o->section == SECTION_HIDDEN)
        return;
    printf("        --%s", o->name);
    if (o->key)
        printf("|-%c", o->key);
    printf("|-%s) ", o->name);
    if (o->completion == COMPLETE_FILE)
        printf("compopt -o filenames 2>/dev/null; COMPREPLY=($(compgen -f -- \"$cur\")); return");
    else if (*words)
        printf("COMPREPLY=($(compgen -W '%s' -- \"$cur\")); return", words);
    else if (!option_is_optional_argument(o))
        printf("return");
    else
        printf(":");
    printf(" ;;\n");
}

/* Words that a command takes beside its options, some asked of the program itself. */
static void completion_operands(enum command_id command)
{
    if (command == COMMAND_HELP) {
        for (u32 i = 0; i < COMMAND_NONE; i++)
            printf("%s ", command_table[i].name);
    }
    if (command == COMMAND_METAL)
        printf("build check run trace top ");
    if (command == COMMAND_IMAGE)
        printf("pull ls info build rm ");
    if (command == COMMAND_IMAGE || command == COMMAND_RUN) {
        for (u32 i = 0; i < build_suite_count; i++)
            printf("debian%s%s ", i ? ":" : "", i ? build_suites[i] : "");
    }
}

void completion_print(void)
{
    printf("# bash completion of cosm, made by: cosm help --format=bash\n"
           "_cosm()\n{\n"
           "    local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD-1]} options\n"
           "    COMPREPLY=()\n"
           "    # bash splits --name=value into three words\n"
           "    if [[ $cur == = ]]; then\n        cur=\n"
           "    elif [[ $prev == = ]]; then\n        prev=${COMP_WORDS[COMP_CWORD-2]}\n    fi\n"
           "    # and NAME:TAG; what is before the tag stays on the line\n"
           "    local before=\n"
           "    if [[ $cur == : ]]; then\n        before=$prev: cur=\n"
           "    elif [[ $prev == : ]]; then\n        before=${COMP_WORDS[COMP_CWORD-2]}:\n    fi\n"
           "    case $prev in\n");
    for (size_t i = 0; i < option_count; i++)
        completion_value(&option_table[i]);
    printf("    esac\n"
           "    case ${COMP_WORDS[1]} in\n");
    for (u32 i = 0; i < COMMAND_NONE; i++) {
        printf("        %s) options='", command_table[i].name);
        completion_operands(i);
        completion_names(1u << i);
        printf("'");
        if (CMD_VM & 1u << i) /* their names, if it tells any */
            printf("\n            options+=\" $(\"${COMP_WORDS[0]}\" ps -aq 2>/dev/null)\"");
        if (i == COMMAND_IMAGE || i == COMMAND_RUN)
            printf("\n            options+=\" $(\"${COMP_WORDS[0]}\" image ls -q 2>/dev/null)\"");
        printf(" ;;\n");
    }
    printf("        *) options='");
    for (u32 i = 0; i < COMMAND_NONE; i++)
        printf("%s ", command_table[i].name);
    completion_names(CMD_NONE);
    printf("' ;;\n    esac\n"
           "    [[ $COMP_CWORD -eq 1 ]] && options='");
    for (u32 i = 0; i < COMMAND_NONE; i++)
        printf("%s ", command_table[i].name);
    completion_names(CMD_NONE);
    printf("'\n"
           "    COMPREPLY=($(compgen -W \"$options\" -- \"$before$cur\"))\n"
           "    COMPREPLY=(\"${COMPREPLY[@]#\"$before\"}\")\n}\n"
           "complete -F _cosm cosm\n");
}
