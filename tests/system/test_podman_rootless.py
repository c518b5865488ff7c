"""Podman of a user who is not root, with pmvm-oci as its runtime.

SPDX-License-Identifier: Apache-2.0

With PMVM_OCI_RUNTIME=crun the same is asked of crun: a test that crun fails is wrong.
"""
import os
import re

import pytest
from podman import IS_OURS, detached, machines, wait_for
from podman_user import KVM_GID, MISSING, SUBIDS, UID, user_engine

pytestmark = [pytest.mark.long, pytest.mark.skipif(bool(MISSING), reason=f"missing: {', '.join(MISSING)}")]
SERVICE = "trap 'echo bye; exit 5' TERM; echo ready; while :; do sleep 1 & wait $!; done"


@pytest.fixture(scope="module", name="podman")
def podman_fixture():
    """Podman with the images localhost/base and localhost/two."""
    with user_engine() as podman:
        yield podman


def owner(podman, path):
    return podman.user("stat", "-c", "%u %g", path).strip()


# ---- run ------------------------------------------------------------------------------------------------------------


def test_statuses_and_streams(podman):
    assert podman.run("localhost/base", "echo", "out") == "out\n"
    assert podman.run("-i", "localhost/base", "sh", "-c", "cat; exit 7", status=7, input="through") == "through"
    podman.run("localhost/base", "not-there", status=127)
    release = podman.run("localhost/base", "uname", "-r").strip()
    assert (release != os.uname().release) == IS_OURS


def test_no_process_of_it_is_the_hosts_root(podman):
    with detached(podman, "--network=none", "localhost/base", "sh", "-c", SERVICE) as container:
        pid = podman("inspect", "-f", "{{.State.Pid}}", container).strip()
        pids = {pid}
        while (
            more := {
                line.split()[0]
                for line in podman.user("ps", "-e", "-o", "pid=,ppid=", as_root=True).splitlines()
                if line.split()[1] in pids
            }
            - pids
        ):
            pids |= more
        assert len(pids) > 2 or not IS_OURS, "keeper, pmvm, virtiofsd"
        for pid in pids:
            for line in podman.user("grep", "-E", "^(Uid|Gid):", f"/proc/{pid}/status", as_root=True).splitlines():
                assert set(line.split()[1:]) == {str(UID)}, line
        assert podman("exec", container, "cat", "/data/greeting") == "hello from the image\n"
        podman("exec", container, "sh", "-c", "exit 9", status=9)
        wait_for(lambda: podman("logs", container) == "ready\n", "ready in the logs")
        podman("stop", "-t", "60", container)
        assert podman("wait", container).strip() == "5"
        assert podman("logs", container) == "ready\nbye\n"


# ---- files ----------------------------------------------------------------------------------------------------------


def test_layers(podman):
    """Whiteouts, opaque directories, hard links, owners: of the user namespace, with attributes user.overlay.*."""
    script = """
    ls /data; ls /data/dir; stat -c '%u %g %a' /data/dir; stat -c %h /data/link
    grep ' / overlay ' /proc/mounts | grep -c userxattr
    """
    out = podman.run("localhost/two", "sh", "-c", script).split("\n")
    assert out[:5] == ["dir", "link", "one", "1000 2000 2750", "2"]
    assert out[5] == "1"
    if IS_OURS:
        # A directory that is not shared as a whole: there are images of both layers.
        listed = podman.user(podman.runtime, "layers", "list")
        assert listed.count(str(podman.folder)) == 3, listed
        assert podman.user("ls", ".local/share/pmvm/layers").count(".erofs\n") == 3


def test_changes_are_the_engines(podman):
    script = "echo new >/data/new; chown 5:6 /data/new; rm /data/one; rm -r /data/dir; mkdir /data/dir"
    podman("run", "--name=changed", "--network=none", "localhost/two", "sh", "-c", script)
    changes = podman("diff", "changed").split("\n")
    assert "A /data/new" in changes and "D /data/one" in changes
    podman("commit", "-q", "changed", "localhost/three")
    out = podman.run("localhost/three", "sh", "-c", "cat /data/new; stat -c '%u %g' /data/new; ls /data; ls /data/dir")
    assert out == "new\n5 6\ndir\nlink\nnew\n"
    podman("rm", "changed")


def test_a_bind_mount(podman):
    podman.user("sh", "-c", "mkdir -p volume && echo from the host >volume/in")
    script = "cat /v/in; stat -c %u /v/in; echo from the guest >/v/out; touch /v/user; chown 1000:1000 /v/user"
    out = podman.run("-v", f"{podman.user.home}/volume:/v", "localhost/base", "sh", "-c", script)
    assert out == "from the host\n0\n"
    assert podman.user("cat", "volume/out") == "from the guest\n"
    assert owner(podman, "volume/out") == f"{UID} {UID}"
    assert owner(podman, "volume/user") == f"{SUBIDS + 999} {SUBIDS + 999}"
    assert podman.run("-v", "named:/data", "localhost/base", "cat", "/data/greeting") == "hello from the image\n"
    podman("volume", "rm", "named")


def test_what_is_the_hosts_roots_stays_so(podman):
    """A bind mount gives what the user has, and no more."""
    podman.user("sh", "-c", "mkdir -p secret && echo secret >secret/file && chmod 600 secret/file")
    podman.user("chown", "-R", "0:0", podman.user.home / "secret", as_root=True)
    podman.user("chmod", "755", podman.user.home / "secret", as_root=True)
    out = podman.run(
        "-v",
        f"{podman.user.home}/secret:/v",
        "localhost/base",
        "sh",
        "-c",
        "cat /v/file || echo no; echo >/v/x || echo no",
    )
    assert out == "no\nno\n"


def test_build(podman):
    """buildah gives it the /sys of the host, and fills its network after create."""
    text = "FROM localhost/two\nRUN uname -r >/release && ip addr show dev tap0 && test -d /sys/kernel\n"
    podman.user("sh", "-c", "mkdir -p build && cat >build/Containerfile", input=text)
    assert "inet 10.0.2.100/24" in podman("build", "-t", "localhost/built", "build")
    assert (podman.run("localhost/built", "cat", "/release").strip() != os.uname().release) == IS_OURS


# ---- network --------------------------------------------------------------------------------------------------------


def test_slirp4netns(podman):
    """The machine has the address of tap0, and its connections reach the user's host by the gateway."""
    with detached(
        podman, "--network=slirp4netns:allow_host_loopback=true", "localhost/base", "sleep", "1000"
    ) as container:
        shown = podman("exec", container, "sh", "-c", "ip addr show dev tap0; ip route")
        assert "inet 10.0.2.100/24" in shown and "default via 10.0.2.2" in shown
        podman("exec", container, "ping", "-c", "1", "-W", "20", "10.0.2.2")


def test_a_user_namespace_of_the_container(podman):
    """Its root is another user than that of the engine; the network is filled after create."""
    keep = ["--userns=keep-id", "--network=slirp4netns", "localhost/base", "sh", "-c"]
    script = "id -u; cat /proc/self/uid_map | wc -l; ip addr show dev tap0; touch /made && stat -c '%u made' /made"
    shown = podman("run", "--rm", "-u=0", *keep, script)
    assert shown.startswith("0\n3\n") and "inet 10.0.2.100/24" in shown and "\n0 made\n" in shown, shown
    assert podman("run", "--rm", *keep, "id -u; touch /made 2>/dev/null || echo no").split() == [str(UID), "no"]


# ---- what cannot be -------------------------------------------------------------------------------------------------


def test_a_limit_needs_a_control_group(podman):
    end = podman.try_("run", "--rm", "--network=none", "--memory=512m", "localhost/base", "true")
    assert end.returncode != 0 and "memory.max" in end.stderr, end.stderr


def test_without_the_devices(podman):
    if not IS_OURS:
        pytest.skip("crun needs none")
    podman.user.groups = ()
    try:
        end = podman.try_("run", "--rm", "--network=none", "localhost/base", "true")
    finally:
        podman.user.groups = (KVM_GID,)
    assert end.returncode != 0 and re.search("/dev/(kvm|vhost-vsock)", end.stderr), end.stderr


def test_nothing_is_left(podman):
    podman.run("localhost/base", "true")
    assert not machines()
    assert podman.user("ls", "-A", "run/pmvm-oci") == "" if IS_OURS else True
