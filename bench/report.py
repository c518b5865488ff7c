"""Tables and files of what was measured.

SPDX-License-Identifier: Apache-2.0
"""
import json
import os
import platform
import statistics
import time

from bench_common import say


def number(value):
    return f"{value:.0f}" if abs(value) >= 1000 else f"{value:.3g}" if abs(value) < 10 else f"{value:.1f}"


def spread(values):
    """Median, and minimum to maximum where they differ."""
    text = number(statistics.median(values))
    low, high = number(min(values)), number(max(values))
    return text if low == high else f"{text} ({low} - {high})"


def verdict(figure, peers):
    """Returns whether the medians meet the goal, or an empty text if there is no goal."""
    mine = statistics.median(peers["pmvm"]) if "pmvm" in peers else None
    if mine is None:
        return ""
    if figure.value_max is not None:
        return f"goal: at most {number(figure.value_max)}: " + ("met" if mine <= figure.value_max else "MISSED")
    if figure.ratio_max is not None:
        said = [
            f"{peer}'s: " + ("met" if mine <= figure.ratio_max * statistics.median(values) else "MISSED")
            for peer, values in peers.items()
            if peer.startswith("QEMU")
        ]
        return f"goal: at most {number(figure.ratio_max)} of {', of '.join(said)}" if said else ""
    return ""


def ratio(peers, peer):
    """pmvm's median to the peer's."""
    theirs = statistics.median(peers[peer])
    if peer == "pmvm" or "pmvm" not in peers or theirs == 0:
        return ""
    return f"ratio {number(statistics.median(peers['pmvm']) / theirs)}"


def table(part, figures, samples):
    say(f"\n== {part}")
    for figure in figures:
        peers = samples.values.get(figure.name)
        if not peers:
            continue
        say(f"{figure.name}{f', {figure.unit}' if figure.unit else ''}   {verdict(figure, peers)}")
        for peer, values in peers.items():
            say(
                f"    {peer:16} {spread(values):28} {ratio(peers, peer):14} n={len(values)}  "
                f"[{' '.join(number(value) for value in values)}]"
            )
        say(f"    ({figure.method})")


def save(directory, part, figures, samples, where, failed):
    """One file of a part: figures with their methods, and all samples; where it was measured, and what failed."""
    directory.mkdir(parents=True, exist_ok=True)
    data = {
        "part": part,
        "where": where,
        "failed": failed,
        "date": time.strftime("%Y-%m-%d"),
        "kernel": platform.release(),
        "processors": os.cpu_count(),
        "figures": [
            {
                "name": figure.name,
                "unit": figure.unit,
                "method": figure.method,
                "ratio_max": figure.ratio_max,
                "value_max": figure.value_max,
                "samples": samples.values[figure.name],
            }
            for figure in figures
            if figure.name in samples.values
        ],
    }
    (directory / f"{part}.json").write_text(json.dumps(data, indent=1) + "\n", encoding="utf-8")


def load(directory, part):
    return json.loads((directory / f"{part}.json").read_text(encoding="utf-8"))
