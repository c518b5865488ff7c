// SPDX-License-Identifier: Apache-2.0
// `pmvm-oci layers`: lists, prunes and verifies the cache.
#include "layers.h"

#include "error.h"
#include "layer_cache.h"
#include "layer_make.h"
#include "layer_meta.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <json-c/json.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

// Calls `visit` for each key of the cache. The first error that is not -ENOENT ends it.
typedef int visit_fn(const char *key, const struct layer_files *files, void *owner, struct vpmem_error *err);

static int each_key(const char *cache, bool images_only, visit_fn *visit, void *owner, struct vpmem_error *err)
{
	struct layer_keys keys;
	struct layer_files files;
	int rc = layer_cache_keys(cache, images_only, &keys, err);

	if (rc)
		return rc;
	for (size_t i = 0; rc == 0 && i < keys.n; i++) {
		rc = layer_files_init(&files, cache, keys.list[i]);
		if (rc) {
			error_set(err, rc, "layers: out of memory");
			break;
		}
		rc = visit(keys.list[i], &files, owner, err);
		layer_files_fini(&files);
	}
	layer_keys_fini(&keys);
	return rc;
}

// ---- list

struct listing {
	FILE *out;
	struct json_object *array;      /* NULL: a table */
	struct json_object *containers; /* of layers_list */
};

struct row {
	const char *key, *path;
	struct layer_meta meta; /* source NULL: no description */
	uint64_t size, disk_size;
	unsigned users;
	char last_use[32];
	struct json_object *containers; /* NULL: none is known */
};

static void add(struct json_object *object, const char *name, struct json_object *val)
{
	json_object_object_add(object, name, val);
}

static int add_json(struct json_object *array, const struct row *row)
{
	struct json_object *object = json_object_new_object();

	if (!object)
		return -ENOMEM;
	add(object, "key", json_object_new_string(row->key));
	add(object, "path", json_object_new_string(row->path));
	add(object, "size", json_object_new_uint64(row->size));
	add(object, "disk", json_object_new_uint64(row->disk_size));
	add(object, "users", json_object_new_uint64(row->users));
	add(object, "lastUse", json_object_new_string(row->last_use));
	add(object, "created", json_object_new_string(row->meta.created));
	add(object, "source", json_object_new_string(row->meta.source ? row->meta.source : ""));
	add(object, "sha256", json_object_new_string(row->meta.sha256));
	add(object, "containers", row->containers ? json_object_get(row->containers) : json_object_new_array());
	return json_object_array_add(array, object);
}

static void print_row(FILE *out, const struct row *row)
{
	fprintf(out, "%8.1f %5u  %-20s  %s  %s\n", (double)row->disk_size / (1u << 20), row->users, row->last_use,
	        row->key, row->meta.source ? row->meta.source : "-");
	for (size_t i = 0; row->containers && i < json_object_array_length(row->containers); i++)
		fprintf(out, "%16s %s\n", "used by",
		        json_object_get_string(json_object_array_get_idx(row->containers, i)));
}

static int list_one(const char *key, const struct layer_files *files, void *owner, struct vpmem_error *err)
{
	struct listing *listing = owner;
	struct row row = { .key = key, .path = files->image };
	struct stat st;
	int rc = 0;

	if (stat(files->image, &st) < 0)
		return 0; // removed since
	row.size = (uint64_t)st.st_size;
	row.disk_size = (uint64_t)st.st_blocks * 512;
	(void)layer_meta_read(files->meta, &row.meta, NULL);
	layer_meta_time(row.meta.last_use, row.last_use, sizeof(row.last_use));
	(void)layer_cache_is_used(files, &row.users);
	(void)json_object_object_get_ex(listing->containers, files->image, &row.containers);
	if (listing->array)
		rc = add_json(listing->array, &row);
	else
		print_row(listing->out, &row);
	layer_meta_fini(&row.meta);
	return rc ? error_set(err, -ENOMEM, "layers: out of memory") : 0;
}

int layers_list(const struct layer_settings *settings, struct json_object *containers, bool json, FILE *out,
                struct vpmem_error *err)
{
	struct listing listing = { .out = out,
		                   .array = json ? json_object_new_array() : NULL,
		                   .containers = containers };
	int rc;

	if (json && !listing.array)
		return error_set(err, -ENOMEM, "layers: out of memory");
	if (!json)
		fprintf(out, "%8s %5s  %-20s  %s\n", "MIB", "USERS", "LAST USE", "KEY  SOURCE");
	rc = each_key(settings->cache, true, list_one, &listing, err);
	if (rc == 0 && json)
		fprintf(out, "%s\n", json_object_to_json_string_ext(listing.array, JSON_C_TO_STRING_NOSLASHESCAPE));
	json_object_put(listing.array);
	return rc;
}

// ---- prune

struct pruning {
	FILE *out;
	uint64_t freed;
	unsigned removed, used;
};

static int prune_one(const char *key, const struct layer_files *files, void *owner, struct vpmem_error *err)
{
	struct pruning *pruning = owner;
	int64_t freed = layer_cache_remove(files);

	if (freed == -EWOULDBLOCK) {
		pruning->used++;
		return 0;
	}
	if (freed < 0)
		return error_set(err, (int)freed, "%s: %s", files->image, strerror((int)-freed));
	fprintf(pruning->out, "%s\n", key);
	pruning->freed += (uint64_t)freed;
	pruning->removed++;
	return 0;
}

int layers_prune(const struct layer_settings *settings, FILE *out, struct vpmem_error *err)
{
	struct pruning pruning = { .out = out };
	int rc = each_key(settings->cache, false, prune_one, &pruning, err);

	if (rc == 0)
		fprintf(out, "%u removed, %.1f MiB; %u in use\n", pruning.removed, (double)pruning.freed / (1u << 20),
		        pruning.used);
	return rc;
}

// ---- verify

struct verification {
	FILE *out;
	unsigned damaged;
};

// The text of what is wrong; NULL: nothing.
static const char *what_is_wrong(const struct layer_files *files, const struct layer_meta *meta, int fd,
                                 struct vpmem_error *err)
{
	char sha256[LAYER_SHA256_LEN + 1];
	struct stat st;

	if (fstat(fd, &st) < 0)
		return strerror(errno);
	if ((uint64_t)st.st_size != meta->size) {
		error_set(err, -EBADMSG, "%s has %" PRIu64 " bytes, not %" PRIu64, files->image, (uint64_t)st.st_size,
		          meta->size);
		return err->text;
	}
	if (layer_sha256(fd, sha256, err))
		return err->text;
	return strcmp(sha256, meta->sha256) == 0 ? NULL : "its content has changed since it was made";
}

static int verify_one(const char *key, const struct layer_files *files, void *owner, struct vpmem_error *err)
{
	struct verification *verification = owner;
	struct layer_meta meta;
	struct vpmem_error why = { .text = "" };
	int fd = open(files->image, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	const char *wrong;

	(void)err;
	if (fd < 0 && errno == ENOENT)
		return 0; // removed since
	if (fd < 0)
		wrong = strerror(errno);
	else if (layer_meta_read(files->meta, &meta, &why))
		wrong = why.text;
	else
		wrong = what_is_wrong(files, &meta, fd, &why);
	fprintf(verification->out, "%s: %s\n", key, wrong ? wrong : "ok");
	verification->damaged += wrong != NULL;
	if (fd >= 0) {
		layer_meta_fini(&meta);
		close(fd);
	}
	return 0;
}

int layers_verify(const struct layer_settings *settings, FILE *out, struct vpmem_error *err)
{
	struct verification verification = { .out = out };
	int rc = each_key(settings->cache, true, verify_one, &verification, err);

	if (rc || verification.damaged == 0)
		return rc;
	error_set(err, -EBADMSG, "layers: %u damaged in %s", verification.damaged, settings->cache);
	error_hint(err, "stop the containers that use them, then pmvm-oci layers prune: they are made again");
	return -EBADMSG;
}
