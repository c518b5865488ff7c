// SPDX-License-Identifier: Apache-2.0
/*
 * event.h - the events of the machine, as the JSON that QMP clients receive.
 */
#ifndef PMVM_EVENT_H
#define PMVM_EVENT_H

struct json_object;
struct machine_event;
struct schema_type;

struct event_info {
	const char *name;               /* "SHUTDOWN" */
	const struct schema_type *data; /* NULL: the event has none */
};

/* All events, by their enum machine_event_kind. */
extern const struct event_info event_table[];
extern const unsigned event_count;

/*
 * {"timestamp": {"seconds", "microseconds"}, "event": NAME, "data": {...}} with the present time; without
 * "data" where the event has none. The caller owns it. NULL: out of memory.
 */
struct json_object *monitor_event_json(const struct machine_event *event);

#endif
