// SPDX-License-Identifier: Apache-2.0
/*
 * agent.h - the state of the agent, which is init of the guest: one thread, one event loop.
 *
 * The host sends requests by the control connection (docs/containers-protocol.md). The agent leaves containers to crun:
 * it prepares what crun needs, runs it, and is the parent of what crun leaves behind. The host may send anything; what
 * is wrong gets an error as its answer.
 */
#ifndef PMVM_OCI_AGENT_H
#define PMVM_OCI_AGENT_H

#include "agent_crun.h"
#include "frame.h"
#include "loop.h"

#include <pthread.h>
#include <stdbool.h>
#include <vpmem.h>

enum { PROCESSES_MAX = 64, TOKEN_BYTES = 16, CONTAINERS_MAX = 64 };

struct process;
struct json_object;

struct agent {
	pthread_mutex_t lock; /* of the loop; there is no other thread */
	struct loop loop;
	unsigned port; /* of the host */
	char token[2 * TOKEN_BYTES +
	           1];   /* the host knows our connections by it, from those of the container's processes */
	int control_fd;  /* -1: the host is gone, and the guest powers off */
	int children_fd; /* of SIGCHLD */
	struct loop_source control, children;
	struct wire_reader reader;
	struct crun crun;
	struct process *processes[PROCESSES_MAX]; /* NULL: free */
	struct container {
		bool is_there; /* also when creating it failed */
		unsigned number;
	} containers[CONTAINERS_MAX];
};

/* A connection to the host, which does not block once it is there. */
int agent_connect(struct agent *agent, int *fd, struct vpmem_error *err);
/* Takes the message. One that cannot be sent ends the connection. */
void agent_send(struct agent *agent, struct json_object *message);

#endif
