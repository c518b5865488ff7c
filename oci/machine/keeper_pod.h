// SPDX-License-Identifier: Apache-2.0
/*
 * keeper_pod.h - a further container of a pod, for the files of the keeper that serve it.
 */
#ifndef PMVM_OCI_KEEPER_POD_H
#define PMVM_OCI_KEEPER_POD_H

#include "keeper_internal.h"

#define MEMBER_ANSWER_MS 50000u /* less than KEEPER_ANSWER_S of the command */

enum member_phase { JOINED, PLUGGED, CREATING, CREATED, STARTING, RUNNING, ENDED };

struct keeper_member {
	struct keeper *k;
	char *id;
	unsigned number; /* in the guest */
	struct control_ticket session;
	enum member_phase phase;
	bool is_paused; /* the guest has frozen it */
	bool is_removing;
	unsigned *slots; /* of its layers, and the last one for its share */
	size_t nslots;
	struct loop_timer timer; /* for the guest to let its devices go */
	struct keeper_member *next;
};

/* NULL: there is none. */
struct keeper_member *member_of_number(struct keeper *k, unsigned number);
struct keeper_member *member_of_id(struct keeper *k, const char *id);
/* "init-3". */
struct keeper_member *member_of_process(struct keeper *k, const char *process);
/* The client is its process on the host. */
bool member_is_session(const struct keeper_member *m, const struct control_client *client);

/* The request `join`: a new one. */
void member_join(struct keeper *k, struct control_client *client, const char *id, struct json_object *request);

/* {"container": NUMBER} */
struct json_object *member_arguments(const struct keeper_member *m);
/* Whom an answer of the agent is for. The container may have gone meanwhile. */
struct member_wait {
	struct keeper *k;
	unsigned number;
	struct control_ticket ticket;
};
/* `answered` gets a struct member_wait as its owner, which it frees. */
void member_ask(struct keeper_member *m, const char *verb, struct json_object *arguments, unsigned timeout_ms,
                link_answered *answered, struct control_ticket ticket);
/* An `answered` that passes the answer on. */
link_answered member_pass_answer;

#endif
