// SPDX-License-Identifier: Apache-2.0
// The options that both programs have.
#include "watch_options.h"

#include "error.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define SECONDS_MAX 86400

int watch_seconds(const char *name, const char *arg, unsigned *ms, struct vpmem_error *err)
{
	char *end;
	double seconds = strtod(arg, &end);

	if (end == arg || *end || !(seconds >= 0.1 && seconds <= SECONDS_MAX))
		return error_set(err, -EINVAL, "--%s: '%s' is no number of seconds from 0.1 to %d", name, arg,
		                 SECONDS_MAX);
	*ms = (unsigned)(seconds * 1000);
	return 0;
}

int watch_option(struct machines *machines, int letter, const char *arg, struct vpmem_error *err)
{
	switch (letter) {
	case 'd':
		machines->directory = arg;
		return 0;
	case 'm':
		return machines_add(machines, arg, err);
	default:
		return watch_seconds("timeout", arg, &machines->timeout_ms, err);
	}
}

static const char *default_directory(void)
{
	static char path[PATH_MAX];
	const char *runtime = getenv("XDG_RUNTIME_DIR");

	if (geteuid() == 0 || !runtime || !*runtime)
		return DIRECTORY_DEFAULT;
	snprintf(path, sizeof(path), "%s/pmvm", runtime);
	return path;
}

void watch_defaults(struct machines *machines)
{
	if (!machines->directory && machines->n == 0)
		machines->directory = default_directory();
	if (machines->timeout_ms == 0)
		machines->timeout_ms = TIMEOUT_MS_DEFAULT;
}

void watch_complain(const char *program, const struct vpmem_error *err)
{
	fprintf(stderr, "%s: %s%s%s%s\n", program, err->text, *err->hint ? " (hint: " : "", err->hint,
	        *err->hint ? ")" : "");
}
