"""Runs one reader on one file, in a process of its own."""

import json
import os
import pathlib
import subprocess
import sys
import tempfile
from dataclasses import dataclass, field

from measure import READERS
from tables import OURS

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parent.parent
THREADS = "2"
# Half a gigabyte of JSON takes pandas a minute.
LIMIT_SECONDS = 900

TRAIN = f"{OURS} train"
CONVERT = f"{OURS} convert"
DATAFUSION = "DataFusion"
DATAFUSION_NEWLINES = "DataFusion newlines_in_values"
# Readers in the order of the tables: the matrix, then whole commands.
KNOWN = [OURS, *READERS, DATAFUSION, DATAFUSION_NEWLINES, TRAIN, CONVERT]

LABEL = "event IN ('login', 'command', 'download', 'exploit')"


@dataclass(frozen=True)
class Runner:
    """Where programs are."""

    ours: pathlib.Path
    datafusion: pathlib.Path
    phantomnet: pathlib.Path
    # Words before every command, such as those of taskset.
    prefix: list = field(default_factory=list)

    def can_convert(self):
        done = subprocess.run([self.phantomnet, "convert", "--help"], capture_output=True)
        return done.returncode == 0

    def applies(self, name, form):
        """Whether a reader has something to say about files of this form."""
        if name in READERS:
            return form.extension in READERS[name]
        if name == DATAFUSION_NEWLINES:
            return form.extension == "csv" and not form.compressed
        return True

    def measure(self, name, path, form):
        """Figures of one reading."""
        if name == OURS:
            return self.run([self.ours, path])
        if name == DATAFUSION:
            return self.run([self.datafusion, path])
        if name == DATAFUSION_NEWLINES:
            return self.run([self.datafusion, path, "--newlines-in-values"])
        if name in READERS:
            flags = ["--broken"] if form.broken else []
            return self.run([sys.executable, HERE / "measure.py", name, path, *flags])
        with tempfile.TemporaryDirectory(dir=path.parent) as folder:
            folder = pathlib.Path(folder)
            if name == CONVERT:
                return self.run([self.phantomnet, "convert", path, folder / "events.parquet"], folder, prints=False)
            (folder / "phantomnet.toml").write_text(configuration(path, form))
            return self.run([self.phantomnet, "train", "-c", "phantomnet.toml"], folder, prints=False)

    def run(self, command, folder=HERE, prints=True):
        """What `command` took and, if it `prints` that, the JSON of its last line; or `cannot`: what it died of."""
        command = [sys.executable, "-IS", HERE / "usage.py", str(LIMIT_SECONDS), *self.prefix, *command]
        environment = os.environ | {"OMP_NUM_THREADS": THREADS, "POLARS_MAX_THREADS": THREADS}
        done = subprocess.run(command, capture_output=True, cwd=folder, env=environment)
        if done.returncode != 0:
            return {"cannot": reason(done.stderr.decode(errors="replace"), done.returncode)}
        *printed, usage = filter(None, done.stdout.splitlines())
        return json.loads(usage) | (json.loads(printed[-1]) if prints else {})


def reason(said, status):
    """The line of an error message that tells most, fit for a table."""
    lines = [line for line in said.splitlines() if "rror" in line] or said.splitlines() or ["it printed nothing"]
    line = "".join(c if c.isprintable() and c.isascii() else "?" for c in lines[-1]).replace("|", "/")
    return f"ended with status {status}: {line[:200]}"


def configuration(path, form):
    """The work of work.py as a training job; the majority learner takes no time of its own."""
    net = "net." if form.extension == "jsonl" else ""
    return f"""
[data]
paths = [{json.dumps(str(path))}]
synthetic = true

[label]
name = "is_attack"
expr = "{LABEL}"
allow_overlap = true

[features]
payload_length = "payload_length(payload)"
src_port = "{net}src_port"
dst_port = "{net}dst_port"
duration = "duration"
is_login = "event = 'login'"
protocol = "protocol"

[cv]
n_folds = 0

[model]
kind = "majority"

[tracking]
uri = "sqlite:///mlflow.db"
"""
