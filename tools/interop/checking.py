"""What the interop checks share: saying what was checked, and reading predictions.csv of a run."""

import csv
import dataclasses
import sys

import numpy as np

TOLERANCE = 1e-6


def check(what, holds, detail=""):
    """Prints what was checked; ends the script with status 1 if it does not hold."""
    if not holds:
        sys.exit(f"FAILED: {what}" + (f": {detail}" if detail else ""))
    print(f"  ok  {what}")


def equal(what, actual, expected):
    if isinstance(actual, list) and isinstance(expected, list) and len(actual) == len(expected) > 20:
        wrong = [f"[{i}] expected {e!r}, got {a!r}" for i, (a, e) in enumerate(zip(actual, expected)) if a != e]
        check(what, not wrong, f"{len(wrong)} of {len(expected)} differ: {'; '.join(wrong[:3])}")
    else:
        check(what, actual == expected, f"expected {expected!r}, got {actual!r}")


def close(what, actual, expected, tolerance=TOLERANCE):
    """Arrays of one shape, nowhere further apart than the tolerance; NaN is close to nothing."""
    actual, expected = np.asarray(actual, dtype=np.float64), np.asarray(expected, dtype=np.float64)
    if actual.shape != expected.shape:
        sys.exit(f"FAILED: {what}: expected the shape {expected.shape}, got {actual.shape}")
    worst = float(np.max(np.abs(actual - expected), initial=0.0))
    check(f"{what}: within {tolerance:g} of {expected.size} values", worst <= tolerance, f"furthest {worst:g}")


@dataclasses.dataclass
class Predictions:
    """The hold-out of a run, row by row, as predictions.csv has it."""

    file: list
    line: list  # of the file, counted from 1, header included
    label: list
    predicted: list
    classes: list
    probabilities: np.ndarray  # float64, rows x classes
    feature_names: list
    features: np.ndarray  # float32, rows x features, NaN where missing


def read_predictions(path):
    with open(path, newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    if not rows:
        sys.exit(f"FAILED: {path} has no rows")
    classes = [name[len("prob_") :] for name in rows[0] if name.startswith("prob_")]
    features = [name[len("feature.") :] for name in rows[0] if name.startswith("feature.")]
    return Predictions(
        file=[row["file"] for row in rows],
        line=[int(row["line"]) for row in rows],
        label=[row["label"] for row in rows],
        predicted=[row["predicted"] for row in rows],
        classes=classes,
        probabilities=np.array([[float(row[f"prob_{name}"]) for name in classes] for row in rows]),
        feature_names=features,
        features=np.array([[float(row[f"feature.{n}"] or "nan") for n in features] for row in rows], dtype=np.float32),
    )
