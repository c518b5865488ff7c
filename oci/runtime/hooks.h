// SPDX-License-Identifier: Apache-2.0
/*
 * hooks.h - the programs that config.json names for the moments of a container's life. They run on the host, in the
 * namespaces of the command, with the container's state on standard input.
 */
#ifndef PMVM_OCI_HOOKS_H
#define PMVM_OCI_HOOKS_H

#include <vpmem.h>

struct json_object;

/*
 * Runs those of one moment, "prestart", one after another. hooks (borrowed) is the member "hooks" of config.json, or NULL. A
 * hook that fails, or does not end within its timeout, is the error, and those after it do not run. -EINVAL: hooks are
 * not what the specification says.
 */
int hooks_run(struct json_object *hooks, const char *moment, struct json_object *state, struct vpmem_error *err);

#endif
