"""Engines that score a forest of scikit-learn: ONNX Runtime, and treelite with tl2cgen."""

import ctypes
import pickle

import numpy as np

from . import CannotDo
from .scikit_learn import ScikitLearn
from .timing import compiled, each_call, in_c, pointer

# Beyond this many nodes, converting or compiling takes longer than the whole benchmark.
MAX_CONVERTED_NODES = 3_000_000
MAX_COMPILED_NODES = 400_000


class OfScikitLearn(ScikitLearn):
    trains = False

    def fitted(self, max_nodes):
        """The forest of scikit-learn, kept in the work folder; CannotDo when it has too many nodes."""
        self.work.mkdir(parents=True, exist_ok=True)
        kept = self.work.parent / "scikit_learn.pickle"
        if not kept.exists():
            self.fit()
            kept.write_bytes(pickle.dumps(self.model))
        self.model = pickle.loads(kept.read_bytes())
        n_nodes = sum(tree.tree_.node_count for tree in self.model.estimators_)
        if n_nodes > max_nodes:
            raise CannotDo(f"{n_nodes:,} nodes are too many to convert")


class OnnxRuntime(OfScikitLearn):
    note = "the forest of scikit-learn; called from Python, as its package has no C headers"

    def prepare(self):
        path = self.work / "forest.onnx"
        if not path.exists():
            self.fitted(MAX_CONVERTED_NODES)
            from skl2onnx import to_onnx

            model = to_onnx(self.model, self.data.x_train[:1], options={"zipmap": False})
            path.write_bytes(model.SerializeToString())
        self.sessions = {threads: self.session(path, threads) for threads in (1, 2)}

    @staticmethod
    def session(path, threads):
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads, options.inter_op_num_threads = threads, 1
        return onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])

    def predict(self, threads):
        session = self.sessions[threads]
        source, result = session.get_inputs()[0].name, [session.get_outputs()[1].name]
        return lambda x: session.run(result, {source: x})[0]

    def probabilities(self, x):
        return np.asarray(self.predict(2)(x), np.float64)

    def one_row(self, rows, seconds):
        return each_call(self.predict(1), rows, seconds)

    def batch(self, x, threads):
        predict = self.predict(threads)
        return lambda: predict(x)


class Treelite(OfScikitLearn):
    note = "the forest of scikit-learn, compiled by tl2cgen and gcc -O1; called from C"

    def prepare(self):
        import tl2cgen
        import treelite

        path = self.work / "treelite.so"
        if not path.exists():
            self.fitted(MAX_COMPILED_NODES)
            model = treelite.sklearn.import_model(self.model)
            tl2cgen.export_lib(
                model, toolchain="gcc", libpath=path, params={"parallel_comp": 16}, nthread=2, options=["-O1"]
            )
        self.path = path
        self.predictors = {threads: tl2cgen.Predictor(path, nthread=threads) for threads in (1, 2)}

    def dmatrix(self, x):
        import tl2cgen

        return tl2cgen.DMatrix(np.ascontiguousarray(x, np.float64), dtype="float64")

    def probabilities(self, x):
        return self.predictors[2].predict(self.dmatrix(x)).reshape(len(x), -1)

    def one_row(self, rows, seconds):
        # The bits of a double NaN's low half are no missing mark, and no row of ours here has a NaN.
        rows = np.array(rows, np.float64, order="C")
        function = ctypes.cast(ctypes.CDLL(str(self.path)).predict, ctypes.c_void_p)
        size = [ctypes.c_size_t(n) for n in rows.shape]
        return in_c(compiled(self.work).time_tl2cgen, function, pointer(rows), *size, n_rows=len(rows))

    def batch(self, x, threads):
        x = self.dmatrix(x)
        return lambda: self.predictors[threads].predict(x)
