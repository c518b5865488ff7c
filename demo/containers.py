#!/usr/bin/python3
"""Shows pmvm-oci: podman runs containers, each in a machine of its own, and their images' layers are in memory once.

SPDX-License-Identifier: Apache-2.0

Usage: demo/containers.py      (`make demo-containers` builds the programs and the guest first)

Two images without a registry share a base. They run under crun, which most hosts have, and under pmvm-oci. Commands of
podman and pmvm-oci are printed, without the options that give both a storage of their own. Where KVM cannot run a stock
kernel, the same script runs in the emulated host of tests/box.
"""
import contextlib
import json
import os
import pathlib
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
import time

sys.dont_write_bytecode = True
CHECKOUT = pathlib.Path(__file__).resolve().parents[1]
sys.path.insert(0, str(CHECKOUT / "guest"))
import machine
from demo import BEGAN, CHECKS, check, say, title

PARTS = ["pmvm-oci", "pmvm", "oci/kernel", "oci/initrd.img"]
CONF = """
[containers]
default_sysctls = []
[engine]
cgroup_manager = "cgroupfs"
events_logger = "file"
[engine.runtimes]
pmvm = ["{folder}/pmvm/pmvm-oci"]
[network]
network_backend = "netavark"
"""
BASE_MIB = 32
WIDTH = 110  # of what is printed: names of layers are long
IMAGES = {
    "one": "FROM localhost/base\\nRUN echo one >/name",
    "two": "FROM localhost/base\\nRUN echo two >/name",
}
READ_ALL = "cat /big >/dev/null; echo ready; exec sleep 10000"
COMMAND_MAX = 600  # seconds for one command; an emulated host needs most of it
READY_MAX = 300
RAM_MIB = 256
COUNTS = [1, 2, 4, 8]
SPARE_MIB = 1024  # of the host's memory, that no container of the demo takes


class Demo:
    """podman and pmvm-oci with a folder of their own."""

    def __init__(self, folder):
        self.folder = folder
        self.base = folder / "base"
        self.ids = []
        (folder / "containers.conf").write_text(CONF.format(folder=folder))
        (folder / "oci.conf").write_text(f"create-timeout = {READY_MAX}\nlayer-cache = {folder}/layers\n")
        # In the emulated host the checkout is slow, and each machine reads its kernel.
        for part in PARTS:
            (folder / "pmvm" / part).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(CHECKOUT / "build" / part, folder / "pmvm" / part)
        self.settings = ["--runtime-flag", f"config={folder}/oci.conf"]
        os.environ["CONTAINERS_CONF"] = str(folder / "containers.conf")

    def words(self, line):
        """The words of a line, with the options that are not printed."""
        program, *rest = shlex.split(line)
        if program == "pmvm-oci":
            return [self.folder / "pmvm/pmvm-oci", "--config", self.folder / "oci.conf", *rest]
        if program != "podman":
            return [program, *rest]
        own = ["--root", self.folder / "root", "--runroot", self.folder / "run", "--tmpdir", self.folder / "tmp"]
        is_ours = rest[0] == "--runtime=pmvm"
        return ["podman", "--log-level=error", "--storage-driver=overlay", *own, *(self.settings * is_ours), *rest]

    def run(self, line, status=0, **more):
        """Runs a command; returns what it prints."""
        done = subprocess.run(
            list(map(str, self.words(line))),
            cwd=self.folder,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            timeout=COMMAND_MAX,
            check=False,
            **{"stdin": subprocess.DEVNULL} | more,
        )
        if done.returncode != status:
            raise machine.Failed(f"{line}: exit status {done.returncode}: {done.stdout[-1000:]}{done.stderr[-2000:]}")
        return done.stdout

    def remove(self, *names):
        """podman waits 5 s for the end of a process, in which an emulated host does little: it is asked again."""
        for name in names:
            with contextlib.suppress(machine.Failed):
                self.run(f"podman rm -f -t 0 {name}")
                continue
            self.run(f"podman rm -f -t 10 {name}")

    def show(self, line, status=0, **more):
        say(f"$ {line}")
        output = self.run(line, status, **more)
        for text in output.splitlines():
            say(f"    {text if len(text) <= WIDTH else text[:WIDTH] + '...'}")
        return output


def make_images(demo):
    title("Two images that share a base, without a registry")
    for name in ("bin", "dev", "etc", "proc", "sys", "tmp"):
        (demo.base / name).mkdir(parents=True)
    shutil.copy("/bin/busybox", demo.base / "bin/busybox")
    (demo.base / "big").write_bytes(os.urandom(BASE_MIB << 20))
    say(f"(base: busybox, and a file of {BASE_MIB} MiB)")
    demo.run("chroot base /bin/busybox --install -s /bin")
    demo.run("tar -C base -cf base.tar .")
    demo.show("podman import base.tar localhost/base")
    for name, text in IMAGES.items():
        (demo.folder / f"Containerfile.{name}").write_text(text.replace("\\n", "\n"))
        say(f"$ printf '{text}' >Containerfile.{name}")
        demo.run(f"podman --runtime=crun build --network=none -t localhost/{name} -f Containerfile.{name} .")
        say(f"$ podman --runtime=crun build -t localhost/{name} -f Containerfile.{name} .")


def side_by_side(demo):
    title("The same commands, under crun and under pmvm-oci")
    kernels = {}
    (demo.folder / "volume").mkdir()
    for runtime in ("crun", "pmvm"):
        run = f"podman --runtime={runtime} run --rm --network=none"
        kernels[runtime] = demo.show(f"{run} localhost/one uname -r").strip()
        demo.show(f"{run} localhost/one sh -c 'exit 7'", status=7)
        say("    exit status 7")
        demo.show(f"{run} -v ./volume:/v localhost/two sh -c 'cat /name >/v/{runtime}; ls /v'")
        check((demo.folder / "volume" / runtime).read_text() == "two\n", "the host has what the container wrote")
    host = os.uname().release
    check(kernels["crun"] == host != kernels["pmvm"], f"crun shares the host's kernel, {host}; pmvm-oci does not")


def start(demo, name, image):
    line = f"podman --runtime=pmvm run -d --name {name} --network=none --memory={RAM_MIB}m localhost/{image}"
    say(f"$ {line} sh -c '{READ_ALL}'")
    demo.ids.append(demo.run(f"{line} sh -c '{READ_ALL}'").strip())
    end = time.monotonic() + READY_MAX
    while "ready" not in demo.run(f"podman logs {name}"):
        if time.monotonic() > end:
            raise machine.Failed(f"{name} is not ready after {READY_MAX} s")
        time.sleep(0.5)


def members(demo, name):
    """The processes of a container: keeper, pmvm, virtiofsd."""
    pid = int(demo.run(f"podman inspect -f {{{{.State.Pid}}}} {name}"))
    group = re.search(r"^0::(.*)$", pathlib.Path(f"/proc/{pid}/cgroup").read_text(), re.MULTILINE)[1]
    return [int(text) for text in pathlib.Path(f"/sys/fs/cgroup{group}/cgroup.procs").read_text().split()]


def pss_mib(pids):
    """What the processes have in memory; of a page that several share, each has its part."""
    total = 0
    for pid in pids:
        with contextlib.suppress(OSError):
            rollup = pathlib.Path(f"/proc/{pid}/smaps_rollup").read_text()
            total += int(re.search(r"^Pss: +(\d+)", rollup, re.MULTILINE)[1])
    return total / 1024


def available_mib():
    return int(re.search(r"MemAvailable: +(\d+)", pathlib.Path("/proc/meminfo").read_text())[1]) / 1024


def show_sharing(demo):
    title("A command in a machine that runs, and who shares which layer")
    start(demo, "c1", "one")
    start(demo, "c2", "two")
    demo.show("podman --runtime=pmvm exec c1 cat /name")
    demo.show("podman --runtime=pmvm exec c2 sh -c 'cat /name; ps | grep [s]leep'")
    demo.show("pmvm-oci layers list")
    rows = json.loads(demo.run("pmvm-oci layers list --format json"))
    users = sorted(len(row["containers"]) for row in rows)
    check(users == [1, 1, 2], "each image has its own layer, and both machines use one file for the base")
    # What the guest has of the base is no RAM of it: the file is mapped, so its page cache is empty of it.
    cached = demo.show("podman --runtime=pmvm exec c1 grep ^Cached: /proc/meminfo")
    cached_mib = int(re.search(r"(\d+) kB", cached)[1]) / 1024
    check(
        cached_mib < BASE_MIB, f"the guest has read {BASE_MIB} MiB, and caches {cached_mib:.1f} MiB in its own memory"
    )


def show_memory(demo):
    title("The memory of the host for 1, 2, 4 and 8 containers, each of which has read the whole base")
    names, lines = ["c1", "c2"], []
    demo.remove("c2")
    names.remove("c2")
    for count in COUNTS:
        if count > 2 and available_mib() < SPARE_MIB + (count - len(names)) * RAM_MIB:
            say(f"({count} containers of {RAM_MIB} MiB may not fit into the host's memory: left out)")
            break
        while len(names) < count:
            names.append(f"c{len(names) + 1}")
            start(demo, names[-1], ["one", "two"][len(names) % 2])
        each = [pss_mib(members(demo, name)) for name in names]
        lines.append((count, sum(each)))
    say("    containers   MiB of all their processes   MiB for each")
    for count, total in lines:
        say(f"    {count:10}   {total:26.0f}   {total / count:12.0f}")
    (first_count, first), (last_count, last) = lines[0], lines[-1]
    slope = (last - first) / (last_count - first_count)
    check(
        slope < first - BASE_MIB / 2,
        f"one more container takes {slope:.0f} MiB, the first {first:.0f} MiB: the base is there once",
    )
    say(f"$ podman rm -f -t 0 {' '.join(names)}")
    demo.remove(*names)
    check(not set(demo.ids) & set(demo.run("pmvm-oci list -q").split()), "nothing of the containers is left")
    demo.show("pmvm-oci layers prune")


def show():
    with tempfile.TemporaryDirectory(prefix="pmvm-demo-", ignore_cleanup_errors=True) as name:
        demo = Demo(pathlib.Path(name))
        try:
            make_images(demo)
            side_by_side(demo)
            show_sharing(demo)
            show_memory(demo)
        finally:
            for line in "podman rm -f -t 0 -a", "podman rmi -f -a", "umount root/overlay":
                with contextlib.suppress(machine.Failed):
                    demo.run(line)
    say(f"\ndemo: {len(CHECKS)} checks passed in {time.monotonic() - BEGAN:.0f} s")


def main():
    if sys.argv[1:] == ["--here"]:
        if os.geteuid() != 0:
            sys.exit("demo: podman with machines needs root: sudo make demo-containers")
        subprocess.run(["modprobe", "-a", "vhost_vsock", "overlay"], check=False, stderr=subprocess.DEVNULL)
        try:
            show()
        except (machine.Failed, subprocess.TimeoutExpired) as failed:
            sys.exit(f"demo: failed: {failed}")
        return 0
    if subprocess.run([CHECKOUT / "tools/install-packages", "oci", "podman"], check=False).returncode:
        sys.exit("demo: cannot install what it needs, see above")
    return subprocess.run(
        [CHECKOUT / "tests/on-kvm", sys.executable, "-B", CHECKOUT / "demo/containers.py", "--here"], check=False
    ).returncode


if __name__ == "__main__":
    sys.exit(main())
