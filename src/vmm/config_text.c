/* SPDX-License-Identifier: BSD-2-Clause */
/* What the values of options are made of: numbers, switches, lists of KEY=VALUE. */
#include "vmm/config_text.h"

#include "base/checked.h"

#include <errno.h>
#include <string.h>

bool config_number(const char *text, size_t len, u64 *value)
{
    u64 v = 0;

    for (size_t i = 0; i < len; i++) {
        if (text[i] < '0' || text[i] > '9')
            return false;
        if (!checked_mul(v, 10, &v) || !checked_add(v, (u64)(text[i] - '0'), &v))
            return false;
    }
    *value = v;
    return len > 0;
}

int config_switch(const char *text, bool *on, struct err *err)
{
    if (!strcmp(text, "on") || !strcmp(text, "true") || !strcmp(text, "yes"))
        *on = true;
    else if (!strcmp(text, "off") || !strcmp(text, "false") || !strcmp(text, "no"))
        *on = false;
    else
        return err_set(err, EINVAL, "'%s' is neither on nor off", text);
    return 0;
}

int config_list_next(struct config_list *list, struct err *err)
{
    size_t n = 0;

    if (!*list->rest)
        return 0;
    while (*list->rest) {
        if (*list->rest == ',' && list->rest[1] != ',')
            break;
        if (n + 1 == sizeof(list->item))
            return err_set(err, EINVAL, "'%.40s...' is too long", list->item);
        list->rest += *list->rest == ',';
        list->item[n++] = *list->rest++;
        list->item[n] = '\0';
    }
    list->item[n] = '\0';
    list->rest += *list->rest == ',';
    list->value = strchr(list->item, '=');
    if (list->value)
        *list->value++ = '\0';
    return 1;
}

int config_copy(char *to, size_t room, const char *from, const char *what, struct err *err)
{
    if (!*from)
        return err_set(err, EINVAL, "the %s is empty", what);
    if (strlen(from) >= room)
        return err_set(err, EINVAL, "the %s '%.40s...' is longer than %zu characters", what, from,
                       room - 1);
    memcpy(to, from, strlen(from) + 1);
    return 0;
}
