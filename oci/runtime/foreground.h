// SPDX-License-Identifier: Apache-2.0
/*
 * foreground.h - waits for a process that is a child of ours, as a shell waits for a program: signals are passed on, and the
 * terminal of the container is that of the command.
 */
#ifndef PMVM_OCI_FOREGROUND_H
#define PMVM_OCI_FOREGROUND_H

#include <stdbool.h>
#include <sys/types.h>
#include <vpmem.h>

/*
 * A terminal for a process without --console-socket: the process sends its master to a socket of ours. All zeros but the
 * descriptors, which are -1, is none.
 */
struct foreground {
	char socket_path[108]; /* for the process; "": it needs none */
	int listen_fd, master_fd, signal_fd;
};

/* Blocks the signals that are passed on from now on. has_terminal: makes the socket, in a directory that only we can read. */
int foreground_open(struct foreground *fg, bool has_terminal, struct vpmem_error *err);
/*
 * Takes the terminal of a container that is created: its size becomes that of ours, and ours goes into raw mode. Without a
 * terminal, or for the second time, it does nothing.
 */
void foreground_attach(struct foreground *fg);
/* The size of our terminal. false: there is none. */
bool foreground_size(unsigned *rows, unsigned *columns);
/*
 * Attaches it if that is not done, and waits until the process has ended: its exit status, or 128 + N. `pass` sends a signal to what the process stands for; it may fail.
 */
int foreground_wait(struct foreground *fg, pid_t pid, void (*pass)(void *owner, int signal), void *owner);
/* Also gives the terminal back its settings. */
void foreground_close(struct foreground *fg);

#endif
