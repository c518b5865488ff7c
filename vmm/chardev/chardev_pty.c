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

int chardev_pty_open(int *out_fd, char **path)
{
	char name[64];
	int rc, fd = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC | O_NONBLOCK);

	if (fd < 0)
		return -errno;
	rc = unlockpt(fd) < 0 ? -errno : -ptsname_r(fd, name, sizeof(name));
	rc = rc ? rc : open_and_close(name);
	*path = rc == 0 ? strdup(name) : NULL;
	if (rc == 0 && !*path)
		rc = -ENOMEM;
	if (rc < 0)
		close(fd);
	else
		*out_fd = fd;
	return rc;
}
