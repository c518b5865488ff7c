// SPDX-License-Identifier: Apache-2.0
/*
 * fake_user.h - a vhost-user back end, in a thread of its own, that writes down what it gets, and misbehaves on request.
 *
 * Time: while it hangs, a wait of the front end is over in a moment, and was as long as it wanted to wait (wrapped poll
 * and monotonic_ms).
 */
#ifndef FAKE_USER_H
#define FAKE_USER_H

#include "vhost_user_link.h"

#include <pthread.h>
#include <stdbool.h>

#define FAKE_USER_QUEUES 4u
#define FAKE_USER_REGIONS 32u
#define FAKE_USER_LOG 256u

/* What it does instead of its answer to the request `bad`. */
enum fake_user_how {
	FAKE_USER_FINE,
	FAKE_USER_CLOSE,
	FAKE_USER_HANG,
	FAKE_USER_HALF,          /* half of the header, and then nothing */
	FAKE_USER_OTHER_REQUEST, /* the answer to another request */
	FAKE_USER_NO_REPLY_FLAG,
	FAKE_USER_VERSION,
	FAKE_USER_SHORT, /* less than the payload */
	FAKE_USER_LONG,  /* says 4 GiB */
	FAKE_USER_WITH_FD,
	FAKE_USER_REFUSE, /* the acknowledgement says no; a configuration is empty */
	FAKE_USER_VALUE,  /* all ones */
	/* These are for a test of their own. On its channel: */
	FAKE_USER_ASKS,           /* reports a change, and answers once that is acknowledged */
	FAKE_USER_ASKS_NONSENSE,  /* makes a request that does not exist, and does not answer */
	FAKE_USER_CLOSES_CHANNEL, /* and hangs */
	/* Instead of reading what comes after the request: */
	FAKE_USER_STOPS_READING,
	FAKE_USER_READS_LATE,
	/* Its answer to GET_INFLIGHT_FD: */
	FAKE_USER_NO_FILE,
	FAKE_USER_NO_ROOM,
};

struct fake_user_ring {
	uint32_t num, base;
	struct vhost_user_vring_addr addr;
	bool kick, call, err, enabled;
};

struct fake_user {
	/* Set before fake_user_start. */
	uint64_t features, protocol_features, nqueues, nslots;
	uint8_t config[VHOST_USER_CONFIG_MAX];
	uint32_t config_size;
	enum vhost_user_request bad;
	enum fake_user_how how;
	unsigned refuses_enable, refuses_disable; /* SET_VRING_ENABLE: a bit for each ring */
	uint32_t stop_base;                       /* what GET_VRING_BASE answers */

	/* What it got. Under the lock, or while the front end waits for nothing. */
	pthread_mutex_t lock;
	enum vhost_user_request log[FAKE_USER_LOG];
	unsigned nlog;
	uint64_t set_features, set_protocol_features;
	struct fake_user_ring rings[FAKE_USER_QUEUES];
	struct vhost_user_region regions[FAKE_USER_REGIONS];
	unsigned nregions, nfds_wrong; /* messages with another number of descriptors than they have */
	struct vhost_user_config_payload written;
	struct vhost_user_inflight asked, inflight; /* GET_INFLIGHT_FD, SET_INFLIGHT_FD */
	uint64_t inflight_file;                     /* that came with the latter: its inode */
	uint64_t mtu, rarp;
	int channel_fd; /* of its own requests; -1: none */

	pthread_t thread;
	int fd;
	bool started;
};

/* From now on it answers that request so; 0: all are answered well. Any thread, also while it works. */
void fake_user_be_bad(struct fake_user *fake, enum vhost_user_request request, enum fake_user_how how);

/* One with all features, without a connection. */
void fake_user_init(struct fake_user *fake);
/* Returns the front end's socket. */
int fake_user_start(struct fake_user *fake);
/* Its process ends; legal for one that was not started. */
void fake_user_end(struct fake_user *fake);
/* How often the request came. */
unsigned fake_user_count(struct fake_user *fake, enum vhost_user_request request);

#endif
