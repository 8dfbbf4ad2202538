//! Experiments, runs, params, metrics, artifacts and models in an MLflow tracking store.
