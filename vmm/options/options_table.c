// SPDX-License-Identifier: Apache-2.0
// All options, with their texts for -help; and those of QEMU's that are refused by name.
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

static int handle_no_shutdown(struct cmdline *cl, const char *arg)
{
	(void)arg;
	cl->opts->no_shutdown = true;
	return 0;
}

static int handle_stopped(struct cmdline *cl, const char *arg)
{
	(void)arg;
	cl->opts->stopped = true;
	return 0;
}

static int handle_daemonize(struct cmdline *cl, const char *arg)
{
	(void)arg;
	cl->opts->daemonize = true;
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

#define HEADING(text)         \
	{                     \
		.usage = text \
	}

const struct option option_table[] = {
	HEADING("The guest"),
	{ "kernel", true, handle_kernel, "FILE", "Linux kernel: a bzImage, or a vmlinux with PVH entry" },
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
	  "FILE as /dev/pmemN in the guest: an -object with its -device;\n"
	  "a missing file is created; '-pmem help' lists the properties" },
	{ "object", true, handle_object, "memory-backend-file,id=ID,mem-path=FILE[,PROP=VALUE]...",
	  "a file as memory; share=on writes to the file; also as JSON;\n"
	  "'-object memory-backend-file,help' lists the properties" },
	{ "device", true, handle_device, "virtio-pmem-pci,memdev=ID[,id=ID][,PROP=VALUE]...",
	  "an object as /dev/pmemN in the guest; also as JSON;\n"
	  "'-device virtio-pmem-pci,help' lists the properties" },

	HEADING("Console"),
	{ "nographic", false, handle_nographic, "",
	  "serial port and monitor on this terminal; Ctrl-a c switches,\n"
	  "Ctrl-a x quits, Ctrl-a h helps" },
	{ "serial", true, handle_serial, "stdio|mon:stdio|file:PATH|null|none|unix:PATH,server=on,wait=off",
	  "where the serial port, ttyS0 in the guest, leads;\n"
	  "mon: a monitor on the same terminal, behind Ctrl-a c" },
	{ "display", true, handle_display, "none", "there is no display" },
	{ "vga", true, handle_vga, "none", "there is no display" },
	{ "parallel", true, handle_none_only, "none", "there is no parallel port" },

	HEADING("Monitor"),
	{ "monitor", true, handle_monitor, "stdio|null|none|unix:PATH,server=on,wait=off",
	  "a monitor for people; type help there" },
	{ "qmp", true, handle_qmp, "stdio|null|none|unix:PATH,server=on,wait=off",
	  "a monitor for programs: JSON, QEMU's protocol" },
	{ "qmp-pretty", true, handle_qmp_pretty, "stdio|null|none|unix:PATH,server=on,wait=off", "the same, indented" },

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
	{ "S", false, handle_stopped, "", "do not start the guest: the monitor's cont does" },
	{ "no-reboot", false, handle_no_reboot, "", "end instead of a reboot" },
	{ "no-shutdown", false, handle_no_shutdown, "", "stay, stopped, when the guest powers off" },
	{ "daemonize", false, handle_daemonize, "", "go to the background once the machine is ready" },
	{ "pidfile", true, handle_pidfile, "FILE", "write the process id to FILE" },
	{ "nodefaults", false, handle_nodefaults, "", "no serial port and no monitor by -nographic" },
	{ "no-user-config", false, handle_nothing, "", "accepted: there are no configuration files" },

	HEADING("Information"),
	{ "version", false, handle_version, "", "print the version" },
	{ "h", false, handle_help, "", "the same as -help" },
	{ "help", false, handle_help, "", "print this text" },
	{ 0 },
};

#define NO_DISKS "the machine has no disks: a file becomes /dev/pmemN by -pmem FILE"
#define NO_FIRMWARE "there is no firmware: the kernel of -kernel boots"
#define NO_NETWORK "the machine has no network: leave it out"
#define NO_DISPLAY "the machine has no display: use -nographic"
#define NO_MIGRATION "there are no snapshots and no migration"

const struct refused_option refused_table[] = {
	/* Not yet. */
	{ "D", true, "messages go to standard error: redirect it with 2>FILE" },
	{ "action", true, "-no-reboot is supported" },
	{ "add-fd", true, NULL },
	{ "async-teardown", true, NULL },
	{ "chardev", true,
	  "use -serial, -monitor or -qmp, which name the device themselves: -qmp unix:PATH,server=on" },
	{ "chroot", true, NULL },
	{ "d", true, NULL },
	{ "echr", true, "the escape character is Ctrl-a" },
	{ "gdb", true, NULL },
	{ "global", true, "give the property to the -device" },
	{ "mem-path", true, "guest RAM is anonymous memory; for persistent memory: -pmem FILE" },
	{ "mem-prealloc", true, "for persistent memory: -pmem FILE,prealloc=on" },
	{ "mon", true, "use -monitor or -qmp: -qmp unix:PATH,server=on,wait=off" },
	{ "msg", true, NULL },
	{ "numa", true, "for a file's memory: -object memory-backend-file,...,host-nodes=0,policy=bind" },
	{ "preconfig", true, NULL },
	{ "readconfig", true, "write the options into a shell script" },
	{ "run-with", true, NULL },
	{ "runas", true, "start it as that user" },
	{ "s", true, NULL },
	{ "sandbox", true, "leave it out" },
	{ "set", true, "give the property to the -device" },
	{ "trace", true, NULL },

	/* Not planned. */
	{ "L", false, NO_FIRMWARE },
	{ "acpitable", false, NULL },
	{ "audio", false, "the machine has no sound" },
	{ "audio-help", false, "the machine has no sound" },
	{ "audiodev", false, "the machine has no sound" },
	{ "bios", false, NO_FIRMWARE },
	{ "blockdev", false, NO_DISKS },
	{ "boot", false, NO_FIRMWARE },
	{ "cdrom", false, NO_DISKS },
	{ "compat", false, NULL },
	{ "debugcon", false, NULL },
	{ "dfilter", false, NULL },
	{ "drive", false, NO_DISKS },
	{ "dtb", false, "a guest finds its devices by ACPI" },
	{ "dump-vmstate", false, NO_MIGRATION },
	{ "enable-sync-profile", false, NULL },
	{ "fda", false, NO_DISKS },
	{ "fdb", false, NO_DISKS },
	{ "fsdev", false, "the machine has no shared directories" },
	{ "full-screen", false, NO_DISPLAY },
	{ "fw_cfg", false, NO_FIRMWARE },
	{ "hda", false, NO_DISKS },
	{ "hdb", false, NO_DISKS },
	{ "hdc", false, NO_DISKS },
	{ "hdd", false, NO_DISKS },
	{ "icount", false, "it is for emulated processors" },
	{ "incoming", false, NO_MIGRATION },
	{ "iscsi", false, NO_DISKS },
	{ "k", false, NO_DISPLAY },
	{ "loadvm", false, NO_MIGRATION },
	{ "mtdblock", false, NO_DISKS },
	{ "netdev", false, NO_NETWORK },
	{ "no-acpi", false, "a guest finds its devices by ACPI" },
	{ "no-fd-bootchk", false, NO_FIRMWARE },
	{ "no-hpet", false, "there is no HPET: leave it out" },
	{ "only-migratable", false, NO_MIGRATION },
	{ "option-rom", false, NO_FIRMWARE },
	{ "pflash", false, NO_FIRMWARE },
	{ "plugin", false, "it is for emulated processors" },
	{ "portrait", false, NO_DISPLAY },
	{ "rotate", false, NO_DISPLAY },
	{ "sd", false, NO_DISKS },
	{ "seed", false, NULL },
	{ "singlestep", false, "it is for emulated processors" },
	{ "smbios", false, NO_FIRMWARE },
	{ "snapshot", false, "share=off on a -pmem keeps its file unchanged" },
	{ "spice", false, NO_DISPLAY },
	{ "tpmdev", false, NULL },
	{ "usb", false, "the machine has no USB" },
	{ "usbdevice", false, "the machine has no USB" },
	{ "virtfs", false, "the machine has no shared directories" },
	{ "vnc", false, NO_DISPLAY },
	{ "watchdog-action", false, "the machine has no watchdog" },
	{ "win2k-hack", false, NO_DISKS },
	{ "xen-attach", false, NULL },
	{ "xen-domid", false, NULL },
	{ "xen-domid-restrict", false, NULL },
	{ 0 },
};
