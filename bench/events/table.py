"""The tables of the events' benchmark, in Markdown.

Every ratio is a reader's time over ours of the same round, so that above 1 is in our favour everywhere.
"""

import statistics

import work
from runner import CONVERT, DATAFUSION, DATAFUSION_NEWLINES, TRAIN
from tables import OURS, Results, cell, key, markdown, number

TITLES = {
    "csv": "CSV",
    "csv_newlines": "CSV with line ends in quoted fields",
    "csv_broken": "CSV, one line in a thousand broken",
    "csv_gz": "CSV, gzip",
    "jsonl": "JSON lines",
    "jsonl_broken": "JSON lines, one line in a thousand broken",
    "jsonl_gz": "JSON lines, gzip",
}
COMMANDS = (TRAIN, CONVERT)


def seconds(row):
    """From the path to the matrix; of a command, of the whole process."""
    return row.get("read_s", row.get("process_s"))


def speed(row):
    return row["bytes"] / 1e6 / seconds(row) if seconds(row) else None


def matrix_mib(rows):
    """Size of the matrix of float32 and of a label of 32 bits for each row."""
    return rows * 4 * (work.N_COLUMNS + 1) / 2**20


def case_table(results):
    head = ["reader", "MB/s", "time, × ours", "time, s", "CPU, s", "peak MiB"]
    rows = []
    for name in results.by_library:
        if not results.column(name, seconds):
            continue
        rows.append([
            name,
            cell(results.column(name, speed)),
            cell(results.ratios(name, seconds)),
            cell(results.column(name, seconds)),
            cell(results.column(name, key("cpu_s"))),
            cell(results.column(name, key("peak_mib"))),
        ])  # fmt: skip
    return markdown(head, rows)


def best(results, names):
    """The fastest of the readers, with its ratio to ours."""
    found = [(statistics.median(r), name) for name in names if (r := name_ratios(results, name))]
    if not found:
        return "–"
    ratio, name = min(found)
    return f"{number(ratio)} ({name})"


def name_ratios(results, name):
    return results.ratios(name, seconds) if name in results.by_library else []


def summary(by_case):
    head = ["file", "ours, MB/s", "ours, peak MiB", "pandas", "DataFusion", "Polars"]
    rows = []
    for (_, title), results in by_case.items():
        ours = OURS in results.by_library
        rows.append([
            title,
            cell(results.column(OURS, speed)) if ours else "–",
            cell(results.column(OURS, key("peak_mib"))) if ours else "–",
            best(results, [name for name in results.by_library if name.startswith("pandas")]),
            best(results, [DATAFUSION, DATAFUSION_NEWLINES]),
            best(results, ["Polars"]),
        ])  # fmt: skip
    return markdown(head, rows)


def document(rows, environment):
    by_case = {}
    for row in rows:
        title = f"{TITLES[row['case']]}, {row['bytes'] / 1e6:,.0f} MB"
        by_case.setdefault((row["size"], title), []).append(row)
    results = {name: Results(found) for name, found in by_case.items()}
    versions = ", ".join(f"{name} {version}" for name, version in environment["versions"].items())
    parts = [
        f"Measured on {environment['machine']}; Python {environment['python']}; {versions}.",
        (
            "Our speed and memory, and how many times our time the fastest way of each peer takes, in the same round "
            "(below 1 the peer is ahead):"
        ),
        summary(results),
    ]
    for name, found in by_case.items():
        n_rows = found[0]["rows"]
        parts += [
            f"### {name[1]}",
            f"{n_rows:,} events; the matrix and its labels are {number(matrix_mib(n_rows))} MiB.",
            case_table(results[name]),
            "\n".join(f"- {library}: {reason}" for library, reason in results[name].reasons()),
        ]
    return "\n\n".join(part for part in parts if part) + "\n"


def progress(row):
    what = f"{row['case']} round {row['round']} {row['library']}"
    if "cannot" in row:
        return f"{what}: {row['cannot']}"
    return f"{what}: {number(speed(row))} MB/s, {number(seconds(row))} s, {number(row['peak_mib'])} MiB"
