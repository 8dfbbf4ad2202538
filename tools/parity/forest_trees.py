"""Makes testdata/parity/forest: small decision trees and the out-of-bag accuracy of forests, by scikit-learn.

Usage: python tools/parity/forest_trees.py        (scikit-learn 1.9.1, numpy 2.4.6)

trees.jsonl, first line: versions and seed. Every other line is one tree:
  x       columns of numbers, null for missing
  y       class of each row, from 0
  w       weight of each row, null if all are 1
  params  criterion, max_depth, min_samples_split, min_samples_leaf, max_leaf_nodes, class_weight (a list by class), each
          null where it is not set
  feature, threshold, left, right
          of each node of the tree, the root first; a leaf has feature -1
  shares  class shares of each node
  leaf    node that each row ends in
The splits of these trees leave no choice: no other division of a node's rows by one feature is as good by 1e-6 of the
node's weight, and with max_leaf_nodes no two splits are equally good.

oob.json: a table of 600 rows, a tenth of whose labels are wrong, and the out-of-bag accuracy of
RandomForestClassifier(oob_score=True) on it for 20 seeds.
"""

import json
import pathlib

import numpy as np
import sklearn
from sklearn.ensemble import RandomForestClassifier
from sklearn.tree import DecisionTreeClassifier

SEED = 20261123
N_TREES = 300
OUT = pathlib.Path(__file__).parents[2] / "testdata" / "parity" / "forest"


def impurity(weights, criterion):
    total = weights.sum()
    shares = weights / total
    if criterion == "gini":
        return total * (1 - (shares**2).sum())
    shares = shares[shares > 0]
    return -total * (shares * np.log2(shares)).sum()


def divisions(column, rows):
    """Every division of the rows by one column, as (rows on one side, rows on the other)."""
    values = column[rows]
    missing = np.isnan(values)
    for threshold in np.unique(values[~missing])[:-1]:
        below = values <= threshold
        yield below
        if missing.any():
            yield below | missing
    if missing.any() and not missing.all():
        yield missing


def is_clear(x, y, w, params, tree, rows_of):
    """Whether every split of the tree is the only best one."""
    n_classes = y.max() + 1
    class_weight = params["class_weight"] or [1] * n_classes
    weight = (np.ones(len(y)) if w is None else w) * np.array(class_weight)[y]
    min_leaf = params["min_samples_leaf"] or 1
    by_class = lambda rows: np.bincount(y[rows], weights=weight[rows], minlength=n_classes)
    taken = []
    for node, rows in enumerate(rows_of):
        if tree.children_left[node] < 0:
            continue
        total = impurity(by_class(rows), params["criterion"])
        found = {}
        for column in x.T:
            for side in divisions(column, rows):
                if min(side.sum(), (~side).sum()) < min_leaf:
                    continue
                key = frozenset(rows[side] if side[0] else rows[~side])
                gain = total - sum(impurity(by_class(rows[s]), params["criterion"]) for s in (side, ~side))
                # The same division by another feature is a tie, too.
                found.setdefault(key, []).append(gain / weight[rows].sum())
        gains = sorted((gain for same in found.values() for gain in same), reverse=True)
        if len(gains) > 1 and gains[0] - gains[1] < 1e-6:
            return False
        taken.append(gains[0] * weight[rows].sum() / weight.sum())
    gaps = np.diff(np.sort(taken))
    return params["max_leaf_nodes"] is None or len(gaps) == 0 or gaps.min() > 1e-6


def case(rng):
    n, n_features, n_classes = rng.integers(12, 60), rng.integers(1, 5), rng.integers(2, 5)
    # Multiples of a quarter, so that text says them exactly.
    x = rng.integers(0, 160, size=(n, n_features)) / 4 - 20
    y = ((x[:, 0] > rng.integers(-10, 10)) + rng.integers(0, n_classes, n) * (rng.random(n) < 0.4)).astype(int)
    y = np.unique(y % n_classes, return_inverse=True)[1]
    if rng.random() < 0.4:
        x[rng.random(x.shape) < 0.15] = np.nan
    # Whole numbers on both sides.
    w = rng.integers(1, 6, n).astype(float) if rng.random() < 0.4 else None
    maybe = lambda value, share=0.35: value if rng.random() < share else None
    params = {
        "criterion": str(rng.choice(["gini", "entropy"])),
        "max_depth": maybe(int(rng.integers(1, 5))),
        "min_samples_split": maybe(int(rng.integers(2, 12))),
        "min_samples_leaf": maybe(int(rng.integers(2, 6))),
        "max_leaf_nodes": maybe(int(rng.integers(2, 8))),
        "class_weight": maybe([float(c) / 2 for c in rng.integers(1, 9, y.max() + 1)]),
    }
    return x, y, w, params


def fit(x, y, w, params, **override):
    given = {name: value for name, value in (params | override).items() if value is not None}
    if "class_weight" in given:
        given["class_weight"] = dict(enumerate(given["class_weight"]))
    return DecisionTreeClassifier(**given, random_state=0).fit(x, y, sample_weight=w)


def trees():
    rng = np.random.default_rng(SEED)
    lines = [{"sklearn": sklearn.__version__, "numpy": np.__version__, "seed": SEED}]
    while len(lines) <= N_TREES:
        x, y, w, params = case(rng)
        if y.max() == 0:
            continue
        # Best-first growth looks at splits that it does not take: they must leave no choice either.
        whole = fit(x, y, w, params, max_leaf_nodes=None)
        paths = whole.decision_path(x).toarray().astype(bool).T
        if whole.tree_.node_count == 1 or not is_clear(x, y, w, params, whole.tree_, [np.flatnonzero(p) for p in paths]):
            continue
        model = fit(x, y, w, params)
        tree = model.tree_
        lines.append(
            {
                "x": [[None if np.isnan(v) else v for v in column] for column in x.T.tolist()],
                "y": y.tolist(),
                "w": None if w is None else w.tolist(),
                "params": params,
                "feature": [max(f, -1) for f in tree.feature.tolist()],
                "threshold": [t if np.isfinite(t) else None for t in tree.threshold.tolist()],
                "left": tree.children_left.tolist(),
                "right": tree.children_right.tolist(),
                "shares": [[round(v, 9) for v in node] for node in tree.value[:, 0, :].tolist()],
                "leaf": model.apply(x).tolist(),
            }
        )
    return lines


def oob():
    rng = np.random.default_rng(SEED)
    x = rng.integers(0, 100, size=(600, 8)).astype(float)
    y = ((x[:, 0] + x[:, 1] > 100).astype(int) + (rng.random(600) < 0.2) * rng.integers(0, 2, 600)) % 2
    accuracies = [
        RandomForestClassifier(oob_score=True, random_state=seed).fit(x, y).oob_score_ for seed in range(20)
    ]
    return {"x": x.T.astype(int).tolist(), "y": y.tolist(), "accuracies": [round(a, 9) for a in accuracies]}


def main():
    OUT.mkdir(parents=True, exist_ok=True)
    dump = lambda value: json.dumps(value, separators=(",", ":")) + "\n"
    (OUT / "trees.jsonl").write_text("".join(map(dump, trees())))
    (OUT / "oob.json").write_text(dump(oob()))


if __name__ == "__main__":
    main()
