// SPDX-License-Identifier: Apache-2.0
// Requests that crun serves: its arguments and files, and the answers when it has ended.
#include "agent_container.h"

#include "agent.h"
#include "agent_boot.h"
#include "agent_cgroup.h"
#include "agent_file.h"
#include "agent_json.h"
#include "agent_process.h"
#include "agent_request.h"
#include "agent_rootfs.h"
#include "agent_terminal.h"
#include "error.h"
#include "json_parse.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define BUNDLE_FORMAT AGENT_DIR "/bundle-%u"

// What crun knows it by. Borrowed until the next call.
static const char *name_of(unsigned container)
{
	static char name[32];

	snprintf(name, sizeof(name), "container-%u", container);
	return name;
}

typedef void done_fn(void *agent, struct crun_job *job, int rc, const struct vpmem_error *err);

static struct crun_job *new_job(struct agent *agent, int64_t id, done_fn *done, struct vpmem_error *err)
{
	struct crun_job *job = crun_job(&agent->crun, err);

	if (job) {
		job->owner = agent;
		job->request_id = id;
		job->done = done;
	}
	return job;
}

static void answer_nothing(void *agent, struct crun_job *job, int rc, const struct vpmem_error *err)
{
	request_answer(agent, job->request_id, rc, NULL, err);
}

/* The answer of "create" and "exec": the process that crun has left behind. */
static int take_process(struct process *process, const struct crun_job *job, struct json_object **result,
                        struct vpmem_error *err)
{
	char path[64], text[32];
	int terminal_fd = -1, rc;
	long pid;

	crun_file(job, "pid", path, sizeof(path));
	file_read(path, text, sizeof(text));
	pid = strtol(text, NULL, 10);
	if (pid <= 1)
		return error_set(err, -EIO, "crun has started no process");
	if (process->is_terminal) {
		rc = terminal_take(process->console_fd, &terminal_fd, err);
		if (rc)
			return rc;
	}
	*result = json_object_new_object();
	json_object_object_add(*result, "pid", json_object_new_int64(pid));
	return process_run(process, (pid_t)pid, terminal_fd, err);
}

static void process_is_there(void *agent, struct crun_job *job, int rc, const struct vpmem_error *crun_err)
{
	struct process *process = job->process;
	struct json_object *result = NULL;
	struct vpmem_error err = *crun_err;

	if (rc == 0)
		rc = take_process(process, job, &result, &err);
	if (rc)
		process_drop(process);
	request_answer(agent, job->request_id, rc, result, &err);
	if (rc == 0)
		process_catch_up(process);
}

/* Runs crun with what "create" and "exec" have in common: a process with streams. */
static int run_with_process(struct agent *agent, struct crun_job *job, const char *name, unsigned container,
                            bool is_terminal, const char *const *args, struct vpmem_error *err)
{
	char pid_file[80] = "--pid-file=", socket[96] = "--console-socket=";
	const char *argv[CRUN_ARGS_MAX + 1] = { args[0], pid_file };
	struct process *process;
	unsigned n = 2;
	int fds[3], rc;

	rc = process_open(agent, name, container, is_terminal, &process, err);
	if (rc)
		return rc;
	job->process = process;
	crun_file(job, "pid", pid_file + strlen(pid_file), sizeof(pid_file) - strlen(pid_file));
	if (is_terminal) {
		char *path = socket + strlen(socket);

		crun_file(job, "socket", path, sizeof(socket) - strlen(socket));
		rc = terminal_listen(path, &process->console_fd, err);
		argv[n++] = socket;
	}
	for (unsigned i = 1; args[i]; i++)
		argv[n++] = args[i];
	if (rc == 0)
		rc = crun_start(job, argv, process_child_fds(process, fds) ? fds : NULL, err);
	if (rc)
		process_drop(process);
	return rc;
}

static int write_json(const char *path, struct json_object *val, struct vpmem_error *err)
{
	return file_write(path, json_object_to_json_string_ext(val, JSON_C_TO_STRING_PLAIN), err);
}

static void set_member(struct json_object *obj, const char *name, const char *member, const char *val)
{
	struct json_object *inner = json_object_object_get(obj, name);

	if (!json_object_is_type(inner, json_type_object)) {
		inner = json_object_new_object();
		json_object_object_add(obj, name, inner);
	}
	json_object_object_add(inner, member, json_object_new_string(val));
}

static struct container *find(struct agent *agent, unsigned number)
{
	for (unsigned i = 0; i < CONTAINERS_MAX; i++)
		if (agent->containers[i].is_there && agent->containers[i].number == number)
			return &agent->containers[i];
	return NULL;
}

static int add(struct agent *agent, unsigned number, struct vpmem_error *err)
{
	if (find(agent, number))
		return error_set(err, -EEXIST, "the container was created before");
	for (unsigned i = 0; i < CONTAINERS_MAX; i++) {
		if (agent->containers[i].is_there)
			continue;
		agent->containers[i] = (struct container) { .is_there = true, .number = number };
		return 0;
	}
	return error_set(err, -EBUSY, "there are %d containers already: remove one of them", CONTAINERS_MAX);
}

static int write_bundle(unsigned container, struct json_object *config, struct vpmem_error *err)
{
	char path[80];
	int rc;

	snprintf(path, sizeof(path), ROOTFS_FORMAT, container);
	set_member(config, "root", "path", path);
	snprintf(path, sizeof(path), CGROUP_FORMAT, container);
	set_member(config, "linux", "cgroupsPath", path);
	snprintf(path, sizeof(path), BUNDLE_FORMAT, container);
	rc = directory_make(path, err);
	snprintf(path, sizeof(path), BUNDLE_FORMAT "/config.json", container);
	return rc ? rc : write_json(path, config, err);
}

int container_create(struct agent *agent, int64_t id, unsigned container, struct json_object *config,
                     const struct rootfs_spec *rootfs, struct vpmem_error *err)
{
	char bundle[80], name[PROCESS_NAME_SIZE];
	const char *args[] = { "create", bundle, name_of(container), NULL };
	struct json_object *process = json_object_object_get(config, "process");
	struct crun_job *job;
	bool is_terminal;
	int rc = add(agent, container, err);

	snprintf(bundle, sizeof(bundle), "--bundle=" BUNDLE_FORMAT, container);
	if (rc == 0)
		rc = member_bool(process, "terminal", &is_terminal, err);
	if (rc == 0)
		rc = rootfs_mount(container, rootfs, err);
	if (rc == 0)
		rc = write_bundle(container, config, err);
	if (rc)
		return rc;
	job = new_job(agent, id, process_is_there, err);
	return job ? run_with_process(agent, job, process_init_name(container, name), container, is_terminal, args,
	                              err) :
	             -EBUSY;
}

int container_start(struct agent *agent, int64_t id, unsigned container, struct vpmem_error *err)
{
	const char *args[] = { "start", name_of(container), NULL };
	struct crun_job *job = new_job(agent, id, answer_nothing, err);

	return job ? crun_start(job, args, NULL, err) : -EBUSY;
}

int container_exec(struct agent *agent, int64_t id, unsigned container, const char *name, struct json_object *spec,
                   const char *cgroup, struct vpmem_error *err)
{
	char file[80] = "--process=";
	char group[CGROUP_MAX + 16];
	const char *args[6] = { "exec", "--detach", file };
	char *path = file + strlen(file);
	struct crun_job *job = new_job(agent, id, process_is_there, err);
	bool is_terminal;
	unsigned n = 3;
	int rc;

	if (!job)
		return -EBUSY;
	crun_file(job, "json", path, sizeof(file) - strlen(file));
	snprintf(group, sizeof(group), "--cgroup=%s", cgroup ? cgroup : "");
	if (cgroup)
		args[n++] = group;
	args[n] = name_of(container);
	rc = member_bool(spec, "terminal", &is_terminal, err);
	if (rc == 0)
		rc = write_json(path, spec, err);
	return rc ? rc : run_with_process(agent, job, name, container, is_terminal, args, err);
}

int container_signal_all(struct agent *agent, int64_t id, unsigned container, int signo, struct vpmem_error *err)
{
	char number[16];
	const char *args[] = { "kill", "--all", name_of(container), number, NULL };
	struct crun_job *job = new_job(agent, id, answer_nothing, err);

	snprintf(number, sizeof(number), "%d", signo);
	return job ? crun_start(job, args, NULL, err) : -EBUSY;
}

static void answer_pids(void *agent, struct crun_job *job, int rc, const struct vpmem_error *crun_err)
{
	struct json_object *pids = NULL, *result = NULL;
	struct vpmem_error err = *crun_err;
	char path[64], text[32 * 1024];

	if (rc == 0) {
		crun_file(job, "out", path, sizeof(path));
		file_read(path, text, sizeof(text));
		rc = json_parse(text, &pids, &err);
	}
	if (rc == 0) {
		result = json_object_new_object();
		json_object_object_add(result, "pids", pids);
	}
	request_answer(agent, job->request_id, rc, result, &err);
}

// Of the cgroup, by the kernel's freezer.
static int freeze(struct agent *agent, int64_t id, unsigned container, const char *verb, struct vpmem_error *err)
{
	const char *args[] = { verb, name_of(container), NULL };
	struct crun_job *job = new_job(agent, id, answer_nothing, err);

	return job ? crun_start(job, args, NULL, err) : -EBUSY;
}

int container_pause(struct agent *agent, int64_t id, unsigned container, struct vpmem_error *err)
{
	return freeze(agent, id, container, "pause", err);
}

int container_resume(struct agent *agent, int64_t id, unsigned container, struct vpmem_error *err)
{
	return freeze(agent, id, container, "resume", err);
}

int container_ps(struct agent *agent, int64_t id, unsigned container, struct vpmem_error *err)
{
	const char *args[] = { "ps", "--format=json", name_of(container), NULL };
	struct crun_job *job = new_job(agent, id, answer_pids, err);

	return job ? crun_start(job, args, NULL, err) : -EBUSY;
}

int container_update(struct agent *agent, int64_t id, unsigned container, struct json_object *resources,
                     struct vpmem_error *err)
{
	char file[80] = "--resources=";
	const char *args[] = { "update", file, name_of(container), NULL };
	char *path = file + strlen(file);
	struct crun_job *job = new_job(agent, id, answer_nothing, err);
	int rc;

	if (!job)
		return -EBUSY;
	crun_file(job, "json", path, sizeof(file) - strlen(file));
	rc = write_json(path, resources, err);
	return rc ? rc : crun_start(job, args, NULL, err);
}

// ---- the end

static void has_gone(void *owner, struct crun_job *job, int rc, const struct vpmem_error *err)
{
	struct container *container = job->process;

	(void)rc;
	container->is_there = false;
	request_answer(owner, job->request_id, 0, NULL, err);
}

// A job of crun that has ended is still in use here.
static void unmount(void *owner, struct crun_job *job, int rc, const struct vpmem_error *err)
{
	struct container *container = job->process;
	struct vpmem_error failed;
	struct crun_job *next;
	char path[80];

	(void)rc; // There may have been no container.
	(void)err;
	snprintf(path, sizeof(path), BUNDLE_FORMAT "/config.json", container->number);
	unlink(path);
	snprintf(path, sizeof(path), BUNDLE_FORMAT, container->number);
	rmdir(path);
	next = new_job(owner, job->request_id, has_gone, &failed);
	if (next) {
		next->process = container;
		rc = crun_start_task(next, rootfs_unmount, container->number, &failed);
	}
	if (!next || rc)
		request_answer(owner, job->request_id, -EBUSY, NULL, &failed);
}

int container_remove(struct agent *agent, int64_t id, unsigned container, struct vpmem_error *err)
{
	const char *args[] = { "delete", "--force", name_of(container), NULL };
	struct container *found = find(agent, container);
	struct crun_job *job;

	if (!found) {
		request_answer(agent, id, 0, NULL, err);
		return 0;
	}
	job = new_job(agent, id, unmount, err);
	if (!job)
		return -EBUSY;
	job->process = found;
	return crun_start(job, args, NULL, err);
}

static void power_off(void *agent, struct crun_job *job, int rc, const struct vpmem_error *err)
{
	(void)rc; // There may have been no container.
	rootfs_unmount(0);
	request_answer(agent, job->request_id, 0, NULL, err);
	boot_power_off();
}

int container_shutdown(struct agent *agent, int64_t id, struct vpmem_error *err)
{
	const char *args[] = { "delete", "--force", name_of(0), NULL };
	struct crun_job *job = new_job(agent, id, power_off, err);

	return job ? crun_start(job, args, NULL, err) : -EBUSY;
}
