"""XGBoost as a random forest: one round of many parallel trees."""

import ctypes
import json
import math

import numpy as np

from . import Peer, both_classes
from .timing import compiled, in_c, pointer


class XgBoost(Peer):
    note = (
        "one round of parallel trees; a bag is 63.2 % of the rows without replacement; leaves hold logits, whose sum "
        "is the forest's; with several classes one tree a class; native categories"
    )

    def matrix(self, x):
        """A copy with unmet categories as missing values, which it takes for both."""
        x = np.array(x, np.float32)
        for column in self.data.categories:
            x[x[:, column] < 0, column] = np.nan
        return x

    def load(self):
        import xgboost

        self.library = xgboost

    def construct(self):
        data = self.data
        types = ["c" if j in data.categories else "q" for j in range(data.x_train.shape[1])]
        self.options = {"feature_types": types, "enable_categorical": True, "nthread": self.forest.threads}
        self.dataset = self.library.QuantileDMatrix(data.x_train, data.y_train, max_bin=256, **self.options)

    def fit(self):
        n_classes, forest = len(self.data.classes), self.forest
        n_features = self.data.x_train.shape[1]
        params = {
            "tree_method": "hist",
            "max_bin": 256,
            "num_parallel_tree": forest.trees,
            "subsample": 0.632,
            "colsample_bynode": round(math.sqrt(n_features)) / n_features,
            "learning_rate": 1.0,
            "reg_lambda": 0.0,
            "min_child_weight": 0.0,
            "max_depth": forest.depth or 0,
            "base_score": 0.5,
            "nthread": forest.threads,
            "seed": forest.seed,
        }
        params |= (
            {"objective": "binary:logistic"}
            if n_classes == 2
            else {"objective": "multi:softprob", "num_class": n_classes}
        )
        self.model = self.library.train(params, self.dataset, num_boost_round=1)

    def probabilities(self, x):
        p = self.model.predict(self.library.DMatrix(self.matrix(x), **self.options))
        return both_classes(p) if len(self.data.classes) == 2 else np.asarray(p, np.float64)

    def one_row(self, rows, seconds):
        # Some tenths of a millisecond a row.
        rows = self.matrix(rows[: int(4000 * seconds)])
        self.model.set_param({"nthread": 1})
        buffer = np.zeros(rows.shape[1], np.float32)
        array = {"data": [buffer.ctypes.data, False], "shape": [1, rows.shape[1]], "typestr": "<f4", "version": 3}
        config = {"type": 0, "training": False, "iteration_begin": 0, "iteration_end": 0, "missing": math.nan,
                  "strict_shape": False, "cache_id": 0}  # fmt: skip
        predict = ctypes.cast(self.library.core._LIB.XGBoosterPredictFromDense, ctypes.c_void_p)
        texts = [ctypes.c_char_p(json.dumps(value).encode()) for value in (array, config)]
        size = [ctypes.c_size_t(n) for n in rows.shape]
        loop = compiled(self.work).time_xgboost
        return in_c(loop, predict, self.model.handle, *texts, pointer(buffer), pointer(rows), *size, n_rows=len(rows))

    def batch(self, x, threads):
        x = self.matrix(x)

        def score():
            self.model.set_param({"nthread": threads})
            return self.model.inplace_predict(x)

        return score
