"""A guest of pmvm-oci without pmvm-oci: starts pmvm, and speaks with the agent as docs/containers-protocol.md says.

SPDX-License-Identifier: Apache-2.0
"""
import contextlib
import itertools
import json
import pathlib
import random
import shutil
import socket
import struct
import subprocess

from machine import BOOT_MAX, COMMAND_MAX, KERNEL, MIB, Vm, near

OCI = pathlib.Path(__file__).resolve().parents[2] / "build/oci"
ENV = ["PATH=/bin", "TERM=xterm"]
CAPABILITIES = ["CAP_CHOWN", "CAP_DAC_OVERRIDE", "CAP_FOWNER", "CAP_KILL", "CAP_SETGID", "CAP_SETUID"]
LAYER_SLOT = 5


class AgentError(Exception):
    """The agent answered a request with an error."""


def receive(sock, size):
    data = b""
    while len(data) < size:
        part = sock.recv(size - len(data))
        if not part:
            raise EOFError
        data += part
    return data


def receive_frame(sock):
    return json.loads(receive(sock, struct.unpack("<I", receive(sock, 4))[0]))


def send_frame(sock, message):
    text = json.dumps(message).encode()
    sock.sendall(struct.pack("<I", len(text)) + text)


def process(*args, terminal=False, **members):
    """An OCI process object; a single argument is a script."""
    args = ["/bin/sh", "-c", *args] if len(args) == 1 else list(args)
    capabilities = {kind: CAPABILITIES for kind in ("bounding", "effective", "permitted")}
    user = {"uid": 0, "gid": 0}
    common = {"terminal": terminal, "user": user, "env": ENV, "cwd": "/", "capabilities": capabilities}
    return {**common, "args": args, **members}


def config(init, memory=None, mounts=()):
    """A small config.json."""
    tmpfs = {"destination": "/tmp", "type": "tmpfs", "source": "tmpfs"}
    proc = {"destination": "/proc", "type": "proc", "source": "proc"}
    dev = {"destination": "/dev", "type": "tmpfs", "source": "tmpfs", "options": ["nosuid", "mode=755"]}
    options = ["newinstance", "ptmxmode=0666"]
    pts = {"destination": "/dev/pts", "type": "devpts", "source": "devpts", "options": options}
    return {
        "ociVersion": "1.0.2",
        "process": init,
        "root": {"path": "rootfs"},
        "mounts": [proc, dev, pts, tmpfs, *mounts],
        "linux": {
            "namespaces": [{"type": kind} for kind in ("pid", "mount", "uts", "ipc", "cgroup")],
            "resources": {"memory": {"limit": memory}} if memory else {},
        },
    }


def busybox_tree(path):
    """A root file system: busybox and its applets."""
    (path / "bin").mkdir(parents=True)
    for name in ("dev", "etc", "proc", "sys", "tmp"):
        (path / name).mkdir()
    shutil.copy("/bin/busybox", path / "bin/busybox")
    for applet in subprocess.check_output(["/bin/busybox", "--list"], text=True).split():
        if applet != "busybox":
            (path / "bin" / applet).symlink_to("busybox")
    return path


def erofs(tree, image):
    """An image of a layer, as pmvm-oci makes them."""
    subprocess.run(["mkfs.erofs", "--quiet", "-E", "noinline_data", image, tree], check=True, stdout=subprocess.DEVNULL)
    with image.open("r+b") as file:
        file.truncate(-(-image.stat().st_size // (2 * MIB)) * 2 * MIB)
    return image


class OciGuest:
    """A machine with an agent that has said hello. Its processes' streams are sockets: streams[process, which]."""

    def __init__(self, layers=(), args=(), memory="256M"):
        self.listener = socket.socket(socket.AF_VSOCK, socket.SOCK_STREAM)
        self.listener.settimeout(BOOT_MAX)
        self.listener.bind((socket.VMADDR_CID_ANY, socket.VMADDR_PORT_ANY))
        self.listener.listen(16)
        port = self.listener.getsockname()[1]
        options = [
            "-m", memory, "-nographic", "-kernel", near(OCI / "kernel"), "-initrd", near(OCI / "initrd.img"),
            "-append", f"{KERNEL} panic=-1 pmvm.port={port}",
            "-device", f"vhost-vsock-pci,guest-cid={random.randrange(3, 1 << 31)}", *args,
        ]  # fmt: skip
        for i, layer in enumerate(layers):
            options += ["-object", f"memory-backend-file,id=layer{i},share=on,readonly=on,mem-path={layer}"]
            options += ["-device", f"virtio-pmem-pci,memdev=layer{i},addr={LAYER_SLOT + i:#x}"]
        self.layers = [{"pci": f"0000:00:{LAYER_SLOT + i:02x}.0"} for i in range(len(layers))]
        self.vm = Vm(options)
        self.ids = itertools.count(1)
        self.streams = {}
        self.events = []
        self.peer_port = None
        try:
            self.control = self.accept()
            hello = receive_frame(self.control)
            self.token = hello.pop("token")
            assert hello == {"hello": 4} and len(self.token) == 32, hello
        except BaseException:
            self.vm.__exit__(AssertionError)
            raise

    def accept(self):
        sock, peer = self.listener.accept()
        sock.settimeout(COMMAND_MAX)
        self.peer_port = peer[1]
        return sock

    def accept_streams(self, name, terminal):
        for expected in ["terminal"] if terminal else ["stdin", "stdout", "stderr"]:
            while "port" not in (message := receive_frame(self.control)):
                self.events.append(message)
            sock = self.accept()
            assert message == {"event": "connect", "port": self.peer_port}
            stream = {"process": name, "which": expected, "token": self.token}
            assert receive_frame(sock) == {"stream": stream}
            self.streams[name, expected] = sock

    def send(self, verb, **members):
        number = next(self.ids)
        send_frame(self.control, {"id": number, "do": verb, **members})
        return number

    def answer(self, number):
        """The answer to a request. Events that come first are kept."""
        while "id" not in (message := receive_frame(self.control)):
            self.events.append(message)
        assert message.pop("id") == number
        if "error" in message:
            raise AgentError(message["error"])
        return message["ok"]

    def call(self, verb, **members):
        return self.answer(self.send(verb, **members))

    def create(self, config_json, rootfs=None, **members):
        rootfs = rootfs or {"kind": "layers", "layers": self.layers, "upper": {"kind": "none"}}
        number = self.send("create", config=config_json, rootfs=rootfs, **members)
        self.accept_streams("init", config_json["process"]["terminal"])
        return self.answer(number)["pid"]

    def start(self):
        assert self.call("start") == {}

    def exec(self, name, spec):
        """The pid; the process's streams are connected."""
        number = self.send("exec", process=name, spec=spec)
        self.accept_streams(name, spec["terminal"])
        return self.answer(number)["pid"]

    def close_stdin(self, name):
        self.streams[name, "stdin"].shutdown(socket.SHUT_WR)

    def receive(self, name, which, size):
        return receive(self.streams[name, which], size)

    def expect(self, name, which, text):
        """The next that the stream brings is this."""
        assert self.receive(name, which, len(text)) == text

    def output(self, name, which="stdout"):
        """All that the stream still brings."""
        data = b""
        while part := self.streams[name, which].recv(65536):
            data += part
        return data.decode()

    def wait(self, name):
        """The event of the process's end."""
        while not (found := [event for event in self.events if event.get("process") == name]):
            self.events.append(receive_frame(self.control))
        self.events.remove(found[0])
        assert found[0]["event"] == "exit"
        return found[0]

    def run(self, name, spec, stdin=b""):
        """(status, stdout, stderr) of a process that ends."""
        self.exec(name, spec)
        # A process may end before it reads.
        with contextlib.suppress(OSError):
            self.streams[name, "stdin"].sendall(stdin)
            self.close_stdin(name)
        outputs = [self.output(name, which) for which in ("stdout", "stderr")]
        return (self.wait(name)["status"], *outputs)

    def shutdown(self):
        """The exit status of pmvm. The answer may be lost with the machine."""
        with contextlib.suppress(ConnectionResetError):
            assert self.call("shutdown") == {}
        return self.vm.end()

    def __enter__(self):
        return self

    def __exit__(self, kind, *exc):
        self.vm.__exit__(kind, *exc)
        for sock in [self.listener, self.control, *self.streams.values()]:
            sock.close()
