/* SPDX-License-Identifier: BSD-2-Clause */
/* The network process: what it does from its start to its end. */
#ifndef COSM_NET_SERVE_H
#define COSM_NET_SERVE_H

/* Serves the sockets at WIRE_DATA_FD and WIRE_CONTROL_FD until they close; the exit status. */
int net_serve(void);

#endif
