#!/usr/bin/env python3
"""Checks that the MLflow UI shows a run, its model, its report and a registered model, in headless Chromium.

    check_ui.py DATABASE OUTDIR
    check_ui.py --server ADDRESS OUTDIR

Takes the newest finished run that has a report, of DATABASE or of a server that runs; and, if there is one, a registered
model whose champion or challenger such a run made. OUTDIR gets one screenshot a page, and the log of the server that is
started on DATABASE. Views of the report as a file are checked with DATABASE alone: they know nothing of a server.
"""

import contextlib
import pathlib
import signal
import sys
import time

import mlflow
from mlflow import MlflowClient

from checking import check
from chromium import Chromium
from serving import mlflow_server

PAGE_TIMEOUT_S = 90
# Without it, a browser that has not been here before opens another part of the UI.
VIEW = "?workflowType=machine_learning"

REPORT_VIEWS = [
    ("report", "report.png", 1200, 4000, False),
    ("report in the dark", "report-dark.png", 1200, 4000, True),
    ("report on a phone", "report-phone.png", 390, 4000, False),
]


def check_page(browser, what, url, expected, picture, width=1400, height=1800, dark=False):
    browser.open(url, width, height, dark)
    check_shown(browser, what, expected, picture)


def check_shown(browser, what, expected, picture):
    """The page comes to show every text, in itself or in a frame, whatever space there is between its words."""
    deadline = time.monotonic() + PAGE_TIMEOUT_S
    while True:
        written = " ".join(" ".join(browser.texts()).split())
        missing = [text for text in expected if text not in written]
        if not missing or time.monotonic() > deadline:
            break
        time.sleep(0.2)
    browser.screenshot(picture)
    check(f"{what} shows {', '.join(expected)}", not missing, f"not found: {missing}; see {picture}")


def has_report(client, run_id):
    return any(entry.path == "report.html" for entry in client.list_artifacts(run_id))


def check_drawn(browser, what, picture):
    """An artifact that is a picture comes to be drawn."""
    drawn = "[...document.images].some(i => i.complete && i.naturalWidth > 100 && i.getBoundingClientRect().width > 100)"
    deadline = time.monotonic() + PAGE_TIMEOUT_S
    while not (is_drawn := browser.evaluate(drawn)) and time.monotonic() < deadline:
        time.sleep(0.2)
    browser.screenshot(picture)
    check(f"{what} is drawn", is_drawn, f"see {picture}")


def newest_run(client):
    for experiment in client.search_experiments():
        for run in client.search_runs([experiment.experiment_id], "attributes.status = 'FINISHED'"):
            if has_report(client, run.info.run_id):
                return run
    sys.exit("there is no finished run with a report.html")


def registered_version(client):
    """A version that judges or is to be judged, and its alias; None without one that has a run with a report."""
    for model in client.search_registered_models():
        for alias in [alias for alias in ["champion", "challenger"] if alias in model.aliases]:
            version = client.get_model_version_by_alias(model.name, alias)
            if version.run_id and has_report(client, version.run_id):
                return version, alias
    return None


def check_run_pages(browser, client, address, run, out):
    dataset = run.inputs.dataset_inputs[0].dataset
    model = client.get_logged_model(run.outputs.model_outputs[0].model_id)
    name, headline = run.info.run_name, f"{run.data.metrics['accuracy']:.3f}"
    versions = client.search_model_versions(f"run_id = '{run.info.run_id}'")
    # Of several the model page names the first alone.
    registered = [f"{v.name} v{v.version}" for v in sorted(versions, key=lambda version: int(version.version))[:1]]

    experiment = f"{address}/#/experiments/{run.info.experiment_id}"
    page = f"{experiment}/runs/{run.info.run_id}"
    check_page(browser, "list of runs", experiment + VIEW, [name, dataset.name], out / "runs.png")
    # It opens by itself in a new browser, and takes a quarter of each picture.
    browser.evaluate("localStorage.setItem('mlflow.assistant.panelOpen_v1', 'false')")
    expected = [name, run.info.run_id, "Finished", "accuracy", dataset.name, dataset.digest, model.name, *registered]
    check_page(browser, "run page", page + VIEW, expected, out / "run.png")
    expected = [model.name, model.model_id, "Ready", "accuracy", name, *registered]
    url = f"{experiment}/models/{model.model_id}{VIEW}"
    check_page(browser, "model page", url, expected, out / "model.png")
    url, picture = f"{experiment}/models/{model.model_id}/artifacts{VIEW}", out / "example.png"
    check_page(browser, "files of the model", url, ["MLmodel", "input_example.json"], picture)
    browser.click("input_example.json")
    check_shown(browser, "its example", ['"columns"', '"data"'], picture)
    expected = ["report.html", "predictions.csv", "plots", "What the model is worth", headline]
    url = f"{page}/artifacts/report.html{VIEW}"
    check_page(browser, "report among the artifacts", url, expected, out / "artifact.png")
    url = f"{page}/artifacts/predictions.csv{VIEW}"
    check_page(browser, "predictions among the artifacts", url, ["predicted", "prob_"], out / "predictions.png")
    url = f"{page}/artifacts/metrics.json{VIEW}"
    check_page(browser, "metrics among the artifacts", url, ['"log_loss"'], out / "metrics.png")
    for kind in ["png", "svg"]:
        url, picture = f"{page}/artifacts/plots/roc.{kind}{VIEW}", out / f"roc-{kind}.png"
        check_page(browser, f"curve as {kind.upper()} among the artifacts", url, [f"roc.{kind}"], picture)
        check_drawn(browser, f"curve as {kind.upper()}", picture)
    # A chart a metric: of the folds, and of the trees.
    url = f"{page}/model-metrics{VIEW}"
    check_page(browser, "charts of metrics", url, ["by_tree", "cv_accuracy"], out / "charts.png", height=3000)


def check_registry_pages(browser, client, address, version, alias, out):
    run, model = client.get_run(version.run_id), client.get_registered_model(version.name)
    page = f"{address}/#/models/{version.name}"
    expected = [version.name, f"@ {alias}", f"Version {version.version}", *filter(None, [model.description])]
    check_page(browser, "page of a registered model", page + VIEW, expected, out / "registered.png", height=1200)

    features = mlflow.models.get_model_info(f"models:/{version.name}/{version.version}").signature.inputs.input_names()
    folded = f"Inputs ({len(features)})"
    expected = [version.name, f"Version {version.version}", f"@ {alias}", run.info.run_name, *version.tags, folded]
    url, picture = f"{page}/versions/{version.version}{VIEW}", out / "version.png"
    check_page(browser, "page of a version", url, expected, picture, height=1200)
    browser.click(folded)
    check_shown(browser, "its schema", features, picture)


def check_report(browser, run, report, out):
    headline = f"{run.data.metrics['accuracy']:.3f}"
    for what, picture, width, height, dark in REPORT_VIEWS:
        expected = ["What the model is worth", headline, run.info.run_id]
        check_page(browser, what, report.as_uri(), expected, out / picture, width, height, dark)
        wide = browser.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
        check(f"{what} needs no scrolling sideways", wide <= 0, f"{wide} pixels too wide")


@contextlib.contextmanager
def server_on(database, out):
    if not database.is_file():
        sys.exit(f"there is no database {database}")
    with open(out / "server.log", "w", encoding="utf-8") as log, mlflow_server(f"sqlite:///{database}", log) as address:
        yield address


def main():
    is_server = sys.argv[1:2] == ["--server"]
    if len(sys.argv) != (4 if is_server else 3):
        sys.exit(__doc__)
    place, out = sys.argv[-2], pathlib.Path(sys.argv[-1]).resolve()
    out.mkdir(parents=True, exist_ok=True)
    # As an exit, so that the server ends too.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))

    with contextlib.nullcontext(place) if is_server else server_on(pathlib.Path(place).resolve(), out) as address:
        mlflow.set_tracking_uri(address)
        client = MlflowClient(address)
        run, registered = newest_run(client), registered_version(client)
        report = pathlib.Path(client.download_artifacts(run.info.run_id, "report.html", str(out)))
        with Chromium() as browser:
            check_run_pages(browser, client, address, run, out)
            if registered:
                check_registry_pages(browser, client, address, *registered, out)
            if not is_server:
                check_report(browser, run, report, out)

    text = report.read_text(encoding="utf-8")
    marks = ['src="http', "src='http", "@import", "url(http", '<link rel="stylesheet"', "<script"]
    foreign = [mark for mark in marks if mark in text]
    check("report loads nothing from elsewhere and runs nothing", not foreign, foreign)
    version = registered and f"version {registered[0].version} of {registered[0].name}"
    print(f"MLflow's UI shows run {run.info.run_name} and {version or 'no registered model, since there is none'}")


if __name__ == "__main__":
    main()
