// SPDX-License-Identifier: Apache-2.0
// chardev-add of the fake machine: writes down what was asked for, and opens nothing of the host.
#include "fake_machine.h"
#include "machine_chardev.h"

#include "error.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

int machine_chardev_add(struct machine *m, struct chardev_config *cfg, struct chardev **out, struct vpmem_error *err)
{
	struct fake_machine *fake = (struct fake_machine *)m;
	bool is_ring = cfg->kind == CHARDEV_RINGBUF && cfg->size <= 65536;
	const struct chardev_config harmless = { .kind = is_ring ? CHARDEV_RINGBUF : CHARDEV_NULL,
		                                 .id = cfg->id,
		                                 .size = cfg->size };
	size_t len = strlen(fake->calls);

	snprintf(fake->calls + len, sizeof(fake->calls) - len, "%u %s%s%s%s%s%s%s %u;", cfg->kind,
	         cfg->path ? cfg->path : "", cfg->host ? cfg->host : "", cfg->port ? cfg->port : "",
	         cfg->fd ? cfg->fd : "", cfg->server ? " server" : "", cfg->wait ? " wait" : "",
	         cfg->append || cfg->signals ? " flag" : "", cfg->reconnect_ms);
	return chardev_list_add(&m->chardevs, &harmless, &m->loop, NULL, NULL, out, err);
}

int machine_chardev_remove(struct machine *m, const char *id, struct vpmem_error *err)
{
	struct chardev *chr = chardev_find(&m->chardevs, id);

	if (!chr)
		return error_set(err, -ENOENT, "Chardev '%s' not found", id);
	chardev_list_remove(&m->chardevs, chr);
	return 0;
}
