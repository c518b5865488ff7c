// SPDX-License-Identifier: Apache-2.0
// All options, with their texts for -help.
#include "options_internal.h"

#include <stddef.h>

static int handle_kernel(struct cmdline *cl, const char *arg)
{
	return option_string(cl, &cl->opts->kernel, arg);
}

static int handle_initrd(struct cmdline *cl, const char *arg)
{
	return option_string(cl, &cl->opts->initrd, arg);
}

static int handle_append(struct cmdline *cl, const char *arg)
{
	return option_string(cl, &cl->opts->append, arg);
}

static int handle_pidfile(struct cmdline *cl, const char *arg)
{
	return option_string(cl, &cl->opts->pidfile, arg);
}

static int handle_no_reboot(struct cmdline *cl, const char *arg)
{
	(void)arg;
	cl->opts->no_reboot = true;
	return 0;
}

static int handle_nographic(struct cmdline *cl, const char *arg)
{
	(void)arg;
	cl->nographic = true;
	return 0;
}

static int handle_nodefaults(struct cmdline *cl, const char *arg)
{
	(void)arg;
	cl->nodefaults = true;
	return 0;
}

// -enable-kvm, -no-user-config: what they ask for is always so.
static int handle_nothing(struct cmdline *cl, const char *arg)
{
	(void)cl;
	(void)arg;
	return 0;
}

#define HEADING(text) { .usage = text }

const struct option option_table[] = {
	HEADING("The guest"),
	{ "kernel", true, handle_kernel, "FILE",
	  "Linux kernel: a bzImage, or a vmlinux with PVH entry" },
	{ "initrd", true, handle_initrd, "FILE", "initial RAM disk" },
	{ "append", true, handle_append, "TEXT", "the kernel's command line" },
	{ "m", true, handle_m, "[size=]N[K|M|G|T][,slots=N][,maxmem=SIZE]",
	  "guest RAM; a number alone is MiB (default: 128M);\n"
	  "slots and maxmem are checked, and not needed" },
	{ "smp", true, handle_smp, "[cpus=]N[,maxcpus=N][,sockets=N][,cores=N][,threads=N]",
	  "processors, 1 to 64 (default: 1); one socket for the guest" },
	{ "name", true, handle_name, "[guest=]NAME", "name of the virtual machine" },
	{ "uuid", true, handle_uuid, "UUID", "identity of the virtual machine" },

	HEADING("Persistent memory"),
	{ "pmem", true, handle_pmem, "FILE[,size=N][,id=ID][,readonly=on][,share=off][,PROP=VALUE]...",
	  "FILE as /dev/pmemN in the guest, an -object and a -device in one;\n"
	  "a missing file is created; '-pmem help' lists the properties" },
	{ "object", true, handle_object, "memory-backend-file,id=ID,mem-path=FILE[,PROP=VALUE]...",
	  "a file as memory; share=on writes to the file; also as JSON;\n"
	  "'-object memory-backend-file,help' lists the properties" },
	{ "device", true, handle_device, "virtio-pmem-pci,memdev=ID[,id=ID][,PROP=VALUE]...",
	  "an object as /dev/pmemN in the guest; also as JSON;\n"
	  "'-device virtio-pmem-pci,help' lists the properties" },

	HEADING("Console"),
	{ "nographic", false, handle_nographic, "",
	  "serial port on this terminal; Ctrl-a x quits, Ctrl-a h helps" },
	{ "serial", true, handle_serial, "stdio|mon:stdio|file:PATH|null|none|unix:PATH,server=on,wait=off",
	  "where the serial port, ttyS0 in the guest, leads;\n"
	  "mon: makes Ctrl-a the escape character" },
	{ "display", true, handle_display, "none", "there is no display" },
	{ "vga", true, handle_vga, "none", "there is no display" },
	{ "parallel", true, handle_none_only, "none", "there is no parallel port" },
	{ "monitor", true, handle_monitor, "none", "there is no monitor yet" },
	{ "qmp", true, handle_monitor, "none", "there is no monitor yet" },

	HEADING("The machine"),
	{ "machine", true, handle_machine, "[type=]NAME[,accel=kvm][,PROP=VALUE]...",
	  "pmvm, or q35, pc, microvm for the same" },
	{ "M", true, handle_machine, "NAME", "the same as -machine" },
	{ "accel", true, handle_accel, "kvm", "KVM is the only accelerator" },
	{ "enable-kvm", false, handle_nothing, "", "the same as -accel kvm" },
	{ "cpu", true, handle_cpu, "host|max", "the guest gets the host's processor" },
	{ "rtc", true, handle_rtc, "base=utc", "the guest's clock is in UTC" },
	{ "net", true, handle_none_only, "none", "there is no network" },
	{ "nic", true, handle_none_only, "none", "there is no network" },
	{ "overcommit", true, handle_overcommit, "mem-lock=off,cpu-pm=off", "memory is not locked" },

	HEADING("Running"),
	{ "no-reboot", false, handle_no_reboot, "", "end instead of a reboot" },
	{ "pidfile", true, handle_pidfile, "FILE", "write the process id to FILE" },
	{ "nodefaults", false, handle_nodefaults, "", "no serial port on this terminal by -nographic" },
	{ "no-user-config", false, handle_nothing, "", "accepted: there are no configuration files" },

	HEADING("Information"),
	{ "version", false, handle_version, "", "print the version" },
	{ "h", false, handle_help, "", "the same as -help" },
	{ "help", false, handle_help, "", "print this text" },
	{ 0 },
};
