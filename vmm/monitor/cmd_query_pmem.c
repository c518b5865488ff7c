// SPDX-License-Identifier: Apache-2.0
/*
 * query-pmem: statistics of the pmem devices. QEMU does not have this command. An array with an object for each device,
 * in the order in which they were added:
 *
 *   id          the device's id; absent if it has none
 *   memdev      QOM path of its memory backend: "/objects/mem1"
 *   mem-path    the backend's file
 *   memaddr     guest-physical address; with shmem=on 0 while the guest has disabled the BAR
 *   size        bytes that are mapped
 *   resident    bytes of the mapping that are in the host's memory; absent if the host does not report it
 *   allocated   bytes that the file takes on the host's disk; absent if the host does not report it
 *   share       the guest's stores change the file
 *   readonly    the guest cannot write
 *   flushes     the guest's flush requests: {requested, completed, failed}; completed includes the failed ones
 *   syncs       the fdatasync calls for these requests, fewer when one served several: {count, errors, in-flight-ns
 *               (how long the present call has run; absent if there is none), total-ns, max-ns, histogram}. histogram:
 *               [{below-ns, count}...], counts of syncs that took less than below-ns and not less than the entry
 *               before; the last entry has no below-ns and counts the rest
 *   interrupts  sent for completed requests
 *   refused-stores  of the guest to read-only memory
 *   werror      what happens when a sync fails: "report" (the guest's flush fails), "stop" (the machine pauses first)
 *   state       "ok"; "no-space": the machine paused because the host had no room; or "failed": a sync
 *               failed, and every flush fails from then on
 *   error       why, if failed: {errno, message, time (seconds since 1970)}
 *
 * The statistics are read without a lock of the flush path.
 */
#include "command.h"

#include "json_get.h"
#include "json_make.h"
#include "machine_query.h"
#include "monotonic.h"
#include "pci.h"
#include "schema_make.h"
#include "virtio_pmem.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

static OBJECT(flushes_type, "PmemFlushInfo", MEMBER("requested", schema_int), MEMBER("completed", schema_int),
              MEMBER("failed", schema_int));
static OBJECT(bucket_type, "PmemSyncBucket", OPTIONAL("below-ns", schema_int), MEMBER("count", schema_int));
static ARRAY(buckets_type, bucket_type);
static OBJECT(syncs_type, "PmemSyncInfo", MEMBER("count", schema_int), MEMBER("errors", schema_int),
              OPTIONAL("in-flight-ns", schema_int), MEMBER("total-ns", schema_int), MEMBER("max-ns", schema_int),
              MEMBER("histogram", buckets_type));
static OBJECT(error_type, "PmemError", MEMBER("errno", schema_int), MEMBER("message", schema_str),
              MEMBER("time", schema_int));
static ENUM(state_type, "PmemState", "ok", "no-space", "failed");
static ENUM_OF(werror_type, "PmemWerror", werror_words);
static OBJECT(pmem_type, "PmemInfo", OPTIONAL("id", schema_str), MEMBER("memdev", schema_str),
              MEMBER("mem-path", schema_str), MEMBER("memaddr", schema_int), MEMBER("size", schema_int),
              OPTIONAL("resident", schema_int), OPTIONAL("allocated", schema_int), MEMBER("share", schema_bool),
              MEMBER("readonly", schema_bool), MEMBER("flushes", flushes_type), MEMBER("syncs", syncs_type),
              MEMBER("interrupts", schema_int), MEMBER("refused-stores", schema_int), MEMBER("werror", werror_type),
              MEMBER("state", state_type), OPTIONAL("error", error_type));
static ARRAY(pmems_type, pmem_type);

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
	struct vpmem_stats stats = vpmem_device_stats(virtio_pmem_device(pmem->dev.vp));
	struct json_object *info = json_object_new_object();

	if (pmem->dev.cfg->id)
		put_str(info, "id", pmem->dev.cfg->id);
	put(info, "memdev", memdev_path(pmem->memdev));
	put_str(info, "mem-path", vpmem_backing_path(backing));
	put_uint(info, "memaddr", virtio_pmem_gpa(pmem->dev.vp));
	put_uint(info, "size", vpmem_backing_size(backing));
	put_bool(info, "share", pmem->memdev->cfg->backing.share);
	put_bool(info, "readonly", vpmem_backing_is_rom(backing));
	put(info, "flushes", flushes(&stats));
	put(info, "syncs", syncs(&stats));
	put_uint(info, "interrupts", stats.interrupts);
	put_uint(info, "refused-stores", pmem->nrefused);
	put_str(info, "werror", werror_words[pmem->cfg->werror]);
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

static int run(const struct command_context *ctx, struct json_object *args, struct json_object **ret,
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
	// machine_memdev_usage releases the machine lock: meanwhile a device may be removed, but no memory backend.
	for (unsigned i = 0; i < n; i++) {
		add_usage(infos[i], ctx->machine, memdevs[i]);
		add_to(list, infos[i]);
	}
	return command_return(list, ret, err);
}

// ---- info pmem

// "950 ns", "12.3 us", "4.00 s"
static const char *duration(uint64_t ns, char *buf, size_t size)
{
	static const char *const units[] = { "ns", "us", "ms", "s" };
	double value = (double)ns;
	unsigned unit = 0;

	while (value >= 1000 && unit < 3) {
		value /= 1000;
		unit++;
	}
	if (unit == 0)
		snprintf(buf, size, "%" PRIu64 " ns", ns);
	else
		snprintf(buf, size, "%.*f %s", value < 10 ? 2 : value < 100 ? 1 : 0, value, units[unit]);
	return buf;
}

static void print_latency(struct json_object *syncs, struct hmp_out *out)
{
	struct json_object *histogram = get(syncs, "histogram");
	uint64_t count = get_uint(syncs, "count");
	char mean[32], max[32], text[32];

	if (count == 0)
		return;
	hmp_printf(out, "  sync latency: mean %s, max %s\n",
	           duration(get_uint(syncs, "total-ns") / count, mean, sizeof(mean)),
	           duration(get_uint(syncs, "max-ns"), max, sizeof(max)));
	for (size_t i = 0; histogram && i < json_object_array_length(histogram); i++) {
		struct json_object *bucket = json_object_array_get_idx(histogram, i);
		bool bounded;

		if (get_uint(bucket, "count") == 0)
			continue;
		// The last bucket has no upper bound.
		bounded = get(bucket, "below-ns") != NULL;
		if (bounded)
			duration(get_uint(bucket, "below-ns"), text, sizeof(text));
		else
			snprintf(text, sizeof(text), "longer");
		hmp_printf(out, "    %s%-*s %" PRIu64 "\n", bounded ? "< " : "", bounded ? 9 : 11, text,
		           get_uint(bucket, "count"));
	}
}

/*
 * Without gmtime_r: what it links knows every time zone and the parsers of their files, 90 KiB in a static program.
 * Years are counted from a March, so that a leap day is the last one; 719468 days before 1970 that was the year 0.
 */
static void print_utc(uint64_t seconds, struct hmp_out *out)
{
	const uint64_t days_of_400_years = 146097;
	uint64_t days = seconds / 86400 + 719468, clock = seconds % 86400;
	uint64_t day = days % days_of_400_years; /* of its 400 years */
	uint64_t year = (day - day / 1460 + day / 36524 - day / 146096) / 365;
	uint64_t month; /* from March, 0 to 11: each 5 of them have 153 days */

	day -= 365 * year + year / 4 - year / 100;
	month = (5 * day + 2) / 153;
	day -= (153 * month + 2) / 5;
	year += days / days_of_400_years * 400 + (month >= 10);
	hmp_printf(out, " at %04" PRIu64 "-%02" PRIu64 "-%02" PRIu64 "T%02" PRIu64 ":%02" PRIu64 ":%02" PRIu64 "Z",
	           year, month < 10 ? month + 3 : month - 9, day + 1, clock / 3600, clock / 60 % 60, clock % 60);
}

static void print_failure(struct json_object *error, struct hmp_out *out)
{
	uint64_t seconds = get_uint(error, "time");

	hmp_printf(out, ": %s (errno %" PRIu64 ")", get_str(error, "message"), get_uint(error, "errno"));
	if (seconds > 0)
		print_utc(seconds, out);
}

// "12 (resident: 8, allocated: 4)", as far as the host reports them.
static void print_size(struct json_object *dev, struct hmp_out *out)
{
	static const char *const usages[] = { "resident", "allocated" };
	const char *before = " (";

	hmp_printf(out, "  size: %" PRIu64, get_uint(dev, "size"));
	for (size_t i = 0; i < sizeof(usages) / sizeof(usages[0]); i++) {
		if (!get(dev, usages[i]))
			continue;
		hmp_printf(out, "%s%s: %" PRIu64, before, usages[i], get_uint(dev, usages[i]));
		before = ", ";
	}
	hmp_printf(out, "%s\n", *before == ',' ? ")" : "");
}

static void print_pmem(struct json_object *dev, struct hmp_out *out)
{
	struct json_object *flushes = get(dev, "flushes"), *syncs = get(dev, "syncs");
	char text[32];

	hmp_printf(out, "pmem device: \"%s\"\n", get_str(dev, "id"));
	hmp_printf(out, "  file: %s%s%s\n", get_str(dev, "mem-path"), get_bool(dev, "readonly") ? ", read-only" : "",
	           get_bool(dev, "share") ? "" : ", private: the guest's stores do not reach it");
	hmp_printf(out, "  memdev: %s\n", get_str(dev, "memdev"));
	hmp_printf(out, "  memaddr: 0x%" PRIx64 "\n", get_uint(dev, "memaddr"));
	print_size(dev, out);
	hmp_printf(out, "  state: %s", get_str(dev, "state"));
	if (get(dev, "error"))
		print_failure(get(dev, "error"), out);
	if (get_uint(dev, "refused-stores") > 0)
		hmp_printf(out, "\n  guest stores refused: %" PRIu64, get_uint(dev, "refused-stores"));
	hmp_printf(out, "\n  flushes: %" PRIu64 " requested, %" PRIu64 " completed, %" PRIu64 " failed\n",
	           get_uint(flushes, "requested"), get_uint(flushes, "completed"), get_uint(flushes, "failed"));
	hmp_printf(out, "  syncs: %" PRIu64 ", errors: %" PRIu64 ", interrupts: %" PRIu64 "\n",
	           get_uint(syncs, "count"), get_uint(syncs, "errors"), get_uint(dev, "interrupts"));
	if (get(syncs, "in-flight-ns"))
		hmp_printf(out, "  a sync is under way for %s\n",
		           duration(get_uint(syncs, "in-flight-ns"), text, sizeof(text)));
	print_latency(syncs, out);
}

static void print(struct json_object *ret, struct hmp_out *out)
{
	for (size_t i = 0; i < json_object_array_length(ret); i++)
		print_pmem(json_object_array_get_idx(ret, i), out);
}

const struct command cmd_query_pmem = {
	.name = "query-pmem",
	.ret = &pmems_type,
	.run = run,
	.hmp_name = "info pmem",
	.hmp_help = "show statistics of the persistent memory devices",
	.hmp_print = print,
};
