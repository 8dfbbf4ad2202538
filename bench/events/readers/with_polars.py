"""Polars, as a query that it streams through."""

import numpy as np
import polars as pl

import work


def csv(path, broken):
    broken_lines = {"ignore_errors": True, "encoding": "utf8-lossy", "truncate_ragged_lines": True} if broken else {}
    # Lines that are too short are rows to Polars.
    events = pl.scan_csv(path, **broken_lines).filter(pl.col("event").is_not_null() | (not broken))
    return collect(events, pl.col("src_port"), pl.col("dst_port"))


def json_lines(path, broken):
    net = pl.col("net").struct
    return collect(pl.scan_ndjson(path, ignore_errors=broken), net.field("src_port"), net.field("dst_port"))


def collect(events, src_port, dst_port):
    numbers = [
        pl.col("payload").str.len_chars(),
        src_port,
        dst_port,
        pl.col("duration"),
        pl.col("event") == work.LOGIN,
    ]
    numbers = [expression.cast(pl.Float32).alias(str(i)) for i, expression in enumerate(numbers)]
    table = events.select(
        *numbers,
        pl.col("protocol").cast(pl.Categorical),
        pl.col("event").is_in(work.ATTACKS).alias("label"),
    ).collect(engine="streaming")
    protocols = table["protocol"]
    met = protocols.unique()
    # Category codes are in the order of the file.
    places = np.zeros(met.to_physical().max() + 1, np.float32)
    places[met.to_physical().to_numpy()] = met.cast(pl.String).rank("ordinal").to_numpy()
    columns = [table[str(i)].to_numpy() for i in range(len(numbers))]
    columns.append(places[protocols.to_physical().to_numpy()])
    return columns, table["label"].to_numpy()
