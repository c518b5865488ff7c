// SPDX-License-Identifier: Apache-2.0
// Which paths and addresses an operation of the broker may use.
#include "permit.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/un.h>

struct address {
	struct sockaddr_storage addr;
	socklen_t len;
};

static struct {
	bool is_limited, all_addresses, was_denied;
	char **paths;
	struct address *addresses;
	unsigned npaths, naddresses;
} permitted;

void permit_begin(void)
{
	permitted.is_limited = true;
}

bool permit_is_limited(void)
{
	return permitted.is_limited;
}

static bool is_below(const char *path, const char *dir)
{
	size_t len = strlen(dir);

	// The root directory is the only one that ends in a slash.
	return strncmp(path, dir, len) == 0 && (path[len] == '\0' || path[len] == '/' || len == 1);
}

static bool is_known(const char *resolved)
{
	for (unsigned i = 0; i < permitted.npaths; i++)
		if (is_below(resolved, permitted.paths[i]))
			return true;
	return false;
}

int permit_add(const char *path)
{
	char *resolved = realpath(path, NULL);
	char **more;

	if (!resolved)
		return -errno;
	if (is_known(resolved)) {
		free(resolved);
		return 0;
	}
	more = reallocarray(permitted.paths, permitted.npaths + 1, sizeof(*more));
	if (!more) {
		free(resolved);
		return -ENOMEM;
	}
	permitted.paths = more;
	more[permitted.npaths++] = resolved;
	return 0;
}

int permit_add_address(const struct sockaddr *addr, socklen_t len)
{
	struct address *more;

	if (len > sizeof(more->addr))
		return -EINVAL;
	more = reallocarray(permitted.addresses, permitted.naddresses + 1, sizeof(*more));
	if (!more)
		return -ENOMEM;
	permitted.addresses = more;
	more += permitted.naddresses++;
	*more = (struct address) { .len = len };
	memcpy(&more->addr, addr, len);
	return 0;
}

void permit_add_all_addresses(void)
{
	permitted.all_addresses = true;
}

bool permit_has_all_addresses(void)
{
	return permitted.all_addresses;
}

const char *permit_get(unsigned idx)
{
	return idx < permitted.npaths ? permitted.paths[idx] : NULL;
}

// What the path would name. A file that does not exist is in the directory that does. A link to nothing would be followed
// by the call that creates a file there.
bool permit_resolve(const char *path, char out[PATH_MAX])
{
	char dir[PATH_MAX], resolved[PATH_MAX];
	const char *slash = strrchr(path, '/'), *name = slash ? slash + 1 : path;
	struct stat st;

	if (realpath(path, out))
		return true;
	if (errno != ENOENT || lstat(path, &st) == 0 || strlen(path) >= sizeof(dir) || !*name ||
	    strcmp(name, ".") == 0 || strcmp(name, "..") == 0)
		return false;
	snprintf(dir, sizeof(dir), "%.*s", slash ? (int)(slash - path) : 0, path);
	if (!realpath(!slash ? "." : dir[0] ? dir : "/", resolved))
		return false;
	return snprintf(out, PATH_MAX, "%s/%s", strcmp(resolved, "/") == 0 ? "" : resolved, name) < PATH_MAX;
}

static bool path_is_permitted(const char *path)
{
	char resolved[PATH_MAX];

	return permit_resolve(path, resolved) && is_known(resolved);
}

bool permit_path(const char *path)
{
	if (!permitted.is_limited || path_is_permitted(path))
		return true;
	permitted.was_denied = true;
	return false;
}

// 0: the directory of the file is there.
static int find_directory(const char *path)
{
	const char *slash = strrchr(path, '/');
	char dir[PATH_MAX];
	struct stat st;

	if (!slash || (size_t)(slash - path) >= sizeof(dir))
		return 0;
	snprintf(dir, sizeof(dir), "%.*s", slash == path ? 1 : (int)(slash - path), path);
	if (stat(dir, &st) < 0)
		return errno == ENOENT || errno == ENOTDIR ? -errno : 0;
	return S_ISDIR(st.st_mode) ? 0 : -ENOTDIR;
}

int permit_check(const char *path)
{
	int rc;

	if (!path)
		return -EINVAL;
	if (permit_path(path))
		return 0;
	// Nobody could open it: that is the error, and not the sandbox.
	rc = find_directory(path);
	if (rc == 0)
		return -EACCES;
	permitted.was_denied = false;
	return rc;
}

static bool is_listed(const struct sockaddr *addr, socklen_t len)
{
	for (unsigned i = 0; i < permitted.naddresses; i++)
		if (permitted.addresses[i].len == len && memcmp(&permitted.addresses[i].addr, addr, len) == 0)
			return true;
	return false;
}

static bool address_is_permitted(const struct sockaddr *addr, socklen_t len)
{
	struct sockaddr_un un = { 0 };

	if (len <= sizeof(sa_family_t))
		return false;
	if (addr->sa_family == AF_INET || addr->sa_family == AF_INET6)
		return permitted.all_addresses || is_listed(addr, len);
	if (addr->sa_family != AF_UNIX || len > sizeof(un))
		return false;
	memcpy(&un, addr, len);
	// One without a path is abstract, and belongs to the network namespace.
	return un.sun_path[0] && memchr(un.sun_path, '\0', sizeof(un.sun_path)) && path_is_permitted(un.sun_path);
}

bool permit_address(const struct sockaddr *addr, socklen_t len)
{
	if (!permitted.is_limited || address_is_permitted(addr, len))
		return true;
	permitted.was_denied = true;
	return false;
}

void permit_clear_denied(void)
{
	permitted.was_denied = false;
}

bool permit_was_denied(void)
{
	return permitted.was_denied;
}
