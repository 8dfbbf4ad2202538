"""Compares our forests and logistic regression with scikit-learn's on NSL-KDD.

    forest_check.py NSL_KDD_FOLDER FIT_CSV [--full] [--classes 2|5] [--seeds N] [--threads N] [--trees N]
                    [--set NAME=VALUE...]

NSL_KDD_FOLDER holds KDDTrain+_20Percent.txt (or KDDTrain+.txt.gz with --full) and KDDTest+.txt; FIT_CSV is the release
build of `crates/phantomnet-learn/examples/fit_csv.rs`. --set gives a hyperparameter to the forests and trees of both sides.
Strings are ordinal-encoded for both sides alike. Prints the metrics of each side: mean and standard deviation over the
seeds, and the difference in standard errors. Needs numpy, pandas and scikit-learn (written against 1.9.1).
"""

import argparse
import pathlib
import subprocess
import tempfile
import time
from functools import partial

import numpy as np
import pandas as pd
from sklearn.ensemble import ExtraTreesClassifier, RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import accuracy_score, log_loss, roc_auc_score
from sklearn.preprocessing import StandardScaler
from sklearn.tree import DecisionTreeClassifier

DOS = "back land neptune pod smurf teardrop apache2 udpstorm processtable worm mailbomb".split()
PROBE = "satan ipsweep nmap portsweep mscan saint".split()
R2L = (
    "guess_passwd ftp_write imap phf multihop warezmaster warezclient spy xlock xsnoop snmpguess snmpgetattack "
    "httptunnel sendmail named"
).split()


def five_classes(attack):
    if attack == "normal":
        return 0
    return 1 if attack in DOS else 2 if attack in PROBE else 3 if attack in R2L else 4


def load(folder, full, n_classes):
    train = pd.read_csv(folder / ("KDDTrain+.txt.gz" if full else "KDDTrain+_20Percent.txt"), header=None)
    test = pd.read_csv(folder / "KDDTest+.txt", header=None)
    label = (lambda a: int(a != "normal")) if n_classes == 2 else five_classes
    y, y_test = (frame[41].map(label).to_numpy() for frame in (train, test))
    x, x_test = train.iloc[:, :41].copy(), test.iloc[:, :41].copy()
    for j in (1, 2, 3):
        codes = {value: i for i, value in enumerate(sorted(x[j].unique()))}
        x[j] = x[j].map(codes)
        x_test[j] = x_test[j].map(codes).fillna(-1)
    return x.to_numpy(np.float32), y, x_test.to_numpy(np.float32), y_test


def judge(y, p):
    p = np.asarray(p, np.float64)
    p /= p.sum(axis=1, keepdims=True)
    auc = roc_auc_score(y, p[:, 1]) if p.shape[1] == 2 else roc_auc_score(y, p, multi_class="ovr")
    return accuracy_score(y, p.argmax(axis=1)), log_loss(y, p), auc


def write(path, x, y):
    pd.DataFrame(np.column_stack([x.astype(np.float64), y])).astype({x.shape[1]: int}).to_csv(
        path, header=False, index=False
    )


def ours(program, learner, files, seed, threads, *params):
    result = subprocess.run(
        [program, learner, *files, str(seed), str(threads), *params], capture_output=True, text=True, check=True
    )
    if result.stderr:
        print(result.stderr.strip())
    return pd.read_csv(files[2], header=None).to_numpy(), float(result.stdout)


def table(rows):
    """rows: metric name -> (our values, their values)"""
    print(f"{'metric':<10} {'ours':>18} {'scikit-learn':>18} {'difference':>11} {'in s.e.':>8}")
    for name, (a, b) in rows.items():
        a, b = np.asarray(a), np.asarray(b)
        error = np.sqrt((a.var(ddof=1) + b.var(ddof=1)) / len(a)) if len(a) > 1 else np.nan
        difference = a.mean() - b.mean()
        spread = [v.std(ddof=1) if len(v) > 1 else np.nan for v in (a, b)]
        print(
            f"{name:<10} {a.mean():>9.5f} ±{spread[0]:<7.5f} {b.mean():>9.5f} ±{spread[1]:<7.5f} "
            f"{difference:>+11.5f} {difference / error if error else np.nan:>+8.2f}"
        )


def value_of(text):
    """The Python value of a hyperparameter that our program takes as text."""
    for parse in (int, float):
        try:
            return parse(text)
        except ValueError:
            pass
    return {"true": True, "false": False}.get(text, text)


def forests(n_trees, n_threads, params):
    """Our name, our params, and scikit-learn's classifier of a seed."""
    params = dict(param.split("=") for param in params)
    theirs = {name: value_of(text) for name, text in params.items()}
    own = [f"{name}={text}" for name, text in params.items()]
    for name, classifier in [("random_forest", RandomForestClassifier), ("extra_trees", ExtraTreesClassifier)]:
        fit = partial(classifier, n_trees, n_jobs=n_threads, **theirs)
        yield name, [f"n_estimators={n_trees}", *own], fit
    yield "decision_tree", own, partial(DecisionTreeClassifier, **theirs)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=pathlib.Path)
    parser.add_argument("program")
    parser.add_argument("--full", action="store_true")
    parser.add_argument("--classes", type=int, choices=(2, 5), default=2)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--trees", type=int, default=100)
    parser.add_argument("--set", action="append", default=[], dest="params", metavar="NAME=VALUE")
    args = parser.parse_args()

    x, y, x_test, y_test = load(args.folder, args.full, args.classes)
    names = ("accuracy", "log loss", "ROC AUC", "fit s")
    print(f"{len(y)} rows, {args.classes} classes, {args.trees} trees, {args.seeds} seeds, {args.threads} threads")
    with tempfile.TemporaryDirectory() as folder:
        files = [str(pathlib.Path(folder) / name) for name in ("train.csv", "test.csv", "out.csv")]
        write(files[0], x, y)
        write(files[1], x_test, y_test)
        for learner, params, classifier in forests(args.trees, args.threads, args.params):
            rows = {name: ([], []) for name in names}
            for seed in range(args.seeds):
                p, seconds = ours(args.program, learner, files, seed, args.threads, *params)
                for name, value in zip(names, (*judge(y_test, p), seconds)):
                    rows[name][0].append(value)
                theirs = classifier(random_state=seed)
                start = time.perf_counter()
                theirs.fit(x, y)
                seconds = time.perf_counter() - start
                for name, value in zip(names, (*judge(y_test, theirs.predict_proba(x_test)), seconds)):
                    rows[name][1].append(value)
            print(learner)
            table(rows)

        scaler = StandardScaler().fit(x.astype(np.float64))
        # Its L-BFGS stops early at any tolerance: on two classes at a gradient of 1.5e-5.
        theirs = LogisticRegression(solver="newton-cholesky", max_iter=5000, tol=1e-8).fit(scaler.transform(x), y)
        q = theirs.predict_proba(scaler.transform(x_test))
        p, seconds = ours(args.program, "logistic", files, 0, args.threads, "max_iter=5000", "tol=1e-7")
        print("logistic regression, tight tolerance on both sides")
        table({name: ([a], [b]) for name, a, b in zip(names, (*judge(y_test, p), seconds), (*judge(y_test, q), np.nan))})
        print(f"largest difference of a probability: {np.abs(p - q).max():.2e}")
        p, _ = ours(args.program, "logistic", files, 0, args.threads)
        print(f"with the default tolerance and 100 iterations: {np.abs(p - q).max():.2e}")


if __name__ == "__main__":
    main()
