// SPDX-License-Identifier: Apache-2.0
// The further containers of a pod, as its keeper has them: member.c is the other end.
#include "error.h"
#include "keeper_pod.h"
#include "log.h"

#include <errno.h>
#include <json-c/json.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define REMOVE_MS 15000u /* for the guest to unmount what the container has */
#define UNPLUG_MS 15000u /* to let its devices go */

// ---- who is who

struct keeper_member *member_of_number(struct keeper *k, unsigned number)
{
	for (struct keeper_member *m = k->members; m; m = m->next)
		if (m->number == number)
			return m;
	return NULL;
}

struct keeper_member *member_of_id(struct keeper *k, const char *id)
{
	for (struct keeper_member *m = k->members; m; m = m->next)
		if (strcmp(m->id, id) == 0)
			return m;
	return NULL;
}

// "init-3". NULL: it is no init of a member.
struct keeper_member *member_of_process(struct keeper *k, const char *process)
{
	char name[32];

	for (struct keeper_member *m = k->members; m; m = m->next) {
		snprintf(name, sizeof(name), "init-%u", m->number);
		if (strcmp(name, process) == 0)
			return m;
	}
	return NULL;
}

bool member_is_session(const struct keeper_member *m, const struct control_client *client)
{
	return m->session.client == client && m->session.serial == client->serial;
}

struct json_object *member_arguments(const struct keeper_member *m)
{
	struct json_object *arguments = json_object_new_object();

	json_object_object_add(arguments, "container", json_object_new_int64(m->number));
	return arguments;
}

static void refuse(struct control_client *client, const char *why)
{
	control_refuse(control_ticket(client), why);
}

void member_ask(struct keeper_member *m, const char *verb, struct json_object *arguments, unsigned timeout_ms,
                link_answered *answered, struct control_ticket ticket)
{
	struct member_wait *wait = malloc(sizeof(*wait));

	if (!wait) {
		json_object_put(arguments);
		if (ticket.client)
			control_refuse(ticket, "out of memory");
		return;
	}
	*wait = (struct member_wait) { .k = m->k, .number = m->number, .ticket = ticket };
	link_ask(&m->k->link, verb, arguments, timeout_ms, answered, wait);
}

void member_pass_answer(void *owner, struct json_object *ok, const char *error)
{
	struct member_wait *wait = owner;

	if (error)
		control_refuse(wait->ticket, error);
	else
		control_answer(wait->ticket, json_object_get(ok));
	free(wait);
}

// ---- the end of a member

static void tell(struct keeper_member *m, const char *event, int status)
{
	struct control_client *session = control_client_of(m->session);
	struct json_object *message;

	if (!session)
		return;
	message = json_object_new_object();
	json_object_object_add(message, "event", json_object_new_string(event));
	json_object_object_add(message, "status", json_object_new_int(status));
	(void)control_tell(session, message, -1);
}

static void drop(struct keeper_member *m)
{
	struct keeper_member **place = &m->k->members;

	while (*place != m)
		place = &(*place)->next;
	*place = m->next;
	loop_del_timer(&m->k->loop, &m->timer);
	json_object_put(m->images);
	free(m->slots);
	free(m->id);
	free(m);
}

static void finish(void *owner)
{
	struct keeper_member *m = owner;

	// One that was lost is removed before its program has ended.
	if (m->phase != ENDED)
		tell(m, "exit", 128 + SIGKILL);
	for (size_t i = 0; i < m->nslots; i++)
		keeper_slot_free(m->k, m->slots[i]);
	// Its session ends its virtiofsd, which nobody needs any more.
	tell(m, "gone", 0);
	drop(m);
}

static bool has_devices(const struct keeper_member *m)
{
	for (size_t i = 0; i < m->nslots; i++)
		if (m->k->slots[m->slots[i]].is_plugged)
			return true;
	return false;
}

void keeper_pod_slot_gone(struct keeper *k, unsigned slot)
{
	for (struct keeper_member *m = k->members; m; m = m->next)
		for (size_t i = 0; i < m->nslots; i++)
			// Not from here: a command of the monitor may be under way.
			if (m->slots[i] == slot && m->is_removing && !has_devices(m))
				loop_arm(&k->loop, &m->timer, 0);
}

static void on_removed(void *owner, struct json_object *ok, const char *error)
{
	struct member_wait *wait = owner;
	struct keeper_member *m = member_of_number(wait->k, wait->number);

	(void)ok;
	if (error && m && m->is_lost)
		keeper_fail(wait->k, "a container of the pod cannot be removed, and its virtiofsd has ended: %s",
		            error);
	else if (error && wait->k->phase < KEEPER_ENDING)
		log_error("container %s: %s", wait->k->plan->id, error);
	if (m && wait->k->phase < KEEPER_ENDING) {
		for (size_t i = 0; i < m->nslots; i++)
			keeper_slot_unplug(m->k, m->slots[i]);
		loop_arm(&m->k->loop, &m->timer, has_devices(m) ? UNPLUG_MS : 0);
	}
	free(wait);
}

static void begin_removal(struct keeper_member *m)
{
	if (m->is_removing)
		return;
	m->is_removing = true;
	member_ask(m, "remove", member_arguments(m), REMOVE_MS, on_removed, (struct control_ticket) { 0 });
}

void member_lost(struct keeper_member *m)
{
	struct keeper *k = m->k;

	// Both its process and pmvm say so. Where the guest or pmvm is about to end, this is why.
	if (m->is_lost || k->phase >= KEEPER_ENDING || k->why[0])
		return;
	m->is_lost = true;
	begin_removal(m);
}

void keeper_pod_slot_unserved(struct keeper *k, unsigned slot)
{
	for (struct keeper_member *m = k->members; m; m = m->next)
		for (size_t i = 0; i < m->nslots; i++)
			if (m->slots[i] == slot)
				member_lost(m);
}

void keeper_pod_exited(struct keeper *k, const char *process, int status)
{
	struct keeper_member *m = member_of_process(k, process);

	if (!m || m->phase < CREATED || m->phase == ENDED)
		return;
	m->phase = ENDED;
	tell(m, "exit", status);
	if (k->phase < KEEPER_ENDING)
		begin_removal(m);
}

void keeper_pod_gone(struct keeper *k, struct control_client *client)
{
	for (struct keeper_member *m = k->members; m; m = m->next) {
		if (!member_is_session(m, client))
			continue;
		m->phase = ENDED;
		if (k->phase < KEEPER_ENDING)
			begin_removal(m);
		return;
	}
}

// ---- the end of the pod

bool keeper_pod_has_volume(const struct keeper *k)
{
	for (const struct keeper_member *m = k->members; m; m = m->next)
		for (size_t i = 0; m->images && i < json_object_array_length(m->images); i++)
			if (!json_object_get_boolean(
				    json_object_object_get(json_object_array_get_idx(m->images, i), "readonly")))
				return true;
	return false;
}

static void on_last_removed(void *owner, struct json_object *ok, const char *error)
{
	struct member_wait *wait = owner;
	struct keeper *k = wait->k;

	(void)ok;
	(void)error;
	free(wait);
	if (--k->nending == 0)
		k->pod_ended(k);
}

void keeper_pod_end(struct keeper *k, void (*ended)(struct keeper *k))
{
	k->pod_ended = ended;
	// One for this function: an answer may come at once.
	k->nending = 1;
	for (struct keeper_member *m = k->members; m; m = m->next) {
		if (m->is_removing)
			continue;
		m->is_removing = true;
		k->nending++;
		member_ask(m, "remove", member_arguments(m), REMOVE_MS, on_last_removed, (struct control_ticket) { 0 });
	}
	if (--k->nending == 0)
		ended(k);
}

void keeper_pod_free(struct keeper *k)
{
	while (k->members)
		drop(k->members);
}

// ---- how one comes in

static struct keeper_member *new_member(struct keeper *k, struct control_client *client, const char *id, size_t nimages)
{
	struct keeper_member *m = calloc(1, sizeof(*m));

	if (!m)
		return NULL;
	*m = (struct keeper_member) {
		.k = k,
		.id = strdup(id),
		.session = control_ticket(client),
		.slots = calloc(nimages + 1, sizeof(*m->slots)),
		.nslots = nimages + 1,
		.timer = { .expired = finish, .owner = m },
	};
	if (m->id && m->slots && loop_add_timer(&k->loop, &m->timer) == 0)
		return m;
	free(m->id);
	free(m->slots);
	free(m);
	return NULL;
}

static struct json_object *joined(const struct keeper_member *m)
{
	struct json_object *ok = json_object_new_object(), *addresses = json_object_new_array();
	char address[VM_ADDRESS_SIZE];

	for (size_t i = 0; i < m->nslots; i++)
		json_object_array_add(addresses, json_object_new_string(vm_pmem_address(m->slots[i], address)));
	json_object_object_add(ok, "number", json_object_new_int64(m->number));
	json_object_object_add(ok, "pid", json_object_new_int64(m->k->guest_pid));
	json_object_object_add(ok, "pidns", json_object_new_int64(m->pidns_pid));
	json_object_object_add(ok, "addresses", addresses);
	return ok;
}

// id: of the container whose pid namespace is joined; NULL, or that of the sandbox. 0: it does not run.
static int64_t pid_of(struct keeper *k, const char *id)
{
	const struct keeper_member *m;

	if (!id || strcmp(id, k->plan->id) == 0)
		return k->guest_pid;
	m = member_of_id(k, id);
	return m && m->phase != ENDED && !m->is_removing ? m->guest_pid : 0;
}

void member_join(struct keeper *k, struct control_client *client, const char *id, struct json_object *request)
{
	const int64_t nimages = json_object_get_int64(json_object_object_get(request, "images"));
	const int64_t pidns_pid = pid_of(k, json_object_get_string(json_object_object_get(request, "pidns")));
	struct vpmem_error err = { 0 };
	struct keeper_member *m;

	if (!k->plan->is_pod) {
		refuse(client, "it is no sandbox of a pod: not supported");
		return;
	}
	if (!keeper_may_ask(k, control_ticket(client)))
		return;
	if (member_of_id(k, id) || nimages < 0 || nimages > VM_PMEM_MAX || pidns_pid == 0) {
		refuse(client, member_of_id(k, id) ? "a container of this id is there, or about to end" :
		               pidns_pid == 0      ? "the container whose pid namespace it joins does not run" :
		                                     "join: images");
		return;
	}
	m = new_member(k, client, id, (size_t)nimages);
	if (!m) {
		refuse(client, "out of memory");
		return;
	}
	if (keeper_slots_take(k, m->nslots, m->slots, &err) < 0) {
		m->next = k->members;
		k->members = m;
		m->nslots = 0;
		drop(m);
		refuse(client, err.text);
		return;
	}
	m->number = ++k->last_number;
	m->pidns_pid = pidns_pid;
	m->next = k->members;
	k->members = m;
	control_answer(control_ticket(client), joined(m));
}

int keeper_pod_stream(struct keeper *k, const char *process, const char *which, int fd)
{
	struct keeper_member *m = member_of_process(k, process);
	struct control_client *session = NULL;

	// The streams and the answer to `create` are several connections: any of them may be seen last.
	if (m && m->phase >= CREATING && m->phase != ENDED)
		session = control_client_of(m->session);
	return session ? keeper_tell_stream(session, which, fd) : -ENOENT;
}
