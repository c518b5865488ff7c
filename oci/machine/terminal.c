// SPDX-License-Identifier: Apache-2.0
// A pty whose master goes to the engine.
#include "terminal.h"

#include "descriptor.h"
#include "error.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <termios.h>
#include <unistd.h>

static int connect_to(const char *path)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	int rc, fd;

	if (strlen(path) >= sizeof(addr.sun_path))
		return -ENAMETOOLONG;
	strcpy(addr.sun_path, path);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -errno;
	if (connect(fd, (const struct sockaddr *)&addr, sizeof(addr)) == 0)
		return fd;
	rc = -errno;
	close(fd);
	return rc;
}

static int send_master(const char *path, int master_fd, struct vpmem_error *err)
{
	int fd = connect_to(path), rc = fd < 0 ? fd : descriptor_send(fd, master_fd);

	if (fd >= 0)
		close(fd);
	return rc ? error_set(err, rc, "--console-socket %s: %s", path, strerror(-rc)) : 0;
}

static int set_up_slave(int slave_fd, struct terminal_size size)
{
	const struct winsize winsize = { .ws_row = (unsigned short)size.rows, .ws_col = (unsigned short)size.columns };
	struct termios termios;

	if (tcgetattr(slave_fd, &termios) < 0)
		return -errno;
	cfmakeraw(&termios);
	if (tcsetattr(slave_fd, TCSANOW, &termios) < 0 ||
	    (size.rows > 0 && size.columns > 0 && ioctl(slave_fd, TIOCSWINSZ, &winsize) < 0))
		return -errno;
	// It fails for the leader of a session, which is as well.
	(void)setsid();
	return ioctl(slave_fd, TIOCSCTTY, 0) < 0 ? -errno : 0;
}

// By the master's descriptor: the name may mean another file in this mount namespace.
static int open_slave(int master_fd)
{
	if (grantpt(master_fd) < 0 || unlockpt(master_fd) < 0)
		return -errno;
	int fd = ioctl(master_fd, TIOCGPTPEER, O_RDWR | O_NOCTTY | O_CLOEXEC);

	return fd < 0 ? -errno : fd;
}

int terminal_open(const char *socket_path, struct terminal_size size, int *slave_fd, struct vpmem_error *err)
{
	int master_fd, rc;

	*slave_fd = -1;
	if (!socket_path) {
		error_set(err, -EINVAL, "the process has a terminal, and there is no --console-socket");
		error_hint(err, "give --console-socket, or set terminal to false");
		return -EINVAL;
	}
	master_fd = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC);
	if (master_fd < 0)
		return error_set(err, -errno, "cannot make a terminal: %s", strerror(errno));
	*slave_fd = open_slave(master_fd);
	rc = *slave_fd < 0 ? *slave_fd : set_up_slave(*slave_fd, size);
	if (rc < 0)
		error_set(err, rc, "cannot set up a terminal: %s", strerror(-rc));
	else
		rc = send_master(socket_path, master_fd, err);
	close(master_fd);
	if (rc < 0 && *slave_fd >= 0) {
		close(*slave_fd);
		*slave_fd = -1;
	}
	return rc;
}

struct terminal_size terminal_get_size(int slave_fd)
{
	struct winsize size = { 0 };

	(void)ioctl(slave_fd, TIOCGWINSZ, &size);
	return (struct terminal_size) { size.ws_row, size.ws_col };
}
