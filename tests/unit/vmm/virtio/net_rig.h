// SPDX-License-Identifier: Apache-2.0
/*
 * net_rig.h - the worker of a network card without a thread and without a transport: a test calls its function itself, builds
 * the queues in guest memory, and is the other side of the port.
 */
#ifndef NET_RIG_H
#define NET_RIG_H

#include "net_worker_internal.h"

#define RIG_RAM_GPA UINT64_C(0x100000)
#define RIG_RAM_SIZE 0x80000u
#define RIG_QUEUE_SIZE 16u
/* Descriptors, available ring, used ring of each queue; then an indirect table. */
#define RIG_DESC(queue) (RIG_RAM_GPA + 0x4000u * (queue))
#define RIG_AVAIL(queue) (RIG_DESC(queue) + 0x1000u)
#define RIG_USED(queue) (RIG_DESC(queue) + 0x2000u)
#define RIG_INDIRECT (RIG_RAM_GPA + 0x8000u)
#define RIG_DATA (RIG_RAM_GPA + 0x10000u)

#define RIG_NEXT 1u
#define RIG_WRITE 2u
#define RIG_IS_INDIRECT 4u

/* The other side. Frames are texts of the test, or whatever a fuzzer makes. */
struct net_rig_port {
	const uint8_t *next; /* NULL: there is none */
	size_t next_len;
	unsigned nnext;          /* how many times the same frame comes */
	bool blocked, unflushed; /* it takes none */
	uint8_t sent[NET_WORKER_FRAME_MAX];
	size_t sent_len;
	unsigned nsent, ndropped, nhung_up;
};

struct net_rig {
	struct net_worker worker;
	struct gmem mem;
	struct net_rig_port port;
	uint8_t ram[RIG_RAM_SIZE] __attribute__((aligned(4096)));
	uint16_t avail_idx[2], used_idx[2]; /* the driver's */
	int kick_efds[2], call_efds[2], error_efd;
};

/* A worker that runs, with these features. */
void net_rig_init(struct net_rig *rig, uint64_t features);
void net_rig_fini(struct net_rig *rig);
/* The device stops, and goes on: a driver that was reset begins anew. */
void net_rig_restart(struct net_rig *rig, bool anew);

uint8_t *net_rig_hva(struct net_rig *rig, uint64_t gpa);
/* A descriptor of a table, here in a queue's or elsewhere. */
void net_rig_desc(struct net_rig *rig, uint64_t table_gpa, unsigned idx, uint64_t gpa, uint32_t len, unsigned flags,
                  unsigned next);
void net_rig_offer(struct net_rig *rig, unsigned queue, uint16_t head);
/* The length of the next used entry, or -1: there is none. */
int64_t net_rig_used(struct net_rig *rig, unsigned queue, uint16_t *head);
/* How often the queue has interrupted since the last call. */
uint64_t net_rig_ncalls(struct net_rig *rig, unsigned queue);
bool net_rig_is_broken(struct net_rig *rig);
bool net_rig_serve(struct net_rig *rig, struct net_wait *wait);

#endif
