#!/usr/bin/python3
"""pmvm-metrics with monitors that answer, hang, lie or die; what it prints is read strictly.

SPDX-License-Identifier: Apache-2.0

Usage: metrics_test.py PMVM_METRICS

Prints TAP.
"""
import contextlib
import http.client
import os
import pathlib
import signal
import socket
import subprocess
import sys
import time

import exposition_check
from fake_qmp import GREETING, FakeMonitor, answering, answers, line, pmem_info, sending
from tap_main import main

PROGRAM = pathlib.Path(sys.argv[1]).resolve() if len(sys.argv) > 1 else None
RUN_MAX = 300  # seconds for what a program does by itself
PATIENCE = "100"  # seconds that a good monitor may take
IMPATIENCE = "10"  # seconds, where bad ones are: the test waits for so long

STATUS_ONLY = {"qmp_capabilities": {}, "query-status": {"status": "paused", "running": False}}


def run(*options, status=0):
    done = subprocess.run(
        [PROGRAM, *map(str, options)], capture_output=True, text=True, timeout=RUN_MAX, check=False,
        stdin=subprocess.DEVNULL,
    )  # fmt: skip
    assert done.returncode == status, (done.returncode, done.stderr)
    return done


def metrics_of(*options, kind="text"):
    more = ["--openmetrics"] if kind == "openmetrics" else []
    return exposition_check.read(run("--timeout", PATIENCE, *options, *more).stdout, kind)


def everything(folder):
    """Every value of every query is there, in both formats."""
    pmem = pmem_info(counts=[4, 3, 0, 2], syncs=pmem_info(counts=[4, 3, 0, 2])["syncs"] | {"in-flight-ns": 250_000_000})
    with FakeMonitor(folder / "web.qmp", answering(answers(pmem), pieces=7)):
        for kind in "text", "openmetrics":
            got = metrics_of("--directory", folder, kind=kind)
            device = {"machine": "web", "device": "nv1"}
            assert got.value("pmvm_up", machine="web") == 1 and got.value("pmvm_machines") == 1
            assert got.value("pmvm_build_info", machine="web", version="1.2.3") == 1
            assert got.value("pmvm_machine_info", machine="web", name="a guest") == 1
            assert got.value("pmvm_run_state", machine="web", pmvm_run_state="running") == 1
            assert got.value("pmvm_run_state", machine="web", pmvm_run_state="io-error") == 0
            assert got.value("pmvm_memory_bytes") == 256 << 20 and got.value("pmvm_plugged_memory_bytes") == 64 << 20
            assert got.value("pmvm_balloon_memory_bytes") == 200 << 20
            assert got.value("pmvm_vcpus") == 2 and got.value("pmvm_vcpu_bus_locks_total", vcpu="1") == 6
            assert got.values_of("pmvm_vcpu_notify_exits_total") == [2, 2]
            assert got.values_of("pmvm_vcpu_exits_total") == [100, 101]
            assert got.value("pmvm_vcpu_exits_by_reason_total", vcpu="1", reason="io") == 17
            # A value of another shape than a number is left out.
            assert got.values_of("pmvm_vcpu_exits_by_reason_total") == [17, 17]
            assert got.value("pmvm_pmem_size_bytes", **device) == 64 << 20
            assert got.value("pmvm_pmem_resident_bytes", **device) == 16 << 20
            assert got.value("pmvm_pmem_allocated_bytes", **device) == 32 << 20
            assert got.value("pmvm_pmem_flushes_requested_total", **device) == 11
            assert got.value("pmvm_pmem_flushes_completed_total", **device) == 10
            assert got.value("pmvm_pmem_flushes_failed_total", **device) == 1
            assert got.value("pmvm_pmem_syncs_total", **device) == 9
            assert got.value("pmvm_pmem_sync_errors_total", **device) == 1
            assert got.value("pmvm_pmem_sync_duration_max_seconds", **device) == 1.5
            assert got.value("pmvm_pmem_sync_in_flight_seconds", **device) == 0.25
            assert got.value("pmvm_pmem_interrupts_total", **device) == 7
            assert got.value("pmvm_pmem_refused_stores_total", **device) == 3
            assert got.value("pmvm_pmem_state", pmvm_pmem_state="ok", **device) == 1
            assert got.value("pmvm_pmem_info", path="/images/nv1.img", share="true", readonly="false", **device) == 1
            assert got.value("pmvm_pmem_sync_duration_seconds_sum", **device) == 2.5
            assert got.value("pmvm_pmem_sync_duration_seconds_count", **device) == 9
            assert got.value("pmvm_pmem_sync_duration_seconds_bucket", le="1.024e-06", **device) == 4
            assert got.value("pmvm_pmem_sync_duration_seconds_bucket", le="4.096e-06", **device) == 7
            assert got.value("pmvm_net_info", device="card", netdev="n0", type="tap") == 1
            assert got.value("pmvm_net_link_up", device="card") == 1
            assert got.value("pmvm_vhost_user_connected", device="disk") == 1
            assert got.value("pmvm_vhost_user_state", device="disk", pmvm_vhost_user_state="idle") == 1
            assert got.value("pmvm_sandbox_mode", pmvm_sandbox_mode="on") == 1
            assert got.value("pmvm_sandbox_landlock_version") == 2
            assert got.value("pmvm_sandbox_empty_root") == 0 and got.value("pmvm_sandbox_no_new_privileges") == 1
            assert got.value("pmvm_sandbox_namespace", namespace="net") == 1
            assert got.value("pmvm_sandbox_namespace", namespace="ipc") == 0
            assert got.value("pmvm_sandbox_system_calls", thread="vcpu") == 9


def failed_device(folder):
    error = {"errno": 5, "message": "Input/output error", "time": 1_700_000_000}
    with FakeMonitor(folder / "web.qmp", answering(answers(pmem_info(state="failed", error=error)))):
        got = metrics_of("--directory", folder)
    assert got.value("pmvm_pmem_state", pmvm_pmem_state="failed") == 1
    assert got.value("pmvm_pmem_state", pmvm_pmem_state="ok") == 0
    assert got.value("pmvm_pmem_error_errno") == 5
    assert got.value("pmvm_pmem_error_timestamp_seconds") == 1_700_000_000


def few_commands(folder):
    """A monitor that knows query-status only is up, and has no other metrics."""
    with FakeMonitor(folder / "old.qmp", answering(STATUS_ONLY)):
        got = metrics_of("--directory", folder)
    assert got.value("pmvm_up") == 1 and got.value("pmvm_run_state", pmvm_run_state="paused") == 1
    assert not [name for name in got.names() if name.startswith(("pmvm_pmem", "pmvm_sandbox", "pmvm_balloon"))]


BAD = {
    "silent": sending(),
    "garbage": sending(b"\x00\xff\x7f garbage\n"),
    "not-qmp": sending(line([1, 2, 3])),
    "no-greeting": sending(line({"return": {}})),
    "half": sending(line(GREETING), b'{"return": {"status": "run'),
    "dies": sending(line(GREETING), b'{"return": [', then="hang up"),
    "hangs-up": sending(then="hang up"),
    "huge": sending(line(GREETING), b'{"return": "' + b"x" * (5 << 20)),
    "tokens": sending(line(GREETING), b'{"return": [' + b"{}," * (1 << 18)),
    "deep": sending(line(GREETING), b"[" * 100),
    "events": sending(line(GREETING), line({"event": "RESUME"}) * 1000, then="repeat"),
    "not-utf-8": sending(line(GREETING), b'{"return": {"status": "\xff"}, "id": 0}\r\n'),
    "no-status": answering({"qmp_capabilities": {}}),
}


def bad_monitors(folder):
    """None of them keeps the others from being asked, and a good machine beside them is up."""
    with contextlib.ExitStack() as stack:
        for name, serve in BAD.items():
            stack.enter_context(FakeMonitor(folder / f"{name}.qmp", serve))
        stack.enter_context(FakeMonitor(folder / "good.qmp", answering(answers(pmem_info()))))
        # Nobody accepts: its queue is full, then a connection waits.
        full = stack.enter_context(contextlib.closing(socket.socket(socket.AF_UNIX)))
        full.bind(str(folder / "full.qmp"))
        full.listen(0)
        for _ in range(2):
            waits = stack.enter_context(contextlib.closing(socket.socket(socket.AF_UNIX)))
            waits.setblocking(False)
            with contextlib.suppress(BlockingIOError):
                waits.connect(str(folder / "full.qmp"))
        # Nobody listens any more.
        with contextlib.closing(socket.socket(socket.AF_UNIX)) as left:
            left.bind(str(folder / "left.qmp"))
        done = run("--timeout", IMPATIENCE, "--directory", folder)
    got = exposition_check.read(done.stdout, "text")
    ups = {name: got.value("pmvm_up", machine=name) for name in [*BAD, "good", "full", "left"]}
    assert ups == dict.fromkeys([*BAD, "full", "left"], 0) | {"good": 1}, (ups, done.stderr)
    assert got.value("pmvm_pmem_state", machine="good", device="nv1", pmvm_pmem_state="ok") == 1
    for name in ups:
        assert (f"machine {name}: " in done.stderr) == (name != "good"), done.stderr
    for name, why in {"silent": "no answer in 10000 ms", "dies": "hung up", "left": "Connection refused",
                      "not-qmp": "not QMP", "no-status": "no status"}.items():  # fmt: skip
        assert why in next(text for text in done.stderr.splitlines() if f"machine {name}:" in text), done.stderr


def limits(folder):
    """A message that is too long, or has too many values, is read no further."""
    for name in "huge", "tokens":
        with FakeMonitor(folder / f"{name}.qmp", BAD[name]):
            done = run("--timeout", PATIENCE, "--directory", folder)
        (folder / f"{name}.qmp").unlink()
        assert f"machine {name}: " in done.stderr and "a message has more than" in done.stderr, done.stderr


def wrong_shapes(folder):
    """Answers of every wrong type are no metrics, and the text stays valid."""
    names = [name for name in answers() if name not in ("qmp_capabilities", "query-status")]
    wrong = [None, True, -1, 1.5, (1 << 64) - 1, "text", [], {}, [None], [[]], [1, "a"], [{}], {"threads": [{}]}]
    odd = [
        pmem_info(size="many", resident=-5, flushes=[], syncs=1, state=7, share="yes", error="none"),
        pmem_info("b", syncs={"histogram": [{"count": 1}, {"count": 2}], "total-ns": 1}),
        pmem_info("c", syncs={"histogram": [{"below-ns": 5, "count": 1}] * 3, "total-ns": 1}),
        pmem_info("d", syncs={"histogram": [{"count": 1}] * 1000, "total-ns": 1}),
        pmem_info("e", state="new", werror=None),
    ]
    with contextlib.ExitStack() as stack:
        for number, value in enumerate(wrong):
            serve = answering(STATUS_ONLY | dict.fromkeys(names, value))
            stack.enter_context(FakeMonitor(folder / f"w{number}.qmp", serve))
        stack.enter_context(FakeMonitor(folder / "odd.qmp", answering(answers(*odd))))
        got = metrics_of("--directory", folder)
    assert got.values_of("pmvm_up") == [1] * (len(wrong) + 1)
    assert got.values_of("pmvm_pmem_state", device="e") == [0, 0, 0]
    assert not got.values_of("pmvm_pmem_size_bytes", device="nv1")
    # Of e alone.
    assert len(got.values_of("pmvm_pmem_sync_duration_seconds_count")) == 1


def hostile_labels(folder):
    """Quotes, backslashes and line ends are escaped; a name that is there twice is taken once; long ones are cut."""
    odd = 'a"b\\c\nd{}=,'
    long_one = "\u00e4" * 400
    pmems = [pmem_info(odd), pmem_info("twice"), pmem_info("twice"), pmem_info(long_one), pmem_info(long_one + "2")]
    values = answers(*pmems) | {"query-name": {"name": odd}}
    with FakeMonitor(folder / "m.qmp", answering(values)):
        for kind in "text", "openmetrics":
            got = metrics_of("--directory", folder, kind=kind)
            assert got.value("pmvm_pmem_size_bytes", device=odd) == 64 << 20
            assert len(got.values_of("pmvm_pmem_size_bytes", device="twice")) == 1
            assert len(got.values_of("pmvm_pmem_size_bytes")) == 3
            assert got.value("pmvm_machine_info", name=odd) == 1
            assert got.value("pmvm_pmem_info", device="twice", path="/images/twice.img") == 1


def finding_machines(folder):
    """NAME.qmp and NAME/qmp of the directory, and what --machine names; other files are none."""
    (folder / "service").mkdir()
    (folder / "file.qmp").write_text("no socket")
    (folder / "empty").mkdir()
    with contextlib.ExitStack() as stack:
        for path in "a.qmp", "service/qmp", "other", "name with spaces.qmp", ".qmp":
            stack.enter_context(FakeMonitor(folder / path, answering(STATUS_ONLY)))
        options = ["--directory", folder, "--machine", f"given={folder / 'other'}", "--machine", "gone=/nonexistent/q"]
        got = metrics_of(*options)
        names = sorted(labels["machine"] for _, labels, _ in got["pmvm_up"].samples)
        assert names == ["a", "given", "gone", "service"], names
        assert got.value("pmvm_directory_readable", directory=str(folder)) == 1
        assert metrics_of("--machine", f"x={folder / 'other'}").values_of("pmvm_directory_readable") == []
    assert metrics_of("--directory", folder / "nowhere").value("pmvm_machines") == 0
    assert metrics_of("--directory", folder / "file.qmp").value("pmvm_directory_readable") == 0


def wrong_options(_folder):
    for options, text in [
        (["--machine", "name"], "'name' is not NAME=PATH (hint: for example"),
        (["--machine", "=path"], "'=path' is not NAME=PATH"),
        (["--machine", "a b=path"], "printable ASCII"),
        (["--machine", "a=x", "--machine", "a=y"], "machine 'a' is given twice"),
        (["--timeout", "0"], "--timeout: '0' is no number of seconds"),
        (["--timeout", "nan"], "--timeout: 'nan' is no number of seconds"),
        (["--interval", "5"], "--interval is of --textfile"),
        (["--listen", "nowhere"], "'nowhere' is no address (hint: unix:PATH"),
        (["--listen", "::1:80"], "'::1:80' is no address"),
        (["--listen", "unix:/nonexistent/dir/socket"], "--listen unix:/nonexistent/dir/socket: "),
        (["--textfile", "/nonexistent/dir/x.prom"], "/nonexistent/dir/x.prom.tmp: No such file or directory"),
        (["more"], "'more' is no option"),
        (["--nonsense"], "see pmvm-metrics --help"),
    ]:
        done = run(*options, status=1)
        assert text in done.stderr and not done.stdout, (options, done.stderr)
    assert "--listen ADDRESS" in run("--help").stdout
    assert run("--version").stdout.startswith("pmvm-metrics ")


def textfile(folder):
    """The file is replaced as a whole, is readable by all, and leaves no other file."""
    (folder / "out").mkdir()
    path = folder / "out/pmvm.prom"
    path.write_text("older\n")
    with open(path, encoding="utf-8") as before, FakeMonitor(folder / "m.qmp", answering(answers(pmem_info()))):
        run("--directory", folder, "--textfile", path)
        assert before.read() == "older\n"
        assert exposition_check.read(path.read_text(), "text").value("pmvm_up") == 1
        assert path.stat().st_mode & 0o777 == 0o644 and list(path.parent.iterdir()) == [path]

    def ups():
        return exposition_check.read(path.read_text(), "text").values_of("pmvm_up")

    options = ["--directory", folder, "--timeout", PATIENCE, "--textfile", path, "--interval", "0.1"]
    with subprocess.Popen([PROGRAM, *map(str, options)], stderr=subprocess.DEVNULL) as process:
        wait_for(lambda: ups() == [0], "the machine is down")
        (folder / "m.qmp").unlink()
        with FakeMonitor(folder / "m.qmp", answering(answers(pmem_info()))):
            wait_for(lambda: ups() == [1], "it is back")
        process.send_signal(signal.SIGTERM)
        assert process.wait(RUN_MAX) == 0


def wait_for(condition, what):
    end = time.monotonic() + RUN_MAX
    while not condition():
        assert time.monotonic() < end, f"{what}: not so in {RUN_MAX} s"
        time.sleep(0.05)


class UnixHttp(http.client.HTTPConnection):
    """HTTP over a Unix socket."""

    def __init__(self, path):
        super().__init__("localhost", timeout=RUN_MAX)
        self.path = str(path)

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(RUN_MAX)
        self.sock.connect(self.path)


def ask(connection, method="GET", url="/metrics", body=None, **headers):
    with contextlib.closing(connection):
        connection.request(method, url, body, headers)
        answer = connection.getresponse()
        return answer.status, answer.headers, answer.read().decode()


@contextlib.contextmanager
def server(folder, address):
    options = ["--directory", folder, "--timeout", PATIENCE, "--listen", address]
    with subprocess.Popen([PROGRAM, *map(str, options)], stderr=subprocess.PIPE, text=True) as process:
        try:
            yield process
        finally:
            process.terminate()
            assert process.wait(RUN_MAX) == 0, process.stderr.read()


def is_there(connect):
    with contextlib.suppress(OSError):
        connect().close()
        return True
    return False


def over_unix(folder):
    """Both formats, other methods and paths, and clients that say nothing."""
    path = folder / "http"
    with contextlib.closing(socket.socket(socket.AF_UNIX)) as left:
        left.bind(str(path))

    def connect():
        connection = UnixHttp(path)
        connection.connect()
        return connection

    with FakeMonitor(folder / "m.qmp", answering(answers(pmem_info()))), server(folder, f"unix:{path}"):
        wait_for(lambda: is_there(connect), "the server listens")
        with contextlib.ExitStack() as stack:
            for _ in range(4):
                stack.enter_context(contextlib.closing(connect()))
            status, headers, text = ask(UnixHttp(path))
            assert status == 200 and headers["Content-Type"] == "text/plain; version=0.0.4; charset=utf-8"
            assert exposition_check.read(text, "text").value("pmvm_up") == 1
            accept = "application/openmetrics-text;version=1.0.0;q=0.8,text/plain;version=0.0.4;q=0.2"
            status, headers, text = ask(UnixHttp(path), Accept=accept)
            assert headers["Content-Type"].startswith("application/openmetrics-text; version=1.0.0")
            assert exposition_check.read(text, "openmetrics").value("pmvm_up") == 1
            assert ask(UnixHttp(path), "HEAD")[::2] == (200, "")
            assert ask(UnixHttp(path), url="/")[0] == 404
            for method in "POST", "PUT", "DELETE":
                status, headers, _ = ask(UnixHttp(path), method)
                assert status == 405 and headers["Allow"] == "GET, HEAD"
        # The path is in use.
        assert "Address already in use" in run("--listen", f"unix:{path}", status=1).stderr
    assert not path.exists()


def over_tcp(folder):
    # An address of the loopback network that no other test has.
    host = f"127.{1 + os.getpid() % 250}.{os.getpid() // 250 % 250}.7"
    with contextlib.closing(socket.socket()) as free:
        free.bind((host, 0))
        port = free.getsockname()[1]
    with FakeMonitor(folder / "m.qmp", answering(answers(pmem_info()))), server(folder, f"{host}:{port}"):
        wait_for(lambda: is_there(lambda: socket.create_connection((host, port), RUN_MAX)), "it listens")
        _, _, text = ask(http.client.HTTPConnection(host, port, timeout=RUN_MAX))
        assert exposition_check.read(text, "text").value("pmvm_up") == 1


if __name__ == "__main__":
    main(
        [
            everything,
            failed_device,
            few_commands,
            bad_monitors,
            limits,
            wrong_shapes,
            hostile_labels,
            finding_machines,
            wrong_options,
            textfile,
            over_unix,
            over_tcp,
        ]
    )
