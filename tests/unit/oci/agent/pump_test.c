// SPDX-License-Identifier: Apache-2.0
// A pump carries all bytes, ends with its writer or its reader, and never waits.
#include "agent_pump.h"
#include "unit_test.h"

#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct loop loop;
static struct pump pump;
static int in[2], out[2]; // pipes: the pump reads in[0] and writes out[1]
static unsigned nfinished;

static void finished(void *owner)
{
	assert_ptr_equal(owner, &nfinished);
	nfinished++;
}

static int set_up(void **state)
{
	(void)state;
	nfinished = 0;
	memset(&pump, 0, sizeof(pump));
	pump.finished = finished;
	pump.owner = &nfinished;
	signal(SIGPIPE, SIG_IGN);
	pthread_mutex_lock(&lock);
	return pipe2(in, O_CLOEXEC | O_NONBLOCK) || pipe2(out, O_CLOEXEC | O_NONBLOCK) || loop_init(&loop, &lock) ||
	       pump_start(&pump, &loop, in[0], out[1], NULL);
}

static void close_fd(int *fd)
{
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}

static int tear_down(void **state)
{
	(void)state;
	pump_stop(&pump);
	loop_fini(&loop);
	pthread_mutex_unlock(&lock);
	for (unsigned i = 0; i < 2; i++) {
		close_fd(&in[i]);
		close_fd(&out[i]);
	}
	return 0;
}

static void assert_comes_out(const char *text)
{
	char buf[64];

	assert_int_equal(read(out[0], buf, sizeof(buf)), strlen(text));
	assert_memory_equal(buf, text, strlen(text));
}

static void bytes_come_out_and_the_end_as_well(void **state)
{
	(void)state;
	assert_int_equal(write(in[1], "bytes", 5), 5);
	assert_int_equal(loop_once(&loop), 0);
	assert_int_equal(loop_once(&loop), 0);
	assert_comes_out("bytes");
	close_fd(&in[1]);
	assert_int_equal(nfinished, 0);
	assert_int_equal(loop_once(&loop), 0);
	assert_int_equal(nfinished, 1);
}

static void a_slow_reader_holds_the_writer(void **state)
{
	static char block[4096];
	size_t nwritten = 0, nread = 0;
	ssize_t n;

	(void)state;
	while ((n = write(in[1], block, sizeof(block))) > 0)
		nwritten += (size_t)n;
	for (unsigned i = 0; i < 4; i++)
		assert_int_equal(loop_once(&loop), 0);
	close_fd(&in[1]);
	while (!nfinished) {
		while ((n = read(out[0], block, sizeof(block))) > 0)
			nread += (size_t)n;
		assert_int_equal(loop_once(&loop), 0);
	}
	while ((n = read(out[0], block, sizeof(block))) > 0)
		nread += (size_t)n;
	assert_int_equal(nread, nwritten);
}

static void a_reader_that_leaves_ends_it(void **state)
{
	(void)state;
	close_fd(&out[0]);
	assert_int_equal(write(in[1], "x", 1), 1);
	assert_int_equal(loop_once(&loop), 0);
	assert_int_equal(loop_once(&loop), 0);
	assert_int_equal(nfinished, 1);
}

static void an_empty_pipe_is_the_end_on_request(void **state)
{
	(void)state;
	pump_end_when_empty(&pump);
	assert_int_equal(nfinished, 1);
}

static void on_request_what_is_there_is_delivered_first(void **state)
{
	(void)state;
	assert_int_equal(write(in[1], "last", 4), 4);
	pump_end_when_empty(&pump);
	assert_int_equal(nfinished, 0);
	assert_int_equal(loop_once(&loop), 0);
	assert_int_equal(nfinished, 1);
	assert_comes_out("last");
}

static void end_pump(void *owner, short revents)
{
	(void)revents;
	loop_del(&loop, owner);
	pump_end_when_empty(&pump);
}

// The process has ended, and its last bytes are seen in the same turn of the loop.
static void last_bytes_and_the_request_may_be_seen_at_once(void **state)
{
	struct loop_source child = { .fd = eventfd(1, EFD_CLOEXEC), .events = POLLIN, .ready = end_pump };

	(void)state;
	child.owner = &child;
	pump_stop(&pump);
	assert_int_equal(loop_add(&loop, &child), 0);
	assert_int_equal(pump_start(&pump, &loop, in[0], out[1], NULL), 0);
	assert_int_equal(write(in[1], "last", 4), 4);
	assert_int_equal(loop_once(&loop), 0);
	assert_int_equal(loop_once(&loop), 0);
	assert_int_equal(nfinished, 1);
	assert_comes_out("last");
	close(child.fd);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		TEST(bytes_come_out_and_the_end_as_well),
		TEST(a_slow_reader_holds_the_writer),
		TEST(a_reader_that_leaves_ends_it),
		TEST(an_empty_pipe_is_the_end_on_request),
		TEST(on_request_what_is_there_is_delivered_first),
		TEST(last_bytes_and_the_request_may_be_seen_at_once),
	};

	return cmocka_run_group_tests_name("oci_pump", tests, NULL, NULL);
}
