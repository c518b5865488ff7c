// SPDX-License-Identifier: Apache-2.0
// Folders of the host: virtiofsd as a child process, connected to a chardev.
#include "machine_share.h"

#include "child.h"
#include "error.h"
#include "machine.h"
#include "vhost_user_link.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#define START_MS 30000u

struct share {
	struct child child;
};

// ---- a socket that listens, and one that is connected to it

static int bind_listener(int fd, const char *path)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	int rc = -ENAMETOOLONG;

	if (strlen(path) < sizeof(addr.sun_path)) {
		strcpy(addr.sun_path, path);
		rc = bind(fd, (const struct sockaddr *)&addr, sizeof(addr)) < 0 || listen(fd, 1) < 0 ? -errno : 0;
	}
	return rc;
}

static int connect_to(const char *path)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	int rc, fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	if (fd < 0)
		return -errno;
	strcpy(addr.sun_path, path);
	if (connect(fd, (const struct sockaddr *)&addr, sizeof(addr)) == 0)
		return fd;
	rc = -errno;
	close(fd);
	return rc;
}

// In a directory that nobody else may enter, and that is gone again at once. Returns the connected socket, or -errno.
static int make_sockets(int *listener_fd)
{
	char dir[] = "/tmp/pmvm-share-XXXXXX", path[sizeof(dir) + 2];
	int rc, fd = -1;

	*listener_fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (*listener_fd < 0 || !mkdtemp(dir))
		return -errno;
	snprintf(path, sizeof(path), "%s/s", dir);
	rc = bind_listener(*listener_fd, path);
	if (rc == 0)
		fd = connect_to(path);
	unlink(path);
	rmdir(dir);
	return rc ? rc : fd;
}

// ---- the start

static int no_folder(const char *dir, int rc, struct vpmem_error *err)
{
	if (rc == -EINVAL) {
		error_set(err, rc, "share '%s': virtiofsd takes no comma and no backslash in a path", dir);
		error_hint(err, "give it another name by a bind mount");
		return rc;
	}
	error_set(err, rc, "share '%s': %s", dir, strerror(-rc));
	error_hint(err, rc == -ENOENT ? "check the path: -share needs a folder that exists" :
	                                "-share needs a folder that this user can reach");
	return rc;
}

// As virtiofsd gets it. The caller frees it; NULL: *err is set.
static char *find_folder(const char *dir, struct vpmem_error *err)
{
	char *path = realpath(dir, NULL);
	struct stat st;
	int rc = !path || stat(path, &st) < 0 ? -errno : S_ISDIR(st.st_mode) ? 0 : -ENOTDIR;

	if (rc == 0 && strpbrk(path, ",\\"))
		rc = -EINVAL;
	if (rc == 0)
		return path;
	no_folder(dir, rc, err);
	free(path);
	return NULL;
}

// Where Debian 12, and later ones, have it; before that, PATH.
static int start_program(struct share *share, const char **argv, struct child_options *opts)
{
	static const char *const programs[] = { "virtiofsd", "/usr/libexec/virtiofsd", "/usr/lib/qemu/virtiofsd" };
	int rc = -ENOENT;

	for (unsigned i = 0; i < sizeof(programs) / sizeof(programs[0]) && rc == -ENOENT; i++) {
		argv[0] = programs[i];
		rc = child_start(&share->child, opts);
	}
	return rc;
}

static int spawn(struct share *share, const struct share_config *cfg, const char *folder, int listener_fd,
                 struct vpmem_error *err)
{
	char source[PATH_MAX + 16], sandbox[32], name[120];
	const char *argv[] = { NULL, "--fd=3", "-o", source, cfg->sandbox ? "-o" : NULL, sandbox, NULL };
	struct child_options opts = {
		.name = name, .argv = argv, .socket_fd = listener_fd, .consequence = "the folder is gone"
	};
	int rc;

	snprintf(source, sizeof(source), "source=%s", folder);
	snprintf(sandbox, sizeof(sandbox), "sandbox=%s", cfg->sandbox ? cfg->sandbox : "");
	snprintf(name, sizeof(name), "share %.80s: virtiofsd", cfg->dir);
	rc = start_program(share, argv, &opts);
	if (rc == 0)
		return 0;
	error_set(err, rc, "could not start virtiofsd: %s", strerror(-rc));
	if (rc == -ENOENT)
		error_hint(err, "-share needs this program: sudo apt-get install virtiofsd, or in Debian 12 "
		                "qemu-system-common");
	return rc;
}

// What it printed last, which is why it has ended.
static void read_last_line(struct child *child, char *said, size_t size)
{
	ssize_t n;
	char *line;

	do {
		n = child_read(child);
		while ((line = child_line(child))) {
			if (*line)
				snprintf(said, size, "%.300s", line);
			child_drop_line(child);
		}
	} while (n > 0);
}

// It answers when it has locked itself in; the device asks again.
static int await_start(struct share *share, int fd, pthread_mutex_t *lock, struct vpmem_error *err)
{
	const struct vhost_user_message msg = { .request = VHOST_USER_GET_FEATURES };
	struct vhost_user_link link;
	char said[304] = "it has ended without a word";
	uint64_t features;
	int rc, dup_fd = fcntl(fd, F_DUPFD_CLOEXEC, 0);

	if (dup_fd < 0)
		return error_set(err, -errno, "virtiofsd: %s", strerror(errno));
	pthread_mutex_unlock(lock);
	vhost_user_link_open(&link, dup_fd);
	vhost_user_link_begin(&link, START_MS);
	rc = vhost_user_ask(&link, &msg, &features, sizeof(features), sizeof(features));
	vhost_user_link_close(&link);
	pthread_mutex_lock(lock);
	read_last_line(&share->child, said, sizeof(said));
	if (rc >= 0)
		return 0;
	if (rc == -ETIMEDOUT)
		return error_set(err, rc, "virtiofsd is not ready after %u s", START_MS / 1000);
	error_set(err, rc, "virtiofsd did not start: %s", said);
	if (geteuid() != 0)
		error_hint(err, "Debian 12's virtiofsd must be started by root; later ones need user namespaces");
	else
		error_hint(err, "where it cannot have namespaces of its own, sandbox=chroot may do");
	return rc;
}

static struct chardev_config *chardev_of(struct machine *m, const struct share_config *cfg)
{
	for (unsigned i = 0; i < m->opts->nchardevs; i++)
		if (strcmp(m->opts->chardevs[i]->id, cfg->chardev) == 0)
			return m->opts->chardevs[i];
	return NULL;
}

static int connect_share(struct machine *m, struct share *share, const struct share_config *cfg, const char *folder,
                         struct vpmem_error *err)
{
	struct chardev_config *chardev = chardev_of(m, cfg);
	int listener_fd, fd = make_sockets(&listener_fd);
	int rc = fd < 0 ? error_set(err, fd, "share '%s': cannot make a socket: %s", cfg->dir, strerror(-fd)) :
	                  spawn(share, cfg, folder, listener_fd, err);

	if (listener_fd >= 0)
		close(listener_fd);
	if (rc == 0)
		rc = await_start(share, fd, m->loop.lock, err);
	if (rc == 0) {
		rc = child_watch(&share->child, &m->loop);
		if (rc == 0 && asprintf(&chardev->fd, "%d", fd) < 0)
			rc = -ENOMEM;
		if (rc < 0)
			error_set(err, rc, "share '%s': %s", cfg->dir, strerror(-rc));
	}
	if (rc < 0 && fd >= 0)
		close(fd);
	return rc;
}

int machine_shares_up(struct machine *m, struct vpmem_error *err)
{
	int rc = 0;

	if (m->opts->nshares == 0)
		return 0;
	m->shares = calloc(m->opts->nshares, sizeof(*m->shares));
	if (!m->shares)
		return error_set(err, -ENOMEM, "out of memory");
	for (unsigned i = 0; i < m->opts->nshares && rc == 0; i++) {
		char *folder = find_folder(m->opts->shares[i].dir, err);

		rc = folder ? connect_share(m, &m->shares[i], &m->opts->shares[i], folder, err) : -EINVAL;
		free(folder);
	}
	return rc;
}

void machine_shares_down(struct machine *m)
{
	for (unsigned i = 0; m->shares && i < m->opts->nshares; i++)
		child_end(&m->shares[i].child);
	free(m->shares);
	m->shares = NULL;
}
