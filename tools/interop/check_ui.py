#!/usr/bin/env python3
"""Checks that the MLflow UI shows a run, its model and its report, in headless Chromium.

    check_ui.py DATABASE OUTDIR

Takes the newest finished run of DATABASE that has a report. OUTDIR gets one screenshot a page, and the server's log.
"""

import pathlib
import signal
import sys
import time
import urllib.request

from checking import check
from chromium import Chromium
from serving import mlflow_server

PAGE_TIMEOUT_S = 90

REPORT_VIEWS = [
    ("report", "report.png", 1200, 4000, False),
    ("report in the dark", "report-dark.png", 1200, 4000, True),
    ("report on a phone", "report-phone.png", 390, 4000, False),
]


def check_page(browser, what, url, expected, picture, width=1400, height=1800, dark=False):
    """The page comes to show every text, in itself or in a frame; gives what is written on it."""
    browser.open(url, width, height, dark)
    deadline = time.monotonic() + PAGE_TIMEOUT_S
    while True:
        written = "\n".join(browser.texts())
        missing = [text for text in expected if text not in written]
        if not missing or time.monotonic() > deadline:
            break
        time.sleep(0.2)
    browser.screenshot(picture)
    check(f"{what} shows {', '.join(expected)}", not missing, f"not found: {missing}; see {picture}")
    return written


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

    with open(out / "server.log", "w", encoding="utf-8") as log, mlflow_server(f"sqlite:///{database}", log) as address:
        client = MlflowClient(address)
        run = newest_run(client)
        dataset = run.inputs.dataset_inputs[0].dataset
        model = client.get_logged_model(run.outputs.model_outputs[0].model_id)

        experiment = f"{address}/#/experiments/{run.info.experiment_id}"
        page = f"{experiment}/runs/{run.info.run_id}"
        view = "?workflowType=machine_learning"
        name, headline = run.info.run_name, f"{run.data.metrics['accuracy']:.3f}"
        with Chromium() as browser:
            check_page(browser, "list of runs", experiment + view, [name, dataset.name], out / "runs.png")
            expected = [name, run.info.run_id, "Finished", "accuracy", dataset.name, dataset.digest, model.name]
            check_page(browser, "run page", page + view, expected, out / "run.png")
            expected = [model.name, model.model_id, "Ready", "accuracy", name]
            url = f"{experiment}/models/{model.model_id}{view}"
            check_page(browser, "model page", url, expected, out / "model.png")
            expected = ["report.html", "predictions.csv", "plots", "What the model is worth", headline]
            url = f"{page}/artifacts/report.html{view}"
            check_page(browser, "report among the artifacts", url, expected, out / "artifact.png")
            url = f"{page}/artifacts/predictions.csv{view}"
            check_page(browser, "predictions among the artifacts", url, ["predicted", "prob_"], out / "predictions.png")

            report = pathlib.Path(artifact_folder(run)) / "report.html"
            for what, picture, width, height, dark in REPORT_VIEWS:
                expected = ["What the model is worth", headline, run.info.run_id]
                check_page(browser, what, report.as_uri(), expected, out / picture, width, height, dark)
                wide = browser.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
                check(f"{what} needs no scrolling sideways", wide <= 0, f"{wide} pixels too wide")

    text = report.read_text(encoding="utf-8")
    marks = ['src="http', "src='http", "@import", "url(http", '<link rel="stylesheet"', "<script"]
    foreign = [mark for mark in marks if mark in text]
    check("report loads nothing from elsewhere and runs nothing", not foreign, foreign)


def artifact_folder(run):
    uri = run.info.artifact_uri
    return urllib.request.url2pathname(uri[len("file://") :]) if uri.startswith("file://") else uri


if __name__ == "__main__":
    main()
