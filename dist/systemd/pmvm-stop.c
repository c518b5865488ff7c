// SPDX-License-Identifier: Apache-2.0
/*
 * pmvm-stop: ends a machine in order, for ExecStop= of pmvm@.service.
 *
 *   pmvm-stop SOCKET SECONDS
 *
 * Presses the power button by QMP. When the machine has not ended after SECONDS, it gets `quit`: it syncs its files and
 * ends without its guest's help. The monitor closes when the machine ends, and its last sync may still run then: the
 * service manager waits for the process.
 */
#include <errno.h>
#include <poll.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#define SECONDS_MAX 86400ul

#define POWER_BUTTON "{\"execute\":\"qmp_capabilities\"}\n{\"execute\":\"system_powerdown\"}\n"
#define QUIT "{\"execute\":\"quit\"}\n"

static int fail(const char *what, const char *why)
{
	fprintf(stderr, "pmvm-stop: %s: %s\n", what, why);
	return EXIT_FAILURE;
}

static int connect_to(const char *path)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	int fd;

	if (strlen(path) >= sizeof(addr.sun_path)) {
		errno = ENAMETOOLONG;
		return -1;
	}
	strcpy(addr.sun_path, path);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd >= 0 && connect(fd, (const struct sockaddr *)&addr, sizeof(addr)) < 0) {
		int error = errno;

		close(fd);
		errno = error;
		return -1;
	}
	return fd;
}

// One short line fits into the socket's buffer.
static bool send_line(int fd, const char *line)
{
	return send(fd, line, strlen(line), MSG_NOSIGNAL) == (ssize_t)strlen(line);
}

static int64_t now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

// Reads what the monitor says, to no purpose but its end. false: it has not come in that time.
static bool ends_within(int fd, unsigned long seconds)
{
	int64_t end_ms = now_ms() + (int64_t)seconds * 1000, left_ms;
	struct pollfd wait = { .fd = fd, .events = POLLIN };
	char buf[4096];
	ssize_t n;

	while ((left_ms = end_ms - now_ms()) > 0) {
		if (poll(&wait, 1, (int)left_ms) <= 0)
			continue;
		n = read(fd, buf, sizeof(buf));
		if (n == 0 || (n < 0 && errno != EINTR && errno != EAGAIN))
			return true;
	}
	return false;
}

int main(int argc, char **argv)
{
	unsigned long seconds;
	char *end;
	int fd;

	if (argc != 3)
		return fail("usage", "pmvm-stop SOCKET SECONDS");
	errno = 0;
	seconds = strtoul(argv[2], &end, 10);
	if (argv[2][0] < '0' || argv[2][0] > '9' || *end || errno || seconds > SECONDS_MAX)
		return fail(argv[2], "not a number of seconds, at most 86400");
	fd = connect_to(argv[1]);
	if (fd < 0)
		return fail(argv[1], strerror(errno));
	if (!send_line(fd, POWER_BUTTON))
		return fail(argv[1], strerror(errno));
	if (ends_within(fd, seconds))
		return EXIT_SUCCESS;
	fprintf(stderr, "pmvm-stop: the guest has not powered off in %lu s: quit\n", seconds);
	(void)send_line(fd, QUIT);
	return EXIT_SUCCESS;
}
