"""Reads metrics as text strictly: OpenMetrics 1.0, and the format that Prometheus had before (0.0.4).

SPDX-License-Identifier: Apache-2.0
"""
import math
import re

NAME = r"[a-zA-Z_:][a-zA-Z0-9_:]*"
LABEL = r'([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\\n]|\\["\\n])*)"'
SAMPLE = re.compile(rf"({NAME})(?:\{{({LABEL}(?:,{LABEL})*)\}})? (\S+)")
TYPES = {
    "text": {"gauge", "counter", "histogram"},
    "openmetrics": {"gauge", "counter", "histogram", "stateset", "info"},
}
SUFFIXES = {"counter": ["_total"], "info": ["_info"], "histogram": ["_bucket", "_sum", "_count"]}
UNESCAPED = {"\\\\": "\\", '\\"': '"', "\\n": "\n"}


class Invalid(Exception):
    """The text is not of the format."""


def need(condition, *what):
    if not condition:
        raise Invalid(" ".join(map(str, what)))


def labels_of(text):
    pairs = [(key, re.sub(r"\\.", lambda match: UNESCAPED[match[0]], value)) for key, value in re.findall(LABEL, text)]
    need(len(dict(pairs)) == len(pairs), "a label is there twice:", text)
    return dict(pairs)


class Family:
    """The samples of a family: a list of (name, labels, value)."""

    def __init__(self, name, description):
        self.name, self.description = name, description
        self.type = self.unit = None
        self.samples = []


class Metrics(dict):
    """Families by the names of their samples' types, as in TYPE lines."""

    def values_of(self, sample, **labels):
        """The values of the samples of this name that have these labels."""
        return [
            value
            for family in self.values()
            for name, own, value in family.samples
            if name == sample and labels.items() <= own.items()
        ]

    def value(self, sample, **labels):
        (value,) = self.values_of(sample, **labels)
        return value

    def names(self):
        return {name for family in self.values() for name, _, _ in family.samples}


def allowed_names(family, kind):
    suffixes = SUFFIXES.get(family.type, [""])
    if kind == "text" and family.type != "histogram":
        return [family.name]
    return [family.name + suffix for suffix in suffixes]


def check_histogram(family):
    series = {}
    for name, labels, value in family.samples:
        key = tuple(sorted((key, value) for key, value in labels.items() if key != "le"))
        series.setdefault(key, []).append((name[len(family.name) :], labels.get("le"), value))
    for key, samples in series.items():
        buckets = [(float(le), value) for suffix, le, value in samples if suffix == "_bucket"]
        need(buckets and math.isinf(buckets[-1][0]), key, "has no bucket +Inf")
        need(buckets == sorted(buckets) and len(set(buckets)) == len(buckets), key, "buckets are out of order")
        need([v for _, v in buckets] == sorted(v for _, v in buckets), key, "buckets are not cumulative")
        rest = {suffix: value for suffix, _, value in samples if suffix != "_bucket"}
        need(set(rest) == {"_sum", "_count"} and rest["_count"] == buckets[-1][1], key, "has another count")


def check_family(family, kind, seen):
    need(family.type in TYPES[kind], family.name, "has type", family.type)
    need(not family.unit or family.name.endswith("_" + family.unit), family.name, "does not end in its unit")
    need(family.samples, family.name, "has no samples")
    if kind == "text" and family.type == "counter":
        need(family.name.endswith("_total"), family.name, "is a counter")
    for name, labels, value in family.samples:
        need(name in allowed_names(family, kind), name, "is no sample of", family.name)
        key = (name, *sorted(labels.items()))
        need(key not in seen, "twice:", key)
        seen.add(key)
        need(family.type != "counter" or value >= 0, name, "is negative")
        need(family.type != "stateset" or (family.name in labels and value in (0, 1)), name, "is no state")
        need(family.type != "info" or value == 1, name, "is no info")
    if family.type == "histogram":
        check_histogram(family)


def read(text, kind):
    """Returns Metrics; kind is "text" or "openmetrics". Raises Invalid."""
    metrics, family = Metrics(), None
    lines = text.split("\n")
    need(lines.pop() == "", "the last line has no end")
    if kind == "openmetrics":
        need(lines.pop() == "# EOF", "no # EOF at the end")
    for line in lines:
        if match := re.fullmatch(rf"# (HELP|TYPE|UNIT) ({NAME}) (.*)", line):
            what, name, rest = match[1], match[2], match[3]
            if what == "HELP":
                need(name not in metrics, name, "begins twice")
                family = metrics[name] = Family(name, rest)
                continue
            need(family and name == family.name and not family.samples, "out of order:", line)
            need(what == "TYPE" or kind == "openmetrics", "no such line in this format:", line)
            setattr(family, what.lower(), rest)
            continue
        match = SAMPLE.fullmatch(line)
        need(match and family and family.type, "no sample:", line)
        family.samples.append((match[1], labels_of(match[2] or ""), float(match[match.lastindex])))
    seen = set()
    for each in metrics.values():
        check_family(each, kind, seen)
    return metrics
