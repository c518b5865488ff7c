// SPDX-License-Identifier: Apache-2.0
// A socket of route netlink, by libnl, and its errors as ours.
#include "rtnl.h"

#include "error.h"

#include <errno.h>
#include <netlink/errno.h>
#include <netlink/netlink.h>
#include <stdarg.h>
#include <stdio.h>

static const struct {
	int nle, rc;
} numbers[] = {
	{ NLE_NOMEM, -ENOMEM },    { NLE_EXIST, -EEXIST },         { NLE_PERM, -EPERM },
	{ NLE_NOACCESS, -EACCES }, { NLE_BUSY, -EBUSY },           { NLE_OBJ_NOTFOUND, -ENOENT },
	{ NLE_INVAL, -EINVAL },    { NLE_OPNOTSUPP, -EOPNOTSUPP }, { NLE_NODEV, -ENODEV },
};

int rtnl_errno(int nle)
{
	for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++)
		if (nle == -numbers[i].nle)
			return numbers[i].rc;
	return -EIO;
}

int rtnl_error(struct vpmem_error *err, int nle, const char *fmt, ...)
{
	char what[200];
	va_list args;

	va_start(args, fmt);
	vsnprintf(what, sizeof(what), fmt, args);
	va_end(args);
	return error_set(err, rtnl_errno(nle), "%s: %s", what, nl_geterror(nle));
}

struct nl_sock *rtnl_open(struct vpmem_error *err)
{
	struct nl_sock *sock = nl_socket_alloc();
	int rc = sock ? nl_connect(sock, NETLINK_ROUTE) : -NLE_NOMEM;

	if (rc == 0)
		return sock;
	rtnl_error(err, rc, "could not open a netlink socket");
	nl_socket_free(sock);
	return NULL;
}
