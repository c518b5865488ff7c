"""What a host of the two does under Pacemaker: systemd, Corosync, Pacemaker, and the unit of the machine.

SPDX-License-Identifier: Apache-2.0

Runs in the test box. systemd is process 1 of a PID namespace there, because the box's own is its agent.
"""
import os
import pathlib
import re
import shutil
import socket
import subprocess
import sys
import threading
import time

import by_hand
import machine
import power_switch
from by_hand import HERE, MOUNTED, run, wait_until

MANAGER = pathlib.Path("/run/cluster-manager")  # has the process of systemd
MESSAGES = pathlib.Path("/var/log/messages")
UNITS = pathlib.Path("/etc/cluster-units")
CONSOLE = pathlib.Path("/var/lib/pmvm/db/console")
TARGET = "cluster.target"
WANTS = ["dbus.service", "corosync.service", "pacemaker.service"]
ETC = pathlib.Path("/etc/pmvm")

HANDLERS = {
    "@fence_peer@": "/usr/local/sbin/crm-fence-peer",
    "@handlers@": "after-resync-target /usr/local/sbin/crm-unfence-peer;",
}
# Nothing of the host's own units starts; the hardware that would bring them up is not there either.
NO_DEPENDENCIES = "[Unit]\nDefaultDependencies=no\n"
DROP_IN = """
[Unit]
DefaultDependencies=no

[Service]
DeviceAllow={disk} rw
SupplementaryGroups=
SupplementaryGroups=disk
ReadWritePaths=-{mounted}
# What udev does on a host that has it.
ExecStartPre=+chgrp disk /dev/kvm {disk}
ExecStartPre=+chmod 660 /dev/kvm {disk}
"""
CONF = """
[object "mem1"]
  qom-type = "memory-backend-file"
  mem-path = "{image}"
  size = "{length}"
  share = "on"

[device "nv1"]
  driver = "virtio-pmem-pci"
  memdev = "mem1"
"""
FILE_SYSTEM = f"""primitive replicated ocf:heartbeat:Filesystem \\
  params device=/dev/drbd0 directory={MOUNTED} fstype=ext4 \\
  op start interval=0 timeout=240s \\
  op stop interval=0 timeout=240s \\
  op monitor interval=60s timeout=120s
colocation mounted-with-disk inf: replicated disk-clone:Promoted
order disk-then-mounted Mandatory: disk-clone:promote replicated:start
colocation machine-with-mounted inf: machine replicated
order mounted-then-machine Mandatory: replicated machine"""


def executable(path, text):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    path.chmod(0o755)


def in_cluster():
    """The prefix of commands that belong to the systemd's namespaces."""
    wait_until(MANAGER.exists, "the start of systemd")
    return ["nsenter", "-t", MANAGER.read_text(encoding="ascii").strip(), "-m", "-p"]


def crm(*command, check=True):
    return run(*in_cluster(), *command, check=check)


def install_unit(storage):
    """pmvm and its unit, as the package has them, and the machine `db`."""
    bin_, libexec = pathlib.Path("/usr/bin"), pathlib.Path("/usr/libexec")
    shutil.copy(machine.pmvm(), bin_ / "pmvm")
    (libexec / "pmvm").mkdir(parents=True, exist_ok=True)
    shutil.copy(machine.CHECKOUT / "build/dist/systemd/pmvm-stop", libexec / "pmvm")
    text = (machine.CHECKOUT / "dist/systemd/pmvm@.service.in").read_text(encoding="utf-8")
    for name, place in (("bindir", bin_), ("libexecdir", libexec), ("sysconfdir", pathlib.Path("/etc"))):
        text = text.replace(f"@{name}@", str(place))
    (UNITS / "pmvm@.service").write_text(text, encoding="utf-8")
    drop_in = UNITS / "pmvm@db.service.d/site.conf"
    drop_in.parent.mkdir()
    drop_in.write_text(DROP_IN.format(mounted=MOUNTED, disk=by_hand.DISK), encoding="utf-8")
    ETC.mkdir(exist_ok=True)
    image = by_hand.image(storage)
    (ETC / "db.conf").write_text(CONF.format(image=image, length=by_hand.LEN), encoding="utf-8")
    files = by_hand.guest_files()
    kept = [shutil.copy(file, ETC / name) for name, file in zip(("kernel", "initrd"), files)]
    args = f"-m 256M -kernel {kept[0]} -initrd {kept[1]} -append '{by_hand.guest_append()}'"
    (ETC / "db.env").write_text(f'PMVM_ARGS="{args}"\nPMVM_SERIAL=file:{CONSOLE}\n', encoding="utf-8")


def install_units():
    UNITS.mkdir()
    for name in [*WANTS, "dbus.socket"]:
        shutil.copy(pathlib.Path("/lib/systemd/system") / name, UNITS)
        (UNITS / f"{name}.d").mkdir()
        (UNITS / f"{name}.d/test.conf").write_text(NO_DEPENDENCIES, encoding="utf-8")
    for name in ("network-online.target", "sysinit.target", "basic.target"):
        (UNITS / name).write_text(NO_DEPENDENCIES, encoding="utf-8")
    wants = " ".join(WANTS)
    (UNITS / TARGET).write_text(f"{NO_DEPENDENCIES}Wants={wants}\n", encoding="utf-8")


def install_programs():
    """The fence agent, and the way into the namespaces of the cluster for what the kernel calls."""
    text = (HERE / "fence_box.sh").read_text(encoding="utf-8")
    executable(pathlib.Path("/usr/sbin/fence_box"), text.replace("@shared@", str(power_switch.shared_directory())))
    for name in ("crm-fence-peer", "crm-unfence-peer"):
        executable(
            pathlib.Path(f"/usr/local/sbin/{name}"),
            "#!/bin/sh\n" f'exec /usr/bin/nsenter -t "$(cat {MANAGER})" -m -p /usr/lib/drbd/{name}.sh "$@"\n',
        )


def start_systemd():
    """Returns the process of unshare; its child is systemd."""
    env = os.environ | {f"SYSTEMD_{name}_PATH": str(UNITS) for name in ("GENERATOR", "ENVIRONMENT_GENERATOR")}
    env |= {"SYSTEMD_UNIT_PATH": f"{UNITS}:/run/systemd/system", "container": "pmvm-test"}
    log = open("/var/log/systemd", "wb")
    process = subprocess.Popen(
        ["unshare", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc"]
        + ["/lib/systemd/systemd", "--system", f"--unit={TARGET}", "--log-target=console", "--show-status=no"],
        env=env,
        stdin=subprocess.DEVNULL,
        stdout=log,
        stderr=log,
    )
    children = pathlib.Path(f"/proc/{process.pid}/task/{process.pid}/children")
    wait_until(lambda: children.read_text(encoding="ascii").split(), "the start of systemd")
    part = MANAGER.with_suffix(".part")
    part.write_text(children.read_text(encoding="ascii").split()[0], encoding="ascii")
    part.rename(MANAGER)
    return process


def log_messages():
    """The system's log. Programs fail without one: a handler of DRBD ends when its logger does."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as log, open(MESSAGES, "ab", buffering=0) as f:
        log.bind("/dev/log")
        os.chmod("/dev/log", 0o666)
        while message := log.recv(65536):
            f.write(message.rstrip(b"\0\n") + b"\n")


def follow(path, process):
    """Prints what comes into a file, until the process has ended."""
    offset = 0
    while process.poll() is None:
        try:
            with open(path, "rb") as f:
                f.seek(offset)
                data = f.read()
        except FileNotFoundError:
            data = b""
        offset += len(data)
        sys.stdout.buffer.write(data)
        sys.stdout.buffer.flush()
        time.sleep(0.02)
    sys.exit(f"systemd has ended with {process.returncode}")


def cmd_setup(name, when):
    """Network and disk. Once there is a cluster, it brings the disk up."""
    by_hand.cmd_setup(name, when, HANDLERS, brought_up=when == "first")


def cmd_join(storage):
    """Starts the host's part of the cluster, and prints the console of the machine when it runs here."""
    install_units()
    install_programs()
    install_unit(storage)
    shutil.copy(HERE / "corosync.conf", "/etc/corosync/corosync.conf")
    threading.Thread(target=log_messages, daemon=True).start()
    process = start_systemd()
    follow(CONSOLE, process)


def online():
    return re.search(r"Online: \[ a b \]", crm("crm_mon", "-1", check=False))


def place():
    """The host on which the machine runs, or None."""
    found = re.search(r"is running on: (\w+)", crm("crm_resource", "--resource", "machine", "--locate", check=False))
    return found and found[1]


def cmd_configure(storage):
    """On one host, once. Prints where Pacemaker has started the machine."""
    wait_until(online, lambda: f"both hosts in the cluster\n{report()}")
    text = (HERE / "resources.crm").read_text(encoding="utf-8")
    path = pathlib.Path("/tmp/resources.crm")
    path.write_text(text.replace("@file_system@", FILE_SYSTEM if storage == "file" else ""), encoding="utf-8")
    print(crm("crm", "--force", "configure", "load", "update", path))
    wait_until(place, lambda: f"the start of the machine\n{report()}")
    print(place())


def ready():
    """Both hosts are there, with the same data, and each may take the machine."""
    disks = re.fullmatch(r"Connected UpToDate/UpToDate \w+/\w+", by_hand.states())
    return disks and online() and "drbd-fence-by-handler" not in crm("cibadmin", "-Q", check=False)


def report():
    return "\n".join(
        [by_hand.states(), crm("crm_mon", "-1rf", check=False)]
        + [
            run("tail", "-n", "40", file, check=False)
            for file in (MESSAGES, "/var/log/pacemaker/pacemaker.log", "/var/log/systemd")
        ]
    )


def cmd_ready():
    wait_until(ready, lambda: f"a cluster that can fail over\n{report()}")


def main():
    command, *args = sys.argv[1:]
    if command == "report":
        print(report())
    else:
        {
            "setup": cmd_setup,
            "format": by_hand.cmd_format,
            "join": cmd_join,
            "configure": cmd_configure,
            "ready": cmd_ready,
        }[command](*args)


if __name__ == "__main__":
    main()
