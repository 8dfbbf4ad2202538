"""Runs the measurements of bench/forest/run and prints its tables. See there for the options."""

import argparse
import dataclasses
import json
import pathlib
import platform
import shlex
import sys
from importlib.metadata import version

import datasets
import table
from measure import PEERS, peer_class
from runner import ROOT, Case, Runner
from tables import OURS, chosen, machine, replace_section

PACKAGES = (
    "scikit-learn scikit-learn-intelex lightgbm xgboost ydf biosphere onnxruntime skl2onnx treelite tl2cgen lleaves"
).split()

CASES = {
    "nsl_kdd_2": Case("nsl_kdd_2", "NSL-KDD, two classes"),
    "nsl_kdd_2_ordinal": Case("nsl_kdd_2", "NSL-KDD, two classes, categories as numbers for all", ordinal=True),
    "nsl_kdd_5": Case("nsl_kdd_5", "NSL-KDD, five classes"),
    "http_params": Case("http_params", "HTTP parameters, text features"),
    "cic_2": Case("cic_2", "CIC-IDS2017 sample, two classes"),
    "10k_deep": Case("10k", "synthetic", leaves=2048),
    "100k_deep": Case("100k", "synthetic", leaves=16_384),
    "100k": Case("100k", "synthetic", 20, 16, 8192),
    "1m": Case("1m", "synthetic", 20, 16, 32_768),
}
# Time at ten times the rows shows how cost grows.
FULL = {"10m": Case("10m", "synthetic", 20, 16, 65_536)}
QUICK = {
    "nsl_kdd_20_percent": Case("nsl_kdd_20_percent", "NSL-KDD, a fifth of the rows", 20),
    "10k": Case("10k", "synthetic", 20, leaves=2048),
}
KNOWN = CASES | FULL | QUICK
# Compilers take their time, and smaller forests of LightGBM say something on large tables only.
NOT_QUICK = {"treelite", "lleaves", "LightGBM 1024 leaves"}
SMALL_FOREST_CASES = {"100k_deep", "100k", "1m", "10m"}


def arguments():
    parser = argparse.ArgumentParser(usage="bench/forest/run [options]; they are explained in its first lines")
    parser.add_argument("ours", type=pathlib.Path)
    parser.add_argument("shared", type=pathlib.Path)
    parser.add_argument("cache", type=pathlib.Path)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--full", action="store_true")
    parser.add_argument("--rounds", type=int)
    parser.add_argument("--cases", type=lambda text: text.split(","))
    parser.add_argument("--libraries", type=lambda text: text.split(","))
    parser.add_argument("--prefix", type=shlex.split, default=[])
    parser.add_argument("--from", type=pathlib.Path, dest="start")
    parser.add_argument("--document", action="store_true")
    return parser.parse_args()


def environment():
    return {
        "machine": machine(),
        "python": platform.python_version(),
        "versions": {package: version(package) for package in PACKAGES},
    }


def measurements(args, runner, first_round):
    """Measures round by round; yields a row as soon as it is there."""
    cases = QUICK if args.quick else CASES | FULL if args.full else CASES
    names = chosen("cases", args.cases, KNOWN) if args.cases else cases
    libraries = [OURS, *(name for name in PEERS if not (args.quick and name in NOT_QUICK))]
    libraries = chosen("libraries", args.libraries, libraries) if args.libraries else libraries
    rounds = args.rounds if args.rounds is not None else 1 if args.quick else 3
    seconds = 0.1 if args.quick else 1.0
    if rounds == 0:
        return
    for name in names:
        case = KNOWN[name]
        try:
            runner.folder(case)
        except datasets.Absent as reason:
            print(f"{case.title}: left out, {reason}", file=sys.stderr)
            continue
        for library in libraries:
            if library != OURS and not peer_class(library).trains:
                # Outside the prefix, which may hold a lock that compilers would keep for minutes.
                unlocked = dataclasses.replace(runner, prefix=[])
                unlocked.measure_peer(library, name, case, first_round, flags=["--prepare"])
        for number in range(first_round, first_round + rounds):
            for library in libraries:
                if library == "LightGBM 1024 leaves" and name not in SMALL_FOREST_CASES:
                    continue
                if library == OURS:
                    result = runner.measure_ours(case, number, seconds)
                else:
                    result = runner.measure_peer(library, name, case, number, seconds)
                yield {"case": name, "library": library, "round": number} | result


def main():
    args = arguments()
    runner = Runner(args.ours, args.shared, args.cache, args.prefix)
    out = ROOT / "test-artifacts"
    out.mkdir(exist_ok=True)
    rows = [json.loads(line) for line in args.start.read_text().splitlines()] if args.start else []
    first_round = max((row["round"] for row in rows), default=0) + 1
    with (out / "forest-bench.jsonl").open("w") as file:
        file.writelines(json.dumps(row) + "\n" for row in rows)
        for row in measurements(args, runner, first_round):
            rows.append(row)
            file.write(json.dumps(row) + "\n")
            file.flush()
            print(table.progress(row), file=sys.stderr)
    measured = {row["case"] for row in rows}
    shapes = {name: datasets.shape(runner.folder(case)) for name, case in KNOWN.items() if name in measured}
    text = table.document(rows, KNOWN, shapes, environment())
    (out / "forest-bench.md").write_text(text)
    if args.document:
        replace_section(ROOT / "docs" / "benchmarks.md", "forest", text)
    print(text)
    # A peer that fails is a row of the table; ours must not.
    return any("cannot" in row for row in rows if row["library"] == OURS)


if __name__ == "__main__":
    sys.exit(main())
