// SPDX-License-Identifier: Apache-2.0
// The command line of pmvm for one container: its words, and the PCI slots of its devices.
#include "vm_args.h"

#include "error.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/*
 * Slots of the first bus. The guest finds images and network cards by these; the numbers of other devices only have to be
 * others. Images that do not fit on the first bus are on the next ones, from slot 1.
 */
enum {
	SLOT_VSOCK = 1,
	SLOT_SHARE,
	SLOT_RNG,
	SLOT_BALLOON,
	SLOT_NIC,
	SLOT_PMEM = SLOT_NIC + VM_NICS_MAX,
	SLOTS = 32,
};

// ---- addresses

struct place {
	unsigned bus, slot;
};

static struct place pmem_place(size_t idx)
{
	const unsigned first = SLOTS - SLOT_PMEM;
	const unsigned i = (unsigned)idx;

	if (i < first)
		return (struct place) { 0, SLOT_PMEM + i };
	return (struct place) { 1 + (i - first) / (SLOTS - 1), 1 + (i - first) % (SLOTS - 1) };
}

static const char *address(struct place place, char buf[VM_ADDRESS_SIZE])
{
	snprintf(buf, VM_ADDRESS_SIZE, "0000:%02x:%02x.0", place.bus & 0xff, place.slot & 0xff);
	return buf;
}

const char *vm_pmem_address(size_t idx, char buf[VM_ADDRESS_SIZE])
{
	return address(pmem_place(idx), buf);
}

void vm_pmem_place(size_t idx, char bus[VM_WORD_SIZE], char addr[VM_WORD_SIZE])
{
	const struct place place = pmem_place(idx);

	snprintf(bus, VM_WORD_SIZE, "pcie.%u", place.bus & 0xff);
	snprintf(addr, VM_WORD_SIZE, "%#x", place.slot & 0xff);
}

const char *vm_nic_address(size_t idx, char buf[VM_ADDRESS_SIZE])
{
	return address((struct place) { 0, SLOT_NIC + (unsigned)idx }, buf);
}

const char *vm_share_tag(unsigned number, char buf[VM_TAG_SIZE])
{
	snprintf(buf, VM_TAG_SIZE, number ? "share-%u" : "share", number);
	return buf;
}

// ---- words

struct words {
	char **argv;
	size_t n;
	bool failed;
};

__attribute__((format(printf, 2, 3))) static void add(struct words *words, const char *fmt, ...)
{
	char **argv = words->failed ? NULL : realloc(words->argv, (words->n + 2) * sizeof(*argv));
	va_list args;

	if (!argv) {
		words->failed = true;
		return;
	}
	words->argv = argv;
	argv[words->n + 1] = NULL;
	va_start(args, fmt);
	if (vasprintf(&argv[words->n], fmt, args) < 0) {
		argv[words->n] = NULL;
		words->failed = true;
	} else {
		words->n++;
	}
	va_end(args);
}

// A comma separates properties; a comma of the value is doubled. The caller frees it.
static char *escape(const char *value)
{
	char *out = malloc(2 * strlen(value) + 1), *to = out;

	for (; out && *value; value++) {
		if (*value == ',')
			*to++ = ',';
		*to++ = *value;
	}
	if (out)
		*to = '\0';
	return out;
}

/*
 * Limits of memory are any number of bytes, such as 10^9; RAM is whole MiB, which all page sizes and the guest's kernel
 * take. The rest is within what the limit of the control group is larger.
 */
static uint64_t ram_kib(uint64_t size)
{
	return ((size >> 20) + ((size & ((1u << 20) - 1)) != 0)) << 10;
}

static void add_run_with(struct words *words, const struct vm_config *cfg)
{
	char *root = cfg->root ? escape(cfg->root) : NULL;

	if (cfg->root && !root)
		words->failed = true;
	if (cfg->uid || root)
		add(words, "-run-with");
	if (cfg->uid && root)
		add(words, "user=%" PRIu32 ":%" PRIu32 ",chroot=%s", cfg->uid, cfg->uid, root);
	else if (root)
		add(words, "chroot=%s", root);
	else if (cfg->uid)
		add(words, "user=%" PRIu32 ":%" PRIu32, cfg->uid, cfg->uid);
	free(root);
}

static void add_base(struct words *words, const struct vm_config *cfg)
{
	add(words, "%s", cfg->pmvm);
	for (const char *const *word = (const char *const[]) { "-nodefaults", "-display", "none", "-monitor", "none",
	                                                       "-no-reboot", NULL };
	     *word; word++)
		add(words, "%s", *word);
	add_run_with(words, cfg);
	add(words, "-smp");
	add(words, "%u", cfg->cpus);
	// virtiofsd maps the guest's RAM.
	add(words, "-m");
	add(words, "%" PRIu64 "K", ram_kib(cfg->ram_size));
	add(words, "-object");
	add(words, "memory-backend-memfd,id=ram,share=on,size=%" PRIu64 "K", ram_kib(cfg->ram_size));
	add(words, "-machine");
	if (cfg->root)
		add(words, "memory-backend=ram,pci-buses=%u", VM_BUSES);
	else
		add(words, "memory-backend=ram");
	add(words, "-kernel");
	add(words, "%s", cfg->kernel);
	add(words, "-initrd");
	add(words, "%s", cfg->initrd);
	add(words, "-append");
	// panic=-1: the machine ends at once, and so does the container. cryptomgr.notests: a container's start waits for
	// the kernel's tests of its ciphers otherwise. initcall_blacklist: the ten thousand files of tracefs take 8 MiB.
	add(words, "%s panic=-1 cryptomgr.notests initcall_blacklist=tracer_init_tracefs pmvm.port=%u",
	    cfg->console_path ? "console=ttyS0" : "quiet loglevel=0", cfg->port);
}

static void add_console(struct words *words, const struct vm_config *cfg)
{
	char *path = cfg->console_path ? escape(cfg->console_path) : NULL;

	add(words, "-serial");
	if (path)
		add(words, "file:%s", path);
	else
		add(words, "none");
	free(path);
}

static void add_devices(struct words *words, const struct vm_config *cfg)
{
	char tag[VM_TAG_SIZE];

	add(words, "-chardev");
	add(words, "socket,id=qmp,fd=%d", cfg->qmp_fd);
	add(words, "-mon");
	add(words, "chardev=qmp,mode=control");
	add(words, "-device");
	add(words, "vhost-vsock-pci,guest-cid=%" PRIu32 ",vhostfd=%d,addr=%#x", cfg->cid, cfg->vhost_vsock_fd,
	    SLOT_VSOCK);
	add(words, "-device");
	add(words, "virtio-rng-pci,addr=%#x", SLOT_RNG);
	add(words, "-device");
	add(words, "virtio-balloon-pci,free-page-reporting=on,addr=%#x", SLOT_BALLOON);
	if (cfg->share_fd < 0)
		return;
	add(words, "-chardev");
	add(words, "socket,id=share,fd=%d", cfg->share_fd);
	add(words, "-device");
	add(words, "vhost-user-fs-pci,chardev=share,tag=%s,addr=%#x", vm_share_tag(0, tag), SLOT_SHARE);
}

static void add_pmem(struct words *words, const struct vm_pmem *pmem, size_t idx)
{
	const struct place place = pmem_place(idx);
	char *path = escape(pmem->path);

	if (!path)
		words->failed = true;
	add(words, "-object");
	add(words, "memory-backend-file,id=image%zu,share=on,readonly=%s,mem-path=%s", idx,
	    pmem->readonly ? "on" : "off", path ? path : "");
	add(words, "-device");
	add(words, "virtio-pmem-pci,memdev=image%zu,bus=pcie.%u,addr=%#x", idx, place.bus, place.slot);
	free(path);
}

static void add_nic(struct words *words, const struct vm_nic *nic, size_t idx)
{
	const uint8_t *mac = nic->mac;

	add(words, "-netdev");
	if (nic->vhost_fd >= 0)
		add(words, "tap,id=net%zu,fd=%d,vhost=on,vhostfd=%d", idx, nic->tap_fd, nic->vhost_fd);
	else
		add(words, "tap,id=net%zu,fd=%d,vhost=off", idx, nic->tap_fd);
	add(words, "-device");
	add(words, "virtio-net-pci,netdev=net%zu,mac=%02x:%02x:%02x:%02x:%02x:%02x,addr=%#zx", idx, mac[0], mac[1],
	    mac[2], mac[3], mac[4], mac[5], SLOT_NIC + idx);
}

void vm_args_free(char **argv)
{
	for (char **word = argv; word && *word; word++)
		free(*word);
	free(argv);
}

char **vm_args_make(const struct vm_config *cfg, struct vpmem_error *err)
{
	struct words words = { 0 };

	if (cfg->npmem > VM_PMEM_MAX) {
		error_set(err, -E2BIG, "%zu image layers and volumes: a machine can have %u", cfg->npmem, VM_PMEM_MAX);
		error_hint(err, "build the image with fewer layers, for example with podman build --squash-all");
		return NULL;
	}
	if (cfg->nnics > VM_NICS_MAX) {
		error_set(err, -E2BIG, "%zu network interfaces: a machine can have %u", cfg->nnics, VM_NICS_MAX);
		return NULL;
	}
	add_base(&words, cfg);
	add_console(&words, cfg);
	add_devices(&words, cfg);
	for (size_t i = 0; i < cfg->npmem; i++)
		add_pmem(&words, &cfg->pmem[i], i);
	for (size_t i = 0; i < cfg->nnics; i++)
		add_nic(&words, &cfg->nics[i], i);
	if (!words.failed)
		return words.argv;
	vm_args_free(words.argv);
	error_set(err, -ENOMEM, "out of memory");
	return NULL;
}
