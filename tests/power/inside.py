"""What the host does between two power cuts: mounts its file systems, checks what is there, and lets guests write.

SPDX-License-Identifier: Apache-2.0

Runs in the test box; tests/powercut.py starts it there and reads what it prints.
"""
import argparse
import json
import os
import pathlib
import re
import subprocess
import sys
import tempfile
import time

sys.dont_write_bytecode = True
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "guest"))
import bare
import machine
import plan
from plan import Trouble, say

HOST = pathlib.Path("/mnt/host")

CREATE = "CREATE TABLE IF NOT EXISTS record (n INTEGER PRIMARY KEY, data TEXT, sum BLOB);"
# In two steps: a random value in a subquery may be computed again at each use.
TRANSACTION = (
    "BEGIN; INSERT INTO record (data) VALUES (hex(randomblob(abs(random()) % 1000))); "
    "UPDATE record SET sum = sha3(n || data) WHERE n = last_insert_rowid(); COMMIT; "
    "SELECT '$1: record ' || max(n) || ' durable' FROM record;"
)
# The nice value and the command; busybox has no nice.
NICE = """nice() { sh -c 'renice -n $0 -p $$ && exec "$@"' "$@"; }"""
# The writer's one process ends only when something failed, or with the power.
WRITE_DATABASE = (
    'write_database() { { echo "$2"; yes "'
    + TRANSACTION
    + '"; } | nice $3 sqlite3 -batch -bail $1.db; echo "a database\'s writer: $1 has ended"; }'
)
CHECK_DATABASE = (
    CREATE + " PRAGMA integrity_check; SELECT count(*) FROM record WHERE sum IS NOT sha3(n || data); "
    "SELECT count(*), ifnull(max(n), 0) FROM record;"
)


def run(*command, **kwargs):
    return subprocess.run(
        [str(word) for word in command],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        env=os.environ | {"PATH": plan.PATH},
        check=False,
        **kwargs,
    )


def must(*command, **kwargs):
    done = run(*command, **kwargs)
    if done.returncode:
        raise Trouble(f"{' '.join(map(str, command))}: status {done.returncode}\n{done.stdout[-3000:]}")


def make_nvdimm(host):
    """A namespace of the NVDIMM that can be mapped, with a file system."""
    with tempfile.TemporaryDirectory() as tools, open(machine.GUESTS / "ndctl.img", "rb") as archive:
        must("cpio", "-id", "--quiet", cwd=tools, stdin=archive)
        libraries = ":".join(sorted({str(path.parent) for path in pathlib.Path(tools).rglob("*.so.*")}))
        must(
            "env",
            f"LD_LIBRARY_PATH={libraries}",
            f"{tools}/sbin/ndctl",
            "create-namespace",
            "-f",
            "-e",
            "namespace0.0",
            "-m",
            "fsdax",
            "-M",
            "mem",
        )
    must(*plan.MKFS[host.removesuffix("-dax")], "/dev/pmem0")


def mount(hosts, first):
    """Mounts the host's file systems.

    They commit their journals when a sync requests it, and hardly ever by themselves: periodic commits would hide a
    missing sync.
    """
    must("modprobe", "xfs")
    pathlib.Path("/proc/sys/fs/xfs/xfssyncd_centisecs").write_text("720000", encoding="ascii")
    for host in hosts:
        directory = HOST / host
        directory.mkdir(parents=True)
        if host not in plan.DISKS and first:
            make_nvdimm(host)
        device = plan.block_device(hosts.index(host)) if host in plan.DISKS else "/dev/pmem0"
        options = ["dax"] * (host not in plan.DISKS) + ["commit=600"] * host.startswith("ext4")
        must("mount", "-o", ",".join(["rw", *options]), device, directory)


def pass_on(guests):
    """Prints the output of the guests, line by line with a prefix, until the power is cut."""
    say("writing")
    begin = dict.fromkeys(guests, 0)
    while True:
        for prefix, guest in guests.items():
            with guest.changed:
                data = bytes(guest.output[begin[prefix] :])
            lines = data[: data.rfind(b"\n") + 1]
            begin[prefix] += len(lines)
            for line in lines.splitlines():
                sys.stdout.write(prefix + line.decode(errors="replace") + "\n")
            if guest.process.poll() is not None:
                raise Trouble(f"pmvm ended with {guest.process.returncode}: {guest.error_text}\n{guest.text[-2000:]}")
        sys.stdout.flush()
        time.sleep(0.01)


class LinuxGuest:
    """One guest with a device for each file system of the host and of its own."""

    def __init__(self, hosts):
        self.devices = plan.devices(hosts)
        options = []
        for number, (host, fs) in enumerate(self.devices):
            properties = {} if host in plan.DISKS else {"pmem": "on"}
            options += machine.pmem(self.image(host, fs), number + 1, plan.GUEST_FILE_SYSTEMS[fs][0], **properties)
        self.guest = machine.Guest(*options, archives=["sqlite"])
        self.run = self.guest.run
        for host, fs in self.devices:
            self.run(f"mkdir -p /mnt/{host}/{fs}")

    @staticmethod
    def image(host, fs):
        return HOST / host / f"{fs}.img"

    def mount(self, host, fs):
        self.run(f"mount -t {fs} -o dax /dev/pmem{self.devices.index((host, fs))} /mnt/{host}/{fs}")

    def umount(self, host, fs):
        self.run(f"umount /mnt/{host}/{fs}")

    def prepare(self):
        """At the first start: makes the file systems and the files that are written in place."""
        for number, (host, fs) in enumerate(self.devices):
            self.run(f"{plan.GUEST_FILE_SYSTEMS[fs][1]} /dev/pmem{number}")
            self.mount(host, fs)
            for file, how in plan.FILES.items():
                if how == "in-place":
                    self.run(f"dd if=/dev/zero of=/mnt/{host}/{fs}/{file} bs=1M count=1 conv=fsync")
            self.umount(host, fs)

    def check(self):
        """After the cut: mounts, which replays the journals, reads the records, and checks the file systems."""
        for host, fs in self.devices:
            self.mount(host, fs)
            for file in plan.FILES:
                self.check_file(f"{host}/{fs}/{file}")
            for name in plan.DATABASES:
                self.check_database(f"{host}/{fs}/{name}")
            self.umount(host, fs)
            # The guest has it unmounted; the host reads the same pages.
            done = run(*plan.GUEST_FILE_SYSTEMS[fs][2], self.image(host, fs))
            if done.returncode:
                raise machine.Failed(f"{' '.join(done.args)}: status {done.returncode}\n{done.stdout[-3000:]}")

    def check_file(self, name):
        path = f"/mnt/{name}"
        say(f"found {name} " + self.run(f"if [ -f {path} ]; then dax-tool check-records {path}; else echo 0; fi"))

    def check_database(self, name):
        text = self.run(f"sqlite3 -batch -bail /mnt/{name}.db '{CHECK_DATABASE}'")
        found = re.fullmatch(r"ok\n0\n(\d+)\|\1", text)
        if not found:
            raise machine.Failed(
                f"{name} is damaged (integrity, rows with a wrong checksum, rows and highest):\n{text}"
            )
        say(f"found {name} {found[1]}")

    def write(self):
        for host, fs in self.devices:
            self.mount(host, fs)
        self.run("cd /mnt")
        self.run(f"{NICE}\n{WRITE_DATABASE}")
        for host, fs in self.devices:
            # Nothing makes those on the NVDIMM wait: they would take all the time there is.
            nice = 0 if host in plan.DISKS else 19
            for file, how in plan.FILES.items():
                self.guest.send(f"nice {nice} dax-tool named-records {host}/{fs}/{file} 100000000 {how} &\n")
            for name, settings in plan.DATABASES.items():
                self.guest.send(f"write_database {host}/{fs}/{name} '{settings} {CREATE}' {nice} &\n")
        pass_on({"": self.guest})


def inside_linux(args):
    try:
        guest = LinuxGuest(args.hosts)
    except machine.Failed as failed:
        raise Trouble(str(failed)) from None
    say("booted")
    try:
        if args.first:
            guest.prepare()
        else:
            guest.check()
        say("checked")
        if not args.check_only:
            guest.write()
    except machine.Failed as failed:
        say(f"lost {json.dumps(str(failed))}")
    guest.guest.kill()


def inside_bare(args):
    """A guest on each disk."""
    images = {host: HOST / host / "bare.img" for host in plan.disks(args.hosts)}
    for host, image in images.items():
        for writer, number in enumerate(bare.last_good_records(image) if not args.first else []):
            say(f"found {host}/bare/{writer} {number}")
    say("checked")
    if args.check_only:
        return
    program = machine.near(plan.CHECKOUT / "build/tests/guest/writers.elf")
    pass_on(
        {
            f"{host}/": machine.Vm(["-m", "64M", "-nographic", "-kernel", program, *machine.pmem(image, size="16M")])
            for host, image in images.items()
        }
    )


def probe_disk(path):
    """Writes one block with a flush and one without; both have reached the disk when it prints "probed"."""
    fd = os.open(path, os.O_RDWR | os.O_DIRECT)
    for name in ("flushed", "unflushed"):
        block, offset = plan.probe_block(name)
        position = str(offset // len(block))
        subprocess.run(
            ["dd", f"of={path}", f"seek={position}", "bs=4096", "count=1", "oflag=direct", "status=none"],
            input=block,
            check=True,
        )
        if name == "flushed":
            os.fsync(fd)
        seen = subprocess.run(
            ["dd", f"if={path}", f"skip={position}", "bs=4096", "count=1", "iflag=direct", "status=none"],
            stdout=subprocess.PIPE,
            check=True,
        ).stdout
        if seen != block:
            raise Trouble(f"the disk does not give back what was written: {name}")
    say("probed")
    # Closing a block device writes back and may flush: this one stays open until the cut.
    return fd


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n", maxsplit=1)[0])
    parser.add_argument("--hosts", type=lambda text: text.split(","))
    parser.add_argument("--guest", choices=["linux", "bare"])
    parser.add_argument("--first", action="store_true", help="there is nothing yet")
    parser.add_argument("--check-only", action="store_true")
    parser.add_argument("--probe", action="store_true", help="test the last disk")
    args = parser.parse_args()
    try:
        probed = probe_disk(plan.block_device(len(plan.disks(args.hosts)))) if args.probe else None
        mount(args.hosts, args.first)
        {"linux": inside_linux, "bare": inside_bare}[args.guest](args)
        del probed
    except Trouble as trouble:
        say(f"trouble {json.dumps(str(trouble))}")
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
