// SPDX-License-Identifier: Apache-2.0
// Listening sockets in the file system: a left-over is replaced, one that is served is not.
#include "listen.h"

#include "error.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

// true if a server answers at this address: then the socket is not a left-over.
static bool is_served(const struct sockaddr_un *addr)
{
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	// Anything but a refusal may be a server that we must not see.
	bool served = fd >= 0 &&
	              (connect(fd, (const struct sockaddr *)addr, sizeof(*addr)) == 0 || errno != ECONNREFUSED);

	if (fd >= 0)
		close(fd);
	return served;
}

static int bind_socket(int fd, const char *path)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };

	if (strlen(path) >= sizeof(addr.sun_path))
		return -ENAMETOOLONG;
	memcpy(addr.sun_path, path, strlen(path) + 1);
	if (bind(fd, (struct sockaddr *)&addr, sizeof(addr)) == 0)
		return 0;
	if (errno != EADDRINUSE || is_served(&addr))
		return -errno;
	struct stat st;
	if (lstat(path, &st) < 0 || !S_ISSOCK(st.st_mode) || unlink(path) < 0)
		return -EADDRINUSE;
	return bind(fd, (struct sockaddr *)&addr, sizeof(addr)) < 0 ? -errno : 0;
}

int listen_unix(const char *path, int backlog, int *out_fd, struct vpmem_error *err)
{
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	int rc = fd < 0 ? -errno : bind_socket(fd, path);

	if (rc == 0 && listen(fd, backlog) < 0) {
		rc = -errno;
		unlink(path);
	}
	if (rc == 0) {
		*out_fd = fd;
		return 0;
	}
	if (fd >= 0)
		close(fd);
	error_set(err, rc, "Failed to bind socket to %s: %s", path, strerror(-rc));
	if (rc == -EADDRINUSE)
		error_hint(err, "another program listens there: end it, or choose another path");
	return rc;
}
