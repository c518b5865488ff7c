// SPDX-License-Identifier: Apache-2.0
// Opens and closes the back ends of character devices.
#include "chardev_internal.h"

#include "error.h"
#include "log.h"
#include "term.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define LAST_BYTES_MS 1000

static int open_stdio(struct chardev *chr, const struct chardev_config *cfg, struct vpmem_error *err)
{
	struct nonblock in, out;
	int rc;

	nonblock_open_by_broker(&in, STDIN_FILENO, O_RDONLY);
	nonblock_open_by_broker(&out, STDOUT_FILENO, O_WRONLY);
	stream_attach(&chr->stream, &in, &out);
	chr->mux = cfg->mux;
	rc = in.is_char ? term_raw(cfg->signals) : 0;
	return rc ? error_set(err, rc, "stdio: cannot set the terminal: %s", strerror(-rc)) : 0;
}

static int open_file(struct chardev *chr, const struct chardev_config *cfg, struct vpmem_error *err)
{
	const struct nonblock none = { .fd = -1 };
	int rc = outfile_open(&chr->file, chr->path, cfg->append);

	if (rc < 0) {
		error_set(err, rc, "Could not open '%s': %s", chr->path, strerror(-rc));
		outfile_hint(&chr->file, err);
		return rc;
	}
	stream_attach(&chr->stream, &none, &(struct nonblock) { .fd = chr->file.fd, .owns = true });
	return 0;
}

static int open_log(struct chardev *chr, const struct chardev_config *cfg, struct vpmem_error *err)
{
	int rc;

	if (!cfg->logfile || !*cfg->logfile)
		return 0;
	chr->logfile = strdup(cfg->logfile);
	rc = chr->logfile ? outfile_open(&chr->log, chr->logfile, cfg->logappend) : -ENOMEM;
	if (rc < 0) {
		error_set(err, rc, "Unable to open logfile %s: %s", cfg->logfile, strerror(-rc));
		outfile_hint(&chr->log, err);
		return rc;
	}
	chr->log_fd = chr->log.fd;
	return 0;
}

static int on_accepted(void *owner, int fd)
{
	struct chardev *chr = owner;

	chr->awaited = false;
	return chr->acceptor ? chr->acceptor(chr->acceptor_owner, fd) : chardev_connect(chr, fd);
}

static int open_peers(struct chardev *chr, const struct chardev_config *cfg, struct vpmem_error *err)
{
	const struct peers_config peers = { .chardev = cfg, .accepted = on_accepted, .owner = chr };
	int rc = peers_open(&peers, chr->loop, &chr->peers, err);

	if (rc < 0)
		return rc;
	chr->name = peers_name(chr->peers);
	chr->awaited = cfg->server && cfg->wait;
	// A monitor takes its peers when it is there.
	if (!cfg->monitor)
		peers_begin(chr->peers);
	return 0;
}

static int open_ring(struct chardev *chr, const struct chardev_config *cfg, struct vpmem_error *err)
{
	int rc = ringbuf_init(&chr->ring, cfg->size);

	return rc ? error_set(err, rc, "ringbuf: no memory for %" PRIu64 " bytes", cfg->size) : 0;
}

static int open_kind(struct chardev *chr, const struct chardev_config *cfg, struct vpmem_error *err)
{
	switch (cfg->kind) {
	case CHARDEV_STDIO:
		return open_stdio(chr, cfg, err);
	case CHARDEV_FILE:
		return open_file(chr, cfg, err);
	case CHARDEV_SOCKET:
	case CHARDEV_PTY:
		return open_peers(chr, cfg, err);
	case CHARDEV_RINGBUF:
		return open_ring(chr, cfg, err);
	case CHARDEV_NULL:
		break;
	}
	return 0;
}

static void free_chardev(struct chardev *chr)
{
	stream_fini(&chr->stream);
	loop_del_timer(chr->loop, &chr->sort_more);
	pthread_cond_destroy(&chr->drained);
	ringbuf_fini(&chr->ring);
	free(chr->path);
	free(chr->logfile);
	free(chr->id);
	free(chr);
}

static void on_sort_more(void *owner)
{
	chardev_process_input(owner);
}

static int new_chardev(enum chardev_kind kind, struct loop *loop, struct chardev **out)
{
	struct chardev *chr = calloc(1, sizeof(*chr));
	int rc;

	if (!chr)
		return -ENOMEM;
	chr->kind = kind;
	chr->log_fd = -1;
	chr->loop = loop;
	chr->sort_more = (struct loop_timer) { .expired = on_sort_more, .owner = chr };
	pthread_cond_init(&chr->drained, NULL);
	rc = stream_init(&chr->stream, loop, &chardev_stream_ops, chr);
	rc = rc ? rc : loop_add_timer(loop, &chr->sort_more);
	if (rc < 0)
		free_chardev(chr);
	else
		*out = chr;
	return rc;
}

int chardev_open(const struct chardev_config *cfg, struct loop *loop, void (*quit)(void *owner), void *owner,
                 struct chardev **out, struct vpmem_error *err)
{
	struct chardev *chr;
	int rc = new_chardev(cfg->kind, loop, &chr);

	if (rc < 0)
		return error_set(err, rc, "cannot set up character device: %s", strerror(-rc));
	chr->quit = quit;
	chr->quit_owner = owner;
	chr->path = cfg->path ? strdup(cfg->path) : NULL;
	chr->id = cfg->id ? strdup(cfg->id) : NULL;
	chr->name = chr->path ? chr->path : "stdio";
	if ((cfg->path && !chr->path) || (cfg->id && !chr->id))
		rc = error_set(err, -ENOMEM, "cannot set up character device: %s", strerror(ENOMEM));
	else
		rc = open_log(chr, cfg, err);
	rc = rc ? rc : open_kind(chr, cfg, err);
	if (rc < 0)
		chardev_close(chr);
	else
		*out = chr;
	return rc;
}

int chardev_adopt(int fd, const char *name, struct loop *loop, struct chardev **out)
{
	int rc = new_chardev(CHARDEV_SOCKET, loop, out);

	if (rc < 0)
		return rc;
	(*out)->name = name;
	return chardev_connect(*out, fd);
}

void chardev_keep(struct chardev *chr)
{
	outfile_keep(&chr->file);
	outfile_keep(&chr->log);
}

void chardev_close(struct chardev *chr)
{
	if (!chr)
		return;
	for (unsigned i = 0; i < NSIDES; i++)
		chr->sides[i].front = (struct chardev_front) { .owner = NULL };
	chardev_drain(chr, LAST_BYTES_MS);
	// Before its descriptor is closed: the inode number belongs to this file until then.
	outfile_remove(&chr->file);
	outfile_remove(&chr->log);
	if (chr->log_fd >= 0)
		close(chr->log_fd);
	if (chr->kind == CHARDEV_STDIO)
		term_restore();
	peers_close(chr->peers);
	free_chardev(chr);
}
