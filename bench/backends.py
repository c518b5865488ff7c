"""What devices have behind them, the same for every peer: a tap, passt, virtiofsd, qemu-storage-daemon.

SPDX-License-Identifier: Apache-2.0
"""
import contextlib
import dataclasses
import os
import pathlib
import subprocess
import tempfile
import time

import peers as peers_module
from bench_common import Failed

TAP = "pmvmbench"
HOST, GUEST = "10.77.0.1", "10.77.0.2"  # on the tap
USER_HOST, USER_GUEST = "10.0.2.2", "10.0.2.15"  # with passt, as QEMU's and pmvm's -netdev user have it
USER_PORT = 20000  # of the host, plus the number of the guest's port, is forwarded by passt
START_MAX = 30
VIRTIOFSD = ("/usr/lib/qemu/virtiofsd", "/usr/libexec/virtiofsd")


@dataclasses.dataclass(frozen=True)
class Network:
    """A network of the guest: the options, the guest's own address, and where the host reaches a port of the guest."""

    options: list
    guest: str
    reach: callable

    def bring_up(self, guest, card="eth0"):
        guest.run("modprobe virtio_net; modprobe -q af_packet; true")
        guest.run(
            f"wait-for /sys/class/net/{card} 60 && ip addr add {self.guest}/24 dev {card} && ip link set {card} up"
        )


def run_ip(*words):
    subprocess.run(["ip", *words], check=True)


@contextlib.contextmanager
def process(command, socket):
    """A program that listens on a socket."""
    with subprocess.Popen(list(map(str, command)), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as running:
        try:
            end = time.monotonic() + START_MAX
            while not socket.exists():
                if running.poll() is not None or time.monotonic() > end:
                    raise Failed(f"{command[0]} does not start")
                time.sleep(0.05)
            yield
        finally:
            running.kill()
    socket.unlink(missing_ok=True)


@contextlib.contextmanager
def vhost(number=0):
    """A tap whose packets the kernel's vhost moves."""
    subprocess.run(["modprobe", "-a", "tun", "vhost_net"], check=False, capture_output=True)
    run_ip("tuntap", "add", "dev", TAP, "mode", "tap", "vnet_hdr")
    try:
        run_ip("addr", "add", f"{HOST}/24", "dev", TAP)
        run_ip("link", "set", TAP, "up")
        netdev = f"tap,id=n{number},ifname={TAP},script=no,downscript=no,vhost=on"
        options = ["-netdev", netdev, "-device", f"virtio-net-pci,netdev=n{number},mac=52:54:00:12:34:5{number}"]
        yield Network(options, GUEST, lambda port: (GUEST, port))
    finally:
        run_ip("link", "del", TAP)


@contextlib.contextmanager
def default_route():
    """passt needs one, and an emulated host has none."""
    if subprocess.run(["ip", "route", "show", "default"], stdout=subprocess.PIPE, check=True).stdout:
        yield
        return
    subprocess.run(["modprobe", "dummy", "numdummies=0"], check=False)
    run_ip("link", "add", "uplink", "type", "dummy")
    try:
        run_ip("addr", "add", "10.99.0.9/24", "dev", "uplink")
        run_ip("link", "set", "uplink", "up")
        run_ip("route", "add", "default", "via", "10.99.0.1")
        yield
    finally:
        run_ip("link", "del", "uplink")


@contextlib.contextmanager
def passt(ports=(), number=0):
    """passt, of which QEMU 7.2 has no option: both peers connect to its socket."""
    with tempfile.TemporaryDirectory(prefix="pmvm-passt-") as name:
        os.chmod(name, 0o777)  # as root, it makes its socket as nobody
        with default_route(), passt_at(pathlib.Path(name) / "passt.sock", ports, number) as network:
            yield network


@contextlib.contextmanager
def passt_at(socket, ports, number):
    command = ["passt", "--foreground", "--quiet", "--ipv4-only", "--socket", socket]
    command += ["--address", USER_GUEST, "--netmask", "24", "--gateway", USER_HOST]
    for port in ports:
        command += ["--tcp-ports", f"127.0.0.1/{USER_PORT + port}:{port}"]
    with process(command, socket):
        netdev = f"stream,id=n{number},server=off,addr.type=unix,addr.path={socket}"
        options = ["-netdev", netdev, "-device", f"virtio-net-pci,netdev=n{number},mac=52:54:00:12:34:5{number}"]
        yield Network(options, USER_GUEST, lambda port: ("127.0.0.1", USER_PORT + port))


@contextlib.contextmanager
def folder(where):
    """virtiofsd with an empty folder: options."""
    program = next((path for path in VIRTIOFSD if os.path.exists(path)), None)
    if program is None:
        raise Failed("virtiofsd is not installed")
    shared, socket = where / "folder", where / "fs.sock"
    shared.mkdir()
    with process([program, f"--socket-path={socket}", "-o", f"source={shared}", "-o", "sandbox=chroot"], socket):
        yield ["-chardev", f"socket,id=fs,path={socket}", "-device", "vhost-user-fs-pci,chardev=fs,tag=host"]


@contextlib.contextmanager
def disk(where, size_mib=16):
    """A raw image that qemu-storage-daemon serves: options."""
    image, socket = where / "disk.img", where / "blk.sock"
    with open(image, "wb") as file:
        file.truncate(size_mib << 20)
    command = ["qemu-storage-daemon", "--blockdev", f"driver=file,node-name=disk,filename={image}"]
    command += ["--export", f"vhost-user-blk,id=e0,node-name=disk,addr.type=unix,addr.path={socket},writable=on"]
    with process(command, socket):
        yield ["-chardev", f"socket,id=blk,path={socket}", "-device", "vhost-user-blk-pci,chardev=blk"]


def ram(memory_mib=peers_module.MEMORY_MIB):
    """Guest RAM that other processes can map."""
    return ["-object", f"memory-backend-memfd,id=ram,size={memory_mib}M,share=on", "-machine", "memory-backend=ram"]
