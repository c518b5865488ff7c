// SPDX-License-Identifier: Apache-2.0
// How a further container comes into the machine of its pod: its place, its layers and share as devices, `create`.
#include "control.h"
#include "descriptor.h"
#include "error.h"
#include "layers.h"
#include "member_internal.h"
#include "share_server.h"

#include <errno.h>
#include <fcntl.h>
#include <json-c/json.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define ANSWER_MS 60000

struct json_object *member_request(const struct member *m, const char *verb)
{
	struct json_object *message = json_object_new_object();

	json_object_object_add(message, "do", json_object_new_string(verb));
	json_object_object_add(message, "container", json_object_new_string(m->plan->id));
	return message;
}

int member_tell(struct member *m, struct json_object *message, struct vpmem_error *err)
{
	int rc = wire_send(m->keeper_fd, message, err);

	json_object_put(message);
	return rc;
}

static int await_answer(struct member *m, struct json_object **ok, struct vpmem_error *err)
{
	struct json_object *message = NULL;
	int rc = wire_receive(m->keeper_fd, ANSWER_MS, &message, err);

	if (rc == -ETIMEDOUT)
		return error_set(err, rc, "the keeper of the pod did not answer in time");
	if (rc < 0)
		return error_set(err, rc, "the machine of the pod has ended");
	rc = control_result(message, ok, err);
	json_object_put(message);
	return rc;
}

static int take_joined(struct member *m, struct vpmem_error *err)
{
	struct json_object *addresses = json_object_object_get(m->joined, "addresses");
	const size_t n = plan_count_images(m->plan) + 1;

	if (!json_object_is_type(addresses, json_type_array) || json_object_array_length(addresses) != n)
		return error_set(err, -EBADMSG, "the keeper of the pod gave no addresses");
	m->addresses = calloc(n, sizeof(*m->addresses));
	if (!m->addresses)
		return error_set(err, -ENOMEM, "out of memory");
	for (size_t i = 0; i < n; i++)
		m->addresses[i] = json_object_get_string(json_object_array_get_idx(addresses, i));
	m->own = *m->plan;
	m->own.addresses = m->addresses;
	m->own.place = (struct guest_place) {
		.number = (unsigned)json_object_get_int(json_object_object_get(m->joined, "number")),
		.pod_pid = json_object_get_int(json_object_object_get(m->joined, "pid")),
		.pidns_pid = json_object_get_int(json_object_object_get(m->joined, "pidns")),
	};
	return 0;
}

static int join(struct member *m, struct vpmem_error *err)
{
	struct json_object *message = member_request(m, "join");
	int rc;

	json_object_object_add(message, "images", json_object_new_int64((int64_t)plan_count_images(m->plan)));
	if (m->plan->pidns)
		json_object_object_add(message, "pidns", json_object_new_string(m->plan->pidns));
	rc = member_tell(m, message, err);
	rc = rc ? rc : await_answer(m, &m->joined, err);
	return rc ? rc : take_joined(m, err);
}

static int start_share(struct member *m, void (*virtiofsd_ended)(void *owner), struct vpmem_error *err)
{
	const struct share_plan plan = {
		.program = m->plan->paths.virtiofsd,
		.dir = m->parts.share_dir,
		.binds = m->parts.shares,
		.nbinds = m->parts.nshares,
		.rules = m->parts.rules,
		.nrules = m->parts.nrules,
		.has_user_namespace = m->plan->bundle->has_user_namespace,
		.socket_dir = m->plan->state_dir,
		.listener_fd = &m->listener_fd,
	};

	if (mkdir(plan.dir, 0700) < 0 && errno != EEXIST)
		return error_set(err, -errno, "%s: %s", plan.dir, strerror(errno));
	return share_server_start(&m->virtiofsd, &plan, &m->loop, virtiofsd_ended, m, NULL, err);
}

static int send_tree(struct member *m, const char *source, bool readonly, struct vpmem_error *err)
{
	int rc, fd = binds_take(source, readonly, err);

	if (fd < 0)
		return fd;
	rc = descriptor_send(m->keeper_fd, fd);
	close(fd);
	return rc ? error_set(err, rc, "cannot pass '%s' to the keeper of the pod: %s", source, strerror(-rc)) : 0;
}

static struct json_object *describe_images(const struct member *m)
{
	struct json_object *list = json_object_new_array();

	for (size_t i = 0; i < m->parts.nimages; i++) {
		struct json_object *image = json_object_new_object();

		json_object_object_add(image, "file", json_object_new_string(plan_image_file(m->plan, i)));
		json_object_object_add(image, "readonly", json_object_new_boolean(m->parts.images[i].readonly));
		json_object_array_add(list, image);
	}
	return list;
}

static int plug(struct member *m, struct vpmem_error *err)
{
	const bool has_share = m->parts.nshares > 0;
	struct json_object *message = member_request(m, "plug");
	char socket[4096 + 32];
	int rc;

	json_object_object_add(message, "share", json_object_new_boolean(has_share));
	json_object_object_add(message, "images", describe_images(m));
	rc = member_tell(m, message, err);
	for (size_t i = 0; i < m->parts.nimages && rc == 0; i++)
		rc = send_tree(m, m->parts.images[i].source, m->parts.images[i].readonly, err);
	snprintf(socket, sizeof(socket), "%s/" SHARE_SOCKET, m->plan->state_dir);
	if (rc == 0 && has_share)
		rc = send_tree(m, socket, false, err);
	rc = rc ? rc : await_answer(m, NULL, err);
	m->is_served = rc == 0 && has_share;
	// pmvm has connected, and waits for an answer only when it has the device.
	return rc || !has_share ? rc : share_server_await(&m->virtiofsd, err);
}

// What has no name cannot be mounted in pmvm's view. Afterwards it needs none.
static int plug_with_scratch(struct member *m, struct vpmem_error *err)
{
	const struct rootfs *rootfs = m->plan->rootfs;
	char file[64];
	int rc = 0;

	if (!rootfs->has_scratch)
		return plug(m, err);
	snprintf(file, sizeof(file), "/proc/self/fd/%d", rootfs->scratch_fd);
	// pmvm runs as another user. Nobody else finds it: only root may enter the directory.
	if (fchmod(rootfs->scratch_fd, 0666) < 0 ||
	    linkat(AT_FDCWD, file, AT_FDCWD, rootfs->scratch_path, AT_SYMLINK_FOLLOW) < 0)
		return error_set(err, -errno, "%s: %s", rootfs->scratch_path, strerror(errno));
	rc = plug(m, err);
	unlink(rootfs->scratch_path);
	return rc;
}

int member_come_in(struct member *m, void (*virtiofsd_ended)(void *owner), struct vpmem_error *err)
{
	struct json_object *message;
	int rc = join(m, err);

	rc = rc ? rc : parts_make(&m->parts, &m->own, err);
	if (rc == 0 && m->parts.nshares > 0)
		rc = start_share(m, virtiofsd_ended, err);
	rc = rc ? rc : plug_with_scratch(m, err);
	if (rc < 0)
		return rc;
	message = member_request(m, "create");
	json_object_object_add(message, "create", json_object_get(m->parts.create));
	return member_tell(m, message, err);
}
