#!/usr/bin/python3
"""Shows the main function of pmvm with a real guest: persistent memory from a file, in a stock Debian kernel.

The second act shows how a guest gets files into it: over the network, and from a folder of the host.

SPDX-License-Identifier: Apache-2.0

Usage: demo/demo.py      (`make demo` builds pmvm first)

Every command is printed before it runs: "$" on the host, "guest#" inside the virtual machine. Where KVM cannot run
a stock kernel, the same script runs in the emulated host of tests/box.
"""
import contextlib
import hashlib
import os
import pathlib
import re
import shlex
import socket
import subprocess
import sys
import tempfile
import time

sys.dont_write_bytecode = True
CHECKOUT = pathlib.Path(__file__).resolve().parents[1]
sys.path.insert(0, str(CHECKOUT / "guest"))
import machine
import monitor

BEGAN = time.monotonic()
MACHINE = 'pmvm -m 1G -smp 2 -nographic -kernel vmlinuz -initrd initrd.img -append "console=ttyS0"'
FIRST = (
    "-object memory-backend-file,id=mem1,share,mem-path=./virtio_pmem.img,size=4G -device"
    " virtio-pmem-pci,memdev=mem1,id=nv1"
)
MONITOR = "-monitor unix:./monitor,server=on,wait=off"
SECOND = (
    "-object memory-backend-file,id=mem2,share=on,mem-path=./second.img,size=64M -device"
    " virtio-pmem-pci,memdev=mem2,id=nv2"
)
READ_ONLY = (
    "-object memory-backend-file,id=mem1,share=on,readonly=on,mem-path=./virtio_pmem.img -device"
    " virtio-pmem-pci,memdev=mem1,id=nv1"
)
SMALL = MACHINE.replace("-m 1G", "-m 256M")
NETWORK = "-nic user"
FOLDER = (
    "-object memory-backend-memfd,id=ram,size=256M -machine memory-backend=ram -chardev socket,id=c0,path=./folder.sock"
    " -device vhost-user-fs-pci,chardev=c0,tag=host"
)
HOST = "10.0.2.2"  # the host, as a guest with -nic user sees it
FILE_MIB = 8
START_MAX = 30  # seconds for a program of the host to start
CHECKS = []  # the texts of those that passed


def say(text=""):
    print(text, flush=True)


def title(text):
    say(f"\n[{time.monotonic() - BEGAN:5.1f} s] {text}")


def check(truth, text):
    if not truth:
        raise machine.Failed(f"expected: {text}")
    CHECKS.append(text)
    say(f"    ok: {text}")


class DemoGuest(machine.Guest):
    """A guest whose command line and commands are printed."""

    # Guest's own __init__ would add options; here the printed line has all of them.
    # pylint: disable-next=super-init-not-called
    def __init__(self, line, cwd):
        say(f"$ {line}")
        words = shlex.split(line)
        machine.Vm.__init__(self, words[1:], cwd=cwd)  # pylint: disable=non-parent-init-called
        self.began = time.monotonic()

    def wait_ready(self):
        self.booted()
        say(f"    Linux {self.run('uname -r')} has booted after {time.monotonic() - self.began:.1f} s")

    def show(self, command):
        say(f"guest# {command}")
        output = self.run(command)
        for line in output.splitlines():
            say(f"    {line}")
        return output

    def cached_kib(self):
        return int(re.search(r"Cached: +(\d+) kB", self.show("grep ^Cached: /proc/meminfo"))[1])


def first_light(directory):
    title("A guest with one persistent memory device, backed by an ordinary file")
    with DemoGuest(f"{MACHINE} {FIRST}", directory) as guest:
        guest.wait_ready()
        check("1af4:105b" in guest.show("lspci -nn"), "the guest sees virtio-pmem, 1af4:105b")
        guest.show("mkfs.ext4 -q -b 4096 /dev/pmem0")
        guest.show("mkdir -p /mnt && mount -o dax /dev/pmem0 /mnt && grep pmem0 /proc/mounts")
        guest.show("echo 'written before the crash' >/mnt/hello && sync /mnt/hello")
        guest.show("dax-tool isdax /mnt/hello")
        check(
            "EOPNOTSUPP" in guest.show("dax-tool mapsync /mnt/hello"),
            "MAP_SYNC is refused: fsync is what makes data durable",
        )
        guest.show(
            "dd if=/dev/urandom of=/mnt/big bs=1M count=100 2>/dev/null && sync /mnt/big && sha256sum /mnt/big"
            " >/mnt/sum && sync /mnt/sum"
        )

        title("SIGKILL while the guest writes")
        say("guest# dax-tool records /mnt/records 100000     (each record is reported after its fsync returned)")
        guest.send("dax-tool records /mnt/records 100000\n")
        guest.wait_for(r"record 100 durable")
        say(f"$ kill -9 {guest.process.pid}")
        guest.kill()
        return max(int(number) for number in re.findall(r"record (\d+) durable\r?\n", guest.text))


def after_the_crash(directory, reported):
    title("The next start finds the data, now with two devices")
    with DemoGuest(f"{MACHINE} {FIRST} {SECOND}", directory) as guest:
        guest.wait_ready()
        guest.show("mkdir -p /mnt && mount -o dax /dev/pmem0 /mnt")
        check("written before the crash" in guest.show("cat /mnt/hello"), "the file is there")
        last = int(guest.show("dax-tool check-records /mnt/records").split()[-1])
        check(
            last >= reported,
            f"all {reported} records that were reported durable are there (the last good one is {last})",
        )
        sizes = guest.show("cat /sys/block/pmem0/size /sys/block/pmem1/size").split()
        check([int(size) // 2048 for size in sizes] == [4096, 64], "two devices: 4096 and 64 MiB")

        title("The data is in memory once: reading it does not fill the guest's page cache")
        guest.show("ls -lh /mnt/big")
        before = guest.cached_kib()
        guest.show("sha256sum -c /mnt/sum")
        after = guest.cached_kib()
        check(after - before < 4096, f"100 MiB read, the guest's page cache grew by {max(0, after - before)} KiB")
        guest.show("umount /mnt")
        say("guest# poweroff -f")
        check(guest.power_off() == 0, "the guest powered off, pmvm ended with status 0")


class DemoMonitor(monitor.Hmp):
    """A monitor whose commands and answers are printed."""

    def show(self, command):
        say(f"(pmvm) {command}")
        output = self.run(command)
        for line in output.splitlines():
            say(f"    {line}")
        return output

    def wait_until_gone(self, device, seconds=60):
        end = time.monotonic() + seconds
        while f'"{device}"' in self.run("info memory-devices"):
            if time.monotonic() > end:
                raise machine.Failed(f"{device} was not unplugged within {seconds} s")
            time.sleep(0.2)


def hotplug(directory):
    title("Hotplug and unplug while the guest runs")
    with DemoGuest(f"{MACHINE} {FIRST} {MONITOR}", directory) as guest:
        guest.wait_ready()
        with DemoMonitor(directory / "monitor") as mon:
            mon.show("object_add memory-backend-file,id=mem2,share=on,mem-path=virtio_pmem2.img,size=4G")
            mon.show("device_add virtio-pmem-pci,id=virtio_pmem2,memdev=mem2")
            check(
                "/dev/pmem1" in guest.show("wait-for /dev/pmem1 30 && ls /dev/pmem*"),
                "the guest has /dev/pmem1, without any action of its own",
            )
            guest.show("mkfs.ext4 -q -b 4096 /dev/pmem1 && mkdir -p /mnt && mount -o dax /dev/pmem1 /mnt")
            guest.show("echo 'written to a hotplugged device' >/mnt/hello && sync /mnt/hello && umount /mnt")
            mon.show("info pmem")
            mon.show("device_del virtio_pmem2")
            mon.wait_until_gone("virtio_pmem2")
            mon.show("info memory-devices")
            check(guest.show("ls /dev/pmem*") == "/dev/pmem0", "the device is removed")
            mon.show("object_del mem2")
            check(
                not any(
                    "virtio_pmem2.img" in os.readlink(fd)
                    for fd in pathlib.Path(f"/proc/{guest.process.pid}/fd").iterdir()
                ),
                "and its file is closed",
            )
            mon.show("info status")
            say("(pmvm) quit")
            mon.socket.sendall(b"quit\n")
        check(guest.end() == 0, "pmvm ended with status 0")


def shared_read_only(directory):
    title("One image, read-only, in two virtual machines at the same time")
    with contextlib.ExitStack() as stack:
        guests = [stack.enter_context(DemoGuest(f"{MACHINE} {READ_ONLY}", directory)) for _ in range(2)]
        for guest in guests:
            guest.wait_ready()
        for guest in guests:
            guest.show("mkdir -p /mnt && mount -o ro,dax /dev/pmem0 /mnt && sha256sum -c /mnt/sum")
        check(True, "both machines read the same pages of the host's page cache")
        say("guest# poweroff -f")
        check(all(guest.power_off() == 0 for guest in guests), "both ended with status 0")


def virtiofsd():
    for path in ("/usr/lib/qemu/virtiofsd", "/usr/libexec/virtiofsd"):
        if os.path.exists(path):
            return path
    raise machine.Failed("a host with virtiofsd: type tools/install-packages demo")


@contextlib.contextmanager
def program(line, directory, is_ready):
    """A program of the host, whose command line is printed; it is ended with the context."""
    say(f"$ {line} &")
    with subprocess.Popen(
        shlex.split(line), cwd=directory, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    ) as process:
        try:
            end = time.monotonic() + START_MAX
            while not is_ready() or process.poll() is not None:
                if process.poll() is not None or time.monotonic() > end:
                    raise machine.Failed(f"{line} does not start")
                time.sleep(0.05)
            yield
        finally:
            process.terminate()


def listens(port):
    with socket.socket() as client:
        return client.connect_ex(("127.0.0.1", port)) == 0


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as server:
        return server.getsockname()[1]


def has_route():
    return bool(subprocess.run(["ip", "route", "show", "default"], stdout=subprocess.PIPE, check=True).stdout)


@contextlib.contextmanager
def uplink():
    """A default route: without one, passt offers no network. An emulated host has none."""
    if not os.environ.get("PMVM_IN_BOX") or has_route():
        yield
        return
    say("(the emulated host has no network: it gets an interface that leads nowhere, for the default route)")
    subprocess.run(["modprobe", "dummy", "numdummies=0"], check=False)
    for words in ("link add uplink type dummy", "addr add 10.99.0.9/24 dev uplink", "link set uplink up",
                  "route add default via 10.99.0.1"):  # fmt: skip
        subprocess.run(["ip", *words.split()], check=True)
    yield
    subprocess.run(["ip", "link", "del", "uplink"], check=True)


def sha256(path):
    return hashlib.sha256(path.read_bytes()).hexdigest()


def fetch(guest, port, wanted):
    title("TCP from the host into a file on persistent memory")
    guest.show(f"wget -q -O /mnt/fetched http://{HOST}:{port}/data && sync /mnt/fetched")
    check(wanted in guest.show("sha256sum /mnt/fetched"), f"{FILE_MIB} MiB by TCP, the sum is the same")
    guest.show("dax-tool isdax /mnt/fetched")


def use_folder(guest, wanted, folder):
    title("A folder of the host")
    guest.show("modprobe virtiofs && mkdir /host && mount -t virtiofs host /host && ls -lh /host")
    guest.show("dax-tool direct /host/data /mnt/direct && sync /mnt/direct")
    check(
        wanted in guest.show("sha256sum /mnt/direct"),
        "an O_DIRECT read into a mapped DAX file: the host wrote into the pages of the device, the sum is the same",
    )
    guest.show("cp /mnt/fetched /host/from-guest && umount /host")
    say("$ sha256sum folder/from-guest")
    check(sha256(folder / "from-guest") == wanted, "the host has what the guest wrote, the sum is the same")


def network_and_folder(directory):
    title("Second act: a guest with a network and a folder of the host, which other programs serve")
    folder = directory / "folder"
    folder.mkdir()
    say(f"$ head -c {FILE_MIB}M /dev/urandom >folder/data && sha256sum folder/data")
    (folder / "data").write_bytes(os.urandom(FILE_MIB << 20))
    wanted = sha256(folder / "data")
    say(f"    {wanted}  folder/data")
    port = free_port()
    serve = f"python3 -m http.server --bind 127.0.0.1 --directory folder {port}"
    share = f"{virtiofsd()} --socket-path=folder.sock -o source={folder} -o sandbox=chroot"
    is_root = os.geteuid() == 0
    with contextlib.ExitStack() as stack:
        stack.enter_context(uplink())
        stack.enter_context(program(serve, directory, lambda: listens(port)))
        if is_root:
            stack.enter_context(program(share, directory, (directory / "folder.sock").exists))
        else:
            say("(Debian's virtiofsd needs root: the guest gets no folder)")
        line = f"{SMALL} {FIRST} {NETWORK} {FOLDER if is_root else ''}"
        guest = stack.enter_context(DemoGuest(line, directory))
        guest.wait_ready()
        guest.show("mkdir -p /mnt && mount -o dax /dev/pmem0 /mnt")
        check("10.0.2.15" in guest.show("dhcp eth0"), "the guest has an address by DHCP")
        fetch(guest, port, wanted)
        if is_root:
            use_folder(guest, wanted, folder)
        guest.show("umount /mnt")
        say("guest# poweroff -f")
        check(guest.power_off() == 0, "the guest powered off, pmvm ended with status 0")


def show():
    os.environ["PATH"] = f"{CHECKOUT / 'build'}:{os.environ['PATH']}"
    with tempfile.TemporaryDirectory(prefix="pmvm-demo-") as name:
        directory = pathlib.Path(name)
        kernel, initrd = machine.kernel_files("cloud", "bzImage")
        (directory / "vmlinuz").symlink_to(kernel)
        (directory / "initrd.img").symlink_to(initrd)
        after_the_crash(directory, first_light(directory))
        hotplug(directory)
        shared_read_only(directory)
        network_and_folder(directory)
    say(f"\ndemo: {len(CHECKS)} checks passed in {time.monotonic() - BEGAN:.0f} s")


def main():
    if sys.argv[1:] == ["--here"]:
        try:
            show()
        except machine.Failed as failed:
            sys.exit(f"demo: failed: {failed}")
        return 0
    say("demo: preparing the guest")
    if subprocess.run([CHECKOUT / "tools/install-packages", "demo"], check=False).returncode:
        sys.exit("demo: cannot install what it needs, see above")
    if subprocess.run([CHECKOUT / "guest/build", "cloud"], check=False).returncode:
        sys.exit("demo: cannot prepare the guest, see above")
    return subprocess.run(
        [CHECKOUT / "tests/on-kvm", sys.executable, "-B", CHECKOUT / "demo/demo.py", "--here"], check=False
    ).returncode


if __name__ == "__main__":
    sys.exit(main())
