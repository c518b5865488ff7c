// SPDX-License-Identifier: Apache-2.0
/*
 * vhost_user.h - another process as a back end (vhost.h): vhost-user, over the link of vhost_user_link.h.
 *
 * The back end maps guest memory by itself. Of each region of the table (vm_memory.h) it gets the file, so a region
 * without one is out of its reach: RAM must have one, which is for the caller to check; a pmem window that is private to this
 * process is left out, with a warning.
 *
 * The life of a connection: vhost_user_connect takes the socket and asks what the back end can do; it uses nothing
 * but the struct, so it may run without the machine lock. Then vhost_user_watch, after which the event loop notices the end of the
 * connection, whatever caused it: `lost` is called in the main thread, once, and calls vhost_user_disconnect. A back end
 * that does not answer within VHOST_USER_TIMEOUT_MS, or whose answers are nonsense, is disconnected as well.
 *
 * All of it but vhost_user_connect runs under the machine lock, which is thus held while an answer is awaited: for all
 * messages of a start, or of a stop, VHOST_USER_TIMEOUT_MS together, and then never again for this connection.
 */
#ifndef PMVM_VHOST_USER_H
#define PMVM_VHOST_USER_H

#include "broker.h"
#include "loop.h"
#include "vhost.h"
#include "vhost_user_link.h"

#define VHOST_USER_TIMEOUT_MS 3000u
#define VHOST_USER_REGIONS_MAX 8u /* without CONFIGURE_MEM_SLOTS */
#define VHOST_USER_F_PROTOCOL_FEATURES 30u

/* Protocol features that this side knows. */
#define VHOST_USER_PROTOCOL_F_MQ 0u
#define VHOST_USER_PROTOCOL_F_RARP 2u
#define VHOST_USER_PROTOCOL_F_REPLY_ACK 3u
#define VHOST_USER_PROTOCOL_F_NET_MTU 4u
#define VHOST_USER_PROTOCOL_F_BACKEND_REQ 5u
#define VHOST_USER_PROTOCOL_F_CONFIG 9u
#define VHOST_USER_PROTOCOL_F_INFLIGHT_SHMFD 12u
#define VHOST_USER_PROTOCOL_F_CONFIGURE_MEM_SLOTS 15u

struct vhost_user {
	struct vhost_backend backend; /* first */
	struct vhost_user_link link;
	struct loop_source source;   /* the link's */
	bool watched;                /* both sources are in the loop */
	struct loop_source requests; /* our end of the back end's own channel; fd -1: there is none */
	struct loop *loop;
	/* The connection is useless: link.end and link.why say why. Main thread, from the event loop. */
	void (*lost)(struct vhost_user *vu);
	/* The back end says that its configuration has changed. May be called while a call here waits: no call from within. */
	void (*config_changed)(struct vhost_user *vu);

	/* What only some devices need of the protocol: RARP, NET_MTU, INFLIGHT_SHMFD. Before vhost_user_connect. */
	uint64_t own_protocol_features;
	/* What the back end can do. */
	uint64_t features, protocol_features;
	uint64_t queues_max;
	unsigned regions_max;

	bool starting;                  /* set_features came, and run did not */
	uint64_t started;               /* a bit for each ring that the back end may serve */
	unsigned nenabled;              /* rings from this one on are started, and not enabled */
	uint16_t bases[64];             /* of rings that were set, or stopped */
	const uint8_t *used_hva[64];    /* of rings that were set; their used.idx is the base if nobody says another */
	bool warned;                    /* of a region that it cannot have */
	unsigned nsent;                 /* regions that it has: with CONFIGURE_MEM_SLOTS */
	struct vhost_user_region *sent; /* VM_MEMORY_REGIONS_MAX of them; NULL: not allocated */
	/*
	 * With INFLIGHT_SHMFD: the file in which the back end notes the requests that it has begun, for the next one.
	 * It outlives a connection and is never mapped here. nqueues and queue_size are set before the first start.
	 */
	struct vhost_user_inflight inflight;
	int inflight_fd;                                       /* -1: none */
	uint8_t request_buf[sizeof(struct vhost_user_header)]; /* of the back end's own channel */
	unsigned nrequest;
};

extern const struct vhost_backend_ops vhost_user_ops;

/* Not connected. The callbacks and the loop are set by the caller. */
void vhost_user_init(struct vhost_user *vu);
/*
 * Takes a connected socket, on success and on failure: features, protocol features, queues, owner. config_size bytes of
 * configuration are read into config, if config_size is not 0. -errno: backend.failed and link.why say why.
 */
int vhost_user_connect(struct vhost_user *vu, int fd, uint8_t *config, uint32_t config_size);
/* The event loop waits for its end. -ENOSPC: it cannot. */
int vhost_user_watch(struct vhost_user *vu);
/* Closes it; legal for one that is not connected. */
void vhost_user_disconnect(struct vhost_user *vu);
bool vhost_user_is_connected(const struct vhost_user *vu);
bool vhost_user_has(const struct vhost_user *vu, unsigned protocol_feature);

/*
 * From now on, and at each start, the first nrings rings are enabled. -errno: the same ones as before are, or the
 * connection has ended.
 */
int vhost_user_enable_rings(struct vhost_user *vu, unsigned nrings);

/* The driver has forgotten its requests, or there is no driver any more. */
void vhost_user_forget_inflight(struct vhost_user *vu);

/* The device's configuration in the back end. */
int vhost_user_get_config(struct vhost_user *vu, uint8_t *config, uint32_t size);
int vhost_user_set_config(struct vhost_user *vu, uint32_t off, const uint8_t *bytes, uint32_t len);

/* ---- between the files of this back end ------------------------------------------------------------------------- */

/* One message with its name in backend.failed; it asks for an answer if the back end can give one. */
int vhost_user_call(struct vhost_user *vu, const struct vhost_user_message *message);
int vhost_user_set_u64(struct vhost_user *vu, enum vhost_user_request request, uint64_t val);
int vhost_user_start_inflight(struct vhost_user *vu); /* vhost_user_inflight.c; 0 without the protocol feature */
int vhost_user_set_memory(struct vhost_backend *backend, const struct vm_memory *memory); /* vhost_user_memory.c */
/* The back end's own channel: vhost_user_requests.c */
int vhost_user_requests_open(struct vhost_user *vu);
extern const struct broker_op vhost_user_channel_op;
void vhost_user_requests_close(struct vhost_user *vu);

#endif
