"""Runs the measurements of bench/events/run and prints its tables. See there for the options."""

import argparse
import json
import pathlib
import platform
import shlex
import sys
from importlib.metadata import version

import generate
import table
import work
from runner import CONVERT, KNOWN, ROOT, Runner
from tables import OURS, chosen, machine, replace_section

PACKAGES = ("pandas", "pyarrow", "polars")
MEGABYTES = 500
QUICK_MEGABYTES = 50


def arguments():
    parser = argparse.ArgumentParser(usage="bench/events/run [options]; they are explained in its first lines")
    for name in ("ours", "datafusion", "phantomnet", "cache"):
        parser.add_argument(name, type=pathlib.Path)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--size", type=int)
    parser.add_argument("--rounds", type=int)
    parser.add_argument("--cases", type=lambda text: text.split(","), default=list(generate.FORMS))
    parser.add_argument("--readers", type=lambda text: text.split(","), default=KNOWN)
    parser.add_argument("--prefix", type=shlex.split, default=[])
    parser.add_argument("--from", type=pathlib.Path, dest="start")
    parser.add_argument("--document", action="store_true")
    args = parser.parse_args()
    args.size = args.size or (QUICK_MEGABYTES if args.quick else MEGABYTES)
    args.rounds = args.rounds if args.rounds is not None else 1 if args.quick else 3
    chosen("cases", args.cases, generate.FORMS)
    chosen("readers", args.readers, KNOWN)
    return args


def environment():
    versions = {package: version(package) for package in PACKAGES}
    lock = (ROOT / "bench" / "events" / "peers" / "Cargo.lock").read_text()
    versions["DataFusion"] = lock.split('name = "datafusion"\nversion = "', 1)[1].split('"', 1)[0]
    return {"machine": machine(), "python": platform.python_version(), "versions": versions}


def into_page_cache(path):
    with path.open("rb", buffering=0) as file:
        while file.read(1 << 20):
            pass


def measurements(args, runner, first_round):
    """Measures round by round; yields a row as soon as it is there."""
    if args.rounds == 0:
        return
    readers = args.readers
    if CONVERT in readers and not runner.can_convert():
        print("the program has no command convert: left out", file=sys.stderr)
        readers = [name for name in readers if name != CONVERT]
    for case in args.cases:
        form = generate.FORMS[case]
        path, known = generate.prepare(args.cache, case, args.size)
        about = {"case": case, "size": args.size, "bytes": known["bytes"], "rows": known["checksum"]["rows"]}
        for number in range(first_round, first_round + args.rounds):
            for name in readers:
                if not runner.applies(name, form):
                    continue
                into_page_cache(path)
                result = runner.measure(name, path, form)
                checksum = result.pop("checksum", None)
                if checksum and (differs := work.difference(known["checksum"], checksum)):
                    result = {"cannot": f"gives another matrix: {differs}"}
                yield about | {"library": name, "round": number} | result


def main():
    args = arguments()
    runner = Runner(args.ours, args.datafusion, args.phantomnet, args.prefix)
    out = ROOT / "test-artifacts"
    out.mkdir(exist_ok=True)
    rows = [json.loads(line) for line in args.start.read_text().splitlines()] if args.start else []
    first_round = max((row["round"] for row in rows), default=0) + 1
    with (out / "events-bench.jsonl").open("w") as file:
        file.writelines(json.dumps(row) + "\n" for row in rows)
        for row in measurements(args, runner, first_round):
            rows.append(row)
            file.write(json.dumps(row) + "\n")
            file.flush()
            print(table.progress(row), file=sys.stderr)
    text = table.document(rows, environment())
    (out / "events-bench.md").write_text(text)
    if args.document:
        replace_section(ROOT / "docs" / "benchmarks.md", "events", text)
    print(text)
    # A peer that fails is a row of the table; ours must not.
    return any("cannot" in row for row in rows if row["library"].startswith(OURS))


if __name__ == "__main__":
    sys.exit(main())
