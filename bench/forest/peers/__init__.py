"""The libraries that the forest is measured beside, one module for each.

A peer is a class with the methods of `Peer`; `measure.py` calls them in the order in which they stand there. A peer
that cannot do a case raises `CannotDo` with the reason, which is printed in the table.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np


class CannotDo(Exception):
    """What a peer has no way to do."""


@dataclass(frozen=True)
class Forest:
    """The forest that every peer is asked for: Gini, square root of the features at a node, leaves of one row."""

    trees: int
    depth: int | None
    # More than the largest tree of scikit-learn has, for peers that grow leaf by leaf up to a bound.
    leaves: int
    threads: int
    seed: int


class Peer:
    """Defaults of a peer. `note` says where its forest or its measurement is another than asked for."""

    note = ""
    # Trains; the others score a forest that another library has trained.
    trains = True

    def __init__(self, forest: Forest, data, work: Path):
        """`work` is a folder for what is costly to make again, such as a compiled model."""
        self.forest, self.data, self.work = forest, data, work

    def load(self):
        """Imports the library; not timed."""

    def construct(self):
        """Brings the training data into the form that the library trains from. Timed by itself."""

    def fit(self):
        raise NotImplementedError

    def prepare(self):
        """Makes what scoring needs; not timed."""

    def probabilities(self, x):
        """rows x classes, float64."""
        raise NotImplementedError

    def one_row(self, rows, seconds):
        """Nanoseconds of each single-row prediction, one row after another, after a first round that is not counted. A
        slow peer stops after `seconds`. A peer that can only tell the mean has `one_row_mean` instead."""
        raise NotImplementedError

    def batch(self, x, threads):
        """A function that scores all of `x`, whose conversion to the library's own form is done already."""
        raise NotImplementedError


def both_classes(p):
    """Probability of the second class to rows x 2."""
    p = np.asarray(p, np.float64).reshape(-1)
    return np.column_stack([1 - p, p])
