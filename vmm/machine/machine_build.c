// SPDX-License-Identifier: Apache-2.0
// Builds the machine from one ordered list, and takes it down in the reverse order.
#include "machine.h"

#include "chardev.h"
#include "cpu.h"
#include "error.h"
#include "log.h"
#include "machine_chardev.h"
#include "machine_console.h"
#include "machine_cpu.h"
#include "machine_fault.h"
#include "machine_hotplug.h"
#include "machine_load.h"
#include "machine_memory.h"
#include "machine_sandbox.h"
#include "machine_share.h"
#include "machine_store.h"
#include "memory_map.h"
#include "pci.h"
#include "pidfile.h"
#include "posted.h"
#include "signals.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/signalfd.h>
#include <unistd.h>

// ---- the event loop, and the signals that end the program

static void on_signal(void *owner, short revents)
{
	struct machine *m = owner;
	struct signalfd_siginfo info;
	ssize_t len = read(m->signals.fd, &info, sizeof(info));
	unsigned signo = info.ssi_signo, pid = info.ssi_pid;

	(void)revents;
	if (len != (ssize_t)sizeof(info) || signals_is_ignored((int)info.ssi_signo))
		return;
	if (signo != SIGINT)
		log_info("terminating on signal %u from pid %u", signo, pid);
	machine_request(m, REQUEST_QUIT, CAUSE_HOST_SIGNAL);
}

static int loop_up(struct machine *m, struct vpmem_error *err)
{
	sigset_t signals;
	int rc = loop_init(&m->loop, &m->lock);

	signals_set_up(&signals);
	m->signals = (struct loop_source) { .fd = signalfd(-1, &signals, SFD_CLOEXEC | SFD_NONBLOCK),
		                            .events = POLLIN,
		                            .ready = on_signal,
		                            .owner = m };
	if (rc == 0 && m->signals.fd < 0)
		rc = -errno;
	if (rc == 0)
		rc = loop_add(&m->loop, &m->signals);
	return rc ? error_set(err, rc, "cannot set up the event loop: %s", strerror(-rc)) : 0;
}

static void loop_down(struct machine *m)
{
	if (m->signals.fd >= 0)
		close(m->signals.fd);
	loop_fini(&m->loop);
}

// ---- the kernel's files, opened before anything is created; boot.c checks their contents

static void hint_open(const char *path, int rc, struct vpmem_error *err)
{
	size_t len = strlen(path);

	if (len > 0 && path[len - 1] == '\r')
		error_hint(err, "the path ends in a carriage return: a script with the line ends of DOS needs "
		                "sed -i 's/\\r$//'");
	else if (rc == -ENOENT)
		error_hint(err, "check the path; Debian's kernels are /boot/vmlinuz-VERSION and "
		                "/boot/initrd.img-VERSION");
	else if (rc == -ENOTDIR)
		error_hint(err, "check the path: a part of it that should be a directory is none");
	else if (rc == -EACCES || rc == -EPERM)
		error_hint(err, "check the permissions of the file and of the directories above it");
}

static int open_guest_file(const char *path, const char *what, struct vpmem_error *err)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	int rc;

	if (fd >= 0)
		return fd;
	rc = -errno;
	error_set(err, rc, "could not load %s '%s': %s", what, path, strerror(-rc));
	hint_open(path, rc, err);
	return rc;
}

static int files_up(struct machine *m, struct vpmem_error *err)
{
	m->kernel_fd = open_guest_file(m->opts->kernel, "kernel", err);
	if (m->kernel_fd < 0)
		return m->kernel_fd;
	if (!m->opts->initrd)
		return 0;
	m->initrd_fd = open_guest_file(m->opts->initrd, "initrd", err);
	return m->initrd_fd < 0 ? m->initrd_fd : 0;
}

static void close_fd(int *fd)
{
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}

static void files_down(struct machine *m)
{
	close_fd(&m->kernel_fd);
	close_fd(&m->initrd_fd);
}

// ---- KVM

static int kvm_up(struct machine *m, struct vpmem_error *err)
{
	const struct machine_config *opts = m->opts;
	const struct kvm_places places = { .ioapic_gpa = IOAPIC_GPA,
		                           .identity_map_gpa = KVM_IDENTITY_MAP_GPA,
		                           .tss_gpa = KVM_TSS_GPA };
	int rc = vcpus_handle_kicks(err);

	rc = rc ? rc : kvm_open(&m->kvm, &places, err);
	if (rc == 0)
		rc = cpu_host_read(m->kvm.fd, &m->cpu_host, err);
	if (rc < 0)
		return rc;
	cpu_host_hide(m->cpu_host,
	              &(struct cpu_hide) { .vmx = opts->no_vmx, .svm = opts->no_svm, .pmu = opts->no_pmu });
	if (opts->no_pmu)
		kvm_disable_pmu(&m->kvm);
	return 0;
}

static void kvm_down(struct machine *m)
{
	cpu_host_free(m->cpu_host);
	kvm_close(&m->kvm);
}

// ---- power, PCI, devices

static void on_power_off(void *owner)
{
	machine_request(owner, REQUEST_POWER_OFF, CAUSE_GUEST_SHUTDOWN);
}

static void on_reset(void *owner)
{
	machine_request(owner, REQUEST_RESET, CAUSE_GUEST_RESET);
}

static void set_ged_irq(void *owner, bool level)
{
	struct machine *m = owner;

	m->kvm.vm.ops->irq_line(&m->kvm.vm, GED_GSI, level);
}

static int power_up(struct machine *m, struct vpmem_error *err)
{
	int rc;

	m->acpi_pm = (struct acpi_pm) { .power_off = on_power_off, .reset = on_reset, .owner = m };
	m->acpi_ged = (struct acpi_ged) { .set_irq = set_ged_irq, .owner = m };
	rc = acpi_pm_attach(&m->acpi_pm, &m->pio);
	if (rc == 0)
		rc = acpi_ged_attach(&m->acpi_ged, &m->pio);
	if (rc == 0)
		rc = machine_hotplug_attach(m);
	if (rc == 0)
		rc = machine_watch(m);
	return rc ? error_set(err, rc, "cannot set up the power and hotplug ports: %s", strerror(-rc)) : 0;
}

static_assert(PCI_BUSES_MAX * PCI_ECAM_BUS_SIZE == PCI_ECAM_SIZE, "ECAM has room for every bus");

static int pci_up(struct machine *m, struct vpmem_error *err)
{
	struct pci_bus_config cfg;
	int rc = machine_place_windows(m, err);

	if (rc < 0)
		return rc;
	cfg = (struct pci_bus_config) {
		.vm = &m->kvm.vm, .pio = &m->pio, .mmio = &m->mmio,
		.nbuses = m->opts->nbuses,
		.ecam_gpa = PCI_ECAM_BASE,
		.windows = {
			.mem32_gpa = PCI_MEM32_BASE, .mem32_size = PCI_MEM32_SIZE,
			.mem64_gpa = m->mem64_gpa, .mem64_size = m->mem64_size,
			.port = PCI_PORT_BASE, .nports = PCI_PORT_SIZE,
		},
		.intx_gsi = PCI_INTX_GSI, .intx_lines = PCI_INTX_LINES,
	};
	rc = pci_bus_create(&cfg, &m->pci, err);
	if (rc == 0)
		posted_add_ports(&m->kvm, PCI_CONFIG_ADDRESS_PORT, PCI_CONFIG_PORT_SIZE);
	return rc;
}

static void pci_down(struct machine *m)
{
	if (m->pci)
		pci_bus_destroy(m->pci);
}

static void devices_down(struct machine *m)
{
	machine_join_unplugs(m);
	// A file that was truncated since the last check shows in the exit status.
	machine_watch_files(m);
	machine_drop_devices(m);
}

// ---- vCPUs and guest

static int guest_up(struct machine *m, struct vpmem_error *err)
{
	return machine_load_guest(m, err);
}

// ---- pidfile

static int pidfile_up(struct machine *m, struct vpmem_error *err)
{
	return m->opts->pidfile ? pidfile_create(m->opts->pidfile, &m->pidfile_fd, err) : 0;
}

static void pidfile_down(struct machine *m)
{
	pidfile_remove(m->opts->pidfile, &m->pidfile_fd);
}

// ---- another user

static int user_up(struct machine *m, struct vpmem_error *err)
{
	return m->opts->run_user ? privileges_find(m->opts->run_user, &m->run_user, err) : 0;
}

// ---- the list

static const struct stage {
	int (*up)(struct machine *m, struct vpmem_error *err);
	void (*down)(struct machine *m); // legal after an up that failed half-way
} stages[] = {
	{ .up = machine_broker_up, .down = machine_broker_down }, // before anything is open
	{ .up = loop_up, .down = loop_down },
	{ .up = machine_notify_up, .down = machine_notify_down }, // before a helper gets the environment
	{ .up = user_up },
	{ .up = files_up, .down = files_down },
	{ .up = kvm_up, .down = kvm_down },
	{ .up = machine_add_objects, .down = machine_drop_objects },
	{ .up = machine_ram_up, .down = machine_ram_down }, // may be an object
	{ .up = power_up },
	{ .up = pci_up, .down = pci_down },
	{ .up = machine_shares_up, .down = machine_shares_down }, // each has a chardev
	{ .up = machine_chardevs_up, .down = machine_chardevs_down },
	{ .up = machine_add_netdevs, .down = machine_drop_netdevs }, // may have a chardev
	{ .up = pidfile_up, .down = pidfile_down },
	{ .up = machine_cpus_up, .down = machine_cpus_down },
	{ .up = machine_sandbox_up }, // before the first thread
	{ .up = machine_add_devices, .down = devices_down },
	{ .up = machine_console_up, .down = machine_console_down },
	{ .up = machine_observer_up, .down = machine_observer_down },
	{ .up = guest_up, .down = machine_cpus_down }, // their threads end before what they use
	{ .up = machine_settled },                     // the last: everything is open
};
#define NSTAGES (sizeof(stages) / sizeof(stages[0]))

static void take_down(struct machine *m, size_t nstages)
{
	while (nstages-- > 0)
		if (stages[nstages].down)
			stages[nstages].down(m);
}

// From here on the machine is the user's: what it created stays when it ends.
static void keep(struct machine *m)
{
	machine_keep_objects(m);
	chardev_list_keep(&m->chardevs);
}

static void machine_fini(struct machine *m)
{
	machine_forget_stores(m);
	io_clear(&m->pio);
	io_clear(&m->mmio);
	pthread_cond_destroy(&m->reaped);
	pthread_mutex_destroy(&m->lock);
}

int machine_build(struct machine_config *opts, const struct machine_observer *observer, struct machine *m,
                  struct vpmem_error *err)
{
	size_t i;
	int rc = 0;

	m->opts = opts;
	m->observer = observer;
	m->kernel_fd = m->initrd_fd = m->pidfile_fd = m->signals.fd = m->loop.wake_efd = -1;
	m->kvm.fd = m->kvm.vm_fd = -1;
	pthread_mutex_init(&m->lock, NULL);
	pthread_cond_init(&m->reaped, NULL);

	pthread_mutex_lock(&m->lock);
	for (i = 0; i < NSTAGES && rc == 0; i++)
		rc = stages[i].up(m, err);
	if (rc == 0 && signals_end_pending(m->signals.fd))
		rc = error_set(err, -EINTR, "interrupted by a signal while starting");
	if (rc == 0)
		rc = machine_start(m, err);
	if (rc == 0)
		keep(m);
	else
		take_down(m, i);
	pthread_mutex_unlock(&m->lock);
	if (rc < 0)
		machine_fini(m);
	return rc;
}

int machine_destroy(struct machine *m)
{
	int rc;

	pthread_mutex_lock(&m->lock);
	take_down(m, NSTAGES);
	rc = m->close_error;
	pthread_mutex_unlock(&m->lock);
	machine_fini(m);
	return rc;
}
