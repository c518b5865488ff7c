// SPDX-License-Identifier: Apache-2.0
// Transient scopes: their start, their limits, their end.
#include "scope.h"

#include "bus.h"
#include "error.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define NAME_MAX_LEN 255u
#define SET_BYTES 1024u /* 8192 processors, as many as Linux can have */

int scope_check_name(const char *name, struct vpmem_error *err)
{
	static const char chars[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789:-_.\\@";
	size_t len = strlen(name);

	if (len > 0 && len <= NAME_MAX_LEN && strspn(name, chars) == len)
		return 0;
	return error_set(err, -EINVAL, "'%.300s': systemd has no unit of such a name", name);
}

// ---- properties: (sv), a name and a variant

static bool open_property(DBusMessageIter *list, const char *name, const char *type, DBusMessageIter inner[2])
{
	return dbus_message_iter_open_container(list, DBUS_TYPE_STRUCT, NULL, &inner[0]) &&
	       dbus_message_iter_append_basic(&inner[0], DBUS_TYPE_STRING, &name) &&
	       dbus_message_iter_open_container(&inner[0], DBUS_TYPE_VARIANT, type, &inner[1]);
}

static bool close_property(DBusMessageIter *list, DBusMessageIter inner[2])
{
	return dbus_message_iter_close_container(&inner[0], &inner[1]) &&
	       dbus_message_iter_close_container(list, &inner[0]);
}

static bool add_basic(DBusMessageIter *list, const char *name, int type, const void *val)
{
	const char signature[] = { (char)type, '\0' };
	DBusMessageIter inner[2];

	return open_property(list, name, signature, inner) && dbus_message_iter_append_basic(&inner[1], type, val) &&
	       close_property(list, inner);
}

static bool add_array(DBusMessageIter *list, const char *name, int type, const void *vals, size_t n)
{
	const char signature[] = { DBUS_TYPE_ARRAY, (char)type, '\0' };
	DBusMessageIter inner[2], array;

	return open_property(list, name, signature, inner) &&
	       dbus_message_iter_open_container(&inner[1], DBUS_TYPE_ARRAY, signature + 1, &array) &&
	       dbus_message_iter_append_fixed_array(&array, type, &vals, (int)n) &&
	       dbus_message_iter_close_container(&inner[1], &array) && close_property(list, inner);
}

// "0-3,8" as bits. Returns the number of bytes; 0: it is no such list.
static size_t set_of(const char *text, uint8_t set[SET_BYTES])
{
	size_t len = 0;

	memset(set, 0, SET_BYTES);
	for (;; text++) {
		char *end;
		unsigned long first = strtoul(text, &end, 10), last = first;

		if (end == text || *text < '0' || *text > '9')
			return 0;
		if (*end == '-' && end[1] >= '0' && end[1] <= '9')
			last = strtoul(end + 1, &end, 10);
		if (last < first || last / 8 >= SET_BYTES)
			return 0;
		for (unsigned long i = first; i <= last; i++)
			set[i / 8] |= (uint8_t)(1u << i % 8);
		len = last / 8 + 1 > len ? last / 8 + 1 : len;
		text = end;
		if (*text != ',')
			return *text == '\0' || *text == '\n' ? len : 0;
	}
}

static bool add_limit(DBusMessageIter *list, const struct scope_limit *limit)
{
	uint8_t set[SET_BYTES];

	if (!limit->list)
		return add_basic(list, limit->name, DBUS_TYPE_UINT64, &limit->val);
	return add_array(list, limit->name, DBUS_TYPE_BYTE, set, set_of(limit->list, set));
}

static bool add_limits(DBusMessageIter *list, const struct scope_limit *limits, size_t n)
{
	bool is_good = true;

	for (size_t i = 0; is_good && i < n; i++)
		is_good = add_limit(list, &limits[i]);
	return is_good;
}

static int check_limits(const struct scope_limit *limits, size_t n, struct vpmem_error *err)
{
	uint8_t set[SET_BYTES];

	for (size_t i = 0; i < n; i++)
		if (limits[i].list && set_of(limits[i].list, set) == 0)
			return error_set(err, -EINVAL, "%s: '%.200s' is no list of numbers", limits[i].name,
			                 limits[i].list);
	return 0;
}

static bool add_life(DBusMessageIter *list, const struct scope *scope)
{
	const char *collect = "inactive-or-failed";
	const dbus_bool_t yes = true, no = false;
	const dbus_uint32_t pid = (dbus_uint32_t)scope->pid;

	return add_basic(list, "Description", DBUS_TYPE_STRING, &scope->description) &&
	       add_basic(list, "Slice", DBUS_TYPE_STRING, &scope->slice) &&
	       add_basic(list, "Delegate", DBUS_TYPE_BOOLEAN, &yes) &&
	       // The machine outlives the targets that end with the host's services: its engine ends it.
	       add_basic(list, "DefaultDependencies", DBUS_TYPE_BOOLEAN, &no) &&
	       // A unit that fails is not kept.
	       add_basic(list, "CollectMode", DBUS_TYPE_STRING, &collect) &&
	       add_array(list, "PIDs", DBUS_TYPE_UINT32, &pid, 1);
}

// ---- calls

static DBusMessage *unit_call(const char *method, const char *unit, const char *mode)
{
	DBusMessage *call = bus_call_new(method);

	if (call && dbus_message_append_args(call, DBUS_TYPE_STRING, &unit, mode ? DBUS_TYPE_STRING : DBUS_TYPE_INVALID,
	                                     &mode, DBUS_TYPE_INVALID))
		return call;
	if (call)
		dbus_message_unref(call);
	return NULL;
}

static void reset_failed(struct bus *bus, const char *unit)
{
	// Most have not failed: that is no error.
	bus_call(bus, unit_call("ResetFailedUnit", unit, NULL), NULL, NULL);
}

static DBusMessage *start_call(const struct scope *scope)
{
	DBusMessage *call = unit_call("StartTransientUnit", scope->unit, "replace");
	DBusMessageIter args, list, others;

	if (!call)
		return NULL;
	dbus_message_iter_init_append(call, &args);
	if (dbus_message_iter_open_container(&args, DBUS_TYPE_ARRAY, "(sv)", &list) && add_life(&list, scope) &&
	    add_limits(&list, scope->limits, scope->nlimits) && dbus_message_iter_close_container(&args, &list) &&
	    dbus_message_iter_open_container(&args, DBUS_TYPE_ARRAY, "(sa(sv))", &others) &&
	    dbus_message_iter_close_container(&args, &others))
		return call;
	dbus_message_unref(call);
	return NULL;
}

static DBusMessage *limit_call(const char *unit, const struct scope_limit *limits, size_t nlimits)
{
	DBusMessage *call = unit_call("SetUnitProperties", unit, NULL);
	const dbus_bool_t is_runtime = true; // until the unit ends
	DBusMessageIter args, list;

	if (!call)
		return NULL;
	dbus_message_iter_init_append(call, &args);
	if (dbus_message_iter_append_basic(&args, DBUS_TYPE_BOOLEAN, &is_runtime) &&
	    dbus_message_iter_open_container(&args, DBUS_TYPE_ARRAY, "(sv)", &list) &&
	    add_limits(&list, limits, nlimits) && dbus_message_iter_close_container(&args, &list))
		return call;
	dbus_message_unref(call);
	return NULL;
}

int scope_start(const struct scope *scope, struct vpmem_error *err)
{
	struct bus bus = { 0 };
	int rc = check_limits(scope->limits, scope->nlimits, err);

	if (rc == 0)
		rc = bus_open(&bus, err);
	if (rc == 0)
		rc = bus_call_job(&bus, start_call(scope), scope->unit, err);
	if (rc == -EEXIST) {
		reset_failed(&bus, scope->unit);
		rc = bus_call_job(&bus, start_call(scope), scope->unit, err);
	}
	bus_close(&bus);
	return rc;
}

int scope_limit(const char *unit, const struct scope_limit *limits, size_t nlimits, struct vpmem_error *err)
{
	struct bus bus = { 0 };
	int rc = check_limits(limits, nlimits, err);

	if (rc < 0 || nlimits == 0)
		return rc;
	rc = bus_open(&bus, err);
	if (rc == 0)
		rc = bus_call(&bus, limit_call(unit, limits, nlimits), NULL, err);
	bus_close(&bus);
	return rc;
}

int scope_stop(const char *unit, struct vpmem_error *err)
{
	struct bus bus;
	int rc = bus_open(&bus, err);

	if (rc == 0)
		rc = bus_call_job(&bus, unit_call("StopUnit", unit, "replace"), unit, err);
	if (rc == 0)
		reset_failed(&bus, unit);
	bus_close(&bus);
	return rc == -ENOENT ? 0 : rc;
}
