// SPDX-License-Identifier: Apache-2.0
/*
 * rootless.h - places of a user who is not root of the host.
 *
 * An engine without root calls us as root of a user namespace that it has made; the user may also call us by hand, outside
 * of it, to see the containers. Both find the same state and the same layers. The home directory is that of /etc/passwd:
 * engines call some verbs without HOME. Other users, such as those of LDAP, need HOME.
 */
#ifndef PMVM_OCI_ROOTLESS_H
#define PMVM_OCI_ROOTLESS_H

#include <stdbool.h>

/* Not root of the host. */
bool rootless_is(void);

/*
 * Where the state of containers is by default: STATE_ROOT for root; for others XDG_RUNTIME_DIR/pmvm-oci, or
 * /run/user/UID/pmvm-oci where the variable is not set. Borrowed, for the life of the process.
 */
const char *rootless_state_root(void);

/* HOME/rest; the caller frees it. NULL: the home directory is not known, or out of memory. */
char *rootless_home(const char *rest);

#endif
