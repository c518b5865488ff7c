"""Podman with pmvm-oci as its runtime: what a user types, and what comes out.

SPDX-License-Identifier: Apache-2.0

With PMVM_OCI_RUNTIME=crun the same is asked of crun: a test that crun fails is wrong.
"""
import hashlib
import json
import os
import re
import subprocess
import time
import urllib.request

import pytest
from podman import IS_OURS, MISSING, detached, engine, machines, remove, wait_for

BUILT = """
FROM localhost/two
RUN uname -r >/release && rm /data/one && mkdir /many && cd /many && for i in 1 2 3; do echo $i >$i; done
USER user
RUN id -u >/tmp/id
CMD cat /release /tmp/id /many/2
"""

pytestmark = [pytest.mark.long, pytest.mark.skipif(bool(MISSING), reason=f"missing: {', '.join(MISSING)}")]


@pytest.fixture(scope="module", name="podman")
def podman_fixture(tmp_path_factory):
    """Podman with the images localhost/base and localhost/two."""
    with engine(tmp_path_factory.mktemp("podman")) as podman:
        yield podman


# ---- run ------------------------------------------------------------------------------------------------------------


def test_statuses(podman):
    assert podman.run("localhost/base", "echo", "out") == "out\n"
    podman.run("localhost/base", "sh", "-c", "exit 7", status=7)
    podman.run("localhost/base", "sh", "-c", "kill -9 $$; sleep 1; exit 3", status=3)  # pid 1 is not killed
    podman.run("localhost/base", "not-there", status=127)
    podman.run("localhost/base", "/etc/passwd", status=126)


def test_it_is_a_machine(podman):
    release = podman.run("localhost/base", "uname", "-r").strip()
    assert (release != os.uname().release) == IS_OURS


def test_streams(podman):
    blob = os.urandom(500_000).hex()
    end = podman.try_(
        *["run", "--rm", "-i", "--network=none", "localhost/base", "sh", "-c", "tee /dev/stderr | sha256sum"],
        input=blob,
    )
    assert end.returncode == 0
    assert end.stdout.split()[0] == hashlib.sha256(blob.encode()).hexdigest()
    assert end.stderr == blob
    assert podman.run("localhost/base", "cat") == ""  # no -i: nothing is to be read


def test_terminal(podman):
    out = podman.run(
        "-t", "localhost/base", "sh", "-c", "tty; stty size; test -t 0 && test -t 1 && test -t 2 && echo all"
    )
    assert out.splitlines()[0] == "/dev/pts/0"
    assert out.splitlines()[-1] == "all"


def test_the_process_is_as_asked_for(podman):
    out = podman.run(
        *["-e", "COLOUR=red green", "-w", "/data", "-u", "user", "--hostname", "box1", "--cap-drop", "all"],
        *["localhost/base", "sh", "-c", 'echo "$COLOUR"; pwd; id; hostname; grep CapEff /proc/self/status; umask'],
    )
    assert out.splitlines() == [
        "red green",
        "/data",
        "uid=1000(user) gid=1000(user) groups=1000(user),2000(extra)",
        "box1",
        "CapEff:\t0000000000000000",
        "0022",
    ]


def test_limits(podman):
    out = podman.run(
        *["--memory=512m", "--cpus=1", "--ulimit=nofile=77:88", "localhost/base"],
        *["sh", "-c", "ulimit -n; nproc; cat /sys/fs/cgroup/memory.max; grep MemTotal /proc/meminfo"],
    )
    lines = out.splitlines()
    assert lines[0] == "77"
    if IS_OURS:
        assert lines[1] == "1"
        total = int(re.search(r"MemTotal: *(\d+)", out)[1])
        assert 400_000 < total < 524_288


def test_out_of_memory(podman):
    podman.run("--memory=256m", "localhost/base", "sh", "-c", "exec tail /dev/zero", status=137)


# ---- files ----------------------------------------------------------------------------------------------------------


def test_volumes(podman, tmp_path):
    (tmp_path / "dir").mkdir()
    (tmp_path / "dir/in").write_text("from the host")
    (tmp_path / "file").write_text("one file")
    (tmp_path / "ro").mkdir()
    script = """
    cat /v/in /f
    echo from the guest >/v/out; chown 5:6 /v/out; ln -s in /v/link; echo more >>/f
    touch /ro/x 2>/dev/null || echo read-only
    grep -q ' /t tmpfs ' /proc/mounts && touch /t/x && echo tmpfs
    touch /x && echo writable
    """
    out = podman.run(
        *["-v", f"{tmp_path}/dir:/v", "-v", f"{tmp_path}/file:/f", "-v", f"{tmp_path}/ro:/ro:ro", "--tmpfs", "/t"],
        *["localhost/base", "sh", "-c", script],
    )
    assert out == "from the hostone fileread-only\ntmpfs\nwritable\n"
    assert (tmp_path / "dir/out").read_text() == "from the guest\n"
    assert (tmp_path / "dir/out").stat().st_uid == 5
    assert os.readlink(tmp_path / "dir/link") == "in"
    assert (tmp_path / "file").read_text() == "one filemore\n"


def test_named_volumes(podman):
    podman.run("-v", "vol:/data", "localhost/base", "sh", "-c", "echo kept >/data/kept")
    assert podman.run("-v", "vol:/data", "localhost/base", "cat", "/data/kept", "/data/greeting") == (
        "kept\nhello from the image\n"
    )
    podman("volume", "rm", "vol")


def test_read_only(podman):
    script = "touch /x 2>/dev/null || echo no; touch /tmp/x && echo tmp; touch /data/x 2>/dev/null || echo no"
    assert podman.run("--read-only", "localhost/base", "sh", "-c", script) == "no\ntmp\nno\n"


def test_layers(podman):
    """Whiteouts, opaque directories, hard links, owners and modes of the image."""
    script = """
    ls /data; ls /data/dir; stat -c '%u %g %a' /data/dir; stat -c %h /data/link
    echo two >>/data/link; cat /data/one /data/link
    """
    out = podman.run("localhost/two", "sh", "-c", script).split("\n")
    assert out[:5] == ["dir", "link", "one", "1000 2000 2750", "2"]
    # A copy up breaks a hard link, as under every overlay without an index.
    assert out[5:] in (["one", "one", "two", ""], ["one", "two", "one", "two", ""])


def test_changes_are_the_engines(podman, tmp_path):
    script = "echo new >/data/new; rm /data/one"
    podman("run", "--name=changed", "--network=none", "localhost/two", "sh", "-c", script)
    try:
        changes = podman("diff", "changed").split("\n")
        assert "A /data/new" in changes and "D /data/one" in changes
        podman("cp", "changed:/data/new", tmp_path / "new")
        assert (tmp_path / "new").read_text() == "new\n"
        podman("commit", "-q", "changed", "localhost/three")
        assert podman.run("localhost/three", "sh", "-c", "cat /data/new; ls /data") == "new\ndir\nlink\nnew\n"
        assert podman("start", "-a", "changed", status=1) == ""  # rm fails: it is gone
    finally:
        remove(podman, "changed")


def test_build(podman, tmp_path):
    (tmp_path / "Containerfile").write_text(BUILT)
    podman("build", "--network=none", "-t", "localhost/built", tmp_path)
    release, *rest = podman.run("localhost/built").split()
    assert rest == ["1000", "2"]
    assert (release != os.uname().release) == IS_OURS
    (tmp_path / "Containerfile").write_text("FROM localhost/two\nRUN exit 9\n")
    end = podman.try_("build", "--network=none", tmp_path)
    assert end.returncode != 0 and "exit status 9" in end.stderr


# ---- a container that runs ------------------------------------------------------------------------------------------


SERVICE = "trap 'echo bye; exit 5' TERM; echo ready; while :; do sleep 1 & wait $!; done"


def test_detached(podman):
    with detached(podman, "--network=none", "localhost/base", "sh", "-c", SERVICE) as container:
        wait_for(lambda: "ready" in podman("logs", container), "ready in the logs")
        assert podman("exec", container, "cat", "/data/greeting") == "hello from the image\n"
        assert podman("exec", "-i", container, "cat", input="through\n") == "through\n"
        podman("exec", container, "sh", "-c", "exit 9", status=9)
        podman("exec", container, "not-there", status=127)
        podman("exec", container, "/etc/passwd", status=126)
        assert podman("exec", "-t", container, "tty").strip() == "/dev/pts/0"
        assert podman(
            "exec", "-u", "user", "-w", "/data", "-e", "A=b", container, "sh", "-c", "id -u; pwd; echo $A"
        ) == ("1000\n/data\nb\n")
        # A child of the shell has its command line until it is `sleep`.
        assert int(podman("exec", container, "sh", "-c", "ps | grep -c '[w]hile :'")) in (1, 2)
        podman("exec", "-d", container, "sh", "-c", "echo later >/data/later")
        wait_for(lambda: podman.try_("exec", container, "cat", "/data/later").stdout == "later\n", "a detached exec")
        assert re.search(r"\d%", podman("stats", "--no-stream", container))
        podman("stop", "-t", "60", container)
        assert podman("wait", container).strip() == "5"
        assert podman("logs", container).split() == ["ready", "bye"]
        podman("start", container)
        wait_for(lambda: podman("logs", container).split()[-1] == "ready", "ready again")
        podman("kill", container)
        assert podman("wait", container).strip() == "137"


def test_copies_into_a_container_that_runs(podman, tmp_path):
    (tmp_path / "file").write_text("copied\n")
    with detached(podman, "--network=none", "localhost/base", "sh", "-c", SERVICE) as container:
        podman("cp", tmp_path / "file", f"{container}:/data/copied")
        assert podman("exec", container, "cat", "/data/copied") == "copied\n"
        podman("exec", container, "sh", "-c", "echo made >/data/made")
        podman("cp", f"{container}:/data/made", tmp_path / "made")
        assert (tmp_path / "made").read_text() == "made\n"
        assert "A /data/made" in podman("diff", container)
        # Of a directory that both have, it is never the host's.
        podman("cp", tmp_path / "file", f"{container}:/etc/pmvm-copied")
        assert not os.path.exists("/etc/pmvm-copied")
        podman("cp", f"{container}:/etc/passwd", tmp_path / "passwd")
        with open("/etc/passwd", encoding="utf-8") as of_the_host:
            assert (tmp_path / "passwd").read_text() != of_the_host.read()


def settled(podman, container):
    """The logs, if they are the same a second later."""
    before = podman("logs", container)
    time.sleep(1)
    return before if podman("logs", container) == before else None


def test_pause(podman):
    with detached(
        podman, "--network=none", "localhost/base", "sh", "-c", "while :; do echo tick; sleep 0.1; done"
    ) as container:
        wait_for(lambda: "tick" in podman("logs", container), "tick")
        podman("pause", container)
        assert podman("inspect", "-f", "{{.State.Status}}", container).strip() == "paused"
        # What was written before is still under way.
        before = wait_for(lambda: settled(podman, container), "no more ticks")
        podman("unpause", container)
        wait_for(lambda: len(podman("logs", container)) > len(before), "more ticks")


def test_top(podman):
    with detached(podman, "--network=none", "localhost/base", "sleep", "1000") as container:
        top = podman.try_("top", container)
        assert top.returncode == 0 and "COMMAND" in top.stdout, top.stderr
        assert "sleep 1000" in podman("top", container, "-o", "pid,args")


# ---- network ------------------------------------------------------------------------------------------


def host_network():
    """The host's interfaces without those of podman's bridge, and its default routes."""
    links = json.loads(subprocess.run(["ip", "-j", "link"], capture_output=True, check=True).stdout)
    names = [link["ifname"] for link in links]
    routes = subprocess.run(["ip", "route", "show", "default"], capture_output=True, check=True, text=True).stdout
    return sorted(name for name in names if not re.match("veth|podman|cni", name)), routes


def test_no_network(podman):
    assert podman.run("localhost/base", "sh", "-c", "ls /sys/class/net; ip -o addr show | grep -c inet") in (
        "lo\n2\n",
        "lo\n1\n",
    )


def test_bridge(podman):
    serve = "mkdir /www && echo served >/www/page && exec httpd -f -p 80 -h /www"
    with detached(podman, "-p", "127.0.0.1:18080:80", "localhost/base", "sh", "-c", serve) as container:
        settings = "{{.NetworkSettings.IPAddress}} {{.NetworkSettings.Gateway}} {{.NetworkSettings.MacAddress}}"
        address, gateway, mac = podman("inspect", "-f", settings, container).split()
        shown = podman("exec", container, "sh", "-c", "ip addr show dev eth0; ip route")
        assert f"inet {address}/16" in shown and f"default via {gateway}" in shown and mac in shown
        podman("exec", container, "ping", "-c", "1", "-W", "20", gateway)
        for place in (f"http://{address}:80", "http://127.0.0.1:18080"):
            with urllib.request.urlopen(f"{place}/page", timeout=60) as reply:
                assert reply.read() == b"served\n"
        hosts = podman("exec", container, "cat", "/etc/hosts")
        assert address in hosts
        # Two containers of the same network reach each other.
        assert podman("run", "--rm", "localhost/base", "wget", "-q", "-O", "-", f"http://{address}/page") == "served\n"


def test_a_network_that_is_made_between_create_and_start(podman, tmp_path):
    """In the namespace of the pid that the engine knows: podman does so for a user namespace, and buildah always."""
    before = host_network()
    (tmp_path / "Containerfile").write_text(
        "FROM localhost/base\nRUN ip -4 -o addr show eth0 >/shown && ip route >>/shown && mkdir -p /run/kept\n"
    )
    podman("build", "-t", "localhost/networked", tmp_path)
    shown = podman.run("localhost/networked", "cat", "/shown")
    assert " inet 10." in shown and "default via 10." in shown
    show = ["ip", "-4", "-o", "addr", "show", "eth0"]
    assert " inet 10." in podman("run", "--rm", "--uidmap=0:100000:1000", "localhost/networked", *show)
    assert host_network() == before


def test_host_network_is_refused(podman):
    if not IS_OURS:
        pytest.skip("crun has it")
    end = podman.try_("run", "--rm", "--network=host", "localhost/base", "true")
    assert end.returncode in (125, 126)
    assert "host" in end.stderr and "network" in end.stderr


def test_a_second_container_in_a_network_is_refused(podman):
    if not IS_OURS:
        pytest.skip("crun has it")
    with detached(podman, "localhost/base", "sleep", "1000") as container:
        end = podman.try_("run", "--rm", f"--network=container:{container}", "localhost/base", "true")
        assert end.returncode != 0 and "not supported" in end.stderr
        podman("exec", container, "true")


# ---- layers ------------------------------------------------------------------------------------------


def test_two_containers_share_layers(podman):
    if not IS_OURS:
        pytest.skip("crun has no layers of its own")
    with detached(podman, "--network=none", "localhost/two", "sleep", "1000") as first:
        with detached(podman, "--network=none", "localhost/base", "sleep", "1000") as second:
            listed = subprocess.run(
                [podman.runtime, "layers", "list", "--format", "json"], check=True, capture_output=True, text=True
            ).stdout
            users = [sorted(row["containers"]) for row in json.loads(listed) if row["containers"]]
            assert sorted(users, key=len) == [[first], [first], sorted([first, second])], listed
            # The text of a program is a mapping of the device: nothing of it is in the guest's page cache.
            for container in first, second:
                smaps = podman("exec", container, "cat", "/proc/self/smaps")
                text = smaps[: smaps.index("VmFlags")]
                assert "busybox" in text and re.search(r"^Rss: +0 kB", text, re.MULTILINE), text


# ---- a container that is changed while it runs -----------------------------------------------------------------------


def test_restart_and_signals(podman):
    with detached(podman, "--network=none", "localhost/base", "sh", "-c", SERVICE) as container:
        wait_for(lambda: podman("logs", container) == "ready\n", "ready in the logs")
        podman("exec", container, "touch", "/data/before")
        podman("restart", "-t", "60", container)
        wait_for(lambda: podman("logs", container) == "ready\nbye\nready\n", "the restart in the logs")
        podman("exec", container, "ls", "/data/before")
        podman("kill", "-s", "TERM", container)
        assert podman("wait", container).strip() == "5"
        assert podman("inspect", "-f", "{{.State.Status}} {{.State.ExitCode}}", container) == "exited 5\n"


def test_stats_and_commit_of_one_that_runs(podman):
    with detached(podman, "--network=none", "--memory=512m", "localhost/base", "sh", "-c", SERVICE) as container:
        row = podman("stats", "--no-stream", "--format", "{{.MemUsage}} {{.PIDs}}", container).split()
        # podman reads the control group on the host: that of the machine.
        assert row[0] != "0B" and int(row[-1]) > 0, row
        podman("exec", container, "sh", "-c", "echo kept >/data/kept; sync")
        podman("commit", "-q", container, "localhost/four")
        assert podman.run("localhost/four", "cat", "/data/kept") == "kept\n"
        assert podman("exec", container, "cat", "/data/kept") == "kept\n"
    podman("rmi", "localhost/four")


def test_removal_by_force_ends_exec(podman):
    with detached(podman, "--network=none", "localhost/base", "sleep", "1000") as container:
        podman("exec", "-d", container, "sleep", "1000")
        remove(podman, container)
        assert container[:12] not in podman("ps", "-a", "-q")
        wait_for(lambda: not machines(), "the end of the machine")
