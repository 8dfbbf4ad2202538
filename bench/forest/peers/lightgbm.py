"""LightGBM in its random forest mode, and lleaves, which compiles LightGBM's models."""

import ctypes
import dataclasses
import math

import numpy as np

from . import CannotDo, Peer, both_classes
from .timing import compiled, in_c, pointer

# lleaves makes LLVM code of each leaf: five minutes for a hundred thousand of them.
MAX_COMPILED_LEAVES = 100_000


class LightGbm(Peer):
    note = (
        "rf mode: trees grow leaf by leaf, up to the power of two above the leaves of scikit-learn's; a bag is 63.2 % "
        "of the rows without replacement; with several classes one tree a class and round; native categories"
    )

    def load(self):
        import lightgbm

        self.library = lightgbm

    def construct(self):
        data = self.data
        self.params = {"verbosity": -1, "num_threads": self.forest.threads, "max_bin": 255, "seed": self.forest.seed}
        # Without it, features are left out for a leaf size of 20 rows.
        self.params |= {"feature_pre_filter": False}
        self.dataset = self.library.Dataset(
            data.x_train, data.y_train, categorical_feature=list(data.categories), params=self.params
        ).construct()

    def fit(self):
        n_classes, forest = len(self.data.classes), self.forest
        n_features = self.data.x_train.shape[1]
        params = self.params | {
            "boosting": "rf",
            "bagging_freq": 1,
            "bagging_fraction": 0.632,
            "feature_fraction_bynode": round(math.sqrt(n_features)) / n_features,
            "min_data_in_leaf": 1,
            "min_sum_hessian_in_leaf": 0.0,
            "max_depth": forest.depth or -1,
            "num_leaves": forest.leaves,
        }
        params |= {"objective": "binary"} if n_classes == 2 else {"objective": "multiclass", "num_class": n_classes}
        self.model = self.library.train(params, self.dataset, num_boost_round=forest.trees)

    def probabilities(self, x):
        p = self.model.predict(x)
        return both_classes(p) if len(self.data.classes) == 2 else p

    def one_row(self, rows, seconds):
        rows = np.ascontiguousarray(rows, np.float64)
        library, config = self.library.basic._LIB, ctypes.c_void_p()
        status = library.LGBM_BoosterPredictForMatSingleRowFastInit(
            self.model._handle,
            ctypes.c_int(0),  # probabilities
            ctypes.c_int(0),
            ctypes.c_int(-1),
            ctypes.c_int(1),  # float64
            ctypes.c_int32(rows.shape[1]),
            ctypes.c_char_p(b"num_threads=1"),
            ctypes.byref(config),
        )
        if status != 0:
            raise RuntimeError(library.LGBM_GetLastError())
        predict = ctypes.cast(library.LGBM_BoosterPredictForMatSingleRowFast, ctypes.c_void_p)
        size = [ctypes.c_size_t(n) for n in rows.shape]
        return in_c(compiled(self.work).time_lightgbm, predict, config, pointer(rows), *size, n_rows=len(rows))

    def batch(self, x, threads):
        return lambda: self.model.predict(x, num_threads=threads)


class SmallLightGbm(LightGbm):
    note = "a smaller forest: 1,024 leaves a tree"

    def fit(self):
        self.forest = dataclasses.replace(self.forest, leaves=1024)
        super().fit()


class Lleaves(LightGbm):
    note = "the forest of LightGBM"
    trains = False

    def prepare(self):
        import lleaves

        self.work.mkdir(parents=True, exist_ok=True)
        text = self.work / "lightgbm.txt"
        if not text.exists():
            self.construct()
            self.fit()
            self.model.save_model(text)
        counts = (line.split("=")[1] for line in text.read_text().splitlines() if line.startswith("num_leaves="))
        n_leaves = sum(map(int, counts))
        if n_leaves > MAX_COMPILED_LEAVES:
            raise CannotDo(f"{n_leaves:,} leaves are too many to compile")
        self.rows, self.blocks = (lleaves.Model(model_file=text) for _ in range(2))
        # As its documentation advises: no blocks of trees for single rows.
        self.rows.compile(cache=self.work / "lleaves_rows.o", fblocksize=self.rows.num_trees())
        self.blocks.compile(cache=self.work / "lleaves_blocks.o")

    def probabilities(self, x):
        p = self.blocks.predict(np.ascontiguousarray(x, np.float64))
        return both_classes(p) if len(self.data.classes) == 2 else p

    def one_row(self, rows, seconds):
        rows = np.ascontiguousarray(rows, np.float64)
        function = ctypes.cast(self.rows._c_entry_func, ctypes.c_void_p)
        size = [ctypes.c_size_t(n) for n in rows.shape]
        return in_c(compiled(self.work).time_lleaves, function, pointer(rows), *size, n_rows=len(rows))

    def batch(self, x, threads):
        x = np.ascontiguousarray(x, np.float64)
        return lambda: self.blocks.predict(x, n_jobs=threads)
