// SPDX-License-Identifier: Apache-2.0
// A file that takes output.
#include "outfile.h"

#include "log.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

int outfile_open(struct outfile *file, const char *path, bool append)
{
	int flags = O_WRONLY | O_CLOEXEC | O_NOCTTY | (append ? O_APPEND : 0);
	int fd = open(path, flags | O_CREAT | O_EXCL, 0644);

	*file = (struct outfile) { .path = path, .append = append, .created = fd >= 0 };
	if (fd < 0 && errno == EEXIST)
		fd = open(path, flags | O_NONBLOCK);
	if (fd < 0)
		return -errno;
	file->fd = fd;
	file_id_of_fd(fd, &file->id);
	return 0;
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
