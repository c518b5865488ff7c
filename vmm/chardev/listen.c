// SPDX-License-Identifier: Apache-2.0
// Puts a listening socket into the file system, so that nobody finds one there that does not listen yet.
#include "listen.h"

#include "error.h"
#include "permit.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#define NAMES_MAX 100u
#define SPARE_MAX 20 // bytes of a spare name: ".pmvm-", 8 digits, "-", 3 digits

// A path, and one beside it that nobody else uses.
struct place {
	int dir_fd;       // AT_FDCWD, or the directory from which both are
	const char *name; // the path, or its last part
	int dir_len;      // its part up to the last slash
	uint32_t process; // a number that is this process's
	char spare[sizeof(((struct sockaddr_un *)NULL)->sun_path)];
};

// The start of a process gives it 16 random bytes, by which the C library protects the stack and its pointers: half of
// what both halves together give does not reveal either of them.
static uint32_t process_number(void)
{
	const void *bytes = (const void *)getauxval(AT_RANDOM);
	uint64_t halves[2];

	if (!bytes)
		return (uint32_t)getpid();
	memcpy(halves, bytes, sizeof(halves));
	return (uint32_t)((halves[0] ^ (halves[1] << 32 | halves[1] >> 32)) >> 32);
}

static int place_open(struct place *p, const char *path)
{
	const char *slash = strrchr(path, '/');
	char *dir;

	*p = (struct place) { .dir_fd = AT_FDCWD, .name = path, .process = process_number() };
	p->dir_len = slash ? (int)(slash + 1 - path) : 0;
	if ((size_t)p->dir_len + SPARE_MAX < sizeof(p->spare))
		return 0;
	// A path that just fits an address leaves no room for a longer name beside it.
	dir = strndup(path, (size_t)p->dir_len);
	if (!dir)
		return -ENOMEM;
	p->dir_fd = open(dir, O_PATH | O_DIRECTORY | O_CLOEXEC);
	free(dir);
	p->name = slash + 1;
	p->dir_len = 0;
	return p->dir_fd < 0 ? -errno : 0;
}

static void place_close(struct place *p)
{
	if (p->dir_fd >= 0)
		close(p->dir_fd);
}

static void name_spare(struct place *p, unsigned i)
{
	snprintf(p->spare, sizeof(p->spare), "%.*s.pmvm-%08" PRIx32 "-%u", p->dir_len, p->name, p->process, i);
}

static void address_of_spare(const struct place *p, struct sockaddr_un *addr)
{
	*addr = (struct sockaddr_un) { .sun_family = AF_UNIX };
	if (p->dir_fd == AT_FDCWD)
		memcpy(addr->sun_path, p->spare, sizeof(addr->sun_path));
	else
		snprintf(addr->sun_path, sizeof(addr->sun_path), "/proc/self/fd/%d/%.*s", p->dir_fd, SPARE_MAX,
		         p->spare);
}

static int bind_spare(int fd, struct place *p)
{
	struct sockaddr_un addr;

	for (unsigned i = 0; i < NAMES_MAX; i++) {
		name_spare(p, i);
		address_of_spare(p, &addr);
		if (bind(fd, (const struct sockaddr *)&addr, sizeof(addr)) == 0)
			return 0;
		if (errno != EADDRINUSE)
			return -errno;
	}
	return -EADDRINUSE;
}

// The file system or the kernel does.
static bool lacks_noreplace(int error)
{
	return error == EINVAL || error == ENOSYS;
}

// true if a server answers, or may be there: then the socket is in use.
static bool is_served(const char *path)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	bool served;

	memcpy(addr.sun_path, path, strlen(path) + 1);
	// Only a refusal shows that there is none. Without a descriptor to ask with, there may be one.
	served = fd < 0 || connect(fd, (const struct sockaddr *)&addr, sizeof(addr)) == 0 || errno != ECONNREFUSED;
	if (fd >= 0)
		close(fd);
	return served;
}

// Gives the spare name's socket the name that was asked for instead, unless that exists.
static int publish(const struct place *p, const char *spare)
{
	if (renameat2(p->dir_fd, spare, p->dir_fd, p->name, RENAME_NOREPLACE) == 0)
		return 0;
	if (!lacks_noreplace(errno))
		return -errno;
	if (linkat(p->dir_fd, spare, p->dir_fd, p->name, 0) < 0)
		return -errno;
	unlinkat(p->dir_fd, spare, 0);
	return 0;
}

// Gives the path a spare name, at which there is no file.
static int move_aside(struct place *p)
{
	for (unsigned i = NAMES_MAX; i < 2 * NAMES_MAX; i++) {
		name_spare(p, i);
		if (renameat2(p->dir_fd, p->name, p->dir_fd, p->spare, RENAME_NOREPLACE) == 0)
			return 0;
		if (lacks_noreplace(errno))
			return renameat(p->dir_fd, p->name, p->dir_fd, p->spare) < 0 ? -errno : 0;
		if (errno != EEXIST)
			return -errno;
	}
	return -EADDRINUSE;
}

/*
 * Moves the path aside, and removes what it named if that is `stale`. Otherwise it is another program's, and is put
 * back. If a third one has taken the path meanwhile, it keeps the spare name: it is not ours to remove.
 */
static int remove_if_same(struct place *p, const struct file_id *stale)
{
	struct file_id moved;
	int rc = move_aside(p);

	if (rc < 0)
		return rc == -ENOENT ? 0 : rc;
	if (file_id_at(p->dir_fd, p->spare, &moved) < 0 || !file_id_is_same(&moved, stale)) {
		(void)publish(p, p->spare);
		return -EADDRINUSE;
	}
	unlinkat(p->dir_fd, p->spare, 0);
	return 0;
}

// Removes a socket that nobody serves. Another program may do the same at the same time, and put its own socket there.
static int remove_stale(struct place *p, const char *path)
{
	struct file_id stale;
	struct stat st;
	int rc, fd = openat(p->dir_fd, p->name, O_PATH | O_NOFOLLOW | O_CLOEXEC);

	if (fd < 0)
		return errno == ENOENT ? 0 : -errno;
	if (fstat(fd, &st) < 0 || !S_ISSOCK(st.st_mode) || file_id_of_fd(fd, &stale) < 0 || is_served(path))
		rc = -EADDRINUSE;
	else
		rc = remove_if_same(p, &stale);
	// Not before: while it is open, no other socket gets its inode number.
	close(fd);
	return rc;
}

static int publish_or_replace(struct place *p, const char *spare, const char *path)
{
	int rc = publish(p, spare);

	if (rc != -EEXIST)
		return rc;
	rc = remove_stale(p, path);
	if (rc == 0)
		rc = publish(p, spare);
	return rc == -EEXIST ? -EADDRINUSE : rc;
}

static int listen_at(int fd, struct place *p, const char *path, int backlog, struct file_id *id)
{
	char spare[sizeof(p->spare)];
	int rc = bind_spare(fd, p);

	if (rc < 0)
		return rc;
	memcpy(spare, p->spare, sizeof(spare));
	rc = listen(fd, backlog) < 0 ? -errno : file_id_at(p->dir_fd, spare, id);
	if (rc == 0)
		rc = publish_or_replace(p, spare, path);
	if (rc < 0)
		unlinkat(p->dir_fd, spare, 0);
	return rc;
}

static int make_socket(const char *path, mode_t mode, int backlog, int *out_fd, struct file_id *id)
{
	struct sockaddr_un addr;
	struct place p = { .dir_fd = AT_FDCWD };
	int fd = -1, rc = strlen(path) < sizeof(addr.sun_path) ? place_open(&p, path) : -ENAMETOOLONG;

	if (rc == 0) {
		fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
		// The file that bind creates takes the mode of the socket, less the umask.
		rc = fd < 0 || fchmod(fd, mode) < 0 ? -errno : listen_at(fd, &p, path, backlog, id);
	}
	place_close(&p);
	if (rc < 0 && fd >= 0)
		close(fd);
	else if (rc == 0)
		*out_fd = fd;
	return rc;
}

struct listen_in {
	mode_t mode;
	int backlog;
};

static int serve(struct broker_call *call)
{
	const struct listen_in *in = call->in;
	int rc = permit_check(call->strings[0]);

	if (rc == 0 && (in->mode & ~0777u || in->backlog < 0 || in->backlog > SOMAXCONN))
		rc = -EINVAL;
	if (rc == 0)
		rc = make_socket(call->strings[0], in->mode, in->backlog, &call->fds[0], call->out);
	call->nfds = rc == 0;
	return rc;
}

const struct broker_op listen_unix_op = {
	.name = "listen",
	.in_size = sizeof(struct listen_in),
	.out_size = sizeof(struct file_id),
	.serve = serve,
};

int listen_unix(const char *path, mode_t mode, int backlog, int *out_fd, struct file_id *id, struct vpmem_error *err)
{
	const struct listen_in in = { .mode = mode, .backlog = backlog };
	struct broker_call call = { .in = &in, .strings = { path }, .out = id };
	int rc = broker_call(&listen_unix_op, &call);

	if (rc == 0) {
		*out_fd = call.fds[0];
		return 0;
	}
	error_set(err, rc, "Failed to bind socket to %s: %s", path, strerror(-rc));
	if (rc == -EADDRINUSE)
		error_hint(err, "another program listens there: end it, or choose another path");
	broker_hint(&call, path, err);
	return rc;
}
