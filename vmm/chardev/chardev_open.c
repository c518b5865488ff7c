// SPDX-License-Identifier: Apache-2.0
// Opens and closes the back ends of character devices.
#include "chardev_internal.h"

#include "error.h"
#include "listen.h"
#include "log.h"
#include "monotonic.h"
#include "term.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#define LAST_BYTES_MS 1000

/*
 * A non-blocking descriptor for standard input or output, or -1. O_NONBLOCK belongs to the open file, which
 * is shared with whoever started us (a shell, standard error): so a terminal or pipe is opened once more
 * where that is possible. A regular file never blocks, and its offset has to stay shared.
 */
static int open_again(int std_fd, mode_t mode, int access)
{
	char path[32];

	if (S_ISREG(mode))
		return -1;
	snprintf(path, sizeof(path), "/proc/self/fd/%d", std_fd);
	return open(path, access | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
}

// What kind of file it is; 0: nobody knows.
static mode_t mode_of(int fd)
{
	struct stat st;

	return fstat(fd, &st) == 0 ? st.st_mode : 0;
}

static int open_stdout(struct chardev *chr)
{
	mode_t mode = mode_of(STDOUT_FILENO);
	int fd = open_again(STDOUT_FILENO, mode, O_WRONLY), flags;

	if (fd >= 0)
		return fd;
	fd = fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, 3);
	if (fd < 0)
		return -errno;
	if (S_ISREG(mode))
		return fd;
	flags = fcntl(fd, F_GETFL);
	if (flags >= 0 && !(flags & O_NONBLOCK) && fcntl(fd, F_SETFL, flags | O_NONBLOCK) == 0)
		chr->restore_flags = true;
	return fd;
}

static int open_stdio(struct chardev *chr, const struct chardev_config *cfg, struct vpmem_error *err)
{
	mode_t mode = mode_of(STDIN_FILENO);
	int rc = 0;

	chr->in.fd = open_again(STDIN_FILENO, mode, O_RDONLY);
	if (chr->in.fd < 0)
		chr->in.fd = fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, 3);
	chr->outs.fd = open_stdout(chr);
	if (chr->outs.fd < 0)
		return error_set(err, chr->outs.fd, "stdio: cannot use standard output: %s", strerror(-chr->outs.fd));
	chr->mux = cfg->mux;
	if (S_ISCHR(mode))
		rc = term_raw(cfg->signals);
	return rc ? error_set(err, rc, "stdio: cannot set the terminal: %s", strerror(-rc)) : 0;
}

static int open_file(struct chardev *chr, struct vpmem_error *err)
{
	int fd = open(chr->path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOCTTY, 0644);

	chr->created = fd >= 0;
	if (fd < 0 && errno == EEXIST)
		fd = open(chr->path, O_WRONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	if (fd < 0)
		return error_set(err, -errno, "could not connect serial device to character backend 'file:%s': %s",
		                 chr->path, strerror(errno));
	chr->outs.fd = fd;
	return 0;
}

static void on_connect(void *owner, short revents)
{
	struct chardev *chr = owner;
	int fd = accept4(chr->listen.fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);

	(void)revents;
	if (fd < 0)
		return;
	// One peer at a time: others wait in the kernel's queue.
	loop_set_events(chr->loop, &chr->listen, 0);
	chardev_connected_to(chr, fd);
}

static int open_unix(struct chardev *chr, struct vpmem_error *err)
{
	// One peer at a time; one more may wait.
	int rc = listen_unix(chr->path, 1, &chr->listen.fd, err);

	if (rc < 0)
		return rc;
	chr->created = true;
	chr->listen.events = POLLIN;
	chr->listen.ready = on_connect;
	return 0;
}

static int open_kind(struct chardev *chr, const struct chardev_config *cfg, struct vpmem_error *err)
{
	switch (cfg->kind) {
	case CHARDEV_STDIO:
		return open_stdio(chr, cfg, err);
	case CHARDEV_FILE:
		return open_file(chr, err);
	case CHARDEV_UNIX:
		return open_unix(chr, err);
	case CHARDEV_NULL:
		break;
	}
	return 0;
}

static struct chardev *new_chardev(enum chardev_kind kind, struct loop *loop)
{
	struct chardev *chr = calloc(1, sizeof(*chr));

	if (!chr)
		return NULL;
	*chr = (struct chardev) {
		.kind = kind,
		.loop = loop,
		.in = { .fd = -1 },
		.outs = { .fd = -1 },
		.listen = { .fd = -1 },
	};
	pthread_cond_init(&chr->drained, NULL);
	return chr;
}

int chardev_open(const struct chardev_config *cfg, struct loop *loop, void (*quit)(void *owner), void *owner,
                 struct chardev **out, struct vpmem_error *err)
{
	struct chardev *chr = new_chardev(cfg->kind, loop);
	int rc;

	if (!chr)
		return error_set(err, -ENOMEM, "cannot set up character device: %s", strerror(ENOMEM));
	chr->quit = quit;
	chr->quit_owner = owner;
	chr->path = cfg->path ? strdup(cfg->path) : NULL;
	chr->name = chr->path ? chr->path : "stdio";
	rc = open_kind(chr, cfg, err);
	if (rc == 0)
		rc = chardev_attach(chr);
	if (rc < 0)
		chardev_close(chr);
	else
		*out = chr;
	return rc;
}

int chardev_adopt(int fd, const char *name, struct loop *loop, struct chardev **out)
{
	struct chardev *chr = new_chardev(CHARDEV_UNIX, loop);
	int rc;

	if (!chr)
		return -ENOMEM;
	chr->name = name;
	chr->in = (struct loop_source) { .fd = fd, .events = POLLIN };
	chr->outs = (struct loop_source) { .fd = fd };
	rc = chardev_attach(chr);
	if (rc < 0) {
		// The caller keeps the descriptor.
		chr->in.fd = chr->outs.fd = -1;
		chardev_close(chr);
		return rc;
	}
	*out = chr;
	return 0;
}

void chardev_keep(struct chardev *chr)
{
	if (chr->kind != CHARDEV_FILE)
		return;
	// Fails for a fifo or a device, where there is nothing to empty.
	if (!chr->created && ftruncate(chr->outs.fd, 0) < 0 && errno != EINVAL)
		log_warn("%s: cannot empty: %s", chr->path, strerror(errno));
	chr->created = false;
}

bool chardev_drain(struct chardev *chr, unsigned timeout_ms)
{
	uint64_t deadline = monotonic_ms() + timeout_ms;

	while (chr->out_len > 0 && chr->outs.fd >= 0) {
		struct pollfd fd = { .fd = chr->outs.fd, .events = POLLOUT };
		uint64_t now = monotonic_ms();
		size_t before = chr->out_len;

		if (poll(&fd, 1, now < deadline ? (int)(deadline - now) : 0) <= 0)
			break;
		chardev_write_out(chr);
		if (chr->out_len == before)
			break;
	}
	return chr->out_len == 0;
}

void chardev_close(struct chardev *chr)
{
	if (!chr)
		return;
	for (unsigned i = 0; i < NSIDES; i++)
		chr->sides[i].front = (struct chardev_front) { .owner = NULL };
	chardev_drain(chr, LAST_BYTES_MS);
	chardev_detach(chr);
	if (chr->restore_flags)
		fcntl(chr->outs.fd, F_SETFL, fcntl(chr->outs.fd, F_GETFL) & ~O_NONBLOCK);
	if (chr->in.fd >= 0 && chr->in.fd != chr->outs.fd)
		close(chr->in.fd);
	if (chr->outs.fd >= 0)
		close(chr->outs.fd);
	if (chr->listen.fd >= 0)
		close(chr->listen.fd);
	if (chr->created && chr->path)
		unlink(chr->path);
	if (chr->kind == CHARDEV_STDIO)
		term_restore();
	pthread_cond_destroy(&chr->drained);
	free(chr->path);
	free(chr);
}
