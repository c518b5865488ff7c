// SPDX-License-Identifier: Apache-2.0
// Another process as a back end: what it can do, and the start and stop of its rings.
#include "vhost_user.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define BIT(n) (UINT64_C(1) << (n))
#define RINGS_MAX 64u
#define PROTOCOL_FEATURES                                                             \
	(BIT(VHOST_USER_PROTOCOL_F_MQ) | BIT(VHOST_USER_PROTOCOL_F_REPLY_ACK) |       \
	 BIT(VHOST_USER_PROTOCOL_F_BACKEND_REQ) | BIT(VHOST_USER_PROTOCOL_F_CONFIG) | \
	 BIT(VHOST_USER_PROTOCOL_F_CONFIGURE_MEM_SLOTS))

static_assert(VIRTIO_DEVICE_QUEUES_MAX <= RINGS_MAX, "a bit for each");

static struct vhost_user *user_of(struct vhost_backend *backend)
{
	return (struct vhost_user *)backend;
}

bool vhost_user_has(const struct vhost_user *vu, unsigned protocol_feature)
{
	return vu->protocol_features & BIT(protocol_feature);
}

bool vhost_user_is_connected(const struct vhost_user *vu)
{
	return vu->link.end == VHOST_USER_OPEN;
}

/* ---- messages ------------------------------------------------------------------------------------------------- */

int vhost_user_call(struct vhost_user *vu, const struct vhost_user_message *message)
{
	struct vhost_user_message msg = *message;
	int rc;

	msg.need_reply = vhost_user_has(vu, VHOST_USER_PROTOCOL_F_REPLY_ACK);
	rc = vhost_user_send(&vu->link, &msg);
	if (rc)
		vu->backend.failed = vhost_user_request_name(msg.request);
	return rc;
}

int vhost_user_set_u64(struct vhost_user *vu, enum vhost_user_request request, uint64_t val)
{
	return vhost_user_call(
		vu, &(struct vhost_user_message) { .request = request, .payload = &val, .size = sizeof(val) });
}

static int get_u64(struct vhost_user *vu, enum vhost_user_request request, uint64_t *val)
{
	const struct vhost_user_message msg = { .request = request };
	int rc = vhost_user_ask(&vu->link, &msg, val, sizeof(*val), sizeof(*val));

	if (rc < 0)
		vu->backend.failed = vhost_user_request_name(request);
	return rc < 0 ? rc : 0;
}

static int set_vring(struct vhost_user *vu, enum vhost_user_request request, uint16_t idx, uint32_t num)
{
	const struct vhost_user_vring vring = { .idx = idx, .num = num };

	return vhost_user_call(
		vu, &(struct vhost_user_message) { .request = request, .payload = &vring, .size = sizeof(vring) });
}

static int set_vring_fd(struct vhost_user *vu, enum vhost_user_request request, uint16_t idx, int fd)
{
	const uint64_t val = idx;

	return vhost_user_call(
		vu, &(struct vhost_user_message) {
			    .request = request, .payload = &val, .size = sizeof(val), .fds = &fd, .nfds = 1 });
}

/* ---- start and stop --------------------------------------------------------------------------------------------- */

static int set_features(struct vhost_backend *backend, uint64_t features)
{
	struct vhost_user *vu = user_of(backend);
	int rc;

	if (!vhost_user_is_connected(vu)) {
		backend->failed = "there is no back end";
		return -ENOTCONN;
	}
	vhost_user_link_begin(&vu->link, VHOST_USER_TIMEOUT_MS);
	vu->starting = true;
	features |= vu->features & BIT(VHOST_USER_F_PROTOCOL_FEATURES);
	rc = vhost_user_set_u64(vu, VHOST_USER_SET_FEATURES, features);
	return rc ? rc : vhost_user_start_inflight(vu);
}

static int set_addr(struct vhost_user *vu, const struct vhost_ring *ring)
{
	const struct vhost_user_vring_addr addr = { .idx = ring->idx,
		                                    .desc = (uintptr_t)ring->desc_hva,
		                                    .used = (uintptr_t)ring->used_hva,
		                                    .avail = (uintptr_t)ring->avail_hva };

	return vhost_user_call(vu, &(struct vhost_user_message) { .request = VHOST_USER_SET_VRING_ADDR,
	                                                          .payload = &addr,
	                                                          .size = sizeof(addr) });
}

/* The ring is started by its kick descriptor, which is the last to come. */
static int set_ring(struct vhost_backend *backend, const struct vhost_ring *ring)
{
	struct vhost_user *vu = user_of(backend);
	int rc = set_vring(vu, VHOST_USER_SET_VRING_NUM, ring->idx, ring->size);

	vu->bases[ring->idx] = ring->base;
	vu->used_hva[ring->idx] = ring->used_hva;
	if (rc == 0)
		rc = set_vring(vu, VHOST_USER_SET_VRING_BASE, ring->idx, ring->base);
	if (rc == 0)
		rc = set_addr(vu, ring);
	if (rc == 0)
		rc = set_vring_fd(vu, VHOST_USER_SET_VRING_CALL, ring->idx, ring->call_efd);
	if (rc == 0)
		rc = set_vring_fd(vu, VHOST_USER_SET_VRING_ERR, ring->idx, ring->error_efd);
	if (rc)
		return rc;
	vu->started |= BIT(ring->idx);
	return set_vring_fd(vu, VHOST_USER_SET_VRING_KICK, ring->idx, ring->kick_efd);
}

/* Without protocol features a ring is enabled when it is started. */
static int run(struct vhost_backend *backend)
{
	struct vhost_user *vu = user_of(backend);
	bool enables = vu->features & BIT(VHOST_USER_F_PROTOCOL_FEATURES);
	int rc = 0;

	for (uint16_t i = 0; enables && i < RINGS_MAX && rc == 0; i++)
		if (vu->started & BIT(i) && i < vu->nenabled)
			rc = set_vring(vu, VHOST_USER_SET_VRING_ENABLE, i, 1);
	vu->starting = false;
	return rc;
}

/* Of the rings below `end`, those that differ. Returns 0, or -errno and in *failed the ring that it is about. */
static int change_enabled(struct vhost_user *vu, unsigned from, unsigned to, uint16_t end, uint16_t *failed)
{
	for (uint16_t i = 0; i < end; i++) {
		int rc = 0;

		if (vu->started & BIT(i) && (i < from) != (i < to))
			rc = set_vring(vu, VHOST_USER_SET_VRING_ENABLE, i, i < to);
		if (rc) {
			*failed = i;
			return rc;
		}
	}
	return 0;
}

int vhost_user_enable_rings(struct vhost_user *vu, unsigned nrings)
{
	unsigned old = vu->nenabled;
	uint16_t failed;
	int rc;

	vu->nenabled = nrings;
	if (vu->starting || !(vu->features & BIT(VHOST_USER_F_PROTOCOL_FEATURES)))
		return 0;
	vhost_user_link_begin(&vu->link, VHOST_USER_TIMEOUT_MS);
	rc = change_enabled(vu, old, nrings, RINGS_MAX, &failed);
	if (rc == 0)
		return 0;
	vu->nenabled = old;
	if (change_enabled(vu, nrings, old, failed, &failed) == -EREMOTEIO)
		(void)vhost_user_garbage(&vu->link, "the back end refuses %s, and then the old state of queue %u",
		                         vhost_user_request_name(VHOST_USER_SET_VRING_ENABLE), failed);
	return rc;
}

/*
 * A connection that ended says nothing: what was used is in guest memory. It is the guest's, and goes to nobody but the next
 * back end.
 */
static uint16_t used_idx(const uint8_t *used_hva)
{
	uint16_t idx;

	__atomic_load((const uint16_t *)(const void *)(used_hva + 2), &idx, __ATOMIC_ACQUIRE);
	return idx;
}

static int stop_ring(struct vhost_user *vu, uint16_t idx)
{
	const struct vhost_user_vring ask = { .idx = idx };
	const struct vhost_user_message msg = { .request = VHOST_USER_GET_VRING_BASE,
		                                .payload = &ask,
		                                .size = sizeof(ask) };
	struct vhost_user_vring vring;
	int rc = vhost_user_ask(&vu->link, &msg, &vring, sizeof(vring), sizeof(vring));

	if (rc < 0)
		return rc;
	if (vring.idx != idx || vring.num > UINT16_MAX)
		return vhost_user_garbage(&vu->link, "the back end stops queue %u at 0x%x, asked for queue %u",
		                          vring.idx, vring.num, idx);
	vu->bases[idx] = (uint16_t)vring.num;
	return 0;
}

static void stop(struct vhost_backend *backend)
{
	struct vhost_user *vu = user_of(backend);

	vu->starting = false;
	if (vhost_user_is_connected(vu))
		vhost_user_link_begin(&vu->link, VHOST_USER_TIMEOUT_MS);
	for (uint16_t i = 0; i < RINGS_MAX; i++)
		if (vu->started & BIT(i) && (!vhost_user_is_connected(vu) || stop_ring(vu, i) < 0))
			vu->bases[i] = used_idx(vu->used_hva[i]);
	vu->started = 0;
}

static int get_base(struct vhost_backend *backend, uint16_t idx, uint16_t *base)
{
	*base = user_of(backend)->bases[idx];
	return 0;
}

static bool has_left(const struct vhost_backend *backend)
{
	return ((const struct vhost_user *)backend)->link.end == VHOST_USER_CLOSED;
}

const struct vhost_backend_ops vhost_user_ops = {
	.set_features = set_features,
	.set_memory = vhost_user_set_memory,
	.set_ring = set_ring,
	.run = run,
	.stop = stop,
	.get_base = get_base,
	.has_left = has_left,
};

/* ---- configuration -------------------------------------------------------------------------------------------------- */

static int get_config(struct vhost_user *vu, uint8_t *config, uint32_t size)
{
	struct vhost_user_config_payload ask = { .size = size }, answer;
	uint32_t len = (uint32_t)VHOST_USER_CONFIG_HEADER + size;
	const struct vhost_user_message msg = { .request = VHOST_USER_GET_CONFIG, .payload = &ask, .size = len };
	int rc;

	vu->backend.failed = vhost_user_request_name(VHOST_USER_GET_CONFIG);
	/* An empty one is the back end's error. */
	rc = vhost_user_ask(&vu->link, &msg, &answer, 0, len);
	if (rc < 0)
		return rc;
	if ((uint32_t)rc < len)
		return -EREMOTEIO;
	if (answer.off != 0 || answer.size != size)
		return vhost_user_garbage(&vu->link, "the back end's configuration is of bytes %u and %u more, not %u",
		                          answer.off, answer.size, size);
	memcpy(config, answer.bytes, size);
	return 0;
}

int vhost_user_get_config(struct vhost_user *vu, uint8_t *config, uint32_t size)
{
	vhost_user_link_begin(&vu->link, VHOST_USER_TIMEOUT_MS);
	return get_config(vu, config, size);
}

int vhost_user_set_config(struct vhost_user *vu, uint32_t off, const uint8_t *bytes, uint32_t len)
{
	struct vhost_user_config_payload config = { .off = off, .size = len };

	vhost_user_link_begin(&vu->link, VHOST_USER_TIMEOUT_MS);
	memcpy(config.bytes, bytes, len);
	return vhost_user_call(vu, &(struct vhost_user_message) { .request = VHOST_USER_SET_CONFIG,
	                                                          .payload = &config,
	                                                          .size = (uint32_t)VHOST_USER_CONFIG_HEADER + len });
}

/* ---- a connection ------------------------------------------------------------------------------------------------------ */

static int negotiate_protocol(struct vhost_user *vu)
{
	uint64_t slots = 0, features = 0;
	int rc = get_u64(vu, VHOST_USER_GET_PROTOCOL_FEATURES, &features);

	if (rc)
		return rc;
	features &= PROTOCOL_FEATURES | vu->own_protocol_features;
	/* The back end's own channel is for one message, which is about the configuration. */
	if (!(features & BIT(VHOST_USER_PROTOCOL_F_CONFIG)))
		features &= ~BIT(VHOST_USER_PROTOCOL_F_BACKEND_REQ);
	rc = vhost_user_set_u64(vu, VHOST_USER_SET_PROTOCOL_FEATURES, features);
	vu->protocol_features = features;
	if (rc == 0 && vhost_user_has(vu, VHOST_USER_PROTOCOL_F_MQ))
		rc = get_u64(vu, VHOST_USER_GET_QUEUE_NUM, &vu->queues_max);
	if (rc || !vhost_user_has(vu, VHOST_USER_PROTOCOL_F_CONFIGURE_MEM_SLOTS))
		return rc;
	rc = get_u64(vu, VHOST_USER_GET_MAX_MEM_SLOTS, &slots);
	if (rc == 0 && slots == 0) {
		vu->backend.failed = vhost_user_request_name(VHOST_USER_GET_MAX_MEM_SLOTS);
		return vhost_user_garbage(&vu->link, "the back end can have no region of memory");
	}
	vu->regions_max = slots < VM_MEMORY_REGIONS_MAX ? (unsigned)slots : VM_MEMORY_REGIONS_MAX;
	return rc;
}

int vhost_user_connect(struct vhost_user *vu, int fd, uint8_t *config, uint32_t config_size)
{
	int rc;

	vhost_user_link_open(&vu->link, fd);
	vhost_user_link_begin(&vu->link, VHOST_USER_TIMEOUT_MS);
	vu->protocol_features = vu->started = 0;
	vu->queues_max = RINGS_MAX;
	vu->regions_max = VHOST_USER_REGIONS_MAX;
	vu->nsent = 0;
	rc = get_u64(vu, VHOST_USER_GET_FEATURES, &vu->features);
	if (rc == 0 && vu->features & BIT(VHOST_USER_F_PROTOCOL_FEATURES))
		rc = negotiate_protocol(vu);
	if (rc == 0)
		rc = vhost_user_call(vu, &(struct vhost_user_message) { .request = VHOST_USER_SET_OWNER });
	if (rc == 0 && config_size > 0)
		rc = get_config(vu, config, config_size);
	if (rc == 0 && vhost_user_has(vu, VHOST_USER_PROTOCOL_F_BACKEND_REQ))
		rc = vhost_user_requests_open(vu);
	if (rc)
		vhost_user_disconnect(vu);
	return rc;
}

static void on_ready(void *owner, short revents)
{
	struct vhost_user *vu = owner;

	(void)revents;
	vhost_user_link_examine(&vu->link);
}

static void on_ended(void *owner)
{
	struct vhost_user *vu = owner;

	vu->lost(vu);
}

int vhost_user_watch(struct vhost_user *vu)
{
	int rc;

	vu->source = (struct loop_source) { .fd = vu->link.fd, .events = POLLIN, .ready = on_ready, .owner = vu };
	vu->watched = true;
	vu->link.ended = (struct loop_timer) { .expired = on_ended, .owner = vu };
	rc = loop_add_timer(vu->loop, &vu->link.ended);
	vu->link.loop = vu->loop;
	if (rc == 0)
		rc = loop_add(vu->loop, &vu->source);
	if (rc == 0 && vu->requests.fd >= 0)
		rc = loop_add(vu->loop, &vu->requests);
	vu->backend.failed = "the event loop";
	return rc;
}

void vhost_user_init(struct vhost_user *vu)
{
	vu->backend.ops = &vhost_user_ops;
	vu->link = (struct vhost_user_link) { .fd = -1, .end = VHOST_USER_CLOSED, .other_fd = -1 };
	vu->requests.fd = vu->inflight_fd = -1;
	vu->nenabled = RINGS_MAX;
}

void vhost_user_disconnect(struct vhost_user *vu)
{
	if (vu->watched) {
		loop_del(vu->loop, &vu->source);
		loop_del(vu->loop, &vu->requests);
		loop_del_timer(vu->loop, &vu->link.ended);
		vu->link.loop = NULL;
	}
	vu->watched = false;
	vhost_user_requests_close(vu);
	vhost_user_link_close(&vu->link);
	free(vu->sent);
	vu->sent = NULL;
	vu->nsent = 0;
}
