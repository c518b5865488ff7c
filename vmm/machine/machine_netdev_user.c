// SPDX-License-Identifier: Apache-2.0
// -netdev user: what its properties are for passt.
#include "error.h"
#include "machine.h"
#include "machine_net.h"
#include "machine_netdev.h"
#include "net_passt.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ARGS_MAX 100u

struct netdev_user {
	struct netdev netdev;
	struct net_passt *passt;
};

// ---- passt's command line

struct args {
	char *list[ARGS_MAX + 1];
	unsigned n;
	int error;
};

PRINTF_LIKE(2, 3) static void add(struct args *args, const char *fmt, ...)
{
	va_list ap;

	if (args->n == ARGS_MAX) {
		args->error = -E2BIG;
		return;
	}
	va_start(ap, fmt);
	if (vasprintf(&args->list[args->n], fmt, ap) < 0) {
		args->list[args->n] = NULL;
		args->error = -ENOMEM;
	} else {
		args->n++;
	}
	va_end(ap);
}

static void args_free(struct args *args)
{
	for (unsigned i = 0; i < args->n; i++)
		free(args->list[i]);
}

static void add_pair(struct args *args, const char *option, const char *value)
{
	if (!value || !*value)
		return;
	add(args, "%s", option);
	add(args, "%s", value);
}

static void add_forwards(struct args *args, const struct user_config *cfg)
{
	const char *text = cfg->hostfwd;
	struct hostfwd fwd;

	while (hostfwd_next(&text, &fwd, NULL) > 0) {
		add(args, "%s", fwd.udp ? "--udp-ports" : "--tcp-ports");
		add(args, "%s%s%u:%u", fwd.host, *fwd.host ? "/" : "", fwd.host_port, fwd.guest_port);
	}
}

// Each domain is an option of its own: passt takes a list in one word for one domain.
static void add_search(struct args *args, const char *lines)
{
	for (size_t len; lines && (len = strcspn(lines, "\n")) > 0; lines += len + (lines[len] == '\n')) {
		add(args, "--search");
		add(args, "%.*s", (int)len, lines);
	}
}

static void make_args(struct args *args, const struct user_config *cfg)
{
	if (!cfg->ipv6)
		add(args, "--ipv4-only");
	if (!cfg->ipv4)
		add(args, "--ipv6-only");
	if (cfg->ipv4) {
		add_pair(args, "--address", cfg->address);
		add_pair(args, "--netmask", cfg->netmask);
		add_pair(args, "--gateway", cfg->gateway);
		add_pair(args, "--dns-forward", cfg->dns);
		// DHCP would announce the host's name servers, whose answers come from cfg->dns then.
		if (cfg->dns)
			add(args, "--no-dhcp-dns");
	}
	add_search(args, cfg->dnssearch);
	add_forwards(args, cfg);
}

// ---- the netdev

static void on_ended(void *owner)
{
	struct netdev *netdev = owner;

	netdev->has_ended = true;
	machine_net_peer_gone(netdev->obj.machine, &netdev->obj);
	machine_event_send(netdev->obj.machine, &(struct machine_event) {
							.kind = MACHINE_EVENT_NETDEV_STREAM_DISCONNECTED,
							.device = netdev->obj.cfg->id,
						});
}

static void user_end(struct netdev *netdev)
{
	net_passt_end(((struct netdev_user *)netdev)->passt);
}

// Helpers are started before the sandbox is entered, outside, and have their own.
static int cannot_start(const char *id, struct vpmem_error *err)
{
	error_set(err, -EPERM, "netdev '%s': the sandbox permits no new process, so passt cannot be started", id);
	error_hint(err,
	           "give this netdev on the command line; or, for a guest that you trust, start with -sandbox off");
	return -EPERM;
}

static int user_create(struct object *obj, struct vpmem_error *err)
{
	struct netdev_user *netdev = (struct netdev_user *)obj;
	const struct user_config *cfg = object_config_as(obj->cfg, &netdev_user_type);
	struct args args = { .n = 0 };
	struct net_passt_options opts = {
		.id = cfg->obj.id, .args = (const char *const *)args.list, .ended = on_ended, .owner = netdev
	};
	int rc;

	if (obj->machine->is_sandboxed)
		return cannot_start(cfg->obj.id, err);
	make_args(&args, cfg);
	rc = args.error ? error_set(err, args.error, "netdev '%s': too many forwarded ports", cfg->obj.id) :
	                  net_passt_open(&opts, &obj->machine->loop, &netdev->passt, err);
	args_free(&args);
	if (rc < 0)
		return rc;
	netdev->netdev.npairs = 1;
	netdev->netdev.ports[0] = net_passt_port(netdev->passt);
	netdev->netdev.end = user_end;
	return 0;
}

static int user_destroy(struct object *obj, struct vpmem_error *err)
{
	(void)err;
	net_passt_close(((struct netdev_user *)obj)->passt);
	return 0;
}

const struct object_kind netdev_user_kind = {
	.type = &netdev_user_type,
	.size = sizeof(struct netdev_user),
	.create = user_create,
	.destroy = user_destroy,
};
