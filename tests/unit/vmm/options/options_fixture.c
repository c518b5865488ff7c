// SPDX-License-Identifier: Apache-2.0
// Helpers for the tests of the command line.
#include "options_fixture.h"
#include "fake_log.h"
#include "unit_test.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdio_ext.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum options_result parse_line(const char *line, struct machine_config *opts, struct vpmem_error *err)
{
	char *copy = strdup(line), *words[WORDS_MAX + 1] = { "pmvm" }, *rest = copy;
	enum options_result result;
	int nwords = 1;

	assert_non_null(copy);
	while (*line && rest) {
		char *word = strsep(&rest, " ");

		assert_true(nwords < WORDS_MAX);
		words[nwords++] = strcmp(word, "''") ? word : "";
	}
	fake_log_clear();
	*err = (struct vpmem_error) { "", "" };
	result = options_parse(nwords, words, opts, err);
	free(copy);
	return result;
}

static const char *text(const char *s)
{
	return s ? s : "-";
}

const struct memdev_config *memdev_at(const struct machine_config *opts, unsigned idx)
{
	assert_true(idx < opts->nobjects);
	return memdev_config_of(opts->objects[idx]);
}

const struct pmem_config *pmem_at(const struct machine_config *opts, unsigned idx)
{
	assert_true(idx < opts->ndevices);
	return device_config_as(opts->devices[idx], &virtio_pmem_pci_model);
}

static void describe_memdev(const struct memdev_config *cfg, FILE *out)
{
	const struct vpmem_backing_options *b = &cfg->backing;

	fprintf(out, " memdev(%s %s", cfg->obj.id, cfg->mem_path ? cfg->mem_path : cfg->obj.type->props->name);
	if (b->size)
		fprintf(out, " size=%" PRIu64, b->size);
	fprintf(out, "%s%s%s%s%s%s%s", b->share ? " share" : "", b->readonly ? " readonly" : "",
	        b->prealloc ? " prealloc" : "", b->reserve ? "" : " noreserve", b->merge ? "" : " nomerge",
	        cfg->dump_set ? b->dump ? " dump" : " nodump" : "", b->discard_data ? " discard" : "");
	if (cfg->hugetlb)
		fprintf(out, " hugetlb=%" PRIu64, cfg->hugetlbsize);
	if (cfg->seal)
		fprintf(out, " seal");
	if (b->offset || b->align)
		fprintf(out, " offset=%" PRIu64 " align=%" PRIu64, b->offset, b->align);
	if (b->rom != VPMEM_ROM_AUTO || b->policy != VPMEM_POLICY_DEFAULT || b->host_nodes)
		fprintf(out, " rom=%d policy=%d nodes=%" PRIx64, (int)b->rom, (int)b->policy, b->host_nodes);
	fputc(')', out);
	assert_ptr_equal(b->id, cfg->obj.id);
	assert_ptr_equal(b->path, cfg->mem_path);
}

static void describe_pmem(const struct pmem_config *cfg, FILE *out)
{
	const struct device_config *dev = &cfg->dev;

	fprintf(out, " pmem(%s %s", text(dev->id), cfg->memdev);
	if (dev->bus)
		fprintf(out, " bus=%s", dev->bus);
	if (dev->slot >= 0)
		fprintf(out, " slot=%d", dev->slot);
	if (cfg->memaddr)
		fprintf(out, " memaddr=%" PRIx64, cfg->memaddr);
	fprintf(out, "%s%s%s%s%s%s)", cfg->shmem ? " shmem" : "", dev->event_idx ? "" : " noevent_idx",
	        dev->indirect_desc ? "" : " noindirect_desc", dev->queue_reset ? "" : " noqueue_reset",
	        dev->register_page ? "" : " nopage", dev->pio_notify ? " pio" : "");
}

static void describe_object(struct object_config *cfg, FILE *out)
{
	if (object_type_is(cfg->type, MEMORY_BACKEND))
		describe_memdev(memdev_config_of(cfg), out);
	else
		fprintf(out, " %s(%s%s%s)", cfg->type->props->name, cfg->id,
		        ((struct rng_config *)cfg)->filename ? " " : "",
		        ((struct rng_config *)cfg)->filename ? ((struct rng_config *)cfg)->filename : "");
}

static void describe_balloon(const struct balloon_config *balloon, FILE *out)
{
	fprintf(out, " balloon(%s%s%s%s", text(balloon->dev.id), balloon->deflate_on_oom ? " oom" : "",
	        balloon->free_page_reporting ? " reporting" : "", balloon->page_poison ? "" : " no-poison");
	if (balloon->stats_interval_s > 0)
		fprintf(out, " %" PRIu64, balloon->stats_interval_s);
	fputc(')', out);
}

static void describe_device(struct device_config *cfg, FILE *out)
{
	const struct rng_device_config *rng;

	if (cfg->model == &virtio_pmem_pci_model) {
		describe_pmem(device_config_as(cfg, &virtio_pmem_pci_model), out);
		return;
	}
	if (cfg->model == &virtio_balloon_pci_model) {
		describe_balloon(device_config_as(cfg, &virtio_balloon_pci_model), out);
		return;
	}
	if (cfg->model == &virtio_serial_pci_model) {
		const struct serial_device_config *serial = device_config_as(cfg, &virtio_serial_pci_model);

		fprintf(out, " serial(%s %" PRIu32 "%s)", text(cfg->child_bus), serial->max_ports,
		        serial->emergency_write ? "" : " noemergency");
		return;
	}
	if (cfg->model == &virtconsole_model || cfg->model == &virtserialport_model) {
		const struct port_config *port = device_config_as(cfg, cfg->model);

		fprintf(out, " %s(%s %s %s %" PRIu32 ")", cfg->model->props->name, text(cfg->bus), text(port->chardev),
		        text(port->name), port->nr);
		return;
	}
	if (cfg->model != &virtio_rng_pci_model) {
		fprintf(out, " %s", cfg->model->props->name);
		return;
	}
	rng = device_config_as(cfg, &virtio_rng_pci_model);
	fprintf(out, " rng(%s %s %" PRIu64 "/%" PRIu32, text(cfg->id), text(rng->rng), rng->max_bytes, rng->period_ms);
	if (cfg->slot >= 0)
		fprintf(out, " slot=%d", cfg->slot);
	fputc(')', out);
}

static const struct chardev_config *chardev_of(const struct machine_config *opts, const char *id)
{
	for (unsigned i = 0; i < opts->nchardevs; i++)
		if (strcmp(opts->chardevs[i]->id, id) == 0)
			return opts->chardevs[i];
	fail_msg("there is no chardev %s", id);
	return NULL;
}

static void describe_socket(const struct chardev_config *cfg, FILE *out)
{
	if (cfg->fd)
		fprintf(out, "fd:%s", cfg->fd);
	else if (cfg->path)
		fprintf(out, "unix:%s", cfg->path);
	else
		fprintf(out, "tcp:%s:%s", cfg->host ? cfg->host : "", cfg->port);
	if (!cfg->server)
		fprintf(out, "+client");
	if (cfg->reconnect_ms)
		fprintf(out, "+%ums", cfg->reconnect_ms);
}

static void describe_chardev(const struct chardev_config *cfg, FILE *out)
{
	static const char *const kinds[] = {
		[CHARDEV_STDIO] = "stdio", [CHARDEV_FILE] = "file:",      [CHARDEV_NULL] = "null",
		[CHARDEV_PTY] = "pty",     [CHARDEV_RINGBUF] = "ringbuf",
	};

	if (cfg->kind == CHARDEV_SOCKET)
		describe_socket(cfg, out);
	else
		fprintf(out, "%s%s", kinds[cfg->kind], cfg->path ? cfg->path : "");
	if (cfg->kind == CHARDEV_RINGBUF)
		fprintf(out, ":%" PRIu64, cfg->size);
	fprintf(out, "%s%s%s%s", cfg->wait ? "+wait" : "", cfg->mux ? "+mux" : "", cfg->signals ? "+signals" : "",
	        cfg->append ? "+append" : "");
}

static void describe_serial(const struct machine_config *opts, FILE *out)
{
	fprintf(out, " serial=");
	if (opts->serial)
		describe_chardev(chardev_of(opts, opts->serial), out);
	else
		fprintf(out, "none");
}

static void describe_monitors(const struct machine_config *opts, FILE *out)
{
	static const char *const protocols[] = {
		[MONITOR_HMP] = "hmp", [MONITOR_QMP] = "qmp", [MONITOR_QMP_PRETTY] = "pretty"
	};

	for (unsigned i = 0; i < opts->nmonitors; i++) {
		const struct monitor_config *cfg = &opts->monitors[i];

		fprintf(out, " monitor(%s ", protocols[cfg->protocol]);
		if (opts->serial && strcmp(cfg->chardev, opts->serial) == 0)
			fprintf(out, "mux");
		else
			describe_chardev(chardev_of(opts, cfg->chardev), out);
		fprintf(out, ")");
	}
}

static void describe_sandbox(const struct sandbox_config *sandbox, FILE *out)
{
	static const char *const modes[] = { [SANDBOX_OFF] = "off", [SANDBOX_ON] = "on", [SANDBOX_LOG] = "log" };

	if (sandbox->mode == SANDBOX_ON && sandbox->ndirs == 0 && !sandbox->net)
		return;
	fprintf(out, " sandbox=%s", modes[sandbox->mode]);
	for (unsigned i = 0; i < sandbox->ndirs; i++)
		fprintf(out, ",%s", sandbox->dirs[i]);
	if (sandbox->net)
		fprintf(out, ",net");
}

const char *describe(const struct machine_config *opts)
{
	static char buf[8192];
	FILE *out = fmemopen(buf, sizeof(buf), "w");

	fprintf(out, "ram=%" PRIu64 "M", opts->ram_size >> 20);
	if (opts->ram_size & 0xfffff)
		fprintf(out, "+%" PRIu64, opts->ram_size & 0xfffff);
	fprintf(out, " cpus=%u", opts->ncpus);
	fprintf(out, "%s%s%s%s", opts->no_vmx ? " novmx" : "", opts->no_svm ? " nosvm" : "",
	        opts->no_pmu ? " nopmu" : "", opts->no_guest_core ? " nocore" : "");
	describe_serial(opts, out);
	fprintf(out, " kernel=%s", text(opts->kernel));
	if (opts->initrd)
		fprintf(out, " initrd=%s", opts->initrd);
	if (opts->append)
		fprintf(out, " append=%s", opts->append);
	if (opts->name || opts->uuid || opts->pidfile)
		fprintf(out, " name=%s uuid=%s pidfile=%s", text(opts->name), text(opts->uuid), text(opts->pidfile));
	fprintf(out, "%s%s%s%s", opts->no_reboot ? " no-reboot" : "", opts->no_shutdown ? " no-shutdown" : "",
	        opts->daemonize ? " daemonize" : "", opts->stopped ? " stopped" : "");
	if (opts->timestamps)
		fprintf(out, " timestamps");
	if (opts->escape)
		fprintf(out, " escape=%u", opts->escape);
	if (opts->run_user || opts->run_root)
		fprintf(out, " user=%s root=%s", opts->run_user ? opts->run_user : "-",
		        opts->run_root ? opts->run_root : "-");
	describe_sandbox(&opts->sandbox, out);
	if (opts->nbuses != 1)
		fprintf(out, " buses=%u", opts->nbuses);
	describe_monitors(opts, out);
	if (opts->memory_backend)
		fprintf(out, " backend=%s", opts->memory_backend);
	for (unsigned i = 0; i < opts->nobjects; i++)
		describe_object(opts->objects[i], out);
	for (unsigned i = 0; i < opts->ndevices; i++)
		describe_device(opts->devices[i], out);
	fclose(out);
	return buf;
}

void check_refused(const struct refused *c)
{
	bool wants_kernel = strstr(c->text, "-kernel") == NULL;
	char line[1024], want[1024];
	struct vpmem_error err;
	struct machine_config opts;

	snprintf(line, sizeof(line), "%s%s", wants_kernel ? "-no-reboot -kernel k " : "", c->line);
	snprintf(want, sizeof(want), "%s%s%s", *c->text == '@' ? c->line : "", *c->text == '@' ? ": " : "",
	         c->text + (*c->text == '@'));
	if (parse_line(line, &opts, &err) != OPTIONS_ERROR)
		fail_msg("accepted: %s", line);
	assert_string_equal(err.text, want);
	if (!c->hint && err.hint[0])
		fail_msg("%s: hint: %s", line, err.hint);
	if (c->hint && !strstr(err.hint, c->hint))
		fail_msg("%s: hint: '%s' lacks '%s'", line, err.hint, c->hint);
	assert_null(opts.kernel);
	assert_null(opts.objects);
	assert_null(opts.devices);
}

char *output_of(const char *line, enum options_result *result)
{
	FILE *file = tmpfile();
	int saved = dup(STDOUT_FILENO);
	struct vpmem_error err;
	struct machine_config opts;
	char *output;
	long len;

	assert_non_null(file);
	assert_true(saved >= 0);
	fflush(stdout);
	assert_true(dup2(fileno(file), STDOUT_FILENO) >= 0);
	*result = parse_line(line, &opts, &err);
	fflush(stdout);
	assert_true(dup2(saved, STDOUT_FILENO) >= 0);
	close(saved);
	machine_config_free(&opts);

	fseek(file, 0, SEEK_END);
	len = ftell(file);
	rewind(file);
	output = calloc(1, (size_t)len + 1);
	assert_non_null(output);
	assert_int_equal(fread(output, 1, (size_t)len, file), len);
	fclose(file);
	return output;
}

enum options_result result_on_full_output(const char *line, struct vpmem_error *err)
{
	int full = open("/dev/full", O_WRONLY | O_CLOEXEC), saved = dup(STDOUT_FILENO);
	enum options_result result;
	struct machine_config opts;

	assert_true(full >= 0 && saved >= 0);
	fflush(stdout);
	assert_true(dup2(full, STDOUT_FILENO) >= 0);
	result = parse_line(line, &opts, err);
	__fpurge(stdout);
	clearerr(stdout);
	assert_true(dup2(saved, STDOUT_FILENO) >= 0);
	close(saved);
	close(full);
	machine_config_free(&opts);
	return result;
}

char *read_source(const char *path)
{
	char full[512], *content = NULL;
	size_t size = 0;
	FILE *file;

	snprintf(full, sizeof(full), SOURCE_ROOT "/%s", path);
	file = fopen(full, "r");
	if (!file)
		fail_msg("cannot read %s", full);
	if (getdelim(&content, &size, '\0', file) < 0)
		fail_msg("cannot read %s", full);
	fclose(file);
	return content;
}
