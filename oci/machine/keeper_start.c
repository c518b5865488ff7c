// SPDX-License-Identifier: Apache-2.0
// The order in which a machine comes up: shares, pmvm, the agent, the container.
#include "bundle.h"
#include "descriptor.h"
#include "error.h"
#include "keeper_internal.h"
#include "layers.h"
#include "monotonic.h"
#include "nics.h"
#include "ready.h"

#include <errno.h>
#include <fcntl.h>
#include <json-c/json.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#define CREATE_MS 120000u /* if the plan does not say */
#define VIEW_MS 10000

unsigned keeper_create_ms(const struct keeper *k)
{
	return k->plan->create_timeout_ms ? k->plan->create_timeout_ms : CREATE_MS;
}

static int make_dir(const char *path, struct vpmem_error *err)
{
	if (mkdir(path, 0700) < 0 && errno != EEXIST)
		return error_set(err, -errno, "%s: %s", path, strerror(errno));
	return 0;
}

// ---- the agent, from here on in the event loop

static void report_times(struct keeper *k)
{
	unsigned monitor = (unsigned)(k->monitor_ms - k->begin_ms), agent = (unsigned)(k->hello_ms - k->begin_ms);
	unsigned created = (unsigned)(monotonic_ms() - k->begin_ms);
	char note[160];

	snprintf(note, sizeof(note), "pmvm answered after %u ms, the agent after %u ms, the container after %u ms",
	         monitor, agent, created);
	ready_report_note(&k->ready_fd, note);
}

// The streams and the answer are several connections, so what was sent first may be seen last.
static void check_created(struct keeper *k)
{
	const char *dir = k->plan->joined_dir;
	struct vpmem_error err = { 0 };

	if (k->phase != KEEPER_CREATING || !k->has_answered || !streams_are_complete(&k->streams))
		return;
	// Not earlier: the helpers take files by descriptors, whose mounts are in the host's namespace.
	if (dir && binds_cover_root(dir, &err) < 0) {
		keeper_fail(k, "%s", err.text);
		return;
	}
	loop_del_timer(&k->loop, &k->timer);
	keeper_set_phase(k, KEEPER_CREATED);
	report_times(k);
}

static void on_created(void *owner, struct json_object *ok, const char *error)
{
	struct keeper *k = owner;

	k->guest_pid = ok ? json_object_get_int64(json_object_object_get(ok, "pid")) : 0;
	k->has_answered = true;
	if (k->phase == KEEPER_CREATING && error)
		keeper_fail(k, "%s", error);
	check_created(k);
}

static void on_hello(void *owner)
{
	struct keeper *k = owner;

	k->hello_ms = monotonic_ms();
	// The deadline that counts is that of `timer`, which is for all that comes before as well.
	link_ask(&k->link, "create", json_object_get(k->parts.create), 2 * keeper_create_ms(k), on_created, k);
}

static int on_stream(void *owner, const char *process, const char *which, int fd)
{
	struct keeper *k = owner;
	int rc;

	if (strncmp(process, "init-", 5) == 0)
		return keeper_pod_stream(k, process, which, fd);
	if (strcmp(process, "init") != 0)
		return keeper_exec_stream(k, process, which, fd);
	rc = k->phase == KEEPER_CREATING ? streams_attach(&k->streams, which, fd) : -EINVAL;
	check_created(k);
	return rc;
}

static void on_exited(void *owner, const char *process, int status)
{
	struct keeper *k = owner;

	if (strcmp(process, "init") == 0)
		keeper_container_exited(k, status);
	else if (strncmp(process, "init-", 5) == 0)
		keeper_pod_exited(k, process, status);
	else
		keeper_exec_exited(k, process, status);
}

static const struct link_ops link_ops = {
	.hello = on_hello,
	.stream = on_stream,
	.exited = on_exited,
	.lost = keeper_on_link_lost,
};

static void on_create_timeout(void *owner)
{
	struct keeper *k = owner;

	keeper_fail(k, "the guest is not ready after %u s: %s", keeper_create_ms(k) / 1000,
	            k->link.control_fd < 0 ? "its kernel or its agent did not start" :
	            k->has_answered        ? "its agent has not connected the container's streams" :
	                                     "its agent does not answer");
}

// ---- pmvm

struct preparation {
	const struct keeper *k;
	int view_fd; /* a socket: who sends further images needs the mount namespace; -1: nobody does */
};

static int send_view(int socket_fd, struct vpmem_error *err)
{
	int rc, fd = open("/proc/self/ns/mnt", O_RDONLY | O_CLOEXEC);

	rc = fd < 0 ? -errno : descriptor_send(socket_fd, fd);
	if (fd >= 0)
		close(fd);
	return rc ? error_set(err, rc, "its mount namespace: %s", strerror(-rc)) : 0;
}

static int prepare_images(void *owner, struct vpmem_error *err)
{
	const struct preparation *p = owner;
	int rc = binds_make(p->k->parts.image_dir, p->k->parts.images, p->k->parts.nimages, err);

	return rc || p->view_fd < 0 ? rc : send_view(p->view_fd, err);
}

static void copy_nics(const struct keeper *k, struct vm_nic *nics, size_t *n)
{
	for (*n = 0; k->plan->nics && *n < k->plan->nics->n && *n < VM_NICS_MAX; ++*n) {
		const struct nic *nic = &k->plan->nics->nics[*n];

		nics[*n] = (struct vm_nic) { .tap_fd = nic->tap_fd, .vhost_fd = nic->vhost_fd };
		memcpy(nics[*n].mac, nic->guest_mac, sizeof(nics[*n].mac));
	}
}

static int spawn_pmvm(struct keeper *k, const struct vm_config *cfg, struct vpmem_error *err)
{
	struct preparation preparation = { .k = k, .view_fd = -1 };
	char **argv = vm_args_make(cfg, err);
	const struct rootfs *rootfs = k->plan->rootfs;
	int fds[4 + 2 * VM_NICS_MAX] = { cfg->qmp_fd, cfg->vhost_vsock_fd, cfg->share_fd,
		                         rootfs->has_scratch ? rootfs->scratch_fd : -1 };
	struct helper_options opts = {
		.name = "pmvm",
		.argv = (const char *const *)argv,
		.fds = fds,
		.nfds = 4,
		.prepare = k->parts.nimages > 0 || k->plan->is_pod ? prepare_images : NULL,
		.prepare_owner = &preparation,
		.ended = keeper_on_pmvm_ended,
		.owner = k,
	};
	int view[2] = { -1, -1 }, rc = 0;

	if (!argv)
		return -EINVAL;
	if (k->plan->is_pod && socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, view) < 0)
		rc = error_set(err, -errno, "cannot make a socket: %s", strerror(errno));
	preparation.view_fd = view[1];
	for (size_t i = 0; i < cfg->nnics; i++) {
		fds[opts.nfds++] = cfg->nics[i].tap_fd;
		fds[opts.nfds++] = cfg->nics[i].vhost_fd;
	}
	rc = rc ? rc : helper_start(&k->pmvm, &opts, &k->loop, err);
	vm_args_free(argv);
	if (rc == 0 && k->plan->is_pod) {
		k->view_fd = descriptor_receive(view[0], VIEW_MS);
		rc = k->view_fd < 0 ? error_set(err, k->view_fd, "pmvm has no mount namespace of its own") : 0;
	}
	for (unsigned i = 0; i < 2; i++)
		if (view[i] >= 0)
			close(view[i]);
	return rc;
}

uint32_t keeper_uid(const struct keeper *k)
{
	// Another machine of this host has another CID.
	return k->plan->uid_base ? k->plan->uid_base + (k->transport.cid & 0x0fffffff) : 0;
}

static int start_pmvm(struct keeper *k, int qmp_fd, int share_fd, struct vpmem_error *err)
{
	const struct machine_plan *plan = k->plan;
	char console_dir[4096], console_path[4096 + 8];
	struct vm_nic nics[VM_NICS_MAX];
	struct vm_config cfg = {
		.pmvm = plan->paths.pmvm,
		.kernel = plan->paths.kernel,
		.initrd = plan->paths.initrd,
		.console_path = plan->debug ? console_path : NULL,
		.ram_size = plan->ram_size,
		.cpus = plan->cpus,
		.uid = keeper_uid(k),
		.root = plan->is_pod ? k->parts.image_dir : NULL,
		.cid = k->transport.cid,
		.port = k->transport.port,
		.qmp_fd = qmp_fd,
		.vhost_vsock_fd = k->transport.vhost_fd,
		.share_fd = share_fd,
		.pmem = k->parts.pmem,
		.npmem = k->parts.npmem,
		.nics = nics,
	};
	int rc = 0;

	// A directory of its own: pmvm's broker may open what is beside it.
	snprintf(console_dir, sizeof(console_dir), "%s/console", plan->state_dir);
	snprintf(console_path, sizeof(console_path), "%s/log", console_dir);
	copy_nics(k, nics, &cfg.nnics);
	if (plan->debug)
		rc = make_dir(console_dir, err);
	if (rc == 0 && (cfg.npmem > 0 || plan->is_pod))
		rc = make_dir(k->parts.image_dir, err);
	return rc ? rc : spawn_pmvm(k, &cfg, err);
}

// pmvm names an image as it sees it, in a mount namespace of its own.
static void hint_at_image(const struct keeper *k, const char *words, struct vpmem_error *err)
{
	for (size_t i = 0; i < k->parts.npmem; i++) {
		const char *path = k->parts.pmem[i].path, *at = strstr(words, path);

		if (at && (at[strlen(path)] < '0' || at[strlen(path)] > '9'))
			error_hint(err, "%s is %s", path, plan_image_file(k->plan, i));
	}
}

// Its monitor answers when its command line is found good.
static int start_machine(struct keeper *k, int share_fd, struct vpmem_error *err)
{
	char words[512];
	int fds[2], rc;

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds) < 0)
		return error_set(err, -errno, "cannot make a socket: %s", strerror(errno));
	rc = start_pmvm(k, fds[1], share_fd, err);
	close(fds[1]);
	if (rc < 0) {
		close(fds[0]);
		return rc;
	}
	rc = vm_monitor_open(&k->monitor, fds[0], &k->loop, keeper_create_ms(k), keeper_on_stopped, k, err);
	k->monitor_ms = monotonic_ms();
	k->monitor.deleted = keeper_on_deleted;
	k->monitor.unserved = keeper_on_unserved;
	if (rc == -EIO) {
		struct pollfd fd = { .fd = k->pmvm.pid_fd, .events = POLLIN };

		poll(&fd, 1, 1000);
		error_set(err, rc, "could not start the machine: %.400s",
		          helper_last_words(&k->pmvm, words, sizeof(words)));
		helper_last_hint(&k->pmvm, err);
		hint_at_image(k, words, err);
	}
	return rc;
}

// ---- shares

static int start_shares(struct keeper *k, int *fd, struct vpmem_error *err)
{
	const struct share_plan plan = {
		.program = k->plan->paths.virtiofsd,
		.dir = k->parts.share_dir,
		.binds = k->parts.shares,
		.nbinds = k->parts.nshares,
		.rules = k->parts.rules,
		.nrules = k->parts.nrules,
		.has_user_namespace = k->plan->bundle->has_user_namespace,
	};
	int rc = make_dir(plan.dir, err);

	return rc ? rc : share_server_start(&k->virtiofsd, &plan, &k->loop, keeper_on_virtiofsd_ended, k, fd, err);
}

// ---- all of it

static int start_transport(struct keeper *k, transport_open *open, struct vpmem_error *err)
{
	int rc = open(&k->transport, err);

	if (rc < 0) {
		k->transport.vhost_fd = -1;
		return rc;
	}
	rc = link_open(&k->link, &k->transport, &k->loop, &link_ops, k);
	return rc ? error_set(err, rc, "cannot watch for the guest: %s", strerror(-rc)) : 0;
}

int keeper_start(struct keeper *k, transport_open *open, struct vpmem_error *err)
{
	const struct bundle *bundle = k->plan->bundle;
	const struct terminal_size size = { bundle->console_rows, bundle->console_columns };
	int share_fd = -1, rc;

	k->begin_ms = monotonic_ms();
	rc = parts_make(&k->parts, k->plan, err);
	if (rc == 0)
		rc = control_open(&k->control, k->plan->state_dir, &k->loop, &keeper_control_ops, k, err);
	if (rc == 0)
		rc = streams_open(&k->streams, &k->loop, bundle->terminal, k->plan->console_socket, size, err);
	if (rc == 0)
		rc = start_transport(k, open, err);
	if (rc == 0 && k->parts.nshares > 0)
		rc = start_shares(k, &share_fd, err);
	if (rc == 0)
		rc = start_machine(k, share_fd, err);
	// pmvm has its own copies.
	if (share_fd >= 0)
		close(share_fd);
	if (k->transport.vhost_fd >= 0)
		close(k->transport.vhost_fd);
	if (rc < 0)
		return rc;
	if (k->plan->nics)
		nics_release(k->plan->nics);
	keeper_arm(k, keeper_create_ms(k), on_create_timeout);
	return 0;
}
