"""The picture of a part: its figures as bars, in an SVG file of a few KiB.

SPDX-License-Identifier: Apache-2.0

A plotting library writes every letter and every tick as a path, 40 to 125 KiB for a part. These pictures are part of
the repository: they are text that a diff can show, and the same results give the same bytes.
"""
import statistics
from xml.etree import ElementTree

WIDTH = 720
LABEL = 130  # the width of a peer's name
BAR = 440  # the length of the longest bar
ROW = 16
GAP = 12
STYLE = (
    "text{font:12px sans-serif;fill:#222}.f{font-weight:bold}.s{fill:#666}"
    ".pmvm{fill:#2b6cb0}.peer{fill:#b7791f}.r{stroke:#222;stroke-width:1.5}"
)


def short(value):
    """Three digits, without an exponent."""
    return f"{value:.0f}" if abs(value) >= 100 else f"{value:.3g}"


def add_text(svg, x, y, text, kind=None):
    element = ElementTree.SubElement(svg, "text", {"x": str(x), "y": str(y)} | ({"class": kind} if kind else {}))
    element.text = text


def add_bar(svg, y, peer, values, longest):
    """A peer's row: its name, a bar to the median, a line from the least to the largest sample, the numbers."""

    def place(value):
        return round(LABEL + BAR * value / longest, 1) if longest else LABEL

    middle, low, high = statistics.median(values), min(values), max(values)
    add_text(svg, 8, y + 12, peer)
    box = {"x": str(LABEL), "y": str(y + 2), "height": str(ROW - 4), "width": f"{place(middle) - LABEL:.1f}"}
    ElementTree.SubElement(svg, "rect", box | {"class": "pmvm" if peer.startswith("pmvm") else "peer"})
    if low != high:
        ends = {"x1": str(place(low)), "x2": str(place(high)), "y1": str(y + ROW // 2), "y2": str(y + ROW // 2)}
        ElementTree.SubElement(svg, "line", ends | {"class": "r"})
    spread = f" ({short(low)}–{short(high)})" if short(low) != short(high) else ""
    add_text(svg, max(place(middle), place(high)) + 6, y + 12, short(middle) + spread)


def add_figure(svg, y, figure):
    """Returns where the next figure begins."""
    unit = f", {figure['unit']}" if figure["unit"] else ""
    add_text(svg, 8, y + 12, figure["name"] + unit, "f")
    y += ROW
    longest = max(max(values) for values in figure["samples"].values())
    for peer, values in figure["samples"].items():
        add_bar(svg, y, peer, values, longest)
        y += ROW
    return y + GAP


def draw(path, data):
    """Writes the picture of a part: `data` is what report.save wrote of it. It has neither date nor processor."""
    svg = ElementTree.Element("svg", {"xmlns": "http://www.w3.org/2000/svg"})
    ElementTree.SubElement(svg, "title").text = data["part"]
    ElementTree.SubElement(svg, "style").text = STYLE
    background = ElementTree.SubElement(svg, "rect", {"width": "100%", "height": "100%", "fill": "#fff"})
    background.tail = "\n"
    add_text(svg, 8, 18, f"{data['part']}, {data['where']}: bars are medians, lines are ranges; less is better", "s")
    y = 30
    for figure in data["figures"]:
        y = add_figure(svg, y, figure)
    svg.set("width", str(WIDTH))
    svg.set("height", str(y))
    svg.set("viewBox", f"0 0 {WIDTH} {y}")
    for element in svg:
        element.tail = "\n"
    path.parent.mkdir(parents=True, exist_ok=True)
    ElementTree.ElementTree(svg).write(path, encoding="utf-8", xml_declaration=False)
    with open(path, "ab") as f:
        f.write(b"\n")
