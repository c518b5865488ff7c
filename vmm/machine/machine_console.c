// SPDX-License-Identifier: Apache-2.0
// The serial port, and the character device behind it.
#include "machine_console.h"

#include "chardev.h"
#include "error.h"
#include "machine.h"
#include "memory_map.h"
#include "serial.h"

#include <string.h>

static void set_com1_irq(void *owner, bool level)
{
	struct machine *m = owner;

	m->kvm.vm.ops->irq_line(&m->kvm.vm, COM1_GSI, level);
}

// In a vCPU's thread. It must not wait once the vCPUs are asked to stop: machine_request wakes only those
// that wait already.
static bool wait_console(void *owner)
{
	struct machine *m = owner;

	if (m->vcpus.running)
		chardev_wait(m->console);
	return m->vcpus.running;
}

int machine_console_up(struct machine *m, struct vpmem_error *err)
{
	struct serial_config cfg = { .set_irq = set_com1_irq, .wait_writable = wait_console, .owner = m };
	const struct chardev_config none = { .kind = CHARDEV_NULL };
	int rc = 0;

	if (m->opts->serial)
		cfg.chr = chardev_find(&m->chardevs, m->opts->serial);
	else
		rc = chardev_list_add(&m->chardevs, &none, &m->loop, NULL, NULL, &cfg.chr, err);
	rc = rc ? rc : chardev_claim(cfg.chr, CHARDEV_DEVICE, err);
	if (rc < 0)
		return rc;
	m->console = cfg.chr;
	rc = serial_create(&cfg, &m->serial);
	if (rc == 0)
		rc = serial_attach(m->serial, &m->pio, COM1_PORT);
	return rc ? error_set(err, rc, "cannot set up the serial port: %s", strerror(-rc)) : 0;
}

void machine_console_down(struct machine *m)
{
	struct chardev *console = m->console;

	serial_destroy(m->serial);
	// What halts the machine after this, for example a truncated file, interrupts no console.
	m->console = NULL;
	if (!console)
		return;
	chardev_release(console, CHARDEV_DEVICE);
	if (!chardev_is_busy(console))
		chardev_list_remove(&m->chardevs, console);
}
