// SPDX-License-Identifier: Apache-2.0
/*
 * chardev_config.h - one character device as the user asked for it.
 */
#ifndef PMVM_CHARDEV_CONFIG_H
#define PMVM_CHARDEV_CONFIG_H

#include <stdbool.h>
#include <stdint.h>

#define CHARDEV_MONITOR_PEERS_MAX 16u /* clients that the socket of a monitor serves at a time */

enum chardev_kind {
	CHARDEV_NULL,
	CHARDEV_STDIO,
	CHARDEV_FILE,
	CHARDEV_SOCKET,
	CHARDEV_PTY,
	CHARDEV_RINGBUF,
};

/* Strings are owned by the struct. */
struct chardev_config {
	enum chardev_kind kind;
	char *id;              /* NULL: it cannot be named */
	char *path;            /* file; socket: in the file system */
	char *host, *port;     /* socket: numbers; no host: loopback */
	char *fd;              /* socket: the number of an open descriptor */
	bool server;           /* socket: listens; otherwise it connects */
	bool wait;             /* server: do not start the guest before a peer has connected */
	uint32_t reconnect_ms; /* socket that connects: how long after the end of a connection; 0: not again */
	bool async;            /* the machine runs already: a connection is not waited for */
	bool monitor;          /* its user is a monitor: it serves several peers, which must be the owner's */
	bool append;           /* file: it is not emptied */
	char *logfile;         /* a file that gets all output as well; NULL: none */
	bool logappend;        /* it is not emptied */
	bool mux;              /* stdio: Ctrl-a is the escape character (-nographic) */
	bool signals;          /* stdio: Ctrl-c ends the program */
	uint64_t size;         /* ringbuf: bytes, a power of two */
};

#endif
