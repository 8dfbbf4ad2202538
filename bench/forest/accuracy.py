"""Makes the table of bench/forest/accuracy. See there for the options."""

import argparse
import pathlib
import sys

from scipy.stats import ttest_ind

import datasets
import tables
from runner import ROOT, Case, Runner

CASES = {
    "nsl_kdd_2": Case("nsl_kdd_2", "NSL-KDD, two classes"),
    "nsl_kdd_2_ordinal": Case("nsl_kdd_2", "NSL-KDD, two classes, categories as numbers", ordinal=True),
    "nsl_kdd_5": Case("nsl_kdd_5", "NSL-KDD, five classes"),
    "nsl_kdd_5_ordinal": Case("nsl_kdd_5", "NSL-KDD, five classes, categories as numbers", ordinal=True),
    "http_params": Case("http_params", "HTTP parameters"),
    "cic_2": Case("cic_2", "CIC-IDS2017 sample, two classes"),
    "cic_families": Case("cic_families", "CIC-IDS2017 sample, by attack family"),
    "csic_2010": Case("csic_2010", "CSIC 2010 requests"),
    "xss": Case("xss", "XSS payloads"),
    "100k": Case("100k", "synthetic, 100,000 rows"),
}
# Title of a metric, its key, and the sign of what is better.
METRICS = [("log loss", "log_loss", -1), ("ROC AUC", "roc_auc", 1)]
NOISE = 0.01


def arguments():
    parser = argparse.ArgumentParser(usage="bench/forest/accuracy [options]; they are explained in its first lines")
    for name in ("ours", "shared", "cache"):
        parser.add_argument(name, type=pathlib.Path)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--data", type=lambda text: text.split(","), default=list(CASES))
    parser.add_argument("--exact", type=lambda text: pathlib.Path(text).resolve())
    parser.add_argument("--document", action="store_true")
    args = parser.parse_args()
    if unknown := set(args.data) - set(CASES):
        parser.error(f"unknown data {sorted(unknown)}, expected some of {list(CASES)}")
    if args.seeds < 2:
        parser.error(f"--seeds must be at least 2, got {args.seeds}")
    return args


def verdict(ours, theirs, sign):
    """Whether a difference of the means says anything, and in whose favour."""
    difference = sign * (sum(ours) / len(ours) - sum(theirs) / len(theirs))
    if difference == 0 or ttest_ind(ours, theirs, equal_var=False).pvalue >= NOISE:
        return "within noise"
    return "better" if difference > 0 else "worse"


def seen(runner, name, seeds, exact):
    """Results of the kinds of forest, by kind and seed."""
    case = CASES[name]
    kinds = {
        "scikit-learn": lambda seed: runner.measure_peer("scikit-learn", name, case, seed, train_only=True),
        "PhantomNet": lambda seed: runner.measure_ours(case, seed, train_only=True),
    }
    if exact:
        kinds["exact"] = lambda seed: runner.measure_ours(case, seed, train_only=True, program=exact)
    return {kind: [fit(seed) for seed in range(1, seeds + 1)] for kind, fit in kinds.items()}


def main():
    args = arguments()
    runner = Runner(args.ours, args.shared, args.cache)
    head = ["data", "metric", "scikit-learn", "PhantomNet", "beside scikit-learn"]
    if args.exact:
        head += ["exact splits", "PhantomNet beside them"]
    rows, failed = [], False
    for name in args.data:
        try:
            results = seen(runner, name, args.seeds, args.exact)
        except datasets.Absent as reason:
            print(f"{CASES[name].title}: left out, {reason}", file=sys.stderr)
            continue
        if reason := next((row["cannot"] for rows_of in results.values() for row in rows_of if "cannot" in row), None):
            rows.append([CASES[name].title, reason, *[""] * (len(head) - 2)])
            failed = True
            continue
        for title, key, sign in METRICS:
            values = {kind: [row[key] for row in rows_of] for kind, rows_of in results.items()}
            ours, theirs = values["PhantomNet"], values["scikit-learn"]
            cells = [tables.mean(theirs), tables.mean(ours), verdict(ours, theirs, sign)]
            if args.exact:
                cells += [tables.mean(values["exact"]), verdict(ours, values["exact"], sign)]
            rows.append([CASES[name].title, title, *cells])
            print(" | ".join(rows[-1]), file=sys.stderr)
    text = f"Means and standard deviations of {args.seeds} seeds.\n\n{tables.markdown(head, rows)}\n"
    if args.document:
        tables.replace_section(ROOT / "docs" / "benchmarks.md", "accuracy", text)
    print(text)
    return failed


if __name__ == "__main__":
    sys.exit(main())
