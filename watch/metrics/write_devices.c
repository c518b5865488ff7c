// SPDX-License-Identifier: Apache-2.0
// The metrics of devices and of the sandbox.
#include "collector.h"

#include "json_at.h"
#include "sync_histogram.h"

#include <string.h>

#define LABELS(...)                                                          \
	(const struct label[])                                               \
	{                                                                    \
		MACHINE_LABEL(view), { "device", device->name }, __VA_ARGS__ \
	}
#define NO_MORE   \
	{         \
		0 \
	}
#define EACH(devices)                                     \
	const struct device *device = (devices)->list;    \
	device &&device < (devices)->list + (devices)->n; \
	device++

static const char *text(struct json_object *info, const char *path)
{
	const char *found = json_at_str(info, path);

	return found ? found : "";
}

static const char *yes_or_no(struct json_object *info, const char *path)
{
	bool value;

	return !json_at_bool(info, path, &value) ? "" : value ? "true" : "false";
}

// ---- pmem

static void write_value(struct exposition *e, const struct collector *c, const struct label *labels, uint64_t value)
{
	if (c->scale > 0)
		exposition_double(e, "", labels, (double)value * c->scale);
	else
		exposition_uint(e, "", labels, value);
}

void write_pmem(struct exposition *e, const struct collector *c, const struct machine_view *view)
{
	uint64_t value;

	for (EACH(&view->pmem))
		if (json_at_uint(device->info, c->path, &value))
			write_value(e, c, LABELS(NO_MORE), value);
}

void write_pmem_zero(struct exposition *e, const struct collector *c, const struct machine_view *view)
{
	for (EACH(&view->pmem)) {
		uint64_t value = 0;

		(void)json_at_uint(device->info, c->path, &value);
		write_value(e, c, LABELS(NO_MORE), value);
	}
}

void write_pmem_state(struct exposition *e, const struct collector *c, const struct machine_view *view)
{
	for (EACH(&view->pmem))
		write_words(e, c, view->machine->name, device->name, text(device->info, c->path));
}

void write_pmem_info(struct exposition *e, const struct collector *c, const struct machine_view *view)
{
	(void)c;
	for (EACH(&view->pmem))
		exposition_uint(e, "",
		                LABELS({ "path", text(device->info, "mem-path") },
		                       { "memdev", text(device->info, "memdev") },
		                       { "share", yes_or_no(device->info, "share") },
		                       { "readonly", yes_or_no(device->info, "readonly") },
		                       { "werror", text(device->info, "werror") }, NO_MORE),
		                1);
}

/* The count is that of the buckets: syncs.count is read at another moment, and may be larger. */
void write_pmem_syncs(struct exposition *e, const struct collector *c, const struct machine_view *view)
{
	(void)c;
	for (EACH(&view->pmem)) {
		struct sync_histogram h;
		uint64_t sum_ns, sofar = 0;

		if (!sync_histogram_read(&h, device->info) || !json_at_uint(device->info, "syncs.total-ns", &sum_ns))
			continue;
		for (unsigned i = 0; i < h.n; i++) {
			char le[32] = "+Inf";

			sofar += h.count[i];
			if (i < h.n - 1)
				exposition_number(le, sizeof(le), (double)h.below_ns[i] / 1e9);
			exposition_uint(e, "_bucket", LABELS({ "le", le }, NO_MORE), sofar);
		}
		exposition_double(e, "_sum", LABELS(NO_MORE), (double)sum_ns / 1e9);
		exposition_uint(e, "_count", LABELS(NO_MORE), sofar);
	}
}

// ---- network cards, vhost-user

static struct json_object *peer_of(struct json_object *clients, struct json_object *card)
{
	const char *peer = json_at_str(card, "peer");

	for (size_t i = 0; i < json_at_length(clients, "") && peer; i++) {
		struct json_object *client = json_object_array_get_idx(clients, i);

		if (strcmp(text(client, "name"), peer) == 0 && strcmp(text(client, "type"), "nic") != 0)
			return client;
	}
	return NULL;
}

void write_net_info(struct exposition *e, const struct collector *c, const struct machine_view *view)
{
	struct json_object *clients = view->machine->now.answers[QUERY_NET];

	(void)c;
	for (EACH(&view->net))
		exposition_uint(e, "",
		                LABELS({ "netdev", text(device->info, "peer") },
		                       { "type", text(peer_of(clients, device->info), "type") }, NO_MORE),
		                1);
}

static void write_flags(struct exposition *e, const struct machine_view *view, const struct devices *devices,
                        const char *path)
{
	bool value;

	for (EACH(devices))
		if (json_at_bool(device->info, path, &value))
			exposition_uint(e, "", LABELS(NO_MORE), value);
}

void write_net_link(struct exposition *e, const struct collector *c, const struct machine_view *view)
{
	(void)c;
	write_flags(e, view, &view->net, "link");
}

void write_vhost_user_connected(struct exposition *e, const struct collector *c, const struct machine_view *view)
{
	(void)c;
	write_flags(e, view, &view->vhost_user, "connected");
}

void write_vhost_user_state(struct exposition *e, const struct collector *c, const struct machine_view *view)
{
	for (EACH(&view->vhost_user))
		write_words(e, c, view->machine->name, device->name, text(device->info, c->path));
}

// ---- the sandbox

/* A machine without a sandbox has no such members: that is false. */
void write_sandbox_flag(struct exposition *e, const struct collector *c, const struct machine_view *view)
{
	struct json_object *info = view->machine->now.answers[QUERY_SANDBOX];
	bool value = false;

	(void)json_at_bool(info, c->path, &value);
	if (info)
		exposition_uint(e, "", (const struct label[]) { MACHINE_LABEL(view), NO_MORE }, value);
}

static bool has_word(struct json_object *list, const char *word)
{
	for (size_t i = 0; i < json_at_length(list, ""); i++)
		if (strcmp(text(json_object_array_get_idx(list, i), ""), word) == 0)
			return true;
	return false;
}

void write_sandbox_namespaces(struct exposition *e, const struct collector *c, const struct machine_view *view)
{
	struct json_object *info = view->machine->now.answers[QUERY_SANDBOX];

	for (const char *const *word = c->words; *word && info; word++)
		exposition_uint(e, "", (const struct label[]) { MACHINE_LABEL(view), { "namespace", *word }, NO_MORE },
		                has_word(json_at(info, c->path), *word));
}

void write_sandbox_threads(struct exposition *e, const struct collector *c, const struct machine_view *view)
{
	uint64_t value;

	(void)c;
	for (EACH(&view->threads))
		if (json_at_uint(device->info, "system-calls", &value))
			exposition_uint(
				e, "",
				(const struct label[]) { MACHINE_LABEL(view), { "thread", device->name }, NO_MORE },
				value);
}
