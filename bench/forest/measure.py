"""One measurement of one peer in a process of its own; prints one line of JSON.

    measure.py PEER DATA_FOLDER WORK_FOLDER TREES DEPTH LEAVES THREADS SEED SECONDS [--train-only] [--ordinal]
               [--prepare]

DEPTH 0 is no limit; LEAVES is for peers that bound the size of a tree. WORK_FOLDER keeps converted and compiled models.
SECONDS bounds each timed loop of scoring. With --ordinal, category columns are numbers for every library. With
--prepare, models are only converted and compiled, and kept.
"""

import dataclasses
import importlib
import json
import os
import sys
import time
from pathlib import Path

import numpy as np

import datasets
from peers import CannotDo, Forest

PEERS = {
    "scikit-learn": "scikit_learn.ScikitLearn",
    "scikit-learn-intelex": "scikit_learn.ScikitLearnIntelex",
    "extra trees (scikit-learn)": "scikit_learn.ExtraTrees",
    "LightGBM": "lightgbm.LightGbm",
    "LightGBM 1024 leaves": "lightgbm.SmallLightGbm",
    "XGBoost": "xgboost.XgBoost",
    "YDF": "yggdrasil.Ydf",
    "YDF discretized": "yggdrasil.YdfDiscretized",
    "biosphere": "rust_biosphere.Biosphere",
    "ONNX Runtime": "compiled_forest.OnnxRuntime",
    "treelite": "compiled_forest.Treelite",
    "lleaves": "lightgbm.Lleaves",
}


def peer_class(name):
    module, attribute = PEERS[name].split(".")
    return getattr(importlib.import_module(f"peers.{module}"), attribute)


def memory_mib(key):
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(key + ":"):
            return int(line.split()[1]) / 1024
    raise KeyError(key)


class Step:
    """What a call costs in time and in memory (Linux)."""

    def __init__(self, call):
        # Makes the peak of the resident set start anew at its present size.
        Path("/proc/self/clear_refs").write_text("5")
        cpu, started = sum(os.times()[:2]), time.perf_counter()
        call()
        self.wall_s, self.cpu_s = time.perf_counter() - started, sum(os.times()[:2]) - cpu
        self.peak_mib = memory_mib("VmHWM")


def rows_per_second(score, n_rows, seconds):
    """From the median time of scoring the batch again and again."""
    score()
    taken, end = [], time.perf_counter() + seconds
    while not taken or time.perf_counter() < end:
        started = time.perf_counter()
        score()
        taken.append(time.perf_counter() - started)
    return n_rows / float(np.median(taken))


def judge(y, p, n_classes):
    """Log loss and ROC AUC as scikit-learn computes them from float64; many classes one against the rest."""
    from sklearn.metrics import log_loss, roc_auc_score

    p = np.asarray(p, np.float64)
    # Sums of float32 leave 1 by a last digit.
    p = np.clip(p, 0, None)
    p = np.minimum(p / p.sum(axis=1, keepdims=True), 1)
    area = roc_auc_score(y, p[:, 1]) if n_classes == 2 else roc_auc_score(y, p, multi_class="ovr")
    return {"log_loss": log_loss(y, p, labels=range(n_classes)), "roc_auc": area}


def main():
    name, folder, work, *numbers, seconds = sys.argv[1:10]
    trees, depth, leaves, threads, seed = map(int, numbers)
    seconds = float(seconds)
    train_only = "--train-only" in sys.argv
    data = datasets.load(folder)
    if "--ordinal" in sys.argv:
        data = dataclasses.replace(data, categories={})
    peer = peer_class(name)(Forest(trees, depth or None, leaves, threads, seed), data, Path(work))
    result = {}
    peer.load()
    if "--prepare" in sys.argv:
        peer.prepare()
        return result
    if peer.trains:
        before = memory_mib("VmRSS")
        construct = Step(peer.construct)
        constructed = memory_mib("VmRSS")
        fit = Step(peer.fit)
        result["construct_s"], result["fit_s"] = construct.wall_s, fit.wall_s
        result["cpu_s"] = construct.cpu_s + fit.cpu_s
        result["all_mib"] = max(construct.peak_mib, fit.peak_mib) - before
        result["fit_mib"] = fit.peak_mib - constructed
    else:
        peer.prepare()
    result |= judge(data.y_test, peer.probabilities(data.x_test), len(data.classes))
    if not train_only:
        if hasattr(peer, "one_row_mean"):
            result["row_mean_ns"] = peer.one_row_mean(data.x_test, seconds)
        else:
            taken = np.asarray(peer.one_row(data.x_test, seconds), np.float64)
            result["row_p50_ns"], result["row_p99_ns"] = (float(np.percentile(taken, q)) for q in (50, 99))
        for n in (1, 2):
            speed = rows_per_second(peer.batch(data.x_test, n), len(data.x_test), seconds)
            if hasattr(peer, "benchmark_rows_per_second"):
                speed = max(speed, peer.benchmark_rows_per_second(data.x_test, n, seconds))
            result[f"rows_s_{n}"] = speed
    return result


if __name__ == "__main__":
    try:
        print(json.dumps(main()))
    except CannotDo as reason:
        print(json.dumps({"cannot": str(reason)}))
