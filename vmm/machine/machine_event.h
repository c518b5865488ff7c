// SPDX-License-Identifier: Apache-2.0
/*
 * machine_event.h - what the machine reports, to whom, and how its run is interrupted.
 *
 * The machine does not know its front ends. The one that it has, the monitor, is handed to machine_build as an observer:
 * it comes up and goes down with the machine and gets its events. A machine without an observer runs as well.
 */
#ifndef PMVM_MACHINE_EVENT_H
#define PMVM_MACHINE_EVENT_H

#include "run_state.h"

#include <stdbool.h>
#include <stdint.h>

struct machine;
struct netdev_address;
struct pmem;
struct vpmem_error;

/* What happened: the events of QMP. Strings are valid during the call. */
enum machine_event_kind {
	MACHINE_EVENT_STOP,
	MACHINE_EVENT_RESUME,
	MACHINE_EVENT_RESET,    /* cause */
	MACHINE_EVENT_SHUTDOWN, /* cause */
	MACHINE_EVENT_POWERDOWN,
	MACHINE_EVENT_DEVICE_DELETED,                 /* device (may be NULL), path */
	MACHINE_EVENT_DEVICE_UNPLUG_GUEST_ERROR,      /* device (may be NULL), path */
	MACHINE_EVENT_BALLOON_CHANGE,                 /* size */
	MACHINE_EVENT_PMEM_ERROR,                     /* error; device, path, file (may all be NULL) */
	MACHINE_EVENT_PMEM_NOSPACE,                   /* error, device (may be NULL), path, file */
	MACHINE_EVENT_PMEM_STORE_REFUSED,             /* error; device, path, file (may all be NULL) */
	MACHINE_EVENT_VHOST_USER_CHANGE,              /* device (may be NULL), path, connected, message ("": none) */
	MACHINE_EVENT_VSERPORT_CHANGE,                /* device, open */
	MACHINE_EVENT_NIC_RX_FILTER_CHANGED,          /* device (may be NULL), path */
	MACHINE_EVENT_NETDEV_STREAM_CONNECTED,        /* device, address */
	MACHINE_EVENT_NETDEV_STREAM_DISCONNECTED,     /* device */
	MACHINE_EVENT_NETDEV_VHOST_USER_CONNECTED,    /* device, chardev */
	MACHINE_EVENT_NETDEV_VHOST_USER_DISCONNECTED, /* device */
};
struct machine_event {
	enum machine_event_kind kind;
	enum machine_cause cause;
	int error;     /* errno */
	uint64_t size; /* bytes */
	const char *device, *path, *file, *message, *chardev;
	bool connected;
	bool open; /* the guest has the port open */
	const struct netdev_address *address;
};

/* All functions are called with the machine lock held. */
struct machine_observer {
	/*
	 * A stage of the machine's assembly: RAM, devices and the console exist, vCPUs do not. *state is the observer's own
	 * from then on, and not NULL. On failure nothing is left behind.
	 */
	int (*up)(struct machine *m, void **state, struct vpmem_error *err);
	/* At the end, or when a later stage failed. No event comes any more. */
	void (*down)(void *state);
	/* From any thread. */
	void (*event)(void *state, const struct machine_event *event);
};

int machine_observer_up(struct machine *m, struct vpmem_error *err);
void machine_observer_down(struct machine *m); /* legal after an up that failed */

/* Sends an event to the observer, if there is one. Any thread with the lock. */
void machine_event_send(struct machine *m, const struct machine_event *event);
/* An event of a device, or of none (NULL). error: -errno. */
void machine_event_send_pmem(struct machine *m, const struct pmem *pmem, enum machine_event_kind kind, int error);

/* What ends the present run of the guest; the highest one wins. */
enum request_kind { REQUEST_NONE, REQUEST_RESET, REQUEST_POWER_OFF, REQUEST_QUIT, REQUEST_FAIL };

/* Asks for something from any thread that holds the lock: the guest stops now, the main thread does it. */
void machine_request(struct machine *m, enum request_kind request, enum machine_cause cause);

/* The guest stops now, without waiting for it: the caller may be a vCPU. Any thread with the lock. */
void machine_halt(struct machine *m);

#endif
