// SPDX-License-Identifier: Apache-2.0
/*
 * config_chardev.h - one -chardev, checked: of the command line, or of chardev-add.
 */
#ifndef PMVM_CONFIG_CHARDEV_H
#define PMVM_CONFIG_CHARDEV_H

#include "chardev_config.h"
#include "props.h"

#include <stdio.h>

struct json_object;

/*
 * The members are those of -chardev in one level: backend, id, and the properties of the back end. *out is the caller's;
 * NULL on failure.
 */
int config_chardev(struct json_object *props, enum props_form form, struct chardev_config **out,
                   struct vpmem_error *err);
/* NULL is allowed. */
void chardev_config_free(struct chardev_config *cfg);

/* The table of a back end, by index up to NULL; its name is QEMU's. */
const struct prop_class *chardev_class_at(unsigned idx);
/* The back ends (NULL or "help"), or the properties of one. -EINVAL: there is no such back end. */
int config_chardev_help(const char *backend, FILE *out, struct vpmem_error *err);

#endif
