// SPDX-License-Identifier: Apache-2.0
// The control group of a container whose engine is not root: there may be none.
#include "cgroup.h"

#include "error.h"
#include "oci_log.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static bool is_forbidden(int rc)
{
	return rc == -EACCES || rc == -EPERM || rc == -EROFS;
}

/*
 * A user may have the group, and not the one above that and the present one: then nothing can move. In a process that ends at
 * once, as this one stays where it is.
 */
static int try_to_enter(const char *path, struct vpmem_error *err)
{
	int status = 0;
	pid_t pid = fork();

	if (pid == 0)
		_exit(-cgroup_enter(path, NULL));
	if (pid < 0)
		return error_set(err, -errno, "cgroup %s: fork: %s", path, strerror(errno));
	while (waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			return error_set(err, -errno, "cgroup %s: waitpid: %s", path, strerror(errno));
	if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
		return 0;
	status = WIFEXITED(status) ? WEXITSTATUS(status) : EIO;
	return error_set(err, -status, "cgroup %s: cannot enter it: %s", path, strerror(status));
}

int cgroup_make_rootless(char **path, struct json_object *resources, struct vpmem_error *err)
{
	struct vpmem_error why = { .text = "there is no path for one that a user could make" };
	int rc = *path ? cgroup_make(*path, &why) : -EPERM;

	if (rc == 0) {
		rc = try_to_enter(*path, &why);
		if (rc < 0)
			(void)cgroup_remove(*path, NULL);
	}
	if (rc == 0)
		return 0;
	if (!is_forbidden(rc))
		return error_set(err, rc, "%s", why.text);
	free(*path);
	*path = NULL;
	oci_log_debug("no control group on the host: %s", why.text);
	return cgroup_refuse_limits(resources, why.text, err);
}
