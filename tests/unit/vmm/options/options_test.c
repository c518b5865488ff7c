// SPDX-License-Identifier: Apache-2.0
// The command line: what is accepted, what it means, what is printed. Errors: options_error_test.c.
#include "fake_log.h"
#include "options_fixture.h"
#include "options_internal.h"
#include "unit_test.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void the_documented_command_line(void **state)
{
	char *argv[] = {
		"pmvm",    "-m",
		"1G",      "-smp",
		"2",       "-nographic",
		"-kernel", "vmlinuz",
		"-initrd", "initrd.img",
		"-append", "console=ttyS0",
		"-object", "memory-backend-file,id=mem1,share,mem-path=./virtio_pmem.img,size=4G",
		"-device", "virtio-pmem-pci,memdev=mem1,id=nv1",
		NULL,
	};
	struct vpmem_error err = { "", "" };
	struct machine_config opts;

	(void)state;
	fake_log_clear();
	assert_int_equal(options_parse(COUNT(argv) - 1, argv, &opts, &err), OPTIONS_RUN);
	assert_int_equal(opts.ram_size, UINT64_C(1) << 30);
	assert_int_equal(opts.ncpus, 2);
	assert_string_equal(opts.kernel, "vmlinuz");
	assert_string_equal(opts.initrd, "initrd.img");
	assert_string_equal(opts.append, "console=ttyS0");
	assert_string_equal(opts.serial, "serial0");
	assert_int_equal(opts.chardevs[0]->kind, CHARDEV_STDIO);
	assert_true(opts.chardevs[0]->mux);
	assert_int_equal(opts.nobjects, 1);
	assert_string_equal(opts.objects[0]->id, "mem1");
	assert_string_equal(memdev_at(&opts, 0)->mem_path, "./virtio_pmem.img");
	assert_string_equal(memdev_at(&opts, 0)->backing.path, "./virtio_pmem.img");
	assert_int_equal(memdev_at(&opts, 0)->backing.size, UINT64_C(4) << 30);
	assert_true(memdev_at(&opts, 0)->backing.share);
	assert_int_equal(opts.ndevices, 1);
	assert_string_equal(opts.devices[0]->id, "nv1");
	assert_string_equal(pmem_at(&opts, 0)->memdev, "mem1");
	assert_int_equal(opts.devices[0]->slot, -1);
	assert_true(opts.devices[0]->event_idx && opts.devices[0]->indirect_desc && opts.devices[0]->queue_reset);
	assert_string_equal(fake_log_text,
	                    "warning: short-form boolean option 'share' deprecated\nPlease use share=on instead\n");
	machine_config_free(&opts);
}

/* Every line gets "-kernel k" in front; `meaning` is what describe() says without " kernel=k". */
struct accepted {
	const char *line, *meaning;
};

#define MUX " monitor(hmp mux)"
#define DEFAULTS "ram=128M cpus=1 serial=none"
#define NO_FEATURES "ram=128M cpus=1 novmx nosvm nopmu serial=none"
#define M1 "-object memory-backend-file,id=m1,mem-path=f"

static const struct accepted accepted[] = {
	{ "", DEFAULTS },
	{ "-initrd i --append a=b", DEFAULTS " initrd=i append=a=b" },
	{ "-append a -append b", DEFAULTS " append=b" },
	{ "-append ''", DEFAULTS " append=" },
	{ "-m 256", "ram=256M cpus=1 serial=none" },
	{ "-m 0x100", "ram=256M cpus=1 serial=none" },
	{ "--m size=1G", "ram=1024M cpus=1 serial=none" },
	{ "-m 256M -m 512M", "ram=512M cpus=1 serial=none" },
	{ "-m 1.5G", "ram=1536M cpus=1 serial=none" },
	{ "-m 2097153b", "ram=2M+8192 cpus=1 serial=none" },
	{ "-m 16T", "ram=16777216M cpus=1 serial=none" },
	{ "-m 0", DEFAULTS },
	{ "-m ''", DEFAULTS },
	{ "-m 2", "ram=2M cpus=1 serial=none" },
	{ "-m 256M,slots=4,maxmem=2G", "ram=256M cpus=1 serial=none" },
	{ "-m 256M -m slots=4,maxmem=2G", "ram=256M cpus=1 serial=none" },
	{ "-m 256M,maxmem=256M", "ram=256M cpus=1 serial=none" },
	{ "-m 256M,slots=0", "ram=256M cpus=1 serial=none" },
	{ "-smp 8", "ram=128M cpus=8 serial=none" },
	{ "-smp cpus=64", "ram=128M cpus=64 serial=none" },
	{ "-smp 2,sockets=1,cores=2,threads=1,maxcpus=2", "ram=128M cpus=2 serial=none" },
	{ "-smp 4,clusters=1,modules=1,books=1,drawers=1,dies=1", "ram=128M cpus=4 serial=none" },
	{ "-smp cores=4", "ram=128M cpus=4 serial=none" },
	{ "-smp maxcpus=4", "ram=128M cpus=4 serial=none" },
	{ "-smp 4 -smp cores=4", "ram=128M cpus=4 serial=none" },
	{ "-name g", DEFAULTS " name=g uuid=- pidfile=-" },
	{ "-name guest=g,debug-threads=on", DEFAULTS " name=g uuid=- pidfile=-" },
	{ "-uuid 550e8400-e29b-41d4-a716-446655440000",
	  DEFAULTS " name=- uuid=550e8400-e29b-41d4-a716-446655440000 pidfile=-" },
	{ "-pidfile p", DEFAULTS " name=- uuid=- pidfile=p" },
	{ "-no-reboot", DEFAULTS " no-reboot" },
	{ "-nodefaults -no-user-config -enable-kvm", DEFAULTS },
	{ "-accel kvm", DEFAULTS },
	{ "-accel accel=kvm,kernel-irqchip=on,dirty-ring-size=0", DEFAULTS },
	{ "-accel kvm -accel hvf -accel tcg", DEFAULTS },
	{ "-accel tcg,thread=multi -accel kvm", DEFAULTS },
	{ "-usb -bios qboot.rom -D /nonexistent/log -boot strict=on -boot menu=off,strict=off", DEFAULTS },
	{ "-drive if=none,id=image0", DEFAULTS },
	{ "-drive file=/dev/null,if=none,id=image0,format=raw,media=disk,cache=none", DEFAULTS },
	{ "-global virtio-rng-pci.period=65536 -global driver=virtio-net-pci,property=mq,value=off", DEFAULTS },
	{ "-msg timestamp=on", DEFAULTS " timestamps" },
	{ "-msg timestamp=on -msg timestamp=off", DEFAULTS },
	{ "-echr 1", DEFAULTS " escape=1" },
	{ "-echr 0x14", DEFAULTS " escape=20" },
	{ "-run-with async-teardown=off", DEFAULTS },
	{ "-run-with user=u,chroot=/d -run-with async-teardown=off", DEFAULTS " user=u root=/d" },
	{ "-runas 1:2 -runas u", DEFAULTS " user=u root=-" },
	{ "-chroot /d", DEFAULTS " user=- root=/d" },
	{ "-sandbox off -sandbox on,dir=/,dir=/usr,net=on", DEFAULTS " sandbox=on,/,/usr,net" },
	{ "-sandbox log -sandbox dir=/usr", DEFAULTS " sandbox=log,/usr" },
	{ "-sandbox on,obsolete=deny,elevateprivileges=deny,spawn=deny,resourcecontrol=deny", DEFAULTS },
	{ "-sandbox on -sandbox off", DEFAULTS " sandbox=off" },
	{ "-machine microvm,pit=off,pic=off,rtc=off,acpi=off,pcie=off", DEFAULTS },
	{ "-machine pcie=on,rtc=on,pit=auto", DEFAULTS },
	{ "-rtc driftfix=slew", DEFAULTS },
	{ "-cpu foo -cpu host,topoext=on,migratable=off", DEFAULTS },
	{ "-machine q35,kernel_irqchip=on,mem_merge=off,dump_guest_core=on,pci_buses=1", DEFAULTS },
	{ "-machine q35", DEFAULTS },
	{ "-M pc,accel=kvm:tcg", DEFAULTS },
	{ "-machine pc-q35-9.0,usb=off,vmport=off,smm=off,dump-guest-core=on,mem-merge=off,hpet=off,acpi=on",
	  DEFAULTS },
	{ "-machine microvm,graphics=off,nvdimm=off,sata=off,smbus=off,hmat=off,kernel-irqchip=on", DEFAULTS },
	{ "-machine type=pmvm", DEFAULTS },
	{ "-machine pci-buses=1", DEFAULTS },
	{ "-machine q35,pci-buses=5", DEFAULTS " buses=5" },
	{ "-machine pci-buses=5 -machine pci-buses=8,usb=off -machine q35", DEFAULTS " buses=8" },
	{ M1 " -device virtio-pmem-pci,memdev=m1,bus=pcie.6", DEFAULTS " buses=7 memdev(m1 f) pmem(- m1 bus=pcie.6)" },
	{ M1 " -device virtio-pmem-pci,memdev=m1,bus=pcie.6 -machine pci-buses=8",
	  DEFAULTS " buses=8 memdev(m1 f) pmem(- m1 bus=pcie.6)" },
	{ "-pmem f,id=a,addr=5 -pmem g,id=b,addr=5,bus=pcie.1",
	  DEFAULTS " buses=2 memdev(a-mem f share) memdev(b-mem g share) pmem(a a-mem slot=5) "
	           "pmem(b b-mem bus=pcie.1 slot=5)" },
	{ "-machine accel=kvm", DEFAULTS },
	{ "-cpu host", DEFAULTS },
	{ "-cpu max", DEFAULTS },
	{ "-cpu host,-vmx,-svm,pmu=off", NO_FEATURES },
	{ "-cpu host,vmx=off,svm=no,-pmu", NO_FEATURES },
	{ "-cpu max,,-vmx,-svm,-pmu,", NO_FEATURES },
	{ "-cpu host,+vmx,svm,pmu=on", DEFAULTS },
	{ "-cpu host,vmx=off,svm=off,pmu=off,+vmx,svm=on,pmu", DEFAULTS }, // the last without a sign
	{ "-cpu host,+vmx,vmx=off,+svm,svm=off,pmu=off,pmu=on", DEFAULTS },
	{ "-cpu host,-vmx,+vmx,-svm,svm=on,-pmu,pmu", NO_FEATURES }, // a minus counts, wherever it is
	{ "-cpu host,-vmx -cpu host", DEFAULTS },
	{ "-machine dump-guest-core=off", "ram=128M cpus=1 nocore serial=none" },
	{ "-machine q35,dump_guest_core=off -M pc", "ram=128M cpus=1 nocore serial=none" },
	{ "-machine dump-guest-core=off -M pc,dump-guest-core=on", DEFAULTS },
	{ "-rtc base=utc,clock=host,driftfix=none", DEFAULTS },
	{ "-overcommit mem-lock=off,cpu-pm=off", DEFAULTS },
	{ "-display none -vga none -parallel none -net none -nic none -monitor none -qmp none", DEFAULTS },

	{ "-nographic", "ram=128M cpus=1 serial=stdio+mux" MUX },
	{ "-nographic -nodefaults", DEFAULTS },
	{ "-nographic -monitor none", "ram=128M cpus=1 serial=stdio+signals" },
	{ "-nographic -qmp none", "ram=128M cpus=1 serial=stdio+signals" },
	{ "-nographic -serial null", "ram=128M cpus=1 serial=null monitor(hmp stdio+signals)" },
	{ "-nographic -serial none", DEFAULTS " monitor(hmp stdio+signals)" },
	{ "-nographic -serial null -monitor none", "ram=128M cpus=1 serial=null" },
	{ "-nographic -monitor unix:m,server=on,wait=off", "ram=128M cpus=1 serial=stdio+signals monitor(hmp unix:m)" },
	{ "-nographic -qmp unix:q,server=on", "ram=128M cpus=1 serial=stdio+signals monitor(qmp unix:q+wait)" },
	{ "-nographic -serial mon:stdio", "ram=128M cpus=1 serial=stdio+mux" MUX },
	{ "-nographic -nodefaults -monitor stdio", DEFAULTS " monitor(hmp stdio+signals)" },
	{ "-serial stdio", "ram=128M cpus=1 serial=stdio+signals" },
	{ "-serial mon:stdio", "ram=128M cpus=1 serial=stdio+mux" MUX },
	{ "-serial mon:stdio -monitor unix:m,server,nowait",
	  "ram=128M cpus=1 serial=stdio+mux" MUX " monitor(hmp unix:m)" },
	{ "-nodefaults -serial mon:stdio", "ram=128M cpus=1 serial=stdio+mux" MUX },
	{ "-monitor stdio", DEFAULTS " monitor(hmp stdio+signals)" },
	{ "-qmp stdio -monitor null -qmp-pretty null",
	  DEFAULTS " monitor(qmp stdio+signals) monitor(hmp null) monitor(pretty null)" },
	{ "-qmp-pretty unix:a,server=on,wait=off -qmp unix:b,server=on,wait=off -qmp unix:c,server=on,wait=off",
	  DEFAULTS " monitor(pretty unix:a) monitor(qmp unix:b) monitor(qmp unix:c)" },
	{ "-nodefaults -nographic -daemonize", DEFAULTS " daemonize" },
	{ "-nographic -serial null -monitor none -daemonize", "ram=128M cpus=1 serial=null daemonize" },
	{ "-S -no-shutdown -daemonize", DEFAULTS " no-shutdown daemonize stopped" },
	{ "-daemonize -serial file:f -monitor unix:m,server=on,wait=off",
	  "ram=128M cpus=1 serial=file:f daemonize monitor(hmp unix:m)" },
	{ "-serial none", DEFAULTS },
	{ "-serial null -serial none", "ram=128M cpus=1 serial=null" },
	{ "-serial file:a,b", "ram=128M cpus=1 serial=file:a,b" },
	{ "-serial unix:s,server=on,wait=off", "ram=128M cpus=1 serial=unix:s" },
	{ "-serial unix:s,server=on", "ram=128M cpus=1 serial=unix:s+wait" },
	{ "-serial unix:s,,t,server,nowait", "ram=128M cpus=1 serial=unix:s,t" },
	{ "-serial unix:s", "ram=128M cpus=1 serial=unix:s+client" },
	{ "-serial unix:fd=7,server=on,wait=off", "ram=128M cpus=1 serial=fd:7" },
	{ "-serial unix:s,reconnect=2", "ram=128M cpus=1 serial=unix:s+client+2000ms" },
	{ "-serial pty", "ram=128M cpus=1 serial=pty" },
	{ "-serial tcp::4444,server=on,wait=off", "ram=128M cpus=1 serial=tcp::4444" },
	{ "-serial tcp:0.0.0.0:4444,server,nowait", "ram=128M cpus=1 serial=tcp:0.0.0.0:4444" },
	{ "-serial tcp:[::1]:4444,server=on,wait=off", "ram=128M cpus=1 serial=tcp:::1:4444" },
	{ "-serial chardev:c -chardev null,id=c", "ram=128M cpus=1 serial=null" },
	{ "-chardev stdio,id=c -serial chardev:c", "ram=128M cpus=1 serial=stdio+signals" },
	{ "-chardev stdio,id=c,signal=off,mux=on -mon chardev=c -serial chardev:c",
	  "ram=128M cpus=1 serial=stdio+mux monitor(hmp mux)" },
	{ "-chardev file,id=c,path=f,append=on -serial chardev:c", "ram=128M cpus=1 serial=file:f+append" },
	{ "-chardev ringbuf,id=c,size=4K -serial chardev:c", "ram=128M cpus=1 serial=ringbuf:4096" },
	{ "-chardev memory,id=c -serial chardev:c", "ram=128M cpus=1 serial=ringbuf:65536" },
	{ "-chardev socket,id=c,port=1 -serial chardev:c", "ram=128M cpus=1 serial=tcp::1+client" },
	{ "-chardev socket,id=c,path=p,reconnect-ms=5 -serial chardev:c", "ram=128M cpus=1 serial=unix:p+client+5ms" },
	{ "-chardev socket,id=c,path=p,server=on -mon c", DEFAULTS " monitor(hmp unix:p+wait)" },
	{ "-chardev socket,id=c,path=p,server=on,wait=off -mon chardev=c,mode=control",
	  DEFAULTS " monitor(qmp unix:p)" },
	{ "-mon c,mode=control,pretty=on -chardev pty,id=c", DEFAULTS " monitor(pretty pty)" },
	{ "-qmp chardev:c -chardev pty,id=c -monitor chardev:d -chardev null,id=d",
	  DEFAULTS " monitor(qmp pty) monitor(hmp null)" },
	{ "-nographic -mon c -chardev null,id=c", "ram=128M cpus=1 serial=stdio+signals monitor(hmp null)" },

	{ M1, DEFAULTS " memdev(m1 f)" },
	{ M1 ",size=64M,share=on,readonly=on,rom=on,offset=1M,align=2M",
	  DEFAULTS " memdev(m1 f size=67108864 share readonly offset=1048576 align=2097152 rom=1 policy=0 nodes=0)" },
	{ M1 ",prealloc=on,prealloc-threads=4,merge=off,dump=off,discard-data=on",
	  DEFAULTS " memdev(m1 f prealloc nomerge nodump discard)" },
	{ M1 ",reserve=off,pmem=off,prealloc-context=,x-use-canonical-path-for-ramblock-id=on",
	  DEFAULTS " memdev(m1 f noreserve)" },
	{ M1 ",host-nodes=0,host-nodes=2-3,policy=bind", DEFAULTS " memdev(m1 f rom=0 policy=2 nodes=d)" },
	{ M1 ",host-nodes=1,policy=preferred", DEFAULTS " memdev(m1 f rom=0 policy=1 nodes=2)" },
	{ M1 ",host-nodes=1,policy=interleave", DEFAULTS " memdev(m1 f rom=0 policy=3 nodes=2)" },
	{ M1 ",readonly=on,rom=off", DEFAULTS " memdev(m1 f readonly rom=2 policy=0 nodes=0)" },
	{ "-object qom-type=memory-backend-file,mem-path=a,,b,id=m1", DEFAULTS " memdev(m1 a,b)" },
	{ "-object "
	  "{\"qom-type\":\"memory-backend-file\",\"id\":\"m1\",\"mem-path\":\"f\",\"size\":67108864,"
	  "\"share\":true,"
	  "\"host-nodes\":[0,2],\"policy\":\"bind\",\"rom\":\"auto\",\"prealloc-threads\":2}",
	  DEFAULTS " memdev(m1 f size=67108864 share rom=0 policy=2 nodes=5)" },

	{ "-object memory-backend-memfd,id=r,size=1G -m 1G -machine memory-backend=r",
	  "ram=1024M cpus=1 serial=none backend=r memdev(r memory-backend-memfd size=1073741824 share seal)" },
	{ "-M memory-backend=r -object memory-backend-ram,id=r,size=64M",
	  "ram=0M cpus=1 serial=none backend=r memdev(r memory-backend-ram size=67108864)" },
	{ "-M memory-backend=r -object memory-backend-file,id=r,mem-path=f -m 1G",
	  "ram=1024M cpus=1 serial=none backend=r memdev(r f)" },
	{ "-M memory-backend=r -M memory-backend=", DEFAULTS },
	{ "-object memory-backend-memfd,id=r,size=256M,share=off,hugetlb=on,hugetlbsize=1G,seal=off,prealloc=on,merge=off,"
	  "dump=off -m 256M -numa node,memdev=r",
	  "ram=256M cpus=1 serial=none backend=r memdev(r memory-backend-memfd size=268435456 prealloc nomerge nodump "
	  "hugetlb=1073741824)" },
	{ "-smp 4 -numa type=node,nodeid=0,cpus=0-1,cpus=3,memdev=r -object memory-backend-ram,id=r,size=128M",
	  "ram=128M cpus=4 serial=none backend=r memdev(r memory-backend-ram size=134217728)" },

	{ M1 " -device virtio-pmem-pci,memdev=m1", DEFAULTS " memdev(m1 f) pmem(- m1)" },
	{ "-device virtio-pmem-pci,memdev=m1 " M1, DEFAULTS " memdev(m1 f) pmem(- m1)" },
	{ M1 " -device driver=virtio-pmem-pci,memdev=m1,id=m1", DEFAULTS " memdev(m1 f) pmem(m1 m1)" },
	{ M1 " -device virtio-pmem-pci,memdev=m1,id=nv1,bus=pcie.0,addr=1f.0,memaddr=0x140000000",
	  DEFAULTS " memdev(m1 f) pmem(nv1 m1 bus=pcie.0 slot=31 memaddr=140000000)" },
	{ M1 " -device "
	     "virtio-pmem-pci,memdev=m1,bus=pci.0,shmem=on,event_idx=off,indirect_desc=off,queue_reset=off",
	  DEFAULTS " memdev(m1 f) pmem(- m1 bus=pci.0 shmem noevent_idx noindirect_desc noqueue_reset)" },
	{ M1 " -device virtio-pmem-pci,memdev=m1,x-register-page=off", DEFAULTS " memdev(m1 f) pmem(- m1 nopage)" },
	{ M1 " -device virtio-pmem-pci,memdev=m1,modern-pio-notify=on", DEFAULTS " memdev(m1 f) pmem(- m1 pio)" },
	{ M1 " -device virtio-pmem-pci,memdev=m1,noevent_idx", DEFAULTS " memdev(m1 f) pmem(- m1 noevent_idx)" },
	{ M1 " -device "
	     "virtio-pmem-pci,memdev=m1,disable-legacy=on,disable-modern=off,packed=off,iommu_platform=off,"
	     "ats=off,aer=off,multifunction=off,romfile=,rombar=0,romsize=4294967295,any_layout=on,page-per-"
	     "vq=off,"
	     "notify_on_empty=off,in_order=off,acpi-index=0,failover_pair_id=,migrate-extra=on,modern-pio-"
	     "notify=off,"
	     "use-started=on,use-disabled-flag=on",
	  DEFAULTS " memdev(m1 f) pmem(- m1)" },
	{ M1 " -device "
	     "{\"driver\":\"virtio-pmem-pci\",\"id\":\"nv1\",\"memdev\":\"m1\",\"addr\":40,\"event_idx\":false,"
	     "\"memaddr\":5368709120,\"disable-legacy\":\"on\",\"rombar\":0}",
	  DEFAULTS " memdev(m1 f) pmem(nv1 m1 slot=5 memaddr=140000000 noevent_idx)" },
	{ M1 " -device {\"driver\":\"virtio-pmem-pci\",\"memdev\":\"m1\",\"addr\":\"5\"}",
	  DEFAULTS " memdev(m1 f) pmem(- m1 slot=5)" },
	{ "-device virtio-pmem-pci,memdev=b,id=nb -object memory-backend-file,id=a,mem-path=f "
	  "-device virtio-pmem-pci,memdev=a,id=na -object memory-backend-file,id=b,mem-path=g",
	  DEFAULTS " memdev(a f) memdev(b g) pmem(nb b) pmem(na a)" },

	{ "-pmem f", DEFAULTS " memdev(pmem0-mem f share) pmem(pmem0 pmem0-mem)" },
	{ "-pmem mem-path=a=b", DEFAULTS " memdev(pmem0-mem a=b share) pmem(pmem0 pmem0-mem)" },
	{ "-pmem f -pmem g", DEFAULTS " memdev(pmem0-mem f share) memdev(pmem1-mem g share) pmem(pmem0 "
	                              "pmem0-mem) pmem(pmem1 pmem1-mem)" },
	{ "-pmem f,id=pmem0 -pmem g", DEFAULTS " memdev(pmem0-mem f share) memdev(pmem1-mem g share) "
	                                       "pmem(pmem0 pmem0-mem) pmem(pmem1 pmem1-mem)" },
	{ "-device virtio-balloon", DEFAULTS " balloon(-)" },
	{ "-device virtio-balloon-pci,id=b0,deflate-on-oom=on,free-page-reporting=on,page-poison=off,free-page-hint=off,"
	  "guest-stats-polling-interval=4294967295",
	  DEFAULTS " balloon(b0 oom reporting no-poison 4294967295)" },
	{ "-device {\"driver\":\"virtio-balloon-pci\",\"guest-stats-polling-interval\":7,\"deflate-on-oom\":true}",
	  DEFAULTS " balloon(- oom 7)" },
	{ "-chardev null,id=a -chardev null,id=b -device virtio-serial -device virtconsole,chardev=a "
	  "-device virtserialport,chardev=b,nr=4,name=x.y",
	  DEFAULTS " serial(virtio-serial-bus.0 31) virtconsole(virtio-serial-bus.0 a - 4294967295) "
	           "virtserialport(virtio-serial-bus.0 b x.y 4)" },
	// A port without a bus goes on the last one so far, as in QEMU.
	{ "-device virtio-serial-pci,id=s,max_ports=1,emergency-write=off -device virtconsole -device virtio-serial-device "
	  "-device virtio-serial -device virtconsole -device virtconsole,bus=s.0",
	  DEFAULTS " serial(s.0 1 noemergency) virtconsole(s.0 - - 4294967295) serial(virtio-serial-bus.0 31) "
	           "serial(virtio-serial-bus.1 31) virtconsole(virtio-serial-bus.1 - - 4294967295) "
	           "virtconsole(s.0 - - 4294967295)" },
	{ "-device vhost-vsock-device,guest-cid=3", DEFAULTS " vhost-vsock-pci" },
	{ "-device virtio-rng-pci", DEFAULTS " rng(- - 9223372036854775807/65536)" },
	{ "-device virtio-rng,id=r,max-bytes=0x10,period=1000,addr=4 -object rng-builtin,id=r0",
	  DEFAULTS " rng-builtin(r0) rng(r - 16/1000 slot=4)" },
	{ "-device virtio-rng-pci,rng=r0 -device virtio-rng-pci,rng=r0 -object rng-random,id=r0",
	  DEFAULTS " rng-random(r0 /dev/urandom) rng(- r0 9223372036854775807/65536) "
	           "rng(- r0 9223372036854775807/65536)" },
	{ "-object {\"qom-type\":\"rng-random\",\"id\":\"r0\",\"filename\":\"f\"} "
	  "-device {\"driver\":\"virtio-rng-pci\",\"rng\":\"r0\",\"period\":7}",
	  DEFAULTS " rng-random(r0 f) rng(- r0 9223372036854775807/7)" },
};

static void accepts_every_option(void **state)
{
	struct vpmem_error err;
	struct machine_config opts;

	(void)state;
	for (unsigned i = 0; i < COUNT(accepted); i++) {
		char line[2048], want[2048];
		const char *rest = accepted[i].meaning, *insert;

		snprintf(line, sizeof(line), "-kernel k%s%s", *accepted[i].line ? " " : "", accepted[i].line);
		if (parse_line(line, &opts, &err) != OPTIONS_RUN)
			fail_msg("%s: %s", line, err.text);
		// " kernel=k" stands after the serial port.
		insert = strchr(strstr(rest, "serial="), ' ');
		insert = insert ? insert : rest + strlen(rest);
		snprintf(want, sizeof(want), "%.*s kernel=k%s", (int)(insert - rest), rest, insert);
		if (strcmp(describe(&opts), want) != 0)
			print_error("%s\n", line);
		assert_string_equal(describe(&opts), want);
		machine_config_free(&opts);
	}
}

static void pmem_is_exactly_its_pair(void **state)
{
	static const struct {
		const char *pmem, *pair;
	} cases[] = {
		{ "-pmem f,size=4G,id=nv1", "-object memory-backend-file,id=nv1-mem,share=on,mem-path=f,size=4G "
		                            "-device virtio-pmem-pci,memdev=nv1-mem,id=nv1" },
		{ "-pmem f", "-object memory-backend-file,id=pmem0-mem,share=on,mem-path=f "
		             "-device virtio-pmem-pci,memdev=pmem0-mem,id=pmem0" },
		{ "-pmem f,readonly=on", "-object memory-backend-file,id=pmem0-mem,share=on,mem-path=f,readonly=on "
		                         "-device virtio-pmem-pci,memdev=pmem0-mem,id=pmem0" },
		{ "-pmem "
		  "f,share=off,offset=2M,prealloc=on,addr=7,memaddr=0x140000000,event_idx=off,host-nodes=0,"
		  "host-nodes=2,policy=bind",
		  "-object "
		  "memory-backend-file,id=pmem0-mem,mem-path=f,offset=2M,prealloc=on,host-nodes=0,host-nodes="
		  "2,"
		  "policy=bind -device "
		  "virtio-pmem-pci,memdev=pmem0-mem,id=pmem0,addr=7,memaddr=0x140000000,event_idx=off" },
	};
	struct vpmem_error err;
	struct machine_config opts;

	(void)state;
	for (unsigned i = 0; i < COUNT(cases); i++) {
		char line[1024], *short_form;

		snprintf(line, sizeof(line), "-kernel k %s", cases[i].pmem);
		assert_int_equal(parse_line(line, &opts, &err), OPTIONS_RUN);
		short_form = strdup(describe(&opts));
		machine_config_free(&opts);
		snprintf(line, sizeof(line), "-kernel k %s", cases[i].pair);
		assert_int_equal(parse_line(line, &opts, &err), OPTIONS_RUN);
		assert_string_equal(short_form, describe(&opts));
		machine_config_free(&opts);
		free(short_form);
	}
}

static void takes_as_many_devices_as_the_bus_has_slots(void **state)
{
	struct vpmem_error err;
	struct machine_config opts;

	(void)state;
	char *argv[80] = { "pmvm", "-kernel", "k", "-machine", "pci-buses=1" };
	for (int i = 0; i < 32; i++) {
		argv[5 + 2 * i] = "-pmem";
		argv[6 + 2 * i] = "f";
	}
	assert_int_equal(options_parse(5 + 62, argv, &opts, &err), OPTIONS_RUN);
	assert_int_equal(opts.ndevices, 31);
	assert_string_equal(opts.devices[30]->id, "pmem30");
	machine_config_free(&opts);
	assert_int_equal(options_parse(5 + 64, argv, &opts, &err), OPTIONS_ERROR);
	assert_string_equal(err.text,
	                    "-pmem f: PCI: no slot/function available for virtio-pmem-pci, all in use or reserved");
}

static void warns(void **state)
{
	static const struct {
		const char *line, *warning;
	} cases[] = {
		{ "-serial unix:s,server,nowait",
		  "warning: short-form boolean option 'server' deprecated\n"
		  "Please use server=on instead\nwarning: short-form boolean option 'nowait' deprecated\n"
		  "Please use wait=off instead\n" },
		{ "-pmem f,noshare",
		  "warning: short-form boolean option 'noshare' deprecated\nPlease use share=off instead\n" },
		{ "-smp 2,maxcpus=4", "warning: -smp: maxcpus=4 is ignored: processors cannot be added later\n" },
		{ "-smp 4,sockets=2", "warning: -smp: the guest sees one socket with 4 cores of one thread each\n" },
		{ "-smp 4,sockets=1,cores=4", "" },
	};
	struct vpmem_error err;
	struct machine_config opts;

	(void)state;
	for (unsigned i = 0; i < COUNT(cases); i++) {
		char line[256];

		snprintf(line, sizeof(line), "-kernel k %s", cases[i].line);
		assert_int_equal(parse_line(line, &opts, &err), OPTIONS_RUN);
		assert_string_equal(fake_log_text, cases[i].warning);
		machine_config_free(&opts);
	}
}

static void prints_and_is_done(void **state)
{
	static const struct {
		const char *line, *output;
	} cases[] = {
		{ "-version", "pmvm version " VPMEM_VERSION "\n" },
		{ "--version", "pmvm version " VPMEM_VERSION "\n" },
		{ "-accel help", "Accelerators supported in pmvm binary:\nkvm\n" },
		{ "-accel ?", "Accelerators supported in pmvm binary:\nkvm\n" },
		{ "-display help", "Available display backend types:\nnone\n" },
		{ "-object help",
		  "List of user creatable objects:\n  memory-backend-file\n  memory-backend-memfd\n  memory-backend-ram\n  rng-builtin\n  rng-random\n" },
		{ "-object ?",
		  "List of user creatable objects:\n  memory-backend-file\n  memory-backend-memfd\n  memory-backend-ram\n  rng-builtin\n  rng-random\n" },
		{ "-device help",
		  "Storage devices:\nname \"vhost-user-blk-pci\", bus PCI, desc \"A disk, by a vhost-user back end\"\n"
		  "name \"vhost-user-fs-pci\", bus PCI, desc \"A folder of the host, by virtiofsd or another vhost-user back end\"\n\n"
		  "Misc devices:\nname \"vhost-user-device-pci\", bus PCI, desc \"Any virtio device, by a vhost-user back end\"\n"
		  "name \"vhost-vsock-pci\", bus PCI, desc \"Sockets between host and guest: vsock, by the "
		  "kernel's vhost\"\n"
		  "name \"virtio-balloon-pci\", bus PCI, alias \"virtio-balloon\", desc \"A balloon: memory of the guest "
		  "goes back to the host\"\n"
		  "name \"virtio-pmem-pci\", bus PCI, desc \"Persistent memory: a file as /dev/pmemN\"\n"
		  "name \"virtio-rng-pci\", bus PCI, alias \"virtio-rng\", desc \"Entropy: random bytes of the host for "
		  "/dev/hwrng\"\nname \"vmgenid\", desc \"VM generation ID: the guest sees that it is a copy\"\n\n"
		  "Input devices:\nname \"virtconsole\", bus virtio-serial-bus, desc \"Port of virtio-serial-pci: "
		  "/dev/hvcN in the guest\"\n"
		  "name \"virtio-serial-pci\", bus PCI, alias \"virtio-serial\", desc \"Controller of console ports: "
		  "virtconsole, virtserialport\"\n"
		  "name \"virtserialport\", bus virtio-serial-bus, desc \"Port of virtio-serial-pci: "
		  "/dev/virtio-ports/NAME in the guest\"\n\n"
		  "Network devices:\nname \"virtio-net-pci\", bus PCI, alias \"virtio-net\", desc \"A network card, by the kernel's vhost\"\n" },
		{ "-netdev help", "Available netdev backend types:\ndgram\nstream\ntap\nuser\nvhost-user\n" },
	};
	static const struct {
		const char *line, *has;
	} parts[] = {
		{ "-help", "usage: pmvm " },
		{ "-h", "usage: pmvm " },
		{ "--help", "usage: pmvm " },
		{ "-cpu help", "\n  host " },
		{ "-cpu help", "\n  vmx=<bool> " },
		{ "-machine help", "Supported machines are:\npmvm " },
		{ "-M ?", "Supported machines are:\npmvm " },
		{ "-smp help", "smp-opts options:\n" },
		{ "-m help", "  maxmem=<size>\n" },
		{ "-device virtio-pmem-pci,help", "virtio-pmem-pci options:\n" },
		{ "-device virtio-pmem-pci,memdev=m1,?",
		  "  addr=<int32>           - Slot and optional function number, "
		  "example: 06.0 or 06 (default: -1)\n" },
		{ "-device virtio-pmem-pci,help=on", "  memdev=<link<memory-backend>>\n" },
		{ "-object memory-backend-file,help", "memory-backend-file options:\n" },
		{ "-object memory-backend-file,?", "  mem-path=<string>      - " },
		{ "-pmem help", "memory-backend-file options:\n" },
		{ "-pmem f,help", "virtio-pmem-pci options:\n" },
	};
	enum options_result result;
	char *output;

	(void)state;
	for (unsigned i = 0; i < COUNT(cases); i++) {
		output = output_of(cases[i].line, &result);
		assert_int_equal(result, OPTIONS_DONE);
		assert_string_equal(output, cases[i].output);
		free(output);
	}
	for (unsigned i = 0; i < COUNT(parts); i++) {
		output = output_of(parts[i].line, &result);
		assert_int_equal(result, OPTIONS_DONE);
		if (!strstr(output, parts[i].has))
			fail_msg("%s prints no '%s'", parts[i].line, parts[i].has);
		free(output);
	}
}

static void help_that_cannot_be_written_is_an_error(void **state)
{
	static const char *const lines[] = {
		"-help",         "-version",
		"-device help",  "-device virtio-pmem-pci,help",
		"-object help",  "-object memory-backend-file,help",
		"-pmem help",    "-machine help",
		"-accel help",   "-cpu help",
		"-display help", "-m help",
		"-smp help",
	};
	struct vpmem_error err;

	(void)state;
	for (unsigned i = 0; i < COUNT(lines); i++) {
		if (result_on_full_output(lines[i], &err) != OPTIONS_ERROR)
			fail_msg("%s > /dev/full succeeds", lines[i]);
		assert_non_null(strstr(err.text, "cannot write to standard output: No space left on device"));
	}
}

static void help_lists_all_properties(void **state)
{
	enum options_result result;
	char *output = output_of("-pmem help", &result);
	const struct prop_class *const classes[] = { &memory_backend_file_class, &virtio_pmem_pci_class };
	const struct prop *prop;

	(void)state;
	for (unsigned c = 0; c < COUNT(classes); c++) {
		for (unsigned i = 0; (prop = props_at(classes[c], i)); i++) {
			char word[80];

			snprintf(word, sizeof(word), "\n  %s=<", prop->name);
			assert_int_equal(strstr(output, word) != NULL, !prop->hidden);
		}
	}
	free(output);
}

static void help_fits_a_terminal(void **state)
{
	enum options_result result;
	char *output = output_of("-help", &result), *rest = output, *line;

	(void)state;
	while ((line = strsep(&rest, "\n")) != NULL)
		if (strlen(line) > 80)
			fail_msg("%zu columns: %s", strlen(line), line);
	free(output);
}

/* Every option stands in -help, in the man page and in the comparison with QEMU; refused ones in the last. */
static void documents_know_every_option(void **state)
{
	char *man = read_source("docs/pmvm.1"), *compatibility = read_source("docs/qemu-compatibility.md");
	enum options_result result;
	char *help = output_of("-help", &result);
	char word[96];

	(void)state;
	for (const struct option *opt = option_table; opt->name || opt->usage; opt++) {
		if (!opt->name)
			continue;
		snprintf(word, sizeof(word), "\n-%s ", opt->name);
		if (!strstr(help, word) && !(*opt->usage == '\0' && strstr(help, opt->name)))
			fail_msg("-help lacks -%s", opt->name);
		snprintf(word, sizeof(word), ".It Fl %s", opt->name);
		if (!strstr(man, word))
			fail_msg("the man page lacks -%s", opt->name);
		snprintf(word, sizeof(word), "`-%s`", opt->name);
		if (!strstr(compatibility, word))
			fail_msg("qemu-compatibility.md lacks -%s", opt->name);
	}
	for (const struct refused_option *refused = refused_table; refused->name; refused++) {
		snprintf(word, sizeof(word), "`-%s`", refused->name);
		if (!strstr(compatibility, word))
			fail_msg("qemu-compatibility.md lacks -%s", refused->name);
	}
	free(help);
	free(man);
	free(compatibility);
}

static void table_is_in(const struct prop_class *cls, const char *document)
{
	const struct prop *prop;
	char word[80];

	snprintf(word, sizeof(word), "`%s`", cls->name);
	if (!strstr(document, word))
		fail_msg("qemu-compatibility.md lacks %s", cls->name);
	for (unsigned i = 0; (prop = props_at(cls, i)); i++) {
		snprintf(word, sizeof(word), "`%s`", prop->name);
		if (!strstr(document, word))
			fail_msg("qemu-compatibility.md lacks the property %s of %s", prop->name, cls->name);
	}
}

static void documents_know_every_property(void **state)
{
	char *compatibility = read_source("docs/qemu-compatibility.md");

	(void)state;
	for (unsigned i = 0; object_type_at(i); i++)
		table_is_in(object_type_at(i)->props, compatibility);
	for (unsigned i = 0; netdev_type_at(i); i++)
		table_is_in(netdev_type_at(i)->props, compatibility);
	for (unsigned i = 0; device_model_at(i); i++)
		table_is_in(device_model_at(i)->props, compatibility);
	free(compatibility);
}

/* Writes the text into a file, and parses a line with -readconfig and what follows. Returns its path. */
static const char *config_file(const char *text)
{
	static char path[128];
	FILE *file;

	snprintf(path, sizeof(path), "%s/pmvm-test-config-%d", getenv("TMPDIR") ? getenv("TMPDIR") : "/tmp",
	         (int)getpid());
	file = fopen(path, "w");
	assert_non_null(file);
	fputs(text, file);
	fclose(file);
	return path;
}

static void a_file_has_options(void **state)
{
	static const char text[] =
		"# a comment\n\n[machine]\n  type = \"q35\"\n[memory]\n  size = \"1G\"\r\n"
		"[smp-opts]\ncpus=\"2\"\n[device \"r\"]\n\tdriver = \"virtio-rng-pci\"\n\tperiod = \"7\"\n"
		"[name]\n guest = \"a,b\"\n";
	struct vpmem_error err;
	struct machine_config opts;
	char line[256];

	(void)state;
	snprintf(line, sizeof(line), "-kernel k -readconfig %s", config_file(text));
	assert_int_equal(parse_line(line, &opts, &err), OPTIONS_RUN);
	assert_string_equal(
		describe(&opts),
		"ram=1024M cpus=2 serial=none kernel=k name=a,b uuid=- pidfile=- rng(r - 9223372036854775807/7)");
	machine_config_free(&opts);
	unlink(config_file(""));
}

static void a_file_with_errors_is_refused_with_its_line(void **state)
{
	static const struct {
		const char *text, *error;
	} cases[] = {
		{ "x\n", ":1: no group defined" },
		{ "\n[foo]\n", ":2: There is no option group 'foo'" },
		{ "[readconfig]\n", ":1: There is no option group 'readconfig'" },
		{ "[kernel]\n", ":1: There is no option group 'kernel'" },
		{ "[device\n", ":1: parse error" },
		{ "[device \"x]\n", ":1: parse error" },
		{ "[]\n", ":1: parse error" },
		{ "[device]\ndriver\n", ":2: parse error" },
		{ "[device]\ndriver = x\n", ":2: parse error" },
		{ "[device]\ndriver = \"x\n", ":2: parse error" },
		{ "[device]\n = \"x\"\n", ":2: parse error" },
		{ "[device]\ndriver = \"x\"\n", "[device]: 'x' is not a valid device model name" },
	};

	(void)state;
	for (unsigned i = 0; i < COUNT(cases); i++) {
		struct vpmem_error err;
		struct machine_config opts;
		char line[256];

		snprintf(line, sizeof(line), "-kernel k -readconfig %s", config_file(cases[i].text));
		assert_int_equal(parse_line(line, &opts, &err), OPTIONS_ERROR);
		if (!strstr(err.text, cases[i].error))
			fail_msg("'%s': %s", cases[i].text, err.text);
	}
	unlink(config_file(""));
}

/* An empty result is legal to free, and freeing twice is harmless. */
static void frees_what_it_made(void **state)
{
	struct vpmem_error err;
	struct machine_config opts;

	(void)state;
	assert_int_equal(parse_line("-kernel k -pmem f -pmem g -foo", &opts, &err), OPTIONS_ERROR);
	assert_null(opts.kernel);
	assert_int_equal(opts.nobjects + opts.ndevices, 0);
	machine_config_free(&opts);
	machine_config_free(&opts);
	assert_int_equal(options_parse(1, (char *[]) { "pmvm", NULL }, &opts, NULL), OPTIONS_ERROR);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_documented_command_line),
		cmocka_unit_test(accepts_every_option),
		cmocka_unit_test(pmem_is_exactly_its_pair),
		cmocka_unit_test(takes_as_many_devices_as_the_bus_has_slots),
		cmocka_unit_test(warns),
		cmocka_unit_test(prints_and_is_done),
		cmocka_unit_test(help_that_cannot_be_written_is_an_error),
		cmocka_unit_test(help_lists_all_properties),
		cmocka_unit_test(help_fits_a_terminal),
		cmocka_unit_test(documents_know_every_option),
		cmocka_unit_test(documents_know_every_property),
		cmocka_unit_test(a_file_has_options),
		cmocka_unit_test(a_file_with_errors_is_refused_with_its_line),
		cmocka_unit_test(frees_what_it_made),
	};

	return cmocka_run_group_tests_name("options", tests, NULL, NULL);
}
