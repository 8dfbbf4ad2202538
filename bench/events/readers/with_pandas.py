"""pandas: its CSV engines, its reader of JSON lines, and the loop over json.loads that most scripts have."""

import gzip
import json

import numpy as np
import pandas as pd

import work

CHUNK_ROWS = 100_000
COLUMNS = ["src_port", "dst_port", "protocol", "event", "duration", "payload"]
TYPES = {"src_port": "int32", "dst_port": "int32", "protocol": "category", "event": "category", "payload": "str"}


def csv(path, broken):
    return matrix(pd.read_csv(path, **csv_options(broken)))


def csv_chunks(path, broken):
    with pd.read_csv(path, **csv_options(broken), chunksize=CHUNK_ROWS) as chunks:
        return joined(chunks)


def csv_pyarrow(path, broken):
    skip = {"on_bad_lines": "skip"} if broken else {}
    return matrix(pd.read_csv(path, usecols=COLUMNS, dtype=TYPES, engine="pyarrow", **skip))


def csv_options(broken):
    if not broken:
        return {"usecols": COLUMNS, "dtype": TYPES}
    # Lines that are too short are rows to pandas: `matrix` drops them, and ports cannot be integers until then. Those
    # that are too long it finds only when it is to read every column.
    types = {**TYPES, "src_port": "float32", "dst_port": "float32"}
    return {"dtype": types, "on_bad_lines": "skip", "encoding_errors": "replace"}


def json_lines(path, broken):
    return matrix(with_ports(pd.read_json(path, **json_options())))


def json_lines_chunks(path, broken):
    with pd.read_json(path, **json_options(), chunksize=CHUNK_ROWS) as chunks:
        return joined(with_ports(chunk) for chunk in chunks)


def json_lines_pyarrow(path, broken):
    return matrix(with_ports(pd.read_json(path, lines=True, engine="pyarrow")))


def json_options():
    # Nothing is taken for a date: the work has none, and the search for them costs.
    return {"lines": True, "convert_dates": False}


def with_ports(events):
    for name in ("src_port", "dst_port"):
        events[name] = [net[name] for net in events["net"]]
    return events


def json_loop(path, broken):
    """Keeps of each line only what is needed, which is the fastest loop we know of."""
    columns = {name: [] for name in COLUMNS}
    src_port, dst_port, *others = (values.append for values in columns.values())
    others = list(zip(others, COLUMNS[2:]))
    with gzip.open(path, "rb") if path.suffix == ".gz" else path.open("rb") as file:
        for line in file:
            try:
                event = json.loads(line)
            except ValueError:
                if broken:
                    continue
                raise
            net = event["net"]
            src_port(net["src_port"])
            dst_port(net["dst_port"])
            for append, name in others:
                append(event[name])
    return matrix(pd.DataFrame(columns))


def matrix(events):
    columns, labels, _ = encoded(events)
    return columns, labels


def joined(chunks):
    """Matrices of chunks after each other. Each numbers the protocols that it has, so they are numbered anew."""
    parts = [encoded(events) for events in chunks]
    known = sorted({protocol for _, _, protocols in parts for protocol in protocols})
    for columns, _, protocols in parts:
        codes = np.array([0, *(known.index(protocol) + 1 for protocol in protocols)], np.float32)
        columns[-1] = codes[columns[-1].astype(np.intp)]
    columns = [np.concatenate(column) for column in zip(*(columns for columns, _, _ in parts))]
    return columns, np.concatenate([labels for _, labels, _ in parts])


def encoded(events):
    """Columns, labels, and the protocols in the order of their codes."""
    if events["event"].hasnans:
        events = events[events["event"].notna()]
    protocols = events["protocol"].astype("category").cat.remove_unused_categories()
    # Sorted from inference, in the order of the file from a declared type.
    protocols = protocols.cat.reorder_categories(sorted(protocols.cat.categories)).cat
    columns = [
        events["payload"].str.len(),
        events["src_port"],
        events["dst_port"],
        events["duration"],
        events["event"] == work.LOGIN,
        protocols.codes + 1,
    ]
    columns = [column.to_numpy(np.float32, na_value=np.nan) for column in columns]
    return columns, events["event"].isin(work.ATTACKS).to_numpy(), list(protocols.categories)
