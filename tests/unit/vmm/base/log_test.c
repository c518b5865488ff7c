// SPDX-License-Identifier: Apache-2.0
// Messages wait for no reader, whatever standard error is: the caller may hold a lock that all others need.
#include "log.h"
#include "unit_test.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <pty.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

#define BLOCKED_MAX 300u // seconds until a write that blocks ends the test
#define MANY 20000u      // messages: more than any buffer takes

struct fixture {
	int saved, reader;
	char text[1 << 20];
};
static struct fixture fixture;

// Standard error is `fd` from here on, which is taken; what is written there is read from `reader`.
static void redirect(int fd, int reader)
{
	dup2(fd, STDERR_FILENO);
	close(fd);
	log_open();
	fixture.reader = reader;
	if (reader >= 0)
		fcntl(reader, F_SETFL, O_NONBLOCK);
}

static int setup(void **state)
{
	*state = &fixture;
	fixture.saved = dup(STDERR_FILENO);
	fixture.reader = -1;
	alarm(BLOCKED_MAX);
	return fixture.saved < 0 ? -1 : 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;
	int saved = f->saved;

	alarm(0);
	if (f->reader >= 0)
		close(f->reader);
	redirect(saved, -1);
	return 0;
}

static void redirect_to_pipe(void)
{
	int fds[2];

	assert_int_equal(pipe(fds), 0);
	redirect(fds[1], fds[0]);
}

static void redirect_to_full_pipe(void)
{
	char dots[4096];
	int fds[2];

	memset(dots, '.', sizeof(dots));
	assert_int_equal(pipe(fds), 0);
	fcntl(fds[1], F_SETFL, O_NONBLOCK);
	while (write(fds[1], dots, sizeof(dots)) > 0)
		;
	fcntl(fds[1], F_SETFL, 0);
	redirect(fds[1], fds[0]);
}

static void redirect_to_terminal(void)
{
	int master, slave;

	assert_int_equal(openpty(&master, &slave, NULL, NULL, NULL), 0);
	redirect(slave, master);
}

// What arrived since the last call, as text. A terminal hands it over in several pieces, by a thread of the kernel's.
static const char *drain(void)
{
	unsigned ntries = isatty(fixture.reader) ? 200 : 20;
	size_t len = 0;

	for (unsigned tries = 0; tries < ntries; tries++) {
		ssize_t n = read(fixture.reader, fixture.text + len, sizeof(fixture.text) - 1 - len);

		if (n > 0) {
			len += (size_t)n;
			tries = 0;
		} else {
			usleep(1000);
		}
	}
	fixture.text[len] = '\0';
	return fixture.text;
}

static void messages_without_a_reader_are_counted(void **state)
{
	const char *text;

	(void)state;
	redirect_to_full_pipe();
	log_error("one");
	log_info("two");
	drain();
	log_warn("three");
	text = drain();
	assert_non_null(strstr(text, "pmvm: 2 messages were lost: nobody read standard error\n"));
	assert_non_null(strstr(text, "pmvm: warning: three\n"));
	assert_null(strstr(text, "two"));
	log_info("four");
	assert_string_equal(drain(), "pmvm: four\n");
}

// Also the line that says how many were left out.
static void what_a_guest_causes_waits_for_nobody(void **state)
{
	struct log_limit limit = { .window_start_ms = 1, .nskipped = 5 };
	const char *text;

	(void)state;
	redirect_to_full_pipe();
	log_guest_at(&limit, "one");
	drain();
	log_guest_at(&limit, "two");
	text = drain();
	assert_non_null(strstr(text, "6 messages like the next one were left out\n"));
	assert_non_null(strstr(text, "pmvm: two\n"));
}

static void every_line_is_a_message(const char *text)
{
	for (const char *line = text; *line; line = strchr(line, '\n') + 1) {
		assert_int_equal(strncmp(line, "pmvm: ", 6), 0);
		assert_non_null(strchr(line, '\n'));
	}
}

// A terminal reports POLLOUT while one byte fits, and a write(2) of a line then waits for good.
static void a_terminal_that_nobody_reads_stops_nothing(void **state)
{
	struct termios mode;
	const char *text;

	(void)state;
	redirect_to_terminal();
	assert_int_equal(tcgetattr(STDERR_FILENO, &mode), 0);
	// '\r' before '\n' is the terminal's.
	mode.c_oflag &= ~(tcflag_t)ONLCR;
	assert_int_equal(tcsetattr(STDERR_FILENO, TCSANOW, &mode), 0);
	for (unsigned i = 0; i < MANY; i++)
		log_error("%0*u", i % 100, i);
	drain();
	// The message that the terminal took in part has no end, and what follows begins a new line.
	log_error("here again");
	text = drain();
	every_line_is_a_message(text + (*text == '\n'));
	assert_non_null(strstr(text, " messages were lost: nobody read standard error\npmvm: here again\n"));
}

// It is used as it is while no descriptor is left, and opened once more by the first message after that.
static void a_lack_of_descriptors_ends(void **state)
{
	struct rlimit limit, none;

	(void)state;
	redirect_to_terminal();
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
	none = (struct rlimit) { .rlim_cur = STDERR_FILENO + 1, .rlim_max = limit.rlim_max };
	setrlimit(RLIMIT_NOFILE, &none);
	log_open();
	log_error("one");
	setrlimit(RLIMIT_NOFILE, &limit);
	assert_string_equal(drain(), "pmvm: one\r\n");
	for (unsigned i = 0; i < MANY; i++)
		log_error("%0*u", i % 100, i);
	drain();
	log_error("here again");
	assert_non_null(strstr(drain(), "pmvm: here again\r\n"));
}

static unsigned nexamined;

int __real_fstat64(int fd, struct stat *st);
int __wrap_fstat64(int fd, struct stat *st);
int __wrap_fstat64(int fd, struct stat *st)
{
	nexamined++;
	return __real_fstat64(fd, st);
}

static int next_descriptor(void)
{
	int fd = dup(STDERR_FILENO);

	close(fd);
	return fd;
}

// As in a sandbox, which permits to open nothing: in a process of its own, since it is for good.
static void __attribute__((noreturn)) open_for_good(void)
{
	struct rlimit limit, none;
	int next, null_fd = open("/dev/null", O_WRONLY);

	getrlimit(RLIMIT_NOFILE, &limit);
	none = (struct rlimit) { .rlim_cur = STDERR_FILENO + 1, .rlim_max = limit.rlim_max };
	setrlimit(RLIMIT_NOFILE, &none);
	log_open_for_good();
	setrlimit(RLIMIT_NOFILE, &limit);
	next = next_descriptor();
	nexamined = 0;
	log_error("one");
	if (next_descriptor() != next || nexamined > 0)
		_exit(1);
	// As a daemon does when it is ready.
	dup2(null_fd, STDERR_FILENO);
	log_open();
	log_error("two");
	_exit(next_descriptor() == next ? 0 : 2);
}

static void what_was_opened_for_good_is_not_opened_again(void **state)
{
	int status;
	pid_t child;

	(void)state;
	redirect_to_terminal();
	child = fork();
	if (child == 0)
		open_for_good();
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(status, 0);
	assert_string_equal(drain(), "pmvm: one\r\n");
}

static void *print_many(void *arg)
{
	for (unsigned i = 0; i < MANY; i++)
		log_error("thread %d: message %u", *(int *)arg, i);
	return NULL;
}

// Each of them may see room that another one takes.
static void threads_on_one_pipe_do_not_wait(void **state)
{
	pthread_t threads[4];
	int numbers[4] = { 0, 1, 2, 3 };

	(void)state;
	redirect_to_pipe();
	for (unsigned i = 0; i < COUNT(threads); i++)
		assert_int_equal(pthread_create(&threads[i], NULL, print_many, &numbers[i]), 0);
	for (unsigned i = 0; i < COUNT(threads); i++)
		pthread_join(threads[i], NULL);
	every_line_is_a_message(drain());
}

static void a_socket_that_nobody_reads_stops_nothing(void **state)
{
	int fds[2];

	(void)state;
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
	redirect(fds[0], fds[1]);
	for (unsigned i = 0; i < MANY; i++)
		log_error("%u", i);
	drain();
	log_error("here again");
	assert_non_null(strstr(drain(), " messages were lost: nobody read standard error\npmvm: here again\n"));
}

// As in `su user -c 'pmvm ... 2>&1 | cat'`: the pipe is another user's, and cannot be opened once more.
static void a_pipe_of_another_user_stops_nothing(void **state)
{
	int status;
	pid_t child;

	(void)state;
	if (geteuid() != 0) {
		print_message("only root can give a pipe to another user\n");
		skip();
	}
	redirect_to_pipe();
	child = fork();
	if (child == 0) {
		alarm(BLOCKED_MAX);
		if (setuid(65534) < 0)
			_exit(3);
		log_open();
		for (unsigned i = 0; i < MANY; i++)
			log_error("%u", i);
		_exit(open("/proc/self/fd/2", O_WRONLY) >= 0 ? 4 : 0);
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(status, 0);
	assert_non_null(strstr(drain(), "pmvm: 1\n"));
}

static void the_flags_of_standard_error_stay(void **state)
{
	(void)state;
	redirect_to_terminal();
	log_error("one");
	assert_int_equal(fcntl(STDERR_FILENO, F_GETFL) & O_NONBLOCK, 0);
	redirect_to_pipe();
	log_error("one");
	assert_int_equal(fcntl(STDERR_FILENO, F_GETFL) & O_NONBLOCK, 0);
}

// Another process may write to the same file: the offset is shared.
static void a_file_gets_every_message(void **state)
{
	char text[64] = { 0 };
	FILE *file = tmpfile();

	(void)state;
	assert_non_null(file);
	redirect(dup(fileno(file)), -1);
	log_error("one");
	assert_int_equal(write(fileno(file), "other\n", 6), 6);
	log_error("two");
	assert_true(pread(fileno(file), text, sizeof(text) - 1, 0) > 0);
	assert_string_equal(text, "pmvm: one\nother\npmvm: two\n");
	fclose(file);
}

static void a_closed_standard_error_is_no_fault(void **state)
{
	(void)state;
	close(STDERR_FILENO);
	log_open();
	log_error("one");
	log_guest("two");
	// The pipe must not get the number 2.
	dup2(fixture.saved, STDERR_FILENO);
	redirect_to_pipe();
	log_error("three");
	assert_non_null(strstr(drain(), "pmvm: three\n"));
}

static void control_characters_are_replaced(void **state)
{
	(void)state;
	redirect_to_pipe();
	log_error("%s", "a\nb\rc\033[2Jd\177e\xc2\x9b"
	                "f\tg");
	assert_string_equal(drain(), "pmvm: a?b?c?[2Jd?e??f?g\n");
	// Text in other languages is none.
	log_error("%s", "gr\xc3\xbc\xc3\x9f\xc2\xa9");
	assert_string_equal(drain(), "pmvm: gr\xc3\xbc\xc3\x9f\xc2\xa9\n");
}

static void the_journal_gets_priorities(void **state)
{
	struct stat st;
	char stream[48];

	(void)state;
	redirect_to_pipe();
	assert_int_equal(__real_fstat64(STDERR_FILENO, &st), 0);
	snprintf(stream, sizeof(stream), "%lu:%lu", (unsigned long)st.st_dev, (unsigned long)st.st_ino);
	setenv("JOURNAL_STREAM", stream, 1);
	log_open();
	log_error("one");
	log_info("two");
	log_guest("three");
	log_warn("four");
	assert_string_equal(drain(), "<3>pmvm: one\n<6>pmvm: two\n<4>pmvm: three\n<4>pmvm: warning: four\n");
	log_set_timestamps(true);
	log_error("five");
	log_set_timestamps(false);
	assert_int_equal(strncmp(drain(), "<3>20", 5), 0);
	// The variable is inherited by a process whose standard error is something else.
	close(fixture.reader);
	redirect_to_pipe();
	log_error("six");
	assert_string_equal(drain(), "pmvm: six\n");
	unsetenv("JOURNAL_STREAM");
}

static void warnings_are_limited(void **state)
{
	unsigned n = 0;

	(void)state;
	redirect_to_pipe();
	for (unsigned i = 0; i < 1000; i++)
		log_warn("w");
	for (const char *at = drain(); (at = strstr(at, "warning: w\n")); at++)
		n++;
	assert_in_range(n, 1, 50);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(messages_without_a_reader_are_counted),
		TEST(what_a_guest_causes_waits_for_nobody),
		TEST(a_terminal_that_nobody_reads_stops_nothing),
		TEST(a_lack_of_descriptors_ends),
		TEST(what_was_opened_for_good_is_not_opened_again),
		TEST(threads_on_one_pipe_do_not_wait),
		TEST(a_socket_that_nobody_reads_stops_nothing),
		TEST(a_pipe_of_another_user_stops_nothing),
		TEST(the_flags_of_standard_error_stay),
		TEST(a_file_gets_every_message),
		TEST(a_closed_standard_error_is_no_fault),
		TEST(control_characters_are_replaced),
		TEST(the_journal_gets_priorities),
		TEST(warnings_are_limited),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
