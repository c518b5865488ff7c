// SPDX-License-Identifier: Apache-2.0
// Mutated command lines, the same ones in every run: the parser answers each with a machine, with help, or
// with an error that has a text, and leaves nothing behind (the address sanitizer watches).
#include "fake_log.h"
#include "options_fixture.h"
#include "unit_test.h"
#include "vm_limits.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define ROUNDS 30000
#define LINE_MAX_LEN 1024

static const char *const seeds[] = {
	"-m 1G -smp 2 -nographic -kernel vmlinuz -initrd initrd.img -append console=ttyS0 -object "
	"memory-backend-file,id=mem1,share,mem-path=./virtio_pmem.img,size=4G -device "
	"virtio-pmem-pci,memdev=mem1,id=nv1",
	"-kernel k -m size=1.5G,slots=4,maxmem=16G -smp 8,sockets=2,cores=2,threads=2,maxcpus=8",
	"-kernel k -machine q35,accel=kvm:tcg,usb=off -accel kvm -cpu host -display none -rtc base=utc "
	"-nodefaults",
	"-kernel k -serial unix:s,server=on,wait=off -name guest=g,debug-threads=on -pidfile p -no-reboot",
	"-kernel k -uuid 550e8400-e29b-41d4-a716-446655440000 -serial file:f -monitor none -qmp none -net "
	"none",
	"-kernel k -object "
	"{\"qom-type\":\"memory-backend-file\",\"id\":\"m1\",\"mem-path\":\"f\",\"size\":67108864,"
	"\"host-nodes\":[0,2],\"policy\":\"bind\",\"share\":true} -device "
	"{\"driver\":\"virtio-pmem-pci\",\"memdev\":\"m1\","
	"\"addr\":40,\"event_idx\":false,\"memaddr\":5368709120}",
	"-kernel k -object "
	"memory-backend-file,id=m1,mem-path=a,,b,offset=2M,align=2M,prealloc=on,prealloc-threads=4,"
	"merge=off,dump=off,discard-data=on,readonly=on,rom=auto,host-nodes=0-3,host-nodes=7,policy="
	"interleave "
	"-device virtio-pmem-pci,memdev=m1,addr=1f.0,bus=pcie.0,shmem=on,disable-legacy=on,romfile=",
	"-kernel k -pmem f,size=4G,id=nv1,readonly=on,share=off,offset=1G,prealloc=on,addr=5 -pmem g -pmem "
	"h,noshare",
};

static const char *const tokens[] = {
	",",    ",,",      "=",    "-",         "--",        " ",           "help",
	"?",    "no",      "on",   "off",       "0",         "-1",          "18446744073709551616",
	"4G",   "0x",      "\"",   "{",         "}",         "[",           "]",
	"null", "\\u0000", "id=",  "memdev=m1", "size=",     "host-nodes=", ":",
	".",    "%s%n",    "\xff", " -device ", " -object ", " -pmem ",     ",help",
	",?",   ",id=",    " -m ", " -smp ",
};

static uint32_t random_state = 1;

static uint32_t random_below(uint32_t limit)
{
	random_state = random_state * 1664525u + 1013904223u;
	return (uint32_t)(((uint64_t)random_state * limit) >> 32);
}

static void insert(char *line, size_t at, const char *token)
{
	size_t len = strlen(line), token_len = strlen(token);

	if (len + token_len >= LINE_MAX_LEN)
		return;
	memmove(line + at + token_len, line + at, len - at + 1);
	memcpy(line + at, token, token_len);
}

static void mutate(char *line)
{
	size_t len = strlen(line), at = random_below((uint32_t)len + 1), n = random_below(12);
	const char *other = seeds[random_below(COUNT(seeds))];

	switch (random_below(6)) {
	case 0:
		if (at < len)
			line[at] = (char)(1 + random_below(255));
		break;
	case 1:
		insert(line, at, tokens[random_below(COUNT(tokens))]);
		break;
	case 2: // cut something out
		n = n > len - at ? len - at : n;
		memmove(line + at, line + at + n, len - at - n + 1);
		break;
	case 3: // cut the end off
		line[at] = '\0';
		break;
	case 4: // add the end of another seed
		insert(line, len, other + random_below((uint32_t)strlen(other)));
		break;
	case 5: // to the next word
		while (at < len && line[at] != ' ' && line[at] != ',')
			at++;
		insert(line, at, tokens[random_below(COUNT(tokens))]);
		break;
	}
}

static unsigned count_words(const char *line)
{
	unsigned n = 2;

	for (; *line; line++)
		n += *line == ' ';
	return n;
}

static void check(const char *line, unsigned *nresults)
{
	struct vpmem_error err;
	struct machine_config opts;
	enum options_result result = parse_line(line, &opts, &err);

	assert_in_range(result, OPTIONS_RUN, OPTIONS_ERROR);
	nresults[result]++;
	if (result == OPTIONS_RUN) {
		assert_non_null(opts.kernel);
		assert_in_range(opts.ncpus, 1, CPUS_MAX);
		assert_true((opts.ram_size > 0 || opts.memory_backend) && opts.ram_size % 8192 == 0);
		assert_true(strlen(describe(&opts)) > 0);
		for (unsigned i = 0; i < opts.ndevices; i++) {
			int slot = opts.devices[i]->slot;

			assert_true(slot == -1 || (slot >= 1 && slot <= 31));
			if (opts.devices[i]->model == &virtio_pmem_pci_model)
				assert_true(pmem_at(&opts, i)->memaddr % VPMEM_GRANULE == 0);
		}
	} else {
		assert_null(opts.kernel);
		assert_int_equal(result == OPTIONS_ERROR, err.text[0] != '\0');
	}
	machine_config_free(&opts);
}

static void every_line_has_an_answer(void **state)
{
	unsigned nresults[3] = { 0 };
	int saved = dup(STDOUT_FILENO), null = open("/dev/null", O_WRONLY | O_CLOEXEC);

	(void)state;
	assert_true(saved >= 0 && null >= 0);
	fflush(stdout);
	dup2(null, STDOUT_FILENO); // help is printed often
	for (unsigned i = 0; i < COUNT(seeds); i++)
		check(seeds[i], nresults);
	assert_int_equal(nresults[OPTIONS_RUN], COUNT(seeds));
	for (unsigned round = 0; round < ROUNDS; round++) {
		char line[LINE_MAX_LEN + 1];

		snprintf(line, sizeof(line), "%s", seeds[random_below(COUNT(seeds))]);
		for (unsigned n = 1 + random_below(3); n > 0; n--)
			mutate(line);
		if (count_words(line) < WORDS_MAX)
			check(line, nresults);
	}
	fflush(stdout);
	dup2(saved, STDOUT_FILENO);
	close(saved);
	close(null);
	// All three kinds were met often enough: the mutations are neither too timid nor too wild.
	for (unsigned i = 0; i < 3; i++)
		assert_true(nresults[i] > 100);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_line_has_an_answer),
	};

	return cmocka_run_group_tests_name("options_fuzz", tests, NULL, NULL);
}
