// SPDX-License-Identifier: Apache-2.0
/*
 * agent_process.h - a process of a container that the host knows by name: "init", "init-K", or "exec-N".
 *
 * Its streams are connections to the host, one each. Without a terminal the process gets pipes: it may open /dev/stdout,
 * which a socket would refuse. Life: process_open (connected), then process_run (crun has started it) or process_drop;
 * process_ended when it was reaped. When its output is delivered as well, the host gets the event and the process is freed.
 */
#ifndef PMVM_OCI_AGENT_PROCESS_H
#define PMVM_OCI_AGENT_PROCESS_H

#include "agent_pump.h"

#include <stdbool.h>
#include <sys/types.h>
#include <vpmem.h>

struct agent;

enum { STREAMS_MAX = 3, PROCESS_NAME_SIZE = 16 };

struct stream {
	struct process *process;
	int host_fd;  /* the connection; -1: it is over, or there is none */
	int inner_fd; /* our end of the pipe, or the terminal */
	int child_fd; /* the end that crun gets; -1 after that */
	struct pump to_host, to_process;
};

struct process {
	struct agent *agent;
	char name[PROCESS_NAME_SIZE];
	unsigned container; /* its number */
	bool is_terminal;
	int console_fd; /* where crun sends its terminal; -1 */
	pid_t pid;      /* 0: it does not run yet; -1: it has ended */
	bool has_ended;
	int status;
	struct stream streams[STREAMS_MAX]; /* stdin, stdout, stderr; or one terminal */
};

/* Of exec. */
bool process_name_wellformed(const char *name);
/* "init" of container 0, "init-K" of container K. Returns name. */
const char *process_init_name(unsigned container, char name[PROCESS_NAME_SIZE]);
/* NULL: there is none of this name. */
struct process *process_find(struct agent *agent, const char *name);

/* Connects its streams. -EEXIST, -EBUSY: too many processes. */
int process_open(struct agent *agent, const char *name, unsigned container, bool is_terminal, struct process **process,
                 struct vpmem_error *err);
/* What crun gets as 0, 1 and 2. Borrowed until process_run. False: it has a terminal, and gets none. */
bool process_child_fds(const struct process *process, int fds[3]);
/* It is this one now. Takes terminal_fd, the master, or -1. An error leaves the process to process_drop. */
int process_run(struct process *process, pid_t pid, int terminal_fd, struct vpmem_error *err);
/* It may have ended while crun ran: to be called once its start is answered. May free it. */
void process_catch_up(struct process *process);
/* It never ran. */
void process_drop(struct process *process);

/* As waitpid has it; false: the pid is no process of ours. */
bool process_ended(void *agent, pid_t pid, int wait_status);

/* -ENOTTY: it has no terminal. */
int process_resize(struct process *process, unsigned short rows, unsigned short columns, struct vpmem_error *err);

#endif
