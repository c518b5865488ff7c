// SPDX-License-Identifier: Apache-2.0
/*
 * net_worker_serve.c - frames between a port and a pair of queues (virtio specification, sections 5.1.6.2 and 5.1.6.4).
 *
 * Top down it is net_worker_serve, serve_tx and serve_rx, and for each frame send_next and receive_next; they stand here in the
 * opposite order. All of it runs in the worker, with its lock held. A chain that was taken is returned before the lock is
 * released, or it was not taken: so a queue that stops goes on where it was.
 */
#include "guest_access.h"
#include "log.h"
#include "net_worker_internal.h"

#include <errno.h>
#include <linux/virtio_net.h>
#include <string.h>
#include <sys/eventfd.h>

#define NUM_BUFFERS_OFF 10u /* in the header */

/* A frame that was handled, or why there is none. */
enum outcome { DONE, NOTHING, WAITS, BROKEN };

/* ---- queues ------------------------------------------------------------------------------------------ */

/* The chains that are available; 0 asks the driver for a notification. Negative: the queue is broken. */
static int available(struct virtq *q)
{
	int navail = virtq_available(q);

	if (navail == 0) {
		virtq_kicks_on(q);
		navail = virtq_available(q);
	}
	if (navail > 0)
		virtq_kicks_off(q);
	return navail;
}

static void publish(struct net_worker *w, enum net_queue idx)
{
	struct virtq *q = &w->queues[idx];

	if (q->used_idx != q->published_idx && virtq_publish(q))
		(void)!eventfd_write(w->call_efds[idx], 1);
}

/* Nothing is served from here on. vhost.c lets the device need a reset, and the driver see that. */
static void fault(struct net_worker *w, const char *what)
{
	log_guest("%s: %s", w->name, what);
	w->running = false;
	(void)!eventfd_write(w->error_efd, 1);
}

/* ---- from the guest ------------------------------------------------------------------------------------ */

struct frame {
	struct iovec iov[VIRTQ_CHAIN_MAX];
	unsigned niov;
	size_t len; /* bytes, without the header */
};

/* The frame of a chain: what is readable, after the header. It is not looked at: nothing in it matters here. */
static int collect(struct virtq_chain *chain, struct frame *frame)
{
	uint32_t header_left = NET_HEADER_SIZE;
	struct virtq_buf buf;
	int rc;

	*frame = (struct frame) { .niov = 0 };
	while ((rc = virtq_chain_next(chain, &buf)) > 0) {
		uint32_t skip = buf.len < header_left ? buf.len : header_left;

		if (buf.writable)
			continue;
		header_left -= skip;
		if (buf.len == skip)
			continue;
		frame->iov[frame->niov++] = (struct iovec) { .iov_base = buf.hva + skip, .iov_len = buf.len - skip };
		frame->len += buf.len - skip;
	}
	return rc;
}

static enum outcome send_next(struct net_worker *w, size_t *len)
{
	struct virtq *q = &w->queues[NET_TX];
	struct virtq_chain chain;
	struct frame frame;
	int navail = available(q);

	if (navail == 0)
		return NOTHING;
	if (navail < 0 || virtq_pop(q, &chain) < 0)
		return BROKEN;
	*len = 0;
	if (collect(&chain, &frame) < 0) {
		log_guest("%s: a frame is not sent: %s", w->name, q->fault);
	} else if (frame.len >= NET_FRAME_MIN && frame.len <= NET_WORKER_FRAME_MAX) {
		*len = frame.len;
		if (w->port.send(w->port.port, frame.iov, frame.niov, frame.len) == -EAGAIN) {
			q->avail_idx--;
			return WAITS;
		}
	}
	virtq_push(q, chain.head, 0);
	return DONE;
}

/* Returns whether there may be more. */
static bool serve_tx(struct net_worker *w)
{
	enum outcome outcome = DONE;
	size_t len, bytes = 0;

	for (unsigned i = 0; i < NET_BATCH_FRAMES && bytes < NET_BATCH_BYTES && outcome == DONE; i++) {
		outcome = send_next(w, &len);
		bytes += outcome == DONE ? len : 0;
	}
	publish(w, NET_TX);
	w->tx_blocked = outcome == WAITS;
	if (outcome == BROKEN)
		fault(w, w->queues[NET_TX].fault);
	return outcome == DONE;
}

/* ---- to the guest ---------------------------------------------------------------------------------------- */

/* A header of zeros and a frame, on their way into chains. */
struct packet {
	const uint8_t *frame;
	size_t len, done;        /* bytes, with the header */
	uint8_t *num_buffers[2]; /* where those bytes of the header are; they are written last */
};

static uint32_t put(struct packet *p, uint8_t *hva, uint32_t room)
{
	size_t len = p->len - p->done < room ? p->len - p->done : room, i = 0;

	for (; i < len && p->done < NET_HEADER_SIZE; i++, p->done++) {
		guest_store8(hva + i, 0);
		if (p->done >= NUM_BUFFERS_OFF)
			p->num_buffers[p->done - NUM_BUFFERS_OFF] = hva + i;
	}
	if (i < len) {
		memcpy(hva + i, p->frame + (p->done - NET_HEADER_SIZE), len - i);
		p->done += len - i;
	}
	return (uint32_t)len;
}

/* The next chain gets what fits. Returns the bytes, or -errno. What the device must not write is skipped. */
static int64_t put_chain(struct virtq *q, struct packet *p)
{
	struct virtq_chain chain;
	struct virtq_buf buf;
	uint32_t written = 0;
	int rc = virtq_pop(q, &chain);

	if (rc < 0)
		return rc;
	while (p->done < p->len && (rc = virtq_chain_next(&chain, &buf)) > 0)
		if (buf.writable)
			written += put(p, buf.hva, buf.len);
	if (rc < 0)
		return rc;
	if (written == 0) {
		q->fault = "a receive buffer has no room";
		return -EPROTO;
	}
	virtq_push(q, chain.head, written);
	return written;
}

/* One frame into as many chains as it needs. DONE: it is there, or it was too large for the driver's buffers. */
static enum outcome receive_frame(struct net_worker *w, const uint8_t *frame, size_t len)
{
	struct virtq *q = &w->queues[NET_RX];
	bool merges = w->features & UINT64_C(1) << VIRTIO_NET_F_MRG_RXBUF;
	uint16_t avail_idx = q->avail_idx, used_idx = q->used_idx, nchains = 0;
	struct packet p = { .frame = frame, .len = len + NET_HEADER_SIZE };
	int navail = 1;

	while (p.done < p.len && (merges || nchains == 0)) {
		navail = available(q);
		if (navail < 0 || (navail > 0 && put_chain(q, &p) < 0))
			return BROKEN;
		if (navail == 0)
			break;
		nchains++;
	}
	/* The driver has seen none of this: the chains count as never taken. */
	if (p.done < p.len) {
		q->avail_idx = avail_idx;
		q->used_idx = used_idx;
		return navail == 0 ? WAITS : DONE;
	}
	guest_store8(p.num_buffers[0], (uint8_t)nchains);
	guest_store8(p.num_buffers[1], (uint8_t)(nchains >> 8));
	return DONE;
}

static enum outcome receive_next(struct net_worker *w, size_t *len)
{
	const uint8_t *frame = w->port.next(w->port.port, len);
	enum outcome outcome;

	if (!frame)
		return NOTHING;
	outcome = *len < NET_FRAME_MIN ? DONE : receive_frame(w, frame, *len);
	if (outcome == DONE)
		w->port.drop(w->port.port);
	return outcome;
}

static bool serve_rx(struct net_worker *w)
{
	enum outcome outcome = DONE;
	size_t len, bytes = 0;

	for (unsigned i = 0; i < NET_BATCH_FRAMES && bytes < NET_BATCH_BYTES && outcome == DONE; i++) {
		outcome = receive_next(w, &len);
		bytes += outcome == DONE ? len : 0;
	}
	publish(w, NET_RX);
	w->rx_starved = outcome == WAITS;
	if (outcome == BROKEN)
		fault(w, w->queues[NET_RX].fault);
	return outcome == DONE;
}

static bool discard(struct net_worker *w)
{
	const uint8_t *frame = NULL;
	size_t len;

	for (unsigned i = 0; i < NET_BATCH_FRAMES && (frame = w->port.next(w->port.port, &len)); i++)
		w->port.drop(w->port.port);
	return frame != NULL;
}

/* ---- both -------------------------------------------------------------------------------------------------- */

static void set_wait(const struct net_worker *w, bool flushed, struct net_wait *wait)
{
	bool reads = w->running ? !w->rx_starved : w->discards, writes = !flushed || (w->running && w->tx_blocked);

	*wait = (struct net_wait) {
		.kick_efds = { w->running && w->rx_starved ? w->kick_efds[NET_RX] : -1,
		               w->running && flushed && !w->tx_blocked ? w->kick_efds[NET_TX] : -1 },
		.port_fd = w->port.poll_fd(w->port.port),
		.port_events = (short)((reads ? POLLIN : 0) | (writes ? POLLOUT : 0)),
	};
}

bool net_worker_serve(struct net_worker *w, struct net_wait *wait)
{
	bool flushed, more = false;

	fair_lock_worker_take(&w->lock);
	flushed = w->port.flush(w->port.port);
	if (w->running && flushed && !w->tx_blocked) {
		more = serve_tx(w);
		flushed = w->port.flush(w->port.port);
	}
	if (w->running && !w->rx_starved)
		more |= serve_rx(w);
	if (!w->running && w->discards)
		more |= discard(w);
	set_wait(w, flushed, wait);
	fair_lock_worker_release(&w->lock);
	return more;
}
