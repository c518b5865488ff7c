// SPDX-License-Identifier: Apache-2.0
// The machine's events in QEMU's JSON.
#include "event.h"

#include "json_make.h"
#include "machine.h"
#include "schema_make.h"

#include <errno.h>
#include <string.h>
#include <time.h>

static ENUM_OF(cause_type, "ShutdownCause", machine_cause_names);
static OBJECT(shutdown_type, "ShutdownEvent", MEMBER("guest", schema_bool), MEMBER("reason", cause_type));
static OBJECT(pmem_type, "PmemEvent", OPTIONAL("id", schema_str), OPTIONAL("path", schema_str),
              OPTIONAL("file", schema_str), MEMBER("errno", schema_int), MEMBER("message", schema_str));
static OBJECT(balloon_type, "BALLOON_CHANGE-arg", MEMBER("actual", schema_int));
static OBJECT(vhost_user_type, "VhostUserEvent", OPTIONAL("device", schema_str), MEMBER("path", schema_str),
              MEMBER("connected", schema_bool), OPTIONAL("message", schema_str));
static OBJECT(port_type, "VserportChangeEvent", MEMBER("id", schema_str), MEMBER("open", schema_bool));
static OBJECT(device_type, "DeviceEvent", OPTIONAL("device", schema_str), MEMBER("path", schema_str));
static OBJECT(filter_type, "NicRxFilterChangedEvent", OPTIONAL("name", schema_str), MEMBER("path", schema_str));
static const char *const address_words[] = { "inet", "unix", "fd", NULL };
static ENUM_OF(address_words_type, "SocketAddressType", address_words);
static OBJECT(address_type, "SocketAddress", MEMBER("type", address_words_type), OPTIONAL("path", schema_str),
              OPTIONAL("host", schema_str), OPTIONAL("port", schema_str), OPTIONAL("str", schema_str));
static OBJECT(connected_type, "NetdevStreamConnectedEvent", MEMBER("netdev-id", schema_str),
              MEMBER("addr", address_type));
static OBJECT(disconnected_type, "NetdevStreamDisconnectedEvent", MEMBER("netdev-id", schema_str));
static OBJECT(user_connected_type, "NetdevVhostUserConnectedEvent", MEMBER("netdev-id", schema_str),
              MEMBER("chardev-id", schema_str));
static OBJECT(user_disconnected_type, "NetdevVhostUserDisconnectedEvent", MEMBER("netdev-id", schema_str));

const struct event_info event_table[] = {
	[MACHINE_EVENT_STOP] = { "STOP", NULL },
	[MACHINE_EVENT_RESUME] = { "RESUME", NULL },
	[MACHINE_EVENT_RESET] = { "RESET", &shutdown_type },
	[MACHINE_EVENT_SHUTDOWN] = { "SHUTDOWN", &shutdown_type },
	[MACHINE_EVENT_POWERDOWN] = { "POWERDOWN", NULL },
	[MACHINE_EVENT_DEVICE_DELETED] = { "DEVICE_DELETED", &device_type },
	[MACHINE_EVENT_DEVICE_UNPLUG_GUEST_ERROR] = { "DEVICE_UNPLUG_GUEST_ERROR", &device_type },
	[MACHINE_EVENT_BALLOON_CHANGE] = { "BALLOON_CHANGE", &balloon_type },
	[MACHINE_EVENT_PMEM_ERROR] = { "PMEM_ERROR", &pmem_type },
	[MACHINE_EVENT_PMEM_NOSPACE] = { "PMEM_NOSPACE", &pmem_type },
	[MACHINE_EVENT_PMEM_STORE_REFUSED] = { "PMEM_STORE_REFUSED", &pmem_type },
	[MACHINE_EVENT_VHOST_USER_CHANGE] = { "VHOST_USER_CHANGE", &vhost_user_type },
	[MACHINE_EVENT_VSERPORT_CHANGE] = { "VSERPORT_CHANGE", &port_type },
	[MACHINE_EVENT_NIC_RX_FILTER_CHANGED] = { "NIC_RX_FILTER_CHANGED", &filter_type },
	[MACHINE_EVENT_NETDEV_STREAM_CONNECTED] = { "NETDEV_STREAM_CONNECTED", &connected_type },
	[MACHINE_EVENT_NETDEV_STREAM_DISCONNECTED] = { "NETDEV_STREAM_DISCONNECTED", &disconnected_type },
	[MACHINE_EVENT_NETDEV_VHOST_USER_CONNECTED] = { "NETDEV_VHOST_USER_CONNECTED", &user_connected_type },
	[MACHINE_EVENT_NETDEV_VHOST_USER_DISCONNECTED] = { "NETDEV_VHOST_USER_DISCONNECTED", &user_disconnected_type },
};
const unsigned event_count = sizeof(event_table) / sizeof(event_table[0]);

static struct json_object *timestamp(void)
{
	struct json_object *stamp = json_object_new_object();
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	put_int(stamp, "seconds", now.tv_sec);
	put_int(stamp, "microseconds", now.tv_nsec / 1000);
	return stamp;
}

// Events that QEMU does not have: the device, its file, and the host's errno.
static void put_pmem(struct json_object *data, const struct machine_event *event)
{
	if (event->device)
		put_str(data, "id", event->device);
	if (event->path)
		put_str(data, "path", event->path);
	if (event->file)
		put_str(data, "file", event->file);
	put_int(data, "errno", event->error);
	// EFAULT: a page was refused, and nothing on the host says why.
	put_str(data, "message", event->error == EFAULT ? "reason unknown" : strerror(event->error));
}

static void put_netdev(struct json_object *data, const struct machine_event *event)
{
	const struct netdev_address *addr = event->address;
	struct json_object *out;

	put_str(data, "netdev-id", event->device);
	if (event->kind == MACHINE_EVENT_NETDEV_VHOST_USER_CONNECTED)
		put_str(data, "chardev-id", event->chardev);
	if (event->kind != MACHINE_EVENT_NETDEV_STREAM_CONNECTED)
		return;
	out = json_object_new_object();
	put_str(out, "type", addr->type);
	if (addr->path)
		put_str(out, "path", addr->path);
	if (addr->host)
		put_str(out, "host", addr->host);
	if (addr->port)
		put_str(out, "port", addr->port);
	if (addr->str)
		put_str(out, "str", addr->str);
	put(data, "addr", out);
}

static bool is_netdev(enum machine_event_kind kind)
{
	return kind >= MACHINE_EVENT_NETDEV_STREAM_CONNECTED && kind <= MACHINE_EVENT_NETDEV_VHOST_USER_DISCONNECTED;
}

static struct json_object *data_of(const struct machine_event *event)
{
	struct json_object *data = json_object_new_object();

	if (event_table[event->kind].data == &shutdown_type) {
		put_bool(data, "guest", machine_cause_is_guest(event->cause));
		put_str(data, "reason", machine_cause_name(event->cause));
		return data;
	}
	if (event_table[event->kind].data == &pmem_type) {
		put_pmem(data, event);
		return data;
	}
	if (event_table[event->kind].data == &balloon_type) {
		put_uint(data, "actual", event->size);
		return data;
	}
	if (event_table[event->kind].data == &port_type) {
		put_str(data, "id", event->device);
		put_bool(data, "open", event->open);
		return data;
	}
	if (is_netdev(event->kind)) {
		put_netdev(data, event);
		return data;
	}
	if (event->device)
		put_str(data, event_table[event->kind].data == &filter_type ? "name" : "device", event->device);
	put_str(data, "path", event->path);
	if (event_table[event->kind].data != &vhost_user_type)
		return data;
	put_bool(data, "connected", event->connected);
	if (*event->message)
		put_str(data, "message", event->message);
	return data;
}

struct json_object *monitor_event_json(const struct machine_event *event)
{
	struct json_object *json = json_object_new_object();

	put(json, "timestamp", timestamp());
	put_str(json, "event", event_table[event->kind].name);
	if (event_table[event->kind].data)
		put(json, "data", data_of(event));
	return json;
}
