// SPDX-License-Identifier: Apache-2.0
// A network back end on a stream socket: its peers come and go.
#include "net_stream.h"

#include "error.h"
#include "log.h"
#include "net_link.h"
#include "peers.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define CONNECT_AGAIN_MS 1000u /* without reconnect=, until the first connection */

struct net_stream {
	struct net_link link;
	struct peers *peers;
	char *id;
	bool again; /* after the end of a connection there may be another one */
	void (*connected)(void *owner, bool connected);
	void *owner;
};

static void report(struct net_stream *s, bool connected)
{
	if (s->connected)
		s->connected(s->owner, connected);
}

static int on_peer(void *owner, int fd)
{
	struct net_stream *s = owner;

	net_link_connect(&s->link, fd);
	report(s, true);
	return 0;
}

static void on_ended(void *owner, const char *why)
{
	struct net_stream *s = owner;

	if (why)
		log_guest("netdev %s: %s: the connection has ended: %s", s->id, peers_name(s->peers), why);
	report(s, false);
	if (s->again)
		peers_left(s->peers);
}

int net_stream_open(const struct net_stream_options *opts, struct loop *loop, struct net_stream **out,
                    struct vpmem_error *err)
{
	struct chardev_config address = *opts->address;
	struct peers_config peers = { .chardev = &address, .module = "netdev", .accepted = on_peer };
	struct net_stream *s = calloc(1, sizeof(*s));
	int rc;

	if (!s)
		return error_set(err, -ENOMEM, "netdev: out of memory");
	s->again = address.server || address.reconnect_ms > 0;
	s->connected = opts->connected;
	s->owner = opts->owner;
	address.async = true;
	if (!address.server && !address.fd && address.reconnect_ms == 0)
		address.reconnect_ms = CONNECT_AGAIN_MS;
	peers.owner = s;
	s->id = strdup(opts->id);
	rc = s->id ? net_link_open(&s->link, loop, on_ended, s) : -ENOMEM;
	if (rc < 0)
		error_set(err, rc, "cannot set up netdev '%s': %s", opts->id, strerror(-rc));
	else
		rc = peers_open(&peers, loop, &s->peers, err);
	if (rc < 0) {
		net_stream_close(s);
		return rc;
	}
	*out = s;
	peers_begin(s->peers);
	return 0;
}

void net_stream_end(struct net_stream *s)
{
	peers_close(s->peers);
	s->peers = NULL;
	s->again = false;
	net_link_disconnect(&s->link);
}

void net_stream_close(struct net_stream *s)
{
	if (!s)
		return;
	net_stream_end(s);
	net_link_close(&s->link);
	free(s->id);
	free(s);
}

struct net_port *net_stream_port(struct net_stream *s)
{
	return &s->link.port;
}
