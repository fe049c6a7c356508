/* SPDX-License-Identifier: BSD-2-Clause */
/* The other end of a VM's control socket: one request at a time, with a time for the answer. */
#ifndef COSM_API_CLIENT_H
#define COSM_API_CLIENT_H

#include "api/json.h"
#include "api/record.h"

#define CLIENT_VALUES_MAX  1024
#define CLIENT_REQUEST_MAX (16 * KIB)

struct client {
    int fd;
    int passing; /* a descriptor for the next request, or -1 */
    size_t len;  /* of what came after the last answer */
    char text[64 * KIB];
    struct json_node node[CLIENT_VALUES_MAX];
    struct json json; /* the last answer */
};

/* Connects and negotiates. -ENOTCONN: no process has the name, or it has no socket (yet). */
MUST_CHECK int client_open(struct client *client, const struct record *record, struct err *err);
void client_close(struct client *client);

/*
 * {"execute": command}; events that come meanwhile are left out. What it returned, valid until the
 * next call, or NULL and the sentence.
 */
const struct json_node *client_call(struct client *client, const char *name, const char *command,
                                    struct err *err);

/* Sends a descriptor along with the next request, which stays the caller's. */
void client_pass(struct client *client, int fd);

/* The same with arguments, a JSON object. */
const struct json_node *client_call_with(struct client *client, const char *name,
                                         const char *command, const char *arguments,
                                         struct err *err);

#endif
