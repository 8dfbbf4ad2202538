"""Yggdrasil Decision Forests (ydf), with exact and with discretized splits."""

import numpy as np

from . import Peer, both_classes


class Ydf(Peer):
    note = "native categories; single rows and batches by its own benchmark of its C++ engine, which gives the mean"
    discretized = False

    def table(self, x, y=None):
        table = {}
        for j in range(x.shape[1]):
            column = x[:, j]
            if j in self.data.categories:
                # Words, so that the library sees a category; what training did not meet is out of its dictionary.
                column = np.char.add("v", column.astype(np.int32).astype(str))
            table[f"f{j}"] = column
        if y is not None:
            table["label"] = y
        return table

    def load(self):
        import ydf

        ydf.verbose(0)
        self.library = ydf

    def construct(self):
        data, semantic = self.data, self.library.Semantic
        number = semantic.DISCRETIZED_NUMERICAL if self.discretized else semantic.NUMERICAL
        columns = [
            (f"f{j}", semantic.CATEGORICAL if j in data.categories else number) for j in range(data.x_train.shape[1])
        ]
        self.dataset = self.library.create_vertical_dataset(
            self.table(data.x_train, data.y_train),
            columns=[*columns, ("label", semantic.CATEGORICAL)],
            label="label",
            min_vocab_frequency=1,
        )

    def fit(self):
        forest = self.forest
        learner = self.library.RandomForestLearner(
            label="label",
            num_trees=forest.trees,
            # It counts the root.
            max_depth=forest.depth + 1 if forest.depth else -1,
            min_examples=1,
            winner_take_all=False,
            compute_oob_performances=False,
            keep_non_leaf_label_distribution=False,
            num_threads=forest.threads,
            random_seed=forest.seed,
        )
        self.model = learner.train(self.dataset)

    def probabilities(self, x):
        p = self.model.predict(self.table(x))
        if len(self.data.classes) == 2:
            return both_classes(p)
        order = [self.model.label_classes().index(str(c)) for c in range(len(self.data.classes))]
        return np.asarray(p, np.float64)[:, order]

    def measured(self, x, batch_size, threads, seconds):
        result = self.model.benchmark(
            self.table(x),
            benchmark_duration=seconds,
            warmup_duration=seconds / 4,
            batch_size=batch_size,
            num_threads=threads,
        )
        return result.duration_per_example

    def one_row_mean(self, rows, seconds):
        return self.measured(rows, 1, 1, seconds) * 1e9

    def batch(self, x, threads):
        dataset = self.library.create_vertical_dataset(
            self.table(x), data_spec=self.model.data_spec(), required_columns=self.model.input_feature_names()
        )
        return lambda: self.model.predict(dataset, num_threads=threads)

    def benchmark_rows_per_second(self, x, threads, seconds):
        """By its own benchmark, which is the faster on one thread and knows no other."""
        return 1 / self.measured(x, 100, threads, seconds)


class YdfDiscretized(Ydf):
    note = "as YDF, numbers discretized to 255 values"
    discretized = True
