// SPDX-License-Identifier: Apache-2.0
/*
 * agent_link_fuzz.c - the keeper of a container's machine, and a guest that
 * connects, sends anything and hangs up.
 *
 * The input is text, a step a line; N is the number of a connection, from 0:
 *   c       connect, from port N     fN TEXT   send a frame
 *   xN      close                    bN BYTES  send bytes without a frame
 *   a       the keeper asks the agent for something
 *
 * What holds: each request is answered once; the link is lost once; an exit
 * status is one; no descriptor is left.
 */
#include "agent_link.h"
#include "fuzz.h"
#include "transport.h"

#include <errno.h>
#include <pthread.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define PEERS_MAX 10u
#define TURNS \
	4u /* of the loop after a step: accept, first frame, next frame  \
                  */

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct agent_link agent;
static struct transport transport;
static struct loop loop;
static struct sockaddr_un address;
static socklen_t address_len;
static int peers[PEERS_MAX];
static unsigned npeers, naccepted, nlost, nhello, nasked, nanswered;

// ---- the keeper

static void on_hello(void *owner)
{
	(void)owner;
	nhello++;
	CHECK(nhello == 1 && nlost == 0);
}

static int on_stream(void *owner, const char *process, const char *which, int fd)
{
	(void)owner;
	CHECK(process && which && fd >= 0);
	if (strcmp(process, "init") != 0)
		return -EINVAL;
	close(fd);
	return 0;
}

static void on_exited(void *owner, const char *process, int status)
{
	(void)owner;
	CHECK(process && status >= 0 && status <= 255 && nhello == 1);
}

static void on_lost(void *owner, const char *why)
{
	(void)owner;
	CHECK(why && why[0]);
	nlost++;
	CHECK(nlost == 1 && nasked == nanswered);
}

static void on_answered(void *owner, struct json_object *ok, const char *error)
{
	(void)owner;
	CHECK((ok != NULL) != (error != NULL));
	nanswered++;
}

static const struct link_ops ops = { .hello = on_hello, .stream = on_stream, .exited = on_exited, .lost = on_lost };

// Connections are accepted in their order.
static bool port_of(const struct transport *unused, const struct sockaddr_storage *peer, uint32_t *port)
{
	(void)unused;
	(void)peer;
	*port = naccepted++;
	return true;
}

// ---- the guest

static void add_peer(void)
{
	if (npeers == PEERS_MAX)
		return;
	peers[npeers] = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	CHECK(peers[npeers] >= 0);
	(void)!connect(peers[npeers], (const struct sockaddr *)&address, address_len);
	npeers++;
}

static void send_bytes(int fd, const void *buf, size_t len)
{
	(void)!send(fd, buf, len, MSG_NOSIGNAL | MSG_DONTWAIT);
}

static void step(const char *line, size_t len)
{
	int *fd = len > 1 && line[1] >= '0' && (unsigned)(line[1] - '0') < npeers ? &peers[line[1] - '0'] : NULL;
	const size_t rest = len > 3 ? len - 3 : 0;
	const uint8_t head[4] = { (uint8_t)rest, (uint8_t)(rest >> 8), (uint8_t)(rest >> 16), 0 };

	if (len > 0 && line[0] == 'c') {
		add_peer();
	} else if (len > 0 && line[0] == 'a') {
		nasked++;
		link_ask(&agent, "ps", NULL, 1000000, on_answered, NULL);
	} else if (fd && *fd >= 0 && line[0] == 'f') {
		send_bytes(*fd, head, sizeof(head));
		send_bytes(*fd, line + 3, rest);
	} else if (fd && *fd >= 0 && line[0] == 'b') {
		send_bytes(*fd, line + 3, rest);
	} else if (fd && *fd >= 0 && line[0] == 'x') {
		close(*fd);
		*fd = -1;
	}
	for (unsigned i = 0; i < TURNS; i++) {
		loop_wake(&loop);
		CHECK(loop_once(&loop) == 0);
	}
}

static void begin(void)
{
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	npeers = naccepted = nlost = nhello = nasked = nanswered = 0;
	address = (struct sockaddr_un) { .sun_family = AF_UNIX };
	address_len = sizeof(address);
	CHECK(bind(fd, (struct sockaddr *)&address, sizeof(address.sun_family)) == 0 && listen(fd, PEERS_MAX) == 0);
	CHECK(getsockname(fd, (struct sockaddr *)&address, &address_len) == 0);
	CHECK(loop_init(&loop, &lock) == 0);
	agent = (struct agent_link) { 0 };
	transport = (struct transport) { .listener_fd = fd, .port_of = port_of };
	CHECK(link_open(&agent, &transport, &loop, &ops, NULL) == 0);
}

static int lowest_free_descriptor(void)
{
	int fd = dup(STDERR_FILENO);

	close(fd);
	return fd;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	int free_fd = lowest_free_descriptor();

	pthread_mutex_lock(&lock);
	begin();
	while (len > 0) {
		const uint8_t *end = memchr(data, '\n', len);
		size_t line_len = end ? (size_t)(end - data) : len;

		step((const char *)data, line_len);
		line_len += end != NULL;
		data += line_len;
		len -= line_len;
	}
	link_close(&agent);
	loop_fini(&loop);
	pthread_mutex_unlock(&lock);
	for (unsigned i = 0; i < npeers; i++)
		if (peers[i] >= 0)
			close(peers[i]);
	CHECK(nasked == nanswered);
	CHECK(lowest_free_descriptor() == free_fd);
	return 0;
}
