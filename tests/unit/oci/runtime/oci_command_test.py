#!/usr/bin/python3
"""The command line of pmvm-oci, as far as it needs no machine: what it refuses, state, locks, list, kill and delete.

SPDX-License-Identifier: Apache-2.0

Usage: oci_command_test.py PMVM_OCI

A container is a directory that is written here, and its keeper a process that sleeps, or a thread that answers
requests. Prints TAP.
"""
import contextlib
import fcntl
import json
import os
import pathlib
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import threading
import traceback

PROGRAM = pathlib.Path(sys.argv[1]).resolve()
TIMEOUT = 60


class Runtime:
    """Calls the program with a root of its own, and an empty environment."""

    def __init__(self, folder):
        self.folder = folder
        self.root = folder / "root"

    def __call__(self, *args, status=0, cwd=None, glob=()):
        done = subprocess.run(
            [PROGRAM, "--root", self.root, *glob, *args], capture_output=True, text=True, timeout=TIMEOUT, check=False,
            stdin=subprocess.DEVNULL, env={}, cwd=cwd or self.folder,
        )  # fmt: skip
        assert done.returncode == status, (done.returncode, done.stdout, done.stderr)
        return done.stderr if status else done.stdout

    def container(self, name, pid, status="running", start_time=None, **more):
        """A container with this process; by default with its own start time."""
        place = self.root / name
        place.mkdir(parents=True)
        if start_time is None:
            start_time = int(pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19])
        state = {
            "ociVersion": "1.0.2", "id": name, "pid": pid, "status": status, "bundle": "/bundle", "rootfs": "/rootfs",
            "created": "2026-01-01T00:00:00.000000Z", "owner": "root", "annotations": {"a": "b"},
            "pidStartTime": start_time, **more,
        }  # fmt: skip
        (place / "state.json").write_text(json.dumps(state))
        return place


@contextlib.contextmanager
def sleeper():
    with subprocess.Popen(["/bin/sleep", "600"]) as process:
        try:
            yield process
        finally:
            process.kill()


def processes_of(run):
    """The pids of the program's processes that work with this root."""
    found = []
    for entry in pathlib.Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if str(run.root).encode() in (entry / "cmdline").read_bytes():
                found.append(entry.name)
    return found


class Keeper:
    """Answers requests on the control socket of a container, and keeps them; with `holds`, the connections as well."""

    def __init__(self, place, answer=None, holds=False):
        self.requests = []
        self.held = [] if holds else None
        self.answer = answer or {"ok": {}}
        self.listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.listener.bind(str(place / "control"))
        self.listener.listen()
        threading.Thread(target=self.serve, daemon=True).start()

    def serve(self):
        while True:
            client, _ = self.listener.accept()
            if self.held is not None:
                self.held.append(client.dup())
            with client, client.makefile("rwb") as stream:
                (length,) = struct.unpack("<I", stream.read(4))
                self.requests.append(json.loads(stream.read(length)))
                text = json.dumps(self.answer).encode()
                stream.write(struct.pack("<I", len(text)) + text)
                stream.flush()


def test_version_names_the_specification(run):
    lines = run("--version").splitlines()
    assert lines[0].startswith("pmvm-oci version ") and lines[1] == "spec: 1.0.2", lines
    assert run(glob=["-v"]).splitlines() == lines


def test_help_lists_each_verb(run):
    text = run("--help")
    verbs = "create start state kill delete exec ps list run pause resume update events features spec layers".split()
    for verb in verbs:
        assert f"\n  {verb} " in text, verb
        assert f"] {verb} [OPTIONS]" in run(verb, "--help"), verb


def test_unknown_verbs_and_options_name_the_nearest(run):
    assert "no verb 'strat': did you mean start?" in run("strat", status=1)
    assert "unknown option --forse: did you mean --force?" in run("delete", "--forse", "x", status=1)
    assert "unknown option --rot" in run(status=1, glob=["--rot", "/x", "list"])
    assert "unknown option -z" in run("list", "-z", status=1)
    assert "--format: needs a value" in run("list", "--format", status=1)
    assert "an operand is missing: usage: pmvm-oci state [OPTIONS] ID" in run("state", status=1)
    assert "too many operands" in run("state", "a", "b", status=1)
    assert "neither true nor false" in run("delete", "--force=maybe", "x", status=1)


def test_what_a_machine_cannot_do_is_refused_by_name(run):
    assert "checkpoint: not supported: CRIU" in run("checkpoint", "--image-path", "/x", "c", status=1)
    assert "restore: not supported: CRIU" in run("restore", "c", status=1)
    assert "--preserve-fds 2: not supported" in run("create", "--preserve-fds", "2", "c", status=1)
    assert "spec --rootless: not supported" in run("spec", "--rootless", status=1)


def test_global_values_are_checked(run):
    assert "--log-format xml: neither" in run("list", status=1, glob=["--log-format", "xml"])
    assert "--cgroup-manager x: not one of" in run("list", status=1, glob=["--cgroup-manager", "x"])
    assert "--rootless maybe: not one of" in run("list", status=1, glob=["--rootless", "maybe"])
    assert "--root here: not an absolute path" in run("list", status=1, glob=["--root", "here"])
    assert "--log /nowhere/log: No such file" in run("list", status=1, glob=["--log", "/nowhere/log"])


def test_ids_that_are_no_names_are_refused(run):
    for name in ["", "..", ".x", "a/b", "../x", "a b", "x" * 201, "é"]:
        assert "invalid container id" in run("state", name, status=1), name
        assert "invalid container id" in run("delete", "--force", name, status=1), name


def test_one_that_was_never_made(run):
    for verb in ["state", "start", "kill", "delete", "pause", "resume", "ps", "events"]:
        assert "container 'x' does not exist" in run(verb, "x", status=1), verb
    assert "container 'x' does not exist" in run("exec", "x", "true", status=255)
    assert "container 'x' does not exist" in run("update", "--pids-limit", "5", "x", status=1)
    assert run("delete", "--force", "x") == ""
    assert run("list", "-q") == "" and run("list", "-f", "json") == "[]\n"
    assert not run.root.exists(), list(run.root.iterdir())


def test_errors_go_to_the_log(run):
    log = run.folder / "log"
    run("state", "x", status=1, glob=["--log", log, "--log-format", "json"])
    run("state", "y\n\x1b", status=1, glob=["--log", log, "--log-format=json"])
    first, second = [json.loads(line) for line in log.read_text().splitlines()]
    assert first["level"] == "error" and first["msg"] == "container 'x' does not exist", first
    assert first["time"].endswith("Z") and "T" in first["time"], first
    assert "invalid container id 'y  '" in second["msg"], second
    text = run.folder / "text"
    run("state", "x", status=1, glob=["--log", text])
    assert text.read_text().endswith(" error: container 'x' does not exist\n"), text.read_text()


def test_state_and_list_of_a_container(run):
    with sleeper() as process:
        run.container("c1", process.pid, "paused")
        state = json.loads(run("state", "c1"))
        assert state == {
            "ociVersion": "1.0.2", "id": "c1", "pid": process.pid, "status": "paused", "bundle": "/bundle",
            "rootfs": "/rootfs", "created": "2026-01-01T00:00:00.000000Z", "owner": "root", "annotations": {"a": "b"},
        }, state  # fmt: skip
        assert json.loads(run("list", "--format", "json")) == [state]
        run.container("a", process.pid)
        assert run("list", "-q") == "a\nc1\n"
        head, *rows = [line.split() for line in run("list").splitlines()]
        assert head == ["ID", "PID", "STATUS", "BUNDLE", "CREATED", "OWNER"], head
        assert rows[1][:4] == ["c1", str(process.pid), "paused", "/bundle"], rows


def test_a_container_is_stopped_without_its_process(run):
    with sleeper() as process:
        run.container("reused", process.pid, start_time=1)
        run.container("zombie", process.pid)
        assert json.loads(run("state", "reused"))["status"] == "stopped"
        assert json.loads(run("state", "zombie"))["status"] == "running"
        process.kill()
        os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
        state = json.loads(run("state", "zombie"))
        assert (state["status"], state["pid"]) == ("stopped", 0), state
    for verb in ["kill", "delete"]:
        wanted = 1 if verb == "kill" else 0
        for name in ["reused", "zombie"]:
            assert run(verb, name, status=wanted) == ("pmvm-oci: container not running\n" if wanted else "")
    assert list(run.root.iterdir()) == []


def test_damaged_state_is_an_error_and_can_be_deleted(run):
    for text in ["", "{}", "[]", '{"id": 1', '{"status": "odd"}']:
        place = run.root / "c"
        place.mkdir(parents=True)
        (place / "state.json").write_text(text)
        assert str(place) in run("state", "c", status=1)
        run("delete", "c", status=1)
        assert run("list", "-q") == ""
        run("delete", "--force", "c")
        assert list(run.root.iterdir()) == []


def test_delete_leaves_what_runs(run):
    with sleeper() as process:
        run.container("c", process.pid)
        assert "cannot delete container 'c' that is not stopped: running" in run("delete", "c", status=1)
        assert process.poll() is None and (run.root / "c").exists()


def test_delete_by_force_ends_the_process(run):
    with sleeper() as process:
        place = run.container("c", process.pid)
        outside = run.folder / "outside"
        outside.mkdir()
        (outside / "file").write_text("x")
        (place / "link").symlink_to(outside)
        (place / "sub/sub").mkdir(parents=True)
        # Our child: it stays a zombie until it is waited for.
        assert run("delete", "--force", "c") == ""
        assert process.wait(TIMEOUT) == -signal.SIGKILL
    assert list(run.root.iterdir()) == [] and (outside / "file").exists()


def test_delete_ends_what_was_only_created(run):
    with sleeper() as process:
        run.container("c", process.pid, "created")
        run("delete", "c")
        assert process.wait(TIMEOUT) == -signal.SIGKILL


def test_delete_of_all_that_match(run):
    with sleeper() as first, sleeper() as second, sleeper() as other:
        for name, process in {"test-1": first, "a-test-2": second, "other": other}.items():
            run.container(name, process.pid)
        assert "'(' is no regular expression" in run("delete", "--regex", "(", status=1)
        assert "that is not stopped: running" in run("delete", "--regex", "^test-", status=1)
        run("delete", "--force", "--regex", "test-[0-9]+$")
        assert first.wait(TIMEOUT) == second.wait(TIMEOUT) == -signal.SIGKILL
        assert other.poll() is None and run("list", "--quiet") == "other\n"
        run("delete", "--regex", "none")


def test_delete_removes_what_has_no_state(run):
    (run.root / "c").mkdir(parents=True)
    assert "does not exist" in run("delete", "c", status=1)
    run("delete", "--force", "c")
    assert list(run.root.iterdir()) == []


def test_kill_without_keeper(run):
    with sleeper() as process:
        run.container("c", process.pid)
        assert "container not running" in run("kill", "c", "TERM", status=1)
        assert process.poll() is None
        run("kill", "c", "KILL")
        assert process.wait(TIMEOUT) == -signal.SIGKILL


def test_kill_names_and_numbers(run):
    with sleeper() as process:
        keeper = Keeper(run.container("c", process.pid))
        words = {"TERM": 15, "sigusr1": 10, "SIGHUP": 1, "9": 9, "64": 64, "RTMIN+1": 35, "SIGRTMAX-1": 63}
        for word in words:
            run("kill", "c", word)
        run("kill", "--all", "c")
        wanted = [{"do": "kill", "signal": number, "all": False} for number in words.values()]
        assert keeper.requests == [*wanted, {"do": "kill", "signal": 15, "all": True}], keeper.requests
        for word in ["0", "65", "-1", "NONE", "SIG", "", "RTMIN+99"]:
            assert f"unknown signal '{word}'" in run("kill", "--", "c", word, status=1), word


def test_start_wants_a_created_container(run):
    with sleeper() as process:
        keeper = Keeper(run.container("c", process.pid, "created"))
        run("start", "c")
        assert keeper.requests == [{"do": "start"}], keeper.requests
        run.container("r", process.pid, "running")
        assert "cannot start container 'r': it is running, not created" in run("start", "r", status=1)
        assert "cannot pause container 'c': it is created, not running" in run("pause", "c", status=1)
        assert "cannot exec in container 'p': it is paused" in (
            run.container("p", process.pid, "paused") and run("exec", "p", "true", status=255)
        )


def test_an_error_of_the_keeper_is_the_error_of_the_verb(run):
    with sleeper() as process:
        Keeper(run.container("c", process.pid, "created"), {"error": "the guest says no"})
        assert "the guest says no" in run("start", "c", status=1)


def test_exec_that_cannot_write_its_pid_leaves_no_session(run):
    with sleeper() as process:
        place = run.container("c", process.pid)
        keeper = Keeper(place, holds=True)
        (place / "config.json").write_text(json.dumps({"process": {"cwd": "/", "args": ["x"]}}))
        error = run("exec", "--detach", "--pid-file", "/nowhere/pid", "c", "true", status=255)
        assert "--pid-file /nowhere/pid: No such file" in error, error
        assert [request["do"] for request in keeper.requests] == ["exec"], keeper.requests
        assert processes_of(run) == []


def test_ps_and_events_print_what_the_guest_says(run):
    with sleeper() as process:
        Keeper(run.container("c", process.pid), {"ok": {"pids": [1, 7], "cpu": {"usage": 5}, "pmem": [{"size": 8}]}})
        assert run("ps", "--format", "json", "c") == "[1,7]\n"
        assert run("ps", "c", "-ef") == "PID\n1\n7\n"
        event = json.loads(run("events", "--stats", "c"))
        assert event["type"] == "stats" and event["id"] == "c" and event["data"]["cpu"] == {"usage": 5}, event
        assert event["pmem"] == [{"size": 8}] and "pmem" not in event["data"], event


def test_update_sends_the_resources(run):
    with sleeper() as process:
        keeper = Keeper(run.container("c", process.pid))
        file = run.folder / "resources"
        file.write_text('{"memory": {"limit": 1048576}}')
        run("update", "--resources", file, "c")
        run("update", "--memory", "64M", "--cpu-quota=-1", "--cpuset-cpus", "0-1", "c")
        assert [request["resources"] for request in keeper.requests] == [
            {"memory": {"limit": 1048576}},
            {"memory": {"limit": 67108864}, "cpu": {"quota": -1}},  # its CPUs are those of the host
        ], keeper.requests
        assert "no limit is given" in run("update", "c", status=1)
        assert "--memory x: not a number" in run("update", "--memory", "x", "c", status=1)


def test_poststop_hooks_get_the_state(run):
    place = run.container("c", 1, start_time=1)
    said, hook = run.folder / "said", run.folder / "hook"
    hook.write_text(f'#!/bin/sh\n/bin/cat >{said}\necho "$1 $NAME" >>{said}\n')
    hook.chmod(0o755)
    hooks = {"poststop": [
        {"path": str(hook), "args": ["hook", "one"], "env": ["NAME=two"]},
        {"path": "/bin/sleep", "args": ["sleep", "600"], "timeout": 1},
    ]}  # fmt: skip
    (place / "config.json").write_text(json.dumps({"hooks": hooks}))
    done = subprocess.run(
        [PROGRAM, "--root", run.root, "delete", "c"], capture_output=True, text=True, timeout=TIMEOUT, check=True
    )
    assert "warning: poststop hook /bin/sleep: it did not end within 1 s" in done.stderr, done.stderr
    text, words = said.read_text().rsplit("}", 1)
    assert json.loads(text + "}")["status"] == "stopped" and words.split() == ["one", "two"], (text, words)
    assert list(run.root.iterdir()) == []


def test_one_command_at_a_time(run):
    run.container("c", 1, start_time=1)
    lock = open(run.root / ".c.lock", "w")
    fcntl.flock(lock, fcntl.LOCK_EX)
    with subprocess.Popen([PROGRAM, "--root", run.root, "delete", "c"]) as waiting:
        # It neither deletes nor fails while another command has the lock.
        try:
            waiting.wait(1)
            raise AssertionError("it did not wait")
        except subprocess.TimeoutExpired:
            pass
        assert (run.root / "c").exists()
        lock.close()
        assert waiting.wait(TIMEOUT) == 0
    assert list(run.root.iterdir()) == []


def test_spec_writes_a_configuration_once(run):
    run("spec")
    config = json.loads((run.folder / "config.json").read_text())
    assert config["ociVersion"] == "1.0.2" and config["process"]["args"] == ["sh"], config
    assert "config.json exists: remove it first" in run("spec", status=1)
    other = run.folder / "other"
    other.mkdir()
    run("spec", "--bundle", other)
    assert json.loads((other / "config.json").read_text()) == config


def test_features_are_those_of_the_specification(run):
    features = json.loads(run("features"))
    assert features["ociVersionMin"] == "1.0.0" and features["linux"]["cgroup"]["v2"] is True, features
    assert "poststop" in features["hooks"], features


def test_settings_are_read_and_checked(run):
    file = run.folder / "conf"
    for text, wanted in {
        "kernal = /x": "conf:1: no setting 'kernal': did you mean kernel?",
        "\n# a comment\nkernel = x": "conf:3: kernel: 'x' is not an absolute path",
        "memory = lots": "conf:1: memory: 'lots' is not a size",
        "cpus = 0": "conf:1: cpus: '0' is not a number from 1",
        "share-layers = some": "conf:1: share-layers: 'some' is not one of all, same-owner, never",
        "kernel": "conf:1: 'kernel' is not of the form name = value",
    }.items():
        file.write_text(text)
        error = run("layers", status=1, glob=["--config", file])
        assert wanted in error, error
    assert "/none: No such file" in run("layers", status=1, glob=["--config", "/none"])
    file.write_text(f" layer-cache = {run.folder}/cache \nmemory=1G\nshare-layers = never\n\n")
    run("layers", glob=["--config", file])


def test_layers_say_which_containers_use_them(run):
    cache, conf = run.folder / "cache", run.folder / "conf"
    cache.mkdir()
    conf.write_text(f"layer-cache = {cache}\nshare-layers = never\n")
    base, own = cache / "base.erofs", cache / "top@container-c.erofs"
    for image in base, own:
        image.write_bytes(b"x")
    with sleeper() as process:
        run.container("c", process.pid, "created", layers=[str(own), str(base)])
        run.container("d", process.pid, layers=[str(base)])
        run.container("ended", process.pid, start_time=1, layers=[str(base)])
        listed = json.loads(run("layers", "--format", "json", glob=["--config", conf]))
        assert [(row["path"], row["containers"]) for row in listed] == [(str(base), ["c", "d"]), (str(own), ["c"])]
        table = run("layers", glob=["--config", conf])
        assert [line.split() for line in table.splitlines() if "used by" in line] == [
            ["used", "by", name] for name in "cdc"
        ], table
    # With share-layers=never the end of a container is that of its images.
    run("delete", "--force", "c", glob=["--config", conf])
    assert base.exists() and not own.exists()


def test_what_leaks_in_does_not_stay(run):
    """A create that fails leaves nothing, and no process has the descriptor of an engine."""
    (run.folder / "config.json").write_text("{}")
    reader, writer = os.pipe()
    done = subprocess.run(
        [PROGRAM, "--root", run.root, "create", "c"], pass_fds=[writer], capture_output=True, text=True, check=False,
        cwd=run.folder, timeout=TIMEOUT,
    )  # fmt: skip
    os.close(writer)
    assert done.returncode == 1 and done.stderr.startswith("pmvm-oci: "), done
    assert os.read(reader, 1) == b""
    os.close(reader)
    assert not run.root.exists() or list(run.root.iterdir()) == [], list(run.root.iterdir())


def test_root_of_a_user_namespace_has_places_of_the_user(run):
    """As podman makes one: its root is an ordinary user outside."""
    if subprocess.run(["unshare", "-Urm", "true"], check=False, capture_output=True).returncode:
        print("# SKIPPED: no user namespace can be made")
        return
    home, runtime_dir = run.folder / "home", run.folder / "run"
    (home / ".config/pmvm").mkdir(parents=True)
    Runtime(runtime_dir).container("c", os.getpid())
    (runtime_dir / "root").rename(runtime_dir / "pmvm-oci")
    (run.folder / "passwd").write_text(f"me:x:{os.geteuid()}:{os.getegid()}::{home}:/bin/sh\n")

    def as_user(*args, status=0):
        script = 'mount --bind passwd /etc/passwd; exec "$@"'
        done = subprocess.run(
            ["unshare", "-Urm", "sh", "-c", script, "sh", PROGRAM, *args], cwd=run.folder, timeout=TIMEOUT, check=False,
            env={"XDG_RUNTIME_DIR": str(runtime_dir)}, capture_output=True, text=True,
        )  # fmt: skip
        assert done.returncode == status, done
        return done.stderr if status else done.stdout

    assert as_user("list", "-q") == "c\n"
    cache = home / ".local/share/pmvm/layers"
    cache.mkdir(parents=True)
    (cache / "key.tmp").write_text("left by a crash")
    as_user("layers", "prune")
    assert not list(cache.iterdir())
    (home / ".config/pmvm/oci.conf").write_text("machine-uid = 1000\n")
    assert "machine-uid: not supported without root" in as_user("layers", "list", status=1)


TESTS = [value for name, value in list(globals().items()) if name.startswith("test_")]


def main():
    failed = 0
    for number, test in enumerate(TESTS, 1):
        with tempfile.TemporaryDirectory() as folder:
            try:
                test(Runtime(pathlib.Path(folder)))
                print(f"ok {number} - {test.__name__[5:]}")
            except Exception:  # pylint: disable=broad-exception-caught
                failed += 1
                print(f"not ok {number} - {test.__name__[5:]}")
                print("\n".join(f"# {line}" for line in traceback.format_exc().splitlines()))
    print(f"1..{len(TESTS)}")
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
