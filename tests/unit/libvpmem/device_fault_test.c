// SPDX-License-Identifier: Apache-2.0
/*
 * device_fault_test.c - a device that cannot be created: whatever the host refuses, in its turn, the error says so
 * and nothing is left behind; and options that make no device.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "driver.h"
#include "fake_backing.h"

#include <dirent.h>
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>

static enum call { NOTHING, CALLOC, STRDUP, EVENTFD, THREAD_ATTR, THREAD } refused;

void *__real_calloc(size_t n, size_t size);
void *__wrap_calloc(size_t n, size_t size);
char *__real_strdup(const char *text);
char *__wrap_strdup(const char *text);
int __real_eventfd(unsigned count, int flags);
int __wrap_eventfd(unsigned count, int flags);
int __real_pthread_attr_init(pthread_attr_t *attr);
int __wrap_pthread_attr_init(pthread_attr_t *attr);
int __real_pthread_create(pthread_t *thread, const pthread_attr_t *attr, void *(*entry)(void *), void *opaque);
int __wrap_pthread_create(pthread_t *thread, const pthread_attr_t *attr, void *(*entry)(void *), void *opaque);

void *__wrap_calloc(size_t n, size_t size)
{
	errno = ENOMEM;
	return refused == CALLOC ? NULL : __real_calloc(n, size);
}

char *__wrap_strdup(const char *text)
{
	errno = ENOMEM;
	return refused == STRDUP ? NULL : __real_strdup(text);
}

int __wrap_eventfd(unsigned count, int flags)
{
	errno = EMFILE;
	return refused == EVENTFD ? -1 : __real_eventfd(count, flags);
}

int __wrap_pthread_attr_init(pthread_attr_t *attr)
{
	return refused == THREAD_ATTR ? ENOMEM : __real_pthread_attr_init(attr);
}

int __wrap_pthread_create(pthread_t *thread, const pthread_attr_t *attr, void *(*entry)(void *), void *opaque)
{
	return refused == THREAD ? EAGAIN : __real_pthread_create(thread, attr, entry, opaque);
}

static unsigned count_entries(const char *path)
{
	DIR *dir = opendir(path);
	unsigned n = 0;

	assert_non_null(dir);
	while (readdir(dir))
		n++;
	closedir(dir);
	return n;
}

static struct driver d;

static struct vpmem_device_options good_options(struct vpmem_backing *backing)
{
	return (struct vpmem_device_options) {
		.name = "nv1",
		.gmem = d.gmem,
		.backing = backing,
		.gpa = PMEM_GPA,
		.callbacks = driver_callbacks(&d),
	};
}

static void what_the_host_refuses_is_said_and_leaves_nothing_behind(void **state)
{
	static const struct {
		enum call what;
		int rc;
		const char *text;
	} cases[] = {
		{ CALLOC, -ENOMEM, "pmem: nv1: Cannot allocate memory" },
		{ STRDUP, -ENOMEM, "pmem: nv1: cannot create the device: Cannot allocate memory" },
		{ EVENTFD, -EMFILE, "pmem: nv1: cannot create the device: Too many open files" },
		{ THREAD_ATTR, -ENOMEM, "pmem: nv1: cannot create the device: Cannot allocate memory" },
		{ THREAD, -EAGAIN, "pmem: nv1: cannot create the device: Resource temporarily unavailable" },
	};
	struct vpmem_backing *backing = fake_backing_create(VPMEM_GRANULE);

	(void)state;
	driver_ram_init(&d);
	const struct vpmem_device_options opts = good_options(backing);
	unsigned nfds = count_entries("/proc/self/fd");
	for (unsigned i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct vpmem_device *dev = NULL;
		struct vpmem_error err = { 0 };
		int rc;

		refused = cases[i].what;
		rc = vpmem_device_create(&opts, &dev, &err);
		refused = NOTHING;
		assert_int_equal(rc, cases[i].rc);
		assert_null(dev);
		assert_string_equal(err.text, cases[i].text);
		assert_int_equal(count_entries("/proc/self/fd"), nfds);
	}
	assert_int_equal(vpmem_device_create(&opts, &d.dev, NULL), 0);
	assert_int_equal(vpmem_device_destroy(d.dev), 0);
	driver_ram_free(&d);
	fake_backing_destroy(backing);
}

static struct {
	pthread_t thread;
	char name[16];
	void *opaque;
	unsigned n;
	int rc;
} started;

static int on_worker_started(void *opaque)
{
	started.opaque = opaque;
	started.thread = pthread_self();
	pthread_getname_np(started.thread, started.name, sizeof(started.name));
	started.n++;
	return started.rc;
}

static void the_monitor_may_refuse_the_worker(void **state)
{
	static const int rcs[] = { 0, -ENOMEM };
	struct vpmem_backing *backing = fake_backing_create(VPMEM_GRANULE);
	struct vpmem_device_options opts;
	unsigned nfds;

	(void)state;
	driver_ram_init(&d);
	opts = good_options(backing);
	opts.callbacks.worker_started = on_worker_started;
	nfds = count_entries("/proc/self/fd");
	for (unsigned i = 0; i < 2; i++) {
		struct vpmem_device *dev = NULL;
		struct vpmem_error err = { 0 };

		memset(&started, 0, sizeof(started));
		started.rc = rcs[i];
		assert_int_equal(vpmem_device_create(&opts, &dev, &err), rcs[i]);
		/* It was called when create returned, in a thread of its own, which had its name. */
		assert_int_equal(started.n, 1);
		assert_ptr_equal(started.opaque, opts.callbacks.opaque);
		assert_false(pthread_equal(started.thread, pthread_self()));
		assert_string_equal(started.name, "flush/nv1");
		if (rcs[i])
			assert_string_equal(err.text, "pmem: nv1: cannot create the device: Cannot allocate memory");
		assert_int_equal(dev != NULL, rcs[i] == 0);
		assert_int_equal(vpmem_device_destroy(dev), 0);
		assert_int_equal(count_entries("/proc/self/fd"), nfds);
	}
	driver_ram_free(&d);
	fake_backing_destroy(backing);
}

static void what_is_missing_in_the_options_is_said(void **state)
{
	struct vpmem_backing *backing = fake_backing_create(VPMEM_GRANULE);
	struct vpmem_device_options missing[4];
	struct vpmem_device *dev = NULL;

	(void)state;
	driver_ram_init(&d);
	for (unsigned i = 0; i < 4; i++)
		missing[i] = good_options(backing);
	missing[0].name = NULL;
	missing[1].gmem = NULL;
	missing[2].backing = NULL;
	missing[3].callbacks.interrupt = NULL;
	for (unsigned i = 0; i < 4; i++) {
		struct vpmem_error err = { 0 };

		assert_int_equal(vpmem_device_create(&missing[i], &dev, &err), -EINVAL);
		assert_string_equal(err.text, "a pmem device needs a name, guest memory, a backing and an interrupt");
		assert_null(dev);
	}
	driver_ram_free(&d);
	fake_backing_destroy(backing);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_the_host_refuses_is_said_and_leaves_nothing_behind),
		cmocka_unit_test(the_monitor_may_refuse_the_worker),
		cmocka_unit_test(what_is_missing_in_the_options_is_said),
	};

	return cmocka_run_group_tests_name("device_fault", tests, NULL, NULL);
}
