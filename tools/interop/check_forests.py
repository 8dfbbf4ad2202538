#!/usr/bin/env python3
"""Checks that ONNX Runtime gives random forests' probabilities bit for bit, and their labels.

    check_forests.py FOLDER

FOLDER is what crates/phantomnet-learn/examples/random_forests.rs wrote. Rows go in together, in blocks and one by one,
which ONNX Runtime computes in different ways.
"""

import json
import pathlib
import sys

import numpy as np
import onnxruntime

from checking import check


class Forest:
    """A forest with its rows and what we say of them."""

    def __init__(self, folder, number, about):
        self.name = f"forest {number} ({about['learner']} of {', '.join(sorted(set(about['features'])))})"
        self.params = about["params"]
        self.classes = about["classes"]
        self.labels = np.array(about["labels"])
        self.rows = np.fromfile(folder / f"{number}.rows", "<f4").reshape(-1, len(about["features"]))
        shape = (len(self.rows), len(self.classes))
        self.probabilities = np.fromfile(folder / f"{number}.probabilities", "<f4").reshape(shape)
        self.session = onnxruntime.InferenceSession(folder / f"{number}.onnx", providers=["CPUExecutionProvider"])

    def run(self, n_rows):
        """Labels and probabilities of ONNX Runtime, so many rows at a time."""
        starts = range(0, len(self.rows), n_rows)
        answers = [self.session.run(None, {"X": self.rows[start : start + n_rows]}) for start in starts]
        labels, *columns = (np.concatenate(output) for output in zip(*answers))
        return labels, np.hstack(columns)

    def compare(self, n_rows):
        """Ends the script where ONNX Runtime says something else."""
        labels, probabilities = self.run(n_rows)
        where = f"{self.name}, {n_rows} rows at a time"
        same = probabilities.view(np.uint32) == self.probabilities.view(np.uint32)
        if not same.all():
            wrong = np.flatnonzero(~same.all(axis=1))
            self.fail(where, wrong, probabilities[wrong[0]], self.probabilities[wrong[0]])
        wrong = np.flatnonzero(labels != self.labels)
        if len(wrong):
            self.fail(where, wrong, labels[wrong[0]], self.labels[wrong[0]])

    def fail(self, where, wrong, actual, expected):
        row = self.rows[wrong[0]].tolist()
        sys.exit(
            f"FAILED: {where}: {len(wrong)} of {len(self.rows)} rows differ; the first is row {wrong[0]}, {row}: "
            f"ONNX Runtime gives {actual}, we say {expected}\n{self.params}"
        )


def main():
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    folder = pathlib.Path(sys.argv[1])
    abouts = json.loads((folder / "forests.json").read_text(encoding="utf-8"))
    forests = [Forest(folder, number, about) for number, about in enumerate(abouts)]
    for forest in forests:
        for n_rows in (len(forest.rows), 64, 1):
            forest.compare(n_rows)

    # Forests that cannot tell rows apart would pass all of the above.
    telling = sum(len(np.unique(forest.probabilities, axis=0)) > 2 for forest in forests)
    check(f"{telling} of {len(forests)} forests tell more than two kinds of rows apart", telling > len(forests) / 2)
    n_rows = sum(len(forest.rows) for forest in forests)
    n_missing = sum(int(np.isnan(forest.rows).any(axis=1).sum()) for forest in forests)
    n_probabilities = sum(forest.probabilities.size for forest in forests)
    print(
        f"onnxruntime {onnxruntime.__version__} gives {len(forests)} random forests' labels and probabilities bit for "
        f"bit: {n_rows} rows, {n_missing} of them with missing values, {n_probabilities} probabilities"
    )


if __name__ == "__main__":
    main()
