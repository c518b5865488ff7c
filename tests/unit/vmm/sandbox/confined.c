// SPDX-License-Identifier: Apache-2.0
#include "confined.h"

#include <sys/wait.h>
#include <unistd.h>

int run_confined(int (*function)(void *arg), void *arg)
{
	pid_t child = fork();
	int status;

	if (child == 0)
		_exit(function(arg));
	if (child < 0 || waitpid(child, &status, 0) != child)
		return 127;
	return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}
