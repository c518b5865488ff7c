// SPDX-License-Identifier: Apache-2.0
// The keys of the cache, and its limit.
#include "layer_cache.h"

#include "error.h"
#include "layer_make.h"
#include "layer_meta.h"

#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

static const char *const suffixes[] = { ".erofs", ".json.tmp", ".json", ".tmp", ".lock" };

// The length of the key in the name of a file; 0: it is none of ours.
static size_t key_len(const char *name, bool images_only)
{
	size_t len = strlen(name);

	for (unsigned i = 0; i < (images_only ? 1 : sizeof(suffixes) / sizeof(*suffixes)); i++) {
		size_t suffix_len = strlen(suffixes[i]);

		if (len > suffix_len && strcmp(name + len - suffix_len, suffixes[i]) == 0)
			return len - suffix_len;
	}
	return 0;
}

static int add_key(struct layer_keys *keys, const char *name, size_t len)
{
	char **list = reallocarray(keys->list, keys->n + 1, sizeof(*list));

	if (!list)
		return -ENOMEM;
	keys->list = list;
	list[keys->n] = strndup(name, len);
	if (!list[keys->n])
		return -ENOMEM;
	keys->n++;
	return 0;
}

static int compare_keys(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

static void sort_unique(struct layer_keys *keys)
{
	size_t n = 0;

	if (keys->n > 0)
		qsort(keys->list, keys->n, sizeof(*keys->list), compare_keys);
	for (size_t i = 0; i < keys->n; i++) {
		if (n > 0 && strcmp(keys->list[n - 1], keys->list[i]) == 0)
			free(keys->list[i]);
		else
			keys->list[n++] = keys->list[i];
	}
	keys->n = n;
}

int layer_cache_keys(const char *cache, bool images_only, struct layer_keys *keys, struct vpmem_error *err)
{
	DIR *dir = opendir(cache);
	struct dirent *entry;
	int rc = 0;

	*keys = (struct layer_keys) { 0 };
	if (!dir)
		return errno == ENOENT ? 0 : error_set(err, -errno, "layers: cache %s: %s", cache, strerror(errno));
	while (rc == 0 && (entry = readdir(dir))) {
		size_t len = key_len(entry->d_name, images_only);

		if (len > 0)
			rc = add_key(keys, entry->d_name, len);
	}
	closedir(dir);
	if (rc) {
		layer_keys_fini(keys);
		return error_set(err, rc, "layers: out of memory");
	}
	sort_unique(keys);
	return 0;
}

void layer_keys_fini(struct layer_keys *keys)
{
	for (size_t i = 0; i < keys->n; i++)
		free(keys->list[i]);
	free(keys->list);
	*keys = (struct layer_keys) { 0 };
}

// ---- the images of one container

void layers_drop(const struct layer_settings *settings)
{
	struct layer_keys keys;
	char scope[PATH_MAX];

	if (settings->share != LAYER_SHARE_NEVER || layer_cache_keys(settings->cache, true, &keys, NULL))
		return;
	layer_scope(settings, scope, sizeof(scope));
	for (size_t i = 0; i < keys.n; i++) {
		const char *at = strchr(keys.list[i], '@');
		struct layer_files files;

		if (!at || strcmp(at, scope) != 0 || layer_files_init(&files, settings->cache, keys.list[i]))
			continue;
		(void)layer_cache_remove(&files);
		layer_files_fini(&files);
	}
	layer_keys_fini(&keys);
}

// ---- the limit

struct candidate {
	struct layer_files files;
	uint64_t disk_size;
	struct timespec last_use;
};

static int compare_uses(const void *a, const void *b)
{
	const struct timespec *x = &((const struct candidate *)a)->last_use,
			      *y = &((const struct candidate *)b)->last_use;

	if (x->tv_sec != y->tv_sec)
		return x->tv_sec < y->tv_sec ? -1 : 1;
	return x->tv_nsec < y->tv_nsec ? -1 : x->tv_nsec > y->tv_nsec;
}

static bool candidate_init(struct candidate *candidate, const char *cache, const char *key)
{
	struct stat st;

	if (layer_files_init(&candidate->files, cache, key))
		return false;
	if (stat(candidate->files.image, &st) < 0) {
		layer_files_fini(&candidate->files);
		return false;
	}
	candidate->disk_size = (uint64_t)st.st_blocks * 512;
	candidate->last_use = stat(candidate->files.meta, &st) == 0 ? st.st_mtim : (struct timespec) { 0 };
	return true;
}

void layer_cache_limit(const char *cache, uint64_t limit)
{
	struct candidate *candidates;
	struct layer_keys keys;
	uint64_t sum = 0;
	size_t n = 0;

	if (layer_cache_keys(cache, true, &keys, NULL) || keys.n == 0)
		return;
	candidates = calloc(keys.n, sizeof(*candidates));
	for (size_t i = 0; candidates && i < keys.n; i++) {
		if (candidate_init(&candidates[n], cache, keys.list[i]))
			sum += candidates[n++].disk_size;
	}
	if (n > 0)
		qsort(candidates, n, sizeof(*candidates), compare_uses);
	for (size_t i = 0; i < n; i++) {
		if (sum > limit && layer_cache_remove(&candidates[i].files) >= 0)
			sum -= candidates[i].disk_size;
		layer_files_fini(&candidates[i].files);
	}
	free(candidates);
	layer_keys_fini(&keys);
}
