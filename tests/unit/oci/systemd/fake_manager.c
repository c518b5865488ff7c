// SPDX-License-Identifier: Apache-2.0
// systemd's manager object, as a process. The program's connections come here, whatever their address.
#include "fake_manager.h"

#include <assert.h>
#include <dbus/dbus.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#define SYSTEMD "org.freedesktop.systemd1"
#define JOB "/org/freedesktop/systemd1/job/7"

static struct fake_manager fake;
static char dir[] = "/tmp/pmvm-bus-XXXXXX";
static char address[64], calls_path[64];
static pid_t process;
static DBusWatch *watch;
static DBusConnection *client;
static FILE *calls;

// ---- the program's side: the address that it means

DBusConnection *__real_dbus_connection_open_private(const char *text, DBusError *error);
DBusConnection *__wrap_dbus_connection_open_private(const char *text, DBusError *error);
DBusConnection *__wrap_dbus_connection_open_private(const char *text, DBusError *error)
{
	const bool is_bus = strcmp(text, "unix:path=/run/dbus/system_bus_socket") == 0;

	assert(is_bus || strcmp(text, "unix:path=/run/systemd/private") == 0);
	if (process && fake.is_bus == is_bus)
		text = address;
	else
		text = "unix:path=/nonexistent/socket";
	return __real_dbus_connection_open_private(text, error);
}

// ---- calls as text

static void print_value(DBusMessageIter *at)
{
	const int type = dbus_message_iter_get_arg_type(at);
	DBusBasicValue val;
	DBusMessageIter inner;

	if (dbus_type_is_basic(type)) {
		dbus_message_iter_get_basic(at, &val);
		if (type == DBUS_TYPE_STRING)
			fprintf(calls, "%s", val.str);
		else if (type == DBUS_TYPE_UINT64)
			fprintf(calls, "%llu", (unsigned long long)val.u64);
		else if (type == DBUS_TYPE_BYTE)
			fprintf(calls, "%02x", val.byt);
		else
			fprintf(calls, "%u", val.u32);
		return;
	}
	fputc(type == DBUS_TYPE_ARRAY ? '[' : '(', calls);
	for (dbus_message_iter_recurse(at, &inner); dbus_message_iter_get_arg_type(&inner) != DBUS_TYPE_INVALID;) {
		print_value(&inner);
		if (dbus_message_iter_next(&inner))
			fputc(' ', calls);
	}
	fputc(type == DBUS_TYPE_ARRAY ? ']' : ')', calls);
}

static void print_call(DBusMessage *call)
{
	DBusMessageIter at;

	fprintf(calls, "%s", dbus_message_get_member(call));
	if (dbus_message_iter_init(call, &at)) {
		do {
			fputc(' ', calls);
			print_value(&at);
		} while (dbus_message_iter_next(&at));
	}
	fputc('\n', calls);
	fflush(calls);
}

// ---- answers

static void end_job(const char *job)
{
	DBusMessage *message = dbus_message_new_signal("/org/freedesktop/systemd1", SYSTEMD ".Manager", "JobRemoved");
	const char *unit = "u.scope";
	const dbus_uint32_t id = 7;

	dbus_message_append_args(message, DBUS_TYPE_UINT32, &id, DBUS_TYPE_OBJECT_PATH, &job, DBUS_TYPE_STRING, &unit,
	                         DBUS_TYPE_STRING, &fake.job_result, DBUS_TYPE_INVALID);
	dbus_connection_send(client, message, NULL);
	dbus_message_unref(message);
}

static void send_answer(DBusMessage *answer)
{
	dbus_connection_send(client, answer, NULL);
	dbus_message_unref(answer);
}

static void answer_job(DBusMessage *call)
{
	DBusMessage *answer = dbus_message_new_method_return(call);
	const char *job = JOB, *other = JOB "0";

	dbus_message_append_args(answer, DBUS_TYPE_OBJECT_PATH, &job, DBUS_TYPE_INVALID);
	// Another one's job, and the end before the answer: a client has to keep what comes.
	if (fake.job_result) {
		end_job(other);
		end_job(job);
	}
	send_answer(answer);
}

static void answer(DBusMessage *call)
{
	const char *member = dbus_message_get_member(call), *name = ":1.5";
	const bool starts = strcmp(member, "StartTransientUnit") == 0, stops = strcmp(member, "StopUnit") == 0;
	const char *error = starts ? fake.error : stops ? fake.stop_error : NULL;
	const dbus_bool_t has_owner = !fake.is_bus_without_systemd;

	if (strcmp(dbus_message_get_interface(call), DBUS_INTERFACE_DBUS) == 0) {
		DBusMessage *got = dbus_message_new_method_return(call);

		if (strcmp(member, "Hello") == 0)
			dbus_message_append_args(got, DBUS_TYPE_STRING, &name, DBUS_TYPE_INVALID);
		else if (strcmp(member, "NameHasOwner") == 0)
			dbus_message_append_args(got, DBUS_TYPE_BOOLEAN, &has_owner, DBUS_TYPE_INVALID);
		send_answer(got);
		return;
	}
	// What a connection without a bus begins with.
	if (strcmp(member, "GetUnit") == 0) {
		send_answer(dbus_message_new_error(call, SYSTEMD ".NoSuchUnit", "no such unit"));
		return;
	}
	print_call(call);
	if (error) {
		send_answer(dbus_message_new_error(call, error, "as the test wants it"));
		fake.error = NULL;
	} else if (starts && fake.hangs_up) {
		exit(0);
	} else if (starts || stops) {
		answer_job(call);
	} else {
		send_answer(dbus_message_new_method_return(call));
	}
}

static void connected(DBusServer *server, DBusConnection *conn, void *unused)
{
	(void)server;
	(void)unused;
	client = dbus_connection_ref(conn);
}

static dbus_bool_t add_watch(DBusWatch *added, void *unused)
{
	(void)unused;
	watch = added;
	return true;
}

static void remove_watch(DBusWatch *removed, void *unused)
{
	(void)removed;
	(void)unused;
}

static void serve(DBusServer *server)
{
	dbus_server_set_new_connection_function(server, connected, NULL, NULL);
	dbus_server_set_watch_functions(server, add_watch, remove_watch, NULL, NULL, NULL);
	for (;;) {
		struct pollfd listener = { .fd = dbus_watch_get_unix_fd(watch), .events = POLLIN };
		DBusMessage *message;

		while (!client) {
			poll(&listener, 1, -1);
			dbus_watch_handle(watch, DBUS_WATCH_READABLE);
		}
		dbus_connection_set_exit_on_disconnect(client, false);
		while (dbus_connection_read_write(client, -1)) {
			while ((message = dbus_connection_pop_message(client))) {
				if (dbus_message_get_type(message) == DBUS_MESSAGE_TYPE_METHOD_CALL)
					answer(message);
				dbus_message_unref(message);
			}
		}
		dbus_connection_unref(client);
		client = NULL;
	}
}

void fake_manager_start(const struct fake_manager *how)
{
	DBusServer *server;

	fake = *how;
	snprintf(dir, sizeof(dir), "/tmp/pmvm-bus-XXXXXX");
	assert(mkdtemp(dir));
	snprintf(address, sizeof(address), "unix:path=%s/socket", dir);
	snprintf(calls_path, sizeof(calls_path), "%s/calls", dir);
	calls = fopen(calls_path, "w");
	server = dbus_server_listen(address, NULL);
	assert(calls && server);
	process = fork();
	if (process == 0) {
		// After a test that has failed nobody ends it.
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		serve(server);
	}
	fclose(calls);
}

const char *fake_manager_end(void)
{
	static char text[4096];
	FILE *in = fopen(calls_path, "r");
	char path[80];
	size_t len;

	kill(process, SIGKILL);
	waitpid(process, NULL, 0);
	process = 0;
	len = fread(text, 1, sizeof(text) - 1, in);
	text[len] = '\0';
	fclose(in);
	unlink(calls_path);
	snprintf(path, sizeof(path), "%s/socket", dir);
	unlink(path);
	rmdir(dir);
	return text;
}
