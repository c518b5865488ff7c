"""pmvm-metrics and pmvm-top with a real machine: its flushes, its process, its end; and with a real Prometheus.

SPDX-License-Identifier: Apache-2.0
"""
import contextlib
import json
import shutil
import signal
import socket
import subprocess
import sys
import urllib.request

import pytest

from machine import COMMAND_MAX, CHECKOUT, END_MAX, Guest, near, pmem, wait_until

sys.path[:0] = [str(CHECKOUT / "tests/unit/watch")]
import exposition_check
from terminal import Program

METRICS, TOP = CHECKOUT / "build/pmvm-metrics", CHECKOUT / "build/pmvm-top"
TOOLS = CHECKOUT / "build/tools/prometheus/usr/bin"
PATIENCE = "200"  # seconds that a machine may take to answer

needs_metrics = pytest.mark.skipif(not METRICS.exists(), reason="pmvm-metrics is not built: no libmicrohttpd")
needs_top = pytest.mark.skipif(not TOP.exists(), reason="pmvm-top is not built: no ncurses")
needs_prometheus = pytest.mark.skipif(
    not (TOOLS / "prometheus").exists(), reason="Prometheus is not there: run tests/foreign-tools"
)


@pytest.fixture(name="guest", scope="module")
def fixture_guest(tmp_path_factory):
    """A guest with a file system on persistent memory. Its monitor is in a directory of sockets."""
    directory = tmp_path_factory.mktemp("watch")
    monitor = ["-qmp", f"unix:{directory}/web.qmp,server=on,wait=off", "-name", "guest=web"]
    with Guest(*pmem(directory / "a.img", size="64M"), *monitor) as guest:
        guest.directory = directory
        guest.run("mkfs.ext4 -q -b 4096 /dev/pmem0 && mkdir /a && mount -o dax /dev/pmem0 /a && dax-tool fsync /a/f 1")
        yield guest
        assert guest.power_off() == 0


@contextlib.contextmanager
def flushing(guest):
    """The guest flushes all the time."""
    guest.run("while :; do dax-tool fsync /a/f 20; done >/dev/null 2>&1 & echo $! >/pid")
    yield
    guest.run("kill $(cat /pid)")


def run(program, *options, **more):
    command = [near(program), *map(str, options)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=COMMAND_MAX, check=False, **more)
    assert done.returncode == 0, done.stderr
    return done.stdout


def metrics(guest, patience=PATIENCE):
    return exposition_check.read(run(METRICS, "--directory", guest.directory, "--timeout", patience), "text")


@needs_metrics
def test_flushes_are_counted(guest):
    before = metrics(guest)
    guest.run("dax-tool fsync /a/f 50")
    after = metrics(guest)
    device = {"machine": "web", "device": "nv1"}
    for name in [
        "pmvm_pmem_flushes_requested_total",
        "pmvm_pmem_flushes_completed_total",
        "pmvm_pmem_syncs_total",
        "pmvm_pmem_sync_duration_seconds_count",
    ]:
        assert after.value(name, **device) - before.value(name, **device) >= 50, name
    assert after.value("pmvm_pmem_sync_duration_seconds_sum", **device) > 0
    assert after.value("pmvm_pmem_size_bytes", **device) == 64 << 20
    assert 0 < after.value("pmvm_pmem_resident_bytes", **device) <= 64 << 20
    assert 0 < after.value("pmvm_pmem_allocated_bytes", **device)
    assert after.value("pmvm_pmem_state", pmvm_pmem_state="ok", **device) == 1
    assert after.value("pmvm_pmem_info", path=str(guest.directory / "a.img"), **device) == 1


@needs_metrics
def test_the_machine_and_its_process(guest):
    found = metrics(guest)
    assert found.value("pmvm_up", machine="web") == 1 and found.value("pmvm_machine_info", name="web") == 1
    assert found.value("pmvm_run_state", pmvm_run_state="running") == 1
    assert found.value("pmvm_memory_bytes") == 256 << 20 and found.value("pmvm_vcpus") == 1
    assert found.value("pmvm_vcpu_cpu_seconds_total", vcpu="0") > 0
    assert found.value("pmvm_process_cpu_seconds_total") > 0
    assert found.value("pmvm_process_resident_memory_bytes") > 1 << 20
    assert len(found.values_of("pmvm_sandbox_mode")) == 3 and found.values_of("pmvm_sandbox_system_calls")
    assert found.value("pmvm_vcpu_exits_total", vcpu="0") > 0
    assert found.value("pmvm_vcpu_exits_by_reason_total", vcpu="0", reason="halt") > 0


@needs_metrics
def test_a_machine_that_hangs_or_has_ended_is_down(guest):
    guest.process.send_signal(signal.SIGSTOP)
    try:
        assert metrics(guest, "1").values_of("pmvm_up") == [0]
    finally:
        guest.process.send_signal(signal.SIGCONT)
    assert metrics(guest).values_of("pmvm_up") == [1]
    guest.run("true")


@needs_top
def test_top_has_the_rates(guest):
    def device():
        options = ["--directory", guest.directory, "--once", "--json", "--interval", "2", "--timeout", PATIENCE]
        (found,) = json.loads(run(TOP, *options))["machines"]
        assert found["name"] == "web" and found["up"] and found["state"] == "running", found
        assert found["memory_bytes"] == 256 << 20 and found["cpus_used"] >= 0, found
        return found["devices"][0]

    with flushing(guest):
        busy = wait_until(
            lambda: next((found for found in [device()] if found["flushes_per_second"] > 0), None), "flushes are shown"
        )
    assert busy["name"] == "nv1" and busy["flushes"] >= busy["syncs"] > 0 and busy["sync_errors"] == 0
    assert 0 < busy["sync_p50_seconds"] <= busy["sync_p99_seconds"]
    assert "running" in run(TOP, "--directory", guest.directory, "--once", "--interval", "0.1", "--timeout", PATIENCE)


@needs_top
def test_top_on_a_terminal(guest):
    options = ["--directory", guest.directory, "--interval", "1", "--timeout", PATIENCE]
    with flushing(guest), Program(near(TOP), *options, rows=24, columns=80) as program:

        def shows_rate(lines):
            words = next((line.split() for line in lines if line.startswith("  nv1")), [])
            return len(words) > 4 and words[1] == "ok" and words[2] not in ("-", "0.0") and words[4] != "-"

        program.wait_for(lambda lines: "1 of 1 machines up" in lines[0] and shows_rate(lines), "flushes are shown")
        program.resize(40, 132)
        program.wait_for(lambda lines: len(lines[1]) > 110 and shows_rate(lines), "a larger screen")
        program.type("q")
        assert program.end() == 0


@pytest.mark.long
@needs_metrics
@needs_prometheus
def test_prometheus_scrapes(guest, tmp_path):
    """promtool has nothing to say about the text; Prometheus has the values, and its rules are good."""
    text = run(METRICS, "--directory", guest.directory, "--timeout", PATIENCE)
    assert run(TOOLS / "promtool", "check", "metrics", input=text) == ""
    rules = shutil.copy(CHECKOUT / "dist/prometheus/pmvm-alerts.yml", tmp_path)
    run(TOOLS / "promtool", "check", "rules", rules)
    with socket.create_server(("127.0.0.1", 0)) as first, socket.create_server(("127.0.0.1", 0)) as second:
        own, server = (f"127.0.0.1:{each.getsockname()[1]}" for each in (first, second))
    scrape = {"job_name": "pmvm", "static_configs": [{"targets": [own]}]}
    interval = {"scrape_interval": "1s", "scrape_timeout": "1s", "evaluation_interval": "1s"}
    # JSON is YAML.
    (tmp_path / "prometheus.yml").write_text(
        json.dumps({"global": interval, "scrape_configs": [scrape], "rule_files": [str(rules)]})
    )
    with contextlib.ExitStack() as stack:
        for program, *words in [
            (METRICS, "--directory", guest.directory, "--listen", own),
            (TOOLS / "prometheus", f"--config.file={tmp_path}/prometheus.yml", f"--web.listen-address={server}",
             f"--storage.tsdb.path={tmp_path}/data", "--log.level=warn"),
        ]:  # fmt: skip
            process = stack.enter_context(subprocess.Popen([near(program), *map(str, words)]))
            stack.callback(process.wait, END_MAX)
            stack.callback(process.terminate)

        def value(query):
            with contextlib.suppress(OSError):
                with urllib.request.urlopen(
                    f"http://{server}/api/v1/query?query={query}", timeout=COMMAND_MAX
                ) as answer:
                    found = json.load(answer)["data"]["result"]
                    return float(found[0]["value"][1]) if found else None
            return None

        wait_until(lambda: value("pmvm_up") == 1, "Prometheus has scraped")
        before = value("pmvm_pmem_flushes_completed_total")
        guest.run("dax-tool fsync /a/f 50")
        wait_until(lambda: (value("pmvm_pmem_flushes_completed_total") or 0) >= before + 50, "it has the flushes")
        assert value("pmvm_pmem_sync_duration_seconds_count") > 0
