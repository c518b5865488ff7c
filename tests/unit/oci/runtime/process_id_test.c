// SPDX-License-Identifier: Apache-2.0
// Which process a pid in a file names, and whether it lives.
#include "process_id.h"
#include "unit_test.h"

#include <errno.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

static pid_t start(struct process_id *id)
{
	pid_t pid = fork();

	if (pid == 0) {
		pause();
		_exit(0);
	}
	assert_true(pid > 0);
	assert_int_equal(process_id_of(pid, id), 0);
	return pid;
}

static void end(pid_t pid)
{
	kill(pid, SIGKILL);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
}

static void a_process_is_known_by_its_start(void **state)
{
	struct process_id id, other;
	pid_t pid = start(&id);

	(void)state;
	assert_true(process_id_is_alive(&id));
	other = (struct process_id) { .pid = id.pid, .start_time = id.start_time + 1 };
	assert_false(process_id_is_alive(&other));
	assert_int_equal(process_id_kill(&other, SIGKILL), -ESRCH);
	assert_int_equal(process_id_kill(&id, 0), 0);
	end(pid);
	assert_false(process_id_is_alive(&id));
	assert_int_equal(process_id_of(pid, &id), -ESRCH);
}

// A container would pass for one that has stopped, and its machine would be forgotten.
static void what_cannot_be_seen_is_not_dead(void **state)
{
	struct rlimit limit, none;
	struct process_id id;
	pid_t pid = start(&id);
	bool is_alive;
	int rc;

	(void)state;
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
	none = (struct rlimit) { .rlim_cur = 0, .rlim_max = limit.rlim_max };
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
	is_alive = process_id_is_alive(&id);
	rc = process_id_kill(&id, SIGKILL);
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
	assert_true(is_alive);
	assert_int_equal(rc, -EMFILE);
	end(pid);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_process_is_known_by_its_start),
		cmocka_unit_test(what_cannot_be_seen_is_not_dead),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
