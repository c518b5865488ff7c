// SPDX-License-Identifier: Apache-2.0
/*
 * bus.h - calls of systemd's manager object over D-Bus.
 */
#ifndef PMVM_OCI_BUS_H
#define PMVM_OCI_BUS_H

#include <dbus/dbus.h>
#include <stdint.h>
#include <vpmem.h>

#define BUS_TIMEOUT_MS 60000 /* of one operation, its job included */

struct bus {
	DBusConnection *conn;
	uint64_t end_ms;
};

/* -ENOTCONN: there is no systemd at any address. bus_close is legal in any case. */
int bus_open(struct bus *bus, struct vpmem_error *err);
void bus_close(struct bus *bus);

/* A call of the manager. NULL: out of memory. */
DBusMessage *bus_call_new(const char *method);

/*
 * Sends the call, which it frees (may be NULL: out of memory), and returns the answer in *answer (may be NULL), which the
 * caller frees. -EEXIST, -ENOENT: there is such a unit, there is none.
 */
int bus_call(struct bus *bus, DBusMessage *call, DBusMessage **answer, struct vpmem_error *err);
/* The same for a call that starts a job, and waits for its end. `what` names it in an error. */
int bus_call_job(struct bus *bus, DBusMessage *call, const char *what, struct vpmem_error *err);

#endif
