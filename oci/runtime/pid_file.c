// SPDX-License-Identifier: Apache-2.0
// The file with the number of a process, for an engine.
#include "pid_file.h"

#include "error.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

int pid_file_write(const char *path, pid_t pid, struct vpmem_error *err)
{
	char temporary[PATH_MAX];
	FILE *file;
	int rc;

	if (!path)
		return 0;
	if (snprintf(temporary, sizeof(temporary), "%s.new", path) >= (int)sizeof(temporary))
		return error_set(err, -ENAMETOOLONG, "--pid-file: the path is too long");
	file = fopen(temporary, "we");
	if (!file)
		return error_set(err, -errno, "--pid-file %s: %s", path, strerror(errno));
	rc = fprintf(file, "%d", (int)pid) < 0 ? -EIO : 0;
	if (fclose(file) != 0 || (rc == 0 && rename(temporary, path) < 0))
		rc = -errno;
	if (rc == 0)
		return 0;
	unlink(temporary);
	return error_set(err, rc, "--pid-file %s: %s", path, strerror(-rc));
}
