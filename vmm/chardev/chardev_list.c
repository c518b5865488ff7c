// SPDX-License-Identifier: Apache-2.0
// The character devices of a machine, by id, and who uses them.
#include "chardev_internal.h"

#include "error.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

struct chardev *chardev_find(const struct chardev_list *list, const char *id)
{
	struct chardev *chr = list->first;

	while (chr && (!chr->id || strcmp(chr->id, id) != 0))
		chr = chr->next;
	return chr;
}

struct chardev *chardev_next(const struct chardev_list *list, const struct chardev *chr)
{
	struct chardev *next = chr ? chr->next : list->first;

	while (next && !next->id)
		next = next->next;
	return next;
}

int chardev_list_add(struct chardev_list *list, const struct chardev_config *cfg, struct loop *loop,
                     void (*quit)(void *owner), void *owner, struct chardev **out, struct vpmem_error *err)
{
	struct chardev **link = &list->first;
	int rc;

	if (cfg->id && chardev_find(list, cfg->id))
		return error_set(err, -EEXIST, "attempt to add duplicate property '%s' to object (type 'container')",
		                 cfg->id);
	rc = chardev_open(cfg, loop, quit, owner, out, err);
	if (rc < 0)
		return rc;
	while (*link)
		link = &(*link)->next;
	*link = *out;
	return 0;
}

void chardev_list_remove(struct chardev_list *list, struct chardev *chr)
{
	struct chardev **link = &list->first;

	while (*link != chr)
		link = &(*link)->next;
	*link = chr->next;
	chardev_close(chr);
}

void chardev_list_close(struct chardev_list *list)
{
	while (list->first)
		chardev_list_remove(list, list->first);
}

void chardev_list_keep(struct chardev_list *list)
{
	for (struct chardev *chr = list->first; chr; chr = chr->next)
		chardev_keep(chr);
}

bool chardev_list_is_awaited(const struct chardev_list *list)
{
	for (const struct chardev *chr = list->first; chr; chr = chr->next)
		if (chr->awaited)
			return true;
	return false;
}

int chardev_claim(struct chardev *chr, enum chardev_use use, struct vpmem_error *err)
{
	if (chr->claimed[use] || (!chr->mux && chardev_is_busy(chr)))
		return error_set(err, -EBUSY, "chardev '%s' is already in use", chr->id ? chr->id : "");
	chr->claimed[use] = true;
	return 0;
}

void chardev_release(struct chardev *chr, enum chardev_use use)
{
	chr->claimed[use] = false;
}

bool chardev_is_busy(const struct chardev *chr)
{
	return chr->claimed[CHARDEV_DEVICE] || chr->claimed[CHARDEV_MONITOR];
}

const char *chardev_id(const struct chardev *chr)
{
	return chr->id;
}

enum chardev_kind chardev_kind(const struct chardev *chr)
{
	return chr->kind;
}

bool chardev_is_mux(const struct chardev *chr)
{
	return chr->mux;
}

bool chardev_has_peers(const struct chardev *chr)
{
	return chr->peers != NULL;
}

bool chardev_expects_peers(const struct chardev *chr)
{
	return chr->peers && peers_are_expected(chr->peers);
}

const char *chardev_pty(const struct chardev *chr)
{
	return chr->peers ? peers_pty(chr->peers) : NULL;
}

void chardev_filename(const struct chardev *chr, char *buf, size_t size)
{
	static const char *const names[] = {
		[CHARDEV_NULL] = "null",
		[CHARDEV_STDIO] = "stdio",
		[CHARDEV_FILE] = "file",
		[CHARDEV_RINGBUF] = "ringbuf",
	};
	// QEMU's name of a pty is the same when it is closed.
	bool is_away = !chr->connected && !chr->acceptor && chr->kind == CHARDEV_SOCKET;

	if (chr->peers)
		snprintf(buf, size, "%s%s", is_away ? "disconnected:" : "", peers_name(chr->peers));
	else
		snprintf(buf, size, "%s", chr->mux ? "mux" : names[chr->kind]);
}

bool chardev_is_open(const struct chardev *chr)
{
	return chr->open || chr->acceptor || chr->sides[SIDE_MONITOR].front.receive;
}

void chardev_set_open(struct chardev *chr, bool open)
{
	chr->open = open;
}

size_t chardev_ring_read(struct chardev *chr, uint8_t *buf, size_t len)
{
	return ringbuf_read(&chr->ring, buf, len);
}
