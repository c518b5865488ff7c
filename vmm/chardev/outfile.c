// SPDX-License-Identifier: Apache-2.0
// A file that takes output.
#include "outfile.h"

#include "log.h"
#include "permit.h"
#include "permit_removal.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

struct outfile_in {
	unsigned append; // 0 or 1
};

struct outfile_out {
	bool created;
};

static int serve_open(struct broker_call *call)
{
	const struct outfile_in *in = call->in;
	struct outfile_out *out = call->out;
	int flags = O_WRONLY | O_CLOEXEC | O_NOCTTY | (in->append ? O_APPEND : 0);
	int fd, rc = permit_check(call->strings[0]);

	if (rc < 0)
		return rc;
	fd = open(call->strings[0], flags | O_CREAT | O_EXCL, 0644);
	out->created = fd >= 0;
	if (fd < 0 && errno == EEXIST)
		fd = open(call->strings[0], flags | O_NONBLOCK);
	if (fd < 0)
		return -errno;
	if (out->created)
		permit_note_created(fd);
	call->fds[call->nfds++] = fd;
	return 0;
}

const struct broker_op outfile_open_op = {
	.name = "outfile",
	.in_size = sizeof(struct outfile_in),
	.out_size = sizeof(struct outfile_out),
	.serve = serve_open,
};

int outfile_open(struct outfile *file, const char *path, bool append)
{
	const struct outfile_in in = { .append = append };
	struct outfile_out out;
	struct broker_call call = { .in = &in, .strings = { path }, .out = &out };
	int rc = broker_call(&outfile_open_op, &call);

	*file = (struct outfile) { .path = path, .append = append, .is_denied = call.is_denied };
	if (rc < 0)
		return rc;
	file->created = out.created;
	file->fd = call.fds[0];
	file_id_of_fd(file->fd, &file->id);
	return 0;
}

void outfile_hint(const struct outfile *file, struct vpmem_error *err)
{
	broker_hint(&(struct broker_call) { .is_denied = file->is_denied }, file->path, err);
}

void outfile_keep(struct outfile *file)
{
	if (!file->path)
		return;
	// Fails for a fifo or a device, where there is nothing to empty.
	if (!file->created && !file->append && ftruncate(file->fd, 0) < 0 && errno != EINVAL)
		log_warn("%s: cannot empty: %s", file->path, strerror(errno));
	file->created = false;
}

void outfile_remove(const struct outfile *file)
{
	if (file->created)
		file_id_unlink(&file->id, file->path);
}
