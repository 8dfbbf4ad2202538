#!/usr/bin/env python3
"""The main job as a Python script does it: events to a tracked random forest, with pandas, scikit-learn and MLflow.

    python_baseline.py CSV DATABASE

The peer of `phantomnet train` in bench/main_job: payload length, label by event name, stratified hold-out of 20 %,
forest of 200 trees, stratified 5-fold cross-validation, metrics, and a run with its model in an MLflow SQLite store.
Written the usual way, with one change: a missing payload stays missing, where `len(str(data))` makes it 3 long.
"""

import pathlib
import sys
import time

import mlflow
import mlflow.sklearn
import pandas as pd
from sklearn.ensemble import RandomForestClassifier
from sklearn.metrics import accuracy_score, f1_score, precision_score, recall_score
from sklearn.model_selection import StratifiedKFold, cross_val_score, train_test_split

ATTACKS = ["login_failed", "sqli_attempt", "command", "connect", "mail_from", "rcpt_to", "data"]
SEED = 42


def main():
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    csv, database = sys.argv[1], pathlib.Path(sys.argv[2]).resolve()

    events = pd.read_csv(csv)
    features = events["data"].str.len().astype("float64").to_frame("payload_length")
    label = events["event"].isin(ATTACKS)

    mlflow.set_tracking_uri(f"sqlite:///{database}")
    if mlflow.get_experiment_by_name("PhantomNet-ML") is None:
        mlflow.create_experiment("PhantomNet-ML", artifact_location=str(database.parent / "artifacts"))
    mlflow.set_experiment("PhantomNet-ML")
    with mlflow.start_run():
        x_train, x_test, y_train, y_test = train_test_split(
            features, label, test_size=0.2, stratify=label, random_state=SEED
        )
        forest = RandomForestClassifier(n_estimators=200, random_state=SEED, n_jobs=-1)
        forest.fit(x_train, y_train)
        predicted = forest.predict(x_test)
        folds = StratifiedKFold(5, shuffle=True, random_state=SEED)
        fresh = RandomForestClassifier(n_estimators=200, random_state=SEED, n_jobs=-1)
        scores = cross_val_score(fresh, features, label, cv=folds)

        started = time.perf_counter()
        forest.predict_proba(x_test[:1])
        latency_ms = (time.perf_counter() - started) * 1000

        mlflow.log_params({"model": "random_forest", "n_estimators": 200, "seed": SEED, "test_size": 0.2})
        for fold, score in enumerate(scores):
            mlflow.log_metric("cv_accuracy", score, step=fold)
        metrics = {
            "accuracy": accuracy_score(y_test, predicted),
            "precision": precision_score(y_test, predicted, zero_division=0),
            "recall": recall_score(y_test, predicted, zero_division=0),
            "f1": f1_score(y_test, predicted, zero_division=0),
            "cv_accuracy_mean": scores.mean(),
            "cv_accuracy_std": scores.std(),
            "latency_ms": latency_ms,
        }
        mlflow.log_metrics(metrics)
        mlflow.sklearn.log_model(forest, name="model", serialization_format="cloudpickle")
    for name, value in metrics.items():
        print(f"{name} {value:.4f}")


if __name__ == "__main__":
    main()
