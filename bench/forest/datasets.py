"""The data of the forest benchmarks as .npy files, made once from the shared folder or from a seed.

Vocabulary: a *data set* is a folder with x_train.npy and x_test.npy (float32, C order, rows x features), y_train.npy
and y_test.npy (int32, class indices) and about.json (features, classes, category columns and their number of codes).
Category columns hold codes from 0 in string order of the training values; -1 is a value that training did not meet.
"""

import csv
import gzip
import json
import math
import pathlib
import re
from collections import Counter
from dataclasses import dataclass

import numpy as np

# Raised when what this file writes changes, so that caches of older runs are not read.
VERSION = 1

SYNTHETIC_FEATURES = 32
SYNTHETIC_TEST_ROWS = 20_000
CHUNK = 250_000

NSL_FAMILIES = {
    "dos": "back land neptune pod smurf teardrop apache2 udpstorm processtable worm mailbomb",
    "probe": "satan ipsweep nmap portsweep mscan saint",
    "r2l": "guess_passwd ftp_write imap phf multihop warezmaster warezclient spy xlock xsnoop snmpguess "
    "snmpgetattack httptunnel sendmail named",
}
NSL_FAMILY_OF = {attack: family for family, attacks in NSL_FAMILIES.items() for attack in attacks.split()}


class Absent(Exception):
    """The files of a data set are not on this machine."""


@dataclass(frozen=True)
class Table:
    """A data set in memory."""

    x_train: np.ndarray
    y_train: np.ndarray
    x_test: np.ndarray
    y_test: np.ndarray
    classes: list
    categories: dict  # column index -> number of codes


def read(path):
    if not path.exists():
        raise Absent(f"{path.name} is not in the folder of shared data")
    raw = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
    return raw.decode("utf-8-sig", errors="replace")


def encode(values, known=None):
    """Labels or category values to codes in string order; values outside `known` become -1."""
    known = sorted(set(values)) if known is None else known
    code = {value: i for i, value in enumerate(known)}
    return np.array([code.get(value, -1) for value in values], np.int32), known


def nsl_kdd(folder, n_classes, sample):
    train_file = "KDDTrain+_20Percent.txt" if sample else "KDDTrain+.txt.gz"
    parts = [
        [line.split(",") for line in read(folder / "nsl_kdd" / name).splitlines()]
        for name in (train_file, "KDDTest+.txt")
    ]
    names = ["normal", "attack"] if n_classes == 2 else ["normal", "dos", "probe", "r2l", "u2r"]

    def label(attack):
        if attack == "normal":
            return 0
        return 1 if n_classes == 2 else names.index(NSL_FAMILY_OF.get(attack, "u2r"))

    matrices = [np.empty((len(rows), 41), np.float32) for rows in parts]
    categories = {}
    for j in range(41):
        columns = [[row[j] for row in rows] for rows in parts]
        if j in (1, 2, 3):
            columns[0], known = encode(columns[0])
            columns[1], _ = encode(columns[1], known)
            categories[j] = len(known)
        for matrix, column in zip(matrices, columns):
            matrix[:, j] = np.asarray(column, np.float32)
    labels = [np.array([label(row[41]) for row in rows], np.int32) for rows in parts]
    return Table(matrices[0], labels[0], matrices[1], labels[1], names, categories)


KEYWORDS = (
    "select union script alert or and from insert drop cat etc passwd exec onerror sleep null char javascript"
).split()
PUNCTUATION = "'\"<>;=()/\\.%-#&|$*,:+ "


def text_features(text):
    """Numbers that need no learning: lengths, shares of kinds of characters, counts of signs and words, entropy."""
    n = len(text)
    counts = Counter(text)
    entropy = -sum(c / n * math.log2(c / n) for c in counts.values()) if n else 0.0
    words = re.findall(r"[a-z_]+", text.lower())
    frequency = Counter(words)
    return [
        n,
        len(counts),
        entropy,
        sum(c.isdigit() for c in text) / max(n, 1),
        sum(c.isalpha() for c in text) / max(n, 1),
        sum(c.isupper() for c in text) / max(n, 1),
        sum(ord(c) > 126 or ord(c) < 32 for c in text),
        max(map(len, words), default=0),
        max(map(len, re.findall(r"[^A-Za-z0-9]+", text)), default=0),
        *(counts[c] for c in PUNCTUATION),
        *(frequency[k] for k in KEYWORDS),
    ]


def texts(rows):
    return np.array([text_features(text) for text in rows], np.float32)


def http_params(folder):
    parts = []
    for name in ("payload_train.csv", "payload_test.csv"):
        rows = list(csv.DictReader(read(folder / "http_params" / name).splitlines()))
        labels = np.array([row["label"] != "norm" for row in rows], np.int32)
        parts += [texts([row["payload"] for row in rows]), labels]
    return Table(*parts, ["norm", "anom"], {})


def split(x, y, classes, categories=None):
    """Three tenths of the rows of each class, drawn by a fixed seed, are the test part."""
    draw = np.random.default_rng(7)
    test = np.zeros(len(y), bool)
    for c in range(len(classes)):
        rows = np.flatnonzero(y == c)
        test[draw.permutation(rows)[: round(0.3 * len(rows))]] = True
    return Table(x[~test], y[~test], x[test], y[test], classes, categories or {})


def cic(folder, by_family):
    lines = read(folder / "cic_ids2017" / "CICIDS2017_sample.csv").splitlines()
    rows = sorted({tuple(row) for row in csv.reader(lines[1:])})
    x = np.array([row[:-1] for row in rows], np.float64)
    # A rate over no time is infinite, which several peers refuse: ten times the column's largest finite value.
    largest = np.where(np.isfinite(x), x, -np.inf).max(axis=0)
    x = np.where(np.isposinf(x), 10 * largest, x).astype(np.float32)
    labels = [row[-1] if by_family or row[-1] == "BENIGN" else "ATTACK" for row in rows]
    y, classes = encode(labels, None if by_family else ["BENIGN", "ATTACK"])
    return split(x, y, classes)


def csic_2010(folder):
    decoded = folder / "csic2010" / "decoded"
    normal = sorted(set(read(decoded / "normal.txt.gz").split("\n")) - {""})
    attack = sorted(set(read(decoded / "anomalous.txt.gz").split("\n")) - {""} - set(normal))
    y = np.repeat(np.array([0, 1], np.int32), [len(normal), len(attack)])
    return split(texts(normal + attack), y, ["normal", "anomalous"])


def xss(folder):
    rows = csv.DictReader(read(folder / "web_payloads" / "XSS_dataset.csv").splitlines(keepends=True))
    labelled = dict(sorted((row["Sentence"], int(row["Label"])) for row in rows))
    return split(texts(labelled), np.array(list(labelled.values()), np.int32), ["benign", "attack"])


def synthetic_rows(draw, n):
    """A third of the features bear on the label, alone, in pairs and by oscillation; a fifth of the labels is noise."""
    x = draw.standard_normal((n, SYNTHETIC_FEATURES), dtype=np.float32)
    # As in logs: a few features are small counts, a few have long tails.
    x[:, 24:28] = np.floor(np.abs(x[:, 24:28]) * 4)
    x[:, 28:] = np.exp(1.5 * x[:, 28:])
    score = (
        x[:, 0]
        + x[:, 1] * x[:, 2]
        + np.sin(3 * x[:, 3])
        + 0.5 * np.abs(x[:, 4])
        - 0.8 * x[:, 5] * (x[:, 6] > 0)
        + 0.2 * (x[:, 24] - 2)
        + 0.5 * np.log(x[:, 28])
        - 0.4
    )
    noise = draw.standard_normal(n, dtype=np.float32)
    return x, (score + noise > 0).astype(np.int32)


def synthetic(n_rows, folder):
    """Written chunk by chunk: ten million rows are never in memory twice."""
    x = np.lib.format.open_memmap(folder / "x_train.npy", "w+", np.float32, (n_rows, SYNTHETIC_FEATURES))
    y = np.empty(n_rows, np.int32)
    for start in range(0, n_rows, CHUNK):
        end = min(start + CHUNK, n_rows)
        # A seed for each chunk: a small table is the head of a larger one.
        x[start:end], y[start:end] = synthetic_rows(np.random.default_rng([20, start]), end - start)
    x.flush()
    np.save(folder / "y_train.npy", y)
    x_test, y_test = synthetic_rows(np.random.default_rng(21), SYNTHETIC_TEST_ROWS)
    np.save(folder / "x_test.npy", x_test)
    np.save(folder / "y_test.npy", y_test)
    return ["zero", "one"], {}


SOURCES = {
    "nsl_kdd_2": lambda folder: nsl_kdd(folder, 2, sample=False),
    "nsl_kdd_5": lambda folder: nsl_kdd(folder, 5, sample=False),
    "nsl_kdd_20_percent": lambda folder: nsl_kdd(folder, 2, sample=True),
    "http_params": http_params,
    "cic_2": lambda folder: cic(folder, by_family=False),
    "cic_families": lambda folder: cic(folder, by_family=True),
    "csic_2010": csic_2010,
    "xss": xss,
}
SYNTHETIC = {"10k": 10_000, "100k": 100_000, "1m": 1_000_000, "10m": 10_000_000}


def prepare(name, shared, cache):
    """The folder of the data set `name` below `cache`, made if it is not there. Raises Absent."""
    folder = cache / f"forest-data-{VERSION}" / name
    if (folder / "about.json").exists():
        return folder
    folder.mkdir(parents=True, exist_ok=True)
    if name in SYNTHETIC:
        classes, categories = synthetic(SYNTHETIC[name], folder)
    else:
        table = SOURCES[name](shared)
        classes, categories = table.classes, table.categories
        for part in ("x_train", "y_train", "x_test", "y_test"):
            np.save(folder / f"{part}.npy", getattr(table, part))
    about = {"classes": classes, "categories": {str(column): n for column, n in categories.items()}}
    (folder / "about.json").write_text(json.dumps(about))
    return folder


def load(folder):
    folder = pathlib.Path(folder)
    about = json.loads((folder / "about.json").read_text())
    parts = (np.load(folder / f"{part}.npy") for part in ("x_train", "y_train", "x_test", "y_test"))
    return Table(*parts, about["classes"], {int(column): n for column, n in about["categories"].items()})


def shape(folder):
    """Training rows and features of a prepared data set."""
    return np.load(folder / "x_train.npy", mmap_mode="r").shape
