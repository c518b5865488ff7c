// SPDX-License-Identifier: Apache-2.0
/* net_passt_test.c - a child process in the place of passt: its start, what it says, its end. It is a script of the test. */
#include "net_passt.h"

#include "fake_log.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#define TURNS_MAX 1000u

static pthread_mutex_t lock;
static struct loop loop;
static struct net_passt *passt;
static struct vpmem_error err;
static char dir[] = "/tmp/net_passt_test-XXXXXX", script[64], args_file[64], *old_path;
static unsigned nended;

static void on_ended(void *owner)
{
	assert_ptr_equal(owner, &nended);
	nended++;
}

static int setup(void **state)
{
	(void)state;
	fake_log_clear();
	pthread_mutex_init(&lock, NULL);
	pthread_mutex_lock(&lock);
	assert_int_equal(loop_init(&loop, &lock), 0);
	nended = 0;
	passt = NULL;
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	net_passt_close(passt);
	assert_int_equal(loop.nsources, 0);
	loop_fini(&loop);
	pthread_mutex_unlock(&lock);
	unlink(script);
	unlink(args_file);
	return 0;
}

/* What passt does; its arguments are in the file. */
static void write_script(const char *text)
{
	FILE *file = fopen(script, "w");

	fprintf(file, "#!/bin/sh\nPATH=/usr/bin:/bin\necho \"$*\" >%s\n%s\n", args_file, text);
	fclose(file);
	chmod(script, 0700);
}

static int start(void)
{
	static const char *const args[] = { "--tcp-ports", "22:22", NULL };
	const struct net_passt_options opts = { .id = "n0", .args = args, .ended = on_ended, .owner = &nended };

	return net_passt_open(&opts, &loop, &passt, &err);
}

/* Without waiting for anything for ever. */
static void turn(void)
{
	loop_wake(&loop);
	loop_once(&loop);
	usleep(10000);
}

/* What came in one piece with its number is not lost. */
static void a_warning_comes_with_its_start(void **state)
{
	(void)state;
	write_script("printf '%s\\nfirst\\nsecond\\n' $$; exec cat <&3");
	assert_int_equal(start(), 0);
	for (unsigned i = 0; i < TURNS_MAX && !strstr(fake_log_text, "passt: second"); i++)
		turn();
	assert_non_null(strstr(fake_log_text, "netdev n0: passt: first"));
	assert_non_null(strstr(fake_log_text, "netdev n0: passt: second"));
}

/* The child's number, which the script has written. */
static pid_t child(void)
{
	char path[80], text[32] = "";
	FILE *file;

	snprintf(path, sizeof(path), "%s/pid", dir);
	file = fopen(path, "r");
	assert_non_null(file);
	assert_non_null(fgets(text, sizeof(text), file));
	fclose(file);
	unlink(path);
	return atoi(text);
}

#define READY "echo $$ >$(dirname $0)/pid; echo $$; "

static void it_gets_its_arguments_and_a_socket(void **state)
{
	static const char expected[] = "--foreground --quiet --stderr --fd 3 --pid /proc/self/fd/1 --tcp-ports 22:22\n";
	char args[200] = "";
	const uint8_t *frame = NULL;
	size_t len;
	FILE *file;

	(void)state;
	/* A peer that sends everything back. */
	write_script(READY "exec cat <&3 >&3");
	assert_int_equal(start(), 0);
	file = fopen(args_file, "r");
	assert_non_null(fgets(args, sizeof(args), file));
	fclose(file);
	assert_string_equal(args, expected);
	assert_int_equal(
		net_port_send(net_passt_port(passt), &(struct iovec) { .iov_base = args, .iov_len = 60 }, 1, 60), 0);
	for (unsigned i = 0; i < 1000 && !frame; i++) {
		frame = net_port_next(net_passt_port(passt), &len);
		usleep(10000);
	}
	assert_int_equal(len, 60);
	assert_memory_equal(frame, args, 60);
	kill(child(), 0);
}

/* Its signals are those of any program: none is blocked. */
static void its_signals_are_not_blocked(void **state)
{
	sigset_t pipe, old;

	(void)state;
	sigemptyset(&pipe);
	sigaddset(&pipe, SIGPIPE);
	sigprocmask(SIG_BLOCK, &pipe, &old);
	write_script(READY "grep SigBlk /proc/self/status >&2; exec cat <&3");
	assert_int_equal(start(), 0);
	for (unsigned i = 0; i < TURNS_MAX && !strstr(fake_log_text, "SigBlk"); i++)
		turn();
	assert_non_null(strstr(fake_log_text, "netdev n0: passt: SigBlk:\t0000000000000000"));
	sigprocmask(SIG_SETMASK, &old, NULL);
	child();
}

static void what_it_says_is_why_it_did_not_start(void **state)
{
	(void)state;
	write_script("echo 'Failed to bind any port' >&2; exit 1");
	assert_true(start() < 0);
	assert_string_equal(err.text, "passt did not start: Failed to bind any port");
	write_script("exit 1");
	assert_true(start() < 0);
	assert_string_equal(err.text, "passt did not start: it has ended without a word");
	assert_int_equal(nended, 0);
}

static void without_passt_the_next_step_is_named(void **state)
{
	(void)state;
	assert_int_equal(start(), -ENOENT);
	assert_string_equal(err.text, "could not start passt: No such file or directory");
	assert_non_null(strstr(err.hint, "apt-get install passt"));
}

static void its_death_is_reported(void **state)
{
	(void)state;
	write_script(READY "exec sleep 1000");
	assert_int_equal(start(), 0);
	kill(child(), SIGKILL);
	for (unsigned i = 0; i < TURNS_MAX && nended == 0; i++)
		turn();
	assert_int_equal(nended, 1);
	assert_non_null(strstr(fake_log_text, "netdev n0: passt was killed by signal 9"));
	assert_int_equal(net_port_poll_fd(net_passt_port(passt)), -1);
	/* Nothing is left to wait for. */
	net_passt_end(passt);
	assert_int_equal(nended, 1);
}

static void it_ends_with_its_owner(void **state)
{
	pid_t pid;

	(void)state;
	/* Also one that does not want to. */
	write_script("trap '' TERM; " READY "while :; do sleep 0.1; done");
	assert_int_equal(start(), 0);
	pid = child();
	assert_int_equal(kill(pid, 0), 0);
	net_passt_close(passt);
	passt = NULL;
	assert_int_equal(kill(pid, 0), -1);
	assert_int_equal(errno, ESRCH);
	assert_int_equal(nended, 0);
}

static int group_setup(void **state)
{
	char path[200];

	(void)state;
	assert_non_null(mkdtemp(dir));
	snprintf(script, sizeof(script), "%s/passt", dir);
	snprintf(args_file, sizeof(args_file), "%s/args", dir);
	old_path = strdup(getenv("PATH"));
	/* Nothing else of that name is found. */
	snprintf(path, sizeof(path), "%s", dir);
	setenv("PATH", path, 1);
	return 0;
}

static int group_teardown(void **state)
{
	(void)state;
	setenv("PATH", old_path, 1);
	free(old_path);
	return rmdir(dir);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(it_gets_its_arguments_and_a_socket),
		TEST(its_signals_are_not_blocked),
		TEST(a_warning_comes_with_its_start),
		TEST(what_it_says_is_why_it_did_not_start),
		TEST(without_passt_the_next_step_is_named),
		TEST(its_death_is_reported),
		TEST(it_ends_with_its_owner),
	};

	return cmocka_run_group_tests_name("net_passt", tests, group_setup, group_teardown);
}
