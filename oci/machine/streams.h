// SPDX-License-Identifier: Apache-2.0
/*
 * streams.h - the standard streams of one process in the guest: those of this process, or a terminal.
 *
 * Each has a connection of its own to the guest (docs/containers-protocol.md), by the names "stdin", "stdout" and
 * "stderr", or "terminal". Flow control and half-close are those of the connections.
 */
#ifndef PMVM_OCI_STREAMS_H
#define PMVM_OCI_STREAMS_H

#include "pump.h"
#include "terminal.h"

#include <vpmem.h>

#define STREAMS 3u

struct stream {
	struct streams *of;
	struct nonblock host, guest; /* fd -1: none */
	int host_fd;                 /* ours, which `host` may use; -1: none */
	struct pump to_guest, to_host;
	bool is_there; /* the guest has connected it */
};

struct streams {
	struct loop *loop; /* NULL: not open */
	bool terminal;
	int slave_fd;
	unsigned n; /* 3, or 1: the terminal */
	struct stream streams[STREAMS];
	struct loop_timer release, drain;
	uint64_t drain_moved; /* at the last tick of the timer */
	unsigned drain_ticks; /* without progress */
	unsigned drain_guest_ticks;
	uint64_t drain_begin; /* bytes that were moved before */
	void (*drained)(void *owner);
	void *owner;
};

/*
 * Takes the descriptors 0 and 1 of this process, which are /dev/null afterwards, and a copy of 2, which is /dev/null
 * when the program has closed its own and runs on; with a terminal it takes none, and makes a terminal (terminal.h).
 * *streams is all zeros; streams_close is legal afterwards in any case.
 */
int streams_open(struct streams *streams, struct loop *loop, bool terminal, const char *console_socket,
                 struct terminal_size size, struct vpmem_error *err);

/* A connection of the guest, which is taken. -EINVAL: no such stream. -EEXIST: it is there already. */
int streams_attach(struct streams *streams, const char *which, int fd);
/* All of them were attached. */
bool streams_are_complete(const struct streams *streams);

/*
 * The process has ended: moves what is under way, then calls `drained`, at once or from the event loop. It gives up after
 * 2 s without a byte from a guest that does not close a stream, and after 30 s without one taken by a reader. What the
 * process wrote is here already, or nearly so: a guest that goes on sending is cut off after 10 s, or after 64 MiB.
 */
void streams_drain(struct streams *streams, void (*drained)(void *owner), void *owner);

void streams_close(struct streams *streams);

#endif
