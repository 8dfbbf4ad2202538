#!/usr/bin/env python3
"""Checks through MLflow's own client that a `train` left the run that it printed.

    check_run.py DATABASE|SERVER RUN_JSON

RUN_JSON is what `phantomnet train --json` printed. MLflow may migrate DATABASE, so hand it a copy where that matters.
SERVER is the http(s):// address of a tracking server.
"""

import json
import math
import pathlib
import sys
import tempfile

import mlflow
import numpy as np
import pandas as pd
from mlflow import MlflowClient

from checking import check, close, equal, read_predictions

ARTIFACTS = ["config.toml", "metrics.json", "predictions.csv", "report.html"]


def number(value):
    """A metric of the JSON document, which writes NaN and infinities as text."""
    return float("nan") if value is None else float(value)


def same(a, b):
    return a == b or (math.isnan(a) and math.isnan(b))


def check_identity(client, run, printed):
    experiment = client.get_experiment(run.info.experiment_id)
    equal("experiment", experiment.name, printed["experiment"])
    found = client.search_runs([experiment.experiment_id], f"attributes.run_id = '{run.info.run_id}'")
    equal("run is found by search", [one.info.run_id for one in found], [run.info.run_id])
    equal("status", run.info.status, "FINISHED")
    equal("printed status", printed["status"], "FINISHED")
    check("the run ends after it starts", run.info.end_time >= run.info.start_time > 0)
    for tag in ["mlflow.runName", "mlflow.user", "mlflow.source.name", "mlflow.source.type"]:
        check(f"tag {tag}", run.data.tags.get(tag))
    check("tags of our own", any(tag.startswith("phantomnet.") for tag in run.data.tags), sorted(run.data.tags))


def check_values(client, run, printed):
    params = {key: str(value) for key, value in printed["params"].items()}
    check("there are params", params)
    equal("params", run.data.params, params)

    check("there are metrics", len(printed["metrics"]) > 10)
    for key, value in printed["metrics"].items():
        if key not in run.data.metrics or not same(run.data.metrics[key], number(value)):
            sys.exit(f"FAILED: metric {key}: printed {value}, the client gives {run.data.metrics.get(key)}")
    print(f"  ok  {len(printed['metrics'])} metrics, as printed")

    n_folds = int(params["cv.n_folds"]) * int(params.get("cv.n_repeats", 1))
    folds, trees = {}, {}
    for key in run.data.metrics:
        history = client.get_metric_history(run.info.run_id, key)
        if len(history) > 1:
            (trees if key.startswith("by_tree/") else folds)[key] = history
    check("there are metrics by fold", folds)
    for key, history in folds.items():
        equal(f"steps of {key}", sorted(point.step for point in history), list(range(n_folds)))
    check("accuracy by fold", "cv_accuracy" in folds, sorted(folds))
    mean = np.mean([point.value for point in folds["cv_accuracy"]])
    close("mean of accuracy by fold", [mean], [number(printed["metrics"]["cv_accuracy_mean"])], 1e-12)
    for key, history in trees.items():
        steps = sorted(point.step for point in history)
        check(f"steps of {key}", steps[-1] == int(params["n_estimators"]) and len(set(steps)) == len(steps), steps)
    equal("metrics by tree", sorted(trees), ["by_tree/accuracy", "by_tree/log_loss"])


def check_dataset(run):
    inputs = run.inputs.dataset_inputs
    check("there is a dataset input", inputs)
    for entry in inputs:
        check(f"dataset {entry.dataset.name}: digest", entry.dataset.digest)
        json.loads(entry.dataset.source)
        schema = json.loads(entry.dataset.schema or "{}")
        check(f"dataset {entry.dataset.name}: columns", schema.get("mlflow_colspec"), entry.dataset.schema)
        tags = {tag.key: tag.value for tag in entry.tags}
        check(f"dataset {entry.dataset.name}: context", tags.get("mlflow.data.context"), tags)


def check_artifacts(client, run, printed, folder):
    names = {entry.path for entry in client.list_artifacts(run.info.run_id)}
    for name in ARTIFACTS + (["rejected.jsonl"] if printed["n_rejected"] else []):
        check(f"artifact {name}", name in names, sorted(names))
    plots = [entry.path for entry in client.list_artifacts(run.info.run_id, "plots")]
    for kind in ["svg", "png"]:
        check(f"plots as {kind}", sum(path.endswith(f".{kind}") for path in plots) >= 6, plots)

    def download(name):
        return mlflow.artifacts.download_artifacts(run_id=run.info.run_id, artifact_path=name, dst_path=folder)

    kept = json.loads(pathlib.Path(download("metrics.json")).read_text())
    kept = kept.get("metrics", kept)
    for key, value in printed["metrics"].items():
        if key in kept and not isinstance(kept[key], dict) and not same(number(kept[key]), number(value)):
            sys.exit(f"FAILED: metrics.json has {key} = {kept[key]}, printed {value}")
    print("  ok  metrics.json, as printed")
    return download("predictions.csv")


def check_model(client, run, printed):
    outputs = run.outputs.model_outputs
    equal("logged models of the run", len(outputs), 1)
    model = client.get_logged_model(outputs[0].model_id)
    equal("model name", model.name, "model")
    equal("model status", str(getattr(model.status, "value", model.status)), "READY")
    equal("model's run", model.source_run_id, run.info.run_id)
    check("model has params", model.params)
    metrics = {metric.key: metric.value for metric in model.metrics or []}
    check("model has metrics", metrics)
    # Of a model's metric MLflow's schema cannot say that it is NaN.
    finite = {key: number(value) for key, value in printed["metrics"].items() if math.isfinite(number(value))}
    wrong = {key: value for key, value in metrics.items() if key in finite and value != finite[key]}
    equal("metrics of the model that differ from the run's", wrong, {})
    check("model has its accuracy", "accuracy" in metrics, sorted(metrics))
    found = mlflow.search_logged_models([run.info.experiment_id], output_format="list")
    check("model is found by search", model.model_id in [m.model_id for m in found])
    return model


def check_predictions(model, run, path):
    kept = read_predictions(path)
    frame = pd.DataFrame(kept.features.astype(np.float64), columns=kept.feature_names)
    for uri in [f"models:/{model.model_id}", f"runs:/{run.info.run_id}/{model.name}"]:
        loaded = mlflow.pyfunc.load_model(uri)
        answer = loaded.predict(frame)
        columns = ["label"] + [f"prob_{name}" for name in kept.classes]
        equal(f"{uri}: columns", list(answer.columns), columns)
        close(f"{uri}: probabilities", answer[columns[1:]].to_numpy(), kept.probabilities)
        equal(f"{uri}: labels", [str(name) for name in answer["label"]], kept.predicted)
        one = loaded.predict(frame[:1])
        close(f"{uri}: one row alone", one[columns[1:]].to_numpy(), kept.probabilities[:1])
        shuffled = loaded.predict(frame[list(reversed(kept.feature_names))])
        close(f"{uri}: columns in another order", shuffled[columns[1:]].to_numpy(), kept.probabilities)
    graph = mlflow.onnx.load_model(f"models:/{model.model_id}")
    equal("outputs of mlflow.onnx.load_model", [output.name for output in graph.graph.output], columns)
    right = np.mean([label == predicted for label, predicted in zip(kept.label, kept.predicted)])
    close("accuracy of the predictions", [right], [run.data.metrics["accuracy"]], 1e-12)


def is_server(place):
    return place.startswith(("http://", "https://"))


def main():
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    place, document = sys.argv[1], pathlib.Path(sys.argv[2])
    if not is_server(place) and not pathlib.Path(place).is_file():
        sys.exit(f"there is no database {place}")
    printed = json.loads(document.read_text())

    uri = place if is_server(place) else f"sqlite:///{pathlib.Path(place).resolve()}"
    mlflow.set_tracking_uri(uri)
    mlflow.set_registry_uri(uri)
    client = MlflowClient(uri)
    run = client.get_run(printed["run_id"])

    check_identity(client, run, printed)
    check_values(client, run, printed)
    check_dataset(run)
    model = check_model(client, run, printed)
    with tempfile.TemporaryDirectory() as folder:
        check_predictions(model, run, check_artifacts(client, run, printed, folder))
    print(f"mlflow {mlflow.__version__} and `train` agree on run {printed['run_id']}")


if __name__ == "__main__":
    main()
