// SPDX-License-Identifier: Apache-2.0
// Calls of systemd's manager object over D-Bus.
#include "bus.h"

#include "error.h"
#include "monotonic.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#define SYSTEMD "org.freedesktop.systemd1"
#define SYSTEMD_PATH "/org/freedesktop/systemd1"
#define MANAGER SYSTEMD ".Manager"

// The second is a connection to systemd itself, without a bus between.
static const struct address {
	const char *text;
	bool is_bus;
} addresses[] = {
	{ .text = "unix:path=/run/dbus/system_bus_socket", .is_bus = true },
	{ .text = "unix:path=/run/systemd/private" },
};

static int no_systemd(struct vpmem_error *err, const char *why)
{
	// The words of runc.
	error_set(err, -ENOTCONN, "systemd not running on this host, cannot use systemd cgroups manager: %s", why);
	error_hint(err, "use --cgroup-manager=cgroupfs, of the engine also");
	return -ENOTCONN;
}

static bool join_bus(DBusConnection *conn, DBusError *error)
{
	if (!dbus_bus_register(conn, error))
		return false;
	if (!dbus_bus_name_has_owner(conn, SYSTEMD, error)) {
		if (!dbus_error_is_set(error))
			dbus_set_error_const(error, DBUS_ERROR_NAME_HAS_NO_OWNER, "no systemd on the system bus");
		return false;
	}
	// Ends of jobs. The other connection has them without a question.
	dbus_bus_add_match(conn,
	                   "type='signal',sender='" SYSTEMD "',path='" SYSTEMD_PATH "',interface='" MANAGER
	                   "',member='JobRemoved'",
	                   error);
	return !dbus_error_is_set(error);
}

DBusMessage *bus_call_new(const char *method)
{
	return dbus_message_new_method_call(SYSTEMD, SYSTEMD_PATH, MANAGER, method);
}

static int left_ms(const struct bus *bus)
{
	uint64_t now = monotonic_ms();

	return bus->end_ms > now ? (int)(bus->end_ms - now) : 0;
}

/*
 * systemd itself, without a bus between, reads up to 256 bytes with the end of the greeting, and leaves a message that is
 * complete in them until more comes. A bus begins with a question of its own, for which it waits. So this one begins with a
 * call that is longer, and any answer is one.
 */
static bool greet(struct bus *bus, DBusError *error)
{
	char name[512], *text = name;
	DBusMessage *call = bus_call_new("GetUnit"), *answer = NULL;

	memset(name, 'x', sizeof(name) - 1);
	name[sizeof(name) - 1] = '\0';
	if (call && dbus_message_append_args(call, DBUS_TYPE_STRING, &text, DBUS_TYPE_INVALID))
		answer = dbus_connection_send_with_reply_and_block(bus->conn, call, left_ms(bus), error);
	if (call)
		dbus_message_unref(call);
	if (answer)
		dbus_message_unref(answer);
	if (answer ||
	    (dbus_connection_get_is_connected(bus->conn) && !dbus_error_has_name(error, DBUS_ERROR_NO_REPLY))) {
		dbus_error_free(error);
		return true;
	}
	return false;
}

int bus_open(struct bus *bus, struct vpmem_error *err)
{
	char why[256] = "";

	*bus = (struct bus) { .end_ms = monotonic_ms() + BUS_TIMEOUT_MS };
	for (size_t i = 0; i < sizeof(addresses) / sizeof(addresses[0]); i++) {
		DBusError error = DBUS_ERROR_INIT;

		bus->conn = dbus_connection_open_private(addresses[i].text, &error);
		if (bus->conn && (addresses[i].is_bus ? join_bus(bus->conn, &error) : greet(bus, &error))) {
			// A library would end the process of ours otherwise.
			dbus_connection_set_exit_on_disconnect(bus->conn, false);
			return 0;
		}
		snprintf(why, sizeof(why), "%s", error.message);
		dbus_error_free(&error);
		bus_close(bus);
	}
	return no_systemd(err, why);
}

void bus_close(struct bus *bus)
{
	if (!bus->conn)
		return;
	dbus_connection_close(bus->conn);
	dbus_connection_unref(bus->conn);
	bus->conn = NULL;
}

static int code_of(const DBusError *error)
{
	static const struct {
		const char *name;
		int code;
	} codes[] = {
		{ SYSTEMD ".UnitExists", -EEXIST },         { SYSTEMD ".NoSuchUnit", -ENOENT },
		{ DBUS_ERROR_NO_REPLY, -ETIMEDOUT },        { DBUS_ERROR_TIMEOUT, -ETIMEDOUT },
		{ DBUS_ERROR_DISCONNECTED, -ECONNABORTED },
	};

	for (size_t i = 0; i < sizeof(codes) / sizeof(codes[0]); i++)
		if (dbus_error_has_name(error, codes[i].name))
			return codes[i].code;
	return -EREMOTEIO;
}

int bus_call(struct bus *bus, DBusMessage *call, DBusMessage **answer, struct vpmem_error *err)
{
	DBusError error = DBUS_ERROR_INIT;
	DBusMessage *got;
	int rc = 0;

	if (!call)
		return error_set(err, -ENOMEM, "out of memory");
	got = dbus_connection_send_with_reply_and_block(bus->conn, call, left_ms(bus), &error);
	if (!got) {
		rc = code_of(&error);
		error_set(err, rc, "systemd: %s: %s", dbus_message_get_member(call), error.message);
	}
	dbus_error_free(&error);
	dbus_message_unref(call);
	if (got && answer)
		*answer = got;
	else if (got)
		dbus_message_unref(got);
	return rc;
}

// ---- jobs

// 1: it is the end of another job, or something else. 0: the job is done. -errno.
static int take_signal(DBusMessage *message, const char *job, const char *what, struct vpmem_error *err)
{
	const char *path, *unit, *result;
	dbus_uint32_t id;

	if (dbus_message_is_signal(message, DBUS_INTERFACE_LOCAL, "Disconnected"))
		return error_set(err, -ECONNABORTED, "systemd: %s: the connection was lost", what);
	if (!dbus_message_is_signal(message, MANAGER, "JobRemoved") ||
	    !dbus_message_get_args(message, NULL, DBUS_TYPE_UINT32, &id, DBUS_TYPE_OBJECT_PATH, &path, DBUS_TYPE_STRING,
	                           &unit, DBUS_TYPE_STRING, &result, DBUS_TYPE_INVALID) ||
	    strcmp(path, job) != 0)
		return 1;
	return strcmp(result, "done") == 0 ? 0 : error_set(err, -EREMOTEIO, "systemd: %s: %s", what, result);
}

static int wait_job(struct bus *bus, const char *job, const char *what, struct vpmem_error *err)
{
	int rc = 1;

	while (rc == 1) {
		DBusMessage *message = dbus_connection_pop_message(bus->conn);
		const int left = left_ms(bus);

		if (message) {
			rc = take_signal(message, job, what, err);
			dbus_message_unref(message);
		} else if (left == 0) {
			rc = error_set(err, -ETIMEDOUT, "systemd: %s: no end of the job within %d s", what,
			               BUS_TIMEOUT_MS / 1000);
		} else {
			dbus_connection_read_write(bus->conn, left);
		}
	}
	return rc;
}

int bus_call_job(struct bus *bus, DBusMessage *call, const char *what, struct vpmem_error *err)
{
	DBusMessage *answer = NULL;
	const char *job;
	int rc = bus_call(bus, call, &answer, err);

	if (rc < 0)
		return rc;
	if (dbus_message_get_args(answer, NULL, DBUS_TYPE_OBJECT_PATH, &job, DBUS_TYPE_INVALID))
		rc = wait_job(bus, job, what, err);
	else
		rc = error_set(err, -EREMOTEIO, "systemd: %s: an answer without a job", what);
	dbus_message_unref(answer);
	return rc;
}
