"""What a host of the two does, by hand: its network, its half of the replicated disk, and the machine.

SPDX-License-Identifier: Apache-2.0

Runs in the test box, one process for each step; tests/cluster/host.py starts them.
"""
import base64
import os
import pathlib
import re
import subprocess
import sys
import time

sys.dont_write_bytecode = True
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "guest"))
import machine

HERE = pathlib.Path(__file__).resolve().parent
WORK = HERE.parents[1] / "build/failover"
ADDRESSES = {"a": "10.77.0.1/24", "b": "10.77.0.2/24"}
DISK = "/dev/drbd0"
SHARED = "/dev/vda"  # of storage "nbd"
MOUNTED = pathlib.Path("/mnt/replicated")
LEN = "64M"
STEP_MAX = 500  # seconds for anything; bounds a wait that would otherwise have no end


def run(*command, check=True):
    done = subprocess.run(
        [str(word) for word in command],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        check=False,
        env=os.environ | {"PATH": "/usr/sbin:/sbin:/usr/bin:/bin"},
    )
    if check and done.returncode:
        sys.exit(f"{' '.join(done.args)}: status {done.returncode}\n{done.stdout[-3000:]}")
    return done.stdout.strip()


def states():
    """Connection, own and other disk, own and other role."""
    # Of the kernel, and not by drbdadm: the test polls while its machine needs the processor.
    line = re.search(r"^ 0: cs:(\S+) ro:(\S+) ds:(\S+)", pathlib.Path("/proc/drbd").read_text(encoding="ascii"), re.M)
    return f"{line[1]} {line[3]} {line[2]}" if line else "not configured"


def wait_until(condition, what):
    end = time.monotonic() + STEP_MAX
    while not condition():
        if time.monotonic() > end:
            sys.exit(f"waited {STEP_MAX} s for {what() if callable(what) else what}; DRBD: {states()}")
        time.sleep(0.5)


# The programs that DRBD calls; this one asks for the peer's end.
HANDLERS = {"@fence_peer@": f"/usr/bin/python3 -B {HERE}/power_switch.py", "@handlers@": ""}


def cmd_setup(name, when, handlers=None, brought_up=True):
    """Network and disk of the host called `name`."""
    pathlib.Path("/etc/hostname").write_text(f"{name}\n", encoding="ascii")  # where systemd looks for it
    run("hostname", name)
    run("modprobe", "-a", "virtio_net", "sch_netem", "drbd")
    run("ip", "address", "add", ADDRESSES[name], "dev", "eth0")
    run("ip", "link", "set", "eth0", "up")
    text = (HERE / "drbd.conf").read_text(encoding="utf-8")
    for place, value in (handlers or HANDLERS).items():
        text = text.replace(place, value)
    pathlib.Path("/etc/drbd.conf").write_text(text, encoding="utf-8")
    if when == "first":
        run("drbdadm", "create-md", "--force", "r0")
    if brought_up:
        run("drbdadm", "up", "r0")


def cmd_connected():
    """Waits until both disks have the same contents."""
    wait_until(lambda: states().startswith("Connected UpToDate/UpToDate"), "two disks with the same contents")


def image(storage):
    if storage == "nbd":
        return SHARED
    return DISK if storage == "device" else MOUNTED / "db.img"


def promote(storage):
    # Until DRBD has noticed that the peer is gone, it refuses a second primary.
    wait_until(lambda: run("drbdadm", "primary", "r0", check=False) == "", "the role of the primary")
    if storage == "file":
        MOUNTED.mkdir(exist_ok=True)
        run("mount", "-t", "ext4", DISK, MOUNTED)


def cmd_format(storage):
    """At the beginning, on one host: file systems on the disk of both, whose contents count as the same."""
    wait_until(lambda: states().startswith("Connected Inconsistent/Inconsistent"), "the peer")
    run("drbdadm", "--", "--clear-bitmap", "new-current-uuid", "r0")
    run("drbdadm", "primary", "r0")
    if storage == "file":
        run("mkfs.ext4", "-q", "-b", "4096", DISK)
        MOUNTED.mkdir()
        run("mount", "-t", "ext4", DISK, MOUNTED)
        run("truncate", "-s", LEN, image(storage))
        # The unit of the machine has this group; a device has it everywhere.
        run("chgrp", "disk", image(storage))
        run("chmod", "660", image(storage))
    run("mkfs.ext4", "-qF", "-b", "4096", image(storage), LEN)
    if storage == "file":
        run("umount", MOUNTED)
    run("drbdadm", "secondary", "r0")


def guest_files():
    """The kernel and the initramfs."""
    return [machine.near(path) for path in (machine.GUESTS / "cloud/bzImage", WORK / "initrd.img")]


def guest_append(pace="fast"):
    script = base64.b64encode(f"pace={pace}\n".encode() + (HERE / "guest.sh").read_bytes()).decode()
    return f"console=ttyS0 quiet pmvm.run={script}"


def guest_options(storage, pace):
    kernel, initrd = guest_files()
    linux = ["-m", "256M", "-kernel", kernel, "-initrd", initrd, "-append", guest_append(pace)]
    return [*linux, *machine.pmem(image(storage), 1, LEN)]


def cmd_machine(storage, peer, pace):
    """Takes the disk over and runs the machine; its console is standard output.

    peer: "alive" or "lost"; pace: of the writers, "fast" or "slow".
    """
    if storage != "nbd":
        if peer == "lost":
            # The test knows it; DRBD would take half a minute.
            run("drbdadm", "disconnect", "--force", "r0")
        promote(storage)
        run("drbdadm", "adjust", "r0")
    print("promoted", flush=True)
    command = [machine.pmvm(), *machine.sandboxed(["-nographic", *guest_options(storage, pace)])]
    sys.exit(subprocess.run(list(map(str, command)), stdin=subprocess.DEVNULL, check=False).returncode)


def main():
    command, *args = sys.argv[1:]
    {"setup": cmd_setup, "connected": cmd_connected, "format": cmd_format, "machine": cmd_machine}[command](*args)


if __name__ == "__main__":
    main()
