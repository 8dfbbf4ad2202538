#!/usr/bin/env python3
"""Checks that the MLflow UI shows a run, its model and its report, in headless Chromium.

    check_ui.py DATABASE OUTDIR

Takes the newest finished run of DATABASE that has a report. OUTDIR gets one screenshot a page, and the server's log.
"""

import contextlib
import os
import pathlib
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request

from checking import check

CHROMIUM = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
            "--disable-background-networking", "--disable-component-update", "--disable-sync", "--hide-scrollbars"]
SERVER_TIMEOUT_S = 120
PAGE_TIMEOUT_S = 180
ATTEMPTS = 3


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@contextlib.contextmanager
def server(database, log):
    """An MLflow server on the database; gives its address."""
    address = f"http://127.0.0.1:{(port := free_port())}"
    command = [sys.executable, "-m", "mlflow", "server", "--host", "127.0.0.1", "--port", str(port), "--workers", "1",
               "--backend-store-uri", f"sqlite:///{database}"]
    environment = os.environ | {"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"}
    # A group of its own, since the server starts workers that must end with it.
    process = subprocess.Popen(
        command, stdout=log, stderr=log, stdin=subprocess.DEVNULL, env=environment, start_new_session=True
    )
    try:
        deadline = time.monotonic() + SERVER_TIMEOUT_S
        while True:
            with contextlib.suppress(urllib.error.URLError, ConnectionError):
                if urllib.request.urlopen(f"{address}/health", timeout=5).status == 200:
                    break
            if process.poll() is not None or time.monotonic() > deadline:
                sys.exit(f"the MLflow server did not start, see {log.name}")
            time.sleep(0.2)
        yield address
    finally:
        os.killpg(process.pid, signal.SIGTERM)
        try:
            process.wait(30)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def chromium(arguments):
    program = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if program is None:
        sys.exit("there is no Chromium; on Debian: apt-get install chromium")
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        command = [program, *CHROMIUM, f"--user-data-dir={profile}", "--virtual-time-budget=30000", *arguments]
        return subprocess.run(command, check=True, capture_output=True, text=True, timeout=PAGE_TIMEOUT_S).stdout


def check_page(what, url, expected, picture, size="1400,1800"):
    """The rendered page holds every text; again where the machine was too slow for the page's requests."""
    for attempt in range(ATTEMPTS):
        dom = chromium(["--dump-dom", url])
        missing = [text for text in expected if text not in dom]
        if not missing:
            break
    chromium([f"--screenshot={picture}", f"--window-size={size}", url])
    check(f"{what} shows {', '.join(expected)}", not missing, f"not found: {missing}; see {picture}")
    return dom


def newest_run(client):
    for experiment in client.search_experiments():
        for run in client.search_runs([experiment.experiment_id], "attributes.status = 'FINISHED'"):
            if any(entry.path == "report.html" for entry in client.list_artifacts(run.info.run_id)):
                return run
    sys.exit("the database holds no finished run with a report.html")


def main():
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    database, out = (pathlib.Path(argument).resolve() for argument in sys.argv[1:])
    if not database.is_file():
        sys.exit(f"there is no database {database}")
    out.mkdir(parents=True, exist_ok=True)
    # As an exit, so that the server ends too.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))

    from mlflow import MlflowClient

    with open(out / "server.log", "w", encoding="utf-8") as log, server(database, log) as address:
        client = MlflowClient(address)
        run = newest_run(client)
        dataset = run.inputs.dataset_inputs[0].dataset
        model = client.get_logged_model(run.outputs.model_outputs[0].model_id)

        experiment = f"{address}/#/experiments/{run.info.experiment_id}"
        page = f"{experiment}/runs/{run.info.run_id}"
        view = "?workflowType=machine_learning"
        name = run.info.run_name
        check_page("list of runs", experiment + view, [name, dataset.name], out / "runs.png")
        expected = [name, "cv_accuracy_mean", dataset.name, dataset.digest, model.model_id, run.info.run_id]
        check_page("run page", page + view, expected, out / "run.png")
        expected = [model.name, model.model_id, "accuracy", name]
        check_page("model page", f"{experiment}/models/{model.model_id}{view}", expected, out / "model.png")
        expected = ["report.html", "<iframe"]
        dom = check_page("artifact page", f"{page}/artifacts/report.html{view}", expected, out / "artifact.png")
        check("artifact page lists the other artifacts", all(name in dom for name in ["predictions.csv", "plots"]))

    # The viewer's frame is a page of its own: the same file is opened directly, and with the server gone.
    report = pathlib.Path(client_path(run)) / "report.html"
    check_page("report", report.as_uri(), ["accuracy", "<svg", run.info.run_id], out / "report.png", "1200,4000")
    check_page("report on a phone", report.as_uri(), ["accuracy"], out / "report-phone.png", "390,4000")
    text = report.read_text(encoding="utf-8")
    marks = ['src="http', "src='http", "@import", "url(http", '<link rel="stylesheet"']
    foreign = [mark for mark in marks if mark in text]
    check("report loads nothing from elsewhere", not foreign, foreign)


def client_path(run):
    uri = run.info.artifact_uri
    return urllib.request.url2pathname(uri[len("file://") :]) if uri.startswith("file://") else uri


if __name__ == "__main__":
    main()
