// SPDX-License-Identifier: Apache-2.0
/*
 * member_internal.h - the process of a further container, for its own files.
 *
 *   member_start.c   how it comes into the machine
 *   member.c         its life after that
 */
#ifndef PMVM_OCI_MEMBER_INTERNAL_H
#define PMVM_OCI_MEMBER_INTERNAL_H

#include "frame.h"
#include "helper.h"
#include "member.h"
#include "parts.h"
#include "streams.h"

#include <pthread.h>

struct member {
	const struct machine_plan *plan;
	struct machine_plan own; /* with what the keeper of the pod has said */
	int ready_fd;            /* -1: it was reported */
	pthread_mutex_t lock;
	struct loop loop;
	int keeper_fd;
	struct wire_reader reader;
	struct loop_source keeper, signals;
	struct streams streams;
	struct parts parts;
	struct helper virtiofsd;
	int listener_fd;            /* of virtiofsd; -1: there is none */
	struct json_object *joined; /* what `addresses` points to */
	const char **addresses;
	bool is_served;    /* virtiofsd has the connection of pmvm */
	bool has_answered; /* the keeper, to `create` */
	bool has_exited, is_drained, is_gone, is_over;
	int status;
	int lost_status; /* virtiofsd has ended, so this is the status, whatever the program ends with; 0: it has not */
};

/* {"do": verb, "container": the id} */
struct json_object *member_request(const struct member *m, const char *verb);
/* Sends it to the keeper. Takes the message. */
int member_tell(struct member *m, struct json_object *message, struct vpmem_error *err);
/* Waits for all but the answer to `create`, which the event loop gets. */
int member_come_in(struct member *m, void (*virtiofsd_ended)(void *owner), struct vpmem_error *err);

#endif
