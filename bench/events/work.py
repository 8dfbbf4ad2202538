"""What every reader does with a file of events, and how its result is compared.

Six columns of float32, missing values as NaN, in memory at the end:

    characters of `payload` | `src_port` | `dst_port` | `duration` | `event` is LOGIN, 0 or 1 | code of `protocol`

and a label for each row, 1 where `event` is one of ATTACKS. The code of a protocol is its place among the sorted
protocols of the file, from 1 on. In JSON lines the ports are inside the object `net`.

peers/src/main.rs and ours/src/main.rs do the same and print the same.
"""

import numpy as np

LOGIN = "login"
ATTACKS = ("login", "command", "download", "exploit")
N_COLUMNS = 6


class Checksum:
    """Rows, and of each column the missing values and the sum of the others, of all rows and of those labelled 1."""

    def __init__(self):
        self.rows = self.positive = 0
        self.missing = np.zeros(N_COLUMNS, int)
        self.sums = np.zeros(N_COLUMNS)
        self.sums_positive = np.zeros(N_COLUMNS)

    def add(self, matrix, labels):
        assert len(matrix) == N_COLUMNS and all(column.dtype == np.float32 for column in matrix)
        positive = np.asarray(labels).astype(bool)
        self.rows += len(positive)
        self.positive += int(positive.sum())
        self.missing += [int(np.isnan(column).sum()) for column in matrix]
        self.sums += [np.nansum(column, dtype=np.float64) for column in matrix]
        self.sums_positive += [np.nansum(column[positive], dtype=np.float64) for column in matrix]

    def values(self):
        return {
            "rows": self.rows,
            "positive": self.positive,
            "missing": self.missing.tolist(),
            "sums": self.sums.tolist(),
            "sums_positive": self.sums_positive.tolist(),
        }


def difference(expected, got):
    """In words how a checksum differs from what it has to be; `None` if it does not. Sums may differ by rounding."""
    for key, value in expected.items():
        values, others = (x if isinstance(x, list) else [x] for x in (value, got[key]))
        for column, (a, b) in enumerate(zip(values, others, strict=True)):
            if abs(a - b) > 1e-9 * abs(a):
                where = f" of column {column}" if isinstance(value, list) else ""
                return f"{key}{where} {b:,.15g} instead of {a:,.15g}"
    return None
