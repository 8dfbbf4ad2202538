"""biosphere, a random forest in Rust with a Python package."""

import numpy as np

from . import CannotDo, Peer, both_classes
from .timing import each_call


class Biosphere(Peer):
    note = "trees of regression on 0 and 1 (the same splits as Gini); its batch prediction has no choice of threads"

    def load(self):
        import biosphere

        self.library = biosphere

    def construct(self):
        if len(self.data.classes) > 2:
            raise CannotDo("two classes only")
        # Its one input form is float64.
        self.x, self.y = self.data.x_train.astype(np.float64), self.data.y_train.astype(np.float64)

    def fit(self):
        forest = self.forest
        self.model = self.library.RandomForest(
            n_estimators=forest.trees,
            max_depth=forest.depth,
            max_features="sqrt",
            random_state=forest.seed,
            n_jobs=forest.threads,
        )
        self.model.fit(self.x, self.y)

    def probabilities(self, x):
        return both_classes(self.model.predict(x.astype(np.float64)))

    def one_row(self, rows, seconds):
        return each_call(self.model.predict, rows.astype(np.float64), seconds)

    def batch(self, x, threads):
        x = x.astype(np.float64)
        return lambda: self.model.predict(x)
