// SPDX-License-Identifier: Apache-2.0
// A pseudo terminal.
#include "chardev_pty.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>

// POLLHUP is reported only after somebody had the terminal open. Its mode stays.
static int open_and_close(const char *path)
{
	int rc = 0, fd = open(path, O_RDWR | O_NOCTTY | O_CLOEXEC);
	struct termios mode;

	if (fd < 0)
		return -errno;
	if (tcgetattr(fd, &mode) < 0) {
		rc = -errno;
	} else {
		cfmakeraw(&mode);
		rc = tcsetattr(fd, TCSANOW, &mode) < 0 ? -errno : 0;
	}
	close(fd);
	return rc;
}

struct pty_out {
	char name[64];
};

static int serve(struct broker_call *call)
{
	struct pty_out *out = call->out;
	int rc, fd = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC | O_NONBLOCK);

	if (fd < 0)
		return -errno;
	rc = unlockpt(fd) < 0 ? -errno : -ptsname_r(fd, out->name, sizeof(out->name));
	rc = rc ? rc : open_and_close(out->name);
	if (rc < 0)
		close(fd);
	else
		call->fds[call->nfds++] = fd;
	return rc;
}

const struct broker_op chardev_pty_op = { .name = "pty", .out_size = sizeof(struct pty_out), .serve = serve };

int chardev_pty_open(int *out_fd, char **path)
{
	struct pty_out out;
	struct broker_call call = { .out = &out };
	int rc = broker_call(&chardev_pty_op, &call);

	if (rc < 0)
		return rc;
	*path = strdup(out.name);
	if (*path)
		*out_fd = call.fds[0];
	else
		close(call.fds[0]);
	return *path ? 0 : -ENOMEM;
}
