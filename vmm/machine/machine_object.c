// SPDX-License-Identifier: Apache-2.0
// Objects of the machine: added, deleted, and waited for while their last device leaves.
#include "machine_object.h"

#include "array.h"
#include "error.h"
#include "log.h"
#include "machine.h"
#include "machine_find.h"
#include "machine_hotplug.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define LEFT_WAIT_SECONDS 2

static const struct object_kind *kind_of(const struct object_config *cfg)
{
	unsigned i = 0;

	while (object_kind_at(i) && object_kind_at(i)->type != cfg->type)
		i++;
	assert(object_kind_at(i));
	return object_kind_at(i);
}

static int create(struct machine *m, struct object_config *cfg, struct object **out, struct vpmem_error *err)
{
	const struct object_kind *kind = kind_of(cfg);
	struct object *obj = calloc(1, kind->size);
	int rc;

	if (!obj)
		return error_set(err, -ENOMEM, "cannot set up object '%s': %s", cfg->id, strerror(ENOMEM));
	*obj = (struct object) { .kind = kind, .machine = m, .cfg = cfg };
	rc = kind->create(obj, err);
	if (rc < 0)
		free(obj);
	else
		*out = obj;
	return rc;
}

int machine_add_object(struct machine *m, struct object_config **cfg, struct vpmem_error *err)
{
	struct object *obj = NULL;
	int rc;

	if (machine_find_object(m, (*cfg)->id))
		return error_set(err, -EEXIST, "attempt to add duplicate property '%s' to object (type 'container')",
		                 (*cfg)->id);
	if (m->nobjects == OBJECTS_MAX)
		return error_set(err, -ENOSPC, "too many objects: at most %u", OBJECTS_MAX);
	if (array_room(&m->objects, m->nobjects, sizeof(m->objects[0])) < 0)
		return error_set(err, -ENOMEM, "cannot create object '%s': %s", (*cfg)->id, strerror(ENOMEM));
	rc = create(m, *cfg, &obj, err);
	if (rc < 0)
		return rc;
	*cfg = NULL;
	m->objects[m->nobjects++] = obj;
	return 0;
}

int machine_add_objects(struct machine *m, struct vpmem_error *err)
{
	int rc = 0;

	for (unsigned i = 0; i < m->opts->nobjects && rc == 0; i++)
		rc = machine_add_object(m, &m->opts->objects[i], err);
	return rc;
}

static int destroy(struct object *obj, struct vpmem_error *err)
{
	int rc = obj->kind->destroy ? obj->kind->destroy(obj, err) : 0;

	object_config_free(obj->cfg);
	free(obj);
	return rc;
}

void machine_drop_objects(struct machine *m)
{
	while (m->nobjects > 0) {
		struct vpmem_error err;

		if (destroy(m->objects[--m->nobjects], &err) < 0)
			log_error("%s", err.text);
	}
	free(m->objects);
	free(m->memdevs);
	m->objects = NULL;
	m->memdevs = NULL;
}

static void keep(struct object *obj)
{
	if (obj->kind->keep)
		obj->kind->keep(obj);
}

void machine_keep_objects(struct machine *m)
{
	for (unsigned i = 0; i < m->nobjects; i++)
		keep(m->objects[i]);
}

int machine_object_add(struct machine *m, struct object_config **cfg, struct vpmem_error *err)
{
	int rc = machine_add_object(m, cfg, err);

	if (rc == 0)
		keep(m->objects[m->nobjects - 1]);
	return rc;
}

// The guest has ejected its device, which is not destroyed yet: its last sync may run.
static bool is_left_soon(const struct machine *m, const struct object *obj)
{
	for (unsigned i = 0; i < m->ndevices && obj->in_use; i++)
		if (m->devices[i]->unplug == UNPLUG_EJECTED && device_config_names(m->devices[i]->cfg, obj->cfg->id))
			return true;
	return false;
}

// The client saw the device go and need not know that its last sync may be under way. The main loop serves nobody meanwhile.
static void wait_until_left(struct machine *m, const struct object *obj)
{
	struct timespec end;

	clock_gettime(CLOCK_MONOTONIC, &end);
	end.tv_sec += LEFT_WAIT_SECONDS;
	machine_start_reapers(m);
	while (is_left_soon(m, obj))
		if (pthread_cond_clockwait(&m->reaped, &m->lock, CLOCK_MONOTONIC, &end) == ETIMEDOUT)
			return;
}

static int refuse_busy(const struct machine *m, const struct object *obj, struct vpmem_error *err)
{
	error_set(err, -EBUSY, "object '%s' is in use, can not be deleted", obj->cfg->id);
	if (m->ram_memdev && obj == &m->ram_memdev->obj)
		error_hint(err, "it is the guest's RAM, which stays as long as the machine");
	else
		error_hint(err, is_left_soon(m, obj) ?
		                        "a sync of its device is under way on the host: wait for DEVICE_DELETED" :
		                        "device_del its device first, and wait for DEVICE_DELETED");
	return -EBUSY;
}

int machine_object_del(struct machine *m, const char *id, struct vpmem_error *err)
{
	struct object *obj = machine_find_object(m, id);
	unsigned i = 0;

	if (!obj)
		return error_set(err, -ENOENT, "object '%s' not found", id);
	wait_until_left(m, obj);
	if (obj->in_use)
		return refuse_busy(m, obj, err);
	while (m->objects[i] != obj)
		i++;
	array_remove(m->objects, &m->nobjects, sizeof(m->objects[0]), i);
	return destroy(obj, err);
}
