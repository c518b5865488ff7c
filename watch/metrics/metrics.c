// SPDX-License-Identifier: Apache-2.0
// All metrics of all machines: family after family, as the formats want it.
#include "metrics.h"

#include "collector.h"

#include <stdlib.h>
#include <vpmem.h>

static const struct family exporter = { .name = "pmvm_exporter",
	                                .type = METRIC_INFO,
	                                .help = "Version of this program." };
static const struct family directory = { .name = "pmvm_directory_readable",
	                                 .type = METRIC_GAUGE,
	                                 .help = "Whether the directory of the sockets can be read." };
static const struct family nmachines = { .name = "pmvm_machines",
	                                 .type = METRIC_GAUGE,
	                                 .help = "Number of the machines that are asked." };

static void write_own(struct exposition *e, const struct machines *machines)
{
	exposition_family(e, &exporter);
	exposition_uint(e, "", (struct label[]) { { "version", VPMEM_VERSION }, { 0 } }, 1);
	exposition_family(e, &nmachines);
	exposition_uint(e, "", NULL, machines->n);
	exposition_family(e, &directory);
	if (machines->directory)
		exposition_uint(e, "", (struct label[]) { { "directory", machines->directory }, { 0 } },
		                machines->directory_error[0] == '\0');
}

static struct machine_view view_of(const struct machine *m)
{
	return (struct machine_view) {
		.machine = m,
		.pmem = devices_pmem(m->now.answers[QUERY_PMEM]),
		.net = devices_net(m->now.answers[QUERY_NET]),
		.vhost_user = devices_vhost_user(m->now.answers[QUERY_VHOST_USER]),
		.threads = devices_threads(m->now.answers[QUERY_SANDBOX]),
	};
}

static void view_free(struct machine_view *view)
{
	devices_free(&view->pmem);
	devices_free(&view->net);
	devices_free(&view->vhost_user);
	devices_free(&view->threads);
}

void metrics_write(struct exposition *e, const struct machines *machines)
{
	struct machine_view *views = calloc(machines->n + 1, sizeof(*views));

	if (!views) {
		e->text.failed = true;
		return;
	}
	for (unsigned i = 0; i < machines->n; i++)
		views[i] = view_of(machines->list[i]);
	write_own(e, machines);
	for (unsigned c = 0; c < ncollectors; c++) {
		exposition_family(e, &collectors[c].family);
		for (unsigned i = 0; i < machines->n; i++)
			if (collectors[c].of_down || machines->list[i]->now.is_up)
				collectors[c].write(e, &collectors[c], &views[i]);
	}
	exposition_end(e);
	for (unsigned i = 0; i < machines->n; i++)
		view_free(&views[i]);
	free(views);
}
