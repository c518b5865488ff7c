// SPDX-License-Identifier: Apache-2.0
/*
 * keeper_internal.h - the keeper, for its own files and the tests.
 *
 *   keeper.c         its life: start, the loop, the end
 *   keeper_start.c   the order in which a machine comes up
 *   keeper_end.c     what ends it
 *   keeper_verbs.c   requests of the control socket
 *   keeper_exec.c    processes of exec
 *   keeper_pod.c     the further containers of a pod
 *   keeper_plug.c    their devices
 *
 * All runs in one thread. The lock is there because the event loop wants one.
 */
#ifndef PMVM_OCI_KEEPER_INTERNAL_H
#define PMVM_OCI_KEEPER_INTERNAL_H

#include "agent_link.h"
#include "control_socket.h"
#include "helper.h"
#include "keeper.h"
#include "parts.h"
#include "vm_monitor.h"
#include "streams.h"
#include "transport.h"

#include <pthread.h>

struct json_object;

enum keeper_phase {
	KEEPER_CREATING,
	KEEPER_CREATED,
	KEEPER_STARTING, /* `start` is under way */
	KEEPER_RUNNING,
	KEEPER_ENDING, /* the container has ended */
	KEEPER_OVER,   /* the loop ends */
};

/* A process of exec, until it has ended and its session is gone: streams may be seen after the exit. */
struct keeper_exec {
	uint64_t idx; /* "exec-IDX" */
	struct control_ticket session;
	bool has_exited;
	struct keeper_exec *next;
};

struct keeper_member;

/* A device that is plugged later, by the number that vm_pmem_address takes. */
struct keeper_slot {
	bool is_used, is_share;
	bool is_left;                            /* its container has gone without it: the guest keeps the device */
	bool is_placed, has_backend, is_plugged; /* how far it has come */
};

struct keeper {
	const struct machine_plan *plan;
	int ready_fd; /* -1: it was reported */
	pthread_mutex_t lock;
	struct loop loop;
	enum keeper_phase phase;
	int status; /* the exit status of this process */
	struct parts parts;
	struct transport transport;
	struct helper virtiofsd, pmvm;
	struct vm_monitor monitor;
	struct agent_link link;
	struct control_socket control;
	struct streams streams;
	bool has_answered; /* the agent, to `create` */
	struct keeper_exec *execs;
	uint64_t last_exec;
	int view_fd;       /* the mount namespace of pmvm; -1: nothing is plugged later */
	int64_t guest_pid; /* of the container's init, in the guest */
	struct keeper_member *members;
	unsigned last_number; /* of a member, in the guest */
	struct keeper_slot slots[VM_PMEM_MAX];
	unsigned nending; /* members that are removed before the machine ends */
	void (*pod_ended)(struct keeper *k);
	struct loop_source signals;
	struct loop_timer timer; /* what it bounds depends on the phase */
	uint64_t kill_end_ms; /* SIGKILL: when the machine is ended at the latest, by monotonic_ms; 0: none was sent */
	uint64_t begin_ms, monitor_ms, hello_ms; /* by monotonic_ms: the start, pmvm's first answer, the agent's */
	char why[512];                           /* the link was lost: why, until the end of pmvm says more */
};

/* keeper_run with another way from the guest to here. */
int keeper_run_with(const struct machine_plan *plan, int ready_fd, transport_open *open);

/* keeper_start.c: -errno with *err, or the machine is on its way, and keeper_created or keeper_fail follows. */
int keeper_start(struct keeper *k, transport_open *open, struct vpmem_error *err);

/* The time that a guest has for its start, and then for the start of a container or a process. */
unsigned keeper_create_ms(const struct keeper *k);

/* keeper_start.c: whom pmvm runs as. */
uint32_t keeper_uid(const struct keeper *k);

/* keeper.c: the phase changes, and the owner of the plan hears of it. */
void keeper_set_phase(struct keeper *k, enum keeper_phase phase);
const char *keeper_status_name(const struct keeper *k);
void keeper_arm(struct keeper *k, unsigned timeout_ms, void (*expired)(void *owner));

/* keeper_end.c */
__attribute__((format(printf, 2, 3))) void keeper_fail(struct keeper *k, const char *fmt, ...);
void keeper_container_exited(struct keeper *k, int status);
void keeper_killed(struct keeper *k); /* the container is to be ended by the end of pmvm: status 137 */
void keeper_on_pmvm_ended(void *owner);
void keeper_on_virtiofsd_ended(void *owner);
void keeper_on_stopped(void *owner, const char *state);
void keeper_on_link_lost(void *owner, const char *why);

/* keeper_verbs.c */
extern const struct control_ops keeper_control_ops;
/* A signal for the container. ticket.client NULL: nobody waits for the answer. */
void keeper_signal(struct keeper *k, int signo, bool all, struct control_ticket ticket);

/* The machine can be asked. False: the answer says why not. */
bool keeper_may_ask(struct keeper *k, struct control_ticket ticket);

/* keeper_exec.c; number is that of the container. */
void keeper_exec_begin(struct keeper *k, struct control_client *client, struct json_object *request, unsigned number);
/* Passes a stream on, which is taken on success. */
int keeper_tell_stream(struct control_client *session, const char *which, int fd);
int keeper_exec_stream(struct keeper *k, const char *process, const char *which, int fd);
void keeper_exec_exited(struct keeper *k, const char *process, int status);
void keeper_exec_gone(struct keeper *k, struct control_client *client);
void keeper_exec_free(struct keeper *k);

/* keeper_pod.c; id is that of a container, process its "init-N". */
void keeper_pod_request(struct keeper *k, struct control_client *client, const char *verb, const char *id,
                        struct json_object *request);
int keeper_pod_stream(struct keeper *k, const char *process, const char *which, int fd);
void keeper_pod_exited(struct keeper *k, const char *process, int status);
void keeper_pod_gone(struct keeper *k, struct control_client *client);
void keeper_pod_slot_gone(struct keeper *k, unsigned slot);
void keeper_pod_slot_unserved(struct keeper *k, unsigned slot);
/* One of them can write to an image, so its removal is worth the time that it takes. */
bool keeper_pod_has_volume(const struct keeper *k);
/* What they wrote reaches the host; then `ended`, at once or later. */
void keeper_pod_end(struct keeper *k, void (*ended)(struct keeper *k));
void keeper_pod_free(struct keeper *k);

/*
 * keeper_plug.c: the life of a slot. One that is taken is freed by keeper_slot_free, whatever failed in between; it is kept
 * while the guest has not let its device go.
 */
int keeper_slots_take(struct keeper *k, size_t n, unsigned *slots, struct vpmem_error *err);
enum keeper_slot_kind { SLOT_OF_IMAGE, SLOT_OF_READONLY_IMAGE, SLOT_OF_SHARE };
/* tree_fd: an image, or the socket of virtiofsd (binds_take), borrowed. */
int keeper_slot_prepare(struct keeper *k, unsigned slot, enum keeper_slot_kind kind, int tree_fd,
                        struct vpmem_error *err);
int keeper_slot_plug(struct keeper *k, unsigned slot, unsigned number, struct vpmem_error *err);
/* Asks the guest; keeper_pod_slot_gone follows. */
void keeper_slot_unplug(struct keeper *k, unsigned slot);
void keeper_slot_free(struct keeper *k, unsigned slot);
void keeper_on_deleted(void *owner, const char *id);
void keeper_on_unserved(void *owner, const char *id);

/* keeper_pmem.c. Adds the member "pmem" if the machine has images: an object for each, as control.h says. */
void keeper_add_pmem(struct keeper *k, struct json_object *stats);

#endif
