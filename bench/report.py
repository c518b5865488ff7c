"""Tables, files and plots of what was measured.

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


def plot(directory, part):
    """An SVG and a PNG beside the part's file: for each figure a small panel, every sample a dot, the median a bar."""
    import matplotlib  # pylint: disable=import-outside-toplevel  # measuring does not need it

    matplotlib.use("Agg")
    from matplotlib import pyplot  # pylint: disable=import-outside-toplevel

    figures = [
        figure
        for figure in load(directory, part)["figures"]
        if any(any(values) for values in figure["samples"].values())
    ]
    columns = 3
    rows = -(-len(figures) // columns)
    drawing, axes = pyplot.subplots(rows, columns, figsize=(13, 3.2 * rows), squeeze=False)
    for axis in axes.flat[len(figures) :]:
        axis.set_visible(False)
    for axis, figure in zip(axes.flat, figures):
        peers = figure["samples"]
        medians = [statistics.median(values) for values in peers.values()]
        axis.bar(
            range(len(peers)), medians, color=["#2b6cb0" if peer == "pmvm" else "#b7791f" for peer in peers], width=0.6
        )
        for place, values in enumerate(peers.values()):
            axis.plot([place] * len(values), values, "k.", markersize=4)
        axis.set_xticks(range(len(peers)), [peer.replace(" ", "\n", 1) for peer in peers], fontsize=8)
        axis.set_title(figure["name"], fontsize=9)
        axis.set_ylabel(figure["unit"], fontsize=8)
        axis.set_ylim(bottom=0)
    drawing.suptitle(f"{part}: bars are medians, dots are samples; lower is better", fontsize=10)
    drawing.tight_layout()
    for kind in ("svg", "png"):
        drawing.savefig(directory / f"{part}.{kind}", dpi=100, metadata={"Date": None} if kind == "svg" else None)
    pyplot.close(drawing)
