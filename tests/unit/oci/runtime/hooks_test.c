// SPDX-License-Identifier: Apache-2.0
// The time that a hook has.
#include "hooks.h"
#include "unit_test.h"

#include <errno.h>
#include <json-c/json.h>
#include <signal.h>
#include <string.h>
#include <sys/time.h>

static volatile sig_atomic_t nsignals;

static void on_alarm(int signo)
{
	(void)signo;
	nsignals++;
}

static int run(const char *script, int timeout_s, struct vpmem_error *err)
{
	struct json_object *hooks = json_object_new_object(), *list = json_object_new_array(),
			   *hook = json_object_new_object(), *args = json_object_new_array(),
			   *state = json_object_new_object();
	const char *const words[] = { "sh", "-c", script };
	int rc;

	for (unsigned i = 0; i < 3; i++)
		json_object_array_add(args, json_object_new_string(words[i]));
	json_object_object_add(hook, "path", json_object_new_string("/bin/sh"));
	json_object_object_add(hook, "args", args);
	json_object_object_add(hook, "timeout", json_object_new_int(timeout_s));
	json_object_array_add(list, hook);
	json_object_object_add(hooks, "prestart", list);
	rc = hooks_run(hooks, "prestart", state, err);
	json_object_put(hooks);
	json_object_put(state);
	return rc;
}

static void one_that_is_late_is_ended(void **state)
{
	struct vpmem_error err = { "", "" };

	(void)state;
	assert_int_equal(run("exec sleep 1000", 1, &err), -ETIMEDOUT);
	assert_string_equal(err.text, "prestart hook /bin/sh: it did not end within 1 s");
}

// Each signal ends the wait in the kernel. It ends neither the hook nor the limit of its time.
static void signals_do_not_change_its_time(void **state)
{
	const struct itimerval often = { .it_interval = { .tv_usec = 50000 }, .it_value = { .tv_usec = 50000 } };
	const struct itimerval never = { .it_value = { 0 } };
	const struct sigaction action = { .sa_handler = on_alarm }, by_default = { .sa_handler = SIG_DFL };
	struct vpmem_error err = { "", "" };
	int late, in_time;

	(void)state;
	assert_int_equal(sigaction(SIGALRM, &action, NULL), 0);
	assert_int_equal(setitimer(ITIMER_REAL, &often, NULL), 0);
	late = run("exec sleep 30", 1, &err);
	in_time = run("sleep 0.3", 60, NULL);
	setitimer(ITIMER_REAL, &never, NULL);
	sigaction(SIGALRM, &by_default, NULL);
	assert_int_equal(late, -ETIMEDOUT);
	assert_int_equal(in_time, 0);
	assert_true(nsignals > 2);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(one_that_is_late_is_ended),
		cmocka_unit_test(signals_do_not_change_its_time),
	};

	return cmocka_run_group_tests_name("hooks", tests, NULL, NULL);
}
