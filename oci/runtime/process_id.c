// SPDX-License-Identifier: Apache-2.0
// Which process a pid in a file names.
#include "process_id.h"

#include "monotonic.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/pidfd.h>
#include <time.h>
#include <unistd.h>

#define POLL_NS 5000000 /* between two looks at a process that ends */

struct process_stat {
	char state;
	uint64_t start_time;
};

static int read_stat(pid_t pid, struct process_stat *stat)
{
	char path[32], text[1024];
	unsigned long long start;
	const char *after_name;
	ssize_t len;
	int fd;

	snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return errno == ENOENT ? -ESRCH : -errno;
	len = read(fd, text, sizeof(text) - 1);
	close(fd);
	if (len <= 0)
		return -ESRCH;
	text[len] = '\0';
	// The second field is the name in parentheses, which may hold anything.
	after_name = strrchr(text, ')');
	if (!after_name ||
	    sscanf(after_name + 1, " %c %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %llu",
	           &stat->state, &start) != 2)
		return -EPROTO;
	stat->start_time = start;
	return 0;
}

int process_id_of(pid_t pid, struct process_id *id)
{
	struct process_stat stat;
	int rc = pid > 0 ? read_stat(pid, &stat) : -ESRCH;

	if (rc == 0)
		*id = (struct process_id) { .pid = pid, .start_time = stat.start_time };
	return rc;
}

bool process_id_is_alive(const struct process_id *id)
{
	struct process_stat stat;
	int rc = id->pid > 0 ? read_stat(id->pid, &stat) : -ESRCH;

	// Where there is no descriptor left to see it, a container must not pass for one that has stopped.
	if (rc < 0)
		return rc != -ESRCH;
	return stat.start_time == id->start_time && stat.state != 'Z' && stat.state != 'X';
}

int process_id_kill(const struct process_id *id, int signal)
{
	int fd = id->pid > 0 ? pidfd_open(id->pid, 0) : -1, rc;

	if (fd < 0)
		return id->pid > 0 ? -errno : -ESRCH;
	// The descriptor names one process: if that is the one that was meant, it stays so.
	rc = process_id_is_alive(id) ? 0 : -ESRCH;
	if (rc == 0 && pidfd_send_signal(fd, signal, NULL, 0) < 0)
		rc = -errno;
	close(fd);
	return rc;
}

bool process_id_wait(const struct process_id *id, unsigned timeout_ms)
{
	const struct timespec pause = { .tv_nsec = POLL_NS };
	uint64_t end = monotonic_ms() + timeout_ms;

	while (process_id_is_alive(id)) {
		if (monotonic_ms() >= end)
			return false;
		nanosleep(&pause, NULL);
	}
	return true;
}
