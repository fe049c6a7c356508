/* SPDX-License-Identifier: BSD-2-Clause */
/* [partition.health] of a configuration: what becomes of a partition by what happens. */
#include "plan/read.h"

#include <string.h>

static const char *const event_names[] = {"memory",   "instruction", "watchdog", "budget", "raised",
                                          "shutdown", "reboot",      "image",    "dma"};
_Static_assert(ARRAY_SIZE(event_names) == METAL_EVENTS, "metal/config.h");

static const char *const action_names[] = {"ignore", "log",       "guest", "stop", "restart",
                                           "warm",   "plan:NAME", "halt",  NULL};

const char *plan_event_name(u32 event)
{
    return event < METAL_EVENTS ? event_names[event] : NULL;
}

const char *plan_action_name(u32 action)
{
    if (action == METAL_ACTION_PLAN)
        return "plan";
    return action <= METAL_ACTION_HALT ? action_names[action] : NULL;
}

/* Faults go to the guest, as on a machine of its own; what it asks for it gets. */
static const u16 defaults[METAL_EVENTS] = {
    METAL_ACTION_GUEST,   METAL_ACTION_GUEST, METAL_ACTION_RESTART,
    METAL_ACTION_IGNORE,  METAL_ACTION_LOG,   METAL_ACTION_STOP,
    METAL_ACTION_RESTART, METAL_ACTION_STOP,  METAL_ACTION_LOG,
};

static const char *const plan_prefix = "plan:";

/* What makes no sense: an exception for what is no trap, a start with an image that is not the one.
 */
static int check_rule(struct plan *p, const struct toml_node *n, u32 event, u32 action)
{
    if (action == METAL_ACTION_GUEST && event != METAL_EVENT_MEMORY &&
        event != METAL_EVENT_INSTRUCTION)
        return plan_refuse(p, n,
                           "only of memory and instruction there is an exception for the guest");
    if (event == METAL_EVENT_IMAGE && action != METAL_ACTION_STOP && action != METAL_ACTION_PLAN &&
        action != METAL_ACTION_HALT)
        return plan_refuse(p, n,
                           "a partition whose image is not the configured one cannot run: stop, "
                           "plan:NAME or halt");
    if ((event == METAL_EVENT_SHUTDOWN || event == METAL_EVENT_REBOOT) &&
        action <= METAL_ACTION_GUEST)
        return plan_refuse(p, n,
                           "a partition that asked for its end cannot go on: stop, restart, "
                           "warm, plan:NAME or halt");
    return 0;
}

static int read_action(struct plan *p, const struct toml_node *n, u32 event, struct plan_rule *rule)
{
    const char *name = n->kind == TOML_STRING && !strncmp(n->text, plan_prefix, strlen(plan_prefix))
                           ? n->text + strlen(plan_prefix)
                           : NULL;
    u32 action = METAL_ACTION_PLAN, index = 0;
    int r = name ? read_plan_name(p, n, name, &index)
                 : read_choice(p, n, action_names, "action", &action);

    if (!r && action == METAL_ACTION_PLAN && !name)
        r = plan_refuse(p, n, "NAME is to be the name of a plan");
    if (!r)
        r = check_rule(p, n, event, action);
    rule->action = (u16)action;
    rule->plan = (u16)index;
    rule->node = n;
    return r;
}

static int check_limit(struct plan *p, const struct toml_node *n, const struct plan_rule *rule)
{
    if (rule->action == METAL_ACTION_RESTART || rule->action == METAL_ACTION_WARM)
        return 0;
    return plan_refuse(p, n, "a limit counts restarts; this action makes none");
}

static const struct plan_key rule_keys[] = {
    {"action", KIND(STRING), take_node, 0, true},
    {"limit", KIND(INTEGER), take_node, sizeof(struct toml_node *)},
};

/* "restart" or { action = "restart", limit = 5 } */
static int read_rule(struct plan *p, const struct toml_node *n, u32 event, struct plan_rule *rule)
{
    const struct toml_node *part[2] = {n, NULL};
    int r = 0;

    if (n->kind == TOML_TABLE)
        r = read_table(p, n, "a rule", rule_keys, ARRAY_SIZE(rule_keys), part);
    if (!r)
        r = read_action(p, part[0], event, rule);
    if (!r && part[1])
        r = take_number(p, part[1], &rule->limit);
    if (!r && part[1])
        r = check_limit(p, part[1], rule);
    return r;
}

static int read_partition_health(struct plan *p, struct plan_partition *part)
{
    const struct toml_node *value[METAL_EVENTS] = {NULL};
    struct plan_key keys[METAL_EVENTS];
    int r = 0;

    for (u32 e = 0; e < METAL_EVENTS; e++) {
        keys[e] = (struct plan_key){event_names[e], KIND(STRING) | KIND(TABLE), take_node,
                                    e * sizeof(value[0]), false};
        part->rule[e] = (struct plan_rule){.action = defaults[e]};
    }
    if (part->health)
        r = read_table(p, part->health, "a partition's health", keys, METAL_EVENTS, value);
    for (u32 e = 0; e < METAL_EVENTS && !r; e++) {
        if (value[e])
            r = read_rule(p, value[e], e, &part->rule[e]);
    }
    return r;
}

int read_health(struct plan *p)
{
    int r = 0;

    for (u32 i = 0; i < p->partition_count && !r; i++)
        r = read_partition_health(p, &p->partition[i]);
    return r;
}
