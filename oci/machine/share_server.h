// SPDX-License-Identifier: Apache-2.0
/*
 * share_server.h - virtiofsd, which serves all volumes of a machine, and its writable layer.
 *
 * What the guest may reach of the host is said three times: virtiofsd sees a view that has nothing else (binds.h), with
 * read-only mounts for what is read-only; it changes its root to that view; and Landlock permits what the rules name. Of the
 * directory in which the engine keeps a layer, that is `diff` and `work`: the others in it are the engine's.
 */
#ifndef PMVM_OCI_SHARE_SERVER_H
#define PMVM_OCI_SHARE_SERVER_H

#include "binds.h"
#include "helper.h"

#include <stdbool.h>

#define SHARES_MAX 512u

/*
 * Whether this kernel has the Landlock that it takes. Without it a guest could change the files of the engine beside `diff`
 * and `work`, such as the list of the layers below, so that directory must not be shared then.
 */
bool share_server_is_confined(void);

struct share_rule {
	const char *path; /* below the view: "0", "root/diff" */
	bool readonly;
};

struct share_plan {
	const char *program; /* virtiofsd */
	const char *dir;     /* where the view is mounted; it exists */
	const struct bind *binds;
	size_t nbinds;
	const struct share_rule *rules;
	size_t nrules;
	/*
	 * The container has a user namespace. Its root is an ordinary user for this host, whom the kernel of the guest lets do
	 * more: virtiofsd keeps its capabilities also where it acts for this user.
	 */
	bool has_user_namespace;
	/* With socket_dir it ends when pmvm has let it go, and not with its starter. */
	const char *socket_dir; /* where it listens, as SHARE_SOCKET; NULL: see share_server_start */
	/* With socket_dir: the listening socket, the caller's, which another one after this gets; -1: there was none. */
	int *listener_fd;
};

#define SHARE_SOCKET "share.socket"

/*
 * Starts it, and waits until it is ready. *vhost_user_fd is the connection for pmvm, the caller's. With socket_dir there is
 * none, pmvm connects by itself, and nothing is waited for. The helper is all zeros, helper_end is legal afterwards in any
 * case.
 */
int share_server_start(struct helper *helper, const struct share_plan *plan, struct loop *loop,
                       void (*ended)(void *owner), void *owner, int *vhost_user_fd, struct vpmem_error *err);
/* For one with a socket: waits until it serves the connection of pmvm. It says nothing by itself, so it is watched. */
int share_server_await(struct helper *helper, struct vpmem_error *err);

#endif
