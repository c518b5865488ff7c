// SPDX-License-Identifier: Apache-2.0
// Devices that are plugged while the machine runs: images and shares of the further containers of a pod.
#include "error.h"
#include "keeper_internal.h"
#include "log.h"
#include "owner_map.h"

#include <json-c/json.h>
#include <stdio.h>
#include <string.h>

// What pmvm calls the parts of a slot: its device, its memory backend or character device; and the name in pmvm's root.
#define DEVICE "slot%u"
#define OBJECT "image%u"
#define CHARDEV "share%u"
#define NAME "slot%u"

// It is asked as soon as it is connected, and has 3 s for the answer: in this time it starts.
#define RECONNECT_MS 2000

struct name {
	char text[32];
};

__attribute__((format(printf, 1, 0))) static struct name name_of(const char *fmt, unsigned slot)
{
	struct name name;

	snprintf(name.text, sizeof(name.text), fmt, slot);
	return name;
}

static void put(struct json_object *object, const char *name, const char *val)
{
	json_object_object_add(object, name, json_object_new_string(val));
}

static struct json_object *with_id(struct name id)
{
	struct json_object *arguments = json_object_new_object();

	put(arguments, "id", id.text);
	return arguments;
}

// ---- slots

// Those of the images that the machine has from its start are in use.
int keeper_slots_take(struct keeper *k, size_t n, unsigned *slots, struct vpmem_error *err)
{
	size_t found = 0;

	// The guest may have let go what it kept for too long.
	for (unsigned i = 0; i < VM_PMEM_MAX; i++)
		if (k->slots[i].is_left && !k->slots[i].is_plugged)
			keeper_slot_free(k, i);
	for (unsigned i = (unsigned)k->parts.npmem; i < VM_PMEM_MAX && found < n; i++)
		if (!k->slots[i].is_used)
			slots[found++] = i;
	if (found < n) {
		error_set(err, -ENOSPC,
		          "the machine of the pod has no room for %zu image layers and volumes: not supported", n - 1);
		error_hint(err, "the containers of a pod can have %u at once", VM_PMEM_MAX);
		return -ENOSPC;
	}
	for (size_t i = 0; i < n; i++)
		k->slots[slots[i]] = (struct keeper_slot) { .is_used = true };
	return 0;
}

// ---- the back ends

static int add_image(struct keeper *k, unsigned slot, bool readonly, struct vpmem_error *err)
{
	struct json_object *arguments = with_id(name_of(OBJECT, slot));

	put(arguments, "qom-type", "memory-backend-file");
	put(arguments, "mem-path", name_of("/" NAME, slot).text);
	json_object_object_add(arguments, "share", json_object_new_boolean(true));
	json_object_object_add(arguments, "readonly", json_object_new_boolean(readonly));
	return vm_monitor_run(&k->monitor, "object-add", arguments, err);
}

static int add_chardev(struct keeper *k, unsigned slot, struct vpmem_error *err)
{
	struct json_object *arguments = with_id(name_of(CHARDEV, slot)), *backend = json_object_new_object();
	struct json_object *data = json_object_new_object(), *address = json_object_new_object();
	struct json_object *path = json_object_new_object();

	put(path, "path", name_of("/" NAME, slot).text);
	// member.c: another virtiofsd comes, which refuses all that the guest asks for.
	json_object_object_add(data, "reconnect-ms", json_object_new_int(RECONNECT_MS));
	put(address, "type", "unix");
	json_object_object_add(address, "data", path);
	json_object_object_add(data, "addr", address);
	json_object_object_add(data, "server", json_object_new_boolean(false));
	put(backend, "type", "socket");
	json_object_object_add(backend, "data", data);
	json_object_object_add(arguments, "backend", backend);
	return vm_monitor_run(&k->monitor, "chardev-add", arguments, err);
}

int keeper_slot_prepare(struct keeper *k, unsigned slot, enum keeper_slot_kind kind, int tree_fd,
                        struct vpmem_error *err)
{
	struct keeper_slot *s = &k->slots[slot];
	int rc = kind == SLOT_OF_SHARE ?
	                 0 :
	                 owner_map_file(tree_fd, k->view_fd, keeper_uid(k), kind == SLOT_OF_READONLY_IMAGE, err);

	rc = rc ? rc : binds_place(k->view_fd, k->parts.image_dir, name_of(NAME, slot).text, tree_fd, err);
	if (rc < 0)
		return rc;
	s->is_share = kind == SLOT_OF_SHARE;
	s->is_placed = true;
	rc = s->is_share ? add_chardev(k, slot, err) : add_image(k, slot, kind == SLOT_OF_READONLY_IMAGE, err);
	s->has_backend = rc == 0;
	return rc;
}

// ---- the devices

int keeper_slot_plug(struct keeper *k, unsigned slot, unsigned number, struct vpmem_error *err)
{
	struct keeper_slot *s = &k->slots[slot];
	struct json_object *arguments;
	char bus[VM_WORD_SIZE], addr[VM_WORD_SIZE], tag[VM_TAG_SIZE];
	int rc;

	if (!s->has_backend)
		return 0;
	arguments = with_id(name_of(DEVICE, slot));
	put(arguments, "driver", s->is_share ? "vhost-user-fs-pci" : "virtio-pmem-pci");
	if (s->is_share) {
		put(arguments, "chardev", name_of(CHARDEV, slot).text);
		put(arguments, "tag", vm_share_tag(number, tag));
		json_object_object_add(arguments, "repeat", json_object_new_boolean(true));
	} else {
		put(arguments, "memdev", name_of(OBJECT, slot).text);
	}
	vm_pmem_place(slot, bus, addr);
	put(arguments, "bus", bus);
	put(arguments, "addr", addr);
	rc = vm_monitor_run(&k->monitor, "device_add", arguments, err);
	s->is_plugged = rc == 0;
	return rc;
}

void keeper_slot_unplug(struct keeper *k, unsigned slot)
{
	struct vpmem_error err = { 0 };

	if (k->slots[slot].is_plugged &&
	    vm_monitor_run(&k->monitor, "device_del", with_id(name_of(DEVICE, slot)), &err) < 0)
		log_error("container %s: %s", k->plan->id, err.text);
}

// The guest has let it go.
void keeper_on_deleted(void *owner, const char *id)
{
	struct keeper *k = owner;

	for (unsigned slot = 0; slot < VM_PMEM_MAX; slot++) {
		if (!k->slots[slot].is_plugged || strcmp(name_of(DEVICE, slot).text, id) != 0)
			continue;
		k->slots[slot].is_plugged = false;
		keeper_pod_slot_gone(k, slot);
	}
}

// A virtiofsd has ended.
void keeper_on_unserved(void *owner, const char *id)
{
	struct keeper *k = owner;

	for (unsigned slot = 0; slot < VM_PMEM_MAX; slot++)
		if (k->slots[slot].is_share && k->slots[slot].is_plugged && strcmp(name_of(DEVICE, slot).text, id) == 0)
			keeper_pod_slot_unserved(k, slot);
}

void keeper_slot_free(struct keeper *k, unsigned slot)
{
	struct keeper_slot *s = &k->slots[slot];
	struct vpmem_error err = { 0 };
	int rc = 0;

	s->is_left = s->is_plugged;
	if (s->is_plugged) {
		// Nobody else gets this slot until then.
		log_error("container %s: the guest keeps the device " DEVICE, k->plan->id, slot);
		return;
	}
	if (s->has_backend)
		rc = vm_monitor_run(&k->monitor, s->is_share ? "chardev-remove" : "object-del",
		                    with_id(name_of(s->is_share ? CHARDEV : OBJECT, slot)), &err);
	if (rc == 0 && s->is_placed)
		rc = binds_displace(k->view_fd, k->parts.image_dir, name_of(NAME, slot).text, &err);
	if (rc < 0)
		log_error("container %s: %s", k->plan->id, err.text);
	else
		*s = (struct keeper_slot) { 0 };
}
