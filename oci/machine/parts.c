// SPDX-License-Identifier: Apache-2.0
// What a machine has of a container's root file system and volumes.
#include "parts.h"

#include "bundle.h"
#include "error.h"
#include "layers.h"

#include <errno.h>
#include <json-c/json.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ROOT "root" /* the name of the share with the root, or with the writable layer */

// ---- lists. They have room for all from the start.

// A text that lives as long as the parts. NULL: out of memory.
__attribute__((format(printf, 2, 3))) static char *text(struct parts *parts, const char *fmt, ...)
{
	char *out = NULL;
	va_list args;

	va_start(args, fmt);
	if (vasprintf(&out, fmt, args) < 0)
		out = NULL;
	va_end(args);
	if (out)
		parts->texts[parts->ntexts++] = out;
	return out;
}

static int make_lists(struct parts *parts, const struct machine_plan *plan, struct vpmem_error *err)
{
	const size_t nimages = plan->rootfs->nlayers + plan->bundle->npmem + 2, nshares = plan->bundle->nshares + 2;

	if (plan->bundle->nshares >= SHARES_MAX) {
		error_set(err, -E2BIG, "%zu bind mounts: a machine can have %u", plan->bundle->nshares, SHARES_MAX - 1);
		error_hint(err, "mount a directory that has several of them");
		return -E2BIG;
	}
	parts->images = calloc(nimages, sizeof(*parts->images));
	parts->pmem = calloc(nimages, sizeof(*parts->pmem));
	parts->shares = calloc(nshares, sizeof(*parts->shares));
	parts->rules = calloc(nshares, sizeof(*parts->rules));
	parts->texts = calloc(2 * nimages + 2 * nshares + 2, sizeof(*parts->texts));
	parts->create = json_object_new_object();
	if (parts->images && parts->pmem && parts->shares && parts->rules && parts->texts && parts->create) {
		parts->image_dir = text(parts, "%s/" PARTS_IMAGES, plan->state_dir);
		parts->share_dir = text(parts, "%s/" PARTS_SHARE, plan->state_dir);
	}
	return parts->image_dir && parts->share_dir ? 0 : error_set(err, -ENOMEM, "out of memory");
}

// ---- images

// A path of pmvm's, and its PCI address: {"pci": "0000:00:0d.0"}. NULL: out of memory.
static struct json_object *add_pmem(struct parts *parts, const char *path, bool readonly)
{
	struct json_object *device = path ? json_object_new_object() : NULL;
	const size_t idx = parts->npmem++;
	char address[VM_ADDRESS_SIZE];

	if (!device)
		return NULL;
	parts->pmem[idx] = (struct vm_pmem) { .path = path, .readonly = readonly };
	json_object_object_add(device, "pci",
	                       json_object_new_string(parts->addresses ? parts->addresses[idx] :
	                                                                 vm_pmem_address(idx, address)));
	return device;
}

// A file of the host, which pmvm has in a directory of its own.
static struct json_object *add_image(struct parts *parts, const char *source, bool readonly)
{
	struct bind *bind = &parts->images[parts->nimages];

	if (!source)
		return NULL;
	*bind = (struct bind) { .source = source, .readonly = readonly };
	snprintf(bind->name, sizeof(bind->name), "%zu", parts->nimages++);
	return add_pmem(parts, text(parts, "%s/%s", parts->image_dir, bind->name), readonly);
}

// By the descriptor that has the lock: what is locked is what the machine gets.
static struct json_object *add_layers(struct parts *parts, const struct rootfs *rootfs)
{
	struct json_object *list = json_object_new_array();

	for (size_t i = 0; i < rootfs->nlayers; i++) {
		struct json_object *device =
			add_image(parts, text(parts, "/proc/self/fd/%d", rootfs->layers[i].fd), true);

		if (device)
			json_object_array_add(list, device);
	}
	return list;
}

static void add_volumes(struct parts *parts, const struct bundle *bundle)
{
	struct json_object *list = json_object_new_array();

	for (size_t i = 0; i < bundle->npmem; i++) {
		struct json_object *device = add_image(parts, bundle->pmem[i].file, bundle->pmem[i].readonly);

		if (!device)
			continue;
		json_object_object_add(device, "filesystem", json_object_new_string("ext4"));
		json_object_object_add(device, "readonly", json_object_new_boolean(bundle->pmem[i].readonly));
		json_object_array_add(list, device);
	}
	json_object_object_add(parts->create, "mounts", list);
}

// ---- shares

static void add_share(struct parts *parts, const char *source, const char *name, bool readonly, bool recursive)
{
	struct bind *bind = &parts->shares[parts->nshares++];

	*bind = (struct bind) { .source = source, .readonly = readonly, .recursive = recursive };
	snprintf(bind->name, sizeof(bind->name), "%s", name);
}

static void add_rule(struct parts *parts, const char *path, bool readonly)
{
	parts->rules[parts->nrules++] = (struct share_rule) { .path = path, .readonly = readonly };
}

static void add_shares(struct parts *parts, const struct bundle *bundle)
{
	for (size_t i = 0; i < bundle->nshares; i++) {
		char *name = text(parts, "%zu", i);

		if (!name)
			continue;
		add_share(parts, bundle->shares[i].host, name, bundle->shares[i].readonly, bundle->shares[i].recursive);
		add_rule(parts, name, bundle->shares[i].readonly);
	}
}

// ---- a container of a pod

static void add_memory(struct parts *parts, const struct bundle *bundle)
{
	struct json_object *list = json_object_new_array();

	for (size_t i = 0; i < bundle->nmemory; i++) {
		const struct memory_volume *volume = &bundle->memory[i];
		struct json_object *entry = json_object_new_object();

		json_object_object_add(entry, "name", json_object_new_string(volume->name));
		json_object_object_add(entry, "size", json_object_new_int64((int64_t)volume->size));
		json_object_object_add(entry, "mode", json_object_new_int64(volume->mode));
		json_object_object_add(entry, "uid", json_object_new_int64(volume->uid));
		json_object_object_add(entry, "gid", json_object_new_int64(volume->gid));
		json_object_array_add(list, entry);
	}
	json_object_object_add(parts->create, "memory", list);
}

// Each container has a share of its own.
static void add_number(struct parts *parts, unsigned number)
{
	char tag[VM_TAG_SIZE];

	if (number > 0)
		json_object_object_add(parts->create, "container", json_object_new_int64(number));
	if (parts->nshares > 0)
		json_object_object_add(parts->create, "share", json_object_new_string(vm_share_tag(number, tag)));
}

// ---- the root

// A directory inside of the writable one, below the share: "root/diff". NULL: it is not inside.
static char *below_root(struct parts *parts, const struct rootfs *rootfs, const char *path)
{
	const size_t len = strlen(rootfs->writable_dir);

	if (strncmp(path, rootfs->writable_dir, len) != 0 || path[len] != '/')
		return NULL;
	return text(parts, ROOT "%s", path + len);
}

static struct json_object *add_upper(struct parts *parts, const struct rootfs *rootfs)
{
	struct json_object *upper = json_object_new_object(), *scratch;
	char *diff = rootfs->upper ? below_root(parts, rootfs, rootfs->upper) : NULL;
	char *work = rootfs->upper ? below_root(parts, rootfs, rootfs->work) : NULL;
	char *own = work ? text(parts, "%s/pmvm", work) : NULL;

	if (rootfs->has_scratch) {
		json_object_put(upper);
		// pmvm inherits it: what has no name cannot be mounted. One that is plugged later has a name then.
		scratch = parts->addresses ?
		                  add_image(parts, rootfs->scratch_path, false) :
		                  add_pmem(parts, text(parts, "/proc/self/fd/%d", rootfs->scratch_fd), false);
		if (scratch)
			json_object_object_add(scratch, "kind", json_object_new_string("pmem"));
		return scratch;
	}
	if (!diff || !own) {
		json_object_object_add(upper, "kind", json_object_new_string("none"));
		return upper;
	}
	// Without the root of the host's overlay, which is mounted in it.
	add_share(parts, rootfs->writable_dir, ROOT, false, false);
	add_rule(parts, diff, false);
	add_rule(parts, work, false);
	json_object_object_add(upper, "kind", json_object_new_string("share"));
	json_object_object_add(upper, "upper", json_object_new_string(diff));
	// The host's kernel has `work` in use for the same overlay.
	json_object_object_add(upper, "work", json_object_new_string(own));
	return upper;
}

static struct json_object *overlay_options(const struct rootfs *rootfs)
{
	struct json_object *list = json_object_new_array();

	if (rootfs->metacopy)
		json_object_array_add(list, json_object_new_string("metacopy=on"));
	if (rootfs->redirect_dir)
		json_object_array_add(list, json_object_new_string("redirect_dir=on"));
	if (rootfs->userxattr)
		json_object_array_add(list, json_object_new_string("userxattr"));
	return list;
}

static void add_root(struct parts *parts, const struct rootfs *rootfs)
{
	struct json_object *root = json_object_new_object();

	if (rootfs->nlayers == 0) {
		add_share(parts, rootfs->directory, ROOT, false, true);
		add_rule(parts, ROOT, false);
		json_object_object_add(root, "kind", json_object_new_string("share"));
		json_object_object_add(root, "path", json_object_new_string(ROOT));
	} else {
		json_object_object_add(root, "kind", json_object_new_string("layers"));
		json_object_object_add(root, "layers", add_layers(parts, rootfs));
		json_object_object_add(root, "upper", add_upper(parts, rootfs));
		json_object_object_add(root, "options", overlay_options(rootfs));
	}
	json_object_object_add(parts->create, "rootfs", root);
}

int parts_make(struct parts *parts, const struct machine_plan *plan, struct vpmem_error *err)
{
	struct json_object *config;
	int rc = make_lists(parts, plan, err);

	if (rc < 0)
		return rc;
	config = bundle_guest_config(plan->bundle, &plan->place);
	if (!config)
		return error_set(err, -ENOMEM, "out of memory");
	parts->addresses = plan->addresses;
	json_object_object_add(parts->create, "config", config);
	add_root(parts, plan->rootfs);
	add_volumes(parts, plan->bundle);
	if (plan->bundle->nmemory > 0)
		add_memory(parts, plan->bundle);
	add_shares(parts, plan->bundle);
	add_number(parts, plan->place.number);
	return 0;
}

void parts_fini(struct parts *parts)
{
	for (size_t i = 0; i < parts->ntexts; i++)
		free(parts->texts[i]);
	free(parts->texts);
	free(parts->images);
	free(parts->pmem);
	free(parts->shares);
	free(parts->rules);
	json_object_put(parts->create);
	*parts = (struct parts) { 0 };
}
