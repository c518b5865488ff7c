// SPDX-License-Identifier: Apache-2.0
/*
 * agent_crun.h - runs crun in the background, and reaps it and everything else that ends in the guest.
 */
#ifndef PMVM_OCI_AGENT_CRUN_H
#define PMVM_OCI_AGENT_CRUN_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>
#include <vpmem.h>

#define AGENT_DIR "/run/pmvm"

enum { CRUN_JOBS_MAX = 64, CRUN_ARGS_MAX = 12, DEATHS_MAX = 64 };

struct crun_job {
	pid_t pid;    /* 0: free */
	unsigned idx; /* its files in AGENT_DIR have this number */
	/*
	 * It has ended; rc is 0, or -EIO with its own error text in err. Called once, in the event loop. The job is free
	 * afterwards.
	 */
	void (*done)(void *owner, struct crun_job *job, int rc, const struct vpmem_error *err);
	void *owner;
	int64_t request_id;
	void *process; /* of the request: a process or a container, or NULL */
};

struct crun {
	struct crun_job jobs[CRUN_JOBS_MAX];
	/* A child of crun may end before crun does: what nobody knows yet, while there are jobs. */
	struct death {
		pid_t pid;
		int wait_status;
	} deaths[DEATHS_MAX];
	unsigned ndeaths; /* modulo DEATHS_MAX is the next place */
};

/* A free job, which is taken by crun_start; NULL: all are in use, and err says so. */
struct crun_job *crun_job(struct crun *crun, struct vpmem_error *err);

/*
 * Starts crun with these arguments, which end with NULL. Its standard descriptors are fds, or /dev/null where that is NULL
 * (its output then goes to crun_output). done, owner and the rest of job are set. An error leaves the job free.
 */
int crun_start(struct crun_job *job, const char *const *args, const int fds[3], struct vpmem_error *err);

/*
 * Runs a function of ours in a process of its own instead, because it may block: done gets 0, or -EIO with an error text of no
 * use. An error leaves the job free.
 */
int crun_start_task(struct crun_job *job, void (*task)(unsigned arg), unsigned arg, struct vpmem_error *err);

/* A file of this job in AGENT_DIR: "pid", "log", "out", "json", "socket". */
void crun_file(const struct crun_job *job, const char *kind, char *path, size_t size);

/* Reaps all that has ended. What no job is goes to ended(); it returns whether it knows the process. */
void crun_reap(struct crun *crun, bool (*ended)(void *owner, pid_t pid, int wait_status), void *owner);
/* Whether that process has ended already; its status. */
bool crun_has_ended(struct crun *crun, pid_t pid, int *wait_status);

#endif
