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
	unsigned number;   /* in the guest */
	int64_t guest_pid; /* of its init, in the guest; 0: it is not created */
	int64_t pidns_pid; /* of the container whose pid namespace it joins */
	struct control_ticket session;
	enum member_phase phase;
	bool is_paused; /* the guest has frozen it */
	bool is_lost;   /* its virtiofsd has ended */
	bool is_removing;
	unsigned *slots; /* of its images, and the last one for its share */
	size_t nslots;
	struct json_object *images; /* of `plug`: one for each slot but the last */
	struct loop_timer timer;    /* for the guest to let its devices go */
	struct keeper_member *next;
};

/* NULL: there is none. */
struct keeper_member *member_of_number(struct keeper *k, unsigned number);
struct keeper_member *member_of_id(struct keeper *k, const char *id);
/* "init-3". */
struct keeper_member *member_of_process(struct keeper *k, const char *process);
/* The client is its process on the host. */
bool member_is_session(const struct keeper_member *m, const struct control_client *client);

/* Its virtiofsd has ended. It is taken out of the guest. */
void member_lost(struct keeper_member *m);

/* The request `join`: a new one. */
void member_join(struct keeper *k, struct control_client *client, const char *id, struct json_object *request);

/* keeper_pmem.c: as keeper_add_pmem, of its images. */
void member_add_pmem(const struct keeper_member *m, struct json_object *stats);

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
