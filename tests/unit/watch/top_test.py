#!/usr/bin/python3
"""pmvm-top with monitors whose counters rise: rates, order, filter, and what a terminal shows.

SPDX-License-Identifier: Apache-2.0

Usage: top_test.py PMVM_TOP PMVM

Prints TAP.
"""
import contextlib
import json
import pathlib
import shutil
import subprocess
import sys

from fake_qmp import FakeMonitor, answering, answers, pmem_info, sending
from tap_main import main
from terminal import Program

PROGRAM, PMVM = (pathlib.Path(word).resolve() for word in sys.argv[1:3]) if len(sys.argv) > 2 else (None, None)
RUN_MAX = 300  # seconds
PATIENCE = "100"  # seconds that a monitor may take


def run(*options, status=0, **environment):
    done = subprocess.run(
        [PROGRAM, *map(str, options)], capture_output=True, text=True, timeout=RUN_MAX, check=False,
        stdin=subprocess.DEVNULL, env={"LC_ALL": "C", **environment},
    )  # fmt: skip
    assert done.returncode == status, (done.returncode, done.stdout, done.stderr)
    return done


def top(folder, *options):
    done = run("--directory", folder, "--json", "--interval", "0.1", "--timeout", PATIENCE, *options)
    return json.loads(done.stdout)["machines"]


def rising(name, step, **members):
    """A device that has `step` more syncs each time: half of them below 2048 ns, half below 4096 ns."""
    return lambda number: pmem_info(name, [0, step // 2 * number, step // 2 * number], **members)


def machine(*devices):
    """Serves the devices; each is a function of the number of the sample, from 1 on."""
    count = 0

    def values():
        nonlocal count
        count += 1
        return answers(*(device(count) for device in devices))

    return answering(values)


@contextlib.contextmanager
def machines(folder, **serves):
    with contextlib.ExitStack() as stack:
        for name, serve in serves.items():
            stack.enter_context(FakeMonitor(folder / f"{name}.qmp", serve))
        yield


def rates(folder):
    """They are those between the two samples, and so are the quantiles."""
    with machines(folder, web=machine(rising("nv1", 100), rising("idle", 0)), down=sending(then="hang up")):
        down, web = top(folder)
    assert down == {"name": "down", "up": False, "error": "the monitor hung up"}
    idle, busy = web.pop("devices")
    interval = web.pop("interval_seconds")
    assert interval > 0
    assert web == {
        "name": "web",
        "up": True,
        "state": "running",
        "cpus_used": None,
        "memory_bytes": 256 << 20,
        "vcpus": 2,
    }
    assert abs(busy["flushes_per_second"] * interval - 100) < 0.1, (busy, interval)
    assert abs(busy["syncs_per_second"] * interval - 100) < 0.1, (busy, interval)
    assert abs(busy["sync_p50_seconds"] - 2048e-9) < 1e-12 and 4000e-9 < busy["sync_p99_seconds"] < 4096e-9
    assert (busy["name"], busy["state"], busy["sync_errors"], busy["syncs"]) == ("nv1", "ok", 1, 200)
    assert (busy["resident_bytes"], busy["allocated_bytes"]) == (16 << 20, 32 << 20)
    assert (idle["flushes_per_second"], idle["sync_p50_seconds"], idle["sync_p99_seconds"]) == (0, None, None)


def one_sample_has_no_rates(folder):
    """A machine that was down before, or a device that is new."""
    first = iter([True])

    def serve(client, ended):
        good = machine(rising("nv1", 10))
        (sending(then="hang up") if next(first, False) else good)(client, ended)

    added = iter([[], [pmem_info("new", [5])]])
    with machines(folder, late=serve, plugs=answering(lambda: answers(*next(added)))):
        late, plugs = top(folder)
    assert late["up"] and late["interval_seconds"] is None
    assert late["devices"][0]["flushes_per_second"] is None and late["devices"][0]["syncs"] == 10
    assert plugs["devices"][0]["flushes_per_second"] is None and plugs["devices"][0]["sync_p50_seconds"] is None


def a_reset_counter_begins_at_zero(folder):
    values = iter([[pmem_info("nv1", [50, 50])], [pmem_info("nv1", [4, 0])]])
    with machines(folder, web=answering(lambda: answers(*next(values)))):
        (web,) = top(folder)
    device = web["devices"][0]
    assert abs(device["syncs_per_second"] * web["interval_seconds"] - 4) < 0.1
    assert device["sync_p99_seconds"] < 1024e-9


def sorts(folder):
    serves = {
        "a": machine(rising("x", 10, resident=1), rising("y", 30, resident=3)),
        "b": machine(rising("z", 20, resident=9)),
        "c": machine(rising("w", 100, resident=2)),
    }

    def names(*options):
        with machines(folder, **serves):
            found = top(folder, *options)
        for name in serves:
            (folder / f"{name}.qmp").unlink()
        return [entry["name"] + "".join(device["name"] for device in entry["devices"]) for entry in found]

    assert names() == ["axy", "bz", "cw"]
    assert names("--reverse") == ["cw", "bz", "ayx"]
    assert names("--sort", "flushes") == ["cw", "ayx", "bz"]
    assert names("--sort", "flushes", "--reverse") == ["bz", "axy", "cw"]
    assert names("--sort", "resident") == ["bz", "ayx", "cw"]
    for key in "latency", "errors", "cpu", "name":
        assert sorted(names("--sort", key)) in (["axy", "bz", "cw"], ["ayx", "bz", "cw"])


def filters(folder):
    serves = {"web": machine(rising("data", 2), rising("log", 2)), "db": machine(rising("data", 2))}
    with machines(folder, **serves):
        found = {
            text: {
                entry["name"]: [device["name"] for device in entry["devices"]]
                for entry in top(folder, "--filter", text)
            }
            for text in ("web", "log", "data", "nothing")
        }
    assert found["web"] == {"web": ["data", "log"]} and found["log"] == {"web": ["log"]}
    assert found["data"] == {"web": ["data"], "db": ["data"]} and found["nothing"] == {}


def text_once(folder):
    """80 columns, whatever the names are; wider where COLUMNS says so."""
    failed = rising(
        "nv-with-a-long-name-of-a-device", 100, state="failed", size=1 << 40, resident=1 << 39, allocated=1 << 40
    )
    odd = rising("\x1b[2J\u00e4", 0, state="\x1b]0;x\x07")
    with machines(folder, **{"machine-with-a-rather-long-name": machine(failed, odd), "down": sending(b"x\n")}):
        options = ["--directory", folder, "--once", "--interval", "0.1", "--timeout", PATIENCE]
        done, wide = run(*options), run(*options, COLUMNS="140")
    title, down, name, *devices = done.stdout.splitlines()
    assert title.split() == "MACHINE, DEVICE STATE FLUSH/S P50 P99 ERR RESIDENT ALLOCATED".split()
    assert down.startswith("down               down: not JSON")
    assert name.startswith("machine-with-a-rat running        CPU       -  RAM  256M  vCPUs 2")
    odd_line, failed_line = devices
    assert odd_line.startswith("  ?[2J?? ") and "\x1b" not in done.stdout
    assert failed_line.startswith("  nv-with-a-long-n failed "), failed_line
    assert failed_line.endswith("  512G [##  ]  1.0T [####]"), failed_line
    assert max(map(len, done.stdout.splitlines())) == 80
    assert max(map(len, wide.stdout.splitlines())) == 140 and "[############            ]" in wide.stdout


def wrong_options(folder):
    for options, text in [
        (["--sort", "flush"], "--sort: 'flush' is no key (hint: did you mean flushes?)"),
        (["--sort", "zzzzzz"], "(hint: name, flushes, latency, errors, resident or cpu)"),
        (["--interval", "0"], "--interval: '0' is no number of seconds"),
        (["--filter", "x" * 100], "--filter: more than 63 bytes"),
        (["more"], "'more' is no option"),
        ([], "no terminal (hint: --once prints the view one time)"),
    ]:
        assert text in run(*options, status=1).stderr, options
    assert "--filter TEXT" in run("--help").stdout
    with Program(PROGRAM, "--directory", folder, term="nonsense") as program:
        program.wait_for(lambda lines: any("TERM is 'nonsense'" in line for line in lines), "the error")
        assert program.end() == 1


def has(*texts):
    return lambda lines: all(any(text in line for line in lines) for text in texts)


def begins(**rows):
    """Whether rows begin like this; r2 is the third one."""
    return lambda lines: all(
        len(lines) > int(at[1:]) and lines[int(at[1:])].startswith(text) for at, text in rows.items()
    )


def on_a_terminal(folder):
    """The keys, and the terminal's size when it changes."""
    serves = {"web": machine(rising("data", 100), rising("log", 2)), "db": machine(rising("base", 20))}
    serves |= {"hangs": sending()}
    options = ["--directory", folder, "--interval", "0.2", "--timeout", "4"]
    with machines(folder, **serves), Program(PROGRAM, *options) as program:
        title = "MACHINE, DEVICE    STATE    FLUSH/S    P50    P99  ERR RESIDENT     ALLOCATED"
        order = begins(
            r1=title, r2="db ", r3="  base ", r4="hangs ", r5="web ", r6="  data ", r7="  log ", r23="q quit"
        )
        shown = has("2 of 3 machines up", "sort: name", "down: no answer in 4000 ms", "2.0us")
        program.wait_for(lambda lines: order(lines) and shown(lines), "all machines")
        program.type("f")
        program.wait_for(lambda lines: "sort: flushes" in lines[0] and lines[2].startswith("web"), "sorted by flushes")
        program.type("r")
        program.wait_for(lambda lines: "(reversed)" in lines[0] and lines[2].startswith("hangs"), "reversed")
        program.type("rn/lo")
        filtered = begins(r2="web ", r3="  log ")
        program.wait_for(
            lambda lines: lines[23] == "filter: lo" and filtered(lines) and not has("base")(lines), "filtered"
        )
        program.resize(30, 120)
        program.wait_for(
            lambda lines: lines[29] == "filter: lo" and filtered(lines) and len(lines[1]) > 100 and len(lines[3]) > 100,
            "a larger screen",
        )
        program.type("g\x7f\x7f\x7f\n")
        program.wait_for(lambda lines: lines[29].startswith("q quit") and has("base", "  log")(lines), "no filter")
        program.type("/web\x1b")
        program.wait_for(
            lambda lines: lines[29].startswith("q quit") and "filter" not in lines[0] and has("base")(lines), "Escape"
        )
        program.resize(6, 40)
        program.wait_for(begins(r2="db ", r3="  base ", r4="hangs ", r5="q quit"), "a small screen")
        program.type("\x1b[B" * 3 + "jjjjjj")
        program.wait_for(begins(r4="  log "), "the last row")
        program.resize(2, 10)
        program.wait_for(begins(r0="pmvm-top"), "a tiny screen")
        program.resize(24, 80)
        program.wait_for(has("  log", "base"), "the first size")
        program.type("q")
        assert program.end() == 0


def without_machines(folder):
    with Program(PROGRAM, "--directory", folder) as program:
        program.wait_for(has("0 of 0 machines up"), "no machines")
        program.type("q")
        assert program.end() == 0


def by_pmvm(folder):
    """`pmvm top` is the program beside pmvm; elsewhere it names what is missing."""
    command = [PMVM, "top", "--help"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=RUN_MAX, check=True)
    assert done.stdout == run("--help").stdout
    alone = folder / "pmvm"
    shutil.copy(PMVM, alone)
    done = subprocess.run([alone, "top"], capture_output=True, text=True, timeout=RUN_MAX, check=False)
    assert done.returncode == 1 and f"top: cannot run {folder}/pmvm-top: No such file" in done.stderr, done.stderr
    assert "hint: it is in the package pmvm-watch" in done.stderr


if __name__ == "__main__":
    main([rates, one_sample_has_no_rates, a_reset_counter_begins_at_zero, sorts, filters, text_once, wrong_options,
          on_a_terminal, without_machines, by_pmvm])  # fmt: skip
