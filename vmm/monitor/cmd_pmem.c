// SPDX-License-Identifier: Apache-2.0
/*
 * query-pmem: what the pmem devices did and how they are. Not a command of QEMU's. An array with an object
 * for each device, in the order in which they were added:
 *
 *   id          the device's id; absent: it has none
 *   memdev      QOM path of its memory backend: "/objects/mem1"
 *   mem-path    the backend's file
 *   memaddr     guest-physical address; with shmem=on 0 while the guest has the BAR switched off
 *   size        bytes that are mapped
 *   resident    bytes of the mapping that are in the host's memory; absent: the host cannot tell
 *   allocated   bytes that the file takes on the host's disk; absent: the host cannot tell
 *   share       stores go to the file
 *   readonly    the guest cannot write
 *   flushes     the guest's flush requests: {requested, completed, failed}; completed counts the failed too
 *   syncs       the fdatasync calls made for them, fewer when one served several: {count, errors,
 *               in-flight-ns (how long the one under way has run; absent: none is), total-ns, max-ns,
 *               histogram}. histogram: [{below-ns, count}...], counts of syncs that took less than below-ns
 *               and not less than the entry before; the last one has no below-ns and counts the rest
 *   interrupts  sent for completed requests
 *   refused-stores  of the guest to read-only memory
 *   werror      what happens when a sync fails: "report" (the guest is told), "stop" (the machine pauses first)
 *   state       "ok"; "no-space": the machine paused because the host had no room; or "failed": a sync
 *               failed, and every flush fails from then on
 *   error       why, if failed: {errno, message, time (seconds since 1970)}
 *
 * All of it is read without a lock of the flush path.
 */
#include "commands.h"

#include "json_make.h"
#include "machine.h"
#include "machine_query.h"
#include "monotonic.h"

#include <string.h>

static struct json_object *flushes(const struct vpmem_stats *stats)
{
	struct json_object *info = json_object_new_object();

	put_uint(info, "requested", stats->requests);
	put_uint(info, "completed", stats->completed);
	put_uint(info, "failed", stats->failed);
	return info;
}

static struct json_object *histogram(const struct vpmem_stats *stats)
{
	struct json_object *list = json_object_new_array();

	for (unsigned i = 0; i < VPMEM_SYNC_BUCKETS; i++) {
		struct json_object *bucket = json_object_new_object();

		if (i < VPMEM_SYNC_BUCKETS - 1)
			put_uint(bucket, "below-ns", UINT64_C(1) << (i + 10));
		put_uint(bucket, "count", stats->sync_histogram[i]);
		add_to(list, bucket);
	}
	return list;
}

static struct json_object *syncs(const struct vpmem_stats *stats)
{
	struct json_object *info = json_object_new_object();
	uint64_t now = monotonic_ns(), started = stats->sync_started_ns;

	put_uint(info, "count", stats->syncs);
	put_uint(info, "errors", stats->sync_errors);
	if (started != 0)
		put_uint(info, "in-flight-ns", now > started ? now - started : 0);
	put_uint(info, "total-ns", stats->sync_ns);
	put_uint(info, "max-ns", stats->sync_ns_max);
	put(info, "histogram", histogram(stats));
	return info;
}

static struct json_object *error(const struct vpmem_stats *stats)
{
	struct json_object *info = json_object_new_object();

	put_int(info, "errno", -(int64_t)stats->error);
	put_str(info, "message", strerror(-stats->error));
	put_int(info, "time", stats->error_time);
	return info;
}

static struct json_object *pmem_info(const struct pmem *pmem)
{
	const struct vpmem_backing *backing = pmem->memdev->backing;
	struct vpmem_stats stats = vpmem_device_stats(virtio_pci_device(pmem->vp));
	struct json_object *info = json_object_new_object();

	if (pmem->cfg.id)
		put_str(info, "id", pmem->cfg.id);
	put(info, "memdev", memdev_path(pmem->memdev));
	put_str(info, "mem-path", vpmem_backing_path(backing));
	put_uint(info, "memaddr", virtio_pci_pmem_gpa(pmem->vp));
	put_uint(info, "size", vpmem_backing_size(backing));
	put_bool(info, "share", pmem->memdev->cfg.backing.share);
	put_bool(info, "readonly", vpmem_backing_is_rom(backing));
	put(info, "flushes", flushes(&stats));
	put(info, "syncs", syncs(&stats));
	put_uint(info, "interrupts", stats.interrupts);
	put_uint(info, "refused-stores", pmem->nrefused);
	put_str(info, "werror", werror_words[pmem->cfg.werror]);
	put_str(info, "state", stats.error ? "failed" : pmem->no_room ? "no-space" : "ok");
	if (stats.error)
		put(info, "error", error(&stats));
	return info;
}

static void add_usage(struct json_object *info, struct machine *m, const struct memdev *memdev)
{
	struct vpmem_usage usage;

	if (machine_memdev_usage(m, memdev, &usage) < 0)
		return;
	put_uint(info, "resident", usage.resident_size);
	put_uint(info, "allocated", usage.allocated_size);
}

int cmd_query_pmem(const struct command_context *ctx, struct json_object *args, struct json_object **ret,
                   struct vpmem_error *err)
{
	struct json_object *list = json_object_new_array();
	struct json_object *infos[PMEMS_MAX];
	struct memdev *memdevs[PMEMS_MAX];
	struct pmem *pmems[PMEMS_MAX];
	unsigned n = machine_list_pmems(ctx->machine, pmems);

	(void)args;
	for (unsigned i = 0; i < n; i++) {
		infos[i] = pmem_info(pmems[i]);
		memdevs[i] = pmems[i]->memdev;
	}
	// From here on the machine lock is free now and then: a device may go meanwhile, a memdev cannot.
	for (unsigned i = 0; i < n; i++) {
		add_usage(infos[i], ctx->machine, memdevs[i]);
		add_to(list, infos[i]);
	}
	return command_give(list, ret, err);
}
