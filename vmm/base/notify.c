// SPDX-License-Identifier: Apache-2.0
// Reports to a service manager.
#include "notify.h"

#include "log.h"
#include "parse.h"
#include "socket_io.h"

#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

// "/path", or "@name" of an abstract socket. Returns the descriptor, or -errno.
static int connect_to(const char *name)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	size_t len = strlen(name);
	int fd;

	if (name[0] != '/' && name[0] != '@')
		return -EAFNOSUPPORT;
	if (len >= sizeof(addr.sun_path))
		return -ENAMETOOLONG;
	memcpy(addr.sun_path, name, len);
	// The zero in front is a part of an abstract name, the one behind a path does not count.
	if (name[0] == '@')
		addr.sun_path[0] = '\0';
	fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -errno;
	if (connect(fd, (const struct sockaddr *)&addr, (socklen_t)(offsetof(struct sockaddr_un, sun_path) + len)) <
	    0) {
		int rc = -errno;

		close(fd);
		return rc;
	}
	return fd;
}

static uint64_t watchdog_usec(void)
{
	const char *usec = getenv("WATCHDOG_USEC"), *pid = getenv("WATCHDOG_PID");
	uint64_t value, of_pid;

	if (!usec || uint_parse(usec, &value) < 0)
		return 0;
	if (pid && (uint_parse(pid, &of_pid) < 0 || of_pid != (uint64_t)getpid()))
		return 0;
	return value;
}

void notify_open(struct notify *notify)
{
	const char *name = getenv("NOTIFY_SOCKET");
	int fd;

	*notify = (struct notify) { .fd = -1 };
	if (!name)
		return;
	fd = connect_to(name);
	if (fd < 0)
		log_warn("cannot report to the service manager: NOTIFY_SOCKET=%s: %s", name, strerror(-fd));
	else
		*notify = (struct notify) { .fd = fd, .watchdog_usec = watchdog_usec() };
	unsetenv("NOTIFY_SOCKET");
	unsetenv("WATCHDOG_USEC");
	unsetenv("WATCHDOG_PID");
}

void notify_close(struct notify *notify)
{
	if (notify->fd >= 0)
		close(notify->fd);
	notify->fd = -1;
}

int notify_send(struct notify *notify, const char *lines)
{
	int error;

	if (notify->fd < 0 || socket_send(notify->fd, lines, strlen(lines), MSG_DONTWAIT) >= 0)
		return 0;
	error = errno;
	if (error == EAGAIN || error == EINTR || error == ENOBUFS || error == ENOMEM)
		return -EAGAIN;
	log_warn("cannot report to the service manager any more: %s", strerror(error));
	notify_close(notify);
	return 0;
}
