#!/usr/bin/env python3
"""Checks that ONNX Runtime gives the probabilities of a saved model that the run kept for its hold-out.

    check_onnx.py MODEL_DIR PREDICTIONS_CSV
"""

import pathlib
import sys

import numpy as np
import onnx
import onnxruntime

from checking import check, close, equal, read_predictions


def main():
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    model = pathlib.Path(sys.argv[1]) / "model.onnx"
    kept = read_predictions(sys.argv[2])

    onnx.checker.check_model(str(model), full_check=True)
    print("  ok  onnx.checker accepts the graph, shapes inferred")

    session = onnxruntime.InferenceSession(str(model), providers=["CPUExecutionProvider"])
    equal("one input", len(session.get_inputs()), 1)
    entry = session.get_inputs()[0]
    equal("input type", entry.type, "tensor(float)")
    equal("features of the input", entry.shape[1], len(kept.feature_names))
    outputs = [output.name for output in session.get_outputs()]
    equal("outputs", outputs, ["label"] + [f"prob_{name}" for name in kept.classes])

    def run(rows):
        label, *probabilities = session.run(None, {entry.name: rows})
        return [str(name) for name in label], np.column_stack([column.reshape(-1) for column in probabilities])

    label, probabilities = run(kept.features)
    close("probabilities in one batch", probabilities, kept.probabilities)
    close("sums of the probabilities", probabilities.sum(axis=1), np.ones(len(kept.label)), 1e-5)
    equal("labels in one batch", label, kept.predicted)

    singly = [run(row[np.newaxis]) for row in kept.features]
    close("probabilities row by row", np.vstack([p for _, p in singly]), kept.probabilities)
    equal("labels row by row", [name for names, _ in singly for name in names], kept.predicted)

    # A model that gives every row the same answer would pass all of the above.
    check("the probabilities differ between rows", np.ptp(kept.probabilities, axis=0).max() > 0.1)
    print(f"onnxruntime {onnxruntime.__version__} and the run agree on {len(kept.label)} rows of {model}")


if __name__ == "__main__":
    main()
