"""Times single-row predictions: from Python where the library is called from Python, else from the C of one_row.c."""

import ctypes
import subprocess
import time
from pathlib import Path

import numpy as np


def each_call(predict, rows, seconds):
    """Nanoseconds of each call of `predict`, which takes a 1 x features array, over as many rows as `seconds` allow."""
    # Slices are made outside the timed calls.
    singles = [np.ascontiguousarray(rows[i : i + 1]) for i in range(len(rows))]
    end = time.perf_counter() + seconds / 4
    for row in singles:
        predict(row)
        if time.perf_counter() > end:
            break
    taken = []
    end = time.perf_counter() + seconds
    clock = time.perf_counter_ns
    for row in singles:
        started = clock()
        predict(row)
        stopped = clock()
        taken.append(stopped - started)
        if time.perf_counter() > end:
            break
    return np.array(taken)


def compiled(work: Path):
    """The timing loops of one_row.c as a library, compiled if it is not in `work` yet."""
    library = work.parent / "one_row.so"
    if not library.exists():
        library.parent.mkdir(parents=True, exist_ok=True)
        source = Path(__file__).with_name("one_row.c")
        subprocess.run(["cc", "-O2", "-shared", "-fPIC", "-o", library, source], check=True)
    return ctypes.CDLL(str(library))


def pointer(array):
    return array.ctypes.data_as(ctypes.c_void_p)


def in_c(loop, *args, n_rows):
    """Calls a loop of one_row.c twice, the first time to warm up; its last argument receives the nanoseconds."""
    taken = np.zeros(n_rows, np.uint64)
    for _ in range(2):
        if loop(*args, pointer(taken)) != 0:
            raise RuntimeError("a single-row prediction failed")
    return taken
