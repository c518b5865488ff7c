// SPDX-License-Identifier: Apache-2.0
// The configuration of a machine.
#include "machine_config.h"

#include "config_chardev.h"

#include <stdlib.h>

void machine_config_free(struct machine_config *cfg)
{
	char *const strings[] = {
		cfg->name,   cfg->pidfile, cfg->uuid,           cfg->kernel,   cfg->initrd,
		cfg->append, cfg->serial,  cfg->memory_backend, cfg->run_user, cfg->run_root,
	};

	for (unsigned i = 0; i < sizeof(strings) / sizeof(strings[0]); i++)
		free(strings[i]);
	for (unsigned i = 0; i < cfg->sandbox.ndirs; i++)
		free(cfg->sandbox.dirs[i]);
	for (unsigned i = 0; i < cfg->nmonitors; i++)
		free(cfg->monitors[i].chardev);
	for (unsigned i = 0; i < cfg->nshares; i++) {
		free(cfg->shares[i].dir);
		free(cfg->shares[i].sandbox);
		free(cfg->shares[i].chardev);
	}
	for (unsigned i = 0; i < cfg->nchardevs; i++)
		chardev_config_free(cfg->chardevs[i]);
	for (unsigned i = 0; i < cfg->nobjects; i++)
		object_config_free(cfg->objects[i]);
	for (unsigned i = 0; i < cfg->nnetdevs; i++)
		object_config_free(cfg->netdevs[i]);
	for (unsigned i = 0; i < cfg->ndevices; i++)
		device_config_free(cfg->devices[i]);
	free(cfg->chardevs);
	free(cfg->objects);
	free(cfg->netdevs);
	free(cfg->devices);
	*cfg = (struct machine_config) { 0 };
}
