"""Podman as a user who is not root: in a mount namespace that has the user, the devices as udev has them, and a disk.

SPDX-License-Identifier: Apache-2.0
"""
import contextlib
import os
import pathlib
import shutil
import subprocess
import tempfile

import oci_engine
import oci_runtime
import pytest
from oci_engine import IS_OURS
from podman import CONF, TWO_LAYERS, Podman, base_tar, find, machines, remove

NAME = "pmvm-tester"
UID = 14123
KVM_GID = 14124
SUBIDS = 300000
# The home is on ext4: a tmpfs of Linux 6.1 has no attributes user.*, which overlayfs needs in a user namespace.
SETUP = """
set -e
mount --make-rprivate /
mount -t tmpfs -o mode=755 none {dir}
mkdir {dir}/upper {dir}/work {dir}/dev {dir}/home
truncate -s 3G {dir}/disk
/sbin/mkfs.ext4 -q {dir}/disk
mount -o loop {dir}/disk {dir}/home
mkdir -m 700 {dir}/home/run
chown -R {uid}:{uid} {dir}/home
mount -t overlay -o lowerdir=/etc,upperdir={dir}/upper,workdir={dir}/work none /etc
echo '{name}:x:{uid}:{uid}::{dir}/home:/bin/sh' >>/etc/passwd
echo '{name}:x:{uid}:' >>/etc/group
echo '{name}:{subids}:65536' | tee /etc/subuid >/etc/subgid
# As udev has them.
while read -r device major minor group mode; do
    mknod {dir}/dev/"${{device##*/}}" c "$major" "$minor"
    chown 0:"$group" {dir}/dev/"${{device##*/}}"
    chmod "$mode" {dir}/dev/"${{device##*/}}"
    mount --bind {dir}/dev/"${{device##*/}}" /dev/"$device"
done <<END
{devices}
END
echo ready
exec cat
"""
DEVICES = {"kvm": (KVM_GID, 660), "vhost-vsock": (KVM_GID, 660), "vhost-net": (KVM_GID, 660), "net/tun": (0, 666)}


def missing():
    """What is not there that the tests need; empty: nothing."""
    return [
        name for name in ("podman", "conmon", "crun", "newuidmap", "slirp4netns") if not find(name)
    ] + oci_engine.missing()


MISSING = missing()


def device_lines():
    """The devices that this host has, for SETUP."""
    for device, (group, mode) in DEVICES.items():
        with contextlib.suppress(OSError):
            number = os.stat(f"/dev/{device}").st_rdev
            yield f"{device} {os.major(number)} {os.minor(number)} {group} {mode}"


class User:
    """An ordinary user, who exists in a mount namespace alone."""

    def __init__(self, directory, groups=(KVM_GID,)):
        place = directory / "user"
        place.mkdir()
        self.home = place / "home"
        self.groups = groups
        script = SETUP.format(dir=place, uid=UID, name=NAME, subids=SUBIDS, devices="\n".join(device_lines()))
        self.process = subprocess.Popen(
            ["unshare", "--mount", "sh", "-c", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        assert self.process.stdout.readline() == "ready\n"

    def command(self, *args, env=None, as_root=False):
        """The command line of a program that this user runs; as_root: that root runs where the user is."""
        variables = {"HOME": self.home, "XDG_RUNTIME_DIR": self.home / "run", "PATH": os.defpath + ":/usr/sbin:/sbin"}
        groups = ",".join(map(str, (UID, *self.groups)))
        become = [] if as_root else ["setpriv", f"--reuid={UID}", f"--regid={UID}", f"--groups={groups}"]
        return [
            *["nsenter", f"--mount=/proc/{self.process.pid}/ns/mnt", *become, "env", "-i", "-C", self.home],
            *[f"{name}={value}" for name, value in (variables | (env or {})).items()],
            *map(str, args),
        ]

    def __call__(self, *args, status=0, env=None, as_root=False, **more):
        """Runs a program; returns what it printed."""
        end = subprocess.run(
            self.command(*args, env=env, as_root=as_root),
            capture_output=True,
            text=True,
            check=False,
            timeout=300,
            **more,
        )
        assert end.returncode == status, f"{args}: status {end.returncode}: {end.stdout[-2000:]}{end.stderr[-4000:]}"
        return end.stdout

    def close(self):
        self.process.communicate(timeout=60)


class UserPodman(Podman):
    """podman(1) as this user calls it."""

    def __init__(self, user, runtime):  # pylint: disable=super-init-not-called  # its files are those of the test
        self.user = user
        self.runtime = runtime
        self.folder = user.home / "engine"
        text = CONF.format(runtime=runtime)
        user("sh", "-c", "mkdir engine && cat >engine/containers.conf", input=text)
        self.conf = self.folder / "containers.conf"

    def command(self, *args):
        settings = ["--root", self.folder / "root", "--runroot", self.folder / "run", "--tmpdir", self.folder / "tmp"]
        return self.user.command(
            *["podman", "--log-level=error", "--storage-driver=overlay", *settings, *args],
            env={"CONTAINERS_CONF": self.conf},
        )


@contextlib.contextmanager
def user_engine():
    """Podman of an ordinary user with the images localhost/base and localhost/two. No machine may be left."""
    if IS_OURS and (why := oci_runtime.why_not()):
        pytest.skip(why)
    directory = pathlib.Path(tempfile.mkdtemp(prefix="pmvm-user-"))
    directory.chmod(0o755)
    user = User(directory)
    try:
        podman = UserPodman(user, oci_engine.RUNTIME or oci_engine.installed(directory / "pmvm"))
        base_tar(directory / "base.tar")
        podman("import", directory / "base.tar", "localhost/base")
        (directory / "Containerfile").write_text(TWO_LAYERS)
        podman(
            "--runtime=crun", "build", "--network=none", "-t", "localhost/two", "-f", directory / "Containerfile", "."
        )
        yield podman
        remove(podman, "-a")
        assert not machines(), "machines are left"
    finally:
        user.close()
        shutil.rmtree(directory, ignore_errors=True)
