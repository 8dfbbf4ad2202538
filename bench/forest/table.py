"""The tables of the forest benchmarks, in Markdown.

Every ratio is a peer's figure over ours of the same round (ours over theirs for rows per second), so that above 1 is in
our favour everywhere.
"""

import importlib
import statistics

from measure import PEERS
from tables import OURS, Results, cell, key, markdown, mean, number


def whole(row):
    return row["fit_s"] + row["construct_s"] if "fit_s" in row else None


def one_row(row):
    return row.get("row_p50_ns", row.get("row_mean_ns"))


def scaled(name, factor):
    return lambda row: row[name] * factor if name in row else None


def training(results):
    head = ["library", "fit, s", "× ours", "with its data set, s", "× ours", "CPU, s", "MiB", "log loss", "ROC AUC"]
    rows = []
    for library in results.by_library:
        if not results.column(library, key("fit_s")):
            continue
        rows.append([
            library,
            cell(results.column(library, key("fit_s"))),
            cell(results.ratios(library, key("fit_s"))),
            cell(results.column(library, whole)),
            cell(results.ratios(library, whole)),
            cell(results.column(library, key("cpu_s"))),
            cell(results.column(library, key("all_mib"))),
            cell(results.column(library, key("log_loss")), mean),
            cell(results.column(library, key("roc_auc")), mean),
        ])  # fmt: skip
    return markdown(head, rows)


def scoring(results):
    head = ["engine", "one row, µs", "p99, µs", "× ours", "M rows/s", "M rows/s, 2 threads", "× ours"]
    rows = []
    for library in results.by_library:
        if not results.column(library, key("rows_s_1")):
            continue
        p50 = cell(results.column(library, lambda row: one_row(row) / 1000 if one_row(row) else None))
        if results.column(library, key("row_mean_ns")):
            p50 += " mean"
        rows.append([
            library,
            p50,
            cell(results.column(library, scaled("row_p99_ns", 1e-3))),
            cell(results.ratios(library, one_row)),
            *(cell(results.column(library, scaled(f"rows_s_{n}", 1e-6))) for n in (1, 2)),
            cell(results.ratios(library, key("rows_s_2"), larger_is_better=True)),
        ])  # fmt: skip
    return markdown(head, rows)


# Another learner, or another forest: not who is to be beaten.
FOR_INFORMATION = {"extra trees (scikit-learn)", "LightGBM 1024 leaves"}


def best(results, value, larger_is_better=False):
    """The peer that is ahead in `value`, with its ratio to ours."""
    peers = [name for name in results.by_library if name != OURS and name not in FOR_INFORMATION]
    found = [(statistics.median(r), name) for name in peers if (r := results.ratios(name, value, larger_is_better))]
    if not found:
        return "–"
    ratio, name = min(found)
    return f"{number(ratio)} ({name})"


def summary(by_case, cases, shapes):
    head = ["case", "training", "training, scikit-learn", "one row", "batch, 2 threads"]
    rows = []
    for name, results in by_case.items():
        slowest = results.ratios("scikit-learn", whole) if "scikit-learn" in results.by_library else []
        rows.append([
            title(cases[name], shapes[name]),
            best(results, whole),
            number(statistics.median(slowest)) if slowest else "–",
            best(results, one_row),
            best(results, key("rows_s_2"), larger_is_better=True),
        ])  # fmt: skip
    return markdown(head, rows)


def title(case, shape):
    n_rows, n_features = shape
    depth = f"depth {case.depth}" if case.depth else "no depth limit"
    return f"{case.title}: {n_rows:,} × {n_features}, {case.trees} trees, {depth}"


def notes():
    for library, place in PEERS.items():
        module, attribute = place.split(".")
        if note := getattr(importlib.import_module(f"peers.{module}"), attribute).note:
            yield f"- {library}: {note}."


def document(rows, cases, shapes, environment):
    by_case = {name: Results([row for row in rows if row["case"] == name]) for name in cases if name in shapes}
    versions = ", ".join(f"{name} {version}" for name, version in environment["versions"].items())
    parts = [
        f"Measured on {environment['machine']}; Python {environment['python']}; {versions}.",
        "How many times less we take than the fastest peer, in the same round (training with the construction of the "
        "library's own data set; below 1 the peer is ahead):",
        summary(by_case, cases, shapes),
    ]
    for name, results in by_case.items():
        parts += [f"### {title(cases[name], shapes[name])}", training(results), scoring(results)]
        parts += ["\n".join(f"- {library}: {reason}" for library, reason in results.reasons())]
    parts += ["### Where a peer's forest or measurement differs", "\n".join(notes())]
    return "\n\n".join(part for part in parts if part) + "\n"


def progress(row):
    if "cannot" in row:
        return f"{row['case']} round {row['round']} {row['library']}: {row['cannot']}"
    shown = {name: number(value) for name, value in row.items() if isinstance(value, float)}
    return f"{row['case']} round {row['round']} {row['library']}: {shown}"
