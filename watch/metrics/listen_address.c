// SPDX-License-Identifier: Apache-2.0
// A listening socket by an address in text.
#include "listen_address.h"

#include "error.h"

#include <errno.h>
#include <netdb.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#define BACKLOG 32

/* Nobody accepts connections on it, so it was left behind. */
static bool is_stale(const struct sockaddr_un *addr)
{
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	bool stale = fd >= 0 && connect(fd, (const struct sockaddr *)addr, sizeof(*addr)) < 0 && errno == ECONNREFUSED;
	struct stat st;

	if (fd >= 0)
		close(fd);
	return stale && lstat(addr->sun_path, &st) == 0 && S_ISSOCK(st.st_mode);
}

static int bind_unix(int fd, const struct sockaddr_un *addr)
{
	if (bind(fd, (const struct sockaddr *)addr, sizeof(*addr)) == 0)
		return 0;
	if (errno != EADDRINUSE || !is_stale(addr))
		return -EADDRINUSE;
	unlink(addr->sun_path);
	return bind(fd, (const struct sockaddr *)addr, sizeof(*addr)) == 0 ? 0 : -errno;
}

static int listen_unix(const char *path, char **unix_path, struct vpmem_error *err)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	int fd, rc;

	if (strlen(path) >= sizeof(addr.sun_path) || !*path)
		return error_set(err, -EINVAL, "--listen: a path has 1 to %zu bytes", sizeof(addr.sun_path) - 1);
	memcpy(addr.sun_path, path, strlen(path) + 1);
	*unix_path = strdup(path);
	fd = *unix_path ? socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0) : -1;
	rc = fd < 0 ? -errno : bind_unix(fd, &addr);
	if (rc == 0 && listen(fd, BACKLOG) < 0)
		rc = -errno;
	if (rc == 0)
		return fd;
	if (fd >= 0)
		close(fd);
	free(*unix_path);
	*unix_path = NULL;
	return error_set(err, rc, "--listen unix:%s: %s", path, strerror(-rc));
}

/* Splits "HOST:PORT"; the brackets of an IPv6 address are not part of it. */
static bool split(const char *address, char host[256], const char **port)
{
	const char *colon = strrchr(address, ':');
	size_t len = colon ? (size_t)(colon - address) : 0;

	if (!colon || !colon[1] || len >= 256)
		return false;
	if (len >= 2 && address[0] == '[' && address[len - 1] == ']') {
		address++;
		len -= 2;
	} else if (memchr(address, ':', len)) {
		return false;
	}
	memcpy(host, address, len);
	host[len] = '\0';
	*port = colon + 1;
	return true;
}

static int listen_one(const struct addrinfo *ai)
{
	int fd = socket(ai->ai_family, ai->ai_socktype | SOCK_CLOEXEC, ai->ai_protocol), rc;

	if (fd < 0)
		return -errno;
	(void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &(int) { 1 }, sizeof(int));
	if (bind(fd, ai->ai_addr, ai->ai_addrlen) == 0 && listen(fd, BACKLOG) == 0)
		return fd;
	rc = -errno;
	close(fd);
	return rc;
}

static int listen_inet(const char *address, struct vpmem_error *err)
{
	const struct addrinfo hints = { .ai_flags = AI_PASSIVE, .ai_socktype = SOCK_STREAM };
	struct addrinfo *found;
	const char *port;
	char host[256];
	int rc;

	if (!split(address, host, &port)) {
		error_set(err, -EINVAL, "--listen: '%s' is no address", address);
		error_hint(err, "unix:PATH, HOST:PORT, [IPV6]:PORT or :PORT");
		return -EINVAL;
	}
	rc = getaddrinfo(*host ? host : NULL, port, &hints, &found);
	if (rc)
		return error_set(err, -EINVAL, "--listen %s: %s", address, gai_strerror(rc));
	rc = -EADDRNOTAVAIL;
	for (const struct addrinfo *ai = found; ai && rc < 0; ai = ai->ai_next)
		rc = listen_one(ai);
	freeaddrinfo(found);
	return rc < 0 ? error_set(err, rc, "--listen %s: %s", address, strerror(-rc)) : rc;
}

int listen_address(const char *address, char **unix_path, struct vpmem_error *err)
{
	*unix_path = NULL;
	if (strncmp(address, "unix:", 5) == 0)
		return listen_unix(address + 5, unix_path, err);
	return listen_inet(address, err);
}
