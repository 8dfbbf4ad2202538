"""One reading of one file by a library of Python in a process of its own; prints one line of JSON.

    measure.py READER PATH [--broken]

`read_s` is the time from the path to the matrix: neither imports nor the checksum count.
"""

import importlib
import json
import sys
import time
from pathlib import Path

import work

# Module of readers/ and its function.
READERS = {
    "pandas": {"csv": "with_pandas.csv", "jsonl": "with_pandas.json_lines"},
    "pandas chunks": {"csv": "with_pandas.csv_chunks", "jsonl": "with_pandas.json_lines_chunks"},
    "pandas pyarrow": {"csv": "with_pandas.csv_pyarrow", "jsonl": "with_pandas.json_lines_pyarrow"},
    "pandas json.loads": {"jsonl": "with_pandas.json_loop"},
    "Polars": {"csv": "with_polars.csv", "jsonl": "with_polars.json_lines"},
}


def main():
    name, path, *flags = sys.argv[1:]
    path = Path(path)
    module, function = READERS[name][path.name.split(".")[1]].split(".")
    read = getattr(importlib.import_module(f"readers.{module}"), function)
    started = time.perf_counter()
    matrix, labels = read(path, "--broken" in flags)
    seconds = time.perf_counter() - started
    total = work.Checksum()
    total.add(matrix, labels)
    return {"read_s": seconds, "checksum": total.values()}


if __name__ == "__main__":
    print(json.dumps(main()))
