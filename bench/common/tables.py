"""What the tables of all benchmarks are made of, in Markdown.

Measurements are dictionaries with the keys `library` and `round`, and either figures or `cannot`, the reason why there
are none. Ratios are taken within a round. Shown are medians over the rounds and, in brackets, the smallest and the
largest.
"""

import os
import pathlib
import platform
import statistics
import sys

OURS = "PhantomNet"


def machine():
    cpus = pathlib.Path("/proc/cpuinfo").read_text().splitlines()
    model = next((line.split(":")[1].strip() for line in cpus if line.startswith("model name")), platform.machine())
    return f"{os.cpu_count()} cores of {model}, {platform.system()}"


def chosen(what, wanted, known):
    """The `wanted` names, all of which have to be `known`."""
    if unknown := [name for name in wanted if name not in known]:
        sys.exit(f"unknown {what} {unknown}, expected some of {list(known)}")
    return wanted


def spread(values, digits=None):
    """`median (smallest to largest)`, with three significant digits unless told otherwise."""
    values = sorted(values)
    middle = statistics.median(values)

    def show(x):
        return f"{x:.{digits}f}" if digits is not None else number(x)

    return show(middle) if len(values) == 1 else f"{show(middle)} ({show(values[0])}–{show(values[-1])})"


def number(x):
    if x >= 100:
        return f"{x:,.0f}"
    return f"{x:.1f}" if x >= 10 else f"{x:.2f}"


def mean(values, digits=4):
    if len(values) == 1:
        return f"{values[0]:.{digits}f}"
    return f"{statistics.mean(values):.{digits}f} ± {statistics.stdev(values):.{digits}f}"


def markdown(head, rows):
    lines = [head, ["---"] + ["---:"] * (len(head) - 1), *rows]
    return "\n".join("| " + " | ".join(cells) + " |" for cells in lines)


class Results:
    """Measurements of one case, by library and round."""

    def __init__(self, rows):
        self.by_library = {}
        for row in rows:
            self.by_library.setdefault(row["library"], {})[row["round"]] = row

    def column(self, library, value):
        """`value` of each round in which it can be had."""
        found = (value(row) for row in self.by_library[library].values())
        return [x for x in found if x is not None]

    def ratios(self, library, value, larger_is_better=False):
        found = []
        for number, row in self.by_library[library].items():
            mine = self.by_library.get(OURS, {}).get(number)
            a, b = value(row), mine and value(mine)
            if a is not None and b is not None:
                found.append(b / a if larger_is_better else a / b)
        return found

    def reasons(self):
        """Why a library has no figures."""
        for library, rounds in self.by_library.items():
            if reason := next((row["cannot"] for row in rounds.values() if "cannot" in row), None):
                yield library, reason


def key(name):
    return lambda row: row.get(name)


def cell(values, show=spread):
    return show(values) if values else "–"


def replace_section(path, name, text):
    """Puts `text` between the marks `<!-- name -->` and `<!-- /name -->` of a file."""
    whole_text = path.read_text()
    start, end = f"<!-- {name} -->\n", f"<!-- /{name} -->"
    if start not in whole_text or end not in whole_text:
        raise SystemExit(f"{path.name} has no section between {start.strip()} and {end}")
    before, rest = whole_text.split(start, 1)
    path.write_text(before + start + "\n" + text + "\n" + end + rest.split(end, 1)[1])
