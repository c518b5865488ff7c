// SPDX-License-Identifier: Apache-2.0
// The character devices of a machine.
#include "machine_chardev.h"

#include "error.h"
#include "log.h"

#include <errno.h>

static void on_quit(void *owner)
{
	machine_request(owner, REQUEST_QUIT, CAUSE_HOST_QMP_QUIT);
}

int machine_chardevs_up(struct machine *m, struct vpmem_error *err)
{
	struct chardev *chr;
	int rc = 0;

	if (m->opts->escape)
		chardev_set_escape(m->opts->escape);
	for (unsigned i = 0; i < m->opts->nchardevs && rc == 0; i++) {
		rc = chardev_list_add(&m->chardevs, m->opts->chardevs[i], &m->loop, on_quit, m, &chr, err);
		if (rc == 0 && chardev_pty(chr))
			log_info("char device redirected to %s (label %s)", chardev_pty(chr), chardev_id(chr));
	}
	return rc;
}

void machine_chardevs_down(struct machine *m)
{
	chardev_list_close(&m->chardevs);
}

static bool has_stdio(const struct machine *m)
{
	const struct chardev *chr = NULL;

	while ((chr = chardev_next(&m->chardevs, chr)))
		if (chardev_kind(chr) == CHARDEV_STDIO)
			return true;
	return false;
}

int machine_chardev_add(struct machine *m, struct chardev_config *cfg, struct chardev **out, struct vpmem_error *err)
{
	int rc;

	if (cfg->kind == CHARDEV_STDIO && has_stdio(m))
		return error_set(err, -EBUSY, "cannot use stdio by multiple character devices");
	cfg->async = true;
	// The guest runs already.
	cfg->wait = false;
	rc = chardev_list_add(&m->chardevs, cfg, &m->loop, on_quit, m, out, err);
	if (rc == 0)
		chardev_keep(*out);
	return rc;
}

int machine_chardev_remove(struct machine *m, const char *id, struct vpmem_error *err)
{
	struct chardev *chr = chardev_find(&m->chardevs, id);

	if (!chr)
		return error_set(err, -ENOENT, "Chardev '%s' not found", id);
	if (chardev_is_busy(chr)) {
		error_set(err, -EBUSY, "Chardev '%s' is busy", id);
		error_hint(err, "remove the device that uses it first; that of the serial port or of a monitor stays");
		return -EBUSY;
	}
	// Closing would wait for a peer that does not read.
	chardev_drain(chr, 0);
	chardev_hang_up(chr);
	chardev_list_remove(&m->chardevs, chr);
	return 0;
}
