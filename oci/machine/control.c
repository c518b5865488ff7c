// SPDX-License-Identifier: Apache-2.0
// What a verb asks the keeper. The path of the socket may be longer than an address takes, so its directory is opened.
#include "control.h"

#include "error.h"
#include "frame.h"

#include <errno.h>
#include <fcntl.h>
#include <json-c/json.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

static int use_socket(int dir_fd, int (*use)(int, const struct sockaddr *, socklen_t))
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	int rc, fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (fd < 0)
		return -errno;
	snprintf(addr.sun_path, sizeof(addr.sun_path), "/proc/self/fd/%d/" CONTROL_SOCKET, dir_fd);
	if (use(fd, (const struct sockaddr *)&addr, sizeof(addr)) == 0)
		return fd;
	rc = -errno;
	close(fd);
	return rc;
}

static int open_socket(const char *state_dir, int (*use)(int, const struct sockaddr *, socklen_t))
{
	int rc, dir_fd = open(state_dir, O_PATH | O_DIRECTORY | O_CLOEXEC);

	if (dir_fd < 0)
		return -errno;
	rc = use_socket(dir_fd, use);
	close(dir_fd);
	return rc;
}

static int bind_and_listen(int fd, const struct sockaddr *addr, socklen_t len)
{
	return bind(fd, addr, len) < 0 || listen(fd, 64) < 0 ? -1 : 0;
}

int control_listen(const char *state_dir, struct vpmem_error *err)
{
	int fd = open_socket(state_dir, bind_and_listen);

	return fd < 0 ? error_set(err, fd, "%s/" CONTROL_SOCKET ": %s", state_dir, strerror(-fd)) : fd;
}

int control_connect(const char *state_dir, struct vpmem_error *err)
{
	int fd = open_socket(state_dir, connect);

	return fd < 0 ? error_set(err, fd, "%s/" CONTROL_SOCKET ": %s", state_dir, strerror(-fd)) : fd;
}

int control_result(struct json_object *message, struct json_object **ok, struct vpmem_error *err)
{
	struct json_object *val = NULL;

	if (json_object_object_get_ex(message, "error", &val))
		return error_set(err, -EREMOTEIO, "%s", json_object_get_string(val));
	if (!json_object_object_get_ex(message, "ok", &val) || !json_object_is_type(val, json_type_object))
		return error_set(err, -EBADMSG, "the keeper of the machine gave no answer");
	if (ok)
		*ok = json_object_get(val);
	return 0;
}

int control_call(const char *state_dir, struct json_object *request, int timeout_ms, struct json_object **answer,
                 struct vpmem_error *err)
{
	struct json_object *message = NULL;
	int rc, fd = control_connect(state_dir, err);

	if (fd < 0)
		return fd;
	rc = wire_send(fd, request, err);
	rc = rc ? rc : wire_receive(fd, timeout_ms, &message, err);
	if (rc == -ETIMEDOUT)
		error_set(err, rc, "the keeper of the machine did not answer in time");
	else if (rc == -EPIPE || rc == -ECONNRESET)
		rc = error_set(err, -EPIPE, "the machine has ended");
	else if (rc == 0)
		rc = control_result(message, answer, err);
	json_object_put(message);
	close(fd);
	return rc;
}
