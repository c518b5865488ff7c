// SPDX-License-Identifier: Apache-2.0
// Messages for people on standard error.
#include "log.h"

#include "monotonic.h"
#include "nonblock.h"
#include "text.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define LIMIT_WINDOW_MS 10000u
#define GUEST_MESSAGES 10u
#define WARN_MESSAGES 50u

#define LINE_MAX_LEN 1024u
#define WAIT_MS 100

// Each line begins with its priority as in sd-daemon(3), which only the journal gets.
#define PRIORITY_LEN 3u
#define ERROR "<3>"
#define WARNING "<4>"
#define INFO "<6>"

// Standard error. `lock` is a leaf lock, and guards all of it; nothing that is done under it waits, but once WAIT_MS.
static struct {
	pthread_mutex_t lock;
	struct nonblock to;
	unsigned nlost;
	bool mid_line;   // the last message was written in part
	bool is_final;   // nothing is opened any more
	bool is_journal; // it takes priorities
} out = { .lock = PTHREAD_MUTEX_INITIALIZER, .to = { .fd = -1 } };

static bool timestamps; // accessed atomically

void log_set_timestamps(bool on)
{
	__atomic_store_n(&timestamps, on, __ATOMIC_RELAXED);
}

// The journal names itself in the environment, by the device and inode of the stream that it gave the service.
static bool is_journal(void)
{
	const char *stream = getenv("JOURNAL_STREAM");
	struct stat st;
	char name[48];

	if (!stream || fstat(STDERR_FILENO, &st) < 0)
		return false;
	snprintf(name, sizeof(name), "%llu:%llu", (unsigned long long)st.st_dev, (unsigned long long)st.st_ino);
	return strcmp(stream, name) == 0;
}

static void open_out(void)
{
	nonblock_close(&out.to);
	if (out.is_final) {
		nonblock_use(&out.to, STDERR_FILENO);
		return;
	}
	nonblock_open(&out.to, STDERR_FILENO, O_WRONLY);
	out.is_journal = is_journal();
}

// Again where it failed: there may have been no descriptor left. Any thread does it, so not for good: a sandboxed one may
// not even examine the descriptor.
static void open_once(void)
{
	if (!out.is_final && (out.to.fd < 0 || out.to.how == NONBLOCK_POLLED))
		open_out();
}

void log_open(void)
{
	pthread_mutex_lock(&out.lock);
	open_out();
	pthread_mutex_unlock(&out.lock);
}

void log_close(void)
{
	pthread_mutex_lock(&out.lock);
	nonblock_close(&out.to);
	pthread_mutex_unlock(&out.lock);
}

void log_open_for_good(void)
{
	pthread_mutex_lock(&out.lock);
	open_out();
	out.is_final = true;
	pthread_mutex_unlock(&out.lock);
}

static bool is_writable(int wait_ms)
{
	struct pollfd fd = { .fd = out.to.fd, .events = POLLOUT };

	return poll(&fd, 1, wait_ms) == 1;
}

static bool is_read_now(void)
{
	bool is_read;

	pthread_mutex_lock(&out.lock);
	open_once();
	is_read = is_writable(0);
	pthread_mutex_unlock(&out.lock);
	return is_read;
}

// What of the text fits, up to its end. A terminal takes a part of a line.
static size_t write_some(const char *text, size_t len)
{
	size_t done = 0;

	while (done < len) {
		ssize_t n = nonblock_write(&out.to, text + done, len - done);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			break;
		done += (size_t)n;
	}
	return done;
}

// false: it did not fit, and it is not written later.
static bool write_whole(const char *line, size_t len, int wait_ms)
{
	size_t done;

	if (!out.is_journal) {
		line += PRIORITY_LEN;
		len -= PRIORITY_LEN;
	}
	if (out.mid_line && write_some("\n", 1) == 1)
		out.mid_line = false;
	if (out.mid_line)
		return false;
	done = write_some(line, len);
	// A reader that is only slow gets everything, and one that is gone is waited for once.
	if (done < len && errno == EAGAIN && wait_ms > 0 && is_writable(wait_ms))
		done += write_some(line + done, len - done);
	out.mid_line = done > 0 && done < len;
	return done == len;
}

static bool write_report(void)
{
	char line[80];
	int len = snprintf(line, sizeof(line), WARNING "pmvm: %u messages were lost: nobody read standard error\n",
	                   out.nlost);

	if (!write_whole(line, (size_t)len, 0))
		return false;
	out.nlost = 0;
	return true;
}

static void write_or_count(const char *line, size_t len, int wait_ms)
{
	pthread_mutex_lock(&out.lock);
	open_once();
	// While nobody reads, nothing waits.
	if (out.nlost > 0)
		wait_ms = 0;
	if ((out.nlost > 0 && !write_report()) || !write_whole(line, len, wait_ms))
		out.nlost++;
	pthread_mutex_unlock(&out.lock);
}

// Names come from guests, from clients of the monitor and from files: none moves the cursor or begins a line.
static void replace_controls(char *text)
{
	for (unsigned char *c = (unsigned char *)text; *c; c++) {
		if (*c < 0x20 || *c == 0x7f)
			*c = '?';
		else if (c[0] == 0xc2 && c[1] >= 0x80 && c[1] < 0xa0)
			c[0] = c[1] = '?'; // U+0080 to U+009F in UTF-8
	}
}

// QEMU's form, and a blank. Returns its length.
static int print_time(char *buf, size_t size)
{
	struct timespec now;

	if (!__atomic_load_n(&timestamps, __ATOMIC_RELAXED))
		return 0;
	clock_gettime(CLOCK_REALTIME, &now);
	return text_utc(buf, size, now.tv_sec, (unsigned)(now.tv_nsec / 1000));
}

// One write per line, so that lines of several threads and processes do not mix.
static void print_line(const char *priority, const char *prefix, int wait_ms, const char *fmt, va_list args)
{
	char line[LINE_MAX_LEN];
	int time_len = (int)PRIORITY_LEN + print_time(line + PRIORITY_LEN, sizeof(line) - PRIORITY_LEN);
	int prefix_len = time_len + snprintf(line + time_len, sizeof(line) - (size_t)time_len, "pmvm: %s", prefix);
	size_t len;

	memcpy(line, priority, PRIORITY_LEN);
	vsnprintf(line + prefix_len, sizeof(line) - (size_t)prefix_len - 1, fmt, args);
	replace_controls(line);
	len = strlen(line);
	line[len++] = '\n';
	write_or_count(line, len, wait_ms);
}

void log_error(const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	print_line(ERROR, "", WAIT_MS, fmt, args);
	va_end(args);
}

void log_info(const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	print_line(INFO, "", WAIT_MS, fmt, args);
	va_end(args);
}

static void print_now(int wait_ms, const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	print_line(WARNING, "", wait_ms, fmt, args);
	va_end(args);
}

// true: this message may be printed. Two threads that race on one limit print a message too many or too few, nothing
// worse: the fields are accessed atomically, one by one.
static bool take_place(struct log_limit *limit, unsigned max, int wait_ms)
{
	uint64_t now = monotonic_ms();
	uint64_t start = __atomic_load_n(&limit->window_start_ms, __ATOMIC_RELAXED);

	if (start == 0 || now - start >= LIMIT_WINDOW_MS) {
		unsigned nskipped = __atomic_exchange_n(&limit->nskipped, 0, __ATOMIC_RELAXED);

		__atomic_store_n(&limit->window_start_ms, now, __ATOMIC_RELAXED);
		__atomic_store_n(&limit->nprinted, 0, __ATOMIC_RELAXED);
		if (nskipped > 0)
			print_now(wait_ms, "%u messages like the next one were left out", nskipped);
	}
	if (__atomic_fetch_add(&limit->nprinted, 1, __ATOMIC_RELAXED) < max)
		return true;
	__atomic_fetch_add(&limit->nskipped, 1, __ATOMIC_RELAXED);
	return false;
}

void log_warn(const char *fmt, ...)
{
	static struct log_limit limit;
	va_list args;

	if (!take_place(&limit, WARN_MESSAGES, WAIT_MS))
		return;
	va_start(args, fmt);
	print_line(WARNING, "warning: ", WAIT_MS, fmt, args);
	va_end(args);
}

void log_guest_at(struct log_limit *limit, const char *fmt, ...)
{
	va_list args;

	// Not even a slow reader is waited for: a guest, or a client, could hold up the others by that.
	if (!is_read_now()) {
		__atomic_fetch_add(&limit->nskipped, 1, __ATOMIC_RELAXED);
		return;
	}
	if (!take_place(limit, GUEST_MESSAGES, 0))
		return;
	va_start(args, fmt);
	print_line(WARNING, "", 0, fmt, args);
	va_end(args);
}
