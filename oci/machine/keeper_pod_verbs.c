// SPDX-License-Identifier: Apache-2.0
// What is asked of a further container of a pod: by its own process, and by the verbs.
#include "descriptor.h"
#include "error.h"
#include "keeper_pod.h"

#include <errno.h>
#include <json-c/json.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define TREE_MS 10000

static void refuse(struct control_client *client, const char *why)
{
	control_refuse(control_ticket(client), why);
}

static enum keeper_slot_kind kind_of(const struct keeper_member *m, size_t i)
{
	struct json_object *image = json_object_array_get_idx(m->images, i);

	if (i == m->nslots - 1)
		return SLOT_OF_SHARE;
	return json_object_get_boolean(json_object_object_get(image, "readonly")) ? SLOT_OF_READONLY_IMAGE :
	                                                                            SLOT_OF_IMAGE;
}

// pmvm knows it by a name of its own.
static void name_image(const struct keeper_member *m, size_t i, struct vpmem_error *err)
{
	struct json_object *image = json_object_array_get_idx(m->images, i), *file = NULL;
	const struct vpmem_error why = *err;

	if (json_object_object_get_ex(image, "file", &file))
		error_set(err, -EIO, "%.200s: %.300s", json_object_get_string(file), why.text);
}

// The descriptors follow the request: of the images, and of the socket of virtiofsd if there is one.
static void do_plug(struct keeper_member *m, struct control_client *client, struct json_object *request)
{
	const bool has_share = json_object_get_boolean(json_object_object_get(request, "share"));
	const size_t n = m->nslots - 1 + has_share;
	struct json_object *images = json_object_object_get(request, "images");
	struct vpmem_error err = { 0 };
	int rc = 0;

	if (!m->images && json_object_is_type(images, json_type_array) &&
	    json_object_array_length(images) == m->nslots - 1)
		m->images = json_object_get(images);
	if (!m->images)
		rc = error_set(&err, -EINVAL, "plug: images");

	// All are taken, also after an error: the next request comes behind them.
	for (size_t i = 0; i < n; i++) {
		int fd = descriptor_receive(client->fd, TREE_MS);

		if (fd < 0 && rc == 0)
			rc = error_set(&err, fd, "plug: a descriptor is missing");
		if (rc == 0) {
			rc = keeper_slot_prepare(m->k, m->slots[i], kind_of(m, i), fd, &err);
			if (rc < 0 && i < m->nslots - 1)
				name_image(m, i, &err);
		}
		if (fd >= 0)
			close(fd);
	}
	m->phase = PLUGGED;
	if (rc < 0)
		refuse(client, err.text);
	else
		control_answer(control_ticket(client), NULL);
}

static void on_created(void *owner, struct json_object *ok, const char *error)
{
	struct member_wait *wait = owner;
	struct keeper_member *m = member_of_number(wait->k, wait->number);

	if (m && m->phase == CREATING && !error) {
		m->phase = CREATED;
		m->guest_pid = json_object_get_int64(json_object_object_get(ok, "pid"));
	}
	member_pass_answer(wait, ok, error);
}

static void do_create(struct keeper_member *m, struct control_client *client, struct json_object *request)
{
	struct json_object *arguments = json_object_object_get(request, "create");
	struct vpmem_error err = { 0 };
	int rc = json_object_is_type(arguments, json_type_object) ? 0 :
	                                                            error_set(&err, -EINVAL, "create: no arguments");

	for (size_t i = 0; i < m->nslots && rc == 0; i++)
		rc = keeper_slot_plug(m->k, m->slots[i], m->number, &err);
	if (rc < 0) {
		refuse(client, err.text);
		return;
	}
	m->phase = CREATING;
	member_ask(m, "create", json_object_get(arguments), keeper_create_ms(m->k), on_created, control_ticket(client));
}

// ---- verbs

static void on_started(void *owner, struct json_object *ok, const char *error)
{
	struct member_wait *wait = owner;
	struct keeper_member *m = member_of_number(wait->k, wait->number);

	if (m && m->phase == STARTING)
		m->phase = error ? CREATED : RUNNING;
	member_pass_answer(wait, ok, error);
}

static void do_start(struct keeper_member *m, struct control_client *client, struct json_object *request)
{
	(void)request;
	if (m->phase != CREATED) {
		refuse(client, "cannot start a container that is running");
		return;
	}
	m->phase = STARTING;
	member_ask(m, "start", member_arguments(m), keeper_create_ms(m->k), on_started, control_ticket(client));
}

static void pass_stats(void *owner, struct json_object *ok, const char *error)
{
	struct member_wait *wait = owner;
	const struct keeper_member *m = member_of_number(wait->k, wait->number);

	if (m && m->images && json_object_is_type(ok, json_type_object))
		member_add_pmem(m, ok);
	member_pass_answer(wait, ok, error);
}

static void do_stats(struct keeper_member *m, struct control_client *client, struct json_object *request)
{
	(void)request;
	member_ask(m, "stats", member_arguments(m), MEMBER_ANSWER_MS, pass_stats, control_ticket(client));
}

// `kill`, `resize`, `ps`, `update`: the agent does it.
static void do_pass(struct keeper_member *m, struct control_client *client, struct json_object *request)
{
	const char *verb = json_object_get_string(json_object_object_get(request, "do"));
	struct json_object *arguments = member_arguments(m);

	json_object_object_foreach(request, name, val)
	{
		if (strcmp(name, "do") != 0 && strcmp(name, "container") != 0)
			json_object_object_add(arguments, name, json_object_get(val));
	}
	if (strcmp(verb, "kill") == 0 || strcmp(verb, "resize") == 0)
		json_object_object_add(arguments, "process", json_object_new_string("init"));
	member_ask(m, strcmp(verb, "kill") == 0 ? "signal" : verb, arguments, MEMBER_ANSWER_MS, member_pass_answer,
	           control_ticket(client));
}

static void do_exec(struct keeper_member *m, struct control_client *client, struct json_object *request)
{
	// crun would start it, and it would not run.
	if (m->is_paused)
		refuse(client, "the container is paused: resume it first");
	else
		keeper_exec_begin(m->k, client, request, m->number);
}

// Its own process says so.
static void do_lost(struct keeper_member *m, struct control_client *client, struct json_object *request)
{
	(void)request;
	control_answer(control_ticket(client), NULL);
	member_lost(m);
}

// ---- pause, resume: the vCPUs are those of the whole pod, so the guest freezes the container

static void on_paused(void *owner, struct json_object *ok, const char *error)
{
	struct member_wait *wait = owner;
	struct keeper_member *m = member_of_number(wait->k, wait->number);

	if (m && !error)
		m->is_paused = true;
	member_pass_answer(wait, ok, error);
}

static void on_resumed(void *owner, struct json_object *ok, const char *error)
{
	struct member_wait *wait = owner;
	struct keeper_member *m = member_of_number(wait->k, wait->number);

	if (m && !error)
		m->is_paused = false;
	member_pass_answer(wait, ok, error);
}

static void do_pause(struct keeper_member *m, struct control_client *client, struct json_object *request)
{
	(void)request;
	if (m->phase != RUNNING || m->is_paused)
		refuse(client, "cannot pause a container that is not running");
	else
		member_ask(m, "pause", member_arguments(m), MEMBER_ANSWER_MS, on_paused, control_ticket(client));
}

static void do_resume(struct keeper_member *m, struct control_client *client, struct json_object *request)
{
	(void)request;
	if (!m->is_paused)
		refuse(client, "the container is not paused");
	else
		member_ask(m, "resume", member_arguments(m), MEMBER_ANSWER_MS, on_resumed, control_ticket(client));
}

static const struct verb {
	const char *name;
	void (*serve)(struct keeper_member *m, struct control_client *client, struct json_object *request);
	bool is_of_session; /* only for its own process */
} verbs[] = {
	{ "plug", do_plug, true },    { "create", do_create, true },  { "resize", do_pass, true },
	{ "start", do_start, false }, { "kill", do_pass, false },     { "exec", do_exec, false },
	{ "ps", do_pass, false },     { "update", do_pass, false },   { "stats", do_stats, false },
	{ "pause", do_pause, false }, { "resume", do_resume, false }, { "lost", do_lost, true },
};

void keeper_pod_request(struct keeper *k, struct control_client *client, const char *verb, const char *id,
                        struct json_object *request)
{
	struct keeper_member *m = member_of_id(k, id);

	if (strcmp(verb, "join") == 0) {
		member_join(k, client, id, request);
		return;
	}
	if (!m || m->phase == ENDED) {
		refuse(client, "container not running");
		return;
	}
	for (size_t i = 0; i < sizeof(verbs) / sizeof(verbs[0]); i++) {
		if (strcmp(verbs[i].name, verb) != 0 || (verbs[i].is_of_session && !member_is_session(m, client)))
			continue;
		if (keeper_may_ask(k, control_ticket(client)))
			verbs[i].serve(m, client, request);
		return;
	}
	refuse(client, "the keeper of the machine does not know this request");
}
