"""Servers that the interop checks need, each started on a free port of 127.0.0.1 and ended with its block."""

import contextlib
import os
import pathlib
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request

SERVER_TIMEOUT_S = 120


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@contextlib.contextmanager
def group(command, **options):
    """A program in a process group of its own, since it may start others that must end with it."""
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL, start_new_session=True, **options)
    try:
        yield process
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGTERM)
        try:
            process.wait(30)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


@contextlib.contextmanager
def mlflow_server(store, log, options=(), environment=None, folder=None, python=sys.executable, port=None):
    """An MLflow server on a store's URI; gives its address."""
    port = port or free_port()
    address = f"http://127.0.0.1:{port}"
    command = [python, "-m", "mlflow", "server", "--host", "127.0.0.1", "--port", str(port), "--workers", "1",
               "--backend-store-uri", store, *options]
    environment = os.environ | {"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"} | (environment or {})
    with group(command, stdout=log, stderr=log, env=environment, cwd=folder) as process:
        deadline = time.monotonic() + SERVER_TIMEOUT_S
        while True:
            with contextlib.suppress(urllib.error.URLError, ConnectionError):
                if urllib.request.urlopen(f"{address}/health", timeout=5).status == 200:
                    break
            if process.poll() is not None or time.monotonic() > deadline:
                sys.exit(f"the MLflow server did not start, see {log.name}")
            time.sleep(0.2)
        yield address


def postgresql_programs():
    """The folder of PostgreSQL's programs, which Debian keeps off the search path; None where it is not installed."""
    folders = sorted(pathlib.Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
    folders += map(pathlib.Path, os.get_exec_path())
    programs = ["initdb", "pg_isready", "postgres"]
    return next((folder for folder in folders if all((folder / program).exists() for program in programs)), None)


@contextlib.contextmanager
def postgresql(folder, log):
    """A PostgreSQL server with its data in `folder`, which must not exist; gives the URI of an empty database."""
    programs = postgresql_programs()
    # It refuses to run as root.
    user = ["runuser", "-u", "postgres", "--"] if os.getuid() == 0 else []
    folder.mkdir()
    if user:
        shutil.chown(folder, "postgres")
    data, port = folder / "data", free_port()
    subprocess.run([*user, programs / "initdb", "-D", data, "-U", "mlflow", "-A", "trust", "--no-sync"],
                   check=True, stdout=log, stderr=log, cwd="/")
    command = [*user, programs / "postgres", "-D", data, "-p", str(port), "-c", "listen_addresses=127.0.0.1",
               "-c", f"unix_socket_directories={folder}", "-c", "fsync=off"]
    with group(command, stdout=log, stderr=log, cwd="/") as process:
        deadline = time.monotonic() + SERVER_TIMEOUT_S
        ready = [programs / "pg_isready", "-q", "-h", "127.0.0.1", "-p", str(port)]
        while subprocess.run(ready, check=False).returncode != 0:
            if process.poll() is not None or time.monotonic() > deadline:
                sys.exit(f"PostgreSQL did not start, see {log.name}")
            time.sleep(0.1)
        yield f"postgresql+psycopg2://mlflow@127.0.0.1:{port}/postgres"
