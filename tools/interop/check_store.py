#!/usr/bin/env python3
"""Checks with MLflow's own client that a tracking database of ours is one of MLflow's.

    check_store.py DB DEMO

DB is a database that `DEMO` has just written (see crates/phantomnet-track/examples/demo_store.rs), DEMO that program. Every
expectation is asserted on DB through MLflow, which may migrate the file; then a Python run is added to it, DEMO reads the
file back, and its output is checked.
"""

import json
import math
import pathlib
import subprocess
import sys
import tempfile


def equal(what, actual, expected):
    if actual != expected:
        sys.exit(f"{what}: expected {expected!r}, got {actual!r}")


def check_runs(client, experiment_id):
    runs = {run.info.run_name: run for run in client.search_runs([experiment_id])}
    equal("runs", sorted(runs), ["bad", "good", "stopped"])
    statuses = {name: run.info.status for name, run in runs.items()}
    equal("statuses", statuses, {"good": "FINISHED", "bad": "FAILED", "stopped": "KILLED"})
    for run in runs.values():
        equal("times", (run.info.start_time, run.info.end_time), (1_700_000_000_000, 1_700_000_005_000))
    equal("error tag", runs["bad"].data.tags["phantomnet.error"], "fold 3 of 5 has no row of class `attack`")

    for filter_string, expected in [
        ("metrics.accuracy > 0.88", ["good"]),
        ("metrics.accuracy > 0.89", []),
        ("metrics.`cv/accuracy` = 0.84", ["good"]),
        ("params.n_estimators = '200' and tags.gate = 'passed'", ["good"]),
        ("attributes.status = 'FAILED'", ["bad"]),
        ("tags.mlflow.user = 'ana'", ["bad", "good", "stopped"]),
        ("datasets.name = 'events'", ["good"]),
    ]:
        found = client.search_runs([experiment_id], filter_string)
        equal(filter_string, sorted(run.info.run_name for run in found), expected)
    return client.get_run(runs["good"].info.run_id)


def check_run(client, run):
    equal("params", run.data.params, {"n_estimators": "200", "max_depth": "none"})
    for key, value in [("mlflow.runName", "good"), ("mlflow.source.name", "phantomnet"), ("gate", "passed")]:
        equal(f"tag {key}", run.data.tags.get(key), value)

    run_id = run.info.run_id
    history = [(point.step, point.value) for point in client.get_metric_history(run_id, "cv/accuracy")]
    equal("history", sorted(history), [(0, 0.8), (1, 0.81), (2, 0.82), (3, 0.83), (4, 0.84)])
    equal("latest", run.data.metrics["cv/accuracy"], 0.84)
    for value in [run.data.metrics["undefined"], client.get_metric_history(run_id, "undefined")[0].value]:
        equal("NaN", math.isnan(value), True)
    equal("infinity", client.get_metric_history(run_id, "unbounded")[0].value, sys.float_info.max)
    equal("-infinity", client.get_metric_history(run_id, "unbounded_below")[0].value, -sys.float_info.max)

    [entry] = run.inputs.dataset_inputs
    equal("dataset", (entry.dataset.name, entry.dataset.digest), ("events", "efc670cd"))
    equal("dataset profile", json.loads(entry.dataset.profile)["num_rows"], 220)
    equal("dataset context", [(tag.key, tag.value) for tag in entry.tags], [("mlflow.data.context", "training")])

    def listing(path=None):
        return [(file.path, file.is_dir) for file in client.list_artifacts(run_id, path)]

    equal("artifacts", listing(), [("config.toml", False), ("plots", True)])
    equal("plots", listing("plots"), [("plots/roc.svg", False)])
    with tempfile.TemporaryDirectory() as folder:
        text = pathlib.Path(client.download_artifacts(run_id, "config.toml", folder)).read_text()
        equal("config.toml", text, "seed = 7\n")


def check_model(client, run):
    [model] = client.search_logged_models(
        [run.info.experiment_id], "name = 'forest' and metrics.accuracy > 0.88 and params.format = 'onnx'"
    )
    equal("model outputs", [output.model_id for output in run.outputs.model_outputs], [model.model_id])
    equal("model", (model.status.name, model.source_run_id), ("READY", run.info.run_id))
    equal("model type", model.model_type, "random_forest")
    equal("model params", model.params, {"n_estimators": "200", "max_depth": "none", "format": "onnx"})
    equal("model tags", (model.tags["mlflow.user"], model.tags["stage"]), ("ana", "demo"))
    [metric] = model.metrics
    found = (metric.key, metric.value, metric.dataset_name, metric.dataset_digest, metric.run_id)
    equal("model metric", found, ("accuracy", 0.8864, "events", "efc670cd", run.info.run_id))
    files = sorted(file.path for file in client.list_logged_model_artifacts(model.model_id))
    equal("model files", files, ["MLmodel", "data"])


def add_python_run(mlflow, experiment_id, folder):
    """Adds a run to the file as any Python program would."""
    with mlflow.start_run(experiment_id=experiment_id, run_name="python"):
        mlflow.log_param("alpha", 0.1)
        for step in range(3):
            mlflow.log_metric("loss", 1.0 / (step + 1), step=step)
        mlflow.log_metric("undefined", float("nan"))
        source = folder / "hello.txt"
        source.write_text("hello")
        mlflow.log_artifact(str(source))


def check_read_back(demo, database):
    shown = subprocess.run([demo, database.parent], check=True, capture_output=True, text=True, timeout=60).stdout
    _, _, python_run = shown.partition("run python FINISHED ")
    for line in [
        '{"alpha": "0.1"}\n',
        "  metric loss 0.3333333333333333 step 2 of 3 points\n",
        "  metric undefined NaN step 0 of 1 points\n",
        "  artifact hello.txt 5\n",
    ]:
        if line not in python_run.partition("\nrun ")[0] + "\n":
            sys.exit(f"our store does not show {line!r} of the Python run:\n{shown}")
    if "  model forest Ready" not in shown:
        sys.exit(f"our store no longer shows its own model:\n{shown}")


def main():
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    database, demo = (pathlib.Path(argument).resolve() for argument in sys.argv[1:])
    if not database.is_file():
        sys.exit(f"there is no database {database}")

    import mlflow
    from mlflow import MlflowClient

    uri = f"sqlite:///{database}"
    mlflow.set_tracking_uri(uri)
    mlflow.set_registry_uri(uri)
    client = MlflowClient(uri)
    experiment = client.get_experiment_by_name("demo")
    equal("Default", client.get_experiment("0").name, "Default")

    run = check_runs(client, experiment.experiment_id)
    check_run(client, run)
    check_model(client, run)
    with tempfile.TemporaryDirectory() as folder:
        add_python_run(mlflow, experiment.experiment_id, pathlib.Path(folder))
    check_read_back(demo, database)
    print(f"mlflow {mlflow.__version__} and our store agree on {database.name}")


if __name__ == "__main__":
    main()
