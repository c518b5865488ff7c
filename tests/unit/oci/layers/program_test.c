// SPDX-License-Identifier: Apache-2.0
// Running a program: its state, its output, its end.
#include "program.h"
#include "unit_test.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static int run(const char *script, struct program *program, struct vpmem_error *err)
{
	program->argv = (const char *const[]) { "/bin/sh", "-c", script, NULL };
	return program_run(program, err);
}

static void keeps_its_output_as_one_line(void **state)
{
	struct program program = { .stdin_fd = -1 };

	(void)state;
	assert_int_equal(run("echo one; echo two >&2; printf 'a\\tb'", &program, NULL), 0);
	assert_string_equal(program.output, "one two a b");
	assert_int_equal(run("i=0; while [ $i -lt 2000 ]; do echo $i; i=$((i+1)); done", &program, NULL), 0);
	assert_int_equal(strlen(program.output), sizeof(program.output) - 2); // without the last end of a line
	assert_non_null(strstr(program.output, " 1998 1999"));
}

static void its_failure_has_its_words(void **state)
{
	struct program program = { .stdin_fd = -1 };
	struct vpmem_error err;

	(void)state;
	assert_int_equal(run("echo no such luck; exit 3", &program, &err), -EIO);
	assert_string_equal(err.text, "/bin/sh: exit status 3: no such luck");
	assert_int_equal(run("kill -9 $$", &program, &err), -EIO);
	assert_non_null(strstr(err.text, "signal 9"));
	program.argv = (const char *const[]) { "/no/such/program", NULL };
	assert_int_equal(program_run(&program, &err), -ENOENT);
	assert_string_equal(err.text, "/no/such/program: the host does not have it");
}

static void its_state_is_clean(void **state)
{
	// Two that only glibc may set (nptl(7)): who has started this test may have left them ignored.
	const unsigned long long of_glibc = 3ull << (32 - 1);
	struct program program = { .stdin_fd = -1 };
	int leak = fcntl(STDIN_FILENO, F_DUPFD, 3); // no FD_CLOEXEC: as an engine may leave one
	unsigned long long ignored = ~0ull;
	sigset_t set, old;

	(void)state;
	assert_true(leak > 2);
	setenv("PMVM_TEST_LEAK", "1", 1);
	signal(SIGPIPE, SIG_IGN);
	sigfillset(&set);
	sigprocmask(SIG_BLOCK, &set, &old);
	// Beyond 2 only the directory is open, which the shell reads.
	assert_int_equal(run("for f in /proc/$$/fd/*; do echo ${f##*/}; done; echo -$PMVM_TEST_LEAK-$LC_ALL-; cat; "
	                     "grep -E 'Sig(Blk|Ign)' /proc/self/status",
	                     &program, NULL),
	                 0);
	sigprocmask(SIG_SETMASK, &old, NULL);
	signal(SIGPIPE, SIG_DFL);
	close(leak);
	print_message("# %s\n", program.output);
	assert_int_equal(sscanf(program.output, "0 1 2 3 --C- SigBlk: 0000000000000000 SigIgn: %llx", &ignored), 1);
	assert_int_equal(ignored & ~of_glibc, 0);
}

static void reads_a_descriptor(void **state)
{
	FILE *file = tmpfile();
	struct program program = { 0 };

	(void)state;
	assert_non_null(file);
	fputs("content", file);
	rewind(file);
	program.stdin_fd = fileno(file);
	assert_int_equal(run("cat", &program, NULL), 0);
	assert_string_equal(program.output, "content");
	fclose(file);
}

static void a_file_beyond_the_limit_ends_it(void **state)
{
	struct program program = { .stdin_fd = -1, .file_size_max = 4096 };
	char path[] = "/tmp/pmvm-program-XXXXXX", script[128];
	struct vpmem_error err;
	int fd = mkstemp(path);

	(void)state;
	assert_true(fd >= 0);
	snprintf(script, sizeof(script), "exec head -c 8192 /dev/zero > %s", path);
	assert_int_equal(run(script, &program, &err), -EFBIG);
	assert_non_null(strstr(err.text, "4096 bytes"));
	close(fd);
	unlink(path);
}

static void one_that_is_late_is_ended(void **state)
{
	struct program program = { .stdin_fd = -1, .timeout_s = 1 };
	struct vpmem_error err;

	(void)state;
	// The first prints all the time, the second nothing.
	assert_int_equal(run("while :; do echo x; done", &program, &err), -ETIMEDOUT);
	assert_int_equal(run("exec sleep 1000", &program, &err), -ETIMEDOUT);
	assert_string_equal(err.text, "/bin/sh: it did not end within 1 s");
	assert_int_equal(waitpid(-1, NULL, WNOHANG), -1);
	program.timeout_s = 60;
	assert_int_equal(run("exec sleep 0.1", &program, &err), 0);
}

static void a_signal_ends_it_and_not_this_process(void **state)
{
	static const int signals[] = { SIGTERM, SIGINT, SIGHUP };
	struct program program = { .stdin_fd = -1, .timeout_s = 60 };
	struct vpmem_error err;
	char script[64], text[80];
	sigset_t after;

	(void)state;
	for (size_t i = 0; i < sizeof(signals) / sizeof(signals[0]); i++) {
		snprintf(script, sizeof(script), "kill -%d $PPID; exec sleep 1000", signals[i]);
		snprintf(text, sizeof(text), "/bin/sh: ended, as this process got signal %d", signals[i]);
		assert_int_equal(run(script, &program, &err), -EINTR);
		assert_string_equal(err.text, text);
		assert_int_equal(waitpid(-1, NULL, WNOHANG), -1);
		sigprocmask(SIG_SETMASK, NULL, &after);
		assert_int_equal(sigismember(&after, signals[i]), 0);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(keeps_its_output_as_one_line),
		cmocka_unit_test(its_failure_has_its_words),
		cmocka_unit_test(its_state_is_clean),
		cmocka_unit_test(reads_a_descriptor),
		cmocka_unit_test(a_file_beyond_the_limit_ends_it),
		cmocka_unit_test(one_that_is_late_is_ended),
		cmocka_unit_test(a_signal_ends_it_and_not_this_process),
	};

	return cmocka_run_group_tests_name("program", tests, NULL, NULL);
}
