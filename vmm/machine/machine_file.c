// SPDX-License-Identifier: Apache-2.0
// The files of memory backends, opened and removed by operations of the broker.
#include "machine_file.h"

#include "error.h"
#include "file_id.h"
#include "machine.h"
#include "permit.h"
#include "permit_removal.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

struct open_request {
	struct vpmem_file_request file;
	pid_t pid; /* who asks */
};

struct open_reply {
	struct vpmem_file file;
	struct vpmem_error err;
	struct file_id in_use; /* -EBUSY: this file is */
};

/* ---- the operations: id and path, path */

static int serve_open(struct broker_call *call)
{
	const struct open_request *request = call->in;
	struct open_reply *reply = call->out;
	const char *id = call->strings[0], *path = call->strings[1];
	// In the broker, it is the parent process; otherwise this one.
	pid_t pid = request->pid == getpid() || request->pid == getppid() ? request->pid : 0;
	int rc = permit_check(path);

	if (rc < 0)
		return error_set(&reply->err, rc, "can't open backing store %s for guest RAM: %s", path ? path : "?",
		                 strerror(-rc));
	rc = vpmem_file_open(&request->file, id, path, pid, &reply->file, &reply->err);
	if (rc == -EBUSY)
		(void)file_id_at(AT_FDCWD, path, &reply->in_use);
	if (rc == 0 && vpmem_file_is_created(&reply->file))
		permit_note_created(reply->file.fd);
	if (rc == 0) {
		call->fds[0] = reply->file.fd;
		call->nfds = 1;
	}
	return rc;
}

static int serve_remove(struct broker_call *call)
{
	const char *path = call->strings[0];

	if (!path || !call->in_fd)
		return -EINVAL;
	if (!permit_path(path))
		return -EACCES;
	return permit_removal(path) ? vpmem_file_remove(path, *call->in_fd) : -EPERM;
}

const struct broker_op machine_file_open_op = { .name = "open a backing store",
	                                        .in_size = sizeof(struct open_request),
	                                        .out_size = sizeof(struct open_reply),
	                                        .serve = serve_open };
const struct broker_op machine_file_remove_op = { .name = "remove a backing store", .serve = serve_remove };

/* ---- the machine's side */

// Landlock hides this process from the broker, which then cannot say whose lock it met.
static bool is_ours(const struct machine *m, const struct file_id *in_use)
{
	for (unsigned i = 0; i < m->nmemdevs; i++) {
		struct file_id id;
		uint64_t off;
		int fd = m->memdevs[i]->backing ? vpmem_backing_fd(m->memdevs[i]->backing, &off) : -1;

		if (fd >= 0 && file_id_of_fd(fd, &id) == 0 && file_id_is_same(&id, in_use))
			return true;
	}
	return false;
}

static int open_file(void *opaque, const struct vpmem_file_request *request, const char *id, const char *path,
                     struct vpmem_file *file, struct vpmem_error *err)
{
	const struct open_request in = { .file = *request, .pid = getpid() };
	struct open_reply out = { .err = { "", "" } };
	struct broker_call call = { .in = &in, .out = &out };
	int rc;

	call.strings[0] = id;
	call.strings[1] = path;
	rc = broker_call(&machine_file_open_op, &call);
	if (rc == 0 && call.nfds != 1)
		rc = -EPROTO;
	if (rc == 0) {
		*file = out.file;
		file->fd = call.fds[0];
		return 0;
	}
	out.err.text[sizeof(out.err.text) - 1] = out.err.hint[sizeof(out.err.hint) - 1] = '\0';
	if (out.err.text[0])
		*err = out.err;
	else
		error_set(err, rc, "can't open backing store %s for guest RAM: %s", path, strerror(-rc));
	if (rc == -EBUSY && is_ours(opaque, &out.in_use)) {
		error_set(err, rc, "backing store %s is in use by another memory backend of this process", path);
		error_hint(err, "%s", out.err.hint);
	}
	broker_hint(&call, path, err);
	return rc;
}

static int remove_file(void *opaque, const char *path, int fd)
{
	struct broker_call call = { .in_fd = &fd };

	(void)opaque;
	call.strings[0] = path;
	return broker_call(&machine_file_remove_op, &call);
}

const struct vpmem_file_ops machine_file_ops = { .open = open_file, .remove = remove_file };
