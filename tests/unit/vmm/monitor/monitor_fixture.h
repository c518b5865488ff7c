// SPDX-License-Identifier: Apache-2.0
/*
 * monitor_fixture.h - a machine that is only a loop, its monitor, and clients on sockets. The commands are
 * a table of the tests (fake_commands.c), QMP is a front end that the tests control (fake_qmp.c).
 */
#ifndef MONITOR_FIXTURE_H
#define MONITOR_FIXTURE_H

#include "machine.h"
#include "monitor.h"
#include "monitor_internal.h"

struct rig {
	struct machine machine;
	struct machine_config opts;
	struct device_config device_config;
	struct object_config object_config;
	struct device device, *devices[1];
	struct object object, *objects[1];
	struct monitor *monitor;
	char dir[64], hmp_path[96], qmp_path[96];
	unsigned nquits;
	int saved_stdin, saved_stdout, in_fd, out_fd;
};

/* With a listener for HMP and one for QMP. The machine lock is held. */
int rig_up(void **state);
int rig_down(void **state);
extern struct rig rig;

/* Sockets of clients do not block. */
int rig_connect(const char *path);
void rig_send(int fd, const char *text);
/* Turns the loop, a bounded number of times, until what was read ends with `end`; fails the test otherwise. */
const char *rig_read_until(int fd, const char *end);
/* Turns the loop until the peer has closed; fails the test otherwise. */
void rig_read_to_end(int fd);
void rig_turn(void);
/* Adds a monitor of the next monitor_create on a chardev of its own. */
void rig_add_monitor(enum monitor_protocol protocol, const struct chardev_config *cfg);

/* Pipes in the place of standard input and output. */
void rig_take_stdio(void);
void rig_give_stdio(void);

/* ---- the fakes */

/* What the last command got: its arguments as text. */
extern char fake_args[4096];
/* What the fake front ends of QMP received. */
extern struct fake_qmp {
	unsigned nopen, nclose, nevents;
	unsigned ntexts; /* of events, which were made */
	size_t ninput;
	size_t answer_len; /* each input is answered with so many bytes */
	bool hang_up;      /* after the answer */
} fake_qmp;

#endif
