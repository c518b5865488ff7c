// SPDX-License-Identifier: Apache-2.0
// The hooks of config.json.
#include "hooks.h"

#include "error.h"
#include "fresh_process.h"
#include "socket_wait.h"

#include <errno.h>
#include <fcntl.h>
#include <json-c/json.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/pidfd.h>
#include <sys/wait.h>
#include <unistd.h>

struct hook {
	const char *moment, *path;
	char **args, **env; // NULL: the path alone; our own environment
	int timeout_ms;     // -1: none
	int state_fd;       // a file with the state
};

static char **strings(struct json_object *array)
{
	size_t n = json_object_is_type(array, json_type_array) ? json_object_array_length(array) : 0;
	char **out = n > 0 ? calloc(n + 1, sizeof(*out)) : NULL;

	// Borrowed from the object; execve only reads them.
	for (size_t i = 0; out && i < n; i++)
		out[i] = (char *)(uintptr_t)json_object_get_string(json_object_array_get_idx(array, i));
	return out;
}

static int hook_from(struct json_object *json, const char *moment, struct hook *hook, struct vpmem_error *err)
{
	struct json_object *path = json_object_object_get(json, "path"), *timeout;

	if (!json_object_is_type(json, json_type_object) || !json_object_is_type(path, json_type_string) ||
	    json_object_get_string(path)[0] != '/')
		return error_set(err, -EINVAL, "config.json: hooks.%s: path: an absolute path is needed", moment);
	*hook = (struct hook) { .moment = moment, .path = json_object_get_string(path), .timeout_ms = -1 };
	timeout = json_object_object_get(json, "timeout");
	if (timeout) {
		int64_t seconds = json_object_get_int64(timeout);

		if (!json_object_is_type(timeout, json_type_int) || seconds <= 0 || seconds > 86400)
			return error_set(err, -EINVAL, "config.json: hooks.%s: timeout: not a number of seconds",
			                 moment);
		hook->timeout_ms = (int)seconds * 1000;
	}
	hook->args = strings(json_object_object_get(json, "args"));
	hook->env = strings(json_object_object_get(json, "env"));
	return 0;
}

static int state_file(struct json_object *state)
{
	const char *text = json_object_to_json_string_ext(state, JSON_C_TO_STRING_PLAIN);
	int fd = memfd_create("state", MFD_CLOEXEC);

	if (fd < 0)
		return -errno;
	if (write(fd, text, strlen(text)) != (ssize_t)strlen(text) || lseek(fd, 0, SEEK_SET) < 0) {
		close(fd);
		return -EIO;
	}
	return fd;
}

// In the new process. Its output is that of the command: an engine shows it.
static void become(const struct hook *hook)
{
	char *const path_only[] = { (char *)(uintptr_t)hook->path, NULL };

	dup2(hook->state_fd, STDIN_FILENO);
	dup2(STDERR_FILENO, STDOUT_FILENO);
	fresh_process_signals();
	execve(hook->path, hook->args ? hook->args : path_only, hook->env ? hook->env : environ);
	_exit(127);
}

static int wait_for(const struct hook *hook, pid_t pid, struct vpmem_error *err)
{
	int fd = pidfd_open(pid, 0), status = 0;
	int rc = fd < 0 ? -errno : socket_wait(fd, POLLIN, socket_deadline(hook->timeout_ms));

	if (rc < 0)
		kill(pid, SIGKILL);
	if (fd >= 0)
		close(fd);
	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	if (rc == -ETIMEDOUT)
		return error_set(err, rc, "%s hook %s: it did not end within %d s", hook->moment, hook->path,
		                 hook->timeout_ms / 1000);
	if (rc < 0)
		return error_set(err, rc, "%s hook %s: cannot wait for it: %s", hook->moment, hook->path,
		                 strerror(-rc));
	if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
		return 0;
	return error_set(err, -ECHILD, "%s hook %s: %s %d", hook->moment, hook->path,
	                 WIFSIGNALED(status) ? "killed by signal" : "exit status",
	                 WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status));
}

static int run_one(struct json_object *json, const char *moment, struct json_object *state, struct vpmem_error *err)
{
	struct hook hook = { 0 };
	int rc = hook_from(json, moment, &hook, err);
	pid_t pid;

	if (rc < 0)
		return rc;
	hook.state_fd = state_file(state);
	pid = hook.state_fd >= 0 ? fork() : -1;
	if (pid == 0)
		become(&hook);
	rc = pid < 0 ? error_set(err, -errno, "%s hook %s: cannot start it: %s", moment, hook.path, strerror(errno)) :
	               wait_for(&hook, pid, err);
	if (hook.state_fd >= 0)
		close(hook.state_fd);
	free(hook.args);
	free(hook.env);
	return rc;
}

int hooks_run(struct json_object *hooks, const char *moment, struct json_object *state, struct vpmem_error *err)
{
	struct json_object *list = hooks ? json_object_object_get(hooks, moment) : NULL;
	int rc = 0;

	if (!list)
		return 0;
	if (!json_object_is_type(list, json_type_array))
		return error_set(err, -EINVAL, "config.json: hooks.%s: not a list", moment);
	for (size_t i = 0; rc == 0 && i < json_object_array_length(list); i++)
		rc = run_one(json_object_array_get_idx(list, i), moment, state, err);
	return rc;
}
