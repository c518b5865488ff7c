// SPDX-License-Identifier: Apache-2.0
// Checks what the host asks for, and passes it on.
#include "agent_request.h"

#include "agent.h"
#include "agent_cgroup.h"
#include "agent_container.h"
#include "agent_json.h"
#include "agent_net.h"
#include "agent_process.h"
#include "agent_rootfs_spec.h"
#include "error.h"

#include <signal.h>
#include <string.h>

struct request {
	int64_t id;
	struct json_object *body;
	unsigned container;         /* which it is about; 0 where it does not say */
	struct json_object *result; /* of a request that is served at once; the answer takes it */
};

enum { LATER, NOW }; /* the answer comes when crun has ended; it is *result */

void request_answer(struct agent *agent, int64_t id, int rc, struct json_object *result, const struct vpmem_error *err)
{
	struct json_object *answer = json_object_new_object();

	json_object_object_add(answer, "id", json_object_new_int64(id));
	if (rc) {
		json_object_put(result);
		json_object_object_add(answer, "error", json_object_new_string(err->text));
	} else {
		json_object_object_add(answer, "ok", result ? result : json_object_new_object());
	}
	agent_send(agent, answer);
}

static int do_create(struct agent *agent, struct request *request, struct vpmem_error *err)
{
	struct json_object *config, *process;
	struct rootfs_spec rootfs;
	int rc = member_get(request->body, "config", json_type_object, &config, err);

	if (rc == 0)
		rc = member_get(config, "process", json_type_object, &process, err);
	if (rc == 0)
		rc = rootfs_spec_parse(request->body, &rootfs, err);
	return rc ? rc : container_create(agent, request->id, request->container, config, &rootfs, err);
}

static int do_start(struct agent *agent, struct request *request, struct vpmem_error *err)
{
	return container_start(agent, request->id, request->container, err);
}

// "init" is that of the container.
static int member_process(struct agent *agent, const struct request *request, struct process **process,
                          struct vpmem_error *err)
{
	char init[PROCESS_NAME_SIZE];
	const char *name;
	int rc = member_string(request->body, "process", &name, err);

	if (rc == 0 && strcmp(name, "init") != 0 && !process_name_wellformed(name))
		rc = error_set(err, -EINVAL, "'process' is not init or exec-N");
	if (rc)
		return rc;
	*process = process_find(agent, strcmp(name, "init") == 0 ? process_init_name(request->container, init) : name);
	if (!*process || (*process)->pid <= 0)
		return error_set(err, -ESRCH, "the process '%s' does not run", name);
	return 0;
}

static int do_network(struct agent *agent, struct request *request, struct vpmem_error *err)
{
	int rc = agent_net_configure(request->body, err);

	(void)agent;
	return rc ? rc : NOW;
}

static int do_exec(struct agent *agent, struct request *request, struct vpmem_error *err)
{
	struct json_object *spec;
	const char *name, *cgroup = NULL;
	int rc = member_string(request->body, "process", &name, err);

	if (rc == 0 && !process_name_wellformed(name))
		rc = error_set(err, -EINVAL, "'process' is not exec-N");
	if (rc == 0)
		rc = member_get(request->body, "spec", json_type_object, &spec, err);
	if (rc == 0 && json_object_object_get(request->body, "cgroup"))
		rc = member_string(request->body, "cgroup", &cgroup, err);
	if (rc == 0 && cgroup && strlen(cgroup) > CGROUP_MAX)
		rc = error_set(err, -EINVAL, "'cgroup' is too long");
	return rc ? rc : container_exec(agent, request->id, request->container, name, spec, cgroup, err);
}

static int do_signal(struct agent *agent, struct request *request, struct vpmem_error *err)
{
	struct process *process;
	int64_t signo;
	bool all;
	int rc = member_number(request->body, "signal", 1, SIGRTMAX, &signo, err);

	if (rc == 0)
		rc = member_bool(request->body, "all", &all, err);
	if (rc)
		return rc;
	if (all)
		return container_signal_all(agent, request->id, request->container, (int)signo, err);
	rc = member_process(agent, request, &process, err);
	if (rc)
		return rc;
	if (kill(process->pid, (int)signo) < 0)
		return error_set(err, -errno, "the signal cannot be sent: %s", strerror(errno));
	return NOW;
}

static int do_resize(struct agent *agent, struct request *request, struct vpmem_error *err)
{
	struct process *process;
	int64_t rows, columns;
	int rc = member_number(request->body, "rows", 0, UINT16_MAX, &rows, err);

	if (rc == 0)
		rc = member_number(request->body, "columns", 0, UINT16_MAX, &columns, err);
	if (rc == 0)
		rc = member_process(agent, request, &process, err);
	if (rc == 0)
		rc = process_resize(process, (unsigned short)rows, (unsigned short)columns, err);
	return rc ? rc : NOW;
}

static int do_ps(struct agent *agent, struct request *request, struct vpmem_error *err)
{
	return container_ps(agent, request->id, request->container, err);
}

static int do_update(struct agent *agent, struct request *request, struct vpmem_error *err)
{
	struct json_object *resources;
	int rc = member_get(request->body, "resources", json_type_object, &resources, err);

	return rc ? rc : container_update(agent, request->id, request->container, resources, err);
}

static int do_stats(struct agent *agent, struct request *request, struct vpmem_error *err)
{
	(void)agent;
	(void)err;
	request->result = cgroup_stats(request->container);
	return NOW;
}

static int do_pause(struct agent *agent, struct request *request, struct vpmem_error *err)
{
	return container_pause(agent, request->id, request->container, err);
}

static int do_resume(struct agent *agent, struct request *request, struct vpmem_error *err)
{
	return container_resume(agent, request->id, request->container, err);
}

static int do_remove(struct agent *agent, struct request *request, struct vpmem_error *err)
{
	if (request->container == 0)
		return error_set(err, -EINVAL, "the first container ends with the guest: ask for its shutdown");
	return container_remove(agent, request->id, request->container, err);
}

static int do_shutdown(struct agent *agent, struct request *request, struct vpmem_error *err)
{
	return container_shutdown(agent, request->id, err);
}

static const struct verb {
	const char *name;
	int (*serve)(struct agent *agent, struct request *request, struct vpmem_error *err); /* LATER, NOW or -errno */
} verbs[] = {
	{ .name = "create", .serve = do_create },
	{ .name = "start", .serve = do_start },
	{ .name = "network", .serve = do_network },
	{ .name = "exec", .serve = do_exec },
	{ .name = "signal", .serve = do_signal },
	{ .name = "resize", .serve = do_resize },
	{ .name = "ps", .serve = do_ps },
	{ .name = "update", .serve = do_update },
	{ .name = "stats", .serve = do_stats },
	{ .name = "pause", .serve = do_pause },
	{ .name = "resume", .serve = do_resume },
	{ .name = "remove", .serve = do_remove },
	{ .name = "shutdown", .serve = do_shutdown },
};

static int member_container(struct request *request, struct vpmem_error *err)
{
	int64_t number = 0;
	int rc = 0;

	if (json_object_object_get(request->body, "container"))
		rc = member_number(request->body, "container", 0, CONTAINER_NUMBER_MAX, &number, err);
	request->container = (unsigned)number;
	return rc;
}

static int serve(struct agent *agent, struct request *request, const char *name, struct vpmem_error *err)
{
	for (unsigned i = 0; i < sizeof(verbs) / sizeof(verbs[0]); i++)
		if (strcmp(verbs[i].name, name) == 0)
			return verbs[i].serve(agent, request, err);
	return error_set(err, -EINVAL, "there is no request '%.32s'", name);
}

int request_serve(struct agent *agent, struct json_object *message, struct vpmem_error *err)
{
	struct request request = { .body = message };
	struct vpmem_error answer = { .text = "" };
	const char *name;
	int rc = member_number(message, "id", 0, INT64_MAX, &request.id, err);

	if (rc == 0)
		rc = member_string(message, "do", &name, err);
	if (rc)
		return -EBADMSG;
	rc = member_container(&request, &answer);
	if (rc == 0)
		rc = serve(agent, &request, name, &answer);
	if (rc != LATER)
		request_answer(agent, request.id, rc == NOW ? 0 : rc, request.result, &answer);
	return 0;
}
