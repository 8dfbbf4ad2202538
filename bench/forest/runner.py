"""Runs one measurement in a process of its own: of a peer by measure.py, of ours by the program in ours/."""

import json
import os
import pathlib
import subprocess
import sys
import tempfile
from dataclasses import dataclass, field
from importlib.metadata import version

import numpy as np

import datasets
from measure import judge

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parent.parent
THREADS = 2
# One measurement may take so long; the slowest, ten million rows, take scikit-learn a quarter of an hour.
LIMIT_SECONDS = 1800


@dataclass(frozen=True)
class Case:
    """A data set and the forest that everybody grows on it."""

    data: str
    title: str
    trees: int = 100
    # 0 is no limit.
    depth: int = 0
    # A power of two above the leaves of scikit-learn's largest tree.
    leaves: int = 1024
    # Whether category columns are numbers for everybody.
    ordinal: bool = False

    def flags(self, train_only):
        return [*(["--ordinal"] if self.ordinal else []), *(["--train-only"] if train_only else [])]


@dataclass(frozen=True)
class Runner:
    """Where programs and data are."""

    ours: pathlib.Path
    shared: pathlib.Path
    cache: pathlib.Path
    # Words before every command, such as those of taskset.
    prefix: list = field(default_factory=list)

    def folder(self, case):
        """The data set of a case; raises datasets.Absent."""
        return datasets.prepare(case.data, self.shared, self.cache)

    def measure_ours(self, case, seed, seconds=0.0, train_only=False, program=None, options=()):
        """What `program`, by default ours, prints of a case, and the quality of its probabilities."""
        folder = self.folder(case)
        with tempfile.TemporaryDirectory() as scratch:
            probabilities = pathlib.Path(scratch) / "probabilities.npy"
            values = {"trees": case.trees, "depth": case.depth, "threads": THREADS, "seed": seed, "seconds": seconds}
            words = [word for name, value in values.items() for word in (f"--{name}", str(value))]
            command = [program or self.ours, folder, probabilities, *words, *options, *case.flags(train_only)]
            result = self.run(command)
            if "cannot" not in result:
                data = datasets.load(folder)
                result |= judge(data.y_test, np.load(probabilities), len(data.classes))
            return result

    def measure_peer(self, library, name, case, seed, seconds=0.0, train_only=False, flags=()):
        """What measure.py prints of a case; `name` is the case's."""
        # Compiled models belong to these libraries and this forest.
        versions = "-".join(version(package) for package in ("scikit-learn", "lightgbm", "lleaves", "tl2cgen"))
        work = self.cache / f"forest-work-{datasets.VERSION}-{versions}" / name / library.split()[0]
        numbers = (case.trees, case.depth, case.leaves, THREADS, seed, seconds)
        command = [sys.executable, "measure.py", library, self.folder(case), work, *map(str, numbers)]
        return self.run([*command, *case.flags(train_only), *flags])

    def run(self, command):
        """The JSON of the last line that `command` prints, or `cannot`: what it died of."""
        environment = os.environ | {"OMP_NUM_THREADS": str(THREADS)}
        try:
            done = subprocess.run(
                [*self.prefix, *command],
                capture_output=True,
                text=True,
                cwd=HERE,
                timeout=LIMIT_SECONDS,
                env=environment,
            )
        except subprocess.TimeoutExpired:
            return {"cannot": f"not done within {LIMIT_SECONDS} s"}
        if done.returncode == 0 and done.stdout.strip():
            return json.loads(done.stdout.splitlines()[-1])
        said = (done.stderr.strip() or "it printed nothing").splitlines()[-1][:160]
        return {"cannot": f"ended with status {done.returncode}: {said}"}
