// SPDX-License-Identifier: Apache-2.0
// Requests of the control socket (control.h).
#include "bundle.h"
#include "error.h"
#include "keeper_internal.h"
#include "monotonic.h"
#include "nics.h"

#include <json-c/json.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ANSWER_MS 50000u /* the command waits longer, so that this error is the one that it prints: KEEPER_ANSWER_S */
/*
 * From SIGKILL to the end of the machine. podman waits 5 s for the end of the process. The guest has nothing then that the
 * host lacks, unless it has mounted a volume itself, which needs its journal written.
 */
#define KILL_MS 2500u
#define KILL_VOLUME_MS 10000u

// ---- what waits for the agent

// Who gets the answer.
struct wait {
	struct keeper *k;
	struct control_ticket ticket; /* client NULL: nobody */
	int signo;                    /* `kill`: of the request */
};

static struct wait *make_wait(struct keeper *k, struct control_ticket ticket)
{
	struct wait *wait = malloc(sizeof(*wait));

	if (wait)
		*wait = (struct wait) { .k = k, .ticket = ticket };
	else if (ticket.client)
		control_refuse(ticket, "out of memory");
	return wait;
}

static void refuse(struct control_ticket ticket, const char *error)
{
	if (ticket.client)
		control_refuse(ticket, error);
}

static void pass_answer(void *owner, struct json_object *ok, const char *error)
{
	struct wait *wait = owner;

	if (wait->ticket.client && error)
		control_refuse(wait->ticket, error);
	else if (wait->ticket.client)
		control_answer(wait->ticket, json_object_get(ok));
	free(wait);
}

// The members of the request but its verb are the arguments for the agent.
static struct json_object *arguments_of(struct json_object *request)
{
	struct json_object *arguments = json_object_new_object();

	json_object_object_foreach(request, name, val)
	{
		if (strcmp(name, "do") != 0)
			json_object_object_add(arguments, name, json_object_get(val));
	}
	return arguments;
}

bool keeper_may_ask(struct keeper *k, struct control_ticket ticket)
{
	if (k->phase >= KEEPER_ENDING)
		refuse(ticket, "container not running");
	else if (k->phase == KEEPER_CREATING)
		refuse(ticket, "the container is not created yet");
	else if (k->monitor.is_paused)
		refuse(ticket, "the container is paused: resume it first");
	else
		return true;
	return false;
}

// `ps`, `update`: the agent does it.
static void do_pass(struct keeper *k, struct control_client *client, struct json_object *request)
{
	const struct control_ticket ticket = control_ticket(client);
	const char *verb = json_object_get_string(json_object_object_get(request, "do"));
	struct wait *wait = keeper_may_ask(k, ticket) ? make_wait(k, ticket) : NULL;

	if (wait)
		link_ask(&k->link, verb, arguments_of(request), ANSWER_MS, pass_answer, wait);
}

static void pass_stats(void *owner, struct json_object *ok, const char *error)
{
	struct wait *wait = owner;

	if (json_object_is_type(ok, json_type_object))
		keeper_add_pmem(wait->k, ok);
	pass_answer(wait, ok, error);
}

static void do_stats(struct keeper *k, struct control_client *client, struct json_object *request)
{
	const struct control_ticket ticket = control_ticket(client);
	struct wait *wait = keeper_may_ask(k, ticket) ? make_wait(k, ticket) : NULL;

	(void)request;
	if (wait)
		link_ask(&k->link, "stats", NULL, ANSWER_MS, pass_stats, wait);
}

// ---- state

static void do_state(struct keeper *k, struct control_client *client, struct json_object *request)
{
	struct json_object *ok = json_object_new_object();

	(void)request;
	json_object_object_add(ok, "status", json_object_new_string(keeper_status_name(k)));
	control_answer(control_ticket(client), ok);
}

// ---- start

static void start_failed(struct wait *wait, const char *error)
{
	if (wait->k->phase == KEEPER_STARTING)
		keeper_set_phase(wait->k, KEEPER_CREATED);
	refuse(wait->ticket, error);
	free(wait);
}

static void on_started(void *owner, struct json_object *ok, const char *error)
{
	struct wait *wait = owner;

	if (error) {
		start_failed(wait, error);
		return;
	}
	// It may have run and ended already.
	keeper_set_phase(wait->k, KEEPER_RUNNING);
	pass_answer(wait, ok, NULL);
}

static void on_network(void *owner, struct json_object *ok, const char *error)
{
	struct wait *wait = owner;

	(void)ok;
	if (error)
		start_failed(wait, error);
	else
		link_ask(&wait->k->link, "start", NULL, keeper_create_ms(wait->k), on_started, wait);
}

static void do_start(struct keeper *k, struct control_client *client, struct json_object *request)
{
	const struct control_ticket ticket = control_ticket(client);
	struct json_object *network = NULL;
	struct vpmem_error err = { 0 };
	struct wait *wait;

	(void)request;
	if (k->phase == KEEPER_STARTING || k->phase == KEEPER_RUNNING) {
		refuse(ticket, "cannot start a container that is running");
		return;
	}
	wait = keeper_may_ask(k, ticket) ? make_wait(k, ticket) : NULL;
	if (!wait)
		return;
	keeper_set_phase(k, KEEPER_STARTING);
	if (!k->plan->nics || k->plan->nics->n == 0)
		on_network(wait, NULL, NULL);
	else if (nics_join(k->plan->nics, &network, &err) < 0)
		start_failed(wait, err.text);
	else
		link_ask(&k->link, "network", network, keeper_create_ms(k), on_network, wait);
}

// ---- kill

static void on_kill_timeout(void *owner)
{
	keeper_killed(owner);
}

static void on_signalled(void *owner, struct json_object *ok, const char *error)
{
	struct wait *wait = owner;
	struct keeper *k = wait->k;

	if (wait->signo != SIGKILL || k->phase >= KEEPER_ENDING) {
		pass_answer(wait, ok, error);
		return;
	}
	if (error)
		keeper_killed(k);
	free(wait);
}

static bool has_volume(const struct keeper *k)
{
	for (size_t i = 0; i < k->plan->bundle->npmem; i++)
		if (!k->plan->bundle->pmem[i].readonly)
			return true;
	return keeper_pod_has_volume(k);
}

// The guest may not do it, or not be able to. Only the first one counts.
static void limit_kill(struct keeper *k)
{
	const unsigned limit_ms = has_volume(k) ? KILL_VOLUME_MS : KILL_MS;

	if (k->kill_end_ms)
		return;
	k->kill_end_ms = monotonic_ms() + limit_ms;
	keeper_arm(k, limit_ms, on_kill_timeout);
}

void keeper_signal(struct keeper *k, int signo, bool all, struct control_ticket ticket)
{
	struct json_object *arguments;
	struct wait *wait;

	// A pmvm that does not even resume its vCPUs is ended with them.
	if (signo == SIGKILL && k->monitor.is_paused && vm_monitor_resume(&k->monitor, NULL) < 0) {
		if (ticket.client)
			control_answer(ticket, NULL);
		keeper_killed(k);
		return;
	}
	wait = keeper_may_ask(k, ticket) ? make_wait(k, ticket) : NULL;
	if (!wait)
		return;
	wait->signo = signo;
	if (signo == SIGKILL) {
		limit_kill(k);
		// It is certain from here on.
		if (ticket.client)
			control_answer(ticket, NULL);
		wait->ticket.client = NULL;
	}
	arguments = json_object_new_object();
	json_object_object_add(arguments, "process", json_object_new_string("init"));
	json_object_object_add(arguments, "signal", json_object_new_int(signo));
	json_object_object_add(arguments, "all", json_object_new_boolean(all));
	link_ask(&k->link, "signal", arguments, ANSWER_MS, on_signalled, wait);
}

static void do_kill(struct keeper *k, struct control_client *client, struct json_object *request)
{
	struct json_object *signo = NULL, *all = NULL;

	json_object_object_get_ex(request, "all", &all);
	if (!json_object_object_get_ex(request, "signal", &signo) || !json_object_is_type(signo, json_type_int))
		control_refuse(control_ticket(client), "kill: no signal");
	else
		keeper_signal(k, json_object_get_int(signo), json_object_get_boolean(all), control_ticket(client));
}

// ---- pause, resume

static void do_pause(struct keeper *k, struct control_client *client, struct json_object *request)
{
	const struct control_ticket ticket = control_ticket(client);
	struct vpmem_error err = { 0 };

	(void)request;
	if (!keeper_may_ask(k, ticket))
		return;
	if (k->phase != KEEPER_RUNNING) {
		control_refuse(ticket, "cannot pause a container that is not running");
	} else if (vm_monitor_pause(&k->monitor, &err) < 0) {
		control_refuse(ticket, err.text);
	} else {
		keeper_set_phase(k, k->phase);
		control_answer(ticket, NULL);
	}
}

static void do_resume(struct keeper *k, struct control_client *client, struct json_object *request)
{
	const struct control_ticket ticket = control_ticket(client);
	struct vpmem_error err = { 0 };

	(void)request;
	if (!k->monitor.is_paused) {
		control_refuse(ticket, "the container is not paused");
	} else if (vm_monitor_resume(&k->monitor, &err) < 0) {
		control_refuse(ticket, err.text);
	} else {
		keeper_set_phase(k, k->phase);
		control_answer(ticket, NULL);
	}
}

// ---- those of a session, for its own process

static void do_for_session(struct keeper *k, struct control_client *client, struct json_object *request)
{
	const struct control_ticket ticket = control_ticket(client);
	struct json_object *arguments;
	char process[32];

	if (client->exec_idx == 0) {
		control_refuse(ticket, "there is no process of this session");
		return;
	}
	arguments = arguments_of(request);
	snprintf(process, sizeof(process), "exec-%llu", (unsigned long long)client->exec_idx);
	json_object_object_add(arguments, "process", json_object_new_string(process));
	struct wait *wait = keeper_may_ask(k, ticket) ? make_wait(k, ticket) : NULL;
	if (wait)
		link_ask(&k->link, json_object_get_string(json_object_object_get(request, "do")), arguments, ANSWER_MS,
		         pass_answer, wait);
	else
		json_object_put(arguments);
}

static void do_exec(struct keeper *k, struct control_client *client, struct json_object *request)
{
	if (keeper_may_ask(k, control_ticket(client)))
		keeper_exec_begin(k, client, request, 0);
}

// ---- the table

static const struct verb {
	const char *name;
	void (*serve)(struct keeper *k, struct control_client *client, struct json_object *request);
} verbs[] = {
	{ "exec", do_exec },     { "kill", do_kill },   { "pause", do_pause },        { "ps", do_pass },
	{ "resume", do_resume }, { "start", do_start }, { "resize", do_for_session }, { "state", do_state },
	{ "stats", do_stats },   { "update", do_pass }, { "signal", do_for_session },
};

static void on_request(void *owner, struct control_client *client, struct json_object *request)
{
	struct json_object *val = NULL;
	const char *name = json_object_object_get_ex(request, "do", &val) &&
	                                   json_object_is_type(val, json_type_string) ?
	                           json_object_get_string(val) :
	                           "";

	if (json_object_object_get_ex(request, "container", &val) && json_object_is_type(val, json_type_string)) {
		keeper_pod_request(owner, client, name, json_object_get_string(val), request);
		return;
	}
	for (size_t i = 0; i < sizeof(verbs) / sizeof(verbs[0]); i++) {
		if (strcmp(verbs[i].name, name) == 0) {
			verbs[i].serve(owner, client, request);
			return;
		}
	}
	control_refuse(control_ticket(client), "the keeper of the machine does not know this request");
}

static void on_gone(void *owner, struct control_client *client)
{
	keeper_exec_gone(owner, client);
	keeper_pod_gone(owner, client);
}

const struct control_ops keeper_control_ops = { .request = on_request, .gone = on_gone };
