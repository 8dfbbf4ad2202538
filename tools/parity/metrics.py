"""Makes testdata/parity/metrics: judged predictions and what scikit-learn says of them.

Usage: python tools/parity/metrics.py        (scikit-learn 1.9.1, scipy 1.17.1, numpy 2.4.6)

cases.jsonl, first line: versions, seed, and the keys of the values by number of classes.
Every other line is one case:
  y    label of each row
  p, q numerators and denominator of the probabilities, n x C, row-major; a probability is the quotient in float64
       rounded to float32, which Rust and numpy do alike
  pos  positive class (two classes only)
  t    decision threshold, null for the class of the highest probability
  zd   zero_division: 0, 1 or "nan"
  m    confusion matrix, row-major
  v    values in the order of the keys, "nan" for NaN
  cal  calibration curve of the positive class in 5 bins: [positive shares, mean scores]

wilson.jsonl: [successes, trials, lo, hi] of scipy's 95 % Wilson interval.
"""

import json
import math
import pathlib
import warnings

import numpy as np
import scipy
import scipy.stats
import sklearn
from sklearn import metrics as sk
from sklearn.calibration import calibration_curve

SEED = 20261123
N_CASES = 2400
OUT = pathlib.Path(__file__).parents[2] / "testdata" / "parity" / "metrics"


def keys(n_classes):
    two = n_classes == 2
    names = ["accuracy", "balanced_accuracy", "precision", "recall", "f1", "roc_auc"]
    names += [] if two else ["roc_auc_weighted"]
    names += ["pr_auc", "log_loss", "brier", "mcc"]
    names += ["tp", "fp", "tn", "fn"] if two else []
    names += [f"{m}_{a}" for a in ("macro", "weighted", "micro") for m in ("precision", "recall", "f1")]
    names += [f"{m}.{c}" for c in range(n_classes) for m in ("precision", "recall", "f1", "support")]
    return names


def judge(y, p, pos, threshold, zero_division):
    """Values by key, from scikit-learn wherever it defines them."""
    n_classes = p.shape[1]
    labels = list(range(n_classes))
    if threshold is None:
        predicted = p.argmax(axis=1)
    else:
        predicted = np.where(p[:, pos].astype(np.float64) > threshold, pos, 1 - pos)
    zd = {"zero_division": zero_division}
    # float64 copies of the float32 values: the ranking is the same, and the log loss is clipped as for
    # probabilities that were float64 from the start.
    wide = p.astype(np.float64)
    v = {
        "accuracy": sk.accuracy_score(y, predicted),
        "balanced_accuracy": sk.balanced_accuracy_score(y, predicted),
        "log_loss": sk.log_loss(y, wide, labels=labels),
        "mcc": sk.matthews_corrcoef(y, predicted),
    }
    confusion = sk.confusion_matrix(y, predicted, labels=labels)
    if n_classes == 2:
        positive = (y == pos).astype(int)
        flagged = (predicted == pos).astype(int)
        tn, fp, fn, tp = sk.confusion_matrix(positive, flagged, labels=[0, 1]).ravel()
        v |= {"tp": tp, "fp": fp, "tn": tn, "fn": fn}
        v["precision"] = sk.precision_score(positive, flagged, **zd)
        v["recall"] = sk.recall_score(positive, flagged, **zd)
        v["f1"] = sk.f1_score(positive, flagged, **zd)
        v["roc_auc"] = sk.roc_auc_score(positive, p[:, pos])
        v["pr_auc"] = sk.average_precision_score(positive, p[:, pos])
        v["brier"] = sk.brier_score_loss(positive, wide[:, pos], pos_label=1)
    else:
        one_hot = np.eye(n_classes, dtype=int)[y]
        for key, average in (("roc_auc", "macro"), ("roc_auc_weighted", "weighted")):
            v[key] = sk.roc_auc_score(one_hot, wide, average=average)
        v["pr_auc"] = sk.average_precision_score(one_hot, wide, average="macro")
        v["brier"] = sk.brier_score_loss(y, wide, labels=labels)
    for average in ("macro", "weighted", "micro"):
        # No `labels`: scikit-learn then averages over the classes that occur or are predicted.
        scores = sk.precision_recall_fscore_support(y, predicted, average=average, **zd)
        for name, value in zip(("precision", "recall", "f1"), scores):
            v[f"{name}_{average}"] = value
    by_class = sk.precision_recall_fscore_support(y, predicted, labels=labels, average=None, **zd)
    for name, values in zip(("precision", "recall", "f1", "support"), by_class):
        for c in labels:
            v[f"{name}.{c}"] = values[c]
    if n_classes > 2:
        for name in ("precision", "recall", "f1"):
            v[name] = v[f"{name}_macro"]
    return v, confusion


def draw_case(rng, i):
    """Rows of one case; `i` cycles through the kinds, the degenerate ones included."""
    kind = i % 12
    n_classes = 2 if i // 12 % 2 == 0 else int(rng.integers(3, 7))
    n = int(rng.choice([1, rng.integers(2, 13), rng.integers(2, 61)], p=[0.05, 0.6, 0.35]))
    n = min(n, 120 // n_classes)
    prior = rng.dirichlet(np.full(n_classes, 2.0))
    y = rng.choice(n_classes, size=n, p=prior)
    if kind == 1:  # one class only, with two classes: no positive or no negative
        y[:] = rng.integers(n_classes)
    if kind == 2:  # the last class does not occur
        y = rng.integers(max(n_classes - 1, 1), size=n)
    q = int(rng.choice([1, 2, 5, 10, 200, 1000]))
    if kind == 3:  # scores that differ as float64 and may be one as float32
        q = 2**30
    skill = rng.uniform(0, 3)
    weights = rng.dirichlet(np.full(n_classes, 0.7), size=n)
    weights[np.arange(n), y] += skill * rng.random(n)
    weights /= weights.sum(axis=1, keepdims=True)
    if kind == 4:  # every score the same
        weights[:] = weights[0]
    if kind == 5:  # never wrong, always sure
        weights = np.eye(n_classes)[y]
    if kind == 6:  # always wrong, always sure
        weights = np.eye(n_classes)[(y + 1) % n_classes]
    if kind == 7:  # the same class predicted for all
        weights = 0.1 * weights
        weights[:, int(rng.integers(n_classes))] += 0.9
    if kind == 3:
        weights = weights[rng.integers(max(n // 4, 1), size=n)]
    p = np.floor(weights * q).astype(np.int64)
    if kind == 3:
        p[:, 0] += rng.integers(-20, 21, size=n)
        p = np.clip(p, 0, q)
        p[:, -1] = np.clip(q - p[:, :-1].sum(axis=1), 0, q)
    # What rounding down left over goes to one class, so that rows add up to q.
    p[np.arange(n), rng.integers(n_classes, size=n)] += q - p.sum(axis=1)
    assert (p >= 0).all() and (p <= q).all() and (p.sum(axis=1) == q).all()
    pos = int(rng.integers(2)) if n_classes == 2 else None
    threshold = None
    if n_classes == 2 and rng.random() < 0.5:
        # Sometimes exactly a score that occurs.
        of_row = float(np.float32(p[rng.integers(n), pos] / q))
        threshold = of_row if rng.random() < 0.5 else round(float(rng.random()), 3)
    return y, p, q, pos, threshold, [0, 1, "nan"][int(rng.integers(3))]


def plain(value):
    value = float(value)
    return "nan" if math.isnan(value) else int(value) if value.is_integer() else float(f"{value:.12g}")


def main():
    warnings.simplefilter("ignore")
    OUT.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(SEED)
    dump = lambda x: json.dumps(x, separators=(",", ":")) + "\n"
    with open(OUT / "cases.jsonl", "w") as out:
        out.write(dump({
            "sklearn": sklearn.__version__,
            "numpy": np.__version__,
            "seed": SEED,
            "keys": {str(c): keys(c) for c in range(2, 7)},
        }))
        for i in range(N_CASES):
            y, p, q, pos, threshold, zd = draw_case(rng, i)
            probs = (p / q).astype(np.float32)
            v, confusion = judge(y, probs, pos, threshold, np.nan if zd == "nan" else zd)
            case = {"y": y.tolist(), "p": p.ravel().tolist(), "q": q, "pos": pos, "t": threshold, "zd": zd}
            case["m"] = confusion.ravel().tolist()
            case["v"] = [plain(v[key]) for key in keys(p.shape[1])]
            if pos is not None:
                curve = calibration_curve(y == pos, probs[:, pos].astype(np.float64), n_bins=5, pos_label=True)
                case["cal"] = [[plain(x) for x in side] for side in curve]
            out.write(dump(case))
    with open(OUT / "wilson.jsonl", "w") as out:
        for n in [1, 2, 3, 5, 10, 44, 220, 1000, 25_000, 4_000_000_000]:
            for k in sorted({0, 1, n // 7, n // 2, n - 1, n}):
                ci = scipy.stats.binomtest(k, n).proportion_ci(0.95, method="wilson")
                out.write(dump([k, n, float(ci.low), float(ci.high)]))


main()
