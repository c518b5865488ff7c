// SPDX-License-Identifier: Apache-2.0
// vmgenid: the VM generation ID, which the guest finds by ACPI (machine_load.c). It stays the same until the program ends.
#include "error.h"
#include "machine.h"
#include "machine_device.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>

// A random one, version 4 of RFC 4122.
static int make_guid(char text[37], struct vpmem_error *err)
{
	uint8_t b[16];

	if (getrandom(b, sizeof(b), 0) != (ssize_t)sizeof(b))
		return error_set(err, -errno, "vmgenid: getrandom: %s", strerror(errno));
	b[6] = (uint8_t)((b[6] & 0x0f) | 0x40);
	b[8] = (uint8_t)((b[8] & 0x3f) | 0x80);
	snprintf(text, 37, "%02x%02x%02x%02x-%02x%02x-%02x%02x-%02x%02x-%02x%02x%02x%02x%02x%02x", b[0], b[1], b[2],
	         b[3], b[4], b[5], b[6], b[7], b[8], b[9], b[10], b[11], b[12], b[13], b[14], b[15]);
	return 0;
}

static int vmgenid_create(struct device *dev, struct virtio_pci_config *pci, struct vpmem_error *err)
{
	const struct vmgenid_config *cfg = device_config_as(dev->cfg, &vmgenid_model);
	char *text = dev->machine->vm_generation_id;

	(void)pci;
	if (*text)
		return error_set(err, -EBUSY, "at most one vmgenid device is permitted");
	if (strcmp(cfg->guid, "auto") == 0)
		return make_guid(text, err);
	for (unsigned i = 0; i < 37; i++)
		text[i] = (char)tolower((unsigned char)cfg->guid[i]);
	return 0;
}

const struct device_kind vmgenid_kind = {
	.model = &vmgenid_model,
	.size = sizeof(struct device),
	.create = vmgenid_create,
};
