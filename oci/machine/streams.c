// SPDX-License-Identifier: Apache-2.0
// The standard streams of a process in the guest.
#include "streams.h"

#include "error.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#define DRAIN_TICK_MS 100u
#define DRAIN_GUEST_TICKS 20u   /* 2 s */
#define DRAIN_READER_TICKS 300u /* 30 s */
#define DRAIN_TOTAL_TICKS 100u  /* 10 s: of those in which no reader is waited for */
#define DRAIN_BYTES_MAX (UINT64_C(64) << 20)
#define RELEASE_MS 2000u

static const char *const names[STREAMS] = { "stdin", "stdout", "stderr" };

// ---- this process's end

static bool reads_host(const struct streams *streams, unsigned idx)
{
	return streams->terminal || idx == STDIN_FILENO;
}

static bool writes_host(const struct streams *streams, unsigned idx)
{
	return streams->terminal || idx != STDIN_FILENO;
}

/*
 * An end of file at the other end of 0 and 1 comes when the last holder has closed it, so this process keeps one copy of
 * each, in `host`. Descriptor 2 stays as long as the program has it: errors of this process go there.
 */
static int take_standard(struct stream *stream, int std_fd, int null_fd)
{
	stream->host_fd = fcntl(std_fd, F_DUPFD_CLOEXEC, 3);
	if (stream->host_fd < 0 || (std_fd != STDERR_FILENO && dup2(null_fd, std_fd) < 0))
		return -errno;
	nonblock_open(&stream->host, stream->host_fd, std_fd == STDIN_FILENO ? O_RDONLY : O_WRONLY);
	if (stream->host.owns) {
		close(stream->host_fd);
		stream->host_fd = -1;
	}
	return 0;
}

static int take_all(struct streams *streams, struct vpmem_error *err)
{
	int null_fd = open("/dev/null", O_RDWR | O_CLOEXEC);
	int rc = null_fd < 0 ? -errno : 0;

	for (unsigned i = 0; i < STREAMS && rc == 0; i++)
		rc = take_standard(&streams->streams[i], (int)i, null_fd);
	if (null_fd >= 0)
		close(null_fd);
	return rc ? error_set(err, rc, "standard streams: %s", strerror(-rc)) : 0;
}

/*
 * The program has closed its standard error and runs on, as a daemon does: the caller, which may wait for the end of
 * file, gets it. A program that has ended, or a machine that has failed, is seen before the timer expires, and then
 * there may be an error to report.
 */
static void release_stderr(void *owner)
{
	struct streams *streams = owner;
	int null_fd = open("/dev/null", O_WRONLY | O_CLOEXEC);

	loop_del_timer(streams->loop, &streams->release);
	if (null_fd < 0)
		return;
	(void)dup2(null_fd, STDERR_FILENO);
	close(null_fd);
}

static void close_host(struct stream *stream)
{
	nonblock_close(&stream->host);
	if (stream->host_fd >= 0)
		close(stream->host_fd);
	stream->host_fd = -1;
}

int streams_open(struct streams *streams, struct loop *loop, bool terminal, const char *console_socket,
                 struct terminal_size size, struct vpmem_error *err)
{
	int rc;

	streams->loop = loop;
	streams->terminal = terminal;
	streams->slave_fd = -1;
	streams->release = (struct loop_timer) { .expired = release_stderr, .owner = streams };
	streams->n = terminal ? 1 : STREAMS;
	for (unsigned i = 0; i < STREAMS; i++)
		streams->streams[i] =
			(struct stream) { .of = streams, .host = { .fd = -1 }, .guest = { .fd = -1 }, .host_fd = -1 };
	if (!terminal)
		return take_all(streams, err);
	rc = terminal_open(console_socket, size, &streams->slave_fd, err);
	if (rc < 0)
		return rc;
	// A description of its own that does not block: it is nobody else's.
	(void)fcntl(streams->slave_fd, F_SETFL, O_RDWR | O_NONBLOCK);
	streams->streams[0].host = (struct nonblock) { .fd = streams->slave_fd, .how = NONBLOCK_PLAIN };
	return 0;
}

// ---- the guest's end

static bool is_over(const struct stream *stream)
{
	return !pump_is_running(&stream->to_guest) && !pump_is_running(&stream->to_host);
}

static void close_guest(struct stream *stream)
{
	if (stream->guest.fd >= 0)
		close(stream->guest.fd);
	stream->guest.fd = -1;
}

/*
 * The connection stays open after its last byte: the guest may not have read it, and vsock resets a connection some seconds
 * after it was closed.
 */
static void on_input_ended(void *owner, enum pump_end how)
{
	struct stream *stream = owner;

	if (!is_over(stream))
		return;
	close_host(stream);
	if (how == PUMP_BROKEN)
		close_guest(stream);
}

static void on_output_ended(void *owner, enum pump_end how)
{
	struct stream *stream = owner;
	struct streams *streams = stream->of;

	(void)how;
	if (!is_over(stream))
		return;
	close_host(stream);
	close_guest(stream);
	if (stream == &streams->streams[STDERR_FILENO] && loop_add_timer(streams->loop, &streams->release) == 0)
		loop_arm(streams->loop, &streams->release, RELEASE_MS);
}

static int start_pumps(struct streams *streams, unsigned idx)
{
	struct stream *stream = &streams->streams[idx];
	int rc = 0;

	if (reads_host(streams, idx))
		rc = pump_start(&stream->to_guest, streams->loop, &stream->host, &stream->guest, on_input_ended,
		                stream);
	if (rc == 0 && writes_host(streams, idx))
		rc = pump_start(&stream->to_host, streams->loop, &stream->guest, &stream->host, on_output_ended,
		                stream);
	if (rc < 0) {
		pump_stop(&stream->to_guest);
		pump_stop(&stream->to_host);
	}
	return rc;
}

int streams_attach(struct streams *streams, const char *which, int fd)
{
	unsigned idx = 0;
	struct stream *stream;
	int rc;

	if (streams->terminal && strcmp(which, "terminal") != 0)
		return -EINVAL;
	while (!streams->terminal && strcmp(which, names[idx]) != 0)
		if (++idx == STREAMS)
			return -EINVAL;
	stream = &streams->streams[idx];
	if (stream->is_there)
		return -EEXIST;
	stream->guest = (struct nonblock) { .fd = fd, .how = NONBLOCK_SOCKET };
	rc = start_pumps(streams, idx);
	if (rc < 0)
		stream->guest.fd = -1;
	else
		stream->is_there = true;
	return rc;
}

bool streams_are_complete(const struct streams *streams)
{
	for (unsigned i = 0; i < streams->n; i++)
		if (!streams->streams[i].is_there)
			return false;
	return true;
}

// ---- the end

// A stream that the guest has connected may not have been seen yet.
static bool are_drained(const struct streams *streams)
{
	for (unsigned i = 0; i < streams->n; i++)
		if (pump_is_running(&streams->streams[i].to_host) || !streams->streams[i].is_there)
			return false;
	return true;
}

static uint64_t moved(const struct streams *streams, bool *waits)
{
	uint64_t sum = 0;

	*waits = false;
	for (unsigned i = 0; i < streams->n; i++) {
		sum += streams->streams[i].to_host.moved;
		*waits |= pump_is_waiting(&streams->streams[i].to_host);
	}
	return sum;
}

static void on_tick(void *owner)
{
	struct streams *streams = owner;
	bool waits;
	uint64_t now_moved = moved(streams, &waits);

	streams->drain_ticks = now_moved == streams->drain_moved ? streams->drain_ticks + 1 : 0;
	streams->drain_moved = now_moved;
	streams->drain_guest_ticks += !waits;
	if (are_drained(streams) || streams->drain_ticks >= (waits ? DRAIN_READER_TICKS : DRAIN_GUEST_TICKS) ||
	    streams->drain_guest_ticks >= DRAIN_TOTAL_TICKS || now_moved - streams->drain_begin > DRAIN_BYTES_MAX) {
		loop_del_timer(streams->loop, &streams->drain);
		streams->drained(streams->owner);
		return;
	}
	loop_arm(streams->loop, &streams->drain, DRAIN_TICK_MS);
}

void streams_drain(struct streams *streams, void (*drained)(void *owner), void *owner)
{
	bool waits;

	loop_del_timer(streams->loop, &streams->release);
	streams->drained = drained;
	streams->owner = owner;
	streams->drain = (struct loop_timer) { .expired = on_tick, .owner = streams };
	streams->drain_begin = moved(streams, &waits);
	if (are_drained(streams) || loop_add_timer(streams->loop, &streams->drain) < 0) {
		drained(owner);
		return;
	}
	on_tick(streams);
}

void streams_close(struct streams *streams)
{
	if (!streams->loop)
		return;
	loop_del_timer(streams->loop, &streams->release);
	loop_del_timer(streams->loop, &streams->drain);
	for (unsigned i = 0; i < STREAMS; i++) {
		pump_stop(&streams->streams[i].to_guest);
		pump_stop(&streams->streams[i].to_host);
		close_guest(&streams->streams[i]);
		close_host(&streams->streams[i]);
	}
	if (streams->slave_fd >= 0)
		close(streams->slave_fd);
	streams->loop = NULL;
}
