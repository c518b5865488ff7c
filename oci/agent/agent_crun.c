// SPDX-License-Identifier: Apache-2.0
// Starts crun, waits for it, and reads its error text from its log.
#include "agent_crun.h"

#include "agent_file.h"
#include "error.h"
#include "json_parse.h"

#include <fcntl.h>
#include <json-c/json.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define CRUN "/sbin/crun"

void crun_file(const struct crun_job *job, const char *kind, char *path, size_t size)
{
	snprintf(path, size, AGENT_DIR "/job-%u.%s", job->idx, kind);
}

static void remove_files(const struct crun_job *job)
{
	static const char *const kinds[] = { "pid", "log", "out", "json", "socket" };
	char path[64];

	for (unsigned i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
		crun_file(job, kinds[i], path, sizeof(path));
		unlink(path);
	}
}

struct crun_job *crun_job(struct crun *crun, struct vpmem_error *err)
{
	for (unsigned i = 0; i < CRUN_JOBS_MAX; i++) {
		struct crun_job *job = &crun->jobs[i];

		if (job->pid)
			continue;
		*job = (struct crun_job) { .idx = i };
		remove_files(job);
		return job;
	}
	error_set(err, -EBUSY, "%d requests are under way: wait for one of them", CRUN_JOBS_MAX);
	return NULL;
}

static void set_standard_fds(const struct crun_job *job, const int fds[3])
{
	char out[64];
	int null, fd;

	if (fds) {
		for (int i = 0; i < 3; i++)
			dup2(fds[i], i);
		return;
	}
	crun_file(job, "out", out, sizeof(out));
	null = open("/dev/null", O_RDWR | O_CLOEXEC);
	fd = open(out, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	dup2(null, 0);
	dup2(fd, 1);
	dup2(null, 2);
}

// In the child. The agent ignores SIGPIPE, blocks SIGCHLD and is the last to be killed: its children are not like that.
static _Noreturn void become_crun(const struct crun_job *job, const char *const *args, const int fds[3])
{
	const char *argv[CRUN_ARGS_MAX + 8] = { CRUN, "--root=/run/crun", "--log-format=json",
		                                "--cgroup-manager=cgroupfs" };
	static char *const env[] = { "PATH=/sbin:/usr/sbin:/bin:/usr/bin", NULL };
	char log[80] = "--log=";
	sigset_t none;
	unsigned n = 4;

	crun_file(job, "log", log + strlen(log), sizeof(log) - strlen(log));
	argv[n++] = log;
	for (unsigned i = 0; i < CRUN_ARGS_MAX && args[i]; i++)
		argv[n++] = args[i];
	file_write("/proc/self/oom_score_adj", "0", NULL);
	signal(SIGPIPE, SIG_DFL);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	set_standard_fds(job, fds);
	execve(CRUN, (char *const *)argv, env);
	_exit(127);
}

int crun_start(struct crun_job *job, const char *const *args, const int fds[3], struct vpmem_error *err)
{
	pid_t pid = fork();

	if (pid < 0)
		return error_set(err, -errno, "crun cannot be started: %s", strerror(errno));
	if (pid == 0)
		become_crun(job, args, fds);
	job->pid = pid;
	return 0;
}

int crun_start_task(struct crun_job *job, void (*task)(unsigned arg), unsigned arg, struct vpmem_error *err)
{
	pid_t pid = fork();

	if (pid < 0)
		return error_set(err, -errno, "no process can be started: %s", strerror(errno));
	if (pid == 0) {
		task(arg);
		_exit(0);
	}
	job->pid = pid;
	return 0;
}

// The log has a JSON object a line; the last one says why it failed.
static void read_error(const struct crun_job *job, int wait_status, struct vpmem_error *err)
{
	char path[64], log[4096], *line, *next;
	struct json_object *entry, *msg;

	error_set(err, -EIO, "crun failed: status 0x%x", (unsigned)wait_status);
	crun_file(job, "log", path, sizeof(path));
	file_read(path, log, sizeof(log));
	for (line = log; *line; line = next) {
		next = line + strcspn(line, "\n");
		if (*next)
			*next++ = '\0';
		if (json_parse(line, &entry, NULL))
			continue;
		if (json_object_is_type(entry, json_type_object) && json_object_object_get_ex(entry, "msg", &msg))
			error_set(err, -EIO, "%s", json_object_get_string(msg));
		json_object_put(entry);
	}
}

static void job_ended(struct crun_job *job, int wait_status)
{
	const bool is_good = WIFEXITED(wait_status) && WEXITSTATUS(wait_status) == 0;
	struct vpmem_error err = { .text = "" };

	if (!is_good)
		read_error(job, wait_status, &err);
	job->done(job->owner, job, is_good ? 0 : -EIO, &err);
	remove_files(job);
	job->pid = 0;
}

static struct crun_job *job_of(struct crun *crun, pid_t pid)
{
	for (unsigned i = 0; i < CRUN_JOBS_MAX; i++)
		if (crun->jobs[i].pid == pid)
			return &crun->jobs[i];
	return NULL;
}

static bool has_jobs(const struct crun *crun)
{
	for (unsigned i = 0; i < CRUN_JOBS_MAX; i++)
		if (crun->jobs[i].pid)
			return true;
	return false;
}

void crun_reap(struct crun *crun, bool (*ended)(void *owner, pid_t pid, int wait_status), void *owner)
{
	int wait_status;
	pid_t pid;

	// A number that nobody asks for now may be that of another process later.
	if (!has_jobs(crun))
		memset(crun->deaths, 0, sizeof(crun->deaths));
	while ((pid = waitpid(-1, &wait_status, WNOHANG)) > 0) {
		struct crun_job *job = job_of(crun, pid);

		if (job)
			job_ended(job, wait_status);
		else if (!ended(owner, pid, wait_status))
			crun->deaths[crun->ndeaths++ % DEATHS_MAX] =
				(struct death) { .pid = pid, .wait_status = wait_status };
	}
}

bool crun_has_ended(struct crun *crun, pid_t pid, int *wait_status)
{
	for (unsigned i = 0; i < DEATHS_MAX; i++) {
		struct death *death = &crun->deaths[i];

		if (death->pid != pid)
			continue;
		*wait_status = death->wait_status;
		death->pid = 0;
		return true;
	}
	return false;
}
