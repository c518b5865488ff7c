#!/usr/bin/python3
"""The metrics that the alert rules, the dashboard and docs/metrics.md name are those that pmvm-metrics has.

SPDX-License-Identifier: Apache-2.0

Usage: dist_test.py PMVM_METRICS SOURCE_ROOT

Prints TAP.
"""
import json
import pathlib
import re
import subprocess
import sys
import tempfile

import exposition_check
from fake_qmp import FakeMonitor, answering, answers, pmem_info
from tap_main import main

PROGRAM, SOURCE = (pathlib.Path(word).resolve() for word in sys.argv[1:3]) if len(sys.argv) > 2 else (None, None)
RUN_MAX = 300  # seconds

# Of the process, not of the monitor: a fake monitor has no such process. test_watch.py of the system tests has them.
OF_THE_PROCESS = {
    "pmvm_process_cpu_seconds_total": {"machine"},
    "pmvm_process_resident_memory_bytes": {"machine"},
    "pmvm_vcpu_cpu_seconds_total": {"machine", "vcpu"},
}
OF_PROMETHEUS = {"instance", "job"}


def known():
    """The labels of each sample of a machine with one of everything."""
    pmem = pmem_info(state="failed", error={"errno": 5, "message": "", "time": 1})
    with tempfile.TemporaryDirectory() as folder, FakeMonitor(pathlib.Path(folder, "m.qmp"), answering(answers(pmem))):
        done = subprocess.run(
            [PROGRAM, "--timeout", "100", "--directory", folder],
            capture_output=True, text=True, timeout=RUN_MAX, check=True,
        )  # fmt: skip
    found = {key: set(value) for key, value in OF_THE_PROCESS.items()}
    for family in exposition_check.read(done.stdout, "text").values():
        for name, labels, _ in family.samples:
            found.setdefault(name, set()).update(labels)
    return found


def check_query(query, metrics, where):
    # Without the texts in quotes, the labels in braces, and the lists of labels.
    names = re.findall(r"\bpmvm_\w+", re.sub(r'"[^"]*"|\{[^}]*\}|by \([^)]*\)', "", re.sub(r'"[^"]*"', "", query)))
    assert names, f"{where}: no metric in {query}"
    for name in names:
        assert name in metrics, f"{where}: there is no {name}"
    for name, selectors in re.findall(r"(pmvm_\w+)\{([^}]*)\}", re.sub(r'"[^"]*"', '""', query)):
        for label in re.findall(r"(\w+)\s*(?:=~|!~|!=|=)", selectors):
            assert label in metrics[name], f"{where}: {name} has no label {label}"
    labels = set().union(*(metrics[name] for name in names)) | OF_PROMETHEUS
    for group in re.findall(r"by \(([^)]*)\)", query):
        assert set(re.findall(r"\w+", group)) <= labels, f"{where}: {group} in {query}"


def alerts(_folder):
    """Each rule has a query, a severity and a summary; annotations name labels that the query keeps."""
    metrics, text = known(), (SOURCE / "dist/prometheus/pmvm-alerts.yml").read_text()
    rules = re.split(r"\n +- alert: ", text)[1:]
    assert len(rules) >= 8 and len(rules) == text.count("alert:")
    for rule in rules:
        name = rule.split()[0]
        (query,) = re.findall(r"^ +expr: (.*)$", rule, re.MULTILINE)
        check_query(query, metrics, name)
        assert re.search(r"severity: (critical|warning|info)\n", rule) and "summary:" in rule, name
        labels = set().union(*(metrics[metric] for metric in metrics if metric in query))
        assert set(re.findall(r"\$labels\.(\w+)", rule)) <= labels, name


def dashboard(_folder):
    metrics = known()
    board = json.loads((SOURCE / "dist/grafana/pmvm.json").read_text())
    assert len({panel["id"] for panel in board["panels"]}) == len(board["panels"]) > 10
    for panel in board["panels"]:
        for target in panel["targets"]:
            check_query(target["expr"], metrics, panel["title"])
            labels = set().union(*(metrics[name] for name in metrics if name in target["expr"]))
            assert set(re.findall(r"\{\{(\w+)\}\}", target["legendFormat"])) <= labels, panel["title"]
    for variable in board["templating"]["list"]:
        if variable["type"] == "query":
            name, label = re.fullmatch(r"label_values\((pmvm_\w+).*, (\w+)\)", variable["query"]["query"]).groups()
            assert label in metrics[name], variable["name"]


def document(_folder):
    """docs/metrics.md lists every metric, and no other one."""
    metrics = {re.sub("_(bucket|sum|count)$", "", name) for name in known()}
    rows = re.findall(r"^\| `(pmvm_\w+)` \|", (SOURCE / "docs/metrics.md").read_text(), re.MULTILINE)
    assert sorted(rows) == sorted(set(rows)), "a metric is there twice"
    assert set(rows) == metrics, set(rows) ^ metrics


if __name__ == "__main__":
    main([alerts, dashboard, document])
